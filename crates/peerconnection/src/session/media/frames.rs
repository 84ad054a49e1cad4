//! Encoded frames in and out.

use super::{IncomingFrame, OutgoingFrame};
use crate::error::Error;
use crate::session::Session;
use crate::session::transceiver::{Encoding, TransceiverId};
use rtp::Ssrc;
use std::time::Instant;

impl Session {
    /// Sends an encoded frame on a transceiver; `rid` names the encoding when there are several.
    ///
    /// Frames are dropped, and false returned, while the direction or the connection does not let them out.
    ///
    /// # Errors
    /// `InvalidAccessError` for a transceiver or an encoding that does not exist.
    pub fn write_frame(
        &mut self,
        now: Instant,
        id: TransceiverId,
        rid: Option<&str>,
        frame: &OutgoingFrame,
    ) -> Result<bool, Error> {
        let Some(transceiver) = self.jsep.transceiver(id) else {
            return Err(Error::InvalidAccess("there is no such transceiver".into()));
        };
        let known =
            |encoding: &Encoding| rid.is_none() || encoding.parameters.rid.as_deref() == rid;
        let Some(encoding) = transceiver
            .sender
            .encodings
            .iter()
            .find(|encoding| known(encoding))
        else {
            return Err(Error::InvalidAccess("there is no such encoding".into()));
        };
        let (ssrc, active) = (Ssrc(encoding.ssrc), encoding.parameters.active);
        let tone = !self.tones.is_empty() && self.tone_plays(id);
        let Some(outgoing) = self
            .media
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.stream.ssrc() == ssrc)
        else {
            return Ok(false);
        };
        outgoing.last_frame = Some((now, frame.timestamp));
        if tone {
            // A tone stands in for the sound (RFC 4733 §2.6.2).
            return Ok(true);
        }
        let ready = self
            .transports
            .iter()
            .any(|transport| transport.number == outgoing.transport && transport.has_srtp());
        if active && ready {
            outgoing.stream.write_frame(now, frame);
        }
        Ok(active && ready)
    }

    /// The next received frame that is due, with the transceiver it belongs to.
    pub fn poll_frame(&mut self) -> Option<(TransceiverId, IncomingFrame)> {
        self.media.frames.pop_front()
    }

    /// Asks the peer for a keyframe (RFC 4585 §6.3.1).
    pub fn request_keyframe(&mut self, now: Instant, id: TransceiverId) {
        for incoming in self
            .media
            .incoming
            .iter_mut()
            .filter(|incoming| incoming.transceiver == id)
        {
            incoming.stream.request_keyframe(now);
            self.media.feedback_due = true;
        }
    }

    /// Whether frames written to this transceiver now reach the network.
    pub fn can_send(&self, id: TransceiverId) -> bool {
        self.media.outgoing.iter().any(|outgoing| {
            outgoing.transceiver == id
                && self
                    .transports
                    .iter()
                    .any(|transport| transport.number == outgoing.transport && transport.has_srtp())
        })
    }
}
