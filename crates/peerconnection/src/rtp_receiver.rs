//! `RTCRtpReceiver` (W3C WebRTC §5.3).

use crate::encoded_transform::EncodedTransform;
use crate::error::Error;
use crate::rtp_parameters::{RtpCapabilities, RtpCodecParameters, RtpReceiveParameters};
use crate::rtp_transceiver::{ReceivedFrame, TransceiverShared};
use crate::session::{RtpSource, TransceiverId, capabilities};
use crate::stats::StatsReport;
use crate::transports::DtlsTransport;
use media::{MediaKind, MediaStreamTrack};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Encoded frames that may wait for an application that takes them itself.
const ENCODED_QUEUE: usize = 256;

/// `RTCRtpReceiver`: receives and decodes a track.
#[derive(Clone)]
pub struct RtpReceiver {
    pub(crate) shared: Arc<TransceiverShared>,
}

impl RtpReceiver {
    pub(crate) fn new(shared: Arc<TransceiverShared>) -> Self {
        RtpReceiver { shared }
    }

    fn id(&self) -> TransceiverId {
        self.shared.id()
    }

    /// `transport`: what it receives over; `None` before a description has given it one.
    pub fn transport(&self) -> Option<DtlsTransport> {
        self.shared.transport()
    }

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

    /// Setter of `transform`: every received frame runs through it before it is decoded. `None` takes it away.
    ///
    /// # Errors
    /// `InvalidStateError` outside a tokio runtime.
    pub fn set_transform(&self, transform: Option<EncodedTransform>) -> Result<(), Error> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::InvalidState("a transform needs a tokio runtime".into()))?;
        let started = transform.map(|one| one.start(Arc::downgrade(&self.shared), &runtime));
        self.shared.lock().receive_transform = started;
        Ok(())
    }

    /// Asks the peer for a keyframe.
    pub fn request_keyframe(&self) {
        self.shared
            .command(|session, now| session.request_keyframe(now, self.id()));
    }

    /// `getParameters`.
    pub fn parameters(&self) -> RtpReceiveParameters {
        self.shared
            .query(|session| session.receiver_parameters(self.id()))
            .unwrap_or_default()
    }

    /// The codecs that this side is ready to receive: `getParameters().codecs`.
    pub fn codecs(&self) -> Vec<RtpCodecParameters> {
        self.parameters().codecs
    }

    /// `getSynchronizationSources`: whose frames were delivered in the last ten seconds, the newest first.
    pub fn synchronization_sources(&self) -> Vec<RtpSource> {
        self.shared
            .command(|session, now| session.synchronization_sources(now, self.id()))
            .unwrap_or_default()
    }

    /// `getContributingSources`: whom a mixer named in the last ten seconds, the newest first.
    pub fn contributing_sources(&self) -> Vec<RtpSource> {
        self.shared
            .command(|session, now| session.contributing_sources(now, self.id()))
            .unwrap_or_default()
    }

    /// `jitterBufferTarget`.
    pub fn jitter_buffer_target(&self) -> Option<Duration> {
        self.shared
            .query(|session| session.jitter_buffer_target(self.id()))
            .flatten()
    }

    /// Sets `jitterBufferTarget`: how long frames are held at least, for smoothness; `None` leaves it to the network.
    ///
    /// # Errors
    /// `RangeError` above 4 s.
    pub fn set_jitter_buffer_target(&self, target: Option<Duration>) -> Result<(), Error> {
        self.shared
            .connection()?
            .command(|session, now| session.set_jitter_buffer_target(now, self.id(), target))
    }

    /// `getStats` of this receiver alone.
    pub async fn stats(&self) -> StatsReport {
        let report = self.shared.command(|session, now| {
            let ssrcs = session.received_ssrcs(self.id());
            session.stats(now).of_receiver(&ssrcs)
        });
        let mut report = report.unwrap_or_default();
        report.add_playout(&self.shared.remote_track);
        report
    }

    /// `RTCRtpReceiver.getCapabilities`.
    pub fn capabilities(kind: MediaKind) -> RtpCapabilities {
        capabilities(kind)
    }
}

impl PartialEq for RtpReceiver {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl fmt::Debug for RtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpReceiver")
            .field("kind", &self.shared.kind())
            .field("id", &self.id())
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
