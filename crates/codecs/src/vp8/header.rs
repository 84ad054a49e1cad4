//! The uncompressed data chunk that begins a frame (RFC 6386 §9.1).
//!
//! ```text
//!  0                   1                   2
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3   little endian: P is the lowest bit of the first byte
//! +-+-----+-+-------------------------------------+
//! |P| ver |s|       first partition size          |  3 bytes, in every frame; P = 0 is a keyframe
//! +-+-----+-+-------------------------------------+
//! |       start code 0x9d 0x01 0x2a               |  in keyframes only
//! +-----------------------------------------------+
//! | width (14) | horizontal scale (2)             |
//! | height (14) | vertical scale (2)              |
//! +-----------------------------------------------+
//! ```

const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];
const SIZE_MASK: u16 = 0x3fff;

/// What a keyframe says of itself before its compressed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyframeHeader {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Whether this is not the beginning of a keyframe, by its first byte alone.
pub(super) fn is_interframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 1)
}

/// The header of a keyframe; `None` of any other frame, and of what is no frame. Never panics.
pub fn keyframe_header(frame: &[u8]) -> Option<KeyframeHeader> {
    let header = frame.first_chunk::<10>()?;
    if is_interframe(frame) || header[3..6] != START_CODE {
        return None;
    }
    let size = |low, high| u16::from_le_bytes([low, high]) & SIZE_MASK;
    Some(KeyframeHeader {
        width: size(header[6], header[7]),
        height: size(header[8], header[9]),
    })
}

/// The quantizer index of a frame, `y_ac_qi`, 0 (finest) to 127 (RFC 6386 §9.6, §19.2): what `qpSum` adds up. `None` of what is no
/// frame. Costs a few dozen bits of the header, whatever the size of the frame. Never panics.
pub fn quantizer_index(frame: &[u8]) -> Option<u8> {
    let keyframe = !is_interframe(frame);
    let start = if keyframe {
        keyframe_header(frame)?;
        10
    } else {
        3
    };
    let mut bits = BoolDecoder::new(frame.get(start..)?)?;
    if keyframe {
        // color_space, clamping_type
        bits.skip(2);
    }
    // update_segmentation() (§9.3)
    if bits.flag() {
        let (map, data) = (bits.flag(), bits.flag());
        if data {
            // segment_feature_mode
            bits.skip(1);
            bits.optional(4, 7 + 1);
            bits.optional(4, 6 + 1);
        }
        if map {
            bits.optional(3, 8);
        }
    }
    // filter_type, loop_filter_level, sharpness_level (§9.6)
    bits.skip(1 + 6 + 3);
    // mb_lf_adjustments()
    if bits.flag() && bits.flag() {
        bits.optional(4 + 4, 6 + 1);
    }
    // log2_nbr_of_dct_partitions (§9.5)
    bits.skip(2);
    Some(bits.literal(7))
}

/// The boolean entropy decoder (RFC 6386 §7.3), for the bits of a header: all of even probability.
struct BoolDecoder<'a> {
    rest: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> BoolDecoder<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let (first, rest) = data.split_first_chunk::<2>()?;
        Some(BoolDecoder {
            rest,
            value: u32::from(u16::from_be_bytes(*first)),
            range: 255,
            shifted: 0,
        })
    }

    fn flag(&mut self) -> bool {
        let split = 1 + (((self.range - 1) * 128) >> 8);
        let flag = self.value >= split << 8;
        if flag {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.range <<= 1;
            self.value <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                // Beyond the end there are zeros.
                if let Some((byte, rest)) = self.rest.split_first() {
                    self.value |= u32::from(*byte);
                    self.rest = rest;
                }
            }
        }
        flag
    }

    /// The highest bit first; at most eight.
    fn literal(&mut self, bits: u32) -> u8 {
        (0..bits).fold(0, |value, _| value << 1 | u8::from(self.flag()))
    }

    fn skip(&mut self, bits: u32) {
        for _ in 0..bits {
            self.flag();
        }
    }

    /// Values that each are there if a flag before them says so.
    fn optional(&mut self, count: u32, bits: u32) {
        for _ in 0..count {
            if self.flag() {
                self.skip(bits);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_size_without_the_scale() {
        let frame = [
            0x50, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xe0, 0x81, 0,
        ];
        let header = keyframe_header(&frame).unwrap();
        assert_eq!((header.width, header.height), (640, 480));
    }

    #[test]
    fn anything_else_has_none() {
        assert_eq!(keyframe_header(&[]), None);
        assert_eq!(keyframe_header(&[0; 9]), None);
        assert_eq!(keyframe_header(&[0; 20]), None);
        let inter = [0x51, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];
        assert_eq!(keyframe_header(&inter), None);
    }
}
