//! The four NAT kinds of RFC 3489 §5, in the terms of RFC 4787.

use crate::{Datagram, Transport};
use rand::{RngExt, rngs::StdRng};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 3489 §5. In the words of RFC 4787 §4.1 and §5 each is a mapping and a filtering behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// Endpoint-independent mapping, endpoint-independent filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    AddressRestricted,
    /// Endpoint-independent mapping, address-and-port-dependent filtering.
    PortRestricted,
    /// Address-and-port-dependent mapping, address-and-port-dependent filtering.
    Symmetric,
}

impl NatKind {
    /// All four, from the most to the least permissive.
    pub const ALL: [Self; 4] = [
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
    ];
}

/// How a NAT behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct NatConfig {
    /// Mapping and filtering.
    pub kind: NatKind,
    /// Its address outside.
    pub public_ip: IpAddr,
    /// How long an idle mapping, or an idle permission in it, lasts (RFC 4787 REQ-5: at least two minutes, the default).
    pub binding_lifetime: Duration,
    /// Whether packets from outside refresh a mapping too (RFC 4787 REQ-6 only asks for those from inside).
    pub inbound_refresh: bool,
    /// Whether two hosts inside reach each other by their outside addresses (RFC 4787 REQ-9).
    pub hairpinning: bool,
    /// Whether the outside port is the inside one where free (RFC 4787 §4.2.1); else it is random.
    pub port_preservation: bool,
    /// Whether UDP to and from outside is dropped (a corporate firewall). TCP passes.
    pub udp_blocked: bool,
    /// What the NAT sends to the outside goes over this link.
    pub link: crate::LinkConfig,
    /// What the outside sends to the NAT goes over this link.
    pub down: crate::LinkConfig,
}

impl NatConfig {
    /// A NAT with two-minute bindings, random ports, no hairpinning, and perfect links.
    pub fn new(kind: NatKind, public_ip: impl Into<IpAddr>) -> Self {
        Self {
            kind,
            public_ip: public_ip.into(),
            binding_lifetime: Duration::from_secs(120),
            inbound_refresh: false,
            hairpinning: false,
            port_preservation: false,
            udp_blocked: false,
            link: crate::LinkConfig::default(),
            down: crate::LinkConfig::default(),
        }
    }
}

/// Why a NAT dropped a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoMapping,
    Filtered,
    NoPort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    transport: Transport,
    inside: SocketAddr,
    /// The destination, where the mapping depends on it.
    remote: Option<SocketAddr>,
}

#[derive(Debug)]
struct Mapping {
    key: Key,
    last_used: Instant,
    /// Whom the inside has sent to through this mapping, and when last.
    permitted: BTreeMap<SocketAddr, Instant>,
}

#[derive(Debug)]
pub(crate) struct Nat {
    pub(crate) config: NatConfig,
    ports: BTreeMap<Key, u16>,
    mappings: BTreeMap<(Transport, u16), Mapping>,
}

impl Nat {
    pub(crate) fn new(config: NatConfig) -> Self {
        Self {
            config,
            ports: BTreeMap::new(),
            mappings: BTreeMap::new(),
        }
    }

    /// Rewrites the source of a packet on its way out, making or refreshing its mapping.
    pub(crate) fn outbound(
        &mut self,
        now: Instant,
        d: &mut Datagram,
        rng: &mut StdRng,
    ) -> Result<(), Refused> {
        self.expire(now);
        let key = Key {
            transport: d.transport,
            inside: d.src,
            remote: (self.config.kind == NatKind::Symmetric).then_some(d.dst),
        };
        let port = match self.ports.get(&key) {
            Some(&port) => port,
            None => self.allocate(now, key, rng)?,
        };
        if let Some(mapping) = self.mappings.get_mut(&(d.transport, port)) {
            mapping.last_used = now;
            mapping.permitted.insert(d.dst, now);
        }
        d.src = SocketAddr::new(self.config.public_ip, port);
        Ok(())
    }

    /// Rewrites the destination of a packet on its way in, if its sender is welcome.
    pub(crate) fn inbound(&mut self, now: Instant, d: &mut Datagram) -> Result<(), Refused> {
        self.expire(now);
        let lifetime = self.config.binding_lifetime;
        let mapping = self
            .mappings
            .get_mut(&(d.transport, d.dst.port()))
            .ok_or(Refused::NoMapping)?;
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < lifetime;
        let welcome = match self.config.kind {
            NatKind::FullCone => true,
            NatKind::AddressRestricted => mapping
                .permitted
                .iter()
                .any(|(remote, at)| remote.ip() == d.src.ip() && fresh(at)),
            NatKind::PortRestricted | NatKind::Symmetric => {
                mapping.permitted.get(&d.src).is_some_and(fresh)
            }
        };
        if !welcome {
            return Err(Refused::Filtered);
        }
        if self.config.inbound_refresh {
            mapping.last_used = now;
            mapping.permitted.insert(d.src, now);
        }
        d.dst = mapping.key.inside;
        Ok(())
    }

    /// Forgets every mapping, as a reboot does.
    pub(crate) fn reboot(&mut self) {
        self.ports.clear();
        self.mappings.clear();
    }

    pub(crate) fn mapping_count(&mut self, now: Instant) -> usize {
        self.expire(now);
        self.mappings.len()
    }

    fn allocate(&mut self, now: Instant, key: Key, rng: &mut StdRng) -> Result<u16, Refused> {
        let is_free = |port: u16| !self.mappings.contains_key(&(key.transport, port));
        let preserved =
            Some(key.inside.port()).filter(|port| self.config.port_preservation && is_free(*port));
        let port = match preserved {
            Some(port) => port,
            None => (0..10_000)
                .map(|_| rng.random_range(1024..=u16::MAX))
                .find(|port| is_free(*port))
                .ok_or(Refused::NoPort)?,
        };
        self.ports.insert(key, port);
        self.mappings.insert(
            (key.transport, port),
            Mapping {
                key,
                last_used: now,
                permitted: BTreeMap::new(),
            },
        );
        Ok(port)
    }

    fn expire(&mut self, now: Instant) {
        let lifetime = self.config.binding_lifetime;
        let ports = &mut self.ports;
        self.mappings.retain(|(transport, _), mapping| {
            // A TCP mapping lives as long as its connection; connections here are never closed.
            let alive = *transport == Transport::Tcp
                || now.saturating_duration_since(mapping.last_used) < lifetime;
            if !alive {
                ports.remove(&mapping.key);
            }
            alive
        });
    }
}
