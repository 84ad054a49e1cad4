//! Runs packetdrill scripts against an association: `cargo run -p pc-sctp --example conformance -- DIR`.
//! Ends with a failure where a script fails; what a single-homed endpoint without sockets cannot express is counted apart.
#![allow(missing_docs, unreachable_pub, dead_code)]

#[path = "../tests/packetdrill/calls.rs"]
mod calls;
#[path = "../tests/packetdrill/chunks.rs"]
mod chunks;
#[path = "../tests/packetdrill/compare.rs"]
mod compare;
#[path = "../tests/packetdrill/run.rs"]
mod run;
#[path = "../tests/packetdrill/script.rs"]
mod script;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            found.push(path);
        }
    }
}

fn main() -> ExitCode {
    let mut paths = Vec::new();
    for folder in std::env::args().skip(1) {
        scripts(Path::new(&folder), &mut paths);
    }
    if paths.is_empty() {
        eprintln!("usage: conformance DIR... (folders with .pkt scripts)");
        return ExitCode::FAILURE;
    }
    paths.sort();
    let (mut passed, mut failed, mut not_applicable) = (0, 0, 0);
    for path in &paths {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        let start = netsim::Network::new(0).now();
        let outcome = run::run(&text, start);
        let word = match &outcome {
            run::Outcome::Passed => {
                passed += 1;
                "passed".to_owned()
            }
            run::Outcome::Failed(reason) => {
                failed += 1;
                format!("FAILED: {reason}")
            }
            run::Outcome::NotApplicable(reason) => {
                not_applicable += 1;
                format!("not applicable: {reason}")
            }
        };
        println!("{}: {word}", path.display());
    }
    println!("{passed} passed, {failed} failed, {not_applicable} not applicable");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
