//! PLI: a picture was lost, a new start is needed (RFC 4585 §6.3.1).
//!
//! ```text
//! |V=2|P|  FMT=1  |    PT=206     |            length=2           |
//! |                  SSRC of packet sender                        |
//! |                  SSRC of media source                         |
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc};
use crate::types::Ssrc;

pub(super) const FORMAT: u8 = 1;

/// A picture loss indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: Ssrc,
    /// Whose picture is needed.
    pub media: Ssrc,
}

impl Pli {
    pub(super) fn parse(raw: Raw<'_>) -> Option<Self> {
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            media: ssrc(raw.body, 4)?,
        })
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sender: Ssrc, media: Ssrc) {
    packet(buf, FORMAT, packet_type::PAYLOAD_FEEDBACK, |buf| {
        put(buf, sender.0);
        put(buf, media.0);
    });
}
