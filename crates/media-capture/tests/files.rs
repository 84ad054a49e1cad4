//! Files as camera and microphone.
#![cfg(feature = "file")]

use media::{AudioFrame, MediaTrackConstraints, TrackEvent};
use pc_media_capture::input::file::{AudioFile, FileError, VideoFile};
use pc_media_capture::testcard::{self, TestCard};
use pc_media_capture::tone::{Tone, strength};
use pc_media_capture::{InputDevice, MediaDevices, MediaStreamConstraints, Synthetic};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// A file of this name that is gone after the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Scratch(std::env::temp_dir().join(format!("pc-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that failed may not have written it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Five test cards at 50 a second.
fn write_y4m(scratch: &Scratch) {
    let card = TestCard::new(160, 120).unwrap();
    let file = File::create(&scratch.0).unwrap();
    let mut encoder = y4m::encode(160, 120, y4m::Ratio::new(50, 1))
        .write_header(file)
        .unwrap();
    for counter in 100..105 {
        let picture = card.draw(counter, Duration::ZERO);
        let plane = |index| picture.rows(index).flatten().copied().collect::<Vec<u8>>();
        let planes = [plane(0), plane(1), plane(2)];
        let frame = y4m::Frame::new([&planes[0], &planes[1], &planes[2]], None);
        encoder.write_frame(&frame).unwrap();
    }
}

fn with(device: impl InputDevice + 'static) -> MediaDevices {
    MediaDevices::new(Synthetic::Only).with_device(device)
}

#[test]
fn a_film_is_shown_to_its_end_and_the_track_ends() {
    let scratch = Scratch::new("once.y4m");
    write_y4m(&scratch);
    let devices = with(VideoFile::open(&scratch.0).unwrap().repeat(false));
    let stream = devices
        .get_user_media(&MediaStreamConstraints::video())
        .unwrap();
    let track = stream.video_tracks().remove(0);
    assert!(track.label().starts_with("File pc-"), "{}", track.label());
    let mut events = track.events();
    let mut pictures = track.subscribe_with_capacity(10);
    let mut counters = Vec::new();
    while let Ok(frame) = pictures.recv_timeout(PATIENCE) {
        counters.extend(testcard::read_counter(&frame.into_video().unwrap()));
    }
    assert!(
        counters.len() >= 3 && counters.ends_with(&[103, 104]),
        "{counters:?}"
    );
    assert_eq!(events.recv_blocking(), Some(TrackEvent::Ended));
}

#[test]
fn a_film_repeats_at_the_size_and_rate_that_was_asked_for() {
    let scratch = Scratch::new("repeat.y4m");
    write_y4m(&scratch);
    let devices = with(VideoFile::open(&scratch.0).unwrap());
    let small = MediaStreamConstraints {
        video: Some(MediaTrackConstraints {
            frame_rate: 25.0.into(),
            ..MediaTrackConstraints::video(120, 90)
        }),
        audio: None,
    };
    let stream = devices.get_user_media(&small).unwrap();
    let track = stream.video_tracks().remove(0);
    let mut pictures = track.subscribe_video().unwrap();
    let mut seen = Vec::new();
    while !(seen.contains(&100) && seen.contains(&103)) {
        let picture = pictures.recv_timeout(PATIENCE).unwrap();
        assert_eq!((picture.width(), picture.height()), (120, 90));
        let counter = testcard::read_counter(&picture).unwrap();
        assert!((100..105).contains(&counter));
        seen.push(counter);
    }
}

#[test]
fn sound_of_any_sample_format_is_heard() {
    let formats = [
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (8, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ];
    for (bits, format) in formats {
        let scratch = Scratch::new(&format!("{bits}.wav"));
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = hound::WavWriter::create(&scratch.0, spec).unwrap();
        let tone = Tone::new(500.0)
            .next(4_410, 44_100, 2, Duration::ZERO)
            .unwrap();
        for &sample in tone.samples() {
            match format {
                hound::SampleFormat::Float => writer.write_sample(f32::from(sample) / 32_768.0),
                hound::SampleFormat::Int if bits == 8 => writer.write_sample((sample >> 8) as i8),
                hound::SampleFormat::Int => writer.write_sample(i32::from(sample) << (bits - 16)),
            }
            .unwrap();
        }
        writer.finalize().unwrap();

        let devices = with(AudioFile::open(&scratch.0).unwrap());
        let mono = MediaStreamConstraints {
            audio: Some(MediaTrackConstraints {
                sample_rate: 48_000.into(),
                channel_count: 1.into(),
                ..Default::default()
            }),
            video: None,
        };
        let stream = devices.get_user_media(&mono).unwrap();
        let mut sound = stream.audio_tracks()[0].subscribe_audio().unwrap();
        let mut heard = Vec::new();
        while heard.len() < 4_800 {
            let piece = sound.recv_timeout(PATIENCE).unwrap();
            assert_eq!((piece.sample_rate(), piece.channels()), (48_000, 1));
            heard.extend_from_slice(piece.samples());
        }
        let heard = AudioFrame::new(&heard[480..4_320], 48_000, 1, Duration::ZERO).unwrap();
        let strength = strength(&heard, 500.0);
        assert!((strength - 0.25).abs() < 0.03, "{bits} bits: {strength}");
    }
}

#[test]
fn other_files_are_refused() {
    let scratch = Scratch::new("other");
    fs::write(&scratch.0, b"YUV4MPEG2 W99999999999 H1 F0:0\nFRAME\n").unwrap();
    assert!(matches!(
        VideoFile::open(&scratch.0),
        Err(FileError::Format { .. })
    ));
    assert!(matches!(
        AudioFile::open(&scratch.0),
        Err(FileError::Format { .. })
    ));
    let missing = scratch.0.with_extension("missing");
    assert!(matches!(
        VideoFile::open(&missing),
        Err(FileError::Open { .. })
    ));
}
