//! Consent freshness (RFC 7675) and keep-alives (RFC 8445 §11).

use super::Agent;
use super::checks::Purpose;
use super::ids::PairId;
use crate::pair::{Pair, PairFailure};
use rand::RngExt;
use std::time::{Duration, Instant};

impl Agent {
    /// RFC 7675 §5.1: between 0.8 and 1.2 times the basic interval, and never less than 4 seconds by default.
    pub(super) fn consent_delay(&mut self) -> Duration {
        let percent = self.rng.random_range(80..=120u32);
        self.config.timing.consent_interval * percent / 100
    }

    pub(super) fn keep_consent(&mut self, now: Instant) {
        if self.pairs.is_empty() {
            return;
        }
        let timeout = self.config.timing.consent_timeout;
        let mut lost = false;
        for pair in self.pairs.iter_mut().filter(|pair| pair.is_valid()) {
            // Only authenticated answers count: never data, nor requests of the peer.
            if pair.last_response.is_some_and(|at| at + timeout <= now) {
                pair.fail(PairFailure::ConsentLost);
                lost = true;
            }
        }
        if lost {
            let pairs = &self.pairs;
            self.transactions.retain(|one| {
                pairs
                    .iter()
                    .any(|pair| pair.id == one.pair && !pair.lost_consent())
            });
            self.forget_failed_selection(now);
        }
        if self.config.lite {
            return;
        }
        let due = |pair: &Pair| pair.is_valid() && pair.next_request.is_none_or(|at| at <= now);
        let selected = self.selected.as_ref().map(|selected| selected.id);
        while let Some(id) = self.pairs.iter().find(|pair| due(pair)).map(|pair| pair.id) {
            let fresh = self
                .pair(id)
                .is_some_and(|pair| pair.next_request.is_none());
            let delay = match selected == Some(id) {
                true => self.consent_delay(),
                false => self.config.timing.keepalive_interval,
            };
            if let Some(pair) = self.pair_mut(id) {
                pair.next_request = Some(now + delay);
            }
            // A pair that has just become valid was answered a moment ago.
            if !fresh {
                self.start_check(now, id, Purpose::Consent);
            }
        }
        self.probe_unanswered(now);
    }

    /// A consent check is sent only once. If its answer does not come, ordinary checks, with their retransmissions, find out
    /// whether it was one packet that was lost or the way.
    fn probe_unanswered(&mut self, now: Instant) {
        let unanswered: Vec<PairId> = (self.transactions.iter())
            .filter(|one| one.purpose == Purpose::Consent && !one.due)
            .map(|one| one.pair)
            .filter(|id| self.pair(*id).is_some_and(Pair::is_valid))
            .filter(|id| self.probe_at(*id).is_some_and(|at| at <= now))
            .collect();
        for id in unanswered {
            self.start_check(now, id, Purpose::Check);
        }
    }

    /// When an unanswered consent check of this pair is followed by ordinary ones; `None` when they are under way.
    pub(super) fn probe_at(&self, id: PairId) -> Option<Instant> {
        let mut asked = None;
        for one in self.transactions.iter().filter(|one| one.pair == id) {
            match one.purpose {
                Purpose::Consent => asked = asked.max(Some(one.sent_at())),
                _ => return None,
            }
        }
        let pair = self.pair(id)?;
        let asked = asked?;
        if pair.last_response.is_some_and(|at| at > asked) {
            return None;
        }
        let rtt = pair.stats.current_round_trip_time.unwrap_or_default();
        Some(asked + self.config.timing.rto.max(rtt * 2))
    }

    /// When something was last known to come from the peer on this pair.
    pub(super) fn last_heard(&self, pair: &Pair) -> Option<Instant> {
        let data = (self.selected.as_ref())
            .filter(|selected| selected.id == pair.id)
            .and_then(|selected| selected.last_received);
        data.max(pair.last_received).max(pair.last_response)
    }

    /// When a valid pair counts as disconnected if nothing comes.
    pub(super) fn silent_at(&self, pair: &Pair) -> Option<Instant> {
        self.last_heard(pair)
            .map(|at| at + self.config.timing.disconnected_after)
    }

    pub(super) fn is_silent(&self, now: Instant, pair: &Pair) -> bool {
        self.silent_at(pair).is_some_and(|at| at <= now)
    }

    /// The pair in use has fallen silent: ask the reserve at once.
    pub(super) fn ask_reserve(&mut self, now: Instant) {
        let selected = self.selected.as_ref().map(|selected| selected.id);
        let reserve: Vec<PairId> = (self.pairs.iter())
            .filter(|pair| pair.is_valid() && Some(pair.id) != selected)
            .map(|pair| pair.id)
            .collect();
        for id in reserve {
            self.start_check(now, id, Purpose::Check);
        }
    }
}
