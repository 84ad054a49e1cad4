//! Tests of whole packets; those that need no insides are in the crate's `tests/` folder.

mod bad_input;
mod extensions;
mod keys;
mod vectors;

use crate::{Config, Profile, Protector, Unprotector};

/// A sender and a receiver with the same keys.
pub(crate) fn pair(profile: Profile, config: Config) -> (Protector, Unprotector) {
    let key: Vec<u8> = (0..profile.key_len() as u8)
        .map(|byte| byte.wrapping_mul(7) ^ 0x51)
        .collect();
    let salt: Vec<u8> = (0..profile.salt_len() as u8)
        .map(|byte| byte.wrapping_mul(11) ^ 0xa3)
        .collect();
    (
        Protector::new(profile, &key, &salt, config.clone()).unwrap(),
        Unprotector::new(profile, &key, &salt, config).unwrap(),
    )
}

pub(crate) fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&seq.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 2, 3]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A receiver report without blocks, and a goodbye.
pub(crate) fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0x81, 203, 0, 1]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

pub(crate) fn sealed_rtp(sender: &mut Protector, packet: &[u8]) -> Vec<u8> {
    let mut buf = b"head".to_vec();
    buf.extend_from_slice(packet);
    sender.protect_rtp(&mut buf, 4).unwrap();
    assert_eq!(&buf[..4], b"head");
    buf.split_off(4)
}

pub(crate) fn sealed_rtcp(sender: &mut Protector, packet: &[u8]) -> Vec<u8> {
    let mut buf = b"head".to_vec();
    buf.extend_from_slice(packet);
    sender.protect_rtcp(&mut buf, 4).unwrap();
    assert_eq!(&buf[..4], b"head");
    buf.split_off(4)
}
