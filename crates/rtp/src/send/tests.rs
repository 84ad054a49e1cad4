use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;

use super::*;
use crate::ext;
use crate::packet::Packet;
use crate::payload::PayloadFormat;
use crate::rtcp::{FirEntry, ReportBlock};

#[allow(
    clippy::disallowed_methods,
    reason = "one base for the simulated clock"
)]
fn start() -> Instant {
    Instant::now()
}

fn video() -> Config {
    let mut config = Config::new(Ssrc(10), 96, PayloadFormat::Vp8);
    config.rtx = Some((Ssrc(11), 97));
    config.mid = Some((1, "0".into()));
    config.transport_cc = Some(3);
    config.abs_send_time = Some(2);
    config
}

fn stream(config: Config) -> Stream {
    Stream::new(config, StdRng::seed_from_u64(7))
}

fn frame(len: usize, timestamp: u32) -> OutgoingFrame {
    OutgoingFrame {
        data: Bytes::from(vec![0; len]),
        timestamp,
        keyframe: true,
        ..OutgoingFrame::default()
    }
}

fn drain(stream: &mut Stream, now: Instant) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| {
        let mut buf = Vec::new();
        let len = stream.poll_transmit(now, &mut buf)?;
        assert_eq!(len, buf.len());
        Some(buf)
    })
    .collect()
}

fn rtcp(stream: &mut Stream, now: Instant, write: impl FnOnce(&mut rtcp::Writer<'_>)) {
    let mut buf = Vec::new();
    write(&mut rtcp::Writer::new(&mut buf));
    for packet in rtcp::packets(&buf) {
        stream.handle_rtcp(now, &packet.unwrap());
    }
}

#[test]
fn a_frame_leaves_as_numbered_packets_under_the_limit() {
    let now = start();
    let mut stream = stream(video());
    stream.write_frame(now, &frame(5000, 90_000));
    let packets = drain(&mut stream, now);
    assert_eq!(packets.len(), 5);
    let parsed: Vec<_> = packets
        .iter()
        .map(|bytes| Packet::parse(bytes).unwrap())
        .collect();
    for pair in parsed.windows(2) {
        assert_eq!(pair[1].sequence_number(), pair[0].sequence_number().next());
        assert_eq!(pair[1].timestamp(), pair[0].timestamp());
    }
    assert!(packets.iter().all(|bytes| bytes.len() <= 1200));
    let markers: Vec<_> = parsed.iter().map(Packet::marker).collect();
    assert_eq!(markers, [false, false, false, false, true]);
    assert_eq!(parsed[0].extension(1), Some(&b"0"[..]));
    assert_eq!(
        parsed[0].timestamp(),
        90_000u32.wrapping_add(stream.timestamp_offset())
    );
    assert_eq!(stream.stats().packets_sent, 5);
    assert_eq!(stream.stats().key_frames_sent, 1);
}

#[test]
fn a_lost_packet_is_repeated_on_the_retransmission_stream_once_a_round_trip() {
    let now = start();
    let mut stream = stream(video());
    stream.write_frame(now, &frame(3000, 0));
    let packets = drain(&mut stream, now);
    let lost = Packet::parse(&packets[1]).unwrap();
    let seq = lost.sequence_number();
    let nack = |writer: &mut rtcp::Writer<'_>| writer.nack(Ssrc(1), Ssrc(10), [seq]);
    rtcp(&mut stream, now, nack);
    assert!(stream.pending().unwrap().retransmission);
    let repeated = drain(&mut stream, now);
    assert_eq!(repeated.len(), 1);
    let packet = Packet::parse(&repeated[0]).unwrap();
    assert_eq!((packet.ssrc(), packet.payload_type()), (Ssrc(11), 97));
    assert_eq!(packet.timestamp(), lost.timestamp());
    assert_eq!(&packet.payload()[..2], seq.0.to_be_bytes());
    assert_eq!(&packet.payload()[2..], lost.payload());
    // Asked for again too soon, then late enough; at last too late.
    rtcp(&mut stream, now + Duration::from_millis(1), nack);
    assert!(drain(&mut stream, now).is_empty());
    rtcp(&mut stream, now + Duration::from_millis(100), nack);
    assert_eq!(drain(&mut stream, now).len(), 1);
    rtcp(&mut stream, now + Duration::from_secs(5), nack);
    assert!(drain(&mut stream, now).is_empty());
    let stats = stream.stats();
    assert_eq!(
        (
            stats.nack_count,
            stats.nack_misses,
            stats.retransmitted_packets_sent
        ),
        (4, 2, 2)
    );
}

#[test]
fn without_a_retransmission_stream_the_packet_itself_is_repeated() {
    let now = start();
    let mut config = video();
    config.rtx = None;
    let mut stream = stream(config);
    stream.write_frame(now, &frame(100, 0));
    let sent = drain(&mut stream, now);
    let original = Packet::parse(&sent[0]).unwrap();
    rtcp(&mut stream, now, |writer| {
        writer.nack(Ssrc(1), Ssrc(10), [original.sequence_number()]);
    });
    let repeated = drain(&mut stream, now);
    let packet = Packet::parse(&repeated[0]).unwrap();
    assert_eq!(packet.ssrc(), original.ssrc());
    assert_eq!(packet.sequence_number(), original.sequence_number());
    assert_eq!(packet.payload(), original.payload());
}

#[test]
fn a_report_on_a_sender_report_measures_the_round_trip() {
    let now = start();
    let mut stream = stream(video());
    assert_eq!(stream.sender_report(now, NtpTime(1)), None);
    stream.write_frame(now, &frame(100, 0));
    let sent = drain(&mut stream, now);
    let first = Packet::parse(&sent[0]).unwrap();
    let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    let later = now + Duration::from_secs(1);
    let info = stream.sender_report(later, ntp).unwrap();
    assert_eq!(info.rtp_timestamp, first.timestamp().wrapping_add(90_000));
    assert_eq!((info.packet_count, info.octet_count), (1, 104));
    let block = ReportBlock {
        ssrc: Ssrc(10),
        fraction_lost: 64,
        cumulative_lost: 3,
        highest_sequence: u32::from(first.sequence_number().0) + 9,
        jitter: 900,
        last_sr: ntp.middle(),
        // 100 ms.
        delay_since_last_sr: 6554,
    };
    rtcp(&mut stream, later + Duration::from_millis(150), |writer| {
        writer.receiver_report(Ssrc(1), &[block]);
    });
    let stats = stream.stats();
    let rtt = stats.round_trip_time.unwrap();
    assert!(
        rtt.abs_diff(Duration::from_millis(50)) < Duration::from_micros(20),
        "{rtt:?}"
    );
    let remote = stats.remote.unwrap();
    assert_eq!((remote.packets_lost, remote.packets_received), (3, 7));
    assert_eq!(remote.fraction_lost, 0.25);
    assert_eq!(remote.jitter, Duration::from_millis(10));
    assert_eq!(stream.poll_event(), Some(Event::Reported));
    assert_eq!(stream.poll_event(), None);
}

#[test]
fn the_receiver_asks_for_keyframes_and_sets_limits() {
    let now = start();
    let mut stream = stream(video());
    let entry = FirEntry {
        ssrc: Ssrc(10),
        sequence: 5,
    };
    rtcp(&mut stream, now, |writer| {
        writer.pli(Ssrc(1), Ssrc(10));
        writer.fir(Ssrc(1), &[entry]);
        writer.remb(Ssrc(1), 500_000, &[Ssrc(10)]);
    });
    assert_eq!(stream.poll_event(), Some(Event::KeyframeRequested));
    assert!(matches!(stream.poll_event(), Some(Event::BitrateLimit(limit)) if limit > 499_000));
    assert_eq!(stream.poll_event(), None);
    // The same FIR again is no new command; another stream's PLI is not ours.
    rtcp(&mut stream, now, |writer| {
        writer.fir(Ssrc(1), &[entry]);
        writer.pli(Ssrc(1), Ssrc(99));
    });
    assert_eq!(stream.poll_event(), None);
}

#[test]
fn a_full_queue_drops_whole_frames() {
    let now = start();
    let mut config = video();
    config.max_queue = 4;
    let mut stream = stream(config);
    stream.write_frame(now, &frame(2000, 0));
    stream.write_frame(now, &frame(5000, 1));
    assert_eq!(stream.stats().frames_dropped, 1);
    assert_eq!(drain(&mut stream, now).len(), 2);
}

#[test]
fn forwarded_packets_keep_the_gaps_of_their_numbers() {
    let now = start();
    let mut stream = stream(video());
    for seq in [100, 101, 103, 102] {
        stream.write_packet(
            now,
            OutgoingPacket {
                payload: Bytes::from_static(b"x"),
                sequence_number: Some(SeqNum(seq)),
                ..OutgoingPacket::default()
            },
        );
    }
    let packets = drain(&mut stream, now);
    let numbers: Vec<_> = packets
        .iter()
        .map(|bytes| Packet::parse(bytes).unwrap().sequence_number())
        .collect();
    let first = numbers[0];
    let distances: Vec<_> = numbers.iter().map(|seq| seq.distance_from(first)).collect();
    assert_eq!(distances, [0, 1, 3, 2]);
}

#[test]
fn a_stamper_fills_in_what_the_transport_shares() {
    let now = start();
    let mut stream = stream(video());
    let mut stamper = Stamper::new(Some(3), Some(2));
    stream.write_frame(now, &frame(2000, 0));
    for (index, mut packet) in drain(&mut stream, now).into_iter().enumerate() {
        let moment = now + Duration::from_millis(500 * index as u64);
        let seq = stamper.stamp(moment, &mut packet).unwrap();
        assert_eq!(seq, SeqNum(index as u16));
        let packet = Packet::parse(&packet).unwrap();
        let sequence = ext::TransportSequence::parse(packet.extension(3).unwrap()).unwrap();
        assert_eq!(sequence.0, seq);
        let time = ext::AbsSendTime::parse(packet.extension(2).unwrap()).unwrap();
        assert_eq!(time.0, index as u32 * (1 << 17));
    }
    let mut plain = Vec::new();
    Writer::new(&mut plain, Header::default(), &[]).finish();
    assert_eq!(stamper.stamp(now, &mut plain), None);
}

#[test]
fn another_payload_type_goes_on_with_numbers_times_and_counters() {
    let now = start();
    let mut stream = stream(video());
    stream.write_frame(now, &frame(100, 0));
    let before = drain(&mut stream, now).remove(0);
    let mut config = video();
    config.payload_type = 100;
    config.codec = PayloadFormat::H264;
    stream.set_config(config, StdRng::seed_from_u64(8));
    let mut next = frame(100, 3_000);
    next.data = Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 2, 3]);
    stream.write_frame(now, &next);
    let after = drain(&mut stream, now).remove(0);
    let (before, after) = (
        Packet::parse(&before).unwrap(),
        Packet::parse(&after).unwrap(),
    );
    assert_eq!(after.payload_type(), 100);
    assert_eq!(after.sequence_number(), before.sequence_number().next());
    assert_eq!(after.timestamp(), before.timestamp().wrapping_add(3_000));
    assert_eq!(stream.stats().packets_sent, 2);
    // What was sent before would be repeated under the wrong name.
    rtcp(&mut stream, now, |writer| {
        writer.nack(Ssrc(1), Ssrc(10), [before.sequence_number()]);
    });
    assert_eq!(stream.queued_packets(), 0);
}

#[test]
fn an_overtaken_or_impossible_report_does_not_move_what_was_received() {
    let now = start();
    let mut stream = stream(video());
    stream.write_frame(now, &frame(5_000, 0));
    let packets = drain(&mut stream, now);
    let first = u32::from(Packet::parse(&packets[0]).unwrap().sequence_number().0);
    let mut received = |highest: u32| {
        let block = ReportBlock {
            ssrc: Ssrc(10),
            highest_sequence: highest,
            ..ReportBlock::default()
        };
        rtcp(&mut stream, now, |writer| {
            writer.receiver_report(Ssrc(1), &[block]);
        });
        stream.stats().remote.unwrap().packets_received
    };
    assert_eq!(received(first + 2), 3);
    assert_eq!(received(first + 1), 3);
    assert_eq!(received(first.wrapping_sub(9)), 3);
}
