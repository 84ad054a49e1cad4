//! Numbers that name things within one agent; never reused.

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(pub(crate) u32);
    )*};
}

id! {
    /// A local candidate.
    LocalId
    /// A remote candidate.
    RemoteId
    /// A pair.
    PairId
    /// A server.
    ServerId
    /// A TURN allocation, or the attempt at one.
    RelayId
}
