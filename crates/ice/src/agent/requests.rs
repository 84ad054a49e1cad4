//! STUN and application data on the way in (RFC 8445 §7.3).

use super::Agent;
use super::checks::{Outcome, Response};
use super::ids::{LocalId, PairId};
use crate::candidate::Protocol;
use crate::config::Role;
use crate::event::{DropReason, Input, Path};
use crate::pair::{Connection, PairFailure, PairState, Route};
use crate::priority::Priority;
use rand::RngExt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;
use stun::{AttributeType, Class, ErrorCode, IntegrityError, Message, Method};

/// An authenticated check that came before the peer's parameters (RFC 8445 §7.3: "early checks").
#[derive(Debug)]
pub(super) struct EarlyCheck {
    route: Route,
    ufrag: Box<str>,
    details: Details,
}

/// What matters of a request.
#[derive(Debug, Clone, Copy)]
struct Details {
    priority: Priority,
    use_candidate: bool,
    nomination: Option<u32>,
}

const MAX_EARLY: usize = 32;
const MAX_RESPONSES: usize = 64;

impl Agent {
    pub(super) fn handle_stun(&mut self, now: Instant, route: Route, data: &[u8]) -> Input {
        if data.len() > super::MAX_STUN {
            return Input::Dropped(DropReason::Oversized);
        }
        let Ok(message) = Message::parse(data) else {
            return Input::Dropped(DropReason::Malformed);
        };
        if message.has_fingerprint() && message.check_fingerprint().is_err() {
            return Input::Dropped(DropReason::WrongFingerprint);
        }
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.handle_request(now, route, &message),
            (Class::Success | Class::Error, Method::BINDING) => {
                self.handle_response(now, route, &message)
            }
            // A keep-alive (RFC 8445 §11). It proves nothing, for nobody signs it.
            (Class::Indication, Method::BINDING) => Input::Consumed,
            _ => Input::Dropped(DropReason::UnexpectedMethod),
        }
    }

    /// RFC 8445 §7.3. Requests that fail to authenticate are not answered: an answer would tell a stranger that there is an
    /// agent, and the peer repeats its check anyway.
    fn handle_request(&mut self, now: Instant, route: Route, message: &Message<'_>) -> Input {
        let Some(local) = self.local_at(route) else {
            return Input::Dropped(DropReason::UnknownSocket);
        };
        let Some((own, theirs)) = message.username().and_then(|name| name.split_once(':')) else {
            return Input::Dropped(DropReason::Incomplete);
        };
        let known = [Some(&self.current), self.previous.as_ref()];
        let Some(generation) = (known.into_iter().flatten()).find(|one| one.local.ufrag == own)
        else {
            return Input::Dropped(DropReason::UnknownUsername);
        };
        match message.check_integrity(&generation.local_key) {
            Ok(()) => {}
            Err(IntegrityError::Missing) => return Input::Dropped(DropReason::Incomplete),
            Err(_) => return Input::Dropped(DropReason::WrongIntegrity),
        }
        let generation = generation.number;
        // From here on the peer has authenticated.
        let unknown: Vec<AttributeType> = message.unknown_required().take(16).collect();
        if !unknown.is_empty() {
            return self.respond(message, route, generation, Outcome::Unknown(unknown));
        }
        if self.has_role_conflict(message) {
            self.counters.role_conflicts += 1;
            let conflict = Outcome::Error(ErrorCode::ROLE_CONFLICT);
            return self.respond(message, route, generation, conflict);
        }
        let input = self.respond(message, route, generation, Outcome::Success);
        if let Some(pair) = (self.pairs.iter_mut())
            .find(|pair| pair.route == route && pair.generation == generation)
        {
            pair.stats.requests_received += 1;
            pair.stats.responses_sent += 1;
            pair.last_received = Some(now);
        }
        if generation != self.current.number {
            return input;
        }
        let details = Details {
            // RFC 8445 §7.1.1 requires it; a peer without is given the worst.
            priority: Priority(message.priority().unwrap_or(1)),
            use_candidate: message.use_candidate() || message.nomination().is_some(),
            nomination: message.nomination(),
        };
        let is_known =
            (self.current.remote.as_ref()).is_some_and(|remote| remote.parameters.ufrag == theirs);
        if is_known {
            self.take_check(now, local, route, details);
        } else {
            self.keep_early(route, theirs, details);
        }
        input
    }

    /// RFC 8445 §7.3.1.1. Changes the role if that is what the tie-breakers say; `true` if the peer has to.
    fn has_role_conflict(&mut self, message: &Message<'_>) -> bool {
        let own = self.tie_breaker;
        let (theirs, ours_is_controlling) = match (
            self.role,
            message.ice_controlling(),
            message.ice_controlled(),
        ) {
            (Role::Controlling, Some(theirs), _) => (theirs, true),
            (Role::Controlled, None, Some(theirs)) => (theirs, false),
            _ => return false,
        };
        // The larger tie-breaker controls. A lite agent follows a full one (RFC 8445 §6.1.1).
        let larger = own >= theirs && !self.config.lite;
        if larger == ours_is_controlling {
            return true;
        }
        self.counters.role_conflicts += 1;
        self.switch_role();
        false
    }

    pub(super) fn change_tie_breaker(&mut self) {
        self.tie_breaker = self.rng.random();
    }

    fn respond(
        &mut self,
        message: &Message<'_>,
        route: Route,
        generation: u32,
        outcome: Outcome,
    ) -> Input {
        if self.responses.len() >= MAX_RESPONSES {
            return Input::Dropped(DropReason::LimitReached);
        }
        self.counters.errors_sent += u64::from(!matches!(outcome, Outcome::Success));
        self.responses.push_back(Response {
            id: message.transaction_id(),
            route,
            generation,
            outcome,
        });
        Input::Consumed
    }

    fn keep_early(&mut self, route: Route, ufrag: &str, details: Details) {
        let same = |check: &EarlyCheck| check.route == route && *check.ufrag == *ufrag;
        if let Some(known) = self.early.iter_mut().find(|check| same(check)) {
            known.details.use_candidate |= details.use_candidate;
            known.details.nomination = details.nomination.or(known.details.nomination);
        } else if self.early.len() < MAX_EARLY {
            self.early.push(EarlyCheck {
                route,
                ufrag: ufrag.into(),
                details,
            });
        } else {
            self.counters.drop(DropReason::LimitReached);
        }
    }

    /// The parameters are there: the checks that came before them count now.
    pub(super) fn take_early_checks(&mut self, now: Instant, ufrag: &str) {
        let (ours, others) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|check| *check.ufrag == *ufrag);
        self.early = others;
        let ours: Vec<EarlyCheck> = ours;
        for check in ours {
            if let Some(local) = self.local_at(check.route) {
                self.take_check(now, local, check.route, check.details);
            }
        }
    }

    /// RFC 8445 §7.3.1.3 to §7.3.1.5.
    fn take_check(&mut self, now: Instant, local: LocalId, route: Route, details: Details) {
        let protocol = match route {
            Route::Direct(path) => path.protocol,
            Route::Relayed { .. } => Protocol::Udp,
        };
        // Without the scope of a link-local address, which no candidate has.
        let addr = SocketAddr::new(route.peer().ip(), route.peer().port());
        let Some(remote) = self.remote_at(addr, protocol, details.priority) else {
            self.counters.drop(DropReason::LimitReached);
            return;
        };
        self.progress.touch(now);
        let id = match self.pair_on(route) {
            Some(pair) => pair.id,
            None => {
                let Some(id) = self.insert_pair(local, remote, route) else {
                    return;
                };
                if let Some(pair) = self.pair_mut(id) {
                    // The request has come this way: whatever must be open is.
                    pair.connection = Connection::Ready;
                    pair.stats.requests_received += 1;
                    pair.stats.responses_sent += 1;
                    pair.last_received = Some(now);
                }
                id
            }
        };
        let order = details
            .use_candidate
            .then(|| self.order_of_nomination(now, id, details.nomination))
            .flatten();
        if self.config.lite {
            self.take_check_lite(now, id, order);
            return;
        }
        let failed = self.state == crate::State::Failed;
        let controlling = self.role == Role::Controlling;
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if pair.lost_consent() || failed {
            return;
        }
        // A peer answers checks before it knows this side (RFC 8445 §7.3), and Firefox then forgets that one of them nominated.
        // Its first check tells that it knows now.
        if controlling && pair.nominated.is_some() && pair.stats.requests_received == 1 {
            self.begin_nomination(now, id);
            return;
        }
        match pair.state {
            PairState::Succeeded => {
                if let Some(order) = order {
                    pair.nominated = Some(order);
                    self.nomination.concluded = true;
                    self.select(now);
                    self.refresh_selected();
                }
            }
            _ => {
                pair.nominate_on_success = order.or(pair.nominate_on_success);
                self.trigger(id);
            }
        }
    }

    /// A lite agent checks nothing: what the peer nominates is selected (RFC 8445 §8.2).
    fn take_check_lite(&mut self, now: Instant, id: PairId, order: Option<u64>) {
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.last_response = Some(now);
        if order.is_some() {
            pair.nominated = order;
            pair.state = PairState::Succeeded;
            pair.failure = None;
            pair.valid_since = pair.valid_since.or(Some(now));
            pair.valid_local = Some(pair.local);
        }
        self.select(now);
        self.refresh_selected();
    }

    /// Application data: from a peer that has authenticated, or that was announced.
    pub(super) fn handle_data(&mut self, now: Instant, route: Route, range: Range<usize>) -> Input {
        if let Some(selected) = self.selected.as_mut().filter(|one| one.route == route) {
            selected.last_received = Some(now);
            return Input::Data(range);
        }
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.route == route) {
            if pair.stats.requests_received > 0 {
                pair.last_received = Some(now);
            }
            return Input::Data(range);
        }
        let was_early = self.early.iter().any(|check| check.route == route);
        let is_announced = || {
            (self.remotes.iter()).any(|remote| remote.addr == Some(route.peer()))
                && self.local_at(route).is_some()
        };
        match was_early || is_announced() {
            true => Input::Data(range),
            false => Input::Dropped(DropReason::UnknownPeer),
        }
    }

    // Connections.

    pub(super) fn connection_opened(&mut self, now: Instant, path: Path) {
        if let Some(index) = self.relay_at(path) {
            self.relay_connected(now, index);
            return;
        }
        let route = Route::Direct(path);
        let waiting: Vec<PairId> = (self.pairs.iter())
            .filter(|pair| pair.route == route && pair.connection != Connection::Ready)
            .map(|pair| pair.id)
            .collect();
        for id in waiting {
            self.pair_ready(now, id);
        }
    }

    pub(super) fn connection_gone(&mut self, now: Instant, path: Path) {
        if let Some(index) = self.relay_at(path) {
            self.relay_disconnected(now, index);
            return;
        }
        let route = Route::Direct(path);
        for pair in &mut self.pairs {
            if pair.route == route {
                pair.fail(PairFailure::Disconnected);
                pair.connection = Connection::Needed;
            }
        }
        let pairs = &self.pairs;
        let failed = |id| {
            pairs
                .iter()
                .any(|pair| pair.id == id && pair.route == route)
        };
        self.transactions.retain(|one| !failed(one.pair));
        self.forget_failed_selection(now);
    }
}
