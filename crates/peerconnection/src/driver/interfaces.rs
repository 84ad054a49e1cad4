//! Which local addresses candidates are gathered on.

use ice::InterfaceKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A usable address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalAddress {
    pub(super) ip: IpAddr,
    pub(super) kind: InterfaceKind,
    /// The system's number for the interface.
    pub(super) index: Option<u16>,
    /// RFC 8981: changed from time to time, so that it tells little of who uses it.
    pub(super) temporary: bool,
}

impl LocalAddress {
    /// An address that the application names.
    pub(super) fn given(ip: IpAddr) -> Self {
        LocalAddress {
            ip,
            kind: InterfaceKind::Unknown,
            index: None,
            temporary: false,
        }
    }

    /// The socket at this address, for the agent.
    pub(super) fn describe(&self, mut socket: ice::LocalSocket) -> ice::LocalSocket {
        socket.interface = self.kind;
        socket.network_id = self.index;
        socket.temporary = self.temporary;
        socket
    }
}

/// Addresses to open sockets on: every usable one that is not loopback; loopback when it is asked
/// for, or when there is nothing else (RFC 8445 §5.1.1.1). Temporary ones come before the others of their family.
pub(super) fn addresses(include_loopback: bool) -> Vec<LocalAddress> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the interfaces cannot be listed");
        Vec::new()
    });
    let flags = Ipv6Flags::read();
    let mut found: Vec<LocalAddress> = interfaces
        .iter()
        // Down, or without a carrier: Unix says "unknown" then.
        .filter(|interface| interface.is_oper_up())
        .filter(|interface| is_usable(&interface.ip()) && !flags.is_shunned(interface.ip()))
        .map(|interface| LocalAddress {
            ip: interface.ip(),
            kind: kind_of(&interface.name, interface.is_loopback()),
            index: interface.index.and_then(|index| index.try_into().ok()),
            temporary: flags.is_temporary(interface.ip()),
        })
        .collect();
    found.sort_by_key(|address| (address.ip.is_ipv6(), !address.temporary));
    found.dedup_by_key(|address| address.ip);
    let (loopback, mut usable): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.ip.is_loopback());
    if include_loopback || usable.is_empty() {
        usable.extend(loopback);
    }
    if usable.is_empty() {
        usable.push(LocalAddress::given(Ipv4Addr::LOCALHOST.into()));
    }
    usable
}

/// By what systems call their interfaces; a guess is enough for an order of preference.
fn kind_of(name: &str, loopback: bool) -> InterfaceKind {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if loopback {
        InterfaceKind::Loopback
    } else if begins(&["wl", "wifi", "ath"]) {
        InterfaceKind::Wifi
    } else if begins(&["ww", "rmnet", "pdp_ip", "usb"]) {
        InterfaceKind::Cellular
    } else if begins(&["tun", "tap", "utun", "ppp", "wg", "ipsec", "tailscale"]) {
        InterfaceKind::Vpn
    } else if begins(&["eth", "en", "em"]) {
        InterfaceKind::Ethernet
    } else {
        InterfaceKind::Unknown
    }
}

/// Link-local addresses need a scope that a candidate cannot carry; the deprecated site-local and
/// the mapped forms are excluded by RFC 8445 §5.1.1.1.
fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !is_excluded(v6),
    }
}

fn is_excluded(address: &Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let link_local = first & 0xffc0 == 0xfe80;
    let site_local = first & 0xffc0 == 0xfec0;
    link_local || site_local || address.to_ipv4_mapped().is_some()
}

/// What Linux knows of its IPv6 addresses, from `/proc/net/if_inet6`; empty elsewhere.
#[derive(Debug, Default)]
struct Ipv6Flags(Vec<(Ipv6Addr, u32)>);

impl Ipv6Flags {
    /// Flags of `linux/if_addr.h`.
    const TEMPORARY: u32 = 0x01;
    const DUPLICATE: u32 = 0x08;
    const DEPRECATED: u32 = 0x20;
    const TENTATIVE: u32 = 0x40;

    fn read() -> Self {
        match cfg!(target_os = "linux") {
            true => Self::parse(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default()),
            false => Self::default(),
        }
    }

    /// Lines of: address, interface index, prefix length, scope, flags, name; all but the name in hexadecimal.
    fn parse(table: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.split_whitespace();
            let address = u128::from_str_radix(fields.next()?, 16).ok()?;
            let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
            Some((Ipv6Addr::from_bits(address), flags))
        };
        Self(table.lines().filter_map(line).collect())
    }

    fn has(&self, ip: IpAddr, flags: u32) -> bool {
        self.0
            .iter()
            .any(|(known, set)| IpAddr::V6(*known) == ip && set & flags != 0)
    }

    fn is_temporary(&self, ip: IpAddr) -> bool {
        self.has(ip, Self::TEMPORARY)
    }

    /// Not to be used yet, or not for anything new any more (RFC 4862 §5.5.4).
    fn is_shunned(&self, ip: IpAddr) -> bool {
        self.has(ip, Self::DUPLICATE | Self::DEPRECATED | Self::TENTATIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_which_ipv6_addresses_are_temporary() {
        let flags = Ipv6Flags::parse(
            "20010db8000000000000000000000001 02 40 00 00     eth0\n\
             20010db8000000000000000000000002 02 40 00 01     eth0\n\
             20010db8000000000000000000000003 02 40 00 21     eth0\nnonsense\n",
        );
        let ip = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        assert!(!flags.is_temporary(ip(1)) && flags.is_temporary(ip(2)));
        assert!(!flags.is_shunned(ip(2)) && flags.is_shunned(ip(3)));
    }

    #[test]
    fn some_address_is_always_there_and_loopback_when_asked_for() {
        assert!(!addresses(false).is_empty());
        assert!(
            addresses(true)
                .iter()
                .any(|address| address.ip.is_loopback())
        );
    }
}
