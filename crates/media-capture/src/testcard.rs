//! The test card of the synthetic camera, with a frame counter that a machine can read back.
//!
//! It can be read after VP8 at 100 kbit/s, after scaling, and from the pixels of a browser's canvas, because it is
//! coarse: everything is relative to the size of the picture (W × H), and nothing but black or white counts.
//!
//! # Layout
//!
//! The top quarter of the picture is a grid of 4 rows and 10 columns of black and white blocks. Block *i* (0 to 39, in
//! reading order) covers `x` from `(i mod 10) · W/10` to the next multiple of `W/10`, and `y` from `⌊i/10⌋ · H/16` to
//! the next multiple of `H/16`; its centre is read.
//!
//! - A white block is 1, a black one 0, told apart at half of full luma.
//! - Blocks 0 to 31: the frame counter, its highest bit first. It grows by one with each picture.
//! - Blocks 32 to 39: a CRC-8 (polynomial 0x07, initial value 0xFF, not reflected, no final XOR) of the counter's four
//!   bytes, the highest first. Neither an all-black nor an all-white picture is valid.
//!
//! Below are colour bars and a block that moves.
//!
//! In a browser, with `px` the RGBA bytes of a canvas of `w` × `h` pixels onto which the video was drawn:
//!
//! ```js
//! const bit = i => {
//!   const x = Math.floor((i % 10 + 0.5) * w / 10), y = Math.floor((Math.floor(i / 10) + 0.5) * h / 16);
//!   const o = 4 * (y * w + x);
//!   return px[o] + px[o + 1] + px[o + 2] > 384 ? 1 : 0;
//! };
//! const byte = n => { let b = 0; for (let i = 0; i < 8; i++) b = b << 1 | bit(8 * n + i); return b; };
//! let crc = 0xff, counter = 0;
//! for (let n = 0; n < 4; n++) {
//!   counter = counter * 256 + byte(n);
//!   crc ^= byte(n);
//!   for (let i = 0; i < 8; i++) crc = (crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1) & 0xff;
//! }
//! const valid = crc === byte(4);
//! ```

use media::{FrameError, I420Buffer, PixelFormat, Plane, VideoFrame};
use std::time::Duration;

const COLUMNS: usize = 10;
const ROWS: usize = 4;
/// The grid's rows are this part of the height.
const ROWS_IN_HEIGHT: usize = 16;

const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// Halfway between black and white.
const HALF: u32 = (WHITE as u32 + BLACK as u32) / 2;

/// Y, U and V of grey, yellow, cyan, green, magenta, red, blue and dark grey, at three quarters of full strength (BT.601).
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    [60, 128, 128],
];

/// A test card of one size: what does not change from picture to picture is drawn once.
#[derive(Clone, Debug)]
pub struct TestCard {
    background: I420Buffer,
}

impl TestCard {
    /// The least width and height at which the counter can be read.
    pub const MIN_SIZE: (u32, u32) = (80, 64);

    /// A card of this size.
    pub fn new(width: u32, height: u32) -> Result<Self, FrameError> {
        let mut background = I420Buffer::new(width, height)?;
        let width = width as usize;
        let chroma = background.chroma_width();
        let top = (height as usize / 4).next_multiple_of(2);
        let bar = |x: usize, width: usize| BARS[x * BARS.len() / width];
        let [y, u, v] = background.planes_mut();
        for row in y.chunks_exact_mut(width).skip(top) {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = bar(x, width)[0];
            }
        }
        let rows = u.chunks_exact_mut(chroma).zip(v.chunks_exact_mut(chroma));
        for (u, v) in rows.skip(top / 2) {
            for (x, (u, v)) in u.iter_mut().zip(v).enumerate() {
                [_, *u, *v] = bar(x, chroma);
            }
        }
        Ok(TestCard { background })
    }

    /// Its width and height.
    pub fn size(&self) -> (u32, u32) {
        (self.background.width(), self.background.height())
    }

    /// The card with this counter.
    pub fn draw(&self, counter: u32, timestamp: Duration) -> VideoFrame {
        let mut picture = self.background.clone();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let [y, ..] = picture.planes_mut();
        for (index, white) in bits(counter).into_iter().enumerate() {
            let (column, row) = (index % COLUMNS, index / COLUMNS);
            let x = column * width / COLUMNS..(column + 1) * width / COLUMNS;
            let rows = row * height / ROWS_IN_HEIGHT..(row + 1) * height / ROWS_IN_HEIGHT;
            fill(y, width, x, rows, if white { WHITE } else { BLACK });
        }
        // A block that crosses the picture in 80 pictures.
        let side = (width / 8).min(height / 4).max(1);
        let x = counter as usize % 80 * (width - side) / 80;
        let top = height * 5 / 8 - side / 2;
        fill(y, width, x..x + side, top..top + side, WHITE);
        picture.freeze(timestamp)
    }
}

/// The card of this size with this counter; for more than one, [`TestCard`] does less work.
pub fn draw(
    width: u32,
    height: u32,
    counter: u32,
    timestamp: Duration,
) -> Result<VideoFrame, FrameError> {
    Ok(TestCard::new(width, height)?.draw(counter, timestamp))
}

/// The counter of a picture; `None` when it carries no valid one.
pub fn read_counter(picture: &VideoFrame) -> Option<u32> {
    debug_assert!(matches!(
        picture.format(),
        PixelFormat::I420 | PixelFormat::Nv12
    ));
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let bit = |index: usize| block_is_white(picture.y(), width, height, index);
    let byte = |n: usize| (0..8).fold(0_u8, |byte, i| byte << 1 | u8::from(bit(n * 8 + i)));
    let bytes = [byte(0), byte(1), byte(2), byte(3)];
    (crc8(&bytes) == byte(4)).then(|| u32::from_be_bytes(bytes))
}

/// Whether the middle half of a block is bright on average.
fn block_is_white(luma: &Plane, width: usize, height: usize, index: usize) -> bool {
    let (column, row) = (index % COLUMNS, index / COLUMNS);
    let middle = |n: usize, of: usize, len: usize| {
        let (start, end) = ((4 * n + 1) * len / (4 * of), (4 * n + 3) * len / (4 * of));
        start..end.max(start + 1).min(len)
    };
    let x = middle(column, COLUMNS, width);
    let y = middle(row, ROWS_IN_HEIGHT, height);
    let (mut sum, mut count) = (0, 0);
    for row in luma.rows(width).skip(y.start).take(y.len()) {
        for &pixel in row.get(x.clone()).unwrap_or_default() {
            sum += u32::from(pixel);
            count += 1;
        }
    }
    sum > HALF * count
}

/// The blocks in reading order.
fn bits(counter: u32) -> [bool; COLUMNS * ROWS] {
    let bytes = counter.to_be_bytes();
    let all = u64::from(counter) << 8 | u64::from(crc8(&bytes));
    std::array::from_fn(|i| all >> (COLUMNS * ROWS - 1 - i) & 1 == 1)
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 }
        })
    })
}

fn fill(
    plane: &mut [u8],
    stride: usize,
    x: std::ops::Range<usize>,
    y: std::ops::Range<usize>,
    value: u8,
) {
    for row in plane.chunks_exact_mut(stride).skip(y.start).take(y.len()) {
        if let Some(pixels) = row.get_mut(x.clone()) {
            pixels.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTERS: [u32; 6] = [0, 1, 0x5555_5555, 0xdead_beef, 1 << 31, u32::MAX];

    #[test]
    fn the_counter_reads_back_at_any_size() {
        for (width, height) in [(80, 64), (160, 120), (321, 241), (640, 480), (1280, 720)] {
            let card = TestCard::new(width, height).unwrap();
            for counter in COUNTERS {
                let picture = card.draw(counter, Duration::ZERO);
                assert_eq!(read_counter(&picture), Some(counter), "{width}×{height}");
            }
        }
    }

    #[test]
    fn the_counter_survives_scaling() {
        for counter in COUNTERS {
            let picture = draw(640, 480, counter, Duration::ZERO).unwrap();
            for (width, height) in [(80, 64), (200, 150), (320, 240), (1000, 333), (1920, 1080)] {
                let scaled = picture.scaled(width, height).unwrap();
                assert_eq!(read_counter(&scaled), Some(counter), "{width}×{height}");
            }
        }
    }

    #[test]
    fn blank_pictures_have_no_counter() {
        let mut blank = I420Buffer::new(320, 240).unwrap();
        assert_eq!(read_counter(&blank.clone().freeze(Duration::ZERO)), None);
        blank.planes_mut()[0].fill(WHITE);
        assert_eq!(read_counter(&blank.freeze(Duration::ZERO)), None);
        let tiny = VideoFrame::black(1, 1, Duration::ZERO).unwrap();
        assert_eq!(read_counter(&tiny), None);
    }

    #[test]
    fn a_wrong_block_is_noticed() {
        for block in 0..COLUMNS * ROWS {
            let mut bits = bits(1234);
            bits[block] = !bits[block];
            let number = bits.iter().fold(0_u64, |n, &bit| n << 1 | u64::from(bit));
            let (counter, crc) = ((number >> 8) as u32, number as u8);
            assert_ne!(crc8(&counter.to_be_bytes()), crc);
        }
    }

    #[test]
    fn the_card_has_colours_and_moves() {
        let card = TestCard::new(640, 480).unwrap();
        let rgba = card.draw(1, Duration::ZERO).to_rgba();
        let pixel =
            |x: usize, y: usize| <[u8; 4]>::try_from(&rgba[(y * 640 + x) * 4..][..4]).unwrap();
        let [r, g, b, _] = pixel(120, 150);
        assert!(r > 150 && g > 150 && b < 60, "yellow: {r} {g} {b}");
        let [r, g, b, _] = pixel(440, 470);
        assert!(r > 150 && g < 60 && b < 60, "red: {r} {g} {b}");
        assert_ne!(card.draw(1, Duration::ZERO), card.draw(2, Duration::ZERO));
    }
}
