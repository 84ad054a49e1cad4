//! History, estimator and pacer together: what a transport needs.

use std::time::{Duration, Instant};

use crate::history::{History, Outcome, Sent};
use crate::nada::{Estimator, Limits, Snapshot};
use crate::pacer::{Pacer, Priority};
use crate::{Bitrate, EcnMark};

/// The unit of arrival times in transport-wide feedback.
const TRANSPORT_TICK_MICROS: i64 = 250;

/// How to control a transport.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The rates to stay within.
    pub limits: Limits,
    /// How much faster than the estimate packets leave, so that a large frame does not pile up.
    pub pacing_factor: f64,
    /// How far ahead of its rate the pacer may run.
    pub burst: Duration,
    /// A change of the target is told once it exceeds this share.
    pub report_change: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            pacing_factor: 1.5,
            burst: Duration::from_millis(5),
            report_change: 0.03,
        }
    }
}

/// What a controller tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// What all streams of the transport together should send at.
    TargetBitrate(Bitrate),
}

/// Congestion control of one transport.
///
/// Commands: [`set_limits`](Self::set_limits), [`admit`](Self::admit) before and [`sent`](Self::sent) after each packet.
/// `handle_*` for feedback and time, [`poll_event`](Self::poll_event) and [`poll_timeout`](Self::poll_timeout) after each.
#[derive(Debug)]
pub struct Controller {
    config: Config,
    history: History,
    estimator: Estimator,
    pacer: Pacer,
    outcomes: Vec<Outcome>,
    /// The last report timestamp of RFC 8888, and its unwrapped value in units of 2⁻¹⁶ s.
    report_clock: Option<(u32, i64)>,
    told: Bitrate,
    /// A limit the receiver asked for (REMB, TMMBR).
    remote_limit: Option<Bitrate>,
}

impl Controller {
    /// Begins at the starting rate, which is told as the first event.
    pub fn new(config: Config, now: Instant) -> Self {
        let estimator = Estimator::new(config.limits, now);
        let rate = estimator.rate().scaled(config.pacing_factor);
        Self {
            pacer: Pacer::new(rate, config.burst),
            history: History::new(),
            estimator,
            outcomes: Vec::new(),
            report_clock: None,
            told: Bitrate::ZERO,
            remote_limit: None,
            config,
        }
    }

    /// Changes the rates to stay within.
    pub fn set_limits(&mut self, limits: Limits) {
        self.config.limits = limits;
        self.estimator.set_limits(limits);
        self.follow();
    }

    /// A limit the receiver asks for; `None` lifts it.
    pub fn set_remote_limit(&mut self, limit: Option<Bitrate>) {
        self.remote_limit = limit;
        self.follow();
    }

    /// Whether a packet may leave now; see [`Pacer::admit`].
    pub fn admit(&mut self, now: Instant, priority: Priority, size: usize) -> bool {
        self.pacer.admit(now, priority, size)
    }

    /// Takes note of a packet as it leaves.
    pub fn sent(&mut self, now: Instant, packet: Sent) {
        self.history.sent(now, packet);
        self.estimator.sent(now);
    }

    /// Transport-wide feedback: each packet's number with its arrival in units of 250 µs, or `None` when it is missing.
    pub fn handle_transport_feedback(
        &mut self,
        now: Instant,
        arrivals: impl IntoIterator<Item = (u16, Option<i64>)>,
    ) {
        self.outcomes.clear();
        for (sequence, arrival) in arrivals {
            let arrival = arrival.map(|ticks| ticks.saturating_mul(TRANSPORT_TICK_MICROS));
            self.outcomes
                .extend(self.history.transport_feedback(sequence, arrival));
        }
        self.conclude(now);
    }

    /// Congestion control feedback (RFC 8888): the report's timestamp, and each packet's stream, number, age at the report
    /// (`Some(None)` when it came at an unknown time, `None` when it is missing) and ECN mark.
    pub fn handle_stream_feedback(
        &mut self,
        now: Instant,
        timestamp: u32,
        arrivals: impl IntoIterator<Item = (u32, u16, Option<Option<Duration>>, EcnMark)>,
    ) {
        let (last, base) = self.report_clock.unwrap_or((timestamp, 0));
        let base = base + i64::from(timestamp.wrapping_sub(last) as i32);
        self.report_clock = Some((timestamp, base));
        let report = ((i128::from(base) * 1_000_000) >> 16) as i64;
        self.outcomes.clear();
        for (ssrc, sequence, arrival, ecn) in arrivals {
            let arrival = match arrival {
                Some(Some(before)) => {
                    Some(report - i64::try_from(before.as_micros()).unwrap_or_default())
                }
                // It came, but when is not known: neither a delay sample nor a loss.
                Some(None) => continue,
                None => None,
            };
            let marked = ecn == EcnMark::CongestionExperienced;
            self.outcomes.extend(
                self.history
                    .stream_feedback(ssrc, sequence, arrival, marked),
            );
        }
        self.conclude(now);
    }

    fn conclude(&mut self, now: Instant) {
        self.estimator.handle_feedback(now, &self.outcomes);
        self.follow();
    }

    fn follow(&mut self) {
        let rate = self.target().scaled(self.config.pacing_factor);
        self.pacer.set_rate(rate);
    }

    /// When something is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.pacer.poll_timeout(), self.estimator.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pacer.handle_timeout(now);
        self.estimator.handle_timeout(now);
        self.follow();
    }

    /// What changed.
    pub fn poll_event(&mut self) -> Option<Event> {
        let target = self.target();
        let change = target.bps().abs_diff(self.told.bps()) as f64;
        if change <= self.told.bps() as f64 * self.config.report_change {
            return None;
        }
        self.told = target;
        Some(Event::TargetBitrate(target))
    }

    /// What all streams of the transport together should send at.
    pub fn target(&self) -> Bitrate {
        let rate = self.estimator.rate();
        self.remote_limit.map_or(rate, |limit| rate.min(limit))
    }

    /// The rate at which packets leave.
    pub fn pacing_rate(&self) -> Bitrate {
        self.pacer.rate()
    }

    /// Bytes of which nothing is known yet.
    pub fn bytes_in_flight(&self) -> usize {
        self.history.bytes_in_flight()
    }

    /// What the estimator saw last.
    pub fn snapshot(&self) -> Snapshot {
        self.estimator.snapshot()
    }
}
