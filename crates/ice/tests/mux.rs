//! Many agents behind one port.

#![expect(
    clippy::disallowed_methods,
    reason = "a test needs a time to begin with"
)]

use ice::{Agent, Config, Input, LocalSocket, Mux, MuxKey, Path, Role, State};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stun::{Class, IntegrityKey, Method, TransactionId, Writer};

const SERVER: &str = "192.0.2.1:3478";

fn server() -> SocketAddr {
    SERVER.parse().unwrap()
}

fn client(index: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, index as u8], 5000))
}

fn agent(role: Role, addr: SocketAddr, seed: u64) -> Agent {
    let mut config = Config::default();
    config.role = role;
    let mut agent = Agent::new(config, StdRng::seed_from_u64(seed));
    let now = Instant::now();
    agent.add_local_socket(now, LocalSocket::udp(addr));
    agent.local_sockets_complete(now);
    agent
}

/// Agents behind one port, and one client for each.
struct World {
    now: Instant,
    mux: Mux<Agent>,
    keys: Vec<MuxKey>,
    clients: Vec<Agent>,
    /// Which agents have got data, from the client of which number.
    data: Vec<(MuxKey, usize)>,
}

impl World {
    fn new(count: usize) -> Self {
        let now = Instant::now();
        let mut mux = Mux::new(&mut StdRng::seed_from_u64(7));
        let mut clients = Vec::new();
        let mut keys = Vec::new();
        for index in 0..count {
            let mut ours = agent(Role::Controlled, server(), index as u64);
            let mut theirs = agent(Role::Controlling, client(index), 1000 + index as u64);
            ours.set_remote_parameters(now, theirs.local_parameters().clone())
                .unwrap();
            theirs
                .set_remote_parameters(now, ours.local_parameters().clone())
                .unwrap();
            let candidates: Vec<_> = ours.local_candidates().cloned().collect();
            for candidate in candidates {
                theirs.add_remote_candidate(now, candidate).unwrap();
            }
            let candidates: Vec<_> = theirs.local_candidates().cloned().collect();
            for candidate in candidates {
                ours.add_remote_candidate(now, candidate).unwrap();
            }
            let ufrag = ours.local_parameters().ufrag.clone();
            let key = mux.insert(ours);
            assert!(mux.add_ufrag(key, &ufrag));
            keys.push(key);
            clients.push(theirs);
        }
        World {
            now,
            mux,
            keys,
            clients,
            data: Vec::new(),
        }
    }

    /// A datagram comes in at the port.
    fn arrive(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<MuxKey> {
        let path = Path::udp(server(), from);
        let key = self.mux.route(path, datagram)?;
        let agent = self.mux.get_mut(key).unwrap();
        match agent.handle_datagram(self.now, path, datagram) {
            Input::Consumed => self.mux.accepted(key, path, datagram),
            Input::Data(_) => {
                let number = (0..self.clients.len()).find(|index| client(*index) == from);
                self.data.push((key, number.unwrap()));
            }
            Input::Dropped(_) => {}
        }
        Some(key)
    }

    /// Runs for a while, ten milliseconds at a time.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut buf = Vec::new();
        while self.now < end {
            self.now += Duration::from_millis(10);
            for index in 0..self.clients.len() {
                self.clients[index].handle_timeout(self.now);
                let key = self.keys[index];
                if let Some(agent) = self.mux.get_mut(key) {
                    agent.handle_timeout(self.now);
                }
                loop {
                    let mut quiet = true;
                    while let Some(transmit) = self.clients[index].poll_transmit(self.now, &mut buf)
                    {
                        assert_eq!(transmit.remote, server());
                        let datagram = std::mem::take(&mut buf);
                        self.arrive(client(index), &datagram);
                        quiet = false;
                    }
                    while let Some(transmit) = (self.mux.get_mut(key))
                        .and_then(|agent| agent.poll_transmit(self.now, &mut buf))
                    {
                        self.mux.sent(self.now, key, transmit.path(), &buf);
                        let to =
                            (0..self.clients.len()).find(|index| client(*index) == transmit.remote);
                        let path = Path::udp(transmit.remote, server());
                        if let Some(to) = to {
                            let _ = self.clients[to].handle_datagram(self.now, path, &buf);
                        }
                        buf.clear();
                        quiet = false;
                    }
                    if quiet {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_hundred_agents_behind_one_port_connect_and_get_what_is_theirs() {
    let mut world = World::new(100);
    world.run(Duration::from_secs(3));
    for key in world.keys.clone() {
        assert_eq!(world.mux.get(key).unwrap().state(), State::Connected);
    }
    // Consent goes on.
    world.run(Duration::from_secs(60));
    for index in 0..100 {
        assert_eq!(
            world.arrive(client(index), b"\x16data"),
            Some(world.keys[index])
        );
    }
    let expected: Vec<_> = world.keys.iter().copied().zip(0..).collect();
    assert_eq!(world.data, expected);
    let counters = *world.mux.counters();
    assert_eq!(counters, ice::MuxCounters::default());
}

#[test]
fn what_belongs_to_nobody_is_counted_by_reason() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(1));
    let stranger: SocketAddr = "203.0.113.9:9".parse().unwrap();
    let mut request = Vec::new();
    let key = IntegrityKey::short_term("no password of ours");
    Writer::new(
        &mut request,
        Class::Request,
        Method::BINDING,
        TransactionId([1; 12]),
    )
    .ice_username("nobody", "stranger")
    .finish_with(&key, true);
    let mut nameless = Vec::new();
    let id = TransactionId([2; 12]);
    Writer::new(&mut nameless, Class::Request, Method::BINDING, id).finish(true);
    let mut response = Vec::new();
    Writer::new(&mut response, Class::Success, Method::BINDING, id).finish(true);
    let mut indication = Vec::new();
    Writer::new(&mut indication, Class::Indication, Method::BINDING, id).finish(true);
    let mut cut = request.clone();
    cut.truncate(40);
    for datagram in [
        &request[..],
        &nameless,
        &response,
        &indication,
        &cut,
        b"\x16data",
        b"",
    ] {
        assert_eq!(world.arrive(stranger, datagram), None);
    }
    let counters = *world.mux.counters();
    assert_eq!(counters.unknown_ufrag, 2);
    assert_eq!(counters.unknown_transaction, 1);
    assert_eq!(counters.malformed, 1);
    assert_eq!(counters.unknown_address, 3);
}

/// A check of one agent's peer, as from any address it likes to write on it.
fn forged(world: &World, victim_of: usize) -> Vec<u8> {
    let agent = world.mux.get(world.keys[victim_of]).unwrap();
    let mut request = Vec::new();
    Writer::new(
        &mut request,
        Class::Request,
        Method::BINDING,
        TransactionId([9; 12]),
    )
    .ice_username(
        &agent.local_parameters().ufrag,
        &agent.remote_parameters().unwrap().ufrag,
    )
    .priority(1)
    .ice_controlling(1)
    .finish_with(
        &IntegrityKey::short_term(&agent.local_parameters().pwd),
        true,
    );
    request
}

#[test]
fn a_forged_source_takes_no_address_from_another_connection() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(2));
    // The peer of the second agent pretends to be at the address of the first one's.
    let check = forged(&world, 1);
    assert_eq!(world.arrive(client(0), &check), Some(world.keys[1]));
    assert_eq!(world.arrive(client(0), b"\x16data"), Some(world.keys[0]));
    // A wrong password makes nothing of an address that nobody owns.
    let nobody: SocketAddr = "203.0.113.9:9".parse().unwrap();
    let mut wrong = forged(&world, 1);
    let length = wrong.len();
    // The last byte of the integrity, before the fingerprint.
    wrong[length - 9] ^= 1;
    world.arrive(nobody, &wrong);
    assert_eq!(world.arrive(nobody, b"\x16data"), None);
}

#[test]
fn a_peer_that_answers_from_an_address_of_a_former_connection_takes_it_over() {
    let mut world = World::new(1);
    world.run(Duration::from_secs(2));
    assert_eq!(world.arrive(client(0), b"\x16data"), Some(world.keys[0]));
    // The same socket calls again, before the first connection is over here.
    let first = world.keys[0];
    let mut ours = agent(Role::Controlled, server(), 500);
    let mut theirs = agent(Role::Controlling, client(0), 501);
    let now = world.now;
    ours.set_remote_parameters(now, theirs.local_parameters().clone())
        .unwrap();
    theirs
        .set_remote_parameters(now, ours.local_parameters().clone())
        .unwrap();
    let candidates: Vec<_> = ours.local_candidates().cloned().collect();
    for candidate in candidates {
        theirs.add_remote_candidate(now, candidate).unwrap();
    }
    let ufrag = ours.local_parameters().ufrag.clone();
    let second = world.mux.insert(ours);
    assert!(world.mux.add_ufrag(second, &ufrag));
    world.clients[0] = theirs;
    world.keys[0] = second;
    world.run(Duration::from_secs(2));
    assert_eq!(world.arrive(client(0), b"\x16data"), Some(second));
    assert!(world.mux.get(first).is_some());
}

#[test]
fn an_agent_that_is_gone_gets_nothing_and_its_name_is_never_used_again() {
    let mut world = World::new(2);
    world.run(Duration::from_secs(2));
    let gone = world.keys[0];
    let check = forged(&world, 0);
    let agent = world.mux.remove(gone).expect("it was there");
    assert_eq!(world.arrive(client(0), b"\x16data"), None);
    assert_eq!(world.arrive(client(0), &check), None);
    assert!(world.mux.get(gone).is_none() && world.mux.remove(gone).is_none());
    let ufrag = agent.local_parameters().ufrag.clone();
    let again = world.mux.insert(agent);
    assert_ne!(gone, again);
    assert!(world.mux.add_ufrag(again, &ufrag));
    assert!(!world.mux.add_ufrag(world.keys[1], &ufrag), "taken");
    assert!(!world.mux.add_ufrag(gone, "other"), "gone");
    assert_eq!(world.arrive(client(0), &check), Some(again));
    assert_eq!((world.mux.len(), world.mux.is_empty()), (2, false));
}

#[test]
fn arbitrary_datagrams_reach_nobody_and_harm_nothing() {
    let mut world = World::new(3);
    world.run(Duration::from_secs(2));
    let mut rng = StdRng::seed_from_u64(11);
    let genuine = forged(&world, 2);
    for round in 0..20_000 {
        let mut datagram: Vec<u8> = match round % 2 {
            0 => (0..rng.random_range(0..200))
                .map(|_| rng.random())
                .collect(),
            _ => genuine.clone(),
        };
        if !datagram.is_empty() {
            let at = rng.random_range(0..datagram.len());
            datagram[at] = rng.random();
        }
        let from = SocketAddr::from((rng.random::<[u8; 4]>(), rng.random()));
        world.arrive(from, &datagram);
    }
    world.run(Duration::from_secs(40));
    for index in 0..3 {
        let key = world.keys[index];
        assert_eq!(world.mux.get(key).unwrap().state(), State::Connected);
        assert_eq!(world.arrive(client(index), b"\x16data"), Some(key));
    }
}
