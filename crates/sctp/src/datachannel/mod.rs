//! Data channels (RFC 8831, RFC 8832) over one association.

mod types;

use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;

pub use self::types::{
    ChannelConfig, ChannelError, ChannelId, ChannelState, DtlsRole, Event, Message, MessageKind,
    OpenError, RemoteParameters, SendError,
};
use crate::{Config, Stats};

/// An association with its data channels.
#[derive(Debug)]
pub struct DataChannels {}

#[allow(unused_variables)]
impl DataChannels {
    /// Nothing is sent before [`DataChannels::start`].
    pub fn new(config: Config, rng: StdRng) -> Self {
        Self {}
    }
    /// Opens a channel; before the start too.
    pub fn open(&mut self, config: ChannelConfig) -> Result<ChannelId, OpenError> {
        Ok(ChannelId(0))
    }
    /// Starts the association: DTLS is connected.
    pub fn start(&mut self, now: Instant, role: DtlsRole, remote: RemoteParameters) {}
    /// This side's INIT chunk for `a=sctp-init`.
    pub fn local_init(&mut self) -> Bytes {
        Bytes::new()
    }
    /// Queues a message.
    pub fn send(&mut self, now: Instant, id: ChannelId, kind: MessageKind, payload: Bytes) -> Result<(), SendError> {
        Ok(())
    }
    /// Takes the next message and opens the receive window by its size.
    pub fn read(&mut self, now: Instant, id: ChannelId) -> Option<Message> {
        None
    }
    /// Closes a channel once what is queued was sent.
    pub fn close(&mut self, now: Instant, id: ChannelId) {}
    /// Ends the association once what is queued was acknowledged.
    pub fn shutdown(&mut self, now: Instant) {}
    /// Ends the association at once.
    pub fn abort(&mut self, now: Instant) {}
    /// A packet came.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {}
    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {}
    /// When to call [`DataChannels::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// Appends one SCTP packet to `buf` and returns its length.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        None
    }
    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    /// A channel's configuration.
    pub fn config(&self, id: ChannelId) -> Option<&ChannelConfig> {
        None
    }
    /// A channel's stream id, once it has one.
    pub fn stream_id(&self, id: ChannelId) -> Option<u16> {
        None
    }
    /// A channel's state; `None` once it is forgotten.
    pub fn state(&self, id: ChannelId) -> Option<ChannelState> {
        None
    }
    /// Bytes given to [`DataChannels::send`] that have not been put into a packet yet.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        0
    }
    /// Where [`Event::BufferedAmountLow`] is told.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, threshold: usize) {}
    /// Counters.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
