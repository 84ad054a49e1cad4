//! webrtc 0.21, the asynchronous one, over tokio as ours.

use crate::measure::{Cost, enlarge_buffers, start};
use crate::proxy::Proxy;
use crate::{Case, Flow, Kept};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCSessionDescription,
};

/// As much as the facade of ours lets a sender have waiting.
const HIGH_WATER: usize = 1 << 20;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

enum Told {
    Gathered,
    Channel(Arc<dyn DataChannel>),
}

struct Handler(mpsc::UnboundedSender<Told>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.send(Told::Gathered);
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.0.send(Told::Channel(channel));
    }
}

struct Side {
    connection: Arc<dyn PeerConnection>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Side {
    async fn new() -> Self {
        let (sender, told) = mpsc::unbounded_channel();
        let connection = PeerConnectionBuilder::new()
            .with_handler(Arc::new(Handler(sender)))
            .with_runtime(webrtc::runtime::default_runtime().expect("tokio"))
            .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
            // Without it a sender is never held back, and its queue holds the whole transfer.
            .with_data_channel_send_buffer_limit(HIGH_WATER)
            .build()
            .await
            .expect("a connection");
        Side {
            connection: Arc::new(connection),
            told,
        }
    }

    /// The local description, candidates included.
    async fn described(&mut self) -> String {
        while let Some(told) = self.told.recv().await {
            if matches!(told, Told::Gathered) {
                break;
            }
        }
        let description = self.connection.local_description().await;
        description.expect("a description").sdp
    }
}

struct Pair {
    channels: [Arc<dyn DataChannel>; 2],
    sides: [Side; 2],
    _proxy: Proxy,
}

impl Pair {
    async fn close(&self) {
        for side in &self.sides {
            let _ = side.connection.close().await;
        }
    }
}

async fn opened(channel: &Arc<dyn DataChannel>) {
    while let Some(event) = channel.poll().await {
        if matches!(event, DataChannelEvent::OnOpen) {
            return;
        }
    }
    panic!("the channel never opened");
}

async fn connect(case: &Case) -> Pair {
    let mut proxy = Proxy::new(case.wire);
    let (mut a, mut b) = (Side::new().await, Side::new().await);
    let channel = a
        .connection
        .create_data_channel("bench", None)
        .await
        .expect("a channel");
    let offer = a.connection.create_offer(None).await.expect("an offer");
    a.connection
        .set_local_description(offer)
        .await
        .expect("taken");
    let offer = a.described().await;
    let rerouted = RTCSessionDescription::offer(proxy.offer(&offer)).expect("an offer");
    b.connection
        .set_remote_description(rerouted)
        .await
        .expect("taken");
    let answer = b.connection.create_answer(None).await.expect("an answer");
    b.connection
        .set_local_description(answer)
        .await
        .expect("taken");
    let answer = b.described().await;
    let rerouted = RTCSessionDescription::answer(proxy.answer(&offer, &answer)).expect("an answer");
    a.connection
        .set_remote_description(rerouted)
        .await
        .expect("taken");
    opened(&channel).await;
    let theirs = loop {
        match b.told.recv().await.expect("more events") {
            Told::Channel(channel) => break channel,
            Told::Gathered => {}
        }
    };
    opened(&theirs).await;
    Pair {
        channels: [channel, theirs],
        sides: [a, b],
        _proxy: proxy,
    }
}

pub(crate) fn setup(case: &Case) -> Cost {
    runtime().block_on(async {
        let stop = start();
        let pair = connect(case).await;
        let cost = stop();
        pair.close().await;
        cost
    })
}

pub(crate) fn ping_pong(case: &Case, rounds: usize) -> Vec<Duration> {
    runtime().block_on(async {
        let pair = connect(case).await;
        let [ping, pong] = pair.channels.clone();
        let echo = tokio::spawn(async move {
            while let Some(event) = pong.poll().await {
                if let DataChannelEvent::OnMessage(message) = event
                    && pong.send(message.data).await.is_err()
                {
                    return;
                }
            }
        });
        let rounds = tokio::spawn(async move {
            let mut samples = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                ping.send(BytesMut::from(&[7; 64][..])).await.expect("sent");
                loop {
                    match ping.poll().await.expect("the echo") {
                        DataChannelEvent::OnMessage(_) => break,
                        other => drop(other),
                    }
                }
                samples.push(sent.elapsed());
            }
            samples
        });
        let samples = rounds.await.expect("all rounds");
        echo.abort();
        pair.close().await;
        samples
    })
}

pub(crate) fn transfer(case: &Case, message: usize, time: Duration) -> Flow {
    runtime().block_on(async {
        let pair = connect(case).await;
        if let Some(bytes) = case.socket_buffer {
            enlarge_buffers(bytes);
        }
        let [from, to] = pair.channels.clone();
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        let reader = tokio::spawn(async move {
            while let Some(event) = to.poll().await {
                if let DataChannelEvent::OnMessage(message) = event {
                    counter.fetch_add(message.data.len() as u64, Ordering::Relaxed);
                }
            }
        });
        let writer = tokio::spawn(async move {
            let payload = BytesMut::from(vec![7; message].as_slice());
            while from.send(payload.clone()).await.is_ok() {}
        });
        let flow = crate::observe_async(&received, time).await;
        writer.abort();
        reader.abort();
        pair.close().await;
        flow
    })
}

pub(crate) fn idle(count: usize) -> Box<dyn Kept> {
    let runtime = runtime();
    let case = Case::default();
    let pairs = runtime.block_on(async {
        let mut pairs = Vec::new();
        for _ in 0..count / 2 {
            pairs.push(connect(&case).await);
        }
        pairs
    });
    Box::new((pairs, runtime))
}
