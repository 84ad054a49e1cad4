//! A camera that shows the test card, and a microphone that hears a tone.
//!
//! They stand in where there is no device, so that everything else works and can be tested everywhere. Their labels
//! say what they are.

use super::choices::{AudioMode, AudioRange, VideoMode, VideoRange, audio_modes, video_modes};
use super::{Control, InputDevice, OpenError, start_thread};
use crate::devices::{MediaDeviceInfo, MediaDeviceKind};
use crate::testcard::TestCard;
use crate::tone::{DEFAULT_FREQUENCY, Tone};
use media::{
    MediaKind, MediaStreamTrack, MediaTrackCapabilities, MediaTrackConstraints, MediaTrackSettings,
    TrackWriter,
};
use std::time::{Duration, Instant};

/// The id of the synthetic camera.
pub const CAMERA_ID: &str = "synthetic:camera";
/// The id of the synthetic microphone.
pub const MICROPHONE_ID: &str = "synthetic:microphone";
const GROUP: &str = "synthetic";

const VIDEO: VideoRange = VideoRange {
    width: (TestCard::MIN_SIZE.0, 4096),
    height: (TestCard::MIN_SIZE.1, 2304),
    frame_rate: (1.0, 120.0),
};
const PREFERRED_VIDEO: VideoMode = VideoMode {
    width: 640,
    height: 480,
    frame_rate: 30.0,
};
const AUDIO: AudioRange = AudioRange {
    sample_rate: (8_000, 96_000),
    channels: (1, 2),
};
const PREFERRED_AUDIO: AudioMode = AudioMode {
    sample_rate: 48_000,
    channels: 1,
};
/// The length of a piece of sound.
const PIECE: Duration = Duration::from_millis(10);
/// A source that fell behind by more does not catch up, but goes on from now.
const TOO_LATE: Duration = Duration::from_millis(200);

/// A camera that shows the [test card](crate::testcard).
#[derive(Clone, Copy, Debug, Default)]
pub struct SyntheticCamera;

impl InputDevice for SyntheticCamera {
    fn info(&self) -> MediaDeviceInfo {
        MediaDeviceInfo {
            device_id: CAMERA_ID.to_owned(),
            kind: MediaDeviceKind::VideoInput,
            label: "Synthetic camera (test card)".to_owned(),
            group_id: GROUP.to_owned(),
            synthetic: true,
        }
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            width: Some(VIDEO.width),
            height: Some(VIDEO.height),
            frame_rate: Some(VIDEO.frame_rate),
            device_id: Some(CAMERA_ID.to_owned()),
            group_id: Some(GROUP.to_owned()),
            ..Default::default()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        let modes = video_modes(VIDEO, PREFERRED_VIDEO, constraints).into_iter();
        modes
            .map(|mode| MediaTrackSettings {
                width: Some(mode.width),
                height: Some(mode.height),
                frame_rate: Some(mode.frame_rate),
                device_id: Some(CAMERA_ID.to_owned()),
                group_id: Some(GROUP.to_owned()),
                ..Default::default()
            })
            .collect()
    }

    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError> {
        start_thread(
            *self,
            MediaKind::Video,
            settings,
            constraints,
            move |writer, control| {
                show_card(&writer, &control, epoch);
            },
        )
    }
}

/// A microphone that hears a [tone](crate::tone).
#[derive(Clone, Copy, Debug)]
pub struct SyntheticMicrophone {
    frequency: f64,
}

impl SyntheticMicrophone {
    /// It hears a tone of this many hertz.
    pub fn new(frequency: f64) -> Self {
        SyntheticMicrophone { frequency }
    }

    /// Hertz.
    pub fn frequency(&self) -> f64 {
        self.frequency
    }
}

impl Default for SyntheticMicrophone {
    fn default() -> Self {
        SyntheticMicrophone::new(DEFAULT_FREQUENCY)
    }
}

impl InputDevice for SyntheticMicrophone {
    fn info(&self) -> MediaDeviceInfo {
        MediaDeviceInfo {
            device_id: MICROPHONE_ID.to_owned(),
            kind: MediaDeviceKind::AudioInput,
            label: format!("Synthetic microphone ({} Hz tone)", self.frequency),
            group_id: GROUP.to_owned(),
            synthetic: true,
        }
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            sample_rate: Some(AUDIO.sample_rate),
            channel_count: Some(AUDIO.channels),
            device_id: Some(MICROPHONE_ID.to_owned()),
            group_id: Some(GROUP.to_owned()),
            ..Default::default()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        let modes = audio_modes(AUDIO, PREFERRED_AUDIO, constraints).into_iter();
        modes
            .map(|mode| MediaTrackSettings {
                sample_rate: Some(mode.sample_rate),
                sample_size: Some(16),
                channel_count: Some(mode.channels),
                latency: Some(PIECE.as_secs_f64()),
                device_id: Some(MICROPHONE_ID.to_owned()),
                group_id: Some(GROUP.to_owned()),
                ..Default::default()
            })
            .collect()
    }

    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError> {
        let tone = Tone::new(self.frequency);
        start_thread(
            *self,
            MediaKind::Audio,
            settings,
            constraints,
            move |writer, control| {
                sound_tone(tone, &writer, &control, epoch);
            },
        )
    }
}

fn show_card(writer: &TrackWriter, control: &Control, epoch: Instant) {
    let mut card: Option<TestCard> = None;
    let mut counter = 0_u32;
    let mut due = epoch.elapsed();
    while !wait_until(writer, epoch, &mut due) {
        let settings = control.current();
        let width = settings.width.unwrap_or(PREFERRED_VIDEO.width);
        let height = settings.height.unwrap_or(PREFERRED_VIDEO.height);
        if writer.has_consumers() {
            let fits = |card: &TestCard| card.size() == (width, height);
            let Ok(drawn) = card
                .take()
                .filter(fits)
                .map_or_else(|| TestCard::new(width, height), Ok)
            else {
                return;
            };
            if writer.write(drawn.draw(counter, due)).is_err() {
                return;
            }
            card = Some(drawn);
        }
        counter = counter.wrapping_add(1);
        let rate = settings.frame_rate.unwrap_or(PREFERRED_VIDEO.frame_rate);
        due += Duration::from_secs_f64(1.0 / rate.clamp(VIDEO.frame_rate.0, VIDEO.frame_rate.1));
    }
}

fn sound_tone(mut tone: Tone, writer: &TrackWriter, control: &Control, epoch: Instant) {
    let mut due = epoch.elapsed();
    while !wait_until(writer, epoch, &mut due) {
        let settings = control.current();
        let rate = settings.sample_rate.unwrap_or(PREFERRED_AUDIO.sample_rate);
        let channels = settings.channel_count.unwrap_or(PREFERRED_AUDIO.channels);
        let frames = (rate / 100) as usize;
        let Ok(sound) = tone.next(frames, rate, channels as u16, due) else {
            return;
        };
        due += sound.duration();
        if writer.write(sound).is_err() {
            return;
        }
    }
}

/// Waits for the time of the next frame; true when the track is stopped instead.
fn wait_until(writer: &TrackWriter, epoch: Instant, due: &mut Duration) -> bool {
    let now = epoch.elapsed();
    if now > *due + TOO_LATE {
        *due = now;
    }
    writer.stopped_timeout(due.saturating_sub(now))
}
