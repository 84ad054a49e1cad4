//! Sound: Opus and G.711.

use super::audio_format::{AudioFormat, bitrate, g711_law};
use super::{Clock, IDLE, Job, Offset, note_decoded};
use crate::driver;
use crate::rtp_parameters::RtpCodecParameters;
use crate::rtp_transceiver::TransceiverShared;
use crate::session::{DecodedSample, Session, SourceSample, TransceiverId};
use codecs::{AudioDecoder, AudioEncoder, g711, opus};
use media::channel::RecvTimeoutError;
use media::{AudioReceiver, Bitrate, TrackWriter};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What lost sound is made up for; a longer gap is silence.
const MOST_CONCEALED: Duration = Duration::from_millis(120);

pub(super) fn encode(
    mut frames: AudioReceiver,
    transceiver: &Weak<TransceiverShared>,
    stop: &AtomicBool,
) {
    let mut encoder: Option<(AudioFormat, Box<dyn AudioEncoder>)> = None;
    let (mut bitrate, mut loss) = (0, 0.0);
    let mut packets = Vec::new();
    let mut offset = Offset::default();
    while !stop.load(Ordering::Relaxed) {
        let frame = match frames.recv_timeout(IDLE) {
            Ok(frame) => frame,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(_) => return,
        };
        let Some(shared) = transceiver.upgrade() else {
            return;
        };
        let (now, duration) = (driver::now(), frame.duration());
        let timestamp = shared.place(&mut offset, now, frame.timestamp(), duration);
        let frame = frame.with_timestamp(timestamp);
        // "MUST NOT send (audio)" of a track that is disabled or muted (W3C WebRTC §5.2, `track`).
        let blank = shared.is_blank();
        let mut plan = None;
        shared.note(|session, now| {
            let sample = SourceSample::Sound {
                rms: frame.loudest_rms(),
                duration,
            };
            session.note_source(now, shared.id(), sample);
            if !blank {
                plan = Plan::new(session, shared.id(), frame.channels());
            }
        });
        let Some(plan) = plan else { continue };
        if encoder
            .as_ref()
            .is_none_or(|(format, _)| *format != plan.format)
        {
            match plan.format.encoder() {
                Ok(made) => encoder = Some((plan.format, made)),
                Err(error) => {
                    tracing::error!(%error, "there is no encoder");
                    continue;
                }
            }
            (bitrate, loss) = (0, 0.0);
        }
        let Some((_, encoder)) = &mut encoder else {
            continue;
        };
        if bitrate != plan.bitrate {
            bitrate = plan.bitrate;
            encoder.set_bitrate(Bitrate::from_bps(bitrate));
        }
        if loss != plan.loss {
            loss = plan.loss;
            encoder.set_expected_loss(loss);
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

/// How a piece of sound is encoded.
struct Plan {
    format: AudioFormat,
    bitrate: u64,
    /// What part of the packets the peer missed lately.
    loss: f64,
}

impl Plan {
    /// `None` while nothing is to be sent.
    fn new(session: &mut Session, id: TransceiverId, channels: u16) -> Option<Self> {
        if !session.can_send(id) {
            return None;
        }
        let view = session.transceiver(id)?;
        let encoding = view.encodings().next().filter(|one| one.active)?;
        let codec = &encoding.choose(view.send_codecs())?.codec;
        let bitrate = bitrate(codec, session.target_bitrate(id, None));
        let packet_time = view.packet_time();
        Some(Plan {
            format: AudioFormat::new(codec, encoding, packet_time, channels, bitrate)?,
            bitrate,
            loss: session.reported_loss(id),
        })
    }
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

pub(super) fn decode(
    jobs: &Receiver<Job>,
    writer: &TrackWriter,
    transceiver: &Weak<TransceiverShared>,
) {
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
                let sample = DecodedSample::Concealment {
                    rms: sound.loudest_rms(),
                    samples: sound.frames() as u64,
                    duration: sound.duration(),
                };
                note_decoded(transceiver, &job.frame, sample);
                let _ = writer.write(sound);
            }
        }
        let opus = job.codec.codec.name().eq_ignore_ascii_case("opus");
        match decoder.decode(&job.frame.data, timestamp) {
            Ok(sound) => {
                let sample = DecodedSample::Sound {
                    rms: sound.loudest_rms(),
                    samples: sound.frames() as u64,
                    duration: sound.duration(),
                    arrival: job.frame.arrival,
                    fec: opus && opus::has_fec(&job.frame.data),
                };
                note_decoded(transceiver, &job.frame, sample);
                if writer.write(sound).is_err() {
                    return;
                }
            }
            Err(error) => tracing::debug!(%error, "sound could not be decoded"),
        }
    }
}
