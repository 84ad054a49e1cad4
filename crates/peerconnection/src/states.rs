//! The states of a connection, by their W3C names.

use serde::Serialize;
use std::fmt;

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// The name that the W3C text gives this state.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

states! {
    /// `RTCSignalingState` (W3C WebRTC §4.3.1).
    SignalingState {
        /// No exchange is under way.
        Stable = "stable",
        /// A local offer waits for its answer.
        HaveLocalOffer = "have-local-offer",
        /// A remote offer waits for its answer.
        HaveRemoteOffer = "have-remote-offer",
        /// A remote offer has a provisional local answer.
        HaveLocalPranswer = "have-local-pranswer",
        /// A local offer has a provisional remote answer.
        HaveRemotePranswer = "have-remote-pranswer",
        /// The connection is closed.
        Closed = "closed",
    }
}

states! {
    /// `RTCIceGatheringState` (W3C WebRTC §4.3.2).
    IceGatheringState {
        /// No candidates have been looked for yet.
        New = "new",
        /// Some are being looked for.
        Gathering = "gathering",
        /// All are found.
        Complete = "complete",
    }
}

states! {
    /// `RTCPeerConnectionState` (W3C WebRTC §4.3.3).
    PeerConnectionState {
        /// Closed by this side.
        Closed = "closed",
        /// A transport failed.
        Failed = "failed",
        /// A transport lost its peer, perhaps for a moment.
        Disconnected = "disconnected",
        /// Nothing has begun.
        New = "new",
        /// Transports are being set up.
        Connecting = "connecting",
        /// All transports work.
        Connected = "connected",
    }
}

states! {
    /// `RTCIceConnectionState` (W3C WebRTC §4.3.4).
    IceConnectionState {
        /// Closed by this side.
        Closed = "closed",
        /// No pair of candidates works.
        Failed = "failed",
        /// The peer has stopped answering, perhaps for a moment.
        Disconnected = "disconnected",
        /// Nothing has begun.
        New = "new",
        /// Pairs are being checked.
        Checking = "checking",
        /// All transports have a pair and are done checking.
        Completed = "completed",
        /// All transports have a pair.
        Connected = "connected",
    }
}

states! {
    /// `RTCIceTransportState` (W3C WebRTC §5.6.6).
    IceTransportState {
        /// Nothing has begun.
        New = "new",
        /// Pairs are being checked.
        Checking = "checking",
        /// A pair works.
        Connected = "connected",
        /// A pair works, and checking is done.
        Completed = "completed",
        /// The peer has stopped answering, perhaps for a moment.
        Disconnected = "disconnected",
        /// No pair works.
        Failed = "failed",
        /// Ended.
        Closed = "closed",
    }
}

states! {
    /// `RTCIceRole` (W3C WebRTC §5.6.7).
    IceRole {
        /// Not known yet.
        Unknown = "unknown",
        /// This side chooses the pair.
        Controlling = "controlling",
        /// The peer chooses the pair.
        Controlled = "controlled",
    }
}

states! {
    /// `RTCIceComponent` (W3C WebRTC §5.6.8).
    IceComponent {
        /// RTP, and RTCP multiplexed with it (RFC 8445 §13).
        Rtp = "rtp",
        /// RTCP on its own.
        Rtcp = "rtcp",
    }
}

states! {
    /// `RTCDtlsTransportState` (W3C WebRTC §5.5.1).
    DtlsTransportState {
        /// The handshake has not begun.
        New = "new",
        /// The handshake is under way.
        Connecting = "connecting",
        /// The peer is verified and keys are in use.
        Connected = "connected",
        /// Ended by a close_notify.
        Closed = "closed",
        /// Ended by an error.
        Failed = "failed",
    }
}

states! {
    /// `RTCSctpTransportState` (W3C WebRTC §6.1.2).
    SctpTransportState {
        /// The association is being set up.
        Connecting = "connecting",
        /// Data can flow.
        Connected = "connected",
        /// Ended.
        Closed = "closed",
    }
}

states! {
    /// `RTCDataChannelState` (W3C WebRTC §6.2).
    DataChannelState {
        /// The channel is being set up.
        Connecting = "connecting",
        /// Data can flow.
        Open = "open",
        /// The channel is being torn down.
        Closing = "closing",
        /// Ended.
        Closed = "closed",
    }
}

states! {
    /// `RTCRtpTransceiverDirection` (W3C WebRTC §5.4.1).
    TransceiverDirection {
        /// Both ways.
        SendRecv = "sendrecv",
        /// From here to the peer.
        SendOnly = "sendonly",
        /// From the peer to here.
        RecvOnly = "recvonly",
        /// Neither way, for now.
        Inactive = "inactive",
        /// Neither way, for good.
        Stopped = "stopped",
    }
}

impl TransceiverDirection {
    /// Whether this side sends.
    pub fn sends(self) -> bool {
        matches!(
            self,
            TransceiverDirection::SendRecv | TransceiverDirection::SendOnly
        )
    }

    /// Whether this side receives.
    pub fn receives(self) -> bool {
        matches!(
            self,
            TransceiverDirection::SendRecv | TransceiverDirection::RecvOnly
        )
    }

    /// The direction with these two halves.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => TransceiverDirection::SendRecv,
            (true, false) => TransceiverDirection::SendOnly,
            (false, true) => TransceiverDirection::RecvOnly,
            (false, false) => TransceiverDirection::Inactive,
        }
    }

    /// The same as the peer sees it (RFC 3264 §6.1).
    pub fn reversed(self) -> Self {
        TransceiverDirection::new(self.receives(), self.sends())
    }

    /// What both directions allow.
    pub fn intersect(self, other: Self) -> Self {
        TransceiverDirection::new(
            self.sends() && other.sends(),
            self.receives() && other.receives(),
        )
    }
}
