//! Live statistics in the terminal: one line that is written over, or a line a second where it cannot be.

use std::io::{IsTerminal, Write};

use media::MediaKind;
use peerconnection::StatsReport;

use super::meters::Snapshot;

/// Where words go. In a check, standard output belongs to the verdict.
pub(crate) struct Screen {
    to_error: bool,
    overwrite: bool,
    before: Option<Bytes>,
}

/// Bytes so far, by direction and kind, and when.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes {
    seconds: f64,
    audio_in: u64,
    audio_out: u64,
    video_in: u64,
    video_out: u64,
}

impl Screen {
    pub(crate) fn new(check: bool) -> Self {
        Self {
            to_error: check,
            overwrite: !check && std::io::stdout().is_terminal(),
            before: None,
        }
    }

    /// Something that happened.
    pub(crate) fn say(&mut self, words: &str) {
        let clear = if self.overwrite { "\r\x1b[K" } else { "" };
        self.write(&format!("{clear}{words}\n"));
        self.before = None;
    }

    /// The numbers of now, in the place of those of a second ago.
    pub(crate) fn statistics(&mut self, report: &StatsReport, media: &Snapshot) {
        let now = Bytes::of(report);
        let before = self.before.replace(now).unwrap_or(now);
        let line = line(&now, &before, media);
        if self.overwrite {
            self.write(&format!("\r\x1b[K{line}"));
        } else {
            self.write(&format!("{line}\n"));
        }
    }

    fn write(&self, text: &str) {
        // A closed terminal is no reason to end a call.
        if self.to_error {
            let _ = std::io::stderr().write_all(text.as_bytes());
        } else {
            let mut output = std::io::stdout();
            let _ = output.write_all(text.as_bytes());
            let _ = output.flush();
        }
    }
}

impl Bytes {
    fn of(report: &StatsReport) -> Self {
        let mut bytes = Self::default();
        for stream in report.inbound() {
            match stream.kind {
                MediaKind::Audio => bytes.audio_in += stream.bytes_received,
                MediaKind::Video => bytes.video_in += stream.bytes_received,
            }
        }
        for stream in report.outbound() {
            match stream.kind {
                MediaKind::Audio => bytes.audio_out += stream.bytes_sent,
                MediaKind::Video => bytes.video_out += stream.bytes_sent,
            }
        }
        let latest = report
            .iter()
            .map(|entry| entry.timestamp)
            .fold(0.0, f64::max);
        bytes.seconds = latest / 1000.0;
        bytes
    }
}

fn line(now: &Bytes, before: &Bytes, media: &Snapshot) -> String {
    let seconds = (now.seconds - before.seconds).max(0.001);
    let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 * 8.0 / 1000.0 / seconds;
    let decibels = 20.0 * media.audio_level.max(1e-5).log10();
    format!(
        "in: video {:.0} kbit/s, {} pictures of {}×{}; audio {:.0} kbit/s, {decibels:.0} dB | \
         out: video {:.0}, audio {:.0} kbit/s | {} messages",
        rate(now.video_in, before.video_in),
        media.frames,
        media.width,
        media.height,
        rate(now.audio_in, before.audio_in),
        rate(now.video_out, before.video_out),
        rate(now.audio_out, before.audio_out),
        media.messages,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_reports() {
        let before = Bytes {
            seconds: 1.0,
            video_in: 1_000,
            ..Bytes::default()
        };
        let now = Bytes {
            seconds: 3.0,
            video_in: 251_000,
            ..Bytes::default()
        };
        let line = line(&now, &before, &Snapshot::default());
        assert!(line.starts_with("in: video 1000 kbit/s"), "{line}");
    }
}
