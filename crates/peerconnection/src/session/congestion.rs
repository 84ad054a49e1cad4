//! What a transport's path carries, and how the senders on it share that.
//!
//! Where transport-wide feedback is agreed, `pc-congestion` estimates the path, packets leave at its pace, and
//! [`Session::target_bitrate`] tells each encoder its part. Where it is not, a peer's REMB is the limit, if it sends one.

use super::Session;
use super::media::{MediaEngine, Outgoing};
use super::probing::{self, Probing};
use super::transceiver::TransceiverId;
use congestion::{Bitrate, Controller, Event as ControllerEvent, Limits, Priority, Sent};
use rtp::{Ssrc, receive, rtcp, send};
use std::time::{Duration, Instant};

/// Between two transport-wide feedback messages.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);
/// Where the estimate begins: a call at a usual small size.
const START: Bitrate = Bitrate::from_kbps(600);
const LEAST: Bitrate = Bitrate::from_kbps(50);
/// What streams whose demand is not known may want.
const MOST: Bitrate = Bitrate::from_kbps(50_000);
/// What an audio stream takes, headers included.
const AUDIO_SHARE: u64 = 56_000;
/// The part of the estimate that is left for headers, repairs and what comes in bursts.
const OVERHEAD: f64 = 0.92;
/// What the RTP headers of sound take: 50 packets a second, with extensions of eight bytes.
const AUDIO_HEADERS: u64 = 50 * 20 * 8;
/// A layer of simulcast is sent once this part of what it wants is there.
const LAYER_LEAST: f64 = 0.5;

/// How the packets of one transport leave, and what its peer is told of those that come.
pub(super) struct Path {
    pub(super) transport: usize,
    /// The extension's number towards the peer; without one nothing is estimated.
    send_id: Option<u8>,
    receive_id: Option<u8>,
    stamper: send::Stamper,
    controller: Controller,
    feedback: receive::TransportFeedback,
    /// The limit of a peer that estimates on its side (REMB).
    limit: Option<u64>,
    most: Bitrate,
    /// What the encoders would use if nothing limited them, as far as they have told.
    wanted: u64,
    probing: Probing,
}

impl Path {
    fn new(now: Instant, transport: usize) -> Self {
        let mut config = congestion::Config::default();
        config.limits = Limits {
            min: LEAST,
            max: MOST,
            start: START,
        };
        Path {
            transport,
            send_id: None,
            receive_id: None,
            stamper: send::Stamper::new(None, None),
            controller: Controller::new(config, now),
            feedback: receive::TransportFeedback::new(FEEDBACK_INTERVAL),
            limit: None,
            most: MOST,
            wanted: 0,
            probing: Probing::new(),
        }
    }

    /// Numbers a packet that leaves now, and takes note of it.
    fn note_sent(&mut self, now: Instant, packet: &mut [u8]) {
        let transport_sequence = self.stamper.stamp(now, packet);
        if let [_, _, high, low, _, _, _, _, a, b, c, d, ..] = *packet {
            self.controller.sent(
                now,
                Sent {
                    ssrc: u32::from_be_bytes([a, b, c, d]),
                    sequence: u16::from_be_bytes([high, low]),
                    transport_sequence: transport_sequence.map(|sequence| sequence.0),
                    size: packet.len(),
                },
            );
        }
    }

    /// What may be sent, in bits per second; `None` when nothing is known.
    fn target(&self) -> Option<u64> {
        match self.send_id {
            Some(_) => Some(self.controller.target().bps()),
            None => self.limit,
        }
    }
}

impl MediaEngine {
    /// Follows what negotiation agreed on about feedback.
    pub(super) fn match_paths(&mut self, now: Instant) {
        let mut wanted: Vec<usize> = self
            .outgoing
            .iter()
            .map(|outgoing| outgoing.transport)
            .chain(self.reception_paths().map(|(transport, _)| transport))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.paths.retain(|path| wanted.contains(&path.transport));
        for transport in wanted {
            let send_id = self
                .outgoing
                .iter()
                .filter(|outgoing| outgoing.transport == transport)
                .find_map(|outgoing| outgoing.stream.config().transport_cc);
            let receive_id = self
                .reception_paths()
                .filter(|(number, _)| *number == transport)
                .find_map(|(_, id)| id);
            let known = self
                .paths
                .iter()
                .position(|path| path.transport == transport);
            let index = known.unwrap_or_else(|| {
                self.paths.push(Path::new(now, transport));
                self.paths.len() - 1
            });
            let path = &mut self.paths[index];
            if path.send_id != send_id {
                path.send_id = send_id;
                path.stamper = send::Stamper::new(send_id, None);
            }
            path.receive_id = receive_id;
        }
    }

    /// Takes note of a packet that came, for the peer's estimate.
    pub(super) fn note_arrival(
        &mut self,
        now: Instant,
        transport: usize,
        packet: &rtp::Packet<'_>,
    ) {
        let path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport);
        if let Some(path) = path
            && let Some(element) = path.receive_id.and_then(|id| packet.extension(id))
            && let Some(sequence) = rtp::ext::TransportSequence::parse(element)
        {
            path.feedback.handle_packet(now, sequence.0);
        }
    }

    pub(super) fn handle_feedback(
        &mut self,
        now: Instant,
        transport: usize,
        feedback: &rtcp::TransportFeedback<'_>,
    ) {
        let path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport);
        if let Some(path) = path.filter(|path| path.send_id.is_some()) {
            let arrivals = feedback.arrivals();
            path.controller.handle_transport_feedback(
                now,
                arrivals.map(|(sequence, arrival)| (sequence.0, arrival)),
            );
        }
    }

    /// The peer's own estimate (REMB).
    pub(super) fn handle_limit(&mut self, transport: usize, bps: u64) {
        let path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport);
        if let Some(path) = path {
            path.limit = Some(bps);
            path.controller
                .set_remote_limit(Some(Bitrate::from_bps(bps)));
        }
    }

    /// Appends the feedback that is due on a transport.
    pub(super) fn poll_transport_feedback(
        &mut self,
        now: Instant,
        transport: usize,
        own: Ssrc,
        buf: &mut Vec<u8>,
    ) -> bool {
        let media = self
            .incoming
            .iter()
            .find(|incoming| incoming.transport == transport)
            .map_or(own, |incoming| incoming.stream.ssrc());
        self.paths
            .iter_mut()
            .find(|path| path.transport == transport)
            .is_some_and(|path| path.feedback.poll(now, own, media, buf).is_some())
    }

    pub(super) fn paths_timeout(&self) -> Option<Instant> {
        self.paths
            .iter()
            .flat_map(|path| {
                let control = path.send_id.and_then(|_| path.controller.poll_timeout());
                [control, path.feedback.poll_timeout()]
            })
            .flatten()
            .min()
    }

    pub(super) fn handle_paths_timeout(&mut self, now: Instant) {
        for path in &mut self.paths {
            if path.controller.poll_timeout().is_some_and(|due| due <= now) {
                path.controller.handle_timeout(now);
            }
        }
    }

    /// Appends the next RTP packet of a transport, unprotected: sound first, then repairs, then pictures, as the pace
    /// allows. Streams of one kind take turns.
    pub(super) fn poll_rtp(&mut self, now: Instant, transport: usize, buf: &mut Vec<u8>) -> bool {
        let count = self.outgoing.len();
        let mut chosen: Option<(Priority, usize, usize)> = None;
        for offset in 0..count {
            let index = (self.turn + offset) % count;
            let outgoing = &self.outgoing[index];
            if outgoing.transport != transport {
                continue;
            }
            let Some(pending) = outgoing.stream.pending() else {
                continue;
            };
            let priority = if !outgoing.stream.config().codec.is_video() {
                Priority::Audio
            } else if pending.retransmission {
                Priority::Retransmission
            } else {
                Priority::Video
            };
            if chosen.is_none_or(|(best, ..)| priority < best) {
                chosen = Some((priority, index, pending.size));
            }
        }
        let Some((priority, index, size)) = chosen else {
            return self.poll_padding(now, transport, buf);
        };
        let mut path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport && path.send_id.is_some());
        if let Some(path) = &mut path
            && !path.controller.admit(now, priority, size)
        {
            return false;
        }
        self.turn = index + 1;
        let start = buf.len();
        if self.outgoing[index]
            .stream
            .poll_transmit(now, buf)
            .is_none()
        {
            return false;
        }
        if let Some(path) = path {
            path.note_sent(now, &mut buf[start..]);
        }
        true
    }

    /// Appends a packet of padding, where a probe is due and the pace leaves room.
    fn poll_padding(&mut self, now: Instant, transport: usize, buf: &mut Vec<u8>) -> bool {
        let path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport && path.send_id.is_some());
        let Some(path) = path.filter(|path| path.wanted > 0) else {
            return false;
        };
        let Some(ssrc) = probing::stream_to_pad(&self.outgoing, transport, now) else {
            return false;
        };
        let target = path.controller.target().bps();
        if !path.probing.is_due(now, target, path.wanted) {
            return false;
        }
        let size = usize::from(probing::PADDING);
        if !path.controller.admit(now, Priority::Padding, size) {
            return false;
        }
        let outgoing = self.outgoing.iter_mut();
        let mut found = outgoing.filter(|outgoing| outgoing.stream.ssrc() == ssrc);
        let start = buf.len();
        let written = found
            .next()
            .and_then(|outgoing| outgoing.stream.write_padding(probing::PADDING, buf));
        if written.is_none() {
            return false;
        }
        path.note_sent(now, &mut buf[start..]);
        true
    }

    /// Whether any estimate has changed since the last call.
    pub(super) fn poll_estimate(&mut self) -> Option<(usize, u64)> {
        self.paths.iter_mut().find_map(|path| {
            let estimated = path.send_id.is_some();
            match path.controller.poll_event()? {
                ControllerEvent::TargetBitrate(rate) if estimated => {
                    Some((path.transport, rate.bps()))
                }
                _ => None,
            }
        })
    }

    /// The transport's estimate may rise to what its streams can use, and somewhat over.
    fn follow_demand(&mut self, transport: usize) {
        // What each sender wants in all its encodings, and has told to want; the peer's `b=` is for them together.
        let mut senders: Vec<(TransceiverId, u64, u64, u64)> = Vec::new();
        for outgoing in self
            .outgoing
            .iter()
            .filter(|outgoing| outgoing.transport == transport)
        {
            let wanted = match outgoing.demand {
                _ if !outgoing.stream.config().codec.is_video() => AUDIO_SHARE,
                Some(demand) => demand,
                None => MOST.bps(),
            };
            let told = outgoing.demand.unwrap_or(0);
            let id = outgoing.transceiver;
            match senders.iter_mut().find(|(known, ..)| *known == id) {
                Some((_, sum, told_sum, _)) => {
                    *sum = sum.saturating_add(wanted);
                    *told_sum = told_sum.saturating_add(told);
                }
                None => senders.push((id, wanted, told, outgoing.most_bitrate.unwrap_or(u64::MAX))),
            }
        }
        let all = self.most_total(transport).unwrap_or(u64::MAX);
        let sum = |values: &mut dyn Iterator<Item = u64>| {
            values.fold(0_u64, u64::saturating_add).min(all)
        };
        let total = sum(&mut senders.iter().map(|(_, wanted, _, most)| *wanted.min(most)));
        let told = sum(&mut senders.iter().map(|(_, _, told, most)| *told.min(most)));
        let most = Bitrate::from_bps((total / 4).saturating_mul(5).max(500_000)).min(MOST);
        let path = self
            .paths
            .iter_mut()
            .find(|path| path.transport == transport);
        let Some(path) = path else { return };
        path.wanted = told;
        if path.most.bps().abs_diff(most.bps()) > path.most.bps() / 5 {
            path.most = most;
            path.controller.set_limits(Limits {
                min: LEAST,
                max: most,
                start: START,
            });
        }
    }

    /// How the senders of a transport share what it carries: everybody the same part, weighted, but nobody more than it
    /// wants; within a sender, smaller layers before larger ones.
    fn shares(&self, transport: usize, weight: impl Fn(&Outgoing) -> Option<f64>) -> Vec<Share> {
        let mut shares: Vec<Share> = self
            .outgoing
            .iter()
            .filter(|outgoing| {
                outgoing.transport == transport && outgoing.stream.config().codec.is_video()
            })
            .filter_map(|outgoing| {
                Some(Share {
                    transceiver: outgoing.transceiver,
                    ssrc: outgoing.stream.ssrc(),
                    demand: outgoing.demand.unwrap_or(MOST.bps()),
                    weight: weight(outgoing)?,
                    given: 0,
                })
            })
            .collect();
        let path = self.paths.iter().find(|path| path.transport == transport);
        let target = path.and_then(Path::target).into_iter();
        let target = target.chain(self.most_total(transport)).min();
        let sounds = self
            .outgoing
            .iter()
            .filter(|outgoing| {
                outgoing.transport == transport
                    && !outgoing.stream.config().codec.is_video()
                    && outgoing.last_frame.is_some()
            })
            .count() as u64;
        let mut left = target.map_or(f64::INFINITY, |target| {
            target.saturating_sub((sounds * AUDIO_SHARE).min(target / 2)) as f64 * OVERHEAD
        });
        // The least demanding sender first: what it does not need is shared by the others.
        let mut senders: Vec<(TransceiverId, u64, f64)> = Vec::new();
        for share in &shares {
            match senders.iter_mut().find(|(id, ..)| *id == share.transceiver) {
                Some((_, demand, weight)) => {
                    *demand = demand.saturating_add(share.demand);
                    *weight = weight.max(share.weight);
                }
                None => senders.push((share.transceiver, share.demand, share.weight)),
            }
        }
        for (id, demand, _) in &mut senders {
            if let Some(most) = self.most_bitrate(*id) {
                *demand = (*demand).min((most as f64 * OVERHEAD) as u64);
            }
        }
        senders.sort_by(|one, two| (one.1 as f64 / one.2).total_cmp(&(two.1 as f64 / two.2)));
        let mut weights: f64 = senders.iter().map(|(.., weight)| weight).sum();
        for (id, demand, weight) in senders {
            let part = (left * weight / weights).min(demand as f64);
            left -= part;
            weights -= weight;
            divide(&mut shares, id, part);
        }
        shares
    }
}

impl MediaEngine {
    /// What the peer's description lets a sender send in all its encodings (RFC 9429 §5.10, `TIAS` and `AS`).
    fn most_bitrate(&self, id: TransceiverId) -> Option<u64> {
        let mut outgoing = self.outgoing.iter();
        outgoing
            .find(|outgoing| outgoing.transceiver == id)?
            .most_bitrate
    }

    /// The part of a transport in what the peer's description lets all senders send (RFC 9429 §5.10, `CT`).
    fn most_total(&self, transport: usize) -> Option<u64> {
        let total = self.most_total_bitrate?;
        let mut transports: Vec<usize> = self.outgoing.iter().map(|it| it.transport).collect();
        transports.sort_unstable();
        transports.dedup();
        let part = total / transports.len().max(1) as u64;
        transports.contains(&transport).then_some(part)
    }
}

/// What one encoding gets.
#[derive(Debug, Clone, Copy)]
struct Share {
    transceiver: TransceiverId,
    ssrc: Ssrc,
    demand: u64,
    weight: f64,
    given: u64,
}

/// Shares what a sender gets among its layers.
fn divide(shares: &mut [Share], id: TransceiverId, part: f64) {
    let mut layers: Vec<&mut Share> = shares
        .iter_mut()
        .filter(|share| share.transceiver == id)
        .collect();
    layers.sort_by_key(|share| share.demand);
    let mut left = part;
    for (index, layer) in layers.iter_mut().enumerate() {
        let wanted = layer.demand as f64;
        if index > 0 && left < wanted * LAYER_LEAST {
            break;
        }
        let given = wanted.min(left);
        layer.given = given as u64;
        left -= given;
    }
}

impl Session {
    /// What an encoder may produce now, in bits per second of payload: its part of what the path carries, at most what
    /// [`Session::set_encoder_demand`] said, and what `max_bitrate` and the `b=` lines of the peer's description allow
    /// (these for all encodings of a sender together). Zero for an encoding that is to pause; `None` while
    /// nothing limits it.
    pub fn target_bitrate(&self, id: TransceiverId, rid: Option<&str>) -> Option<u64> {
        let transceiver = self.jsep.transceiver(id)?;
        let encoding = transceiver
            .sender
            .encodings
            .iter()
            .find(|encoding| rid.is_none() || encoding.parameters.rid.as_deref() == rid)?;
        let most = encoding.parameters.max_bitrate.map(u64::from);
        let outgoing = self
            .media
            .outgoing
            .iter()
            .find(|outgoing| outgoing.stream.ssrc().0 == encoding.ssrc)?;
        let path = self
            .media
            .paths
            .iter()
            .find(|path| path.transport == outgoing.transport);
        let target = path.and_then(Path::target);
        let total = self.media.most_total(outgoing.transport);
        if !outgoing.stream.config().codec.is_video() {
            // Sound gives way last: 16 kbit/s is still speech.
            let shared = target.into_iter().chain(total).min();
            let share = shared.map(|target| (target / 3).clamp(16_000, 510_000));
            let allowed = outgoing.most_bitrate;
            let allowed = allowed.map(|most| most.saturating_sub(AUDIO_HEADERS));
            return most.into_iter().chain(share).chain(allowed).min();
        }
        if target.or(total).or(outgoing.most_bitrate).is_none() {
            return most;
        }
        let shares = self.media.shares(outgoing.transport, |outgoing| {
            let transceiver = self.jsep.transceiver(outgoing.transceiver)?;
            let parameters = &transceiver
                .sender
                .encodings
                .iter()
                .find(|encoding| encoding.ssrc == outgoing.stream.ssrc().0)?
                .parameters;
            // W3C WebRTC Priority §4: each step is twice the bitrate.
            parameters
                .active
                .then(|| f64::from(parameters.priority.to_wire()))
        });
        let given = shares
            .iter()
            .find(|share| share.ssrc.0 == encoding.ssrc)
            .map_or(0, |share| share.given);
        Some(most.map_or(given, |most| most.min(given)))
    }

    /// Tells what an encoder would use if nothing limited it, in bits per second; it shares the path accordingly.
    /// Encodings of which nothing is told are taken to want everything.
    pub fn set_encoder_demand(&mut self, id: TransceiverId, rid: Option<&str>, bps: u64) {
        let Some(transceiver) = self.jsep.transceiver(id) else {
            return;
        };
        let Some(encoding) = transceiver
            .sender
            .encodings
            .iter()
            .find(|encoding| rid.is_none() || encoding.parameters.rid.as_deref() == rid)
        else {
            return;
        };
        let most = encoding.parameters.max_bitrate.map_or(u64::MAX, u64::from);
        let ssrc = Ssrc(encoding.ssrc);
        let demand = Some(bps.min(most));
        let outgoing = self
            .media
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.stream.ssrc() == ssrc);
        if let Some(outgoing) = outgoing.filter(|outgoing| outgoing.demand != demand) {
            outgoing.demand = demand;
            let transport = outgoing.transport;
            self.media.follow_demand(transport);
        }
    }

    /// What the path of a sender is estimated to carry, in bits per second, all its streams together; `None` where the
    /// peer gives no feedback.
    pub fn available_outgoing_bitrate(&self, id: TransceiverId) -> Option<u64> {
        let outgoing = self
            .media
            .outgoing
            .iter()
            .find(|outgoing| outgoing.transceiver == id)?;
        self.path_bitrate(outgoing.transport)
    }

    /// The same, by transport.
    pub(super) fn path_bitrate(&self, transport: usize) -> Option<u64> {
        self.media
            .paths
            .iter()
            .find(|path| path.transport == transport)
            .and_then(Path::target)
    }
}
