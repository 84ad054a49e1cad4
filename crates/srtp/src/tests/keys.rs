//! Rollover counters, key lifetime, master key identifiers, re-keying, and secrets that stay secret.

use bytes::BytesMut;

use super::{pair, rtcp, rtp, sealed_rtcp, sealed_rtp};
use crate::{
    Config, KeyError, Lifetime, Profile, ProtectError, Protector, UnprotectError, Unprotector,
};

fn open(receiver: &mut Unprotector, sealed: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    let mut packet = BytesMut::from(sealed);
    receiver
        .unprotect_rtp(&mut packet)
        .map(|()| packet.to_vec())
}

#[test]
fn sequence_numbers_wrap_with_loss_and_reordering() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        let mut held = None;
        for count in 0..3 * 65536u32 / 97 {
            // Every 97th packet arrives, each pair swapped.
            let seq = (60_000 + 97 * count) as u16;
            let clear = rtp(1, seq, &count.to_be_bytes());
            let sealed = sealed_rtp(&mut sender, &clear);
            match held.take() {
                None => held = Some((sealed, clear)),
                Some((first, first_clear)) => {
                    assert_eq!(open(&mut receiver, &sealed).unwrap(), clear);
                    assert_eq!(open(&mut receiver, &first).unwrap(), first_clear);
                }
            }
        }
        assert_eq!(receiver.roc(1), Some(3));
        assert_eq!(receiver.counters().refused(), 0);
    }
}

#[test]
fn a_receiver_that_missed_the_first_wrap_finds_the_rollover_counter() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, Config::default());
        sealed_rtp(&mut sender, &rtp(1, 65_535, b"lost"));
        let clear = rtp(1, 0, b"first to arrive");
        assert_eq!(
            open(&mut receiver, &sealed_rtp(&mut sender, &clear)).unwrap(),
            clear
        );
        assert_eq!(receiver.roc(1), Some(1));
    }
}

#[test]
fn a_receiver_that_joins_late_searches_or_is_told() {
    for profile in Profile::ALL {
        let (mut sender, mut told) = pair(profile, Config::default());
        sender.set_roc(1, 7).unwrap();
        let packets: Vec<_> = (0..4)
            .map(|seq| sealed_rtp(&mut sender, &rtp(1, 500 + seq, b"x")))
            .collect();
        assert_eq!(
            open(&mut told, &packets[0]),
            Err(UnprotectError::Authentication)
        );
        told.set_roc(1, 7).unwrap();
        assert_eq!(open(&mut told, &packets[1]).unwrap(), rtp(1, 501, b"x"));
        let (_, mut searching) = pair(
            profile,
            Config {
                roc_search: 8,
                ..Config::default()
            },
        );
        for (seq, packet) in packets.iter().enumerate() {
            assert_eq!(
                open(&mut searching, packet).unwrap(),
                rtp(1, 500 + seq as u16, b"x")
            );
        }
        assert_eq!(searching.roc(1), Some(7));
    }
}

#[test]
fn the_key_lifetime_ends_with_an_error_on_both_sides() {
    for profile in Profile::ALL {
        let short = Config {
            lifetime: Lifetime { rtp: 3, rtcp: 2 },
            ..Config::default()
        };
        let (mut short_sender, mut short_receiver) = pair(profile, short);
        let (mut sender, mut receiver) = pair(profile, Config::default());
        for seq in 0..3 {
            sealed_rtp(&mut short_sender, &rtp(1, seq, b"x"));
            open(
                &mut short_receiver,
                &sealed_rtp(&mut sender, &rtp(1, seq, b"x")),
            )
            .unwrap();
        }
        let clear = rtp(2, 3, b"x");
        let mut buf = clear.clone();
        assert_eq!(
            short_sender.protect_rtp(&mut buf, 0),
            Err(ProtectError::KeyExpired)
        );
        assert_eq!(buf, clear);
        let sealed = sealed_rtp(&mut sender, &clear);
        assert_eq!(
            open(&mut short_receiver, &sealed),
            Err(UnprotectError::KeyExpired)
        );
        assert_eq!(short_receiver.counters().key_expired, 1);
        for _ in 0..2 {
            sealed_rtcp(&mut short_sender, &rtcp(1));
        }
        let mut buf = rtcp(1);
        assert_eq!(
            short_sender.protect_rtcp(&mut buf, 0),
            Err(ProtectError::KeyExpired)
        );

        // The last index of all: 2^48 packets of one source, 2^31 of SRTCP.
        sender.set_last_rtp_index(9, (1 << 48) - 2);
        receiver.set_roc(9, u32::MAX).unwrap();
        let clear = rtp(9, 65_535, b"the last");
        assert_eq!(
            open(&mut receiver, &sealed_rtp(&mut sender, &clear)).unwrap(),
            clear
        );
        let mut buf = rtp(9, 0, b"one too many");
        assert_eq!(
            sender.protect_rtp(&mut buf, 0),
            Err(ProtectError::KeyExpired)
        );
        sender.set_next_rtcp_index(9, (1 << 31) - 1);
        sealed_rtcp(&mut sender, &rtcp(9));
        let mut buf = rtcp(9);
        assert_eq!(
            sender.protect_rtcp(&mut buf, 0),
            Err(ProtectError::KeyExpired)
        );
    }
}

#[test]
fn master_key_identifiers_switch_keys_in_mid_stream() {
    for profile in Profile::ALL {
        let config = Config {
            mki: Some(b"one".to_vec()),
            ..Config::default()
        };
        let (mut sender, mut receiver) = pair(profile, config);
        let (key, salt) = (
            vec![0x77; profile.key_len()],
            vec![0x88; profile.salt_len()],
        );
        let old: Vec<_> = (65_530..=65_535)
            .map(|seq| sealed_rtp(&mut sender, &rtp(1, seq, b"old")))
            .collect();
        let old_rtcp = sealed_rtcp(&mut sender, &rtcp(1));
        sender.switch_key(&key, &salt, b"two").unwrap();
        let new: Vec<_> = (0..5)
            .map(|seq| sealed_rtp(&mut sender, &rtp(1, seq, b"new")))
            .collect();
        let new_rtcp = sealed_rtcp(&mut sender, &rtcp(1));

        open(&mut receiver, &old[0]).unwrap();
        assert_eq!(
            open(&mut receiver, &new[0]),
            Err(UnprotectError::UnknownMki)
        );
        receiver.add_key(&key, &salt, b"two").unwrap();
        // Both keys' packets arrive mixed, across the wrap.
        for (old, new) in old[1..].iter().zip(&new) {
            assert_eq!(open(&mut receiver, new).unwrap()[12..], *b"new");
            assert_eq!(open(&mut receiver, old).unwrap()[12..], *b"old");
        }
        for sealed in [new_rtcp, old_rtcp] {
            let mut packet = BytesMut::from(&sealed[..]);
            receiver.unprotect_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..], rtcp(1));
        }
        assert!(receiver.remove_key(b"one"));
        assert!(!receiver.remove_key(b"two"));
        assert_eq!(
            open(&mut receiver, &old[0]),
            Err(UnprotectError::UnknownMki)
        );
        assert_eq!(receiver.counters().unknown_mki, 2);
        assert_eq!(
            receiver.add_key(&key, &salt, b"four"),
            Err(KeyError::MkiLength(4))
        );
        assert_eq!(
            sender.switch_key(&key, &salt, b""),
            Err(KeyError::MkiLength(0))
        );
    }
}

#[test]
fn rekeying_after_a_dtls_restart_loses_no_packet() {
    for (before, after) in [
        (Profile::AeadAes128Gcm, Profile::AeadAes128Gcm),
        (Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80),
        (Profile::Aes128CmHmacSha1_80, Profile::AeadAes256Gcm),
    ] {
        let (mut old_sender, mut receiver) = pair(before, Config::default());
        let (key, salt) = (vec![0x77; after.key_len()], vec![0x88; after.salt_len()]);
        // The stream has wrapped under the old keys; a new context starts at zero on both sides.
        let mut sent = Vec::new();
        for seq in 65_530..65_540u32 {
            sent.push(sealed_rtp(&mut old_sender, &rtp(1, seq as u16, b"old")));
        }
        let mut new_sender = Protector::new(after, &key, &salt, Config::default()).unwrap();
        for seq in 4..10 {
            sent.push(sealed_rtp(&mut new_sender, &rtp(1, seq, b"new")));
        }
        for packet in &sent[..6] {
            open(&mut receiver, packet).unwrap();
        }
        receiver.rekey(after, &key, &salt).unwrap();
        // New ones overtake old ones.
        for index in [10, 6, 11, 7, 12, 8, 13, 9, 14, 15] {
            let payload = &open(&mut receiver, &sent[index]).unwrap()[12..];
            assert_eq!(
                payload,
                if index < 10 { b"old" } else { b"new" },
                "{before} {after} {index}"
            );
        }
        assert!(open(&mut receiver, &sent[9]).is_err());
        assert!(open(&mut receiver, &sent[15]).is_err());
        let late = sealed_rtp(&mut old_sender, &rtp(1, 100, b"old"));
        receiver.retire_previous();
        assert!(open(&mut receiver, &late).is_err());
        assert_eq!(receiver.profile(), after);
    }
}

#[test]
fn repeats_are_refused_unless_allowed() {
    let (mut sender, _) = pair(Profile::AeadAes128Gcm, Config::default());
    let clear = rtp(1, 1, b"x");
    let first = sealed_rtp(&mut sender, &clear);
    assert_eq!(
        sender.protect_rtp(&mut clear.clone(), 0),
        Err(ProtectError::Reused)
    );
    let (mut sender, _) = pair(
        Profile::AeadAes128Gcm,
        Config {
            allow_repeats: true,
            ..Config::default()
        },
    );
    assert_eq!(sealed_rtp(&mut sender, &clear), first);
    assert_eq!(sealed_rtp(&mut sender, &clear), first);
}

#[test]
fn secrets_do_not_appear_in_debug_output() {
    // Keys of one repeated, conspicuous byte; the derived ones are searched for as well.
    for profile in Profile::ALL {
        let (key, salt) = (
            vec![0xd7; profile.key_len()],
            vec![0xd9; profile.salt_len()],
        );
        let config = Config {
            encrypted_extensions: vec![1],
            ..Config::default()
        };
        let mut sender = Protector::new(profile, &key, &salt, config.clone()).unwrap();
        let receiver = Unprotector::new(profile, &key, &salt, config).unwrap();
        sealed_rtp(&mut sender, &rtp(1, 1, b"x"));
        let text = format!("{sender:?} {sender:#?} {receiver:?} {receiver:#?}").to_lowercase();
        assert!(text.contains("profile"));
        for secret in ["d7", "215", "d9", "217"] {
            assert!(!text.contains(secret), "{profile}: {secret} in {text}");
        }
        let master = crate::kdf::MasterKey::new(profile, &key, &salt).unwrap();
        let mut derived = [0; 4];
        for label in [crate::kdf::Label::RtpEncryption, crate::kdf::Label::RtpSalt] {
            master.derive(label, &mut derived).unwrap();
            let list = format!("{derived:?}");
            let list = list.trim_matches(['[', ']']);
            assert!(!text.contains(list), "{profile}: derived key in {text}");
        }
    }
}
