//! Data channels over one transport (W3C WebRTC §6).

use super::{ChannelConfig, ChannelId, ChannelState, Event, Message, MessageKind, Session};
use crate::error::{Error, RtcError, RtcErrorDetail};
use crate::states::SctpTransportState;
use bytes::Bytes;
use rand::rngs::StdRng;
use sctp::CloseReason;
use sctp::datachannel::{
    self, ChannelError, DataChannels, DtlsRole, OpenError, RemoteParameters, SendError,
};
use std::time::Instant;

/// The association, from the first channel on.
pub(super) struct Data {
    channels: DataChannels,
    /// What another association is made from.
    config: sctp::Config,
    transport: Option<usize>,
    started: bool,
    /// What the peer's description said when the association began.
    pub(super) remote_port: Option<u16>,
    /// What the peer takes at once; `None` before it said so.
    pub(super) peer_max_message_size: Option<u64>,
    pub(super) opened: u32,
    pub(super) closed: u32,
    /// Sorted by channel.
    counts: Vec<(ChannelId, Counts)>,
    /// What is told before the next event of the association.
    next: Option<Event>,
}

/// What went over one channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Its SCTP stream, once and for all.
    stream: Option<u16>,
    pub(super) messages_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) messages_received: u64,
    pub(super) bytes_received: u64,
    was_open: bool,
}

impl Data {
    pub(super) fn new(config: sctp::Config, rng: StdRng) -> Self {
        Data {
            channels: DataChannels::new(config.clone(), rng),
            config,
            transport: None,
            started: false,
            remote_port: None,
            peer_max_message_size: None,
            opened: 0,
            closed: 0,
            counts: Vec::new(),
            next: None,
        }
    }

    /// The counts of every channel there was.
    pub(super) fn channels(&self) -> impl Iterator<Item = (ChannelId, Counts)> {
        self.counts.iter().copied()
    }

    /// "Update the data max message size" (W3C WebRTC §6.1.1). A message may be larger than the send buffer here, so the
    /// peer's limit is the only one.
    pub(super) fn update_max_message_size(&mut self, described: Option<u64>) {
        // RFC 8841 §6.1: 64 KiB unless the peer says more; zero is no limit.
        let size = match described {
            None => 65_536,
            Some(0) => u64::MAX,
            Some(size) => size,
        };
        self.peer_max_message_size = Some(size);
        self.channels.set_remote_max_message_size(size);
    }

    /// "If description negotiates the DTLS role of the SCTP transport" (W3C WebRTC §4.4.1.5, step 10.2): channels get ids.
    pub(super) fn set_role(&mut self, client: bool) {
        self.channels.set_role(role_of(client));
        let channels = &self.channels;
        for (id, counts) in &mut self.counts {
            counts.stream = counts.stream.or_else(|| channels.stream_id(*id));
        }
    }

    fn note_stream(&mut self, id: ChannelId) {
        self.count(id).stream = self.channels.stream_id(id);
    }

    fn count(&mut self, id: ChannelId) -> &mut Counts {
        let index = match self.counts.binary_search_by_key(&id, |(known, _)| *known) {
            Ok(index) => index,
            Err(index) => {
                self.counts.insert(index, (id, Counts::default()));
                index
            }
        };
        &mut self.counts[index].1
    }

    /// The number of the transport that carries the association.
    pub(super) fn transport(&self) -> Option<usize> {
        self.transport
    }

    /// `RTCSctpTransport.state`.
    pub(super) fn state(&self) -> SctpTransportState {
        let association = self.channels.association();
        if association.is_closed() {
            SctpTransportState::Closed
        } else if association.is_established() {
            SctpTransportState::Connected
        } else {
            SctpTransportState::Connecting
        }
    }

    pub(super) fn max_channels(&self) -> Option<u16> {
        let association = self.channels.association();
        if self.state() == SctpTransportState::Connecting {
            return None;
        }
        let outbound = association.outbound_streams()?;
        Some(outbound.min(association.inbound_streams()?))
    }

    pub(super) fn set_transport(&mut self, number: Option<usize>) {
        self.transport = number;
    }

    pub(super) fn is_started(&self) -> bool {
        self.started
    }

    pub(super) fn start(&mut self, now: Instant, client: bool, port: Option<u16>) {
        self.started = true;
        self.remote_port = port;
        self.set_role(client);
        let remote = RemoteParameters {
            port: port.unwrap_or(sctp::config::DEFAULT_PORT),
            max_message_size: self.channels.max_message_size(),
            sctp_init: None,
        };
        self.channels.start(now, role_of(client), remote);
    }

    pub(super) fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        if self.started {
            self.channels.handle_packet(now, packet);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.channels.poll_timeout().is_some_and(|due| due <= now) {
            self.channels.handle_timeout(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.channels.poll_timeout()
    }

    pub(super) fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> bool {
        self.started && self.channels.poll_transmit(now, buf).is_some()
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.next.take() {
            return Some(event);
        }
        loop {
            return Some(match self.channels.poll_event()? {
                datachannel::Event::Connected { .. } => Event::SctpConnected,
                // "Announcing a data channel instance": open at once, which is told after the channel itself.
                datachannel::Event::ChannelIncoming(id) => {
                    self.opened += 1;
                    self.note_stream(id);
                    self.next = Some(Event::ChannelOpen(id));
                    Event::ChannelIncoming(id)
                }
                datachannel::Event::ChannelOpen(id) => {
                    self.opened += 1;
                    self.count(id).was_open = true;
                    Event::ChannelOpen(id)
                }
                datachannel::Event::Readable(id) => Event::ChannelReadable(id),
                datachannel::Event::BufferedAmountLow(id) => Event::ChannelBufferedAmountLow(id),
                datachannel::Event::ChannelClosing(id) => Event::ChannelClosing(id),
                datachannel::Event::ChannelClosed(id, error) => {
                    // "Without ever being open" it is "not counted" (W3C Statistics, `dataChannelsClosed`).
                    self.closed += u32::from(self.count(id).was_open);
                    Event::ChannelClosed(id, error.as_ref().map(rtc_error))
                }
                datachannel::Event::Closed(_) => Event::SctpClosed,
                _ => continue,
            });
        }
    }

    pub(super) fn close(&mut self, now: Instant) {
        self.channels.abort(now);
    }

    /// Ends the association with its channels; another one can start.
    pub(super) fn restart(&mut self, now: Instant, rng: StdRng) {
        if std::mem::take(&mut self.started) {
            self.channels.restart(now, self.config.clone(), rng);
        }
    }

    pub(super) fn abort(&mut self, now: Instant) {
        self.channels.abort(now);
    }
}

fn role_of(client: bool) -> DtlsRole {
    if client {
        DtlsRole::Client
    } else {
        DtlsRole::Server
    }
}

/// W3C WebRTC §11.1.1: a channel that cannot be made has failed itself; else the association below it has, for the cause
/// that the peer gave.
fn rtc_error(error: &ChannelError) -> RtcError {
    let detail = match error {
        ChannelError::NoStream | ChannelError::IdInUse => RtcErrorDetail::DataChannelFailure,
        _ => RtcErrorDetail::SctpFailure,
    };
    let mut reported = RtcError::new(detail, error.to_string());
    if let ChannelError::Association(CloseReason::AbortedByPeer { cause }) = error {
        reported.sctp_cause_code = *cause;
    }
    reported
}

impl Session {
    /// `createDataChannel`. The channel opens once both sides are connected.
    ///
    /// # Errors
    /// `InvalidStateError` when closed, `TypeError` for a label or protocol over 65,535 bytes or a
    /// stream id of 65,535, `OperationError` for an id in use or beyond what the association has, or when no stream is
    /// left.
    pub fn create_data_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, Error> {
        if self.is_closed() {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        // Step 17: no stream has that number; others the association may not have (step 19).
        let never = config.negotiated == Some(u16::MAX);
        let id = self
            .data
            .channels
            .open(config)
            .map_err(|error| match error {
                OpenError::TooLong => Error::Type(error.to_string()),
                OpenError::InvalidId if never => Error::Type(error.to_string()),
                OpenError::Closed => Error::InvalidState(error.to_string()),
                _ => Error::Operation(error.to_string()),
            })?;
        self.data.note_stream(id);
        if !std::mem::replace(&mut self.jsep.wants_data, true) {
            self.negotiation_check_due = true;
        }
        Ok(id)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `InvalidStateError` when the channel is not open, `TypeError` for a message larger than the
    /// peer takes, `OperationError` when the send buffer is full: wait for
    /// [`Event::ChannelBufferedAmountLow`].
    pub fn send(
        &mut self,
        now: Instant,
        id: ChannelId,
        kind: MessageKind,
        payload: Bytes,
    ) -> Result<(), Error> {
        let length = payload.len() as u64;
        self.data
            .channels
            .send(now, id, kind, payload)
            .map_err(|error| match error {
                SendError::NotOpen => Error::InvalidState(error.to_string()),
                SendError::BufferFull => Error::Operation(error.to_string()),
                _ => Error::Type(error.to_string()),
            })?;
        let counts = self.data.count(id);
        counts.messages_sent += 1;
        counts.bytes_sent += length;
        Ok(())
    }

    /// The next message that came in; reading opens the receive window again.
    pub fn read(&mut self, now: Instant, id: ChannelId) -> Option<Message> {
        let message = self.data.channels.read(now, id)?;
        let counts = self.data.count(id);
        counts.messages_received += 1;
        counts.bytes_received += message.payload.len() as u64;
        Some(message)
    }

    /// Closes one channel.
    pub fn close_channel(&mut self, now: Instant, id: ChannelId) {
        self.data.channels.close(now, id);
    }

    /// How a channel was set up.
    pub fn channel_config(&self, id: ChannelId) -> Option<&ChannelConfig> {
        self.data.channels.config(id)
    }

    /// The SCTP stream of a channel, once it has one; it stays that when the channel is closed.
    pub fn channel_stream_id(&self, id: ChannelId) -> Option<u16> {
        let counts = &self.data.counts;
        let index = counts.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        counts[index].1.stream
    }

    /// Where a channel is in its life.
    pub fn channel_state(&self, id: ChannelId) -> ChannelState {
        self.data.channels.state(id).unwrap_or(ChannelState::Closed)
    }

    /// `bufferedAmount`: bytes of payload that wait to be sent.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.data.channels.buffered_amount(id)
    }

    /// `bufferedAmountLowThreshold`.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        self.data
            .channels
            .set_buffered_amount_low_threshold(id, bytes);
    }

    /// `RTCSctpTransport.maxMessageSize`: what the peer takes at once, once an answer has been applied. [`u64::MAX`] is no
    /// limit.
    pub fn max_message_size(&self) -> Option<u64> {
        self.data.peer_max_message_size
    }
}
