//! The only place that knows sockets, the clock and tokio: runs a [`Session`] on real UDP.
//!
//! One task a connection reads the sockets and keeps the time. Commands of handles lock the session, act, and send what
//! results at once from the calling task: a message does not wait for another task to be scheduled.

#![allow(
    clippy::disallowed_methods,
    reason = "the driver is where the clock and the system's randomness come in"
)]

mod endpoint;
mod gather;
mod interfaces;
mod mdns;
mod resolve;
mod socket;
mod stream;
mod task;

use crate::configuration::Configuration;
use crate::error::Error;
use crate::operations::Operations;
use crate::session::{ChannelId, ChannelState, Event, Parts, Session, Transmit};
use endpoint::Seat;
use socket::Socket;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Instant, SystemTime};
use tokio::sync::Notify;

pub(crate) use endpoint::Shared as SharedEndpoint;
pub use endpoint::{Endpoint, EndpointOptions, RefusedStreams};

/// Which sockets a connection opens, and how.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Open sockets on loopback addresses beside the others. Without any other address they are used anyway.
    pub include_loopback: bool,
    /// Open sockets on these addresses alone, instead of all interfaces'.
    pub addresses: Option<Vec<IpAddr>>,
    /// Take UDP ports, and TCP ports to listen on, of this range; any free port when `None`.
    pub port_range: Option<RangeInclusive<u16>>,
    /// Gather candidates over UDP. Without it there are TCP and relays over TCP and TLS alone, as behind the strictest firewalls.
    pub udp: bool,
    /// Bytes of send and receive buffer to ask the kernel for; 0 keeps its default.
    pub socket_buffer: usize,
    /// Kinds of TCP candidates to gather (RFC 6544). Browsers connect and do not listen: `[Active]`, the default. A server that
    /// clients behind firewalls shall reach without a relay listens: `[Passive]`.
    pub tcp: Vec<ice::TcpType>,
    /// Certificates (X.509, DER) of authorities to trust for `turns:` servers, beside the system's.
    pub tls_roots: Vec<Vec<u8>>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        NetworkOptions {
            include_loopback: false,
            addresses: None,
            port_range: None,
            udp: true,
            socket_buffer: 4 << 20,
            tcp: vec![ice::TcpType::Active],
            tls_roots: Vec::new(),
        }
    }
}

thread_local! {
    /// Memory for the datagrams of whichever connection of the thread sends.
    static OUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A session on real sockets.
pub(crate) struct Connection {
    inner: Mutex<Inner>,
    /// Wakes the task: events to hand out, an earlier deadline, sockets to watch, the end.
    wake: Arc<Notify>,
    abandoned: Mutex<Vec<ChannelId>>,
    pub(crate) operations: Operations,
    options: NetworkOptions,
}

pub(crate) struct Inner {
    pub(crate) session: Session,
    connection: Weak<Connection>,
    /// Its place among others on a port.
    seat: Option<Seat>,
    sockets: Vec<Arc<Socket>>,
    streams: stream::Streams,
    /// Names that stand for this side's addresses.
    publications: Vec<mdns::Publication>,
    /// Where datagrams are put together, while they are.
    out: Vec<u8>,
    /// What the kernel had no room for.
    blocked: Option<(Transmit, Arc<Socket>, Vec<u8>)>,
    /// The deadline that the task waits for.
    armed: Option<Instant>,
    hub: Box<dyn Hub>,
    /// Channels whose senders wait for room, with how little must be buffered for them to go on.
    waiting: Vec<(ChannelId, usize, Arc<Notify>)>,
}

/// Who takes the events of a session.
pub(crate) trait Hub: Send {
    /// An event of the session; the session is there for questions.
    fn event(&mut self, session: &mut Session, event: Event);
    /// A received frame.
    fn frame(
        &mut self,
        session: &mut Session,
        id: crate::session::TransceiverId,
        frame: crate::session::IncomingFrame,
    );
    /// A received packet of a transceiver that gives packets.
    fn packet(&mut self, id: crate::session::TransceiverId, packet: &bytes::Bytes);
    /// The session is over.
    fn closed(&mut self);
}

impl Connection {
    /// Starts a session on the current tokio runtime.
    pub(crate) fn start(
        configuration: Configuration,
        parts: Parts,
        options: NetworkOptions,
        endpoint: Option<Arc<endpoint::Shared>>,
        hub: impl FnOnce(&Arc<Connection>) -> Box<dyn Hub>,
    ) -> Result<Arc<Self>, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::InvalidState("a connection needs a tokio runtime around it".into())
        })?;
        let session = Session::new(configuration, parts)?;
        let connection = Arc::new_cyclic(|connection| Connection {
            inner: Mutex::new(Inner {
                session,
                seat: endpoint.map(|endpoint| Seat::take(endpoint, Weak::clone(connection))),
                connection: Weak::clone(connection),
                sockets: Vec::new(),
                streams: stream::Streams::default(),
                publications: Vec::new(),
                out: Vec::new(),
                blocked: None,
                armed: None,
                hub: Box::new(NoHub),
                waiting: Vec::new(),
            }),
            wake: Arc::new(Notify::new()),
            abandoned: Mutex::new(Vec::new()),
            operations: Operations::default(),
            options,
        });
        let hub = hub(&connection);
        connection.lock().hub = hub;
        runtime.spawn(task::run(Arc::downgrade(&connection)));
        // A pool of candidates is gathered from the start.
        connection.gather();
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the session.
    pub(crate) fn query<T>(&self, look: impl FnOnce(&Session) -> T) -> T {
        look(&self.lock().session)
    }

    /// Tells the session something that leads to nothing.
    pub(crate) fn note(&self, tell: impl FnOnce(&mut Session, Instant)) {
        let now = Instant::now();
        tell(&mut self.lock().session, now);
    }

    /// Runs a command on the session and sends what it leads to.
    pub(crate) fn command<T>(&self, act: impl FnOnce(&mut Session, Instant) -> T) -> T {
        let now = Instant::now();
        let mut inner = self.lock();
        let outcome = act(&mut inner.session, now);
        inner.flush(now);
        let wake = inner.wants_task();
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
        outcome
    }

    /// Sends and tells what datagrams of a shared port have led to.
    fn settle(&self, now: Instant) {
        let mut inner = self.lock();
        inner.flush(now);
        inner.dispatch();
        inner.flush(now);
        let wake = inner.wants_task();
        drop(inner);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Closes a channel that nobody holds any more; from a destructor, so without waiting for the session.
    pub(crate) fn abandon(&self, id: ChannelId) {
        self.abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(id);
        self.wake.notify_one();
    }

    fn close_abandoned(&self, inner: &mut Inner, now: Instant) {
        for id in std::mem::take(
            &mut *self
                .abandoned
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        ) {
            inner.session.close_channel(now, id);
        }
    }

    /// Wakes `waiter` once a channel has no more than `bytes` buffered, or is no longer open.
    pub(crate) fn wait_for_room(&self, id: ChannelId, bytes: usize, waiter: &Arc<Notify>) {
        let mut inner = self.lock();
        inner.waiting.push((id, bytes, Arc::clone(waiter)));
        inner.wake_senders();
    }

    /// Takes the servers of a changed configuration, as soon as their names are resolved.
    pub(crate) fn replace_servers(self: &Arc<Self>) {
        let servers = resolve::servers(self.query(|session| session.ice_servers().to_vec()));
        self.command(|session, now| session.set_servers(now, servers.ready));
        if !servers.named.is_empty() {
            tokio::spawn(resolve::named_servers(Arc::downgrade(self), servers.named));
        }
    }

    /// Says goodbye and ends the session.
    pub(crate) fn close(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.session.is_closed() {
            return;
        }
        inner.session.close(now);
        inner.flush(now);
        inner.session.finish_close(now);
        // Relays are released.
        inner.flush(now);
        inner.seat = None;
        inner.streams.clear();
        inner.publications.clear();
        inner.hub.closed();
        drop(inner);
        self.wake.notify_one();
    }
}

impl Inner {
    /// Whether there is something to do for the task that it does not wait for.
    fn wants_task(&self) -> bool {
        let due = self.session.poll_timeout();
        let earlier = due.is_some_and(|due| self.armed.is_none_or(|armed| due < armed));
        earlier || self.session.has_events() || self.blocked.is_some()
    }

    /// Sends until nothing is due or the kernel has no more room.
    fn flush(&mut self, now: Instant) {
        self.out = OUT.take();
        self.send_due(now);
        OUT.set(std::mem::take(&mut self.out));
    }

    fn send_due(&mut self, now: Instant) {
        if let Some((transmit, socket, contents)) = self.blocked.take() {
            match socket.try_send(&transmit, &contents) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some((transmit, socket, contents));
                    return;
                }
                Err(_) => self.session.handle_send_error(now, &transmit, &contents),
                Ok(()) => {}
            }
        }
        loop {
            self.out.clear();
            let segments = self
                .sockets
                .first()
                .map_or(1, |socket| socket.max_segments());
            let Some(transmit) = self.session.poll_transmit(now, &mut self.out, segments) else {
                return;
            };
            if transmit.protocol != ice::Protocol::Udp {
                self.streams.send(&transmit, &self.out);
                continue;
            }
            let Some(socket) = self
                .sockets
                .iter()
                .find(|socket| socket.local() == transmit.local)
            else {
                tracing::debug!(local = %transmit.local, "no socket with this address");
                continue;
            };
            if let Some(seat) = self.seat.as_ref().filter(|_| socket.is_shared()) {
                seat.sent(now, &transmit, &self.out);
            }
            match socket.try_send(&transmit, &self.out) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = Arc::clone(socket);
                    self.blocked = Some((transmit, socket, std::mem::take(&mut self.out)));
                    return;
                }
                // A lost datagram is what the protocols above repair.
                Err(error) => {
                    tracing::debug!(%error, remote = %transmit.remote, "not sent");
                    self.session.handle_send_error(now, &transmit, &self.out);
                }
            }
        }
    }

    /// Wakes the senders that have room now.
    fn wake_senders(&mut self) {
        let session = &self.session;
        self.waiting.retain(|(id, bytes, waiter)| {
            let waits = session.channel_state(*id) == ChannelState::Open
                && session.buffered_amount(*id) > *bytes;
            if !waits {
                waiter.notify_waiters();
            }
            waits
        });
    }

    /// Does what the session asks of the driver; gives back what is for the application.
    fn take_own(&mut self, event: Event) -> Option<Event> {
        let Some(connection) = self.connection.upgrade() else {
            return Some(event);
        };
        match event {
            Event::Resolve { name } => {
                tokio::spawn(resolve::local_name(Arc::downgrade(&connection), name));
            }
            Event::PublishName { name, address } => match mdns::Mdns::shared() {
                Ok(service) => self.publications.push(service.publish(&name, address)),
                // The candidate is of no use to the peer; it will find others.
                Err(error) => tracing::warn!(%error, "no multicast DNS"),
            },
            Event::Connect {
                transport,
                path,
                framing,
                url,
            } => {
                let key = stream::Key {
                    transport: Some(transport),
                    path,
                };
                self.streams.connect(&connection, key, framing, url);
            }
            Event::OpenPort { transport, beside } => self.open_port(&connection, transport, beside),
            Event::ClosePort { local } => {
                (self.sockets).retain(|socket| socket.is_shared() || socket.local() != local);
            }
            Event::Disconnect { transport, path } => self.streams.close(&stream::Key {
                transport: Some(transport),
                path,
            }),
            event => return Some(event),
        }
        None
    }

    /// A socket for one relay alone, at whose server the port of `beside` is taken.
    fn open_port(&mut self, connection: &Connection, transport: usize, beside: SocketAddr) {
        let opened = Socket::bind(SocketAddr::new(beside.ip(), 0), &connection.options);
        let opened = opened
            .inspect_err(|error| tracing::debug!(%beside, %error, "no other UDP socket"))
            .ok();
        let local = opened.as_ref().map(Socket::local);
        let now = Instant::now();
        if (self.session).port_opened(now, transport, beside, local) {
            self.sockets.extend(opened.map(Arc::new));
        }
    }

    fn dispatch(&mut self) {
        if !self.waiting.is_empty() {
            self.wake_senders();
        }
        loop {
            let mut idle = true;
            while let Some(event) = self.session.poll_event() {
                idle = false;
                if let Some(event) = self.take_own(event) {
                    self.hub.event(&mut self.session, event);
                }
            }
            while let Some((id, frame)) = self.session.poll_frame() {
                self.hub.frame(&mut self.session, id, frame);
                idle = false;
            }
            while let Some((id, packet)) = self.session.poll_packet() {
                self.hub.packet(id, &packet);
                idle = false;
            }
            if idle {
                return;
            }
        }
    }
}

struct NoHub;

impl Hub for NoHub {
    fn event(&mut self, _: &mut Session, _: Event) {}
    fn frame(
        &mut self,
        _: &mut Session,
        _: crate::session::TransceiverId,
        _: crate::session::IncomingFrame,
    ) {
    }
    fn packet(&mut self, _: crate::session::TransceiverId, _: &bytes::Bytes) {}
    fn closed(&mut self) {}
}

/// The time, for measuring how long a codec takes.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A certificate with the system's clock and randomness.
pub(crate) fn system_certificate(
    params: &dtls::CertificateParams,
) -> Result<dtls::Certificate, Error> {
    let mut rng: rand::rngs::StdRng = rand::make_rng();
    dtls::Certificate::generate(params, SystemTime::now(), &mut rng)
        .map_err(|error| Error::Operation(error.to_string()))
}

/// Parts with the system's clock and randomness.
pub(crate) fn system_parts(certificate: Option<Arc<dtls::Certificate>>) -> Result<Parts, Error> {
    let mut rng: rand::rngs::StdRng = rand::make_rng();
    let wall_clock = SystemTime::now();
    let certificate = match certificate {
        Some(certificate) => certificate,
        None => {
            let made = dtls::Certificate::generate(
                &dtls::CertificateParams::default(),
                wall_clock,
                &mut rng,
            );
            Arc::new(made.map_err(|error| Error::Unknown(error.to_string()))?)
        }
    };
    Ok(Parts::new(certificate, rng, Instant::now(), wall_clock))
}

impl Drop for Connection {
    /// The peer is told when the last handle goes.
    fn drop(&mut self) {
        self.close();
    }
}
