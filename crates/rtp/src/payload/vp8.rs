//! VP8 (RFC 7741 §4.2).
//!
//! ```text
//!      0 1 2 3 4 5 6 7
//!     +-+-+-+-+-+-+-+-+
//!     |X|R|N|S|R| PID |   X extended, N non-reference, S start of partition PID
//!     +-+-+-+-+-+-+-+-+
//! X:  |I|L|T|K| RSV   |
//! I:  |M| PictureID   |   15 bits in two bytes with M
//! L:  |   TL0PICIDX   |
//! T/K:|TID|Y| KEYIDX  |
//! ```

use bytes::Bytes;

use super::{Chunk, Fragment, PacketizeError, PayloadError, Prefix, TemporalLayer, even_parts};

/// Numbers pictures and writes descriptors.
#[derive(Debug)]
pub(super) struct Packetizer {
    /// 15 bits, starting at random.
    picture_id: u16,
    /// The running number of base-layer frames.
    tl0_pic_idx: u8,
}

impl Packetizer {
    pub(super) fn new(picture_id: u16, tl0_pic_idx: u8) -> Self {
        Self {
            picture_id,
            tl0_pic_idx,
        }
    }

    pub(super) fn packetize(
        &mut self,
        data: &Bytes,
        layer: Option<TemporalLayer>,
        room: usize,
        mut out: impl FnMut(Chunk),
    ) -> Result<(), PacketizeError> {
        self.picture_id = self.picture_id.wrapping_add(1);
        let mut prefix = Prefix::default();
        prefix.push(0x80 | (u8::from(layer.is_some_and(|layer| layer.discardable)) << 5));
        prefix.push(0x80 | if layer.is_some() { 0x60 } else { 0 });
        prefix.push(0x80 | (self.picture_id >> 8) as u8);
        prefix.push(self.picture_id as u8);
        if let Some(layer) = layer {
            if layer.id == 0 {
                self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
            }
            prefix.push(self.tl0_pic_idx);
            prefix.push((layer.id << 6) | (u8::from(layer.sync) << 5));
        }
        let room = room
            .checked_sub(prefix.as_slice().len())
            .filter(|room| *room > 0)
            .ok_or(PacketizeError::NoRoom(room))?;
        for (range, body) in even_parts(data, room) {
            let mut prefix = prefix;
            if range.start == 0 {
                // S: the first partition starts here; later ones are not told apart, PID stays 0 (§4.2).
                if let Some(first) = prefix.bytes.first_mut() {
                    *first |= 0x10;
                }
            }
            out(Chunk {
                prefix,
                last: range.end == data.len(),
                body,
            });
        }
        Ok(())
    }
}

pub(super) fn inspect(payload: &[u8]) -> Result<Fragment, PayloadError> {
    let byte = |at: usize| payload.get(at).copied().ok_or(PayloadError::Truncated);
    let first = byte(0)?;
    let mut at = 1;
    let mut fragment = Fragment {
        start: Some(first & 0x10 != 0 && first & 0x07 == 0),
        discardable: first & 0x20 != 0,
        ..Fragment::default()
    };
    if first & 0x80 != 0 {
        let flags = byte(at)?;
        at += 1;
        if flags & 0x80 != 0 {
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
        if flags & 0x40 != 0 {
            byte(at)?;
            at += 1;
        }
        if flags & 0x30 != 0 {
            let indices = byte(at)?;
            at += 1;
            if flags & 0x20 != 0 {
                fragment.temporal_id = Some(indices >> 6);
            }
        }
    }
    fragment.body = at;
    // The frame's own first bit is zero for a keyframe (§4.3); an empty body holds nothing to decode.
    let head = byte(at)?;
    fragment.keyframe = fragment.start == Some(true) && head & 1 == 0;
    Ok(fragment)
}
