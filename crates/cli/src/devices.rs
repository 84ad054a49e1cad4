//! Cameras, microphones and speakers of this machine.

use std::sync::Arc;

use media::MediaStream;
use media_capture::playout::{Speaker, SpeakerOptions};
use media_capture::{MediaDevices, MediaStreamConstraints, Synthetic, enumerate_devices};

use crate::Failure;

/// `rtc devices`.
pub(crate) async fn list() -> Result<(), Failure> {
    let devices = tokio::task::spawn_blocking(enumerate_devices).await?;
    for device in devices {
        let note = if device.synthetic {
            " (synthetic: there is no device)"
        } else {
            ""
        };
        println!(
            "{:<12} {}{note}\n             {}",
            device.kind.as_str(),
            device.label,
            device.device_id
        );
    }
    Ok(())
}

/// A camera and a microphone, or the synthetic ones in place of what is missing; says which.
pub(crate) async fn open(synthetic: bool) -> Result<MediaStream, Failure> {
    let when = if synthetic {
        Synthetic::Only
    } else {
        Synthetic::WhenMissing
    };
    let constraints = MediaStreamConstraints {
        audio: Some(media::MediaTrackConstraints::default()),
        video: Some(media::MediaTrackConstraints::video(640, 480)),
    };
    let opening = move || MediaDevices::new(when).get_user_media(&constraints);
    let stream = tokio::task::spawn_blocking(opening).await??;
    for track in stream.tracks() {
        eprintln!("{}: {}", track.kind(), track.label());
    }
    Ok(stream)
}

/// The default speaker; without one, the call goes on in silence, and says so.
pub(crate) async fn speaker() -> Option<Arc<Speaker>> {
    let opening = || Speaker::open(&SpeakerOptions::default());
    match tokio::task::spawn_blocking(opening).await {
        Ok(Ok(speaker)) => {
            eprintln!("speaker: {}", speaker.info().label);
            Some(Arc::new(speaker))
        }
        Ok(Err(error)) => {
            eprintln!("no speaker: {error}");
            None
        }
        Err(error) => {
            eprintln!("no speaker: {error}");
            None
        }
    }
}
