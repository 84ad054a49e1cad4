//! What an agent is told at its start and by its driver.

use crate::candidate::{Protocol, TcpType};
use std::net::SocketAddr;
use std::time::Duration;

/// Which side nominates (RFC 8445 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// Nominates: as a rule the offerer, and always a full agent facing a lite one.
    #[default]
    Controlling,
    /// Follows.
    Controlled,
}

impl Role {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// Which candidates may be used (W3C `RTCIceTransportPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TransportPolicy {
    /// All.
    #[default]
    All,
    /// Relayed ones only, so that the peer learns no address of this side.
    Relay,
}

/// How an agent behaves. [`Default`] is what a browser would do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The role to begin with; a conflict may change it.
    pub role: Role,
    /// Answers checks and sends none (RFC 8445 §2.5): for a server with a public address.
    pub lite: bool,
    /// Which candidates may be used.
    pub transport_policy: TransportPolicy,
    /// Hide the addresses of host candidates behind random `.local` names, which the driver must answer
    /// for by multicast DNS: see [`Event::PublishName`](crate::Event::PublishName).
    pub mdns: bool,
    /// Offer and follow renomination (draft-thatcher-ice-renomination): the controlling side may move the session
    /// to another pair at any time. Used when the peer offers it too.
    pub renomination: bool,
    /// How many pairs a checklist may hold (RFC 8445 §6.1.2.5).
    pub max_pairs: usize,
    /// How many remote candidates are kept, peer-reflexive ones included.
    pub max_remote_candidates: usize,
    /// Valid pairs besides the selected one whose NAT bindings are kept alive, to move to when it fails.
    pub backup_pairs: usize,
    /// Intervals and limits.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: Role::default(),
            lite: false,
            transport_policy: TransportPolicy::default(),
            mdns: false,
            renomination: true,
            max_pairs: 100,
            max_remote_candidates: 100,
            backup_pairs: 1,
            timing: Timing::default(),
        }
    }
}

/// Intervals and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// Ta: time between new transactions (RFC 8445 §14.2), for checks and for gathering each.
    pub ta: Duration,
    /// Ta for triggered checks, which an authenticated request of the peer asks for: the least that RFC 8445 §14.2 allows.
    pub triggered_ta: Duration,
    /// First retransmission timeout; RFC 8445 §14.3 forbids less than 500 ms.
    pub rto: Duration,
    /// Retransmission timeouts double up to this.
    pub max_rto: Duration,
    /// Rc: how often a check is sent (RFC 8489 §6.2.1). With the default timeouts a check fails after 13.5 s.
    pub max_transmissions: u32,
    /// How long a STUN server may take to answer before it counts as dead.
    pub gather_timeout: Duration,
    /// How long the checks run at least before they may fail: the PAC timer of RFC 8863.
    pub patience: Duration,
    /// How long the checks may bring nothing, with no candidate or check coming in, before they fail although the peer
    /// never said that its candidates are complete. `None`: never.
    pub patience_without_end: Option<Duration>,
    /// How long the controlling side waits for a better pair when a reflexive or host pair works.
    pub nomination_patience: Duration,
    /// The same when only a relayed pair works.
    pub relay_nomination_patience: Duration,
    /// Mean time between consent checks; RFC 7675 §5.1: 5 s, each interval varied by a fifth.
    pub consent_interval: Duration,
    /// Consent expires this long after the last authenticated response (RFC 7675 §5.1: 30 s).
    pub consent_timeout: Duration,
    /// The selected pair counts as disconnected when nothing authenticated came for this long.
    pub disconnected_after: Duration,
    /// Tr: keep-alives of NAT bindings (RFC 8445 §11), no less than 15 s.
    pub keepalive_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ta: Duration::from_millis(50),
            triggered_ta: Duration::from_millis(5),
            rto: Duration::from_millis(500),
            max_rto: Duration::from_secs(1),
            max_transmissions: 14,
            gather_timeout: Duration::from_secs(5),
            patience: Duration::from_millis(15_500),
            patience_without_end: Some(Duration::from_secs(30)),
            nomination_patience: Duration::from_millis(200),
            relay_nomination_patience: Duration::from_secs(2),
            consent_interval: Duration::from_secs(5),
            consent_timeout: Duration::from_secs(30),
            disconnected_after: Duration::from_secs(9),
            keepalive_interval: Duration::from_secs(15),
        }
    }
}

/// What kind of network an interface is on. Better ones get higher priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum InterfaceKind {
    /// Wired.
    Ethernet,
    /// Wireless LAN.
    Wifi,
    /// Not known.
    #[default]
    Unknown,
    /// Mobile telephony.
    Cellular,
    /// A tunnel.
    Vpn,
    /// The machine itself.
    Loopback,
}

impl InterfaceKind {
    /// The `network-cost` that browsers give this kind.
    pub fn cost(self) -> u16 {
        match self {
            Self::Ethernet | Self::Loopback => 0,
            Self::Wifi => 10,
            Self::Unknown => 50,
            Self::Vpn => 50,
            Self::Cellular => 900,
        }
    }
}

/// A socket that the driver has opened for the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalSocket {
    /// What it is bound to: an address of one interface, never the unspecified one. For [`TcpType::Active`], port 9 (or 0).
    pub addr: SocketAddr,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// For TCP: whether it connects or listens.
    pub tcp_type: Option<TcpType>,
    /// The kind of interface.
    pub interface: InterfaceKind,
    /// A number for the interface, for `network-id`.
    pub network_id: Option<u16>,
    /// An IPv6 temporary address (RFC 8981), which makes other addresses of its interface unwelcome (RFC 8445 §5.1.1.1).
    pub temporary: bool,
    /// The address outside a NAT whose forwarding is known (1:1, as at cloud providers): takes the place of the local one.
    pub external: Option<SocketAddr>,
}

impl LocalSocket {
    /// A UDP socket.
    pub fn udp(addr: SocketAddr) -> Self {
        Self {
            addr,
            protocol: Protocol::Udp,
            tcp_type: None,
            interface: InterfaceKind::default(),
            network_id: None,
            temporary: false,
            external: None,
        }
    }

    /// A TCP socket. An active one stands for connections yet to be made from that address.
    pub fn tcp(addr: SocketAddr, tcp_type: TcpType) -> Self {
        Self {
            protocol: Protocol::Tcp,
            tcp_type: Some(tcp_type),
            ..Self::udp(addr)
        }
    }
}

/// A STUN or TURN server, its name already resolved. One with several addresses is added once for each.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Server {
    /// RFC 8489.
    Stun {
        /// Where it is.
        addr: SocketAddr,
        /// Its URL, for events and reports.
        url: String,
    },
    /// RFC 8656.
    Turn {
        /// Where it is.
        addr: SocketAddr,
        /// How it is reached.
        protocol: Protocol,
        /// Long-term credential.
        username: String,
        /// Long-term credential.
        password: String,
        /// Its URL, for events and reports.
        url: String,
    },
}

impl Server {
    /// Its URL.
    pub fn url(&self) -> &str {
        match self {
            Self::Stun { url, .. } | Self::Turn { url, .. } => url,
        }
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        match self {
            Self::Stun { addr, .. } | Self::Turn { addr, .. } => *addr,
        }
    }
}

impl std::fmt::Debug for Server {
    /// Without the credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr())
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}
