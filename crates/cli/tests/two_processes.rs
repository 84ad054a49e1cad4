//! Two `rtc` processes call each other, twice: pictures, sound and messages, both ways.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A process that does not outlive the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rtc(arguments: &[&str]) -> Guarded {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtc"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    Guarded(command.spawn().expect("rtc starts"))
}

fn calls(offer_of_first: &str, offer_of_second: &str) {
    let mut first = rtc(&[
        "demo",
        "--check",
        "--listen",
        "127.0.0.1:0",
        "--room",
        "two",
        "--offer",
        offer_of_first,
    ]);
    let mut output = BufReader::new(first.0.stdout.take().expect("its output"));
    let mut url = String::new();
    output.read_line(&mut url).expect("the address");

    let mut second = rtc(&[
        "call",
        "--check",
        "--probe",
        "--server",
        url.trim(),
        "--room",
        "two",
        "--offer",
        offer_of_second,
    ]);
    let mut verdict_of_second = String::new();
    let mut pipe = second.0.stdout.take().expect("its output");
    pipe.read_to_string(&mut verdict_of_second)
        .expect("its verdict");
    let mut verdict_of_first = String::new();
    output
        .read_to_string(&mut verdict_of_first)
        .expect("its verdict");
    let both = format!("first: {verdict_of_first}second: {verdict_of_second}");
    assert!(second.0.wait().expect("an end").success(), "{both}");
    assert!(first.0.wait().expect("an end").success(), "{both}");
}

#[test]
fn the_caller_in_another_process_offers() {
    calls("page", "native");
}

#[test]
fn the_caller_in_another_process_answers() {
    calls("native", "page");
}
