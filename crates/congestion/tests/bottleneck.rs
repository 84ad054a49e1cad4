//! A sender whose encoder follows the estimate, through a bottleneck on a simulated network.
//!
//! The packets are bare: a transport-wide number and filling; feedback is written and read as on the wire.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netsim::{Datagram, Endpoint, HostConfig, LinkConfig, Loss, Network, Pair, Simulation};
use pc_congestion::{Bitrate, Config, Controller, Event, Limits, Priority, Sent};
use rtp::{SeqNum, Ssrc, receive::TransportFeedback, rtcp};

const MS: Duration = Duration::from_millis(1);
const FRAME: Duration = Duration::from_nanos(33_333_333);
const PACKET: usize = 1_200;

struct Sender {
    local: SocketAddr,
    remote: SocketAddr,
    control: Controller,
    target: Bitrate,
    /// The encoder makes no more than this, whatever the estimate.
    encoder_max: Bitrate,
    next_frame: Instant,
    queue: VecDeque<usize>,
    queue_peak: usize,
    sequence: u16,
    targets: Vec<(Instant, Bitrate)>,
}

struct Receiver {
    local: SocketAddr,
    remote: SocketAddr,
    feedback: TransportFeedback,
    out: VecDeque<Vec<u8>>,
    arrivals: Vec<(Instant, usize)>,
}

enum Node {
    Sender(Box<Sender>),
    Receiver(Box<Receiver>),
}

impl Endpoint for Sender {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        for packet in rtcp::packets(&datagram.payload) {
            if let Ok(rtcp::Packet::TransportFeedback(feedback)) = packet {
                let arrivals = feedback.arrivals().map(|(seq, arrival)| (seq.0, arrival));
                self.control.handle_transport_feedback(now, arrivals);
            }
        }
        self.follow(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.control.handle_timeout(now);
        self.follow(now);
        while self.next_frame <= now {
            self.next_frame += FRAME;
            let rate = self.target.min(self.encoder_max);
            let mut left = (rate.bps() / 8 / 30) as usize;
            while left > 0 {
                let size = left.min(PACKET);
                self.queue.push_back(size.max(40));
                left -= size;
            }
            self.queue_peak = self.queue_peak.max(self.queue.len());
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let &size = self.queue.front()?;
        if !self.control.admit(now, Priority::Video, size) {
            return None;
        }
        self.queue.pop_front();
        let mut payload = self.sequence.to_be_bytes().to_vec();
        payload.resize(size, 0);
        self.control.sent(
            now,
            Sent {
                ssrc: 1,
                sequence: self.sequence,
                transport_sequence: Some(self.sequence),
                size,
            },
        );
        self.sequence = self.sequence.wrapping_add(1);
        Some(Datagram::new(self.local, self.remote, payload))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let control = self.control.poll_timeout();
        Some(control.map_or(self.next_frame, |at| at.min(self.next_frame)))
    }
}

impl Sender {
    fn follow(&mut self, now: Instant) {
        while let Some(Event::TargetBitrate(target)) = self.control.poll_event() {
            self.target = target;
            self.targets.push((now, target));
        }
    }
}

impl Receiver {
    fn write_feedback(&mut self, now: Instant) {
        let mut buf = Vec::new();
        while self
            .feedback
            .poll(now, Ssrc(2), Ssrc(1), &mut buf)
            .is_some()
        {
            self.out.push_back(std::mem::take(&mut buf));
        }
    }
}

impl Endpoint for Receiver {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let sequence = u16::from_be_bytes(datagram.payload[..2].try_into().unwrap());
        self.arrivals.push((now, datagram.payload.len()));
        self.feedback.handle_packet(now, SeqNum(sequence));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.write_feedback(now);
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
        let payload = self.out.pop_front()?;
        Some(Datagram::new(self.local, self.remote, payload))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.feedback.poll_timeout()
    }
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        match self {
            Self::Sender(node) => node.handle_datagram(now, datagram),
            Self::Receiver(node) => node.handle_datagram(now, datagram),
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Sender(node) => node.handle_timeout(now),
            Self::Receiver(node) => node.handle_timeout(now),
        }
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        match self {
            Self::Sender(node) => node.poll_transmit(now),
            Self::Receiver(node) => node.poll_transmit(now),
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Sender(node) => node.poll_timeout(),
            Self::Receiver(node) => node.poll_timeout(),
        }
    }
}

struct Bottleneck {
    simulation: Simulation<Node>,
    host: netsim::HostId,
}

fn link(kbps: u64) -> LinkConfig {
    LinkConfig {
        rate_bps: Some(kbps * 1000),
        queue_bytes: 200_000,
        ..LinkConfig::with_latency(25 * MS)
    }
}

impl Bottleneck {
    fn new(link: LinkConfig, max: u64, encoder_max: u64) -> Self {
        let mut network = Network::new(11);
        let [local, remote] = [Pair::A, Pair::B].map(|ip| SocketAddr::new(ip, 5000));
        let host = network.add_host(HostConfig::new(Pair::A, link));
        let other = network.add_host(HostConfig::new(Pair::B, LinkConfig::with_latency(25 * MS)));
        let now = network.now();
        let mut config = Config::default();
        config.limits = Limits {
            max: Bitrate::from_kbps(max),
            ..Limits::default()
        };
        let mut simulation = Simulation::new(network);
        let sender = Sender {
            local,
            remote,
            control: Controller::new(config, now),
            target: config.limits.start,
            encoder_max: Bitrate::from_kbps(encoder_max),
            next_frame: now,
            queue: VecDeque::new(),
            queue_peak: 0,
            sequence: 65_000,
            targets: Vec::new(),
        };
        let receiver = Receiver {
            local: remote,
            remote: local,
            feedback: TransportFeedback::new(50 * MS),
            out: VecDeque::new(),
            arrivals: Vec::new(),
        };
        simulation.add([host], Node::Sender(Box::new(sender)));
        simulation.add([other], Node::Receiver(Box::new(receiver)));
        Self { simulation, host }
    }

    fn sender(&self) -> &Sender {
        match &self.simulation.endpoints[0] {
            Node::Sender(sender) => sender,
            Node::Receiver(_) => unreachable!(),
        }
    }

    fn receiver(&self) -> &Receiver {
        match &self.simulation.endpoints[1] {
            Node::Receiver(receiver) => receiver,
            Node::Sender(_) => unreachable!(),
        }
    }

    /// Runs, and samples the bottleneck's queue every 10 ms; what arrived, and the queue's 95th percentile and peak.
    fn run(&mut self, seconds: u64) -> Observed {
        let start = self.simulation.now();
        let mut queues = Vec::new();
        for _ in 0..seconds * 100 {
            self.simulation.run_for(10 * MS);
            queues.push(self.simulation.network.queued_bytes(self.host));
        }
        let bytes: usize = self
            .receiver()
            .arrivals
            .iter()
            .filter(|(at, _)| *at >= start)
            .map(|(_, size)| size)
            .sum();
        queues.sort_unstable();
        Observed {
            kbps: bytes as u64 * 8 / seconds / 1000,
            queue_usual: queues[queues.len() * 95 / 100],
            queue_peak: queues[queues.len() - 1],
        }
    }
}

#[derive(Debug)]
struct Observed {
    kbps: u64,
    queue_usual: usize,
    queue_peak: usize,
}

/// How long a queue of so many bytes takes at the bottleneck.
fn delay(bytes: usize, kbps: u64) -> Duration {
    Bitrate::from_kbps(kbps).time_for(bytes)
}

#[test]
fn the_rate_settles_near_the_bottleneck_with_a_short_queue() {
    for kbps in [500, 1_000, 2_000] {
        let mut network = Bottleneck::new(link(kbps), 3_000, 10_000);
        network.run(15);
        let observed = network.run(30);
        assert!(
            (kbps * 80 / 100..=kbps).contains(&observed.kbps),
            "{kbps}: {observed:?}"
        );
        // The standing queue, and a frame's own packets.
        assert!(
            delay(observed.queue_usual, kbps) < 60 * MS,
            "{kbps}: {observed:?}"
        );
        assert_eq!(network.simulation.network.stats().queue_full, 0);
    }
}

#[test]
fn the_start_finds_the_bottleneck_within_seconds() {
    let mut network = Bottleneck::new(link(2_000), 3_000, 10_000);
    network.run(5);
    let observed = network.run(1);
    assert!(observed.kbps > 1_400, "{observed:?}");
}

#[test]
fn a_drop_of_the_bottleneck_is_followed_and_its_queue_drained() {
    let mut network = Bottleneck::new(link(2_000), 3_000, 10_000);
    network.run(15);
    let host = network.host;
    network.simulation.network.set_link(host, link(500));
    let drop = network.run(3);
    // A quarter of the rate is left: what is on its way until the news arrives makes most of the queue.
    assert!(delay(drop.queue_peak, 500) < 950 * MS, "{drop:?}");
    assert!(delay(network.simulation.network.queued_bytes(host), 500) < 100 * MS);
    let settled = network.run(20);
    assert!((375..=500).contains(&settled.kbps), "{settled:?}");
    assert!(delay(settled.queue_usual, 500) < 90 * MS, "{settled:?}");
    // And back up.
    network.simulation.network.set_link(host, link(2_000));
    network.run(15);
    let again = network.run(10);
    assert!(again.kbps > 1_500, "{again:?}");
}

#[test]
fn an_application_that_sends_little_does_not_raise_the_estimate_without_bound() {
    let mut network = Bottleneck::new(link(10_000), 8_000, 400);
    network.run(20);
    let target = network.sender().control.target();
    assert!(
        (Bitrate::from_kbps(400)..Bitrate::from_kbps(1_000)).contains(&target),
        "{target}"
    );
}

#[test]
fn a_little_random_loss_does_not_ruin_the_rate() {
    let lossy = LinkConfig {
        loss: Loss::Random(0.01),
        ..link(1_000)
    };
    let mut network = Bottleneck::new(lossy, 3_000, 10_000);
    network.run(20);
    let observed = network.run(20);
    assert!(observed.kbps > 600, "{observed:?}");
}

#[test]
fn heavy_loss_lowers_the_rate() {
    let lossy = LinkConfig {
        loss: Loss::Random(0.2),
        ..link(3_000)
    };
    let mut network = Bottleneck::new(lossy, 3_000, 10_000);
    network.run(20);
    let target = network.sender().control.target();
    assert!(target < Bitrate::from_kbps(200), "{target}");
}

#[test]
fn without_feedback_the_rate_is_halved_again_and_again() {
    let mut network = Bottleneck::new(link(2_000), 3_000, 10_000);
    network.run(10);
    let before = network.sender().control.target();
    let dead = LinkConfig {
        loss: Loss::Random(1.0),
        ..link(2_000)
    };
    let host = network.host;
    network.simulation.network.set_link(host, dead);
    network.run(4);
    let during = network.sender().control.target();
    assert!(during.bps() * 8 < before.bps(), "{before} {during}");
    network.simulation.network.set_link(host, link(2_000));
    network.run(10);
    let after = network.run(5);
    assert!(after.kbps > 1_200, "{after:?}");
}

#[test]
fn the_pacer_keeps_a_frame_from_piling_up_anywhere() {
    let mut network = Bottleneck::new(link(1_000), 1_000, 10_000);
    network.run(30);
    // At most about two frames wait at the sender.
    assert!(
        network.sender().queue_peak <= 8,
        "{}",
        network.sender().queue_peak
    );
}

#[test]
fn the_same_seed_gives_the_same_rates() {
    let run = || {
        let mut network = Bottleneck::new(link(800), 3_000, 10_000);
        network.run(10);
        let targets: Vec<_> = network
            .sender()
            .targets
            .iter()
            .map(|(_, rate)| *rate)
            .collect();
        (network.simulation.network.trace_hash(), targets)
    };
    assert_eq!(run(), run());
}
