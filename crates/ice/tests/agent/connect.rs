//! Two agents find each other.

use crate::common::*;
use ice::{GatheringState, Role, State};
use netsim::{LinkConfig, Loss};

fn offer_answer(one_way: u64) -> Call {
    let mut call = Call::direct(1, LinkConfig::with_latency(ms(one_way)));
    call.a().signalling_delay = ms(one_way);
    call.b().signalling_delay = ms(one_way);
    call.start();
    call
}

#[test]
fn a_pair_is_selected_one_round_trip_after_the_answer() {
    let mut call = offer_answer(50);
    // The offer and the answer take 50 ms each: the answer is there after 100 ms.
    let selected = call.until(secs(5), |a, _| a.is_connected()).unwrap();
    assert_eq!(selected, ms(200));
    let more = call.until_nominated(secs(5)).unwrap();
    assert!(more <= ms(100), "{more:?}");
    assert_eq!(call.a().selected_types(), "host-host");
    assert_eq!(
        call.a().states(),
        [State::Checking, State::Connected, State::Completed]
    );
    assert_eq!(call.b().agent.state(), State::Completed);
    assert_eq!(call.b().states().last(), Some(&State::Completed));
    assert_eq!(call.a().agent.gathering_state(), GatheringState::Complete);
}

#[test]
fn data_flows_as_soon_as_a_pair_is_selected() {
    let mut call = offer_answer(50);
    call.until(secs(5), |a, b| a.is_connected() && b.is_connected())
        .unwrap();
    assert!(call.a().send(b"\x80hello") && call.b().send(b"\x80there"));
    call.run(ms(50));
    assert_eq!(call.b().received, [b"\x80hello"]);
    assert_eq!(call.a().received, [b"\x80there"]);
}

#[test]
fn connects_under_heavy_loss_and_the_same_seed_gives_the_same_packets() {
    let run = |seed| {
        let link = LinkConfig {
            loss: Loss::Random(0.3),
            jitter: ms(5),
            ..LinkConfig::with_latency(ms(50))
        };
        let mut call = Call::direct(seed, link);
        call.start();
        let took = call.until_nominated(secs(15)).expect("connects");
        call.run(secs(60));
        assert!(
            call.a().is_connected() && call.b().is_connected(),
            "seed {seed}"
        );
        (took, call.sim.network.trace_hash())
    };
    let mut all: Vec<_> = (0..40).map(|seed| run(seed).0).collect();
    all.sort();
    // Half of the exchanges fail; retransmissions after 500 ms do the rest.
    assert!(all[20] < ms(1500), "{all:?}");
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}

#[test]
fn both_controlling_or_both_controlled_is_resolved() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..10 {
            let mut call = Call::direct(seed, LinkConfig::with_latency(ms(20)));
            call.a().agent.set_role(role);
            call.b().agent.set_role(role);
            call.start();
            call.until_nominated(secs(5)).unwrap();
            assert_ne!(call.a().agent.role(), call.b().agent.role());
            let conflicts =
                call.a().agent.counters().role_conflicts + call.b().agent.counters().role_conflicts;
            assert!(conflicts > 0);
        }
    }
}
