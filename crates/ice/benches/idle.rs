//! What 10,000 connected agents cost while nothing happens: memory each, and CPU for keeping consent.
//!
//! ```text
//! cargo bench -p pc-ice --bench idle
//! ```
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use ice::{Agent, Config, LocalSocket, Path, Role, State};
use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

/// Agents, two of which make a pair: `2 n` and `2 n + 1`.
const AGENTS: usize = 10_000;

fn addr(index: usize) -> SocketAddr {
    let ip = 0x0a00_0000 + (index as u32 >> 1);
    SocketAddr::from((std::net::Ipv4Addr::from_bits(ip), 5000 + (index as u16 & 1)))
}

/// Delivers what is due between the two, until nothing is.
fn settle(pair: &mut [Agent], first: usize, now: Instant, buf: &mut Vec<u8>) -> u64 {
    let mut moved = 0;
    loop {
        let mut quiet = true;
        for side in 0..2 {
            buf.clear();
            while pair[side].poll_transmit(now, buf).is_some() {
                let path = Path::udp(addr(first + 1 - side), addr(first + side));
                let _ = pair[1 - side].handle_datagram(now, path, buf);
                buf.clear();
                moved += 1;
                quiet = false;
            }
            while pair[side].poll_event().is_some() {}
        }
        if quiet {
            return moved;
        }
    }
}

fn main() {
    let mut now = Instant::now();
    let before = measure::live_bytes();
    let began = Instant::now();
    let mut buf = Vec::with_capacity(2048);
    let mut agents = Vec::with_capacity(AGENTS);
    for index in 0..AGENTS {
        let mut config = Config::default();
        config.role = [Role::Controlling, Role::Controlled][index & 1];
        let mut agent = Agent::new(config, StdRng::seed_from_u64(index as u64));
        agent.add_local_socket(now, LocalSocket::udp(addr(index)));
        agent.local_sockets_complete(now);
        agents.push(agent);
    }
    for (number, pair) in agents.chunks_exact_mut(2).enumerate() {
        for side in 0..2 {
            let parameters = pair[1 - side].local_parameters().clone();
            let candidates: Vec<_> = pair[1 - side].local_candidates().cloned().collect();
            pair[side]
                .set_remote_parameters(now, parameters)
                .expect("parameters");
            for candidate in candidates {
                pair[side]
                    .add_remote_candidate(now, candidate)
                    .expect("a candidate");
            }
            pair[side].end_of_remote_candidates(now);
        }
        settle(pair, 2 * number, now, &mut buf);
        for side in pair {
            assert_eq!(side.state(), State::Completed);
        }
    }
    let setup = began.elapsed();
    // Let what setting up has left expire.
    let run = |agents: &mut [Agent], now: &mut Instant, buf: &mut Vec<u8>, seconds: u64| {
        let end = *now + Duration::from_secs(seconds);
        let (mut moved, mut wakes) = (0, 0u64);
        while *now < end {
            // A timer wheel of 100 ms, as a server might have.
            *now += Duration::from_millis(100);
            for (number, pair) in agents.chunks_exact_mut(2).enumerate() {
                let mut due = false;
                for side in pair.iter_mut() {
                    if side.poll_timeout().is_some_and(|at| at <= *now) {
                        side.handle_timeout(*now);
                        due = true;
                        wakes += 1;
                    }
                }
                if due {
                    moved += settle(pair, 2 * number, *now, buf);
                }
            }
        }
        (moved, wakes)
    };
    run(&mut agents, &mut now, &mut buf, 30);
    let memory = measure::live_bytes() - before;
    let calls = measure::allocations();
    let began = Instant::now();
    let seconds = 60;
    let (moved, wakes) = run(&mut agents, &mut now, &mut buf, seconds);
    let cpu = began.elapsed();
    let calls = measure::allocations() - calls;
    let rounds = moved / 2;
    println!("agents                          {AGENTS}");
    println!(
        "setup, CPU an agent             {:.1} µs",
        setup.as_secs_f64() * 1e6 / AGENTS as f64
    );
    println!(
        "memory, an idle agent           {:.1} KiB",
        memory as f64 / AGENTS as f64 / 1024.0
    );
    println!(
        "consent round, both sides       {:.2} µs",
        cpu.as_secs_f64() * 1e6 / rounds as f64
    );
    println!(
        "allocations a consent round     {:.2}",
        calls as f64 / rounds as f64
    );
    println!(
        "idle CPU, an agent              {:.2} µs/s",
        cpu.as_secs_f64() * 1e6 / AGENTS as f64 / seconds as f64
    );
    println!(
        "wakes, an agent a minute        {:.1}",
        wakes as f64 / AGENTS as f64
    );
    for agent in &agents {
        assert_eq!(agent.state(), State::Completed);
    }
}
