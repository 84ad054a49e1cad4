//! `RTCDtlsTransport`, `RTCIceTransport` and `RTCSctpTransport` (W3C WebRTC §5.5, §5.6, §6.1).

use crate::description::IceCandidate;
use crate::driver::Connection;
use crate::error::RtcError;
use crate::session::{Session, TransportView};
use crate::states::{
    DtlsTransportState, IceComponent, IceGatheringState, IceRole, IceTransportState,
    SctpTransportState,
};
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::mpsc;

/// `RTCIceParameters` (W3C WebRTC §5.6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IceParameters {
    /// The user fragment (RFC 8839 §5.4).
    pub username_fragment: String,
    /// The password (RFC 8839 §5.4).
    pub password: String,
}

/// `RTCIceCandidatePair` (W3C WebRTC §5.6.4).
#[derive(Debug, Clone, PartialEq)]
pub struct IceCandidatePair {
    /// This side's candidate.
    pub local: IceCandidate,
    /// The peer's.
    pub remote: IceCandidate,
}

/// What happens to a DTLS transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DtlsTransportEvent {
    /// `statechange`.
    StateChange(DtlsTransportState),
    /// `error`.
    Error(RtcError),
}

/// What happens to an ICE transport.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum IceTransportEvent {
    /// `statechange`.
    StateChange(IceTransportState),
    /// `gatheringstatechange`.
    GatheringStateChange(IceGatheringState),
    /// `selectedcandidatepairchange`.
    SelectedCandidatePairChange(Box<IceCandidatePair>),
}

type Listeners<E> = Vec<(usize, mpsc::UnboundedSender<E>)>;

/// Who listens to the transports of a connection, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct TransportListeners {
    dtls: Mutex<Listeners<DtlsTransportEvent>>,
    ice: Mutex<Listeners<IceTransportEvent>>,
    sctp: Mutex<Listeners<SctpTransportState>>,
}

fn listen<E>(listeners: &Mutex<Listeners<E>>, number: usize) -> TransportEvents<E> {
    let (sender, receiver) = mpsc::unbounded_channel();
    listeners
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((number, sender));
    TransportEvents(receiver)
}

fn tell<E: Clone>(listeners: &Mutex<Listeners<E>>, number: usize, event: &E) {
    listeners
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|(known, listener)| *known != number || listener.send(event.clone()).is_ok());
}

impl TransportListeners {
    pub(crate) fn tell_dtls(&self, number: usize, event: &DtlsTransportEvent) {
        tell(&self.dtls, number, event);
    }

    pub(crate) fn tell_ice(&self, number: usize, event: &IceTransportEvent) {
        tell(&self.ice, number, event);
    }

    pub(crate) fn tell_sctp(&self, state: SctpTransportState) {
        tell(&self.sctp, 0, &state);
    }

    /// Listeners hear the end.
    pub(crate) fn close(&self) {
        self.dtls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.ice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.sctp
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// The events of one transport.
#[derive(Debug)]
pub struct TransportEvents<E>(mpsc::UnboundedReceiver<E>);

impl<E> TransportEvents<E> {
    /// The next event; `None` once the connection is closed.
    pub async fn next(&mut self) -> Option<E> {
        self.0.recv().await
    }

    /// An event that has happened already, if there is one.
    pub fn try_next(&mut self) -> Option<E> {
        self.0.try_recv().ok()
    }
}

/// What leads a handle to its transport.
#[derive(Clone)]
struct Link {
    connection: Weak<Connection>,
    listeners: Arc<TransportListeners>,
    number: usize,
}

impl Link {
    fn view<T>(&self, look: impl FnOnce(TransportView<'_>) -> T) -> Option<T> {
        let connection = self.connection.upgrade()?;
        connection.query(|session| session.transport(self.number).map(look))
    }

    fn same(&self, other: &Self) -> bool {
        self.number == other.number && Weak::ptr_eq(&self.connection, &other.connection)
    }
}

/// `RTCDtlsTransport`: what encrypts the packets of one or more senders and receivers.
#[derive(Clone)]
pub struct DtlsTransport(Link);

impl DtlsTransport {
    pub(crate) fn new(
        connection: Weak<Connection>,
        listeners: Arc<TransportListeners>,
        number: usize,
    ) -> Self {
        DtlsTransport(Link {
            connection,
            listeners,
            number,
        })
    }

    /// `iceTransport`: what it runs over.
    pub fn ice_transport(&self) -> IceTransport {
        IceTransport(self.0.clone())
    }

    /// `state`; `closed` once the connection is, or the transport was bundled into another.
    pub fn state(&self) -> DtlsTransportState {
        self.0
            .view(|view| view.dtls_state())
            .unwrap_or(DtlsTransportState::Closed)
    }

    /// `getRemoteCertificates`: the peer's certificate, DER; empty before the handshake is over.
    pub fn remote_certificates(&self) -> Vec<Vec<u8>> {
        self.0
            .view(|view| view.remote_certificate().map(<[u8]>::to_vec))
            .flatten()
            .into_iter()
            .collect()
    }

    /// `statechange` and `error` from now on.
    pub fn events(&self) -> TransportEvents<DtlsTransportEvent> {
        listen(&self.0.listeners.dtls, self.0.number)
    }
}

impl PartialEq for DtlsTransport {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl fmt::Debug for DtlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsTransport")
            .field("number", &self.0.number)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// `RTCIceTransport`: the way to the peer.
#[derive(Clone)]
pub struct IceTransport(Link);

impl IceTransport {
    /// `role`; `unknown` once the transport is gone.
    pub fn role(&self) -> IceRole {
        self.0.view(|view| view.role()).unwrap_or(IceRole::Unknown)
    }

    /// `component`: always `rtp`, as RTCP is multiplexed with it.
    pub fn component(&self) -> IceComponent {
        IceComponent::Rtp
    }

    /// `state`; `closed` once the connection is, or the transport was bundled into another.
    pub fn state(&self) -> IceTransportState {
        self.0
            .view(|view| view.ice_state())
            .unwrap_or(IceTransportState::Closed)
    }

    /// `gatheringState`.
    pub fn gathering_state(&self) -> IceGatheringState {
        self.0
            .view(|view| view.gathering_state())
            .unwrap_or(IceGatheringState::New)
    }

    /// `getLocalCandidates`.
    pub fn local_candidates(&self) -> Vec<IceCandidate> {
        self.0
            .view(|view| view.local_candidates())
            .unwrap_or_default()
    }

    /// `getRemoteCandidates`.
    pub fn remote_candidates(&self) -> Vec<IceCandidate> {
        self.0
            .view(|view| view.remote_candidates())
            .unwrap_or_default()
    }

    /// `getSelectedCandidatePair`: what packets take now.
    pub fn selected_candidate_pair(&self) -> Option<IceCandidatePair> {
        self.0.view(|view| view.selected_pair()).flatten()
    }

    /// `getLocalParameters`.
    pub fn local_parameters(&self) -> Option<IceParameters> {
        self.0.view(|view| view.local_parameters())
    }

    /// `getRemoteParameters`.
    pub fn remote_parameters(&self) -> Option<IceParameters> {
        self.0.view(|view| view.remote_parameters()).flatten()
    }

    /// `statechange`, `gatheringstatechange` and `selectedcandidatepairchange` from now on.
    pub fn events(&self) -> TransportEvents<IceTransportEvent> {
        listen(&self.0.listeners.ice, self.0.number)
    }
}

impl PartialEq for IceTransport {
    fn eq(&self, other: &Self) -> bool {
        self.0.same(&other.0)
    }
}

impl fmt::Debug for IceTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceTransport")
            .field("number", &self.0.number)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// `RTCSctpTransport`: what carries the data channels.
#[derive(Clone)]
pub struct SctpTransport {
    connection: Weak<Connection>,
    listeners: Arc<TransportListeners>,
}

impl SctpTransport {
    pub(crate) fn new(connection: Weak<Connection>, listeners: Arc<TransportListeners>) -> Self {
        SctpTransport {
            connection,
            listeners,
        }
    }

    fn query<T>(&self, look: impl FnOnce(&Session) -> T) -> Option<T> {
        self.connection
            .upgrade()
            .map(|connection| connection.query(look))
    }

    /// `transport`: what encrypts it; `None` before this side has described it, and once the connection is gone.
    pub fn transport(&self) -> Option<DtlsTransport> {
        let number = self.query(Session::sctp_transport)??;
        self.query(|session| session.transport(number).is_some())
            .filter(|exists| *exists)?;
        Some(DtlsTransport::new(
            Weak::clone(&self.connection),
            Arc::clone(&self.listeners),
            number,
        ))
    }

    /// `state`.
    pub fn state(&self) -> SctpTransportState {
        self.query(Session::sctp_state)
            .unwrap_or(SctpTransportState::Closed)
    }

    /// `maxMessageSize`: the largest message in bytes that can be sent, once an answer says it; [`u64::MAX`] is no limit.
    pub fn max_message_size(&self) -> Option<u64> {
        self.query(Session::max_message_size).flatten()
    }

    /// `maxChannels`: how many channels there can be, once the association is up.
    pub fn max_channels(&self) -> Option<u16> {
        self.query(Session::max_channels).flatten()
    }

    /// `statechange` from now on.
    pub fn events(&self) -> TransportEvents<SctpTransportState> {
        listen(&self.listeners.sctp, 0)
    }
}

impl PartialEq for SctpTransport {
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.connection, &other.connection)
    }
}

impl fmt::Debug for SctpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SctpTransport")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
