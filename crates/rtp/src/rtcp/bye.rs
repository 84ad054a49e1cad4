//! BYE: sources that leave (RFC 3550 §6.6).
//!
//! ```text
//! |V=2|P|    SC   |   PT=BYE=203  |             length            |
//! |                           SSRC/CSRC …                         |
//! |     length    |     reason for leaving (optional) …           |
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, sdes};
use crate::types::Ssrc;

/// A goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    sources: &'a [u8],
    reason: &'a [u8],
}

impl<'a> Bye<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let (sources, rest) = raw.body.split_at_checked(4 * usize::from(raw.count))?;
        let reason = match rest.split_first() {
            Some((&len, text)) => text.get(..usize::from(len))?,
            None => &[],
        };
        Some(Self { sources, reason })
    }

    /// The sources that leave.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + use<'a> {
        let (words, _) = self.sources.as_chunks();
        words.iter().map(|word| Ssrc(u32::from_be_bytes(*word)))
    }

    /// Why, in the sender's words.
    pub fn reason(&self) -> Option<&'a str> {
        std::str::from_utf8(self.reason)
            .ok()
            .filter(|reason| !reason.is_empty())
    }
}

pub(super) fn write(buf: &mut Vec<u8>, sources: &[Ssrc], reason: &str) {
    packet(buf, sources.len() as u8, packet_type::GOODBYE, |buf| {
        for source in sources {
            put(buf, source.0);
        }
        let reason = sdes::truncate(reason);
        if !reason.is_empty() {
            buf.push(reason.len() as u8);
            buf.extend_from_slice(reason.as_bytes());
        }
    });
}
