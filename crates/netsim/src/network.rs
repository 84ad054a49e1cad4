use crate::link::{Fate, Link};
use crate::nat::{Nat, Refused};
use crate::pcap::PcapWriter;
use crate::{Datagram, HostConfig, LinkConfig, NatConfig, NatKind, Stats, Transport};
use rand::{SeedableRng, rngs::StdRng};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall-clock time at which every simulation starts: 2026-01-01 00:00:00 UTC.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// A host of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(usize);

/// A NAT of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NatId(usize);

/// A side of the network: the Internet, or what lies behind a NAT.
type Segment = Option<NatId>;

/// Looks at, changes or (by returning `false`) drops a datagram that a host is sending.
type Interceptor = Box<dyn FnMut(Instant, &mut Datagram) -> bool>;

#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the router of a segment.
    Router {
        segment: Segment,
    },
    /// At the outside interface of a NAT.
    Outside(NatId),
    Host(HostId),
}

#[derive(Debug)]
struct InFlight {
    at: Instant,
    sequence: u64,
    place: Place,
    datagram: Datagram,
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for InFlight {}
impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Debug)]
struct Host {
    ips: Vec<IpAddr>,
    segment: Segment,
    up: Link,
    down: Link,
    udp_blocked: bool,
}

#[derive(Debug)]
struct NatNode {
    nat: Nat,
    outer: Segment,
    up: Link,
    down: Link,
}

/// Hosts, the links and NATs between them, the packets under way, and the clock.
///
/// - **commands**: [`send`](Self::send), [`advance_to`](Self::advance_to), and everything that builds or changes the network;
/// - **polls**: [`receive`](Self::receive) hands over what has arrived, [`next_event`](Self::next_event) says when more will.
///
/// The clock moves only by [`advance_to`](Self::advance_to). Mistakes in building a network panic: this is for tests.
pub struct Network {
    start: Instant,
    now: Instant,
    rng: StdRng,
    hosts: Vec<Host>,
    nats: Vec<NatNode>,
    routes: BTreeMap<(Segment, IpAddr), Place>,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    arrived: VecDeque<(HostId, Datagram)>,
    sequence: u64,
    stats: Stats,
    trace: u64,
    pcap: Option<PcapWriter>,
    interceptor: Option<Interceptor>,
}

impl Network {
    /// An empty network. All its randomness comes from `seed`.
    pub fn new(seed: u64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant can't be made otherwise; only differences to it are ever used"
        )]
        let start = Instant::now();
        Self {
            start,
            now: start,
            rng: StdRng::seed_from_u64(seed),
            hosts: Vec::new(),
            nats: Vec::new(),
            routes: BTreeMap::new(),
            in_flight: BinaryHeap::new(),
            arrived: VecDeque::new(),
            sequence: 0,
            stats: Stats::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            pcap: None,
            interceptor: None,
        }
    }

    // Building.

    /// Adds a host to the Internet.
    pub fn add_host(&mut self, config: impl Into<HostConfig>) -> HostId {
        self.attach_host(None, config.into())
    }

    /// Adds a host inside a NAT. Hosts behind different NATs may have the same address.
    pub fn add_host_behind(&mut self, nat: NatId, config: impl Into<HostConfig>) -> HostId {
        self.attach_host(Some(nat), config.into())
    }

    /// Adds a NAT of this kind to the Internet, with the other properties of [`NatConfig::new`].
    pub fn add_nat(&mut self, kind: NatKind, public_ip: impl Into<IpAddr>) -> NatId {
        self.add_nat_with(NatConfig::new(kind, public_ip))
    }

    /// Adds a NAT to the Internet.
    pub fn add_nat_with(&mut self, config: NatConfig) -> NatId {
        self.attach_nat(None, config)
    }

    /// Adds a NAT inside another one, as carriers do.
    pub fn add_nat_behind(&mut self, outer: NatId, config: NatConfig) -> NatId {
        self.attach_nat(Some(outer), config)
    }

    fn attach_host(&mut self, segment: Segment, config: HostConfig) -> HostId {
        let id = HostId(self.hosts.len());
        let ips: Vec<_> = [config.ip].into_iter().chain(config.more_ips).collect();
        for &ip in &ips {
            self.route(segment, ip, Place::Host(id));
        }
        self.hosts.push(Host {
            ips,
            segment,
            up: Link::new(config.link),
            down: Link::new(config.down),
            udp_blocked: config.udp_blocked,
        });
        id
    }

    fn attach_nat(&mut self, outer: Segment, config: NatConfig) -> NatId {
        let id = NatId(self.nats.len());
        self.route(outer, config.public_ip, Place::Outside(id));
        self.nats.push(NatNode {
            outer,
            up: Link::new(config.link.clone()),
            down: Link::new(config.down.clone()),
            nat: Nat::new(config),
        });
        id
    }

    fn route(&mut self, segment: Segment, ip: IpAddr, place: Place) {
        let before = self.routes.insert((segment, ip), place);
        assert!(before.is_none(), "{ip} is already taken there");
    }

    /// Replaces the link that carries what `host` sends. Packets under way are not affected.
    pub fn set_link(&mut self, host: HostId, link: LinkConfig) {
        self.hosts[host.0].up.config = link;
    }

    /// Replaces the link that carries what `host` receives.
    pub fn set_down_link(&mut self, host: HostId, link: LinkConfig) {
        self.hosts[host.0].down.config = link;
    }

    /// Puts a firewall that drops UDP in front of `host`, or takes it away.
    pub fn set_udp_blocked(&mut self, host: HostId, blocked: bool) {
        self.hosts[host.0].udp_blocked = blocked;
    }

    /// Gives `host` another address, as an interface that comes up does.
    pub fn add_ip(&mut self, host: HostId, ip: impl Into<IpAddr>) {
        let ip = ip.into();
        self.route(self.hosts[host.0].segment, ip, Place::Host(host));
        self.hosts[host.0].ips.push(ip);
    }

    /// Takes an address away, as an interface that goes down does.
    pub fn remove_ip(&mut self, host: HostId, ip: impl Into<IpAddr>) {
        let ip = ip.into();
        self.hosts[host.0].ips.retain(|have| *have != ip);
        self.routes.remove(&(self.hosts[host.0].segment, ip));
    }

    /// Makes a NAT forget all its mappings.
    pub fn reboot_nat(&mut self, nat: NatId) {
        self.nats[nat.0].nat.reboot();
    }

    /// Shows every datagram that a host sends to `interceptor`, which may change it or, by returning `false`, drop it.
    pub fn intercept(&mut self, interceptor: impl FnMut(Instant, &mut Datagram) -> bool + 'static) {
        self.interceptor = Some(Box::new(interceptor));
    }

    /// Ends [`intercept`](Self::intercept).
    pub fn stop_intercepting(&mut self) {
        self.interceptor = None;
    }

    /// Writes every datagram that a host sends from now on into a pcap file.
    pub fn capture(&mut self, out: impl Write + 'static) -> io::Result<()> {
        self.pcap = Some(PcapWriter::new(Box::new(out))?);
        Ok(())
    }

    /// [`capture`](Self::capture) into `$PC_PCAP/name.pcap` when the environment variable `PC_PCAP` names a folder; else nothing.
    pub fn capture_if_asked(&mut self, name: &str) -> io::Result<()> {
        match std::env::var_os("PC_PCAP") {
            Some(folder) => {
                let path = std::path::Path::new(&folder)
                    .join(name)
                    .with_extension("pcap");
                self.capture(io::BufWriter::new(std::fs::File::create(path)?))
            }
            None => Ok(()),
        }
    }

    // The clock.

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How much time has been simulated.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The simulated wall-clock time; it starts at 2026-01-01 00:00:00 UTC.
    pub fn wall_clock(&self) -> SystemTime {
        UNIX_EPOCH + EPOCH + self.elapsed()
    }

    /// Moves the clock to `to`, and the packets that are due by then onwards. Time never goes back.
    pub fn advance_to(&mut self, to: Instant) {
        self.now = self.now.max(to);
        self.move_packets();
    }

    /// [`advance_to`](Self::advance_to) this much later.
    pub fn advance_by(&mut self, by: Duration) {
        self.advance_to(self.now + by);
    }

    // Packets.

    /// Sends from the host that has the address `datagram.src`. Where hosts behind different NATs share an address, use
    /// [`send_from`](Self::send_from).
    pub fn send(&mut self, datagram: Datagram) {
        let ip = datagram.src.ip();
        match self.hosts.iter().position(|host| host.ips.contains(&ip)) {
            Some(host) => self.send_from(HostId(host), datagram),
            None => self.stats.unroutable += 1,
        }
    }

    /// Sends from this host. The source must be one of its addresses.
    pub fn send_from(&mut self, from: HostId, mut datagram: Datagram) {
        self.stats.sent += 1;
        self.stats.sent_bytes += datagram.ip_size() as u64;
        self.record(b's', from, &datagram);
        if let Some(pcap) = &mut self.pcap {
            let at = EPOCH + (self.now - self.start);
            pcap.write(at, &datagram)
                .expect("the capture file can be written");
        }
        let now = self.now;
        if let Some(interceptor) = &mut self.interceptor
            && !interceptor(now, &mut datagram)
        {
            self.stats.intercepted += 1;
            return;
        }
        let host = &mut self.hosts[from.0];
        if !host.ips.contains(&datagram.src.ip()) {
            self.stats.unroutable += 1;
        } else if host.udp_blocked && datagram.transport == Transport::Udp {
            self.stats.blocked += 1;
        } else {
            let fate = host.up.carry(now, &mut datagram, &mut self.rng);
            let segment = host.segment;
            self.follow(fate, Place::Router { segment }, datagram);
            self.move_packets();
        }
    }

    /// Takes the next datagram that has arrived at any host.
    pub fn receive(&mut self) -> Option<Datagram> {
        self.receive_at().map(|(_, datagram)| datagram)
    }

    /// Takes the next datagram that has arrived, and says where.
    pub fn receive_at(&mut self) -> Option<(HostId, Datagram)> {
        self.arrived.pop_front()
    }

    /// When the next packet arrives somewhere, be it at a NAT on the way.
    pub fn next_event(&self) -> Option<Instant> {
        if self.arrived.is_empty() {
            self.in_flight.peek().map(|Reverse(packet)| packet.at)
        } else {
            Some(self.now)
        }
    }

    // Queries.

    /// What has happened to the packets.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// A hash over every packet sent and delivered, with its time: the same seed and the same endpoints give the same hash.
    pub fn trace_hash(&self) -> u64 {
        self.trace
    }

    /// The bytes that wait in `host`'s outgoing link.
    pub fn queued_bytes(&self, host: HostId) -> usize {
        self.hosts[host.0].up.queued(self.now)
    }

    /// How many mappings a NAT has.
    pub fn mapping_count(&mut self, nat: NatId) -> usize {
        let now = self.now;
        self.nats[nat.0].nat.mapping_count(now)
    }

    /// The first address of `host`.
    pub fn ip(&self, host: HostId) -> IpAddr {
        self.hosts[host.0].ips[0]
    }

    /// Whether `host` has this address.
    pub fn has_ip(&self, host: HostId, ip: IpAddr) -> bool {
        self.hosts[host.0].ips.contains(&ip)
    }

    // The way of a packet.

    fn move_packets(&mut self) {
        while let Some(Reverse(packet)) = self.in_flight.peek()
            && packet.at <= self.now
            && let Some(Reverse(packet)) = self.in_flight.pop()
        {
            self.arrive(packet);
        }
    }

    fn arrive(&mut self, packet: InFlight) {
        let InFlight {
            at,
            place,
            mut datagram,
            ..
        } = packet;
        match place {
            Place::Host(host) => {
                self.stats.delivered += 1;
                self.stats.delivered_bytes += datagram.ip_size() as u64;
                self.record(b'd', host, &datagram);
                self.arrived.push_back((host, datagram));
            }
            Place::Outside(nat) => self.enter_nat(at, nat, datagram),
            Place::Router { segment } => {
                match (self.routes.get(&(segment, datagram.dst.ip())), segment) {
                    (Some(&Place::Host(host)), _) => self.reach_host(at, host, datagram),
                    (Some(&Place::Outside(nat)), _) => {
                        let node = &mut self.nats[nat.0];
                        let fate = node.down.carry(at, &mut datagram, &mut self.rng);
                        self.follow(fate, Place::Outside(nat), datagram);
                    }
                    (_, Some(nat)) => self.leave_nat(at, nat, datagram),
                    _ => self.stats.unroutable += 1,
                }
            }
        }
    }

    fn reach_host(&mut self, at: Instant, id: HostId, mut datagram: Datagram) {
        let host = &mut self.hosts[id.0];
        if host.udp_blocked && datagram.transport == Transport::Udp {
            self.stats.blocked += 1;
            return;
        }
        let fate = host.down.carry(at, &mut datagram, &mut self.rng);
        self.follow(fate, Place::Host(id), datagram);
    }

    fn leave_nat(&mut self, at: Instant, id: NatId, mut datagram: Datagram) {
        let NatNode { nat, outer, up, .. } = &mut self.nats[id.0];
        let hairpin = datagram.dst.ip() == nat.config.public_ip;
        if hairpin && !nat.config.hairpinning {
            self.stats.not_hairpinned += 1;
        } else if !hairpin && nat.config.udp_blocked && datagram.transport == Transport::Udp {
            self.stats.blocked += 1;
        } else if let Err(refused) = nat.outbound(at, &mut datagram, &mut self.rng) {
            self.count(&refused);
        } else if hairpin {
            self.enter_nat(at, id, datagram);
        } else {
            let segment = *outer;
            let fate = up.carry(at, &mut datagram, &mut self.rng);
            self.follow(fate, Place::Router { segment }, datagram);
        }
    }

    fn enter_nat(&mut self, at: Instant, id: NatId, mut datagram: Datagram) {
        let nat = &mut self.nats[id.0].nat;
        let from_outside = datagram.src.ip() != nat.config.public_ip;
        if from_outside && nat.config.udp_blocked && datagram.transport == Transport::Udp {
            self.stats.blocked += 1;
            return;
        }
        match nat.inbound(at, &mut datagram) {
            Ok(()) => match self.routes.get(&(Some(id), datagram.dst.ip())) {
                Some(&place) => match place {
                    Place::Host(host) => self.reach_host(at, host, datagram),
                    place => self.follow(
                        Fate::Arrives {
                            at,
                            again: None,
                            reordered: false,
                        },
                        place,
                        datagram,
                    ),
                },
                None => self.stats.unroutable += 1,
            },
            Err(refused) => self.count(&refused),
        }
    }

    fn follow(&mut self, fate: Fate, place: Place, datagram: Datagram) {
        match fate {
            Fate::Lost => self.stats.lost += 1,
            Fate::TooBig => self.stats.too_big += 1,
            Fate::QueueFull => self.stats.queue_full += 1,
            Fate::Arrives {
                at,
                again,
                reordered,
            } => {
                self.stats.reordered += u64::from(reordered);
                if let Some(again) = again {
                    self.stats.duplicated += 1;
                    self.put_in_flight(again, place, datagram.clone());
                }
                self.put_in_flight(at, place, datagram);
            }
        }
    }

    fn put_in_flight(&mut self, at: Instant, place: Place, datagram: Datagram) {
        self.sequence += 1;
        self.in_flight.push(Reverse(InFlight {
            at,
            sequence: self.sequence,
            place,
            datagram,
        }));
    }

    fn count(&mut self, refused: &Refused) {
        match refused {
            Refused::Filtered => self.stats.nat_filtered += 1,
            Refused::NoMapping | Refused::NoPort => self.stats.nat_unmapped += 1,
        }
    }

    /// FNV-1a, eight bytes at a time.
    fn record(&mut self, what: u8, host: HostId, datagram: &Datagram) {
        let mut mix = |word: u64| {
            self.trace = (self.trace ^ word)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(23)
        };
        mix(u64::from(what) << 32 | host.0 as u64);
        mix((self.now - self.start).as_nanos() as u64);
        for address in [datagram.src, datagram.dst] {
            let ip = match address.ip() {
                IpAddr::V4(ip) => u128::from(ip.to_bits()),
                IpAddr::V6(ip) => ip.to_bits(),
            };
            mix(ip as u64);
            mix((ip >> 64) as u64 ^ u64::from(address.port()));
        }
        mix(datagram.payload.len() as u64);
        for chunk in datagram.payload.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            mix(u64::from_le_bytes(word));
        }
    }
}
