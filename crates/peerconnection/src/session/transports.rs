//! The transports of a session as the interface shows them (W3C WebRTC §5.5, §5.6, §6.1).

use super::transport::Transport;
use super::{Session, TransceiverId};
use crate::description::IceCandidate;
use crate::states::{
    DtlsTransportState, IceGatheringState, IceRole, IceTransportState, SctpTransportState,
};
use crate::transports::{IceCandidatePair, IceParameters};

impl From<ice::State> for IceTransportState {
    fn from(state: ice::State) -> Self {
        match state {
            ice::State::New => IceTransportState::New,
            ice::State::Checking => IceTransportState::Checking,
            ice::State::Connected => IceTransportState::Connected,
            ice::State::Completed => IceTransportState::Completed,
            ice::State::Disconnected => IceTransportState::Disconnected,
            ice::State::Failed => IceTransportState::Failed,
            ice::State::Closed => IceTransportState::Closed,
        }
    }
}

impl From<ice::GatheringState> for IceGatheringState {
    fn from(state: ice::GatheringState) -> Self {
        match state {
            ice::GatheringState::New => IceGatheringState::New,
            ice::GatheringState::Gathering => IceGatheringState::Gathering,
            ice::GatheringState::Complete => IceGatheringState::Complete,
        }
    }
}

/// One transport as it is now.
#[derive(Clone, Copy)]
pub struct TransportView<'a> {
    session: &'a Session,
    transport: &'a Transport,
}

impl Session {
    /// The transport of this number; `None` once it is gone.
    pub fn transport(&self, number: usize) -> Option<TransportView<'_>> {
        let transport = self
            .described_transports()
            .find(|transport| transport.number == number)?;
        Some(TransportView {
            session: self,
            transport,
        })
    }

    /// The number of the transport that a transceiver uses, once a description has given it one.
    pub fn transport_of(&self, id: TransceiverId) -> Option<usize> {
        let transceiver = self.jsep.transceiver(id)?;
        transceiver.mid.as_ref()?;
        let slot = self.jsep.slots.get(transceiver.section?)?;
        self.transport(slot.transport).map(|_| slot.transport)
    }

    /// Whether what a transceiver sends has its header extensions encrypted (RFC 9335).
    pub fn encrypts_headers(&self, id: TransceiverId) -> bool {
        let number = self.transport_of(id);
        let mut transports = self.transports.iter();
        transports.any(|transport| Some(transport.number) == number && transport.encrypts_headers())
    }

    /// The number of the transport that carries the association, from the offer on that describes one: `sctp`. That of a
    /// remote offer exists once it is answered.
    pub fn sctp_transport(&self) -> Option<usize> {
        self.data.transport()
    }

    /// `RTCSctpTransport.state`.
    pub fn sctp_state(&self) -> SctpTransportState {
        if self.is_closed() || self.data.transport().is_none() {
            SctpTransportState::Closed
        } else {
            self.data.state()
        }
    }

    /// `RTCSctpTransport.maxChannels`: how many channels there can be, once the association is up.
    pub fn max_channels(&self) -> Option<u16> {
        self.data.max_channels()
    }
}

impl TransportView<'_> {
    /// `RTCDtlsTransport.state`.
    pub fn dtls_state(&self) -> DtlsTransportState {
        match self.session.is_closed() {
            true => DtlsTransportState::Closed,
            false => self.transport.state,
        }
    }

    /// `getRemoteCertificates`: the peer's certificate, DER, once the handshake is over.
    pub fn remote_certificate(&self) -> Option<&[u8]> {
        self.transport.remote_certificate()
    }

    /// `RTCIceTransport.state`.
    pub fn ice_state(&self) -> IceTransportState {
        match self.session.is_closed() {
            true => IceTransportState::Closed,
            false => self.transport.agent.state().into(),
        }
    }

    /// `RTCIceTransport.gatheringState`.
    pub fn gathering_state(&self) -> IceGatheringState {
        self.transport.agent.gathering_state().into()
    }

    /// `RTCIceTransport.role`.
    pub fn role(&self) -> IceRole {
        match self.transport.agent.role() {
            ice::Role::Controlling => IceRole::Controlling,
            ice::Role::Controlled => IceRole::Controlled,
        }
    }

    /// `getLocalCandidates`.
    pub fn local_candidates(&self) -> Vec<IceCandidate> {
        let ufrag = &self.transport.agent.local_parameters().ufrag;
        let candidates = self.transport.local_candidates.iter();
        candidates
            .map(|candidate| self.tagged(candidate, ufrag))
            .collect()
    }

    /// `getRemoteCandidates`: those that the peer told, not those that only a check has shown.
    pub fn remote_candidates(&self) -> Vec<IceCandidate> {
        let ufrag = &self.transport.remote_ufrag;
        let candidates = self.transport.told_candidates.iter();
        candidates
            .filter_map(|text| text.parse().ok())
            .map(|candidate| self.tagged(&candidate, ufrag))
            .collect()
    }

    /// `getSelectedCandidatePair`; `None` while the transport is new, and when it is closed.
    pub fn selected_pair(&self) -> Option<IceCandidatePair> {
        let agent = &self.transport.agent;
        let idle = matches!(
            self.ice_state(),
            IceTransportState::New | IceTransportState::Closed
        );
        let pair = agent.selected_pair().filter(|_| !idle)?;
        let remote = self.tagged(&pair.remote, &self.transport.remote_ufrag);
        Some(IceCandidatePair {
            local: self.tagged(&pair.local, &agent.local_parameters().ufrag),
            remote: match pair.remote.typ {
                ice::CandidateType::PeerReflexive => remote.unsignalled(),
                _ => remote,
            },
        })
    }

    /// `getLocalParameters`.
    pub fn local_parameters(&self) -> IceParameters {
        let parameters = self.transport.agent.local_parameters();
        IceParameters {
            username_fragment: parameters.ufrag.clone(),
            password: parameters.pwd.clone(),
        }
    }

    /// `getRemoteParameters`; `None` before the peer's description was applied.
    pub fn remote_parameters(&self) -> Option<IceParameters> {
        let parameters = self.transport.agent.remote_parameters()?;
        Some(IceParameters {
            username_fragment: parameters.ufrag.clone(),
            password: parameters.pwd.clone(),
        })
    }

    /// A candidate with the section that speaks for the transport.
    fn tagged(&self, candidate: &ice::Candidate, ufrag: &str) -> IceCandidate {
        let tag = self.session.jsep.tag_of(self.transport.number);
        IceCandidate::of(Some(candidate.clone()), tag, ufrag)
    }
}
