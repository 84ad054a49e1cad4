//! What the codecs cost: one 640×480 picture, one 20 ms packet.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use media::{AudioFrame, Bitrate, EncodedFrame, I420Buffer, VideoFrame};
use pc_codecs::g711::{self, Law};
use pc_codecs::{AudioDecoder, AudioEncoder, VideoDecoder, VideoEncoder, opus, photo, vp8};
use std::hint::black_box;
use std::time::Duration;

/// A textured picture that drifts, so that there is something to encode.
fn picture(number: u32) -> VideoFrame {
    let (width, height) = (640, 480);
    let mut buffer = I420Buffer::new(width, height).expect("the size is valid");
    for (i, pixel) in buffer.planes_mut()[0].iter_mut().enumerate() {
        let (x, y) = (i as u32 % width + 2 * number, i as u32 / width + number);
        *pixel = 40 + ((x * x / 64 + y * y / 32) % 160) as u8;
    }
    buffer.freeze(Duration::from_millis(u64::from(number) * 1_000 / 30))
}

fn vp8(c: &mut Criterion) {
    let frames: Vec<VideoFrame> = (0..60).map(picture).collect();
    let encoder = || {
        vp8::Encoder::new(vp8::EncoderConfig {
            bitrate: Bitrate::from_kbps(1_000),
            threads: 1,
            drop_frames: false,
            ..Default::default()
        })
        .expect("the settings are valid")
    };
    let mut running = encoder();
    let mut n = 0_u32;
    c.bench_function("vp8/encode/640x480/1 Mbit/s", |b| {
        b.iter(|| {
            n += 1;
            let time = Duration::from_millis(u64::from(n) * 1_000 / 30);
            let frame = frames[n as usize % frames.len()]
                .clone()
                .with_timestamp(time);
            black_box(running.encode(&frame).expect("encodes"))
        });
    });

    let mut source = encoder();
    let encoded: Vec<EncodedFrame> = frames
        .iter()
        .filter_map(|frame| source.encode(frame).expect("encodes"))
        .collect();
    let mut decoder = vp8::Decoder::new(vp8::DecoderConfig::default()).expect("starts");
    let mut n = 0;
    c.bench_function("vp8/decode/640x480/1 Mbit/s", |b| {
        b.iter(|| {
            let frame = &encoded[n % encoded.len()];
            n += 1;
            black_box(
                decoder
                    .decode(&frame.data, frame.timestamp)
                    .expect("decodes"),
            )
        });
    });
    c.bench_function("photo/png/640x480", |b| {
        b.iter(|| photo::png(black_box(&frames[0])).expect("becomes a PNG"));
    });
}

fn sound() -> AudioFrame {
    let samples: Vec<i16> = (0..960)
        .flat_map(|i| {
            let phase = std::f64::consts::TAU * 220.0 * f64::from(i) / 48_000.0;
            let voice: f64 = (1..9)
                .map(|n| (phase * f64::from(n)).sin() / f64::from(n))
                .sum();
            [(6_000.0 * voice) as i16; 2]
        })
        .collect();
    AudioFrame::new(samples, 48_000, 2, Duration::ZERO).expect("whole frames")
}

fn audio(c: &mut Criterion) {
    let sound = sound();
    let mut encoder = opus::Encoder::new(opus::EncoderConfig::default()).expect("starts");
    c.bench_function("opus/encode/20 ms stereo/64 kbit/s", |b| {
        b.iter_batched_ref(
            Vec::new,
            |packets| encoder.encode(black_box(&sound), packets).expect("encodes"),
            BatchSize::SmallInput,
        );
    });
    let mut packets = Vec::new();
    for _ in 0..10 {
        encoder.encode(&sound, &mut packets).expect("encodes");
    }
    let packet = &packets[packets.len() - 1];
    let mut decoder = opus::Decoder::new(48_000, 2).expect("starts");
    c.bench_function("opus/decode/20 ms stereo", |b| {
        b.iter(|| {
            decoder
                .decode(black_box(&packet.data), Duration::ZERO)
                .expect("decodes")
        });
    });
    c.bench_function("opus/conceal/20 ms stereo", |b| {
        b.iter(|| {
            decoder
                .conceal(Duration::from_millis(20), Duration::ZERO)
                .expect("conceals")
        });
    });
    let mut decoder = g711::Decoder::new(Law::Mu);
    let packet: Vec<u8> = sound.samples()[..160]
        .iter()
        .map(|&s| Law::Mu.compress(s))
        .collect();
    c.bench_function("g711/compress/20 ms", |b| {
        b.iter(|| {
            let samples = black_box(&sound.samples()[..160]);
            samples
                .iter()
                .map(|&s| Law::Mu.compress(s))
                .collect::<Vec<u8>>()
        });
    });
    c.bench_function("g711/decode/20 ms", |b| {
        b.iter(|| {
            decoder
                .decode(black_box(&packet), Duration::ZERO)
                .expect("decodes")
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = vp8, audio
}
criterion_main!(benches);
