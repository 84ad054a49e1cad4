//! The C program that runs libsrtp: built once a test process, from `tests/libsrtp/driver.c`.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program, or `None` (with the reason printed) where a C compiler or libsrtp2-dev is missing.
pub fn driver() -> Option<&'static PathBuf> {
    static DRIVER: OnceLock<Option<PathBuf>> = OnceLock::new();
    DRIVER
        .get_or_init(|| {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/libsrtp/driver.c");
            let program =
                std::env::temp_dir().join(format!("pc-srtp-driver-{}", std::process::id()));
            let built = Command::new("cc")
                .args(["-O2", "-Wall", "-o"])
                .arg(&program)
                .args([source, "-lsrtp2"])
                .status();
            if built.is_ok_and(|status| status.success()) {
                return Some(program);
            }
            println!("skipped: no C compiler or no libsrtp2-dev");
            None
        })
        .as_ref()
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    ProtectRtp = 0,
    ProtectRtcp = 1,
    OpenRtp = 2,
    OpenRtcp = 3,
}

/// Sends packets through libsrtp, and returns what came of each; `None` for one that was refused.
pub fn run(arguments: &[&str], packets: &[(Operation, Vec<u8>)]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut child = Command::new(driver()?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = Vec::new();
    for (operation, packet) in packets {
        input.push(*operation as u8);
        input.extend_from_slice(&(packet.len() as u32).to_le_bytes());
        input.extend_from_slice(packet);
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    let mut rest = &output[..];
    let mut results = Vec::with_capacity(packets.len());
    while let [status, a, b, c, d, tail @ ..] = rest {
        let (packet, tail) = tail.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        results.push((*status == 0).then(|| packet.to_vec()));
        rest = tail;
    }
    assert_eq!(results.len(), packets.len());
    Some(results)
}

/// Nanoseconds of protecting and of opening an RTP packet.
#[allow(dead_code, reason = "the benchmark's part")]
pub fn bench(profile: &str, key_and_salt: &str, packets: usize, len: usize) -> Option<(f64, f64)> {
    let output = Command::new(driver()?)
        .args([
            "bench",
            profile,
            key_and_salt,
            &packets.to_string(),
            &len.to_string(),
        ])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (protect, open) = text.trim().split_once(' ')?;
    Some((protect.parse().ok()?, open.parse().ok()?))
}

/// Removes the program; called by whoever ends last.
#[allow(dead_code, reason = "the benchmark's part")]
pub fn clean_up() {
    if let Some(program) = driver() {
        let _ = std::fs::remove_file(program);
    }
}
