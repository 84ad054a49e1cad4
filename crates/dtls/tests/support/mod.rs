//! Two endpoints on a simulated network.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use netsim::{Datagram, LinkConfig, Pair};
use pc_dtls::{
    Certificate, CertificateParams, Config, Endpoint, Event, Fingerprint, HashAlgorithm, KeyLog,
    Role, SrtpKeys, State, Version, Versions,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub const VERSIONS: [Version; 2] = [Version::Dtls12, Version::Dtls13];
pub const WALL_CLOCK: Duration = Duration::from_secs(1_767_225_600);

pub fn only(version: Version) -> Versions {
    match version {
        Version::Dtls12 => Versions::Dtls12,
        Version::Dtls13 => Versions::Dtls13,
    }
}

/// Certificates that stay the same from run to run, so that simulations repeat bit by bit.
pub fn certificate(which: usize) -> &'static Certificate {
    static CERTIFICATES: OnceLock<[Certificate; 2]> = OnceLock::new();
    &CERTIFICATES.get_or_init(|| {
        [include_str!("alice.pem"), include_str!("bob.pem")]
            .map(|pem| Certificate::from_pem(pem).unwrap())
    })[which]
}

pub fn fresh_certificate(seed: u64) -> Certificate {
    let mut rng = StdRng::seed_from_u64(seed);
    Certificate::generate(
        &CertificateParams::default(),
        SystemTime::UNIX_EPOCH + WALL_CLOCK,
        &mut rng,
    )
    .unwrap()
}

pub fn fingerprint(which: usize) -> Fingerprint {
    certificate(which).fingerprint(HashAlgorithm::Sha256)
}

/// The lines of a key log.
pub type Lines = Arc<Mutex<Vec<String>>>;

pub fn key_log(lines: &Lines) -> KeyLog {
    let lines = Arc::clone(lines);
    KeyLog::new(move |line| lines.lock().unwrap().push(line.to_owned()))
}

/// What a peer's connection came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub version: Version,
    pub cipher: String,
    pub srtp: Option<SrtpKeys>,
    pub peer_certificate: Vec<u8>,
}

/// An endpoint with an address, which keeps all its events and data.
pub struct Peer {
    pub dtls: Endpoint,
    pub own: SocketAddr,
    pub other: SocketAddr,
    pub events: Vec<Event>,
    pub data: Vec<Vec<u8>>,
    /// Messages to send once connected.
    pub outbox: Vec<Vec<u8>>,
    pub sent_bytes: usize,
    pub sent_datagrams: usize,
    pub largest: usize,
    /// All that was sent.
    pub wire: Vec<Vec<u8>>,
    pub log: Lines,
}

impl Peer {
    pub fn new(which: usize, role: Role, mut config: Config, now: Instant, seed: u64) -> Self {
        let address = |which: usize| SocketAddr::new([Pair::A, Pair::B][which], 4000);
        let log = Lines::default();
        config.key_log = Some(key_log(&log));
        let rng = StdRng::seed_from_u64(seed ^ (which as u64 + 1) << 32);
        Self {
            dtls: Endpoint::new(config, role, certificate(which), now, rng).unwrap(),
            own: address(which),
            other: address(1 - which),
            events: Vec::new(),
            data: Vec::new(),
            outbox: Vec::new(),
            sent_bytes: 0,
            sent_datagrams: 0,
            largest: 0,
            wire: Vec::new(),
            log,
        }
    }

    pub fn collect(&mut self) {
        while let Some(event) = self.dtls.poll_event() {
            self.events.push(event);
        }
        while let Some(record) = self.dtls.poll_data() {
            self.data.push(record.to_vec());
        }
    }

    pub fn connection(&self) -> Option<Connection> {
        self.events.iter().find_map(|event| match event {
            Event::Connected {
                version,
                cipher,
                srtp,
                peer_certificate,
            } => Some(Connection {
                version: *version,
                cipher: cipher.to_string(),
                srtp: srtp.clone(),
                peer_certificate: peer_certificate.clone(),
            }),
            _ => None,
        })
    }

    pub fn failure(&self) -> Option<pc_dtls::Error> {
        self.events.iter().find_map(|event| match event {
            Event::Failed(error) => Some(error.clone()),
            _ => None,
        })
    }

    pub fn is_connected(&self) -> bool {
        self.dtls.state() == State::Connected
    }

    pub fn seal(&mut self, now: Instant, data: &[u8]) -> Vec<u8> {
        let mut buf = b"head".to_vec();
        buf.extend_from_slice(data);
        self.dtls.seal(now, &mut buf, 4).unwrap();
        assert_eq!(&buf[..4], b"head");
        assert!(buf.len() - 4 <= data.len() + self.dtls.max_overhead());
        buf.split_off(4)
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl netsim::Endpoint for Peer {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.dtls.handle_datagram(now, &datagram.payload);
        self.collect();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        self.collect();
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.collect();
        let mut buf = Vec::new();
        if self.dtls.poll_transmit(now, &mut buf).is_none() {
            if self.dtls.state() != State::Connected || self.outbox.is_empty() {
                return None;
            }
            let message = self.outbox.remove(0);
            buf = self.seal(now, &message);
        }
        self.sent_bytes += buf.len();
        self.sent_datagrams += 1;
        self.largest = self.largest.max(buf.len());
        self.wire.push(buf.clone());
        Some(Datagram::new(self.own, self.other, buf))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.dtls.poll_timeout()
    }
}

/// A configuration that repeats itself and knows the other's fingerprint.
pub fn config(versions: Versions, other: usize) -> Config {
    Config {
        versions,
        remote_fingerprints: vec![fingerprint(other)],
        insecure_deterministic: true,
        ..Config::default()
    }
}

/// A client and a server over such a link.
pub fn pair(seed: u64, link: LinkConfig, client: Config, server: Config) -> Pair<Peer> {
    Pair::over(
        seed,
        link,
        |now| Peer::new(0, Role::Client, client, now, seed),
        |now| Peer::new(1, Role::Server, server, now, seed),
    )
}

pub fn both_connected(a: &mut Peer, b: &mut Peer) -> bool {
    a.is_connected() && b.is_connected()
}

/// A pair that has shaken hands over a perfect link.
pub fn connected(version: Version) -> Pair<Peer> {
    let mut pair = pair(
        1,
        LinkConfig::default(),
        config(only(version), 1),
        config(only(version), 0),
    );
    pair.run_until(Duration::from_secs(1), both_connected)
        .unwrap();
    pair.settle();
    pair
}
