//! Reading and writing offers captured from Chromium, beside the other SDP crates, with the allocations counted.
//!
//! `cargo bench -p pc-sdp` prints one table an offer. Times are medians of batches in one thread.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use pc_sdp::SessionDescription;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

/// The median time of one call, and its allocations.
fn measure<R>(mut call: impl FnMut() -> R) -> (Duration, u64) {
    let before = measure::allocations();
    let result = black_box(call());
    let allocations = measure::allocations() - before;
    drop(result);
    // Batches of about a millisecond, for about half a second.
    let start = Instant::now();
    let mut batch = 0;
    while start.elapsed() < Duration::from_millis(20) {
        black_box(call());
        batch += 1;
    }
    let batch = (batch / 20).max(1);
    let times: Vec<_> = (0..401)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..batch {
                black_box(call());
            }
            start.elapsed() / batch
        })
        .collect();
    (measure::median(&times), allocations)
}

fn row(name: &str, parse: (Duration, u64), write: Option<(Duration, u64)>) {
    let cell = |(time, allocations): (Duration, u64)| {
        format!("{:>9.2} µs {allocations:>6}", time.as_nanos() as f64 / 1e3)
    };
    let write = write.map(cell).unwrap_or_default();
    println!("{name:<22} {} {write}", cell(parse));
}

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    for name in [
        "chromium-answer-audio-video-data",
        "chromium-offer-audio-video-data",
        "chromium-offer-data",
    ] {
        let text = std::fs::read_to_string(format!("{folder}{name}.sdp")).unwrap();
        println!(
            "\n{name}, {} bytes, {} lines",
            text.len(),
            text.lines().count()
        );
        println!(
            "{:<22} {:>12} {:>6} {:>12} {:>6}",
            "", "parse", "alloc", "write", "alloc"
        );

        let ours = SessionDescription::parse(&text).unwrap();
        let parse = measure(|| SessionDescription::parse(&text).unwrap());
        row("pc-sdp", parse, Some(measure(|| ours.to_sdp())));
        let checked = measure(|| {
            let session = SessionDescription::parse(&text).unwrap();
            session.check().unwrap();
            session
        });
        row("pc-sdp, all checked", checked, None);

        let theirs = parse017(&text);
        row(
            "sdp 0.17.2",
            measure(|| parse017(&text)),
            Some(measure(|| theirs.marshal())),
        );

        let theirs = webrtc_sdp::parse_sdp(&text, false).unwrap();
        let parse = measure(|| webrtc_sdp::parse_sdp(&text, false).unwrap());
        row(
            "webrtc-sdp (Mozilla)",
            parse,
            Some(measure(|| theirs.to_string())),
        );

        match str0m::change::SdpOffer::from_sdp_string(&text) {
            Ok(theirs) => {
                let parse = measure(|| str0m::change::SdpOffer::from_sdp_string(&text).unwrap());
                row("str0m", parse, Some(measure(|| theirs.to_sdp_string())));
            }
            Err(error) => println!("str0m                  cannot read it: {error}"),
        }
    }
}

fn parse017(text: &str) -> sdp017::SessionDescription {
    sdp017::SessionDescription::unmarshal(&mut std::io::Cursor::new(text)).unwrap()
}
