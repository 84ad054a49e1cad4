//! Many bytes over bad networks.

use std::time::Duration;

use netsim::{LinkConfig, Loss};
use sctp::datachannel::{ChannelConfig, MessageKind};
use sctp::{Config, Reliability};

use crate::common::*;

/// Sends `count` messages of `size` on a channel and checks each; returns the simulated time.
fn transfer(pair: &mut Channels, config: ChannelConfig, count: usize, size: usize) -> Duration {
    let ordered = config.ordered;
    let (a, b) = open(pair, config);
    let (mut sent, mut received) = (0, 0);
    let mut seen = vec![false; count];
    pair.run_until(Duration::from_secs(7200), |node, other| {
        while sent < count
            && node
                .machine
                .send(node.now, a, MessageKind::Binary, message(sent, size))
                .is_ok()
        {
            sent += 1;
        }
        for data in other.read_all(b) {
            let number = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as usize;
            assert_eq!(data, message(number, size), "message {number}");
            assert!(
                !std::mem::replace(&mut seen[number], true),
                "{number} came twice"
            );
            if ordered {
                assert_eq!(number, received);
            }
            received += 1;
        }
        received == count
    })
    .expect("all arrives")
}

#[test]
fn everything_arrives_whatever_the_network_does() {
    let networks = [
        link(0, 0.0),
        link(50, 0.01),
        link(50, 0.2),
        LinkConfig {
            reorder: 0.2,
            duplicate: 0.05,
            jitter: Duration::from_millis(10),
            ..link(40, 0.02)
        },
        LinkConfig {
            loss: Loss::bursts(0.05, 8.0),
            ..link(30, 0.0)
        },
        LinkConfig {
            rate_bps: Some(5_000_000),
            queue_bytes: 30_000,
            ..link(30, 0.0)
        },
    ];
    for (n, network) in networks.into_iter().enumerate() {
        for (ordered, size) in [(true, 20_000), (false, 700), (true, 1160), (false, 3000)] {
            for interleaving in [false, true] {
                let config = Config {
                    interleaving,
                    ..Config::default()
                };
                let mut pair = connected(n as u64, network.clone(), config);
                let channel = ChannelConfig {
                    ordered,
                    ..ChannelConfig::default()
                };
                transfer(&mut pair, channel, 2_000_000 / size, size);
            }
        }
    }
}

#[test]
fn reordering_alone_causes_next_to_no_retransmissions() {
    let network = LinkConfig {
        reorder: 0.05,
        reorder_delay: Duration::from_millis(5),
        ..link(100, 0.0)
    };
    let mut pair = connected(20, network, Config::default());
    transfer(&mut pair, ChannelConfig::default(), 500, 10_000);
    let stats = pair.a.machine.stats();
    let share = stats.chunks_retransmitted as f64 / stats.chunks_sent as f64;
    assert!(share < 0.01, "{share}");
}

#[test]
fn a_lost_tail_costs_round_trips_not_a_timeout() {
    let mut pair = connected(21, link(100, 0.0), Config::default());
    let (a, b) = open(&mut pair, ChannelConfig::default());
    // Measured, and the OPEN is acknowledged.
    for n in 0..5 {
        pair.a.send(a, message(n, 2000));
        pair.run_for(Duration::from_secs(1));
    }
    assert_eq!(pair.b.read_all(b).len(), 5);
    for n in 0..4 {
        pair.a.send(a, message(n, 1000));
    }
    let mut count = 0;
    pair.network.intercept(move |_, _| {
        count += 1;
        count != 3 && count != 4
    });
    pair.settle();
    let took = pair
        .run_until(Duration::from_secs(5), |_, node| {
            node.machine.association().stats().messages_received == 10
        })
        .unwrap();
    assert!(took < Duration::from_millis(420), "{took:?}");
    assert_eq!(pair.a.machine.stats().timeouts, 0);
}

#[test]
fn an_hour_with_ten_percent_loss_and_duplicates_loses_nothing() {
    let network = LinkConfig {
        duplicate: 0.05,
        ..link(60, 0.1)
    };
    let mut pair = connected(22, network, Config::default());
    let (a, b) = open(&mut pair, ChannelConfig::default());
    let mut received = 0;
    for n in 0..36_000 {
        pair.a.send(a, message(n, 900 + n % 3000));
        pair.run_for(Duration::from_millis(100));
        for data in pair.b.read_all(b) {
            assert_eq!(data, message(received, 900 + received % 3000));
            received += 1;
        }
    }
    pair.run_for(Duration::from_secs(60));
    received += pair.b.read_all(b).len();
    assert_eq!(received, 36_000);
    let stats = pair.a.machine.stats();
    assert_eq!(stats.bytes_in_flight, 0);
}

#[test]
fn a_closed_window_reopens_even_when_the_news_is_lost() {
    let config = Config {
        receive_window: 20_000,
        max_message_size: 10_000,
        ..Config::default()
    };
    let mut pair = associated(23, link(40, 0.0), config);
    for n in 0..100 {
        pair.a.send(0, Reliability::Reliable, message(n, 5000));
    }
    pair.run_for(Duration::from_secs(30));
    let b = pair.host_b();
    pair.network.set_link(b, link(40, 1.0));
    let mut count = pair.b.read_all().len();
    pair.run_for(Duration::from_secs(5));
    pair.network.set_link(b, link(40, 0.0));
    pair.run_until(Duration::from_secs(300), |_, node| {
        count += node.read_all().len();
        count == 100
    })
    .unwrap();
}
