//! The algorithms of the W3C text, by their names there.

use super::*;
use crate::states::SignalingState as S;

fn local_offer(side: &mut Jsep) -> SessionDescription {
    let offer = side.create_offer(false).expect("an offer");
    side.set_local(Some(offer.clone())).expect("applied");
    offer
}

fn local_answer(side: &mut Jsep, sdp_type: SdpType) -> SessionDescription {
    side.create_answer().expect("an answer");
    let sdp = String::new();
    side.set_local(Some(SessionDescription { sdp_type, sdp }))
        .expect("applied");
    to_description(side.local().expect("the answer"))
}

fn audio(side: &mut Jsep, track: &str) -> TransceiverId {
    side.add_track(MediaKind::Audio, track.into(), vec!["s".into()])
        .expect("a track")
}

fn kinds_of(side: &Jsep) -> [Option<SdpType>; 4] {
    let sdp_type = |applied: &Option<Applied>| applied.as_ref().map(|it| it.sdp_type);
    [
        sdp_type(&side.current_local),
        sdp_type(&side.pending_local),
        sdp_type(&side.current_remote),
        sdp_type(&side.pending_remote),
    ]
}

// §4.4.1.5

#[test]
fn set_a_session_description_moves_pending_descriptions_to_current_ones() {
    use SdpType::{Answer, Offer, Pranswer};
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let offer = local_offer(&mut a);
    assert_eq!(kinds_of(&a), [None, Some(Offer), None, None]);
    b.set_remote(&offer).unwrap();
    assert_eq!(kinds_of(&b), [None, None, None, Some(Offer)]);
    let provisional = local_answer(&mut b, Pranswer);
    assert_eq!(kinds_of(&b), [None, Some(Pranswer), None, Some(Offer)]);
    a.set_remote(&provisional).unwrap();
    assert_eq!(a.state, S::HaveRemotePranswer);
    assert_eq!(kinds_of(&a), [None, Some(Offer), None, Some(Pranswer)]);
    let answer = local_answer(&mut b, Answer);
    assert_eq!(kinds_of(&b), [Some(Answer), None, Some(Offer), None]);
    a.set_remote(&answer).unwrap();
    assert_eq!(kinds_of(&a), [Some(Offer), None, Some(Answer), None]);
    assert_eq!((a.state, b.state), (S::Stable, S::Stable));
}

#[test]
fn set_a_session_description_refuses_a_rollback_of_nothing_and_of_provisional_answers() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let rollback = SessionDescription::rollback;
    assert_eq!(
        a.set_local(Some(rollback())).unwrap_err().name(),
        "InvalidStateError"
    );
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    let provisional = local_answer(&mut b, SdpType::Pranswer);
    a.set_remote(&provisional).unwrap();
    for side in [&mut a, &mut b] {
        assert_eq!(
            side.set_local(Some(rollback())).unwrap_err().name(),
            "InvalidStateError"
        );
        assert_eq!(
            side.set_remote(&rollback()).unwrap_err().name(),
            "InvalidStateError"
        );
    }
}

#[test]
fn set_a_session_description_tells_what_ended_then_the_state_then_mutes_then_streams_then_tracks() {
    let (mut a, mut b) = (side(1), side(2));
    let ids: Vec<_> = ["1", "2"].map(|track| audio(&mut b, track)).into();
    negotiate(&mut b, &mut a);
    let theirs: Vec<_> = a.transceivers.iter().map(|it| it.id).collect();
    // The first is stopped, the second paused, and a third begins.
    b.stop_transceiver(ids[0]).unwrap();
    b.remove_track(ids[1]).unwrap();
    b.add_track(MediaKind::Video, "3".into(), vec!["cameras".into()])
        .unwrap();
    let offer = local_offer(&mut b);
    let notices = a.set_remote(&offer).unwrap();
    let third = a.transceivers.last().unwrap().id;
    assert_eq!(
        notices,
        [
            Notice::Stopped(theirs[0]),
            Notice::Signaling(S::HaveRemoteOffer),
            Notice::Mute(theirs[0]),
            Notice::Mute(theirs[1]),
            Notice::Leave(theirs[0], vec![]),
            Notice::Leave(theirs[1], vec![]),
            Notice::Join(third, vec!["cameras".into()]),
            Notice::Track(third),
        ]
    );
}

#[test]
fn set_a_session_description_checks_a_second_remote_offer_as_if_the_first_had_been_answered() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let first = local_offer(&mut a);
    b.set_remote(&first).unwrap();
    a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    let second = local_offer(&mut a);
    b.set_remote(&second).unwrap();
    assert_eq!((b.transceivers.len(), b.state), (2, S::HaveRemoteOffer));
    // Fewer sections than were offered before make no sense.
    assert_eq!(
        b.set_remote(&first).unwrap_err().name(),
        "InvalidAccessError"
    );
    assert_eq!(b.slots.len(), 2);
}

#[test]
fn set_a_session_description_with_an_offer_in_have_local_offer_rolls_back_even_when_it_then_fails()
{
    let mut a = side(1);
    audio(&mut a, "mic");
    local_offer(&mut a);
    let wrong = SessionDescription::offer("v=0\r\n");
    let notices = a.yield_to(&wrong).unwrap();
    assert_eq!(notices, [Notice::Signaling(S::Stable)]);
    assert!(matches!(a.set_remote(&wrong), Err(Error::Rtc(_))));
    assert_eq!(a.state, S::Stable);
    assert!(
        a.update_negotiation_needed(),
        "what was offered still waits"
    );
}

// §4.4.2

#[test]
fn create_an_offer_is_refused_while_the_peers_offer_waits_and_when_closed() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let offer = local_offer(&mut a);
    assert!(a.create_offer(false).is_ok(), "have-local-offer");
    b.set_remote(&offer).unwrap();
    assert_eq!(
        b.create_offer(false).unwrap_err().name(),
        "InvalidStateError"
    );
    assert_eq!(a.create_answer().unwrap_err().name(), "InvalidStateError");
    b.close();
    assert_eq!(
        b.create_offer(false).unwrap_err().name(),
        "InvalidStateError"
    );
    assert_eq!(b.create_answer().unwrap_err().name(), "InvalidStateError");
    assert_eq!(b.state, S::Closed);
}

#[test]
fn create_an_offer_final_steps_remember_the_last_offer_and_only_that_is_taken() {
    let mut a = side(1);
    audio(&mut a, "mic");
    let first = a.create_offer(false).unwrap();
    let second = a.create_offer(false).unwrap();
    assert_ne!(first.sdp, second.sdp, "the version counts up");
    assert_eq!(
        a.set_local(Some(first)).unwrap_err().name(),
        "InvalidModificationError"
    );
    let munged = SessionDescription::offer(second.sdp.replace("sendrecv", "sendonly"));
    assert_eq!(
        a.set_local(Some(munged)).unwrap_err().name(),
        "InvalidModificationError"
    );
    // What has changed since does not make it unusable; it is for the next offer.
    audio(&mut a, "another");
    a.set_local(Some(second)).unwrap();
    assert_eq!(a.slots.len(), 1);
    assert_eq!(a.transceivers[1].mid, None);
}

#[test]
fn create_an_offer_lets_the_first_transceiver_that_is_not_stopped_speak_for_the_group() {
    let (mut a, mut b) = (side(1), side(2));
    let first = audio(&mut a, "1");
    audio(&mut a, "2");
    negotiate(&mut a, &mut b);
    a.stop_transceiver(first).unwrap();
    negotiate(&mut a, &mut b);
    // The third takes the first section, but the second transceiver comes first.
    audio(&mut a, "3");
    let offer = a.create_offer(false).unwrap();
    assert!(
        offer.sdp.contains("a=group:BUNDLE 1 2\r\n"),
        "{}",
        offer.sdp
    );
    negotiate(&mut a, &mut b);
    assert!(
        a.slots
            .iter()
            .chain(&b.slots)
            .all(|slot| slot.transport == 0)
    );
}

#[test]
fn create_an_offer_keeps_the_order_of_formats_of_the_last_answer() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    let known = crate::session::capabilities(MediaKind::Audio).codecs;
    b.transceivers[0].preferences = vec![known[2].clone(), known[0].clone()];
    let answer = local_answer(&mut b, SdpType::Answer);
    a.set_remote(&answer).unwrap();
    let offer = a.create_offer(false).unwrap();
    assert!(
        offer
            .sdp
            .contains("m=audio 9 UDP/TLS/RTP/SAVPF 8 111 0 110 126\r\n"),
        "{}",
        offer.sdp
    );
}

#[test]
fn create_an_answer_final_steps_remember_the_last_answer_for_its_offer_only() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let first = local_offer(&mut a);
    b.set_remote(&first).unwrap();
    let answer = b.create_answer().unwrap();
    a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    let second = local_offer(&mut a);
    b.set_remote(&second).unwrap();
    assert_eq!(
        b.set_local(Some(answer)).unwrap_err().name(),
        "InvalidAccessError"
    );
    // The implicit form sees that and makes a new one.
    b.set_local(None).unwrap();
    assert_eq!(
        b.current_local.as_ref().unwrap().described.sections.len(),
        2
    );
}

#[test]
fn set_local_description_without_one_makes_what_the_state_needs() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    a.create_offer(false).unwrap();
    audio(&mut a, "another");
    a.set_local(None).unwrap();
    assert_eq!(
        a.slots.len(),
        2,
        "an offer that is out of date is made anew"
    );
    let described = to_description(a.local().unwrap());
    a.set_local(None).unwrap();
    assert_eq!(
        described,
        to_description(a.local().unwrap()),
        "the same again"
    );
    b.set_remote(&described).unwrap();
    b.set_local(None).unwrap();
    assert_eq!(b.current_local.as_ref().unwrap().sdp_type, SdpType::Answer);
    // In have-remote-pranswer it would be an offer, which that state does not take.
    let mut c = side(3);
    c.set_remote(&described).unwrap();
    let provisional = local_answer(&mut c, SdpType::Pranswer);
    a.set_remote(&provisional).unwrap();
    assert_eq!(a.set_local(None).unwrap_err().name(), "InvalidStateError");
    c.set_local(None).unwrap();
    assert_eq!(
        (c.state, kinds_of(&c)[0]),
        (S::Stable, Some(SdpType::Answer))
    );
}

#[test]
fn restart_ice_survives_a_remote_offer_and_a_rollback_and_is_satisfied_by_its_answer() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    audio(&mut b, "mic");
    negotiate(&mut a, &mut b);
    assert!(!a.update_negotiation_needed());
    let before = a.local_credentials(0).unwrap();
    a.restart_ice();
    assert!(a.update_negotiation_needed());
    // The peer's offer does not restart, so the answer must not.
    negotiate(&mut b, &mut a);
    assert_eq!(a.local_credentials(0).unwrap(), before);
    assert!(a.update_negotiation_needed(), "the restart is still wanted");
    let restarting = local_offer(&mut a);
    assert!(!restarting.sdp.contains(&before.ufrag));
    a.set_local(Some(SessionDescription::rollback())).unwrap();
    assert_eq!(a.local_credentials(0).unwrap(), before);
    assert!(a.update_negotiation_needed());
    negotiate(&mut a, &mut b);
    assert_ne!(a.local_credentials(0).unwrap(), before);
    assert!(!a.update_negotiation_needed());
}

#[test]
fn an_answer_that_restarts_ice_without_being_asked_is_refused() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    negotiate(&mut a, &mut b);
    let old = b.local_credentials(0).unwrap();
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    let mut answer = local_answer(&mut b, SdpType::Answer);
    answer.sdp = answer.sdp.replace(&old.ufrag, "another1");
    assert_eq!(
        a.set_remote(&answer).unwrap_err().name(),
        "InvalidAccessError"
    );
    assert_eq!(a.state, S::HaveLocalOffer);
    // And one that does not when it was asked to.
    a.set_local(Some(SessionDescription::rollback())).unwrap();
    a.restart_ice();
    local_offer(&mut a);
    answer.sdp = answer.sdp.replace("another1", &old.ufrag);
    assert_eq!(
        a.set_remote(&answer).unwrap_err().name(),
        "InvalidAccessError"
    );
}

#[test]
fn set_local_description_asks_whose_description_it_is_before_whether_the_state_takes_it() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    let name = |outcome: Result<Vec<Notice>, Error>| outcome.unwrap_err().name();
    let answer = SessionDescription::answer("v=0\r\n");
    assert_eq!(
        name(a.set_local(Some(answer.clone()))),
        "InvalidModificationError"
    );
    let offer = local_offer(&mut a);
    assert_eq!(name(a.set_local(Some(answer))), "InvalidModificationError");
    b.set_remote(&offer).unwrap();
    let foreign = SessionDescription::offer("v=0\r\n");
    assert_eq!(name(b.set_local(Some(foreign))), "InvalidModificationError");
    // What is to be made anew fails because of the state.
    for implicit in [
        SessionDescription::offer(""),
        SessionDescription::rollback(),
    ] {
        let mut c = side(3);
        let expected = implicit.sdp_type == SdpType::Rollback;
        assert_eq!(c.set_local(Some(implicit)).is_err(), expected);
    }
    assert_eq!(
        name(b.set_local(Some(SessionDescription::offer("")))),
        "InvalidStateError"
    );
    assert_eq!(
        name(a.set_local(Some(SessionDescription::answer("")))),
        "InvalidStateError"
    );
}

#[test]
fn create_an_offer_with_ice_restart_asks_for_no_negotiation_and_is_forgotten_with_the_offer() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "mic");
    negotiate(&mut a, &mut b);
    let before = a.local_credentials(0).unwrap();
    let restarting = a.create_offer(true).unwrap();
    assert!(!restarting.sdp.contains(&before.ufrag));
    assert!(!a.update_negotiation_needed());
    assert!(a.create_offer(false).unwrap().sdp.contains(&before.ufrag));
    // The last offer is used when none is given, as long as it says what there is.
    let restarting = a.create_offer(true).unwrap();
    a.set_local(None).unwrap();
    let pending = a.local_credentials(0).unwrap();
    assert!(restarting.sdp.contains(&pending.ufrag));
    // Without the option, an offer has the credentials of the current description (§4.2.7).
    assert!(a.create_offer(false).unwrap().sdp.contains(&before.ufrag));
    let again = a.create_offer(true).unwrap();
    assert!(!again.sdp.contains(&before.ufrag) && !again.sdp.contains(&pending.ufrag));
    a.set_local(Some(SessionDescription::rollback())).unwrap();
    assert!(a.create_offer(false).unwrap().sdp.contains(&before.ufrag));
    // In the first offer it means nothing (RFC 9429 §5.2.3.1).
    let mut c = side(3);
    audio(&mut c, "mic");
    let first = local_offer(&mut c);
    let ufrag = c.local_credentials(0).unwrap().ufrag;
    assert!(first.sdp.contains(&ufrag));
    assert!(c.create_offer(true).unwrap().sdp.contains(&ufrag));
}

#[test]
fn set_a_session_description_forgets_the_codec_of_an_encoding_that_was_not_agreed() {
    let (mut a, mut b) = (side(1), side(2));
    let id = audio(&mut a, "mic");
    let known = crate::session::capabilities(MediaKind::Audio).codecs;
    let asked = |side: &Jsep| {
        let sender = &side.transceiver(id).unwrap().sender;
        sender.encodings[0].parameters.codec.clone()
    };
    a.transceiver_mut(id).unwrap().sender.encodings[0]
        .parameters
        .codec = Some(known[1].clone());
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    let answer = local_answer(&mut b, SdpType::Answer);
    a.set_remote(&answer).unwrap();
    assert_eq!(asked(&a), Some(known[1].clone()), "it was agreed");
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    b.transceivers[0].preferences = vec![known[0].clone()];
    let answer = local_answer(&mut b, SdpType::Answer);
    a.set_remote(&answer).unwrap();
    assert_eq!(asked(&a), None);
}

// §4.7.3

#[test]
fn check_if_negotiation_is_needed_fires_once_until_the_flag_is_cleared() {
    let (mut a, mut b) = (side(1), side(2));
    assert!(!a.update_negotiation_needed());
    let id = audio(&mut a, "mic");
    assert!(a.update_negotiation_needed());
    a.wants_data = true;
    assert!(!a.update_negotiation_needed(), "the flag is set already");
    let offer = local_offer(&mut a);
    audio(&mut a, "late");
    assert!(!a.update_negotiation_needed(), "only in stable");
    b.set_remote(&offer).unwrap();
    let answer = local_answer(&mut b, SdpType::Answer);
    a.set_remote(&answer).unwrap();
    assert!(a.update_negotiation_needed(), "what came after the offer");
    negotiate(&mut a, &mut b);
    assert!(!a.update_negotiation_needed());
    // Back to what was agreed before anybody looked: nothing is needed.
    a.set_direction(id, D::Inactive).unwrap();
    a.set_direction(id, D::SendRecv).unwrap();
    assert!(!a.update_negotiation_needed());
    a.set_direction(id, D::Inactive).unwrap();
    assert!(a.update_negotiation_needed());
    a.set_direction(id, D::SendRecv).unwrap();
    assert!(!a.update_negotiation_needed(), "cleared");
    a.set_direction(id, D::RecvOnly).unwrap();
    assert!(a.update_negotiation_needed(), "and set again");
}

#[test]
fn check_if_negotiation_is_needed_compares_an_answer_with_what_was_offered() {
    let (mut a, mut b) = (side(1), side(2));
    a.add_transceiver(MediaKind::Audio, None, D::RecvOnly, vec![], vec![])
        .unwrap();
    negotiate(&mut a, &mut b);
    let theirs = b.transceivers[0].id;
    assert!(!b.update_negotiation_needed());
    // Sending is what the offer asked for; receiving it did not.
    b.set_direction(theirs, D::SendRecv).unwrap();
    assert!(b.update_negotiation_needed());
    negotiate(&mut b, &mut a);
    assert!(!a.update_negotiation_needed() && !b.update_negotiation_needed());
    assert_eq!(
        b.transceiver(theirs).unwrap().current_direction,
        Some(D::SendOnly)
    );
}

// §5.1

#[test]
fn add_track_takes_a_sender_that_never_sent_and_leaves_others_alone() {
    let (mut a, mut b) = (side(1), side(2));
    let made = a
        .add_transceiver(MediaKind::Audio, None, D::RecvOnly, vec![], vec![])
        .unwrap();
    assert_ne!(
        a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap(),
        made,
        "another kind"
    );
    assert_eq!(audio(&mut a, "mic"), made);
    assert_eq!(a.transceiver(made).unwrap().direction, D::SendRecv);
    assert_eq!(a.transceiver(made).unwrap().sender.streams, ["s"]);
    assert_eq!(
        a.add_track(MediaKind::Audio, "mic".into(), vec![])
            .unwrap_err()
            .name(),
        "InvalidAccessError"
    );
    negotiate(&mut a, &mut b);
    a.remove_track(made).unwrap();
    negotiate(&mut a, &mut b);
    assert_ne!(audio(&mut a, "another"), made, "it has been used to send");
    let stopping = a
        .add_transceiver(MediaKind::Audio, None, D::Inactive, vec![], vec![])
        .unwrap();
    a.stop_transceiver(stopping).unwrap();
    assert_ne!(audio(&mut a, "yet another"), stopping);
}

#[test]
fn add_track_to_an_inactive_sender_makes_it_sendonly() {
    let mut a = side(1);
    let id = a
        .add_transceiver(MediaKind::Audio, None, D::Inactive, vec![], vec![])
        .unwrap();
    assert_eq!(audio(&mut a, "mic"), id);
    assert_eq!(a.transceiver(id).unwrap().direction, D::SendOnly);
}

#[test]
fn remove_track_keeps_the_sender_and_stops_sending() {
    let mut a = side(1);
    let both = audio(&mut a, "1");
    let one = a
        .add_transceiver(
            MediaKind::Video,
            Some("2".into()),
            D::SendOnly,
            vec![],
            vec![],
        )
        .unwrap();
    for (id, left) in [(both, D::RecvOnly), (one, D::Inactive)] {
        a.remove_track(id).unwrap();
        let transceiver = a.transceiver(id).unwrap();
        assert_eq!(
            (transceiver.direction, &transceiver.sender.track),
            (left, &None)
        );
        a.remove_track(id).unwrap();
        assert_eq!(
            a.transceiver(id).unwrap().direction,
            left,
            "nothing more to do"
        );
    }
    a.close();
    assert_eq!(a.remove_track(one).unwrap_err().name(), "InvalidStateError");
}

// §5.4

#[test]
fn stop_takes_effect_when_the_peer_has_agreed() {
    let (mut a, mut b) = (side(1), side(2));
    let id = audio(&mut a, "mic");
    negotiate(&mut a, &mut b);
    a.stop_transceiver(id).unwrap();
    let transceiver = a.transceiver(id).unwrap();
    assert_eq!(transceiver.shown_direction(), D::Stopped);
    assert_eq!(transceiver.current_direction, Some(D::SendOnly));
    assert!(!transceiver.may_send() && !transceiver.stopped);
    assert_eq!(
        a.set_direction(id, D::SendRecv).unwrap_err().name(),
        "InvalidStateError"
    );
    // Stopping does not reject what the peer offers meanwhile.
    negotiate(&mut b, &mut a);
    assert_eq!(
        a.transceiver(id).unwrap().current_direction,
        Some(D::Inactive)
    );
    assert!(a.update_negotiation_needed());
    let (ours, theirs) = negotiate(&mut a, &mut b);
    assert!(ours.contains(&Notice::Stopped(id)));
    assert!(
        theirs
            .iter()
            .any(|notice| matches!(notice, Notice::Stopped(_)))
    );
    assert!(a.transceivers.is_empty() && b.transceivers.is_empty());
    assert!(!a.update_negotiation_needed() && !b.update_negotiation_needed());
}

#[test]
fn a_transceiver_stopped_before_the_peer_heard_of_it_has_no_section() {
    let (mut a, mut b) = (side(1), side(2));
    let id = audio(&mut a, "mic");
    a.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    a.stop_transceiver(id).unwrap();
    assert_eq!(a.transceivers.len(), 2);
    let (ours, _) = negotiate(&mut a, &mut b);
    assert_eq!(a.slots.len(), 1);
    assert_eq!(a.slots[0].kind, SectionKind::Media(MediaKind::Video));
    assert!(
        ours.contains(&Notice::Stopped(id)),
        "and is gone afterwards"
    );
    assert_eq!(a.transceivers.len(), 1);
    assert!(!a.update_negotiation_needed());
}

#[test]
fn close_stops_everything_and_every_operation_after_it_fails() {
    let (mut a, mut b) = (side(1), side(2));
    let id = audio(&mut a, "mic");
    negotiate(&mut a, &mut b);
    let offer = local_offer(&mut b);
    a.close();
    assert_eq!(a.state, S::Closed);
    assert_eq!(a.transceiver(id).unwrap().shown_direction(), D::Stopped);
    let failures = [
        a.create_offer(false).map(drop),
        a.create_answer().map(drop),
        a.set_local(None).map(drop),
        a.set_remote(&offer).map(drop),
        a.add_track(MediaKind::Audio, "x".into(), vec![]).map(drop),
        a.add_transceiver(MediaKind::Audio, None, D::SendRecv, vec![], vec![])
            .map(drop),
        a.remove_track(id),
        a.stop_transceiver(id),
        a.set_direction(id, D::SendRecv),
    ];
    for failure in failures {
        assert_eq!(failure.unwrap_err().name(), "InvalidStateError");
    }
    assert!(!a.update_negotiation_needed());
}

// §5.1.1

#[test]
fn process_remote_tracks_follows_streams_and_directions() {
    let (mut a, mut b) = (side(1), side(2));
    let id = a
        .add_track(
            MediaKind::Audio,
            "mic".into(),
            vec!["one".into(), "two".into()],
        )
        .unwrap();
    let (_, theirs) = negotiate(&mut a, &mut b);
    let their_id = b.transceivers[0].id;
    assert!(theirs.contains(&Notice::Track(their_id)));
    assert_eq!(b.transceivers[0].receiver.streams, ["one", "two"]);
    // Another stream fires again; leaving one does not.
    a.transceiver_mut(id).unwrap().sender.streams = vec!["two".into(), "three".into()];
    assert!(a.update_negotiation_needed());
    let (_, theirs) = negotiate(&mut a, &mut b);
    assert!(theirs.contains(&Notice::Track(their_id)));
    a.transceiver_mut(id).unwrap().sender.streams = vec!["three".into()];
    let (_, theirs) = negotiate(&mut a, &mut b);
    assert!(!theirs.contains(&Notice::Track(their_id)));
    assert!(theirs.contains(&Notice::Leave(their_id, vec!["three".into()])));
    assert_eq!(b.transceivers[0].receiver.streams, ["three"]);
    a.remove_track(id).unwrap();
    let (_, theirs) = negotiate(&mut a, &mut b);
    assert!(theirs.contains(&Notice::Mute(their_id)));
    assert!(b.transceivers[0].receiver.streams.is_empty());
}

#[test]
fn a_track_without_msid_is_in_the_default_stream() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "1");
    a.add_track(MediaKind::Video, "2".into(), vec![]).unwrap();
    let mut offer = local_offer(&mut a);
    offer.sdp = offer
        .sdp
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("a=msid:"))
        .collect();
    b.set_remote(&offer).unwrap();
    let streams: Vec<_> = b
        .transceivers
        .iter()
        .map(|it| &it.receiver.streams)
        .collect();
    assert_eq!(streams[0].len(), 1);
    assert_eq!(streams[0], streams[1], "one for the whole connection");
}

#[test]
fn a_rollback_keeps_a_transceiver_of_the_peers_offer_that_was_given_a_track() {
    let (mut a, mut b) = (side(1), side(2));
    audio(&mut a, "1");
    audio(&mut a, "2");
    let offer = local_offer(&mut a);
    b.set_remote(&offer).unwrap();
    let kept = audio(&mut b, "own");
    assert_eq!(b.transceivers.len(), 2);
    let notices = b.set_local(Some(SessionDescription::rollback())).unwrap();
    assert_eq!(b.transceivers.len(), 1);
    assert_eq!(
        (b.transceivers[0].id, &b.transceivers[0].mid),
        (kept, &None)
    );
    assert!(
        notices
            .iter()
            .any(|notice| matches!(notice, Notice::Stopped(_)))
    );
    assert!(b.create_offer(false).unwrap().sdp.contains("m=audio"));
}
