//! A STUN server, and as much of a TURN server (RFC 8656) as an ICE agent asks for.

use netsim::{Datagram, Endpoint, Transport};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use stun::{Class, ErrorCode, IntegrityKey, Message, Method, PasswordAlgorithm, Writer};

/// Answers Binding requests.
#[derive(Default)]
pub(crate) struct StunServer {
    out: VecDeque<Datagram>,
}

impl Endpoint for StunServer {
    fn handle_datagram(&mut self, _now: Instant, d: Datagram) {
        if let Some(answer) = binding_answer(&d) {
            self.out.push_back(answer);
        }
    }
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
        self.out.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn binding_answer(d: &Datagram) -> Option<Datagram> {
    let message = Message::parse(&d.payload).ok()?;
    if (message.class(), message.method()) != (Class::Request, Method::BINDING) {
        return None;
    }
    let mut buf = Vec::new();
    Writer::new(
        &mut buf,
        Class::Success,
        Method::BINDING,
        message.transaction_id(),
    )
    .xor_mapped_address(d.src)
    .finish(true);
    Some(Datagram {
        payload: buf,
        ..Datagram::new(d.dst, d.src, [])
    })
}

struct Allocation {
    /// Of the request that made it: others are a mismatch (RFC 8656 §7.2).
    made_by: stun::TransactionId,
    relayed: SocketAddr,
    relayed_v6: Option<SocketAddr>,
    ticket: Option<Vec<u8>>,
    permissions: BTreeSet<IpAddr>,
    channels: BTreeMap<u16, SocketAddr>,
}

impl Allocation {
    /// The relayed address of the peer's family.
    fn towards(&self, peer: SocketAddr) -> SocketAddr {
        match self.relayed_v6 {
            Some(v6) if peer.is_ipv6() => v6,
            _ => self.relayed,
        }
    }
}

/// Relays for user `user` with password `pass`, over UDP and TCP, from ports of its own address.
pub(crate) struct TurnServer {
    addr: SocketAddr,
    allocations: BTreeMap<(Transport, SocketAddr), Allocation>,
    next_port: u16,
    out: VecDeque<Datagram>,
    /// Answers nothing any more.
    pub(crate) dead: bool,
    /// Refuses every allocation with this code.
    pub(crate) refuses: Option<u16>,
    /// Refuses the allocations of so many clients with 437, as if there were one of theirs already.
    pub(crate) mismatches: u32,
    mismatched: BTreeSet<SocketAddr>,
    /// Gives tickets (RFC 8016); otherwise it refuses them with 405.
    pub(crate) mobility: Option<bool>,
    /// Where it relays IPv6.
    pub(crate) v6: Option<IpAddr>,
    /// Refuses allocations that ask for an IPv6 address, too, with 440.
    pub(crate) insists_on_v4: bool,
}

const REALM: &str = "example.org";

impl TurnServer {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            allocations: BTreeMap::new(),
            next_port: 50_000,
            out: VecDeque::new(),
            dead: false,
            refuses: None,
            mismatches: 0,
            mismatched: BTreeSet::new(),
            mobility: None,
            v6: None,
            insists_on_v4: false,
        }
    }

    pub(crate) fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// It does not know its own tickets any more.
    pub(crate) fn forget_tickets(&mut self) {
        for one in self.allocations.values_mut() {
            one.ticket = None;
        }
    }

    /// The next connections come from other ports than those there were.
    pub(crate) fn close_connections(&mut self) {
        let moved = std::mem::take(&mut self.allocations);
        let other = |addr: SocketAddr| SocketAddr::new(addr.ip(), addr.port() + 1000);
        let moved = moved
            .into_iter()
            .map(|((t, at), one)| ((t, other(at)), one));
        self.allocations = moved.collect();
    }

    fn reply(&mut self, d: &Datagram, payload: Vec<u8>) {
        self.out.push_back(Datagram {
            transport: d.transport,
            ..Datagram::new(d.dst, d.src, payload)
        });
    }

    fn take_from_client(&mut self, d: &Datagram) {
        if d.payload.first().is_some_and(|first| *first >= 0x40) {
            self.channel_data(d);
            return;
        }
        if let Some(answer) = binding_answer(d) {
            self.out.push_back(answer);
            return;
        }
        let Ok(message) = Message::parse(&d.payload) else {
            return;
        };
        let client = (d.transport, d.src);
        if message.class() == Class::Indication {
            let (Some(peer), Some(data)) = (message.xor_peer_address(), message.data()) else {
                return;
            };
            if let Some(allocation) = self.allocations.get(&client)
                && allocation.permissions.contains(&peer.ip())
            {
                let out = Datagram::new(allocation.towards(peer), peer, data);
                self.out.push_back(out);
            }
            return;
        }
        let key = IntegrityKey::long_term("user", REALM, "pass", PasswordAlgorithm::Md5);
        let mut buf = Vec::new();
        let (method, id) = (message.method(), message.transaction_id());
        let error = |buf: &mut Vec<u8>, code| {
            let mut writer = Writer::new(buf, Class::Error, method, id);
            writer.error_code(code);
            if code == ErrorCode::UNAUTHENTICATED {
                writer.realm(REALM).nonce(b"nonce").finish(false);
            } else {
                writer.finish_with(&key, false);
            }
        };
        if message.username() != Some("user") || message.check_integrity(&key).is_err() {
            error(&mut buf, ErrorCode::UNAUTHENTICATED);
            return self.reply(d, buf);
        }
        if let (Method::ALLOCATE, Some(code)) = (method, self.refuses) {
            error(&mut buf, code);
            return self.reply(d, buf);
        }
        if method == Method::ALLOCATE && self.mismatches > 0 && self.mismatched.insert(d.src) {
            self.mismatches -= 1;
        }
        if method == Method::ALLOCATE && self.mismatched.contains(&d.src) {
            error(&mut buf, ErrorCode::ALLOCATION_MISMATCH);
            return self.reply(d, buf);
        }
        if method == Method::ALLOCATE
            && let Some(code) = self.refuses_attributes(&message)
        {
            error(&mut buf, code);
            return self.reply(d, buf);
        }
        if let (Method::REFRESH, Some(ticket)) = (method, message.mobility_ticket()) {
            // RFC 8016 §3.2.2.
            if let Err(code) = self.follow(client, ticket) {
                error(&mut buf, code);
                return self.reply(d, buf);
            }
        }
        let known = self.allocations.contains_key(&client);
        if method == Method::ALLOCATE
            && (self.allocations.get(&client)).is_some_and(|one| one.made_by != id)
        {
            error(&mut buf, ErrorCode::ALLOCATION_MISMATCH);
            return self.reply(d, buf);
        }
        if !known && method != Method::ALLOCATE {
            error(&mut buf, ErrorCode::ALLOCATION_MISMATCH);
            return self.reply(d, buf);
        }
        let mut writer = Writer::new(&mut buf, Class::Success, method, id);
        match method {
            Method::ALLOCATE => {
                if !known {
                    self.next_port += 1;
                    let relayed = SocketAddr::new(self.addr.ip(), self.next_port);
                    let v6 = self
                        .v6
                        .filter(|_| message.additional_address_family().is_some());
                    let tickets = self.mobility == Some(true);
                    let allocation = Allocation {
                        made_by: id,
                        relayed_v6: v6.map(|ip| SocketAddr::new(ip, self.next_port)),
                        ticket: (tickets && message.mobility_ticket().is_some())
                            .then(|| format!("ticket {}", self.next_port).into_bytes()),
                        relayed,
                        permissions: BTreeSet::new(),
                        channels: BTreeMap::new(),
                    };
                    self.allocations.insert(client, allocation);
                }
                let allocation = &self.allocations[&client];
                writer.xor_relayed_address(allocation.relayed);
                if let Some(v6) = allocation.relayed_v6 {
                    writer.xor_relayed_address(v6);
                }
                if let Some(ticket) = &allocation.ticket {
                    writer.mobility_ticket(ticket);
                }
                writer
                    .xor_mapped_address(d.src)
                    .lifetime(Duration::from_secs(600));
            }
            Method::REFRESH => {
                let lifetime = message.lifetime().unwrap_or(Duration::from_secs(600));
                if lifetime.is_zero() {
                    self.allocations.remove(&client);
                }
                writer.lifetime(lifetime);
                if let (Some(allocation), Some(_)) =
                    (self.allocations.get_mut(&client), message.mobility_ticket())
                    && let Some(ticket) = &mut allocation.ticket
                {
                    ticket.push(b'+');
                    writer.mobility_ticket(ticket);
                }
            }
            Method::CREATE_PERMISSION => {
                let peers = message.xor_peer_addresses().map(|peer| peer.ip());
                self.allocations
                    .get_mut(&client)
                    .unwrap()
                    .permissions
                    .extend(peers);
            }
            Method::CHANNEL_BIND => {
                let (number, peer) = (
                    message.channel_number().unwrap(),
                    message.xor_peer_address().unwrap(),
                );
                let allocation = self.allocations.get_mut(&client).unwrap();
                allocation.permissions.insert(peer.ip());
                allocation.channels.insert(number, peer);
            }
            _ => {}
        }
        writer.finish_with(&key, false);
        self.reply(d, buf);
    }

    fn refuses_attributes(&self, message: &Message<'_>) -> Option<u16> {
        let asks_v6 = message.additional_address_family().is_some();
        if self.mobility == Some(false) && message.mobility_ticket().is_some() {
            Some(ErrorCode::MOBILITY_FORBIDDEN)
        } else if self.insists_on_v4 && asks_v6 {
            Some(ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED)
        } else {
            None
        }
    }

    /// The client of this ticket is here now.
    fn follow(&mut self, client: (Transport, SocketAddr), ticket: &[u8]) -> Result<(), u16> {
        if self.mobility != Some(true) {
            return Err(ErrorCode::MOBILITY_FORBIDDEN);
        }
        let has = |one: &Allocation| one.ticket.as_deref() == Some(ticket);
        let found = self.allocations.iter().find(|(_, one)| has(one));
        match found.map(|(at, _)| *at) {
            None => Err(ErrorCode::BAD_REQUEST),
            Some(_) if self.allocations.contains_key(&client) => Err(ErrorCode::BAD_REQUEST),
            Some(at) => {
                let moved = self.allocations.remove(&at);
                self.allocations.extend(moved.map(|one| (client, one)));
                Ok(())
            }
        }
    }

    fn channel_data(&mut self, d: &Datagram) {
        let (Some(&[n0, n1, l0, l1]), Some(allocation)) = (
            d.payload.first_chunk(),
            self.allocations.get(&(d.transport, d.src)),
        ) else {
            return;
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let peer = allocation.channels.get(&u16::from_be_bytes([n0, n1]));
        if let (Some(peer), Some(data)) = (peer, d.payload.get(4..4 + len)) {
            self.out
                .push_back(Datagram::new(allocation.towards(*peer), *peer, data));
        }
    }

    fn take_from_peer(&mut self, d: &Datagram) {
        let found = self
            .allocations
            .iter()
            .find(|(_, one)| one.relayed == d.dst || one.relayed_v6 == Some(d.dst));
        let Some(((transport, client), allocation)) = found else {
            return;
        };
        if !allocation.permissions.contains(&d.src.ip()) {
            return;
        }
        let channel = allocation.channels.iter().find(|(_, peer)| **peer == d.src);
        let mut buf = Vec::new();
        match channel {
            Some((number, _)) => {
                buf.extend_from_slice(&number.to_be_bytes());
                buf.extend_from_slice(&(d.payload.len() as u16).to_be_bytes());
                buf.extend_from_slice(&d.payload);
                if *transport == Transport::Tcp {
                    buf.resize(buf.len().next_multiple_of(4), 0);
                }
            }
            None => {
                let id = stun::TransactionId([9; 12]);
                Writer::new(&mut buf, Class::Indication, Method::DATA, id)
                    .xor_peer_address(d.src)
                    .data(&d.payload)
                    .finish(false);
            }
        }
        let (transport, client) = (*transport, *client);
        self.out.push_back(Datagram {
            transport,
            ..Datagram::new(self.addr, client, buf)
        });
    }
}

impl Endpoint for TurnServer {
    fn handle_datagram(&mut self, _now: Instant, d: Datagram) {
        match d.dst == self.addr {
            _ if self.dead => {}
            true => self.take_from_client(&d),
            false => self.take_from_peer(&d),
        }
    }
    fn handle_timeout(&mut self, _now: Instant) {}
    fn poll_transmit(&mut self, _now: Instant) -> Option<Datagram> {
        self.out.pop_front()
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
