//! Endpoints for the simulated network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{Datagram, Endpoint, LinkConfig, Pair};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sctp::association::{Association, Event as AssociationEvent, Received, SendOptions};
use sctp::datachannel::{
    ChannelConfig, ChannelId, DataChannels, DtlsRole, Event, Message, MessageKind, RemoteParameters,
};
use sctp::{Config, Reliability};

/// What the tests need of either type.
pub(crate) trait Machine {
    fn handle_packet(&mut self, now: Instant, packet: Bytes);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize>;
    fn poll_timeout(&self) -> Option<Instant>;
}

macro_rules! machine {
    ($type:ty) => {
        impl Machine for $type {
            fn handle_packet(&mut self, now: Instant, packet: Bytes) {
                self.handle_packet(now, packet);
            }
            fn handle_timeout(&mut self, now: Instant) {
                self.handle_timeout(now);
            }
            fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
                self.poll_transmit(now, buf)
            }
            fn poll_timeout(&self) -> Option<Instant> {
                self.poll_timeout()
            }
        }
    };
}
machine!(DataChannels);
machine!(Association);

/// A machine with addresses.
pub(crate) struct Node<M> {
    pub(crate) machine: M,
    local: SocketAddr,
    remote: SocketAddr,
    pub(crate) now: Instant,
}

impl<M: Machine> Endpoint for Node<M> {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.now = now;
        self.machine.handle_packet(now, datagram.payload.into());
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.machine.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.now = now;
        let mut buf = Vec::new();
        let length = self.machine.poll_transmit(now, &mut buf)?;
        assert_eq!(length, buf.len());
        assert!(length <= 1200, "a packet of {length} bytes");
        Some(Datagram::new(self.local, self.remote, buf))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }
}

impl Node<DataChannels> {
    pub(crate) fn open(&mut self, config: ChannelConfig) -> ChannelId {
        self.machine.open(config).expect("a channel opens")
    }

    pub(crate) fn send(&mut self, id: ChannelId, data: impl Into<Bytes>) {
        self.machine
            .send(self.now, id, MessageKind::Binary, data.into())
            .expect("a message is taken");
    }

    pub(crate) fn read(&mut self, id: ChannelId) -> Option<Message> {
        self.machine.read(self.now, id)
    }

    pub(crate) fn read_all(&mut self, id: ChannelId) -> Vec<Bytes> {
        std::iter::from_fn(|| self.read(id))
            .map(|message| message.payload)
            .collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }
}

impl Node<Association> {
    pub(crate) fn send(&mut self, stream: u16, reliability: Reliability, data: impl Into<Bytes>) {
        let options = SendOptions {
            stream,
            ppid: 53,
            unordered: false,
            reliability,
        };
        self.machine
            .send(self.now, options, data.into())
            .expect("a message is taken");
    }

    pub(crate) fn read_all(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.machine.read(self.now)).collect()
    }

    pub(crate) fn events(&mut self) -> Vec<AssociationEvent> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }
}

pub(crate) type Channels = Pair<Node<DataChannels>>;
pub(crate) type Associations = Pair<Node<Association>>;

fn addresses() -> (SocketAddr, SocketAddr) {
    (
        SocketAddr::new(Pair::A, 5000),
        SocketAddr::new(Pair::B, 5000),
    )
}

pub(crate) fn link(round_trip_ms: u64, loss: f64) -> LinkConfig {
    LinkConfig {
        latency: Duration::from_micros(round_trip_ms * 500),
        loss: netsim::Loss::Random(loss),
        ..LinkConfig::default()
    }
}

/// Two sides with data channels, not started.
pub(crate) fn channels(seed: u64, link: LinkConfig, config: Config) -> Channels {
    let (a, b) = addresses();
    let make = |number: u64, local, remote| {
        let config = config.clone();
        move |now| Node {
            machine: DataChannels::new(config, StdRng::seed_from_u64(seed * 2 + number)),
            local,
            remote,
            now,
        }
    };
    Pair::over(seed, link, make(0, a, b), make(1, b, a))
}

pub(crate) fn start(pair: &mut Channels) {
    let now = pair.now();
    let remote = RemoteParameters {
        max_message_size: 256 * 1024,
        ..RemoteParameters::default()
    };
    pair.a.machine.start(now, DtlsRole::Client, remote.clone());
    pair.b.machine.start(now, DtlsRole::Server, remote);
}

/// Two sides with data channels, connected; events taken.
pub(crate) fn connected(seed: u64, link: LinkConfig, config: Config) -> Channels {
    let mut pair = channels(seed, link, config);
    start(&mut pair);
    pair.run_until(Duration::from_secs(60), |a, b| {
        a.machine.association().is_established() && b.machine.association().is_established()
    })
    .expect("both sides connect");
    pair.a.events();
    pair.b.events();
    pair
}

/// A channel from `a` to `b`, open on both sides; events taken.
pub(crate) fn open(pair: &mut Channels, config: ChannelConfig) -> (ChannelId, ChannelId) {
    let a = pair.a.open(config);
    let mut b = None;
    pair.run_until(Duration::from_secs(60), |_, node| {
        for event in node.events() {
            if let Event::ChannelIncoming(id) = event {
                b = Some(id);
            }
        }
        b.is_some()
    })
    .expect("the channel arrives");
    pair.a.events();
    (a, b.unwrap())
}

/// Two associations, not connected.
pub(crate) fn associations(seed: u64, link: LinkConfig, config: Config) -> Associations {
    let (a, b) = addresses();
    let make = |number: u64, local, remote| {
        let config = config.clone();
        move |now| Node {
            machine: Association::new(config, StdRng::seed_from_u64(seed * 2 + number)),
            local,
            remote,
            now,
        }
    };
    Pair::over(seed, link, make(0, a, b), make(1, b, a))
}

/// Two associations, connected by `a`; events taken.
pub(crate) fn associated(seed: u64, link: LinkConfig, config: Config) -> Associations {
    let mut pair = associations(seed, link, config);
    let now = pair.now();
    pair.a.machine.connect(now);
    pair.run_until(Duration::from_secs(120), |a, b| {
        a.machine.is_established() && b.machine.is_established()
    })
    .expect("both sides connect");
    pair.a.events();
    pair.b.events();
    pair
}

/// A message that tells its number and is not all the same byte.
pub(crate) fn message(number: usize, size: usize) -> Bytes {
    let mut data: Vec<u8> = (0..size).map(|n| (n * 7 + number * 13) as u8).collect();
    for (place, byte) in data.iter_mut().zip((number as u32).to_be_bytes()) {
        *place = byte;
    }
    data.into()
}
