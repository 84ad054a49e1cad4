//! The bandwidth estimator: Network-Assisted Dynamic Adaptation (RFC 8698), all of it at the sender, from per-packet feedback.
//!
//! Delay, loss and ECN marks become one congestion signal. While the path shows none of them, the rate follows what arrives,
//! times a factor that bounds the queue it may cause (§4.3, equations 3 and 4). Otherwise the rate moves with the signal's
//! distance from its reference and with its change (equations 5 to 7).
//!
//! Where this differs from the text, and why, stands at `STANDING_QUEUE`, `HEADROOM`, `OVERRUN`, `DRAIN` and [`Estimator::handle_timeout`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Bitrate;
use crate::history::Outcome;

// Table 2, in its notation.
const XREF: f64 = 0.010;
const KAPPA: f64 = 0.5;
const ETA: f64 = 2.0;
const TAU: f64 = 0.500;
const DELTA: f64 = 0.100;
const LOGWIN: Duration = Duration::from_millis(500);
const QEPS: f64 = 0.010;
const DFILT: f64 = 0.120;
const GAMMA_MAX: f64 = 0.5;
const QBOUND: f64 = 0.050;
const MULTILOSS: f64 = 7.0;
const QTH: f64 = 0.050;
const LAMBDA: f64 = 0.5;
const PLRREF: f64 = 0.01;
const PMRREF: f64 = 0.01;
const DLOSS: f64 = 0.010;
const DMARK: f64 = 0.002;
const ALPHA: f64 = 0.1;
/// "A minimum filter with a window size of 15 samples over per-packet queuing delay values" (§5.1.1).
const MIN_FILTER: usize = 15;

/// The signal's reference is `XREF·RMAX/r_ref`: a flow far below its largest rate would keep a long queue for its fairness.
/// A call is better served by a bounded one.
const STANDING_QUEUE: f64 = 0.025;
/// The estimate does not outgrow what arrives by more than this: an application that sends less learns nothing of the path.
const HEADROOM: f64 = 2.0;
/// A queue longer than this is no noise: the rate falls to what arrives at once, instead of step by step.
const OVERRUN: f64 = QTH;
/// What arrives now, for that: long enough for the packets of four frames.
const RECENT: Duration = Duration::from_millis(150);
/// While a queue drains, its delay falls late: going far below what arrives would only leave the path idle afterwards.
const DRAIN: f64 = 0.5;
/// The base delay is the least of this many spans of this length, so that a new route is accepted in the end (§5.1.1).
const BASE_SPANS: usize = 10;
const BASE_SPAN: Duration = Duration::from_secs(30);
/// Samples of one feedback and window; a bound on memory.
const MAX_SAMPLES: usize = 4_096;

/// Within which rates to estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// RMIN.
    pub min: Bitrate,
    /// RMAX.
    pub max: Bitrate,
    /// Where to begin.
    pub start: Bitrate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min: Bitrate::from_kbps(50),
            max: Bitrate::from_kbps(3_000),
            start: Bitrate::from_kbps(300),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When it was learned.
    at: Instant,
    /// On the receiver's clock, in microseconds; `None` for a loss.
    arrival: Option<i64>,
    size: usize,
    queuing: f64,
    marked: bool,
}

/// Estimates what the path carries.
#[derive(Debug)]
pub struct Estimator {
    limits: Limits,
    /// r_ref in bit/s.
    rate: f64,
    epoch: Instant,
    /// The least one-way delay of each span, in seconds on unrelated clocks; newest last.
    base: VecDeque<f64>,
    base_since: Instant,
    /// Queuing delays with their arrivals, for the minimum filter.
    recent_delays: VecDeque<(i64, f64)>,
    window: VecDeque<Sample>,
    p_loss: f64,
    p_mark: f64,
    /// Packets since the last loss, and the average distance between losses (RFC 5348 §5.4, exponentially averaged).
    since_loss: f64,
    loss_interval: Option<f64>,
    previous_signal: f64,
    round_trip: Option<Duration>,
    last_update: Option<Instant>,
    /// When feedback is overdue.
    overdue: Option<Instant>,
}

/// What the estimator saw last, for logs and statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The queuing delay.
    pub queuing_delay: Duration,
    /// The smoothed share of packets lost.
    pub loss: f64,
    /// What arrives.
    pub receive_rate: Bitrate,
    /// The round-trip time, feedback's waiting included.
    pub round_trip: Option<Duration>,
}

impl Estimator {
    /// Begins at the starting rate.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            rate: limits.start.bps() as f64,
            epoch: now,
            base: VecDeque::new(),
            base_since: now,
            recent_delays: VecDeque::new(),
            window: VecDeque::new(),
            p_loss: 0.0,
            p_mark: 0.0,
            since_loss: 0.0,
            loss_interval: None,
            previous_signal: 0.0,
            round_trip: None,
            last_update: None,
            overdue: None,
        }
    }

    /// Changes the limits; the rate follows at once.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.clip();
    }

    fn clip(&mut self) {
        let (min, max) = (self.limits.min.bps() as f64, self.limits.max.bps() as f64);
        self.rate = self.rate.min(max).max(min);
    }

    /// The reference rate r_ref.
    pub fn rate(&self) -> Bitrate {
        Bitrate::from_bps(self.rate as u64)
    }

    /// A packet left: feedback is to be expected.
    pub fn sent(&mut self, now: Instant) {
        if self.overdue.is_none() {
            self.overdue = Some(now + self.patience());
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500) + self.round_trip.unwrap_or(Duration::from_millis(500)) * 2
    }

    /// Takes one feedback report's outcomes, oldest first.
    pub fn handle_feedback(&mut self, now: Instant, outcomes: &[Outcome]) {
        if outcomes.is_empty() {
            return;
        }
        self.overdue = Some(now + self.patience());
        for outcome in outcomes {
            self.take(now, outcome);
        }
        if let Some(newest) = outcomes
            .iter()
            .rev()
            .find(|outcome| outcome.arrival.is_some())
        {
            let sample = now.saturating_duration_since(newest.sent);
            self.round_trip = Some(match self.round_trip {
                None => sample,
                Some(rtt) => (rtt * 7 + sample) / 8,
            });
        }
        while self.window.len() > MAX_SAMPLES
            || self
                .window
                .front()
                .is_some_and(|sample| now.saturating_duration_since(sample.at) > LOGWIN)
        {
            self.window.pop_front();
        }
        self.update(now);
    }

    fn take(&mut self, now: Instant, outcome: &Outcome) {
        let mut queuing = 0.0;
        match outcome.arrival {
            Some(arrival) => {
                let sent = outcome.sent.saturating_duration_since(self.epoch);
                let delay = arrival as f64 / 1e6 - sent.as_secs_f64();
                queuing = (delay - self.base_delay(now, delay)).max(0.0);
                self.recent_delays.push_back((arrival, queuing));
                // DFILT bounds the filter's delay, which 15 samples of a slow stream would exceed.
                while self.recent_delays.len() > MIN_FILTER
                    || self.recent_delays.front().is_some_and(|(first, _)| {
                        arrival.saturating_sub(*first) as f64 / 1e6 > DFILT
                    })
                {
                    self.recent_delays.pop_front();
                }
                self.since_loss += 1.0;
            }
            None => {
                let interval = self.since_loss + 1.0;
                self.loss_interval = Some(match self.loss_interval {
                    None => interval,
                    // The eight intervals of RFC 5348 §5.4, as an exponential average.
                    Some(average) => average + (interval - average) / 8.0,
                });
                self.since_loss = 0.0;
            }
        }
        self.window.push_back(Sample {
            at: now,
            arrival: outcome.arrival,
            size: outcome.size,
            queuing,
            marked: outcome.marked,
        });
    }

    fn base_delay(&mut self, now: Instant, delay: f64) -> f64 {
        if self.base.is_empty() || now.saturating_duration_since(self.base_since) >= BASE_SPAN {
            self.base.push_back(delay);
            self.base_since = now;
            if self.base.len() > BASE_SPANS {
                self.base.pop_front();
            }
        }
        if let Some(least) = self.base.back_mut() {
            *least = least.min(delay);
        }
        self.base.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The queuing delay after the minimum filter.
    fn queuing_delay(&self) -> f64 {
        let least = self
            .recent_delays
            .iter()
            .map(|(_, queuing)| *queuing)
            .fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 0.0 }
    }

    /// r_recv: what arrived in the last `window` of the receiver's time (§5.1.3).
    fn receive_rate(&self, window: Duration) -> f64 {
        let arrivals = || {
            self.window
                .iter()
                .filter_map(|sample| Some((sample.arrival?, sample.size)))
        };
        let last = arrivals().map(|(arrival, _)| arrival).max().unwrap_or(0);
        let window = window.as_secs_f64();
        let recent =
            arrivals().filter(|(arrival, _)| last.saturating_sub(*arrival) as f64 / 1e6 <= window);
        let (first, bytes) = recent.fold((last, 0), |(first, bytes), (arrival, size)| {
            (first.min(arrival), bytes + size)
        });
        let span = last.saturating_sub(first) as f64 / 1e6;
        // The first packets of a call span too little time to divide by.
        bytes as f64 * 8.0 / span.max(window * 0.8)
    }

    /// The aggregate congestion signal (equations 1 and 2).
    fn signal(&self) -> f64 {
        let queuing = self.queuing_delay();
        let warped = if queuing < QTH {
            queuing
        } else {
            QTH * (-LAMBDA * (queuing - QTH) / QTH).exp()
        };
        // Warped while the last loss is recent, and back over the length of one loss interval.
        let delay = match self.loss_interval {
            None => queuing,
            Some(interval) => {
                let share = ((self.since_loss - MULTILOSS * interval) / interval).clamp(0.0, 1.0);
                warped + share * (queuing - warped)
            }
        };
        delay + DMARK * (self.p_mark / PMRREF).powi(2) + DLOSS * (self.p_loss / PLRREF).powi(2)
    }

    fn update(&mut self, now: Instant) {
        let total = self.window.len().max(1) as f64;
        let share = |matches: fn(&Sample) -> bool| {
            self.window.iter().filter(|sample| matches(sample)).count() as f64 / total
        };
        let lost = share(|sample| sample.arrival.is_none());
        let marked = share(|sample| sample.marked);
        self.p_loss = ALPHA * lost + (1.0 - ALPHA) * self.p_loss;
        self.p_mark = ALPHA * marked + (1.0 - ALPHA) * self.p_mark;
        let delta = self
            .last_update
            .map_or(DELTA, |last| {
                now.saturating_duration_since(last).as_secs_f64()
            })
            // After a pause one step must not be larger than the controller is stable for.
            .min(2.0 * DELTA);
        self.last_update = Some(now);
        let received = self.receive_rate(LOGWIN);
        let signal = self.signal();
        let before = self.rate;
        let calm =
            lost == 0.0 && marked == 0.0 && self.window.iter().all(|sample| sample.queuing < QEPS);
        if calm {
            let rtt = self.round_trip.unwrap_or_default().as_secs_f64();
            let gamma = GAMMA_MAX.min(QBOUND / (rtt + DELTA + DFILT));
            self.rate = self.rate.max((1.0 + gamma) * received);
        } else {
            let reference = (XREF * self.limits.max.bps() as f64 / self.rate).min(STANDING_QUEUE);
            let offset = signal - reference;
            let change = signal - self.previous_signal;
            self.rate -= KAPPA * (delta / TAU) * (offset / TAU) * self.rate
                + KAPPA * ETA * (change / TAU) * self.rate;
            // A signal out of all proportion still leaves the rate half of what it was.
            self.rate = self.rate.max(before / 2.0);
            self.rate = self.rate.min(before.max(HEADROOM * received));
            let recent = self.receive_rate(RECENT);
            if self.queuing_delay() > OVERRUN {
                self.rate = self.rate.min(recent);
            }
            if lost == 0.0 && marked == 0.0 {
                self.rate = self.rate.max((DRAIN * recent).min(before));
            }
        }
        self.previous_signal = signal;
        self.clip();
    }

    /// When feedback is overdue.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.overdue
    }

    /// Halves the rate when feedback is overdue: without it nothing says that the path still carries anything. The text leaves
    /// this open; RFC 8836 §2 requirement 9 asks that a loss of feedback be survived, and RFC 8083 that sending not go on blindly.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.overdue.is_some_and(|overdue| now >= overdue) {
            self.rate /= 2.0;
            self.clip();
            self.overdue = Some(now + self.patience());
        }
    }

    /// What was seen last.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            queuing_delay: Duration::from_secs_f64(self.queuing_delay()),
            loss: self.p_loss,
            receive_rate: Bitrate::from_bps(self.receive_rate(LOGWIN) as u64),
            round_trip: self.round_trip,
        }
    }
}
