//! Our own packetdrill scripts, one a subject of RFC 9260.
#![allow(missing_docs, unreachable_pub)]

mod calls;
mod chunks;
mod compare;
mod run;
mod script;

use run::Outcome;

fn start() -> std::time::Instant {
    netsim::Network::new(0).now()
}

#[test]
fn every_script_of_ours_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packetdrill/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the scripts are there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 45);
    let mut failures = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("readable");
        let outcome = run::run_strictly(&text, start());
        if outcome != Outcome::Passed {
            failures.push(format!("{}: {outcome:?}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_wrong_expectation_fails() {
    let text = "0 socket(..., SOCK_STREAM, IPPROTO_SCTP) = 3\n+0 connect(3, ..., ...) = -1 EINPROGRESS\n\
                +0 > sctp: INIT_ACK[flgs=0, tag=1, a_rwnd=..., os=..., is=..., tsn=1, ...]\n";
    assert!(matches!(run::run(text, start()), Outcome::Failed(_)));
    let late = text.replace("+0 > sctp: INIT_ACK", "+0.5 > sctp: INIT");
    assert!(matches!(run::run(&late, start()), Outcome::Failed(_)));
}

#[test]
fn what_cannot_be_expressed_is_said_not_passed() {
    let text = "0 setsockopt(3, SOL_SCTP, SCTP_PRIMARY_ADDR, ..., 4) = 0\n";
    assert!(matches!(run::run(text, start()), Outcome::NotApplicable(_)));
}
