//! BUNDLE (RFC 9143), its policies (RFC 9429 §4.1.1), and media sections that are rejected and used again.

use super::*;

fn side_with(seed: u64, policy: BundlePolicy) -> Jsep {
    let mut jsep = side(seed);
    jsep.policy = policy;
    jsep
}

/// Two audio, two video, and data.
fn fill(side: &mut Jsep) {
    for (kind, track) in [
        (MediaKind::Audio, "a1"),
        (MediaKind::Audio, "a2"),
        (MediaKind::Video, "v1"),
        (MediaKind::Video, "v2"),
    ] {
        side.add_track(kind, track.into(), vec![]).expect("a track");
    }
    side.wants_data = true;
}

fn bundle_only(sdp: &str) -> Vec<bool> {
    let session = ::sdp::SessionDescription::parse(sdp).expect("SDP");
    session
        .media
        .iter()
        .map(|media| media.attributes.has("bundle-only") && media.media.port() == 0)
        .collect()
}

/// The same without any word of BUNDLE, as a peer writes that does not know it.
fn without_bundle(description: &SessionDescription) -> SessionDescription {
    let sdp = description
        .sdp
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("a=group:BUNDLE"));
    SessionDescription {
        sdp_type: description.sdp_type,
        sdp: sdp.collect(),
    }
}

fn transports(side: &Jsep) -> Vec<usize> {
    side.slots.iter().map(|slot| slot.transport).collect()
}

#[test]
fn policies_decide_which_sections_have_an_address_of_their_own() {
    for (policy, expected) in [
        (BundlePolicy::Balanced, [false, true, false, true, false]),
        (BundlePolicy::MaxCompat, [false; 5]),
        (BundlePolicy::MaxBundle, [false, true, true, true, true]),
    ] {
        let (mut a, mut b) = (side_with(1, policy), side(2));
        fill(&mut a);
        let offer = a.create_offer(false).unwrap();
        assert_eq!(bundle_only(&offer.sdp), expected, "{policy:?}");
        assert!(offer.sdp.contains("a=group:BUNDLE 0 1 2 3 4\r\n"));
        negotiate(&mut a, &mut b);
        assert_eq!(transports(&a), [0; 5], "{policy:?}");
        assert_eq!(transports(&b), [0; 5], "{policy:?}");
        // What is bundled is never marked again, and new sections join.
        a.add_track(MediaKind::Video, "v3".into(), vec![]).unwrap();
        let offer = a.create_offer(false).unwrap();
        assert_eq!(bundle_only(&offer.sdp), [false; 6], "{policy:?}");
        negotiate(&mut a, &mut b);
        assert_eq!(transports(&a), [0; 6], "{policy:?}");
    }
}

#[test]
fn a_peer_that_does_not_bundle_gets_a_transport_for_every_section() {
    let (mut a, mut b) = (
        side_with(1, BundlePolicy::MaxCompat),
        side_with(2, BundlePolicy::MaxCompat),
    );
    a.add_track(MediaKind::Audio, "a1".into(), vec![]).unwrap();
    a.add_track(MediaKind::Video, "v1".into(), vec![]).unwrap();
    let exchange = |a: &mut Jsep, b: &mut Jsep| {
        let offer = a.create_offer(false).unwrap();
        a.set_local(Some(offer.clone())).unwrap();
        b.set_remote(&without_bundle(&offer)).unwrap();
        let answer = b.create_answer().unwrap();
        b.set_local(Some(answer.clone())).unwrap();
        a.set_remote(&answer).unwrap();
    };
    exchange(&mut a, &mut b);
    assert_eq!(transports(&a), [0, 1]);
    assert_eq!(transports(&b), [0, 1]);
    a.add_track(MediaKind::Video, "v2".into(), vec![]).unwrap();
    exchange(&mut a, &mut b);
    assert_eq!(transports(&a), [0, 1, 2], "nothing was ever bundled");
    assert_eq!(transports(&b), [0, 1, 2]);
    let credentials: Vec<_> = (0..3)
        .map(|it| a.local_credentials(it).unwrap().ufrag)
        .collect();
    assert!(credentials[0] != credentials[1] && credentials[1] != credentials[2]);
}

#[test]
fn an_answerer_rejects_what_its_policy_gives_no_transport() {
    for (policy, accepted) in [
        (BundlePolicy::MaxCompat, [true; 5]),
        (BundlePolicy::Balanced, [true, false, true, false, true]),
        (BundlePolicy::MaxBundle, [true, false, false, false, false]),
    ] {
        let (mut a, mut b) = (side_with(1, BundlePolicy::MaxCompat), side_with(2, policy));
        fill(&mut a);
        let offer = a.create_offer(false).unwrap();
        b.set_remote(&without_bundle(&offer)).unwrap();
        let answer = b.create_answer().unwrap();
        let session = ::sdp::SessionDescription::parse(&answer.sdp).unwrap();
        let taken: Vec<bool> = session
            .media
            .iter()
            .map(|media| !media.is_rejected())
            .collect();
        assert_eq!(taken, accepted, "{policy:?}");
        assert!(!answer.sdp.contains("a=group:BUNDLE"));
    }
}

#[test]
fn an_offer_of_a_legacy_endpoint_without_mids_is_answered_section_by_section() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Audio, "a1".into(), vec![]).unwrap();
    a.add_track(MediaKind::Video, "v1".into(), vec![]).unwrap();
    let offer = a.create_offer(false).unwrap();
    let sdp = without_bundle(&offer)
        .sdp
        .split_inclusive("\r\n")
        .filter(|line| {
            !["a=mid", "a=msid", "a=extmap", "a=ice-options"]
                .iter()
                .any(|left_out| line.starts_with(left_out))
        })
        .collect::<String>();
    b.set_remote(&SessionDescription::offer(sdp)).unwrap();
    assert_eq!(b.peer_trickles, Some(false));
    let mids: Vec<_> = b
        .transceivers
        .iter()
        .map(|it| it.mid.clone().unwrap())
        .collect();
    assert_ne!(mids[0], mids[1]);
    let answer = b.create_answer().unwrap();
    b.set_local(Some(answer.clone())).unwrap();
    assert_eq!(transports(&b), [0, 1]);
    let session = ::sdp::SessionDescription::parse(&answer.sdp).unwrap();
    assert!(session.media.iter().all(|media| !media.is_rejected()));
}

#[test]
fn a_description_without_rtcp_mux_is_refused_because_the_policy_is_require() {
    let (mut a, mut b) = (side(1), side(2));
    fill(&mut a);
    let offer = a.create_offer(false).unwrap();
    let sdp = offer.sdp.replace("a=rtcp-mux\r\n", "");
    assert_eq!(
        b.set_remote(&SessionDescription::offer(sdp))
            .unwrap_err()
            .name(),
        "InvalidAccessError"
    );
    assert!(b.slots.is_empty());
}

#[test]
fn descriptions_with_one_mid_twice_or_a_group_of_strangers_are_refused() {
    let (mut a, mut b) = (side(1), side(2));
    fill(&mut a);
    let offer = a.create_offer(false).unwrap();
    for (from, to) in [("a=mid:1\r\n", "a=mid:0\r\n"), ("BUNDLE 0 1", "BUNDLE 0 9")] {
        let sdp = offer.sdp.replacen(from, to, 1);
        assert_eq!(
            b.set_remote(&SessionDescription::offer(sdp))
                .unwrap_err()
                .name(),
            "InvalidAccessError"
        );
    }
}

#[test]
fn an_answer_may_not_bundle_what_was_not_offered_so_nor_have_other_sections() {
    let (mut a, mut b) = (side(1), side(2));
    fill(&mut a);
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&offer).unwrap();
    let answer = b.create_answer().unwrap();
    for sdp in [
        answer
            .sdp
            .replacen("a=mid:1\r\n", "a=mid:7\r\n", 1)
            .replacen(" 1 ", " 7 ", 1),
        answer.sdp[..answer.sdp.rfind("m=").unwrap()].to_owned(),
        answer.sdp.replacen("m=audio", "m=video", 1),
        answer.sdp.replace("a=setup:active", "a=setup:actpass"),
    ] {
        let refused = a.set_remote(&SessionDescription::answer(sdp));
        assert_eq!(refused.unwrap_err().name(), "InvalidAccessError");
        assert_eq!(a.state, SignalingState::HaveLocalOffer);
    }
    a.set_remote(&answer).unwrap();
}

#[test]
fn a_section_of_an_unknown_kind_is_rejected_in_its_place_with_its_own_words() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Audio, "a1".into(), vec![]).unwrap();
    let mut offer = a.create_offer(false).unwrap();
    offer
        .sdp
        .push_str("m=message 9 TCP/TLS/MSRP *\r\na=mid:chat\r\n");
    b.set_remote(&offer).unwrap();
    let answer = b.create_answer().unwrap();
    assert!(
        answer.sdp.contains("m=message 0 TCP/TLS/MSRP *\r\n"),
        "{}",
        answer.sdp
    );
    assert!(answer.sdp.contains("a=mid:chat\r\n"));
    assert!(answer.sdp.contains("a=group:BUNDLE 0\r\n"));
    b.set_local(None).unwrap();
    // Its place can be used for something else, under a name of its own.
    b.wants_data = true;
    let offer = b.create_offer(false).unwrap();
    let session = ::sdp::SessionDescription::parse(&offer.sdp).unwrap();
    assert_eq!(session.media.len(), 2);
    assert_eq!(session.media[1].kind(), ::sdp::MediaKind::Application);
    assert_ne!(session.media[1].mid(), Some("chat"));
}

#[test]
fn sections_that_were_rejected_are_used_again_under_new_mids() {
    let (mut a, mut b) = (side(1), side(2));
    let mut used: Vec<String> = Vec::new();
    for round in 0..10 {
        let kind = match round % 2 {
            0 => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        let id = a.add_track(kind, format!("{round}"), vec![]).unwrap();
        negotiate(&mut a, &mut b);
        assert_eq!((a.slots.len(), b.slots.len()), (1, 1));
        assert_eq!(b.slots[0].kind, SectionKind::Media(kind));
        let mid = a.transceiver(id).unwrap().mid.clone().unwrap();
        assert!(used.last() != Some(&mid), "{mid} again");
        used.push(mid);
        a.stop_transceiver(id).unwrap();
        negotiate(&mut a, &mut b);
        assert!(a.transceivers.is_empty() && b.transceivers.is_empty());
        assert!(a.slots[0].rejected && b.slots[0].rejected);
    }
}

#[test]
fn both_sides_leave_the_transport_of_a_group_whose_every_section_is_gone() {
    let (mut a, mut b) = (side(1), side(2));
    let id = a.add_track(MediaKind::Audio, "1".into(), vec![]).unwrap();
    negotiate(&mut a, &mut b);
    let before = a.local_credentials(0).unwrap();
    a.stop_transceiver(id).unwrap();
    a.add_track(MediaKind::Audio, "2".into(), vec![]).unwrap();
    negotiate(&mut a, &mut b);
    for side in [&a, &b] {
        assert!(side.slots[0].rejected);
        assert_ne!(side.slots[1].transport, side.slots[0].transport);
    }
    assert_ne!(a.local_credentials(a.slots[1].transport).unwrap(), before);
}

#[test]
fn the_section_that_speaks_for_a_group_in_the_offer_does_so_in_the_answer() {
    let (mut a, mut b) = (side(1), side(2));
    fill(&mut a);
    let mut offer = a.create_offer(false).unwrap();
    assert!(
        offer.sdp.contains("a=group:BUNDLE 0 1 2 3 4\r\n"),
        "{}",
        offer.sdp
    );
    offer.sdp = offer.sdp.replace("BUNDLE 0 1", "BUNDLE 1 0");
    b.set_remote(&offer).unwrap();
    let answer = b.create_answer().unwrap();
    assert!(
        answer.sdp.contains("a=group:BUNDLE 1 0 2 3 4\r\n"),
        "{}",
        answer.sdp
    );
}

#[test]
fn a_group_outlives_the_section_that_spoke_for_it() {
    let (mut a, mut b) = (side(1), side(2));
    let first = a.add_track(MediaKind::Audio, "1".into(), vec![]).unwrap();
    a.add_track(MediaKind::Video, "2".into(), vec![]).unwrap();
    negotiate(&mut a, &mut b);
    let before = a.local_credentials(0).unwrap();
    a.stop_transceiver(first).unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!((a.slots[1].transport, b.slots[1].transport), (0, 0));
    assert_eq!(a.local_credentials(0).unwrap(), before, "no restart");
    negotiate(&mut b, &mut a);
    assert_eq!((a.slots[1].transport, b.slots[1].transport), (0, 0));
}

#[test]
fn a_section_with_a_port_and_nothing_else_is_one_that_firefox_has_stopped() {
    let (mut a, mut b) = (side(1), side(2));
    let stopped = a.add_track(MediaKind::Audio, "1".into(), vec![]).unwrap();
    a.add_track(MediaKind::Video, "2".into(), vec![]).unwrap();
    negotiate(&mut a, &mut b);
    a.stop_transceiver(stopped).unwrap();
    let mut offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    offer.sdp = offer.sdp.replace("m=audio 0 ", "m=audio 9 ");
    b.set_remote(&offer).unwrap();
    let answer = b.create_answer().unwrap();
    assert!(answer.sdp.contains("m=audio 0 "), "{}", answer.sdp);
    b.set_local(None).unwrap();
    a.set_remote(&answer).unwrap();
    assert_eq!((a.transceivers.len(), b.transceivers.len()), (1, 1));
}
