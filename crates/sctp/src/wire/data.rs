//! DATA (RFC 9260 §3.3.1) and I-DATA (RFC 8260 §2.1).

use std::ops::Range;

use super::{RawChunk, WireError, kind, read_u16, read_u32};
use crate::serial::Tsn;

/// Last fragment of a message.
pub const FLAG_END: u8 = 0x01;
/// First fragment of a message.
pub const FLAG_BEGIN: u8 = 0x02;
/// Unordered.
pub const FLAG_UNORDERED: u8 = 0x04;
/// Acknowledge at once (RFC 9260 §3.3.1).
pub const FLAG_IMMEDIATE: u8 = 0x08;

/// Bytes before the user data of a DATA chunk.
pub const DATA_HEADER: usize = 16;
/// Bytes before the user data of an I-DATA chunk.
pub const I_DATA_HEADER: usize = 20;

/// A DATA or I-DATA chunk.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 0    | Res |I|U|B|E|            Length               |
/// |                              TSN                              |
/// |           Stream Id           |   Stream Sequence Number      |
/// |                 Payload Protocol Identifier                   |
/// /                           User Data                           /
///
/// |   Type = 64   | Res |I|U|B|E|            Length               |
/// |                              TSN                              |
/// |           Stream Id           |           Reserved            |
/// |                   Message Identifier (MID)                    |
/// |  Payload Protocol Id (B set)  |  Fragment Sequence No (unset) |
/// /                           User Data                           /
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Whether this is I-DATA.
    pub interleaved: bool,
    /// The `FLAG_` bits.
    pub flags: u8,
    /// Where it stands in the association.
    pub tsn: Tsn,
    /// Its stream.
    pub stream: u16,
    /// The SSN of DATA (16 bits of it), the MID of I-DATA.
    pub message: u32,
    /// The PPID; zero in an I-DATA chunk that is not the first of its message.
    pub ppid: u32,
    /// The fragment's number in the message: I-DATA only.
    pub fsn: u32,
    /// Where in the packet the user data is.
    pub payload: Range<usize>,
}

impl Data {
    /// Reads a DATA or I-DATA chunk out of its packet.
    #[inline]
    pub fn parse(packet: &[u8], chunk: &RawChunk) -> Result<Self, WireError> {
        let value = packet
            .get(chunk.value.clone())
            .ok_or(WireError::BadLength)?;
        if chunk.kind == kind::I_DATA {
            let begins = chunk.flags & FLAG_BEGIN != 0;
            let last = read_u32(value, 12)?;
            return Ok(Self {
                interleaved: true,
                flags: chunk.flags,
                tsn: Tsn(read_u32(value, 0)?),
                stream: read_u16(value, 4)?,
                message: read_u32(value, 8)?,
                ppid: if begins { last } else { 0 },
                fsn: if begins { 0 } else { last },
                payload: chunk.value.start + 16..chunk.value.end,
            });
        }
        let fixed = value.first_chunk::<12>().ok_or(WireError::TooShort)?;
        Ok(Self {
            interleaved: false,
            flags: chunk.flags,
            tsn: Tsn(u32::from_be_bytes([fixed[0], fixed[1], fixed[2], fixed[3]])),
            stream: u16::from_be_bytes([fixed[4], fixed[5]]),
            message: u32::from(u16::from_be_bytes([fixed[6], fixed[7]])),
            ppid: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            fsn: 0,
            payload: chunk.value.start + 12..chunk.value.end,
        })
    }

    /// Appends the chunk with its user data, padded. `self.payload` is not looked at.
    #[inline]
    pub fn write(&self, buf: &mut Vec<u8>, user_data: &[u8]) {
        let mut header = [0; I_DATA_HEADER];
        let size = header_size(self.interleaved);
        let length = (size + user_data.len()) as u16;
        header[1] = self.flags;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[4..8].copy_from_slice(&self.tsn.0.to_be_bytes());
        header[8..10].copy_from_slice(&self.stream.to_be_bytes());
        if self.interleaved {
            header[0] = kind::I_DATA;
            header[12..16].copy_from_slice(&self.message.to_be_bytes());
            let begins = self.flags & FLAG_BEGIN != 0;
            let last = if begins { self.ppid } else { self.fsn };
            header[16..20].copy_from_slice(&last.to_be_bytes());
        } else {
            header[0] = kind::DATA;
            header[10..12].copy_from_slice(&(self.message as u16).to_be_bytes());
            header[12..16].copy_from_slice(&self.ppid.to_be_bytes());
        }
        buf.extend_from_slice(&header[..size]);
        buf.extend_from_slice(user_data);
        let padding = user_data.len().wrapping_neg() & 3;
        buf.extend_from_slice(&[0; 3][..padding]);
    }
}

/// Bytes before the user data.
pub fn header_size(interleaved: bool) -> usize {
    if interleaved {
        I_DATA_HEADER
    } else {
        DATA_HEADER
    }
}
