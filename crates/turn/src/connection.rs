//! The connection that carries one peer's bytes when the relay speaks TCP (RFC 6062 §4.3, §4.4).

use std::time::Instant;

use rand::rngs::StdRng;
use stun::credentials::{LongTerm, Reaction};
use stun::{Class, Message, Method, TimedOut, Transaction, TransactionId, Writer};

use crate::client::Client;
use crate::event::Failure;
use crate::framing::StreamReader;

/// Where a data connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataState {
    /// The server has not yet tied the connection to its peer.
    Binding,
    /// Every byte from now on is the peer's, or for the peer.
    Bound,
    /// Close the connection.
    Failed(Failure),
}

/// A second connection to the server, by the same transport from another local port: it says which peer's bytes it carries,
/// and is then transparent.
///
/// Write what [`poll_transmit`](Self::poll_transmit) gives; feed what comes to [`handle_bytes`](Self::handle_bytes) until
/// [`state`](Self::state) is [`DataState::Bound`]; from then on the connection is the peer's own.
#[derive(Debug)]
pub struct DataConnection {
    auth: LongTerm,
    server: std::net::SocketAddr,
    connection_id: u32,
    rng: StdRng,
    state: DataState,
    reader: StreamReader,
    id: TransactionId,
    timer: Transaction,
    due: bool,
    attempts: u8,
}

impl DataConnection {
    /// For the connection id of [`crate::Event::Connected`] or [`crate::Event::ConnectionAttempt`].
    pub fn new(now: Instant, client: &Client, connection_id: u32, mut rng: StdRng) -> Self {
        Self {
            // "Authentication of the client by the server MUST use the same method and credentials as for the control
            // connection"; the nonce known there spares a round trip.
            auth: client.auth().clone(),
            server: client.server(),
            connection_id,
            id: TransactionId::random(&mut rng),
            rng,
            state: DataState::Binding,
            reader: StreamReader::new(),
            timer: Transaction::reliable(now),
            due: true,
            attempts: 0,
        }
    }

    /// Appends the ConnectionBind request.
    pub fn poll_transmit(&mut self, buf: &mut Vec<u8>) -> Option<usize> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        let mut writer = Writer::new(buf, Class::Request, Method::CONNECTION_BIND, self.id);
        writer.connection_id(self.connection_id);
        Some(self.auth.finish(&mut writer, false))
    }

    /// Bytes from the server while binding. Those that follow its answer are the peer's first, and are returned.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> Vec<u8> {
        if self.state == DataState::Bound {
            return bytes.to_vec();
        }
        self.reader.extend(bytes);
        while self.state == DataState::Binding {
            let frame = match self.reader.next_frame() {
                Ok(Some(frame)) => frame.to_vec(),
                Ok(None) => return Vec::new(),
                Err(error) => {
                    self.fail(None, &error.to_string());
                    return Vec::new();
                }
            };
            self.handle_frame(now, &frame);
        }
        match self.state {
            DataState::Bound => std::mem::take(&mut self.reader).into_rest(),
            _ => Vec::new(),
        }
    }

    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        let Ok(message) = Message::parse(frame) else {
            return;
        };
        if message.transaction_id() != self.id
            || !matches!(message.class(), Class::Success | Class::Error)
        {
            return;
        }
        match self
            .auth
            .handle_response(&message, self.auth.is_challenged())
        {
            Reaction::Retry if self.attempts < 4 => {
                self.attempts += 1;
                self.id = TransactionId::random(&mut self.rng);
                self.timer = Transaction::reliable(now);
                self.due = true;
            }
            Reaction::Accept if message.class() == Class::Success => self.state = DataState::Bound,
            Reaction::Refused(refusal) => {
                self.fail(message.error_code().map(|e| e.code), &refusal.to_string())
            }
            Reaction::Discard => self.fail(None, "the answer's integrity was wrong"),
            Reaction::Accept | Reaction::Retry => {
                let error = message.error_code();
                self.fail(error.map(|e| e.code), error.map_or("", |e| e.reason));
            }
        }
    }

    fn fail(&mut self, code: Option<u16>, reason: &str) {
        self.state = DataState::Failed(Failure {
            code,
            reason: reason.to_owned(),
            server: self.server,
        });
    }

    /// Where it stands.
    pub fn state(&self) -> &DataState {
        &self.state
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            DataState::Binding => self.timer.poll_timeout(),
            _ => None,
        }
    }

    /// Gives up when the server does not answer.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == DataState::Binding
            && self.timer.handle_timeout(now) == Some(TimedOut::Failed)
        {
            self.fail(None, "no answer");
        }
    }
}
