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

/// `RTCIceCandidate` (W3C WebRTC §4.8.1): a gathered candidate, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct IceCandidate {
    /// All the members of the candidate; `to_string()` gives the `candidate-attribute`.
    pub candidate: ice::Candidate,
    /// The media section by its `mid`.
    pub sdp_mid: Option<String>,
    /// The media section by its place, counted from 0.
    pub sdp_m_line_index: Option<u16>,
    /// The ICE generation that the candidate belongs to.
    pub username_fragment: Option<String>,
}

impl IceCandidate {
    /// `new RTCIceCandidate(init)` (W3C WebRTC §4.8.1).
    ///
    /// # Errors
    /// `TypeError` when neither `sdp_mid` nor `sdp_m_line_index` is given; `SyntaxError` when the candidate cannot be
    /// read (the browser leaves the parsed members null then).
    pub fn new(init: &IceCandidateInit) -> Result<Self, Error> {
        if init.sdp_mid.is_none() && init.sdp_m_line_index.is_none() {
            return Err(Error::Type(
                "a candidate needs sdp_mid or sdp_m_line_index".into(),
            ));
        }
        let candidate: ice::Candidate = init
            .candidate
            .parse()
            .map_err(|error: ice::ParseCandidateError| Error::Syntax(error.to_string()))?;
        Ok(IceCandidate {
            username_fragment: init
                .username_fragment
                .clone()
                .or_else(|| candidate.ufrag.as_ref().map(ToString::to_string)),
            candidate,
            sdp_mid: init.sdp_mid.clone(),
            sdp_m_line_index: init.sdp_m_line_index,
        })
    }

    /// `foundation`: equal for candidates of the same kind, base and server.
    pub fn foundation(&self) -> &str {
        &self.candidate.foundation
    }

    /// `component`.
    pub fn component(&self) -> IceComponent {
        match self.candidate.component {
            2 => IceComponent::Rtcp,
            _ => IceComponent::Rtp,
        }
    }

    /// `priority`.
    pub fn priority(&self) -> u32 {
        self.candidate.priority.0
    }

    /// `address`: an IP address, or a name that stands for one.
    pub fn address(&self) -> String {
        self.candidate.address.to_string()
    }

    /// `protocol`: `udp` or `tcp`.
    pub fn protocol(&self) -> ice::Protocol {
        self.candidate.protocol
    }

    /// `port`.
    pub fn port(&self) -> u16 {
        self.candidate.port
    }

    /// `type`: `host`, `srflx`, `prflx` or `relay`.
    pub fn candidate_type(&self) -> ice::CandidateType {
        self.candidate.typ
    }

    /// `tcpType`, of a TCP candidate.
    pub fn tcp_type(&self) -> Option<ice::TcpType> {
        self.candidate.tcp_type
    }

    /// `relatedAddress`: what it is derived from.
    pub fn related_address(&self) -> Option<String> {
        let related = self.candidate.related.as_ref()?;
        Some(related.address.to_string())
    }

    /// `relatedPort`.
    pub fn related_port(&self) -> Option<u16> {
        self.candidate.related.as_ref().map(|related| related.port)
    }

    /// `relayProtocol`: what carries a relayed candidate of this side to its server.
    pub fn relay_protocol(&self) -> Option<ice::Protocol> {
        self.candidate.relay_protocol
    }

    /// `url`: the server that gave a candidate of this side.
    pub fn url(&self) -> Option<&str> {
        self.candidate.url.as_deref()
    }

    /// What to send to the peer: `RTCIceCandidate.toJSON()`.
    pub fn to_init(&self) -> IceCandidateInit {
        IceCandidateInit {
            candidate: self.candidate.to_string(),
            sdp_mid: self.sdp_mid.clone(),
            sdp_m_line_index: self.sdp_m_line_index,
            username_fragment: self.username_fragment.clone(),
        }
    }
}

/// `RTCPeerConnectionIceErrorEvent` (W3C WebRTC §4.8.3): a server did not give a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceCandidateError {
    /// The local address that talked to the server.
    pub address: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The server, as configured.
    pub url: String,
    /// The STUN error code, or 701 when the server could not be reached.
    pub error_code: u16,
    /// What the server, or the reason, says.
    pub error_text: String,
}
