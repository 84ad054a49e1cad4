//! What RFC 9429 §5 says of texts, sentence by sentence.

use super::*;

/// An offer with sound and pictures.
fn offered(a: &mut Jsep) -> SessionDescription {
    for (kind, track) in [(MediaKind::Audio, "mic"), (MediaKind::Video, "cam")] {
        a.add_track(kind, track.into(), vec!["s".into()]).unwrap();
    }
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    offer
}

/// An answer that is made but not yet taken.
fn answered(b: &mut Jsep, offer: &SessionDescription) -> SessionDescription {
    b.set_remote(offer).unwrap();
    b.set_local(None).unwrap();
    to_description(b.current_local.as_ref().unwrap())
}

fn changed(
    description: &SessionDescription,
    change: impl Fn(&str) -> String,
) -> SessionDescription {
    SessionDescription {
        sdp_type: description.sdp_type,
        sdp: description
            .sdp
            .split_inclusive("\r\n")
            .map(change)
            .collect(),
    }
}

fn refused(result: Result<Vec<Notice>, Error>, why: &str) {
    match result {
        Err(Error::InvalidAccess(text)) => assert!(text.contains(why), "{text}"),
        other => panic!("{why}: {other:?}"),
    }
}

/// The lines of one section, or of the session.
fn section(sdp: &str, index: usize) -> String {
    let mut parts = sdp.split("m=");
    parts
        .nth(index + 1)
        .map_or_else(String::new, |part| format!("m={part}"))
}

#[test]
fn tias_is_the_limit_and_else_as_without_rtcp_and_headers() {
    let mut a = side(1);
    let offer = offered(&mut a);
    let limit = |lines: &str| {
        let with = changed(&offer, |line| match line.starts_with("c=") {
            true => format!("{line}{lines}"),
            false => line.to_owned(),
        });
        let described = text::read(&with.sdp).unwrap();
        let limits = described
            .sections
            .iter()
            .map(|section| section.most_bitrate);
        let limits: Vec<_> = limits.collect();
        assert_eq!(limits[0], limits[1]);
        limits[0]
    };
    assert_eq!(limit(""), None);
    assert_eq!(limit("b=TIAS:500000\r\n"), Some(500_000));
    assert_eq!(limit("b=AS:500\r\n"), Some(500 * 950 - 50 * 40 * 8));
    assert_eq!(limit("b=AS:500\r\nb=TIAS:64000\r\n"), Some(64_000));
    assert_eq!(limit("b=AS:10\r\n"), Some(0), "less than the headers take");
    assert_eq!(limit("b=CT:500\r\n"), None, "means nothing in a section");
    assert_eq!(limit("b=X-Other:500\r\n"), None);
    assert_eq!(
        limit("b=AS:99999999999999999999\r\n").map(|it| it > 1 << 40),
        Some(true)
    );
}

#[test]
fn a_session_level_ct_limits_everything_and_a_session_level_as_nothing() {
    let mut a = side(1);
    let offer = offered(&mut a);
    let read = |line: &str| {
        let sdp = offer.sdp.replace("t=0 0\r\n", &format!("{line}t=0 0\r\n"));
        text::read(&sdp).unwrap()
    };
    let with = read("b=CT:800\r\nb=AS:10\r\n");
    assert_eq!(with.most_total_bitrate, Some(800_000));
    assert!(
        with.sections
            .iter()
            .all(|section| section.most_bitrate.is_none())
    );
    assert_eq!(read("").most_total_bitrate, None);
}

#[test]
fn an_rtx_format_whose_primary_is_not_present_is_an_error() {
    let (mut a, mut b) = (side(1), side(2));
    let offer = offered(&mut a);
    let wrong = changed(&offer, |line| line.replace("apt=96", "apt=95"));
    refused(b.set_remote(&wrong), "95");
    // One that this side does not know is present all the same.
    let unknown = changed(&offer, |line| line.replace("VP8/90000", "X-Other/90000"));
    b.set_remote(&unknown).unwrap();
}

#[test]
fn an_answer_with_feedback_that_was_not_offered_is_an_error_and_new_formats_and_extensions_are_none()
 {
    let (mut a, mut b) = (side(1), side(2));
    let offer = offered(&mut a);
    let answer = answered(&mut b, &offer);
    let feedback = changed(&answer, |line| match line.starts_with("a=rtpmap:96") {
        true => format!("{line}a=rtcp-fb:96 goog-remb\r\n"),
        false => line.to_owned(),
    });
    refused(a.set_remote(&feedback), "goog-remb");
    assert_eq!(a.state, SignalingState::HaveLocalOffer);
    let more = changed(&answer, |line| {
        if line.starts_with("m=video") {
            line.replace("\r\n", " 120\r\n")
        } else if line.starts_with("a=rtpmap:96") {
            format!("{line}a=rtpmap:120 AV1/90000\r\na=extmap:13 urn:x-other\r\n")
        } else {
            line.to_owned()
        }
    });
    a.set_remote(&more).unwrap();
    let codecs = a.transceivers[1].sender.codecs.iter();
    let names: Vec<&str> = codecs.map(|codec| codec.codec.name()).collect();
    assert_eq!(names, ["VP8", "rtx"]);
}

#[test]
fn the_protocol_of_an_answer_matches_that_of_the_offer() {
    let (mut a, mut b) = (side(1), side(2));
    let offer = offered(&mut a);
    let answer = answered(&mut b, &offer);
    let other = changed(&answer, |line| {
        line.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")
    });
    refused(a.set_remote(&other), "RTP/SAVPF");
    a.set_remote(&answer).unwrap();
}

#[test]
fn every_rid_of_simulcast_exists_as_a_rid_line() {
    let (mut a, mut b) = (side(1), side(2));
    let layers = ["l", "h"].map(|rid| RtpEncodingParameters {
        rid: Some(rid.into()),
        ..RtpEncodingParameters::default()
    });
    a.add_transceiver(MediaKind::Video, None, D::SendOnly, vec![], layers.into())
        .unwrap();
    let offer = a.create_offer(false).unwrap();
    let without = changed(&offer, |line| match line.starts_with("a=rid:h") {
        true => String::new(),
        false => line.to_owned(),
    });
    refused(b.set_remote(&without), "\"h\"");
    b.set_remote(&offer).unwrap();
}

#[test]
fn sections_bundled_into_another_need_nothing_that_is_said_of_the_transport() {
    let (mut a, mut b) = (side(1), side(2));
    negotiate_media(&mut a, &mut b);
    let said_once = |description: &SessionDescription| {
        let transport = [
            "a=ice-",
            "a=fingerprint",
            "a=setup",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            "a=tls-id",
        ];
        let mut sections = 0;
        let mut sdp = String::new();
        for line in description.sdp.split_inclusive("\r\n") {
            sections += u32::from(line.starts_with("m="));
            if sections < 2 || !transport.iter().any(|name| line.starts_with(name)) {
                sdp.push_str(line);
            }
        }
        SessionDescription {
            sdp_type: description.sdp_type,
            sdp,
        }
    };
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&said_once(&offer)).unwrap();
    b.set_local(None).unwrap();
    let answer = to_description(b.current_local.as_ref().unwrap());
    a.set_remote(&said_once(&answer)).unwrap();
    assert_eq!(
        (a.state, b.state),
        (SignalingState::Stable, SignalingState::Stable)
    );
    assert_eq!(b.transceivers[1].current_direction, Some(D::RecvOnly));
}

fn negotiate_media(a: &mut Jsep, b: &mut Jsep) {
    let offer = offered(a);
    let answer = answered(b, &offer);
    a.set_remote(&answer).unwrap();
}

#[test]
fn each_tls_id_stays_the_same_until_another_dtls_association_is_wanted() {
    let (mut a, mut b) = (side(1), side(2));
    let id = |sdp: &str| {
        let lines: Vec<String> = sdp
            .lines()
            .filter_map(|line| line.strip_prefix("a=tls-id:"))
            .map(str::to_owned)
            .collect();
        assert_eq!(lines.len(), 1, "only where the group is spoken for: {sdp}");
        // RFC 8842 §4: at least 120 random bits; each of 62 letters has almost 6.
        assert!(lines[0].len() >= 21);
        lines.into_iter().next().unwrap()
    };
    let offer = offered(&mut a);
    assert_eq!(
        offer.sdp.matches("a=tls-id:").count(),
        2,
        "each section of the first offer has an address"
    );
    let answer = answered(&mut b, &offer);
    a.set_remote(&answer).unwrap();
    let next = a.create_offer(false).unwrap();
    let (ours, theirs) = (id(&next.sdp), id(&answer.sdp));
    assert!(
        section(&offer.sdp, 0).contains(&ours),
        "that of the group's first section"
    );
    assert_ne!(ours, theirs);
    // Also through a restart of ICE (RFC 8842 §4, note).
    for restart in [false, true] {
        let offer = a.create_offer(restart).unwrap();
        assert_eq!(id(&offer.sdp), ours);
        a.set_local(Some(offer.clone())).unwrap();
        let answer = answered(&mut b, &offer);
        assert_eq!(id(&answer.sdp), theirs);
        a.set_remote(&answer).unwrap();
    }
    // Another name in an offer is answered with another one, if ICE is restarted; else it is an error.
    let other = "0123456789abcdef0123";
    let without_restart = a.create_offer(false).unwrap();
    let without_restart = changed(&without_restart, |line| line.replace(&ours, other));
    refused(b.set_remote(&without_restart), "another DTLS association");
    let offer = a.create_offer(true).unwrap();
    b.set_remote(&changed(&offer, |line| line.replace(&ours, other)))
        .unwrap();
    let answer = b.create_answer().unwrap();
    assert_ne!(id(&answer.sdp), theirs);
    assert!(answer.sdp.contains("a=setup:active"));
}

#[test]
fn an_offer_without_a_tls_id_is_answered_without_one() {
    let (mut a, mut b) = (side(1), side(2));
    let offer = offered(&mut a);
    let without = changed(&offer, |line| match line.starts_with("a=tls-id") {
        true => String::new(),
        false => line.to_owned(),
    });
    let answer = answered(&mut b, &without);
    assert!(!answer.sdp.contains("a=tls-id"));
    a.set_remote(&answer).unwrap();
    assert!(section(&a.create_offer(false).unwrap().sdp, 0).contains("a=tls-id:"));
}

#[test]
fn a_changed_fingerprint_without_an_ice_restart_is_an_error_in_offers_and_answers() {
    let (mut a, mut b) = (side(1), side(2));
    negotiate_media(&mut a, &mut b);
    let other = |description: &SessionDescription, seed: &str| {
        changed(description, |line| {
            match line.starts_with("a=fingerprint") {
                true => line.replace(seed, "AB"),
                false => line.to_owned(),
            }
        })
    };
    let offer = a.create_offer(false).unwrap();
    refused(
        b.set_remote(&other(&offer, "01")),
        "another DTLS association",
    );
    assert_eq!(b.state, SignalingState::Stable);
    a.set_local(Some(offer.clone())).unwrap();
    let answer = answered(&mut b, &offer);
    refused(
        a.set_remote(&other(&answer, "02")),
        "another DTLS association",
    );
    a.set_remote(&answer).unwrap();

    // With one it is taken, and the answer is to the new one.
    let offer = a.create_offer(true).unwrap();
    b.set_remote(&other(&offer, "01")).unwrap();
}

#[test]
fn the_dtls_role_of_an_association_that_goes_on_is_not_changed() {
    let (mut a, mut b) = (side(1), side(2));
    negotiate_media(&mut a, &mut b);
    a.facts.dtls_client = vec![Some(false), Some(false)];
    b.facts.dtls_client = vec![Some(true), Some(true)];
    let offer = a.create_offer(false).unwrap();
    let active = changed(&offer, |line| line.replace("actpass", "active"));
    refused(b.set_remote(&active), "DTLS role");
    let passive = changed(&offer, |line| line.replace("actpass", "passive"));
    b.set_remote(&passive).unwrap();
    assert!(b.create_answer().unwrap().sdp.contains("a=setup:active"));
    a.set_local(Some(offer)).unwrap();
    let answer = b.create_answer().unwrap();
    let turned = changed(&answer, |line| {
        line.replace("setup:active", "setup:passive")
    });
    refused(a.set_remote(&turned), "DTLS role");
    a.set_remote(&answer).unwrap();
}

#[test]
fn transceivers_that_share_a_stream_are_a_lip_sync_group_which_the_answer_keeps_if_its_own_tracks_do()
 {
    let group = |sdp: &str| {
        let line = sdp.lines().find(|line| line.starts_with("a=group:LS"));
        line.map(str::to_owned)
    };
    let both = Some("a=group:LS 0 1".to_owned());
    for (streams, expected) in [
        (["s", "s"].as_slice(), both.clone()),
        (&["s", "other"], None),
        (&[], both.clone()),
    ] {
        let (mut a, mut b) = (side(1), side(2));
        let offer = offered(&mut a);
        assert_eq!(group(&offer.sdp), both);
        for (kind, stream) in [MediaKind::Audio, MediaKind::Video].iter().zip(streams) {
            b.add_track(*kind, format!("their {kind:?}"), vec![(*stream).into()])
                .unwrap();
        }
        let answer = answered(&mut b, &offer);
        assert_eq!(group(&answer.sdp), expected, "{streams:?}");
        a.set_remote(&answer).unwrap();
        // What was answered goes on, also in an offer of the other side.
        assert_eq!(group(&b.create_offer(false).unwrap().sdp), expected);
    }
    let mut a = side(1);
    a.add_track(MediaKind::Audio, "mic".into(), vec!["s".into()])
        .unwrap();
    assert_eq!(group(&a.create_offer(false).unwrap().sdp), None);
}

#[test]
fn an_answer_has_the_ice_options_the_mids_and_the_reduced_rtcp_of_its_offer() {
    let (mut a, mut b) = (side(1), side(2));
    let offer = offered(&mut a);
    assert!(offer.sdp.contains("a=ice-options:trickle ice2\r\n"));
    let answer = answered(&mut b, &offer).sdp;
    assert!(answer.contains("a=ice-options:trickle ice2\r\n") && answer.contains("a=rtcp-rsize"));

    let without = [
        "a=mid",
        "a=group",
        "a=ice-options",
        "a=rtcp-rsize",
        "a=bundle-only",
    ];
    let plain = changed(&offer, |line| {
        match without.iter().any(|name| line.starts_with(name)) {
            true => String::new(),
            false => line.to_owned(),
        }
    });
    let mut b = side(2);
    let answer = answered(&mut b, &plain);
    for name in without {
        assert!(!answer.sdp.contains(name), "{name}: {}", answer.sdp);
    }
    // The mids that were made up here are short, and an answer without any is to the sections in their order.
    let mids = b.transceivers.iter().map(|it| it.mid.clone().unwrap());
    assert_eq!(mids.collect::<Vec<_>>(), ["0", "1"]);
    let mut c = side(3);
    offered(&mut c);
    c.set_remote(&answered(
        &mut side(2),
        &changed(&offer, |line| {
            match line.starts_with("a=mid") || line.starts_with("a=group") {
                true => String::new(),
                false => line.to_owned(),
            }
        }),
    ))
    .unwrap();
    assert_eq!(c.state, SignalingState::Stable);

    // Firefox offers one option of the two.
    let trickle = changed(&offer, |line| line.replace("trickle ice2", "trickle"));
    let answer = answered(&mut side(2), &trickle).sdp;
    assert!(answer.contains("a=ice-options:trickle\r\n"));
}

#[test]
fn rtcp_has_no_address_of_its_own_until_multiplexing_is_agreed() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Video, "second".into(), vec![])
        .unwrap();
    let offer = offered(&mut a);
    // The second video section relies on the group.
    assert_eq!(offer.sdp.matches("a=bundle-only").count(), 1);
    assert_eq!(
        offer
            .sdp
            .matches("a=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n")
            .count(),
        2
    );
    let answer = answered(&mut b, &offer);
    assert!(!answer.sdp.contains("a=rtcp-mux-only") && !answer.sdp.contains("a=rtcp:"));
    a.set_remote(&answer).unwrap();
    a.add_track(MediaKind::Video, "third".into(), vec![])
        .unwrap();
    let next = a.create_offer(false).unwrap().sdp;
    assert!(!next.contains("a=rtcp-mux-only") && !next.contains("a=rtcp:"));
    assert_eq!(next.matches("a=rtcp-mux\r\n").count(), 4);
}
