//! What a connection tells its application.

use crate::data_channel::DataChannel;
use crate::description::{IceCandidate, IceCandidateError};
use crate::error::RtcError;
use crate::rtp_receiver::RtpReceiver;
use crate::rtp_transceiver::RtpTransceiver;
use crate::states::{IceConnectionState, IceGatheringState, PeerConnectionState, SignalingState};
use media::{MediaStream, MediaStreamTrack};
use tokio::sync::mpsc;

/// An event of [`PeerConnection`](crate::PeerConnection), by the names of the W3C text.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `negotiationneeded`: an offer should be made.
    NegotiationNeeded,
    /// `signalingstatechange`.
    SignalingStateChange(SignalingState),
    /// `iceconnectionstatechange`.
    IceConnectionStateChange(IceConnectionState),
    /// `icegatheringstatechange`.
    IceGatheringStateChange(IceGatheringState),
    /// `connectionstatechange`.
    ConnectionStateChange(PeerConnectionState),
    /// `icecandidate`: send it to the peer, also the one with an empty text that ends those of a transport. `None` when
    /// there will be no more of any; the peer need not hear of that.
    IceCandidate(Option<IceCandidate>),
    /// `icecandidateerror`.
    IceCandidateError(IceCandidateError),
    /// `error` of the DTLS transport.
    DtlsError(RtcError),
    /// `datachannel`: the peer opened a channel.
    DataChannel(DataChannel),
    /// `track`: the peer sends a track.
    Track(TrackEvent),
    /// `addstream`: the peer has put a track in a stream that was not there before; `Track` follows.
    #[deprecated(note = "use `Event::Track`")]
    AddStream(MediaStream),
    /// `removestream`: the peer has taken the last track out of a stream.
    #[deprecated(note = "use the events of the stream and its tracks")]
    RemoveStream(MediaStream),
}

/// `RTCTrackEvent` (W3C WebRTC §5.7).
#[derive(Debug, Clone)]
pub struct TrackEvent {
    /// What receives it.
    pub receiver: RtpReceiver,
    /// The track; muted until the first packet.
    pub track: MediaStreamTrack,
    /// The streams the peer put it in.
    pub streams: Vec<MediaStream>,
    /// Its transceiver.
    pub transceiver: RtpTransceiver,
}

/// The events of one connection.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::UnboundedReceiver<Box<Event>>);

impl Events {
    /// The next event; `None` once the connection is closed.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await.map(|event| *event)
    }

    /// An event that has happened already, if there is one.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok().map(|event| *event)
    }
}
