//! Between the layouts that cameras, codecs and screens want: I420, NV12, YUYV, JPEG and RGBA, and other sizes.

use crate::frame::{FrameError, I420Buffer, PixelFormat, VideoFrame};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use std::time::Duration;
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What a [`PixelFormat`] says of its colours.
const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;

/// A camera picture compresses to more than this part of its pixels: one that claims more is not worth decoding.
const MAX_JPEG_PIXELS: usize = 64 << 20;

impl VideoFrame {
    /// The picture in I420, which codecs take. Costs nothing when it is already.
    pub fn to_i420(&self) -> VideoFrame {
        if self.format() == PixelFormat::I420 {
            return self.clone();
        }
        let Ok(mut buffer) = I420Buffer::new(self.width(), self.height()) else {
            // A picture that exists has a size that a buffer can have.
            return self.clone();
        };
        let width = self.width() as usize;
        let chroma = buffer.chroma_width();
        let [y, u, v] = buffer.planes_mut();
        for (to, from) in y.chunks_exact_mut(width).zip(self.rows(0)) {
            to.copy_from_slice(from);
        }
        let chroma_rows = u.chunks_exact_mut(chroma).zip(v.chunks_exact_mut(chroma));
        for ((u, v), uv) in chroma_rows.zip(self.rows(1)) {
            for ((u, v), pair) in u.iter_mut().zip(v).zip(uv.chunks_exact(2)) {
                (*u, *v) = (pair[0], pair[1]);
            }
        }
        buffer
            .freeze(self.timestamp())
            .with_rotation(self.rotation())
    }

    /// The pixels as red, green, blue and an opaque alpha, a byte each, not rotated.
    pub fn to_rgba(&self) -> Vec<u8> {
        let frame = self.to_i420();
        let [y, u, v] = frame.planes() else {
            return Vec::new();
        };
        let (width, height) = (frame.width(), frame.height());
        let mut rgba = vec![255; width as usize * height as usize * 4];
        let image = YuvPlanarImage {
            y_plane: y.data(),
            y_stride: y.stride() as u32,
            u_plane: u.data(),
            u_stride: u.stride() as u32,
            v_plane: v.data(),
            v_stride: v.stride() as u32,
            width,
            height,
        };
        let converted = yuv::yuv420_to_rgba(&image, &mut rgba, width * 4, RANGE, MATRIX);
        debug_assert!(converted.is_ok(), "a checked frame converts: {converted:?}");
        rgba
    }

    /// An I420 picture of `rgba`: red, green, blue and an ignored alpha, a byte each, without gaps.
    pub fn from_rgba(
        width: u32,
        height: u32,
        rgba: &[u8],
        timestamp: Duration,
    ) -> Result<VideoFrame, FrameError> {
        let mut buffer = I420Buffer::new(width, height)?;
        let need = width as usize * height as usize * 4;
        let Some(rgba) = rgba.get(..need) else {
            return Err(FrameError::TooShort {
                plane: 0,
                have: rgba.len(),
                need,
            });
        };
        yuv::rgba_to_yuv420(
            &mut planar(&mut buffer),
            rgba,
            width * 4,
            RANGE,
            MATRIX,
            YuvConversionMode::Balanced,
        )
        .map_err(|error| FrameError::Undecodable(error.to_string()))?;
        Ok(buffer.freeze(timestamp))
    }

    /// An I420 picture of packed Y₀UY₁V, as many webcams give it, whose rows begin `stride` bytes apart.
    pub fn from_yuyv(
        width: u32,
        height: u32,
        data: &[u8],
        stride: usize,
        timestamp: Duration,
    ) -> Result<VideoFrame, FrameError> {
        let mut buffer = I420Buffer::new(width, height)?;
        let row = (width as usize).div_ceil(2) * 4;
        if stride < row {
            return Err(FrameError::Stride {
                plane: 0,
                stride,
                row,
            });
        }
        let need = stride.saturating_mul(height as usize - 1) + row;
        if data.len() < need {
            return Err(FrameError::TooShort {
                plane: 0,
                have: data.len(),
                need,
            });
        }
        let image = YuvPackedImage {
            yuy: data,
            yuy_stride: stride as u32,
            width,
            height,
        };
        yuv::yuyv422_to_yuv420(&mut planar(&mut buffer), &image)
            .map_err(|error| FrameError::Undecodable(error.to_string()))?;
        Ok(buffer.freeze(timestamp))
    }

    /// An I420 picture of a JPEG, as webcams give it at sizes too large for the bus.
    pub fn from_jpeg(data: &[u8], timestamp: Duration) -> Result<VideoFrame, FrameError> {
        let undecodable =
            |problem: &dyn std::fmt::Debug| FrameError::Undecodable(format!("{problem:?}"));
        let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGBA);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
        decoder.decode_headers().map_err(|e| undecodable(&e))?;
        let Some(info) = decoder.info() else {
            return Err(FrameError::Undecodable("it has no header".into()));
        };
        let (width, height) = (u32::from(info.width), u32::from(info.height));
        if width as usize * height as usize > MAX_JPEG_PIXELS {
            return Err(FrameError::Dimensions { width, height });
        }
        let rgba = decoder.decode().map_err(|e| undecodable(&e))?;
        VideoFrame::from_rgba(width, height, &rgba, timestamp)
    }

    /// The picture in I420 at another size, stretched if the proportions differ.
    pub fn scaled(&self, width: u32, height: u32) -> Result<VideoFrame, FrameError> {
        let from = self.to_i420();
        if (from.width(), from.height()) == (width, height) {
            return Ok(from);
        }
        let mut buffer = I420Buffer::new(width, height)?;
        let luma = (width, height);
        let chroma = (buffer.chroma_width() as u32, buffer.chroma_height() as u32);
        let from_luma = (from.width(), from.height());
        let from_chroma = (from.width().div_ceil(2), from.height().div_ceil(2));
        let mut resizer = Resizer::new();
        let [y, u, v] = buffer.planes_mut();
        let planes = [
            (y, luma, from_luma),
            (u, chroma, from_chroma),
            (v, chroma, from_chroma),
        ];
        for (index, (to, to_size, from_size)) in planes.into_iter().enumerate() {
            scale_plane(&mut resizer, &from, index, from_size, to, to_size)?;
        }
        Ok(buffer
            .freeze(from.timestamp())
            .with_rotation(from.rotation()))
    }

    /// The part of the picture that begins at (`x`, `y`), both even, in I420. Nothing is copied.
    pub fn cropped(
        &self,
        x: u32,
        y: u32,
        width: u32,
        height: u32,
    ) -> Result<VideoFrame, FrameError> {
        let from = self.to_i420();
        let inside = |start: u32, len: u32, whole: u32| {
            start.is_multiple_of(2) && start.checked_add(len).is_some_and(|end| end <= whole)
        };
        if !inside(x, width, from.width()) || !inside(y, height, from.height()) {
            return Err(FrameError::Dimensions { width, height });
        }
        let planes = from.planes().iter().enumerate().map(|(index, plane)| {
            let (x, y) = match index {
                0 => (x as usize, y as usize),
                _ => (x as usize / 2, y as usize / 2),
            };
            plane.skip(y * plane.stride() + x)
        });
        Ok(VideoFrame::new(
            PixelFormat::I420,
            width,
            height,
            planes.collect(),
            from.timestamp(),
        )?
        .with_rotation(from.rotation()))
    }
}

fn planar(buffer: &mut I420Buffer) -> YuvPlanarImageMut<'_, u8> {
    let (width, height) = (buffer.width(), buffer.height());
    let chroma = buffer.chroma_width() as u32;
    let [y, u, v] = buffer.planes_mut();
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: chroma,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: chroma,
        width,
        height,
    }
}

fn scale_plane(
    resizer: &mut Resizer,
    frame: &VideoFrame,
    index: usize,
    (from_width, from_height): (u32, u32),
    to: &mut [u8],
    (to_width, to_height): (u32, u32),
) -> Result<(), FrameError> {
    let failed = |problem: &dyn std::fmt::Display| FrameError::Undecodable(problem.to_string());
    let packed: Vec<u8>;
    let plane = &frame.planes()[index];
    let pixels = if plane.stride() == from_width as usize {
        &plane.data()[..from_width as usize * from_height as usize]
    } else {
        packed = frame.rows(index).flatten().copied().collect();
        &packed
    };
    // Typed: else the code for every kind of pixel is compiled, which takes a minute.
    let from = TypedImageRef::<U8>::from_buffer(from_width, from_height, pixels)
        .map_err(|error| failed(&error))?;
    let mut to =
        TypedImage::<U8>::from_buffer(to_width, to_height, to).map_err(|error| failed(&error))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer
        .resize_typed(&from, &mut to, &options)
        .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Plane, Rotation};

    /// A picture whose left half is red and whose right half is blue.
    fn red_and_blue(width: u32, height: u32) -> Vec<u8> {
        let pixel = |i: u32| {
            if i % width < width / 2 {
                [255, 0, 0, 255]
            } else {
                [0, 0, 255, 255]
            }
        };
        (0..width * height).flat_map(pixel).collect()
    }

    fn assert_red_and_blue(frame: &VideoFrame) {
        let rgba = frame.to_rgba();
        let width = frame.width() as usize;
        let at = |x: usize| &rgba[(frame.height() as usize / 2 * width + x) * 4..][..4];
        let (left, right) = (at(width / 8), at(width - 1 - width / 8));
        assert!(left[0] > 240 && left[1] < 16 && left[2] < 16, "{left:?}");
        assert!(
            right[0] < 16 && right[1] < 16 && right[2] > 240,
            "{right:?}"
        );
    }

    fn frame() -> VideoFrame {
        VideoFrame::from_rgba(64, 32, &red_and_blue(64, 32), Duration::from_secs(7)).unwrap()
    }

    #[test]
    fn rgba_survives_the_way_through_i420() {
        assert_red_and_blue(&frame());
        assert_eq!(frame().timestamp(), Duration::from_secs(7));
        assert!(VideoFrame::from_rgba(64, 32, &[0; 100], Duration::ZERO).is_err());
    }

    #[test]
    fn scaling_keeps_the_picture_and_its_rotation() {
        let turned = frame().with_rotation(Rotation::Half);
        for (width, height) in [(32, 16), (131, 77), (1, 1), (640, 480)] {
            let scaled = turned.scaled(width, height).unwrap();
            assert_eq!((scaled.width(), scaled.height()), (width, height));
            assert_eq!(scaled.rotation(), Rotation::Half);
            if width > 8 {
                assert_red_and_blue(&scaled);
            }
        }
        assert!(frame().scaled(0, 5).is_err());
    }

    #[test]
    fn a_crop_shares_the_pixels_and_scales_like_any_other() {
        let middle = frame().cropped(16, 8, 32, 16).unwrap();
        assert_red_and_blue(&middle);
        assert_red_and_blue(&middle.scaled(80, 40).unwrap());
        assert!(frame().cropped(1, 0, 2, 2).is_err());
        assert!(frame().cropped(0, 30, 2, 4).is_err());
        assert!(frame().cropped(u32::MAX - 1, 0, 2, 2).is_err());
    }

    #[test]
    fn nv12_becomes_i420() {
        let from = frame();
        let uv: Vec<u8> = from
            .rows(1)
            .zip(from.rows(2))
            .flat_map(|(u, v)| u.iter().zip(v).flat_map(|(&u, &v)| [u, v]))
            .collect();
        let planes = vec![from.y().clone(), Plane::new(uv, 64)];
        let nv12 = VideoFrame::new(PixelFormat::Nv12, 64, 32, planes, from.timestamp()).unwrap();
        assert_eq!(nv12.to_i420(), from);
        assert_red_and_blue(&nv12);
    }

    #[test]
    fn yuyv_becomes_i420() {
        let from = frame();
        let rows = |index| from.rows(index).collect::<Vec<_>>();
        let (y, u, v) = (rows(0), rows(1), rows(2));
        let mut packed = Vec::new();
        for row in 0..32 {
            for x in 0..32 {
                packed.extend([
                    y[row][2 * x],
                    u[row / 2][x],
                    y[row][2 * x + 1],
                    v[row / 2][x],
                ]);
            }
            packed.extend([0; 8]);
        }
        let frame = VideoFrame::from_yuyv(64, 32, &packed, 136, Duration::ZERO).unwrap();
        assert_red_and_blue(&frame);
        assert!(VideoFrame::from_yuyv(64, 32, &packed[..4000], 136, Duration::ZERO).is_err());
        assert!(VideoFrame::from_yuyv(64, 32, &packed, 100, Duration::ZERO).is_err());
    }

    #[test]
    fn a_damaged_jpeg_is_an_error() {
        for data in [
            &b""[..],
            b"\xff\xd8\xff",
            b"not a picture at all",
            &[0xff; 64],
        ] {
            assert!(matches!(
                VideoFrame::from_jpeg(data, Duration::ZERO),
                Err(FrameError::Undecodable(_))
            ));
        }
    }
}
