//! TCP and TLS connections: between peers (RFC 6544) and to TURN servers (RFC 8656 §3.1).
//!
//! One task a connection. What shall be sent waits in an [`Outbox`] of limited size, and what does not fit is lost as on
//! any full link: a slow or dead peer holds up nobody and costs no more memory than that.

mod framing;
mod gate;
mod outbox;
mod tls;

use super::Connection;
use crate::session::Transmit;
use framing::Deframer;
pub(super) use gate::{Gate, Gatekeeper, Refusal};
use ice::{Framing, Path, Protocol};
use outbox::Outbox;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// How long a connection may take to be made, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Between attempts at a simultaneous open that the other side was not ready for (RFC 6544 §7.1).
const AGAIN: Duration = Duration::from_millis(100);
/// How long an incoming connection may be silent before its first check, and between messages: more than the
/// 30 s in which consent ends (RFC 7675 §5.1).
const FIRST_MESSAGE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);
/// How long what is still to be sent may take after a connection is closed.
const LINGER: Duration = Duration::from_secs(2);
/// Incoming connections at a time, a listening socket.
const MOST_INCOMING: usize = 64;
/// RFC 6544 §4.5: the port of active candidates, which get another one when they connect.
const DISCARD: u16 = 9;

/// The name of a connection: which transport asked for it, and the agent's name for it. Incoming ones have no transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) transport: Option<usize>,
    pub(super) path: Path,
}

/// The connections of a session.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: HashMap<Key, Arc<Outbox>>,
    listeners: Vec<(SocketAddr, AbortHandle)>,
}

impl Streams {
    /// Makes the connection that an agent asks for.
    pub(super) fn connect(
        &mut self,
        connection: &Arc<Connection>,
        key: Key,
        framing: Framing,
        url: Option<String>,
    ) {
        if self.has_incoming(key.path) {
            // With a simultaneous open, the peer was faster.
            let connection = Arc::clone(connection);
            tokio::spawn(async move {
                connection.command(|session, now| session.connected(now, None, key.path));
            });
            return;
        }
        let carried = Carried {
            connection: Arc::downgrade(connection),
            key,
            framing,
            outbox: Arc::new(Outbox::new(framing)),
        };
        if let Some(former) = self.open.insert(key, Arc::clone(&carried.outbox)) {
            former.close();
        }
        let roots = connection.options.tls_roots.clone();
        tokio::spawn(open(carried, url, roots));
    }

    /// Puts messages into the connection's outbox.
    pub(super) fn send(&self, transmit: &Transmit, contents: &[u8]) {
        let path = Path {
            protocol: transmit.protocol,
            local: transmit.local,
            remote: transmit.remote,
        };
        let own = Key {
            transport: Some(transmit.transport),
            path,
        };
        let incoming = Key {
            transport: None,
            path,
        };
        // While this side's part of a simultaneous open is still being tried, the peer's may be there.
        match self.open.get(&incoming).or_else(|| self.open.get(&own)) {
            Some(outbox) => outbox.send(contents, transmit.segment_size),
            None => tracing::debug!(remote = %path.remote, "no such connection"),
        }
    }

    /// Closes a connection once what was sent has left.
    pub(super) fn close(&mut self, key: &Key) {
        if let Some(outbox) = self.open.remove(key) {
            outbox.close();
        }
    }

    /// Ends the listeners and connections of a local address.
    pub(super) fn close_local(&mut self, local: IpAddr) {
        self.listeners.retain(|(address, listener)| {
            let stays = address.ip() != local;
            if !stays {
                listener.abort();
            }
            stays
        });
        self.open.retain(|key, outbox| {
            let stays = key.path.local.ip() != local;
            if !stays {
                outbox.close();
            }
            stays
        });
    }

    /// Closes everything.
    pub(super) fn clear(&mut self) {
        for (_, listener) in self.listeners.drain(..) {
            listener.abort();
        }
        for (_, outbox) in self.open.drain() {
            outbox.close();
        }
    }

    /// Takes a connection that a peer has made, unless there are too many of them.
    fn take_in(&mut self, path: Path) -> Option<Arc<Outbox>> {
        let incoming = self.open.keys().filter(|key| key.transport.is_none());
        if incoming.count() >= MOST_INCOMING {
            return None;
        }
        let transport = None;
        let outbox = Arc::new(Outbox::new(Framing::Rfc4571));
        if let Some(former) = (self.open).insert(Key { transport, path }, Arc::clone(&outbox)) {
            former.close();
        }
        Some(outbox)
    }

    fn has_incoming(&self, path: Path) -> bool {
        let transport = None;
        self.open.contains_key(&Key { transport, path })
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Listens for connections of peers; the address that candidates shall name.
pub(super) fn listen(
    connection: &Arc<Connection>,
    address: IpAddr,
    also_connects: bool,
) -> io::Result<SocketAddr> {
    let ports = match &connection.options.port_range {
        Some(range) => range.clone(),
        None => 0..=0,
    };
    let mut opened = Err(io::ErrorKind::InvalidInput.into());
    for port in ports {
        let local = SocketAddr::new(address, port);
        opened =
            socket_at(local, also_connects).and_then(|socket| socket.listen(MOST_INCOMING as u32));
        if opened.is_ok() {
            break;
        }
    }
    let listener = opened?;
    let local = listener.local_addr()?;
    let task = tokio::spawn(accept(Arc::downgrade(connection), listener, local));
    let mut inner = connection.lock();
    inner.streams.listeners.push((local, task.abort_handle()));
    Ok(local)
}

async fn accept(connection: Weak<Connection>, listener: TcpListener, local: SocketAddr) {
    let places = Arc::new(Semaphore::new(MOST_INCOMING));
    loop {
        // Beyond the limit, the kernel keeps a few more waiting and refuses the rest.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                // Out of descriptors, as a rule: others must be closed first.
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let path = Path {
            protocol: Protocol::Tcp,
            local,
            remote,
        };
        let Some(strong) = connection.upgrade() else {
            return;
        };
        tokio::spawn(async move {
            carry_incoming(strong, path, stream, Deframer::new(Framing::Rfc4571)).await;
            drop(place);
        });
    }
}

/// Carries a connection that a peer has made, of which something may have been read already. `false` when there are too many of
/// them already.
async fn carry_incoming(
    connection: Arc<Connection>,
    path: Path,
    stream: TcpStream,
    deframer: Deframer,
) -> bool {
    let Some(outbox) = connection.lock().streams.take_in(path) else {
        return false;
    };
    prepare(&stream);
    let carried = Carried {
        connection: Arc::downgrade(&connection),
        key: Key {
            transport: None,
            path,
        },
        framing: Framing::Rfc4571,
        outbox,
    };
    drop(connection);
    let result = carried.run(stream, deframer).await;
    carried.ended(result);
    true
}

/// Makes the connection that an agent asks for, and carries it.
async fn open(carried: Carried, url: Option<String>, roots: Vec<Vec<u8>>) {
    let deframer = || Deframer::new(carried.framing);
    let result = match carried.key.path.protocol {
        Protocol::Tls => {
            let secured = async {
                let name = tls::server_name(&url.unwrap_or_default())?;
                let config = tokio::task::spawn_blocking(move || tls::config(&roots));
                let config = config.await.map_err(io::Error::other)??;
                let stream = carried.connect().await?;
                tokio_rustls::TlsConnector::from(config)
                    .connect(name, stream)
                    .await
            };
            match carried.in_time(secured).await {
                Ok(stream) => carried.run(stream, deframer()).await,
                Err(error) => Err(error),
            }
        }
        _ => match carried.in_time(carried.connect()).await {
            Ok(stream) => carried.run(stream, deframer()).await,
            Err(error) => Err(error),
        },
    };
    carried.ended(result);
}

/// What the task of a connection knows.
struct Carried {
    connection: Weak<Connection>,
    key: Key,
    framing: Framing,
    outbox: Arc<Outbox>,
}

impl Carried {
    async fn in_time<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.outbox.closed() => Err(io::ErrorKind::Interrupted.into()),
            () = tokio::time::sleep(CONNECT_LIMIT) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = self.dial().await?;
        prepare(&stream);
        Ok(stream)
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let Path { local, remote, .. } = self.key.path;
        if self.framing == Framing::Turn || matches!(local.port(), 0 | DISCARD) {
            let mut local = local;
            local.set_port(0);
            return socket_at(local, false)?.connect(remote).await;
        }
        // A simultaneous open may need several attempts until both sides make theirs; when the other side's arrives at the
        // listening socket, that connection is as good.
        loop {
            match socket_at(local, true)?.connect(remote).await {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionRefused
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::AddrNotAvailable
                            | io::ErrorKind::AddrInUse
                    ) =>
                {
                    if self.has_incoming() {
                        return Err(error);
                    }
                    tokio::time::sleep(AGAIN).await;
                    if self.has_incoming() {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }

    fn has_incoming(&self) -> bool {
        (self.connection.upgrade())
            .is_none_or(|connection| connection.lock().streams.has_incoming(self.key.path))
    }

    /// Moves bytes until one side ends the connection.
    async fn run(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        deframer: Deframer,
    ) -> io::Result<()> {
        let Key { transport, path } = self.key;
        if let Some(connection) = self.connection.upgrade() {
            connection.command(|session, now| session.connected(now, transport, path));
        }
        let (reader, writer) = tokio::io::split(stream);
        let overdue = async {
            self.outbox.closed().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            read = self.read(reader, deframer) => {
                read?;
                // The peer sends no more; nothing of ICE works in one direction.
                Ok(())
            }
            written = self.outbox.write(writer) => written,
            () = overdue => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn read(
        &self,
        mut reader: impl AsyncRead + Unpin,
        mut deframer: Deframer,
    ) -> io::Result<()> {
        let Key { transport, path } = self.key;
        // Servers may be silent for long; strangers may not.
        let mut patience = transport.is_none().then_some(FIRST_MESSAGE);
        loop {
            let Some(connection) = self.connection.upgrade() else {
                return Ok(());
            };
            connection.command(|session, now| {
                loop {
                    let message = match deframer.next() {
                        Ok(Some(message)) => message,
                        Ok(None) => return Ok(()),
                        Err(error) => {
                            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                        }
                    };
                    if patience == Some(FIRST_MESSAGE) {
                        // With a simultaneous open it may be the answer to a check of this side.
                        if !stun::is_message(message) {
                            let what = "an incoming connection does not begin with a check";
                            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                        }
                        patience = Some(SILENCE);
                    }
                    session.handle_message(now, transport, path, message);
                }
            })?;
            drop(connection);
            let read = reader.read(deframer.room());
            let bytes = match patience {
                Some(patience) => tokio::time::timeout(patience, read).await??,
                None => read.await?,
            };
            if bytes == 0 {
                return Ok(());
            }
            deframer.filled(bytes);
        }
    }

    /// The connection is over, or did not come to be.
    fn ended(&self, result: io::Result<()>) {
        let Key { transport, path } = self.key;
        if let Err(error) = &result {
            tracing::debug!(%error, remote = %path.remote, "connection ended");
        }
        self.outbox.close();
        let Some(connection) = self.connection.upgrade() else {
            return;
        };
        let mut inner = connection.lock();
        let streams = &mut inner.streams;
        let current =
            (streams.open.get(&self.key)).is_some_and(|one| Arc::ptr_eq(one, &self.outbox));
        if !current {
            return;
        }
        streams.open.remove(&self.key);
        let replaced = transport.is_some() && streams.has_incoming(path);
        drop(inner);
        if !replaced {
            connection.command(|session, now| session.disconnected(now, transport, path));
        }
    }
}

/// A socket bound to an address; a shared port is one that listens and connects (RFC 6544 Appendix A).
fn socket_at(local: SocketAddr, shared: bool) -> io::Result<TcpSocket> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if shared {
        socket.set_reuseaddr(true)?;
        #[cfg(unix)]
        socket.set_reuseport(true)?;
    }
    socket.bind(local)?;
    Ok(socket)
}

/// Nothing waits for more to join it, and little waits in the kernel, where it would only grow old.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(outbox::LIMIT as u32 / 4);
}
