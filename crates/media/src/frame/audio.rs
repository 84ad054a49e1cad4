//! Sound as interleaved signed 16-bit samples.

use super::FrameError;
use std::sync::Arc;
use std::time::Duration;

/// A piece of sound: interleaved 16-bit samples. Cloning shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct AudioFrame {
    samples: Arc<[i16]>,
    sample_rate: u32,
    channels: u16,
    timestamp: Duration,
}

impl AudioFrame {
    /// A frame of `samples`, interleaved, whose first one was taken `timestamp` after the source started.
    pub fn new(
        samples: impl Into<Arc<[i16]>>,
        sample_rate: u32,
        channels: u16,
        timestamp: Duration,
    ) -> Result<Self, FrameError> {
        let samples = samples.into();
        if sample_rate == 0 || channels == 0 || !samples.len().is_multiple_of(usize::from(channels))
        {
            return Err(FrameError::Audio {
                samples: samples.len(),
                sample_rate,
                channels,
            });
        }
        Ok(AudioFrame {
            samples,
            sample_rate,
            channels,
            timestamp,
        })
    }

    /// Silence of `frames` samples in each channel. A rate or channel count of zero counts as one.
    pub fn silence(frames: usize, sample_rate: u32, channels: u16, timestamp: Duration) -> Self {
        let channels = channels.max(1);
        AudioFrame {
            samples: std::iter::repeat_n(0, frames * usize::from(channels)).collect(),
            sample_rate: sample_rate.max(1),
            channels,
            timestamp,
        }
    }

    /// The samples, channels interleaved.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Samples a second in each channel.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Interleaved channels.
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// Samples in each channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.channels)
    }

    /// How long it sounds.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.frames() as u64 * 1_000_000_000 / u64::from(self.sample_rate))
    }

    /// Time since the source started.
    pub fn timestamp(&self) -> Duration {
        self.timestamp
    }

    /// The same samples at another time.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: Duration) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// The root mean square of the samples of the loudest channel, full scale being 1: what levels and energies are made of
    /// (W3C Statistics, `totalAudioEnergy`).
    pub fn loudest_rms(&self) -> f64 {
        let channels = usize::from(self.channels).max(1);
        let energy = |channel: usize| -> f64 {
            let samples = self.samples.iter().skip(channel).step_by(channels);
            samples.map(|&s| (f64::from(s) / 32768.0).powi(2)).sum()
        };
        let most = (0..channels).map(energy).fold(0.0, f64::max);
        (most / self.frames().max(1) as f64).sqrt()
    }

    /// The root mean square of the samples, full scale being 1.
    pub fn rms(&self) -> f64 {
        if self.samples.is_empty() {
            return 0.0;
        }
        let sum: f64 = self
            .samples
            .iter()
            .map(|&s| (f64::from(s) / 32768.0).powi(2))
            .sum();
        (sum / self.samples.len() as f64).sqrt()
    }

    /// The same sound with another number of channels: mono is copied to all, and anything is averaged to mono;
    /// between two other counts the first channels are kept and missing ones are silent.
    #[must_use]
    pub fn with_channels(&self, channels: u16) -> AudioFrame {
        let channels = channels.max(1);
        if channels == self.channels {
            return self.clone();
        }
        let from = usize::from(self.channels);
        let to = usize::from(channels);
        let mut out = Vec::with_capacity(self.frames() * to);
        for frame in self.samples.chunks_exact(from) {
            if to == 1 {
                let sum: i32 = frame.iter().map(|&s| i32::from(s)).sum();
                out.push((sum / from as i32) as i16);
            } else if from == 1 {
                out.extend(std::iter::repeat_n(frame[0], to));
            } else {
                out.extend((0..to).map(|i| frame.get(i).copied().unwrap_or(0)));
            }
        }
        AudioFrame {
            samples: out.into(),
            channels,
            ..self.clone()
        }
    }
}

impl std::fmt::Debug for AudioFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioFrame")
            .field("frames", &self.frames())
            .field("sample_rate", &self.sample_rate)
            .field("channels", &self.channels)
            .field("timestamp", &self.timestamp)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_half_a_sample_frame() {
        assert!(AudioFrame::new(vec![1, 2, 3], 48_000, 2, Duration::ZERO).is_err());
        assert!(AudioFrame::new(vec![1, 2], 0, 2, Duration::ZERO).is_err());
        assert!(AudioFrame::new(vec![1, 2], 48_000, 0, Duration::ZERO).is_err());
    }

    #[test]
    fn knows_its_length_and_loudness() {
        let frame = AudioFrame::new(vec![16384; 960], 48_000, 2, Duration::ZERO).unwrap();
        assert_eq!(frame.frames(), 480);
        assert_eq!(frame.duration(), Duration::from_millis(10));
        assert!((frame.rms() - 0.5).abs() < 1e-9);
        assert_eq!(
            AudioFrame::silence(480, 48_000, 1, Duration::ZERO).rms(),
            0.0
        );
    }

    #[test]
    fn changes_the_number_of_channels() {
        let stereo = AudioFrame::new(vec![100, 300, -4, 4], 48_000, 2, Duration::ZERO).unwrap();
        assert_eq!(stereo.with_channels(1).samples(), [200, 0]);
        let mono = stereo.with_channels(1);
        assert_eq!(mono.with_channels(2).samples(), [200, 200, 0, 0]);
        assert_eq!(stereo.with_channels(3).samples(), [100, 300, 0, -4, 4, 0]);
    }
}
