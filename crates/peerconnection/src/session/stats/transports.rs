//! Statistics of transports: candidates, pairs, certificates.

use super::{Collected, transport_id};
use crate::session::Session;
use crate::session::transport::Transport;
use crate::stats::{
    CandidatePairStats, CertificateStats, IceCandidateStats, Stats, TransportStats,
};

impl Session {
    /// A transport with its candidates, pairs and certificates.
    pub(super) fn transport_stats(&self, collected: &mut Collected, transport: &Transport) {
        let id = transport_id(transport.number);
        let counters = transport.counters;
        let number = transport.number;
        let local_id = |candidate: &ice::Candidate| candidate_id("LC", number, candidate);
        let remote_id = |candidate: &ice::Candidate| candidate_id("RC", number, candidate);
        let mut told = std::collections::BTreeSet::new();
        for found in transport.agent.local_candidates() {
            if told.insert(local_id(found)) {
                collected.push(
                    local_id(found),
                    Stats::LocalCandidate(candidate(found, &id)),
                );
            }
        }
        for found in transport.agent.remote_candidates() {
            if told.insert(remote_id(found)) {
                collected.push(
                    remote_id(found),
                    Stats::RemoteCandidate(remote_candidate(found, &id)),
                );
            }
        }
        let selected = transport.agent.selected_pair();
        let pair_id = selected.map(|pair| format!("CP{number}_{}", pair.id));
        for report in transport.agent.report().pairs {
            let pair = &report.pair;
            let own = transport.traffic.local_of(pair);
            let (local, remote) = (local_id(&own), remote_id(&pair.remote));
            // A candidate that only a check has shown is in no list.
            if told.insert(local.clone()) {
                collected.push(local.clone(), Stats::LocalCandidate(candidate(&own, &id)));
            }
            if told.insert(remote.clone()) {
                collected.push(
                    remote.clone(),
                    Stats::RemoteCandidate(remote_candidate(&pair.remote, &id)),
                );
            }
            let traffic = transport.traffic.of_pair(pair.id);
            let (sent, received) = (traffic.sent, traffic.received);
            collected.push(
                format!("CP{number}_{}", pair.id),
                Stats::CandidatePair(CandidatePairStats {
                    transport_id: id.clone(),
                    local_candidate_id: local,
                    remote_candidate_id: remote,
                    state: report.state.as_str(),
                    nominated: pair.nominated,
                    packets_sent: sent.packets,
                    packets_received: received.packets,
                    bytes_sent: sent.bytes,
                    bytes_received: received.bytes,
                    last_packet_sent_timestamp: sent.last.map(|at| collected.at(at)),
                    last_packet_received_timestamp: received.last.map(|at| collected.at(at)),
                    packets_discarded_on_send: traffic.discarded.packets,
                    bytes_discarded_on_send: traffic.discarded.bytes,
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
            let id = format!("CR{number}");
            let fingerprint = dtls::Fingerprint::of(dtls::HashAlgorithm::Sha256, der);
            collected.push(id.clone(), certificate(der, fingerprint));
            id
        });
        let details = transport.details.as_ref();
        collected.push(
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
                ice_state: transport.agent.state().into(),
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
}

fn candidate_id(prefix: &str, transport: usize, candidate: &ice::Candidate) -> String {
    let (address, port) = (&candidate.address, candidate.port);
    let (protocol, kind) = (candidate.protocol, candidate.typ);
    // Another generation's is another candidate, at the same place or not.
    let ufrag = candidate.ufrag.as_deref().unwrap_or_default();
    format!("{prefix}{transport}_{ufrag}_{protocol}_{address}_{port}_{kind}")
}

fn candidate(candidate: &ice::Candidate, transport_id: &str) -> IceCandidateStats {
    IceCandidateStats {
        transport_id: transport_id.to_owned(),
        address: Some(candidate.address.to_string()),
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

/// Of the peer's candidates, nobody is told how this side would reach them, nor the address of one that the application has not
/// given (`address`, `url`, `relayProtocol`).
fn remote_candidate(found: &ice::Candidate, transport_id: &str) -> IceCandidateStats {
    let mut stats = candidate(found, transport_id);
    if found.typ == ice::CandidateType::PeerReflexive {
        stats.address = None;
    }
    (stats.url, stats.relay_protocol) = (None, None);
    stats
}

pub(super) fn certificate(der: &[u8], fingerprint: dtls::Fingerprint) -> Stats {
    let text = fingerprint.to_string();
    let (algorithm, digits) = text.split_once(' ').unwrap_or(("", &text));
    Stats::Certificate(CertificateStats {
        fingerprint: digits.to_owned(),
        fingerprint_algorithm: algorithm.to_owned(),
        base64_certificate: crate::base64::encode(der),
    })
}
