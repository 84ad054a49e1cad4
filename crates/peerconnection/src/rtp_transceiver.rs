//! `RTCRtpTransceiver`, `RTCRtpSender` and `RTCRtpReceiver` (W3C WebRTC §5.2 to §5.4).

use crate::driver::Connection;
use crate::error::Error;
use crate::pipeline::{self, Decoding, Encoding};
use crate::rtp_parameters::{RtpCapabilities, RtpCodecParameters, RtpEncodingParameters};
use crate::session::{IncomingFrame, OutgoingFrame, Session, TransceiverId, capabilities};
use crate::states::TransceiverDirection;
use bytes::Bytes;
use media::{EncodedFrame, MediaKind, MediaStreamTrack, TrackInit, TrackWriter};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::mpsc;

/// Encoded frames that may wait for an application that takes them itself.
const ENCODED_QUEUE: usize = 256;

/// What the three handles of a transceiver share.
pub(crate) struct TransceiverShared {
    connection: Weak<Connection>,
    id: TransceiverId,
    kind: MediaKind,
    remote_track: MediaStreamTrack,
    pub(crate) keyframe_wanted: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    local_track: Option<MediaStreamTrack>,
    encoding: Option<Encoding>,
    writer: Option<Arc<TrackWriter>>,
    decoding: Option<Decoding>,
    /// An application that takes frames as they come off the wire.
    encoded: Option<mpsc::Sender<ReceivedFrame>>,
}

impl TransceiverShared {
    pub(crate) fn new(
        connection: Weak<Connection>,
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
            id,
            kind,
            remote_track: track,
            keyframe_wanted: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> TransceiverId {
        self.id
    }

    pub(crate) fn kind(&self) -> MediaKind {
        self.kind
    }

    fn connection(&self) -> Result<Arc<Connection>, Error> {
        self.connection
            .upgrade()
            .ok_or_else(|| Error::InvalidState("the connection is closed".into()))
    }

    /// Runs a command on the session, if the connection still exists.
    pub(crate) fn command<T>(
        &self,
        act: impl FnOnce(&mut Session, std::time::Instant) -> T,
    ) -> Option<T> {
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

    pub(crate) fn set_remote_muted(&self, muted: bool) {
        if let Some(writer) = &self.lock().writer {
            writer.set_muted(muted);
        }
    }

    pub(crate) fn request_keyframe(&self) {
        self.keyframe_wanted.store(true, Ordering::Relaxed);
    }

    /// The transceiver is stopped, or the connection closed.
    pub(crate) fn end(&self) {
        *self.lock() = State::default();
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
        let mut state = self.lock();
        if let Some(encoded) = &state.encoded {
            match encoded.try_send(ReceivedFrame {
                frame,
                codec: codec.clone(),
            }) {
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
        decoding.push(frame, codec);
    }
}

/// A frame as it came off the wire, put together and in order.
#[derive(Debug, Clone)]
pub struct ReceivedFrame {
    /// The frame.
    pub frame: IncomingFrame,
    /// What it is encoded with.
    pub codec: RtpCodecParameters,
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

    fn view<T>(&self, look: impl FnOnce(crate::session::TransceiverView<'_>) -> T) -> Option<T> {
        let connection = self.shared.connection.upgrade()?;
        connection.query(|session| session.transceiver(self.shared.id).map(look))
    }

    /// Audio or video.
    pub fn kind(&self) -> MediaKind {
        self.shared.kind
    }

    /// `mid`: that of its section, once described.
    pub fn mid(&self) -> Option<String> {
        self.view(|view| view.mid().map(str::to_owned)).flatten()
    }

    /// The sending half.
    pub fn sender(&self) -> RtpSender {
        RtpSender {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The receiving half.
    pub fn receiver(&self) -> RtpReceiver {
        RtpReceiver {
            shared: Arc::clone(&self.shared),
        }
    }

    /// `direction`: what this side wants.
    pub fn direction(&self) -> TransceiverDirection {
        self.view(|view| view.direction())
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
        match self.view(|view| view.current_direction()) {
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

/// `RTCRtpSender`.
#[derive(Clone)]
pub struct RtpSender {
    shared: Arc<TransceiverShared>,
}

impl RtpSender {
    /// The track that is sent.
    pub fn track(&self) -> Option<MediaStreamTrack> {
        self.shared.lock().local_track.clone()
    }

    pub(crate) fn id(&self) -> TransceiverId {
        self.shared.id
    }

    /// `replaceTrack`: sends another track of the same kind, or none, without negotiation.
    ///
    /// # Errors
    /// `TypeError` for a track of the other kind, `InvalidStateError` when the transceiver is stopped.
    pub fn replace_track(&self, track: Option<&MediaStreamTrack>) -> Result<(), Error> {
        if track.is_some_and(|track| track.kind() != self.shared.kind) {
            return Err(Error::Type("a sender keeps the kind of its track".into()));
        }
        let id = track.map(|track| track.id().to_owned());
        self.shared
            .connection()?
            .command(|session, _| session.replace_track(self.shared.id, id))?;
        self.shared.set_local_track(track.cloned());
        Ok(())
    }

    /// The encodings that are sent: `getParameters().encodings`.
    pub fn encodings(&self) -> Vec<RtpEncodingParameters> {
        let Some(connection) = self.shared.connection.upgrade() else {
            return Vec::new();
        };
        connection.query(|session| {
            session
                .transceiver(self.shared.id)
                .map(|view| view.encodings().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// The codecs that were agreed, the one in use first: `getParameters().codecs`.
    pub fn codecs(&self) -> Vec<RtpCodecParameters> {
        let Some(connection) = self.shared.connection.upgrade() else {
            return Vec::new();
        };
        connection.query(|session| {
            session
                .transceiver(self.shared.id)
                .map(|view| view.send_codecs().to_vec())
                .unwrap_or_default()
        })
    }

    /// Sends a frame that the application has encoded itself; the sender should have no track.
    /// False when the connection does not let it out now.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn send_encoded(&self, frame: &EncodedFrame) -> Result<bool, Error> {
        self.shared.connection()?.command(|session, now| {
            let Some(codec) = session
                .transceiver(self.shared.id)
                .and_then(|view| view.send_codecs().first().cloned())
            else {
                return Ok(false);
            };
            let frame = outgoing(frame, codec.codec.clock_rate);
            session.write_frame(now, self.shared.id, None, &frame)
        })
    }

    /// Whether the receiver asked for a keyframe since the last call; for applications that encode themselves.
    pub fn take_keyframe_request(&self) -> bool {
        self.shared.keyframe_wanted.swap(false, Ordering::Relaxed)
    }

    /// `RTCRtpSender.getCapabilities`.
    pub fn capabilities(kind: MediaKind) -> RtpCapabilities {
        capabilities(kind)
    }
}

impl fmt::Debug for RtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpSender")
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

/// `RTCRtpReceiver`.
#[derive(Clone)]
pub struct RtpReceiver {
    shared: Arc<TransceiverShared>,
}

impl RtpReceiver {
    /// The track that it gives. Frames are decoded for whoever subscribes to it.
    pub fn track(&self) -> MediaStreamTrack {
        self.shared.remote_track.clone()
    }

    /// Takes frames as they come off the wire, instead of having them decoded.
    pub fn encoded_frames(&self) -> EncodedFrames {
        let (sender, receiver) = mpsc::channel(ENCODED_QUEUE);
        let mut state = self.shared.lock();
        state.encoded = Some(sender);
        state.decoding = None;
        EncodedFrames(receiver)
    }

    /// Asks the peer for a keyframe.
    pub fn request_keyframe(&self) {
        self.shared
            .command(|session, now| session.request_keyframe(now, self.shared.id));
    }

    /// The codecs that this side is ready to receive: `getParameters().codecs`.
    pub fn codecs(&self) -> Vec<RtpCodecParameters> {
        let Some(connection) = self.shared.connection.upgrade() else {
            return Vec::new();
        };
        connection.query(|session| {
            session
                .transceiver(self.shared.id)
                .map(|view| view.receive_codecs().to_vec())
                .unwrap_or_default()
        })
    }

    /// `RTCRtpReceiver.getCapabilities`.
    pub fn capabilities(kind: MediaKind) -> RtpCapabilities {
        capabilities(kind)
    }
}

impl fmt::Debug for RtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpReceiver")
            .field("kind", &self.shared.kind)
            .field("id", &self.shared.id)
            .finish_non_exhaustive()
    }
}

/// Frames of one receiver as they come off the wire.
#[derive(Debug)]
pub struct EncodedFrames(mpsc::Receiver<ReceivedFrame>);

impl EncodedFrames {
    /// The next frame; `None` when the transceiver is stopped.
    pub async fn next(&mut self) -> Option<ReceivedFrame> {
        self.0.recv().await
    }
}
