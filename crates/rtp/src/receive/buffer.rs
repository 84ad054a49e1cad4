//! Packets by sequence number, from the next to deliver on.

use std::time::Instant;

use bytes::Bytes;

use crate::ext::{AudioLevel, VideoOrientation};
use crate::payload::{Fragment, PayloadFormat};

/// A packet that waits.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) seq: u64,
    /// Unwrapped, and as on the wire.
    pub(super) timestamp: i64,
    pub(super) wire_timestamp: u32,
    pub(super) arrival: Instant,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) format: PayloadFormat,
    pub(super) fragment: Fragment,
    /// Empty for a packet of padding alone, which only fills its number.
    pub(super) payload: Bytes,
    pub(super) audio_level: Option<AudioLevel>,
    pub(super) orientation: Option<VideoOrientation>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Kept,
    /// Its turn is over.
    Late,
    Duplicate,
}

/// A ring of packets. It spans from `head`, the next to deliver, to the newest received.
#[derive(Debug)]
pub(super) struct Buffer {
    ring: Box<[Option<Slot>]>,
    head: Option<u64>,
    /// One past the newest.
    end: u64,
    /// Whether something was delivered: until then the head may still move back.
    started: bool,
    /// Packets thrown out to make room.
    pub(super) thrown_out: u64,
}

impl Buffer {
    pub(super) fn new(packets: usize) -> Self {
        let len = packets.clamp(16, 1 << 14).next_power_of_two();
        Self {
            ring: (0..len).map(|_| None).collect(),
            head: None,
            end: 0,
            started: false,
            thrown_out: 0,
        }
    }

    pub(super) fn head(&self) -> Option<u64> {
        self.head
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn index(&self, seq: u64) -> usize {
        (seq as usize) & (self.ring.len() - 1)
    }

    pub(super) fn get(&self, seq: u64) -> Option<&Slot> {
        self.ring
            .get(self.index(seq))?
            .as_ref()
            .filter(|slot| slot.seq == seq)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.ring.fill_with(|| None);
        self.head = None;
        self.started = false;
    }

    pub(super) fn insert(&mut self, slot: Slot) -> Stored {
        let seq = slot.seq;
        let span = self.ring.len() as u64;
        let head = *self.head.get_or_insert(seq);
        if seq < head {
            if self.started || self.end - seq > span {
                return Stored::Late;
            }
            self.head = Some(seq);
        } else if seq - head >= span {
            // No room: the oldest make way, all of them when the packet lies far ahead.
            let head = seq + 1 - span;
            self.thrown_out += self.drop_before(head).0;
        }
        if self.get(seq).is_some() {
            return Stored::Duplicate;
        }
        self.end = self.end.max(seq + 1);
        let index = self.index(seq);
        if let Some(place) = self.ring.get_mut(index) {
            *place = Some(slot);
        }
        Stored::Kept
    }

    /// Moves the head to `seq`; returns how many packets that drops and how many numbers had none.
    pub(super) fn drop_before(&mut self, seq: u64) -> (u64, u64) {
        let Some(head) = self.head.filter(|head| *head < seq) else {
            return (0, 0);
        };
        let mut dropped = 0;
        for at in head..seq.min(self.end.max(head)) {
            dropped += u64::from(self.take(at).is_some());
        }
        self.head = Some(seq);
        self.end = self.end.max(seq);
        self.started = true;
        (dropped, seq - head - dropped)
    }

    /// The first packet present from `seq` on.
    pub(super) fn first_from(&self, seq: u64) -> Option<&Slot> {
        (seq..self.end).find_map(|seq| self.get(seq))
    }

    pub(super) fn take(&mut self, seq: u64) -> Option<Slot> {
        let index = self.index(seq);
        self.ring.get_mut(index)?.take_if(|slot| slot.seq == seq)
    }
}
