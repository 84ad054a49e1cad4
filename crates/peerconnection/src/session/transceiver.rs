//! `RTCRtpTransceiver` with its sender and receiver, as far as negotiation knows them (W3C WebRTC §5.4).

use crate::rtp_parameters::{
    DegradationPreference, RtpCodec, RtpCodecParameters, RtpEncodingParameters,
    RtpHeaderExtensionCapability, RtpHeaderExtensionParameters, RtpSendParameters,
};
use crate::states::TransceiverDirection;
use media::MediaKind;

/// Names a transceiver for as long as its connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransceiverId(pub(crate) u32);

/// A transceiver's slots, named as the W3C text names them.
#[derive(Debug, Clone)]
pub(crate) struct Transceiver {
    pub(crate) id: TransceiverId,
    pub(crate) kind: MediaKind,
    /// Set once a description with its section is applied.
    pub(crate) mid: Option<String>,
    /// The section that it is, or is about to be, associated with.
    pub(crate) section: Option<usize>,
    pub(crate) direction: TransceiverDirection,
    pub(crate) current_direction: Option<TransceiverDirection>,
    pub(crate) fired_direction: Option<TransceiverDirection>,
    pub(crate) stopping: bool,
    pub(crate) stopped: bool,
    /// Made by `add_track`, or since given a track by it: such a one may serve a remote section (RFC 9429 §5.10).
    pub(crate) by_add_track: bool,
    /// Made by the pending remote offer: a rollback takes it away again.
    pub(crate) by_remote_offer: bool,
    /// Whether its sender ever was allowed to send; `add_track` reuses only those that were not.
    pub(crate) has_sent: bool,
    pub(crate) preferences: Vec<RtpCodec>,
    /// `[[HeaderExtensionsToNegotiate]]` and `[[NegotiatedHeaderExtensions]]` (W3C WebRTC Extensions §5.1).
    pub(crate) extensions_to_negotiate: Vec<RtpHeaderExtensionCapability>,
    pub(crate) negotiated_extensions: Vec<RtpHeaderExtensionCapability>,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

/// The sending half.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// `id` of the track that is sent, if there is one.
    pub(crate) track: Option<String>,
    /// The track id that `a=msid` announces: that of the first track, kept for good (RFC 9429 §5.2.1).
    pub(crate) announced_track: String,
    pub(crate) streams: Vec<String>,
    pub(crate) encodings: Vec<Encoding>,
    /// What the last answer lets this side send.
    pub(crate) codecs: Vec<RtpCodecParameters>,
    pub(crate) extensions: Vec<RtpHeaderExtensionParameters>,
    /// Whether the peer takes RTCP of reduced size.
    pub(crate) reduced_size: bool,
    /// The packets that the peer asks for.
    pub(crate) packet_time: PacketTime,
    pub(crate) degradation_preference: Option<DegradationPreference>,
    /// `[[LastReturnedParameters]]`.
    pub(crate) last_returned: Option<RtpSendParameters>,
}

/// One encoding with the SSRCs it is sent under.
#[derive(Debug, Clone)]
pub(crate) struct Encoding {
    pub(crate) parameters: RtpEncodingParameters,
    pub(crate) ssrc: u32,
    pub(crate) rtx: u32,
}

/// The packets that a description asks for, in ms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PacketTime {
    /// `a=ptime` (RFC 8866 §6.4).
    pub(crate) preferred: Option<f64>,
    /// `a=maxptime` (RFC 8866 §6.5).
    pub(crate) most: Option<f64>,
}

/// The receiving half.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    /// `id` of the track it gives.
    pub(crate) track: String,
    pub(crate) streams: Vec<String>,
    pub(crate) jitter_buffer_target: Option<std::time::Duration>,
    /// What the last local description is ready to receive.
    pub(crate) codecs: Vec<RtpCodecParameters>,
    pub(crate) extensions: Vec<RtpHeaderExtensionParameters>,
}

impl Transceiver {
    /// Whether it stands for a section of this kind and may be given one.
    pub(crate) fn is_unassociated(&self) -> bool {
        self.section.is_none() && self.mid.is_none() && !self.stopped && !self.stopping
    }

    /// The direction that the interface shows.
    pub(crate) fn shown_direction(&self) -> TransceiverDirection {
        if self.stopping {
            TransceiverDirection::Stopped
        } else {
            self.direction
        }
    }

    /// Marks it stopped for good: "stop the RTCRtpTransceiver".
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.stopped = true;
        self.direction = TransceiverDirection::Inactive;
        self.current_direction = None;
    }

    /// Whether packets may leave now.
    pub(crate) fn may_send(&self) -> bool {
        !self.stopping
            && self
                .current_direction
                .is_some_and(TransceiverDirection::sends)
    }

    /// An encoding that asks for a codec which was not agreed asks for none (W3C WebRTC §4.4.1.5, step 14).
    pub(crate) fn forget_codecs_not_agreed(&mut self) {
        let Sender {
            codecs, encodings, ..
        } = &mut self.sender;
        for encoding in encodings.iter_mut().filter(|_| !codecs.is_empty()) {
            let agreed = |wanted: &RtpCodec| {
                let mut codecs = codecs.iter();
                codecs.any(|codec| codec.codec.dictionary_match(wanted, true))
            };
            encoding.parameters.codec = encoding.parameters.codec.take().filter(agreed);
        }
    }

    /// Records a direction that was agreed.
    pub(crate) fn agree(&mut self, direction: TransceiverDirection) {
        self.current_direction = Some(direction);
        self.has_sent |= direction.sends();
    }
}
