//! The synthetic camera and microphone, through `get_user_media`.

use media::{
    Constrain, ConstrainString, MediaStreamTrack, MediaTrackConstraints, TrackState, VideoFrame,
};
use pc_media_capture::input::synthetic::{CAMERA_ID, MICROPHONE_ID};
use pc_media_capture::{
    GetUserMediaError, MediaDeviceKind, MediaDevices, MediaStreamConstraints, Synthetic, testcard,
    tone,
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn devices() -> MediaDevices {
    MediaDevices::new(Synthetic::Only)
}

fn camera(constraints: MediaTrackConstraints) -> Result<MediaStreamTrack, GetUserMediaError> {
    let constraints = MediaStreamConstraints {
        video: Some(constraints),
        audio: None,
    };
    Ok(devices()
        .get_user_media(&constraints)?
        .video_tracks()
        .remove(0))
}

fn microphone(constraints: MediaTrackConstraints) -> Result<MediaStreamTrack, GetUserMediaError> {
    let constraints = MediaStreamConstraints {
        audio: Some(constraints),
        video: None,
    };
    let devices = devices().with_tone(1_000.0);
    Ok(devices
        .get_user_media(&constraints)?
        .audio_tracks()
        .remove(0))
}

fn pictures(track: &MediaStreamTrack, count: usize) -> Vec<VideoFrame> {
    let mut receiver = track.subscribe_video().unwrap();
    (0..count)
        .map(|_| receiver.recv_timeout(PATIENCE).unwrap())
        .collect()
}

#[test]
fn the_camera_counts_its_pictures_and_says_what_it_is() {
    let track = camera(MediaTrackConstraints {
        frame_rate: 100.0.into(),
        ..MediaTrackConstraints::video(320, 240)
    })
    .unwrap();
    assert_eq!(track.label(), "Synthetic camera (test card)");
    let settings = track.settings();
    assert_eq!((settings.width, settings.height), (Some(320), Some(240)));
    assert_eq!(settings.frame_rate, Some(100.0));
    let pictures = pictures(&track, 10);
    let counters: Vec<u32> = pictures
        .iter()
        .map(|picture| testcard::read_counter(picture).unwrap())
        .collect();
    assert!(counters.is_sorted_by(|a, b| a < b), "{counters:?}");
    assert!(pictures.is_sorted_by(|a, b| a.timestamp() < b.timestamp()));
    assert!(
        pictures
            .iter()
            .all(|p| (p.width(), p.height()) == (320, 240))
    );
}

#[test]
fn the_microphone_hears_its_tone() {
    let track = microphone(MediaTrackConstraints {
        sample_rate: Constrain::exact(44_100),
        channel_count: 2.into(),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(track.label(), "Synthetic microphone (1000 Hz tone)");
    let mut receiver = track.subscribe_audio().unwrap();
    for _ in 0..5 {
        let sound = receiver.recv_timeout(PATIENCE).unwrap();
        assert_eq!((sound.sample_rate(), sound.channels()), (44_100, 2));
        assert_eq!(sound.duration(), Duration::from_millis(10));
        assert!((tone::strength(&sound, 1_000.0) - 0.25).abs() < 0.02);
    }
}

#[test]
fn settings_may_change_while_it_runs() {
    let track = camera(MediaTrackConstraints::video(160, 120)).unwrap();
    assert_eq!(pictures(&track, 1)[0].width(), 160);
    track
        .apply_constraints(MediaTrackConstraints::video(320, 180))
        .unwrap();
    assert_eq!(track.settings().width, Some(320));
    // A picture of the old size may be on its way.
    let last = pictures(&track, 3).pop().unwrap();
    assert_eq!((last.width(), last.height()), (320, 180));
    let impossible = MediaTrackConstraints {
        frame_rate: Constrain::at_least(1_000.0),
        ..Default::default()
    };
    let refused = track.apply_constraints(impossible).unwrap_err();
    assert_eq!(refused.constraint, "frameRate");
}

#[test]
fn an_impossible_demand_is_named() {
    let refused = |error| match error {
        Err(GetUserMediaError::Overconstrained(error)) => error.constraint,
        other => panic!("{other:?}"),
    };
    let wide = MediaTrackConstraints {
        width: Constrain::at_least(10_000),
        ..Default::default()
    };
    assert_eq!(refused(camera(wide.clone())), "width");
    // It is not a property of sound.
    assert!(microphone(wide).is_ok());
    let elsewhere = MediaTrackConstraints {
        device_id: ConstrainString::exact("no such camera"),
        ..Default::default()
    };
    assert_eq!(refused(camera(elsewhere)), "deviceId");
    let shrill = MediaTrackConstraints {
        sample_rate: Constrain::exact(1_000_000),
        ..Default::default()
    };
    assert_eq!(refused(microphone(shrill)), "sampleRate");
}

#[test]
fn what_is_not_asked_for_or_not_there_has_its_own_error() {
    let nothing = devices().get_user_media(&MediaStreamConstraints::default());
    assert_eq!(nothing.unwrap_err().name(), "TypeError");
}

#[test]
fn the_list_of_devices_has_what_get_user_media_opens() {
    let devices = devices();
    let list = devices.enumerate_devices();
    let ids = |kind| -> Vec<&str> {
        let of_kind = list.iter().filter(|device| device.kind == kind);
        of_kind.map(|device| device.device_id.as_str()).collect()
    };
    assert_eq!(ids(MediaDeviceKind::AudioInput), [MICROPHONE_ID]);
    assert_eq!(ids(MediaDeviceKind::VideoInput), [CAMERA_ID]);
    assert!(list.iter().all(|device| device.synthetic));
    let capabilities = devices
        .capabilities(MediaDeviceKind::VideoInput, CAMERA_ID)
        .unwrap();
    assert_eq!(capabilities.frame_rate, Some((1.0, 120.0)));
}

#[test]
fn a_synthetic_device_can_be_had_by_its_id_whatever_else_there_is() {
    let by_id = MediaStreamConstraints {
        video: Some(MediaTrackConstraints {
            device_id: ConstrainString::exact(CAMERA_ID),
            ..Default::default()
        }),
        audio: None,
    };
    let stream = MediaDevices::default().get_user_media(&by_id).unwrap();
    let settings = stream.video_tracks()[0].settings();
    assert_eq!(settings.device_id.as_deref(), Some(CAMERA_ID));
}

#[test]
fn sound_and_pictures_share_their_clock_and_end_when_stopped() {
    let stream = devices()
        .get_user_media(&MediaStreamConstraints::audio_and_video())
        .unwrap();
    let (audio, video) = (&stream.audio_tracks()[0], &stream.video_tracks()[0]);
    let (mut sound, mut picture) = (audio.subscribe(), video.subscribe());
    let (a, v) = (
        sound.recv_timeout(PATIENCE).unwrap().timestamp(),
        picture.recv_timeout(PATIENCE).unwrap().timestamp(),
    );
    assert!(a.abs_diff(v) < Duration::from_secs(2), "{a:?} {v:?}");
    for track in stream.tracks() {
        track.stop();
        assert_eq!(track.ready_state(), TrackState::Ended);
    }
    while sound.recv_blocking().is_some() {}
    assert!(!stream.active());
}
