//! TURN client (RFC 8656), sans-IO: sockets and clock belong to the caller.
//!
//! With it come allocations over UDP, TCP and TLS, both address families, mobility (RFC 8016), connections to peers
//! (RFC 6062), third-party tokens (RFC 7635) and `turn:` URIs (RFC 7065).
//!
//! ```
//! use std::time::Instant;
//! use rand::{SeedableRng, rngs::StdRng};
//! use turn::{Client, Config, Credentials, Transport};
//!
//! # #[allow(clippy::disallowed_methods)]
//! # fn main() {
//! # let now = Instant::now();
//! let config = Config::new("192.0.2.1:3478".parse().unwrap(), Transport::Udp, Credentials::password("alice", "secret"));
//! let mut client = Client::new(now, config, StdRng::seed_from_u64(1));
//! client.bind_channel(now, "198.51.100.7:4000".parse().unwrap());
//! let mut buf = Vec::new();
//! let transmit = client.poll_transmit(now, &mut buf).unwrap(); // an Allocate request, for the caller's socket
//! assert_eq!((transmit.remote.port(), transmit.len), (3478, buf.len()));
//! # }
//! ```
//!
//! | module | |
//! |---|---|
//! | [`Client`] | one allocation: its requests, timers, permissions and channels |
//! | [`Config`], [`Credentials`] | what to allocate, where, as whom |
//! | [`Event`], [`Input`] | what comes back |
//! | [`Frame`], [`close_frame`] | application data on its way out, in place |
//! | [`DataConnection`] | the second connection of RFC 6062 |
//! | [`framing`] | messages on a byte stream |
//! | [`Uri`] | `turn:` and `turns:` |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod client;
mod config;
mod connection;
mod event;
mod frame;
pub mod framing;
mod uri;

pub use client::{Client, State};
pub use config::{Config, Credentials, Families, RelayProtocol, Transport};
pub use connection::{DataConnection, DataState};
pub use event::{DropReason, Event, Failure, Input, Stats, Transmit};
pub use frame::{Frame, close_frame};
pub use uri::{Uri, UriError, UriTransport};
