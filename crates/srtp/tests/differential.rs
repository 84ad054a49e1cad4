//! What we write, others read, and the other way round: `webrtc-srtp` 0.17.2 and libsrtp, every profile, with wrapping
//! sequence numbers, loss, reordering and a thousand sources.
//!
//! `PC_SRTP_PACKETS=1048576` runs 2^20 packets for each profile, peer and direction; by default they are spread over the
//! profiles.

#[path = "support/libsrtp.rs"]
#[allow(unreachable_pub, reason = "shared with the benchmark")]
mod libsrtp;

use bytes::BytesMut;
use libsrtp::Operation;
use pc_srtp::{Config, Profile, Protector, Unprotector};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use srtp017::context::Context;
use srtp017::protection_profile::ProtectionProfile;

const SOURCES: usize = 1_000;

fn packets_per_profile() -> usize {
    std::env::var("PC_SRTP_PACKETS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or((1 << 20) / 6)
}

fn keys(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    let mut rng = StdRng::seed_from_u64(u64::from(profile.id().unwrap_or(99)));
    let (mut key, mut salt) = (vec![0; profile.key_len()], vec![0; profile.salt_len()]);
    rng.fill_bytes(&mut key);
    rng.fill_bytes(&mut salt);
    (key, salt)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn theirs(profile: Profile) -> Context {
    let (key, salt) = keys(profile);
    let profile = match profile {
        Profile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::Aes128CmHmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Profile::Aes256CmHmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
        Profile::Aes256CmHmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        _ => ProtectionProfile::AeadAes256Gcm,
    };
    Context::new(&key, &salt, profile, None, None).unwrap()
}

fn ours(profile: Profile, config: Config) -> (Protector, Unprotector) {
    let (key, salt) = keys(profile);
    (
        Protector::new(profile, &key, &salt, config.clone()).unwrap(),
        Unprotector::new(profile, &key, &salt, config).unwrap(),
    )
}

/// A sender's packets, in the order they are sent: one source has half of them, the others share the rest; one in twenty is
/// RTCP.
fn traffic(seed: u64, count: usize) -> Vec<(bool, Vec<u8>)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut next: Vec<u16> = (0..SOURCES).map(|_| rng.random_range(0..0x8000)).collect();
    (0..count)
        .map(|turn| {
            let source = if turn < SOURCES {
                turn
            } else if rng.random_bool(0.5) {
                0
            } else {
                rng.random_range(0..SOURCES)
            };
            let ssrc = (source as u32).wrapping_mul(0x9e37_79b1);
            let is_rtcp = rng.random_bool(0.05);
            let mut packet;
            if is_rtcp {
                packet = vec![0x80, 201, 0, 1];
                packet.extend_from_slice(&ssrc.to_be_bytes());
                packet.extend_from_slice(&[0x81, 203, 0, 1]);
                packet.extend_from_slice(&ssrc.to_be_bytes());
            } else {
                let seq = &mut next[source];
                // A few numbers are left out, as by a sender that drops packets.
                *seq = seq.wrapping_add(if rng.random_bool(0.02) { 40 } else { 1 });
                packet = vec![0x80, 96];
                packet.extend_from_slice(&seq.to_be_bytes());
                packet.extend_from_slice(&rng.random::<u32>().to_be_bytes());
                packet.extend_from_slice(&ssrc.to_be_bytes());
                match rng.random_range(0..4) {
                    // An extension; CSRCs and an extension; neither.
                    0 => {
                        packet[0] |= 0x10;
                        packet.extend_from_slice(&[0xbe, 0xde, 0, 2, 0x12, 1, 2, 3, 0x31, 7, 8, 0]);
                    }
                    1 => {
                        packet[0] |= 0x12;
                        packet.extend_from_slice(&[
                            1, 2, 3, 4, 5, 6, 7, 8, 0xbe, 0xde, 0, 1, 0x50, 9, 0, 0,
                        ]);
                    }
                    _ => {}
                }
                let start = packet.len();
                packet.resize(start + rng.random_range(0..64), 0);
                rng.fill_bytes(&mut packet[start..]);
            }
            (is_rtcp, packet)
        })
        .collect()
}

/// Which packets arrive, and in which order: one in ten is lost, and the rest is shuffled within runs of eight.
fn arrivals(seed: u64, count: usize) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(!seed);
    let mut arrived: Vec<usize> = (0..count)
        .filter(|&at| at < SOURCES || !rng.random_bool(0.1))
        .collect();
    // The first packet of each source comes first: before it, a receiver cannot tell how often it has wrapped.
    for run in arrived.get_mut(SOURCES..).unwrap_or_default().chunks_mut(8) {
        for at in (1..run.len()).rev() {
            run.swap(at, rng.random_range(0..=at));
        }
    }
    arrived
}

fn protect(sender: &mut Protector, (is_rtcp, packet): &(bool, Vec<u8>)) -> Vec<u8> {
    let mut buf = packet.clone();
    if *is_rtcp {
        sender.protect_rtcp(&mut buf, 0)
    } else {
        sender.protect_rtp(&mut buf, 0)
    }
    .unwrap();
    buf
}

fn open(receiver: &mut Unprotector, is_rtcp: bool, sealed: &[u8]) -> BytesMut {
    let mut packet = BytesMut::from(sealed);
    if is_rtcp {
        receiver.unprotect_rtcp(&mut packet)
    } else {
        receiver.unprotect_rtp(&mut packet)
    }
    .unwrap();
    packet
}

fn with_webrtc_srtp(profile: Profile) {
    let count = packets_per_profile();
    let (traffic, arrivals) = (traffic(1, count), arrivals(1, count));
    let (mut sender, mut receiver) = ours(profile, Config::default());
    let (mut their_sender, mut their_receiver) = (theirs(profile), theirs(profile));
    let mut sealed = Vec::with_capacity(count);
    for packet in &traffic {
        let by_us = protect(&mut sender, packet);
        let by_them = if packet.0 {
            their_sender.encrypt_rtcp(&packet.1)
        } else {
            their_sender.encrypt_rtp(&packet.1)
        }
        .unwrap();
        // RTCP differs: they number from one, we from zero (RFC 3711 §3.2.1 has zero).
        assert!(packet.0 || by_us == by_them, "{profile}");
        sealed.push((by_us, by_them));
    }
    for at in arrivals {
        let ((is_rtcp, clear), (by_us, by_them)) = (&traffic[at], &sealed[at]);
        assert_eq!(open(&mut receiver, *is_rtcp, by_them)[..], clear[..]);
        let opened = if *is_rtcp {
            their_receiver.decrypt_rtcp(by_us)
        } else {
            their_receiver.decrypt_rtp(by_us)
        };
        assert_eq!(opened.unwrap()[..], clear[..], "{profile}");
    }
    assert_eq!(receiver.counters().refused(), 0);
}

fn with_libsrtp(profile: Profile, count: usize, config: Config, more: &[&str]) {
    let (key, salt) = keys(profile);
    let (name, secret) = (profile.to_string(), hex(&[key, salt].concat()));
    let arguments: Vec<&str> = [&name[..], &secret]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let mut traffic = traffic(2, count);
    if config.mki.is_some() && profile.rtp_tag_len() != profile.rtcp_tag_len() {
        // libsrtp 2.5 looks for the identifier of an SRTCP packet before a tag of SRTP's length.
        traffic.retain(|(is_rtcp, _)| !is_rtcp);
    }
    let arrivals = arrivals(2, traffic.len());
    let (mut sender, mut receiver) = ours(profile, config);

    let operation = |is_rtcp, rtp, rtcp| if is_rtcp { rtcp } else { rtp };
    let to_protect: Vec<_> = traffic
        .iter()
        .map(|(is_rtcp, packet)| {
            (
                operation(*is_rtcp, Operation::ProtectRtp, Operation::ProtectRtcp),
                packet.clone(),
            )
        })
        .collect();
    let Some(by_them) = libsrtp::run(&arguments, &to_protect) else {
        return;
    };
    let by_us: Vec<_> = traffic
        .iter()
        .map(|packet| protect(&mut sender, packet))
        .collect();
    for (at, (is_rtcp, _)) in traffic.iter().enumerate() {
        assert!(
            *is_rtcp || by_them[at].as_ref() == Some(&by_us[at]),
            "{profile}: packet {at}"
        );
    }
    let to_open: Vec<_> = arrivals
        .iter()
        .map(|&at| {
            (
                operation(traffic[at].0, Operation::OpenRtp, Operation::OpenRtcp),
                by_us[at].clone(),
            )
        })
        .collect();
    let opened = libsrtp::run(&arguments, &to_open).unwrap();
    for (at, opened) in arrivals.into_iter().zip(opened) {
        let (is_rtcp, clear) = &traffic[at];
        assert_eq!(opened.as_ref(), Some(clear), "{profile}: packet {at}");
        assert_eq!(
            open(&mut receiver, *is_rtcp, by_them[at].as_ref().unwrap())[..],
            clear[..]
        );
    }
    assert_eq!(receiver.counters().refused(), 0);
}

macro_rules! every_profile {
    ($($name:ident $libsrtp:ident $profile:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            with_webrtc_srtp(Profile::$profile);
        }

        #[test]
        fn $libsrtp() {
            with_libsrtp(Profile::$profile, packets_per_profile(), Config::default(), &[]);
        }
    )* };
}

every_profile! {
    webrtc_srtp_and_we_read_each_other_aes_128_cm_80 libsrtp_and_we_read_each_other_aes_128_cm_80 Aes128CmHmacSha1_80,
    webrtc_srtp_and_we_read_each_other_aes_128_cm_32 libsrtp_and_we_read_each_other_aes_128_cm_32 Aes128CmHmacSha1_32,
    webrtc_srtp_and_we_read_each_other_aes_256_cm_80 libsrtp_and_we_read_each_other_aes_256_cm_80 Aes256CmHmacSha1_80,
    webrtc_srtp_and_we_read_each_other_aes_256_cm_32 libsrtp_and_we_read_each_other_aes_256_cm_32 Aes256CmHmacSha1_32,
    webrtc_srtp_and_we_read_each_other_aes_128_gcm libsrtp_and_we_read_each_other_aes_128_gcm AeadAes128Gcm,
    webrtc_srtp_and_we_read_each_other_aes_256_gcm libsrtp_and_we_read_each_other_aes_256_gcm AeadAes256Gcm,
}

#[test]
fn libsrtp_and_we_agree_on_encrypted_header_extensions() {
    for profile in Profile::ALL {
        let config = Config {
            encrypted_extensions: vec![1, 5],
            ..Config::default()
        };
        with_libsrtp(profile, 4_000, config, &["1,5"]);
    }
}

#[test]
fn libsrtp_and_we_agree_on_master_key_identifiers() {
    for profile in Profile::ALL {
        let config = Config {
            mki: Some(vec![0xab, 0xcd, 0xef, 1]),
            ..Config::default()
        };
        with_libsrtp(profile, 4_000, config, &["-", "abcdef01"]);
    }
}
