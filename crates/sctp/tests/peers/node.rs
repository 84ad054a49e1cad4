//! A [`Peer`] on the simulated network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use netsim::{Datagram, Endpoint, LinkConfig, Pair};

use super::Peer;

/// A peer with addresses.
pub struct Node {
    pub peer: Box<dyn Peer>,
    local: SocketAddr,
    remote: SocketAddr,
    outbound: VecDeque<Vec<u8>>,
    pub now: Instant,
}

impl Endpoint for Node {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        self.now = now;
        self.peer.handle_packet(now, datagram.payload.into());
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.peer.handle_timeout(now);
    }
    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        self.now = now;
        if self.outbound.is_empty() {
            let outbound = &mut self.outbound;
            self.peer
                .transmit(now, 1, &mut |packet| outbound.push_back(packet.to_vec()));
        }
        let packet = self.outbound.pop_front()?;
        Some(Datagram::new(self.local, self.remote, packet))
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.peer.poll_timeout()
    }
}

/// Two peers over such a link.
pub fn pair(
    seed: u64,
    link: LinkConfig,
    a: impl FnOnce(Instant) -> Box<dyn Peer>,
    b: impl FnOnce(Instant) -> Box<dyn Peer>,
) -> Pair<Node> {
    let at_a = SocketAddr::new(Pair::A, 5000);
    let at_b = SocketAddr::new(Pair::B, 5000);
    let node = |peer, local, remote, now| Node {
        peer,
        local,
        remote,
        outbound: VecDeque::new(),
        now,
    };
    Pair::over(
        seed,
        link,
        |now| node(a(now), at_a, at_b, now),
        |now| node(b(now), at_b, at_a, now),
    )
}
