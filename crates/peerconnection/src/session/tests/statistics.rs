//! Statistics of a whole call, read as JSON every second and compared with the dictionaries of the text.

use super::*;
use crate::session::samples::{DecodedSample, EncodedSample, SourceSample};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const TEXT: &str = include_str!("../../../tests/data/webrtc-stats.txt");
/// Members that only a connection with a speaker has: `the_speaker_that_plays_a_track_is_in_its_statistics` shows them.
const OF_SPEAKERS: [&str; 3] = [
    "playoutId",
    "insertedSamplesForDeceleration",
    "removedSamplesForAcceleration",
];

/// A member as the text has it.
struct Member {
    kind: &'static str,
    grows: bool,
    applies: bool,
}

/// The members of each dictionary, those of its ancestors included.
fn dictionaries() -> BTreeMap<&'static str, BTreeMap<&'static str, Member>> {
    let mut all: BTreeMap<&str, BTreeMap<&str, Member>> = BTreeMap::new();
    let mut current = "";
    for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
        if let Some(line) = line.strip_prefix("  ") {
            let (mark, rest) = line.split_at(2);
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            let member = Member {
                kind,
                grows: mark.starts_with('+'),
                applies: !mark.starts_with('-'),
            };
            all.get_mut(current)
                .expect("a dictionary")
                .insert(name, member);
        } else if !line.is_empty() {
            let (name, parent) = line.split_once(" : ").unwrap_or((line, ""));
            let of_parent = all.get(parent).into_iter().flatten();
            let inherited = of_parent
                .map(|(name, member)| (*name, Member { ..*member }))
                .collect();
            all.insert(name, inherited);
            current = name;
        }
    }
    all
}

fn dictionary(entry: &Map<String, Value>) -> &'static str {
    match (
        entry["type"].as_str(),
        entry.get("kind").and_then(Value::as_str),
    ) {
        (Some("codec"), _) => "RTCCodecStats",
        (Some("inbound-rtp"), _) => "RTCInboundRtpStreamStats",
        (Some("outbound-rtp"), _) => "RTCOutboundRtpStreamStats",
        (Some("remote-inbound-rtp"), _) => "RTCRemoteInboundRtpStreamStats",
        (Some("remote-outbound-rtp"), _) => "RTCRemoteOutboundRtpStreamStats",
        (Some("media-source"), Some("audio")) => "RTCAudioSourceStats",
        (Some("media-source"), _) => "RTCVideoSourceStats",
        (Some("peer-connection"), _) => "RTCPeerConnectionStats",
        (Some("data-channel"), _) => "RTCDataChannelStats",
        (Some("transport"), _) => "RTCTransportStats",
        (Some("candidate-pair"), _) => "RTCIceCandidatePairStats",
        (Some("local-candidate" | "remote-candidate"), _) => "RTCIceCandidateStats",
        (Some("certificate"), _) => "RTCCertificateStats",
        other => panic!("{other:?} is no type of the text"),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match kind {
        "unsigned long" | "unsigned short" => {
            value.as_u64().is_some_and(|n| n <= u64::from(u32::MAX))
        }
        "unsigned long long" => value.is_u64(),
        "long" | "long long" => value.is_i64() || value.is_u64(),
        "double" | "DOMHighResTimeStamp" => value.is_number(),
        "boolean" => value.is_boolean(),
        "DOMString?" => value.is_string() || value.is_null(),
        "record<DOMString, double>" => value
            .as_object()
            .is_some_and(|record| record.values().all(Value::is_number)),
        // Strings, and enumerations of them.
        _ => value.is_string(),
    }
}

/// Reads the reports of one side, and knows those before.
#[derive(Default)]
struct Reader {
    last: Map<String, Value>,
    /// What an id stands for: that never changes.
    known: BTreeMap<String, Vec<Value>>,
    gone: BTreeSet<String>,
    seen: BTreeSet<(&'static str, String)>,
    reports: u32,
}

impl Reader {
    fn read(&mut self, session: &Session, now: Instant) {
        let text = dictionaries();
        let report = session.stats(now).to_json();
        let report = report.as_object().expect("an object");
        let present = session.unix_time(now).as_secs_f64() * 1_000.0;
        let mut problems = Vec::new();
        for (id, entry) in report {
            let entry = entry.as_object().expect("a dictionary");
            assert_eq!(entry["id"].as_str(), Some(id.as_str()));
            let name = dictionary(entry);
            let before = self.last.get(id).and_then(Value::as_object);
            for (member, value) in entry {
                let before = before.and_then(|before| before.get(member));
                let wrong = match text[name].get(member.as_str()) {
                    None => Some("is not in the text".to_owned()),
                    Some(known) if !known.applies => Some("is said not to apply".to_owned()),
                    Some(known) if !fits(value, known.kind) => {
                        Some(format!("is {value}, no {}", known.kind))
                    }
                    _ if member.ends_with("Id")
                        && !report.contains_key(value.as_str().unwrap_or_default()) =>
                    {
                        Some(format!("names {value}, which is not there"))
                    }
                    Some(known) => before
                        .filter(|_| {
                            let time = known.kind == "DOMHighResTimeStamp";
                            // An estimate may be corrected.
                            known.grows || time && member != "estimatedPlayoutTimestamp"
                        })
                        .filter(|before| !not_less(before, value))
                        .map(|before| format!("fell from {before} to {value}")),
                };
                problems.extend(wrong.map(|wrong| format!("{name}.{member} of {id} {wrong}")));
                self.seen.insert((name, member.clone()));
            }
            // A counter that was there stays.
            for (member, value) in before.into_iter().flatten() {
                if !entry.contains_key(member) && text[name][member.as_str()].grows {
                    problems.push(format!("{name}.{member} of {id} was {value} and is gone"));
                }
            }
            if !times_are_right(entry, before, present) {
                problems.push(format!(
                    "times of {id}: {entry:?} at {present} after {before:?}"
                ));
            }
            // An id keeps its meaning and, once gone, stays so. Codecs alone are revived.
            let meaning = meaning(entry);
            let known = self
                .known
                .entry(id.clone())
                .or_insert_with(|| meaning.clone());
            if *known != meaning {
                problems.push(format!("{id} was {known:?} and is {meaning:?}"));
            }
            if self.gone.contains(id) && entry["type"] != "codec" {
                problems.push(format!("{id} is back"));
            }
        }
        for id in self.last.keys().filter(|id| !report.contains_key(*id)) {
            self.gone.insert(id.clone());
        }
        assert!(
            problems.is_empty(),
            "report {}: {problems:#?}",
            self.reports
        );
        self.last.clone_from(report);
        self.reports += 1;
    }

    fn of_type(&self, name: &str) -> BTreeSet<String> {
        let found = self.last.iter().filter(|(_, entry)| entry["type"] == name);
        found.map(|(id, _)| id.clone()).collect()
    }
}

/// "The time at which the data was sampled", or, of what the peer has told, "the time at which the corresponding RTCP was
/// received".
fn times_are_right(
    entry: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
    present: f64,
) -> bool {
    let number = |entry: &Map<String, Value>, member: &str| entry.get(member)?.as_f64();
    let recent = |time: f64| time <= present && time > present - 60_000.0;
    let mut last = ["lastPacketSentTimestamp", "lastPacketReceivedTimestamp"].into_iter();
    if !last.all(|member| number(entry, member).is_none_or(recent)) {
        return false;
    }
    let time = number(entry, "timestamp").expect("a time");
    if !matches!(
        entry["type"].as_str(),
        Some("remote-inbound-rtp" | "remote-outbound-rtp")
    ) {
        return time == present;
    }
    let Some(before) = before else {
        return recent(time);
    };
    let same = |member| number(before, member) == number(entry, member);
    recent(time) && (!same("timestamp") || same("reportsSent") && same("roundTripTimeMeasurements"))
}

/// What does not change of what an id stands for.
fn meaning(entry: &Map<String, Value>) -> Vec<Value> {
    let fixed = [
        "type",
        "kind",
        "ssrc",
        "trackIdentifier",
        "mid",
        "mimeType",
        "label",
        "address",
        "port",
        "localCandidateId",
        "remoteCandidateId",
        "localId",
        "rid",
        "usernameFragment",
    ];
    let values = fixed.iter().map(|member| entry.get(*member).cloned());
    values.map(Option::unwrap_or_default).collect()
}

fn not_less(before: &Value, now: &Value) -> bool {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => before
            .iter()
            .all(|(name, value)| now.get(name).is_some_and(|now| not_less(value, now))),
        _ => before.as_f64() <= now.as_f64(),
    }
}

/// A decoder's part: tells what became of a frame.
pub(super) fn decoded(session: &mut Session, now: Instant, frame: &IncomingFrame) {
    let incoming = session.media.incoming();
    let video = incoming
        .iter()
        .any(|incoming| incoming.stream.ssrc() == frame.ssrc && incoming.is_video());
    if video {
        let picture = DecodedSample::Picture {
            width: 640,
            height: 480,
            keyframe: frame.keyframe,
            took: Duration::from_millis(2),
            arrival: frame.arrival,
            complete: frame.complete,
            packets: frame.packets,
            qp: Some(30),
            implementation: "test",
            rendered: true,
        };
        session.note_decoded(now, frame.ssrc, picture);
        return;
    }
    if !frame.missing_before.is_zero() {
        let concealed = DecodedSample::Concealment {
            rms: 0.0,
            samples: (frame.missing_before.as_secs_f64() * 48_000.0) as u64,
            duration: frame.missing_before,
        };
        session.note_decoded(now, frame.ssrc, concealed);
    }
    let sound = DecodedSample::Sound {
        rms: 0.25,
        samples: 960,
        duration: Duration::from_millis(20),
        arrival: frame.arrival,
        fec: true,
    };
    session.note_decoded(now, frame.ssrc, sound);
}

/// An encoder's part, for every track that is sent.
fn encoded(side: &mut Side, now: Instant, number: u32) {
    let ids: Vec<_> = side
        .session
        .transceivers()
        .filter(|view| view.sender_track().is_some())
        .map(|view| (view.id(), view.kind()))
        .collect();
    for (id, kind) in ids {
        if kind == MediaKind::Audio {
            let duration = Duration::from_millis(20);
            side.session
                .note_source(now, id, SourceSample::Sound { rms: 0.5, duration });
            continue;
        }
        let (width, height) = (640, 480);
        side.session
            .note_source(now, id, SourceSample::Picture { width, height });
        if !side.session.can_send(id) {
            continue;
        }
        let limited = number / 100 % 2 == 1;
        let sample = EncodedSample {
            width: if limited { 320 } else { 640 },
            height,
            keyframe: true,
            took: Duration::from_millis(3),
            target: 400_000,
            size: 3_000,
            frame_rate: 50.0,
            qp: Some(40),
            implementation: "test",
            limited,
        };
        side.session.note_encoded(now, id, None, &sample);
    }
}

/// An offer of one and the answer of the other.
fn exchange(offerer: &mut Side, answerer: &mut Side, now: Instant) {
    let offer = describe(offerer, now);
    answerer
        .session
        .set_remote_description(now, &offer)
        .expect("the offer is taken");
    let answer = describe(answerer, now);
    offerer
        .session
        .set_remote_description(now, &answer)
        .expect("the answer is taken");
}

fn of_kind(side: &Side, kind: MediaKind) -> TransceiverId {
    let mut views = side.session.transceivers();
    views.find(|view| view.kind() == kind).expect("one").id()
}

/// What happens at the beginning of a second.
fn act(second: u32, pair: &mut Pair<Side, Side>, now: Instant) {
    let (a, b) = (&mut pair.a, &mut pair.b);
    let (audio, video) = (of_kind(a, MediaKind::Audio), of_kind(a, MediaKind::Video));
    match second {
        3 => {
            b.session
                .add_track(MediaKind::Video, "b-second".into(), vec!["stream".into()])
                .expect("a track");
            exchange(b, a, now);
        }
        6 => {
            a.session.restart_ice();
            exchange(a, b, now);
        }
        9 => a
            .session
            .replace_track(audio, Some("a-other".into()))
            .expect("replaced"),
        11 => {
            let direction = TransceiverDirection::Inactive;
            a.session.set_direction(video, direction).expect("set");
            exchange(a, b, now);
        }
        14 => {
            let direction = TransceiverDirection::SendRecv;
            a.session.set_direction(video, direction).expect("set");
            exchange(a, b, now);
        }
        16 => {
            let all = capabilities(MediaKind::Audio).codecs;
            let wanted: Vec<_> = all
                .into_iter()
                .filter(|codec| codec.mime_type.eq_ignore_ascii_case("audio/PCMU"))
                .collect();
            a.session
                .set_codec_preferences(audio, &wanted)
                .expect("preferred");
            exchange(a, b, now);
        }
        // The track that was there before is another source now.
        18 => a
            .session
            .replace_track(audio, Some("a-audio".into()))
            .expect("replaced"),
        19 => {
            let other = b.session.jsep.transceiver_mut(of_kind(b, MediaKind::Video));
            other.expect("video").sender.encodings[0].ssrc ^= 0x0101_0101;
            exchange(b, a, now);
        }
        21 => {
            let id = a.channel.take().expect("a channel");
            a.session.close_channel(now, id);
            let config = ChannelConfig {
                label: "second".into(),
                ..ChannelConfig::default()
            };
            a.session.create_data_channel(config).expect("a channel");
        }
        23 => {
            a.session.stop_transceiver(video).expect("stopped");
            exchange(a, b, now);
        }
        _ => {}
    }
}

#[test]
fn statistics_only_grow_keep_their_ids_and_refer_to_each_other_through_a_whole_call() {
    let mut link = LinkConfig::with_loss(0.02);
    link.latency = Duration::from_millis(30);
    link.jitter = Duration::from_millis(5);
    let mut pair = pair(101, link);
    let (mut of_a, mut of_b) = (Reader::default(), Reader::default());
    let mut streams = BTreeMap::new();
    for number in 0..27 * 50_u32 {
        let now = pair.now();
        if number % 50 == 0 {
            act(number / 50, &mut pair, now);
            of_a.read(&pair.a.session, now);
            of_b.read(&pair.b.session, now);
            streams.insert(
                number / 50,
                (of_a.of_type("outbound-rtp"), of_a.of_type("inbound-rtp")),
            );
            if pair.a.open && number < 20 * 50 {
                send(&mut pair.a, now, b"message");
                send(&mut pair.b, now, b"message");
            }
        }
        for side in [&mut pair.a, &mut pair.b] {
            encoded(side, now, number);
            write_frames(side, now, number);
        }
        pair.run_for(Duration::from_millis(20));
    }
    // Not even a stream that rests is another one afterwards; one with another SSRC is.
    assert_eq!(streams[&10].0, streams[&15].0);
    assert_eq!(streams[&10].1, streams[&15].1);
    assert_ne!(streams[&18].1, streams[&22].1);
    assert_eq!(streams[&22].0.len(), 2);
    assert_eq!(
        streams[&26].0.len(),
        1,
        "a stopped transceiver has no streams"
    );
    assert_eq!((of_a.reports, of_b.reports), (27, 27));

    pair.a.session.close(pair.now());
    of_a.read(&pair.a.session, pair.now());

    // Whatever applies was there.
    let text = dictionaries();
    let seen: BTreeSet<_> = of_a.seen.union(&of_b.seen).cloned().collect();
    let never: Vec<String> = text
        .iter()
        .filter(|(name, _)| seen.iter().any(|(known, _)| known == *name))
        .flat_map(|(name, members)| {
            members
                .iter()
                .map(move |(member, known)| (*name, *member, known))
        })
        .filter(|(name, member, known)| {
            known.applies
                && !OF_SPEAKERS.contains(member)
                && !seen.contains(&(name, (*member).to_owned()))
        })
        .map(|(name, member, _)| format!("{name}.{member}"))
        .collect();
    // What needs more than two sides with one address each: servers, TCP, simulcast.
    let elsewhere = [
        "RTCIceCandidateStats.relatedAddress",
        "RTCIceCandidateStats.relatedPort",
        "RTCIceCandidateStats.relayProtocol",
        "RTCIceCandidateStats.tcpType",
        "RTCIceCandidateStats.url",
        "RTCOutboundRtpStreamStats.rid",
    ];
    assert_eq!(never, elsewhere);
}
