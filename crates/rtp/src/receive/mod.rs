//! Receiving one stream.

mod config;

pub use config::{Config, Delivery, IncomingFrame, PayloadType, Playout, RemoteOutbound, Stats};

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::rtcp;
use crate::types::{NtpTime, Ssrc};

/// A stream that is received.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    stats: Stats,
}

impl Stream {
    /// A stream from which nothing has come.
    pub fn new(config: Config, now: Instant) -> Self {
        let _ = now;
        Self {
            config,
            stats: Stats::default(),
        }
    }

    /// Takes one decrypted RTP packet of the stream or of its retransmission stream.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let _ = (now, packet);
    }

    /// Takes the sender's part of an SR.
    pub fn handle_sender_report(&mut self, now: Instant, report: &rtcp::SenderInfo) {
        let _ = (now, report);
    }

    /// The next frame that is due.
    pub fn poll_frame(&mut self, now: Instant) -> Option<IncomingFrame> {
        let _ = now;
        None
    }

    /// The next packet, with [`Delivery::Packets`].
    pub fn poll_packet(&mut self, now: Instant) -> Option<Bytes> {
        let _ = now;
        None
    }

    /// Appends the feedback that is due, plaintext RTCP, and returns its length.
    pub fn poll_feedback(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let _ = (now, buf);
        None
    }

    /// Asks for a keyframe; repeated until one comes.
    pub fn request_keyframe(&mut self, now: Instant) {
        let _ = now;
    }

    /// The report block for an SR or RR that leaves now; begins a new interval. `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<rtcp::ReportBlock> {
        let _ = now;
        None
    }

    /// When something is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what time asks for; [`Stream::poll_feedback`] and [`Stream::poll_frame`] have the result.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Tells the SSRC of the retransmission stream.
    pub fn set_rtx(&mut self, ssrc: Ssrc) {
        self.config.rtx = Some(ssrc);
    }

    /// Tells a round-trip time measured elsewhere on the path.
    pub fn set_round_trip_time(&mut self, rtt: Duration) {
        self.stats.round_trip_time = Some(rtt);
    }

    /// Sets the least playout delay: lip sync, `jitterBufferTarget`.
    pub fn set_min_delay(&mut self, now: Instant, delay: Duration) {
        let _ = now;
        self.config.playout.min_delay = delay;
    }

    /// The sender's wall clock at an RTP timestamp.
    pub fn sender_time(&self, timestamp: u32) -> Option<NtpTime> {
        let _ = timestamp;
        None
    }

    /// How it was configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
