//! `RTCStatsReport` and its dictionaries (W3C Statistics), as typed structs and as the browser's JSON.
//!
//! Counters start with their objects and never fall; nothing is collected until a report is asked for.

mod dictionaries;

pub use dictionaries::*;

use crate::rtp_parameters::MediaKind;
use media::MediaStreamTrack;
use serde::{Serialize, Serializer};

/// `RTCStatsReport`: what is known about a connection at one moment.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct StatsReport {
    #[serde(serialize_with = "as_map")]
    entries: Vec<StatsEntry>,
}

/// One dictionary of a report, under its id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatsEntry {
    /// Stays the same in every report of the connection.
    pub id: String,
    /// Milliseconds since the Unix epoch.
    pub timestamp: f64,
    /// The dictionary.
    #[serde(flatten)]
    pub stats: Stats,
}

/// The dictionaries, by their `type`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stats {
    /// `RTCCodecStats`.
    Codec(CodecStats),
    /// `RTCInboundRtpStreamStats`.
    InboundRtp(Box<InboundRtpStats>),
    /// `RTCOutboundRtpStreamStats`.
    OutboundRtp(Box<OutboundRtpStats>),
    /// `RTCRemoteInboundRtpStreamStats`: what the peer reports of a stream sent here.
    RemoteInboundRtp(RemoteInboundRtpStats),
    /// `RTCRemoteOutboundRtpStreamStats`: what the peer reports of a stream received here.
    RemoteOutboundRtp(RemoteOutboundRtpStats),
    /// `RTCAudioSourceStats` or `RTCVideoSourceStats`: a track that is sent.
    MediaSource(MediaSourceStats),
    /// `RTCAudioPlayoutStats`: a speaker that plays what is received.
    MediaPlayout(AudioPlayoutStats),
    /// `RTCPeerConnectionStats`.
    PeerConnection(PeerConnectionStats),
    /// `RTCDataChannelStats`.
    DataChannel(DataChannelStats),
    /// `RTCTransportStats`.
    Transport(TransportStats),
    /// `RTCIceCandidatePairStats`.
    CandidatePair(CandidatePairStats),
    /// `RTCIceCandidateStats` of this side.
    LocalCandidate(IceCandidateStats),
    /// `RTCIceCandidateStats` of the peer.
    RemoteCandidate(IceCandidateStats),
    /// `RTCCertificateStats`.
    Certificate(CertificateStats),
}

impl Stats {
    /// The dictionaries that this one names.
    fn references(&self) -> Vec<&str> {
        let (named, maybe): (Vec<&String>, Vec<&Option<String>>) = match self {
            Stats::Codec(stats) => (vec![&stats.transport_id], vec![]),
            Stats::InboundRtp(stats) => (
                vec![&stats.transport_id],
                vec![&stats.codec_id, &stats.remote_id, &stats.playout_id],
            ),
            Stats::OutboundRtp(stats) => (
                vec![&stats.transport_id],
                vec![&stats.codec_id, &stats.remote_id, &stats.media_source_id],
            ),
            Stats::RemoteInboundRtp(stats) => (
                vec![&stats.transport_id, &stats.local_id],
                vec![&stats.codec_id],
            ),
            Stats::RemoteOutboundRtp(stats) => (
                vec![&stats.transport_id, &stats.local_id],
                vec![&stats.codec_id],
            ),
            Stats::Transport(stats) => (
                vec![&stats.local_certificate_id],
                vec![
                    &stats.selected_candidate_pair_id,
                    &stats.remote_certificate_id,
                ],
            ),
            Stats::CandidatePair(stats) => (
                vec![
                    &stats.transport_id,
                    &stats.local_candidate_id,
                    &stats.remote_candidate_id,
                ],
                vec![],
            ),
            Stats::LocalCandidate(stats) | Stats::RemoteCandidate(stats) => {
                (vec![&stats.transport_id], vec![])
            }
            Stats::MediaSource(_)
            | Stats::MediaPlayout(_)
            | Stats::PeerConnection(_)
            | Stats::DataChannel(_)
            | Stats::Certificate(_) => return Vec::new(),
        };
        let maybe = maybe.into_iter().flatten();
        named.into_iter().chain(maybe).map(String::as_str).collect()
    }
}

fn as_map<S: Serializer>(entries: &[StatsEntry], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|entry| (&entry.id, entry)))
}

impl StatsReport {
    pub(crate) fn push(&mut self, timestamp: f64, id: String, stats: Stats) {
        self.entries.push(StatsEntry {
            id,
            timestamp,
            stats,
        });
    }

    /// Adds what the speakers tell that play received tracks.
    pub(crate) fn add_playout(&mut self, track: &MediaStreamTrack) {
        let (Some(path), Some(first)) = (track.playout().path(), self.entries.first()) else {
            return;
        };
        let timestamp = first.timestamp;
        let id = format!("AP{}", path.id());
        let mut played = false;
        for entry in &mut self.entries {
            if let Stats::InboundRtp(stream) = &mut entry.stats
                && stream.track_identifier == track.id()
            {
                stream.playout_id = Some(id.clone());
                stream.inserted_samples_for_deceleration = Some(track.playout().inserted());
                stream.removed_samples_for_acceleration = Some(track.playout().removed());
                played = true;
            }
        }
        if !played || self.get(&id).is_some() {
            return;
        }
        let totals = path.totals();
        let stats = AudioPlayoutStats {
            kind: MediaKind::Audio,
            synthesized_samples_duration: totals.synthesized.as_secs_f64(),
            synthesized_samples_events: totals.synthesized_events,
            total_samples_duration: totals.played.as_secs_f64(),
            total_playout_delay: totals.delay,
            total_samples_count: totals.samples,
        };
        self.push(timestamp, id, Stats::MediaPlayout(stats));
    }

    /// "The stats selection algorithm" (W3C WebRTC §8.5) for a sender: its streams and all that they refer to.
    pub(crate) fn of_sender(self, ssrcs: &[u32]) -> Self {
        self.select(
            |stats| matches!(stats, Stats::OutboundRtp(stream) if ssrcs.contains(&stream.ssrc)),
        )
    }

    /// The same for a receiver.
    pub(crate) fn of_receiver(self, ssrcs: &[u32]) -> Self {
        self.select(
            |stats| matches!(stats, Stats::InboundRtp(stream) if ssrcs.contains(&stream.ssrc)),
        )
    }

    fn select(mut self, first: impl Fn(&Stats) -> bool) -> Self {
        let mut chosen: Vec<bool> = self
            .entries
            .iter()
            .map(|entry| first(&entry.stats))
            .collect();
        let mut waiting: Vec<usize> = (0..chosen.len()).filter(|index| chosen[*index]).collect();
        while let Some(index) = waiting.pop() {
            for id in self.entries[index].stats.references() {
                let found = self.entries.iter().position(|entry| entry.id == id);
                if let Some(found) = found.filter(|found| !chosen[*found]) {
                    chosen[found] = true;
                    waiting.push(found);
                }
            }
        }
        let mut chosen = chosen.into_iter();
        self.entries.retain(|_| chosen.next().unwrap_or(false));
        self
    }

    /// All dictionaries.
    pub fn iter(&self) -> impl Iterator<Item = &StatsEntry> {
        self.entries.iter()
    }

    /// The dictionary of this id.
    pub fn get(&self, id: &str) -> Option<&StatsEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The report as a browser would print it: an object of the dictionaries by their ids.
    pub fn to_json(&self) -> serde_json::Value {
        // Numbers, strings and maps with string keys always can be JSON.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The streams that are received.
    pub fn inbound(&self) -> impl Iterator<Item = &InboundRtpStats> {
        self.entries.iter().filter_map(|entry| match &entry.stats {
            Stats::InboundRtp(stats) => Some(&**stats),
            _ => None,
        })
    }

    /// The streams that are sent.
    pub fn outbound(&self) -> impl Iterator<Item = &OutboundRtpStats> {
        self.entries.iter().filter_map(|entry| match &entry.stats {
            Stats::OutboundRtp(stats) => Some(&**stats),
            _ => None,
        })
    }
}
