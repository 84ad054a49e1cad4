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
