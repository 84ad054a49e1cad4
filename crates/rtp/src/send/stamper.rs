//! What all streams of a transport share, filled in as a packet leaves.

use std::time::Instant;

use crate::ext::{self, AbsSendTime, TransportSequence};
use crate::types::SeqNum;

/// Writes the transport-wide sequence number and the send time into packets as they leave; one for each transport.
///
/// Streams leave room for both; a stream's packets may wait or be repeated, so the values are only known at the end.
#[derive(Clone, Debug, Default)]
pub struct Stamper {
    transport_cc: Option<u8>,
    abs_send_time: Option<u8>,
    next: SeqNum,
    /// Send times count from the first packet: only their differences mean anything.
    base: Option<Instant>,
}

impl Stamper {
    /// Extension identifiers as negotiated for the transport.
    pub fn new(transport_cc: Option<u8>, abs_send_time: Option<u8>) -> Self {
        Self {
            transport_cc,
            abs_send_time,
            ..Self::default()
        }
    }

    /// Fills in the extensions that the packet has; returns the transport-wide sequence number it got.
    pub fn stamp(&mut self, now: Instant, packet: &mut [u8]) -> Option<SeqNum> {
        if let Some(place) = self.abs_send_time.and_then(|id| ext::find(packet, id)) {
            let base = *self.base.get_or_insert(now);
            let time = AbsSendTime::from_duration(now.saturating_duration_since(base));
            fill(packet.get_mut(place), &time.to_bytes());
        }
        let place = self.transport_cc.and_then(|id| ext::find(packet, id))?;
        let seq = self.next;
        fill(packet.get_mut(place), &TransportSequence(seq).to_bytes());
        self.next = seq.next();
        Some(seq)
    }
}

fn fill(place: Option<&mut [u8]>, bytes: &[u8]) {
    if let Some(place) = place.filter(|place| place.len() == bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
