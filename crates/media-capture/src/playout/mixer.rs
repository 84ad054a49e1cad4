//! Several tracks on one speaker.

use super::buffer::{PlayoutBuffer, PlayoutStats};
use super::{OutputFormat, lock};
use media::AudioReceiver;
use std::sync::{Arc, Mutex};

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
}

impl Input {
    pub(super) fn new(receiver: AudioReceiver, format: OutputFormat) -> (Self, Arc<Mutex<Shared>>) {
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
        };
        (input, shared)
    }

    /// Fills `out`; returns how loud it is to be, or `None` when it is over.
    fn pull(&mut self, out: &mut [i16]) -> Option<f32> {
        while let Some(sound) = self.receiver.try_recv() {
            if let Err(error) = self.buffer.push(&sound) {
                tracing::debug!(%error, "sound that cannot be played");
            }
        }
        self.buffer.pull(out);
        let mut shared = lock(&self.shared);
        shared.stats = self.buffer.stats();
        let over = shared.stopped || self.receiver.is_ended();
        (!over).then_some(shared.volume)
    }
}

/// Adds up what the tracks have to say.
pub(super) struct Mixer {
    inputs: Vec<Input>,
    sum: Vec<f32>,
    piece: Vec<i16>,
    channels: usize,
}

impl Mixer {
    pub(super) fn new(format: OutputFormat) -> Self {
        Mixer {
            inputs: Vec::new(),
            sum: Vec::new(),
            piece: Vec::new(),
            channels: usize::from(format.channels),
        }
    }

    pub(super) fn add(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Fills `out`, which holds whole sample frames.
    pub(super) fn render(&mut self, out: &mut [i16]) {
        debug_assert!(out.len().is_multiple_of(self.channels));
        self.sum.clear();
        self.sum.resize(out.len(), 0.0);
        self.piece.resize(out.len(), 0);
        let (sum, piece) = (&mut self.sum, &mut self.piece);
        self.inputs.retain_mut(|input| {
            let Some(volume) = input.pull(piece) else {
                return false;
            };
            for (sum, &sample) in sum.iter_mut().zip(&*piece) {
                *sum += f32::from(sample) * volume;
            }
            true
        });
        for (out, sum) in out.iter_mut().zip(&self.sum) {
            *out = sum.clamp(-32768.0, 32767.0) as i16;
        }
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
        let (input, shared) = Input::new(track.subscribe_audio().unwrap(), FORMAT);
        (input, shared, writer, track)
    }

    #[test]
    fn tracks_add_up_until_they_are_stopped_or_end() {
        let (low, low_shared, low_writer, _low_track) = input();
        let (high, _, high_writer, _high_track) = input();
        let mut mixer = Mixer::new(FORMAT);
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
    }
}
