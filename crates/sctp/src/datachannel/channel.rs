//! One data channel's state.

use std::collections::VecDeque;

use super::types::{ChannelConfig, ChannelState, Message};

/// A message that waits for the application, and what it takes of the receive window.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) message: Message,
    pub(super) cost: usize,
}

/// What a channel counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Messages accepted for sending.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) config: ChannelConfig,
    pub(super) state: ChannelState,
    pub(super) stream: Option<u16>,
    /// Our OPEN is not acknowledged: messages keep the order, behind it (RFC 8832 §6).
    pub(super) awaits_ack: bool,
    pub(super) incoming: VecDeque<Incoming>,
    pub(super) readable_told: bool,
    pub(super) low_threshold: usize,
    pub(super) incoming_reset: bool,
    pub(super) outgoing_reset: bool,
    pub(super) stats: ChannelStats,
}

impl Channel {
    pub(super) fn new(config: ChannelConfig) -> Self {
        Self {
            config,
            state: ChannelState::Connecting,
            stream: None,
            awaits_ack: false,
            incoming: VecDeque::new(),
            readable_told: false,
            low_threshold: 0,
            incoming_reset: false,
            outgoing_reset: false,
            stats: ChannelStats::default(),
        }
    }
}
