//! [`MediaStream`]: tracks that belong together.

use crate::channel::{self, Receiver, Sender};
use crate::frame::MediaKind;
use crate::track::{MediaStreamTrack, TrackState};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const EVENT_QUEUE: usize = 256;

/// What somebody other than the application did to a stream: the far end added or removed a track.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// A track was added.
    AddTrack(MediaStreamTrack),
    /// A track was removed.
    RemoveTrack(MediaStreamTrack),
}

/// Tracks that belong together, to be played in step. A handle: `Clone` gives another handle to the same stream.
#[derive(Clone)]
pub struct MediaStream {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tracks: Vec<MediaStreamTrack>,
    events: Vec<Sender<StreamEvent>>,
}

impl MediaStream {
    /// A stream of `tracks`, each once, with an id of its own.
    pub fn new(tracks: impl IntoIterator<Item = MediaStreamTrack>) -> Self {
        MediaStream::with_id(crate::new_id(), tracks)
    }

    /// A stream with a given id, as the far end named it.
    pub fn with_id(
        id: impl Into<String>,
        tracks: impl IntoIterator<Item = MediaStreamTrack>,
    ) -> Self {
        let stream = MediaStream {
            inner: Arc::new(Inner {
                id: id.into(),
                state: Mutex::default(),
            }),
        };
        for track in tracks {
            stream.add_track(&track);
        }
        stream
    }

    /// The stream's identifier.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// All tracks, in the order they were added.
    pub fn tracks(&self) -> Vec<MediaStreamTrack> {
        self.lock().tracks.clone()
    }

    /// The tracks of sound.
    pub fn audio_tracks(&self) -> Vec<MediaStreamTrack> {
        self.tracks_of(MediaKind::Audio)
    }

    /// The tracks of pictures.
    pub fn video_tracks(&self) -> Vec<MediaStreamTrack> {
        self.tracks_of(MediaKind::Video)
    }

    /// The track with this id.
    pub fn track_by_id(&self, id: &str) -> Option<MediaStreamTrack> {
        self.lock().tracks.iter().find(|t| t.id() == id).cloned()
    }

    /// Adds a track, unless it is in already. As in the browser, what the application does itself fires no event.
    pub fn add_track(&self, track: &MediaStreamTrack) {
        self.insert(track, false);
    }

    /// Takes a track out, if it is in. Fires no event.
    pub fn remove_track(&self, track: &MediaStreamTrack) {
        self.take(track, false);
    }

    /// [`add_track`](Self::add_track) on behalf of the far end: fires [`StreamEvent::AddTrack`].
    pub fn remote_add_track(&self, track: &MediaStreamTrack) {
        self.insert(track, true);
    }

    /// [`remove_track`](Self::remove_track) on behalf of the far end: fires [`StreamEvent::RemoveTrack`].
    pub fn remote_remove_track(&self, track: &MediaStreamTrack) {
        self.take(track, true);
    }

    /// Whether any track is live.
    pub fn active(&self) -> bool {
        self.lock()
            .tracks
            .iter()
            .any(|track| track.ready_state() == TrackState::Live)
    }

    /// The W3C `clone()`: another stream, with another id, of clones of the tracks.
    pub fn clone_stream(&self) -> MediaStream {
        MediaStream::new(self.tracks().iter().map(MediaStreamTrack::clone_track))
    }

    /// What others do to the stream from now on.
    pub fn events(&self) -> Receiver<StreamEvent> {
        let (tx, rx) = channel::bounded(EVENT_QUEUE);
        self.lock().events.push(tx);
        rx
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tracks_of(&self, kind: MediaKind) -> Vec<MediaStreamTrack> {
        let state = self.lock();
        let of_kind = state.tracks.iter().filter(|track| track.kind() == kind);
        of_kind.cloned().collect()
    }

    fn insert(&self, track: &MediaStreamTrack, fire: bool) {
        let mut state = self.lock();
        if !state.tracks.contains(track) {
            state.tracks.push(track.clone());
            if fire {
                let event = StreamEvent::AddTrack(track.clone());
                state.events.retain(|sink| sink.send(event.clone()));
            }
        }
    }

    fn take(&self, track: &MediaStreamTrack, fire: bool) {
        let mut state = self.lock();
        if let Some(index) = state.tracks.iter().position(|t| t == track) {
            let track = state.tracks.remove(index);
            if fire {
                let event = StreamEvent::RemoveTrack(track);
                state.events.retain(|sink| sink.send(event.clone()));
            }
        }
    }
}

impl Default for MediaStream {
    fn default() -> Self {
        MediaStream::new([])
    }
}

impl PartialEq for MediaStream {
    /// Whether both are handles to the same stream.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for MediaStream {}

impl fmt::Debug for MediaStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaStream")
            .field("id", &self.inner.id)
            .field("tracks", &self.tracks())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::TrackInit;

    #[test]
    fn holds_each_track_once_and_sorts_them_by_kind() {
        let (video, _w1) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
        let (audio, _w2) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
        let stream = MediaStream::new([video.clone(), audio.clone(), video.clone()]);
        assert_eq!(stream.tracks(), [video.clone(), audio.clone()]);
        assert_eq!(stream.audio_tracks(), std::slice::from_ref(&audio));
        assert_eq!(stream.video_tracks(), std::slice::from_ref(&video));
        assert_eq!(stream.track_by_id(audio.id()), Some(audio.clone()));
        stream.remove_track(&audio);
        assert_eq!(stream.track_by_id(audio.id()), None);
    }

    #[test]
    fn is_active_while_a_track_is_live() {
        let (video, _writer) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
        let stream = MediaStream::new([video.clone()]);
        let clone = stream.clone_stream();
        assert_ne!(stream.id(), clone.id());
        assert!(stream.active());
        video.stop();
        assert!(!stream.active());
        assert!(clone.active());
    }

    #[test]
    fn only_the_far_end_fires_events() {
        let (video, _writer) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
        let stream = MediaStream::default();
        let mut events = stream.events();
        stream.add_track(&video);
        stream.remove_track(&video);
        assert_eq!(events.try_recv(), None);
        stream.remote_add_track(&video);
        stream.remote_add_track(&video);
        stream.remote_remove_track(&video);
        assert_eq!(
            events.try_recv(),
            Some(StreamEvent::AddTrack(video.clone()))
        );
        assert_eq!(events.try_recv(), Some(StreamEvent::RemoveTrack(video)));
        assert_eq!(events.try_recv(), None);
    }
}
