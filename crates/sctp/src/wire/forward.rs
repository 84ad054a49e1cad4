//! FORWARD-TSN (RFC 3758 §3.2) and I-FORWARD-TSN (RFC 8260 §2.3.1).

use super::{WireError, begin_chunk, end_chunk, kind, read_u32};
use crate::serial::Tsn;

/// The last message of a stream that is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// The stream.
    pub stream: u16,
    /// Whether the message is unordered: I-FORWARD-TSN only.
    pub unordered: bool,
    /// Its SSN (FORWARD-TSN) or MID (I-FORWARD-TSN).
    pub message: u32,
}

/// Everything up to a TSN will not come any more.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |  Type = 192   |  Flags = 0x00 |            Length             |
/// |                      New Cumulative TSN                       |
/// |           Stream-1            |       Stream Sequence-1       |
///
/// |  Type = 194   |  Flags = 0x00 |            Length             |
/// |                      New Cumulative TSN                       |
/// |       Stream Identifier       |          Reserved           |U|
/// |                      Message Identifier                       |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ForwardTsn<'a> {
    /// The new cumulative TSN.
    pub cumulative: Tsn,
    interleaved: bool,
    entries: &'a [u8],
}

impl<'a> ForwardTsn<'a> {
    /// Reads the value of a chunk.
    pub fn parse(value: &'a [u8], interleaved: bool) -> Result<Self, WireError> {
        let cumulative = Tsn(read_u32(value, 0)?);
        let entries = value.get(4..).unwrap_or(&[]);
        let size = if interleaved { 8 } else { 4 };
        if !entries.len().is_multiple_of(size) {
            return Err(WireError::BadLength);
        }
        Ok(Self {
            cumulative,
            interleaved,
            entries,
        })
    }

    /// What is skipped, by stream.
    pub fn skipped(&self) -> impl Iterator<Item = Skipped> + use<'a> {
        let interleaved = self.interleaved;
        self.entries
            .chunks_exact(if interleaved { 8 } else { 4 })
            .map(move |e| Skipped {
                stream: u16::from_be_bytes([e[0], e[1]]),
                unordered: interleaved && e[3] & 1 != 0,
                message: if interleaved {
                    u32::from_be_bytes([e[4], e[5], e[6], e[7]])
                } else {
                    u32::from(u16::from_be_bytes([e[2], e[3]]))
                },
            })
    }
}

/// Appends the chunk.
pub fn write(buf: &mut Vec<u8>, interleaved: bool, cumulative: Tsn, skipped: &[Skipped]) {
    let chunk_kind = if interleaved {
        kind::I_FORWARD_TSN
    } else {
        kind::FORWARD_TSN
    };
    let start = begin_chunk(buf, chunk_kind, 0);
    buf.extend_from_slice(&cumulative.0.to_be_bytes());
    for entry in skipped {
        buf.extend_from_slice(&entry.stream.to_be_bytes());
        if interleaved {
            buf.extend_from_slice(&u16::from(entry.unordered).to_be_bytes());
            buf.extend_from_slice(&entry.message.to_be_bytes());
        } else {
            buf.extend_from_slice(&(entry.message as u16).to_be_bytes());
        }
    }
    end_chunk(buf, start);
}
