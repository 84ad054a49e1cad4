//! The report block that SR and RR share (RFC 3550 §6.4.1).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                 SSRC_n (SSRC of the source)                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | fraction lost |       cumulative number of packets lost       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           extended highest sequence number received           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                      interarrival jitter                      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         last SR (LSR)                         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                   delay since last SR (DLSR)                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::writer::put;
use crate::types::Ssrc;

/// What a receiver says about one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: Ssrc,
    /// The fraction lost since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative when duplicates outnumber losses. 24 bits on the wire, clamped.
    pub cumulative_lost: i32,
    /// The highest sequence number received, with the count of its wraps above it.
    pub highest_sequence: u32,
    /// The interarrival jitter in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the last SR's NTP timestamp; 0 before the first.
    pub last_sr: u32,
    /// The delay since that SR in units of 2⁻¹⁶ s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Its length on the wire.
    pub const LEN: usize = 24;

    pub(super) fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| super::word(bytes, at).unwrap_or_default();
        Self {
            ssrc: Ssrc(word(0)),
            fraction_lost: (word(4) >> 24) as u8,
            // A 24-bit signed number: shifted up and back to spread its sign.
            cumulative_lost: ((word(4) << 8) as i32) >> 8,
            highest_sequence: word(8),
            jitter: word(12),
            last_sr: word(16),
            delay_since_last_sr: word(20),
        }
    }

    pub(super) fn write(&self, buf: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        put(buf, self.ssrc.0);
        put(buf, (u32::from(self.fraction_lost) << 24) | lost);
        put(buf, self.highest_sequence);
        put(buf, self.jitter);
        put(buf, self.last_sr);
        put(buf, self.delay_since_last_sr);
    }
}

/// Iterates over report blocks.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'a> {
    blocks: std::slice::Iter<'a, [u8; ReportBlock::LEN]>,
}

impl<'a> ReportBlocks<'a> {
    /// `bytes` holds whole blocks, as checked at parsing.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            blocks: bytes.as_chunks().0.iter(),
        }
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        self.blocks.next().map(ReportBlock::parse)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.blocks.size_hint()
    }
}

impl ExactSizeIterator for ReportBlocks<'_> {}
