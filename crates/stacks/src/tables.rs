//! The tables that are printed.

use crate::measure::{cpu, micros, millis, percentile, resident};
use crate::proxy::Wire;
use crate::{Case, Flow, STACKS, Stack, limits, ours, str0m_stack};
use std::process::Command;
use std::time::Duration;

const GIB: f64 = (1_u64 << 30) as f64;
const ENLARGED: usize = 4 << 20;
/// Payload of one RTP packet in the media benchmark.
const PACKET: usize = 1_100;
const PACKETS_IN_A_FRAME: usize = 30;
/// Repetitions of which the median counts.
const REPEATS: usize = 3;

fn enlarged() -> Case {
    Case {
        socket_buffer: Some(ENLARGED),
        ..Case::default()
    }
}

/// The limits of the machine, then a call's parts beside str0m.
pub(crate) fn call() {
    println!("limits of this machine, CPU µs a 1,200-byte datagram, both ends");
    println!("  UDP, one system call each   {:7.2}", limits::one_by_one());
    match limits::joined() {
        Some(cost) => println!("  UDP, GSO and GRO            {cost:7.2}"),
        None => println!("  UDP, GSO and GRO               not here"),
    }
    println!("  AES-128-GCM in place        {:7.2}", limits::seal());
    let (median, late) = limits::ping_pong(20_000);
    println!("  UDP round trip, µs          {median:7.1} p50 {late:7.1} p99");

    println!("\nfrom creation to a data channel that is open on both ends");
    println!(
        "  {:12} {:>8} {:>8} {:>10}",
        "", "p50 ms", "p99 ms", "CPU ms"
    );
    for stack in &STACKS {
        setup_row(stack, &Case::default(), 100);
    }

    println!("\nround trip of 64 bytes over a data channel");
    println!("  {:12} {:>8} {:>8}", "", "p50 µs", "p99 µs");
    for stack in &STACKS {
        ping_pong_row(stack, 20_000);
    }

    println!("\none data channel, 16 KiB messages, 4 MiB socket buffers");
    transfer_rows(&STACKS, &enlarged(), 16 << 10);

    println!("\nmedia: VP8 frames of {PACKETS_IN_A_FRAME} packets, sent and received");
    println!("  {:12} {:>12} {:>12}", "", "CPU µs/pkt", "packets/s");
    let mut base = None;
    for (name, run) in [
        ("ours", ours::media as fn(usize, usize) -> _),
        ("str0m", str0m_stack::media),
    ] {
        let frames = 5_000;
        let mut costs: Vec<(f64, f64)> = (0..REPEATS)
            .map(|_| {
                let (arrived, cost) = run(frames, PACKET * PACKETS_IN_A_FRAME);
                let packets = (arrived * PACKETS_IN_A_FRAME) as f64;
                assert!(arrived * 10 > frames * 9, "{name}: {arrived} of {frames}");
                (
                    micros(cost.cpu) / packets,
                    packets / cost.elapsed.as_secs_f64(),
                )
            })
            .collect();
        costs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (each, rate) = costs[REPEATS / 2];
        println!(
            "  {name:12} {each:12.2} {rate:12.0}   {}",
            ratio(each, &mut base)
        );
    }
}

/// "1.0 x" for the first, and how many times as much for the others.
fn ratio(value: f64, base: &mut Option<f64>) -> String {
    let base = *base.get_or_insert(value);
    format!("{:.2} x", value / base)
}

fn setup_row(stack: &Stack, case: &Case, rounds: usize) {
    let mut times = Vec::with_capacity(rounds);
    let mut used = Duration::ZERO;
    for _ in 0..rounds {
        let cost = (stack.setup)(case);
        times.push(cost.elapsed);
        used += cost.cpu;
    }
    println!(
        "  {:12} {:8.2} {:8.2} {:10.2}",
        stack.name,
        millis(percentile(&mut times, 0.5)),
        millis(percentile(&mut times, 0.99)),
        millis(used) / rounds as f64,
    );
}

fn ping_pong_row(stack: &Stack, rounds: usize) {
    let mut runs: Vec<(f64, f64)> = (0..REPEATS)
        .map(|_| {
            let mut samples = (stack.ping_pong)(&Case::default(), rounds);
            (
                micros(percentile(&mut samples, 0.5)),
                micros(percentile(&mut samples, 0.99)),
            )
        })
        .collect();
    runs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (median, late) = runs[REPEATS / 2];
    println!("  {:12} {median:8.1} {late:8.1}", stack.name);
}

fn rate(flow: &Flow) -> f64 {
    flow.bytes as f64 / 1e6 / flow.cost.elapsed.as_secs_f64()
}

fn cost_of_gib(flow: &Flow) -> f64 {
    flow.cost.cpu.as_secs_f64() * GIB / flow.bytes.max(1) as f64
}

fn transfer_rows(stacks: &[Stack], case: &Case, message: usize) {
    println!(
        "  {:12} {:>8} {:>10} {:>14}",
        "", "MB/s", "CPU s/GiB", "CPU µs/1,191 B"
    );
    let mut base = None;
    for stack in stacks {
        let mut flows: Vec<Flow> = (0..REPEATS)
            .map(|_| (stack.transfer)(case, message, Duration::from_millis(1_500)))
            .collect();
        flows.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
        let flow = &flows[REPEATS / 2];
        println!(
            "  {:12} {:8.1} {:10.2} {:14.2}   {}",
            stack.name,
            rate(flow),
            cost_of_gib(flow),
            cost_of_gib(flow) * 1e6 * 1191.0 / GIB,
            ratio(rate(flow), &mut base),
        );
    }
}

/// Data channels: every size, with large and default buffers and with loss.
pub(crate) fn data() {
    println!("round trip of 64 bytes");
    println!("  {:12} {:>8} {:>8}", "", "p50 µs", "p99 µs");
    for stack in &STACKS {
        ping_pong_row(stack, 20_000);
    }
    let lossy = Case {
        wire: Wire {
            loss: 0.01,
            ..Wire::default()
        },
        socket_buffer: Some(ENLARGED),
    };
    for (words, case) in [
        ("4 MiB socket buffers", enlarged()),
        ("the kernel's default buffers", Case::default()),
        ("4 MiB socket buffers, 1 % loss on a wire between", lossy),
    ] {
        for message in [1_200, 16 << 10, 64 << 10] {
            println!("\nmessages of {message} bytes, {words}");
            transfer_rows(&STACKS, &case, message);
        }
    }
}

/// Connecting, and what a connection costs that has nothing to do.
pub(crate) fn setup() {
    for (words, wire, rounds) in [
        ("loopback", Wire::default(), 100),
        (
            "a wire of 100 ms round trip",
            Wire {
                delay: Duration::from_millis(50),
                ..Wire::default()
            },
            7,
        ),
    ] {
        println!("from creation to a data channel open on both ends, {words}");
        println!(
            "  {:12} {:>8} {:>8} {:>10}",
            "", "p50 ms", "p99 ms", "CPU ms"
        );
        let case = Case {
            wire,
            ..Case::default()
        };
        for stack in &STACKS {
            setup_row(stack, &case, rounds);
        }
        println!();
    }
    println!("{IDLE} connections in one process, idle");
    println!("  {:12} {:>12} {:>12}", "", "KiB each", "CPU µs/s each");
    let me = std::env::current_exe().expect("this program");
    for stack in &STACKS {
        // A process each: memory that another stack has freed would be reused unseen.
        let output = Command::new(&me).args(["idle", stack.name]).output();
        let output = output.expect("this program starts again");
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

const IDLE: usize = 200;

/// The part of [`setup`] that runs in a process of its own.
pub(crate) fn idle_child(name: &str) {
    let stack = stack(name);
    // Tables, thread pools and the first connection's one-time work are no connection's memory.
    drop((stack.idle)(2));
    let before = resident();
    let kept = (stack.idle)(IDLE);
    std::thread::sleep(Duration::from_secs(1));
    let memory = resident().saturating_sub(before);
    let (watched, used) = (Duration::from_secs(5), cpu());
    std::thread::sleep(watched);
    let used = cpu() - used;
    println!(
        "  {:12} {:12.1} {:12.1}",
        stack.name,
        memory as f64 / 1024.0 / IDLE as f64,
        micros(used) / watched.as_secs_f64() / IDLE as f64,
    );
    drop(kept);
}

fn stack(name: &str) -> &'static Stack {
    STACKS
        .iter()
        .find(|stack| stack.name == name)
        .unwrap_or_else(|| {
            eprintln!("there is no stack \"{name}\"");
            std::process::exit(2);
        })
}

/// One piece of work of one stack alone, for a profiler to look at; media is there of ours.
pub(crate) fn profile(what: &str, name: &str) {
    let stack = stack(name);
    match what {
        "media" => {
            let (frames, cost) = ours::media(20_000, PACKET * PACKETS_IN_A_FRAME);
            let packets = (frames * PACKETS_IN_A_FRAME) as f64;
            println!("{:.2} CPU µs a packet", micros(cost.cpu) / packets);
        }
        "setup" => {
            let rounds = 300;
            let used: Duration = (0..rounds)
                .map(|_| (stack.setup)(&Case::default()).cpu)
                .sum();
            println!("{:.2} CPU ms a pair", millis(used) / f64::from(rounds));
        }
        _ => {
            for case in [enlarged(), Case::default()] {
                let flow = (stack.transfer)(&case, 16 << 10, Duration::from_secs(5));
                let (rate, cost) = (rate(&flow), cost_of_gib(&flow));
                println!("{rate:.1} MB/s, {cost:.2} CPU s/GiB, {case:?}");
            }
        }
    }
}
