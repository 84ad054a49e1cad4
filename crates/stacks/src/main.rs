//! This stack beside others, whole: `cargo xtask bench call`, `data` and `setup`.
//!
//! Everything runs in one process over loopback, one stack after the other, so that the ratios of one run hold even on
//! a machine whose numbers change from run to run. Each measurement is repeated and the median is printed.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark is about the clock, and its certificates are fresh"
)]

mod limits;
mod measure;
mod ours;
mod proxy;
mod str0m_stack;
mod tables;
mod webrtc021;

use measure::{Cost, start};
use proxy::Wire;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Before a transfer is measured it runs for so long, so that its windows are open.
const WARM_UP: Duration = Duration::from_millis(500);

/// Under what circumstances a stack is measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Case {
    pub(crate) wire: Wire,
    /// Bytes of the sockets' buffers; the kernel's default when `None`.
    pub(crate) socket_buffer: Option<usize>,
}

/// How far the hosts' clocks go on with every frame of the media benchmark: it sends frames as fast as they are handled,
/// and buffers, reports and keep-alives still have the pace of a camera.
pub(crate) const FRAME_TIME: Duration = Duration::from_nanos(33_333_333);

/// Bytes that begin as a VP8 keyframe of 640 by 480 does (RFC 6386 §9.1); nothing here decodes the rest.
pub(crate) fn keyframe(size: usize) -> Vec<u8> {
    let mut frame = vec![0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];
    frame.resize(size, 0x55);
    frame
}

/// What a transfer brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flow {
    pub(crate) bytes: u64,
    pub(crate) cost: Cost,
}

/// Connections that live as long as this does.
pub(crate) trait Kept {}
impl<T> Kept for T {}

/// A stack under measurement.
pub(crate) struct Stack {
    pub(crate) name: &'static str,
    pub(crate) setup: fn(&Case) -> Cost,
    pub(crate) ping_pong: fn(&Case, usize) -> Vec<Duration>,
    pub(crate) transfer: fn(&Case, usize, Duration) -> Flow,
    pub(crate) idle: fn(usize) -> Box<dyn Kept>,
}

pub(crate) const STACKS: [Stack; 3] = [
    Stack {
        name: "ours",
        setup: ours::setup,
        ping_pong: ours::ping_pong,
        transfer: ours::transfer,
        idle: ours::idle,
    },
    Stack {
        name: "str0m",
        setup: str0m_stack::setup,
        ping_pong: str0m_stack::ping_pong,
        transfer: str0m_stack::transfer,
        idle: str0m_stack::idle,
    },
    Stack {
        name: "webrtc 0.21",
        setup: webrtc021::setup,
        ping_pong: webrtc021::ping_pong,
        transfer: webrtc021::transfer,
        idle: webrtc021::idle,
    },
];

/// Counts what arrives for so long.
pub(crate) fn observe(received: &AtomicU64, time: Duration) -> Flow {
    std::thread::sleep(WARM_UP);
    let (before, stop) = (received.load(Ordering::Relaxed), start());
    std::thread::sleep(time);
    counted(received, before, stop)
}

/// As [`observe`], in a task.
pub(crate) async fn observe_async(received: &AtomicU64, time: Duration) -> Flow {
    tokio::time::sleep(WARM_UP).await;
    let (before, stop) = (received.load(Ordering::Relaxed), start());
    tokio::time::sleep(time).await;
    counted(received, before, stop)
}

fn counted(received: &AtomicU64, before: u64, stop: impl FnOnce() -> Cost) -> Flow {
    let cost = stop();
    Flow {
        bytes: received.load(Ordering::Relaxed) - before,
        cost,
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let began = Instant::now();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["idle", stack] => return tables::idle_child(stack),
        ["profile", what] => return tables::profile(what, STACKS[0].name),
        ["profile", what, stack] => return tables::profile(what, stack),
        ["call"] => tables::call(),
        ["data"] => tables::data(),
        ["setup"] => tables::setup(),
        _ => {
            eprintln!("which benchmark? call, data or setup");
            std::process::exit(2);
        }
    }
    println!("\n({:.0} s)", began.elapsed().as_secs_f64());
}
