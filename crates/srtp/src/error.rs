//! Errors, one enum an operation.

/// Why a context could not be made from these keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The master key has not the profile's length.
    #[error("the master key has {actual} bytes instead of {expected}")]
    KeyLength {
        /// What the profile needs.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// The master salt has not the profile's length.
    #[error("the master salt has {actual} bytes instead of {expected}")]
    SaltLength {
        /// What the profile needs.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// The master key identifier is longer than 128 bytes, or not as long as the others of the context.
    #[error("the master key identifier has {0} bytes")]
    MkiLength(usize),
    /// A master key identifier is needed, or there is one where none is configured.
    #[error("master key identifiers are used for all keys or for none")]
    MkiMix,
    /// The cryptographic provider failed.
    #[error("the keys could not be scheduled")]
    Crypto,
}

/// Why a packet was not protected. The packet is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// `start` lies beyond the buffer.
    #[error("the packet starts beyond the end of the buffer")]
    BadStart,
    /// Not an RTP or RTCP packet of version 2, or cut short.
    #[error("malformed packet")]
    Malformed,
    /// The key has protected all the packets it may (RFC 3711 §9.2): new keys are needed.
    #[error("the key's lifetime is over")]
    KeyExpired,
    /// More synchronization sources than configured.
    #[error("too many synchronization sources")]
    TooManyStreams,
    /// A sequence number older than the sender's window: protecting it could use a keystream twice.
    #[error("the sequence number was used before")]
    Reused,
    /// The cryptographic provider failed.
    #[error("the packet could not be encrypted")]
    Crypto,
}

/// Why a packet was refused. The context is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UnprotectError {
    /// Not an SRTP or SRTCP packet of version 2, or cut short.
    #[error("malformed packet")]
    Malformed,
    /// The tag is wrong: altered, forged, or protected with another key.
    #[error("authentication failed")]
    Authentication,
    /// Seen before.
    #[error("replayed packet")]
    Replayed,
    /// Older than the replay window.
    #[error("packet older than the replay window")]
    TooOld,
    /// No key has the packet's master key identifier.
    #[error("unknown master key identifier")]
    UnknownMki,
    /// The key has opened all the packets it may (RFC 3711 §9.2).
    #[error("the key's lifetime is over")]
    KeyExpired,
    /// More synchronization sources than configured.
    #[error("too many synchronization sources")]
    TooManyStreams,
    /// Header extensions are in the clear although cryptex is required (RFC 9335 §5.2).
    #[error("header extensions are not encrypted")]
    CryptexRequired,
    /// The packet is not encrypted although the profile encrypts.
    #[error("RTCP packet in the clear")]
    NotEncrypted,
}
