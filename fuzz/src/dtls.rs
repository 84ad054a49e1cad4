//! DTLS: arbitrary datagrams into both roles, and a handshake whose datagrams are damaged on the way.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dtls::{Certificate, Config, Endpoint, HashAlgorithm, Role, State, Versions};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        Certificate::from_pem(include_str!("../../crates/dtls/tests/support/alice.pem"))
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

/// One instant for all runs.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    #[allow(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made otherwise; only differences count"
    )]
    *START.get_or_init(Instant::now)
}

fn endpoint(role: Role, choice: u8) -> Option<Endpoint> {
    let config = Config {
        versions: [Versions::Auto, Versions::Dtls12, Versions::Dtls13][usize::from(choice) % 3],
        cookie: choice & 4 != 0,
        mtu: if choice & 8 != 0 { 256 } else { 1200 },
        remote_fingerprints: vec![certificate().fingerprint(HashAlgorithm::Sha256)],
        insecure_deterministic: true,
        receive_buffer: 4096,
        ..Config::default()
    };
    Endpoint::new(
        config,
        role,
        certificate(),
        start(),
        StdRng::seed_from_u64(1),
    )
    .ok()
}

/// Datagrams, each preceded by its length in two bytes; a length of zero lets a quarter of a second pass.
pub fn dtls_datagrams(data: &[u8]) {
    let Some((&choice, mut data)) = data.split_first() else {
        return;
    };
    for role in [Role::Client, Role::Server] {
        let Some(mut endpoint) = endpoint(role, choice) else {
            return;
        };
        let mut now = start();
        let (mut out, mut plain) = (Vec::new(), BytesMut::new());
        let mut rest = data;
        while let [high, low, tail @ ..] = rest {
            let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
            let (datagram, tail) = tail.split_at(len);
            rest = tail;
            if len == 0 {
                now += Duration::from_millis(250);
                endpoint.handle_timeout(now);
            } else {
                endpoint.handle_datagram(now, datagram);
            }
            while endpoint.poll_transmit(now, &mut out).is_some() {}
            while endpoint.poll_event().is_some() {}
            assert!(endpoint.poll_data(&mut plain).is_none());
            assert_ne!(endpoint.state(), State::Connected);
            out.clear();
        }
        data = &data[..data.len().min(4096)];
    }
}

/// A handshake and some data between two endpoints. Each step takes two bytes: what becomes of the next datagram, and where.
pub fn dtls_damaged_handshake(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else {
        return;
    };
    let (Some(client), Some(server)) = (
        endpoint(Role::Client, choice),
        endpoint(Role::Server, choice),
    ) else {
        return;
    };
    let mut ends = [client, server];
    let mut now = start();
    let mut steps = data.chunks_exact(2);
    let mut plain = BytesMut::new();
    for _ in 0..200 {
        let mut moved = false;
        for from in [0, 1] {
            let mut datagram = Vec::new();
            while ends[from].poll_transmit(now, &mut datagram).is_some() {
                moved = true;
                let (action, place) = steps.next().map_or((0, 0), |step| (step[0], step[1]));
                let at = usize::from(place) * datagram.len() / 256;
                match action % 8 {
                    1 => datagram.clear(),
                    2 => datagram[at] ^= action | 1,
                    3 => datagram.truncate(at),
                    4 => ends[1 - from].handle_datagram(now, &datagram),
                    5 => datagram.extend_from_slice(&[action; 7]),
                    _ => {}
                }
                ends[1 - from].handle_datagram(now, &datagram);
                datagram.clear();
            }
            if ends[from].state() == State::Connected {
                let mut record = b"ping".to_vec();
                if ends[from].seal(now, &mut record, 0).is_ok() {
                    ends[1 - from].handle_datagram(now, &record);
                }
            }
            while ends[from].poll_event().is_some() {}
            while let Some(len) = ends[from].poll_data(&mut plain) {
                assert_eq!(plain.split()[..], b"ping"[..len]);
            }
        }
        if !moved {
            let next = ends.iter().filter_map(Endpoint::poll_timeout).min();
            let Some(next) =
                next.filter(|_| ends.iter().any(|end| end.state() == State::Connecting))
            else {
                break;
            };
            now = now.max(next);
            ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
    }
}
