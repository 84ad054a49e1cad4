//! Asking for a keyframe until one comes, without flooding the sender.

use std::time::{Duration, Instant};

/// Requests are at least this far apart: an encoder needs time, and a keyframe to travel.
const LEAST_INTERVAL: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub(super) struct KeyframeRequest {
    /// When to ask next, while a keyframe is wanted.
    next: Option<Instant>,
    last: Option<Instant>,
}

impl KeyframeRequest {
    /// A keyframe is wanted; ask at `at` unless asking is under way.
    pub(super) fn want(&mut self, at: Instant) {
        if self.next.is_none() {
            let spaced = self.last.map(|last| last + LEAST_INTERVAL);
            self.next = Some(spaced.map_or(at, |spaced| spaced.max(at)));
        }
    }

    /// A keyframe came.
    pub(super) fn satisfied(&mut self) {
        self.next = None;
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether to ask now; the next time is a round trip later, at least.
    pub(super) fn due(&mut self, now: Instant, round_trip: Option<Duration>) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        let interval = round_trip.map_or(LEAST_INTERVAL, |rtt| (rtt * 3 / 2).max(LEAST_INTERVAL));
        self.last = Some(now);
        self.next = Some(now + interval);
        true
    }
}
