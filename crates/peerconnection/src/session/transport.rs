//! One ICE transport with its DTLS transport and SRTP contexts (W3C WebRTC §5.5, §5.6).

use crate::error::{RtcError, RtcErrorDetail};
use crate::states::{DtlsTransportState, IceGatheringState, IceTransportState};
use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Where a datagram, or several of one size, should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Which transport sends: part of the name of a TCP connection.
    pub transport: usize,
    /// Over what.
    pub protocol: ice::Protocol,
    /// The local socket.
    pub local: SocketAddr,
    /// The remote address.
    pub remote: SocketAddr,
    /// Bytes in each datagram; the last one may be shorter.
    pub segment_size: usize,
}

/// What DTLS has come to.
enum Dtls {
    /// Not begun: the role is unknown, or there is no path yet. Early datagrams wait here.
    Waiting(Vec<Vec<u8>>),
    Running(Box<dtls::Endpoint>),
}

/// SRTP in both directions (RFC 5764). Keys are scheduled for the first packet: a connection with data channels alone
/// needs none of that.
enum Srtp {
    Keys(dtls::SrtpKeys),
    Ready(Box<SrtpContexts>),
}

struct SrtpContexts {
    protector: srtp::Protector,
    unprotector: srtp::Unprotector,
}

/// Counts for `RTCTransportStats`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) packets_sent: u64,
    pub(super) packets_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    /// Datagrams that were no protocol of ours, or came before their keys.
    pub(super) unexpected: u64,
    /// SRTP packets that failed authentication, or were replayed.
    pub(super) srtp_rejected: u64,
}

/// Packets that went one way, ICE's own not counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) last: Option<Instant>,
}

impl Flow {
    fn count(&mut self, now: Instant, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.last = Some(now);
    }
}

/// What went over one candidate pair (`RTCIceCandidatePairStats`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PairTraffic {
    pub(super) sent: Flow,
    pub(super) received: Flow,
    /// What the socket refused.
    pub(super) discarded: Flow,
}

/// A pair that something went over.
#[derive(Debug)]
struct KnownPair {
    id: u32,
    path: ice::Path,
    /// Of which ICE generation its local candidate was: a restart leaves the pair in use as it is.
    ufrag: Option<Box<str>>,
    traffic: PairTraffic,
}

/// The same for all pairs that anything went over.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pairs: Vec<KnownPair>,
    /// Where packets that carry no sign of their pair are counted: the selected one.
    selected: usize,
    /// A path that belongs to no pair.
    stray: Option<ice::Path>,
}

impl Traffic {
    pub(super) fn of_pair(&self, id: u32) -> PairTraffic {
        let known = self.pairs.iter().find(|known| known.id == id);
        known.map_or_else(PairTraffic::default, |known| known.traffic)
    }

    /// The local candidate of a pair, of the generation that it was of at first.
    pub(super) fn local_of(&self, pair: &ice::CandidatePair) -> ice::Candidate {
        let mut local = pair.local.clone();
        if let Some(known) = self.pairs.iter().find(|known| known.id == pair.id) {
            local.ufrag.clone_from(&known.ufrag);
        }
        local
    }

    /// Another pair was selected: those that are gone are forgotten.
    pub(super) fn select(&mut self, agent: &ice::Agent) {
        let pairs = agent.report().pairs;
        self.stray = None;
        self.pairs
            .retain(|known| pairs.iter().any(|report| report.pair.id == known.id));
        if let Some(pair) = agent.selected_pair() {
            self.selected = self.place(pair);
        }
    }

    fn place(&mut self, pair: &ice::CandidatePair) -> usize {
        let known = self.pairs.iter().position(|known| known.id == pair.id);
        known.unwrap_or_else(|| {
            self.pairs.push(KnownPair {
                id: pair.id,
                path: pair.path,
                ufrag: pair.local.ufrag.clone(),
                traffic: PairTraffic::default(),
            });
            self.pairs.len() - 1
        })
    }

    /// The pair of a path: usually the selected one, else one that was met before, else one to be looked up, once.
    fn on_path(&mut self, agent: &ice::Agent, path: ice::Path) -> Option<&mut PairTraffic> {
        let met = |known: &KnownPair| known.path == path;
        let index = if self.pairs.get(self.selected).is_some_and(met) {
            self.selected
        } else if let Some(index) = self.pairs.iter().position(met) {
            index
        } else if self.stray == Some(path) {
            return None;
        } else {
            let pairs = agent.report().pairs;
            match pairs.iter().find(|known| known.pair.path == path) {
                Some(known) => self.place(&known.pair),
                None => {
                    self.stray = Some(path);
                    return None;
                }
            }
        };
        self.pairs.get_mut(index).map(|known| &mut known.traffic)
    }
}

pub(super) struct Transport {
    /// The number that negotiation gave it.
    pub(super) number: usize,
    pub(super) agent: ice::Agent,
    pub(super) state: DtlsTransportState,
    pub(super) counters: Counters,
    pub(super) traffic: Traffic,
    pub(super) details: Option<Negotiated>,
    /// What the agent has been told of the peer: the ICE generation, its candidates, their end.
    pub(super) remote_ufrag: String,
    pub(super) told_candidates: Vec<String>,
    pub(super) told_end: bool,
    /// How often a pair was selected.
    pub(super) pair_changes: u32,
    /// The states last told.
    pub(super) told_states: (IceTransportState, IceGatheringState),
    pub(super) local_candidates: Vec<ice::Candidate>,
    /// The generation whose end of candidates was told last.
    pub(super) ended_ufrag: String,
    /// What its agent has to tell, while it gathers in advance.
    pub(super) pooled: Option<Vec<ice::Event>>,
    dtls: Dtls,
    /// Whether this side is the DTLS client, once that is agreed.
    client: Option<bool>,
    remote_fingerprints: Vec<dtls::Fingerprint>,
    remote_tls_id: Option<String>,
    srtp: Option<Srtp>,
    /// Of what is sent, and of what comes.
    cryptex: (srtp::Cryptex, srtp::Cryptex),
    stash: Option<Transmit>,
    stashed: Vec<u8>,
}

/// What the DTLS handshake agreed on.
#[derive(Debug, Clone)]
pub(super) struct Negotiated {
    pub(super) version: dtls::Version,
    pub(super) cipher: dtls::CipherSuite,
    pub(super) srtp_profile: Option<dtls::SrtpProfile>,
    pub(super) peer_certificate: Vec<u8>,
}

/// What a transport reports upward.
pub(super) enum Change {
    State(DtlsTransportState),
    Error(RtcError),
}

/// Datagrams kept for a handshake that this side is not ready for: one flight.
const EARLY_DATAGRAMS: usize = 8;

impl Transport {
    pub(super) fn new(number: usize, agent: ice::Agent) -> Self {
        Transport {
            number,
            agent,
            state: DtlsTransportState::New,
            counters: Counters::default(),
            traffic: Traffic::default(),
            details: None,
            remote_ufrag: String::new(),
            told_candidates: Vec::new(),
            told_end: false,
            pair_changes: 0,
            told_states: (IceTransportState::New, IceGatheringState::New),
            local_candidates: Vec::new(),
            ended_ufrag: String::new(),
            pooled: None,
            dtls: Dtls::Waiting(Vec::new()),
            client: None,
            remote_fingerprints: Vec::new(),
            remote_tls_id: None,
            srtp: None,
            cryptex: (srtp::Cryptex::Off, srtp::Cryptex::On),
            stash: None,
            stashed: Vec::new(),
        }
    }

    /// Keeps a candidate of this side for the descriptions; the agent tells it anew when it goes back to earlier
    /// credentials.
    pub(super) fn remember_candidate(&mut self, candidate: &ice::Candidate) {
        self.local_candidates
            .retain(|known| known.ufrag != candidate.ufrag || place(known) != place(candidate));
        self.local_candidates.push(candidate.clone());
    }

    /// A candidate is gone with its socket or its server.
    pub(super) fn forget_candidate(&mut self, candidate: &ice::Candidate) {
        self.local_candidates
            .retain(|known| place(known) != place(candidate));
    }

    /// Whether the application knows this address from a candidate of this side.
    pub(super) fn has_shown(&self, address: IpAddr) -> bool {
        self.local_candidates.iter().any(|candidate| {
            let related = candidate.related.as_ref().map(|related| &related.address);
            candidate.address.ip() == Some(address)
                || related.is_some_and(|related| related.to_string() == address.to_string())
        })
    }

    /// The DTLS role, once there is one.
    pub(super) fn is_client(&self) -> Option<bool> {
        self.client
    }

    /// The peer's certificate, DER, once the handshake is over.
    pub(super) fn remote_certificate(&self) -> Option<&[u8]> {
        self.details
            .as_ref()
            .map(|details| details.peer_certificate.as_slice())
    }

    /// What the descriptions agree about DTLS; true when that tears an association down (RFC 9429 §5.11): with other
    /// fingerprints, another `a=tls-id`, or with ICE other roles (RFC 8842 §3.1).
    pub(super) fn set_dtls(
        &mut self,
        client: bool,
        fingerprints: &[dtls::Fingerprint],
        tls_id: Option<&str>,
        restarted: bool,
    ) -> bool {
        let among = |one: &[dtls::Fingerprint], two: &[dtls::Fingerprint]| {
            one.iter().all(|fingerprint| two.contains(fingerprint))
        };
        let same_fingerprints = among(fingerprints, &self.remote_fingerprints)
            && among(&self.remote_fingerprints, fingerprints);
        let ids = self.remote_tls_id.as_deref().zip(tls_id);
        let other = self.client.is_some_and(|before| {
            !same_fingerprints
                || ids.is_some_and(|(before, now)| before != now)
                || restarted && before != client
        });
        if other {
            tracing::info!(
                transport = self.number,
                "the peer begins another DTLS association"
            );
            self.dtls = Dtls::Waiting(Vec::new());
            self.state = DtlsTransportState::New;
            self.details = None;
            self.client = None;
            self.srtp = None;
            self.stash = None;
        }
        if tls_id.is_some() {
            self.remote_tls_id = tls_id.map(str::to_owned);
        }
        self.client.get_or_insert(client);
        if self.remote_fingerprints != fingerprints {
            self.remote_fingerprints = fingerprints.to_vec();
            if let Dtls::Running(endpoint) = &mut self.dtls {
                endpoint.set_remote_fingerprints(fingerprints.to_vec());
            }
        }
        other
    }

    /// Begins the handshake when the role is known and packets can leave (or have come).
    pub(super) fn start_dtls(
        &mut self,
        now: Instant,
        config: &dtls::Config,
        certificate: &dtls::Certificate,
        rng: &mut StdRng,
    ) {
        use rand::SeedableRng;
        let Dtls::Waiting(early) = &mut self.dtls else {
            return;
        };
        let Some(client) = self.client else { return };
        let ready = matches!(
            self.agent.state(),
            ice::State::Connected | ice::State::Completed
        ) || !early.is_empty();
        if !ready {
            return;
        }
        let role = if client {
            dtls::Role::Client
        } else {
            dtls::Role::Server
        };
        let config = dtls::Config {
            remote_fingerprints: self.remote_fingerprints.clone(),
            ..config.clone()
        };
        match dtls::Endpoint::new(config, role, certificate, now, StdRng::from_rng(rng)) {
            Ok(mut endpoint) => {
                for datagram in std::mem::take(early) {
                    endpoint.handle_datagram(now, &datagram);
                }
                self.dtls = Dtls::Running(Box::new(endpoint));
            }
            Err(error) => {
                tracing::warn!(%error, "DTLS cannot start");
                self.state = DtlsTransportState::Failed;
            }
        }
    }

    /// A DTLS datagram came.
    pub(super) fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) {
        match &mut self.dtls {
            Dtls::Running(endpoint) => endpoint.handle_datagram(now, datagram),
            Dtls::Waiting(early) if early.len() < EARLY_DATAGRAMS => early.push(datagram.to_vec()),
            Dtls::Waiting(_) => self.counters.unexpected += 1,
        }
    }

    /// The next decrypted record.
    pub(super) fn poll_data(&mut self) -> Option<Bytes> {
        let Dtls::Running(endpoint) = &mut self.dtls else {
            return None;
        };
        endpoint.poll_data().map(BytesMut::freeze)
    }

    /// What DTLS has come to since the last call.
    pub(super) fn poll_change(&mut self) -> Option<Change> {
        let Dtls::Running(endpoint) = &mut self.dtls else {
            return None;
        };
        loop {
            match endpoint.poll_event()? {
                dtls::Event::StateChange(state) => {
                    let state = match state {
                        dtls::State::New => DtlsTransportState::New,
                        dtls::State::Connecting => DtlsTransportState::Connecting,
                        // Told when the keys are in place.
                        dtls::State::Connected => continue,
                        dtls::State::Closed => DtlsTransportState::Closed,
                        // Told after the error (W3C WebRTC §5.5).
                        dtls::State::Failed => {
                            self.state = DtlsTransportState::Failed;
                            continue;
                        }
                    };
                    self.state = state;
                    return Some(Change::State(state));
                }
                dtls::Event::Connected {
                    version,
                    cipher,
                    srtp,
                    peer_certificate,
                } => {
                    let srtp_profile = srtp.as_ref().map(|keys| keys.profile);
                    self.srtp = srtp.map(Srtp::Keys);
                    self.details = Some(Negotiated {
                        version,
                        cipher,
                        srtp_profile,
                        peer_certificate,
                    });
                    self.state = DtlsTransportState::Connected;
                    return Some(Change::State(DtlsTransportState::Connected));
                }
                dtls::Event::Failed(error) => {
                    let detail = match error {
                        dtls::Error::FingerprintMismatch => RtcErrorDetail::FingerprintFailure,
                        _ => RtcErrorDetail::DtlsFailure,
                    };
                    let mut reported = RtcError::new(detail, error.to_string());
                    // Alerts belong to `dtls-failure` alone (W3C WebRTC §11.1).
                    if detail == RtcErrorDetail::DtlsFailure {
                        reported.sent_alert = error.sent_alert().map(|alert| alert.0);
                    }
                    if let dtls::Error::PeerAlert(alert) = &error {
                        reported.received_alert = Some(alert.0);
                    }
                    return Some(Change::Error(reported));
                }
                _ => {}
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let dtls = match &self.dtls {
            Dtls::Running(endpoint) => endpoint.poll_timeout(),
            Dtls::Waiting(_) => None,
        };
        [self.agent.poll_timeout(), dtls]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_some_and(|due| due <= now) {
            self.agent.handle_timeout(now);
        }
        if let Dtls::Running(endpoint) = &mut self.dtls
            && endpoint.poll_timeout().is_some_and(|due| due <= now)
        {
            endpoint.handle_timeout(now);
        }
    }

    pub(super) fn close(&mut self, now: Instant) {
        if let Dtls::Running(endpoint) = &mut self.dtls {
            endpoint.close(now);
        }
        if self.state != DtlsTransportState::Failed {
            self.state = DtlsTransportState::Closed;
        }
    }

    /// A packet came that is not ICE's own.
    pub(super) fn count_received(&mut self, now: Instant, path: ice::Path, bytes: usize) {
        self.counters.packets_received += 1;
        self.counters.bytes_received += bytes as u64;
        if let Some(traffic) = self.traffic.on_path(&self.agent, path) {
            traffic.received.count(now, bytes);
        }
    }

    /// A packet leaves that is not ICE's own.
    pub(super) fn count_sent(&mut self, now: Instant, path: ice::Path, bytes: usize) {
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += bytes as u64;
        if let Some(traffic) = self.traffic.on_path(&self.agent, path) {
            traffic.sent.count(now, bytes);
        }
    }

    /// The socket refused a packet.
    pub(super) fn count_discarded(&mut self, now: Instant, path: ice::Path, bytes: usize) {
        if let Some(traffic) = self.traffic.on_path(&self.agent, path) {
            traffic.discarded.count(now, bytes);
        }
    }

    // Sending.

    /// What could not leave with the last batch because it was larger.
    pub(super) fn take_stash(&mut self, buf: &mut Vec<u8>) -> Option<Transmit> {
        let transmit = self.stash.take()?;
        buf.append(&mut self.stashed);
        Some(transmit)
    }

    /// Keeps the datagram from `start` for a send of its own.
    pub(super) fn stash(&mut self, transmit: Transmit, buf: &mut Vec<u8>, start: usize) {
        self.stashed.clear();
        self.stashed.extend_from_slice(&buf[start..]);
        buf.truncate(start);
        self.stash = Some(transmit);
    }

    /// Appends a handshake datagram or an alert.
    pub(super) fn poll_dtls(&mut self, now: Instant, buf: &mut Vec<u8>) -> bool {
        match &mut self.dtls {
            Dtls::Running(endpoint) => endpoint.poll_transmit(now, buf).is_some(),
            Dtls::Waiting(_) => false,
        }
    }

    /// Whether RTP can be sent.
    pub(super) fn has_srtp(&self) -> bool {
        self.srtp.is_some() && self.state == DtlsTransportState::Connected
    }

    /// Turns the application record from `start` into DTLS.
    pub(super) fn seal(&mut self, now: Instant, buf: &mut Vec<u8>, start: usize) -> bool {
        match &mut self.dtls {
            Dtls::Running(endpoint) => endpoint.seal(now, buf, start).is_ok(),
            Dtls::Waiting(_) => false,
        }
    }

    pub(super) fn protect_rtp(&mut self, buf: &mut Vec<u8>, start: usize) -> bool {
        self.srtp()
            .is_some_and(|srtp| srtp.protector.protect_rtp(buf, start).is_ok())
    }

    /// Whether header extensions and contributing sources are sent encrypted, and refused when they come in the clear
    /// (RFC 9335). Encrypted ones are always taken, as descriptions of this side say.
    pub(super) fn set_cryptex(&mut self, encrypts: bool, required: bool) {
        use srtp::Cryptex::{Off, On, Required};
        self.cryptex = (
            if encrypts { On } else { Off },
            if required { Required } else { On },
        );
        if let Some(Srtp::Ready(contexts)) = &mut self.srtp {
            contexts.protector.set_cryptex(self.cryptex.0);
            contexts.unprotector.set_cryptex(self.cryptex.1);
        }
    }

    /// Whether header extensions are sent encrypted.
    pub(super) fn encrypts_headers(&self) -> bool {
        self.cryptex.0 != srtp::Cryptex::Off
    }

    pub(super) fn protect_rtcp(&mut self, buf: &mut Vec<u8>, start: usize) -> bool {
        self.srtp()
            .is_some_and(|srtp| srtp.protector.protect_rtcp(buf, start).is_ok())
    }

    #[inline]
    fn srtp(&mut self) -> Option<&mut SrtpContexts> {
        if let Some(Srtp::Keys(keys)) = &self.srtp {
            let contexts = SrtpContexts::new(keys, self.cryptex);
            self.srtp = contexts.map(|contexts| Srtp::Ready(Box::new(contexts)));
        }
        match &mut self.srtp {
            Some(Srtp::Ready(contexts)) => Some(contexts),
            _ => None,
        }
    }

    /// Decrypts in place; false when the packet is not to be trusted.
    pub(super) fn unprotect(&mut self, packet: &mut BytesMut, rtcp: bool) -> bool {
        let Some(srtp) = self.srtp() else {
            self.counters.unexpected += 1;
            return false;
        };
        let trusted = match rtcp {
            true => srtp.unprotector.unprotect_rtcp(packet).is_ok(),
            false => srtp.unprotector.unprotect_rtp(packet).is_ok(),
        };
        self.counters.srtp_rejected += u64::from(!trusted);
        trusted
    }
}

/// What tells a candidate from others of its generation.
fn place(
    candidate: &ice::Candidate,
) -> (
    &ice::Address,
    u16,
    ice::Protocol,
    Option<ice::TcpType>,
    ice::CandidateType,
) {
    let ice::Candidate {
        address,
        port,
        protocol,
        tcp_type,
        typ,
        ..
    } = candidate;
    (address, *port, *protocol, *tcp_type, *typ)
}

impl SrtpContexts {
    fn new(
        keys: &dtls::SrtpKeys,
        (sent, received): (srtp::Cryptex, srtp::Cryptex),
    ) -> Option<Self> {
        let config = |cryptex| srtp::Config {
            cryptex,
            ..srtp::Config::default()
        };
        let profile = srtp::Profile::from_id(keys.profile.id())?;
        let protector =
            srtp::Protector::new(profile, &keys.local.key, &keys.local.salt, config(sent));
        let unprotector = srtp::Unprotector::new(
            profile,
            &keys.remote.key,
            &keys.remote.salt,
            config(received),
        );
        match (protector, unprotector) {
            (Ok(protector), Ok(unprotector)) => Some(SrtpContexts {
                protector,
                unprotector,
            }),
            _ => {
                tracing::error!(
                    ?profile,
                    "the keys of the handshake do not fit the SRTP profile"
                );
                None
            }
        }
    }
}
