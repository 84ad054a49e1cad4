//! An RTP packet: a checked view over bytes, and a writer in place (RFC 3550 §5.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           synchronization source (SSRC) identifier            |
//! +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//! |            contributing source (CSRC) identifiers             |
//! |                             ....                              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Once [`Packet::parse`] has accepted the bytes, no accessor panics or fails.

use std::ops::Range;

use thiserror::Error;

use crate::ext;
use crate::types::{SeqNum, Ssrc};

/// The fixed header's length.
pub const HEADER_LEN: usize = 12;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than the header it announces.
    #[error("the packet ends inside its header")]
    Truncated,
    /// The version field is not 2.
    #[error("the version is {0}, not 2")]
    Version(u8),
    /// The padding count is zero or larger than what follows the header.
    #[error("the padding count {0} does not fit the packet")]
    Padding(u8),
}

/// A zero-copy view of one RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    data: &'a [u8],
    header: [u8; HEADER_LEN],
    /// The extension block's profile and its content, after the four bytes of its own header.
    extension_profile: u16,
    extension_start: u32,
    payload_start: u32,
    payload_end: u32,
}

impl<'a> Packet<'a> {
    /// Checks the header, the extension block's length and the padding (RFC 3550 §5.1, §5.3.1, appendix A.1).
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let header: [u8; HEADER_LEN] = *data.first_chunk().ok_or(ParseError::Truncated)?;
        let version = header[0] >> 6;
        if version != 2 {
            return Err(ParseError::Version(version));
        }
        let mut start = HEADER_LEN + 4 * usize::from(header[0] & 0x0f);
        let mut extension_profile = 0;
        let mut extension_start = start;
        if header[0] & 0x10 != 0 {
            let block: &[u8; 4] = data
                .get(start..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(ParseError::Truncated)?;
            extension_profile = u16::from_be_bytes([block[0], block[1]]);
            extension_start = start + 4;
            start = extension_start + 4 * usize::from(u16::from_be_bytes([block[2], block[3]]));
        }
        let mut end = data.len();
        if start > end {
            return Err(ParseError::Truncated);
        }
        if header[0] & 0x20 != 0 {
            let padding = data.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > end - start {
                return Err(ParseError::Padding(padding));
            }
            end -= usize::from(padding);
        }
        let end = u32::try_from(end).map_err(|_| ParseError::Truncated)?;
        Ok(Self {
            data,
            header,
            extension_profile,
            extension_start: extension_start as u32,
            payload_start: start as u32,
            payload_end: end,
        })
    }

    /// The marker bit; the payload format gives it a meaning.
    pub fn marker(&self) -> bool {
        self.header[1] & 0x80 != 0
    }

    /// The payload type, 0..=127.
    pub fn payload_type(&self) -> u8 {
        self.header[1] & 0x7f
    }

    /// The sequence number.
    pub fn sequence_number(&self) -> SeqNum {
        SeqNum(u16::from_be_bytes([self.header[2], self.header[3]]))
    }

    /// The media timestamp, in the payload type's clock.
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([
            self.header[4],
            self.header[5],
            self.header[6],
            self.header[7],
        ])
    }

    /// The synchronization source.
    pub fn ssrc(&self) -> Ssrc {
        Ssrc(u32::from_be_bytes([
            self.header[8],
            self.header[9],
            self.header[10],
            self.header[11],
        ]))
    }

    /// The contributing sources, in order.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + use<'a> {
        let end = HEADER_LEN + 4 * usize::from(self.header[0] & 0x0f);
        let (words, _) = self
            .data
            .get(HEADER_LEN..end)
            .unwrap_or_default()
            .as_chunks();
        words.iter().map(|word| Ssrc(u32::from_be_bytes(*word)))
    }

    /// The header-extension elements (RFC 8285); none for a block of another profile.
    pub fn extensions(&self) -> ext::Elements<'a> {
        ext::Elements::new(self.extension_profile, self.extension_block())
    }

    /// The content of the extension element with this identifier.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions()
            .find(|element| element.id == id)
            .map(|element| element.data)
    }

    /// The extension block's profile number and content, whatever the profile.
    pub fn raw_extension(&self) -> Option<(u16, &'a [u8])> {
        (self.header[0] & 0x10 != 0).then(|| (self.extension_profile, self.extension_block()))
    }

    fn extension_block(&self) -> &'a [u8] {
        self.data
            .get(self.extension_start as usize..self.payload_start as usize)
            .unwrap_or_default()
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &'a [u8] {
        self.data.get(self.payload_range()).unwrap_or_default()
    }

    /// Where the payload lies in the packet.
    pub fn payload_range(&self) -> Range<usize> {
        self.payload_start as usize..self.payload_end as usize
    }

    /// The header's length: all that precedes the payload.
    pub fn header_len(&self) -> usize {
        self.payload_start as usize
    }

    /// The padding's length, its count byte included.
    pub fn padding_len(&self) -> usize {
        self.data.len() - self.payload_end as usize
    }

    /// The whole packet.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.data
    }
}

/// The fixed fields of a header to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; only the low seven bits are written.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: SeqNum,
    /// The media timestamp.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: Ssrc,
}

/// Appends one RTP packet to a buffer, in place and without allocating once the buffer has grown.
///
/// Header, then extensions, then payload; the extension block is closed when the payload begins.
/// ```
/// use pc_rtp::{packet, Packet, SeqNum, Ssrc};
///
/// let mut buf = Vec::new();
/// let header = packet::Header { payload_type: 111, sequence_number: SeqNum(7), ssrc: Ssrc(42), ..Default::default() };
/// let mut writer = packet::Writer::new(&mut buf, header, &[]);
/// writer.extension(4, b"0");
/// writer.payload(b"sound");
/// writer.finish();
/// let packet = Packet::parse(&buf).unwrap();
/// assert_eq!(packet.extension(4), Some(&b"0"[..]));
/// assert_eq!(packet.payload(), b"sound");
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut Vec<u8>,
    start: usize,
    extensions: Option<ext::Writer>,
}

impl<'b> Writer<'b> {
    /// Writes the fixed header and the contributing sources (at most 15; further ones are left out).
    pub fn new(buf: &'b mut Vec<u8>, header: Header, csrcs: &[Ssrc]) -> Self {
        let start = buf.len();
        let csrcs = csrcs.get(..15).unwrap_or(csrcs);
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = 0x80 | csrcs.len() as u8;
        bytes[1] = (u8::from(header.marker) << 7) | (header.payload_type & 0x7f);
        bytes[2..4].copy_from_slice(&header.sequence_number.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
        buf.extend_from_slice(&bytes);
        for csrc in csrcs {
            buf.extend_from_slice(&csrc.0.to_be_bytes());
        }
        Self {
            buf,
            start,
            extensions: None,
        }
    }

    /// Adds an extension element in the one-byte form, or in the two-byte form once an element needs it (RFC 8285 §4.2, §4.3).
    ///
    /// Identifier 0 and contents over 255 bytes have no encoding and are left out.
    pub fn extension(&mut self, id: u8, data: &[u8]) {
        let extensions = match &mut self.extensions {
            Some(extensions) => extensions,
            None => {
                if let Some(first) = self.buf.get_mut(self.start) {
                    *first |= 0x10;
                }
                self.extensions.insert(ext::Writer::begin(self.buf))
            }
        };
        extensions.element(self.buf, id, data);
    }

    fn close_extensions(&mut self) {
        if let Some(extensions) = self.extensions.take() {
            extensions.finish(self.buf);
        }
    }

    /// Appends payload bytes; may be called several times.
    pub fn payload(&mut self, data: &[u8]) {
        self.close_extensions();
        self.buf.extend_from_slice(data);
    }

    /// Ends the packet with `count` bytes of padding (RFC 3550 §5.1); returns its length.
    pub fn finish_with_padding(mut self, count: u8) -> usize {
        self.close_extensions();
        if count > 0 {
            let end = self.buf.len() + usize::from(count);
            self.buf.resize(end, 0);
            if let Some(last) = self.buf.last_mut() {
                *last = count;
            }
            if let Some(first) = self.buf.get_mut(self.start) {
                *first |= 0x20;
            }
        }
        self.buf.len() - self.start
    }

    /// Ends the packet; returns its length.
    pub fn finish(self) -> usize {
        self.finish_with_padding(0)
    }
}

/// Whether a datagram that RFC 7983 calls RTP or RTCP is RTCP: payload types 64..=95 are left to RTCP (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, second, ..] if first >> 6 == 2 && (192..=223).contains(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            marker: true,
            payload_type: 96,
            sequence_number: SeqNum(65535),
            timestamp: 0xdead_beef,
            ssrc: Ssrc(0x1234_5678),
        }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let mut buf = vec![1, 2, 3];
        let mut writer = Writer::new(&mut buf, header(), &[Ssrc(1), Ssrc(2)]);
        writer.extension(1, b"abc");
        writer.extension(14, b"");
        writer.payload(b"pay");
        writer.payload(b"load");
        let len = writer.finish_with_padding(5);
        assert_eq!(len, buf.len() - 3);
        let packet = Packet::parse(&buf[3..]).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 96);
        assert_eq!(packet.sequence_number(), SeqNum(65535));
        assert_eq!(packet.timestamp(), 0xdead_beef);
        assert_eq!(packet.ssrc(), Ssrc(0x1234_5678));
        assert!(packet.csrcs().eq([Ssrc(1), Ssrc(2)]));
        assert_eq!(packet.extension(1), Some(&b"abc"[..]));
        assert_eq!(packet.extension(14), Some(&b""[..]));
        assert_eq!(packet.extension(2), None);
        assert_eq!(packet.payload(), b"payload");
        assert_eq!(packet.padding_len(), 5);
        assert_eq!(packet.header_len() + 7 + 5, len);
    }

    #[test]
    fn refuses_what_is_not_rtp() {
        assert_eq!(
            Packet::parse(&[0x80; 11]).unwrap_err(),
            ParseError::Truncated
        );
        assert_eq!(
            Packet::parse(&[0x40; 12]).unwrap_err(),
            ParseError::Version(1)
        );
        // Two contributing sources announced, none there.
        let mut bytes = [0; 12];
        bytes[0] = 0x82;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Truncated);
        // An extension block longer than the packet.
        let mut bytes = [0; 16];
        bytes[0] = 0x90;
        bytes[15] = 1;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Truncated);
        // Padding of zero, and padding over the header.
        let mut bytes = [0; 16];
        bytes[0] = 0xa0;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Padding(0));
        bytes[15] = 5;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Padding(5));
        bytes[15] = 4;
        assert_eq!(Packet::parse(&bytes).unwrap().payload(), b"");
    }

    #[test]
    fn tells_rtcp_from_rtp() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(is_rtcp(&[0x81, 207, 0]));
        assert!(!is_rtcp(&[0x80, 96]));
        assert!(!is_rtcp(&[0x80, 0x80 | 111]));
        assert!(!is_rtcp(&[0x80]));
    }
}
