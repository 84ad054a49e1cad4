//! Perfect negotiation (W3C WebRTC §10.7): both sides change what they send whenever they like, at the same time, too.
//!
//!     cargo run --example perfect_negotiation

use media::MediaKind;
use peerconnection::{Configuration, Event, IceCandidateInit, PeerConnection, SdpType};
use peerconnection::{SessionDescription, SignalingState, TransceiverInit};
use std::error::Error;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Failure = Box<dyn Error + Send + Sync>;

/// What travels over the signaling server, which keeps the order.
enum Signal {
    Description(SessionDescription),
    Candidate(IceCandidateInit),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (ignored, sections) = run(20).await?;
    println!("{sections} media sections agreed on; {ignored} offers met another and were ignored");
    Ok(())
}

/// Both sides add a transceiver in every round, at once. How many offers were ignored, and how many sections there are.
pub(crate) async fn run(rounds: usize) -> Result<(usize, usize), Failure> {
    let impolite = PeerConnection::new(Configuration::default())?;
    let polite = PeerConnection::new(Configuration::default())?;
    let (to_polite, from_impolite) = unbounded_channel();
    let (to_impolite, from_polite) = unbounded_channel();
    let one = tokio::spawn(negotiate(impolite.clone(), false, to_polite, from_polite));
    let two = tokio::spawn(negotiate(polite.clone(), true, to_impolite, from_impolite));

    for _ in 0..rounds {
        for pc in [&impolite, &polite] {
            pc.add_transceiver(MediaKind::Audio, TransceiverInit::default())?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Done when both are stable and have heard of everything.
    let agreed = |pc: &PeerConnection| {
        let described = |description: Option<SessionDescription>| {
            description.is_some_and(|it| it.sdp.matches("m=audio").count() == 2 * rounds)
        };
        pc.signaling_state() == SignalingState::Stable && described(pc.local_description())
    };
    let both = async {
        while !agreed(&impolite) || !agreed(&polite) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both).await?;
    let sections = polite.transceivers().len();
    impolite.close();
    polite.close();
    Ok((one.await?? + two.await??, sections))
}

/// The pattern, for either side. How many offers it ignored.
async fn negotiate(
    pc: PeerConnection,
    polite: bool,
    signaling: UnboundedSender<Signal>,
    mut incoming: UnboundedReceiver<Signal>,
) -> Result<usize, Failure> {
    let mut events = pc.events();
    let mut ignored = 0;
    let mut ignoring = false;
    let describe = || {
        if let Some(description) = pc.local_description() {
            // Who is gone does not listen.
            drop(signaling.send(Signal::Description(description)));
        }
    };
    loop {
        tokio::select! {
            event = events.next() => match event {
                // The event may have waited while an offer came; the answer to that asks again.
                Some(Event::NegotiationNeeded) if pc.signaling_state() == SignalingState::Stable => {
                    pc.set_local_description(None).await?;
                    describe();
                }
                Some(Event::IceCandidate(Some(candidate))) => {
                    let _ = signaling.send(Signal::Candidate(candidate.to_init()));
                }
                Some(_) => {}
                None => return Ok(ignored),
            },
            Some(signal) = incoming.recv() => match signal {
                Signal::Description(description) => {
                    let offer = description.sdp_type == SdpType::Offer;
                    let collision = offer && pc.signaling_state() != SignalingState::Stable;
                    ignoring = collision && !polite;
                    if ignoring {
                        ignored += 1;
                        continue;
                    }
                    // The polite side's own offer is rolled back, and made again later.
                    pc.set_remote_description(&description).await?;
                    if offer {
                        pc.set_local_description(None).await?;
                        describe();
                    }
                }
                Signal::Candidate(candidate) => match pc.add_ice_candidate(Some(&candidate)).await {
                    Err(error) if !ignoring => println!("late: {error}"),
                    _ => {}
                },
            },
        }
    }
}
