//! What a speaker tells of the tracks that it plays, for the statistics of whoever made the track.
//!
//! ```text
//! connection ── MediaStreamTrack ── TrackPlayout ──► PlayoutPath ◄── speaker
//! ```
//!
//! Neither knows the other. A speaker enters its [`PlayoutPath`] with the track; whoever writes statistics looks there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// One speaker, or whatever else sound is heard from, after mixing: the counters of `RTCAudioPlayoutStats`.
#[derive(Debug)]
pub struct PlayoutPath {
    id: String,
    totals: Mutex<PlayoutTotals>,
}

/// What was played since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayoutTotals {
    /// Silence in place of sound that did not come in time.
    pub synthesized: Duration,
    /// How often that began.
    pub synthesized_events: u64,
    /// All that was played, that silence included.
    pub played: Duration,
    /// How many samples that were; those of several channels at one time are one.
    pub samples: u64,
    /// How long each of them waited, in seconds, summed.
    pub delay: f64,
}

impl PlayoutPath {
    /// A path on which nothing was played yet.
    pub fn new() -> Arc<Self> {
        Arc::new(PlayoutPath {
            id: crate::new_id(),
            totals: Mutex::default(),
        })
    }

    /// A name that no other path has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What was played so far.
    pub fn totals(&self) -> PlayoutTotals {
        *lock(&self.totals)
    }

    /// Tells what was played now.
    pub fn update(&self, change: impl FnOnce(&mut PlayoutTotals)) {
        change(&mut lock(&self.totals));
    }
}

/// Who plays one track.
#[derive(Debug, Default)]
pub struct TrackPlayout {
    paths: Mutex<Vec<Weak<PlayoutPath>>>,
    inserted: AtomicU64,
    removed: AtomicU64,
}

impl TrackPlayout {
    /// The track is played on this path from now on, until [`end`](Self::end) or the path is dropped.
    pub fn begin(&self, path: &Arc<PlayoutPath>) {
        let mut paths = lock(&self.paths);
        paths.retain(|known| known.strong_count() > 0);
        paths.push(Arc::downgrade(path));
    }

    /// It is played there no more.
    pub fn end(&self, path: &Arc<PlayoutPath>) {
        let mut paths = lock(&self.paths);
        let place = paths
            .iter()
            .position(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(path)));
        if let Some(place) = place {
            paths.remove(place);
        }
    }

    /// Where the track is played; where first, when in several places.
    pub fn path(&self) -> Option<Arc<PlayoutPath>> {
        lock(&self.paths).iter().find_map(Weak::upgrade)
    }

    /// Tells that so many samples were put in to play slower, and left out to play faster.
    pub fn stretched(&self, inserted: u64, removed: u64) {
        self.inserted.fetch_add(inserted, Ordering::Relaxed);
        self.removed.fetch_add(removed, Ordering::Relaxed);
    }

    /// Samples put in, since the beginning (`insertedSamplesForDeceleration`).
    pub fn inserted(&self) -> u64 {
        self.inserted.load(Ordering::Relaxed)
    }

    /// Samples left out (`removedSamplesForAcceleration`).
    pub fn removed(&self) -> u64 {
        self.removed.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_knows_its_speaker_until_that_ends_or_goes() {
        let playout = TrackPlayout::default();
        let (one, other) = (PlayoutPath::new(), PlayoutPath::new());
        assert!(playout.path().is_none());
        playout.begin(&one);
        playout.begin(&other);
        assert_eq!(playout.path().unwrap().id(), one.id());
        playout.end(&one);
        assert_eq!(playout.path().unwrap().id(), other.id());
        drop(other);
        assert!(playout.path().is_none());
    }
}
