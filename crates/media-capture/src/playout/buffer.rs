//! Between a source that delivers when it likes and a device that asks when it must.

use super::OutputFormat;
use media::{AudioFrame, FrameError, Resampler};
use std::collections::VecDeque;
use std::time::Duration;

/// How much sound waits at first, at least and at most.
const FIRST_TARGET: Duration = Duration::from_millis(40);
const LEAST_TARGET: Duration = Duration::from_millis(20);
const MOST_TARGET: Duration = Duration::from_millis(250);
/// After running dry, this much more waits.
const RAISE: Duration = Duration::from_millis(15);
/// After this long in which [`SPARE`] would always have remained all the same, [`LOWER`] less waits.
const CALM: Duration = Duration::from_secs(10);
const LOWER: Duration = Duration::from_millis(5);
const SPARE: Duration = Duration::from_millis(10);
/// What waits beyond the target by this much, at once or on average, is thrown away.
const EXCESS: Duration = Duration::from_millis(200);
const AVERAGE_EXCESS: Duration = Duration::from_millis(80);
/// Speed per second of sound too much, beyond what is never corrected. Half a percent is a twelfth of a semitone,
/// which nobody hears, and more than any two clocks differ by.
const HASTE: f64 = 0.2;
const TOLERATED: f64 = 0.010;
const MOST_HASTE: f64 = 0.005;

/// How playing went so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayoutStats {
    /// How often there was nothing to play when there should have been.
    pub underruns: u64,
    /// Sound thrown away because too much waited.
    pub dropped: Duration,
    /// Sound played.
    pub played: Duration,
    /// Silence in its place, since it did not come in time.
    pub missing: Duration,
    /// Samples put in to play slower.
    pub inserted: u64,
    /// Samples left out to play faster, those thrown away included.
    pub removed: u64,
    /// How much sound waits.
    pub waiting: Duration,
    /// How much is to wait.
    pub target: Duration,
}

/// A buffer that holds as little sound as the jitter of its source allows, and plays a little faster or slower to
/// follow the source's clock. It reads no clock itself: time is how many samples were asked for.
#[derive(Debug)]
pub struct PlayoutBuffer {
    format: OutputFormat,
    resampler: Option<Resampler>,
    queue: VecDeque<i16>,
    scratch: Vec<i16>,
    /// Sample frames that are to wait.
    target: usize,
    /// The average of what waits, in sample frames.
    average: f64,
    playing: bool,
    largest_pull: usize,
    /// Sample frames asked for since it last ran dry or the target was looked at, and the fewest that remained.
    calm: usize,
    least: usize,
    underruns: u64,
    dropped: usize,
    played: usize,
    missing: usize,
    inserted: f64,
    removed: f64,
}

impl PlayoutBuffer {
    /// An empty buffer for a device of this format.
    pub fn new(format: OutputFormat) -> Self {
        let mut buffer = PlayoutBuffer {
            format,
            resampler: None,
            queue: VecDeque::new(),
            scratch: Vec::new(),
            target: 0,
            average: 0.0,
            playing: false,
            largest_pull: 0,
            calm: 0,
            least: usize::MAX,
            underruns: 0,
            dropped: 0,
            played: 0,
            missing: 0,
            inserted: 0.0,
            removed: 0.0,
        };
        buffer.target = buffer.frames(FIRST_TARGET);
        buffer
    }

    /// How it went so far.
    pub fn stats(&self) -> PlayoutStats {
        PlayoutStats {
            underruns: self.underruns,
            dropped: self.duration(self.dropped),
            played: self.duration(self.played),
            missing: self.duration(self.missing),
            inserted: self.inserted as u64,
            removed: self.removed as u64 + self.dropped as u64,
            waiting: self.duration(self.waiting()),
            target: self.duration(self.wanted()),
        }
    }

    /// Puts sound in.
    pub fn push(&mut self, sound: &AudioFrame) -> Result<(), FrameError> {
        let sound = sound.with_channels(self.format.channels);
        let fits = |r: &Resampler| r.input_rate() == sound.sample_rate();
        let mut resampler = match self.resampler.take().filter(fits) {
            Some(resampler) => resampler,
            None => Resampler::new(
                sound.sample_rate(),
                self.format.sample_rate,
                self.format.channels,
            )?,
        };
        let haste = self.haste();
        resampler.set_speed(1.0 + haste);
        resampler.process(sound.samples(), &mut self.scratch);
        // So many more samples, or fewer, would have come out at normal speed.
        let made = self.scratch.len() as f64 / f64::from(self.format.channels);
        self.removed += made * haste.max(0.0);
        self.inserted -= made * haste.min(0.0);
        self.resampler = Some(resampler);
        self.queue.extend(self.scratch.drain(..));
        self.shed();
        Ok(())
    }

    /// Throws away what waits in vain.
    fn shed(&mut self) {
        let (waiting, wanted) = (self.waiting(), self.wanted());
        let late = self.average as usize;
        let excess = if waiting > wanted + self.frames(EXCESS) {
            waiting - wanted
        } else if self.playing && late > wanted + self.frames(AVERAGE_EXCESS) {
            (late - wanted).min(waiting)
        } else {
            return;
        };
        self.queue
            .drain(..excess * usize::from(self.format.channels));
        self.dropped += excess;
        self.average = wanted as f64;
    }

    /// Fills `out` with the next sound, and with silence where there is none.
    pub fn pull(&mut self, out: &mut [i16]) {
        let channels = usize::from(self.format.channels);
        let asked = out.len() / channels;
        self.largest_pull = self.largest_pull.max(asked);
        self.average += 0.05 * (self.waiting() as f64 - self.average);
        if !self.playing && self.waiting() >= self.wanted() {
            self.playing = true;
            self.average = self.waiting() as f64;
        }
        let ready = if self.playing {
            self.queue.len().min(out.len())
        } else {
            0
        };
        let (sound, silence) = out.split_at_mut(ready);
        for (to, from) in sound.iter_mut().zip(self.queue.drain(..ready)) {
            *to = from;
        }
        silence.fill(0);
        self.played += ready / channels;
        // While nothing at all waits, the source may just be silent.
        let awaited = self.playing || (self.played > 0 && self.waiting() > 0);
        if awaited {
            self.missing += asked - ready / channels;
        }
        self.adapt(asked, self.playing && ready < asked * channels);
    }

    /// Lets more wait after running dry, and less after a calm time.
    fn adapt(&mut self, asked: usize, dry: bool) {
        if dry {
            self.underruns += 1;
            self.playing = false;
            let raised = self.target + self.frames(RAISE);
            self.target = raised.min(self.frames(MOST_TARGET));
        } else if self.playing {
            self.calm += asked;
            self.least = self.least.min(self.waiting());
            if self.calm < self.frames(CALM) {
                return;
            }
            // What would have remained, had no more waited on average than is wanted.
            let remained = self.least as f64 + self.wanted() as f64 - self.average;
            if remained > self.frames(SPARE + LOWER) as f64 {
                let lowered = self.target.saturating_sub(self.frames(LOWER));
                self.target = lowered.max(self.frames(LEAST_TARGET));
            }
        }
        self.calm = 0;
        self.least = usize::MAX;
    }

    /// How much faster than normal, for what waits on average.
    fn haste(&self) -> f64 {
        if !self.playing {
            return 0.0;
        }
        let excess = (self.average - self.wanted() as f64) / f64::from(self.format.sample_rate);
        let beyond = excess - excess.clamp(0.0, TOLERATED);
        (beyond * HASTE).clamp(-MOST_HASTE, MOST_HASTE)
    }

    fn waiting(&self) -> usize {
        self.queue.len() / usize::from(self.format.channels)
    }

    /// A device that asks for much at once needs more to wait.
    fn wanted(&self) -> usize {
        self.target.max(self.largest_pull * 3 / 2)
    }

    fn frames(&self, duration: Duration) -> usize {
        (duration.as_micros() * u128::from(self.format.sample_rate) / 1_000_000) as usize
    }

    fn duration(&self, frames: usize) -> Duration {
        Duration::from_secs_f64(frames as f64 / f64::from(self.format.sample_rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Tone, strength};

    const FORMAT: OutputFormat = OutputFormat {
        sample_rate: 48_000,
        channels: 2,
    };

    /// Simulates `seconds`: a source of 10 ms pieces whose clock runs `ppm` fast, which arrive `burst` at a time,
    /// and a device that asks for 10 ms at a time. Returns the buffer and the last fifth of a second played.
    fn simulate(seconds: u32, source_rate: u32, ppm: f64, burst: u32) -> (PlayoutBuffer, Vec<i16>) {
        let mut buffer = PlayoutBuffer::new(FORMAT);
        let mut tone = Tone::new(440.0);
        let mut last = VecDeque::new();
        let mut delivered = 0_u32;
        for tick in 0..seconds * 100 {
            let due = (f64::from(tick) * (1.0 + ppm / 1e6)) as u32 / burst * burst;
            while delivered < due {
                let frames = (source_rate / 100) as usize;
                let piece = tone.next(frames, source_rate, 1, Duration::ZERO).unwrap();
                buffer.push(&piece).unwrap();
                delivered += 1;
            }
            let mut out = [0; 960];
            buffer.pull(&mut out);
            last.extend(out);
            while last.len() > 19_200 {
                last.pop_front();
            }
        }
        (buffer, last.into())
    }

    fn assert_tone(sound: Vec<i16>) {
        let sound = AudioFrame::new(sound, 48_000, 2, Duration::ZERO).unwrap();
        let strength = strength(&sound, 440.0);
        assert!(strength > 0.2, "{strength}");
    }

    #[test]
    fn an_even_source_is_played_without_a_gap_and_soon() {
        let (buffer, sound) = simulate(20, 44_100, 0.0, 1);
        let stats = buffer.stats();
        assert_eq!((stats.underruns, stats.dropped), (0, Duration::ZERO));
        assert!(stats.waiting < Duration::from_millis(60), "{stats:?}");
        assert_tone(sound);
    }

    #[test]
    fn clocks_that_differ_do_not_run_it_dry_or_full() {
        for ppm in [-2_000.0, -300.0, 300.0, 2_000.0] {
            let (buffer, sound) = simulate(60, 48_000, ppm, 1);
            let stats = buffer.stats();
            assert_eq!(
                (stats.underruns, stats.dropped),
                (0, Duration::ZERO),
                "{ppm} ppm"
            );
            assert!(
                stats.waiting < Duration::from_millis(80),
                "{ppm} ppm: {stats:?}"
            );
            assert_tone(sound);
        }
    }

    #[test]
    fn a_source_in_bursts_is_learnt() {
        let (buffer, _) = simulate(5, 48_000, 0.0, 10);
        let learning = buffer.stats().underruns;
        assert!((1..=8).contains(&learning), "{learning} underruns");
        let (buffer, sound) = simulate(15, 48_000, 0.0, 10);
        assert!(
            buffer.stats().underruns <= learning + 1,
            "{:?}",
            buffer.stats()
        );
        assert_tone(sound);
    }

    #[test]
    fn what_is_missing_put_in_and_left_out_is_counted() {
        let (even, _) = simulate(20, 48_000, 0.0, 1);
        assert_eq!(even.stats().missing, Duration::ZERO);
        let (bursts, _) = simulate(5, 48_000, 0.0, 10);
        let stats = bursts.stats();
        assert!(stats.underruns > 0 && !stats.missing.is_zero(), "{stats:?}");
        // Nothing is expected before the first burst; since then everything asked for was there or was missing.
        let asked = Duration::from_millis(4_900);
        assert!(
            (stats.played + stats.missing).abs_diff(asked) < Duration::from_micros(50),
            "{stats:?}"
        );
        let stretched = |ppm| {
            let (buffer, _) = simulate(60, 48_000, ppm, 1);
            (buffer.stats().inserted, buffer.stats().removed)
        };
        // 2,000 ppm of a minute are 5,760 samples.
        let (inserted, removed) = stretched(2_000.0);
        assert!(
            (3_000..7_000).contains(&(removed - inserted)),
            "{inserted} {removed}"
        );
        let (inserted, removed) = stretched(-2_000.0);
        assert!(
            (3_000..7_000).contains(&(inserted - removed)),
            "{inserted} {removed}"
        );
    }

    #[test]
    fn too_much_at_once_is_thrown_away() {
        let mut buffer = PlayoutBuffer::new(FORMAT);
        let two_seconds = AudioFrame::silence(96_000, 48_000, 1, Duration::ZERO);
        buffer.push(&two_seconds).unwrap();
        let stats = buffer.stats();
        assert!(stats.dropped > Duration::from_millis(1_500), "{stats:?}");
        assert!(stats.waiting < Duration::from_millis(300), "{stats:?}");
    }
}
