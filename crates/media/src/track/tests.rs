use super::*;
use crate::constraints::{Constrain, select_settings};
use std::time::Duration;

fn video() -> (MediaStreamTrack, TrackWriter) {
    MediaStreamTrack::new(
        MediaKind::Video,
        TrackInit {
            label: "a camera".into(),
            settings: MediaTrackSettings {
                width: Some(64),
                height: Some(48),
                device_id: Some("cam".into()),
                ..Default::default()
            },
            ..Default::default()
        },
    )
}

fn white(millis: u64) -> VideoFrame {
    let mut buffer = crate::frame::I420Buffer::new(64, 48).unwrap();
    buffer.planes_mut()[0].fill(235);
    buffer.freeze(Duration::from_millis(millis))
}

#[test]
fn many_consumers_share_the_same_picture() {
    let (track, writer) = video();
    let mut one = track.subscribe_video().unwrap();
    let mut two = track.subscribe_video().unwrap();
    let frame = white(1);
    writer.write(frame.clone()).unwrap();
    let (a, b) = (one.try_recv().unwrap(), two.try_recv().unwrap());
    assert_eq!(a, b);
    assert_eq!(a.y().data().as_ptr(), frame.y().data().as_ptr());
    assert!(track.subscribe_audio().is_none());
}

#[test]
fn a_slow_consumer_loses_the_oldest_and_delays_nobody() {
    let (track, writer) = video();
    let mut slow = track.subscribe_video().unwrap();
    let mut quick = track.subscribe_video().unwrap();
    for i in 0..10 {
        writer.write(white(i)).unwrap();
        assert!(quick.try_recv().is_some());
    }
    assert_eq!((slow.dropped(), quick.dropped()), (6, 0));
    assert_eq!(
        slow.try_recv().unwrap().timestamp(),
        Duration::from_millis(6)
    );
}

#[test]
fn a_disabled_track_gives_black_and_its_clone_does_not() {
    let (track, writer) = video();
    let clone = track.clone_track();
    assert_ne!(track.id(), clone.id());
    let mut dark = track.subscribe_video().unwrap();
    let mut bright = clone.subscribe_video().unwrap();
    track.set_enabled(false);
    for i in 0..2 {
        writer.write(white(i)).unwrap();
        let black = dark.try_recv().unwrap();
        assert_eq!(black.mean_luma(), 16.0);
        assert_eq!((black.width(), black.height()), (64, 48));
        assert_eq!(black.timestamp(), Duration::from_millis(i));
        assert_eq!(bright.try_recv().unwrap().mean_luma(), 235.0);
    }
    track.set_enabled(true);
    writer.write(white(3)).unwrap();
    assert_eq!(dark.try_recv().unwrap().mean_luma(), 235.0);
}

#[test]
fn a_disabled_microphone_is_silent() {
    let (track, writer) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let mut consumer = track.subscribe_audio().unwrap();
    track.set_enabled(false);
    let loud = AudioFrame::new(vec![9000; 960], 48_000, 2, Duration::ZERO).unwrap();
    writer.write(loud).unwrap();
    let silent = consumer.try_recv().unwrap();
    assert_eq!(
        (silent.rms(), silent.frames(), silent.channels()),
        (0.0, 480, 2)
    );
}

#[test]
fn muting_fires_events_once_and_blanks() {
    let (track, writer) = video();
    let mut events = track.events();
    let mut consumer = track.subscribe_video().unwrap();
    writer.set_muted(true);
    writer.set_muted(true);
    assert!(track.muted());
    assert!(track.clone_track().muted());
    writer.write(white(0)).unwrap();
    assert_eq!(consumer.try_recv().unwrap().mean_luma(), 16.0);
    writer.set_muted(false);
    assert_eq!(events.try_recv(), Some(TrackEvent::Mute));
    assert_eq!(events.try_recv(), Some(TrackEvent::Unmute));
    assert_eq!(events.try_recv(), None);
}

#[test]
fn stopping_the_last_track_stops_the_source_without_an_event() {
    let (track, writer) = video();
    let clone = track.clone_track();
    let mut events = track.events();
    let mut consumer = track.subscribe();
    track.stop();
    assert_eq!(track.ready_state(), TrackState::Ended);
    assert!(!writer.is_stopped());
    assert!(!writer.stopped_timeout(Duration::ZERO));
    assert!(writer.write(white(0)).is_ok());
    assert!(consumer.recv_blocking().is_none());
    assert_eq!((events.try_recv(), events.is_ended()), (None, true));
    clone.stop();
    assert!(writer.is_stopped());
    assert_eq!(writer.write(white(0)), Err(SourceStopped));
    assert!(writer.stopped_timeout(Duration::ZERO));
    writer.stopped_blocking();
}

#[test]
fn dropping_every_handle_stops_the_source() {
    let (track, writer) = video();
    let clone = track.clone_track();
    drop(track);
    assert!(!writer.is_stopped());
    drop(clone);
    assert!(writer.is_stopped());
}

#[test]
fn a_source_that_goes_ends_its_tracks_with_an_event() {
    let (track, writer) = video();
    let mut events = track.events();
    writer.end();
    assert_eq!(track.ready_state(), TrackState::Ended);
    assert_eq!(events.recv_blocking(), Some(TrackEvent::Ended));
    assert_eq!(events.recv_blocking(), None);
    assert!(track.subscribe().recv_blocking().is_none());
    assert_eq!(track.clone_track().ready_state(), TrackState::Ended);
}

#[test]
fn an_ended_track_keeps_only_what_is_inherent() {
    let (track, _writer) = video();
    assert_eq!(track.settings().width, Some(64));
    track.stop();
    let settings = track.settings();
    assert_eq!(
        (settings.width, settings.device_id.as_deref()),
        (None, Some("cam"))
    );
    let impossible = MediaTrackConstraints {
        width: Constrain::exact(1),
        ..Default::default()
    };
    assert_eq!(track.apply_constraints(impossible), Ok(()));
}

#[test]
fn constraints_go_to_the_source() {
    struct Camera;
    impl SourceControl for Camera {
        fn apply(
            &self,
            constraints: &MediaTrackConstraints,
        ) -> Result<MediaTrackSettings, OverconstrainedError> {
            let modes = [64, 32].map(|width| MediaTrackSettings {
                width: Some(width),
                ..Default::default()
            });
            Ok(modes[select_settings(&modes, constraints)?].clone())
        }
    }
    let (track, _writer) = MediaStreamTrack::new(
        MediaKind::Video,
        TrackInit {
            control: Some(Arc::new(Camera)),
            ..Default::default()
        },
    );
    let exactly = |width| MediaTrackConstraints {
        width: Constrain::exact(width),
        ..Default::default()
    };
    track.apply_constraints(exactly(32)).unwrap();
    assert_eq!(track.settings().width, Some(32));
    let refused = track.apply_constraints(exactly(33)).unwrap_err();
    assert_eq!(refused.constraint, "width");
    assert_eq!(track.constraints(), exactly(32));
}

#[test]
fn a_source_knows_whether_anybody_looks() {
    let (track, writer) = video();
    assert!(!writer.has_consumers());
    let consumer = track.subscribe();
    assert!(writer.has_consumers());
    drop(consumer);
    assert!(!writer.has_consumers());
}
