//! `getUserMedia()` (Media Capture and Streams, "Obtaining local multimedia content").

use crate::devices::{MediaDeviceKind, MediaDevices};
use crate::input::{InputDevice, OpenError};
use media::constraints::{fitness_distance, select_settings};
use media::{
    ConstraintSet, MediaKind, MediaStream, MediaStreamTrack, MediaTrackConstraints,
    MediaTrackSettings, OverconstrainedError,
};
use std::sync::Arc;
use std::time::Instant;

/// `MediaStreamConstraints`: which kinds of media, and what of each. `Some(Default::default())` is the browser's
/// `true`, `None` its `false`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaStreamConstraints {
    /// Sound.
    pub audio: Option<MediaTrackConstraints>,
    /// Pictures.
    pub video: Option<MediaTrackConstraints>,
}

impl MediaStreamConstraints {
    /// Any microphone.
    pub fn audio() -> Self {
        MediaStreamConstraints {
            audio: Some(MediaTrackConstraints::default()),
            video: None,
        }
    }

    /// Any camera.
    pub fn video() -> Self {
        MediaStreamConstraints {
            audio: None,
            video: Some(MediaTrackConstraints::default()),
        }
    }

    /// Any microphone and any camera.
    pub fn audio_and_video() -> Self {
        MediaStreamConstraints {
            audio: Some(MediaTrackConstraints::default()),
            video: Some(MediaTrackConstraints::default()),
        }
    }
}

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetUserMediaError {
    /// Neither sound nor pictures were asked for.
    #[error("neither audio nor video was asked for")]
    NothingRequested,
    /// There is no device of this kind.
    #[error("there is no {0} device")]
    NotFound(MediaKind),
    /// No device does what was demanded.
    #[error(transparent)]
    Overconstrained(#[from] OverconstrainedError),
    /// The system does not let this program use the device.
    #[error("{device} may not be used: {problem}")]
    NotAllowed {
        /// Its label.
        device: String,
        /// What the system says.
        problem: String,
    },
    /// The device does not work, or somebody else has it.
    #[error("{device} cannot be read: {problem}")]
    NotReadable {
        /// Its label.
        device: String,
        /// What the system says.
        problem: String,
    },
}

impl GetUserMediaError {
    /// The name of the browser's error for the same reason.
    pub fn name(&self) -> &'static str {
        match self {
            GetUserMediaError::NothingRequested => "TypeError",
            GetUserMediaError::NotFound(_) => "NotFoundError",
            GetUserMediaError::Overconstrained(_) => "OverconstrainedError",
            GetUserMediaError::NotAllowed { .. } => "NotAllowedError",
            GetUserMediaError::NotReadable { .. } => "NotReadableError",
        }
    }
}

pub(crate) fn get_user_media(
    devices: &MediaDevices,
    constraints: &MediaStreamConstraints,
) -> Result<MediaStream, GetUserMediaError> {
    if constraints.audio.is_none() && constraints.video.is_none() {
        return Err(GetUserMediaError::NothingRequested);
    }
    let audio = constraints.audio.as_ref().map(|c| select_audio(devices, c));
    let video = constraints.video.as_ref().map(|c| select_video(devices, c));
    // Everything is known to be possible before any light goes on.
    let (audio, video) = (audio.transpose()?, video.transpose()?);
    let epoch = Instant::now();
    let stream = MediaStream::default();
    for selection in [audio, video].into_iter().flatten() {
        stream.add_track(&selection.open(epoch)?);
    }
    Ok(stream)
}

fn select_audio(
    devices: &MediaDevices,
    constraints: &MediaTrackConstraints,
) -> Result<Selection, GetUserMediaError> {
    // Step 3.3 of the algorithm: what is not a property of the kind is ignored.
    let ignored = ConstraintSet::default();
    let constraints = MediaTrackConstraints {
        width: ignored.width,
        height: ignored.height,
        aspect_ratio: ignored.aspect_ratio,
        frame_rate: ignored.frame_rate,
        facing_mode: ignored.facing_mode,
        ..constraints.clone()
    };
    select(
        devices,
        MediaDeviceKind::AudioInput,
        MediaKind::Audio,
        constraints,
    )
}

fn select_video(
    devices: &MediaDevices,
    constraints: &MediaTrackConstraints,
) -> Result<Selection, GetUserMediaError> {
    let ignored = ConstraintSet::default();
    let constraints = MediaTrackConstraints {
        sample_rate: ignored.sample_rate,
        sample_size: ignored.sample_size,
        channel_count: ignored.channel_count,
        latency: ignored.latency,
        ..constraints.clone()
    };
    select(
        devices,
        MediaDeviceKind::VideoInput,
        MediaKind::Video,
        constraints,
    )
}

/// The devices that satisfy the constraints, the best first.
struct Selection {
    constraints: MediaTrackConstraints,
    candidates: Vec<Candidate>,
}

struct Candidate {
    device: Arc<dyn InputDevice>,
    settings: MediaTrackSettings,
    distance: f64,
}

/// Steps 3.1 to 3.5: a candidate for each device that has settings which satisfy the constraints.
fn select(
    devices: &MediaDevices,
    device_kind: MediaDeviceKind,
    kind: MediaKind,
    constraints: MediaTrackConstraints,
) -> Result<Selection, GetUserMediaError> {
    let ids = [
        &constraints.device_id.exact[..],
        &constraints.device_id.ideal[..],
    ]
    .concat();
    let mut inputs = devices.inputs(device_kind);
    let known = |id| inputs.iter().any(|device| device.info().device_id == id);
    if let Some(device) = devices.synthetic_by_id(device_kind, &ids)
        && !known(device.info().device_id)
    {
        inputs.push(device);
    }
    if inputs.is_empty() {
        return Err(GetUserMediaError::NotFound(kind));
    }
    let basic = constraints.basic();
    let mut candidates = Vec::new();
    let mut examined = Vec::new();
    for device in inputs {
        let mut possible = device.possible_settings(&constraints);
        match select_settings(&possible, &constraints) {
            Ok(index) => {
                let settings = possible.swap_remove(index);
                let distance = fitness_distance(&settings, &basic);
                candidates.push(Candidate {
                    device,
                    settings,
                    distance,
                });
            }
            Err(_) => examined.append(&mut possible),
        }
    }
    if candidates.is_empty() {
        // No device does, so all settings together do not; the error names what none of them meets.
        select_settings(&examined, &constraints)?;
    }
    // Stable: between equals, the order of the devices decides.
    candidates.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    Ok(Selection {
        constraints,
        candidates,
    })
}

impl Selection {
    /// Step 9: the first candidate that opens.
    fn open(self, epoch: Instant) -> Result<MediaStreamTrack, GetUserMediaError> {
        let mut failure = None;
        for candidate in self.candidates {
            let info = candidate.device.info();
            let settings = candidate.settings;
            match candidate
                .device
                .open(settings.clone(), self.constraints.clone(), epoch)
            {
                Ok(track) => {
                    if info.synthetic {
                        tracing::info!(kind = %info.kind, label = info.label, "no device is used: this one is synthetic");
                    } else {
                        tracing::info!(kind = %info.kind, label = info.label, id = info.device_id, "device opened");
                    }
                    tracing::debug!(?settings, "chosen settings");
                    return Ok(track);
                }
                Err(error) => {
                    tracing::warn!(label = info.label, %error, "a device does not open");
                    failure.get_or_insert((info.label, error));
                }
            }
        }
        Err(match failure {
            Some((device, OpenError::NotAllowed(problem))) => {
                GetUserMediaError::NotAllowed { device, problem }
            }
            Some((device, OpenError::NotReadable(problem) | OpenError::NotFound(problem))) => {
                GetUserMediaError::NotReadable { device, problem }
            }
            // A selection without candidates is never made.
            None => GetUserMediaError::Overconstrained(OverconstrainedError::new("", "no device")),
        })
    }
}
