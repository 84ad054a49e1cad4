//! XR: extended reports (RFC 3611). Round-trip measurement for those who only receive is interpreted, other blocks are kept raw.
//!
//! ```text
//! |V=2|P|reserved |   PT=XR=207   |             length            |
//! |                              SSRC                             |
//! |      BT       | type-specific |         block length          |   repeated
//! |                  type-specific block contents …               |
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc, word};
use crate::types::{NtpTime, Ssrc};

/// Receiver reference time (§4.4) and DLRR (§4.5).
const RECEIVER_REFERENCE_TIME: u8 = 4;
const DLRR: u8 = 5;

/// An extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub sender: Ssrc,
    blocks: &'a [u8],
}

/// A block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XrBlock<'a> {
    /// The wall clock of a receiver when it sent this (§4.4).
    ReceiverReferenceTime(NtpTime),
    /// Answers to those (§4.5).
    Dlrr(&'a [Dlrr]),
    /// The same as read: whole sub-blocks of three words. See [`Dlrr::read`].
    DlrrBytes(&'a [u8]),
    /// Another block: its type, its type-specific byte, its content.
    Other(u8, u8, &'a [u8]),
}

/// One answer of a DLRR block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dlrr {
    /// The receiver whose reference time is answered.
    pub ssrc: Ssrc,
    /// The middle 32 bits of that time.
    pub last_rr: u32,
    /// The delay since it was received, in units of 2⁻¹⁶ s.
    pub delay: u32,
}

impl Dlrr {
    /// The answers in the bytes of a DLRR block.
    pub fn read(bytes: &[u8]) -> impl ExactSizeIterator<Item = Self> + '_ {
        let (entries, _) = bytes.as_chunks::<12>();
        entries.iter().map(|entry| Self {
            ssrc: ssrc(entry, 0).unwrap_or_default(),
            last_rr: word(entry, 4).unwrap_or_default(),
            delay: word(entry, 8).unwrap_or_default(),
        })
    }
}

impl<'a> ExtendedReport<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            blocks: raw.body.get(4..)?,
        })
    }

    /// Its blocks; one that runs past the packet ends the iteration.
    pub fn blocks(&self) -> XrBlocks<'a> {
        XrBlocks { rest: self.blocks }
    }
}

/// Iterates over the blocks of an extended report.
#[derive(Clone, Debug)]
pub struct XrBlocks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for XrBlocks<'a> {
    type Item = XrBlock<'a>;

    fn next(&mut self) -> Option<XrBlock<'a>> {
        let (&[kind, specific, high, low], rest) = self.rest.split_first_chunk()?;
        let len = 4 * usize::from(u16::from_be_bytes([high, low]));
        let (content, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(match kind {
            RECEIVER_REFERENCE_TIME => match content.first_chunk() {
                Some(time) => XrBlock::ReceiverReferenceTime(NtpTime(u64::from_be_bytes(*time))),
                None => XrBlock::Other(kind, specific, content),
            },
            DLRR => XrBlock::DlrrBytes(content),
            _ => XrBlock::Other(kind, specific, content),
        })
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sender: Ssrc, blocks: &[XrBlock<'_>]) {
    packet(buf, 0, packet_type::EXTENDED_REPORT, |buf| {
        put(buf, sender.0);
        for block in blocks {
            match block {
                XrBlock::ReceiverReferenceTime(time) => {
                    buf.extend_from_slice(&[RECEIVER_REFERENCE_TIME, 0, 0, 2]);
                    buf.extend_from_slice(&time.0.to_be_bytes());
                }
                XrBlock::Dlrr(entries) => {
                    put(buf, (u32::from(DLRR) << 24) | (3 * entries.len() as u32));
                    for entry in *entries {
                        put(buf, entry.ssrc.0);
                        put(buf, entry.last_rr);
                        put(buf, entry.delay);
                    }
                }
                XrBlock::DlrrBytes(content) => other(buf, DLRR, 0, content),
                XrBlock::Other(kind, specific, content) => other(buf, *kind, *specific, content),
            }
        }
    });
}

fn other(buf: &mut Vec<u8>, kind: u8, specific: u8, content: &[u8]) {
    let words = content.len().div_ceil(4) as u16;
    buf.extend_from_slice(&[kind, specific]);
    buf.extend_from_slice(&words.to_be_bytes());
    buf.extend_from_slice(content);
    buf.resize(buf.len() + (4 - content.len() % 4) % 4, 0);
}
