//! RTP streams of a session: which packet belongs to which sender or receiver, and RTCP about them.

use super::codecs::{
    AUDIO_LEVEL_URI, CSRC_AUDIO_LEVEL_URI, MID_URI, REPAIRED_RID_URI, RID_URI, TRANSPORT_CC_URI,
};
use super::congestion::Path;
use super::event::Event;
use super::jsep::Section;
use super::samples::{DecoderCounts, EncoderCounts, Heard};
use super::transceiver::{Encoding, Transceiver, TransceiverId};
use super::{Session, codecs};
use crate::error::Error;
use crate::rtp_parameters::{RtpCodecParameters, RtpHeaderExtensionParameters};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rtp::payload::PayloadFormat;
pub use rtp::receive::IncomingFrame;
use rtp::rtcp::{self, ReportBlock};
pub use rtp::send::OutgoingFrame;
use rtp::{NtpTime, Ssrc, receive, send};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Between regular reports; randomised by half to either side (RFC 3550 §6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Streams that a peer may start without announcing them.
const MOST_INCOMING: usize = 256;
/// Frames that may wait for the application.
const MOST_FRAMES: usize = 512;
/// Reports in one compound packet, so that it fits a datagram.
const MOST_SENDER_REPORTS: usize = 8;
const MOST_REPORT_BLOCKS: usize = 24;

pub(super) struct MediaEngine {
    rng: StdRng,
    /// Under which RTCP is written while nothing is sent.
    own_ssrc: Ssrc,
    cname: String,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) incoming: Vec<Incoming>,
    pub(super) paths: Vec<Path>,
    /// Which stream is asked first for a packet.
    pub(super) turn: usize,
    receptions: Vec<Reception>,
    /// Sorted by transport and SSRC.
    routes: Vec<Route>,
    reports: Vec<ReportSchedule>,
    byes: Vec<(usize, Ssrc)>,
    frames: VecDeque<(TransceiverId, IncomingFrame)>,
    /// Packets of those transceivers that want them as they are.
    pub(super) packets: VecDeque<(TransceiverId, Bytes)>,
    pub(super) packet_receivers: Vec<TransceiverId>,
    next_report: usize,
    feedback_due: bool,
    /// Packets that belong to no section, and frames that nobody fetched.
    pub(super) unroutable_packets: u64,
    pub(super) dropped_frames: u64,
}

/// One stream that is sent.
pub(super) struct Outgoing {
    pub(super) transceiver: TransceiverId,
    pub(super) transport: usize,
    pub(super) rid: Option<String>,
    pub(super) mid: String,
    pub(super) stream: send::Stream,
    /// When the last frame was written, and its RTP time.
    pub(super) last_frame: Option<(Instant, u32)>,
    /// What its encoder would use, in bits per second, if nothing limited it.
    pub(super) demand: Option<u64>,
    pub(super) encoder: EncoderCounts,
    wanted: bool,
}

/// CSRCs with their levels.
pub(super) type Contributors = Vec<(u32, Option<u8>)>;

/// One stream that is received.
pub(super) struct Incoming {
    pub(super) transceiver: TransceiverId,
    pub(super) transport: usize,
    pub(super) rid: Option<String>,
    pub(super) mid: String,
    pub(super) stream: receive::Stream,
    pub(super) decoder: DecoderCounts,
    /// Whose frames were delivered in the last ten seconds.
    pub(super) heard: Vec<Heard>,
    /// The contributing sources of packets whose frames are still to come, with their levels.
    pub(super) contributors: VecDeque<(u32, Contributors)>,
    csrc_audio_level: Option<u8>,
    silent: bool,
}

/// What one section is ready to receive.
struct Reception {
    transceiver: TransceiverId,
    transport: usize,
    mid: String,
    payload_types: Vec<receive::PayloadType>,
    /// Payload types with their feedback.
    nack: bool,
    pli: bool,
    fir: bool,
    mid_extension: Option<u8>,
    rid_extension: Option<u8>,
    repaired_rid_extension: Option<u8>,
    audio_level: Option<u8>,
    csrc_audio_level: Option<u8>,
    transport_cc: Option<u8>,
    jitter_buffer_target: Option<Duration>,
    /// SSRCs that the description announces, with the ones that repair them.
    announced: Vec<(Ssrc, Option<Ssrc>)>,
}

#[derive(Debug, Clone, Copy)]
struct Route {
    transport: usize,
    ssrc: Ssrc,
    incoming: usize,
}

#[derive(Debug, Clone, Copy)]
struct ReportSchedule {
    transport: usize,
    due: Instant,
    /// The time has come; the report leaves as soon as the transport lets it.
    ready: bool,
}

impl MediaEngine {
    pub(super) fn new(mut rng: StdRng) -> Self {
        let own_ssrc = Ssrc(rng.random_range(1..u32::MAX));
        MediaEngine {
            rng,
            own_ssrc,
            cname: String::new(),
            outgoing: Vec::new(),
            incoming: Vec::new(),
            paths: Vec::new(),
            turn: 0,
            receptions: Vec::new(),
            routes: Vec::new(),
            reports: Vec::new(),
            byes: Vec::new(),
            frames: VecDeque::new(),
            packets: VecDeque::new(),
            packet_receivers: Vec::new(),
            next_report: 0,
            feedback_due: false,
            unroutable_packets: 0,
            dropped_frames: 0,
        }
    }

    pub(super) fn close(&mut self) {
        for outgoing in self.outgoing.drain(..) {
            self.byes.push((outgoing.transport, outgoing.stream.ssrc()));
        }
        self.incoming.clear();
        self.receptions.clear();
        self.routes.clear();
        self.frames.clear();
    }

    // What negotiation agreed on.

    /// Begins a comparison with the descriptions: what is not matched until the end goes.
    pub(super) fn begin_match(&mut self) {
        self.receptions.clear();
        for outgoing in &mut self.outgoing {
            outgoing.wanted = false;
        }
    }

    pub(super) fn match_transceiver(
        &mut self,
        now: Instant,
        transceiver: &Transceiver,
        transport: usize,
        remote: Option<&Section>,
        cname: &str,
    ) {
        self.cname.clear();
        self.cname.push_str(cname);
        let Some(mid) = &transceiver.mid else { return };
        if !self
            .reports
            .iter()
            .any(|schedule| schedule.transport == transport)
        {
            let due = now + self.report_interval() / 2;
            self.reports.push(ReportSchedule {
                transport,
                due,
                ready: false,
            });
        }
        if transceiver.may_send() {
            for encoding in &transceiver.sender.encodings {
                if let Some(codec) = encoding.parameters.choose(&transceiver.sender.codecs) {
                    self.match_outgoing(transceiver, encoding, codec, transport, mid);
                }
            }
        }
        if !transceiver.receiver.codecs.is_empty() && !transceiver.stopping {
            self.receptions
                .push(Reception::new(transceiver, transport, mid, remote));
        }
    }

    fn match_outgoing(
        &mut self,
        transceiver: &Transceiver,
        encoding: &Encoding,
        codec: &RtpCodecParameters,
        transport: usize,
        mid: &str,
    ) {
        let Some(format) = PayloadFormat::from_encoding_name(codec.codec.name()) else {
            return;
        };
        let rtx = transceiver.sender.codecs.iter().find_map(|rtx| {
            let repairs = rtx.codec.name().eq_ignore_ascii_case("rtx")
                && rtx.associated_payload_type() == Some(codec.payload_type);
            repairs.then_some((Ssrc(encoding.rtx), rtx.payload_type))
        });
        let extensions = &transceiver.sender.extensions;
        let rid = encoding.parameters.rid.clone();
        let mut config = send::Config::new(Ssrc(encoding.ssrc), codec.payload_type, format);
        config.rtx = rtx;
        config.clock_rate = codec.codec.clock_rate;
        config.cname.clone_from(&self.cname);
        config.mid = extension_id(extensions, MID_URI).map(|id| (id, mid.to_owned()));
        config.rid = extension_id(extensions, RID_URI).zip(rid.clone());
        config.repaired_rid = extension_id(extensions, REPAIRED_RID_URI);
        config.audio_level = extension_id(extensions, AUDIO_LEVEL_URI);
        if codec.has_feedback("transport-cc") {
            config.transport_cc = extension_id(extensions, TRANSPORT_CC_URI);
        }
        if !codec.has_feedback("nack") {
            config.history = 0;
        }
        let same = |outgoing: &Outgoing| {
            let old = outgoing.stream.config();
            old.ssrc == config.ssrc
                && old.payload_type == config.payload_type
                && old.rtx == config.rtx
                && old.mid == config.mid
                && old.rid == config.rid
                && old.audio_level == config.audio_level
                && old.transport_cc == config.transport_cc
        };
        match self
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.stream.ssrc() == config.ssrc)
        {
            Some(outgoing) if same(outgoing) => {
                outgoing.wanted = true;
                outgoing.transport = transport;
            }
            found => {
                let stream = send::Stream::new(config, StdRng::from_rng(&mut self.rng));
                let outgoing = Outgoing {
                    transceiver: transceiver.id,
                    transport,
                    rid,
                    mid: mid.to_owned(),
                    stream,
                    last_frame: None,
                    demand: None,
                    encoder: EncoderCounts::default(),
                    wanted: true,
                };
                match found {
                    Some(old) => *old = outgoing,
                    None => self.outgoing.push(outgoing),
                }
            }
        }
    }

    /// What streams that are still to come are held for at least.
    pub(super) fn set_jitter_buffer_target(&mut self, id: TransceiverId, target: Option<Duration>) {
        for reception in self
            .receptions
            .iter_mut()
            .filter(|reception| reception.transceiver == id)
        {
            reception.jitter_buffer_target = target;
        }
    }

    /// The transports that receive, with the number of their transport-wide sequence numbers.
    pub(super) fn reception_paths(&self) -> impl Iterator<Item = (usize, Option<u8>)> {
        self.receptions
            .iter()
            .map(|reception| (reception.transport, reception.transport_cc))
    }

    pub(super) fn end_match(&mut self, now: Instant) {
        let byes = &mut self.byes;
        self.outgoing.retain(|outgoing| {
            if !outgoing.wanted {
                byes.push((outgoing.transport, outgoing.stream.ssrc()));
            }
            outgoing.wanted
        });
        let receptions = &self.receptions;
        let before = self.incoming.len();
        self.incoming.retain_mut(|incoming| {
            let reception = receptions
                .iter()
                .find(|reception| reception.transceiver == incoming.transceiver);
            if let Some(reception) = reception {
                incoming.transport = reception.transport;
            }
            reception.is_some()
        });
        if self.incoming.len() != before || !self.routes.is_empty() {
            self.rebuild_routes();
        }
        self.match_paths(now);
    }

    fn rebuild_routes(&mut self) {
        self.routes.clear();
        for (index, incoming) in self.incoming.iter().enumerate() {
            let config = incoming.stream.config();
            for ssrc in std::iter::once(config.ssrc).chain(config.rtx) {
                self.routes.push(Route {
                    transport: incoming.transport,
                    ssrc,
                    incoming: index,
                });
            }
        }
        self.routes
            .sort_by_key(|route| (route.transport, route.ssrc.0));
    }

    // Receiving.

    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        transport: usize,
        packet: Bytes,
        events: &mut VecDeque<Event>,
    ) {
        let Ok(view) = rtp::Packet::parse(&packet) else {
            self.unroutable_packets += 1;
            return;
        };
        self.note_arrival(now, transport, &view);
        let Some(index) = self
            .route(transport, view.ssrc())
            .or_else(|| self.new_route(now, transport, &view))
        else {
            self.unroutable_packets += 1;
            return;
        };
        let levels = self.incoming[index].csrc_audio_level;
        self.note_contributors(index, &view, levels);
        let incoming = &mut self.incoming[index];
        if std::mem::take(&mut incoming.silent) {
            events.push_back(Event::TrackUnmuted(incoming.transceiver));
        }
        incoming.stream.handle_packet(now, packet);
        self.feedback_due = true;
        self.collect_frames(now, index);
    }

    fn route(&self, transport: usize, ssrc: Ssrc) -> Option<usize> {
        let place = self
            .routes
            .binary_search_by_key(&(transport, ssrc.0), |route| {
                (route.transport, route.ssrc.0)
            })
            .ok()?;
        Some(self.routes[place].incoming)
    }

    /// Finds the section of a packet with an SSRC not seen before (RFC 9143 §9.2), and a stream for it.
    fn new_route(
        &mut self,
        now: Instant,
        transport: usize,
        packet: &rtp::Packet<'_>,
    ) -> Option<usize> {
        let ssrc = packet.ssrc();
        let here = || {
            self.receptions
                .iter()
                .filter(|reception| reception.transport == transport)
        };
        let text = |id: Option<u8>| std::str::from_utf8(packet.extension(id?)?).ok();
        let reception = here()
            .find(|reception| text(reception.mid_extension) == Some(reception.mid.as_str()))
            .or_else(|| here().find(|reception| reception.announces(ssrc)))
            .or_else(|| {
                let mut takers = here().filter(|reception| reception.takes(packet.payload_type()));
                takers.next().filter(|_| takers.next().is_none())
            })?;
        if !reception.takes(packet.payload_type()) {
            return None;
        }
        let transceiver = reception.transceiver;
        let is_rtx = reception
            .payload_types
            .iter()
            .any(|known| known.rtx == Some(packet.payload_type()));
        if is_rtx {
            let announced = reception
                .announced
                .iter()
                .find(|(_, rtx)| *rtx == Some(ssrc))
                .map(|(primary, _)| *primary);
            let repaired = text(reception.repaired_rid_extension);
            let primaries = || {
                self.incoming
                    .iter()
                    .enumerate()
                    .filter(|(_, incoming)| incoming.transceiver == transceiver)
            };
            let (index, _) = primaries()
                .find(|(_, incoming)| Some(incoming.stream.ssrc()) == announced)
                .or_else(|| {
                    primaries().find(|(_, incoming)| {
                        repaired.is_some() && incoming.rid.as_deref() == repaired
                    })
                })
                .or_else(|| {
                    let mut all = primaries();
                    all.next().filter(|_| all.next().is_none())
                })?;
            self.incoming[index].stream.set_rtx(ssrc);
            self.rebuild_routes();
            return Some(index);
        }
        if self.incoming.len() >= MOST_INCOMING {
            return None;
        }
        let rid = text(reception.rid_extension).map(str::to_owned);
        let mut config = reception.config(ssrc, self.own_ssrc(), &self.cname);
        config.delivery = self.delivery(transceiver);
        let mut stream = receive::Stream::new(config, now);
        if let Some(target) = reception.jitter_buffer_target {
            stream.set_min_delay(now, target);
        }
        self.incoming.push(Incoming {
            transceiver,
            transport,
            rid,
            mid: reception.mid.clone(),
            stream,
            decoder: DecoderCounts::default(),
            heard: Vec::new(),
            contributors: VecDeque::new(),
            csrc_audio_level: reception.csrc_audio_level,
            silent: true,
        });
        self.rebuild_routes();
        Some(self.incoming.len() - 1)
    }

    fn collect_frames(&mut self, now: Instant, index: usize) {
        let incoming = &mut self.incoming[index];
        while let Some(frame) = incoming.stream.poll_frame(now) {
            if self.frames.len() >= MOST_FRAMES {
                self.frames.pop_front();
                self.dropped_frames += 1;
            }
            incoming.note_delivery(now, &frame);
            self.frames.push_back((incoming.transceiver, frame));
        }
        let id = incoming.transceiver;
        while let Some(packet) = self.incoming[index].stream.poll_packet(now) {
            self.push_packet(id, packet);
        }
    }

    pub(super) fn has_frames(&self) -> bool {
        !self.frames.is_empty() || !self.packets.is_empty()
    }

    /// Streams of this transceiver begin anew.
    pub(super) fn forget_incoming(&mut self, id: TransceiverId) {
        self.incoming.retain(|incoming| incoming.transceiver != id);
        self.rebuild_routes();
    }

    /// A stream that is sent, with the transport it uses.
    pub(super) fn outgoing_stream(&mut self, ssrc: Ssrc) -> Option<(usize, &mut send::Stream)> {
        self.outgoing
            .iter_mut()
            .find(|outgoing| outgoing.stream.ssrc() == ssrc)
            .map(|outgoing| (outgoing.transport, &mut outgoing.stream))
    }

    pub(super) fn handle_rtcp(
        &mut self,
        now: Instant,
        transport: usize,
        packet: &[u8],
        events: &mut VecDeque<Event>,
    ) {
        for packet in rtcp::packets(packet).flatten() {
            match &packet {
                rtcp::Packet::SenderReport(report) => {
                    if let Some(index) = self.route(transport, report.info.ssrc) {
                        self.incoming[index]
                            .stream
                            .handle_sender_report(now, &report.info);
                    }
                }
                rtcp::Packet::TransportFeedback(feedback) => {
                    self.handle_feedback(now, transport, feedback);
                }
                rtcp::Packet::Bye(bye) => {
                    for ssrc in bye.sources() {
                        let Some(index) = self.route(transport, ssrc) else {
                            continue;
                        };
                        let incoming = &mut self.incoming[index];
                        if incoming.stream.ssrc() == ssrc
                            && !std::mem::replace(&mut incoming.silent, true)
                        {
                            events.push_back(Event::TrackMuted(incoming.transceiver));
                        }
                    }
                }
                _ => {}
            }
            for outgoing in self
                .outgoing
                .iter_mut()
                .filter(|outgoing| outgoing.transport == transport)
            {
                outgoing.stream.handle_rtcp(now, &packet);
            }
        }
        // What the reports say of the round trip is when to ask again for a lost packet.
        let mut here = self
            .outgoing
            .iter()
            .filter(|outgoing| outgoing.transport == transport);
        if let Some(rtt) = here.find_map(|outgoing| outgoing.stream.stats().round_trip_time) {
            for incoming in self
                .incoming
                .iter_mut()
                .filter(|incoming| incoming.transport == transport)
            {
                incoming.stream.set_round_trip_time(rtt);
            }
        }
        let mut limit = None;
        for outgoing in &mut self.outgoing {
            while let Some(event) = outgoing.stream.poll_event() {
                match event {
                    send::Event::KeyframeRequested => {
                        let (transceiver, rid) = (outgoing.transceiver, outgoing.rid.clone());
                        events.push_back(Event::KeyframeRequested { transceiver, rid });
                    }
                    send::Event::BitrateLimit(bps) => limit = Some(bps),
                    _ => {}
                }
            }
        }
        if let Some(limit) = limit {
            self.handle_limit(transport, limit);
        }
    }

    // Time.

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let busy = !self.outgoing.is_empty() || !self.incoming.is_empty();
        let reports = self
            .reports
            .iter()
            .filter(|_| busy)
            .map(|schedule| schedule.due);
        self.incoming
            .iter()
            .filter_map(|incoming| incoming.stream.poll_timeout())
            .chain(reports)
            .chain(self.paths_timeout())
            .min()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.handle_paths_timeout(now);
        for index in 0..self.reports.len() {
            if self.reports[index].due <= now {
                self.reports[index].due = now + self.report_interval();
                self.reports[index].ready = true;
            }
        }
        for index in 0..self.incoming.len() {
            let stream = &mut self.incoming[index].stream;
            if stream.poll_timeout().is_some_and(|due| due <= now) {
                stream.handle_timeout(now);
                self.feedback_due = true;
                self.collect_frames(now, index);
            }
        }
    }

    // Sending.

    fn own_ssrc(&self) -> Ssrc {
        self.outgoing
            .first()
            .map_or(self.own_ssrc, |outgoing| outgoing.stream.ssrc())
    }

    fn report_interval(&mut self) -> Duration {
        REPORT_INTERVAL.mul_f64(self.rng.random_range(0.5..1.5))
    }

    /// Appends the next RTCP packet of a transport, unprotected: feedback at once, reports in their time.
    pub(super) fn poll_rtcp(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        transport: usize,
        buf: &mut Vec<u8>,
    ) -> bool {
        if self.feedback_due {
            for incoming in self
                .incoming
                .iter_mut()
                .filter(|incoming| incoming.transport == transport)
            {
                if incoming.stream.poll_feedback(now, buf).is_some() {
                    return true;
                }
            }
            self.feedback_due = self
                .incoming
                .iter()
                .any(|incoming| incoming.transport != transport);
        }
        let own = self.own_ssrc();
        if self.poll_transport_feedback(now, transport, own, buf) {
            return true;
        }
        if let Some(place) = self
            .byes
            .iter()
            .position(|(number, _)| *number == transport)
        {
            let (_, ssrc) = self.byes.swap_remove(place);
            let mut writer = rtcp::Writer::new(buf);
            writer.receiver_report(ssrc, &[]);
            writer.cname(ssrc, &self.cname);
            writer.bye(&[ssrc], "");
            return true;
        }
        let schedule = self
            .reports
            .iter_mut()
            .find(|schedule| schedule.transport == transport);
        if !schedule.is_some_and(|schedule| std::mem::take(&mut schedule.ready)) {
            return false;
        }
        self.write_reports(now, ntp, transport, buf)
    }

    /// A compound packet of sender and receiver reports (RFC 3550 §6.1).
    fn write_reports(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        transport: usize,
        buf: &mut Vec<u8>,
    ) -> bool {
        let start = self.next_report;
        let mut blocks: Vec<ReportBlock> = Vec::new();
        let count = self.incoming.len();
        for offset in 0..count {
            let incoming = &mut self.incoming[(start + offset) % count];
            if incoming.transport == transport && blocks.len() < MOST_REPORT_BLOCKS {
                blocks.extend(incoming.stream.report_block(now));
            }
        }
        let mut infos: Vec<rtcp::SenderInfo> = Vec::new();
        let count = self.outgoing.len();
        for offset in 0..count {
            let outgoing = &mut self.outgoing[(start + offset) % count];
            if outgoing.transport == transport && infos.len() < MOST_SENDER_REPORTS {
                infos.extend(outgoing.stream.sender_report(now, ntp));
            }
        }
        self.next_report = self.next_report.wrapping_add(1);
        if blocks.is_empty() && infos.is_empty() {
            return false;
        }
        let own = self.own_ssrc();
        let mut writer = rtcp::Writer::new(buf);
        match infos.split_first() {
            None => writer.receiver_report(own, &blocks),
            Some((first, others)) => {
                writer.sender_report(first, &blocks);
                for info in others {
                    writer.sender_report(info, &[]);
                }
            }
        }
        let named: Vec<(Ssrc, &str)> = match infos.is_empty() {
            true => vec![(own, self.cname.as_str())],
            false => infos
                .iter()
                .map(|info| (info.ssrc, self.cname.as_str()))
                .collect(),
        };
        writer.cnames(&named);
        true
    }

    pub(super) fn first_outgoing(&mut self, id: TransceiverId) -> Option<&mut Outgoing> {
        self.outgoing
            .iter_mut()
            .find(|outgoing| outgoing.transceiver == id)
    }

    pub(super) fn outgoing(&self) -> &[Outgoing] {
        &self.outgoing
    }

    pub(super) fn incoming(&self) -> &[Incoming] {
        &self.incoming
    }
}

impl Reception {
    fn new(
        transceiver: &Transceiver,
        transport: usize,
        mid: &str,
        remote: Option<&Section>,
    ) -> Self {
        let codecs = &transceiver.receiver.codecs;
        let rtx_of = |payload_type: u8| {
            let rtx = codecs.iter().find(|rtx| {
                rtx.codec.name().eq_ignore_ascii_case("rtx")
                    && rtx.associated_payload_type() == Some(payload_type)
            });
            rtx.map(|rtx| rtx.payload_type)
        };
        let payload_types = codecs
            .iter()
            .filter_map(|codec| {
                let format = PayloadFormat::from_encoding_name(codec.codec.name())?;
                Some(receive::PayloadType {
                    number: codec.payload_type,
                    format,
                    rtx: rtx_of(codec.payload_type),
                })
            })
            .collect();
        let agreed = |feedback: &str| codecs.iter().any(|codec| codec.has_feedback(feedback));
        let extensions = &transceiver.receiver.extensions;
        let announced = remote.map(|section| {
            section
                .sources
                .iter()
                .map(|source| (Ssrc(source.ssrc), source.rtx.map(Ssrc)))
                .collect()
        });
        Reception {
            transceiver: transceiver.id,
            transport,
            mid: mid.to_owned(),
            payload_types,
            nack: agreed("nack"),
            pli: agreed("nack pli"),
            fir: agreed("ccm fir"),
            mid_extension: extension_id(extensions, MID_URI),
            rid_extension: extension_id(extensions, RID_URI),
            repaired_rid_extension: extension_id(extensions, REPAIRED_RID_URI),
            audio_level: extension_id(extensions, AUDIO_LEVEL_URI),
            csrc_audio_level: extension_id(extensions, CSRC_AUDIO_LEVEL_URI),
            jitter_buffer_target: transceiver.receiver.jitter_buffer_target,
            transport_cc: extension_id(extensions, TRANSPORT_CC_URI)
                .filter(|_| agreed("transport-cc")),
            announced: announced.unwrap_or_default(),
        }
    }

    fn announces(&self, ssrc: Ssrc) -> bool {
        self.announced
            .iter()
            .any(|(primary, rtx)| *primary == ssrc || *rtx == Some(ssrc))
    }

    fn takes(&self, payload_type: u8) -> bool {
        self.payload_types
            .iter()
            .any(|known| known.number == payload_type || known.rtx == Some(payload_type))
    }

    fn config(&self, ssrc: Ssrc, own_ssrc: Ssrc, cname: &str) -> receive::Config {
        let mut config = receive::Config::new(ssrc, own_ssrc, self.payload_types.clone());
        config.rtx = self
            .announced
            .iter()
            .find(|(primary, _)| *primary == ssrc)
            .and_then(|(_, rtx)| *rtx);
        config.nack = self.nack;
        config.pli = self.pli;
        config.fir = self.fir;
        config.audio_level = self.audio_level;
        config.cname = cname.to_owned();
        config
    }
}

fn extension_id(extensions: &[RtpHeaderExtensionParameters], uri: &str) -> Option<u8> {
    extensions
        .iter()
        .find(|extension| extension.uri == uri)
        .map(|extension| extension.id)
}

impl Session {
    /// Sends an encoded frame on a transceiver; `rid` names the encoding when there are several.
    ///
    /// Frames are dropped, and false returned, while the direction or the connection does not let them out.
    ///
    /// # Errors
    /// `InvalidAccessError` for a transceiver or an encoding that does not exist.
    pub fn write_frame(
        &mut self,
        now: Instant,
        id: TransceiverId,
        rid: Option<&str>,
        frame: &OutgoingFrame,
    ) -> Result<bool, Error> {
        let Some(transceiver) = self.jsep.transceiver(id) else {
            return Err(Error::InvalidAccess("there is no such transceiver".into()));
        };
        let known =
            |encoding: &Encoding| rid.is_none() || encoding.parameters.rid.as_deref() == rid;
        let Some(encoding) = transceiver
            .sender
            .encodings
            .iter()
            .find(|encoding| known(encoding))
        else {
            return Err(Error::InvalidAccess("there is no such encoding".into()));
        };
        let (ssrc, active) = (Ssrc(encoding.ssrc), encoding.parameters.active);
        let tone = !self.tones.is_empty() && self.tone_plays(id);
        let Some(outgoing) = self
            .media
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.stream.ssrc() == ssrc)
        else {
            return Ok(false);
        };
        outgoing.last_frame = Some((now, frame.timestamp));
        if tone {
            // A tone stands in for the sound (RFC 4733 §2.6.2).
            return Ok(true);
        }
        let ready = self
            .transports
            .iter()
            .any(|transport| transport.number == outgoing.transport && transport.has_srtp());
        if active && ready {
            outgoing.stream.write_frame(now, frame);
        }
        Ok(active && ready)
    }

    /// The next received frame that is due, with the transceiver it belongs to.
    pub fn poll_frame(&mut self) -> Option<(TransceiverId, IncomingFrame)> {
        self.media.frames.pop_front()
    }

    /// Asks the peer for a keyframe (RFC 4585 §6.3.1).
    pub fn request_keyframe(&mut self, now: Instant, id: TransceiverId) {
        for incoming in self
            .media
            .incoming
            .iter_mut()
            .filter(|incoming| incoming.transceiver == id)
        {
            incoming.stream.request_keyframe(now);
            self.media.feedback_due = true;
        }
    }

    /// Whether frames written to this transceiver now reach the network.
    pub fn can_send(&self, id: TransceiverId) -> bool {
        self.media.outgoing.iter().any(|outgoing| {
            outgoing.transceiver == id
                && self
                    .transports
                    .iter()
                    .any(|transport| transport.number == outgoing.transport && transport.has_srtp())
        })
    }
}

/// `RTCRtpSender.getCapabilities` and `RTCRtpReceiver.getCapabilities` (W3C WebRTC §5.2, §5.3).
pub fn capabilities(kind: ::media::MediaKind) -> crate::rtp_parameters::RtpCapabilities {
    let mut codecs: Vec<_> = codecs::known(kind)
        .into_iter()
        .map(|known| known.codec)
        .collect();
    if kind == ::media::MediaKind::Video {
        codecs.push(crate::rtp_parameters::RtpCodec {
            mime_type: "video/rtx".into(),
            clock_rate: 90_000,
            channels: None,
            sdp_fmtp_line: String::new(),
        });
    }
    crate::rtp_parameters::RtpCapabilities {
        codecs,
        header_extensions: codecs::extensions(kind),
    }
}
