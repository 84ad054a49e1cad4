//! The checklist: forming, pruning, freezing (RFC 8445 §6.1.2, RFC 8838 §12).

use super::Agent;
use super::ids::{LocalId, PairId, RemoteId};
use super::local::Local;
use crate::candidate::{CandidateType, Protocol};
use crate::config::{Role, TransportPolicy};
use crate::pair::{Connection, Pair, PairState, Route};
use crate::priority::PairPriority;
use std::net::{IpAddr, SocketAddr};

/// Discarded pairs kept for the report.
const MAX_DISCARDED: usize = 50;

impl Agent {
    pub(super) fn pair_local(&mut self, id: LocalId) {
        let remotes: Vec<RemoteId> = self.remotes.iter().map(|remote| remote.id).collect();
        for remote in remotes {
            self.form_pair(id, remote);
        }
    }

    pub(super) fn pair_remote(&mut self, id: RemoteId) {
        let locals: Vec<LocalId> = self.locals.iter().map(|local| local.id).collect();
        for local in locals {
            self.form_pair(local, id);
        }
    }

    /// Pairs two candidates if they can talk and do not yet (RFC 8445 §6.1.2.2, §6.1.2.4).
    fn form_pair(&mut self, local_id: LocalId, remote_id: RemoteId) {
        let (Some(local), Some(remote)) = (self.local(local_id), self.remote(remote_id)) else {
            return;
        };
        let Some(addr) = remote.addr else { return };
        // One that is not of the policy may be here still: its pair is in use.
        if self.config.transport_policy == TransportPolicy::Relay && local.relay.is_none() {
            return;
        }
        if remote.generation != self.current.number || !can_talk(local, &remote.candidate, addr) {
            return;
        }
        let route = self.route_from(local, addr);
        if self.config.lite || self.pair_on(route).is_some() {
            return;
        }
        if self.nomination.concluded && !self.renominates() && self.has_reserve() {
            self.discard(route, "another pair was nominated before");
            return;
        }
        self.insert_pair(local_id, remote_id, route);
    }

    /// Adds a pair, making room if the checklist is full (RFC 8445 §6.1.2.5).
    pub(super) fn insert_pair(
        &mut self,
        local: LocalId,
        remote: RemoteId,
        route: Route,
    ) -> Option<PairId> {
        let priority = self.pair_priority(local, remote)?;
        if self.pairs.len() >= self.config.max_pairs {
            let worst = (self.pairs.iter())
                .filter(|pair| !pair.is_valid() && pair.state != PairState::InProgress)
                .min_by_key(|pair| (pair.is_pending(), pair.priority))
                .map(|pair| (pair.id, pair.priority, pair.is_pending(), pair.route));
            match worst {
                Some((id, worst, pending, route)) if worst < priority || !pending => {
                    self.discard(route, "the checklist is full");
                    self.pairs.retain(|pair| pair.id != id);
                }
                _ => {
                    self.discard(route, "the checklist is full");
                    return None;
                }
            }
        }
        let id = PairId(self.fresh_id());
        let mut pair = Pair::new(id, self.current.number, (local, remote), route, priority);
        pair.connection = self.connection_for(route);
        self.pairs.push(pair);
        self.thaw_if_first(id);
        if let Route::Relayed { relay, peer } = route {
            self.permit(relay, peer);
        }
        Some(id)
    }

    fn connection_for(&self, route: Route) -> Connection {
        match route {
            Route::Direct(path) if path.protocol == Protocol::Udp => Connection::Ready,
            Route::Direct(_) => Connection::Needed,
            Route::Relayed { relay, peer } => {
                match self.relay(relay).is_some_and(|relay| relay.permits(peer)) {
                    true => Connection::Ready,
                    false => Connection::Needed,
                }
            }
        }
    }

    /// A pair waits while another of its foundation is checked (RFC 8445 §6.1.2.6).
    fn thaw_if_first(&mut self, id: PairId) {
        let Some(foundation) = self.foundation(id) else {
            return;
        };
        let busy = self.pairs.iter().any(|other| {
            other.id != id
                && other.generation == self.current.number
                && matches!(other.state, PairState::Waiting | PairState::InProgress)
                && self.foundation(other.id) == Some(foundation)
        });
        if !busy && let Some(pair) = self.pair_mut(id) {
            pair.state = PairState::Waiting;
        }
    }

    /// A check has succeeded: the pairs of the same foundation are likely to, as well (RFC 8445 §7.2.5.3.3).
    pub(super) fn thaw_like(&mut self, id: PairId) {
        let Some((local, remote)) = self.foundation(id) else {
            return;
        };
        let like: Vec<PairId> = (self.pairs.iter())
            .filter(|pair| pair.state == PairState::Frozen)
            .map(|pair| pair.id)
            .filter(|other| self.foundation(*other) == Some((local, remote)))
            .collect();
        for pair in &mut self.pairs {
            if like.contains(&pair.id) {
                pair.state = PairState::Waiting;
            }
        }
    }

    /// The next pair for an ordinary check (RFC 8445 §6.1.4.2): the best that waits, else the best that may be thawed.
    pub(super) fn next_ordinary(&mut self) -> Option<PairId> {
        let current = self.current.number;
        let best_in = |state| {
            (self.pairs.iter())
                .filter(|pair| pair.generation == current && pair.state == state)
                .max_by_key(|pair| pair.priority)
                .map(|pair| pair.id)
        };
        if let Some(waiting) = best_in(PairState::Waiting) {
            return Some(waiting);
        }
        best_in(PairState::Frozen)?;
        let frozen: Vec<PairId> = (self.pairs.iter())
            .filter(|pair| pair.generation == current && pair.state == PairState::Frozen)
            .map(|pair| pair.id)
            .collect();
        for id in frozen {
            self.thaw_if_first(id);
        }
        (self.pairs.iter())
            .filter(|pair| pair.generation == current && pair.state == PairState::Waiting)
            .max_by_key(|pair| pair.priority)
            .map(|pair| pair.id)
    }

    fn foundation(&self, id: PairId) -> Option<(&str, &str)> {
        let pair = self.pair(id)?;
        let local = self.local(pair.local)?;
        let remote = self.remote(pair.remote)?;
        Some((&local.candidate.foundation, &remote.candidate.foundation))
    }

    /// The pair of the current generation on this route.
    pub(super) fn pair_on(&self, route: Route) -> Option<&Pair> {
        (self.pairs.iter())
            .find(|pair| pair.route == route && pair.generation == self.current.number)
    }

    fn pair_priority(&self, local: LocalId, remote: RemoteId) -> Option<PairPriority> {
        let local = self.local(local)?.candidate.priority;
        let remote = self.remote(remote)?.candidate.priority;
        Some(match self.role {
            Role::Controlling => PairPriority::new(local, remote),
            Role::Controlled => PairPriority::new(remote, local),
        })
    }

    /// Priorities depend on the role (RFC 8445 §7.2.5.1) and on what is known of the candidates.
    pub(super) fn recompute_priorities(&mut self) {
        for index in 0..self.pairs.len() {
            let (local, remote) = (self.pairs[index].local, self.pairs[index].remote);
            if let Some(priority) = self.pair_priority(local, remote) {
                self.pairs[index].priority = priority;
            }
        }
    }

    pub(super) fn discard(&mut self, route: Route, why: &'static str) {
        if self.discarded.len() < MAX_DISCARDED {
            self.discarded.push((route, why));
        }
    }
}

/// RFC 8445 §6.1.2.2, RFC 6544 §6.2.
fn can_talk(local: &Local, remote: &crate::Candidate, addr: SocketAddr) -> bool {
    if !local.is_own_base() || local.candidate.protocol != remote.protocol {
        return false;
    }
    let Some(own) = local.candidate.address.ip() else {
        return false;
    };
    let tcp = match (local.candidate.tcp_type, remote.tcp_type) {
        (None, None) => true,
        // A passive candidate is checked over the connection the peer makes.
        (Some(crate::TcpType::Passive), _) => false,
        (Some(own), Some(theirs)) => own.pairs_with(theirs),
        _ => false,
    };
    // A relay reaches neither its own nor this machine's private corners by loopback or link-local addresses.
    let is_relayed = local.candidate.typ == CandidateType::Relayed;
    let base = match is_relayed {
        true => own,
        false => local.base.ip(),
    };
    tcp && own.is_ipv4() == addr.is_ipv4()
        && is_link_local(base) == is_link_local(addr.ip())
        && base.is_loopback() == addr.ip().is_loopback()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        // RFC 8445 §6.1.2.2 speaks of IPv6 only: an IPv4 link-local address may lie beside a routed one.
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
