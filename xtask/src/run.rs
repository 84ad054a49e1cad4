//! Running a step: what it does on the screen, its output in a log, its duration at the end.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::environment::logs;

/// How much of a failed step's log is shown.
const SHOWN_LINES: usize = 60;

/// Why a task failed, in words for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// One part of a task: a name for its log, what it does in words, and the command.
pub(crate) struct Step<'a> {
    pub(crate) name: &'a str,
    pub(crate) what: &'a str,
    pub(crate) command: Command,
}

impl Step<'_> {
    /// Runs the command with its output in the log, and says how it went.
    pub(crate) fn run(mut self) -> Outcome {
        let (log, file) = open_log(self.name)?;
        announce(self.what);
        let started = Instant::now();
        self.command.stdin(std::process::Stdio::null());
        self.command.stdout(file.try_clone()?).stderr(file);
        let program = self.command.get_program().to_string_lossy().into_owned();
        let status = self
            .command
            .status()
            .map_err(|error| Failure::new(format!("{program} does not start: {error}")))?;
        report(status.success(), started.elapsed(), &log);
        if status.success() {
            return Ok(());
        }
        show_end(&log);
        Err(Failure::new(format!("{} failed: {status}", self.name)))
    }
}

/// Runs every step even after a failure, so that one run shows all that is wrong.
pub(crate) fn run_all<'a>(steps: impl IntoIterator<Item = Step<'a>>) -> Outcome {
    gather(steps.into_iter().map(Step::run))
}

/// One failure out of many outcomes.
pub(crate) fn gather(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|failure| failure.to_string()))
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure(failures.join("\n")))
    }
}

/// Says how a whole task went.
pub(crate) fn task(name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
    let started = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "passed" } else { "FAILED" };
    println!(
        "{name} {verdict} in {}; logs in {}",
        duration(started.elapsed()),
        logs().display()
    );
    outcome
}

pub(crate) fn open_log(name: &str) -> Outcome<(PathBuf, File)> {
    fs::create_dir_all(logs())?;
    let path = logs().join(format!("{name}.log"));
    let file = File::create(&path)?;
    Ok((path, file))
}

pub(crate) fn announce(what: &str) {
    print!("{what:<58} ");
    // The words should be there while the step runs; a closed screen is no reason to stop.
    let _ = io::stdout().flush();
}

pub(crate) fn report(success: bool, elapsed: Duration, log: &Path) {
    let verdict = if success { "ok" } else { "FAILED" };
    println!("{verdict:<7}{:>8}  {}", duration(elapsed), log.display());
}

pub(crate) fn show_end(log: &Path) {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(SHOWN_LINES);
    for line in &lines[first..] {
        println!("    {line}");
    }
}

fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60)
    }
}
