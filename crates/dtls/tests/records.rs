//! Records: what is wrong with them is refused and counted; secrets stay secret or go to the key log.

mod support;

use std::time::Duration;

use netsim::LinkConfig;
use pc_dtls::{Config, SealError, State, Version};
use support::{Peer, VERSIONS, both_connected, config, connected, only, pair};

/// Hands a datagram to a peer and returns what came out.
fn deliver(peer: &mut Peer, now: std::time::Instant, datagram: &[u8]) -> Vec<Vec<u8>> {
    peer.dtls.handle_datagram(now, datagram);
    peer.collect();
    std::mem::take(&mut peer.data)
}

#[test]
fn every_flipped_bit_is_refused_and_the_record_is_good_afterwards() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let now = pair.now();
        // The first record from the client proves to the server that it is done.
        let first = pair.a.seal(now, b"first");
        assert_eq!(deliver(&mut pair.b, now, &first), [b"first"]);
        let sealed = pair.a.seal(now, b"the record");
        let mut refused = 0;
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bad = sealed.clone();
                bad[at] ^= 1 << bit;
                let before = pair.b.dtls.counters();
                assert!(
                    deliver(&mut pair.b, now, &bad).is_empty(),
                    "{version:?} byte {at} bit {bit}"
                );
                let after = pair.b.dtls.counters();
                let counted = |counters: pc_dtls::Counters| {
                    counters.authentication
                        + counters.discarded
                        + counters.malformed
                        + counters.unexpected
                };
                assert!(
                    counted(after) > counted(before),
                    "{version:?} byte {at} bit {bit}: {after:?}"
                );
                refused += 1;
            }
        }
        assert_eq!(refused, 8 * sealed.len());
        assert_eq!(pair.b.dtls.state(), State::Connected, "{version:?}");
        let counters = pair.b.dtls.counters();
        assert!(
            counters.authentication as usize >= 8 * b"the record".len(),
            "{counters:?}"
        );
        assert_eq!(
            deliver(&mut pair.b, now, &sealed),
            [b"the record"],
            "{version:?}"
        );
    }
}

#[test]
fn records_cut_short_replayed_or_out_of_the_blue_are_refused() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let now = pair.now();
        let sealed = pair.a.seal(now, b"the record");
        for len in 0..sealed.len() {
            assert!(deliver(&mut pair.b, now, &sealed[..len]).is_empty());
        }
        assert_eq!(deliver(&mut pair.b, now, &sealed), [b"the record"]);
        let discarded = pair.b.dtls.counters().discarded;
        for _ in 0..3 {
            assert!(deliver(&mut pair.b, now, &sealed).is_empty());
        }
        assert_eq!(
            pair.b.dtls.counters().discarded,
            discarded + 3,
            "{version:?}"
        );
        // Older than the window, when it comes at last.
        let late = pair.a.seal(now, b"late");
        for _ in 0..1000 {
            let next = pair.a.seal(now, b"next");
            assert_eq!(deliver(&mut pair.b, now, &next), [b"next"]);
        }
        assert!(deliver(&mut pair.b, now, &late).is_empty());
        // A record of another connection.
        let stranger = connected(version).a.seal(now, b"stranger");
        assert!(deliver(&mut pair.b, now, &stranger).is_empty());
        // What is no DTLS at all (RFC 7983).
        for first in (0..20).chain(64..=255) {
            assert!(deliver(&mut pair.b, now, &[first; 40]).is_empty());
        }
        assert_eq!(pair.b.dtls.state(), State::Connected);
        let good = pair.a.seal(now, b"good");
        assert_eq!(deliver(&mut pair.b, now, &good), [b"good"]);
    }
}

#[test]
fn reordered_records_arrive_once_each() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let now = pair.now();
        let mut sealed: Vec<_> = (0..40u8).map(|n| pair.a.seal(now, &[n])).collect();
        sealed.reverse();
        let mut seen = Vec::new();
        for datagram in sealed.iter().chain(&sealed) {
            seen.extend(deliver(&mut pair.b, now, datagram));
        }
        seen.sort();
        assert!(seen.iter().map(|data| data[0]).eq(0..40), "{version:?}");
    }
}

#[test]
fn an_application_that_does_not_read_bounds_what_is_kept() {
    for version in VERSIONS {
        let small = Config {
            receive_buffer: 1000,
            ..config(only(version), 0)
        };
        let mut pair = pair(4, LinkConfig::default(), config(only(version), 1), small);
        pair.run_until(Duration::from_secs(1), both_connected)
            .unwrap();
        pair.settle();
        let now = pair.now();
        for _ in 0..30 {
            let sealed = pair.a.seal(now, &[1; 100]);
            pair.b.dtls.handle_datagram(now, &sealed);
        }
        pair.b.collect();
        assert_eq!(pair.b.data.len(), 10);
        assert_eq!(pair.b.dtls.counters().buffer_full, 20);
    }
}

#[test]
fn plaintext_beyond_a_record_is_refused_and_left_alone() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let now = pair.now();
        let mut long = vec![7; (1 << 14) + 1];
        assert_eq!(pair.a.dtls.seal(now, &mut long, 0), Err(SealError::TooLong));
        assert_eq!(long, vec![7; (1 << 14) + 1]);
        assert_eq!(
            pair.a.dtls.seal(now, &mut vec![1], 2),
            Err(SealError::BadStart)
        );
        let full = pair.a.seal(now, &long[1..]);
        assert_eq!(deliver(&mut pair.b, now, &full), [&long[1..]]);
        let empty = pair.a.seal(now, b"");
        assert!(deliver(&mut pair.b, now, &empty).iter().all(Vec::is_empty));
    }
}

#[test]
fn both_sides_export_the_same_and_srtp_keys_are_such_an_export() {
    for version in VERSIONS {
        let pair = connected(version);
        let export = |peer: &Peer, label: &str, context: Option<&[u8]>| {
            let mut out = [0; 100];
            peer.dtls.export(label, context, &mut out).unwrap();
            out
        };
        for (label, context) in [
            ("EXTRACTOR-dtls_srtp", None),
            ("EXPORTER-x", Some(&b"context"[..])),
            ("EXPORTER-x", Some(b"")),
        ] {
            assert_eq!(
                export(&pair.a, label, context),
                export(&pair.b, label, context),
                "{version:?}"
            );
        }
        assert_ne!(export(&pair.a, "a", None), export(&pair.a, "b", None));
        // The SRTP keys are such an export (RFC 5764 §4.2), of just the length they need.
        let keys = pair.a.connection().unwrap().srtp.unwrap();
        let mut material = vec![0; 2 * (keys.profile.key_len() + keys.profile.salt_len())];
        pair.a
            .dtls
            .export("EXTRACTOR-dtls_srtp", None, &mut material)
            .unwrap();
        assert_eq!(
            pc_dtls::SrtpKeys::split(keys.profile, &material, true),
            Some(keys),
            "{version:?}"
        );
        // No context and an empty one are the same in 1.3 alone (RFC 8446 §7.5).
        let same = export(&pair.a, "x", None) == export(&pair.a, "x", Some(b""));
        assert_eq!(same, version == Version::Dtls13);
    }
}

#[test]
fn the_key_log_has_the_lines_of_the_nss_format_on_both_sides() {
    for version in VERSIONS {
        let pair = connected(version);
        let (log, other) = (pair.a.log(), pair.b.log());
        assert_eq!(log, other, "{version:?}");
        let labels: Vec<&str> = log
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        let expected: &[&str] = match version {
            Version::Dtls12 => &["CLIENT_RANDOM"],
            Version::Dtls13 => &[
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_TRAFFIC_SECRET_0",
                "EXPORTER_SECRET",
            ],
        };
        assert_eq!(labels, expected);
        for line in &log {
            let parts: Vec<&str> = line.split(' ').collect();
            assert_eq!(parts.len(), 3);
            assert_eq!(parts[1].len(), 64);
            assert!(parts[2].len() == 64 || parts[2].len() == 96);
            assert!(
                parts[1..]
                    .iter()
                    .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
            );
            assert_eq!(parts[1], log[0].split(' ').nth(1).unwrap());
        }
    }
}

#[test]
fn secrets_appear_in_no_debug_output() {
    for version in VERSIONS {
        let pair = connected(version);
        let mut text = String::new();
        for peer in [&pair.a, &pair.b] {
            text += &format!(
                "{:?} {:#?} {:?} {:#?}",
                peer.dtls,
                peer.dtls,
                peer.events,
                peer.connection()
            );
        }
        let text = text.to_lowercase();
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for line in pair.a.log() {
            let hex = line.rsplit(' ').next().unwrap().to_owned();
            secrets.push(
                (0..hex.len() / 2)
                    .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
                    .collect(),
            );
        }
        let keys = pair.a.connection().unwrap().srtp.unwrap();
        for key in [&keys.local, &keys.remote] {
            secrets.extend([key.key.to_vec(), key.salt.to_vec()]);
        }
        assert!(secrets.len() >= 5);
        for secret in secrets {
            let hex: String = secret[..4]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let list = format!("{:?}", &secret[..4]);
            assert!(
                !text.contains(&hex) && !text.contains(list.trim_matches(['[', ']'])),
                "{version:?}"
            );
        }
    }
}
