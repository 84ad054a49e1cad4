use crate::{Datagram, HostId, LinkConfig, Network};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// A sans-IO endpoint, as the protocol crates build them.
pub trait Endpoint {
    /// A datagram has arrived.
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram);
    /// The time that `poll_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The next datagram to send, if there is one.
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram>;
    /// When `handle_timeout` is due next.
    fn poll_timeout(&self) -> Option<Instant>;
}

impl<E: Endpoint + ?Sized> Endpoint for &mut E {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        (**self).handle_datagram(now, datagram);
    }
    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        (**self).poll_transmit(now)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }
}

impl<E: Endpoint + ?Sized> Endpoint for Box<E> {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        (**self).handle_datagram(now, datagram);
    }
    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        (**self).poll_transmit(now)
    }
    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }
}

/// The condition was not met within the simulated time allowed, or can never be: nothing is under way and no timer is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReached {
    /// How long was simulated in vain.
    pub after: Duration,
    /// Whether nothing could happen any more.
    pub idle: bool,
}

impl std::fmt::Display for NotReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = if self.idle {
            "nothing more happens"
        } else {
            "out of time"
        };
        write!(f, "not reached after {:?} simulated: {why}", self.after)
    }
}

impl std::error::Error for NotReached {}

/// More datagrams or timeouts than this without the clock moving is an endpoint that never comes to rest.
const RESTLESS: u32 = 1_000_000;
/// As [`RESTLESS`], for timeouts of one endpoint.
const RESTLESS_TIMER: u32 = 10_000;

/// Does everything that is due now: arrivals, timeouts, transmissions, until there is none.
fn settle(network: &mut Network, nodes: &mut [(&[HostId], &mut dyn Endpoint)]) -> bool {
    let now = network.now();
    let mut worked = false;
    let mut moves = 0;
    let mut timeouts = 0;
    loop {
        let mut quiet = true;
        while let Some((host, datagram)) = network.receive_at() {
            quiet = false;
            if let Some((_, endpoint)) = nodes.iter_mut().find(|(hosts, _)| hosts.contains(&host)) {
                endpoint.handle_datagram(now, datagram);
            }
        }
        for (hosts, endpoint) in nodes.iter_mut() {
            if endpoint.poll_timeout().is_some_and(|at| at <= now) {
                quiet = false;
                timeouts += 1;
                assert!(
                    timeouts < RESTLESS_TIMER,
                    "an endpoint on {hosts:?} keeps asking for a timeout that has passed"
                );
                endpoint.handle_timeout(now);
            }
            while let Some(datagram) = endpoint.poll_transmit(now) {
                quiet = false;
                moves += 1;
                assert!(
                    moves < RESTLESS,
                    "endpoints send for ever without time passing"
                );
                let ip = datagram.src.ip();
                let from = hosts.iter().find(|host| network.has_ip(**host, ip));
                let from = *from.unwrap_or(&hosts[0]);
                network.send_from(from, datagram);
            }
        }
        if quiet {
            return worked;
        }
        worked = true;
    }
}

/// The next timer or arrival, if any.
fn next(network: &Network, nodes: &[(&[HostId], &mut dyn Endpoint)]) -> Option<Instant> {
    nodes
        .iter()
        .filter_map(|(_, endpoint)| endpoint.poll_timeout())
        .chain(network.next_event())
        .min()
}

fn step(network: &mut Network, nodes: &mut [(&[HostId], &mut dyn Endpoint)]) -> bool {
    if settle(network, nodes) {
        return true;
    }
    let Some(at) = next(network, nodes) else {
        return false;
    };
    network.advance_to(at);
    settle(network, nodes);
    true
}

/// Steps until `done`, for at most `limit` of simulated time.
macro_rules! run_until {
    ($self:ident, $limit:expr, $done:expr) => {{
        let start = $self.network.now();
        let deadline = start + $limit;
        loop {
            $self.settle();
            let after = $self.network.now() - start;
            if $done {
                return Ok(after);
            }
            match $self.next() {
                None => return Err(NotReached { after, idle: true }),
                Some(at) if at > deadline => {
                    $self.network.advance_to(deadline);
                    let after = $limit;
                    return Err(NotReached { after, idle: false });
                }
                Some(at) => $self.network.advance_to(at),
            }
        }
    }};
}

/// Any number of endpoints of one type (or of `Box<dyn Endpoint>`) on a [`Network`].
///
/// [`step`](Self::step) does what is due, or jumps to the next timer or arrival and does what is due then. Seconds of
/// network pass in milliseconds. In between, call the endpoints' commands directly through [`endpoints`](Self::endpoints).
pub struct Simulation<E> {
    /// The network and its clock.
    pub network: Network,
    /// The endpoints, in the order in which they were added.
    pub endpoints: Vec<E>,
    hosts: Vec<Vec<HostId>>,
}

impl<E: Endpoint> Simulation<E> {
    /// A simulation without endpoints.
    pub fn new(network: Network) -> Self {
        Self {
            network,
            endpoints: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// Runs an endpoint on these hosts (more than one when it has several interfaces); returns its index.
    pub fn add(&mut self, hosts: impl Into<Vec<HostId>>, endpoint: E) -> usize {
        let hosts = hosts.into();
        assert!(!hosts.is_empty(), "an endpoint needs a host");
        self.hosts.push(hosts);
        self.endpoints.push(endpoint);
        self.endpoints.len() - 1
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.network.now()
    }

    /// Does what is due now, or jumps to the next timer or arrival. `false`: nothing will ever happen again by itself.
    pub fn step(&mut self) -> bool {
        self.with_nodes(step)
    }

    /// Does what is due now, and lets no time pass.
    pub fn settle(&mut self) {
        self.with_nodes(settle);
    }

    /// Steps until `done`, for at most `limit` of simulated time; returns how much passed.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut [E]) -> bool,
    ) -> Result<Duration, NotReached> {
        run_until!(self, limit, done(&mut self.endpoints))
    }

    /// Lets this much simulated time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now() + duration;
        let _ = self.run_until(duration, |_| false);
        self.network.advance_to(end);
        self.settle();
    }

    fn next(&mut self) -> Option<Instant> {
        self.with_nodes(|network, nodes| next(network, nodes))
    }

    fn with_nodes<R>(
        &mut self,
        f: impl FnOnce(&mut Network, &mut [(&[HostId], &mut dyn Endpoint)]) -> R,
    ) -> R {
        let mut nodes: Vec<_> = self
            .hosts
            .iter()
            .zip(&mut self.endpoints)
            .map(|(hosts, endpoint)| (hosts.as_slice(), endpoint as &mut dyn Endpoint))
            .collect();
        f(&mut self.network, &mut nodes)
    }
}

/// Two endpoints, which may be of different types, on a [`Network`]: what most tests of a protocol crate need.
pub struct Pair<A, B = A> {
    /// The network and its clock.
    pub network: Network,
    /// One endpoint.
    pub a: A,
    /// The other.
    pub b: B,
    hosts: [[HostId; 1]; 2],
}

impl Pair<(), ()> {
    /// The address of `a` in [`Pair::over`].
    pub const A: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    /// The address of `b` in [`Pair::over`].
    pub const B: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
}

impl<A: Endpoint, B: Endpoint> Pair<A, B> {
    /// Two endpoints on the Internet, at [`Pair::A`] and [`Pair::B`], with such a link in each direction.
    pub fn over(
        seed: u64,
        link: LinkConfig,
        a: impl FnOnce(Instant) -> A,
        b: impl FnOnce(Instant) -> B,
    ) -> Self {
        let mut network = Network::new(seed);
        let host_a = network.add_host(crate::HostConfig::new(Pair::A, link.clone()));
        let host_b = network.add_host(crate::HostConfig::new(Pair::B, link));
        let now = network.now();
        Self::new(network, (host_a, a(now)), (host_b, b(now)))
    }

    /// Two endpoints on hosts of any network.
    pub fn new(network: Network, (host_a, a): (HostId, A), (host_b, b): (HostId, B)) -> Self {
        Self {
            network,
            a,
            b,
            hosts: [[host_a], [host_b]],
        }
    }

    /// The host of `a`.
    pub fn host_a(&self) -> HostId {
        self.hosts[0][0]
    }

    /// The host of `b`.
    pub fn host_b(&self) -> HostId {
        self.hosts[1][0]
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.network.now()
    }

    /// Does what is due now, or jumps to the next timer or arrival. `false`: nothing will ever happen again by itself.
    pub fn step(&mut self) -> bool {
        self.with_nodes(step)
    }

    /// Does what is due now, and lets no time pass.
    pub fn settle(&mut self) {
        self.with_nodes(settle);
    }

    /// Steps until `done`, for at most `limit` of simulated time; returns how much passed.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut A, &mut B) -> bool,
    ) -> Result<Duration, NotReached> {
        run_until!(self, limit, done(&mut self.a, &mut self.b))
    }

    /// Lets this much simulated time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now() + duration;
        let _ = self.run_until(duration, |_, _| false);
        self.network.advance_to(end);
        self.settle();
    }

    fn next(&mut self) -> Option<Instant> {
        self.with_nodes(|network, nodes| next(network, nodes))
    }

    fn with_nodes<R>(
        &mut self,
        f: impl FnOnce(&mut Network, &mut [(&[HostId], &mut dyn Endpoint)]) -> R,
    ) -> R {
        let [a, b] = &self.hosts;
        let mut nodes: [(&[HostId], &mut dyn Endpoint); 2] = [(a, &mut self.a), (b, &mut self.b)];
        f(&mut self.network, &mut nodes)
    }
}
