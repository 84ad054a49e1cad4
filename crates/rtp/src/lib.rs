//! RTP for real-time media: packets, RTCP, header extensions, payload formats, and the streams that send and receive.
//!
//! No sockets, no clock, no threads: a stream takes datagrams and the time, and gives datagrams, frames and the time it next
//! wants to be called. RFC 3550 and 3551 (RTP, RTCP), 4585, 5104 and 5506 (feedback), 4588 (retransmission), 5761
//! (multiplexing), 8285 with 6464, 6465, 8852 and 6051 (header extensions), 3611 (extended reports), 8888 (congestion control
//! feedback), 7587, 7741, 9628 and 6184 (Opus, VP8, VP9, H.264).
//!
//! ```
//! use std::time::Instant;
//! use bytes::Bytes;
//! use pc_rtp::{Ssrc, payload::PayloadFormat, receive, send};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now(); // the driver's clock; the crate itself never reads one
//! let config = send::Config::new(Ssrc(1), 96, PayloadFormat::Vp8);
//! let mut sender = send::Stream::new(config, StdRng::seed_from_u64(1));
//! let kind = receive::PayloadType { number: 96, format: PayloadFormat::Vp8, rtx: None };
//! let mut receiver = receive::Stream::new(receive::Config::new(Ssrc(1), Ssrc(2), vec![kind]), now);
//!
//! let data = Bytes::from(vec![0; 5_000]); // a zero first bit is a VP8 keyframe
//! sender.write_frame(now, &send::OutgoingFrame { data, keyframe: true, ..Default::default() });
//! let mut datagram = Vec::new();
//! while sender.poll_transmit(now, &mut datagram).is_some() {
//!     receiver.handle_packet(now, Bytes::from(std::mem::take(&mut datagram)));
//! }
//! let due = receiver.poll_timeout().unwrap();
//! assert_eq!(receiver.poll_frame(due).unwrap().data.len(), 5_000);
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`packet`] | an RTP packet: a zero-copy view, a writer in place |
//! | [`ext`] | header extensions |
//! | [`rtcp`] | RTCP compounds, read and written |
//! | [`payload`] | frames cut into payloads and joined again |
//! | [`send`] | a stream that is sent: packets, history, retransmission, sender reports |
//! | [`receive`] | a stream that is received: order, repair, playout delay, receiver reports |
//!
//! Bytes from the network never cause a panic nor an allocation larger than they are, and on the paths that every packet takes
//! nothing is allocated at all.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ext;
pub mod packet;
pub mod payload;
pub mod receive;
pub mod rtcp;
pub mod send;
mod types;

pub use packet::{Packet, ParseError, is_rtcp};
pub use types::{NtpTime, SeqNum, SeqUnwrapper, Ssrc};
