//! Speakers: what a track of sound is played on.
//!
//! ```text
//! track ─ subscribe ─► PlayoutBuffer (rate, clock, jitter) ─┐
//! track ─ subscribe ─► PlayoutBuffer ───────────────────────┴─► Mixer ◄─ the device asks ─ OutputDevice
//! ```

mod buffer;
mod mixer;
mod silent;
#[cfg(feature = "cpal")]
mod system;

pub use buffer::{PlayoutBuffer, PlayoutStats};
pub use silent::SilentSpeaker;

use crate::devices::{MediaDeviceInfo, MediaDeviceKind, Synthetic};
use crate::input::OpenError;
use media::MediaStreamTrack;
use media::playout::PlayoutPath;
use mixer::{Input, Mixer};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The id that stands for whatever the system's default is.
pub const DEFAULT_ID: &str = "default";

/// How a device wants its samples: interleaved, 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFormat {
    /// Samples a second in each channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
}

/// What a device calls when it needs samples: fills all of the slice.
pub type Render = Box<dyn FnMut(&mut [i16]) + Send>;

/// A speaker.
pub trait OutputDevice: Send + Sync {
    /// What it is.
    fn info(&self) -> MediaDeviceInfo;

    /// How it wants its samples.
    fn format(&self) -> Result<OutputFormat, OpenError>;

    /// Starts it. It plays until what is returned is dropped.
    fn open(&self, format: OutputFormat, render: Render)
    -> Result<Box<dyn Send + Sync>, OpenError>;
}

/// The speakers there are, the system's default first.
fn outputs(synthetic: Synthetic) -> Vec<Box<dyn OutputDevice>> {
    let mut devices: Vec<Box<dyn OutputDevice>> = Vec::new();
    if synthetic != Synthetic::Only {
        #[cfg(feature = "cpal")]
        devices.extend(system::speakers());
    }
    let stand_in = match synthetic {
        Synthetic::WhenMissing => devices.is_empty(),
        Synthetic::Only => true,
        Synthetic::Never => false,
    };
    if stand_in {
        devices.push(Box::new(SilentSpeaker));
    }
    devices
}

pub(crate) fn speakers(synthetic: Synthetic) -> Vec<MediaDeviceInfo> {
    outputs(synthetic)
        .iter()
        .map(|device| device.info())
        .collect()
}

/// Which speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeakerOptions {
    /// This one; without it, the system's default.
    pub device_id: Option<String>,
    /// Whether silence may stand in for a device.
    pub synthetic: Synthetic,
}

/// An open speaker, which mixes any number of tracks. It falls silent when it is dropped.
///
/// ```no_run
/// use pc_media_capture::{MediaStreamConstraints, get_user_media};
/// use pc_media_capture::playout::{Speaker, SpeakerOptions};
///
/// let stream = get_user_media(&MediaStreamConstraints::audio())?;
/// let speaker = Speaker::open(&SpeakerOptions::default())?;
/// let playback = speaker.play(&stream.audio_tracks()[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Speaker {
    info: MediaDeviceInfo,
    format: OutputFormat,
    mixer: Arc<Mutex<Mixer>>,
    path: Arc<PlayoutPath>,
    _stream: Box<dyn Send + Sync>,
}

impl Speaker {
    /// Opens a speaker. Takes a moment: in async code, call it from a thread that may block.
    pub fn open(options: &SpeakerOptions) -> Result<Self, OpenError> {
        let wanted = |info: &MediaDeviceInfo| match options.device_id.as_deref() {
            None | Some(DEFAULT_ID) => true,
            Some(id) => info.device_id == id,
        };
        let device = outputs(options.synthetic)
            .into_iter()
            .find(|device| wanted(&device.info()))
            .ok_or_else(|| {
                let id = options.device_id.as_deref().unwrap_or(DEFAULT_ID);
                OpenError::NotFound(id.to_owned())
            })?;
        Speaker::on(&*device)
    }

    /// Opens a speaker of the application's own.
    pub fn on(device: &dyn OutputDevice) -> Result<Self, OpenError> {
        let info = device.info();
        let format = device.format()?;
        let path = PlayoutPath::new();
        let mixer = Arc::new(Mutex::new(Mixer::new(format, Arc::clone(&path))));
        let rendered = Arc::clone(&mixer);
        let render: Render = Box::new(move |out| lock(&rendered).render(out));
        let stream = device.open(format, render)?;
        if info.synthetic {
            tracing::info!(
                label = info.label,
                "no speaker is used: this one is synthetic"
            );
        } else {
            tracing::info!(
                label = info.label,
                id = info.device_id,
                ?format,
                "speaker opened"
            );
        }
        Ok(Speaker {
            info,
            format,
            mixer,
            path,
            _stream: stream,
        })
    }

    /// What it is.
    pub fn info(&self) -> &MediaDeviceInfo {
        &self.info
    }

    /// How it plays.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Plays a track beside those that play already, until it ends or is [stopped](Playback::stop).
    /// `None` of a track of pictures.
    pub fn play(&self, track: &MediaStreamTrack) -> Option<Playback> {
        let (input, playback) = Input::new(track, self.format, &self.path)?;
        lock(&self.mixer).add(input);
        Some(Playback { shared: playback })
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker")
            .field("info", &self.info)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// A track that plays. Dropping this changes nothing.
#[derive(Clone, Debug)]
pub struct Playback {
    shared: Arc<Mutex<mixer::Shared>>,
}

impl Playback {
    /// Plays it no more.
    pub fn stop(&self) {
        lock(&self.shared).stopped = true;
    }

    /// How loud, 1.0 being as it comes; from 0.0 to 4.0.
    pub fn set_volume(&self, volume: f32) {
        lock(&self.shared).volume = volume.clamp(0.0, 4.0);
    }

    /// How it went so far.
    pub fn stats(&self) -> PlayoutStats {
        lock(&self.shared).stats
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all kinds of speakers say of themselves.
fn info(device_id: &str, label: String, synthetic: bool) -> MediaDeviceInfo {
    MediaDeviceInfo {
        device_id: device_id.to_owned(),
        kind: MediaDeviceKind::AudioOutput,
        label,
        group_id: String::new(),
        synthetic,
    }
}
