//! What senders, receivers and transceivers are set to: `getParameters`, `setParameters`, `setStreams`,
//! `setCodecPreferences`, and the control of header extensions.

use super::transceiver::{Transceiver, TransceiverId};
use super::{Event, Session, codecs};
use crate::error::Error;
use crate::rtp_parameters::{
    DegradationPreference, PTIME_TWICE, RtcpParameters, RtpCapabilities, RtpCodec,
    RtpCodecParameters, RtpHeaderExtensionCapability, RtpReceiveParameters, RtpSendParameters,
    SetParameterOptions, check_encodings,
};
use crate::states::TransceiverDirection;
use ::media::MediaKind;
use std::time::Instant;

fn stopped() -> Error {
    Error::InvalidState("the transceiver is stopped".into())
}

fn modified(what: &str) -> Error {
    Error::InvalidModification(what.into())
}

impl Session {
    fn live_transceiver(&mut self, id: TransceiverId) -> Result<&mut Transceiver, Error> {
        match self.jsep.transceiver_mut(id) {
            Some(transceiver) if !transceiver.stopping => Ok(transceiver),
            _ => Err(stopped()),
        }
    }

    /// `RTCRtpSender.getParameters` (W3C WebRTC §5.2). The same are returned again, `transaction_id` included, until
    /// [`Session::set_sender_parameters`] has taken them or a description has changed what they say.
    ///
    /// # Errors
    /// `InvalidStateError` when the transceiver is gone.
    pub fn sender_parameters(&mut self, id: TransceiverId) -> Result<RtpSendParameters, Error> {
        let cname = self.jsep.cname.clone();
        let transaction = self.next_transaction;
        let transceiver = self.jsep.transceiver_mut(id).ok_or_else(stopped)?;
        if let Some(last) = &transceiver.sender.last_returned {
            return Ok(last.clone());
        }
        let sender = &mut transceiver.sender;
        let parameters = RtpSendParameters {
            transaction_id: format!("{transaction}"),
            encodings: sender
                .encodings
                .iter()
                .map(|encoding| encoding.parameters.clone())
                .collect(),
            header_extensions: sender.extensions.clone(),
            rtcp: RtcpParameters {
                cname: Some(cname),
                reduced_size: sender.reduced_size,
            },
            codecs: sender.codecs.clone(),
            degradation_preference: sender.degradation_preference,
        };
        sender.last_returned = Some(parameters.clone());
        self.next_transaction += 1;
        Ok(parameters)
    }

    /// `RTCRtpSender.setParameters` (W3C WebRTC §5.2, W3C WebRTC Extensions §5.3).
    ///
    /// # Errors
    /// `InvalidStateError` when the transceiver is stopped, or [`Session::sender_parameters`] was not called before;
    /// `InvalidModificationError` when anything read-only has changed, or a codec is named that was not agreed;
    /// `RangeError` for a factor below 1.0 or a frame rate below 0.0.
    pub fn set_sender_parameters(
        &mut self,
        now: Instant,
        id: TransceiverId,
        parameters: RtpSendParameters,
        options: &SetParameterOptions,
    ) -> Result<(), Error> {
        let catalogue = self.jsep.catalogue.clone();
        let transceiver = self.live_transceiver(id)?;
        let kind = transceiver.kind;
        let Some(last) = &transceiver.sender.last_returned else {
            return Err(Error::InvalidState(
                "getParameters has not been called since the last change".into(),
            ));
        };
        if parameters.encodings.len() != last.encodings.len() {
            return Err(modified("the number of encodings has changed"));
        }
        let same_rid = parameters
            .encodings
            .iter()
            .zip(&last.encodings)
            .all(|(new, old)| new.rid == old.rid);
        if !same_rid {
            return Err(modified("the order or the rid of encodings has changed"));
        }
        if parameters.transaction_id != last.transaction_id
            || parameters.header_extensions != last.header_extensions
            || parameters.rtcp != last.rtcp
            || parameters.codecs != last.codecs
        {
            return Err(modified("a read-only parameter has changed"));
        }
        let known: Vec<RtpCodec> = match last.codecs.as_slice() {
            [] => catalogue
                .known(kind)
                .into_iter()
                .map(|known| known.codec)
                .collect(),
            agreed => agreed.iter().map(|codec| codec.codec.clone()).collect(),
        };
        let mut encodings = parameters.encodings;
        let choosable = |wanted: &RtpCodec| {
            known
                .iter()
                .any(|codec| codec.is_media() && codec.dictionary_match(wanted, true))
        };
        if encodings
            .iter()
            .filter_map(|encoding| encoding.codec.as_ref())
            .any(|wanted| !choosable(wanted))
        {
            return Err(modified("an encoding names a codec that was not agreed"));
        }
        if encodings
            .iter()
            .any(|one| one.adaptive_ptime && one.ptime.is_some())
        {
            return Err(modified(PTIME_TWICE));
        }
        check_encodings(kind, &mut encodings, Error::InvalidModification, |_| 1.0)?;
        let keyframes: &[_] = match kind {
            MediaKind::Audio => &[],
            MediaKind::Video => &options.encoding_options,
        };
        if !keyframes.is_empty() && keyframes.len() != encodings.len() {
            return Err(modified("encoding_options are not one for each encoding"));
        }
        let sender = &mut transceiver.sender;
        sender.last_returned = None;
        sender.degradation_preference = parameters.degradation_preference;
        let mut rids = Vec::new();
        for (index, (slot, encoding)) in sender.encodings.iter_mut().zip(encodings).enumerate() {
            if keyframes
                .get(index)
                .is_some_and(|options| options.key_frame)
            {
                rids.push(encoding.rid.clone());
            }
            slot.parameters = encoding;
        }
        for rid in rids {
            self.events.push_back(Event::KeyframeRequested {
                transceiver: id,
                rid,
            });
        }
        // Another codec is another payload type: the streams follow.
        self.match_streams(now);
        Ok(())
    }

    /// The legacy options of `createOffer` (W3C WebRTC §4.4.3.3, "Legacy configuration extensions").
    pub(crate) fn offer_to_receive(
        &mut self,
        kind: MediaKind,
        wanted: Option<bool>,
    ) -> Result<(), Error> {
        let Some(wanted) = wanted.filter(|_| !self.is_closed()) else {
            return Ok(());
        };
        let mut receiving = self.jsep.transceivers.iter_mut().filter(|transceiver| {
            transceiver.kind == kind && !transceiver.stopping && transceiver.direction.receives()
        });
        if !wanted {
            for transceiver in receiving {
                transceiver.direction =
                    TransceiverDirection::new(transceiver.direction.sends(), false);
            }
        } else if receiving.next().is_none() {
            let direction = TransceiverDirection::RecvOnly;
            self.jsep
                .add_transceiver(kind, None, direction, Vec::new(), Vec::new())?;
        }
        Ok(())
    }

    /// What local descriptions carry as `a=identity` from now on (RFC 8827 §7.4.1).
    pub fn set_identity(&mut self, assertion: Option<String>) {
        self.jsep.identity = assertion;
    }

    /// The fingerprints of local descriptions, as in `sha-256 AB:CD:…`.
    pub fn fingerprints(&self) -> Vec<String> {
        let fingerprints = self.jsep.facts.fingerprints.iter();
        fingerprints.map(ToString::to_string).collect()
    }

    /// What to give up first when there is too little bitrate.
    pub(crate) fn degradation_preference(&self, id: TransceiverId) -> DegradationPreference {
        self.jsep
            .transceiver(id)
            .and_then(|transceiver| transceiver.sender.degradation_preference)
            .unwrap_or_default()
    }

    /// The codec of an encoding, and the stream it is sent on; the first encoding when no `rid` is given.
    pub fn encoding_codec(
        &self,
        id: TransceiverId,
        rid: Option<&str>,
    ) -> Option<(&RtpCodecParameters, u32)> {
        let sender = &self.jsep.transceiver(id)?.sender;
        let encoding = sender
            .encodings
            .iter()
            .find(|encoding| rid.is_none() || encoding.parameters.rid.as_deref() == rid)?;
        Some((encoding.parameters.choose(&sender.codecs)?, encoding.ssrc))
    }

    /// What part of a sender's packets the peer missed, by its last reports: 0.0 to 1.0.
    pub(crate) fn reported_loss(&self, id: TransceiverId) -> f64 {
        let outgoing = self.media.sent_streams();
        outgoing
            .filter(|outgoing| outgoing.transceiver == id)
            .filter_map(|outgoing| Some(outgoing.stream.stats().remote?.fraction_lost))
            .fold(0.0, f64::max)
    }

    /// The streams that a sender sends.
    pub(crate) fn sent_ssrcs(&self, id: TransceiverId) -> Vec<u32> {
        let outgoing = self.media.sent_streams();
        outgoing
            .filter(|outgoing| outgoing.transceiver == id)
            .map(|outgoing| outgoing.stream.ssrc().0)
            .collect()
    }

    /// The streams that a receiver receives.
    pub(crate) fn received_ssrcs(&self, id: TransceiverId) -> Vec<u32> {
        let incoming = self.media.incoming().iter();
        incoming
            .filter(|incoming| incoming.transceiver == id)
            .map(|incoming| incoming.stream.ssrc().0)
            .collect()
    }

    /// The `rid` of a stream that a receiver receives, when it has one.
    pub(crate) fn received_rid(&self, id: TransceiverId, ssrc: rtp::Ssrc) -> Option<&str> {
        let mut incoming = self.media.incoming().iter();
        incoming
            .find(|incoming| incoming.transceiver == id && incoming.stream.ssrc() == ssrc)?
            .rid
            .as_deref()
    }

    /// `RTCRtpReceiver.getParameters` (W3C WebRTC §5.3).
    pub fn receiver_parameters(&self, id: TransceiverId) -> RtpReceiveParameters {
        let Some(transceiver) = self.jsep.transceiver(id) else {
            return RtpReceiveParameters::default();
        };
        RtpReceiveParameters {
            header_extensions: transceiver.receiver.extensions.clone(),
            rtcp: RtcpParameters {
                cname: None,
                reduced_size: !transceiver.receiver.codecs.is_empty(),
            },
            codecs: transceiver.receiver.codecs.clone(),
        }
    }

    /// `RTCRtpSender.setStreams` (W3C WebRTC §5.2).
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn set_streams(&mut self, id: TransceiverId, streams: Vec<String>) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        if let Some(transceiver) = self.jsep.transceiver_mut(id) {
            transceiver.sender.streams.clear();
            for stream in streams {
                if !transceiver.sender.streams.contains(&stream) {
                    transceiver.sender.streams.push(stream);
                }
            }
            self.negotiation_check_due = true;
        }
        Ok(())
    }

    /// What this connection can negotiate: as [`capabilities`](super::capabilities), with the codecs of the application.
    pub fn capabilities(&self, kind: MediaKind) -> RtpCapabilities {
        self.jsep.catalogue.capabilities(kind)
    }

    /// `RTCRtpTransceiver.setCodecPreferences` (W3C WebRTC §5.4). No codecs are the default order again.
    ///
    /// # Errors
    /// `InvalidModificationError` for a codec that [`Session::capabilities`] does not list, or when none of them is more than a
    /// helper (retransmission, redundancy, comfort noise).
    pub fn set_codec_preferences(
        &mut self,
        id: TransceiverId,
        codecs: &[RtpCodec],
    ) -> Result<(), Error> {
        let catalogue = self.jsep.catalogue.clone();
        let transceiver = self.jsep.transceiver_mut(id).ok_or_else(stopped)?;
        let mut preferred: Vec<RtpCodec> = Vec::with_capacity(codecs.len());
        let known = catalogue.capabilities(transceiver.kind).codecs;
        for codec in codecs {
            if preferred
                .iter()
                .any(|earlier| earlier.dictionary_match(codec, false))
            {
                continue;
            }
            if !known
                .iter()
                .any(|known| known.dictionary_match(codec, false))
            {
                return Err(Error::InvalidModification(format!(
                    "{} with {:?} is not among the capabilities",
                    codec.mime_type, codec.sdp_fmtp_line
                )));
            }
            preferred.push(codec.clone());
        }
        if !codecs.is_empty() && !preferred.iter().any(RtpCodec::is_media) {
            return Err(modified("the preferences hold helpers only"));
        }
        transceiver.preferences = preferred;
        Ok(())
    }

    /// `getHeaderExtensionsToNegotiate` (W3C WebRTC Extensions §5.1).
    pub fn header_extensions_to_negotiate(
        &self,
        id: TransceiverId,
    ) -> Vec<RtpHeaderExtensionCapability> {
        self.jsep
            .transceiver(id)
            .map(|transceiver| transceiver.extensions_to_negotiate.clone())
            .unwrap_or_default()
    }

    /// `setHeaderExtensionsToNegotiate` (W3C WebRTC Extensions §5.1); it counts from the next offer or answer on.
    ///
    /// # Errors
    /// `InvalidModificationError` when the extensions or their order differ from those that
    /// [`Session::header_extensions_to_negotiate`] gives, or MID is not to be used both ways.
    pub fn set_header_extensions_to_negotiate(
        &mut self,
        id: TransceiverId,
        extensions: &[RtpHeaderExtensionCapability],
    ) -> Result<(), Error> {
        let transceiver = self.jsep.transceiver_mut(id).ok_or_else(stopped)?;
        let before = &transceiver.extensions_to_negotiate;
        if before.len() != extensions.len()
            || before
                .iter()
                .zip(extensions)
                .any(|(old, new)| old.uri != new.uri)
        {
            return Err(modified("the extensions or their order have changed"));
        }
        // RFC 9143 §9.1: bundling stands on MID, in both directions.
        if extensions.iter().any(|extension| {
            extension.uri == codecs::MID_URI
                && extension.direction != TransceiverDirection::SendRecv
        }) {
            return Err(modified("MID is mandatory"));
        }
        let possible = codecs::extensions(transceiver.kind);
        transceiver.extensions_to_negotiate = extensions
            .iter()
            .map(|wanted| {
                let most = possible
                    .iter()
                    .find(|known| known.uri == wanted.uri)
                    .map_or(TransceiverDirection::Stopped, |known| known.direction);
                RtpHeaderExtensionCapability {
                    uri: wanted.uri.clone(),
                    direction: match (wanted.direction, most) {
                        (TransceiverDirection::Stopped, _) | (_, TransceiverDirection::Stopped) => {
                            TransceiverDirection::Stopped
                        }
                        (wanted, most) => wanted.intersect(most),
                    },
                }
            })
            .collect();
        Ok(())
    }

    /// `getNegotiatedHeaderExtensions` (W3C WebRTC Extensions §5.1).
    pub fn negotiated_header_extensions(
        &self,
        id: TransceiverId,
    ) -> Vec<RtpHeaderExtensionCapability> {
        self.jsep
            .transceiver(id)
            .map(|transceiver| transceiver.negotiated_extensions.clone())
            .unwrap_or_default()
    }
}
