//! Telephone tones: `RTCDTMFSender` (W3C WebRTC §7) and the packets of RFC 4733.

use super::transceiver::{Transceiver, TransceiverId};
use super::{Event, Session};
use crate::error::Error;
use crate::rtp_parameters::RtpCodecParameters;
use crate::states::PeerConnectionState;
use bytes::Bytes;
use rtp::send::OutgoingPacket;
use std::time::{Duration, Instant};

/// Between the packets of one tone (RFC 4733 §2.5.1.2 suggests the packet time of the sound).
const PACKET_TIME: Duration = Duration::from_millis(20);
/// Between the three copies of the last packet (RFC 4733 §2.5.1.4).
const REPEAT_TIME: Duration = Duration::from_millis(10);
const REPEATS: u8 = 3;
/// What a `,` waits.
const COMMA: Duration = Duration::from_secs(2);
/// Loudness in -dBm0 (RFC 4733 §2.3.4).
const VOLUME: u8 = 10;
const LONGEST: Duration = Duration::from_millis(6_000);

/// How long a tone lasts, when nothing is said.
pub const DEFAULT_TONE_DURATION: Duration = Duration::from_millis(100);
/// The silence between two tones, when nothing is said.
pub const DEFAULT_INTER_TONE_GAP: Duration = Duration::from_millis(70);

/// The tones that one sender has to play.
#[derive(Debug)]
pub(super) struct Dtmf {
    transceiver: TransceiverId,
    /// `[[ToneBuffer]]`.
    buffer: String,
    duration: Duration,
    gap: Duration,
    /// When the "DTMF playout task steps" run next.
    task: Option<Instant>,
    tone: Option<Tone>,
}

/// A tone on the air.
#[derive(Debug)]
struct Tone {
    event: u8,
    payload_type: u8,
    clock_rate: u32,
    started: Instant,
    duration: Duration,
    /// RTP time of this segment, and the ticks that earlier segments took (RFC 4733 §2.5.1.3).
    timestamp: u32,
    before: u64,
    marker: bool,
    next: Instant,
    ends: u8,
}

/// The event of a tone (RFC 4733 §3.2).
fn event_of(tone: char) -> Option<u8> {
    Some(match tone {
        '0'..='9' => tone as u8 - b'0',
        '*' => 10,
        '#' => 11,
        'A'..='D' => tone as u8 - b'A' + 12,
        _ => return None,
    })
}

impl Tone {
    /// The next packet, and whether that was the last.
    fn packet(&mut self, now: Instant) -> (OutgoingPacket, bool) {
        let elapsed = now.saturating_duration_since(self.started);
        let over = elapsed >= self.duration;
        let total = elapsed.min(self.duration).as_nanos() * u128::from(self.clock_rate);
        let mut ticks = (total / 1_000_000_000) as u64 - self.before;
        let segment_full = ticks > u64::from(u16::MAX);
        ticks = ticks.min(u64::from(u16::MAX));
        let end = over && !segment_full;
        let [high, low] = (ticks as u16).to_be_bytes();
        let packet = OutgoingPacket {
            payload: Bytes::copy_from_slice(&[self.event, u8::from(end) << 7 | VOLUME, high, low]),
            timestamp: self.timestamp,
            marker: std::mem::take(&mut self.marker),
            payload_type: Some(self.payload_type),
            ..OutgoingPacket::default()
        };
        if segment_full {
            self.before += ticks;
            self.timestamp = self.timestamp.wrapping_add(ticks as u32);
            // The next segment begins at once.
            self.next = now;
        } else if end {
            self.ends += 1;
            self.next = now + REPEAT_TIME;
        } else {
            self.next = (now + PACKET_TIME).min(self.started + self.duration);
        }
        (packet, self.ends >= REPEATS)
    }
}

impl Session {
    /// `RTCDTMFSender.canInsertDTMF`: "determine if DTMF can be sent" (W3C WebRTC §7.3).
    pub fn can_insert_dtmf(&self, id: TransceiverId) -> bool {
        self.connection_state() == PeerConnectionState::Connected
            && self.jsep.transceiver(id).is_some_and(|transceiver| {
                transceiver.may_send()
                    && transceiver.sender.track.is_some()
                    && transceiver
                        .sender
                        .encodings
                        .first()
                        .is_some_and(|encoding| encoding.parameters.active)
                    && telephone_event(transceiver).is_some()
            })
    }

    /// `RTCDTMFSender.insertDTMF` (W3C WebRTC §7.2). `duration` is cut to 40 ms to 6 s, `gap` to 30 ms to 6 s.
    ///
    /// # Errors
    /// `InvalidStateError` when [`Session::can_insert_dtmf`] is false; `InvalidCharacterError` for anything but
    /// `0`–`9`, `A`–`D`, `a`–`d`, `#`, `*` and `,`.
    pub fn insert_dtmf(
        &mut self,
        now: Instant,
        id: TransceiverId,
        tones: &str,
        duration: Duration,
        gap: Duration,
    ) -> Result<(), Error> {
        if !self.can_insert_dtmf(id) {
            return Err(Error::InvalidState("no tones can be sent now".into()));
        }
        let tones = tones.to_ascii_uppercase();
        if let Some(wrong) = tones
            .chars()
            .find(|tone| *tone != ',' && event_of(*tone).is_none())
        {
            return Err(Error::InvalidCharacter(format!("{wrong:?} is no tone")));
        }
        let place = self.tones.iter().position(|dtmf| dtmf.transceiver == id);
        let index = place.unwrap_or_else(|| {
            self.tones.push(Dtmf {
                transceiver: id,
                buffer: String::new(),
                duration,
                gap,
                task: None,
                tone: None,
            });
            self.tones.len() - 1
        });
        let dtmf = &mut self.tones[index];
        dtmf.buffer = tones;
        dtmf.duration = duration.clamp(Duration::from_millis(40), LONGEST);
        dtmf.gap = gap.clamp(Duration::from_millis(30), LONGEST);
        if !dtmf.buffer.is_empty() {
            dtmf.task.get_or_insert(now);
        }
        Ok(())
    }

    /// `RTCDTMFSender.toneBuffer`: the tones that are still to come.
    pub fn tone_buffer(&self, id: TransceiverId) -> &str {
        let known = self.tones.iter().find(|dtmf| dtmf.transceiver == id);
        known.map_or("", |dtmf| dtmf.buffer.as_str())
    }

    pub(super) fn tones_timeout(&self) -> Option<Instant> {
        self.tones
            .iter()
            .flat_map(|dtmf| [dtmf.task, dtmf.tone.as_ref().map(|tone| tone.next)])
            .flatten()
            .min()
    }

    pub(super) fn handle_tones(&mut self, now: Instant) {
        for index in 0..self.tones.len() {
            self.send_tone(now, index);
            if self.tones[index].task.is_some_and(|due| due <= now) {
                self.play_next(now, index);
            }
        }
    }

    /// Whether a tone stands in for the sound of this sender now.
    pub(super) fn tone_plays(&self, id: TransceiverId) -> bool {
        self.tones
            .iter()
            .any(|dtmf| dtmf.transceiver == id && dtmf.tone.is_some())
    }

    fn send_tone(&mut self, now: Instant, index: usize) {
        let dtmf = &mut self.tones[index];
        let id = dtmf.transceiver;
        while let Some(tone) = dtmf.tone.as_mut().filter(|tone| tone.next <= now) {
            let (packet, last) = tone.packet(now);
            self.media.write_packet(now, id, packet);
            if last {
                dtmf.tone = None;
            }
        }
    }

    /// "DTMF playout task steps" (W3C WebRTC §7.2).
    fn play_next(&mut self, now: Instant, index: usize) {
        let dtmf = &mut self.tones[index];
        dtmf.task = None;
        let id = dtmf.transceiver;
        if !self.can_insert_dtmf(id) {
            return;
        }
        let codec = self
            .jsep
            .transceiver(id)
            .and_then(telephone_event)
            .map(|codec| (codec.payload_type, codec.codec.clock_rate));
        let timestamp = self.media.rtp_time(now, id);
        let dtmf = &mut self.tones[index];
        if dtmf.buffer.is_empty() {
            self.events.push_back(Event::ToneChange {
                transceiver: id,
                tone: String::new(),
            });
            return;
        }
        let tone = dtmf.buffer.remove(0);
        match (event_of(tone), codec) {
            (Some(event), Some((payload_type, clock_rate))) => {
                dtmf.tone = Some(Tone {
                    event,
                    payload_type,
                    clock_rate,
                    started: now,
                    duration: dtmf.duration,
                    timestamp,
                    before: 0,
                    marker: true,
                    next: now + PACKET_TIME,
                    ends: 0,
                });
                dtmf.task = Some(now + dtmf.duration + dtmf.gap);
            }
            _ => dtmf.task = Some(now + COMMA),
        }
        self.events.push_back(Event::ToneChange {
            transceiver: id,
            tone: tone.to_string(),
        });
    }
}

/// The agreed `telephone-event` under the clock of the codec in use: one stream has one clock (RFC 4733 §2.3).
fn telephone_event(transceiver: &Transceiver) -> Option<&RtpCodecParameters> {
    let sender = &transceiver.sender;
    let codec = sender
        .encodings
        .first()?
        .parameters
        .choose(&sender.codecs)?;
    sender.codecs.iter().find(|event| {
        event.codec.name().eq_ignore_ascii_case("telephone-event")
            && event.codec.clock_rate == codec.codec.clock_rate
    })
}

impl super::media::MediaEngine {
    fn write_packet(&mut self, now: Instant, id: TransceiverId, packet: OutgoingPacket) {
        if let Some(outgoing) = self.first_outgoing(id) {
            outgoing.stream.write_packet(now, packet);
        }
    }

    /// The RTP time of now on the stream of a sender, before its random offset.
    fn rtp_time(&mut self, now: Instant, id: TransceiverId) -> u32 {
        let Some(outgoing) = self.first_outgoing(id) else {
            return 0;
        };
        let (at, timestamp) = *outgoing.last_frame.get_or_insert((now, 0));
        let elapsed = now.saturating_duration_since(at).as_nanos();
        let ticks = elapsed * u128::from(outgoing.stream.config().clock_rate) / 1_000_000_000;
        timestamp.wrapping_add(ticks as u32)
    }
}

/// The payload of a telephone event (RFC 4733 §2.3), for receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The tone, `0`–`9`, `*`, `#`, `A`–`D`; `None` for an event that is none of these.
    pub tone: Option<char>,
    /// Whether the event is over.
    pub end: bool,
    /// Its loudness in -dBm0, 0 to 63.
    pub volume: u8,
    /// How long it has lasted, in ticks of the RTP clock.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads the first event of a payload.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low, ..] = *payload else {
            return None;
        };
        Some(TelephoneEvent {
            tone: b"0123456789*#ABCD"
                .get(usize::from(event))
                .map(|tone| char::from(*tone)),
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }
}
