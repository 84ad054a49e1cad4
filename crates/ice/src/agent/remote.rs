//! The peer's parameters and candidates.

use super::Agent;
use super::ids::RemoteId;
use super::restart::RemoteSide;
use crate::candidate::{Address, Candidate, CandidateType, Protocol, TcpType};
use crate::config::Role;
use crate::credentials::Parameters;
use crate::event::Event;
use crate::priority::Priority;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// A candidate of the peer.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) id: RemoteId,
    pub(super) generation: u32,
    pub(super) candidate: Candidate,
    /// Where it is; nothing while its name is not resolved.
    pub(super) addr: Option<SocketAddr>,
    /// Whether its name could not be resolved.
    pub(super) unresolvable: bool,
}

/// Why parameters were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// Fragment or password is shorter or longer than RFC 8839 §5.4 allows, or contains impossible characters.
    #[error("the ICE username fragment or password is outside its grammar")]
    Invalid,
    /// The agent is closed.
    #[error("the agent is closed")]
    Closed,
}

/// Why a candidate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddCandidateError {
    /// Nothing can be sent to this address: unspecified, multicast, or port 0.
    #[error("nothing can be sent to the candidate's address")]
    Address,
    /// Its fragment is not that of the peer's present generation.
    #[error("the candidate belongs to another generation")]
    OtherGeneration,
    /// There are too many already.
    #[error("too many remote candidates")]
    TooMany,
    /// The agent is closed.
    #[error("the agent is closed")]
    Closed,
}

impl Agent {
    pub(super) fn take_remote_parameters(
        &mut self,
        now: Instant,
        parameters: Parameters,
    ) -> Result<(), ParametersError> {
        if self.state == crate::State::Closed {
            return Err(ParametersError::Closed);
        }
        if !parameters.are_valid() {
            return Err(ParametersError::Invalid);
        }
        let same = |remote: &RemoteSide| {
            remote.parameters.ufrag == parameters.ufrag && remote.parameters.pwd == parameters.pwd
        };
        match &mut self.current.remote {
            Some(remote) if same(remote) => {
                remote.parameters = parameters;
                return Ok(());
            }
            Some(_) => self.begin_generation(now),
            None => {}
        }
        // RFC 8445 §6.1.1: a full agent facing a lite one controls.
        let due = match (self.config.lite, parameters.lite) {
            (false, true) => Role::Controlling,
            (true, false) => Role::Controlled,
            _ => self.role,
        };
        if due != self.role {
            self.set_role(due);
            self.events.push_back(Event::RoleChange(due));
        }
        let ufrag = parameters.ufrag.clone();
        self.current.remote = Some(RemoteSide::new(parameters));
        self.progress.begin(now);
        self.drop_remotes_of_others(&ufrag);
        self.take_early_checks(now, &ufrag);
        Ok(())
    }

    /// Candidates that came before the parameters, and with another fragment.
    fn drop_remotes_of_others(&mut self, ufrag: &str) {
        let current = self.current.number;
        let is_other = |remote: &Remote| {
            remote.generation == current
                && (remote.candidate.ufrag.as_deref()).is_some_and(|theirs| theirs != ufrag)
        };
        let gone: Vec<RemoteId> = (self.remotes.iter())
            .filter(|remote| is_other(remote))
            .map(|remote| remote.id)
            .collect();
        self.pairs.retain(|pair| !gone.contains(&pair.remote));
        self.remotes.retain(|remote| !gone.contains(&remote.id));
    }

    pub(super) fn take_remote_candidate(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), AddCandidateError> {
        if self.state == crate::State::Closed {
            return Err(AddCandidateError::Closed);
        }
        // This agent has one component; what a peer offers for RTCP of its own is of no use.
        if candidate.component != 1 {
            return Ok(());
        }
        if let (Some(theirs), Some(remote)) = (&candidate.ufrag, &self.current.remote)
            && **theirs != *remote.parameters.ufrag
        {
            return Err(AddCandidateError::OtherGeneration);
        }
        let is_active = candidate.tcp_type == Some(TcpType::Active);
        let is_reachable = match &candidate.address {
            Address::Ip(ip) => !ip.is_unspecified() && !ip.is_multicast(),
            Address::Name(_) => true,
        };
        if !is_reachable || (candidate.port == 0 && !is_active) {
            return Err(AddCandidateError::Address);
        }
        self.progress.touch(now);
        match candidate.socket_addr() {
            Some(addr) => self.take_located(candidate, addr),
            None => self.take_named(candidate),
        }
    }

    fn take_located(
        &mut self,
        candidate: Candidate,
        addr: SocketAddr,
    ) -> Result<(), AddCandidateError> {
        let current = self.current.number;
        let known = self.remotes.iter_mut().find(|remote| {
            remote.generation == current
                && remote.addr == Some(addr)
                && remote.candidate.protocol == candidate.protocol
                && remote.candidate.tcp_type == candidate.tcp_type
        });
        match known {
            // RFC 8445 §7.3.1.3: the peer now says what a check had shown.
            Some(known) if known.candidate.typ == CandidateType::PeerReflexive => {
                known.candidate = candidate;
                let id = known.id;
                self.recompute_priorities();
                self.refresh_selected();
                self.pair_remote(id);
                Ok(())
            }
            Some(_) => Ok(()),
            None => {
                let id = self
                    .push_remote(candidate, Some(addr))
                    .ok_or(AddCandidateError::TooMany)?;
                self.pair_remote(id);
                Ok(())
            }
        }
    }

    fn take_named(&mut self, candidate: Candidate) -> Result<(), AddCandidateError> {
        if self.remotes.iter().any(|known| {
            known.candidate.address == candidate.address && known.candidate.port == candidate.port
        }) {
            return Ok(());
        }
        let name = candidate.address.to_string();
        let asked = self
            .remotes
            .iter()
            .any(|known| known.addr.is_none() && known.candidate.address == candidate.address);
        self.push_remote(candidate, None)
            .ok_or(AddCandidateError::TooMany)?;
        if !asked {
            self.events.push_back(Event::ResolveName(name));
        }
        Ok(())
    }

    fn push_remote(&mut self, candidate: Candidate, addr: Option<SocketAddr>) -> Option<RemoteId> {
        if self.remotes.len() >= self.config.max_remote_candidates {
            return None;
        }
        let id = RemoteId(self.fresh_id());
        self.remotes.push(Remote {
            id,
            generation: self.current.number,
            candidate,
            addr,
            unresolvable: false,
        });
        Some(id)
    }

    pub(super) fn take_resolved(&mut self, now: Instant, name: &str, address: Option<IpAddr>) {
        self.progress.touch(now);
        let named = |remote: &Remote| match &remote.candidate.address {
            Address::Name(theirs) => remote.addr.is_none() && theirs.eq_ignore_ascii_case(name),
            Address::Ip(_) => false,
        };
        let waiting: Vec<RemoteId> = (self.remotes.iter())
            .filter(|remote| named(remote))
            .map(|remote| remote.id)
            .collect();
        for id in waiting {
            let Some(index) = self.remotes.iter().position(|remote| remote.id == id) else {
                continue;
            };
            let Some(ip) = address.filter(|ip| !ip.is_unspecified() && !ip.is_multicast()) else {
                self.remotes[index].unresolvable = true;
                continue;
            };
            let addr = SocketAddr::new(ip, self.remotes[index].candidate.port);
            // A check from this address may have come before the name was resolved.
            let current = self.current.number;
            let twin = self.remotes.iter().position(|remote| {
                remote.generation == current
                    && remote.addr == Some(addr)
                    && remote.candidate.protocol == self.remotes[index].candidate.protocol
            });
            match twin {
                Some(twin) => {
                    let candidate = self.remotes[index].candidate.clone();
                    self.remotes[twin].candidate = candidate;
                    let twin = self.remotes[twin].id;
                    self.remotes.remove(index);
                    self.recompute_priorities();
                    self.refresh_selected();
                    self.pair_remote(twin);
                }
                None => {
                    self.remotes[index].addr = Some(addr);
                    self.pair_remote(id);
                }
            }
        }
    }

    pub(super) fn remote(&self, id: RemoteId) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.id == id)
    }

    /// The candidate at this address, or a new peer-reflexive one (RFC 8445 §7.3.1.3).
    pub(super) fn remote_at(
        &mut self,
        addr: SocketAddr,
        protocol: Protocol,
        priority: Priority,
    ) -> Option<RemoteId> {
        let current = self.current.number;
        let known = self.remotes.iter().find(|remote| {
            remote.generation == current
                && remote.addr == Some(addr)
                && remote.candidate.protocol == protocol
        });
        if let Some(known) = known {
            return Some(known.id);
        }
        let mut candidate = Candidate::host(addr, protocol, priority);
        candidate.typ = CandidateType::PeerReflexive;
        candidate.tcp_type = (protocol == Protocol::Tcp).then_some(TcpType::Active);
        // Different from every other foundation: no peer may write this character.
        candidate.foundation = format!("_{}", self.next_id.wrapping_add(1)).into();
        self.push_remote(candidate, Some(addr))
    }
}
