//! Sending one stream.

mod config;

pub use config::{
    Config, Event, OutgoingFrame, OutgoingPacket, Pending, RemoteInbound, Stats, TemporalLayer,
};

use std::time::Instant;

use rand::rngs::StdRng;

use crate::rtcp;
use crate::types::{NtpTime, SeqNum, Ssrc};

/// Writes what all streams of a transport share into a packet as it leaves: the transport-wide sequence number and the send time.
#[derive(Clone, Debug, Default)]
pub struct Stamper {
    _next: SeqNum,
}

impl Stamper {
    /// Extension identifiers as negotiated for the transport.
    pub fn new(transport_cc: Option<u8>, abs_send_time: Option<u8>) -> Self {
        let _ = (transport_cc, abs_send_time);
        Self::default()
    }

    /// Fills in the extensions the packet has; returns the transport-wide sequence number it got.
    pub fn stamp(&mut self, now: Instant, packet: &mut [u8]) -> Option<SeqNum> {
        let _ = (now, packet);
        None
    }
}

/// A stream that is sent.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    stats: Stats,
}

impl Stream {
    /// A stream with a random first sequence number and timestamp offset (RFC 3550 §5.1).
    pub fn new(config: Config, rng: StdRng) -> Self {
        let _ = rng;
        Self {
            config,
            stats: Stats::default(),
        }
    }

    /// Cuts a frame into packets, which wait to leave.
    pub fn write_frame(&mut self, now: Instant, frame: &OutgoingFrame) {
        let _ = (now, frame);
    }

    /// Queues a payload made elsewhere.
    pub fn write_packet(&mut self, now: Instant, packet: OutgoingPacket) {
        let _ = (now, packet);
    }

    /// What would leave next: retransmissions first.
    pub fn pending(&self) -> Option<Pending> {
        None
    }

    /// Appends one RTP packet to `buf` and returns its length.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let _ = (now, buf);
        None
    }

    /// Takes note of an RTCP packet; what does not concern this stream changes nothing.
    pub fn handle_rtcp(&mut self, now: Instant, packet: &rtcp::Packet<'_>) {
        let _ = (now, packet);
    }

    /// What happened, once each.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The sender's part of an SR that leaves now; `None` before the first packet.
    pub fn sender_report(&mut self, now: Instant, ntp: NtpTime) -> Option<rtcp::SenderInfo> {
        let _ = (now, ntp);
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
