//! SDES: source descriptions (RFC 3550 §6.5).
//!
//! ```text
//! |V=2|P|    SC   |  PT=SDES=202  |             length            |
//! |                          SSRC/CSRC_1                          |   a chunk; the next starts
//! |  item type    |    length     | text …            0  (padding)|   at a word boundary
//! ```

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc};
use crate::types::Ssrc;

/// SDES item types (RFC 3550 §12.2, RFC 8852 §3, RFC 9143 §15).
pub mod sdes_item {
    /// Canonical end-point identifier.
    pub const CNAME: u8 = 1;
    /// RTP stream identifier.
    pub const RID: u8 = 12;
    /// Repaired RTP stream identifier.
    pub const REPAIRED_RID: u8 = 13;
    /// Media identification.
    pub const MID: u8 = 15;
}

/// A source description packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdes<'a> {
    body: &'a [u8],
    count: u8,
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let sdes = Self {
            body: raw.body,
            count: raw.count,
        };
        (sdes.chunks().count() == usize::from(raw.count)).then_some(sdes)
    }

    /// Its chunks, one a source.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + use<'a> {
        let mut rest = self.body;
        (0..self.count).map_while(move |_| {
            let ssrc = ssrc(rest, 0)?;
            let content = rest.get(4..)?;
            let mut at = 0;
            // Items end with a zero byte, which may be the first of several up to the word boundary.
            let len = loop {
                match *content.get(at)? {
                    0 => break at,
                    _ => at += 2 + usize::from(*content.get(at + 1)?),
                }
            };
            let items = content.get(..len)?;
            rest = content.get((len / 4 + 1) * 4..)?;
            Some(SdesChunk { ssrc, items })
        })
    }

    /// The first CNAME given for a source.
    pub fn cname(&self, ssrc: Ssrc) -> Option<&'a str> {
        self.chunks()
            .filter(|chunk| chunk.ssrc == ssrc)
            .flat_map(|chunk| chunk.items())
            .find(|item| item.kind == sdes_item::CNAME)
            .and_then(|item| std::str::from_utf8(item.text).ok())
    }
}

/// What is said of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: Ssrc,
    items: &'a [u8],
}

impl<'a> SdesChunk<'a> {
    /// Its items.
    pub fn items(&self) -> SdesItems<'a> {
        SdesItems { rest: self.items }
    }
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// Its type, see [`sdes_item`].
    pub kind: u8,
    /// Its text, UTF-8 by the RFC but not checked.
    pub text: &'a [u8],
}

/// Iterates over the items of a chunk.
#[derive(Clone, Debug)]
pub struct SdesItems<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for SdesItems<'a> {
    type Item = SdesItem<'a>;

    fn next(&mut self) -> Option<SdesItem<'a>> {
        let (&[kind, len], rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(SdesItem { kind, text })
    }
}

/// One chunk with a CNAME for each source; text past 255 bytes is cut at a character.
pub(super) fn write(buf: &mut Vec<u8>, sources: &[(Ssrc, &str)]) {
    packet(
        buf,
        sources.len() as u8,
        packet_type::SOURCE_DESCRIPTION,
        |buf| {
            for (ssrc, cname) in sources {
                let text = truncate(cname);
                put(buf, ssrc.0);
                buf.extend_from_slice(&[sdes_item::CNAME, text.len() as u8]);
                buf.extend_from_slice(text.as_bytes());
                // At least one zero ends the items, and the chunk fills its last word.
                let used = 2 + text.len();
                buf.extend_from_slice([0; 4].get(used % 4..).unwrap_or_default());
            }
        },
    );
}

/// The longest prefix an eight-bit length can announce.
pub(super) fn truncate(text: &str) -> &str {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
