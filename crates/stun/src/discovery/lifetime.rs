//! How long an idle binding lasts (RFC 5780 §4.6): a search by halving, from two ports.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::Transmit;
use super::probe::Probe;
use crate::message::ChangeRequest;
use crate::transaction::Retransmission;
use crate::types::Class;

/// Which of the two local ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Whose binding is measured.
    X,
    /// Which asks the server to answer to X.
    Y,
}

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct LifetimeConfig {
    /// The server; it must honour RESPONSE-PORT.
    pub server: SocketAddr,
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// How exact the result is to be.
    pub resolution: Duration,
    /// When to repeat a probe and when silence counts as an answer.
    pub retransmission: Retransmission,
}

impl LifetimeConfig {
    /// Waits from one minute to one hour, to the second.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            first: Duration::from_secs(60),
            longest: Duration::from_secs(3600),
            resolution: Duration::from_secs(1),
            retransmission: Retransmission {
                rto: Duration::from_millis(500),
                requests: 3,
                last_wait: 2,
            },
        }
    }
}

/// Between which waits the binding ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// The longest wait that it outlived.
    pub alive: Duration,
    /// The shortest wait after which it was gone; `None` when it outlived them all.
    pub gone: Option<Duration>,
}

#[derive(Debug)]
enum Step {
    /// X asks, which makes or refreshes the binding.
    Binding(Probe),
    /// Neither port sends.
    Waiting {
        until: Instant,
        mapped: SocketAddr,
    },
    /// Y asks for an answer to X.
    Asking(Probe),
    Done,
}

/// Runs the search. It takes many times the lifetime; RFC 5780 §4.6 wants it in the background.
#[derive(Debug)]
pub struct BindingLifetime {
    config: LifetimeConfig,
    rng: StdRng,
    wait: Duration,
    found: Lifetimes,
    step: Step,
    failed: bool,
}

impl BindingLifetime {
    /// The first probe is due at once.
    pub fn new(now: Instant, config: LifetimeConfig, mut rng: StdRng) -> Self {
        let probe = probe(now, &config, None, &mut rng);
        let wait = config.first.min(config.longest);
        Self {
            config,
            rng,
            wait,
            found: Lifetimes::default(),
            step: Step::Binding(probe),
            failed: false,
        }
    }

    /// The result, once the search is over; `Some(None)` when the server did not answer.
    pub fn result(&self) -> Option<Option<Lifetimes>> {
        match self.step {
            Step::Done => Some((!self.failed).then_some(self.found)),
            _ => None,
        }
    }

    /// A packet that came to one of the two ports; `false` when it is none of ours.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        port: Port,
        from: SocketAddr,
        data: &[u8],
    ) -> bool {
        if from != self.config.server {
            return false;
        }
        match (&self.step, port) {
            (Step::Binding(probe), Port::X) => {
                let Some(message) = probe.answer(data) else {
                    return false;
                };
                match message.any_mapped_address() {
                    Some(mapped) if message.class() == Class::Success => {
                        self.step = Step::Waiting {
                            until: now + self.wait,
                            mapped,
                        };
                    }
                    _ => self.give_up(),
                }
                true
            }
            (Step::Asking(probe), _) => {
                let Some(message) = probe.answer(data) else {
                    return false;
                };
                match (message.class(), port) {
                    (Class::Success, Port::X) => self.handle_outcome(now, true),
                    // The NAT gave Y the binding that was X's: X's is gone.
                    (Class::Success, Port::Y) => self.handle_outcome(now, false),
                    // The server does not know RESPONSE-PORT.
                    _ => self.give_up(),
                }
                true
            }
            _ => false,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.step {
            Step::Binding(probe) => {
                if probe.handle_timeout(now) {
                    self.give_up();
                }
            }
            Step::Waiting { until, mapped } => {
                if *until <= now {
                    let port = mapped.port();
                    self.step = Step::Asking(probe(now, &self.config, Some(port), &mut self.rng));
                }
            }
            Step::Asking(probe) => {
                if probe.handle_timeout(now) {
                    self.handle_outcome(now, false);
                }
            }
            Step::Done => {}
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.step {
            Step::Binding(probe) | Step::Asking(probe) => probe.poll_timeout(),
            Step::Waiting { until, .. } => Some(*until),
            Step::Done => None,
        }
    }

    /// Appends one probe, and says from which port it goes.
    pub fn poll_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<(Port, Transmit)> {
        match &mut self.step {
            Step::Binding(probe) => probe.poll_transmit(buf).map(|transmit| (Port::X, transmit)),
            Step::Asking(probe) => probe.poll_transmit(buf).map(|transmit| (Port::Y, transmit)),
            Step::Waiting { .. } | Step::Done => None,
        }
    }

    fn give_up(&mut self) {
        self.failed = true;
        self.step = Step::Done;
    }

    fn handle_outcome(&mut self, now: Instant, alive: bool) {
        if alive {
            self.found.alive = self.found.alive.max(self.wait);
        } else {
            self.found.gone = Some(self.wait);
        }
        let next = match self.found.gone {
            Some(gone) if gone - self.found.alive.min(gone) <= self.config.resolution => None,
            Some(gone) => Some((self.found.alive + gone) / 2),
            None if self.wait >= self.config.longest => None,
            None => Some((self.wait * 2).min(self.config.longest)),
        };
        match next {
            // "The client must resend a binding request from the original source port before beginning a second test".
            Some(wait) => {
                self.wait = wait;
                self.step = Step::Binding(probe(now, &self.config, None, &mut self.rng));
            }
            None => self.step = Step::Done,
        }
    }
}

fn probe(
    now: Instant,
    config: &LifetimeConfig,
    response_port: Option<u16>,
    rng: &mut StdRng,
) -> Probe {
    Probe::new(
        now,
        config.server,
        ChangeRequest::default(),
        response_port,
        config.retransmission,
        rng,
    )
}
