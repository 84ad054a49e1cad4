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
mod consequences;
mod data;
mod dtmf;
mod event;
mod forward;
mod io;
mod jsep;
mod media;
mod parameters;
mod pool;
mod probing;
mod samples;
mod states;
mod stats;
#[cfg(test)]
mod tests;
mod transceiver;
mod transceiver_view;
mod transport;
mod transports;

pub use dtmf::{DEFAULT_INTER_TONE_GAP, DEFAULT_TONE_DURATION, TelephoneEvent};
pub use event::Event;
pub use media::{IncomingFrame, OutgoingFrame, capabilities};
pub use rtp::send::OutgoingPacket;
pub use samples::RtpSource;
pub(crate) use samples::{DecodedSample, EncodedSample, SourceSample};
pub use sctp::datachannel::{ChannelConfig, ChannelId, ChannelState, Message, MessageKind};
pub(crate) use transceiver::PacketTime;
pub use transceiver::TransceiverId;
pub use transceiver_view::TransceiverView;
pub use transport::Transmit;
pub use transports::TransportView;

use crate::configuration::{Configuration, IceTransportPolicy, RtpHeaderEncryptionPolicy};
use crate::description::{SdpType, SessionDescription};
use crate::error::Error;
use crate::rtp_parameters::RtpEncodingParameters;
use crate::states::{
    IceConnectionState, IceGatheringState, PeerConnectionState, SignalingState,
    TransceiverDirection,
};
use ::media::MediaKind;
use bytes::BytesMut;
use data::Data;
use jsep::{Jsep, LocalFacts};
use media::MediaEngine;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::Transport;

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
    /// Servers that were told to be out of reach since gathering began.
    unreachable: Vec<String>,
    events: VecDeque<Event>,
    tones: Vec<dtmf::Dtmf>,
    /// The tracks that are sent, and how many there were.
    sources: Vec<samples::SourceCounts>,
    sources_made: u32,
    /// Whether a local description was ever set, or tried to be.
    described: bool,
    describing: bool,
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

fn requires_cryptex(configuration: &Configuration) -> bool {
    configuration.rtp_header_encryption_policy == RtpHeaderEncryptionPolicy::Require
}

impl Session {
    /// A new session.
    ///
    /// # Errors
    /// As [`Configuration::validate`]; `InvalidAccessError` for a certificate that has expired.
    pub fn new(configuration: Configuration, parts: Parts) -> Result<Self, Error> {
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
            .any(|expires| expires < wall_clock)
        {
            return Err(Error::InvalidAccess("the certificate has expired".into()));
        }
        configuration.validate()?;
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
        jsep.catalogue = codecs::Catalogue::new(&configuration.application_codecs);
        jsep.always_data = configuration.always_negotiate_data_channels;
        jsep.requires_cryptex = requires_cryptex(&configuration);
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
            unreachable: Vec::new(),
            events: VecDeque::new(),
            tones: Vec::new(),
            sources: Vec::new(),
            sources_made: 0,
            described: false,
            describing: false,
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
        self.describing = true;
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
        self.match_sources();
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
        self.match_sources();
        self.negotiation_check_due = true;
        Ok(id)
    }

    /// `removeTrack`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    pub fn remove_track(&mut self, id: TransceiverId) -> Result<(), Error> {
        self.jsep.remove_track(id)?;
        self.match_sources();
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
                self.match_sources();
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
        self.match_sources();
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
    /// gathering on, which the next offer begins; other servers are to be resolved and given by [`Session::set_servers`].
    /// The pool of candidates is made
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
        // Step 3.6: called is enough.
        if configuration.ice_candidate_pool_size != old.ice_candidate_pool_size && self.describing {
            return fixed("the size of the candidate pool");
        }
        if configuration.application_codecs != old.application_codecs {
            return fixed("the codecs of the application");
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
        self.jsep.requires_cryptex = requires_cryptex(&configuration);
        let before = std::mem::replace(&mut self.configuration, configuration);
        let other_policy = before.ice_transport_policy != self.configuration.ice_transport_policy;
        if other_policy || before.ice_servers != self.configuration.ice_servers {
            self.jsep.ice_configuration_changed();
        }
        if other_policy {
            self.renew_pool(now);
        }
        self.fill_pool(now);
        Ok(())
    }

    pub(crate) fn ice_servers(&self) -> &[crate::configuration::IceServer] {
        &self.configuration.ice_servers
    }

    // Events, and the end.

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
        self.keep_abort(now);
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
}
