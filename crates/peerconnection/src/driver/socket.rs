//! UDP sockets in batches: GSO and GRO where the kernel has them, larger buffers where it allows them.

use super::NetworkOptions;
use crate::session::Transmit;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Reads per system call, where the kernel reads several.
pub(super) const BATCH: usize = if quinn_udp::BATCH_SIZE < 8 {
    quinn_udp::BATCH_SIZE
} else {
    8
};
/// Room for one read: with GRO the kernel joins datagrams up to 64 KiB.
const READ_SIZE: usize = 1 << 16;

/// One bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Somebody else than the connection reads it.
    shared: bool,
}

/// Memory for one batch of reads, kept from read to read.
pub(super) struct Batch {
    memory: Box<[u8]>,
    metas: [RecvMeta; BATCH],
}

impl Batch {
    pub(super) fn new() -> Self {
        Batch {
            memory: vec![0; READ_SIZE * BATCH].into_boxed_slice(),
            metas: [RecvMeta::default(); BATCH],
        }
    }

    /// The datagrams of the last read, each with its source.
    pub(super) fn datagrams(&self, reads: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.metas[..reads]
            .iter()
            .zip(self.memory.chunks(READ_SIZE))
            .flat_map(|(meta, memory)| {
                let stride = meta.stride.max(1);
                memory[..meta.len]
                    .chunks(stride)
                    .map(|datagram| (meta.addr, datagram))
            })
    }
}

impl Socket {
    /// Binds to an address; port 0 takes one of the configured range, or any.
    pub(super) fn bind(address: SocketAddr, options: &NetworkOptions) -> io::Result<Self> {
        let socket = match &options.port_range {
            Some(range) if address.port() == 0 => bind_in_range(address, range)?,
            _ => std::net::UdpSocket::bind(address)?,
        };
        Self::new(socket, options.socket_buffer, false)
    }

    /// Binds to an address for many connections; with `divided` others of this program may bind to it, too, and the kernel
    /// divides the peers among them.
    pub(super) fn bind_shared(
        address: SocketAddr,
        divided: bool,
        buffer: usize,
    ) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        #[cfg(unix)]
        if divided {
            socket.set_reuse_port(true)?;
        }
        #[cfg(not(unix))]
        let _ = divided;
        socket.bind(&address.into())?;
        Self::new(socket.into(), buffer, true)
    }

    fn new(socket: std::net::UdpSocket, buffer: usize, shared: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        enlarge_buffers(&socket, &state, buffer);
        let local = socket.local_addr()?;
        Ok(Socket {
            io: UdpSocket::from_std(socket)?,
            state,
            local,
            shared,
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether an endpoint reads it.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// How many datagrams one send may carry.
    pub(super) fn max_segments(&self) -> usize {
        self.state.max_gso_segments().max(1)
    }

    /// Sends all datagrams of a transmit in one call. `WouldBlock` leaves them with the caller.
    pub(super) fn try_send(&self, transmit: &Transmit, contents: &[u8]) -> io::Result<()> {
        let segment_size =
            (contents.len() > transmit.segment_size).then_some(transmit.segment_size);
        self.io.try_io(Interest::WRITABLE, || {
            let transmit = quinn_udp::Transmit {
                destination: transmit.remote,
                ecn: None::<EcnCodepoint>,
                contents,
                segment_size,
                src_ip: None,
            };
            self.state.try_send(UdpSockRef::from(&self.io), &transmit)
        })
    }

    /// Waits for room in the kernel; any number of tasks may.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Reads what is there; how many reads of the batch are filled.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.io.poll_recv_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            let mut chunks = batch.memory.chunks_mut(READ_SIZE);
            let mut slices: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let read = self.io.try_io(Interest::READABLE, || {
                self.state
                    .recv(UdpSockRef::from(&self.io), &mut slices, &mut batch.metas)
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error for an earlier send belongs to no read (RFC 1122 §4.1.3.3).
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                read => return Poll::Ready(read),
            }
        }
    }
}

fn bind_in_range(
    address: SocketAddr,
    range: &std::ops::RangeInclusive<u16>,
) -> io::Result<std::net::UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the port range is empty");
    for port in range.clone() {
        match std::net::UdpSocket::bind(SocketAddr::new(address.ip(), port)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// With the usual 208 KiB a burst of data overruns the receiver; a kernel that gives less than was
/// asked for still works, only slower.
fn enlarge_buffers(socket: &std::net::UdpSocket, state: &UdpSocketState, bytes: usize) {
    if bytes == 0 {
        return;
    }
    let reference = UdpSockRef::from(socket);
    let _ = state.set_send_buffer_size(reference, bytes);
    let _ = state.set_recv_buffer_size(UdpSockRef::from(socket), bytes);
    let got = state
        .recv_buffer_size(UdpSockRef::from(socket))
        .unwrap_or(0);
    if got < bytes {
        tracing::debug!(
            asked = bytes,
            got,
            "the kernel gives a smaller receive buffer"
        );
    }
}
