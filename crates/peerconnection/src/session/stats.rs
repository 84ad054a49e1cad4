//! Statistics of a session, collected when asked for (W3C Statistics).

use super::transport::Transport;
use super::{Session, TransceiverId};
use crate::states::{DataChannelState, IceConnectionState};
use crate::stats::{
    CandidatePairStats, CertificateStats, CodecStats, DataChannelStats, IceCandidateStats,
    InboundRtpStats, OutboundRtpStats, PeerConnectionStats, RemoteInboundRtpStats,
    RemoteOutboundRtpStats, Stats, StatsReport, TransportStats,
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
        for transport in &self.transports {
            self.transport_stats(transport, &mut push);
        }
        self.codec_stats(&mut push);
        self.stream_stats(now, &mut push);
        self.channel_stats(&mut push);
        report
    }

    fn transport_stats(&self, transport: &Transport, push: &mut impl FnMut(String, Stats)) {
        let id = transport_id(transport.number);
        let counters = transport.counters;
        let pair = transport.agent.selected_pair();
        let pair_id = pair.map(|_| format!("CP{}", transport.number));
        if let (Some(pair), Some(pair_id)) = (pair, &pair_id) {
            let local = format!("LC{}", transport.number);
            let remote = format!("RC{}", transport.number);
            push(
                pair_id.clone(),
                Stats::CandidatePair(CandidatePairStats {
                    transport_id: id.clone(),
                    local_candidate_id: local.clone(),
                    remote_candidate_id: remote.clone(),
                    state: "succeeded",
                    nominated: true,
                    packets_sent: counters.packets_sent,
                    packets_received: counters.packets_received,
                    bytes_sent: counters.bytes_sent,
                    bytes_received: counters.bytes_received,
                    current_round_trip_time: None,
                }),
            );
            push(local, Stats::LocalCandidate(candidate(&pair.local, &id)));
            push(remote, Stats::RemoteCandidate(candidate(&pair.remote, &id)));
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
                        packets_lost: remote.packets_lost,
                        jitter: remote.jitter.as_secs_f64(),
                        fraction_lost: remote.fraction_lost,
                        round_trip_time: stats.round_trip_time.map(|time| time.as_secs_f64()),
                        total_round_trip_time: stats.total_round_trip_time.as_secs_f64(),
                        round_trip_time_measurements: stats.round_trip_time_measurements,
                    }),
                );
            }
            let active = self.encoding_is_active(outgoing.transceiver, ssrc);
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
                    key_frames_encoded: video.then_some(stats.key_frames_sent),
                    nack_count: stats.nack_count,
                    pli_count: video.then_some(stats.pli_count),
                    fir_count: video.then_some(stats.fir_count),
                    active,
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
            let transport_id = transport_id(incoming.transport);
            let remote_id = stats.remote.map(|_| format!("RO{ssrc}"));
            if let (Some(remote), Some(remote_id)) = (stats.remote, &remote_id) {
                push(
                    remote_id.clone(),
                    Stats::RemoteOutboundRtp(RemoteOutboundRtpStats {
                        ssrc,
                        kind,
                        transport_id: transport_id.clone(),
                        local_id: local_id.clone(),
                        packets_sent: remote.packets_sent,
                        bytes_sent: remote.bytes_sent,
                        remote_timestamp: milliseconds(remote.ntp.to_unix()),
                        reports_sent: remote.reports,
                    }),
                );
            }
            let track = self
                .jsep
                .transceiver(incoming.transceiver)
                .map(|transceiver| transceiver.receiver.track.clone());
            let codec = config
                .payload_types
                .first()
                .map(|known| codec_id("I", incoming.transport, known.number));
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
                    frames_dropped: video.then_some(stats.frames_dropped),
                    key_frames_received: video.then_some(stats.key_frames_received),
                    nack_count: stats.nack_count,
                    pli_count: video.then_some(stats.pli_count),
                    fir_count: video.then_some(stats.fir_count),
                }),
            );
        }
    }

    fn encoding_is_active(&self, id: TransceiverId, ssrc: u32) -> bool {
        self.jsep.transceiver(id).is_some_and(|transceiver| {
            transceiver
                .sender
                .encodings
                .iter()
                .any(|encoding| encoding.ssrc == ssrc && encoding.parameters.active)
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

fn candidate(candidate: &ice::Candidate, transport_id: &str) -> IceCandidateStats {
    IceCandidateStats {
        transport_id: transport_id.to_owned(),
        address: candidate.address.to_string(),
        port: candidate.port,
        protocol: candidate.protocol.to_string(),
        candidate_type: candidate.typ.to_string(),
        priority: candidate.priority.0,
        foundation: candidate.foundation.to_string(),
    }
}

fn certificate(der: &[u8], fingerprint: dtls::Fingerprint) -> Stats {
    let text = fingerprint.to_string();
    let (algorithm, digits) = text.split_once(' ').unwrap_or(("", &text));
    Stats::Certificate(CertificateStats {
        fingerprint: digits.to_owned(),
        fingerprint_algorithm: algorithm.to_owned(),
        base64_certificate: base64(der),
    })
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads_as_rfc_4648_shows() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
    }
}
