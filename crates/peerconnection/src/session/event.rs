//! What a session tells.

use super::{ChannelId, TransceiverId};
use crate::description::{IceCandidate, IceCandidateError};
use crate::error::RtcError;
use crate::states::{
    DtlsTransportState, IceConnectionState, IceGatheringState, IceTransportState,
    PeerConnectionState, SignalingState,
};
use std::net::{IpAddr, SocketAddr};

/// Something that happened, in the order the W3C text prescribes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `negotiationneeded`.
    NegotiationNeeded,
    /// `signalingstatechange`.
    SignalingStateChange(SignalingState),
    /// `icegatheringstatechange`.
    IceGatheringStateChange(IceGatheringState),
    /// `iceconnectionstatechange`.
    IceConnectionStateChange(IceConnectionState),
    /// `connectionstatechange`.
    ConnectionStateChange(PeerConnectionState),
    /// `icecandidate`; one with an empty text ends those of a transport, and `None` is told when all are found.
    IceCandidate(Option<IceCandidate>),
    /// `icecandidateerror`.
    IceCandidateError(IceCandidateError),
    /// A remote candidate with a host name wants to be resolved; see [`Session::resolved`](super::Session::resolved).
    Resolve {
        /// The name, as in `xyz.local`.
        name: String,
    },
    /// Answer for this name by multicast DNS as long as the session lives.
    PublishName {
        /// A random name under `.local`.
        name: String,
        /// The address it stands for.
        address: IpAddr,
    },
    /// Open a TCP or TLS connection, and report with [`Session::connected`](super::Session::connected) and
    /// [`Session::disconnected`](super::Session::disconnected); see [`ice::Event::Connect`].
    Connect {
        /// Which transport it is for: together with `path`, the name of the connection.
        transport: usize,
        /// From which address, and where to.
        path: ice::Path,
        /// How messages are separated on it.
        framing: ice::Framing,
        /// The TURN server's URL; `None` for a peer.
        url: Option<String>,
    },
    /// A connection is of no more use.
    Disconnect {
        /// Which transport it was for.
        transport: usize,
        /// Its name.
        path: ice::Path,
    },
    /// Open one more UDP socket on the IP address of `beside`, and report it with
    /// [`Session::port_opened`](super::Session::port_opened): a TURN server knows an allocation of that socket already (RFC 8656 §7.4).
    OpenPort {
        /// Which transport needs it.
        transport: usize,
        /// A socket of the session.
        beside: SocketAddr,
    },
    /// Close a socket that was opened for [`OpenPort`](Self::OpenPort).
    ClosePort {
        /// What it is bound to.
        local: SocketAddr,
    },
    /// A DTLS transport changed its state.
    DtlsStateChange {
        /// Which transport.
        transport: usize,
        /// Its new state.
        state: DtlsTransportState,
    },
    /// `statechange` of an ICE transport.
    IceTransportStateChange {
        /// Which transport.
        transport: usize,
        /// Its new state.
        state: IceTransportState,
    },
    /// `gatheringstatechange` of an ICE transport.
    IceTransportGatheringStateChange {
        /// Which transport.
        transport: usize,
        /// Its new state.
        state: IceGatheringState,
    },
    /// `selectedcandidatepairchange` of an ICE transport.
    SelectedCandidatePairChange {
        /// Which transport.
        transport: usize,
    },
    /// A DTLS transport failed.
    DtlsError {
        /// Which transport.
        transport: usize,
        /// Why.
        error: RtcError,
    },
    /// `track`: the peer starts to send, or moves the track to other streams.
    Track {
        /// Where it is received.
        transceiver: TransceiverId,
        /// The ids of the streams it belongs to.
        streams: Vec<String>,
    },
    /// The peer has put a track in other streams, or taken it out of some.
    RemoteStreams {
        /// Where it is received.
        transceiver: TransceiverId,
        /// The ids of all streams that it is in now.
        streams: Vec<String>,
    },
    /// The peer stopped sending this track.
    TrackMuted(TransceiverId),
    /// The first packet of a track came.
    TrackUnmuted(TransceiverId),
    /// A transceiver is stopped for good.
    TransceiverStopped(TransceiverId),
    /// The receiver of what this transceiver sends needs a keyframe (RFC 4585 §6.3.1).
    KeyframeRequested {
        /// Whose sender.
        transceiver: TransceiverId,
        /// Which encoding, when there are several.
        rid: Option<String>,
    },
    /// What a transport is estimated to carry has changed; see [`Session::target_bitrate`](super::Session::target_bitrate).
    TargetBitrate {
        /// Which transport.
        transport: usize,
        /// Bits per second, all its streams together.
        bps: u64,
    },
    /// `tonechange`: a tone begins; empty when all have been played.
    ToneChange {
        /// Whose sender.
        transceiver: TransceiverId,
        /// `0`–`9`, `A`–`D`, `#`, `*` or `,`.
        tone: String,
    },
    /// `datachannel`: the peer opened a channel.
    ChannelIncoming(ChannelId),
    /// A channel is open.
    ChannelOpen(ChannelId),
    /// A channel has something to read.
    ChannelReadable(ChannelId),
    /// `bufferedamountlow`.
    ChannelBufferedAmountLow(ChannelId),
    /// The peer closes a channel.
    ChannelClosing(ChannelId),
    /// A channel is closed; with the error that ended it, if one did.
    ChannelClosed(ChannelId, Option<RtcError>),
    /// The SCTP association is up.
    SctpConnected,
    /// The SCTP association is over.
    SctpClosed,
}
