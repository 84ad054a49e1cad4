//! Calls between two hosts behind real NATs of the Linux kernel, with a real coturn between them.
//!
//! ```text
//!  hostA ── lan, [lan2] ── natA ── 203.0.113.10 ┐
//!                                              ├─ public: coturn on 203.0.113.1 and 203.0.113.2
//!  hostB ── lan ────────── natB ── 203.0.113.20 ┘
//! ```
//!
//! Every box is a network namespace, every NAT a masquerade of nftables. It takes root, `ip`, `nft` and `turnserver`; where one of them
//! is missing the tests say so and pass. Each side is a process of its own: this program, started again within its namespace.

#![allow(
    clippy::disallowed_methods,
    reason = "real networks need the real clock"
)]

mod side;
mod world;

use peerconnection::{Configuration, IceServer, IceTransportPolicy};
use side::{Call, Setup, Status};
use std::time::{Duration, Instant};
use world::{Masquerade, World};

const TURN: &str = "turn:203.0.113.1:3478";
const OTHER_TURN: &str = "turn:203.0.113.2:3478";

fn configuration(urls: &[&str], policy: IceTransportPolicy) -> Configuration {
    Configuration {
        ice_servers: vec![IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: Some(world::USERNAME.into()),
            credential: Some(world::PASSWORD.into()),
        }],
        ice_transport_policy: policy,
        ..Configuration::default()
    }
}

fn setup(urls: &[&str], policy: IceTransportPolicy) -> Setup {
    Setup {
        configuration: configuration(urls, policy),
        udp: true,
        tls_roots: Vec::new(),
        endpoint: false,
    }
}

fn connected(status: &Status) -> bool {
    status.state == "connected" && status.received >= 20
}

/// One side of every call, in a process of its own; nothing in the test run itself.
#[test]
fn side_of_a_call() {
    side::run_if_asked();
}

#[test]
fn hosts_behind_port_preserving_nats_reach_each_other_without_a_relay() {
    let Some(mut world) = World::new(Masquerade::Plain, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let setup = setup(&["stun:203.0.113.1:3478", TURN], IceTransportPolicy::All);
    let call = Call::start(&world, &setup);
    for status in call.both(Duration::from_secs(30), connected) {
        for typ in [&status.local, &status.remote] {
            assert!(["srflx", "prflx", "host"].contains(&&**typ), "{status:?}");
        }
        assert_ne!(status.remote, "host", "{status:?}");
    }
}

#[test]
fn hosts_behind_random_masquerade_reach_each_other_through_the_relay() {
    let Some(mut world) = World::new(Masquerade::Random, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let setup = setup(&["stun:203.0.113.1:3478", TURN], IceTransportPolicy::All);
    let call = Call::start(&world, &setup);
    let statuses = call.both(Duration::from_secs(40), connected);
    let relays = |status: &Status| {
        [&status.local, &status.remote]
            .iter()
            .any(|typ| *typ == "relay")
    };
    // A side whose peer relays may see only where the peer's packets come from.
    assert!(statuses.iter().any(relays), "{statuses:?}");
}

#[test]
fn relays_over_udp_tcp_and_tls_from_behind_nats() {
    let Some(mut world) = World::new(Masquerade::Random, false) else {
        return;
    };
    let certificate = world.start_coturn("203.0.113.1");
    for (url, udp, protocol) in [
        (TURN, true, "udp"),
        ("turn:203.0.113.1:3478?transport=tcp", false, "tcp"),
        ("turns:203.0.113.1:5349", false, "tls"),
    ] {
        let setup = Setup {
            udp,
            tls_roots: vec![certificate.clone()],
            ..setup(&[url], IceTransportPolicy::Relay)
        };
        let call = Call::start(&world, &setup);
        for status in call.both(Duration::from_secs(30), connected) {
            assert_eq!(status.local, "relay", "{url}: {status:?}");
            assert_eq!(status.relay_protocol, protocol, "{url}: {status:?}");
        }
    }
}

#[test]
fn a_call_whose_only_relay_stops_is_reported_within_consent_time() {
    let Some(mut world) = World::new(Masquerade::Random, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let call = Call::start(&world, &setup(&[TURN], IceTransportPolicy::Relay));
    call.both(Duration::from_secs(30), connected);
    world.stop_coturn(0);
    let stopped = Instant::now();
    call.both(Duration::from_secs(20), |status| {
        ["disconnected", "failed"].contains(&&*status.state)
    });
    let disconnected = stopped.elapsed();
    call.both(Duration::from_secs(40), |status| status.state == "failed");
    let failed = stopped.elapsed();
    // RFC 7675 §5.1: 30 s after the last answer.
    assert!(failed <= Duration::from_secs(35), "{failed:?}");
    println!("disconnected after {disconnected:.1?}, failed after {failed:.1?}");
}

#[test]
fn a_call_whose_relay_stops_moves_to_another_one_or_is_reported() {
    let Some(mut world) = World::new(Masquerade::Random, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    world.start_coturn("203.0.113.2");
    let call = Call::start(
        &world,
        &setup(&[TURN, OTHER_TURN], IceTransportPolicy::Relay),
    );
    let statuses = call.both(Duration::from_secs(40), connected);
    // The server of the offerer's end of the pair in use.
    world.stop_coturn(usize::from(statuses[0].url == OTHER_TURN));
    let stopped = Instant::now();
    // What was under way when it stopped.
    std::thread::sleep(Duration::from_secs(2));
    for index in 0..2 {
        let before = call.status(index).received;
        let status = call.until(index, Duration::from_secs(33), |status| {
            status.state == "failed" || status.received > before + 50
        });
        println!("{} after {:.1?}", status.state, stopped.elapsed());
    }
}

#[test]
fn an_ice_restart_behind_nats_loses_no_message() {
    let Some(mut world) = World::new(Masquerade::Plain, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let setup = setup(&["stun:203.0.113.1:3478", TURN], IceTransportPolicy::All);
    let call = Call::start(&world, &setup);
    let before = call.both(Duration::from_secs(30), connected);
    call.restart();
    for (index, before) in before.iter().enumerate() {
        // Each side checks that the numbered messages come without a gap.
        let limit = Duration::from_secs(40);
        let now = call.until(index, limit, |status| {
            status.state == "connected"
                && status.restarted
                && status.received > before.received + 200
        });
        assert_ne!(now.remote, "host", "{now:?}");
    }
}

#[test]
fn an_interface_that_goes_down_and_an_ice_restart_lose_no_message() {
    let Some(mut world) = World::new(Masquerade::Plain, true) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let setup = setup(&["stun:203.0.113.1:3478", TURN], IceTransportPolicy::All);
    let call = Call::start(&world, &setup);
    let before = call.both(Duration::from_secs(30), connected);
    world.take_down("hostA", "lan");
    let down = Instant::now();
    // As an application does on hearing of another network.
    std::thread::sleep(Duration::from_millis(1_500));
    call.restart();
    for (index, before) in before.iter().enumerate() {
        // Each side checks that the numbered messages come without a gap.
        call.until(index, Duration::from_secs(40), |status| {
            status.state == "connected"
                && status.restarted
                && status.received > before.received + 200
        });
    }
    println!(
        "data flows again, {:.1?} after the interface",
        down.elapsed()
    );
}

#[test]
fn a_relay_goes_along_to_another_interface_without_an_ice_restart() {
    for url in [TURN, "turn:203.0.113.1:3478?transport=tcp"] {
        let Some(mut world) = World::new(Masquerade::Random, false) else {
            return;
        };
        world.start_coturn_with("203.0.113.1", &["--mobility"]);
        let call = Call::start(&world, &setup(&[url], IceTransportPolicy::Relay));
        let before = call.both(Duration::from_secs(30), connected);
        world.take_down("hostA", "lan");
        let down = Instant::now();
        std::thread::sleep(Duration::from_millis(1_500));
        world.plug_in();
        for (index, before) in before.iter().enumerate() {
            let now = call.until(index, Duration::from_secs(25), |status| {
                status.state == "connected" && status.received > before.received + 300
            });
            assert!(!now.restarted, "{now:?}");
            // The same relayed address, from another interface (RFC 8016). Over TCP coturn 4.6 answers the ticket with the
            // last eight bytes of a message alone, and a new relay takes over.
            if url == TURN {
                assert_eq!(now.address, before.address, "{now:?}");
            }
        }
        println!(
            "{url}: data flows, {:.1?} after the interface",
            down.elapsed()
        );
    }
}

#[test]
fn an_endpoint_follows_its_host_to_another_interface() {
    let Some(mut world) = World::new(Masquerade::Plain, false) else {
        return;
    };
    world.start_coturn("203.0.113.1");
    let setup = Setup {
        endpoint: true,
        ..setup(&["stun:203.0.113.1:3478", TURN], IceTransportPolicy::All)
    };
    let call = Call::start(&world, &setup);
    let before = call.both(Duration::from_secs(30), connected);
    world.plug_in();
    // Time to notice, to tell the peer its new candidates, and to check them.
    std::thread::sleep(Duration::from_secs(4));
    world.take_down("hostA", "lan");
    let down = Instant::now();
    for (index, before) in before.iter().enumerate() {
        let now = call.until(index, Duration::from_secs(25), |status| {
            status.state == "connected" && status.received > before.received + 300
        });
        assert!(!now.restarted, "{now:?}");
    }
    println!("data flows, {:.1?} after the interface", down.elapsed());
}
