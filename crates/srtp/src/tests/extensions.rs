//! Cryptex and encrypted header extensions, beyond the published vectors.

use bytes::BytesMut;

use super::{pair, rtp, sealed_rtp};
use crate::{Config, Cryptex, Profile, UnprotectError};

fn cryptex(cryptex: Cryptex) -> Config {
    Config {
        cryptex,
        ..Config::default()
    }
}

#[test]
fn csrcs_alone_get_an_empty_marked_extension() {
    for profile in Profile::ALL {
        let (mut sender, mut receiver) = pair(profile, cryptex(Cryptex::Required));
        let mut clear = rtp(5, 1, &[]);
        clear[0] |= 2;
        clear.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        clear.extend_from_slice(b"payload");
        let sealed = sealed_rtp(&mut sender, &clear);
        assert_eq!(sealed[0] & 0x10, 0x10);
        assert_eq!(sealed[20..24], [0xc0, 0xde, 0, 0]);
        assert_ne!(sealed[12..20], clear[12..20]);
        let mut packet = BytesMut::from(&sealed[..]);
        receiver.unprotect_rtp(&mut packet).unwrap();
        // The empty block stays (RFC 9335 §5.2).
        clear[0] |= 0x10;
        clear.splice(20..20, [0xbe, 0xde, 0, 0]);
        assert_eq!(packet[..], clear, "{profile}");
    }
}

#[test]
fn packets_without_extension_or_with_a_foreign_one_go_without_cryptex() {
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm, cryptex(Cryptex::On));
    let plain = rtp(5, 1, b"payload");
    let mut foreign = rtp(5, 2, &[0x12, 0x34, 0, 1, 9, 9, 9, 9]);
    foreign[0] |= 0x10;
    for clear in [plain, foreign] {
        let sealed = sealed_rtp(&mut sender, &clear);
        assert_eq!(sealed.len(), clear.len() + 16);
        let mut packet = BytesMut::from(&sealed[..]);
        receiver.unprotect_rtp(&mut packet).unwrap();
        assert_eq!(packet[..], clear);
    }
}

#[test]
fn extensions_in_the_clear_are_refused_where_cryptex_is_required() {
    let mut clear = rtp(5, 1, &[0xbe, 0xde, 0, 1, 0x10, 9, 0, 0]);
    clear[0] |= 0x10;
    let (mut sender, _) = pair(Profile::AeadAes128Gcm, cryptex(Cryptex::Off));
    let (_, mut receiver) = pair(Profile::AeadAes128Gcm, cryptex(Cryptex::Required));
    let (_, mut tolerant) = pair(Profile::AeadAes128Gcm, cryptex(Cryptex::On));
    let sealed = sealed_rtp(&mut sender, &clear);
    let mut packet = BytesMut::from(&sealed[..]);
    assert_eq!(
        receiver.unprotect_rtp(&mut packet),
        Err(UnprotectError::CryptexRequired)
    );
    assert_eq!(receiver.counters().cryptex_required, 1);
    tolerant.unprotect_rtp(&mut packet).unwrap();
    assert_eq!(packet[..], clear);
    // A packet without any extension has nothing to hide.
    let bare = rtp(5, 2, b"x");
    let mut packet = BytesMut::from(&sealed_rtp(&mut sender, &bare)[..]);
    receiver.unprotect_rtp(&mut packet).unwrap();
}

#[test]
fn selected_elements_are_encrypted_and_others_stay_readable() {
    let one_byte = [
        0xbe, 0xde, 0, 3, 0x12, 1, 2, 3, 0, 0x20, 9, 0x31, 7, 8, 0, 0,
    ];
    let two_byte = [
        0x10, 0x05, 0, 4, 1, 3, 1, 2, 3, 0, 2, 1, 9, 3, 2, 7, 8, 4, 0, 0,
    ];
    for profile in Profile::ALL {
        for extension in [&one_byte[..], &two_byte[..]] {
            let config = Config {
                encrypted_extensions: vec![1, 3],
                ..Config::default()
            };
            let (mut sender, mut receiver) = pair(profile, config);
            let mut clear = rtp(5, 1, extension);
            clear[0] |= 0x10;
            clear.extend_from_slice(b"payload");
            let sealed = sealed_rtp(&mut sender, &clear);
            assert_eq!(sealed[..16], clear[..16]);
            let changed: Vec<usize> = (16..12 + extension.len())
                .filter(|&at| sealed[at] != clear[at])
                .collect();
            let payloads: &[usize] = if extension[0] == 0xbe {
                &[17, 18, 19, 24, 25]
            } else {
                &[18, 19, 20, 27, 28]
            };
            // A keystream byte may be zero by chance; nothing else may ever change.
            assert!(
                changed.iter().all(|at| payloads.contains(at)),
                "{profile}: {changed:?}"
            );
            assert!(changed.len() >= 3, "{profile}: {changed:?}");
            let mut packet = BytesMut::from(&sealed[..]);
            receiver.unprotect_rtp(&mut packet).unwrap();
            assert_eq!(packet[..], clear, "{profile}");
        }
    }
}

#[test]
fn damaged_extension_elements_neither_panic_nor_spread() {
    let config = Config {
        encrypted_extensions: (1..=255).collect(),
        ..Config::default()
    };
    let (mut sender, mut receiver) = pair(Profile::AeadAes128Gcm, config);
    let extensions: [&[u8]; 5] = [
        &[0xbe, 0xde, 0, 1, 0x1f, 1, 2, 3],
        &[0xbe, 0xde, 0, 1, 0xf0, 1, 2, 3],
        &[0x10, 0x00, 0, 1, 1, 200, 2, 3],
        &[0x10, 0x00, 0, 1, 0, 0, 0, 5],
        &[0xbe, 0xde, 0, 0],
    ];
    for (seq, extension) in extensions.into_iter().enumerate() {
        let mut clear = rtp(5, seq as u16, extension);
        clear[0] |= 0x10;
        let mut packet = BytesMut::from(&sealed_rtp(&mut sender, &clear)[..]);
        receiver.unprotect_rtp(&mut packet).unwrap();
        assert_eq!(packet[..], clear);
    }
}
