//! Candidates and their SDP form: the `candidate-attribute` of RFC 8839 §5.1, with the TCP
//! extension of RFC 6544 §4.5 and the parameters that browsers add.
//!
//! ```text
//! candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>
//!     [raddr <address>] [rport <port>] [tcptype <type>] *(<name> <value>)
//! ```
//!
//! Parsing never panics and allocates no more than the line is long.

use crate::priority::Priority;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// What carries datagrams between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Protocol {
    /// UDP.
    #[default]
    Udp,
    /// TCP: with RFC 4571 framing between peers, without it to a TURN server.
    Tcp,
    /// TLS over TCP, to a TURN server only.
    Tls,
}

impl Protocol {
    /// The name in SDP and statistics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who opens the connection of a TCP candidate (RFC 6544 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TcpType {
    /// This side connects; the port in the candidate is 9 and means nothing.
    Active,
    /// This side listens.
    Passive,
    /// Both sides connect from and to the candidates' ports.
    SimultaneousOpen,
}

impl TcpType {
    /// The `tcptype` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::SimultaneousOpen]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether a local candidate of this kind connects to a remote one of that kind (RFC 6544 §6.2).
    pub(crate) fn pairs_with(self, remote: Self) -> bool {
        matches!(
            (self, remote),
            (Self::Active, Self::Passive)
                | (Self::Passive, Self::Active)
                | (Self::SimultaneousOpen, Self::SimultaneousOpen)
        )
    }
}

/// How a candidate was learned (RFC 8445 §4), from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CandidateType {
    /// An address of an interface.
    Host,
    /// The address a peer has seen.
    PeerReflexive,
    /// The address a STUN or TURN server has seen.
    ServerReflexive,
    /// An address of a TURN server.
    Relayed,
}

impl CandidateType {
    /// The `typ` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::PeerReflexive => "prflx",
            Self::ServerReflexive => "srflx",
            Self::Relayed => "relay",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [
            Self::Host,
            Self::PeerReflexive,
            Self::ServerReflexive,
            Self::Relayed,
        ]
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The address of a candidate: numeric, or a name that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A numeric address.
    Ip(IpAddr),
    /// A name, as a rule one under `.local` that multicast DNS resolves.
    Name(Box<str>),
}

impl Address {
    /// The numeric address, unless it is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }

    /// Whether this is a multicast DNS name.
    pub fn is_mdns(&self) -> bool {
        match self {
            Self::Ip(_) => false,
            Self::Name(name) => name.to_ascii_lowercase().ends_with(".local"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self::Ip(ip));
        }
        // RFC 1035 §2.3.4 limits a name to 255 octets; a colon would be a malformed IPv6 address.
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name = text.len() <= 255
            && text.chars().all(is_name_char)
            && text.chars().any(|c| c.is_ascii_alphabetic());
        is_name.then(|| Self::Name(text.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

/// `raddr` and `rport`: the base of a reflexive candidate, the mapped address of a relayed one (RFC 8839 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelatedAddress {
    /// `raddr`
    pub address: Address,
    /// `rport`
    pub port: u16,
}

impl From<SocketAddr> for RelatedAddress {
    fn from(addr: SocketAddr) -> Self {
        Self {
            address: addr.ip().into(),
            port: addr.port(),
        }
    }
}

/// A candidate, local or remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of the same type, base and server (RFC 8445 §5.1.1.3).
    pub foundation: Box<str>,
    /// 1 for RTP and everything multiplexed with it; 2 for RTCP of its own.
    pub component: u16,
    /// UDP or TCP. A relayed candidate is UDP whatever carries it to its server.
    pub protocol: Protocol,
    /// RFC 8445 §5.1.2.
    pub priority: Priority,
    /// Where it is reached.
    pub address: Address,
    /// The port it is reached at.
    pub port: u16,
    /// How it was learned.
    pub typ: CandidateType,
    /// What it is derived from.
    pub related: Option<RelatedAddress>,
    /// For TCP: who connects.
    pub tcp_type: Option<TcpType>,
    /// `generation`, which browsers count up at each ICE restart.
    pub generation: Option<u32>,
    /// `ufrag`: the username fragment of the generation this belongs to (RFC 8839 §5.1, W3C WebRTC §4.8.1).
    pub ufrag: Option<Box<str>>,
    /// `network-id`, a number for the interface.
    pub network_id: Option<u16>,
    /// `network-cost`, how dear the interface is.
    pub network_cost: Option<u16>,
    /// Extensions this crate does not know, in order.
    pub extensions: Vec<(Box<str>, Box<str>)>,
    /// Local only: the server that gave it. Not part of the SDP form.
    pub url: Option<Box<str>>,
    /// Local only: what carries a relayed candidate to its server. Not part of the SDP form.
    pub relay_protocol: Option<Protocol>,
}

/// Why a line is no candidate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCandidateError {
    /// The line ends before this field.
    #[error("the candidate ends before its {0}")]
    Missing(&'static str),
    /// This field has a value outside its grammar or range.
    #[error("the candidate has an invalid {0}")]
    Invalid(&'static str),
    /// A transport other than UDP and TCP.
    #[error("the candidate has a transport that is not supported")]
    UnknownTransport,
    /// A type other than the four of RFC 8445.
    #[error("the candidate has a type that is not supported")]
    UnknownType,
}

impl Candidate {
    /// A host candidate as an application may write it by hand, for component 1.
    pub fn host(addr: SocketAddr, protocol: Protocol, priority: Priority) -> Self {
        Self {
            foundation: "1".into(),
            component: 1,
            protocol,
            priority,
            address: addr.ip().into(),
            port: addr.port(),
            typ: CandidateType::Host,
            related: None,
            tcp_type: None,
            generation: None,
            ufrag: None,
            network_id: None,
            network_cost: None,
            extensions: Vec::new(),
            url: None,
            relay_protocol: None,
        }
    }

    /// The transport address, unless the address is a name.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.address.ip().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl FromStr for Candidate {
    type Err = ParseCandidateError;

    /// Reads `candidate:…`, also with a leading `a=`, or without any prefix.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        use ParseCandidateError::{Invalid, Missing, UnknownTransport, UnknownType};
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        let mut words = line.split_ascii_whitespace();
        let mut next = |name| words.next().ok_or(Missing(name));

        let foundation = next("foundation")?;
        // Browsers have written other characters than ice-char here; they do no harm.
        if foundation.len() > 32 || !foundation.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Invalid("foundation"));
        }
        let component = number::<u16>(next("component")?, 3)
            .filter(|id| (1..=256).contains(id))
            .ok_or(Invalid("component"))?;
        let transport = next("transport")?;
        let (protocol, implied_tcp_type) = match transport {
            t if t.eq_ignore_ascii_case("udp") => (Protocol::Udp, None),
            t if t.eq_ignore_ascii_case("tcp") => (Protocol::Tcp, None),
            // RFC 6544 §4.5 asks to be liberal with the names of its own drafts.
            t if t.eq_ignore_ascii_case("tcp-act") => (Protocol::Tcp, Some(TcpType::Active)),
            t if t.eq_ignore_ascii_case("tcp-pass") => (Protocol::Tcp, Some(TcpType::Passive)),
            t if t.eq_ignore_ascii_case("tcp-so") => {
                (Protocol::Tcp, Some(TcpType::SimultaneousOpen))
            }
            _ => return Err(UnknownTransport),
        };
        let priority = number(next("priority")?, 10).ok_or(Invalid("priority"))?;
        let address = Address::parse(next("address")?).ok_or(Invalid("address"))?;
        let port = number(next("port")?, 5).ok_or(Invalid("port"))?;
        if next("type")? != "typ" {
            return Err(Missing("type"));
        }
        let typ = CandidateType::parse(next("type")?).ok_or(UnknownType)?;

        let mut candidate = Self {
            foundation: foundation.into(),
            component,
            protocol,
            priority: Priority(priority),
            address,
            port,
            typ,
            related: None,
            tcp_type: implied_tcp_type,
            generation: None,
            ufrag: None,
            network_id: None,
            network_cost: None,
            extensions: Vec::new(),
            url: None,
            relay_protocol: None,
        };
        let mut related_port = 0;
        let mut related_address = None;
        while let Some(name) = words.next() {
            // An extension may have an empty value (`cand-extension` of RFC 8839 §5.1).
            let value = words.next().unwrap_or("");
            match name {
                "raddr" => {
                    related_address = Some(Address::parse(value).ok_or(Invalid("raddr"))?);
                }
                "rport" => related_port = number(value, 5).ok_or(Invalid("rport"))?,
                "tcptype" => {
                    candidate.tcp_type = Some(TcpType::parse(value).ok_or(Invalid("tcptype"))?);
                }
                "generation" => candidate.generation = number(value, 10),
                // Without a value it says nothing.
                "ufrag" => candidate.ufrag = (!value.is_empty()).then(|| value.into()),
                "network-id" => candidate.network_id = number(value, 5),
                "network-cost" => candidate.network_cost = number(value, 5),
                _ => candidate.extensions.push((name.into(), value.into())),
            }
        }
        candidate.related = related_address.map(|address| RelatedAddress {
            address,
            port: related_port,
        });
        match (protocol, candidate.tcp_type) {
            // RFC 6544 §4.5: mandatory for TCP.
            (Protocol::Tcp, None) => Err(Missing("tcptype")),
            (Protocol::Udp, Some(_)) => Err(Invalid("tcptype")),
            _ => Ok(candidate),
        }
    }
}

/// A decimal number of at most `digits` digits and no sign.
fn number<T: FromStr>(text: &str, digits: usize) -> Option<T> {
    let plain = text.len() <= digits && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Candidate {
    /// Writes `candidate:…`, without `a=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "candidate:{} {} {} {} {} {} typ {}",
            self.foundation,
            self.component,
            match self.protocol {
                Protocol::Udp => "udp",
                Protocol::Tcp | Protocol::Tls => "tcp",
            },
            self.priority,
            self.address,
            self.port,
            self.typ,
        )?;
        if let Some(RelatedAddress { address, port }) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {}", tcp_type.as_str())?;
        }
        let known = [
            ("generation", self.generation.map(|n| n.to_string().into())),
            ("ufrag", self.ufrag.as_deref().map(Cow::Borrowed)),
            ("network-id", self.network_id.map(|n| n.to_string().into())),
            (
                "network-cost",
                self.network_cost.map(|n| n.to_string().into()),
            ),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                write!(f, " {name} {value}")?;
            }
        }
        for (name, value) in &self.extensions {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(line: &str) -> Candidate {
        let candidate: Candidate = line.parse().unwrap();
        assert_eq!(candidate.to_string(), line);
        candidate
    }

    #[test]
    fn reads_and_writes_what_chromium_sends() {
        let host = round_trip(
            "candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 192.168.1.4 rport 46154 generation 0 ufrag EEtu network-id 1 network-cost 10",
        );
        assert_eq!(host.typ, CandidateType::ServerReflexive);
        assert_eq!(host.priority, Priority(1_677_729_535));
        assert_eq!(
            host.related,
            Some("192.168.1.4:46154".parse::<SocketAddr>().unwrap().into())
        );
        assert_eq!(host.ufrag.as_deref(), Some("EEtu"));
        assert_eq!(host.network_cost, Some(10));

        let mdns = round_trip(
            "candidate:1 1 udp 2122260223 7d2e27f5-5ae2-4ea0-87de-6f2b6ce1ba11.local 58345 typ host generation 0 ufrag b/1v network-id 1",
        );
        assert!(mdns.address.is_mdns());
        assert_eq!(mdns.socket_addr(), None);

        let tcp = round_trip(
            "candidate:2 1 tcp 1518280447 192.168.1.4 9 typ host tcptype active generation 0 ufrag EEtu network-id 1",
        );
        assert_eq!(tcp.tcp_type, Some(TcpType::Active));
    }

    #[test]
    fn reads_what_firefox_sends() {
        let c: Candidate = "candidate:0 1 UDP 2122252543 2001:db8::7 57201 typ host"
            .parse()
            .unwrap();
        assert_eq!(
            c.socket_addr(),
            Some("[2001:db8::7]:57201".parse().unwrap())
        );
        assert_eq!(
            c.to_string(),
            "candidate:0 1 udp 2122252543 2001:db8::7 57201 typ host"
        );
    }

    #[test]
    fn accepts_every_prefix() {
        let bare = "1 1 udp 1 192.0.2.1 9 typ host";
        for prefix in ["", "candidate:", "a=candidate:"] {
            assert!(format!("{prefix}{bare}").parse::<Candidate>().is_ok());
        }
    }

    #[test]
    fn keeps_unknown_extensions_in_order() {
        let c = round_trip("candidate:1 1 udp 1 192.0.2.1 9 typ host b 2 a 1");
        assert_eq!(
            c.extensions,
            [("b".into(), "2".into()), ("a".into(), "1".into())]
        );
    }

    #[test]
    fn refuses_values_out_of_range_and_says_which() {
        use ParseCandidateError::*;
        let cases = [
            ("", Missing("foundation")),
            ("1 1 udp 1 192.0.2.1", Missing("port")),
            ("1 0 udp 1 192.0.2.1 9 typ host", Invalid("component")),
            ("1 257 udp 1 192.0.2.1 9 typ host", Invalid("component")),
            ("1 1 sctp 1 192.0.2.1 9 typ host", UnknownTransport),
            (
                "1 1 udp 4294967296 192.0.2.1 9 typ host",
                Invalid("priority"),
            ),
            ("1 1 udp +1 192.0.2.1 9 typ host", Invalid("priority")),
            ("1 1 udp 1 1:2:3 9 typ host", Invalid("address")),
            ("1 1 udp 1 300.1.1.1 9 typ host", Invalid("address")),
            ("1 1 udp 1 192.0.2.1 65536 typ host", Invalid("port")),
            ("1 1 udp 1 192.0.2.1 9 host", Missing("type")),
            ("1 1 udp 1 192.0.2.1 9 typ magic", UnknownType),
            ("1 1 tcp 1 192.0.2.1 9 typ host", Missing("tcptype")),
            (
                "1 1 tcp 1 192.0.2.1 9 typ host tcptype x",
                Invalid("tcptype"),
            ),
            (
                "1 1 udp 1 192.0.2.1 9 typ host raddr x:y rport 1",
                Invalid("raddr"),
            ),
        ];
        for (line, error) in cases {
            assert_eq!(line.parse::<Candidate>(), Err(error), "{line}");
        }
    }
}
