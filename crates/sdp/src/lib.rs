//! Session descriptions: the whole grammar of SDP (RFC 8866), and the attributes of WebRTC with types (RFC 8829/9429 and
//! what they cite: 8839, 8840, 8841, 8842, 8122, 9143, 8830, 8851, 8853, 5576, 4585, 8285, …).
//!
//! ```
//! use pc_sdp::attributes::{Direction, Mid, RtpMap};
//! use pc_sdp::{MediaDescription, Origin, SessionDescription};
//!
//! let audio = MediaDescription::rtp("audio", [111])
//!     .with(Mid("0".into()))
//!     .with(Direction::SendRecv)
//!     .with(RtpMap::new(111, "opus", 48_000).with_channels(2));
//! let text = SessionDescription::new(Origin::new(4611732, 1)).with_media(audio).to_sdp();
//!
//! let remote = SessionDescription::parse(&text)?;
//! remote.check()?;
//! assert!(remote.media[0].rtp_map(111).unwrap().is("OPUS"));
//! # Ok::<(), pc_sdp::ParseError>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | `session`, `media` | [`SessionDescription`], [`MediaDescription`], [`MediaLine`]: the tree, with shortcuts |
//! | `line` | [`Origin`], [`Connection`], [`Bandwidth`], [`Timing`], …: the other structured lines |
//! | `attribute` | [`Attribute`], [`Attributes`], [`TypedAttribute`] |
//! | [`attributes`] | the typed attributes |
//! | `parse`, `write` | text to tree and back |
//! | `text`, `error` | [`Text`], [`ParseError`] |
//!
//! Nothing that is read panics or costs more than time and memory linear in its length.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod attribute;
pub mod attributes;
mod error;
mod line;
mod media;
mod parse;
mod session;
mod text;
mod write;

pub use attribute::{Attribute, Attributes, TypedAttribute};
pub use error::{ParseError, ParseErrorKind, ValueError};
pub use line::{Bandwidth, Connection, Key, Origin, Repeat, Timing, ZoneAdjustments};
pub use media::{MediaDescription, MediaKind, MediaLine};
pub use session::{SessionDescription, TimeDescription};
pub use text::Text;

/// The longest description that is read: 4 MiB, several times what the largest conferences write.
pub const MAX_LENGTH: usize = 4 << 20;
