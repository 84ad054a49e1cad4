use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::types::{NtpTime, SeqNum};

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = Vec::new();
    write(&mut Writer::new(&mut buf));
    assert_eq!(buf.len() % 4, 0);
    buf
}

fn only(buf: &[u8]) -> Packet<'_> {
    let mut packets = packets(buf);
    let packet = packets.next().unwrap().unwrap();
    assert!(packets.next().is_none());
    packet
}

fn block(seed: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(seed),
        fraction_lost: 200,
        cumulative_lost: -5,
        highest_sequence: 0x0001_0002,
        jitter: 33,
        last_sr: 0xaabb_ccdd,
        delay_since_last_sr: 7,
    }
}

#[test]
fn reports_read_back_what_they_wrote() {
    let info = SenderInfo {
        ssrc: Ssrc(9),
        ntp: NtpTime(0x0123_4567_89ab_cdef),
        rtp_timestamp: 90_000,
        packet_count: 12,
        octet_count: 3456,
    };
    let buf = written(|writer| writer.sender_report(&info, &[block(1), block(2)]));
    let Packet::SenderReport(report) = only(&buf) else {
        panic!("not an SR");
    };
    assert_eq!(report.info, info);
    assert!(report.reports().eq([block(1), block(2)]));

    let buf = written(|writer| writer.receiver_report(Ssrc(5), &[block(3)]));
    let Packet::ReceiverReport(report) = only(&buf) else {
        panic!("not an RR");
    };
    assert_eq!(report.sender, Ssrc(5));
    assert!(report.reports().eq([block(3)]));
}

#[test]
fn more_than_thirty_one_reports_take_several_packets() {
    let blocks: Vec<_> = (0..70).map(block).collect();
    let buf = written(|writer| writer.sender_report(&SenderInfo::default(), &blocks));
    let read: Vec<_> = packets(&buf)
        .flat_map(|packet| match packet.unwrap() {
            Packet::SenderReport(report) => report.reports().collect::<Vec<_>>(),
            Packet::ReceiverReport(report) => report.reports().collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(read, blocks);
}

#[test]
fn descriptions_and_goodbyes_read_back_what_they_wrote() {
    for cname in ["", "a", "ab", "abc", "abcd", "user@host.example"] {
        let buf = written(|writer| writer.cnames(&[(Ssrc(1), cname), (Ssrc(2), "x")]));
        let Packet::Sdes(sdes) = only(&buf) else {
            panic!("not an SDES");
        };
        assert_eq!(sdes.cname(Ssrc(1)), Some(cname));
        assert_eq!(sdes.cname(Ssrc(2)), Some("x"));
        assert_eq!(sdes.cname(Ssrc(3)), None);
    }
    let buf = written(|writer| writer.bye(&[Ssrc(1), Ssrc(2)], "camera off"));
    let Packet::Bye(bye) = only(&buf) else {
        panic!("not a BYE");
    };
    assert!(bye.sources().eq([Ssrc(1), Ssrc(2)]));
    assert_eq!(bye.reason(), Some("camera off"));
}

#[test]
fn text_over_an_eight_bit_length_is_cut_at_a_character() {
    let long = "é".repeat(200);
    let buf = written(|writer| writer.cname(Ssrc(1), &long));
    let Packet::Sdes(sdes) = only(&buf) else {
        panic!("not an SDES");
    };
    assert_eq!(sdes.cname(Ssrc(1)), Some("é".repeat(127).as_str()));
}

#[test]
fn picture_requests_and_bitrates_read_back_what_they_wrote() {
    let buf = written(|writer| writer.pli(Ssrc(1), Ssrc(2)));
    assert_eq!(
        only(&buf),
        Packet::Pli(Pli {
            sender: Ssrc(1),
            media: Ssrc(2)
        })
    );
    let entry = FirEntry {
        ssrc: Ssrc(2),
        sequence: 200,
    };
    let buf = written(|writer| writer.fir(Ssrc(1), &[entry]));
    let Packet::Fir(fir) = only(&buf) else {
        panic!("not a FIR");
    };
    assert!(fir.entries().eq([entry]));
    for bitrate in [0, 1, 262_143, 262_144, 2_500_000, u64::MAX] {
        let buf = written(|writer| writer.remb(Ssrc(1), bitrate, &[Ssrc(2), Ssrc(3)]));
        let Packet::Remb(remb) = only(&buf) else {
            panic!("not a REMB");
        };
        assert!(remb.bitrate <= bitrate && bitrate - remb.bitrate <= bitrate >> 17);
        assert!(remb.streams().eq([Ssrc(2), Ssrc(3)]));
    }
}

#[test]
fn extended_reports_read_back_what_they_wrote() {
    let entries = [
        Dlrr {
            ssrc: Ssrc(1),
            last_rr: 2,
            delay: 3,
        },
        Dlrr::default(),
    ];
    let blocks = [
        XrBlock::ReceiverReferenceTime(NtpTime(77)),
        XrBlock::Dlrr(&entries),
        XrBlock::Other(6, 1, &[1, 2, 3, 4]),
    ];
    let buf = written(|writer| writer.extended_report(Ssrc(9), &blocks));
    let Packet::ExtendedReport(report) = only(&buf) else {
        panic!("not an XR");
    };
    let read: Vec<_> = report.blocks().collect();
    assert_eq!(read.len(), 3);
    assert_eq!(read[0], blocks[0]);
    assert!(matches!(read[1], XrBlock::DlrrBytes(bytes) if Dlrr::read(bytes).eq(entries)));
    assert_eq!(read[2], blocks[2]);
}

#[test]
fn malformed_packets_are_stepped_over_and_overlong_ones_end_the_compound() {
    let mut buf = written(|writer| writer.pli(Ssrc(1), Ssrc(2)));
    // An RR that announces a report it does not hold.
    buf.extend_from_slice(&[0x81, 201, 0, 1, 0, 0, 0, 1]);
    Writer::new(&mut buf).pli(Ssrc(3), Ssrc(4));
    buf.extend_from_slice(&[0x80, 201, 0, 9]);
    let read: Vec<_> = packets(&buf).collect();
    assert!(matches!(read[0], Ok(Packet::Pli(_))));
    assert!(matches!(read[1], Err(ParseError::Malformed { .. })));
    assert!(matches!(read[2], Ok(Packet::Pli(_))));
    assert_eq!(read[3], Err(ParseError::Truncated));
    assert_eq!(read.len(), 4);
}

#[test]
fn feedback_with_an_empty_run_is_refused() {
    let mut buf = vec![0x8f, 205, 0, 5];
    buf.extend_from_slice(&[0; 8]);
    buf.extend_from_slice(&[0, 1, 0, 3, 0, 0, 0, 0]);
    buf.extend_from_slice(&[0, 0, 0, 0]);
    assert!(packets(&buf).next().unwrap().is_err());
}

proptest! {
    #[test]
    fn nacks_carry_any_ascending_set(start: u16, gaps in prop::collection::vec(1u16..40, 0..100)) {
        let mut seq = SeqNum(start);
        let lost: Vec<_> = gaps.iter().map(|gap| { seq = seq.wrapping_add(*gap); seq }).collect();
        let buf = written(|writer| writer.nack(Ssrc(1), Ssrc(2), lost.iter().copied()));
        if lost.is_empty() {
            prop_assert!(buf.is_empty());
        } else {
            let Packet::Nack(nack) = only(&buf) else { panic!("not a NACK") };
            prop_assert_eq!(nack.lost().collect::<Vec<_>>(), lost);
        }
    }

    #[test]
    fn transport_feedback_carries_any_arrivals(
        base: u16,
        start in -1_000_000i64..1_000_000,
        steps in prop::collection::vec(prop::option::weighted(0.8, prop_oneof![0i64..8, 0i64..255, -3000i64..30_000]), 1..400),
    ) {
        let mut time = start;
        let arrivals: Vec<_> = steps.iter().map(|step| step.map(|step| { time += step; time })).collect();
        let mut buf = Vec::new();
        let count = Writer::new(&mut buf).transport_feedback(Ssrc(1), Ssrc(2), 3, SeqNum(base), &arrivals);
        if arrivals.iter().all(Option::is_none) {
            prop_assert_eq!(count, 0);
        } else {
            prop_assert!(count > 0);
            let Packet::TransportFeedback(feedback) = only(&buf) else { panic!("not feedback") };
            prop_assert_eq!(feedback.base, SeqNum(base));
            prop_assert_eq!(feedback.feedback_count, 3);
            let read: Vec<_> = feedback.arrivals().collect();
            let expected: Vec<_> = arrivals[..count].iter().enumerate()
                .map(|(index, arrival)| (SeqNum(base).wrapping_add(index as u16), *arrival)).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn congestion_feedback_carries_any_arrivals(
        begin: u16,
        metrics in prop::collection::vec(prop::option::of((0u8..4, prop::option::of(0u64..8190))), 0..50),
    ) {
        let arrivals: Vec<_> = metrics.iter().map(|metric| match metric {
            None => CcfbArrival::default(),
            Some((ecn, offset)) => CcfbArrival {
                received: true,
                ecn: *ecn,
                before_report: offset.map(|offset| Duration::from_nanos(offset * 1_000_000_000 / 1024)),
            },
        }).collect();
        let buf = written(|writer| writer.congestion_feedback(
            Ssrc(1), &[(Ssrc(2), SeqNum(begin), &arrivals), (Ssrc(3), SeqNum(1), &[])], 99));
        let Packet::CongestionFeedback(feedback) = only(&buf) else { panic!("not feedback") };
        prop_assert_eq!(feedback.timestamp, 99);
        let blocks: Vec<_> = feedback.blocks().collect();
        prop_assert_eq!(blocks.len(), 2);
        prop_assert!(blocks[0].arrivals().map(|(_, arrival)| arrival).eq(arrivals.iter().copied()));
        prop_assert_eq!(blocks[1].ssrc, Ssrc(3));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&data);
    }
}

/// Visits every accessor.
pub(crate) fn read_everything(data: &[u8]) {
    for packet in packets(data).flatten() {
        match packet {
            Packet::SenderReport(report) => {
                let _ = report.reports().count();
            }
            Packet::ReceiverReport(report) => {
                let _ = report.reports().count();
            }
            Packet::Sdes(sdes) => {
                let _ = sdes.chunks().flat_map(|chunk| chunk.items()).count();
            }
            Packet::Bye(bye) => {
                let _ = (bye.sources().count(), bye.reason());
            }
            Packet::Nack(nack) => {
                let _ = nack.lost().count();
            }
            Packet::Fir(fir) => {
                let _ = fir.entries().count();
            }
            Packet::Remb(remb) => {
                let _ = remb.streams().count();
            }
            Packet::TransportFeedback(feedback) => {
                let _ = feedback.arrivals().count();
            }
            Packet::CongestionFeedback(feedback) => {
                let _ = feedback.blocks().flat_map(|block| block.arrivals()).count();
            }
            Packet::ExtendedReport(report) => {
                let _ = report.blocks().count();
            }
            Packet::Pli(_) | Packet::Unknown(_) => {}
        }
    }
}
