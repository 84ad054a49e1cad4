use crate::LinkConfig;
use std::net::IpAddr;

/// A host to add to a [`Network`](crate::Network).
#[derive(Debug, Clone, PartialEq)]
pub struct HostConfig {
    /// Its address.
    pub ip: IpAddr,
    /// More addresses of the same host.
    pub more_ips: Vec<IpAddr>,
    /// Everything the host sends goes over this link.
    pub link: LinkConfig,
    /// Everything the host receives comes over this link; perfect unless set, so that a path between two hosts
    /// has exactly the impairments of the sender's `link`.
    pub down: LinkConfig,
    /// Whether a firewall in front of the host drops all UDP. TCP passes.
    pub udp_blocked: bool,
}

impl HostConfig {
    /// A host with this address whose outgoing packets go over `link`.
    pub fn new(ip: impl Into<IpAddr>, link: LinkConfig) -> Self {
        Self {
            ip: ip.into(),
            more_ips: Vec::new(),
            link,
            down: LinkConfig::default(),
            udp_blocked: false,
        }
    }

    /// The same host behind a firewall that drops all UDP.
    pub fn with_udp_blocked(self) -> Self {
        Self {
            udp_blocked: true,
            ..self
        }
    }

    /// The same host with one more address.
    pub fn with_ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.more_ips.push(ip.into());
        self
    }
}

impl From<IpAddr> for HostConfig {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip, LinkConfig::default())
    }
}
