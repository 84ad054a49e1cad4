//! Records that are opened here, and what they hold.

use crate::alert::{self, Wish};
use crate::config::{Role, Version};
use crate::error::Error;
use crate::record::Header;
use crate::records::{MAX_FORGERIES, Opened, Records, Refused, content};

use super::{Endpoint, Event, State};

/// How much memory is taken for plaintext: an arena for many records, taken again when the reader has let go of them. It
/// begins small, as most connections are idle most of the time, and doubles as long as it fills up.
pub(super) const FIRST_ARENA: usize = 1024;
const LARGEST_ARENA: usize = 64 * 1024;

/// Who takes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    Here,
    Engine,
    /// It can be of no use any more, or not yet.
    Nobody,
}

impl Endpoint {
    /// Who takes a record. The engine must not see one of ours: its replay window would follow, and it would refuse what is
    /// made for it afterwards.
    pub(super) fn taker(&self, header: Header, record: &[u8]) -> Taker {
        let done = self.handshake.done;
        match (header, &self.records) {
            (Header::Plain { epoch: 0, .. }, Some(_)) if done && self.handshake.heard => {
                Taker::Nobody
            }
            (Header::Plain { epoch: 1, .. }, Some(Records::V12(_))) => match record.first() {
                Some(&content::APPLICATION_DATA) => Taker::Here,
                Some(&content::ALERT) if done => Taker::Here,
                _ => Taker::Engine,
            },
            (Header::Unified { epoch }, Some(Records::V13(records))) if records.takes(epoch) => {
                Taker::Here
            }
            // Data that overtook the handshake.
            (Header::Unified { epoch: 3 }, None) => Taker::Nobody,
            _ => Taker::Engine,
        }
    }

    /// Opens a record and acts on its content.
    #[inline]
    pub(super) fn receive(&mut self, record: &[u8]) {
        let Some(records) = &mut self.records else {
            return;
        };
        if self.incoming.capacity() - self.incoming.len() < record.len() {
            self.incoming.reserve(self.arena.max(record.len()));
            self.arena = LARGEST_ARENA.min(self.arena * 2);
        }
        let opened = match records.open(record, &mut self.incoming) {
            Ok(opened) => opened,
            Err(Refused::Authentication) if is_epoch_2(record) => {
                // Not of epoch 6 or another with these bits, then: a Finished whose acknowledgement was lost.
                self.prepare_engine(record);
                return self.receive_by_engine(record);
            }
            Err(refused) => return self.refused(refused),
        };
        if opened.kind == content::APPLICATION_DATA {
            self.received_data(opened);
        } else {
            // Rare and short.
            let at = self.incoming.len() - opened.len;
            let content = self.incoming[at..].to_vec();
            self.incoming.truncate(at);
            self.received_other(opened, &content);
        }
    }

    #[inline]
    fn received_data(&mut self, opened: Opened) {
        if self.incoming.len() > self.config.receive_buffer {
            self.incoming.truncate(self.incoming.len() - opened.len);
            self.counters.buffer_full += 1;
        } else {
            self.incoming_lengths.push_back(opened.len);
        }
        if !self.handshake.heard && self.handshake.done {
            self.handshake.heard = true;
            // A server of DTLS 1.3 may send data before it has its client's Finished.
            if self.role == Role::Server || matches!(self.records, Some(Records::V12(_))) {
                self.repeat.forget_flight();
            }
        }
    }

    fn received_other(&mut self, opened: Opened, content: &[u8]) {
        match opened.kind {
            content::ALERT => self.received_alert(content),
            content::ACK => self.received_ack(content),
            content::HANDSHAKE => self.received_handshake(opened, content),
            _ => self.counters.unexpected += 1,
        }
    }

    fn received_alert(&mut self, content: &[u8]) {
        let version = self
            .records
            .as_ref()
            .map_or(Version::Dtls13, Records::version);
        match alert::read(version, content) {
            Wish::Nothing => {}
            Wish::Fail(description) => self.fail(Error::PeerAlert(description)),
            Wish::Close => {
                self.verify();
                if self.is_over() {
                    return;
                }
                // In kind (RFC 5246 §7.2.1); in 1.3 this closes our direction (RFC 8446 §6.1).
                self.send_close_notify();
                self.timeout = None;
                self.enter(State::Closed);
                self.events.push_back(Event::CloseNotify);
            }
        }
    }

    /// Puts a close_notify into the queue.
    pub(super) fn send_close_notify(&mut self) {
        if let Some(records) = &mut self.records
            && let Ok(datagram) = records.datagram(content::ALERT, &alert::CLOSE_NOTIFY)
        {
            self.outgoing.push_back(datagram);
        }
    }

    /// An acknowledgement concerns our KeyUpdate, or the engine's last flight.
    fn received_ack(&mut self, content: &[u8]) {
        self.key_update_acknowledged(content);
        // Only a client's last flight waits for one in these epochs (RFC 9147 §5.8.1).
        if self.timeout.is_some()
            && let Some(Records::V13(records)) = &mut self.records
            && let Some(record) = records.for_engine(content::ACK, content)
        {
            self.tick(self.now);
            self.drive(|engine| engine.handle_packet(&record));
        }
    }

    #[cold]
    fn refused(&mut self, refused: Refused) {
        match refused {
            Refused::Authentication => {
                self.notebook.bad_tags += 1;
                self.counters.authentication = self.notebook.bad_tags;
                if let Some(Records::V13(records)) = &self.records {
                    if records.forged() >= MAX_FORGERIES {
                        self.fail(Error::PeerMisbehaved("too many forged records".to_owned()));
                    } else if records.forged() == MAX_FORGERIES / 2 {
                        self.start_key_update(true);
                    }
                }
            }
            Refused::Malformed | Refused::Replayed | Refused::UnknownEpoch => {
                self.counters.discarded += 1;
            }
        }
    }
}

/// Whether a record may be one of the handshake of DTLS 1.3 (RFC 9147 §4).
pub(super) fn is_epoch_2(record: &[u8]) -> bool {
    record.first().is_some_and(|first| first & 0xe3 == 0x22)
}
