//! Sound at another sample rate.

use crate::frame::{AudioFrame, FrameError};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction,
};
use std::fmt;

/// How far [`Resampler::set_speed`] may go: far enough for any two clocks, too little to hear.
const MAX_SPEED: f64 = 1.05;

/// Turns interleaved sound of one sample rate into another, a piece at a time.
///
/// ```
/// let mut resampler = pc_media::Resampler::new(44_100, 48_000, 2)?;
/// let mut out = Vec::new();
/// resampler.process(&vec![0; 44_100 * 2], &mut out);
/// assert!((95_000..=96_000).contains(&out.len()));
/// # Ok::<(), pc_media::FrameError>(())
/// ```
pub struct Resampler {
    inner: Async<f32>,
    from: u32,
    to: u32,
    channels: usize,
    /// What is not enough for a step yet.
    pending: Vec<f32>,
    step: Vec<f32>,
}

impl Resampler {
    /// From `from` to `to` samples a second, of `channels` interleaved channels.
    pub fn new(from: u32, to: u32, channels: u16) -> Result<Self, FrameError> {
        let refuse = || FrameError::Audio {
            samples: 0,
            sample_rate: from.min(to),
            channels,
        };
        if !(1_000..=768_000).contains(&from) || !(1_000..=768_000).contains(&to) || channels == 0 {
            return Err(refuse());
        }
        let parameters = SincInterpolationParameters::new(64, WindowFunction::Blackman2)
            .interpolation(SincInterpolationType::Linear);
        // Steps of 5 ms: a 10 ms piece of sound never waits for the next.
        let inner = Async::new_sinc(
            f64::from(to) / f64::from(from),
            MAX_SPEED,
            &parameters,
            (from / 200) as usize,
            usize::from(channels),
            FixedAsync::Input,
        )
        .map_err(|_| refuse())?;
        let step = vec![0.0; inner.output_frames_max() * usize::from(channels)];
        Ok(Resampler {
            inner,
            from,
            to,
            channels: usize::from(channels),
            pending: Vec::new(),
            step,
        })
    }

    /// The rate it takes.
    pub fn input_rate(&self) -> u32 {
        self.from
    }

    /// The rate it makes.
    pub fn output_rate(&self) -> u32 {
        self.to
    }

    /// The channels it takes and makes.
    pub fn channels(&self) -> u16 {
        self.channels as u16
    }

    /// Takes samples of any length and appends what they become to `out`.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        let input = samples.iter().map(|&s| f32::from(s) / 32768.0);
        self.pending.extend(input);
        let mut used = 0;
        while let Some(n) = self.process_step(used, out) {
            used += n;
        }
        self.pending.drain(..used);
    }

    /// One step from `pending[start..]`, if there is enough. Returns the samples used.
    fn process_step(&mut self, start: usize, out: &mut Vec<i16>) -> Option<usize> {
        let frames = self.inner.input_frames_next();
        let made = self.inner.output_frames_next() * self.channels;
        let input = self.pending.get(start..start + frames * self.channels)?;
        if self.step.len() < made {
            self.step.resize(made, 0.0);
        }
        let from = InterleavedSlice::new(input, self.channels, frames).ok()?;
        let room = self.step.len() / self.channels;
        let mut to = InterleavedSlice::new_mut(&mut self.step, self.channels, room).ok()?;
        let (_, made) = self.inner.process_into_buffer(&from, &mut to, None).ok()?;
        out.extend(
            self.step[..made * self.channels]
                .iter()
                .map(|&s| (s * 32768.0).round().clamp(-32768.0, 32767.0) as i16),
        );
        Some(frames * self.channels)
    }

    /// Plays a little faster (above 1.0) or slower, to follow another clock. Limited to 5 %.
    pub fn set_speed(&mut self, speed: f64) {
        let ratio = (1.0 / speed).clamp(1.0 / MAX_SPEED, MAX_SPEED);
        let changed = self.inner.set_resample_ratio_relative(ratio, true);
        debug_assert!(changed.is_ok(), "the ratio is within its limits");
    }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Resampler({} → {} Hz, {} channels)",
            self.from, self.to, self.channels
        )
    }
}

/// Brings whatever comes to one sample rate and number of channels, following the source when it changes.
#[derive(Debug)]
pub struct AudioConverter {
    sample_rate: u32,
    channels: u16,
    resampler: Option<Resampler>,
}

impl AudioConverter {
    /// To this rate and these channels.
    pub fn new(sample_rate: u32, channels: u16) -> Self {
        AudioConverter {
            sample_rate,
            channels,
            resampler: None,
        }
    }

    /// Appends what `frame` becomes to `out`.
    pub fn process(&mut self, frame: &AudioFrame, out: &mut Vec<i16>) -> Result<(), FrameError> {
        let frame = frame.with_channels(self.channels);
        if frame.sample_rate() == self.sample_rate {
            self.resampler = None;
            out.extend_from_slice(frame.samples());
            return Ok(());
        }
        let fits = |r: &Resampler| r.input_rate() == frame.sample_rate();
        let resampler = match self.resampler.take().filter(fits) {
            Some(resampler) => resampler,
            None => Resampler::new(frame.sample_rate(), self.sample_rate, self.channels)?,
        };
        self.resampler
            .insert(resampler)
            .process(frame.samples(), out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tone(frequency: f64, rate: u32, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * frequency / f64::from(rate);
        (0..samples)
            .map(|i| (10_000.0 * (step * i as f64).sin()) as i16)
            .collect()
    }

    /// Frequency by counting upward zero crossings.
    fn frequency(samples: &[i16], rate: u32) -> f64 {
        let crossings = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
        crossings as f64 * f64::from(rate) / samples.len() as f64
    }

    #[test]
    fn keeps_the_pitch_and_the_loudness() {
        for (from, to) in [
            (44_100, 48_000),
            (48_000, 8_000),
            (16_000, 48_000),
            (48_000, 44_100),
        ] {
            let mut resampler = Resampler::new(from, to, 1).unwrap();
            let mut out = Vec::new();
            for piece in tone(440.0, from, from as usize).chunks(441) {
                resampler.process(piece, &mut out);
            }
            let steady = &out[to as usize / 10..];
            let pitch = frequency(steady, to);
            assert!((pitch - 440.0).abs() < 2.0, "{from} → {to}: {pitch} Hz");
            let loud = AudioFrame::new(steady.to_vec(), to, 1, Duration::ZERO).unwrap();
            let expected = 10_000.0 / 32_768.0 / 2.0_f64.sqrt();
            assert!(
                (loud.rms() - expected).abs() < 0.01,
                "{from} → {to}: {}",
                loud.rms()
            );
        }
    }

    #[test]
    fn plays_faster_by_as_much_as_asked() {
        let mut resampler = Resampler::new(48_000, 48_000, 2).unwrap();
        resampler.set_speed(1.01);
        let mut out = Vec::new();
        resampler.process(&vec![0; 96_000 * 2], &mut out);
        let expected = 96_000.0 * 2.0 / 1.01;
        assert!(
            (out.len() as f64 - expected).abs() < 1_000.0,
            "{}",
            out.len()
        );
        resampler.set_speed(100.0);
        resampler.set_speed(0.0);
    }

    #[test]
    fn refuses_rates_that_no_device_has() {
        assert!(Resampler::new(0, 48_000, 2).is_err());
        assert!(Resampler::new(48_000, 4_000_000, 2).is_err());
        assert!(Resampler::new(48_000, 48_000, 0).is_err());
    }

    #[test]
    fn a_converter_follows_its_source() {
        let mut converter = AudioConverter::new(48_000, 2);
        let mut out = Vec::new();
        let frame = |rate: u32, channels: u16| {
            AudioFrame::silence(rate as usize / 10, rate, channels, Duration::ZERO)
        };
        converter.process(&frame(48_000, 2), &mut out).unwrap();
        assert_eq!(out.len(), 9_600);
        for (rate, channels) in [(44_100, 1), (44_100, 1), (16_000, 2), (48_000, 1)] {
            out.clear();
            converter.process(&frame(rate, channels), &mut out).unwrap();
            assert!(
                (9_000..=9_700).contains(&out.len()),
                "{rate}: {}",
                out.len()
            );
        }
    }
}
