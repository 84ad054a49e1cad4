//! SCTP association (RFC 9260) and WebRTC data channels (RFC 8831, RFC 8832), sans-IO
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
