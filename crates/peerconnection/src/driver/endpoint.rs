//! Many connections on one UDP port, and one TCP port: who gets what is what [`ice::Mux`] knows.

use super::gather::WATCH_INTERVAL;
use super::interfaces::{self, LocalAddress};
use super::socket::{Batch, Socket};
use super::stream::{Gate, Gatekeeper, Refusal};
use super::task::{MOST_ROUNDS, with_batch};
use super::{Connection, Transmit};
use crate::configuration::Configuration;
use crate::error::Error;
use crate::peer_connection::{Builder, PeerConnection};
use ice::{LocalSocket, Mux, MuxCounters, MuxKey};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::task::AbortHandle;

/// Where an [`Endpoint`] listens, and how.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Addresses to bind. One without an IP address (`0.0.0.0`, `[::]`) stands for all of that family that the interfaces have, also later: new ones are
    /// offered to all connections;
    /// port 0 for any free port, the same for all of them.
    pub addresses: Vec<SocketAddr>,
    /// Addresses outside a NAT that forwards this port unchanged to this machine, as cloud providers have them: at most one of each
    /// family. Candidates name it instead of the local one.
    pub external: Vec<IpAddr>,
    /// Listen for TCP connections of peers (RFC 6544), too: at the same port numbers, or where a port was for the endpoint to choose
    /// and is not free, at others.
    pub tcp: bool,
    /// How many tasks read an address, each on a socket of its own among which the kernel divides the peers. 0 takes as many as there
    /// are processors. Systems other than Linux have one.
    pub readers: usize,
    /// Bytes of send and receive buffer to ask the kernel for, each socket; 0 keeps its default.
    pub socket_buffer: usize,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        EndpointOptions {
            addresses: vec![SocketAddr::from(([0, 0, 0, 0], 0))],
            external: Vec::new(),
            tcp: false,
            readers: 0,
            socket_buffer: 4 << 20,
        }
    }
}

/// Many connections on one UDP port, and one TCP port if asked for, as a server has them: one rule in the firewall, one address to announce, and a socket less for
/// each connection.
///
/// What comes in is sorted by the username fragment of ICE checks, then by the address it comes from; an address belongs to the
/// connection that has authenticated its peer there. Over TCP, the first check says which connection it is for; at most 64 connections
/// an address wait to say so, for five seconds. The port stays open as long as the endpoint or one of its connections is there.
///
/// ```
/// use peerconnection::{Configuration, Endpoint, PeerConnection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::bind("0.0.0.0:0".parse()?)?;
/// for _ in 0..3 {
///     let server = endpoint.peer_connection(Configuration::default())?;
///     let client = PeerConnection::new(Configuration::default())?;
///     let channel = client.create_data_channel("hello", Default::default())?;
///     client.set_local_description(None).await?;
///     server.set_remote_description(&client.local_description().unwrap()).await?;
///     server.set_local_description(None).await?;
///     let answer = server.local_description().unwrap();
///     assert!(answer.sdp.contains(&endpoint.local_addresses()[0].port().to_string()));
///     client.set_remote_description(&answer).await?;
///     channel.opened().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint(pub(crate) Arc<Shared>);

impl Endpoint {
    /// Listens on an address; see [`EndpointOptions::addresses`].
    ///
    /// # Errors
    /// When the address cannot be bound, and outside a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::with_options(EndpointOptions {
            addresses: vec![address],
            ..EndpointOptions::default()
        })
    }

    /// Listens as told.
    ///
    /// # Errors
    /// As [`Endpoint::bind`]; `InvalidInput` without any address.
    pub fn with_options(options: EndpointOptions) -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let mut places = bind_all(&options)?;
        if places.is_empty() {
            let why = "no address to listen on";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut rng: rand::rngs::StdRng = rand::make_rng();
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            for place in &mut places {
                place.serve(shared);
            }
            Shared {
                refused: Mutex::default(),
                mux: Mutex::new(Mux::new(&mut rng)),
                places: Mutex::new(places),
            }
        });
        if (options.addresses.iter()).any(|address| address.ip().is_unspecified()) {
            runtime.spawn(follow(Arc::downgrade(&shared), options));
        }
        Ok(Endpoint(shared))
    }

    /// A new connection on this port.
    ///
    /// # Errors
    /// As [`PeerConnection::new`].
    pub fn peer_connection(&self, configuration: Configuration) -> Result<PeerConnection, Error> {
        self.builder(configuration).build()
    }

    /// A new connection on this port, with more settings than a browser has. Of [`NetworkOptions`](crate::NetworkOptions) those for TCP
    /// count; where the endpoint listens, no connection does.
    pub fn builder(&self, configuration: Configuration) -> Builder {
        PeerConnection::builder(configuration).endpoint(self)
    }

    /// What it is bound to.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.0.places().iter().map(|place| place.local).collect()
    }

    /// How many connections there are on it.
    pub fn connections(&self) -> usize {
        self.0.mux().len()
    }

    /// Where it listens for TCP; nowhere unless [`EndpointOptions::tcp`] is set.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.0
            .places()
            .iter()
            .filter_map(|place| place.tcp)
            .collect()
    }

    /// TCP connections that were not let in, by reason. Those that named no connection of the endpoint are among
    /// [`dropped`](Self::dropped).
    pub fn refused(&self) -> RefusedStreams {
        *self.0.refused()
    }

    /// Datagrams, and first messages of TCP connections, that belonged to no connection, by reason.
    pub fn dropped(&self) -> MuxCounters {
        *self.0.mux().counters()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("addresses", &self.local_addresses())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// TCP connections that an [`Endpoint`] did not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RefusedStreams {
    /// They did not begin with a check in the frame of RFC 4571.
    pub malformed: u64,
    /// They did not say in time whom they are for.
    pub silent: u64,
    /// Whom they were for had enough of them.
    pub too_many: u64,
}

/// What the endpoint and its connections share.
pub(crate) struct Shared {
    mux: Mutex<Mux<Weak<Connection>>>,
    places: Mutex<Vec<Listening>>,
    refused: Mutex<RefusedStreams>,
}

/// One address, and the sockets bound to it.
struct Listening {
    address: LocalAddress,
    local: SocketAddr,
    external: Option<IpAddr>,
    sockets: Vec<Arc<Socket>>,
    /// Where it listens for TCP, and the listener until it runs.
    tcp: Option<SocketAddr>,
    gate: Option<Gate>,
    tasks: Vec<AbortHandle>,
}

impl Listening {
    /// Reads and listens, for as long as this value is there.
    fn serve(&mut self, shared: &Weak<Shared>) {
        for socket in &self.sockets {
            let reading = read(Weak::clone(shared), Arc::clone(socket));
            self.tasks.push(tokio::spawn(reading).abort_handle());
        }
        if let Some(gate) = self.gate.take() {
            let listening = gate.run(Weak::clone(shared));
            self.tasks.push(tokio::spawn(listening).abort_handle());
        }
    }

    /// One of the sockets, and how a connection gathers on it.
    fn socket_for(&self, key: MuxKey) -> Option<(Arc<Socket>, LocalSocket)> {
        let socket = self.sockets.get(key.spread(self.sockets.len()))?;
        let mut local = LocalSocket::udp(self.local);
        local.external = (self.external).map(|ip| SocketAddr::new(ip, self.local.port()));
        Some((Arc::clone(socket), self.address.describe(local)))
    }

    /// What peers may connect to.
    fn listener(&self) -> Option<LocalSocket> {
        let local = self.tcp?;
        let mut socket = LocalSocket::tcp(local, ice::TcpType::Passive);
        socket.external = (self.external).map(|ip| SocketAddr::new(ip, local.port()));
        Some(self.address.describe(socket))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Shared {
    fn mux(&self) -> MutexGuard<'_, Mux<Weak<Connection>>> {
        self.mux.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, RefusedStreams> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the interfaces: closes what was open at addresses that are gone, opens what there is at new ones, and has the
    /// connections do the same.
    fn look_again(self: &Arc<Self>, options: &EndpointOptions) {
        let wanted = expand(&options.addresses);
        let mut places = self.places();
        let port = places.first().map_or(0, |place| place.local.port());
        let is_wanted = |ip| wanted.iter().any(|(address, _)| address.ip == ip);
        let (kept, gone): (Vec<_>, Vec<_>) =
            (places.drain(..)).partition(|place| is_wanted(place.address.ip));
        *places = kept;
        let missing = wanted
            .iter()
            .filter(|(address, _)| places.iter().all(|place| place.address.ip != address.ip));
        let mut new = Vec::new();
        for (address, asked) in missing.cloned().collect::<Vec<_>>() {
            let chosen = if asked == 0 { port } else { asked };
            match Listening::bind(options, address, chosen, asked == 0) {
                Ok(mut place) => {
                    tracing::info!(local = %place.local, "a local address is new");
                    place.serve(&Arc::downgrade(self));
                    new.push(place.address.ip);
                    places.push(place);
                }
                Err(error) => tracing::debug!(%error, "a new address cannot be listened on"),
            }
        }
        drop(places);
        if gone.is_empty() && new.is_empty() {
            return;
        }
        let connections: Vec<_> = (self.mux().iter())
            .filter_map(|(key, connection)| Some((key, connection.upgrade()?)))
            .collect();
        for (key, connection) in connections {
            for place in &gone {
                connection.drop_sockets(&place.address);
            }
            for place in self
                .places()
                .iter()
                .filter(|place| new.contains(&place.address.ip))
            {
                connection.also_at(&place.address, place.socket_for(key), place.listener());
            }
        }
    }

    /// Gives datagrams to the connections they are for.
    fn receive(&self, socket: &Socket, batch: &Batch, reads: usize) {
        let now = Instant::now();
        let mut current: Option<(SocketAddr, Arc<Connection>)> = None;
        for (remote, datagram) in batch.datagrams(reads) {
            let path = ice::Path::udp(socket.local(), remote);
            let is_stun = stun::is_message(datagram);
            if let Some((address, connection)) = &current
                && *address == remote
                && !is_stun
            {
                let session = &mut connection.lock().session;
                session.handle_datagram(now, path, datagram);
                continue;
            }
            let found = {
                let mut mux = self.mux();
                let key = mux.route(path, datagram);
                key.and_then(|key| Some((key, mux.get(key)?.upgrade()?)))
            };
            let Some((key, connection)) = found else {
                continue;
            };
            if let Some((_, former)) = &current
                && !Arc::ptr_eq(former, &connection)
            {
                former.settle(now);
            }
            let taken = (connection.lock().session).handle_datagram(now, path, datagram);
            if is_stun && taken {
                self.mux().accepted(key, path, datagram);
            }
            current = Some((remote, connection));
        }
        if let Some((_, connection)) = current {
            connection.settle(now);
        }
    }
}

impl Gatekeeper for Shared {
    fn owner(&self, path: ice::Path, check: &[u8]) -> Option<Arc<Connection>> {
        let mut mux = self.mux();
        let key = mux.route(path, check)?;
        mux.get(key)?.upgrade()
    }

    fn refused(&self, why: Refusal) {
        let mut refused = self.refused();
        *match why {
            Refusal::Malformed => &mut refused.malformed,
            Refusal::Silent => &mut refused.silent,
            Refusal::TooMany => &mut refused.too_many,
        } += 1;
    }
}

/// A connection's place at an endpoint.
pub(super) struct Seat {
    endpoint: Arc<Shared>,
    key: MuxKey,
    /// Whether it gathers on what the endpoint has.
    pub(super) gathers: bool,
}

impl Seat {
    pub(super) fn take(endpoint: Arc<Shared>, connection: Weak<Connection>) -> Self {
        let key = endpoint.mux().insert(connection);
        Seat {
            endpoint,
            key,
            gathers: false,
        }
    }

    /// Checks that name one of these fragments are for this connection.
    pub(super) fn answer_to<'a>(&self, ufrags: impl Iterator<Item = &'a str>) {
        let mut mux = self.endpoint.mux();
        for ufrag in ufrags {
            if !mux.add_ufrag(self.key, ufrag) {
                tracing::error!("another connection has the same username fragment");
            }
        }
    }

    /// One of the sockets at each address, and what to gather on.
    pub(super) fn sockets(&self) -> Vec<(Arc<Socket>, LocalSocket)> {
        let places = self.endpoint.places();
        let of = |place: &Listening| place.socket_for(self.key);
        places.iter().filter_map(of).collect()
    }

    /// What peers may connect to.
    pub(super) fn listeners(&self) -> Vec<LocalSocket> {
        let places = self.endpoint.places();
        places.iter().filter_map(Listening::listener).collect()
    }

    pub(super) fn addresses(&self) -> Vec<LocalAddress> {
        let places = self.endpoint.places();
        places.iter().map(|place| place.address.clone()).collect()
    }

    /// A datagram, or several of a size, has been sent.
    pub(super) fn sent(&self, now: Instant, transmit: &Transmit, datagram: &[u8]) {
        if stun::is_message(datagram) {
            let path = ice::Path::udp(transmit.local, transmit.remote);
            (self.endpoint.mux()).sent(now, self.key, path, datagram);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.endpoint.mux().remove(self.key);
    }
}

/// Reads one socket for as long as the endpoint is there.
async fn read(shared: Weak<Shared>, socket: Arc<Socket>) {
    poll_fn(|cx| with_batch(|batch| read_some(cx, &shared, &socket, batch))).await;
}

fn read_some(
    cx: &mut Context<'_>,
    shared: &Weak<Shared>,
    socket: &Socket,
    batch: &mut Batch,
) -> Poll<()> {
    for _ in 0..MOST_ROUNDS {
        match socket.poll_recv(cx, batch) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(reads)) => match shared.upgrade() {
                Some(shared) => shared.receive(socket, batch, reads),
                None => return Poll::Ready(()),
            },
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, local = %socket.local(), "not read");
                break;
            }
        }
    }
    // Others have their turn first.
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Looks at the interfaces for as long as the endpoint is there.
async fn follow(shared: Weak<Shared>, options: EndpointOptions) {
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match shared.upgrade() {
            Some(shared) => shared.look_again(&options),
            None => return,
        }
    }
}

/// Binds every address, all of them to the same port where it is free to choose.
fn bind_all(options: &EndpointOptions) -> io::Result<Vec<Listening>> {
    let mut places: Vec<Listening> = Vec::new();
    for (address, asked) in expand(&options.addresses) {
        let chosen = places.first().map_or(0, |place| place.local.port());
        let port = if asked == 0 { chosen } else { asked };
        let wanted = SocketAddr::new(address.ip, port);
        if places.iter().all(|place| place.local != wanted) {
            places.push(Listening::bind(options, address, port, asked == 0)?);
        }
    }
    Ok(places)
}

impl Listening {
    /// Binds an address; with `any_port` TCP may have another one than UDP.
    fn bind(
        options: &EndpointOptions,
        address: LocalAddress,
        port: u16,
        any_port: bool,
    ) -> io::Result<Self> {
        let readers = match (cfg!(target_os = "linux"), options.readers) {
            (false, _) => 1,
            (true, 0) => std::thread::available_parallelism().map_or(1, usize::from),
            (true, readers) => readers,
        };
        let wanted = SocketAddr::new(address.ip, port);
        let first = Socket::bind_shared(wanted, readers > 1, options.socket_buffer)?;
        let local = first.local();
        let mut sockets = vec![Arc::new(first)];
        for _ in 1..readers {
            let another = Socket::bind_shared(local, true, options.socket_buffer)?;
            sockets.push(Arc::new(another));
        }
        let external = (options.external.iter().copied())
            .find(|external| external.is_ipv4() == local.is_ipv4());
        let gate = match options.tcp {
            true => Some(match Gate::open(local) {
                // UDP alone had the port to give.
                Err(_) if any_port => Gate::open(SocketAddr::new(local.ip(), 0))?,
                gate => gate?,
            }),
            false => None,
        };
        Ok(Listening {
            address,
            local,
            external,
            sockets,
            tcp: gate.as_ref().map(|gate| gate.local),
            gate,
            tasks: Vec::new(),
        })
    }
}

/// Every address with the port asked for; unspecified ones as those of the interfaces.
fn expand(addresses: &[SocketAddr]) -> Vec<(LocalAddress, u16)> {
    let mut expanded = Vec::new();
    for address in addresses {
        let (ip, port) = (address.ip(), address.port());
        if !ip.is_unspecified() {
            let known = interfaces::addresses(true);
            let known = known.into_iter().find(|known| known.ip == ip);
            expanded.push((known.unwrap_or_else(|| LocalAddress::given(ip)), port));
            continue;
        }
        let all = interfaces::addresses(false).into_iter();
        let family = all.filter(|one| one.ip.is_ipv4() == ip.is_ipv4());
        expanded.extend(family.map(|one| (one, port)));
    }
    expanded
}
