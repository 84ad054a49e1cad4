//! What became of received packets.

use crate::error::UnprotectError;
use crate::streams::Protocol;

/// Packets opened, and packets refused by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// SRTP packets opened.
    pub rtp: u64,
    /// SRTCP packets opened.
    pub rtcp: u64,
    /// [`UnprotectError::Malformed`].
    pub malformed: u64,
    /// [`UnprotectError::Authentication`].
    pub authentication: u64,
    /// [`UnprotectError::Replayed`].
    pub replayed: u64,
    /// [`UnprotectError::TooOld`].
    pub too_old: u64,
    /// [`UnprotectError::UnknownMki`].
    pub unknown_mki: u64,
    /// [`UnprotectError::KeyExpired`].
    pub key_expired: u64,
    /// [`UnprotectError::TooManyStreams`].
    pub too_many_streams: u64,
    /// [`UnprotectError::CryptexRequired`].
    pub cryptex_required: u64,
    /// [`UnprotectError::NotEncrypted`].
    pub not_encrypted: u64,
}

impl Counters {
    /// All refused packets.
    pub fn refused(&self) -> u64 {
        self.malformed
            + self.authentication
            + self.replayed
            + self.too_old
            + self.unknown_mki
            + self.key_expired
            + self.too_many_streams
            + self.cryptex_required
            + self.not_encrypted
    }

    pub(crate) fn count(&mut self, protocol: Protocol, error: Option<&UnprotectError>) {
        let counter = match error {
            None if protocol == Protocol::Rtp => &mut self.rtp,
            None => &mut self.rtcp,
            Some(UnprotectError::Malformed) => &mut self.malformed,
            Some(UnprotectError::Authentication) => &mut self.authentication,
            Some(UnprotectError::Replayed) => &mut self.replayed,
            Some(UnprotectError::TooOld) => &mut self.too_old,
            Some(UnprotectError::UnknownMki) => &mut self.unknown_mki,
            Some(UnprotectError::KeyExpired) => &mut self.key_expired,
            Some(UnprotectError::TooManyStreams) => &mut self.too_many_streams,
            Some(UnprotectError::CryptexRequired) => &mut self.cryptex_required,
            Some(UnprotectError::NotEncrypted) => &mut self.not_encrypted,
        };
        *counter += 1;
    }
}
