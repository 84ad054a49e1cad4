//! The time of what is sent, across the tracks that it comes from.

use std::time::{Duration, Instant};

/// Puts the frames of one track after another on one time line, as each track counts from a beginning of its own.
///
/// Whoever receives them is not to notice that one track took the place of another ("switch seamlessly", W3C WebRTC §5.2,
/// `replaceTrack`): the time that is sent goes on with the clock, and never goes back.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    last: Option<Last>,
}

/// The frame that was placed last.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    time: Duration,
    duration: Duration,
}

/// What lies between the time of one track and the time that is sent. A new one is found with its first frame.
#[derive(Debug, Default)]
pub(crate) struct Offset(Option<i128>);

/// Two frames are at least so far apart.
const STEP: Duration = Duration::from_millis(1);

impl Timeline {
    /// Where a frame goes that a track gave at `now`, under its own `timestamp`.
    pub(crate) fn place(
        &mut self,
        offset: &mut Offset,
        now: Instant,
        timestamp: Duration,
        duration: Duration,
    ) -> Duration {
        let own = timestamp.as_nanos() as i128;
        let next = self.next(now);
        let kept = offset
            .0
            .map(|offset| nanos(own + offset))
            .filter(|time| self.last.is_none_or(|last| *time > last.time));
        let time = kept.or(next).unwrap_or(timestamp);
        offset.0 = Some(time.as_nanos() as i128 - own);
        self.last = Some(Last {
            at: now,
            time,
            duration,
        });
        time
    }

    /// Where a frame goes that no track gave.
    pub(crate) fn insert(&mut self, now: Instant) -> Duration {
        let time = self.next(now).unwrap_or_default();
        self.last = Some(Last {
            at: now,
            time,
            duration: Duration::ZERO,
        });
        time
    }

    /// The time of `now`, after all that was placed; `None` when nothing was.
    fn next(&self, now: Instant) -> Option<Duration> {
        let last = self.last?;
        let passed = now.saturating_duration_since(last.at);
        Some(last.time + passed.max(last.duration).max(STEP))
    }
}

fn nanos(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_track_that_takes_the_place_of_another_goes_on_where_that_was() {
        let start = driver::now();
        let mut line = Timeline::default();
        let mut first = Offset::default();
        let at = |ms: u32| start + MS * ms;
        assert_eq!(
            line.place(&mut first, at(0), MS * 5_000, MS * 20),
            MS * 5_000
        );
        assert_eq!(
            line.place(&mut first, at(23), MS * 5_020, MS * 20),
            MS * 5_020,
            "the clock of the track counts, not when its frames come"
        );
        let mut second = Offset::default();
        assert_eq!(
            line.place(&mut second, at(30), MS * 7, MS * 20),
            MS * 5_040,
            "no earlier than the end of what was sent"
        );
        assert_eq!(
            line.place(&mut second, at(50), MS * 27, MS * 20),
            MS * 5_060
        );
        let mut third = Offset::default();
        assert_eq!(
            line.place(&mut third, at(1_050), Duration::ZERO, MS * 20),
            MS * 6_060
        );
    }

    #[test]
    fn frames_that_no_track_gave_lie_between_those_of_the_track() {
        let start = driver::now();
        let mut line = Timeline::default();
        let mut offset = Offset::default();
        assert_eq!(line.insert(start), Duration::ZERO);
        assert_eq!(line.insert(start + MS * 1_000), MS * 1_000);
        let after = line.place(&mut offset, start + MS * 1_500, MS * 90_000, Duration::ZERO);
        assert_eq!(after, MS * 1_500);
        assert_eq!(line.insert(start + MS * 2_500), MS * 2_500);
        // The track counts on: a second has passed for it as well.
        let after = line.place(&mut offset, start + MS * 2_600, MS * 91_100, Duration::ZERO);
        assert_eq!(after, MS * 2_600);
        // One that jumps back begins anew.
        let after = line.place(
            &mut offset,
            start + MS * 2_700,
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!(after, MS * 2_700);
    }
}
