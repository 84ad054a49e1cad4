//! Sound of any rate, channels and length, cut into the equal pieces that codecs take.

use crate::codec::EncodeError;
use media::{AudioConverter, AudioFrame};
use std::time::Duration;

/// A gap or jump of more than this is one; less is a jittering clock.
const JUMP: Duration = Duration::from_millis(100);

/// Collects sound and gives it back in pieces of equal length, with their times.
pub(crate) struct Framer {
    sample_rate: u32,
    channels: usize,
    piece: usize,
    converter: AudioConverter,
    pending: Vec<i16>,
    used: usize,
    /// The time of `pending[used]`.
    next: Duration,
}

impl Framer {
    pub(crate) fn new(sample_rate: u32, channels: u16, piece: Duration) -> Self {
        let frames = piece.as_micros() * u128::from(sample_rate) / 1_000_000;
        let channel_count = usize::from(channels);
        Framer {
            sample_rate,
            channels: channel_count,
            piece: frames as usize * channel_count,
            converter: AudioConverter::new(sample_rate, channels),
            pending: Vec::new(),
            used: 0,
            next: Duration::ZERO,
        }
    }

    /// Takes sound in.
    pub(crate) fn push(&mut self, frame: &AudioFrame) -> Result<(), EncodeError> {
        self.pending.drain(..self.used);
        self.used = 0;
        let expected = self.next + self.duration(self.pending.len());
        let jumped = frame.timestamp().abs_diff(expected) > JUMP;
        if jumped {
            // What waits belongs to before the jump.
            self.pending.clear();
        }
        if self.pending.is_empty() {
            self.next = frame.timestamp();
        }
        self.converter
            .process(frame, &mut self.pending)
            .map_err(|error| EncodeError::Unsupported(error.to_string()))
    }

    /// The next whole piece and its time.
    pub(crate) fn next_piece(&mut self) -> Option<(&[i16], Duration)> {
        let end = self.used + self.piece;
        let timestamp = self.next;
        let next = timestamp + self.duration(self.piece);
        let piece = self.pending.get(self.used..end)?;
        self.used = end;
        self.next = next;
        Some((piece, timestamp))
    }

    fn duration(&self, samples: usize) -> Duration {
        let frames = (samples / self.channels) as u64;
        Duration::from_nanos(frames * 1_000_000_000 / u64::from(self.sample_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(framer: &mut Framer) -> Vec<(usize, Duration)> {
        let mut pieces = Vec::new();
        while let Some((samples, timestamp)) = framer.next_piece() {
            pieces.push((samples.len(), timestamp));
        }
        pieces
    }

    fn sound(millis: u64, at: u64) -> AudioFrame {
        AudioFrame::silence(48 * millis as usize, 48_000, 1, Duration::from_millis(at))
    }

    #[test]
    fn cuts_equal_pieces_with_their_times() {
        let mut framer = Framer::new(48_000, 2, Duration::from_millis(20));
        framer.push(&sound(30, 1_000)).unwrap();
        assert_eq!(pieces(&mut framer), [(1_920, Duration::from_millis(1_000))]);
        framer.push(&sound(30, 1_030)).unwrap();
        let times = [1_020, 1_040].map(|t| (1_920, Duration::from_millis(t)));
        assert_eq!(pieces(&mut framer), times);
        assert_eq!(pieces(&mut framer), []);
    }

    #[test]
    fn a_jump_in_time_begins_anew() {
        let mut framer = Framer::new(48_000, 1, Duration::from_millis(20));
        framer.push(&sound(10, 0)).unwrap();
        framer.push(&sound(20, 5_000)).unwrap();
        assert_eq!(pieces(&mut framer), [(960, Duration::from_millis(5_000))]);
    }
}
