//! The receiving half: TSNs, reassembly, the order of streams, the window, when to acknowledge.

pub(crate) mod reassembly;
pub(crate) mod tsns;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::reassembly::{Fragment, Outcome, Reassembly, Whole};
use self::tsns::{Arrival, Tsns};
use crate::hash::NumberMap;
use crate::serial::{Mid, Ssn, Tsn};
use crate::time::Time;
use crate::wire::data::{Data, FLAG_BEGIN, FLAG_END, FLAG_IMMEDIATE, FLAG_UNORDERED};
use crate::wire::forward::ForwardTsn;
use crate::wire::sack;

/// Counted for each message that waits, over its bytes: a flood of tiny messages fills the window too.
const OVERHEAD: usize = 64;

/// A message, in the order its stream gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The stream it came on.
    pub stream: u16,
    /// What the peer says it is.
    pub ppid: u32,
    /// Whether it kept no order.
    pub unordered: bool,
    /// Its content.
    pub payload: Bytes,
}

impl Received {
    /// What it takes of the receive window until it is read.
    pub(crate) fn cost(&self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

/// What became of a DATA chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Kept, or known.
    Yes,
    /// There is no room.
    NoRoom,
    /// The peer breaks the rules.
    Violation(&'static str),
}

/// An incoming stream.
#[derive(Debug, Default)]
struct InStream {
    next: u32,
    /// Complete messages that wait for earlier ones, by number.
    waiting: VecDeque<Whole>,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) tsns: Tsns,
    /// The cumulative point with the wraps counted, for positions in the reassembly.
    unwrapped: u64,
    interleaved: bool,
    reassembly: Reassembly,
    streams: NumberMap<u16, InStream>,
    ready: VecDeque<Received>,
    /// Bytes in `waiting`, `ready` and with the layer above, overheads included.
    held: usize,
    window: usize,
    max_message: usize,
    packet_size: usize,
    last_advertised: usize,
    delayed_ack: Duration,
    packets_unacknowledged: u8,
    data_in_packet: bool,
    immediate: bool,
    pub(crate) sack_due: bool,
    pub(crate) sack_timer: Time,
    pub(crate) dropped_no_room: u64,
    pub(crate) messages: u64,
    pub(crate) payload_bytes: u64,
}

impl Receiver {
    pub(crate) fn new(config: &crate::Config, first: Tsn, interleaved: bool) -> Self {
        let window = effective_window(config);
        Self {
            tsns: Tsns::new(first),
            unwrapped: (1 << 32) + u64::from(first.minus(1).0),
            interleaved,
            reassembly: Reassembly::default(),
            streams: NumberMap::default(),
            ready: VecDeque::new(),
            held: 0,
            window,
            max_message: config.max_message_size,
            packet_size: config.packet_size,
            last_advertised: window,
            delayed_ack: config.delayed_ack,
            packets_unacknowledged: 0,
            data_in_packet: false,
            immediate: false,
            sack_due: false,
            sack_timer: Time::NEVER,
            dropped_no_room: 0,
            messages: 0,
            payload_bytes: 0,
        }
    }

    fn used(&self) -> usize {
        self.held + self.reassembly.bytes()
    }

    /// What the peer may still send.
    pub(crate) fn free_window(&self) -> usize {
        self.window.saturating_sub(self.used())
    }

    /// Takes a DATA or I-DATA chunk of `packet`.
    #[inline]
    pub(crate) fn handle_data(&mut self, packet: &Bytes, data: Data) -> Taken {
        self.data_in_packet = true;
        if data.flags & FLAG_IMMEDIATE != 0 {
            self.immediate = true;
        }
        if data.interleaved != self.interleaved {
            return Taken::Violation("DATA and I-DATA mixed");
        }
        match self.tsns.look(data.tsn) {
            Arrival::New => {}
            Arrival::Duplicate => {
                self.tsns.note_duplicate(data.tsn);
                // RFC 9260 §6.2: a packet of duplicates is acknowledged at once.
                self.immediate = true;
                return Taken::Yes;
            }
            Arrival::OutOfReach => {
                self.dropped_no_room += 1;
                return Taken::NoRoom;
            }
        }
        let length = data.payload.len();
        if !self.has_room(data.tsn, length) {
            self.dropped_no_room += 1;
            self.immediate = true;
            return Taken::NoRoom;
        }
        let had_gaps = self.tsns.has_gaps();
        let before = self.tsns.cumulative();
        let position = self.position(data.tsn);
        self.tsns.take(data.tsn);
        self.unwrapped += u64::from(self.tsns.cumulative().since(before));
        // A new hole, or a hole filled (RFC 9260 §6.7).
        if had_gaps || self.tsns.has_gaps() {
            self.immediate = true;
        }
        self.payload_bytes += length as u64;
        let unordered = data.flags & FLAG_UNORDERED != 0;
        const WHOLE: u8 = FLAG_BEGIN | FLAG_END;
        if data.flags & WHOLE == WHOLE {
            let whole = Whole {
                stream: data.stream,
                unordered,
                number: data.message,
                ppid: data.ppid,
                payload: packet.slice(data.payload),
            };
            self.complete(whole);
            return Taken::Yes;
        }
        let fragment = Fragment {
            space: if self.interleaved {
                1 << 63
                    | u64::from(data.stream) << 33
                    | u64::from(unordered) << 32
                    | u64::from(data.message)
            } else {
                0
            },
            position: if self.interleaved {
                u64::from(data.fsn)
            } else {
                position
            },
            begins: data.flags & FLAG_BEGIN != 0,
            ends: data.flags & FLAG_END != 0,
            stream: data.stream,
            unordered,
            number: data.message,
            ppid: data.ppid,
        };
        let bytes = packet.get(data.payload).unwrap_or(&[]);
        match self.reassembly.insert(&fragment, bytes) {
            Outcome::Complete(whole) => self.complete(whole),
            Outcome::Contradiction => return Taken::Violation("fragments contradict each other"),
            Outcome::Stored => {
                if self.reassembly.bytes() > self.max_message
                    && self.reassembly.largest(fragment.space, fragment.position) > self.max_message
                {
                    return Taken::Violation("message larger than max-message-size");
                }
            }
        }
        Taken::Yes
    }

    /// New data stops at the window; what fills a hole, and what comes next in order, may overrun it a little, as
    /// nothing could be delivered without it.
    fn has_room(&self, tsn: Tsn, length: usize) -> bool {
        let used = self.used() + length;
        if used <= self.window {
            return true;
        }
        let limit = if tsn == self.tsns.cumulative().next() && self.held == 0 {
            self.window * 2
        } else if tsn.before(self.tsns.highest()) {
            self.window + self.window / 4
        } else {
            self.window
        };
        used <= limit
    }

    /// A TSN as a position that does not wrap.
    fn position(&self, tsn: Tsn) -> u64 {
        self.unwrapped + u64::from(tsn.since(self.tsns.cumulative()))
    }

    /// A message is complete: in order it goes up, else it waits.
    #[inline]
    fn complete(&mut self, whole: Whole) {
        self.held += whole.payload.len() + OVERHEAD;
        if whole.unordered {
            self.deliver(whole);
            return;
        }
        let interleaved = self.interleaved;
        let stream = self.streams.entry(whole.stream).or_default();
        if whole.number == stream.next {
            stream.next = following(whole.number, interleaved);
            let id = whole.stream;
            let more = !stream.waiting.is_empty();
            self.deliver(whole);
            if more {
                self.deliver_waiting(id);
            }
            return;
        }
        let number = whole.number;
        let at = stream
            .waiting
            .partition_point(|w| comes_before(w.number, number, interleaved));
        let known = stream.waiting.get(at).is_some_and(|w| w.number == number);
        if known || comes_before(number, stream.next, interleaved) {
            // A number used twice, or one from the past: cannot be delivered in order any more.
            self.held -= whole.payload.len() + OVERHEAD;
            return;
        }
        stream.waiting.insert(at, whole);
    }

    fn deliver_waiting(&mut self, id: u16) {
        let interleaved = self.interleaved;
        while let Some(stream) = self.streams.get_mut(&id) {
            let next = stream.next;
            match stream.waiting.pop_front_if(|w| w.number == next) {
                Some(whole) => {
                    stream.next = following(next, interleaved);
                    self.deliver(whole);
                }
                None => break,
            }
        }
    }

    #[inline]
    fn deliver(&mut self, whole: Whole) {
        self.messages += 1;
        self.ready.push_back(Received {
            stream: whole.stream,
            ppid: whole.ppid,
            unordered: whole.unordered,
            payload: whole.payload,
        });
    }

    /// Notes a chunk whose content is not wanted as arrived.
    pub(crate) fn take_nothing(&mut self, tsn: Tsn) {
        self.data_in_packet = true;
        match self.tsns.look(tsn) {
            Arrival::New => {
                let before = self.tsns.cumulative();
                self.tsns.take(tsn);
                self.unwrapped += u64::from(self.tsns.cumulative().since(before));
            }
            Arrival::Duplicate => self.tsns.note_duplicate(tsn),
            Arrival::OutOfReach => {}
        }
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes FORWARD-TSN or I-FORWARD-TSN (RFC 3758 §3.6, RFC 8260 §2.3.1).
    pub(crate) fn handle_forward(&mut self, forward: &ForwardTsn<'_>) {
        self.data_in_packet = true;
        self.immediate = true;
        let before = self.tsns.cumulative();
        let ahead = forward.cumulative.since(before);
        if forward.cumulative.after(before) && ahead <= u32::from(u16::MAX) {
            let position = self.unwrapped + u64::from(ahead);
            self.tsns.forward(forward.cumulative);
            self.unwrapped += u64::from(self.tsns.cumulative().since(before));
            if !self.interleaved {
                self.reassembly.skip_to(position);
            }
        } else if forward.cumulative != before {
            return;
        }
        let interleaved = self.interleaved;
        for skipped in forward.skipped() {
            if interleaved {
                self.reassembly
                    .drop_messages(skipped.stream, |unordered, number| {
                        unordered == skipped.unordered
                            && !comes_before(skipped.message, number, interleaved)
                    });
                if skipped.unordered {
                    continue;
                }
            }
            // What waits below the skipped message is complete and goes up.
            loop {
                let stream = self.streams.entry(skipped.stream).or_default();
                let front = stream
                    .waiting
                    .pop_front_if(|w| !comes_before(skipped.message, w.number, interleaved));
                match front {
                    Some(whole) => self.deliver(whole),
                    None => break,
                }
            }
            let stream = self.streams.entry(skipped.stream).or_default();
            if !comes_before(skipped.message, stream.next, interleaved) {
                stream.next = following(skipped.message, interleaved);
            }
            self.deliver_waiting(skipped.stream);
        }
    }

    /// The peer's outgoing stream starts over (RFC 6525 §5.2.2).
    pub(crate) fn reset_stream(&mut self, id: u16) {
        if let Some(stream) = self.streams.remove(&id) {
            for whole in stream.waiting {
                self.held -= whole.payload.len() + OVERHEAD;
            }
        }
        self.reassembly.drop_messages(id, |_, _| true);
    }

    /// All of the peer's outgoing streams start over.
    pub(crate) fn reset_all_streams(&mut self) -> Vec<u16> {
        let mut ids: Vec<u16> = self.streams.keys().copied().collect();
        ids.sort_unstable();
        for id in &ids {
            self.reset_stream(*id);
        }
        ids
    }

    /// The next message; it counts against the window until [`Receiver::consumed`].
    #[inline]
    pub(crate) fn next_ready(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// The application took a message that cost so much.
    pub(crate) fn consumed(&mut self, cost: usize) {
        self.held = self.held.saturating_sub(cost);
        // The window opens again: tell, where the peer may be waiting for it, and not for every little bit.
        let gained = self.free_window().saturating_sub(self.last_advertised);
        if gained >= (self.window / 4).max(2 * self.packet_size) {
            self.sack_due = true;
        }
    }

    /// A packet was looked through: decides when it is acknowledged (RFC 9260 §6.2).
    #[inline]
    pub(crate) fn end_packet(&mut self, now: Time) {
        if !self.data_in_packet {
            return;
        }
        self.data_in_packet = false;
        self.packets_unacknowledged = self.packets_unacknowledged.saturating_add(1);
        if self.immediate || self.packets_unacknowledged >= 2 {
            self.sack_due = true;
            self.immediate = false;
        } else if !self.sack_timer.is_set() {
            self.sack_timer = now.plus(self.delayed_ack);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.sack_timer <= now {
            self.sack_timer = Time::NEVER;
            self.sack_due = true;
        }
    }

    /// Something is unacknowledged, so a packet that leaves anyway takes the SACK along.
    pub(crate) fn sack_would_help(&self) -> bool {
        self.sack_due || self.packets_unacknowledged > 0
    }

    /// Appends a SACK.
    pub(crate) fn write_sack(&mut self, buf: &mut Vec<u8>, room: usize) {
        let free = self.free_window();
        let window = u32::try_from(free).unwrap_or(u32::MAX);
        let reported = sack::write(
            buf,
            self.tsns.cumulative(),
            window,
            self.tsns.gaps(),
            self.tsns.duplicates(),
            room,
        );
        self.tsns.duplicates_reported(reported);
        self.last_advertised = free;
        self.sack_due = false;
        self.sack_timer = Time::NEVER;
        self.packets_unacknowledged = 0;
    }
}

/// The receive window: a message of the largest size must fit beside one that waits.
pub(crate) fn effective_window(config: &crate::Config) -> usize {
    (config.receive_window as usize)
        .max(config.max_message_size.saturating_mul(2))
        .min(u32::MAX as usize)
}

fn following(number: u32, interleaved: bool) -> u32 {
    if interleaved {
        number.wrapping_add(1)
    } else {
        u32::from((number as u16).wrapping_add(1))
    }
}

fn comes_before(a: u32, b: u32, interleaved: bool) -> bool {
    if interleaved {
        Mid(a).before(Mid(b))
    } else {
        Ssn(a as u16).before(Ssn(b as u16))
    }
}
