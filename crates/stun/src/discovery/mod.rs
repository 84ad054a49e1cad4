//! What stands between a host and the internet: NAT behaviour discovery (RFC 5780) and the older procedure that names four
//! kinds (RFC 3489 §10.1).
//!
//! [`Discovery`] runs either procedure from one fresh local port against a server with two addresses, such as
//! [`Server::with_other`](crate::Server::with_other); [`BindingLifetime`] finds how long an idle binding lasts, from two.
//! Both are sans-IO. What they find is true of the moment and of the port: nothing but ICE says what will work (RFC 5780 §2).

mod lifetime;
mod probe;
mod procedure;

use std::fmt;
use std::net::SocketAddr;

pub use lifetime::{BindingLifetime, LifetimeConfig, Lifetimes, Port};
pub use procedure::{Discovery, DiscoveryConfig, Procedure};

/// Where a probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination.
    pub remote: SocketAddr,
    /// How many bytes were appended.
    pub len: usize,
}

/// Whether the outside address depends on where a packet goes (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mapping {
    /// One outside address for all destinations.
    EndpointIndependent,
    /// One for each destination address.
    AddressDependent,
    /// One for each destination address and port.
    AddressAndPortDependent,
}

/// From where packets come in (RFC 4787 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Filtering {
    /// From everywhere.
    EndpointIndependent,
    /// From addresses a packet went to.
    AddressDependent,
    /// From addresses and ports a packet went to.
    AddressAndPortDependent,
}

/// The names of RFC 3489 §5 and §10.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing comes back.
    UdpBlocked,
    /// No NAT, and everyone can send.
    OpenInternet,
    /// No NAT, but only those may send who were sent to.
    SymmetricFirewall,
    /// One outside address; everyone can send to it.
    FullCone,
    /// One outside address; only addresses that were sent to can send.
    AddressRestricted,
    /// One outside address; only addresses and ports that were sent to can send.
    PortRestricted,
    /// Another outside address for each destination.
    Symmetric,
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UdpBlocked => "UDP blocked",
            Self::OpenInternet => "open Internet",
            Self::SymmetricFirewall => "symmetric firewall",
            Self::FullCone => "full cone NAT",
            Self::AddressRestricted => "address-restricted NAT",
            Self::PortRestricted => "port-restricted NAT",
            Self::Symmetric => "symmetric NAT",
        })
    }
}

/// What was found. What could not be found, because UDP is blocked or the server has one address only, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The socket that asked.
    pub local: SocketAddr,
    /// Its address outside.
    pub mapped: Option<SocketAddr>,
    /// Mapping behaviour; only RFC 5780 tells the three apart.
    pub mapping: Option<Mapping>,
    /// Filtering behaviour.
    pub filtering: Option<Filtering>,
    /// Whether a packet to the own outside address comes back in.
    pub hairpinning: Option<bool>,
    /// The name in RFC 3489.
    pub kind: Option<Kind>,
}

impl Report {
    /// Whether an address is translated at all.
    pub fn is_translated(&self) -> Option<bool> {
        self.mapped.map(|mapped| mapped != self.local)
    }

    /// Whether the outside port is the inside one.
    pub fn preserves_port(&self) -> Option<bool> {
        self.mapped.map(|mapped| mapped.port() == self.local.port())
    }
}
