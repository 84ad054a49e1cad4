//! `webrtc-sctp` 0.17.2, an async crate on tokio: its tasks run whenever the simulation calls, on tokio's own paused
//! clock, which is kept at the simulation's. What it measures by the system's clock (round trips) it measures as zero.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sctp::Reliability;
use sctp017::association::Association;
use sctp017::chunk::chunk_payload_data::PayloadProtocolIdentifier;
use sctp017::stream::{ReliabilityType, Stream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use webrtc_util017::Conn;

use crate::peers::Peer;

/// How often its timers are looked at: which is next is not told.
const TICK: Duration = Duration::from_millis(10);
/// Tasks wake each other; after so many turns all of them wait, for time, a packet, or the blocking thread.
const TURNS: usize = 12;
/// Messages that may wait here.
const QUEUE: usize = 64;

/// The network as it sees it.
#[derive(Default)]
struct Wire {
    inbound: Mutex<VecDeque<Bytes>>,
    arrived: Notify,
    outbound: Mutex<VecDeque<Vec<u8>>>,
}

#[async_trait]
impl Conn for Wire {
    async fn connect(&self, _addr: SocketAddr) -> webrtc_util017::Result<()> {
        Ok(())
    }
    async fn recv(&self, buf: &mut [u8]) -> webrtc_util017::Result<usize> {
        loop {
            if let Some(packet) = self.inbound.lock().unwrap().pop_front() {
                buf[..packet.len()].copy_from_slice(&packet);
                return Ok(packet.len());
            }
            self.arrived.notified().await;
        }
    }
    async fn recv_from(&self, buf: &mut [u8]) -> webrtc_util017::Result<(usize, SocketAddr)> {
        let length = self.recv(buf).await?;
        Ok((length, SocketAddr::from(([127, 0, 0, 1], 5000))))
    }
    async fn send(&self, buf: &[u8]) -> webrtc_util017::Result<usize> {
        self.outbound.lock().unwrap().push_back(buf.to_vec());
        Ok(buf.len())
    }
    async fn send_to(&self, buf: &[u8], _target: SocketAddr) -> webrtc_util017::Result<usize> {
        self.send(buf).await
    }
    fn local_addr(&self) -> webrtc_util017::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 5000)))
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    async fn close(&self) -> webrtc_util017::Result<()> {
        Ok(())
    }
    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

/// A message on its way: writing waits for room, so it has a task of its own.
struct Write {
    stream: u16,
    unordered: bool,
    reliability: Reliability,
    data: Bytes,
}

#[derive(Default)]
struct Shared {
    association: Option<Arc<Association>>,
    writes: VecDeque<Write>,
    streams: HashMap<u16, Arc<Stream>>,
    inbox: VecDeque<(u16, Bytes)>,
}

type Cell = Arc<Mutex<Shared>>;

/// Reads a stream for as long as it lives.
fn read(shared: &Cell, stream: Arc<Stream>) {
    let shared = shared.clone();
    tokio::spawn(async move {
        let mut buf = vec![0; 256 * 1024];
        while let Ok((length, _)) = stream.read_sctp(&mut buf).await {
            if length == 0 {
                return;
            }
            let message = Bytes::copy_from_slice(&buf[..length]);
            let id = stream.stream_identifier();
            shared.lock().unwrap().inbox.push_back((id, message));
        }
    });
}

/// Writes what is queued, in its order.
async fn write(shared: Cell, queued: Arc<Notify>, association: Arc<Association>) {
    loop {
        let next = shared.lock().unwrap().writes.pop_front();
        let Some(next) = next else {
            queued.notified().await;
            continue;
        };
        let known = shared.lock().unwrap().streams.get(&next.stream).cloned();
        let stream = match known {
            Some(stream) => stream,
            None => {
                let kind = PayloadProtocolIdentifier::Binary;
                let stream = association.open_stream(next.stream, kind).await.unwrap();
                let mut shared_now = shared.lock().unwrap();
                shared_now.streams.insert(next.stream, stream.clone());
                drop(shared_now);
                read(&shared, stream.clone());
                stream
            }
        };
        let (kind, value) = match next.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(n) => (ReliabilityType::Rexmit, u32::from(n)),
            Reliability::MaxPacketLifeTime(d) => (ReliabilityType::Timed, d.as_millis() as u32),
        };
        stream.set_reliability_params(next.unordered, kind, value);
        let kind = PayloadProtocolIdentifier::Binary;
        stream.write_sctp(&next.data, kind).await.unwrap();
    }
}

/// Takes the streams that the peer's data opens.
async fn run(shared: Cell, queued: Arc<Notify>, association: Arc<Association>) {
    shared.lock().unwrap().association = Some(association.clone());
    tokio::spawn(write(shared.clone(), queued, association.clone()));
    while let Some(stream) = association.accept_stream().await {
        let id = stream.stream_identifier();
        shared.lock().unwrap().streams.insert(id, stream.clone());
        read(&shared, stream);
    }
}

pub struct Webrtc017 {
    runtime: Runtime,
    wire: Arc<Wire>,
    shared: Cell,
    queued: Arc<Notify>,
    now: Instant,
    connecting: bool,
}

impl Webrtc017 {
    pub fn new(now: Instant) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // Packets are serialized there, one after the other.
            .max_blocking_threads(1)
            .build()
            .unwrap();
        Self {
            runtime,
            wire: Arc::default(),
            shared: Arc::default(),
            queued: Arc::default(),
            now,
            connecting: false,
        }
    }

    fn start(&mut self, client: bool) {
        if std::mem::replace(&mut self.connecting, true) {
            return;
        }
        let config = sctp017::association::Config {
            net_conn: self.wire.clone(),
            max_receive_buffer_size: 8 * 1024 * 1024,
            max_message_size: 256 * 1024,
            mtu: 0,
            name: String::new(),
            remote_port: 5000,
            local_port: 5000,
        };
        let (shared, queued) = (self.shared.clone(), self.queued.clone());
        self.runtime.spawn(async move {
            let association = if client {
                Association::client(config).await
            } else {
                Association::server(config).await
            };
            if let Ok(association) = association {
                run(shared, queued, Arc::new(association)).await;
            }
        });
        self.pump(self.now);
    }

    /// Lets the tasks run until they wait.
    fn pump(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.now);
        self.now = self.now.max(now);
        let wire = self.wire.clone();
        self.runtime.block_on(async {
            if !passed.is_zero() {
                tokio::time::advance(passed).await;
            }
            loop {
                let before = wire.outbound.lock().unwrap().len();
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
                // Behind what else is there.
                tokio::task::spawn_blocking(|| ()).await.unwrap();
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
                if wire.outbound.lock().unwrap().len() == before {
                    return;
                }
            }
        });
    }
}

impl Peer for Webrtc017 {
    fn connect(&mut self, _now: Instant) {
        self.start(true);
    }
    fn established(&self) -> bool {
        self.shared.lock().unwrap().association.is_some()
    }
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.start(false);
        self.wire.inbound.lock().unwrap().push_back(packet);
        self.wire.arrived.notify_one();
        self.pump(now);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.pump(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.connecting.then(|| self.now + TICK)
    }
    fn transmit(&mut self, _now: Instant, _most: usize, out: &mut dyn FnMut(&[u8])) {
        while let Some(packet) = self.wire.outbound.lock().unwrap().pop_front() {
            out(&packet);
        }
    }
    fn send(
        &mut self,
        now: Instant,
        id: u16,
        unordered: bool,
        reliability: Reliability,
        data: &Bytes,
    ) -> bool {
        let mut shared = self.shared.lock().unwrap();
        if shared.association.is_none() || shared.writes.len() >= QUEUE {
            return false;
        }
        shared.writes.push_back(Write {
            stream: id,
            unordered,
            reliability,
            data: data.clone(),
        });
        drop(shared);
        self.queued.notify_one();
        self.pump(now);
        true
    }
    fn receive(&mut self, _now: Instant) -> Option<(u16, Bytes)> {
        self.shared.lock().unwrap().inbox.pop_front()
    }
}
