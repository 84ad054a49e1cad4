//! VP9 (RFC 9628 §4.2).
//!
//! ```text
//!      0 1 2 3 4 5 6 7
//!     +-+-+-+-+-+-+-+-+
//!     |I|P|L|F|B|E|V|Z|   B starts a frame, E ends it, P depends on earlier pictures
//!     +-+-+-+-+-+-+-+-+
//! I:  |M| PICTURE ID  |   15 bits in two bytes with M
//! L:  | TID |U| SID |D|
//!     |   TL0PICIDX   |   not in flexible mode
//! P,F:| P_DIFF      |N|   up to three
//! V:  | scalability structure …
//! ```
//! Written: one spatial and one temporal layer, not flexible. Read: everything, spatial layers joined into one picture.

use bytes::Bytes;

use super::{Chunk, Fragment, PacketizeError, PayloadError, Prefix, even_parts};

/// Numbers pictures and writes descriptors.
#[derive(Debug)]
pub(super) struct Packetizer {
    picture_id: u16,
}

impl Packetizer {
    pub(super) fn new(picture_id: u16) -> Self {
        Self { picture_id }
    }

    pub(super) fn packetize(
        &mut self,
        data: &Bytes,
        keyframe: bool,
        room: usize,
        mut out: impl FnMut(Chunk),
    ) -> Result<(), PacketizeError> {
        const DESCRIPTOR: usize = 3;
        self.picture_id = self.picture_id.wrapping_add(1);
        let room = room
            .checked_sub(DESCRIPTOR)
            .filter(|room| *room > 0)
            .ok_or(PacketizeError::NoRoom(room))?;
        for (range, body) in even_parts(data, room) {
            let last = range.end == data.len();
            let mut prefix = Prefix::default();
            prefix.push(
                0x80 | (u8::from(!keyframe) << 6)
                    | (u8::from(range.start == 0) << 3)
                    | (u8::from(last) << 2),
            );
            prefix.push(0x80 | (self.picture_id >> 8) as u8);
            prefix.push(self.picture_id as u8);
            out(Chunk { prefix, body, last });
        }
        Ok(())
    }
}

pub(super) fn inspect(payload: &[u8]) -> Result<Fragment, PayloadError> {
    let byte = |at: usize| payload.get(at).copied().ok_or(PayloadError::Truncated);
    let first = byte(0)?;
    let flag = |bit: u8| first & (0x80 >> bit) != 0;
    let [
        has_id,
        predicted,
        layered,
        flexible,
        begins,
        _ends,
        structured,
    ] = [0, 1, 2, 3, 4, 5, 6].map(flag);
    let mut at = 1;
    let mut fragment = Fragment::default();
    let mut spatial_id = 0;
    if has_id {
        let high = byte(at)?;
        at += 1;
        fragment.picture_id = Some(if high & 0x80 != 0 {
            let low = byte(at)?;
            at += 1;
            u16::from_be_bytes([high & 0x7f, low])
        } else {
            u16::from(high)
        });
    }
    if layered {
        let layers = byte(at)?;
        at += 1;
        fragment.temporal_id = Some(layers >> 5);
        spatial_id = (layers >> 1) & 7;
        if !flexible {
            byte(at)?;
            at += 1;
        }
    }
    if predicted && flexible {
        for _ in 0..3 {
            let difference = byte(at)?;
            at += 1;
            if difference & 1 == 0 {
                break;
            }
        }
    }
    if structured {
        at = structure_end(payload, at)?;
    }
    fragment.body = at;
    byte(at)?;
    // A picture begins with the base layer's frame; its end is the marker bit, E only ends a layer's frame.
    fragment.start = Some(begins && spatial_id == 0);
    fragment.keyframe = fragment.start == Some(true) && !predicted;
    Ok(fragment)
}

/// Steps over the scalability structure (§4.2.1).
fn structure_end(payload: &[u8], mut at: usize) -> Result<usize, PayloadError> {
    let byte = |at: usize| payload.get(at).copied().ok_or(PayloadError::Truncated);
    let first = byte(at)?;
    at += 1;
    if first & 0x10 != 0 {
        at += 4 * (usize::from(first >> 5) + 1);
    }
    if first & 0x08 != 0 {
        let pictures = byte(at)?;
        at += 1;
        for _ in 0..pictures {
            let picture = byte(at)?;
            at += 1 + usize::from((picture >> 2) & 3);
        }
    }
    Ok(at)
}
