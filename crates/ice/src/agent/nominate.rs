//! Nomination (RFC 8445 §8, draft-thatcher-ice-renomination) and the selected pair.

use super::checks::Purpose;
use super::ids::PairId;
use super::{Agent, Selected};
use crate::candidate::CandidateType;
use crate::config::Role;
use crate::event::Event;
use crate::pair::{CandidatePair, Pair, PairState, Route};
use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Where nomination stands.
#[derive(Debug, Default)]
pub(super) struct Nomination {
    /// The pair whose nomination is under way.
    under_way: Option<PairId>,
    /// How many were made or taken.
    count: u64,
    /// The highest number the peer has sent with a renomination.
    highest: u32,
    /// A pair is nominated: nothing new is checked, unless renomination could use it.
    pub(super) concluded: bool,
    /// When the wait for a better pair ends.
    pub(super) deadline: Option<Instant>,
}

/// A nominated pair this silent gives way to another that the peer nominates.
const SILENT: Duration = Duration::from_secs(3);
/// How fresh the answer of a pair must be that replaces a silent one.
const FRESH: Duration = Duration::from_secs(2);

impl Nomination {
    pub(super) fn failed(&mut self, id: PairId) {
        if self.under_way == Some(id) {
            self.under_way = None;
        }
    }
}

impl Agent {
    /// Whether both sides agreed on renomination.
    pub(super) fn renominates(&self) -> bool {
        self.config.renomination
            && (self.current.remote.as_ref()).is_some_and(|remote| remote.parameters.renomination)
    }

    /// The controlling side's part: nominates as soon as waiting can bring nothing better, or has taken long enough.
    pub(super) fn nominate(&mut self, now: Instant) {
        self.nomination.deadline = None;
        if self.role != Role::Controlling || self.config.lite || self.current.remote.is_none() {
            return;
        }
        if let Some(id) = self.nomination.under_way {
            let asking =
                (self.transactions.iter()).any(|one| one.pair == id && one.is_nomination());
            if asking && self.pair(id).is_some_and(Pair::is_valid) {
                return;
            }
            self.nomination.under_way = None;
        }
        let current = self.current.number;
        let valid = |pair: &&Pair| pair.generation == current && pair.is_valid();
        let Some(best) = (self.pairs.iter())
            .filter(valid)
            .max_by_key(|pair| pair.priority)
        else {
            return;
        };
        let nominated = (self.pairs.iter())
            .filter(valid)
            .filter(|pair| pair.nominated.is_some())
            .max_by_key(|pair| pair.nominated);
        let Some(nominated) = nominated else {
            let wait = self.wait_for_better(best);
            let deadline = best.valid_since.map_or(now, |since| since + wait);
            let id = best.id;
            if deadline <= now {
                self.begin_nomination(now, id);
            } else {
                self.nomination.deadline = Some(deadline);
            }
            return;
        };
        // The nominated pair has fallen silent, and another answers: move. Peers follow this, renominating or not.
        let silent = self.is_silent(now, nominated);
        let better = if silent {
            (self.pairs.iter())
                .filter(valid)
                .filter(|pair| pair.id != nominated.id)
                .filter(|pair| pair.last_response.is_some_and(|at| now < at + FRESH))
                .max_by_key(|pair| pair.priority)
        } else {
            let better = best.priority > nominated.priority && self.renominates();
            better.then_some(best)
        };
        if let Some(id) = better.map(|pair| pair.id) {
            self.begin_nomination(now, id);
        }
    }

    /// How long it is worth waiting for something better than this pair.
    fn wait_for_better(&self, best: &Pair) -> Duration {
        let better_pending = self.pairs.iter().any(|pair| {
            pair.generation == self.current.number
                && pair.is_pending()
                && pair.priority > best.priority
        });
        let timing = &self.config.timing;
        let is_relayed = self.is_relayed(best);
        let more_may_come =
            !self.remote_complete || self.gathering != crate::GatheringState::Complete;
        // With renomination nothing is lost by being early.
        if self.renominates() {
            return Duration::ZERO;
        }
        match (is_relayed, better_pending) {
            (true, _) if better_pending || more_may_come => timing.relay_nomination_patience,
            (false, true) => {
                let rtt = best.stats.current_round_trip_time.unwrap_or_default();
                timing.nomination_patience.max(rtt * 2)
            }
            _ => Duration::ZERO,
        }
    }

    fn is_relayed(&self, pair: &Pair) -> bool {
        let local = self.local(pair.local).map(|local| local.candidate.typ);
        let remote = self.remote(pair.remote).map(|remote| remote.candidate.typ);
        [local, remote].contains(&Some(CandidateType::Relayed))
    }

    pub(super) fn begin_nomination(&mut self, now: Instant, id: PairId) {
        self.nomination.count += 1;
        let order = self.nomination.count;
        let number = self
            .renominates()
            .then(|| u32::try_from(order).unwrap_or(u32::MAX));
        self.nomination.under_way = Some(id);
        self.start_check(now, id, Purpose::Nominate(order, number));
    }

    pub(super) fn nomination_succeeded(&mut self, id: PairId, order: u64) {
        self.nomination.failed(id);
        if let Some(pair) = self.pair_mut(id) {
            pair.nominated = Some(order);
        }
        self.nomination.concluded = true;
    }

    /// The controlled side's part: where a nomination ranks. `None`: it is out of date, or of a worse pair than the one in use.
    pub(super) fn order_of_nomination(
        &mut self,
        now: Instant,
        id: PairId,
        number: Option<u32>,
    ) -> Option<u64> {
        if self.role != Role::Controlled {
            return None;
        }
        let asked = self.pair(id)?;
        if let Some(number) = number {
            // A retransmitted or repeated one keeps the pair where it is.
            if number < self.nomination.highest {
                return None;
            }
            self.nomination.highest = number;
        } else {
            // Aggressive nomination (RFC 5245 §8.1.1.2) flags every check: the best of the flagged pairs counts, as long as it lives.
            let in_use = (self.pairs.iter())
                .filter(|pair| pair.generation == asked.generation && pair.is_valid())
                .filter(|pair| pair.nominated.is_some())
                .max_by_key(|pair| pair.nominated);
            if let Some(in_use) = in_use
                && in_use.id != id
                && in_use.priority > asked.priority
                && self.last_heard(in_use).is_some_and(|at| now < at + SILENT)
            {
                return None;
            }
        }
        self.nomination.count += 1;
        Some(self.nomination.count)
    }

    // The selected pair.

    /// Chooses the pair for application data: the one nominated last, else the best that works, else the one from before the
    /// restart. RFC 8445 §12.1.1 allows data on any valid pair.
    pub(super) fn select(&mut self, now: Instant) {
        // W3C WebRTC §5.6.3: failure is final until a restart, whatever still comes.
        if self.progress.failed {
            self.selected = None;
            return;
        }
        let current = self.current.number;
        let best = (self.pairs.iter())
            .filter(|pair| pair.is_valid())
            .max_by_key(|pair| {
                let here = !self.is_away(pair.route);
                let current = pair.generation == current;
                (here, current, pair.nominated, pair.priority)
            });
        let best = best.map(|pair| pair.id);
        if best == self.selected.as_ref().map(|selected| selected.id) {
            if self.nomination.concluded {
                self.conclude();
            }
            return;
        }
        if let Some(old) = self.selected.take()
            && let Some(pair) = self.pair_mut(old.id)
        {
            pair.last_received = pair.last_received.max(old.last_received);
        }
        let Some(id) = best else { return };
        let Some(public) = self.public_pair(id) else {
            return;
        };
        let delay = self.consent_delay();
        let Some(pair) = self.pair_mut(id) else {
            return;
        };
        pair.next_request = Some(now + delay);
        let (route, generation) = (pair.route, pair.generation);
        tracing::info!(local = %public.local, remote = %public.remote, "selected pair");
        self.events
            .push_back(Event::SelectedPairChange(Box::new(public.clone())));
        self.selected = Some(Selected {
            id,
            route,
            public: Box::new(public),
            last_received: None,
        });
        self.progress.was_usable = true;
        if let Route::Relayed { relay, peer } = route {
            self.bind_channel(now, relay, peer);
        }
        if generation == current {
            // The pair from before the restart has done its service.
            self.pairs.retain(|pair| pair.generation == current);
            let pairs = &self.pairs;
            self.transactions
                .retain(|one| pairs.iter().any(|pair| pair.id == one.pair));
        }
        if self.nomination.concluded {
            self.conclude();
        }
    }

    /// A pair failed: if it was in use, another takes its place.
    pub(super) fn forget_failed_selection(&mut self, now: Instant) {
        let Some(selected) = &self.selected else {
            return;
        };
        let id = selected.id;
        if !self.pair(id).is_some_and(Pair::is_valid) {
            self.selected = None;
            self.select(now);
        }
    }

    /// RFC 8445 §8.1.2: a pair is nominated; what waits is not checked any more. Other than there, checks go on until there is a
    /// reserve of other valid pairs, which stays: of those, the ones that share the least with the pair in use.
    fn conclude(&mut self) {
        let Some(selected) = self.selected.as_ref().map(|selected| selected.id) else {
            return;
        };
        if self.pairs.len() <= 1 {
            return;
        }
        let Some(nominated) = self.pair(selected).filter(|pair| pair.nominated.is_some()) else {
            return;
        };
        let (floor, renominates) = (nominated.priority, self.renominates());
        // The controlling side's choice of a reserve shows in its keep-alives; the controlled side goes along with it.
        let controlled = self.role == Role::Controlled;
        let in_use = self.depends_on(nominated);
        let shared = |pair: &Pair| {
            let needs = self.depends_on(pair);
            let both = needs
                .iter()
                .flatten()
                .filter(|ip| in_use.contains(&Some(**ip)));
            both.count()
        };
        let rank = |pair: &Pair| {
            let heard = pair.last_received.filter(|_| controlled);
            (heard, Reverse(shared(pair)), pair.priority)
        };
        let mut reserve: Vec<_> = (self.pairs.iter())
            .filter(|pair| pair.id != selected && pair.is_valid())
            .map(|pair| (rank(pair), pair.id))
            .collect();
        reserve.sort_unstable_by(|a, b| b.cmp(a));
        reserve.truncate(self.config.backup_pairs);
        let has_reserve = reserve.len() >= self.config.backup_pairs;
        // One that would survive more than the reserve does is still worth a check.
        let most_shared = reserve
            .iter()
            .map(|((_, Reverse(shared), _), _)| *shared)
            .max();
        let sturdier: Vec<PairId> = (self.pairs.iter())
            .filter(|pair| pair.is_pending() && Some(shared(pair)) < most_shared)
            .map(|pair| pair.id)
            .collect();
        let mut dropped = Vec::new();
        self.pairs.retain(|pair| {
            let stays = pair.id == selected
                || reserve.iter().any(|(_, id)| *id == pair.id)
                || matches!(pair.state, PairState::Failed | PairState::InProgress)
                || pair.is_pending() && (!has_reserve || renominates && pair.priority > floor)
                || sturdier.contains(&pair.id);
            if !stays {
                dropped.push((pair.route, pair.id));
            }
            stays
        });
        for (route, id) in dropped {
            self.discard(route, "another pair was nominated");
            self.triggered.retain(|queued| *queued != id);
            self.transactions.retain(|one| one.pair != id);
        }
    }

    /// The addresses whose loss is the loss of the pair: that of this side's interface, the relay's server, and the peer's.
    fn depends_on(&self, pair: &Pair) -> [Option<IpAddr>; 3] {
        let (base, server) = match pair.route {
            Route::Direct(path) => (Some(path.local.ip()), None),
            Route::Relayed { relay, .. } => match self.relay(relay) {
                Some(relay) => (Some(relay.local.ip()), Some(relay.path().remote.ip())),
                None => (None, None),
            },
        };
        [base, server, Some(pair.route.peer().ip())]
    }

    /// Whether enough other pairs work, should the nominated one fail.
    pub(super) fn has_reserve(&self) -> bool {
        let valid = self.pairs.iter().filter(|pair| pair.is_valid()).count();
        valid > self.config.backup_pairs
    }

    /// A change in what is known of the pair in use.
    pub(super) fn refresh_selected(&mut self) {
        let Some(id) = self.selected.as_ref().map(|selected| selected.id) else {
            return;
        };
        if let Some(public) = self.public_pair(id)
            && let Some(selected) = &mut self.selected
            && *selected.public != public
        {
            let changed =
                selected.public.local != public.local || selected.public.remote != public.remote;
            *selected.public = public;
            if changed {
                self.events
                    .push_back(Event::SelectedPairChange(selected.public.clone()));
            }
        }
    }

    pub(crate) fn public_pair(&self, id: PairId) -> Option<CandidatePair> {
        let pair = self.pair(id)?;
        let local = self.local(pair.valid_local.unwrap_or(pair.local))?;
        let remote = self.remote(pair.remote)?;
        let path = match pair.route {
            Route::Direct(path) => path,
            Route::Relayed { relay, .. } => self.relay(relay)?.path(),
        };
        Some(CandidatePair {
            id: id.0,
            local: local.candidate.clone(),
            remote: remote.candidate.clone(),
            priority: pair.priority,
            nominated: pair.nominated.is_some(),
            path,
        })
    }
}
