//! The states that the application sees, and the next timeout.

use super::Agent;
use crate::event::{Event, GatheringState, State};
use crate::pair::Pair;
use std::time::Instant;

/// When things began, and when they may go on.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When checks could begin: the start of the PAC timer (RFC 8863 §4).
    started: Option<Instant>,
    /// When a candidate or a check of the peer last came.
    touched: Option<Instant>,
    /// The earliest time for the next ordinary check.
    pub(super) ordinary_at: Option<Instant>,
    /// The earliest time for the next triggered check.
    pub(super) triggered_at: Option<Instant>,
    /// Whether there ever was a pair to use.
    pub(super) was_usable: bool,
    /// Whether this is not the first generation.
    restarted: bool,
    /// Failed for good, until a restart.
    pub(super) failed: bool,
}

impl Progress {
    pub(super) fn begin(&mut self, now: Instant) {
        self.started = Some(now);
        self.touched = Some(now);
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.touched = Some(now);
    }

    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self {
            touched: Some(now),
            restarted: true,
            ordinary_at: self.ordinary_at,
            triggered_at: self.triggered_at,
            ..Self::default()
        };
    }
}

impl Agent {
    pub(super) fn update_state(&mut self, now: Instant) {
        let state = self.derive_state(now);
        if state != self.state {
            let lost = state == State::Disconnected;
            tracing::info!(from = ?self.state, to = ?state, "ICE state");
            self.state = state;
            self.progress.failed = state == State::Failed;
            self.events.push_back(Event::StateChange(state));
            if lost {
                self.ask_reserve(now);
            }
        }
    }

    /// W3C WebRTC §5.6.3.
    fn derive_state(&self, now: Instant) -> State {
        if self.progress.failed {
            return State::Failed;
        }
        let current = self.current.number;
        let in_use = (self.selected.as_ref()).and_then(|selected| self.pair(selected.id));
        if let Some(pair) = in_use {
            let silent = self.is_silent(now, pair);
            return match (silent, pair.generation == current) {
                (true, true) => State::Disconnected,
                // A restart "effectively forgets" that connectivity was lost.
                (true, false) => State::Checking,
                (false, true) if pair.nominated.is_some() && self.is_over(pair) => State::Completed,
                (false, _) => State::Connected,
            };
        }
        let pending = self.is_checking(now);
        let Some(started) = self.progress.started else {
            return match self.progress.restarted {
                true => State::Checking,
                false => State::New,
            };
        };
        if pending {
            return State::Checking;
        }
        if self.remote_complete && self.gathering == GatheringState::Complete {
            let patient = now < started + self.config.timing.patience;
            // "... and either zero local candidates were gathered or the PAC timer has expired."
            return match patient && !self.locals.is_empty() {
                true => State::Checking,
                false => State::Failed,
            };
        }
        if let Some(limit) = self.failure_without_end()
            && limit <= now
        {
            return State::Failed;
        }
        match self.pairs.iter().any(|pair| pair.generation == current) || self.progress.was_usable {
            true => State::Disconnected,
            false if self.remotes.is_empty() && !self.progress.restarted => State::New,
            false => State::Checking,
        }
    }

    /// Whether pairs are to be checked, or names to be resolved, that could become pairs.
    fn is_checking(&self, now: Instant) -> bool {
        let current = self.current.number;
        (self.pairs.iter()).any(|pair| pair.generation == current && pair.is_pending())
            || (self.remotes.iter()).any(|remote| remote.addr.is_none() && !remote.unresolvable)
                && self.failure_without_end().is_none_or(|end| now < end)
    }

    /// Whether gathering, candidates and checks are all over; checks for a reserve do not count.
    fn is_over(&self, nominated: &Pair) -> bool {
        self.remote_complete
            && self.gathering == GatheringState::Complete
            && !(self.pairs.iter())
                .any(|pair| pair.is_pending() && pair.priority > nominated.priority)
    }

    /// When it is time to give up on a peer that does not say whether more candidates will come.
    fn failure_without_end(&self) -> Option<Instant> {
        let wait = self.config.timing.patience_without_end?;
        let began = self.progress.started.max(self.progress.touched)?;
        // A peer that has shown nothing at all may still be on its way.
        (!self.remotes.is_empty() || self.remote_complete).then(|| began + wait)
    }

    pub(super) fn set_gathering(&mut self, state: GatheringState) {
        if self.gathering != state {
            self.gathering = state;
            self.events.push_back(Event::GatheringStateChange(state));
        }
    }

    /// The earliest thing that `drive` would do.
    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = self.relay_timeout();
        let mut due = |at: Option<Instant>| {
            next = match (next, at) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        };
        for transaction in &self.transactions {
            due(transaction.resend_at);
            due(Some(transaction.expires));
        }
        let (triggered, ordinary) = self.checks_wait();
        if triggered {
            due(Some(self.progress.triggered_at.unwrap_or(now)));
        }
        if ordinary {
            due(Some(self.progress.ordinary_at.unwrap_or(now)));
        }
        let timing = &self.config.timing;
        for pair in self.pairs.iter().filter(|pair| pair.is_valid()) {
            due(pair.last_response.map(|at| at + timing.consent_timeout));
            if !self.config.lite {
                due(pair.next_request);
                due(self.probe_at(pair.id));
            }
        }
        due(self.nomination.deadline);
        let in_use = (self.selected.as_ref()).and_then(|selected| self.pair(selected.id));
        if let Some(pair) = in_use {
            if self.state != State::Disconnected && self.state != State::Checking {
                due(self.silent_at(pair).filter(|at| *at > now));
            }
        } else if self.state != State::Failed {
            let patience = self.progress.started.map(|at| at + timing.patience);
            due(patience.filter(|at| *at > now));
            due(self.failure_without_end().filter(|at| *at > now));
        }
        due(self.gather_timeout(now));
        next
    }
}
