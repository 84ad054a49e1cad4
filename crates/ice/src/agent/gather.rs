//! Gathering server-reflexive candidates (RFC 8445 §5.1.1.2), and the pace of all gathering.

use super::Agent;
use super::ids::ServerId;
use super::local::NewCandidate;
use crate::candidate::{CandidateType, Protocol};
use crate::config::{Server, TransportPolicy};
use crate::event::{DropReason, Event, GatheringState, Input, Path, Transmit};
use crate::pair::Route;
use crate::relay::RelayConfig;
use std::net::SocketAddr;
use std::time::Instant;
use stun::{Class, Message, Method, TransactionId, Writer};

/// A STUN server, and the requests to it: one a socket.
pub(super) struct StunServer {
    pub(super) id: ServerId,
    pub(super) addr: SocketAddr,
    pub(super) url: String,
    pub(super) requests: Vec<StunRequest>,
}

pub(super) struct StunRequest {
    pub(super) local: SocketAddr,
    id: TransactionId,
    pub(super) state: RequestState,
    /// To be sent at the next opportunity.
    due: bool,
}

#[derive(Debug)]
pub(super) enum RequestState {
    /// Waits for its turn.
    Queued,
    Asking {
        resend_at: Instant,
        deadline: Instant,
    },
    /// Answered. While no pair is in use, the binding is kept alive.
    Done {
        mapped: SocketAddr,
        keepalive_at: Instant,
    },
    Failed(String),
}

/// The pace, and what stands ready for later sockets.
#[derive(Default)]
pub(super) struct GatherState {
    /// The earliest time for the next request (Ta, RFC 8445 §14.2).
    next_at: Option<Instant>,
    pub(super) turn_servers: Vec<RelayConfig>,
    /// What replaces the servers with the next restart.
    pub(super) next_servers: Option<Vec<Server>>,
}

impl Agent {
    pub(super) fn take_server(&mut self, now: Instant, server: Server) {
        self.progress.touch(now);
        match server {
            Server::Stun { addr, url } => {
                if self.stun_servers.iter().any(|known| known.addr == addr) {
                    return;
                }
                let id = ServerId(self.fresh_id());
                self.stun_servers.push(StunServer {
                    id,
                    addr,
                    url,
                    requests: Vec::new(),
                });
            }
            Server::Turn {
                addr,
                protocol,
                username,
                password,
                url,
            } => {
                let known = &mut self.gather.turn_servers;
                if (known.iter()).any(|known| known.addr == addr && known.protocol == protocol) {
                    return;
                }
                known.push(RelayConfig {
                    addr,
                    protocol,
                    username,
                    password,
                    url,
                });
            }
        }
        let sockets: Vec<_> = (self.sockets.iter())
            .map(|socket| (socket.config.addr, socket.config.protocol))
            .collect();
        for (addr, protocol) in sockets {
            self.gather_on(now, addr, protocol);
        }
    }

    /// Asks every server from this socket that was not asked yet.
    pub(super) fn gather_on(&mut self, _now: Instant, local: SocketAddr, protocol: Protocol) {
        if self.config.lite {
            return;
        }
        let udp = protocol == Protocol::Udp;
        if udp && self.config.transport_policy == TransportPolicy::All {
            let servers: Vec<ServerId> = (self.stun_servers.iter())
                .filter(|server| reaches(local, server.addr))
                .filter(|server| (server.requests.iter()).all(|known| known.local != local))
                .map(|server| server.id)
                .collect();
            for id in servers {
                let request = StunRequest {
                    local,
                    id: TransactionId::random(&mut self.rng),
                    state: RequestState::Queued,
                    due: false,
                };
                if let Some(server) = self.stun_servers.iter_mut().find(|one| one.id == id) {
                    server.requests.push(request);
                }
            }
        }
        for config in self.gather.turn_servers.clone() {
            // Connections to a server have ports of their own: they need an address of this host, and no UDP socket.
            if reaches(local, config.addr) && (udp || config.protocol != Protocol::Udp) {
                self.queue_relay(local, config);
            }
        }
    }

    /// After a restart, servers that have failed get another chance.
    pub(super) fn gather_again(&mut self, now: Instant) {
        if let Some(servers) = self.gather.next_servers.take() {
            let stays = |addr: SocketAddr| servers.iter().any(|server| server.addr() == addr);
            self.stun_servers.retain(|server| stays(server.addr));
            self.gather.turn_servers.retain(|server| stays(server.addr));
            for server in servers {
                self.take_server(now, server);
            }
        }
        for server in &mut self.stun_servers {
            for request in &mut server.requests {
                if matches!(request.state, RequestState::Failed(_)) {
                    request.id = TransactionId::random(&mut self.rng);
                    request.state = RequestState::Queued;
                }
            }
        }
        self.retry_relays();
        if self.gathering != GatheringState::New {
            self.set_gathering(GatheringState::Gathering);
        }
    }

    pub(super) fn stop_gathering_on(&mut self, local: SocketAddr) {
        for server in &mut self.stun_servers {
            server.requests.retain(|request| request.local != local);
        }
        (self.relays).retain(|relay| {
            relay.base != local || matches!(relay.state, crate::relay::RelayState::Stranded)
        });
    }

    /// Sends what is due, one new request each Ta; gives up on servers that do not answer.
    pub(super) fn gather(&mut self, now: Instant) {
        self.drive_relays(now);
        let timing = self.config.timing;
        let used = self.selected.is_some();
        let mut failed = Vec::new();
        for server in &mut self.stun_servers {
            for request in &mut server.requests {
                match &mut request.state {
                    RequestState::Asking { deadline, .. } if *deadline <= now => {
                        let text = "the STUN server does not answer".to_owned();
                        failed.push((request.local, server.url.clone(), text.clone()));
                        request.state = RequestState::Failed(text);
                        request.due = false;
                    }
                    // Without doubling: the few seconds there are should bring an answer through loss.
                    RequestState::Asking { resend_at, .. } if *resend_at <= now => {
                        request.due = true;
                        *resend_at = now + timing.rto;
                    }
                    RequestState::Done { keepalive_at, .. } if *keepalive_at <= now => {
                        *keepalive_at = now + timing.keepalive_interval;
                        request.id = TransactionId::random(&mut self.rng);
                        request.due = !used;
                    }
                    _ => {}
                }
            }
        }
        for (local, url, text) in failed {
            self.server_failed(local, url, None, text);
        }
        while self.gather.next_at.is_none_or(|at| at <= now) && self.start_next(now) {
            self.gather.next_at = Some(now + timing.ta);
        }
        if !self.sockets.is_empty() {
            let busy = !self.sockets_complete || self.is_gathering();
            self.set_gathering(match busy {
                true => GatheringState::Gathering,
                false => GatheringState::Complete,
            });
        } else if self.sockets_complete {
            self.set_gathering(GatheringState::Complete);
        }
    }

    fn start_next(&mut self, now: Instant) -> bool {
        let timing = self.config.timing;
        let queued = (self.stun_servers.iter_mut())
            .flat_map(|server| &mut server.requests)
            .find(|request| matches!(request.state, RequestState::Queued));
        match queued {
            Some(request) => {
                request.due = true;
                request.state = RequestState::Asking {
                    resend_at: now + timing.rto,
                    deadline: now + timing.gather_timeout,
                };
                true
            }
            None => self.start_next_relay(now),
        }
    }

    fn is_gathering(&self) -> bool {
        let asking = (self.stun_servers.iter())
            .flat_map(|server| &server.requests)
            .any(|request| {
                matches!(
                    request.state,
                    RequestState::Queued | RequestState::Asking { .. }
                )
            });
        asking || self.relays.iter().any(crate::relay::Relay::is_gathering)
    }

    fn has_queued(&self) -> bool {
        let stun = (self.stun_servers.iter())
            .flat_map(|server| &server.requests)
            .any(|request| matches!(request.state, RequestState::Queued));
        stun || (self.relays.iter())
            .any(|relay| matches!(relay.state, crate::relay::RelayState::Queued))
    }

    pub(super) fn gather_timeout(&self, now: Instant) -> Option<Instant> {
        let stun = (self.stun_servers.iter())
            .flat_map(|server| &server.requests)
            .filter_map(|request| match request.state {
                RequestState::Asking {
                    resend_at,
                    deadline,
                    ..
                } => Some(resend_at.min(deadline)),
                RequestState::Done { keepalive_at, .. } if self.selected.is_none() => {
                    Some(keepalive_at)
                }
                _ => None,
            })
            .min();
        let queued = self
            .has_queued()
            .then(|| self.gather.next_at.unwrap_or(now));
        [stun, queued].into_iter().flatten().min()
    }

    pub(super) fn gather_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        for server in &mut self.stun_servers {
            let remote = server.addr;
            if let Some(request) = server.requests.iter_mut().find(|request| request.due) {
                request.due = false;
                let len =
                    Writer::new(buf, Class::Request, Method::BINDING, request.id).finish(true);
                return Some(Transmit {
                    protocol: Protocol::Udp,
                    local: request.local,
                    remote,
                    len,
                });
            }
        }
        None
    }

    /// Whether this is a STUN server's answer, which may share its address with a TURN server.
    pub(super) fn is_gather_response(&self, path: Path, data: &[u8]) -> bool {
        let id = data.get(8..20);
        (self.stun_servers.iter())
            .filter(|server| server.addr == path.remote)
            .flat_map(|server| &server.requests)
            .any(|request| id == Some(&request.id.0[..]))
    }

    pub(super) fn handle_gather_response(
        &mut self,
        now: Instant,
        route: Route,
        message: &Message<'_>,
    ) -> Input {
        let keepalive_at = now + self.config.timing.keepalive_interval;
        let Route::Direct(path) = route else {
            return Input::Dropped(DropReason::UnknownTransaction);
        };
        let id = message.transaction_id();
        let found = self.stun_servers.iter_mut().find_map(|server| {
            let request = server.requests.iter_mut().find(|one| one.id == id)?;
            Some((server.addr, &server.url, request))
        });
        let Some((addr, url, request)) = found else {
            return Input::Dropped(DropReason::UnknownTransaction);
        };
        if path != Path::udp(request.local, addr) {
            return Input::Dropped(DropReason::OtherAddress);
        }
        let RequestState::Asking { .. } = request.state else {
            return Input::Consumed;
        };
        let (local, url) = (request.local, url.clone());
        request.due = false;
        if message.class() == Class::Error {
            let (code, text) = (message.error_code())
                .map_or((500, String::new()), |e| (e.code, e.reason.to_owned()));
            request.state = RequestState::Failed(format!("{code} {text}"));
            self.server_failed(local, url, Some(code), text);
            return Input::Consumed;
        }
        let Some(mapped) = message.any_mapped_address() else {
            return Input::Dropped(DropReason::Incomplete);
        };
        request.state = RequestState::Done {
            mapped,
            keepalive_at,
        };
        self.add_local(NewCandidate {
            typ: CandidateType::ServerReflexive,
            addr: mapped,
            base: local,
            related: Some(local),
            relay: None,
            server: Some((addr.ip(), url.into())),
            protocol: Protocol::Udp,
            tcp_type: None,
        });
        Input::Consumed
    }

    /// W3C WebRTC §4.8.3: 701 when the server could not be reached.
    pub(super) fn server_failed(
        &mut self,
        local: SocketAddr,
        url: String,
        code: Option<u16>,
        text: String,
    ) {
        tracing::debug!(%local, url, ?code, text, "a server gives no candidate");
        self.events.push_back(Event::CandidateError {
            address: local.ip(),
            port: local.port(),
            url,
            code: code.unwrap_or(701),
            text,
        });
    }
}

/// Whether a socket can talk to a server at all.
pub(super) fn reaches(local: SocketAddr, server: SocketAddr) -> bool {
    let is_link_local = |addr: SocketAddr| match addr {
        SocketAddr::V6(addr) => addr.ip().is_unicast_link_local(),
        SocketAddr::V4(_) => false,
    };
    local.is_ipv4() == server.is_ipv4()
        && (!local.ip().is_loopback() || server.ip().is_loopback())
        && is_link_local(local) == is_link_local(server)
}
