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
    /// Has one, and takes it to another place.
    Migrating { deadline: Instant, awaits: Awaits },
    /// Has one, and no place to use it from.
    Stranded,
    /// Has none, and why.
    Failed(String),
}

/// What a relay on its way to another place waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// A port of its own.
    Port,
    /// Its connection.
    Connection,
    /// The server's word.
    Answer,
}

pub(crate) struct Relay {
    pub(crate) id: RelayId,
    pub(crate) config: RelayConfig,
    /// The socket it speaks from; of a connection, the address with port 0.
    pub(crate) local: SocketAddr,
    /// The socket whose interface it belongs to: the base of its candidate.
    pub(crate) base: SocketAddr,
    pub(crate) state: RelayState,
    /// How often it had to try another port, or another connection.
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

    /// Whether the server lets the allocation move.
    pub(crate) fn can_move(&self) -> bool {
        (self.client.as_ref()).is_some_and(turn::Client::can_migrate)
    }

    /// Whether it is between two places.
    pub(crate) fn is_away(&self) -> bool {
        matches!(
            self.state,
            RelayState::Migrating { .. } | RelayState::Stranded
        )
    }

    pub(crate) fn open(&self, peer: SocketAddr, buf: &mut Vec<u8>) -> Option<RelayFrame> {
        if self.is_away() {
            return None;
        }
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
            | RelayState::Migrating { deadline, .. }
            | RelayState::Allocating { deadline } => Some(deadline),
            _ => None,
        }
    }
}
