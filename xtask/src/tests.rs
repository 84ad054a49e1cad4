//! `test`, `conformance`, `interop`, `bench`, `coverage`: what proves the crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{cargo, cargo_has, logs, root, target};
use crate::run::{Failure, Outcome, Step, gather, run_all, task};
use crate::{call, setup};

/// Everything that must hold before a commit.
pub(crate) fn test() -> Outcome {
    task("test", || {
        setup::ensure()?;
        let checks = run_all([
            Step {
                name: "fmt",
                what: "format of all crates",
                command: cargo(["fmt", "--all", "--check"]),
            },
            Step {
                name: "fmt-fuzz",
                what: "format of the fuzz targets",
                command: cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
            },
            Step {
                name: "clippy",
                what: "lints of all crates",
                command: cargo([
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--quiet",
                    "--",
                    "--deny=warnings",
                ]),
            },
            Step {
                name: "doc",
                what: "documentation of all crates",
                command: deny_doc_warnings(cargo(["doc", "--workspace", "--no-deps", "--quiet"])),
            },
            Step {
                name: "test",
                what: "unit and integration tests",
                command: test_command(None),
            },
            Step {
                name: "doctest",
                what: "examples in the documentation",
                command: cargo(["test", "--workspace", "--doc", "--quiet"]),
            },
            Step {
                name: "fuzz-seeds",
                what: "the seeds of the fuzz targets",
                command: in_our_target(cargo([
                    "test",
                    "--manifest-path",
                    "fuzz/Cargo.toml",
                    "--quiet",
                ])),
            },
        ]);
        let calls = call::check(&call::Options::default());
        gather([checks, calls])
    })
}

/// The rules of the standards: test files named `conformance*`, and `differential*`, which compare with others'
/// codecs. With `sctp`: packetdrill scripts, whose verdicts are the output.
pub(crate) fn conformance(arguments: &[String]) -> Outcome {
    match arguments {
        [] => {}
        [part] if part == "sctp" => return packetdrill(&root().join(OUR_SCRIPTS)),
        [part, option, folder] if part == "sctp" && option == "--scripts" => {
            return packetdrill(&std::path::absolute(folder)?);
        }
        _ => {
            return Err(Failure::new(
                "conformance takes nothing, or \"sctp\", or \"sctp --scripts DIR\"",
            ));
        }
    }
    task("conformance", || {
        setup::ensure()?;
        run_all([
            Step {
                name: "conformance",
                what: "rules of the standards, and others' codecs",
                command: test_command(Some("conformance|differential")),
            },
            Step {
                name: "sequences",
                what: "every sequence of six operations on a peer connection",
                command: long_tests(),
            },
        ])
    })
}

const OUR_SCRIPTS: &str = "crates/sctp/tests/packetdrill/scripts";

/// Runs the scripts in a folder and the folders in it.
fn packetdrill(folder: &Path) -> Outcome {
    task("conformance sctp", || {
        let mut command = cargo([
            "run",
            "--quiet",
            "-p",
            "pc-sctp",
            "--example",
            "conformance",
        ]);
        command.arg("--").arg(folder);
        let status = command.status()?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new("not every script passed"))
        }
    })
}

/// Real peers: test files named `interop*` (coturn, OpenSSL, …) and the browsers.
pub(crate) fn interop() -> Outcome {
    task("interop", || {
        setup::ensure()?;
        let peers = run_all([Step {
            name: "interop",
            what: "the tests against other programs",
            command: test_command(Some("interop")),
        }]);
        let calls = call::check(&call::Options::forced_versions());
        gather([peers, calls])
    })
}

/// The benchmarks of whole stacks, by name; those of the crates are chosen by criterion's filter.
const STACK_BENCHES: [&str; 3] = ["call", "data", "setup"];

/// The benchmarks, whose output is the result: without a name those of a call and of all crates.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    if arguments == ["sctp"] {
        return task("bench sctp", bench_sctp);
    }
    task("bench", || {
        setup::ensure()?;
        println!("benchmarks; compare within one run only, on a quiet machine");
        match arguments.first().map(String::as_str) {
            None => {
                shown(stacks("call"))?;
                shown(crate_benches(arguments))
            }
            Some(name) if STACK_BENCHES.contains(&name) => shown(stacks(name)),
            Some(_) => shown(crate_benches(arguments)),
        }
    })
}

fn stacks(name: &str) -> Command {
    cargo([
        "run",
        "--profile",
        "bench",
        "--package",
        "pc-stacks",
        "--",
        name,
    ])
}

fn crate_benches(filter: &[String]) -> Command {
    let mut command = cargo(["bench", "--workspace", "--benches", "--", "--noplot"]);
    command.args(filter);
    command
}

/// Runs a command whose output is for the screen.
fn shown(mut command: Command) -> Outcome {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the benchmarks failed: {status}")))
    }
}

/// The benchmark of `pc-sctp`, with the dcsctp beside it changed in one place: it formats every packet as
/// hexadecimal before it asks whether anybody listens, 25 times of what it costs otherwise.
fn bench_sctp() -> Outcome {
    let source = registry_source("dcsctp-0.1.16")
        .ok_or_else(|| Failure::new("dcsctp's source is not there yet:\n\n  cargo fetch\n"))?;
    let copy = logs().join("dcsctp");
    copy_folder(&source, &copy)?;
    let file = copy.join("src/lib.rs");
    let text = std::fs::read_to_string(&file)?;
    let dump = "sent: bool, data: &[u8]) {\n";
    if !text.contains(dump) {
        return Err(Failure::new("dcsctp's log_packet is not where it was"));
    }
    let quiet = format!("{dump}        if !log::log_enabled!(log::Level::Info) {{ return; }}\n");
    std::fs::write(&file, text.replacen(dump, &quiet, 1))?;
    // Cargo notes the changed crate in the lock file, which is none of the repository's.
    let lock = root().join("Cargo.lock");
    let kept = std::fs::read(&lock)?;
    let mut command = cargo(["bench", "-p", "pc-sctp", "--config"]);
    command.arg(format!("patch.crates-io.dcsctp.path={copy:?}"));
    let status = command.status();
    std::fs::write(&lock, kept)?;
    let status = status?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the benchmark failed: {status}")))
    }
}

/// Where cargo unpacked a crate.
fn registry_source(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?;
    registries
        .flatten()
        .map(|registry| registry.path().join(name))
        .find(|path| path.is_dir())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Line coverage of the tests.
pub(crate) fn coverage() -> Outcome {
    task("coverage", || {
        setup::ensure()?;
        if !cargo_has("llvm-cov") {
            return Err(Failure::new(
                "coverage needs cargo-llvm-cov:\n\n  cargo install --locked cargo-llvm-cov\n",
            ));
        }
        let report = logs().join("coverage");
        let mut command = cargo(["llvm-cov"]);
        if cargo_has("nextest") {
            command.arg("nextest");
        }
        command.args(["--workspace", "--html", "--output-dir"]);
        command.arg(&report);
        let what = "tests with coverage";
        Step {
            name: "coverage",
            what,
            command,
        }
        .run()?;
        let index = report.join("html/index.html");
        println!("the report is {}", index.display());
        Ok(())
    })
}

/// The explorations that are too long for every day.
fn long_tests() -> Command {
    let mut command = cargo(["test", "--package", "peerconnection", "--lib"]);
    command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]);
    command
}

/// All tests, or those of the test files whose names begin with one of `files` (a|b|c), which may need other
/// programs and be ignored otherwise.
fn test_command(files: Option<&str>) -> Command {
    if cargo_has("nextest") {
        let mut command = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
        command.args(["--status-level", "slow", "--hide-progress-bar"]);
        if let Some(files) = files {
            command.args(["--run-ignored", "all", "--no-tests", "pass"]);
            command.args(["--filter-expr", &format!("binary(/^({files})/)")]);
        }
        return command;
    }
    let mut command = cargo(["test", "--workspace", "--no-fail-fast"]);
    match files {
        None => {
            command.args(["--lib", "--bins", "--tests", "--examples"]);
        }
        Some(files) => {
            for file in files.split('|') {
                command.args(["--test", &format!("{file}*")]);
            }
            command.args(["--", "--include-ignored"]);
        }
    }
    command
}

fn deny_doc_warnings(mut command: Command) -> Command {
    command.env("RUSTDOCFLAGS", "--deny=warnings");
    command
}

/// The fuzz package is outside the workspace, and would build everything again in a folder of its own.
pub(crate) fn in_our_target(mut command: Command) -> Command {
    command.env("CARGO_TARGET_DIR", target());
    command
}
