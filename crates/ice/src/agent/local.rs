//! This side's sockets and candidates.

use super::Agent;
use super::ids::{LocalId, RelayId};
use crate::candidate::{Address, Candidate, CandidateType, Protocol, RelatedAddress, TcpType};
use crate::config::{InterfaceKind, LocalSocket, TransportPolicy};
use crate::event::{Event, Path};
use crate::pair::{PairFailure, Route};
use crate::priority::{Priority, tcp_local_preference, type_preference};
use rand::RngExt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

#[derive(Debug, Clone)]
pub(super) struct Socket {
    pub(super) config: LocalSocket,
    /// How good the interface is (RFC 8421): part of the priority of every candidate on it.
    pub(super) preference: u16,
}

/// A candidate of this side.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) id: LocalId,
    /// With its real address.
    pub(super) candidate: Candidate,
    /// As the peer is told, which may hide the address; nothing for peer-reflexive ones.
    pub(super) announced: Option<Candidate>,
    /// The socket it sends from (RFC 8445 §4); for a relayed one, that towards the relay.
    pub(super) base: SocketAddr,
    pub(super) relay: Option<RelayId>,
}

impl Local {
    pub(super) fn announced(&self) -> Option<&Candidate> {
        self.announced.as_ref()
    }

    /// Whether checks are sent from it, rather than from the base it shares with another (RFC 8445 §6.1.2.4).
    pub(super) fn is_own_base(&self) -> bool {
        matches!(
            self.candidate.typ,
            CandidateType::Host | CandidateType::Relayed
        )
    }
}

/// Foundations (RFC 8445 §5.1.1.3): numbers for what they are made of.
#[derive(Debug, Default)]
pub(super) struct Foundations(Vec<(CandidateType, IpAddr, Protocol, Option<IpAddr>)>);

impl Foundations {
    fn of(
        &mut self,
        typ: CandidateType,
        base: IpAddr,
        protocol: Protocol,
        server: Option<IpAddr>,
    ) -> Box<str> {
        let key = (typ, base, protocol, server);
        let index = self.0.iter().position(|known| *known == key);
        let index = index.unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        (index + 1).to_string().into()
    }
}

/// Tells nothing of the related address but its family.
pub(super) fn hide_related(candidate: &mut Candidate) {
    if let Some(related) = &mut candidate.related {
        *related = RelatedAddress {
            address: match related.address {
                Address::Ip(IpAddr::V6(_)) => IpAddr::from(Ipv6Addr::UNSPECIFIED).into(),
                _ => IpAddr::from(Ipv4Addr::UNSPECIFIED).into(),
            },
            port: 0,
        };
    }
}

/// What a new candidate is made of.
pub(super) struct NewCandidate {
    pub(super) typ: CandidateType,
    pub(super) addr: SocketAddr,
    pub(super) base: SocketAddr,
    pub(super) related: Option<SocketAddr>,
    pub(super) relay: Option<(RelayId, Protocol)>,
    pub(super) server: Option<(IpAddr, Box<str>)>,
    pub(super) protocol: Protocol,
    pub(super) tcp_type: Option<TcpType>,
}

impl Agent {
    pub(super) fn take_socket(&mut self, now: Instant, mut config: LocalSocket) {
        config.addr = named(config.addr);
        let is_known = |socket: &Socket| {
            socket.config.addr == config.addr && socket.config.protocol == config.protocol
        };
        if self.sockets.iter().any(is_known) || config.addr.ip().is_unspecified() {
            return;
        }
        let preference = self.preference_of(&config);
        self.sockets.push(Socket {
            config: config.clone(),
            preference,
        });
        self.progress.touch(now);
        self.add_host(&config);
        self.adopt_relays(now);
        self.gather_on(now, config.addr, config.protocol);
    }

    /// The host candidate of a socket, if it may have one.
    pub(super) fn add_host(&mut self, socket: &LocalSocket) {
        let addr = socket.addr;
        // RFC 8445 §5.1.1.1 has no use for IPv4-mapped and site-local IPv6 addresses, nor for an address that tells where a device
        // has been when its interface has one that does not.
        let shunned = is_obsolete(addr.ip()) || self.has_temporary_beside(&addr);
        if self.config.transport_policy == TransportPolicy::All && !shunned {
            self.add_local(NewCandidate {
                typ: CandidateType::Host,
                addr: socket.external.unwrap_or(addr),
                base: addr,
                related: None,
                relay: None,
                server: None,
                protocol: socket.protocol,
                tcp_type: socket.tcp_type,
            });
        }
    }

    fn has_temporary_beside(&self, addr: &SocketAddr) -> bool {
        let Some(socket) = (self.sockets.iter()).find(|socket| socket.config.addr == *addr) else {
            return false;
        };
        let id = socket.config.network_id;
        let is_beside = |other: &Socket| {
            other.config.temporary && other.config.addr.is_ipv6() && other.config.network_id == id
        };
        addr.is_ipv6()
            && !socket.config.temporary
            && id.is_some()
            && self.sockets.iter().any(is_beside)
    }

    /// Different for every socket (RFC 8445 §5.1.2.2), higher on better networks, and alternating between IPv6 and IPv4
    /// so that neither family is checked last (RFC 8421 §4).
    fn preference_of(&self, socket: &LocalSocket) -> u16 {
        let is_v6 = socket.addr.is_ipv6();
        let rank = (self.sockets.iter())
            .filter(|other| {
                other.config.addr.is_ipv6() == is_v6
                    && other.config.protocol == socket.protocol
                    && other.config.tcp_type == socket.tcp_type
            })
            .count()
            .min(0x7f) as u16;
        let class = match socket.interface {
            InterfaceKind::Ethernet | InterfaceKind::Loopback => 7,
            InterfaceKind::Wifi => 6,
            InterfaceKind::Unknown => 5,
            InterfaceKind::Vpn => 3,
            InterfaceKind::Cellular => 2,
        };
        let order = 2 * (0x7f - rank) + u16::from(is_v6);
        // Eight units apart, so that order survives the three bits that TCP preferences lose.
        class << 13 | order << 5 | 0x1f
    }

    /// Adds and announces a candidate, and pairs it. `None` when it is redundant (RFC 8445 §5.1.3).
    pub(super) fn add_local(&mut self, new: NewCandidate) -> Option<LocalId> {
        let is_same = |local: &Local| {
            local.base == new.base
                && local.candidate.protocol == new.protocol
                && local.candidate.socket_addr() == Some(new.addr)
                && local.relay == new.relay.map(|(id, _)| id)
        };
        if let Some(known) = self.locals.iter_mut().find(|local| is_same(local)) {
            let is_discovered = known.candidate.typ == CandidateType::PeerReflexive;
            // One that the policy of before kept back.
            let is_hidden = known.announced.is_none();
            if !(is_discovered || is_hidden) || new.typ == CandidateType::PeerReflexive {
                return None;
            }
            // A server now shows what a peer had shown: from here on it is a server-reflexive one.
            let id = known.id;
            let candidate = self.candidate_of(&new);
            self.announce(id, candidate, new.typ);
            return Some(id);
        }
        let candidate = self.candidate_of(&new);
        let id = LocalId(self.fresh_id());
        self.locals.push(Local {
            id,
            candidate: candidate.clone(),
            announced: None,
            base: new.base,
            relay: new.relay.map(|(id, _)| id),
        });
        if new.typ != CandidateType::PeerReflexive {
            self.announce(id, candidate, new.typ);
        }
        self.pair_local(id);
        Some(id)
    }

    fn candidate_of(&mut self, new: &NewCandidate) -> Candidate {
        let socket = self
            .sockets
            .iter()
            .find(|socket| socket.config.addr == new.base);
        let preference = socket.map_or(0, |socket| socket.preference);
        let (interface, network_id) = socket.map_or((InterfaceKind::default(), None), |socket| {
            (socket.config.interface, socket.config.network_id)
        });
        let preference = match new.tcp_type {
            Some(tcp_type) => tcp_local_preference(tcp_type, new.typ, preference),
            None => preference,
        };
        let relay_protocol = new.relay.map(|(_, protocol)| protocol);
        let type_preference = type_preference(new.typ, new.protocol, relay_protocol);
        let foundation = self.foundations.of(
            new.typ,
            new.base.ip(),
            relay_protocol.unwrap_or(new.protocol),
            new.server.as_ref().map(|(ip, _)| *ip),
        );
        Candidate {
            foundation,
            component: 1,
            protocol: new.protocol,
            priority: Priority::new(type_preference, preference, 1),
            address: new.addr.ip().into(),
            port: new.addr.port(),
            typ: new.typ,
            related: new.related.map(Into::into),
            tcp_type: new.tcp_type,
            generation: Some(self.current.number),
            ufrag: Some(self.current.local.ufrag.as_str().into()),
            network_id,
            network_cost: network_id.map(|_| interface.cost()),
            extensions: Vec::new(),
            url: new.server.as_ref().map(|(_, url)| url.clone()),
            relay_protocol,
        }
    }

    fn announce(&mut self, id: LocalId, candidate: Candidate, typ: CandidateType) {
        let mut announced = candidate.clone();
        if self.config.mdns && typ == CandidateType::Host {
            announced.address = self.published_name(candidate.address.ip());
        }
        let hides = self.config.mdns && typ == CandidateType::ServerReflexive
            || self.config.transport_policy == TransportPolicy::Relay;
        if hides {
            // The base is what the name hides; a relayed candidate's mapped address is what the policy hides.
            hide_related(&mut announced);
        }
        if let Some(local) = self.locals.iter_mut().find(|local| local.id == id) {
            local.candidate = candidate;
            local.announced = Some(announced.clone());
        }
        self.events.push_back(Event::LocalCandidate(announced));
    }

    /// The name for an address of this side: one for each address, as long as the agent lives.
    fn published_name(&mut self, ip: Option<IpAddr>) -> Address {
        let known = self.locals.iter().find_map(|local| {
            let announced = local.announced.as_ref()?;
            (local.candidate.address.ip() == ip && announced.address.is_mdns())
                .then(|| announced.address.clone())
        });
        if let Some(known) = known {
            return known;
        }
        // A version 4 UUID (RFC 9562 §5.4).
        let bits: u128 = self.rng.random();
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{bits:032x}");
        let name = format!(
            "{}-{}-{}-{}-{}.local",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        );
        if let Some(address) = ip {
            self.events.push_back(Event::PublishName {
                name: name.clone(),
                address,
            });
        }
        Address::Name(name.into())
    }

    pub(super) fn drop_socket(&mut self, now: Instant, addr: SocketAddr) {
        let addr = named(addr);
        self.sockets.retain(|socket| socket.config.addr != addr);
        self.save_relays(now, addr);
        self.stop_gathering_on(addr);
        let relays: Vec<RelayId> = self.relays.iter().map(|relay| relay.id).collect();
        self.drop_locals(now, |local| {
            // That of a relay which waits for another socket stays.
            local.base == addr && local.relay.is_none_or(|id| !relays.contains(&id))
        });
    }

    /// Drops candidates with their pairs.
    pub(super) fn drop_locals(&mut self, now: Instant, goes: impl Fn(&Local) -> bool) {
        let stays = |local: &Local| !goes(local);
        for local in self.locals.iter().filter(|local| !stays(local)) {
            if let Some(announced) = &local.announced {
                self.events
                    .push_back(Event::LocalCandidateRemoved(announced.clone()));
            }
        }
        let gone: Vec<LocalId> = (self.locals.iter())
            .filter(|local| !stays(local))
            .map(|local| local.id)
            .collect();
        for pair in &mut self.pairs {
            if gone.contains(&pair.local) {
                pair.fail(PairFailure::Disconnected);
            }
        }
        self.forget_failed_selection(now);
        self.pairs.retain(|pair| !gone.contains(&pair.local));
        let pairs = &self.pairs;
        self.transactions
            .retain(|transaction| pairs.iter().any(|pair| pair.id == transaction.pair));
        self.locals.retain(stays);
    }

    pub(super) fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.iter().find(|local| local.id == id)
    }

    /// The candidate whose base receives on this route.
    pub(super) fn local_at(&self, route: Route) -> Option<LocalId> {
        let found = match route {
            Route::Direct(path) => self.locals.iter().find(|local| {
                local.candidate.typ == CandidateType::Host
                    && local.base == path.local
                    && local.candidate.protocol == path.protocol
            }),
            Route::Relayed { relay, peer } => self.locals.iter().find(|local| {
                let own = local.candidate.address.ip();
                local.candidate.typ == CandidateType::Relayed
                    && local.relay == Some(relay)
                    && own.is_some_and(|own| own.is_ipv4() == peer.is_ipv4())
            }),
        };
        found.map(|local| local.id)
    }

    /// The way from this candidate to that address.
    pub(super) fn route_from(&self, local: &Local, mut remote: SocketAddr) -> Route {
        // A link-local address means something on one link only, which a candidate cannot name: it is that of the base.
        if let (SocketAddr::V6(base), SocketAddr::V6(remote)) = (local.base, &mut remote)
            && remote.ip().is_unicast_link_local()
        {
            remote.set_scope_id(base.scope_id());
        }
        match local.relay {
            Some(relay) => Route::Relayed {
                relay,
                peer: remote,
            },
            None => Route::Direct(Path {
                protocol: local.candidate.protocol,
                local: local.base,
                remote,
            }),
        }
    }
}

/// RFC 6544 §4.5: the discard port stands for "no port".
fn named(mut addr: SocketAddr) -> SocketAddr {
    if addr.port() == 0 {
        addr.set_port(9);
    }
    addr
}

/// IPv4-mapped, or site-local as RFC 3879 deprecates it.
fn is_obsolete(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_some() || ip.segments()[0] & 0xffc0 == 0xfec0,
    }
}
