//! Offers that browsers made (`crates/sdp/tests/data`): each is answered, and negotiation goes on from there.

use super::*;
use ::sdp::attributes as a;

/// Name and text of every captured description whose name holds these words.
fn captured(words: &str) -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdp/tests/data");
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the folder of captured descriptions")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sdp"))
        .map(|path| {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(&path).expect("a description");
            (name, text)
        })
        .filter(|(name, _)| name.contains(words))
        .collect();
    found.sort();
    found
}

/// What RFC 3264, RFC 9429 §5.3.1 and RFC 9143 §7.3 demand of an answer, seen in the text alone.
fn is_valid_answer(name: &str, offer: &str, answer: &str) {
    let offer = ::sdp::SessionDescription::parse(offer).expect("an offer");
    let parsed = ::sdp::SessionDescription::parse(answer).expect("an answer");
    parsed.check().expect("every attribute is well formed");
    assert_eq!(
        parsed.to_string(),
        answer,
        "{name}: nothing is lost on the way"
    );
    assert_eq!(parsed.media.len(), offer.media.len(), "{name}");
    for (offered, answered) in offer.media.iter().zip(&parsed.media) {
        assert_eq!(offered.mid(), answered.mid(), "{name}");
        assert_eq!(offered.kind(), answered.kind(), "{name}");
        assert_eq!(
            offered.media.protocol(),
            answered.media.protocol(),
            "{name}"
        );
        if offered.is_rejected() {
            assert!(answered.is_rejected(), "{name}");
            continue;
        }
        assert!(!answered.is_rejected(), "{name}: {:?}", answered.mid());
        assert!(!answered.attributes.has("bundle-only"), "{name}");
        for format in answered.media.formats() {
            assert!(
                offered.media.formats().any(|it| it == format),
                "{name}: {format}"
            );
        }
        for map in answered.attributes.all::<a::RtpMap>() {
            let same = offered.rtp_map(map.payload_type).expect("offered");
            assert!(same.encoding.eq_ignore_ascii_case(&map.encoding), "{name}");
            assert_eq!(
                (same.clock_rate, same.channels),
                (map.clock_rate, map.channels)
            );
        }
        for extension in answered.extensions() {
            let same = offered
                .extensions()
                .any(|it| (it.id, &it.uri) == (extension.id, &extension.uri));
            assert!(same, "{name}: {}", extension.uri);
        }
        for feedback in answered.attributes.all::<a::RtcpFb>() {
            assert!(
                offered
                    .attributes
                    .all::<a::RtcpFb>()
                    .any(|it| it == feedback),
                "{name}"
            );
        }
        assert!(
            matches!(parsed.setup(answered), Some(a::Setup::Active)),
            "{name}"
        );
        assert!(parsed.ice_ufrag(answered).is_some() && parsed.ice_pwd(answered).is_some());
        assert_eq!(parsed.fingerprints(answered).len(), 1, "{name}");
        let (theirs, ours) = (offer.direction(offered), parsed.direction(answered));
        let sends = matches!(ours, a::Direction::SendRecv | a::Direction::SendOnly);
        let receives = matches!(ours, a::Direction::SendRecv | a::Direction::RecvOnly);
        let they_send = matches!(theirs, a::Direction::SendRecv | a::Direction::SendOnly);
        let they_receive = matches!(theirs, a::Direction::SendRecv | a::Direction::RecvOnly);
        assert!(
            (!sends || they_receive) && (!receives || they_send),
            "{name}"
        );
        assert_eq!(
            answered.attributes.has("simulcast"),
            offered.attributes.has("simulcast"),
            "{name}"
        );
    }
    for group in parsed.bundles() {
        let offered = offer
            .bundles()
            .any(|it| group.iter().all(|mid| it.contains(mid)));
        assert!(offered, "{name}: {group:?}");
    }
    let live = parsed
        .media
        .iter()
        .filter(|media| !media.is_rejected())
        .count();
    assert_eq!(
        parsed.bundles().map(|group| group.len()).sum::<usize>(),
        live,
        "{name}"
    );
}

#[test]
fn every_captured_offer_gets_a_valid_answer() {
    let offers = captured("-offer-");
    assert!(offers.len() >= 12, "{}", offers.len());
    for (name, text) in offers {
        let mut jsep = side(1);
        for (kind, track) in [(MediaKind::Audio, "mic"), (MediaKind::Video, "cam")] {
            jsep.add_track(kind, track.into(), vec!["own".into()])
                .unwrap();
        }
        jsep.wants_data = true;
        let offer = SessionDescription::offer(text.clone());
        jsep.set_remote(&offer)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let answer = jsep.create_answer().unwrap();
        is_valid_answer(&name, &text, &answer.sdp);
        jsep.set_local(Some(answer)).unwrap();
        assert_eq!(jsep.state, SignalingState::Stable);
        let shown = to_description(jsep.current_remote.as_ref().unwrap());
        assert_eq!(shown.sdp, text, "{name}: shown as it came");
        for transceiver in jsep
            .transceivers
            .iter()
            .filter(|it| it.current_direction.is_some())
        {
            assert!(!transceiver.sender.codecs.is_empty(), "{name}");
        }

        // What this side offers next keeps every section and number.
        let next = jsep.create_offer(false).unwrap();
        let (before, after) = (
            ::sdp::SessionDescription::parse(&text).unwrap(),
            ::sdp::SessionDescription::parse(&next.sdp).unwrap(),
        );
        for (before, after) in before.media.iter().zip(&after.media) {
            if before.is_rejected() || after.is_rejected() {
                continue;
            }
            assert_eq!(before.mid(), after.mid(), "{name}");
            for map in after.attributes.all::<a::RtpMap>() {
                if let Some(theirs) = before.rtp_map(map.payload_type) {
                    assert!(
                        theirs.encoding.eq_ignore_ascii_case(&map.encoding),
                        "{name}"
                    );
                }
            }
            for extension in after.extensions() {
                let taken = before.extensions().find(|it| it.id == extension.id);
                assert!(taken.is_none_or(|it| it.uri == extension.uri), "{name}");
            }
        }
    }
}

#[test]
fn a_browsers_offer_can_be_rolled_back_and_taken_again() {
    for (name, text) in captured("-offer-") {
        let mut jsep = side(1);
        let offer = SessionDescription::offer(text);
        for _ in 0..3 {
            jsep.set_remote(&offer)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            jsep.set_remote(&SessionDescription::rollback()).unwrap();
            assert!(
                jsep.transceivers.is_empty() && jsep.slots.is_empty(),
                "{name}"
            );
        }
        jsep.set_remote(&offer).unwrap();
        jsep.set_local(None).unwrap();
        assert!(!jsep.is_negotiation_needed(), "{name}");
    }
}

#[test]
fn captured_answers_can_be_read_and_written_back() {
    let answers = captured("-answer-");
    assert!(answers.len() >= 8);
    for (name, text) in answers {
        let described = text::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = text::read(&text::write(&described)).expect("what was written");
        assert_eq!(described.bundle, again.bundle, "{name}");
        for (before, after) in described.sections.iter().zip(&again.sections) {
            assert_eq!(before.mid, after.mid, "{name}");
            assert_eq!(before.rejected, after.rejected, "{name}");
            if before.rejected {
                continue;
            }
            assert_eq!(before.codecs, after.codecs, "{name}");
            assert_eq!(before.extensions, after.extensions, "{name}");
            assert_eq!(before.direction, after.direction, "{name}");
            assert_eq!(before.simulcast, after.simulcast, "{name}");
            assert_eq!(before.fingerprints, after.fingerprints, "{name}");
            assert_eq!(before.candidates, after.candidates, "{name}");
        }
    }
}

#[test]
fn a_captured_offer_of_chromium_is_answered_with_h264_first() {
    let offers = captured("chromium-offer-audio-video-data");
    let (_, text) = offers.first().expect("the offer");
    let mut jsep = side(1);
    let h264 = crate::ApplicationCodec::h264("42e01f");
    let vp9 = crate::ApplicationCodec::vp9(0);
    jsep.catalogue = Catalogue::new(&[h264, vp9]);
    let id = jsep
        .add_track(MediaKind::Video, "cam".into(), vec![])
        .unwrap();
    let capabilities = jsep.catalogue.capabilities(MediaKind::Video).codecs;
    let named = |name: &str| {
        let mut codecs = capabilities.iter();
        codecs.find(|codec| codec.name() == name).unwrap().clone()
    };
    let preferred = ["H264", "VP9", "VP8", "rtx"].map(named);
    jsep.transceiver_mut(id).unwrap().preferences = preferred.into();
    jsep.set_remote(&SessionDescription::offer(text.clone()))
        .unwrap();
    let answer = jsep.create_answer().unwrap();
    is_valid_answer("h264", text, &answer.sdp);
    // 108 is the Constrained Baseline profile in packetization mode 1, 98 VP9 of profile 0, 96 VP8.
    let video = answer.sdp.split("m=video ").nth(1).expect("a section");
    let line = video.lines().next().expect("a line");
    assert!(line.ends_with(" 108 109 98 99 96 97"), "{line}");
    assert!(video.contains(
        "a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    ));
    jsep.set_local(Some(answer)).unwrap();
    assert_eq!(
        jsep.transceiver(id).unwrap().sender.codecs[0].payload_type,
        108
    );
}
