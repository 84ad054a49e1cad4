//! Relays that go along to another address (RFC 8016), and relays of two address families (RFC 8656 §7.1).

use crate::common::*;
use crate::relay::{TURN_V6, add_servers, turn, turn_server};
use ice::{Event, LocalSocket, Protocol, Role, TransportPolicy};
use netsim::{HostConfig, LinkConfig, Network};

const A1: &str = "192.0.2.1:5000";
const A2: &str = "192.0.2.9:5001";

/// A relays, over this protocol, and has its second address only if both are named.
fn relayed(protocol: Protocol, sockets: &[&str], mobility: Option<bool>) -> Call {
    let mut network = Network::new(6);
    let link = LinkConfig::with_latency(ms(10));
    let a = network.add_host(HostConfig::new([192, 0, 2, 1], link.clone()).with_ip([192, 0, 2, 9]));
    let b = network.add_host(HostConfig::new([192, 0, 2, 2], link.clone()));
    let mut side = Side::new(a, Role::Controlling, sockets);
    side.config.transport_policy = TransportPolicy::Relay;
    side.servers = vec![turn(protocol)];
    let mut call = Call::new(network, 6, side, Side::new(b, Role::Controlled, &[B]));
    add_servers(&mut call, &link);
    turn_server(&mut call).mobility = mobility;
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(1));
    call
}

/// The addresses of this side's relays, as the peer was told.
fn told(call: &mut Call) -> Vec<String> {
    (call.a().events.iter())
        .filter_map(|(_, event)| match event {
            Event::LocalCandidate(candidate) => Some(candidate.to_string()),
            _ => None,
        })
        .collect()
}

/// As a driver does when an interface is gone.
fn lose(call: &mut Call, addr: &str) {
    let now = call.now();
    let addr: std::net::SocketAddr = addr.parse().unwrap();
    call.a().agent.remove_local_socket(now, addr);
    call.a().after(now);
}

fn talks(call: &mut Call, word: &[u8]) -> bool {
    let sent = call.a().send(word) && call.b().send(word);
    call.run(ms(100));
    let has = |peer: &Peer| peer.received.last().is_some_and(|last| last == word);
    sent && has(call.a()) && has(call.b())
}

#[test]
fn a_relay_goes_along_to_another_address_and_the_peer_notices_nothing() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        for port in [None, Some(0)] {
            // With two sockets, each has a relay at the server: the one in use takes another port of the second address.
            let sockets: &[&str] = if port.is_some() { &[A1, A2] } else { &[A1] };
            let mut call = relayed(protocol, sockets, Some(true));
            let before = call.b().agent.selected_pair().unwrap().clone();
            let relays = told(&mut call).len();
            assert!(talks(&mut call, b"\x80before"));
            let used = call.a().agent.selected_pair().unwrap().path.local.ip();
            let (used, other) = match used.to_string().as_str() {
                "192.0.2.1" => (A1, A2),
                _ => (A2, A1),
            };
            lose(&mut call, used);
            if port.is_none() {
                // Nowhere to go, for a while: nothing is sent, and nothing is given up.
                assert!(!call.a().send(b"\x80x"));
                call.run(secs(5));
                assert!(
                    call.a()
                        .agent
                        .report()
                        .to_string()
                        .contains("waits for an address")
                );
                let now = call.now();
                let socket = LocalSocket::udp(other.parse().unwrap());
                call.a().agent.add_local_socket(now, socket);
                call.a().after(now);
            }
            // A second relay, as a reserve, carries data at once.
            assert_eq!(call.a().send(b"\x80at once"), port.is_some());
            call.run(ms(60));
            assert!(
                talks(&mut call, b"\x80after"),
                "{}",
                call.a().agent.report()
            );
            let pair = call.a().agent.selected_pair().unwrap().clone();
            assert_eq!(pair.path.local.ip().to_string(), other[..9]);
            assert_eq!(*call.b().agent.selected_pair().unwrap(), before);
            assert_eq!(told(&mut call).len(), relays, "no other candidate");
            assert_eq!(
                call.a().extra_port,
                u16::from(port.is_some() && protocol == Protocol::Udp)
            );
            // The allocation is refreshed from there.
            call.run(secs(1200));
            assert!(talks(&mut call, b"\x80much later"));
            assert_eq!(turn_server(&mut call).allocations(), sockets.len());
        }
    }
}

#[test]
fn a_relay_that_the_server_does_not_let_move_gives_way_to_a_new_one() {
    for knows_the_ticket in [true, false] {
        let mut call = relayed(Protocol::Udp, &[A1], Some(true));
        let relays = told(&mut call).len();
        match knows_the_ticket {
            true => turn_server(&mut call).mobility = Some(false),
            false => turn_server(&mut call).forget_tickets(),
        }
        lose(&mut call, A1);
        let now = call.now();
        let socket = LocalSocket::udp(A2.parse().unwrap());
        call.a().agent.add_local_socket(now, socket);
        call.a().after(now);
        call.until(secs(2), |a, _| {
            a.is_connected() && a.agent.selected_pair().is_some()
        })
        .unwrap();
        call.run(ms(200));
        assert!(talks(&mut call, b"\x80by another relay"));
        assert_eq!(told(&mut call).len(), relays + 1);
        let gone = |(_, event): &(_, Event)| matches!(event, Event::LocalCandidateRemoved(_));
        assert!(call.a().events.iter().any(gone));
    }
}

#[test]
fn a_connection_that_the_server_closes_is_made_anew_a_few_times() {
    let mut call = relayed(Protocol::Tcp, &[A1], Some(true));
    for round in 0..4 {
        let now = call.now();
        let path = call.a().agent.selected_pair().unwrap().path;
        turn_server(&mut call).close_connections();
        call.a().agent.handle_disconnected(now, path);
        call.a().after(now);
        call.run(ms(60));
        let goes_on = talks(&mut call, b"\x80again");
        assert_eq!(goes_on, round < 3, "round {round}");
        if !goes_on {
            break;
        }
    }
}

#[test]
fn a_server_without_mobility_or_ipv6_costs_no_round_trip() {
    let gathered = |set: fn(&mut crate::servers::TurnServer)| {
        let mut network = Network::new(6);
        let link = LinkConfig::with_latency(ms(200));
        let a = network.add_host(HostConfig::new([192, 0, 2, 1], link.clone()));
        let b = network.add_host(HostConfig::new([192, 0, 2, 2], link.clone()));
        let mut side = Side::new(a, Role::Controlling, &[A1]);
        side.servers = vec![turn(Protocol::Udp)];
        let mut call = Call::new(network, 6, side, Side::new(b, Role::Controlled, &[B]));
        add_servers(&mut call, &link);
        set(turn_server(&mut call));
        call.start();
        let complete = |a: &mut Peer| a.agent.gathering_state() == ice::GatheringState::Complete;
        let took = call.until(secs(5), |a, _| complete(a)).unwrap();
        call.run(secs(1));
        assert_eq!(turn_server(&mut call).allocations(), 1);
        (took, told(&mut call).len())
    };
    // A round trip of 400 ms for the realm, another for the relay.
    assert_eq!(gathered(|_| {}), (ms(800), 2));
    let able = gathered(|server| {
        server.mobility = Some(true);
        server.v6 = Some(TURN_V6.parse().unwrap());
    });
    assert_eq!(able, (ms(800), 3));
    // Refused, it is asked for less while the answer is still on its way.
    let forbids = gathered(|server| server.mobility = Some(false));
    assert_eq!(forbids, (ms(850), 2));
    let insists = gathered(|server| {
        server.mobility = Some(false);
        server.insists_on_v4 = true;
    });
    assert_eq!(insists, (ms(900), 2));
}

#[test]
fn a_relay_reached_over_ipv4_reaches_a_peer_that_has_ipv6_alone() {
    for own_v6 in [false, true] {
        let mut network = Network::new(6);
        let link = LinkConfig::with_latency(ms(10));
        let a = network.add_host(HostConfig::new([192, 0, 2, 1], link.clone()));
        let b = network.add_host(HostConfig::new(
            "2001:db8::2".parse::<std::net::IpAddr>().unwrap(),
            link.clone(),
        ));
        let mut side = Side::new(a, Role::Controlling, &[A1]);
        if own_v6 {
            let own: std::net::IpAddr = "2001:db8::1".parse().unwrap();
            network.add_ip(a, own);
            side.sockets.push(LocalSocket::udp((own, 5002).into()));
        }
        side.servers = vec![turn(Protocol::Udp)];
        let b = Side::new(b, Role::Controlled, &["[2001:db8::2]:6000"]);
        let mut call = Call::new(network, 6, side, b);
        add_servers(&mut call, &link);
        let v6: std::net::IpAddr = TURN_V6.parse().unwrap();
        turn_server(&mut call).v6 = Some(v6);
        call.start();
        call.until_nominated(secs(5)).unwrap();
        call.run(ms(200));
        assert!(talks(&mut call, b"\x80six"));
        // A host that has the family itself has no need of the server's.
        let expected = if own_v6 { "host-host" } else { "relay-host" };
        assert_eq!(call.a().selected_types(), expected);
        let relays = told(&mut call);
        let relays = relays.iter().filter(|line| line.contains("typ relay"));
        assert_eq!(relays.count(), if own_v6 { 1 } else { 2 });
    }
}
