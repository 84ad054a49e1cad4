//! SRTP and SRTCP (RFC 3711), with AES-GCM (RFC 7714), AES-256 (RFC 6188), encrypted header extensions (RFC 6904) and
//! cryptex (RFC 9335). In place, no allocation a packet, keys scheduled once.
//!
//! ```
//! use pc_srtp::{Config, Profile, Protector, Unprotector};
//!
//! let (key, salt) = ([7; 16], [9; 12]); // from the DTLS handshake
//! let mut sender = Protector::new(Profile::AeadAes128Gcm, &key, &salt, Config::default())?;
//! let mut receiver = Unprotector::new(Profile::AeadAes128Gcm, &key, &salt, Config::default())?;
//!
//! let rtp = [0x80, 96, 0, 1, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe, b'h', b'i'];
//! let mut packet = rtp.to_vec();
//! sender.protect_rtp(&mut packet, 0)?;
//! let mut packet = bytes::BytesMut::from(&packet[..]);
//! receiver.unprotect_rtp(&mut packet)?;
//! assert_eq!(packet[..], rtp);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`Protector`] | sending: RTP and RTCP become SRTP and SRTCP |
//! | [`Unprotector`] | receiving: replay windows, rollover counters, change of keys |
//! | [`Profile`] | ciphers, tags, key lengths and their DTLS-SRTP numbers |
//! | [`Config`] | windows, cryptex, encrypted extensions, MKI, key lifetime |
//! | [`Counters`] | what was refused, by reason |
//!
//! Inside: `kdf` derives keys, `transform` holds the ciphers, `streams` the table of sources and windows, `extension`
//! both ways to encrypt header extensions, `header` the little that must be known of RTP.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod error;
mod extension;
mod header;
mod kdf;
mod keys;
mod profile;
mod protect;
mod stats;
mod streams;
mod transform;
mod unprotect;

pub use config::{Config, Cryptex, Lifetime, ReplayWindow};
pub use error::{KeyError, ProtectError, UnprotectError};
pub use profile::Profile;
pub use protect::Protector;
pub use stats::Counters;
pub use unprotect::Unprotector;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
