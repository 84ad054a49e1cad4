//! What the machine itself can do: the floor under every stack.

use crate::measure::{Cost, micros, percentile, start, wait_readable};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// Bytes in a datagram.
const SIZE: usize = 1200;

fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket")
}

fn per(cost: Cost, count: usize) -> f64 {
    micros(cost.cpu) / count as f64
}

/// CPU µs of a datagram sent and received by one system call each.
pub(crate) fn one_by_one() -> f64 {
    let (a, b) = (socket(), socket());
    let to = b.local_addr().expect("an address");
    let mut memory = [0; 2048];
    let rounds = 200_000;
    let stop = start();
    for _ in 0..rounds {
        a.send_to(&memory[..SIZE], to).expect("sent");
        b.recv_from(&mut memory).expect("read");
    }
    per(stop(), rounds)
}

/// CPU µs of a datagram sent by GSO and read by GRO, and whether the kernel does it.
pub(crate) fn joined() -> Option<f64> {
    let (a, b) = (socket(), socket());
    let sender = UdpSocketState::new(UdpSockRef::from(&a)).ok()?;
    let receiver = UdpSocketState::new(UdpSockRef::from(&b)).ok()?;
    let segments = sender.max_gso_segments().min(50);
    if segments < 2 {
        return None;
    }
    let contents = vec![1; SIZE * segments];
    let mut memory = vec![0; 1 << 16];
    let transmit = Transmit {
        destination: b.local_addr().ok()?,
        ecn: None,
        contents: &contents,
        segment_size: Some(SIZE),
        src_ip: None,
    };
    let rounds = 40_000;
    let mut count = 0;
    let stop = start();
    for _ in 0..rounds {
        sender.try_send(UdpSockRef::from(&a), &transmit).ok()?;
        let mut came = 0;
        while came < contents.len() {
            let mut meta = [RecvMeta::default()];
            let mut slices = [IoSliceMut::new(&mut memory)];
            match receiver.recv(UdpSockRef::from(&b), &mut slices, &mut meta) {
                Ok(_) => came += meta[0].len,
                Err(_) => wait_readable([&b], Duration::from_millis(100)),
            }
        }
        count += segments;
    }
    Some(per(stop(), count))
}

/// CPU µs of AES-128-GCM over one datagram, in place.
pub(crate) fn seal() -> f64 {
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("a key"));
    let mut memory = vec![0; SIZE];
    let rounds = 500_000;
    let stop = start();
    for round in 0..rounds {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&u64::to_be_bytes(round as u64));
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut memory,
            )
            .expect("sealed");
        let _ = std::hint::black_box(tag);
    }
    per(stop(), rounds)
}

/// Round trips between two threads with blocking sockets; median and 99th percentile in µs.
pub(crate) fn ping_pong(rounds: usize) -> (f64, f64) {
    let (a, b) = (socket(), socket());
    a.connect(b.local_addr().expect("an address"))
        .expect("connected");
    b.connect(a.local_addr().expect("an address"))
        .expect("connected");
    let echo = std::thread::spawn(move || {
        let mut memory = [0; 2048];
        for _ in 0..rounds {
            let Ok(size) = b.recv(&mut memory) else {
                return;
            };
            if b.send(&memory[..size]).is_err() {
                return;
            }
        }
    });
    let mut memory = [0; 2048];
    let mut samples = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let sent = Instant::now();
        a.send(&memory[..64]).expect("sent");
        a.recv(&mut memory).expect("read");
        samples.push(sent.elapsed());
    }
    echo.join().expect("the echo ends");
    (
        micros(percentile(&mut samples, 0.5)),
        micros(percentile(&mut samples, 0.99)),
    )
}
