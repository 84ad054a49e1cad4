//! What goes over the signalling channel: session descriptions and candidates.

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
