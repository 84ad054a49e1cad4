//! One end of a DTLS connection.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use dimpl::{Dtls, Output};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::certificate::Certificate;
use crate::config::{Config, Role, Version, Versions};
use crate::error::{Error, ExportError, NewError, SealError};
use crate::fingerprint::{self, Fingerprint};
use crate::provider::{self, Notebook};
use crate::srtp_profile::{SrtpKeys, SrtpProfile};

mod failure;

/// A cipher suite, by its IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CipherSuite(pub u16);

/// The IANA name, as the W3C statistics' `dtlsCipher` shows it.
impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0x1301 => "TLS_AES_128_GCM_SHA256",
            0x1302 => "TLS_AES_256_GCM_SHA384",
            0x1303 => "TLS_CHACHA20_POLY1305_SHA256",
            0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            other => return write!(f, "{other:#06x}"),
        })
    }
}

/// Where a connection stands (W3C WebRTC §5.5.1, RTCDtlsTransportState).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing has happened yet.
    New,
    /// The handshake is on, or done and waiting for the peer's fingerprint.
    Connecting,
    /// The handshake is done and the peer's certificate is the promised one.
    Connected,
    /// Closed in order, by either side.
    Closed,
    /// Ended by an error.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state changed. Precedes the event that tells why.
    StateChange(State),
    /// Connected to the peer with the promised fingerprint.
    Connected {
        /// The version agreed on.
        version: Version,
        /// The cipher suite agreed on.
        cipher: CipherSuite,
        /// Keys for SRTP, if a profile was agreed on.
        srtp: Option<SrtpKeys>,
        /// The peer's certificate, DER.
        peer_certificate: Vec<u8>,
    },
    /// The connection failed.
    Failed(Error),
    /// The peer closed the connection.
    CloseNotify,
}

/// What was thrown away, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams taken in, whatever became of them.
    pub datagrams: u64,
    /// Datagrams that are no DTLS records: a first byte outside of 20..=63 (RFC 7983 §7), or cut short.
    pub malformed: u64,
    /// Datagrams after the end of the connection.
    pub after_end: u64,
    /// Decrypted records dropped because [`Config::receive_buffer`] was full.
    pub buffer_full: u64,
}

/// Whether a datagram is DTLS when several protocols share a port (RFC 7983 §7).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// One end of a DTLS connection: no socket, no clock, no thread.
///
/// - commands: [`seal`](Self::seal), [`set_remote_fingerprints`](Self::set_remote_fingerprints), [`close`](Self::close);
/// - inputs: [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout);
/// - outputs: [`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout),
///   [`poll_event`](Self::poll_event), [`poll_data`](Self::poll_data);
/// - queries: [`state`](Self::state), [`remote_certificate`](Self::remote_certificate), [`counters`](Self::counters), …
///
/// The loop: hand in what arrived or the time that came, then poll until nothing is due. Any method may be called at
/// any time; outputs wait until they are polled.
pub struct Endpoint {
    engine: Dtls,
    notebook: Notebook,
    role: Role,
    state: State,
    config: Config,
    handshake: Handshake,
    timeout: Option<Instant>,
    events: VecDeque<Event>,
    /// Datagrams to be sent, one after the other, and their lengths.
    outgoing: VecDeque<u8>,
    outgoing_lengths: VecDeque<usize>,
    /// Decrypted records, one after the other, and their lengths.
    incoming: BytesMut,
    incoming_lengths: VecDeque<usize>,
    /// What dimpl writes its outputs to.
    scratch: Vec<u8>,
    counters: Counters,
}

/// What the handshake has yielded so far.
#[derive(Default)]
struct Handshake {
    peer_certificate: Option<Vec<u8>>,
    verified: bool,
    done: bool,
    srtp: Option<SrtpKeys>,
}

impl Endpoint {
    /// Makes an endpoint. A client's ClientHello is ready to be polled at once.
    pub fn new(
        config: Config,
        role: Role,
        certificate: &Certificate,
        now: Instant,
        mut rng: StdRng,
    ) -> Result<Self, NewError> {
        if config.mtu < Config::MIN_MTU {
            return Err(NewError::MtuTooSmall(config.mtu));
        }
        let settings = Arc::new(engine_config(&config, &mut rng)?);
        let identity = dimpl::DtlsCertificate {
            certificate: certificate.der().to_vec(),
            private_key: certificate.private_key().to_vec(),
        };
        let mut notebook = Notebook {
            rng: config.insecure_deterministic.then_some(rng),
            ..Notebook::default()
        };
        let engine = notebook.during(|| {
            let mut engine = match config.versions {
                Versions::Auto => Dtls::new_auto(settings, identity, now),
                Versions::Dtls12 => Dtls::new_12(settings, identity, now),
                Versions::Dtls13 => Dtls::new_13(settings, identity, now),
            };
            engine.set_active(role == Role::Client);
            engine
        });
        let mut endpoint = Self {
            engine,
            notebook,
            role,
            state: State::New,
            config,
            handshake: Handshake::default(),
            timeout: None,
            events: VecDeque::new(),
            outgoing: VecDeque::new(),
            outgoing_lengths: VecDeque::new(),
            incoming: BytesMut::new(),
            incoming_lengths: VecDeque::new(),
            scratch: vec![0; 2048],
            counters: Counters::default(),
        };
        endpoint.drive(|engine| engine.handle_timeout(now));
        if role == Role::Client {
            endpoint.enter(State::Connecting);
        }
        Ok(endpoint)
    }

    /// Sets the fingerprints the peer's certificate must match. They may come after the first packets: until then the
    /// handshake goes on, but nothing is delivered and nothing may be sent.
    pub fn set_remote_fingerprints(&mut self, fingerprints: Vec<Fingerprint>) {
        self.config.remote_fingerprints = fingerprints;
        self.verify();
    }

    /// Takes in a datagram.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.counters.datagrams += 1;
        if !is_dtls(datagram) {
            self.counters.malformed += 1;
            return;
        }
        if matches!(self.state, State::Closed | State::Failed) {
            self.counters.after_end += 1;
            return;
        }
        if self.state == State::New {
            self.enter(State::Connecting);
        }
        // dimpl reads its clock from the last timeout handled.
        self.drive(|engine| engine.handle_timeout(now));
        self.drive(|engine| engine.handle_packet(datagram));
    }

    /// Acts on the time that has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.timeout.is_some_and(|timeout| timeout <= now) {
            self.drive(|engine| engine.handle_timeout(now));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    /// Appends one datagram to be sent and returns its length.
    pub fn poll_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let len = self.outgoing_lengths.pop_front()?;
        buf.extend(self.outgoing.drain(..len));
        Some(len)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends one decrypted record and returns its length. Nothing before the peer's certificate is verified.
    pub fn poll_data(&mut self, out: &mut BytesMut) -> Option<usize> {
        if !self.handshake.verified {
            return None;
        }
        let len = self.incoming_lengths.pop_front()?;
        out.extend_from_slice(&self.incoming[..len]);
        self.incoming.advance(len);
        Some(len)
    }

    /// Replaces the plaintext `buf[start..]` by the record that carries it.
    pub fn seal(&mut self, now: Instant, buf: &mut Vec<u8>, start: usize) -> Result<(), SealError> {
        match self.state {
            State::New | State::Connecting => return Err(SealError::NotConnected),
            State::Closed | State::Failed => return Err(SealError::Closed),
            State::Connected => {}
        }
        let plaintext = buf.get(start..).ok_or(SealError::BadStart)?;
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        let engine = &mut self.engine;
        self.notebook
            .during(|| {
                let _ = engine.handle_timeout(now);
                engine.send_application_data(plaintext)
            })
            .map_err(|_| SealError::Crypto)?;
        buf.truncate(start);
        let before = self.outgoing_lengths.len();
        self.drain();
        if let Some(len) = self.outgoing_lengths.remove(before) {
            let tail = self.outgoing.len() - self.outgoing_lengths.range(before..).sum::<usize>();
            buf.extend(self.outgoing.drain(tail - len..tail));
        }
        Ok(())
    }

    /// The most that [`seal`](Self::seal) adds.
    pub fn max_overhead(&self) -> usize {
        MAX_OVERHEAD
    }

    /// Closes the connection: a close_notify alert is ready to be polled if the handshake was done.
    pub fn close(&mut self, now: Instant) {
        if matches!(self.state, State::Closed | State::Failed) {
            return;
        }
        self.drive(|engine| engine.handle_timeout(now));
        self.drive(Dtls::close);
        if self.state != State::Failed {
            self.timeout = None;
            self.enter(State::Closed);
        }
    }

    /// Where the connection stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The peer's certificate, DER, as soon as it has shown it; verified once [`State::Connected`].
    pub fn remote_certificate(&self) -> Option<&[u8]> {
        self.handshake.peer_certificate.as_deref()
    }

    /// What was thrown away.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Exports keying material (RFC 5705, RFC 8446 §7.5).
    pub fn export(
        &self,
        _label: &str,
        _context: Option<&[u8]>,
        _out: &mut [u8],
    ) -> Result<(), ExportError> {
        Err(ExportError::NotConnected)
    }

    /// Calls the engine and takes what comes out of it.
    fn drive(&mut self, call: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>) {
        if matches!(self.state, State::Closed | State::Failed) {
            return;
        }
        let engine = &mut self.engine;
        let result = self.notebook.during(|| call(engine));
        self.drain();
        if let Err(error) = result {
            self.fail(failure::classify(error));
        }
    }

    fn drain(&mut self) {
        let mut finished = false;
        loop {
            let (engine, scratch) = (&mut self.engine, &mut self.scratch);
            match self.notebook.during(|| engine.poll_output(scratch)) {
                Output::Packet(packet) => {
                    self.outgoing.extend(packet);
                    self.outgoing_lengths.push_back(packet.len());
                }
                Output::BufferTooSmall { needed } => self.scratch.resize(needed, 0),
                Output::Timeout(at) => {
                    self.timeout = Some(at);
                    break;
                }
                Output::Connected => finished = true,
                Output::PeerCert(der) => {
                    if self.handshake.peer_certificate.is_none() {
                        self.handshake.peer_certificate = Some(der.to_vec());
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    self.handshake.srtp = profile_of(profile).and_then(|profile| {
                        SrtpKeys::split(profile, &material, self.role == Role::Client)
                    });
                }
                Output::ApplicationData(data) => {
                    if self.incoming.len() + data.len() > self.config.receive_buffer {
                        self.counters.buffer_full += 1;
                    } else {
                        self.incoming.extend_from_slice(data);
                        self.incoming_lengths.push_back(data.len());
                    }
                }
                Output::CloseNotify => {
                    self.enter(State::Closed);
                    self.events.push_back(Event::CloseNotify);
                }
                _ => {}
            }
        }
        if finished {
            self.handshake.done = true;
        }
        self.verify();
    }

    /// Holds the peer's certificate against the promised fingerprints, once both are there.
    fn verify(&mut self) {
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
        if self.handshake.done {
            let peer_certificate = certificate.clone();
            self.enter(State::Connected);
            self.events.push_back(Event::Connected {
                version: match self.engine.protocol_version() {
                    Some(version) if version == dimpl::ProtocolVersion::DTLS1_3 => Version::Dtls13,
                    _ => Version::Dtls12,
                },
                cipher: CipherSuite(self.notebook.suite.unwrap_or_default()),
                srtp: self.handshake.srtp.clone(),
                peer_certificate,
            });
        }
    }

    fn fail(&mut self, error: Error) {
        self.timeout = None;
        self.incoming.clear();
        self.incoming_lengths.clear();
        self.enter(State::Failed);
        self.events.push_back(Event::Failed(error));
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.events.push_back(Event::StateChange(state));
        }
    }
}

/// RFC 6347 §4.1: a record's plaintext is at most 2^14 bytes.
const MAX_PLAINTEXT: usize = 1 << 14;
/// Header, explicit nonce and tag of an AES-GCM record of DTLS 1.2 (RFC 6347 §4.1, RFC 5288 §3); 1.3 needs less.
const MAX_OVERHEAD: usize = 13 + 8 + 16;
/// dimpl names an instant in the far future when it waits for nothing.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn profile_of(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmHmacSha1_80),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        _ => None,
    }
}

fn engine_config(config: &Config, rng: &mut StdRng) -> Result<dimpl::Config, NewError> {
    let mut builder = dimpl::Config::builder()
        .with_crypto_provider(provider::provider())
        .mtu(config.mtu)
        .use_server_cookie(config.cookie)
        .flight_start_rto(config.initial_timeout)
        .flight_retries(config.max_retransmissions)
        .handshake_timeout(config.handshake_timeout)
        .max_queue_rx(256)
        .max_queue_tx(256);
    if config.insecure_deterministic {
        builder = builder.dangerously_set_rng_seed(rng.random());
    }
    builder
        .build()
        .map_err(|error| NewError::InvalidConfig(error.to_string()))
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
