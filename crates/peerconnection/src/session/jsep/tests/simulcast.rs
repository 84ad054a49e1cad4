//! Simulcast: encodings asked for here or by the peer, and what becomes of them (W3C WebRTC §5.1, §5.4.1; RFC 8853).

use super::*;
use crate::rtp_parameters::{ResolutionRestriction, RtpCodec};

fn encodings(rids: &[&str]) -> Vec<RtpEncodingParameters> {
    let named = |rid: &&str| RtpEncodingParameters {
        rid: Some((*rid).to_owned()),
        ..RtpEncodingParameters::default()
    };
    rids.iter().map(named).collect()
}

fn add(
    side: &mut Jsep,
    kind: MediaKind,
    encodings: Vec<RtpEncodingParameters>,
) -> Result<TransceiverId, &'static str> {
    side.add_transceiver(kind, None, D::SendRecv, Vec::new(), encodings)
        .map_err(|error| error.name())
}

/// The encodings of a sender: their identifiers and factors.
fn layers(side: &Jsep, id: TransceiverId) -> Vec<(String, Option<f64>)> {
    let sender = &side.transceiver(id).expect("a transceiver").sender;
    let parameters = sender.encodings.iter().map(|encoding| &encoding.parameters);
    parameters
        .map(|it| {
            (
                it.rid.clone().unwrap_or_default(),
                it.scale_resolution_down_by,
            )
        })
        .collect()
}

fn size(max_width: u32, max_height: u32) -> Option<ResolutionRestriction> {
    Some(ResolutionRestriction {
        max_width,
        max_height,
    })
}

fn named(layers: &[(&str, f64)]) -> Vec<(String, Option<f64>)> {
    let layers = layers.iter();
    layers
        .map(|(rid, scale)| ((*rid).to_owned(), Some(*scale)))
        .collect()
}

fn lines<'a>(description: &'a SessionDescription, start: &str) -> Vec<&'a str> {
    let lines = description.sdp.lines();
    lines.filter(|line| line.starts_with(start)).collect()
}

/// The offer as a receiver of simulcast writes it.
fn asking_for(mut offer: SessionDescription, recv: &str) -> SessionDescription {
    for rid in recv.split([';', ',']) {
        offer
            .sdp
            .push_str(&format!("a=rid:{} recv\r\n", rid.trim_start_matches('~')));
    }
    offer.sdp.push_str(&format!("a=simulcast:recv {recv}\r\n"));
    offer
}

#[test]
fn add_transceiver_send_encodings_validation_steps() {
    use MediaKind::{Audio, Video};
    let mut a = side(1);
    let mut with = |change: fn(&mut Vec<RtpEncodingParameters>)| {
        let mut given = encodings(&["q", "h", "f"]);
        change(&mut given);
        let added = add(&mut a, Video, given);
        added.map(|id| layers(&a, id))
    };
    // 1: the identifiers.
    assert_eq!(with(|it| it[0].rid = Some("q q".into())), Err("TypeError"));
    assert_eq!(with(|it| it[0].rid = Some(String::new())), Err("TypeError"));
    assert_eq!(with(|it| it[1].rid = None), Err("TypeError"));
    assert_eq!(with(|it| it[1].rid = Some("q".into())), Err("TypeError"));
    // 3: the codec.
    let unknown = |it: &mut Vec<RtpEncodingParameters>| {
        it[0].codec = Some(RtpCodec {
            mime_type: "video/none".into(),
            clock_rate: 90_000,
            channels: None,
            sdp_fmtp_line: String::new(),
        });
    };
    assert_eq!(with(unknown), Err("OperationError"));
    // 6 and 7: the ranges.
    assert_eq!(
        with(|it| it[0].scale_resolution_down_by = Some(0.5)),
        Err("RangeError")
    );
    assert_eq!(
        with(|it| it[2].max_framerate = Some(0.0)),
        Err("RangeError")
    );
    // 9: one factor given, the others are 1.0.
    assert_eq!(
        with(|it| it[0].scale_resolution_down_by = Some(3.0)),
        Ok(named(&[("q", 3.0), ("h", 1.0), ("f", 1.0)]))
    );
    // 11: no factor given, from small to large.
    assert_eq!(
        with(|_| {}),
        Ok(named(&[("q", 4.0), ("h", 2.0), ("f", 1.0)]))
    );
    // 8 and 10: there is an end to it.
    let many = |it: &mut Vec<RtpEncodingParameters>| {
        *it = encodings(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    };
    let trimmed = with(many).expect("taken");
    assert_eq!(trimmed.len(), 8);
    assert_eq!(trimmed[7], ("7".to_owned(), Some(1.0)));
    // 12: a lone encoding needs no name.
    assert_eq!(with(|it| it.truncate(1)), Ok(named(&[("", 1.0)])));
    // Names are made up for encodings that have none: on the wire they need them.
    let nameless = |it: &mut Vec<RtpEncodingParameters>| {
        it.iter_mut().for_each(|encoding| encoding.rid = None);
    };
    assert_eq!(
        with(nameless),
        Ok(named(&[("0", 4.0), ("1", 2.0), ("2", 1.0)]))
    );
    // W3C WebRTC Extensions: restrictions are for all that are sent, and leave something.
    let some = |it: &mut Vec<RtpEncodingParameters>| {
        it[0].scale_resolution_down_to = size(320, 180);
        it[1].scale_resolution_down_to = size(640, 360);
        it[2].active = false;
    };
    assert!(with(some).is_ok());
    assert_eq!(
        with(|it| it[0].scale_resolution_down_to = size(320, 180)),
        Err("OperationError")
    );
    let nothing = |it: &mut Vec<RtpEncodingParameters>| {
        it.iter_mut()
            .for_each(|encoding| encoding.scale_resolution_down_to = size(320, 0));
    };
    assert_eq!(with(nothing), Err("OperationError"));
    let mut twice = encodings(&["a"]);
    (twice[0].ptime, twice[0].adaptive_ptime) = (Some(20), true);
    assert_eq!(add(&mut a, Audio, twice), Err("InvalidModificationError"));
    // 5: sound has neither size nor rate of frames.
    let mut given = encodings(&["a"]);
    given[0].scale_resolution_down_by = Some(0.5);
    given[0].max_framerate = Some(-1.0);
    let id = add(&mut a, Audio, given).expect("taken");
    assert_eq!(layers(&a, id), [(String::new(), None)]);
}

#[test]
fn create_an_offer_writes_simulcast_and_its_answer_keeps_what_the_peer_takes() {
    let (mut a, mut b) = (side(1), side(2));
    let id = add(&mut a, MediaKind::Video, encodings(&["q", "h", "f"])).expect("taken");
    let offer = a.create_offer(false).unwrap();
    assert_eq!(
        lines(&offer, "a=rid:"),
        ["a=rid:q send", "a=rid:h send", "a=rid:f send"]
    );
    assert_eq!(lines(&offer, "a=simulcast:"), ["a=simulcast:send q;h;f"]);
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&offer).unwrap();
    let answer = b.create_answer().unwrap();
    assert_eq!(
        lines(&answer, "a=rid:"),
        ["a=rid:q recv", "a=rid:h recv", "a=rid:f recv"]
    );
    assert_eq!(lines(&answer, "a=simulcast:"), ["a=simulcast:recv q;h;f"]);
    // The peer leaves one out.
    let mut fewer = answer.clone();
    fewer.sdp = fewer.sdp.replace("a=rid:h recv\r\n", "");
    fewer.sdp = fewer.sdp.replace("recv q;h;f", "recv q;f");
    a.set_remote(&fewer).unwrap();
    assert_eq!(layers(&a, id), named(&[("q", 4.0), ("f", 1.0)]));
    // What is gone does not come back.
    let offer = a.create_offer(false).unwrap();
    assert_eq!(lines(&offer, "a=simulcast:"), ["a=simulcast:send q;f"]);
}

#[test]
fn an_answer_without_simulcast_keeps_the_first_encoding() {
    let (mut a, mut b) = (side(1), side(2));
    let id = add(&mut a, MediaKind::Video, encodings(&["q", "h", "f"])).expect("taken");
    let offer = a.create_offer(false).unwrap();
    a.set_local(Some(offer.clone())).unwrap();
    b.set_remote(&offer).unwrap();
    let mut answer = b.create_answer().unwrap();
    let without = |line: &&str| !line.starts_with("a=rid:") && !line.starts_with("a=simulcast:");
    let kept: Vec<&str> = answer.sdp.lines().filter(without).collect();
    answer.sdp = kept.join("\r\n") + "\r\n";
    a.set_remote(&answer).unwrap();
    assert_eq!(layers(&a, id).len(), 1);
    assert!(lines(&a.create_offer(false).unwrap(), "a=simulcast:").is_empty());
}

#[test]
fn an_offer_to_receive_simulcast_proposes_the_encodings_of_the_answerer() {
    let (mut sfu, mut b) = (side(1), side(2));
    let ours = sfu
        .add_transceiver(MediaKind::Video, None, D::RecvOnly, Vec::new(), Vec::new())
        .unwrap();
    let plain = sfu.create_offer(false).unwrap();
    sfu.set_local(Some(plain.clone())).unwrap();
    // Alternatives and repetitions: the first counts; "~" is a paused one.
    let offer = asking_for(plain, "lo,x;~mid;lo;hi");
    let theirs = b.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    b.set_remote(&offer).unwrap();
    assert_eq!(
        layers(&b, theirs),
        named(&[("lo", 4.0), ("mid", 2.0), ("hi", 1.0)])
    );
    let answer = b.create_answer().unwrap();
    let answered = lines(&answer, "a=simulcast:");
    assert_eq!(answered.len(), 1, "{}", answer.sdp);
    for rid in ["lo", "mid", "hi"] {
        assert!(answered[0].contains(rid), "{answered:?}");
        assert_eq!(lines(&answer, &format!("a=rid:{rid} send")).len(), 1);
    }
    b.set_local(Some(answer)).unwrap();
    assert_eq!(layers(&b, theirs).len(), 3);
    assert_eq!(layers(&sfu, ours).len(), 1, "only asked, not sent");
}

#[test]
fn a_proposal_of_simulcast_is_gone_with_a_rollback_and_not_taken_by_a_sender_that_has_its_own() {
    let (mut sfu, mut b) = (side(1), side(2));
    sfu.add_transceiver(MediaKind::Video, None, D::RecvOnly, Vec::new(), Vec::new())
        .unwrap();
    let offer = asking_for(sfu.create_offer(false).unwrap(), "lo;hi");
    let theirs = b.add_track(MediaKind::Video, "cam".into(), vec![]).unwrap();
    b.set_remote(&offer).unwrap();
    assert_eq!(layers(&b, theirs).len(), 2);
    b.set_remote(&SessionDescription::rollback()).unwrap();
    assert_eq!(layers(&b, theirs), named(&[("", 1.0)]));

    // One that was made by addTransceiver is not matched with an offered section (RFC 9429 §5.10): a new one is.
    let mut c = side(3);
    let own = add(&mut c, MediaKind::Video, encodings(&["1", "2", "3"])).expect("taken");
    c.set_remote(&offer).unwrap();
    assert_eq!(layers(&c, own).len(), 3);
    assert_eq!(c.transceivers.len(), 2);
    assert_eq!(
        layers(&c, c.transceivers[1].id),
        named(&[("lo", 2.0), ("hi", 1.0)])
    );
}
