//! Every task a person or CI runs: `cargo xtask <task>`.
//!
//! Each task says what it does, how long it took and where its log is (`target/xtask/*.log`). The crate has no
//! dependencies, so that it compiles in a second.

#![allow(
    clippy::disallowed_methods,
    reason = "tasks measure time and wait for processes"
)]

mod call;
mod environment;
mod fuzz;
mod packages;
mod run;
mod setup;
mod tests;

use std::process::ExitCode;

use run::Failure;

const USAGE: &str = "\
cargo xtask <task>

  setup                  install what building and testing need (Debian: by apt; elsewhere: say the command)
  demo [rtc options]     serve the call page, open it, and take the call with a native peer
  demo --check           the same with headless browsers pressing the page's buttons, and a verdict
       [--browser chromium|firefox|all] [--offer page|native|both] [--dtls auto|1.2|1.3|both]
       [--screenshot FILE]
  test                   format, lints, docs, tests, doc tests, fuzz seeds, the browser calls
  conformance            the tests of RFC and W3C rules, and against other implementations' codecs
  conformance sctp [--scripts DIR]   packetdrill scripts against pc-sctp: those in DIR, or our own
  interop                the tests against real peers, and the browser calls with each DTLS version forced
  bench [filter]         the benchmarks of all crates
  bench sctp             pc-sctp beside other SCTPs, none of them logging
  bench call|data|setup  whole calls, data channels, connecting: beside other stacks and the machine's limits
  fuzz [target] [seconds]   fuzz one target or all of them (60 seconds each)
  coverage               line coverage of the tests, as HTML
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match task {
        "setup" => setup::setup(),
        "demo" => call::demo(rest),
        "test" => tests::test(),
        "conformance" => tests::conformance(rest),
        "interop" => tests::interop(),
        "bench" => tests::bench(rest),
        "fuzz" => fuzz::fuzz(rest),
        "coverage" => tests::coverage(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::new(format!(
            "there is no task \"{other}\"\n\n{USAGE}"
        ))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
