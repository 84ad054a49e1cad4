//! Sound: Opus and G.711.

use super::{Clock, IDLE, Job};
use crate::rtp_parameters::RtpCodecParameters;
use crate::rtp_transceiver::TransceiverShared;
use crate::session::{DecodedSample, SourceSample};
use codecs::{AudioDecoder, AudioEncoder, g711, opus};
use media::channel::RecvTimeoutError;
use media::{AudioFrame, AudioReceiver, Bitrate, TrackWriter};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What Opus takes when nothing limits it: transparent for speech, good for music.
const USUAL_BITRATE: u64 = 48_000;
/// What lost sound is made up for; a longer gap is silence.
const MOST_CONCEALED: Duration = Duration::from_millis(120);

pub(super) fn encode(
    mut frames: AudioReceiver,
    transceiver: &Weak<TransceiverShared>,
    stop: &AtomicBool,
) {
    let mut encoder: Option<(String, Box<dyn AudioEncoder>)> = None;
    let mut bitrate = None;
    let mut packets = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let frame = match frames.recv_timeout(IDLE) {
            Ok(frame) => frame,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(_) => return,
        };
        let Some(shared) = transceiver.upgrade() else {
            return;
        };
        let id = shared.id();
        let mut state = None;
        shared.note(|session, now| {
            let sample = SourceSample::Sound {
                rms: frame.rms(),
                duration: frame.duration(),
            };
            session.note_source(now, id, sample);
            if !session.can_send(id) {
                return;
            }
            state = session
                .encoding_codec(id, None)
                .map(|(codec, _)| codec.clone())
                .filter(|_| {
                    session
                        .transceiver(id)
                        .is_some_and(|view| view.encodings().next().is_some_and(|one| one.active))
                })
                .map(|codec| (codec, session.target_bitrate(id, None)));
        });
        let Some((codec, target)) = state else {
            continue;
        };
        if encoder
            .as_ref()
            .is_none_or(|(name, _)| *name != codec.codec.mime_type)
        {
            let Some(made) = new_encoder(&codec) else {
                continue;
            };
            encoder = Some((codec.codec.mime_type.clone(), made));
            bitrate = None;
        }
        let Some((_, encoder)) = &mut encoder else {
            continue;
        };
        // What the path carries and `max_bitrate` allow, up to what the encoder does of its own accord.
        let target = target.unwrap_or(u64::MAX).min(USUAL_BITRATE);
        if bitrate != Some(target) {
            bitrate = Some(target);
            encoder.set_bitrate(Bitrate::from_bps(target));
        }
        packets.clear();
        if let Err(error) = encoder.encode(&frame, &mut packets) {
            tracing::debug!(%error, "sound could not be encoded");
        }
        for packet in &packets {
            shared.send(None, packet, None);
        }
    }
}

fn new_encoder(codec: &RtpCodecParameters) -> Option<Box<dyn AudioEncoder>> {
    let name = codec.codec.name();
    if name.eq_ignore_ascii_case("opus") {
        return match opus::Encoder::new(opus::EncoderConfig::default()) {
            Ok(encoder) => Some(Box::new(encoder)),
            Err(error) => {
                tracing::error!(%error, "there is no Opus encoder");
                None
            }
        };
    }
    g711_law(name).map(|law| Box::new(g711::Encoder::new(law)) as Box<dyn AudioEncoder>)
}

fn new_decoder(codec: &RtpCodecParameters) -> Option<Box<dyn AudioDecoder>> {
    let name = codec.codec.name();
    if name.eq_ignore_ascii_case("opus") {
        return match opus::Decoder::new(48_000, 2) {
            Ok(decoder) => Some(Box::new(decoder)),
            Err(error) => {
                tracing::error!(%error, "there is no Opus decoder");
                None
            }
        };
    }
    g711_law(name).map(|law| Box::new(g711::Decoder::new(law)) as Box<dyn AudioDecoder>)
}

fn g711_law(name: &str) -> Option<g711::Law> {
    if name.eq_ignore_ascii_case("pcmu") {
        Some(g711::Law::Mu)
    } else if name.eq_ignore_ascii_case("pcma") {
        Some(g711::Law::A)
    } else {
        None
    }
}

pub(super) fn decode(
    jobs: &Receiver<Job>,
    writer: &TrackWriter,
    transceiver: &Weak<TransceiverShared>,
) {
    let note = |sound: &AudioFrame, concealed: bool| {
        if let Some(shared) = transceiver.upgrade() {
            let id = shared.id();
            let sample = DecodedSample::Sound {
                rms: sound.rms(),
                samples: sound.frames() as u64,
                duration: sound.duration(),
                concealed,
            };
            shared.note(|session, now| session.note_decoded(now, id, sample));
        }
    };
    let mut decoder: Option<(String, Box<dyn AudioDecoder>)> = None;
    let mut clock = Clock::new(48_000);
    while let Ok(job) = jobs.recv() {
        if decoder
            .as_ref()
            .is_none_or(|(name, _)| *name != job.codec.codec.mime_type)
        {
            let Some(made) = new_decoder(&job.codec) else {
                continue;
            };
            decoder = Some((job.codec.codec.mime_type.clone(), made));
            clock = Clock::new(job.codec.codec.clock_rate);
        }
        let Some((_, decoder)) = &mut decoder else {
            continue;
        };
        let timestamp = clock.at(job.frame.timestamp);
        let missing = job.frame.missing_before.min(MOST_CONCEALED);
        if !missing.is_zero() {
            let start = timestamp.saturating_sub(missing);
            if let Ok(sound) = decoder.recover(&job.frame.data, missing, start) {
                note(&sound, true);
                let _ = writer.write(sound);
            }
        }
        match decoder.decode(&job.frame.data, timestamp) {
            Ok(sound) => {
                note(&sound, false);
                if writer.write(sound).is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "sound could not be decoded"),
        }
    }
}
