//! What goes into a packet: lost chunks first, then the next fragments, as the windows allow.

use super::Sender;
use super::window::{self, Sent};
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::data::{Data, FLAG_BEGIN, FLAG_END, FLAG_IMMEDIATE, FLAG_UNORDERED, header_size};
use crate::wire::packet::HEADER_SIZE;
use crate::wire::padded;

/// A fragment smaller than this is not worth a chunk of its own in a packet that has others.
const MIN_FRAGMENT: usize = 128;

impl Sender {
    /// Fills the packet at `start` of `buf` with chunks. Returns whether one was written.
    pub(crate) fn write_chunks(&mut self, now: Time, buf: &mut Vec<u8>, start: usize) -> bool {
        let end = start + self.packet_size;
        let before = buf.len();
        self.after_idle(now);
        let probing = std::mem::take(&mut self.recovery.probe_due);
        let mut last_flags = None;
        self.write_lost(now, buf, start, &mut last_flags);
        // Chunks of a packet leave together: the window is asked before the first (RFC 9260 §6.1 B).
        let allowed = self.window.lost_count() == 0
            && (probing
                || self.window.flight() < self.congestion.window()
                || self.window.in_flight() == 0);
        if allowed {
            while self.write_next(now, buf, end, &mut last_flags) {}
        }
        if probing && buf.len() == before {
            self.resend_tail(now, buf, end, &mut last_flags);
        }
        self.streams.end_packet(&self.messages);
        if buf.len() == before {
            return false;
        }
        let flight = self.window.flight();
        self.congestion
            .on_sent(flight, self.window.base(), self.window.next());
        let limited = flight >= self.congestion.window();
        let tail = self.streams.is_empty() && self.window.in_flight() > 1;
        // RFC 9260 §6.1: the I bit when nothing more can be sent until the peer answers.
        if (probing || limited || tail)
            && let Some(flags) = last_flags.and_then(|at: usize| buf.get_mut(at))
        {
            *flags |= FLAG_IMMEDIATE;
        }
        self.pacer.sent(buf.len() - before);
        self.last_sent = now;
        self.recovery.retransmit_now = false;
        self.arm_after_sending(now, probing);
        true
    }

    /// RFC 9260 §7.2.1: the window shrinks where it was not used for an RTO.
    fn after_idle(&mut self, now: Time) {
        if self.window.in_flight() > 0 || self.window.lost_count() > 0 {
            return;
        }
        let idle = now.since(self.last_sent);
        if self.last_sent != Time::ZERO && idle > self.round_trip.rto() {
            self.congestion.on_idle();
        }
    }

    fn write_lost(
        &mut self,
        now: Time,
        buf: &mut Vec<u8>,
        start: usize,
        last_flags: &mut Option<usize>,
    ) {
        let end = start + self.packet_size;
        let before = buf.len();
        while let Some(tsn) = self.window.next_lost() {
            let chunk = *self.window.get(tsn);
            let message = self.messages.get(chunk.message);
            if message.abandoned {
                // It had arrived when its message was given up, and the peer has let go of it since.
                self.window.abandon(tsn);
                continue;
            }
            if message.expires <= now && self.partial_reliability {
                self.abandon(chunk.message);
                continue;
            }
            let size = header_size(self.interleaved) + padded(usize::from(chunk.length));
            let fits = buf.len() + size <= end || buf.len() == start + HEADER_SIZE;
            let permitted = buf.len() > before
                || self.recovery.retransmit_now
                || self.window.in_flight() == 0
                || self.window.flight() < self.congestion.window();
            if !fits || !permitted {
                break;
            }
            *last_flags = Some(buf.len() + 1);
            self.write_chunk(tsn, &chunk, buf);
            self.window.resend(tsn, now.0);
            self.counters.chunks_retransmitted += 1;
            self.peer_window = self.peer_window.saturating_sub(usize::from(chunk.length));
        }
    }

    fn write_chunk(&self, tsn: Tsn, chunk: &Sent, buf: &mut Vec<u8>) {
        let message = self.messages.get(chunk.message);
        let from = chunk.offset as usize;
        let data = message
            .payload
            .get(from..from + usize::from(chunk.length))
            .unwrap_or(&[]);
        Data {
            interleaved: self.interleaved,
            flags: chunk.flags,
            tsn,
            stream: self.streams.get(message.stream).id,
            message: message.number,
            ppid: message.ppid,
            fsn: chunk.fsn,
            payload: 0..0,
        }
        .write(buf, data);
    }

    /// Puts the next fragment into the packet; `false` when there is none or no room.
    #[inline]
    fn write_next(
        &mut self,
        now: Time,
        buf: &mut Vec<u8>,
        end: usize,
        last_flags: &mut Option<usize>,
    ) -> bool {
        if self.window.is_full() {
            return false;
        }
        let Some((slot, key)) = self.streams.peek() else {
            return false;
        };
        let header = header_size(self.interleaved);
        let message = self.messages.get(key);
        if message.expires <= now && self.partial_reliability {
            self.give_up_queued(key);
            return true;
        }
        let remaining = message.payload.len() - message.offset as usize;
        let room = end.saturating_sub(buf.len() + header);
        let whole_packet = (self.packet_size - HEADER_SIZE - header) & !3;
        let length = if padded(remaining) <= room {
            remaining
        } else {
            // A message that fits a packet of its own is not cut, nor is a stub cut off a longer one.
            let room = room & !3;
            if room < MIN_FRAGMENT || (message.offset == 0 && remaining <= whole_packet) {
                return false;
            }
            room
        };
        if length > self.peer_window && self.window.in_flight() > 0 {
            return false;
        }
        let tsn = self.window.next();
        if message.offset == 0 {
            let unordered = message.unordered;
            let number = self.streams.assign_number(slot, unordered);
            let message = self.messages.get_mut(key);
            message.number = number;
            message.first = tsn;
        }
        let message = self.messages.get_mut(key);
        let last = length == remaining;
        let mut flags = 0;
        if message.offset == 0 {
            flags |= FLAG_BEGIN;
        }
        if last {
            flags |= FLAG_END;
        }
        if message.unordered {
            flags |= FLAG_UNORDERED;
        }
        let chunk = Sent::new(key, message.offset, message.fragments, length as u16, flags);
        message.offset += length as u32;
        message.fragments += 1;
        message.in_window += 1;
        message.last = tsn;
        message.complete = last;
        *last_flags = Some(buf.len() + 1);
        self.write_chunk(tsn, &chunk, buf);
        self.window.push(chunk, now.0);
        self.peer_window = self.peer_window.saturating_sub(length);
        self.counters.chunks_sent += 1;
        self.counters.payload_sent += length as u64;
        self.counters.messages_sent += u64::from(last);
        let before = self.streams.get(slot).buffered;
        let counted = if self.messages.get(key).control {
            0
        } else {
            length
        };
        self.streams.served(slot, counted, last, &self.messages);
        self.note_buffered(slot, before);
        true
    }

    /// Retransmits the newest chunks in flight: the tail probe where no new data waits (RFC 8985 §7.3).
    fn resend_tail(
        &mut self,
        now: Time,
        buf: &mut Vec<u8>,
        end: usize,
        last_flags: &mut Option<usize>,
    ) {
        let mut tsn = self.window.next();
        while tsn.after(self.window.base()) {
            tsn = tsn.minus(1);
            let chunk = *self.window.get(tsn);
            if chunk.fate != window::Fate::InFlight {
                continue;
            }
            if buf.len() + header_size(self.interleaved) + usize::from(chunk.length) > end {
                return;
            }
            *last_flags = Some(buf.len() + 1);
            self.write_chunk(tsn, &chunk, buf);
            self.window.resend_in_flight(tsn, now.0);
            self.counters.chunks_retransmitted += 1;
            self.recovery.probe_retransmitted = true;
            return;
        }
    }
}
