//! The states of the connection, of those of its transports (W3C WebRTC §4.3, §4.4.1.4).

use super::{Event, Session};
use crate::description::IceCandidate;
use crate::states::{
    DtlsTransportState, IceConnectionState, IceGatheringState, IceTransportState,
    PeerConnectionState,
};

impl Session {
    pub(super) fn tell_gathering(&mut self, state: IceGatheringState) {
        if std::mem::replace(&mut self.states.gathering, state) == state {
            return;
        }
        if state == IceGatheringState::Gathering {
            self.unreachable.clear();
        }
        self.events.push_back(Event::IceGatheringStateChange(state));
        if state == IceGatheringState::Complete {
            self.events.push_back(Event::IceCandidate(None));
        }
    }

    /// Tells the states that have changed (W3C WebRTC §4.3, §5.6.2).
    pub(super) fn update_states(&mut self) {
        // A transport's event comes before that of the connection (W3C WebRTC §5.6).
        for transport in &mut self.transports {
            if transport.pooled.is_some() {
                continue;
            }
            let (ice, gathering) = (
                transport.agent.state().into(),
                transport.agent.gathering_state().into(),
            );
            let told = std::mem::replace(&mut transport.told_states, (ice, gathering));
            // The end of a generation's candidates comes before the state (RFC 8838 §8.2).
            let ufrag = &transport.agent.local_parameters().ufrag;
            if gathering == IceGatheringState::Complete && transport.ended_ufrag != *ufrag {
                transport.ended_ufrag = ufrag.to_string();
                let end = IceCandidate::of(None, self.jsep.tag_of(transport.number), ufrag);
                self.events.push_back(Event::IceCandidate(Some(end)));
            }
            if told.1 != gathering {
                self.events
                    .push_back(Event::IceTransportGatheringStateChange {
                        transport: transport.number,
                        state: gathering,
                    });
            }
            if told.0 != ice && ice != IceTransportState::Closed {
                self.events.push_back(Event::IceTransportStateChange {
                    transport: transport.number,
                    state: ice,
                });
            }
        }
        let gathering = self.gathering_state();
        self.tell_gathering(gathering);
        let ice = self.combined_ice_state();
        if ice != self.states.ice {
            self.states.ice = ice;
            if ice != IceConnectionState::Closed {
                self.events.push_back(Event::IceConnectionStateChange(ice));
            }
        }
        let connection = self.combined_state();
        if connection != self.states.connection {
            self.states.connection = connection;
            if connection != PeerConnectionState::Closed {
                self.events
                    .push_back(Event::ConnectionStateChange(connection));
            }
        }
    }

    pub(super) fn gathering_state(&self) -> IceGatheringState {
        let mut states = self
            .described_transports()
            .map(|transport| transport.agent.gathering_state())
            .peekable();
        if states.peek().is_none() {
            return IceGatheringState::New;
        }
        let states: Vec<_> = states.collect();
        if states.contains(&ice::GatheringState::Gathering) {
            IceGatheringState::Gathering
        } else if states
            .iter()
            .all(|state| *state == ice::GatheringState::Complete)
        {
            IceGatheringState::Complete
        } else {
            IceGatheringState::New
        }
    }

    fn combined_ice_state(&self) -> IceConnectionState {
        use ice::State as S;
        if self.is_closed() {
            return IceConnectionState::Closed;
        }
        let states = || {
            self.described_transports()
                .map(|transport| transport.agent.state())
        };
        if states().any(|state| state == S::Failed) {
            IceConnectionState::Failed
        } else if states().any(|state| state == S::Disconnected) {
            IceConnectionState::Disconnected
        } else if states().all(|state| matches!(state, S::New | S::Closed)) {
            IceConnectionState::New
        } else if states().any(|state| matches!(state, S::New | S::Checking)) {
            IceConnectionState::Checking
        } else if states().all(|state| matches!(state, S::Completed | S::Closed)) {
            IceConnectionState::Completed
        } else {
            IceConnectionState::Connected
        }
    }

    fn combined_state(&self) -> PeerConnectionState {
        use DtlsTransportState as D;
        use ice::State as S;
        if self.is_closed() {
            return PeerConnectionState::Closed;
        }
        let ice = || {
            self.described_transports()
                .map(|transport| transport.agent.state())
        };
        let dtls = || self.described_transports().map(|transport| transport.state);
        if ice().any(|state| state == S::Failed) || dtls().any(|state| state == D::Failed) {
            PeerConnectionState::Failed
        } else if ice().any(|state| state == S::Disconnected) {
            PeerConnectionState::Disconnected
        } else if ice().all(|state| matches!(state, S::New | S::Closed))
            && dtls().all(|state| matches!(state, D::New | D::Closed))
        {
            PeerConnectionState::New
        } else if ice().any(|state| matches!(state, S::New | S::Checking))
            || dtls().any(|state| matches!(state, D::New | D::Connecting))
        {
            PeerConnectionState::Connecting
        } else {
            PeerConnectionState::Connected
        }
    }
}
