//! What tests over real sockets share.

#![allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "each test file takes what it needs; real servers need the real clock"
)]

pub(crate) mod coturn;

use peerconnection::ice;
use peerconnection::{
    DataChannel, DataChannelInit, Event, Events, Message, NetworkOptions, PeerConnection,
};
use std::time::Duration;

/// On 127.0.0.1 alone.
pub(crate) fn loopback() -> NetworkOptions {
    NetworkOptions {
        addresses: Some(vec![[127, 0, 0, 1].into()]),
        ..NetworkOptions::default()
    }
}

/// Fails a test that waits for ever.
pub(crate) async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: nothing for 30 s"),
    }
}

/// Carries the candidates of one side to the other, until there are no more events.
fn trickle(mut events: Events, to: PeerConnection, mut tell: impl FnMut(&Event) + Send + 'static) {
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            tell(&event);
            if let Event::IceCandidate(candidate) = event {
                let init = candidate.map(|candidate| candidate.to_init());
                // The other side may be closed by now.
                let _ = to.add_ice_candidate(init.as_ref()).await;
            }
        }
    });
}

/// Offer and answer, with trickled candidates; every event is shown to `tell`, with `true` for the offerer's.
pub(crate) async fn negotiate_with(
    offerer: &PeerConnection,
    answerer: &PeerConnection,
    tell: impl Fn(bool, &Event) + Clone + Send + 'static,
) {
    let (offerers, answerers) = (offerer.events(), answerer.events());
    offerer.set_local_description(None).await.expect("an offer");
    let offer = offerer.local_description().expect("the offer");
    (answerer.set_remote_description(&offer).await).expect("taken");
    (answerer.set_local_description(None).await).expect("an answer");
    let answer = answerer.local_description().expect("the answer");
    (offerer.set_remote_description(&answer).await).expect("taken");
    let also = tell.clone();
    trickle(offerers, answerer.clone(), move |event| tell(true, event));
    trickle(answerers, offerer.clone(), move |event| also(false, event));
}

/// A channel from each to the other, over a fresh connection.
pub(crate) async fn connect(
    offerer: &PeerConnection,
    answerer: &PeerConnection,
) -> (DataChannel, DataChannel) {
    let init = || DataChannelInit {
        negotiated: true,
        id: Some(1),
        ..DataChannelInit::default()
    };
    let ours = offerer.create_data_channel("test", init());
    let theirs = answerer.create_data_channel("test", init());
    let (ours, theirs) = (ours.expect("a channel"), theirs.expect("a channel"));
    negotiate_with(offerer, answerer, |_, _| ()).await;
    let opened = async { (ours.opened().await, theirs.opened().await) };
    match tokio::time::timeout(Duration::from_secs(30), opened).await {
        Ok((Ok(()), Ok(()))) => {}
        other => {
            for (name, side) in [("offerer", offerer), ("answerer", answerer)] {
                for (number, report) in side.ice_reports() {
                    eprintln!("{name}, transport {number}:\n{report}");
                }
            }
            panic!("not connected: {other:?}");
        }
    }
    (ours, theirs)
}

/// Sends messages of many sizes one way and checks every byte.
pub(crate) async fn exchange(from: &DataChannel, to: &DataChannel) {
    let sent = |round: usize| -> Vec<u8> {
        let size = 1 + round * 997;
        (0..size).map(|index| (index * 31 + round) as u8).collect()
    };
    let sending = async {
        for round in 0..100 {
            from.send(sent(round)).await.expect("sent");
        }
    };
    let receiving = async {
        for round in 0..100 {
            let message = to.recv().await.expect("a message");
            assert!(
                message == Message::Binary(sent(round).into()),
                "round {round}"
            );
        }
    };
    bounded("messages", async { tokio::join!(sending, receiving) }).await;
}

/// The pair in use on one side, as `(local, remote)`, read from the report.
pub(crate) fn selected(side: &PeerConnection) -> (ice::Candidate, ice::Candidate) {
    let (_, report) = side.ice_reports().remove(0);
    let pair = (report.pairs.into_iter()).find(|pair| pair.selected);
    let pair = pair.expect("a selected pair");
    (pair.pair.local, pair.pair.remote)
}
