//! The client's side of a transaction: when to send again and when to give up (RFC 8489 §6.2).

use std::time::{Duration, Instant};

/// The knobs of RFC 8489 §6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// The first interval; it doubles after each retransmission.
    pub rto: Duration,
    /// How many requests are sent in all (Rc).
    pub requests: u32,
    /// The wait after the last request, in first intervals (Rm).
    pub last_wait: u32,
}

impl Default for Retransmission {
    /// RTO 500 ms, Rc 7, Rm 16: a failure is known after 39.5 s.
    fn default() -> Self {
        Self {
            rto: Duration::from_millis(500),
            requests: 7,
            last_wait: 16,
        }
    }
}

/// The wait for an answer over a reliable transport (Ti, RFC 8489 §6.2.2).
pub const RELIABLE_TIMEOUT: Duration = Duration::from_millis(39_500);

/// What a timer of a transaction asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// Send the same request again.
    Resend,
    /// Nobody answers.
    Failed,
}

/// The timers of one request. It keeps neither the request nor its id: the owner does, in the form that suits it.
///
/// The first request is sent by the owner when it makes the transaction; then [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout) says what to do. Dropping the transaction ends it.
#[derive(Clone, Debug)]
pub struct Transaction {
    started: Instant,
    next: Option<Instant>,
    interval: Duration,
    last_interval: Duration,
    left: u32,
    sent: u32,
}

impl Transaction {
    /// Over UDP, with the given first interval and the defaults of RFC 8489 for the rest.
    pub fn new(now: Instant, rto: Duration) -> Self {
        Self::with(
            now,
            Retransmission {
                rto,
                ..Retransmission::default()
            },
        )
    }

    /// Over UDP, with every knob given.
    pub fn with(now: Instant, schedule: Retransmission) -> Self {
        let left = schedule.requests.saturating_sub(1);
        let last_interval = schedule.rto.saturating_mul(schedule.last_wait);
        let first = if left == 0 {
            last_interval
        } else {
            schedule.rto
        };
        Self {
            started: now,
            next: now.checked_add(first),
            interval: schedule.rto,
            last_interval,
            left,
            sent: 1,
        }
    }

    /// Over TCP or TLS: nothing is sent again, and [`RELIABLE_TIMEOUT`] is the end (RFC 8489 §6.2.2).
    pub fn reliable(now: Instant) -> Self {
        Self::with(
            now,
            Retransmission {
                rto: RELIABLE_TIMEOUT,
                requests: 1,
                last_wait: 1,
            },
        )
    }

    /// When something is due; `None` once it has failed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What is due now: at most one step, however late the call.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<TimedOut> {
        if self.next? > now {
            return None;
        }
        if self.left == 0 {
            self.next = None;
            return Some(TimedOut::Failed);
        }
        self.left -= 1;
        self.sent += 1;
        self.interval = self.interval.saturating_mul(2);
        let wait = if self.left == 0 {
            self.last_interval
        } else {
            self.interval
        };
        self.next = now.checked_add(wait);
        Some(TimedOut::Resend)
    }

    /// How many requests were sent.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// When the first request was sent.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The round trip that a response arriving now shows; `None` when a request was sent again, since then nobody knows which
    /// of them it answers (Karn's algorithm, RFC 8489 §6.2.1).
    pub fn round_trip(&self, now: Instant) -> Option<Duration> {
        (self.sent == 1).then(|| now.saturating_duration_since(self.started))
    }
}

/// The estimate of RFC 6298 as RFC 8489 §6.2.1 wants it: to the millisecond, at least 500 ms, stale after ten minutes.
#[derive(Clone, Debug, Default)]
pub struct RtoEstimator {
    smoothed: Option<(Duration, Duration)>,
    updated: Option<Instant>,
}

impl RtoEstimator {
    const STALE: Duration = Duration::from_secs(600);
    const MIN: Duration = Duration::from_millis(500);

    /// A measured round trip (RFC 6298 §2).
    pub fn update(&mut self, now: Instant, rtt: Duration) {
        self.smoothed = Some(match self.smoothed {
            None => (rtt, rtt / 2),
            Some((srtt, var)) => {
                let delta = srtt.abs_diff(rtt);
                (srtt * 7 / 8 + rtt / 8, var * 3 / 4 + delta / 4)
            }
        });
        self.updated = Some(now);
    }

    /// The first interval for a transaction that starts now.
    pub fn rto(&self, now: Instant) -> Duration {
        match (self.smoothed, self.updated) {
            (Some((srtt, var)), Some(at)) if now.saturating_duration_since(at) < Self::STALE => {
                let rto = srtt + (var * 4).max(Duration::from_millis(1));
                rto.max(Self::MIN)
            }
            _ => Self::MIN,
        }
    }
}
