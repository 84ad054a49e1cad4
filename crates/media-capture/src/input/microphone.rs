//! Microphones of the system, by cpal.

use super::choices::{AudioMode, AudioRange, audio_modes};
use super::{Control, InputDevice, OpenError};
use crate::cpal_host::{devices, is_harmless, label, open_error};
use crate::devices::{MediaDeviceInfo, MediaDeviceKind};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, Device, Sample, SampleFormat, SizedSample, Stream, StreamConfig};
use media::{
    AudioConverter, AudioFrame, MediaKind, MediaStreamTrack, MediaTrackCapabilities,
    MediaTrackConstraints, MediaTrackSettings, TrackInit, TrackWriter,
};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// What we make of whatever the device gives.
const RANGE: AudioRange = AudioRange {
    sample_rate: (8_000, 96_000),
    channels: (1, 2),
};
const PREFERRED: AudioMode = AudioMode {
    sample_rate: 48_000,
    channels: 1,
};
const PIECE: Duration = Duration::from_millis(10);
/// Counted samples and the clock may differ by this much before the clock wins.
const DRIFT: Duration = Duration::from_millis(60);

#[derive(Clone)]
struct Microphone {
    id: String,
    label: String,
    device: Device,
}

/// The microphones of the system, its default first.
pub(super) fn microphones() -> Vec<Arc<dyn InputDevice>> {
    let works = |device: &Device| device.supports_input() && device.default_input_config().is_ok();
    devices(|host| host.default_input_device(), works)
        .into_iter()
        .map(|(id, device)| {
            let label = label(&device, &id);
            Arc::new(Microphone { id, label, device }) as Arc<dyn InputDevice>
        })
        .collect()
}

impl InputDevice for Microphone {
    fn info(&self) -> MediaDeviceInfo {
        MediaDeviceInfo {
            device_id: self.id.clone(),
            kind: MediaDeviceKind::AudioInput,
            label: self.label.clone(),
            group_id: String::new(),
            synthetic: false,
        }
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            sample_rate: Some(RANGE.sample_rate),
            channel_count: Some(RANGE.channels),
            device_id: Some(self.id.clone()),
            ..Default::default()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        audio_modes(RANGE, PREFERRED, constraints)
            .into_iter()
            .map(|mode| MediaTrackSettings {
                sample_rate: Some(mode.sample_rate),
                sample_size: Some(16),
                channel_count: Some(mode.channels),
                latency: Some(PIECE.as_secs_f64()),
                device_id: Some(self.id.clone()),
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
        let control = Control::new(settings.clone(), move |c| this.possible_settings(c));
        let (track, writer) = MediaStreamTrack::new(
            MediaKind::Audio,
            TrackInit {
                label: self.label.clone(),
                settings,
                capabilities: self.capabilities(),
                constraints,
                control: Some(control.clone()),
                ..Default::default()
            },
        );
        let writer = Arc::new(writer);
        let device = self.device.clone();
        let (opened, result) = mpsc::channel();
        // Not every system lets a stream change threads: it lives and dies on this one.
        let listen = move || match start(&device, &writer, control, epoch) {
            Ok(_stream) => {
                if opened.send(Ok(())).is_ok() {
                    writer.stopped_blocking();
                }
            }
            // Nobody waits for it any more when that fails.
            Err(error) => drop(opened.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("microphone".to_owned())
            .spawn(listen)
            .map_err(|error| OpenError::NotReadable(error.to_string()))?;
        result
            .recv_timeout(OPEN_LIMIT)
            .unwrap_or_else(|_| Err(OpenError::NotReadable("it does not answer".to_owned())))?;
        Ok(track)
    }
}

fn start(
    device: &Device,
    writer: &Arc<TrackWriter>,
    control: Arc<Control>,
    epoch: Instant,
) -> Result<Stream, OpenError> {
    let native = device.default_input_config().map_err(|e| open_error(&e))?;
    let config = StreamConfig {
        channels: native.channels(),
        sample_rate: native.sample_rate(),
        buffer_size: BufferSize::Default,
    };
    tracing::debug!(?native, "microphone");
    let listener = Listener {
        writer: Arc::clone(writer),
        control,
        config,
        epoch,
        converter: None,
        pending: Vec::new(),
        next: None,
    };
    let stream = match native.sample_format() {
        SampleFormat::I16 => build::<i16>(device, listener),
        SampleFormat::F32 => build::<f32>(device, listener),
        SampleFormat::I32 => build::<i32>(device, listener),
        SampleFormat::U8 => build::<u8>(device, listener),
        SampleFormat::U16 => build::<u16>(device, listener),
        other => Err(OpenError::NotReadable(format!("samples as {other}"))),
    }?;
    stream.play().map_err(|error| open_error(&error))?;
    Ok(stream)
}

fn build<T>(device: &Device, mut listener: Listener) -> Result<Stream, OpenError>
where
    T: SizedSample,
    i16: cpal::FromSample<T>,
{
    let config = listener.config;
    let writer = Arc::clone(&listener.writer);
    let heard = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        listener.hear(
            samples
                .iter()
                .map(|&sample| i16::from_sample(sample))
                .collect(),
        );
    };
    let failed = move |error: cpal::Error| {
        if is_harmless(&error) {
            tracing::debug!(%error, "microphone");
        } else {
            tracing::warn!(%error, "the microphone is gone");
            writer.end();
        }
    };
    device
        .build_input_stream(config, heard, failed, Some(OPEN_LIMIT))
        .map_err(|error| open_error(&error))
}

/// Makes pieces of 10 ms, of the rate and channels that are set, out of what the device gives.
struct Listener {
    writer: Arc<TrackWriter>,
    control: Arc<Control>,
    config: StreamConfig,
    epoch: Instant,
    converter: Option<(AudioMode, AudioConverter)>,
    pending: Vec<i16>,
    /// The time of the first pending sample.
    next: Option<Duration>,
}

impl Listener {
    fn hear(&mut self, samples: Vec<i16>) {
        let now = self.epoch.elapsed();
        let heard = AudioFrame::new(samples, self.config.sample_rate, self.config.channels, now);
        let Ok(heard) = heard else {
            return;
        };
        let settings = self.control.current();
        let mode = AudioMode {
            sample_rate: settings.sample_rate.unwrap_or(PREFERRED.sample_rate),
            channels: settings.channel_count.unwrap_or(PREFERRED.channels),
        };
        if self
            .converter
            .as_ref()
            .is_none_or(|(made_for, _)| *made_for != mode)
        {
            self.converter = Some((
                mode,
                AudioConverter::new(mode.sample_rate, mode.channels as u16),
            ));
            self.pending.clear();
            self.next = None;
        }
        // The last of these samples was taken just now.
        let begin = now.saturating_sub(heard.duration());
        let waiting = self.pending.len() as u64 / u64::from(mode.channels.max(1));
        let waiting = Duration::from_secs(waiting) / mode.sample_rate;
        let counted = self.next.map(|next| next + waiting);
        if counted.is_none_or(|counted| counted.abs_diff(begin) > DRIFT) {
            self.next = Some(begin.saturating_sub(waiting));
        }
        let Some((_, converter)) = &mut self.converter else {
            return;
        };
        if converter.process(&heard, &mut self.pending).is_ok() {
            self.write_pieces(mode);
        }
    }

    fn write_pieces(&mut self, mode: AudioMode) {
        let piece = (mode.sample_rate / 100 * mode.channels) as usize;
        let whole = self.pending.len() / piece * piece;
        let mut time = self.next.unwrap_or_default();
        for samples in self.pending[..whole].chunks_exact(piece) {
            let sound = AudioFrame::new(samples, mode.sample_rate, mode.channels as u16, time);
            time += PIECE;
            if let Ok(sound) = sound {
                // When nobody wants it any more, the thread that waits for that closes the device.
                let _ = self.writer.write(sound);
            }
        }
        self.next = Some(time);
        self.pending.drain(..whole);
    }
}
