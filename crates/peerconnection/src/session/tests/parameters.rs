//! What a sender, a receiver and a transceiver are set to: `getParameters`, `setParameters`, `setCodecPreferences`, …

use super::*;
use crate::rtp_parameters::{RtpHeaderExtensionCapability, SetParameterOptions};
use crate::states::TransceiverDirection as D;

fn lone() -> Side {
    let address = SocketAddr::new(Pair::A, 5000);
    Side::new(1, address, netsim::Network::new(1).now())
}

fn video(side: &Side) -> TransceiverId {
    let mut views = side.session.transceivers();
    let view = views.find(|view| view.kind() == MediaKind::Video);
    view.expect("a video transceiver").id()
}

fn name(result: Result<(), Error>) -> &'static str {
    result.map_or_else(|error| error.name(), |()| "none")
}

#[test]
fn set_parameters_validation_steps() {
    let mut pair = established(31, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.a);
    let session = &mut pair.a.session;
    let given = session.sender_parameters(id).expect("parameters");
    let options = SetParameterOptions::default();
    assert_eq!(
        session.sender_parameters(id).expect("parameters"),
        given,
        "the same until something changes"
    );
    assert!(!given.codecs.is_empty() && !given.header_extensions.is_empty());
    assert!(given.rtcp.cname.is_some() && given.rtcp.reduced_size);
    let mut set = |change: fn(&mut crate::RtpSendParameters)| {
        let mut parameters = given.clone();
        change(&mut parameters);
        name(session.set_sender_parameters(now, id, parameters, &options))
    };
    for read_only in [
        (|p| p.transaction_id.push('x')) as fn(&mut crate::RtpSendParameters),
        |p| p.encodings.clear(),
        |p| p.encodings.push(RtpEncodingParameters::default()),
        |p| p.encodings[0].rid = Some("x".into()),
        |p| p.codecs.clear(),
        |p| p.header_extensions.clear(),
        |p| p.rtcp.cname = None,
    ] {
        assert_eq!(set(read_only), "InvalidModificationError");
    }
    assert_eq!(
        set(|p| p.encodings[0].scale_resolution_down_by = Some(0.5)),
        "RangeError"
    );
    assert_eq!(
        set(|p| p.encodings[0].max_framerate = Some(-1.0)),
        "RangeError"
    );
    assert_eq!(
        set(|p| {
            let mut codec = p.codecs[0].codec.clone();
            codec.mime_type = "video/AV2".into();
            p.encodings[0].codec = Some(codec);
        }),
        "InvalidModificationError"
    );
    assert_eq!(
        set(|p| {
            p.encodings[0].max_bitrate = Some(123_456);
            p.encodings[0].scale_resolution_down_by = None;
        }),
        "none"
    );
    assert_eq!(
        set(|_| {}),
        "InvalidStateError",
        "getParameters comes before setParameters"
    );
    let changed = session.sender_parameters(id).expect("parameters");
    assert_ne!(changed.transaction_id, given.transaction_id);
    assert_eq!(changed.encodings[0].max_bitrate, Some(123_456));
    assert_eq!(changed.encodings[0].scale_resolution_down_by, Some(1.0));
    session.stop_transceiver(id).expect("stopped");
    assert_eq!(
        name(session.set_sender_parameters(now, id, changed, &options)),
        "InvalidStateError"
    );
}

#[test]
fn set_parameters_asks_the_encoder_for_a_keyframe() {
    let mut pair = established(32, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.a);
    let session = &mut pair.a.session;
    let parameters = session.sender_parameters(id).expect("parameters");
    let key = crate::EncodingOptions { key_frame: true };
    let two = SetParameterOptions {
        encoding_options: vec![key; 2],
    };
    assert_eq!(
        name(session.set_sender_parameters(now, id, parameters.clone(), &two)),
        "InvalidModificationError"
    );
    let one = SetParameterOptions {
        encoding_options: vec![key],
    };
    session
        .set_sender_parameters(now, id, parameters, &one)
        .expect("set");
    let asked = std::iter::from_fn(|| session.poll_event()).any(
        |event| matches!(event, Event::KeyframeRequested { transceiver, .. } if transceiver == id),
    );
    assert!(asked);
}

#[test]
fn an_encoding_that_is_not_active_is_not_sent() {
    let mut pair = established(33, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.a);
    let session = &mut pair.a.session;
    let mut parameters = session.sender_parameters(id).expect("parameters");
    parameters.encodings[0].active = false;
    session
        .set_sender_parameters(now, id, parameters, &SetParameterOptions::default())
        .expect("set");
    let sent = session.write_frame(now, id, None, &OutgoingFrame::default());
    assert_eq!(sent, Ok(false));
}

#[test]
fn set_codec_preferences_steps() {
    let mut side = lone();
    let id = side
        .session
        .add_transceiver(MediaKind::Audio, None, D::SendRecv, Vec::new(), Vec::new())
        .expect("a transceiver");
    let known = capabilities(MediaKind::Audio).codecs;
    let named = |wanted: &str| {
        let mut codecs = known.iter();
        let codec = codecs.find(|codec| codec.name().eq_ignore_ascii_case(wanted));
        codec.expect("a known codec").clone()
    };
    let (opus, pcma) = (named("opus"), named("PCMA"));
    let session = &mut side.session;
    let mut other = opus.clone();
    other.sdp_fmtp_line = "minptime=20".into();
    assert_eq!(
        name(session.set_codec_preferences(id, &[other])),
        "InvalidModificationError"
    );
    assert_eq!(
        name(session.set_codec_preferences(id, &[named("telephone-event")])),
        "InvalidModificationError",
        "helpers alone are not enough"
    );
    session
        .set_codec_preferences(id, &[pcma.clone(), opus.clone(), pcma])
        .expect("set");
    let lines = |session: &mut Session| {
        let offer = session
            .create_offer(&OfferOptions::default())
            .expect("an offer");
        let line = offer.sdp.lines().find(|line| line.starts_with("m=audio"));
        line.expect("an audio section").to_owned()
    };
    assert!(
        lines(session).ends_with("SAVPF 8 111"),
        "{}",
        lines(session)
    );
    session.set_codec_preferences(id, &[]).expect("set");
    assert!(
        lines(session).contains("SAVPF 111 0 8"),
        "{}",
        lines(session)
    );
}

#[test]
fn codec_preferences_without_rtx_switch_retransmission_off() {
    let mut side = lone();
    let id = side
        .session
        .add_transceiver(MediaKind::Video, None, D::SendRecv, Vec::new(), Vec::new())
        .expect("a transceiver");
    let vp8 = capabilities(MediaKind::Video).codecs[0].clone();
    side.session.set_codec_preferences(id, &[vp8]).expect("set");
    let offer = side
        .session
        .create_offer(&OfferOptions::default())
        .expect("an offer");
    assert!(!offer.sdp.contains("rtx"), "{}", offer.sdp);
}

fn with(
    list: &[RtpHeaderExtensionCapability],
    uri: &str,
    direction: D,
) -> Vec<RtpHeaderExtensionCapability> {
    let mut list = list.to_vec();
    for extension in list.iter_mut().filter(|extension| extension.uri == uri) {
        extension.direction = direction;
    }
    list
}

#[test]
fn set_header_extensions_to_negotiate_steps() {
    let mut pair = pair_before(34);
    let now = pair.now();
    let id = video(&pair.a);
    let session = &mut pair.a.session;
    let list = session.header_extensions_to_negotiate(id);
    assert!(session.negotiated_header_extensions(id).is_empty());
    assert_eq!(
        name(session.set_header_extensions_to_negotiate(id, &list[1..])),
        "InvalidModificationError"
    );
    let without_mid = with(&list, codecs::MID_URI, D::Stopped);
    assert_eq!(
        name(session.set_header_extensions_to_negotiate(id, &without_mid)),
        "InvalidModificationError"
    );
    let chosen = with(&list, codecs::TRANSPORT_CC_URI, D::Stopped);
    let chosen = with(&chosen, codecs::RID_URI, D::SendOnly);
    session
        .set_header_extensions_to_negotiate(id, &chosen)
        .expect("set");
    let offer = describe(&mut pair.a, now);
    let section = offer.sdp.split("m=video").nth(1).expect("a video section");
    assert!(!section.contains("transport-wide-cc"), "{section}");
    assert!(
        section.contains("/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        "{section}"
    );
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
    let direction = |session: &Session, id, uri: &str| {
        let list = session.negotiated_header_extensions(id);
        let found = list.into_iter().find(|extension| extension.uri == uri);
        found.expect("listed").direction
    };
    let (a, b) = (&pair.a.session, &pair.b.session);
    let other = video(&pair.b);
    assert_eq!(direction(a, id, codecs::MID_URI), D::SendRecv);
    assert_eq!(direction(a, id, codecs::TRANSPORT_CC_URI), D::Stopped);
    assert_eq!(direction(a, id, codecs::RID_URI), D::SendOnly);
    assert_eq!(direction(b, other, codecs::RID_URI), D::RecvOnly);
    assert_eq!(
        a.header_extensions_to_negotiate(id),
        a.negotiated_header_extensions(id)
    );
}

/// Two sides with tracks that have not spoken yet.
fn pair_before(seed: u64) -> Pair<Side, Side> {
    let (at_a, at_b) = (
        SocketAddr::new(Pair::A, 5000),
        SocketAddr::new(Pair::B, 6000),
    );
    let mut pair = Pair::over(
        seed,
        LinkConfig::with_latency(Duration::from_millis(5)),
        |now| Side::new(2 * seed, at_a, now),
        |now| Side::new(2 * seed + 1, at_b, now),
    );
    for side in [&mut pair.a, &mut pair.b] {
        side.session
            .add_track(MediaKind::Video, "track".into(), Vec::new())
            .expect("a track");
    }
    pair
}

#[test]
fn set_streams_changes_what_is_announced_and_asks_for_negotiation() {
    let mut pair = established(35, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.a);
    pair.a.drain(now);
    pair.a.negotiation_needed = 0;
    pair.a
        .session
        .set_streams(id, vec!["one".into(), "two".into(), "one".into()])
        .expect("set");
    pair.a.drain(now);
    assert_eq!(pair.a.negotiation_needed, 1);
    let offer = pair
        .a
        .session
        .create_offer(&OfferOptions::default())
        .expect("an offer");
    assert_eq!(offer.sdp.matches("a=msid:one ").count(), 1);
    assert_eq!(offer.sdp.matches("a=msid:two ").count(), 1);
    pair.a.session.close(now);
    assert_eq!(
        name(pair.a.session.set_streams(id, Vec::new())),
        "InvalidStateError"
    );
}

#[test]
fn jitter_buffer_target_is_at_most_four_seconds() {
    let mut pair = established(36, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = video(&pair.b);
    let session = &mut pair.b.session;
    assert_eq!(session.jitter_buffer_target(id), None);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        name(session.set_jitter_buffer_target(now, id, seconds(5))),
        "RangeError"
    );
    session
        .set_jitter_buffer_target(now, id, seconds(1))
        .expect("set");
    assert_eq!(session.jitter_buffer_target(id), seconds(1));
    for number in 0..200 {
        let now = pair.now();
        write_frames(&mut pair.a, now, number);
        pair.run_for(Duration::from_millis(20));
    }
    let now = pair.now();
    let report = pair.b.session.stats(now);
    let stream = report
        .inbound()
        .find(|stream| stream.kind == MediaKind::Video)
        .expect("a video stream");
    let mean = stream.jitter_buffer_delay / stream.jitter_buffer_emitted_count as f64;
    assert!(mean > 0.8, "frames are held {mean} s");
}

#[test]
fn get_synchronization_sources_names_whom_was_heard_in_the_last_ten_seconds() {
    let mut pair = established(37, LinkConfig::with_latency(Duration::from_millis(5)));
    for number in 0..20 {
        let now = pair.now();
        write_frames(&mut pair.a, now, number);
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(1));
    let id = video(&pair.b);
    let sent = pair.a.session.sent_ssrcs(video(&pair.a));
    let heard = pair.b.session.synchronization_sources(pair.now(), id);
    assert_eq!(heard.len(), 1);
    assert_eq!(sent, [heard[0].source]);
    assert!(
        pair.b
            .session
            .contributing_sources(pair.now(), id)
            .is_empty()
    );
    pair.run_for(Duration::from_secs(11));
    assert!(
        pair.b
            .session
            .synchronization_sources(pair.now(), id)
            .is_empty()
    );
}

#[test]
fn set_the_configuration_steps() {
    let mut side = lone();
    let now = netsim::Network::new(1).now();
    let session = &mut side.session;
    let old = session.configuration().clone();
    let changed = |change: fn(&mut Configuration)| {
        let mut configuration = old.clone();
        change(&mut configuration);
        configuration
    };
    let certificate = crate::Certificate::from(certificate(0));
    let mut with_certificate = old.clone();
    with_certificate.certificates.push(certificate);
    assert_eq!(
        name(session.set_configuration(now, with_certificate)),
        "InvalidModificationError"
    );
    assert_eq!(
        name(session.set_configuration(
            now,
            changed(|c| c.bundle_policy = crate::BundlePolicy::MaxBundle)
        )),
        "InvalidModificationError"
    );
    assert_eq!(
        name(session.set_configuration(now, changed(|c| c.ice_candidate_pool_size = 2))),
        "none",
        "no description was set yet"
    );
    assert_eq!(
        name(session.set_configuration(
            now,
            changed(|c| c.ice_servers.push(crate::IceServer::default()))
        )),
        "SyntaxError"
    );
    assert_eq!(
        name(session.set_configuration(
            now,
            changed(|c| c.ice_transport_policy = IceTransportPolicy::Relay)
        )),
        "none"
    );
    assert_eq!(
        session.configuration().ice_transport_policy,
        IceTransportPolicy::Relay
    );
    let now = netsim::Network::new(1).now();
    session
        .add_track(MediaKind::Audio, "track".into(), Vec::new())
        .expect("a track");
    session.set_local_description(now, None).expect("described");
    assert_eq!(
        name(session.set_configuration(now, changed(|c| c.ice_candidate_pool_size = 9))),
        "InvalidModificationError"
    );
    session.close(now);
    assert_eq!(
        name(session.set_configuration(now, changed(|_| {}))),
        "InvalidStateError"
    );
}

#[test]
fn the_constructor_refuses_an_expired_certificate() {
    let now = netsim::Network::new(1).now();
    let far = UNIX_EPOCH + Duration::from_secs(40_000_000_000);
    let given = Configuration {
        certificates: vec![certificate(0).into()],
        ..Configuration::default()
    };
    // Certificates are looked at before the servers.
    let mut nonsense = given.clone();
    nonsense.ice_servers.push(crate::IceServer::default());
    for configuration in [given, nonsense] {
        let parts = Parts::new(certificate(1), StdRng::seed_from_u64(1), now, far);
        let refused = Session::new(configuration, parts).err();
        assert_eq!(
            refused.map(|error| error.name()),
            Some("InvalidAccessError")
        );
    }
}

#[test]
fn set_the_configuration_refuses_another_pool_size_once_a_local_description_was_tried() {
    let mut side = lone();
    let now = netsim::Network::new(1).now();
    let rollback = SessionDescription::rollback();
    let failed = side.session.set_local_description(now, Some(rollback));
    assert_eq!(name(failed), "InvalidStateError");
    let mut configuration = side.session.configuration().clone();
    configuration.ice_candidate_pool_size = 2;
    assert_eq!(
        name(side.session.set_configuration(now, configuration)),
        "InvalidModificationError"
    );
}

#[test]
fn always_negotiating_data_channels_puts_their_section_first() {
    let mut side = lone();
    let now = netsim::Network::new(1).now();
    let mut configuration = side.session.configuration().clone();
    configuration.always_negotiate_data_channels = true;
    side.session
        .set_configuration(now, configuration)
        .expect("taken");
    side.session
        .add_track(MediaKind::Audio, "track".into(), Vec::new())
        .expect("a track");
    let offer = side
        .session
        .create_offer(&OfferOptions::default())
        .expect("an offer");
    let first = offer.sdp.lines().find(|line| line.starts_with("m="));
    assert!(first.is_some_and(|line| line.starts_with("m=application")));
    assert!(offer.sdp.contains("a=group:BUNDLE 0 1"), "{}", offer.sdp);
}

#[test]
fn offer_to_receive_options_change_transceivers_without_asking_for_negotiation() {
    let mut side = lone();
    let now = netsim::Network::new(1).now();
    let options = OfferOptions {
        offer_to_receive_audio: Some(true),
        ..OfferOptions::default()
    };
    for _ in 0..2 {
        side.session.create_offer(&options).expect("an offer");
    }
    side.drain(now);
    assert_eq!(side.negotiation_needed, 0);
    let directions = |side: &Side| -> Vec<D> {
        side.session
            .transceivers()
            .map(|view| view.direction())
            .collect()
    };
    assert_eq!(directions(&side), [D::RecvOnly], "one, and not again");
    side.session
        .add_track(MediaKind::Video, "track".into(), Vec::new())
        .expect("a track");
    let options = OfferOptions {
        offer_to_receive_audio: Some(false),
        offer_to_receive_video: Some(false),
        ..OfferOptions::default()
    };
    side.session.create_offer(&options).expect("an offer");
    assert_eq!(directions(&side), [D::Inactive, D::SendOnly]);
}

/// An RTP packet of two contributors, with their levels when `extension` has a number.
fn mixed(payload_type: u8, ssrc: u32, number: u16, extension: Option<u8>) -> Vec<u8> {
    let mut packet = vec![0x80 | u8::from(extension.is_some()) << 4 | 2, payload_type];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 960).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(0x1111_u32.to_be_bytes());
    packet.extend(0x2222_u32.to_be_bytes());
    if let Some(id) = extension {
        // RFC 8285 §4.2, RFC 6465 §3: two levels, -20 and -127 dBov.
        packet.extend([0xbe, 0xde, 0, 1, id << 4 | 1, 20, 127, 0]);
    }
    packet.extend([0xfc, 1, 2, 3]);
    packet
}

#[test]
fn get_contributing_sources_names_who_is_in_a_mix_and_how_loud() {
    // The peer mixes, and tells levels (RFC 6465); this side only hears them.
    let link = LinkConfig::with_latency(Duration::from_millis(5));
    let mut pair = pair_with(47, link, |offer| {
        let place = offer.find("a=extmap:").expect("extensions");
        let line = format!("a=extmap:14/sendonly {}\r\n", codecs::CSRC_AUDIO_LEVEL_URI);
        offer.insert_str(place, &line);
    });
    pair.run_for(Duration::from_secs(2));
    let now = pair.now();
    let kind_of = |side: &Side, kind| {
        let mut views = side.session.transceivers();
        views.find(|view| view.kind() == kind).expect("one").id()
    };
    let id = kind_of(&pair.b, MediaKind::Audio);
    let ssrc = pair
        .a
        .session
        .sent_ssrcs(kind_of(&pair.a, MediaKind::Audio))[0];
    let view = pair.b.session.transceiver(id).expect("a transceiver");
    let payload_type = view.receive_codecs()[0].payload_type;
    let extensions = pair.b.session.receiver_parameters(id).header_extensions;
    let level = extensions
        .iter()
        .find(|extension| extension.uri == codecs::CSRC_AUDIO_LEVEL_URI)
        .map(|extension| extension.id);
    assert!(level.is_some(), "{extensions:?}");
    for number in 0..10 {
        let packet = mixed(payload_type, ssrc, 100 + number, level).into();
        let now = now + Duration::from_millis(20) * u32::from(number);
        let Session { media, events, .. } = &mut pair.b.session;
        media.handle_rtp(now, 0, packet, events);
    }
    pair.run_for(Duration::from_secs(1));
    let heard = pair.b.session.contributing_sources(pair.now(), id);
    let mut found: Vec<(u32, Option<f64>)> = heard
        .iter()
        .map(|source| (source.source, source.audio_level))
        .collect();
    found.sort_by_key(|(source, _)| *source);
    assert_eq!(found, [(0x1111, Some(0.1)), (0x2222, Some(0.0))]);
    assert!(
        heard
            .iter()
            .all(|source| source.timestamp >= heard[0].timestamp)
    );
    let mixer = pair.b.session.synchronization_sources(pair.now(), id);
    assert_eq!(mixer.len(), 1);
    assert_eq!(mixer[0].source, ssrc);
    pair.run_for(Duration::from_secs(11));
    assert!(
        pair.b
            .session
            .contributing_sources(pair.now(), id)
            .is_empty()
    );
}

#[test]
fn what_the_peer_wants_to_receive_is_what_a_sender_is_set_to() {
    let (mut a, mut b) = (lone(), lone());
    let (from, to) = (&mut a.session, &mut b.session);
    let id = from
        .add_transceiver(MediaKind::Audio, None, D::SendRecv, Vec::new(), Vec::new())
        .expect("a transceiver");
    let now = netsim::Network::new(1).now();
    let offer = from.create_offer(&OfferOptions::default()).expect("offer");
    assert!(
        offer.sdp.contains("\r\na=maxptime:120\r\n"),
        "{}",
        offer.sdp
    );
    from.set_local_description(now, Some(offer.clone()))
        .expect("set");
    to.set_remote_description(now, &offer).expect("set");
    let mut answer = to.create_answer().expect("an answer");
    to.set_local_description(now, Some(answer.clone()))
        .expect("set");
    answer.sdp = answer
        .sdp
        .replace(
            "minptime=10;stereo=1",
            "minptime=10;maxaveragebitrate=20000",
        )
        .replace("a=maxptime:120", "a=ptime:40\r\na=maxptime:60");
    from.set_remote_description(now, &answer).expect("set");
    // W3C WebRTC §5.2.9: those of a sender come from the remote description, those of a receiver from the local one.
    let sender = &from.sender_parameters(id).expect("parameters").codecs[0];
    assert_eq!(sender.codec.fmtp("maxaveragebitrate"), Some("20000"));
    assert_eq!(sender.codec.fmtp("stereo"), None);
    let receiver = &from.receiver_parameters(id).codecs[0];
    assert_eq!(receiver.codec.fmtp("stereo"), Some("1"));
    let view = from.transceiver(id).expect("a transceiver");
    let wanted = view.packet_time();
    assert_eq!((wanted.preferred, wanted.most), (Some(40.0), Some(60.0)));
}

/// What RTP packets say of their header extensions (RFC 8285 §4.1.2, RFC 9335 §5).
fn extension_marks(heard: &[Datagram]) -> Vec<u16> {
    let rtp = heard.iter().filter(|datagram| {
        let packet = &datagram.payload;
        packet.len() > 16
            && packet[0] & 0xd0 == 0x90
            && packet[0] & 0x0f == 0
            && !(192..=223).contains(&packet[1])
    });
    rtp.map(|datagram| u16::from_be_bytes([datagram.payload[12], datagram.payload[13]]))
        .collect()
}

#[test]
fn rtp_header_extensions_are_encrypted_when_both_sides_take_them_so() {
    let link = LinkConfig::with_latency(Duration::from_millis(5));
    for (change, mark, encrypted) in [
        ((|_| {}) as fn(&mut String), 0xc0de, true),
        (
            |offer| *offer = offer.replace("a=cryptex\r\n", ""),
            0xbede,
            false,
        ),
    ] {
        let mut pair = pair_with(51, link.clone(), change);
        pair.run_until(Duration::from_secs(60), |a, b| {
            a.is_connected() && b.is_connected()
        })
        .expect("connected");
        let id = video(&pair.b);
        assert_eq!(pair.b.session.encrypts_headers(id), encrypted);
        for number in 0..10 {
            let now = pair.now();
            write_frames(&mut pair.b, now, number);
            pair.run_for(Duration::from_millis(20));
        }
        let marks = extension_marks(&pair.a.heard);
        assert!(
            marks.len() > 20 && marks.iter().all(|seen| *seen == mark),
            "{marks:x?}"
        );
        assert!(pair.a.frames >= 10, "they are read all the same");
    }
}

#[test]
fn a_peer_that_does_not_encrypt_header_extensions_is_refused_when_that_is_required() {
    let (mut a, mut b) = (lone(), lone());
    let now = netsim::Network::new(1).now();
    a.session
        .add_transceiver(MediaKind::Audio, None, D::SendRecv, Vec::new(), Vec::new())
        .expect("a transceiver");
    let mut offer = a
        .session
        .create_offer(&OfferOptions::default())
        .expect("an offer");
    let mut configuration = b.session.configuration().clone();
    configuration.rtp_header_encryption_policy = RtpHeaderEncryptionPolicy::Require;
    b.session
        .set_configuration(now, configuration)
        .expect("set");
    let taken = offer.clone();
    offer.sdp = offer.sdp.replace("a=cryptex\r\n", "");
    assert_eq!(
        name(b.session.set_remote_description(now, &offer)),
        "InvalidAccessError"
    );
    assert_eq!(name(b.session.set_remote_description(now, &taken)), "none");
}
