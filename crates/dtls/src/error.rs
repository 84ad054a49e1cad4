//! Why a connection could not be made, or ended.

use std::fmt;

use crate::config::Config;

/// An alert's description (RFC 8446 §6, RFC 5246 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// The peer closes in order.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// A message came out of turn.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// Nothing in common.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// What a fingerprint mismatch is answered with (RFC 8122 §6.2).
    pub const BAD_CERTIFICATE: Self = Self(42);
    /// Something else went wrong here.
    pub const INTERNAL_ERROR: Self = Self(80);

    /// The name in the RFCs' notation, if it is known.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

/// Why a connection failed, by blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's certificate is not the one the signalling promised (RFC 8122 §6.2).
    #[error("fingerprint mismatch")]
    FingerprintMismatch,
    /// The peer gave up, and says why.
    #[error("the peer sent a fatal alert: {0}")]
    PeerAlert(AlertDescription),
    /// The peer broke the protocol, or its handshake does not verify.
    #[error("the peer misbehaved: {0}")]
    PeerMisbehaved(String),
    /// There is nothing both sides can do: no version, cipher suite, group or certificate in common.
    #[error("nothing in common with the peer: {0}")]
    PeerIncompatible(String),
    /// Both sides support SRTP profiles, but no common one; or the peer offered none at all (RFC 5764 §4.1).
    #[error("no SRTP profile in common with the peer")]
    NoSrtpProfile,
    /// The peer stopped answering before the handshake was done.
    #[error("the handshake timed out")]
    Timeout,
    /// Something failed on this side.
    #[error("local failure: {0}")]
    Local(String),
}

impl Error {
    /// The fatal alert that this side has sent because of it, if there was one to send.
    pub fn sent_alert(&self) -> Option<AlertDescription> {
        match self {
            Error::FingerprintMismatch => Some(AlertDescription::BAD_CERTIFICATE),
            Error::PeerMisbehaved(_) | Error::PeerIncompatible(_) | Error::NoSrtpProfile => {
                Some(AlertDescription::HANDSHAKE_FAILURE)
            }
            Error::Local(_) => Some(AlertDescription::INTERNAL_ERROR),
            Error::PeerAlert(_) | Error::Timeout => None,
        }
    }
}

/// Why an endpoint could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewError {
    /// The MTU is below [`Config::MIN_MTU`].
    #[error("the MTU is {0}, below {min}", min = Config::MIN_MTU)]
    MtuTooSmall(usize),
    /// A timeout is zero or beyond ten years, or another setting is out of range.
    #[error("invalid configuration: {0}")]
    InvalidConfig(String),
}

/// Why a record was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The handshake is not done, or the peer's certificate is not verified yet.
    #[error("not connected")]
    NotConnected,
    /// The connection was closed or has failed.
    #[error("the connection is closed")]
    Closed,
    /// More than 2^14 bytes (RFC 6347 §4.1): a record does not span datagrams.
    #[error("a record holds 16,384 bytes at most")]
    TooLong,
    /// `start` lies beyond the buffer.
    #[error("the plaintext starts beyond the end of the buffer")]
    BadStart,
    /// The keys may not protect more records.
    #[error("the record sequence numbers are used up")]
    Exhausted,
    /// The cryptographic provider failed.
    #[error("the record could not be protected")]
    Crypto,
}

/// Why keying material could not be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The handshake is not done, or the peer's certificate is not verified yet.
    #[error("not connected")]
    NotConnected,
    /// The label, context or length is longer than the key derivation allows.
    #[error("the label, the context or the output is too long")]
    TooLong,
}
