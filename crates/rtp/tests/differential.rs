//! A second opinion: what this crate writes, `rtp` and `rtcp` 0.17.2 read alike, and the other way round.

use bytes::{Bytes, BytesMut};
use pc_rtp::packet::{Header, Writer};
use pc_rtp::rtcp::{self, FirEntry, ReportBlock, SenderInfo};
use pc_rtp::{NtpTime, Packet, SeqNum, Ssrc};
use proptest::prelude::*;
use webrtc_util::marshal::{Marshal, Unmarshal};

#[derive(Clone, Debug)]
struct Rtp {
    header: Header,
    csrcs: Vec<u32>,
    extensions: Vec<(u8, Vec<u8>)>,
    payload: Vec<u8>,
}

fn rtp() -> impl Strategy<Value = Rtp> {
    let header = (
        any::<bool>(),
        0u8..128,
        any::<u16>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(|(marker, payload_type, seq, timestamp, ssrc)| Header {
            marker,
            payload_type,
            sequence_number: SeqNum(seq),
            timestamp,
            ssrc: Ssrc(ssrc),
        });
    let extensions = prop_oneof![
        // The one-byte form, or elements that need the two-byte form.
        prop::collection::btree_map(1u8..=14, prop::collection::vec(any::<u8>(), 1..=16), 0..6),
        prop::collection::btree_map(1u8..=255, prop::collection::vec(any::<u8>(), 17..=40), 1..4),
    ];
    (
        header,
        prop::collection::vec(any::<u32>(), 0..=15),
        extensions,
        prop::collection::vec(any::<u8>(), 1..1300),
    )
        .prop_map(|(header, csrcs, extensions, payload)| Rtp {
            header,
            csrcs,
            extensions: extensions.into_iter().collect(),
            payload,
        })
}

fn ours(packet: &Rtp) -> Vec<u8> {
    let mut buf = Vec::new();
    let csrcs: Vec<_> = packet.csrcs.iter().copied().map(Ssrc).collect();
    let mut writer = Writer::new(&mut buf, packet.header, &csrcs);
    for (id, data) in &packet.extensions {
        writer.extension(*id, data);
    }
    writer.payload(&packet.payload);
    writer.finish();
    buf
}

fn block() -> impl Strategy<Value = ReportBlock> {
    (
        any::<u32>(),
        any::<u8>(),
        0i32..0x7f_ffff,
        any::<[u32; 4]>(),
    )
        .prop_map(
            |(ssrc, fraction_lost, cumulative_lost, words)| ReportBlock {
                ssrc: Ssrc(ssrc),
                fraction_lost,
                cumulative_lost,
                highest_sequence: words[0],
                jitter: words[1],
                last_sr: words[2],
                delay_since_last_sr: words[3],
            },
        )
}

/// A compound of everything both sides know.
fn compound() -> impl Strategy<Value = Vec<u8>> {
    let lost = prop::collection::vec(1u16..40, 1..60);
    let arrivals = prop::collection::vec(
        prop::option::weighted(0.8, prop_oneof![0i64..8, 0i64..255, -3000i64..30_000]),
        1..200,
    );
    (
        any::<[u32; 4]>(),
        any::<u64>(),
        prop::collection::vec(block(), 0..5),
        "[a-z@.]{1,40}",
        (any::<u16>(), lost),
        (any::<u16>(), 0i64..1_000_000, arrivals),
        1_000u64..100_000_000,
    )
        .prop_map(
            |(words, ntp, blocks, cname, (start, gaps), (base, time, steps), bitrate)| {
                let [sender, media, timestamp, count] = words;
                let (sender, media) = (Ssrc(sender), Ssrc(media));
                let mut buf = Vec::new();
                let mut writer = rtcp::Writer::new(&mut buf);
                let info = SenderInfo {
                    ssrc: sender,
                    ntp: NtpTime(ntp),
                    rtp_timestamp: timestamp,
                    packet_count: count,
                    octet_count: count.wrapping_mul(3),
                };
                writer.sender_report(&info, &blocks);
                writer.receiver_report(sender, &blocks);
                writer.cname(sender, &cname);
                let mut seq = SeqNum(start);
                let lost: Vec<_> = gaps
                    .iter()
                    .map(|gap| {
                        seq = seq.wrapping_add(*gap);
                        seq
                    })
                    .collect();
                writer.nack(sender, media, lost);
                writer.pli(sender, media);
                let entry = FirEntry {
                    ssrc: media,
                    sequence: count as u8,
                };
                writer.fir(sender, &[entry]);
                writer.remb(sender, bitrate, &[media]);
                let mut time = time;
                let arrivals: Vec<_> = steps
                    .iter()
                    .map(|step| {
                        step.map(|step| {
                            time += step;
                            time
                        })
                    })
                    .collect();
                writer.transport_feedback(sender, media, count as u8, SeqNum(base), &arrivals);
                writer.bye(&[sender, media], &cname);
                buf
            },
        )
}

proptest! {
    #[test]
    fn they_read_our_rtp(packet in rtp()) {
        let buf = Bytes::from(ours(&packet));
        let read = rtp017::packet::Packet::unmarshal(&mut buf.clone()).unwrap();
        prop_assert_eq!(read.header.marker, packet.header.marker);
        prop_assert_eq!(read.header.payload_type, packet.header.payload_type);
        prop_assert_eq!(read.header.sequence_number, packet.header.sequence_number.0);
        prop_assert_eq!(read.header.timestamp, packet.header.timestamp);
        prop_assert_eq!(read.header.ssrc, packet.header.ssrc.0);
        prop_assert_eq!(&read.header.csrc, &packet.csrcs);
        for (id, data) in &packet.extensions {
            prop_assert_eq!(&read.header.get_extension(*id).unwrap()[..], &data[..]);
        }
        prop_assert_eq!(&read.payload[..], &packet.payload[..]);
    }

    #[test]
    fn we_read_their_rtp(packet in rtp()) {
        let mut theirs = rtp017::packet::Packet {
            header: rtp017::header::Header {
                version: 2,
                marker: packet.header.marker,
                payload_type: packet.header.payload_type,
                sequence_number: packet.header.sequence_number.0,
                timestamp: packet.header.timestamp,
                ssrc: packet.header.ssrc.0,
                csrc: packet.csrcs.clone(),
                ..Default::default()
            },
            payload: Bytes::from(packet.payload.clone()),
        };
        for (id, data) in &packet.extensions {
            theirs.header.set_extension(*id, Bytes::from(data.clone())).unwrap();
        }
        let buf = theirs.marshal().unwrap();
        let read = Packet::parse(&buf).unwrap();
        prop_assert_eq!(read.marker(), packet.header.marker);
        prop_assert_eq!(read.payload_type(), packet.header.payload_type);
        prop_assert_eq!(read.sequence_number(), packet.header.sequence_number);
        prop_assert_eq!(read.timestamp(), packet.header.timestamp);
        prop_assert_eq!(read.ssrc(), packet.header.ssrc);
        prop_assert!(read.csrcs().map(|csrc| csrc.0).eq(packet.csrcs.iter().copied()));
        for (id, data) in &packet.extensions {
            prop_assert_eq!(read.extension(*id), Some(&data[..]));
        }
        prop_assert_eq!(read.payload(), &packet.payload[..]);
    }

    /// They read our compound, write what they understood, and we read the same from both.
    #[test]
    fn a_compound_survives_the_way_through_their_types(buf in compound()) {
        let mut input = Bytes::from(buf.clone());
        let read = rtcp017::packet::unmarshal(&mut input).unwrap();
        prop_assert_eq!(read.len(), rtcp::packets(&buf).count());
        let written = rtcp017::packet::marshal(&read).unwrap();
        let mut ours = rtcp::packets(&buf);
        let mut theirs = rtcp::packets(&written);
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (Some(Ok(ours)), Some(Ok(theirs))) => prop_assert!(same(&ours, &theirs), "{:?} {:?}", ours, theirs),
                (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
            }
        }
    }

    /// Damage to the fixed header and missing ends. Damaged extension elements are not compared: theirs may run on into the
    /// payload, ours end with their block.
    #[test]
    fn damaged_rtp_is_read_alike(packet in rtp(), place in 1usize..12, mask in 1u8.., cut in 0usize..40) {
        let mut buf = ours(&packet);
        buf[place] ^= mask;
        buf.truncate(buf.len() - cut.min(packet.payload.len()));
        let theirs = rtp017::packet::Packet::unmarshal(&mut Bytes::from(buf.clone()));
        let ours = Packet::parse(&buf);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.ssrc().0, theirs.header.ssrc);
            prop_assert_eq!(ours.sequence_number().0, theirs.header.sequence_number);
            prop_assert_eq!(ours.timestamp(), theirs.header.timestamp);
            prop_assert_eq!(ours.payload(), &theirs.payload[..]);
        }
    }
}

fn same(ours: &rtcp::Packet<'_>, theirs: &rtcp::Packet<'_>) -> bool {
    use rtcp::Packet as P;
    match (ours, theirs) {
        (P::SenderReport(a), P::SenderReport(b)) => a.info == b.info && a.reports().eq(b.reports()),
        (P::ReceiverReport(a), P::ReceiverReport(b)) => {
            a.sender == b.sender && a.reports().eq(b.reports())
        }
        (P::Sdes(a), P::Sdes(b)) => a
            .chunks()
            .flat_map(|chunk| chunk.items())
            .eq(b.chunks().flat_map(|chunk| chunk.items())),
        (P::Bye(a), P::Bye(b)) => a.sources().eq(b.sources()) && a.reason() == b.reason(),
        (P::Nack(a), P::Nack(b)) => a.lost().eq(b.lost()),
        (P::Pli(a), P::Pli(b)) => a == b,
        (P::Fir(a), P::Fir(b)) => a.entries().eq(b.entries()),
        // They keep the bitrate as a 24-bit float.
        (P::Remb(a), P::Remb(b)) => {
            a.bitrate.abs_diff(b.bitrate) <= a.bitrate >> 17 && a.streams().eq(b.streams())
        }
        (P::TransportFeedback(a), P::TransportFeedback(b)) => a.arrivals().eq(b.arrivals()),
        _ => false,
    }
}

#[test]
fn the_frames_of_their_payloader_are_read_by_our_depacketizer() {
    use pc_rtp::payload::{self, PayloadFormat};
    use rtp017::packetizer::Payloader;
    let mut payloader = rtp017::codecs::vp8::Vp8Payloader::default();
    payloader.enable_picture_id = true;
    let frame: Vec<u8> = (0..5000u32).map(|index| (index * 7) as u8).collect();
    let payloads = payloader
        .payload(1200, &Bytes::from(frame.clone()))
        .unwrap();
    let fragments: Vec<_> = payloads
        .iter()
        .map(|payload| payload::inspect(PayloadFormat::Vp8, payload).unwrap())
        .collect();
    assert!(fragments[0].keyframe && fragments[0].start == Some(true));
    let joined = payload::join(
        PayloadFormat::Vp8,
        payloads
            .iter()
            .zip(&fragments)
            .map(|(payload, fragment)| (payload, fragment.body)),
    );
    assert_eq!(joined, frame);
}

#[test]
fn their_depacketizer_reads_our_frames() {
    use pc_rtp::payload::{Packetizer, PayloadFormat};
    use rand::SeedableRng;
    use rtp017::packetizer::Depacketizer;
    let frame = Bytes::from(vec![0x55; 5000]);
    let mut packetizer = Packetizer::new(
        PayloadFormat::Vp8,
        &mut rand::rngs::StdRng::seed_from_u64(1),
    );
    let mut joined = BytesMut::new();
    packetizer
        .packetize(&frame, false, None, 1200, |chunk| {
            let mut payload = chunk.prefix.as_slice().to_vec();
            payload.extend_from_slice(&chunk.body);
            let mut theirs = rtp017::codecs::vp8::Vp8Packet::default();
            let body = theirs.depacketize(&Bytes::from(payload)).unwrap();
            assert_eq!(theirs.s == 1, joined.is_empty());
            joined.extend_from_slice(&body);
        })
        .unwrap();
    assert_eq!(joined.freeze(), frame);
}
