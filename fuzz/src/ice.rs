//! Candidate lines, and an agent fed with arbitrary datagrams, answers, candidates and commands.

use ice::{
    Agent, Candidate, Config, Event, Input, LocalSocket, Parameters, Path, Protocol, Server,
};
use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{AttributeType, Class, IntegrityKey, Message, Method, TransactionId, Writer};

/// A candidate line that parses is written as one that parses to the same.
pub fn ice_candidate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(candidate) = text.parse::<Candidate>() else {
        return;
    };
    let written = candidate.to_string();
    let again: Candidate = written.parse().expect("what is written parses");
    assert_eq!(again.to_string(), written);
}

/// Takes bytes from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

const LOCAL: [&str; 2] = ["192.0.2.1:5000", "[2001:db8::1]:5000"];
const REMOTE: [&str; 5] = [
    "192.0.2.2:6000",
    "203.0.113.9:6001",
    "198.51.100.1:3478",
    "198.51.100.2:3478",
    "[2001:db8::2]:6000",
];

fn addr(list: &[&str], index: u8) -> SocketAddr {
    list[usize::from(index) % list.len()]
        .parse()
        .expect("an address")
}

/// An agent, whatever comes: the peer it trusts may be mad, and a stranger may send anything.
pub fn ice_agent(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut now = Instant::now();
    let flags = bytes.byte();
    let mut config = Config::default();
    config.lite = flags & 1 != 0;
    config.mdns = flags & 2 != 0;
    if flags & 4 != 0 {
        config.role = ice::Role::Controlled;
    }
    if flags & 8 != 0 {
        config.transport_policy = ice::TransportPolicy::Relay;
    }
    let mut agent = Agent::new(config, StdRng::seed_from_u64(1));
    for local in LOCAL {
        agent.add_local_socket(now, LocalSocket::udp(local.parse().expect("an address")));
    }
    agent.add_server(
        now,
        Server::Stun {
            addr: addr(&REMOTE, 2),
            url: "stun:s".into(),
        },
    );
    agent.add_server(
        now,
        Server::Turn {
            addr: addr(&REMOTE, 3),
            protocol: if flags & 16 != 0 {
                Protocol::Tcp
            } else {
                Protocol::Udp
            },
            username: "u".into(),
            password: "p".into(),
            url: "turn:t".into(),
        },
    );
    let mut remote = Parameters::new("peer", "the-password-of-the-peer");
    let mut asked: Vec<(Path, TransactionId)> = Vec::new();
    let mut buf = Vec::new();
    let mut steps = 0;
    while !bytes.0.is_empty() && steps < 500 {
        steps += 1;
        let (op, arg) = (bytes.byte(), bytes.byte());
        let path = Path::udp(addr(&LOCAL, arg & 1), addr(&REMOTE, arg >> 1));
        match op % 16 {
            0 => {
                let len = usize::from(bytes.byte());
                let _ = agent.handle_datagram(now, path, bytes.take(len));
            }
            // A request the peer has signed.
            1..=3 => {
                let kind = bytes.byte();
                let own = agent.local_parameters().clone();
                let mut message = Vec::new();
                let id = TransactionId([kind; 12]);
                let mut writer = Writer::new(&mut message, Class::Request, Method::BINDING, id);
                writer
                    .ice_username(&own.ufrag, &remote.ufrag)
                    .priority(u32::from(kind) << 20);
                if kind & 1 != 0 {
                    writer.use_candidate();
                }
                if kind & 2 != 0 {
                    writer.nomination(u32::from(kind >> 4));
                }
                match kind & 12 {
                    4 => writer.ice_controlling(u64::from(arg) << 56),
                    8 => writer.ice_controlled(u64::from(arg) << 56),
                    12 => writer.attribute(AttributeType(0x7000 + u16::from(kind)), &[]),
                    _ => &mut writer,
                };
                writer.finish_with(&IntegrityKey::short_term(&own.pwd), true);
                let _ = agent.handle_datagram(now, path, &message);
            }
            // An answer to something the agent has asked.
            4..=6 => {
                let kind = bytes.byte();
                let Some((path, id)) = asked.get(usize::from(arg) % asked.len().max(1)) else {
                    continue;
                };
                let class = if kind & 1 != 0 {
                    Class::Error
                } else {
                    Class::Success
                };
                let mut message = Vec::new();
                let mut writer = Writer::new(&mut message, class, Method::BINDING, *id);
                match kind & 1 {
                    0 => writer.xor_mapped_address(addr(&LOCAL, kind >> 1)),
                    _ => writer.error_code([400, 403, 420, 487, 500][usize::from(kind >> 1) % 5]),
                };
                match kind & 0x80 {
                    0 => writer.finish_with(&IntegrityKey::short_term(&remote.pwd), true),
                    _ => writer.finish(false),
                };
                let _ = agent.handle_datagram(now, *path, &message);
            }
            7 | 8 => now += Duration::from_millis(u64::from(arg) * 40),
            9 => {
                let line = format!(
                    "candidate:{arg} 1 udp {} {} {} typ host",
                    u32::from(arg) << 12,
                    addr(&REMOTE, arg).ip(),
                    6000 + u16::from(arg)
                );
                let _ = agent.add_remote_candidate(now, line.parse().expect("a candidate"));
            }
            10 => {
                let len = usize::from(arg);
                let line = String::from_utf8_lossy(bytes.take(len)).into_owned();
                if let Ok(candidate) = line.parse() {
                    let _ = agent.add_remote_candidate(now, candidate);
                }
            }
            11 => {
                if arg & 1 != 0 {
                    remote = Parameters::new(format!("peer{arg}"), "another-password-of-the-peer");
                    remote.renomination = arg & 2 != 0;
                    remote.lite = arg & 4 != 0;
                }
                let _ = agent.set_remote_parameters(now, remote.clone());
            }
            12 => agent.restart(now),
            13 => match arg & 7 {
                0 => agent.end_of_remote_candidates(now),
                1 => agent.local_sockets_complete(now),
                2 => agent.remove_local_socket(now, addr(&LOCAL, arg >> 3)),
                3 => agent.add_local_socket(now, LocalSocket::udp(addr(&LOCAL, arg >> 3))),
                4 => agent.set_role(ice::Role::Controlling),
                5 => agent.handle_resolved(now, "a.local", Some(addr(&REMOTE, arg >> 3).ip())),
                6 if arg > 240 => agent.close(now),
                _ => drop(agent.report().to_string()),
            },
            14 => {
                buf.clear();
                if let Some(frame) = agent.open_frame(&mut buf) {
                    buf.resize(buf.len() + usize::from(arg), 0x80);
                    agent.close_frame(frame, &mut buf);
                }
            }
            _ => {
                let data = [0x80; 20];
                if let Input::Data(range) = agent.handle_datagram(now, path, &data) {
                    assert_eq!(range, 0..20);
                }
            }
        }
        drain(&mut agent, &mut now, &mut buf, &mut asked);
    }
}

/// What a driver does; the agent must come to rest.
fn drain(
    agent: &mut Agent,
    now: &mut Instant,
    buf: &mut Vec<u8>,
    asked: &mut Vec<(Path, TransactionId)>,
) {
    for round in 0.. {
        assert!(
            round < 1000,
            "the agent does not come to rest: {:?} {}",
            agent.poll_timeout().map(|at| *now - at),
            agent.report()
        );
        let mut worked = false;
        if agent.poll_timeout().is_some_and(|at| at <= *now) {
            agent.handle_timeout(*now);
            worked = true;
        }
        buf.clear();
        while let Some(transmit) = agent.poll_transmit(*now, buf) {
            worked = true;
            let sent = &buf[buf.len() - transmit.len..];
            if let Ok(message) = Message::parse(sent)
                && message.class() == Class::Request
            {
                if asked.len() > 64 {
                    asked.clear();
                }
                asked.push((transmit.path(), message.transaction_id()));
            }
        }
        while let Some(event) = agent.poll_event() {
            worked = true;
            if let Event::Connect { path, .. } = event {
                agent.handle_connected(*now, path);
            }
        }
        if !worked {
            return;
        }
    }
}
