//! Sending one stream: frames are cut into packets, packets are kept for retransmission, reports are answered.
//!
//! ```
//! use std::time::Instant;
//! use bytes::Bytes;
//! use pc_rtp::{Packet, Ssrc, payload::PayloadFormat, send};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now(); // the driver's clock; the crate itself never reads one
//! let config = send::Config::new(Ssrc(1), 111, PayloadFormat::Opus);
//! let mut stream = send::Stream::new(config, StdRng::seed_from_u64(1));
//! stream.write_frame(now, &send::OutgoingFrame { data: Bytes::from_static(b"\xf8sound"), ..Default::default() });
//! let mut buf = Vec::new();
//! let len = stream.poll_transmit(now, &mut buf).unwrap();
//! assert_eq!(Packet::parse(&buf[..len]).unwrap().payload(), b"\xf8sound");
//! ```

mod config;
mod history;
mod queue;
mod reports;
mod stamper;

pub use config::{Config, Event, OutgoingFrame, OutgoingPacket, Pending, RemoteInbound, Stats};
pub use stamper::Stamper;

use std::collections::VecDeque;
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use self::history::History;
use self::queue::Queued;
use self::reports::Reports;
use crate::packet::{Header, Writer};
use crate::payload::Packetizer;
use crate::rtcp;
use crate::types::{NtpTime, SeqNum, Ssrc, duration_to_ticks};

/// A stream that is sent.
///
/// The four kinds of method: commands ([`write_frame`](Self::write_frame), [`write_packet`](Self::write_packet));
/// [`handle_rtcp`](Self::handle_rtcp); [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and
/// [`sender_report`](Self::sender_report); queries. It has no timer of its own: whoever paces decides when packets leave.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    packetizer: Packetizer,
    queue: VecDeque<Queued>,
    history: History,
    /// Sequence numbers to send again, in the order asked for.
    repeats: VecDeque<SeqNum>,
    next_seq: SeqNum,
    /// Where a forwarded stream's numbers and the wire's differ.
    forward_offset: Option<u16>,
    next_rtx_seq: SeqNum,
    timestamp_offset: u32,
    /// The moment and the wire timestamp of the newest frame: the media clock between frames follows from it.
    clock: Option<(Instant, u32)>,
    /// The largest header a packet of this stream has.
    header_room: usize,
    packet_count: u32,
    octet_count: u32,
    reports: Reports,
    stats: Stats,
}

impl Stream {
    /// A stream with a random first sequence number and timestamp offset (RFC 3550 §5.1).
    pub fn new(config: Config, mut rng: StdRng) -> Self {
        let packetizer = Packetizer::new(config.codec, &mut rng);
        // The first number lies in the lower half, so that a receiver that joins late does not meet a wrap at once.
        let first_seq = SeqNum(rng.random::<u16>() >> 1);
        let mut stream = Self {
            packetizer,
            queue: VecDeque::new(),
            history: History::new(config.history, config.history_time),
            repeats: VecDeque::new(),
            next_seq: first_seq,
            forward_offset: None,
            next_rtx_seq: SeqNum(rng.random::<u16>() >> 1),
            timestamp_offset: rng.random(),
            clock: None,
            header_room: 0,
            packet_count: 0,
            octet_count: 0,
            reports: Reports::new(first_seq),
            stats: Stats::default(),
            config,
        };
        stream.header_room = stream.largest_header();
        stream
    }

    /// Goes on under another configuration of the same SSRC: numbers, times and counters stay, as RFC 3550 §5.1 asks of a
    /// source that changes its payload type, and SRTP of everybody who keeps a key (RFC 3711 §9.1). What waits still leaves.
    pub fn set_config(&mut self, config: Config, mut rng: StdRng) {
        if config.codec != self.config.codec {
            self.packetizer = Packetizer::new(config.codec, &mut rng);
        }
        // A repeat is announced as one of the payload type that is configured.
        let repeats = |config: &Config| (config.payload_type, config.rtx, config.history);
        if repeats(&config) != repeats(&self.config) {
            self.history = History::new(config.history, config.history_time);
            self.repeats.clear();
        }
        self.config = config;
        self.header_room = self.largest_header();
    }

    /// Throws away what waits to leave.
    pub fn clear_queue(&mut self) {
        self.queue.clear();
        self.repeats.clear();
    }

    /// The fixed header, every extension that may be there, and the retransmission header.
    fn largest_header(&self) -> usize {
        let text =
            |value: &Option<(u8, String)>| value.as_ref().map(|(id, text)| (*id, text.len()));
        let mut elements = 0;
        for (id, len) in [
            text(&self.config.mid),
            text(&self.config.rid),
            self.config.transport_cc.map(|id| (id, 2)),
            self.config.abs_send_time.map(|id| (id, 3)),
            self.config.audio_level.map(|id| (id, 1)),
            self.config.video_orientation.map(|id| (id, 1)),
        ]
        .into_iter()
        .flatten()
        {
            let _ = id;
            // Two bytes of element header: the block may be of the two-byte form.
            elements += 2 + len;
        }
        let extensions = if elements > 0 {
            4 + elements.next_multiple_of(4)
        } else {
            0
        };
        let retransmission = if self.config.rtx.is_some() { 2 } else { 0 };
        crate::packet::HEADER_LEN + extensions + retransmission
    }

    /// Cuts a frame into packets, which wait to leave. A frame that cannot be cut, or that finds the queue full, is counted and dropped.
    pub fn write_frame(&mut self, now: Instant, frame: &OutgoingFrame) {
        let timestamp = frame.timestamp.wrapping_add(self.timestamp_offset);
        let room = self.config.max_packet_size.saturating_sub(self.header_room);
        let before = self.queue.len();
        let queue = &mut self.queue;
        let video = self.config.codec.is_video();
        let payload_type = self.config.payload_type;
        let result =
            self.packetizer
                .packetize(&frame.data, frame.keyframe, frame.layer, room, |chunk| {
                    queue.push_back(Queued {
                        seq: None,
                        timestamp,
                        marker: if video { chunk.last } else { frame.marker },
                        payload_type,
                        prefix: chunk.prefix,
                        body: chunk.body,
                        queued: now,
                        keyframe: video && frame.keyframe,
                        audio_level: frame.audio_level,
                        // The last packet of a frame carries it (3GPP TS 26.114 §7.4.5).
                        orientation: frame.orientation.filter(|_| chunk.last),
                    });
                });
        if let Err(error) = result {
            tracing::debug!(ssrc = self.config.ssrc.0, %error, "frame not sent");
        }
        if result.is_err() || self.queue.len() > self.config.max_queue {
            self.queue.truncate(before);
            self.stats.frames_dropped += 1;
            return;
        }
        self.clock = Some((now, timestamp));
        self.stats.frames_sent += 1;
        self.stats.key_frames_sent += u64::from(video && frame.keyframe);
    }

    /// Queues a payload made elsewhere.
    pub fn write_packet(&mut self, now: Instant, packet: OutgoingPacket) {
        if self.queue.len() >= self.config.max_queue {
            self.stats.frames_dropped += 1;
            return;
        }
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        let seq = packet.sequence_number.map(|seq| {
            let offset = *self
                .forward_offset
                .get_or_insert(self.next_seq.0.wrapping_sub(seq.0));
            seq.wrapping_add(offset)
        });
        self.queue.push_back(Queued {
            seq,
            timestamp,
            marker: packet.marker,
            payload_type: packet.payload_type.unwrap_or(self.config.payload_type),
            prefix: Default::default(),
            body: packet.payload,
            queued: now,
            keyframe: false,
            audio_level: packet.audio_level,
            orientation: packet.orientation,
        });
        self.clock = Some((now, timestamp));
    }

    /// What would leave next: retransmissions first.
    pub fn pending(&self) -> Option<Pending> {
        if !self.repeats.is_empty() {
            return Some(Pending {
                retransmission: true,
                size: self.config.max_packet_size,
            });
        }
        self.queue.front().map(|packet| Pending {
            retransmission: false,
            size: packet.payload_len() + self.header_room,
        })
    }

    /// How many packets wait to leave, retransmissions included.
    pub fn queued_packets(&self) -> usize {
        self.queue.len() + self.repeats.len()
    }

    /// Appends one RTP packet to `buf` and returns its length.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        while let Some(seq) = self.repeats.pop_front() {
            if let Some(len) = self.write_repeat(seq, buf) {
                return Some(len);
            }
        }
        let packet = self.queue.pop_front()?;
        let seq = packet.seq.unwrap_or(self.next_seq);
        // A forwarded packet that comes late does not turn the numbering back.
        if packet.seq.is_none() || !self.next_seq.is_after(seq) {
            self.next_seq = seq.next();
        }
        let identify = packet.keyframe || !self.reports.seen();
        let header = Header {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number: seq,
            timestamp: packet.timestamp,
            ssrc: self.config.ssrc,
        };
        let len = write(&self.config, header, &packet, None, identify, buf);
        let payload = packet.payload_len();
        self.packet_count = self.packet_count.wrapping_add(1);
        self.octet_count = self.octet_count.wrapping_add(payload as u32);
        self.count(len, payload);
        self.stats.total_packet_send_delay += now.saturating_duration_since(packet.queued);
        self.history.insert(now, seq, packet);
        Some(len)
    }

    /// A packet sent before, on the retransmission stream (RFC 4588 §4) or as it was.
    fn write_repeat(&mut self, seq: SeqNum, buf: &mut Vec<u8>) -> Option<usize> {
        let sent = self.history.get(seq)?;
        let packet = &sent.packet;
        let payload = packet.payload_len();
        let mut header = Header {
            marker: packet.marker,
            payload_type: packet.payload_type,
            sequence_number: seq,
            timestamp: packet.timestamp,
            ssrc: self.config.ssrc,
        };
        let len = match self.config.rtx {
            Some((ssrc, payload_type)) => {
                header.ssrc = ssrc;
                header.payload_type = payload_type;
                header.sequence_number = self.next_rtx_seq;
                self.next_rtx_seq = self.next_rtx_seq.next();
                write(&self.config, header, packet, Some(seq), true, buf)
            }
            None => {
                self.packet_count = self.packet_count.wrapping_add(1);
                self.octet_count = self.octet_count.wrapping_add(payload as u32);
                write(&self.config, header, packet, None, false, buf)
            }
        };
        self.count(len, payload);
        self.stats.retransmitted_packets_sent += 1;
        self.stats.retransmitted_bytes_sent += payload as u64;
        Some(len)
    }

    fn count(&mut self, len: usize, payload: usize) {
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += payload as u64;
        self.stats.header_bytes_sent += (len - payload.min(len)) as u64;
    }

    /// Appends a packet of padding alone, at most 255 bytes of it, on the retransmission stream: what a bandwidth probe sends
    /// when there is no media. `None` without a retransmission stream or before the first packet.
    pub fn write_padding(&mut self, count: u8, buf: &mut Vec<u8>) -> Option<usize> {
        let (ssrc, payload_type) = self.config.rtx?;
        let (_, timestamp) = self.clock?;
        let header = Header {
            marker: false,
            payload_type,
            sequence_number: self.next_rtx_seq,
            timestamp,
            ssrc,
        };
        self.next_rtx_seq = self.next_rtx_seq.next();
        let mut writer = Writer::new(buf, header, &[]);
        write_extensions(&self.config, &mut writer, true, true, None, None);
        let len = writer.finish_with_padding(count.max(1));
        self.count(len, 0);
        Some(len)
    }

    /// Takes note of an RTCP packet; what does not concern this stream changes nothing.
    pub fn handle_rtcp(&mut self, now: Instant, packet: &rtcp::Packet<'_>) {
        let ssrc = self.config.ssrc;
        match packet {
            rtcp::Packet::SenderReport(report) => self.handle_reports(now, report.reports()),
            rtcp::Packet::ReceiverReport(report) => self.handle_reports(now, report.reports()),
            rtcp::Packet::Nack(nack) if nack.media == ssrc => self.handle_nack(now, nack),
            rtcp::Packet::Pli(pli) if pli.media == ssrc => {
                self.stats.pli_count += 1;
                self.reports.request_keyframe();
            }
            rtcp::Packet::Fir(fir) => {
                for entry in fir.entries().filter(|entry| entry.ssrc == ssrc) {
                    if self.reports.new_fir(fir.sender, entry.sequence) {
                        self.stats.fir_count += 1;
                        self.reports.request_keyframe();
                    }
                }
            }
            rtcp::Packet::Remb(remb) if remb.streams().any(|stream| stream == ssrc) => {
                self.reports.limit_bitrate(remb.bitrate);
            }
            _ => {}
        }
    }

    fn handle_reports(&mut self, now: Instant, reports: rtcp::ReportBlocks<'_>) {
        for block in reports.filter(|block| block.ssrc == self.config.ssrc) {
            self.reports
                .handle(now, &block, self.config.clock_rate, &mut self.stats);
        }
    }

    fn handle_nack(&mut self, now: Instant, nack: &rtcp::Nack<'_>) {
        self.stats.nack_count += 1;
        // A packet repeated less than about a round trip ago may still be under way.
        let interval = self
            .stats
            .round_trip_time
            .map_or(std::time::Duration::from_millis(10), |rtt| rtt * 3 / 4);
        for seq in nack.lost() {
            if self.repeats.len() < self.config.history && self.history.claim(now, seq, interval) {
                self.repeats.push_back(seq);
            } else {
                self.stats.nack_misses += 1;
            }
        }
    }

    /// What happened, once each.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.reports.poll_event()
    }

    /// The sender's part of an SR that leaves now; `None` before the first packet.
    pub fn sender_report(&mut self, now: Instant, ntp: NtpTime) -> Option<rtcp::SenderInfo> {
        let (written, timestamp) = self.clock.filter(|_| self.packet_count > 0)?;
        let ticks = duration_to_ticks(
            now.saturating_duration_since(written),
            self.config.clock_rate,
        );
        self.reports.sent(now, ntp);
        Some(rtcp::SenderInfo {
            ssrc: self.config.ssrc,
            ntp,
            rtp_timestamp: timestamp.wrapping_add(ticks as u32),
            packet_count: self.packet_count,
            octet_count: self.octet_count,
        })
    }

    /// The random offset between frame timestamps and those on the wire.
    pub fn timestamp_offset(&self) -> u32 {
        self.timestamp_offset
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

/// Writes a packet; `original` is the sequence number of the packet it repeats on the retransmission stream.
fn write(
    config: &Config,
    header: Header,
    packet: &Queued,
    original: Option<SeqNum>,
    identify: bool,
    buf: &mut Vec<u8>,
) -> usize {
    let mut writer = Writer::new(buf, header, &[]);
    write_extensions(
        config,
        &mut writer,
        identify,
        original.is_some(),
        packet.audio_level,
        packet.orientation,
    );
    if let Some(seq) = original {
        writer.payload(&seq.0.to_be_bytes());
    }
    writer.payload(packet.prefix.as_slice());
    writer.payload(&packet.body);
    writer.finish()
}

fn write_extensions(
    config: &Config,
    writer: &mut Writer<'_>,
    identify: bool,
    repeat: bool,
    audio_level: Option<crate::ext::AudioLevel>,
    orientation: Option<crate::ext::VideoOrientation>,
) {
    if let Some(id) = config.abs_send_time {
        writer.extension(id, &[0; 3]);
    }
    if let Some(id) = config.transport_cc {
        writer.extension(id, &[0; 2]);
    }
    if let (Some(id), Some(level)) = (config.audio_level, audio_level) {
        writer.extension(id, &level.to_bytes());
    }
    if let (Some(id), Some(orientation)) = (config.video_orientation, orientation) {
        writer.extension(id, &orientation.to_bytes());
    }
    // Until the receiver is known to know them, and on what may be the first packets it sees (RFC 9143 §15, RFC 8852 §3).
    if identify {
        if let Some((id, mid)) = &config.mid {
            writer.extension(*id, mid.as_bytes());
        }
        if let Some((id, rid)) = &config.rid {
            let id = if repeat {
                config.repaired_rid
            } else {
                Some(*id)
            };
            if let Some(id) = id {
                writer.extension(id, rid.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
