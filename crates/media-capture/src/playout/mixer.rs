//! Several tracks on one speaker.

use super::buffer::{PlayoutBuffer, PlayoutStats};
use super::{OutputFormat, lock};
use media::playout::{PlayoutPath, TrackPlayout};
use media::{AudioReceiver, MediaStreamTrack};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the application and the mixer share of a track that plays.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stopped: bool,
    pub(super) volume: f32,
    pub(super) stats: PlayoutStats,
}

/// A track that plays.
pub(super) struct Input {
    receiver: AudioReceiver,
    buffer: PlayoutBuffer,
    shared: Arc<Mutex<Shared>>,
    /// Told to whoever asks the track who plays it.
    path: Arc<PlayoutPath>,
    playout: Arc<TrackPlayout>,
}

impl Input {
    /// `None` of a track of pictures.
    pub(super) fn new(
        track: &MediaStreamTrack,
        format: OutputFormat,
        path: &Arc<PlayoutPath>,
    ) -> Option<(Self, Arc<Mutex<Shared>>)> {
        let receiver = track.subscribe_audio()?;
        let playout = Arc::clone(track.playout());
        playout.begin(path);
        let buffer = PlayoutBuffer::new(format);
        let shared = Arc::new(Mutex::new(Shared {
            stopped: false,
            volume: 1.0,
            stats: buffer.stats(),
        }));
        let input = Input {
            receiver,
            buffer,
            shared: Arc::clone(&shared),
            path: Arc::clone(path),
            playout,
        };
        Some((input, shared))
    }

    /// Fills `out`; returns how it is to sound, or `None` when it is over.
    fn pull(&mut self, out: &mut [i16]) -> Option<Pulled> {
        let before = lock(&self.shared).stats;
        while let Some(sound) = self.receiver.try_recv() {
            if let Err(error) = self.buffer.push(&sound) {
                tracing::debug!(%error, "sound that cannot be played");
            }
        }
        self.buffer.pull(out);
        let mut shared = lock(&self.shared);
        let stats = self.buffer.stats();
        shared.stats = stats;
        self.playout.stretched(
            stats.inserted.saturating_sub(before.inserted),
            stats.removed.saturating_sub(before.removed),
        );
        let over = shared.stopped || self.receiver.is_ended();
        (!over).then_some(Pulled {
            volume: shared.volume,
            missing: stats.missing.saturating_sub(before.missing),
            waiting: stats.waiting,
        })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.playout.end(&self.path);
    }
}

/// A piece of sound from a track.
struct Pulled {
    /// How loud it is to be.
    volume: f32,
    /// How much of it should have come and did not.
    missing: Duration,
    /// How much sound waits behind it, and so how long this piece has waited.
    waiting: Duration,
}

/// Adds up what the tracks have to say.
pub(super) struct Mixer {
    inputs: Vec<Input>,
    sum: Vec<f32>,
    piece: Vec<i16>,
    format: OutputFormat,
    path: Arc<PlayoutPath>,
    /// Whether sound was missing at last.
    synthesizing: bool,
}

impl Mixer {
    pub(super) fn new(format: OutputFormat, path: Arc<PlayoutPath>) -> Self {
        Mixer {
            inputs: Vec::new(),
            sum: Vec::new(),
            piece: Vec::new(),
            format,
            path,
            synthesizing: false,
        }
    }

    pub(super) fn add(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Fills `out`, which holds whole sample frames.
    pub(super) fn render(&mut self, out: &mut [i16]) {
        let channels = usize::from(self.format.channels);
        debug_assert!(out.len().is_multiple_of(channels));
        let (mut missing, mut waiting) = (Duration::ZERO, Duration::ZERO);
        self.sum.clear();
        self.sum.resize(out.len(), 0.0);
        self.piece.resize(out.len(), 0);
        let (sum, piece) = (&mut self.sum, &mut self.piece);
        self.inputs.retain_mut(|input| {
            let Some(pulled) = input.pull(piece) else {
                return false;
            };
            missing = missing.max(pulled.missing);
            waiting = waiting.max(pulled.waiting);
            for (sum, &sample) in sum.iter_mut().zip(&*piece) {
                *sum += f32::from(sample) * pulled.volume;
            }
            true
        });
        for (out, sum) in out.iter_mut().zip(&self.sum) {
            *out = sum.clamp(-32768.0, 32767.0) as i16;
        }
        let samples = (out.len() / channels) as u64;
        let began = !missing.is_zero() && !self.synthesizing;
        self.synthesizing = !missing.is_zero();
        self.path.update(|totals| {
            totals.samples += samples;
            totals.played +=
                Duration::from_secs_f64(samples as f64 / f64::from(self.format.sample_rate));
            totals.synthesized += missing;
            totals.synthesized_events += u64::from(began);
            totals.delay += waiting.as_secs_f64() * samples as f64;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Tone, strength};
    use media::{AudioFrame, MediaKind, MediaStreamTrack, TrackInit, TrackWriter};
    use std::time::Duration;

    const FORMAT: OutputFormat = OutputFormat {
        sample_rate: 48_000,
        channels: 1,
    };

    fn input() -> (Input, Arc<Mutex<Shared>>, TrackWriter, MediaStreamTrack) {
        let (track, writer) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
        let path = PlayoutPath::new();
        let (input, shared) = Input::new(&track, FORMAT, &path).unwrap();
        (input, shared, writer, track)
    }

    #[test]
    fn tracks_add_up_until_they_are_stopped_or_end() {
        let (low, low_shared, low_writer, _low_track) = input();
        let (high, _, high_writer, _high_track) = input();
        let path = PlayoutPath::new();
        let mut mixer = Mixer::new(FORMAT, Arc::clone(&path));
        mixer.add(low);
        mixer.add(high);
        let (mut low_tone, mut high_tone) = (Tone::new(300.0), Tone::new(900.0));
        let mut play = |mixer: &mut Mixer| {
            let mut sound = vec![0; 480];
            let mut all = Vec::new();
            for _ in 0..100 {
                for (writer, tone) in [(&low_writer, &mut low_tone), (&high_writer, &mut high_tone)]
                {
                    // A stopped track is not read any more.
                    let _ = writer.write(tone.next(480, 48_000, 1, Duration::ZERO).unwrap());
                }
                mixer.render(&mut sound);
                all.extend_from_slice(&sound);
            }
            let all = AudioFrame::new(all[24_000..].to_vec(), 48_000, 1, Duration::ZERO).unwrap();
            (strength(&all, 300.0), strength(&all, 900.0))
        };
        let (low, high) = play(&mut mixer);
        assert!(low > 0.2 && high > 0.2, "{low} {high}");
        lock(&low_shared).volume = 0.5;
        let (low, high) = play(&mut mixer);
        assert!((low - 0.125).abs() < 0.02 && high > 0.2, "{low} {high}");
        lock(&low_shared).stopped = true;
        let (low, high) = play(&mut mixer);
        assert!(low < 0.01 && high > 0.2, "{low} {high}");
        assert_eq!(mixer.inputs.len(), 1);
        high_writer.end();
        mixer.render(&mut [0; 480]);
        assert_eq!(mixer.inputs.len(), 0);
        let totals = path.totals();
        assert_eq!(totals.samples, 301 * 480);
        assert_eq!(totals.played, Duration::from_millis(3_010));
        assert!(totals.delay > 0.0);
        // The second that was played before it ended ran dry once, at its end.
        assert!(
            totals.synthesized <= Duration::from_millis(20),
            "{totals:?}"
        );
    }

    #[test]
    fn a_track_names_the_speaker_that_plays_it_until_it_is_stopped() {
        let (track, _writer) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
        let path = PlayoutPath::new();
        let mut mixer = Mixer::new(FORMAT, Arc::clone(&path));
        let (input, shared) = Input::new(&track, FORMAT, &path).unwrap();
        mixer.add(input);
        assert_eq!(track.playout().path().unwrap().id(), path.id());
        lock(&shared).stopped = true;
        mixer.render(&mut [0; 480]);
        assert!(track.playout().path().is_none());
    }
}
