//! ICE-TCP (RFC 6544) between whole connections on loopback.

mod common;

use common::{bounded, connect, exchange, loopback, negotiate_with, selected};
use peerconnection::ice::{Protocol, TcpType};
use peerconnection::{Configuration, NetworkOptions, PeerConnection};
use std::io::{Read, Write};
use std::time::Duration;

fn tcp_only(kinds: &[TcpType]) -> PeerConnection {
    let network = NetworkOptions {
        udp: false,
        tcp: kinds.to_vec(),
        ..loopback()
    };
    PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection")
}

async fn call(ours: &[TcpType], theirs: &[TcpType]) -> [(TcpType, TcpType); 2] {
    let (alice, bob) = (tcp_only(ours), tcp_only(theirs));
    let (one, other) = connect(&alice, &bob).await;
    exchange(&one, &other).await;
    exchange(&other, &one).await;
    [&alice, &bob].map(|side| {
        let (local, remote) = selected(side);
        assert_eq!(
            (local.protocol, remote.protocol),
            (Protocol::Tcp, Protocol::Tcp)
        );
        let kinds = (local.tcp_type, remote.tcp_type);
        (kinds.0.expect("a kind"), kinds.1.expect("a kind"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_side_connects_to_a_passive_one_from_either_end() {
    use TcpType::{Active, Passive};
    assert_eq!(
        call(&[Active], &[Passive]).await,
        [(Active, Passive), (Passive, Active)]
    );
    assert_eq!(
        call(&[Passive], &[Active]).await,
        [(Passive, Active), (Active, Passive)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_open_at_once() {
    use TcpType::SimultaneousOpen;
    for _ in 0..5 {
        // The peer's candidate may still be known from its check alone.
        let kinds = call(&[SimultaneousOpen], &[SimultaneousOpen]).await;
        assert_eq!(kinds.map(|(ours, _)| ours), [SimultaneousOpen; 2]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn udp_is_preferred_where_it_works() {
    let make = |tcp: TcpType| {
        let network = NetworkOptions {
            tcp: vec![tcp],
            ..loopback()
        };
        PeerConnection::builder(Configuration::default())
            .network(network)
            .build()
            .expect("a connection")
    };
    let (alice, bob) = (make(TcpType::Active), make(TcpType::Passive));
    let (one, other) = connect(&alice, &bob).await;
    exchange(&one, &other).await;
    assert_eq!(selected(&alice).0.protocol, Protocol::Udp);
}

/// The address that a passive side listens on, from its description.
async fn listening_port(side: &PeerConnection) -> u16 {
    let mut events = side.events();
    side.create_data_channel("x", Default::default())
        .expect("a channel");
    side.set_local_description(None).await.expect("an offer");
    loop {
        if let Some(peerconnection::Event::IceCandidate(Some(candidate))) = events.next().await
            && candidate.tcp_type() == Some(TcpType::Passive)
        {
            return candidate.port().expect("a port");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_sent_away_and_those_who_say_nothing_too() {
    let side = tcp_only(&[TcpType::Passive]);
    let port = bounded("a candidate", listening_port(&side)).await;
    let outcome = tokio::task::spawn_blocking(move || {
        let connect = || std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let mut stranger = connect();
        (stranger.set_read_timeout(Some(Duration::from_secs(20)))).expect("set");
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        // A length of 0x4745 is announced; what follows never fills it, and the first message is overdue.
        let mut silent = connect();
        (silent.set_read_timeout(Some(Duration::from_secs(20)))).expect("set");
        let mut rest = Vec::new();
        // Closed, or reset because bytes were unread.
        let ends = |end: std::io::Result<usize>| !matches!(end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
        (
            ends(stranger.read_to_end(&mut rest)),
            ends(silent.read_to_end(&mut rest)),
            rest.len(),
        )
    });
    let outcome = bounded("both are sent away", outcome).await;
    assert_eq!(outcome.expect("ran"), (true, true, 0));
}

/// A peer whose TCP connection stands still while UDP works: nothing waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_tcp_candidate_delays_nothing() {
    let network = NetworkOptions {
        tcp: vec![TcpType::Active],
        ..loopback()
    };
    let make = || {
        PeerConnection::builder(Configuration::default())
            .network(network.clone())
            .build()
            .expect("a connection")
    };
    let (alice, bob) = (make(), make());
    let channel = alice
        .create_data_channel("x", Default::default())
        .expect("a channel");
    // Accepts and never reads or writes.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    negotiate_with(&alice, &bob, |_, _| ()).await;
    let port = mute.local_addr().expect("bound").port();
    let candidate = peerconnection::IceCandidateInit {
        candidate: format!(
            "candidate:9 1 tcp 2147483647 127.0.0.1 {port} typ host tcptype passive"
        ),
        sdp_m_line_index: Some(0),
        ..Default::default()
    };
    (alice.add_ice_candidate(Some(&candidate)).await).expect("taken");
    bounded("the channel", channel.opened())
        .await
        .expect("open");
    assert_eq!(selected(&alice).0.protocol, Protocol::Udp);
}
