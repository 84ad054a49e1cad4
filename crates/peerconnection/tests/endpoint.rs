//! Many connections on one UDP port.

mod common;

use common::{bounded, exchange, loopback, selected};
use peerconnection::{
    Configuration, DataChannel, DataChannelInit, Endpoint, EndpointOptions, NetworkOptions,
    PeerConnection, PeerConnectionState, ice,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn endpoint(readers: usize) -> Endpoint {
    Endpoint::with_options(EndpointOptions {
        addresses: vec!["127.0.0.1:0".parse().expect("an address")],
        readers,
        ..EndpointOptions::default()
    })
    .expect("a port")
}

fn client() -> PeerConnection {
    PeerConnection::builder(Configuration::default())
        .network(loopback())
        .build()
        .expect("a connection")
}

/// A channel at each end of a connection.
fn channel(side: &PeerConnection) -> DataChannel {
    let init = DataChannelInit {
        negotiated: true,
        id: Some(1),
        ..DataChannelInit::default()
    };
    side.create_data_channel("test", init).expect("a channel")
}

/// Offer and answer; host candidates are in them.
async fn describe(offerer: &PeerConnection, answerer: &PeerConnection) {
    offerer.set_local_description(None).await.expect("an offer");
    let offer = offerer.local_description().expect("the offer");
    (answerer.set_remote_description(&offer).await).expect("taken");
    (answerer.set_local_description(None).await).expect("an answer");
    let answer = answerer.local_description().expect("the answer");
    (offerer.set_remote_description(&answer).await).expect("taken");
}

async fn call(offerer: &PeerConnection, answerer: &PeerConnection) -> (DataChannel, DataChannel) {
    let channels = (channel(offerer), channel(answerer));
    describe(offerer, answerer).await;
    for channel in [&channels.0, &channels.1] {
        bounded("open", channel.opened()).await.expect("open");
    }
    channels
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_share_a_port_and_get_what_is_theirs() {
    let endpoint = endpoint(2);
    let port = endpoint.local_addresses()[0];
    let mut calls = Vec::new();
    for number in 0..8 {
        let server = endpoint
            .peer_connection(Configuration::default())
            .expect("a connection");
        let client = client();
        // The offer from either side.
        let (theirs, ours) = match number % 2 {
            0 => call(&client, &server).await,
            _ => {
                let (ours, theirs) = call(&server, &client).await;
                (theirs, ours)
            }
        };
        assert_eq!(selected(&server).0.socket_addr(), Some(port));
        assert_eq!(selected(&client).1.socket_addr(), Some(port));
        calls.push((server, client, ours, theirs));
    }
    assert_eq!(endpoint.connections(), 8);
    let traffic = calls.iter().map(|(_, _, ours, theirs)| {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        tokio::spawn(async move {
            exchange(&ours, &theirs).await;
            exchange(&theirs, &ours).await;
        })
    });
    for done in traffic.collect::<Vec<_>>() {
        done.await.expect("what was sent");
    }
    // One by one they go; those that stay notice nothing.
    while let Some((server, client, ours, theirs)) = calls.pop() {
        exchange(&ours, &theirs).await;
        server.close();
        bounded("the end", async { while theirs.recv().await.is_some() {} }).await;
        client.close();
        assert_eq!(endpoint.connections(), calls.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_ice_finds_its_connection_on_the_port() {
    let endpoint = endpoint(1);
    let server = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    let other = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    let (client, stranger) = (client(), client());
    let (theirs, ours) = call(&client, &server).await;
    call(&stranger, &other).await;
    for (offerer, answerer) in [(&client, &server), (&server, &client)] {
        let before = selected(&server).0.ufrag;
        offerer.restart_ice();
        describe(offerer, answerer).await;
        let moved = async {
            while selected(&server).0.ufrag == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        bounded("the new pair", moved).await;
        exchange(&ours, &theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_datagrams_are_counted_and_disturb_nobody() {
    let endpoint = endpoint(2);
    let port = endpoint.local_addresses()[0];
    let server = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    let client = client();
    let (theirs, ours) = call(&client, &server).await;
    let ufrag = selected(&server).0.ufrag.expect("a fragment");
    let flood = tokio::task::spawn_blocking(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut rng = StdRng::seed_from_u64(3);
        // Checks that know the fragment, but not the password.
        let mut check = Vec::new();
        let id = stun::TransactionId([7; 12]);
        stun::Writer::new(&mut check, stun::Class::Request, stun::Method::BINDING, id)
            .ice_username(&ufrag, "stranger")
            .priority(1)
            .ice_controlling(1)
            .finish_with(
                &stun::IntegrityKey::short_term("not the password of it"),
                true,
            );
        for round in 0..20_000 {
            let mut datagram = check.clone();
            match round % 4 {
                0 => {}
                1 => {
                    let at = rng.random_range(0..datagram.len());
                    datagram[at] = rng.random();
                }
                2 => datagram.truncate(rng.random_range(0..datagram.len())),
                _ => {
                    datagram = (0..rng.random_range(0..300))
                        .map(|_| rng.random())
                        .collect()
                }
            }
            let _ = socket.send_to(&datagram, port);
            if round % 100 == 0 {
                // What the kernel drops for want of room shows nothing.
                pause();
            }
        }
    });
    while !flood.is_finished() {
        exchange(&ours, &theirs).await;
    }
    flood.await.expect("sent");
    exchange(&theirs, &ours).await;
    let dropped = endpoint.dropped();
    assert!(
        dropped.unknown_address > 100 && dropped.malformed > 0,
        "{dropped:?}"
    );
    assert_eq!(server.connection_state(), PeerConnectionState::Connected);
    assert_eq!(client.connection_state(), PeerConnectionState::Connected);
    let (_, report) = server.ice_reports().remove(0);
    assert_eq!(report.pairs.len(), 1, "no stranger's pair:\n{report}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "on a thread for this alone, without a runtime"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Whether a port can be bound again before long.
async fn is_free_again(port: SocketAddr) {
    let free = async {
        while UdpSocket::bind(port).is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    bounded("the port", free).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_stays_open_for_the_last_connection_and_no_longer() {
    let endpoint = endpoint(2);
    let port = endpoint.local_addresses()[0];
    let server = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    let client = client();
    let (theirs, ours) = call(&client, &server).await;
    drop(endpoint);
    exchange(&ours, &theirs).await;
    drop((server, ours));
    is_free_again(port).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_nobody_holds_gives_its_port_back() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    let network = NetworkOptions {
        port_range: Some(port.port()..=port.port()),
        ..loopback()
    };
    let pc = PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection");
    pc.create_data_channel("never", DataChannelInit::default())
        .expect("a channel");
    pc.set_local_description(None).await.expect("an offer");
    assert!(UdpSocket::bind(port).is_err(), "it is in use");
    drop(pc);
    is_free_again(port).await;
}

#[test]
fn an_endpoint_needs_a_runtime_and_an_address() {
    let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    assert!(Endpoint::bind(address).is_err());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _within = runtime.enter();
    let nowhere = EndpointOptions {
        addresses: Vec::new(),
        ..EndpointOptions::default()
    };
    assert!(Endpoint::with_options(nowhere).is_err());
    // Nobody here has this address (RFC 5737).
    assert!(Endpoint::bind("192.0.2.1:0".parse().expect("an address")).is_err());
    let everywhere = Endpoint::bind("0.0.0.0:0".parse().expect("an address")).expect("bound");
    let addresses = everywhere.local_addresses();
    assert!(!addresses.is_empty() && addresses.iter().all(|one| !one.ip().is_unspecified()));
    assert!(
        addresses
            .iter()
            .all(|one| one.port() == addresses[0].port())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_gathered_in_advance_are_on_the_port_too() {
    let endpoint = endpoint(1);
    let pooling = Configuration {
        ice_candidate_pool_size: 2,
        ..Configuration::default()
    };
    for server_offers in [false, true] {
        let server = (endpoint.peer_connection(pooling.clone())).expect("a connection");
        let client = client();
        let (ours, theirs) = match server_offers {
            true => call(&server, &client).await,
            false => {
                let (theirs, ours) = call(&client, &server).await;
                (ours, theirs)
            }
        };
        exchange(&ours, &theirs).await;
        let port = selected(&server).0.socket_addr();
        assert_eq!(port, Some(endpoint.local_addresses()[0]));
    }
}

/// RFC 8445 §2.5: a server with a public address answers checks and sends none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lite_server_is_reached_whoever_offers() {
    let endpoint = endpoint(1);
    for server_offers in [false, true] {
        let mut config = ice::Config::default();
        config.lite = true;
        let server = (endpoint.builder(Configuration::default()).ice(config))
            .build()
            .expect("a connection");
        let client = client();
        let (ours, theirs) = match server_offers {
            true => call(&server, &client).await,
            false => {
                let (theirs, ours) = call(&client, &server).await;
                (ours, theirs)
            }
        };
        exchange(&ours, &theirs).await;
        exchange(&theirs, &ours).await;
        let sdp = server.local_description().expect("a description").sdp;
        assert!(sdp.contains("a=ice-lite"), "{sdp}");
        let (_, report) = server.ice_reports().remove(0);
        assert_eq!(report.role, ice::Role::Controlled);
        assert!((report.pairs.iter()).all(|pair| pair.stats.requests_sent == 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_name_the_address_outside() {
    let endpoint = Endpoint::with_options(EndpointOptions {
        addresses: vec!["127.0.0.1:0".parse().expect("an address")],
        external: vec!["203.0.113.5".parse().expect("an address")],
        ..EndpointOptions::default()
    })
    .expect("a port");
    let server = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    channel(&server);
    server.set_local_description(None).await.expect("an offer");
    let port = endpoint.local_addresses()[0].port();
    let sdp = server.local_description().expect("the offer").sdp;
    assert!(
        sdp.contains(&format!("203.0.113.5 {port} typ host")),
        "{sdp}"
    );
}

/// A client that has TCP alone.
fn tcp_client() -> PeerConnection {
    let network = NetworkOptions {
        udp: false,
        ..loopback()
    };
    PeerConnection::builder(Configuration::default())
        .network(network)
        .build()
        .expect("a connection")
}

fn tcp_endpoint() -> Endpoint {
    Endpoint::with_options(EndpointOptions {
        addresses: vec!["127.0.0.1:0".parse().expect("an address")],
        tcp: true,
        ..EndpointOptions::default()
    })
    .expect("a port")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_udp_share_a_tcp_port() {
    let endpoint = tcp_endpoint();
    let port = endpoint.tcp_addresses()[0];
    let mut calls = Vec::new();
    for number in 0..6 {
        let server = endpoint
            .peer_connection(Configuration::default())
            .expect("a connection");
        // Some have UDP, too: both ports serve the same connections.
        let client = if number % 3 == 2 {
            client()
        } else {
            tcp_client()
        };
        let (theirs, ours) = match number % 2 {
            0 => call(&client, &server).await,
            _ => {
                let (ours, theirs) = call(&server, &client).await;
                (theirs, ours)
            }
        };
        if number % 3 != 2 {
            let (local, remote) = selected(&server);
            assert_eq!(local.socket_addr(), Some(port));
            assert_eq!(local.tcp_type, Some(ice::TcpType::Passive));
            assert_eq!(remote.protocol, ice::Protocol::Tcp);
        }
        calls.push((server, client, ours, theirs));
    }
    for (_, _, ours, theirs) in &calls {
        exchange(ours, theirs).await;
        exchange(theirs, ours).await;
    }
    while let Some((server, client, ours, theirs)) = calls.pop() {
        exchange(&ours, &theirs).await;
        server.close();
        bounded("the end", async { while theirs.recv().await.is_some() {} }).await;
        client.close();
    }
    assert_eq!(endpoint.refused(), Default::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_connections_are_counted_and_keep_nobody_out() {
    use std::io::{Read, Write};
    let endpoint = tcp_endpoint();
    let port = endpoint.tcp_addresses()[0];
    let strangers = tokio::task::spawn_blocking(move || {
        let connect = || std::net::TcpStream::connect(port).expect("accepted");
        let ends = |mut stream: std::net::TcpStream| {
            let limit = Duration::from_secs(20);
            stream.set_read_timeout(Some(limit)).expect("set");
            assert!(matches!(stream.read(&mut [0; 10]), Ok(0) | Err(_)));
        };
        // Nothing of ICE, in a frame; a frame too long; a check for nobody.
        let mut other = connect();
        other.write_all(b"\x00\x05hello").expect("sent");
        ends(other);
        let mut long = connect();
        long.write_all(b"\xff\xffGET / HTTP/1.1").expect("sent");
        ends(long);
        let mut check = vec![0, 0];
        let id = stun::TransactionId([7; 12]);
        stun::Writer::new(&mut check, stun::Class::Request, stun::Method::BINDING, id)
            .ice_username("nobody", "stranger")
            .finish(true);
        let len = (check.len() - 2) as u16;
        check[..2].copy_from_slice(&len.to_be_bytes());
        let mut nobody = connect();
        nobody.write_all(&check).expect("sent");
        ends(nobody);
        // As many as may wait say nothing.
        (0..64).map(|_| connect()).collect::<Vec<_>>()
    });
    let silent = bounded("the strangers", strangers).await.expect("no panic");
    let server = endpoint
        .peer_connection(Configuration::default())
        .expect("a connection");
    // It waits for its turn: until they have had their time.
    let client = tcp_client();
    let (theirs, ours) = call(&client, &server).await;
    exchange(&ours, &theirs).await;
    assert_eq!(endpoint.dropped().unknown_ufrag, 1);
    let refused = endpoint.refused();
    assert_eq!(refused.malformed, 2, "{refused:?}");
    assert!((1..=64).contains(&refused.silent), "{refused:?}");
    drop(silent);
}
