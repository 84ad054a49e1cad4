//! Which packets are missing, and when to ask for them (RFC 4585 §6.2.1 gives the message, the timing is ours).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::types::SeqNum;

/// A gap this long is an outage: asking for all of it would only add to it.
const MAX_GAP: u64 = 512;
/// Missing packets kept in mind; older ones are given up first.
const MAX_MISSING: usize = 1024;
/// Packets asked for in one message, so that it fits a datagram even when none are neighbours.
const MAX_ASKED: usize = 240;
/// How often one packet is asked for.
const MAX_TRIES: u8 = 10;
/// Messages are at least this far apart.
const SPACING: Duration = Duration::from_millis(5);
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);
/// The longest wait for a packet that may merely have been overtaken.
const MAX_REORDER_WAIT: Duration = Duration::from_millis(25);

#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    since: Instant,
    /// When to ask next.
    next: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// What an arrival meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// The newest packet, or one that was missing.
    Expected,
    /// A gap too long to repair opened before it.
    Outage,
}

#[derive(Debug)]
pub(super) struct Nacks {
    /// Ascending.
    missing: VecDeque<Missing>,
    newest: Option<u64>,
    round_trip: Option<Duration>,
    /// How long overtaken packets lately took to come by themselves.
    reorder_wait: Duration,
    next: Option<Instant>,
    last_asked: Option<Instant>,
    asked: Vec<SeqNum>,
}

impl Nacks {
    pub(super) fn new() -> Self {
        Self {
            missing: VecDeque::new(),
            newest: None,
            round_trip: None,
            reorder_wait: Duration::ZERO,
            next: None,
            last_asked: None,
            asked: Vec::new(),
        }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub(super) fn set_round_trip(&mut self, rtt: Duration) {
        self.round_trip = Some(rtt);
    }

    pub(super) fn reset(&mut self) {
        self.missing.clear();
        self.newest = None;
        self.next = None;
    }

    /// A packet came; `repeated` when it came on the retransmission stream.
    pub(super) fn received(&mut self, now: Instant, seq: u64, repeated: bool) -> Noticed {
        let Some(newest) = self.newest else {
            self.newest = Some(seq);
            return Noticed::Expected;
        };
        if seq <= newest {
            self.found(now, seq, repeated);
            return Noticed::Expected;
        }
        self.newest = Some(seq);
        // In order: what was once learned about reordering fades.
        self.reorder_wait = self.reorder_wait.mul_f32(0.999);
        let gap = seq - newest - 1;
        if gap > MAX_GAP {
            self.missing.clear();
            self.next = None;
            return Noticed::Outage;
        }
        if gap > 0 {
            let next = now + self.reorder_wait;
            for seq in newest + 1..seq {
                self.missing.push_back(Missing {
                    seq,
                    since: now,
                    next,
                    asked: None,
                    tries: 0,
                });
            }
            while self.missing.len() > MAX_MISSING {
                self.missing.pop_front();
            }
            self.next = Some(self.next.map_or(next, |earlier| earlier.min(next)));
        }
        Noticed::Expected
    }

    fn found(&mut self, now: Instant, seq: u64, repeated: bool) {
        let Ok(index) = self
            .missing
            .binary_search_by_key(&seq, |missing| missing.seq)
        else {
            return;
        };
        let Some(found) = self.missing.remove(index) else {
            return;
        };
        match found.asked {
            // Repeated once, asked for once: a clean sample of the round trip.
            Some(asked) if repeated && found.tries == 1 => {
                let sample = now.saturating_duration_since(asked);
                self.round_trip = Some(match self.round_trip {
                    None => sample,
                    Some(rtt) => (rtt * 7 + sample) / 8,
                });
            }
            // It came by itself: overtaken, not lost.
            None if !repeated => {
                let late = now.saturating_duration_since(found.since);
                self.reorder_wait = self.reorder_wait.max(late * 5 / 4).min(MAX_REORDER_WAIT);
            }
            _ => {}
        }
        if self.missing.is_empty() {
            self.next = None;
        }
    }

    /// Whether a packet is missing and was asked for.
    pub(super) fn asked_for(&self, seq: u64) -> bool {
        self.newest.is_some_and(|newest| seq < newest)
            && self
                .missing
                .binary_search_by_key(&seq, |missing| missing.seq)
                .ok()
                .and_then(|index| self.missing.get(index))
                .is_some_and(|missing| missing.tries > 0)
    }

    /// Since when a packet is known to be missing; `None` when it is not, or is given up.
    pub(super) fn missing_since(&self, seq: u64) -> Option<Instant> {
        let index = self
            .missing
            .binary_search_by_key(&seq, |missing| missing.seq)
            .ok()?;
        self.missing.get(index).map(|missing| missing.since)
    }

    /// Packets before `seq` are of no more use.
    pub(super) fn forget_before(&mut self, seq: u64) {
        while self
            .missing
            .front()
            .is_some_and(|missing| missing.seq < seq)
        {
            self.missing.pop_front();
        }
        if self.missing.is_empty() {
            self.next = None;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let next = self.next?;
        Some(match self.last_asked {
            Some(last) => next.max(last + SPACING),
            None => next,
        })
    }

    /// The packets to ask for now, ascending. Those that were asked for too often, or are older than `max_age`, are given up.
    pub(super) fn due(&mut self, now: Instant, max_age: Duration) -> &[SeqNum] {
        self.asked.clear();
        if self.poll_timeout().is_none_or(|next| now < next) {
            return &self.asked;
        }
        let rtt = self.round_trip.unwrap_or(UNKNOWN_ROUND_TRIP);
        let mut next = None;
        let asked = &mut self.asked;
        self.missing.retain_mut(|missing| {
            if missing.next <= now && asked.len() < MAX_ASKED {
                let age = now.saturating_duration_since(missing.since);
                if missing.tries >= MAX_TRIES || age > max_age {
                    return false;
                }
                missing.tries += 1;
                missing.asked = Some(now);
                // A round trip and a margin for its variation; then more and more patient.
                let wait = (rtt + rtt / 8 + Duration::from_millis(10))
                    * (3 + u32::from(missing.tries))
                    / 4;
                missing.next = now + wait;
                asked.push(SeqNum(missing.seq as u16));
            }
            next = Some(next.map_or(missing.next, |earlier: Instant| earlier.min(missing.next)));
            true
        });
        self.next = next;
        if !self.asked.is_empty() {
            self.last_asked = Some(now);
        }
        &self.asked
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

    const MS: Duration = Duration::from_millis(1);
    const AGE: Duration = Duration::from_secs(1);

    fn seqs(numbers: &[u16]) -> Vec<SeqNum> {
        numbers.iter().copied().map(SeqNum).collect()
    }

    #[test]
    fn a_gap_is_asked_for_at_once_and_again_after_a_round_trip() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.set_round_trip(40 * MS);
        nacks.received(now, 100, false);
        nacks.received(now, 103, false);
        assert_eq!(nacks.due(now, AGE), seqs(&[101, 102]));
        assert!(nacks.due(now + 39 * MS, AGE).is_empty());
        nacks.received(now + 45 * MS, 101, true);
        assert_eq!(nacks.due(now + 60 * MS, AGE), seqs(&[102]));
        assert!(nacks.poll_timeout().unwrap() > now + 100 * MS);
        nacks.received(now + 105 * MS, 102, true);
        assert_eq!(nacks.poll_timeout(), None);
    }

    #[test]
    fn a_round_trip_is_learned_from_a_repeat() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.received(now, 1, false);
        nacks.received(now, 3, false);
        nacks.due(now, AGE);
        nacks.received(now + 30 * MS, 2, true);
        assert_eq!(nacks.round_trip(), Some(30 * MS));
    }

    #[test]
    fn where_packets_overtake_each_other_asking_waits() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.received(now, 1, false);
        nacks.received(now, 3, false);
        // Nobody asked yet; the packet comes by itself 4 ms later.
        nacks.received(now + 4 * MS, 2, false);
        nacks.received(now + 10 * MS, 5, false);
        assert!(nacks.due(now + 12 * MS, AGE).is_empty());
        assert_eq!(nacks.due(now + 15 * MS, AGE), seqs(&[4]));
    }

    #[test]
    fn a_packet_is_given_up_after_so_many_tries_or_so_long() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.set_round_trip(MS);
        nacks.received(now, 1, false);
        nacks.received(now, 3, false);
        let mut moment = now;
        let mut tries = 0;
        while let Some(next) = nacks.poll_timeout() {
            moment = next;
            tries += nacks.due(moment, Duration::from_secs(60)).len();
        }
        assert_eq!(tries, 10);
        assert_eq!(nacks.missing_since(2), None);
        nacks.received(moment, 5, false);
        assert!(nacks.due(moment + 2 * AGE, AGE).is_empty());
        assert_eq!(nacks.poll_timeout(), None);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.received(now, 1, false);
        assert_eq!(nacks.received(now, 1000, false), Noticed::Outage);
        assert!(nacks.due(now, AGE).is_empty());
    }

    #[test]
    fn one_message_asks_for_what_fits_a_datagram() {
        let now = start();
        let mut nacks = Nacks::new();
        nacks.received(now, 1, false);
        nacks.received(now, 500, false);
        assert_eq!(nacks.due(now, AGE).len(), 240);
        assert!(nacks.due(now, AGE).is_empty());
        assert_eq!(nacks.due(now + SPACING, AGE).len(), 240);
    }
}
