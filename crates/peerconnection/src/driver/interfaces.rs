//! Which local addresses candidates are gathered on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses to open sockets on: every usable one that is not loopback; loopback when it is asked
/// for, or when there is nothing else (RFC 8445 §5.1.1.1).
pub(super) fn addresses(include_loopback: bool) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the interfaces cannot be listed");
        Vec::new()
    });
    let mut found: Vec<IpAddr> = interfaces
        .iter()
        .map(if_addrs::Interface::ip)
        .filter(is_usable)
        .collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    let (loopback, mut usable): (Vec<IpAddr>, Vec<IpAddr>) =
        found.into_iter().partition(IpAddr::is_loopback);
    if include_loopback || usable.is_empty() {
        usable.extend(loopback);
    }
    if usable.is_empty() {
        usable.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    usable
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
