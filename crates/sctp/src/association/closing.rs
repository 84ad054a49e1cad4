//! Ending: graceful shutdown (RFC 9260 §9.2) and abort (§9.1).

use std::time::{Duration, Instant};

use super::{Association, Control, Event, State};
use crate::CloseReason;
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::param::Params;
use crate::wire::{FLAG_T, begin_chunk, cause, end_chunk, kind, read_u32};

/// T5-shutdown-guard: how long the peer may take to answer SHUTDOWN (§9.2 recommends 5 times RTO.Max).
const SHUTDOWN_GUARD: Duration = Duration::from_secs(120);

impl Association {
    /// Ends once everything queued was acknowledged.
    pub fn shutdown(&mut self, now: Instant) {
        let now = self.clock.time(now);
        match self.state {
            State::Established => {
                self.state = State::ShutdownPending;
                self.continue_shutdown(now);
            }
            State::Closed | State::CookieWait => self.end(CloseReason::Shutdown),
            State::CookieEchoed { .. } => {
                self.abort_with(cause::code::USER_ABORT, &[], CloseReason::AbortedHere);
            }
            _ => {}
        }
    }

    /// Ends at once and tells the peer, with a reason for people.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        let _ = self.clock.time(now);
        self.abort_with(
            cause::code::USER_ABORT,
            reason.as_bytes(),
            CloseReason::AbortedHere,
        );
    }

    /// Sends an ABORT, where there is a peer to take it, and ends.
    pub(super) fn abort_with(&mut self, code: u16, information: &[u8], reason: CloseReason) {
        if self.state == State::Ended {
            return;
        }
        self.control.clear();
        if let Some(peer) = self.peer {
            let mut chunk = Vec::new();
            let start = begin_chunk(&mut chunk, kind::ABORT, 0);
            let most = self.config.packet_size - 64;
            let information = information.get(..most).unwrap_or(information);
            cause::write(&mut chunk, code, information);
            end_chunk(&mut chunk, start);
            self.control.push_back(Control {
                tag: peer.tag,
                chunk,
                alone: true,
            });
        }
        self.end(reason);
    }

    pub(super) fn handle_abort(&mut self, value: &[u8]) {
        let cause = Params(value).next().map(|cause| cause.kind);
        self.control.clear();
        self.end(CloseReason::AbortedByPeer { cause });
    }

    /// The next step of a shutdown, when all was acknowledged.
    pub(super) fn continue_shutdown(&mut self, now: Time) {
        match self.state {
            State::ShutdownPending if self.sender.is_idle() => {
                self.state = State::ShutdownSent;
                self.send_shutdown(now);
            }
            State::ShutdownReceived if self.sender.is_idle() => {
                self.state = State::ShutdownAckSent;
                self.send_shutdown(now);
            }
            // Data that still comes is answered at once, with SACK and SHUTDOWN together.
            State::ShutdownSent => {
                let Some(receiver) = &mut self.receiver else {
                    return;
                };
                if receiver.sack_would_help() {
                    receiver.sack_due = true;
                    self.shutdown_due = true;
                    self.t2 = now.plus(self.sender.round_trip.rto());
                }
            }
            _ => {}
        }
    }

    fn send_shutdown(&mut self, now: Time) {
        self.shutdown_due = true;
        self.heartbeat_timer = Time::NEVER;
        self.errors = 0;
        if !self.t5.is_set() {
            self.t5 = now.plus(SHUTDOWN_GUARD);
        }
        self.t2 = now.plus(self.sender.round_trip.rto());
    }

    pub(super) fn handle_shutdown(&mut self, now: Time, value: &[u8]) {
        let Ok(cumulative) = read_u32(value, 0) else {
            self.drops.malformed += 1;
            return;
        };
        match self.state {
            State::Established | State::ShutdownPending => {
                self.state = State::ShutdownReceived;
                self.events.push_back(Event::ShuttingDown);
            }
            State::ShutdownReceived => {}
            // Both at once.
            State::ShutdownSent => {
                self.state = State::ShutdownAckSent;
                self.send_shutdown(now);
                return;
            }
            _ => return,
        }
        self.sender.handle_cumulative(now, Tsn(cumulative));
        self.continue_shutdown(now);
    }

    pub(super) fn handle_shutdown_ack(&mut self) {
        let tag = self.peer.map_or(0, |peer| peer.tag);
        let (flags, tag, ends) = match self.state {
            State::ShutdownSent | State::ShutdownAckSent => (0, tag, true),
            // §8.5.1 E: as if there were no association.
            State::CookieWait | State::CookieEchoed { .. } => (FLAG_T, self.local_tag, false),
            _ => return,
        };
        let mut chunk = Vec::new();
        let start = begin_chunk(&mut chunk, kind::SHUTDOWN_COMPLETE, flags);
        end_chunk(&mut chunk, start);
        self.queue(Control {
            tag,
            chunk,
            alone: true,
        });
        if ends {
            self.end(CloseReason::Shutdown);
        }
    }

    pub(super) fn handle_shutdown_complete(&mut self) {
        if self.state == State::ShutdownAckSent {
            self.end(CloseReason::Shutdown);
        }
    }
}
