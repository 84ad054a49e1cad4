//! Agents on a simulated network, with signalling that takes time, and the servers they need.

use crate::servers::{StunServer, TurnServer};
use ice::{
    Agent, Candidate, Config, Event, Input, LocalSocket, Parameters, Path, Role, Server, State,
};
use netsim::{Datagram, Endpoint, HostId, Network, Simulation};
use rand::{SeedableRng, rngs::StdRng};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the two sides tell each other.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    Parameters(Parameters),
    Candidate(Candidate),
    End,
}

type Inbox = Rc<RefCell<VecDeque<(Instant, Signal)>>>;

/// An agent with its driver and signalling.
pub(crate) struct Peer {
    pub(crate) agent: Agent,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) received: Vec<Vec<u8>>,
    /// Sockets to open when it starts.
    pub(crate) sockets: Vec<LocalSocket>,
    pub(crate) servers: Vec<Server>,
    pub(crate) signalling_delay: Duration,
    /// Says nothing about the end of its candidates.
    pub(crate) never_ends: bool,
    /// Says nothing at all.
    pub(crate) is_mute: bool,
    inbox: Inbox,
    outbox: Inbox,
    out: VecDeque<Datagram>,
    started: bool,
    /// Whether it answers parameters with its own.
    answers: bool,
    /// Names the driver can resolve.
    pub(crate) names: Vec<(String, std::net::IpAddr)>,
    pub(crate) published: Vec<(String, std::net::IpAddr)>,
    /// Ports opened for relays, and those that were closed again.
    pub(crate) extra_port: u16,
    pub(crate) closed_ports: Vec<SocketAddr>,
}

impl Peer {
    pub(crate) fn start(&mut self, now: Instant) {
        self.started = true;
        for socket in self.sockets.clone() {
            self.agent.add_local_socket(now, socket);
        }
        for server in self.servers.clone() {
            self.agent.add_server(now, server);
        }
        self.agent.local_sockets_complete(now);
        let parameters = self.agent.local_parameters().clone();
        self.tell(now, Signal::Parameters(parameters));
        self.after(now);
    }

    pub(crate) fn restart(&mut self, now: Instant) {
        self.agent.restart(now);
        self.answers = false;
        let parameters = self.agent.local_parameters().clone();
        self.tell(now, Signal::Parameters(parameters));
        self.after(now);
    }

    pub(crate) fn tell(&mut self, now: Instant, signal: Signal) {
        if self.is_mute {
            return;
        }
        self.outbox
            .borrow_mut()
            .push_back((now + self.signalling_delay, signal));
    }

    fn hear(&mut self, now: Instant, signal: Signal) {
        match signal {
            Signal::Parameters(parameters) => {
                let known = self.agent.remote_parameters().is_some();
                if known && self.answers {
                    self.agent.restart(now);
                }
                self.agent.set_remote_parameters(now, parameters).unwrap();
                if self.answers {
                    if self.started {
                        let own = self.agent.local_parameters().clone();
                        self.tell(now, Signal::Parameters(own));
                    } else {
                        self.start(now);
                    }
                }
                self.answers = true;
            }
            Signal::Candidate(candidate) => {
                // One of a generation that is over is refused, as it should be.
                let _ = self.agent.add_remote_candidate(now, candidate);
            }
            Signal::End => self.agent.end_of_remote_candidates(now),
        }
    }

    /// Sends application data on the selected pair.
    pub(crate) fn send(&mut self, payload: &[u8]) -> bool {
        let mut buf = Vec::new();
        let Some(frame) = self.agent.open_frame(&mut buf) else {
            return false;
        };
        buf.extend_from_slice(payload);
        self.agent.close_frame(frame, &mut buf);
        let datagram = Datagram::new(frame.local, frame.remote, buf);
        self.out.push_back(match frame.protocol {
            ice::Protocol::Udp => datagram,
            _ => Datagram::tcp(frame.local, frame.remote, datagram.payload),
        });
        true
    }

    /// What a driver does after every call.
    pub(crate) fn after(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            match &event {
                Event::LocalCandidate(candidate) => {
                    // As it travels in SDP.
                    let candidate = candidate.to_string().parse().unwrap();
                    self.tell(now, Signal::Candidate(candidate));
                }
                Event::GatheringStateChange(ice::GatheringState::Complete) if !self.never_ends => {
                    self.tell(now, Signal::End)
                }
                Event::Connect { path, .. } => {
                    // A connection in the simulated network needs no opening.
                    let path = *path;
                    self.agent.handle_connected(now, path);
                }
                Event::OpenPort { beside } => {
                    let beside = *beside;
                    self.extra_port += 1;
                    let local = SocketAddr::new(beside.ip(), 20_000 + self.extra_port);
                    assert!(self.agent.handle_port(now, beside, Some(local)));
                }
                Event::ClosePort { local } => self.closed_ports.push(*local),
                Event::PublishName { name, address } => {
                    self.published.push((name.clone(), *address))
                }
                Event::ResolveName(name) => {
                    let found = self.names.iter().find(|(known, _)| known == name);
                    let found = found.map(|(_, ip)| *ip);
                    self.agent.handle_resolved(now, name, found);
                }
                _ => {}
            }
            self.events.push((now, event));
        }
        let mut buf = Vec::new();
        while let Some(transmit) = self.agent.poll_transmit(now, &mut buf) {
            assert_eq!(transmit.len, buf.len());
            let payload = std::mem::take(&mut buf);
            self.out.push_back(match transmit.protocol {
                ice::Protocol::Udp => Datagram::new(transmit.local, transmit.remote, payload),
                _ => Datagram::tcp(transmit.local, transmit.remote, payload),
            });
        }
    }

    pub(crate) fn states(&self) -> Vec<State> {
        let state = |(_, event): &(Instant, Event)| match event {
            Event::StateChange(state) => Some(*state),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }

    /// The types of the selected pair: `host-srflx`.
    pub(crate) fn selected_types(&self) -> String {
        match self.agent.selected_pair() {
            Some(pair) => format!("{}-{}", pair.local.typ, pair.remote.typ),
            None => "none".into(),
        }
    }

    pub(crate) fn is_nominated(&self) -> bool {
        self.agent
            .selected_pair()
            .is_some_and(|pair| pair.nominated)
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.agent.state(), State::Connected | State::Completed)
    }
}

impl Endpoint for Peer {
    fn handle_datagram(&mut self, now: Instant, d: Datagram) {
        let path = Path {
            protocol: match d.transport {
                netsim::Transport::Udp => ice::Protocol::Udp,
                netsim::Transport::Tcp => ice::Protocol::Tcp,
            },
            local: d.dst,
            remote: d.src,
        };
        if path.protocol == ice::Protocol::Tcp {
            self.agent.handle_connected(now, path);
        }
        if let Input::Data(range) = self.agent.handle_datagram(now, path, &d.payload) {
            self.received.push(d.payload[range].to_vec());
        }
        self.after(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        loop {
            let due = {
                let mut inbox = self.inbox.borrow_mut();
                match inbox.front() {
                    Some((at, _)) if *at <= now => inbox.pop_front(),
                    _ => None,
                }
            };
            let Some((_, signal)) = due else { break };
            self.hear(now, signal);
            self.after(now);
        }
        self.agent.handle_timeout(now);
        self.after(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.after(now);
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let signal = self.inbox.borrow().front().map(|(at, _)| *at);
        [signal, self.agent.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Anything on the network.
pub(crate) enum Node {
    Peer(Box<Peer>),
    Stun(StunServer),
    Turn(Box<TurnServer>),
}

impl Node {
    fn endpoint(&self) -> &dyn Endpoint {
        match self {
            Self::Peer(peer) => &**peer,
            Self::Stun(server) => server,
            Self::Turn(server) => &**server,
        }
    }

    fn endpoint_mut(&mut self) -> &mut dyn Endpoint {
        match self {
            Self::Peer(peer) => &mut **peer,
            Self::Stun(server) => server,
            Self::Turn(server) => &mut **server,
        }
    }
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, d: Datagram) {
        self.endpoint_mut().handle_datagram(now, d);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint_mut().handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.endpoint_mut().poll_transmit(now)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint().poll_timeout()
    }
}

/// Two peers, first in the simulation, and servers.
pub(crate) struct Call {
    pub(crate) sim: Simulation<Node>,
}

/// One side of a [`Call`].
pub(crate) struct Side {
    pub(crate) host: HostId,
    pub(crate) config: Config,
    pub(crate) sockets: Vec<LocalSocket>,
    pub(crate) servers: Vec<Server>,
}

impl Side {
    pub(crate) fn new(host: HostId, role: Role, addrs: &[&str]) -> Self {
        let mut config = Config::default();
        config.role = role;
        Self {
            host,
            config,
            sockets: addrs
                .iter()
                .map(|addr| LocalSocket::udp(addr.parse().unwrap()))
                .collect(),
            servers: Vec::new(),
        }
    }
}

impl Call {
    /// `a` offers.
    pub(crate) fn new(network: Network, seed: u64, a: Side, b: Side) -> Self {
        let mut sim = Simulation::new(network);
        let boxes: [Inbox; 2] = Default::default();
        let hosts = [a.host, b.host];
        for (index, side) in [a, b].into_iter().enumerate() {
            let rng = StdRng::seed_from_u64(seed * 2 + index as u64);
            let peer = Peer {
                agent: Agent::new(side.config, rng),
                events: Vec::new(),
                received: Vec::new(),
                sockets: side.sockets,
                servers: side.servers,
                signalling_delay: Duration::ZERO,
                never_ends: false,
                is_mute: false,
                inbox: boxes[index].clone(),
                outbox: boxes[1 - index].clone(),
                out: VecDeque::new(),
                started: false,
                answers: index == 1,
                names: Vec::new(),
                published: Vec::new(),
                extra_port: 0,
                closed_ports: Vec::new(),
            };
            sim.add([hosts[index]], Node::Peer(Box::new(peer)));
        }
        Self { sim }
    }

    /// Two hosts on the Internet with one socket each, and this link in each direction.
    pub(crate) fn direct(seed: u64, link: netsim::LinkConfig) -> Self {
        let mut network = Network::new(seed);
        let [a, b] = [A, B].map(|addr| {
            let addr: SocketAddr = addr.parse().unwrap();
            network.add_host(netsim::HostConfig::new(addr.ip(), link.clone()))
        });
        let a = Side::new(a, Role::Controlling, &[A]);
        let b = Side::new(b, Role::Controlled, &[B]);
        Self::new(network, seed, a, b)
    }

    pub(crate) fn now(&self) -> Instant {
        self.sim.now()
    }

    pub(crate) fn a(&mut self) -> &mut Peer {
        self.peer(0)
    }

    pub(crate) fn b(&mut self) -> &mut Peer {
        self.peer(1)
    }

    pub(crate) fn peer(&mut self, index: usize) -> &mut Peer {
        match &mut self.sim.endpoints[index] {
            Node::Peer(peer) => peer,
            _ => unreachable!("the first two are peers"),
        }
    }

    pub(crate) fn start(&mut self) {
        let now = self.now();
        self.a().start(now);
    }

    /// Until this holds of both peers.
    pub(crate) fn until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Peer, &mut Peer) -> bool,
    ) -> Result<Duration, netsim::NotReached> {
        self.sim.run_until(limit, |nodes| match nodes {
            [Node::Peer(a), Node::Peer(b), ..] => done(a, b),
            _ => false,
        })
    }

    pub(crate) fn until_nominated(
        &mut self,
        limit: Duration,
    ) -> Result<Duration, netsim::NotReached> {
        self.until(limit, |a, b| {
            a.is_nominated() && b.is_nominated() && a.is_connected() && b.is_connected()
        })
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        self.sim.run_for(duration);
    }
}

pub(crate) const A: &str = "192.0.2.1:5000";
pub(crate) const B: &str = "192.0.2.2:6000";

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
