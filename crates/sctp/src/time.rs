//! Time inside an association: nanoseconds since it first saw the clock, in one machine word.

use std::time::{Duration, Instant};

/// A moment; [`Time::NEVER`] for a timer that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    pub(crate) const NEVER: Time = Time(u64::MAX);
    pub(crate) const ZERO: Time = Time(0);

    #[inline]
    pub(crate) fn plus(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanos(duration)))
    }

    #[inline]
    pub(crate) fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn is_set(self) -> bool {
        self != Self::NEVER
    }
}

/// A duration in nanoseconds, at most 584 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

/// Translates between the caller's clock and ours.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    base: Option<Instant>,
}

impl Clock {
    #[inline]
    pub(crate) fn time(&mut self, now: Instant) -> Time {
        let base = *self.base.get_or_insert(now);
        Time(nanos(now.saturating_duration_since(base)))
    }

    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        if !time.is_set() {
            return None;
        }
        self.base?.checked_add(Duration::from_nanos(time.0))
    }
}
