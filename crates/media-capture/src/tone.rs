//! The steady tone of the synthetic microphone.

use media::{AudioFrame, FrameError};
use std::f64::consts::TAU;
use std::time::Duration;

/// Hertz, unless another frequency is asked for: the A of concert pitch.
pub const DEFAULT_FREQUENCY: f64 = 440.0;
/// Of full scale: −12 dB.
const AMPLITUDE: f64 = 0.25;

/// A sine that goes on from piece to piece without a click.
#[derive(Clone, Debug)]
pub struct Tone {
    frequency: f64,
    /// 0 to 1, through one period.
    phase: f64,
}

impl Tone {
    /// A tone of this many hertz.
    pub fn new(frequency: f64) -> Self {
        Tone {
            frequency,
            phase: 0.0,
        }
    }

    /// Hertz.
    pub fn frequency(&self) -> f64 {
        self.frequency
    }

    /// The next `frames` samples of each channel.
    pub fn next(
        &mut self,
        frames: usize,
        sample_rate: u32,
        channels: u16,
        timestamp: Duration,
    ) -> Result<AudioFrame, FrameError> {
        let step = self.frequency / f64::from(sample_rate.max(1));
        let mut samples = Vec::with_capacity(frames * usize::from(channels));
        for _ in 0..frames {
            let sample = ((self.phase * TAU).sin() * AMPLITUDE * 32767.0).round() as i16;
            samples.extend(std::iter::repeat_n(sample, channels.into()));
            self.phase = (self.phase + step).fract();
        }
        AudioFrame::new(samples, sample_rate, channels, timestamp)
    }
}

/// How strong one frequency is in a piece of sound: the amplitude, full scale being 1, of a sine of `frequency` hertz
/// in its first channel (the Goertzel algorithm).
pub fn strength(sound: &AudioFrame, frequency: f64) -> f64 {
    let step = TAU * frequency / f64::from(sound.sample_rate());
    let (mut last, mut before) = (0.0, 0.0);
    let first_channel = sound.samples().iter().step_by(sound.channels().into());
    for &sample in first_channel {
        let next = f64::from(sample) / 32768.0 + 2.0 * step.cos() * last - before;
        (before, last) = (last, next);
    }
    let power = last * last + before * before - 2.0 * step.cos() * last * before;
    2.0 * power.max(0.0).sqrt() / sound.frames().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_has_its_frequency_and_no_clicks() {
        let mut tone = Tone::new(440.0);
        let mut samples: Vec<i16> = Vec::new();
        for _ in 0..100 {
            samples.extend(tone.next(441, 44_100, 1, Duration::ZERO).unwrap().samples());
        }
        let steepest: i16 = samples
            .windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .max()
            .unwrap();
        assert!(steepest < 520, "{steepest}");
        let sound = AudioFrame::new(samples, 44_100, 1, Duration::ZERO).unwrap();
        assert!((strength(&sound, 440.0) - AMPLITUDE).abs() < 0.01);
        assert!(strength(&sound, 450.0) < 0.01);
        assert!(strength(&sound, 880.0) < 0.01);
    }

    #[test]
    fn every_channel_carries_it() {
        let sound = Tone::new(1_000.0)
            .next(480, 48_000, 2, Duration::ZERO)
            .unwrap();
        assert_eq!(sound.frames(), 480);
        assert!(sound.samples().chunks(2).all(|pair| pair[0] == pair[1]));
    }
}
