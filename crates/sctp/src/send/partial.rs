//! Giving messages up (RFC 3758 §3.5, RFC 8260 §2.3.1).

use super::message::MessageKey;
use super::window::{Fate, Sent};
use super::{Notice, Sender};
use crate::serial::{Mid, Ssn, Tsn};
use crate::time::Time;
use crate::wire::data::{FLAG_END, FLAG_UNORDERED};
use crate::wire::forward::{self, Skipped};

impl Sender {
    pub(super) fn partial_reliability_in_use(&self) -> bool {
        self.partial_reliability
    }

    /// Drops a message of which nothing left yet, or the rest of one of which some did.
    pub(super) fn give_up_queued(&mut self, key: MessageKey) {
        let message = self.messages.get(key);
        if message.offset > 0 {
            self.abandon(key);
            return;
        }
        let (slot, size) = (message.stream, message.payload.len());
        let before = self.streams.get(slot).buffered;
        self.streams.dropped(slot, size, &self.messages);
        self.messages.remove(key);
        self.note_buffered(slot, before);
        self.counters.messages_abandoned += 1;
        let id = self.streams.get(slot).id;
        self.notices.push_back(Notice::Abandoned(id));
    }

    /// A3 of §3.5: all chunks of the message, sent or not, are given up together.
    pub(super) fn abandon(&mut self, key: MessageKey) {
        let message = self.messages.get_mut(key);
        if message.abandoned {
            return;
        }
        message.abandoned = true;
        self.counters.messages_abandoned += 1;
        let message = self.messages.get(key);
        let (slot, first, last) = (message.stream, message.first, message.last);
        if !message.complete {
            // The peer learns of the message's end by a TSN that is skipped, never sent: were all sent chunks
            // acknowledged already, there would be none to skip.
            let rest = message.payload.len() - message.offset as usize;
            let mut flags = FLAG_END;
            if message.unordered {
                flags |= FLAG_UNORDERED;
            }
            let end = Sent::new(key, message.offset, message.fragments, 0, flags);
            let tsn = self.window.push_abandoned(end);
            let message = self.messages.get_mut(key);
            message.in_window += 1;
            message.complete = true;
            message.last = tsn;
            let before = self.streams.get(slot).buffered;
            self.streams.cancel(slot, key, rest, &self.messages);
            self.note_buffered(slot, before);
        }
        let mut tsn = if first.before(self.window.base()) {
            self.window.base()
        } else {
            first
        };
        while !tsn.after(last) {
            if self.window.get(tsn).message == key {
                self.window.abandon(tsn);
            }
            tsn = tsn.next();
        }
        let id = self.streams.get(slot).id;
        self.notices.push_back(Notice::Abandoned(id));
        self.advance();
    }

    /// C1 and C2 of §3.5: over everything abandoned or known to have arrived.
    fn advance(&mut self) {
        let base = self.window.base();
        if self.advanced.before(base.minus(1)) {
            self.advanced = base.minus(1);
        }
        let mut abandoned_to = self.advanced;
        let mut at = self.advanced.next();
        while at.before(self.window.next()) {
            match self.window.get(at).fate {
                Fate::Abandoned => abandoned_to = at,
                Fate::Acked => {}
                Fate::InFlight | Fate::Lost => break,
            }
            at = at.next();
        }
        if abandoned_to != self.advanced {
            self.advanced = abandoned_to;
            self.forward_due = true;
        }
    }

    /// C3: after a SACK that did not cover what is to be skipped, tell again, once a round trip.
    pub(super) fn advance_peer_ack_point(&mut self, now: Time, cumulative: Tsn) {
        if !self.partial_reliability {
            return;
        }
        self.advance();
        if !self.advanced.after(cumulative) {
            self.forward_due = false;
            return;
        }
        let round_trip = self.round_trip.smoothed().unwrap_or_default();
        if now.since(self.forward_sent) >= round_trip {
            self.forward_due = true;
        }
    }

    /// F of §3.5: T3-rtx expired while skipped TSNs are unacknowledged.
    pub(super) fn forward_after_timeout(&mut self) {
        if self.partial_reliability {
            self.advance();
            if !self.advanced.before(self.window.base()) {
                self.forward_due = true;
            }
        }
    }

    /// Appends a FORWARD-TSN or I-FORWARD-TSN chunk of at most `room` bytes.
    pub(crate) fn write_forward(&mut self, now: Time, buf: &mut Vec<u8>, room: usize) {
        self.forward_due = false;
        self.forward_sent = now;
        let size = if self.interleaved { 8 } else { 4 };
        let most = room.saturating_sub(8) / size;
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut cumulative = self.window.base().minus(1);
        while cumulative != self.advanced {
            let tsn = cumulative.next();
            let chunk = self.window.get(tsn);
            if chunk.fate == Fate::Abandoned
                && !self.note_skipped(chunk.message, &mut skipped, most)
            {
                break;
            }
            cumulative = tsn;
        }
        forward::write(buf, self.interleaved, cumulative, &skipped);
        if !self.recovery.t3.is_set() {
            self.recovery.t3 = now.plus(self.round_trip.rto());
        }
    }

    /// Adds a message to the list, one entry a stream with the latest message; `false` when there is no room.
    fn note_skipped(&self, key: MessageKey, skipped: &mut Vec<Skipped>, most: usize) -> bool {
        let message = self.messages.get(key);
        if message.unordered && !self.interleaved {
            return true;
        }
        let stream = self.streams.get(message.stream).id;
        let known = skipped
            .iter()
            .position(|s| s.stream == stream && s.unordered == message.unordered);
        if let Some(at) = known {
            let later = if self.interleaved {
                Mid(message.number).after(Mid(skipped[at].message))
            } else {
                Ssn(message.number as u16).after(Ssn(skipped[at].message as u16))
            };
            if later {
                skipped[at].message = message.number;
            }
            return true;
        }
        if skipped.len() >= most {
            return false;
        }
        skipped.push(Skipped {
            stream,
            unordered: message.unordered,
            message: message.number,
        });
        true
    }
}
