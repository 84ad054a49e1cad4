//! Perfect negotiation (W3C WebRTC §10.7) between two sessions that change their minds at the same time.

use super::*;
use crate::states::TransceiverDirection as D;
use std::collections::VecDeque;

/// One side of the pattern.
struct Negotiator {
    polite: bool,
    ignored_offers: u32,
    /// What the peer sent and when it arrives; signaling keeps the order.
    inbox: VecDeque<(Instant, SessionDescription)>,
    tracks: u32,
    heard: u32,
}

impl Negotiator {
    fn new(polite: bool) -> Self {
        Negotiator {
            polite,
            ignored_offers: 0,
            inbox: VecDeque::new(),
            tracks: 0,
            heard: 0,
        }
    }

    /// `onnegotiationneeded`: what is to be sent, if anything.
    fn negotiate(&mut self, side: &mut Side, now: Instant) -> Option<SessionDescription> {
        side.drain(now);
        if std::mem::take(&mut side.negotiation_needed) == 0 {
            return None;
        }
        Some(describe(side, now))
    }

    /// `onmessage`: the answer to send, if there is one.
    fn receive(&mut self, side: &mut Side, now: Instant) -> Option<SessionDescription> {
        let due = self.inbox.front().is_some_and(|(due, _)| *due <= now);
        let (_, description) = self.inbox.pop_front().filter(|_| due)?;
        let offer = description.sdp_type == SdpType::Offer;
        let collision = offer && side.session.signaling_state() != SignalingState::Stable;
        if collision && !self.polite {
            self.ignored_offers += 1;
            return None;
        }
        self.heard += 1;
        side.session
            .set_remote_description(now, &description)
            .unwrap_or_else(|error| panic!("{error}: {}", description.sdp));
        offer.then(|| describe(side, now))
    }

    /// Something that changes what is wanted.
    fn change_something(&mut self, side: &mut Side, rng: &mut StdRng) {
        let live: Vec<_> = side
            .session
            .transceivers()
            .filter(|view| view.direction() != D::Stopped)
            .map(|view| (view.id(), view.sender_track().is_some()))
            .collect();
        let pick = |rng: &mut StdRng| live[rng.random_range(0..live.len())];
        let choice = rng.random_range(0..if live.is_empty() { 2 } else { 9 });
        let kind = match rng.random_range(0..2) {
            0 => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        self.tracks += 1;
        let name = format!("track-{}-{}", self.polite, self.tracks);
        let stream = vec![format!("stream-{}", rng.random_range(0..3))];
        let session = &mut side.session;
        let outcome = match choice {
            0 if live.len() < 8 => session.add_track(kind, name, stream).map(drop),
            1 if live.len() < 8 => session
                .add_transceiver(kind, Some(name), D::SendRecv, stream, vec![])
                .map(drop),
            2 => session.remove_track(pick(rng).0),
            3 | 4 => {
                let directions = [D::SendRecv, D::SendOnly, D::RecvOnly, D::Inactive];
                session.set_direction(pick(rng).0, directions[rng.random_range(0..4)])
            }
            5 => session.replace_track(pick(rng).0, Some(name)),
            6 => {
                session.restart_ice();
                Ok(())
            }
            _ if live.len() > 2 => session.stop_transceiver(pick(rng).0),
            _ => session
                .create_data_channel(ChannelConfig {
                    label: name,
                    ..ChannelConfig::default()
                })
                .map(drop),
        };
        outcome.expect("a change that is allowed");
    }
}

/// Moves signaling and network on until nothing is left to be said.
fn run(
    pair: &mut Pair<Side, Side>,
    sides: &mut [Negotiator; 2],
    rng: &mut StdRng,
    limit: Duration,
) {
    let end = pair.now() + limit;
    loop {
        let now = pair.now();
        let mut said = Vec::new();
        for (index, (negotiator, side)) in
            sides.iter_mut().zip([&mut pair.a, &mut pair.b]).enumerate()
        {
            let due = |it: &Negotiator| it.inbox.front().is_some_and(|(due, _)| *due <= now);
            while due(negotiator) {
                said.extend(negotiator.receive(side, now).map(|it| (1 - index, it)));
                said.extend(negotiator.negotiate(side, now).map(|it| (1 - index, it)));
            }
            said.extend(negotiator.negotiate(side, now).map(|it| (1 - index, it)));
        }
        for (to, description) in said {
            let inbox = &mut sides[to].inbox;
            let after = inbox.back().map_or(now, |(due, _)| *due);
            let due = now + Duration::from_millis(rng.random_range(1..60));
            inbox.push_back((due.max(after), description));
        }
        let quiet = sides.iter().all(|it| it.inbox.is_empty());
        if quiet || pair.now() >= end {
            return;
        }
        pair.run_for(Duration::from_millis(5));
    }
}

#[test]
fn two_hundred_simultaneous_renegotiations_end_in_agreement_with_media_and_data_flowing() {
    for seed in 0..5 {
        let link = LinkConfig::with_latency(Duration::from_millis(10));
        let mut pair = pair(seed, link);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sides = [Negotiator::new(false), Negotiator::new(true)];
        let mut collisions = 0;
        for _ in 0..200 {
            for (negotiator, side) in sides.iter_mut().zip([&mut pair.a, &mut pair.b]) {
                for _ in 0..rng.random_range(1..3) {
                    negotiator.change_something(side, &mut rng);
                }
            }
            // Some rounds begin before the one before them is over.
            let patience = Duration::from_millis(rng.random_range(0..400));
            run(&mut pair, &mut sides, &mut rng, patience);
            collisions += std::mem::take(&mut sides[0].ignored_offers);
        }
        run(&mut pair, &mut sides, &mut rng, Duration::from_secs(10));
        for side in [&pair.a, &pair.b] {
            assert_eq!(
                side.session.signaling_state(),
                SignalingState::Stable,
                "seed {seed}: {:?} {:?}",
                pair.a.session.signaling_state(),
                pair.b.session.signaling_state()
            );
        }
        assert!(collisions >= 50, "only {collisions} offers met another");
        pair.run_until(Duration::from_secs(60), |a, b| {
            a.is_connected() && b.is_connected()
        })
        .expect("both are connected");
        everything_flows(&mut pair);
    }
}

/// Each side sends on all that was agreed, and the other gets all of it, and a message on the channel.
pub(super) fn everything_flows(pair: &mut Pair<Side, Side>) {
    // What was sent before an agreement changed may still be on its way.
    pair.run_for(Duration::from_millis(500));
    for side in [&mut pair.a, &mut pair.b] {
        side.seen.clear();
        side.messages.clear();
    }
    let now = pair.now();
    for side in [&mut pair.a, &mut pair.b] {
        if side.channel.is_some() {
            send(side, now, b"still here");
        }
    }
    for number in 0..10 {
        let now = pair.now();
        write_frames(&mut pair.a, now, 1_000_000 + number);
        write_frames(&mut pair.b, now, 1_000_000 + number);
        pair.run_for(Duration::from_millis(20));
    }
    pair.run_for(Duration::from_secs(2));
    for (from, to) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
        let mut expected: Vec<TransceiverId> = from
            .session
            .transceivers()
            .filter(TransceiverView::may_send)
            .map(|sender| {
                let received = to.session.transceivers().find(|view| {
                    view.mid() == sender.mid()
                        && view.current_direction() == sender.current_direction().map(D::reversed)
                });
                received.expect("the same section on the other side").id()
            })
            .collect();
        expected.sort();
        let mut seen = to.seen.clone();
        seen.sort();
        assert_eq!(seen, expected, "what one side sends the other gets");
        if from.channel.is_some() {
            assert_eq!(to.messages, [Bytes::from_static(b"still here")]);
        }
    }
}

#[test]
fn a_restart_that_is_rolled_back_leaves_the_call_as_it_was() {
    let mut pair = established(21, LinkConfig::with_latency(Duration::from_millis(10)));
    for round in 0..3 {
        let now = pair.now();
        // The candidates of a generation that comes back have its credentials and another number.
        let described = |side: &Side| {
            let sdp = side.session.local_description().expect("described").sdp;
            let lines = sdp.lines().map(|line| line.split(" generation ").next());
            lines
                .map(|line| line.unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        let before = described(&pair.a);
        pair.a.session.restart_ice();
        describe(&mut pair.a, now);
        pair.run_for(Duration::from_millis(200));
        let now = pair.now();
        pair.a
            .session
            .set_local_description(now, Some(SessionDescription::rollback()))
            .expect("rolled back");
        assert_eq!(before, described(&pair.a), "round {round}");
        pair.run_for(Duration::from_secs(40));
        assert!(
            pair.a.is_connected() && pair.b.is_connected(),
            "round {round}"
        );
        everything_flows(&mut pair);
    }
    // The restart is still wanted, and works when the peer agrees.
    let now = pair.now();
    let offer = describe(&mut pair.a, now);
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
    pair.run_for(Duration::from_secs(2));
    everything_flows(&mut pair);
}
