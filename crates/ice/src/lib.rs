//! An ICE agent without sockets, clock or threads: it finds a way between two peers through whatever NATs and
//! firewalls lie between, keeps asking the peer's consent to use it, and explains what it did.
//!
//! RFC 8445 (ICE), 8838 (trickle), 8839 and 8840 (SDP), 6544 (TCP), 7675 (consent), 8421 (dual stack), 8863 (patience),
//! 5245 peers, multicast DNS candidates, renomination. An agent is one data stream of one component: what BUNDLE and
//! `rtcp-mux` make of a call.
//!
//! ```
//! use ice::{Agent, Config, LocalSocket, Role};
//! use rand::{SeedableRng, rngs::StdRng};
//! # #[expect(clippy::disallowed_methods, reason = "an example needs a time")]
//! # let now = std::time::Instant::now();
//!
//! let mut agent = Agent::new(Config::default(), StdRng::seed_from_u64(1));
//! agent.add_local_socket(now, LocalSocket::udp("192.0.2.1:5000".parse()?));
//! agent.local_sockets_complete(now);
//! while let Some(event) = agent.poll_event() {
//!     println!("{event:?}"); // LocalCandidate, GatheringStateChange: for the peer
//! }
//! let answer = ice::Parameters::new("peer", "a password of the peer".replace(' ', "+"));
//! agent.set_remote_parameters(now, answer)?;
//! agent.add_remote_candidate(now, "candidate:1 1 udp 2130706431 192.0.2.2 6000 typ host".parse()?)?;
//! let mut buf = Vec::new();
//! let check = agent.poll_transmit(now, &mut buf).ok_or("the first check goes out at once")?;
//! assert_eq!((check.remote, check.len), ("192.0.2.2:6000".parse()?, buf.len()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | `agent` | [`Agent`]: commands, `handle_*`, `poll_*`, queries |
//! | `candidate` | [`Candidate`] and its SDP form |
//! | `priority` | [`Priority`], [`PairPriority`] |
//! | `pair` | [`CandidatePair`], [`PairState`], [`PairStats`] |
//! | `config` | [`Config`], [`Timing`], [`LocalSocket`], [`Server`] |
//! | `credentials` | [`Parameters`] |
//! | `event` | [`Event`], [`State`], [`Input`], [`Transmit`], [`Frame`], [`Path`] |
//! | `mux` | [`Mux`]: many agents behind one port |
//! | `report` | [`Report`]: every candidate and pair, and what became of it |
//! | `counters` | [`Counters`]: what was dropped, by reason |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agent;
mod candidate;
mod config;
mod counters;
mod credentials;
mod event;
mod mux;
mod pair;
mod priority;
mod relay;
mod report;

pub use agent::{AddCandidateError, Agent, ParametersError};
pub use candidate::{
    Address, Candidate, CandidateType, ParseCandidateError, Protocol, RelatedAddress, TcpType,
};
pub use config::{Config, InterfaceKind, LocalSocket, Role, Server, Timing, TransportPolicy};
pub use counters::Counters;
pub use credentials::Parameters;
pub use event::{DropReason, Event, Frame, Framing, GatheringState, Input, Path, State, Transmit};
pub use mux::{Mux, MuxCounters, MuxKey};
pub use pair::{CandidatePair, PairFailure, PairState, PairStats};
pub use priority::{PairPriority, Priority};
pub use report::{CandidateReport, PairReport, Report, ServerReport};
