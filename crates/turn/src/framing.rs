//! TURN over a byte stream: STUN messages and ChannelData follow each other, each a multiple of four bytes
//! (RFC 8656 §12.5, RFC 8489 §6.2.2). This is not the framing of RFC 4571.

use stun::{HEADER_LEN, MAGIC_COOKIE};

/// The stream carries something else; nothing after it can be trusted, so the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream carries neither STUN nor ChannelData")]
pub struct FramingError;

/// How many bytes the first frame takes, its padding counted; `None` while they are not all there.
pub fn frame_len(bytes: &[u8]) -> Result<Option<usize>, FramingError> {
    let Some(&[first, _, l0, l1]) = bytes.first_chunk::<4>() else {
        return match bytes.first() {
            Some(0x50..) => Err(FramingError),
            _ => Ok(None),
        };
    };
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let total = match first {
        0x00..=0x3f if len & 3 == 0 => {
            if let Some(cookie) = bytes.get(4..8)
                && cookie != MAGIC_COOKIE.to_be_bytes()
            {
                return Err(FramingError);
            }
            HEADER_LEN + len
        }
        0x40..=0x4f => 4 + ((len + 3) & !3),
        _ => return Err(FramingError),
    };
    Ok((bytes.len() >= total).then_some(total))
}

/// Cuts a stream into frames. It holds at most one frame beyond what it was given last.
#[derive(Debug, Default)]
pub struct StreamReader {
    buf: Vec<u8>,
    start: usize,
}

impl StreamReader {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes as they came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.start);
        self.start = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole frame, for [`crate::Client::handle_datagram`].
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FramingError> {
        let Some(len) = frame_len(&self.buf[self.start..])? else {
            return Ok(None);
        };
        let at = self.start;
        self.start += len;
        Ok(Some(&self.buf[at..at + len]))
    }

    /// What follows the frames read so far: the first application bytes of a data connection (RFC 6062 §4.3).
    pub fn into_rest(mut self) -> Vec<u8> {
        self.buf.drain(..self.start);
        self.buf
    }
}
