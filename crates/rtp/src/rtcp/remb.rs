//! REMB: the largest bitrate a receiver believes its path can carry; an application-layer feedback message (RFC 4585 §6.4).
//!
//! ```text
//! |V=2|P| FMT=15  |    PT=206     |             length            |
//! |                  SSRC of packet sender                        |
//! |                  SSRC of media source (0, unused)             |
//! |  'R'            'E'             'M'            'B'            |
//! |  Num SSRC     | BR Exp    |  BR Mantissa (18 bits)            |
//! |   SSRC …                                                      |
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc, word};
use crate::types::Ssrc;

pub(super) const FORMAT: u8 = 15;
const IDENTIFIER: u32 = u32::from_be_bytes(*b"REMB");

/// A receiver-estimated maximum bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: Ssrc,
    /// The bitrate in bit/s, saturating.
    pub bitrate: u64,
    streams: &'a [u8],
}

impl<'a> Remb<'a> {
    pub(super) fn is_remb(raw: Raw<'a>) -> bool {
        word(raw.body, 8) == Some(IDENTIFIER)
    }

    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let value = word(raw.body, 12)?;
        let exponent = (value >> 18) & 0x3f;
        let mantissa = u64::from(value & 0x3_ffff);
        let bitrate = if exponent > mantissa.leading_zeros() {
            u64::MAX
        } else {
            mantissa << exponent
        };
        let count = (value >> 24) as usize;
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            bitrate,
            streams: raw.body.get(16..16 + 4 * count)?,
        })
    }

    /// The streams that share the bitrate.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = Ssrc> + use<'a> {
        let (words, _) = self.streams.as_chunks();
        words.iter().map(|word| Ssrc(u32::from_be_bytes(*word)))
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sender: Ssrc, bitrate: u64, streams: &[Ssrc]) {
    let streams = streams.get(..255).unwrap_or(streams);
    let exponent = (64 - bitrate.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate >> exponent) as u32;
    packet(buf, FORMAT, packet_type::PAYLOAD_FEEDBACK, |buf| {
        put(buf, sender.0);
        put(buf, 0);
        put(buf, IDENTIFIER);
        put(
            buf,
            ((streams.len() as u32) << 24) | (exponent << 18) | mantissa,
        );
        for stream in streams {
            put(buf, stream.0);
        }
    });
}
