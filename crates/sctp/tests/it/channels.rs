//! Data channels (RFC 8831, RFC 8832).

use std::time::Duration;

use bytes::Bytes;
use sctp::Config;
use sctp::Reliability;
use sctp::datachannel::{
    ChannelConfig, ChannelState, Event, Message, MessageKind, OpenError, SendError,
};

use crate::common::*;

#[test]
fn a_channel_opened_before_the_start_carries_messages_both_ways() {
    let mut pair = channels(1, link(40, 0.0), Config::default());
    let config = ChannelConfig {
        label: "chat".into(),
        protocol: "text.v1".into(),
        priority: 512,
        ..ChannelConfig::default()
    };
    let a = pair.a.open(config.clone());
    assert_eq!(pair.a.machine.stream_id(a), None);
    start(&mut pair);
    pair.run_for(Duration::from_secs(1));
    let events = pair.a.events();
    assert!(matches!(
        events[0],
        Event::Connected {
            max_channels: 65535
        }
    ));
    assert_eq!(events[1..], [Event::ChannelOpen(a)]);
    let events = pair.b.events();
    let Event::ChannelIncoming(b) = events[1] else {
        panic!("{events:?}");
    };
    assert_eq!(pair.b.machine.config(b), Some(&config));
    assert_eq!(pair.a.machine.stream_id(a), Some(0));
    assert_eq!(pair.b.machine.stream_id(b), Some(0));

    let now = pair.now();
    for (kind, text) in [
        (MessageKind::String, "héllo"),
        (MessageKind::Binary, "bytes"),
        (MessageKind::String, ""),
        (MessageKind::Binary, ""),
    ] {
        pair.a
            .machine
            .send(now, a, kind, Bytes::from(text))
            .unwrap();
        pair.run_for(Duration::from_millis(500));
        let expected = Message {
            kind,
            payload: Bytes::from(text),
        };
        assert_eq!(pair.b.read(b), Some(expected));
        assert_eq!(pair.b.read(b), None);
        assert_eq!(pair.b.events(), [Event::Readable(b)]);
    }
    pair.b.send(b, "back");
    pair.run_for(Duration::from_millis(500));
    assert_eq!(pair.a.read_all(a), ["back"]);
}

#[test]
fn the_first_message_arrives_with_the_handshake() {
    let mut pair = channels(2, link(100, 0.0), Config::default());
    let a = pair.a.open(ChannelConfig::default());
    start(&mut pair);
    let mut told = None;
    let took = pair
        .run_until(Duration::from_secs(3), |node, b| {
            if node.events().contains(&Event::ChannelOpen(a)) {
                node.send(a, "hello");
            }
            for event in b.events() {
                if let Event::ChannelIncoming(id) = event {
                    told = Some(id);
                }
            }
            told.is_some_and(|id| !b.read_all(id).is_empty())
        })
        .unwrap();
    // INIT, INIT ACK, COOKIE ECHO and COOKIE ACK, then OPEN with the message.
    assert!(took <= Duration::from_millis(250), "{took:?}");
}

#[test]
fn each_side_uses_ids_of_its_parity_and_negotiated_ones_need_no_word() {
    let mut pair = connected(3, link(10, 0.0), Config::default());
    let a: Vec<_> = (0..3)
        .map(|_| pair.a.open(ChannelConfig::default()))
        .collect();
    let b: Vec<_> = (0..3)
        .map(|_| pair.b.open(ChannelConfig::default()))
        .collect();
    let ids = |node: &Node<_>, channels: &[_]| -> Vec<_> {
        let machine: &sctp::datachannel::DataChannels = &node.machine;
        channels
            .iter()
            .map(|id| machine.stream_id(*id).unwrap())
            .collect()
    };
    assert_eq!(ids(&pair.a, &a), [0, 2, 4]);
    assert_eq!(ids(&pair.b, &b), [1, 3, 5]);

    let negotiated = ChannelConfig {
        negotiated: Some(1000),
        ..ChannelConfig::default()
    };
    let on_a = pair.a.open(negotiated.clone());
    let on_b = pair.b.open(negotiated.clone());
    assert_eq!(pair.a.machine.open(negotiated), Err(OpenError::IdInUse));
    let beyond = ChannelConfig {
        negotiated: Some(65535),
        ..ChannelConfig::default()
    };
    assert_eq!(pair.a.machine.open(beyond), Err(OpenError::InvalidId));
    pair.a.send(on_a, "agreed");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.read_all(on_b), ["agreed"]);
    let incoming = |events: Vec<Event>| {
        events
            .iter()
            .filter(|e| matches!(e, Event::ChannelIncoming(_)))
            .count()
    };
    assert_eq!(incoming(pair.b.events()), 3);
}

#[test]
fn closing_resets_both_directions_and_frees_the_id() {
    for loss in [0.0, 0.2] {
        let mut pair = connected(4, link(30, loss), Config::default());
        let (a, b) = open(&mut pair, ChannelConfig::default());
        for n in 0..20 {
            pair.a.send(a, message(n, 5000));
        }
        let now = pair.now();
        pair.a.machine.close(now, a);
        assert_eq!(pair.a.machine.state(a), Some(ChannelState::Closing));
        assert_eq!(
            pair.a.machine.send(now, a, MessageKind::Binary, "x".into()),
            Err(SendError::NotOpen)
        );
        let mut seen = Vec::new();
        pair.run_until(Duration::from_secs(60), |node, other| {
            seen.extend(other.events());
            node.events().contains(&Event::ChannelClosed(a, None))
        })
        .unwrap();
        pair.run_for(Duration::from_secs(20));
        seen.extend(pair.b.events());
        assert_eq!(
            seen,
            [
                Event::Readable(b),
                Event::ChannelClosing(b),
                Event::ChannelClosed(b, None)
            ]
        );
        // What came before the close is still there.
        assert_eq!(pair.b.read_all(b).len(), 20);
        assert_eq!(pair.b.machine.state(b), None);
        assert_eq!(pair.a.machine.state(a), None);
        // The id is used again in time, and its stream starts over.
        let again = ChannelConfig {
            negotiated: Some(0),
            ..ChannelConfig::default()
        };
        let a = pair.a.open(again.clone());
        let b = pair.b.open(again);
        pair.a.send(a, "again");
        pair.run_for(Duration::from_secs(20));
        assert_eq!(pair.b.read_all(b), ["again"]);
    }
}

#[test]
fn both_sides_may_close_at_once() {
    let mut pair = connected(5, link(30, 0.1), Config::default());
    let (a, b) = open(&mut pair, ChannelConfig::default());
    let now = pair.now();
    pair.a.machine.close(now, a);
    pair.b.machine.close(now, b);
    pair.run_for(Duration::from_secs(30));
    assert!(pair.a.events().contains(&Event::ChannelClosed(a, None)));
    assert!(pair.b.events().contains(&Event::ChannelClosed(b, None)));
}

#[test]
fn a_message_larger_than_the_peer_accepts_is_refused() {
    let mut pair = connected(6, link(10, 0.0), Config::default());
    let (a, b) = open(&mut pair, ChannelConfig::default());
    let now = pair.now();
    let huge = Bytes::from(vec![0; 256 * 1024 * 1024]);
    assert_eq!(
        pair.a
            .machine
            .send(now, a, MessageKind::Binary, huge.clone()),
        Err(SendError::TooLarge {
            size: 256 * 1024 * 1024,
            limit: 256 * 1024
        })
    );
    pair.a.send(a, huge.slice(..256 * 1024));
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.b.read_all(b)[0].len(), 256 * 1024);
}

#[test]
fn buffered_amount_falls_as_packets_leave_and_tells_at_the_threshold() {
    let mut pair = connected(7, link(100, 0.0), Config::default());
    let (a, _) = open(&mut pair, ChannelConfig::default());
    pair.a.machine.set_buffered_amount_low_threshold(a, 50_000);
    for n in 0..10 {
        pair.a.send(a, message(n, 20_000));
    }
    assert_eq!(pair.a.machine.buffered_amount(a), 200_000);
    let mut told_at = None;
    pair.run_until(Duration::from_secs(10), |node, _| {
        if node.events().contains(&Event::BufferedAmountLow(a)) {
            told_at = Some(node.machine.buffered_amount(a));
        }
        node.machine.buffered_amount(a) == 0
    })
    .unwrap();
    assert!(told_at.unwrap() <= 50_000);
}

#[test]
fn a_reader_that_stops_makes_the_sender_wait_with_flat_memory() {
    let config = Config {
        receive_window: 600_000,
        send_buffer: 500_000,
        ..Config::default()
    };
    let mut pair = connected(8, link(20, 0.0), config);
    let (a, b) = open(&mut pair, ChannelConfig::default());
    let mut sent = 0;
    for _ in 0..300 {
        let now = pair.now();
        while pair
            .a
            .machine
            .send(now, a, MessageKind::Binary, message(sent, 10_000))
            .is_ok()
        {
            sent += 1;
        }
        pair.run_for(Duration::from_millis(100));
    }
    // The window, the buffer, and not a byte more.
    assert!((100..120).contains(&sent), "{sent}");
    let mut received = 0;
    pair.run_until(Duration::from_secs(60), |_, node| {
        for payload in node.read_all(b) {
            assert_eq!(payload, message(received, 10_000));
            received += 1;
        }
        received == sent
    })
    .unwrap();
}

#[test]
fn ten_thousand_channels_are_open_on_one_association() {
    let mut pair = connected(9, link(20, 0.0), Config::default());
    let ids: Vec<_> = (0..10_000)
        .map(|n| {
            pair.a.open(ChannelConfig {
                label: format!("channel {n}"),
                ordered: n % 2 == 0,
                ..ChannelConfig::default()
            })
        })
        .collect();
    for id in &ids {
        pair.a.send(*id, "hello");
    }
    let mut incoming = Vec::new();
    let mut received = 0;
    pair.run_until(Duration::from_secs(60), |_, b| {
        for event in b.events() {
            match event {
                Event::ChannelIncoming(id) => incoming.push(id),
                Event::Readable(id) => received += b.read_all(id).len(),
                other => panic!("{other:?}"),
            }
        }
        received == 10_000
    })
    .unwrap();
    assert_eq!(incoming.len(), 10_000);
}

#[test]
fn without_stream_reset_a_channel_closes_at_once() {
    let config = Config {
        stream_reset: false,
        ..Config::default()
    };
    let mut pair = connected(10, link(20, 0.0), config);
    let (a, _) = open(&mut pair, ChannelConfig::default());
    let now = pair.now();
    pair.a.machine.close(now, a);
    assert_eq!(pair.a.events(), [Event::ChannelClosed(a, None)]);
}

#[test]
fn unreliable_channels_deliver_what_they_can_in_order() {
    for (reliability, ordered) in [
        (Reliability::MaxRetransmits(0), true),
        (Reliability::MaxRetransmits(1), false),
        (
            Reliability::MaxPacketLifeTime(Duration::from_millis(80)),
            true,
        ),
        (
            Reliability::MaxPacketLifeTime(Duration::from_millis(80)),
            false,
        ),
    ] {
        for interleaving in [false, true] {
            let config = Config {
                interleaving,
                ..Config::default()
            };
            let mut pair = connected(11, link(50, 0.1), config);
            let (a, b) = open(
                &mut pair,
                ChannelConfig {
                    reliability,
                    ordered,
                    ..ChannelConfig::default()
                },
            );
            let total = 500;
            for n in 0..total {
                pair.a
                    .send(a, message(n, if n % 5 == 0 { 6000 } else { 300 }));
                pair.run_for(Duration::from_millis(10));
            }
            pair.run_for(Duration::from_secs(20));
            let received = pair.b.read_all(b);
            let numbers: Vec<usize> = received
                .iter()
                .map(|data| {
                    let number = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as usize;
                    assert_eq!(data, &message(number, data.len()));
                    number
                })
                .collect();
            let lost = total - numbers.len();
            assert!(
                (1..300).contains(&lost),
                "{reliability:?} {ordered} lost {lost}"
            );
            if ordered {
                assert!(numbers.is_sorted());
            }
            // Nothing is stuck: a reliable message still comes through.
            let stats = pair.a.machine.stats();
            assert_eq!(stats.bytes_in_flight, 0);
            assert!(stats.messages_abandoned as usize >= lost);
        }
    }
}
