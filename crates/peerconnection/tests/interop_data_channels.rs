//! A hundred data channels of every kind with a browser, and a gibibyte each way with equal checksums.
//!
//! `cargo xtask interop` runs it. `PC_BULK_MESSAGES` is how many messages of 64 KiB go each way; 16,384, a gibibyte, unless said otherwise.

#![expect(
    clippy::disallowed_methods,
    reason = "the rate printed is one of real time"
)]

use bytes::Bytes;
use peerconnection::{
    Configuration, DataChannel, DataChannelInit, Event, Events, Message, NetworkOptions,
    PeerConnection, SessionDescription,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// Channels that each side opens.
const CHANNELS: usize = 50;
/// Words in one message of the bulk.
const WORDS: usize = 16_384;

fn kind(index: usize) -> DataChannelInit {
    DataChannelInit {
        ordered: index.is_multiple_of(2),
        max_retransmits: (index % 3 == 1).then_some(30),
        max_packet_life_time: (index % 3 == 2).then_some(Duration::from_secs(30)),
        ..DataChannelInit::default()
    }
}

/// What the page has to say of a channel: the words after the name.
fn label(name: &str, init: &DataChannelInit) -> String {
    let number = |value: Option<u128>| value.map_or(String::new(), |value| value.to_string());
    let lifetime = init.max_packet_life_time.map(|time| time.as_millis());
    format!(
        "{name} {} {} {}",
        init.ordered,
        number(init.max_retransmits.map(u128::from)),
        number(lifetime)
    )
}

/// The message of a number, as the page makes it.
fn numbered(number: u32, words: &mut Vec<u8>) {
    words.clear();
    let mut state = number.wrapping_add(1);
    for _ in 0..WORDS {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        words.extend_from_slice(&state.to_le_bytes());
    }
}

fn sum(hash: u32, message: &[u8]) -> u32 {
    message.as_chunks::<4>().0.iter().fold(hash, |hash, word| {
        hash.wrapping_mul(16_777_619) ^ u32::from_le_bytes(*word)
    })
}

async fn incoming(events: &mut Events, count: usize) -> Vec<DataChannel> {
    let mut channels = Vec::new();
    while channels.len() < count {
        if let Event::DataChannel(channel) = events.next().await.expect("more events") {
            channels.push(channel);
        }
    }
    channels
}

async fn channels_and_a_bulk_with(browser: &str) {
    let messages: u32 = std::env::var("PC_BULK_MESSAGES")
        .map_or(16_384, |count| count.parse().expect("a number of messages"));
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let mut page = Command::new("node")
        .current_dir(&web)
        .args(["check/channels.mjs", "--browser", browser])
        .args(["--messages", &messages.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node, which `cargo xtask setup` installs");
    let mut input = page.stdin.take().expect("its input");
    let mut output = BufReader::new(page.stdout.take().expect("its output")).lines();
    let mut said = async || -> Value {
        let line = output.next_line().await.expect("its output");
        serde_json::from_str(&line.expect("a line")).expect("JSON")
    };

    let network = NetworkOptions {
        include_loopback: true,
        ..NetworkOptions::default()
    };
    let pc = PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection");
    let mut events = pc.events();
    let bulk = pc
        .create_data_channel("bulk", DataChannelInit::default())
        .expect("a channel");
    let mut channels: Vec<DataChannel> = (0..CHANNELS)
        .map(|index| {
            let init = kind(index);
            pc.create_data_channel(&label("native", &init), init)
                .expect("a channel")
        })
        .collect();
    let kinds: Vec<Value> = (0..CHANNELS)
        .map(|index| {
            let init = kind(index);
            let mut kind = json!({ "ordered": init.ordered });
            if let Some(count) = init.max_retransmits {
                kind["maxRetransmits"] = count.into();
            }
            if let Some(time) = init.max_packet_life_time {
                kind["maxPacketLifeTime"] = (time.as_millis() as u64).into();
            }
            kind
        })
        .collect();
    pc.set_local_description(None).await.expect("an offer");
    let offer = pc.local_description().expect("an offer").sdp;
    let line = format!("{}\n", json!({ "offer": offer, "kinds": kinds }));
    input.write_all(line.as_bytes()).await.expect("told");
    let answer = said().await;
    println!("{}", answer["version"]);
    let answer = answer["answer"].as_str().expect("an answer");
    pc.set_remote_description(&SessionDescription::answer(answer))
        .await
        .expect("taken");

    channels.extend(incoming(&mut events, CHANNELS).await);
    for (index, channel) in channels.iter().enumerate() {
        channel.opened().await.expect("open");
        if index >= CHANNELS {
            // A channel of the page is what its label says.
            let is = DataChannelInit {
                ordered: channel.ordered(),
                max_retransmits: channel.max_retransmits(),
                max_packet_life_time: channel.max_packet_life_time(),
                ..DataChannelInit::default()
            };
            let name = channel.label().split(' ').next().unwrap_or_default();
            assert_eq!(channel.label(), label(name, &is));
        }
        let text = format!("through {index}: {}", channel.label());
        channel.send_text(text.clone()).await.expect("sent");
        assert_eq!(channel.recv().await, Some(Message::Text(text)));
    }

    let (began, mut sent, mut message) = (Instant::now(), 0, Vec::new());
    for number in 0..messages {
        numbered(number, &mut message);
        sent = sum(sent, &message);
        bulk.send(Bytes::copy_from_slice(&message))
            .await
            .expect("sent");
    }
    let mut received = 0;
    let mut there = None;
    for number in 0..messages {
        let message = bulk.recv().await.expect("a message");
        there.get_or_insert_with(|| began.elapsed());
        assert_eq!(message.as_bytes().len(), 4 * WORDS, "message {number}");
        received = sum(received, message.as_bytes());
    }
    let (there, whole) = (there.expect("messages"), began.elapsed());
    let rate = |time: Duration| f64::from(messages) * (4 * WORDS) as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{browser}: {} channels, {} MiB each way; to the page {:.0} MB/s, from it {:.0} MB/s",
        channels.len(),
        (messages as usize * 4 * WORDS) >> 20,
        rate(there),
        rate(whole - there),
    );
    let counted = said().await;
    assert_eq!(counted["wrong"], json!([]));
    assert_eq!(counted["echoes"], json!(2 * CHANNELS));
    assert_eq!(counted["received"], json!(messages));
    assert_eq!(counted["hash"], json!(sent), "what the page received");
    assert_eq!(counted["sent"], json!(received), "what the page sent");
    pc.close();
    input.write_all(b"\n").await.expect("told");
    let _ = page.wait().await;
}

async fn bounded(work: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(600), work)
        .await
        .expect("done within ten minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask interop"]
async fn chromium_opens_a_hundred_channels_and_a_gibibyte_goes_each_way() {
    bounded(channels_and_a_bulk_with("chromium")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: cargo xtask interop"]
async fn firefox_opens_a_hundred_channels_and_a_gibibyte_goes_each_way() {
    bounded(channels_and_a_bulk_with("firefox")).await;
}
