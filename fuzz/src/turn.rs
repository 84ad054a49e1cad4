//! A TURN client fed with arbitrary messages of a server, signed and unsigned, and the cutting of its stream.

use ::stun::{
    AttributeType, Class, Family, IntegrityKey, Message, Method, PasswordAlgorithm, TransactionId,
    Writer,
};
use ::turn::framing::{StreamReader, frame_len};
use ::turn::{Client, Config, Credentials, Input, Transport};
use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const REALM: &str = "r";

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host % 8], 1000 + u16::from(host >> 6)))
}

/// Any cut of a stream gives the same frames, or the same refusal.
pub fn turn_stream(data: &[u8]) {
    let read = |piece: usize| {
        let mut reader = StreamReader::new();
        let mut frames = Vec::new();
        for piece in data.chunks(piece) {
            reader.extend(piece);
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => {
                        assert_eq!(frame_len(frame), Ok(Some(frame.len())));
                        frames.push(frame.to_vec());
                    }
                    Ok(None) => break,
                    Err(_) => return (frames, true),
                }
            }
        }
        (frames, false)
    };
    let whole = read(data.len().max(1));
    assert_eq!(read(1), whole);
    assert_eq!(read(7), whole);
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

/// A client, whatever its server says.
pub fn turn_client(data: &[u8]) {
    let mut bytes = Bytes(data);
    let flags = bytes.byte();
    let mut now = Instant::now();
    let transport = match flags & 1 {
        0 => Transport::Udp,
        _ => Transport::Stream,
    };
    let mut config = Config::new(addr(1), transport, Credentials::password("u", "p"));
    config.mobility = flags & 2 != 0;
    config.dont_fragment = flags & 4 != 0;
    config.follow_redirects = flags & 8 == 0;
    if flags & 16 != 0 {
        config.families = turn::Families::Both;
    }
    if flags & 32 != 0 {
        config.even_port = Some(true);
    }
    let mut client = Client::new(now, config, StdRng::seed_from_u64(1));
    let mut asked: Vec<(Method, TransactionId)> = Vec::new();
    let mut steps = 0;
    while !bytes.0.is_empty() && steps < 400 {
        steps += 1;
        let (op, arg) = (bytes.byte(), bytes.byte());
        let from = if op & 0x80 != 0 {
            addr(arg)
        } else {
            client.server()
        };
        match op % 12 {
            0 => {
                let datagram = bytes.take(usize::from(arg));
                let input = client.handle_datagram(now, from, datagram);
                if let Input::Data { range, .. } = input {
                    assert!(range.end <= datagram.len());
                }
            }
            1..=5 => {
                let Some(&(method, id)) = asked.get(usize::from(arg) % asked.len().max(1)) else {
                    continue;
                };
                let answer = answer(method, id, bytes.byte(), bytes.byte());
                let _ = client.handle_datagram(now, from, &answer);
            }
            6 => {
                let mut message = Vec::new();
                let id = TransactionId([arg; 12]);
                let method = if arg & 1 != 0 {
                    Method::DATA
                } else {
                    Method::CONNECTION_ATTEMPT
                };
                let data = bytes.take(usize::from(bytes.0.first().copied().unwrap_or(0)));
                Writer::new(&mut message, Class::Indication, method, id)
                    .xor_peer_address(addr(arg))
                    .connection_id(u32::from(arg))
                    .data(data)
                    .finish(false);
                let _ = client.handle_datagram(now, from, &message);
            }
            7 => now += Duration::from_millis(u64::from(arg) * 500),
            8 => match arg >> 5 {
                0 => client.create_permission(now, addr(arg).ip()),
                1 => client.bind_channel(now, addr(arg)),
                2 => client.remove_peer(addr(arg)),
                3 => {
                    let _ = client.migrate(now);
                }
                4 => client.connect(now, addr(arg)),
                7 if arg == 255 => client.close(now),
                _ => {}
            },
            9 => {
                let mut buf = vec![0; usize::from(op >> 5)];
                let start = buf.len();
                if let Some(frame) = client.open_frame(addr(arg), &mut buf) {
                    buf.resize(buf.len() + usize::from(arg), 7);
                    assert!(client.close_frame(frame, &mut buf));
                    assert!(buf.len() > start);
                }
            }
            10 => {
                // ChannelData.
                let number = 0x4000 + u16::from(arg & 7);
                let data = bytes.take(usize::from(arg >> 3));
                let mut message = number.to_be_bytes().to_vec();
                message.extend_from_slice(&(data.len() as u16).to_be_bytes());
                message.extend_from_slice(data);
                let _ = client.handle_datagram(now, from, &message);
            }
            _ => {
                let _ = (
                    client.relayed(),
                    client.mapped(),
                    client.state(),
                    client.stats(),
                );
                let _ = (
                    client.has_channel(addr(arg)),
                    client.has_permission(addr(arg).ip()),
                );
            }
        }
        drain(&mut client, now, &mut asked);
    }
}

/// An answer of a server that knows the password, or does not.
fn answer(method: Method, id: TransactionId, kind: u8, detail: u8) -> Vec<u8> {
    let mut message = Vec::new();
    let class = match kind & 3 {
        0 | 1 => Class::Success,
        _ => Class::Error,
    };
    let mut writer = Writer::new(&mut message, class, method, id);
    if class == Class::Error {
        let codes = [
            300, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 446, 486, 500, 508,
        ];
        writer.error_code(codes[usize::from(detail) % codes.len()]);
        writer.realm(REALM).nonce(&[b'a' + detail % 3; 9]);
        match detail >> 6 {
            1 => writer.alternate_server(addr(detail)),
            2 => writer.password_algorithms(&[PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5]),
            3 => writer.attribute(AttributeType(0x7777), &[1, 2, 3]),
            _ => &mut writer,
        };
    } else {
        if detail & 1 == 0 {
            writer.xor_mapped_address(addr(detail));
        }
        if detail & 2 == 0 {
            writer.xor_relayed_address(addr(detail >> 2));
        }
        if detail & 4 == 0 {
            writer.lifetime(Duration::from_secs(u64::from(detail) * 10));
        }
        if detail & 8 != 0 {
            writer.reservation_token([detail; 8]);
        }
        if detail & 16 != 0 {
            writer.mobility_ticket(&[detail; 20]);
        }
        if detail & 32 != 0 {
            writer.address_error_code(Family::V6, 440);
        }
        if detail & 64 != 0 {
            writer.connection_id(u32::from(detail));
        }
    }
    match kind & 0x30 {
        0x10 => writer.finish(false),
        0x20 => writer.finish_with(
            &IntegrityKey::long_term("u", REALM, "p", PasswordAlgorithm::Sha256),
            true,
        ),
        _ => writer.finish_with(
            &IntegrityKey::long_term("u", REALM, "p", PasswordAlgorithm::Md5),
            kind & 4 != 0,
        ),
    };
    message
}

/// What a driver does; the client must come to rest.
fn drain(client: &mut Client, now: Instant, asked: &mut Vec<(Method, TransactionId)>) {
    for round in 0.. {
        assert!(round < 1000, "the client does not come to rest: {client:?}");
        let mut worked = false;
        if client.poll_timeout().is_some_and(|at| at <= now) {
            client.handle_timeout(now);
            worked = true;
        }
        let mut buf = Vec::new();
        while let Some(transmit) = client.poll_transmit(now, &mut buf) {
            worked = true;
            let sent = &buf[buf.len() - transmit.len..];
            if let Ok(message) = Message::parse(sent)
                && message.class() == Class::Request
            {
                if asked.len() > 32 {
                    asked.clear();
                }
                asked.push((message.method(), message.transaction_id()));
            }
        }
        while client.poll_event().is_some() {
            worked = true;
        }
        if !worked {
            return;
        }
    }
}
