//! Throughput over simulated networks, kept as a snapshot: a change in congestion behaviour is a diff in review.
//! `UPDATE_SNAPSHOT=1` writes it anew; with `-- --ignored --nocapture` what others reach is printed, and with both the
//! whole snapshot is refreshed.
#![allow(unreachable_pub, missing_docs, dead_code)]

mod peers;

use std::fmt::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{LinkConfig, Loss};
use sctp::config::CongestionControl;
use sctp::{Config, Reliability};

use self::peers::node::pair;
use self::peers::{DcSctp, Ours, Peer, SctpProto};

const ROUND_TRIPS: [u64; 4] = [0, 20, 100, 300];
const LOSSES: [f64; 4] = [0.0, 0.001, 0.01, 0.05];
const RATES: [u64; 4] = [1, 18, 100, 1000];

fn link(round_trip: u64, loss: f64, rate: u64) -> LinkConfig {
    let product = (rate * 1_000_000 / 8 * round_trip / 1000) as usize;
    LinkConfig {
        latency: Duration::from_micros(round_trip * 500),
        loss: if loss == 0.0 {
            Loss::None
        } else {
            Loss::Random(loss)
        },
        rate_bps: Some(rate * 1_000_000),
        queue_bytes: product.max(100_000),
        ..LinkConfig::default()
    }
}

/// Megabits a second of user data, over at most `seconds` and `bytes`.
fn throughput(
    link: LinkConfig,
    seconds: u64,
    bytes: usize,
    make: &dyn Fn(u64, Instant) -> Box<dyn Peer>,
) -> f64 {
    let mut pair = pair(1, link, |now| make(1, now), |now| make(2, now));
    let now = pair.now();
    pair.a.peer.connect(now);
    let connected = pair.run_until(Duration::from_secs(60), |a, b| {
        a.peer.established() && b.peer.established()
    });
    if connected.is_err() {
        return 0.0;
    }
    let message = Bytes::from(vec![7; 16 * 1024]);
    let start = pair.now();
    let mut received = 0;
    while received < bytes && pair.now() - start < Duration::from_secs(seconds) {
        pair.a.now = pair.now();
        while pair
            .a
            .peer
            .send(pair.a.now, 0, false, Reliability::Reliable, &message)
        {}
        while let Some((_, data)) = pair.b.peer.receive(pair.b.now) {
            received += data.len();
        }
        if !pair.step() {
            break;
        }
    }
    let took = (pair.now() - start).as_secs_f64().max(1e-9);
    received as f64 * 8.0 / took / 1e6
}

fn amount(rate: u64) -> usize {
    ((rate * 1_000_000 / 8 * 8) as usize).min(12_000_000)
}

fn ours(congestion: CongestionControl) -> impl Fn(u64, Instant) -> Box<dyn Peer> {
    move |seed, _| {
        Box::new(Ours::new(
            seed,
            Config {
                congestion,
                ..Config::default()
            },
        ))
    }
}

fn ours_by_default(seed: u64, now: Instant) -> Box<dyn Peer> {
    ours(CongestionControl::default())(seed, now)
}

/// A row a round trip and loss, a column a rate.
fn table(make: &dyn Fn(u64, Instant) -> Box<dyn Peer>) -> String {
    let mut out = String::new();
    let _ = write!(out, "{:>8} {:>7}", "RTT ms", "loss %");
    for rate in RATES {
        let _ = write!(out, " {rate:>9}");
    }
    let _ = writeln!(out);
    for round_trip in ROUND_TRIPS {
        for loss in LOSSES {
            let _ = write!(out, "{round_trip:>8} {:>7}", loss * 100.0);
            for rate in RATES {
                let figure = throughput(link(round_trip, loss, rate), 20, amount(rate), make);
                let _ = write!(out, " {figure:>9.2}");
            }
            let _ = writeln!(out);
        }
    }
    out
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/throughput.txt");
const TITLE: &str = "Mbit/s of 16 KiB messages over simulated networks, by round trip, loss and rate (tests/throughput.rs).\n\
    At most 20 s, 12 MB and 8 s of the rate, slow start included; the queue holds a bandwidth-delay product, at least 100 kB.\n\
    Packets of 1,191 bytes; those of sctp-proto have 1,228, which is what it is ahead by where everybody fills the link.\n";

/// The snapshot's tables by name.
fn kept() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(PATH).unwrap_or_default();
    text.split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once("\n\n"))
        .map(|(name, table)| (name.to_owned(), format!("{}\n", table.trim_end())))
        .collect()
}

/// Puts tables into the snapshot, in place of those of the same name.
fn keep(tables: &[(&str, String)]) {
    let mut all = kept();
    for (name, table) in tables {
        match all.iter_mut().find(|(kept, _)| kept == name) {
            Some((_, kept)) => kept.clone_from(table),
            None => all.push(((*name).to_owned(), table.clone())),
        }
    }
    let mut text = TITLE.to_owned();
    for (name, table) in &all {
        let _ = write!(text, "\n## {name}\n\n{table}");
    }
    std::fs::write(PATH, text).expect("the snapshot is written");
}

#[test]
fn throughput_is_as_in_the_snapshot() {
    let table = table(&ours_by_default);
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        keep(&[("pc-sctp", table.clone())]);
    }
    let kept = kept();
    let ours = kept.iter().find(|(name, _)| name == "pc-sctp");
    let ours = &ours.expect("the snapshot has our table").1;
    assert_eq!(
        &table, ours,
        "update with UPDATE_SNAPSHOT=1 if this is meant"
    );
}

#[test]
#[ignore = "two minutes: what the others reach, for the snapshot"]
fn others_beside_ours() {
    let tables = [
        ("pc-sctp", table(&ours_by_default)),
        (
            "pc-sctp with CongestionControl::Cubic",
            table(&ours(CongestionControl::Cubic)),
        ),
        (
            "pc-sctp with CongestionControl::NewReno",
            table(&ours(CongestionControl::NewReno)),
        ),
        (
            "dcsctp 0.1.16",
            table(&|_, now| Box::new(DcSctp::new(now, 1191))),
        ),
        (
            "sctp-proto 0.10.8",
            table(&|_, _| Box::new(SctpProto::new())),
        ),
    ];
    for (name, table) in &tables {
        println!("{name}\n{table}");
    }
    if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
        keep(&tables);
    }
}
