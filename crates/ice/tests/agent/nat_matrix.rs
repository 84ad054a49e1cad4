//! Every pair of NAT kinds, with STUN alone and with TURN: connects exactly where theory says it can.
//!
//! The table is kept in `tests/agent/nat_matrix.txt`; run with `UPDATE_SNAPSHOTS=1` to write it anew.

use crate::common::*;
use crate::relay::{add_servers, stun, turn};
use ice::{Protocol, Role, State};
use netsim::{HostConfig, LinkConfig, Loss, NatKind, Network};
use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Open,
    Nat(NatKind),
    UdpBlocked,
}

const PLACES: [(&str, Place); 6] = [
    ("none", Place::Open),
    ("full", Place::Nat(NatKind::FullCone)),
    ("addr", Place::Nat(NatKind::AddressRestricted)),
    ("port", Place::Nat(NatKind::PortRestricted)),
    ("symm", Place::Nat(NatKind::Symmetric)),
    ("blkd", Place::UdpBlocked),
];

/// One way, in milliseconds: a round trip is 100.
const ONE_WAY: u64 = 50;

fn place(
    network: &mut Network,
    number: u8,
    place: Place,
    link: &LinkConfig,
) -> (netsim::HostId, String) {
    match place {
        Place::Open => {
            let ip = [192, 0, 2, number];
            let host = network.add_host(HostConfig::new(ip, link.clone()));
            (host, format!("192.0.2.{number}:5000"))
        }
        Place::UdpBlocked => {
            let ip = [192, 0, 2, number];
            let host = HostConfig::new(ip, link.clone()).with_udp_blocked();
            (network.add_host(host), format!("192.0.2.{number}:5000"))
        }
        Place::Nat(kind) => {
            let nat = network.add_nat(kind, [203, 0, 113, number]);
            let ip = [10, 0, number, 2];
            let host = network.add_host_behind(nat, HostConfig::new(ip, link.clone()));
            (host, format!("10.0.{number}.2:5000"))
        }
    }
}

fn call(a: Place, b: Place, with_turn: bool, loss: f64, seed: u64) -> Call {
    let mut network = Network::new(seed);
    let link = LinkConfig {
        loss: Loss::Random(loss),
        ..LinkConfig::with_latency(ms(ONE_WAY))
    };
    let mut sides =
        [(1, a, Role::Controlling), (2, b, Role::Controlled)].map(|(number, at, role)| {
            let (host, addr) = place(&mut network, number, at, &link);
            let mut side = Side::new(host, role, &[&addr]);
            side.servers = vec![stun()];
            if with_turn {
                side.servers
                    .extend([turn(Protocol::Udp), turn(Protocol::Tcp)]);
            }
            Some(side)
        });
    let [a, b] = [sides[0].take().unwrap(), sides[1].take().unwrap()];
    let mut call = Call::new(network, seed, a, b);
    add_servers(&mut call, &link);
    call.a().signalling_delay = ms(ONE_WAY);
    call.b().signalling_delay = ms(ONE_WAY);
    call
}

/// RFC 4787 in one line: a check gets in when the mapping that the peer knows of is the one used towards it, or when it may come
/// from any port. A symmetric NAT's mapping is known only to whom it was made for.
fn theory(a: Place, b: Place, with_turn: bool) -> bool {
    use NatKind::{PortRestricted, Symmetric};
    if a == Place::UdpBlocked || b == Place::UdpBlocked {
        return with_turn;
    }
    let strict = |place| matches!(place, Place::Nat(PortRestricted | Symmetric));
    let symmetric = |place| place == Place::Nat(Symmetric);
    with_turn || !(symmetric(a) && strict(b) || symmetric(b) && strict(a))
}

fn row(a: Place, b: Place, with_turn: bool) -> String {
    let mut out = String::new();
    for (loss, seeds) in [(0.0, 1), (0.1, 5), (0.3, 5)] {
        let mut times = Vec::new();
        let mut types = Vec::new();
        for seed in 0..seeds {
            let mut call = call(a, b, with_turn, loss, seed);
            call.start();
            let expected = theory(a, b, with_turn);
            let end = call.until(secs(120), |a, b| {
                let done = |peer: &Peer| peer.agent.state() == State::Failed;
                a.is_nominated() && b.is_nominated() && a.is_connected() && b.is_connected()
                    || done(a) && done(b)
            });
            let connected = call.a().is_connected() && call.b().is_connected();
            let report = call.a().agent.report();
            assert!(
                end.is_ok() && connected == expected,
                "{a:?} to {b:?}, TURN {with_turn}, loss {loss}, seed {seed}: {connected}\n{report}\n{}",
                call.b().agent.report()
            );
            let usable = |peer: &Peer| {
                let at = |(at, event): &(std::time::Instant, ice::Event)| {
                    matches!(event, ice::Event::StateChange(State::Connected)).then_some(*at)
                };
                peer.events.iter().find_map(at)
            };
            if connected {
                // Data flows through it.
                assert!(call.a().send(b"\x80ping") && call.b().send(b"\x80pong"));
                if loss == 0.0 {
                    call.run(secs(1));
                    assert_eq!((call.a().received.len(), call.b().received.len()), (1, 1));
                }
                let start = call.now() - call.sim.network.elapsed();
                let both = usable(call.a()).max(usable(call.b()));
                times.push((both.unwrap() - start).as_millis() as u64);
                types.push(call.a().selected_types());
            }
        }
        times.sort_unstable();
        types.sort();
        types.dedup();
        let cell = match times.get(times.len() / 2) {
            Some(time) => format!("{:.1}", *time as f64 / (2 * ONE_WAY) as f64),
            None => "-".into(),
        };
        // With loss the types may differ from run to run; without, they are part of the table.
        let types = if loss == 0.0 {
            types.join(",")
        } else {
            String::new()
        };
        write!(out, " {types:<13} {cell:>5}").unwrap();
    }
    out
}

#[test]
fn connects_exactly_where_theory_says_it_can() {
    let mut table = String::from(
        "offerer and answerer; then with STUN alone and with STUN and TURN: the types of the selected pair,\n\
         and the time from the offer until both sides can send, in round trips (of which 1 is signalling),\n\
         at 0, 10 and 30 % loss (median of five)\n\n",
    );
    for (a_name, a) in PLACES {
        for (b_name, b) in PLACES {
            for (servers, with_turn) in [("STUN", false), ("TURN", true)] {
                let row = row(a, b, with_turn);
                writeln!(table, "{a_name} {b_name} {servers}{}", row.trim_end()).unwrap();
            }
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agent/nat_matrix.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        table, kept,
        "the table has changed; UPDATE_SNAPSHOTS=1 writes it anew"
    );
}
