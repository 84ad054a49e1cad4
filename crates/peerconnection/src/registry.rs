//! From session events to handles: which handle stands for what, and who listens.

use crate::data_channel::{ChannelShared, DataChannel, DataChannelEvent};
use crate::driver::{Connection, Hub};
use crate::events::{Event, TrackEvent};
use crate::rtp_transceiver::{RtpTransceiver, TransceiverShared};
use crate::session::{self, ChannelId, IncomingFrame, Session, TransceiverId};
use crate::states::SctpTransportState;
use crate::stats::StatsReport;
use crate::transports::{DtlsTransportEvent, IceTransportEvent, TransportListeners};
use media::MediaStream;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::mpsc;

/// What handles of one connection share.
pub(crate) struct Registry {
    state: Mutex<State>,
    connection: Weak<Connection>,
    pub(crate) transports: Arc<TransportListeners>,
}

#[derive(Default)]
struct State {
    /// The channels take memory for many events at a time: boxed, that is little.
    listeners: Vec<mpsc::UnboundedSender<Box<Event>>>,
    /// What happened before anybody listened.
    backlog: Option<Vec<Event>>,
    channels: HashMap<ChannelId, Weak<ChannelShared>>,
    transceivers: HashMap<TransceiverId, Arc<TransceiverShared>>,
    streams: HashMap<String, MediaStream>,
    /// Those of the deprecated `add_stream`.
    local_streams: Vec<MediaStream>,
}

impl Registry {
    pub(crate) fn new(connection: &Arc<Connection>) -> Self {
        let state = State {
            backlog: Some(Vec::new()),
            ..State::default()
        };
        Registry {
            state: Mutex::new(state),
            connection: Arc::downgrade(connection),
            transports: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new listener; the first one also gets what happened before.
    pub(crate) fn listen(&self) -> mpsc::UnboundedReceiver<Box<Event>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.lock();
        for event in state.backlog.take().into_iter().flatten() {
            let _ = sender.send(Box::new(event));
        }
        state.listeners.push(sender);
        receiver
    }

    fn tell(&self, event: Event) {
        let mut state = self.lock();
        match &mut state.backlog {
            Some(backlog) => backlog.push(event),
            None => state
                .listeners
                .retain(|listener| listener.send(Box::new(event.clone())).is_ok()),
        }
    }

    pub(crate) fn add_channel(&self, id: ChannelId, channel: &DataChannel) {
        let mut state = self.lock();
        state
            .channels
            .retain(|_, channel| channel.strong_count() > 0);
        state.channels.insert(id, Arc::downgrade(channel.shared()));
    }

    fn channel(&self, id: ChannelId) -> Option<Arc<ChannelShared>> {
        self.lock().channels.get(&id)?.upgrade()
    }

    /// The handle of a transceiver, made when it is first asked for. `session` is the one it belongs to.
    pub(crate) fn transceiver(
        &self,
        session: &Session,
        id: TransceiverId,
    ) -> Option<RtpTransceiver> {
        let mut state = self.lock();
        if let Some(shared) = state.transceivers.get(&id) {
            return Some(RtpTransceiver::new(Arc::clone(shared)));
        }
        let view = session.transceiver(id)?;
        let shared = TransceiverShared::new(
            Weak::clone(&self.connection),
            Arc::clone(&self.transports),
            id,
            view.kind(),
            view.receiver_track(),
        );
        let shared = Arc::new(shared);
        state.transceivers.insert(id, Arc::clone(&shared));
        Some(RtpTransceiver::new(shared))
    }

    /// Adds what is known of the playing of received tracks.
    pub(crate) fn add_playout(&self, report: &mut StatsReport) {
        for transceiver in self.lock().transceivers.values() {
            report.add_playout(&transceiver.remote_track);
        }
    }

    fn known_transceiver(&self, id: TransceiverId) -> Option<Arc<TransceiverShared>> {
        self.lock().transceivers.get(&id).cloned()
    }

    /// Puts the track of a receiver into the streams that the peer names, and takes it out of the others. A stream is the
    /// same object whenever its id comes up ("set the associated remote streams", W3C WebRTC §5.1.1).
    #[expect(deprecated, reason = "the older events are still told")]
    fn place_track(&self, transceiver: &RtpTransceiver, ids: &[String]) {
        let track = transceiver.receiver().track();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut state = self.lock();
        for (id, stream) in &state.streams {
            if !ids.contains(id) && stream.track_by_id(track.id()).is_some() {
                stream.remote_remove_track(&track);
                removed.extend(stream.tracks().is_empty().then(|| stream.clone()));
            }
        }
        for id in ids {
            let stream = state
                .streams
                .entry(id.clone())
                .or_insert_with(|| MediaStream::with_id(id.clone(), []));
            if stream.track_by_id(track.id()).is_none() {
                added.extend(stream.tracks().is_empty().then(|| stream.clone()));
                stream.remote_add_track(&track);
            }
        }
        drop(state);
        for stream in removed {
            self.tell(Event::RemoveStream(stream));
        }
        for stream in added {
            self.tell(Event::AddStream(stream));
        }
    }

    /// The streams of these ids.
    fn streams(&self, ids: &[String]) -> Vec<MediaStream> {
        let state = self.lock();
        let known = ids.iter().filter_map(|id| state.streams.get(id));
        known.cloned().collect()
    }

    pub(crate) fn add_local_stream(&self, stream: &MediaStream) {
        let mut state = self.lock();
        if !state
            .local_streams
            .iter()
            .any(|known| known.id() == stream.id())
        {
            state.local_streams.push(stream.clone());
        }
    }

    pub(crate) fn remove_local_stream(&self, id: &str) {
        self.lock().local_streams.retain(|known| known.id() != id);
    }

    pub(crate) fn local_streams(&self) -> Vec<MediaStream> {
        self.lock().local_streams.clone()
    }

    pub(crate) fn remote_streams(&self) -> Vec<MediaStream> {
        let state = self.lock();
        let all = state.streams.values();
        all.filter(|stream| !stream.tracks().is_empty())
            .cloned()
            .collect()
    }
}

/// The end of the driver that knows handles.
pub(crate) struct Dispatcher(pub(crate) Arc<Registry>);

impl Hub for Dispatcher {
    fn event(&mut self, session: &mut Session, event: session::Event) {
        use session::Event as S;
        let registry = &self.0;
        match event {
            S::NegotiationNeeded => registry.tell(Event::NegotiationNeeded),
            S::SignalingStateChange(state) => registry.tell(Event::SignalingStateChange(state)),
            S::IceGatheringStateChange(state) => {
                registry.tell(Event::IceGatheringStateChange(state))
            }
            S::IceConnectionStateChange(state) => {
                registry.tell(Event::IceConnectionStateChange(state))
            }
            S::ConnectionStateChange(state) => registry.tell(Event::ConnectionStateChange(state)),
            S::IceCandidate(candidate) => registry.tell(Event::IceCandidate(candidate)),
            S::IceCandidateError(error) => registry.tell(Event::IceCandidateError(error)),
            S::DtlsStateChange { transport, state } => registry
                .transports
                .tell_dtls(transport, &DtlsTransportEvent::StateChange(state)),
            S::IceTransportStateChange { transport, state } => registry
                .transports
                .tell_ice(transport, &IceTransportEvent::StateChange(state)),
            S::IceTransportGatheringStateChange { transport, state } => registry
                .transports
                .tell_ice(transport, &IceTransportEvent::GatheringStateChange(state)),
            S::SelectedCandidatePairChange { transport } => {
                let view = session.transport(transport);
                if let Some(pair) = view.and_then(|view| view.selected_pair()) {
                    let event = IceTransportEvent::SelectedCandidatePairChange(Box::new(pair));
                    registry.transports.tell_ice(transport, &event);
                }
            }
            S::SctpConnected => registry.transports.tell_sctp(SctpTransportState::Connected),
            S::SctpClosed => registry.transports.tell_sctp(SctpTransportState::Closed),
            S::DtlsError { transport, error } => {
                tracing::warn!(%error, "DTLS failed");
                registry
                    .transports
                    .tell_dtls(transport, &DtlsTransportEvent::Error(error.clone()));
                registry.tell(Event::DtlsError(error));
            }
            S::Track {
                transceiver,
                streams,
            } => {
                let Some(transceiver) = registry.transceiver(session, transceiver) else {
                    return;
                };
                let streams = registry.streams(&streams);
                let receiver = transceiver.receiver();
                registry.tell(Event::Track(TrackEvent {
                    track: receiver.track(),
                    receiver,
                    streams,
                    transceiver,
                }));
            }
            S::TrackMuted(id) => {
                let Some(transceiver) = registry.known_transceiver(id) else {
                    return;
                };
                transceiver.set_remote_muted(true);
            }
            S::RemoteStreams {
                transceiver,
                streams,
            } => {
                let known = registry
                    .known_transceiver(transceiver)
                    .map(RtpTransceiver::new);
                let known = known.or_else(|| registry.transceiver(session, transceiver));
                if let Some(transceiver) = known {
                    registry.place_track(&transceiver, &streams);
                }
            }
            S::TrackUnmuted(id) => {
                if let Some(transceiver) = registry.known_transceiver(id) {
                    transceiver.set_remote_muted(false);
                }
            }
            S::TransceiverStopped(id) => {
                if let Some(transceiver) = registry.known_transceiver(id) {
                    transceiver.end();
                }
            }
            S::KeyframeRequested { transceiver, rid } => {
                if let Some(transceiver) = registry.known_transceiver(transceiver) {
                    transceiver.request_keyframe(rid.as_deref());
                }
            }
            S::ToneChange { transceiver, tone } => {
                if let Some(transceiver) = registry.known_transceiver(transceiver) {
                    transceiver.tell_tone(&tone);
                }
            }
            S::ChannelIncoming(id) => {
                let (Some(connection), Some(config)) =
                    (registry.connection.upgrade(), session.channel_config(id))
                else {
                    return;
                };
                let channel = DataChannel::new(connection, id, config.clone());
                registry.add_channel(id, &channel);
                registry.tell(Event::DataChannel(channel));
            }
            S::ChannelOpen(id) => self.tell_channel(id, DataChannelEvent::Open),
            S::ChannelReadable(id) => {
                if let Some(channel) = registry.channel(id) {
                    channel.readable.notify_waiters();
                }
            }
            S::ChannelBufferedAmountLow(id) => {
                self.tell_channel(id, DataChannelEvent::BufferedAmountLow)
            }
            S::ChannelClosing(id) => self.tell_channel(id, DataChannelEvent::Closing),
            S::ChannelClosed(id, error) => {
                if let Some(error) = error {
                    self.tell_channel(id, DataChannelEvent::Error(error));
                }
                self.tell_channel(id, DataChannelEvent::Close);
            }
            _ => {}
        }
    }

    fn frame(&mut self, session: &mut Session, id: TransceiverId, frame: IncomingFrame) {
        if let Some(transceiver) = self.0.transceiver(session, id) {
            transceiver.shared().handle_frame(session, frame);
        }
    }

    fn packet(&mut self, id: TransceiverId, packet: &bytes::Bytes) {
        if let Some(transceiver) = self.0.known_transceiver(id) {
            transceiver.handle_packet(packet);
        }
    }

    fn closed(&mut self) {
        let (channels, transceivers) = {
            let mut state = self.0.lock();
            let channels: Vec<_> = state
                .channels
                .drain()
                .filter_map(|(_, channel)| channel.upgrade())
                .collect();
            let transceivers: Vec<_> = state.transceivers.values().cloned().collect();
            // Listeners hear the end of the stream of events.
            state.listeners.clear();
            self.0.transports.close();
            (channels, transceivers)
        };
        for channel in channels {
            channel.end();
        }
        for transceiver in transceivers {
            transceiver.end();
        }
    }
}

impl Dispatcher {
    fn tell_channel(&self, id: ChannelId, event: DataChannelEvent) {
        if let Some(channel) = self.0.channel(id) {
            channel.tell(event);
        }
    }
}
