//! `RTCDataChannel` (W3C WebRTC §6.2).

use crate::driver::Connection;
use crate::error::{Error, RtcError, RtcErrorDetail};
use crate::session::{ChannelConfig, ChannelId, ChannelState, MessageKind};
use crate::states::DataChannelState;
use bytes::Bytes;
use sctp::Reliability;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Bytes that one channel may have waiting before [`DataChannel::send`] waits.
const HIGH_WATER: usize = 1 << 20;

/// `RTCDataChannelInit` (W3C WebRTC §6.2): how a channel is made.
///
/// ```
/// use peerconnection::DataChannelInit;
///
/// // Positions of a game: the newest counts, a lost one is not worth repeating.
/// let init = DataChannelInit { ordered: false, max_retransmits: Some(0), ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataChannelInit {
    /// Whether messages arrive in the order they were sent.
    pub ordered: bool,
    /// For how long a message is worth repeating; up to 65,535 ms.
    pub max_packet_life_time: Option<Duration>,
    /// How often a message is repeated at most.
    pub max_retransmits: Option<u16>,
    /// A name of the protocol spoken on the channel; up to 65,535 bytes.
    pub protocol: String,
    /// Whether both sides make the channel themselves, with the same `id`.
    pub negotiated: bool,
    /// The SCTP stream, 0 to 65,534; needed when `negotiated`, ignored otherwise.
    pub id: Option<u16>,
    /// How the channel stands to the others (RFC 8831 §6.4).
    pub priority: Priority,
}

impl Default for DataChannelInit {
    fn default() -> Self {
        DataChannelInit {
            ordered: true,
            max_packet_life_time: None,
            max_retransmits: None,
            protocol: String::new(),
            negotiated: false,
            id: None,
            priority: Priority::Low,
        }
    }
}

/// `RTCPriorityType` (RFC 8831 §6.4, W3C WebRTC Priority §3), the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Behind everything else.
    VeryLow,
    /// The usual one.
    #[default]
    Low,
    /// Before the usual.
    Medium,
    /// Before everything else.
    High,
}

impl Priority {
    /// RFC 8832 §8.2.2 carries it as a number; these are those of RFC 8831 §6.4.
    pub(crate) fn to_wire(self) -> u16 {
        match self {
            Priority::VeryLow => 128,
            Priority::Low => 256,
            Priority::Medium => 512,
            Priority::High => 1024,
        }
    }
}

impl DataChannelInit {
    pub(crate) fn to_config(&self, label: &str) -> Result<ChannelConfig, Error> {
        let reliability = match (self.max_packet_life_time, self.max_retransmits) {
            (Some(_), Some(_)) => {
                return Err(Error::Type(
                    "max_packet_life_time and max_retransmits exclude each other".into(),
                ));
            }
            (Some(time), None) if time > Duration::from_millis(65_535) => {
                return Err(Error::Type("max_packet_life_time is over 65,535 ms".into()));
            }
            (Some(time), None) => Reliability::MaxPacketLifeTime(time),
            (None, Some(count)) => Reliability::MaxRetransmits(count),
            (None, None) => Reliability::Reliable,
        };
        let negotiated = match (self.negotiated, self.id) {
            (true, None) => return Err(Error::Type("a negotiated channel needs an id".into())),
            (true, Some(65_535)) => return Err(Error::Type("the id 65,535 cannot be used".into())),
            (true, id) => id,
            (false, _) => None,
        };
        if label.len() > 65_535 || self.protocol.len() > 65_535 {
            return Err(Error::Type(
                "the label or the protocol is over 65,535 bytes".into(),
            ));
        }
        Ok(ChannelConfig {
            label: label.to_owned(),
            protocol: self.protocol.clone(),
            ordered: self.ordered,
            reliability,
            priority: self.priority.to_wire(),
            negotiated,
        })
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text, valid UTF-8.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// The payload, whichever it is.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }
}

/// What happens to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataChannelEvent {
    /// `open`.
    Open,
    /// `bufferedamountlow`.
    BufferedAmountLow,
    /// `closing`: the peer closes it.
    Closing,
    /// `error`; `Close` follows.
    Error(RtcError),
    /// `close`, the last of all. Closing the connection here closes its channels without a word.
    Close,
}

/// `RTCDataChannel`: a two-way channel for messages.
///
/// Clones are handles to the same channel. When the last is dropped, the channel is closed: nobody could read it any
/// more, and what is not read holds up every other channel of the connection.
#[derive(Clone)]
pub struct DataChannel {
    shared: Arc<ChannelShared>,
}

pub(crate) struct ChannelShared {
    connection: Arc<Connection>,
    id: ChannelId,
    config: ChannelConfig,
    threshold: Mutex<usize>,
    pub(crate) readable: Notify,
    pub(crate) writable: Arc<Notify>,
    pub(crate) changed: Notify,
    events: Mutex<Listeners>,
}

/// Who hears of a channel.
enum Listeners {
    /// Nobody yet: what has happened, for who comes first.
    Backlog(Vec<DataChannelEvent>),
    Some(Vec<mpsc::UnboundedSender<DataChannelEvent>>),
    /// The channel is closed, and its listeners heard the end.
    Ended(Vec<DataChannelEvent>),
}

impl Listeners {
    fn tell(&mut self, event: DataChannelEvent) {
        match self {
            // One low buffer is like another.
            Listeners::Backlog(events) if events.last() == Some(&event) => {}
            Listeners::Backlog(events) => events.push(event),
            Listeners::Some(listeners) => {
                listeners.retain(|listener| listener.send(event.clone()).is_ok());
            }
            Listeners::Ended(_) => {}
        }
    }

    fn listen(&mut self) -> mpsc::UnboundedReceiver<DataChannelEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        match self {
            Listeners::Backlog(events) | Listeners::Ended(events) => {
                for event in std::mem::take(events) {
                    let _ = sender.send(event);
                }
            }
            Listeners::Some(_) => {}
        }
        match self {
            Listeners::Backlog(_) => *self = Listeners::Some(vec![sender]),
            Listeners::Some(listeners) => listeners.push(sender),
            Listeners::Ended(_) => {}
        }
        receiver
    }

    fn end(&mut self) {
        *self = Listeners::Ended(match self {
            Listeners::Backlog(events) | Listeners::Ended(events) => std::mem::take(events),
            Listeners::Some(_) => Vec::new(),
        });
    }
}

impl ChannelShared {
    pub(crate) fn tell(&self, event: DataChannelEvent) {
        let last = event == DataChannelEvent::Close;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.tell(event);
        if last {
            events.end();
        }
        drop(events);
        self.wake();
    }

    /// The connection was closed here, and the channel abruptly with it: of that no event tells (W3C WebRTC §4.4.2, "close
    /// the connection", step 5).
    pub(crate) fn end(&self) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end();
        self.wake();
    }

    fn wake(&self) {
        self.changed.notify_waiters();
        self.readable.notify_waiters();
        self.writable.notify_waiters();
    }
}

impl Drop for ChannelShared {
    fn drop(&mut self) {
        self.connection.abandon(self.id);
    }
}

impl DataChannel {
    pub(crate) fn new(connection: Arc<Connection>, id: ChannelId, config: ChannelConfig) -> Self {
        DataChannel {
            shared: Arc::new(ChannelShared {
                connection,
                id,
                config,
                threshold: Mutex::new(0),
                readable: Notify::new(),
                writable: Arc::new(Notify::new()),
                changed: Notify::new(),
                events: Mutex::new(Listeners::Backlog(Vec::new())),
            }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<ChannelShared> {
        &self.shared
    }

    /// The name it was made with.
    pub fn label(&self) -> &str {
        &self.shared.config.label
    }

    /// Whether messages arrive in order.
    pub fn ordered(&self) -> bool {
        self.shared.config.ordered
    }

    /// For how long a message is worth repeating.
    pub fn max_packet_life_time(&self) -> Option<Duration> {
        match self.shared.config.reliability {
            Reliability::MaxPacketLifeTime(time) => Some(time),
            _ => None,
        }
    }

    /// How often a message is repeated at most.
    pub fn max_retransmits(&self) -> Option<u16> {
        match self.shared.config.reliability {
            Reliability::MaxRetransmits(count) => Some(count),
            _ => None,
        }
    }

    /// The protocol that was named.
    pub fn protocol(&self) -> &str {
        &self.shared.config.protocol
    }

    /// Whether both sides made the channel themselves.
    pub fn negotiated(&self) -> bool {
        self.shared.config.negotiated.is_some()
    }

    /// How the channel stands to the others.
    pub fn priority(&self) -> Priority {
        // The steps of RFC 8831 §6.4; a peer may say anything between.
        match self.shared.config.priority {
            0..=128 => Priority::VeryLow,
            129..=256 => Priority::Low,
            257..=512 => Priority::Medium,
            _ => Priority::High,
        }
    }

    /// The SCTP stream, once an answer has said whose ids are even; it does not change after that.
    pub fn id(&self) -> Option<u16> {
        self.shared.config.negotiated.or_else(|| {
            self.shared
                .connection
                .query(|session| session.channel_stream_id(self.shared.id))
        })
    }

    /// Where the channel is in its life.
    pub fn ready_state(&self) -> DataChannelState {
        self.shared.connection.query(|session| {
            if session.is_closed() {
                return DataChannelState::Closed;
            }
            session.channel_state(self.shared.id).into()
        })
    }

    /// Bytes of payload that wait to be sent; a channel that was closed abruptly keeps what it had.
    pub fn buffered_amount(&self) -> usize {
        self.shared
            .connection
            .query(|session| session.buffered_amount(self.shared.id))
    }

    /// At which [`DataChannelEvent::BufferedAmountLow`] is told; 0 at first.
    pub fn buffered_amount_low_threshold(&self) -> usize {
        *self
            .shared
            .threshold
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets that threshold.
    pub fn set_buffered_amount_low_threshold(&self, bytes: usize) {
        *self
            .shared
            .threshold
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = bytes;
        self.shared
            .connection
            .command(|session, _| session.set_buffered_amount_low_threshold(self.shared.id, bytes));
    }

    /// Sends bytes; waits while more than 1 MiB of this channel has not left yet.
    ///
    /// # Errors
    /// `InvalidStateError` when the channel is not open, `TypeError` for a message larger than the peer takes
    /// ([`PeerConnection::max_message_size`](crate::PeerConnection::max_message_size)).
    pub async fn send(&self, data: impl Into<Bytes>) -> Result<(), Error> {
        self.send_message(MessageKind::Binary, data.into()).await
    }

    /// Sends text, as [`DataChannel::send`] sends bytes.
    ///
    /// # Errors
    /// As [`DataChannel::send`].
    pub async fn send_text(&self, text: impl Into<String>) -> Result<(), Error> {
        self.send_message(MessageKind::String, Bytes::from(text.into()))
            .await
    }

    /// Sends bytes if there is room.
    ///
    /// # Errors
    /// As [`DataChannel::send`]; `OperationError` when the buffer is full.
    pub fn try_send(&self, data: impl Into<Bytes>) -> Result<(), Error> {
        let data = data.into();
        self.shared
            .connection
            .command(|session, now| session.send(now, self.shared.id, MessageKind::Binary, data))
    }

    async fn send_message(&self, kind: MessageKind, payload: Bytes) -> Result<(), Error> {
        let shared = &self.shared;
        loop {
            let mut room = pin!(shared.writable.notified());
            room.as_mut().enable();
            let sent = shared.connection.command(|session, now| {
                let buffered = session.buffered_amount(shared.id);
                if buffered > 0
                    && buffered + payload.len() > HIGH_WATER
                    && session.channel_state(shared.id) == ChannelState::Open
                {
                    return None;
                }
                match session.send(now, shared.id, kind, payload.clone()) {
                    // Other channels have filled the association's buffer.
                    Err(Error::Operation(_)) => None,
                    sent => Some(sent),
                }
            });
            match sent {
                Some(sent) => return sent,
                None => {
                    shared
                        .connection
                        .wait_for_room(shared.id, HIGH_WATER / 2, &shared.writable);
                    room.await;
                }
            }
        }
    }

    /// The next message; `None` once the channel is closed and everything has been read.
    pub async fn recv(&self) -> Option<Message> {
        let shared = &self.shared;
        loop {
            let mut news = pin!(shared.readable.notified());
            news.as_mut().enable();
            if let Some(message) = self.try_recv() {
                return Some(message);
            }
            if self.ready_state() == DataChannelState::Closed {
                return None;
            }
            news.await;
        }
    }

    /// A message that has come, if there is one.
    pub fn try_recv(&self) -> Option<Message> {
        let message = self
            .shared
            .connection
            .command(|session, now| session.read(now, self.shared.id))?;
        Some(match message.kind {
            MessageKind::Binary => Message::Binary(message.payload),
            MessageKind::String => Message::Text(match String::from_utf8(message.payload.into()) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        })
    }

    /// Waits until the channel is open.
    ///
    /// # Errors
    /// An `RTCError` when it is closed instead.
    pub async fn opened(&self) -> Result<(), Error> {
        loop {
            let mut news = pin!(self.shared.changed.notified());
            news.as_mut().enable();
            match self.ready_state() {
                DataChannelState::Open => return Ok(()),
                DataChannelState::Connecting => news.await,
                _ => {
                    let error = RtcError::new(
                        RtcErrorDetail::DataChannelFailure,
                        "the channel closed before it opened",
                    );
                    return Err(Error::Rtc(error));
                }
            }
        }
    }

    /// What happens to the channel from now on; the first caller also gets what happened before. Messages come by
    /// [`DataChannel::recv`].
    pub fn events(&self) -> DataChannelEvents {
        let mut events = self
            .shared
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        DataChannelEvents(events.listen())
    }

    /// Closes the channel once everything that waits has been sent. What the peer still sends is discarded.
    pub fn close(&self) {
        self.shared
            .connection
            .command(|session, now| session.close_channel(now, self.shared.id));
    }
}

impl fmt::Debug for DataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataChannel")
            .field("label", &self.label())
            .field("channel", &self.shared.id)
            .finish_non_exhaustive()
    }
}

/// The events of one channel.
#[derive(Debug)]
pub struct DataChannelEvents(mpsc::UnboundedReceiver<DataChannelEvent>);

impl DataChannelEvents {
    /// The next event; `None` after `Close`, and when the connection was closed here.
    pub async fn next(&mut self) -> Option<DataChannelEvent> {
        self.0.recv().await
    }
}
