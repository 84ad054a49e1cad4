//! Codecs that the application encodes and decodes itself.

use super::*;
use crate::rtp_parameters::{ApplicationCodec, RtpCodec};

fn configuration() -> Configuration {
    Configuration {
        application_codecs: vec![ApplicationCodec::h264("42e01f"), ApplicationCodec::vp9(0)],
        ..Configuration::default()
    }
}

fn codec(session: &Session, name: &str) -> RtpCodec {
    let mut codecs = session.capabilities(MediaKind::Video).codecs.into_iter();
    codecs.find(|codec| codec.name() == name).expect("a codec")
}

/// A connected pair in which the first side prefers this codec.
fn preferring(seed: u64, name: &str) -> (Pair<Side, Side>, TransceiverId) {
    let mut pair = Pair::over(
        seed,
        LinkConfig::with_latency(Duration::from_millis(5)),
        |now| {
            Side::with_configuration(
                2 * seed,
                SocketAddr::new(Pair::A, 5000),
                now,
                configuration(),
            )
        },
        |now| {
            Side::with_configuration(
                2 * seed + 1,
                SocketAddr::new(Pair::B, 6000),
                now,
                configuration(),
            )
        },
    );
    let now = pair.now();
    let session = &mut pair.a.session;
    let id = session
        .add_track(MediaKind::Video, "cam".into(), vec![])
        .expect("a track");
    let preferred = [codec(session, name), codec(session, "rtx")];
    session
        .set_codec_preferences(id, &preferred)
        .expect("known");
    let offer = describe(&mut pair.a, now);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("an offer");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("an answer");
    pair.run_until(Duration::from_secs(30), |a, b| {
        a.is_connected() && b.is_connected()
    })
    .expect("both sides connect");
    (pair, id)
}

#[test]
fn the_capabilities_of_a_connection_have_the_codecs_of_the_application_and_those_of_all_have_not() {
    let at = SocketAddr::from(([10, 0, 0, 1], 5000));
    let now = netsim::Network::new(1).now();
    let side = Side::with_configuration(1, at, now, configuration());
    let names = |capabilities: crate::RtpCapabilities| -> Vec<String> {
        let codecs = capabilities.codecs.iter();
        codecs.map(|codec| codec.name().to_owned()).collect()
    };
    let own = names(side.session.capabilities(MediaKind::Video));
    assert_eq!(own, ["VP8", "H264", "VP9", "rtx"]);
    assert_eq!(names(capabilities(MediaKind::Video)), ["VP8", "rtx"]);
    assert_eq!(
        side.session.capabilities(MediaKind::Audio),
        capabilities(MediaKind::Audio)
    );
}

#[test]
fn codecs_of_the_application_get_payload_types_of_their_own_with_retransmission_and_feedback() {
    let at = SocketAddr::from(([10, 0, 0, 1], 5000));
    let now = netsim::Network::new(1).now();
    let mut configuration = configuration();
    for number in 0..12 {
        let id = format!("640{number:x}1f");
        configuration
            .application_codecs
            .push(ApplicationCodec::h264(&id));
    }
    let mut side = Side::with_configuration(1, at, now, configuration);
    for (kind, track) in [(MediaKind::Video, "cam"), (MediaKind::Audio, "mic")] {
        side.session
            .add_track(kind, track.into(), vec![])
            .expect("a track");
    }
    let offer = side
        .session
        .create_offer(&OfferOptions::default())
        .expect("an offer");
    let mut numbers = Vec::new();
    let mut repaired = 0;
    for line in offer.sdp.lines() {
        if let Some(map) = line.strip_prefix("a=rtpmap:") {
            let (number, name) = map.split_once(' ').expect("a name");
            let number: u8 = number.parse().expect("a number");
            assert!(!numbers.contains(&number), "{number} twice");
            // RFC 5761 §4: 64 to 95 would be taken for RTCP.
            assert!(!(64..96).contains(&number));
            repaired += u32::from(name == "rtx/90000");
            numbers.push(number);
        }
    }
    let primaries = 1 + 2 + 12;
    assert_eq!(repaired, primaries, "each with its rtx");
    assert_eq!(numbers.len() as u32, 2 * primaries + 5);
    assert_eq!(offer.sdp.matches(" nack pli\r\n").count() as u32, primaries);
}

#[test]
fn h264_is_negotiated_and_passes_encoded_frames() {
    let (mut pair, id) = preferring(71, "H264");
    let now = pair.now();
    let (agreed, _) = pair.a.session.encoding_codec(id, None).expect("a codec");
    assert_eq!(agreed.codec.name(), "H264");
    let number = agreed.payload_type;
    // A byte stream of Annex B: parameter sets and a picture of several packets.
    let mut data = vec![
        0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80,
    ];
    data.extend([0, 0, 0, 1, 0x65]);
    data.extend((0..5_000_u32).map(|byte| (byte % 200) as u8 + 4));
    let frame = OutgoingFrame {
        data: data.clone().into(),
        timestamp: 90_000,
        keyframe: true,
        ..OutgoingFrame::default()
    };
    assert!(
        pair.a
            .session
            .write_frame(now, id, None, &frame)
            .expect("written")
    );
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.last_frame, Some((number, data.into())));
}

#[test]
fn vp9_is_negotiated_and_passes_encoded_frames() {
    let (mut pair, id) = preferring(72, "VP9");
    let now = pair.now();
    let (agreed, _) = pair.a.session.encoding_codec(id, None).expect("a codec");
    let number = agreed.payload_type;
    assert_eq!(agreed.codec.fmtp("profile-id"), Some("0"));
    let mut data = vec![0x82, 0x49, 0x83, 0x42];
    data.extend((0..5_000_u32).map(|byte| (byte % 251) as u8));
    let frame = OutgoingFrame {
        data: data.clone().into(),
        timestamp: 90_000,
        keyframe: true,
        ..OutgoingFrame::default()
    };
    assert!(
        pair.a
            .session
            .write_frame(now, id, None, &frame)
            .expect("written")
    );
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.last_frame, Some((number, data.into())));
}

#[test]
fn codecs_without_a_payload_format_are_refused_and_none_can_be_changed_later() {
    let refused = |codec: ApplicationCodec| {
        let configuration = Configuration {
            application_codecs: vec![codec],
            ..Configuration::default()
        };
        configuration.validate().expect_err("refused").name()
    };
    assert_eq!(
        refused(ApplicationCodec::video("X-Other", "")),
        "NotSupportedError"
    );
    assert_eq!(
        refused(ApplicationCodec::video("rtx", "apt=96")),
        "NotSupportedError"
    );
    let mode_0 = ApplicationCodec::video("H264", "profile-level-id=42e01f");
    assert_eq!(refused(mode_0), "NotSupportedError");
    let mut text = ApplicationCodec::vp9(0);
    text.codec.mime_type = "text/red".into();
    assert_eq!(refused(text), "TypeError");

    let at = SocketAddr::from(([10, 0, 0, 1], 5000));
    let now = netsim::Network::new(1).now();
    let mut side = Side::with_configuration(1, at, now, configuration());
    let changed = side
        .session
        .set_configuration(now, Configuration::default());
    assert_eq!(
        changed.expect_err("fixed").name(),
        "InvalidModificationError"
    );
}
