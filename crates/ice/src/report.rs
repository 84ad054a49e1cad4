//! The explanation: what was tried and what became of it.

use crate::candidate::Candidate;
use crate::config::Role;
use crate::counters::Counters;
use crate::event::{GatheringState, State};
use crate::pair::{CandidatePair, PairFailure, PairState, PairStats};
use std::fmt;

/// Every candidate, pair and server, at one moment. Its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The agent's state.
    pub state: State,
    /// Whether local candidates may still come.
    pub gathering: GatheringState,
    /// Whether the peer has said that its candidates are complete.
    pub remote_complete: bool,
    /// The role.
    pub role: Role,
    /// The servers.
    pub servers: Vec<ServerReport>,
    /// This side's candidates.
    pub local: Vec<CandidateReport>,
    /// The peer's.
    pub remote: Vec<CandidateReport>,
    /// The pairs, best first.
    pub pairs: Vec<PairReport>,
    /// Pairs that were never checked, or given up, and why: `(local, remote, why)`.
    pub discarded: Vec<(String, String, &'static str)>,
    /// Counts.
    pub counters: Counters,
}

/// A server and what it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Its URL.
    pub url: String,
    /// Its address.
    pub addr: std::net::SocketAddr,
    /// The local socket that talks to it.
    pub from: std::net::SocketAddr,
    /// What became of it.
    pub outcome: String,
}

/// A candidate and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CandidateReport {
    /// The candidate, with its real address.
    pub candidate: Candidate,
    /// How many pairs it is in.
    pub pairs: usize,
    /// Why it is in none.
    pub note: Option<&'static str>,
}

/// A pair and what became of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PairReport {
    /// The pair.
    pub pair: CandidatePair,
    /// Its state.
    pub state: PairState,
    /// Whether application data takes it.
    pub selected: bool,
    /// Why it failed.
    pub failure: Option<PairFailure>,
    /// The last STUN error code of the peer.
    pub last_error: Option<u16>,
    /// Counts and round-trip times.
    pub stats: PairStats,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = match self.remote_complete {
            true => "complete",
            false => "may still come",
        };
        writeln!(
            f,
            "state {:?}, {:?}, gathering {:?}, remote candidates {remote}",
            self.state, self.role, self.gathering
        )?;
        section(f, "servers", self.servers.is_empty())?;
        for server in &self.servers {
            writeln!(f, "  {:<44} {}", server.url, server.outcome)?;
        }
        for (name, candidates) in [("local", &self.local), ("remote", &self.remote)] {
            section(f, name, candidates.is_empty())?;
            for candidate in candidates {
                write!(f, "  {candidate}")?;
            }
        }
        section(f, "pairs", self.pairs.is_empty())?;
        for pair in &self.pairs {
            write!(f, "{pair}")?;
        }
        section(f, "not checked", self.discarded.is_empty())?;
        for (local, remote, why) in &self.discarded {
            writeln!(f, "  {local:<24} {remote:<24} {why}")?;
        }
        let dropped = crate::DropReason::ALL
            .iter()
            .map(|reason| (reason, self.counters.dropped(*reason)))
            .filter(|(_, count)| *count > 0);
        for (reason, count) in dropped {
            writeln!(f, "dropped {count} ({reason:?})")?;
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, name: &str, is_empty: bool) -> fmt::Result {
    match is_empty {
        true => Ok(()),
        false => writeln!(f, "{name}"),
    }
}

/// `192.0.2.1:5000 udp host`
fn short(candidate: &Candidate) -> String {
    let address = match candidate.socket_addr() {
        Some(addr) => addr.to_string(),
        None => format!("{}:{}", candidate.address, candidate.port),
    };
    let over = match candidate.relay_protocol {
        Some(protocol) => format!("/{protocol}"),
        None => String::new(),
    };
    format!("{address} {} {}{over}", candidate.protocol, candidate.typ)
}

impl fmt::Display for CandidateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let note = self.note.unwrap_or_default();
        let (candidate, pairs) = (short(&self.candidate), self.pairs);
        let priority = self.candidate.priority.0;
        writeln!(
            f,
            "{candidate:<44} {priority:>10}  {pairs:>2} pairs  {note}"
        )
    }
}

impl fmt::Display for PairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match (self.selected, self.pair.nominated) {
            (true, _) => '*',
            (false, true) => '+',
            _ => ' ',
        };
        let stats = &self.stats;
        let rtt = match stats.current_round_trip_time {
            Some(rtt) => format!("{:.1} ms", rtt.as_secs_f64() * 1e3),
            None => String::new(),
        };
        write!(
            f,
            "{mark} {:<38} {:<38} {:<11} out {}+{} answered {} in {} {rtt}",
            short(&self.pair.local),
            short(&self.pair.remote),
            self.state.as_str(),
            stats.requests_sent + stats.consent_requests_sent,
            stats.retransmissions_sent,
            stats.responses_received,
            stats.requests_received,
        )?;
        if let Some(failure) = self.failure {
            write!(f, " {failure}")?;
        }
        if let Some(code) = self.last_error {
            write!(f, " (last error {code})")?;
        }
        writeln!(f)
    }
}
