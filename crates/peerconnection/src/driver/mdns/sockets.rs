//! The sockets of Multicast DNS, on every interface.

use super::messages::LONGEST;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// RFC 6762 §3.
const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// An address of each interface, and its number.
    interfaces: Vec<(IpAddr, u32)>,
    buffers: [Box<[u8]>; 2],
}

impl Sockets {
    /// One of the two families is enough.
    pub(super) fn open() -> io::Result<Self> {
        let (v4, v6) = (
            bind(Ipv4Addr::UNSPECIFIED.into()),
            bind(Ipv6Addr::UNSPECIFIED.into()),
        );
        if let (Err(error), Err(_)) = (&v4, &v6) {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        let buffer = || vec![0; LONGEST].into_boxed_slice();
        let mut sockets = Sockets {
            v4: v4.ok(),
            v6: v6.ok(),
            interfaces: Vec::new(),
            buffers: [buffer(), buffer()],
        };
        sockets.refresh();
        Ok(sockets)
    }

    /// Joins the group on interfaces that are new.
    pub(super) fn refresh(&mut self) {
        let found = if_addrs::get_if_addrs().unwrap_or_default();
        let found = found
            .iter()
            .map(|interface| (interface.ip(), interface.index.unwrap_or(0)));
        let current: Vec<(IpAddr, u32)> = found.collect();
        for (ip, index) in current.iter().filter(|one| !self.interfaces.contains(one)) {
            // Joined already through another address of the interface, as a rule, when it fails.
            let _ = match (ip, &self.v4, &self.v6) {
                (IpAddr::V4(ip), Some(v4), _) => v4.join_multicast_v4(GROUP_V4, *ip),
                (IpAddr::V6(_), _, Some(v6)) => v6.join_multicast_v6(&GROUP_V6, *index),
                _ => Ok(()),
            };
        }
        self.interfaces = current;
    }

    /// Sends on every interface, once.
    pub(super) fn send(&self, message: &[u8]) {
        let mut done: Vec<(bool, u32)> = Vec::new();
        for (ip, index) in &self.interfaces {
            if *index != 0 && done.contains(&(ip.is_ipv6(), *index)) {
                continue;
            }
            done.push((ip.is_ipv6(), *index));
            let sent = match (ip, &self.v4, &self.v6) {
                (IpAddr::V4(ip), Some(v4), _) => SockRef::from(v4)
                    .set_multicast_if_v4(ip)
                    .and_then(|()| v4.try_send_to(message, (GROUP_V4, PORT).into())),
                (IpAddr::V6(_), _, Some(v6)) => SockRef::from(v6)
                    .set_multicast_if_v6(*index)
                    .and_then(|()| v6.try_send_to(message, (GROUP_V6, PORT).into())),
                _ => continue,
            };
            if let Err(error) = sent {
                tracing::trace!(%error, %ip, "mDNS not sent");
            }
        }
    }

    /// The next datagram from a responder of the link.
    pub(super) async fn receive(&mut self) -> &[u8] {
        let [first, second] = &mut self.buffers;
        loop {
            let (read, second_one) = tokio::select! {
                read = receive_from(self.v4.as_ref(), first) => (read, false),
                read = receive_from(self.v6.as_ref(), second) => (read, true),
            };
            // RFC 6762 §11, §6: what does not come from the port is from no full participant, or from farther away.
            let Ok((len, from)) = read else { continue };
            if from.port() == PORT {
                return match second_one {
                    true => &self.buffers[1][..len],
                    false => &self.buffers[0][..len],
                };
            }
        }
    }
}

async fn receive_from(
    socket: Option<&UdpSocket>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

/// Shares the port with other responders of this machine (RFC 6762 §15).
fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    let domain = match ip {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_multicast_loop_v6(true)?;
    } else {
        socket.set_multicast_ttl_v4(255)?;
        socket.set_multicast_loop_v4(true)?;
    }
    socket.bind(&SocketAddr::new(ip, PORT).into())?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}
