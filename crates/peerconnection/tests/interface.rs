//! What the interface promises, on real sockets of this machine: each test is named after what the W3C text has there.

use media::{EncodedFrame, MediaKind, MediaStream, MediaStreamTrack, TrackInit, TrackWriter};
use pc_media_capture::testcard::{TestCard, read_counter};
use peerconnection::{
    ApplicationCodec, Configuration, DataChannelEvent, DataChannelInit, DataChannelState,
    DtlsTransportState, EncodedTransform, Error, Event, IceCandidate, IceCandidateInit,
    IceComponent, IceRole, IceTransportEvent, IceTransportState, IdentityFuture, IdentityProvider,
    IdentityProviderOptions, IdentityValidation, KeygenAlgorithm, NetworkOptions, PeerConnection,
    PeerConnectionState, RtcErrorDetail, RtpEncodingParameters, SctpTransportState, StatsReport,
    TrackEvent, TransceiverDirection, TransceiverInit,
};
use peerconnection::{Sframe, SframeSuite};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn connection_with(configuration: Configuration) -> PeerConnection {
    let network = NetworkOptions {
        addresses: Some(vec![[127, 0, 0, 1].into()]),
        ..NetworkOptions::default()
    };
    PeerConnection::builder(configuration)
        .network(network)
        .identity_providers(vec![Arc::new(Notary)])
        .build()
        .expect("a connection")
}

fn connection() -> PeerConnection {
    connection_with(Configuration::default())
}

async fn negotiate(offerer: &PeerConnection, answerer: &PeerConnection) {
    offerer.set_local_description(None).await.expect("an offer");
    let offer = offerer.local_description().expect("the offer");
    answerer
        .set_remote_description(&offer)
        .await
        .expect("taken");
    answerer
        .set_local_description(None)
        .await
        .expect("an answer");
    let answer = answerer.local_description().expect("the answer");
    offerer
        .set_remote_description(&answer)
        .await
        .expect("taken");
}

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: nothing for 60 s"),
    }
}

async fn connected(pc: &PeerConnection) {
    let mut events = pc.events();
    bounded("connected", async {
        while pc.connection_state() != PeerConnectionState::Connected {
            events.next().await.expect("more events");
        }
    })
    .await;
}

async fn incoming_track(pc: &PeerConnection) -> TrackEvent {
    let mut events = pc.events();
    bounded("track", async {
        loop {
            if let Event::Track(track) = events.next().await.expect("more events") {
                return track;
            }
        }
    })
    .await
}

fn track(kind: MediaKind) -> (MediaStreamTrack, TrackWriter) {
    MediaStreamTrack::new(kind, TrackInit::default())
}

/// Test-card pictures, thirty a second, until the track has no consumer.
fn show(writer: TrackWriter, width: u32, height: u32) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let card = TestCard::new(width, height).expect("a size");
        let mut clock = tokio::time::interval(Duration::from_millis(33));
        for counter in 0.. {
            clock.tick().await;
            let picture = card.draw(counter, Duration::from_millis(33) * counter);
            if writer.write(picture).is_err() {
                return;
            }
        }
    })
}

#[tokio::test]
async fn generate_certificate_limits_what_it_makes() {
    let year = Duration::from_secs(365 * 24 * 3_600);
    let long = PeerConnection::generate_certificate(KeygenAlgorithm::EcdsaP384, Some(year * 5))
        .await
        .expect("a certificate");
    let usual = PeerConnection::generate_certificate(KeygenAlgorithm::EcdsaP256, None)
        .await
        .expect("a certificate");
    let more = long.expires().duration_since(usual.expires());
    let more = more.expect("the long one expires later");
    let month = Duration::from_secs(30 * 24 * 3_600);
    assert!(more < year && more > year - month - Duration::from_secs(60));
    let refused = PeerConnection::generate_certificate(KeygenAlgorithm::RsassaPkcs1V15, None).await;
    let refused = refused.expect_err("RSA");
    assert_eq!(refused.name(), "NotSupportedError");
    assert!(refused.to_string().contains("ECDSA"), "{refused}");
    // One fingerprint is by the hash of the signature.
    let hashes = long.fingerprints().into_iter().map(|one| one.algorithm);
    assert_eq!(hashes.collect::<Vec<_>>(), ["sha-256", "sha-384"]);
    assert_eq!(usual.fingerprints().len(), 1);

    let fingerprint = usual.fingerprints().remove(0);
    assert_eq!(fingerprint.algorithm, "sha-256");
    let pc = connection_with(Configuration {
        certificates: vec![usual.clone()],
        ..Configuration::default()
    });
    assert_eq!(pc.configuration().certificates, [usual]);
    pc.create_data_channel("", Default::default())
        .expect("a channel");
    let offer = pc
        .create_offer(&Default::default())
        .await
        .expect("an offer");
    assert!(offer.sdp.contains(&fingerprint.value.to_uppercase()));
    let error = pc
        .set_configuration(Configuration::default())
        .expect_err("other certificates");
    assert_eq!(error.name(), "InvalidModificationError");
}

#[test]
fn create_an_rtc_ice_candidate_parses_it_into_its_members_or_leaves_them_null() {
    let line = "candidate:842163049 1 tcp 1677729535 203.0.113.5 9 typ srflx raddr 10.0.0.1 rport 60769 tcptype active ufrag abcd";
    let mut init = IceCandidateInit {
        candidate: line.into(),
        ..IceCandidateInit::default()
    };
    assert_eq!(
        IceCandidate::new(&init).map_err(|error| error.name()),
        Err("TypeError")
    );
    init.sdp_mid = Some("0".into());
    let candidate = IceCandidate::new(&init).expect("a candidate");
    assert_eq!(candidate.candidate, line);
    assert_eq!(candidate.foundation(), Some("842163049"));
    assert_eq!(candidate.component(), Some(IceComponent::Rtp));
    assert_eq!(candidate.priority(), Some(1_677_729_535));
    assert_eq!(
        (candidate.address().as_deref(), candidate.port()),
        (Some("203.0.113.5"), Some(9))
    );
    let text = |it: Option<String>| it.unwrap_or_default();
    assert_eq!(text(candidate.protocol().map(|it| it.to_string())), "tcp");
    assert_eq!(
        text(candidate.candidate_type().map(|it| it.to_string())),
        "srflx"
    );
    assert_eq!(candidate.tcp_type().map(|it| it.as_str()), Some("active"));
    assert_eq!(candidate.related_address().as_deref(), Some("10.0.0.1"));
    assert_eq!(candidate.related_port(), Some(60_769));
    // Not the extension of the candidate: only what was given (W3C WebRTC §4.8.1).
    assert_eq!(candidate.username_fragment, None);
    assert_eq!((candidate.relay_protocol(), candidate.url()), (None, None));
    assert_eq!(candidate.to_init(), init);
    // What cannot be read is kept, and its members are null.
    for unreadable in ["candidate:nonsense", ""] {
        init.candidate = unreadable.into();
        let candidate = IceCandidate::new(&init).expect("a candidate");
        assert_eq!(candidate.candidate, unreadable);
        assert_eq!(candidate.address(), None);
        assert_eq!((candidate.foundation(), candidate.priority()), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transports_have_states_candidates_and_events() {
    let (alice, bob) = (connection(), connection());
    let (sound, _writer) = track(MediaKind::Audio);
    let sender = alice.add_track(&sound, &[]).expect("a sender");
    alice
        .create_data_channel("data", Default::default())
        .expect("a channel");
    assert!(sender.transport().is_none() && alice.sctp().is_none());
    alice.set_local_description(None).await.expect("an offer");
    let sctp = alice.sctp().expect("an association on offer");
    assert_eq!(sctp.state(), SctpTransportState::Connecting);
    let separate = sctp.transport().expect("one of its own until the answer");
    assert_eq!(separate.state(), DtlsTransportState::New);
    assert_eq!((sctp.max_message_size(), sctp.max_channels()), (None, None));
    let dtls = sender.transport().expect("a transport");
    let ice = dtls.ice_transport();
    let mut ice_events = ice.events();
    assert_eq!(dtls.state(), DtlsTransportState::New);
    assert_eq!(
        (ice.role(), ice.component()),
        (IceRole::Controlling, IceComponent::Rtp)
    );
    assert!(ice.remote_parameters().is_none() && dtls.remote_certificates().is_empty());
    let offer = alice.local_description().expect("the offer");
    bob.set_remote_description(&offer).await.expect("taken");
    assert!(bob.sctp().is_some_and(|sctp| sctp.transport().is_none()));
    bob.set_local_description(None).await.expect("an answer");
    let answer = bob.local_description().expect("the answer");
    alice.set_remote_description(&answer).await.expect("taken");
    assert_eq!(alice.sctp(), Some(sctp.clone()));
    let mut sctp_events = sctp.events();
    connected(&alice).await;

    assert_eq!(dtls.state(), DtlsTransportState::Connected);
    assert_eq!(sender.transport(), Some(dtls.clone()));
    assert_eq!(dtls.remote_certificates().len(), 1);
    assert!(matches!(
        ice.state(),
        IceTransportState::Connected | IceTransportState::Completed
    ));
    assert!(!ice.local_candidates().is_empty() && !ice.remote_candidates().is_empty());
    let pair = ice.selected_candidate_pair().expect("a pair");
    assert_eq!(pair.local.address().as_deref(), Some("127.0.0.1"));
    assert_eq!(pair.local.sdp_mid.as_deref(), Some("0"));
    let local = ice.local_parameters().expect("parameters");
    assert!(
        offer
            .sdp
            .contains(&format!("a=ice-ufrag:{}", local.username_fragment))
    );
    let remote = ice.remote_parameters().expect("parameters");
    assert!(
        answer
            .sdp
            .contains(&format!("a=ice-pwd:{}", remote.password))
    );
    let mut seen = Vec::new();
    while let Some(event) = ice_events.try_next() {
        seen.push(event);
    }
    let checking = IceTransportEvent::StateChange(IceTransportState::Checking);
    assert!(seen.contains(&checking), "{seen:?}");
    assert!(
        seen.iter()
            .any(|event| matches!(event, IceTransportEvent::SelectedCandidatePairChange(_)))
    );

    // It may have come up before anybody listened.
    while sctp.state() != SctpTransportState::Connected {
        let state = bounded("sctp", sctp_events.next()).await;
        assert_eq!(state, Some(SctpTransportState::Connected));
    }
    assert_eq!(sctp.transport(), Some(dtls.clone()));
    assert_eq!(sctp.max_message_size(), Some(262_144));
    assert!(sctp.max_channels().is_some_and(|count| count > 100));
    alice.close();
    // The states end; what else the slots hold stays (W3C WebRTC §4.4.2, "close the connection").
    assert_eq!(ice.local_parameters(), Some(local));
    assert_eq!(
        (ice.role(), ice.selected_candidate_pair()),
        (IceRole::Controlling, None)
    );
    assert_eq!(dtls.remote_certificates().len(), 1);
    assert_eq!(dtls.state(), DtlsTransportState::Closed);
    assert_eq!(ice.state(), IceTransportState::Closed);
    assert_eq!(sctp.state(), SctpTransportState::Closed);
    assert_eq!(ice_events.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_channel_tells_of_its_life_in_the_order_of_the_text() {
    let (alice, bob) = (connection(), connection());
    let ours = alice
        .create_data_channel("data", Default::default())
        .expect("a channel");
    let mut theirs = bob.events();
    negotiate(&alice, &bob).await;
    let channel = bounded("datachannel", async {
        loop {
            if let Event::DataChannel(channel) = theirs.next().await.expect("more events") {
                return channel;
            }
        }
    })
    .await;
    // It can be sent on before it says that it is open.
    assert_eq!(channel.ready_state(), DataChannelState::Open);
    channel.send_text("at once").await.expect("sent");
    let mut events = channel.events();
    let next = bounded("open", events.next()).await;
    assert_eq!(next, Some(DataChannelEvent::Open));
    // What was sent has left.
    let next = bounded("bufferedamountlow", events.next()).await;
    assert_eq!(next, Some(DataChannelEvent::BufferedAmountLow));
    assert_eq!(channel.id(), ours.id());
    bounded("message", ours.recv()).await.expect("a message");

    let mut our_events = ours.events();
    let next = bounded("open", our_events.next()).await;
    assert_eq!(
        next,
        Some(DataChannelEvent::Open),
        "the first listener hears what was before"
    );
    alice.close();
    // The side that closes hears of no more, the other of an error and the end.
    assert_eq!(bounded("the end", our_events.next()).await, None);
    assert_eq!(ours.events().next().await, None);
    assert_eq!(ours.ready_state(), DataChannelState::Closed);
    match bounded("error", events.next()).await {
        Some(DataChannelEvent::Error(error)) => {
            assert_eq!(error.detail, RtcErrorDetail::SctpFailure);
            assert_eq!(error.sctp_cause_code, Some(12));
        }
        other => panic!("{other:?}"),
    }
    let next = bounded("close", events.next()).await;
    assert_eq!(next, Some(DataChannelEvent::Close));
    assert_eq!(events.next().await, None);
    let id = channel.id();
    assert!(id.is_some() && id == ours.id());
    // Of two mistakes the text finds the closed connection first.
    let nonsense = DataChannelInit {
        negotiated: true,
        ..DataChannelInit::default()
    };
    let refused = alice
        .create_data_channel("x", nonsense)
        .expect_err("closed");
    assert_eq!(refused.name(), "InvalidStateError");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_are_told_as_they_begin() {
    let (alice, bob) = (connection(), connection());
    let (sound, _writer) = track(MediaKind::Audio);
    let sender = alice.add_track(&sound, &[]).expect("a sender");
    let dtmf = sender.dtmf().expect("a sender of sound");
    assert!(!dtmf.can_insert_dtmf());
    negotiate(&alice, &bob).await;
    connected(&alice).await;
    assert!(dtmf.can_insert_dtmf());
    let mut tones = dtmf.events();
    assert_eq!(
        dtmf.insert_dtmf("x").map_err(|error| error.name()),
        Err("InvalidCharacterError")
    );
    dtmf.insert_dtmf("1#").expect("tones");
    for expected in ["1", "#", ""] {
        let tone = bounded("tone", tones.next()).await;
        assert_eq!(tone.as_deref(), Some(expected));
    }
    assert_eq!(dtmf.tone_buffer(), "");
}

async fn until(
    pc: &PeerConnection,
    what: &str,
    enough: impl Fn(&StatsReport) -> bool,
) -> StatsReport {
    for _ in 0..600 {
        let report = pc.stats().await;
        if enough(&report) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: {}", pc.stats().await.to_json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_parameters_scales_what_is_sent() {
    let (alice, bob) = (connection(), connection());
    let (pictures, writer) = track(MediaKind::Video);
    let sender = alice.add_track(&pictures, &[]).expect("a sender");
    show(writer, 320, 240);
    negotiate(&alice, &bob).await;
    let width = |report: &StatsReport| report.outbound().next()?.frame_width;
    until(&alice, "pictures are sent", |report| {
        width(report) == Some(320)
    })
    .await;
    let mut parameters = sender.parameters().expect("parameters");
    parameters.encodings[0].scale_resolution_down_by = Some(2.0);
    parameters.encodings[0].max_framerate = Some(5.0);
    sender.set_parameters(parameters).await.expect("set");
    let report = until(&alice, "pictures are smaller and fewer", |report| {
        let slower = report
            .outbound()
            .next()
            .and_then(|stream| stream.frames_per_second)
            .is_some_and(|rate| rate < 8.0);
        width(report) == Some(160) && slower
    })
    .await;
    let stream = report.outbound().next().expect("a stream");
    assert_eq!(
        (stream.frame_width, stream.frame_height),
        (Some(160), Some(120))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulcast_encodes_every_encoding() {
    let (alice, bob) = (connection(), connection());
    let (pictures, writer) = track(MediaKind::Video);
    let rids = ["q", "h", "f"];
    let encodings = rids.map(|rid| RtpEncodingParameters {
        rid: Some(rid.into()),
        ..RtpEncodingParameters::default()
    });
    let init = TransceiverInit {
        direction: TransceiverDirection::SendOnly,
        send_encodings: encodings.to_vec(),
        track: Some(pictures),
        ..TransceiverInit::default()
    };
    let transceiver = alice
        .add_transceiver(MediaKind::Video, init)
        .expect("a transceiver");
    negotiate(&alice, &bob).await;
    let received = incoming_track(&bob).await;
    let mut frames = received.receiver.encoded_frames();
    tokio::spawn(async move { while frames.next().await.is_some() {} });
    show(writer, 640, 360);
    until(&bob, "three streams", |report| {
        report
            .inbound()
            .filter(|stream| stream.frames_received > Some(5))
            .count()
            == 3
    })
    .await;
    let report = until(&alice, "three encodings", |report| {
        report
            .outbound()
            .filter(|stream| stream.frames_encoded > Some(5))
            .count()
            == 3
    })
    .await;
    let mut sizes: Vec<_> = report
        .outbound()
        .map(|stream| {
            (
                stream.encoding_index,
                stream.rid.clone(),
                stream.frame_width,
            )
        })
        .collect();
    sizes.sort();
    let expected = [(0, "q", 160), (1, "h", 320), (2, "f", 640)];
    let expected = expected.map(|(index, rid, width)| (Some(index), Some(rid.into()), Some(width)));
    assert_eq!(sizes, expected);

    // One that is switched off stops; the others go on.
    let sender = transceiver.sender();
    let mut parameters = sender.parameters().expect("parameters");
    parameters.encodings[1].active = false;
    sender.set_parameters(parameters).await.expect("set");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let count = |report: &StatsReport, rid: &str| {
        let mut streams = report.outbound();
        let stream = streams.find(|stream| stream.rid.as_deref() == Some(rid));
        stream.and_then(|stream| stream.frames_encoded).unwrap_or(0)
    };
    let before = alice.stats().await;
    let after = until(&alice, "the others go on", |report| {
        count(report, "f") > count(&before, "f") + 5
    })
    .await;
    assert_eq!(count(&after, "h"), count(&before, "h"));
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_that_the_application_has_encoded_arrives_as_it_was() {
    let configuration = || Configuration {
        application_codecs: vec![ApplicationCodec::h264("42e01f")],
        ..Configuration::default()
    };
    let alice = connection_with(configuration());
    let bob = connection_with(configuration());
    let init = TransceiverInit {
        direction: TransceiverDirection::SendOnly,
        ..TransceiverInit::default()
    };
    let transceiver = alice
        .add_transceiver(MediaKind::Video, init)
        .expect("a transceiver");
    let codecs = alice.capabilities(MediaKind::Video).codecs;
    let h264: Vec<_> = codecs
        .into_iter()
        .filter(|codec| ["H264", "rtx"].contains(&codec.name()))
        .collect();
    transceiver.set_codec_preferences(&h264).expect("known");
    negotiate(&alice, &bob).await;
    let received = incoming_track(&bob).await;
    let mut frames = received.receiver.encoded_frames();
    connected(&alice).await;
    assert_eq!(transceiver.sender().codecs()[0].codec.name(), "H264");
    let mut picture = vec![
        0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80,
    ];
    picture.extend([0, 0, 0, 1, 0x65]);
    picture.extend([0x55; 4_000]);
    let sender = transceiver.sender();
    let frame = EncodedFrame::video(picture.clone().into(), Duration::from_millis(40), true);
    bounded("sent", async {
        while !sender.send_encoded(&frame).expect("open") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let came = bounded("a frame", frames.next()).await.expect("a frame");
    assert_eq!(came.frame.data[..], picture[..]);
    assert!(came.frame.keyframe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_run_through_the_transforms_of_both_sides() {
    let (alice, bob) = (connection(), connection());
    let (pictures, writer) = track(MediaKind::Video);
    let sender = alice.add_track(&pictures, &[]).expect("a sender");
    // The first bytes tell keyframes from others.
    let turn = |frame: &mut peerconnection::RtcEncodedFrame| {
        let bytes = frame.data.iter().enumerate();
        frame.data = bytes
            .map(|(index, byte)| if index < 10 { *byte } else { !*byte })
            .collect();
    };
    let (sent, received) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&sent);
    let transform = EncodedTransform::new(move |mut frames| async move {
        while let Some(mut frame) = frames.read().await {
            assert_eq!(frame.metadata().mime_type, "video/VP8");
            turn(&mut frame);
            count.fetch_add(1, Ordering::Relaxed);
            frames.write(frame);
        }
    });
    sender.set_transform(Some(transform)).expect("set");
    negotiate(&alice, &bob).await;
    let event = incoming_track(&bob).await;
    let count = Arc::clone(&received);
    let transform = EncodedTransform::map(move |mut frame| {
        turn(&mut frame);
        count.fetch_add(1, Ordering::Relaxed);
        Some(frame)
    });
    event.receiver.set_transform(Some(transform)).expect("set");
    let mut shown = event.track.subscribe_video().expect("a video track");
    show(writer, 320, 240);
    bounded("pictures", async {
        let mut read = 0;
        while read < 10 {
            let picture = shown.recv().await.expect("pictures");
            read += u32::from(read_counter(&picture).is_some());
        }
    })
    .await;
    assert!(sent.load(Ordering::Relaxed) >= 10);
    assert!(received.load(Ordering::Relaxed) >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sframe_hides_frames_from_everybody_without_the_key() {
    let (alice, bob) = (connection(), connection());
    let (pictures, writer) = track(MediaKind::Video);
    let sender = alice.add_track(&pictures, &[]).expect("a sender");
    let base_key = *b"sixteen octets!!";
    let mut keys = Sframe::new(SframeSuite::Aes128Gcm);
    keys.add_encryption_key(1, &base_key).expect("a key");
    sender.set_transform(Some(keys.encryptor(1))).expect("set");
    negotiate(&alice, &bob).await;
    let event = incoming_track(&bob).await;
    let mut shown = event.track.subscribe_video().expect("a video track");
    show(writer, 320, 240);
    // Without the key nothing can be seen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut shown_so_far, mut readable) = (0, 0);
    while let Some(picture) = shown.try_recv() {
        shown_so_far += 1;
        readable += u32::from(read_counter(&picture).is_some());
    }
    assert!(readable * 4 <= shown_so_far, "{readable} of {shown_so_far}");
    let mut keys = Sframe::new(SframeSuite::Aes128Gcm);
    keys.add_decryption_key(1, &base_key).expect("a key");
    event
        .receiver
        .set_transform(Some(keys.decryptor()))
        .expect("set");
    bounded("pictures", async {
        let mut read = 0;
        while read < 10 {
            let picture = shown.recv().await.expect("pictures");
            read += u32::from(read_counter(&picture).is_some());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_stats_selects_by_track() {
    let (alice, bob) = (connection(), connection());
    let (pictures, writer) = track(MediaKind::Video);
    let (sound, _sound) = track(MediaKind::Audio);
    alice.add_track(&pictures, &[]).expect("a sender");
    alice.add_track(&sound, &[]).expect("a sender");
    show(writer, 320, 240);
    negotiate(&alice, &bob).await;
    until(&alice, "pictures are sent", |report| {
        report
            .outbound()
            .any(|stream| stream.frames_encoded > Some(3))
    })
    .await;
    let kinds = |report: &StatsReport| -> Vec<String> {
        let json = report.to_json();
        let entries = json.as_object().expect("an object").values();
        let mut kinds: Vec<String> = entries
            .map(|entry| entry["type"].as_str().expect("a type").to_owned())
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    let report = alice.stats_of(&pictures).await.expect("statistics");
    assert_eq!(report.outbound().count(), 1);
    let kinds = kinds(&report);
    for kind in [
        "outbound-rtp",
        "codec",
        "transport",
        "media-source",
        "certificate",
        "candidate-pair",
    ] {
        assert!(
            kinds.iter().any(|known| known == kind),
            "{kind} in {kinds:?}"
        );
    }
    assert!(!kinds.iter().any(|kind| kind == "peer-connection"));
    let (stranger, _writer) = track(MediaKind::Video);
    let error = alice.stats_of(&stranger).await.expect_err("not in use");
    assert_eq!(error.name(), "InvalidAccessError");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(deprecated, reason = "these are what is tested")]
async fn the_older_names_still_work() {
    let (alice, bob) = (connection(), connection());
    let (sound, _sound) = track(MediaKind::Audio);
    let (pictures, _pictures) = track(MediaKind::Video);
    let stream = MediaStream::new([sound.clone(), pictures.clone()]);
    alice.add_stream(&stream).expect("added");
    assert_eq!(alice.senders().len(), 2);
    assert_eq!(alice.local_streams().len(), 1);
    assert!(alice.create_dtmf_sender(&sound).is_ok());
    assert!(alice.create_dtmf_sender(&pictures).is_err());
    let mut events = bob.events();
    negotiate(&alice, &bob).await;
    let added = bounded("addstream", async {
        loop {
            match events.next().await.expect("more events") {
                Event::AddStream(stream) => return stream,
                Event::Track(_) => panic!("the stream comes before its tracks"),
                _ => {}
            }
        }
    })
    .await;
    assert_eq!(added.id(), stream.id());
    assert_eq!(bob.remote_streams().len(), 1);
    assert!(bob.stream_by_id(stream.id()).is_some() && bob.stream_by_id("other").is_none());
    alice.remove_stream(&stream).expect("removed");
    assert!(alice.local_streams().is_empty());
    negotiate(&alice, &bob).await;
    bounded("removestream", async {
        loop {
            if let Event::RemoveStream(removed) = events.next().await.expect("more events") {
                assert_eq!(removed.id(), stream.id());
                return;
            }
        }
    })
    .await;
    assert!(bob.remote_streams().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_the_associated_remote_streams_moves_a_track_between_streams_that_stay_the_same() {
    let (alice, bob) = (connection(), connection());
    let (sound, _sound) = track(MediaKind::Audio);
    let (one, two) = (MediaStream::new([]), MediaStream::new([]));
    let sender = alice.add_track(&sound, &[&one, &two]).expect("a sender");
    negotiate(&alice, &bob).await;
    let event = incoming_track(&bob).await;
    let theirs = event.track.id();
    let ids: Vec<_> = event.streams.iter().map(MediaStream::id).collect();
    assert_eq!(ids, [one.id(), two.id()]);
    let is_in = |index: usize| event.streams[index].track_by_id(theirs).is_some();
    let mut events = bob.events();
    let tracks = |events: &mut peerconnection::Events| {
        let all = std::iter::from_fn(|| events.try_next());
        all.filter_map(|event| match event {
            Event::Track(track) => Some(track.streams),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    let settled = |first: bool, second: bool| async move {
        while (is_in(0), is_in(1)) != (first, second) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Leaving a stream is no event of the connection.
    sender.set_streams(&[&two]).expect("set");
    negotiate(&alice, &bob).await;
    bounded("left", settled(false, true)).await;
    assert!(tracks(&mut events).is_empty());
    // Joining is, and the stream is the one of before.
    sender.set_streams(&[&one, &two]).expect("set");
    negotiate(&alice, &bob).await;
    bounded("joined", settled(true, true)).await;
    let again = bounded("track", async {
        loop {
            if let Some(streams) = tracks(&mut events).pop() {
                return streams;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(again == event.streams);
    // An offer to pause takes it out of both at once, before any answer.
    alice.remove_track(&sender).expect("removed");
    alice.set_local_description(None).await.expect("an offer");
    let offer = alice.local_description().expect("the offer");
    bob.set_remote_description(&offer).await.expect("taken");
    bounded("out", settled(false, false)).await;
    assert_eq!(bob.signaling_state().as_str(), "have-remote-offer");
}

/// Vouches for everybody by writing down what they say.
struct Notary;

impl IdentityProvider for Notary {
    fn domain(&self) -> &str {
        "notary.example"
    }

    fn generate_assertion<'a>(
        &'a self,
        contents: &'a str,
        options: &'a IdentityProviderOptions,
    ) -> IdentityFuture<'a, String> {
        Box::pin(async move {
            let user = options
                .username_hint
                .as_deref()
                .ok_or("nobody is logged in")?;
            Ok(format!("{user}\n{contents}"))
        })
    }

    fn validate_assertion<'a>(
        &'a self,
        assertion: &'a str,
    ) -> IdentityFuture<'a, IdentityValidation> {
        Box::pin(async move {
            let (user, contents) = assertion.split_once('\n').ok_or("not one of ours")?;
            Ok(IdentityValidation {
                identity: format!("{user}@notary.example"),
                contents: contents.into(),
            })
        })
    }
}

fn named(user: &str) -> IdentityProviderOptions {
    IdentityProviderOptions {
        username_hint: Some(user.into()),
        ..IdentityProviderOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peers_identity_is_what_its_provider_asserts() {
    let (alice, bob) = (connection(), connection());
    alice
        .create_data_channel("", Default::default())
        .expect("a channel");
    let nobody = alice.identity_assertion().await.expect_err("no provider");
    assert_eq!(nobody.name(), "InvalidStateError");
    alice
        .set_identity_provider(Arc::new(Notary), named("alice"))
        .expect("set");
    negotiate(&alice, &bob).await;
    let offer = alice.local_description().expect("the offer");
    assert_eq!(offer.sdp.matches("a=identity:").count(), 1);
    let identity = bounded("identity", bob.peer_identity())
        .await
        .expect("somebody");
    assert_eq!(identity.name, "alice@notary.example");
    assert_eq!(identity.idp, "notary.example");
    connected(&bob).await;
}

#[tokio::test]
async fn a_peer_that_is_somebody_else_is_refused() {
    let alice = connection();
    alice
        .create_data_channel("", Default::default())
        .expect("a channel");
    alice
        .set_identity_provider(Arc::new(Notary), named("alice"))
        .expect("set");
    alice.set_local_description(None).await.expect("an offer");
    let offer = alice.local_description().expect("the offer");
    let detail = |error: Error| match error {
        Error::Rtc(error) => error.detail,
        other => panic!("{other}"),
    };
    let expects = |name: &str| {
        connection_with(Configuration {
            peer_identity: Some(name.into()),
            ..Configuration::default()
        })
    };
    expects("alice@notary.example")
        .set_remote_description(&offer)
        .await
        .expect("it is alice");
    let refused = expects("carol@notary.example")
        .set_remote_description(&offer)
        .await
        .expect_err("it is not carol");
    assert_eq!(detail(refused), RtcErrorDetail::IdpTokenInvalid);

    // Another certificate than the one that was vouched for, as a man in the middle would have it.
    let mut changed = offer.clone();
    let place = changed
        .sdp
        .find("a=fingerprint:sha-256 ")
        .expect("a fingerprint")
        + 22;
    let digit = if &changed.sdp[place..=place] == "0" {
        "1"
    } else {
        "0"
    };
    changed.sdp.replace_range(place..=place, digit);
    let bob = connection();
    bob.set_remote_description(&changed).await.expect("taken");
    let refused = bob.peer_identity().await.expect_err("not vouched for");
    assert_eq!(detail(refused), RtcErrorDetail::IdpTokenInvalid);
}
