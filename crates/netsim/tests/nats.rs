//! The NAT kinds of RFC 3489 §5, in the terms of RFC 4787.

use netsim::{Datagram, HostConfig, NatConfig, NatKind, Network};
use std::net::SocketAddr;
use std::time::Duration;

const INSIDE: &str = "10.0.0.2:5000";
const NEIGHBOUR: &str = "10.0.0.3:5000";
const SERVER: &str = "203.0.113.1:3478";
const SERVER_OTHER_PORT: &str = "203.0.113.1:3479";
const STRANGER: &str = "203.0.113.2:3478";

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn network(config: NatConfig) -> Network {
    let mut network = Network::new(3);
    let nat = network.add_nat_with(config);
    network.add_host_behind(nat, HostConfig::from(at(INSIDE).ip()));
    network.add_host_behind(nat, HostConfig::from(at(NEIGHBOUR).ip()));
    network.add_host(HostConfig::from(at(SERVER).ip()));
    network.add_host(HostConfig::from(at(STRANGER).ip()));
    network
}

fn of_kind(kind: NatKind) -> NatConfig {
    NatConfig::new(kind, [198, 51, 100, 1])
}

/// Sends one packet; `Some(source as the receiver saw it)` when it arrived.
fn reaches(network: &mut Network, src: SocketAddr, dst: SocketAddr) -> Option<SocketAddr> {
    network.send(Datagram::new(src, dst, "x"));
    network.receive().map(|d| d.src)
}

#[test]
fn mapping_depends_on_the_destination_only_when_symmetric() {
    for kind in NatKind::ALL {
        let mut network = network(of_kind(kind));
        let first = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
        let again = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
        let port = reaches(&mut network, at(INSIDE), at(SERVER_OTHER_PORT)).unwrap();
        let host = reaches(&mut network, at(INSIDE), at(STRANGER)).unwrap();
        let neighbour = reaches(&mut network, at(NEIGHBOUR), at(SERVER)).unwrap();
        assert_eq!(first, again);
        assert_ne!(first, neighbour);
        assert_eq!(first.ip().to_string(), "198.51.100.1");
        let symmetric = kind == NatKind::Symmetric;
        assert_eq!(
            first != port && first != host && port != host,
            symmetric,
            "{kind:?}"
        );
        assert_eq!(first == port && first == host, !symmetric, "{kind:?}");
    }
}

#[test]
fn filtering_follows_the_kind() {
    // Who may answer after the inside has sent to SERVER only: its other port, another host.
    let expected = [
        (NatKind::FullCone, true, true),
        (NatKind::AddressRestricted, true, false),
        (NatKind::PortRestricted, false, false),
        (NatKind::Symmetric, false, false),
    ];
    for (kind, other_port, other_host) in expected {
        let mut network = network(of_kind(kind));
        let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
        assert!(reaches(&mut network, at(SERVER), outside).is_some());
        assert_eq!(
            reaches(&mut network, at(SERVER_OTHER_PORT), outside).is_some(),
            other_port,
            "{kind:?}"
        );
        assert_eq!(
            reaches(&mut network, at(STRANGER), outside).is_some(),
            other_host,
            "{kind:?}"
        );
        let unused = SocketAddr::new(outside.ip(), outside.port() ^ 1);
        assert!(reaches(&mut network, at(SERVER), unused).is_none());
        assert_eq!(network.stats().nat_unmapped, 1);
    }
}

#[test]
fn an_idle_binding_expires_and_outbound_traffic_keeps_it() {
    let mut network = network(of_kind(NatKind::FullCone));
    let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
    for _ in 0..3 {
        network.advance_by(Duration::from_secs(119));
        assert_eq!(reaches(&mut network, at(INSIDE), at(SERVER)), Some(outside));
    }
    network.advance_by(Duration::from_secs(119));
    assert!(reaches(&mut network, at(SERVER), outside).is_some());
    network.advance_by(Duration::from_secs(1));
    assert!(reaches(&mut network, at(SERVER), outside).is_none());
    assert_ne!(reaches(&mut network, at(INSIDE), at(SERVER)), Some(outside));
}

#[test]
fn inbound_traffic_keeps_a_binding_only_where_configured() {
    for refresh in [false, true] {
        let mut network = network(NatConfig {
            inbound_refresh: refresh,
            ..of_kind(NatKind::PortRestricted)
        });
        let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
        network.advance_by(Duration::from_secs(100));
        assert!(reaches(&mut network, at(SERVER), outside).is_some());
        network.advance_by(Duration::from_secs(100));
        assert_eq!(
            reaches(&mut network, at(SERVER), outside).is_some(),
            refresh
        );
    }
}

#[test]
fn hairpinning_connects_two_hosts_inside_by_their_outside_addresses() {
    for hairpinning in [false, true] {
        let mut network = network(NatConfig {
            hairpinning,
            ..of_kind(NatKind::FullCone)
        });
        let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
        let seen = reaches(&mut network, at(NEIGHBOUR), outside);
        assert_eq!(seen.is_some(), hairpinning);
        // RFC 4787 REQ-9a: the source is the outside address, too.
        assert!(seen.is_none_or(|src| src.ip() == outside.ip()));
        assert_eq!(network.stats().not_hairpinned, u64::from(!hairpinning));
    }
}

#[test]
fn hosts_inside_reach_each_other_directly() {
    let mut network = network(of_kind(NatKind::Symmetric));
    assert_eq!(
        reaches(&mut network, at(INSIDE), at(NEIGHBOUR)),
        Some(at(INSIDE))
    );
}

#[test]
fn ports_are_preserved_where_configured_and_free() {
    let mut network = network(NatConfig {
        port_preservation: true,
        ..of_kind(NatKind::PortRestricted)
    });
    assert_eq!(
        reaches(&mut network, at(INSIDE), at(SERVER))
            .unwrap()
            .port(),
        5000
    );
    assert_ne!(
        reaches(&mut network, at(NEIGHBOUR), at(SERVER))
            .unwrap()
            .port(),
        5000
    );
}

#[test]
fn a_nat_that_reboots_forgets_its_mappings() {
    let mut network = Network::new(3);
    let nat = network.add_nat(NatKind::FullCone, [198, 51, 100, 1]);
    network.add_host_behind(nat, HostConfig::from(at(INSIDE).ip()));
    network.add_host(HostConfig::from(at(SERVER).ip()));
    let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
    assert_eq!(network.mapping_count(nat), 1);
    network.reboot_nat(nat);
    assert_eq!(network.mapping_count(nat), 0);
    assert!(reaches(&mut network, at(SERVER), outside).is_none());
}

#[test]
fn two_nats_in_a_row_translate_twice_and_answers_find_back() {
    let mut network = Network::new(3);
    let carrier = network.add_nat(NatKind::PortRestricted, [198, 51, 100, 1]);
    let home = network.add_nat_behind(
        carrier,
        NatConfig::new(NatKind::PortRestricted, [100, 64, 0, 9]),
    );
    network.add_host_behind(home, HostConfig::from(at(INSIDE).ip()));
    network.add_host(HostConfig::from(at(SERVER).ip()));
    let outside = reaches(&mut network, at(INSIDE), at(SERVER)).unwrap();
    assert_eq!(outside.ip().to_string(), "198.51.100.1");
    network.send(Datagram::new(at(SERVER), outside, "back"));
    assert_eq!(network.receive().unwrap().dst, at(INSIDE));
}

#[test]
fn a_nat_that_blocks_udp_lets_tcp_out_and_back() {
    let mut network = network(NatConfig {
        udp_blocked: true,
        ..of_kind(NatKind::PortRestricted)
    });
    assert_eq!(reaches(&mut network, at(INSIDE), at(SERVER)), None);
    network.send(Datagram::tcp(at(INSIDE), at(SERVER), "x"));
    let outside = network.receive().unwrap().src;
    network.send(Datagram::tcp(at(SERVER), outside, "y"));
    assert_eq!(network.receive().unwrap().dst, at(INSIDE));
    assert_eq!(network.stats().blocked, 1);
}

#[test]
fn hosts_behind_different_nats_may_share_an_address() {
    let mut network = Network::new(3);
    let mut hosts = Vec::new();
    for last in [1, 2] {
        let nat = network.add_nat(NatKind::FullCone, [198, 51, 100, last]);
        hosts.push(network.add_host_behind(nat, HostConfig::from(at(INSIDE).ip())));
    }
    let server = network.add_host(HostConfig::from(at(SERVER).ip()));
    for (host, last) in hosts.into_iter().zip([1, 2]) {
        network.send_from(host, Datagram::new(at(INSIDE), at(SERVER), "x"));
        let (_, seen) = network.receive_at().unwrap();
        assert_eq!(seen.src.ip(), std::net::IpAddr::from([198, 51, 100, last]));
        network.send_from(server, Datagram::new(at(SERVER), seen.src, "y"));
        assert_eq!(network.receive_at().unwrap().0, host);
    }
}
