//! What a receiving stream is told and what it tells.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ext::{AudioLevel, VideoOrientation};
use crate::payload::PayloadFormat;
use crate::types::{NtpTime, Ssrc};

/// How to receive one stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The stream's SSRC.
    pub ssrc: Ssrc,
    /// The SSRC under which this side writes RTCP.
    pub local_ssrc: Ssrc,
    /// The retransmission stream's SSRC (RFC 4588), when known; [`Stream::set_rtx`](super::Stream::set_rtx) tells it later.
    pub rtx: Option<Ssrc>,
    /// The payload types that may come.
    pub payload_types: Vec<PayloadType>,
    /// The media clock in Hz.
    pub clock_rate: u32,
    /// Whether lost packets are asked for (generic NACK negotiated).
    pub nack: bool,
    /// Whether a keyframe may be asked for by PLI.
    pub pli: bool,
    /// Whether a keyframe may be asked for by FIR; used when PLI is not negotiated.
    pub fir: bool,
    /// Whether feedback may go out alone (RFC 5506); otherwise an empty RR and an SDES with `cname` precede it (RFC 4585 §3.1).
    pub reduced_size: bool,
    /// The canonical name of this side, for that SDES.
    pub cname: String,
    /// The identifier of the audio level.
    pub audio_level: Option<u8>,
    /// The identifier of the video orientation.
    pub video_orientation: Option<u8>,
    /// The identifier of the playout-delay request.
    pub playout_delay: Option<u8>,
    /// What is delivered: whole frames in order, or packets as they come.
    pub delivery: Delivery,
    /// When frames are due.
    pub playout: Playout,
    /// How many packets may wait for others.
    pub max_packets: usize,
    /// How long a frame may wait for a lost packet before the gap is given up; for video at least five round trips, since a
    /// keyframe instead takes as long and is larger.
    pub max_wait: Duration,
}

impl Config {
    /// A stream with the format's usual settings: video asks for what is lost, audio conceals.
    pub fn new(ssrc: Ssrc, local_ssrc: Ssrc, payload_types: Vec<PayloadType>) -> Self {
        let format = payload_types
            .first()
            .map_or(PayloadFormat::OpaqueAudio, |first| first.format);
        let video = format.is_video();
        Self {
            ssrc,
            local_ssrc,
            rtx: None,
            payload_types,
            clock_rate: format.clock_rate(),
            nack: video,
            pli: video,
            fir: false,
            reduced_size: true,
            cname: String::new(),
            audio_level: None,
            video_orientation: None,
            playout_delay: None,
            delivery: Delivery::Frames,
            playout: Playout {
                // A late audio frame is lost, a late video frame is only shown late.
                in_time: if video { 0.95 } else { 0.98 },
                ..Playout::default()
            },
            max_packets: if video { 2_048 } else { 256 },
            max_wait: Duration::from_millis(if video { 600 } else { 200 }),
        }
    }
}

/// A payload type that may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadType {
    /// Its number.
    pub number: u8,
    /// What it holds.
    pub format: PayloadFormat,
    /// The payload type of its retransmissions (`apt`, RFC 4588 §8.6).
    pub rtx: Option<u8>,
}

/// What a stream delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Whole frames in order, when due: [`Stream::poll_frame`](super::Stream::poll_frame).
    #[default]
    Frames,
    /// Packets as they come, each once, retransmissions unwrapped: [`Stream::poll_packet`](super::Stream::poll_packet).
    Packets,
}

/// When frames are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playout {
    /// The least delay between a frame's undisturbed arrival and its delivery.
    pub min_delay: Duration,
    /// The largest delay the stream chooses by itself.
    pub max_delay: Duration,
    /// The share of frames that should arrive in time, 0..1: the larger, the later.
    pub in_time: f32,
}

impl Playout {
    /// Frames are delivered once they are complete and in order.
    pub const IMMEDIATE: Self = Self {
        min_delay: Duration::ZERO,
        max_delay: Duration::ZERO,
        in_time: 0.0,
    };
}

impl Default for Playout {
    fn default() -> Self {
        Self {
            min_delay: Duration::from_millis(10),
            max_delay: Duration::from_millis(1_000),
            in_time: 0.96,
        }
    }
}

/// A whole frame, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IncomingFrame {
    /// Whose it is: the stream's SSRC.
    pub ssrc: Ssrc,
    /// The encoded frame: an Opus packet, a VP8 frame, an Annex B access unit.
    pub data: Bytes,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Whether decoding can begin here; always for audio.
    pub keyframe: bool,
    /// Its payload type.
    pub payload_type: u8,
    /// How many packets are missing between the frame before and this one.
    pub lost_before: u32,
    /// How much time of the media clock is missing before it, as a decoder that conceals needs it: at most a second, zero
    /// for video. Without `lost_before` the sender was silent (discontinuous transmission).
    pub missing_before: Duration,
    /// The marker bit of its last packet.
    pub marker: bool,
    /// When its first packet arrived.
    pub arrival: Instant,
    /// When its last one did.
    pub complete: Instant,
    /// How many packets it came in.
    pub packets: u32,
    /// When it was due.
    pub due: Instant,
    /// The sender's wall clock at its timestamp, once an SR has told (RFC 3550 §6.4.1): what lip sync compares.
    pub sender_ntp: Option<NtpTime>,
    /// The audio level.
    pub audio_level: Option<AudioLevel>,
    /// The orientation last told.
    pub orientation: Option<VideoOrientation>,
}

/// Counters for `RTCInboundRtpStreamStats` and `RTCRemoteOutboundRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets received, retransmissions included.
    pub packets_received: u64,
    /// Payload bytes received, retransmissions included.
    pub bytes_received: u64,
    /// Header and padding bytes received.
    pub header_bytes_received: u64,
    /// Packets lost (RFC 3550 §6.4.1): expected less received, negative with duplicates.
    pub packets_lost: i64,
    /// The interarrival jitter.
    pub jitter: Duration,
    /// Packets that came too late, or when the buffer was full.
    pub packets_discarded: u64,
    /// Packets received twice.
    pub packets_duplicated: u64,
    /// Packets that are not RTP, or of another stream or payload type.
    pub packets_invalid: u64,
    /// Retransmissions received.
    pub retransmitted_packets_received: u64,
    /// Their payload bytes.
    pub retransmitted_bytes_received: u64,
    /// NACK packets sent.
    pub nack_count: u64,
    /// PLI packets sent.
    pub pli_count: u64,
    /// FIR packets sent.
    pub fir_count: u64,
    /// Frames delivered.
    pub frames_received: u64,
    /// Of those, keyframes.
    pub key_frames_received: u64,
    /// Whole frames that could not be used: undecodable after a loss, or late.
    pub frames_dropped: u64,
    /// Gaps given up.
    pub gaps: u64,
    /// The time between the arrival of their first packet and delivery, summed over video frames or audio samples.
    pub jitter_buffer_delay: Duration,
    /// The target delays at delivery, summed likewise.
    pub jitter_buffer_target_delay: Duration,
    /// What the target delays would have been, had the network alone decided: no `min_delay` of the configuration.
    pub jitter_buffer_minimum_delay: Duration,
    /// How many video frames, or audio samples of the media clock, those sums are over.
    pub jitter_buffer_emitted_count: u64,
    /// The delay the buffer aims at now.
    pub target_delay: Duration,
    /// When the last packet arrived.
    pub last_packet_received: Option<Instant>,
    /// The last measured round-trip time, from retransmissions asked for or as told.
    pub round_trip_time: Option<Duration>,
    /// The payload type of the last media packet.
    pub payload_type: Option<u8>,
    /// What the sender last reported.
    pub remote: Option<RemoteOutbound>,
}

/// What the sender last reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteOutbound {
    /// When the report came.
    pub at: Instant,
    /// Packets sent; goes on where the report's 32 bits wrap.
    pub packets_sent: u64,
    /// Payload bytes sent; likewise.
    pub bytes_sent: u64,
    /// Its wall clock at that moment.
    pub ntp: NtpTime,
    /// Its media clock at that moment.
    pub rtp_timestamp: u32,
    /// How many reports came.
    pub reports: u64,
}
