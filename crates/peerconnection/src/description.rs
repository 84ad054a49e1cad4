//! What goes over the signalling channel: session descriptions and candidates.

use crate::error::Error;
use crate::states::IceComponent;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `RTCSdpType` (W3C WebRTC §4.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SdpType {
    /// A session description that proposes.
    Offer,
    /// An answer that may still change.
    Pranswer,
    /// The answer that ends the exchange.
    Answer,
    /// Back to the last stable state; carries no SDP.
    Rollback,
}

impl fmt::Display for SdpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SdpType::Offer => "offer",
            SdpType::Pranswer => "pranswer",
            SdpType::Answer => "answer",
            SdpType::Rollback => "rollback",
        })
    }
}

/// `RTCSessionDescription` (W3C WebRTC §4.6.2). As JSON it is the browser's `{"type", "sdp"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDescription {
    /// The role of this description in the exchange.
    #[serde(rename = "type")]
    pub sdp_type: SdpType,
    /// The SDP text; empty for a rollback.
    #[serde(default)]
    pub sdp: String,
}

impl SessionDescription {
    /// An offer with this SDP.
    pub fn offer(sdp: impl Into<String>) -> Self {
        SessionDescription {
            sdp_type: SdpType::Offer,
            sdp: sdp.into(),
        }
    }

    /// An answer with this SDP.
    pub fn answer(sdp: impl Into<String>) -> Self {
        SessionDescription {
            sdp_type: SdpType::Answer,
            sdp: sdp.into(),
        }
    }

    /// A provisional answer with this SDP.
    pub fn pranswer(sdp: impl Into<String>) -> Self {
        SessionDescription {
            sdp_type: SdpType::Pranswer,
            sdp: sdp.into(),
        }
    }

    /// The way back to the last stable state.
    pub fn rollback() -> Self {
        SessionDescription {
            sdp_type: SdpType::Rollback,
            sdp: String::new(),
        }
    }
}

/// `RTCIceCandidateInit` (W3C WebRTC §4.8.1): a candidate as it travels.
///
/// An empty `candidate` is the end-of-candidates indication for one media section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IceCandidateInit {
    /// The `candidate-attribute` of RFC 8839 §5.1.
    pub candidate: String,
    /// The media section by its `mid`.
    pub sdp_mid: Option<String>,
    /// The media section by its place, counted from 0.
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation that the candidate belongs to.
    pub username_fragment: Option<String>,
}

impl IceCandidateInit {
    /// A candidate, as opposed to the end of them, is one of some section (W3C WebRTC §4.4.2, `addIceCandidate`).
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.candidate.is_empty() && self.sdp_mid.is_none() && self.sdp_m_line_index.is_none() {
            return Err(Error::Type(
                "a candidate needs sdp_mid or sdp_m_line_index".into(),
            ));
        }
        Ok(())
    }
}

/// `RTCIceCandidate` (W3C WebRTC §4.8.1): a candidate with its members, or the end of those of a transport.
#[derive(Debug, Clone, PartialEq)]
pub struct IceCandidate {
    /// The `candidate-attribute` of RFC 8839 §5.1; empty for the end of candidates, and for a candidate of the peer that
    /// only a check has shown.
    pub candidate: String,
    /// The media section by its `mid`.
    pub sdp_mid: Option<String>,
    /// The media section by its place, counted from 0.
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation that the candidate belongs to.
    pub username_fragment: Option<String>,
    parsed: Option<Box<ice::Candidate>>,
}

impl IceCandidate {
    /// `new RTCIceCandidate(init)`: "create an RTCIceCandidate" (W3C WebRTC §4.8.1). The members of a candidate that cannot
    /// be read are `None`; [`add_ice_candidate`](crate::PeerConnection::add_ice_candidate) is who refuses it.
    ///
    /// # Errors
    /// `TypeError` when neither `sdp_mid` nor `sdp_m_line_index` is given.
    pub fn new(init: &IceCandidateInit) -> Result<Self, Error> {
        if init.sdp_mid.is_none() && init.sdp_m_line_index.is_none() {
            return Err(Error::Type(
                "a candidate needs sdp_mid or sdp_m_line_index".into(),
            ));
        }
        Ok(IceCandidate {
            parsed: init.candidate.parse().ok().map(Box::new),
            candidate: init.candidate.clone(),
            sdp_mid: init.sdp_mid.clone(),
            sdp_m_line_index: init.sdp_m_line_index,
            username_fragment: init.username_fragment.clone(),
        })
    }

    /// A candidate of a transport, in the section of this place and mid that speaks for it; `None` is the end of them.
    pub(crate) fn of(
        candidate: Option<ice::Candidate>,
        section: Option<(usize, &str)>,
        username_fragment: &str,
    ) -> Self {
        IceCandidate {
            candidate: candidate
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            sdp_mid: section.map(|(_, mid)| mid.to_owned()),
            sdp_m_line_index: section.and_then(|(index, _)| u16::try_from(index).ok()),
            username_fragment: Some(username_fragment.to_owned()),
            parsed: candidate.map(Box::new),
        }
    }

    /// The same as a check has shown it: the interface tells no address that the signalling channel did not.
    pub(crate) fn unsignalled(mut self) -> Self {
        self.candidate.clear();
        self
    }

    /// The candidate as `pc-ice` has it; `None` for the end of candidates, and for what cannot be read.
    pub fn as_ice(&self) -> Option<&ice::Candidate> {
        self.parsed.as_deref()
    }

    /// `foundation`: equal for candidates of the same kind, base and server.
    pub fn foundation(&self) -> Option<&str> {
        self.as_ice().map(|candidate| &*candidate.foundation)
    }

    /// `component`.
    pub fn component(&self) -> Option<IceComponent> {
        match self.as_ice()?.component {
            1 => Some(IceComponent::Rtp),
            2 => Some(IceComponent::Rtcp),
            _ => None,
        }
    }

    /// `priority`.
    pub fn priority(&self) -> Option<u32> {
        self.as_ice().map(|candidate| candidate.priority.0)
    }

    /// `address`: an IP address, or a name that stands for one. `None` for one of the peer that only a check has shown.
    pub fn address(&self) -> Option<String> {
        let signalled = self.as_ice().filter(|_| !self.candidate.is_empty())?;
        Some(signalled.address.to_string())
    }

    /// `protocol`: `udp` or `tcp`.
    pub fn protocol(&self) -> Option<ice::Protocol> {
        self.as_ice().map(|candidate| candidate.protocol)
    }

    /// `port`.
    pub fn port(&self) -> Option<u16> {
        self.as_ice().map(|candidate| candidate.port)
    }

    /// `type`: `host`, `srflx`, `prflx` or `relay`.
    pub fn candidate_type(&self) -> Option<ice::CandidateType> {
        self.as_ice().map(|candidate| candidate.typ)
    }

    /// `tcpType`, of a TCP candidate.
    pub fn tcp_type(&self) -> Option<ice::TcpType> {
        self.as_ice()?.tcp_type
    }

    /// `relatedAddress`: what it is derived from.
    pub fn related_address(&self) -> Option<String> {
        let related = self.as_ice()?.related.as_ref()?;
        Some(related.address.to_string())
    }

    /// `relatedPort`.
    pub fn related_port(&self) -> Option<u16> {
        self.as_ice()?.related.as_ref().map(|related| related.port)
    }

    /// `relayProtocol`: what carries a relayed candidate of this side to its server.
    pub fn relay_protocol(&self) -> Option<ice::Protocol> {
        self.as_ice()?.relay_protocol
    }

    /// `url`: the server that gave a candidate of this side.
    pub fn url(&self) -> Option<&str> {
        self.as_ice()?.url.as_deref()
    }

    /// What to send to the peer: `RTCIceCandidate.toJSON()`.
    pub fn to_init(&self) -> IceCandidateInit {
        IceCandidateInit {
            candidate: self.candidate.clone(),
            sdp_mid: self.sdp_mid.clone(),
            sdp_m_line_index: self.sdp_m_line_index,
            username_fragment: self.username_fragment.clone(),
        }
    }
}

/// `RTCPeerConnectionIceErrorEvent` (W3C WebRTC §4.8.3): a server did not give a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceCandidateError {
    /// The local address that talked to the server, if a candidate of this side has shown it.
    pub address: Option<String>,
    /// Its port, with the address.
    pub port: Option<u16>,
    /// The server, as configured.
    pub url: String,
    /// The STUN error code, or 701 when the server could not be reached.
    pub error_code: u16,
    /// What the server, or the reason, says.
    pub error_text: String,
}
