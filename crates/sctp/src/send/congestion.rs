//! Congestion control: NewReno as RFC 9260 §7.2 has it, and CUBIC (RFC 9438) on the same events.

use std::time::Duration;

use crate::config::CongestionControl;
use crate::time::Time;

/// RFC 9438 §4.6.
const BETA: f64 = 0.7;
/// RFC 9438 §5.1: the aggressiveness constant, in segments over seconds cubed.
const C: f64 = 0.4;

/// The window and what moves it. Bytes count chunk headers and padding (RFC 9260 §7.2.2).
#[derive(Debug, Clone)]
pub(crate) struct Congestion {
    kind: CongestionControl,
    window: usize,
    threshold: usize,
    partial_acked: usize,
    segment: usize,
    cubic: Cubic,
}

#[derive(Debug, Clone, Default)]
struct Cubic {
    /// W_max in segments.
    maximum: f64,
    /// K in seconds.
    k: f64,
    /// When this congestion avoidance stage began; `None` right after a loss.
    epoch: Option<Time>,
    /// The window at the epoch, in segments.
    start: f64,
    /// W_est in segments.
    estimate: f64,
    /// Fractions of a byte not yet in the window.
    credit: f64,
}

impl Congestion {
    /// `segment` is the room for chunks in a packet. RFC 9260 §7.2.1 starts at four segments; ten is what RFC 6928
    /// made of it for TCP and what the common WebRTC stacks use.
    pub(crate) fn new(kind: CongestionControl, segment: usize) -> Self {
        Self {
            kind,
            window: 10 * segment,
            threshold: usize::MAX,
            partial_acked: 0,
            segment,
            cubic: Cubic::default(),
        }
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// New chunks were acknowledged, outside of recovery. `limited`: the window was in full use before.
    pub(crate) fn on_ack(
        &mut self,
        now: Time,
        bytes: usize,
        flight_before: usize,
        limited: bool,
        round_trip: Duration,
    ) {
        if !limited {
            return;
        }
        if self.in_slow_start() {
            // L of RFC 3465 is unbounded here: one SACK may stand for many packets when datagrams are handled in
            // batches, and pacing keeps the burst away.
            self.window = self.window.saturating_add(bytes);
            return;
        }
        match self.kind {
            CongestionControl::NewReno => self.reno_avoidance(bytes, flight_before),
            CongestionControl::Cubic => self.cubic_avoidance(now, bytes, round_trip),
        }
    }

    fn reno_avoidance(&mut self, bytes: usize, flight_before: usize) {
        self.partial_acked += bytes;
        if self.partial_acked >= self.window {
            if flight_before >= self.window {
                self.partial_acked -= self.window;
                self.window += self.segment;
            } else {
                self.partial_acked = self.window;
            }
        }
    }

    fn cubic_avoidance(&mut self, now: Time, bytes: usize, round_trip: Duration) {
        let segment = self.segment as f64;
        let window = self.window as f64 / segment;
        let cubic = &mut self.cubic;
        let epoch = match cubic.epoch {
            Some(epoch) => epoch,
            None => {
                // §4.2: after a loss W_max is above; after slow start without one the plateau is here.
                if cubic.maximum < window {
                    cubic.maximum = window;
                }
                cubic.k = ((cubic.maximum - window) / C).cbrt();
                cubic.start = window;
                cubic.estimate = window;
                cubic.epoch = Some(now);
                now
            }
        };
        let t = now.since(epoch).as_secs_f64();
        let w = |t: f64| C * (t - cubic.k).powi(3) + cubic.maximum;
        // §4.3: as fast as Reno would be, by its own steps of alpha.
        let alpha = if cubic.estimate < cubic.maximum {
            3.0 * (1.0 - BETA) / (1.0 + BETA)
        } else {
            1.0
        };
        let acked = bytes as f64 / segment;
        let reno = cubic.estimate + alpha * acked / window;
        let target = w(t + round_trip.as_secs_f64()).clamp(window, 1.5 * window);
        let growth = if w(t) < reno {
            (reno - window).max(0.0)
        } else {
            (target - window) / window * acked
        };
        cubic.estimate = reno;
        cubic.credit += growth * segment;
        let whole = cubic.credit.floor().max(0.0);
        cubic.credit -= whole;
        self.window += whole as usize;
    }

    /// Loss was found by SACKs: once for each recovery.
    pub(crate) fn on_loss(&mut self) {
        let floor = 4 * self.segment;
        match self.kind {
            CongestionControl::NewReno => self.threshold = (self.window / 2).max(floor),
            CongestionControl::Cubic => {
                self.remember_maximum();
                let reduced = (self.window as f64 * BETA) as usize;
                self.threshold = reduced.max(floor);
            }
        }
        self.window = self.threshold;
        self.partial_acked = 0;
    }

    /// T3-rtx expired: back to one segment and slow start (RFC 9260 §7.2.3).
    pub(crate) fn on_timeout(&mut self) {
        let floor = 4 * self.segment;
        let keep = match self.kind {
            CongestionControl::NewReno => self.window / 2,
            CongestionControl::Cubic => {
                self.remember_maximum();
                (self.window as f64 * BETA) as usize
            }
        };
        // A second timeout in a row finds the window small; the threshold is not to follow it down at once.
        if self.window > self.segment {
            self.threshold = keep.max(floor);
        }
        self.window = self.segment;
        self.partial_acked = 0;
    }

    /// Nothing was sent for one RTO (RFC 9260 §7.2.1).
    pub(crate) fn on_idle(&mut self) {
        let initial = 10 * self.segment;
        if self.window > initial {
            if self.threshold == usize::MAX {
                self.threshold = self.window;
            }
            self.window = (self.window / 2).max(initial);
        }
        self.cubic.epoch = None;
    }

    /// All was acknowledged.
    pub(crate) fn on_all_acked(&mut self) {
        self.partial_acked = 0;
    }

    /// §4.7: fast convergence.
    fn remember_maximum(&mut self) {
        let window = self.window as f64 / self.segment as f64;
        let cubic = &mut self.cubic;
        cubic.maximum = if window < cubic.maximum {
            window * (1.0 + BETA) / 2.0
        } else {
            window
        };
        cubic.epoch = None;
        cubic.credit = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 1000;

    #[test]
    fn new_reno_halves_on_loss_and_grows_by_a_segment_a_round_trip() {
        let mut cc = Congestion::new(CongestionControl::NewReno, SEGMENT);
        cc.on_ack(Time::ZERO, 10_000, 10_000, true, Duration::ZERO);
        assert_eq!(cc.window(), 20_000);
        cc.on_loss();
        assert_eq!(cc.window(), 10_000);
        assert!(!cc.in_slow_start());
        for _ in 0..10 {
            cc.on_ack(Time::ZERO, 1000, 10_000, true, Duration::ZERO);
        }
        assert_eq!(cc.window(), 11_000);
        cc.on_timeout();
        assert_eq!(cc.window(), 1000);
        assert!(cc.in_slow_start());
    }

    #[test]
    fn cubic_returns_to_the_old_maximum_after_k_seconds() {
        let mut cc = Congestion::new(CongestionControl::Cubic, SEGMENT);
        cc.on_ack(Time::ZERO, 990_000, 10_000, true, Duration::ZERO);
        assert_eq!(cc.window(), 1_000_000);
        cc.on_loss();
        assert_eq!(cc.window(), 700_000);
        // K = cbrt(300 / 0.4) = 9.09 s.
        let round_trip = Duration::from_millis(100);
        let mut now = Time::ZERO;
        for _ in 0..91 {
            let window = cc.window();
            cc.on_ack(now, window, window, true, round_trip);
            now = now.plus(round_trip);
        }
        let window = cc.window();
        assert!((980_000..1_010_000).contains(&window), "{window}");
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        for kind in [CongestionControl::Cubic, CongestionControl::NewReno] {
            let mut cc = Congestion::new(kind, SEGMENT);
            cc.on_ack(Time::ZERO, 500, 500, false, Duration::ZERO);
            assert_eq!(cc.window(), 10_000);
        }
    }
}
