//! What a handshake costs in time and bytes, and a record of 1,200 bytes in time and allocations.
//!
//! `cargo bench -p pc-dtls`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::BytesMut;
use pc_dtls::{
    Certificate, CertificateParams, Config, Endpoint, HashAlgorithm, Role, State, Version, Versions,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Two endpoints and what went between them.
struct Pair {
    ends: [Endpoint; 2],
    bytes: [usize; 2],
    datagrams: [usize; 2],
}

fn connect(certificates: &[Certificate; 2], versions: Versions, now: Instant) -> Pair {
    let end = |which: usize, role| {
        let config = Config {
            versions,
            remote_fingerprints: vec![certificates[1 - which].fingerprint(HashAlgorithm::Sha256)],
            ..Config::default()
        };
        Endpoint::new(
            config,
            role,
            &certificates[which],
            now,
            StdRng::seed_from_u64(which as u64),
        )
        .unwrap()
    };
    let mut pair = Pair {
        ends: [end(0, Role::Client), end(1, Role::Server)],
        bytes: [0; 2],
        datagrams: [0; 2],
    };
    let mut datagram = Vec::new();
    let mut moved = true;
    while moved {
        moved = false;
        for from in [0, 1] {
            datagram.clear();
            while pair.ends[from].poll_transmit(now, &mut datagram).is_some() {
                moved = true;
                pair.bytes[from] += datagram.len();
                pair.datagrams[from] += 1;
                pair.ends[1 - from].handle_datagram(now, &datagram);
                datagram.clear();
            }
        }
    }
    assert!(pair.ends.iter().all(|end| end.state() == State::Connected));
    pair
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn handshakes(certificates: &[Certificate; 2]) {
    println!("handshake, both ends, ECDSA P-256, x25519, mutual certificates");
    for (name, versions) in [
        ("DTLS 1.2", Versions::Dtls12),
        ("DTLS 1.3", Versions::Dtls13),
        ("automatic", Versions::Auto),
    ] {
        let now = Instant::now();
        let mut times = Vec::new();
        let mut last = None;
        for _ in 0..101 {
            let start = Instant::now();
            last = Some(connect(certificates, versions, now));
            times.push(start.elapsed());
        }
        let pair = last.unwrap();
        println!(
            "  {name}: {:?}; client {} bytes in {} datagrams, server {} in {}",
            median(times),
            pair.bytes[0],
            pair.datagrams[0],
            pair.bytes[1],
            pair.datagrams[1]
        );
    }
    let mut times = Vec::new();
    for seed in 0..51 {
        let start = Instant::now();
        black_box(certificate(seed));
        times.push(start.elapsed());
    }
    println!("  a certificate: {:?}", median(times));
}

fn certificate(seed: u64) -> Certificate {
    let mut rng = StdRng::seed_from_u64(seed);
    Certificate::generate(&CertificateParams::default(), SystemTime::now(), &mut rng).unwrap()
}

const LEN: usize = 1200;
const BATCH: usize = 512;
const ROUNDS: usize = 41;

fn records(certificates: &[Certificate; 2]) {
    println!("record of {LEN} bytes, one thread");
    let bare = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[1; 16]).unwrap());
    let mut counter = 0u64;
    let mut buffers: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(2048)).collect();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        buffers.iter_mut().for_each(|buf| buf.resize(LEN, 7));
        let start = Instant::now();
        for buf in &mut buffers {
            counter += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_be_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = bare
                .seal_in_place_separate_tag(nonce, Aad::from([0; 13]), black_box(buf))
                .unwrap();
            let _ = black_box(tag);
        }
        times.push(start.elapsed() / BATCH as u32);
    }
    println!("  bare AES-128-GCM: {:?}", median(times));
    for (version, versions) in [
        (Version::Dtls12, Versions::Dtls12),
        (Version::Dtls13, Versions::Dtls13),
    ] {
        let now = Instant::now();
        let mut pair = connect(certificates, versions, now);
        let (mut seal, mut open) = (Vec::new(), Vec::new());
        let (mut seal_allocations, mut open_allocations) = (0, 0);
        let mut plain = BytesMut::with_capacity(1 << 20);
        for _ in 0..ROUNDS {
            buffers.iter_mut().for_each(|buf| {
                buf.clear();
                buf.resize(LEN, 7);
            });
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let start = Instant::now();
            for buf in &mut buffers {
                pair.ends[0].seal(now, black_box(buf), 0).unwrap();
            }
            seal.push(start.elapsed() / BATCH as u32);
            seal_allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            let start = Instant::now();
            for buf in &buffers {
                plain.clear();
                pair.ends[1].handle_datagram(now, black_box(buf));
                assert_eq!(pair.ends[1].poll_data(&mut plain), Some(LEN));
            }
            open.push(start.elapsed() / BATCH as u32);
            open_allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        }
        let per_record = |count: u64| count as f64 / BATCH as f64;
        println!(
            "  {version:?}: seal {:?} ({:.2} allocations), open {:?} ({:.2} allocations)",
            median(seal),
            per_record(seal_allocations),
            median(open),
            per_record(open_allocations)
        );
    }
}

fn main() {
    let certificates = [certificate(1), certificate(2)];
    handshakes(&certificates);
    records(&certificates);
}
