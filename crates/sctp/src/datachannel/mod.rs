//! Data channels (RFC 8831) over one association: opened by DCEP (RFC 8832) or by agreement, closed by stream reset.

mod channel;
mod dcep;
mod incoming;
mod types;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;

use self::channel::Channel;
pub use self::channel::ChannelStats;
use self::dcep::{Dcep, ppid};
pub use self::types::{
    ChannelConfig, ChannelError, ChannelId, ChannelState, DtlsRole, Event, Message, MessageKind,
    OpenError, RemoteParameters, SendError,
};
use crate::association::{Association, AssociationSendError, SendOptions};
use crate::hash::NumberMap;
use crate::{CloseReason, Config, Stats};

/// 65,535 is not a data channel's id (RFC 8832 §6).
const MAX_STREAM_ID: u16 = 65_534;
/// The content of an empty message, which SCTP cannot carry (RFC 8831 §6.6).
static NOTHING: [u8; 1] = [0];
/// Packets kept that came before the start.
const MAX_EARLY: usize = 8;
/// Channels the peer may open before the application has taken notice of the earlier ones.
const MAX_UNSEEN: usize = 65_535;

/// An association with its data channels.
///
/// [`DataChannels::open`] may be called before [`DataChannels::start`]; stream ids are given at the start, when the
/// DTLS role is known. Then, in any order:
///
/// 1. hand packets to [`handle_packet`](Self::handle_packet), and call [`handle_timeout`](Self::handle_timeout)
///    when [`poll_timeout`](Self::poll_timeout) is due;
/// 2. send what [`poll_transmit`](Self::poll_transmit) writes until it returns `None`;
/// 3. take events by [`poll_event`](Self::poll_event) and messages by [`read`](Self::read).
#[derive(Debug)]
pub struct DataChannels {
    association: Association,
    role: Option<DtlsRole>,
    started: bool,
    remote_max_message_size: u64,
    channels: NumberMap<u32, Channel>,
    by_stream: NumberMap<u16, u32>,
    next_id: u32,
    /// Where the search for a free stream id goes on.
    next_stream: u32,
    events: VecDeque<Event>,
    early: Vec<Bytes>,
    unseen: usize,
    /// What was still to be sent when a channel was closed, where there was anything.
    unsent: NumberMap<u32, usize>,
    closed: Option<CloseReason>,
    dcep_errors: u64,
}

impl DataChannels {
    /// Nothing is sent before [`DataChannels::start`].
    pub fn new(config: Config, rng: StdRng) -> Self {
        Self {
            association: Association::new(config, rng),
            role: None,
            started: false,
            remote_max_message_size: 65_536,
            channels: NumberMap::default(),
            by_stream: NumberMap::default(),
            next_id: 0,
            next_stream: 0,
            events: VecDeque::new(),
            early: Vec::new(),
            unseen: 0,
            unsent: NumberMap::default(),
            closed: None,
            dcep_errors: 0,
        }
    }

    /// This side's INIT chunk for `a=sctp-init` (draft-hancke-tsvwg-snap), before base64.
    pub fn local_init(&self) -> Bytes {
        self.association.local_init()
    }

    /// Opens a channel; before the start too. A channel that is not negotiated tells the peer by DCEP.
    pub fn open(&mut self, config: ChannelConfig) -> Result<ChannelId, OpenError> {
        if self.closed.is_some() {
            return Err(OpenError::Closed);
        }
        let most = usize::from(u16::MAX);
        if config.label.len() > most || config.protocol.len() > most {
            return Err(OpenError::TooLong);
        }
        let stream = match config.negotiated {
            Some(id) if id > MAX_STREAM_ID || id >= self.stream_limit() => {
                return Err(OpenError::InvalidId);
            }
            Some(id) if self.by_stream.contains_key(&id) => return Err(OpenError::IdInUse),
            Some(id) => Some(id),
            None if self.role.is_some() => Some(self.free_stream().ok_or(OpenError::NoStream)?),
            None => None,
        };
        let id = self.insert(Channel::new(config));
        if let Some(stream) = stream {
            self.bind(id, stream);
        }
        Ok(ChannelId(id))
    }

    /// Starts the association: DTLS is connected.
    pub fn start(&mut self, now: Instant, role: DtlsRole, remote: RemoteParameters) {
        if self.started || self.closed.is_some() {
            return;
        }
        self.started = true;
        self.remote_max_message_size = remote.max_message_size;
        self.association.set_remote_port(remote.port);
        self.set_role(role);
        match &remote.sctp_init {
            Some(init) => {
                if self.association.connect_with(now, init).is_err() {
                    self.association.abort(now, "");
                    self.on_closed(CloseReason::InvalidInit);
                    return;
                }
            }
            None => self.association.connect(now),
        }
        for packet in std::mem::take(&mut self.early) {
            self.association.handle_packet(now, packet);
        }
        self.drain(now);
    }

    /// The DTLS role is agreed on, perhaps before DTLS is connected: channels get their stream ids.
    pub fn set_role(&mut self, role: DtlsRole) {
        if self.closed.is_some() {
            return;
        }
        self.role = Some(role);
        // Channels that waited for the role, in the order they were opened.
        let mut waiting: Vec<u32> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.stream.is_none())
            .map(|(id, _)| *id)
            .collect();
        waiting.sort_unstable();
        for id in waiting {
            match self.free_stream() {
                Some(stream) => self.bind(id, stream),
                None => self.finish(id, Some(ChannelError::NoStream)),
            }
        }
    }

    /// The peer's `a=max-message-size` has changed; 0 for no limit.
    pub fn set_remote_max_message_size(&mut self, bytes: u64) {
        self.remote_max_message_size = bytes;
    }

    /// Queues a message.
    pub fn send(
        &mut self,
        now: Instant,
        id: ChannelId,
        kind: MessageKind,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let channel = self.channels.get_mut(&id.0).ok_or(SendError::NotOpen)?;
        let (ChannelState::Open, Some(stream)) = (channel.state, channel.stream) else {
            return Err(SendError::NotOpen);
        };
        let limit = self.remote_max_message_size;
        if limit != 0 && payload.len() as u64 > limit {
            return Err(SendError::TooLarge {
                size: payload.len(),
                limit,
            });
        }
        let (ppid, payload) = match (kind, payload.is_empty()) {
            (MessageKind::Binary, false) => (ppid::BINARY, payload),
            (MessageKind::String, false) => (ppid::STRING, payload),
            (MessageKind::Binary, true) => (ppid::BINARY_EMPTY, Bytes::from_static(&NOTHING)),
            (MessageKind::String, true) => (ppid::STRING_EMPTY, Bytes::from_static(&NOTHING)),
        };
        let options = SendOptions {
            stream,
            ppid,
            // RFC 8832 §6: unordered only once the peer knows of the channel.
            unordered: !channel.config.ordered && !channel.awaits_ack,
            reliability: channel.config.reliability,
        };
        let size = payload.len() as u64;
        match self.association.send(now, options, payload) {
            Ok(()) => {
                channel.stats.messages_sent += 1;
                channel.stats.bytes_sent += size;
                Ok(())
            }
            Err(AssociationSendError::BufferFull) => Err(SendError::BufferFull),
            Err(_) => Err(SendError::NotOpen),
        }
    }

    /// Takes the next message and opens the receive window by its size.
    pub fn read(&mut self, _now: Instant, id: ChannelId) -> Option<Message> {
        let channel = self.channels.get_mut(&id.0)?;
        let Some(incoming) = channel.incoming.pop_front() else {
            channel.readable_told = false;
            if channel.state == ChannelState::Closed {
                self.channels.remove(&id.0);
            }
            return None;
        };
        self.association.consume(incoming.cost);
        Some(incoming.message)
    }

    /// Closes a channel once what is queued was sent (RFC 8831 §6.7). Nothing more is accepted for it.
    pub fn close(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.channels.get_mut(&id.0) else {
            return;
        };
        match (channel.state, channel.stream) {
            (ChannelState::Closed, _) => {
                let cost = channel.incoming.iter().map(|incoming| incoming.cost).sum();
                self.channels.remove(&id.0);
                self.association.consume(cost);
            }
            (ChannelState::Closing, _) => {}
            // Nothing was said of it yet.
            (ChannelState::Connecting, _) | (_, None) => self.finish(id.0, None),
            (_, Some(stream)) => {
                channel.state = ChannelState::Closing;
                self.close_stream(now, stream);
            }
        }
        self.drain(now);
    }

    /// Resets our half; without stream reset the channel is over at once.
    fn close_stream(&mut self, now: Instant, stream: u16) {
        if self.association.reset_streams(now, &[stream]) {
            return;
        }
        if let Some(&id) = self.by_stream.get(&stream) {
            self.finish(id, None);
        }
    }

    /// Ends the association once what is queued was acknowledged.
    pub fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
        self.drain(now);
    }

    /// Ends the association at once.
    pub fn abort(&mut self, now: Instant) {
        self.association.abort(now, "");
        self.drain(now);
    }

    /// Ends the association, and with it every channel, and waits for the [`start`](Self::start) of another: the peer is
    /// reached over another DTLS association, or on another port (RFC 9429 §5.11). What came before can still be read.
    pub fn restart(&mut self, now: Instant, config: Config, rng: StdRng) {
        self.abort(now);
        self.association = Association::new(config, rng);
        self.role = None;
        self.started = false;
        self.closed = None;
        self.next_stream = 0;
        self.early.clear();
        self.unseen = 0;
    }

    /// A packet came.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        if !self.started {
            if self.early.len() < MAX_EARLY {
                self.early.push(packet);
            }
            return;
        }
        self.association.handle_packet(now, packet);
        self.drain(now);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.drain(now);
    }

    /// When to call [`DataChannels::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// Appends one SCTP packet to `buf` and returns its length.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        if !self.started {
            return None;
        }
        self.association.poll_transmit(now, buf)
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::ChannelIncoming(_)) {
            self.unseen -= 1;
        }
        Some(event)
    }

    /// A channel's configuration.
    pub fn config(&self, id: ChannelId) -> Option<&ChannelConfig> {
        Some(&self.channels.get(&id.0)?.config)
    }

    /// A channel's stream id, once it has one.
    pub fn stream_id(&self, id: ChannelId) -> Option<u16> {
        self.channels.get(&id.0)?.stream
    }

    /// A channel's state; `None` once it is forgotten, which is when it is closed and all was read.
    pub fn state(&self, id: ChannelId) -> Option<ChannelState> {
        Some(self.channels.get(&id.0)?.state)
    }

    /// What a channel counted.
    pub fn channel_stats(&self, id: ChannelId) -> Option<ChannelStats> {
        Some(self.channels.get(&id.0)?.stats)
    }

    /// Bytes given to [`DataChannels::send`] that have not been put into a packet yet. A closed channel keeps what it had.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        let unsent = self.unsent.get(&id.0).copied().unwrap_or(0);
        let open = self
            .channels
            .get(&id.0)
            .filter(|channel| channel.state != ChannelState::Closed);
        open.and_then(|channel| channel.stream)
            .map_or(unsent, |stream| self.association.buffered_amount(stream))
    }

    /// Where [`Event::BufferedAmountLow`] is told.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, threshold: usize) {
        if let Some(channel) = self.channels.get_mut(&id.0) {
            channel.low_threshold = threshold;
            if let Some(stream) = channel.stream {
                self.association
                    .set_buffered_amount_low_threshold(stream, threshold);
            }
        }
    }

    /// The largest message the peer accepts; 0 for any.
    pub fn max_message_size(&self) -> u64 {
        self.remote_max_message_size
    }

    /// The association below.
    pub fn association(&self) -> &Association {
        &self.association
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.association.stats()
    }

    fn insert(&mut self, channel: Channel) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.channels.insert(id, channel);
        id
    }

    fn stream_limit(&self) -> u16 {
        let association = &self.association;
        match (
            association.outbound_streams(),
            association.inbound_streams(),
        ) {
            (Some(out), Some(inbound)) => out.min(inbound),
            _ => u16::MAX,
        }
    }

    /// The next free id of our parity: even for the DTLS client (RFC 8832 §6).
    fn free_stream(&mut self) -> Option<u16> {
        let parity = match self.role? {
            DtlsRole::Client => 0,
            DtlsRole::Server => 1,
        };
        let limit = u32::from(self.stream_limit());
        let slots = (limit + 1 - parity) / 2;
        for n in 0..slots {
            let slot = (self.next_stream + n) % slots;
            let id = u16::try_from(slot * 2 + parity).ok()?;
            if !self.by_stream.contains_key(&id) {
                self.next_stream = (slot + 1) % slots;
                return Some(id);
            }
        }
        None
    }

    /// Gives a channel its stream; with an established association it opens.
    fn bind(&mut self, id: u32, stream: u16) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.stream = Some(stream);
        self.by_stream.insert(stream, id);
        let (priority, threshold) = (channel.config.priority, channel.low_threshold);
        self.association.set_priority(stream, priority);
        self.association
            .set_buffered_amount_low_threshold(stream, threshold);
        if self.association.is_established() {
            self.open_bound(id);
        }
    }

    /// The association is up: a negotiated channel is open, another one says OPEN and is open for sending as well
    /// (RFC 8832 §6: messages may follow at once).
    fn open_bound(&mut self, id: u32) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let (ChannelState::Connecting, Some(stream)) = (channel.state, channel.stream) else {
            return;
        };
        channel.state = ChannelState::Open;
        if channel.config.negotiated.is_none() {
            channel.awaits_ack = true;
            let open = Dcep::Open(channel.config.clone()).write();
            self.association
                .send_control(stream, ppid::DCEP, open.into());
        }
        self.events.push_back(Event::ChannelOpen(ChannelId(id)));
    }
}
