//! dimpl's errors, sorted by blame.

use crate::error::{AlertDescription, Error};

/// Errors that dimpl calls fatal like all others, although the datagram was thrown away and the state is as it was. Anybody
/// who can send a datagram could end a connection by them.
pub(super) fn is_ignorable(error: &dimpl::Error) -> bool {
    use dimpl::UnexpectedMessageError as U;
    matches!(
        error,
        dimpl::Error::UnexpectedMessage(U::UnrecognizedAutoServerResponse)
            | dimpl::Error::ReceiveQueueFull
            | dimpl::Error::RenegotiationAttempt
    )
}

pub(super) fn classify(error: dimpl::Error) -> Error {
    use dimpl::Error as E;
    use dimpl::SecurityError as S;
    match error {
        E::SecurityError(S::FatalAlert { description }) => {
            Error::PeerAlert(AlertDescription(description))
        }
        E::SecurityError(
            S::NoMutuallyAcceptableCipherSuite
            | S::NoCommonCipherSuite
            | S::NoCommonKeyExchangeGroup
            | S::UnsupportedClientVersion(_)
            | S::UnsupportedServerVersion(_)
            | S::UnsupportedKeyExchangeAlgorithm
            | S::UnsupportedSignatureScheme(_)
            | S::ClientHelloMissingDtls13SupportedVersions
            | S::ServerDidNotNegotiateDtls13
            | S::ExtendedMasterSecretNotNegotiated,
        )
        | E::Dtls12Fallback => Error::PeerIncompatible(error.to_string()),
        E::Timeout(_) => Error::Timeout,
        E::InvalidState(_)
        | E::ConfigError(_)
        | E::TransmitQueueFull
        | E::TransmitHistoryFull
        | E::ConnectionClosed => Error::Local(error.to_string()),
        other => Error::PeerMisbehaved(other.to_string()),
    }
}
