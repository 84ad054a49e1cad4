//! What encoders, decoders and sources tell, for statistics; and whose packets made the last frames.

use super::Session;
use super::media::{Incoming, MediaEngine};
use super::transceiver::TransceiverId;
use crate::error::Error;
use media::MediaKind;
use rtp::Ssrc;
use rtp::receive::IncomingFrame;
use std::time::{Duration, Instant};

/// How long a source is remembered (W3C WebRTC §5.3, `getContributingSources`).
const REMEMBERED: Duration = Duration::from_secs(10);
/// Frames between arrival and delivery whose contributing sources are kept.
const MOST_PENDING: usize = 128;
/// Sources of one stream that are remembered.
const MOST_SOURCES: usize = 64;
/// Without a wish, frames are held at least so long.
const DEFAULT_LEAST_DELAY: Duration = Duration::from_millis(10);

/// `RTCRtpContributingSource` and `RTCRtpSynchronizationSource` (W3C WebRTC §5.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RtpSource {
    /// Since the Unix epoch, when a frame of this source was delivered last.
    pub timestamp: Duration,
    /// The CSRC or SSRC.
    pub source: u32,
    /// How loud it was, 0.0 (silence) to 1.0; `None` when its packets do not say.
    pub audio_level: Option<f64>,
    /// The RTP time of that frame.
    pub rtp_timestamp: u32,
}

/// A source whose frames were delivered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    source: u32,
    contributing: bool,
    at: Instant,
    rtp_timestamp: u32,
    level: Option<u8>,
}

/// What one picture cost to encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodedSample {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) keyframe: bool,
    pub(crate) took: Duration,
    pub(crate) target: u64,
    /// Bytes, and pictures a second that the target is for.
    pub(crate) size: usize,
    pub(crate) frame_rate: f64,
    /// Its quantizer index, where the format has one.
    pub(crate) qp: Option<u8>,
    /// What encoded it.
    pub(crate) implementation: &'static str,
    /// Whether the bitrate makes it worse than it could be.
    pub(crate) limited: bool,
}

/// What an encoder has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EncoderCounts {
    pub(super) frames: u64,
    pub(super) keyframes: u64,
    pub(super) time: Duration,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) target: Option<u64>,
    /// Bytes that its frames should have had.
    pub(super) target_bytes: f64,
    last: Option<Instant>,
    pub(super) limited: bool,
    held: Held,
    pub(super) resolution_changes: u32,
    pub(super) rate: FrameRate,
    pub(super) huge: u64,
    pub(super) qp_sum: Option<u64>,
    pub(super) implementation: Option<&'static str>,
}

/// For how long pictures were as good as they could be, and for how long not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) unlimited: Duration,
    pub(super) limited: Duration,
}

impl EncoderCounts {
    /// `qualityLimitationDurations` until now.
    pub(super) fn held(&self, now: Instant) -> Held {
        let mut held = self.held;
        let Some(last) = self.last else { return held };
        let since = now.saturating_duration_since(last);
        match self.limited {
            true => held.limited += since,
            false => held.unlimited += since,
        }
        held
    }
}

/// What a decoder has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DecoderCounts {
    pub(super) frames: u64,
    pub(super) keyframes: u64,
    pub(super) dropped: u64,
    pub(super) time: Duration,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rate: FrameRate,
    pub(super) qp_sum: Option<u64>,
    pub(super) implementation: Option<&'static str>,
    /// Pictures that somebody took from the track.
    pub(super) rendered: u64,
    pub(super) smoothness: Smoothness,
    /// From arrival until decoded, in seconds, summed over pictures or samples.
    pub(super) processing: f64,
    /// Pictures that came in several packets, and the time from the first to the last of those.
    pub(super) assembled: u64,
    pub(super) assembly: Duration,
    pub(super) energy: f64,
    pub(super) level: Option<f64>,
    pub(super) samples: u64,
    pub(super) samples_duration: Duration,
    pub(super) concealed_samples: u64,
    pub(super) silent_concealed_samples: u64,
    pub(super) concealment_events: u64,
    /// Whether the last samples were made up.
    concealing: bool,
    pub(super) fec_packets: u64,
    pub(super) fec_packets_unused: u64,
}

impl DecoderCounts {
    fn hear(&mut self, rms: f64, samples: u64, duration: Duration) {
        self.level = Some(rms);
        self.energy += rms * rms * duration.as_secs_f64();
        self.samples += samples;
        self.samples_duration += duration;
    }
}

/// How evenly pictures come: `totalInterFrameDelay` and what goes with it (W3C Statistics §8.4).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Smoothness {
    last: Option<Instant>,
    /// The mean delay between pictures, over about thirty of them, in seconds.
    mean: f64,
    delays: u32,
    pub(super) total: f64,
    pub(super) total_squared: f64,
    pub(super) freezes: u32,
    pub(super) frozen: f64,
    pub(super) pauses: u32,
    pub(super) paused: f64,
}

impl Smoothness {
    fn note(&mut self, now: Instant) {
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let delay = now.saturating_duration_since(last).as_secs_f64();
        self.total += delay;
        self.total_squared += delay * delay;
        if delay >= 5.0 {
            self.pauses += 1;
            self.paused += delay;
            return;
        }
        if self.delays >= 5 && delay >= (3.0 * self.mean).max(self.mean + 0.15) {
            self.freezes += 1;
            self.frozen += delay;
        }
        self.delays = (self.delays + 1).min(30);
        self.mean += (delay - self.mean) / f64::from(self.delays);
    }
}

/// What came out of a decoder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DecodedSample {
    Picture {
        width: u32,
        height: u32,
        keyframe: bool,
        took: Duration,
        /// When its first packet came, its last, and how many there were.
        arrival: Instant,
        complete: Instant,
        packets: u32,
        qp: Option<u8>,
        implementation: &'static str,
        /// Whether somebody took it.
        rendered: bool,
    },
    Sound {
        rms: f64,
        samples: u64,
        duration: Duration,
        arrival: Instant,
        /// Whether the packet repeats the one before.
        fec: bool,
    },
    /// Samples in place of missing ones, before the packet that comes next.
    Concealment {
        rms: f64,
        samples: u64,
        duration: Duration,
    },
    /// A frame that was not decoded.
    Dropped,
}

/// What a track gave to its sender.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SourceSample {
    Picture { width: u32, height: u32 },
    Sound { rms: f64, duration: Duration },
}

/// What a track that is sent has given so far (`RTCMediaSourceStats`).
#[derive(Debug, Clone)]
pub(super) struct SourceCounts {
    /// Never that of another, nor of the same track after it was away.
    pub(super) number: u32,
    pub(super) track: String,
    pub(super) kind: MediaKind,
    /// Of the senders of the track, the one whose frames are counted.
    transceiver: TransceiverId,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) frames: u64,
    pub(super) rate: FrameRate,
    pub(super) level: Option<f64>,
    pub(super) energy: f64,
    pub(super) duration: Duration,
}

/// Frames in the last whole second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FrameRate {
    since: Option<Instant>,
    count: u32,
    last: f64,
}

impl FrameRate {
    fn count(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= Duration::from_secs(1) {
            self.last = f64::from(self.count) / elapsed.as_secs_f64();
            self.since = Some(now);
            self.count = 0;
        }
        self.count += 1;
    }

    /// Frames a second; zero when none has come for two.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let since = self.since?;
        let elapsed = now.saturating_duration_since(since);
        if elapsed > Duration::from_secs(2) {
            return Some(0.0);
        }
        (self.last > 0.0).then_some(self.last)
    }
}

impl Session {
    /// "Created when a track is attached to any sender"; gone "when the track is no longer attached to any" (W3C Statistics,
    /// `RTCMediaSourceStats`).
    pub(super) fn match_sources(&mut self) {
        let senders = || {
            let transceivers = self.jsep.transceivers.iter();
            transceivers
                .filter(|transceiver| !transceiver.stopping)
                .filter_map(|one| Some((one.id, one.kind, one.sender.track.as_ref()?)))
        };
        self.sources.retain_mut(|source| {
            let mut here = senders().filter(|(.., track)| **track == source.track);
            let first = here.next();
            let kept = first.is_some_and(|(id, ..)| id == source.transceiver)
                || here.any(|(id, ..)| id == source.transceiver);
            if let (false, Some((id, ..))) = (kept, first) {
                source.transceiver = id;
            }
            first.is_some()
        });
        for (id, kind, track) in senders() {
            if self.sources.iter().any(|source| source.track == *track) {
                continue;
            }
            self.sources_made += 1;
            self.sources.push(SourceCounts {
                number: self.sources_made,
                track: track.clone(),
                kind,
                transceiver: id,
                width: 0,
                height: 0,
                frames: 0,
                rate: FrameRate::default(),
                level: None,
                energy: 0.0,
                duration: Duration::ZERO,
            });
        }
    }

    pub(crate) fn note_source(&mut self, now: Instant, id: TransceiverId, sample: SourceSample) {
        let Some(track) = self
            .jsep
            .transceiver(id)
            .and_then(|transceiver| transceiver.sender.track.as_deref())
        else {
            return;
        };
        let mut sources = self.sources.iter_mut();
        let Some(source) = sources.find(|source| source.track == track) else {
            return;
        };
        if source.transceiver != id {
            return;
        }
        source.frames += 1;
        match sample {
            SourceSample::Picture { width, height } => {
                (source.width, source.height) = (width, height);
                source.rate.count(now);
            }
            SourceSample::Sound { rms, duration } => {
                source.level = Some(rms);
                source.energy += rms * rms * duration.as_secs_f64();
                source.duration += duration;
            }
        }
    }

    pub(crate) fn note_encoded(
        &mut self,
        now: Instant,
        id: TransceiverId,
        rid: Option<&str>,
        sample: &EncodedSample,
    ) {
        let outgoing = self.media.outgoing.iter_mut().find(|outgoing| {
            outgoing.transceiver == id && (rid.is_none() || outgoing.rid.as_deref() == rid)
        });
        let Some(outgoing) = outgoing else { return };
        let counts = &mut outgoing.encoder;
        counts.frames += 1;
        counts.keyframes += u64::from(sample.keyframe);
        counts.time += sample.took;
        if (counts.width, counts.height) != (sample.width, sample.height) {
            let limited = counts.limited || sample.limited;
            counts.resolution_changes += u32::from(counts.width != 0 && limited);
            (counts.width, counts.height) = (sample.width, sample.height);
        }
        counts.target = Some(sample.target);
        counts.implementation = Some(sample.implementation);
        if let Some(qp) = sample.qp {
            *counts.qp_sum.get_or_insert_default() += u64::from(qp);
        }
        // "At least 2.5 times the average size", which is "the target bitrate per second divided by the target FPS".
        let average = sample.target as f64 / 8.0 / sample.frame_rate.max(1.0);
        counts.huge += u64::from(sample.size as f64 >= 2.5 * average);
        counts.held = counts.held(now);
        // The part of a second that a frame is for; the first is taken for one of thirty.
        let step = counts.last.replace(now).map_or(1.0 / 30.0, |last| {
            now.saturating_duration_since(last).as_secs_f64().min(1.0)
        });
        counts.target_bytes += sample.target as f64 / 8.0 * step;
        counts.limited = sample.limited;
        counts.rate.count(now);
    }

    pub(crate) fn note_decoded(&mut self, now: Instant, ssrc: Ssrc, sample: DecodedSample) {
        let mut incoming = self.media.incoming.iter_mut();
        let Some(incoming) = incoming.find(|incoming| incoming.stream.ssrc() == ssrc) else {
            return;
        };
        let counts = &mut incoming.decoder;
        match sample {
            DecodedSample::Picture {
                width,
                height,
                keyframe,
                took,
                arrival,
                complete,
                packets,
                qp,
                implementation,
                rendered,
            } => {
                counts.frames += 1;
                counts.keyframes += u64::from(keyframe);
                counts.time += took;
                (counts.width, counts.height) = (width, height);
                counts.rate.count(now);
                counts.implementation = Some(implementation);
                if let Some(qp) = qp {
                    *counts.qp_sum.get_or_insert_default() += u64::from(qp);
                }
                counts.processing += now.saturating_duration_since(arrival).as_secs_f64();
                if packets > 1 {
                    counts.assembled += 1;
                    counts.assembly += complete.saturating_duration_since(arrival);
                }
                if rendered {
                    counts.rendered += 1;
                    counts.smoothness.note(now);
                }
            }
            DecodedSample::Sound {
                rms,
                samples,
                duration,
                arrival,
                fec,
            } => {
                counts.hear(rms, samples, duration);
                // "All samples will share the same reception timestamp."
                counts.processing +=
                    now.saturating_duration_since(arrival).as_secs_f64() * samples as f64;
                counts.fec_packets += u64::from(fec);
                counts.fec_packets_unused += u64::from(fec && !counts.concealing);
                counts.concealing = false;
            }
            DecodedSample::Concealment {
                rms,
                samples,
                duration,
            } => {
                counts.hear(rms, samples, duration);
                counts.concealed_samples += samples;
                counts.silent_concealed_samples += if rms == 0.0 { samples } else { 0 };
                counts.concealment_events += u64::from(!counts.concealing);
                counts.concealing = true;
            }
            DecodedSample::Dropped => counts.dropped += 1,
        }
    }

    /// `getSynchronizationSources` (W3C WebRTC §5.3): the newest first.
    pub fn synchronization_sources(&self, now: Instant, id: TransceiverId) -> Vec<RtpSource> {
        self.heard(now, id, false)
    }

    /// `getContributingSources` (W3C WebRTC §5.3): the newest first.
    pub fn contributing_sources(&self, now: Instant, id: TransceiverId) -> Vec<RtpSource> {
        self.heard(now, id, true)
    }

    fn heard(&self, now: Instant, id: TransceiverId, contributing: bool) -> Vec<RtpSource> {
        let mut heard: Vec<&Heard> = self
            .media
            .incoming
            .iter()
            .filter(|incoming| incoming.transceiver == id)
            .flat_map(|incoming| &incoming.heard)
            .filter(|heard| {
                heard.contributing == contributing
                    && now.saturating_duration_since(heard.at) <= REMEMBERED
            })
            .collect();
        heard.sort_by_key(|heard| std::cmp::Reverse(heard.at));
        heard
            .into_iter()
            .map(|heard| RtpSource {
                timestamp: self.unix_time(heard.at),
                source: heard.source,
                audio_level: heard.level.map(linear_level),
                rtp_timestamp: heard.rtp_timestamp,
            })
            .collect()
    }

    /// `jitterBufferTarget`: how long frames are to be held at least; `None` leaves it to the network.
    ///
    /// # Errors
    /// `RangeError` above 4 s.
    pub fn set_jitter_buffer_target(
        &mut self,
        now: Instant,
        id: TransceiverId,
        target: Option<Duration>,
    ) -> Result<(), Error> {
        if target.is_some_and(|target| target > Duration::from_secs(4)) {
            return Err(Error::Range("the jitter buffer holds 4 s at most".into()));
        }
        if let Some(transceiver) = self.jsep.transceiver_mut(id) {
            transceiver.receiver.jitter_buffer_target = target;
        }
        self.media.set_jitter_buffer_target(id, target);
        for incoming in self
            .media
            .incoming
            .iter_mut()
            .filter(|incoming| incoming.transceiver == id)
        {
            incoming
                .stream
                .set_min_delay(now, target.unwrap_or(DEFAULT_LEAST_DELAY));
        }
        Ok(())
    }

    /// What [`Session::set_jitter_buffer_target`] set.
    pub fn jitter_buffer_target(&self, id: TransceiverId) -> Option<Duration> {
        self.jsep.transceiver(id)?.receiver.jitter_buffer_target
    }
}

/// "To convert these values to the linear 0..1 range" (W3C WebRTC §5.3).
fn linear_level(level: u8) -> f64 {
    match level {
        127.. => 0.0,
        level => 10_f64.powf(-f64::from(level) / 20.0),
    }
}

impl MediaEngine {
    /// Keeps the contributing sources of a packet until its frame is delivered.
    pub(super) fn note_contributors(
        &mut self,
        index: usize,
        packet: &rtp::Packet<'_>,
        levels: Option<u8>,
    ) {
        if packet.csrcs().len() == 0 {
            return;
        }
        let mut levels = levels
            .and_then(|id| packet.extension(id))
            .map(rtp::ext::csrc_audio_levels)
            .into_iter()
            .flatten();
        let sources = packet
            .csrcs()
            .map(|source| (source.0, levels.next()))
            .collect();
        let pending = &mut self.incoming[index].contributors;
        if pending.len() >= MOST_PENDING {
            pending.pop_front();
        }
        pending.push_back((packet.timestamp(), sources));
    }
}

impl Incoming {
    /// A frame is delivered: its sources have been heard.
    pub(super) fn note_delivery(&mut self, now: Instant, frame: &IncomingFrame) {
        self.played = Some((frame.timestamp, now));
        let own = self.stream.ssrc().0;
        let level = frame.audio_level.map(|level| level.level);
        self.hear(now, own, false, frame.timestamp, level);
        while let Some((timestamp, _)) = self.contributors.front() {
            // Everything up to this frame (RFC 1982 order).
            if frame.timestamp.wrapping_sub(*timestamp) >= 1 << 31 {
                break;
            }
            if let Some((timestamp, sources)) = self.contributors.pop_front() {
                for (source, level) in sources {
                    self.hear(now, source, true, timestamp, level);
                }
            }
        }
    }

    fn hear(
        &mut self,
        at: Instant,
        source: u32,
        contributing: bool,
        rtp_timestamp: u32,
        level: Option<u8>,
    ) {
        let heard = Heard {
            source,
            contributing,
            at,
            rtp_timestamp,
            level,
        };
        let known = self
            .heard
            .iter_mut()
            .find(|known| known.source == source && known.contributing == contributing);
        match known {
            Some(known) => *known = heard,
            None => {
                self.heard
                    .retain(|known| at.saturating_duration_since(known.at) <= REMEMBERED);
                if self.heard.len() < MOST_SOURCES {
                    self.heard.push(heard);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_come_late_are_freezes_and_very_late_ones_pauses() {
        let start = netsim::Network::new(1).now();
        let mut smoothness = Smoothness::default();
        let mut now = start;
        for milliseconds in [0]
            .into_iter()
            .chain([40; 20])
            .chain([100, 400, 40, 6_000, 40])
        {
            now += Duration::from_millis(milliseconds);
            smoothness.note(now);
        }
        assert_eq!((smoothness.freezes, smoothness.pauses), (1, 1));
        assert!((smoothness.frozen - 0.4).abs() < 1e-9 && (smoothness.paused - 6.0).abs() < 1e-9);
        assert!((smoothness.total - (now - start).as_secs_f64()).abs() < 1e-9);
        assert!(smoothness.total_squared > 36.0);
    }
}
