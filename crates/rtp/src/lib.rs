//! RTP, RTCP, header extensions, payload formats and stream repair
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
