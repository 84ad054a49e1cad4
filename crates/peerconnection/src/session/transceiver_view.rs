//! What can be seen of a transceiver.

use super::transceiver::{PacketTime, Transceiver, TransceiverId};
use crate::rtp_parameters::{RtpCodecParameters, RtpEncodingParameters};
use crate::states::TransceiverDirection;
use media::MediaKind;

/// A transceiver as it is now.
#[derive(Debug, Clone, Copy)]
pub struct TransceiverView<'a>(pub(super) &'a Transceiver);

impl<'a> TransceiverView<'a> {
    /// Its name.
    pub fn id(&self) -> TransceiverId {
        self.0.id
    }

    /// Audio or video.
    pub fn kind(&self) -> MediaKind {
        self.0.kind
    }

    /// `mid`: its section's, once described.
    pub fn mid(&self) -> Option<&'a str> {
        self.0.mid.as_deref()
    }

    /// `direction`: what this side wants.
    pub fn direction(&self) -> TransceiverDirection {
        self.0.shown_direction()
    }

    /// `currentDirection`: what was agreed.
    pub fn current_direction(&self) -> Option<TransceiverDirection> {
        if self.0.stopped {
            Some(TransceiverDirection::Stopped)
        } else {
            self.0.current_direction
        }
    }

    /// The id of the track that is sent.
    pub fn sender_track(&self) -> Option<&'a str> {
        self.0.sender.track.as_deref()
    }

    /// The id of the track that is received.
    pub fn receiver_track(&self) -> &'a str {
        &self.0.receiver.track
    }

    /// The codecs that this side may send, the preferred one first; helpers such as `rtx` included.
    pub fn send_codecs(&self) -> &'a [RtpCodecParameters] {
        &self.0.sender.codecs
    }

    /// The codecs that this side is ready to receive.
    pub fn receive_codecs(&self) -> &'a [RtpCodecParameters] {
        &self.0.receiver.codecs
    }

    /// The encodings of the sender.
    pub fn encodings(&self) -> impl Iterator<Item = &'a RtpEncodingParameters> {
        self.0
            .sender
            .encodings
            .iter()
            .map(|encoding| &encoding.parameters)
    }

    /// The packets that the peer asks for.
    pub(crate) fn packet_time(&self) -> PacketTime {
        self.0.sender.packet_time
    }

    /// Whether media may be sent now.
    pub fn may_send(&self) -> bool {
        self.0.may_send() && !self.0.sender.codecs.is_empty()
    }
}
