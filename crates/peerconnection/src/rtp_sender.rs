//! `RTCRtpSender` (W3C WebRTC §5.2).

use crate::dtmf::DtmfSender;
use crate::encoded_transform::EncodedTransform;
use crate::error::Error;
use crate::rtp_parameters::{
    RtpCapabilities, RtpCodecParameters, RtpEncodingParameters, RtpSendParameters,
    SetParameterOptions,
};
use crate::rtp_transceiver::{TransceiverShared, outgoing};
use crate::session::{TransceiverId, capabilities};
use crate::stats::StatsReport;
use crate::transports::DtlsTransport;
use media::{EncodedFrame, MediaKind, MediaStream, MediaStreamTrack};
use std::fmt;
use std::sync::Arc;

/// `RTCRtpSender`: encodes and sends a track.
#[derive(Clone)]
pub struct RtpSender {
    pub(crate) shared: Arc<TransceiverShared>,
}

impl RtpSender {
    pub(crate) fn new(shared: Arc<TransceiverShared>) -> Self {
        RtpSender { shared }
    }

    /// `transport`: what it sends over; `None` before a description has given it one.
    pub fn transport(&self) -> Option<DtlsTransport> {
        self.shared.transport()
    }

    /// The track that is sent.
    pub fn track(&self) -> Option<MediaStreamTrack> {
        self.shared.lock().local_track.clone()
    }

    pub(crate) fn id(&self) -> TransceiverId {
        self.shared.id()
    }

    /// `replaceTrack`: sends another track of the same kind, or none, without negotiation.
    ///
    /// # Errors
    /// `TypeError` for a track of the other kind, `InvalidStateError` when the transceiver is stopped.
    pub async fn replace_track(&self, track: Option<&MediaStreamTrack>) -> Result<(), Error> {
        if track.is_some_and(|track| track.kind() != self.shared.kind()) {
            return Err(Error::Type("a sender keeps the kind of its track".into()));
        }
        let id = track.map(|track| track.id().to_owned());
        let connection = self.shared.connection()?;
        let operation = async {
            connection.command(|session, _| session.replace_track(self.id(), id))?;
            self.shared.set_local_track(track.cloned());
            Ok(())
        };
        connection.chain(operation).await
    }

    /// `setStreams`: the streams that the peer sees the track in, from the next negotiation on.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn set_streams(&self, streams: &[&MediaStream]) -> Result<(), Error> {
        let ids = streams
            .iter()
            .map(|stream| stream.id().to_owned())
            .collect();
        self.shared
            .connection()?
            .command(|session, _| session.set_streams(self.id(), ids))
    }

    /// `getParameters`. Change what is to change, and give the whole to [`RtpSender::set_parameters`].
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed or the transceiver gone.
    pub fn parameters(&self) -> Result<RtpSendParameters, Error> {
        self.shared
            .connection()?
            .command(|session, _| session.sender_parameters(self.id()))
    }

    /// `setParameters`: other limits, scaling, codec or priority, without negotiation.
    ///
    /// ```no_run
    /// # async fn example(sender: peerconnection::RtpSender) -> Result<(), peerconnection::Error> {
    /// let mut parameters = sender.parameters()?;
    /// parameters.encodings[0].max_bitrate = Some(200_000);
    /// sender.set_parameters(parameters).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidStateError` when the transceiver is stopped or [`RtpSender::parameters`] was not called since the last
    /// change; `InvalidModificationError` when anything read-only differs; `RangeError` for a factor below 1.0 or a
    /// frame rate below 0.0.
    pub async fn set_parameters(&self, parameters: RtpSendParameters) -> Result<(), Error> {
        self.set_parameters_with(parameters, &SetParameterOptions::default())
            .await
    }

    /// `setParameters` with its second argument (W3C WebRTC Extensions §5.3).
    ///
    /// # Errors
    /// As [`RtpSender::set_parameters`]; `InvalidModificationError` when the options are not one for each encoding.
    pub async fn set_parameters_with(
        &self,
        parameters: RtpSendParameters,
        options: &SetParameterOptions,
    ) -> Result<(), Error> {
        self.shared.connection()?.command(|session, now| {
            session.set_sender_parameters(now, self.id(), parameters, options)
        })
    }

    /// The encodings that are sent: `getParameters().encodings`.
    pub fn encodings(&self) -> Vec<RtpEncodingParameters> {
        self.shared
            .view(|view| view.encodings().cloned().collect())
            .unwrap_or_default()
    }

    /// The codecs that were agreed, the one in use first: `getParameters().codecs`.
    pub fn codecs(&self) -> Vec<RtpCodecParameters> {
        self.shared
            .view(|view| view.send_codecs().to_vec())
            .unwrap_or_default()
    }

    /// `dtmf`: sends telephone tones; `None` unless this sends sound.
    pub fn dtmf(&self) -> Option<DtmfSender> {
        (self.shared.kind() == MediaKind::Audio).then(|| DtmfSender::new(Arc::clone(&self.shared)))
    }

    /// Setter of `transform`: every encoded frame runs through it before it is sent. `None` takes it away.
    ///
    /// # Errors
    /// `InvalidStateError` outside a tokio runtime.
    pub fn set_transform(&self, transform: Option<EncodedTransform>) -> Result<(), Error> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::InvalidState("a transform needs a tokio runtime".into()))?;
        let started = transform.map(|one| one.start(Arc::downgrade(&self.shared), &runtime));
        self.shared.lock().send_transform = started;
        // What was sent before cannot be built upon by somebody who sees what is sent from now on.
        self.shared.request_keyframe(None);
        Ok(())
    }

    /// `getStats` of this sender alone.
    pub async fn stats(&self) -> StatsReport {
        self.shared
            .command(|session, now| session.stats(now).of_sender(&session.sent_ssrcs(self.id())))
            .unwrap_or_default()
    }

    /// What the path is estimated to carry, in bits per second, all streams of its transport together; `None` where the
    /// peer gives no feedback. For applications that encode themselves.
    pub fn available_bitrate(&self) -> Option<u64> {
        self.shared
            .query(|session| session.available_outgoing_bitrate(self.id()))
            .flatten()
    }

    /// What this sender should produce now, in bits per second of payload, for the encoding of this `rid` (the only one
    /// when `None`). For applications that encode themselves; encoders of tracks follow it on their own.
    pub fn target_bitrate(&self, rid: Option<&str>) -> Option<u64> {
        self.shared
            .query(|session| session.target_bitrate(self.id(), rid))
            .flatten()
    }

    /// Sends a frame that the application has encoded itself; the sender should have no track.
    /// False when the connection does not let it out now.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn send_encoded(&self, frame: &EncodedFrame) -> Result<bool, Error> {
        self.send_encoding(None, frame)
    }

    /// As [`RtpSender::send_encoded`], on the encoding of this `rid`.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed, `InvalidAccessError` when there is no such encoding.
    pub fn send_encoding(&self, rid: Option<&str>, frame: &EncodedFrame) -> Result<bool, Error> {
        self.shared.connection()?.command(|session, now| {
            let Some((codec, _)) = session.encoding_codec(self.id(), rid) else {
                return Ok(false);
            };
            let frame = outgoing(frame, codec.codec.clock_rate);
            session.write_frame(now, self.id(), rid, &frame)
        })
    }

    /// Whether the receiver asked for a keyframe since the last call; for applications that encode themselves.
    pub fn take_keyframe_request(&self) -> bool {
        self.shared.take_keyframe_request(None)
    }

    /// `RTCRtpSender.getCapabilities`.
    pub fn capabilities(kind: MediaKind) -> RtpCapabilities {
        capabilities(kind)
    }
}

impl PartialEq for RtpSender {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl fmt::Debug for RtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtpSender")
            .field("kind", &self.shared.kind())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
