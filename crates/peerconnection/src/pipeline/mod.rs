//! Between tracks and encoded frames: one thread encodes each track that is sent, one decodes each that is received.
//!
//! A codec call takes milliseconds; on threads of their own they delay neither the network nor each other.

mod audio;
mod audio_format;
mod timeline;
mod video;

pub(crate) use timeline::{Offset, Timeline};

use crate::rtp_parameters::RtpCodecParameters;
use crate::rtp_transceiver::{ReceivedFrame, TransceiverShared};
use crate::session::{DecodedSample, IncomingFrame};
use media::{MediaKind, MediaStreamTrack, TrackWriter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Frames that may wait for the decoder: more means it cannot keep up.
const DECODE_QUEUE: usize = 128;
/// How often an encoder without frames looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(200);

/// An encoder at work; it stops when this is dropped.
pub(crate) struct Encoding {
    stop: Arc<AtomicBool>,
}

impl Drop for Encoding {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Encodes a track and sends it on its transceiver.
pub(crate) fn encode(track: &MediaStreamTrack, transceiver: Weak<TransceiverShared>) -> Encoding {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let kind = track.kind();
    match (kind, track.subscribe_audio(), track.subscribe_video()) {
        (MediaKind::Audio, Some(frames), _) => spawn("encode-audio", move || {
            audio::encode(frames, &transceiver, &stopped)
        }),
        (MediaKind::Video, _, Some(frames)) => spawn("encode-video", move || {
            video::encode(frames, &transceiver, &stopped)
        }),
        _ => {}
    }
    Encoding { stop }
}

/// A decoder at work; it stops when this is dropped.
pub(crate) struct Decoding {
    queue: SyncSender<Job>,
    overrun: bool,
    /// Of several encodings (simulcast), the one that is shown, and when it was heard last.
    shown: Option<(String, Instant)>,
}

/// Another encoding of the same track takes over when the one that is shown has been silent for so long.
const SILENT: Duration = Duration::from_secs(1);

/// A frame for a decoder.
struct Job {
    frame: IncomingFrame,
    codec: Arc<RtpCodecParameters>,
    /// Frames before this one were thrown away here.
    after_overrun: bool,
}

/// Decodes received frames into a track.
pub(crate) fn decode(writer: Arc<TrackWriter>, transceiver: Weak<TransceiverShared>) -> Decoding {
    let (queue, jobs): (SyncSender<Job>, Receiver<Job>) = sync_channel(DECODE_QUEUE);
    let kind = transceiver
        .upgrade()
        .map_or(MediaKind::Audio, |transceiver| transceiver.kind());
    match kind {
        MediaKind::Audio => spawn("decode-audio", move || {
            audio::decode(&jobs, &writer, &transceiver)
        }),
        MediaKind::Video => spawn("decode-video", move || {
            video::decode(&jobs, &writer, &transceiver)
        }),
    }
    Decoding {
        queue,
        overrun: false,
        shown: None,
    }
}

impl Decoding {
    pub(crate) fn push(&mut self, received: ReceivedFrame) {
        let ReceivedFrame { frame, codec, rid } = received;
        if let Some(rid) = rid {
            match &mut self.shown {
                Some((shown, heard)) if *shown == rid => *heard = frame.arrival,
                Some((_, heard))
                    if !frame.keyframe
                        || frame.arrival.saturating_duration_since(*heard) < SILENT =>
                {
                    return;
                }
                _ => self.shown = Some((rid, frame.arrival)),
            }
        }
        let job = Job {
            frame,
            codec: Arc::new(codec),
            after_overrun: self.overrun,
        };
        self.overrun = matches!(self.queue.try_send(job), Err(TrySendError::Full(_)));
        if self.overrun {
            tracing::debug!("the decoder cannot keep up: a frame is dropped");
        }
    }
}

/// Tells the statistics what became of a frame.
fn note_decoded(
    transceiver: &Weak<TransceiverShared>,
    frame: &IncomingFrame,
    sample: DecodedSample,
) {
    if let Some(shared) = transceiver.upgrade() {
        shared.note(|session, now| session.note_decoded(now, frame.ssrc, sample));
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(work) {
        tracing::error!(name, %error, "no thread for a codec");
    }
}

/// RTP time since the first frame, unwrapped.
struct Clock {
    rate: u32,
    last: Option<u32>,
    ticks: u64,
}

impl Clock {
    fn new(rate: u32) -> Self {
        Clock {
            rate: rate.max(1),
            last: None,
            ticks: 0,
        }
    }

    fn at(&mut self, timestamp: u32) -> Duration {
        if let Some(last) = self.last {
            // Frames come in order; a jump back is a sender that began anew.
            let step = timestamp.wrapping_sub(last);
            self.ticks += if step < 1 << 31 { u64::from(step) } else { 0 };
        }
        self.last = Some(timestamp);
        Duration::from_nanos(
            (u128::from(self.ticks) * 1_000_000_000 / u128::from(self.rate)) as u64,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_on_when_rtp_time_wraps() {
        let mut clock = Clock::new(90_000);
        assert_eq!(clock.at(u32::MAX - 44_999), Duration::ZERO);
        assert_eq!(clock.at(45_000), Duration::from_secs(1));
        assert_eq!(
            clock.at(0),
            Duration::from_secs(1),
            "a step back does not count"
        );
        assert_eq!(clock.at(90_000), Duration::from_secs(2));
    }
}
