//! RR: what a participant received (RFC 3550 §6.4.2).
//!
//! ```text
//! |V=2|P|    RC   |   PT=RR=201   |             length            |
//! |                     SSRC of packet sender                     |
//! |                        report blocks…                         |
//! ```

use super::writer::{packet, put};
use super::{Raw, ReportBlock, ReportBlocks, packet_type, ssrc};
use crate::types::Ssrc;

/// A receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub sender: Ssrc,
    blocks: &'a [u8],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let sender = ssrc(raw.body, 0)?;
        let blocks = raw
            .body
            .get(4..4 + ReportBlock::LEN * usize::from(raw.count))?;
        Some(Self { sender, blocks })
    }

    /// The report blocks.
    pub fn reports(&self) -> ReportBlocks<'a> {
        ReportBlocks::new(self.blocks)
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sender: Ssrc, reports: &[ReportBlock]) {
    packet(
        buf,
        reports.len() as u8,
        packet_type::RECEIVER_REPORT,
        |buf| {
            put(buf, sender.0);
            for report in reports {
                report.write(buf);
            }
        },
    );
}
