//! Which section and which stream a packet belongs to (RFC 9143 §9.2).

use super::{Incoming, MOST_FRAMES, MOST_INCOMING, MediaEngine, extension_id};
use crate::session::codecs::{
    AUDIO_LEVEL_URI, CSRC_AUDIO_LEVEL_URI, MID_URI, REPAIRED_RID_URI, RID_URI, TRANSPORT_CC_URI,
};
use crate::session::event::Event;
use crate::session::jsep::Section;
use crate::session::samples::DecoderCounts;
use crate::session::transceiver::{Transceiver, TransceiverId};
use bytes::Bytes;
use rtp::payload::PayloadFormat;
use rtp::{Ssrc, receive};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

impl MediaEngine {
    pub(in crate::session) fn handle_rtp(
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
        if self.incoming[index].resting {
            // What was under way when its transceiver stopped receiving belongs to no other.
            self.unroutable_packets += 1;
            return;
        }
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

    pub(super) fn route(&self, transport: usize, ssrc: Ssrc) -> Option<usize> {
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
        self.came += 1;
        self.incoming.push(Incoming {
            number: self.came,
            announced: reception.announces(ssrc),
            resting: false,
            transceiver,
            transport,
            rid,
            mid: reception.mid.clone(),
            stream,
            decoder: DecoderCounts::default(),
            heard: Vec::new(),
            contributors: VecDeque::new(),
            played: None,
            csrc_audio_level: reception.csrc_audio_level,
            silent: true,
        });
        self.rebuild_routes();
        Some(self.incoming.len() - 1)
    }

    pub(super) fn collect_frames(&mut self, now: Instant, index: usize) {
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
}

/// What one section is ready to receive.
pub(super) struct Reception {
    pub(super) transceiver: TransceiverId,
    pub(super) transport: usize,
    mid: String,
    pub(super) payload_types: Vec<receive::PayloadType>,
    /// Payload types with their feedback.
    nack: bool,
    pli: bool,
    fir: bool,
    mid_extension: Option<u8>,
    rid_extension: Option<u8>,
    repaired_rid_extension: Option<u8>,
    audio_level: Option<u8>,
    csrc_audio_level: Option<u8>,
    pub(super) transport_cc: Option<u8>,
    pub(super) jitter_buffer_target: Option<Duration>,
    /// SSRCs that the description announces, with the ones that repair them.
    pub(super) announced: Vec<(Ssrc, Option<Ssrc>)>,
}

impl Reception {
    pub(super) fn new(
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

    pub(super) fn announces(&self, ssrc: Ssrc) -> bool {
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
