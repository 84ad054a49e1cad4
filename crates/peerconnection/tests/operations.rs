//! The operations chain (W3C WebRTC §4.4.1.2) and `negotiationneeded` (§4.7.3), with an identity provider that takes its
//! time.

use media::{MediaKind, MediaStreamTrack, TrackInit};
use peerconnection::{
    Configuration, Event, IdentityFuture, IdentityProvider, IdentityProviderOptions,
    IdentityValidation, NetworkOptions, OfferOptions, PeerConnection, SdpType, SignalingState,
    TransceiverDirection, TransceiverInit,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Vouches for this side when it is let.
struct Slow(Arc<Semaphore>);

impl IdentityProvider for Slow {
    fn domain(&self) -> &str {
        "slow.example"
    }

    fn generate_assertion<'a>(
        &'a self,
        contents: &'a str,
        _: &'a IdentityProviderOptions,
    ) -> IdentityFuture<'a, String> {
        Box::pin(async move {
            let allowed = self.0.acquire().await;
            allowed.map_err(|closed| closed.to_string())?.forget();
            Ok(contents.to_owned())
        })
    }

    fn validate_assertion<'a>(&'a self, _: &'a str) -> IdentityFuture<'a, IdentityValidation> {
        Box::pin(async { Err("nobody is trusted".to_owned()) })
    }
}

fn connection() -> PeerConnection {
    let network = NetworkOptions {
        addresses: Some(vec![[127, 0, 0, 1].into()]),
        ..NetworkOptions::default()
    };
    let builder = PeerConnection::builder(Configuration::default()).network(network);
    builder.build().expect("a connection")
}

/// A connection whose next description waits for the semaphore.
fn slow_connection() -> (PeerConnection, Arc<Semaphore>) {
    let (pc, gate) = (connection(), Arc::new(Semaphore::new(0)));
    let provider = Arc::new(Slow(Arc::clone(&gate)));
    pc.set_identity_provider(provider, IdentityProviderOptions::default())
        .expect("set");
    (pc, gate)
}

fn track(kind: MediaKind) -> MediaStreamTrack {
    MediaStreamTrack::new(kind, TrackInit::default()).0
}

/// Lets every task run until all of them wait.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn needed(events: &mut peerconnection::Events) -> usize {
    let all = std::iter::from_fn(|| events.try_next());
    all.filter(|event| matches!(event, Event::NegotiationNeeded))
        .count()
}

async fn offer_of_sound() -> peerconnection::SessionDescription {
    let alice = connection();
    alice
        .add_track(&track(MediaKind::Audio), &[])
        .expect("a sender");
    let offer = alice.create_offer(&OfferOptions::default()).await;
    offer.expect("an offer")
}

#[tokio::test]
async fn chain_an_operation_runs_what_is_called_meanwhile_afterwards_and_in_order() {
    let offer = offer_of_sound().await;
    let (bob, gate) = slow_connection();
    let opener = async {
        settle().await;
        // The answer waits for the provider, and everything behind it for the answer.
        assert_eq!(bob.signaling_state(), SignalingState::HaveRemoteOffer);
        gate.add_permits(1);
    };
    let options = OfferOptions::default();
    let (taken, answered, added, offered, ()) = tokio::join!(
        bob.set_remote_description(&offer),
        bob.set_local_description(None),
        bob.add_ice_candidate(None),
        // Refused while the peer's offer waits: its turn comes later.
        bob.create_offer(&options),
        opener,
    );
    taken.expect("taken");
    answered.expect("an answer");
    added.expect("the end of candidates");
    assert_eq!(offered.expect("an offer").sdp_type, SdpType::Offer);
    assert_eq!(bob.signaling_state(), SignalingState::Stable);
}

#[tokio::test]
async fn chain_an_operation_replaces_a_track_in_its_turn() {
    let (pc, gate) = slow_connection();
    let sender = pc
        .add_track(&track(MediaKind::Audio), &[])
        .expect("a sender");
    let other = track(MediaKind::Audio);
    let opener = async {
        settle().await;
        assert_ne!(
            sender.track().map(|it| it.id().to_owned()).as_deref(),
            Some(other.id())
        );
        gate.add_permits(1);
    };
    let (described, replaced, ()) = tokio::join!(
        pc.set_local_description(None),
        sender.replace_track(Some(&other)),
        opener
    );
    described.expect("an offer");
    replaced.expect("replaced");
    assert_eq!(
        sender.track().map(|it| it.id().to_owned()).as_deref(),
        Some(other.id())
    );
    let video = track(MediaKind::Video);
    let refused = sender.replace_track(Some(&video)).await;
    assert_eq!(refused.map_err(|error| error.name()), Err("TypeError"));
}

#[tokio::test]
async fn update_the_negotiation_needed_flag_waits_until_the_chain_is_empty() {
    let offer = offer_of_sound().await;
    let (bob, gate) = slow_connection();
    let mut events = bob.events();
    bob.set_remote_description(&offer).await.expect("taken");
    let opener = async {
        settle().await;
        let init = TransceiverInit::default();
        bob.add_transceiver(MediaKind::Video, init)
            .expect("a transceiver");
        bob.create_data_channel("", Default::default())
            .expect("a channel");
        settle().await;
        assert_eq!(needed(&mut events), 0, "while the answer is made");
        gate.add_permits(1);
        settle().await;
    };
    let (answered, ()) = tokio::join!(bob.set_local_description(None), opener);
    answered.expect("an answer");
    settle().await;
    assert_eq!(needed(&mut events), 1, "once, for both");
    // Also when nothing else is in the chain, and the state is stable all the time.
    let (alone, gate) = slow_connection();
    let mut events = alone.events();
    let options = OfferOptions::default();
    let opener = async {
        settle().await;
        let init = TransceiverInit {
            direction: TransceiverDirection::RecvOnly,
            ..TransceiverInit::default()
        };
        alone
            .add_transceiver(MediaKind::Video, init)
            .expect("a transceiver");
        settle().await;
        assert_eq!(needed(&mut events), 0);
        gate.add_permits(1);
    };
    let (offered, ()) = tokio::join!(alone.create_offer(&options), opener);
    assert!(offered.expect("an offer").sdp.contains("m=video"));
    settle().await;
    assert_eq!(needed(&mut events), 1);
}

#[tokio::test]
async fn an_operation_that_is_dropped_leaves_the_chain() {
    let (pc, gate) = slow_connection();
    let mut events = pc.events();
    pc.add_track(&track(MediaKind::Audio), &[])
        .expect("a sender");
    settle().await;
    assert_eq!(needed(&mut events), 1);
    let given_up =
        tokio::time::timeout(Duration::from_millis(20), pc.set_local_description(None)).await;
    assert!(given_up.is_err(), "the provider was not let");
    assert_eq!(pc.signaling_state(), SignalingState::Stable);
    gate.add_permits(1);
    pc.set_local_description(None).await.expect("an offer");
    assert_eq!(pc.signaling_state(), SignalingState::HaveLocalOffer);
}

#[tokio::test]
async fn operations_that_wait_when_the_connection_is_closed_fail() {
    let (pc, gate) = slow_connection();
    let options = OfferOptions::default();
    let closer = async {
        settle().await;
        pc.close();
        gate.add_permits(2);
    };
    let (first, second, ()) =
        tokio::join!(pc.create_offer(&options), pc.create_offer(&options), closer);
    let third = pc.create_answer().await;
    for outcome in [first, second, third] {
        assert_eq!(
            outcome.map_err(|error| error.name()),
            Err("InvalidStateError")
        );
    }
}

#[tokio::test]
async fn create_offer_with_legacy_options_changes_transceivers_when_it_is_called() {
    let (pc, gate) = slow_connection();
    let first = OfferOptions::default();
    let second = OfferOptions {
        offer_to_receive_audio: Some(true),
        ..OfferOptions::default()
    };
    let opener = async {
        settle().await;
        // The second waits for the first, its transceiver does not.
        assert_eq!(pc.transceivers().len(), 1);
        gate.add_permits(2);
    };
    let (one, two, ()) = tokio::join!(pc.create_offer(&first), pc.create_offer(&second), opener);
    assert!(one.expect("an offer").sdp.contains("m=audio"));
    assert!(two.expect("an offer").sdp.contains("m=audio"));
}
