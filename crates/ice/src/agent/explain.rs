//! Collects the [`Report`].

use super::Agent;
use super::gather::RequestState;
use crate::pair::{Pair, Route};
use crate::relay::RelayState;
use crate::report::{CandidateReport, PairReport, Report, ServerReport};

impl Agent {
    pub(super) fn explain(&self) -> Report {
        let selected = self.selected.as_ref().map(|selected| selected.id);
        let mut pairs: Vec<&Pair> = self.pairs.iter().collect();
        pairs.sort_by(|a, b| {
            (Some(b.id) == selected, b.priority).cmp(&(Some(a.id) == selected, a.priority))
        });
        let pairs = pairs.into_iter().filter_map(|pair| {
            Some(PairReport {
                pair: self.public_pair(pair.id)?,
                state: pair.state,
                selected: Some(pair.id) == selected,
                failure: pair.failure,
                last_error: pair.last_error,
                stats: pair.stats,
            })
        });
        Report {
            state: self.state,
            gathering: self.gathering,
            remote_complete: self.remote_complete,
            role: self.role,
            servers: self.explain_servers(),
            local: self.explain_local(),
            remote: self.explain_remote(),
            pairs: pairs.collect(),
            discarded: (self.discarded.iter())
                .map(|(route, why)| (self.source_of(*route), route.peer().to_string(), *why))
                .collect(),
            counters: self.counters,
        }
    }

    fn source_of(&self, route: Route) -> String {
        match route {
            Route::Direct(path) => path.local.to_string(),
            Route::Relayed { relay, .. } => match self.relay(relay) {
                Some(relay) => format!("relay {}", relay.path().remote),
                None => "relay".into(),
            },
        }
    }

    fn explain_servers(&self) -> Vec<ServerReport> {
        let stun = self.stun_servers.iter().flat_map(|server| {
            server.requests.iter().map(|request| ServerReport {
                url: server.url.clone(),
                addr: server.addr,
                from: request.local,
                outcome: match &request.state {
                    RequestState::Queued => "not asked yet".into(),
                    RequestState::Asking { .. } => "asked".into(),
                    RequestState::Done { mapped, .. } => format!("sees {mapped}"),
                    RequestState::Failed(why) => why.clone(),
                },
            })
        });
        let turn = self.relays.iter().map(|relay| ServerReport {
            url: relay.config.url.clone(),
            addr: relay.config.addr,
            from: relay.local,
            outcome: match &relay.state {
                RelayState::Queued => "not asked yet".into(),
                RelayState::Connecting { .. } => "connecting".into(),
                RelayState::Moving { .. } => "its port is taken, another is on its way".into(),
                RelayState::Allocating { .. } => "asked".into(),
                RelayState::Allocated => {
                    let relayed = relay.client.as_ref().and_then(turn::Client::relayed);
                    relayed.map_or_else(String::new, |addr| format!("relays at {addr}"))
                }
                RelayState::Migrating { .. } => "moves to this address".into(),
                RelayState::Stranded => "waits for an address to move to".into(),
                RelayState::Failed(why) => why.clone(),
            },
        });
        stun.chain(turn).collect()
    }

    fn explain_local(&self) -> Vec<CandidateReport> {
        let report = |local: &super::local::Local| {
            let pairs = (self.pairs.iter())
                .filter(|pair| pair.local == local.id || pair.valid_local == Some(local.id))
                .count();
            let note = match () {
                _ if pairs > 0 => None,
                _ if !local.is_own_base() => Some("checked from its base"),
                _ if self.remotes.is_empty() => Some("no remote candidates"),
                _ => Some("no remote candidate fits"),
            };
            CandidateReport {
                candidate: local.candidate.clone(),
                pairs,
                note,
            }
        };
        self.locals.iter().map(report).collect()
    }

    fn explain_remote(&self) -> Vec<CandidateReport> {
        let report = |remote: &super::remote::Remote| {
            let pairs = (self.pairs.iter())
                .filter(|pair| pair.remote == remote.id)
                .count();
            let note = match () {
                _ if pairs > 0 => None,
                _ if remote.unresolvable => Some("its name does not resolve"),
                _ if remote.addr.is_none() => Some("its name is being resolved"),
                _ => Some("no local candidate fits"),
            };
            CandidateReport {
                candidate: remote.candidate.clone(),
                pairs,
                note,
            }
        };
        self.remotes.iter().map(report).collect()
    }
}
