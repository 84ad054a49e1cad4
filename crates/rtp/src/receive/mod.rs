//! Receiving one stream: packets are put in order, what is missing is asked for, frames are delivered when due.
//!
//! | file | does |
//! |---|---|
//! | `buffer`, `window` | packets by sequence number, each once |
//! | `audio`, `video` | what may be delivered next |
//! | `playout` | when it is due |
//! | `nack`, `keyframes` | what is asked for, and when |
//! | `reception` | the statistics of RFC 3550 |
//! | `transport` | transport-wide feedback, for all streams of a transport |

mod audio;
mod buffer;
mod config;
mod keyframes;
mod nack;
mod playout;
mod reception;
mod transport;
mod video;
mod window;

pub use config::{Config, Delivery, IncomingFrame, PayloadType, Playout, RemoteOutbound, Stats};
pub use transport::TransportFeedback;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::buffer::{Buffer, Slot, Stored};
use self::keyframes::KeyframeRequest;
use self::nack::{Nacks, Noticed};
use self::playout::PlayoutClock;
use self::reception::{Place, Reception};
use self::video::Assembly;
use self::window::Window;
use crate::ext::{self, AudioLevel, VideoOrientation};
use crate::packet::{Header, Packet, Writer};
use crate::payload::{self, Fragment, audio as audio_payload};
use crate::rtcp::{self, FirEntry};
use crate::types::{NtpTime, SeqNum, Ssrc, TimestampUnwrapper, ticks_to_duration};

/// Packets that wait to be taken, when packets are delivered; the oldest make way.
const MAX_WAITING_PACKETS: usize = 4_096;
/// A first keyframe that was merely overtaken comes within this.
const FIRST_KEYFRAME_WAIT: Duration = Duration::from_millis(20);

/// A longer gap in audio is a pause: nobody conceals more.
const MAX_MISSING: Duration = Duration::from_secs(1);

/// What may be delivered next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Deliver { last: u64, due: Instant },
    Wait(Option<Instant>),
}

/// A stream that is received.
///
/// The loop: [`handle_packet`](Self::handle_packet) and [`handle_sender_report`](Self::handle_sender_report) as datagrams
/// come, [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so, and after each of them
/// [`poll_frame`](Self::poll_frame) and [`poll_feedback`](Self::poll_feedback) until `None`.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    video: bool,
    created: Instant,
    reception: Reception,
    timestamps: TimestampUnwrapper,
    window: Window,
    buffer: Buffer,
    assembly: Assembly,
    playout: PlayoutClock,
    nacks: Nacks,
    keyframe: KeyframeRequest,
    fir_sequence: u8,
    /// When the next frame is due, or a gap is given up.
    frame_timeout: Option<Instant>,
    /// Packets missing since the last frame delivered.
    lost: u32,
    /// Where the last audio frame delivered ended, in ticks.
    audio_end: Option<i64>,
    orientation: Option<VideoOrientation>,
    packets: VecDeque<Bytes>,
    stats: Stats,
}

impl Stream {
    /// A stream from which nothing has come.
    pub fn new(config: Config, now: Instant) -> Self {
        let video = config
            .payload_types
            .first()
            .is_some_and(|first| first.format.is_video());
        Self {
            video,
            created: now,
            reception: Reception::new(config.clock_rate),
            timestamps: TimestampUnwrapper::default(),
            window: Window::new(),
            buffer: Buffer::new(config.max_packets),
            assembly: Assembly::new(),
            playout: PlayoutClock::new(config.playout, config.clock_rate),
            nacks: Nacks::new(),
            keyframe: KeyframeRequest::default(),
            fir_sequence: 0,
            frame_timeout: None,
            lost: 0,
            audio_end: None,
            orientation: None,
            packets: VecDeque::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Takes one decrypted RTP packet of the stream or of its retransmission stream.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let Ok(view) = Packet::parse(&packet) else {
            self.stats.packets_invalid += 1;
            return;
        };
        if view.ssrc() == self.config.ssrc {
            self.handle_media(now, &packet, &view);
        } else {
            self.handle_repeat(now, &packet, &view);
        }
        self.stats.packets_discarded += std::mem::take(&mut self.buffer.thrown_out);
        self.refresh(now);
    }

    fn count(&mut self, now: Instant, view: &Packet<'_>) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += view.payload().len() as u64;
        self.stats.header_bytes_received += (view.header_len() + view.padding_len()) as u64;
        self.stats.last_packet_received = Some(now);
    }

    fn handle_media(&mut self, now: Instant, packet: &Bytes, view: &Packet<'_>) {
        let Some(kind) = self.payload_type(view.payload_type()) else {
            self.stats.packets_invalid += 1;
            return;
        };
        self.count(now, view);
        self.stats.payload_type = Some(kind.number);
        let seq = match self.reception.place(view.sequence_number()) {
            Place::At(seq) => seq,
            Place::Restart(seq) => {
                self.restart();
                seq
            }
            Place::Astray => {
                self.stats.packets_discarded += 1;
                return;
            }
        };
        // A repeat without a stream of its own counts for the numbers, not for the jitter.
        let repeat = self.nacks.asked_for(seq);
        self.reception.count(now, seq, view.timestamp(), repeat);
        self.stats.packets_lost = self.reception.lost();
        self.stats.jitter = self.reception.jitter();
        if !self.window.admit(seq) {
            self.stats.packets_duplicated += 1;
            return;
        }
        if self.nacks.received(now, seq, false) == Noticed::Outage {
            tracing::debug!(ssrc = self.config.ssrc.0, "outage");
        }
        let payload = packet.slice(view.payload_range());
        self.accept(now, seq, kind, view, payload, packet);
    }

    /// A packet on the retransmission stream: the original's sequence number precedes its payload (RFC 4588 §4).
    fn handle_repeat(&mut self, now: Instant, packet: &Bytes, view: &Packet<'_>) {
        let repeats = self
            .config
            .payload_types
            .iter()
            .find(|kind| kind.rtx == Some(view.payload_type()))
            .copied();
        let (Some(kind), true) = (
            repeats,
            self.config.rtx.is_none_or(|rtx| rtx == view.ssrc()),
        ) else {
            self.stats.packets_invalid += 1;
            return;
        };
        self.config.rtx = Some(view.ssrc());
        self.count(now, view);
        // Padding alone probes the path and repeats nothing.
        let range = view.payload_range();
        let Some(original) = view.payload().first_chunk() else {
            return;
        };
        let original = SeqNum(u16::from_be_bytes(*original));
        self.stats.retransmitted_packets_received += 1;
        self.stats.retransmitted_bytes_received += range.len() as u64;
        let Some(seq) = self.reception.place_of_repeat(original) else {
            self.stats.packets_discarded += 1;
            return;
        };
        if !self.window.admit(seq) {
            self.stats.packets_duplicated += 1;
            return;
        }
        self.nacks.received(now, seq, true);
        if let Some(rtt) = self.nacks.round_trip() {
            self.stats.round_trip_time = Some(rtt);
        }
        let payload = packet.slice(range.start + 2..range.end);
        match self.config.delivery {
            Delivery::Frames => self.accept(now, seq, kind, view, payload, packet),
            Delivery::Packets => {
                let original = self.rebuild(original, kind, view, &payload);
                self.accept(now, seq, kind, view, payload, &original);
            }
        }
    }

    /// The packet as it was before it was repeated, extensions of the repeat included.
    fn rebuild(&self, seq: SeqNum, kind: PayloadType, view: &Packet<'_>, payload: &[u8]) -> Bytes {
        let header = Header {
            marker: view.marker(),
            payload_type: kind.number,
            sequence_number: seq,
            timestamp: view.timestamp(),
            ssrc: self.config.ssrc,
        };
        let mut buf = Vec::with_capacity(view.header_len() + payload.len() + 4);
        let mut writer = Writer::new(&mut buf, header, &[]);
        for element in view.extensions() {
            writer.extension(element.id, element.data);
        }
        writer.payload(payload);
        writer.finish();
        Bytes::from(buf)
    }

    fn payload_type(&self, number: u8) -> Option<PayloadType> {
        self.config
            .payload_types
            .iter()
            .find(|kind| kind.number == number)
            .copied()
    }

    /// A packet seen for the first time.
    fn accept(
        &mut self,
        now: Instant,
        seq: u64,
        kind: PayloadType,
        view: &Packet<'_>,
        payload: Bytes,
        whole: &Bytes,
    ) {
        let fragment = if payload.is_empty() {
            Fragment::default()
        } else {
            match payload::inspect(kind.format, &payload) {
                Ok(fragment) => fragment,
                Err(error) => {
                    tracing::debug!(ssrc = self.config.ssrc.0, %error, "payload refused");
                    self.stats.packets_invalid += 1;
                    return;
                }
            }
        };
        let keyframe = self.video && fragment.keyframe;
        if keyframe {
            self.keyframe.satisfied();
        }
        if self.config.delivery == Delivery::Packets {
            if self.packets.len() >= MAX_WAITING_PACKETS {
                self.packets.pop_front();
                self.stats.packets_discarded += 1;
            }
            self.packets.push_back(whole.clone());
            return;
        }
        let timestamp = self.timestamps.unwrap(view.timestamp());
        let empty = payload.is_empty();
        if !self.video && !empty {
            self.playout
                .observe(now, timestamp, self.reception.jitter());
        }
        if let Some(delay) = self
            .config
            .playout_delay
            .and_then(|id| view.extension(id))
            .and_then(ext::PlayoutDelay::parse)
        {
            self.set_limits(delay.min, delay.max);
        }
        let head = self.buffer.head();
        let stored = self.buffer.insert(Slot {
            seq,
            timestamp,
            wire_timestamp: view.timestamp(),
            arrival: now,
            marker: view.marker(),
            payload_type: kind.number,
            format: kind.format,
            fragment,
            payload,
            audio_level: self
                .config
                .audio_level
                .and_then(|id| view.extension(id))
                .and_then(AudioLevel::parse),
            orientation: self
                .config
                .video_orientation
                .and_then(|id| view.extension(id))
                .and_then(VideoOrientation::parse),
        });
        if let (Some(before), Some(after)) = (head, self.buffer.head())
            && after > before
        {
            // Nobody takes frames, or the packet lies far ahead: the oldest made way.
            self.stats.gaps += 1;
            self.after_head_moved();
            if self.video {
                self.lose_picture(now);
            }
        }
        match stored {
            Stored::Late => self.stats.packets_discarded += 1,
            Stored::Duplicate => self.stats.packets_duplicated += 1,
            Stored::Kept => {}
        }
        if stored != Stored::Kept || !self.video {
            return;
        }
        if keyframe {
            self.assembly.keyframe_at(seq, timestamp);
        } else if head.is_none() && !empty {
            self.keyframe.want(now + FIRST_KEYFRAME_WAIT);
        }
        if self.buffer.head() == Some(seq) {
            // The head moved back to it, or this is what it waited for.
            self.assembly.head_at(seq);
        }
    }

    fn restart(&mut self) {
        self.buffer.clear();
        self.nacks.reset();
        self.window = Window::new();
        self.assembly = Assembly::new();
        self.audio_end = None;
    }

    /// Takes the sender's part of an SR.
    pub fn handle_sender_report(&mut self, now: Instant, report: &rtcp::SenderInfo) {
        if report.ssrc != self.config.ssrc {
            return;
        }
        self.reception.handle_sender_report(now, report);
        let before = self.stats.remote;
        self.stats.remote = Some(RemoteOutbound {
            at: now,
            packets_sent: unwrapped(
                before.map(|before| before.packets_sent),
                report.packet_count,
            ),
            bytes_sent: unwrapped(before.map(|before| before.bytes_sent), report.octet_count),
            ntp: report.ntp,
            rtp_timestamp: report.rtp_timestamp,
            reports: self.reception.sender_reports,
        });
    }

    fn step(&mut self, now: Instant) -> Step {
        if self.video {
            self.step_video(now)
        } else {
            self.step_audio(now)
        }
    }

    fn refresh(&mut self, now: Instant) {
        self.frame_timeout = match self.step(now) {
            Step::Deliver { .. } => Some(now),
            Step::Wait(until) => until,
        };
        self.stats.target_delay = self.playout.target();
    }

    /// Gives up everything before `seq`.
    fn skip_to(&mut self, seq: u64) {
        let (dropped, missing) = self.buffer.drop_before(seq);
        self.stats.packets_discarded += dropped;
        if missing > 0 {
            self.stats.gaps += 1;
            self.lost = self
                .lost
                .saturating_add(u32::try_from(missing).unwrap_or(u32::MAX));
        }
        self.after_head_moved();
    }

    /// Goes on after what was delivered or is of no use.
    fn move_head(&mut self, seq: u64) {
        self.buffer.drop_before(seq);
        self.after_head_moved();
    }

    fn after_head_moved(&mut self) {
        if let Some(head) = self.buffer.head() {
            self.assembly.head_at(head);
            self.nacks.forget_before(head);
        }
    }

    /// The next frame that is due.
    pub fn poll_frame(&mut self, now: Instant) -> Option<IncomingFrame> {
        let (Step::Deliver { last, due }, Some(head)) = (self.step(now), self.buffer.head()) else {
            return None;
        };
        let timestamp = self.buffer.get(head)?.timestamp;
        let frame = self.assemble(head, last, due)?;
        self.move_head(last + 1);
        if self.video && frame.keyframe {
            self.assembly.needs_keyframe = false;
        }
        self.lost = 0;
        let stats = &mut self.stats;
        stats.frames_received += 1;
        stats.key_frames_received += u64::from(self.video && frame.keyframe);
        // Sound is counted by the sample (W3C Statistics, `jitterBufferEmittedCount`).
        let units = match self.audio_end.filter(|_| !self.video) {
            Some(end) => u32::try_from(end - timestamp).unwrap_or(1).max(1),
            None => 1,
        };
        stats.jitter_buffer_delay += now.saturating_duration_since(frame.arrival) * units;
        stats.jitter_buffer_target_delay += self.playout.target() * units;
        stats.jitter_buffer_minimum_delay += self.playout.network_target() * units;
        stats.jitter_buffer_emitted_count += u64::from(units);
        self.refresh(now);
        Some(frame)
    }

    fn assemble(&mut self, head: u64, last: u64, due: Instant) -> Option<IncomingFrame> {
        let slots = (head..=last).filter_map(|seq| self.buffer.get(seq));
        let first = slots.clone().next()?;
        let format = first.format;
        let payloads = slots
            .clone()
            .filter(|slot| !slot.payload.is_empty())
            .map(|slot| (&slot.payload, slot.fragment.body));
        let data = payload::join(format, payloads);
        let orientation = slots.clone().find_map(|slot| slot.orientation);
        self.orientation = orientation.or(self.orientation);
        let mut missing_before = Duration::ZERO;
        if !self.video {
            if let Some(end) = self.audio_end {
                let missing = ticks_to_duration(first.timestamp - end, self.config.clock_rate);
                missing_before = missing.min(MAX_MISSING);
            }
            self.audio_end = audio_payload::duration_ticks(format, &data)
                .map(|ticks| first.timestamp + i64::from(ticks));
        }
        let arrivals = || slots.clone().map(|slot| slot.arrival);
        let (arrival, complete) = (arrivals().min()?, arrivals().max()?);
        let marker = self.buffer.get(last).is_some_and(|slot| slot.marker);
        Some(IncomingFrame {
            ssrc: self.config.ssrc,
            timestamp: first.wire_timestamp,
            keyframe: first.fragment.keyframe,
            payload_type: first.payload_type,
            lost_before: self.lost,
            missing_before,
            marker,
            arrival,
            complete,
            packets: u32::try_from(slots.count()).unwrap_or(u32::MAX),
            due,
            sender_ntp: self.reception.sender_time(first.wire_timestamp),
            audio_level: first.audio_level,
            orientation: self.orientation,
            data,
        })
    }

    /// The next packet, with [`Delivery::Packets`].
    pub fn poll_packet(&mut self, _now: Instant) -> Option<Bytes> {
        self.packets.pop_front()
    }

    /// Appends the feedback that is due, plaintext RTCP, and returns its length.
    pub fn poll_feedback(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let start = buf.len();
        let (local, media) = (self.config.local_ssrc, self.config.ssrc);
        let keyframe =
            (self.config.pli || self.config.fir) && self.keyframe.due(now, self.nacks.round_trip());
        let max_age = self.patience();
        let lost = if self.config.nack {
            self.nacks.due(now, max_age)
        } else {
            &[]
        };
        if !keyframe && lost.is_empty() {
            return None;
        }
        let mut writer = rtcp::Writer::new(buf);
        if !self.config.reduced_size {
            writer.receiver_report(local, &[]);
            writer.cname(local, &self.config.cname);
        }
        if !lost.is_empty() {
            writer.nack(local, media, lost.iter().copied());
            self.stats.nack_count += 1;
        }
        if keyframe && self.config.pli {
            writer.pli(local, media);
            self.stats.pli_count += 1;
        } else if keyframe {
            // Each request is a new command: a repeat of one number would only confirm the last (RFC 5104 §4.3.1.2).
            let entry = FirEntry {
                ssrc: media,
                sequence: self.fir_sequence,
            };
            self.fir_sequence = self.fir_sequence.wrapping_add(1);
            writer.fir(local, &[entry]);
            self.stats.fir_count += 1;
        }
        Some(buf.len() - start)
    }

    /// Asks for a keyframe; repeated until one comes.
    pub fn request_keyframe(&mut self, now: Instant) {
        self.keyframe.want(now);
    }

    /// The report block for an SR or RR that leaves now; begins a new interval. `None` before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<rtcp::ReportBlock> {
        self.reception.report(now, self.config.ssrc)
    }

    /// When something is due next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let nack = self
            .config
            .nack
            .then(|| self.nacks.poll_timeout())
            .flatten();
        let keyframe = (self.config.pli || self.config.fir)
            .then(|| self.keyframe.poll_timeout())
            .flatten();
        [self.frame_timeout, nack, keyframe]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time asks for; [`Stream::poll_feedback`] and [`Stream::poll_frame`] have the result.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.refresh(now);
    }

    /// Tells which payload types may come from now on. What has come stays; where the first of them has another media clock,
    /// the delay of playing is learnt anew (RFC 7160 §4.3).
    pub fn set_payload_types(&mut self, payload_types: Vec<PayloadType>) {
        if let Some(first) = payload_types.first()
            && first.format.clock_rate() != self.config.clock_rate
        {
            self.config.clock_rate = first.format.clock_rate();
            self.reception.set_clock_rate(self.config.clock_rate);
            self.playout = PlayoutClock::new(self.config.playout, self.config.clock_rate);
            self.audio_end = None;
        }
        self.config.payload_types = payload_types;
    }

    /// Tells the SSRC of the retransmission stream.
    pub fn set_rtx(&mut self, ssrc: Ssrc) {
        self.config.rtx = Some(ssrc);
    }

    /// Tells a round-trip time measured elsewhere on the path.
    pub fn set_round_trip_time(&mut self, rtt: Duration) {
        self.nacks.set_round_trip(rtt);
        self.stats.round_trip_time = Some(rtt);
    }

    /// Sets the least playout delay: lip sync, `jitterBufferTarget`.
    pub fn set_min_delay(&mut self, now: Instant, delay: Duration) {
        let max = self.config.playout.max_delay.max(delay);
        self.set_limits(delay, max);
        self.refresh(now);
    }

    fn set_limits(&mut self, min: Duration, max: Duration) {
        self.config.playout.min_delay = min;
        self.config.playout.max_delay = max;
        self.playout.set_limits(min, max);
    }

    /// The sender's wall clock at an RTP timestamp.
    pub fn sender_time(&self, timestamp: u32) -> Option<NtpTime> {
        self.reception.sender_time(timestamp)
    }

    /// How it was configured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> Ssrc {
        self.config.ssrc
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// A counter of 32 bits that goes on after it wraps; a report that was overtaken does not turn it back.
fn unwrapped(before: Option<u64>, count: u32) -> u64 {
    let Some(before) = before else {
        return u64::from(count);
    };
    let step = count.wrapping_sub(before as u32);
    before + if step < 1 << 31 { u64::from(step) } else { 0 }
}

#[cfg(test)]
mod tests;
