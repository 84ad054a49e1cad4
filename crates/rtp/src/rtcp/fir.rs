//! FIR: a command to start anew, numbered so that repeats are recognised (RFC 5104 §4.3.1).
//!
//! ```text
//! |V=2|P|  FMT=4  |    PT=206     |             length            |
//! |                  SSRC of packet sender                        |
//! |                  SSRC of media source (0, unused)             |
//! |                              SSRC                             |   repeated
//! | Seq nr.       |    Reserved                                   |
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc};
use crate::types::Ssrc;

pub(super) const FORMAT: u8 = 4;

/// A full intra request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: Ssrc,
    entries: &'a [u8],
}

/// One command of a FIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream that is to start anew.
    pub ssrc: Ssrc,
    /// The command's number; a repeat of the last one is not a new command.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            entries: raw.body.get(8..)?,
        })
    }

    /// Its commands.
    pub fn entries(&self) -> impl Iterator<Item = FirEntry> + use<'a> {
        let (entries, _) = self.entries.as_chunks::<8>();
        entries.iter().map(|&[a, b, c, d, sequence, ..]| FirEntry {
            ssrc: Ssrc(u32::from_be_bytes([a, b, c, d])),
            sequence,
        })
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sender: Ssrc, entries: &[FirEntry]) {
    packet(buf, FORMAT, packet_type::PAYLOAD_FEEDBACK, |buf| {
        put(buf, sender.0);
        put(buf, 0);
        for entry in entries {
            put(buf, entry.ssrc.0);
            put(buf, u32::from(entry.sequence) << 24);
        }
    });
}
