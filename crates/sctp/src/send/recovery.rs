//! Finding losses: by time (RACK, RFC 8985 §6), with a probe at the tail (TLP, §7), and by T3-rtx (RFC 9260 §6.3).

use std::time::Duration;

use super::Sender;
use super::congestion::Cause;
use super::sack::Newly;
use super::window::Sent;
use crate::serial::Tsn;
use crate::time::Time;

/// Chunks acknowledged above a hole before it counts as a loss while no reordering was seen (RFC 9260 §7.2.4).
const DUPLICATE_THRESHOLD: u32 = 3;
/// Round trips without reordering before the window for it closes again (RFC 8985 §6.2 step 4: 16 recoveries).
const REORDER_PERSISTENCE: u8 = 16;

/// What is known about losses.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// Recovery ends when this is acknowledged.
    exit: Option<Tsn>,
    /// Sending time and TSN of the most recently sent chunk that arrived.
    rack_sent: u64,
    rack_tsn: Tsn,
    rack_round_trip: Duration,
    /// Highest TSN acknowledged.
    highest: Tsn,
    reordering_seen: bool,
    reorder_multiplier: u32,
    reorder_persist: u8,
    /// The last SACK had gap blocks.
    pub(super) had_gaps: bool,
    /// The next round trip is measured on a chunk from here on.
    measure_from: Tsn,
    pub(super) probe_due: bool,
    pub(super) probe_retransmitted: bool,
    probe_end: Option<Tsn>,
    /// The first retransmission of a recovery ignores the window.
    pub(super) retransmit_now: bool,
    pub(crate) t3: Time,
    pub(crate) probe_timer: Time,
    pub(crate) reorder_timer: Time,
}

impl Recovery {
    pub(super) fn new(first: Tsn) -> Self {
        Self {
            exit: None,
            rack_sent: 0,
            rack_tsn: first.minus(1),
            rack_round_trip: Duration::ZERO,
            highest: first.minus(1),
            reordering_seen: false,
            reorder_multiplier: 1,
            reorder_persist: REORDER_PERSISTENCE,
            had_gaps: false,
            measure_from: first,
            probe_due: false,
            probe_retransmitted: false,
            probe_end: None,
            retransmit_now: false,
            t3: Time::NEVER,
            probe_timer: Time::NEVER,
            reorder_timer: Time::NEVER,
        }
    }

    pub(super) fn in_recovery(&self) -> bool {
        self.exit.is_some()
    }

    pub(crate) fn next_timeout(&self) -> Time {
        self.t3.min(self.probe_timer).min(self.reorder_timer)
    }
}

impl Sender {
    /// RFC 8985 §6.2 steps 1 to 3 for one chunk.
    #[inline]
    pub(super) fn rack_note(&mut self, now: Time, tsn: Tsn, chunk: &Sent, newly: &mut Newly) {
        let round_trip = Duration::from_nanos(now.0.saturating_sub(chunk.sent_at));
        let recovery = &mut self.recovery;
        if chunk.transmissions > 1 {
            // The acknowledgement may be for an earlier transmission.
            if round_trip < self.round_trip.minimum() {
                return;
            }
        } else {
            newly.sample = Some(round_trip);
            if tsn.before(recovery.highest) {
                newly.reordered = true;
            }
        }
        if tsn.after(recovery.highest) {
            recovery.highest = tsn;
        }
        if (chunk.sent_at, 0) > (recovery.rack_sent, 0)
            || (chunk.sent_at == recovery.rack_sent && tsn.after(recovery.rack_tsn))
        {
            recovery.rack_sent = chunk.sent_at;
            recovery.rack_tsn = tsn;
            recovery.rack_round_trip = round_trip;
        }
    }

    /// What follows from a SACK for recovery and the timers.
    pub(super) fn recovery_after_sack(
        &mut self,
        now: Time,
        cumulative: Tsn,
        advanced: bool,
        newly: &Newly,
    ) {
        if let Some(sample) = newly.sample {
            // One measurement a round trip (RFC 9260 §6.3.1 C4); all count for the minimum.
            if self.recovery.highest.before(self.recovery.measure_from) {
                self.round_trip.observe(sample);
            } else {
                self.round_trip.measure(sample);
                self.recovery.measure_from = self.window.next();
            }
            self.congestion
                .on_round_trip(&self.round_trip, cumulative, self.window.next());
        }
        if newly.reordered {
            self.recovery.reordering_seen = true;
        }
        if let Some(exit) = self.recovery.exit
            && !cumulative.before(exit)
        {
            self.recovery.exit = None;
            let persist = self.recovery.reorder_persist.saturating_sub(1);
            self.recovery.reorder_persist = persist;
            if persist == 0 {
                self.recovery.reorder_multiplier = 1;
            }
        }
        self.end_probe(cumulative);
        if newly.count > 0 {
            self.detect_losses(now);
        }
        if self.window.is_empty() {
            self.recovery.t3 = Time::NEVER;
            self.recovery.probe_timer = Time::NEVER;
            self.recovery.reorder_timer = Time::NEVER;
        } else if advanced || newly.count > 0 {
            // R3 of §6.3.2; a gap acknowledgement shows a living path just as well.
            self.recovery.t3 = now.plus(self.round_trip.rto());
            self.arm_probe(now);
        }
    }

    /// RFC 8985 §6.2 step 5: marks what was sent long enough before something that arrived.
    pub(super) fn detect_losses(&mut self, now: Time) {
        let window = self.reordering_window();
        let limit = self.recovery.rack_round_trip + window;
        let mut found = false;
        let mut wait = Time::NEVER;
        let mut at = self.window.oldest();
        while let Some(tsn) = at {
            let chunk = self.window.get(tsn);
            let sent_before = chunk.sent_at < self.recovery.rack_sent
                || (chunk.sent_at == self.recovery.rack_sent && tsn.before(self.recovery.rack_tsn));
            if !sent_before {
                break;
            }
            let due = Time(chunk.sent_at).plus(limit);
            if due > now {
                wait = due;
                break;
            }
            found = true;
            // With a message given up more than this chunk leaves flight.
            self.lose(now, tsn);
            at = self.window.oldest();
        }
        self.recovery.reorder_timer = wait;
        if found {
            self.enter_recovery();
        }
    }

    /// RFC 8985 §6.2 step 4.
    fn reordering_window(&self) -> Duration {
        let recovery = &self.recovery;
        if !recovery.reordering_seen
            && (recovery.in_recovery() || self.window.acked_count() >= DUPLICATE_THRESHOLD)
        {
            return Duration::ZERO;
        }
        let smoothed = self.round_trip.smoothed().unwrap_or_default();
        (self.round_trip.minimum() / 4 * recovery.reorder_multiplier).min(smoothed)
    }

    /// A chunk is lost: to be sent again, or given up.
    fn lose(&mut self, now: Time, tsn: Tsn) {
        let chunk = *self.window.get(tsn);
        let message = self.messages.get(chunk.message);
        let spent = u32::from(chunk.transmissions).saturating_sub(1) >= message.max_retransmits
            || message.expires <= now;
        self.window.mark_lost(tsn);
        if spent && self.partial_reliability_in_use() {
            self.abandon(chunk.message);
        }
    }

    fn enter_recovery(&mut self) {
        if self.recovery.exit.is_none() {
            self.recovery.exit = Some(self.window.next().minus(1));
            self.recovery.retransmit_now = true;
            self.counters.fast_recoveries += 1;
            let cause = self.cause_of_loss();
            self.congestion.on_loss(cause);
        } else if self.cause_of_loss() == Cause::Congestion {
            self.congestion.on_worse_loss();
        }
    }

    /// Whether a queue was there for the lost chunks to overflow. So many losses at once are never taken for accidents.
    fn cause_of_loss(&self) -> Cause {
        let (lost, in_flight) = (self.window.lost_count(), self.window.in_flight());
        if self.round_trip.queue_stands() || lost > (in_flight / 8).max(3) {
            Cause::Congestion
        } else {
            Cause::Accident
        }
    }

    /// A retransmission was not needed: wait longer for reordered chunks (RFC 8985 §6.2 step 4, DSACK).
    pub(super) fn recovery_note_duplicate(&mut self, _tsn: Tsn) {
        let recovery = &mut self.recovery;
        if recovery.probe_retransmitted {
            // The probe's original arrived as well: nothing was lost.
            recovery.probe_retransmitted = false;
            return;
        }
        recovery.reordering_seen = true;
        recovery.reorder_multiplier = (recovery.reorder_multiplier + 1).min(4);
        recovery.reorder_persist = REORDER_PERSISTENCE;
    }

    /// RFC 8985 §7.4: what the probe's acknowledgement tells.
    fn end_probe(&mut self, cumulative: Tsn) {
        let Some(end) = self.recovery.probe_end else {
            return;
        };
        if cumulative.before(end) {
            return;
        }
        self.recovery.probe_end = None;
        if std::mem::take(&mut self.recovery.probe_retransmitted) && self.recovery.exit.is_none() {
            // The probe repaired a loss that no SACK ever showed.
            let cause = self.cause_of_loss();
            self.congestion.on_loss(cause);
        }
    }

    /// Timers after a packet with data left.
    pub(super) fn arm_after_sending(&mut self, now: Time, probe: bool) {
        if !self.recovery.t3.is_set() || probe {
            self.recovery.t3 = now.plus(self.round_trip.rto());
        }
        if probe {
            self.recovery.probe_end = Some(self.window.next().minus(1));
            self.recovery.probe_timer = Time::NEVER;
        } else {
            self.arm_probe(now);
        }
    }

    /// RFC 8985 §7.2: what a round trip may take at most, and the peer's delay where it may wait for a second packet.
    fn arm_probe(&mut self, now: Time) {
        self.recovery.probe_timer = Time::NEVER;
        let Some(smoothed) = self.round_trip.smoothed() else {
            return;
        };
        if !self.tail_probes
            || self.recovery.in_recovery()
            || self.recovery.probe_end.is_some()
            || self.window.lost_count() > 0
            || self.window.in_flight() == 0
            || self.peer_window == 0
        {
            return;
        }
        let mut wait = self.round_trip.probe_wait(smoothed);
        if self.window.in_flight() == 1 {
            wait += self.delayed_ack;
        }
        let at = now.plus(wait.max(Duration::from_millis(1)));
        if at < self.recovery.t3 {
            self.recovery.probe_timer = at;
        }
    }

    /// Runs what is due. Returns whether T3-rtx expired, which counts against the peer.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> bool {
        if self.recovery.reorder_timer <= now {
            self.recovery.reorder_timer = Time::NEVER;
            self.detect_losses(now);
        }
        if self.recovery.t3 <= now {
            self.recovery.probe_timer = Time::NEVER;
            self.on_t3(now);
            return true;
        }
        if self.recovery.probe_timer <= now {
            self.recovery.probe_timer = Time::NEVER;
            if self.window.in_flight() > 0 {
                self.recovery.probe_due = true;
                self.counters.tail_probes += 1;
            }
        }
        false
    }

    /// RFC 9260 §6.3.3.
    fn on_t3(&mut self, now: Time) {
        self.counters.timeouts += 1;
        // §6.1 A: the probe of a closed window says nothing about congestion.
        let probing = self.advertised == 0;
        if !probing {
            self.congestion.on_timeout();
        }
        self.round_trip.back_off();
        while let Some(tsn) = self.window.oldest() {
            self.lose(now, tsn);
        }
        self.recovery.exit = None;
        self.recovery.probe_end = None;
        self.recovery.probe_retransmitted = false;
        self.recovery.retransmit_now = true;
        self.recovery.reorder_timer = Time::NEVER;
        self.forward_after_timeout();
        self.recovery.t3 = if self.window.is_empty() {
            Time::NEVER
        } else {
            now.plus(self.round_trip.rto())
        };
        self.adjust_pacing();
    }
}
