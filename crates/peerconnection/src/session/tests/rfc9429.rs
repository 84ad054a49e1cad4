//! What RFC 9429 §5.10 and §5.11 say of applying descriptions, seen in the streams and associations.

use super::*;
use crate::rtp_parameters::RtpEncodingParameters;

fn sender(side: &Side, kind: MediaKind) -> TransceiverId {
    let mut views = side.session.transceivers();
    views
        .find(|view| view.kind() == kind)
        .expect("a transceiver")
        .id()
}

/// A call whose answer has these lines in each section, and these for the session.
fn limited(seed: u64, session: &str, sections: &str) -> Pair<Side, Side> {
    let mut pair = established(seed, LinkConfig::with_latency(Duration::from_millis(5)));
    renegotiate(&mut pair, |sdp| {
        let with = format!("{session}t=0 0\r\n");
        *sdp = with_in_each_section(&sdp.replace("t=0 0\r\n", &with), sections);
    });
    pair
}

fn with_in_each_section(sdp: &str, lines: &str) -> String {
    let with = |line: &str| match line.starts_with("c=") {
        true => format!("{line}{lines}"),
        false => line.to_owned(),
    };
    sdp.split_inclusive("\r\n").map(with).collect()
}

fn renegotiate(pair: &mut Pair<Side, Side>, change: impl FnOnce(&mut String)) {
    let now = pair.now();
    let offer = describe(&mut pair.a, now);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("an offer");
    let mut answer = describe(&mut pair.b, now);
    change(&mut answer.sdp);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("an answer");
}

#[test]
fn the_b_lines_of_the_peer_limit_what_is_sent_in_each_section() {
    let pair = limited(61, "", "b=TIAS:100000\r\n");
    let (audio, video) = (
        sender(&pair.a, MediaKind::Audio),
        sender(&pair.a, MediaKind::Video),
    );
    let targets = |pair: &Pair<Side, Side>| {
        (
            pair.a.session.target_bitrate(audio, None).expect("a limit"),
            pair.a.session.target_bitrate(video, None).expect("a limit"),
        )
    };
    let (sound, pictures) = targets(&pair);
    // Without the RTP headers of 50 packets a second.
    assert_eq!(sound, 92_000);
    assert!((85_000..=100_000).contains(&pictures), "{pictures}");

    // AS leaves the headers out; and the next description without limit ends it.
    let mut pair = limited(62, "", "b=AS:10\r\n");
    assert_eq!(targets(&pair), (0, 0), "nothing is left for media");
    renegotiate(&mut pair, |_| {});
    let (sound, pictures) = targets(&pair);
    assert!(sound > 100_000 && pictures > 300_000, "{sound} {pictures}");
}

#[test]
fn a_session_level_ct_limits_all_sections_together() {
    let pair = limited(63, "b=CT:200\r\n", "");
    let video = sender(&pair.a, MediaKind::Video);
    let target = pair.a.session.target_bitrate(video, None).expect("a limit");
    assert!((150_000..=200_000).contains(&target), "{target}");
}

#[test]
fn the_encodings_of_simulcast_share_the_limit_of_their_section() {
    let start = |now| {
        let mut side = Side::new(9, SocketAddr::new(Pair::A, 5000), now);
        let layers = ["q", "h", "f"].map(|rid| RtpEncodingParameters {
            rid: Some(rid.into()),
            ..RtpEncodingParameters::default()
        });
        let direction = TransceiverDirection::SendOnly;
        let added = side.session.add_transceiver(
            MediaKind::Video,
            Some("cam".into()),
            direction,
            vec![],
            layers.into(),
        );
        added.expect("a transceiver");
        side
    };
    let mut pair = Pair::over(9, LinkConfig::default(), start, |now| {
        Side::new(10, SocketAddr::new(Pair::B, 6000), now)
    });
    renegotiate(&mut pair, |sdp| {
        *sdp = with_in_each_section(sdp, "b=TIAS:400000\r\n");
    });
    let id = sender(&pair.a, MediaKind::Video);
    let mut targets = || {
        [("q", 200_000), ("h", 300_000), ("f", 2_500_000)].map(|(rid, demand)| {
            pair.a.session.set_encoder_demand(id, Some(rid), demand);
            let target = pair.a.session.target_bitrate(id, Some(rid));
            target.expect("a limit")
        })
    };
    targets();
    let limited = targets();
    assert!(limited.iter().sum::<u64>() <= 400_000, "{limited:?}");
    assert_eq!((limited[0], limited[2]), (200_000, 0));
    assert!(limited[1] > 150_000, "{limited:?}");
}

#[test]
fn another_fingerprint_with_an_ice_restart_begins_another_dtls_association() {
    let mut pair = established(64, LinkConfig::with_latency(Duration::from_millis(20)));
    let first = pair.a.channel.expect("a channel");
    let now = pair.now();
    // Whoever answers from now on is another one, at the same address.
    let address = pair.b.address;
    pair.b = Side::new(4711, address, now);
    pair.a.session.restart_ice();
    renegotiate(&mut pair, |_| {});
    pair.a.drain(now);
    assert_eq!(pair.a.session.channel_state(first), ChannelState::Closed);
    let config = ChannelConfig {
        label: "after".into(),
        ..ChannelConfig::default()
    };
    let second = pair
        .a
        .session
        .create_data_channel(config)
        .expect("a channel");
    assert_ne!(first, second);
    pair.a.channel = Some(second);
    pair.a.open = false;
    pair.run_until(Duration::from_secs(30), |a, b| {
        a.is_connected() && b.is_connected() && a.open && b.channel.is_some()
    })
    .expect("both sides connect anew");
    let now = pair.now();
    send(&mut pair.a, now, b"hello");
    for number in 0..50 {
        let now = pair.now();
        write_frames(&mut pair.a, now, number);
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.messages.len(), 1);
    assert!(
        pair.b.frames > 80,
        "{} frames under the new keys",
        pair.b.frames
    );
}

#[test]
fn an_ice_restart_without_another_fingerprint_goes_on_with_the_same_dtls_association() {
    let mut pair = established(65, LinkConfig::with_latency(Duration::from_millis(20)));
    let channel = pair.a.channel.expect("a channel");
    pair.a.session.restart_ice();
    renegotiate(&mut pair, |_| {});
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.a.session.channel_state(channel), ChannelState::Open);
    let now = pair.now();
    send(&mut pair.a, now, b"hello");
    pair.run_until(Duration::from_secs(5), |_, b| !b.messages.is_empty())
        .expect("it arrives");
}

#[test]
fn a_codec_with_another_clock_rate_is_sent_under_another_ssrc() {
    let mut pair = established(66, LinkConfig::with_latency(Duration::from_millis(5)));
    let id = sender(&pair.a, MediaKind::Audio);
    let ssrc = |pair: &Pair<Side, Side>| {
        let (codec, ssrc) = pair.a.session.encoding_codec(id, None).expect("a codec");
        (codec.codec.name().to_owned(), ssrc)
    };
    let (_, before) = ssrc(&pair);
    let now = pair.now();
    let mut parameters = pair.a.session.sender_parameters(id).expect("parameters");
    let pcmu = parameters
        .codecs
        .iter()
        .find(|codec| codec.payload_type == 0);
    parameters.encodings[0].codec = pcmu.map(|codec| codec.codec.clone());
    pair.a
        .session
        .set_sender_parameters(now, id, parameters, &Default::default())
        .expect("set");
    let (name, after) = ssrc(&pair);
    assert_eq!(name, "PCMU");
    assert_ne!(before, after);
    let heard = pair.b.frames;
    for number in 0..20 {
        let now = pair.now();
        let frame = OutgoingFrame {
            data: vec![0xff; 160].into(),
            timestamp: number * 160,
            ..OutgoingFrame::default()
        };
        pair.a
            .session
            .write_frame(now, id, None, &frame)
            .expect("written");
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(1));
    assert!(
        pair.b.frames >= heard + 19,
        "{} frames",
        pair.b.frames - heard
    );
}

#[test]
fn another_sctp_port_of_the_peer_discards_the_association_with_its_channels() {
    let mut pair = established(67, LinkConfig::with_latency(Duration::from_millis(5)));
    let channel = pair.a.channel.expect("a channel");
    renegotiate(&mut pair, |_| {});
    assert_eq!(pair.a.session.channel_state(channel), ChannelState::Open);
    renegotiate(&mut pair, |sdp| {
        *sdp = sdp.replace("a=sctp-port:5000", "a=sctp-port:5001");
    });
    assert_eq!(pair.a.session.channel_state(channel), ChannelState::Closed);
    let next = pair.a.session.create_data_channel(ChannelConfig::default());
    assert_ne!(next.expect("another association's"), channel);
}
