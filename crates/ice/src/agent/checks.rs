//! Checks on the way out, and what becomes of them (RFC 8445 §7.2).

use super::Agent;
use super::ids::PairId;
use super::local::NewCandidate;
use crate::candidate::CandidateType;
use crate::config::Role;
use crate::event::{DropReason, Event, Framing, Input, Transmit};
use crate::pair::{Connection, PairFailure, PairState, Route};
use crate::priority::{Priority, type_preference};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{AttributeType, Class, ErrorCode, Message, Method, TransactionId, Writer};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find out whether the pair works, or still works; retransmitted.
    Check,
    /// To nominate the pair; retransmitted. The order it was made in, and the number for the peer if it renominates.
    Nominate(u64, Option<u32>),
    /// To keep consent (RFC 7675 §5.1: transmitted once only), or a NAT binding.
    Consent,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    pub(super) pair: PairId,
    pub(super) purpose: Purpose,
    /// The role the request claimed.
    role: Role,
    /// To be sent at the next opportunity.
    pub(super) due: bool,
    sent: u32,
    sent_at: Instant,
    rto: Duration,
    pub(super) resend_at: Option<Instant>,
    pub(super) expires: Instant,
    /// Cancelled: its answer counts, its failure does not (RFC 8445 §7.3.1.4).
    cancelled: bool,
}

impl Transaction {
    pub(super) fn is_nomination(&self) -> bool {
        matches!(self.purpose, Purpose::Nominate(..))
    }

    /// When it was last sent.
    pub(super) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    fn cancel(&mut self) {
        self.cancelled = true;
        self.due = false;
        self.resend_at = None;
    }
}

/// A response to be sent.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) id: TransactionId,
    pub(super) route: Route,
    pub(super) generation: u32,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Success,
    Error(u16),
    Unknown(Vec<AttributeType>),
}

/// Requests under way at once, at most. Beyond it, new ones wait.
const MAX_TRANSACTIONS: usize = 256;
/// A driver that has not opened a TCP connection by then has failed, and so has a relay without its permission.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Agent {
    /// Starts what pacing allows: triggered checks first, then ordinary ones (RFC 8445 §6.1.4.2).
    pub(super) fn start_checks(&mut self, now: Instant) {
        if self.config.lite || self.current.remote.is_none() {
            return;
        }
        while self.progress.triggered_at.is_none_or(|at| at <= now) {
            let Some(id) = self.triggered.pop_front() else {
                break;
            };
            if self
                .pair(id)
                .is_some_and(|pair| pair.state == PairState::Waiting)
            {
                self.start_check(now, id, Purpose::Check);
                self.progress.triggered_at = Some(now + self.config.timing.triggered_ta);
            }
        }
        while self.progress.ordinary_at.is_none_or(|at| at <= now) {
            let Some(id) = self.next_ordinary() else {
                break;
            };
            self.start_check(now, id, Purpose::Check);
            self.progress.ordinary_at = Some(now + self.config.timing.ta);
        }
    }

    /// Whether a check waits for its turn, and which queue's.
    pub(super) fn checks_wait(&self) -> (bool, bool) {
        if self.config.lite || self.current.remote.is_none() {
            return (false, false);
        }
        let current = self.current.number;
        let ordinary = self.pairs.iter().any(|pair| {
            pair.generation == current
                && matches!(pair.state, PairState::Waiting | PairState::Frozen)
        });
        (!self.triggered.is_empty(), ordinary)
    }

    /// Sends a request on a pair, or what must come before it: a connection, a permission.
    pub(super) fn start_check(&mut self, now: Instant, id: PairId, purpose: Purpose) {
        let busy = (self.pairs.iter()).filter(|pair| pair.is_pending()).count() as u32;
        let timing = self.config.timing;
        let role = self.role;
        let transaction_id = TransactionId::random(&mut self.rng);
        let full = self.transactions.len() >= MAX_TRANSACTIONS;
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if full {
            return;
        }
        let ready = pair.connection == Connection::Ready;
        let reliable =
            matches!(pair.route, Route::Direct(path) if path.protocol != crate::Protocol::Udp);
        let route = pair.route;
        if pair.connection == Connection::Needed {
            pair.connection = Connection::Opening;
            match route {
                Route::Direct(path) => self.events.push_back(Event::Connect {
                    path,
                    framing: Framing::Rfc4571,
                    url: None,
                }),
                Route::Relayed { relay, peer } => self.permit(relay, peer),
            }
        }
        // RFC 8445 §14.3, in the form of RFC 5245: with many pairs, answers come later, too.
        let rto = timing.rto.max(timing.ta * busy);
        let rto = rto.min(timing.rto.max(timing.max_rto));
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        if pair.state != PairState::Succeeded {
            pair.state = PairState::InProgress;
        }
        let retransmits = purpose != Purpose::Consent && !reliable;
        let lasting = match purpose {
            Purpose::Consent => CONNECT_TIMEOUT,
            _ => full_duration(rto, &timing),
        };
        self.transactions.push(Transaction {
            id: transaction_id,
            pair: id,
            purpose,
            role,
            due: ready,
            sent: 0,
            sent_at: now,
            rto,
            resend_at: (retransmits && ready).then(|| now + rto),
            expires: now + if ready { lasting } else { CONNECT_TIMEOUT },
            cancelled: false,
        });
    }

    /// The connection or permission that checks of a pair waited for is there.
    pub(super) fn pair_ready(&mut self, now: Instant, id: PairId) {
        let timing = self.config.timing;
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.connection = Connection::Ready;
        let reliable = matches!(pair.route, Route::Direct(_));
        for transaction in &mut self.transactions {
            if transaction.pair == id && transaction.sent == 0 && !transaction.cancelled {
                transaction.due = true;
                transaction.sent_at = now;
                transaction.resend_at = (!reliable).then(|| now + transaction.rto);
                transaction.expires = now + full_duration(transaction.rto, &timing);
            }
        }
    }

    /// RFC 8445 §7.3.1.4: a request of the peer asks for a check at once.
    pub(super) fn trigger(&mut self, id: PairId) {
        for transaction in &mut self.transactions {
            if transaction.pair == id && transaction.sent > 0 {
                transaction.cancel();
            }
        }
        if let Some(pair) = self.pair_mut(id) {
            if pair.connection == Connection::Opening {
                return;
            }
            pair.state = PairState::Waiting;
            pair.failure = None;
            if !self.triggered.contains(&id) {
                self.triggered.push_back(id);
            }
        }
    }

    /// Retransmits and gives up.
    pub(super) fn expire_transactions(&mut self, now: Instant) {
        let timing = self.config.timing;
        for transaction in &mut self.transactions {
            if transaction.resend_at.is_some_and(|at| at <= now) {
                transaction.due = true;
                transaction.rto = (transaction.rto * 2).min(timing.max_rto.max(timing.rto));
                let more = transaction.sent + 1 < timing.max_transmissions;
                transaction.resend_at = more.then(|| now + transaction.rto);
            }
        }
        while let Some(index) = (self.transactions.iter()).position(|one| one.expires <= now) {
            let gone = self.transactions.swap_remove(index);
            let others = self.transactions.iter().any(|other| {
                other.pair == gone.pair && !other.cancelled && other.purpose != Purpose::Consent
            });
            if gone.is_nomination() {
                self.nomination.failed(gone.pair);
            }
            if let Some(pair) = self.pair_mut(gone.pair)
                && pair.state == PairState::InProgress
                && !gone.cancelled
                && !others
            {
                pair.fail(PairFailure::Timeout);
                tracing::debug!(route = ?pair.route, "check failed: no answer");
            }
        }
    }

    /// Appends the next datagram of the agent's own.
    pub(super) fn next_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        while let Some(response) = self.responses.pop_front() {
            if let Some(transmit) = self.send(response.route, buf, |agent, buf| {
                agent.write_response(&response, buf)
            }) {
                return Some(transmit);
            }
        }
        while let Some(index) = self.transactions.iter().position(|one| one.due) {
            self.transactions[index].due = false;
            if let Some(transmit) = self.send_request(now, index, buf) {
                return Some(transmit);
            }
        }
        if let Some(transmit) = self.gather_transmit(now, buf) {
            return Some(transmit);
        }
        self.relay_transmit(now, buf)
    }

    fn send_request(&mut self, now: Instant, index: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        let transaction = self.transactions.get_mut(index)?;
        transaction.role = self.role;
        let first = transaction.sent == 0;
        transaction.sent += 1;
        transaction.sent_at = now;
        let purpose = transaction.purpose;
        let id = transaction.pair;
        let pair = self.pair_mut(id)?;
        match (first, purpose) {
            (true, Purpose::Consent) => pair.stats.consent_requests_sent += 1,
            (true, _) => pair.stats.requests_sent += 1,
            (false, _) => pair.stats.retransmissions_sent += 1,
        }
        let route = pair.route;
        self.send(route, buf, |agent, buf| agent.write_request(index, buf))
    }

    /// Appends what `write` writes, within the relay's header where the route has a relay.
    fn send(
        &self,
        route: Route,
        buf: &mut Vec<u8>,
        write: impl FnOnce(&Self, &mut Vec<u8>) -> Option<()>,
    ) -> Option<Transmit> {
        let start = buf.len();
        let path = match route {
            Route::Direct(path) => {
                write(self, buf)?;
                path
            }
            Route::Relayed { relay, peer } => {
                let relay = self.relay(relay)?;
                let frame = relay.open(peer, buf)?;
                if write(self, buf).is_none() {
                    buf.truncate(start);
                    return None;
                }
                crate::relay::close(frame, buf);
                relay.path()
            }
        };
        Some(Transmit {
            protocol: path.protocol,
            local: path.local,
            remote: path.remote,
            len: buf.len() - start,
        })
    }

    /// RFC 8445 §7.2.2.
    fn write_request(&self, index: usize, buf: &mut Vec<u8>) -> Option<()> {
        let transaction = self.transactions.get(index)?;
        let pair = self.pair(transaction.pair)?;
        let generation = self.generation(pair.generation)?;
        let remote = generation.remote.as_ref()?;
        let mut writer = Writer::new(buf, Class::Request, Method::BINDING, transaction.id);
        writer
            .ice_username(&remote.parameters.ufrag, &generation.local.ufrag)
            .priority(self.reflexive_priority(pair.local).0);
        match self.role {
            Role::Controlling => writer.ice_controlling(self.tie_breaker),
            Role::Controlled => writer.ice_controlled(self.tie_breaker),
        };
        if self.role == Role::Controlling
            && let Purpose::Nominate(_, number) = transaction.purpose
        {
            writer.use_candidate();
            if let Some(number) = number {
                writer.nomination(number);
            }
        }
        writer.finish_with(&remote.key, true);
        Some(())
    }

    fn write_response(&self, response: &Response, buf: &mut Vec<u8>) -> Option<()> {
        let generation = self.generation(response.generation)?;
        let class = match response.outcome {
            Outcome::Success => Class::Success,
            _ => Class::Error,
        };
        let mut writer = Writer::new(buf, class, Method::BINDING, response.id);
        match &response.outcome {
            Outcome::Success => writer.xor_mapped_address(response.route.peer()),
            Outcome::Error(code) => writer.error_code(*code),
            Outcome::Unknown(kinds) => writer
                .error_code(ErrorCode::UNKNOWN_ATTRIBUTE)
                .unknown_attributes(kinds.iter().copied()),
        };
        writer.finish_with(&generation.local_key, true);
        Some(())
    }

    /// The priority that a peer-reflexive candidate seen through this one would have (RFC 8445 §7.1.1).
    fn reflexive_priority(&self, local: super::ids::LocalId) -> Priority {
        let Some(local) = self.local(local) else {
            return Priority(1);
        };
        let candidate = &local.candidate;
        let preference = type_preference(CandidateType::PeerReflexive, candidate.protocol, None);
        Priority::new(preference, candidate.priority.local_preference(), 1)
    }

    // Answers.

    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        route: Route,
        message: &Message<'_>,
    ) -> Input {
        let id = message.transaction_id();
        let Some(index) = self.transactions.iter().position(|one| one.id == id) else {
            return self.handle_gather_response(now, route, message);
        };
        let pair_id = self.transactions[index].pair;
        let Some(pair) = self.pair(pair_id) else {
            return Input::Dropped(DropReason::UnknownTransaction);
        };
        // RFC 8445 §7.2.5.2.1 would fail the pair. Anyone can send from elsewhere; the answer proper may yet come.
        if pair.route != route {
            return Input::Dropped(DropReason::OtherAddress);
        }
        let Some(remote) = self
            .generation(pair.generation)
            .and_then(|generation| generation.remote.as_ref())
        else {
            return Input::Dropped(DropReason::UnknownTransaction);
        };
        match message.check_integrity(&remote.key) {
            Ok(()) => {}
            Err(stun::IntegrityError::Missing) => {
                // An error of a peer that could not authenticate us, as while it restarts. Worth telling, not believing.
                let code = message.error_code().map(|error| error.code);
                if let Some(pair) = self.pair_mut(pair_id) {
                    pair.last_error = code.or(pair.last_error);
                }
                return Input::Dropped(DropReason::Incomplete);
            }
            Err(_) => return Input::Dropped(DropReason::WrongIntegrity),
        }
        match message.class() {
            Class::Success => {
                let Some(mapped) = message.xor_mapped_address() else {
                    return Input::Dropped(DropReason::Incomplete);
                };
                let transaction = self.transactions.swap_remove(index);
                self.check_succeeded(now, &transaction, mapped);
            }
            _ => {
                let code = message.error_code().map_or(0, |error| error.code);
                let transaction = self.transactions.swap_remove(index);
                self.check_refused(now, &transaction, code);
            }
        }
        Input::Consumed
    }

    /// RFC 8445 §7.2.5.3.
    fn check_succeeded(&mut self, now: Instant, transaction: &Transaction, mapped: SocketAddr) {
        let id = transaction.pair;
        let seen = self.seen_as(id, mapped);
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.stats.responses_received += 1;
        let rtt = now.saturating_duration_since(transaction.sent_at);
        // Which transmission was answered is known only if there was one (Karn).
        if transaction.sent <= 1 || pair.stats.current_round_trip_time.is_none() {
            pair.stats.current_round_trip_time = Some(rtt);
            pair.stats.total_round_trip_time += rtt;
        }
        // RFC 7675 §5.1: answers after consent has expired do not re-establish it.
        if pair.lost_consent() {
            return;
        }
        pair.last_response = Some(now);
        pair.last_received = Some(now);
        let first = pair.state != PairState::Succeeded;
        if first {
            pair.state = PairState::Succeeded;
            pair.failure = None;
            pair.valid_since = Some(now);
            pair.nominated = pair.nominate_on_success.take().or(pair.nominated);
            tracing::debug!(route = ?pair.route, ?rtt, "check succeeded");
        }
        pair.valid_local = seen.or(pair.valid_local);
        for other in &mut self.transactions {
            if other.pair == id && other.purpose == Purpose::Check {
                other.cancel();
            }
        }
        self.triggered.retain(|queued| *queued != id);
        if first {
            self.thaw_like(id);
        }
        if let Purpose::Nominate(order, _) = transaction.purpose
            && self.role == Role::Controlling
        {
            self.nomination_succeeded(id, order);
        }
        self.select(now);
        self.refresh_selected();
    }

    /// The candidate that the peer sees (RFC 8445 §7.2.5.3.1), peer-reflexive if it was not known.
    fn seen_as(&mut self, id: PairId, mapped: SocketAddr) -> Option<super::ids::LocalId> {
        let local = self.local(self.pair(id)?.local)?;
        let (base, protocol, own) = (local.base, local.candidate.protocol, local.id);
        let relay = local.relay;
        let is_seen = |one: &&super::local::Local| {
            one.candidate.socket_addr() == Some(mapped)
                && one.candidate.protocol == protocol
                && (one.id == own || one.base == base && one.relay == relay)
        };
        if let Some(known) = self.locals.iter().find(is_seen) {
            return Some(known.id);
        }
        if relay.is_some() {
            return Some(own);
        }
        let tcp_type = local.candidate.tcp_type;
        self.add_local(NewCandidate {
            typ: CandidateType::PeerReflexive,
            addr: mapped,
            base,
            related: Some(base),
            relay: None,
            server: None,
            protocol,
            tcp_type,
        })
    }

    fn check_refused(&mut self, now: Instant, transaction: &Transaction, code: u16) {
        let id = transaction.pair;
        let retries = transaction.is_nomination();
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.last_error = Some(code);
        pair.last_received = Some(now);
        match code {
            ErrorCode::ROLE_CONFLICT => {
                // RFC 8445 §7.2.5.1. Only the first of several answers changes the role.
                if self.role == transaction.role {
                    self.counters.role_conflicts += 1;
                    self.switch_role();
                    self.change_tie_breaker();
                }
                if retries {
                    self.nomination.failed(id);
                }
                if !self.pair(id).is_some_and(|pair| pair.is_valid()) {
                    self.trigger(id);
                }
            }
            // RFC 7675 §5.2
            ErrorCode::FORBIDDEN => {
                pair.fail(PairFailure::ConsentLost);
                self.forget_failed_selection(now);
            }
            _ if transaction.purpose == Purpose::Consent => {}
            _ if pair.is_valid() => self.nomination.failed(id),
            _ => pair.fail(PairFailure::Error(code)),
        }
    }

    pub(super) fn switch_role(&mut self) {
        self.role = self.role.other();
        self.nomination = super::nominate::Nomination::default();
        self.recompute_priorities();
        self.events.push_back(Event::RoleChange(self.role));
        tracing::info!(role = ?self.role, "role conflict resolved");
    }
}

/// How long a transaction lasts in all: every transmission, and the wait after the last (RFC 8489 §6.2.1, with the
/// doubling limited).
fn full_duration(rto: Duration, timing: &crate::Timing) -> Duration {
    let limit = timing.max_rto.max(timing.rto);
    let mut interval = rto;
    let mut sum = Duration::ZERO;
    for _ in 0..timing.max_transmissions.clamp(1, 64) {
        sum += interval;
        interval = (interval * 2).min(limit);
    }
    sum
}
