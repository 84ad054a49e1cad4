//! Transports that gather before any description asks for them: `iceCandidatePoolSize` (RFC 9429 §3.5.4, §4.1.1).
//!
//! A pooled transport is one among the others, except that nobody is told of it. Its credentials are those of the first
//! description that needs a transport of its number; then its candidates are told, as if they had just been found.

use super::transport::Transport;
use super::{Event, Session, jsep};
use crate::states::{DtlsTransportState, IceTransportState};
use std::time::Instant;

impl Session {
    /// The transports that descriptions have asked for.
    pub(super) fn described_transports(&self) -> impl Iterator<Item = &Transport> {
        let all = self.transports.iter();
        all.filter(|transport| transport.pooled.is_none())
    }

    /// Adds to the pool what the configuration wants more of, and takes away what it wants less of.
    pub(super) fn fill_pool(&mut self, now: Instant) {
        // Once a description was applied, the pool only becomes less.
        if self.described {
            return;
        }
        let size = usize::from(self.configuration.ice_candidate_pool_size);
        while self.transports.len() > size {
            self.retire_transport(now, size);
        }
        for number in self.transports.len()..size {
            let mut transport = self.new_transport(now, number);
            transport.pooled = Some(Vec::new());
            let parameters = transport.agent.local_parameters();
            self.jsep.facts.pooled.push(Some(jsep::Credentials {
                ufrag: parameters.ufrag.to_string(),
                pwd: parameters.pwd.to_string(),
            }));
            self.transports.push(transport);
        }
        self.jsep.facts.pooled.truncate(size);
        self.drain_agents(now);
    }

    /// Gathers the pool anew, with the servers and the policy that are in force now.
    pub(super) fn renew_pool(&mut self, now: Instant) {
        if self.empty_pool(now) {
            self.fill_pool(now);
        }
    }

    /// Discards what is left in the pool; whether there was anything.
    pub(super) fn empty_pool(&mut self, now: Instant) -> bool {
        let before = self.transports.len();
        for index in (0..before).rev() {
            if self.transports[index].pooled.is_some() {
                self.retire_transport(now, index);
            }
        }
        self.jsep.facts.pooled.clear();
        self.transports.len() < before
    }

    /// A description needs this transport.
    pub(super) fn take_from_pool(&mut self, now: Instant, index: usize) {
        let role = self.first_role();
        let transport = &mut self.transports[index];
        let Some(held) = transport.pooled.take() else {
            return;
        };
        let number = transport.number;
        transport.agent.set_role(role);
        if let Some(credentials) = self.jsep.facts.pooled.get_mut(number) {
            *credentials = None;
        }
        // Gathering begins, for whoever listens.
        self.begin_gathering(index);
        for event in held {
            self.agent_event(index, event);
        }
        self.drain_agent(now, index);
    }

    /// Ends a transport. What releases its relays is still sent.
    pub(super) fn retire_transport(&mut self, now: Instant, index: usize) {
        let mut transport = self.transports.remove(index);
        // "Close the RTCDtlsTransports and their associated RTCIceTransports" (W3C WebRTC §4.4.1.5): listeners hear of it.
        if transport.pooled.is_none() {
            let number = transport.number;
            if transport.state != DtlsTransportState::Closed {
                self.events.push_back(Event::DtlsStateChange {
                    transport: number,
                    state: DtlsTransportState::Closed,
                });
            }
            self.events.push_back(Event::IceTransportStateChange {
                transport: number,
                state: IceTransportState::Closed,
            });
        }
        transport.close(now);
        transport.agent.close(now);
        while let Some(event) = transport.agent.poll_event() {
            if let ice::Event::Disconnect(path) = event {
                self.events.push_back(Event::Disconnect {
                    transport: transport.number,
                    path,
                });
            }
        }
        self.retired.push((transport.number, transport.agent));
    }

    /// What transports that are gone still have to say.
    pub(super) fn transmit_from_retired(
        &mut self,
        now: Instant,
        buf: &mut Vec<u8>,
    ) -> Option<super::Transmit> {
        while let Some((number, agent)) = self.retired.last_mut() {
            if let Some(own) = agent.poll_transmit(now, buf) {
                return Some(super::Transmit {
                    transport: *number,
                    protocol: own.protocol,
                    local: own.local,
                    remote: own.remote,
                    segment_size: own.len,
                });
            }
            self.retired.pop();
        }
        None
    }
}

/// Keeps an event of a pooled agent until a description asks for the transport.
pub(super) fn hold(held: &mut Vec<ice::Event>, event: ice::Event) {
    match event {
        ice::Event::LocalCandidateRemoved(gone) => held
            .retain(|event| !matches!(event, ice::Event::LocalCandidate(known) if *known == gone)),
        ice::Event::LocalCandidate(_)
        | ice::Event::CandidateError { .. }
        | ice::Event::PublishName { .. } => held.push(event),
        _ => {}
    }
}
