//! Round-trip time and retransmission timeout (RFC 9260 §6.3.1).

use std::time::Duration;

use crate::config::RtoConfig;

/// Smoothed round-trip time and the timeout it gives.
#[derive(Debug, Clone)]
pub(crate) struct RoundTrip {
    config: RtoConfig,
    smoothed: Option<Duration>,
    variation: Duration,
    rto: Duration,
    minimum: Duration,
    /// The latest samples, a ring.
    recent: [Duration; RECENT],
    next: usize,
}

/// Samples whose minimum is the round trip of the moment: N_RTT_SAMPLE of RFC 9406 §4.3, enough for jitter to pass.
const RECENT: usize = 8;

impl RoundTrip {
    pub(crate) fn new(config: RtoConfig) -> Self {
        Self {
            config,
            smoothed: None,
            variation: Duration::ZERO,
            rto: config.initial,
            minimum: Duration::MAX,
            recent: [Duration::ZERO; RECENT],
            next: 0,
        }
    }

    /// C2 and C3: the first measurement, and every other with alpha 1/8 and beta 1/4.
    pub(crate) fn measure(&mut self, sample: Duration) {
        self.observe(sample);
        let smoothed = match self.smoothed {
            None => {
                self.variation = sample / 2;
                sample
            }
            Some(smoothed) => {
                let difference = smoothed.abs_diff(sample);
                self.variation = (self.variation * 3 + difference) / 4;
                (smoothed * 7 + sample) / 8
            }
        };
        self.smoothed = Some(smoothed);
        // G1 of RFC 9260: a clock of 1 ms granularity, as timers are not finer.
        let margin = (self.variation * 4).max(Duration::from_millis(1));
        self.rto = (smoothed + margin).clamp(self.config.min, self.config.max);
    }

    /// Feeds the minima only.
    pub(crate) fn observe(&mut self, sample: Duration) {
        if self.minimum == Duration::MAX {
            self.recent = [sample; RECENT];
        }
        self.minimum = self.minimum.min(sample);
        self.recent[self.next] = sample;
        self.next = (self.next + 1) % RECENT;
    }

    /// Whether a queue stands on the path: the round trip of the moment exceeds the smallest one seen by more than
    /// noise. HyStart++ leaves slow start by the same comparison with an eighth of the round trip, 4 to 16 ms (RFC 9406
    /// §4.2). A queue of 3 ms is to be seen as well, so here it is a quarter of that.
    pub(crate) fn queue_stands(&self) -> bool {
        let minimum = self.minimum();
        let noise = (minimum / 32).clamp(Duration::from_millis(1), Duration::from_millis(4));
        self.recent_minimum() > minimum + noise
    }

    /// The quickest of the latest samples.
    pub(crate) fn recent_minimum(&self) -> Duration {
        self.recent.iter().min().copied().unwrap_or_default()
    }

    /// The latest sample.
    pub(crate) fn latest(&self) -> Duration {
        self.recent[(self.next + RECENT - 1) % RECENT]
    }

    /// E2 of §6.3.3: the timer expired.
    pub(crate) fn back_off(&mut self) {
        self.rto = (self.rto * 2).min(self.config.max);
    }

    pub(crate) fn rto(&self) -> Duration {
        self.rto
    }

    /// How long an acknowledgement may take before the tail is probed. RFC 8985 §7.2 has two round trips; where the
    /// round trip hardly varies, RFC 9002 §6.2.1 shows that less will do.
    pub(crate) fn probe_wait(&self, smoothed: Duration) -> Duration {
        (smoothed + (self.variation * 4).max(smoothed / 4)).min(smoothed * 2)
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The smallest round trip seen; zero before any.
    pub(crate) fn minimum(&self) -> Duration {
        if self.minimum == Duration::MAX {
            Duration::ZERO
        } else {
            self.minimum
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stands_when_even_the_quickest_of_the_latest_round_trips_is_slow() {
        let mut rtt = RoundTrip::new(RtoConfig::default());
        assert!(!rtt.queue_stands());
        rtt.measure(Duration::from_millis(80));
        for _ in 0..20 {
            rtt.observe(Duration::from_millis(120));
            rtt.observe(Duration::from_millis(82));
        }
        assert!(!rtt.queue_stands());
        for _ in 0..8 {
            rtt.observe(Duration::from_millis(83));
        }
        assert!(rtt.queue_stands());
    }

    #[test]
    fn follows_the_formulas_and_the_bounds() {
        let mut rtt = RoundTrip::new(RtoConfig {
            initial: Duration::from_secs(1),
            min: Duration::from_millis(100),
            max: Duration::from_secs(2),
        });
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.measure(Duration::from_millis(100));
        assert_eq!(rtt.rto(), Duration::from_millis(300));
        rtt.measure(Duration::from_millis(200));
        assert_eq!(rtt.smoothed(), Some(Duration::from_micros(112_500)));
        // RTTVAR = 3/4 * 50 ms + 1/4 * 100 ms.
        assert_eq!(rtt.rto(), Duration::from_micros(112_500 + 4 * 62_500));
        for _ in 0..5 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), Duration::from_secs(2));
        for _ in 0..200 {
            rtt.measure(Duration::from_millis(1));
        }
        assert_eq!(rtt.rto(), Duration::from_millis(100));
        assert_eq!(rtt.minimum(), Duration::from_millis(1));
    }
}
