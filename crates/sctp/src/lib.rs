//! SCTP association (RFC 9260) and WebRTC data channels (RFC 8831, RFC 8832), sans-IO
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod config;
pub mod datachannel;
mod reason;
mod stats;

pub use self::config::Config;
pub use self::reason::{CloseReason, Reliability};
pub use self::stats::Stats;
