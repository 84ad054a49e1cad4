//! Ending (RFC 9260 §9).

use std::time::Duration;

use sctp::association::Event;
use sctp::{CloseReason, Config, Reliability};

use crate::common::*;

fn closed(events: &[Event]) -> Option<&CloseReason> {
    events.iter().find_map(|event| match event {
        Event::Closed(reason) => Some(reason),
        _ => None,
    })
}

#[test]
fn shutdown_delivers_everything_first() {
    for (seed, loss) in [(1, 0.0), (2, 0.1), (3, 0.3)] {
        let mut pair = associated(seed, link(40, loss), Config::default());
        for n in 0..50 {
            pair.a.send(0, Reliability::Reliable, message(n, 3000));
            pair.b.send(0, Reliability::Reliable, message(n, 500));
        }
        let now = pair.now();
        pair.a.machine.shutdown(now);
        let (mut at_a, mut at_b) = (0, 0);
        pair.run_until(Duration::from_secs(600), |a, b| {
            at_a += a.read_all().len();
            at_b += b.read_all().len();
            a.machine.is_closed() && b.machine.is_closed()
        })
        .unwrap();
        assert_eq!(closed(&pair.a.events()), Some(&CloseReason::Shutdown));
        assert_eq!((at_a, at_b), (50, 50));
        if loss == 0.0 {
            assert_eq!(closed(&pair.b.events()), Some(&CloseReason::Shutdown));
        }
    }
}

#[test]
fn both_sides_may_shut_down_at_once() {
    let mut pair = associated(4, link(40, 0.0), Config::default());
    let now = pair.now();
    pair.a.machine.shutdown(now);
    pair.b.machine.shutdown(now);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(closed(&pair.a.events()), Some(&CloseReason::Shutdown));
    assert_eq!(closed(&pair.b.events()), Some(&CloseReason::Shutdown));
}

#[test]
fn abort_reaches_the_peer_with_its_cause() {
    let mut pair = associated(5, link(40, 0.0), Config::default());
    let now = pair.now();
    pair.a.machine.abort(now, "enough");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(closed(&pair.a.events()), Some(&CloseReason::AbortedHere));
    let reason = CloseReason::AbortedByPeer { cause: Some(12) };
    assert_eq!(closed(&pair.b.events()), Some(&reason));
}

#[test]
fn a_peer_that_vanishes_is_noticed_with_and_without_data() {
    for data in [false, true] {
        let config = Config {
            max_retransmits: Some(10),
            ..Config::default()
        };
        let mut pair = associated(6, link(40, 0.0), config);
        if data {
            pair.a.send(0, Reliability::Reliable, "anyone?");
        }
        let (a, b) = (pair.host_a(), pair.host_b());
        pair.network.set_link(a, link(40, 1.0));
        pair.network.set_link(b, link(40, 1.0));
        pair.run_until(Duration::from_secs(1000), |a, _| a.machine.is_closed())
            .unwrap();
        assert_eq!(
            closed(&pair.a.events()),
            Some(&CloseReason::PeerUnreachable)
        );
    }
}

#[test]
fn an_idle_association_stays_and_measures_its_round_trip() {
    let mut pair = associated(7, link(80, 0.0), Config::default());
    pair.run_for(Duration::from_secs(600));
    assert!(pair.a.machine.is_established() && pair.b.machine.is_established());
    let stats = pair.a.machine.stats();
    assert_eq!(stats.smoothed_rtt, Some(Duration::from_millis(80)));
    assert!(stats.packets_sent < 60, "{}", stats.packets_sent);
}
