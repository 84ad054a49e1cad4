//! Data channels by the algorithms of the text (W3C WebRTC §6, and the steps of §4.4.1.5 that concern them).

use super::*;
use crate::states::SctpTransportState;

/// Two sides that have exchanged nothing yet.
fn apart(seed: u64) -> Pair<Side, Side> {
    let link = LinkConfig::with_latency(Duration::from_millis(5));
    let (at_a, at_b) = (
        SocketAddr::new(Pair::A, 5000),
        SocketAddr::new(Pair::B, 6000),
    );
    Pair::over(
        seed,
        link,
        |now| Side::new(2 * seed, at_a, now),
        |now| Side::new(2 * seed + 1, at_b, now),
    )
}

fn channel(side: &mut Side) -> ChannelId {
    let channel = side.session.create_data_channel(ChannelConfig::default());
    channel.expect("a channel")
}

fn negotiated(id: u16) -> ChannelConfig {
    ChannelConfig {
        negotiated: Some(id),
        ..ChannelConfig::default()
    }
}

fn name<T>(outcome: Result<T, Error>) -> &'static str {
    outcome.map_or_else(|error| error.name(), |_| "none")
}

/// An exchange whose answer is changed on its way.
fn exchange(pair: &mut Pair<Side, Side>, change: impl Fn(&str) -> String) {
    let now = pair.now();
    let offer = describe(&mut pair.a, now);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let mut answer = describe(&mut pair.b, now);
    answer.sdp = change(&answer.sdp);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
}

fn told(side: &mut Side) -> Vec<Event> {
    std::iter::from_fn(|| side.session.poll_event()).collect()
}

#[test]
fn set_a_session_description_makes_the_sctp_transport_with_an_offer_and_unmakes_it_with_a_rollback()
{
    let mut pair = apart(51);
    let now = pair.now();
    channel(&mut pair.a);
    assert_eq!(pair.a.session.sctp_transport(), None);
    let offer = describe(&mut pair.a, now);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    for side in [&pair.a, &pair.b] {
        let session = &side.session;
        assert_eq!(session.sctp_transport(), Some(0));
        assert_eq!(session.sctp_state(), SctpTransportState::Connecting);
        // Both are known from the answer on, or later.
        assert_eq!(session.max_message_size(), None);
        assert_eq!(session.max_channels(), None);
    }
    for side in [&mut pair.a, &mut pair.b] {
        side.session
            .set_local_description(now, Some(SessionDescription::rollback()))
            .expect("rolled back");
        assert_eq!(side.session.sctp_transport(), None);
    }
}

#[test]
fn update_the_data_max_message_size_follows_every_answer() {
    let mut pair = apart(52);
    let id = channel(&mut pair.a);
    let line = "a=max-message-size:262144\r\n";
    exchange(&mut pair, |sdp| {
        sdp.replace(line, "a=max-message-size:1000\r\n")
    });
    assert_eq!(pair.a.session.max_message_size(), Some(1000));
    pair.run_for(Duration::from_secs(1));
    let send = |pair: &mut Pair<Side, Side>, size: usize| {
        let (now, payload) = (pair.now(), Bytes::from(vec![0; size]));
        let sent = (pair.a.session).send(now, id, MessageKind::Binary, payload);
        name(sent)
    };
    assert_eq!(send(&mut pair, 1000), "none");
    assert_eq!(send(&mut pair, 1001), "TypeError");
    exchange(&mut pair, |sdp| sdp.replace(line, ""));
    assert_eq!(pair.a.session.max_message_size(), Some(65_536));
    assert_eq!(send(&mut pair, 65_536), "none");
    assert_eq!(send(&mut pair, 65_537), "TypeError");
    exchange(&mut pair, |sdp| {
        sdp.replace(line, "a=max-message-size:0\r\n")
    });
    assert_eq!(pair.a.session.max_message_size(), Some(u64::MAX));
    assert_eq!(send(&mut pair, 65_537), "none");
}

#[test]
fn set_a_session_description_gives_channels_their_ids_once_the_dtls_role_is_negotiated() {
    let mut pair = apart(53);
    // A peer that takes a hundred streams.
    let wall_clock = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut parts = Parts::new(
        certificate(1),
        StdRng::seed_from_u64(3),
        pair.now(),
        wall_clock,
    );
    parts.sctp.inbound_streams = 100;
    pair.b.session = Session::new(Configuration::default(), parts).expect("a session");
    let first = channel(&mut pair.a);
    let agreed = (pair.a.session)
        .create_data_channel(negotiated(1))
        .expect("a channel");
    let second = channel(&mut pair.a);
    let ids = |side: &Side, channels: &[ChannelId]| -> Vec<Option<u16>> {
        let known = channels.iter();
        known
            .map(|id| side.session.channel_stream_id(*id))
            .collect()
    };
    assert_eq!(
        ids(&pair.a, &[first, agreed, second]),
        [None, Some(1), None]
    );
    exchange(&mut pair, str::to_owned);
    // The answerer is the DTLS client, whose ids are even (RFC 8832 §6); nothing has been sent yet.
    assert_eq!(
        ids(&pair.a, &[first, agreed, second]),
        [Some(3), Some(1), Some(5)]
    );
    let theirs = channel(&mut pair.b);
    assert_eq!(ids(&pair.b, &[theirs]), [Some(0)]);
    let again = pair.a.session.create_data_channel(negotiated(3));
    assert_eq!(name(again), "OperationError", "in use");
    let never = pair.a.session.create_data_channel(negotiated(65_535));
    assert_eq!(name(never), "TypeError");

    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.session.max_channels(), Some(100));
    let beyond = pair.a.session.create_data_channel(negotiated(100));
    assert_eq!(name(beyond), "OperationError");
    // An id does not change, also when the channel is gone.
    let now = pair.now();
    pair.a.session.close_channel(now, first);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.session.channel_state(first), ChannelState::Closed);
    assert_eq!(ids(&pair.a, &[first]), [Some(3)]);
}

#[test]
fn a_channel_that_no_id_is_left_for_fails_after_the_state_is_told() {
    let mut pair = apart(54);
    // The server of DTLS has 32,767 odd ids.
    let all: Vec<_> = (0..32_768).map(|_| channel(&mut pair.a)).collect();
    exchange(&mut pair, str::to_owned);
    let events = told(&mut pair.a);
    let state =
        |event: &Event| matches!(event, Event::SignalingStateChange(SignalingState::Stable));
    let failed = |event: &Event| match event {
        Event::ChannelClosed(id, Some(error)) => {
            assert_eq!(error.detail, crate::RtcErrorDetail::DataChannelFailure);
            Some(id) == all.last()
        }
        _ => false,
    };
    let places = [
        events.iter().position(state),
        events.iter().position(failed),
    ];
    assert!(places[0].is_some() && places[0] < places[1], "{places:?}");
    assert_eq!(events.iter().filter(|event| failed(event)).count(), 1);
}

#[test]
fn announcing_a_data_channel_instance_tells_of_the_channel_and_then_that_it_is_open() {
    let mut pair = apart(55);
    channel(&mut pair.a);
    exchange(&mut pair, str::to_owned);
    pair.run_for(Duration::from_secs(1));
    let events = pair.b.channels.as_slice();
    let [Event::ChannelIncoming(told), Event::ChannelOpen(open)] = events else {
        panic!("{events:?}");
    };
    assert_eq!(told, open);
}

#[test]
fn receiving_messages_on_a_data_channel_that_was_closed_here_discards_them() {
    let mut pair = established(56, LinkConfig::with_latency(Duration::from_millis(20)));
    let now = pair.now();
    let ours = pair.a.channel.expect("a channel");
    send(&mut pair.b, now, b"too late");
    pair.a.session.close_channel(now, ours);
    pair.run_for(Duration::from_secs(2));
    assert!(pair.a.messages.is_empty(), "{:?}", pair.a.messages);
    assert_eq!(pair.a.session.channel_state(ours), ChannelState::Closed);
    let theirs = pair.b.channel.expect("a channel");
    assert_eq!(pair.b.session.channel_state(theirs), ChannelState::Closed);
}

#[test]
fn close_the_connection_keeps_the_buffered_amount_and_tells_the_peer_the_cause() {
    let mut pair = established(57, LinkConfig::with_latency(Duration::from_millis(20)));
    let now = pair.now();
    let ours = pair.a.channel.expect("a channel");
    for _ in 0..20 {
        send(&mut pair.a, now, &[0; 50_000]);
    }
    let buffered = pair.a.session.buffered_amount(ours);
    assert!(buffered > 500_000);
    pair.a.session.close(now);
    assert_eq!(pair.a.session.buffered_amount(ours), buffered);
    pair.run_for(Duration::from_secs(1));
    let error = pair.b.channels.iter().find_map(|event| match event {
        Event::ChannelClosed(_, error) => error.clone(),
        _ => None,
    });
    let error = error.expect("an error");
    assert_eq!(error.detail, crate::RtcErrorDetail::SctpFailure);
    // User-Initiated Abort (RFC 9260 §3.3.10.12).
    assert_eq!(error.sctp_cause_code, Some(12));
}

#[test]
fn an_answer_without_the_section_for_data_ends_the_association_and_another_can_follow() {
    let mut pair = established(58, LinkConfig::with_latency(Duration::from_millis(5)));
    let ours = pair.a.channel.expect("a channel");
    exchange(&mut pair, |sdp| {
        let (start, rest) = sdp.split_once("m=application ").expect("a section");
        let (_, rest) = rest.split_once(' ').expect("a port");
        let rejected = format!("{start}m=application 0 {rest}");
        rejected.replace("BUNDLE 0 1 2", "BUNDLE 0 1")
    });
    assert_eq!(pair.a.session.sctp_transport(), None);
    assert_eq!(pair.a.session.sctp_state(), SctpTransportState::Closed);
    assert_eq!(pair.a.session.channel_state(ours), ChannelState::Closed);
    let events = told(&mut pair.a);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::SctpClosed))
    );
    let closed = |event: &Event| matches!(event, Event::ChannelClosed(id, None) if *id == ours);
    assert!(events.iter().any(closed), "{events:?}");
    let again = channel(&mut pair.a);
    assert_eq!(
        pair.a.session.channel_state(again),
        ChannelState::Connecting
    );
    let now = pair.now();
    let offer = describe(&mut pair.a, now);
    assert!(!offer.sdp.contains("m=application 0 "), "{}", offer.sdp);
    assert!(pair.a.session.sctp_transport().is_some());
}
