//! SCTP associations and WebRTC data channels, without sockets, clocks or threads.
//!
//! RFC 9260 (SCTP), RFC 3758 (partial reliability), RFC 6525 (stream reset), RFC 8260 (I-DATA and schedulers), RFC 9653
//! (zero checksum), RFC 8261 (over DTLS), RFC 8831 and RFC 8832 (data channels), draft-hancke-tsvwg-snap (INIT in SDP);
//! RFC 9438 (CUBIC) and RFC 8985 (RACK, tail probes) for congestion and loss.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use sctp::{Config, datachannel::*};
//! # #[allow(clippy::disallowed_methods)]
//! # let now = std::time::Instant::now();
//! let new = |seed| DataChannels::new(Config::default(), StdRng::seed_from_u64(seed));
//! let (mut a, mut b) = (new(1), new(2));
//! let chat = a.open(ChannelConfig { label: "chat".into(), ..Default::default() }).unwrap();
//! a.start(now, DtlsRole::Client, RemoteParameters::default());
//! b.start(now, DtlsRole::Server, RemoteParameters::default());
//! let mut greeting = None;
//! for _ in 0..4 {
//!     for (from, to) in [(0, 1), (1, 0)] {
//!         let sides = [&mut a, &mut b];
//!         let mut packet = Vec::new();
//!         # let mut sides = sides;
//!         while sides[from].poll_transmit(now, &mut packet).is_some() {
//!             sides[to].handle_packet(now, std::mem::take(&mut packet).into());
//!         }
//!     }
//!     while let Some(event) = a.poll_event() {
//!         if event == Event::ChannelOpen(chat) {
//!             a.send(now, chat, MessageKind::String, "hello".into()).unwrap();
//!         }
//!     }
//!     while let Some(event) = b.poll_event() {
//!         if let Event::Readable(channel) = event {
//!             greeting = b.read(now, channel);
//!         }
//!     }
//! }
//! assert_eq!(&greeting.unwrap().payload[..], b"hello");
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`datachannel`] | [`DataChannels`](datachannel::DataChannels): channels over one association |
//! | [`association`] | [`Association`]: handshake, streams, shutdown; usable alone |
//! | [`wire`] | packets, chunks, parameters |
//! | [`config`] | what can be chosen |
//! | `send` | queues and schedulers, the window, loss recovery, congestion control, pacing |
//! | `receive` | TSNs, reassembly, order, the receive window, when to acknowledge |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod association;
mod bits;
pub mod config;
pub mod datachannel;
mod hash;
mod reason;
mod receive;
mod send;
pub mod serial;
mod stats;
mod time;
pub mod wire;

pub use self::association::Association;
pub use self::config::Config;
pub use self::reason::{CloseReason, Reliability};
pub use self::stats::{Drops, Stats};
