//! A speaker for machines without one.

use super::{OutputDevice, OutputFormat, Render, info};
use crate::devices::MediaDeviceInfo;
use crate::input::OpenError;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

const PIECE: Duration = Duration::from_millis(10);

/// A speaker that nobody hears. It takes sound at the pace of a real one, so that what feeds it behaves as always.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentSpeaker;

impl OutputDevice for SilentSpeaker {
    fn info(&self) -> MediaDeviceInfo {
        info(
            "synthetic:speaker",
            "Synthetic speaker (silent)".to_owned(),
            true,
        )
    }

    fn format(&self) -> Result<OutputFormat, OpenError> {
        Ok(OutputFormat {
            sample_rate: 48_000,
            channels: 2,
        })
    }

    fn open(
        &self,
        format: OutputFormat,
        mut render: Render,
    ) -> Result<Box<dyn Send + Sync>, OpenError> {
        let (guard, dropped) = mpsc::sync_channel::<()>(0);
        let samples = format.sample_rate as usize / 100 * usize::from(format.channels);
        let play = move || {
            let mut piece = vec![0; samples];
            let start = Instant::now();
            for n in 1_u32.. {
                render(&mut piece);
                let pause = (PIECE * n).saturating_sub(start.elapsed());
                if dropped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("synthetic:speaker".to_owned())
            .spawn(play)
            .map_err(|error| OpenError::NotReadable(error.to_string()))?;
        Ok(Box::new(guard))
    }
}
