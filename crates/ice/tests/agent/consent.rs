//! What happens to a connection afterwards: consent, loss, recovery, the end.

use crate::common::*;
use ice::{PairFailure, State};
use netsim::LinkConfig;
use std::time::Duration;

fn connected() -> Call {
    let mut call = Call::direct(3, LinkConfig::with_latency(ms(10)));
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call
}

fn lossless() -> LinkConfig {
    LinkConfig::with_latency(ms(10))
}

#[test]
fn consent_is_asked_for_every_four_to_six_seconds_and_nothing_else_is_sent() {
    let mut call = connected();
    call.run(ms(100));
    let before = call.sim.network.stats().sent;
    call.run(secs(600));
    // Two agents, a request and a response each, 5 s apart in the mean.
    let sent = call.sim.network.stats().sent - before;
    let mean = 600.0 * 4.0 / sent as f64;
    assert!((4.0..6.0).contains(&mean), "one each {mean} s");
    assert_eq!(call.a().agent.state(), State::Completed);
}

#[test]
fn a_dead_path_is_disconnected_within_seconds_and_failed_when_consent_expires() {
    let mut call = connected();
    call.sim.network.intercept(|_, _| false);
    let disconnected = call
        .until(secs(60), |a, _| a.agent.state() == State::Disconnected)
        .unwrap();
    assert!(disconnected <= secs(9), "{disconnected:?}");
    let failed = call
        .until(secs(60), |a, _| a.agent.state() == State::Failed)
        .unwrap();
    let total = disconnected + failed;
    assert!((secs(24)..=secs(30)).contains(&total), "{total:?}");
    assert!(!call.a().send(b"\x80x"), "no data without consent");
    let report = call.a().agent.report();
    assert_eq!(report.pairs[0].failure, Some(PairFailure::ConsentLost));
}

#[test]
fn an_outage_shorter_than_consent_heals_by_itself() {
    let mut call = connected();
    call.sim.network.intercept(|_, _| false);
    call.run(secs(15));
    assert_eq!(call.a().agent.state(), State::Disconnected);
    call.sim.network.intercept(|_, _| true);
    let healed = call
        .until(secs(10), |a, b| a.is_connected() && b.is_connected())
        .unwrap();
    assert!(healed <= secs(6), "{healed:?}");
}

#[test]
fn data_from_the_peer_does_not_keep_consent() {
    let mut call = connected();
    let b_addr = B.parse().unwrap();
    // Requests of A are lost, everything from B arrives.
    call.sim
        .network
        .intercept(move |_, d| d.src == b_addr && d.payload[0] == 0x80);
    for _ in 0..40 {
        call.b().send(b"\x80still here");
        call.run(secs(1));
        if call.a().agent.state() == State::Failed {
            break;
        }
    }
    assert_eq!(call.a().agent.state(), State::Failed);
    assert!(!call.a().received.is_empty());
}

#[test]
fn one_lost_consent_check_changes_nothing() {
    let mut call = connected();
    for _ in 0..20 {
        let mut lost = false;
        call.sim.network.intercept(move |_, d| {
            let first = !lost && d.payload[0] == 0;
            lost |= first;
            !first
        });
        call.run(secs(10));
    }
    assert!(!call.a().states().contains(&State::Disconnected));
    assert!(!call.b().states().contains(&State::Disconnected));
}

#[test]
fn without_a_way_it_fails_when_patience_ends_and_not_before() {
    let mut call = Call::direct(4, lossless());
    call.sim.network.intercept(|_, _| false);
    call.start();
    let failed = call
        .until(secs(60), |a, _| a.agent.state() == State::Failed)
        .unwrap();
    assert!((secs(13)..secs(17)).contains(&failed), "{failed:?}");
    assert_eq!(call.a().states(), [State::Checking, State::Failed]);
    let report = call.a().agent.report();
    assert_eq!(report.pairs[0].failure, Some(PairFailure::Timeout));
    assert!(report.to_string().contains("no answer"), "{report}");
}

#[test]
fn a_peer_that_never_ends_its_candidates_does_not_keep_checking_for_ever() {
    let mut call = Call::direct(4, lossless());
    call.b().never_ends = true;
    call.sim.network.intercept(|_, _| false);
    call.start();
    call.until(secs(60), |a, _| a.agent.state() == State::Disconnected)
        .unwrap();
    call.until(secs(60), |a, _| a.agent.state() == State::Failed)
        .unwrap();
}

#[test]
fn closing_ends_everything() {
    let mut call = connected();
    let now = call.now();
    call.a().agent.close(now);
    call.run(ms(1));
    assert_eq!(call.a().agent.state(), State::Closed);
    assert_eq!(call.a().agent.poll_timeout(), None);
    assert!(!call.a().send(b"\x80x"));
    let sent = call.sim.network.stats().sent;
    call.until(secs(60), |_, b| b.agent.state() == State::Failed)
        .unwrap();
    assert!(call.sim.network.stats().sent > sent);
}

#[test]
fn an_idle_agent_asks_for_no_time() {
    let mut call = connected();
    call.run(secs(1));
    let now = call.now();
    let mut wakes = 0;
    while call.now() < now + secs(100) {
        call.sim.step();
        wakes += 1;
    }
    // A consent check each 5 s on either side: sent, arrived, answered.
    assert!(wakes < 100 / 4 * 2 * 4, "{wakes}");
    assert!(Duration::ZERO < secs(1));
}
