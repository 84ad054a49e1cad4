//! What a client tells its owner.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The server's error code; `None` when no valid answer came.
    pub code: Option<u16>,
    /// The server's reason, or what this side found wrong.
    pub reason: String,
    /// Who was asked.
    pub server: SocketAddr,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}: {code} {}", self.server, self.reason),
            None => write!(f, "{}: {}", self.server, self.reason),
        }
    }
}

impl std::error::Error for Failure {}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server relays for us.
    Allocated {
        /// Where peers reach us.
        relayed: SocketAddr,
        /// The address of the other family, when both were asked for and given.
        relayed_other: Option<SocketAddr>,
        /// Where the server sees us: a server-reflexive address.
        mapped: SocketAddr,
        /// How long the server holds the allocation without a refresh.
        lifetime: Duration,
        /// The reserved port's token (RFC 8656 §18.10).
        reservation_token: Option<[u8; 8]>,
        /// Why there is no address of the other family, though it was asked for (ADDRESS-ERROR-CODE).
        other_family_error: Option<u16>,
    },
    /// There is no allocation. 437 wants another local port and a new client (RFC 8656 §7.4).
    AllocationFailed(Failure),
    /// The server sends us to another one; the client has ended (RFC 8489 §10).
    TryAlternate {
        /// Where to go, by the same transport.
        server: SocketAddr,
        /// The name to expect in its certificate; the old one's when absent.
        domain: Option<String>,
    },
    /// Data may flow to and from this address.
    PermissionInstalled(IpAddr),
    /// No data will flow to or from this address.
    PermissionFailed {
        /// Which.
        peer: IpAddr,
        /// Why.
        failure: Failure,
    },
    /// Data to and from this peer costs four bytes from now on.
    ChannelBound {
        /// Which.
        peer: SocketAddr,
        /// The channel's number.
        number: u16,
    },
    /// There is no channel; data flows in indications if there is a permission.
    ChannelFailed {
        /// Which.
        peer: SocketAddr,
        /// Why.
        failure: Failure,
    },
    /// The server connected to a peer (RFC 6062 §4.3): open a [`crate::DataConnection`].
    Connected {
        /// Which.
        peer: SocketAddr,
        /// For the data connection.
        connection_id: u32,
    },
    /// The server could not connect to a peer (RFC 6062 §4.3).
    ConnectFailed {
        /// Which.
        peer: SocketAddr,
        /// Why.
        failure: Failure,
    },
    /// A peer connected to the relayed address (RFC 6062 §4.4); 30 seconds are left to open a [`crate::DataConnection`].
    ConnectionAttempt {
        /// Which.
        peer: SocketAddr,
        /// For the data connection.
        connection_id: u32,
    },
    /// An ICMP message came back for data sent to a peer (RFC 8656 §11.6).
    Icmp {
        /// Which.
        peer: SocketAddr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u16,
    },
    /// The server relays for the new local address (RFC 8016 §3.2.3); see [`crate::Client::migrate`].
    Migrated,
    /// The server does not let the allocation move, or did not answer; at the old address it may still serve.
    MigrationFailed(Failure),
    /// The allocation is gone though nobody closed it.
    Lost(Failure),
    /// The allocation was closed.
    Closed,
}

/// What a packet from the server was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The client's own business.
    Consumed,
    /// Application data from a peer, at this place in the packet.
    Data {
        /// Who sent it.
        peer: SocketAddr,
        /// Where it lies.
        range: Range<usize>,
    },
    /// Nothing was done with it.
    Dropped(DropReason),
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// It is neither STUN nor ChannelData, or cut short.
    Malformed,
    /// It is not from the server.
    OtherAddress,
    /// It answers nothing that was asked.
    UnknownTransaction,
    /// Its integrity is missing or wrong.
    Unauthenticated,
    /// It is on a channel that is not bound.
    UnknownChannel,
    /// It is from a peer without a permission.
    NoPermission,
    /// A message that no server sends to a client.
    Unexpected,
}

/// Counters since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests sent, with those sent again.
    pub requests_sent: u64,
    /// Responses taken.
    pub responses_received: u64,
    /// Packets of application data received.
    pub data_received: u64,
    /// Bytes of application data received.
    pub data_bytes_received: u64,
    /// Dropped: neither STUN nor ChannelData, or cut short.
    pub dropped_malformed: u64,
    /// Dropped: not from the server.
    pub dropped_other_address: u64,
    /// Dropped: answers nothing that was asked.
    pub dropped_unknown_transaction: u64,
    /// Dropped: integrity missing or wrong.
    pub dropped_unauthenticated: u64,
    /// Dropped: on a channel that is not bound.
    pub dropped_unknown_channel: u64,
    /// Dropped: from a peer without a permission.
    pub dropped_no_permission: u64,
    /// Dropped: a message that no server sends to a client.
    pub dropped_unexpected: u64,
}

impl Stats {
    pub(crate) fn dropped(&mut self, reason: DropReason) -> Input {
        *match reason {
            DropReason::Malformed => &mut self.dropped_malformed,
            DropReason::OtherAddress => &mut self.dropped_other_address,
            DropReason::UnknownTransaction => &mut self.dropped_unknown_transaction,
            DropReason::Unauthenticated => &mut self.dropped_unauthenticated,
            DropReason::UnknownChannel => &mut self.dropped_unknown_channel,
            DropReason::NoPermission => &mut self.dropped_no_permission,
            DropReason::Unexpected => &mut self.dropped_unexpected,
        } += 1;
        Input::Dropped(reason)
    }
}

/// One message that [`crate::Client::poll_transmit`] appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes.
    pub remote: SocketAddr,
    /// How many bytes were appended.
    pub len: usize,
}
