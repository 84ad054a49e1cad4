//! Outgoing streams and the scheduler that chooses among them (RFC 8260 §3).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::message::{MessageKey, Slab};
use crate::config::Scheduler;
use crate::hash::NumberMap;

/// Where a stream is in [`Streams`].
pub(crate) type Slot = u32;

/// Virtual time of one byte at weight 1.
const SCALE: u64 = 1 << 16;

/// How far the reset of an outgoing stream has got (RFC 6525).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetPhase {
    /// Takes messages.
    Open,
    /// Takes no more; what is queued is being sent.
    Draining,
    /// Drained, waits to be put into a request.
    Ready,
    /// In a request that is not answered yet.
    Requested,
}

/// An outgoing stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u16,
    pub(crate) queue: VecDeque<MessageKey>,
    /// Bytes queued that are in no chunk yet.
    pub(crate) buffered: usize,
    pub(crate) low_threshold: usize,
    pub(crate) weight: u16,
    pub(crate) reset: ResetPhase,
    next_ordered: u32,
    next_unordered: u32,
    /// When, in virtual time, what it has sent so far was due.
    finish: u64,
    active: bool,
}

/// The outgoing streams.
#[derive(Debug)]
pub(crate) struct Streams {
    scheduler: Scheduler,
    interleaved: bool,
    slots: Vec<Stream>,
    by_id: NumberMap<u16, Slot>,
    heap: BinaryHeap<Reverse<(u64, u64, Slot)>>,
    /// A stream that must, or whose turn it is to, go on.
    current: Option<Slot>,
    turn: u64,
    virtual_time: u64,
    buffered: usize,
    /// Streams in [`ResetPhase::Ready`].
    pub(crate) ready_to_reset: Vec<u16>,
}

impl Streams {
    pub(crate) fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            interleaved: false,
            slots: Vec::new(),
            by_id: NumberMap::default(),
            heap: BinaryHeap::new(),
            current: None,
            turn: 0,
            virtual_time: 0,
            buffered: 0,
            ready_to_reset: Vec::new(),
        }
    }

    /// Whether chunks of several messages may alternate; settled by the handshake.
    pub(crate) fn set_interleaved(&mut self, interleaved: bool) {
        self.interleaved = interleaved;
    }

    /// Bytes queued over all streams.
    pub(crate) fn buffered(&self) -> usize {
        self.buffered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.current.is_none() && self.heap.is_empty()
    }

    pub(crate) fn find(&self, id: u16) -> Option<&Stream> {
        self.slots.get(*self.by_id.get(&id)? as usize)
    }

    pub(crate) fn get(&self, slot: Slot) -> &Stream {
        &self.slots[slot as usize]
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Stream {
        &mut self.slots[slot as usize]
    }

    /// The slot of a stream, made on first use.
    pub(crate) fn slot(&mut self, id: u16) -> Slot {
        if let Some(&slot) = self.by_id.get(&id) {
            return slot;
        }
        let slot = self.slots.len() as Slot;
        self.slots.push(Stream {
            id,
            queue: VecDeque::new(),
            buffered: 0,
            low_threshold: 0,
            weight: 256,
            reset: ResetPhase::Open,
            next_ordered: 0,
            next_unordered: 0,
            finish: 0,
            active: false,
        });
        self.by_id.insert(id, slot);
        slot
    }

    /// Queues a message of `size` bytes.
    pub(crate) fn push(&mut self, slot: Slot, key: MessageKey, size: usize, messages: &Slab) {
        let stream = &mut self.slots[slot as usize];
        stream.queue.push_back(key);
        stream.buffered += size;
        self.buffered += size;
        if !stream.active {
            stream.active = true;
            stream.finish = stream.finish.max(self.virtual_time);
            self.schedule(slot, messages);
        }
    }

    /// The stream to take the next fragment from, and its first message.
    #[inline]
    pub(crate) fn peek(&self) -> Option<(Slot, MessageKey)> {
        let slot = match self.current {
            Some(slot) => slot,
            None => self.heap.peek()?.0.2,
        };
        let key = self.slots[slot as usize].queue.front()?;
        Some((slot, *key))
    }

    /// The SSN or MID for a message whose first fragment leaves now.
    pub(crate) fn assign_number(&mut self, slot: Slot, unordered: bool) -> u32 {
        let interleaved = self.interleaved;
        let stream = &mut self.slots[slot as usize];
        if unordered && !interleaved {
            // RFC 9260 §3.3.1: an unordered chunk's SSN means nothing.
            return 0;
        }
        let counter = if unordered {
            &mut stream.next_unordered
        } else {
            &mut stream.next_ordered
        };
        let number = *counter;
        *counter = if interleaved {
            number.wrapping_add(1)
        } else {
            u32::from((number as u16).wrapping_add(1))
        };
        number
    }

    /// `bytes` of the peeked message left; `last` when that was its end.
    #[inline]
    pub(crate) fn served(&mut self, slot: Slot, bytes: usize, last: bool, messages: &Slab) {
        if self.current.is_none() {
            self.heap.pop();
        }
        self.virtual_time = self.virtual_time.max(self.slots[slot as usize].finish);
        let stream = &mut self.slots[slot as usize];
        stream.buffered -= bytes;
        self.buffered -= bytes;
        let weight = match self.scheduler {
            Scheduler::WeightedFair => u64::from(stream.weight.max(1)),
            _ => 1,
        };
        stream.finish += bytes as u64 * SCALE / weight;
        if last {
            stream.queue.pop_front();
        }
        self.go_on(slot, last, messages);
    }

    /// The peeked message is given up before its end.
    pub(crate) fn dropped(&mut self, slot: Slot, bytes: usize, messages: &Slab) {
        if self.current.is_none() {
            self.heap.pop();
        }
        let stream = &mut self.slots[slot as usize];
        stream.queue.pop_front();
        stream.buffered -= bytes;
        self.buffered -= bytes;
        self.go_on(slot, true, messages);
    }

    /// Takes out a message that is not at a turn: abandoned while another stream is served.
    pub(crate) fn cancel(&mut self, slot: Slot, key: MessageKey, bytes: usize, messages: &Slab) {
        if self.peek() == Some((slot, key)) {
            self.dropped(slot, bytes, messages);
            return;
        }
        let stream = &mut self.slots[slot as usize];
        if let Some(at) = stream.queue.iter().position(|&k| k == key) {
            stream.queue.remove(at);
            stream.buffered -= bytes;
            self.buffered -= bytes;
            if stream.queue.is_empty() && self.current != Some(slot) {
                stream.active = false;
                self.heap.retain(|Reverse((_, _, s))| *s != slot);
                self.drained(slot);
            }
        }
    }

    /// A packet is full: who takes turns by packet hands over.
    pub(crate) fn end_packet(&mut self, messages: &Slab) {
        if self.scheduler != Scheduler::RoundRobinPerPacket {
            return;
        }
        let Some(slot) = self.current else { return };
        let started = self.slots[slot as usize]
            .queue
            .front()
            .is_some_and(|&key| messages.get(key).offset > 0);
        if self.interleaved || !started {
            self.current = None;
            self.schedule(slot, messages);
        }
    }

    fn go_on(&mut self, slot: Slot, message_ended: bool, messages: &Slab) {
        if self.slots[slot as usize].queue.is_empty() {
            self.slots[slot as usize].active = false;
            self.current = None;
            self.drained(slot);
            return;
        }
        let keeps_turn = match self.scheduler {
            Scheduler::RoundRobinPerPacket => true,
            _ => !message_ended && !self.interleaved,
        };
        if keeps_turn {
            self.current = Some(slot);
        } else {
            self.current = None;
            self.schedule(slot, messages);
        }
    }

    /// Puts a stream with something to send where its scheduler wants it.
    fn schedule(&mut self, slot: Slot, messages: &Slab) {
        self.turn += 1;
        let stream = &self.slots[slot as usize];
        let key = match self.scheduler {
            Scheduler::FirstComeFirstServed => stream
                .queue
                .front()
                .map_or(u64::MAX, |&key| messages.get(key).order),
            Scheduler::RoundRobin | Scheduler::RoundRobinPerPacket => 0,
            Scheduler::Priority => u64::from(u16::MAX - stream.weight),
            Scheduler::FairCapacity | Scheduler::WeightedFair => stream.finish,
        };
        self.heap.push(Reverse((key, self.turn, slot)));
    }

    /// A stream's queue ran empty.
    fn drained(&mut self, slot: Slot) {
        let stream = &mut self.slots[slot as usize];
        if stream.reset == ResetPhase::Draining {
            stream.reset = ResetPhase::Ready;
            self.ready_to_reset.push(stream.id);
        }
    }

    /// Takes no more messages on the stream and resets it once its queue is empty.
    pub(crate) fn begin_reset(&mut self, id: u16) {
        let slot = self.slot(id);
        let stream = &mut self.slots[slot as usize];
        if stream.reset == ResetPhase::Open {
            stream.reset = ResetPhase::Draining;
            if stream.queue.is_empty() {
                self.drained(slot);
            }
        }
    }

    /// A reset request was put together with this stream.
    pub(crate) fn mark_requested(&mut self, id: u16) {
        let slot = self.slot(id);
        self.slots[slot as usize].reset = ResetPhase::Requested;
    }

    /// The peer has performed the reset: numbers start over (RFC 6525 §5.2.7 E1).
    pub(crate) fn finish_reset(&mut self, id: u16) {
        let slot = self.slot(id);
        let stream = &mut self.slots[slot as usize];
        stream.reset = ResetPhase::Open;
        stream.next_ordered = 0;
        stream.next_unordered = 0;
    }

    /// The peer denied: the stream goes on where it was.
    pub(crate) fn fail_reset(&mut self, id: u16) {
        let slot = self.slot(id);
        self.slots[slot as usize].reset = ResetPhase::Open;
    }

    /// Bytes counted as sent are queued again.
    pub(crate) fn unserve(&mut self, slot: Slot, bytes: usize) {
        self.slots[slot as usize].buffered += bytes;
        self.buffered += bytes;
    }

    /// The peer restarted: numbers start over, requests are forgotten.
    pub(crate) fn restart(&mut self) {
        for stream in &mut self.slots {
            stream.next_ordered = 0;
            stream.next_unordered = 0;
            if stream.reset == ResetPhase::Requested {
                stream.reset = ResetPhase::Ready;
                self.ready_to_reset.push(stream.id);
            }
        }
    }
}
