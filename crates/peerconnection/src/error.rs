//! The errors of the interface, named as the W3C text names them.

use std::fmt;

/// What an operation of the interface fails with.
///
/// A variant is one `DOMException` name of the WebRTC text (or `TypeError` and `RangeError` of
/// the language); its text says what was wrong and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object is in a state that does not allow this.
    #[error("InvalidStateError: {0}")]
    InvalidState(String),
    /// An argument is not one that may be used here.
    #[error("InvalidAccessError: {0}")]
    InvalidAccess(String),
    /// What was asked would change something that cannot change.
    #[error("InvalidModificationError: {0}")]
    InvalidModification(String),
    /// The operation failed for a reason of its own.
    #[error("OperationError: {0}")]
    Operation(String),
    /// This implementation or its peer does not do that.
    #[error("NotSupportedError: {0}")]
    NotSupported(String),
    /// A text does not follow its grammar.
    #[error("SyntaxError: {0}")]
    Syntax(String),
    /// A text has a character that does not belong there.
    #[error("InvalidCharacterError: {0}")]
    InvalidCharacter(String),
    /// A value has the wrong shape.
    #[error("TypeError: {0}")]
    Type(String),
    /// A value lies outside its range.
    #[error("RangeError: {0}")]
    Range(String),
    /// Something failed that the interface has no name for.
    #[error("UnknownError: {0}")]
    Unknown(String),
    /// The network, or a socket of this machine, refused.
    #[error("NetworkError: {0}")]
    Network(String),
    /// An `RTCError`: an `OperationError` with a machine-readable detail.
    #[error("OperationError: {0}")]
    Rtc(RtcError),
}

impl Error {
    /// The name a browser would show for this error.
    pub fn name(&self) -> &'static str {
        match self {
            Error::InvalidState(_) => "InvalidStateError",
            Error::InvalidAccess(_) => "InvalidAccessError",
            Error::InvalidModification(_) => "InvalidModificationError",
            Error::Operation(_) | Error::Rtc(_) => "OperationError",
            Error::NotSupported(_) => "NotSupportedError",
            Error::Syntax(_) => "SyntaxError",
            Error::InvalidCharacter(_) => "InvalidCharacterError",
            Error::Type(_) => "TypeError",
            Error::Range(_) => "RangeError",
            Error::Unknown(_) => "UnknownError",
            Error::Network(_) => "NetworkError",
        }
    }
}

/// `RTCError` (W3C WebRTC §11): an error with a detail and the values that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcError {
    /// What kind of failure it was.
    pub detail: RtcErrorDetail,
    /// The same in words.
    pub message: String,
    /// The line of the session description at fault, counted from 1.
    pub sdp_line_number: Option<u32>,
    /// The SCTP cause code, when SCTP gave one.
    pub sctp_cause_code: Option<u16>,
    /// The DTLS alert that was received.
    pub received_alert: Option<u8>,
    /// The DTLS alert that was sent.
    pub sent_alert: Option<u8>,
}

impl RtcError {
    /// An error of this kind with nothing but words.
    pub fn new(detail: RtcErrorDetail, message: impl Into<String>) -> Self {
        RtcError {
            detail,
            message: message.into(),
            sdp_line_number: None,
            sctp_cause_code: None,
            received_alert: None,
            sent_alert: None,
        }
    }
}

impl fmt::Display for RtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.detail, self.message)
    }
}

impl std::error::Error for RtcError {}

/// `RTCErrorDetailType` (W3C WebRTC §11.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RtcErrorDetail {
    /// The data channel failed.
    DataChannelFailure,
    /// The DTLS negotiation failed, or the connection ended with an alert.
    DtlsFailure,
    /// The certificate of the peer matches none of the fingerprints it announced.
    FingerprintFailure,
    /// The SCTP association failed or was aborted.
    SctpFailure,
    /// A session description does not follow the grammar.
    SdpSyntaxError,
    /// The identity provider failed, or refused (W3C Identity for WebRTC).
    IdpExecutionFailure,
    /// There is no such identity provider.
    IdpLoadFailure,
    /// The identity that the peer brought is not to be trusted, or not the one that was asked for.
    IdpTokenInvalid,
    /// No encoder could be had.
    HardwareEncoderNotAvailable,
    /// The encoder does not do what was asked.
    HardwareEncoderError,
}

impl fmt::Display for RtcErrorDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RtcErrorDetail::DataChannelFailure => "data-channel-failure",
            RtcErrorDetail::DtlsFailure => "dtls-failure",
            RtcErrorDetail::FingerprintFailure => "fingerprint-failure",
            RtcErrorDetail::SctpFailure => "sctp-failure",
            RtcErrorDetail::SdpSyntaxError => "sdp-syntax-error",
            RtcErrorDetail::IdpExecutionFailure => "idp-execution-failure",
            RtcErrorDetail::IdpLoadFailure => "idp-load-failure",
            RtcErrorDetail::IdpTokenInvalid => "idp-token-invalid",
            RtcErrorDetail::HardwareEncoderNotAvailable => "hardware-encoder-not-available",
            RtcErrorDetail::HardwareEncoderError => "hardware-encoder-error",
        })
    }
}
