//! Gathering from servers, and relays.

use crate::common::*;
use crate::servers::{StunServer, TurnServer};
use ice::{
    Candidate, CandidateType, Event, GatheringState, Protocol, Role, Server, TransportPolicy,
};
use netsim::{HostConfig, LinkConfig, NatKind, Network};
use std::net::{IpAddr, SocketAddr};

const STUN: &str = "198.51.100.1:3478";
const TURN: &str = "198.51.100.2:3478";
/// Where the TURN server relays IPv6, once it is told to.
pub(crate) const TURN_V6: &str = "2001:db8::7";
const DEAD: &str = "198.51.100.66:3478";

pub(crate) fn stun() -> Server {
    Server::Stun {
        addr: STUN.parse().unwrap(),
        url: format!("stun:{STUN}"),
    }
}

pub(crate) fn turn(protocol: Protocol) -> Server {
    Server::Turn {
        addr: TURN.parse().unwrap(),
        protocol,
        username: "user".into(),
        password: "pass".into(),
        url: format!("turn:{TURN}?transport={protocol}"),
    }
}

/// Adds the two servers, as the third and fourth endpoints.
pub(crate) fn add_servers(call: &mut Call, link: &LinkConfig) {
    for (addr, is_turn) in [(STUN, false), (TURN, true)] {
        let addr: SocketAddr = addr.parse().unwrap();
        let mut host = HostConfig::new(addr.ip(), link.clone());
        if is_turn {
            host = host.with_ip(TURN_V6.parse::<IpAddr>().unwrap());
        }
        let host = call.sim.network.add_host(host);
        let node = match is_turn {
            true => Node::Turn(Box::new(TurnServer::new(addr))),
            false => Node::Stun(StunServer::default()),
        };
        call.sim.add([host], node);
    }
}

pub(crate) fn turn_server(call: &mut Call) -> &mut TurnServer {
    match &mut call.sim.endpoints[3] {
        Node::Turn(server) => server,
        _ => unreachable!("the fourth is the TURN server"),
    }
}

/// A behind a NAT of this kind, B on the Internet.
fn behind(kind: NatKind, servers: Vec<Server>) -> Call {
    let mut network = Network::new(5);
    let link = LinkConfig::with_latency(ms(10));
    let nat = network.add_nat(kind, [203, 0, 113, 1]);
    let a = network.add_host_behind(nat, HostConfig::new([10, 0, 0, 2], link.clone()));
    let b = network.add_host(HostConfig::new([192, 0, 2, 2], link.clone()));
    let mut a = Side::new(a, Role::Controlling, &["10.0.0.2:5000"]);
    a.servers = servers;
    let mut call = Call::new(network, 5, a, Side::new(b, Role::Controlled, &[B]));
    add_servers(&mut call, &link);
    call
}

fn candidates(peer: &Peer) -> Vec<Candidate> {
    peer.agent.local_candidates().cloned().collect()
}

#[test]
fn a_server_shows_the_address_outside() {
    let mut call = behind(NatKind::FullCone, vec![stun()]);
    call.start();
    let took = call
        .until(secs(5), |a, _| {
            a.agent.gathering_state() == GatheringState::Complete
        })
        .unwrap();
    assert_eq!(took, ms(20));
    let found = candidates(call.a());
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].typ, CandidateType::ServerReflexive);
    assert_eq!(found[1].address.to_string(), "203.0.113.1");
    assert_eq!(found[1].url.as_deref(), Some("stun:198.51.100.1:3478"));
    let base: SocketAddr = "10.0.0.2:5000".parse().unwrap();
    assert_eq!(found[1].related, Some(base.into()));
    assert_ne!(found[0].foundation, found[1].foundation);
}

#[test]
fn without_a_nat_the_reflexive_candidate_is_redundant() {
    let mut call = Call::direct(2, LinkConfig::default());
    call.a().servers = vec![stun()];
    add_servers(&mut call, &LinkConfig::default());
    call.start();
    call.run(secs(1));
    assert_eq!(candidates(call.a()).len(), 1);
    assert_eq!(call.a().agent.gathering_state(), GatheringState::Complete);
}

#[test]
fn a_dead_server_delays_no_other_and_ends_in_an_error() {
    let dead = DEAD.parse().unwrap();
    let dead_stun = Server::Stun {
        addr: dead,
        url: format!("stun:{DEAD}"),
    };
    let dead_turn = Server::Turn {
        addr: dead,
        protocol: Protocol::Udp,
        username: "user".into(),
        password: "pass".into(),
        url: format!("turn:{DEAD}"),
    };
    let mut call = behind(
        NatKind::FullCone,
        vec![dead_stun, dead_turn, stun(), turn(Protocol::Udp)],
    );
    call.start();
    call.until(secs(5), |a, _| candidates(a).len() == 3)
        .unwrap();
    call.until_nominated(ms(200)).unwrap();
    assert_eq!(call.a().agent.gathering_state(), GatheringState::Gathering);
    let complete = call
        .until(secs(10), |a, _| {
            a.agent.gathering_state() == GatheringState::Complete
        })
        .unwrap();
    assert!(complete <= ms(5_200), "{complete:?}");
    let mut errors: Vec<_> = (call.a().events.iter())
        .filter_map(|(_, event)| match event {
            Event::CandidateError {
                url,
                code,
                address,
                port,
                ..
            } => Some((url.as_str(), *code, address.to_string(), *port)),
            _ => None,
        })
        .collect();
    errors.sort();
    let from = || ("10.0.0.2".to_owned(), 5000);
    let expect = |url| (url, 701, from().0, from().1);
    assert_eq!(
        errors,
        [
            expect("stun:198.51.100.66:3478"),
            expect("turn:198.51.100.66:3478")
        ]
    );
}

#[test]
fn a_server_that_refuses_is_told_with_its_code() {
    let mut call = behind(NatKind::FullCone, vec![turn(Protocol::Udp)]);
    turn_server(&mut call).refuses = Some(486);
    call.start();
    call.run(secs(1));
    let error = (call.a().events.iter()).find_map(|(_, event)| match event {
        Event::CandidateError { code, text, .. } => Some((*code, text.clone())),
        _ => None,
    });
    assert_eq!(error, Some((486, "Allocation Quota Reached".into())));
    assert_eq!(call.a().agent.gathering_state(), GatheringState::Complete);
}

#[test]
fn an_allocation_that_the_port_has_already_is_made_from_another_port() {
    for (mismatches, ports) in [(2, 2), (9, 3)] {
        let mut call = behind(NatKind::FullCone, vec![turn(Protocol::Udp)]);
        call.a().agent = {
            let mut config = ice::Config::default();
            config.transport_policy = TransportPolicy::Relay;
            ice::Agent::new(config, rand::SeedableRng::seed_from_u64(4))
        };
        turn_server(&mut call).mismatches = mismatches;
        call.start();
        let connected = call.until_nominated(secs(10)).is_ok();
        assert_eq!(call.a().extra_port, ports);
        // All but the one in use.
        let closed = if mismatches == 2 { 1 } else { 3 };
        assert_eq!(call.a().closed_ports.len(), closed);
        assert_eq!(connected, mismatches <= 3);
        if connected {
            assert!(call.a().send(b"\x80by another port"));
            call.run(secs(1));
            assert_eq!(call.b().received, [b"\x80by another port"]);
        } else {
            let code = (call.a().events.iter()).find_map(|(_, event)| match event {
                Event::CandidateError { code, .. } => Some(*code),
                _ => None,
            });
            assert_eq!(code, Some(437));
        }
    }
}

#[test]
fn a_side_without_any_udp_socket_relays_over_tcp() {
    let mut call = behind(NatKind::Symmetric, vec![turn(Protocol::Tcp)]);
    let local = "10.0.0.2:0".parse().unwrap();
    call.a().sockets = vec![ice::LocalSocket::tcp(local, ice::TcpType::Active)];
    call.start();
    call.until_nominated(secs(10)).unwrap();
    assert_eq!(call.a().selected_types(), "relay-host");
    assert!(call.a().send(b"\x80by TCP to the relay"));
    call.run(secs(1));
    assert_eq!(call.b().received, [b"\x80by TCP to the relay"]);
}

#[test]
fn data_goes_through_the_relay_in_place() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let mut call = behind(NatKind::Symmetric, vec![turn(protocol)]);
        let mut config = ice::Config::default();
        config.transport_policy = TransportPolicy::Relay;
        call.a().agent = ice::Agent::new(config, rand::SeedableRng::seed_from_u64(1));
        call.start();
        call.until_nominated(secs(5)).unwrap();
        assert_eq!(call.a().selected_types(), "relay-host");
        // Nothing of this side's addresses is told.
        for candidate in candidates(call.a()) {
            let line = candidate.to_string();
            assert!(
                !line.contains("10.0.0.2") && !line.contains("203.0.113.1"),
                "{line}"
            );
        }
        // At first in a Send indication, then in a channel: both arrive unchanged.
        for n in 0..10u8 {
            let payload = vec![0x80 | n; 1 + usize::from(n)];
            assert!(call.a().send(&payload) && call.b().send(&payload));
            call.run(ms(100));
        }
        let sent: Vec<Vec<u8>> = (0..10u8)
            .map(|n| vec![0x80 | n; 1 + usize::from(n)])
            .collect();
        assert_eq!(call.a().received, sent);
        assert_eq!(call.b().received, sent);
        let mut buf = b"before".to_vec();
        let frame = call.a().agent.open_frame(&mut buf).unwrap();
        assert_eq!((frame.start, frame.header), (6, 4), "a channel is bound");
        call.run(secs(900));
        assert!(call.a().is_connected());
        // Closing releases the relay.
        let now = call.now();
        call.a().agent.close(now);
        call.run(secs(1));
        assert_eq!(turn_server(&mut call).allocations(), 0);
    }
}

#[test]
fn another_transport_policy_counts_from_the_next_restart_on() {
    let mut call = behind(NatKind::FullCone, vec![stun(), turn(Protocol::Udp)]);
    call.start();
    call.until_nominated(secs(5)).unwrap();
    assert!(!call.a().selected_types().contains("relay"));
    // Data goes on over the old pair until the relay works; nothing else is told or checked.
    call.a().agent.set_transport_policy(TransportPolicy::Relay);
    call.a().events.clear();
    let now = call.now();
    call.a().restart(now);
    assert!(call.a().send(b"\x80over the old pair"));
    call.run(secs(5));
    assert_eq!(call.a().selected_types().split('-').next(), Some("relay"));
    let own = ["10.0.0.2", "203.0.113.1"];
    let told: Vec<String> = (call.a().events.iter())
        .filter_map(|(_, event)| match event {
            Event::LocalCandidate(candidate) => Some(candidate.to_string()),
            _ => None,
        })
        .collect();
    assert!(!told.is_empty());
    for line in &told {
        assert!(
            line.contains("typ relay") && !own.iter().any(|address| line.contains(address)),
            "{line}"
        );
    }
    call.a().agent.set_transport_policy(TransportPolicy::All);
    let now = call.now();
    call.a().restart(now);
    call.run(secs(5));
    assert!(!call.a().selected_types().contains("relay"));
    let found = candidates(call.a());
    for typ in [
        CandidateType::Host,
        CandidateType::ServerReflexive,
        CandidateType::Relayed,
    ] {
        assert!(
            found.iter().any(|it| it.typ == typ),
            "no {typ:?} in {found:?}"
        );
    }
}

#[test]
fn a_relay_that_dies_is_left_for_another_way_or_reported_within_consent_time() {
    let mut call = behind(NatKind::Symmetric, vec![turn(Protocol::Udp)]);
    let mut config = ice::Config::default();
    config.transport_policy = TransportPolicy::Relay;
    call.a().agent = ice::Agent::new(config, rand::SeedableRng::seed_from_u64(1));
    call.start();
    call.until_nominated(secs(5)).unwrap();
    turn_server(&mut call).dead = true;
    let reported = call
        .until(secs(60), |a, _| a.agent.state() == ice::State::Disconnected)
        .unwrap();
    assert!(reported <= secs(9), "{reported:?}");
    let failed = call
        .until(secs(60), |a, _| a.agent.state() == ice::State::Failed)
        .unwrap();
    assert!(reported + failed <= secs(30));
}

#[test]
fn the_direct_way_is_preferred_to_the_relay() {
    let mut call = behind(NatKind::PortRestricted, vec![stun(), turn(Protocol::Udp)]);
    call.b().servers = vec![stun(), turn(Protocol::Udp)];
    call.start();
    call.until_nominated(secs(5)).unwrap();
    let types = call.a().selected_types();
    assert!(!types.contains("relay"), "{types}");
}

#[test]
fn the_report_tells_the_story() {
    let mut call = behind(NatKind::PortRestricted, vec![stun(), turn(Protocol::Udp)]);
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(6));
    let report = call.a().agent.report();
    assert_eq!(report.servers.len(), 2);
    let text = report.to_string();
    for part in [
        "sees 203.0.113.1",
        "relays at 198.51.100.2",
        "* ",
        "succeeded",
        "20.0 ms",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}
