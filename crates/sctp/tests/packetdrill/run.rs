//! Runs a script against an [`Association`], time simulated.
//!
//! What is mapped: one socket of one-to-one style is one association. TSNs and tags are translated between the
//! script's numbers and ours. What an association without sockets, with one path, cannot do is told as not applicable.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sctp::association::{Event as AssociationEvent, Received};
use sctp::config::RtoConfig;
use sctp::wire::init::Init;
use sctp::wire::packet::{self, CommonHeader, HEADER_SIZE};
use sctp::wire::{Chunks, RawChunk, kind, param};
use sctp::{Association, CloseReason, Config, Reliability};

use super::chunks::{self, Numbers, name_of};
use super::compare::compare;
use super::script::{Event, Packet, Script, What, When, parse};

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed(String),
    NotApplicable(String),
}

/// Why a script stops.
#[derive(Debug)]
pub enum Stop {
    Failed(String),
    NotApplicable(String),
}

/// Packets may be this much early or late, at least.
const TOLERANCE: f64 = 0.025;
/// How long `*` waits.
const PATIENCE: f64 = 200.0;

/// Runs a script as packetdrill does: what is sent after the last expectation is not looked at.
pub fn run(text: &str, start: Instant) -> Outcome {
    finish(text, start, false)
}

/// Runs a script that is to name every packet.
pub fn run_strictly(text: &str, start: Instant) -> Outcome {
    finish(text, start, true)
}

fn finish(text: &str, start: Instant, strictly: bool) -> Outcome {
    let script = match parse(text) {
        Ok(script) => script,
        Err(reason) => return Outcome::NotApplicable(format!("notation: {reason}")),
    };
    let mut runner = match Runner::new(start, &script) {
        Ok(runner) => runner,
        Err(Stop::Failed(reason)) => return Outcome::Failed(reason),
        Err(Stop::NotApplicable(reason)) => return Outcome::NotApplicable(reason),
    };
    for event in &script.events {
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
        Some((at, packet)) if strictly => Outcome::Failed(format!(
            "at the end, {at:.3} s: a packet nobody expected: {}",
            names(packet)
        )),
        _ => Outcome::Passed,
    }
}

/// What the suites assume: the values of their time (RFC 4960 §15), Ethernet, and no offers beyond partial
/// reliability and stream reset.
fn suite_config() -> Config {
    Config {
        packet_size: 1480,
        rto: RtoConfig {
            initial: Duration::from_secs(3),
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
        },
        max_init_retransmits: 8,
        max_init_interval: Duration::from_secs(60),
        max_retransmits: Some(10),
        heartbeat_interval: None,
        interleaving: false,
        zero_checksum: false,
        tail_probes: false,
        ..Config::default()
    }
}

pub struct Runner {
    pub association: Association,
    pub config: Config,
    start: Instant,
    /// Seconds since the start.
    now: f64,
    tolerance: f64,
    sent: VecDeque<(f64, Vec<u8>)>,
    live_tag: u32,
    live_tsn: u32,
    script_tag: Option<u64>,
    script_tsn: Option<u32>,
    cookie: Vec<u8>,
    heartbeat: Vec<u8>,
    seed: u64,
    /// Socket calls' state.
    pub listening: Option<i64>,
    pub socket: Option<i64>,
    pub abort_on_close: bool,
    pub reliability: Reliability,
    /// A message read in part.
    pub rest: Option<(Received, usize)>,
    pub closed: Option<CloseReason>,
    pub was_connected: bool,
}

impl Runner {
    fn new(start: Instant, script: &Script) -> Result<Self, Stop> {
        let mut config = suite_config();
        super::calls::configure(&mut config, &script.events)?;
        Ok(Self {
            association: Association::new(config.clone(), StdRng::seed_from_u64(1)),
            config,
            start,
            now: 0.0,
            tolerance: script.tolerance.max(TOLERANCE),
            sent: VecDeque::new(),
            live_tag: 0,
            live_tsn: 0,
            script_tag: None,
            script_tsn: None,
            cookie: vec![0; 4],
            heartbeat: Vec::new(),
            seed: 1,
            listening: None,
            socket: None,
            abort_on_close: false,
            reliability: Reliability::Reliable,
            rest: None,
            closed: None,
            was_connected: false,
        })
    }

    pub fn instant(&self) -> Instant {
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
        while let Some(event) = self.association.poll_event() {
            match event {
                AssociationEvent::Connected => self.was_connected = true,
                AssociationEvent::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
    }

    /// Runs the timers up to a time; stops where a packet was sent, if asked to.
    pub fn advance(&mut self, to: f64, until_sent: bool) {
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
            What::Outbound(packet) => {
                // RFC 9260 §6.2 lets an acknowledgement wait 200 ms for another packet.
                let acknowledges = packet.chunks.iter().all(|chunk| chunk.name == "SACK");
                let patience = if acknowledges { 0.2 } else { 0.0 };
                self.expect(
                    packet,
                    from - self.tolerance,
                    to + self.tolerance + patience,
                )
            }
            What::Inbound(packet) => {
                self.advance(from, false);
                let begins = packet.chunks.first().is_some_and(|c| c.name == "INIT");
                if begins {
                    self.make_way()?;
                }
                let packet = self.build(packet)?;
                self.association.handle_packet(self.instant(), packet);
                self.collect();
                Ok(())
            }
            What::Call(call) => {
                // A call that blocks returns at its end; connect acts at its start.
                let blocks = if call.name == "connect" {
                    0.0
                } else {
                    event.blocks
                };
                self.advance(from + blocks, false);
                self.call(call)?;
                self.collect();
                Ok(())
            }
            What::Command(_) => Ok(()),
        }
    }

    /// A new association for a new peer, where the last is over and a socket listens.
    fn make_way(&mut self) -> Result<(), Stop> {
        if self.listening.is_none() && self.socket.is_none() {
            return Err(Stop::NotApplicable(
                "INIT to a port nobody listens on".into(),
            ));
        }
        if self.association.is_closed() && self.listening.is_some() {
            self.seed += 1;
            let rng = StdRng::seed_from_u64(self.seed);
            self.association = Association::new(self.config.clone(), rng);
            self.socket = None;
            self.closed = None;
            self.was_connected = false;
        }
        Ok(())
    }

    fn expect(&mut self, expected: &Packet, from: f64, to: f64) -> Result<(), Stop> {
        if expected.raw.is_some() {
            return Err(Stop::NotApplicable("bytes expected".into()));
        }
        if self.sent.is_empty() {
            self.advance(to, true);
        }
        let Some((at, packet)) = self.sent.pop_front() else {
            let wanted = expected.chunks.iter().map(|c| c.name.as_str());
            let wanted = wanted.collect::<Vec<_>>().join("; ");
            return Err(Stop::Failed(format!("no {wanted} by {to:.3} s")));
        };
        if at < from || at > to {
            let found = names(&packet);
            return Err(Stop::Failed(format!(
                "{found} at {at:.3} s instead of {from:.3} to {to:.3} s"
            )));
        }
        self.now = self.now.max(at);
        let unchecked = packet.get(8..12) == Some(&[0; 4]);
        if unchecked != expected.zero_checksum {
            return Err(Stop::Failed(format!("zero checksum: {unchecked}")));
        }
        let chunks: Vec<RawChunk> = Chunks::new(&packet, HEADER_SIZE)
            .filter_map(Result::ok)
            .collect();
        if chunks.len() != expected.chunks.len() {
            return Err(Stop::Failed(format!("sent {}", names(&packet))));
        }
        for (chunk, expected) in chunks.iter().zip(&expected.chunks) {
            if matches!(chunk.kind, kind::INIT | kind::INIT_ACK) {
                // The script says how it counts from here on.
                if let Some(tsn) = expected.number("tsn") {
                    self.script_tsn = Some(tsn as u32);
                }
                self.script_tag = expected.number("tag").or(self.script_tag);
            }
            compare(&packet, chunk, expected, self, &|tsn| self.to_script(tsn))?;
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

    fn build(&self, packet: &Packet) -> Result<Bytes, Stop> {
        let first = packet
            .chunks
            .first()
            .map_or("", |chunk| chunk.name.as_str());
        let verification_tag = match packet.tag {
            Some(tag) if Some(tag) != self.script_tag => tag as u32,
            None if first == "INIT" => 0,
            _ => self.live_tag,
        };
        let mut buf = Vec::new();
        CommonHeader {
            source_port: 5000,
            destination_port: 5000,
            verification_tag,
            checksum: 0,
        }
        .write(&mut buf);
        match &packet.raw {
            Some(bytes) => buf.extend_from_slice(bytes),
            None => {
                for chunk in &packet.chunks {
                    chunks::write(&mut buf, chunk, self)?;
                }
            }
        }
        packet::seal(&mut buf, 0);
        if packet.zero_checksum {
            buf[8..12].fill(0);
        }
        if packet.bad_checksum {
            buf[11] ^= 1;
        }
        Ok(buf.into())
    }
}

impl Numbers for Runner {
    fn to_live(&self, tsn: u64) -> u32 {
        let script = self.script_tsn.unwrap_or(self.live_tsn);
        (tsn as u32)
            .wrapping_sub(script)
            .wrapping_add(self.live_tsn)
    }
    fn cookie(&self) -> &[u8] {
        &self.cookie
    }
    fn heartbeat(&self) -> &[u8] {
        &self.heartbeat
    }
}

fn names(packet: &[u8]) -> String {
    let names: Vec<_> = Chunks::new(packet, HEADER_SIZE)
        .filter_map(Result::ok)
        .map(|chunk| name_of(chunk.kind))
        .collect();
    names.join("; ")
}
