//! SRTP: arbitrary packets into a receiver, and arbitrary packets through sender and receiver.

use bytes::BytesMut;
use srtp::{Config, Cryptex, Profile, Protector, Unprotector};

/// A profile and a configuration from one byte.
fn setting(choice: u8) -> (Profile, Config) {
    let profile = Profile::ALL[usize::from(choice) % Profile::ALL.len()];
    let mut config = Config::default();
    config.max_streams = 8;
    match choice >> 5 {
        1 => config.cryptex = Cryptex::On,
        2 => config.cryptex = Cryptex::Required,
        3 => config.encrypted_extensions = (0..=255).collect(),
        4 => config.mki = Some(vec![1, 2, 3, 4]),
        5 => config.roc_search = 3,
        _ => {}
    }
    (profile, config)
}

fn material(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    (
        vec![0x5a; profile.key_len()],
        vec![0xa5; profile.salt_len()],
    )
}

/// Packets, each preceded by its length in one byte.
fn packets(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (&len, rest) = data.split_first()?;
        let (packet, rest) = rest.split_at(usize::from(len).min(rest.len()));
        data = rest;
        Some(packet)
    })
}

/// Nothing that was not protected with the key is ever opened.
pub fn srtp_unprotect(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let (profile, config) = setting(choice);
    let (key, salt) = material(profile);
    let Ok(mut receiver) = Unprotector::new(profile, &key, &salt, config) else {
        return;
    };
    let mut seen = 0;
    for packet in packets(data) {
        seen += 2;
        assert!(receiver.unprotect_rtp(&mut BytesMut::from(packet)).is_err());
        assert!(
            receiver
                .unprotect_rtcp(&mut BytesMut::from(packet))
                .is_err()
        );
    }
    assert_eq!(receiver.counters().refused(), seen);
}

/// What the sender takes, the receiver gives back, once.
pub fn srtp_round_trip(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let (profile, config) = setting(choice);
    let inserts = config.cryptex != Cryptex::Off;
    let (key, salt) = material(profile);
    let Ok(mut sender) = Protector::new(profile, &key, &salt, config.clone()) else {
        return;
    };
    let Ok(mut receiver) = Unprotector::new(profile, &key, &salt, config) else {
        return;
    };
    for packet in packets(data) {
        let mut buf = packet.to_vec();
        if sender.protect_rtp(&mut buf, 0).is_ok() {
            assert!(buf.len() <= packet.len() + sender.rtp_overhead());
            let mut opened = BytesMut::from(&buf[..]);
            // Cryptex may be required and impossible, and indices may be further apart than can be told.
            if receiver.unprotect_rtp(&mut opened).is_ok() {
                assert!(inserts || opened[..] == *packet);
                assert!(
                    receiver
                        .unprotect_rtp(&mut BytesMut::from(&buf[..]))
                        .is_err()
                );
            }
        } else {
            assert_eq!(buf, packet);
        }
        let mut buf = packet.to_vec();
        if sender.protect_rtcp(&mut buf, 0).is_ok() {
            assert!(buf.len() == packet.len() + sender.rtcp_overhead());
            let mut opened = BytesMut::from(&buf[..]);
            if receiver.unprotect_rtcp(&mut opened).is_ok() {
                assert_eq!(opened[..], *packet);
                assert!(
                    receiver
                        .unprotect_rtcp(&mut BytesMut::from(&buf[..]))
                        .is_err()
                );
            }
        } else {
            assert_eq!(buf, packet);
        }
    }
}
