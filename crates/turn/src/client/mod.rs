//! One allocation on one server, from the first Allocate request to its end.

mod peers;
mod request;
mod response;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use stun::credentials::LongTerm;
use stun::{Class, Message, Method, RtoEstimator, TimedOut, Transaction, TransactionId, Writer};

use crate::config::{Config, Credentials, RelayProtocol, Transport};
use crate::event::{DropReason, Event, Failure, Input, Stats, Transmit};
use crate::frame::{self, Frame, Kind};
use peers::Peers;
use request::{Extras, Op, Request, Timer};

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The server has not yet agreed.
    Allocating,
    /// The server relays.
    Allocated,
    /// The server was told to stop.
    Closing,
    /// It has ended as it was asked to, or was sent elsewhere.
    Closed,
    /// There is no allocation, or none any more.
    Failed,
}

#[derive(Debug)]
enum Phase {
    Allocating { close: bool },
    Allocated(Allocation),
    Closing,
    Closed,
    Failed,
}

/// The client's copy of what the server holds (RFC 8656 §7.3).
#[derive(Debug)]
struct Allocation {
    relayed: SocketAddr,
    relayed_other: Option<SocketAddr>,
    mapped: SocketAddr,
    refresh: Instant,
    expires: Instant,
    ticket: Option<Vec<u8>>,
}

/// A TURN client for one allocation. It owns no socket and reads no clock.
///
/// - *Commands*: [`create_permission`](Self::create_permission), [`bind_channel`](Self::bind_channel), [`close`](Self::close), …
///   may be called at any time; they wait until the allocation stands.
/// - *Input*: [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout).
/// - *Output*: [`poll_transmit`](Self::poll_transmit) until `None`, [`poll_event`](Self::poll_event) until `None`,
///   [`poll_timeout`](Self::poll_timeout) for the next call of `handle_timeout`.
/// - *Data*: [`open_frame`](Self::open_frame), the payload, [`close_frame`](crate::close_frame); incoming data is where
///   [`Input::Data`] says.
///
/// Permissions and channels are refreshed for as long as they are wanted, the allocation until it is closed. Whatever the
/// server sends, nothing panics, and only an authenticated answer to an open request changes any state.
#[derive(Debug)]
pub struct Client {
    config: Config,
    server: SocketAddr,
    auth: LongTerm,
    rng: StdRng,
    phase: Phase,
    peers: Peers,
    requests: Vec<Request>,
    /// Allocate requests whose answers do not count any more.
    superseded: Vec<TransactionId>,
    events: VecDeque<Event>,
    rto: RtoEstimator,
    deadline: Option<Instant>,
    /// Servers tried, with the time, against loops of redirection (RFC 8489 §10).
    tried: Vec<(SocketAddr, Instant)>,
    indications: AtomicU64,
    indication_base: u64,
    stats: Stats,
}

impl Client {
    /// A client whose first request is due at once.
    pub fn new(now: Instant, config: Config, mut rng: StdRng) -> Self {
        let indication_base = rand::Rng::next_u64(&mut rng);
        let mut client = Self {
            server: config.server,
            auth: config.credentials.mechanism(),
            rng,
            phase: Phase::Allocating { close: false },
            peers: Peers::default(),
            requests: Vec::new(),
            superseded: Vec::new(),
            events: VecDeque::new(),
            rto: RtoEstimator::default(),
            deadline: None,
            tried: vec![(config.server, now)],
            indications: AtomicU64::new(0),
            indication_base,
            stats: Stats::default(),
            config,
        };
        let wanted = Extras::wanted(&client.config);
        client.start(now, Op::Allocate(wanted), 0);
        client.update_deadline(now);
        client
    }

    // Commands.

    /// Lets a peer's address send to us, and us to it.
    pub fn create_permission(&mut self, now: Instant, peer: IpAddr) {
        if self.peers.want_permission(peer) {
            self.advance(now);
        }
    }

    /// Binds a channel to a peer, which gives it a permission too: its data costs four bytes a packet.
    pub fn bind_channel(&mut self, now: Instant, peer: SocketAddr) {
        // The permission comes with the channel, but must be refreshed more often (RFC 8656 §12.1).
        self.peers.want_permission(peer.ip());
        if !self.peers.want_channel(now, peer) {
            let failure = self.failure(None, "every channel number is taken");
            self.events
                .push_back(Event::ChannelFailed { peer, failure });
        }
        self.advance(now);
    }

    /// Stops refreshing a peer's channel, and its permission if no other channel needs it. The server forgets them in time.
    pub fn remove_peer(&mut self, peer: SocketAddr) {
        self.peers.remove(peer);
    }

    /// Asks the server to connect to a peer (RFC 6062 §4.3); only for [`RelayProtocol::Tcp`].
    pub fn connect(&mut self, now: Instant, peer: SocketAddr) {
        let refused = match (&self.phase, self.config.relay) {
            (Phase::Allocated(_), RelayProtocol::Tcp) => {
                // Requests for the same peer must not be sent at once.
                if self
                    .requests
                    .iter()
                    .any(|request| request.op == Op::Connect(peer))
                {
                    return;
                }
                None
            }
            (Phase::Allocated(_), RelayProtocol::Udp) => Some("the allocation relays UDP"),
            _ => Some("there is no allocation"),
        };
        match refused {
            Some(reason) => {
                let failure = self.failure(None, reason);
                self.events
                    .push_back(Event::ConnectFailed { peer, failure });
            }
            None => self.start(now, Op::Connect(peer), 0),
        }
        self.update_deadline(now);
    }

    /// Whether the server gave a ticket, with which the allocation can follow the client to another address.
    pub fn can_migrate(&self) -> bool {
        self.allocation().is_some_and(|one| one.ticket.is_some())
    }

    /// The caller moved to another local address: tells the server, if it gave a ticket for that (RFC 8016 §3.2).
    /// `false` when it did not, so that only a new client helps. [`Event::Migrated`] or [`Event::MigrationFailed`] follows;
    /// until then data had better wait (RFC 8016 §3.2.2).
    pub fn migrate(&mut self, now: Instant) -> bool {
        let Phase::Allocated(Allocation {
            ticket: Some(ticket),
            ..
        }) = &self.phase
        else {
            return false;
        };
        let op = Op::Refresh {
            lifetime: self.config.lifetime,
            ticket: Some(ticket.clone()),
        };
        self.requests
            .retain(|request| !matches!(request.op, Op::Refresh { .. }));
        for request in &mut self.requests {
            // What was under way by the old address, or on a connection that is gone, has no answer.
            request.due |= matches!(request.timer, Timer::Running(_));
        }
        self.start(now, op, 0);
        self.update_deadline(now);
        true
    }

    /// New credentials for the same server, such as the next access token (RFC 7635 §9).
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.auth.replace(credentials.mechanism());
        self.config.credentials = credentials;
    }

    /// Ends the allocation. What remains is to drain [`poll_transmit`](Self::poll_transmit); [`Event::Closed`] follows the
    /// server's answer.
    pub fn close(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Allocated(_) => {
                self.requests.clear();
                self.phase = Phase::Closing;
                self.start(
                    now,
                    Op::Refresh {
                        lifetime: Duration::ZERO,
                        ticket: None,
                    },
                    0,
                );
            }
            // The answer may be on its way, and with it an allocation that nobody would end.
            Phase::Allocating { close } if self.auth.is_challenged() => *close = true,
            Phase::Allocating { .. } => {
                self.requests.clear();
                self.phase = Phase::Closed;
                self.events.push_back(Event::Closed);
            }
            Phase::Closing | Phase::Closed | Phase::Failed => {}
        }
        self.update_deadline(now);
    }

    // Input.

    /// One datagram, or one frame of a stream, that came from `from`.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, data: &[u8]) -> Input {
        if from != self.server {
            return self.stats.dropped(DropReason::OtherAddress);
        }
        match data.first() {
            Some(0x40..=0x4f) => self.handle_channel_data(data),
            Some(0x00..=0x3f) => {
                let Ok(message) = Message::parse(data) else {
                    return self.stats.dropped(DropReason::Malformed);
                };
                match message.class() {
                    Class::Success | Class::Error => {
                        let input = self.handle_response(now, &message);
                        self.advance(now);
                        input
                    }
                    Class::Indication => self.handle_indication(&message),
                    Class::Request => self.stats.dropped(DropReason::Unexpected),
                }
            }
            _ => self.stats.dropped(DropReason::Malformed),
        }
    }

    /// RFC 8656 §12.6.
    fn handle_channel_data(&mut self, data: &[u8]) -> Input {
        let Some((&[n0, n1, l0, l1], payload)) = data.split_first_chunk::<4>() else {
            return self.stats.dropped(DropReason::Malformed);
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if payload.len() < len {
            return self.stats.dropped(DropReason::Malformed);
        }
        match self.peers.channel_peer(u16::from_be_bytes([n0, n1])) {
            Some(peer) => self.data(peer, 4..4 + len),
            None => self.stats.dropped(DropReason::UnknownChannel),
        }
    }

    /// Indications can't be authenticated; only those that carry data, or hint at something the caller may check, count.
    fn handle_indication(&mut self, message: &Message<'_>) -> Input {
        // RFC 8489 §6.3.2: one with an unknown required attribute is dropped.
        if message.unknown_required().next().is_some() {
            return self.stats.dropped(DropReason::Malformed);
        }
        let Some(peer) = message.xor_peer_address() else {
            return self.stats.dropped(DropReason::Malformed);
        };
        if !self.peers.has_permission(peer.ip()) {
            return self.stats.dropped(DropReason::NoPermission);
        }
        match (
            message.method(),
            message.data_range(),
            message.icmp(),
            message.connection_id(),
        ) {
            (Method::DATA, Some(range), ..) => self.data(peer, range),
            (Method::DATA, None, Some((kind, code, _)), _) => {
                self.events.push_back(Event::Icmp { peer, kind, code });
                Input::Consumed
            }
            (Method::CONNECTION_ATTEMPT, _, _, Some(connection_id)) => {
                self.events.push_back(Event::ConnectionAttempt {
                    peer,
                    connection_id,
                });
                Input::Consumed
            }
            _ => self.stats.dropped(DropReason::Unexpected),
        }
    }

    fn data(&mut self, peer: SocketAddr, range: std::ops::Range<usize>) -> Input {
        self.stats.data_received += 1;
        self.stats.data_bytes_received += range.len() as u64;
        Input::Data { peer, range }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(request) = self.requests.get_mut(index) {
            match &mut request.timer {
                Timer::Waiting(until) if *until <= now => {
                    let request = self.requests.swap_remove(index);
                    self.start(now, request.op, request.attempts);
                }
                Timer::Waiting(_) => index += 1,
                Timer::Running(transaction) => match transaction.handle_timeout(now) {
                    Some(TimedOut::Failed) => {
                        let request = self.requests.swap_remove(index);
                        // RFC 8489 §9.2.5: "instead of signaling a timeout … the layer MUST signal that the integrity
                        // protection was violated".
                        let reason = if request.violated {
                            "every answer's integrity was wrong"
                        } else {
                            "no answer"
                        };
                        let failure = self.failure(None, reason);
                        self.fail(now, request.op, failure);
                    }
                    Some(TimedOut::Resend) => {
                        request.due = true;
                        index += 1;
                    }
                    None => index += 1,
                },
            }
        }
        self.advance(now);
    }

    // Output.

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Appends one message for the server to `buf`.
    pub fn poll_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        // Nothing else is understood by the server until it knows the new address (RFC 8016 §3.2.2).
        let migrating = self.requests.iter().any(|request| request.op.migrates());
        let request = (self.requests.iter_mut())
            .find(|request| request.due && (!migrating || request.op.migrates()))?;
        request.due = false;
        buf.extend_from_slice(&request.bytes);
        self.stats.requests_sent += 1;
        Some(Transmit {
            remote: self.server,
            len: request.bytes.len(),
        })
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the header that carries data to a peer: ChannelData when its channel is bound, else a Send indication. The
    /// caller appends the payload, then calls [`close_frame`](crate::close_frame). `None` without a permission.
    pub fn open_frame(&self, peer: SocketAddr, buf: &mut Vec<u8>) -> Option<Frame> {
        let start = buf.len();
        let kind = if let Some(number) = self.peers.channel(peer) {
            let [n0, n1] = number.to_be_bytes();
            buf.extend_from_slice(&[n0, n1, 0, 0]);
            Kind::ChannelData
        } else if self.peers.has_permission(peer.ip()) {
            let mut writer =
                Writer::new(buf, Class::Indication, Method::SEND, self.indication_id());
            writer.xor_peer_address(peer);
            if self.config.dont_fragment {
                writer.dont_fragment();
            }
            writer.data(&[]).finish(false);
            Kind::SendIndication
        } else {
            return None;
        };
        Some(Frame {
            start,
            payload: buf.len(),
            kind,
            pad: self.config.transport == Transport::Stream,
        })
    }

    /// Completes a frame; see [`close_frame`](crate::close_frame).
    pub fn close_frame(&self, frame: Frame, buf: &mut Vec<u8>) -> bool {
        frame::close_frame(frame, buf)
    }

    /// Nothing answers an indication, so its id need not be unpredictable, only its own.
    fn indication_id(&self) -> TransactionId {
        let count = self.indications.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.indication_base.to_be_bytes());
        id[8..].copy_from_slice(&(count as u32).to_be_bytes());
        TransactionId(id)
    }

    // Queries.

    /// The server in use; after a redirection not the configured one.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Allocating { .. } => State::Allocating,
            Phase::Allocated(_) => State::Allocated,
            Phase::Closing => State::Closing,
            Phase::Closed => State::Closed,
            Phase::Failed => State::Failed,
        }
    }

    fn allocation(&self) -> Option<&Allocation> {
        match &self.phase {
            Phase::Allocated(allocation) => Some(allocation),
            _ => None,
        }
    }

    /// Where peers reach us.
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.relayed)
    }

    /// Where peers of the other family reach us.
    pub fn relayed_other(&self) -> Option<SocketAddr> {
        self.allocation()
            .and_then(|allocation| allocation.relayed_other)
    }

    /// Where the server sees us.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.allocation().map(|allocation| allocation.mapped)
    }

    /// Until when the server holds the allocation.
    pub fn expires(&self) -> Option<Instant> {
        self.allocation().map(|allocation| allocation.expires)
    }

    /// Whether data may flow.
    pub fn has_permission(&self, peer: IpAddr) -> bool {
        self.peers.has_permission(peer)
    }

    /// Whether data flows as ChannelData.
    pub fn has_channel(&self, peer: SocketAddr) -> bool {
        self.peers.channel(peer).is_some()
    }

    /// The server for which a third party's token is wanted (RFC 7635 §6.1), when it asked for one.
    pub fn token_server(&self) -> Option<&str> {
        self.auth.token_server()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    pub(crate) fn auth(&self) -> &LongTerm {
        &self.auth
    }

    // Requests.

    fn failure(&self, code: Option<u16>, reason: &str) -> Failure {
        Failure {
            code,
            reason: reason.to_owned(),
            server: self.server,
        }
    }

    fn start(&mut self, now: Instant, op: Op, attempts: u8) {
        let id = TransactionId::random(&mut self.rng);
        let bytes = op.write(id, &self.config, &self.auth);
        let transaction = match self.config.transport {
            Transport::Stream => Transaction::reliable(now),
            Transport::Udp => {
                let mut schedule = self.config.retransmission;
                if self.stats.responses_received > 0 {
                    schedule.rto = self
                        .rto
                        .rto(now)
                        .min(schedule.rto.max(Duration::from_millis(500)));
                }
                Transaction::with(now, schedule)
            }
        };
        self.requests.push(Request {
            id,
            op,
            bytes,
            timer: Timer::Running(transaction),
            due: true,
            with_credentials: self.auth.is_challenged(),
            attempts,
            violated: false,
        });
    }

    /// Starts it at that time.
    fn postpone(&mut self, at: Instant, op: Op, attempts: u8) {
        let id = TransactionId::random(&mut self.rng);
        self.requests.push(Request {
            id,
            op,
            bytes: Vec::new(),
            timer: Timer::Waiting(at),
            due: false,
            with_credentials: false,
            attempts,
            violated: false,
        });
    }

    /// Sends what the allocation and its peers want by now.
    fn advance(&mut self, now: Instant) {
        if let Phase::Allocated(allocation) = &self.phase {
            if allocation.expires <= now {
                self.phase = Phase::Failed;
                self.requests.clear();
                let failure = self.failure(None, "the allocation expired");
                self.events.push_back(Event::Lost(failure));
            } else {
                let refreshing = self
                    .requests
                    .iter()
                    .any(|request| matches!(request.op, Op::Refresh { .. }));
                if allocation.refresh <= now && !refreshing {
                    self.start(
                        now,
                        Op::Refresh {
                            lifetime: self.config.lifetime,
                            ticket: None,
                        },
                        0,
                    );
                }
                self.ask_for_peers(now);
            }
        }
        self.update_deadline(now);
    }

    fn ask_for_peers(&mut self, now: Instant) {
        while let Some((number, peer)) = self.peers.due_channel(now) {
            if self.relays(peer.ip()) {
                self.start(now, Op::Channel { number, peer }, 0);
            } else {
                self.peers.channel_failed(now, number);
                let failure = self.failure(Some(443), "the relayed address is of the other family");
                self.events
                    .push_back(Event::ChannelFailed { peer, failure });
            }
        }
        let mut due = self.peers.due_permissions(now);
        due.retain(|&ip| {
            // "The client MUST only include an XOR-PEER-ADDRESS attribute with an address of the same address family as
            // that of a relayed transport address" (RFC 8656 §10.1).
            let relays = self.relays(ip);
            if !relays {
                self.peers.drop_permission(ip);
                let failure = self.failure(Some(443), "the relayed address is of the other family");
                self.events
                    .push_back(Event::PermissionFailed { peer: ip, failure });
            }
            relays
        });
        // Sixteen addresses keep the request well within any path's MTU.
        for ips in due.chunks(16) {
            self.start(now, Op::Permissions(ips.to_vec()), 0);
        }
    }

    fn relays(&self, ip: IpAddr) -> bool {
        self.allocation().is_some_and(|allocation| {
            allocation.relayed.is_ipv4() == ip.is_ipv4()
                || allocation
                    .relayed_other
                    .is_some_and(|other| other.is_ipv4() == ip.is_ipv4())
        })
    }

    fn update_deadline(&mut self, now: Instant) {
        let requests = self.requests.iter().filter_map(Request::deadline).min();
        let own = match &self.phase {
            Phase::Allocated(allocation) => {
                let refreshing = self
                    .requests
                    .iter()
                    .any(|request| matches!(request.op, Op::Refresh { .. }));
                let own = if refreshing {
                    allocation.expires
                } else {
                    allocation.refresh
                };
                Some(self.peers.deadline(now).map_or(own, |peers| peers.min(own)))
            }
            _ => None,
        };
        self.deadline = match (requests, own) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
