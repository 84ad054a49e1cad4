//! `addIceCandidate` (W3C WebRTC §4.4.2), and what comes of an offer's own candidates.

use super::*;
use crate::description::IceCandidateInit;

/// An answerer that has the other's offer, without candidates, and the offer.
fn waiting() -> (Pair<Side, Side>, SessionDescription) {
    let (at_a, at_b) = (
        SocketAddr::new(Pair::A, 5000),
        SocketAddr::new(Pair::B, 6000),
    );
    let mut pair = Pair::over(
        5,
        LinkConfig::with_latency(Duration::from_millis(5)),
        |now| Side::new(10, at_a, now),
        |now| Side::new(11, at_b, now),
    );
    let now = pair.now();
    let config = ChannelConfig::default();
    let channel = pair.a.session.create_data_channel(config);
    pair.a.channel = Some(channel.expect("a channel"));
    pair.a
        .session
        .add_track(MediaKind::Audio, "mic".into(), vec![])
        .expect("a track");
    pair.a
        .session
        .set_local_description(now, None)
        .expect("an offer");
    let offer = pair.a.session.local_description().expect("the offer");
    assert!(!offer.sdp.contains("a=candidate"));
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    (pair, offer)
}

const CANDIDATE: &str = "candidate:1 1 udp 2126503935 192.0.2.1 5000 typ host";

fn init(candidate: &str, mid: Option<&str>, index: Option<u16>) -> IceCandidateInit {
    IceCandidateInit {
        candidate: candidate.into(),
        sdp_mid: mid.map(str::to_owned),
        sdp_m_line_index: index,
        username_fragment: None,
    }
}

fn ufrag_of(description: &SessionDescription) -> String {
    let found = description
        .sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    found.expect("credentials").to_owned()
}

#[test]
fn add_ice_candidate_fails_as_the_text_says() {
    let (mut pair, offer) = waiting();
    let now = pair.now();
    let mut add = |candidate: &IceCandidateInit| {
        let added = pair.b.session.add_ice_candidate(now, Some(candidate));
        added.map_err(|error| error.name())
    };
    assert_eq!(add(&init(CANDIDATE, None, None)), Err("TypeError"));
    assert_eq!(
        add(&init(CANDIDATE, Some("9"), Some(0))),
        Err("OperationError")
    );
    assert_eq!(add(&init(CANDIDATE, None, Some(2))), Err("OperationError"));
    assert_eq!(
        add(&init("candidate:nonsense", Some("0"), None)),
        Err("OperationError")
    );
    let mut other = init(CANDIDATE, Some("0"), None);
    other.username_fragment = Some("other".into());
    assert_eq!(add(&other), Err("OperationError"));
    other.username_fragment = Some(ufrag_of(&offer));
    assert_eq!(add(&other), Ok(()));
    assert_eq!(add(&init(CANDIDATE, None, Some(1))), Ok(()));
    assert_eq!(add(&init("", None, None)), Ok(()));

    let mut fresh = Side::new(12, pair.b.address, now);
    let early = fresh
        .session
        .add_ice_candidate(now, Some(&init(CANDIDATE, Some("0"), None)));
    assert_eq!(early.unwrap_err().name(), "InvalidStateError");
    fresh.session.close(now);
    let late = fresh.session.add_ice_candidate(now, None);
    assert_eq!(late.unwrap_err().name(), "InvalidStateError");
}

#[test]
fn candidates_and_their_end_show_in_the_remote_description_by_mid_index_and_fragment() {
    let (mut pair, offer) = waiting();
    let now = pair.now();
    let session = &mut pair.b.session;
    let shown = |session: &Session| {
        let sdp = session.remote_description().expect("the offer").sdp;
        let sections: Vec<(usize, bool)> = sdp
            .split("m=")
            .skip(1)
            .map(|section| {
                (
                    section.matches("a=candidate:").count(),
                    section.contains("a=end-of-candidates"),
                )
            })
            .collect();
        sections
    };
    session
        .add_ice_candidate(now, Some(&init(CANDIDATE, Some("1"), None)))
        .expect("by mid");
    assert_eq!(shown(session), [(0, false), (1, false)]);
    let by_index = init(&CANDIDATE.replace("5000", "5001"), None, Some(0));
    session
        .add_ice_candidate(now, Some(&by_index))
        .expect("by index");
    session
        .add_ice_candidate(now, Some(&by_index))
        .expect("the same again");
    assert_eq!(shown(session), [(1, false), (1, false)]);
    session
        .add_ice_candidate(now, Some(&init("", Some("1"), None)))
        .expect("the end of one section");
    assert_eq!(shown(session), [(1, false), (1, true)]);
    let end = IceCandidateInit {
        username_fragment: Some(ufrag_of(&offer)),
        ..IceCandidateInit::default()
    };
    session
        .add_ice_candidate(now, Some(&end))
        .expect("the end of all");
    assert_eq!(shown(session), [(1, true), (1, true)]);
}

#[test]
fn a_candidate_without_a_fragment_is_of_the_most_recent_generation() {
    let mut pair = established(31, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    pair.a.session.restart_ice();
    pair.a
        .session
        .set_local_description(now, None)
        .expect("an offer");
    let offer = pair.a.session.pending_local_description().expect("it");
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let candidate = CANDIDATE.replace("5000", "5999");
    pair.b
        .session
        .add_ice_candidate(now, Some(&init(&candidate, Some("0"), None)))
        .expect("added");
    let holds = |description: Option<SessionDescription>| {
        description
            .expect("described")
            .sdp
            .contains(" 5999 typ host")
    };
    assert!(holds(pair.b.session.pending_remote_description()));
    assert!(!holds(pair.b.session.current_remote_description()));
}

#[test]
fn candidates_for_a_stopped_section_are_taken_and_forgotten() {
    let (mut pair, offer) = waiting();
    let now = pair.now();
    let at = offer.sdp.find("m=audio 9").expect("audio");
    let mut sdp = offer.sdp.clone();
    sdp.replace_range(at..at + 9, "m=audio 0");
    let sdp = sdp.replace("BUNDLE 0 1", "BUNDLE 1");
    let mut fresh = Side::new(12, pair.b.address, now);
    fresh
        .session
        .set_remote_description(now, &SessionDescription::offer(sdp))
        .expect("taken");
    let mut candidate = init(CANDIDATE, Some("0"), None);
    candidate.username_fragment = Some("whatever".into());
    fresh
        .session
        .add_ice_candidate(now, Some(&candidate))
        .expect("resolved");
    let shown = fresh.session.remote_description().expect("the offer").sdp;
    assert!(!shown.contains("a=candidate"));
    pair.run_for(Duration::ZERO);
}

/// An offerer that nobody can send to first: the answerer has to use the candidates in its offer.
#[test]
fn the_candidates_of_an_offer_are_used_once_it_is_answered() {
    let (mut pair, _) = waiting();
    let now = pair.now();
    gather(&mut pair.a, now);
    let offer = pair.a.session.local_description().expect("the offer");
    let mut answerer = Side::new(12, pair.b.address, now);
    answerer
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    describe(&mut answerer, now);
    let sent = std::iter::from_fn(|| answerer.poll_transmit(now)).collect::<Vec<_>>();
    assert!(
        sent.iter().any(|datagram| datagram.dst == pair.a.address),
        "a check goes to the offerer before anything came from it"
    );
}

/// Firefox gathers for every section of an offer, under one name and password, and keeps the first of a group.
#[test]
fn candidates_of_bundled_sections_count_only_where_they_speak_for_the_group() {
    let (pair, mut offer) = waiting();
    let now = pair.now();
    let first = |name: &str| {
        let line = offer.sdp.lines().find(|line| line.starts_with(name));
        line.expect("credentials").to_owned()
    };
    let names = ["a=ice-ufrag:", "a=ice-pwd:"].map(|name| (name, first(name)));
    let same = offer.sdp.lines().map(|line| {
        let one = names.iter().find(|(name, _)| line.starts_with(name));
        one.map_or(line, |(_, first)| first)
    });
    offer.sdp = same.flat_map(|line| [line, "\r\n"]).collect();
    let mut answerer = Side::new(12, pair.b.address, now);
    answerer
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    describe(&mut answerer, now);
    for (index, port) in [(1, 5001), (0, 5000)] {
        let candidate = CANDIDATE.replace("5000", &port.to_string());
        let candidate = init(&candidate, None, Some(index));
        answerer
            .session
            .add_ice_candidate(now, Some(&candidate))
            .expect("taken");
    }
    let agent = &answerer.session.transports[0].agent;
    let told: Vec<u16> = (agent.remote_candidates())
        .filter_map(|candidate| candidate.socket_addr())
        .map(|address| address.port())
        .collect();
    assert_eq!(told, [5000]);
}

#[test]
fn add_ice_candidate_takes_a_name_under_the_policy_relay_and_does_not_look_it_up() {
    for (policy, asked) in [(IceTransportPolicy::All, 1), (IceTransportPolicy::Relay, 0)] {
        let (pair, offer) = waiting();
        let now = pair.now();
        let configuration = Configuration {
            ice_transport_policy: policy,
            ..Configuration::default()
        };
        let mut answerer = Side::with_configuration(12, pair.b.address, now, configuration);
        answerer
            .session
            .set_remote_description(now, &offer)
            .expect("taken");
        describe(&mut answerer, now);
        let named = CANDIDATE.replace("192.0.2.1", "host.local");
        answerer
            .session
            .add_ice_candidate(now, Some(&init(&named, Some("0"), None)))
            .expect("taken");
        let resolved = std::iter::from_fn(|| answerer.session.poll_event())
            .filter(|event| matches!(event, Event::Resolve { .. }));
        assert_eq!(resolved.count(), asked, "{policy:?}");
        let shown = answerer.session.remote_description().expect("the offer");
        assert!(shown.sdp.contains("host.local"));
    }
}
