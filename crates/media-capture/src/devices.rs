//! Which devices there are, and how an application gets at them: `navigator.mediaDevices`.

use crate::input::InputDevice;
use crate::input::synthetic::{SyntheticCamera, SyntheticMicrophone};
use crate::user_media::{self, GetUserMediaError, MediaStreamConstraints};
use media::{MediaStream, MediaTrackCapabilities};
use std::fmt;
use std::sync::Arc;

/// `MediaDeviceKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaDeviceKind {
    /// A microphone.
    AudioInput,
    /// A speaker.
    AudioOutput,
    /// A camera.
    VideoInput,
}

impl MediaDeviceKind {
    /// The W3C spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaDeviceKind::AudioInput => "audioinput",
            MediaDeviceKind::AudioOutput => "audiooutput",
            MediaDeviceKind::VideoInput => "videoinput",
        }
    }
}

impl fmt::Display for MediaDeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `MediaDeviceInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaDeviceInfo {
    /// Identifies the device among those of its kind, also in the next run of the program.
    pub device_id: String,
    /// What it is.
    pub kind: MediaDeviceKind,
    /// What to call it in front of a person.
    pub label: String,
    /// The same for all devices in one housing; empty when that is not known.
    pub group_id: String,
    /// Whether it only stands in for a device.
    pub synthetic: bool,
}

/// When the synthetic camera, microphone and speaker are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Synthetic {
    /// When there is no real device of the kind, or when they are asked for by their id.
    #[default]
    WhenMissing,
    /// Instead of all real devices: the same on every machine.
    Only,
    /// Never: without a device there is a `NotFoundError`.
    Never,
}

/// The devices an application may use: `navigator.mediaDevices`.
///
/// ```no_run
/// use pc_media_capture::{MediaDevices, MediaStreamConstraints};
///
/// let devices = MediaDevices::default();
/// for device in devices.enumerate_devices() {
///     println!("{}: {} ({})", device.kind, device.label, device.device_id);
/// }
/// let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
/// # Ok::<(), pc_media_capture::GetUserMediaError>(())
/// ```
#[derive(Clone, Default)]
pub struct MediaDevices {
    synthetic: Synthetic,
    camera: SyntheticCamera,
    microphone: SyntheticMicrophone,
    added: Vec<Arc<dyn InputDevice>>,
}

impl MediaDevices {
    /// All devices, and the synthetic ones as said.
    pub fn new(synthetic: Synthetic) -> Self {
        MediaDevices {
            synthetic,
            ..Default::default()
        }
    }

    /// Lets the synthetic microphone hear this tone.
    #[must_use]
    pub fn with_tone(mut self, frequency: f64) -> Self {
        self.microphone = SyntheticMicrophone::new(frequency);
        self
    }

    /// Adds a device of the application's own, such as a file. It comes before all others of its kind.
    #[must_use]
    pub fn with_device(mut self, device: impl InputDevice + 'static) -> Self {
        self.added.push(Arc::new(device));
        self
    }

    /// `enumerateDevices()`: microphones, cameras, then speakers, the system's default first. May take a moment.
    pub fn enumerate_devices(&self) -> Vec<MediaDeviceInfo> {
        let inputs = [MediaDeviceKind::AudioInput, MediaDeviceKind::VideoInput];
        let mut list: Vec<MediaDeviceInfo> = inputs
            .into_iter()
            .flat_map(|kind| self.inputs(kind))
            .map(|device| device.info())
            .collect();
        list.extend(crate::playout::speakers(self.synthetic));
        list
    }

    /// `InputDeviceInfo.getCapabilities()`: what a camera or microphone can do; `None` for one that is not there.
    pub fn capabilities(
        &self,
        kind: MediaDeviceKind,
        device_id: &str,
    ) -> Option<MediaTrackCapabilities> {
        let devices = self.inputs(kind);
        let device = devices.iter().find(|d| d.info().device_id == device_id)?;
        Some(device.capabilities())
    }

    /// `getUserMedia()`: opens the devices that fit best, one for each kind asked for.
    ///
    /// Opening a device takes a moment (up to a second): in async code, call it from a thread that may block. All
    /// tracks' timestamps count from the same moment, so that they can be played in step.
    pub fn get_user_media(
        &self,
        constraints: &MediaStreamConstraints,
    ) -> Result<MediaStream, GetUserMediaError> {
        user_media::get_user_media(self, constraints)
    }

    /// The devices of this kind, the preferred first.
    pub(crate) fn inputs(&self, kind: MediaDeviceKind) -> Vec<Arc<dyn InputDevice>> {
        let of_kind = self
            .added
            .iter()
            .filter(|device| device.info().kind == kind);
        let mut devices: Vec<Arc<dyn InputDevice>> = of_kind.cloned().collect();
        if self.synthetic != Synthetic::Only {
            devices.extend(crate::input::system(kind));
        }
        let stand_in = match self.synthetic {
            Synthetic::WhenMissing => devices.is_empty(),
            Synthetic::Only => true,
            Synthetic::Never => false,
        };
        if stand_in {
            devices.extend(self.synthetic_input(kind));
        }
        devices
    }

    /// The stand-in for this kind, if the application may have it by its id.
    pub(crate) fn synthetic_by_id(
        &self,
        kind: MediaDeviceKind,
        ids: &[String],
    ) -> Option<Arc<dyn InputDevice>> {
        let device = self.synthetic_input(kind)?;
        let wanted = ids.contains(&device.info().device_id);
        (wanted && self.synthetic != Synthetic::Never).then_some(device)
    }

    fn synthetic_input(&self, kind: MediaDeviceKind) -> Option<Arc<dyn InputDevice>> {
        match kind {
            MediaDeviceKind::AudioInput => Some(Arc::new(self.microphone)),
            MediaDeviceKind::VideoInput => Some(Arc::new(self.camera)),
            MediaDeviceKind::AudioOutput => None,
        }
    }
}

impl fmt::Debug for MediaDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaDevices")
            .field("synthetic", &self.synthetic)
            .field("added", &self.added.len())
            .finish_non_exhaustive()
    }
}

/// [`MediaDevices::enumerate_devices`] with the defaults.
pub fn enumerate_devices() -> Vec<MediaDeviceInfo> {
    MediaDevices::default().enumerate_devices()
}

/// [`MediaDevices::get_user_media`] with the defaults: real devices, and synthetic ones where there are none.
pub fn get_user_media(
    constraints: &MediaStreamConstraints,
) -> Result<MediaStream, GetUserMediaError> {
    MediaDevices::default().get_user_media(constraints)
}
