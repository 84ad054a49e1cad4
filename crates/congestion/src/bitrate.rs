//! A bitrate, so that no bare number says whether it counts bits or bytes.

use std::fmt;
use std::time::Duration;

/// Bits a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u64);

impl Bitrate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many bits a second.
    pub const fn from_bps(bps: u64) -> Self {
        Self(bps)
    }

    /// So many thousand bits a second.
    pub const fn from_kbps(kbps: u64) -> Self {
        Self(kbps * 1_000)
    }

    /// Bits a second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// The rate of so many bytes in a time; zero when the time is.
    pub fn of(bytes: u64, time: Duration) -> Self {
        let nanos = time.as_nanos();
        if nanos == 0 {
            return Self::ZERO;
        }
        let bps = u128::from(bytes) * 8 * 1_000_000_000 / nanos;
        Self(u64::try_from(bps).unwrap_or(u64::MAX))
    }

    /// How long so many bytes take at this rate; forever is an hour.
    pub fn time_for(self, bytes: usize) -> Duration {
        const FOREVER: Duration = Duration::from_secs(3600);
        if self.0 == 0 {
            return FOREVER;
        }
        let nanos = bytes as u128 * 8 * 1_000_000_000 / u128::from(self.0);
        u64::try_from(nanos).map_or(FOREVER, |nanos| Duration::from_nanos(nanos).min(FOREVER))
    }

    /// This rate times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor) as u64)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1_000)
    }
}
