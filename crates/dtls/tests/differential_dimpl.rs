//! Our records with dimpl's own: it shakes hands below us, and here it is the peer as well, with its own provider, its own
//! record layer and its own key updates.
#![allow(clippy::disallowed_methods, reason = "an instant to count from")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pc_dtls::{Config, Endpoint, Event, Role, State, Version};
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::{VERSIONS, certificate, fingerprint, only};

/// dimpl as it is.
struct Plain {
    dtls: dimpl::Dtls,
    outgoing: Vec<Vec<u8>>,
    data: Vec<Vec<u8>>,
    connected: bool,
    closed: bool,
    timeout: Option<Instant>,
}

impl Plain {
    fn new(version: Version, active: bool, limit: u64, now: Instant) -> Self {
        let config = dimpl::Config::builder()
            .aead_encryption_limit(limit)
            .build()
            .unwrap();
        let pem = certificate(1).to_pem();
        let key = pem::parse_many(pem.as_bytes())
            .unwrap()
            .into_iter()
            .find(|block| block.tag() == "PRIVATE KEY")
            .unwrap();
        let identity = dimpl::DtlsCertificate {
            certificate: certificate(1).der().to_vec(),
            private_key: key.into_contents(),
        };
        let mut dtls = match version {
            Version::Dtls12 => dimpl::Dtls::new_12(Arc::new(config), identity, now),
            Version::Dtls13 => dimpl::Dtls::new_13(Arc::new(config), identity, now),
        };
        dtls.set_active(active);
        dtls.handle_timeout(now).unwrap();
        Self {
            dtls,
            outgoing: Vec::new(),
            data: Vec::new(),
            connected: false,
            closed: false,
            timeout: None,
        }
    }

    fn drain(&mut self) {
        let mut buf = vec![0; 4096];
        loop {
            match self.dtls.poll_output(&mut buf) {
                dimpl::Output::Packet(packet) => self.outgoing.push(packet.to_vec()),
                dimpl::Output::ApplicationData(data) => self.data.push(data.to_vec()),
                dimpl::Output::Connected => self.connected = true,
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::Timeout(at) => {
                    self.timeout = Some(at);
                    break;
                }
                _ => {}
            }
        }
    }
}

struct Both {
    ours: Endpoint,
    plain: Plain,
    data: Vec<Vec<u8>>,
    events: Vec<Event>,
    now: Instant,
    log: support::Lines,
}

impl Both {
    fn new(version: Version, role: Role, limit: u64, update_after: u64) -> Self {
        let now = Instant::now();
        let log = support::Lines::default();
        let config = Config {
            versions: only(version),
            remote_fingerprints: vec![fingerprint(1)],
            key_update_after: update_after,
            key_log: Some(support::key_log(&log)),
            ..Config::default()
        };
        let ours =
            Endpoint::new(config, role, certificate(0), now, StdRng::seed_from_u64(1)).unwrap();
        let mut both = Self {
            ours,
            plain: Plain::new(version, role == Role::Server, limit, now),
            data: Vec::new(),
            events: Vec::new(),
            now,
            log,
        };
        both.exchange();
        assert_eq!(both.ours.state(), State::Connected);
        assert!(both.plain.connected);
        both
    }

    /// Hands datagrams over until there are none.
    fn exchange(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            self.plain.drain();
            for datagram in std::mem::take(&mut self.plain.outgoing) {
                self.ours.handle_datagram(self.now, &datagram);
                moved = true;
            }
            while let Some(record) = self.ours.poll_data() {
                self.data.push(record.to_vec());
            }
            while let Some(event) = self.ours.poll_event() {
                self.events.push(event);
            }
            let mut datagram = Vec::new();
            while self.ours.poll_transmit(self.now, &mut datagram).is_some() {
                self.plain.dtls.handle_packet(&datagram).unwrap();
                self.plain.drain();
                datagram.clear();
                moved = true;
            }
        }
    }

    /// One record each way.
    fn ping(&mut self, number: u32) {
        let text = vec![number as u8; 1 + number as usize % 1100];
        let mut record = text.clone();
        self.ours.seal(self.now, &mut record, 0).unwrap();
        self.plain.dtls.handle_packet(&record).unwrap();
        self.plain.dtls.send_application_data(&text).unwrap();
        self.exchange();
        assert_eq!(self.plain.data.pop().unwrap(), text, "{number}");
        assert_eq!(self.data.pop().unwrap(), text, "{number}");
        assert!(self.plain.data.is_empty() && self.data.is_empty());
    }

    fn pass_time(&mut self) {
        self.now += Duration::from_millis(300);
        self.plain.dtls.handle_timeout(self.now).unwrap();
        self.ours.handle_timeout(self.now);
        self.exchange();
    }

    fn epochs(&self, side: &str) -> usize {
        let lines = self.log.lock().unwrap();
        let label = format!("{side}_TRAFFIC_SECRET_");
        lines.iter().filter(|line| line.starts_with(&label)).count()
    }
}

#[test]
fn both_record_layers_understand_each_other_and_close() {
    for version in VERSIONS {
        for role in [Role::Client, Role::Server] {
            for ours_closes in [true, false] {
                let mut both = Both::new(version, role, 1 << 23, 1 << 23);
                for number in 0..1500 {
                    both.ping(number);
                    if number % 500 == 0 {
                        both.pass_time();
                    }
                }
                if ours_closes {
                    both.ours.close(both.now);
                } else {
                    both.plain.dtls.close().unwrap();
                }
                both.exchange();
                assert_eq!(both.ours.state(), State::Closed);
                assert!(both.plain.closed, "{version:?} {role:?} {ours_closes}");
                let told = both.events.contains(&Event::CloseNotify);
                assert_eq!(told, !ours_closes, "{version:?} {role:?}");
                assert_eq!(both.ours.counters().authentication, 0);
                assert_eq!(both.ours.counters().discarded, 0);
            }
        }
    }
}

#[test]
fn keys_are_updated_by_either_side_with_data_under_way() {
    for role in [Role::Client, Role::Server] {
        let (own, other) = match role {
            Role::Client => ("CLIENT", "SERVER"),
            Role::Server => ("SERVER", "CLIENT"),
        };
        // dimpl asks for ours as well, so that both move with either.
        for (limit, update_after) in [(40, 1 << 23), (1 << 23, 40), (50, 30)] {
            let mut both = Both::new(Version::Dtls13, role, limit, update_after);
            for number in 0..1000 {
                both.ping(number);
                if number % 100 == 0 {
                    both.pass_time();
                }
            }
            let epochs = (both.epochs(own), both.epochs(other));
            println!("{role:?}, limits {limit} and {update_after}: {epochs:?} epochs");
            assert!(epochs.0 > 10, "{role:?} {limit} {update_after}: {epochs:?}");
            assert!(epochs.1 > 10 || limit > 1000, "{role:?}: {epochs:?}");
            assert_eq!(both.ours.counters().authentication, 0);
            assert_eq!(both.ours.counters().unexpected, 0);
        }
    }
}
