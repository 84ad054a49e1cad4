//! Early checks, lite, TCP, multicast DNS names, old peers.

use crate::common::*;
use ice::{CandidateType, Event, LocalSocket, Role, State, TcpType};
use netsim::{HostConfig, LinkConfig, Network};

#[test]
fn checks_before_the_answer_count_when_it_comes() {
    let mut call = Call::direct(1, LinkConfig::with_latency(ms(10)));
    call.b().signalling_delay = ms(500);
    call.start();
    call.run(ms(499));
    // B has checked and was answered; A knows nothing of B yet.
    assert!(call.b().is_connected());
    assert_eq!(call.a().agent.state(), State::New);
    assert!(call.b().send(b"\x16early DTLS"));
    call.run(ms(1));
    let took = call.until(secs(1), |a, _| a.is_connected()).unwrap();
    assert_eq!(took, ms(20));
    assert_eq!(call.a().received, [b"\x16early DTLS"]);
}

/// Firefox answers a check that nominates before it has the answer, and forgets what it was told.
#[test]
fn a_peer_that_was_nominated_for_before_it_had_the_answer_is_told_again() {
    let mut call = Call::direct(1, LinkConfig::with_latency(ms(10)));
    call.a().agent.set_role(Role::Controlled);
    call.b().agent.set_role(Role::Controlling);
    call.b().signalling_delay = ms(500);
    call.start();
    call.run(ms(499));
    let asked = |call: &mut Call| {
        let report = call.b().agent.report();
        let selected = report.pairs.iter().find(|pair| pair.selected).unwrap();
        assert!(selected.pair.nominated);
        selected.stats.requests_sent
    };
    let before = asked(&mut call);
    call.run(ms(60));
    assert_eq!(asked(&mut call), before + 1);
    assert!(call.a().is_connected());
}

#[test]
fn a_peer_without_candidates_is_found_by_its_checks() {
    let mut call = Call::direct(1, LinkConfig::with_latency(ms(10)));
    let now = call.now();
    // Nothing of B's candidates reaches A.
    call.b().is_mute = true;
    let (a, b) = (
        call.a().agent.local_parameters().clone(),
        call.b().agent.local_parameters().clone(),
    );
    call.a()
        .agent
        .add_local_socket(now, LocalSocket::udp(A.parse().unwrap()));
    call.b()
        .agent
        .add_local_socket(now, LocalSocket::udp(B.parse().unwrap()));
    call.a().agent.set_remote_parameters(now, b).unwrap();
    call.b().agent.set_remote_parameters(now, a).unwrap();
    let candidate = call.a().agent.local_candidates().next().unwrap().clone();
    call.b().agent.add_remote_candidate(now, candidate).unwrap();
    call.until_nominated(secs(1)).unwrap();
    assert_eq!(call.a().selected_types(), "host-prflx");
    // The candidate comes after all: the peer-reflexive one becomes what it is.
    let candidate = call.b().agent.local_candidates().next().unwrap().clone();
    let now = call.now();
    call.a().agent.add_remote_candidate(now, candidate).unwrap();
    assert_eq!(call.a().selected_types(), "host-host");
}

#[test]
fn a_lite_agent_is_reached_in_either_role() {
    for lite_offers in [true, false] {
        let mut network = Network::new(2);
        let [a, b] = [[192, 0, 2, 1], [192, 0, 2, 2]]
            .map(|ip| network.add_host(HostConfig::new(ip, LinkConfig::with_latency(ms(10)))));
        let mut a = Side::new(a, Role::Controlling, &[A]);
        let mut b = Side::new(b, Role::Controlled, &[B]);
        if lite_offers { &mut a } else { &mut b }.config.lite = true;
        let mut call = Call::new(network, 2, a, b);
        call.start();
        call.until_nominated(secs(5)).unwrap();
        let lite = usize::from(!lite_offers);
        assert_eq!(call.peer(lite).agent.role(), Role::Controlled);
        assert_eq!(call.peer(1 - lite).agent.role(), Role::Controlling);
        call.run(secs(60));
        assert!(call.a().is_connected() && call.b().is_connected());
        let checks = call.peer(lite).agent.report().pairs[0].stats.requests_sent;
        assert_eq!(checks, 0);
        // The full agent goes away.
        let now = call.now();
        call.peer(1 - lite).agent.close(now);
        call.until(secs(40), |a, b| [a, b][lite].agent.state() == State::Failed)
            .unwrap();
    }
}

fn tcp_call(a: TcpType, b: TcpType) -> Call {
    let mut network = Network::new(2);
    let [host_a, host_b] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(|ip| {
        let host = HostConfig::new(ip, LinkConfig::with_latency(ms(10)));
        network.add_host(host.with_udp_blocked())
    });
    let mut side_a = Side::new(host_a, Role::Controlling, &[A]);
    side_a
        .sockets
        .push(LocalSocket::tcp("192.0.2.1:0".parse().unwrap(), a));
    let mut side_b = Side::new(host_b, Role::Controlled, &[B]);
    side_b
        .sockets
        .push(LocalSocket::tcp("192.0.2.2:443".parse().unwrap(), b));
    Call::new(network, 2, side_a, side_b)
}

#[test]
fn tcp_is_the_way_when_udp_is_blocked() {
    let mut call = tcp_call(TcpType::Active, TcpType::Passive);
    call.start();
    call.until_nominated(secs(5)).unwrap();
    let pair = call.a().agent.selected_pair().unwrap().clone();
    assert_eq!(pair.local.tcp_type, Some(TcpType::Active));
    assert_eq!(pair.remote.tcp_type, Some(TcpType::Passive));
    let connects = |peer: &Peer| {
        peer.events
            .iter()
            .filter(|(_, e)| matches!(e, Event::Connect { .. }))
            .count()
    };
    assert_eq!((connects(call.a()), connects(call.b())), (1, 0));
    assert!(call.a().send(b"\x80over TCP"));
    call.run(ms(10));
    assert_eq!(call.b().received, [b"\x80over TCP"]);
    // The connection breaks: there is no other way.
    let now = call.now();
    let path = call.a().agent.selected_pair().unwrap().path;
    call.a().agent.handle_disconnected(now, path);
    assert!(call.a().agent.selected_pair().is_none());
}

#[test]
fn two_sides_that_open_simultaneously_meet_on_one_connection() {
    let mut call = {
        let [a, b] = ["192.0.2.1:4001", "192.0.2.2:4002"].map(|addr| addr.parse().unwrap());
        let mut call = tcp_call(TcpType::SimultaneousOpen, TcpType::SimultaneousOpen);
        for (index, addr) in [a, b].into_iter().enumerate() {
            let socket = LocalSocket::tcp(addr, TcpType::SimultaneousOpen);
            *call.peer(index).sockets.last_mut().unwrap() = socket;
        }
        call
    };
    call.start();
    call.until_nominated(secs(5)).unwrap();
    for index in 0..2 {
        let pair = call.peer(index).agent.selected_pair().unwrap().clone();
        let kinds = [pair.local.tcp_type, pair.remote.tcp_type];
        assert_eq!(kinds, [Some(TcpType::SimultaneousOpen); 2]);
        // Both ask for it, and both name it by the same two addresses (RFC 6544 §5.2).
        let connects = (call.peer(index).events.iter())
            .filter(|(_, event)| matches!(event, Event::Connect { .. }))
            .count();
        assert_eq!(connects, 1);
    }
    let [a, b] = [0, 1].map(|index| call.peer(index).agent.selected_pair().unwrap().path);
    assert_eq!((a.local, a.remote), (b.remote, b.local));
    assert!(call.b().send(b"\x80from the other side"));
    call.run(ms(20));
    assert_eq!(call.a().received, [b"\x80from the other side"]);
}

#[test]
fn two_active_sides_never_meet() {
    let mut call = tcp_call(TcpType::Active, TcpType::Active);
    call.start();
    call.until(secs(60), |a, b| {
        a.agent.state() == State::Failed && b.agent.state() == State::Failed
    })
    .unwrap();
}

#[test]
fn names_hide_the_addresses_and_are_resolved() {
    let mut call = Call::direct(3, LinkConfig::with_latency(ms(10)));
    let rng = rand::SeedableRng::seed_from_u64(77);
    let mut config = ice::Config::default();
    config.mdns = true;
    call.a().agent = ice::Agent::new(config, rng);
    call.start();
    call.run(ms(0));
    let (name, address) = call.a().published[0].clone();
    assert_eq!(address.to_string(), "192.0.2.1");
    assert!(name.ends_with(".local") && name.len() == 36 + 6, "{name}");
    let announced = call
        .a()
        .agent
        .local_candidates()
        .next()
        .unwrap()
        .to_string();
    assert!(
        announced.contains(&name) && !announced.contains("192.0.2.1"),
        "{announced}"
    );

    // Resolved, as in the local network.
    let mut resolving = Call::direct(3, LinkConfig::with_latency(ms(10)));
    resolving.a().agent = ice::Agent::new(
        {
            let mut config = ice::Config::default();
            config.mdns = true;
            config
        },
        rand::SeedableRng::seed_from_u64(77),
    );
    resolving.b().names = vec![(name, address)];
    resolving.start();
    resolving.until_nominated(secs(1)).unwrap();
    let remote = resolving.b().agent.selected_pair().unwrap().remote.clone();
    assert!(remote.address.is_mdns());
    assert_eq!(remote.typ, CandidateType::Host);

    // Not resolved, as from elsewhere: the check of the other side shows the address.
    call.until_nominated(secs(1)).unwrap();
    let report = call.b().agent.report();
    let unresolved = report
        .remote
        .iter()
        .find(|one| one.candidate.address.is_mdns());
    assert_eq!(unresolved.unwrap().note, Some("its name does not resolve"));
}

#[test]
fn both_families_are_tried_and_the_working_one_is_used() {
    for broken in ["192.0.2.2", "2001:db8::2", "none"] {
        let mut network = Network::new(4);
        let v6 = |last: u16| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        let [a, b] = [1u8, 2].map(|last| {
            let link = LinkConfig::with_latency(ms(10));
            network.add_host(HostConfig::new([192, 0, 2, last], link).with_ip(v6(last.into())))
        });
        network.intercept(move |_, d| d.dst.ip().to_string() != broken);
        let a = Side::new(a, Role::Controlling, &[A, "[2001:db8::1]:5000"]);
        let b = Side::new(b, Role::Controlled, &[B, "[2001:db8::2]:6000"]);
        let mut call = Call::new(network, 4, a, b);
        call.start();
        let took = call.until_nominated(secs(5)).unwrap();
        assert!(took < ms(400), "{took:?}");
        call.run(ms(400));
        let used = call.a().agent.selected_pair().unwrap().path.remote;
        // RFC 8421: IPv6 first, and IPv4 right behind.
        assert_eq!(used.is_ipv4(), broken == "2001:db8::2");
    }
}

#[test]
fn aggressive_nomination_of_an_old_peer_is_followed() {
    // A peer of RFC 5245 flags every check, from two addresses; the better one counts.
    use stun::{Class, IntegrityKey, Method, TransactionId, Writer};
    let mut call = Call::direct(3, LinkConfig::default());
    let now = call.now();
    let b = call.b();
    b.agent
        .add_local_socket(now, LocalSocket::udp(B.parse().unwrap()));
    let remote = ice::Parameters::new("oldpeer", "password-of-the-old-peer");
    b.agent.set_remote_parameters(now, remote.clone()).unwrap();
    let own = b.agent.local_parameters().clone();
    let key = IntegrityKey::short_term(&own.pwd);
    let remote_key = IntegrityKey::short_term(&remote.pwd);
    let mut buf = Vec::new();
    for (n, priority) in [(1u8, 1000), (2, 2000), (3, 500)] {
        let from = format!("192.0.2.{}:5000", 10 + n).parse().unwrap();
        let path = ice::Path::udp(B.parse().unwrap(), from);
        let mut request = Vec::new();
        Writer::new(
            &mut request,
            Class::Request,
            Method::BINDING,
            TransactionId([n; 12]),
        )
        .ice_username(&own.ufrag, &remote.ufrag)
        .priority(priority)
        .ice_controlling(1)
        .use_candidate()
        .finish_with(&key, true);
        assert_eq!(
            b.agent.handle_datagram(now, path, &request),
            ice::Input::Consumed
        );
        // The response, and the triggered check, which succeeds.
        buf.clear();
        let later = now + ms(10 * u64::from(n));
        b.agent.handle_timeout(later);
        while let Some(transmit) = b.agent.poll_transmit(later, &mut buf) {
            let sent = buf[buf.len() - transmit.len..].to_vec();
            let sent = stun::Message::parse(&sent).unwrap();
            if sent.class() == Class::Request && transmit.remote == from {
                let mut answer = Vec::new();
                Writer::new(
                    &mut answer,
                    Class::Success,
                    Method::BINDING,
                    sent.transaction_id(),
                )
                .xor_mapped_address(B.parse().unwrap())
                .finish_with(&remote_key, true);
                b.agent.handle_datagram(later, path, &answer);
            }
        }
    }
    let selected = b.agent.selected_pair().unwrap();
    assert!(selected.nominated);
    assert_eq!(selected.path.remote.ip().to_string(), "192.0.2.12");
}

#[test]
fn an_agent_may_move_between_threads_and_be_shared() {
    fn moves<T: Send + Sync>() {}
    moves::<ice::Agent>();
}

#[test]
fn link_local_addresses_pair_with_each_other_alone_and_keep_their_scope() {
    let mut call = Call::direct(3, LinkConfig::default());
    let now = call.now();
    let a = &mut call.a().agent;
    let scoped = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 5000, 0, 3);
    a.add_local_socket(now, LocalSocket::udp(scoped.into()));
    a.add_local_socket(now, LocalSocket::udp("[2001:db8::1]:5000".parse().unwrap()));
    let parameters = ice::Parameters::new("peer", "the-password-of-the-peer");
    a.set_remote_parameters(now, parameters).unwrap();
    for ip in ["fe80::2", "2001:db8::2"] {
        let line = format!("candidate:1 1 udp 1000 {ip} 6000 typ host");
        a.add_remote_candidate(now, line.parse().unwrap()).unwrap();
    }
    let report = a.report();
    let paths: Vec<_> = report.pairs.iter().map(|one| one.pair.path).collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let is_link_local = |addr: std::net::SocketAddr| addr.to_string().starts_with("[fe80");
        assert_eq!(is_link_local(path.local), is_link_local(path.remote));
        if let std::net::SocketAddr::V6(remote) = path.remote
            && is_link_local(path.remote)
        {
            assert_eq!(remote.scope_id(), 3);
        }
    }
}

#[test]
fn a_lasting_address_stays_untold_beside_a_temporary_one() {
    let mut call = Call::direct(3, LinkConfig::default());
    let now = call.now();
    let a = &mut call.a().agent;
    let mut temporary = LocalSocket::udp("[2001:db8::aaaa]:5000".parse().unwrap());
    temporary.temporary = true;
    temporary.network_id = Some(1);
    let mut lasting = LocalSocket::udp("[2001:db8::1]:5000".parse().unwrap());
    lasting.network_id = Some(1);
    a.add_local_socket(now, temporary);
    a.add_local_socket(now, lasting);
    let told: Vec<_> = a
        .local_candidates()
        .map(|one| one.address.to_string())
        .collect();
    assert_eq!(told, ["2001:db8::aaaa"]);
}

#[test]
fn a_peer_whose_nat_gives_it_another_port_is_found_again() {
    let mut network = Network::new(2);
    let link = LinkConfig::with_latency(ms(10));
    let nat = network.add_nat(netsim::NatKind::PortRestricted, [203, 0, 113, 1]);
    let a = network.add_host_behind(nat, HostConfig::new([10, 0, 0, 2], link.clone()));
    let b = network.add_host(HostConfig::new([192, 0, 2, 2], link));
    let a = Side::new(a, Role::Controlling, &["10.0.0.2:5000"]);
    let mut call = Call::new(network, 2, a, Side::new(b, Role::Controlled, &[B]));
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(1));
    call.sim.network.reboot_nat(nat);
    let before = call.b().agent.selected_pair().unwrap().path.remote;
    // A's next consent check shows the new port; when the old one has been silent for a while, A's nomination is followed.
    call.run(secs(60));
    assert!(call.a().is_connected() && call.b().is_connected());
    assert_ne!(call.b().agent.selected_pair().unwrap().path.remote, before);
    assert!(call.b().send(b"\x80found") && call.a().send(b"\x80again"));
    call.run(ms(20));
    assert_eq!((call.a().received.len(), call.b().received.len()), (1, 1));
}
