//! Protecting and opening 1,200-byte RTP packets: beside the bare cryptographic calls, `webrtc-srtp`, `rtc-srtp`, str0m and
//! libsrtp, all in one run. Nanoseconds (median of the rounds) and allocations a packet.
//!
//! `cargo bench -p pc-srtp`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "../tests/support/libsrtp.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests")]
mod libsrtp;

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use pc_srtp::{Config, Profile, Protector, Unprotector};

const LEN: usize = 1200;
const BATCH: usize = 512;
const STRIDE: usize = 1536;
const ROUNDS: usize = 41;
const HEADER: usize = 12;

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

/// A contestant: prepares a batch outside of the measured time, then runs it.
struct Contestant {
    name: &'static str,
    prepare: Box<dyn FnMut()>,
    run: Box<dyn FnMut()>,
    nanoseconds: Vec<f64>,
    allocations: u64,
}

type Shared<T> = std::rc::Rc<std::cell::RefCell<T>>;

fn shared<T>(value: T) -> Shared<T> {
    std::rc::Rc::new(std::cell::RefCell::new(value))
}

fn contestant(
    name: &'static str,
    prepare: impl FnMut() + 'static,
    run: impl FnMut() + 'static,
) -> Contestant {
    Contestant {
        name,
        prepare: Box::new(prepare),
        run: Box::new(run),
        nanoseconds: Vec::new(),
        allocations: 0,
    }
}

impl Contestant {
    fn round(&mut self) {
        (self.prepare)();
        let before = measure::allocations();
        let start = Instant::now();
        (self.run)();
        self.nanoseconds
            .push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        self.allocations = measure::allocations() - before;
    }

    fn median(&self) -> f64 {
        measure::median(&self.nanoseconds)
    }
}

/// The packets of a batch, each with room for its tag.
fn plain(seq: &mut u16) -> Vec<Vec<u8>> {
    (0..BATCH)
        .map(|_| {
            *seq = seq.wrapping_add(1);
            let mut packet = Vec::with_capacity(STRIDE);
            packet.extend_from_slice(&[0x80, 96]);
            packet.extend_from_slice(&seq.to_be_bytes());
            packet.resize(LEN, 7);
            packet
        })
        .collect()
}

fn ours(profile: Profile) -> [Contestant; 2] {
    let (key, salt) = material(profile);
    let mut sender = Protector::new(profile, &key, &salt, Config::default()).unwrap();
    let (packets, mut seq) = (shared(Vec::new()), 0);
    let (fill, take) = (packets.clone(), packets);
    let protect = contestant(
        "pc-srtp",
        move || *fill.borrow_mut() = plain(&mut seq),
        move || {
            for packet in take.borrow_mut().iter_mut() {
                sender.protect_rtp(black_box(packet), 0).unwrap();
            }
        },
    );
    let mut sender = Protector::new(profile, &key, &salt, Config::default()).unwrap();
    let mut receiver = Unprotector::new(profile, &key, &salt, Config::default()).unwrap();
    let (packets, mut seq) = (shared(Vec::new()), 0);
    let (fill, take) = (packets.clone(), packets);
    let open = contestant(
        "pc-srtp",
        move || {
            let mut packets = plain(&mut seq);
            packets
                .iter_mut()
                .for_each(|packet| sender.protect_rtp(packet, 0).unwrap());
            *fill.borrow_mut() = packets;
        },
        move || {
            for packet in take.borrow_mut().iter_mut() {
                receiver.unprotect_rtp_slice(black_box(packet)).unwrap();
            }
        },
    );
    [protect, open]
}

fn nonce(counter: &mut u64) -> Nonce {
    *counter += 1;
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn bare_gcm(profile: Profile) -> [Contestant; 2] {
    let (key, _) = material(profile);
    let key = || {
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap())
    };
    let seal = |key: &LessSafeKey, packet: &mut Vec<u8>, counter: &mut u64| {
        let (header, body) = packet.split_at_mut(HEADER);
        let tag = key
            .seal_in_place_separate_tag(nonce(counter), Aad::from(header), body)
            .unwrap();
        packet.extend_from_slice(tag.as_ref());
    };
    let sealing = key();
    let (packets, mut seq, mut counter) = (shared(Vec::new()), 0, 0);
    let (fill, take) = (packets.clone(), packets);
    let protect = contestant(
        "bare AES-GCM",
        move || *fill.borrow_mut() = plain(&mut seq),
        move || {
            for packet in take.borrow_mut().iter_mut() {
                seal(&sealing, black_box(packet), &mut counter);
            }
        },
    );
    let (sealing, opening) = (key(), key());
    let (packets, mut seq) = (shared(Vec::new()), 0);
    let (mut sealed, mut opened) = (0, 0);
    let (fill, take) = (packets.clone(), packets);
    let open = contestant(
        "bare AES-GCM",
        move || {
            let mut packets = plain(&mut seq);
            packets
                .iter_mut()
                .for_each(|packet| seal(&sealing, packet, &mut sealed));
            *fill.borrow_mut() = packets;
        },
        move || {
            for packet in take.borrow_mut().iter_mut() {
                let (header, body) = black_box(packet).split_at_mut(HEADER);
                opening
                    .open_in_place(nonce(&mut opened), Aad::from(header), body)
                    .unwrap();
            }
        },
    );
    [protect, open]
}

fn bare_counter_mode() -> [Contestant; 2] {
    let cipher = || EncryptingKey::ctr(UnboundCipherKey::new(&AES_128, &[1; 16]).unwrap()).unwrap();
    let key = || hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[2; 20]);
    let iv = |counter: &mut u64| {
        *counter += 1;
        let mut iv = [0; 16];
        iv[6..14].copy_from_slice(&counter.to_be_bytes());
        EncryptionContext::Iv128((&iv).into())
    };
    let (encrypt, authenticate) = (cipher(), key());
    let (packets, mut seq, mut counter) = (shared(Vec::new()), 0, 0);
    let (fill, take) = (packets.clone(), packets);
    let protect = contestant(
        "bare AES-CTR + HMAC-SHA1",
        move || *fill.borrow_mut() = plain(&mut seq),
        move || {
            for packet in take.borrow_mut().iter_mut() {
                let packet = black_box(packet);
                encrypt
                    .less_safe_encrypt(&mut packet[HEADER..], iv(&mut counter))
                    .unwrap();
                let mut context = hmac::Context::with_key(&authenticate);
                context.update(packet);
                context.update(&[0; 4]);
                packet.extend_from_slice(&context.sign().as_ref()[..10]);
            }
        },
    );
    let (encrypt, authenticate) = (cipher(), key());
    let (packets, mut seq, mut counter) = (shared(Vec::new()), 0, 0);
    let (fill, take) = (packets.clone(), packets);
    let open = contestant(
        "bare AES-CTR + HMAC-SHA1",
        move || *fill.borrow_mut() = plain(&mut seq),
        move || {
            for packet in take.borrow_mut().iter_mut() {
                let packet = black_box(packet);
                let mut context = hmac::Context::with_key(&authenticate);
                context.update(packet);
                context.update(&[0; 4]);
                black_box(context.sign());
                encrypt
                    .less_safe_encrypt(&mut packet[HEADER..], iv(&mut counter))
                    .unwrap();
            }
        },
    );
    [protect, open]
}

/// A peer that makes a new packet of each.
macro_rules! peer {
    ($name:literal, $context:expr) => {{
        let mut sender = $context;
        let (packets, mut seq) = (shared(Vec::new()), 0);
        let (fill, take) = (packets.clone(), packets);
        let protect = contestant(
            $name,
            move || *fill.borrow_mut() = plain(&mut seq),
            move || {
                for packet in take.borrow().iter() {
                    black_box(sender.encrypt_rtp(black_box(packet)).unwrap());
                }
            },
        );
        let (mut sender, mut receiver) = ($context, $context);
        let (packets, mut seq) = (shared(Vec::new()), 0);
        let (fill, take) = (packets.clone(), packets);
        let open = contestant(
            $name,
            move || {
                *fill.borrow_mut() = plain(&mut seq)
                    .iter()
                    .map(|packet| sender.encrypt_rtp(packet).unwrap())
                    .collect();
            },
            move || {
                for packet in take.borrow().iter() {
                    black_box(receiver.decrypt_rtp(black_box(packet)).unwrap());
                }
            },
        );
        [protect, open]
    }};
}

fn webrtc_srtp(profile: Profile) -> [Contestant; 2] {
    use srtp017::protection_profile::ProtectionProfile as P;
    let theirs = || match profile {
        Profile::AeadAes128Gcm => P::AeadAes128Gcm,
        Profile::AeadAes256Gcm => P::AeadAes256Gcm,
        _ => P::Aes128CmHmacSha1_80,
    };
    let (key, salt) = material(profile);
    // With replay protection, as all the others have it.
    let context = || {
        let window = || Some(srtp017::option::srtp_replay_protection(1024));
        srtp017::context::Context::new(&key, &salt, theirs(), window(), None).unwrap()
    };
    peer!("webrtc-srtp 0.17.2", context())
}

fn rtc_srtp(profile: Profile) -> [Contestant; 2] {
    use rtc_srtp::protection_profile::ProtectionProfile as P;
    let theirs = || match profile {
        Profile::AeadAes128Gcm => P::AeadAes128Gcm,
        Profile::AeadAes256Gcm => P::AeadAes256Gcm,
        _ => P::Aes128CmHmacSha1_80,
    };
    let (key, salt) = material(profile);
    let provider = rtc_crypto::default_provider().unwrap();
    let context = || {
        let window = Some(rtc_srtp::option::srtp_replay_protection(1024));
        rtc_srtp::context::Context::new(&key, &salt, theirs(), window, None, provider.crypto())
            .unwrap()
    };
    peer!("rtc-srtp 0.21.1", context())
}

/// str0m shows the sending side alone, and writes the header along with it.
fn str0m(profile: Profile) -> Contestant {
    use str0m::_internal_test_exports::TestSrtp;
    use str0m::config::KeyingMaterial;
    use str0m::rtp::{ExtensionMap, RtpHeader};
    let (key, salt) = material(profile);
    let keying = KeyingMaterial::new(&[&key[..], &key, &salt, &salt].concat());
    let theirs = match profile {
        Profile::AeadAes128Gcm => str0m::crypto::dtls::SrtpProfile::AEAD_AES_128_GCM,
        Profile::AeadAes256Gcm => str0m::crypto::dtls::SrtpProfile::AEAD_AES_256_GCM,
        _ => str0m::crypto::dtls::SrtpProfile::AES128_CM_SHA1_80,
    };
    let crypto = str0m::crypto::from_feature_flags();
    let mut sender = TestSrtp::new(&crypto, theirs, &keying);
    let (mut seq, payload, extensions) = (0, vec![7; LEN - HEADER], ExtensionMap::empty());
    contestant(
        "str0m 0.25.0 (with header)",
        || {},
        move || {
            for _ in 0..BATCH {
                seq += 1;
                let header = RtpHeader {
                    sequence_number: seq as u16,
                    ssrc: 7.into(),
                    ..RtpHeader::default()
                };
                black_box(sender.protect(header, seq, black_box(&payload), &extensions));
            }
        },
    )
}

fn material(profile: Profile) -> (Vec<u8>, Vec<u8>) {
    (
        vec![0x11; profile.key_len()],
        vec![0x22; profile.salt_len()],
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() {
    let mut good = true;
    for (profile, limit) in [
        (Profile::AeadAes128Gcm, 1.15),
        (Profile::AeadAes256Gcm, 1.15),
        (Profile::Aes128CmHmacSha1_80, 1.1),
    ] {
        let bare = if profile.is_aead() {
            bare_gcm(profile)
        } else {
            bare_counter_mode()
        };
        let mut protect = Vec::new();
        let mut open = Vec::new();
        for [one, other] in [bare, ours(profile), webrtc_srtp(profile), rtc_srtp(profile)] {
            protect.push(one);
            open.push(other);
        }
        protect.push(str0m(profile));
        let mut c_times = Vec::new();
        let (key, salt) = material(profile);
        for round in 0..ROUNDS {
            protect
                .iter_mut()
                .chain(&mut open)
                .for_each(Contestant::round);
            if round % 8 == 0 {
                c_times.extend(libsrtp::bench(
                    &profile.to_string(),
                    &hex(&[&key[..], &salt].concat()),
                    8192,
                    LEN,
                ));
            }
        }
        let median = |pick: fn(&(f64, f64)) -> f64| {
            let mut times: Vec<f64> = c_times.iter().map(pick).collect();
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied()
        };
        for (what, contestants, c_time) in [
            ("protect", &protect, median(|times| times.0)),
            ("open", &open, median(|times| times.1)),
        ] {
            println!("\n{profile}, {what} {LEN} bytes");
            let (floor, own) = (contestants[0].median(), &contestants[1]);
            for contestant in contestants {
                println!(
                    "  {:28} {:8.1} ns  {:5.2} x bare  {:5.2} allocations",
                    contestant.name,
                    contestant.median(),
                    contestant.median() / floor,
                    contestant.allocations as f64 / BATCH as f64
                );
            }
            if let Some(time) = c_time {
                println!(
                    "  {:28} {time:8.1} ns  {:5.2} x bare",
                    "libsrtp (Debian)",
                    time / floor
                );
            }
            let ratio = own.median() / floor;
            let fastest = contestants[2..]
                .iter()
                .map(Contestant::median)
                .chain(c_time)
                .all(|time| time > own.median());
            let met = ratio <= limit && own.allocations == 0 && fastest;
            good &= met;
            println!(
                "  {}: {ratio:.3} x bare (at most {limit}), {} allocations, {}",
                if met { "met" } else { "NOT MET" },
                own.allocations,
                if fastest {
                    "faster than every peer"
                } else {
                    "a peer is faster"
                }
            );
        }
    }
    libsrtp::clean_up();
    println!("\n{}", if good { "all met" } else { "some NOT MET" });
}
