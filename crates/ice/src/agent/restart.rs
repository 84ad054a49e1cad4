//! Generations of credentials, and the restart that begins a new one (RFC 8445 §9).

use super::ids::PairId;
use super::local::hide_related;
use super::{Agent, ParametersError};
use crate::candidate::CandidateType;
use crate::config::{Config, TransportPolicy};
use crate::credentials::Parameters;
use crate::event::{Event, State};
use rand::rngs::StdRng;
use std::time::Instant;
use stun::IntegrityKey;

/// The credentials of both sides between two restarts.
pub(super) struct Generation {
    pub(super) number: u32,
    pub(super) local: Parameters,
    pub(super) local_key: IntegrityKey,
    pub(super) remote: Option<RemoteSide>,
}

pub(super) struct RemoteSide {
    pub(super) parameters: Parameters,
    pub(super) key: IntegrityKey,
}

impl Generation {
    pub(super) fn new(number: u32, rng: &mut StdRng, config: &Config) -> Self {
        let local = Parameters::generate(rng, config.lite, config.renomination);
        Self {
            number,
            local_key: IntegrityKey::short_term(&local.pwd),
            local,
            remote: None,
        }
    }
}

impl RemoteSide {
    pub(super) fn new(parameters: Parameters) -> Self {
        Self {
            key: IntegrityKey::short_term(&parameters.pwd),
            parameters,
        }
    }
}

impl Agent {
    /// The credentials of this generation, if it is still known.
    pub(super) fn generation(&self, number: u32) -> Option<&Generation> {
        if self.current.number == number {
            return Some(&self.current);
        }
        self.previous
            .as_ref()
            .filter(|previous| previous.number == number)
    }

    /// Takes credentials that were made elsewhere, as a description carries them. Before anything has been gathered
    /// they replace this side's own; later they are an ICE restart, as [`Agent::restart`].
    ///
    /// # Errors
    /// When they are not credentials (RFC 8839 §5.4).
    pub fn set_local_parameters(
        &mut self,
        now: Instant,
        parameters: Parameters,
    ) -> Result<(), ParametersError> {
        if !parameters.are_valid() {
            return Err(ParametersError::Invalid);
        }
        if self.state == State::Closed || parameters.ufrag == self.current.local.ufrag {
            return Ok(());
        }
        let untouched = self.current.remote.is_none() && self.sockets.is_empty();
        let number = match untouched {
            true => self.current.number,
            false => self.current.number.wrapping_add(1),
        };
        let mut next = Generation::new(number, &mut self.rng, &self.config);
        next.local.ufrag = parameters.ufrag;
        next.local.pwd = parameters.pwd;
        next.local_key = IntegrityKey::short_term(&next.local.pwd);
        if untouched {
            self.current = next;
        } else {
            self.enter_generation(now, next);
            self.drive(now);
        }
        Ok(())
    }

    pub(super) fn begin_generation(&mut self, now: Instant) {
        let number = self.current.number.wrapping_add(1);
        let next = Generation::new(number, &mut self.rng, &self.config);
        self.enter_generation(now, next);
    }

    fn enter_generation(&mut self, now: Instant, next: Generation) {
        let number = next.number;
        let last = std::mem::replace(&mut self.current, next);

        // The pair in use stays, with its own credentials; a restart that never got anywhere leaves no trace.
        let kept = self.selected.as_ref().map(|selected| selected.id);
        let kept_generation = kept
            .and_then(|id| self.pair(id))
            .map(|pair| pair.generation);
        if kept_generation.is_none_or(|kept| kept == last.number) {
            self.previous = Some(last);
        }
        self.pairs.retain(|pair| Some(pair.id) == kept);
        self.transactions
            .retain(|transaction| Some(transaction.pair) == kept && !transaction.is_nomination());
        self.triggered.clear();
        self.early.clear();
        self.discarded.clear();
        self.forget_unused_candidates(kept);
        self.remote_complete = false;
        self.nomination = super::nominate::Nomination::default();
        self.progress.restart(now);
        // The transport policy in force counts from here on (RFC 9429 §4.1.18).
        match self.config.transport_policy {
            TransportPolicy::All => {
                self.gather_again(now);
                self.announce_again();
                self.gather_on_sockets(now);
            }
            TransportPolicy::Relay => {
                self.keep_relays(kept);
                self.gather_again(now);
                self.announce_again();
            }
        }
        tracing::info!(generation = number, "ICE restart");
    }

    /// What a policy of relays alone kept back.
    fn gather_on_sockets(&mut self, now: Instant) {
        for socket in self.sockets.clone() {
            self.add_host(&socket.config);
            self.gather_on(now, socket.config.addr, socket.config.protocol);
        }
    }

    /// Drops all candidates but those of relays, and what those tell of this side. The pair in use stays until another one
    /// works, whatever it is made of.
    fn keep_relays(&mut self, kept: Option<PairId>) {
        let used = kept
            .and_then(|id| self.pair(id))
            .map(|pair| (pair.local, pair.valid_local));
        self.locals.retain_mut(|local| {
            let is_used = used.is_some_and(|(a, b)| a == local.id || b == Some(local.id));
            let obeys = local.relay.is_some();
            match &mut local.announced {
                Some(announced) if obeys => hide_related(announced),
                announced => *announced = None,
            }
            obeys || is_used
        });
        for server in &mut self.stun_servers {
            server.requests.clear();
        }
    }

    /// Remote and peer-reflexive candidates belong to the generation that learned them.
    fn forget_unused_candidates(&mut self, kept: Option<PairId>) {
        let used = kept
            .and_then(|id| self.pair(id))
            .map(|pair| (pair.remote, pair.local, pair.valid_local));
        self.remotes
            .retain(|remote| used.is_some_and(|(id, ..)| id == remote.id));
        self.locals.retain(|local| {
            local.candidate.typ != CandidateType::PeerReflexive
                || used.is_some_and(|(_, a, b)| a == local.id || b == Some(local.id))
        });
    }

    fn announce_again(&mut self) {
        let ufrag: Box<str> = self.current.local.ufrag.as_str().into();
        let generation = self.current.number;
        for local in &mut self.locals {
            local.candidate.ufrag = Some(ufrag.clone());
            local.candidate.generation = Some(generation);
            if let Some(announced) = &mut local.announced {
                announced.ufrag = Some(ufrag.clone());
                announced.generation = Some(generation);
                self.events
                    .push_back(Event::LocalCandidate(announced.clone()));
            }
        }
    }
}
