//! What a handshake costs in time and bytes, and a record of 1,200 bytes in time and allocations.
//!
//! `cargo bench -p pc-dtls`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use measure::{median, thread_cpu_time};
use pc_dtls::{
    Certificate, CertificateParams, Config, Endpoint, Event, HashAlgorithm, Role, State, Versions,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

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

fn handshakes(certificates: &[Certificate; 2]) {
    println!("handshake, both ends, ECDSA P-256, x25519, mutual certificates");
    for (name, versions) in [
        ("DTLS 1.2", Versions::Dtls12),
        ("DTLS 1.3", Versions::Dtls13),
        ("automatic", Versions::Auto),
    ] {
        const HANDSHAKES: u32 = 101;
        let now = Instant::now();
        let mut times = Vec::new();
        let mut last = None;
        let before = thread_cpu_time();
        for _ in 0..HANDSHAKES {
            let start = Instant::now();
            last = Some(connect(certificates, versions, now));
            times.push(start.elapsed());
        }
        let cpu = before
            .zip(thread_cpu_time())
            .map(|(before, after)| (after - before) / HANDSHAKES);
        if let Some(cpu) = cpu {
            println!("  {name}: {cpu:?} of CPU on average");
        }
        let pair = last.unwrap();
        println!(
            "  {name}: {:?} by the clock; client {} bytes in {} datagrams, server {} in {}",
            median(&times),
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
    println!("  a certificate: {:?}", median(&times));
}

fn certificate(seed: u64) -> Certificate {
    let mut rng = StdRng::seed_from_u64(seed);
    Certificate::generate(&CertificateParams::default(), SystemTime::now(), &mut rng).unwrap()
}

const LEN: usize = 1200;
const BATCH: usize = 512;
const ROUNDS: usize = 201;

/// What a record costs: the time of the median round, and allocations over all of the rounds but the first.
struct Cost {
    times: Vec<Duration>,
    allocations: u64,
}

impl Cost {
    fn new() -> Self {
        Self {
            times: Vec::new(),
            allocations: 0,
        }
    }

    fn measure(&mut self, round: impl FnOnce()) {
        let before = measure::allocations();
        let start = Instant::now();
        round();
        let took = start.elapsed();
        if !self.times.is_empty() {
            self.allocations += measure::allocations() - before;
        }
        self.times.push(took);
    }

    fn nanoseconds(&self) -> f64 {
        median(&self.times).as_nanos() as f64 / BATCH as f64
    }

    fn per_record(&self) -> f64 {
        self.allocations as f64 / (BATCH * (ROUNDS - 1)) as f64
    }
}

/// The AEAD alone, on buffers like those of the endpoints.
struct Bare {
    key: LessSafeKey,
    counter: u64,
}

impl Bare {
    fn nonce(number: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, buffers: &mut [Vec<u8>]) {
        for (number, buf) in (self.counter..).zip(buffers) {
            let tag = self
                .key
                .seal_in_place_separate_tag(
                    Self::nonce(number),
                    Aad::from([0; 13]),
                    black_box(&mut buf[..]),
                )
                .unwrap();
            buf.extend_from_slice(tag.as_ref());
        }
    }

    fn open(&mut self, buffers: &mut [Vec<u8>]) {
        for (number, buf) in (self.counter..).zip(buffers) {
            let plain = self
                .key
                .open_in_place(Self::nonce(number), Aad::from([0; 13]), black_box(buf))
                .unwrap();
            black_box(plain);
        }
        self.counter += BATCH as u64;
    }
}

fn records(certificates: &[Certificate; 2]) {
    println!("record of {LEN} bytes, one thread, AES-128-GCM or what the versions agree on");
    let now = Instant::now();
    let mut pairs =
        [Versions::Dtls12, Versions::Dtls13].map(|versions| connect(certificates, versions, now));
    let suite = |pair: &mut Pair| {
        std::iter::from_fn(|| pair.ends[0].poll_event())
            .find_map(|event| match event {
                Event::Connected { cipher, .. } => Some(cipher),
                _ => None,
            })
            .unwrap()
    };
    let suites = pairs.each_mut().map(suite);
    let mut bare = suites.map(|suite| {
        let (algorithm, len) = match suite.0 {
            0x1302 | 0xc02c => (&AES_256_GCM, 32),
            _ => (&AES_128_GCM, 16),
        };
        Bare {
            key: LessSafeKey::new(UnboundKey::new(algorithm, &[1; 32][..len]).unwrap()),
            counter: 0,
        }
    });
    let mut buffers: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(2048)).collect();
    let fill = |buffers: &mut [Vec<u8>]| {
        for buf in buffers {
            buf.clear();
            buf.resize(LEN, 7);
        }
    };
    let mut costs: [[Cost; 4]; 2] = std::array::from_fn(|_| std::array::from_fn(|_| Cost::new()));
    for _ in 0..ROUNDS {
        for ((pair, bare), [bare_seal, seal, bare_open, open]) in
            pairs.iter_mut().zip(&mut bare).zip(&mut costs)
        {
            fill(&mut buffers);
            bare_seal.measure(|| bare.seal(&mut buffers));
            bare_open.measure(|| bare.open(&mut buffers));
            fill(&mut buffers);
            seal.measure(|| {
                for buf in &mut buffers {
                    pair.ends[0].seal(now, black_box(buf), 0).unwrap();
                }
            });
            open.measure(|| {
                for buf in &buffers {
                    pair.ends[1].handle_datagram(now, black_box(buf));
                    let plain = black_box(pair.ends[1].poll_data());
                    assert_eq!(plain.map(|plain| plain.len()), Some(LEN));
                }
            });
        }
    }
    for (suite, [bare_seal, seal, bare_open, open]) in suites.iter().zip(&costs) {
        for (name, own, bare) in [("seal", seal, bare_seal), ("open", open, bare_open)] {
            let (own_time, bare_time) = (own.nanoseconds(), bare.nanoseconds());
            println!(
                "  {suite} {name}: {own_time:.0} ns, {:.2} times the {bare_time:.0} ns of the AEAD alone, {} allocations",
                own_time / bare_time,
                own.per_record()
            );
        }
    }
}

fn main() {
    let certificates = [certificate(1), certificate(2)];
    handshakes(&certificates);
    records(&certificates);
}
