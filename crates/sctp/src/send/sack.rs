//! What an acknowledgement changes (RFC 9260 §6.2.1).
//!
//! Work is proportional to what is newly acknowledged: gap blocks are compared with what is known 64 TSNs a step.

use std::time::Duration;

use super::Sender;
use super::window::Sent;
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::sack::Sack;

/// What a SACK did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SackResult {
    /// It acknowledged something new, or opened the window.
    Progress,
    /// Nothing new.
    Nothing,
    /// Older than one seen before.
    Stale,
    /// It acknowledges what was never sent.
    Impossible,
}

/// Sums over the newly acknowledged chunks.
#[derive(Debug, Default)]
pub(super) struct Newly {
    pub(super) bytes: usize,
    pub(super) count: u32,
    /// A chunk sent once and acknowledged now: its round trip is no guess (Karn).
    pub(super) sample: Option<Duration>,
    pub(super) reordered: bool,
}

impl Sender {
    /// Takes in a SACK.
    pub(crate) fn handle_sack(&mut self, now: Time, sack: &Sack<'_>) -> SackResult {
        let base = self.window.base();
        let next = self.window.next();
        if sack.cumulative.before(base.minus(1)) {
            return SackResult::Stale;
        }
        if !sack.cumulative.before(next) {
            return SackResult::Impossible;
        }
        let mut newly = Newly::default();

        let advanced = sack.cumulative.since(base.minus(1));
        for _ in 0..advanced {
            let tsn = self.window.base();
            self.note_acked(now, tsn, &mut newly);
            let chunk: Sent = self.window.pop();
            self.release(chunk.message);
        }
        self.take_gaps(now, sack, &mut newly);
        self.take_duplicates(sack);

        self.update_peer_window(sack.window, newly.count > 0 || advanced > 0);
        self.recovery_after_sack(now, sack.cumulative, advanced > 0, &newly);
        if newly.bytes > 0 && !self.recovery.in_recovery() {
            let round_trip = self.round_trip.smoothed().unwrap_or_default();
            self.congestion.on_ack(now, newly.bytes, round_trip);
        }
        if self.window.is_empty() {
            self.congestion.on_all_acked();
        }
        self.adjust_pacing();
        self.advance_peer_ack_point(now, sack.cumulative);
        if advanced > 0 || newly.count > 0 {
            SackResult::Progress
        } else {
            SackResult::Nothing
        }
    }

    /// The cumulative TSN of a SHUTDOWN acknowledges like one of a SACK without gaps.
    pub(crate) fn handle_cumulative(&mut self, now: Time, cumulative: Tsn) {
        let mut value = [0; 12];
        value[..4].copy_from_slice(&cumulative.0.to_be_bytes());
        value[4..8].copy_from_slice(&self.advertised.to_be_bytes());
        if let Ok(sack) = Sack::parse(&value) {
            self.handle_sack(now, &sack);
        }
    }

    fn take_gaps(&mut self, now: Time, sack: &Sack<'_>, newly: &mut Newly) {
        if !sack.has_gaps() && !self.recovery.had_gaps {
            return;
        }
        self.recovery.had_gaps = sack.has_gaps();
        let next = self.window.next();
        let mut reported_to = sack.cumulative.next();
        for (first, last) in sack.gaps() {
            let from = sack.cumulative.plus(u32::from(first));
            let end = sack.cumulative.plus(u32::from(last)).next();
            // Blocks out of order, empty or beyond what was sent say nothing.
            if from.before(reported_to) || !from.before(end) || end.after(next) {
                continue;
            }
            // What lies between the blocks and was acknowledged before was taken back.
            let mut at = reported_to;
            while let Some(tsn) = self.window.next_acked(at, from) {
                self.window.renege(tsn);
                at = tsn.next();
            }
            let mut at = from;
            while let Some(tsn) = self.window.next_unacked(at, end) {
                self.note_acked(now, tsn, newly);
                at = tsn.next();
            }
            reported_to = end;
        }
    }

    #[inline]
    fn note_acked(&mut self, now: Time, tsn: Tsn, newly: &mut Newly) {
        let Some((size, chunk)) = self.window.acknowledge(tsn) else {
            return;
        };
        newly.bytes += size;
        newly.count += 1;
        self.rack_note(now, tsn, &chunk, newly);
    }

    /// Duplicates tell that a retransmission was not needed.
    fn take_duplicates(&mut self, sack: &Sack<'_>) {
        for tsn in sack.duplicates() {
            self.counters.spurious += 1;
            self.recovery_note_duplicate(tsn);
        }
    }

    /// RFC 9260 §6.2.1 D ii: what the peer has room for, less what is on the way.
    fn update_peer_window(&mut self, advertised: u32, progress: bool) {
        let was_closed = self.advertised == 0 || (self.advertised as usize) < self.packet_size;
        let opened = was_closed && advertised > self.advertised;
        self.advertised = advertised;
        if opened && !progress && self.window.in_flight() > 0 {
            // The probe of the closed window was dropped; it need not wait for its timer.
            while let Some(tsn) = self.window.oldest() {
                self.window.mark_lost(tsn);
            }
            self.recovery.retransmit_now = true;
        }
        self.peer_window = (advertised as usize).saturating_sub(self.window.flight_payload());
    }
}
