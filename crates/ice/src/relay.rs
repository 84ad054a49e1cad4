//! A TURN allocation, or the attempt at one: the agent's view of a [`turn::Client`].

use crate::agent::ids::RelayId;
use crate::candidate::Protocol;
use crate::event::Path;
use std::net::SocketAddr;
use std::time::Instant;

/// The relay header of a datagram under construction.
pub(crate) type RelayFrame = turn::Frame;

pub(crate) use turn::close_frame as close;

/// What is needed to allocate on a server.
#[derive(Clone)]
pub(crate) struct RelayConfig {
    pub(crate) addr: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) url: String,
}

#[derive(Debug)]
pub(crate) enum RelayState {
    /// Waits for its turn.
    Queued,
    /// Waits for its connection.
    Connecting { deadline: Instant },
    /// Waits for a port that the server knows no allocation of.
    Moving { deadline: Instant },
    /// Asks for an allocation.
    Allocating { deadline: Instant },
    /// Has one.
    Allocated,
    /// Has none, and why.
    Failed(String),
}

pub(crate) struct Relay {
    pub(crate) id: RelayId,
    pub(crate) config: RelayConfig,
    /// The socket it speaks from; of a connection, the address with port 0.
    pub(crate) local: SocketAddr,
    /// The socket whose interface it belongs to: the base of its candidate.
    pub(crate) base: SocketAddr,
    pub(crate) state: RelayState,
    /// How often the server has known an allocation of the port already.
    pub(crate) moves: u8,
    pub(crate) client: Option<turn::Client>,
    /// Peers to be permitted once there is a client.
    pub(crate) wanted: Vec<SocketAddr>,
}

impl Relay {
    pub(crate) fn path(&self) -> Path {
        Path {
            protocol: self.config.protocol,
            local: self.local,
            remote: match &self.client {
                Some(client) => client.server(),
                None => self.config.addr,
            },
        }
    }

    pub(crate) fn permits(&self, peer: SocketAddr) -> bool {
        (self.client.as_ref()).is_some_and(|client| client.has_permission(peer.ip()))
    }

    pub(crate) fn open(&self, peer: SocketAddr, buf: &mut Vec<u8>) -> Option<RelayFrame> {
        self.client.as_ref()?.open_frame(peer, buf)
    }

    pub(crate) fn is_gathering(&self) -> bool {
        matches!(
            self.state,
            RelayState::Queued
                | RelayState::Connecting { .. }
                | RelayState::Moving { .. }
                | RelayState::Allocating { .. }
        )
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            RelayState::Connecting { deadline }
            | RelayState::Moving { deadline }
            | RelayState::Allocating { deadline } => Some(deadline),
            _ => None,
        }
    }
}
