//! Sockets and servers for a session: at the start, and as interfaces come and go.

use super::interfaces::{self, LocalAddress};
use super::socket::Socket;
use super::{Connection, resolve, stream};
use crate::session::Session;
use ice::{LocalSocket, TcpType};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the interfaces are looked at.
pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(1);

impl Connection {
    /// Opens sockets and resolves servers, once a local description asks for candidates.
    pub(crate) fn gather(self: &Arc<Self>) {
        let shared = {
            let mut inner = self.lock();
            let wants = inner.session.wants_sockets();
            if let Some(seat) = &inner.seat {
                seat.answer_to(inner.session.local_ufrags());
            }
            if !wants {
                return;
            }
            inner.seat.as_mut().map(|seat| {
                seat.gathers = true;
                (seat.sockets(), seat.listeners(), seat.addresses())
            })
        };
        let is_shared = shared.is_some();
        let mut sockets: Vec<LocalSocket> = Vec::new();
        let mut listens = false;
        let addresses = match shared {
            Some((shared, listeners, addresses)) => {
                listens = !listeners.is_empty();
                sockets.extend(listeners);
                let mut inner = self.lock();
                for (socket, described) in shared {
                    inner.sockets.push(socket);
                    sockets.push(described);
                }
                addresses
            }
            None => self.addresses(),
        };
        sockets.extend(
            (addresses.iter()).flat_map(|one| self.open_sockets(one, !is_shared, !listens)),
        );
        let servers = resolve::servers(self.query(|session| session.ice_servers().to_vec()));
        self.command(|session, now| {
            for socket in sockets {
                session.add_local_socket(now, socket);
            }
            for server in servers.ready {
                session.add_server(now, server);
            }
            if servers.named.is_empty() {
                session.local_sockets_complete(now);
            }
        });
        self.wake.notify_one();
        if !servers.named.is_empty() {
            tokio::spawn(resolve::named_servers(Arc::downgrade(self), servers.named));
        }
        if self.options.addresses.is_none() && !is_shared {
            tokio::spawn(watch(Arc::downgrade(self), addresses));
        }
    }

    fn addresses(&self) -> Vec<LocalAddress> {
        match &self.options.addresses {
            Some(addresses) => addresses.iter().copied().map(LocalAddress::given).collect(),
            None => interfaces::addresses(self.options.include_loopback),
        }
    }

    /// Opens every kind of socket at an address, those for UDP and those that listen only if told to; those that could be opened.
    fn open_sockets(
        self: &Arc<Self>,
        address: &LocalAddress,
        udp: bool,
        listen: bool,
    ) -> Vec<LocalSocket> {
        let mut opened = Vec::new();
        let any_port = SocketAddr::new(address.ip, 0);
        if self.options.udp && udp {
            match Socket::bind(any_port, &self.options) {
                Ok(socket) => {
                    opened.push(LocalSocket::udp(socket.local()));
                    self.lock().sockets.push(Arc::new(socket));
                }
                Err(error) => tracing::debug!(ip = %address.ip, %error, "no UDP socket"),
            }
        }
        let mut kinds = self.options.tcp.clone();
        kinds.dedup();
        kinds.retain(|kind| listen || *kind == TcpType::Active);
        for kind in kinds {
            let local = match kind {
                TcpType::Active => Ok(any_port),
                TcpType::Passive => stream::listen(self, address.ip, false),
                TcpType::SimultaneousOpen => stream::listen(self, address.ip, true),
            };
            match local {
                Ok(local) => opened.push(LocalSocket::tcp(local, kind)),
                Err(error) => tracing::debug!(ip = %address.ip, %error, "no TCP socket"),
            }
        }
        let described = opened.into_iter().map(|socket| address.describe(socket));
        described.collect()
    }

    /// Gathers on what its endpoint has at another address, if it gathers at all yet.
    pub(super) fn also_at(
        self: &Arc<Self>,
        address: &LocalAddress,
        shared: Option<(Arc<Socket>, LocalSocket)>,
        listener: Option<LocalSocket>,
    ) {
        let mut sockets = Vec::new();
        {
            let mut inner = self.lock();
            if !inner.seat.as_ref().is_some_and(|seat| seat.gathers) {
                return;
            }
            if let Some((socket, described)) = shared {
                // It may have begun a moment ago.
                let local = socket.local();
                if inner.sockets.iter().any(|known| known.local() == local) {
                    return;
                }
                inner.sockets.push(socket);
                sockets.push(described);
            }
        }
        let listens = listener.is_some();
        sockets.extend(listener);
        sockets.extend(self.open_sockets(address, false, !listens));
        self.command(|session, now| {
            for socket in sockets {
                session.add_local_socket(now, socket);
            }
        });
        self.wake.notify_one();
    }

    /// Closes what was open at an address that is gone.
    pub(super) fn drop_sockets(&self, address: &LocalAddress) {
        let mut inner = self.lock();
        let gone: Vec<SocketAddr> = (inner.session.local_sockets())
            .filter(|local| local.ip() == address.ip)
            .collect();
        inner
            .sockets
            .retain(|socket| socket.local().ip() != address.ip);
        inner.streams.close_local(address.ip);
        drop(inner);
        self.command(|session, now| {
            for local in gone {
                session.remove_local_socket(now, local);
            }
        });
        self.wake.notify_one();
    }
}

/// Continual gathering: new addresses get sockets, and those of addresses that are gone are closed.
async fn watch(connection: Weak<Connection>, mut known: Vec<LocalAddress>) {
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        if connection.query(Session::is_closed) {
            return;
        }
        let current = connection.addresses();
        let is_in = |list: &[LocalAddress], ip| list.iter().any(|address| address.ip == ip);
        for gone in known.iter().filter(|one| !is_in(&current, one.ip)) {
            tracing::info!(ip = %gone.ip, "a local address is gone");
            connection.drop_sockets(gone);
        }
        for new in current.iter().filter(|one| !is_in(&known, one.ip)) {
            tracing::info!(ip = %new.ip, "a local address is new");
            let sockets = connection.open_sockets(new, true, true);
            connection.command(|session, now| {
                for socket in sockets {
                    session.add_local_socket(now, socket);
                }
            });
            connection.wake.notify_one();
        }
        known = current;
    }
}
