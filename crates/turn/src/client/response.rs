//! What the server's answers do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::credentials::Reaction;
use stun::{AttributeType, Class, ErrorCode, Message};

use super::request::{Extras, Op, Request, Timer};
use super::{Allocation, Client, Phase};
use crate::config::{Families, Transport};
use crate::event::{DropReason, Event, Failure, Input};

/// How often one request is made anew before it counts as failed. RFC 8489 §6.3.4 allows four after server errors; fresh
/// nonces count too, so that a server that is never content ends somewhere.
const MAX_ATTEMPTS: u8 = 4;
/// RFC 8489 §10: a server tried within this time is not tried again.
const REDIRECT_MEMORY: Duration = Duration::from_secs(300);

/// How long a server has to answer an Allocate request before it is asked for less. Servers that look up passwords elsewhere
/// keep no order among requests that come at once.
const HEDGE: Duration = Duration::from_millis(50);

impl Client {
    pub(super) fn handle_response(&mut self, now: Instant, message: &Message<'_>) -> Input {
        let id = message.transaction_id();
        let Some(index) = self
            .requests
            .iter()
            .position(|request| request.id == id && request.op.method() == message.method())
        else {
            if self.superseded.contains(&id) {
                return Input::Consumed;
            }
            return self.stats.dropped(DropReason::UnknownTransaction);
        };
        let request = &mut self.requests[index];
        match self.auth.handle_response(message, request.with_credentials) {
            Reaction::Discard => {
                request.violated = true;
                // Over a reliable transport nothing better will come (RFC 8489 §9.2.5).
                if self.config.transport == Transport::Stream {
                    let request = self.requests.swap_remove(index);
                    let failure = self.failure(None, "the answer's integrity was wrong");
                    self.fail(now, request.op, failure);
                }
                return self.stats.dropped(DropReason::Unauthenticated);
            }
            Reaction::Retry => {
                let request = self.take(now, index);
                if request.attempts >= MAX_ATTEMPTS {
                    let failure = failure_of(self.server, message);
                    self.fail(now, request.op, failure);
                } else {
                    let attempts = request.attempts + 1;
                    let mut next = match request.op {
                        Op::Allocate(extras) if !request.with_credentials => extras.lesser(),
                        _ => None,
                    };
                    self.start(now, request.op, attempts);
                    // A server that refuses what it need not grant shall not cost a round trip: soon it is asked for less.
                    // Whichever request it takes, the others are a mismatch (RFC 8656 §7.2).
                    let mut at = now;
                    while let Some(extras) = next {
                        at += HEDGE;
                        self.postpone(at, Op::Allocate(extras), attempts);
                        next = extras.lesser();
                    }
                }
            }
            Reaction::Refused(refusal) => {
                let request = self.take(now, index);
                let code = message.error_code().map(|error| error.code);
                let failure = self.failure(code, &refusal.to_string());
                self.fail(now, request.op, failure);
            }
            Reaction::Accept => {
                let request = self.take(now, index);
                self.handle_accepted(now, request, message);
            }
        }
        Input::Consumed
    }

    /// The request is answered; its round trip counts.
    fn take(&mut self, now: Instant, index: usize) -> Request {
        let request = self.requests.swap_remove(index);
        self.stats.responses_received += 1;
        if let Timer::Running(transaction) = &request.timer
            && let Some(rtt) = transaction.round_trip(now)
        {
            self.rto.update(now, rtt);
        }
        request
    }

    fn handle_accepted(&mut self, now: Instant, request: Request, message: &Message<'_>) {
        // RFC 8489 §6.3.3 and §6.3.4: an unknown required attribute makes the transaction fail.
        if let Some(kind) = message.unknown_required().next() {
            let failure = self.failure(
                None,
                &format!("the answer has an unknown required attribute, {kind}"),
            );
            return self.fail(now, request.op, failure);
        }
        if message.class() == Class::Success {
            return self.handle_success(now, request.op, message);
        }
        match message.error_code().map(|error| error.code) {
            Some(ErrorCode::TRY_ALTERNATE) if matches!(request.op, Op::Allocate(_)) => {
                self.handle_redirect(now, message)
            }
            Some(ErrorCode::UNKNOWN_ATTRIBUTE)
                if matches!(request.op, Op::Allocate(_))
                    && self.config.dont_fragment
                    && message
                        .unknown_attributes()
                        .any(|kind| kind == AttributeType::DONT_FRAGMENT) =>
            {
                // RFC 8656 §7.4: the server can't; do without.
                self.config.dont_fragment = false;
                self.start(now, request.op, request.attempts);
            }
            Some(
                code @ (ErrorCode::MOBILITY_FORBIDDEN | ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED),
            ) if let Op::Allocate(extras) = request.op
                && let Some(lesser) = extras.without(code) =>
            {
                self.requests.retain(|one| !one.asks_for(code));
                let ops = |one: &&mut Request| one.op == Op::Allocate(lesser);
                match self.requests.iter_mut().find(ops) {
                    Some(waiting) => waiting.hurry(now),
                    None => self.start(now, Op::Allocate(lesser), request.attempts),
                }
            }
            // 508 says that trying again soon does not help (RFC 8656 §7.4).
            Some(code @ 500..=599)
                if code != ErrorCode::INSUFFICIENT_CAPACITY && request.attempts < MAX_ATTEMPTS =>
            {
                let wait = Duration::from_millis(500) * (1 << request.attempts);
                let timer = Timer::Waiting(now + wait);
                self.requests.push(Request {
                    timer,
                    due: false,
                    attempts: request.attempts + 1,
                    ..request
                });
            }
            _ => {
                let failure = failure_of(self.server, message);
                self.fail(now, request.op, failure);
            }
        }
    }

    fn handle_success(&mut self, now: Instant, op: Op, message: &Message<'_>) {
        match op {
            Op::Allocate(_) => self.handle_allocated(now, message),
            Op::Refresh { lifetime, .. } if lifetime.is_zero() => {
                self.phase = Phase::Closed;
                self.events.push_back(Event::Closed);
            }
            Op::Refresh { ticket, .. } => self.handle_refreshed(now, message, ticket.is_some()),
            Op::Permissions(ips) => {
                for ip in ips {
                    if self.peers.permission_granted(now, ip) {
                        self.events.push_back(Event::PermissionInstalled(ip));
                    }
                }
            }
            Op::Channel { number, peer } => {
                // RFC 8656 §12.3: the permission comes with it.
                if self.peers.permission_granted(now, peer.ip()) {
                    self.events.push_back(Event::PermissionInstalled(peer.ip()));
                }
                if self.peers.channel_granted(now, number) {
                    self.events.push_back(Event::ChannelBound { peer, number });
                }
            }
            Op::Connect(peer) => match message.connection_id() {
                Some(connection_id) => self.events.push_back(Event::Connected {
                    peer,
                    connection_id,
                }),
                None => {
                    let failure = self.failure(None, "the answer has no CONNECTION-ID");
                    self.events
                        .push_back(Event::ConnectFailed { peer, failure });
                }
            },
        }
    }

    /// RFC 8656 §7.3.
    fn handle_allocated(&mut self, now: Instant, message: &Message<'_>) {
        let Phase::Allocating { close } = self.phase else {
            return;
        };
        // Those that asked for more or less are of no more use.
        let others = self
            .requests
            .iter()
            .filter(|one| matches!(one.op, Op::Allocate(_)));
        self.superseded = others.map(|one| one.id).collect();
        self.requests
            .retain(|one| !matches!(one.op, Op::Allocate(_)));
        let lifetime = lifetime_of(message);
        let mut relayed = message.xor_relayed_addresses();
        let (Some(first), Some(mapped), false) = (
            relayed.next(),
            message.xor_mapped_address(),
            lifetime.is_zero(),
        ) else {
            let failure = self.failure(None, "the answer lacks an address or a lifetime");
            self.requests.clear();
            return self.fail(now, Op::Allocate(Extras::wanted(&self.config)), failure);
        };
        let understood = match self.config.families {
            _ if self.config.reservation_token.is_some() => true,
            Families::V4 => first.is_ipv4(),
            Families::V6 => first.is_ipv6(),
            Families::Both => true,
        };
        let op = Op::Refresh {
            lifetime: Duration::ZERO,
            ticket: None,
        };
        if close {
            self.phase = Phase::Closing;
            return self.start(now, op, 0);
        }
        if !understood {
            // "The client MUST delete the allocation and MUST NOT attempt to create another".
            let failure = self.failure(None, "the relayed address is of the other family");
            self.requests.clear();
            self.fail(now, Op::Allocate(Extras::wanted(&self.config)), failure);
            return self.start(now, op, 0);
        }
        let relayed_other = relayed.find(|other| other.is_ipv4() != first.is_ipv4());
        self.phase = Phase::Allocated(Allocation {
            relayed: first,
            relayed_other,
            mapped,
            refresh: now + refresh_after(lifetime),
            expires: now + lifetime,
            ticket: message
                .mobility_ticket()
                .filter(|ticket| !ticket.is_empty())
                .map(<[u8]>::to_vec),
        });
        tracing::info!(server = %self.server, relayed = %first, %mapped, "relay address allocated");
        self.events.push_back(Event::Allocated {
            relayed: first,
            relayed_other,
            mapped,
            lifetime,
            reservation_token: message.reservation_token(),
            other_family_error: message.address_error_code().map(|(_, error)| error.code),
        });
    }

    /// RFC 8656 §8.3; with a ticket, RFC 8016 §3.2.3.
    fn handle_refreshed(&mut self, now: Instant, message: &Message<'_>, moved: bool) {
        let Phase::Allocated(allocation) = &mut self.phase else {
            return;
        };
        let lifetime = lifetime_of(message);
        if lifetime.is_zero() {
            let failure = self.failure(None, "the server ended the allocation");
            return self.lose(failure);
        }
        allocation.refresh = now + refresh_after(lifetime);
        allocation.expires = now + lifetime;
        if let Some(ticket) = message
            .mobility_ticket()
            .filter(|ticket| !ticket.is_empty())
        {
            allocation.ticket = Some(ticket.to_vec());
        }
        if moved {
            if let Some(mapped) = message.xor_mapped_address() {
                allocation.mapped = mapped;
            }
            self.events.push_back(Event::Migrated);
        }
    }

    /// RFC 8489 §10.
    fn handle_redirect(&mut self, now: Instant, message: &Message<'_>) {
        let same_family = |addr: &SocketAddr| addr.is_ipv4() == self.server.is_ipv4();
        let alternate = message.alternate_servers().find(same_family);
        self.tried
            .retain(|&(_, at)| now.saturating_duration_since(at) < REDIRECT_MEMORY);
        let Some(server) =
            alternate.filter(|server| self.tried.iter().all(|(tried, _)| tried != server))
        else {
            let failure = failure_of(self.server, message);
            return self.fail(now, Op::Allocate(Extras::wanted(&self.config)), failure);
        };
        if self.config.transport == Transport::Udp && self.config.follow_redirects {
            self.tried.push((server, now));
            self.server = server;
            self.auth = self.config.credentials.mechanism();
            self.requests.clear();
            self.start(now, Op::Allocate(Extras::wanted(&self.config)), 0);
        } else {
            self.phase = Phase::Closed;
            self.requests.clear();
            let domain = message.alternate_domain().map(str::to_owned);
            self.events
                .push_back(Event::TryAlternate { server, domain });
        }
    }

    /// Whether an Allocate request awaits its answer.
    fn is_allocating(&self) -> bool {
        let asked = |one: &Request| matches!(one.timer, Timer::Running(_));
        (self.requests.iter()).any(|one| matches!(one.op, Op::Allocate(_)) && asked(one))
    }

    /// What the failure of each request means.
    pub(super) fn fail(&mut self, now: Instant, op: Op, failure: Failure) {
        tracing::debug!(method = %op.method(), %failure, "request failed");
        match op {
            // The other request may fare better.
            Op::Allocate(_) if self.is_allocating() => {}
            Op::Allocate(_) => {
                self.requests
                    .retain(|one| !matches!(one.op, Op::Allocate(_)));
                if let Phase::Allocating { close } = self.phase {
                    self.phase = if close { Phase::Closed } else { Phase::Failed };
                    self.requests.clear();
                    self.events.push_back(if close {
                        Event::Closed
                    } else {
                        Event::AllocationFailed(failure)
                    });
                }
            }
            Op::Refresh { lifetime, .. } if lifetime.is_zero() => {
                // RFC 8656 §8.3: with 437 it is gone as well, and after any other answer its own time ends it.
                if let Phase::Closing = self.phase {
                    self.phase = Phase::Closed;
                    self.events.push_back(Event::Closed);
                }
            }
            // The server did not let the allocation move; it may still serve the old address (RFC 8016 §3.2.2). With 437 there
            // is none.
            Op::Refresh {
                ticket: Some(_), ..
            } if failure.code != Some(ErrorCode::ALLOCATION_MISMATCH) => {
                if let Phase::Allocated(allocation) = &mut self.phase {
                    allocation.ticket = None;
                    self.events.push_back(Event::MigrationFailed(failure));
                }
            }
            Op::Refresh { .. } => self.lose(failure),
            Op::Permissions(ips) if ips.len() > 1 && failure.code.is_some() => {
                // One address may have spoilt it for the others.
                for ip in ips {
                    self.start(now, Op::Permissions(vec![ip]), 0);
                }
            }
            Op::Permissions(ips) => {
                for peer in ips {
                    self.peers.drop_permission(peer);
                    self.events.push_back(Event::PermissionFailed {
                        peer,
                        failure: failure.clone(),
                    });
                }
            }
            Op::Channel { number, peer } => {
                let wanted = self.peers.peer_of(number) == Some(peer);
                self.peers.channel_failed(now, number);
                if wanted {
                    self.events
                        .push_back(Event::ChannelFailed { peer, failure });
                }
            }
            Op::Connect(peer) => self
                .events
                .push_back(Event::ConnectFailed { peer, failure }),
        }
    }

    fn lose(&mut self, failure: Failure) {
        if let Phase::Allocated(_) = self.phase {
            tracing::info!(%failure, "relay address lost");
            self.phase = Phase::Failed;
            self.requests.clear();
            self.events.push_back(Event::Lost(failure));
        }
    }
}

fn failure_of(server: SocketAddr, message: &Message<'_>) -> Failure {
    match message.error_code() {
        Some(error) => {
            let reason = if error.reason.is_empty() {
                ErrorCode::phrase(error.code)
            } else {
                error.reason
            };
            Failure {
                code: Some(error.code),
                reason: reason.to_owned(),
                server,
            }
        }
        None => Failure {
            code: None,
            reason: "the error response has no ERROR-CODE".to_owned(),
            server,
        },
    }
}

/// LIFETIME, but at most a year: what any `Instant` can add.
fn lifetime_of(message: &Message<'_>) -> Duration {
    message
        .lifetime()
        .unwrap_or(Duration::ZERO)
        .min(Duration::from_secs(365 * 86_400))
}

/// When to refresh: a minute before the end, or half-way of a short lifetime.
fn refresh_after(lifetime: Duration) -> Duration {
    let margin = Duration::from_secs(60);
    if lifetime > margin * 2 {
        lifetime - margin
    } else {
        lifetime / 2
    }
}
