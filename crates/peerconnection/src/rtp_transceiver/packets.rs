//! RTP packets as they come and go, for applications that forward them.

use super::{RtpReceiver, RtpSender, TransceiverShared};
use crate::error::Error;
use bytes::Bytes;
use rtp::SeqNum;
use rtp::send::OutgoingPacket;
use std::sync::PoisonError;
use tokio::sync::mpsc;

/// Packets that may wait for an application: two seconds of 2 Mbit/s.
const QUEUE: usize = 512;

/// An RTP packet (RFC 3550 §5.1) without what belongs to one connection only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket {
    /// Counts up by one a packet, and wraps.
    pub sequence_number: u16,
    /// In ticks of the codec's clock.
    pub timestamp: u32,
    /// The last packet of a picture; the first of a talk spurt.
    pub marker: bool,
    /// As the connection it came over numbers its formats.
    pub payload_type: u8,
    /// A slice of the datagram it came in.
    pub payload: Bytes,
}

/// Packets of one receiver.
#[derive(Debug)]
pub struct RtpPackets(mpsc::Receiver<RtpPacket>);

impl RtpPackets {
    /// The next packet; `None` when the transceiver is stopped.
    pub async fn next(&mut self) -> Option<RtpPacket> {
        self.0.recv().await
    }
}

impl RtpReceiver {
    /// Takes RTP packets as they come, instead of having them put together and decoded. What is lost is asked for, and
    /// comes late.
    pub fn packets(&self) -> RtpPackets {
        let (sender, receiver) = mpsc::channel(QUEUE);
        *(self.shared.packets.lock()).unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.shared
            .command(|session, _| session.deliver_packets(self.shared.id));
        RtpPackets(receiver)
    }
}

impl RtpSender {
    /// Sends a packet that was received elsewhere, in the codec that comes first in [`RtpSender::codecs`]; the sender
    /// should have no track. It leaves with this connection's SSRC, payload type and header extensions, and
    /// is repaired for its receiver. Gaps in the sequence numbers are kept. False when the connection does not let it out
    /// now.
    ///
    /// # Errors
    /// `InvalidStateError` when the connection is closed.
    pub fn send_packet(&self, packet: &RtpPacket) -> Result<bool, Error> {
        let packet = OutgoingPacket {
            payload: packet.payload.clone(),
            sequence_number: Some(SeqNum(packet.sequence_number)),
            timestamp: packet.timestamp,
            marker: packet.marker,
            ..OutgoingPacket::default()
        };
        self.shared
            .connection()?
            .command(|session, now| session.write_packet(now, self.shared.id, packet))
    }
}

impl TransceiverShared {
    /// Hands a received packet to the application.
    pub(crate) fn handle_packet(&self, packet: &Bytes) {
        let Ok(view) = rtp::Packet::parse(packet) else {
            return;
        };
        let packet = RtpPacket {
            sequence_number: view.sequence_number().0,
            timestamp: view.timestamp(),
            marker: view.marker(),
            payload_type: view.payload_type(),
            payload: packet.slice_ref(view.payload()),
        };
        let packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(packets) = &*packets
            && packets.try_send(packet).is_err()
        {
            tracing::debug!("a packet was not fetched in time");
        }
    }

    /// No packet comes any more.
    pub(super) fn end_packets(&self) {
        *self.packets.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
