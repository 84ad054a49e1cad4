//! What goes over the wire is opened by an eavesdropper who has the key log: no number is used for two records.

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netsim::{LinkConfig, Loss};
use pc_dtls::{Config, State, Version};

use crate::record::{Header, records};
use support::{Peer, VERSIONS, both_connected, config, only, pair};

use super::keys::Key13;
use super::v13::Parts;

/// The keys that a side wrote under, by epoch.
fn keys(peer: &Peer, side: &str) -> BTreeMap<u64, Key13> {
    let suite = match peer.connection().unwrap().cipher.as_str() {
        "TLS_AES_128_GCM_SHA256" => 0x1301,
        "TLS_AES_256_GCM_SHA384" => 0x1302,
        _ => 0x1303,
    };
    let mut keys = BTreeMap::new();
    for line in peer.log() {
        let parts: Vec<&str> = line.split(' ').collect();
        let Some(label) = parts[0].strip_prefix(side) else {
            continue;
        };
        let epoch = match label.strip_prefix("_TRAFFIC_SECRET_") {
            Some(generation) => 3 + generation.parse::<u64>().unwrap(),
            None => 2,
        };
        let secret: Vec<u8> = (0..parts[2].len() / 2)
            .map(|at| u8::from_str_radix(&parts[2][2 * at..2 * at + 2], 16).unwrap())
            .collect();
        keys.insert(epoch, Key13::new(suite, &secret).unwrap());
    }
    keys
}

/// Checks what a side has sent, and returns how many records of each epoch there were.
fn audit(peer: &Peer, side: &str, version: Version) -> BTreeMap<u64, usize> {
    let keys = match version {
        Version::Dtls12 => BTreeMap::new(),
        Version::Dtls13 => keys(peer, side),
    };
    let mut seen: BTreeMap<(u64, u64), &[u8]> = BTreeMap::new();
    let mut nonces = BTreeMap::new();
    let mut next: BTreeMap<u64, u64> = BTreeMap::new();
    for datagram in &peer.wire {
        let mut rest = datagram.len();
        for (header, record) in records(datagram) {
            rest -= record.len();
            let number = match header {
                Header::Plain { epoch, number } => (u64::from(epoch), number),
                Header::Unified { epoch } => {
                    let candidates = keys
                        .iter()
                        .rev()
                        .filter(|(number, _)| **number & 3 == u64::from(epoch));
                    candidates
                        .filter_map(|(epoch, key)| {
                            let mut parts = Parts::of(record).unwrap();
                            let expected = next.get(epoch).copied().unwrap_or_default();
                            let number = parts.number(key, expected)?;
                            let mut body = parts.body.to_vec();
                            key.open(number, parts.header(), &mut body)
                                .then_some((*epoch, number))
                        })
                        .next()
                        .expect("a record under the keys of the log")
                }
            };
            let after = next.entry(number.0).or_default();
            *after = (*after).max(number.1 + 1);
            // The same bytes once more are what a network may do as well.
            let before = seen.insert(number, record);
            assert!(before.is_none_or(|before| before == record), "{number:?}");
            if version == Version::Dtls12 && number.0 == 1 {
                let nonce = &record[13..21];
                let before = nonces.insert(nonce, number);
                assert!(
                    before.is_none_or(|before| before == number),
                    "{nonce:?} {number:?}"
                );
            }
        }
        assert_eq!(rest, 0);
    }
    let mut epochs = BTreeMap::new();
    for (epoch, _) in seen.keys() {
        *epochs.entry(*epoch).or_default() += 1;
    }
    epochs
}

#[test]
fn no_record_number_is_used_twice_under_loss_key_updates_and_close() {
    const ROUNDS: usize = 12;
    const BATCH: usize = 30;
    for version in VERSIONS {
        let mut most = 0;
        for (turn, loss) in [0.2, 0.35, 0.5].into_iter().enumerate() {
            for seed in 0..6 {
                let context = format!("{version:?} loss {loss} seed {seed}");
                let link = LinkConfig {
                    latency: Duration::from_millis(20),
                    jitter: Duration::from_millis(10),
                    loss: Loss::Random(loss),
                    reorder: 0.3,
                    duplicate: 0.2,
                    ..LinkConfig::default()
                };
                let settings = |other| Config {
                    key_update_after: 25,
                    mtu: [256, 500, 1200][turn],
                    ..config(only(version), other)
                };
                let mut pair = pair(seed, link, settings(1), settings(0));
                pair.run_until(Duration::from_secs(60), both_connected)
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                for round in 0..ROUNDS {
                    for (peer, name) in [(&mut pair.a, b'a'), (&mut pair.b, b'b')] {
                        peer.outbox = (0..BATCH)
                            .map(|n| vec![name, round as u8, n as u8])
                            .collect();
                    }
                    pair.run_for(Duration::from_millis(700));
                }
                let now = pair.now();
                pair.a.dtls.close(now);
                pair.run_for(Duration::from_secs(2));
                pair.b.dtls.close(now);
                pair.run_for(Duration::from_secs(2));
                for peer in [&pair.a, &pair.b] {
                    assert_eq!(peer.dtls.state(), State::Closed, "{context}");
                    // Each record at most once, and as many as such a network lets through.
                    let unique: BTreeSet<_> = peer.data.iter().collect();
                    assert_eq!(unique.len(), peer.data.len(), "{context}");
                    let sent = (ROUNDS * BATCH) as f64;
                    let received = peer.data.len() as f64;
                    assert!(
                        received > 0.85 * (1.0 - loss) * sent,
                        "{context}: {received}"
                    );
                    assert_eq!(peer.dtls.counters().authentication, 0, "{context}");
                }
                let client = audit(&pair.a, "CLIENT", version);
                let server = audit(&pair.b, "SERVER", version);
                for epochs in [&client, &server] {
                    let (last, _) = epochs.last_key_value().unwrap();
                    most = most.max(*last);
                    let records: usize = epochs.values().sum();
                    assert!(records >= ROUNDS * BATCH, "{context}: {epochs:?}");
                }
                // What one side writes under, the other reads under, as far as it has come.
                let (mut one, mut two) = (pair.a.log(), pair.b.log());
                one.sort();
                two.sort();
                let missing = one.iter().filter(|line| !two.contains(line)).count()
                    + two.iter().filter(|line| !one.contains(line)).count();
                assert!(missing <= 2, "{context}: {missing}");
            }
        }
        let expected = match version {
            Version::Dtls12 => 1,
            // The bits of the epoch have gone round.
            Version::Dtls13 => 8,
        };
        assert!(most >= expected, "{version:?}: {most}");
    }
}

fn sent(peer: &mut Peer, now: std::time::Instant) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let mut datagram = Vec::new();
        peer.dtls.poll_transmit(now, &mut datagram)?;
        Some(datagram)
    })
    .collect()
}

#[test]
fn an_acknowledgement_that_comes_after_many_records_ends_the_handshake() {
    // More than the 16 bits of a number reach back: the engine must not depend on having seen the data.
    let mut pair = pair(
        3,
        LinkConfig::default(),
        config(only(Version::Dtls13), 1),
        config(only(Version::Dtls13), 0),
    );
    let now = pair.now();
    let mut lost = 0;
    while lost == 0 {
        for datagram in sent(&mut pair.a, now) {
            pair.b.dtls.handle_datagram(now, &datagram);
        }
        for datagram in sent(&mut pair.b, now) {
            if pair.b.dtls.state() == State::Connected {
                lost += 1;
            } else {
                pair.a.dtls.handle_datagram(now, &datagram);
            }
        }
    }
    pair.a.collect();
    pair.b.collect();
    for _ in 0..70_000 {
        let record = pair.b.seal(now, b"data");
        pair.a.dtls.handle_datagram(now, &record);
        assert_eq!(pair.a.dtls.poll_data().unwrap()[..], b"data"[..]);
    }
    assert!(pair.a.dtls.poll_timeout().is_some(), "Finished waits");
    pair.run_for(Duration::from_secs(3));
    assert_eq!(
        pair.a.dtls.poll_timeout(),
        None,
        "Finished was acknowledged"
    );
    assert_eq!(pair.a.dtls.state(), State::Connected);
}

#[test]
fn the_engine_goes_with_the_handshake_and_everything_else_goes_on() {
    for version in VERSIONS {
        let settings = |other| config(only(version), other);
        let mut pair = pair(5, LinkConfig::default(), settings(1), settings(0));
        assert!(pair.a.dtls.has_engine() && pair.b.dtls.has_engine());
        pair.run_until(Duration::from_secs(10), both_connected)
            .unwrap();
        pair.run_for(Duration::from_secs(1));
        for peer in [&mut pair.a, &mut pair.b] {
            assert!(!peer.dtls.has_engine(), "{version:?}");
            assert_eq!(peer.dtls.version(), Some(version));
            peer.dtls.export("label", None, &mut [0; 32]).unwrap();
            peer.outbox = vec![b"data".to_vec()];
        }
        pair.run_for(Duration::from_secs(1));
        let now = pair.now();
        pair.a.dtls.close(now);
        pair.run_for(Duration::from_secs(1));
        for peer in [&pair.a, &pair.b] {
            assert_eq!(peer.data, [b"data".to_vec()], "{version:?}");
            assert_eq!(peer.dtls.state(), State::Closed, "{version:?}");
        }
    }
}
