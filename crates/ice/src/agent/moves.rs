//! Relays that follow this host from one address to another, or to another connection (RFC 8016). The peer notices nothing: the
//! relayed address, the permissions and the channels stay.

use super::Agent;
use super::ids::RelayId;
use super::local::Local;
use crate::candidate::Protocol;
use crate::event::{Event, Framing};
use crate::pair::{Pair, Route};
use crate::relay::{Awaits, Relay, RelayState};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// How often a relay may change its connection while its socket stays: a server that closes every one shall not be asked for ever.
const MAX_RECONNECTS: u8 = 3;

impl Agent {
    /// This socket is gone: relays whose servers gave tickets go on from another one, now or when there is one.
    pub(super) fn save_relays(&mut self, now: Instant, gone: SocketAddr) {
        for id in self.relays_where(|relay| relay.base == gone && relay.can_move()) {
            self.move_relay(now, id, Some(gone.ip()));
        }
    }

    /// There is a new socket: relays that have none may go on from it.
    pub(super) fn adopt_relays(&mut self, now: Instant) {
        for id in self.relays_where(|relay| matches!(relay.state, RelayState::Stranded)) {
            self.move_relay(now, id, None);
        }
    }

    /// The connection of a relay is gone; with a ticket another one will do. `false` when this relay has none, or had enough of them.
    pub(super) fn reconnect_relay(&mut self, now: Instant, index: usize) -> bool {
        let Some(relay) = self.relays.get_mut(index) else {
            return false;
        };
        let stands = matches!(relay.state, RelayState::Allocated);
        if !stands || !relay.can_move() || relay.moves >= MAX_RECONNECTS {
            return false;
        }
        relay.moves += 1;
        let id = relay.id;
        self.move_relay(now, id, None);
        true
    }

    /// Whether the route's relay is between two places, and carries nothing for now.
    pub(super) fn is_away(&self, route: Route) -> bool {
        match route {
            Route::Direct(_) => false,
            Route::Relayed { relay, .. } => self.relay(relay).is_some_and(Relay::is_away),
        }
    }

    fn relays_where(&self, holds: impl Fn(&Relay) -> bool) -> Vec<RelayId> {
        let found = self.relays.iter().filter(|relay| holds(relay));
        found.map(|relay| relay.id).collect()
    }

    /// Not to a socket of the address that is going: others of its sockets go with it.
    fn move_relay(&mut self, now: Instant, id: RelayId, going: Option<IpAddr>) {
        let deadline = now + self.config.timing.gather_timeout;
        let Some(relay) = self.relay(id) else { return };
        let (server, protocol) = (relay.config.addr, relay.config.protocol);
        // Connections have ports of their own, which need no UDP socket.
        let target = (self.sockets.iter())
            .filter(|socket| protocol != Protocol::Udp || socket.config.protocol == Protocol::Udp)
            .filter(|socket| Some(socket.config.addr.ip()) != going)
            .filter(|socket| super::gather::reaches(socket.config.addr, server))
            .max_by_key(|socket| socket.preference)
            .map(|socket| socket.config.addr);
        // The other relays at this server, which have their own places there.
        let is_taken = |local: SocketAddr| {
            self.relays.iter().any(|other| {
                other.id != id
                    && other.local == local
                    && (other.path().remote, other.config.protocol) == (server, protocol)
            })
        };
        let mut awaits = Awaits::Answer;
        let local = target.map(|base| match protocol {
            Protocol::Udp => {
                if is_taken(base) {
                    awaits = Awaits::Port;
                }
                base
            }
            // A name alone: see `Event::Connect`.
            Protocol::Tcp | Protocol::Tls => {
                awaits = Awaits::Connection;
                let named = |port| SocketAddr::new(base.ip(), port);
                let free = (0..u16::MAX).map(named).find(|name| !is_taken(*name));
                free.unwrap_or(base)
            }
        });
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.id == id) else {
            return;
        };
        let (Some(base), Some(local)) = (target, local) else {
            relay.state = RelayState::Stranded;
            return self.select(now);
        };
        tracing::info!(server = %server, from = %relay.base, to = %base, "a relay moves");
        (relay.base, relay.local) = (base, local);
        relay.state = RelayState::Migrating { deadline, awaits };
        let (path, url) = (relay.path(), relay.config.url.clone());
        for one in self.locals.iter_mut().filter(|one| one.relay == Some(id)) {
            one.base = base;
        }
        match awaits {
            Awaits::Port => self.events.push_back(Event::OpenPort { beside: base }),
            Awaits::Connection => self.events.push_back(Event::Connect {
                path,
                framing: Framing::Turn,
                url: Some(url),
            }),
            Awaits::Answer => self.migrate(now, id),
        }
        // Another pair may be as good meanwhile.
        self.select(now);
    }

    /// The relay has its new place: the server is told.
    pub(super) fn migrate(&mut self, now: Instant, id: RelayId) {
        let deadline = now + self.config.timing.gather_timeout;
        let awaits = Awaits::Answer;
        if let Some(relay) = self.relays.iter_mut().find(|relay| relay.id == id)
            && let Some(client) = &mut relay.client
        {
            relay.state = RelayState::Migrating { deadline, awaits };
            client.migrate(now);
        }
    }

    /// The server serves the new place. Until something comes from there it sends to the old one as well as it can (RFC 8016 §3.2.2):
    /// a check on every pair in use tells it, and the agent whether the peer is still there.
    pub(super) fn relay_migrated(&mut self, now: Instant, index: usize) {
        let Some(relay) = self.relays.get_mut(index) else {
            return;
        };
        relay.state = RelayState::Allocated;
        let id = relay.id;
        for pair in self.pairs_of(id, None) {
            if self.pair(pair).is_some_and(Pair::is_valid) {
                self.start_check(now, pair, super::checks::Purpose::Check);
            }
        }
        self.select(now);
        self.refresh_selected();
    }

    /// The relay cannot be taken along: its candidates go as with their socket, and another one is asked for ("the client starts
    /// afresh with a new allocation", RFC 8016 §3.2.2).
    pub(super) fn relay_left_behind(
        &mut self,
        now: Instant,
        index: usize,
        code: Option<u16>,
        text: String,
    ) {
        let Some(relay) = self.relays.get(index) else {
            return;
        };
        let (id, base, config, moves) = (relay.id, relay.base, relay.config.clone(), relay.moves);
        self.relay_failed(now, index, code, text);
        self.drop_locals(now, |local: &Local| local.relay == Some(id));
        self.relays.retain(|relay| relay.id != id);
        self.queue_relay(base, config);
        if let Some(next) = self.relays.last_mut().filter(|next| next.base == base) {
            next.moves = moves;
        }
    }
}
