//! Handshakes over simulated networks, of both versions.

mod support;

use std::time::Duration;

use netsim::{LinkConfig, Loss};
use pc_dtls::{
    AlertDescription, Config, Error, Event, Fingerprint, HashAlgorithm, SealError, SrtpProfile,
    State, Version, Versions,
};
use support::{VERSIONS, both_connected, certificate, config, connected, fingerprint, only, pair};

/// What the handshake must survive.
fn rough(loss: f64, mtu: usize) -> LinkConfig {
    LinkConfig {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(10),
        loss: Loss::Random(loss),
        reorder: 0.3,
        duplicate: 0.2,
        mtu,
        ..LinkConfig::default()
    }
}

#[test]
fn both_sides_agree_on_version_cipher_certificates_and_srtp_keys() {
    for (client, server, expected) in [
        (Versions::Auto, Versions::Auto, Version::Dtls13),
        (Versions::Auto, Versions::Dtls12, Version::Dtls12),
        (Versions::Auto, Versions::Dtls13, Version::Dtls13),
        (Versions::Dtls12, Versions::Auto, Version::Dtls12),
        (Versions::Dtls13, Versions::Auto, Version::Dtls13),
        (Versions::Dtls12, Versions::Dtls12, Version::Dtls12),
        (Versions::Dtls13, Versions::Dtls13, Version::Dtls13),
    ] {
        for cookie in [false, true] {
            let server_config = Config {
                cookie,
                ..config(server, 0)
            };
            let mut pair = pair(3, LinkConfig::default(), config(client, 1), server_config);
            pair.run_until(Duration::from_secs(5), both_connected)
                .unwrap_or_else(|error| {
                    panic!(
                        "{client:?} {server:?}: {error} {:?} {:?}",
                        pair.a.events, pair.b.events
                    )
                });
            let (a, b) = (pair.a.connection().unwrap(), pair.b.connection().unwrap());
            assert_eq!((a.version, b.version), (expected, expected));
            assert_eq!(a.cipher, b.cipher);
            assert!(a.cipher.starts_with("TLS_"), "{}", a.cipher);
            assert_eq!(a.peer_certificate, certificate(1).der());
            assert_eq!(b.peer_certificate, certificate(0).der());
            let (a, b) = (a.srtp.unwrap(), b.srtp.unwrap());
            assert_eq!(a.profile, b.profile);
            assert_eq!((&a.local, &a.remote), (&b.remote, &b.local));
            assert_ne!(a.local, a.remote);
            assert_eq!(
                pair.a.events[..2],
                [
                    Event::StateChange(State::Connecting),
                    Event::StateChange(State::Connected)
                ]
            );
        }
    }
}

#[test]
fn versions_without_overlap_end_in_a_failure_on_both_sides() {
    for (client, server) in [
        (Versions::Dtls12, Versions::Dtls13),
        (Versions::Dtls13, Versions::Dtls12),
    ] {
        let mut pair = pair(
            3,
            LinkConfig::default(),
            config(client, 1),
            config(server, 0),
        );
        pair.run_until(Duration::from_secs(120), |a, b| {
            a.failure().is_some() && b.failure().is_some()
        })
        .unwrap_or_else(|error| {
            panic!(
                "{client:?}: {error} {:?} {:?}",
                pair.a.events, pair.b.events
            )
        });
        assert!(pair.a.connection().is_none() && pair.b.connection().is_none());
    }
}

#[test]
fn data_flows_both_ways_in_order_of_arrival() {
    for version in VERSIONS {
        let mut pair = connected(version);
        let messages: Vec<Vec<u8>> = (0..200).map(|n| vec![n as u8; 1 + n * 7]).collect();
        pair.a.outbox = messages.clone();
        pair.b.outbox = messages.iter().rev().cloned().collect();
        pair.settle();
        assert!(pair.b.data == messages, "{version:?}");
        assert!(pair.a.data.iter().eq(messages.iter().rev()), "{version:?}");
    }
}

#[test]
fn handshakes_complete_under_loss_reordering_and_duplication_at_any_mtu() {
    let mut slowest = Duration::ZERO;
    for version in VERSIONS {
        for (loss, mtu) in [(0.3, 1200), (0.5, 1200), (0.5, 512), (0.5, 256)] {
            for seed in 0..8 {
                let settings = |other| Config {
                    mtu,
                    ..config(only(version), other)
                };
                // The link's MTU counts IP and UDP headers.
                let mut pair = pair(seed, rough(loss, mtu + 28), settings(1), settings(0));
                let took = pair
                    .run_until(Duration::from_secs(60), both_connected)
                    .unwrap_or_else(|error| {
                        panic!(
                            "{version:?} loss {loss} mtu {mtu} seed {seed}: {error}\n{:?}\n{:?}",
                            pair.a.events, pair.b.events
                        )
                    });
                slowest = slowest.max(took);
                assert_eq!(pair.network.stats().too_big, 0);
                assert!(pair.a.largest.max(pair.b.largest) <= mtu);
            }
        }
    }
    println!("slowest of {} handshakes: {slowest:?}", 2 * 4 * 8);
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    for versions in [Versions::Dtls12, Versions::Dtls13, Versions::Auto] {
        let run = |seed| {
            let settings = |other| Config {
                mtu: 400,
                ..config(versions, other)
            };
            let mut pair = pair(seed, rough(0.3, 1500), settings(1), settings(0));
            let took = pair
                .run_until(Duration::from_secs(60), both_connected)
                .unwrap();
            pair.a.outbox = vec![b"ping".to_vec()];
            pair.run_for(Duration::from_secs(1));
            (took, pair.network.trace_hash(), pair.a.log())
        };
        for seed in 0..4 {
            assert!(run(seed) == run(seed), "{versions:?} seed {seed}");
        }
        assert!(run(1) != run(2), "{versions:?}");
    }
}

#[test]
fn the_retransmission_timer_shows_and_doubles() {
    for version in VERSIONS {
        let mut pair = pair(
            5,
            LinkConfig::with_loss(1.0),
            config(only(version), 1),
            config(only(version), 0),
        );
        let mut intervals = Vec::new();
        let mut last = pair.now();
        pair.settle();
        for _ in 0..7 {
            let due = pair.a.dtls.poll_timeout().unwrap();
            intervals.push(due - last);
            last = due;
            let before = pair.a.sent_datagrams;
            assert!(pair.step());
            assert_eq!(pair.now(), due);
            pair.settle();
            assert!(pair.a.sent_datagrams > before, "{version:?}");
        }
        // Doubled, with a quarter of jitter either way, and a second at most.
        for (turn, interval) in intervals.into_iter().enumerate() {
            let nominal = Duration::from_millis(100 << turn);
            assert!(
                interval <= (nominal * 5 / 4).min(Duration::from_secs(1)),
                "{version:?}: {interval:?}"
            );
            assert!(
                interval >= nominal * 3 / 4 || turn > 2,
                "{version:?}: {interval:?}"
            );
        }
        assert_eq!(
            pair.b.dtls.poll_timeout(),
            None,
            "an idle server has no timer"
        );
    }
}

#[test]
fn a_peer_that_never_answers_is_a_timeout() {
    for version in VERSIONS {
        let mut pair = pair(
            5,
            LinkConfig::with_loss(1.0),
            config(only(version), 1),
            config(only(version), 0),
        );
        pair.run_until(Duration::from_secs(200), |a, _| a.failure().is_some())
            .unwrap();
        assert_eq!(pair.a.failure(), Some(Error::Timeout));
        assert_eq!(pair.a.dtls.state(), State::Failed);
        assert_eq!(pair.a.dtls.poll_timeout(), None);
    }
}

#[test]
fn a_wrong_fingerprint_fails_the_connection_and_nothing_reaches_the_application() {
    for version in VERSIONS {
        for client_is_wrong in [true, false] {
            let mut pair = pair(
                7,
                LinkConfig::with_latency(Duration::from_millis(10)),
                config(only(version), usize::from(!client_is_wrong)),
                config(only(version), usize::from(!client_is_wrong)),
            );
            for peer in [&mut pair.a, &mut pair.b] {
                peer.outbox = vec![b"secret".to_vec(); 3];
            }
            let _ = pair.run_until(Duration::from_secs(10), |a, b| {
                a.failure().is_some() && b.failure().is_some()
            });
            let (wrong, right) = if client_is_wrong {
                (&pair.a, &pair.b)
            } else {
                (&pair.b, &pair.a)
            };
            assert_eq!(
                wrong.failure(),
                Some(Error::FingerprintMismatch),
                "{version:?}"
            );
            assert_eq!(wrong.failure().unwrap().to_string(), "fingerprint mismatch");
            assert_eq!(wrong.dtls.state(), State::Failed);
            assert!(
                wrong.data.is_empty() && wrong.connection().is_none(),
                "{version:?}"
            );
            // The peer learns why (RFC 8122 §6.2).
            assert_eq!(
                right.failure(),
                Some(Error::PeerAlert(AlertDescription::BAD_CERTIFICATE)),
                "{version:?}, client is wrong: {client_is_wrong}"
            );
            assert!(right.data.is_empty());
        }
    }
}

#[test]
fn fingerprints_may_come_late_and_data_waits_for_them() {
    for version in VERSIONS {
        let unknowing = Config {
            remote_fingerprints: Vec::new(),
            ..config(only(version), 0)
        };
        let mut pair = pair(
            9,
            LinkConfig::default(),
            config(only(version), 1),
            unknowing,
        );
        pair.a.outbox = vec![b"early".to_vec()];
        pair.run_until(Duration::from_secs(1), |a, _| {
            a.is_connected() && a.outbox.is_empty()
        })
        .unwrap();
        pair.settle();
        assert_eq!(pair.b.dtls.state(), State::Connecting);
        assert_eq!(pair.b.dtls.remote_certificate(), Some(certificate(0).der()));
        assert!(pair.b.data.is_empty() && pair.b.connection().is_none());
        let now = pair.now();
        assert_eq!(
            pair.b.dtls.seal(now, &mut vec![1], 0),
            Err(SealError::NotConnected)
        );
        assert_eq!(
            pair.b.dtls.export("x", None, &mut [0; 4]),
            Err(pc_dtls::ExportError::NotConnected)
        );
        pair.b
            .dtls
            .set_remote_fingerprints(vec![fingerprint(1), fingerprint(0)]);
        pair.b.collect();
        assert!(pair.b.is_connected());
        assert_eq!(pair.b.data, [b"early"]);
    }
}

#[test]
fn a_late_wrong_fingerprint_discards_what_waited() {
    for version in VERSIONS {
        let unknowing = Config {
            remote_fingerprints: Vec::new(),
            ..config(only(version), 0)
        };
        let mut pair = pair(
            9,
            LinkConfig::default(),
            config(only(version), 1),
            unknowing,
        );
        pair.a.outbox = vec![b"early".to_vec()];
        pair.run_until(Duration::from_secs(1), |a, _| {
            a.is_connected() && a.outbox.is_empty()
        })
        .unwrap();
        pair.settle();
        pair.b
            .dtls
            .set_remote_fingerprints(vec![Fingerprint::of(HashAlgorithm::Sha512, b"other")]);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.b.failure(), Some(Error::FingerprintMismatch));
        assert!(pair.b.data.is_empty());
        assert_eq!(
            pair.a.failure(),
            Some(Error::PeerAlert(AlertDescription::BAD_CERTIFICATE)),
            "{version:?}"
        );
    }
}

#[test]
fn closing_tells_the_peer_and_ends_both_sides() {
    for version in VERSIONS {
        let mut pair = connected(version);
        pair.a.outbox = vec![b"last words".to_vec()];
        pair.settle();
        let now = pair.now();
        pair.a.dtls.close(now);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.a.dtls.state(), State::Closed);
        assert_eq!(pair.b.dtls.state(), State::Closed);
        assert_eq!(
            pair.b.events.last(),
            Some(&Event::CloseNotify),
            "{version:?}"
        );
        assert_eq!(pair.b.data, [b"last words"]);
        assert_eq!(pair.a.dtls.poll_timeout(), None);
        assert_eq!(
            pair.a.dtls.seal(now, &mut vec![1], 0),
            Err(SealError::Closed)
        );
        assert_eq!(
            pair.b.dtls.seal(now, &mut vec![1], 0),
            Err(SealError::Closed)
        );
    }
}

#[test]
fn a_profile_that_is_not_configured_fails_the_connection() {
    // dimpl offers its three profiles in its own order, and takes the client's first: see the README.
    for version in VERSIONS {
        let without = Config {
            srtp_profiles: vec![SrtpProfile::Aes128CmHmacSha1_80],
            ..config(only(version), 1)
        };
        let mut pair = pair(2, LinkConfig::default(), without, config(only(version), 0));
        pair.run_until(Duration::from_secs(3), |a, b| {
            a.failure().is_some() && b.failure().is_some()
        })
        .unwrap();
        assert_eq!(pair.a.failure(), Some(Error::NoSrtpProfile));
        assert_eq!(
            pair.b.failure(),
            Some(Error::PeerAlert(AlertDescription::HANDSHAKE_FAILURE))
        );
    }
}
