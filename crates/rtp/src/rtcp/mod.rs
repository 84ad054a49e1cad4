//! RTCP: a compound reader over typed zero-copy packets, and a writer that appends in place (RFC 3550 §6).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P| count/FMT |  packet type  |     length in words − 1     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! | file | packet | from |
//! |---|---|---|
//! | `sender_report`, `receiver_report`, `report_block` | SR, RR | RFC 3550 §6.4 |
//! | `sdes`, `bye` | SDES, BYE | RFC 3550 §6.5, §6.6 |
//! | `nack`, `pli` | generic NACK, PLI | RFC 4585 §6.2.1, §6.3.1 |
//! | `fir` | FIR | RFC 5104 §4.3.1 |
//! | `remb`, `twcc` | receiver-estimated bitrate, transport-wide feedback | as browsers write them |
//! | `ccfb` | congestion control feedback | RFC 8888 |
//! | `xr` | extended reports | RFC 3611 |
//!
//! ```
//! use pc_rtp::{rtcp, SeqNum, Ssrc};
//!
//! let mut buf = Vec::new();
//! let mut writer = rtcp::Writer::new(&mut buf);
//! writer.receiver_report(Ssrc(1), &[]);
//! writer.nack(Ssrc(1), Ssrc(2), [SeqNum(7), SeqNum(9)]);
//! let lost: Vec<_> = rtcp::packets(&buf)
//!     .filter_map(|packet| match packet {
//!         Ok(rtcp::Packet::Nack(nack)) => Some(nack),
//!         _ => None,
//!     })
//!     .flat_map(|nack| nack.lost())
//!     .collect();
//! assert_eq!(lost, [SeqNum(7), SeqNum(9)]);
//! ```

mod bye;
mod ccfb;
mod fir;
mod nack;
mod pli;
mod receiver_report;
mod remb;
mod report_block;
mod sdes;
mod sender_report;
mod twcc;
mod writer;
mod xr;

pub use bye::Bye;
pub use ccfb::{CcfbArrival, CcfbBlock, CcfbBlocks, CongestionFeedback};
pub use fir::{Fir, FirEntry};
pub use nack::{LostPackets, Nack};
pub use pli::Pli;
pub use receiver_report::ReceiverReport;
pub use remb::Remb;
pub use report_block::{ReportBlock, ReportBlocks};
pub use sdes::{Sdes, SdesChunk, SdesItem, SdesItems, sdes_item};
pub use sender_report::{SenderInfo, SenderReport};
pub use twcc::{PacketArrivals, TransportFeedback};
pub use writer::Writer;
pub use xr::{Dlrr, ExtendedReport, XrBlock, XrBlocks};

use thiserror::Error;

use crate::types::Ssrc;

/// RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
pub mod packet_type {
    /// Sender report.
    pub const SENDER_REPORT: u8 = 200;
    /// Receiver report.
    pub const RECEIVER_REPORT: u8 = 201;
    /// Source description.
    pub const SOURCE_DESCRIPTION: u8 = 202;
    /// Goodbye.
    pub const GOODBYE: u8 = 203;
    /// Application-defined.
    pub const APPLICATION: u8 = 204;
    /// Transport-layer feedback.
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    /// Payload-specific feedback.
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    /// Extended report.
    pub const EXTENDED_REPORT: u8 = 207;
}

/// Why an RTCP packet was refused. What preceded it in the compound has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The packet is longer than the datagram.
    #[error("the packet ends inside itself")]
    Truncated,
    /// The version field is not 2.
    #[error("the version is {0}, not 2")]
    Version(u8),
    /// The padding count does not fit the packet.
    #[error("the padding count {0} does not fit the packet")]
    Padding(u8),
    /// The content is shorter than its type or its counts ask for.
    #[error("packet type {packet_type} with count {count} is malformed")]
    Malformed {
        /// The packet type.
        packet_type: u8,
        /// The count or feedback format.
        count: u8,
    },
}

/// One RTCP packet of any type, split but not interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The five bits beside the padding flag: a count, or a feedback format.
    pub count: u8,
    /// The packet type.
    pub packet_type: u8,
    /// What follows the four bytes of header, without padding.
    pub body: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn malformed(&self) -> ParseError {
        ParseError::Malformed {
            packet_type: self.packet_type,
            count: self.count,
        }
    }

    /// Splits the first packet off a compound.
    fn split(data: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let &[first, packet_type, high, low] = data.first_chunk().ok_or(ParseError::Truncated)?;
        if first >> 6 != 2 {
            return Err(ParseError::Version(first >> 6));
        }
        let len = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, rest) = data.split_at_checked(len).ok_or(ParseError::Truncated)?;
        let mut body = packet.get(4..).unwrap_or_default();
        if first & 0x20 != 0 {
            // The count includes itself and is a multiple of four (§6.4.1).
            let count = body.last().copied().unwrap_or(0);
            if count == 0 || usize::from(count) > body.len() {
                return Err(ParseError::Padding(count));
            }
            body = body
                .get(..body.len() - usize::from(count))
                .unwrap_or_default();
        }
        let raw = Self {
            count: first & 0x1f,
            packet_type,
            body,
        };
        Ok((raw, rest))
    }
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// SR.
    SenderReport(SenderReport<'a>),
    /// RR.
    ReceiverReport(ReceiverReport<'a>),
    /// SDES.
    Sdes(Sdes<'a>),
    /// BYE.
    Bye(Bye<'a>),
    /// Generic NACK.
    Nack(Nack<'a>),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir<'a>),
    /// Receiver-estimated maximum bitrate.
    Remb(Remb<'a>),
    /// Transport-wide congestion-control feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// Congestion control feedback of RFC 8888.
    CongestionFeedback(CongestionFeedback<'a>),
    /// XR.
    ExtendedReport(ExtendedReport<'a>),
    /// A type or format that this crate does not interpret.
    Unknown(Raw<'a>),
}

impl<'a> Packet<'a> {
    /// Interprets one packet.
    pub fn parse(raw: Raw<'a>) -> Result<Self, ParseError> {
        use packet_type as pt;
        let packet = match (raw.packet_type, raw.count) {
            (pt::SENDER_REPORT, _) => SenderReport::parse(raw).map(Self::SenderReport),
            (pt::RECEIVER_REPORT, _) => ReceiverReport::parse(raw).map(Self::ReceiverReport),
            (pt::SOURCE_DESCRIPTION, _) => Sdes::parse(raw).map(Self::Sdes),
            (pt::GOODBYE, _) => Bye::parse(raw).map(Self::Bye),
            (pt::TRANSPORT_FEEDBACK, nack::FORMAT) => Nack::parse(raw).map(Self::Nack),
            (pt::TRANSPORT_FEEDBACK, twcc::FORMAT) => {
                TransportFeedback::parse(raw).map(Self::TransportFeedback)
            }
            (pt::TRANSPORT_FEEDBACK, ccfb::FORMAT) => {
                CongestionFeedback::parse(raw).map(Self::CongestionFeedback)
            }
            (pt::PAYLOAD_FEEDBACK, pli::FORMAT) => Pli::parse(raw).map(Self::Pli),
            (pt::PAYLOAD_FEEDBACK, fir::FORMAT) => Fir::parse(raw).map(Self::Fir),
            (pt::PAYLOAD_FEEDBACK, remb::FORMAT) if Remb::is_remb(raw) => {
                Remb::parse(raw).map(Self::Remb)
            }
            (pt::EXTENDED_REPORT, _) => ExtendedReport::parse(raw).map(Self::ExtendedReport),
            _ => Some(Self::Unknown(raw)),
        };
        packet.ok_or(raw.malformed())
    }
}

/// Iterates over the packets of a compound, or over a single reduced-size one (RFC 5506).
///
/// A malformed packet is reported and stepped over; a length that leaves the datagram ends the iteration.
pub fn packets(data: &[u8]) -> Packets<'_> {
    Packets { rest: data }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Raw::split(self.rest) {
            Ok((raw, rest)) => {
                self.rest = rest;
                Some(Packet::parse(raw))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// The 32-bit word at `at`, in bytes.
fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// The SSRC at `at`, in bytes.
fn ssrc(body: &[u8], at: usize) -> Option<Ssrc> {
    word(body, at).map(Ssrc)
}

#[cfg(test)]
mod tests;
