//! The `sdp` crate 0.17.2 reads what offers and answers are written here, and agrees with what was meant.

use media::MediaKind;
use netsim::Network;
use peerconnection::session::{ChannelConfig, Event, OfferOptions, Parts, Session, TransceiverId};
use peerconnection::session::{TransceiverView, capabilities};
use peerconnection::{
    BundlePolicy, Configuration, RtpEncodingParameters, SdpType, SessionDescription,
    SignalingState, TransceiverDirection as D,
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

const DESCRIPTIONS: usize = 1_000;

fn session(rng: &mut StdRng, now: Instant) -> Session {
    let pem = include_str!("data/certificate-a.pem");
    let certificate = Arc::new(dtls::Certificate::from_pem(pem).expect("a certificate"));
    let wall_clock = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let parts = Parts::new(certificate, StdRng::from_rng(rng), now, wall_clock);
    let policies = [
        BundlePolicy::Balanced,
        BundlePolicy::MaxCompat,
        BundlePolicy::MaxBundle,
    ];
    let configuration = Configuration {
        bundle_policy: policies[rng.random_range(0..3)],
        always_negotiate_data_channels: rng.random_ratio(1, 5),
        ..Configuration::default()
    };
    Session::new(configuration, parts).expect("a session")
}

fn live(session: &Session) -> Vec<(TransceiverId, MediaKind)> {
    session
        .transceivers()
        .filter(|view| view.direction() != D::Stopped)
        .map(|view| (view.id(), view.kind()))
        .collect()
}

/// Something that shows in the next description.
fn change(session: &mut Session, rng: &mut StdRng, number: usize) {
    let live = live(session);
    let kind = match rng.random() {
        true => MediaKind::Audio,
        false => MediaKind::Video,
    };
    let directions = [D::SendRecv, D::SendOnly, D::RecvOnly, D::Inactive];
    let direction = directions[rng.random_range(0..4)];
    let streams: Vec<String> = (0..rng.random_range(0..3))
        .map(|index| format!("stream-{index}"))
        .collect();
    let track = format!("track-{number}");
    let picked = (!live.is_empty()).then(|| live[rng.random_range(0..live.len())]);
    let (choice, picked) = match picked {
        Some(picked) => (rng.random_range(0..10), Some(picked)),
        None => (rng.random_range(0..4), None),
    };
    match (choice, picked) {
        (0 | 1, _) if live.len() < 6 => {
            session.add_track(kind, track, streams).expect("a track");
        }
        (2, _) if live.len() < 6 => {
            let layers = rng.random_range(0..4);
            let encodings = (0..layers).map(|index| RtpEncodingParameters {
                rid: Some(format!("layer{index}")),
                ..RtpEncodingParameters::default()
            });
            let encodings = encodings.collect();
            session
                .add_transceiver(kind, Some(track), direction, streams, encodings)
                .expect("a transceiver");
        }
        (4, Some((id, _))) => session.remove_track(id).expect("removed"),
        (5, Some((id, _))) => session.set_direction(id, direction).expect("turned"),
        (6, Some((id, _))) => session.stop_transceiver(id).expect("stopped"),
        (7, Some((id, kind))) => {
            let mut codecs = capabilities(kind).codecs;
            codecs.shuffle(rng);
            codecs.truncate(rng.random_range(1..=codecs.len()));
            // Helpers alone are refused.
            let _ = session.set_codec_preferences(id, &codecs);
        }
        (8, Some((id, _))) => {
            let mut extensions = session.header_extensions_to_negotiate(id);
            for extension in &mut extensions {
                if rng.random_ratio(1, 3) && !extension.uri.ends_with(":mid") {
                    extension.direction = D::Stopped;
                }
            }
            session
                .set_header_extensions_to_negotiate(id, &extensions)
                .expect("set");
        }
        (9, Some(_)) => session.restart_ice(),
        _ => {
            let config = ChannelConfig {
                label: track,
                ..ChannelConfig::default()
            };
            session.create_data_channel(config).expect("a channel");
        }
    }
}

/// Sets the local description that is due; with candidates, now and then.
fn describe(
    session: &mut Session,
    rng: &mut StdRng,
    now: Instant,
    provisional: bool,
) -> SessionDescription {
    let description = match session.signaling_state() {
        SignalingState::Stable => {
            let ice_restart = rng.random_ratio(1, 10);
            let options = OfferOptions {
                ice_restart,
                ..OfferOptions::default()
            };
            session.create_offer(&options).expect("an offer")
        }
        _ => session.create_answer().expect("an answer"),
    };
    let description = match provisional {
        true => SessionDescription {
            sdp_type: SdpType::Pranswer,
            ..description
        },
        false => description,
    };
    session
        .set_local_description(now, Some(description))
        .expect("set");
    if session.wants_sockets() && rng.random() {
        for address in ["192.0.2.7:5000", "[2001:db8::7]:5001"] {
            let address = address.parse().expect("an address");
            session.add_local_socket(now, ice::LocalSocket::udp(address));
        }
        session.local_sockets_complete(now);
    }
    while session.poll_event().is_some_and(|_: Event| true) {}
    session.local_description().expect("a description")
}

/// Names and values of attributes, in order.
type Pairs<'a> = Vec<(&'a str, Option<&'a str>)>;

fn theirs(attributes: &[sdp017::description::common::Attribute]) -> Pairs<'_> {
    let pairs = attributes.iter();
    pairs
        .map(|attribute| (attribute.key.as_str(), attribute.value.as_deref()))
        .collect()
}

fn ours(attributes: &sdp::Attributes) -> Pairs<'_> {
    let pairs = attributes.iter();
    pairs
        .map(|attribute| (attribute.name(), attribute.value()))
        .collect()
}

/// What was seen of everything that a description may have.
#[derive(Default)]
struct Seen {
    descriptions: usize,
    what: BTreeSet<&'static str>,
}

impl Seen {
    fn check(&mut self, session: &Session, description: &SessionDescription) {
        let text = &description.sdp;
        let read = sdp017::SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()))
            .unwrap_or_else(|error| panic!("{error}:\n{text}"));
        assert_eq!(read.marshal(), *text, "written again, it is the same");
        let parsed = sdp::SessionDescription::parse(text).expect("our own");
        assert_eq!(theirs(&read.attributes), ours(&parsed.attributes));
        assert_eq!(read.media_descriptions.len(), parsed.media.len());
        for (theirs_one, ours_one) in read.media_descriptions.iter().zip(&parsed.media) {
            let name = &theirs_one.media_name;
            assert_eq!(Some(name.media.as_str()), ours_one.media.kind().as_str());
            assert_eq!(name.port.value, ours_one.media.port() as isize);
            assert_eq!(name.formats, ours_one.media.formats().collect::<Vec<_>>());
            assert_eq!(theirs(&theirs_one.attributes), ours(&ours_one.attributes));
            if ours_one.media.port() == 0 {
                self.what.insert("a section without a port");
            }
        }
        for view in session.transceivers() {
            self.check_codecs(&read, view);
        }
        self.descriptions += 1;
        for (sign, what) in [
            ("a=simulcast:", "simulcast"),
            ("m=application", "data channels"),
            ("a=candidate:", "candidates"),
            ("a=bundle-only", "bundle-only"),
            ("a=inactive", "inactive"),
            ("a=recvonly", "recvonly"),
            ("a=sendonly", "sendonly"),
            ("a=msid:- ", "a track in no stream"),
        ] {
            if text.contains(sign) {
                self.what.insert(what);
            }
        }
        self.what.insert(match description.sdp_type {
            SdpType::Offer => "offers",
            SdpType::Answer => "answers",
            _ => "provisional answers",
        });
    }

    /// The codecs that a transceiver is ready to receive are those that the other implementation finds.
    fn check_codecs(&mut self, read: &sdp017::SessionDescription, view: TransceiverView<'_>) {
        let Some(mid) = view.mid() else { return };
        let sections = &read.media_descriptions;
        let section = sections
            .iter()
            .find(|section| section.attribute("mid") == Some(Some(mid)));
        let Some(section) = section.filter(|section| section.media_name.port.value != 0) else {
            return;
        };
        // Their look-up by payload type takes the first section that has it: it is asked about one section alone.
        let alone = sdp017::SessionDescription {
            media_descriptions: vec![section.clone()],
            ..sdp017::SessionDescription::default()
        };
        for codec in view.receive_codecs() {
            let payload_type = codec.payload_type;
            if !section
                .media_name
                .formats
                .contains(&payload_type.to_string())
            {
                continue;
            }
            let found = alone
                .get_codec_for_payload_type(payload_type)
                .unwrap_or_else(|error| panic!("{payload_type}: {error}"));
            assert_eq!(found.name, codec.codec.name());
            assert_eq!(found.clock_rate, codec.codec.clock_rate);
            assert_eq!(found.fmtp, codec.codec.sdp_fmtp_line);
            self.what.insert("codecs");
        }
    }
}

#[test]
fn sdp_0_17_reads_a_thousand_descriptions_and_agrees() {
    let now = Network::new(1).now();
    let mut seen = Seen::default();
    for seed in 0.. {
        if seen.descriptions >= DESCRIPTIONS {
            break;
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sides = [session(&mut rng, now), session(&mut rng, now)];
        for round in 0..6 {
            let offering = usize::from(rng.random::<bool>());
            let (offerer, answerer) = {
                let [a, b] = &mut sides;
                if offering == 0 { (a, b) } else { (b, a) }
            };
            for number in 0..rng.random_range(1..5) {
                change(offerer, &mut rng, 100 * round + number);
            }
            let offer = describe(offerer, &mut rng, now, false);
            seen.check(offerer, &offer);
            answerer
                .set_remote_description(now, &offer)
                .unwrap_or_else(|error| panic!("{error}:\n{}", offer.sdp));
            // The answerer has wishes as well, and rejects what it stops now.
            for number in 0..rng.random_range(0..3) {
                change(answerer, &mut rng, 1_000 + 100 * round + number);
            }
            if rng.random_ratio(1, 10) {
                let rollback = SessionDescription::rollback();
                for side in [&mut *offerer, &mut *answerer] {
                    match side.signaling_state() {
                        SignalingState::HaveLocalOffer => {
                            side.set_local_description(now, Some(rollback.clone()))
                        }
                        _ => side.set_remote_description(now, &rollback),
                    }
                    .expect("rolled back");
                }
                continue;
            }
            if rng.random_ratio(1, 5) {
                let provisional = describe(answerer, &mut rng, now, true);
                seen.check(answerer, &provisional);
                offerer
                    .set_remote_description(now, &provisional)
                    .expect("taken");
            }
            let answer = describe(answerer, &mut rng, now, false);
            seen.check(answerer, &answer);
            offerer
                .set_remote_description(now, &answer)
                .unwrap_or_else(|error| panic!("{error}:\n{}", answer.sdp));
        }
    }
    for what in [
        "simulcast",
        "data channels",
        "candidates",
        "bundle-only",
        "inactive",
        "recvonly",
        "sendonly",
        "a track in no stream",
        "a section without a port",
        "codecs",
        "offers",
        "answers",
        "provisional answers",
    ] {
        assert!(seen.what.contains(what), "never seen: {what}");
    }
}
