//! What came from the other side, counted where it is decoded.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::{AudioFrame, VideoFrame};
use serde::Serialize;

use super::peer::PROBE_MESSAGES;

/// Luma above this is light; 16 is the black of video.
const LIGHT: u8 = 40;
/// A picture with a smaller part of light in it counts as black.
const LEAST_LIGHT: f64 = 0.005;
/// Quieter than this, sound counts as silence; full scale is 1.
const SILENCE: f64 = 0.001;

/// Counters that the tasks of a call share.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Snapshot>);

/// The counters at one moment.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    /// Decoded pictures.
    pub(crate) frames: u64,
    /// Those that were not black.
    pub(crate) bright_frames: u64,
    /// The size of the last picture.
    pub(crate) width: u32,
    /// The size of the last picture.
    pub(crate) height: u32,
    /// Which part of the last picture was light.
    pub(crate) light: f64,
    /// Seconds of decoded sound.
    pub(crate) audio_seconds: f64,
    /// The loudest 20 ms or so, full scale being 1.
    pub(crate) audio_peak: f64,
    /// The level of the last sound.
    pub(crate) audio_level: f64,
    /// Messages that were sent back, or came back.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) message_bytes: u64,
    /// Messages that came back changed.
    pub(crate) damaged: u64,
}

impl Meters {
    pub(crate) fn video(&self, frame: &VideoFrame) {
        let light = light(frame);
        let mut snapshot = self.lock();
        snapshot.frames += 1;
        snapshot.bright_frames += u64::from(light >= LEAST_LIGHT);
        snapshot.light = light;
        snapshot.width = frame.width();
        snapshot.height = frame.height();
    }

    pub(crate) fn audio(&self, frame: &AudioFrame) {
        let level = frame.rms();
        let mut snapshot = self.lock();
        snapshot.audio_seconds += frame.duration().as_secs_f64();
        snapshot.audio_peak = snapshot.audio_peak.max(level);
        snapshot.audio_level = level;
    }

    pub(crate) fn message(&self, bytes: usize) {
        let mut snapshot = self.lock();
        snapshot.messages += 1;
        snapshot.message_bytes += bytes as u64;
    }

    pub(crate) fn damaged_message(&self) {
        self.lock().damaged += 1;
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which part of a picture is light. A browser's test picture may be a small figure on a dark ground.
fn light(frame: &VideoFrame) -> f64 {
    let samples = frame.rows(0).flatten();
    let light = samples.filter(|luma| **luma > LIGHT).count();
    light as f64 / (f64::from(frame.width()) * f64::from(frame.height()))
}

impl Snapshot {
    /// Whether a probe has everything: pictures, sound, and all its messages.
    pub(crate) fn probed(&self) -> bool {
        self.messages + self.damaged >= PROBE_MESSAGES
            && self.frames >= 30
            && self.audio_peak > SILENCE
    }

    /// What a call with a browser should have brought and did not.
    pub(crate) fn failures(&self) -> Vec<&'static str> {
        let mut failures = Vec::new();
        if self.frames < 10 {
            failures.push("fewer than 10 pictures came");
        }
        if self.bright_frames * 2 < self.frames {
            failures.push("most pictures were black");
        }
        if self.audio_peak < SILENCE {
            failures.push("no sound came");
        }
        if self.messages == 0 {
            failures.push("no message came");
        }
        if self.damaged > 0 {
            failures.push("messages came back changed");
        }
        failures
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} pictures, {:.1} s of sound, {} messages ({} bytes)",
            self.frames, self.audio_seconds, self.messages, self.message_bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_of_black_pictures_and_silence_fails() {
        let meters = Meters::default();
        let black = VideoFrame::black(64, 48, Duration::ZERO).expect("a frame");
        let silence = AudioFrame::silence(960, 48_000, 1, Duration::ZERO);
        for _ in 0..20 {
            meters.video(&black);
            meters.audio(&silence);
        }
        meters.message(3);
        let failures = meters.snapshot().failures();
        assert_eq!(failures, ["most pictures were black", "no sound came"]);
    }

    #[test]
    fn a_call_with_picture_sound_and_messages_passes() {
        let meters = Meters::default();
        let mut buffer = media::I420Buffer::new(64, 48).expect("a buffer");
        for plane in buffer.planes_mut() {
            plane.fill(128);
        }
        let grey = buffer.freeze(Duration::ZERO);
        for _ in 0..20 {
            meters.video(&grey);
        }
        let sound = AudioFrame::new(vec![8_000; 960], 48_000, 1, Duration::ZERO).expect("a frame");
        meters.audio(&sound);
        meters.message(3);
        assert_eq!(meters.snapshot().failures(), Vec::<&str>::new());
    }
}
