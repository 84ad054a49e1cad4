//! ICE restart (RFC 8445 §9), interfaces that come and go, renomination.

use crate::common::*;
use ice::{Event, LocalSocket, Role, State};
use netsim::{HostConfig, LinkConfig, Network};

fn connected() -> Call {
    let mut call = Call::direct(5, LinkConfig::with_latency(ms(10)));
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.a().events.clear();
    call.b().events.clear();
    call
}

#[test]
fn the_old_pair_carries_data_until_the_new_one_works() {
    for from in [0, 1] {
        let mut call = connected();
        call.a().signalling_delay = secs(1);
        call.b().signalling_delay = secs(1);
        let old = call.a().agent.local_parameters().clone();
        let now = call.now();
        call.peer(from).restart(now);
        assert!(from == 1 || call.a().agent.local_parameters().ufrag != old.ufrag);
        // Data goes both ways at every moment of the restart.
        for step in 0..40u8 {
            assert!(
                call.a().send(&[0x80, step]) && call.b().send(&[0x80, step]),
                "step {step}"
            );
            call.run(ms(100));
        }
        assert_eq!(call.a().received.len(), 40);
        assert_eq!(call.b().received.len(), 40);
        call.until_nominated(secs(1)).unwrap();
        assert_ne!(call.a().agent.local_parameters().ufrag, old.ufrag);
        // W3C WebRTC §5.6.3: from completed to connected and back; never to checking.
        assert_eq!(
            call.peer(from).states(),
            [State::Connected, State::Completed]
        );
    }
}

#[test]
fn after_a_restart_consent_is_kept_with_the_new_credentials() {
    let mut call = connected();
    let now = call.now();
    call.a().restart(now);
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(120));
    assert!(call.a().is_connected() && call.b().is_connected());
}

#[test]
fn an_abandoned_restart_keeps_the_old_pair_and_its_consent() {
    let mut call = connected();
    let now = call.now();
    call.a().agent.restart(now);
    call.a().agent.restart(now);
    call.run(secs(120));
    assert!(call.a().send(b"\x80x"));
    call.run(ms(20));
    assert_eq!(call.b().received, [b"\x80x"]);
}

#[test]
fn a_restart_brings_a_failed_agent_back() {
    let mut call = connected();
    call.sim.network.intercept(|_, _| false);
    call.until(secs(60), |a, b| {
        [a, b]
            .iter()
            .all(|peer| peer.agent.state() == State::Failed)
    })
    .unwrap();
    call.sim.network.intercept(|_, _| true);
    call.run(secs(5));
    assert_eq!(call.a().agent.state(), State::Failed);
    let now = call.now();
    call.a().restart(now);
    assert_eq!(call.a().agent.state(), State::Checking);
    call.until_nominated(secs(5)).unwrap();
}

#[test]
fn a_peer_that_changes_its_credentials_has_restarted() {
    let mut call = connected();
    let old = call.b().agent.local_parameters().ufrag.clone();
    let now = call.now();
    let new = ice::Parameters::new("newfrag", "a-new-password-of-the-peer");
    call.b().agent.set_remote_parameters(now, new).unwrap();
    assert_ne!(call.b().agent.local_parameters().ufrag, old);
    assert_eq!(call.b().agent.state(), State::Connected);
}

/// A has two interfaces, one better than the other.
fn two_interfaces() -> Call {
    let mut network = Network::new(6);
    let link = LinkConfig::with_latency(ms(10));
    let a = network.add_host(HostConfig::new([192, 0, 2, 1], link.clone()).with_ip([192, 0, 2, 9]));
    let b = network.add_host(HostConfig::new([192, 0, 2, 2], link));
    let mut side = Side::new(a, Role::Controlling, &["192.0.2.1:5000", "192.0.2.9:5000"]);
    side.sockets[0].interface = ice::InterfaceKind::Ethernet;
    side.sockets[1].interface = ice::InterfaceKind::Cellular;
    Call::new(network, 6, side, Side::new(b, Role::Controlled, &[B]))
}

#[test]
fn the_better_interface_is_chosen() {
    let mut call = two_interfaces();
    call.start();
    call.until_nominated(secs(5)).unwrap();
    let local = call.a().agent.selected_pair().unwrap().path.local;
    assert_eq!(local, A.parse().unwrap());
}

#[test]
fn when_an_interface_goes_the_reserve_takes_over_at_once() {
    let mut call = two_interfaces();
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(1));
    let now = call.now();
    call.a().agent.remove_local_socket(now, A.parse().unwrap());
    assert!(call.a().send(b"\x80moved"), "{}", call.a().agent.report());
    call.until(secs(1), |_, b| !b.received.is_empty()).unwrap();
    let b_follows = call
        .until(secs(1), |_, b| {
            let pair = b.agent.selected_pair();
            pair.is_some_and(|pair| pair.path.remote.ip().to_string() == "192.0.2.9")
        })
        .unwrap();
    assert!(b_follows < ms(100), "{b_follows:?}");
    call.a().after(now);
    assert!(
        call.a()
            .events
            .iter()
            .any(|(_, e)| matches!(e, Event::LocalCandidateRemoved(_)))
    );
}

#[test]
fn the_reserve_shares_nothing_with_the_pair_in_use_when_it_can() {
    let mut network = Network::new(6);
    let link = LinkConfig::with_latency(ms(10));
    let a = network.add_host(HostConfig::new([192, 0, 2, 1], link.clone()).with_ip([192, 0, 2, 9]));
    let b = network.add_host(HostConfig::new([192, 0, 2, 2], link).with_ip([192, 0, 2, 7]));
    let sides = [
        Side::new(a, Role::Controlling, &["192.0.2.1:5000", "192.0.2.9:5000"]),
        Side::new(b, Role::Controlled, &[B, "192.0.2.7:6000"]),
    ];
    let [a, b] = sides;
    let mut call = Call::new(network, 6, a, b);
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(2));
    let in_use = call.a().agent.selected_pair().unwrap().path;
    let gone = [in_use.local, in_use.remote];
    call.sim
        .network
        .intercept(move |_, d| !gone.contains(&d.src) && !gone.contains(&d.dst));
    let moved = call.until(secs(30), |a, _| {
        let pair = a.agent.selected_pair();
        let elsewhere = |path: ice::Path| path.local != gone[0] && path.remote != gone[1];
        a.is_connected() && pair.is_some_and(|pair| elsewhere(pair.path))
    });
    assert!(
        moved.as_ref().is_ok_and(|time| *time < secs(12)),
        "{moved:?} {}",
        call.a().agent.report()
    );
}

#[test]
fn when_a_path_goes_silent_the_call_moves_to_the_reserve() {
    let mut call = two_interfaces();
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(secs(1));
    let dead = A.parse().unwrap();
    call.sim
        .network
        .intercept(move |_, d| d.src != dead && d.dst != dead);
    let moved = call
        .until(secs(30), |a, b| {
            let on = |peer: &mut Peer, ip: &str| {
                peer.is_connected()
                    && peer.agent.selected_pair().is_some_and(|pair| {
                        pair.path.local.ip().to_string() == ip
                            || pair.path.remote.ip().to_string() == ip
                    })
            };
            on(a, "192.0.2.9") && on(b, "192.0.2.9")
        })
        .unwrap();
    assert!(moved < secs(10), "{moved:?}");
}

#[test]
fn a_better_interface_that_comes_later_is_used_when_both_renominate() {
    for renomination in [true, false] {
        let mut call = two_interfaces();
        let better = call.a().sockets.remove(0);
        call.start();
        call.until_nominated(secs(5)).unwrap();
        let mut parameters = call.b().agent.local_parameters().clone();
        parameters.renomination = renomination;
        let now = call.now();
        call.a()
            .agent
            .set_remote_parameters(now, parameters)
            .unwrap();
        call.run(secs(1));
        let now = call.now();
        call.a().agent.add_local_socket(now, better);
        call.a().after(now);
        call.run(secs(2));
        let used = call
            .a()
            .agent
            .selected_pair()
            .unwrap()
            .path
            .local
            .to_string();
        let theirs = call
            .b()
            .agent
            .selected_pair()
            .unwrap()
            .path
            .remote
            .to_string();
        let expected = if renomination {
            "192.0.2.1:5000"
        } else {
            "192.0.2.9:5000"
        };
        assert_eq!([used, theirs], [expected, expected]);
    }
}

#[test]
fn sockets_may_come_after_everything_else() {
    let mut call = Call::direct(9, LinkConfig::with_latency(ms(10)));
    let socket: LocalSocket = call.a().sockets.remove(0);
    call.b().never_ends = true;
    call.start();
    call.run(secs(2));
    assert_eq!(
        call.a().agent.gathering_state(),
        ice::GatheringState::Complete
    );
    let now = call.now();
    call.a().agent.add_local_socket(now, socket);
    call.a().after(now);
    call.until_nominated(secs(1)).unwrap();
}
