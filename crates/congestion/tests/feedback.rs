//! Both kinds of feedback, written and read as on the wire, tell the controller the same.

use std::time::{Duration, Instant};

use pc_congestion::{Bitrate, Config, Controller, EcnMark, Limits, Sent};
use rtp::rtcp::{self, CcfbArrival};
use rtp::{SeqNum, Ssrc};

const MS: Duration = Duration::from_millis(1);

fn controller(now: Instant) -> Controller {
    let mut config = Config::default();
    config.limits = Limits {
        max: Bitrate::from_kbps(5_000),
        ..Limits::default()
    };
    Controller::new(config, now)
}

/// Sends 600 packets of 1,000 bytes, one every 8 ms (1 Mbit/s), with feedback every 100 ms; the target after it.
fn drive(mut feedback: impl FnMut(&mut Controller, Instant, u64, &[u16])) -> Bitrate {
    let mut network = netsim::Network::new(1);
    let start = network.now();
    let mut control = controller(start);
    let mut unreported = Vec::new();
    for index in 0..600u64 {
        let sequence = (65_400 + index) as u16;
        let packet = Sent {
            ssrc: 9,
            sequence,
            transport_sequence: None,
            size: 1_000,
        };
        control.sent(network.now(), packet);
        unreported.push(sequence);
        network.advance_by(8 * MS);
        if index % 12 == 11 {
            let sent_before = (index + 1) * 8;
            feedback(
                &mut control,
                network.now() + 30 * MS,
                sent_before,
                &unreported,
            );
            unreported.clear();
        }
    }
    assert_eq!(control.bytes_in_flight(), 0);
    control.target()
}

/// Feedback of RFC 8888 for packets that each took 20 ms; `ecn` marks every so many.
fn by_stream(ecn_every: Option<usize>) -> Bitrate {
    drive(|control, now, sent_before, sequences| {
        let count = sequences.len() as u64;
        let arrivals: Vec<_> = (0..count)
            .map(|index| CcfbArrival {
                received: true,
                ecn: if ecn_every.is_some_and(|every| (index as usize).is_multiple_of(every)) {
                    3
                } else {
                    1
                },
                // Sent 8 ms apart, reported 30 ms after the last would have been sent.
                before_report: Some((8 * (count - index) + 10) as u32 * MS),
            })
            .collect();
        // The report's clock counts 2⁻¹⁶ s and begins shortly before its wrap.
        let timestamp =
            (u32::MAX - 50_000).wrapping_add((((sent_before + 30) << 16) / 1000) as u32);
        let mut buf = Vec::new();
        rtcp::Writer::new(&mut buf).congestion_feedback(
            Ssrc(1),
            &[(Ssrc(9), SeqNum(sequences[0]), &arrivals)],
            timestamp,
        );
        let Some(Ok(rtcp::Packet::CongestionFeedback(feedback))) = rtcp::packets(&buf).next()
        else {
            panic!("not feedback");
        };
        let arrivals = feedback.blocks().flat_map(|block| {
            block.arrivals().map(move |(seq, arrival)| {
                let ecn = if arrival.ecn == 3 {
                    EcnMark::CongestionExperienced
                } else {
                    EcnMark::None
                };
                let arrived = arrival.received.then_some(arrival.before_report);
                (block.ssrc.0, seq.0, arrived, ecn)
            })
        });
        control.handle_stream_feedback(now, feedback.timestamp, arrivals);
    })
}

#[test]
fn on_an_idle_path_stream_feedback_raises_the_rate_over_what_is_sent() {
    let target = by_stream(None);
    assert!(target > Bitrate::from_kbps(1_000), "{target}");
    assert!(target < Bitrate::from_kbps(2_000), "{target}");
}

#[test]
fn congestion_marks_lower_the_rate() {
    let target = by_stream(Some(4));
    assert!(target < Bitrate::from_kbps(300), "{target}");
}

#[test]
fn a_limit_of_the_receiver_holds_until_it_is_lifted() {
    let now = netsim::Network::new(1).now();
    let mut control = controller(now);
    control.set_remote_limit(Some(Bitrate::from_kbps(100)));
    assert_eq!(control.target(), Bitrate::from_kbps(100));
    control.set_remote_limit(None);
    assert_eq!(control.target(), Bitrate::from_kbps(300));
}
