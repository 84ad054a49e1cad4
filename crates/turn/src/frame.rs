//! Application data on its way out, wrapped in place.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Channel Number        |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! /                       Application Data                        /
//! ```
//! (RFC 8656 §12.4), or a Send indication with XOR-PEER-ADDRESS and DATA (§11.1).

use stun::HEADER_LEN;

/// A header that [`crate::Client::open_frame`] appended, whose lengths [`close_frame`] completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the frame's lengths are wrong until it is closed"]
pub struct Frame {
    pub(crate) start: usize,
    pub(crate) payload: usize,
    pub(crate) kind: Kind,
    pub(crate) pad: bool,
}

impl Frame {
    /// Where the header starts in the buffer.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where the payload starts in the buffer.
    pub fn payload(&self) -> usize {
        self.payload
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ChannelData,
    SendIndication,
}

/// Writes the lengths and the padding of a frame whose payload is all that follows it in the buffer.
///
/// `false` means that the payload is longer than a length field can say, or that the buffer is shorter than the frame: header
/// and payload are taken back.
pub fn close_frame(frame: Frame, buf: &mut Vec<u8>) -> bool {
    if !fix_lengths(frame, buf) {
        buf.truncate(frame.start);
        return false;
    }
    true
}

fn fix_lengths(frame: Frame, buf: &mut Vec<u8>) -> bool {
    let Some(payload) = buf.len().checked_sub(frame.payload) else {
        return false;
    };
    let Ok(len) = u16::try_from(payload) else {
        return false;
    };
    let padding = payload.wrapping_neg() & 3;
    let len = len.to_be_bytes();
    match frame.kind {
        Kind::ChannelData => {
            buf[frame.start + 2..frame.start + 4].copy_from_slice(&len);
            if frame.pad {
                buf.extend_from_slice(&[0; 3][..padding]);
            }
        }
        Kind::SendIndication => {
            let body = frame.payload - frame.start - HEADER_LEN + payload + padding;
            let Ok(body) = u16::try_from(body) else {
                return false;
            };
            buf[frame.payload - 2..frame.payload].copy_from_slice(&len);
            buf[frame.start + 2..frame.start + 4].copy_from_slice(&body.to_be_bytes());
            buf.extend_from_slice(&[0; 3][..padding]);
        }
    }
    true
}
