//! Pictures: VP8, in as many encodings as the sender has.

use super::{Clock, IDLE, Job, Offset, note_decoded};
use crate::driver;
use crate::rtp_parameters::{DegradationPreference, RtpEncodingParameters};
use crate::rtp_transceiver::TransceiverShared;
use crate::session::{DecodedSample, EncodedSample, Session, SourceSample, TransceiverId};
use codecs::{VideoDecoder, VideoEncoder, vp8};
use media::channel::RecvTimeoutError;
use media::{Bitrate, TrackWriter, VideoFrame, VideoReceiver};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Between keyframes that are asked for; a request is repeated until one comes.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// Between two changes of size or frame rate for want of bitrate.
const ADAPT_INTERVAL: Duration = Duration::from_secs(2);
/// By how much pictures get smaller, or fewer, step by step.
const STEPS: [f64; 5] = [1.0, 1.5, 2.0, 3.0, 4.0];
/// With less than this part of the usual bitrate a step is taken.
const TOO_LITTLE: f64 = 0.45;
/// With this part of the usual bitrate of the step before, that is taken back.
const ENOUGH: f64 = 0.75;
const SMALLEST_SIDE: u32 = 90;
/// Between two black pictures of a track that has nothing to show (W3C WebRTC §5.2, `track`).
const BLACK_INTERVAL: Duration = Duration::from_secs(1);
/// The size of those when the track has not shown any other.
const USUAL_SIZE: (u32, u32) = (640, 480);

/// What one encoding is to do with a picture.
struct Plan {
    encoding: RtpEncodingParameters,
    /// By how much the encoding asks pictures to be scaled down.
    scale: f64,
    target: u64,
}

/// The encoder of one encoding.
struct Layer {
    rid: Option<String>,
    encoder: Option<vp8::Encoder>,
    bitrate: Bitrate,
    frame_rate: f64,
    sending: bool,
    step: usize,
    adapted: Option<Duration>,
    last_keyframe: Option<Duration>,
    last_picture: Option<Duration>,
}

/// The pictures of a track, and black ones in their place.
struct Pictures {
    frames: VideoReceiver,
    offset: Offset,
    size: (u32, u32),
    /// When the last black one was made, while the track has nothing to show.
    black: Option<Instant>,
}

impl Pictures {
    /// The next picture to encode, if one comes soon.
    fn next(&mut self, transceiver: &Weak<TransceiverShared>) -> Option<VideoFrame> {
        let picture = match self.frames.recv_timeout(IDLE) {
            Ok(picture) => Some(picture),
            Err(RecvTimeoutError::Timeout) => None,
            Err(_) => {
                // A track that has ended is black for as long as it is sent.
                std::thread::park_timeout(IDLE);
                None
            }
        };
        let shared = transceiver.upgrade()?;
        let now = driver::now();
        if let Some(picture) = &picture {
            self.size = (picture.width(), picture.height());
            let sample = SourceSample::Picture {
                width: picture.width(),
                height: picture.height(),
            };
            shared.note(|session, now| session.note_source(now, shared.id(), sample));
        }
        if !shared.is_blank() {
            self.black = None;
            let picture = picture?;
            let own = picture.timestamp();
            let time = shared.place(&mut self.offset, now, own, Duration::ZERO);
            return Some(picture.with_timestamp(time));
        }
        if self
            .black
            .is_some_and(|last| now.saturating_duration_since(last) < BLACK_INTERVAL)
        {
            return None;
        }
        self.black = Some(now);
        let (width, height) = self.size;
        VideoFrame::black(width, height, shared.place_between(now)).ok()
    }
}

pub(super) fn encode(
    frames: VideoReceiver,
    transceiver: &Weak<TransceiverShared>,
    stop: &AtomicBool,
) {
    let mut layers: Vec<Layer> = Vec::new();
    let mut pictures = Pictures {
        frames,
        offset: Offset::default(),
        size: USUAL_SIZE,
        black: None,
    };
    while !stop.load(Ordering::Relaxed) {
        let picture = pictures.next(transceiver);
        let Some(shared) = transceiver.upgrade() else {
            return;
        };
        let Some(picture) = picture else { continue };
        let id = shared.id();
        let mut plans = Vec::new();
        let mut preference = DegradationPreference::default();
        shared.note(|session, _| {
            plans = plan(session, id, &picture);
            preference = session.degradation_preference(id);
        });
        layers.retain(|layer| plans.iter().any(|plan| plan.encoding.rid == layer.rid));
        if plans.is_empty() {
            for layer in &mut layers {
                layer.sending = false;
            }
            continue;
        }
        // A request that names no encoding is for all of them.
        let all = plans.len() > 1 && shared.take_all_keyframe_requests();
        for plan in plans {
            let known = layers
                .iter()
                .position(|layer| layer.rid == plan.encoding.rid);
            let index = known.unwrap_or_else(|| {
                layers.push(Layer::new(plan.encoding.rid.clone()));
                layers.len() - 1
            });
            let layer = &mut layers[index];
            if all {
                layer.sending = false;
            }
            if !layer.encode(&shared, &picture, &plan, preference) {
                return;
            }
        }
    }
}

/// Which encodings a picture is for, and what each may cost.
fn plan(session: &mut Session, id: TransceiverId, picture: &VideoFrame) -> Vec<Plan> {
    if !session.can_send(id) {
        return Vec::new();
    }
    let Some(view) = session.transceiver(id) else {
        return Vec::new();
    };
    let encodings: Vec<RtpEncodingParameters> = view.encodings().cloned().collect();
    for encoding in &encodings {
        let scale = encoding.scale_for(picture.width(), picture.height());
        let demand = match encoding.active {
            true => usual_bitrate(picture, scale),
            false => 0,
        };
        session.set_encoder_demand(id, encoding.rid.as_deref(), demand);
    }
    encodings
        .into_iter()
        .filter(|encoding| encoding.active)
        .filter(|encoding| {
            session
                .encoding_codec(id, encoding.rid.as_deref())
                .is_some_and(|(codec, _)| codec.codec.name().eq_ignore_ascii_case("VP8"))
        })
        .map(|encoding| {
            let scale = encoding.scale_for(picture.width(), picture.height());
            let usual = usual_bitrate(picture, scale);
            let target = session
                .target_bitrate(id, encoding.rid.as_deref())
                .map_or(usual, |target| target.min(usual));
            Plan {
                encoding,
                scale,
                target,
            }
        })
        .collect()
}

/// A usual rate for the size: about 0.08 bit a pixel at 30 frames a second, 0.75 Mbit/s for 640 × 480, 2.2 for 1280 × 720.
fn usual_bitrate(picture: &VideoFrame, scale: f64) -> u64 {
    let pixels = f64::from(picture.width()) * f64::from(picture.height()) / (scale * scale);
    ((pixels * 2.4) as u64).clamp(100_000, 4_000_000)
}

impl Layer {
    fn new(rid: Option<String>) -> Self {
        Layer {
            rid,
            encoder: None,
            bitrate: Bitrate::from_bps(0),
            frame_rate: 0.0,
            sending: false,
            step: 0,
            adapted: None,
            last_keyframe: None,
            last_picture: None,
        }
    }

    /// Encodes and sends; false when there is no encoder to be had.
    fn encode(
        &mut self,
        shared: &TransceiverShared,
        picture: &VideoFrame,
        plan: &Plan,
        preference: DegradationPreference,
    ) -> bool {
        let now = picture.timestamp();
        let several = self.rid.is_some();
        if plan.target == 0 {
            // The path has no room for this layer.
            self.sending = false;
            return true;
        }
        let scale = plan.scale;
        if !several {
            self.adapt(now, picture, scale, plan.target);
        }
        let (mut smaller, mut fewer) = (1.0, 1.0);
        match preference {
            DegradationPreference::MaintainResolution => fewer = STEPS[self.step],
            _ => smaller = STEPS[self.step],
        }
        let most = plan.encoding.max_framerate.unwrap_or(f64::INFINITY);
        let frame_rate = most.min(if fewer > 1.0 {
            30.0 / fewer
        } else {
            f64::INFINITY
        });
        if let Some(last) = self.last_picture
            && now.saturating_sub(last).as_secs_f64() < 0.9 / frame_rate
        {
            return true;
        }
        let target = Bitrate::from_bps(plan.target);
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                let mut config = vp8::EncoderConfig {
                    bitrate: target,
                    ..vp8::EncoderConfig::default()
                };
                if several {
                    config.threads = 1;
                }
                match vp8::Encoder::new(config) {
                    Ok(made) => {
                        self.bitrate = target;
                        self.encoder.insert(made)
                    }
                    Err(error) => {
                        tracing::error!(%error, "there is no VP8 encoder");
                        return false;
                    }
                }
            }
        };
        if self.bitrate != target {
            self.bitrate = target;
            encoder.set_bitrate(target);
        }
        let expected = frame_rate.clamp(1.0, 30.0);
        if (self.frame_rate - expected).abs() > 0.01 {
            self.frame_rate = expected;
            encoder.set_frame_rate(expected);
        }
        let pressed = self
            .last_keyframe
            .is_some_and(|last| now.saturating_sub(last) < KEYFRAME_INTERVAL);
        // The first picture after a pause starts anew: nobody has what it would build on.
        if !self.sending || (!pressed && shared.take_keyframe_request(self.rid.as_deref())) {
            self.sending = true;
            encoder.force_keyframe();
        }
        let began = driver::now();
        let scaled;
        let shown = match size(picture, scale * smaller) {
            None => picture,
            Some((width, height)) => match picture.scaled(width, height) {
                Ok(smaller) => {
                    scaled = smaller;
                    &scaled
                }
                Err(error) => {
                    tracing::debug!(%error, "a picture could not be scaled");
                    return true;
                }
            },
        };
        match encoder.encode(shown) {
            Ok(Some(frame)) => {
                self.last_picture = Some(now);
                if frame.keyframe {
                    self.last_keyframe = Some(now);
                }
                let sample = EncodedSample {
                    width: shown.width(),
                    height: shown.height(),
                    keyframe: frame.keyframe,
                    took: driver::now().saturating_duration_since(began),
                    target: plan.target,
                    size: frame.data.len(),
                    frame_rate: expected,
                    qp: vp8::quantizer_index(&frame.data),
                    implementation: vp8::IMPLEMENTATION,
                    limited: self.step > 0,
                };
                shared.send(self.rid.as_deref(), &frame, Some(sample));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a picture could not be encoded"),
        }
        true
    }

    /// Takes a step down when there is far too little bitrate, and back when there is enough.
    fn adapt(&mut self, now: Duration, picture: &VideoFrame, scale: f64, target: u64) {
        let rested = self
            .adapted
            .is_none_or(|last| now.saturating_sub(last) >= ADAPT_INTERVAL);
        if !rested {
            return;
        }
        let usual = |step: usize| usual_bitrate(picture, scale * STEPS[step]) as f64;
        let target = target as f64;
        let down = self.step + 1 < STEPS.len()
            && target < usual(self.step) * TOO_LITTLE
            && size(picture, scale * STEPS[self.step + 1])
                .is_none_or(|(width, height)| width.min(height) >= SMALLEST_SIDE);
        let up = self.step > 0 && target > usual(self.step - 1) * ENOUGH;
        match (down, up) {
            (true, _) => self.step += 1,
            (_, true) => self.step -= 1,
            _ => return,
        }
        self.adapted = Some(now);
    }
}

/// The size of the picture divided by a factor; `None` when that changes nothing.
fn size(picture: &VideoFrame, factor: f64) -> Option<(u32, u32)> {
    if factor <= 1.0 {
        return None;
    }
    // "MUST NOT transmit video larger than the integer part of the scaled width and height" (W3C WebRTC §5).
    let side = |side: u32| ((f64::from(side) / factor) as u32).max(1);
    Some((side(picture.width()), side(picture.height())))
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
            note_decoded(transceiver, &job.frame, DecodedSample::Dropped);
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
        let began = driver::now();
        match decoder.decode(&job.frame.data, timestamp) {
            Ok(picture) => {
                waits_for_keyframe = false;
                let Some(picture) = picture else { continue };
                let took = driver::now().saturating_duration_since(began);
                let (width, height) = (picture.width(), picture.height());
                let Ok(rendered) = writer.hand_out(picture) else {
                    return;
                };
                let sample = DecodedSample::Picture {
                    width,
                    height,
                    keyframe: job.frame.keyframe,
                    took,
                    arrival: job.frame.arrival,
                    complete: job.frame.complete,
                    packets: job.frame.packets,
                    qp: vp8::quantizer_index(&job.frame.data),
                    implementation: vp8::IMPLEMENTATION,
                    rendered,
                };
                note_decoded(transceiver, &job.frame, sample);
            }
            Err(error) => {
                tracing::debug!(%error, "a picture could not be decoded");
                waits_for_keyframe = true;
                note_decoded(transceiver, &job.frame, DecodedSample::Dropped);
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
