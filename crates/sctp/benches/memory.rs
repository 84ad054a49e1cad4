//! Both ends in one thread, packets in memory, no cryptography: nanoseconds and allocations a packet with data, for
//! this crate and for others. `cargo bench -p pc-sctp [-- FILTER]`; dcsctp formats every packet as hexadecimal for a log
//! nobody reads, 25 times of what it costs otherwise, which `cargo xtask bench sctp` takes out.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../tests/peers/mod.rs"]
mod peers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::peers::{DcSctp, Ours, Peer, RtcSctp, SctpProto};

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

/// Receive buffers as a driver has them: filled by the kernel (here a copy), split, used again once free.
struct Pool {
    buffers: VecDeque<BytesMut>,
}

impl Pool {
    const SIZE: usize = 64 * 1024;

    fn new() -> Self {
        Self {
            buffers: (0..64)
                .map(|_| BytesMut::with_capacity(Self::SIZE))
                .collect(),
        }
    }

    fn packet(&mut self, bytes: &[u8]) -> Bytes {
        loop {
            let Some(buffer) = self.buffers.front_mut() else {
                self.buffers.push_back(BytesMut::with_capacity(Self::SIZE));
                continue;
            };
            if buffer.capacity() >= bytes.len() {
                buffer.extend_from_slice(bytes);
                return buffer.split().freeze();
            }
            let Some(mut used) = self.buffers.pop_front() else {
                continue;
            };
            // The next one is empty, or can be.
            let _ = used.try_reclaim(Self::SIZE);
            self.buffers.push_back(used);
            if let Some(next) = self.buffers.front_mut()
                && next.capacity() < 2048
                && !next.try_reclaim(Self::SIZE)
            {
                self.buffers.push_front(BytesMut::with_capacity(Self::SIZE));
            }
        }
    }
}

struct Figures {
    nanos: f64,
    allocations: f64,
    megabytes: f64,
}

/// Moves `total` bytes from `a` to `b`.
fn run(
    a: &mut dyn Peer,
    b: &mut dyn Peer,
    start: Instant,
    size: usize,
    total: usize,
    loss: f64,
) -> Option<Figures> {
    let mut now = start;
    let mut pool = Pool::new();
    let mut rng = StdRng::seed_from_u64(7);
    let mut to_b: VecDeque<Bytes> = VecDeque::with_capacity(1 << 16);
    let mut to_a: VecDeque<Bytes> = VecDeque::with_capacity(1 << 16);
    let message = Bytes::from(vec![0x5a; size]);
    // A shared handle from the start: an application's buffer, not counted.
    let message = message.clone();
    a.connect(now);
    let (mut sent, mut received, mut packets) = (0usize, 0usize, 0u64);
    let warm = total / 4;
    let mut mark = None;
    // The clock where the system does not tell.
    let on_cpu = || measure::thread_cpu_time().unwrap_or_else(|| start.elapsed());
    let limit = Instant::now() + Duration::from_secs(30);
    while received < total {
        if mark.is_none() && received >= warm {
            mark = Some((on_cpu(), measure::allocations(), packets, received));
        }
        let mut worked = false;
        if a.established() {
            while sent < total && a.send(now, 0, false, sctp::Reliability::Reliable, &message) {
                sent += size;
            }
        }
        a.transmit(now, 64, &mut |packet| {
            worked = true;
            if packet.len() > 100 {
                packets += 1;
            }
            if loss == 0.0 || packet.len() < 100 || !rng.random_bool(loss) {
                to_b.push_back(pool.packet(packet));
            }
        });
        while let Some(packet) = to_b.pop_front() {
            b.handle_packet(now, packet);
        }
        while let Some((_, data)) = b.receive(now) {
            received += data.len();
        }
        b.transmit(now, 64, &mut |packet| {
            worked = true;
            to_a.push_back(pool.packet(packet));
        });
        while let Some(packet) = to_a.pop_front() {
            a.handle_packet(now, packet);
        }
        now += Duration::from_micros(20);
        if !worked {
            let next = [a.poll_timeout(), b.poll_timeout()]
                .into_iter()
                .flatten()
                .min()?;
            now = now.max(next);
        }
        if a.poll_timeout().is_some_and(|at| at <= now) {
            a.handle_timeout(now);
        }
        if b.poll_timeout().is_some_and(|at| at <= now) {
            b.handle_timeout(now);
        }
        if Instant::now() > limit {
            break;
        }
    }
    let (began, allocations, before, bytes) = mark?;
    let took = on_cpu() - began;
    let count = (packets - before) as f64;
    Some(Figures {
        nanos: took.as_nanos() as f64 / count,
        allocations: (measure::allocations() - allocations) as f64 / count,
        megabytes: (received - bytes) as f64 / took.as_secs_f64() / 1e6,
    })
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let start = Instant::now();
    let ours = |interleaving, zero_checksum| {
        let config = sctp::Config {
            interleaving,
            zero_checksum,
            ..sctp::Config::default()
        };
        move |seed| -> Box<dyn Peer> { Box::new(Ours::new(seed, config.clone())) }
    };
    type Make = Box<dyn Fn(u64) -> Box<dyn Peer>>;
    let peers: Vec<(&str, Make)> = vec![
        ("pc-sctp", Box::new(ours(false, false))),
        ("pc-sctp, zero checksum", Box::new(ours(false, true))),
        ("pc-sctp, I-DATA, zero checksum", Box::new(ours(true, true))),
        ("rtc-sctp 0.21", Box::new(|_| Box::new(RtcSctp::new()))),
        (
            "dcsctp 0.1, zero checksum",
            Box::new(move |_| Box::new(DcSctp::new(start, 1191))),
        ),
        ("sctp-proto 0.10", Box::new(|_| Box::new(SctpProto::new()))),
    ];
    println!(
        "{:32} {:>8} {:>6} {:>10} {:>12} {:>8} {:>7}",
        "", "message", "loss", "ns/packet", "allocs/pkt", "MB/s", "ratio"
    );
    for (size, loss) in [
        (16 * 1024, 0.0),
        (16 * 1024, 0.01),
        (1150, 0.0),
        (100, 0.0),
        (65536, 0.0),
    ] {
        let mut first = None;
        for (name, make) in &peers {
            if filter
                .as_ref()
                .is_some_and(|filter| !name.contains(filter.as_str()))
            {
                continue;
            }
            let total = if name.starts_with("pc-") {
                400_000_000
            } else {
                60_000_000
            };
            let total = if size < 1000 { total / 8 } else { total };
            let (mut a, mut b) = (make(1), make(2));
            let Some(figures) = run(&mut *a, &mut *b, start, size, total, loss) else {
                println!("{name:32} {size:>8} {loss:>6} failed");
                continue;
            };
            let first = *first.get_or_insert(figures.nanos);
            println!(
                "{name:32} {size:>8} {loss:>6} {:>10.0} {:>12.3} {:>8.0} {:>7.1}",
                figures.nanos,
                figures.allocations,
                figures.megabytes,
                figures.nanos / first
            );
        }
    }
}
