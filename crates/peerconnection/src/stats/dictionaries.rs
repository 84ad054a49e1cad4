//! The dictionaries of the W3C text, member by member. What is `None` does not exist in the sense of that text.

use crate::rtp_parameters::MediaKind;
use crate::states::{DataChannelState, DtlsTransportState, IceTransportState};
use serde::{Serialize, Serializer};

macro_rules! dictionaries {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize)]
            #[serde(rename_all = "camelCase")]
            #[non_exhaustive]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $kind,)*
            }
        )*
    };
}

dictionaries! {
    /// `RTCCodecStats`.
    CodecStats {
        /// The RTP payload type.
        payload_type: u8,
        /// The transport it is used on.
        transport_id: String,
        /// Kind and name.
        mime_type: String,
        /// Ticks a second.
        clock_rate: u32,
        /// Audio channels.
        #[serde(skip_serializing_if = "Option::is_none")]
        channels: Option<u16>,
        /// The `fmtp` parameters.
        #[serde(skip_serializing_if = "String::is_empty")]
        sdp_fmtp_line: String,
    }
    /// `RTCInboundRtpStreamStats`. Times are seconds.
    InboundRtpStats {
        /// The stream.
        ssrc: u32,
        /// Audio or video.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// Its transport.
        transport_id: String,
        /// Its codec, once a frame came.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec_id: Option<String>,
        /// The media section.
        mid: String,
        /// The track it becomes.
        track_identifier: String,
        /// The peer's report of the same stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
        /// Packets, retransmissions included.
        packets_received: u64,
        /// Expected less received (RFC 3550 §6.4.1).
        packets_lost: i64,
        /// Interarrival jitter.
        jitter: f64,
        /// Payload bytes.
        bytes_received: u64,
        /// Header and padding bytes.
        header_bytes_received: u64,
        /// Packets that came too late.
        packets_discarded: u64,
        /// Retransmissions, where they are told apart (RTX).
        #[serde(skip_serializing_if = "Option::is_none")]
        retransmitted_packets_received: Option<u64>,
        /// Their payload bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        retransmitted_bytes_received: Option<u64>,
        /// Milliseconds since the Unix epoch at the last packet.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_packet_received_timestamp: Option<f64>,
        /// Time spent in the jitter buffer, summed over video frames or audio samples.
        jitter_buffer_delay: f64,
        /// What it aimed at, summed.
        jitter_buffer_target_delay: f64,
        /// What it would have aimed at, had the network alone decided: no `jitterBufferTarget`; summed.
        jitter_buffer_minimum_delay: f64,
        /// Video frames, or audio samples, those sums are over.
        jitter_buffer_emitted_count: u64,
        /// Whole frames; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_received: Option<u64>,
        /// Frames that could not be used; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_dropped: Option<u64>,
        /// NACKs sent.
        nack_count: u64,
        /// PLIs sent; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        pli_count: Option<u64>,
        /// FIRs sent; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        fir_count: Option<u64>,
        /// Pictures decoded; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_decoded: Option<u64>,
        /// Keyframes among them.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_frames_decoded: Option<u64>,
        /// The width of the last picture, in pixels.
        #[serde(skip_serializing_if = "Option::is_none")]
        frame_width: Option<u32>,
        /// Its height.
        #[serde(skip_serializing_if = "Option::is_none")]
        frame_height: Option<u32>,
        /// Pictures decoded in the last second.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_per_second: Option<f64>,
        /// Time spent decoding, summed; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_decode_time: Option<f64>,
        /// Pictures that somebody took from the track; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_rendered: Option<u64>,
        /// Time between those, summed; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_inter_frame_delay: Option<f64>,
        /// The same, each squared.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_squared_inter_frame_delay: Option<f64>,
        /// How often a picture came much later than those before it; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        freeze_count: Option<u32>,
        /// How long those were waited for.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_freezes_duration: Option<f64>,
        /// How often none came for five seconds or more; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        pause_count: Option<u32>,
        /// How long those lasted.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_pauses_duration: Option<f64>,
        /// Samples decoded or made up; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_samples_received: Option<u64>,
        /// Samples made up for lost ones; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        concealed_samples: Option<u64>,
        /// How often sound was made up; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        concealment_events: Option<u64>,
        /// How loud the last sound was, 0 to 1; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_level: Option<f64>,
        /// The energy of all sound: its level squared times its seconds, summed; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_audio_energy: Option<f64>,
        /// The length of all sound; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_samples_duration: Option<f64>,
        /// Of those, samples of silence; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        silent_concealed_samples: Option<u64>,
        /// Packets that repeat the one before within Opus; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        fec_packets_received: Option<u64>,
        /// Of those, where the one before had come; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        fec_packets_discarded: Option<u64>,
        /// Samples that a speaker put in to play slower; only where one plays the track.
        #[serde(skip_serializing_if = "Option::is_none")]
        inserted_samples_for_deceleration: Option<u64>,
        /// Samples that a speaker left out to play faster; likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        removed_samples_for_acceleration: Option<u64>,
        /// Quantizer indices of decoded pictures, summed (VP8: 0 to 127 each); video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        qp_sum: Option<u64>,
        /// Time from the arrival of the first packet until a video frame, or audio sample, was decoded, summed.
        total_processing_delay: f64,
        /// Decoded frames that came in several packets; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_assembled_from_multiple_packets: Option<u64>,
        /// Time from the first to the last packet of those, summed.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_assembly_time: Option<f64>,
        /// What is played now, in the sender's NTP time: milliseconds since 1900, once its reports tell.
        #[serde(skip_serializing_if = "Option::is_none")]
        estimated_playout_timestamp: Option<f64>,
        /// What decodes; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        decoder_implementation: Option<&'static str>,
        /// Whether hardware does; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        power_efficient_decoder: Option<bool>,
        /// The speaker that plays it; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        playout_id: Option<String>,
        /// The stream of its retransmissions.
        #[serde(skip_serializing_if = "Option::is_none")]
        rtx_ssrc: Option<u32>,
    }
    /// `RTCOutboundRtpStreamStats`. Times are seconds.
    OutboundRtpStats {
        /// The stream.
        ssrc: u32,
        /// Audio or video.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// Its transport.
        transport_id: String,
        /// Its codec.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec_id: Option<String>,
        /// The media section.
        mid: String,
        /// The encoding, when there are several.
        #[serde(skip_serializing_if = "Option::is_none")]
        rid: Option<String>,
        /// The peer's report of the same stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        remote_id: Option<String>,
        /// The stream of its retransmissions.
        #[serde(skip_serializing_if = "Option::is_none")]
        rtx_ssrc: Option<u32>,
        /// Packets, retransmissions included.
        packets_sent: u64,
        /// Payload bytes.
        bytes_sent: u64,
        /// Header and padding bytes.
        header_bytes_sent: u64,
        /// Packets sent again.
        retransmitted_packets_sent: u64,
        /// Their payload bytes.
        retransmitted_bytes_sent: u64,
        /// Time that packets waited to leave, summed.
        total_packet_send_delay: f64,
        /// Frames; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_sent: Option<u64>,
        /// Of those, at least 2.5 times as large as the target asks for; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        huge_frames_sent: Option<u64>,
        /// Keyframes; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_frames_encoded: Option<u64>,
        /// NACKs received.
        nack_count: u64,
        /// PLIs received; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        pli_count: Option<u64>,
        /// FIRs received; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        fir_count: Option<u64>,
        /// Whether the encoding is switched on.
        active: bool,
        /// Its place among the encodings of the sender; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding_index: Option<usize>,
        /// The track it is made of.
        #[serde(skip_serializing_if = "Option::is_none")]
        media_source_id: Option<String>,
        /// What the encoder aims at, in bits per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        target_bitrate: Option<f64>,
        /// Pictures encoded; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_encoded: Option<u64>,
        /// The width of the last picture, in pixels.
        #[serde(skip_serializing_if = "Option::is_none")]
        frame_width: Option<u32>,
        /// Its height.
        #[serde(skip_serializing_if = "Option::is_none")]
        frame_height: Option<u32>,
        /// Pictures encoded in the last second.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_per_second: Option<f64>,
        /// Quantizer indices of encoded pictures, summed (VP8: 0 to 127 each); video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        qp_sum: Option<u64>,
        /// Time spent encoding, summed; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_encode_time: Option<f64>,
        /// Bytes that the pictures should have had, by their target; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_encoded_bytes_target: Option<u64>,
        /// Why pictures are worse than they could be: `none` or `bandwidth`; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        quality_limitation_reason: Option<&'static str>,
        /// For how long each of these held.
        #[serde(skip_serializing_if = "Option::is_none")]
        quality_limitation_durations: Option<QualityLimitationDurations>,
        /// How often the size of the pictures changed for such a reason; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        quality_limitation_resolution_changes: Option<u32>,
        /// What encodes; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        encoder_implementation: Option<&'static str>,
        /// Whether hardware does; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        power_efficient_encoder: Option<bool>,
    }
    /// `qualityLimitationDurations` of `RTCOutboundRtpStreamStats`, in seconds.
    QualityLimitationDurations {
        /// Not limited.
        none: f64,
        /// Too little computing power: never, as nothing reacts to that here.
        cpu: f64,
        /// Too little bitrate.
        bandwidth: f64,
        /// Anything else: never.
        other: f64,
    }
    /// `RTCMediaSourceStats`, `RTCAudioSourceStats` and `RTCVideoSourceStats`: a track that is sent.
    MediaSourceStats {
        /// The track.
        track_identifier: String,
        /// Audio or video.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// How loud the last sound was, 0 to 1; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_level: Option<f64>,
        /// The energy of all sound: its level squared times its seconds, summed; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_audio_energy: Option<f64>,
        /// The length of all sound, in seconds; audio only.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_samples_duration: Option<f64>,
        /// The width of the last picture, in pixels; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        width: Option<u32>,
        /// Its height; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
        /// Pictures the track has given; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames: Option<u64>,
        /// Pictures in the last second; video only.
        #[serde(skip_serializing_if = "Option::is_none")]
        frames_per_second: Option<f64>,
    }
    /// `RTCAudioPlayoutStats`: one speaker, after mixing. Times are seconds.
    AudioPlayoutStats {
        /// `audio`.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// Silence that stood in for sound that did not come in time.
        synthesized_samples_duration: f64,
        /// How often it began to.
        synthesized_samples_events: u64,
        /// All that was played.
        total_samples_duration: f64,
        /// Time that samples waited to be played, summed.
        total_playout_delay: f64,
        /// Samples that sum is over.
        total_samples_count: u64,
    }
    /// `RTCRemoteInboundRtpStreamStats`. Times are seconds.
    RemoteInboundRtpStats {
        /// The stream.
        ssrc: u32,
        /// Audio or video.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// Its transport.
        transport_id: String,
        /// Its codec.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec_id: Option<String>,
        /// This side's statistics of the stream.
        local_id: String,
        /// Packets that reached the peer.
        packets_received: u64,
        /// Packets that did not reach the peer.
        packets_lost: i64,
        /// The peer's interarrival jitter.
        jitter: f64,
        /// The part lost between the last two reports, 0 to 1.
        fraction_lost: f64,
        /// The last round trip.
        #[serde(skip_serializing_if = "Option::is_none")]
        round_trip_time: Option<f64>,
        /// All round trips, summed.
        total_round_trip_time: f64,
        /// How many.
        round_trip_time_measurements: u64,
    }
    /// `RTCRemoteOutboundRtpStreamStats`.
    RemoteOutboundRtpStats {
        /// The stream.
        ssrc: u32,
        /// Audio or video.
        #[serde(serialize_with = "kind_name")]
        kind: MediaKind,
        /// Its transport.
        transport_id: String,
        /// Its codec.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec_id: Option<String>,
        /// This side's statistics of the stream.
        local_id: String,
        /// Packets the peer has sent.
        packets_sent: u64,
        /// Payload bytes the peer has sent.
        bytes_sent: u64,
        /// The peer's clock at the report: milliseconds since the Unix epoch.
        remote_timestamp: f64,
        /// Reports received.
        reports_sent: u64,
    }
    /// `RTCPeerConnectionStats`.
    PeerConnectionStats {
        /// Channels that were opened.
        data_channels_opened: u32,
        /// Channels that were closed.
        data_channels_closed: u32,
    }
    /// `RTCDataChannelStats`.
    DataChannelStats {
        /// Its label.
        label: String,
        /// Its protocol.
        protocol: String,
        /// Its SCTP stream.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_channel_identifier: Option<u16>,
        /// Its state.
        state: DataChannelState,
        /// Messages sent.
        messages_sent: u64,
        /// Payload bytes sent.
        bytes_sent: u64,
        /// Messages received.
        messages_received: u64,
        /// Payload bytes received.
        bytes_received: u64,
    }
    /// `RTCTransportStats`.
    TransportStats {
        /// Packets sent, ICE's own not counted.
        packets_sent: u64,
        /// Packets received.
        packets_received: u64,
        /// Bytes sent.
        bytes_sent: u64,
        /// Bytes received.
        bytes_received: u64,
        /// `controlling` or `controlled`.
        ice_role: &'static str,
        /// This side's ICE generation.
        ice_local_username_fragment: String,
        /// Where ICE is.
        ice_state: IceTransportState,
        /// Where DTLS is.
        dtls_state: DtlsTransportState,
        /// `client`, `server` or `unknown`.
        dtls_role: &'static str,
        /// The pair in use.
        #[serde(skip_serializing_if = "Option::is_none")]
        selected_candidate_pair_id: Option<String>,
        /// This side's certificate.
        local_certificate_id: String,
        /// The peer's.
        #[serde(skip_serializing_if = "Option::is_none")]
        remote_certificate_id: Option<String>,
        /// The DTLS version, as four hexadecimal digits.
        #[serde(skip_serializing_if = "Option::is_none")]
        tls_version: Option<String>,
        /// The DTLS cipher suite, by its IANA name.
        #[serde(skip_serializing_if = "Option::is_none")]
        dtls_cipher: Option<String>,
        /// The SRTP profile, by its IANA name.
        #[serde(skip_serializing_if = "Option::is_none")]
        srtp_cipher: Option<String>,
        /// How often another pair was selected.
        selected_candidate_pair_changes: u32,
    }
    /// `RTCIceCandidatePairStats`. Times are seconds.
    CandidatePairStats {
        /// Its transport.
        transport_id: String,
        /// This side's candidate.
        local_candidate_id: String,
        /// The peer's.
        remote_candidate_id: String,
        /// `frozen`, `waiting`, `in-progress`, `failed` or `succeeded`.
        state: &'static str,
        /// Whether it is in use.
        nominated: bool,
        /// Packets sent on it.
        packets_sent: u64,
        /// Packets received on it.
        packets_received: u64,
        /// Bytes sent on it.
        bytes_sent: u64,
        /// Bytes received on it.
        bytes_received: u64,
        /// Milliseconds since the Unix epoch at the last packet sent, ICE's own not counted.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_packet_sent_timestamp: Option<f64>,
        /// The same, received.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_packet_received_timestamp: Option<f64>,
        /// Packets that the socket refused.
        packets_discarded_on_send: u64,
        /// Their bytes.
        bytes_discarded_on_send: u64,
        /// The last round trip of a check.
        #[serde(skip_serializing_if = "Option::is_none")]
        current_round_trip_time: Option<f64>,
        /// All round trips of checks, summed.
        total_round_trip_time: f64,
        /// Checks sent.
        requests_sent: u64,
        /// Checks received.
        requests_received: u64,
        /// Answers sent.
        responses_sent: u64,
        /// Answers received.
        responses_received: u64,
        /// Consent checks sent.
        consent_requests_sent: u64,
        /// What the path is estimated to carry, in bits per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        available_outgoing_bitrate: Option<f64>,
    }
    /// `RTCIceCandidateStats`.
    IceCandidateStats {
        /// Its transport.
        transport_id: String,
        /// An IP address or a `.local` name; `None`, in JSON `null`, of a candidate of the peer that only its checks have shown.
        address: Option<String>,
        /// Its port.
        port: u16,
        /// `udp` or `tcp`.
        protocol: String,
        /// `host`, `srflx`, `prflx` or `relay`.
        candidate_type: String,
        /// Its priority.
        priority: u32,
        /// Its foundation.
        foundation: String,
        /// The server it was learned from; local only.
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// What carries a relayed candidate to its server: `udp`, `tcp` or `tls`; local only.
        #[serde(skip_serializing_if = "Option::is_none")]
        relay_protocol: Option<String>,
        /// The address it is derived from.
        #[serde(skip_serializing_if = "Option::is_none")]
        related_address: Option<String>,
        /// The port of that.
        #[serde(skip_serializing_if = "Option::is_none")]
        related_port: Option<u16>,
        /// The ICE generation.
        #[serde(skip_serializing_if = "Option::is_none")]
        username_fragment: Option<String>,
        /// For TCP: `active`, `passive` or `so`.
        #[serde(skip_serializing_if = "Option::is_none")]
        tcp_type: Option<String>,
    }
    /// `RTCCertificateStats`.
    CertificateStats {
        /// The fingerprint, as pairs of hexadecimal digits.
        fingerprint: String,
        /// Its hash.
        fingerprint_algorithm: String,
        /// The certificate, DER in base64.
        base64_certificate: String,
    }
}

fn kind_name<S: Serializer>(kind: &MediaKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}
