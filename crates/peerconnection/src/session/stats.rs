//! Statistics of a session, collected when asked for (W3C Statistics). Until then there are plain counters, each with the object it counts.

mod streams;
mod transports;

use super::Session;
use crate::states::DataChannelState;
use crate::stats::{DataChannelStats, PeerConnectionStats, Stats, StatsReport};
use std::time::{Duration, Instant};

/// A report that is being written.
struct Collected {
    report: StatsReport,
    now: Instant,
    /// `now`, since the Unix epoch.
    unix: Duration,
    /// The codecs that are in it.
    codecs: Vec<String>,
}

impl Collected {
    fn push(&mut self, id: String, stats: Stats) {
        self.report.push(milliseconds(self.unix), id, stats);
    }

    /// Of what was told by the peer, "the timestamp reported in the statistics object is the time at which the corresponding RTCP
    /// was received" (W3C Statistics, `RTCRemoteInboundRtpStreamStats`).
    fn push_at(&mut self, at: Instant, id: String, stats: Stats) {
        self.report.push(self.at(at), id, stats);
    }

    /// Milliseconds since the Unix epoch.
    fn at(&self, at: Instant) -> f64 {
        milliseconds(
            self.unix
                .saturating_sub(self.now.saturating_duration_since(at)),
        )
    }
}

impl Session {
    /// `getStats` over the whole connection.
    pub fn stats(&self, now: Instant) -> StatsReport {
        let mut collected = Collected {
            report: StatsReport::default(),
            now,
            unix: self.unix_time(now),
            codecs: Vec::new(),
        };
        collected.push(
            "PC".into(),
            Stats::PeerConnection(PeerConnectionStats {
                data_channels_opened: self.data.opened,
                data_channels_closed: self.data.closed,
            }),
        );
        collected.push(
            "CL".into(),
            transports::certificate(
                self.certificate.der(),
                self.certificate.fingerprint(dtls::HashAlgorithm::Sha256),
            ),
        );
        for transport in self.described_transports() {
            self.transport_stats(&mut collected, transport);
        }
        self.source_stats(&mut collected);
        self.stream_stats(&mut collected);
        self.channel_stats(&mut collected);
        collected.report
    }

    fn channel_stats(&self, collected: &mut Collected) {
        for (id, counts) in self.data.channels() {
            let Some(config) = self.channel_config(id) else {
                continue;
            };
            collected.push(
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

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
