//! Timers, heartbeats and the failure of the peer (RFC 9260 §8).

use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt;

use super::{Association, Control, State};
use crate::CloseReason;
use crate::time::Time;
use crate::wire::param::{self, Params};
use crate::wire::{begin_chunk, cause, end_chunk, kind};

impl Association {
    /// Time passed: does what is due. Calling early does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.time(now);
        if self.t1 <= now {
            self.on_t1(now);
        }
        if self.t2 <= now {
            self.on_t2(now);
        }
        if self.t5 <= now {
            self.give_up(CloseReason::PeerUnreachable);
        }
        if self.heartbeat_timer <= now {
            self.on_heartbeat_timer(now);
        }
        if self.reset.timer <= now {
            self.on_reset_timer(now);
        }
        if self.state.sends_data() && self.sender.handle_timeout(now) {
            self.count_error();
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_timeout(now);
        }
        if matches!(self.state, State::ShutdownPending | State::ShutdownReceived) {
            self.continue_shutdown(now);
        }
    }

    /// T1-init and T1-cookie (§4, §5.1).
    fn on_t1(&mut self, now: Time) {
        self.handshake_retransmits += 1;
        if self.handshake_retransmits > self.config.max_init_retransmits {
            // The peer may have an association since its INIT ACK was answered.
            self.give_up(CloseReason::HandshakeTimeout);
            return;
        }
        self.handshake_rto = (self.handshake_rto * 2).min(self.config.max_init_interval);
        self.t1 = now.plus(self.handshake_rto);
        self.handshake_due = true;
        if matches!(self.state, State::CookieEchoed { .. }) {
            self.sender.take_back();
        }
    }

    /// T2-shutdown (§9.2).
    fn on_t2(&mut self, now: Time) {
        self.sender.round_trip.back_off();
        self.t2 = now.plus(self.sender.round_trip.rto());
        self.shutdown_due = true;
        self.count_error();
    }

    /// One more timeout without a sign of the peer (§8.1).
    pub(super) fn count_error(&mut self) {
        self.errors += 1;
        if self
            .config
            .max_retransmits
            .is_some_and(|most| self.errors > most)
        {
            self.give_up(CloseReason::PeerUnreachable);
        }
    }

    /// Ends; an ABORT tells the peer, should it only have been unheard.
    fn give_up(&mut self, reason: CloseReason) {
        self.abort_with(cause::code::USER_ABORT, &[], reason);
    }

    /// §8.3: the interval, the RTO, and a jitter of half the RTO each way.
    pub(super) fn restart_heartbeat(&mut self, now: Time) {
        self.heartbeat_timer = match self.config.heartbeat_interval {
            None => Time::NEVER,
            Some(interval) => {
                let rto = self.sender.round_trip.rto();
                let jitter = self.rng.random_range(0.5..1.5);
                now.plus(interval + rto.mul_f64(jitter))
            }
        };
    }

    fn on_heartbeat_timer(&mut self, now: Time) {
        self.restart_heartbeat(now);
        if !self.state.sends_data() {
            return;
        }
        if self.heartbeat_nonce.take().is_some() {
            self.count_error();
            if self.state == State::Ended {
                return;
            }
        }
        // A path in use tells by itself whether it works.
        if !std::mem::take(&mut self.data_since_heartbeat) {
            self.heartbeat_due = true;
        }
    }

    /// Appends a HEARTBEAT: when it left, and a number nobody can guess.
    pub(super) fn write_heartbeat(&mut self, now: Time, buf: &mut Vec<u8>) {
        self.heartbeat_due = false;
        let nonce: u64 = self.rng.random();
        self.heartbeat_nonce = Some(nonce);
        let mut info = [0; 16];
        info[..8].copy_from_slice(&now.0.to_be_bytes());
        info[8..].copy_from_slice(&nonce.to_be_bytes());
        let start = begin_chunk(buf, kind::HEARTBEAT, 0);
        param::write(buf, param::kind::HEARTBEAT_INFO, &info);
        end_chunk(buf, start);
    }

    /// §8.3: the information goes back as it came.
    pub(super) fn handle_heartbeat(&mut self, value: &Bytes) {
        let Some(peer) = self.peer else { return };
        if matches!(self.state, State::CookieWait | State::Closed | State::Ended) {
            return;
        }
        if value.len() + 64 > self.config.packet_size {
            self.drops.replies += 1;
            return;
        }
        let mut chunk = Vec::with_capacity(value.len() + 8);
        let start = begin_chunk(&mut chunk, kind::HEARTBEAT_ACK, 0);
        chunk.extend_from_slice(value);
        end_chunk(&mut chunk, start);
        self.queue(Control {
            tag: peer.tag,
            chunk,
            alone: false,
        });
    }

    pub(super) fn handle_heartbeat_ack(&mut self, now: Time, value: &[u8]) {
        let info = Params(value)
            .find(|param| param.kind == param::kind::HEARTBEAT_INFO)
            .and_then(|param| param.value.first_chunk::<16>());
        let (Some(info), Some(nonce)) = (info, self.heartbeat_nonce) else {
            self.drops.unexpected += 1;
            return;
        };
        let (sent, echoed) = info.split_at(8);
        if echoed != nonce.to_be_bytes() {
            self.drops.unexpected += 1;
            return;
        }
        self.heartbeat_nonce = None;
        self.errors = 0;
        let sent = sent
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let round_trip: Duration = now.since(Time(sent));
        self.sender.round_trip.measure(round_trip);
    }
}
