//! Statistics of tracks, streams and codecs.

use super::{Collected, transport_id};
use crate::rtp_parameters::RtpCodecParameters;
use crate::session::media::{Incoming, Outgoing};
use crate::session::{Session, TransceiverId};
use crate::stats::{
    CodecStats, InboundRtpStats, MediaSourceStats, OutboundRtpStats, QualityLimitationDurations,
    RemoteInboundRtpStats, RemoteOutboundRtpStats, Stats,
};
use media::MediaKind;

/// Which list of a transceiver's codecs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Out,
    In,
}

impl Session {
    pub(super) fn source_stats(&self, collected: &mut Collected) {
        for source in &self.sources {
            let video = source.kind == MediaKind::Video;
            let seen = video && source.frames > 0;
            collected.push(
                source_id(source.number),
                Stats::MediaSource(MediaSourceStats {
                    track_identifier: source.track.clone(),
                    kind: source.kind,
                    audio_level: source.level,
                    total_audio_energy: (!video).then_some(source.energy),
                    total_samples_duration: (!video).then_some(source.duration.as_secs_f64()),
                    width: seen.then_some(source.width),
                    height: seen.then_some(source.height),
                    frames: video.then_some(source.frames),
                    frames_per_second: source.rate.per_second(collected.now),
                }),
            );
        }
    }

    /// The streams, with what the peer reports of them and the codecs that they use.
    pub(super) fn stream_stats(&self, collected: &mut Collected) {
        for outgoing in self.media.sent_streams() {
            self.outgoing_stats(collected, outgoing);
        }
        for incoming in self.media.incoming() {
            self.incoming_stats(collected, incoming);
        }
    }

    fn outgoing_stats(&self, collected: &mut Collected, outgoing: &Outgoing) {
        let now = collected.now;
        let stats = outgoing.stream.stats();
        let config = outgoing.stream.config();
        let video = config.codec.is_video();
        let kind = kind(video);
        let ssrc = config.ssrc.0;
        let local_id = format!("O{ssrc}");
        let transport = outgoing.transport;
        let codec_id = self.codec_stats(
            collected,
            outgoing.transceiver,
            Direction::Out,
            transport,
            config.payload_type,
        );
        let remote_id = stats.remote.map(|remote| {
            let id = format!("RI{ssrc}");
            collected.push_at(
                remote.at,
                id.clone(),
                Stats::RemoteInboundRtp(RemoteInboundRtpStats {
                    ssrc,
                    kind,
                    transport_id: transport_id(transport),
                    codec_id: codec_id.clone(),
                    local_id: local_id.clone(),
                    packets_received: remote.packets_received,
                    packets_lost: remote.packets_lost,
                    jitter: remote.jitter.as_secs_f64(),
                    fraction_lost: remote.fraction_lost,
                    round_trip_time: stats.round_trip_time.map(|time| time.as_secs_f64()),
                    total_round_trip_time: stats.total_round_trip_time.as_secs_f64(),
                    round_trip_time_measurements: stats.round_trip_time_measurements,
                }),
            );
            id
        });
        let (encoding_index, active) = self.encoding_of(outgoing.transceiver, ssrc);
        let encoder = &outgoing.encoder;
        // An application that encodes itself says nothing of how.
        let measured = video && encoder.frames > 0;
        let held = encoder.held(now);
        let media_source_id = self
            .jsep
            .transceiver(outgoing.transceiver)
            .and_then(|transceiver| transceiver.sender.track.as_ref())
            .and_then(|track| self.sources.iter().find(|source| source.track == *track))
            .map(|source| source_id(source.number));
        collected.push(
            local_id,
            Stats::OutboundRtp(Box::new(OutboundRtpStats {
                ssrc,
                kind,
                transport_id: transport_id(transport),
                codec_id,
                mid: outgoing.mid.clone(),
                rid: outgoing.rid.clone().filter(|_| video),
                remote_id,
                rtx_ssrc: config.rtx.map(|(ssrc, _)| ssrc.0),
                packets_sent: stats.packets_sent,
                bytes_sent: stats.bytes_sent,
                header_bytes_sent: stats.header_bytes_sent,
                retransmitted_packets_sent: stats.retransmitted_packets_sent,
                retransmitted_bytes_sent: stats.retransmitted_bytes_sent,
                total_packet_send_delay: stats.total_packet_send_delay.as_secs_f64(),
                frames_sent: video.then_some(stats.frames_sent),
                huge_frames_sent: measured.then_some(encoder.huge),
                key_frames_encoded: video.then_some(encoder.keyframes.max(stats.key_frames_sent)),
                nack_count: stats.nack_count,
                pli_count: video.then_some(stats.pli_count),
                fir_count: video.then_some(stats.fir_count),
                active,
                encoding_index: video.then_some(encoding_index),
                media_source_id,
                target_bitrate: encoder.target.map(|bps| bps as f64),
                frames_encoded: video.then_some(encoder.frames.max(stats.frames_sent)),
                frame_width: measured.then_some(encoder.width),
                frame_height: measured.then_some(encoder.height),
                frames_per_second: encoder.rate.per_second(now),
                qp_sum: encoder.qp_sum.filter(|_| measured),
                total_encode_time: measured.then_some(encoder.time.as_secs_f64()),
                total_encoded_bytes_target: measured.then_some(encoder.target_bytes as u64),
                quality_limitation_reason: measured.then_some(if encoder.limited {
                    "bandwidth"
                } else {
                    "none"
                }),
                quality_limitation_durations: measured.then_some(QualityLimitationDurations {
                    none: held.unlimited.as_secs_f64(),
                    cpu: 0.0,
                    bandwidth: held.limited.as_secs_f64(),
                    other: 0.0,
                }),
                quality_limitation_resolution_changes: measured
                    .then_some(encoder.resolution_changes),
                encoder_implementation: encoder.implementation,
                // Everything is encoded by the processor.
                power_efficient_encoder: measured.then_some(false),
            })),
        );
    }

    fn incoming_stats(&self, collected: &mut Collected, incoming: &Incoming) {
        let now = collected.now;
        let stats = incoming.stream.stats();
        let config = incoming.stream.config();
        let video = incoming.is_video();
        let kind = kind(video);
        let ssrc = config.ssrc.0;
        let number = incoming.number;
        let local_id = format!("I{number}_{ssrc}");
        let transport = incoming.transport;
        let codec_id = stats.payload_type.and_then(|payload_type| {
            self.codec_stats(
                collected,
                incoming.transceiver,
                Direction::In,
                transport,
                payload_type,
            )
        });
        let remote_id = stats.remote.map(|remote| {
            let id = format!("RO{number}_{ssrc}");
            collected.push_at(
                remote.at,
                id.clone(),
                Stats::RemoteOutboundRtp(RemoteOutboundRtpStats {
                    ssrc,
                    kind,
                    transport_id: transport_id(transport),
                    codec_id: codec_id.clone(),
                    local_id: local_id.clone(),
                    packets_sent: remote.packets_sent,
                    bytes_sent: remote.bytes_sent,
                    remote_timestamp: super::milliseconds(remote.ntp.to_unix()),
                    reports_sent: remote.reports,
                }),
            );
            id
        });
        let decoder = &incoming.decoder;
        let track = self
            .jsep
            .transceiver(incoming.transceiver)
            .map(|transceiver| transceiver.receiver.track.clone());
        // "If RTX is not negotiated, retransmitted packets can not be identified."
        let rtx = config.payload_types.iter().any(|kind| kind.rtx.is_some());
        let estimated_playout_timestamp = incoming.played.and_then(|(timestamp, at)| {
            let ntp = incoming.stream.sender_time(timestamp)?;
            let elapsed = now.saturating_duration_since(at);
            Some(ntp.0 as f64 / 4_294_967_296.0 * 1_000.0 + super::milliseconds(elapsed))
        });
        collected.push(
            local_id,
            Stats::InboundRtp(Box::new(InboundRtpStats {
                ssrc,
                kind,
                transport_id: transport_id(transport),
                codec_id,
                mid: incoming.mid.clone(),
                track_identifier: track.unwrap_or_default(),
                remote_id,
                packets_received: stats.packets_received,
                packets_lost: stats.packets_lost,
                jitter: stats.jitter.as_secs_f64(),
                bytes_received: stats.bytes_received,
                header_bytes_received: stats.header_bytes_received,
                packets_discarded: stats.packets_discarded,
                retransmitted_packets_received: rtx.then_some(stats.retransmitted_packets_received),
                retransmitted_bytes_received: rtx.then_some(stats.retransmitted_bytes_received),
                last_packet_received_timestamp: stats
                    .last_packet_received
                    .map(|at| collected.at(at)),
                jitter_buffer_delay: stats.jitter_buffer_delay.as_secs_f64(),
                jitter_buffer_target_delay: stats.jitter_buffer_target_delay.as_secs_f64(),
                jitter_buffer_minimum_delay: stats.jitter_buffer_minimum_delay.as_secs_f64(),
                jitter_buffer_emitted_count: stats.jitter_buffer_emitted_count,
                frames_received: video.then_some(stats.frames_received),
                frames_dropped: video.then_some(stats.frames_dropped + decoder.dropped),
                nack_count: stats.nack_count,
                pli_count: video.then_some(stats.pli_count),
                fir_count: video.then_some(stats.fir_count),
                frames_decoded: video.then_some(decoder.frames),
                key_frames_decoded: video.then_some(decoder.keyframes),
                frame_width: (decoder.width > 0).then_some(decoder.width),
                frame_height: (decoder.height > 0).then_some(decoder.height),
                frames_per_second: decoder.rate.per_second(now),
                qp_sum: decoder.qp_sum,
                total_decode_time: video.then_some(decoder.time.as_secs_f64()),
                frames_rendered: video.then_some(decoder.rendered),
                total_inter_frame_delay: video.then_some(decoder.smoothness.total),
                total_squared_inter_frame_delay: video.then_some(decoder.smoothness.total_squared),
                freeze_count: video.then_some(decoder.smoothness.freezes),
                total_freezes_duration: video.then_some(decoder.smoothness.frozen),
                pause_count: video.then_some(decoder.smoothness.pauses),
                total_pauses_duration: video.then_some(decoder.smoothness.paused),
                total_processing_delay: decoder.processing,
                frames_assembled_from_multiple_packets: video.then_some(decoder.assembled),
                total_assembly_time: video.then_some(decoder.assembly.as_secs_f64()),
                estimated_playout_timestamp,
                decoder_implementation: decoder.implementation,
                // Everything is decoded by the processor.
                power_efficient_decoder: decoder.implementation.map(|_| false),
                total_samples_received: (!video).then_some(decoder.samples),
                concealed_samples: (!video).then_some(decoder.concealed_samples),
                silent_concealed_samples: (!video).then_some(decoder.silent_concealed_samples),
                concealment_events: (!video).then_some(decoder.concealment_events),
                fec_packets_received: (!video).then_some(decoder.fec_packets),
                fec_packets_discarded: (!video).then_some(decoder.fec_packets_unused),
                // What a speaker knows is added by those who know the speaker.
                inserted_samples_for_deceleration: None,
                removed_samples_for_acceleration: None,
                playout_id: None,
                audio_level: decoder.level,
                total_audio_energy: (!video).then_some(decoder.energy),
                total_samples_duration: (!video).then_some(decoder.samples_duration.as_secs_f64()),
                rtx_ssrc: config.rtx.map(|ssrc| ssrc.0),
            })),
        );
    }

    /// The codec of this number: "a single entry per payload type per transport, unless `sdpFmtpLine` differs per direction".
    fn codec_stats(
        &self,
        collected: &mut Collected,
        id: TransceiverId,
        direction: Direction,
        transport: usize,
        payload_type: u8,
    ) -> Option<String> {
        let transceiver = self.jsep.transceiver(id)?;
        let of = |codecs: &[RtpCodecParameters]| {
            let mut codecs = codecs.iter();
            codecs
                .find(|codec| codec.payload_type == payload_type)
                .map(|codec| codec.codec.clone())
        };
        let (sent, received) = (
            of(&transceiver.sender.codecs),
            of(&transceiver.receiver.codecs),
        );
        let alike = sent == received;
        let codec = match direction {
            Direction::Out => sent?,
            Direction::In => received?,
        };
        let apart = match direction {
            _ if alike => "",
            Direction::Out => "O",
            Direction::In => "I",
        };
        // The name, as a number may come to mean another codec.
        let id = format!("C{apart}T{transport}_{payload_type}_{}", codec.name());
        if !collected.codecs.contains(&id) {
            collected.codecs.push(id.clone());
            collected.push(
                id.clone(),
                Stats::Codec(CodecStats {
                    payload_type,
                    transport_id: transport_id(transport),
                    mime_type: codec.mime_type,
                    clock_rate: codec.clock_rate,
                    channels: codec.channels,
                    sdp_fmtp_line: codec.sdp_fmtp_line,
                }),
            );
        }
        Some(id)
    }

    /// The place of an encoding, and whether it is switched on.
    fn encoding_of(&self, id: TransceiverId, ssrc: u32) -> (usize, bool) {
        let encodings = self
            .jsep
            .transceiver(id)
            .map(|transceiver| transceiver.sender.encodings.iter().enumerate());
        encodings
            .into_iter()
            .flatten()
            .find(|(_, encoding)| encoding.ssrc == ssrc)
            .map_or((0, false), |(index, encoding)| {
                (index, encoding.parameters.active)
            })
    }
}

fn kind(video: bool) -> MediaKind {
    if video {
        MediaKind::Video
    } else {
        MediaKind::Audio
    }
}

fn source_id(number: u32) -> String {
    format!("S{number}")
}
