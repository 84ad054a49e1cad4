//! Packets, chunks and parameters as they are on the wire (RFC 9260 §3 and its extensions).
//!
//! One type a file, `parse` beside `write`. Parsing borrows from the packet and never panics, whatever the
//! bytes; writing appends to the caller's buffer.

pub mod cause;
pub mod data;
pub mod forward;
pub mod init;
pub mod packet;
pub mod param;
pub mod reconfig;
pub mod sack;

use thiserror::Error;

/// Chunk types (RFC 9260 §3.2, RFC 3758 §3.2, RFC 6525 §3.1, RFC 8260 §2).
pub mod kind {
    #![allow(missing_docs)]
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const SHUTDOWN_ACK: u8 = 8;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const COOKIE_ACK: u8 = 11;
    pub const SHUTDOWN_COMPLETE: u8 = 14;
    pub const I_DATA: u8 = 64;
    pub const RE_CONFIG: u8 = 130;
    pub const PAD: u8 = 132;
    pub const FORWARD_TSN: u8 = 192;
    pub const I_FORWARD_TSN: u8 = 194;
}

/// The T bit of ABORT and SHUTDOWN COMPLETE: the verification tag is reflected (RFC 9260 §8.5.1).
pub const FLAG_T: u8 = 0x01;

/// Why bytes were not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// Fewer bytes than the fixed part needs.
    #[error("too short")]
    TooShort,
    /// A length field contradicts what surrounds it.
    #[error("bad length field")]
    BadLength,
    /// A field has a value the RFC forbids.
    #[error("forbidden value: {0}")]
    Forbidden(&'static str),
}

/// A chunk in its packet: `value` is where the bytes after its four-byte header are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChunk {
    /// See [`kind`].
    pub kind: u8,
    /// Meaning depends on the kind.
    pub flags: u8,
    /// Place in the packet of the value, padding excluded.
    pub value: std::ops::Range<usize>,
}

/// The chunks of a packet, from an offset on.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Chunk Type  |  Chunk Flags  |         Chunk Length          |
/// /                          Chunk Value                          /
/// ```
#[derive(Debug, Clone)]
pub struct Chunks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Chunks<'a> {
    /// Chunks of `bytes` from offset `at` on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The next chunk; an error ends the iteration. Fewer than four trailing bytes are padding.
    #[inline]
    pub fn next_chunk(&mut self) -> Option<Result<RawChunk, WireError>> {
        let header = self.bytes.get(self.at..self.at + 4)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let (kind, flags) = (header[0], header[1]);
        let end = self.at + length;
        if length < 4 || end > self.bytes.len() {
            self.at = self.bytes.len();
            return Some(Err(WireError::BadLength));
        }
        let value = self.at + 4..end;
        self.at = padded(end - self.at) + self.at;
        Some(Ok(RawChunk { kind, flags, value }))
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<RawChunk, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk()
    }
}

/// Opens a chunk in `buf`; [`end_chunk`] closes it.
pub fn begin_chunk(buf: &mut Vec<u8>, kind: u8, flags: u8) -> usize {
    let start = buf.len();
    buf.extend_from_slice(&[kind, flags, 0, 0]);
    start
}

/// Sets the length of the chunk at `start` and pads it.
pub fn end_chunk(buf: &mut Vec<u8>, start: usize) {
    set_length(buf, start);
    pad(buf, start);
}

/// Writes the length of the record at `start`, which reaches to the end of `buf`, into its third and fourth byte.
pub(crate) fn set_length(buf: &mut [u8], start: usize) {
    // Nothing of ours is written that does not fit a packet of at most 65,535 bytes.
    let length = (buf.len() - start) as u16;
    if let Some(field) = buf.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Pads the record at `start` to four bytes.
pub(crate) fn pad(buf: &mut Vec<u8>, start: usize) {
    let length = buf.len() - start;
    buf.resize(start + padded(length), 0);
}

/// `length` rounded up to a multiple of four.
pub fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// The big-endian number at `at`, or an error where the bytes end.
pub(crate) fn read_u16(bytes: &[u8], at: usize) -> Result<u16, WireError> {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => Ok(u16::from_be_bytes([a, b])),
        _ => Err(WireError::TooShort),
    }
}

/// The big-endian number at `at`, or an error where the bytes end.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Result<u32, WireError> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        _ => Err(WireError::TooShort),
    }
}
