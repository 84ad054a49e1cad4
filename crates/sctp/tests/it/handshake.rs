//! Setting up (RFC 9260 §5).

use std::time::Duration;

use sctp::Config;
use sctp::association::Event;

use crate::common::*;

#[test]
fn four_packets_establish_an_association() {
    let mut pair = associations(1, link(100, 0.0), Config::default());
    let now = pair.now();
    pair.a.machine.connect(now);
    let took = pair
        .run_until(Duration::from_secs(5), |a, b| {
            a.machine.is_established() && b.machine.is_established()
        })
        .unwrap();
    assert_eq!(took, Duration::from_millis(200));
    assert_eq!(pair.network.stats().sent, 4);
    assert_eq!(pair.a.events(), [Event::Connected]);
    assert_eq!(pair.b.events(), [Event::Connected]);
    let extensions = pair.a.machine.extensions().unwrap();
    assert!(extensions.interleaving && extensions.zero_checksum && extensions.stream_reset);
}

#[test]
fn both_sides_may_start_at_once() {
    let mut pair = associations(2, link(100, 0.0), Config::default());
    let now = pair.now();
    pair.a.machine.connect(now);
    pair.b.machine.connect(now);
    let took = pair
        .run_until(Duration::from_secs(5), |a, b| {
            a.machine.is_established() && b.machine.is_established()
        })
        .unwrap();
    assert!(took <= Duration::from_millis(200), "{took:?}");
    pair.a.send(3, sctp::Reliability::Reliable, "from a");
    pair.b.send(4, sctp::Reliability::Reliable, "from b");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(&pair.b.read_all()[0].payload[..], b"from a");
    assert_eq!(&pair.a.read_all()[0].payload[..], b"from b");
}

#[test]
fn establishes_under_thirty_percent_loss_and_the_same_seed_sends_the_same_packets() {
    let run = |seed| {
        let mut pair = channels(seed, link(50, 0.3), Config::default());
        start(&mut pair);
        let took = pair
            .run_until(Duration::from_secs(120), |a, b| {
                a.machine.association().is_established() && b.machine.association().is_established()
            })
            .unwrap();
        (took, pair.network.trace_hash())
    };
    let mut slowest = Duration::ZERO;
    for seed in 0..200 {
        let (took, hash) = run(seed);
        assert_eq!((took, hash), run(seed));
        slowest = slowest.max(took);
    }
    assert!(slowest < Duration::from_secs(40), "{slowest:?}");
}

#[test]
fn retransmits_init_with_doubled_timer_and_gives_up() {
    let config = Config {
        max_init_retransmits: 3,
        ..Config::default()
    };
    let mut pair = associations(3, link(10, 1.0), config);
    let now = pair.now();
    pair.a.machine.connect(now);
    let took = pair
        .run_until(Duration::from_secs(100), |a, _| a.machine.is_closed())
        .unwrap();
    assert_eq!(took, Duration::from_millis(500 + 1000 + 2000 + 4000));
    assert_eq!(pair.network.stats().sent, 4);
}

#[test]
fn an_init_from_a_session_description_replaces_the_handshake() {
    let mut pair = associations(4, link(100, 0.0), Config::default());
    let now = pair.now();
    let (init_a, init_b) = (pair.a.machine.local_init(), pair.b.machine.local_init());
    pair.a.machine.connect_with(now, &init_b).unwrap();
    pair.b.machine.connect_with(now, &init_a).unwrap();
    assert!(pair.a.machine.is_established());
    pair.a.send(0, sctp::Reliability::Reliable, "at once");
    let took = pair
        .run_until(Duration::from_secs(5), |_, b| !b.read_all().is_empty())
        .unwrap();
    assert_eq!(took, Duration::from_millis(50));
    assert!(pair.a.machine.connect_with(now, b"nonsense").is_err());
}

#[test]
fn a_peer_that_restarts_is_recognised() {
    let mut pair = associated(5, link(20, 0.0), Config::default());
    pair.a.send(0, sctp::Reliability::Reliable, "before");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.read_all().len(), 1);
    let now = pair.now();
    let fresh = associations(77, link(20, 0.0), Config::default());
    pair.a.machine = fresh.a.machine;
    pair.a.machine.connect(now);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.machine.is_established());
    assert_eq!(pair.b.events().last(), Some(&Event::Restarted));
    pair.b.send(0, sctp::Reliability::Reliable, "after");
    pair.a.send(0, sctp::Reliability::Reliable, "after");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.read_all().len(), 1);
    assert_eq!(pair.b.read_all().len(), 1);
}
