//! [`MediaStreamTrack`] and its other half, the [`TrackWriter`] of its source.
//!
//! ```text
//!                    ┌─ MediaStreamTrack ──┬─ FrameReceiver (a window)
//!  TrackWriter ──────┤                     └─ VideoReceiver (an encoder)
//!  (a camera)        └─ its clone_track() ─── VideoReceiver (disabled: black pictures)
//! ```

mod receivers;
mod source;
#[cfg(test)]
mod tests;

pub use receivers::{AudioReceiver, FrameReceiver, VideoReceiver};
pub use source::{SourceControl, SourceStopped, TrackWriter};

use crate::channel::{self, Receiver, Sender};
use crate::constraints::{
    MediaTrackCapabilities, MediaTrackConstraints, MediaTrackSettings, OverconstrainedError,
};
use crate::frame::{AudioFrame, Frame, MediaKind, VideoFrame};
use crate::playout::TrackPlayout;
use source::Source;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pictures that wait for a reader before the oldest goes.
const VIDEO_QUEUE: usize = 4;
/// Pieces of sound (usually 10 or 20 ms) that wait for a reader before the oldest goes.
const AUDIO_QUEUE: usize = 50;
/// Events that wait for a reader; there are never more than a handful.
const EVENT_QUEUE: usize = 64;

/// `MediaStreamTrackState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackState {
    /// The source does its best to provide media.
    Live,
    /// It never will again.
    Ended,
}

/// What happens to a track from outside. As in the browser, [`MediaStreamTrack::stop`] fires nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrackEvent {
    /// The source will provide nothing more.
    Ended,
    /// The source provides nothing for now.
    Mute,
    /// The source provides media again.
    Unmute,
}

/// What a source says of itself when it makes a track.
#[derive(Clone, Default)]
pub struct TrackInit {
    /// The track's id; made up when there is none.
    pub id: Option<String>,
    /// What to call the source in front of a person.
    pub label: String,
    /// Whether the source has nothing to give yet.
    pub muted: bool,
    /// What the source does.
    pub settings: MediaTrackSettings,
    /// What the source could do.
    pub capabilities: MediaTrackCapabilities,
    /// What was asked of the source.
    pub constraints: MediaTrackConstraints,
    /// Whom [`MediaStreamTrack::apply_constraints`] asks. Without it, constraints must fit the settings as they are.
    pub control: Option<Arc<dyn SourceControl>>,
}

impl fmt::Debug for TrackInit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackInit")
            .field("id", &self.id)
            .field("label", &self.label)
            .field("muted", &self.muted)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A stream of media of one kind from one source, as the browser's `MediaStreamTrack`.
///
/// This is a handle: `Clone` gives another handle to the *same* track, as assigning does in JavaScript. The W3C
/// `clone()`, a second track on the same source with its own `enabled` and its own end, is
/// [`clone_track`](Self::clone_track). The source is told to stop when every track on it was stopped or dropped.
#[derive(Clone)]
pub struct MediaStreamTrack {
    inner: Arc<TrackInner>,
}

impl MediaStreamTrack {
    /// A track, and the writer with which its source feeds it.
    pub fn new(kind: MediaKind, init: TrackInit) -> (MediaStreamTrack, TrackWriter) {
        let source = Arc::new(Source::new(kind, init.label, init.muted, init.control));
        let inner = Arc::new(TrackInner {
            id: init.id.unwrap_or_else(crate::new_id),
            playout: Arc::default(),
            source: Arc::clone(&source),
            state: Mutex::new(State {
                enabled: true,
                muted: init.muted,
                ready: TrackState::Live,
                settings: init.settings,
                capabilities: init.capabilities,
                constraints: init.constraints,
                sinks: Vec::new(),
                events: Vec::new(),
                black: None,
            }),
        });
        source.attach(&inner);
        (MediaStreamTrack { inner }, TrackWriter::new(source))
    }

    /// The track's identifier, unique among all tracks.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Sound or pictures.
    pub fn kind(&self) -> MediaKind {
        self.inner.source.kind()
    }

    /// What to call the source in front of a person.
    pub fn label(&self) -> &str {
        self.inner.source.label()
    }

    /// Whether media flows, as far as the application is concerned.
    pub fn enabled(&self) -> bool {
        self.inner.lock().enabled
    }

    /// A disabled track gives its consumers black pictures or silence.
    pub fn set_enabled(&self, enabled: bool) {
        self.inner.lock().enabled = enabled;
    }

    /// Whether the source cannot give media for now.
    pub fn muted(&self) -> bool {
        self.inner.lock().muted
    }

    /// Live or ended.
    pub fn ready_state(&self) -> TrackState {
        self.inner.lock().ready
    }

    /// What the source does now. Of an ended track only what is inherent in the device remains
    /// (device, group, facing mode).
    pub fn settings(&self) -> MediaTrackSettings {
        let state = self.inner.lock();
        match state.ready {
            TrackState::Live => state.settings.clone(),
            TrackState::Ended => MediaTrackSettings {
                device_id: state.settings.device_id.clone(),
                group_id: state.settings.group_id.clone(),
                facing_mode: state.settings.facing_mode.clone(),
                ..Default::default()
            },
        }
    }

    /// What the source could do.
    pub fn capabilities(&self) -> MediaTrackCapabilities {
        self.inner.lock().capabilities.clone()
    }

    /// What was last asked of the track, successfully.
    pub fn constraints(&self) -> MediaTrackConstraints {
        self.inner.lock().constraints.clone()
    }

    /// Asks the source to change what it does. On an ended track this succeeds and does nothing.
    pub fn apply_constraints(
        &self,
        constraints: MediaTrackConstraints,
    ) -> Result<(), OverconstrainedError> {
        if self.ready_state() == TrackState::Ended {
            return Ok(());
        }
        let current = self.settings();
        let settings = self.inner.source.apply(&current, &constraints)?;
        let mut state = self.inner.lock();
        state.settings = settings;
        state.constraints = constraints;
        Ok(())
    }

    /// A second track on the same source, with its own id, `enabled` and end. It starts enabled.
    pub fn clone_track(&self) -> MediaStreamTrack {
        let state = self.inner.lock();
        let inner = Arc::new(TrackInner {
            id: crate::new_id(),
            playout: Arc::default(),
            source: Arc::clone(&self.inner.source),
            state: Mutex::new(State {
                enabled: true,
                muted: state.muted,
                ready: state.ready,
                settings: state.settings.clone(),
                capabilities: state.capabilities.clone(),
                constraints: state.constraints.clone(),
                sinks: Vec::new(),
                events: Vec::new(),
                black: None,
            }),
        });
        drop(state);
        self.inner.source.attach(&inner);
        MediaStreamTrack { inner }
    }

    /// Ends this track: its consumers see their end, and its source stops unless another track needs it.
    /// No event is fired.
    pub fn stop(&self) {
        if self.inner.end(false) {
            self.inner.source.detached();
        }
    }

    /// A consumer of every frame from now on. When it reads too slowly it loses the oldest frames.
    pub fn subscribe(&self) -> FrameReceiver {
        let capacity = match self.kind() {
            MediaKind::Audio => AUDIO_QUEUE,
            MediaKind::Video => VIDEO_QUEUE,
        };
        self.subscribe_with_capacity(capacity)
    }

    /// [`subscribe`](Self::subscribe) with room for `capacity` frames.
    pub fn subscribe_with_capacity(&self, capacity: usize) -> FrameReceiver {
        let (tx, rx) = channel::bounded(capacity);
        let mut state = self.inner.lock();
        if state.ready == TrackState::Live {
            state.sinks.push(tx);
        }
        rx
    }

    /// A consumer of pictures; `None` of a track of sound.
    pub fn subscribe_video(&self) -> Option<VideoReceiver> {
        (self.kind() == MediaKind::Video).then(|| VideoReceiver::new(self.subscribe()))
    }

    /// A consumer of sound; `None` of a track of pictures.
    pub fn subscribe_audio(&self) -> Option<AudioReceiver> {
        (self.kind() == MediaKind::Audio).then(|| AudioReceiver::new(self.subscribe()))
    }

    /// Who plays the track, and how that goes.
    pub fn playout(&self) -> &Arc<TrackPlayout> {
        &self.inner.playout
    }

    /// What happens to the track from now on. It ends when the track does.
    pub fn events(&self) -> Receiver<TrackEvent> {
        let (tx, rx) = channel::bounded(EVENT_QUEUE);
        let mut state = self.inner.lock();
        if state.ready == TrackState::Live {
            state.events.push(tx);
        }
        rx
    }
}

impl PartialEq for MediaStreamTrack {
    /// Whether both are handles to the same track.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for MediaStreamTrack {}

impl fmt::Debug for MediaStreamTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("MediaStreamTrack")
            .field("id", &self.inner.id)
            .field("kind", &self.inner.source.kind())
            .field("label", &self.inner.source.label())
            .field("enabled", &state.enabled)
            .field("muted", &state.muted)
            .field("ready_state", &state.ready)
            .finish_non_exhaustive()
    }
}

/// Locks are taken in this order: the source's list of tracks, then a track's state.
struct TrackInner {
    id: String,
    playout: Arc<TrackPlayout>,
    source: Arc<Source>,
    state: Mutex<State>,
}

struct State {
    enabled: bool,
    muted: bool,
    ready: TrackState,
    settings: MediaTrackSettings,
    capabilities: MediaTrackCapabilities,
    constraints: MediaTrackConstraints,
    sinks: Vec<Sender<Frame>>,
    events: Vec<Sender<TrackEvent>>,
    /// The last black picture made, to share it while the size stays.
    black: Option<VideoFrame>,
}

impl TrackInner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_live(&self) -> bool {
        self.lock().ready == TrackState::Live
    }

    fn has_consumers(&self) -> bool {
        let mut state = self.lock();
        state.sinks.retain(Sender::is_open);
        !state.sinks.is_empty()
    }

    /// Hands a frame to every consumer: black or silent when the track is disabled or muted
    /// ("zero-information-content", §4.3.1 "Media Flow").
    /// Whether there is one.
    fn deliver(&self, frame: &Frame) -> bool {
        let mut state = self.lock();
        if state.ready == TrackState::Ended || state.sinks.is_empty() {
            return false;
        }
        let frame = if state.enabled && !state.muted {
            frame.clone()
        } else {
            state.blank(frame)
        };
        state.sinks.retain(|sink| sink.send(frame.clone()));
        !state.sinks.is_empty()
    }

    fn set_muted(&self, muted: bool) {
        let mut state = self.lock();
        if state.muted == muted || state.ready == TrackState::Ended {
            return;
        }
        state.muted = muted;
        let event = if muted {
            TrackEvent::Mute
        } else {
            TrackEvent::Unmute
        };
        state.events.retain(|sink| sink.send(event));
    }

    fn set_settings(&self, settings: &MediaTrackSettings) {
        self.lock().settings = settings.clone();
    }

    /// Ends the track, with the event unless the application asked for it. False when it had ended before.
    fn end(&self, fire: bool) -> bool {
        let mut state = self.lock();
        if state.ready == TrackState::Ended {
            return false;
        }
        state.ready = TrackState::Ended;
        let sinks = std::mem::take(&mut state.sinks);
        let events = std::mem::take(&mut state.events);
        state.black = None;
        drop(state);
        if fire {
            for sink in &events {
                sink.send(TrackEvent::Ended);
            }
        }
        drop((sinks, events));
        true
    }
}

impl Drop for TrackInner {
    fn drop(&mut self) {
        if self.end(false) {
            self.source.detached();
        }
    }
}

impl State {
    fn blank(&mut self, frame: &Frame) -> Frame {
        match frame {
            Frame::Audio(sound) => Frame::Audio(AudioFrame::silence(
                sound.frames(),
                sound.sample_rate(),
                sound.channels(),
                sound.timestamp(),
            )),
            Frame::Video(picture) => {
                let (width, height) = (picture.width(), picture.height());
                let black = self
                    .black
                    .take()
                    .filter(|black| (black.width(), black.height()) == (width, height))
                    .or_else(|| VideoFrame::black(width, height, picture.timestamp()).ok());
                // A picture that exists has a size that a black one can have.
                let black = black.unwrap_or_else(|| picture.clone());
                self.black = Some(black.clone());
                Frame::Video(
                    black
                        .with_timestamp(picture.timestamp())
                        .with_rotation(picture.rotation()),
                )
            }
        }
    }
}
