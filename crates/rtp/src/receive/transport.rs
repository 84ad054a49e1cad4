//! The receiving half of transport-wide feedback: records arrivals, writes reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::rtcp;
use crate::types::{SeqNum, SeqUnwrapper, Ssrc};

/// How many arrivals are kept: a packet overtaken by a report is reported again with its neighbours.
const KEPT: usize = 1_000;
/// Packets that one report may span.
const SPAN: u64 = 8_000;
/// The unit of arrival times on the wire.
const TICK_MICROS: u128 = 250;

/// Records when the packets of a transport arrived, and reports it every so often; one for each transport.
#[derive(Debug)]
pub struct TransportFeedback {
    interval: Duration,
    unwrapper: SeqUnwrapper,
    /// Arrivals from `first` on, in ticks since the epoch.
    arrivals: VecDeque<Option<i64>>,
    first: u64,
    /// The first packet not reported yet.
    unreported: u64,
    epoch: Option<Instant>,
    next: Option<Instant>,
    count: u8,
    scratch: Vec<Option<i64>>,
}

impl TransportFeedback {
    /// Reports at most once in `interval`; 50 ms is a good start for a video call.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            unwrapper: SeqUnwrapper::default(),
            arrivals: VecDeque::new(),
            first: 0,
            unreported: 0,
            epoch: None,
            next: None,
            count: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes note of a packet's transport-wide sequence number.
    pub fn handle_packet(&mut self, now: Instant, seq: SeqNum) {
        let epoch = *self.epoch.get_or_insert(now);
        let seq = self.unwrapper.unwrap(seq);
        let ticks = now.saturating_duration_since(epoch).as_micros() / TICK_MICROS;
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        let end = self.first + self.arrivals.len() as u64;
        if self.arrivals.is_empty() || seq >= end + SPAN {
            self.arrivals.clear();
            self.first = seq;
            self.unreported = seq;
        }
        let Some(index) = seq.checked_sub(self.first) else {
            return;
        };
        let index = index as usize;
        while self.arrivals.len() <= index {
            self.arrivals.push_back(None);
        }
        if let Some(place) = self.arrivals.get_mut(index) {
            // The first copy counts.
            if place.is_some() {
                return;
            }
            *place = Some(ticks);
        }
        self.unreported = self.unreported.min(seq);
        self.next.get_or_insert(now + self.interval);
    }

    /// When a report is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Appends one report when due and returns its length; call until `None`.
    pub fn poll(
        &mut self,
        now: Instant,
        sender: Ssrc,
        media: Ssrc,
        buf: &mut Vec<u8>,
    ) -> Option<usize> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        let skip = (self.unreported - self.first) as usize;
        let start = self
            .arrivals
            .iter()
            .skip(skip)
            .position(Option::is_some)
            .map(|ahead| skip + ahead);
        let Some(start) = start else {
            self.next = None;
            return None;
        };
        // Packets missing right before the first that came were lost: they are reported as well.
        let start = start.min(skip);
        self.scratch.clear();
        self.scratch
            .extend(self.arrivals.range(start..).take(SPAN as usize).copied());
        let base = self.first + start as u64;
        let before = buf.len();
        let written = rtcp::Writer::new(buf).transport_feedback(
            sender,
            media,
            self.count,
            SeqNum(base as u16),
            &self.scratch,
        );
        self.count = self.count.wrapping_add(1);
        self.unreported = base + written as u64;
        let end = self.first + self.arrivals.len() as u64;
        if self.unreported >= end {
            self.next = None;
        }
        while self.arrivals.len() > KEPT && self.first < self.unreported {
            self.arrivals.pop_front();
            self.first += 1;
        }
        Some(buf.len() - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "one base for the simulated clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    fn reports(feedback: &mut TransportFeedback, now: Instant) -> Vec<Vec<(u16, Option<i64>)>> {
        let mut buf = Vec::new();
        while feedback.poll(now, Ssrc(1), Ssrc(2), &mut buf).is_some() {}
        rtcp::packets(&buf)
            .map(|packet| match packet.unwrap() {
                rtcp::Packet::TransportFeedback(feedback) => feedback
                    .arrivals()
                    .map(|(seq, arrival)| (seq.0, arrival))
                    .collect(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn arrivals_and_losses_are_reported_once_in_an_interval() {
        let now = start();
        let ms = Duration::from_millis(1);
        let mut feedback = TransportFeedback::new(50 * ms);
        for (seq, at) in [(65_534u16, 0), (65_535, 1), (1, 3)] {
            feedback.handle_packet(now + at * ms, SeqNum(seq));
        }
        assert_eq!(feedback.poll_timeout(), Some(now + 50 * ms));
        assert!(reports(&mut feedback, now + 49 * ms).is_empty());
        assert_eq!(
            reports(&mut feedback, now + 50 * ms),
            [[
                (65_534, Some(0)),
                (65_535, Some(4)),
                (0, None),
                (1, Some(12))
            ]]
        );
        assert_eq!(feedback.poll_timeout(), None);
        // The late one is reported with its neighbours.
        feedback.handle_packet(now + 60 * ms, SeqNum(0));
        assert_eq!(
            reports(&mut feedback, now + 110 * ms),
            [[(0, Some(240)), (1, Some(12))]]
        );
    }

    #[test]
    fn a_long_pause_needs_several_reports() {
        let now = start();
        let mut feedback = TransportFeedback::new(Duration::from_millis(50));
        feedback.handle_packet(now, SeqNum(1));
        feedback.handle_packet(now + Duration::from_secs(60), SeqNum(2));
        let read = reports(&mut feedback, now + Duration::from_secs(61));
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], [(1, Some(0))]);
        assert_eq!(read[1], [(2, Some(240_000))]);
    }
}
