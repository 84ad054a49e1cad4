//! What a link does to packets is what its configuration says.

use netsim::{Datagram, Ecn, HostConfig, HostId, LinkConfig, Loss, Network};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

fn a() -> SocketAddr {
    "192.0.2.1:1000".parse().unwrap()
}

fn b() -> SocketAddr {
    "192.0.2.2:2000".parse().unwrap()
}

fn network(link: LinkConfig) -> (Network, HostId) {
    let mut network = Network::new(1);
    let host = network.add_host(HostConfig::new(a().ip(), link));
    network.add_host(HostConfig::from(b().ip()));
    (network, host)
}

fn send(network: &mut Network, number: u32, size: usize) {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(size.max(4), 0);
    network.send(Datagram::new(a(), b(), payload));
}

/// Lets everything arrive; returns each packet's number and arrival time.
fn arrivals(network: &mut Network) -> Vec<(u32, Duration)> {
    let mut all = Vec::new();
    while let Some(at) = network.next_event() {
        network.advance_to(at);
        while let Some(d) = network.receive() {
            let number = u32::from_be_bytes(d.payload[..4].try_into().unwrap());
            all.push((number, network.elapsed()));
        }
    }
    all
}

#[test]
fn a_perfect_link_delivers_at_once_and_in_order() {
    let (mut network, _) = network(LinkConfig::default());
    (0..100).for_each(|i| send(&mut network, i, 9000));
    let expected: Vec<_> = (0..100).map(|i| (i, Duration::ZERO)).collect();
    assert_eq!(arrivals(&mut network), expected);
}

#[test]
fn latency_and_jitter_delay_without_reordering() {
    let (mut network, _) = network(LinkConfig {
        latency: Duration::from_millis(50),
        jitter: Duration::from_millis(30),
        ..LinkConfig::default()
    });
    (0..1000).for_each(|i| send(&mut network, i, 100));
    let seen = arrivals(&mut network);
    assert!(seen.iter().map(|(i, _)| *i).eq(0..1000));
    assert!(
        seen.iter()
            .all(|(_, at)| (50..=80).contains(&at.as_millis()))
    );
    assert!(seen[0].1 < seen[999].1);
}

#[test]
fn random_loss_has_the_configured_rate() {
    let (mut network, _) = network(LinkConfig::with_loss(0.3));
    (0..20_000).for_each(|i| send(&mut network, i, 100));
    let delivered = arrivals(&mut network).len() as u64;
    assert!((13_700..14_300).contains(&delivered), "{delivered}");
    assert_eq!(network.stats().lost + delivered, 20_000);
}

#[test]
fn burst_loss_has_the_configured_mean_and_burst_length() {
    let (mut network, _) = network(LinkConfig {
        loss: Loss::bursts(0.1, 5.0),
        ..LinkConfig::default()
    });
    (0..50_000).for_each(|i| send(&mut network, i, 100));
    let seen = arrivals(&mut network);
    let lost = 50_000 - seen.len();
    assert!((4_000..6_000).contains(&lost), "{lost}");
    let bursts = seen.windows(2).filter(|w| w[1].0 != w[0].0 + 1).count();
    let mean = lost as f64 / bursts as f64;
    assert!((4.0..6.0).contains(&mean), "{mean}");
}

#[test]
fn reordering_lets_later_packets_overtake_at_the_configured_rate() {
    let (mut network, _) = network(LinkConfig {
        reorder: 0.1,
        reorder_delay: Duration::from_millis(5),
        ..LinkConfig::default()
    });
    for i in 0..10_000 {
        send(&mut network, i, 100);
        network.advance_by(Duration::from_millis(1));
    }
    let mut seen = Vec::new();
    while let Some(d) = network.receive() {
        seen.push(u32::from_be_bytes(d.payload[..4].try_into().unwrap()));
    }
    seen.extend(arrivals(&mut network).iter().map(|(i, _)| *i));
    assert_eq!(seen.len(), 10_000);
    let reordered = network.stats().reordered;
    assert!((800..1_200).contains(&reordered), "{reordered}");
    let overtaken = seen.windows(2).filter(|w| w[1] < w[0]).count();
    assert!(overtaken > 500, "{overtaken}");
}

#[test]
fn duplication_delivers_copies_at_the_configured_rate() {
    let (mut network, _) = network(LinkConfig {
        duplicate: 0.2,
        ..LinkConfig::default()
    });
    (0..10_000).for_each(|i| send(&mut network, i, 100));
    let copies = arrivals(&mut network).len() - 10_000;
    assert!((1_800..2_200).contains(&copies), "{copies}");
    assert_eq!(network.stats().duplicated, copies as u64);
}

#[test]
fn the_mtu_counts_ip_bytes() {
    let (mut network, _) = network(LinkConfig {
        mtu: 1280,
        ..LinkConfig::default()
    });
    send(&mut network, 1, 1280 - 28);
    send(&mut network, 2, 1280 - 27);
    assert_eq!(arrivals(&mut network), [(1, Duration::ZERO)]);
    assert_eq!(network.stats().too_big, 1);
}

#[test]
fn a_rate_limit_spaces_packets_and_drops_the_tail_of_its_queue() {
    let (mut network, host) = network(LinkConfig {
        rate_bps: Some(8_000_000), // 1,000 bytes a millisecond
        queue_bytes: 10_000,
        ..LinkConfig::default()
    });
    (0..15).for_each(|i| send(&mut network, i, 1000 - 28));
    assert_eq!(network.queued_bytes(host), 10_000);
    let expected: Vec<_> = (0..10)
        .map(|i| (i, Duration::from_millis(u64::from(i) + 1)))
        .collect();
    assert_eq!(arrivals(&mut network), expected);
    assert_eq!(network.stats().queue_full, 5);
    assert_eq!(network.queued_bytes(host), 0);
}

#[test]
fn a_long_queue_marks_packets_that_are_capable_of_ecn() {
    let (mut network, _) = network(LinkConfig {
        rate_bps: Some(8_000_000),
        ecn_threshold: Some(3_000),
        ..LinkConfig::default()
    });
    for _ in 0..6 {
        network.send(Datagram::new(a(), b(), vec![0; 972]).with_ecn(Ecn::Ect1));
    }
    send(&mut network, 0, 972);
    network.advance_by(Duration::from_secs(1));
    let marks: Vec<_> = std::iter::from_fn(|| network.receive())
        .map(|d| d.ecn)
        .collect();
    assert_eq!(marks[..4], [Ecn::Ect1; 4]);
    assert_eq!(marks[4..6], [Ecn::Ce; 2]);
    assert_eq!(marks[6], Ecn::NotEct);
}

#[test]
fn the_incoming_link_is_perfect_unless_set() {
    let mut network = Network::new(1);
    let mut host = HostConfig::from(b().ip());
    host.down = LinkConfig::with_latency(Duration::from_millis(7));
    network.add_host(HostConfig::new(
        a().ip(),
        LinkConfig::with_latency(Duration::from_millis(3)),
    ));
    network.add_host(host);
    send(&mut network, 1, 10);
    assert_eq!(arrivals(&mut network), [(1, Duration::from_millis(10))]);
}

#[test]
fn a_firewall_that_blocks_udp_lets_tcp_through_undamaged() {
    let mut network = Network::new(1);
    let lossy = LinkConfig::with_loss(0.5);
    network.add_host(HostConfig::new(a().ip(), lossy).with_udp_blocked());
    network.add_host(HostConfig::from(b().ip()));
    for i in 0..100u8 {
        network.send(Datagram::new(a(), b(), [i]));
        network.send(Datagram::new(b(), a(), [i]));
        network.send(Datagram::tcp(a(), b(), [i]));
    }
    let seen: Vec<_> = std::iter::from_fn(|| network.receive())
        .flat_map(|d| d.payload)
        .collect();
    assert!(seen.into_iter().eq(0..100));
    assert_eq!(network.stats().blocked, 200);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let trace = |seed| {
        let mut network = Network::new(seed);
        let bad = LinkConfig {
            jitter: Duration::from_millis(9),
            loss: Loss::Random(0.2),
            reorder: 0.1,
            duplicate: 0.1,
            ..LinkConfig::default()
        };
        network.add_host(HostConfig::new(a().ip(), bad));
        network.add_host(HostConfig::from(b().ip()));
        (0..200).for_each(|i| send(&mut network, i, 50));
        arrivals(&mut network);
        network.trace_hash()
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}

#[test]
fn an_interceptor_can_change_and_drop_packets() {
    let (mut network, _) = network(LinkConfig::default());
    network.intercept(|_, d| {
        d.payload[0] = 0xff;
        d.payload[3] != 2
    });
    (0..4).for_each(|i| send(&mut network, i, 4));
    let numbers: Vec<_> = arrivals(&mut network)
        .iter()
        .map(|(i, _)| i & 0xff)
        .collect();
    assert_eq!(numbers, [0, 1, 3]);
    assert_eq!(network.stats().intercepted, 1);
}

#[test]
fn an_address_that_goes_away_receives_and_sends_nothing() {
    let (mut network, host) = network(LinkConfig::default());
    let second: IpAddr = "192.0.2.77".parse().unwrap();
    network.add_ip(host, second);
    network.remove_ip(host, a().ip());
    send(&mut network, 1, 4);
    network.send(Datagram::new(b(), a(), [0]));
    assert_eq!(network.stats().unroutable, 2);
    network.send(Datagram::new(b(), SocketAddr::new(second, 9), [0]));
    assert!(network.receive().is_some());
}
