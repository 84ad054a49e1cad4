//! `RTCPeerConnection` (W3C WebRTC §4.4).

use crate::certificate::{Certificate, KeygenAlgorithm};
use crate::configuration::Configuration;
use crate::data_channel::{DataChannel, DataChannelInit};
use crate::description::{IceCandidateInit, SessionDescription};
use crate::driver::{Connection, Endpoint, NetworkOptions, SharedEndpoint, system_parts};
use crate::error::Error;
use crate::events::Events;
use crate::identity::{Identity, IdentityAssertion, IdentityProvider, IdentityProviderOptions};
use crate::registry::{Dispatcher, Registry};
use crate::rtp_parameters::{RtpCapabilities, RtpEncodingParameters};
use crate::rtp_receiver::RtpReceiver;
use crate::rtp_sender::RtpSender;
use crate::rtp_transceiver::RtpTransceiver;
use crate::session::{OfferOptions, Session};
use crate::states::{
    IceConnectionState, IceGatheringState, PeerConnectionState, SignalingState,
    TransceiverDirection,
};
use crate::stats::StatsReport;
use crate::transports::SctpTransport;
use media::{MediaKind, MediaStream, MediaStreamTrack};
use std::fmt;
use std::sync::Arc;

/// `RTCPeerConnection`: a connection to one peer.
///
/// The operations that make and apply descriptions are done one after the other, in the order in which their futures were
/// first polled, and [`Event::NegotiationNeeded`](crate::Event::NegotiationNeeded) comes when none is under way.
///
/// Clones are handles to the same connection. It is closed when the last handle to it, or to one of its data
/// channels, is dropped. It needs a tokio runtime around it when it is made.
///
/// ```no_run
/// # async fn example() -> Result<(), peerconnection::Error> {
/// use peerconnection::{Configuration, Event, PeerConnection};
///
/// let pc = PeerConnection::new(Configuration::default())?;
/// let mut events = pc.events();
/// let channel = pc.create_data_channel("chat", Default::default())?;
/// pc.set_local_description(None).await?;
/// // Send pc.local_description() to the peer, and what it answers to pc.set_remote_description(..).
/// while let Some(event) = events.next().await {
///     if let Event::IceCandidate(Some(candidate)) = event {
///         println!("for the peer: {:?}", candidate.to_init());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PeerConnection {
    pub(crate) connection: Arc<Connection>,
    pub(crate) registry: Arc<Registry>,
    identity: Arc<Identity>,
}

/// Settings that browsers keep to themselves; see [`PeerConnection::builder`].
#[derive(Default)]
pub struct Builder {
    configuration: Configuration,
    certificate: Option<Arc<dtls::Certificate>>,
    network: NetworkOptions,
    endpoint: Option<Arc<SharedEndpoint>>,
    dtls: Option<dtls::Config>,
    sctp: Option<sctp::Config>,
    ice: Option<ice::Config>,
    identity_providers: Vec<Arc<dyn IdentityProvider>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("configuration", &self.configuration)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// The certificate to use instead of a fresh one.
    #[must_use]
    pub fn certificate(mut self, certificate: Arc<dtls::Certificate>) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Which sockets to open.
    #[must_use]
    pub fn network(mut self, network: NetworkOptions) -> Self {
        self.network = network;
        self
    }

    /// Shares the port of an endpoint with other connections, instead of UDP sockets of its own.
    #[must_use]
    pub fn endpoint(mut self, endpoint: &Endpoint) -> Self {
        self.endpoint = Some(Arc::clone(&endpoint.0));
        self
    }

    /// DTLS versions, SRTP profiles and the key log.
    #[must_use]
    pub fn dtls(mut self, dtls: dtls::Config) -> Self {
        self.dtls = Some(dtls);
        self
    }

    /// Settings of the data-channel association.
    #[must_use]
    pub fn sctp(mut self, sctp: sctp::Config) -> Self {
        self.sctp = Some(sctp);
        self
    }

    /// ICE timing and limits, and whether host addresses hide behind mDNS names ([`ice::Config::mdns`]), as browsers do
    /// while a page may not use camera or microphone.
    #[must_use]
    pub fn ice(mut self, ice: ice::Config) -> Self {
        self.ice = Some(ice);
        self
    }

    /// Providers that judge the identities which peers bring; see [`IdentityProvider`].
    #[must_use]
    pub fn identity_providers(mut self, providers: Vec<Arc<dyn IdentityProvider>>) -> Self {
        self.identity_providers = providers;
        self
    }

    /// Makes the connection.
    ///
    /// # Errors
    /// As [`PeerConnection::new`].
    pub fn build(self) -> Result<PeerConnection, Error> {
        let mut parts = system_parts(self.certificate)?;
        if let Some(dtls) = self.dtls {
            parts.dtls = dtls;
        }
        if let Some(sctp) = self.sctp {
            parts.sctp = sctp;
        }
        if let Some(ice) = self.ice {
            parts.ice = ice;
        }
        let mut made = None;
        let connection = Connection::start(
            self.configuration,
            parts,
            self.network,
            self.endpoint,
            |connection| {
                let registry = Arc::new(Registry::new(connection));
                made = Some(Arc::clone(&registry));
                Box::new(Dispatcher(registry))
            },
        )?;
        match made {
            Some(registry) => Ok(PeerConnection {
                connection,
                registry,
                identity: Arc::new(Identity::new(self.identity_providers)),
            }),
            None => Err(Error::Unknown("the connection did not start".into())),
        }
    }
}

impl PeerConnection {
    /// A new connection.
    ///
    /// # Errors
    /// As [`Configuration::validate`]; `InvalidStateError` outside a tokio runtime.
    pub fn new(configuration: Configuration) -> Result<Self, Error> {
        PeerConnection::builder(configuration).build()
    }

    /// A new connection with more settings than a browser has.
    pub fn builder(configuration: Configuration) -> Builder {
        Builder {
            configuration,
            ..Builder::default()
        }
    }

    /// What happens from now on; the first caller also gets what happened before.
    pub fn events(&self) -> Events {
        Events(self.registry.listen())
    }

    // Offer and answer.

    /// `createOffer`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed, or when the peer's offer waits for its answer.
    pub async fn create_offer(&self, options: &OfferOptions) -> Result<SessionDescription, Error> {
        // These steps come before the chain (W3C WebRTC §4.4.3.3).
        self.connection.command(|session, _| {
            session.offer_to_receive(MediaKind::Audio, options.offer_to_receive_audio)?;
            session.offer_to_receive(MediaKind::Video, options.offer_to_receive_video)
        })?;
        let options = OfferOptions {
            ice_restart: options.ice_restart,
            ..OfferOptions::default()
        };
        let operation = async {
            self.assert_identity().await?;
            self.connection
                .command(|session, _| session.create_offer(&options))
        };
        self.connection.chain(operation).await
    }

    /// `createAnswer`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed, or when there is no offer to answer.
    pub async fn create_answer(&self) -> Result<SessionDescription, Error> {
        let operation = async {
            self.assert_identity().await?;
            self.connection
                .command(|session, _| session.create_answer())
        };
        self.connection.chain(operation).await
    }

    /// `setLocalDescription`; `None` makes the offer or answer that is due. Candidates are gathered from here on.
    ///
    /// # Errors
    /// `InvalidStateError` when the state does not take it, `InvalidModificationError` when it is
    /// not the description last created.
    pub async fn set_local_description(
        &self,
        description: Option<SessionDescription>,
    ) -> Result<(), Error> {
        let operation = async {
            if description.is_none() {
                self.assert_identity().await?;
            }
            self.connection
                .command(|session, now| session.set_local_description(now, description))?;
            self.connection.gather();
            Ok(())
        };
        self.connection.chain(operation).await
    }

    /// `setRemoteDescription`. An offer that meets a local one rolls that back, as perfect negotiation needs it.
    ///
    /// # Errors
    /// `InvalidStateError` when the state does not take it, an `RTCError` with the line for SDP
    /// that cannot be read, `InvalidAccessError` when it makes no sense here.
    pub async fn set_remote_description(
        &self,
        description: &SessionDescription,
    ) -> Result<(), Error> {
        let operation = async {
            let target = self
                .connection
                .query(|session| session.configuration().peer_identity.clone());
            self.identity.verify(description, target.as_deref()).await?;
            self.connection
                .command(|session, now| session.set_remote_description(now, description))
        };
        self.connection.chain(operation).await
    }

    /// `addIceCandidate`; `None` is the end of the peer's candidates.
    ///
    /// # Errors
    /// As [`Session::add_ice_candidate`].
    pub async fn add_ice_candidate(
        &self,
        candidate: Option<&IceCandidateInit>,
    ) -> Result<(), Error> {
        let operation = async {
            self.connection
                .command(|session, now| session.add_ice_candidate(now, candidate))
        };
        // What is no candidate at all does not wait for its turn.
        if let Some(init) = candidate {
            init.check()?;
        }
        self.connection.chain(operation).await
    }

    /// `restartIce`.
    pub fn restart_ice(&self) {
        self.connection.command(|session, _| session.restart_ice());
    }

    /// `localDescription`.
    pub fn local_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::local_description)
    }

    /// `currentLocalDescription`.
    pub fn current_local_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::current_local_description)
    }

    /// `pendingLocalDescription`.
    pub fn pending_local_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::pending_local_description)
    }

    /// `remoteDescription`.
    pub fn remote_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::remote_description)
    }

    /// `currentRemoteDescription`.
    pub fn current_remote_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::current_remote_description)
    }

    /// `pendingRemoteDescription`.
    pub fn pending_remote_description(&self) -> Option<SessionDescription> {
        self.connection.query(Session::pending_remote_description)
    }

    // States.

    /// `signalingState`.
    pub fn signaling_state(&self) -> SignalingState {
        self.connection.query(Session::signaling_state)
    }

    /// `iceGatheringState`.
    pub fn ice_gathering_state(&self) -> IceGatheringState {
        self.connection.query(Session::ice_gathering_state)
    }

    /// `iceConnectionState`.
    pub fn ice_connection_state(&self) -> IceConnectionState {
        self.connection.query(Session::ice_connection_state)
    }

    /// `connectionState`.
    pub fn connection_state(&self) -> PeerConnectionState {
        self.connection.query(Session::connection_state)
    }

    /// `canTrickleIceCandidates`.
    pub fn can_trickle_ice_candidates(&self) -> Option<bool> {
        self.connection.query(Session::can_trickle_ice_candidates)
    }

    /// `setConfiguration`. Servers and the transport policy count from the next gathering on: the next offer restarts ICE
    /// for them, and [`PeerConnection::restart_ice`] asks for that offer now. Before the first local description, the pool of candidates
    /// follows at once.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `InvalidModificationError` when the certificates, the bundle policy, the RTCP
    /// multiplexing policy or the peer identity differ, or the size of the candidate pool after a local description was
    /// set; else as [`Configuration::validate`].
    pub fn set_configuration(&self, configuration: Configuration) -> Result<(), Error> {
        let other_servers = self.configuration().ice_servers != configuration.ice_servers;
        self.connection
            .command(|session, now| session.set_configuration(now, configuration))?;
        if other_servers {
            self.connection.replace_servers();
        }
        self.connection.gather();
        Ok(())
    }

    /// `generateCertificate`: good for thirty days, or as long as `expires` says, a year at most.
    ///
    /// # Errors
    /// `NotSupportedError` for a kind of key that is not made here: RSA.
    pub async fn generate_certificate(
        algorithm: KeygenAlgorithm,
        expires: Option<std::time::Duration>,
    ) -> Result<Certificate, Error> {
        Certificate::generate(algorithm, expires)
    }

    /// `getConfiguration`.
    pub fn configuration(&self) -> Configuration {
        self.connection
            .query(|session| session.configuration().clone())
    }

    /// The codecs and header extensions that this connection can negotiate: as [`RtpSender::capabilities`], with
    /// [`Configuration::application_codecs`] (not W3C).
    pub fn capabilities(&self, kind: MediaKind) -> RtpCapabilities {
        self.connection.query(|session| session.capabilities(kind))
    }

    // Identity (RFC 8827 §7).

    /// `setIdentityProvider`: who vouches for this side in the descriptions that are made from now on.
    ///
    /// # Errors
    /// `InvalidStateError` when closed.
    pub fn set_identity_provider(
        &self,
        provider: Arc<dyn IdentityProvider>,
        options: IdentityProviderOptions,
    ) -> Result<(), Error> {
        if self.connection.query(Session::is_closed) {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        self.identity.set_provider(provider, options);
        Ok(())
    }

    /// `getIdentityAssertion`: asks the provider now rather than with the next description. The result is what
    /// `a=identity` will carry.
    ///
    /// # Errors
    /// `InvalidStateError` without a provider; an `RTCError` with `idp-execution-failure` when that fails.
    pub async fn identity_assertion(&self) -> Result<String, Error> {
        let fingerprints = self.connection.query(Session::fingerprints);
        let assertion = self.identity.assertion(&fingerprints).await?;
        self.connection
            .command(|session, _| session.set_identity(Some(assertion.clone())));
        Ok(assertion)
    }

    async fn assert_identity(&self) -> Result<(), Error> {
        if self.identity.wants_assertion() {
            self.identity_assertion().await?;
        }
        Ok(())
    }

    /// `peerIdentity`: who the peer is, as soon as a description of it has said so.
    ///
    /// # Errors
    /// An `RTCError` when what it said cannot be trusted: `idp-token-invalid`, `idp-load-failure` when its provider is
    /// not known here, `idp-execution-failure` when that refuses.
    pub async fn peer_identity(&self) -> Result<IdentityAssertion, Error> {
        self.identity.peer().await
    }

    // Media.

    /// `addTrack`: sends the track, as part of these streams.
    ///
    /// # Errors
    /// `InvalidStateError` when closed, `InvalidAccessError` when the track is being sent already.
    pub fn add_track(
        &self,
        track: &MediaStreamTrack,
        streams: &[&MediaStream],
    ) -> Result<RtpSender, Error> {
        let ids = streams
            .iter()
            .map(|stream| stream.id().to_owned())
            .collect();
        let id = track.id().to_owned();
        let transceiver = self.connection.command(|session, _| {
            let id = session.add_track(track.kind(), id, ids)?;
            self.registry.transceiver(session, id).ok_or_else(gone)
        })?;
        transceiver.shared().set_local_track(Some(track.clone()));
        Ok(transceiver.sender())
    }

    /// `removeTrack`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `InvalidAccessError` for a sender of another connection.
    pub fn remove_track(&self, sender: &RtpSender) -> Result<(), Error> {
        let transceiver = self.connection.command(|session, _| {
            if session.is_closed() {
                return Err(Error::InvalidState("the connection is closed".into()));
            }
            if !sender.shared.belongs_to(&self.connection) {
                return Err(Error::InvalidAccess(
                    "the sender is that of another connection".into(),
                ));
            }
            session.remove_track(sender.id())?;
            Ok(self.registry.transceiver(session, sender.id()))
        })?;
        if let Some(transceiver) = transceiver {
            transceiver.shared().set_local_track(None);
        }
        Ok(())
    }

    /// `addTransceiver` of a kind, with or without a track to send.
    ///
    /// # Errors
    /// `InvalidStateError` when closed; `TypeError` and `RangeError` for encodings that make no
    /// sense, or a track of the other kind.
    pub fn add_transceiver(
        &self,
        kind: MediaKind,
        init: TransceiverInit,
    ) -> Result<RtpTransceiver, Error> {
        if init
            .track
            .as_ref()
            .is_some_and(|track| track.kind() != kind)
        {
            return Err(Error::Type("the track is of the other kind".into()));
        }
        let streams = init
            .streams
            .iter()
            .map(|stream| stream.id().to_owned())
            .collect();
        let track = init.track.as_ref().map(|track| track.id().to_owned());
        let transceiver = self.connection.command(|session, _| {
            let id = session.add_transceiver(
                kind,
                track,
                init.direction,
                streams,
                init.send_encodings,
            )?;
            self.registry.transceiver(session, id).ok_or_else(gone)
        })?;
        transceiver.shared().set_local_track(init.track);
        Ok(transceiver)
    }

    /// `getTransceivers`.
    pub fn transceivers(&self) -> Vec<RtpTransceiver> {
        self.connection.query(|session| {
            session
                .transceivers()
                .filter_map(|view| self.registry.transceiver(session, view.id()))
                .collect()
        })
    }

    fn transceivers_that_run(&self) -> Vec<RtpTransceiver> {
        let mut transceivers = self.transceivers();
        transceivers.retain(|transceiver| {
            transceiver.current_direction() != Some(TransceiverDirection::Stopped)
        });
        transceivers
    }

    /// `getSenders`: those of transceivers that are not stopped.
    pub fn senders(&self) -> Vec<RtpSender> {
        self.transceivers_that_run()
            .iter()
            .map(RtpTransceiver::sender)
            .collect()
    }

    /// `getReceivers`: those of transceivers that are not stopped.
    pub fn receivers(&self) -> Vec<RtpReceiver> {
        self.transceivers_that_run()
            .iter()
            .map(RtpTransceiver::receiver)
            .collect()
    }

    // Data.

    /// `createDataChannel`.
    ///
    /// # Errors
    /// `InvalidStateError` when closed, or when the association is over; `TypeError` for settings that exclude each other
    /// or are too long; `OperationError` when the id is in use, or none is left.
    pub fn create_data_channel(
        &self,
        label: &str,
        init: DataChannelInit,
    ) -> Result<DataChannel, Error> {
        if self.connection.query(Session::is_closed) {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        let config = init.to_config(label)?;
        let channel = self.connection.command(|session, _| {
            let id = session.create_data_channel(config.clone())?;
            let channel = DataChannel::new(Arc::clone(&self.connection), id, config);
            self.registry.add_channel(id, &channel);
            Ok(channel)
        })?;
        Ok(channel)
    }

    /// `sctp`: what carries the data channels; `None` before an offer has described it.
    pub fn sctp(&self) -> Option<SctpTransport> {
        self.connection.query(Session::sctp_transport)?;
        Some(SctpTransport::new(
            Arc::downgrade(&self.connection),
            Arc::clone(&self.registry.transports),
        ))
    }

    /// `sctp.maxMessageSize`: the largest message that the peer takes, once it is known.
    pub fn max_message_size(&self) -> Option<u64> {
        self.connection.query(Session::max_message_size)
    }

    /// `getStats` of the sender or receiver of one track.
    ///
    /// # Errors
    /// `InvalidAccessError` when the track is that of no sender and no receiver, or of several.
    pub async fn stats_of(&self, track: &MediaStreamTrack) -> Result<StatsReport, Error> {
        let is_sent =
            |sender: &RtpSender| sender.track().is_some_and(|sent| sent.id() == track.id());
        let senders: Vec<RtpSender> = self.senders().into_iter().filter(is_sent).collect();
        let receivers: Vec<RtpReceiver> = self
            .receivers()
            .into_iter()
            .filter(|receiver| receiver.track().id() == track.id())
            .collect();
        // W3C WebRTC §8.2, step 3.
        match (senders.as_slice(), receivers.as_slice()) {
            ([sender], []) => Ok(sender.stats().await),
            ([], [receiver]) => Ok(receiver.stats().await),
            ([], []) => Err(Error::InvalidAccess("the track is not in use here".into())),
            _ => Err(Error::InvalidAccess(
                "the track is in use several times".into(),
            )),
        }
    }

    /// `getStats`.
    pub async fn stats(&self) -> StatsReport {
        let mut report = self.connection.command(|session, now| session.stats(now));
        self.registry.add_playout(&mut report);
        report
    }

    /// Every candidate and pair of every ICE transport and what became of it, with the number of the transport: the first
    /// thing to read when a connection does not come up. `to_string()` of a report is a table.
    pub fn ice_reports(&self) -> Vec<(usize, ice::Report)> {
        self.connection.query(Session::ice_reports)
    }

    /// `close`: tells the peer and ends everything.
    pub fn close(&self) {
        self.connection.close();
    }
}

fn gone() -> Error {
    Error::Operation("the transceiver is gone".into())
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConnection")
            .field("connection_state", &self.connection_state())
            .finish_non_exhaustive()
    }
}

/// `RTCRtpTransceiverInit` (W3C WebRTC §5.1), with the track that JavaScript passes beside it.
#[derive(Debug, Clone)]
pub struct TransceiverInit {
    /// Which way media shall flow.
    pub direction: TransceiverDirection,
    /// The streams that the peer shall see the track in.
    pub streams: Vec<MediaStream>,
    /// The encodings to send; one default one when empty.
    pub send_encodings: Vec<RtpEncodingParameters>,
    /// What to send.
    pub track: Option<MediaStreamTrack>,
}

impl Default for TransceiverInit {
    fn default() -> Self {
        TransceiverInit {
            direction: TransceiverDirection::SendRecv,
            streams: Vec::new(),
            send_encodings: Vec::new(),
            track: None,
        }
    }
}
