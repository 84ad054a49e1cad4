//! Why an association ended, and how hard a message is tried.

use std::time::Duration;

use thiserror::Error;

/// How hard a message is tried (RFC 8831 §6.4, RFC 3758, RFC 7496).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Reliability {
    /// Until it arrives.
    #[default]
    Reliable,
    /// At most this many retransmissions.
    MaxRetransmits(u16),
    /// At most for this long.
    MaxPacketLifeTime(Duration),
}

/// Why an association ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// One side shut it down, everything was delivered (RFC 9260 §9.2).
    #[error("shut down")]
    Shutdown,
    /// The peer aborted it; with the cause it gave, if any (RFC 9260 §3.3.10).
    #[error("aborted by the peer (cause {cause:?})")]
    AbortedByPeer {
        /// The first cause code.
        cause: Option<u16>,
    },
    /// [`abort`](crate::datachannel::DataChannels::abort) was called.
    #[error("aborted here")]
    AbortedHere,
    /// The peer did not answer the handshake.
    #[error("no answer to the handshake")]
    HandshakeTimeout,
    /// The peer stopped acknowledging.
    #[error("the peer stopped answering")]
    PeerUnreachable,
    /// The peer broke the protocol and was sent an ABORT.
    #[error("the peer broke the protocol: {0}")]
    ProtocolViolation(&'static str),
    /// The peer's `a=sctp-init` is not an INIT chunk.
    #[error("invalid sctp-init")]
    InvalidInit,
}
