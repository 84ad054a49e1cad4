//! One end of a DTLS connection.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::BytesMut;
use dimpl::Dtls;
use rand::rngs::StdRng;

use crate::alert::Sent;
use crate::certificate::Certificate;
use crate::config::{Config, Role, Version, Versions};
use crate::error::{AlertDescription, Error, ExportError, NewError, SealError};
use crate::fingerprint::Fingerprint;
use crate::kdf::{self, Hash};
use crate::provider::Notebook;
use crate::record::{Header, records};
use crate::records::{MAX_PLAINTEXT, Records, content};
use crate::srtp_profile::SrtpKeys;

use receive::Taker;
use repeat::Repeat;

mod drive;
mod engine;
mod failure;
mod key_update;
mod receive;
mod repeat;
mod secrets;

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
    /// Datagrams that made no sense at their time and were ignored: a stranger's answer to the first ClientHello, a
    /// renegotiation, more out of order than is kept.
    pub unexpected: u64,
    /// Records whose tag was wrong: damaged or forged.
    pub authentication: u64,
    /// Records that went no further after the handshake: replayed, older than the window, of an unknown epoch, malformed.
    pub discarded: u64,
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
/// - queries: [`state`](Self::state), [`remote_certificate`](Self::remote_certificate), [`export`](Self::export),
///   [`counters`](Self::counters), …
///
/// The loop: hand in what arrived or the time that came, then poll until nothing is due. Any method may be called at
/// any time; outputs wait until they are polled.
pub struct Endpoint {
    /// Does the handshake; gone when nothing more can be asked of it.
    engine: Option<Box<Dtls>>,
    notebook: Notebook,
    role: Role,
    state: State,
    config: Config,
    handshake: Handshake,
    now: Instant,
    /// The instant of construction, and what the engine takes for it.
    origin: (Instant, Instant),
    timeout: Option<Instant>,
    events: VecDeque<Event>,
    /// Datagrams to be sent.
    outgoing: VecDeque<Vec<u8>>,
    sent: Sent,
    repeat: Repeat,
    /// Seals and opens the application's records, once there are keys.
    records: Option<Records>,
    /// A KeyUpdate under way.
    update: Option<key_update::Pending>,
    /// Decrypted records, one after the other, and their lengths.
    incoming: BytesMut,
    /// How much memory they get next.
    arena: usize,
    incoming_lengths: VecDeque<usize>,
    /// What dimpl writes its outputs to.
    scratch: Vec<u8>,
    counters: Counters,
}

/// What the handshake has yielded so far.
#[derive(Default)]
struct Handshake {
    client_random: Option<[u8; 32]>,
    /// How many secrets were written to the key log.
    logged: usize,
    peer_certificate: Option<Vec<u8>>,
    /// The peer's certificate has a promised fingerprint.
    verified: bool,
    /// Both Finished messages were right.
    done: bool,
    /// The peer has sent application data, so it is done as well.
    heard: bool,
    srtp: Option<SrtpKeys>,
}

impl Endpoint {
    /// Makes an endpoint. A client's ClientHello is ready to be polled at once.
    ///
    /// The generator is drawn from under [`Config::insecure_deterministic`] only: by default dimpl and the cryptographic
    /// provider take their randomness from the operating system, and cannot be told otherwise.
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
        let settings = engine::config(&config, &mut rng)?;
        let identity = dimpl::DtlsCertificate {
            certificate: certificate.der().to_vec(),
            private_key: certificate.private_key().to_vec(),
        };
        let engine_now = if config.insecure_deterministic {
            engine::same_instant(now)
        } else {
            now
        };
        let mut notebook = Notebook::default();
        notebook.rng = config.insecure_deterministic.then_some(rng);
        let engine = notebook.during(|| {
            let mut engine = match config.versions {
                Versions::Auto => Dtls::new_auto(settings, identity, engine_now),
                Versions::Dtls12 => Dtls::new_12(settings, identity, engine_now),
                Versions::Dtls13 => Dtls::new_13(settings, identity, engine_now),
            };
            engine.set_active(role == Role::Client);
            Some(Box::new(engine))
        });
        let mut endpoint = Self {
            engine,
            notebook,
            role,
            state: State::New,
            config,
            handshake: Handshake::default(),
            now,
            origin: (now, engine_now),
            timeout: None,
            events: VecDeque::new(),
            outgoing: VecDeque::new(),
            sent: Sent::default(),
            repeat: Repeat::default(),
            records: None,
            update: None,
            incoming: BytesMut::new(),
            arena: receive::FIRST_ARENA,
            incoming_lengths: VecDeque::new(),
            scratch: vec![0; 2048],
            counters: Counters::default(),
        };
        endpoint.tick(now);
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
        if self.is_over() {
            self.counters.after_end += 1;
            return;
        }
        if self.state == State::New {
            self.enter(State::Connecting);
        }
        self.now = now;
        let mut any = false;
        let mut ticked = false;
        for (header, record) in records(datagram) {
            any = true;
            if self.is_over() {
                break;
            }
            // The version of a protected record is authenticated (RFC 5246 §6.2.3.3) as what it should be.
            let wrong_version = matches!(header, Header::Plain { epoch: 1.., .. })
                && record.get(1..3) != Some(&[0xfe, 0xfd]);
            match self.taker(header, record) {
                _ if wrong_version => self.counters.discarded += 1,
                Taker::Here => self.receive(record),
                Taker::Engine => {
                    if !ticked {
                        self.prepare_engine(datagram);
                        ticked = true;
                    }
                    self.receive_by_engine(record);
                }
                Taker::Nobody => self.counters.discarded += 1,
            }
        }
        if !any {
            self.counters.malformed += 1;
        }
        self.retire_engine();
    }

    /// What the engine must know before it gets the records of a datagram.
    fn prepare_engine(&mut self, datagram: &[u8]) {
        if self.role == Role::Server {
            self.note_client_hello(datagram);
        }
        // dimpl reads the time from the last timeout it handled. Without a timer, that makes no difference.
        if !self.handshake.done || self.timeout.is_some() {
            self.tick(self.now);
        }
    }

    /// dimpl drops a whole datagram if its first message is an old one, also new messages that follow: a flight that was sent
    /// again in other portions would never get through. So it gets one record at a time.
    fn receive_by_engine(&mut self, record: &[u8]) {
        if self.engine.is_none() {
            self.counters.discarded += 1;
            self.repeat_final(record);
            return;
        }
        if let Some(description) = self.early_alert(record) {
            self.fail(Error::PeerAlert(description));
            return;
        }
        let before = self.progress();
        self.drive(|engine| engine.handle_packet(record));
        let bad_tags = self.notebook.bad_tags;
        if self.counters.authentication != bad_tags {
            self.counters.authentication = bad_tags;
        } else if self.handshake.done && self.progress() == before {
            self.counters.discarded += 1;
            self.repeat_final(record);
        }
    }

    /// Acts on the time that has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|timeout| timeout <= now) {
            self.tick(now);
            self.repeat_if_due();
            self.repeat_key_update();
            self.retire_engine();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let engine = self.repeat_at().or(self.timeout);
        match (engine, self.key_update_at()) {
            (Some(engine), Some(update)) => Some(engine.min(update)),
            (engine, update) => engine.or(update),
        }
    }

    /// Appends one datagram to be sent and returns its length.
    pub fn poll_transmit(&mut self, _now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let datagram = self.outgoing.pop_front()?;
        buf.extend_from_slice(&datagram);
        Some(datagram.len())
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next decrypted record. Nothing before the handshake is done and the peer's certificate is verified.
    ///
    /// It lies in a piece of memory that many records share, and that is used again when all of them are dropped.
    pub fn poll_data(&mut self) -> Option<BytesMut> {
        if !self.handshake.verified || !self.handshake.done {
            return None;
        }
        let len = self.incoming_lengths.pop_front()?;
        Some(self.incoming.split_to(len))
    }

    /// Replaces the plaintext `buf[start..]` by the record that carries it, a datagram of its own. In place, and without an
    /// allocation if the buffer has [`max_overhead`](Self::max_overhead) bytes of capacity left.
    ///
    /// What [`poll_transmit`](Self::poll_transmit) still has should be sent first: a server is connected when its Finished
    /// is ready, and a record that overtakes it may be dropped by the client; and a KeyUpdate may be waiting that the peer
    /// has asked for.
    pub fn seal(&mut self, now: Instant, buf: &mut Vec<u8>, start: usize) -> Result<(), SealError> {
        match self.state {
            State::New | State::Connecting => return Err(SealError::NotConnected),
            State::Closed | State::Failed => return Err(SealError::Closed),
            State::Connected => {}
        }
        let len = buf.len().checked_sub(start).ok_or(SealError::BadStart)?;
        if len > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        let records = self.records.as_mut().ok_or(SealError::NotConnected)?;
        records.seal(content::APPLICATION_DATA, buf, start)?;
        if let Records::V13(records) = records
            && records.next().1 >= self.config.key_update_after
            && self.update.is_none()
        {
            self.now = now;
            self.start_key_update(false);
        }
        Ok(())
    }

    /// The most that [`seal`](Self::seal) adds.
    pub fn max_overhead(&self) -> usize {
        MAX_OVERHEAD
    }

    /// Closes the connection: a close_notify alert is ready to be polled if the handshake was done.
    pub fn close(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        self.now = now;
        if self.records.is_some() && self.handshake.done {
            self.send_close_notify();
        } else {
            self.tick(now);
            self.drive(Dtls::close);
        }
        if !self.is_over() {
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

    /// The version agreed on, once it is.
    pub fn version(&self) -> Option<Version> {
        let Some(engine) = &self.engine else {
            return self.records.as_ref().map(Records::version);
        };
        match engine.protocol_version()? {
            dimpl::ProtocolVersion::DTLS1_2 => Some(Version::Dtls12),
            dimpl::ProtocolVersion::DTLS1_3 => Some(Version::Dtls13),
            _ => None,
        }
    }

    /// The peer's certificate, DER, as soon as it has shown it; verified once [`State::Connected`].
    pub fn remote_certificate(&self) -> Option<&[u8]> {
        self.handshake.peer_certificate.as_deref()
    }

    /// What was thrown away.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Fills `out` with exported keying material (RFC 5705 §4, RFC 8446 §7.5). DTLS 1.3 knows no difference between no
    /// context and an empty one.
    pub fn export(
        &self,
        label: &str,
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExportError> {
        if self.state != State::Connected {
            return Err(ExportError::NotConnected);
        }
        let hash = Hash::of_suite(self.notebook.suite.ok_or(ExportError::NotConnected)?);
        let label = label.as_bytes();
        match self.version() {
            Some(Version::Dtls13) => {
                let secret = self
                    .notebook
                    .exporter
                    .as_ref()
                    .ok_or(ExportError::NotConnected)?;
                kdf::export_tls13(hash, secret, label, context.unwrap_or_default(), out)
            }
            _ => {
                let master = self
                    .notebook
                    .master
                    .as_ref()
                    .ok_or(ExportError::NotConnected)?;
                let (client, server) = (&master.client_random, &master.server_random);
                kdf::export_tls12(hash, &master.secret, client, server, label, context, out)
            }
        }
        .map_err(|_| ExportError::TooLong)
    }

    /// A fatal alert in answer to the first ClientHello: dimpl does not know it before the version is settled.
    fn early_alert(&self, record: &[u8]) -> Option<AlertDescription> {
        const ALERT: u8 = 21;
        const FATAL: u8 = 2;
        let waiting = self.role == Role::Client && self.version().is_none();
        match record {
            &[ALERT, _, _, 0, 0, .., 0, 2, FATAL, description] if waiting && record.len() == 15 => {
                Some(AlertDescription(description))
            }
            _ => None,
        }
    }

    /// Changes whenever a record has had an effect that shows.
    fn progress(&self) -> (usize, usize, usize, u64) {
        let dropped = self.counters.buffer_full + self.counters.unexpected;
        (
            self.outgoing.len(),
            self.incoming_lengths.len(),
            self.events.len(),
            dropped,
        )
    }

    #[cfg(test)]
    pub(crate) fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Failed)
    }
}

/// Header, explicit nonce and tag of an AES-GCM record of DTLS 1.2 (RFC 6347 §4.1, RFC 5288 §3); 1.3 needs less.
const MAX_OVERHEAD: usize = 13 + 8 + 16;

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
