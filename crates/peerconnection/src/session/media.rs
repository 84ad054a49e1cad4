//! RTP streams of a session: which packet belongs to which sender or receiver, and RTCP about them.

mod frames;
mod reports;
mod routing;

use super::codecs::{self, AUDIO_LEVEL_URI, MID_URI, REPAIRED_RID_URI, RID_URI, TRANSPORT_CC_URI};
use super::congestion::Path;
use super::jsep::Section;
use super::samples::{DecoderCounts, EncoderCounts, Heard};
use super::transceiver::{Encoding, Transceiver, TransceiverId};
use crate::rtp_parameters::{RtpCodecParameters, RtpHeaderExtensionParameters};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use routing::Reception;
use rtp::payload::PayloadFormat;
pub use rtp::receive::IncomingFrame;
pub use rtp::send::OutgoingFrame;
use rtp::{Ssrc, receive, send};
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
    /// Streams of transceivers that send nothing for now. They go on where they were: with the numbers of another stream, SRTP would
    /// use a key twice (RFC 3711 §9.1), and statistics would begin anew.
    resting: Vec<Outgoing>,
    pub(super) incoming: Vec<Incoming>,
    /// How many streams have come.
    came: u32,
    pub(super) paths: Vec<Path>,
    /// What the peer's description lets all senders send together.
    pub(super) most_total_bitrate: Option<u64>,
    /// Which stream is asked first for a packet.
    pub(super) turn: usize,
    receptions: Vec<Reception>,
    /// The transceivers that are not stopped.
    alive: Vec<TransceiverId>,
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
    /// What the peer's description lets its sender send, all encodings together.
    pub(super) most_bitrate: Option<u64>,
    pub(super) encoder: EncoderCounts,
    wanted: Wanted,
}

/// What descriptions want of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Sent,
    /// Its transceiver sends nothing for now.
    Resting,
    Gone,
}

/// CSRCs with their levels.
pub(super) type Contributors = Vec<(u32, Option<u8>)>;

/// One stream that is received.
pub(super) struct Incoming {
    /// Never that of another stream, nor of the same SSRC after it was away.
    pub(super) number: u32,
    /// Whether a description names its SSRC.
    announced: bool,
    /// Its transceiver receives nothing for now.
    resting: bool,
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
    /// The RTP time of the last frame that was delivered, and when that was.
    pub(super) played: Option<(u32, Instant)>,
    csrc_audio_level: Option<u8>,
    silent: bool,
}

impl Incoming {
    pub(super) fn is_video(&self) -> bool {
        let mut known = self.stream.config().payload_types.iter();
        known.next().is_some_and(|first| first.format.is_video())
    }
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
            resting: Vec::new(),
            incoming: Vec::new(),
            came: 0,
            paths: Vec::new(),
            most_total_bitrate: None,
            turn: 0,
            receptions: Vec::new(),
            alive: Vec::new(),
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
        self.resting.clear();
        self.incoming.clear();
        self.receptions.clear();
        self.routes.clear();
        self.frames.clear();
    }

    // What negotiation agreed on.

    /// Begins a comparison with the descriptions: what is not matched until the end goes.
    pub(super) fn begin_match(&mut self, most_total_bitrate: Option<u64>) {
        self.most_total_bitrate = most_total_bitrate;
        self.receptions.clear();
        self.alive.clear();
        for outgoing in self.outgoing.iter_mut().chain(&mut self.resting) {
            outgoing.wanted = Wanted::Gone;
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
        if !transceiver.stopped {
            self.alive.push(transceiver.id);
        }
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
            let most_bitrate = remote.and_then(|section| section.most_bitrate);
            for encoding in &transceiver.sender.encodings {
                if let Some(codec) = encoding.parameters.choose(&transceiver.sender.codecs) {
                    self.match_outgoing(transceiver, encoding, codec, transport, mid);
                }
            }
            for outgoing in &mut self.outgoing {
                if outgoing.transceiver == transceiver.id {
                    outgoing.most_bitrate = most_bitrate;
                }
            }
        } else if !transceiver.stopped {
            let known = |ssrc: Ssrc| {
                let mut encodings = transceiver.sender.encodings.iter();
                encodings.any(|encoding| encoding.ssrc == ssrc.0)
            };
            for outgoing in self.outgoing.iter_mut().chain(&mut self.resting) {
                if known(outgoing.stream.ssrc()) {
                    outgoing.wanted = Wanted::Resting;
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
        let is_it = |outgoing: &Outgoing| outgoing.stream.ssrc() == config.ssrc;
        if let Some(place) = self.resting.iter().position(is_it) {
            self.outgoing.push(self.resting.swap_remove(place));
        }
        match self.outgoing.iter_mut().find(|outgoing| is_it(outgoing)) {
            Some(outgoing) => {
                outgoing.wanted = Wanted::Sent;
                outgoing.transport = transport;
                if !same(outgoing) {
                    outgoing.rid = rid;
                    mid.clone_into(&mut outgoing.mid);
                    let rng = StdRng::from_rng(&mut self.rng);
                    outgoing.stream.set_config(config, rng);
                }
            }
            None => {
                let stream = send::Stream::new(config, StdRng::from_rng(&mut self.rng));
                self.outgoing.push(Outgoing {
                    transceiver: transceiver.id,
                    transport,
                    rid,
                    mid: mid.to_owned(),
                    stream,
                    last_frame: None,
                    demand: None,
                    most_bitrate: None,
                    encoder: EncoderCounts::default(),
                    wanted: Wanted::Sent,
                });
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
        self.resting
            .retain(|outgoing| outgoing.wanted == Wanted::Resting);
        let silent = |outgoing: &mut Outgoing| outgoing.wanted != Wanted::Sent;
        for mut outgoing in self.outgoing.extract_if(.., silent) {
            self.byes.push((outgoing.transport, outgoing.stream.ssrc()));
            if outgoing.wanted == Wanted::Resting {
                outgoing.stream.clear_queue();
                self.resting.push(outgoing);
            }
        }
        let receptions = &self.receptions;
        self.incoming.retain_mut(|incoming| {
            let reception = receptions
                .iter()
                .find(|reception| reception.transceiver == incoming.transceiver);
            let Some(reception) = reception else {
                incoming.resting = true;
                incoming.silent = true;
                return self.alive.contains(&incoming.transceiver);
            };
            incoming.resting = false;
            incoming.transport = reception.transport;
            if incoming.stream.config().payload_types != reception.payload_types {
                let payload_types = reception.payload_types.clone();
                incoming.stream.set_payload_types(payload_types);
            }
            // A description that names others instead takes a stream away that was named before.
            let named = reception.announces(incoming.stream.ssrc());
            let replaced = incoming.announced && !named && !reception.announced.is_empty();
            incoming.announced |= named;
            !replaced
        });
        self.rebuild_routes();
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

    pub(super) fn first_outgoing(&mut self, id: TransceiverId) -> Option<&mut Outgoing> {
        self.outgoing
            .iter_mut()
            .find(|outgoing| outgoing.transceiver == id)
    }

    /// Every stream that is sent, or would be if its transceiver sent.
    pub(super) fn sent_streams(&self) -> impl Iterator<Item = &Outgoing> {
        self.outgoing.iter().chain(&self.resting)
    }

    pub(super) fn incoming(&self) -> &[Incoming] {
        &self.incoming
    }
}

fn extension_id(extensions: &[RtpHeaderExtensionParameters], uri: &str) -> Option<u8> {
    extensions
        .iter()
        .find(|extension| extension.uri == uri)
        .map(|extension| extension.id)
}

/// `RTCRtpSender.getCapabilities` and `RTCRtpReceiver.getCapabilities` (W3C WebRTC §5.2, §5.3).
pub fn capabilities(kind: ::media::MediaKind) -> crate::rtp_parameters::RtpCapabilities {
    codecs::Catalogue::default().capabilities(kind)
}
