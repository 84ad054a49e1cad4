use std::net::{IpAddr, SocketAddr};

/// What a host sends and receives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Datagram {
    /// Where it comes from; a NAT on the way rewrites it.
    pub src: SocketAddr,
    /// Where it goes to; a NAT on the way rewrites it.
    pub dst: SocketAddr,
    /// The bytes above UDP (or the bytes of one write to a TCP stream).
    pub payload: Vec<u8>,
    /// The ECN field of the IP header (RFC 3168 §5).
    pub ecn: Ecn,
    /// What carries the payload.
    pub transport: Transport,
}

impl Datagram {
    /// A UDP datagram that is not ECN-capable.
    pub fn new(src: SocketAddr, dst: SocketAddr, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            src,
            dst,
            payload: payload.into(),
            ecn: Ecn::NotEct,
            transport: Transport::Udp,
        }
    }

    /// One write to a TCP stream that is already open: delayed and queued like any packet, translated
    /// by NATs, let through by firewalls that block UDP, and never lost, doubled or reordered.
    pub fn tcp(src: SocketAddr, dst: SocketAddr, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            transport: Transport::Tcp,
            ..Self::new(src, dst, payload)
        }
    }

    /// The same datagram with this ECN field.
    pub fn with_ecn(self, ecn: Ecn) -> Self {
        Self { ecn, ..self }
    }

    /// The size of the IP packet: what an MTU and a rate limit count.
    pub fn ip_size(&self) -> usize {
        let ip = match self.src.ip() {
            IpAddr::V4(_) => 20,
            IpAddr::V6(_) => 40,
        };
        let transport = match self.transport {
            Transport::Udp => 8,
            Transport::Tcp => 20,
        };
        ip + transport + self.payload.len()
    }
}

/// What carries a [`Datagram`]'s payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Transport {
    /// A datagram of its own.
    #[default]
    Udp,
    /// A piece of a TCP stream; see [`Datagram::tcp`].
    Tcp,
}

/// The ECN field (RFC 3168 §5), with its two bits as value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0b00,
    /// ECN-capable, ECT(1): L4S (RFC 9331).
    Ect1 = 0b01,
    /// ECN-capable, ECT(0).
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Ecn {
    /// Whether a congested link may mark it instead of dropping it.
    pub fn is_capable(self) -> bool {
        self != Self::NotEct
    }
}
