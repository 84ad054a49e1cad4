//! What a user may choose, with defaults that suit WebRTC over DTLS.

use std::time::Duration;

/// The payload that WebRTC peers put into one UDP datagram by default, less DTLS and UDP headers.
pub const DEFAULT_PACKET_SIZE: usize = 1191;

/// The port WebRTC uses on both sides unless SDP says otherwise (RFC 8841 §5).
pub const DEFAULT_PORT: u16 = 5000;

/// What this side announces and how it behaves. `Config::default()` suits WebRTC.
#[derive(Debug, Clone)]
pub struct Config {
    /// This side's SCTP port, `a=sctp-port` in SDP.
    pub local_port: u16,
    /// The peer's SCTP port, until `start` says better.
    pub remote_port: u16,
    /// The largest SCTP packet written, common header included.
    pub packet_size: usize,
    /// Bytes that may wait here for the application: the advertised receiver window.
    pub receive_window: u32,
    /// The largest message accepted from the peer, `a=max-message-size` in SDP.
    /// A receive window smaller than twice this is raised to it.
    pub max_message_size: usize,
    /// Bytes that may wait here to be sent, over all streams.
    pub send_buffer: usize,
    /// Streams we ask for towards the peer.
    pub outbound_streams: u16,
    /// Streams we allow from the peer.
    pub inbound_streams: u16,
    /// Retransmission timeout bounds.
    pub rto: RtoConfig,
    /// How long an acknowledgement may wait for a second packet (RFC 9260 §6.2: at most 500 ms).
    pub delayed_ack: Duration,
    /// Idle time between heartbeats, besides the RTO (RFC 9260 §8.3); `None` switches them off.
    pub heartbeat_interval: Option<Duration>,
    /// Retransmissions of INIT and COOKIE ECHO before giving up. RFC 9260 §16 has 8 with intervals that double up to
    /// a minute; here it is more of them, closer together, about as long in all.
    pub max_init_retransmits: u32,
    /// The longest interval between two INIT or COOKIE ECHO chunks.
    pub max_init_interval: Duration,
    /// Timeouts in a row before the association is given up. RFC 9260 §16 has 10; under WebRTC it is ICE that notices a
    /// dead path, and that may restore it, so by default the association waits for it.
    pub max_retransmits: Option<u32>,
    /// How long a state cookie is good for (RFC 9260 §16: 60 s).
    pub cookie_lifetime: Duration,
    /// Which congestion controller runs.
    pub congestion: CongestionControl,
    /// Whether the last packets of a burst are probed for before T3-rtx expires (RFC 8985 §7).
    pub tail_probes: bool,
    /// Whether a large window is spread over the round trip rather than sent in one burst.
    pub pacing: bool,
    /// Who goes next among streams with something to send.
    pub scheduler: Scheduler,
    /// Offer message interleaving, I-DATA (RFC 8260).
    pub interleaving: bool,
    /// Offer to accept, and use where accepted, packets without a checksum: only over DTLS (RFC 9653).
    pub zero_checksum: bool,
    /// Offer partial reliability (RFC 3758).
    pub partial_reliability: bool,
    /// Offer stream reset (RFC 6525).
    pub stream_reset: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            local_port: DEFAULT_PORT,
            remote_port: DEFAULT_PORT,
            packet_size: DEFAULT_PACKET_SIZE,
            receive_window: 8 * 1024 * 1024,
            max_message_size: 256 * 1024,
            send_buffer: 16 * 1024 * 1024,
            outbound_streams: u16::MAX,
            inbound_streams: u16::MAX,
            rto: RtoConfig::default(),
            delayed_ack: Duration::from_millis(200),
            heartbeat_interval: Some(Duration::from_secs(30)),
            max_init_retransmits: 14,
            max_init_interval: Duration::from_secs(5),
            max_retransmits: None,
            cookie_lifetime: Duration::from_secs(60),
            congestion: CongestionControl::LossTolerantCubic,
            tail_probes: true,
            pacing: true,
            scheduler: Scheduler::WeightedFair,
            interleaving: true,
            zero_checksum: true,
            partial_reliability: true,
            stream_reset: true,
        }
    }
}

/// Bounds of the retransmission timeout (RFC 9260 §6.3.1).
///
/// The RFC recommends 1 s for the first two; data channels want a lost handshake packet back sooner, and a
/// minimum a little over the 200 ms that common peers delay acknowledgements is what they all use. A maximum of 5 s
/// instead of 60 s finds a path that came back soon.
#[derive(Debug, Clone, Copy)]
pub struct RtoConfig {
    /// Before the first measurement.
    pub initial: Duration,
    /// Never less than this.
    pub min: Duration,
    /// Never more than this.
    pub max: Duration,
}

impl Default for RtoConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            min: Duration::from_millis(300),
            max: Duration::from_secs(5),
        }
    }
}

/// A congestion controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CongestionControl {
    /// CUBIC, except that a loss without a queue is taken for an accident of the path: where the round-trip time was at
    /// its minimum when a packet was lost, and few were lost, the window falls to 95 % and grows by a segment a round
    /// trip at once. It makes about three times NewReno's throughput where packets get lost at random, and is CUBIC
    /// wherever a queue builds up. Not an algorithm of an RFC.
    #[default]
    LossTolerantCubic,
    /// RFC 9438, adapted to SCTP's byte counting.
    Cubic,
    /// RFC 9260 §7.2.
    NewReno,
}

/// A stream scheduler (RFC 8260 §3). With I-DATA it chooses per chunk, without it per message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheduler {
    /// Messages leave in the order they were given.
    FirstComeFirstServed,
    /// Streams take turns by message (or by chunk, with I-DATA).
    RoundRobin,
    /// Streams take turns by packet.
    RoundRobinPerPacket,
    /// A stream with a higher priority always goes first.
    Priority,
    /// Every stream gets the same bytes.
    FairCapacity,
    /// Every stream gets bytes in proportion to its priority (RFC 8831 §6.4).
    #[default]
    WeightedFair,
}
