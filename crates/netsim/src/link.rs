//! One direction of a link: rate and queue first, then loss, then delay.

use crate::{Datagram, Ecn, Transport};
use rand::{RngExt, rngs::StdRng};
use std::time::{Duration, Instant};

/// How one direction of a link treats packets. The default is a perfect link: no delay, no loss, no limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// Propagation delay.
    pub latency: Duration,
    /// Each packet is delayed by up to this much more, uniformly. Jitter alone never reorders.
    pub jitter: Duration,
    /// Which packets disappear.
    pub loss: Loss,
    /// Probability that a packet is held back by [`reorder_delay`](Self::reorder_delay), so that later ones overtake it.
    pub reorder: f64,
    /// How long a reordered packet is held back.
    pub reorder_delay: Duration,
    /// Probability that a packet arrives twice.
    pub duplicate: f64,
    /// Largest IP packet, headers included. Larger ones are dropped silently, as with the don't-fragment bit
    /// set and ICMP filtered.
    pub mtu: usize,
    /// Bits a second, counted in IP packets. `None`: unlimited.
    pub rate_bps: Option<u64>,
    /// How many bytes wait in front of the rate limit before the tail is dropped.
    pub queue_bytes: usize,
    /// ECN-capable packets are marked CE when they find more than this many bytes waiting.
    pub ecn_threshold: Option<usize>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(20),
            duplicate: 0.0,
            mtu: usize::MAX,
            rate_bps: None,
            queue_bytes: 256 * 1024,
            ecn_threshold: None,
        }
    }
}

impl LinkConfig {
    /// A link that only delays.
    pub fn with_latency(latency: Duration) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// A link that only loses, at random.
    pub fn with_loss(probability: f64) -> Self {
        Self {
            loss: Loss::Random(probability),
            ..Self::default()
        }
    }
}

/// Which packets a link loses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability, independently.
    Random(f64),
    /// In bursts: the Gilbert–Elliott model, a chain of a good and a bad state that moves before every packet.
    /// The mean burst lasts `1 / leave` packets; the share of time in it is `enter / (enter + leave)`.
    Burst {
        /// Probability of going from good to bad.
        enter: f64,
        /// Probability of going from bad to good.
        leave: f64,
        /// Loss in the good state.
        good: f64,
        /// Loss in the bad state.
        bad: f64,
    },
}

impl Loss {
    /// A [`Loss::Burst`] that loses nothing when good and everything when bad, with this mean loss (below 1) and mean burst length.
    pub fn bursts(mean: f64, burst_length: f64) -> Self {
        let leave = 1.0 / burst_length.max(1.0);
        Self::Burst {
            enter: (leave * mean / (1.0 - mean)).clamp(0.0, 1.0),
            leave,
            good: 0.0,
            bad: 1.0,
        }
    }
}

/// What a link has decided for one packet.
#[derive(Debug)]
pub(crate) enum Fate {
    Arrives {
        at: Instant,
        again: Option<Instant>,
        reordered: bool,
    },
    Lost,
    TooBig,
    QueueFull,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) config: LinkConfig,
    /// When the last queued byte leaves.
    busy_until: Option<Instant>,
    /// The latest arrival of a packet that was not reordered: jitter does not overtake it.
    last_arrival: Option<Instant>,
    in_burst: bool,
}

impl Link {
    pub(crate) fn new(config: LinkConfig) -> Self {
        Self {
            config,
            busy_until: None,
            last_arrival: None,
            in_burst: false,
        }
    }

    /// Bytes waiting or being sent at `now`.
    pub(crate) fn queued(&self, now: Instant) -> usize {
        match (self.config.rate_bps, self.busy_until) {
            (Some(rate), Some(busy)) => {
                let wait = busy.saturating_duration_since(now).as_nanos();
                (wait * u128::from(rate) / 8_000_000_000) as usize
            }
            _ => 0,
        }
    }

    pub(crate) fn carry(
        &mut self,
        now: Instant,
        datagram: &mut Datagram,
        rng: &mut StdRng,
    ) -> Fate {
        let size = datagram.ip_size();
        if size > self.config.mtu && datagram.transport == Transport::Udp {
            return Fate::TooBig;
        }
        let mut departure = now;
        if let Some(rate) = self.config.rate_bps {
            let queued = self.queued(now);
            if queued + size > self.config.queue_bytes && datagram.transport == Transport::Udp {
                return Fate::QueueFull;
            }
            if datagram.ecn.is_capable()
                && self
                    .config
                    .ecn_threshold
                    .is_some_and(|limit| queued > limit)
            {
                datagram.ecn = Ecn::Ce;
            }
            let nanos = size as u128 * 8_000_000_000 / u128::from(rate.max(1));
            departure = self.busy_until.map_or(now, |busy| busy.max(now))
                + Duration::from_nanos(nanos as u64);
            self.busy_until = Some(departure);
        }
        if datagram.transport == Transport::Udp && self.loses(rng) {
            return Fate::Lost;
        }
        let mut at = departure + self.config.latency + up_to(self.config.jitter, rng);
        at = self.last_arrival.map_or(at, |last| at.max(last));
        if datagram.transport == Transport::Tcp {
            self.last_arrival = Some(at);
            return Fate::Arrives {
                at,
                again: None,
                reordered: false,
            };
        }
        let reordered = chance(self.config.reorder, rng);
        if reordered {
            at += self.config.reorder_delay;
        } else {
            self.last_arrival = Some(at);
        }
        let again = chance(self.config.duplicate, rng)
            .then(|| at + up_to(self.config.jitter.max(Duration::from_millis(1)), rng));
        Fate::Arrives {
            at,
            again,
            reordered,
        }
    }

    fn loses(&mut self, rng: &mut StdRng) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Random(p) => chance(p, rng),
            Loss::Burst {
                enter,
                leave,
                good,
                bad,
            } => {
                let turns = chance(if self.in_burst { leave } else { enter }, rng);
                self.in_burst ^= turns;
                chance(if self.in_burst { bad } else { good }, rng)
            }
        }
    }
}

fn chance(p: f64, rng: &mut StdRng) -> bool {
    // No draw when nothing can happen: a knob left alone does not disturb the sequence of the others.
    p > 0.0 && rng.random_bool(p.min(1.0))
}

fn up_to(limit: Duration, rng: &mut StdRng) -> Duration {
    match limit.as_nanos() as u64 {
        0 => Duration::ZERO,
        nanos => Duration::from_nanos(rng.random_range(0..=nanos)),
    }
}
