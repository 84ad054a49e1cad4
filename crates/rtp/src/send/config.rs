//! What a sending stream is told and what it tells.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ext::{AudioLevel, VideoOrientation};
use crate::payload::{PayloadFormat, TemporalLayer};
use crate::types::{SeqNum, Ssrc};

/// How to send one stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The stream's SSRC.
    pub ssrc: Ssrc,
    /// Its payload type.
    pub payload_type: u8,
    /// How its payloads are made.
    pub codec: PayloadFormat,
    /// The media clock in Hz.
    pub clock_rate: u32,
    /// The retransmission stream's SSRC and payload type (RFC 4588); without, a retransmission repeats the packet as it was.
    pub rtx: Option<(Ssrc, u8)>,
    /// The canonical name of the source.
    pub cname: String,
    /// Identifier and value of the MID extension.
    pub mid: Option<(u8, String)>,
    /// Identifier and value of the RID extension.
    pub rid: Option<(u8, String)>,
    /// The identifier of the repaired-RID extension; carries `rid`'s value on retransmissions (RFC 8852).
    pub repaired_rid: Option<u8>,
    /// The identifier of the transport-wide sequence number, written as zero for [`Stamper`](super::Stamper) to fill in.
    pub transport_cc: Option<u8>,
    /// The identifier of the absolute send time, written as zero for [`Stamper`](super::Stamper) to fill in.
    pub abs_send_time: Option<u8>,
    /// The identifier of the audio level.
    pub audio_level: Option<u8>,
    /// The identifier of the video orientation.
    pub video_orientation: Option<u8>,
    /// The largest RTP packet, header included, before protection.
    pub max_packet_size: usize,
    /// How many sent packets are kept for retransmission; 0 for none.
    pub history: usize,
    /// How long a sent packet is worth repeating.
    pub history_time: Duration,
    /// How many packets may wait to leave; a frame that finds the queue full is dropped whole.
    pub max_queue: usize,
}

impl Config {
    /// A stream with the format's usual clock, and a history for video alone.
    pub fn new(ssrc: Ssrc, payload_type: u8, codec: PayloadFormat) -> Self {
        Self {
            ssrc,
            payload_type,
            codec,
            clock_rate: codec.clock_rate(),
            rtx: None,
            cname: String::new(),
            mid: None,
            rid: None,
            repaired_rid: None,
            transport_cc: None,
            abs_send_time: None,
            audio_level: None,
            video_orientation: None,
            max_packet_size: 1_200,
            history: if codec.is_video() { 1_024 } else { 256 },
            history_time: Duration::from_secs(2),
            max_queue: 4_096,
        }
    }
}

/// An encoded frame to send.
#[derive(Clone, Debug, Default)]
pub struct OutgoingFrame {
    /// The encoded frame: an Opus packet, a VP8 frame, an Annex B access unit.
    pub data: Bytes,
    /// Its time in the media clock. The stream adds its own random offset (RFC 3550 §5.1).
    pub timestamp: u32,
    /// Whether decoding can begin here. Only counted: the payload itself says so on the wire.
    pub keyframe: bool,
    /// The marker bit of an audio frame: the first after a silence (RFC 3551 §4.1). Video sets it on the last packet by itself.
    pub marker: bool,
    /// The audio level, when the extension was negotiated.
    pub audio_level: Option<AudioLevel>,
    /// The orientation, sent when the extension was negotiated and it is not upright or the frame is a keyframe.
    pub orientation: Option<VideoOrientation>,
    /// The frame's place among temporal layers, for VP8 and VP9.
    pub layer: Option<TemporalLayer>,
}

/// A payload made elsewhere, to forward.
#[derive(Clone, Debug, Default)]
pub struct OutgoingPacket {
    /// The RTP payload.
    pub payload: Bytes,
    /// The sequence number to carry, offset by the stream's own start; `None` numbers on.
    pub sequence_number: Option<SeqNum>,
    /// Its time in the media clock; the stream adds its own random offset.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// The payload type, when not the stream's own.
    pub payload_type: Option<u8>,
    /// The audio level, when the extension was negotiated.
    pub audio_level: Option<AudioLevel>,
    /// The orientation, when the extension was negotiated.
    pub orientation: Option<VideoOrientation>,
}

/// What happened to a sending stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The receiver needs a keyframe (PLI or a new FIR).
    KeyframeRequested,
    /// The receiver's bitrate limit in bit/s (REMB).
    BitrateLimit(u64),
    /// The receiver reported; [`Stream::stats`](super::Stream::stats) has the news.
    Reported,
}

/// What waits to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whether it is a retransmission.
    pub retransmission: bool,
    /// Its size in bytes, up to alignment of the extension block.
    pub size: usize,
}

/// Counters for `RTCOutboundRtpStreamStats` and `RTCRemoteInboundRtpStreamStats`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Packets sent, retransmissions included.
    pub packets_sent: u64,
    /// Payload bytes sent, retransmissions included; no headers, no padding.
    pub bytes_sent: u64,
    /// Header and padding bytes sent.
    pub header_bytes_sent: u64,
    /// Packets sent again.
    pub retransmitted_packets_sent: u64,
    /// Payload bytes sent again.
    pub retransmitted_bytes_sent: u64,
    /// Frames cut into packets.
    pub frames_sent: u64,
    /// Of those, keyframes.
    pub key_frames_sent: u64,
    /// Frames dropped because the queue was full, or that the format could not cut.
    pub frames_dropped: u64,
    /// The time packets waited between [`write_frame`](super::Stream::write_frame) and leaving, summed.
    pub total_packet_send_delay: Duration,
    /// NACK packets received.
    pub nack_count: u64,
    /// Packets asked for that were no longer there, or had just been repeated.
    pub nack_misses: u64,
    /// PLI packets received.
    pub pli_count: u64,
    /// FIR commands received.
    pub fir_count: u64,
    /// What the receiver last reported.
    pub remote: Option<RemoteInbound>,
    /// The last measured round-trip time.
    pub round_trip_time: Option<Duration>,
    /// The round-trip times summed.
    pub total_round_trip_time: Duration,
    /// How many were measured.
    pub round_trip_time_measurements: u64,
}

/// What the receiver last reported of the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RemoteInbound {
    /// When the report came.
    pub at: Instant,
    /// Packets lost since the beginning.
    pub packets_lost: i64,
    /// Packets received, as far as the reports tell; an overtaken one does not turn it back.
    pub packets_received: u64,
    /// The fraction lost since the report before, 0..=1.
    pub fraction_lost: f64,
    /// The interarrival jitter.
    pub jitter: Duration,
    /// How many reports came.
    pub reports: u64,
}
