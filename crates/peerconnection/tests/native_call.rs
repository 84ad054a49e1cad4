//! Two connections of this crate call each other over real sockets of this machine.

use bytes::Bytes;
use media::{AudioFrame, MediaKind, MediaStream, MediaStreamTrack, TrackInit, VideoFrame};
use peerconnection::{
    Configuration, DataChannel, DataChannelInit, Event, Events, Message, NetworkOptions,
    PeerConnection, PeerConnectionState, TrackEvent,
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

/// Offer from one, answer from the other; candidates travel in the descriptions.
async fn negotiate(offerer: &PeerConnection, answerer: &PeerConnection) {
    offerer.set_local_description(None).await.expect("an offer");
    answerer
        .set_remote_description(&offerer.local_description().expect("the offer"))
        .await
        .expect("taken");
    answerer
        .set_local_description(None)
        .await
        .expect("an answer");
    offerer
        .set_remote_description(&answerer.local_description().expect("the answer"))
        .await
        .expect("taken");
}

async fn incoming_channel(events: &mut Events) -> DataChannel {
    loop {
        match events.next().await.expect("more events") {
            Event::DataChannel(channel) => return channel,
            other => drop(other),
        }
    }
}

async fn incoming_tracks(events: &mut Events, count: usize) -> Vec<TrackEvent> {
    let mut tracks = Vec::new();
    while tracks.len() < count {
        if let Event::Track(track) = events.next().await.expect("more events") {
            tracks.push(track);
        }
    }
    tracks
}

async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: nothing for 30 s"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_channel_opens_and_echoes_every_size_byte_for_byte() {
    let (alice, bob) = (connection(), connection());
    let channel = alice
        .create_data_channel("echo", DataChannelInit::default())
        .expect("a channel");
    let mut events = bob.events();
    negotiate(&alice, &bob).await;
    bounded("open", channel.opened()).await.expect("open");
    let theirs = bounded("incoming", incoming_channel(&mut events)).await;
    assert_eq!(theirs.label(), "echo");
    let echo = tokio::spawn(async move {
        while let Some(message) = theirs.recv().await {
            match message {
                Message::Binary(bytes) => theirs.send(bytes).await.expect("sent"),
                Message::Text(text) => theirs.send_text(text).await.expect("sent"),
            }
        }
    });
    for round in 0..200_usize {
        let size = 1 + round * 65_535 / 199;
        let payload: Vec<u8> = (0..size).map(|index| (index * 31 + round) as u8).collect();
        channel
            .send(Bytes::from(payload.clone()))
            .await
            .expect("sent");
        let back = bounded("echo", channel.recv()).await.expect("a message");
        assert!(back == Message::Binary(payload.into()), "round {round}");
    }
    channel.send_text("grüße").await.expect("sent");
    assert_eq!(
        bounded("text", channel.recv()).await,
        Some(Message::Text("grüße".into()))
    );
    channel.send_text("").await.expect("sent");
    assert_eq!(
        bounded("empty", channel.recv()).await,
        Some(Message::Text(String::new()))
    );
    alice.close();
    bounded("the end", echo)
        .await
        .expect("the echo ends with the connection");
}

/// A microphone with a tone and a camera with a bright picture, until the tracks are stopped.
fn sources() -> (MediaStreamTrack, MediaStreamTrack) {
    let (audio, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let (video, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for index in 0_u32.. {
            ticks.tick().await;
            let start = Duration::from_millis(u64::from(index) * 20);
            let sample = |n: u32| {
                ((f64::from(index * 960 + n) * 440.0 * std::f64::consts::TAU / 48_000.0).sin()
                    * 8_000.0) as i16
            };
            let sound =
                AudioFrame::new((0..960).map(sample).collect::<Vec<i16>>(), 48_000, 1, start)
                    .expect("a frame");
            if microphone.write(sound).is_err() {
                return;
            }
            if index % 2 == 0 {
                let mut planes = vec![180_u8; 320 * 240];
                planes.resize(320 * 240 * 3 / 2, 128);
                let picture = VideoFrame::from_i420(320, 240, planes, start).expect("a picture");
                if camera.write(picture).is_err() {
                    return;
                }
            }
        }
    });
    (audio, video)
}

async fn check_media(tracks: Vec<TrackEvent>) {
    for event in tracks {
        match event.track.kind() {
            MediaKind::Audio => {
                let mut sound = event.track.subscribe_audio().expect("sound");
                let mut loud = 0;
                for _ in 0..200 {
                    let frame = bounded("sound", sound.recv()).await.expect("a frame");
                    loud += usize::from(frame.rms() > 0.1);
                }
                assert!(loud > 150, "{loud} of 200 frames are loud");
            }
            MediaKind::Video => {
                let mut pictures = event.track.subscribe_video().expect("pictures");
                for _ in 0..10 {
                    let picture = bounded("pictures", pictures.recv())
                        .await
                        .expect("a picture");
                    assert_eq!((picture.width(), picture.height()), (320, 240));
                    assert!(
                        (picture.mean_luma() - 180.0).abs() < 8.0,
                        "{}",
                        picture.mean_luma()
                    );
                }
            }
        }
        assert!(!event.track.muted());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_and_pictures_go_both_ways_and_statistics_count_them() {
    let (alice, bob) = (connection(), connection());
    let (mut alices, mut bobs) = (alice.events(), bob.events());
    for side in [&alice, &bob] {
        let (audio, video) = sources();
        let stream = MediaStream::new([audio.clone(), video.clone()]);
        side.add_track(&audio, &[&stream]).expect("sent");
        side.add_track(&video, &[&stream]).expect("sent");
    }
    negotiate(&alice, &bob).await;
    let for_alice = bounded("tracks", incoming_tracks(&mut alices, 2)).await;
    let for_bob = bounded("tracks", incoming_tracks(&mut bobs, 2)).await;
    assert!(for_bob.iter().all(|event| event.streams.len() == 1));
    check_media(for_alice).await;
    check_media(for_bob).await;
    assert_eq!(alice.connection_state(), PeerConnectionState::Connected);
    let report = alice.stats().await;
    assert!(
        report
            .inbound()
            .all(|stream| stream.packets_received > 0 && stream.packets_lost == 0),
        "{:#}",
        report.to_json()
    );
    assert_eq!(
        report
            .outbound()
            .filter(|stream| stream.packets_sent > 0)
            .count(),
        2
    );
    let json = report.to_json();
    assert!(
        json.as_object()
            .expect("an object")
            .values()
            .any(|entry| entry["type"] == "transport" && entry["dtlsState"] == "connected")
    );
}
