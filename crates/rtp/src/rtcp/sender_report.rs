//! SR: what a source sent, when, and what it received (RFC 3550 §6.4.1).
//!
//! ```text
//! |V=2|P|    RC   |   PT=SR=200   |             length            |
//! |                         SSRC of sender                        |
//! |              NTP timestamp, most significant word             |
//! |             NTP timestamp, least significant word             |
//! |                         RTP timestamp                         |
//! |                     sender's packet count                     |
//! |                      sender's octet count                     |
//! |                        report blocks…                         |
//! ```

use super::writer::{packet, put};
use super::{Raw, ReportBlock, ReportBlocks, packet_type, ssrc, word};
use crate::types::{NtpTime, Ssrc};

/// The sender's part of an SR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// The sender.
    pub ssrc: Ssrc,
    /// The wall clock when the report left.
    pub ntp: NtpTime,
    /// The same moment on the media clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the beginning, modulo 2³².
    pub packet_count: u32,
    /// Payload bytes sent since the beginning, modulo 2³².
    pub octet_count: u32,
}

/// A sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// The sender's part.
    pub info: SenderInfo,
    blocks: &'a [u8],
}

impl<'a> SenderReport<'a> {
    const LEN: usize = 24;

    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let body = raw.body;
        let info = SenderInfo {
            ssrc: ssrc(body, 0)?,
            ntp: NtpTime((u64::from(word(body, 4)?) << 32) | u64::from(word(body, 8)?)),
            rtp_timestamp: word(body, 12)?,
            packet_count: word(body, 16)?,
            octet_count: word(body, 20)?,
        };
        let blocks = body.get(Self::LEN..Self::LEN + ReportBlock::LEN * usize::from(raw.count))?;
        Some(Self { info, blocks })
    }

    /// The report blocks.
    pub fn reports(&self) -> ReportBlocks<'a> {
        ReportBlocks::new(self.blocks)
    }
}

pub(super) fn write(buf: &mut Vec<u8>, info: &SenderInfo, reports: &[ReportBlock]) {
    packet(
        buf,
        reports.len() as u8,
        packet_type::SENDER_REPORT,
        |buf| {
            put(buf, info.ssrc.0);
            put(buf, (info.ntp.0 >> 32) as u32);
            put(buf, info.ntp.0 as u32);
            put(buf, info.rtp_timestamp);
            put(buf, info.packet_count);
            put(buf, info.octet_count);
            for report in reports {
                report.write(buf);
            }
        },
    );
}
