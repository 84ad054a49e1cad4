//! Relayed candidates (RFC 8445 §5.1.1.2, RFC 8656).

use super::Agent;
use super::ids::{PairId, RelayId};
use super::local::NewCandidate;
use crate::candidate::{CandidateType, Protocol};
use crate::config::TransportPolicy;
use crate::event::{DropReason, Event, Framing, Input, Path, Transmit};
use crate::pair::{PairFailure, Route};
use crate::relay::{Awaits, Relay, RelayConfig, RelayState};
use rand::{SeedableRng, rngs::StdRng};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Redirections followed in all (RFC 8489 §10 leaves the number open).
const MAX_RELAYS: usize = 32;
/// RFC 8656 §19.
const ALLOCATION_MISMATCH: u16 = 437;
/// Ports tried in vain for one allocation.
const MAX_MOVES: u8 = 3;

impl Agent {
    pub(super) fn queue_relay(&mut self, base: SocketAddr, config: RelayConfig) {
        let local = match config.protocol {
            Protocol::Udp => base,
            // The connection gets its own port.
            Protocol::Tcp | Protocol::Tls => SocketAddr::new(base.ip(), 0),
        };
        let known = (self.relays.iter()).any(|relay| {
            relay.local == local
                && relay.config.addr == config.addr
                && relay.config.protocol == config.protocol
        });
        if known || self.relays.len() >= MAX_RELAYS {
            return;
        }
        let id = RelayId(self.fresh_id());
        self.relays.push(Relay {
            id,
            config,
            local,
            base,
            state: RelayState::Queued,
            moves: 0,
            client: None,
            wanted: Vec::new(),
        });
    }

    pub(super) fn retry_relays(&mut self) {
        for relay in &mut self.relays {
            if matches!(relay.state, RelayState::Failed(_)) {
                relay.state = RelayState::Queued;
                relay.client = None;
                relay.moves = 0;
            }
        }
    }

    pub(super) fn start_next_relay(&mut self, now: Instant) -> bool {
        let deadline = now + self.config.timing.gather_timeout;
        let queued =
            (self.relays.iter()).position(|relay| matches!(relay.state, RelayState::Queued));
        let Some(index) = queued else { return false };
        let relay = &mut self.relays[index];
        if relay.config.protocol == Protocol::Udp {
            self.allocate(now, index, deadline);
        } else {
            relay.state = RelayState::Connecting { deadline };
            let (path, url) = (relay.path(), relay.config.url.clone());
            self.events.push_back(Event::Connect {
                path,
                framing: Framing::Turn,
                url: Some(url),
            });
        }
        true
    }

    fn allocate(&mut self, now: Instant, index: usize, deadline: Instant) {
        let rng = StdRng::from_rng(&mut self.rng);
        let wants_both = self.wants_both_families();
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let transport = match relay.config.protocol {
            Protocol::Udp => turn::Transport::Udp,
            Protocol::Tcp | Protocol::Tls => turn::Transport::Stream,
        };
        let credentials =
            turn::Credentials::password(&relay.config.username, &relay.config.password);
        let mut config = turn::Config::new(relay.config.addr, transport, credentials);
        config.mobility = true;
        if wants_both {
            config.families = turn::Families::Both;
        }
        let mut client = turn::Client::new(now, config, rng);
        for peer in relay.wanted.drain(..) {
            client.create_permission(now, peer.ip());
        }
        relay.client = Some(client);
        relay.state = RelayState::Allocating { deadline };
    }

    /// Whether a relay shall have an IPv6 address, too: it is this side's only way to an IPv6 peer when it has no global address of
    /// that family, or may not use it.
    fn wants_both_families(&self) -> bool {
        let is_global = |ip: IpAddr| match ip {
            IpAddr::V4(_) => false,
            // RFC 4291 §2.4: what is not set apart; 2000::/3 is what is given out.
            IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
        };
        self.config.transport_policy == TransportPolicy::Relay
            || !(self.sockets.iter()).any(|socket| is_global(socket.config.addr.ip()))
    }

    /// RFC 8656 §7.4: the server knows an allocation of the port, as of another connection on it or of one before a crash; another
    /// port has none.
    pub(super) fn relay_moved(
        &mut self,
        now: Instant,
        beside: SocketAddr,
        local: Option<SocketAddr>,
    ) -> bool {
        let waits = |relay: &Relay| {
            let awaits = Awaits::Port;
            relay.base == beside
                && match relay.state {
                    RelayState::Moving { .. } => true,
                    RelayState::Migrating { awaits: what, .. } => what == awaits,
                    _ => false,
                }
        };
        let Some(index) = self.relays.iter().position(waits) else {
            return false;
        };
        let Some(local) = local else {
            let why = "Allocation Mismatch, and there is no other port".into();
            self.relay_gives_up(now, index, Some(ALLOCATION_MISMATCH), why);
            return true;
        };
        let relay = &mut self.relays[index];
        relay.local = local;
        if let RelayState::Migrating { .. } = relay.state {
            let id = relay.id;
            self.migrate(now, id);
            return true;
        }
        let deadline = now + self.config.timing.gather_timeout;
        self.allocate(now, index, deadline);
        true
    }

    /// A port that was opened for a relay alone is closed.
    fn leave_port(&mut self, index: usize) {
        if let Some(relay) = self.relays.get_mut(index)
            && relay.config.protocol == Protocol::Udp
            && relay.local != relay.base
        {
            let local = std::mem::replace(&mut relay.local, relay.base);
            self.events.push_back(Event::ClosePort { local });
        }
    }

    pub(super) fn relay_connected(&mut self, now: Instant, index: usize) {
        let Some(relay) = self.relays.get(index) else {
            return;
        };
        match relay.state {
            RelayState::Connecting { deadline } => self.allocate(now, index, deadline),
            RelayState::Migrating {
                awaits: Awaits::Connection,
                ..
            } => self.migrate(now, relay.id),
            _ => {}
        }
    }

    pub(super) fn relay_disconnected(&mut self, now: Instant, index: usize) {
        if !self.reconnect_relay(now, index) {
            let text = "the connection to the server is closed".into();
            self.relay_gives_up(now, index, None, text);
        }
    }

    /// What the relay waits for will not come.
    fn relay_gives_up(&mut self, now: Instant, index: usize, code: Option<u16>, text: String) {
        match self.relays.get(index).map(|relay| &relay.state) {
            Some(RelayState::Migrating { .. }) => self.relay_left_behind(now, index, code, text),
            _ => self.relay_failed(now, index, code, text),
        }
    }

    /// Everything the clients want done, and what they report.
    pub(super) fn drive_relays(&mut self, now: Instant) {
        let ids: Vec<RelayId> = self.relays.iter().map(|relay| relay.id).collect();
        for id in ids {
            // One may have given way to another.
            let Some(index) = self.relays.iter().position(|relay| relay.id == id) else {
                continue;
            };
            let relay = &mut self.relays[index];
            if relay.deadline().is_some_and(|deadline| deadline <= now) {
                let text = "the TURN server does not answer".into();
                self.relay_gives_up(now, index, None, text);
                continue;
            }
            let Some(client) = &mut relay.client else {
                continue;
            };
            if client.poll_timeout().is_some_and(|at| at <= now) {
                client.handle_timeout(now);
            }
            self.take_relay_events(now, index);
        }
    }

    fn take_relay_events(&mut self, now: Instant, index: usize) {
        let Some(id) = self.relays.get(index).map(|relay| relay.id) else {
            return;
        };
        // One that cannot be taken along gives way to another.
        while let Some(event) = (self.relays.get_mut(index))
            .filter(|relay| relay.id == id)
            .and_then(|relay| relay.client.as_mut())
            .and_then(turn::Client::poll_event)
        {
            self.take_relay_event(now, index, event);
        }
    }

    fn take_relay_event(&mut self, now: Instant, index: usize, event: turn::Event) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        let id = relay.id;
        match event {
            turn::Event::Allocated {
                relayed,
                relayed_other,
                mapped,
                ..
            } => {
                relay.state = RelayState::Allocated;
                self.relay_allocated(index, mapped, [Some(relayed), relayed_other]);
            }
            turn::Event::AllocationFailed(failure)
                if failure.code == Some(ALLOCATION_MISMATCH)
                    && relay.config.protocol == Protocol::Udp
                    && relay.moves < MAX_MOVES =>
            {
                relay.moves += 1;
                relay.client = None;
                self.leave_port(index);
                let Some(relay) = self.relays.get_mut(index) else {
                    return;
                };
                let deadline = now + self.config.timing.gather_timeout;
                relay.state = RelayState::Moving { deadline };
                let beside = relay.base;
                self.events.push_back(Event::OpenPort { beside });
            }
            turn::Event::AllocationFailed(failure)
            | turn::Event::Lost(failure)
            | turn::Event::MigrationFailed(failure) => {
                self.relay_gives_up(now, index, failure.code, failure.reason);
            }
            turn::Event::Migrated => self.relay_migrated(now, index),
            turn::Event::TryAlternate { server, .. } => {
                let (base, mut config) = (relay.base, relay.config.clone());
                config.addr = server;
                self.relay_failed(now, index, Some(300), "Try Alternate".into());
                self.queue_relay(base, config);
            }
            turn::Event::PermissionInstalled(peer) => {
                for pair in self.pairs_of(id, Some(peer)) {
                    self.pair_ready(now, pair);
                }
            }
            turn::Event::PermissionFailed { peer, .. } => {
                for pair in self.pairs_of(id, Some(peer)) {
                    if let Some(pair) = self.pair_mut(pair) {
                        pair.fail(PairFailure::Relay);
                    }
                }
                self.forget_failed_selection(now);
            }
            _ => {}
        }
    }

    fn relay_allocated(
        &mut self,
        index: usize,
        mapped: SocketAddr,
        relayed: [Option<SocketAddr>; 2],
    ) {
        let Some(relay) = self.relays.get(index) else {
            return;
        };
        let (id, base, protocol) = (relay.id, relay.base, relay.config.protocol);
        let moved = protocol == Protocol::Udp && relay.local != base;
        let server: (IpAddr, Box<str>) = (relay.config.addr.ip(), relay.config.url.as_str().into());
        // What the server sees of a UDP socket is a server-reflexive candidate, too; that of a port for the relay alone is none.
        if protocol == Protocol::Udp
            && !moved
            && self.config.transport_policy == TransportPolicy::All
        {
            self.add_local(NewCandidate {
                typ: CandidateType::ServerReflexive,
                addr: mapped,
                base,
                related: Some(base),
                relay: None,
                server: Some(server.clone()),
                protocol: Protocol::Udp,
                tcp_type: None,
            });
        }
        for addr in relayed.into_iter().flatten() {
            self.add_local(NewCandidate {
                typ: CandidateType::Relayed,
                addr,
                base,
                related: Some(mapped),
                relay: Some((id, protocol)),
                server: Some(server.clone()),
                protocol: Protocol::Udp,
                tcp_type: None,
            });
        }
    }

    /// The relay is of no more use: neither are its candidates and pairs.
    pub(super) fn relay_failed(
        &mut self,
        now: Instant,
        index: usize,
        code: Option<u16>,
        text: String,
    ) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        if matches!(relay.state, RelayState::Failed(_)) {
            return;
        }
        relay.state = RelayState::Failed(match code {
            Some(code) => format!("{code} {text}"),
            None => text.clone(),
        });
        relay.client = None;
        let (id, local, path) = (relay.id, relay.base, relay.path());
        let url = relay.config.url.clone();
        if path.protocol != Protocol::Udp {
            self.events.push_back(Event::Disconnect(path));
        }
        self.leave_port(index);
        self.server_failed(local, url, code, text);
        for pair in self.pairs_of(id, None) {
            if let Some(pair) = self.pair_mut(pair) {
                pair.fail(PairFailure::Relay);
            }
        }
        self.forget_failed_selection(now);
        let gone = |local: &super::local::Local| local.relay == Some(id);
        for local in self.locals.iter().filter(|local| gone(local)) {
            if let Some(announced) = &local.announced {
                self.events
                    .push_back(Event::LocalCandidateRemoved(announced.clone()));
            }
        }
        // The failed pairs and their candidates stay for the report, until the restart or the next allocation.
        let pairs = &self.pairs;
        self.transactions.retain(|one| {
            pairs
                .iter()
                .any(|pair| pair.id == one.pair && pair.failure.is_none())
        });
        for local in self.locals.iter_mut().filter(|local| gone(local)) {
            local.announced = None;
        }
    }

    pub(super) fn pairs_of(&self, id: RelayId, ip: Option<IpAddr>) -> Vec<PairId> {
        (self.pairs.iter())
            .filter(|pair| match pair.route {
                Route::Relayed { relay, peer } => {
                    relay == id && ip.is_none_or(|ip| ip == peer.ip())
                }
                Route::Direct(_) => false,
            })
            .map(|pair| pair.id)
            .collect()
    }

    // The way through.

    pub(super) fn relay_at(&self, path: Path) -> Option<usize> {
        if self.relays.is_empty() {
            return None;
        }
        (self.relays.iter()).position(|relay| {
            relay.local == path.local
                && relay.path() == path
                && !matches!(relay.state, RelayState::Failed(_))
        })
    }

    pub(super) fn handle_relay_datagram(
        &mut self,
        now: Instant,
        index: usize,
        data: &[u8],
    ) -> Input {
        let Some(relay) = self.relays.get_mut(index) else {
            return Input::Dropped(DropReason::UnknownSocket);
        };
        let id = relay.id;
        let server = relay.path().remote;
        let Some(client) = &mut relay.client else {
            return Input::Dropped(DropReason::UnknownTransaction);
        };
        match client.handle_datagram(now, server, data) {
            turn::Input::Consumed => {
                self.take_relay_events(now, index);
                self.drive(now);
                Input::Consumed
            }
            turn::Input::Data { peer, range } => {
                let route = Route::Relayed { relay: id, peer };
                let Some(inner) = data.get(range.clone()) else {
                    return Input::Dropped(DropReason::Malformed);
                };
                if stun::is_message(inner) {
                    let input = self.handle_stun(now, route, inner);
                    self.drive(now);
                    return input;
                }
                self.handle_data(now, route, range)
            }
            turn::Input::Dropped(_) => Input::Dropped(DropReason::Relay),
        }
    }

    pub(super) fn permit(&mut self, id: RelayId, peer: SocketAddr) {
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.id == id) else {
            return;
        };
        if !relay.permits(peer) && !relay.wanted.iter().any(|one| one.ip() == peer.ip()) {
            relay.wanted.push(peer);
        }
    }

    pub(super) fn bind_channel(&mut self, now: Instant, id: RelayId, peer: SocketAddr) {
        if let Some(client) = (self.relays.iter_mut())
            .find(|relay| relay.id == id)
            .and_then(|relay| relay.client.as_mut())
        {
            client.bind_channel(now, peer);
        }
    }

    pub(super) fn install_permissions(&mut self, now: Instant) {
        for relay in &mut self.relays {
            if let Some(client) = &mut relay.client {
                for peer in relay.wanted.drain(..) {
                    client.create_permission(now, peer.ip());
                }
            }
        }
    }

    pub(super) fn relay_timeout(&self) -> Option<Instant> {
        (self.relays.iter())
            .flat_map(|relay| {
                let client = relay.client.as_ref().and_then(turn::Client::poll_timeout);
                [relay.deadline(), client]
            })
            .flatten()
            .min()
    }

    pub(super) fn relay_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        for relay in &mut self.relays {
            let Some(client) = &mut relay.client else {
                continue;
            };
            match relay.state {
                // There is nowhere to send from yet.
                RelayState::Stranded => continue,
                RelayState::Migrating { awaits, .. } if awaits != Awaits::Answer => continue,
                _ => {}
            }
            if let Some(transmit) = client.poll_transmit(now, buf) {
                return Some(Transmit {
                    protocol: relay.config.protocol,
                    local: relay.local,
                    remote: transmit.remote,
                    len: transmit.len,
                });
            }
        }
        None
    }

    /// Releases the relays; `poll_transmit` has the messages.
    pub(super) fn shut_down(&mut self, now: Instant) {
        for relay in &mut self.relays {
            if let Some(client) = &mut relay.client {
                client.close(now);
            }
        }
        self.state = crate::State::Closed;
        self.selected = None;
        self.pairs.clear();
        self.transactions.clear();
        self.responses.clear();
        self.triggered.clear();
        self.early.clear();
        self.timeout = None;
        self.events
            .push_back(Event::StateChange(crate::State::Closed));
    }
}
