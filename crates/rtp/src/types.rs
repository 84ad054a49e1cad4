//! The numbers RTP speaks in: SSRC, sequence numbers, NTP timestamps, and their serial arithmetic (RFC 1982).

use std::fmt;
use std::time::Duration;

/// A synchronization source identifier (RFC 3550 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u32> for Ssrc {
    fn from(value: u32) -> Self {
        Self(value)
    }
}

/// An RTP sequence number (RFC 3550 §5.1), 16 bits that wrap.
///
/// It has no total order, hence no `Ord`: compare with [`SeqNum::distance_from`] or [`SeqNum::is_after`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(pub u16);

impl SeqNum {
    /// The number that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// This number moved forward by `count`.
    #[must_use]
    pub fn wrapping_add(self, count: u16) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// How far this number lies after `other`, the short way round: −32768..=32767.
    pub fn distance_from(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }

    /// Whether this number is newer than `other` in serial arithmetic.
    pub fn is_after(self, other: Self) -> bool {
        self.distance_from(other) > 0
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u16> for SeqNum {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

/// A 64-bit NTP timestamp: seconds since 1900 and their fraction in 2⁻³² s (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
    const UNIX_OFFSET: u64 = 2_208_988_800;

    /// The NTP time of a moment given as the time since the Unix epoch.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(Self::UNIX_OFFSET);
        Self((seconds << 32) | duration_to_fraction(since_epoch.subsec_nanos()))
    }

    /// The time since the Unix epoch, within NTP era 0 (until 2036); zero for a moment before 1970.
    pub fn to_unix(self) -> Duration {
        let seconds = self.0 >> 32;
        let nanos = ((self.0 & 0xffff_ffff) * 1_000_000_000) >> 32;
        match seconds.checked_sub(Self::UNIX_OFFSET) {
            Some(seconds) => Duration::new(seconds, nanos as u32),
            None => Duration::ZERO,
        }
    }

    /// The middle 32 bits, as LSR and RRTR fields carry them (RFC 3550 §6.4.1): units of 2⁻¹⁶ s.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// This moment moved forward.
    #[must_use]
    pub fn wrapping_add(self, by: Duration) -> Self {
        Self(
            self.0
                .wrapping_add((by.as_secs() << 32) | duration_to_fraction(by.subsec_nanos())),
        )
    }

    /// This moment moved back.
    #[must_use]
    pub fn wrapping_sub(self, by: Duration) -> Self {
        Self(
            self.0
                .wrapping_sub((by.as_secs() << 32) | duration_to_fraction(by.subsec_nanos())),
        )
    }

    /// The time from `earlier` to this moment; zero when it is not earlier.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let units = self.0.saturating_sub(earlier.0);
        Duration::new(
            units >> 32,
            (((units & 0xffff_ffff) * 1_000_000_000) >> 32) as u32,
        )
    }
}

fn duration_to_fraction(nanos: u32) -> u64 {
    // Rounded up, so that converting there and back gives the same nanosecond.
    (u64::from(nanos) << 32).div_ceil(1_000_000_000)
}

/// A time in units of 2⁻¹⁶ s, the format of DLSR and of compact NTP (RFC 3550 §4, §6.4.1).
pub(crate) fn duration_to_compact(duration: Duration) -> u32 {
    let units =
        (duration.as_secs() << 16) | ((u64::from(duration.subsec_nanos()) << 16) / 1_000_000_000);
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The inverse of [`duration_to_compact`].
pub(crate) fn compact_to_duration(units: u32) -> Duration {
    let nanos = (u64::from(units & 0xffff) * 1_000_000_000) >> 16;
    Duration::new(u64::from(units >> 16), nanos as u32)
}

/// A duration in ticks of a media clock.
pub(crate) fn duration_to_ticks(duration: Duration, clock_rate: u32) -> i64 {
    let rate = u64::from(clock_rate);
    let whole = duration.as_secs().saturating_mul(rate);
    let part = u64::from(duration.subsec_nanos()) * rate / 1_000_000_000;
    i64::try_from(whole.saturating_add(part)).unwrap_or(i64::MAX)
}

/// Ticks of a media clock as a duration; zero when negative.
pub(crate) fn ticks_to_duration(ticks: i64, clock_rate: u32) -> Duration {
    let Ok(ticks) = u64::try_from(ticks) else {
        return Duration::ZERO;
    };
    let rate = u64::from(clock_rate.max(1));
    Duration::new(ticks / rate, ((ticks % rate) * 1_000_000_000 / rate) as u32)
}

/// Follows a wrapping 16-bit counter as one that does not wrap (RFC 3550 appendix A.1 keeps cycles for this).
#[derive(Clone, Copy, Debug, Default)]
pub struct SeqUnwrapper {
    last: Option<u64>,
}

impl SeqUnwrapper {
    /// The first number maps to `EPOCH + number`, so that earlier ones stay positive.
    const EPOCH: u64 = 1 << 32;

    /// Goes on from an unwrapped value.
    pub(crate) fn starting_at(value: u64) -> Self {
        Self { last: Some(value) }
    }

    /// The unwrapped value of `seq`, nearest to the newest value seen; remembers it when it is newer.
    pub fn unwrap(&mut self, seq: SeqNum) -> u64 {
        let value = self.peek(seq);
        if self.last.is_none_or(|last| value > last) {
            self.last = Some(value);
        }
        value
    }

    /// The same, without remembering.
    pub fn peek(&self, seq: SeqNum) -> u64 {
        match self.last {
            None => Self::EPOCH + u64::from(seq.0),
            Some(last) => {
                let distance = seq.distance_from(SeqNum(last as u16));
                last.wrapping_add_signed(i64::from(distance))
            }
        }
    }

    /// The newest value seen.
    pub fn newest(&self) -> Option<u64> {
        self.last
    }
}

/// Follows a wrapping 32-bit RTP timestamp as one that does not wrap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimestampUnwrapper {
    last: Option<i64>,
}

impl TimestampUnwrapper {
    pub(crate) fn unwrap(&mut self, timestamp: u32) -> i64 {
        let value = self.peek(timestamp);
        self.last = Some(self.last.map_or(value, |last| last.max(value)));
        value
    }

    pub(crate) fn peek(&self, timestamp: u32) -> i64 {
        match self.last {
            None => i64::from(timestamp),
            Some(last) => last + i64::from(timestamp.wrapping_sub(last as u32) as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_across_the_wrap() {
        assert!(SeqNum(0).is_after(SeqNum(65535)));
        assert!(!SeqNum(65535).is_after(SeqNum(0)));
        assert_eq!(SeqNum(5).distance_from(SeqNum(65530)), 11);
        assert_eq!(SeqNum(65535).next(), SeqNum(0));
    }

    #[test]
    fn an_unwrapper_follows_wraps_and_late_arrivals() {
        let mut unwrapper = SeqUnwrapper::default();
        let first = unwrapper.unwrap(SeqNum(65534));
        assert_eq!(unwrapper.unwrap(SeqNum(1)), first + 3);
        assert_eq!(unwrapper.unwrap(SeqNum(65535)), first + 1);
        assert_eq!(unwrapper.newest(), Some(first + 3));
        assert_eq!(unwrapper.unwrap(SeqNum(2)), first + 4);
    }

    #[test]
    fn ntp_time_survives_the_way_to_unix_and_back() {
        let time = Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(NtpTime::from_unix(time).to_unix(), time);
        let ntp = NtpTime::from_unix(time);
        let later = ntp.wrapping_add(Duration::from_millis(1500));
        let between = later.saturating_since(ntp);
        assert!(between.abs_diff(Duration::from_millis(1500)) < Duration::from_nanos(3));
    }

    #[test]
    fn compact_time_is_sixteen_bits_of_seconds_and_of_fraction() {
        // RFC 3550 §6.4.1's example: a delay of 5.250 s is 0x0005:4000.
        assert_eq!(
            duration_to_compact(Duration::from_millis(5250)),
            0x0005_4000
        );
        assert_eq!(
            compact_to_duration(0x0005_4000),
            Duration::from_millis(5250)
        );
    }
}
