//! The examples run and do what they say.

use std::path::PathBuf;
use std::time::Duration;

#[allow(dead_code)]
#[path = "../examples/camera_call.rs"]
mod camera_call;
#[allow(dead_code)]
#[path = "../examples/data_channel.rs"]
mod data_channel;
#[allow(dead_code)]
#[path = "../examples/encrypted_frames.rs"]
mod encrypted_frames;
#[allow(dead_code)]
#[path = "../examples/forward.rs"]
mod forward;
#[allow(dead_code)]
#[path = "../examples/perfect_negotiation.rs"]
mod perfect_negotiation;
#[allow(dead_code)]
#[path = "../examples/play_file.rs"]
mod play_file;
#[allow(dead_code)]
#[path = "../examples/save_to_disk.rs"]
mod save_to_disk;
#[allow(dead_code)]
#[path = "../examples/simulcast.rs"]
mod simulcast;
#[allow(dead_code)]
#[path = "../examples/stats.rs"]
mod stats;

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pc-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn the_data_channel_example_gets_every_text_back() {
    let answers = data_channel::run(&["one", "zwei"]).await.expect("it runs");
    assert_eq!(answers, ["ONE", "ZWEI"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stats_example_counts_packets_of_both_kinds() {
    let lines = stats::run(3, Duration::from_millis(400))
        .await
        .expect("it runs");
    for words in [
        "audio out:",
        "video out:",
        "audio in:",
        "video in:",
        "entries in all",
    ] {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(words) || line.ends_with(words)),
            "{lines:#?}"
        );
    }
    assert!(!lines.last().expect("a line").starts_with('0'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_camera_call_example_sees_and_hears_both_ways() {
    let devices = pc_media_capture::MediaDevices::new(pc_media_capture::Synthetic::Only);
    let mut lines = camera_call::run(devices, 10).await.expect("it runs");
    lines.sort();
    assert_eq!(lines.len(), 4);
    for (line, words) in lines.iter().zip([
        "alice hears 10",
        "alice sees 10",
        "bob hears 10",
        "bob sees 10",
    ]) {
        assert!(line.starts_with(words), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_play_file_example_plays_a_film_with_sound_to_the_end() {
    let scratch = Scratch::new("play");
    let (film, sound) = (scratch.0.join("film.y4m"), scratch.0.join("sound.wav"));
    let mut y4m = Vec::from(*b"YUV4MPEG2 W160 H120 F25:1 Ip A1:1 C420jpeg\n");
    for number in 0..50_u8 {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.extend(std::iter::repeat_n(number * 4, 160 * 120 * 3 / 2));
    }
    std::fs::write(&film, y4m).expect("written");
    let mut writer = hound::WavWriter::create(
        &sound,
        hound::WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        },
    )
    .expect("a file");
    for index in 0..96_000_i32 {
        writer
            .write_sample(((index % 109 - 54) * 300) as i16)
            .expect("written");
    }
    writer.finalize().expect("written");

    let (pictures, seconds) = play_file::run(&film, &sound).await.expect("it runs");
    // What was played before the connection stood is gone; at the end there may be a black one or two.
    assert!((10..=53).contains(&pictures), "{pictures} of 50 pictures");
    assert!((0.5..3.5).contains(&seconds), "{seconds} of 2 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_save_to_disk_example_writes_files_that_can_be_played() {
    let scratch = Scratch::new("save");
    let paths = save_to_disk::run(&scratch.0, 20).await.expect("it runs");
    let [sound, video] = paths.as_slice() else {
        panic!("{paths:?}")
    };
    let reader = hound::WavReader::open(sound).expect("a WAV file");
    assert_eq!(reader.spec().sample_rate, 48_000);
    assert!(reader.duration() >= 20 * 480);
    let ivf = std::fs::read(video).expect("a file");
    assert_eq!(&ivf[..12], b"DKIF\0\0\x20\0VP80");
    let mut decoder =
        codecs::vp8::Decoder::new(codecs::vp8::DecoderConfig::default()).expect("a decoder");
    let (mut at, mut pictures) = (32, 0);
    while at < ivf.len() {
        let length = u32::from_le_bytes(ivf[at..at + 4].try_into().expect("four bytes")) as usize;
        use codecs::VideoDecoder;
        let frame = decoder.decode(&ivf[at + 12..at + 12 + length], Duration::ZERO);
        pictures += usize::from(frame.expect("a VP8 frame").is_some());
        at += 12 + length;
    }
    assert_eq!(pictures, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_forward_example_shows_one_camera_to_every_viewer() {
    assert_eq!(forward::run(3, 15).await.expect("it runs"), [15, 15, 15]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_perfect_negotiation_example_agrees_on_everything() {
    let (_, sections) = perfect_negotiation::run(10).await.expect("it runs");
    assert!((10..=20).contains(&sections), "{sections}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulcast_example_shows_every_size() {
    let run = tokio::time::timeout(Duration::from_secs(60), simulcast::run(5));
    let sizes = run.await.expect("in time").expect("it runs");
    let [quarter, half, full] = sizes.as_slice() else {
        panic!("{sizes:?}")
    };
    assert_eq!((quarter.0 * 2, quarter.1 * 2), *half);
    assert_eq!((half.0 * 2, half.1 * 2), *full);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_encrypted_frames_example_sees_and_hears() {
    let run = tokio::time::timeout(
        Duration::from_secs(60),
        encrypted_frames::run(b"secret", 20),
    );
    let (pictures, seconds) = run.await.expect("in time").expect("it runs");
    assert_eq!(pictures, 20);
    assert!(seconds > 0.1, "{seconds} s of sound");
}

#[test]
fn every_example_is_short() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a source");
        assert!(text.lines().count() < 120, "{}", path.display());
        examples += 1;
    }
    assert!(examples >= 9, "{examples} examples");
}
