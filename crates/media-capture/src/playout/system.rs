//! Speakers of the system, by cpal.

use super::{OutputDevice, OutputFormat, Render, info};
use crate::cpal_host::{devices, is_harmless, label, open_error};
use crate::devices::MediaDeviceInfo;
use crate::input::OpenError;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, Device, FromSample, SampleFormat, SizedSample, Stream, StreamConfig};
use std::sync::mpsc;
use std::time::Duration;

const OPEN_LIMIT: Duration = Duration::from_secs(5);

struct SystemSpeaker {
    id: String,
    device: Device,
}

/// The speakers of the system, its default first.
pub(super) fn speakers() -> Vec<Box<dyn OutputDevice>> {
    let works =
        |device: &Device| device.supports_output() && device.default_output_config().is_ok();
    devices(|host| host.default_output_device(), works)
        .into_iter()
        .map(|(id, device)| Box::new(SystemSpeaker { id, device }) as Box<dyn OutputDevice>)
        .collect()
}

impl OutputDevice for SystemSpeaker {
    fn info(&self) -> MediaDeviceInfo {
        info(&self.id, label(&self.device, &self.id), false)
    }

    fn format(&self) -> Result<OutputFormat, OpenError> {
        let config = self
            .device
            .default_output_config()
            .map_err(|e| open_error(&e))?;
        Ok(OutputFormat {
            sample_rate: config.sample_rate(),
            channels: config.channels(),
        })
    }

    fn open(
        &self,
        format: OutputFormat,
        render: Render,
    ) -> Result<Box<dyn Send + Sync>, OpenError> {
        let supported = self
            .device
            .default_output_config()
            .map_err(|e| open_error(&e))?;
        let config = StreamConfig {
            channels: format.channels,
            sample_rate: format.sample_rate,
            buffer_size: BufferSize::Default,
        };
        let device = self.device.clone();
        let (guard, dropped) = mpsc::sync_channel::<()>(0);
        let (opened, result) = mpsc::channel();
        // Not every system lets a stream change threads: it lives and dies on this one.
        let play = move || {
            let stream = match supported.sample_format() {
                SampleFormat::I16 => build::<i16>(&device, config, render),
                SampleFormat::F32 => build::<f32>(&device, config, render),
                SampleFormat::I32 => build::<i32>(&device, config, render),
                SampleFormat::U8 => build::<u8>(&device, config, render),
                SampleFormat::U16 => build::<u16>(&device, config, render),
                other => Err(OpenError::NotReadable(format!("samples as {other}"))),
            };
            let started = stream.and_then(|stream| match stream.play() {
                Ok(()) => Ok(stream),
                Err(error) => Err(open_error(&error)),
            });
            match started {
                Ok(_stream) => {
                    if opened.send(Ok(())).is_ok() {
                        // An error is how it learns that its guard is gone.
                        let _ = dropped.recv();
                    }
                }
                // Nobody waits for it any more when that fails.
                Err(error) => drop(opened.send(Err(error))),
            }
        };
        std::thread::Builder::new()
            .name("speaker".to_owned())
            .spawn(play)
            .map_err(|error| OpenError::NotReadable(error.to_string()))?;
        result
            .recv_timeout(OPEN_LIMIT)
            .unwrap_or_else(|_| Err(OpenError::NotReadable("it does not answer".to_owned())))?;
        Ok(Box::new(guard))
    }
}

fn build<T: SizedSample + FromSample<i16>>(
    device: &Device,
    config: StreamConfig,
    mut render: Render,
) -> Result<Stream, OpenError> {
    let mut piece: Vec<i16> = Vec::new();
    let fill = move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
        piece.resize(out.len(), 0);
        render(&mut piece);
        for (out, &sample) in out.iter_mut().zip(&piece) {
            *out = T::from_sample(sample);
        }
    };
    let failed = |error: cpal::Error| {
        if is_harmless(&error) {
            tracing::debug!(%error, "speaker");
        } else {
            tracing::warn!(%error, "speaker");
        }
    };
    device
        .build_output_stream(config, fill, failed, Some(OPEN_LIMIT))
        .map_err(|error| open_error(&error))
}
