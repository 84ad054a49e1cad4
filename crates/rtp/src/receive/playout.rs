//! When frames are due: the transit times of past frames decide how long the next ones are held back.
//!
//! A frame's transit is its arrival on our clock less its timestamp on the sender's; only differences mean anything.
//! A histogram of transits, in which old frames fade, gives the delay that a chosen share of frames would have met.
//! Nothing about the path is assumed: jitter, retransmissions and slow large frames all show as late arrivals.

use std::time::{Duration, Instant};

use super::Playout;

/// Width and number of the histogram's bins: 2 s in all, a quarter of them below the first frame.
const BIN_MICROS: i64 = 4_000;
const BINS: usize = 512;
/// A frame's weight fades to 1/e after 500 later ones.
const GROWTH: f32 = 1.002;
/// So many frames in a row outside the histogram are a new path or a new clock, not outliers.
const OUTLIERS: u32 = 15;
/// How fast the delay shrinks: 2 % of time, which a player hides.
const SHRINK_PER_SECOND_MICROS: i64 = 20_000;
/// Before this many frames the histogram says little, and the delay is at least this.
const WARM_UP_FRAMES: u32 = 25;
const WARM_UP_MICROS: i64 = 30_000;

#[derive(Debug)]
pub(super) struct PlayoutClock {
    settings: Playout,
    clock_rate: u32,
    /// A moment and a timestamp that count as simultaneous.
    reference: Option<(Instant, i64)>,
    histogram: Box<[f32; BINS]>,
    total: f32,
    weight: f32,
    /// The transit at the histogram's lower end.
    anchor: i64,
    frames: u32,
    outside: u32,
    /// The least usual transit, and the one at which frames are due.
    low: i64,
    aim: i64,
    /// Where that would lie without a least delay.
    network_aim: i64,
    moved: Option<Instant>,
}

impl PlayoutClock {
    pub(super) fn new(settings: Playout, clock_rate: u32) -> Self {
        Self {
            settings,
            clock_rate,
            reference: None,
            histogram: Box::new([0.0; BINS]),
            total: 0.0,
            weight: 1.0,
            anchor: 0,
            frames: 0,
            outside: 0,
            low: 0,
            aim: 0,
            network_aim: 0,
            moved: None,
        }
    }

    /// Whether frames are due as soon as they are complete.
    pub(super) fn immediate(&self) -> bool {
        self.settings.max_delay.is_zero()
    }

    pub(super) fn set_limits(&mut self, min: Duration, max: Duration) {
        self.settings.min_delay = min;
        self.settings.max_delay = max;
        self.aim_again(None, Duration::ZERO);
    }

    fn transit(&self, arrival: Instant, timestamp: i64) -> Option<i64> {
        let (base, first) = self.reference?;
        let elapsed = micros_between(base, arrival);
        Some(elapsed - self.ticks_to_micros(timestamp - first))
    }

    fn ticks_to_micros(&self, ticks: i64) -> i64 {
        let rate = i64::from(self.clock_rate.max(1));
        // Split, so that no timestamp overflows the product.
        (ticks / rate).saturating_mul(1_000_000) + (ticks % rate) * 1_000_000 / rate
    }

    /// Takes note of a whole frame, complete at `arrival`; `jitter` is the interarrival jitter of RFC 3550.
    pub(super) fn observe(&mut self, arrival: Instant, timestamp: i64, jitter: Duration) {
        if self.reference.is_none() {
            self.reference = Some((arrival, timestamp));
            self.restart(0);
        }
        let Some(transit) = self.transit(arrival, timestamp) else {
            return;
        };
        let bin = (transit - self.anchor).div_euclid(BIN_MICROS);
        if (0..BINS as i64).contains(&bin) {
            self.outside = 0;
        } else {
            self.outside += 1;
            if self.outside >= OUTLIERS {
                self.restart(transit);
            }
        }
        let bin = (transit - self.anchor)
            .div_euclid(BIN_MICROS)
            .clamp(0, BINS as i64 - 1) as usize;
        if let Some(place) = self.histogram.get_mut(bin) {
            *place += self.weight;
        }
        self.total += self.weight;
        self.weight *= GROWTH;
        if self.weight > 1e9 {
            self.renormalise();
        }
        self.frames = self.frames.saturating_add(1);
        self.aim_again(Some(arrival), jitter);
    }

    fn restart(&mut self, transit: i64) {
        self.histogram.fill(0.0);
        self.total = 0.0;
        self.weight = 1.0;
        self.anchor = transit - BIN_MICROS * (BINS as i64 / 4);
        self.frames = 0;
        self.outside = 0;
        self.low = transit;
        self.aim = transit;
        self.network_aim = transit;
        self.moved = None;
    }

    fn renormalise(&mut self) {
        let scale = 1.0 / self.weight;
        for place in self.histogram.iter_mut() {
            *place *= scale;
        }
        self.total *= scale;
        self.weight = 1.0;
    }

    /// Where the lowest frames lie and where the chosen share of frames would be in time.
    fn quantiles(&self, low: f32, high: f32) -> (usize, usize) {
        let mut sum = 0.0;
        let mut first = None;
        for (bin, weight) in self.histogram.iter().enumerate() {
            sum += weight;
            if first.is_none() && sum > low * self.total {
                first = Some(bin);
            }
            if sum >= high * self.total {
                return (first.unwrap_or(bin), bin);
            }
        }
        (first.unwrap_or(0), BINS - 1)
    }

    fn aim_again(&mut self, now: Option<Instant>, jitter: Duration) {
        if self.immediate() || self.frames == 0 {
            return;
        }
        let (low, high) = self.quantiles(0.01, self.settings.in_time.clamp(0.0, 0.999));
        self.low = self.anchor + low as i64 * BIN_MICROS;
        let mut aim = self.anchor + (high as i64 + 1) * BIN_MICROS;
        // The interarrival jitter is a mean: twice that is a floor while the histogram still fills.
        aim = aim.max(self.low + 2 * micros(jitter));
        if self.frames < WARM_UP_FRAMES {
            aim = aim.max(self.low + WARM_UP_MICROS);
        }
        let min = micros(self.settings.min_delay);
        let max = micros(self.settings.max_delay).max(min);
        let elapsed = match (self.moved, now) {
            (Some(moved), Some(now)) => micros_between(moved, now).clamp(0, 1_000_000),
            _ => 0,
        };
        let step = elapsed * SHRINK_PER_SECOND_MICROS / 1_000_000;
        self.network_aim = aim
            .clamp(self.low, self.low + max)
            .max(self.network_aim - step);
        self.aim = aim
            .clamp(self.low + min, self.low + max)
            .max(self.aim - step);
        self.moved = now.or(self.moved);
    }

    /// The delay aimed at, above the least usual transit.
    pub(super) fn target(&self) -> Duration {
        if self.immediate() {
            return Duration::ZERO;
        }
        Duration::from_micros(u64::try_from(self.aim - self.low).unwrap_or(0))
    }

    /// The same, had the network alone decided.
    pub(super) fn network_target(&self) -> Duration {
        if self.immediate() {
            return Duration::ZERO;
        }
        Duration::from_micros(u64::try_from(self.network_aim - self.low).unwrap_or(0))
    }

    /// When a frame is due that arrived at `arrival`.
    pub(super) fn due(&self, arrival: Instant, timestamp: i64) -> Instant {
        match self.reference {
            Some((base, first)) if !self.immediate() => {
                let after = self
                    .ticks_to_micros(timestamp.saturating_sub(first))
                    .saturating_add(self.aim);
                let due = moved_by(base, after).unwrap_or(arrival);
                // A timestamp far ahead must not hold the stream back for longer than the delay may be.
                due.min(arrival + self.settings.max_delay.max(self.settings.min_delay))
            }
            _ => arrival,
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// From `from` to `to`, negative when that lies back.
fn micros_between(from: Instant, to: Instant) -> i64 {
    match to.checked_duration_since(from) {
        Some(ahead) => micros(ahead),
        None => -micros(from.saturating_duration_since(to)),
    }
}

fn moved_by(base: Instant, by: i64) -> Option<Instant> {
    let distance = Duration::from_micros(by.unsigned_abs());
    if by < 0 {
        base.checked_sub(distance)
    } else {
        base.checked_add(distance)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "one base for the simulated clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn clock() -> PlayoutClock {
        PlayoutClock::new(Playout::default(), 48_000)
    }

    /// Frames every 20 ms with the given extra transit; the share that came after they were due.
    fn late_share(clock: &mut PlayoutClock, frames: u64, mut extra: impl FnMut(u64) -> u64) -> f64 {
        let base = start() + Duration::from_secs(1);
        let mut late = 0;
        for index in 0..frames {
            let arrival =
                base + Duration::from_millis(20 * index) + Duration::from_micros(extra(index));
            let timestamp = index as i64 * 960;
            if index > 200 && arrival > clock.due(arrival, timestamp) {
                late += 1;
            }
            clock.observe(arrival, timestamp, Duration::ZERO);
        }
        late as f64 / (frames - 200) as f64
    }

    #[test]
    fn without_jitter_the_delay_shrinks_to_the_least() {
        let mut clock = clock();
        late_share(&mut clock, 2000, |_| 0);
        assert!(
            clock.target() <= Duration::from_millis(14),
            "{:?}",
            clock.target()
        );
    }

    #[test]
    fn the_delay_covers_the_jitter_and_little_more() {
        let mut rng = StdRng::seed_from_u64(3);
        let mut clock = clock();
        let late = late_share(&mut clock, 5000, |_| rng.random_range(0..60_000));
        assert!(late < 0.06, "{late}");
        let target = clock.target();
        assert!((48..72).contains(&target.as_millis()), "{target:?}");
    }

    #[test]
    fn a_lone_spike_leaves_the_delay_alone_but_a_habit_raises_it() {
        let mut clock = clock();
        late_share(
            &mut clock,
            2000,
            |index| if index == 1500 { 300_000 } else { 0 },
        );
        assert!(clock.target() < Duration::from_millis(20));
        let mut clock = self::clock();
        late_share(
            &mut clock,
            2000,
            |index| if index % 10 == 0 { 120_000 } else { 0 },
        );
        assert!(
            clock.target() >= Duration::from_millis(116),
            "{:?}",
            clock.target()
        );
    }

    #[test]
    fn a_new_timestamp_origin_is_followed() {
        let mut clock = clock();
        late_share(&mut clock, 500, |_| 0);
        let base = start() + Duration::from_secs(100);
        for index in 0..100 {
            let arrival = base + Duration::from_millis(20 * index);
            clock.observe(arrival, 1_000_000_000 + index as i64 * 960, Duration::ZERO);
        }
        let arrival = base + Duration::from_millis(2000);
        let due = clock.due(arrival, 1_000_000_000 + 96_000);
        assert!(due.saturating_duration_since(arrival) < Duration::from_millis(60));
        assert!(arrival <= due + Duration::from_millis(5));
    }
}
