//! What passes between [`DataChannels`](super::DataChannels) and its user.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::{CloseReason, Reliability};

/// A data channel of one association. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub(super) u32);

impl ChannelId {
    /// The number, for logs and for keys of one's own.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// What a channel is opened with (RFC 8832 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelConfig {
    /// A name for people; need not be unique.
    pub label: String,
    /// The subprotocol, or empty.
    pub protocol: String,
    /// Whether messages arrive in the order they were sent.
    pub ordered: bool,
    /// What happens to a message that is lost.
    pub reliability: Reliability,
    /// The weight against other channels: 128, 256, 512 or 1024 for the four names of RFC 8831 §6.4.
    pub priority: u16,
    /// The stream id both applications agreed on; `None` lets DCEP open the channel.
    pub negotiated: Option<u16>,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            label: String::new(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            priority: 256,
            negotiated: None,
        }
    }
}

/// Text or bytes (RFC 8831 §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Bytes.
    Binary,
    /// UTF-8, which the sender vouches for.
    String,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Text or bytes.
    pub kind: MessageKind,
    /// The content; for a message of one chunk, a slice of the packet it came in.
    pub payload: Bytes,
}

/// This side's role in the DTLS handshake below, which decides who uses even stream ids (RFC 8832 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// Even ids.
    Client,
    /// Odd ids.
    Server,
}

/// What the peer's session description says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParameters {
    /// `a=sctp-port`.
    pub port: u16,
    /// `a=max-message-size`: 0 for no limit, and 64 KiB where the line is missing (RFC 8841 §6.1).
    pub max_message_size: u64,
    /// The peer's INIT chunk, decoded from `a=sctp-init`; the handshake is then skipped.
    pub sctp_init: Option<Bytes>,
}

impl Default for RemoteParameters {
    fn default() -> Self {
        Self {
            port: crate::config::DEFAULT_PORT,
            max_message_size: 65_536,
            sctp_init: None,
        }
    }
}

/// RTCDataChannelState, less the time before [`DataChannels::open`](super::DataChannels::open).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelState {
    /// Waits for the association.
    Connecting,
    /// Carries messages.
    Open,
    /// What was queued is still being sent.
    Closing,
    /// Over.
    Closed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The association is up.
    Connected {
        /// Channels that both sides' stream limits allow.
        max_channels: u16,
    },
    /// The peer opened a channel. It can be used at once; no [`Event::ChannelOpen`] follows.
    ChannelIncoming(ChannelId),
    /// A channel opened here can carry messages.
    ChannelOpen(ChannelId),
    /// [`DataChannels::read`](super::DataChannels::read) has something; told again only after it returned `None`.
    Readable(ChannelId),
    /// The buffered amount fell to the threshold.
    BufferedAmountLow(ChannelId),
    /// The peer is closing the channel.
    ChannelClosing(ChannelId),
    /// The channel is closed. What was received before can still be read.
    ChannelClosed(ChannelId, Option<ChannelError>),
    /// The association is over, and every channel with it (each was told before).
    Closed(CloseReason),
}

/// Why a channel closed other than by request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The association ended below it.
    #[error("the association ended: {0}")]
    Association(CloseReason),
    /// No stream id was left, or the peer's limit is below the id asked for.
    #[error("no stream left for the channel")]
    NoStream,
    /// The id was taken by the peer, or by an earlier channel here, before the association started.
    #[error("stream id already in use")]
    IdInUse,
}

/// Why a channel could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Label or protocol is longer than 65,535 bytes.
    #[error("label or protocol longer than 65535 bytes")]
    TooLong,
    /// The negotiated id is 65,535 or beyond what both sides agreed.
    #[error("stream id out of range")]
    InvalidId,
    /// The negotiated id belongs to another channel.
    #[error("stream id already in use")]
    IdInUse,
    /// All stream ids of our parity are taken.
    #[error("no stream id left")]
    NoStream,
    /// The association has ended.
    #[error("the association is closed")]
    Closed,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No such channel, or it is closing or closed.
    #[error("the channel is not open")]
    NotOpen,
    /// Larger than the peer accepts.
    #[error("message of {size} bytes, the peer accepts {limit}")]
    TooLarge {
        /// The message's size.
        size: usize,
        /// The peer's `max-message-size`.
        limit: u64,
    },
    /// The send buffer is full: wait for [`Event::BufferedAmountLow`].
    #[error("the send buffer is full")]
    BufferFull,
}

/// A lifetime in whole milliseconds as DCEP carries it.
pub(super) fn lifetime_ms(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX)
}
