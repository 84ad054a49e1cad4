//! A party of a call without codecs: audio and video frames that can be checked, RTP and RTCP over one port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use netsim::{Datagram, Endpoint, Pair};
use pc_rtp::payload::PayloadFormat;
use pc_rtp::receive::{IncomingFrame, PayloadType};
use pc_rtp::{NtpTime, Ssrc, receive, rtcp, send};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) const VIDEO_PERIOD: Duration = Duration::from_nanos(33_333_333);
pub(crate) const AUDIO_PERIOD: Duration = Duration::from_millis(20);
const REPORT_PERIOD: Duration = Duration::from_millis(500);

const AUDIO: u32 = 100;
const VIDEO: u32 = 200;
const RTX: u32 = 300;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub rtx: bool,
    pub nack: bool,
    pub frame_len: usize,
    pub video: bool,
    pub audio: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rtx: true,
            nack: true,
            frame_len: 4_000,
            video: true,
            audio: true,
        }
    }
}

/// The frame with this number: its content tells whether it is a keyframe, its number, and is otherwise a pattern.
pub(crate) fn frame(number: u64, keyframe: bool, len: usize) -> Bytes {
    let mut data = vec![u8::from(!keyframe)];
    data.extend_from_slice(&number.to_be_bytes());
    data.extend((0..len).map(|index| (index as u64 * 31 + number) as u8));
    Bytes::from(data)
}

pub(crate) fn number(data: &[u8]) -> u64 {
    u64::from_be_bytes(data[1..9].try_into().unwrap())
}

#[derive(Default)]
pub(crate) struct Received {
    pub video: Vec<u64>,
    /// Delay between capture and delivery.
    pub video_delays: Vec<Duration>,
    pub keyframes: u64,
    pub audio: Vec<u64>,
    pub audio_delays: Vec<Duration>,
    pub concealed: u64,
    /// Frames that do not follow the one before them and are no keyframes.
    pub undecodable: u64,
}

pub(crate) struct Party {
    local: SocketAddr,
    remote: SocketAddr,
    start: Instant,
    pub sending: bool,
    options: Options,
    pub audio_out: send::Stream,
    pub video_out: send::Stream,
    pub audio_in: receive::Stream,
    pub video_in: receive::Stream,
    next_audio: Instant,
    next_video: Instant,
    next_report: Instant,
    audio_count: u64,
    video_count: u64,
    keyframe_wanted: bool,
    pub keyframes_sent: u64,
    rtcp: Vec<Vec<u8>>,
    pub received: Received,
    pub malformed: u64,
    sent_at: BTreeMap<u64, Instant>,
}

impl Party {
    pub(crate) fn new(now: Instant, first: bool, options: Options) -> Self {
        let (own, other, addresses) = if first {
            (0, 1000, [Pair::A, Pair::B])
        } else {
            (1000, 0, [Pair::B, Pair::A])
        };
        let [local, remote] = addresses.map(|ip| SocketAddr::new(ip, 5000));
        let rng = |stream| StdRng::seed_from_u64(u64::from(own + stream));
        let mut audio = send::Config::new(Ssrc(own + AUDIO), 111, PayloadFormat::Opus);
        audio.cname = "party".into();
        let mut video = send::Config::new(Ssrc(own + VIDEO), 96, PayloadFormat::Vp8);
        video.rtx = options.rtx.then_some((Ssrc(own + RTX), 97));
        video.mid = Some((1, "video".into()));
        let kind = |number, format, rtx| PayloadType {
            number,
            format,
            rtx,
        };
        let audio_in = receive::Config::new(
            Ssrc(other + AUDIO),
            Ssrc(own + AUDIO),
            vec![kind(111, PayloadFormat::Opus, None)],
        );
        let mut video_in = receive::Config::new(
            Ssrc(other + VIDEO),
            Ssrc(own + VIDEO),
            vec![kind(96, PayloadFormat::Vp8, options.rtx.then_some(97))],
        );
        video_in.nack = options.nack;
        video_in.rtx = options.rtx.then_some(Ssrc(other + RTX));
        Self {
            local,
            remote,
            start: now,
            sending: true,
            options,
            audio_out: send::Stream::new(audio, rng(AUDIO)),
            video_out: send::Stream::new(video, rng(VIDEO)),
            audio_in: receive::Stream::new(audio_in, now),
            video_in: receive::Stream::new(video_in, now),
            next_audio: now,
            next_video: now,
            next_report: now + REPORT_PERIOD / 2,
            audio_count: 0,
            video_count: 0,
            keyframe_wanted: true,
            keyframes_sent: 0,
            rtcp: Vec::new(),
            received: Received::default(),
            malformed: 0,
            sent_at: BTreeMap::new(),
        }
    }

    fn produce(&mut self, now: Instant) {
        while self.sending && self.next_audio <= now {
            // The first byte is an Opus table of contents: 20 ms.
            let mut data = vec![0xf8];
            data.extend_from_slice(&self.audio_count.to_be_bytes());
            data.resize(80, 7);
            if self.options.audio {
                self.audio_out.write_frame(
                    now,
                    &send::OutgoingFrame {
                        data: Bytes::from(data),
                        timestamp: (self.audio_count * 960) as u32,
                        ..Default::default()
                    },
                );
            }
            self.audio_count += 1;
            self.next_audio += AUDIO_PERIOD;
        }
        while self.sending && self.next_video <= now {
            let keyframe = std::mem::take(&mut self.keyframe_wanted);
            self.keyframes_sent += u64::from(keyframe);
            let len = self.options.frame_len * if keyframe { 4 } else { 1 };
            if self.options.video {
                self.sent_at.insert(self.video_count, now);
                self.video_out.write_frame(
                    now,
                    &send::OutgoingFrame {
                        data: frame(self.video_count, keyframe, len),
                        timestamp: (self.video_count * 3000) as u32,
                        keyframe,
                        ..Default::default()
                    },
                );
            }
            self.video_count += 1;
            self.next_video += VIDEO_PERIOD;
        }
    }

    fn report(&mut self, now: Instant) {
        if now < self.next_report {
            return;
        }
        self.next_report = now + REPORT_PERIOD;
        let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000) + (now - self.start));
        let blocks: Vec<_> = [&mut self.audio_in, &mut self.video_in]
            .into_iter()
            .filter_map(|stream| stream.report_block(now))
            .collect();
        let mut buf = Vec::new();
        let mut writer = rtcp::Writer::new(&mut buf);
        let audio = self.audio_out.sender_report(now, ntp);
        let video = self.video_out.sender_report(now, ntp);
        match (&audio, &video) {
            (Some(info), _) | (None, Some(info)) => writer.sender_report(info, &blocks),
            (None, None) => writer.receiver_report(self.audio_out.ssrc(), &blocks),
        }
        if let (Some(_), Some(info)) = (&audio, &video) {
            writer.sender_report(info, &[]);
        }
        writer.cname(self.audio_out.ssrc(), "party");
        self.rtcp.push(buf);
    }

    fn collect(&mut self, now: Instant) {
        while let Some(frame) = self.video_in.poll_frame(now) {
            self.take_video(now, &frame);
        }
        while let Some(frame) = self.audio_in.poll_frame(now) {
            let number = number(&frame.data);
            self.received.concealed += frame.missing_before.as_millis() as u64 / 20;
            let captured = self.start + AUDIO_PERIOD * number as u32;
            self.received.audio_delays.push(now - captured);
            self.received.audio.push(number);
        }
        for stream in [&mut self.audio_in, &mut self.video_in] {
            let mut buf = Vec::new();
            while stream.poll_feedback(now, &mut buf).is_some() {
                self.rtcp.push(std::mem::take(&mut buf));
            }
        }
    }

    fn take_video(&mut self, now: Instant, frame: &IncomingFrame) {
        let number = number(&frame.data);
        let keyframe = frame.data[0] & 1 == 0;
        let len = self.options.frame_len * if keyframe { 4 } else { 1 };
        assert_eq!(frame.data, self::frame(number, keyframe, len));
        assert_eq!(frame.keyframe, keyframe);
        let follows = self.received.video.last().map(|last| last + 1) == Some(number);
        self.received.undecodable += u64::from(!keyframe && !follows);
        self.received.keyframes += u64::from(keyframe);
        self.received.video.push(number);
        let captured = self.start + VIDEO_PERIOD * number as u32;
        self.received.video_delays.push(now - captured);
    }
}

impl Endpoint for Party {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let data = Bytes::from(datagram.payload);
        if !pc_rtp::is_rtcp(&data) {
            match pc_rtp::Packet::parse(&data).map(|packet| packet.payload_type()) {
                Ok(111) => self.audio_in.handle_packet(now, data),
                Ok(_) => self.video_in.handle_packet(now, data),
                Err(_) => self.malformed += 1,
            }
        } else {
            for packet in rtcp::packets(&data) {
                let Ok(packet) = packet else {
                    self.malformed += 1;
                    continue;
                };
                if let rtcp::Packet::SenderReport(report) = &packet {
                    self.audio_in.handle_sender_report(now, &report.info);
                    self.video_in.handle_sender_report(now, &report.info);
                }
                self.audio_out.handle_rtcp(now, &packet);
                self.video_out.handle_rtcp(now, &packet);
            }
            while let Some(event) = self.video_out.poll_event() {
                self.keyframe_wanted |= event == send::Event::KeyframeRequested;
                // The round trip is the path's, whichever stream measured it.
                if let Some(rtt) = self.video_out.stats().round_trip_time {
                    self.video_in.set_round_trip_time(rtt);
                }
            }
        }
        self.collect(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.produce(now);
        self.report(now);
        self.audio_in.handle_timeout(now);
        self.video_in.handle_timeout(now);
        self.collect(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        let mut buf = Vec::new();
        let payload = match self.rtcp.pop() {
            Some(rtcp) => rtcp,
            None => {
                self.audio_out
                    .poll_transmit(now, &mut buf)
                    .or_else(|| self.video_out.poll_transmit(now, &mut buf))?;
                buf
            }
        };
        Some(Datagram::new(self.local, self.remote, payload))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let mut next = self.next_report;
        if self.sending {
            next = next.min(self.next_audio).min(self.next_video);
        }
        let streams = [self.audio_in.poll_timeout(), self.video_in.poll_timeout()];
        streams.into_iter().flatten().chain([next]).min()
    }
}

pub(crate) fn median(delays: &[Duration]) -> Duration {
    let mut sorted = delays.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}
