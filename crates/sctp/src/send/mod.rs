//! The sending half: queues, the window of outstanding chunks, and what decides when they leave.
//!
//! - [`message`]: messages, held once; [`streams`]: their queues and the scheduler;
//! - [`window`]: chunks outstanding, a ring indexed by TSN;
//! - [`write`]: what goes into a packet; [`sack`]: what an acknowledgement changes; [`recovery`]: loss by time (RACK), tail probes, T3-rtx;
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
mod write;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::congestion::Congestion;
use self::message::{MessageKey, Outgoing, Slab};
use self::pacer::Pacer;
use self::recovery::Recovery;
use self::rtt::RoundTrip;
use self::streams::{ResetPhase, Slot, Streams};
use self::window::Window;
use crate::config::Config;
use crate::reason::Reliability;
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::data::header_size;
use crate::wire::packet::HEADER_SIZE;

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

    /// Tells when a stream's queue crosses its threshold on the way down.
    pub(crate) fn note_buffered(&mut self, slot: Slot, before: usize) {
        let stream = self.streams.get(slot);
        if before > stream.low_threshold && stream.buffered <= stream.low_threshold {
            self.notices.push_back(Notice::BufferedAmountLow(stream.id));
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
