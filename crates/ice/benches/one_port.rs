//! What 10,000 agents behind one port cost: memory for each idle agent, and CPU for a round of consent.
//!
//! ```text
//! cargo bench -p pc-ice --bench one_port
//! ```
//!
//! The agents of a server share one address and are told apart by [`Mux`]; each has a client of its own. What is measured is the
//! server's part alone: its agents, the table, and the way of every datagram through it, without system calls.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use ice::{Agent, Config, Input, LocalSocket, Mux, MuxKey, Path, Role, State};
use rand::{SeedableRng, rngs::StdRng};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

const AGENTS: usize = 10_000;

fn port() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 3478))
}

fn client_addr(index: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + index as u32), 5000))
}

fn index_of(client: SocketAddr) -> usize {
    let SocketAddr::V4(v4) = client else {
        unreachable!("clients have IPv4 addresses");
    };
    (v4.ip().to_bits() - 0x0a00_0000) as usize
}

fn agent(role: Role, addr: SocketAddr, seed: u64, now: Instant) -> Agent {
    let mut config = Config::default();
    config.role = role;
    let mut agent = Agent::new(config, StdRng::seed_from_u64(seed));
    agent.add_local_socket(now, LocalSocket::udp(addr));
    agent.local_sockets_complete(now);
    agent
}

/// What this thread has had of the CPU; other work on the machine does not count.
fn cpu() -> Duration {
    measure::thread_cpu_time().expect("a system that tells")
}

/// What the server's part has cost.
#[derive(Default)]
struct Cost {
    time: Duration,
    /// How much of the time this thread had the CPU.
    share: f64,
    calls: u64,
    /// Consent checks that the server's agents have had answered, and those of their peers that they have answered.
    answered: u64,
    served: u64,
    wakes: u64,
}

struct World {
    now: Instant,
    mux: Mux<Box<Agent>>,
    keys: Vec<MuxKey>,
    clients: Vec<Agent>,
    cost: Cost,
    buf: Vec<u8>,
    /// Datagrams on their way: from the clients, and to them.
    inward: Vec<(SocketAddr, Vec<u8>)>,
    outward: Vec<(SocketAddr, Vec<u8>)>,
    /// Memory of datagrams, used again.
    spare: Vec<Vec<u8>>,
}

impl World {
    /// At a tick the server's agents that are due, and what has come in at the port.
    fn serve(&mut self, tick: bool) {
        let inward = std::mem::take(&mut self.inward);
        let calls = measure::allocations();
        let began = Instant::now();
        for &key in self.keys.iter().filter(|_| tick) {
            let Some(agent) = self.mux.get_mut(key) else {
                continue;
            };
            if agent.poll_timeout().is_some_and(|at| at <= self.now) {
                agent.handle_timeout(self.now);
                self.cost.wakes += 1;
                Self::send(
                    self.now,
                    &mut self.mux,
                    key,
                    &mut self.buf,
                    &mut self.outward,
                    &mut self.spare,
                );
            }
        }
        for (from, datagram) in &inward {
            let path = Path::udp(port(), *from);
            let Some(key) = self.mux.route(path, datagram) else {
                continue;
            };
            let Some(agent) = self.mux.get_mut(key) else {
                continue;
            };
            if agent.handle_datagram(self.now, path, datagram) == Input::Consumed {
                self.mux.accepted(key, path, datagram);
                let request =
                    stun::peek(datagram).is_some_and(|(class, ..)| class == stun::Class::Request);
                match request {
                    true => self.cost.served += 1,
                    false => self.cost.answered += 1,
                }
            }
            Self::send(
                self.now,
                &mut self.mux,
                key,
                &mut self.buf,
                &mut self.outward,
                &mut self.spare,
            );
        }
        self.cost.time += began.elapsed();
        self.cost.calls += measure::allocations() - calls;
        for (_, mut datagram) in inward {
            datagram.clear();
            self.spare.push(datagram);
        }
    }

    fn send(
        now: Instant,
        mux: &mut Mux<Box<Agent>>,
        key: MuxKey,
        buf: &mut Vec<u8>,
        outward: &mut Vec<(SocketAddr, Vec<u8>)>,
        spare: &mut Vec<Vec<u8>>,
    ) {
        while let Some(transmit) = mux
            .get_mut(key)
            .and_then(|agent| agent.poll_transmit(now, buf))
        {
            mux.sent(now, key, transmit.path(), buf);
            let mut datagram = spare.pop().unwrap_or_else(|| Vec::with_capacity(256));
            datagram.extend_from_slice(buf);
            outward.push((transmit.remote, datagram));
            buf.clear();
        }
        while let Some(event) = mux.get_mut(key).and_then(|agent| agent.poll_event()) {
            black_box(event);
        }
    }

    /// The clients' part, which is not counted.
    fn clients(&mut self, tick: bool) {
        for (to, datagram) in std::mem::take(&mut self.outward) {
            let index = index_of(to);
            let path = Path::udp(to, port());
            let _ = self.clients[index].handle_datagram(self.now, path, &datagram);
            self.collect(index);
            let mut datagram = datagram;
            datagram.clear();
            self.spare.push(datagram);
        }
        for index in (0..self.clients.len()).filter(|_| tick) {
            let due = self.clients[index].poll_timeout();
            if due.is_some_and(|at| at <= self.now) {
                self.clients[index].handle_timeout(self.now);
                self.collect(index);
            }
        }
    }

    fn collect(&mut self, index: usize) {
        let client = &mut self.clients[index];
        while client.poll_transmit(self.now, &mut self.buf).is_some() {
            let mut datagram = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(256));
            datagram.extend_from_slice(&self.buf);
            self.inward.push((client_addr(index), datagram));
            self.buf.clear();
        }
        while client.poll_event().is_some() {}
    }

    /// Until this many seconds from now, with timers as coarse as a server's wheel.
    fn run(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let (began, had) = (Instant::now(), cpu());
        while self.now < end {
            self.now += Duration::from_millis(50);
            self.clients(true);
            self.serve(true);
            while !self.outward.is_empty() || !self.inward.is_empty() {
                self.clients(false);
                self.serve(false);
            }
        }
        let had = cpu().saturating_sub(had);
        self.cost.share = had.as_secs_f64() / began.elapsed().as_secs_f64();
    }
}

fn main() {
    let now = Instant::now();
    let mut clients: Vec<Agent> = (0..AGENTS)
        .map(|index| {
            let seed = 1_000_000 + index as u64;
            agent(Role::Controlling, client_addr(index), seed, now)
        })
        .collect();
    let mut keys = Vec::with_capacity(AGENTS);
    let mut mux = Mux::new(&mut StdRng::seed_from_u64(1));
    for (index, client) in clients.iter_mut().enumerate() {
        let mut ours = agent(Role::Controlled, port(), index as u64, now);
        ours.set_remote_parameters(now, client.local_parameters().clone())
            .expect("parameters");
        for candidate in client.local_candidates() {
            ours.add_remote_candidate(now, candidate.clone())
                .expect("a candidate");
        }
        ours.end_of_remote_candidates(now);
        let ufrag = ours.local_parameters().ufrag.clone();
        keys.push(mux.insert(Box::new(ours)));
        mux.add_ufrag(keys[index], &ufrag);
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let ours = mux.get(keys[index]).expect("the agent");
        client
            .set_remote_parameters(now, ours.local_parameters().clone())
            .expect("parameters");
        for candidate in ours.local_candidates() {
            client
                .add_remote_candidate(now, candidate.clone())
                .expect("a candidate");
        }
        client.end_of_remote_candidates(now);
    }
    let mut world = World {
        now,
        mux,
        keys,
        clients,
        cost: Cost::default(),
        buf: Vec::with_capacity(2048),
        inward: Vec::new(),
        outward: Vec::new(),
        spare: Vec::new(),
    };
    world.run(5);
    let setup = std::mem::take(&mut world.cost);
    // Let what setting up has left expire.
    world.run(60);
    world.cost = Cost::default();
    let seconds = 60;
    world.run(seconds);
    let cost = std::mem::take(&mut world.cost);
    for key in &world.keys {
        let agent = world.mux.get(*key).expect("the agent");
        assert_eq!(agent.state(), State::Completed);
    }
    assert_eq!(*world.mux.counters(), ice::MuxCounters::default());
    let World { mux, clients, .. } = world;
    // What is freed with the server's part is what it had.
    let with = measure::live_bytes();
    drop(mux);
    let memory = with - measure::live_bytes();
    drop(clients);

    let rounds = cost.answered + cost.served;
    let agents = AGENTS as f64;
    let cpu = |cost: &Cost| cost.time.as_secs_f64() * cost.share;
    println!("agents behind one port               {AGENTS}");
    println!(
        "setup, CPU an agent                  {:.1} µs",
        cpu(&setup) * 1e6 / agents
    );
    println!(
        "memory, an idle agent and its entry  {:.2} KiB",
        memory as f64 / agents / 1024.0
    );
    println!(
        "consent rounds a second              {:.0} ({:.0} asked, {:.0} answered)",
        rounds as f64 / seconds as f64,
        cost.answered as f64 / seconds as f64,
        cost.served as f64 / seconds as f64
    );
    println!(
        "CPU a consent round                  {:.2} µs",
        cpu(&cost) * 1e6 / rounds as f64
    );
    println!(
        "allocations a consent round          {:.2}",
        cost.calls as f64 / rounds as f64
    );
    println!(
        "idle CPU, all agents                 {:.2} % of a core",
        cpu(&cost) * 100.0 / seconds as f64
    );
    println!(
        "wakes, an agent a minute             {:.1}",
        cost.wakes as f64 / agents
    );
}
