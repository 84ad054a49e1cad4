//! Endpoints are driven from timer to arrival, on simulated time, and the traffic can be captured.

use netsim::{Datagram, Endpoint, HostConfig, LinkConfig, Network, NotReached, Pair, Simulation};
use std::cell::RefCell;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Sends a ping every second until it has as many echoes as it wants.
struct Pinger {
    local: SocketAddr,
    remote: SocketAddr,
    due: Instant,
    wanted: usize,
    echoes: Vec<Instant>,
    ready: bool,
}

impl Pinger {
    fn new(now: Instant, from: IpAddr, to: IpAddr, wanted: usize) -> Self {
        Self {
            local: SocketAddr::new(from, 1),
            remote: SocketAddr::new(to, 2),
            due: now + Duration::from_secs(1),
            wanted,
            echoes: Vec::new(),
            ready: false,
        }
    }
}

impl Endpoint for Pinger {
    fn handle_datagram(&mut self, now: Instant, _: Datagram) {
        self.echoes.push(now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.due = now + Duration::from_secs(1);
        self.ready = true;
    }
    fn poll_transmit(&mut self, _: Instant) -> Option<Datagram> {
        std::mem::take(&mut self.ready).then(|| Datagram::new(self.local, self.remote, "ping"))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        (self.echoes.len() < self.wanted).then_some(self.due)
    }
}

/// Sends everything back.
#[derive(Default)]
struct Echo(Vec<Datagram>);

impl Endpoint for Echo {
    fn handle_datagram(&mut self, _: Instant, d: Datagram) {
        self.0.push(Datagram::new(d.dst, d.src, d.payload));
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_transmit(&mut self, _: Instant) -> Option<Datagram> {
        self.0.pop()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn pair(seed: u64, link: LinkConfig) -> Pair<Pinger, Echo> {
    Pair::over(
        seed,
        link,
        |now| Pinger::new(now, Pair::A, Pair::B, 10),
        |_| Echo::default(),
    )
}

#[test]
fn a_pair_runs_until_its_condition_on_simulated_time() {
    let mut pair = pair(1, LinkConfig::with_latency(Duration::from_millis(40)));
    let limit = Duration::from_secs(60);
    let elapsed = pair.run_until(limit, |a, _| a.echoes.len() == 3);
    assert_eq!(elapsed, Ok(Duration::from_millis(3_080)));
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.a.echoes.len(), 5);
    assert_eq!(pair.network.elapsed(), Duration::from_millis(5_080));
}

#[test]
fn a_pair_at_rest_and_a_pair_out_of_time_say_so() {
    let mut pair = pair(1, LinkConfig::default());
    let late = pair.run_until(Duration::from_millis(2_500), |_, _| false);
    let expected = NotReached {
        after: Duration::from_millis(2_500),
        idle: false,
    };
    assert_eq!(late, Err(expected));
    let idle = pair.run_until(Duration::from_secs(3_600), |_, _| false);
    assert!(idle.is_err_and(|error| error.idle));
    assert!(!pair.step());
}

#[test]
fn the_same_seed_gives_the_same_packets_under_loss() {
    let run = |seed| {
        let mut pair = pair(seed, LinkConfig::with_loss(0.3));
        pair.run_until(Duration::from_secs(600), |a, _| a.echoes.len() == 10)
            .unwrap();
        assert!(pair.network.stats().lost > 0);
        pair.network.trace_hash()
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

#[test]
fn a_simulation_drives_many_endpoints_of_different_types() {
    let mut network = Network::new(1);
    let server = network.add_host(HostConfig::from(Pair::B));
    let clients: Vec<_> = (10..15u8)
        .map(|last| network.add_host(HostConfig::from(IpAddr::from([192, 0, 2, last]))))
        .collect();
    let mut simulation = Simulation::<Box<dyn Endpoint>>::new(network);
    simulation.add([server], Box::new(Echo::default()));
    for client in clients {
        let pinger = Pinger::new(simulation.now(), simulation.network.ip(client), Pair::B, 4);
        simulation.add([client], Box::new(pinger));
    }
    while simulation.step() {}
    assert_eq!(simulation.network.stats().delivered, 5 * 4 * 2);
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The one's complement sum of 16-bit words: 0xffff when the checksum inside is right.
fn ones_sum(bytes: &[u8]) -> u32 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn a_capture_holds_valid_ipv4_and_ipv6_packets_with_their_times() {
    let file = Shared::default();
    let mut network = Network::new(1);
    network.capture(file.clone()).unwrap();
    let [a, b]: [SocketAddr; 2] = ["192.0.2.1:1000", "192.0.2.2:2000"].map(|s| s.parse().unwrap());
    let [a6, b6]: [SocketAddr; 2] =
        ["[2001:db8::1]:1000", "[2001:db8::2]:2000"].map(|s| s.parse().unwrap());
    let v4 = network.add_host(HostConfig::from(a.ip()).with_ip(a6.ip()));
    network.add_host(HostConfig::from(b.ip()).with_ip(b6.ip()));
    network.send_from(v4, Datagram::new(a, b, "abc"));
    network.advance_by(Duration::from_nanos(1_500_000_007));
    network.send_from(v4, Datagram::new(a6, b6, "defg"));
    let bytes = file.0.borrow();
    assert_eq!(bytes[..4], 0xa1b2_3c4d_u32.to_le_bytes());
    assert_eq!(bytes[20..24], 101u32.to_le_bytes());

    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!([word(24), word(28)], [1_767_225_600, 0]);
    assert_eq!([word(32), word(36)], [31, 31]);
    let packet = &bytes[40..71];
    assert_eq!(ones_sum(&packet[..20]), 0xffff);
    let pseudo = [&packet[12..20], &[0, 17, 0, 11], &packet[20..]].concat();
    assert_eq!(ones_sum(&pseudo), 0xffff);
    assert_eq!(packet[28..], *b"abc");

    assert_eq!([word(71), word(75)], [1_767_225_601, 500_000_007]);
    let packet = &bytes[87..];
    assert_eq!(packet.len(), 52);
    assert_eq!(packet[6], 17);
    let pseudo = [&packet[8..40], &[0, 0, 0, 12, 0, 0, 0, 17], &packet[40..]].concat();
    assert_eq!(ones_sum(&pseudo), 0xffff);
}
