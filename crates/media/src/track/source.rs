//! The source's side of a track: one source, any number of tracks on it.

use super::TrackInner;
use crate::constraints::{
    MediaTrackConstraints, MediaTrackSettings, OverconstrainedError, select_settings,
};
use crate::frame::{Frame, MediaKind};
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A source that can change what it does while it runs.
pub trait SourceControl: Send + Sync {
    /// Does what the constraints ask, or says which demand it cannot meet. Returns the new settings.
    fn apply(
        &self,
        constraints: &MediaTrackConstraints,
    ) -> Result<MediaTrackSettings, OverconstrainedError>;
}

/// No track needs the source any more: it should close its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every track of this source was stopped")]
pub struct SourceStopped;

pub(super) struct Source {
    kind: MediaKind,
    label: String,
    control: Option<Arc<dyn SourceControl>>,
    state: Mutex<State>,
    stopped: Condvar,
}

struct State {
    tracks: Vec<Weak<TrackInner>>,
    /// Every track was stopped, or the writer is gone.
    stopped: bool,
    muted: bool,
    waker: Option<Waker>,
}

impl Source {
    pub(super) fn new(
        kind: MediaKind,
        label: String,
        muted: bool,
        control: Option<Arc<dyn SourceControl>>,
    ) -> Self {
        Source {
            kind,
            label,
            control,
            state: Mutex::new(State {
                tracks: Vec::new(),
                stopped: false,
                muted,
                waker: None,
            }),
            stopped: Condvar::new(),
        }
    }

    pub(super) fn kind(&self) -> MediaKind {
        self.kind
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attach(&self, track: &Arc<TrackInner>) {
        let mut state = self.lock();
        if state.stopped {
            // Its source cannot be started again: the track ends as it begins.
            drop(state);
            track.end(false);
        } else {
            state.tracks.push(Arc::downgrade(track));
        }
    }

    /// A track has ended: when it was the last, the source stops.
    pub(super) fn detached(&self) {
        let mut state = self.lock();
        let tracks = tracks(&mut state);
        let last = tracks.live.is_empty() && !state.stopped;
        state.stopped |= last;
        let waker = state.waker.take_if(|_| last);
        drop(state);
        if !last {
            return;
        }
        self.stopped.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn apply(
        &self,
        current: &MediaTrackSettings,
        constraints: &MediaTrackConstraints,
    ) -> Result<MediaTrackSettings, OverconstrainedError> {
        match &self.control {
            Some(control) => control.apply(constraints),
            None => {
                select_settings(std::slice::from_ref(current), constraints)?;
                Ok(current.clone())
            }
        }
    }

    /// Calls `f` with every live track, with no lock of the source held.
    fn each_track(&self, f: impl Fn(&TrackInner)) -> Result<(), SourceStopped> {
        let mut state = self.lock();
        if state.stopped {
            return Err(SourceStopped);
        }
        let tracks = tracks(&mut state);
        drop(state);
        for track in &tracks.live {
            f(track);
        }
        Ok(())
    }
}

/// The tracks of a source at one moment. To be dropped after the source's lock is: a track whose last handle went
/// meanwhile ends in here, and takes that lock.
struct Tracks {
    live: Vec<Arc<TrackInner>>,
    _ended: Vec<Arc<TrackInner>>,
}

/// Looks the tracks up, and forgets those that have ended.
fn tracks(state: &mut State) -> Tracks {
    let mut live = Vec::with_capacity(state.tracks.len());
    let mut ended = Vec::new();
    state.tracks.retain(|track| match track.upgrade() {
        Some(track) if track.is_live() => {
            live.push(track);
            true
        }
        gone => {
            ended.extend(gone);
            false
        }
    });
    Tracks {
        live,
        _ended: ended,
    }
}

/// The half of a track with which its source feeds it. Dropping it ends the track(s).
pub struct TrackWriter {
    source: Arc<Source>,
}

impl TrackWriter {
    pub(super) fn new(source: Arc<Source>) -> Self {
        TrackWriter { source }
    }

    /// Hands a frame to every consumer of every track. Never waits.
    pub fn write(&self, frame: impl Into<Frame>) -> Result<(), SourceStopped> {
        self.hand_out(frame).map(|_taken| ())
    }

    /// [`write`](Self::write) that says whether anybody took it.
    pub fn hand_out(&self, frame: impl Into<Frame>) -> Result<bool, SourceStopped> {
        let frame = frame.into();
        let taken = Cell::new(false);
        self.source
            .each_track(|track| taken.set(track.deliver(&frame) | taken.get()))?;
        Ok(taken.get())
    }

    /// Mutes or unmutes the tracks: the source has nothing to give for now, or has again.
    pub fn set_muted(&self, muted: bool) {
        self.source.lock().muted = muted;
        // A source without tracks has nobody to tell.
        let _ = self.source.each_track(|track| track.set_muted(muted));
    }

    /// Whether the source said it has nothing to give.
    pub fn muted(&self) -> bool {
        self.source.lock().muted
    }

    /// Says what the source does now.
    pub fn set_settings(&self, settings: &MediaTrackSettings) {
        // A source without tracks has nobody to tell.
        let _ = self.source.each_track(|track| track.set_settings(settings));
    }

    /// Whether anybody reads frames now. A source may skip work while nobody does.
    pub fn has_consumers(&self) -> bool {
        let mut state = self.source.lock();
        let tracks = tracks(&mut state);
        drop(state);
        tracks.live.iter().any(|track| track.has_consumers())
    }

    /// Whether every track was stopped: the source should close its device.
    pub fn is_stopped(&self) -> bool {
        self.source.lock().stopped
    }

    /// Waits until every track was stopped.
    pub async fn stopped(&self) {
        poll_fn(|cx| {
            let mut state = self.source.lock();
            if state.stopped {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Waits on this thread until every track was stopped.
    pub fn stopped_blocking(&self) {
        let state = self.source.lock();
        let _stopped = self
            .source
            .stopped
            .wait_while(state, |s| !s.stopped)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Waits on this thread until every track was stopped, but no longer than `limit`. Says whether they were:
    /// the pause of a source that makes frames at a pace.
    pub fn stopped_timeout(&self, limit: Duration) -> bool {
        let state = self.source.lock();
        let (state, _) = self
            .source
            .stopped
            .wait_timeout_while(state, limit, |s| !s.stopped)
            .unwrap_or_else(PoisonError::into_inner);
        state.stopped
    }

    /// Ends the tracks, firing [`TrackEvent::Ended`](super::TrackEvent::Ended), and wakes whoever waits in
    /// [`stopped`](Self::stopped). Dropping the writer does the same.
    pub fn end(&self) {
        let mut state = self.source.lock();
        state.stopped = true;
        let tracks = tracks(&mut state);
        let waker = state.waker.take();
        drop(state);
        self.source.stopped.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        for track in &tracks.live {
            track.end(true);
        }
    }
}

impl Drop for TrackWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackWriter")
            .field("kind", &self.source.kind)
            .field("label", &self.source.label)
            .field("stopped", &self.is_stopped())
            .finish()
    }
}
