//! The estimate of the path, and what the encoders make of it.

use super::*;
use crate::rtp_parameters::SetParameterOptions;

fn video(side: &Side) -> TransceiverId {
    let mut views = side.session.transceivers();
    let view = views.find(|view| view.kind() == MediaKind::Video);
    view.expect("a video transceiver").id()
}

/// An encoder of 30 pictures a second that wants `demand` and takes what it is given.
fn run(pair: &mut Pair<Side, Side>, seconds: u64, demand: u64) -> Vec<u64> {
    let mut targets = Vec::new();
    let id = video(&pair.a);
    for number in 0..seconds * 30 {
        let now = pair.now();
        let session = &mut pair.a.session;
        session.set_encoder_demand(id, None, demand);
        let target = session.target_bitrate(id, None).unwrap_or(demand);
        if number % 30 == 0 {
            targets.push(target);
        }
        let mut data = vec![0x9d_u8; (target / 8 / 30) as usize];
        data[0] = if number % 300 == 0 { 0x10 } else { 0x11 };
        let frame = OutgoingFrame {
            data: data.into(),
            timestamp: (number * 3_000) as u32,
            keyframe: number % 300 == 0,
            ..OutgoingFrame::default()
        };
        session.write_frame(now, id, None, &frame).expect("written");
        pair.run_for(Duration::from_nanos(33_333_333));
    }
    targets
}

#[test]
fn the_bitrate_settles_under_the_capacity_and_the_queue_stays_short() {
    let mut link = LinkConfig::with_latency(Duration::from_millis(25));
    link.rate_bps = Some(1_000_000);
    link.queue_bytes = 125_000;
    let mut pair = established(51, link);
    let targets = run(&mut pair, 30, 2_500_000);
    let settled = &targets[12..];
    let mean = settled.iter().sum::<u64>() / settled.len() as u64;
    assert!(
        (500_000..1_000_000).contains(&mean),
        "{mean} of 1,000,000 bit/s: {targets:?}"
    );
    assert!(
        settled.iter().all(|target| *target < 1_150_000),
        "{targets:?}"
    );
    // What waits on the way shows as time between sending and arrival: a second of it would be 125,000 bytes.
    let now = pair.now();
    let stats = pair.a.session.stats(now);
    let sent = stats
        .outbound()
        .find(|stream| stream.kind == MediaKind::Video)
        .expect("a video stream");
    let report = pair.b.session.stats(now);
    let received = report
        .inbound()
        .find(|stream| stream.kind == MediaKind::Video)
        .expect("a video stream");
    let under_way = sent.packets_sent.saturating_sub(received.packets_received);
    assert!(under_way < 40, "{under_way} packets on the way");
    assert!(received.packets_lost < 20, "{} lost", received.packets_lost);
}

#[test]
fn the_estimate_follows_a_path_that_gets_narrower() {
    let mut link = LinkConfig::with_latency(Duration::from_millis(25));
    link.rate_bps = Some(2_000_000);
    link.queue_bytes = 250_000;
    let mut pair = established(52, link.clone());
    let before = run(&mut pair, 15, 2_500_000);
    assert!(
        before.last().is_some_and(|target| *target > 900_000),
        "{before:?}"
    );
    link.rate_bps = Some(500_000);
    let host = pair.host_a();
    pair.network.set_link(host, link);
    let after = run(&mut pair, 15, 2_500_000);
    assert!(
        after[6..].iter().all(|target| *target < 560_000),
        "{after:?}"
    );
}

#[test]
fn max_bitrate_limits_the_encoder_whatever_the_path_carries() {
    let mut pair = established(53, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.a);
    let session = &mut pair.a.session;
    let mut parameters = session.sender_parameters(id).expect("parameters");
    parameters.encodings[0].max_bitrate = Some(200_000);
    session
        .set_sender_parameters(now, id, parameters, &SetParameterOptions::default())
        .expect("set");
    let targets = run(&mut pair, 5, 2_500_000);
    assert!(
        targets.iter().all(|target| *target <= 200_000),
        "{targets:?}"
    );
}

#[test]
fn feedback_is_negotiated_as_an_extension_and_as_rtcp() {
    let mut pair = pair(54, LinkConfig::with_latency(Duration::from_millis(5)));
    let answer = pair.b.session.local_description().expect("an answer");
    assert!(answer.sdp.contains("transport-cc"), "{}", answer.sdp);
    assert!(answer.sdp.contains("transport-wide-cc-extensions-01"));
    let id = video(&pair.a);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.session.available_outgoing_bitrate(id).is_some());
}

/// Pictures of 150 kbit/s, from an encoder that would use 2.5 Mbit/s if it could have them at once, as a layer of simulcast;
/// the estimates of every second, and the bytes that were sent.
fn small_pictures(pair: &mut Pair<Side, Side>, seconds: u64) -> (Vec<u64>, u64) {
    let id = video(&pair.a);
    let mut estimates = Vec::new();
    for number in 0..seconds * 30 {
        let now = pair.now();
        let session = &mut pair.a.session;
        session.set_encoder_demand(id, None, 2_500_000);
        if number % 30 == 29 {
            estimates.extend(session.available_outgoing_bitrate(id));
        }
        let mut data = vec![0x9d_u8; 150_000 / 8 / 30];
        data[0] = if number == 0 { 0x10 } else { 0x11 };
        let frame = OutgoingFrame {
            data: data.into(),
            timestamp: (number * 3_000) as u32,
            keyframe: number == 0,
            ..OutgoingFrame::default()
        };
        session.write_frame(now, id, None, &frame).expect("written");
        pair.run_for(Duration::from_nanos(33_333_333));
    }
    (estimates, pair.a.session.transports[0].counters.bytes_sent)
}

#[test]
fn padding_finds_out_what_the_path_carries_where_the_media_does_not() {
    let mut pair = established(55, LinkConfig::with_latency(Duration::from_millis(20)));
    let (estimates, _) = small_pictures(&mut pair, 10);
    assert!(
        estimates.iter().any(|estimate| *estimate >= 2_500_000),
        "{estimates:?}"
    );
}

#[test]
fn probes_that_bring_nothing_become_rare() {
    let mut link = LinkConfig::with_latency(Duration::from_millis(20));
    link.rate_bps = Some(600_000);
    link.queue_bytes = 75_000;
    let mut pair = established(56, link);
    let (estimates, sent) = small_pictures(&mut pair, 60);
    assert!(
        estimates[5..].iter().all(|estimate| *estimate < 800_000),
        "{estimates:?}"
    );
    // 150 kbit/s of pictures for a minute are 1.1 MB; all that the path carries would be 4.5 MB.
    assert!(sent < 2_200_000, "{sent} bytes");
}
