//! This stack: the facade over tokio for data, the session with sockets of its own for media.

use crate::measure::{Cost, enlarge_buffers, start, wait_readable};
use crate::proxy::Proxy;
use crate::{Case, Flow, Kept};
use bytes::Bytes;
use peerconnection::session::{Event as SessionEvent, OutgoingFrame, Parts, Session};
use peerconnection::{
    Configuration, DataChannel, DataChannelInit, Event, Message, NetworkOptions, PeerConnection,
    PeerConnectionState, SessionDescription, TransceiverDirection,
};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Two connections, and a channel that is open on both.
struct Pair {
    channels: [DataChannel; 2],
    connections: [PeerConnection; 2],
    _proxy: Proxy,
}

fn connection(case: &Case) -> PeerConnection {
    let network = NetworkOptions {
        addresses: Some(vec![Ipv4Addr::LOCALHOST.into()]),
        socket_buffer: case.socket_buffer.unwrap_or(0),
        ..NetworkOptions::default()
    };
    PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection")
}

async fn connect(case: &Case) -> Pair {
    let mut proxy = Proxy::new(case.wire);
    let (a, b) = (connection(case), connection(case));
    let channel = a
        .create_data_channel("bench", DataChannelInit::default())
        .expect("a channel");
    let mut events = b.events();
    let described = |pc: &PeerConnection| pc.local_description().expect("a description").sdp;
    a.set_local_description(None).await.expect("an offer");
    let offer = described(&a);
    let rerouted = SessionDescription::offer(proxy.offer(&offer));
    b.set_remote_description(&rerouted).await.expect("taken");
    b.set_local_description(None).await.expect("an answer");
    let rerouted = SessionDescription::answer(proxy.answer(&offer, &described(&b)));
    a.set_remote_description(&rerouted).await.expect("taken");
    channel.opened().await.expect("open");
    let theirs = loop {
        match events.next().await.expect("more events") {
            Event::DataChannel(channel) => break channel,
            other => drop(other),
        }
    };
    theirs.opened().await.expect("open");
    Pair {
        channels: [channel, theirs],
        connections: [a, b],
        _proxy: proxy,
    }
}

pub(crate) fn setup(case: &Case) -> Cost {
    let runtime = runtime();
    runtime.block_on(async {
        let stop = start();
        let pair = connect(case).await;
        let cost = stop();
        drop(pair);
        cost
    })
}

pub(crate) fn ping_pong(case: &Case, rounds: usize) -> Vec<Duration> {
    runtime().block_on(async {
        let pair = connect(case).await;
        let [ping, pong] = pair.channels.clone();
        let echo = tokio::spawn(async move {
            while let Some(Message::Binary(bytes)) = pong.recv().await {
                if pong.send(bytes).await.is_err() {
                    return;
                }
            }
        });
        let rounds = tokio::spawn(async move {
            let payload = Bytes::from_static(&[7; 64]);
            let mut samples = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let sent = Instant::now();
                ping.send(payload.clone()).await.expect("sent");
                ping.recv().await.expect("the echo");
                samples.push(sent.elapsed());
            }
            samples
        });
        let samples = rounds.await.expect("all rounds");
        echo.abort();
        drop(pair);
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
            while let Some(message) = to.recv().await {
                counter.fetch_add(message.as_bytes().len() as u64, Ordering::Relaxed);
            }
        });
        let writer = tokio::spawn(async move {
            let payload = Bytes::from(vec![7; message]);
            while from.send(payload.clone()).await.is_ok() {}
        });
        let flow = crate::observe_async(&received, time).await;
        writer.abort();
        for connection in &pair.connections {
            connection.close();
        }
        let _ = reader.await;
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

/// A session with its socket.
struct Host {
    session: Session,
    socket: UdpSocket,
    state: UdpSocketState,
    out: Vec<u8>,
    memory: Vec<u8>,
    connected: bool,
    /// How far this host's clock runs ahead.
    ahead: Duration,
}

impl Host {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("a state");
        let (now, wall_clock) = (Instant::now(), SystemTime::now());
        let mut rng = rand::make_rng();
        let certificate =
            dtls::Certificate::generate(&dtls::CertificateParams::default(), wall_clock, &mut rng);
        let certificate = Arc::new(certificate.expect("a certificate"));
        let parts = Parts::new(certificate, rng, now, wall_clock);
        Host {
            session: Session::new(Configuration::default(), parts).expect("a session"),
            socket,
            state,
            out: Vec::new(),
            memory: vec![0; 1 << 16],
            connected: false,
            ahead: Duration::ZERO,
        }
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    fn open(&mut self, now: Instant) {
        let address = self.socket.local_addr().expect("an address");
        self.session
            .add_local_socket(now, ice::LocalSocket::udp(address));
        self.session.local_sockets_complete(now);
    }

    /// Handles what came and what is due, and sends; how many frames were received.
    fn turn(&mut self) -> usize {
        let now = self.now();
        loop {
            let mut meta = [RecvMeta::default()];
            let mut slices = [IoSliceMut::new(&mut self.memory)];
            let read = self
                .state
                .recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta);
            if read.is_err() {
                break;
            }
            let path = ice::Path::udp(self.socket.local_addr().expect("an address"), meta[0].addr);
            for datagram in self.memory[..meta[0].len].chunks(meta[0].stride.max(1)) {
                self.session.handle_datagram(now, path, datagram);
            }
        }
        if self.session.poll_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
        }
        let mut frames = 0;
        while self.session.poll_frame().is_some() {
            frames += 1;
        }
        while let Some(event) = self.session.poll_event() {
            if let SessionEvent::ConnectionStateChange(state) = event {
                self.connected = state == PeerConnectionState::Connected;
            }
        }
        self.flush(now);
        frames
    }

    fn flush(&mut self, now: Instant) {
        loop {
            self.out.clear();
            let segments = self.state.max_gso_segments();
            let Some(transmit) = self.session.poll_transmit(now, &mut self.out, segments) else {
                return;
            };
            let transmit = quinn_udp::Transmit {
                destination: transmit.remote,
                ecn: None,
                contents: &self.out,
                segment_size: (self.out.len() > transmit.segment_size)
                    .then_some(transmit.segment_size),
                src_ip: None,
            };
            let _ = self
                .state
                .try_send(UdpSockRef::from(&self.socket), &transmit);
        }
    }
}

/// Frames of `size` bytes from one side to the other, one after the other; frames that arrived and their cost.
pub(crate) fn media(frames: usize, size: usize) -> (usize, Cost) {
    let (mut a, mut b) = (Host::new(), Host::new());
    let id = a
        .session
        .add_transceiver(
            media::MediaKind::Video,
            Some("track".into()),
            TransceiverDirection::SendOnly,
            Vec::new(),
            Vec::new(),
        )
        .expect("a transceiver");
    let now = Instant::now();
    let described = |host: &Host| host.session.local_description().expect("a description");
    a.session
        .set_local_description(now, None)
        .expect("an offer");
    a.open(now);
    b.session
        .set_remote_description(now, &described(&a))
        .expect("taken");
    b.session
        .set_local_description(now, None)
        .expect("an answer");
    b.open(now);
    a.session
        .set_remote_description(now, &described(&b))
        .expect("taken");
    while !(a.connected && b.connected) {
        a.turn();
        b.turn();
        wait_readable([&a.socket, &b.socket], Duration::from_millis(1));
    }
    let mut frame = OutgoingFrame {
        data: Bytes::from(crate::keyframe(size)),
        keyframe: true,
        ..OutgoingFrame::default()
    };
    let mut arrived = 0;
    let stop = start();
    for _ in 0..frames {
        a.ahead += crate::FRAME_TIME;
        b.ahead += crate::FRAME_TIME;
        let now = a.now();
        frame.timestamp = frame.timestamp.wrapping_add(3000);
        a.session
            .write_frame(now, id, None, &frame)
            .expect("written");
        a.flush(now);
        arrived += b.turn();
        a.turn();
    }
    for _ in 0..20 {
        wait_readable([&a.socket, &b.socket], Duration::from_millis(5));
        a.turn();
        arrived += b.turn();
    }
    (arrived, stop())
}
