//! DTLS 1.2 (RFC 6347) and 1.3 (RFC 9147) for WebRTC, sans-IO: certificates, fingerprints, SRTP keying.
//!
//! ```
//! # use std::time::{Instant, SystemTime};
//! # use rand::{SeedableRng, rngs::StdRng};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let now = dtls_example::instant();
//! # let wall_clock = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
//! use pc_dtls::{Certificate, CertificateParams, Config, Endpoint, HashAlgorithm, Role};
//!
//! let mut rng = StdRng::seed_from_u64(1); // seed from the operating system outside of an example
//! let certificate = Certificate::generate(&CertificateParams::default(), wall_clock, &mut rng)?;
//! println!("a=fingerprint:{}", certificate.fingerprint(HashAlgorithm::Sha256));
//! let mut endpoint = Endpoint::new(Config::default(), Role::Client, &certificate, now, rng)?;
//! let mut datagram = Vec::new();
//! endpoint.poll_transmit(now, &mut datagram); // a ClientHello, to be sent to the peer
//! # assert_eq!(datagram[0], 22);
//! # Ok(())
//! # }
//! # mod dtls_example {
//! #     #[allow(clippy::disallowed_methods)]
//! #     pub fn instant() -> std::time::Instant { std::time::Instant::now() }
//! # }
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`Endpoint`] | one end of a connection: the handshake, records in and out |
//! | [`Certificate`] | made, imported, exported |
//! | [`Fingerprint`] | RFC 8122 hashes, compared in constant time |
//! | [`SrtpProfile`], [`SrtpKeys`] | `use_srtp` (RFC 5764) and the keys that come out of it |
//! | [`KeyLog`] | secrets for Wireshark, on explicit demand |
//!
//! The handshake is dimpl's; the README says where its limits are and how this crate works around them.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate self as pc_dtls;

mod alert;
mod certificate;
mod config;
mod deterministic;
mod endpoint;
mod error;
mod fingerprint;
mod kdf;
mod keylog;
mod provider;
mod record;
mod records;
mod srtp_profile;

pub use certificate::{Certificate, CertificateError, CertificateParams, KeyAlgorithm};
pub use config::{Config, Role, Setup, Version, Versions};
pub use endpoint::{CipherSuite, Counters, Endpoint, Event, State, is_dtls};
pub use error::{AlertDescription, Error, ExportError, NewError, SealError};
pub use fingerprint::{Fingerprint, HashAlgorithm, ParseFingerprintError};
pub use keylog::KeyLog;
pub use srtp_profile::{MasterKey, SrtpKeys, SrtpProfile};
