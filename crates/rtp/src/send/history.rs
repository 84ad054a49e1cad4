//! The packets sent lately, for the receiver to ask for again (RFC 4585 §6.2.1, RFC 4588).

use std::time::{Duration, Instant};

use super::queue::Queued;
use crate::types::SeqNum;

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) seq: SeqNum,
    pub(super) packet: Queued,
    sent: Instant,
    /// When it was last repeated, or asked to be.
    repeated: Option<Instant>,
}

/// A ring indexed by sequence number.
#[derive(Debug)]
pub(super) struct History {
    ring: Box<[Option<Sent>]>,
    keep: Duration,
}

impl History {
    pub(super) fn new(packets: usize, keep: Duration) -> Self {
        let len = match packets {
            0 => 0,
            // More than half of the sequence space could not be told apart.
            packets => packets.min(1 << 15).next_power_of_two(),
        };
        Self {
            ring: (0..len).map(|_| None).collect(),
            keep,
        }
    }

    fn slot(&mut self, seq: SeqNum) -> Option<&mut Option<Sent>> {
        let mask = self.ring.len().checked_sub(1)?;
        self.ring.get_mut(usize::from(seq.0) & mask)
    }

    pub(super) fn insert(&mut self, now: Instant, seq: SeqNum, packet: Queued) {
        if let Some(slot) = self.slot(seq) {
            *slot = Some(Sent {
                seq,
                packet,
                sent: now,
                repeated: None,
            });
        }
    }

    pub(super) fn get(&mut self, seq: SeqNum) -> Option<&Sent> {
        self.slot(seq)?.as_ref().filter(|sent| sent.seq == seq)
    }

    /// Whether to repeat a packet now: it is there, not too old, and was not repeated within `interval`.
    pub(super) fn claim(&mut self, now: Instant, seq: SeqNum, interval: Duration) -> bool {
        let keep = self.keep;
        let Some(sent) = self
            .slot(seq)
            .and_then(Option::as_mut)
            .filter(|sent| sent.seq == seq)
        else {
            return false;
        };
        let fresh = now.saturating_duration_since(sent.sent) <= keep;
        let repeated = sent
            .repeated
            .is_some_and(|repeated| now.saturating_duration_since(repeated) < interval);
        if fresh && !repeated {
            sent.repeated = Some(now);
        }
        fresh && !repeated
    }
}
