//! Statistics of a session, collected when asked for (W3C Statistics).

use super::transport::Transport;
use super::{Session, TransceiverId};
use crate::states::{DataChannelState, IceConnectionState};
use crate::stats::{
    CandidatePairStats, CertificateStats, CodecStats, DataChannelStats, IceCandidateStats,
    InboundRtpStats, MediaSourceStats, OutboundRtpStats, PeerConnectionStats,
    QualityLimitationDurations, RemoteInboundRtpStats, RemoteOutboundRtpStats, Stats, StatsReport,
    TransportStats,
};
use std::time::{Duration, Instant};

impl Session {
    /// `getStats` over the whole connection.
    pub fn stats(&self, now: Instant) -> StatsReport {
        let mut report = StatsReport::default();
        let timestamp = milliseconds(self.unix_time(now));
        let mut push = |id: String, stats: Stats| report.push(timestamp, id, stats);
        push(
            "PC".into(),
            Stats::PeerConnection(PeerConnectionStats {
                data_channels_opened: self.data.opened,
                data_channels_closed: self.data.closed,
            }),
        );
        push(
            "CL".into(),
            certificate(
                self.certificate.der(),
                self.certificate.fingerprint(dtls::HashAlgorithm::Sha256),
            ),
        );
        for transport in self.described_transports() {
            self.transport_stats(transport, &mut push);
        }
        self.codec_stats(&mut push);
        self.source_stats(now, &mut push);
        self.stream_stats(now, &mut push);
        self.channel_stats(&mut push);
        report
    }

    fn transport_stats(&self, transport: &Transport, push: &mut impl FnMut(String, Stats)) {
        let id = transport_id(transport.number);
        let counters = transport.counters;
        let number = transport.number;
        let local_id = |candidate: &ice::Candidate| candidate_id("LC", number, candidate);
        let remote_id = |candidate: &ice::Candidate| candidate_id("RC", number, candidate);
        let mut told = std::collections::BTreeSet::new();
        for found in transport.agent.local_candidates() {
            if told.insert(local_id(found)) {
                push(
                    local_id(found),
                    Stats::LocalCandidate(candidate(found, &id)),
                );
            }
        }
        for found in transport.agent.remote_candidates() {
            if told.insert(remote_id(found)) {
                push(
                    remote_id(found),
                    Stats::RemoteCandidate(candidate(found, &id)),
                );
            }
        }
        let selected = transport.agent.selected_pair();
        let pair_id = selected.map(|pair| format!("CP{number}_{}", pair.id));
        for report in transport.agent.report().pairs {
            let pair = &report.pair;
            let (local, remote) = (local_id(&pair.local), remote_id(&pair.remote));
            // A candidate that only a check has shown is in no list.
            if told.insert(local.clone()) {
                push(
                    local.clone(),
                    Stats::LocalCandidate(candidate(&pair.local, &id)),
                );
            }
            if told.insert(remote.clone()) {
                push(
                    remote.clone(),
                    Stats::RemoteCandidate(candidate(&pair.remote, &id)),
                );
            }
            let count = |value: u64| if report.selected { value } else { 0 };
            push(
                format!("CP{number}_{}", pair.id),
                Stats::CandidatePair(CandidatePairStats {
                    transport_id: id.clone(),
                    local_candidate_id: local,
                    remote_candidate_id: remote,
                    state: report.state.as_str(),
                    nominated: pair.nominated,
                    packets_sent: count(counters.packets_sent),
                    packets_received: count(counters.packets_received),
                    bytes_sent: count(counters.bytes_sent),
                    bytes_received: count(counters.bytes_received),
                    current_round_trip_time: report
                        .stats
                        .current_round_trip_time
                        .map(|time| time.as_secs_f64()),
                    total_round_trip_time: report.stats.total_round_trip_time.as_secs_f64(),
                    requests_sent: report.stats.requests_sent,
                    requests_received: report.stats.requests_received,
                    responses_sent: report.stats.responses_sent,
                    responses_received: report.stats.responses_received,
                    consent_requests_sent: report.stats.consent_requests_sent,
                    available_outgoing_bitrate: self
                        .path_bitrate(number)
                        .filter(|_| report.selected)
                        .map(|bps| bps as f64),
                }),
            );
        }
        let remote_certificate = transport.remote_certificate().map(|der| {
            let remote_id = format!("CR{}", transport.number);
            push(
                remote_id.clone(),
                certificate(der, dtls::Fingerprint::of(dtls::HashAlgorithm::Sha256, der)),
            );
            remote_id
        });
        let details = transport.details.as_ref();
        push(
            id,
            Stats::Transport(TransportStats {
                packets_sent: counters.packets_sent,
                packets_received: counters.packets_received,
                bytes_sent: counters.bytes_sent,
                bytes_received: counters.bytes_received,
                ice_role: match transport.agent.role() {
                    ice::Role::Controlling => "controlling",
                    ice::Role::Controlled => "controlled",
                },
                ice_local_username_fragment: transport.agent.local_parameters().ufrag.clone(),
                ice_state: ice_state(transport.agent.state()),
                dtls_state: transport.state,
                dtls_role: match transport.is_client() {
                    None => "unknown",
                    Some(true) => "client",
                    Some(false) => "server",
                },
                selected_candidate_pair_id: pair_id,
                local_certificate_id: "CL".into(),
                remote_certificate_id: remote_certificate,
                // The codes of RFC 6347 and RFC 9147.
                tls_version: details.map(|details| match details.version {
                    dtls::Version::Dtls13 => "FEFC".into(),
                    _ => "FEFD".into(),
                }),
                dtls_cipher: details.map(|details| details.cipher.to_string()),
                srtp_cipher: details
                    .and_then(|details| details.srtp_profile)
                    .map(|profile| profile.to_string()),
                selected_candidate_pair_changes: transport.pair_changes,
            }),
        );
    }

    fn codec_stats(&self, push: &mut impl FnMut(String, Stats)) {
        let mut told: Vec<String> = Vec::new();
        for transceiver in &self.jsep.transceivers {
            let Some(slot) = transceiver
                .section
                .and_then(|index| self.jsep.slots.get(index))
            else {
                continue;
            };
            let directions = [
                ("O", &transceiver.sender.codecs),
                ("I", &transceiver.receiver.codecs),
            ];
            for (direction, codec) in directions
                .into_iter()
                .flat_map(|(direction, codecs)| codecs.iter().map(move |codec| (direction, codec)))
            {
                let id = codec_id(direction, slot.transport, codec.payload_type);
                if told.contains(&id) || !codec.codec.is_media() {
                    continue;
                }
                told.push(id.clone());
                push(
                    id,
                    Stats::Codec(CodecStats {
                        payload_type: codec.payload_type,
                        transport_id: transport_id(slot.transport),
                        mime_type: codec.codec.mime_type.clone(),
                        clock_rate: codec.codec.clock_rate,
                        channels: codec.codec.channels,
                        sdp_fmtp_line: codec.codec.sdp_fmtp_line.clone(),
                    }),
                );
            }
        }
    }

    fn source_stats(&self, now: Instant, push: &mut impl FnMut(String, Stats)) {
        for source in &self.sources {
            let Some(transceiver) = self.jsep.transceiver(source.transceiver) else {
                continue;
            };
            if transceiver.sender.track.as_ref() != Some(&source.track) {
                continue;
            }
            let video = transceiver.kind == media::MediaKind::Video;
            push(
                source_id(source.transceiver),
                Stats::MediaSource(MediaSourceStats {
                    track_identifier: source.track.clone(),
                    kind: transceiver.kind,
                    audio_level: (!video).then_some(source.level),
                    total_audio_energy: (!video).then_some(source.energy),
                    total_samples_duration: (!video).then_some(source.duration.as_secs_f64()),
                    width: video.then_some(source.width),
                    height: video.then_some(source.height),
                    frames: video.then_some(source.frames),
                    frames_per_second: source.rate.per_second(now),
                }),
            );
        }
    }

    fn stream_stats(&self, now: Instant, push: &mut impl FnMut(String, Stats)) {
        let unix = self.unix_time(now);
        for outgoing in self.media.outgoing() {
            let stats = outgoing.stream.stats();
            let config = outgoing.stream.config();
            let video = config.codec.is_video();
            let kind = if video {
                media::MediaKind::Video
            } else {
                media::MediaKind::Audio
            };
            let ssrc = config.ssrc.0;
            let local_id = format!("O{ssrc}");
            let codec_id = codec_id("O", outgoing.transport, config.payload_type);
            let transport_id = transport_id(outgoing.transport);
            let remote_id = stats.remote.map(|_| format!("RI{ssrc}"));
            if let (Some(remote), Some(remote_id)) = (stats.remote, &remote_id) {
                push(
                    remote_id.clone(),
                    Stats::RemoteInboundRtp(RemoteInboundRtpStats {
                        ssrc,
                        kind,
                        transport_id: transport_id.clone(),
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
            }
            let (encoding_index, active) = self.encoding_of(outgoing.transceiver, ssrc);
            let encoder = outgoing.encoder;
            let measured = video && encoder.frames > 0;
            let limited = encoder.limited_time
                + encoder
                    .limited_since
                    .map(|since| now.saturating_duration_since(since))
                    .unwrap_or_default();
            let media_source_id = self
                .sources
                .iter()
                .any(|source| source.transceiver == outgoing.transceiver)
                .then(|| source_id(outgoing.transceiver));
            push(
                local_id,
                Stats::OutboundRtp(OutboundRtpStats {
                    ssrc,
                    kind,
                    transport_id,
                    codec_id,
                    mid: outgoing.mid.clone(),
                    rid: outgoing.rid.clone(),
                    remote_id,
                    rtx_ssrc: config.rtx.map(|(ssrc, _)| ssrc.0),
                    packets_sent: stats.packets_sent,
                    bytes_sent: stats.bytes_sent,
                    header_bytes_sent: stats.header_bytes_sent,
                    retransmitted_packets_sent: stats.retransmitted_packets_sent,
                    retransmitted_bytes_sent: stats.retransmitted_bytes_sent,
                    total_packet_send_delay: stats.total_packet_send_delay.as_secs_f64(),
                    frames_sent: video.then_some(stats.frames_sent),
                    key_frames_encoded: video.then_some(if measured {
                        encoder.keyframes
                    } else {
                        stats.key_frames_sent
                    }),
                    nack_count: stats.nack_count,
                    pli_count: video.then_some(stats.pli_count),
                    fir_count: video.then_some(stats.fir_count),
                    active,
                    encoding_index,
                    media_source_id,
                    target_bitrate: encoder.target.map(|bps| bps as f64),
                    frames_encoded: video.then_some(if measured {
                        encoder.frames
                    } else {
                        stats.frames_sent
                    }),
                    frame_width: measured.then_some(encoder.width),
                    frame_height: measured.then_some(encoder.height),
                    frames_per_second: encoder.rate.per_second(now),
                    total_encode_time: measured.then_some(encoder.time.as_secs_f64()),
                    total_encoded_bytes_target: measured.then_some(encoder.target_bytes as u64),
                    quality_limitation_reason: measured.then_some(if encoder.limited {
                        "bandwidth"
                    } else {
                        "none"
                    }),
                    quality_limitation_durations: measured.then_some(QualityLimitationDurations {
                        bandwidth: limited.as_secs_f64(),
                    }),
                    quality_limitation_resolution_changes: measured
                        .then_some(encoder.resolution_changes),
                }),
            );
        }
        for incoming in self.media.incoming() {
            let stats = incoming.stream.stats();
            let config = incoming.stream.config();
            let video = config
                .payload_types
                .first()
                .is_some_and(|known| known.format.is_video());
            let kind = if video {
                media::MediaKind::Video
            } else {
                media::MediaKind::Audio
            };
            let ssrc = config.ssrc.0;
            let local_id = format!("I{ssrc}");
            let codec = config
                .payload_types
                .first()
                .map(|known| codec_id("I", incoming.transport, known.number));
            let transport_id = transport_id(incoming.transport);
            let remote_id = stats.remote.map(|_| format!("RO{ssrc}"));
            if let (Some(remote), Some(remote_id)) = (stats.remote, &remote_id) {
                push(
                    remote_id.clone(),
                    Stats::RemoteOutboundRtp(RemoteOutboundRtpStats {
                        ssrc,
                        kind,
                        transport_id: transport_id.clone(),
                        codec_id: codec.clone(),
                        local_id: local_id.clone(),
                        packets_sent: remote.packets_sent,
                        bytes_sent: remote.bytes_sent,
                        remote_timestamp: milliseconds(remote.ntp.to_unix()),
                        reports_sent: remote.reports,
                    }),
                );
            }
            let decoder = incoming.decoder;
            let track = self
                .jsep
                .transceiver(incoming.transceiver)
                .map(|transceiver| transceiver.receiver.track.clone());
            push(
                local_id,
                Stats::InboundRtp(InboundRtpStats {
                    ssrc,
                    kind,
                    transport_id,
                    codec_id: codec,
                    mid: incoming.mid.clone(),
                    track_identifier: track.unwrap_or_default(),
                    remote_id,
                    packets_received: stats.packets_received,
                    packets_lost: stats.packets_lost,
                    jitter: stats.jitter.as_secs_f64(),
                    bytes_received: stats.bytes_received,
                    header_bytes_received: stats.header_bytes_received,
                    packets_discarded: stats.packets_discarded,
                    retransmitted_packets_received: stats.retransmitted_packets_received,
                    retransmitted_bytes_received: stats.retransmitted_bytes_received,
                    last_packet_received_timestamp: stats.last_packet_received.map(|at| {
                        milliseconds(unix.saturating_sub(now.saturating_duration_since(at)))
                    }),
                    jitter_buffer_delay: stats.jitter_buffer_delay.as_secs_f64(),
                    jitter_buffer_target_delay: stats.jitter_buffer_target_delay.as_secs_f64(),
                    jitter_buffer_emitted_count: stats.jitter_buffer_emitted_count,
                    frames_received: video.then_some(stats.frames_received),
                    frames_dropped: video.then_some(stats.frames_dropped + decoder.dropped),
                    key_frames_received: video.then_some(stats.key_frames_received),
                    nack_count: stats.nack_count,
                    pli_count: video.then_some(stats.pli_count),
                    fir_count: video.then_some(stats.fir_count),
                    frames_decoded: video.then_some(decoder.frames),
                    key_frames_decoded: video.then_some(decoder.keyframes),
                    frame_width: (decoder.width > 0).then_some(decoder.width),
                    frame_height: (decoder.height > 0).then_some(decoder.height),
                    frames_per_second: decoder.rate.per_second(now),
                    total_decode_time: video.then_some(decoder.time.as_secs_f64()),
                    frames_rendered: video.then_some(decoder.frames),
                    total_inter_frame_delay: video.then_some(decoder.smoothness.total),
                    total_squared_inter_frame_delay: video
                        .then_some(decoder.smoothness.total_squared),
                    freeze_count: video.then_some(decoder.smoothness.freezes),
                    total_freezes_duration: video.then_some(decoder.smoothness.frozen),
                    pause_count: video.then_some(decoder.smoothness.pauses),
                    total_pauses_duration: video.then_some(decoder.smoothness.paused),
                    total_samples_received: (!video).then_some(decoder.samples),
                    concealed_samples: (!video).then_some(decoder.concealed_samples),
                    concealment_events: (!video).then_some(decoder.concealment_events),
                    audio_level: (!video).then_some(decoder.level),
                    total_audio_energy: (!video).then_some(decoder.energy),
                    total_samples_duration: (!video)
                        .then_some(decoder.samples_duration.as_secs_f64()),
                    rtx_ssrc: config.rtx.map(|ssrc| ssrc.0),
                }),
            );
        }
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

    fn channel_stats(&self, push: &mut impl FnMut(String, Stats)) {
        for (id, counts) in self.data.channels() {
            let Some(config) = self.channel_config(id) else {
                continue;
            };
            push(
                format!("D{}", id.get()),
                Stats::DataChannel(DataChannelStats {
                    label: config.label.clone(),
                    protocol: config.protocol.clone(),
                    data_channel_identifier: self.channel_stream_id(id),
                    state: DataChannelState::from(self.channel_state(id)),
                    messages_sent: counts.messages_sent,
                    bytes_sent: counts.bytes_sent,
                    messages_received: counts.messages_received,
                    bytes_received: counts.bytes_received,
                }),
            );
        }
    }
}

impl From<super::ChannelState> for DataChannelState {
    fn from(state: super::ChannelState) -> Self {
        match state {
            super::ChannelState::Connecting => DataChannelState::Connecting,
            super::ChannelState::Open => DataChannelState::Open,
            super::ChannelState::Closing => DataChannelState::Closing,
            super::ChannelState::Closed => DataChannelState::Closed,
        }
    }
}

fn transport_id(number: usize) -> String {
    format!("T{number}")
}

fn codec_id(direction: &str, transport: usize, payload_type: u8) -> String {
    format!("C{direction}T{transport}_{payload_type}")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn ice_state(state: ice::State) -> IceConnectionState {
    match state {
        ice::State::New => IceConnectionState::New,
        ice::State::Checking => IceConnectionState::Checking,
        ice::State::Connected => IceConnectionState::Connected,
        ice::State::Completed => IceConnectionState::Completed,
        ice::State::Disconnected => IceConnectionState::Disconnected,
        ice::State::Failed => IceConnectionState::Failed,
        ice::State::Closed => IceConnectionState::Closed,
    }
}

fn source_id(id: TransceiverId) -> String {
    format!("S{}", id.0)
}

fn candidate_id(prefix: &str, transport: usize, candidate: &ice::Candidate) -> String {
    let (address, port) = (&candidate.address, candidate.port);
    let (protocol, kind) = (candidate.protocol, candidate.typ);
    format!("{prefix}{transport}_{protocol}_{address}_{port}_{kind}")
}

fn candidate(candidate: &ice::Candidate, transport_id: &str) -> IceCandidateStats {
    IceCandidateStats {
        transport_id: transport_id.to_owned(),
        address: candidate.address.to_string(),
        port: candidate.port,
        protocol: candidate.protocol.to_string(),
        candidate_type: candidate.typ.to_string(),
        priority: candidate.priority.0,
        foundation: candidate.foundation.to_string(),
        url: candidate.url.as_ref().map(ToString::to_string),
        relay_protocol: candidate
            .relay_protocol
            .map(|protocol| protocol.to_string()),
        related_address: candidate
            .related
            .as_ref()
            .map(|related| related.address.to_string()),
        related_port: candidate.related.as_ref().map(|related| related.port),
        username_fragment: candidate.ufrag.as_ref().map(ToString::to_string),
        tcp_type: candidate
            .tcp_type
            .map(|tcp_type| tcp_type.as_str().to_owned()),
    }
}

fn certificate(der: &[u8], fingerprint: dtls::Fingerprint) -> Stats {
    let text = fingerprint.to_string();
    let (algorithm, digits) = text.split_once(' ').unwrap_or(("", &text));
    Stats::Certificate(CertificateStats {
        fingerprint: digits.to_owned(),
        fingerprint_algorithm: algorithm.to_owned(),
        base64_certificate: crate::base64::encode(der),
    })
}
