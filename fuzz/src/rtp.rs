//! RTP and RTCP as they come from the network, and the streams behind them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rtp::payload::{self, PayloadFormat};
use rtp::{Packet, SeqNum, Ssrc, receive, rtcp, send};

/// One RTP packet: every accessor, and the packet written again reads the same.
pub fn rtp_packet(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else {
        return;
    };
    assert!(packet.payload_range().end + packet.padding_len() == data.len());
    let mut buf = Vec::new();
    let header = rtp::packet::Header {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence_number: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let csrcs: Vec<_> = packet.csrcs().collect();
    let mut writer = rtp::packet::Writer::new(&mut buf, header, &csrcs);
    for element in packet.extensions() {
        writer.extension(element.id, element.data);
    }
    writer.payload(packet.payload());
    writer.finish();
    let again = Packet::parse(&buf).expect("what was written reads");
    assert_eq!(again.payload(), packet.payload());
    assert!(again.extensions().eq(packet.extensions()));
    for id in 0..=255 {
        if let Some(range) = rtp::ext::find(data, id) {
            assert_eq!(Some(&data[range]), packet.extension(id));
        }
    }
}

/// An RTCP compound: every field of every packet.
pub fn rtp_rtcp(data: &[u8]) {
    for packet in rtcp::packets(data).flatten() {
        match packet {
            rtcp::Packet::SenderReport(report) => assert!(report.reports().count() < 32),
            rtcp::Packet::ReceiverReport(report) => assert!(report.reports().count() < 32),
            rtcp::Packet::Sdes(sdes) => {
                for chunk in sdes.chunks() {
                    sdes.cname(chunk.ssrc);
                    chunk.items().count();
                }
            }
            rtcp::Packet::Bye(bye) => {
                bye.reason();
                assert!(bye.sources().count() < 32);
            }
            rtcp::Packet::Nack(nack) => assert!(nack.lost().count() <= data.len() * 17 / 4),
            rtcp::Packet::Fir(fir) => assert!(fir.entries().count() <= data.len() / 8),
            rtcp::Packet::Remb(remb) => assert!(remb.streams().count() < 256),
            rtcp::Packet::TransportFeedback(feedback) => {
                assert_eq!(
                    feedback.arrivals().count(),
                    usize::from(feedback.status_count)
                );
            }
            rtcp::Packet::CongestionFeedback(feedback) => {
                feedback
                    .blocks()
                    .map(|block| block.arrivals().count())
                    .sum::<usize>();
            }
            rtcp::Packet::ExtendedReport(report) => {
                for block in report.blocks() {
                    if let rtcp::XrBlock::DlrrBytes(bytes) = block {
                        rtcp::Dlrr::read(bytes).count();
                    }
                }
            }
            _ => {}
        }
    }
}

const FORMATS: [PayloadFormat; 4] = [
    PayloadFormat::Vp8,
    PayloadFormat::Vp9,
    PayloadFormat::H264,
    PayloadFormat::Opus,
];

/// A payload of each format, joined with itself; and the bytes as a frame, cut and joined again.
pub fn rtp_payload(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    for format in FORMATS {
        if let Ok(fragment) = payload::inspect(format, &payload) {
            let twice = [(&payload, fragment.body), (&payload, fragment.body)];
            let joined = payload::join(format, twice.into_iter());
            assert!(joined.len() <= 4 * data.len() + 64);
        }
        let mut packetizer = payload::Packetizer::new(format, &mut StdRng::seed_from_u64(1));
        let mut total = 0;
        let _ = packetizer.packetize(&payload, true, None, 100, |chunk| {
            assert!(chunk.prefix.as_slice().len() + chunk.body.len() <= 100);
            total += chunk.body.len();
        });
        assert!(total <= data.len());
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "one base; only differences matter"
)]
fn base() -> Instant {
    Instant::now()
}

/// Datagrams into a receiving stream of each kind and a sending one. A datagram is: wait in ms, length, bytes.
pub fn rtp_streams(data: &[u8]) {
    let mut now = base();
    let kind = |number, format, rtx| receive::PayloadType {
        number,
        format,
        rtx,
    };
    let mut config = receive::Config::new(
        Ssrc(1),
        Ssrc(9),
        vec![
            kind(96, PayloadFormat::Vp8, Some(97)),
            kind(98, PayloadFormat::H264, None),
        ],
    );
    config.video_orientation = Some(3);
    config.playout_delay = Some(4);
    let mut video = receive::Stream::new(config, now);
    let mut audio = receive::Stream::new(
        receive::Config::new(Ssrc(1), Ssrc(9), vec![kind(111, PayloadFormat::Opus, None)]),
        now,
    );
    let mut sender = send::Stream::new(
        send::Config::new(Ssrc(1), 96, PayloadFormat::Vp8),
        StdRng::seed_from_u64(1),
    );
    let mut recorder = receive::TransportFeedback::new(Duration::from_millis(50));
    let mut buf = Vec::new();
    let mut rest = data;
    while let [wait, len, tail @ ..] = rest {
        now += Duration::from_millis(u64::from(*wait));
        let (datagram, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        if rtp::is_rtcp(datagram) {
            for packet in rtcp::packets(datagram).flatten() {
                sender.handle_rtcp(now, &packet);
                if let rtcp::Packet::SenderReport(report) = &packet {
                    video.handle_sender_report(now, &report.info);
                    audio.handle_sender_report(now, &report.info);
                }
            }
            sender.write_frame(
                now,
                &send::OutgoingFrame {
                    data: Bytes::copy_from_slice(datagram),
                    ..Default::default()
                },
            );
        } else {
            recorder.handle_packet(now, SeqNum(u16::from(*len) * 77));
            video.handle_packet(now, Bytes::copy_from_slice(datagram));
            audio.handle_packet(now, Bytes::copy_from_slice(datagram));
        }
        for stream in [&mut video, &mut audio] {
            stream.handle_timeout(now);
            while stream.poll_frame(now).is_some() {}
            while stream.poll_feedback(now, &mut buf).is_some() {}
            stream.report_block(now);
            stream.poll_timeout();
        }
        while sender.poll_transmit(now, &mut buf).is_some() {}
        while recorder.poll(now, Ssrc(9), Ssrc(1), &mut buf).is_some() {}
        buf.clear();
    }
}
