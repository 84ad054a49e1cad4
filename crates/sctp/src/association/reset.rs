//! Stream reset (RFC 6525): our streams start over by request, the peer's by its own.

use std::time::Instant;

use super::{Association, Event};
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::param::Params;
use crate::wire::reconfig::{self, Reconfig, result};
use crate::wire::{begin_chunk, end_chunk, kind};

/// A request of ours that is not answered yet. There is never more than one (§5.1.1).
#[derive(Debug)]
struct Request {
    number: u32,
    response: u32,
    last_tsn: Tsn,
    streams: Vec<u16>,
}

/// A request of the peer that waits for data before its last TSN (§5.2.2 E3).
#[derive(Debug)]
struct Deferred {
    number: u32,
    last_tsn: Tsn,
    streams: Vec<u16>,
    due: bool,
}

/// Requests and answers.
#[derive(Debug)]
pub(super) struct Reset {
    pub(super) timer: Time,
    /// Streams whose queues are empty, and the last TSN on them.
    drained: Vec<(u16, Tsn)>,
    request: Option<Request>,
    request_due: bool,
    next_number: u32,
    /// The peer's last request, and what it was answered.
    last_seen: u32,
    last_result: u32,
    /// A request of the peer to reset our streams, which our own request answers.
    asked: Option<u32>,
    deferred: Option<Deferred>,
    /// Answers to be sent: number and result.
    answers: Vec<(u32, u32)>,
}

impl Reset {
    /// §4.1: numbers start with the initial TSN.
    pub(super) fn new(local_tsn: Tsn) -> Self {
        Self {
            timer: Time::NEVER,
            drained: Vec::new(),
            request: None,
            request_due: false,
            next_number: local_tsn.0,
            last_seen: 0,
            last_result: result::NOTHING_TO_DO,
            asked: None,
            deferred: None,
            answers: Vec::new(),
        }
    }

    pub(super) fn meet(&mut self, peer_tsn: Tsn) {
        self.last_seen = peer_tsn.0.wrapping_sub(1);
    }

    #[inline]
    pub(super) fn has_something_to_send(&self) -> bool {
        self.request_due || !self.answers.is_empty()
    }

    #[inline]
    pub(super) fn on_cumulative(&mut self, cumulative: Tsn) {
        if let Some(deferred) = &mut self.deferred
            && !deferred.last_tsn.after(cumulative)
        {
            deferred.due = true;
        }
    }

    #[inline]
    pub(super) fn has_due(&self) -> bool {
        self.deferred.as_ref().is_some_and(|deferred| deferred.due)
    }

    fn answer(&mut self, number: u32, result: u32) {
        self.last_result = result;
        self.answers.retain(|(n, _)| *n != number);
        self.answers.push((number, result));
    }
}

impl Association {
    /// Starts outgoing streams over, once what is queued on them was acknowledged. They take no message until
    /// [`Event::OutgoingReset`]. Returns `false` where the peer cannot do it.
    pub fn reset_streams(&mut self, _now: Instant, streams: &[u16]) -> bool {
        if self.peer.is_some_and(|peer| !peer.extensions.stream_reset) {
            return false;
        }
        for &id in streams {
            self.sender.streams.begin_reset(id);
        }
        true
    }

    /// Puts streams that are done into the next request.
    #[inline]
    pub(super) fn collect_resets(&mut self, now: Time) {
        if !self.sender.streams.ready_to_reset.is_empty() {
            let last = self.sender.last_assigned();
            let ready = std::mem::take(&mut self.sender.streams.ready_to_reset);
            self.reset
                .drained
                .extend(ready.into_iter().map(|id| (id, last)));
        }
        if self.reset.drained.is_empty() || self.reset.request.is_some() {
            return;
        }
        if self.peer.is_none_or(|peer| !peer.extensions.stream_reset) || !self.state.sends_data() {
            return;
        }
        // Once everything on a stream was acknowledged the peer can act at once, and need not answer "in progress".
        let acknowledged = self.sender.window.base().minus(1);
        let most = (self.config.packet_size - 128) / 2;
        let mut streams = Vec::new();
        self.reset.drained.retain(|(id, last)| {
            let take = !last.after(acknowledged) && streams.len() < most;
            if take {
                streams.push(*id);
            }
            !take
        });
        if streams.is_empty() {
            return;
        }
        for &id in &streams {
            self.sender.streams.mark_requested(id);
        }
        let number = self.reset.next_number;
        self.reset.next_number = number.wrapping_add(1);
        self.reset.request = Some(Request {
            number,
            response: self.reset.asked.take().unwrap_or(self.reset.last_seen),
            last_tsn: self.sender.last_assigned(),
            streams,
        });
        self.reset.request_due = true;
        self.reset.timer = now.plus(self.sender.round_trip.rto());
    }

    /// Appends RE-CONFIG chunks: answers, then the request.
    pub(super) fn write_reset(&mut self, now: Time, buf: &mut Vec<u8>, end: usize) {
        let answers = self.reset.answers.len();
        if answers > 0 && buf.len() + 4 + 12 * answers.min(2) <= end {
            let start = begin_chunk(buf, kind::RE_CONFIG, 0);
            // §3.1: at most two parameters in a chunk.
            for (number, result) in self.reset.answers.drain(..answers.min(2)) {
                reconfig::write_response(buf, number, result);
            }
            end_chunk(buf, start);
        }
        if !self.reset.request_due {
            return;
        }
        if let Some(request) = &self.reset.request
            && buf.len() + 20 + 4 + 2 * request.streams.len() <= end
        {
            let start = begin_chunk(buf, kind::RE_CONFIG, 0);
            reconfig::write_outgoing_reset(
                buf,
                request.number,
                request.response,
                request.last_tsn,
                &request.streams,
            );
            end_chunk(buf, start);
            self.reset.request_due = false;
            self.reset.timer = now.plus(self.sender.round_trip.rto());
        }
    }

    /// The request was not answered in time (§5.1.1).
    pub(super) fn on_reset_timer(&mut self, now: Time) {
        self.reset.timer = Time::NEVER;
        if self.reset.request.is_some() && self.state.sends_data() {
            self.reset.request_due = true;
            self.sender.round_trip.back_off();
            self.reset.timer = now.plus(self.sender.round_trip.rto());
            self.count_error();
        }
    }

    pub(super) fn handle_reconfig(&mut self, now: Time, value: &[u8]) {
        if self.peer.is_none_or(|peer| !peer.extensions.stream_reset)
            || !(self.state.sends_data() || self.state.receives_data())
        {
            self.drops.unexpected += 1;
            return;
        }
        for param in Params(value).take(2) {
            let Ok(reconfig) = Reconfig::parse(&param) else {
                self.drops.malformed += 1;
                continue;
            };
            match reconfig {
                Reconfig::Response { response, result } => {
                    self.handle_reset_response(now, response, result);
                }
                Reconfig::OutgoingReset {
                    request,
                    last_tsn,
                    streams,
                    ..
                } => {
                    if self.is_next_request(request) {
                        let streams = streams.iter().collect();
                        self.handle_outgoing_reset(request, last_tsn, streams);
                    }
                }
                Reconfig::IncomingReset { request, streams } => {
                    if self.is_next_request(request) {
                        self.reset.last_seen = request;
                        for id in streams.iter() {
                            self.sender.streams.begin_reset(id);
                        }
                        self.reset.asked = Some(request);
                        self.reset.answer(request, result::PERFORMED);
                    }
                }
                Reconfig::Other { request } => {
                    if self.is_next_request(request) {
                        self.reset.last_seen = request;
                        self.reset.answer(request, result::DENIED);
                    }
                }
            }
        }
    }

    /// §5.2.1: a request seen before is answered as before, one out of order is refused.
    fn is_next_request(&mut self, number: u32) -> bool {
        if number == self.reset.last_seen.wrapping_add(1) {
            return true;
        }
        if number == self.reset.last_seen {
            let result = self.reset.last_result;
            self.reset.answer(number, result);
        } else {
            self.reset
                .answers
                .push((number, result::BAD_SEQUENCE_NUMBER));
            self.reset.answers.truncate(8);
        }
        false
    }

    /// §5.2.2.
    fn handle_outgoing_reset(&mut self, number: u32, last_tsn: Tsn, streams: Vec<u16>) {
        let Some(peer) = self.peer else { return };
        self.reset.last_seen = number;
        if streams.iter().any(|id| *id >= peer.inbound) {
            self.reset.answer(number, result::WRONG_SSN);
            return;
        }
        let due = self
            .receiver
            .as_ref()
            .is_some_and(|receiver| !last_tsn.after(receiver.tsns.cumulative()));
        self.reset.deferred = Some(Deferred {
            number,
            last_tsn,
            streams,
            due,
        });
        if !due {
            self.reset.answer(number, result::IN_PROGRESS);
        }
    }

    /// The data before the reset is here: performs it.
    pub(super) fn perform_deferred_reset(&mut self) {
        let Some(deferred) = self.reset.deferred.take_if(|deferred| deferred.due) else {
            return;
        };
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        let streams = if deferred.streams.is_empty() {
            receiver.reset_all_streams()
        } else {
            for &id in &deferred.streams {
                receiver.reset_stream(id);
            }
            deferred.streams
        };
        self.reset.answer(deferred.number, result::PERFORMED);
        self.events.push_back(Event::IncomingReset(streams));
    }

    /// §5.2.7.
    fn handle_reset_response(&mut self, now: Time, response: u32, result: u32) {
        let Some(request) = self.reset.request.take_if(|r| r.number == response) else {
            return;
        };
        self.errors = 0;
        match result {
            result::NOTHING_TO_DO | result::PERFORMED => {
                for &id in &request.streams {
                    self.sender.streams.finish_reset(id);
                }
                self.events.push_back(Event::OutgoingReset(request.streams));
            }
            result::IN_PROGRESS => {
                // Asked again, with the same number, when the timer expires.
                self.reset.request = Some(request);
                self.reset.request_due = false;
                self.reset.timer = now.plus(self.sender.round_trip.rto());
                return;
            }
            result::IN_PROGRESS_ALREADY => {
                // The peer is busy with a request of its own: ours is made anew.
                let last = request.last_tsn;
                self.reset
                    .drained
                    .extend(request.streams.into_iter().map(|id| (id, last)));
            }
            _ => {
                for &id in &request.streams {
                    self.sender.streams.fail_reset(id);
                }
                self.events.push_back(Event::ResetRefused(request.streams));
            }
        }
        self.reset.request_due = false;
        self.reset.timer = Time::NEVER;
    }
}
