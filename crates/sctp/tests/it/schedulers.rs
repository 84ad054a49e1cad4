//! Who goes next among streams (RFC 8260 §3).

use std::time::Duration;

use netsim::LinkConfig;
use sctp::config::Scheduler;
use sctp::{Config, Reliability};

use crate::common::*;

/// Streams 0 and 1 with priorities 256 and 1024 have 300 messages each to send, stream 0's first; returns the streams
/// of the first 200 messages to arrive.
fn order(scheduler: Scheduler, interleaving: bool) -> Vec<u16> {
    let network = LinkConfig {
        rate_bps: Some(2_000_000),
        ..link(20, 0.0)
    };
    let config = Config {
        scheduler,
        interleaving,
        ..Config::default()
    };
    let mut pair = associated(1, network, config);
    pair.a.machine.set_priority(0, 256);
    pair.a.machine.set_priority(1, 1024);
    for stream in [0, 1] {
        for n in 0..300 {
            pair.a.send(stream, Reliability::Reliable, message(n, 1000));
        }
    }
    let mut streams = Vec::new();
    pair.settle();
    pair.run_until(Duration::from_secs(60), |_, b| {
        streams.extend(b.read_all().iter().map(|received| received.stream));
        streams.len() >= 200
    })
    .unwrap();
    streams.truncate(200);
    streams
}

fn share(streams: &[u16]) -> usize {
    streams.iter().filter(|stream| **stream == 1).count()
}

#[test]
fn each_scheduler_gives_streams_the_turns_it_promises() {
    for interleaving in [false, true] {
        let share = |scheduler| share(&order(scheduler, interleaving));
        assert_eq!(share(Scheduler::FirstComeFirstServed), 0);
        assert_eq!(share(Scheduler::Priority), 200);
        for fair in [
            Scheduler::RoundRobin,
            Scheduler::RoundRobinPerPacket,
            Scheduler::FairCapacity,
        ] {
            let share = share(fair);
            assert!((95..=105).contains(&share), "{fair:?} {share}");
        }
        let weighted = share(Scheduler::WeightedFair);
        assert!((155..=165).contains(&weighted), "{weighted}");
    }
}

#[test]
fn a_long_message_holds_others_up_only_without_interleaving() {
    for (interleaving, first) in [(false, 0), (true, 1)] {
        let network = LinkConfig {
            rate_bps: Some(2_000_000),
            ..link(20, 0.0)
        };
        let config = Config {
            interleaving,
            ..Config::default()
        };
        let mut pair = associated(2, network, config);
        pair.a.send(0, Reliability::Reliable, message(0, 200_000));
        pair.settle();
        pair.run_for(Duration::from_millis(50));
        pair.a.send(1, Reliability::Reliable, message(1, 100));
        pair.settle();
        let mut arrived = Vec::new();
        pair.run_until(Duration::from_secs(10), |_, b| {
            arrived.extend(b.read_all().iter().map(|received| received.stream));
            arrived.len() == 2
        })
        .unwrap();
        assert_eq!(arrived[0], first, "interleaving {interleaving}");
    }
}
