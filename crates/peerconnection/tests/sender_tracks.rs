//! What a sender makes of its track (W3C WebRTC §5.2), on real sockets of this machine.

use media::{AudioFrame, MediaKind, MediaStreamTrack, TrackInit, VideoFrame, VideoReceiver};
use peerconnection::{
    Configuration, Event, NetworkOptions, PeerConnection, RtpPackets, RtpSender, TransceiverInit,
};
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

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: nothing for 60 s"),
    }
}

/// Connects the two, the first offering.
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
    let mut events = offerer.events();
    bounded("connected", async {
        while offerer.connection_state() != peerconnection::PeerConnectionState::Connected {
            if let Some(Event::ConnectionStateChange(_)) = events.next().await {}
        }
    })
    .await;
}

fn silence(index: u32) -> AudioFrame {
    let start = Duration::from_millis(20) * index;
    AudioFrame::silence(960, 48_000, 1, start)
}

fn grey(width: u32, height: u32, at: Duration) -> VideoFrame {
    let pixels = (width * height) as usize;
    let mut planes = vec![150_u8; pixels];
    planes.resize(pixels + pixels / 2, 128);
    VideoFrame::from_i420(width, height, planes, at).expect("a picture")
}

async fn picture_of(pictures: &mut VideoReceiver, luma: f64) -> VideoFrame {
    bounded("a picture", async {
        loop {
            let picture = pictures.recv().await.expect("a picture");
            if (picture.mean_luma() - luma).abs() < 4.0 {
                return picture;
            }
        }
    })
    .await
}

async fn packets_sent(sender: &RtpSender) -> u64 {
    let stats = sender.stats().await;
    let mut streams = stats.outbound();
    streams.next().map_or(0, |stream| stream.packets_sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_that_is_disabled_or_has_ended_is_sent_as_black_pictures() {
    let (alice, bob) = (connection(), connection());
    let (track, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    let sender = alice.add_track(&track, &[]).expect("a sender");
    let mut events = bob.events();
    negotiate(&alice, &bob).await;
    let received = bounded("track", async {
        loop {
            if let Some(Event::Track(event)) = events.next().await {
                return event.track;
            }
        }
    })
    .await;
    let mut pictures = received.subscribe_video().expect("pictures");
    let shown = tokio::spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(40));
        for index in 0_u32.. {
            clock.tick().await;
            let at = Duration::from_millis(40) * index;
            if camera.write(grey(320, 240, at)).is_err() {
                return;
            }
        }
    });
    picture_of(&mut pictures, 150.0).await;
    track.set_enabled(false);
    let black = picture_of(&mut pictures, 16.0).await;
    assert_eq!((black.width(), black.height()), (320, 240));
    track.set_enabled(true);
    picture_of(&mut pictures, 150.0).await;
    track.stop();
    bounded("the camera stops", shown).await.expect("stopped");
    // Nobody gives pictures any more, and still they come.
    let first = picture_of(&mut pictures, 16.0).await;
    let second = picture_of(&mut pictures, 16.0).await;
    assert_eq!((second.width(), second.height()), (320, 240));
    let apart = second.timestamp().saturating_sub(first.timestamp());
    assert!(
        apart >= Duration::from_millis(900),
        "one a second, not {apart:?} apart"
    );
    sender.replace_track(None).await.expect("taken away");
    assert!(sender.track().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_track_that_is_disabled_is_not_sent_as_sound() {
    let (alice, bob) = (connection(), connection());
    let (track, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let sender = alice.add_track(&track, &[]).expect("a sender");
    negotiate(&alice, &bob).await;
    track.set_enabled(false);
    for index in 0..20 {
        microphone.write(silence(index)).expect("written");
    }
    // The encoder has seen all of it when the source has been counted.
    bounded("the source", async {
        loop {
            let counted = sender.stats().await.to_json();
            let entries = counted.as_object().expect("an object").values();
            let source = entries
                .filter(|entry| entry["type"] == "media-source")
                .find_map(|entry| entry["totalSamplesDuration"].as_f64());
            if source.is_some_and(|seconds| seconds > 0.39) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(packets_sent(&sender).await, 0);
    track.set_enabled(true);
    for index in 20..30 {
        microphone.write(silence(index)).expect("written");
    }
    bounded("packets", async {
        while packets_sent(&sender).await < 10 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(packets_sent(&sender).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replace_track_switches_seamlessly() {
    let (alice, bob) = (connection(), connection());
    let (first, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let sender = alice.add_track(&first, &[]).expect("a sender");
    let mut events = bob.events();
    negotiate(&alice, &bob).await;
    let receiver = bounded("track", async {
        loop {
            if let Some(Event::Track(event)) = events.next().await {
                return event.receiver;
            }
        }
    })
    .await;
    let mut packets: RtpPackets = receiver.packets();
    let mut next = async || {
        let packet = bounded("a packet", packets.next()).await.expect("a packet");
        (packet.sequence_number, packet.timestamp)
    };
    // An hour into its life, as its own clock has it.
    for index in 180_000..180_005 {
        microphone.write(silence(index)).expect("written");
    }
    let mut last = next().await;
    for _ in 0..4 {
        last = next().await;
    }
    let (second, other) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    sender.replace_track(Some(&second)).await.expect("replaced");
    for index in 0..5 {
        other.write(silence(index)).expect("written");
    }
    let after = next().await;
    assert_eq!(after.0, last.0.wrapping_add(1));
    let step = after.1.wrapping_sub(last.1);
    assert!(
        (960..48_000 * 60).contains(&step),
        "its time goes on: {step} ticks later"
    );
    assert_eq!(sender.track(), Some(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_are_those_that_are_not_stopped_and_keep_their_track() {
    let (alice, bob) = (connection(), connection());
    let (track, _microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let sender = alice.add_track(&track, &[]).expect("a sender");
    let transceiver = alice
        .add_transceiver(MediaKind::Video, TransceiverInit::default())
        .expect("a transceiver");
    assert_eq!((alice.senders().len(), alice.receivers().len()), (2, 2));
    let foreign = bob.add_track(&track, &[]).expect("a sender");
    let refused = alice.remove_track(&foreign).expect_err("it is bob's");
    assert_eq!(refused.name(), "InvalidAccessError");
    assert_eq!(sender.track(), Some(track.clone()));
    transceiver.stop().expect("stopped");
    assert_eq!(alice.senders().len(), 2, "stopping is not stopped");
    alice.close();
    assert!(alice.senders().is_empty() && alice.receivers().is_empty());
    assert_eq!(sender.track(), Some(track));
    let refused = alice.remove_track(&sender).expect_err("it is closed");
    assert_eq!(refused.name(), "InvalidStateError");
}
