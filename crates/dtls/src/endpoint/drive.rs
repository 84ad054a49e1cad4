//! Calls into dimpl, and what comes out of them.

use std::time::{Duration, Instant};

use dimpl::{Dtls, Output};

use crate::config::Role;
use crate::error::Error;
use crate::fingerprint;
use crate::records::Records;
use crate::srtp_profile::SrtpKeys;

use super::{CipherSuite, Endpoint, Event, State, engine, failure};

/// dimpl names an instant in the far future when it waits for nothing.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When to ask again if dimpl names an instant that has passed.
const SHORT: Duration = Duration::from_millis(10);

impl Endpoint {
    /// Tells the engine the time.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
        let engine_now = self.origin.1 + now.saturating_duration_since(self.origin.0);
        self.drive(|engine| engine.handle_timeout(engine_now));
    }

    /// Calls the engine and takes what comes out of it.
    pub(super) fn drive(&mut self, call: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        if self.is_over() {
            return;
        }
        self.open_batch();
        let Some(engine) = &mut self.engine else {
            return;
        };
        let result = self.notebook.during(|| call(engine));
        self.drain();
        self.close_batch();
        match result {
            Ok(()) => {}
            Err(error) if failure::is_ignorable(&error) => {
                tracing::debug!(%error, "datagram ignored");
                self.counters.unexpected += 1;
            }
            Err(error) => self.fail(failure::classify(error)),
        }
    }

    /// Takes all outputs.
    fn drain(&mut self) {
        while !self.is_over() {
            let (Some(engine), scratch) = (&mut self.engine, &mut self.scratch) else {
                return;
            };
            match self.notebook.during(|| engine.poll_output(scratch)) {
                Output::Packet(packet) => {
                    let len = packet.len();
                    self.note_sent(len);
                    self.send(len);
                }
                Output::BufferTooSmall { needed } => self.scratch.resize(needed, 0),
                Output::Timeout(at) => {
                    let at = self.origin.0 + at.saturating_duration_since(self.origin.1);
                    // dimpl 1.3 may name an instant that has passed, again and again.
                    let at = if at <= self.now { self.now + SHORT } else { at };
                    self.timeout = (at < self.now + FAR).then_some(at);
                    break;
                }
                Output::Connected => self.handshake.done = true,
                Output::PeerCert(der) => {
                    self.handshake.peer_certificate = Some(der.to_vec());
                    self.verify();
                }
                Output::KeyingMaterial(material, profile) => {
                    let client = self.role == Role::Client;
                    self.handshake.srtp = engine::profile(profile)
                        .and_then(|profile| SrtpKeys::split(profile, &material, client));
                }
                Output::CloseNotify => {
                    // dimpl 1.2 answers in kind; the answer is a datagram still to come.
                    self.verify();
                    self.drain_datagrams();
                    self.timeout = None;
                    self.enter(State::Closed);
                    self.events.push_back(Event::CloseNotify);
                }
                _ => {}
            }
        }
        if self.records.is_none() {
            self.records = Records::new(&self.notebook, self.role == Role::Client);
        }
        self.write_key_log();
        self.verify();
    }

    /// Lets go of the engine, and of all that belongs to the handshake alone, when its last flight is through: a connection
    /// keeps a third of what it held. What the peer may still ask for is answered by [`Endpoint::repeat_final`].
    pub(super) fn retire_engine(&mut self) {
        let waits = self.state != State::Connected || self.timeout.is_some();
        if self.engine.is_none() || waits {
            return;
        }
        let Some(records) = &mut self.records else {
            return;
        };
        if !records.forget_engine() {
            return;
        }
        self.engine = None;
        self.notebook.forget_handshake();
        self.scratch = Vec::new();
    }

    /// Queues the datagram that lies in the scratch buffer, with the records of protected epochs under our numbers.
    fn send(&mut self, len: usize) {
        let Some(datagram) = self.scratch.get(..len) else {
            return;
        };
        if self.records.is_none() {
            self.records = Records::new(&self.notebook, self.role == Role::Client);
        }
        let datagram = match &mut self.records {
            Some(records) => records.reseal(datagram),
            None => Ok(datagram.to_vec()),
        };
        match datagram {
            Ok(datagram) => {
                self.note_batch(&datagram);
                self.outgoing.push_back(datagram);
            }
            // Nothing of the engine's may leave as it is.
            Err(error) => self.fail(Error::Local(error.to_string())),
        }
    }

    /// Takes the datagrams that are left at the end of a connection.
    fn drain_datagrams(&mut self) {
        loop {
            let (Some(engine), scratch) = (&mut self.engine, &mut self.scratch) else {
                return;
            };
            match self.notebook.during(|| engine.poll_output(scratch)) {
                Output::Packet(packet) => {
                    let len = packet.len();
                    self.send(len);
                }
                Output::BufferTooSmall { needed } => self.scratch.resize(needed, 0),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
    }

    /// Counts the records of the datagram that lies in the scratch buffer, while that may still be of use.
    fn note_sent(&mut self, len: usize) {
        let Some(datagram) = self.scratch.get(..len) else {
            return;
        };
        if self.role == Role::Client && !self.handshake.done {
            self.handshake.client_random =
                super::secrets::client_random(datagram).or(self.handshake.client_random);
        }
        self.sent.note(datagram);
    }

    /// Holds the peer's certificate against the promised fingerprints, once both are there.
    pub(super) fn verify(&mut self) {
        if self.state != State::Connecting || self.config.remote_fingerprints.is_empty() {
            return;
        }
        let Some(certificate) = &self.handshake.peer_certificate else {
            return;
        };
        if !self.handshake.verified
            && !fingerprint::verify(&self.config.remote_fingerprints, certificate)
        {
            self.fail(Error::FingerprintMismatch);
            return;
        }
        self.handshake.verified = true;
        let Some(version) = self.version().filter(|_| self.handshake.done) else {
            return;
        };
        let srtp = self.handshake.srtp.take();
        if srtp
            .as_ref()
            .is_some_and(|keys| !self.config.srtp_profiles.contains(&keys.profile))
        {
            self.fail(Error::NoSrtpProfile);
            return;
        }
        let peer_certificate = certificate.clone();
        self.enter(State::Connected);
        tracing::info!(?version, "DTLS connected");
        self.events.push_back(Event::Connected {
            version,
            cipher: CipherSuite(self.notebook.suite.unwrap_or_default()),
            srtp,
            peer_certificate,
        });
    }

    /// Ends the connection, with an alert to the peer if it was not the peer who ended it.
    pub(super) fn fail(&mut self, error: Error) {
        if self.is_over() {
            return;
        }
        tracing::info!(%error, "DTLS failed");
        self.timeout = None;
        self.incoming.clear();
        self.incoming_lengths.clear();
        if let Some(description) = error.sent_alert() {
            // What was still to be sent belongs to a handshake that is not to be finished.
            self.outgoing.clear();
            let alert = self.sent.alert(
                self.records.as_mut(),
                self.role,
                self.handshake.done,
                &self.notebook,
                description,
            );
            self.outgoing.extend(alert);
        }
        self.enter(State::Failed);
        self.events.push_back(Event::Failed(error));
    }

    pub(super) fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.events.push_back(Event::StateChange(state));
        }
    }
}
