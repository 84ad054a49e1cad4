//! Reception statistics as RFC 3550 computes them (§6.4.1, appendices A.1, A.3, A.8).

use std::time::{Duration, Instant};

use crate::rtcp::{ReportBlock, SenderInfo};
use crate::types::{
    NtpTime, SeqNum, SeqUnwrapper, Ssrc, duration_to_compact, duration_to_ticks, ticks_to_duration,
};

/// A jump over more numbers than this, either way, is taken for a restart when two packets in a row agree (appendix A.1).
const MAX_DROPOUT: u64 = 3000;

#[derive(Debug)]
pub(super) struct Reception {
    clock_rate: u32,
    unwrapper: SeqUnwrapper,
    /// The number that would confirm a restart.
    bad_seq: Option<SeqNum>,
    base: Option<u64>,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// Losses before a restart.
    lost_before: i64,
    /// In timestamp units, scaled by 16.
    jitter: u64,
    last: Option<(Instant, u32)>,
    sender: Option<(SenderInfo, Instant)>,
    pub(super) sender_reports: u64,
}

/// Where a sequence number belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its unwrapped value.
    At(u64),
    /// The same, and everything before it is another numbering.
    Restart(u64),
    /// Far off the rest: not taken until another one agrees.
    Astray,
}

impl Reception {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            unwrapper: SeqUnwrapper::default(),
            bad_seq: None,
            base: None,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            lost_before: 0,
            jitter: 0,
            last: None,
            sender: None,
            sender_reports: 0,
        }
    }

    /// The media clock is another one from now on.
    pub(super) fn set_clock_rate(&mut self, clock_rate: u32) {
        self.jitter = self.jitter * u64::from(clock_rate) / u64::from(self.clock_rate.max(1));
        self.clock_rate = clock_rate;
        self.last = None;
        // What was told of its time was of the old clock.
        self.sender = None;
    }

    /// The place of a packet's number on the stream itself.
    pub(super) fn place(&mut self, seq: SeqNum) -> Place {
        let value = self.unwrapper.peek(seq);
        let far = self
            .unwrapper
            .newest()
            .is_some_and(|newest| newest.abs_diff(value) > MAX_DROPOUT);
        if !far {
            self.bad_seq = None;
            self.unwrapper.unwrap(seq);
            return Place::At(value);
        }
        if self.bad_seq == Some(seq) {
            self.lost_before = self.lost();
            self.base = None;
            self.received = 0;
            self.expected_prior = 0;
            self.received_prior = 0;
            self.bad_seq = None;
            // Numbers go on upwards for the buffer, whichever way the sender jumped.
            let next = self.unwrapper.newest().unwrap_or(0) + (1 << 16);
            let value = (next & !0xffff) | u64::from(seq.0);
            self.unwrapper = SeqUnwrapper::starting_at(value);
            return Place::Restart(value);
        }
        self.bad_seq = Some(seq.next());
        Place::Astray
    }

    /// The place of a packet that was sent again: it never counts as newest.
    pub(super) fn place_of_repeat(&self, seq: SeqNum) -> Option<u64> {
        self.unwrapper.newest()?;
        let value = self.unwrapper.peek(seq);
        Some(value).filter(|value| {
            self.unwrapper
                .newest()
                .is_some_and(|newest| newest.abs_diff(*value) <= MAX_DROPOUT)
        })
    }

    /// Counts a packet of the stream itself and follows its jitter (A.8).
    pub(super) fn count(&mut self, now: Instant, seq: u64, timestamp: u32, repeat: bool) {
        self.base = Some(self.base.map_or(seq, |base| base.min(seq)));
        self.received += 1;
        if repeat {
            return;
        }
        if let Some((then, before)) = self.last {
            let elapsed = duration_to_ticks(now.saturating_duration_since(then), self.clock_rate);
            let difference = elapsed - i64::from(timestamp.wrapping_sub(before) as i32);
            // J += (|D| − J) / 16, in integers: J is kept times 16. A jump of the clock is no jitter.
            let difference = difference.unsigned_abs();
            if difference < u64::from(self.clock_rate) * 5 {
                self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            }
        }
        self.last = Some((now, timestamp));
    }

    pub(super) fn jitter_ticks(&self) -> u32 {
        u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX)
    }

    pub(super) fn jitter(&self) -> Duration {
        ticks_to_duration(i64::from(self.jitter_ticks()), self.clock_rate)
    }

    fn expected(&self) -> u64 {
        match (self.base, self.unwrapper.newest()) {
            (Some(base), Some(newest)) => newest.saturating_sub(base) + 1,
            _ => 0,
        }
    }

    pub(super) fn lost(&self) -> i64 {
        self.lost_before + self.expected() as i64 - self.received as i64
    }

    pub(super) fn handle_sender_report(&mut self, now: Instant, info: &SenderInfo) {
        self.sender = Some((*info, now));
        self.sender_reports += 1;
    }

    /// The sender's wall clock at a timestamp.
    pub(super) fn sender_time(&self, timestamp: u32) -> Option<NtpTime> {
        let (info, _) = self.sender.as_ref()?;
        let ticks = timestamp.wrapping_sub(info.rtp_timestamp) as i32;
        let distance = ticks_to_duration(i64::from(ticks.unsigned_abs()), self.clock_rate);
        Some(if ticks < 0 {
            info.ntp.wrapping_sub(distance)
        } else {
            info.ntp.wrapping_add(distance)
        })
    }

    /// The block for a report that leaves now; begins a new interval (A.3).
    pub(super) fn report(&mut self, now: Instant, ssrc: Ssrc) -> Option<ReportBlock> {
        let newest = self.unwrapper.newest()?;
        self.base?;
        let expected = self.expected() - self.expected_prior.min(self.expected());
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let fraction_lost = match expected.checked_sub(received) {
            Some(lost) if lost > 0 => u8::try_from((lost << 8) / expected).unwrap_or(u8::MAX),
            _ => 0,
        };
        let (last_sr, delay_since_last_sr) = match &self.sender {
            Some((info, at)) => (
                info.ntp.middle(),
                duration_to_compact(now.saturating_duration_since(*at)),
            ),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost: i32::try_from(self.lost()).unwrap_or(i32::MAX),
            // The unwrapped number without its artificial start: 16 bits of cycles, 16 of number.
            highest_sequence: newest as u32,
            jitter: self.jitter_ticks(),
            last_sr,
            delay_since_last_sr,
        })
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

    fn receive(reception: &mut Reception, now: Instant, seq: u16, timestamp: u32) -> Place {
        let place = reception.place(SeqNum(seq));
        if let Place::At(value) | Place::Restart(value) = place {
            reception.count(now, value, timestamp, false);
        }
        place
    }

    #[test]
    fn loss_is_counted_over_the_interval_and_over_all() {
        let now = start();
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.report(now, Ssrc(1)), None);
        for seq in 65_530u16..=65_535 {
            receive(&mut reception, now, seq, 0);
        }
        for seq in [0, 2, 4, 5] {
            receive(&mut reception, now, seq, 0);
        }
        let block = reception.report(now, Ssrc(1)).unwrap();
        assert_eq!(block.cumulative_lost, 2);
        assert_eq!(block.fraction_lost, (2 * 256 / 12) as u8);
        assert_eq!(block.highest_sequence, 0x0001_0005);
        receive(&mut reception, now, 6, 0);
        let block = reception.report(now, Ssrc(1)).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (2, 0));
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation() {
        let now = start();
        let mut reception = Reception::new(8_000);
        for index in 0..2000u32 {
            // 20 ms apart, every other packet 10 ms late: each spacing deviates by 10 ms.
            let late = if index % 2 == 0 { 0 } else { 10 };
            let arrival = now + Duration::from_millis(u64::from(20 * index + late));
            receive(&mut reception, arrival, index as u16, index * 160);
        }
        let jitter = reception.jitter();
        assert!(
            jitter.abs_diff(Duration::from_millis(10)) < Duration::from_micros(200),
            "{jitter:?}"
        );
    }

    #[test]
    fn two_packets_that_agree_make_a_restart_and_one_does_not() {
        let now = start();
        let mut reception = Reception::new(90_000);
        receive(&mut reception, now, 100, 0);
        assert_eq!(receive(&mut reception, now, 20_000, 0), Place::Astray);
        assert!(matches!(receive(&mut reception, now, 101, 0), Place::At(_)));
        assert_eq!(receive(&mut reception, now, 30_000, 0), Place::Astray);
        let Place::Restart(first) = receive(&mut reception, now, 30_001, 0) else {
            panic!("no restart");
        };
        assert_eq!(
            receive(&mut reception, now, 30_002, 0),
            Place::At(first + 1)
        );
        assert_eq!(
            reception.report(now, Ssrc(1)).unwrap().highest_sequence as u16,
            30_002
        );
    }

    #[test]
    fn the_sender_clock_is_carried_forward_and_back() {
        let now = start();
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.sender_time(0), None);
        let ntp = NtpTime::from_unix(Duration::from_secs(1_000_000));
        let info = SenderInfo {
            ntp,
            rtp_timestamp: 5,
            ..SenderInfo::default()
        };
        reception.handle_sender_report(now, &info);
        let later = reception.sender_time(90_005).unwrap();
        assert_eq!(later.saturating_since(ntp), Duration::from_secs(1));
        let earlier = reception.sender_time(5u32.wrapping_sub(45_000)).unwrap();
        assert_eq!(ntp.saturating_since(earlier), Duration::from_millis(500));
    }
}
