//! Congestion control feedback: arrival and ECN mark of each packet, by stream (RFC 8888 §3.1).
//!
//! ```text
//! |V=2|P| FMT=11  |   PT = 205    |          length               |
//! |                 SSRC of RTCP packet sender                    |
//! |                   SSRC of 1st RTP stream                      |
//! |          begin_seq            |          num_reports          |
//! |R|ECN|  Arrival time offset    | …  (padded to a whole word)   |
//! |                 Report Timestamp (32 bits)                    |
//! ```
//! The text calls the range inclusive of `begin_seq + num_reports`, yet lets `num_reports` be 0 for no metric at all; like
//! deployed endpoints this reads and writes exactly `num_reports` metrics.

use std::time::Duration;

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc, word};
use crate::types::{SeqNum, Ssrc};

pub(super) const FORMAT: u8 = 11;
/// "Each report block MUST NOT include more than 16384 packet metric blocks."
const MAX_REPORTS: usize = 16_384;
/// The offset is over range (0x1FFE) or unavailable (0x1FFF).
const OVER_RANGE: u16 = 0x1ffe;
const UNAVAILABLE: u16 = 0x1fff;

/// What became of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CcfbArrival {
    /// Whether it was received.
    pub received: bool,
    /// Its two ECN bits.
    pub ecn: u8,
    /// How long before the report it arrived, to 1/1024 s; `None` when not received, unknown, or 8 s ago and more.
    pub before_report: Option<Duration>,
}

impl CcfbArrival {
    fn read(value: u16) -> Self {
        let offset = value & 0x1fff;
        let received = value & 0x8000 != 0;
        Self {
            received,
            ecn: if received { (value >> 13) as u8 & 3 } else { 0 },
            before_report: (received && offset < OVER_RANGE)
                .then(|| Duration::from_nanos(u64::from(offset) * 1_000_000_000 / 1024)),
        }
    }

    fn to_u16(self) -> u16 {
        if !self.received {
            return 0;
        }
        let offset = match self.before_report {
            None => UNAVAILABLE,
            // Rounded, so that reading back and writing again changes nothing.
            Some(before) => u16::try_from((before.as_nanos() * 1024 + 500_000_000) / 1_000_000_000)
                .unwrap_or(OVER_RANGE)
                .min(OVER_RANGE),
        };
        0x8000 | (u16::from(self.ecn & 3) << 13) | offset
    }
}

/// A congestion control feedback packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CongestionFeedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// The middle 32 bits of the NTP time of the report.
    pub timestamp: u32,
    blocks: &'a [u8],
}

impl<'a> CongestionFeedback<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let end = raw.body.len().checked_sub(4)?;
        let feedback = Self {
            sender: ssrc(raw.body, 0)?,
            timestamp: word(raw.body, end)?,
            blocks: raw.body.get(4..end)?,
        };
        let mut blocks = feedback.blocks();
        while blocks.next().is_some() {}
        blocks.rest.is_empty().then_some(feedback)
    }

    /// The reports, one a stream.
    pub fn blocks(&self) -> CcfbBlocks<'a> {
        CcfbBlocks { rest: self.blocks }
    }
}

/// Iterates over the streams of a feedback.
#[derive(Clone, Debug)]
pub struct CcfbBlocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for CcfbBlocks<'a> {
    type Item = CcfbBlock<'a>;

    fn next(&mut self) -> Option<CcfbBlock<'a>> {
        let ssrc = ssrc(self.rest, 0)?;
        let range = word(self.rest, 4)?;
        let count = usize::from(range as u16);
        if count > MAX_REPORTS {
            return None;
        }
        let metrics = self.rest.get(8..8 + 2 * count)?;
        self.rest = self.rest.get(8 + 4 * count.div_ceil(2)..)?;
        Some(CcfbBlock {
            ssrc,
            begin: SeqNum((range >> 16) as u16),
            metrics,
        })
    }
}

/// The report on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CcfbBlock<'a> {
    /// The stream.
    pub ssrc: Ssrc,
    /// The first sequence number reported on.
    pub begin: SeqNum,
    metrics: &'a [u8],
}

impl<'a> CcfbBlock<'a> {
    /// Each packet reported on.
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = (SeqNum, CcfbArrival)> + use<'a> {
        let begin = self.begin;
        let (metrics, _) = self.metrics.as_chunks();
        metrics.iter().enumerate().map(move |(index, metric)| {
            let arrival = CcfbArrival::read(u16::from_be_bytes(*metric));
            (begin.wrapping_add(index as u16), arrival)
        })
    }
}

pub(super) fn write(
    buf: &mut Vec<u8>,
    sender: Ssrc,
    blocks: &[(Ssrc, SeqNum, &[CcfbArrival])],
    timestamp: u32,
) {
    packet(buf, FORMAT, packet_type::TRANSPORT_FEEDBACK, |buf| {
        put(buf, sender.0);
        for &(ssrc, begin, arrivals) in blocks {
            let arrivals = arrivals.get(..MAX_REPORTS).unwrap_or(arrivals);
            put(buf, ssrc.0);
            put(buf, (u32::from(begin.0) << 16) | arrivals.len() as u32);
            for arrival in arrivals {
                buf.extend_from_slice(&arrival.to_u16().to_be_bytes());
            }
            if arrivals.len() % 2 == 1 {
                buf.extend_from_slice(&[0; 2]);
            }
        }
        put(buf, timestamp);
    });
}
