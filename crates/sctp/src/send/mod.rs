//! The sending half: queues, the window of outstanding chunks, and what decides when they leave.
//!
//! - [`message`]: messages, held once; [`streams`]: their queues and the scheduler;
//! - [`window`]: chunks outstanding, a ring indexed by TSN;
//! - [`sack`]: what an acknowledgement changes; [`recovery`]: loss by time (RACK), tail probes, T3-rtx;
//! - [`congestion`], [`slow_start`], [`pacer`], [`rtt`]: how much, how fast, how long;
//! - [`partial`]: giving messages up (RFC 3758).

pub(crate) mod congestion;
pub(crate) mod message;
pub(crate) mod pacer;
pub(crate) mod partial;
pub(crate) mod recovery;
pub(crate) mod rtt;
pub(crate) mod sack;
mod slow_start;
pub(crate) mod streams;
pub(crate) mod window;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::congestion::Congestion;
use self::message::{MessageKey, Outgoing, Slab};
use self::pacer::Pacer;
use self::recovery::Recovery;
use self::rtt::RoundTrip;
use self::streams::{ResetPhase, Slot, Streams};
use self::window::{Sent, Window};
use crate::config::Config;
use crate::reason::Reliability;
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::data::{Data, FLAG_BEGIN, FLAG_END, FLAG_IMMEDIATE, FLAG_UNORDERED, header_size};
use crate::wire::packet::HEADER_SIZE;
use crate::wire::padded;

/// A fragment smaller than this is not worth a chunk of its own in a packet that has others.
const MIN_FRAGMENT: usize = 128;

/// What the sender tells the association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A stream's queue fell to its threshold.
    BufferedAmountLow(u16),
    /// A message was given up by partial reliability.
    Abandoned(u16),
}

/// The sending half of an association.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) streams: Streams,
    pub(crate) messages: Slab,
    pub(crate) window: Window,
    pub(crate) congestion: Congestion,
    pub(crate) round_trip: RoundTrip,
    pub(crate) recovery: Recovery,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) counters: Counters,
    pacer: Pacer,
    packet_size: usize,
    interleaved: bool,
    partial_reliability: bool,
    /// The window of the last SACK, less what was in flight.
    pub(crate) peer_window: usize,
    /// What the last SACK itself said.
    pub(crate) advertised: u32,
    order: u64,
    /// Advanced.Peer.Ack.Point of RFC 3758 §3.5.
    pub(crate) advanced: Tsn,
    pub(crate) forward_due: bool,
    forward_sent: Time,
    last_sent: Time,
    delayed_ack: Duration,
    tail_probes: bool,
    /// The last look for something to send failed for the pacer alone.
    held_by_pacer: bool,
}

/// What the sender counted.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) chunks_sent: u64,
    pub(crate) chunks_retransmitted: u64,
    pub(crate) payload_sent: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_abandoned: u64,
    pub(crate) timeouts: u64,
    pub(crate) fast_recoveries: u64,
    pub(crate) tail_probes: u64,
    pub(crate) spurious: u64,
}

impl Sender {
    pub(crate) fn new(config: &Config, first: Tsn) -> Self {
        let segment = config.packet_size - HEADER_SIZE;
        Self {
            streams: Streams::new(config.scheduler),
            messages: Slab::default(),
            window: Window::new(first),
            congestion: Congestion::new(config.congestion, segment, first),
            round_trip: RoundTrip::new(config.rto),
            recovery: Recovery::new(first),
            notices: VecDeque::new(),
            counters: Counters::default(),
            pacer: Pacer::new(config.pacing, config.packet_size),
            packet_size: config.packet_size,
            interleaved: false,
            partial_reliability: false,
            peer_window: 0,
            advertised: 0,
            order: 0,
            advanced: first.minus(1),
            forward_due: false,
            forward_sent: Time::ZERO,
            last_sent: Time::ZERO,
            delayed_ack: config.delayed_ack,
            tail_probes: config.tail_probes,
            held_by_pacer: false,
        }
    }

    /// The handshake settled what the peer can do.
    pub(crate) fn begin(&mut self, window: u32, interleaved: bool, partial_reliability: bool) {
        self.peer_window = window as usize;
        self.advertised = window;
        self.interleaved = interleaved;
        self.partial_reliability = partial_reliability;
        self.streams.set_interleaved(interleaved);
        self.window.set_header(header_size(interleaved));
    }

    /// Queues a message; the caller checked sizes.
    pub(crate) fn enqueue(
        &mut self,
        now: Time,
        stream: Slot,
        ppid: u32,
        unordered: bool,
        reliability: Reliability,
        payload: Bytes,
    ) {
        let (expires, max_retransmits) = match reliability {
            Reliability::Reliable => (Time::NEVER, u32::MAX),
            Reliability::MaxRetransmits(n) => (Time::NEVER, u32::from(n)),
            Reliability::MaxPacketLifeTime(d) => (now.plus(d), u32::MAX),
        };
        self.push(Outgoing {
            payload,
            ppid,
            stream,
            unordered,
            control: false,
            expires,
            max_retransmits,
            ..Outgoing::default()
        });
    }

    /// Queues a reliable, ordered message that is not counted as buffered.
    pub(crate) fn enqueue_control(&mut self, stream: Slot, ppid: u32, payload: Bytes) {
        self.push(Outgoing {
            payload,
            ppid,
            stream,
            control: true,
            ..Outgoing::default()
        });
    }

    fn push(&mut self, mut message: Outgoing) {
        let size = if message.control {
            0
        } else {
            message.payload.len()
        };
        let stream = message.stream;
        self.order += 1;
        message.order = self.order;
        let key = self.messages.insert(message);
        self.streams.push(stream, key, size, &self.messages);
    }

    /// Nothing queued and nothing outstanding: a shutdown may go on.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.window.is_empty()
    }

    /// Whether a packet with data may leave now. Cheap: asked on every poll.
    #[inline]
    pub(crate) fn wants_to_send(&mut self, now: Time) -> bool {
        self.held_by_pacer = false;
        if self.recovery.probe_due {
            return true;
        }
        let lost = self.window.lost_count() > 0;
        if !lost && (self.streams.is_empty() || self.window.is_full()) {
            return false;
        }
        let first_retransmission = lost && self.recovery.retransmit_now;
        if !first_retransmission
            && self.window.flight() >= self.congestion.window()
            && self.window.in_flight() > 0
        {
            return false;
        }
        if !lost && !self.peer_has_room() {
            return false;
        }
        self.held_by_pacer = !self.pacer.allows(now);
        !self.held_by_pacer
    }

    /// Rule A of RFC 9260 §6.1: the peer's window, or one chunk in flight to probe it.
    fn peer_has_room(&self) -> bool {
        self.peer_window > 0 || self.window.in_flight() == 0
    }

    /// When [`Sender::wants_to_send`] turns true by waiting.
    pub(crate) fn next_pacing(&self) -> Time {
        if self.held_by_pacer {
            self.pacer.next()
        } else {
            Time::NEVER
        }
    }

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

    /// Tells when a stream's queue crosses its threshold on the way down.
    pub(crate) fn note_buffered(&mut self, slot: Slot, before: usize) {
        let stream = self.streams.get(slot);
        if before > stream.low_threshold && stream.buffered <= stream.low_threshold {
            self.notices.push_back(Notice::BufferedAmountLow(stream.id));
        }
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

    /// Refreshes the pacing rate.
    pub(crate) fn adjust_pacing(&mut self) {
        self.pacer.adjust(
            self.congestion.window(),
            self.congestion.in_slow_start(),
            self.round_trip.smoothed(),
        );
    }

    /// The last TSN assigned: what a stream reset request names (RFC 6525 §5.1.2).
    pub(crate) fn last_assigned(&self) -> Tsn {
        self.window.next().minus(1)
    }

    /// Whether the stream takes messages.
    pub(crate) fn accepts(&self, id: u16) -> bool {
        self.streams
            .find(id)
            .is_none_or(|stream| stream.reset == ResetPhase::Open)
    }

    /// Everything in flight is due again, without a word about congestion: it left with a COOKIE ECHO.
    pub(crate) fn take_back(&mut self) {
        while let Some(tsn) = self.window.oldest() {
            self.window.mark_lost(tsn);
        }
        self.recovery.t3 = Time::NEVER;
        self.recovery.probe_timer = Time::NEVER;
    }

    /// The handshake is over: what left with the COOKIE ECHO is watched from now on.
    pub(crate) fn arm_after_handshake(&mut self, now: Time) {
        if !self.window.is_empty() {
            self.recovery.t3 = now.plus(self.round_trip.rto());
        }
    }

    /// The peer restarted: what was sent completely is forgotten, what was not starts over.
    pub(crate) fn restart(&mut self, config: &Config, first: Tsn) {
        for n in 0..self.window.len() {
            let key = self.window.get(self.window.base().plus(n)).message;
            let message = self.messages.get_mut(key);
            if message.in_window == 0 {
                continue;
            }
            message.in_window = 0;
            if message.complete {
                self.messages.remove(key);
            } else {
                let sent = message.offset as usize;
                message.offset = 0;
                message.fragments = 0;
                let slot = message.stream;
                self.streams.unserve(slot, sent);
            }
        }
        self.window = Window::new(first);
        self.congestion =
            Congestion::new(config.congestion, config.packet_size - HEADER_SIZE, first);
        self.round_trip = RoundTrip::new(config.rto);
        self.recovery = Recovery::new(first);
        self.advanced = first.minus(1);
        self.forward_due = false;
        self.streams.restart();
    }

    /// Frees what the peer acknowledged cumulatively.
    fn release(&mut self, key: MessageKey) {
        let message = self.messages.get_mut(key);
        message.in_window -= 1;
        if message.in_window == 0 && message.complete {
            self.messages.remove(key);
        }
    }
}
