//! Pictures: VP8.

use super::{Clock, IDLE, Job};
use crate::rtp_transceiver::{TransceiverShared, outgoing};
use codecs::{VideoDecoder, VideoEncoder, vp8};
use media::channel::RecvTimeoutError;
use media::{Bitrate, TrackWriter, VideoFrame, VideoReceiver};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Between keyframes that are asked for; a request is repeated until one comes.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);

pub(super) fn encode(
    mut frames: VideoReceiver,
    transceiver: &Weak<TransceiverShared>,
    stop: &AtomicBool,
) {
    let mut encoder: Option<Box<dyn VideoEncoder>> = None;
    let mut bitrate = Bitrate::from_bps(0);
    let mut sending = false;
    let mut last_keyframe: Option<Duration> = None;
    let mut last_picture: Option<Duration> = None;
    while !stop.load(Ordering::Relaxed) {
        let picture = match frames.recv_timeout(IDLE) {
            Ok(picture) => picture,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(_) => return,
        };
        let Some(shared) = transceiver.upgrade() else {
            return;
        };
        let id = shared.id();
        let Some(state) = shared.command(|session, _| {
            if !session.can_send(id) {
                return None;
            }
            let view = session.transceiver(id)?;
            let codec = view
                .send_codecs()
                .iter()
                .find(|codec| codec.codec.is_media())?
                .codec
                .clone();
            view.encodings()
                .next()
                .filter(|encoding| encoding.active)
                .map(|encoding| (codec, encoding.clone()))
        }) else {
            return;
        };
        let Some((codec, encoding)) =
            state.filter(|(codec, _)| codec.name().eq_ignore_ascii_case("VP8"))
        else {
            sending = false;
            continue;
        };
        let now = picture.timestamp();
        if let (Some(rate), Some(last)) = (encoding.max_framerate, last_picture)
            && now.saturating_sub(last).as_secs_f64() < 0.9 / rate
        {
            continue;
        }
        last_picture = Some(now);
        let target = target_bitrate(&picture, encoding.max_bitrate);
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            None => {
                let config = vp8::EncoderConfig {
                    bitrate: target,
                    ..vp8::EncoderConfig::default()
                };
                match vp8::Encoder::new(config) {
                    Ok(made) => {
                        bitrate = target;
                        encoder.insert(Box::new(made))
                    }
                    Err(error) => {
                        tracing::error!(%error, "there is no VP8 encoder");
                        return;
                    }
                }
            }
        };
        if bitrate != target {
            bitrate = target;
            encoder.set_bitrate(target);
        }
        let pressed =
            last_keyframe.is_some_and(|last| now.saturating_sub(last) < KEYFRAME_INTERVAL);
        // The first picture after a pause starts anew: nobody has what it would build on.
        if !sending || (!pressed && shared.keyframe_wanted.swap(false, Ordering::Relaxed)) {
            sending = true;
            encoder.force_keyframe();
        }
        match encoder.encode(&picture) {
            Ok(Some(frame)) => {
                if frame.keyframe {
                    last_keyframe = Some(now);
                }
                let frame = outgoing(&frame, codec.clock_rate);
                shared.command(|session, now| session.write_frame(now, id, None, &frame));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a picture could not be encoded"),
        }
    }
}

/// A usual rate for the size, under the limit that was set.
fn target_bitrate(picture: &VideoFrame, limit: Option<u32>) -> Bitrate {
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    // About 0.08 bit a pixel at 30 frames a second: 0.75 Mbit/s for 640 × 480, 2.2 for 1280 × 720.
    let usual = (pixels * 30 * 8 / 100).clamp(150_000, 4_000_000);
    Bitrate::from_bps(limit.map_or(usual, |limit| usual.min(u64::from(limit))))
}

pub(super) fn decode(
    jobs: &Receiver<Job>,
    writer: &TrackWriter,
    transceiver: &Weak<TransceiverShared>,
) {
    let mut decoder: Option<vp8::Decoder> = None;
    let mut clock = Clock::new(90_000);
    let mut waits_for_keyframe = true;
    while let Ok(job) = jobs.recv() {
        if !job.codec.codec.name().eq_ignore_ascii_case("VP8") {
            continue;
        }
        let timestamp = clock.at(job.frame.timestamp);
        waits_for_keyframe |= job.after_overrun;
        if waits_for_keyframe && !job.frame.keyframe {
            request_keyframe(transceiver);
            continue;
        }
        let decoder = match &mut decoder {
            Some(decoder) => decoder,
            None => match vp8::Decoder::new(vp8::DecoderConfig::default()) {
                Ok(made) => decoder.insert(made),
                Err(error) => {
                    tracing::error!(%error, "there is no VP8 decoder");
                    return;
                }
            },
        };
        match decoder.decode(&job.frame.data, timestamp) {
            Ok(picture) => {
                waits_for_keyframe = false;
                if let Some(picture) = picture
                    && writer.write(picture).is_err()
                {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a picture could not be decoded");
                waits_for_keyframe = true;
                request_keyframe(transceiver);
            }
        }
    }
}

fn request_keyframe(transceiver: &Weak<TransceiverShared>) {
    if let Some(shared) = transceiver.upgrade() {
        let id = shared.id();
        shared.command(|session, now| session.request_keyframe(now, id));
    }
}
