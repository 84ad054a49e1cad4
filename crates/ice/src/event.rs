//! What an agent says and hands over.

use crate::candidate::{Candidate, Protocol};
use crate::config::Role;
use crate::pair::CandidatePair;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// A 5-tuple. Over TCP it is also the name of a connection: see [`Event::Connect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// What carries the datagrams.
    pub protocol: Protocol,
    /// The local socket.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Path {
    /// A path over UDP.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            protocol: Protocol::Udp,
            local,
            remote,
        }
    }
}

/// A datagram that [`Agent::poll_transmit`](crate::Agent::poll_transmit) has appended to the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// What to send it over.
    pub protocol: Protocol,
    /// The local socket.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// How many bytes were appended.
    pub len: usize,
}

impl Transmit {
    /// The 5-tuple.
    pub fn path(&self) -> Path {
        Path {
            protocol: self.protocol,
            local: self.local,
            remote: self.remote,
        }
    }
}

/// A datagram of the application under construction: see [`Agent::open_frame`](crate::Agent::open_frame).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What to send it over.
    pub protocol: Protocol,
    /// The local socket.
    pub local: SocketAddr,
    /// Where to: the peer, or the relay.
    pub remote: SocketAddr,
    /// Where the datagram begins in the buffer. The payload begins at the buffer's length after `open_frame`.
    pub start: usize,
    /// How many bytes `open_frame` has put before the payload.
    pub header: usize,
    pub(crate) relay: Option<crate::relay::RelayFrame>,
}

impl Frame {
    /// The 5-tuple.
    pub fn path(&self) -> Path {
        Path {
            protocol: self.protocol,
            local: self.local,
            remote: self.remote,
        }
    }
}

/// What a datagram was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It was for the agent.
    Consumed,
    /// These bytes of it are the application's, from a known peer.
    Data(Range<usize>),
    /// It was dropped and counted.
    Dropped(DropReason),
}

/// Why a datagram was dropped. None of these changes any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// STUN that does not parse.
    Malformed,
    /// Longer than any message of ICE.
    Oversized,
    /// A request or response that lacks integrity, a username, or another attribute it must have.
    Incomplete,
    /// The username is not one of this agent's.
    UnknownUsername,
    /// MESSAGE-INTEGRITY does not verify.
    WrongIntegrity,
    /// FINGERPRINT does not verify.
    WrongFingerprint,
    /// A response to no request of this agent.
    UnknownTransaction,
    /// A response from another address than the request went to.
    OtherAddress,
    /// A STUN method or class that ICE does not use.
    UnexpectedMethod,
    /// It arrived at a socket that the agent does not have.
    UnknownSocket,
    /// Application data from an address that has not authenticated.
    UnknownPeer,
    /// A limit on candidates, pairs or early checks was reached.
    LimitReached,
    /// The TURN client refused it.
    Relay,
    /// The agent is closed.
    Closed,
}

impl DropReason {
    pub(crate) const COUNT: usize = Self::Closed as usize + 1;

    /// All reasons.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Malformed,
        Self::Oversized,
        Self::Incomplete,
        Self::UnknownUsername,
        Self::WrongIntegrity,
        Self::WrongFingerprint,
        Self::UnknownTransaction,
        Self::OtherAddress,
        Self::UnexpectedMethod,
        Self::UnknownSocket,
        Self::UnknownPeer,
        Self::LimitReached,
        Self::Relay,
        Self::Closed,
    ];
}

/// W3C `RTCIceTransportState`; the doc of each is its definition in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Gathering, or waiting for remote candidates; no checks yet.
    #[default]
    New,
    /// Checking, without a usable pair.
    Checking,
    /// A pair is usable; more may come.
    Connected,
    /// A pair is usable, and gathering, candidates and checks are all over.
    Completed,
    /// Connectivity is lost for now, or nothing is left to check until more candidates come.
    Disconnected,
    /// Everything has been tried in vain. Only a restart helps.
    Failed,
    /// Closed.
    Closed,
}

/// W3C `RTCIceGathererState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GatheringState {
    /// Nothing to gather on yet.
    #[default]
    New,
    /// More local candidates may come.
    Gathering,
    /// All servers have answered or failed.
    Complete,
}

/// How messages are separated on a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// A 16-bit length before each (RFC 4571): between peers.
    Rfc4571,
    /// STUN and ChannelData say their own lengths, ChannelData being padded to four bytes (RFC 8656 §12.5): to a TURN server.
    Turn,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A local candidate to tell the peer.
    LocalCandidate(Candidate),
    /// A local candidate that is gone with its socket or its server.
    LocalCandidateRemoved(Candidate),
    /// Gathering has begun or ended.
    GatheringStateChange(GatheringState),
    /// A server gave no candidate (W3C `RTCPeerConnectionIceErrorEvent`).
    CandidateError {
        /// The local IP address that talked to the server.
        address: IpAddr,
        /// Its port.
        port: u16,
        /// The server.
        url: String,
        /// The STUN error code; 701 when the server could not be reached.
        code: u16,
        /// The STUN reason phrase, or what went wrong.
        text: String,
    },
    /// Connectivity has changed.
    StateChange(State),
    /// Application data now takes this pair.
    SelectedPairChange(Box<CandidatePair>),
    /// A role conflict was resolved by changing sides.
    RoleChange(Role),
    /// Open a TCP (or TLS) connection from the IP address of `path.local` to `path.remote`. Whatever port it gets, this
    /// `path` names the connection from now on, in every call and every [`Transmit`]. Report with
    /// [`Agent::handle_connected`](crate::Agent::handle_connected) and
    /// [`Agent::handle_disconnected`](crate::Agent::handle_disconnected).
    Connect {
        /// The connection's name.
        path: Path,
        /// How its messages are separated.
        framing: Framing,
        /// The server's URL, for its name in TLS; `None` for a peer.
        url: Option<String>,
    },
    /// A connection is of no more use.
    Disconnect(Path),
    /// Open one more UDP socket on the IP address of `beside`, for a TURN server that knows an allocation of that socket already,
    /// and report it with [`Agent::handle_port`](crate::Agent::handle_port).
    OpenPort {
        /// A socket of the agent.
        beside: SocketAddr,
    },
    /// Close a socket that was opened for [`Event::OpenPort`]: what it was for is over.
    ClosePort {
        /// What it is bound to.
        local: SocketAddr,
    },
    /// Find the address of this name (by multicast DNS when it ends in `.local`), and report it with
    /// [`Agent::handle_resolved`](crate::Agent::handle_resolved).
    ResolveName(String),
    /// Answer for this name by multicast DNS as long as the agent lives.
    PublishName {
        /// A random name under `.local`.
        name: String,
        /// The address it stands for.
        address: IpAddr,
    },
}
