//! DTLS: arbitrary datagrams into both roles, a handshake whose datagrams are damaged on the way, and records after it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

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
        let mut out = Vec::new();
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
            assert!(endpoint.poll_data().is_none());
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
            while let Some(record) = ends[from].poll_data() {
                assert_eq!(record[..], b"ping"[..]);
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

/// Records after a handshake: damaged, cut, repeated, held back, made up. What arrives is what was sent, once at most, and the
/// connection lives on.
pub fn dtls_records(data: &[u8]) {
    let Some((&choice, mut data)) = data.split_first() else {
        return;
    };
    let (Some(client), Some(server)) = (
        endpoint(Role::Client, choice & 3),
        endpoint(Role::Server, choice & 3),
    ) else {
        return;
    };
    let mut ends = [client, server];
    let now = start();
    let mut moved = true;
    while moved {
        moved = false;
        for from in [0, 1] {
            let mut datagram = Vec::new();
            while ends[from].poll_transmit(now, &mut datagram).is_some() {
                moved = true;
                ends[1 - from].handle_datagram(now, &datagram);
                datagram.clear();
            }
        }
    }
    // By the first records, both sides know the handshake to be over.
    for from in [0, 1] {
        let mut record = b"first".to_vec();
        assert!(ends[from].seal(now, &mut record, 0).is_ok());
        ends[1 - from].handle_datagram(now, &record);
        assert!(
            ends[1 - from]
                .poll_data()
                .is_some_and(|plain| *plain == *b"first")
        );
    }
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut number = 0u32;
    while let [action, place, tail @ ..] = data {
        data = tail;
        let from = usize::from(action >> 7);
        let mut record = number.to_be_bytes().to_vec();
        record.resize(4 + usize::from(*place), 7);
        number += 1;
        if ends[from].seal(now, &mut record, 0).is_err() {
            return;
        }
        let at = usize::from(*place) * record.len() / 256;
        match action % 8 {
            0 => record[at] ^= 1 << (action >> 3 & 7),
            1 => record.truncate(at),
            2 => held.push(record.clone()),
            3 => record = held.pop().unwrap_or_default(),
            4 => record.extend_from_slice(&held.concat()),
            5 => {
                let (made_up, rest) = data.split_at(at.min(data.len()));
                data = rest;
                // A header of either version in front of bytes that nobody has sealed.
                let len = (made_up.len() as u16).to_be_bytes();
                record = match action >> 5 & 3 {
                    0 => [&[0x20 | action >> 3 & 31], made_up].concat(),
                    1 => [&[0x2f, *place, *action], &len[..], made_up].concat(),
                    2 => [
                        &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, *place],
                        &len[..],
                        made_up,
                    ]
                    .concat(),
                    _ => made_up.to_vec(),
                };
            }
            _ => {}
        }
        ends[1 - from].handle_datagram(now, &record);
        if action % 8 == 2 {
            ends[1 - from].handle_datagram(now, &record);
        }
        while let Some(plain) = ends[1 - from].poll_data() {
            let Some((number, filling)) = plain.split_first_chunk::<4>() else {
                panic!("{plain:?}");
            };
            assert!(filling.iter().all(|byte| *byte == 7));
            assert!(seen.insert(*number), "twice");
        }
        assert_eq!(ends[1 - from].state(), State::Connected);
    }
    for from in [0, 1] {
        let mut record = b"last".to_vec();
        assert!(ends[from].seal(now, &mut record, 0).is_ok());
        ends[1 - from].handle_datagram(now, &record);
        assert!(
            ends[1 - from]
                .poll_data()
                .is_some_and(|plain| *plain == *b"last")
        );
    }
}
