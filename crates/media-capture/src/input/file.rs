//! Files as devices: a Y4M file as a camera, a WAV file as a microphone.
//!
//! ```no_run
//! use pc_media_capture::input::file::VideoFile;
//! use pc_media_capture::{MediaDevices, MediaStreamConstraints};
//!
//! let devices = MediaDevices::default().with_device(VideoFile::open("street.y4m")?);
//! let stream = devices.get_user_media(&MediaStreamConstraints::video())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::adapter::{Adapter, Modes, crop_and_scale, mode};
use super::choices::{AudioMode, AudioRange, VideoMode, audio_modes};
use super::{Control, InputDevice, OpenError, start_thread};
use crate::devices::{MediaDeviceInfo, MediaDeviceKind};
use media::{
    AudioConverter, AudioFrame, I420Buffer, MediaKind, MediaStreamTrack, MediaTrackCapabilities,
    MediaTrackConstraints, MediaTrackSettings, TrackWriter, VideoFrame,
};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that cannot stand in for a device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened.
    #[error("{path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path} is no {expected}: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
}

type Decoder = y4m::Decoder<BufReader<File>>;

/// A Y4M file (8 bits, 4:2:0 or grey) as a camera.
#[derive(Clone, Debug)]
pub struct VideoFile {
    path: PathBuf,
    modes: Modes,
    repeat: bool,
}

impl VideoFile {
    /// The file as a camera, which begins anew at its end.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let decoder = open_y4m(&path)?;
        let rate = decoder.get_framerate();
        let frame_rate = rate.num as f64 / rate.den as f64;
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let native = VideoMode {
            width: side(decoder.get_width()),
            height: side(decoder.get_height()),
            frame_rate,
        };
        let refuse = |problem: &str| FileError::Format {
            path: path.clone(),
            expected: "Y4M file",
            problem: problem.to_owned(),
        };
        if !(frame_rate > 0.0 && frame_rate <= 1_000.0) {
            return Err(refuse("it has no frame rate"));
        }
        if I420Buffer::new(native.width, native.height).is_err() {
            return Err(refuse("its pictures are too large"));
        }
        if planes(decoder.get_colorspace()).is_none() {
            return Err(refuse("only 8-bit 4:2:0 and grey are understood"));
        }
        Ok(VideoFile {
            path,
            modes: Modes::new(vec![native]),
            repeat: true,
        })
    }

    /// Whether it begins anew at its end; otherwise the track ends there.
    #[must_use]
    pub fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }
}

impl InputDevice for VideoFile {
    fn info(&self) -> MediaDeviceInfo {
        info(&self.path, MediaDeviceKind::VideoInput)
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            device_id: Some(id(&self.path)),
            ..self.modes.capabilities()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        let modes = self.modes.possible(constraints).into_iter();
        modes
            .map(|mode| MediaTrackSettings {
                width: Some(mode.width),
                height: Some(mode.height),
                frame_rate: Some(mode.frame_rate),
                device_id: Some(id(&self.path)),
                ..Default::default()
            })
            .collect()
    }

    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError> {
        let this = self.clone();
        let decoder = open_y4m(&self.path).map_err(|e| OpenError::NotReadable(e.to_string()))?;
        start_thread(
            self.clone(),
            MediaKind::Video,
            settings,
            constraints,
            move |writer, control| {
                if let Err(error) = this.show(decoder, &writer, &control, epoch) {
                    tracing::warn!(path = %this.path.display(), %error, "the file ends early");
                }
            },
        )
    }
}

impl VideoFile {
    fn show(
        &self,
        mut decoder: Decoder,
        writer: &TrackWriter,
        control: &Control,
        epoch: Instant,
    ) -> Result<(), FileError> {
        let rate = decoder.get_framerate();
        let interval = Duration::from_secs_f64(rate.den as f64 / rate.num as f64);
        let mut adapter = Adapter::default();
        let mut due = epoch.elapsed();
        let mut shown = 0_u64;
        while !writer.stopped_timeout(due.saturating_sub(epoch.elapsed())) {
            let picture = match next_picture(&mut decoder, due) {
                Ok(picture) => picture,
                Err(y4m::Error::EOF) if self.repeat && shown > 0 => {
                    decoder = open_y4m(&self.path)?;
                    continue;
                }
                Err(y4m::Error::EOF) => return Ok(()),
                Err(error) => return Err(y4m_error(&self.path, &error)),
            };
            shown += 1;
            let wanted = mode(&control.current());
            if !adapter.is_surplus(due, wanted) {
                let Ok(picture) = crop_and_scale(&picture, wanted) else {
                    return Ok(());
                };
                if writer.write(picture).is_err() {
                    return Ok(());
                }
            }
            due += interval;
        }
        Ok(())
    }
}

/// The chroma planes of a colour space; `None` if it is not understood.
fn planes(space: y4m::Colorspace) -> Option<usize> {
    use y4m::Colorspace as C;
    match space {
        C::C420 | C::C420jpeg | C::C420paldv | C::C420mpeg2 => Some(2),
        C::Cmono => Some(0),
        _ => None,
    }
}

fn next_picture(decoder: &mut Decoder, time: Duration) -> Result<VideoFrame, y4m::Error> {
    let (width, height) = (decoder.get_width() as u32, decoder.get_height() as u32);
    let chroma = planes(decoder.get_colorspace()).unwrap_or(0);
    let frame = decoder.read_frame()?;
    let mut picture = I420Buffer::new(width, height).map_err(|_| y4m::Error::BadInput)?;
    let planes = [
        frame.get_y_plane(),
        frame.get_u_plane(),
        frame.get_v_plane(),
    ];
    for (to, from) in picture
        .planes_mut()
        .into_iter()
        .zip(planes)
        .take(1 + chroma)
    {
        if to.len() != from.len() {
            return Err(y4m::Error::BadInput);
        }
        to.copy_from_slice(from);
    }
    Ok(picture.freeze(time))
}

fn open_y4m(path: &Path) -> Result<Decoder, FileError> {
    let file = open_file(path)?;
    y4m::Decoder::new(BufReader::new(file)).map_err(|error| y4m_error(path, &error))
}

fn y4m_error(path: &Path, error: &y4m::Error) -> FileError {
    FileError::Format {
        path: path.to_owned(),
        expected: "Y4M file",
        problem: error.to_string(),
    }
}

const AUDIO: AudioRange = AudioRange {
    sample_rate: (8_000, 96_000),
    channels: (1, 2),
};

/// A WAV file as a microphone.
#[derive(Clone, Debug)]
pub struct AudioFile {
    path: PathBuf,
    native: AudioMode,
    repeat: bool,
}

impl AudioFile {
    /// The file as a microphone, which begins anew at its end.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let reader = open_wav(&path)?;
        let spec = reader.spec();
        if spec.channels == 0 || !(1_000..=768_000).contains(&spec.sample_rate) {
            return Err(FileError::Format {
                path,
                expected: "WAV file",
                problem: format!("{} channels at {} Hz", spec.channels, spec.sample_rate),
            });
        }
        Ok(AudioFile {
            path,
            native: AudioMode {
                sample_rate: spec.sample_rate,
                channels: spec.channels.into(),
            },
            repeat: true,
        })
    }

    /// Whether it begins anew at its end; otherwise the track ends there.
    #[must_use]
    pub fn repeat(mut self, repeat: bool) -> Self {
        self.repeat = repeat;
        self
    }

    /// What is given without constraints: as in the file, as far as that is possible.
    fn preferred(&self) -> AudioMode {
        let (slowest, fastest) = AUDIO.sample_rate;
        let (fewest, most) = AUDIO.channels;
        AudioMode {
            sample_rate: self.native.sample_rate.clamp(slowest, fastest),
            channels: self.native.channels.clamp(fewest, most),
        }
    }
}

impl InputDevice for AudioFile {
    fn info(&self) -> MediaDeviceInfo {
        info(&self.path, MediaDeviceKind::AudioInput)
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            sample_rate: Some(AUDIO.sample_rate),
            channel_count: Some(AUDIO.channels),
            device_id: Some(id(&self.path)),
            ..Default::default()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        audio_modes(AUDIO, self.preferred(), constraints)
            .into_iter()
            .map(|mode| MediaTrackSettings {
                sample_rate: Some(mode.sample_rate),
                sample_size: Some(16),
                channel_count: Some(mode.channels),
                device_id: Some(id(&self.path)),
                ..Default::default()
            })
            .collect()
    }

    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError> {
        let this = self.clone();
        let reader = open_wav(&self.path).map_err(|e| OpenError::NotReadable(e.to_string()))?;
        start_thread(
            self.clone(),
            MediaKind::Audio,
            settings,
            constraints,
            move |writer, control| {
                if let Err(error) = this.sound(reader, &writer, &control, epoch) {
                    tracing::warn!(path = %this.path.display(), %error, "the file ends early");
                }
            },
        )
    }
}

impl AudioFile {
    fn sound(
        &self,
        mut reader: WavReader,
        writer: &TrackWriter,
        control: &Control,
        epoch: Instant,
    ) -> Result<(), FileError> {
        let frames = (self.native.sample_rate / 100) as usize;
        let mut converter: Option<(AudioMode, AudioConverter)> = None;
        let mut due = epoch.elapsed();
        let mut heard = 0_u64;
        while !writer.stopped_timeout(due.saturating_sub(epoch.elapsed())) {
            let samples = next_samples(&mut reader, frames * self.native.channels as usize)
                .map_err(|error| wav_error(&self.path, &error))?;
            if samples.is_empty() {
                if !self.repeat || heard == 0 {
                    return Ok(());
                }
                reader = open_wav(&self.path)?;
                continue;
            }
            let settings = control.current();
            let wanted = AudioMode {
                sample_rate: settings.sample_rate.unwrap_or(self.native.sample_rate),
                channels: settings.channel_count.unwrap_or(1),
            };
            if converter
                .as_ref()
                .is_none_or(|(made_for, _)| *made_for != wanted)
            {
                let made = AudioConverter::new(wanted.sample_rate, wanted.channels as u16);
                converter = Some((wanted, made));
            }
            let native = (self.native.sample_rate, self.native.channels as u16);
            let sound = AudioFrame::new(samples, native.0, native.1, due);
            let (Ok(sound), Some((_, converter))) = (sound, &mut converter) else {
                return Ok(());
            };
            heard += 1;
            let mut made = Vec::new();
            let converted = converter.process(&sound, &mut made).and_then(|()| {
                AudioFrame::new(made, wanted.sample_rate, wanted.channels as u16, due)
            });
            due += sound.duration();
            // A resampler may need more before it gives anything.
            if let Ok(converted) = converted
                && converted.frames() > 0
                && writer.write(converted).is_err()
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

type WavReader = hound::WavReader<BufReader<File>>;

/// Up to `count` samples, whole frames of them, as 16 bits; none at the end.
fn next_samples(reader: &mut WavReader, count: usize) -> Result<Vec<i16>, hound::Error> {
    let spec = reader.spec();
    let mut samples: Vec<i16> = match spec.sample_format {
        hound::SampleFormat::Float => reader
            .samples::<f32>()
            .take(count)
            .map(|sample| Ok((sample? * 32768.0).clamp(-32768.0, 32767.0) as i16))
            .collect::<Result<_, hound::Error>>()?,
        hound::SampleFormat::Int => {
            let shift = i32::from(spec.bits_per_sample) - 16;
            let to_16 = |sample: i32| {
                if shift >= 0 {
                    sample >> shift
                } else {
                    sample << -shift
                }
            };
            reader
                .samples::<i32>()
                .take(count)
                .map(|sample| Ok(to_16(sample?) as i16))
                .collect::<Result<_, hound::Error>>()?
        }
    };
    let whole = samples.len() / usize::from(spec.channels) * usize::from(spec.channels);
    samples.truncate(whole);
    Ok(samples)
}

fn open_wav(path: &Path) -> Result<WavReader, FileError> {
    let file = open_file(path)?;
    hound::WavReader::new(BufReader::new(file)).map_err(|error| wav_error(path, &error))
}

fn wav_error(path: &Path, error: &hound::Error) -> FileError {
    FileError::Format {
        path: path.to_owned(),
        expected: "WAV file",
        problem: error.to_string(),
    }
}

fn open_file(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| FileError::Open {
        path: path.to_owned(),
        source,
    })
}

fn id(path: &Path) -> String {
    format!("file:{}", path.display())
}

fn info(path: &Path, kind: MediaDeviceKind) -> MediaDeviceInfo {
    let name = path.file_name().unwrap_or(path.as_os_str());
    MediaDeviceInfo {
        device_id: id(path),
        kind,
        label: format!("File {}", name.to_string_lossy()),
        group_id: String::new(),
        synthetic: false,
    }
}
