//! This crate with others at the far end: random message mixes over networks that lose and reorder, every message
//! delivered exactly as its reliability allows.
#![allow(unreachable_pub, missing_docs, dead_code)]

mod peers;
#[path = "peers/webrtc017.rs"]
mod webrtc017;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{LinkConfig, Loss};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sctp::Reliability;

use self::peers::node::{Node, pair};
use self::peers::{DcSctp, Ours, Peer, RtcSctp, SctpProto};

type Make = fn(u64, Instant) -> Box<dyn Peer>;

fn ours(seed: u64, _now: Instant) -> Box<dyn Peer> {
    Box::new(Ours::new(seed, sctp::Config::default()))
}

fn dcsctp(_seed: u64, now: Instant) -> Box<dyn Peer> {
    Box::new(DcSctp::new(now, 1191))
}

fn sctp_proto(_seed: u64, _now: Instant) -> Box<dyn Peer> {
    Box::new(SctpProto::new())
}

fn rtc_sctp(_seed: u64, _now: Instant) -> Box<dyn Peer> {
    Box::new(RtcSctp::new())
}

fn webrtc017(_seed: u64, now: Instant) -> Box<dyn Peer> {
    Box::new(webrtc017::Webrtc017::new(now))
}

/// How a stream is used: each has one kind, as a data channel has.
#[derive(Debug, Clone, Copy)]
struct Kind {
    unordered: bool,
    reliability: Reliability,
}

/// One side's messages and what became of them.
#[derive(Default)]
struct Flow {
    sent: BTreeMap<u32, u16>,
    received: Vec<(u16, u32)>,
}

fn content(number: u32, size: usize) -> Bytes {
    let mut data: Vec<u8> = (0..size)
        .map(|n| (n as u32 * 31 + number * 17) as u8)
        .collect();
    data[..4].copy_from_slice(&number.to_be_bytes());
    data.into()
}

fn take(node: &mut Node, flow: &mut Flow) {
    let now = node.now;
    while let Some((stream, data)) = node.peer.receive(now) {
        let number = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
        assert_eq!(
            data,
            content(number, data.len()),
            "message {number} is damaged"
        );
        flow.received.push((stream, number));
    }
}

fn mix(seed: u64, a: Make, b: Make, partial: [bool; 2], rough: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    let link = LinkConfig {
        latency: Duration::from_millis(rng.random_range(0..60)),
        jitter: Duration::from_millis(rng.random_range(0..5)),
        loss: Loss::Random(rng.random_range(0.0..0.08)),
        reorder: rng.random_range(0.0..0.1),
        duplicate: rng.random_range(0.0..0.02),
        ..LinkConfig::default()
    };
    // The handshakes of some others do not survive every loss: the network turns bad after it.
    let calm = if rough {
        link.clone()
    } else {
        LinkConfig::default()
    };
    let mut pair = pair(seed, calm, |now| a(seed, now), |now| b(seed + 1, now));
    let now = pair.now();
    pair.a.peer.connect(now);
    pair.run_until(Duration::from_secs(120), |a, b| {
        a.peer.established() && b.peer.established()
    })
    .unwrap_or_else(|error| panic!("seed {seed}: no association: {error}"));

    for host in [pair.host_a(), pair.host_b()] {
        pair.network.set_link(host, link.clone());
    }
    let kinds: Vec<Kind> = (0..4)
        .map(|_| Kind {
            unordered: rng.random_bool(0.5),
            reliability: match rng.random_range(0..4) {
                0 => Reliability::MaxRetransmits(rng.random_range(0..3)),
                1 => {
                    Reliability::MaxPacketLifeTime(Duration::from_millis(rng.random_range(20..400)))
                }
                _ => Reliability::Reliable,
            },
        })
        .collect();
    // Some others break messages of their own when they give one up: they send reliably.
    let kind_of = |side: usize, stream: u16| {
        let mut kind = kinds[usize::from(stream)];
        if !partial[side] {
            kind.reliability = Reliability::Reliable;
        }
        kind
    };
    let mut flows = [Flow::default(), Flow::default()];
    for number in 0..rng.random_range(5..40) {
        let stream = rng.random_range(0..4u16);
        let size = match rng.random_range(0..4) {
            0 => rng.random_range(4..100),
            1 => rng.random_range(1000..1300),
            2 => rng.random_range(4..5000),
            _ => rng.random_range(5000..40_000),
        };
        let side = rng.random_range(0..2usize);
        let kind = kind_of(side, stream);
        let node = if side == 0 { &mut pair.a } else { &mut pair.b };
        let data = content(number, size);
        let now = node.now;
        if node
            .peer
            .send(now, stream, kind.unordered, kind.reliability, &data)
        {
            flows[side].sent.insert(number, stream);
        }
        pair.run_for(Duration::from_millis(rng.random_range(0..30)));
        take(&mut pair.b, &mut flows[0]);
        take(&mut pair.a, &mut flows[1]);
    }
    let wanted = |side: usize, flow: &Flow| {
        let reliable = |stream: u16| kind_of(side, stream).reliability == Reliability::Reliable;
        let sent = flow.sent.values().filter(|s| reliable(**s)).count();
        let received = flow.received.iter().filter(|(s, _)| reliable(*s)).count();
        (sent, received)
    };
    let result = pair.run_until(Duration::from_secs(600), |a, b| {
        take(b, &mut flows[0]);
        take(a, &mut flows[1]);
        flows.iter().enumerate().all(|(side, flow)| {
            let (sent, received) = wanted(side, flow);
            sent == received
        })
    });
    let counts = [wanted(0, &flows[0]), wanted(1, &flows[1])];
    assert!(
        result.is_ok(),
        "seed {seed}: reliable (sent, received) {counts:?}"
    );
    pair.run_for(Duration::from_secs(5));
    take(&mut pair.b, &mut flows[0]);
    take(&mut pair.a, &mut flows[1]);
    for flow in &flows {
        let mut last = [None; 4];
        let mut seen = std::collections::BTreeSet::new();
        for &(stream, number) in &flow.received {
            assert_eq!(
                flow.sent.get(&number),
                Some(&stream),
                "seed {seed}: never sent"
            );
            assert!(
                seen.insert(number),
                "seed {seed}: message {number} came twice"
            );
            let stream = usize::from(stream);
            if !kinds[stream].unordered {
                assert!(last[stream] < Some(number), "seed {seed}: out of order");
                last[stream] = Some(number);
            }
        }
    }
}

/// 100 each way; `SCTP_MIXES=1700` makes them more than 10,000 with the three foreign lines.
fn mixes(a: Make, b: Make, partial: [bool; 2], rough: bool) {
    let count = std::env::var("SCTP_MIXES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100);
    for seed in 0..count {
        mix(seed, a, b, partial, rough);
    }
}

#[test]
fn mixes_among_ourselves() {
    mixes(ours, ours, [true, true], true);
}

#[test]
fn mixes_with_dcsctp() {
    mixes(ours, dcsctp, [true, false], false);
    mixes(dcsctp, ours, [false, true], false);
}

#[test]
fn mixes_with_sctp_proto() {
    mixes(ours, sctp_proto, [true, false], false);
    mixes(sctp_proto, ours, [false, true], false);
}

#[test]
fn mixes_with_rtc_sctp() {
    mixes(ours, rtc_sctp, [true, false], false);
    mixes(rtc_sctp, ours, [false, true], false);
}

#[test]
fn mixes_with_webrtc_sctp_0_17() {
    mixes(ours, webrtc017, [true, false], false);
    mixes(webrtc017, ours, [false, true], false);
}
