//! The sequences that the exploration of offer and answer goes through, on two whole sessions with a network between
//! them: after each, a clean exchange connects media.

use super::perfect::everything_flows;
use super::*;
use crate::session::jsep::tests::explore::{Step, explore};
use crate::states::TransceiverDirection as D;

struct Sequence {
    pair: Pair<Side, Side>,
    tracks: u32,
}

impl Sequence {
    fn new() -> Self {
        let (at_a, at_b) = (
            SocketAddr::new(Pair::A, 5000),
            SocketAddr::new(Pair::B, 6000),
        );
        let mut pair = Pair::over(
            1,
            LinkConfig::with_latency(Duration::from_millis(5)),
            |now| Side::new(2, at_a, now),
            |now| Side::new(3, at_b, now),
        );
        pair.b
            .session
            .add_track(MediaKind::Audio, "theirs".into(), vec![])
            .expect("a track");
        Sequence { pair, tracks: 0 }
    }

    fn take(&mut self, step: Step) {
        let now = self.pair.now();
        let (a, b) = (&mut self.pair.a, &mut self.pair.b);
        let first = |side: &Side, wanted: fn(&TransceiverView<'_>) -> bool| {
            let found = side.session.transceivers().find(wanted);
            found.map(|view| view.id())
        };
        // The exploration has shown which of these fail and how; here they only have to leave a working session.
        match step {
            Step::CreateOffer => drop(a.session.create_offer(&OfferOptions::default())),
            Step::CreateAnswer => drop(a.session.create_answer()),
            Step::SetLocal(SdpType::Rollback) => {
                let rollback = SessionDescription::rollback();
                drop(a.session.set_local_description(now, Some(rollback)));
            }
            Step::SetLocal(sdp_type) => {
                let empty = SessionDescription {
                    sdp_type,
                    sdp: String::new(),
                };
                let applied = a.session.set_local_description(now, Some(empty));
                gather(a, now);
                if applied.is_ok() && sdp_type != SdpType::Offer {
                    let answer = a.session.local_description().expect("the answer");
                    b.session
                        .set_remote_description(now, &answer)
                        .expect("taken");
                }
            }
            Step::SetRemote(SdpType::Rollback) => {
                let rollback = SessionDescription::rollback();
                drop(a.session.set_remote_description(now, &rollback));
            }
            Step::SetRemote(sdp_type) => {
                if let Some(description) = remote(a, b, now, sdp_type) {
                    a.session
                        .set_remote_description(now, &description)
                        .expect("taken");
                }
            }
            Step::AddTrack => {
                self.tracks += 1;
                let track = format!("track-{}", self.tracks);
                drop(a.session.add_track(MediaKind::Audio, track, vec![]));
            }
            Step::RemoveTrack => {
                if let Some(id) = first(a, |view| view.sender_track().is_some()) {
                    drop(a.session.remove_track(id));
                }
            }
            Step::AddTransceiver => {
                let video = MediaKind::Video;
                let added = a
                    .session
                    .add_transceiver(video, None, D::SendRecv, vec![], vec![]);
                drop(added);
            }
            Step::Stop => {
                if let Some(id) = first(a, |view| view.direction() != D::Stopped) {
                    drop(a.session.stop_transceiver(id));
                }
            }
            Step::CreateDataChannel => {
                if let Ok(id) = a.session.create_data_channel(ChannelConfig::default()) {
                    a.channel.get_or_insert(id);
                }
            }
            Step::Close => a.session.close(now),
        }
        self.pair.run_for(Duration::from_millis(30));
    }

    fn settle(&mut self) {
        use SignalingState as S;
        let now = self.pair.now();
        let (a, b) = (&mut self.pair.a, &mut self.pair.b);
        let provisional = |side: &Side| side.session.signaling_state() == S::HaveLocalPranswer;
        if provisional(a) || provisional(b) {
            let (answerer, offerer) = match provisional(a) {
                true => (&mut *a, &mut *b),
                false => (&mut *b, &mut *a),
            };
            let answer = describe(answerer, now);
            offerer
                .session
                .set_remote_description(now, &answer)
                .expect("taken");
        }
        for side in [a, b] {
            if side.session.signaling_state() != S::Stable {
                side.session
                    .set_local_description(now, Some(SessionDescription::rollback()))
                    .expect("rolled back");
            }
        }
    }

    fn check(mut self, path: &[Step]) {
        for step in path {
            self.take(*step);
        }
        if self.pair.a.session.is_closed() {
            let now = self.pair.now();
            self.pair.a.session.finish_close(now);
            self.pair.run_for(Duration::from_secs(1));
            assert!(self.pair.a.session.poll_timeout().is_none(), "{path:?}");
            return;
        }
        self.settle();
        let now = self.pair.now();
        let tracks = [(&mut self.pair.a, "last-a"), (&mut self.pair.b, "last-b")];
        for (side, track) in tracks {
            side.session
                .add_track(MediaKind::Video, track.into(), vec!["s".into()])
                .expect("a track");
        }
        exchange(&mut self.pair.a, &mut self.pair.b, now);
        exchange(&mut self.pair.b, &mut self.pair.a, now);
        let connected = self.pair.run_until(Duration::from_secs(60), |a, b| {
            a.is_connected() && b.is_connected() && (a.channel.is_none() || a.open)
        });
        assert!(connected.is_ok(), "{path:?} connects");
        let _named = Named(path);
        everything_flows(&mut self.pair);
        for side in [&self.pair.a, &self.pair.b] {
            let video = |view: &TransceiverView<'_>| view.kind() == MediaKind::Video;
            assert!(side.session.transceivers().filter(video).count() > 0);
            assert!(!side.seen.is_empty(), "{path:?}");
        }
    }
}

/// Says which sequence it was when a check fails.
struct Named<'a>(&'a [Step]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {:?}", self.0);
        }
    }
}

fn exchange(offerer: &mut Side, answerer: &mut Side, now: Instant) {
    let offer = describe(offerer, now);
    answerer
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let answer = describe(answerer, now);
    offerer
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
}

/// What the peer sends next, if it can send this at all.
fn remote(
    a: &mut Side,
    b: &mut Side,
    now: Instant,
    sdp_type: SdpType,
) -> Option<SessionDescription> {
    use SignalingState as S;
    let state = a.session.signaling_state();
    let offers = matches!(state, S::Stable | S::HaveLocalOffer | S::HaveRemoteOffer);
    let forgets = match sdp_type {
        SdpType::Offer if offers => true,
        SdpType::Offer => return None,
        _ => state == S::HaveLocalOffer,
    };
    if forgets && b.session.signaling_state() == S::HaveLocalOffer {
        b.session
            .set_local_description(now, Some(SessionDescription::rollback()))
            .expect("rolled back");
    }
    if sdp_type == SdpType::Offer {
        return Some(describe(b, now));
    }
    match state {
        S::HaveLocalOffer => {
            let offer = a.session.local_description()?;
            b.session
                .set_remote_description(now, &offer)
                .expect("taken");
        }
        S::HaveRemotePranswer => {}
        _ => return None,
    }
    let empty = SessionDescription {
        sdp_type,
        sdp: String::new(),
    };
    b.session
        .set_local_description(now, Some(empty))
        .expect("an answer");
    gather(b, now);
    b.session.local_description()
}

fn check_all(paths: &[Vec<Step>]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in paths.chunks(paths.len().div_ceil(threads)) {
            scope.spawn(move || part.iter().for_each(|path| Sequence::new().check(path)));
        }
    });
}

#[test]
fn after_any_sequence_of_two_steps_a_clean_exchange_connects_media() {
    check_all(&explore(2).paths);
}

/// `cargo xtask conformance` runs it.
#[test]
#[ignore = "takes a minute"]
fn after_any_sequence_of_five_steps_a_clean_exchange_connects_media() {
    let paths = explore(5).paths;
    check_all(&paths);
    println!(
        "{} sequences, one to every state, end in a call",
        paths.len()
    );
}
