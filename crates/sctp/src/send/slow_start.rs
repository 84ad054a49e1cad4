//! Leaving slow start before the queue overflows: HyStart++ (RFC 9406), whose first sign is taken sooner.
//!
//! HyStart++ looks at the first samples of a round. A paced sender fills the queue in the course of one, so the quickest
//! of the latest eight samples is compared, at any time, with the smallest round trip ever: the same bounds, a round
//! sooner, which is half the overshoot. And where the queue has grown again by as much a round later, the path is full
//! without waiting for five rounds.

use std::time::Duration;

use super::rtt::RoundTrip;
use crate::serial::Tsn;

/// RFC 9406 §4.3.
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
const MIN_RTT_DIVISOR: u32 = 8;
const N_RTT_SAMPLE: u32 = 8;
const CSS_GROWTH_DIVISOR: usize = 4;
const CSS_ROUNDS: u32 = 5;

/// The rounds of slow start, each a window's round trip.
#[derive(Debug, Clone)]
pub(super) struct SlowStart {
    /// The round ends when this is acknowledged.
    end: Tsn,
    minimum: Duration,
    samples: u32,
    conservative: Option<Conservative>,
}

/// Conservative slow start (§4.2): the round trips grow, perhaps by chance.
#[derive(Debug, Clone, Copy)]
struct Conservative {
    baseline: Duration,
    rounds: u32,
}

impl SlowStart {
    pub(super) fn new(end: Tsn) -> Self {
        Self {
            end,
            minimum: Duration::MAX,
            samples: 0,
            conservative: None,
        }
    }

    /// What the growth of the window is divided by.
    pub(super) fn divisor(&self) -> usize {
        match self.conservative {
            Some(_) => CSS_GROWTH_DIVISOR,
            None => 1,
        }
    }

    /// Takes in a round trip (§4.2); `true` when the path is full.
    pub(super) fn is_over(&mut self, round_trip: &RoundTrip, cumulative: Tsn, next: Tsn) -> bool {
        let mut over = false;
        if !cumulative.before(self.end) {
            self.end = next;
            self.minimum = Duration::MAX;
            self.samples = 0;
            if let Some(conservative) = &mut self.conservative {
                conservative.rounds += 1;
                over = conservative.rounds >= CSS_ROUNDS;
            }
        }
        self.minimum = self.minimum.min(round_trip.latest());
        self.samples += 1;
        let smallest = round_trip.minimum();
        let threshold = (smallest / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
        let recent = round_trip.recent_minimum();
        match self.conservative {
            None => {
                if recent >= smallest + threshold {
                    self.conservative = Some(Conservative {
                        baseline: recent,
                        rounds: 0,
                    });
                }
            }
            // The growth was noise, or a burst of our own: back to slow start.
            Some(conservative)
                if self.samples >= N_RTT_SAMPLE
                    && conservative.rounds > 0
                    && self.minimum < conservative.baseline =>
            {
                self.conservative = None;
            }
            Some(conservative) => {
                over |= conservative.rounds > 0 && recent >= conservative.baseline + threshold;
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RtoConfig;

    struct Path {
        round_trip: RoundTrip,
        slow_start: SlowStart,
        at: Tsn,
    }

    impl Path {
        fn new() -> Self {
            Self {
                round_trip: RoundTrip::new(RtoConfig::default()),
                slow_start: SlowStart::new(Tsn(0)),
                at: Tsn(0),
            }
        }

        fn round(&mut self, millis: impl IntoIterator<Item = u64>) -> bool {
            let mut over = false;
            let next = self.at.plus(20);
            for sample in millis {
                self.round_trip.observe(Duration::from_millis(sample));
                over |= self.slow_start.is_over(&self.round_trip, self.at, next);
                self.at = self.at.next();
            }
            self.at = next;
            over
        }
    }

    #[test]
    fn a_queue_slows_the_growth_and_ends_it_after_five_rounds() {
        let mut path = Path::new();
        assert!(!path.round([40; 10]));
        assert!(!path.round([43; 10]));
        assert_eq!(path.slow_start.divisor(), 1);
        // Within the round.
        assert!(!path.round([40, 41, 42, 43, 44, 45, 46, 47, 48, 48, 48, 48]));
        assert_eq!(path.slow_start.divisor(), 1);
        assert!(!path.round([48; 9]));
        assert_eq!(path.slow_start.divisor(), 4);
        for _ in 0..4 {
            assert!(!path.round([48; 10]));
        }
        assert!(path.round([48; 10]));
    }

    #[test]
    fn a_queue_that_grows_on_ends_it_a_round_later() {
        let mut path = Path::new();
        path.round([40; 10]);
        assert!(!path.round([46; 10]));
        assert!(!path.round([50; 10]));
        assert!(path.round([51; 10]));
    }

    #[test]
    fn a_round_that_is_quick_again_takes_it_back() {
        let mut path = Path::new();
        path.round([40; 10]);
        path.round([60; 10]);
        assert_eq!(path.slow_start.divisor(), 4);
        path.round([41; 10]);
        assert_eq!(path.slow_start.divisor(), 1);
    }
}
