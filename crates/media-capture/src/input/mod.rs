//! Cameras and microphones, whatever is behind them: one trait, [`InputDevice`].

#[cfg(any(feature = "file", all(feature = "v4l2", target_os = "linux")))]
mod adapter;
mod choices;
mod control;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "cpal")]
mod microphone;
pub mod synthetic;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
mod v4l2;

use control::Control;

use crate::devices::{MediaDeviceInfo, MediaDeviceKind};
use media::{
    MediaKind, MediaStreamTrack, MediaTrackCapabilities, MediaTrackConstraints, MediaTrackSettings,
    TrackInit, TrackWriter,
};
use std::sync::Arc;
use std::time::Instant;

/// A camera or a microphone.
pub trait InputDevice: Send + Sync {
    /// What it is.
    fn info(&self) -> MediaDeviceInfo;

    /// What it can do.
    fn capabilities(&self) -> MediaTrackCapabilities;

    /// The settings it offers to someone with these constraints, the ones it would choose itself first. They need
    /// not satisfy the constraints; but when any of its settings does, one that does is among them.
    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings>;

    /// Starts it. Its frames' timestamps are the time since `epoch`.
    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError>;
}

/// A device that does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is not there (any more).
    #[error("there is no such device: {0}")]
    NotFound(String),
    /// The system does not let us.
    #[error("the system does not allow it: {0}")]
    NotAllowed(String),
    /// It is there, but does not work, or somebody else has it.
    #[error("the device cannot be read: {0}")]
    NotReadable(String),
}

/// The real devices of a kind, the system's default first.
pub(crate) fn system(kind: MediaDeviceKind) -> Vec<Arc<dyn InputDevice>> {
    match kind {
        #[cfg(feature = "cpal")]
        MediaDeviceKind::AudioInput => microphone::microphones(),
        #[cfg(all(feature = "v4l2", target_os = "linux"))]
        MediaDeviceKind::VideoInput => v4l2::cameras(),
        _ => Vec::new(),
    }
}

/// Makes the track, and a thread that feeds it until it is stopped.
fn start_thread<D: InputDevice + Clone + 'static>(
    device: D,
    kind: MediaKind,
    settings: MediaTrackSettings,
    constraints: MediaTrackConstraints,
    run: impl FnOnce(TrackWriter, Arc<Control>) + Send + 'static,
) -> Result<MediaStreamTrack, OpenError> {
    let info = device.info();
    let capabilities = device.capabilities();
    let control = Control::new(settings.clone(), move |c| device.possible_settings(c));
    let (track, writer) = MediaStreamTrack::new(
        kind,
        TrackInit {
            label: info.label,
            settings,
            capabilities,
            constraints,
            control: Some(control.clone()),
            ..Default::default()
        },
    );
    std::thread::Builder::new()
        .name(info.device_id)
        .spawn(move || run(writer, control))
        .map_err(|error| OpenError::NotReadable(error.to_string()))?;
    Ok(track)
}
