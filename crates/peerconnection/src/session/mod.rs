//! A whole connection without sockets, clock or tasks: for servers that bring their own event loop.
//!
//! [`Session`] is what [`PeerConnection`](crate::PeerConnection) drives. Its methods come in four kinds:
//!
//! - **commands** change what this side wants: [`Session::create_offer`], [`Session::add_track`], [`Session::send`], …
//! - **`handle_*`** tell what happened outside: [`Session::handle_datagram`], [`Session::handle_timeout`];
//! - **`poll_*`** say what should happen outside: [`Session::poll_transmit`], [`Session::poll_timeout`],
//!   [`Session::poll_event`], [`Session::poll_frame`];
//! - **queries** have no effect.
//!
//! The loop: call any command or `handle_*`; then send what `poll_transmit` gives until it gives nothing, read events
//! and frames, and wait for the next datagram or for `poll_timeout`. Any order is allowed; a poll that comes late or
//! twice breaks nothing.

pub(crate) mod codecs;
mod congestion;
mod connectivity;
mod data;
mod dtmf;
mod event;
mod forward;
mod jsep;
mod media;
mod parameters;
mod pool;
mod probing;
mod samples;
mod stats;
#[cfg(test)]
mod tests;
mod transceiver;
mod transport;
mod transports;

pub use dtmf::{DEFAULT_INTER_TONE_GAP, DEFAULT_TONE_DURATION, TelephoneEvent};
pub use event::Event;
pub use media::{IncomingFrame, OutgoingFrame, capabilities};
pub use rtp::send::OutgoingPacket;
pub use samples::RtpSource;
pub(crate) use samples::{DecodedSample, EncodedSample, SourceSample};
pub use sctp::datachannel::{ChannelConfig, ChannelId, ChannelState, Message, MessageKind};
pub use transceiver::TransceiverId;
pub use transport::Transmit;
pub use transports::TransportView;

use crate::configuration::{Configuration, IceTransportPolicy};
use crate::description::{SdpType, SessionDescription};
use crate::error::Error;
use crate::rtp_parameters::{RtpCodecParameters, RtpEncodingParameters};
use crate::states::{
    IceConnectionState, IceGatheringState, PeerConnectionState, SignalingState,
    TransceiverDirection,
};
use ::media::MediaKind;
use bytes::BytesMut;
use data::Data;
use jsep::{Jsep, LocalFacts, Notice, SectionKind};
use media::MediaEngine;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::{Change, Transport};

/// The largest message that this side takes over a data channel, `a=max-message-size` (RFC 8841 §6).
pub const MAX_MESSAGE_SIZE: usize = 256 * 1024;

/// What a session is made of, beside its [`Configuration`].
pub struct Parts {
    /// The certificate this side proves itself with.
    pub certificate: Arc<dtls::Certificate>,
    /// DTLS versions, SRTP profiles, key log. Fingerprints are filled in from the peer's description.
    pub dtls: dtls::Config,
    /// Data-channel association settings.
    pub sctp: sctp::Config,
    /// ICE timing and limits, and whether host addresses are hidden behind mDNS names. Role and policy come from the
    /// descriptions and the configuration.
    pub ice: ice::Config,
    /// The source of every random value; seed it to repeat a session exactly.
    pub rng: StdRng,
    /// The time of construction.
    pub now: Instant,
    /// The wall clock at `now`, for the timestamps of RTCP and statistics.
    pub wall_clock: SystemTime,
}

impl Parts {
    /// Parts with default settings.
    pub fn new(
        certificate: Arc<dtls::Certificate>,
        rng: StdRng,
        now: Instant,
        wall_clock: SystemTime,
    ) -> Self {
        let sctp = sctp::Config {
            max_message_size: MAX_MESSAGE_SIZE,
            ..sctp::Config::default()
        };
        Parts {
            certificate,
            dtls: dtls::Config::default(),
            sctp,
            ice: ice::Config::default(),
            rng,
            now,
            wall_clock,
        }
    }
}

/// Options of an offer: `RTCOfferOptions` (W3C WebRTC §4.2.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferOptions {
    /// Whether the offer carries new ICE credentials.
    pub ice_restart: bool,
    /// Legacy: whether sound is received even when none is sent (W3C WebRTC §4.4.3.3).
    pub offer_to_receive_audio: Option<bool>,
    /// Legacy: whether pictures are received even when none are sent (W3C WebRTC §4.4.3.3).
    pub offer_to_receive_video: Option<bool>,
}

/// A peer connection, sans-IO. See the [module](self) for how it is driven.
pub struct Session {
    configuration: Configuration,
    certificate: Arc<dtls::Certificate>,
    dtls_config: dtls::Config,
    ice_config: ice::Config,
    rng: StdRng,
    base: Instant,
    wall_clock: SystemTime,
    jsep: Jsep,
    transports: Vec<Transport>,
    /// Agents of transports that are gone, until their last datagrams have left.
    retired: Vec<(usize, ice::Agent)>,
    media: MediaEngine,
    data: Data,
    sockets: connectivity::Sockets,
    events: VecDeque<Event>,
    tones: Vec<dtmf::Dtmf>,
    sources: Vec<samples::SourceCounts>,
    /// Whether a local description was ever set.
    described: bool,
    negotiation_check_due: bool,
    /// How many asynchronous operations are under way: the length of `[[Operations]]`.
    operations: usize,
    /// Names the next result of `getParameters`.
    next_transaction: u64,
    states: States,
    closed: bool,
    /// Decrypted media is sliced from here.
    arena: BytesMut,
}

/// The states last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct States {
    gathering: IceGatheringState,
    ice: IceConnectionState,
    connection: PeerConnectionState,
}

impl Session {
    /// A new session.
    ///
    /// # Errors
    /// As [`Configuration::validate`]; `InvalidAccessError` for a certificate that has expired.
    pub fn new(configuration: Configuration, parts: Parts) -> Result<Self, Error> {
        configuration.validate()?;
        let Parts {
            mut certificate,
            dtls: dtls_config,
            sctp,
            ice,
            mut rng,
            now,
            wall_clock,
        } = parts;
        if let Some(first) = configuration.certificates.first() {
            certificate = Arc::clone(first.as_dtls());
        }
        let given = configuration.certificates.iter();
        if given
            .map(crate::Certificate::expires)
            .chain([certificate.expires()])
            .any(|expires| expires <= wall_clock)
        {
            return Err(Error::InvalidAccess("the certificate has expired".into()));
        }
        let facts = LocalFacts {
            fingerprints: vec![certificate.fingerprint(dtls::HashAlgorithm::Sha256)],
            sctp_port: sctp.local_port,
            max_message_size: sctp.max_message_size as u64,
            dtls_client: Vec::new(),
            pooled: Vec::new(),
        };
        let mut jsep = Jsep::new(
            configuration.bundle_policy,
            facts,
            StdRng::from_rng(&mut rng),
        );
        jsep.always_data = configuration.always_negotiate_data_channels;
        jsep.ice_lite = ice.lite;
        jsep.renominates = ice.renomination && !ice.lite;
        let data = Data::new(sctp, StdRng::from_rng(&mut rng));
        let mut session = Session {
            jsep,
            data,
            media: MediaEngine::new(StdRng::from_rng(&mut rng)),
            configuration,
            certificate,
            dtls_config,
            ice_config: ice,
            rng,
            base: now,
            wall_clock,
            transports: Vec::new(),
            retired: Vec::new(),
            sockets: connectivity::Sockets::default(),
            events: VecDeque::new(),
            tones: Vec::new(),
            sources: Vec::new(),
            described: false,
            negotiation_check_due: false,
            operations: 0,
            next_transaction: 1,
            states: States {
                gathering: IceGatheringState::New,
                ice: IceConnectionState::New,
                connection: PeerConnectionState::New,
            },
            closed: false,
            arena: BytesMut::new(),
        };
        session.fill_pool(now);
        Ok(session)
    }

    // Offer and answer.

    /// Makes an offer of what this side wants (`createOffer`).
    ///
    /// # Errors
    /// `InvalidStateError` when closed, or when an offer of the peer waits for its answer.
    pub fn create_offer(&mut self, options: &OfferOptions) -> Result<SessionDescription, Error> {
        self.offer_to_receive(MediaKind::Audio, options.offer_to_receive_audio)?;
        self.offer_to_receive(MediaKind::Video, options.offer_to_receive_video)?;
        self.jsep.create_offer(options.ice_restart)
    }

    /// Makes an answer to the peer's offer (`createAnswer`).
    ///
    /// # Errors
    /// `InvalidStateError` when closed, or when there is no offer to answer.
    pub fn create_answer(&mut self) -> Result<SessionDescription, Error> {
        self.jsep.create_answer()
    }

    /// Applies a description of this side (`setLocalDescription`); `None` makes the one that is due.
    ///
    /// # Errors
    /// `InvalidStateError` when the state does not take this description,
    /// `InvalidModificationError` when it is not the one last created.
    pub fn set_local_description(
        &mut self,
        now: Instant,
        description: Option<SessionDescription>,
    ) -> Result<(), Error> {
        let notices = self.jsep.set_local(description)?;
        self.described = true;
        self.after_description(now, notices);
        Ok(())
    }

    /// Applies a description of the peer (`setRemoteDescription`). An offer rolls a pending local
    /// offer back first, as perfect negotiation needs it: the state is `stable` in between, and stays so when the
    /// offer then fails.
    ///
    /// # Errors
    /// `InvalidStateError` when the state does not take this description; an `RTCError` with
    /// `sdp-syntax-error` and the line for SDP that cannot be read; `InvalidAccessError` for a
    /// description that makes no sense here.
    pub fn set_remote_description(
        &mut self,
        now: Instant,
        description: &SessionDescription,
    ) -> Result<(), Error> {
        let rolled_back = self.jsep.yield_to(description)?;
        if !rolled_back.is_empty() {
            self.after_description(now, rolled_back);
        }
        let notices = self.jsep.set_remote(description)?;
        self.after_description(now, notices);
        Ok(())
    }

    /// `restartIce`: the next offer carries new ICE credentials.
    pub fn restart_ice(&mut self) {
        if !self.closed {
            self.jsep.restart_ice();
            self.negotiation_check_due = true;
        }
    }

    /// An asynchronous operation has begun: while any is under way, negotiation is not asked for (W3C WebRTC §4.7.3).
    pub(crate) fn begin_operation(&mut self) {
        self.operations += 1;
    }

    /// An asynchronous operation is over.
    pub(crate) fn end_operation(&mut self) {
        self.operations = self.operations.saturating_sub(1);
    }

    /// `signalingState`.
    pub fn signaling_state(&self) -> SignalingState {
        self.jsep.state
    }

    /// `localDescription`: the pending one, else the current one, with the candidates found so far.
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.pending_local_description()
            .or_else(|| self.current_local_description())
    }

    /// `currentLocalDescription`.
    pub fn current_local_description(&self) -> Option<SessionDescription> {
        self.jsep
            .current_local
            .as_ref()
            .map(|applied| self.with_local_candidates(applied))
    }

    /// `pendingLocalDescription`.
    pub fn pending_local_description(&self) -> Option<SessionDescription> {
        self.jsep
            .pending_local
            .as_ref()
            .map(|applied| self.with_local_candidates(applied))
    }

    /// `remoteDescription`: the pending one, else the current one, with the candidates added since.
    pub fn remote_description(&self) -> Option<SessionDescription> {
        self.pending_remote_description()
            .or_else(|| self.current_remote_description())
    }

    /// `currentRemoteDescription`.
    pub fn current_remote_description(&self) -> Option<SessionDescription> {
        self.jsep.current_remote.as_ref().map(jsep::to_description)
    }

    /// `pendingRemoteDescription`.
    pub fn pending_remote_description(&self) -> Option<SessionDescription> {
        self.jsep.pending_remote.as_ref().map(jsep::to_description)
    }

    /// `canTrickleIceCandidates`: whether the peer takes candidates later; `None` before its description came.
    pub fn can_trickle_ice_candidates(&self) -> Option<bool> {
        self.jsep.peer_trickles
    }

    // Transceivers.

    /// `addTransceiver`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `TypeError` and `RangeError` for encodings that make no sense.
    pub fn add_transceiver(
        &mut self,
        kind: MediaKind,
        track: Option<String>,
        direction: TransceiverDirection,
        streams: Vec<String>,
        encodings: Vec<RtpEncodingParameters>,
    ) -> Result<TransceiverId, Error> {
        let id = self
            .jsep
            .add_transceiver(kind, track, direction, streams, encodings)?;
        self.negotiation_check_due = true;
        Ok(id)
    }

    /// `addTrack`: sends the track of this id, through an unused transceiver or a new one.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `InvalidAccessError` when the track is being sent already.
    pub fn add_track(
        &mut self,
        kind: MediaKind,
        track: String,
        streams: Vec<String>,
    ) -> Result<TransceiverId, Error> {
        let id = self.jsep.add_track(kind, track, streams)?;
        self.negotiation_check_due = true;
        Ok(id)
    }

    /// `removeTrack`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    pub fn remove_track(&mut self, id: TransceiverId) -> Result<(), Error> {
        self.jsep.remove_track(id)?;
        self.negotiation_check_due = true;
        Ok(())
    }

    /// `replaceTrack`: another track, or none, without negotiation.
    ///
    /// # Errors
    /// `InvalidStateError` when the transceiver is stopped.
    pub fn replace_track(&mut self, id: TransceiverId, track: Option<String>) -> Result<(), Error> {
        match self.jsep.transceiver_mut(id) {
            Some(transceiver) if !transceiver.stopping => {
                transceiver.sender.track = track;
                Ok(())
            }
            _ => Err(Error::InvalidState("the transceiver is stopped".into())),
        }
    }

    /// Sets the preferred direction.
    ///
    /// # Errors
    /// `InvalidStateError` when the transceiver is stopped; `TypeError` for `stopped`.
    pub fn set_direction(
        &mut self,
        id: TransceiverId,
        direction: TransceiverDirection,
    ) -> Result<(), Error> {
        self.jsep.set_direction(id, direction)?;
        self.negotiation_check_due = true;
        Ok(())
    }

    /// `RTCRtpTransceiver.stop`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    pub fn stop_transceiver(&mut self, id: TransceiverId) -> Result<(), Error> {
        self.jsep.stop_transceiver(id)?;
        self.negotiation_check_due = true;
        Ok(())
    }

    /// All transceivers that still exist, in the order they came to be.
    pub fn transceivers(&self) -> impl Iterator<Item = TransceiverView<'_>> {
        self.jsep.transceivers.iter().map(TransceiverView)
    }

    /// One transceiver; `None` once it is gone.
    pub fn transceiver(&self, id: TransceiverId) -> Option<TransceiverView<'_>> {
        self.jsep.transceiver(id).map(TransceiverView)
    }

    /// `getConfiguration`.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// `setConfiguration`: "set the configuration" (W3C WebRTC §4.4.1.6). Another transport policy counts from the next
    /// gathering on; other servers are to be resolved and given by [`Session::set_servers`]. The pool of candidates is made
    /// larger or smaller at once, and gathered anew under another policy.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `InvalidModificationError` when the certificates, the bundle policy or the RTCP
    /// multiplexing policy would change, or the size of the pool after a local description was set; else as
    /// [`Configuration::validate`].
    pub fn set_configuration(
        &mut self,
        now: Instant,
        configuration: Configuration,
    ) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        let old = &self.configuration;
        let fixed = |what: &str| {
            Err(Error::InvalidModification(format!(
                "{what} cannot be changed"
            )))
        };
        if configuration.certificates != old.certificates {
            return fixed("the certificates");
        }
        if configuration.bundle_policy != old.bundle_policy {
            return fixed("the bundle policy");
        }
        if configuration.rtcp_mux_policy != old.rtcp_mux_policy {
            return fixed("the RTCP multiplexing policy");
        }
        if configuration.ice_candidate_pool_size != old.ice_candidate_pool_size && self.described {
            return fixed("the size of the candidate pool");
        }
        if configuration.peer_identity != old.peer_identity {
            return fixed("the peer identity");
        }
        configuration.validate()?;
        for transport in &mut self.transports {
            transport
                .agent
                .set_transport_policy(connectivity::policy(configuration.ice_transport_policy));
        }
        self.jsep.always_data = configuration.always_negotiate_data_channels;
        let before = std::mem::replace(&mut self.configuration, configuration);
        if before.ice_transport_policy != self.configuration.ice_transport_policy {
            self.renew_pool(now);
        }
        self.fill_pool(now);
        Ok(())
    }

    pub(crate) fn ice_servers(&self) -> &[crate::configuration::IceServer] {
        &self.configuration.ice_servers
    }

    // Time, datagrams, events.

    /// A datagram came in on `path`.
    ///
    /// Nothing that it contains can make this fail; what cannot be used is counted and dropped. `false` when ICE has dropped it: it is
    /// no authentic check, no answer to one, and no data of a known peer.
    pub fn handle_datagram(&mut self, now: Instant, path: ice::Path, datagram: &[u8]) -> bool {
        self.handle_input(now, None, path, datagram)
    }

    /// One message came in on a TCP or TLS connection, without its frame. `transport` is the one that asked for the
    /// connection; `None` for an incoming one.
    pub fn handle_message(
        &mut self,
        now: Instant,
        transport: Option<usize>,
        path: ice::Path,
        message: &[u8],
    ) {
        self.handle_input(now, transport, path, message);
    }

    fn handle_input(
        &mut self,
        now: Instant,
        number: Option<usize>,
        path: ice::Path,
        datagram: &[u8],
    ) -> bool {
        if self.closed {
            return false;
        }
        let Some((index, range)) = self.receive(now, number, path, datagram) else {
            return false;
        };
        let Some(range) = range else {
            self.after_input(now, index);
            return true;
        };
        let transport = &mut self.transports[index];
        let payload = &datagram[range];
        transport.counters.packets_received += 1;
        transport.counters.bytes_received += payload.len() as u64;
        // RFC 7983 §7.
        match payload.first() {
            Some(20..=63) => {
                transport.handle_dtls(now, payload);
                self.after_input(now, index);
            }
            Some(128..=191) => self.handle_srtp(now, index, payload),
            _ => transport.counters.unexpected += 1,
        }
        true
    }

    fn handle_srtp(&mut self, now: Instant, index: usize, packet: &[u8]) {
        // Enough for many packets, so that the allocator is asked once for all of them.
        const ARENA: usize = 64 * 1024;
        let transport = &mut self.transports[index];
        let rtcp = rtp::packet::is_rtcp(packet);
        self.arena.reserve(if self.arena.capacity() < packet.len() {
            ARENA.max(packet.len())
        } else {
            packet.len()
        });
        self.arena.extend_from_slice(packet);
        let mut packet = self.arena.split();
        if !transport.unprotect(&mut packet, rtcp) {
            return;
        }
        let number = transport.number;
        if rtcp {
            self.media
                .handle_rtcp(now, number, &packet, &mut self.events);
        } else {
            self.media
                .handle_rtp(now, number, packet.freeze(), &mut self.events);
        }
    }

    /// The time has come that [`Session::poll_timeout`] gave. Too early is no mistake.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        for index in 0..self.transports.len() {
            self.transports[index].handle_timeout(now);
            self.after_input(now, index);
        }
        self.data.handle_timeout(now);
        self.after_data();
        self.handle_tones(now);
        self.media.handle_timeout(now);
    }

    /// When [`Session::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let transports = self.transports.iter().filter_map(Transport::poll_timeout);
        transports
            .chain(self.data.poll_timeout())
            .chain(self.media.poll_timeout())
            .chain(self.tones_timeout())
            .min()
    }

    /// Appends up to `max_datagrams` datagrams of one size (the last may be shorter) for one
    /// destination; `None` when nothing is due.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buf: &mut Vec<u8>,
        max_datagrams: usize,
    ) -> Option<Transmit> {
        (0..self.transports.len())
            .find_map(|index| self.transmit_from(index, now, buf, max_datagrams.max(1)))
            .or_else(|| self.transmit_from_retired(now, buf))
    }

    fn transmit_from(
        &mut self,
        index: usize,
        now: Instant,
        buf: &mut Vec<u8>,
        max_datagrams: usize,
    ) -> Option<Transmit> {
        /// What one UDP send may carry, all segments together.
        const MOST: usize = 65_000;
        let base = buf.len();
        let transport = &mut self.transports[index];
        if let Some(transmit) = transport.take_stash(buf) {
            return Some(transmit);
        }
        if let Some(own) = transport.agent.poll_transmit(now, buf) {
            return Some(Transmit {
                transport: transport.number,
                protocol: own.protocol,
                local: own.local,
                remote: own.remote,
                segment_size: own.len,
            });
        }
        let mut batch: Option<Transmit> = None;
        for _ in 0..max_datagrams {
            let start = buf.len();
            let Some(frame) = self.transports[index].agent.open_frame(buf) else {
                break;
            };
            let payload = buf.len();
            if !self.next_packet(index, now, buf) {
                buf.truncate(start);
                break;
            }
            let transport = &mut self.transports[index];
            transport.counters.packets_sent += 1;
            transport.counters.bytes_sent += (buf.len() - payload) as u64;
            let (protocol, local, remote) = (frame.protocol, frame.local, frame.remote);
            transport.agent.close_frame(frame, buf);
            let len = buf.len() - start;
            let transmit = Transmit {
                transport: transport.number,
                protocol,
                local,
                remote,
                segment_size: len,
            };
            let Some(batch) = &batch else {
                batch = Some(transmit);
                continue;
            };
            if len > batch.segment_size {
                transport.stash(transmit, buf, start);
                break;
            }
            if len < batch.segment_size || buf.len() - base + batch.segment_size > MOST {
                break;
            }
        }
        batch
    }

    /// Appends the next packet of a transport, protected: handshake, RTCP, RTP, data.
    fn next_packet(&mut self, index: usize, now: Instant, buf: &mut Vec<u8>) -> bool {
        let ntp = self.ntp(now);
        let transport = &mut self.transports[index];
        if transport.poll_dtls(now, buf) {
            return true;
        }
        let start = buf.len();
        while transport.has_srtp() {
            let rtcp = self.media.poll_rtcp(now, ntp, transport.number, buf);
            if !rtcp && !self.media.poll_rtp(now, transport.number, buf) {
                break;
            }
            let protected = if rtcp {
                transport.protect_rtcp(buf, start)
            } else {
                transport.protect_rtp(buf, start)
            };
            if protected {
                return true;
            }
            buf.truncate(start);
        }
        while self.data.transport() == Some(transport.number) && self.data.poll_transmit(now, buf) {
            if transport.seal(now, buf, start) {
                return true;
            }
            buf.truncate(start);
        }
        false
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if let Some((transport, bps)) = self.media.poll_estimate() {
            return Some(Event::TargetBitrate { transport, bps });
        }
        let check = self.operations == 0 && std::mem::take(&mut self.negotiation_check_due);
        (check && self.jsep.update_negotiation_needed()).then_some(Event::NegotiationNeeded)
    }

    /// Whether [`Session::poll_event`], [`Session::poll_frame`] or [`Session::poll_packet`] has something to give.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
            || (self.negotiation_check_due && self.operations == 0)
            || self.media.has_frames()
    }

    /// `close`: everything ends at once.
    pub fn close(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.data.close(now);
        for transport in &mut self.transports {
            transport.close(now);
        }
        self.jsep.close();
        self.media.close();
    }

    /// Ends the session after what [`Session::close`] still had to say has been sent.
    pub fn finish_close(&mut self, now: Instant) {
        self.closed = true;
        for transport in &mut self.transports {
            transport.agent.close(now);
        }
        self.events.clear();
        self.update_states();
    }

    /// Whether the session is closed.
    pub fn is_closed(&self) -> bool {
        self.closed || self.jsep.state == SignalingState::Closed
    }

    /// The wall clock at `now`, as RTCP counts it (RFC 3550 §4).
    fn ntp(&self, now: Instant) -> rtp::NtpTime {
        rtp::NtpTime::from_unix(self.unix_time(now))
    }

    /// Time since the Unix epoch.
    fn unix_time(&self, now: Instant) -> Duration {
        self.wall_clock
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            + now.saturating_duration_since(self.base)
    }

    // The consequences of descriptions.

    fn after_description(&mut self, now: Instant, notices: Vec<Notice>) {
        for notice in notices {
            let event = match notice {
                Notice::Signaling(state) => Event::SignalingStateChange(state),
                Notice::Track(id) => match self.jsep.transceiver(id) {
                    Some(transceiver) => Event::Track {
                        transceiver: id,
                        streams: transceiver.receiver.streams.clone(),
                    },
                    None => continue,
                },
                Notice::Mute(id) => Event::TrackMuted(id),
                Notice::Stopped(id) => Event::TransceiverStopped(id),
            };
            self.events.push_back(event);
        }
        self.match_transports(now);
        self.add_described_candidates(now);
        self.match_streams(now);
        if self.jsep.state == SignalingState::Stable {
            self.negotiation_check_due = true;
        }
        self.update_states();
    }

    /// Gives senders and receivers the streams that the descriptions agree on.
    fn match_streams(&mut self, now: Instant) {
        let remote = self.jsep.remote().map(|applied| &applied.described);
        self.media.begin_match();
        for transceiver in &self.jsep.transceivers {
            let Some(slot) = transceiver
                .section
                .and_then(|index| self.jsep.slots.get(index))
            else {
                continue;
            };
            let section = transceiver
                .section
                .and_then(|index| remote?.sections.get(index));
            self.media.match_transceiver(
                now,
                transceiver,
                slot.transport,
                section,
                &self.jsep.cname,
            );
        }
        self.media.end_match(now);
    }

    /// What became of a transport's input: candidates, keys, decrypted data.
    fn after_input(&mut self, now: Instant, index: usize) {
        self.drain_agent(now, index);
        let transport = &mut self.transports[index];
        transport.start_dtls(now, &self.dtls_config, &self.certificate, &mut self.rng);
        while let Some(change) = transport.poll_change() {
            let number = transport.number;
            match change {
                Change::State(state) => {
                    self.events.push_back(Event::DtlsStateChange {
                        transport: number,
                        state,
                    });
                    if state == crate::states::DtlsTransportState::Closed
                        && self.data.transport() == Some(number)
                    {
                        self.data.abort(now);
                    }
                }
                Change::Error(error) => self.events.push_back(Event::DtlsError {
                    transport: number,
                    error,
                }),
            }
        }
        self.start_data(now);
        let transport = &mut self.transports[index];
        let carries_data = self.data.transport() == Some(transport.number);
        while let Some(packet) = transport.poll_data() {
            if carries_data {
                self.data.handle_packet(now, packet);
            }
        }
        self.after_data();
        self.update_states();
    }

    fn after_data(&mut self) {
        while let Some(event) = self.data.poll_event() {
            self.events.push_back(event);
        }
    }

    /// Starts the association once its transport is encrypted and both ends are described.
    fn start_data(&mut self, now: Instant) {
        if self.data.is_started() {
            return;
        }
        let Some(number) = self.data.transport() else {
            return;
        };
        let Some(transport) = self
            .transports
            .iter()
            .find(|transport| transport.number == number)
        else {
            return;
        };
        if transport.state != crate::states::DtlsTransportState::Connected {
            return;
        }
        let section = self.jsep.remote().and_then(|remote| {
            remote
                .described
                .sections
                .iter()
                .find(|section| section.kind == SectionKind::Application && !section.rejected)
        });
        if let (Some(section), Some(client)) = (section, transport.is_client()) {
            self.data
                .start(now, client, section.sctp_port, section.max_message_size);
        }
    }
}

/// A transceiver as it is now.
#[derive(Debug, Clone, Copy)]
pub struct TransceiverView<'a>(&'a transceiver::Transceiver);

impl<'a> TransceiverView<'a> {
    /// Its name.
    pub fn id(&self) -> TransceiverId {
        self.0.id
    }

    /// Audio or video.
    pub fn kind(&self) -> MediaKind {
        self.0.kind
    }

    /// `mid`: its section's, once described.
    pub fn mid(&self) -> Option<&'a str> {
        self.0.mid.as_deref()
    }

    /// `direction`: what this side wants.
    pub fn direction(&self) -> TransceiverDirection {
        self.0.shown_direction()
    }

    /// `currentDirection`: what was agreed.
    pub fn current_direction(&self) -> Option<TransceiverDirection> {
        if self.0.stopped {
            Some(TransceiverDirection::Stopped)
        } else {
            self.0.current_direction
        }
    }

    /// The id of the track that is sent.
    pub fn sender_track(&self) -> Option<&'a str> {
        self.0.sender.track.as_deref()
    }

    /// The id of the track that is received.
    pub fn receiver_track(&self) -> &'a str {
        &self.0.receiver.track
    }

    /// The codecs that this side may send, the preferred one first; helpers such as `rtx` included.
    pub fn send_codecs(&self) -> &'a [RtpCodecParameters] {
        &self.0.sender.codecs
    }

    /// The codecs that this side is ready to receive.
    pub fn receive_codecs(&self) -> &'a [RtpCodecParameters] {
        &self.0.receiver.codecs
    }

    /// The encodings of the sender.
    pub fn encodings(&self) -> impl Iterator<Item = &'a RtpEncodingParameters> {
        self.0
            .sender
            .encodings
            .iter()
            .map(|encoding| &encoding.parameters)
    }

    /// Whether media may be sent now.
    pub fn may_send(&self) -> bool {
        self.0.may_send() && !self.0.sender.codecs.is_empty()
    }
}
