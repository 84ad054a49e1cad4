//! Perfect negotiation (W3C WebRTC §10.7) with a browser: both sides change their minds at random, two hundred times at
//! once, and afterwards everything flows.

use media::{AudioFrame, MediaKind, MediaStream, MediaStreamTrack, TrackInit, VideoFrame};
use peerconnection::{
    Configuration, DataChannelInit, Event, IceCandidateInit, Message, OfferOptions, PeerConnection,
    SdpType, SessionDescription, SignalingState, TransceiverDirection as D, TransceiverInit,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

const ROUNDS: u32 = 200;

/// The page, as lines of JSON.
struct Browser {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    // Ends with the test.
    _process: Child,
}

impl Browser {
    async fn launch(name: &str, seed: u64, polite: bool) -> Self {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        assert!(
            web.join("node_modules/puppeteer-core").is_dir(),
            "puppeteer-core is missing: run `cargo xtask setup`"
        );
        let mut command = Command::new("node");
        command
            .current_dir(&web)
            .args(["check/negotiate.mjs", "--browser", name])
            .args(["--seed", &seed.to_string()])
            .args(polite.then_some("--polite"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command
            .spawn()
            .expect("node, which `cargo xtask setup` installs");
        let input = process.stdin.take().expect("its input");
        let output = process.stdout.take().expect("its output");
        let mut browser = Browser {
            input,
            output: BufReader::new(output).lines(),
            _process: process,
        };
        let ready = browser.next().await;
        println!("{}", ready["ready"]);
        browser
    }

    async fn send(&mut self, message: Value) {
        let line = format!("{message}\n");
        trace("native", &line);
        self.input.write_all(line.as_bytes()).await.expect("sent");
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(90), self.output.next_line()).await;
        let line = line.expect("a message in time").expect("its output");
        trace("page", line.as_deref().unwrap_or_default());
        serde_json::from_str(&line.expect("a message")).expect("JSON")
    }
}

/// With `NEGOTIATION_LOG` set, everything that is said goes to that file.
fn trace(who: &str, line: &str) {
    use std::io::Write;
    if let Some(path) = std::env::var_os("NEGOTIATION_LOG") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        writeln!(file.expect("the log"), "{who} {}", line.trim()).expect("written");
    }
}

/// This side of the pattern.
struct Native {
    pc: PeerConnection,
    polite: bool,
    ignore_offer: bool,
    ignored: u32,
    /// The ICE user fragments that the page has used.
    told: Vec<String>,
    /// A polite Firefox that has just rolled its own offer back takes one that restarts ICE for an answer that does, and
    /// refuses it.
    may_restart: bool,
    rng: StdRng,
    audio: MediaStreamTrack,
    video: MediaStreamTrack,
    streams: [MediaStream; 2],
}

impl Native {
    fn new(seed: u64, polite: bool, may_restart: bool) -> Self {
        let (audio, video) = sources();
        Native {
            pc: PeerConnection::new(Configuration::default()).expect("a connection"),
            polite,
            ignore_offer: false,
            ignored: 0,
            told: Vec::new(),
            may_restart,
            rng: StdRng::seed_from_u64(seed),
            audio,
            video,
            streams: [MediaStream::new([]), MediaStream::new([])],
        }
    }

    fn description(&self) -> Value {
        json!({ "description": self.pc.local_description().expect("a description") })
    }

    async fn on_event(&mut self, event: Event) -> Option<Value> {
        match event {
            // The event may have waited while the peer's offer came; the answer to that asks again.
            Event::NegotiationNeeded if self.pc.signaling_state() == SignalingState::Stable => {
                self.pc.set_local_description(None).await.expect("an offer");
                Some(self.description())
            }
            Event::IceCandidate(Some(candidate)) => {
                Some(json!({ "candidate": candidate.to_init() }))
            }
            _ => None,
        }
    }

    async fn on_message(&mut self, message: &Value) -> Option<Value> {
        if let Some(description) = message.get("description") {
            let description: SessionDescription =
                serde_json::from_value(description.clone()).expect("a description");
            let lines = description.sdp.lines();
            let ufrags = lines.filter_map(|line| line.strip_prefix("a=ice-ufrag:"));
            self.told.extend(ufrags.map(str::to_owned));
            let offer = description.sdp_type == SdpType::Offer;
            let collision = offer && self.pc.signaling_state() != SignalingState::Stable;
            self.ignore_offer = !self.polite && collision;
            if self.ignore_offer {
                self.ignored += 1;
                return None;
            }
            let applied = self.pc.set_remote_description(&description).await;
            applied.unwrap_or_else(|error| panic!("{error}: {}", description.sdp));
            if offer {
                self.pc
                    .set_local_description(None)
                    .await
                    .expect("an answer");
                return Some(self.description());
            }
        } else if let Some(candidate) = message.get("candidate") {
            let init: IceCandidateInit =
                serde_json::from_value(candidate.clone()).expect("a candidate");
            let added = self.pc.add_ice_candidate(Some(&init)).await;
            // Candidates of an offer that was rolled back, or of the generation before the last, may come late.
            let late = (init.username_fragment.as_ref()).is_some_and(|it| self.told.contains(it));
            assert!(
                added.is_ok() || self.ignore_offer || late,
                "{added:?} {init:?}"
            );
        }
        None
    }

    async fn change_something(&mut self) {
        let live: Vec<_> = self
            .pc
            .transceivers()
            .into_iter()
            .filter(|it| it.direction() != D::Stopped)
            .collect();
        let choice = self
            .rng
            .random_range(0..if live.is_empty() { 2 } else { 9 });
        let (kind, source) = match self.rng.random_range(0..2) {
            0 => (MediaKind::Audio, &self.audio),
            _ => (MediaKind::Video, &self.video),
        };
        let stream = self.streams[self.rng.random_range(0..2)].clone();
        let mut picked = 0;
        if !live.is_empty() {
            picked = self.rng.random_range(0..live.len());
        }
        match choice {
            0 if live.len() < 5 => {
                let track = source.clone_track();
                self.pc.add_track(&track, &[&stream]).expect("a track");
            }
            1 if live.len() < 5 => {
                let init = TransceiverInit {
                    track: Some(source.clone_track()),
                    streams: vec![stream],
                    ..TransceiverInit::default()
                };
                self.pc.add_transceiver(kind, init).expect("a transceiver");
            }
            2 => self
                .pc
                .remove_track(&live[picked].sender())
                .expect("removed"),
            3 | 4 => {
                let directions = [D::SendRecv, D::SendOnly, D::RecvOnly, D::Inactive];
                let direction = directions[self.rng.random_range(0..4)];
                live[picked].set_direction(direction).expect("turned");
            }
            5 => {
                let source = match live[picked].kind() {
                    MediaKind::Audio => &self.audio,
                    MediaKind::Video => &self.video,
                };
                let track = source.clone_track();
                live[picked]
                    .sender()
                    .replace_track(Some(&track))
                    .await
                    .expect("replaced");
            }
            6 if self.may_restart => self.pc.restart_ice(),
            // The first section speaks for the group. When that is stopped, Chromium begins a new transport, certificate
            // handshake and all, under the credentials of the old one, which nobody can tell from its descriptions.
            _ if live.len() > 2 && picked > 0 => live[picked].stop().expect("stopped"),
            _ => {
                let init = DataChannelInit::default();
                self.pc
                    .create_data_channel("more", init)
                    .expect("a channel");
            }
        }
    }

    /// Packets received so far, by section.
    async fn received(&self) -> BTreeMap<String, u64> {
        let mut received = BTreeMap::new();
        for stream in self.pc.stats().await.inbound() {
            *received.entry(stream.mid.clone()).or_default() += stream.packets_received;
        }
        received
    }
}

/// A tone and a moving picture, small ones.
fn sources() -> (MediaStreamTrack, MediaStreamTrack) {
    let (audio, microphone) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let (video, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for index in 0_u32.. {
            ticks.tick().await;
            let start = Duration::from_millis(u64::from(index) * 20);
            let sample = |n: u32| ((index * 960 + n) % 109 * 100) as i16;
            let sound = (0..960).map(sample).collect::<Vec<i16>>();
            let sound = AudioFrame::new(sound, 48_000, 1, start).expect("a frame");
            if microphone.write(sound).is_err() {
                return;
            }
            if index % 5 == 0 {
                let planes = vec![(index % 200) as u8; 160 * 120 * 3 / 2];
                let picture = VideoFrame::from_i420(160, 120, planes, start).expect("a picture");
                if camera.write(picture).is_err() {
                    return;
                }
            }
        }
    });
    (audio, video)
}

async fn renegotiate_with(name: &str, seed: u64, native_polite: bool) {
    let mut browser = Browser::launch(name, seed, !native_polite).await;
    let may_restart = native_polite || name != "firefox";
    let mut native = Native::new(seed, native_polite, may_restart);
    let mut events = native.pc.events();
    let channel = native
        .pc
        .create_data_channel("main", DataChannelInit::default())
        .expect("a channel");

    // A call as any other, before the changes begin. (Chromium keeps the header extension ids of an offer that it has
    // rolled back, and fails when the peer's first offer gives them to others; once used, ids stay.)
    for source in [native.audio.clone_track(), native.video.clone_track()] {
        let stream = native.streams[0].clone();
        native.pc.add_track(&source, &[&stream]).expect("a track");
    }
    let started = Instant::now();
    let mut round = 0;
    let mut next_round = Instant::now() + Duration::from_millis(1_500);
    let mut last_message = Instant::now();
    let quiet = Duration::from_secs(2);
    // Changes at both ends at once, then until nobody has anything more to say.
    while round < ROUNDS || last_message.elapsed() < quiet {
        let answer = tokio::select! {
            event = events.next() => native.on_event(event.expect("the connection lives")).await,
            message = browser.next_soon() => match message {
                None => None,
                Some(message) => {
                    last_message = Instant::now();
                    native.on_message(&message).await
                }
            },
            () = tokio::time::sleep_until(next_round), if round < ROUNDS => {
                round += 1;
                next_round = Instant::now() + Duration::from_millis(native.rng.random_range(10..150));
                browser.send(json!({ "round": round })).await;
                native.change_something().await;
                None
            }
        };
        if let Some(message) = answer {
            last_message = Instant::now();
            browser.send(message).await;
        }
        assert!(
            started.elapsed() < Duration::from_secs(150),
            "round {round}"
        );
    }
    assert_eq!(native.pc.signaling_state(), SignalingState::Stable);

    channel.opened().await.expect("open");
    for text in ["still", "here"] {
        channel.send_text(text).await.expect("sent");
        match tokio::time::timeout(Duration::from_secs(20), channel.recv()).await {
            Ok(back) => assert_eq!(back, Some(Message::Text(text.into()))),
            Err(_) => {
                for (number, report) in native.pc.ice_reports() {
                    println!("transport {number}:\n{report}");
                }
                panic!(
                    "no echo: {} {:#}",
                    native.pc.connection_state(),
                    report(&mut browser, &mut native).await
                )
            }
        }
    }

    let before = (
        report(&mut browser, &mut native).await,
        native.received().await,
    );
    let (page, _) = &before;
    assert_eq!(page["failure"], Value::Null);
    assert_eq!(page["rounds"], ROUNDS);
    assert_eq!(page["signalingState"], "stable");
    let (to_page, to_native) = expected(&native, page);
    let flows = |page: &Value, received: &BTreeMap<String, u64>| {
        let grown = |mid: &String| {
            let count = |page: &Value| page["received"][mid].as_u64().unwrap_or(0);
            count(page) > count(&before.0)
        };
        let missing: Vec<&String> = to_page.iter().filter(|mid| !grown(mid)).collect();
        let lacking: Vec<&String> = to_native
            .iter()
            .filter(|mid| received.get(*mid) <= before.1.get(*mid))
            .collect();
        (missing.is_empty() && lacking.is_empty())
            .then_some(())
            .ok_or(format!(
                "the page lacks {missing:?}, this side lacks {lacking:?}"
            ))
    };
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let page = report(&mut browser, &mut native).await;
        match flows(&page, &native.received().await) {
            Ok(()) => break,
            Err(error) => assert!(Instant::now() < end, "{error}: {page:#}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let collisions = native.ignored + page["ignored"].as_u64().unwrap_or(0) as u32;
    println!(
        "{name}: {ROUNDS} rounds in {:.1} s, {collisions} offers ignored; {} tracks flow to the page, {} to this side",
        started.elapsed().as_secs_f64(),
        to_page.len(),
        to_native.len()
    );
    assert!(collisions > 0 || native_polite, "no offer ever met another");
    // Nothing that the browser has agreed to keeps this side from going on.
    native
        .pc
        .create_offer(&OfferOptions::default())
        .await
        .expect("an offer");
    native.pc.close();
}

impl Browser {
    /// The next message, if one comes soon. The wait is over then, so that whoever waits can look round.
    async fn next_soon(&mut self) -> Option<Value> {
        // Only whole lines are taken: stopping to wait loses nothing.
        let line = tokio::time::timeout(Duration::from_millis(200), self.output.next_line()).await;
        let line = line.ok()?.expect("its output").expect("a message");
        trace("page", &line);
        Some(serde_json::from_str(&line).expect("JSON"))
    }
}

/// What the page says of itself; candidates that come in between are taken.
async fn report(browser: &mut Browser, native: &mut Native) -> Value {
    browser.send(json!({ "report": true })).await;
    loop {
        let message = browser.next().await;
        if let Some(report) = message.get("report") {
            return report.clone();
        }
        let answer = native.on_message(&message).await;
        assert!(answer.is_none(), "an offer when all was said");
    }
}

/// The sections that have something to send: to the page, and to this side.
fn expected(native: &Native, page: &Value) -> (Vec<String>, Vec<String>) {
    let theirs = page["transceivers"].as_array().expect("transceivers");
    let (mut to_page, mut to_native) = (Vec::new(), Vec::new());
    for transceiver in native.pc.transceivers() {
        let Some(mid) = transceiver.mid() else {
            continue;
        };
        let their = theirs
            .iter()
            .find(|it| it["mid"] == mid.as_str())
            .unwrap_or_else(|| panic!("the page has no {mid}: {page:#}"));
        let direction = transceiver.current_direction().expect("a direction");
        assert_eq!(their["currentDirection"], direction.reversed().as_str());
        if direction.sends() && transceiver.sender().track().is_some() {
            to_page.push(mid.clone());
        }
        if direction.receives() && their["sends"] == true {
            to_native.push(mid);
        }
    }
    (to_page, to_native)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Chromium"]
async fn two_hundred_renegotiations_with_chromium_polite_and_impolite() {
    renegotiate_with("chromium", 1, false).await;
    renegotiate_with("chromium", 2, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Firefox"]
async fn two_hundred_renegotiations_with_firefox_polite_and_impolite() {
    renegotiate_with("firefox", 3, false).await;
    renegotiate_with("firefox", 4, true).await;
}
