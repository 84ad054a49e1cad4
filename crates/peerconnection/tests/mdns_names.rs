//! Host addresses behind `.local` names, as browsers hide them from pages that may not use camera or microphone.

mod common;

use common::{connect, exchange, loopback};
use peerconnection::{Configuration, PeerConnection, ice};

fn hiding(hides: bool) -> PeerConnection {
    let mut config = ice::Config::default();
    config.mdns = hides;
    PeerConnection::builder(Configuration::default())
        .network(loopback())
        .ice(config)
        .build()
        .expect("a connection")
}

/// The addresses in the candidate lines of a side's description.
fn announced(side: &PeerConnection) -> Vec<String> {
    let description = side.local_description().expect("a description");
    let lines = description.sdp.lines();
    let candidates = lines.filter(|line| line.starts_with("a=candidate:"));
    candidates
        .filter_map(|line| line.split(' ').nth(4).map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sides_that_hide_their_addresses_are_found_by_name() {
    for hides in [(true, true), (true, false), (false, true)] {
        let (alice, bob) = (hiding(hides.0), hiding(hides.1));
        let (ours, theirs) = connect(&alice, &bob).await;
        exchange(&ours, &theirs).await;
        for (side, hides) in [(&alice, hides.0), (&bob, hides.1)] {
            let announced = announced(side);
            assert!(!announced.is_empty());
            for address in announced {
                assert_eq!(address.ends_with(".local"), hides, "{address}");
            }
            let sdp = side.local_description().expect("a description").sdp;
            let lines = sdp.lines().filter(|line| line.starts_with("a=candidate:"));
            assert!(!hides || lines.into_iter().all(|line| !line.contains("127.0.0.1")));
        }
    }
}
