//! A photo of a frame, as PNG.

use media::{Rotation, VideoFrame};

/// A photo that was not made.
#[derive(Debug, thiserror::Error)]
#[error("the picture does not become a PNG")]
pub struct PhotoError(#[from] png::EncodingError);

/// The picture, upright, as a PNG file.
///
/// ```
/// let picture = media::VideoFrame::black(64, 48, std::time::Duration::ZERO)?;
/// let file = pc_codecs::photo::png(&picture)?;
/// assert!(file.starts_with(b"\x89PNG\r\n\x1a\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn png(frame: &VideoFrame) -> Result<Vec<u8>, PhotoError> {
    let pixels = upright(frame);
    let (width, height) = match frame.rotation() {
        Rotation::None | Rotation::Half => (frame.width(), frame.height()),
        Rotation::Clockwise90 | Rotation::Clockwise270 => (frame.height(), frame.width()),
    };
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The pixels as red, green and blue, turned as the frame wants to be.
fn upright(frame: &VideoFrame) -> Vec<u8> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let rgba = frame.to_rgba();
    let pixel = |x: usize, y: usize| {
        let at = (y * width + x) * 4;
        rgba[at..at + 3].iter().copied()
    };
    let mut out = Vec::with_capacity(width * height * 3);
    match frame.rotation() {
        Rotation::None => out.extend(rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]])),
        Rotation::Half => out.extend(rgba.chunks_exact(4).rev().flat_map(|p| [p[0], p[1], p[2]])),
        Rotation::Clockwise90 => {
            for x in 0..width {
                (0..height).rev().for_each(|y| out.extend(pixel(x, y)));
            }
        }
        Rotation::Clockwise270 => {
            for x in (0..width).rev() {
                (0..height).for_each(|y| out.extend(pixel(x, y)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 16×8: red, but for a blue left half of the top half.
    fn picture() -> VideoFrame {
        let pixel = |i: usize| match (i % 16 < 8, i / 16 < 4) {
            (true, true) => [0, 0, 255, 255],
            _ => [255, 0, 0, 255],
        };
        let rgba: Vec<u8> = (0..128).flat_map(pixel).collect();
        VideoFrame::from_rgba(16, 8, &rgba, Duration::ZERO).unwrap()
    }

    /// Decodes the photo and says in which corner the blue is: (left, top), and its size.
    fn look(frame: &VideoFrame) -> ((bool, bool), (u32, u32)) {
        let file = png(frame).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (info.width as usize, info.height as usize);
        let blue = |x: usize, y: usize| pixels[(y * width + x) * 3 + 2] > 128;
        let corners = [(true, true), (false, true), (true, false), (false, false)];
        let found: Vec<_> = corners
            .into_iter()
            .filter(|&(left, top)| {
                blue(
                    if left { 1 } else { width - 2 },
                    if top { 1 } else { height - 2 },
                )
            })
            .collect();
        assert_eq!(found.len(), 1);
        (found[0], (info.width, info.height))
    }

    #[test]
    fn a_photo_shows_the_picture_upright() {
        let upright = [
            (Rotation::None, (true, true), (16, 8)),
            (Rotation::Clockwise90, (false, true), (8, 16)),
            (Rotation::Half, (false, false), (16, 8)),
            (Rotation::Clockwise270, (true, false), (8, 16)),
        ];
        for (rotation, corner, size) in upright {
            assert_eq!(
                look(&picture().with_rotation(rotation)),
                (corner, size),
                "{rotation:?}"
            );
        }
    }
}
