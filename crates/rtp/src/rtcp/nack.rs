//! Generic NACK: packets to send again (RFC 4585 §6.2.1).
//!
//! ```text
//! |V=2|P|  FMT=1  |    PT=205     |             length            |
//! |                  SSRC of packet sender                        |
//! |                  SSRC of media source                         |
//! |            PID                |             BLP               |   repeated
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc};
use crate::types::{SeqNum, Ssrc};

pub(super) const FORMAT: u8 = 1;

/// A negative acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: Ssrc,
    /// Whose packets are missing.
    pub media: Ssrc,
    entries: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            media: ssrc(raw.body, 4)?,
            entries: raw.body.get(8..)?,
        })
    }

    /// The missing sequence numbers.
    pub fn lost(&self) -> LostPackets<'a> {
        LostPackets {
            entries: self.entries.as_chunks().0.iter(),
            base: SeqNum(0),
            mask: 0,
        }
    }
}

/// Iterates over the sequence numbers of a NACK.
#[derive(Clone, Debug)]
pub struct LostPackets<'a> {
    entries: std::slice::Iter<'a, [u8; 4]>,
    base: SeqNum,
    /// Bit i: the packet `base + i` is missing too.
    mask: u32,
}

impl Iterator for LostPackets<'_> {
    type Item = SeqNum;

    fn next(&mut self) -> Option<SeqNum> {
        if self.mask == 0 {
            let &[a, b, c, d] = self.entries.next()?;
            self.base = SeqNum(u16::from_be_bytes([a, b]));
            // Bit 0 of BLP stands for PID + 1.
            self.mask = 1 | (u32::from(u16::from_be_bytes([c, d])) << 1);
        }
        let offset = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        Some(self.base.wrapping_add(offset as u16))
    }
}

pub(super) fn write(
    buf: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    lost: impl IntoIterator<Item = SeqNum>,
) {
    let mut lost = lost.into_iter().peekable();
    if lost.peek().is_none() {
        return;
    }
    packet(buf, FORMAT, packet_type::TRANSPORT_FEEDBACK, |buf| {
        put(buf, sender.0);
        put(buf, media.0);
        while let Some(first) = lost.next() {
            let mut mask = 0u16;
            while let Some(next) =
                lost.next_if(|next| (0..=16).contains(&next.distance_from(first)))
            {
                if let Some(bit) = next
                    .distance_from(first)
                    .checked_sub(1)
                    .filter(|bit| *bit >= 0)
                {
                    mask |= 1 << bit;
                }
            }
            put(buf, (u32::from(first.0) << 16) | u32::from(mask));
        }
    });
}
