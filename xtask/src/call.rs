//! `demo`: the call page with a native peer on the other side, for a person or for a verdict.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::{cargo, root, target};
use crate::run::{Failure, Outcome, Step, announce, gather, open_log, report, show_end, task};
use crate::setup;

/// How long the native peer may take to say where it serves.
const SERVE_LIMIT: Duration = Duration::from_secs(20);
/// How long one browser's two calls may take.
const CALL_LIMIT: Duration = Duration::from_secs(240);
/// How long the native peer may take for its verdict when the browser has hung up.
const VERDICT_LIMIT: Duration = Duration::from_secs(20);

/// Which calls `demo --check` makes.
pub(crate) struct Options {
    browsers: Vec<&'static str>,
    offers: Vec<&'static str>,
    /// The DTLS versions that the native peer insists on, one after the other.
    dtls: Vec<&'static str>,
    screenshot: Option<PathBuf>,
}

impl Options {
    /// Both browsers, offers from either side, and each DTLS version forced.
    pub(crate) fn forced_versions() -> Self {
        Self {
            dtls: vec!["1.2", "1.3"],
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            browsers: vec!["chromium", "firefox"],
            offers: vec!["page", "native"],
            dtls: vec!["auto"],
            screenshot: None,
        }
    }
}

pub(crate) fn demo(arguments: &[String]) -> Outcome {
    if arguments.iter().any(|argument| argument == "--check") {
        let options = parse(arguments)?;
        return task("demo --check", || {
            setup::ensure()?;
            check(&options)
        });
    }
    setup::ensure()?;
    build()?;
    // From here on the screen is the native peer's; Ctrl-C ends it and this together.
    let status = Command::new(rtc())
        .args(["demo", "--open"])
        .args(arguments)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("the native peer ended: {status}")))
    }
}

/// Headless browsers press the page's buttons; both sides give their verdict.
pub(crate) fn check(options: &Options) -> Outcome {
    build()?;
    let mut outcomes = Vec::new();
    for browser in &options.browsers {
        for offer in &options.offers {
            for dtls in &options.dtls {
                let screenshot = options.screenshot.as_ref();
                outcomes.push(check_one(&Call {
                    browser,
                    offer,
                    dtls,
                    screenshot,
                }));
            }
        }
    }
    gather(outcomes)
}

fn parse(arguments: &[String]) -> Outcome<Options> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next().map(String::as_str);
            value.ok_or_else(|| Failure::new(format!("{argument} needs a value")))
        };
        match argument.as_str() {
            "--check" => {}
            "--browser" => match value()? {
                "chromium" => options.browsers = vec!["chromium"],
                "firefox" => options.browsers = vec!["firefox"],
                "all" => {}
                other => return Err(Failure::new(format!("no browser \"{other}\""))),
            },
            "--offer" => match value()? {
                "page" => options.offers = vec!["page"],
                "native" => options.offers = vec!["native"],
                "both" => {}
                other => return Err(Failure::new(format!("no side \"{other}\" to offer"))),
            },
            "--dtls" => match value()? {
                "auto" => options.dtls = vec!["auto"],
                "1.2" => options.dtls = vec!["1.2"],
                "1.3" => options.dtls = vec!["1.3"],
                "both" => options.dtls = vec!["1.2", "1.3"],
                other => return Err(Failure::new(format!("no DTLS version \"{other}\""))),
            },
            "--screenshot" => options.screenshot = Some(PathBuf::from(value()?)),
            other => return Err(Failure::new(format!("unknown option \"{other}\""))),
        }
    }
    Ok(options)
}

fn build() -> Outcome {
    let command = cargo(["build", "--quiet", "--package", "pc-cli"]);
    Step {
        name: "demo-build",
        what: "building the native peer",
        command,
    }
    .run()
}

fn rtc() -> PathBuf {
    target().join("debug/rtc")
}

/// A process that does not outlive its check.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Guarded {
    /// Waits for the end, and says whether it came in time and with success.
    fn succeeds_within(&mut self, limit: Duration) -> Outcome<bool> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() > end {
                // Its output ends with it, and what it said so far is the verdict.
                self.0.kill()?;
                self.0.wait()?;
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One browser's calls.
struct Call<'a> {
    browser: &'a str,
    offer: &'a str,
    dtls: &'a str,
    screenshot: Option<&'a PathBuf>,
}

fn check_one(call: &Call<'_>) -> Outcome {
    let Call {
        browser,
        offer,
        dtls,
        ..
    } = call;
    let mut name = format!("call-{browser}-offer-{offer}");
    let mut what = format!("two calls with {browser}, the offer from the {offer}");
    if *dtls != "auto" {
        name.push_str(&format!("-dtls-{dtls}"));
        what.push_str(&format!(", DTLS {dtls}"));
    }
    let (log, file) = open_log(&name)?;
    announce(&what);
    let started = Instant::now();
    let verdicts = two_calls(call, &file);
    report(verdicts.is_ok(), started.elapsed(), &log);
    match verdicts {
        Ok((page, native)) => {
            println!("    page:   {page}\n    native: {native}");
            Ok(())
        }
        Err(failure) => {
            show_end(&log);
            Err(Failure::new(format!("{name} failed: {failure}")))
        }
    }
}

/// Runs the native peer and the browser, and returns the verdict of each.
fn two_calls(call: &Call<'_>, log: &std::fs::File) -> Outcome<(String, String)> {
    let Call {
        browser,
        offer,
        dtls,
        screenshot,
    } = *call;
    let mut command = Command::new(rtc());
    command
        .args([
            "demo",
            "--check",
            "--listen",
            "127.0.0.1:0",
            "--room",
            "check",
            "--offer",
            offer,
            "--dtls",
            dtls,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.try_clone()?);
    let mut peer = Guarded(command.spawn()?);
    let native = lines_of(&mut peer.0, log)?;
    let url = native
        .recv_timeout(SERVE_LIMIT)
        .map_err(|_| Failure::new("the native peer does not say where it serves"))?;

    let mut command = Command::new("node");
    command
        .current_dir(root().join("web"))
        .args(["check/call.mjs", "--url", &url, "--room", "check"])
        .args(["--browser", browser, "--offer", offer, "--dtls", dtls])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log.try_clone()?);
    if let Some(path) = screenshot {
        command.arg("--screenshot").arg(std::path::absolute(path)?);
    }
    let mut page = Guarded(command.spawn()?);
    let page_lines = lines_of(&mut page.0, log)?;
    let page_ok = page.succeeds_within(CALL_LIMIT)?;
    let page_verdict = last(&page_lines);
    if !page_ok {
        return Err(Failure::new(format!("the page says {page_verdict}")));
    }
    let native_ok = peer.succeeds_within(VERDICT_LIMIT)?;
    let native_verdict = last(&native);
    if !native_ok {
        return Err(Failure::new(format!(
            "the native peer says {native_verdict}"
        )));
    }
    Ok((page_verdict, native_verdict))
}

/// The lines a process prints, each also in the log.
fn lines_of(child: &mut Child, log: &std::fs::File) -> Outcome<mpsc::Receiver<String>> {
    let Some(output) = child.stdout.take() else {
        return Err(Failure::new("the process has no output"));
    };
    let mut log = log.try_clone()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // A log that cannot be written is no reason to fail the call.
            let _ = writeln!(log, "{line}");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// The last line of a process that has ended.
fn last(lines: &mpsc::Receiver<String>) -> String {
    lines.iter().last().unwrap_or_else(|| "nothing".to_owned())
}
