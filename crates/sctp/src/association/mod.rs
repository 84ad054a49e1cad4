//! An SCTP association (RFC 9260), single-homed, without a socket or a clock.

mod closing;
mod cookie;
mod dispatch;
mod handshake;
mod reset;
mod timeout;
mod transmit;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use thiserror::Error;

use self::cookie::Jar;
use self::reset::Reset;
pub use crate::receive::Received;
use crate::receive::Receiver;
use crate::send::{Notice, Sender};
use crate::serial::Tsn;
use crate::stats::Drops;
use crate::time::{Clock, Time};
use crate::wire::init::{Extensions, Init};
use crate::{CloseReason, Config, Reliability, Stats};

/// The states of RFC 9260 §4; what a state needs beyond the association's halves lives in it.
///
/// ```text
///                CLOSED ── connect ──► COOKIE-WAIT ── INIT ACK ──► COOKIE-ECHOED
///                   │ COOKIE ECHO                                       │ COOKIE ACK
///                   └──────────────────► ESTABLISHED ◄──────────────────┘
///                         shutdown ▼          ▼ SHUTDOWN
///             SHUTDOWN-PENDING, -SENT      SHUTDOWN-RECEIVED, -ACK-SENT
///                                   └► ended ◄┘
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    CookieWait,
    CookieEchoed { cookie: Bytes },
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
    Ended,
}

impl State {
    /// Whether user data may be sent (RFC 9260 §6: what was queued still goes while shutting down).
    fn sends_data(&self) -> bool {
        matches!(
            self,
            Self::Established | Self::ShutdownPending | Self::ShutdownReceived
        )
    }

    /// Whether user data is taken.
    fn receives_data(&self) -> bool {
        matches!(
            self,
            Self::Established | Self::ShutdownPending | Self::ShutdownSent
        )
    }
}

/// What is known of the peer once its INIT or INIT ACK came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    tag: u32,
    /// What both sides can do.
    extensions: Extensions,
    /// Streams we may use, and the peer may.
    outbound: u16,
    inbound: u16,
}

/// What happened to an association.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It is established.
    Connected,
    /// The peer restarted: streams start over, what was unacknowledged is lost.
    Restarted,
    /// Messages can be read.
    Readable,
    /// A stream's send queue fell to its threshold.
    BufferedAmountLow(u16),
    /// A message on the stream was given up by its reliability.
    MessageAbandoned(u16),
    /// The peer starts these streams of its own over: nothing of before is to come on them.
    IncomingReset(Vec<u16>),
    /// The peer acknowledged that these streams of ours start over.
    OutgoingReset(Vec<u16>),
    /// The peer refused to have these streams of ours start over.
    ResetRefused(Vec<u16>),
    /// The peer started its shutdown; what is queued is still delivered.
    ShuttingDown,
    /// It is over.
    Closed(CloseReason),
}

/// Why the association did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AssociationSendError {
    /// SCTP has no empty messages (RFC 9260 §6.10: "no user data" is an error).
    #[error("the message is empty")]
    Empty,
    /// The stream is beyond what the peer accepts.
    #[error("no such stream")]
    InvalidStream,
    /// The stream is being reset.
    #[error("the stream is being reset")]
    Resetting,
    /// The send buffer is full.
    #[error("the send buffer is full")]
    BufferFull,
    /// Shutting down, or over.
    #[error("the association is closing")]
    Closing,
}

/// How a message is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendOptions {
    /// The stream.
    pub stream: u16,
    /// The payload protocol identifier.
    pub ppid: u32,
    /// Delivered as it comes.
    pub unordered: bool,
    /// How hard it is tried.
    pub reliability: Reliability,
}

/// A chunk ready to go.
#[derive(Debug)]
struct Control {
    /// The verification tag of its packet.
    tag: u32,
    chunk: Vec<u8>,
    /// Goes in a packet of its own, with a checksum.
    alone: bool,
}

/// Replies that wait to be polled: a flood of requests gets no more than these.
const MAX_CONTROL: usize = 16;

/// One SCTP association.
///
/// Methods are of four kinds: commands ([`connect`](Self::connect), [`send`](Self::send),
/// [`shutdown`](Self::shutdown), …), what happened outside ([`handle_packet`](Self::handle_packet),
/// [`handle_timeout`](Self::handle_timeout)), what should happen outside
/// ([`poll_transmit`](Self::poll_transmit), [`poll_timeout`](Self::poll_timeout),
/// [`poll_event`](Self::poll_event)), and queries. They may be called in any order. The loop:
///
/// 1. hand packets to `handle_packet`, and call `handle_timeout` when `poll_timeout` is due;
/// 2. send what `poll_transmit` writes until it returns `None`;
/// 3. take events and messages.
#[derive(Debug)]
pub struct Association {
    config: Config,
    rng: StdRng,
    clock: Clock,
    jar: Jar,
    state: State,
    local_tag: u32,
    local_tsn: Tsn,
    peer: Option<Peer>,
    /// The cause of an ABORT received, or of the end otherwise.
    sender: Sender,
    receiver: Option<Receiver>,
    reset: Reset,
    control: VecDeque<Control>,
    events: VecDeque<Event>,
    readable_told: bool,
    /// INIT or COOKIE ECHO is to be sent.
    handshake_due: bool,
    handshake_retransmits: u32,
    handshake_rto: std::time::Duration,
    /// SHUTDOWN or SHUTDOWN ACK is to be sent.
    shutdown_due: bool,
    heartbeat_due: bool,
    heartbeat_nonce: Option<u64>,
    data_since_heartbeat: bool,
    /// Timeouts in a row without a sign of the peer (RFC 9260 §8.1).
    errors: u32,
    t1: Time,
    t2: Time,
    t5: Time,
    heartbeat_timer: Time,
    drops: Drops,
    stats: Stats,
}

impl Association {
    /// An association that waits for [`Association::connect`] or for the peer's INIT.
    pub fn new(mut config: Config, mut rng: StdRng) -> Self {
        config.packet_size = config.packet_size.clamp(256, 65_532);
        config.outbound_streams = config.outbound_streams.max(1);
        config.inbound_streams = config.inbound_streams.max(1);
        let local_tag = random_tag(&mut rng);
        let local_tsn = Tsn(rng.random());
        let jar = Jar::new(&mut rng);
        Self {
            sender: Sender::new(&config, local_tsn),
            handshake_rto: config.rto.initial,
            config,
            rng,
            clock: Clock::default(),
            jar,
            state: State::Closed,
            local_tag,
            local_tsn,
            peer: None,
            receiver: None,
            reset: Reset::new(local_tsn),
            control: VecDeque::new(),
            events: VecDeque::new(),
            readable_told: false,
            handshake_due: false,
            handshake_retransmits: 0,
            shutdown_due: false,
            heartbeat_due: false,
            heartbeat_nonce: None,
            data_since_heartbeat: false,
            errors: 0,
            t1: Time::NEVER,
            t2: Time::NEVER,
            t5: Time::NEVER,
            heartbeat_timer: Time::NEVER,
            drops: Drops::default(),
            stats: Stats::default(),
        }
    }

    /// The peer's port, where it is not the default.
    pub fn set_remote_port(&mut self, port: u16) {
        self.config.remote_port = port;
    }

    /// Queues a message. Before the association is established it waits.
    pub fn send(
        &mut self,
        now: Instant,
        options: SendOptions,
        payload: Bytes,
    ) -> Result<(), AssociationSendError> {
        let now = self.clock.time(now);
        if payload.is_empty() {
            return Err(AssociationSendError::Empty);
        }
        let takes = matches!(
            self.state,
            State::Closed | State::CookieWait | State::CookieEchoed { .. } | State::Established
        );
        if !takes {
            return Err(AssociationSendError::Closing);
        }
        let limit = self.peer.map_or(u16::MAX, |peer| peer.outbound);
        if options.stream >= limit {
            return Err(AssociationSendError::InvalidStream);
        }
        if !self.sender.accepts(options.stream) {
            return Err(AssociationSendError::Resetting);
        }
        let buffered = self.sender.streams.buffered();
        // A message larger than the whole buffer goes when nothing else is there.
        if buffered > 0 && buffered + payload.len() > self.config.send_buffer {
            return Err(AssociationSendError::BufferFull);
        }
        let slot = self.sender.streams.slot(options.stream);
        self.sender.enqueue(
            now,
            slot,
            options.ppid,
            options.unordered,
            options.reliability,
            payload,
        );
        Ok(())
    }

    /// Queues a reliable, ordered message of the layer above itself, whatever the send buffer holds.
    pub(crate) fn send_control(&mut self, stream: u16, ppid: u32, payload: Bytes) {
        let slot = self.sender.streams.slot(stream);
        self.sender.enqueue_control(slot, ppid, payload);
    }

    /// Takes the next message, in the order they completed, and opens the receive window by it.
    pub fn read(&mut self, _now: Instant) -> Option<Received> {
        let message = self.take_message()?;
        self.consume(message.cost());
        Some(message)
    }

    /// The next message; the window opens when [`Association::consume`] is told its cost.
    pub(crate) fn take_message(&mut self) -> Option<Received> {
        let message = self.receiver.as_mut()?.next_ready();
        if message.is_none() {
            self.readable_told = false;
        }
        message
    }

    /// A message of this cost left for good.
    pub(crate) fn consume(&mut self, cost: usize) {
        if let Some(receiver) = &mut self.receiver {
            receiver.consumed(cost);
        }
    }

    /// What happened since.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let notice = self.sender.notices.pop_front()?;
        Some(match notice {
            Notice::BufferedAmountLow(stream) => Event::BufferedAmountLow(stream),
            Notice::Abandoned(stream) => Event::MessageAbandoned(stream),
        })
    }

    /// When [`Association::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut at = self
            .t1
            .min(self.t2)
            .min(self.t5)
            .min(self.heartbeat_timer)
            .min(self.reset.timer);
        if self.state.sends_data() {
            at = at
                .min(self.sender.recovery.next_timeout())
                .min(self.sender.next_pacing());
        }
        if let Some(receiver) = &self.receiver {
            at = at.min(receiver.sack_timer);
        }
        self.clock.instant(at)
    }

    /// Whether the association carries data both ways.
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Ended
    }

    /// The state's name in RFC 9260, for logs.
    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Closed => "CLOSED",
            State::CookieWait => "COOKIE-WAIT",
            State::CookieEchoed { .. } => "COOKIE-ECHOED",
            State::Established => "ESTABLISHED",
            State::ShutdownPending => "SHUTDOWN-PENDING",
            State::ShutdownSent => "SHUTDOWN-SENT",
            State::ShutdownReceived => "SHUTDOWN-RECEIVED",
            State::ShutdownAckSent => "SHUTDOWN-ACK-SENT",
            State::Ended => "ENDED",
        }
    }

    /// Streams we may use, once the peer said.
    pub fn outbound_streams(&self) -> Option<u16> {
        Some(self.peer?.outbound)
    }

    /// Streams the peer may use, once it said.
    pub fn inbound_streams(&self) -> Option<u16> {
        Some(self.peer?.inbound)
    }

    /// What both sides can do beyond RFC 9260, once the peer said.
    pub fn extensions(&self) -> Option<Extensions> {
        Some(self.peer?.extensions)
    }

    /// Bytes queued on a stream that are in no packet yet.
    pub fn buffered_amount(&self, stream: u16) -> usize {
        self.sender.streams.find(stream).map_or(0, |s| s.buffered)
    }

    /// Bytes queued over all streams that are in no packet yet.
    pub fn total_buffered(&self) -> usize {
        self.sender.streams.buffered()
    }

    /// Where [`Event::BufferedAmountLow`] is told.
    pub fn set_buffered_amount_low_threshold(&mut self, stream: u16, threshold: usize) {
        let slot = self.sender.streams.slot(stream);
        self.sender.streams.get_mut(slot).low_threshold = threshold;
    }

    /// A stream's weight or priority, whichever the scheduler looks at.
    pub fn set_priority(&mut self, stream: u16, priority: u16) {
        let slot = self.sender.streams.slot(stream);
        self.sender.streams.get_mut(slot).weight = priority;
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        let counters = self.sender.counters;
        stats.chunks_sent = counters.chunks_sent;
        stats.chunks_retransmitted = counters.chunks_retransmitted;
        stats.messages_sent = counters.messages_sent;
        stats.payload_bytes_sent = counters.payload_sent;
        stats.messages_abandoned = counters.messages_abandoned;
        stats.timeouts = counters.timeouts;
        stats.fast_recoveries = counters.fast_recoveries;
        stats.tail_probes = counters.tail_probes;
        stats.spurious_retransmissions = counters.spurious;
        stats.smoothed_rtt = self.sender.round_trip.smoothed();
        stats.congestion_window = self.sender.congestion.window();
        stats.peer_receive_window = self.sender.advertised;
        stats.bytes_in_flight = self.sender.window.flight();
        if let Some(receiver) = &self.receiver {
            stats.messages_received = receiver.messages;
            stats.payload_bytes_received = receiver.payload_bytes;
            stats.duplicates_received = receiver.tsns.duplicate_count();
            stats.drops.no_room = receiver.dropped_no_room;
            stats.receive_window = receiver.free_window();
        }
        stats.drops.merge(&self.drops);
        stats
    }

    /// This side's INIT, as it would be sent and as `a=sctp-init` carries it.
    pub(crate) fn init(&self) -> Init {
        Init {
            tag: self.local_tag,
            window: crate::receive::effective_window(&self.config) as u32,
            outbound: self.config.outbound_streams,
            inbound: self.config.inbound_streams,
            initial_tsn: self.local_tsn,
            extensions: self.offered(),
        }
    }

    fn offered(&self) -> Extensions {
        Extensions {
            partial_reliability: self.config.partial_reliability,
            stream_reset: self.config.stream_reset,
            interleaving: self.config.interleaving,
            zero_checksum: self.config.zero_checksum,
        }
    }

    fn queue(&mut self, control: Control) {
        if self.control.len() < MAX_CONTROL {
            self.control.push_back(control);
        } else {
            self.drops.replies += 1;
        }
    }

    /// The end: no timer runs, nothing but a last chunk is sent.
    fn end(&mut self, reason: CloseReason) {
        if self.state == State::Ended {
            return;
        }
        tracing::info!(%reason, "association closed");
        self.state = State::Ended;
        self.t1 = Time::NEVER;
        self.t2 = Time::NEVER;
        self.t5 = Time::NEVER;
        self.heartbeat_timer = Time::NEVER;
        self.heartbeat_due = false;
        self.handshake_due = false;
        self.shutdown_due = false;
        self.reset.timer = Time::NEVER;
        if let Some(receiver) = &mut self.receiver {
            receiver.sack_due = false;
            receiver.sack_timer = Time::NEVER;
        }
        self.events.push_back(Event::Closed(reason));
    }
}

/// A tag is never zero (RFC 9260 §5.3.1).
fn random_tag(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=u32::MAX)
}
