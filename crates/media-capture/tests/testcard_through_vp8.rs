//! The test card's counter, after what a call does to it.

use codecs::vp8::{Decoder, DecoderConfig, Encoder, EncoderConfig};
use codecs::{VideoDecoder, VideoEncoder};
use media::Bitrate;
use pc_media_capture::testcard::{self, TestCard};
use std::time::Duration;

/// Of 300 pictures at 30 a second: how many the encoder sent, and the counters read from them, at the size of the
/// picture and at half of it.
fn counters(kbps: u64, width: u32, height: u32) -> (usize, Vec<u32>, Vec<u32>) {
    let mut encoder = Encoder::new(EncoderConfig {
        bitrate: Bitrate::from_kbps(kbps),
        ..Default::default()
    })
    .unwrap();
    let mut decoder = Decoder::new(DecoderConfig::default()).unwrap();
    let card = TestCard::new(width, height).unwrap();
    let (mut sent, mut read, mut read_small) = (0, Vec::new(), Vec::new());
    for number in 0..300_u32 {
        let time = Duration::from_millis(u64::from(number) * 1_000 / 30);
        let Some(frame) = encoder
            .encode(&card.draw(1_000_000 + number, time))
            .unwrap()
        else {
            continue;
        };
        let picture = decoder.decode(&frame.data, time).unwrap().unwrap();
        sent += 1;
        if let Some(counter) = testcard::read_counter(&picture) {
            assert_eq!(counter, 1_000_000 + number);
            read.push(counter);
        }
        let small = picture.scaled(width / 2, height / 2).unwrap();
        read_small.extend(testcard::read_counter(&small));
    }
    (sent, read, read_small)
}

#[test]
fn the_counter_survives_a_poor_connection() {
    let (sent, read, small) = counters(100, 640, 480);
    assert!(sent > 60, "{sent} pictures of 300");
    assert!(read.len() * 10 >= sent * 9, "{} of {sent}", read.len());
    assert!(
        small.len() * 10 >= sent * 9,
        "{} of {sent} scaled",
        small.len()
    );
}

#[test]
fn every_counter_survives_a_good_connection() {
    let (sent, read, _) = counters(1_000, 640, 480);
    assert!(sent >= 290, "{sent} pictures of 300");
    assert_eq!(read.len(), sent);
}
