//! Congestion control: NewReno as RFC 9260 §7.2 has it, CUBIC (RFC 9438) on the same events, and CUBIC that tells
//! losses of the path from those of a full queue.

use std::time::Duration;

use super::rtt::RoundTrip;
use super::slow_start::SlowStart;
use crate::config::CongestionControl;
use crate::serial::Tsn;
use crate::time::Time;

/// RFC 9438 §4.6.
const BETA: f64 = 0.7;
/// RFC 9438 §5.1: the aggressiveness constant, in segments over seconds cubed.
const C: f64 = 0.4;
/// What is left of the window after a loss without a queue. Ours: by the response function of RFC 9438 §5.2, with one
/// segment a round trip, 3.6 times NewReno's window at the same loss rate.
const BETA_ACCIDENT: f64 = 0.95;

/// Why chunks were lost, as far as the round trips tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A queue stood on the path, or many were lost.
    Congestion,
    /// No queue was there to overflow.
    Accident,
}

/// The window and what moves it. Bytes count chunk headers and padding (RFC 9260 §7.2.2).
#[derive(Debug, Clone)]
pub(crate) struct Congestion {
    kind: CongestionControl,
    window: usize,
    threshold: usize,
    partial_acked: usize,
    segment: usize,
    /// The window before the last loss, while the loss was taken for an accident.
    forgiven: Option<usize>,
    usage: Usage,
    slow_start: SlowStart,
    cubic: Cubic,
}

/// How much of the window was in use over the last round trip. A moment says too little: acknowledgements come in
/// batches, and the pacer holds packets back that the window would let go.
#[derive(Debug, Clone)]
struct Usage {
    /// The round ends when this is acknowledged.
    end: Tsn,
    /// The window was full.
    limited: bool,
    most: usize,
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
    /// The last loss was an accident: back to W_max by whole segments.
    accident: bool,
}

impl Congestion {
    /// `segment` is the room for chunks in a packet. RFC 9260 §7.2.1 starts at four segments; ten is what RFC 6928
    /// made of it for TCP and what the common WebRTC stacks use.
    pub(crate) fn new(kind: CongestionControl, segment: usize, first: Tsn) -> Self {
        Self {
            kind,
            window: 10 * segment,
            threshold: usize::MAX,
            partial_acked: 0,
            segment,
            forgiven: None,
            usage: Usage {
                end: first,
                limited: false,
                most: 0,
            },
            slow_start: SlowStart::new(first),
            cubic: Cubic::default(),
        }
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    /// A packet left; so much is in flight, of TSNs from `base` up to `next`.
    #[inline]
    pub(crate) fn on_sent(&mut self, flight: usize, base: Tsn, next: Tsn) {
        let limited = flight + self.segment > self.window;
        let usage = &mut self.usage;
        if limited || !base.before(usage.end) || !usage.limited && flight > usage.most {
            *usage = Usage {
                end: next,
                limited,
                most: flight,
            };
        }
    }

    /// Whether the window is what holds the sender back: one that is not used says nothing about the path and does
    /// not grow (RFC 9260 §7.2.1, §7.2.2).
    fn is_limiting(&self) -> bool {
        self.usage.limited || self.in_slow_start() && self.window < 2 * self.usage.most
    }

    /// A round trip was measured, on an acknowledgement up to `cumulative`: slow start may have filled the path
    /// (RFC 9438 §4.10 asks for HyStart++ beside CUBIC).
    #[inline]
    pub(crate) fn on_round_trip(&mut self, round_trip: &RoundTrip, cumulative: Tsn, next: Tsn) {
        if self.in_slow_start()
            && self.kind != CongestionControl::NewReno
            && self.slow_start.is_over(round_trip, cumulative, next)
        {
            self.threshold = self.window;
        }
    }

    /// New chunks were acknowledged, outside of recovery.
    pub(crate) fn on_ack(&mut self, now: Time, bytes: usize, round_trip: Duration) {
        if !self.is_limiting() {
            return;
        }
        if self.in_slow_start() {
            // L of RFC 3465 is unbounded here: one SACK may stand for many packets when datagrams are handled in
            // batches, and pacing keeps the burst away.
            let growth = bytes / self.slow_start.divisor();
            self.window = self.window.saturating_add(growth);
            return;
        }
        match self.kind {
            CongestionControl::NewReno => self.reno_avoidance(bytes),
            CongestionControl::Cubic | CongestionControl::LossTolerantCubic => {
                self.cubic_avoidance(now, bytes, round_trip);
            }
        }
    }

    fn reno_avoidance(&mut self, bytes: usize) {
        self.partial_acked += bytes;
        if self.partial_acked >= self.window {
            self.partial_acked -= self.window;
            self.window += self.segment;
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
        let alpha = if cubic.estimate < cubic.maximum && !cubic.accident {
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
    pub(crate) fn on_loss(&mut self, cause: Cause) {
        let before = self.window;
        // Slow start overshot by up to its last doubling, and less than half would only overflow the queue again
        // (RFC 9438 §4.6 and §4.10 leave it to the implementation to make the two fit).
        let beta = if self.in_slow_start() { 0.5 } else { BETA };
        self.forgiven = None;
        let kept = match (self.kind, cause) {
            (CongestionControl::NewReno, _) => before / 2,
            (CongestionControl::LossTolerantCubic, Cause::Accident) => {
                self.forgiven = Some(before);
                self.cubic.restart(self.in_segments(before), true);
                (before as f64 * BETA_ACCIDENT) as usize
            }
            (CongestionControl::Cubic | CongestionControl::LossTolerantCubic, _) => {
                self.remember_maximum(before);
                (before as f64 * beta) as usize
            }
        };
        self.reduce_to(kept);
    }

    /// A recovery that began with an accident turned out to be congestion: the rest of the reduction.
    pub(crate) fn on_worse_loss(&mut self) {
        let Some(before) = self.forgiven.take() else {
            return;
        };
        self.remember_maximum(before);
        self.reduce_to((before as f64 * BETA) as usize);
    }

    fn reduce_to(&mut self, window: usize) {
        self.threshold = window.max(4 * self.segment);
        self.window = self.threshold;
        self.partial_acked = 0;
    }

    /// T3-rtx expired: back to one segment and slow start (RFC 9260 §7.2.3).
    pub(crate) fn on_timeout(&mut self) {
        let floor = 4 * self.segment;
        self.forgiven = None;
        let keep = match self.kind {
            CongestionControl::NewReno => self.window / 2,
            CongestionControl::Cubic | CongestionControl::LossTolerantCubic => {
                self.remember_maximum(self.window);
                (self.window as f64 * BETA) as usize
            }
        };
        self.slow_start = SlowStart::new(self.usage.end);
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

    fn in_segments(&self, window: usize) -> f64 {
        window as f64 / self.segment as f64
    }

    /// §4.7: fast convergence.
    fn remember_maximum(&mut self, window: usize) {
        let window = self.in_segments(window);
        let maximum = if window < self.cubic.maximum {
            window * (1.0 + BETA) / 2.0
        } else {
            window
        };
        self.cubic.restart(maximum, false);
    }
}

impl Cubic {
    /// The next acknowledgement begins a new stage below such a maximum.
    fn restart(&mut self, maximum: f64, accident: bool) {
        self.maximum = maximum;
        self.epoch = None;
        self.credit = 0.0;
        self.accident = accident;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: usize = 1000;

    /// With its window in full use.
    fn limited(kind: CongestionControl) -> Congestion {
        let mut cc = Congestion::new(kind, SEGMENT, Tsn(1));
        cc.on_sent(cc.window(), Tsn(1), Tsn(11));
        cc
    }

    #[test]
    fn new_reno_halves_on_loss_and_grows_by_a_segment_a_round_trip() {
        let mut cc = limited(CongestionControl::NewReno);
        cc.on_ack(Time::ZERO, 10_000, Duration::ZERO);
        assert_eq!(cc.window(), 20_000);
        cc.on_loss(Cause::Congestion);
        assert_eq!(cc.window(), 10_000);
        assert!(!cc.in_slow_start());
        for _ in 0..10 {
            cc.on_ack(Time::ZERO, 1000, Duration::ZERO);
        }
        assert_eq!(cc.window(), 11_000);
        cc.on_timeout();
        assert_eq!(cc.window(), 1000);
        assert!(cc.in_slow_start());
    }

    #[test]
    fn cubic_returns_to_the_old_maximum_after_k_seconds() {
        let mut cc = limited(CongestionControl::Cubic);
        cc.on_ack(Time::ZERO, 990_000, Duration::ZERO);
        assert_eq!(cc.window(), 1_000_000);
        cc.threshold = cc.window;
        cc.on_loss(Cause::Congestion);
        assert_eq!(cc.window(), 700_000);
        // K = cbrt(300 / 0.4) = 9.09 s.
        let round_trip = Duration::from_millis(100);
        let mut now = Time::ZERO;
        for _ in 0..91 {
            let window = cc.window();
            cc.on_ack(now, window, round_trip);
            now = now.plus(round_trip);
        }
        let window = cc.window();
        assert!((980_000..1_010_000).contains(&window), "{window}");
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        for kind in [CongestionControl::Cubic, CongestionControl::NewReno] {
            let mut cc = Congestion::new(kind, SEGMENT, Tsn(1));
            cc.on_sent(4_000, Tsn(1), Tsn(5));
            cc.on_ack(Time::ZERO, 4_000, Duration::ZERO);
            assert_eq!(cc.window(), 10_000);
            // More than half of it is, in slow start (RFC 9260 §7.2.1 doubles it a round trip at most).
            cc.on_sent(6_000, Tsn(5), Tsn(11));
            cc.on_ack(Time::ZERO, 6_000, Duration::ZERO);
            assert_eq!(cc.window(), 16_000);
            cc.on_ack(Time::ZERO, 6_000, Duration::ZERO);
            assert_eq!(cc.window(), 16_000);
        }
    }

    #[test]
    fn an_accident_costs_a_twentieth_and_queues_what_they_cost_cubic() {
        let mut cc = limited(CongestionControl::LossTolerantCubic);
        cc.on_ack(Time::ZERO, 90_000, Duration::ZERO);
        assert_eq!(cc.window(), 100_000);
        cc.threshold = cc.window;
        cc.on_loss(Cause::Accident);
        assert_eq!(cc.window(), 95_000);
        // More was lost than it seemed at first.
        cc.on_worse_loss();
        assert_eq!(cc.window(), 70_000);
        cc.on_worse_loss();
        assert_eq!(cc.window(), 70_000);
        cc.on_loss(Cause::Congestion);
        assert_eq!(cc.window(), 49_000);
        // CUBIC itself and NewReno do not forgive.
        for (kind, left) in [
            (CongestionControl::Cubic, 70_000),
            (CongestionControl::NewReno, 50_000),
        ] {
            let mut cc = limited(kind);
            cc.on_ack(Time::ZERO, 90_000, Duration::ZERO);
            cc.threshold = cc.window;
            cc.on_loss(Cause::Accident);
            assert_eq!(cc.window(), left);
        }
    }

    #[test]
    fn a_full_queue_in_slow_start_takes_the_last_doubling_back() {
        let mut cc = limited(CongestionControl::Cubic);
        cc.on_ack(Time::ZERO, 90_000, Duration::ZERO);
        cc.on_loss(Cause::Congestion);
        assert_eq!(cc.window(), 50_000);
    }
}
