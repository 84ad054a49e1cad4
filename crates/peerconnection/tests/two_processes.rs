//! Two processes call each other: this test starts its own program a second time, and they signal over a pipe.

use media::{AudioFrame, MediaKind, MediaStreamTrack, TrackInit, VideoFrame};
use peerconnection::{
    Configuration, DataChannelInit, Event, Events, Message, NetworkOptions, PeerConnection,
    SessionDescription,
};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Set in the second process.
const ROLE: &str = "PC_TEST_CALLEE";
/// Marks a line of signalling among what a test program prints.
const MARK: &str = "signal ";

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

fn send_media(pc: &PeerConnection) {
    let (audio, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let (video, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    pc.add_track(&audio, &[]).expect("sent");
    pc.add_track(&video, &[]).expect("sent");
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for index in 0_u32.. {
            ticks.tick().await;
            let start = Duration::from_millis(u64::from(index) * 20);
            let sound: Vec<i16> = (0..960)
                .map(|n| if n / 50 % 2 == 0 { 6_000 } else { -6_000 })
                .collect();
            let sound = AudioFrame::new(sound, 48_000, 1, start).expect("a frame");
            let mut planes = vec![170_u8; 160 * 120];
            planes.resize(160 * 120 * 3 / 2, 128);
            let picture = VideoFrame::from_i420(160, 120, planes, start).expect("a picture");
            if microphone.write(sound).is_err() || camera.write(picture).is_err() {
                return;
            }
        }
    });
}

/// Waits until both kinds of media have been decoded.
async fn receive_media(mut events: Events) {
    let mut missing = 2;
    while missing > 0 {
        let Event::Track(event) = events.next().await.expect("more events") else {
            continue;
        };
        missing -= 1;
        match event.track.kind() {
            MediaKind::Audio => {
                let mut sound = event.track.subscribe_audio().expect("sound");
                while sound.recv().await.expect("sound").rms() < 0.05 {}
            }
            MediaKind::Video => {
                let mut pictures = event.track.subscribe_video().expect("pictures");
                assert!(pictures.recv().await.expect("a picture").mean_luma() > 100.0);
            }
        }
    }
}

fn read_signal(lines: &mut impl BufRead) -> SessionDescription {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).expect("a line"),
            0,
            "the other process has ended"
        );
        if let Some((_, json)) = line.split_once(MARK) {
            return serde_json::from_str(json).expect("a description");
        }
    }
}

fn write_signal(mut to: impl Write, description: &SessionDescription) {
    let json = serde_json::to_string(description).expect("JSON");
    writeln!(to, "\n{MARK}{json}").expect("the other process listens");
    to.flush().expect("flushed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_sound_and_pictures_between_two_processes() {
    let whole = async {
        if std::env::var_os(ROLE).is_some() {
            callee().await;
        } else {
            caller().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), whole)
        .await
        .expect("done in a minute");
}

async fn caller() {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "data_sound_and_pictures_between_two_processes",
            "--exact",
            "--nocapture",
        ])
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a second process");
    let pc = connection();
    let events = pc.events();
    send_media(&pc);
    let channel = pc
        .create_data_channel("echo", DataChannelInit::default())
        .expect("a channel");
    pc.set_local_description(None).await.expect("an offer");
    write_signal(
        child.stdin.take().expect("a pipe"),
        &pc.local_description().expect("the offer"),
    );
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let answer = tokio::task::spawn_blocking(move || {
        let answer = read_signal(&mut lines);
        // What else it prints must find a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        answer
    })
    .await
    .expect("an answer");
    pc.set_remote_description(&answer).await.expect("taken");
    channel.opened().await.expect("open");
    for size in [1_usize, 1_000, 65_536] {
        channel.send(vec![7_u8; size]).await.expect("sent");
        assert_eq!(
            channel.recv().await,
            Some(Message::Binary(vec![7_u8; size].into()))
        );
    }
    receive_media(events).await;
    // The other process ends when it has heard and seen enough itself.
    channel.send_text("done").await.expect("sent");
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .expect("joined")
        .expect("ended");
    assert!(status.success());
}

async fn callee() {
    let pc = connection();
    send_media(&pc);
    let mut channels = pc.events();
    let offer = tokio::task::spawn_blocking(|| read_signal(&mut std::io::stdin().lock()))
        .await
        .expect("an offer");
    let received = tokio::spawn(receive_media(pc.events()));
    pc.set_remote_description(&offer).await.expect("taken");
    pc.set_local_description(None).await.expect("an answer");
    write_signal(
        std::io::stdout(),
        &pc.local_description().expect("the answer"),
    );
    let channel = loop {
        if let Event::DataChannel(channel) = channels.next().await.expect("more events") {
            break channel;
        }
    };
    while let Some(message) = channel.recv().await {
        match message {
            Message::Binary(bytes) => channel.send(bytes).await.expect("sent"),
            Message::Text(_) => break,
        }
    }
    received.await.expect("sound and pictures");
}
