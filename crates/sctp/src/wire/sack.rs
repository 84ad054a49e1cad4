//! SACK (RFC 9260 §3.3.4).

use super::{WireError, begin_chunk, end_chunk, kind, read_u16, read_u32};
use crate::serial::Tsn;

/// A selective acknowledgement, borrowing its lists.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 3    |  Chunk Flags  |         Chunk Length          |
/// |                      Cumulative TSN Ack                       |
/// |          Advertised Receiver Window Credit (a_rwnd)           |
/// | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
/// |    Gap Ack Block #1 Start     |     Gap Ack Block #1 End      |
/// /                              ...                              /
/// |                        Duplicate TSN 1                        |
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sack<'a> {
    /// Everything up to here arrived.
    pub cumulative: Tsn,
    /// What the receiver still has room for.
    pub window: u32,
    gaps: &'a [u8],
    duplicates: &'a [u8],
}

impl<'a> Sack<'a> {
    /// Reads the value of a SACK chunk.
    #[inline]
    pub fn parse(value: &'a [u8]) -> Result<Self, WireError> {
        let gaps = usize::from(read_u16(value, 8)?) * 4;
        let duplicates = usize::from(read_u16(value, 10)?) * 4;
        Ok(Self {
            cumulative: Tsn(read_u32(value, 0)?),
            window: read_u32(value, 4)?,
            gaps: value.get(12..12 + gaps).ok_or(WireError::TooShort)?,
            duplicates: value
                .get(12 + gaps..12 + gaps + duplicates)
                .ok_or(WireError::TooShort)?,
        })
    }

    /// Runs that arrived above the cumulative TSN: offsets from it, both ends included.
    pub fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        self.gaps.as_chunks::<4>().0.iter().map(|b| {
            (
                u16::from_be_bytes([b[0], b[1]]),
                u16::from_be_bytes([b[2], b[3]]),
            )
        })
    }

    /// TSNs that arrived more than once.
    pub fn duplicates(&self) -> impl Iterator<Item = Tsn> + use<'a> {
        self.duplicates
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| Tsn(u32::from_be_bytes(b)))
    }

    /// Whether nothing arrived out of order.
    pub fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }
}

/// Appends a SACK chunk of at most `room` bytes; what does not fit is left out, gaps last.
/// Returns how many duplicates were reported.
pub fn write(
    buf: &mut Vec<u8>,
    cumulative: Tsn,
    window: u32,
    gaps: impl Iterator<Item = (u16, u16)>,
    duplicates: &[Tsn],
    room: usize,
) -> usize {
    let start = begin_chunk(buf, kind::SACK, 0);
    buf.extend_from_slice(&cumulative.0.to_be_bytes());
    buf.extend_from_slice(&window.to_be_bytes());
    buf.extend_from_slice(&[0; 4]);
    let mut left = room.saturating_sub(16) / 4;
    let mut gap_count: u16 = 0;
    for (first, last) in gaps.take(left) {
        buf.extend_from_slice(&first.to_be_bytes());
        buf.extend_from_slice(&last.to_be_bytes());
        gap_count += 1;
    }
    left -= usize::from(gap_count);
    let reported = duplicates.len().min(left);
    for tsn in duplicates.iter().take(reported) {
        buf.extend_from_slice(&tsn.0.to_be_bytes());
    }
    if let Some(counts) = buf.get_mut(start + 12..start + 16) {
        counts[..2].copy_from_slice(&gap_count.to_be_bytes());
        counts[2..].copy_from_slice(&(reported as u16).to_be_bytes());
    }
    end_chunk(buf, start);
    reported
}
