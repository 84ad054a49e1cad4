//! Two whole sessions on a simulated network and a simulated clock.

mod application_codecs;
mod bandwidth;
mod candidates;
mod data;
mod dtmf;
mod gathering;
mod parameters;
mod perfect;
mod rfc9429;
mod sequences;
mod statistics;

use super::*;
use crate::states::DtlsTransportState;
use ::media::MediaKind;
use bytes::Bytes;
use netsim::{Datagram, Endpoint, LinkConfig, Pair};
use rand::RngExt;
use std::net::SocketAddr;

/// A session with one socket, that keeps what it hears.
struct Side {
    session: Session,
    address: SocketAddr,
    out: VecDeque<Datagram>,
    states: Vec<PeerConnectionState>,
    ice_states: Vec<IceConnectionState>,
    channel: Option<ChannelId>,
    open: bool,
    messages: Vec<Bytes>,
    frames: usize,
    /// Payload type and data of the last one.
    last_frame: Option<(u8, Bytes)>,
    /// Whose frames came.
    seen: Vec<TransceiverId>,
    /// How often negotiation was asked for, and not begun.
    negotiation_needed: u32,
    /// `tonechange`, and the telephone events that came.
    tones: Vec<String>,
    events_heard: Vec<TelephoneEvent>,
    /// The last datagrams that came, to send them again.
    heard: Vec<Datagram>,
    /// What became of channels.
    channels: Vec<Event>,
    /// What DTLS came to.
    dtls: Vec<Event>,
}

impl Side {
    fn new(seed: u64, address: SocketAddr, now: Instant) -> Self {
        Side::with_configuration(seed, address, now, Configuration::default())
    }

    fn with_configuration(
        seed: u64,
        address: SocketAddr,
        now: Instant,
        configuration: Configuration,
    ) -> Self {
        let wall_clock = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut rng = StdRng::seed_from_u64(seed);
        let certificate = certificate(seed);
        let mut parts = Parts::new(certificate, StdRng::from_rng(&mut rng), now, wall_clock);
        parts.dtls.insecure_deterministic = true;
        let session = Session::new(configuration, parts).expect("a session");
        Side {
            session,
            address,
            out: VecDeque::new(),
            states: Vec::new(),
            ice_states: Vec::new(),
            channel: None,
            open: false,
            messages: Vec::new(),
            frames: 0,
            last_frame: None,
            seen: Vec::new(),
            negotiation_needed: 0,
            tones: Vec::new(),
            events_heard: Vec::new(),
            heard: Vec::new(),
            channels: Vec::new(),
            dtls: Vec::new(),
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.session.poll_event() {
            if matches!(
                event,
                Event::ChannelIncoming(_) | Event::ChannelOpen(_) | Event::ChannelClosed(..)
            ) {
                self.channels.push(event.clone());
            }
            if matches!(
                event,
                Event::DtlsError { .. } | Event::DtlsStateChange { .. }
            ) {
                self.dtls.push(event.clone());
            }
            match event {
                Event::ConnectionStateChange(state) => self.states.push(state),
                Event::IceConnectionStateChange(state) => self.ice_states.push(state),
                Event::NegotiationNeeded => self.negotiation_needed += 1,
                Event::ToneChange { tone, .. } => self.tones.push(tone),
                Event::ChannelIncoming(id) => self.channel = Some(id),
                Event::ChannelOpen(id) if self.channel == Some(id) => self.open = true,
                Event::ChannelReadable(id) => {
                    while let Some(message) = self.session.read(now, id) {
                        self.messages.push(message.payload);
                    }
                }
                _ => {}
            }
        }
        while let Some((id, frame)) = self.session.poll_frame() {
            if matches!(frame.payload_type, 110 | 126) {
                self.events_heard.extend(TelephoneEvent::parse(&frame.data));
                continue;
            }
            statistics::decoded(&mut self.session, now, &frame);
            self.frames += 1;
            self.last_frame = Some((frame.payload_type, frame.data));
            if !self.seen.contains(&id) {
                self.seen.push(id);
            }
        }
    }

    fn is_connected(&self) -> bool {
        self.session.connection_state() == PeerConnectionState::Connected
    }
}

impl Endpoint for Side {
    fn handle_datagram(&mut self, now: Instant, datagram: Datagram) {
        let path = ice::Path::udp(datagram.dst, datagram.src);
        self.session.handle_datagram(now, path, &datagram.payload);
        self.heard.push(datagram);
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.drain(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Datagram> {
        if self.out.is_empty() {
            let mut buf = Vec::new();
            let transmit = self.session.poll_transmit(now, &mut buf, 16)?;
            self.out.extend(
                buf.chunks(transmit.segment_size)
                    .map(|chunk| Datagram::new(transmit.local, transmit.remote, chunk.to_vec())),
            );
        }
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }
}

/// Fixed keys: a certificate's key comes from the cryptographic library, whose randomness cannot be seeded.
fn certificate(seed: u64) -> Arc<dtls::Certificate> {
    let pem = match seed % 2 {
        0 => include_str!("../../tests/data/certificate-a.pem"),
        _ => include_str!("../../tests/data/certificate-b.pem"),
    };
    Arc::new(dtls::Certificate::from_pem(pem).expect("a certificate"))
}

/// Two sides that have exchanged descriptions, candidates included.
fn pair(seed: u64, link: LinkConfig) -> Pair<Side, Side> {
    pair_with(seed, link, |_| {})
}

/// The same, with an offer that is changed on its way.
fn pair_with(seed: u64, link: LinkConfig, change: fn(&mut String)) -> Pair<Side, Side> {
    let (at_a, at_b) = (
        SocketAddr::new(Pair::A, 5000),
        SocketAddr::new(Pair::B, 6000),
    );
    let mut pair = Pair::over(
        seed,
        link,
        |now| Side::new(2 * seed, at_a, now),
        |now| Side::new(2 * seed + 1, at_b, now),
    );
    let now = pair.now();
    let config = ChannelConfig {
        label: "data".into(),
        ..ChannelConfig::default()
    };
    pair.a.channel = Some(
        pair.a
            .session
            .create_data_channel(config)
            .expect("a channel"),
    );
    for (side, track) in [(&mut pair.a, "a"), (&mut pair.b, "b")] {
        side.session
            .add_track(
                MediaKind::Audio,
                format!("{track}-audio"),
                vec!["stream".into()],
            )
            .expect("a track");
        side.session
            .add_track(
                MediaKind::Video,
                format!("{track}-video"),
                vec!["stream".into()],
            )
            .expect("a track");
    }
    let mut offer = describe(&mut pair.a, now);
    change(&mut offer.sdp);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("the offer is taken");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("the answer is taken");
    pair
}

/// The local description that is due, with candidates.
fn describe(side: &mut Side, now: Instant) -> SessionDescription {
    side.session
        .set_local_description(now, None)
        .expect("a local description");
    gather(side, now);
    side.session.local_description().expect("a description")
}

fn gather(side: &mut Side, now: Instant) {
    if side.session.wants_sockets() {
        side.session
            .add_local_socket(now, ice::LocalSocket::udp(side.address));
        side.session.local_sockets_complete(now);
    }
}

fn established(seed: u64, link: LinkConfig) -> Pair<Side, Side> {
    let mut pair = pair(seed, link);
    pair.run_until(Duration::from_secs(120), |a, b| {
        a.is_connected() && b.is_connected() && a.open && b.channel.is_some()
    })
    .expect("both sides connect");
    pair
}

fn send(side: &mut Side, now: Instant, payload: &[u8]) {
    let id = side.channel.expect("a channel");
    side.session
        .send(
            now,
            id,
            MessageKind::Binary,
            Bytes::copy_from_slice(payload),
        )
        .expect("sent");
}

fn write_frames(side: &mut Side, now: Instant, number: u32) {
    let ids: Vec<_> = side
        .session
        .transceivers()
        .map(|view| (view.id(), view.kind()))
        .collect();
    for (id, kind) in ids {
        let (step, size) = if kind == MediaKind::Audio {
            (960, 80)
        } else {
            (1800, 3_000)
        };
        let mut data = vec![0x9d_u8; size];
        // The first byte of a VP8 keyframe has its lowest bit clear (RFC 6386 §9.1).
        data[0] = 0x10;
        let frame = OutgoingFrame {
            data: data.into(),
            timestamp: number * step,
            keyframe: true,
            ..OutgoingFrame::default()
        };
        side.session
            .write_frame(now, id, None, &frame)
            .expect("the transceiver exists");
    }
}

#[test]
fn a_call_is_set_up_in_four_round_trips_without_loss() {
    let mut pair = pair(1, LinkConfig::with_latency(Duration::from_millis(50)));
    let took = pair
        .run_until(Duration::from_secs(10), |a, b| a.open && b.is_connected())
        .expect("both sides connect");
    // ICE one, DTLS 1.3 one and a half, SCTP two less what overlaps: nothing waits for a timer.
    assert!(took <= Duration::from_millis(450), "{took:?}");
}

#[test]
fn a_call_over_thirty_percent_loss_connects_and_repeats_packet_by_packet() {
    let run = |seed| {
        let mut link = LinkConfig::with_loss(0.3);
        link.latency = Duration::from_millis(20);
        let mut pair = established(seed, link);
        let now = pair.now();
        for index in 0..20_u8 {
            send(&mut pair.a, now, &vec![index; 2_000]);
        }
        pair.run_until(Duration::from_secs(120), |_, b| b.messages.len() == 20)
            .expect("every message arrives");
        assert!(
            pair.b
                .messages
                .iter()
                .enumerate()
                .all(|(index, message)| message[..] == vec![index as u8; 2_000])
        );
        (pair.network.trace_hash(), pair.network.elapsed())
    };
    assert_eq!(run(3), run(3), "one seed, one course of events");
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn media_flows_both_ways_with_loss_repaired() {
    let mut link = LinkConfig::with_loss(0.05);
    link.latency = Duration::from_millis(20);
    let mut pair = established(5, link);
    for number in 0..100 {
        let now = pair.now();
        write_frames(&mut pair.a, now, number);
        write_frames(&mut pair.b, now, number);
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(2));
    for side in [&pair.a, &pair.b] {
        assert!(side.frames > 180, "{} of 200 frames", side.frames);
        let report = side.session.stats(pair.now());
        let repaired: u64 = report
            .inbound()
            .filter_map(|stream| stream.retransmitted_packets_received)
            .sum();
        assert!(repaired > 0, "lost video is asked for again");
    }
}

/// Anything that anybody could send to an established call, at every layer.
#[test]
fn bad_datagrams_change_nothing_but_counters() {
    let mut pair = established(7, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    send(&mut pair.a, now, b"before");
    write_frames(&mut pair.a, now, 0);
    pair.run_for(Duration::from_millis(300));
    assert_eq!(pair.b.messages.len(), 1);
    let frames = pair.b.frames;
    let heard = pair.b.heard.clone();
    let selected = |side: &Side| {
        side.session.transports[0]
            .agent
            .selected_pair()
            .map(|pair| pair.path)
    };
    let path = selected(&pair.b);
    let mut rng = StdRng::seed_from_u64(9);
    let now = pair.now();
    let events = pair.b.states.len();
    let hostile = |side: &mut Side, source: SocketAddr, payload: &[u8]| {
        side.session
            .handle_datagram(now, ice::Path::udp(side.address, source), payload);
        side.drain(now);
    };
    let stranger: SocketAddr = "203.0.113.9:99".parse().expect("an address");
    for datagram in &heard {
        for source in [datagram.src, stranger] {
            // Replayed.
            hostile(&mut pair.b, source, &datagram.payload);
            // Cut short.
            for length in (0..datagram.payload.len()).step_by(7) {
                hostile(&mut pair.b, source, &datagram.payload[..length]);
            }
            // Altered.
            for _ in 0..8 {
                let mut altered = datagram.payload.clone();
                if altered.is_empty() {
                    continue;
                }
                let place = rng.random_range(0..altered.len());
                altered[place] ^= 1 << rng.random_range(0..8);
                hostile(&mut pair.b, source, &altered);
            }
            // Too long.
            let mut long = datagram.payload.clone();
            long.resize(65_000, 0x5a);
            hostile(&mut pair.b, source, &long);
        }
    }
    // Random, of every first byte that RFC 7983 tells apart.
    for first in 0..=255_u8 {
        for source in [heard[0].src, stranger] {
            let mut random: Vec<u8> = (0..rng.random_range(1..1_500_usize))
                .map(|_| rng.random())
                .collect();
            random[0] = first;
            hostile(&mut pair.b, source, &random);
        }
    }
    assert_eq!(
        pair.b.states.len(),
        events,
        "no state has changed: {:?}",
        pair.b.states
    );
    assert_eq!(selected(&pair.b), path);
    assert_eq!(
        pair.b.session.transports[0].state,
        DtlsTransportState::Connected
    );
    assert_eq!(
        (pair.b.messages.len(), pair.b.frames),
        (1, frames),
        "nothing came twice"
    );
    let counters = pair.b.session.transports[0].counters;
    assert!(
        counters.srtp_rejected > 0 && counters.unexpected > 0,
        "{counters:?}"
    );

    // And the call goes on.
    let now = pair.now();
    send(&mut pair.a, now, b"after");
    send(&mut pair.b, now, b"back");
    write_frames(&mut pair.a, now, 1);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        pair.b.messages.last().map(|message| &message[..]),
        Some(&b"after"[..])
    );
    assert_eq!(
        pair.a.messages.last().map(|message| &message[..]),
        Some(&b"back"[..])
    );
    assert!(pair.b.frames > frames);
}

#[test]
fn an_ice_restart_keeps_the_call_and_its_data() {
    let mut pair = established(11, LinkConfig::with_latency(Duration::from_millis(10)));
    let now = pair.now();
    let before = pair.a.session.transports[0]
        .agent
        .local_parameters()
        .ufrag
        .clone();
    pair.a.session.restart_ice();
    pair.a
        .session
        .set_local_description(now, None)
        .expect("an offer");
    let offer = pair.a.session.local_description().expect("the offer");
    send(&mut pair.a, now, b"during");
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    pair.b
        .session
        .set_local_description(now, None)
        .expect("an answer");
    let answer = pair.b.session.local_description().expect("the answer");
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
    pair.run_for(Duration::from_secs(2));
    assert_ne!(
        pair.a.session.transports[0].agent.local_parameters().ufrag,
        before
    );
    assert_eq!(pair.b.messages.len(), 1);
    let now = pair.now();
    send(&mut pair.b, now, b"after");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.messages.len(), 1);
    assert!(pair.a.is_connected() && pair.b.is_connected());
}

#[test]
fn the_dtls_transport_tells_its_error_before_its_state() {
    let failures = |mut pair: Pair<Side, Side>| {
        pair.run_for(Duration::from_secs(5));
        [&pair.a, &pair.b].map(|side| match side.dtls.as_slice() {
            [
                ..,
                Event::DtlsError { error, .. },
                Event::DtlsStateChange {
                    state: DtlsTransportState::Failed,
                    ..
                },
            ] => (error.detail, error.sent_alert, error.received_alert),
            other => panic!("{other:?}"),
        })
    };
    use crate::RtcErrorDetail::{DtlsFailure, FingerprintFailure};
    let link = LinkConfig::with_latency(Duration::from_millis(5));
    // Another fingerprint than that of the certificate: bad_certificate (42) tells the peer.
    let pair = pair_with(61, link, |sdp| {
        let value = sdp.find("a=fingerprint:sha-256 ").expect("a fingerprint") + 22;
        let before = sdp[value..value + 95].to_owned();
        let other = match before.starts_with('0') {
            true => before.replacen('0', "1", 1),
            false => before.replacen(&before[..1], "0", 1),
        };
        *sdp = sdp.replace(&before, &other);
    });
    assert_eq!(
        failures(pair),
        [
            (DtlsFailure, None, Some(42)),
            (FingerprintFailure, None, None)
        ]
    );
}

#[test]
fn closing_tells_the_peer() {
    let mut pair = established(13, LinkConfig::with_latency(Duration::from_millis(10)));
    let now = pair.now();
    pair.a.session.close(now);
    pair.run_for(Duration::from_millis(100));
    pair.a.session.finish_close(now);
    assert_eq!(
        pair.a.session.connection_state(),
        PeerConnectionState::Closed
    );
    let id = pair.b.channel.expect("a channel");
    assert_eq!(pair.b.session.channel_state(id), ChannelState::Closed);
    assert!(
        pair.a.session.poll_timeout().is_none(),
        "a closed session wants nothing"
    );
    assert_eq!(
        pair.a
            .session
            .create_offer(&OfferOptions::default())
            .unwrap_err()
            .name(),
        "InvalidStateError"
    );
}
