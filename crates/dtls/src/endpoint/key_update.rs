//! Messages after the handshake of DTLS 1.3: KeyUpdate in both directions, and tickets, which are acknowledged and ignored.
//!
//! Repetitions need no message numbers to be told: a sender has one KeyUpdate under way at most, sends it under the old keys
//! and nothing under the new ones before it is acknowledged (RFC 9147 §8). So a KeyUpdate in the current epoch is a new one,
//! and in the epoch before, a repetition.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::Role;
use crate::error::Error;
use crate::records::{Opened, Records, content};

use super::Endpoint;

/// Handshake types (RFC 8446 §4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// `msg_type`, length, `message_seq`, offset and length of the fragment (RFC 9147 §5.2).
const HEADER: usize = 12;
/// How many transmissions of a KeyUpdate can be told apart in an acknowledgement.
const MAX_TRANSMISSIONS: usize = 32;

/// A KeyUpdate of ours that is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Pending {
    message: [u8; HEADER + 1],
    /// The epoch and the numbers it was sent under.
    epoch: u64,
    numbers: VecDeque<u64>,
    due: Instant,
    interval: Duration,
}

impl Endpoint {
    /// A handshake record of an application epoch.
    pub(super) fn received_handshake(&mut self, opened: Opened, content: &[u8]) {
        if !self.handshake.done {
            self.counters.unexpected += 1;
            return;
        }
        let mut rest = content;
        let mut known = false;
        while let Some((kind, body, tail)) = next_message(rest) {
            rest = tail;
            match kind {
                KEY_UPDATE => {
                    let &[request @ (0 | 1)] = body else {
                        // RFC 8446 §4.6.3.
                        let reason = "a KeyUpdate with an unknown request";
                        return self.fail(Error::PeerMisbehaved(reason.to_owned()));
                    };
                    self.received_key_update(opened.epoch, request == 1);
                    known = true;
                }
                NEW_SESSION_TICKET if self.role == Role::Client => known = true,
                _ => self.counters.unexpected += 1,
            }
        }
        if known {
            self.acknowledge(opened);
        }
    }

    fn received_key_update(&mut self, epoch: u64, requested: bool) {
        let Some(Records::V13(records)) = &mut self.records else {
            return;
        };
        if epoch == records.read_epoch() {
            let Some(secret) = records.update_read().cloned() else {
                return self.fail(Error::Local("key derivation".to_owned()));
            };
            let peer = match self.role {
                Role::Client => "SERVER",
                Role::Server => "CLIENT",
            };
            self.log_update(peer, epoch + 1, &secret);
            if requested {
                self.start_key_update(false);
            }
        }
    }

    /// Acknowledges a record (RFC 9147 §7).
    fn acknowledge(&mut self, opened: Opened) {
        let Some(records) = &mut self.records else {
            return;
        };
        let mut ack = [0; 2 + 16];
        ack[1] = 16;
        ack[2..10].copy_from_slice(&opened.epoch.to_be_bytes());
        ack[10..].copy_from_slice(&opened.number.to_be_bytes());
        if let Ok(datagram) = records.datagram(content::ACK, &ack) {
            self.outgoing.push_back(datagram);
        }
    }

    /// Starts a KeyUpdate unless one is under way.
    pub(super) fn start_key_update(&mut self, request: bool) {
        let Some(Records::V13(records)) = &self.records else {
            return;
        };
        if self.update.is_some() || self.is_over() || !self.handshake.done {
            return;
        }
        let [high, low] = self.notebook.next_message.to_be_bytes();
        self.notebook.next_message = self.notebook.next_message.wrapping_add(1);
        let message = [
            KEY_UPDATE,
            0,
            0,
            1,
            high,
            low,
            0,
            0,
            0,
            0,
            0,
            1,
            u8::from(request),
        ];
        self.update = Some(Pending {
            message,
            epoch: records.next().0,
            numbers: VecDeque::new(),
            due: self.now,
            interval: self.config.initial_timeout,
        });
        self.repeat_key_update();
    }

    /// When an unacknowledged KeyUpdate is to be sent again.
    pub(super) fn key_update_at(&self) -> Option<Instant> {
        let pending = self.update.as_ref().filter(|_| !self.is_over())?;
        Some(pending.due)
    }

    /// Sends it again if it is due, under a new number.
    pub(super) fn repeat_key_update(&mut self) {
        let now = self.now;
        if self.key_update_at().is_none_or(|due| due > now) {
            return;
        }
        let (Some(pending), Some(Records::V13(records))) = (&mut self.update, &mut self.records)
        else {
            return;
        };
        pending.due = now + pending.interval;
        pending.interval = (2 * pending.interval).min(self.config.max_timeout);
        let (_, number) = records.next();
        let sealed = match &mut self.records {
            Some(records) => records.datagram(content::HANDSHAKE, &pending.message),
            None => return,
        };
        if let Ok(datagram) = sealed {
            pending.numbers.truncate(MAX_TRANSMISSIONS - 1);
            pending.numbers.push_front(number);
            self.outgoing.push_back(datagram);
        }
    }

    /// Writes under the next keys if an acknowledgement names the KeyUpdate under way.
    pub(super) fn key_update_acknowledged(&mut self, content: &[u8]) {
        let (Some(pending), Some((_, numbers))) = (&self.update, content.split_first_chunk::<2>())
        else {
            return;
        };
        let (numbers, _) = numbers.as_chunks::<16>();
        let named = numbers.iter().any(|number| {
            let number = u128::from_be_bytes(*number);
            (number >> 64) as u64 == pending.epoch && pending.numbers.contains(&(number as u64))
        });
        let epoch = pending.epoch + 1;
        if named && let Some(Records::V13(records)) = &mut self.records {
            self.update = None;
            let Some(secret) = records.update_write().cloned() else {
                return self.fail(Error::Local("key derivation".to_owned()));
            };
            let own = match self.role {
                Role::Client => "CLIENT",
                Role::Server => "SERVER",
            };
            self.log_update(own, epoch, &secret);
        }
    }
}

/// The type and the body of the first message, and what follows. Fragments are none: these messages are short, and the
/// content of tickets does not matter.
fn next_message(content: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (header, rest) = content.split_first_chunk::<HEADER>()?;
    let len = usize::from(header[10]) << 8 | usize::from(header[11]);
    let (body, tail) = rest.split_at_checked(len)?;
    Some((header[0], body, tail))
}
