//! `RTCRtpTransceiver` (W3C WebRTC §5.4), and what its sender and receiver share with it.

mod packets;

pub use packets::{RtpPacket, RtpPackets};

use crate::driver::Connection;
use crate::encoded_transform::RtcEncodedFrame;
use crate::error::Error;
use crate::pipeline::{self, Decoding, Encoding, Offset, Timeline};
use crate::rtp_parameters::{RtpCodec, RtpCodecParameters, RtpHeaderExtensionCapability};
use crate::rtp_receiver::RtpReceiver;
use crate::rtp_sender::RtpSender;
use crate::session::{EncodedSample, IncomingFrame, OutgoingFrame, Session, TransceiverId};
use crate::states::TransceiverDirection;
use crate::transports::{DtlsTransport, TransportListeners};
use bytes::Bytes;
use media::{EncodedFrame, MediaKind, MediaStreamTrack, TrackInit, TrackState, TrackWriter};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What the three handles of a transceiver share.
pub(crate) struct TransceiverShared {
    connection: Weak<Connection>,
    transports: Arc<TransportListeners>,
    id: TransceiverId,
    kind: MediaKind,
    pub(crate) remote_track: MediaStreamTrack,
    /// Encodings whose next picture is to be a keyframe; `None` is the only one, or all.
    keyframes: Mutex<Vec<Option<String>>>,
    /// An application that takes packets as they are.
    packets: Mutex<Option<mpsc::Sender<RtpPacket>>>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) local_track: Option<MediaStreamTrack>,
    encoding: Option<Encoding>,
    timeline: Timeline,
    writer: Option<Arc<TrackWriter>>,
    pub(crate) decoding: Option<Decoding>,
    /// An application that takes frames as they come off the wire.
    pub(crate) encoded: Option<mpsc::Sender<ReceivedFrame>>,
    /// Transforms of what is sent and received.
    pub(crate) send_transform: Option<mpsc::Sender<RtcEncodedFrame>>,
    pub(crate) receive_transform: Option<mpsc::Sender<RtcEncodedFrame>>,
    /// Who hears of tones.
    pub(crate) tones: Vec<mpsc::UnboundedSender<String>>,
}

impl TransceiverShared {
    pub(crate) fn new(
        connection: Weak<Connection>,
        transports: Arc<TransportListeners>,
        id: TransceiverId,
        kind: MediaKind,
        remote_track: &str,
    ) -> Self {
        let init = TrackInit {
            id: Some(remote_track.to_owned()),
            label: format!("remote {}", kind.as_str()),
            muted: true,
            ..TrackInit::default()
        };
        let (track, writer) = MediaStreamTrack::new(kind, init);
        let state = State {
            writer: Some(Arc::new(writer)),
            ..State::default()
        };
        TransceiverShared {
            connection,
            transports,
            id,
            kind,
            remote_track: track,
            keyframes: Mutex::new(Vec::new()),
            packets: Mutex::new(None),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> TransceiverId {
        self.id
    }

    pub(crate) fn kind(&self) -> MediaKind {
        self.kind
    }

    pub(crate) fn connection(&self) -> Result<Arc<Connection>, Error> {
        self.connection
            .upgrade()
            .ok_or_else(|| Error::InvalidState("the connection is closed".into()))
    }

    pub(crate) fn belongs_to(&self, connection: &Arc<Connection>) -> bool {
        std::ptr::eq(self.connection.as_ptr(), Arc::as_ptr(connection))
    }

    /// Runs a command on the session, if the connection still exists.
    pub(crate) fn command<T>(&self, act: impl FnOnce(&mut Session, Instant) -> T) -> Option<T> {
        self.connection
            .upgrade()
            .map(|connection| connection.command(act))
    }

    /// Sends this track from now on, or nothing.
    pub(crate) fn set_local_track(self: &Arc<Self>, track: Option<MediaStreamTrack>) {
        let encoding = track
            .as_ref()
            .map(|track| pipeline::encode(track, Arc::downgrade(self)));
        let mut state = self.lock();
        state.local_track = track;
        state.encoding = encoding;
    }

    /// Whether the track that is sent has nothing to show: it is ended, disabled or muted (W3C WebRTC §5.2, `track`).
    pub(crate) fn is_blank(&self) -> bool {
        self.lock().local_track.as_ref().is_some_and(|track| {
            !track.enabled() || track.muted() || track.ready_state() == TrackState::Ended
        })
    }

    /// The time under which a frame of a track is sent.
    pub(crate) fn place(
        &self,
        offset: &mut Offset,
        now: Instant,
        timestamp: Duration,
        duration: Duration,
    ) -> Duration {
        self.lock().timeline.place(offset, now, timestamp, duration)
    }

    /// The time under which a frame is sent that no track gave.
    pub(crate) fn place_between(&self, now: Instant) -> Duration {
        self.lock().timeline.insert(now)
    }

    pub(crate) fn set_remote_muted(&self, muted: bool) {
        if let Some(writer) = &self.lock().writer {
            writer.set_muted(muted);
        }
    }

    /// Makes the next picture of an encoding a keyframe.
    pub(crate) fn request_keyframe(&self, rid: Option<&str>) {
        let mut wanted = self
            .keyframes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !wanted.iter().any(|known| known.as_deref() == rid) {
            wanted.push(rid.map(str::to_owned));
        }
    }

    /// Whether a keyframe of this encoding was asked for since the last call; with several, `None` asks for all.
    pub(crate) fn take_keyframe_request(&self, rid: Option<&str>) -> bool {
        let mut wanted = self
            .keyframes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = wanted.len();
        wanted.retain(|known| rid.is_some() && known.as_deref() != rid);
        wanted.len() != before
    }

    /// Whether keyframes of all encodings were asked for since the last call.
    pub(crate) fn take_all_keyframe_requests(&self) -> bool {
        let mut wanted = self
            .keyframes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = wanted.len();
        wanted.retain(Option::is_some);
        wanted.len() != before
    }

    /// The transport that its section uses.
    pub(crate) fn transport(&self) -> Option<DtlsTransport> {
        let number = self.query(|session| session.transport_of(self.id))??;
        Some(DtlsTransport::new(
            Weak::clone(&self.connection),
            Arc::clone(&self.transports),
            number,
        ))
    }

    /// Looks at this transceiver.
    pub(crate) fn view<T>(
        &self,
        look: impl FnOnce(crate::session::TransceiverView<'_>) -> T,
    ) -> Option<T> {
        let connection = self.connection.upgrade()?;
        connection.query(|session| session.transceiver(self.id).map(look))
    }

    /// Looks at the session.
    pub(crate) fn query<T>(&self, look: impl FnOnce(&Session) -> T) -> Option<T> {
        let connection = self.connection.upgrade()?;
        Some(connection.query(look))
    }

    /// Tells the session something that leads to nothing.
    pub(crate) fn note(&self, tell: impl FnOnce(&mut Session, Instant)) {
        if let Some(connection) = self.connection.upgrade() {
            connection.note(tell);
        }
    }

    pub(crate) fn tell_tone(&self, tone: &str) {
        self.lock()
            .tones
            .retain(|listener| listener.send(tone.to_owned()).is_ok());
    }

    /// Sends what an encoder made: through the transform, if there is one.
    pub(crate) fn send(
        &self,
        rid: Option<&str>,
        frame: &EncodedFrame,
        sample: Option<EncodedSample>,
    ) -> Option<()> {
        let transform = self.lock().send_transform.clone();
        self.command(|session, now| {
            if let Some(sample) = &sample {
                session.note_encoded(now, self.id, rid, sample);
            }
            let (codec, ssrc) = session.encoding_codec(self.id, rid)?;
            match transform {
                Some(transform) => {
                    let frame = RtcEncodedFrame::sent(frame, codec, rid, ssrc);
                    if transform.try_send(frame).is_err() {
                        tracing::debug!("the transform took a frame not at all, or not in time");
                    }
                }
                None => {
                    let frame = outgoing(frame, codec.codec.clock_rate);
                    let _ = session.write_frame(now, self.id, rid, &frame);
                }
            }
            Some(())
        })?
    }

    /// The transceiver is stopped, or the connection closed.
    pub(crate) fn end(&self) {
        self.end_packets();
        let mut state = self.lock();
        // `track` of the sender stays what it was (W3C WebRTC §5.4, "stop sending and receiving").
        let local_track = state.local_track.take();
        *state = State {
            local_track,
            ..State::default()
        };
    }

    /// Hands a received frame to whoever takes it: the application, or the decoder.
    pub(crate) fn handle_frame(self: &Arc<Self>, session: &Session, frame: IncomingFrame) {
        let Some(view) = session.transceiver(self.id) else {
            return;
        };
        let codec = view
            .receive_codecs()
            .iter()
            .find(|codec| codec.payload_type == frame.payload_type);
        let Some(codec) = codec else { return };
        let received = ReceivedFrame {
            rid: session.received_rid(self.id, frame.ssrc).map(str::to_owned),
            codec: codec.clone(),
            frame,
        };
        let transform = self.lock().receive_transform.clone();
        if let Some(transform) = transform {
            let frame = RtcEncodedFrame::received(self.kind, received);
            if transform.try_send(frame).is_err() {
                tracing::debug!("the transform took a frame not at all, or not in time");
            }
            return;
        }
        self.deliver(received);
    }

    /// Hands a frame over, after its transform if there is one.
    pub(crate) fn deliver(self: &Arc<Self>, received: ReceivedFrame) {
        let mut state = self.lock();
        if let Some(encoded) = &state.encoded {
            match encoded.try_send(received) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::debug!("an encoded frame was not fetched in time");
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => state.encoded = None,
            }
            return;
        }
        let Some(writer) = state.writer.clone() else {
            return;
        };
        let decoding = state
            .decoding
            .get_or_insert_with(|| pipeline::decode(writer, Arc::downgrade(self)));
        decoding.push(received);
    }
}

/// A frame as it came off the wire, put together and in order.
#[derive(Debug, Clone)]
pub struct ReceivedFrame {
    /// The frame.
    pub frame: IncomingFrame,
    /// What it is encoded with.
    pub codec: RtpCodecParameters,
    /// Which of the encodings it is one of, when the peer sends several (simulcast).
    pub rid: Option<String>,
}

/// `RTCRtpTransceiver`: a sender and a receiver that share a media section.
#[derive(Clone)]
pub struct RtpTransceiver {
    shared: Arc<TransceiverShared>,
}

impl RtpTransceiver {
    pub(crate) fn new(shared: Arc<TransceiverShared>) -> Self {
        RtpTransceiver { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<TransceiverShared> {
        &self.shared
    }

    /// Audio or video.
    pub fn kind(&self) -> MediaKind {
        self.shared.kind
    }

    /// `mid`: that of its section, once described.
    pub fn mid(&self) -> Option<String> {
        self.shared
            .view(|view| view.mid().map(str::to_owned))
            .flatten()
    }

    /// The sending half.
    pub fn sender(&self) -> RtpSender {
        RtpSender::new(Arc::clone(&self.shared))
    }

    /// The receiving half.
    pub fn receiver(&self) -> RtpReceiver {
        RtpReceiver::new(Arc::clone(&self.shared))
    }

    /// `direction`: what this side wants.
    pub fn direction(&self) -> TransceiverDirection {
        self.shared
            .view(|view| view.direction())
            .unwrap_or(TransceiverDirection::Stopped)
    }

    /// Sets the wanted direction; it takes effect with the next negotiation.
    ///
    /// # Errors
    /// `InvalidStateError` when stopped, `TypeError` for `stopped`.
    pub fn set_direction(&self, direction: TransceiverDirection) -> Result<(), Error> {
        self.shared
            .connection()?
            .command(|session, _| session.set_direction(self.shared.id, direction))
    }

    /// `currentDirection`: what was agreed last.
    pub fn current_direction(&self) -> Option<TransceiverDirection> {
        match self.shared.view(|view| view.current_direction()) {
            Some(direction) => direction,
            None => Some(TransceiverDirection::Stopped),
        }
    }

    /// `stop`: sends and receives no more; the next negotiation frees the section.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn stop(&self) -> Result<(), Error> {
        self.shared
            .connection()?
            .command(|session, _| session.stop_transceiver(self.shared.id))?;
        self.shared.end();
        Ok(())
    }

    /// `setCodecPreferences`: what to negotiate, the most wanted first; nothing is the usual order.
    ///
    /// # Errors
    /// `InvalidModificationError` for a codec that [`RtpReceiver::capabilities`] does not list, or for helpers alone;
    /// `InvalidStateError` when the connection is closed.
    pub fn set_codec_preferences(&self, codecs: &[RtpCodec]) -> Result<(), Error> {
        self.shared
            .connection()?
            .command(|session, _| session.set_codec_preferences(self.shared.id, codecs))
    }

    /// `getHeaderExtensionsToNegotiate`.
    pub fn header_extensions_to_negotiate(&self) -> Vec<RtpHeaderExtensionCapability> {
        self.shared
            .query(|session| session.header_extensions_to_negotiate(self.shared.id))
            .unwrap_or_default()
    }

    /// `setHeaderExtensionsToNegotiate`: the same extensions with other directions; `stopped` leaves one out.
    ///
    /// # Errors
    /// `InvalidModificationError` when the extensions or their order differ from what
    /// [`RtpTransceiver::header_extensions_to_negotiate`] gives, or MID is not `sendrecv`.
    pub fn set_header_extensions_to_negotiate(
        &self,
        extensions: &[RtpHeaderExtensionCapability],
    ) -> Result<(), Error> {
        self.shared.connection()?.command(|session, _| {
            session.set_header_extensions_to_negotiate(self.shared.id, extensions)
        })
    }

    /// `rtpHeaderEncryptionNegotiated`: whether header extensions are encrypted (RFC 9335), as the peer takes them so
    /// (W3C WebRTC Extensions, "RTP Header Extension Encryption").
    pub fn rtp_header_encryption_negotiated(&self) -> bool {
        self.shared
            .query(|session| session.encrypts_headers(self.shared.id))
            .unwrap_or(false)
    }

    /// `getNegotiatedHeaderExtensions`: what the last answer made of them.
    pub fn negotiated_header_extensions(&self) -> Vec<RtpHeaderExtensionCapability> {
        self.shared
            .query(|session| session.negotiated_header_extensions(self.shared.id))
            .unwrap_or_default()
    }
}

impl PartialEq for RtpTransceiver {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl fmt::Debug for RtpTransceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpTransceiver")
            .field("kind", &self.shared.kind)
            .field("id", &self.shared.id)
            .finish_non_exhaustive()
    }
}

/// A frame with its time in ticks of the RTP clock.
pub(crate) fn outgoing(frame: &EncodedFrame, clock_rate: u32) -> OutgoingFrame {
    let ticks = frame.timestamp.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    OutgoingFrame {
        data: Bytes::clone(&frame.data),
        // The RTP clock wraps (RFC 3550 §5.1).
        timestamp: ticks as u32,
        keyframe: frame.keyframe,
        ..OutgoingFrame::default()
    }
}
