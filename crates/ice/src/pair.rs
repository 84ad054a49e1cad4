//! Candidate pairs (RFC 8445 §6.1.2).

use crate::agent::ids::{LocalId, PairId, RelayId, RemoteId};
use crate::candidate::Candidate;
use crate::event::Path;
use crate::priority::PairPriority;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The state of a pair (RFC 8445 §6.1.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PairState {
    /// Waits for another pair of the same foundation.
    Frozen,
    /// To be checked.
    Waiting,
    /// A check is under way.
    InProgress,
    /// A check has succeeded.
    Succeeded,
    /// The last check failed, or consent was lost.
    Failed,
}

impl PairState {
    /// The W3C statistics name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Waiting => "waiting",
            Self::InProgress => "in-progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Why a pair failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PairFailure {
    /// No answer to any transmission of a check.
    Timeout,
    /// The peer answered with this STUN error.
    Error(u16),
    /// No consent for 30 seconds, or 403 from the peer (RFC 7675 §5).
    ConsentLost,
    /// The TCP connection could not be made, or was closed.
    Disconnected,
    /// The relay refused to send to this peer, or is gone.
    Relay,
}

impl std::fmt::Display for PairFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer"),
            Self::Error(code) => write!(f, "error {code}"),
            Self::ConsentLost => f.write_str("consent lost"),
            Self::Disconnected => f.write_str("connection closed"),
            Self::Relay => f.write_str("relay refused"),
        }
    }
}

/// The counts of W3C `RTCIceCandidatePairStats`, as far as ICE knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PairStats {
    /// Checks sent, retransmissions not included.
    pub requests_sent: u64,
    /// Retransmissions.
    pub retransmissions_sent: u64,
    /// Authenticated checks received, of either purpose.
    pub requests_received: u64,
    /// Successful responses sent.
    pub responses_sent: u64,
    /// Authenticated successful responses received.
    pub responses_received: u64,
    /// Consent checks sent (RFC 7675).
    pub consent_requests_sent: u64,
    /// The last round-trip time.
    pub current_round_trip_time: Option<Duration>,
    /// The sum of all round-trip times.
    pub total_round_trip_time: Duration,
}

/// A pair as the application sees it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CandidatePair {
    /// A number of its own within the agent.
    pub id: u32,
    /// This side's candidate: the one the peer sees, once a check has shown it.
    pub local: Candidate,
    /// The peer's.
    pub remote: Candidate,
    /// RFC 8445 §6.1.2.3
    pub priority: PairPriority,
    /// Whether it was nominated.
    pub nominated: bool,
    /// Where its datagrams go: for a relayed local candidate the way to the relay.
    pub path: Path,
}

/// How datagrams of a pair travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Direct(Path),
    Relayed { relay: RelayId, peer: SocketAddr },
}

impl Route {
    /// The address of the peer.
    pub(crate) fn peer(self) -> SocketAddr {
        match self {
            Self::Direct(path) => path.remote,
            Self::Relayed { peer, .. } => peer,
        }
    }
}

/// What a TCP pair still needs before it can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Nothing: it is UDP, or the connection is open.
    Ready,
    /// A connection, when its turn comes.
    Needed,
    /// Asked for.
    Opening,
}

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) generation: u32,
    pub(crate) local: LocalId,
    pub(crate) remote: RemoteId,
    pub(crate) route: Route,
    pub(crate) priority: PairPriority,
    pub(crate) state: PairState,
    pub(crate) connection: Connection,
    pub(crate) failure: Option<PairFailure>,
    /// The STUN code of the last error response.
    pub(crate) last_error: Option<u16>,
    /// The candidate that a check has shown the peer to see, once valid.
    pub(crate) valid_local: Option<LocalId>,
    pub(crate) valid_since: Option<Instant>,
    /// In which order pairs were nominated: the highest counts.
    pub(crate) nominated: Option<u64>,
    /// The nomination to apply when the check under way succeeds (RFC 8445 §7.3.1.5).
    pub(crate) nominate_on_success: Option<u64>,
    /// The last authenticated response: consent (RFC 7675).
    pub(crate) last_response: Option<Instant>,
    /// The last datagram known to come from the peer.
    pub(crate) last_received: Option<Instant>,
    /// The next consent check or keep-alive.
    pub(crate) next_request: Option<Instant>,
    pub(crate) stats: PairStats,
}

impl Pair {
    pub(crate) fn new(
        id: PairId,
        generation: u32,
        (local, remote): (LocalId, RemoteId),
        route: Route,
        priority: PairPriority,
    ) -> Self {
        Self {
            id,
            generation,
            local,
            remote,
            route,
            priority,
            state: PairState::Frozen,
            connection: Connection::Ready,
            failure: None,
            last_error: None,
            valid_local: None,
            valid_since: None,
            nominated: None,
            nominate_on_success: None,
            last_response: None,
            last_received: None,
            next_request: None,
            stats: PairStats::default(),
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        self.state == PairState::Succeeded
    }

    /// Whether a check of it may still bring something.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(
            self.state,
            PairState::Frozen | PairState::Waiting | PairState::InProgress
        )
    }

    pub(crate) fn fail(&mut self, failure: PairFailure) {
        self.state = PairState::Failed;
        self.failure = Some(failure);
        self.nominated = None;
        self.nominate_on_success = None;
        self.next_request = None;
    }

    /// RFC 7675 §5.1: once consent is lost, the credentials are of no more use on this 5-tuple.
    pub(crate) fn lost_consent(&self) -> bool {
        self.failure == Some(PairFailure::ConsentLost)
    }
}
