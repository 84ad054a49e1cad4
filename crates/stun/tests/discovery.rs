//! Behaviour discovery through every kind of simulated NAT, by both procedures.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use netsim::{Datagram, Endpoint, HostConfig, LinkConfig, NatConfig, NatKind, Network, Simulation};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stun::Server;
use stun::discovery::{
    BindingLifetime, Discovery, DiscoveryConfig, Filtering, Kind, LifetimeConfig, Mapping, Port,
    Procedure, Report,
};

const LATENCY: Duration = Duration::from_millis(20);

fn primary() -> SocketAddr {
    "203.0.113.1:3478".parse().unwrap()
}

fn other() -> SocketAddr {
    "203.0.113.2:3479".parse().unwrap()
}

fn local() -> SocketAddr {
    "10.0.0.2:40000".parse().unwrap()
}

enum Node {
    Server(Server, VecDeque<Datagram>),
    Client(Discovery, SocketAddr),
    Lifetime(BindingLifetime),
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        match self {
            Self::Server(server, out) => {
                let mut buf = Vec::new();
                if let Some(reply) =
                    server.handle_datagram(datagram.dst, datagram.src, &datagram.payload, &mut buf)
                {
                    assert_eq!(reply.len, buf.len());
                    out.push_back(Datagram::new(reply.local, reply.remote, buf));
                }
            }
            Self::Client(client, _) => {
                client.handle_datagram(now, datagram.src, &datagram.payload);
            }
            Self::Lifetime(client) => {
                let port = if datagram.dst == local() {
                    Port::X
                } else {
                    Port::Y
                };
                client.handle_datagram(now, port, datagram.src, &datagram.payload);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Server(..) => {}
            Self::Client(client, _) => client.handle_timeout(now),
            Self::Lifetime(client) => client.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let mut buf = Vec::new();
        match self {
            Self::Server(_, out) => out.pop_front(),
            Self::Client(client, local) => {
                let transmit = client.poll_transmit(now, &mut buf)?;
                Some(Datagram::new(*local, transmit.remote, buf))
            }
            Self::Lifetime(client) => {
                let (port, transmit) = client.poll_transmit(now, &mut buf)?;
                let mut from = local();
                if port == Port::Y {
                    from.set_port(40_001);
                }
                Some(Datagram::new(from, transmit.remote, buf))
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Server(..) => None,
            Self::Client(client, _) => client.poll_timeout(),
            Self::Lifetime(client) => client.poll_timeout(),
        }
    }
}

/// Where the client stands.
#[expect(clippy::large_enum_variant, reason = "made once a test")]
enum Place {
    Open,
    Behind(NatConfig),
    Blocked,
    /// Only who was sent to can send: here, only the primary address.
    Firewall,
}

struct World {
    simulation: Simulation<Node>,
    client: netsim::HostId,
}

fn world(seed: u64, place: Place, loss: f64, server: Server) -> World {
    let mut network = Network::new(seed);
    let mut link = LinkConfig::with_loss(loss);
    link.latency = LATENCY;
    let host = HostConfig::new(primary().ip(), link.clone()).with_ip(other().ip());
    let server_host = network.add_host(host);
    let client = HostConfig::new(local().ip(), link);
    let client = match place {
        Place::Open => network.add_host(client),
        Place::Blocked => network.add_host(client.with_udp_blocked()),
        Place::Behind(nat) => {
            let nat = network.add_nat_with(nat);
            network.add_host_behind(nat, client)
        }
        Place::Firewall => {
            network.intercept(|_, datagram| datagram.dst != local() || datagram.src == primary());
            network.add_host(client)
        }
    };
    let mut simulation = Simulation::new(network);
    simulation.add([server_host], Node::Server(server, VecDeque::new()));
    World { simulation, client }
}

fn discover(mut world: World, procedure: Procedure) -> (Report, Duration) {
    let config = DiscoveryConfig::new(local(), primary(), procedure);
    let discovery = Discovery::new(world.simulation.now(), config, StdRng::seed_from_u64(3));
    world
        .simulation
        .add([world.client], Node::Client(discovery, local()));
    let took = world
        .simulation
        .run_until(
            Duration::from_secs(120),
            |nodes| matches!(&nodes[1], Node::Client(c, _) if c.report().is_some()),
        )
        .unwrap();
    match &world.simulation.endpoints[1] {
        Node::Client(client, _) => (client.report().unwrap().clone(), took),
        _ => unreachable!(),
    }
}

fn two_addresses() -> Server {
    Server::with_other(primary(), other()).software("test")
}

fn nat(kind: NatKind) -> Place {
    Place::Behind(NatConfig::new(kind, IpAddr::from([198, 51, 100, 1])))
}

const KINDS: [(NatKind, Kind, Mapping, Filtering); 4] = [
    (
        NatKind::FullCone,
        Kind::FullCone,
        Mapping::EndpointIndependent,
        Filtering::EndpointIndependent,
    ),
    (
        NatKind::AddressRestricted,
        Kind::AddressRestricted,
        Mapping::EndpointIndependent,
        Filtering::AddressDependent,
    ),
    (
        NatKind::PortRestricted,
        Kind::PortRestricted,
        Mapping::EndpointIndependent,
        Filtering::AddressAndPortDependent,
    ),
    (
        NatKind::Symmetric,
        Kind::Symmetric,
        Mapping::AddressAndPortDependent,
        Filtering::AddressAndPortDependent,
    ),
];

#[test]
fn names_all_four_nats_by_both_procedures() {
    for (place, kind, mapping, filtering) in KINDS {
        for procedure in [Procedure::Rfc5780, Procedure::Rfc3489] {
            let (report, _) = discover(world(1, nat(place), 0.0, two_addresses()), procedure);
            assert_eq!(report.kind, Some(kind), "{procedure:?}: {report:?}");
            assert_eq!(
                report.mapped.map(|mapped| mapped.ip()),
                Some(IpAddr::from([198, 51, 100, 1]))
            );
            if procedure == Procedure::Rfc5780 {
                assert_eq!(
                    (report.mapping, report.filtering),
                    (Some(mapping), Some(filtering)),
                    "{kind}"
                );
                assert_eq!(report.hairpinning, Some(false));
            }
        }
    }
}

#[test]
fn names_them_although_packets_are_lost() {
    for (place, kind, ..) in KINDS {
        for procedure in [Procedure::Rfc5780, Procedure::Rfc3489] {
            for seed in 0..10 {
                let (report, _) =
                    discover(world(seed, nat(place), 0.1, two_addresses()), procedure);
                assert_eq!(
                    report.kind,
                    Some(kind),
                    "seed {seed}, {procedure:?}: {report:?}"
                );
            }
        }
    }
}

#[test]
fn tells_open_blocked_and_firewalled_apart() {
    for procedure in [Procedure::Rfc5780, Procedure::Rfc3489] {
        let (report, took) = discover(world(1, Place::Open, 0.0, two_addresses()), procedure);
        assert_eq!(
            (report.kind, report.is_translated()),
            (Some(Kind::OpenInternet), Some(false))
        );
        assert_eq!(took, LATENCY * 4, "two round trips, {procedure:?}");

        let (report, took) = discover(world(1, Place::Blocked, 0.0, two_addresses()), procedure);
        assert_eq!((report.kind, report.mapped), (Some(Kind::UdpBlocked), None));
        assert_eq!(
            took,
            Duration::from_millis(9500),
            "the silence of RFC 3489 §9.3"
        );

        let (report, _) = discover(world(1, Place::Firewall, 0.0, two_addresses()), procedure);
        assert_eq!(
            (report.kind, report.is_translated()),
            (Some(Kind::SymmetricFirewall), Some(false))
        );
    }
}

#[test]
fn finds_hairpinning_and_port_preservation() {
    let mut config = NatConfig::new(NatKind::FullCone, IpAddr::from([198, 51, 100, 1]));
    config.hairpinning = true;
    config.port_preservation = true;
    let (report, _) = discover(
        world(1, Place::Behind(config), 0.0, two_addresses()),
        Procedure::Rfc5780,
    );
    assert_eq!(
        (report.hairpinning, report.preserves_port()),
        (Some(true), Some(true))
    );
    assert_eq!(report.is_translated(), Some(true));
}

#[test]
fn a_server_with_one_address_tells_only_the_mapped_address() {
    for procedure in [Procedure::Rfc5780, Procedure::Rfc3489] {
        let (report, _) = discover(
            world(1, nat(NatKind::FullCone), 0.0, Server::new(primary())),
            procedure,
        );
        assert!(report.mapped.is_some());
        assert_eq!(
            (report.kind, report.mapping, report.filtering),
            (None, None, None)
        );
    }
}

#[test]
fn finds_how_long_an_idle_binding_lasts() {
    for seconds in [30, 75, 300] {
        let mut config = NatConfig::new(NatKind::PortRestricted, IpAddr::from([198, 51, 100, 1]));
        config.binding_lifetime = Duration::from_secs(seconds);
        let mut world = world(1, Place::Behind(config), 0.0, two_addresses());
        let lifetime = BindingLifetime::new(
            world.simulation.now(),
            LifetimeConfig::new(primary()),
            StdRng::seed_from_u64(8),
        );
        world
            .simulation
            .add([world.client], Node::Lifetime(lifetime));
        let done = |nodes: &mut [Node]| matches!(&nodes[1], Node::Lifetime(client) if client.result().is_some());
        world
            .simulation
            .run_until(Duration::from_secs(100_000), done)
            .unwrap();
        let Node::Lifetime(client) = &world.simulation.endpoints[1] else {
            unreachable!()
        };
        let found = client.result().flatten().unwrap();
        let expected = Duration::from_secs(seconds);
        let gone = found.gone.unwrap();
        assert!(
            found.alive <= expected && expected <= gone + LATENCY * 2,
            "{found:?} of {expected:?}"
        );
        assert!(gone - found.alive <= Duration::from_secs(1), "{found:?}");
    }
}
