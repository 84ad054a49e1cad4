//! Browsers on every kind of path: hidden addresses, relays, TCP, and ICE restarts while messages flow.

mod common;

use common::coturn::{Coturn, PASSWORD, USERNAME};
use common::{bounded, loopback, selected};
use media::{MediaKind, MediaStreamTrack, TrackInit, VideoFrame};
use peerconnection::ice::{self, CandidateType, Protocol, TcpType};
use peerconnection::{
    Configuration, DataChannel, Endpoint, Message, NetworkOptions, OfferOptions, PeerConnection,
    SessionDescription,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// A browser's page and the pipe to it.
struct Page {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Page {
    async fn open(browser: &str) -> Self {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
        let mut child = Command::new("node")
            .current_dir(&web)
            .args(["check/paths.mjs", "--browser", browser])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node, which `cargo xtask setup` installs");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut page = Page {
            child,
            input,
            output,
        };
        println!("{}", page.said().await);
        page
    }

    async fn said(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(60), self.output.next_line()).await;
        let line = line.expect("in time").expect("its output").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    }

    async fn ask(&mut self, order: &Value) -> String {
        let line = format!("{order}\n");
        self.input.write_all(line.as_bytes()).await.expect("told");
        self.said().await.as_str().expect("words").to_owned()
    }

    async fn close(mut self) {
        drop(self.input);
        let _ = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
    }
}

/// What is offered to the page once all of it is found.
async fn offer(pc: &PeerConnection, options: &OfferOptions) -> String {
    let made = pc.create_offer(options).await.expect("an offer");
    pc.set_local_description(Some(made)).await.expect("taken");
    while pc.ice_gathering_state() != peerconnection::IceGatheringState::Complete {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    pc.local_description().expect("the offer").sdp
}

/// A connection to the page; the channel echoes. Gives the page's answer, too.
async fn connect(
    page: &mut Page,
    pc: &PeerConnection,
    configuration: &Value,
) -> (DataChannel, String) {
    let channel = pc
        .create_data_channel("echo", Default::default())
        .expect("a channel");
    let sdp = bounded("gathering", offer(pc, &OfferOptions::default())).await;
    let order = json!({ "answer": sdp, "configuration": configuration });
    let answer = page.ask(&order).await;
    (pc.set_remote_description(&SessionDescription::answer(answer.as_str()))
        .await)
        .expect("taken");
    if tokio::time::timeout(Duration::from_secs(30), channel.opened())
        .await
        .is_err()
    {
        let reports = pc.ice_reports();
        panic!(
            "not connected:\n{}\nthe page's answer:\n{answer}",
            reports[0].1
        );
    }
    echo(&channel, 0..20).await;
    (channel, answer)
}

async fn echo(channel: &DataChannel, numbers: std::ops::Range<u32>) {
    for number in numbers {
        channel.send_text(number.to_string()).await.expect("sent");
        let back = bounded("the echo", channel.recv()).await;
        assert_eq!(back, Some(Message::Text(number.to_string())));
    }
}

fn hiding(hides: bool) -> PeerConnection {
    let mut config = ice::Config::default();
    config.mdns = hides;
    PeerConnection::builder(Configuration::default())
        .ice(config)
        .build()
        .expect("a connection")
}

async fn names_with(browser: &str) {
    let mut page = Page::open(browser).await;
    // Neither camera nor microphone has been asked for, so the page hides its addresses.
    for hides in [false, true] {
        let pc = hiding(hides);
        let (_channel, answer) = connect(&mut page, &pc, &json!({})).await;
        let hosts = answer.lines().filter(|line| line.contains("typ host"));
        let hosts: Vec<&str> = hosts.collect();
        println!("{browser}, native side hides: {hides}; the page says {hosts:?}");
        assert!(!hosts.is_empty() && hosts.iter().all(|line| line.contains(".local ")));
        let ours = pc.local_description().expect("a description").sdp;
        let mut hosts = ours.lines().filter(|line| line.contains("typ host"));
        assert!(
            hosts.all(|line| line.contains(".local ") == hides),
            "{ours}"
        );
    }
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_and_this_side_hide_their_addresses_behind_names() {
    names_with("chromium").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_and_this_side_hide_their_addresses_behind_names() {
    names_with("firefox").await;
}

async fn relay_with(browser: &str) {
    let Some(server) = Coturn::start() else {
        return;
    };
    let configuration = json!({
        "iceServers": [{
            "urls": [format!("turn:{}", server.addr)],
            "username": USERNAME,
            "credential": PASSWORD,
        }],
        "iceTransportPolicy": "relay",
    });
    let mut page = Page::open(browser).await;
    let pc = PeerConnection::builder(
        serde_json::from_value(configuration.clone()).expect("a configuration"),
    )
    .network(loopback())
    .build()
    .expect("a connection");
    let (_channel, answer) = connect(&mut page, &pc, &configuration).await;
    assert!(
        !answer.contains("typ host") && answer.contains("typ relay"),
        "{answer}"
    );
    assert_eq!(selected(&pc).0.typ, CandidateType::Relayed);
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_by_relays_alone() {
    relay_with("chromium").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_by_relays_alone() {
    relay_with("firefox").await;
}

async fn tcp_with(browser: &str) {
    let mut page = Page::open(browser).await;
    let network = NetworkOptions {
        udp: false,
        tcp: vec![TcpType::Passive],
        include_loopback: true,
        ..NetworkOptions::default()
    };
    let pc = PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection");
    let _channel = connect(&mut page, &pc, &json!({})).await;
    let (local, _) = selected(&pc);
    assert_eq!(
        (local.protocol, local.tcp_type),
        (Protocol::Tcp, Some(TcpType::Passive))
    );
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_connects_to_a_listening_side_over_tcp() {
    tcp_with("chromium").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_connects_to_a_listening_side_over_tcp() {
    tcp_with("firefox").await;
}

/// A server's port that both browsers connect to, one of the connections with a lite agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_and_firefox_share_one_port_of_this_side() {
    let endpoint = Endpoint::bind("0.0.0.0:0".parse().expect("an address")).expect("a port");
    let mut calls = Vec::new();
    for (browser, lite) in [("chromium", false), ("firefox", true)] {
        let mut page = Page::open(browser).await;
        let mut config = ice::Config::default();
        config.lite = lite;
        let pc = (endpoint.builder(Configuration::default()).ice(config))
            .build()
            .expect("a connection");
        let (channel, _) = connect(&mut page, &pc, &json!({})).await;
        assert_eq!(selected(&pc).0.port, endpoint.local_addresses()[0].port());
        calls.push((page, pc, channel));
    }
    for (page, pc, channel) in calls {
        echo(&channel, 20..40).await;
        pc.close();
        page.close().await;
    }
    println!("of no connection: {:?}", endpoint.dropped());
}

/// What comes through while ICE restarts: numbered messages that the page echoes, and video both ways.
struct Flow {
    channel: DataChannel,
    back: Arc<AtomicU32>,
    pictures: Arc<AtomicU32>,
    tasks: [JoinHandle<()>; 3],
}

impl Flow {
    fn start(channel: &DataChannel, video: &MediaStreamTrack) -> Self {
        let back = Arc::new(AtomicU32::new(0));
        let pictures = Arc::new(AtomicU32::new(0));
        let sender = channel.clone();
        let sending = tokio::spawn(async move {
            for number in 0..u32::MAX {
                if sender.send_text(number.to_string()).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let (receiver, count) = (channel.clone(), Arc::clone(&back));
        let receiving = tokio::spawn(async move {
            let mut next = 0_u32;
            while let Some(message) = receiver.recv().await {
                assert_eq!(message, Message::Text(next.to_string()));
                next += 1;
                count.store(next, Ordering::SeqCst);
            }
        });
        let (mut video, count) = (
            video.subscribe_video().expect("pictures"),
            Arc::clone(&pictures),
        );
        let watching = tokio::spawn(async move {
            while video.recv().await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Flow {
            channel: channel.clone(),
            back,
            pictures,
            tasks: [sending, receiving, watching],
        }
    }

    /// Waits until 200 more messages have come back, and 20 more pictures at each end.
    async fn goes_on(&self, page: &mut Page) {
        let messages = self.back.load(Ordering::SeqCst) + 200;
        let here = self.pictures.load(Ordering::SeqCst) + 20;
        let shown = async |page: &mut Page| -> u32 {
            let pictures = page.ask(&json!({ "pictures": true })).await;
            pictures.parse().expect("a number")
        };
        let there = shown(page).await + 20;
        let enough = async {
            while self.back.load(Ordering::SeqCst) < messages
                || self.pictures.load(Ordering::SeqCst) < here
                || shown(page).await < there
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        bounded("messages and pictures", enough).await;
        assert!(
            self.tasks.iter().all(|task| !task.is_finished()),
            "nothing is lost or changed; the channel is {:?}",
            self.channel.ready_state()
        );
    }

    fn end(self) -> u32 {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.back.load(Ordering::SeqCst)
    }
}

/// A camera that sees a slowly changing grey.
fn camera() -> MediaStreamTrack {
    let (track, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for index in 0_u32.. {
            ticks.tick().await;
            let mut planes = vec![(index % 200) as u8; 160 * 120];
            planes.resize(160 * 120 * 3 / 2, 128);
            let at = Duration::from_millis(50) * index;
            let picture = VideoFrame::from_i420(160, 120, planes, at).expect("a picture");
            if camera.write(picture).is_err() {
                return;
            }
        }
    });
    track
}

/// Messages and video flow while both sides in turn restart ICE; each message comes back, in order.
async fn restarts_with(browser: &str) {
    let mut page = Page::open(browser).await;
    let network = NetworkOptions {
        include_loopback: true,
        ..NetworkOptions::default()
    };
    let pc = PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection");
    pc.add_track(&camera(), &[]).expect("sent");
    let (channel, _) = connect(&mut page, &pc, &json!({})).await;
    let incoming = pc.receivers().first().expect("a receiver").track();
    let flow = Flow::start(&channel, &incoming);
    flow.goes_on(&mut page).await;
    let before = selected(&pc).0.ufrag;
    let restart = OfferOptions {
        ice_restart: true,
        ..OfferOptions::default()
    };
    let sdp = bounded("gathering", offer(&pc, &restart)).await;
    let answer = page.ask(&json!({ "reanswer": sdp })).await;
    (pc.set_remote_description(&SessionDescription::answer(answer))
        .await)
        .expect("taken");
    flow.goes_on(&mut page).await;
    let between = selected(&pc).0.ufrag;
    assert_ne!(before, between, "restarted from here");
    let sdp = page.ask(&json!({ "restart": true })).await;
    (pc.set_remote_description(&SessionDescription::offer(sdp))
        .await)
        .expect("taken");
    pc.set_local_description(None).await.expect("an answer");
    let answer = pc.local_description().expect("the answer").sdp;
    page.ask(&json!({ "take": answer })).await;
    flow.goes_on(&mut page).await;
    assert_ne!(between, selected(&pc).0.ufrag, "restarted from the page");
    println!("{browser}: {} messages came back", flow.end());
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_restarts_ice_without_losing_a_message() {
    restarts_with("chromium").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_restarts_ice_without_losing_a_message() {
    restarts_with("firefox").await;
}
