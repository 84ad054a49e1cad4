//! Spreads a window over the round trip: a burst longer than a receiver's socket buffer is lost in it.

use std::time::Duration;

use crate::time::{Time, nanos};

/// Round trips below this are paced by their acknowledgements alone: timers are not finer.
const WORTH_PACING: Duration = Duration::from_millis(2);
/// What may always leave at once, in packets.
const BURST: usize = 32;

/// A bucket that fills at a little more than a window a round trip.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    enabled: bool,
    budget: usize,
    capacity: usize,
    refilled: Time,
    /// Bytes a second.
    rate: u64,
    packet: usize,
}

impl Pacer {
    pub(crate) fn new(enabled: bool, packet: usize) -> Self {
        Self {
            enabled,
            budget: BURST * packet,
            capacity: BURST * packet,
            refilled: Time::ZERO,
            rate: 0,
            packet,
        }
    }

    /// The window or the round trip changed.
    pub(crate) fn adjust(&mut self, window: usize, slow_start: bool, round_trip: Option<Duration>) {
        if !self.enabled {
            return;
        }
        let Some(round_trip) = round_trip.filter(|rtt| *rtt >= WORTH_PACING) else {
            self.rate = 0;
            return;
        };
        let gained = if slow_start {
            window * 2
        } else {
            window * 5 / 4
        };
        let rate = u128::from(gained as u64) * 1_000_000_000 / u128::from(nanos(round_trip).max(1));
        self.rate = (rate as u64).max(1);
        // At least what the rate gives in 2 ms, so that wake-ups stay few.
        self.capacity = (BURST * self.packet).max((self.rate / 500) as usize);
    }

    /// Whether a packet may leave.
    #[inline]
    pub(crate) fn allows(&mut self, now: Time) -> bool {
        if self.rate == 0 {
            return true;
        }
        let elapsed = now.0.saturating_sub(self.refilled.0);
        let gained = u128::from(elapsed) * u128::from(self.rate) / 1_000_000_000;
        if gained >= self.packet as u128 || self.budget >= self.capacity {
            let gained = usize::try_from(gained).unwrap_or(usize::MAX);
            self.budget = self.budget.saturating_add(gained).min(self.capacity);
            self.refilled = now;
        }
        self.budget >= self.packet
    }

    #[inline]
    pub(crate) fn sent(&mut self, bytes: usize) {
        if self.rate != 0 {
            self.budget = self.budget.saturating_sub(bytes);
        }
    }

    /// When a packet may leave after [`Pacer::allows`] said no: a few at a time.
    pub(crate) fn next(&self) -> Time {
        if self.rate == 0 {
            return Time::ZERO;
        }
        let wanted = (self.capacity / 4).max(self.packet) - self.budget.min(self.packet);
        let wait = u128::from(wanted as u64) * 1_000_000_000 / u128::from(self.rate);
        Time(
            self.refilled
                .0
                .saturating_add(wait as u64)
                .saturating_add(1),
        )
    }
}
