//! SRTP and SRTCP (RFC 3711, RFC 7714), in place
mod error;
mod profile;
use bytes::BytesMut;
pub use error::{KeyError, ProtectError, UnprotectError};
pub use profile::Profile;

/// Configuration of a direction.
#[derive(Debug, Clone, Default)]
pub struct Config {}

/// Protects what is sent.
pub struct Protector {}

impl Protector {
    /// Makes a context.
    pub fn new(
        _profile: Profile,
        _key: &[u8],
        _salt: &[u8],
        _config: Config,
    ) -> Result<Self, KeyError> {
        Ok(Self {})
    }
    /// Protects the RTP packet `buf[start..]`.
    pub fn protect_rtp(&mut self, _buf: &mut Vec<u8>, _start: usize) -> Result<(), ProtectError> {
        Err(ProtectError::Crypto)
    }
    /// Protects the RTCP packet `buf[start..]`.
    pub fn protect_rtcp(&mut self, _buf: &mut Vec<u8>, _start: usize) -> Result<(), ProtectError> {
        Err(ProtectError::Crypto)
    }
}

/// Opens what is received.
pub struct Unprotector {}

impl Unprotector {
    /// Makes a context.
    pub fn new(
        _profile: Profile,
        _key: &[u8],
        _salt: &[u8],
        _config: Config,
    ) -> Result<Self, KeyError> {
        Ok(Self {})
    }
    /// Opens an SRTP packet in place.
    pub fn unprotect_rtp(&mut self, _packet: &mut BytesMut) -> Result<(), UnprotectError> {
        Err(UnprotectError::Authentication)
    }
    /// Opens an SRTCP packet in place.
    pub fn unprotect_rtcp(&mut self, _packet: &mut BytesMut) -> Result<(), UnprotectError> {
        Err(UnprotectError::Authentication)
    }
}
