//! VP8 there and back.
#![cfg(feature = "vp8")]

use media::{Bitrate, EncodedFrame, I420Buffer, Plane, VideoFrame};
use pc_codecs::vp8::{
    Decoder, DecoderConfig, Encoder, EncoderConfig, keyframe_header, quantizer_index,
};
use pc_codecs::{DecodeError, EncodeError, VideoDecoder, VideoEncoder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// A grey gradient with a white square that moves.
fn picture(width: u32, height: u32, number: u32) -> VideoFrame {
    let mut buffer = I420Buffer::new(width, height).unwrap();
    let square = number * 4 % (width - 16);
    let pixels = buffer.planes_mut()[0].iter_mut();
    for (i, pixel) in pixels.enumerate() {
        let (x, y) = (i as u32 % width, i as u32 / width);
        let inside = (square..square + 16).contains(&x) && (8..24).contains(&y);
        *pixel = if inside {
            235
        } else {
            (40 + x * 120 / width) as u8
        };
    }
    buffer.freeze(Duration::from_millis(u64::from(number) * 1000 / 30))
}

/// Peak signal-to-noise ratio of the luma, in dB.
fn psnr(a: &VideoFrame, b: &VideoFrame) -> f64 {
    let pairs = a.rows(0).flatten().zip(b.rows(0).flatten());
    let sum: f64 = pairs
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
        .sum();
    let mean = sum / (f64::from(a.width()) * f64::from(a.height()));
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

fn encoder(kbps: u64) -> Encoder {
    Encoder::new(EncoderConfig {
        bitrate: Bitrate::from_kbps(kbps),
        ..Default::default()
    })
    .unwrap()
}

fn decoder() -> Decoder {
    Decoder::new(DecoderConfig::default()).unwrap()
}

fn encode(encoder: &mut Encoder, frame: &VideoFrame) -> EncodedFrame {
    encoder
        .encode(frame)
        .unwrap()
        .expect("nothing is left out at this bitrate")
}

#[test]
fn pictures_survive() {
    let (mut encoder, mut decoder) = (encoder(1_000), decoder());
    for number in 0..30 {
        let from = picture(320, 240, number);
        let encoded = encode(&mut encoder, &from);
        assert_eq!(encoded.keyframe, number == 0);
        assert_eq!(encoded.timestamp, from.timestamp());
        let to = decoder
            .decode(&encoded.data, encoded.timestamp)
            .unwrap()
            .unwrap();
        assert_eq!(to.timestamp(), from.timestamp());
        assert!(
            psnr(&from, &to) > 33.0,
            "picture {number}: {} dB",
            psnr(&from, &to)
        );
    }
}

#[test]
fn odd_sizes_and_strides_survive() {
    for (width, height) in [(17, 33), (175, 143), (1, 1), (18, 2)] {
        let mut frame = VideoFrame::black(width, height, Duration::ZERO).unwrap();
        if width > 16 && height > 24 {
            frame = picture(width, height, 0);
        }
        // The same planes with room between their rows, and none after the last.
        let spread = |index: usize| {
            let mut rows: Vec<u8> = Vec::new();
            let mut row_len = 0;
            for row in frame.rows(index) {
                rows.extend(row);
                rows.extend([77; 5]);
                row_len = row.len();
            }
            rows.truncate(rows.len() - 5);
            Plane::new(rows, row_len + 5)
        };
        let spread = VideoFrame::new(
            frame.format(),
            width,
            height,
            vec![spread(0), spread(1), spread(2)],
            Duration::ZERO,
        )
        .unwrap();
        let encoded = encode(&mut encoder(500), &spread);
        let decoded = decoder()
            .decode(&encoded.data, Duration::ZERO)
            .unwrap()
            .unwrap();
        assert_eq!((decoded.width(), decoded.height()), (width, height));
        assert!(
            psnr(&frame, &decoded) > 30.0,
            "{width}×{height}: {}",
            psnr(&frame, &decoded)
        );
    }
}

#[test]
fn a_keyframe_comes_when_asked_for_and_only_then() {
    let mut encoder = encoder(1_000);
    let keyframes: Vec<u32> = (0..40)
        .filter(|&number| {
            if number == 20 {
                encoder.force_keyframe();
            }
            let encoded = encode(&mut encoder, &picture(320, 240, number));
            assert_eq!(encoded.keyframe, keyframe_header(&encoded.data).is_some());
            encoded.keyframe
        })
        .collect();
    assert_eq!(keyframes, [0, 20]);
}

/// Bits a second over `numbers`, of noise that compresses badly.
fn rate(encoder: &mut Encoder, numbers: std::ops::Range<u32>) -> f64 {
    let mut random = StdRng::seed_from_u64(7);
    let seconds = f64::from(numbers.end - numbers.start) / 30.0;
    let mut bytes = 0;
    for number in numbers {
        let mut buffer = I420Buffer::new(320, 240).unwrap();
        for pixel in buffer.planes_mut()[0].chunks_mut(8) {
            pixel.fill(random.random_range(16..235));
        }
        let frame = buffer.freeze(Duration::from_millis(u64::from(number) * 1000 / 30));
        if let Some(encoded) = encoder.encode(&frame).unwrap() {
            bytes += encoded.data.len();
        }
    }
    bytes as f64 * 8.0 / seconds
}

#[test]
fn the_bitrate_follows_what_is_set() {
    let mut encoder = encoder(400);
    rate(&mut encoder, 0..60);
    let first = rate(&mut encoder, 60..150);
    assert!((300e3..520e3).contains(&first), "{first} bit/s of 400,000");
    encoder.set_bitrate(Bitrate::from_kbps(1_600));
    rate(&mut encoder, 150..180);
    let second = rate(&mut encoder, 180..270);
    assert!(
        (1_200e3..2_000e3).contains(&second),
        "{second} bit/s of 1,600,000"
    );
}

#[test]
fn the_size_may_change_in_midstream() {
    let (mut encoder, mut decoder) = (encoder(1_000), decoder());
    for (number, (width, height)) in [(320, 240), (640, 480), (160, 120), (160, 120)]
        .into_iter()
        .enumerate()
    {
        let from = picture(width, height, number as u32);
        let encoded = encode(&mut encoder, &from);
        assert_eq!(encoded.keyframe, number < 3);
        let to = decoder
            .decode(&encoded.data, encoded.timestamp)
            .unwrap()
            .unwrap();
        assert_eq!((to.width(), to.height()), (width, height));
        assert!(psnr(&from, &to) > 30.0);
    }
}

#[test]
fn timestamps_that_stand_still_or_go_back_do_no_harm() {
    let mut encoder = encoder(1_000);
    for millis in [5, 5, 3, 0, 1_000_000, u64::MAX / 2] {
        let frame = picture(64, 64, 0).with_timestamp(Duration::from_millis(millis));
        encoder.encode(&frame).unwrap();
    }
}

#[test]
fn impossible_settings_and_sizes_are_refused() {
    let config = |change: fn(&mut EncoderConfig)| {
        let mut config = EncoderConfig::default();
        change(&mut config);
        Encoder::new(config)
    };
    assert!(config(|c| c.speed = 17).is_err());
    assert!(config(|c| c.quantizer = (20, 10)).is_err());
    assert!(config(|c| c.frame_rate = f64::NAN).is_err());
    assert!(config(|c| c.threads = 1_000).is_err());
    let wide = VideoFrame::black(16_384, 2, Duration::ZERO).unwrap();
    assert!(matches!(
        encoder(100).encode(&wide),
        Err(EncodeError::Unsupported(_))
    ));
    assert!(
        Decoder::new(DecoderConfig {
            threads: 0,
            ..Default::default()
        })
        .is_err()
    );
}

#[test]
fn the_decoder_recovers_from_damage_at_the_next_keyframe() {
    let (mut encoder, mut decoder) = (encoder(1_000), decoder());
    let first = encode(&mut encoder, &picture(320, 240, 0));
    assert!(
        decoder
            .decode(&first.data, first.timestamp)
            .unwrap()
            .is_some()
    );
    let cut = encode(&mut encoder, &picture(320, 240, 1));
    let broken = decoder.decode(&cut.data[..cut.data.len() / 3], cut.timestamp);
    assert!(matches!(broken, Err(DecodeError::Damaged(_))), "{broken:?}");
    assert!(decoder.needs_keyframe());
    let inter = encode(&mut encoder, &picture(320, 240, 2));
    assert_eq!(decoder.decode(&inter.data, inter.timestamp), Ok(None));
    encoder.force_keyframe();
    let key = encode(&mut encoder, &picture(320, 240, 3));
    let shown = decoder.decode(&key.data, key.timestamp).unwrap().unwrap();
    assert!(psnr(&shown, &picture(320, 240, 3)) > 30.0);
}

#[test]
fn garbage_never_panics_and_never_ends_the_decoder() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut encoder, mut decoder) = (encoder(500), decoder());
    let frames: Vec<EncodedFrame> = (0..20)
        .map(|n| encode(&mut encoder, &picture(160, 120, n)))
        .collect();
    for round in 0..400 {
        let mut data = frames[round % frames.len()].data.to_vec();
        match round % 4 {
            0 => data.truncate(random.random_range(0..data.len())),
            1 => {
                for _ in 0..random.random_range(1..20) {
                    let at = random.random_range(0..data.len());
                    data[at] = random.random();
                }
            }
            2 => {
                data = (0..random.random_range(0..300))
                    .map(|_| random.random())
                    .collect()
            }
            _ => data.extend((0..50).map(|_| random.random::<u8>())),
        }
        // Any answer is right, as long as there is one.
        let _ = decoder.decode(&data, Duration::ZERO);
    }
    let shown = decoder
        .decode(&frames[0].data, Duration::ZERO)
        .unwrap()
        .unwrap();
    assert!(psnr(&shown, &picture(160, 120, 0)) > 30.0);
}

#[test]
fn the_quantizer_is_read_from_every_frame() {
    // libvpx maps its scale of 64 steps to the 128 of the format; the ends are the ends.
    let mut last = None;
    for (step, index) in [(0, Some(0)), (20, None), (40, None), (63, Some(127))] {
        for error_resilient in [false, true] {
            let mut encoder = Encoder::new(EncoderConfig {
                quantizer: (step, step),
                drop_frames: false,
                error_resilient,
                ..Default::default()
            })
            .unwrap();
            let mut of_frame =
                |number| quantizer_index(&encode(&mut encoder, &picture(320, 240, number)).data);
            let first = of_frame(0).expect("a keyframe has one");
            assert!(index.is_none_or(|index| index == first), "{step}: {first}");
            for number in 1..20 {
                assert_eq!(of_frame(number), Some(first), "{step}, frame {number}");
            }
            assert!(last.is_none_or(|last| last <= first));
            last = Some(first);
        }
    }
    assert_eq!(quantizer_index(&[]), None);
    assert_eq!(quantizer_index(&[1, 0, 0, 0]), None);
    assert_eq!(quantizer_index(&[0; 40]), None);
    // All ones and all zeros are read to their end and no further.
    for byte in [0_u8, 0xff] {
        assert!(quantizer_index(&[1, 0, 0, byte, byte]).is_some());
    }
}
