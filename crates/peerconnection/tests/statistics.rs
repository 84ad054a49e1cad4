//! Statistics of codecs and speakers at work, on real sockets of this machine.

use media::{AudioFrame, MediaKind, MediaStreamTrack, TrackInit};
use pc_media_capture::playout::{SilentSpeaker, Speaker};
use pc_media_capture::testcard::TestCard;
use peerconnection::{Configuration, Event, NetworkOptions, PeerConnection};
use serde_json::{Map, Value};
use std::time::Duration;

fn connection() -> PeerConnection {
    let network = NetworkOptions {
        addresses: Some(vec![[127, 0, 0, 1].into()]),
        ..NetworkOptions::default()
    };
    PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection")
}

/// A call that sends one track, and the track as it is received.
async fn call(track: &MediaStreamTrack) -> (PeerConnection, PeerConnection, MediaStreamTrack) {
    let (alice, bob) = (connection(), connection());
    let mut events = bob.events();
    alice.add_track(track, &[]).expect("a sender");
    alice.set_local_description(None).await.expect("an offer");
    let offer = alice.local_description().expect("the offer");
    bob.set_remote_description(&offer).await.expect("taken");
    bob.set_local_description(None).await.expect("an answer");
    let answer = bob.local_description().expect("the answer");
    alice.set_remote_description(&answer).await.expect("taken");
    loop {
        if let Event::Track(event) = events.next().await.expect("a track") {
            return (alice, bob, event.track);
        }
    }
}

/// The dictionary of this type, once there is one that is as wanted.
async fn until(
    pc: &PeerConnection,
    name: &str,
    wanted: impl Fn(&Map<String, Value>) -> bool,
) -> Map<String, Value> {
    for _ in 0..600 {
        let report = pc.stats().await.to_json();
        let mut entries = report.as_object().expect("an object").values();
        let found = entries.find(|entry| entry["type"] == name);
        if let Some(found) = found
            .and_then(Value::as_object)
            .filter(|entry| wanted(entry))
        {
            return found.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name}: {:#}", pc.stats().await.to_json());
}

fn number(entry: &Map<String, Value>, member: &str) -> f64 {
    let value = entry.get(member).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("{member} of {entry:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_encoders_and_decoders_do_is_in_the_statistics() {
    let (pictures, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    let (alice, bob, received) = call(&pictures).await;
    tokio::spawn(async move {
        let card = TestCard::new(640, 480).expect("a size");
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for counter in 0.. {
            ticks.tick().await;
            let picture = card.draw(counter, Duration::from_millis(50) * counter);
            if camera.write(picture).is_err() {
                return;
            }
        }
    });
    // Nobody looks yet.
    let unseen = until(&bob, "inbound-rtp", |entry| {
        number(entry, "framesDecoded") > 5.0
    })
    .await;
    assert_eq!(number(&unseen, "framesRendered"), 0.0);
    let mut window = received.subscribe_video().expect("pictures");
    tokio::spawn(async move { while window.recv().await.is_some() {} });
    let inbound = until(&bob, "inbound-rtp", |entry| {
        number(entry, "framesRendered") > 10.0
    })
    .await;
    let outbound = until(&alice, "outbound-rtp", |_| true).await;
    for (entry, frames, implementation) in [
        (&inbound, "framesDecoded", "decoderImplementation"),
        (&outbound, "framesEncoded", "encoderImplementation"),
    ] {
        let quantizer = number(entry, "qpSum") / number(entry, frames);
        assert!((0.5..=127.0).contains(&quantizer), "{entry:?}");
        assert_eq!(entry[implementation], "libvpx");
    }
    assert_eq!(inbound["powerEfficientDecoder"], false);
    assert_eq!(outbound["powerEfficientEncoder"], false);
    let rendered = number(&inbound, "framesRendered");
    assert!(rendered < number(&inbound, "framesDecoded"));
    assert!(number(&inbound, "totalInterFrameDelay") > 0.0);
    // The test card's first picture alone takes several packets.
    assert!(number(&inbound, "framesAssembledFromMultiplePackets") >= 1.0);
    let processing = number(&inbound, "totalProcessingDelay");
    assert!(
        processing >= number(&inbound, "totalDecodeTime"),
        "{processing}"
    );
    assert!(number(&outbound, "hugeFramesSent") <= number(&outbound, "framesSent"));
    let held = outbound["qualityLimitationDurations"]
        .as_object()
        .expect("a record");
    let reasons: Vec<&str> = held.keys().map(String::as_str).collect();
    assert_eq!(reasons, ["bandwidth", "cpu", "none", "other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_speaker_that_plays_a_track_is_in_its_statistics() {
    let (sound, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let (_alice, bob, received) = call(&sound).await;
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for index in 0_u32.. {
            ticks.tick().await;
            let time = Duration::from_millis(20) * index;
            if microphone
                .write(AudioFrame::silence(960, 48_000, 1, time))
                .is_err()
            {
                return;
            }
        }
    });
    let before = until(&bob, "inbound-rtp", |_| true).await;
    assert!(!before.contains_key("playoutId"), "nobody plays it");
    let speaker = Speaker::on(&SilentSpeaker).expect("a speaker");
    let playback = speaker.play(&received).expect("sound");
    let played = until(&bob, "media-playout", |entry| {
        number(entry, "totalPlayoutDelay") > 0.0
    })
    .await;
    let inbound = until(&bob, "inbound-rtp", |entry| entry.contains_key("playoutId")).await;
    assert_eq!(inbound["playoutId"], played["id"]);
    assert_eq!(played["kind"], "audio");
    let (samples, duration) = (
        number(&played, "totalSamplesCount"),
        number(&played, "totalSamplesDuration"),
    );
    assert!((samples - duration * 48_000.0).abs() < 1.0, "{played:?}");
    assert!(number(&played, "synthesizedSamplesDuration") <= duration);
    assert!(number(&inbound, "insertedSamplesForDeceleration") >= 0.0);
    assert!(number(&inbound, "removedSamplesForAcceleration") >= 0.0);
    // Also in the report of that track alone, and until it is played no more.
    let alone = bob.stats_of(&received).await.expect("in use").to_json();
    assert!(alone.get(played["id"].as_str().expect("an id")).is_some());
    playback.stop();
    until(&bob, "inbound-rtp", |entry| {
        !entry.contains_key("playoutId")
    })
    .await;
}
