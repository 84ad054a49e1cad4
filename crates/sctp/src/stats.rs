//! Counters and gauges.

use std::time::Duration;

/// A snapshot of what an association did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets written.
    pub packets_sent: u64,
    /// Packets taken in, dropped ones included.
    pub packets_received: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes taken in.
    pub bytes_received: u64,
    /// Chunks with user data sent for the first time.
    pub chunks_sent: u64,
    /// Chunks with user data sent again.
    pub chunks_retransmitted: u64,
    /// User bytes sent for the first time.
    pub payload_bytes_sent: u64,
    /// User bytes taken in.
    pub payload_bytes_received: u64,
    /// Messages whose last chunk was sent.
    pub messages_sent: u64,
    /// Messages delivered.
    pub messages_received: u64,
    /// Messages given up by their reliability.
    pub messages_abandoned: u64,
    /// Chunks that arrived more than once.
    pub duplicates_received: u64,
    /// Our retransmissions that the peer reported as duplicates.
    pub spurious_retransmissions: u64,
    /// Expirations of T3-rtx.
    pub timeouts: u64,
    /// Losses found by acknowledgements, counted by window.
    pub fast_recoveries: u64,
    /// Tail probes.
    pub tail_probes: u64,
    /// The smoothed round-trip time, once measured.
    pub smoothed_rtt: Option<Duration>,
    /// The congestion window in bytes.
    pub congestion_window: usize,
    /// Bytes sent that the peer has not acknowledged.
    pub bytes_in_flight: usize,
    /// The window the peer last advertised.
    pub peer_receive_window: u32,
    /// What the peer may still send.
    pub receive_window: usize,
    /// What was not taken, by reason.
    pub drops: Drops,
}

/// What was not taken, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Bytes that are not a packet or chunk.
    pub malformed: u64,
    /// A checksum that is wrong.
    pub bad_checksum: u64,
    /// Ports that are not ours.
    pub wrong_port: u64,
    /// A verification tag that is not ours.
    pub wrong_tag: u64,
    /// A cookie that is not ours.
    pub bad_cookie: u64,
    /// A chunk that has no place in the state.
    pub unexpected: u64,
    /// A SACK older than one before.
    pub stale: u64,
    /// Chunks of unknown kind.
    pub unknown_chunks: u64,
    /// Chunks for which the receive window had no room.
    pub no_room: u64,
    /// Answers not given, as too many waited.
    pub replies: u64,
}

impl Drops {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.malformed += other.malformed;
        self.bad_checksum += other.bad_checksum;
        self.wrong_port += other.wrong_port;
        self.wrong_tag += other.wrong_tag;
        self.bad_cookie += other.bad_cookie;
        self.unexpected += other.unexpected;
        self.stale += other.stale;
        self.unknown_chunks += other.unknown_chunks;
        self.no_room += other.no_room;
        self.replies += other.replies;
    }
}
