//! Retransmission more often than dimpl does it.
//!
//! dimpl doubles its timer without a limit, and a server that is done answers a client's repeated flight at ever longer
//! intervals. At 50 % loss that leaves one handshake in ten undone after a minute. RFC 6347 §4.2.4.1 lets the timer stay
//! at a maximum; below ICE, a second is a kind one. So the last flight is kept, and its datagrams are sent again as they
//! were: to the peer that is the same as a duplication by the network, which it must bear anyway.

use std::time::{Duration, Instant};

use crate::config::Role;
use crate::record::{Header, records};
use crate::records::Records;

use super::Endpoint;
use super::receive::is_epoch_2;

/// Acknowledgements of DTLS 1.3 are no flights. They hold a few record numbers of 16 bytes (RFC 9147 §7), a flight holds
/// certificates or a ClientHello, or plaintext.
const LARGEST_ACK: usize = 128;
/// A final flight is not sent again more often than this.
const FINAL_INTERVAL: Duration = Duration::from_millis(50);

/// The last flight, and when it is due again.
#[derive(Debug, Default)]
pub(super) struct Repeat {
    flight: Vec<Vec<u8>>,
    /// What the call in progress has sent so far.
    collecting: Option<Vec<Vec<u8>>>,
    last: Option<Instant>,
}

impl Repeat {
    /// The flight has come through.
    pub(super) fn forget_flight(&mut self) {
        self.flight = Vec::new();
        self.collecting = None;
    }
}

impl Endpoint {
    /// Starts to collect what one call into the engine sends.
    pub(super) fn open_batch(&mut self) {
        if !self.repeat_is_over() {
            self.repeat.collecting = Some(Vec::new());
        }
    }

    /// Notes a datagram as part of the batch.
    pub(super) fn note_batch(&mut self, datagram: &[u8]) {
        if let Some(batch) = &mut self.repeat.collecting {
            batch.push(datagram.to_vec());
        }
    }

    /// What was sent is the last flight from now on, unless it was an acknowledgement.
    pub(super) fn close_batch(&mut self) {
        let Some(batch) = self.repeat.collecting.take() else {
            return;
        };
        let plain = |datagram: &Vec<u8>| {
            matches!(
                records(datagram).next(),
                Some((Header::Plain { epoch: 0, .. }, _))
            )
        };
        let size: usize = batch.iter().map(Vec::len).sum();
        if batch.iter().any(plain) || size > LARGEST_ACK {
            self.repeat.flight = batch;
            self.repeat.last = Some(self.now);
        }
    }

    /// When the flight is due again: while the engine waits for an answer, and would wait for longer than wanted.
    pub(super) fn repeat_at(&self) -> Option<Instant> {
        let engine = self.timeout?;
        let due = self.repeat.last? + self.config.max_timeout;
        (!self.repeat.flight.is_empty() && !self.is_over() && due < engine).then_some(due)
    }

    /// Sends the flight again if it is due.
    pub(super) fn repeat_if_due(&mut self) {
        if self.repeat_at().is_some_and(|due| due <= self.now) {
            self.repeat_now();
        }
    }

    /// Answers a client's handshake message that comes although this server is done: its final flight was lost, or the
    /// acknowledgement of the client's (RFC 9147 §5.8.1).
    pub(super) fn repeat_final(&mut self, record: &[u8]) {
        const HANDSHAKE: u8 = 22;
        let rested = self
            .repeat
            .last
            .is_none_or(|last| self.now >= last + FINAL_INTERVAL);
        if self.role != Role::Server || !rested || !self.handshake.done {
            return;
        }
        let is_plain_handshake =
            record.first() == Some(&HANDSHAKE) && record.get(3..5) == Some(&[0, 0]);
        if is_plain_handshake && !self.handshake.heard {
            self.repeat_now();
        }
        // The engine acknowledges by itself as long as it is there.
        if is_epoch_2(record) && self.engine.is_none() {
            self.repeat.last = Some(self.now);
            let records = self.records.as_mut();
            self.outgoing
                .extend(records.and_then(Records::acknowledge_again));
        }
    }

    fn repeat_now(&mut self) {
        self.repeat.last = Some(self.now);
        self.outgoing.extend(self.repeat.flight.iter().cloned());
    }

    fn repeat_is_over(&self) -> bool {
        self.handshake.done && (self.handshake.heard || self.timeout.is_none())
    }
}
