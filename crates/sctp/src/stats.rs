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
    /// The smoothed round-trip time, once measured.
    pub smoothed_rtt: Option<Duration>,
    /// The congestion window in bytes.
    pub congestion_window: usize,
    /// The window the peer last advertised.
    pub peer_receive_window: u32,
}
