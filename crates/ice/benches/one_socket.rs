//! 10,000 agents behind one UDP socket of this machine, with system calls and in real time: the counterpart of `one_port`.
//!
//! ```text
//! cargo bench -p pc-ice --bench one_socket
//! ```
//!
//! The clients are in a thread of their own and have one socket, too: each has an address of 127.0.0.0/8, which its datagrams leave
//! from. It takes Linux, or another system where all of these addresses are the machine's own. The CPU is that of the server's thread:
//! one `recvfrom` and one `sendto` a datagram.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use ice::{Agent, Config, Input, LocalSocket, Mux, MuxKey, Path, Role, State};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rand::{SeedableRng, rngs::StdRng};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const AGENTS: usize = 10_000;
/// 127.1.0.0, and up.
const FIRST_CLIENT: u32 = 0x7f01_0000;
/// Connecting all of them, and letting what that has left expire.
const SETTLE: Duration = Duration::from_secs(20);
const MEASURE: Duration = Duration::from_secs(20);
/// The clients begin one after the other in this time.
const BEGIN: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(50);

fn agent(role: Role, addr: SocketAddr, seed: u64, now: Instant) -> Agent {
    let mut config = Config::default();
    config.role = role;
    let mut agent = Agent::new(config, StdRng::seed_from_u64(seed));
    agent.add_local_socket(now, LocalSocket::udp(addr));
    agent.local_sockets_complete(now);
    agent
}

fn enlarge(socket: &UdpSocket) -> UdpSocketState {
    let state = UdpSocketState::new(UdpSockRef::from(socket)).expect("a socket's state");
    let _ = state.set_recv_buffer_size(UdpSockRef::from(socket), 8 << 20);
    let _ = state.set_send_buffer_size(UdpSockRef::from(socket), 8 << 20);
    state
}

/// What the server's thread has done since it began to count.
#[derive(Default)]
struct Count {
    answered: u64,
    served: u64,
}

struct Server<'s> {
    socket: &'s UdpSocket,
    port: SocketAddr,
    mux: Mux<Box<Agent>>,
    keys: Vec<MuxKey>,
    buf: Vec<u8>,
    count: Count,
}

impl Server<'_> {
    fn send(&mut self, now: Instant, key: MuxKey) {
        while let Some(transmit) =
            (self.mux.get_mut(key)).and_then(|agent| agent.poll_transmit(now, &mut self.buf))
        {
            self.mux.sent(now, key, transmit.path(), &self.buf);
            // What the kernel has no room for is sent again.
            let _ = self.socket.send_to(&self.buf, transmit.remote);
            self.buf.clear();
        }
        while (self.mux.get_mut(key)).is_some_and(|agent| agent.poll_event().is_some()) {}
    }

    fn tick(&mut self, now: Instant) {
        for index in 0..self.keys.len() {
            let key = self.keys[index];
            let Some(agent) = self.mux.get_mut(key) else {
                continue;
            };
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                agent.handle_timeout(now);
                self.send(now, key);
            }
        }
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let path = Path::udp(self.port, from);
        let Some(key) = self.mux.route(path, datagram) else {
            return;
        };
        let Some(agent) = self.mux.get_mut(key) else {
            return;
        };
        if agent.handle_datagram(now, path, datagram) == Input::Consumed {
            self.mux.accepted(key, path, datagram);
            match stun::peek(datagram).map(|(class, ..)| class) {
                Some(stun::Class::Request) => self.count.served += 1,
                _ => self.count.answered += 1,
            }
        }
        self.send(now, key);
    }

    /// Runs until the end; the CPU of the time that is measured.
    fn run(&mut self, began: Instant) -> Duration {
        let mut next = began;
        let mut before = None;
        let mut datagram = [0; 1500];
        loop {
            let now = Instant::now();
            if now >= next {
                next = now + TICK;
                self.tick(now);
            }
            if before.is_none() && now >= began + SETTLE {
                self.count = Count::default();
                before = Some(cpu());
            }
            if now >= began + SETTLE + MEASURE {
                return cpu() - before.unwrap_or_default();
            }
            if let Ok((length, from)) = self.socket.recv_from(&mut datagram) {
                self.receive(Instant::now(), from, &datagram[..length]);
            }
        }
    }
}

fn cpu() -> Duration {
    measure::thread_cpu_time().expect("a system that tells")
}

/// All clients, until told to stop.
fn run_clients(socket: &UdpSocket, clients: &mut [Agent], answers: &[Answer], stop: &AtomicBool) {
    let state = enlarge(socket);
    let local_port = socket.local_addr().expect("bound").port();
    let addr = |index: usize| client_addr(index, local_port);
    let began = Instant::now();
    let (mut next, mut buf) = (began, Vec::with_capacity(2048));
    let mut started = 0;
    let send = |client: &mut Agent, now: Instant, buf: &mut Vec<u8>| {
        while let Some(transmit) = client.poll_transmit(now, buf) {
            let _ = state.try_send(
                UdpSockRef::from(socket),
                &Transmit {
                    destination: transmit.remote,
                    ecn: None,
                    contents: buf,
                    segment_size: None,
                    src_ip: Some(transmit.local.ip()),
                },
            );
            buf.clear();
        }
        while client.poll_event().is_some() {}
    };
    let mut memory = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let due = (now - began).as_secs_f64() / BEGIN.as_secs_f64() * AGENTS as f64;
        while started < AGENTS.min(due as usize) {
            let (parameters, candidates) = &answers[started];
            let client = &mut clients[started];
            (client.set_remote_parameters(now, parameters.clone())).expect("parameters");
            for candidate in candidates {
                (client.add_remote_candidate(now, candidate.clone())).expect("a candidate");
            }
            client.end_of_remote_candidates(now);
            send(client, now, &mut buf);
            started += 1;
        }
        if now >= next {
            next = now + TICK;
            for client in &mut clients[..started] {
                if client.poll_timeout().is_some_and(|at| at <= now) {
                    client.handle_timeout(now);
                    send(client, now, &mut buf);
                }
            }
        }
        let mut metas = [RecvMeta::default()];
        let read = state.recv(
            UdpSockRef::from(socket),
            &mut [IoSliceMut::new(&mut memory)],
            &mut metas,
        );
        match read {
            Ok(_) => {
                let Some(IpAddr::V4(ip)) = metas[0].dst_ip else {
                    continue;
                };
                let index = (ip.to_bits() - FIRST_CLIENT) as usize;
                for datagram in memory[..metas[0].len].chunks(metas[0].stride.max(1)) {
                    let path = Path::udp(addr(index), metas[0].addr);
                    let _ = clients[index].handle_datagram(now, path, datagram);
                    send(&mut clients[index], now, &mut buf);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

type Answer = (ice::Parameters, Vec<ice::Candidate>);

fn client_addr(index: usize, port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(FIRST_CLIENT + index as u32), port))
}

fn main() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    enlarge(&socket);
    socket.set_nonblocking(false).expect("set");
    (socket.set_read_timeout(Some(Duration::from_millis(5)))).expect("set");
    let port = socket.local_addr().expect("bound");
    let theirs = UdpSocket::bind("0.0.0.0:0").expect("a port");
    theirs.set_nonblocking(true).expect("set");
    let their_port = theirs.local_addr().expect("bound").port();

    let now = Instant::now();
    let mut mux = Mux::new(&mut StdRng::seed_from_u64(1));
    let (mut clients, mut keys, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..AGENTS {
        let addr = client_addr(index, their_port);
        let client = agent(Role::Controlling, addr, 1_000_000 + index as u64, now);
        let mut ours = agent(Role::Controlled, port, index as u64, now);
        // The answer is given before the offer is known: the agent waits for its client's check.
        answers.push((
            ours.local_parameters().clone(),
            ours.local_candidates().cloned().collect(),
        ));
        ours.set_remote_parameters(now, client.local_parameters().clone())
            .expect("parameters");
        ours.end_of_remote_candidates(now);
        let ufrag = ours.local_parameters().ufrag.clone();
        let key = mux.insert(Box::new(ours));
        mux.add_ufrag(key, &ufrag);
        keys.push(key);
        clients.push(client);
    }
    let mut server = Server {
        socket: &socket,
        port,
        mux,
        keys,
        buf: Vec::with_capacity(2048),
        count: Count::default(),
    };
    let stop = AtomicBool::new(false);
    let used = std::thread::scope(|scope| {
        scope.spawn(|| run_clients(&theirs, &mut clients, &answers, &stop));
        let used = server.run(Instant::now());
        stop.store(true, Ordering::Relaxed);
        used
    });
    for key in &server.keys {
        let agent = server.mux.get(*key).expect("the agent");
        assert!(matches!(agent.state(), State::Connected | State::Completed));
    }
    let rounds = server.count.answered + server.count.served;
    let seconds = MEASURE.as_secs_f64();
    println!("agents behind one socket             {AGENTS}");
    println!(
        "consent rounds a second              {:.0} ({:.0} asked, {:.0} answered)",
        rounds as f64 / seconds,
        server.count.answered as f64 / seconds,
        server.count.served as f64 / seconds
    );
    println!(
        "CPU a consent round, with its calls  {:.2} µs",
        used.as_secs_f64() * 1e6 / rounds as f64
    );
    println!(
        "idle CPU, all agents                 {:.2} % of a core",
        used.as_secs_f64() * 100.0 / seconds
    );
    println!(
        "of no agent                          {:?}",
        server.mux.counters()
    );
}
