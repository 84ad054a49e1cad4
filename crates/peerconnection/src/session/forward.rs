//! RTP packets as they are, for who forwards them: in without depacketising, out under this side's own SSRC, payload
//! type, header extensions and repair.

use super::media::MediaEngine;
use super::{Session, TransceiverId};
use crate::error::Error;
use bytes::Bytes;
use rtp::Ssrc;
use rtp::receive::Delivery;
use rtp::send::OutgoingPacket;
use std::time::Instant;

/// Packets that may wait to be fetched, over all transceivers.
const MOST_PACKETS: usize = 4096;

impl Session {
    /// From now on [`Session::poll_packet`] gives what this transceiver receives, and [`Session::poll_frame`] no more.
    pub fn deliver_packets(&mut self, id: TransceiverId) {
        self.media.deliver_packets(id);
    }

    /// The next received RTP packet, decrypted and whole, with the transceiver it belongs to. Packets come in the
    /// order of their arrival; lost ones were asked for and come later.
    pub fn poll_packet(&mut self) -> Option<(TransceiverId, Bytes)> {
        self.media.packets.pop_front()
    }

    /// Sends an RTP payload that was made elsewhere. False when the connection does not let it out now.
    ///
    /// # Errors
    /// `InvalidAccessError` when there is no such transceiver.
    pub fn write_packet(
        &mut self,
        now: Instant,
        id: TransceiverId,
        packet: OutgoingPacket,
    ) -> Result<bool, Error> {
        let Some(encoding) = self
            .jsep
            .transceiver(id)
            .and_then(|transceiver| transceiver.sender.encodings.first())
        else {
            return Err(Error::InvalidAccess("there is no such transceiver".into()));
        };
        let (ssrc, active) = (Ssrc(encoding.ssrc), encoding.parameters.active);
        let Some((transport, stream)) = self.media.outgoing_stream(ssrc) else {
            return Ok(false);
        };
        let ready = self
            .transports
            .iter()
            .any(|known| known.number == transport && known.has_srtp());
        if active && ready {
            stream.write_packet(now, packet);
        }
        Ok(active && ready)
    }
}

impl MediaEngine {
    fn deliver_packets(&mut self, id: TransceiverId) {
        if !self.delivers_packets(id) {
            self.packet_receivers.push(id);
            // A stream that puts frames together already begins anew.
            self.forget_incoming(id);
        }
    }

    /// Whether this transceiver's packets are wanted as they are.
    pub(super) fn delivers_packets(&self, id: TransceiverId) -> bool {
        self.packet_receivers.contains(&id)
    }

    /// How a stream of this transceiver is delivered.
    pub(super) fn delivery(&self, id: TransceiverId) -> Delivery {
        match self.delivers_packets(id) {
            true => Delivery::Packets,
            false => Delivery::Frames,
        }
    }

    /// Keeps a packet until it is fetched; the oldest go when nobody does.
    pub(super) fn push_packet(&mut self, id: TransceiverId, packet: Bytes) {
        if self.packets.len() >= MOST_PACKETS {
            self.packets.pop_front();
            self.dropped_frames += 1;
        }
        self.packets.push_back((id, packet));
    }
}
