//! `fuzz`: libFuzzer on the stable compiler, one target after the other.
//!
//! The flags ask LLVM for what libFuzzer reads: counters on each edge, a table of program counters, and traces
//! of comparisons. Address sanitizer would need a nightly compiler; without `unsafe` there is little for it to
//! find. `cargo +nightly fuzz run --features libfuzzer <target>` adds it.

use std::fs;
use std::process::Command;

use crate::environment::{cargo, output_of, root, target};
use crate::run::{Failure, Outcome, Step, gather, task};
use crate::setup;
use crate::tests::in_our_target;

const FLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 --cfg=fuzzing";

const DEFAULT_SECONDS: &str = "60";

pub(crate) fn fuzz(arguments: &[String]) -> Outcome {
    let (chosen, seconds) = match arguments {
        [] => (None, DEFAULT_SECONDS),
        [one] if one.parse::<u32>().is_ok() => (None, one.as_str()),
        [target] => (Some(target.as_str()), DEFAULT_SECONDS),
        [target, seconds, ..] => (Some(target.as_str()), seconds.as_str()),
    };
    if seconds.parse::<u32>().is_err() {
        return Err(Failure::new(format!(
            "\"{seconds}\" is no number of seconds"
        )));
    }
    let targets = targets()?;
    let targets: Vec<String> = match chosen {
        None => targets,
        Some(name) if targets.iter().any(|target| target == name) => vec![name.to_owned()],
        Some(name) => {
            let known = targets.join("\n  ");
            return Err(Failure::new(format!(
                "there is no target \"{name}\"; there are\n  {known}"
            )));
        }
    };

    task("fuzz", || {
        setup::ensure()?;
        let host = host()?;
        let mut build = in_our_target(cargo(["build", "--release", "--features", "libfuzzer"]));
        build
            .args(["--manifest-path", "fuzz/Cargo.toml", "--target", &host])
            .env("RUSTFLAGS", FLAGS);
        for name in &targets {
            build.args(["--bin", name]);
        }
        Step {
            name: "fuzz-build",
            what: "building the targets",
            command: build,
        }
        .run()?;
        let binaries = target().join(&host).join("release");
        gather(targets.iter().map(|name| {
            let fuzz = root().join("fuzz");
            let corpus = fuzz.join("corpus").join(name);
            let artifacts = fuzz.join("artifacts").join(name);
            fs::create_dir_all(&corpus)?;
            fs::create_dir_all(&artifacts)?;
            let mut command = Command::new(binaries.join(name));
            command
                .current_dir(&fuzz)
                .arg(&corpus)
                .arg(fuzz.join("seeds").join(name))
                .arg(format!("-artifact_prefix={}/", artifacts.display()))
                .arg(format!("-max_total_time={seconds}"))
                .args(["-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1"]);
            let what = format!("{name}, {seconds} s");
            Step {
                name: &format!("fuzz-{name}"),
                what: &what,
                command,
            }
            .run()
        }))
    })
}

/// A target is a file in `fuzz/fuzz_targets`.
fn targets() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if let (Some(stem), Some("rs")) = (
            path.file_stem().and_then(|stem| stem.to_str()),
            path.extension().and_then(|extension| extension.to_str()),
        ) {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The compiler's own platform. Naming it keeps the flags away from build scripts.
fn host() -> Outcome<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let version = output_of(rustc).unwrap_or_default();
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("rustc -vV does not say its host"))
}
