//! Every sequence of operations up to a length, on a pair.
//!
//! Sequences that lead to the same state go on together: states are compared by everything they hold, with random
//! values replaced by the order of their appearance, and each state knows how many sequences lead to it. So all sequences of
//! a length are covered although each state's steps are taken once; the counts prove it.

use super::super::*;
use super::model::{Kind, Model, Verdict, heard};
use super::{negotiate, side};
use crate::states::TransceiverDirection;
use media::MediaKind;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the application of one side can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    CreateOffer,
    CreateAnswer,
    SetLocal(SdpType),
    SetRemote(SdpType),
    AddTrack,
    RemoveTrack,
    AddTransceiver,
    Stop,
    CreateDataChannel,
    Close,
}

pub(crate) const STEPS: [Step; 16] = [
    Step::CreateOffer,
    Step::CreateAnswer,
    Step::SetLocal(SdpType::Offer),
    Step::SetLocal(SdpType::Answer),
    Step::SetLocal(SdpType::Pranswer),
    Step::SetLocal(SdpType::Rollback),
    Step::SetRemote(SdpType::Offer),
    Step::SetRemote(SdpType::Answer),
    Step::SetRemote(SdpType::Pranswer),
    Step::SetRemote(SdpType::Rollback),
    Step::AddTrack,
    Step::RemoveTrack,
    Step::AddTransceiver,
    Step::Stop,
    Step::CreateDataChannel,
    Step::Close,
];

/// A pair: `a` takes the steps and `b` is the peer that its signaling needs.
struct World {
    a: Jsep,
    b: Jsep,
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut b = side(2);
        b.add_track(MediaKind::Audio, "theirs".into(), vec![])
            .expect("a track");
        World {
            a: side(1),
            b,
            model: Model::new(),
        }
    }

    fn copy(&self) -> Self {
        World {
            a: copy(&self.a),
            b: copy(&self.b),
            model: self.model.clone(),
        }
    }

    /// Takes one step with the model beside it.
    fn take(&mut self, step: Step, path: &[Step]) {
        let _named = Named(path);
        let (real, expected) = self.both(step);
        let real = real
            .map(|notices| heard(&notices))
            .map_err(|error| (error.name(), error));
        match (real, expected) {
            (Ok(real), Ok(expected)) => assert_eq!(real, expected, "events of {path:?}"),
            (Err((name, _)), Err(expected)) => assert_eq!(name, expected, "{path:?}"),
            (real, expected) => panic!("{path:?}: {real:?} where {expected:?} is specified"),
        }
        self.model.agrees_with(&self.a, &path);
        // The queued task of "update the negotiation-needed flag".
        assert_eq!(
            self.a.update_negotiation_needed(),
            self.model.update_negotiation_needed(),
            "negotiationneeded after {path:?}"
        );
    }

    fn both(&mut self, step: Step) -> (Result<Vec<Notice>, Error>, Verdict) {
        let none = |result: Result<(), Error>| result.map(|()| Vec::new());
        let World { a, b, model } = self;
        match step {
            Step::CreateOffer => (none(a.create_offer(false).map(drop)), model.create_offer()),
            Step::CreateAnswer => (none(a.create_answer().map(drop)), model.create_answer()),
            Step::SetLocal(sdp_type) => {
                let last = match sdp_type {
                    SdpType::Offer => &a.last_offer,
                    SdpType::Answer | SdpType::Pranswer => &a.last_answer,
                    SdpType::Rollback => &None,
                };
                let sdp = last
                    .as_ref()
                    .map(|(sdp, _)| sdp.clone())
                    .unwrap_or_default();
                let outcome = a.set_local(Some(SessionDescription { sdp_type, sdp }));
                if outcome.is_ok() && matches!(sdp_type, SdpType::Answer | SdpType::Pranswer) {
                    let answer = to_description(a.local().expect("the answer"));
                    b.set_remote(&answer).expect("the peer takes the answer");
                }
                (outcome, model.set_local(sdp_type))
            }
            Step::SetRemote(SdpType::Rollback) => (
                a.set_remote(&SessionDescription::rollback()),
                model.rollback(),
            ),
            Step::SetRemote(sdp_type) => {
                let description = match remote(a, b, sdp_type) {
                    Some(description) => description,
                    // Nobody would send it now; it is refused before it is read.
                    None => SessionDescription {
                        sdp_type,
                        sdp: "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n".into(),
                    },
                };
                let expected = model.set_remote(&description);
                let outcome = a.yield_to(&description).and_then(|mut notices| {
                    notices.extend(a.set_remote(&description)?);
                    Ok(notices)
                });
                (outcome, expected)
            }
            Step::AddTrack => {
                let taken = |name: &String| {
                    a.transceivers
                        .iter()
                        .any(|it| it.sender.track.as_ref() == Some(name))
                };
                let name = (0..).map(|number| format!("track-{number}"));
                let track = name.into_iter().find(|name| !taken(name)).expect("a name");
                (
                    none(a.add_track(MediaKind::Audio, track, vec![]).map(drop)),
                    model.add_track(Kind::Audio),
                )
            }
            Step::RemoveTrack => {
                let first = a.transceivers.iter().find(|it| it.sender.track.is_some());
                let outcome = match first.map(|it| it.id) {
                    Some(id) => a.remove_track(id),
                    None => a.check_open(),
                };
                (none(outcome), model.remove_track())
            }
            Step::AddTransceiver => (
                none(
                    a.add_transceiver(
                        MediaKind::Video,
                        None,
                        TransceiverDirection::SendRecv,
                        vec![],
                        vec![],
                    )
                    .map(drop),
                ),
                model.add_transceiver(Kind::Video),
            ),
            Step::Stop => {
                let first = a.transceivers.iter().find(|it| !it.stopping);
                let outcome = match first.map(|it| it.id) {
                    Some(id) => a.stop_transceiver(id),
                    None => a.check_open(),
                };
                (none(outcome), model.stop())
            }
            Step::CreateDataChannel => {
                let outcome = a.check_open();
                a.wants_data |= outcome.is_ok();
                (none(outcome), model.create_data_channel())
            }
            Step::Close => {
                a.close();
                (Ok(Vec::new()), model.close())
            }
        }
    }

    /// Whatever has happened, the two can agree again.
    fn check_recovery(&self, path: &[Step]) {
        if self.a.state == SignalingState::Closed {
            return;
        }
        let _named = Named(path);
        let mut world = self.copy();
        settle(&mut world.a, &mut world.b);
        let (a, b) = (&mut world.a, &mut world.b);
        negotiate(a, b);
        negotiate(b, a);
        for side in [&*a, &*b] {
            assert_eq!(side.state, SignalingState::Stable, "{path:?}");
            assert!(!side.is_negotiation_needed(), "{path:?}");
        }
        for (index, slot) in a.slots.iter().enumerate() {
            let theirs = &b.slots[index];
            assert_eq!(
                (&slot.mid, &slot.kind),
                (&theirs.mid, &theirs.kind),
                "{path:?}"
            );
            assert_eq!(slot.rejected, theirs.rejected, "{path:?}");
            let ours = slot.transceiver.and_then(|id| a.transceiver(id));
            let theirs = theirs.transceiver.and_then(|id| b.transceiver(id));
            let (Some(ours), Some(theirs)) = (ours, theirs) else {
                assert!(ours.is_none() && theirs.is_none(), "{path:?}");
                continue;
            };
            let direction = ours.current_direction.expect("an agreed direction");
            assert_eq!(
                theirs.current_direction,
                Some(direction.reversed()),
                "{path:?}"
            );
            assert_eq!(ours.mid, theirs.mid, "{path:?}");
            assert!(!ours.sender.codecs.is_empty(), "{path:?}");
            assert!(!direction.receives() || ours.receiver.codecs == theirs.sender.codecs);
        }
        for (ours, theirs) in [(&*a, &*b), (&*b, &*a)] {
            let told = theirs.current_remote.as_ref().expect("a description");
            let own = ours.current_local.as_ref().expect("a description");
            for (told, own) in told.described.sections.iter().zip(&own.described.sections) {
                assert_eq!(
                    (&told.ice_ufrag, &told.ice_pwd),
                    (&own.ice_ufrag, &own.ice_pwd)
                );
            }
        }
    }
}

/// Says which sequence it was when an exchange fails.
struct Named<'a>(&'a [Step]);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {:?}", self.0);
        }
    }
}

/// What the peer sends next, if it can send this at all.
fn remote(a: &Jsep, b: &mut Jsep, sdp_type: SdpType) -> Option<SessionDescription> {
    use SignalingState as S;
    let forget = |b: &mut Jsep| {
        if b.state == S::HaveLocalOffer {
            b.rollback().expect("a rollback");
        }
    };
    if sdp_type == SdpType::Offer {
        if !matches!(a.state, S::Stable | S::HaveLocalOffer | S::HaveRemoteOffer) {
            return None;
        }
        forget(b);
        let offer = b.create_offer(false).expect("the peer's offer");
        b.set_local(Some(offer.clone())).expect("the peer's offer");
        return Some(offer);
    }
    match a.state {
        S::HaveLocalOffer => {
            forget(b);
            let offer = to_description(a.pending_local.as_ref()?);
            b.set_remote(&offer).expect("the peer takes the offer");
        }
        S::HaveRemotePranswer => {}
        _ => return None,
    }
    b.create_answer().expect("the peer's answer");
    let answer = SessionDescription {
        sdp_type,
        sdp: String::new(),
    };
    b.set_local(Some(answer)).expect("the peer's answer");
    Some(to_description(b.local()?))
}

/// Brings both sides back to stable.
fn settle(a: &mut Jsep, b: &mut Jsep) {
    use SignalingState as S;
    if a.state == S::HaveLocalPranswer || b.state == S::HaveLocalPranswer {
        let (answerer, offerer) = match a.state {
            S::HaveLocalPranswer => (&mut *a, &mut *b),
            _ => (&mut *b, &mut *a),
        };
        answerer
            .set_local(Some(SessionDescription::answer("")))
            .expect("the final answer");
        let answer = to_description(answerer.local().expect("the answer"));
        offerer.set_remote(&answer).expect("the final answer");
    }
    for side in [a, b] {
        if side.state != S::Stable {
            side.rollback().expect("a rollback");
        }
    }
}

/// The same side again; a generator of random values cannot be copied, so the copy gets a new one.
fn copy(side: &Jsep) -> Jsep {
    static SEED: AtomicU64 = AtomicU64::new(0);
    use rand::SeedableRng;
    Jsep {
        rng: StdRng::seed_from_u64(SEED.fetch_add(1, Ordering::Relaxed)),
        policy: side.policy,
        facts: side.facts.clone(),
        state: side.state,
        current_local: side.current_local.clone(),
        pending_local: side.pending_local.clone(),
        current_remote: side.current_remote.clone(),
        pending_remote: side.pending_remote.clone(),
        last_offer: side.last_offer.clone(),
        last_answer: side.last_answer.clone(),
        transceivers: side.transceivers.clone(),
        slots: side.slots.clone(),
        next_transceiver: side.next_transceiver,
        next_transport: side.next_transport,
        catalogue: side.catalogue.clone(),
        numbers: side.numbers.clone(),
        session_id: side.session_id,
        version: side.version,
        cname: side.cname.clone(),
        default_stream: side.default_stream.clone(),
        wants_data: side.wants_data,
        identity: side.identity.clone(),
        always_data: side.always_data,
        requires_cryptex: side.requires_cryptex,
        ice_lite: side.ice_lite,
        renominates: side.renominates,
        to_replace: side.to_replace.clone(),
        needs_ice_restart: side.needs_ice_restart,
        negotiation_needed: side.negotiation_needed,
        stable: side.stable.clone(),
        peer_trickles: side.peer_trickles,
    }
}

/// Everything that a side holds, as text. The SDP of descriptions is left out: it says the same as what it was written from.
fn write_state(side: &Jsep, text: &mut String) {
    let Jsep {
        rng: _,
        policy: _,
        facts: _,
        state,
        current_local,
        pending_local,
        current_remote,
        pending_remote,
        last_offer,
        last_answer,
        transceivers,
        slots,
        next_transceiver,
        next_transport,
        catalogue: _,
        numbers,
        session_id: _,
        version: _,
        cname: _,
        default_stream: _,
        wants_data,
        identity: _,
        always_data: _,
        requires_cryptex: _,
        ice_lite: _,
        renominates: _,
        to_replace,
        needs_ice_restart: _,
        negotiation_needed,
        stable,
        peer_trickles,
    } = side;
    let described = [current_local, pending_local, current_remote, pending_remote].map(|applied| {
        applied
            .as_ref()
            .map(|it| (it.sdp_type, &it.described.bundle, &it.described.sections))
    });
    let created = [last_offer, last_answer].map(|created| {
        created
            .as_ref()
            .map(|(_, described)| (&described.bundle, &described.sections))
    });
    let rest = (
        state,
        transceivers,
        slots,
        next_transceiver,
        next_transport,
        numbers,
        wants_data,
        to_replace,
        negotiation_needed,
        stable,
        peer_trickles,
    );
    write!(text, "{described:?}{created:?}{rest:?}").expect("text");
}

/// The random values that a side holds.
fn random_values(side: &Jsep, values: &mut HashMap<String, usize>) {
    let mut add = |value: String| {
        let next = values.len();
        values.entry(value).or_insert(next);
    };
    let applied = [
        &side.current_local,
        &side.pending_local,
        &side.current_remote,
        &side.pending_remote,
    ];
    let described = applied.into_iter().flatten().map(|it| &it.described).chain(
        [&side.last_offer, &side.last_answer]
            .into_iter()
            .flatten()
            .map(|it| &it.1),
    );
    for section in described.flat_map(|it| &it.sections) {
        add(section.ice_ufrag.clone());
        add(section.ice_pwd.clone());
        for track in section.msids.iter().filter_map(|it| it.track.clone()) {
            add(track);
        }
        for source in &section.sources {
            add(source.ssrc.to_string());
            source.rtx.iter().for_each(|it| add(it.to_string()));
        }
    }
    for credentials in &side.to_replace {
        add(credentials.ufrag.clone());
        add(credentials.pwd.clone());
    }
    let stable = side.stable.iter().flat_map(|it| &it.transceivers);
    for transceiver in side.transceivers.iter().chain(stable) {
        add(transceiver.sender.announced_track.clone());
        add(transceiver.receiver.track.clone());
        for encoding in &transceiver.sender.encodings {
            add(encoding.ssrc.to_string());
            add(encoding.rtx.to_string());
        }
    }
}

/// A number that two worlds share when nothing but random values tells them apart.
fn fingerprint(world: &World) -> u128 {
    let mut values = HashMap::new();
    random_values(&world.a, &mut values);
    random_values(&world.b, &mut values);
    let mut text = String::with_capacity(1 << 16);
    write_state(&world.a, &mut text);
    write_state(&world.b, &mut text);
    let mut order: HashMap<usize, usize> = HashMap::new();
    let (mut one, mut two) = (DefaultHasher::new(), DefaultHasher::new());
    two.write_u8(1);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let word = is_word(bytes[start]);
        let length = bytes[start..]
            .iter()
            .position(|&byte| is_word(byte) != word)
            .unwrap_or(bytes.len() - start);
        let piece = &text[start..start + length];
        match values.get(piece).filter(|_| word && !piece.is_empty()) {
            Some(value) => {
                let next = order.len();
                let place = *order.entry(*value).or_insert(next);
                one.write_usize(place);
                two.write_usize(place);
            }
            None => {
                piece.hash(&mut one);
                piece.hash(&mut two);
            }
        }
        start += length;
    }
    world.model.hash(&mut one);
    world.model.hash(&mut two);
    u128::from(one.finish()) << 64 | u128::from(two.finish())
}

/// A state, a sequence that leads to it, and how many do.
struct Reached {
    world: World,
    path: Vec<Step>,
    sequences: u64,
}

/// What an exploration went through.
pub(crate) struct Explored {
    /// Sequences of every length.
    pub(crate) sequences: Vec<u64>,
    /// Different states among them.
    pub(crate) states: Vec<usize>,
    /// One sequence to every state.
    pub(crate) paths: Vec<Vec<Step>>,
}

/// Takes every sequence of up to `length` steps.
pub(crate) fn explore(length: usize) -> Explored {
    let start = Reached {
        world: World::new(),
        path: Vec::new(),
        sequences: 1,
    };
    let mut explored = Explored {
        sequences: vec![1],
        states: vec![1],
        paths: vec![Vec::new()],
    };
    // What is known to recover, whatever the length of the sequence.
    let mut recovered: HashMap<u128, ()> = HashMap::new();
    let mut level = vec![start];
    for depth in 1..=length {
        let mut next: HashMap<u128, Reached> = HashMap::new();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = level.len().div_ceil(threads).max(1);
        let parts: Vec<Vec<(u128, Reached)>> = std::thread::scope(|scope| {
            let recovered = &recovered;
            let workers: Vec<_> = level
                .chunks(share)
                .map(|part| scope.spawn(move || successors(part, recovered, depth == length)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("no step panics"))
                .collect()
        });
        for (key, reached) in parts.into_iter().flatten() {
            recovered.insert(key, ());
            match next.get_mut(&key) {
                Some(known) => known.sequences += reached.sequences,
                None => {
                    next.insert(key, reached);
                }
            }
        }
        level = next.into_values().collect();
        explored
            .sequences
            .push(level.iter().map(|it| it.sequences).sum());
        explored.states.push(level.len());
        explored
            .paths
            .extend(level.iter().map(|it| it.path.clone()));
    }
    explored
}

fn successors(part: &[Reached], recovered: &HashMap<u128, ()>, last: bool) -> Vec<(u128, Reached)> {
    let mut found: HashMap<u128, Reached> = HashMap::new();
    for reached in part {
        for step in STEPS {
            let mut world = reached.world.copy();
            let mut path = reached.path.clone();
            path.push(step);
            world.take(step, &path);
            let key = fingerprint(&world);
            match found.get_mut(&key) {
                Some(known) => known.sequences += reached.sequences,
                None => {
                    if !recovered.contains_key(&key) {
                        world.check_recovery(&path);
                    }
                    if last {
                        // Nothing follows: the state itself is not needed any more.
                        world = World::new();
                    }
                    let sequences = reached.sequences;
                    found.insert(
                        key,
                        Reached {
                            world,
                            path,
                            sequences,
                        },
                    );
                }
            }
        }
    }
    found.into_iter().collect()
}

fn all_sequences(length: u32) -> Explored {
    let explored = explore(length as usize);
    let expected: Vec<u64> = (0..=length).map(|length| 16_u64.pow(length)).collect();
    assert_eq!(explored.sequences, expected);
    explored
}

#[test]
fn every_sequence_of_four_steps_keeps_to_the_text_and_negotiates_afterwards() {
    all_sequences(4);
}

/// `cargo xtask conformance` runs it.
#[test]
#[ignore = "takes half a minute"]
fn every_sequence_of_six_steps_keeps_to_the_text_and_negotiates_afterwards() {
    let explored = all_sequences(6);
    for (length, (sequences, states)) in explored.sequences.iter().zip(&explored.states).enumerate()
    {
        println!("length {length}: {sequences} sequences through {states} states");
    }
}
