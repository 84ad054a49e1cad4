//! What the receiver reports, and the round trip that follows from it (RFC 3550 §6.4.1).

use std::time::Instant;

use super::config::{Event, RemoteInbound, Stats};
use crate::rtcp::ReportBlock;
use crate::types::{NtpTime, SeqNum, Ssrc, compact_to_duration, ticks_to_duration};

/// How many sender reports are remembered: receivers answer the last few.
const REMEMBERED: usize = 8;

#[derive(Debug)]
pub(super) struct Reports {
    first_seq: SeqNum,
    sent: [Option<(u32, Instant)>; REMEMBERED],
    next: usize,
    seen: bool,
    last_fir: Option<(Ssrc, u8)>,
    keyframe_requested: bool,
    bitrate_limit: Option<u64>,
    reported: bool,
}

impl Reports {
    pub(super) fn new(first_seq: SeqNum) -> Self {
        Self {
            first_seq,
            sent: [None; REMEMBERED],
            next: 0,
            seen: false,
            last_fir: None,
            keyframe_requested: false,
            bitrate_limit: None,
            reported: false,
        }
    }

    /// Whether the receiver has reported on the stream at all.
    pub(super) fn seen(&self) -> bool {
        self.seen
    }

    pub(super) fn request_keyframe(&mut self) {
        self.keyframe_requested = true;
    }

    pub(super) fn limit_bitrate(&mut self, bitrate: u64) {
        self.bitrate_limit = Some(bitrate);
    }

    /// Whether a FIR's number differs from the last: only then is it a new command (RFC 5104 §4.3.1.2).
    pub(super) fn new_fir(&mut self, sender: Ssrc, sequence: u8) -> bool {
        self.last_fir.replace((sender, sequence)) != Some((sender, sequence))
    }

    pub(super) fn sent(&mut self, now: Instant, ntp: NtpTime) {
        if let Some(place) = self.sent.get_mut(self.next % REMEMBERED) {
            *place = Some((ntp.middle(), now));
        }
        self.next = self.next.wrapping_add(1);
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        block: &ReportBlock,
        clock_rate: u32,
        stats: &mut Stats,
    ) {
        self.seen = true;
        self.reported = true;
        let expected = block
            .highest_sequence
            .wrapping_sub(u32::from(self.first_seq.0))
            .wrapping_add(1);
        // A number from before the first is of nothing that was sent here.
        let expected = u64::from(if expected < 1 << 31 { expected } else { 0 });
        let lost = i64::from(block.cumulative_lost);
        // An overtaken report does not turn it back.
        let received = expected.saturating_add_signed(-lost);
        let before = stats.remote.map_or(0, |before| before.packets_received);
        stats.remote = Some(RemoteInbound {
            at: now,
            packets_lost: lost,
            packets_received: received.max(before),
            fraction_lost: f64::from(block.fraction_lost) / 256.0,
            jitter: ticks_to_duration(i64::from(block.jitter), clock_rate),
            reports: stats.remote.map_or(0, |before| before.reports) + 1,
        });
        // A − LSR − DLSR, with the moment of sending looked up instead of computed from the wall clock.
        let sent = self
            .sent
            .iter()
            .flatten()
            .find(|(middle, _)| *middle == block.last_sr && block.last_sr != 0);
        if let Some((_, sent)) = sent {
            let elapsed = now.saturating_duration_since(*sent);
            let rtt = elapsed.saturating_sub(compact_to_duration(block.delay_since_last_sr));
            stats.round_trip_time = Some(rtt);
            stats.total_round_trip_time += rtt;
            stats.round_trip_time_measurements += 1;
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.keyframe_requested) {
            return Some(Event::KeyframeRequested);
        }
        if let Some(bitrate) = self.bitrate_limit.take() {
            return Some(Event::BitrateLimit(bitrate));
        }
        std::mem::take(&mut self.reported).then_some(Event::Reported)
    }
}
