//! Runs a script against an [`Association`], time simulated.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sctp::association::SendOptions;
use sctp::config::RtoConfig;
use sctp::wire::data::Data;
use sctp::wire::init::Init;
use sctp::wire::packet::{self, CommonHeader, HEADER_SIZE};
use sctp::wire::sack::Sack;
use sctp::wire::{Chunks, RawChunk, begin_chunk, end_chunk, kind, param};
use sctp::{Association, Config, Reliability};

use super::script::{Chunk, Event, What, When, number, parse};

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed(String),
    NotApplicable(String),
}

enum Stop {
    Failed(String),
    NotApplicable(String),
}

/// Packets may be this much early or late.
const TOLERANCE: f64 = 0.025;
/// How long `*` waits.
const PATIENCE: f64 = 200.0;

/// Runs a script.
pub fn run(text: &str, start: Instant) -> Outcome {
    let events = match parse(text) {
        Ok(events) => events,
        Err(reason) => return Outcome::NotApplicable(format!("notation: {reason}")),
    };
    let mut runner = Runner::new(start);
    for event in &events {
        match runner.event(event) {
            Ok(()) => {}
            Err(Stop::Failed(reason)) => {
                return Outcome::Failed(format!("line {}: {reason}", event.line));
            }
            Err(Stop::NotApplicable(reason)) => {
                return Outcome::NotApplicable(format!("line {}: {reason}", event.line));
            }
        }
    }
    runner.collect();
    match runner.sent.front() {
        Some((at, packet)) => Outcome::Failed(format!(
            "at the end, {at:.3} s: a packet nobody expected: {}",
            names(packet)
        )),
        None => Outcome::Passed,
    }
}

struct Runner {
    association: Association,
    start: Instant,
    /// Seconds since the start.
    now: f64,
    sent: VecDeque<(f64, Vec<u8>)>,
    live_tag: u32,
    live_tsn: u32,
    script_tsn: Option<u32>,
    cookie: Vec<u8>,
    heartbeat: Vec<u8>,
}

impl Runner {
    fn new(start: Instant) -> Self {
        let config = Config {
            // What the suites assume: the RFC's own values, Ethernet, and no offers beyond RFC 9260 and 3758.
            packet_size: 1480,
            rto: RtoConfig {
                initial: Duration::from_secs(1),
                min: Duration::from_secs(1),
                max: Duration::from_secs(60),
            },
            max_init_retransmits: 8,
            max_init_interval: Duration::from_secs(60),
            max_retransmits: Some(10),
            heartbeat_interval: None,
            interleaving: false,
            zero_checksum: false,
            ..Config::default()
        };
        Self {
            association: Association::new(config, StdRng::seed_from_u64(1)),
            start,
            now: 0.0,
            sent: VecDeque::new(),
            live_tag: 0,
            live_tsn: 0,
            script_tsn: None,
            cookie: vec![0; 4],
            heartbeat: Vec::new(),
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.now)
    }

    /// Takes what the association sends now.
    fn collect(&mut self) {
        let mut buf = Vec::new();
        while self
            .association
            .poll_transmit(self.instant(), &mut buf)
            .is_some()
        {
            let packet = std::mem::take(&mut buf);
            self.learn(&packet);
            self.sent.push_back((self.now, packet));
        }
        while self.association.poll_event().is_some() {}
    }

    /// Runs the timers up to a time; stops where a packet was sent, if asked to.
    fn advance(&mut self, to: f64, until_sent: bool) {
        loop {
            self.collect();
            if until_sent && !self.sent.is_empty() {
                return;
            }
            let next = self
                .association
                .poll_timeout()
                .map(|at| at.saturating_duration_since(self.start).as_secs_f64());
            match next {
                Some(at) if at <= to => {
                    self.now = self.now.max(at + 1e-9);
                    self.association.handle_timeout(self.instant());
                }
                _ => break,
            }
        }
        self.now = self.now.max(to);
        self.collect();
    }

    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        let (from, to) = match event.when {
            When::At(at) => (at, at),
            When::After(wait) => (self.now + wait, self.now + wait),
            When::Between(a, b) => (self.now + a, self.now + b),
            When::Any => (self.now, self.now + PATIENCE),
        };
        match &event.what {
            What::Outbound(chunks) => self.expect(chunks, from - TOLERANCE, to + TOLERANCE),
            What::Inbound(chunks) => {
                self.advance(from, false);
                let packet = self.build(chunks)?;
                self.association.handle_packet(self.instant(), packet);
                self.collect();
                Ok(())
            }
            What::Call {
                name,
                arguments,
                result,
            } => {
                self.advance(from, false);
                self.call(name, arguments, result)?;
                self.collect();
                Ok(())
            }
            // sysctl and the like set the host up, which there is not.
            What::Other(_) => Ok(()),
        }
    }

    fn expect(&mut self, expected: &[Chunk], from: f64, to: f64) -> Result<(), Stop> {
        if self.sent.is_empty() {
            self.advance(to, true);
        }
        let Some((at, packet)) = self.sent.pop_front() else {
            return Err(Stop::Failed(format!("no packet by {to:.3} s")));
        };
        if at < from || at > to {
            let found = names(&packet);
            return Err(Stop::Failed(format!(
                "{found} at {at:.3} s instead of {from:.3} to {to:.3} s"
            )));
        }
        self.now = self.now.max(at);
        let chunks: Vec<RawChunk> = Chunks::new(&packet, HEADER_SIZE)
            .filter_map(Result::ok)
            .collect();
        if chunks.len() != expected.len() {
            return Err(Stop::Failed(format!("sent {}", names(&packet))));
        }
        for (chunk, expected) in chunks.iter().zip(expected) {
            self.compare(&packet, chunk, expected)?;
        }
        Ok(())
    }

    /// Notes tags, TSNs and cookies of what was sent.
    fn learn(&mut self, packet: &[u8]) {
        for chunk in Chunks::new(packet, HEADER_SIZE).filter_map(Result::ok) {
            let value = &packet[chunk.value.clone()];
            match chunk.kind {
                kind::INIT | kind::INIT_ACK => {
                    if let Ok(init) = Init::parse(value) {
                        self.live_tag = init.tag;
                        self.live_tsn = init.initial_tsn.0;
                    }
                    for param in Init::params(value) {
                        if param.kind == param::kind::STATE_COOKIE {
                            self.cookie = param.value.to_vec();
                        }
                    }
                }
                kind::HEARTBEAT => self.heartbeat = value.to_vec(),
                _ => {}
            }
        }
    }

    /// A TSN of ours as the script counts.
    fn to_script(&self, tsn: u32) -> u64 {
        let script = self.script_tsn.unwrap_or(self.live_tsn);
        u64::from(tsn.wrapping_sub(self.live_tsn).wrapping_add(script))
    }

    /// A TSN of ours as it really is.
    fn to_live(&self, tsn: u64) -> u32 {
        let script = self.script_tsn.unwrap_or(self.live_tsn);
        (tsn as u32)
            .wrapping_sub(script)
            .wrapping_add(self.live_tsn)
    }

    fn compare(&mut self, packet: &[u8], chunk: &RawChunk, expected: &Chunk) -> Result<(), Stop> {
        let name = name_of(chunk.kind);
        if expected.name != name {
            return Err(Stop::Failed(format!(
                "sent {name}, expected {}",
                expected.name
            )));
        }
        let value = &packet[chunk.value.clone()];
        let mut found: Vec<(&str, String)> = vec![("len", (value.len() + 4).to_string())];
        match chunk.kind {
            kind::INIT | kind::INIT_ACK => {
                let Ok(init) = Init::parse(value) else {
                    return Err(Stop::Failed("an unreadable INIT".into()));
                };
                self.script_tsn = expected.number("tsn").map(|tsn| tsn as u32);
                found.clear();
                found.push(("os", init.outbound.to_string()));
                found.push(("is", init.inbound.to_string()));
                found.push(("a_rwnd", init.window.to_string()));
            }
            kind::DATA => {
                if let Ok(data) = Data::parse(packet, chunk) {
                    found.push(("tsn", self.to_script(data.tsn.0).to_string()));
                    found.push(("sid", data.stream.to_string()));
                    found.push(("ssn", data.message.to_string()));
                    found.push(("ppid", data.ppid.to_string()));
                }
                // The I bit is the sender's choice (RFC 9260 §6.1).
                if let Some(flags) = expected.field("flgs") {
                    let wanted = data_flags(flags) & 7;
                    if wanted != chunk.flags & 7 {
                        return Err(Stop::Failed(format!("DATA flags {:#x}", chunk.flags)));
                    }
                }
            }
            kind::SACK => {
                if let Ok(sack) = Sack::parse(value) {
                    found.push(("cum_tsn", sack.cumulative.0.to_string()));
                    found.push(("a_rwnd", sack.window.to_string()));
                    let gaps: Vec<_> = sack.gaps().map(|(a, b)| format!("{a}:{b}")).collect();
                    found.push(("gaps", gaps.join(",")));
                    let dups: Vec<_> = sack.duplicates().map(|t| t.0.to_string()).collect();
                    found.push(("dups", dups.join(",")));
                }
            }
            kind::SHUTDOWN => {
                let tsn = value.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                found.push(("cum_tsn", tsn.to_string()));
            }
            kind::FORWARD_TSN => {
                let tsn = value.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                found.push(("cum_tsn", self.to_script(tsn).to_string()));
            }
            kind::ABORT | kind::SHUTDOWN_COMPLETE => {
                if let Some(flags) = expected.field("flgs") {
                    let wanted = u8::from(flags.contains('T') || flags == "1");
                    if wanted != chunk.flags & 1 {
                        return Err(Stop::Failed(format!("{name} flags {:#x}", chunk.flags)));
                    }
                }
            }
            _ => {}
        }
        for (key, found) in found {
            let Some(wanted) = expected.field(key) else {
                continue;
            };
            let list = |text: &str| text.replace(' ', "");
            let same = match (number(wanted), number(&found)) {
                (Some(a), Some(b)) => a == b,
                _ => list(wanted) == list(&found),
            };
            if !same {
                let reason = format!("{name} {key}={found}, expected {wanted}");
                return Err(Stop::Failed(reason));
            }
        }
        Ok(())
    }

    fn build(&mut self, chunks: &[Chunk]) -> Result<Bytes, Stop> {
        let first = chunks.first().map_or("", |chunk| chunk.name.as_str());
        let mut buf = Vec::new();
        CommonHeader {
            source_port: 5000,
            destination_port: 5000,
            verification_tag: if first == "INIT" { 0 } else { self.live_tag },
            checksum: 0,
        }
        .write(&mut buf);
        for chunk in chunks {
            self.build_chunk(&mut buf, chunk)?;
        }
        packet::seal(&mut buf, 0);
        Ok(buf.into())
    }

    fn build_chunk(&self, buf: &mut Vec<u8>, chunk: &Chunk) -> Result<(), Stop> {
        let number = |key| chunk.number(key).unwrap_or(0) as u32;
        let simple = |buf: &mut Vec<u8>, kind: u8, value: &[u8]| {
            let flags = chunk.number("flgs").unwrap_or(0) as u8;
            let start = begin_chunk(buf, kind, flags);
            buf.extend_from_slice(value);
            end_chunk(buf, start);
        };
        match chunk.name.as_str() {
            "INIT" | "INIT_ACK" => {
                let ack = chunk.name == "INIT_ACK";
                let start = begin_chunk(buf, if ack { 2 } else { 1 }, 0);
                buf.extend_from_slice(&number("tag").to_be_bytes());
                buf.extend_from_slice(&number("a_rwnd").to_be_bytes());
                buf.extend_from_slice(&(number("os") as u16).to_be_bytes());
                buf.extend_from_slice(&(number("is") as u16).to_be_bytes());
                buf.extend_from_slice(&number("tsn").to_be_bytes());
                for inner in chunk.inner() {
                    match inner.name.as_str() {
                        "STATE_COOKIE" => {
                            let length = inner.number("len").unwrap_or(8).max(5) as usize - 4;
                            param::write(buf, param::kind::STATE_COOKIE, &vec![0x43; length]);
                        }
                        "FORWARD_TSN_SUPPORTED" => {
                            param::write(buf, param::kind::FORWARD_TSN_SUPPORTED, &[]);
                        }
                        "SUPPORTED_EXTENSIONS" => {
                            let types = inner.field("types").unwrap_or("");
                            let types: Vec<u8> = types
                                .split(',')
                                .filter_map(|t| match t.trim() {
                                    "FORWARD_TSN" => Some(kind::FORWARD_TSN),
                                    "RECONFIG" => Some(kind::RE_CONFIG),
                                    "I_DATA" => Some(kind::I_DATA),
                                    other => super::script::number(other).map(|n| n as u8),
                                })
                                .collect();
                            param::write(buf, param::kind::SUPPORTED_EXTENSIONS, &types);
                        }
                        "SUPPORTED_ADDRESS_TYPES" | "ECN_CAPABLE" => {}
                        other => {
                            let reason = format!("parameter {other}");
                            return Err(Stop::NotApplicable(reason));
                        }
                    }
                }
                end_chunk(buf, start);
            }
            "COOKIE_ECHO" => simple(buf, kind::COOKIE_ECHO, &self.cookie),
            "COOKIE_ACK" => simple(buf, kind::COOKIE_ACK, &[]),
            "HEARTBEAT" => {
                let mut value = Vec::new();
                param::write(&mut value, param::kind::HEARTBEAT_INFO, &[7; 16]);
                simple(buf, kind::HEARTBEAT, &value);
            }
            "HEARTBEAT_ACK" => simple(buf, kind::HEARTBEAT_ACK, &self.heartbeat),
            "ABORT" => simple(buf, kind::ABORT, &[]),
            "ERROR" => simple(buf, kind::ERROR, &[]),
            "SHUTDOWN" => {
                let tsn = self.to_live(u64::from(number("cum_tsn")));
                simple(buf, kind::SHUTDOWN, &tsn.to_be_bytes());
            }
            "SHUTDOWN_ACK" => simple(buf, kind::SHUTDOWN_ACK, &[]),
            "SHUTDOWN_COMPLETE" => simple(buf, kind::SHUTDOWN_COMPLETE, &[]),
            "FORWARD_TSN" => {
                let mut value = number("cum_tsn").to_be_bytes().to_vec();
                let ids = chunk.field("ids").unwrap_or("");
                for pair in ids.split(['{', '}', ';']).filter(|p| p.contains(',')) {
                    for part in pair.trim_matches(',').split(',') {
                        let part = super::script::number(part).unwrap_or(0) as u16;
                        value.extend_from_slice(&part.to_be_bytes());
                    }
                }
                simple(buf, kind::FORWARD_TSN, &value);
            }
            "DATA" => {
                let flags = data_flags(chunk.field("flgs").unwrap_or("BE"));
                let length = chunk.number("len").unwrap_or(17).saturating_sub(16) as usize;
                Data {
                    interleaved: false,
                    flags,
                    tsn: sctp::serial::Tsn(number("tsn")),
                    stream: number("sid") as u16,
                    message: number("ssn"),
                    ppid: number("ppid"),
                    fsn: 0,
                    payload: 0..0,
                }
                .write(buf, &vec![0x44; length]);
            }
            "SACK" => {
                let mut value = self
                    .to_live(u64::from(number("cum_tsn")))
                    .to_be_bytes()
                    .to_vec();
                value.extend_from_slice(&number("a_rwnd").to_be_bytes());
                let list = |key| -> Vec<&str> {
                    let text = chunk.field(key).unwrap_or("");
                    text.split(',')
                        .map(str::trim)
                        .filter(|t| !t.is_empty())
                        .collect()
                };
                let (gaps, dups) = (list("gaps"), list("dups"));
                value.extend_from_slice(&(gaps.len() as u16).to_be_bytes());
                value.extend_from_slice(&(dups.len() as u16).to_be_bytes());
                for gap in gaps {
                    let (a, b) = gap.split_once(':').unwrap_or((gap, gap));
                    for end in [a, b] {
                        let end = super::script::number(end).unwrap_or(0) as u16;
                        value.extend_from_slice(&end.to_be_bytes());
                    }
                }
                for dup in dups {
                    let dup = super::script::number(dup).unwrap_or(0);
                    value.extend_from_slice(&self.to_live(dup).to_be_bytes());
                }
                simple(buf, kind::SACK, &value);
            }
            "CHUNK" => {
                let length = chunk.number("len").unwrap_or(4).saturating_sub(4) as usize;
                simple(buf, number("type") as u8, &vec![0; length]);
            }
            other => return Err(Stop::NotApplicable(format!("chunk {other}"))),
        }
        Ok(())
    }

    fn call(&mut self, name: &str, arguments: &str, result: &str) -> Result<(), Stop> {
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        let argument = |n: usize| arguments.get(n).copied().unwrap_or("");
        let size = |n: usize| number(argument(n)).unwrap_or(0) as usize;
        match name {
            "socket" | "bind" | "listen" | "accept" | "fcntl" | "getsockopt" => {}
            "setsockopt" => {
                let harmless = [
                    "SCTP_NODELAY",
                    "SCTP_EVENT",
                    "SO_LINGER",
                    "SCTP_RECVRCVINFO",
                ];
                if !harmless.iter().any(|option| argument(2).contains(option)) {
                    let reason = format!("socket option {}", argument(2));
                    return Err(Stop::NotApplicable(reason));
                }
            }
            "connect" => self.association.connect(self.instant()),
            "write" | "send" => self.send(SendOptions::default(), size(2), result)?,
            "sctp_sendmsg" => {
                let ttl = size(8);
                let options = SendOptions {
                    stream: size(7) as u16,
                    ppid: number(
                        argument(5)
                            .trim_start_matches("htonl(")
                            .trim_end_matches(')'),
                    )
                    .unwrap_or(0) as u32,
                    unordered: argument(6).contains("SCTP_UNORDERED"),
                    reliability: if ttl > 0 {
                        Reliability::MaxPacketLifeTime(Duration::from_millis(ttl as u64))
                    } else {
                        Reliability::Reliable
                    },
                };
                self.send(options, size(2), result)?;
            }
            "read" | "recv" | "sctp_recvmsg" | "sctp_recvv" => {
                let read = self.association.read(self.instant());
                let length = read.map_or(-1, |message| message.payload.len() as i64);
                let wanted = result.split_whitespace().next().unwrap_or("");
                if wanted != "..." && wanted.parse() != Ok(length) {
                    return Err(Stop::Failed(format!("read {length}, expected {wanted}")));
                }
            }
            "close" | "shutdown" => {
                if result.starts_with('0') {
                    self.association.shutdown(self.instant());
                }
            }
            other => return Err(Stop::NotApplicable(format!("call {other}"))),
        }
        Ok(())
    }

    fn send(&mut self, options: SendOptions, size: usize, result: &str) -> Result<(), Stop> {
        let payload = Bytes::from(vec![0x42; size]);
        let sent = self.association.send(self.instant(), options, payload);
        if sent.is_ok() == result.starts_with('-') {
            return Err(Stop::Failed(format!("sending gave {sent:?}")));
        }
        Ok(())
    }
}

/// `BE`, `UBE`, `I`…, or a number.
fn data_flags(text: &str) -> u8 {
    if let Some(number) = number(text) {
        return number as u8;
    }
    text.chars().fold(0, |flags, c| {
        flags
            | match c {
                'E' => 1,
                'B' => 2,
                'U' => 4,
                'I' => 8,
                _ => 0,
            }
    })
}

fn name_of(chunk: u8) -> &'static str {
    match chunk {
        kind::DATA => "DATA",
        kind::INIT => "INIT",
        kind::INIT_ACK => "INIT_ACK",
        kind::SACK => "SACK",
        kind::HEARTBEAT => "HEARTBEAT",
        kind::HEARTBEAT_ACK => "HEARTBEAT_ACK",
        kind::ABORT => "ABORT",
        kind::SHUTDOWN => "SHUTDOWN",
        kind::SHUTDOWN_ACK => "SHUTDOWN_ACK",
        kind::ERROR => "ERROR",
        kind::COOKIE_ECHO => "COOKIE_ECHO",
        kind::COOKIE_ACK => "COOKIE_ACK",
        kind::SHUTDOWN_COMPLETE => "SHUTDOWN_COMPLETE",
        kind::FORWARD_TSN => "FORWARD_TSN",
        kind::RE_CONFIG => "RECONFIG",
        _ => "CHUNK",
    }
}

fn names(packet: &[u8]) -> String {
    let names: Vec<_> = Chunks::new(packet, HEADER_SIZE)
        .filter_map(Result::ok)
        .map(|chunk| name_of(chunk.kind))
        .collect();
    names.join("; ")
}
