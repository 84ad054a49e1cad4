//! Pictures in planes.

use super::FrameError;
use bytes::Bytes;
use std::time::Duration;

/// More than any codec here accepts in a direction, and little enough that sizes cannot overflow.
const MAX_SIDE: u32 = 16_384;

/// How the pixels of a picture lie in its planes. Luma and chroma are BT.601, limited range, unless a source says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Three planes: Y, then U and V at half the width and height.
    I420,
    /// Two planes: Y, then U and V interleaved at half the width and height.
    Nv12,
}

impl PixelFormat {
    /// Number of planes.
    pub fn planes(self) -> usize {
        match self {
            PixelFormat::I420 => 3,
            PixelFormat::Nv12 => 2,
        }
    }

    /// Bytes in a row and rows of plane `index`.
    fn plane_size(self, index: usize, width: u32, height: u32) -> (usize, usize) {
        let (width, height) = (width as usize, height as usize);
        match (self, index) {
            (_, 0) => (width, height),
            (PixelFormat::I420, _) => (width.div_ceil(2), height.div_ceil(2)),
            (PixelFormat::Nv12, _) => (width.div_ceil(2) * 2, height.div_ceil(2)),
        }
    }
}

/// How far to turn a picture clockwise before showing it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Upright already.
    #[default]
    None,
    /// A quarter turn clockwise.
    Clockwise90,
    /// Half a turn.
    Half,
    /// A quarter turn counter-clockwise.
    Clockwise270,
}

impl Rotation {
    /// Degrees clockwise.
    pub fn degrees(self) -> u16 {
        match self {
            Rotation::None => 0,
            Rotation::Clockwise90 => 90,
            Rotation::Half => 180,
            Rotation::Clockwise270 => 270,
        }
    }

    /// From degrees clockwise; `None` for anything but a multiple of 90.
    pub fn from_degrees(degrees: u16) -> Option<Self> {
        match degrees % 360 {
            0 => Some(Rotation::None),
            90 => Some(Rotation::Clockwise90),
            180 => Some(Rotation::Half),
            270 => Some(Rotation::Clockwise270),
            _ => None,
        }
    }
}

/// One plane of a picture: rows of bytes, `stride` apart. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Plane {
    data: Bytes,
    stride: usize,
}

impl Plane {
    /// A plane over `data`, whose rows begin `stride` bytes apart.
    pub fn new(data: impl Into<Bytes>, stride: usize) -> Self {
        Plane {
            data: data.into(),
            stride,
        }
    }

    /// All bytes, including what lies between the end of a row and the next.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes from the beginning of a row to the beginning of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The plane without its first `bytes`; empty if it has fewer.
    pub(crate) fn skip(&self, bytes: usize) -> Plane {
        Plane {
            data: self.data.slice(bytes.min(self.data.len())..),
            stride: self.stride,
        }
    }

    /// The rows, each `len` bytes long.
    pub fn rows(&self, len: usize) -> impl Iterator<Item = &[u8]> {
        self.data
            .chunks(self.stride.max(1))
            .map(move |row| &row[..len.min(row.len())])
    }
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Plane({} bytes, stride {})",
            self.data.len(),
            self.stride
        )
    }
}

/// A picture: planes of pixels, when it was taken and how to turn it. Cloning shares the planes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFrame {
    format: PixelFormat,
    width: u32,
    height: u32,
    planes: [Plane; 3],
    timestamp: Duration,
    rotation: Rotation,
}

impl VideoFrame {
    /// A picture over existing planes, as many as `format` has.
    pub fn new(
        format: PixelFormat,
        width: u32,
        height: u32,
        planes: Vec<Plane>,
        timestamp: Duration,
    ) -> Result<Self, FrameError> {
        check_dimensions(width, height)?;
        if planes.len() != format.planes() {
            return Err(FrameError::Planes {
                format,
                have: planes.len(),
                need: format.planes(),
            });
        }
        for (index, plane) in planes.iter().enumerate() {
            let (row, rows) = format.plane_size(index, width, height);
            if plane.stride < row {
                return Err(FrameError::Stride {
                    plane: index,
                    stride: plane.stride,
                    row,
                });
            }
            // The last row may end where its pixels end.
            let need = plane.stride.saturating_mul(rows - 1).saturating_add(row);
            if plane.data.len() < need {
                return Err(FrameError::TooShort {
                    plane: index,
                    have: plane.data.len(),
                    need,
                });
            }
        }
        let mut planes = planes.into_iter();
        let mut next = || planes.next().unwrap_or_else(|| Plane::new(Bytes::new(), 0));
        Ok(VideoFrame {
            format,
            width,
            height,
            planes: [next(), next(), next()],
            timestamp,
            rotation: Rotation::None,
        })
    }

    /// An I420 picture whose planes follow each other without gaps in `data`.
    pub fn from_i420(
        width: u32,
        height: u32,
        data: impl Into<Bytes>,
        timestamp: Duration,
    ) -> Result<Self, FrameError> {
        check_dimensions(width, height)?;
        let data: Bytes = data.into();
        let (chroma_row, chroma_rows) = PixelFormat::I420.plane_size(1, width, height);
        let luma = width as usize * height as usize;
        let chroma = chroma_row * chroma_rows;
        if data.len() < luma + 2 * chroma {
            return Err(FrameError::TooShort {
                plane: 0,
                have: data.len(),
                need: luma + 2 * chroma,
            });
        }
        VideoFrame::new(
            PixelFormat::I420,
            width,
            height,
            vec![
                Plane::new(data.slice(..luma), width as usize),
                Plane::new(data.slice(luma..luma + chroma), chroma_row),
                Plane::new(data.slice(luma + chroma..luma + 2 * chroma), chroma_row),
            ],
            timestamp,
        )
    }

    /// A black picture.
    pub fn black(width: u32, height: u32, timestamp: Duration) -> Result<Self, FrameError> {
        Ok(I420Buffer::new(width, height)?.freeze(timestamp))
    }

    /// How the pixels lie.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels in a row, before rotation.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, before rotation.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The planes: Y, U, V of an I420 picture, Y and UV of an NV12 one.
    pub fn planes(&self) -> &[Plane] {
        &self.planes[..self.format.planes()]
    }

    /// The luma plane.
    pub fn y(&self) -> &Plane {
        &self.planes[0]
    }

    /// The rows of plane `index`, exactly as long as the pixels are; none for a plane that does not exist.
    pub fn rows(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let exists = index < self.format.planes();
        let (row, rows) = self.format.plane_size(index, self.width, self.height);
        self.planes[index.min(2)]
            .rows(row)
            .take(if exists { rows } else { 0 })
    }

    /// Time since the source started.
    pub fn timestamp(&self) -> Duration {
        self.timestamp
    }

    /// How far to turn it before showing it.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The same picture at another time.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: Duration) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// The same picture, to be turned otherwise.
    #[must_use]
    pub fn with_rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// The mean of the luma samples: 16 is black, 235 is white.
    pub fn mean_luma(&self) -> f64 {
        let sum: u64 = self
            .rows(0)
            .map(|row| row.iter().map(|&y| u64::from(y)).sum::<u64>())
            .sum();
        sum as f64 / (f64::from(self.width) * f64::from(self.height))
    }
}

fn check_dimensions(width: u32, height: u32) -> Result<(), FrameError> {
    if (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) {
        Ok(())
    } else {
        Err(FrameError::Dimensions { width, height })
    }
}

/// A picture being made: I420 planes without gaps, writable until [`freeze`](Self::freeze).
#[derive(Clone, Debug)]
pub struct I420Buffer {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl I420Buffer {
    /// A black picture to draw on.
    pub fn new(width: u32, height: u32) -> Result<Self, FrameError> {
        check_dimensions(width, height)?;
        let (chroma_row, chroma_rows) = PixelFormat::I420.plane_size(1, width, height);
        let luma = width as usize * height as usize;
        let mut data = vec![16; luma];
        data.resize(luma + 2 * chroma_row * chroma_rows, 128);
        Ok(I420Buffer {
            width,
            height,
            data,
        })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes in a row of each chroma plane.
    pub fn chroma_width(&self) -> usize {
        (self.width as usize).div_ceil(2)
    }

    /// Rows of each chroma plane.
    pub fn chroma_height(&self) -> usize {
        (self.height as usize).div_ceil(2)
    }

    /// The Y, U and V planes. Their strides are the width and twice the chroma width.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let chroma = self.chroma_width() * self.chroma_height();
        let (y, uv) = self
            .data
            .split_at_mut(self.width as usize * self.height as usize);
        let (u, v) = uv.split_at_mut(chroma);
        [y, u, v]
    }

    /// The finished picture; nothing is copied.
    pub fn freeze(self, timestamp: Duration) -> VideoFrame {
        let chroma_row = self.chroma_width();
        let chroma = chroma_row * self.chroma_height();
        let luma = self.width as usize * self.height as usize;
        let data = Bytes::from(self.data);
        VideoFrame {
            format: PixelFormat::I420,
            width: self.width,
            height: self.height,
            planes: [
                Plane::new(data.slice(..luma), self.width as usize),
                Plane::new(data.slice(luma..luma + chroma), chroma_row),
                Plane::new(data.slice(luma + chroma..), chroma_row),
            ],
            timestamp,
            rotation: Rotation::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_planes_that_contradict_the_size() {
        let plane = |len, stride| Plane::new(vec![0; len], stride);
        let new = |planes| VideoFrame::new(PixelFormat::I420, 4, 4, planes, Duration::ZERO);
        assert!(new(vec![plane(16, 4), plane(4, 2), plane(4, 2)]).is_ok());
        assert!(matches!(
            new(vec![plane(15, 4), plane(4, 2), plane(4, 2)]),
            Err(FrameError::TooShort { plane: 0, .. })
        ));
        assert!(matches!(
            new(vec![plane(16, 4), plane(4, 1), plane(4, 2)]),
            Err(FrameError::Stride { plane: 1, .. })
        ));
        assert!(matches!(
            new(vec![plane(16, 4)]),
            Err(FrameError::Planes { have: 1, .. })
        ));
        assert!(VideoFrame::black(0, 4, Duration::ZERO).is_err());
        assert!(VideoFrame::black(4, 100_000, Duration::ZERO).is_err());
    }

    #[test]
    fn odd_sizes_round_the_chroma_planes_up() {
        let frame = VideoFrame::black(5, 3, Duration::ZERO).unwrap();
        assert_eq!(frame.rows(0).count(), 3);
        assert_eq!(frame.rows(1).map(<[u8]>::len).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(frame.rows(3).count(), 0);
        assert_eq!(frame.mean_luma(), 16.0);
    }

    #[test]
    fn a_clone_shares_its_planes() {
        let frame = VideoFrame::black(64, 64, Duration::ZERO).unwrap();
        let clone = frame.clone().with_timestamp(Duration::from_secs(1));
        assert_eq!(frame.y().data().as_ptr(), clone.y().data().as_ptr());
    }
}
