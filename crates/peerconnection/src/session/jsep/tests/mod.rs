//! Two sides that exchange descriptions and nothing else.

mod algorithms;
mod bundle;
mod captured;
pub(crate) mod explore;
mod model;
mod rfc9429;
mod simulcast;

use super::*;
use crate::rtp_parameters::RtpEncodingParameters;
use crate::states::TransceiverDirection as D;
use media::MediaKind;
use rand::SeedableRng;

fn side(seed: u64) -> Jsep {
    let fingerprint = format!("sha-256 {}", vec![format!("{seed:02X}"); 32].join(":"));
    let facts = LocalFacts {
        fingerprints: vec![fingerprint.parse().expect("a fingerprint")],
        sctp_port: 5000,
        max_message_size: 262_144,
        dtls_client: Vec::new(),
        pooled: Vec::new(),
    };
    Jsep::new(BundlePolicy::Balanced, facts, StdRng::seed_from_u64(seed))
}

/// One whole exchange; the notices of the offerer and of the answerer.
fn negotiate(offerer: &mut Jsep, answerer: &mut Jsep) -> (Vec<Notice>, Vec<Notice>) {
    let offer = offerer.create_offer(false).expect("an offer");
    let mut ours = offerer
        .set_local(Some(offer.clone()))
        .expect("a local offer");
    let mut theirs = answerer.set_remote(&offer).expect("a remote offer");
    let answer = answerer.create_answer().expect("an answer");
    theirs.extend(
        answerer
            .set_local(Some(answer.clone()))
            .expect("a local answer"),
    );
    ours.extend(offerer.set_remote(&answer).expect("a remote answer"));
    (ours, theirs)
}

#[test]
fn both_sides_agree_on_directions_codecs_and_one_transport() {
    let (mut a, mut b) = (side(1), side(2));
    let audio = a
        .add_track(MediaKind::Audio, "mic".into(), vec!["s".into()])
        .unwrap();
    let video = a
        .add_track(MediaKind::Video, "cam".into(), vec!["s".into()])
        .unwrap();
    a.wants_data = true;
    let theirs = b
        .add_track(MediaKind::Video, "their-cam".into(), vec![])
        .unwrap();
    let (ours, notices) = negotiate(&mut a, &mut b);

    assert_eq!(a.state, SignalingState::Stable);
    assert_eq!(
        a.transceiver(audio).unwrap().current_direction,
        Some(D::SendOnly)
    );
    assert_eq!(
        a.transceiver(video).unwrap().current_direction,
        Some(D::SendRecv)
    );
    assert_eq!(
        b.transceiver(theirs).unwrap().current_direction,
        Some(D::SendRecv)
    );
    assert!(ours.contains(&Notice::Track(video)) && !ours.contains(&Notice::Track(audio)));
    assert_eq!(
        notices
            .iter()
            .filter(|notice| matches!(notice, Notice::Track(_)))
            .count(),
        2
    );
    let codec = &b.transceiver(theirs).unwrap().sender.codecs[0];
    assert_eq!(
        (codec.payload_type, codec.codec.mime_type.as_str()),
        (96, "video/VP8")
    );
    for side in [&a, &b] {
        assert_eq!(side.slots.len(), 3);
        assert!(
            side.slots.iter().all(|slot| slot.transport == 0),
            "{:?}",
            side.slots
        );
    }
    assert!(!a.update_negotiation_needed() && !b.update_negotiation_needed());
}

#[test]
fn a_rejected_section_is_used_again_before_a_new_one_is_added() {
    let (mut a, mut b) = (side(1), side(2));
    let audio = a.add_track(MediaKind::Audio, "mic".into(), vec![]).unwrap();
    a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    negotiate(&mut a, &mut b);
    a.stop_transceiver(audio).unwrap();
    assert!(a.update_negotiation_needed());
    let (ours, theirs) = negotiate(&mut a, &mut b);
    assert!(ours.contains(&Notice::Stopped(audio)));
    assert!(
        theirs
            .iter()
            .any(|notice| matches!(notice, Notice::Stopped(_)))
    );
    assert_eq!((a.transceivers.len(), b.transceivers.len()), (1, 1));
    let second = a
        .add_track(MediaKind::Video, "screen".into(), vec![])
        .unwrap();
    negotiate(&mut a, &mut b);
    assert_eq!(a.slots.len(), 2);
    assert_eq!(a.transceiver(second).unwrap().section, Some(0));
    assert_eq!(b.slots[0].kind, SectionKind::Media(MediaKind::Video));
}

#[test]
fn a_rollback_leaves_no_trace_of_the_offer() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Audio, "mic".into(), vec![]).unwrap();
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&offer).unwrap();
    assert_eq!(b.transceivers.len(), 1);
    b.set_remote(&SessionDescription::rollback()).unwrap();
    assert!(b.transceivers.is_empty() && b.slots.is_empty());
    a.set_local(Some(SessionDescription::rollback())).unwrap();
    assert_eq!(a.transceivers[0].mid, None);
    assert_eq!(a.state, SignalingState::Stable);
    assert!(a.set_local(Some(SessionDescription::rollback())).is_err());
    negotiate(&mut b, &mut a);
    assert_eq!(a.state, SignalingState::Stable);
}

#[test]
fn a_remote_offer_rolls_a_local_one_back() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Audio, "mic".into(), vec![]).unwrap();
    b.add_track(MediaKind::Audio, "their-mic".into(), vec![])
        .unwrap();
    let collision = a.create_offer(false).unwrap();
    a.set_local(Some(collision)).unwrap();
    let offer = b.create_offer(false).unwrap();
    b.set_local(Some(offer.clone())).unwrap();
    let mut notices = a.yield_to(&offer).unwrap();
    notices.extend(a.set_remote(&offer).unwrap());
    let states: Vec<_> = notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Signaling(_)))
        .collect();
    assert_eq!(
        states,
        [
            &Notice::Signaling(SignalingState::Stable),
            &Notice::Signaling(SignalingState::HaveRemoteOffer)
        ]
    );
    let answer = a.create_answer().unwrap();
    a.set_local(Some(answer.clone())).unwrap();
    b.set_remote(&answer).unwrap();
    assert_eq!(a.transceivers.len(), 1);
    assert_eq!(a.transceivers[0].current_direction, Some(D::SendRecv));
}

#[test]
fn a_restart_changes_the_credentials_of_both_sides() {
    let (mut a, mut b) = (side(1), side(2));
    a.wants_data = true;
    negotiate(&mut a, &mut b);
    let before = (
        a.local_credentials(0).unwrap(),
        b.local_credentials(0).unwrap(),
    );
    negotiate(&mut a, &mut b);
    assert_eq!(
        before,
        (
            a.local_credentials(0).unwrap(),
            b.local_credentials(0).unwrap()
        ),
        "no restart"
    );
    a.restart_ice();
    assert!(a.update_negotiation_needed());
    negotiate(&mut a, &mut b);
    assert_ne!(before.0, a.local_credentials(0).unwrap());
    assert_ne!(before.1, b.local_credentials(0).unwrap());
    assert!(!a.update_negotiation_needed());
}

#[test]
fn an_answer_may_take_less_than_the_offer_and_the_offerer_hears_of_it() {
    let (mut a, mut b) = (side(1), side(2));
    let audio = a
        .add_transceiver(MediaKind::Audio, None, D::SendRecv, vec![], vec![])
        .unwrap();
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&offer).unwrap();
    let theirs = b.transceivers[0].id;
    b.set_direction(theirs, D::Inactive).unwrap();
    b.set_local(None).unwrap();
    let answer = to_description(b.current_local.as_ref().unwrap());
    a.set_remote(&answer).unwrap();
    assert_eq!(
        a.transceiver(audio).unwrap().current_direction,
        Some(D::Inactive)
    );
}

#[test]
fn descriptions_that_make_no_sense_are_refused_and_change_nothing() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_track(MediaKind::Audio, "mic".into(), vec![]).unwrap();
    let offer = a.create_offer(false).unwrap();
    let syntax = b.set_remote(&SessionDescription::offer(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio x\r\n",
    ));
    let Err(Error::Rtc(error)) = syntax else {
        panic!("{syntax:?}")
    };
    assert_eq!(
        (error.detail, error.sdp_line_number),
        (RtcErrorDetail::SdpSyntaxError, Some(5))
    );
    for (cut, why) in [
        ("a=rtcp-mux\r\n", "rtcp-mux"),
        ("a=ice-ufrag:", "ufrag"),
        ("a=fingerprint:", "fingerprint"),
    ] {
        let without: String = offer
            .sdp
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(cut.trim_end()))
            .collect();
        let refused = b.set_remote(&SessionDescription::offer(without));
        assert!(
            matches!(refused, Err(Error::InvalidAccess(_))),
            "{why}: {refused:?}"
        );
    }
    assert!(matches!(
        b.set_remote(&SessionDescription::answer(offer.sdp.clone())),
        Err(Error::InvalidState(_))
    ));
    assert!(matches!(
        b.set_local(Some(SessionDescription::offer("v=0\r\n"))),
        Err(Error::InvalidModification(_))
    ));
    assert_eq!(b.state, SignalingState::Stable);
    assert!(b.slots.is_empty() && b.transceivers.is_empty());
}

#[test]
fn plan_b_is_refused_by_name() {
    let mut b = side(2);
    let mut a = side(1);
    a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    let mut offer = a.create_offer(false).unwrap();
    offer
        .sdp
        .push_str("a=ssrc:1 msid:s t1\r\na=ssrc:2 msid:s t2\r\n");
    assert!(
        matches!(b.set_remote(&offer), Err(Error::InvalidAccess(text)) if text.contains("Plan B"))
    );
}
