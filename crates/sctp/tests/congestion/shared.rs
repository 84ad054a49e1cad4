//! Several associations from one host to another, all over the first one's link.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{Datagram, Endpoint, LinkConfig, Pair};
use sctp::config::CongestionControl;
use sctp::{Config, Reliability};

use crate::peers::{Ours, Peer};

/// Who sends, and from when on.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    congestion: CongestionControl,
    /// Seconds.
    start: u64,
}

impl Flow {
    pub fn ours(congestion: CongestionControl) -> Self {
        Self {
            congestion,
            start: 0,
        }
    }

    pub fn after(self, start: u64) -> Self {
        Self { start, ..self }
    }
}

/// What became of the flows, over the last three quarters of the time.
#[derive(Debug)]
pub struct Outcome {
    /// Of each flow.
    pub megabits: Vec<f64>,
    /// The share of packets that found the queue full.
    pub dropped: f64,
    /// The mean fill of the queue, of 1.
    pub queue: f64,
}

impl Outcome {
    pub fn total(&self) -> f64 {
        self.megabits.iter().sum()
    }

    /// The share of a flow.
    pub fn share(&self, flow: usize) -> f64 {
        self.megabits[flow] / self.total()
    }
}

/// One end of all associations, told apart by port.
struct Host {
    peers: Vec<Ours>,
    local: SocketAddr,
    remote: SocketAddr,
    outbound: VecDeque<Datagram>,
    turn: usize,
    now: Instant,
}

impl Endpoint for Host {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.now = now;
        let which = usize::from(datagram.dst.port() - self.local.port());
        self.peers[which].handle_packet(now, datagram.payload.into());
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        for peer in &mut self.peers {
            if peer.poll_timeout().is_some_and(|at| at <= now) {
                peer.handle_timeout(now);
            }
        }
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.now = now;
        // In turns, as hosts of their own would send.
        for _ in 0..self.peers.len() {
            self.turn = (self.turn + 1) % self.peers.len();
            let (mut local, mut remote) = (self.local, self.remote);
            local.set_port(local.port() + self.turn as u16);
            remote.set_port(remote.port() + self.turn as u16);
            let outbound = &mut self.outbound;
            self.peers[self.turn].transmit(now, 1, &mut |packet| {
                outbound.push_back(Datagram::new(local, remote, packet.to_vec()));
            });
            if let Some(datagram) = self.outbound.pop_front() {
                return Some(datagram);
            }
        }
        None
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::poll_timeout).min()
    }
}

/// Runs the flows for so many seconds; acknowledgements return over a link that is only long.
pub fn run(seed: u64, link: LinkConfig, flows: &[Flow], seconds: u64) -> Outcome {
    let back = LinkConfig::with_latency(link.latency);
    let capacity = link.queue_bytes as f64;
    let address = |ip| SocketAddr::new(ip, 5000);
    let host = |seed: u64, local, remote, now| Host {
        peers: flows
            .iter()
            .enumerate()
            .map(|(n, flow)| {
                let config = Config {
                    congestion: flow.congestion,
                    ..Config::default()
                };
                Ours::new(seed + 2 * n as u64, config)
            })
            .collect(),
        local: address(local),
        remote: address(remote),
        outbound: VecDeque::new(),
        turn: 0,
        now,
    };
    let mut pair = Pair::over(
        seed,
        link,
        |now| host(seed * 100, Pair::A, Pair::B, now),
        |now| host(seed * 100 + 1, Pair::B, Pair::A, now),
    );
    let b = pair.host_b();
    pair.network.set_link(b, back);
    let start = pair.now();
    let message = Bytes::from(vec![7; 16 * 1024]);
    let mut connected = vec![false; flows.len()];
    let mut received = vec![0; flows.len()];
    let counted_from = start + Duration::from_secs(seconds / 4);
    let (mut fill, mut samples) = (0.0, 0);
    let mut before = pair.network.stats();
    let mut sample_at = counted_from;
    while pair.now() < start + Duration::from_secs(seconds) {
        let now = pair.now();
        for (n, flow) in flows.iter().enumerate() {
            if now < start + Duration::from_secs(flow.start) {
                continue;
            }
            let peer = &mut pair.a.peers[n];
            if !std::mem::replace(&mut connected[n], true) {
                peer.connect(now);
            }
            while peer.established() && peer.send(now, 0, false, Reliability::Reliable, &message) {}
            while let Some((_, data)) = pair.b.peers[n].receive(now) {
                if now >= counted_from {
                    received[n] += data.len();
                }
            }
        }
        if now < counted_from {
            before = pair.network.stats();
        } else if now >= sample_at {
            let a = pair.host_a();
            fill += pair.network.queued_bytes(a) as f64 / capacity;
            samples += 1;
            sample_at = now + Duration::from_millis(7);
        }
        if !pair.step() {
            pair.network.advance_by(Duration::from_millis(10));
        }
    }
    let stats = pair.network.stats();
    let took = (seconds - seconds / 4) as f64;
    Outcome {
        megabits: received
            .iter()
            .map(|bytes| *bytes as f64 * 8.0 / took / 1e6)
            .collect(),
        dropped: (stats.queue_full - before.queue_full) as f64 / (stats.sent - before.sent) as f64,
        queue: fill / f64::from(samples.max(1)),
    }
}
