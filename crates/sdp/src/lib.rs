//! SDP grammar (RFC 8866) and the typed attributes of WebRTC.
#![forbid(unsafe_code)]

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
