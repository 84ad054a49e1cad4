//! Nanoseconds and allocations of the hot paths, beside `rtp` and `rtcp` 0.17.2.
#![allow(
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark reads the clock"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use pc_rtp::packet::{Header, Writer};
use pc_rtp::payload::PayloadFormat;
use pc_rtp::rtcp::{self, ReportBlock, SenderInfo};
use pc_rtp::{Packet, SeqNum, Ssrc, receive, send};
use rand::SeedableRng;
use rand::rngs::StdRng;
use webrtc_util::marshal::Unmarshal;

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

/// Prints how often one run allocates, averaged over many after a warm-up.
fn allocations(name: &str, mut run: impl FnMut()) {
    const RUNS: u64 = 4_000;
    for _ in 0..RUNS {
        run();
    }
    let before = measure::allocations();
    for _ in 0..RUNS {
        run();
    }
    let count = measure::allocations() - before;
    println!("{name}: {} allocations", count as f64 / RUNS as f64);
}

fn packet() -> Bytes {
    let mut buf = Vec::new();
    let header = Header {
        payload_type: 96,
        sequence_number: SeqNum(7),
        timestamp: 90_000,
        ssrc: Ssrc(1),
        marker: false,
    };
    let mut writer = Writer::new(&mut buf, header, &[]);
    writer.extension(3, &[0, 1]);
    writer.extension(2, &[0, 1, 2]);
    writer.payload(&[0x55; 1100]);
    writer.finish();
    Bytes::from(buf)
}

/// What a receiver of audio and video sends now and then: SR, SDES, NACK, PLI and transport-wide feedback on 20 packets.
fn compound() -> Bytes {
    let mut buf = Vec::new();
    let mut writer = rtcp::Writer::new(&mut buf);
    writer.sender_report(&SenderInfo::default(), &[ReportBlock::default()]);
    writer.cname(Ssrc(1), "0123456789abcdef");
    writer.nack(Ssrc(1), Ssrc(2), [SeqNum(1), SeqNum(5), SeqNum(40)]);
    writer.pli(Ssrc(1), Ssrc(2));
    let arrivals: Vec<_> = (0..20).map(|index| Some(index * 5)).collect();
    writer.transport_feedback(Ssrc(1), Ssrc(2), 0, SeqNum(9), &arrivals);
    Bytes::from(buf)
}

/// Reads every field an endpoint uses.
fn read_compound(data: &[u8]) -> u64 {
    let mut sum = 0;
    for packet in rtcp::packets(data).flatten() {
        sum += match packet {
            rtcp::Packet::SenderReport(report) => report
                .reports()
                .map(|block| u64::from(block.jitter))
                .sum::<u64>(),
            rtcp::Packet::Sdes(sdes) => sdes.cname(Ssrc(1)).map_or(0, |name| name.len() as u64),
            rtcp::Packet::Nack(nack) => nack.lost().map(|seq| u64::from(seq.0)).sum(),
            rtcp::Packet::Pli(pli) => u64::from(pli.media.0),
            rtcp::Packet::TransportFeedback(feedback) => feedback
                .arrivals()
                .filter_map(|(_, arrival)| arrival)
                .sum::<i64>() as u64,
            _ => 0,
        };
    }
    sum
}

fn parsing(c: &mut Criterion) {
    let data = packet();
    let mut group = c.benchmark_group("RTP parse");
    let ours = || {
        let packet = Packet::parse(black_box(&data)).unwrap();
        black_box((
            packet.ssrc(),
            packet.sequence_number(),
            packet.payload().len(),
        ));
    };
    let extension = || {
        let packet = Packet::parse(black_box(&data)).unwrap();
        black_box((packet.extension(2), packet.payload().len()));
    };
    let theirs = || {
        let packet = rtp017::packet::Packet::unmarshal(&mut black_box(&data).clone()).unwrap();
        black_box(packet);
    };
    group.bench_function("pc-rtp", |b| b.iter(ours));
    group.bench_function("pc-rtp with an extension", |b| b.iter(extension));
    group.bench_function("rtp 0.17.2", |b| b.iter(theirs));
    group.finish();
    allocations("RTP parse/pc-rtp", ours);
    allocations("RTP parse/rtp 0.17.2", theirs);

    let data = compound();
    let mut group = c.benchmark_group("RTCP compound of 5, parse");
    let ours = || {
        black_box(read_compound(black_box(&data)));
    };
    let theirs = || {
        black_box(rtcp017::packet::unmarshal(&mut black_box(&data).clone()).unwrap());
    };
    group.bench_function("pc-rtp, every field read", |b| b.iter(ours));
    group.bench_function("rtcp 0.17.2", |b| b.iter(theirs));
    group.finish();
    allocations("RTCP compound/pc-rtp", ours);
    allocations("RTCP compound/rtcp 0.17.2", theirs);
}

fn writing(c: &mut Criterion) {
    let mut buf = Vec::with_capacity(2000);
    let payload = [0x55; 1100];
    let mut write = || {
        buf.clear();
        let mut writer = Writer::new(black_box(&mut buf), Header::default(), &[]);
        writer.extension(3, &[0, 1]);
        writer.extension(2, &[0, 1, 2]);
        writer.payload(&payload);
        black_box(writer.finish());
    };
    c.bench_function("RTP write", |b| b.iter(&mut write));
    allocations("RTP write", write);
}

/// A video stream of frames of ten packets, sent, kept for retransmission, received and put together; nothing is lost.
struct Call {
    now: Instant,
    sender: send::Stream,
    receiver: receive::Stream,
    frame: Bytes,
    timestamp: u32,
    packets: Vec<Bytes>,
    /// Datagrams are read into one block after another, as a driver does.
    pool: BytesMut,
}

impl Call {
    fn new() -> Self {
        let now = Instant::now();
        let mut config = send::Config::new(Ssrc(1), 96, PayloadFormat::Vp8);
        config.rtx = Some((Ssrc(2), 97));
        config.transport_cc = Some(3);
        config.abs_send_time = Some(2);
        config.mid = Some((1, "0".into()));
        let kind = receive::PayloadType {
            number: 96,
            format: PayloadFormat::Vp8,
            rtx: Some(97),
        };
        let config_in = receive::Config::new(Ssrc(1), Ssrc(9), vec![kind]);
        Self {
            now,
            sender: send::Stream::new(config, StdRng::seed_from_u64(1)),
            receiver: receive::Stream::new(config_in, now),
            frame: Bytes::from(vec![0; 11_000]),
            timestamp: 0,
            packets: Vec::new(),
            pool: BytesMut::new(),
        }
    }

    /// Sends one frame of ten packets.
    fn send(&mut self, buf: &mut Vec<u8>) -> usize {
        self.now += Duration::from_millis(33);
        self.timestamp = self.timestamp.wrapping_add(2970);
        let frame = send::OutgoingFrame {
            data: self.frame.clone(),
            timestamp: self.timestamp,
            keyframe: true,
            ..Default::default()
        };
        self.sender.write_frame(self.now, &frame);
        let mut count = 0;
        loop {
            buf.clear();
            if self.sender.poll_transmit(self.now, buf).is_none() {
                return count;
            }
            count += 1;
        }
    }

    fn prepare(&mut self) {
        let mut buf = Vec::new();
        self.packets.clear();
        self.now += Duration::from_millis(33);
        self.timestamp = self.timestamp.wrapping_add(2970);
        let frame = send::OutgoingFrame {
            data: self.frame.clone(),
            timestamp: self.timestamp,
            keyframe: true,
            ..Default::default()
        };
        self.sender.write_frame(self.now, &frame);
        while self.sender.poll_transmit(self.now, &mut buf).is_some() {
            self.pool.reserve(64 * 1024);
            self.pool.extend_from_slice(&buf);
            self.packets.push(self.pool.split().freeze());
            buf.clear();
        }
    }

    fn receive(&mut self) {
        for packet in self.packets.drain(..) {
            self.receiver.handle_packet(self.now, packet);
        }
        while let Some(frame) = self.receiver.poll_frame(self.now + Duration::from_secs(2)) {
            black_box(frame);
        }
    }
}

fn streams(c: &mut Criterion) {
    let mut call = Call::new();
    let mut buf = Vec::with_capacity(2000);
    assert_eq!(call.send(&mut buf), 10);
    c.bench_function("send a frame of 10 packets", |b| {
        b.iter(|| call.send(&mut buf));
    });
    allocations("send a frame of 10 packets", || {
        call.send(&mut buf);
    });
    let mut call = Call::new();
    c.bench_function("receive a frame of 10 packets", |b| {
        b.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                call.prepare();
                let start = Instant::now();
                call.receive();
                total += start.elapsed();
            }
            total
        });
    });
    let mut total = 0;
    for _ in 0..1000 {
        call.prepare();
        let before = measure::allocations();
        call.receive();
        total += measure::allocations() - before;
    }
    println!(
        "receive a frame of 10 packets: {} allocations",
        total as f64 / 1000.0
    );
}

criterion_group!(benches, parsing, writing, streams);
criterion_main!(benches);
