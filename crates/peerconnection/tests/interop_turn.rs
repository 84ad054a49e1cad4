//! Whole connections through a real coturn, over every transport it has, with `iceTransportPolicy: relay`.

#![allow(
    clippy::disallowed_methods,
    reason = "real servers need the real clock"
)]

mod common;

use common::coturn::{Coturn, PASSWORD, USERNAME};
use common::{bounded, connect, exchange, loopback, negotiate_with, selected};
use peerconnection::ice::{CandidateType, Protocol};
use peerconnection::{
    Configuration, Endpoint, Event, IceServer, IceTransportPolicy, NetworkOptions, PeerConnection,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

fn relayed(urls: Vec<String>, password: &str) -> Configuration {
    Configuration {
        ice_servers: vec![IceServer {
            urls,
            username: Some(USERNAME.into()),
            credential: Some(password.into()),
        }],
        ice_transport_policy: IceTransportPolicy::Relay,
        ..Configuration::default()
    }
}

fn side(server: &Coturn, url: &str, udp: bool) -> PeerConnection {
    let network = NetworkOptions {
        udp,
        tls_roots: vec![server.certificate.clone()],
        ..loopback()
    };
    PeerConnection::builder(relayed(vec![url.into()], PASSWORD))
        .network(network)
        .build()
        .expect("a connection")
}

async fn call_through(url: impl Fn(&Coturn) -> String, protocol: Protocol) {
    let Some(server) = Coturn::start() else {
        return;
    };
    let url = url(&server);
    // TCP and TLS must not need a UDP socket.
    let udp = protocol == Protocol::Udp;
    let (alice, bob) = (side(&server, &url, udp), side(&server, &url, udp));
    let (ours, theirs) = connect(&alice, &bob).await;
    exchange(&ours, &theirs).await;
    exchange(&theirs, &ours).await;
    for side in [&alice, &bob] {
        let (local, remote) = selected(side);
        assert_eq!(local.typ, CandidateType::Relayed);
        assert_eq!(local.relay_protocol, Some(protocol));
        assert_eq!(local.url.as_deref(), Some(url.as_str()));
        assert!(matches!(
            remote.typ,
            CandidateType::Relayed | CandidateType::PeerReflexive
        ));
        let description = side.local_description().expect("a description");
        assert!(
            !description.sdp.contains("typ host") && !description.sdp.contains("typ srflx"),
            "{}",
            description.sdp
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_over_udp() {
    call_through(|server| format!("turn:{}", server.addr), Protocol::Udp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_over_tcp_without_any_udp_socket() {
    let url = |server: &Coturn| format!("turn:{}?transport=tcp", server.addr);
    call_through(url, Protocol::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_over_tls_by_address_without_any_udp_socket() {
    let url = |server: &Coturn| format!("turns:{}?transport=tcp", server.tls);
    call_through(url, Protocol::Tls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_over_tls_by_name() {
    let url = |server: &Coturn| format!("turns:localhost:{}?transport=tcp", server.tls.port());
    call_through(url, Protocol::Tls).await;
}

/// The code and text of every `icecandidateerror` of a side that gathers until it is done.
async fn errors_of(side: &PeerConnection) -> Vec<(String, u16, String)> {
    let mut events = side.events();
    side.create_data_channel("x", Default::default())
        .expect("a channel");
    side.set_local_description(None).await.expect("an offer");
    let mut errors = Vec::new();
    loop {
        match bounded("gathering", events.next()).await.expect("an event") {
            Event::IceCandidateError(error) => {
                // No candidate of a side that only relays has shown it.
                assert_eq!((error.address, error.port), (None, None));
                errors.push((error.url, error.error_code, error.error_text));
            }
            Event::IceCandidate(None) => return errors,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_an_untrusted_certificate_are_told() {
    let Some(server) = Coturn::start() else {
        return;
    };
    let url = format!("turn:{}", server.addr);
    let wrong = PeerConnection::builder(relayed(vec![url.clone()], "wrong"))
        .network(loopback())
        .build()
        .expect("a connection");
    let errors = errors_of(&wrong).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].0.as_str(), errors[0].1), (url.as_str(), 401));

    let url = format!("turns:{}", server.tls);
    let distrusting = PeerConnection::builder(relayed(vec![url.clone()], PASSWORD))
        .network(loopback())
        .build()
        .expect("a connection");
    let errors = errors_of(&distrusting).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].0.as_str(), errors[0].1), (url.as_str(), 701));
}

/// An allocation from this port that nobody releases, as a program that crashed leaves it behind.
fn leave_an_allocation(server: &Coturn, socket: &UdpSocket) {
    let credentials = turn::Credentials::password(USERNAME, PASSWORD);
    let config = turn::Config::new(server.addr, turn::Transport::Udp, credentials);
    let mut client = turn::Client::new(Instant::now(), config, StdRng::seed_from_u64(1));
    (socket.set_read_timeout(Some(Duration::from_secs(5)))).expect("set");
    let mut buf = Vec::new();
    while client.relayed().is_none() {
        buf.clear();
        while client.poll_transmit(Instant::now(), &mut buf).is_some() {
            socket.send_to(&buf, server.addr).expect("sent");
            buf.clear();
        }
        let mut answer = [0; 1500];
        let (length, from) = socket.recv_from(&mut answer).expect("an answer");
        client.handle_datagram(Instant::now(), from, &answer[..length]);
    }
}

/// Two neighbouring ports of 127.0.0.1, the first one bound.
fn two_ports() -> (UdpSocket, RangeInclusive<u16>) {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("bound").port();
        if port < u16::MAX && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return (socket, port..=port + 1);
        }
    }
}

/// RFC 8656 §7.4: 437 (Allocation Mismatch).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_whose_allocation_the_server_still_knows_gives_way_to_another() {
    let Some(server) = Coturn::start() else {
        return;
    };
    let (socket, ports) = two_ports();
    leave_an_allocation(&server, &socket);
    drop(socket);
    let url = format!("turn:{}", server.addr);
    let network = NetworkOptions {
        port_range: Some(ports.clone()),
        ..loopback()
    };
    let alice = PeerConnection::builder(relayed(vec![url.clone()], PASSWORD))
        .network(network)
        .build()
        .expect("a connection");
    let bob = side(&server, &url, true);
    let (ours, theirs) = connect(&alice, &bob).await;
    exchange(&ours, &theirs).await;
    exchange(&theirs, &ours).await;
    let (_, report) = alice.ice_reports().remove(0);
    let pair = (report.pairs.iter()).find(|pair| pair.selected);
    let pair = &pair.expect("a selected pair").pair;
    assert_eq!(pair.local.typ, CandidateType::Relayed, "{report}");
    assert_eq!(pair.path.local.port(), *ports.end(), "{report}");
}

/// A server knows one allocation of a port: the connections after the first get ports of their own for their relays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_on_one_port_relay_each_for_itself() {
    let Some(server) = Coturn::start() else {
        return;
    };
    let url = format!("turn:{}", server.addr);
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let mut calls = Vec::new();
    for _ in 0..3 {
        let alice =
            (endpoint.peer_connection(relayed(vec![url.clone()], PASSWORD))).expect("a connection");
        let bob = side(&server, &url, true);
        let (ours, theirs) = connect(&alice, &bob).await;
        assert_eq!(selected(&alice).0.typ, CandidateType::Relayed);
        calls.push((alice, bob, ours, theirs));
    }
    for (_, _, ours, theirs) in &calls {
        exchange(ours, theirs).await;
        exchange(theirs, ours).await;
    }
    let port = endpoint.local_addresses()[0];
    let on_it = calls.iter().filter(|(alice, ..)| {
        let (_, report) = alice.ice_reports().remove(0);
        let pair = report.pairs.iter().find(|pair| pair.selected);
        pair.is_some_and(|pair| pair.pair.path.local == port)
    });
    assert_eq!(on_it.count(), 1, "and the first has the port they share");
}

/// A dead server's error comes late; the connection does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_does_not_delay_a_living_one() {
    let Some(server) = Coturn::start() else {
        return;
    };
    // Sockets that never answer.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let dead = [
        format!("turn:{}", silent.local_addr().expect("bound")),
        format!("turn:{}?transport=tcp", mute.local_addr().expect("bound")),
        format!("turns:{}", mute.local_addr().expect("bound")),
    ];
    let urls: Vec<String> = (dead.iter().cloned())
        .chain([format!("turn:{}?transport=tcp", server.addr)])
        .collect();
    let make = || {
        PeerConnection::builder(relayed(urls.clone(), PASSWORD))
            .network(loopback())
            .build()
            .expect("a connection")
    };
    let (alice, bob) = (make(), make());
    let channel = alice
        .create_data_channel("x", Default::default())
        .expect("a channel");
    let (errors, mut told) = tokio::sync::mpsc::unbounded_channel();
    negotiate_with(&alice, &bob, move |offerer, event| {
        if let (true, Event::IceCandidateError(error)) = (offerer, event) {
            let _ = errors.send(error.clone());
        }
    })
    .await;
    bounded("the channel", channel.opened())
        .await
        .expect("open");
    assert!(
        told.try_recv().is_err(),
        "connected before any server was given up"
    );
    let mut urls: Vec<String> = Vec::new();
    while urls.len() < dead.len() {
        let error = bounded("the errors", told.recv()).await.expect("an error");
        assert_eq!(error.error_code, 701, "{error:?}");
        urls.push(error.url);
    }
    urls.sort();
    let mut expected = dead.to_vec();
    expected.sort();
    assert_eq!(urls, expected);
}
