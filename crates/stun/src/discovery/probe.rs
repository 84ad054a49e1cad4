//! One Binding request under way.

use std::net::SocketAddr;
use std::time::Instant;

use rand::rngs::StdRng;

use crate::message::{ChangeRequest, Message};
use crate::transaction::{Retransmission, TimedOut, Transaction};
use crate::types::{Class, Method, TransactionId};
use crate::writer::Writer;

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) id: TransactionId,
    to: SocketAddr,
    bytes: Vec<u8>,
    transaction: Transaction,
    due: bool,
}

impl Probe {
    pub(super) fn new(
        now: Instant,
        to: SocketAddr,
        change: ChangeRequest,
        response_port: Option<u16>,
        schedule: Retransmission,
        rng: &mut StdRng,
    ) -> Self {
        let id = TransactionId::random(rng);
        let mut bytes = Vec::with_capacity(40);
        let mut writer = Writer::new(&mut bytes, Class::Request, Method::BINDING, id);
        if change != ChangeRequest::default() {
            writer.change_request(change);
        }
        if let Some(port) = response_port {
            writer.response_port(port);
        }
        // FINGERPRINT would not be compatible with servers of RFC 3489 (RFC 8489 §7).
        writer.finish(false);
        Self {
            id,
            to,
            bytes,
            transaction: Transaction::with(now, schedule),
            due: true,
        }
    }

    pub(super) fn poll_transmit(&mut self, buf: &mut Vec<u8>) -> Option<super::Transmit> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        buf.extend_from_slice(&self.bytes);
        Some(super::Transmit {
            remote: self.to,
            len: self.bytes.len(),
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.transaction.poll_timeout()
    }

    /// `true` when nobody answered.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        match self.transaction.handle_timeout(now) {
            Some(TimedOut::Resend) => {
                self.due = true;
                false
            }
            Some(TimedOut::Failed) => true,
            None => false,
        }
    }

    /// The answer to this request, whoever sent it: tests ask servers to answer from elsewhere.
    pub(super) fn answer<'a>(&self, data: &'a [u8]) -> Option<Message<'a>> {
        let message = Message::parse(data).ok()?;
        let answers = matches!(message.class(), Class::Success | Class::Error)
            && message.method() == Method::BINDING
            && message.transaction_id() == self.id;
        answers.then_some(message)
    }

    /// Whether this is the request itself, come back by way of the outside address.
    pub(super) fn is_own(&self, data: &[u8]) -> bool {
        data == self.bytes
    }
}
