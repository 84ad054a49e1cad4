//! Whatever is wrong with a packet, it is refused, counted, and changes nothing.

use bytes::BytesMut;

use super::{pair, rtcp, rtp, sealed_rtcp, sealed_rtp};
use crate::{Config, Cryptex, Profile, ReplayWindow, UnprotectError, Unprotector};

/// Asserts that a packet is refused, and that nothing but one counter has changed.
fn refuse(receiver: &mut Unprotector, packet: &[u8], is_rtcp: bool) -> UnprotectError {
    let (state, refused) = (receiver.state(), receiver.counters().refused());
    let mut packet = BytesMut::from(packet);
    let result = if is_rtcp {
        receiver.unprotect_rtcp(&mut packet)
    } else {
        receiver.unprotect_rtp(&mut packet)
    };
    let error = result.unwrap_err();
    assert!(receiver.state() == state, "the context changed: {error}");
    assert_eq!(receiver.counters().refused(), refused + 1);
    error
}

fn open(receiver: &mut Unprotector, packet: &[u8], is_rtcp: bool) -> Vec<u8> {
    let mut packet = BytesMut::from(packet);
    if is_rtcp {
        receiver.unprotect_rtcp(&mut packet)
    } else {
        receiver.unprotect_rtp(&mut packet)
    }
    .unwrap();
    packet.to_vec()
}

#[test]
fn every_flipped_byte_is_refused_and_leaves_the_context_alone() {
    for profile in Profile::ALL {
        for (config, is_rtcp) in [
            (Config::default(), false),
            (Config::default(), true),
            (
                Config {
                    cryptex: Cryptex::On,
                    ..Config::default()
                },
                false,
            ),
            (
                Config {
                    mki: Some(vec![1, 2]),
                    ..Config::default()
                },
                false,
            ),
            (
                Config {
                    mki: Some(vec![1, 2]),
                    ..Config::default()
                },
                true,
            ),
        ] {
            let (mut sender, mut receiver) = pair(profile, config);
            let clear = if is_rtcp {
                rtcp(7)
            } else {
                with_extension(7, 100)
            };
            let sealed = if is_rtcp {
                sealed_rtcp(&mut sender, &clear)
            } else {
                sealed_rtp(&mut sender, &clear)
            };
            for at in 0..sealed.len() {
                for bit in 0..8 {
                    let mut bad = sealed.clone();
                    bad[at] ^= 1 << bit;
                    refuse(&mut receiver, &bad, is_rtcp);
                }
            }
            assert_eq!(open(&mut receiver, &sealed, is_rtcp), clear, "{profile}");
        }
    }
}

/// A packet with two CSRCs and two header extension elements.
fn with_extension(ssrc: u32, seq: u16) -> Vec<u8> {
    let mut packet = rtp(ssrc, seq, &[]);
    packet[0] |= 0x12;
    packet.extend_from_slice(&[
        0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0x20, 0xbb,
    ]);
    packet.extend_from_slice(b"the payload");
    packet
}

#[test]
fn every_length_cut_short_is_refused() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        let sealed = sealed_rtp(&mut sender, &with_extension(7, 1));
        for len in 0..sealed.len() {
            refuse(&mut receiver, &sealed[..len], false);
        }
        let sealed = sealed_rtcp(&mut sender, &rtcp(7));
        for len in 0..sealed.len() {
            refuse(&mut receiver, &sealed[..len], true);
        }
        assert_eq!(receiver.counters().rtp + receiver.counters().rtcp, 0);
    }
}

#[test]
fn replays_are_refused_within_the_window_and_beyond_it() {
    for window in [64, 100, 128, 1024, 32768] {
        let config = Config {
            replay_window: ReplayWindow::new(window),
            ..Config::default()
        };
        let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm, config);
        let count = 3 * window;
        let packets: Vec<_> = (0..count)
            .map(|seq| sealed_rtp(&mut sender, &rtp(9, seq as u16, b"x")))
            .collect();
        // Every third one first, so that the rest come late.
        for packet in packets.iter().step_by(3) {
            open(&mut receiver, packet, false);
        }
        for packet in packets.iter().step_by(3) {
            let error = refuse(&mut receiver, packet, false);
            // More than half of the sequence numbers back, it looks like one to come.
            assert!(matches!(
                error,
                UnprotectError::Replayed | UnprotectError::TooOld | UnprotectError::Authentication
            ));
        }
        let highest = (count - 1) / 3 * 3;
        let (mut fresh, mut late) = (0, 0);
        for (seq, packet) in packets.iter().enumerate().filter(|(seq, _)| seq % 3 != 0) {
            if (highest as usize).saturating_sub(seq) < window as usize {
                // Within the window each one is good once.
                open(&mut receiver, packet, false);
                assert_eq!(
                    refuse(&mut receiver, packet, false),
                    UnprotectError::Replayed
                );
                fresh += 1;
            } else if (highest as usize) - seq >= window as usize + 64 {
                // Beyond half of the sequence numbers, the index cannot be told.
                let error = refuse(&mut receiver, packet, false);
                assert!(error == UnprotectError::TooOld || highest as usize - seq > 0x8000);
                late += 1;
            }
        }
        assert!(
            fresh > window / 2 && late > window / 4,
            "{window}: {fresh} {late}"
        );
    }
}

#[test]
fn rtcp_replays_are_refused() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        let packets: Vec<_> = (0..5).map(|_| sealed_rtcp(&mut sender, &rtcp(9))).collect();
        for index in [4, 0, 2, 1, 3] {
            assert_eq!(open(&mut receiver, &packets[index], true), rtcp(9));
            assert_eq!(
                refuse(&mut receiver, &packets[index], true),
                UnprotectError::Replayed
            );
        }
    }
}

#[test]
fn packets_from_the_future_are_refused() {
    // A forged sequence number far ahead neither moves the window nor the rollover counter.
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        open(
            &mut receiver,
            &sealed_rtp(&mut sender, &rtp(9, 100, b"x")),
            false,
        );
        let honest = sealed_rtp(&mut sender, &rtp(9, 101, b"x"));
        for jump in [1u16, 1000, 0x7fff, 0x8000, 0x8001, 0xffff] {
            let mut forged = honest.clone();
            forged[2..4].copy_from_slice(&(101u16.wrapping_add(jump)).to_be_bytes());
            refuse(&mut receiver, &forged, false);
        }
        assert_eq!(open(&mut receiver, &honest, false), rtp(9, 101, b"x"));
        // An honest packet of a rollover counter the receiver cannot know yet.
        sender.set_roc(9, 5).unwrap();
        let ahead = sealed_rtp(&mut sender, &rtp(9, 102, b"x"));
        assert_eq!(
            refuse(&mut receiver, &ahead, false),
            UnprotectError::Authentication
        );
    }
}

#[test]
fn the_table_of_sources_is_bounded_and_forgeries_take_no_place() {
    let config = Config {
        max_streams: 3,
        ..Config::default()
    };
    let (mut sender, mut receiver) = pair(
        Profile::AeadAes128Gcm,
        Config {
            max_streams: 9,
            ..config
        },
    );
    let (_, mut forger_keys) = (0, pair(Profile::AeadAes256Gcm, Config::default()).0);
    let (_, mut small) = pair(
        Profile::AeadAes128Gcm,
        Config {
            max_streams: 3,
            ..Config::default()
        },
    );
    for ssrc in 0..100 {
        let mut forged = sealed_rtp(&mut forger_keys, &rtp(ssrc, 1, b"x"));
        assert_eq!(
            refuse(&mut small, &forged, false),
            UnprotectError::Authentication
        );
        forged.truncate(20);
        refuse(&mut receiver, &forged, false);
    }
    for ssrc in 0..3 {
        open(
            &mut small,
            &sealed_rtp(&mut sender, &rtp(ssrc, 1, b"x")),
            false,
        );
    }
    let fourth = sealed_rtp(&mut sender, &rtp(3, 1, b"x"));
    assert_eq!(
        refuse(&mut small, &fourth, false),
        UnprotectError::TooManyStreams
    );
    let fourth = sealed_rtcp(&mut sender, &rtcp(3));
    assert_eq!(
        refuse(&mut small, &fourth, true),
        UnprotectError::TooManyStreams
    );
    assert_eq!(small.counters().too_many_streams, 2);
}

#[test]
fn rtcp_in_the_clear_is_refused() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        let mut sealed = sealed_rtcp(&mut sender, &rtcp(9));
        let word = sealed.len() - if profile.is_aead() { 4 } else { 14 };
        sealed[word] &= 0x7f;
        assert_eq!(
            refuse(&mut receiver, &sealed, true),
            UnprotectError::NotEncrypted
        );
    }
}

#[test]
fn refused_packets_to_be_sent_stay_as_they_were() {
    use crate::ProtectError;
    let (mut sender, _) = pair(Profile::AeadAes128Gcm, Config::default());
    for bad in [
        &[][..],
        &[0x80; 11],
        &[0x40; 12],
        &[0x8f; 20],
        &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
    ] {
        let mut buf = bad.to_vec();
        assert_eq!(
            sender.protect_rtp(&mut buf, 0),
            Err(ProtectError::Malformed),
            "{bad:?}"
        );
        assert_eq!(buf, bad);
    }
    let mut buf = vec![0x80; 7];
    assert_eq!(
        sender.protect_rtcp(&mut buf, 0),
        Err(ProtectError::Malformed)
    );
    assert_eq!(
        sender.protect_rtcp(&mut buf, 8),
        Err(ProtectError::BadStart)
    );
    assert_eq!(sender.protect_rtp(&mut buf, 8), Err(ProtectError::BadStart));
    let clear = rtp(1, 1, b"x");
    sealed_rtp(&mut sender, &clear);
    let mut buf = clear.clone();
    assert_eq!(sender.protect_rtp(&mut buf, 0), Err(ProtectError::Reused));
    assert_eq!(buf, clear);
    assert_eq!(sender.used().rtp, 1);
}
