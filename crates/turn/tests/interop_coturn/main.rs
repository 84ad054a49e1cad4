//! The client against a real server: coturn, started on loopback by each test and ended by its process id.
//!
//! Where `turnserver` is not installed the tests say so and pass; the test environment installs it.
#![allow(
    clippy::disallowed_methods,
    reason = "real sockets need the real clock"
)]

mod harness;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use harness::{Coturn, Datagrams, Link, Stream, link};
use rand::SeedableRng;
use rand::rngs::StdRng;
use turn::{
    Config, Credentials, DataConnection, DataState, Event, Families, RelayProtocol, State,
    Transport,
};

fn config(server: &Coturn, transport: Transport) -> Config {
    Config::new(
        server.addr,
        transport,
        Credentials::password("alice", "secret"),
    )
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

/// Allocates, then sends to a peer and back twice: in indications, and over a channel.
fn relays_both_ways<L: Link>(mut link: L) -> L {
    let allocated = link.wait(|event| matches!(event, Event::Allocated { .. }));
    let Event::Allocated { relayed, .. } = allocated else {
        unreachable!()
    };
    let peer = peer();
    let peer_addr = peer.local_addr().unwrap();
    let mut buf = [0; 100];

    let now = Instant::now();
    link.client().create_permission(now, peer_addr.ip());
    link.wait(|event| *event == Event::PermissionInstalled(peer_addr.ip()));
    link.send(peer_addr, b"hello");
    assert_eq!(peer.recv_from(&mut buf).unwrap(), (5, relayed));
    assert_eq!(&buf[..5], b"hello");
    peer.send_to(b"welcome", relayed).unwrap();
    assert_eq!(link.receive(), (peer_addr, b"welcome".to_vec()));

    link.client().bind_channel(now, peer_addr);
    link.wait(|event| matches!(event, Event::ChannelBound { peer, .. } if *peer == peer_addr));
    link.send(peer_addr, b"by channel");
    assert_eq!(peer.recv_from(&mut buf).unwrap(), (10, relayed));
    peer.send_to(b"odd", relayed).unwrap();
    assert_eq!(link.receive(), (peer_addr, b"odd".to_vec()));

    // Every timer of the next ten minutes comes early: permission, channel and allocation are refreshed.
    let before = link.client().stats().responses_received;
    link.client().handle_timeout(now + Duration::from_secs(595));
    link.run(|client| client.stats().responses_received >= before + 3);
    assert_eq!(link.client().state(), State::Allocated);
    link
}

fn closes<L: Link>(mut link: L) {
    link.client().close(Instant::now());
    link.wait(|event| *event == Event::Closed);
    assert_eq!(link.client().state(), State::Closed);
}

#[test]
fn relays_over_udp() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    closes(relays_both_ways(link(
        Datagrams::new(),
        config(&server, Transport::Udp),
    )));
}

#[test]
fn relays_over_tcp() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    closes(relays_both_ways(link(
        Stream::connect(server.addr),
        config(&server, Transport::Stream),
    )));
}

#[test]
fn says_that_the_password_is_wrong() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    let mut config = config(&server, Transport::Udp);
    config.credentials = Credentials::password("alice", "wrong");
    let mut link = link(Datagrams::new(), config);
    let event = link.wait(|event| matches!(event, Event::AllocationFailed(_)));
    assert!(
        matches!(&event, Event::AllocationFailed(failure) if failure.code == Some(401)),
        "{event:?}"
    );
}

#[test]
fn a_second_allocation_on_the_same_ports_is_a_mismatch() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    let mut first = link(Datagrams::new(), config(&server, Transport::Udp));
    first.wait(|event| matches!(event, Event::Allocated { .. }));
    let mut second = link(first.socket().again(), config(&server, Transport::Udp));
    let event = second.wait(|event| matches!(event, Event::AllocationFailed(_)));
    assert!(
        matches!(&event, Event::AllocationFailed(failure) if failure.code == Some(437)),
        "{event:?}"
    );
}

#[test]
fn takes_a_new_nonce_when_the_old_one_is_stale() {
    let Some(server) = Coturn::start(&["--stale-nonce=1"]) else {
        return;
    };
    let mut link = link(Datagrams::new(), config(&server, Transport::Udp));
    link.wait(|event| matches!(event, Event::Allocated { .. }));
    link.idle(Duration::from_millis(2100));
    let (requests, now) = (link.client().stats().requests_sent, Instant::now());
    link.client().create_permission(now, [127, 0, 0, 1].into());
    link.wait(|event| matches!(event, Event::PermissionInstalled(_)));
    assert_eq!(
        link.client().stats().requests_sent,
        requests + 2,
        "one was refused for its nonce"
    );
}

#[test]
fn goes_where_the_server_sends_it() {
    let Some(target) = Coturn::start(&[]) else {
        return;
    };
    let Some(server) = Coturn::start(&[&format!("--alternate-server={}", target.addr)]) else {
        return;
    };
    let mut over_udp = link(Datagrams::new(), config(&server, Transport::Udp));
    over_udp.wait(|event| matches!(event, Event::Allocated { .. }));
    assert_eq!(over_udp.client().server(), target.addr);

    let mut over_tcp = link(
        Stream::connect(server.addr),
        config(&server, Transport::Stream),
    );
    let event = over_tcp.wait(|event| matches!(event, Event::TryAlternate { .. }));
    assert_eq!(
        event,
        Event::TryAlternate {
            server: target.addr,
            domain: None
        }
    );
}

#[test]
fn an_allocation_follows_its_client_to_another_port() {
    let Some(server) = Coturn::start(&["--mobility"]) else {
        return;
    };
    let mut config = config(&server, Transport::Udp);
    config.mobility = true;
    let mut link = link(Datagrams::new(), config);
    let Event::Allocated { relayed, .. } =
        link.wait(|event| matches!(event, Event::Allocated { .. }))
    else {
        return;
    };
    let peer = peer();
    let peer_addr = peer.local_addr().unwrap();
    link.client().bind_channel(Instant::now(), peer_addr);
    link.wait(|event| matches!(event, Event::ChannelBound { .. }));

    let before = link.client().stats().responses_received;
    *link.socket() = Datagrams::new();
    assert!(link.client().migrate(Instant::now()));
    link.run(|client| client.stats().responses_received > before);
    link.send(peer_addr, b"moved");
    let mut buf = [0; 100];
    assert_eq!(peer.recv_from(&mut buf).unwrap(), (5, relayed));
    peer.send_to(b"found you", relayed).unwrap();
    assert_eq!(link.receive(), (peer_addr, b"found you".to_vec()));
}

#[test]
fn an_even_port_reserves_the_next_one() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    let mut even = config(&server, Transport::Udp);
    even.even_port = Some(true);
    let mut first = link(Datagrams::new(), even);
    let event = first.wait(|event| matches!(event, Event::Allocated { .. }));
    let Event::Allocated {
        relayed,
        reservation_token: Some(token),
        ..
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(relayed.port() % 2, 0);

    let mut reserved = config(&server, Transport::Udp);
    reserved.reservation_token = Some(token);
    let mut second = link(Datagrams::new(), reserved);
    let event = second.wait(|event| matches!(event, Event::Allocated { .. }));
    assert!(
        matches!(event, Event::Allocated { relayed: next, .. } if next.port() == relayed.port() + 1),
        "{event:?}"
    );
}

#[test]
fn relays_to_ipv6_peers() {
    let Some(server) = Coturn::start(&["--relay-ip=::1"]) else {
        return;
    };
    let mut config = config(&server, Transport::Udp);
    config.families = Families::V6;
    let mut link = link(Datagrams::new(), config);
    let event = link.wait(|event| matches!(event, Event::Allocated { .. }));
    let Event::Allocated { relayed, .. } = event else {
        unreachable!()
    };
    assert!(relayed.is_ipv6());
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let peer_addr = peer.local_addr().unwrap();
    link.client().bind_channel(Instant::now(), peer_addr);
    link.wait(|event| matches!(event, Event::ChannelBound { .. }));
    link.send(peer_addr, b"six");
    assert_eq!(peer.recv_from(&mut [0; 100]).unwrap(), (3, relayed));
}

#[test]
fn what_the_server_need_not_grant_is_asked_for_in_case_it_does() {
    for (arguments, requests, has_ticket, has_v6) in [
        (&[][..], 3, false, false),
        (&["--mobility"], 2, true, false),
        (&["--relay-ip=::1"], 3, false, true),
        (&["--mobility", "--relay-ip=::1"], 2, true, true),
    ] {
        let Some(server) = Coturn::start(arguments) else {
            return;
        };
        let mut config = config(&server, Transport::Udp);
        config.mobility = true;
        config.families = Families::Both;
        let mut link = link(Datagrams::new(), config);
        let event = link.wait(|event| matches!(event, Event::Allocated { .. }));
        let Event::Allocated { relayed_other, .. } = event else {
            unreachable!()
        };
        assert_eq!(
            link.client().stats().requests_sent,
            requests,
            "{arguments:?}"
        );
        assert_eq!(relayed_other.is_some(), has_v6, "{arguments:?}");
        assert_eq!(link.client().can_migrate(), has_ticket, "{arguments:?}");
    }
}

#[test]
fn tcp_allocations_connect_both_ways() {
    let Some(server) = Coturn::start(&[]) else {
        return;
    };
    let mut config = config(&server, Transport::Stream);
    config.relay = RelayProtocol::Tcp;
    let mut link = link(Stream::connect(server.addr), config);
    let event = link.wait(|event| matches!(event, Event::Allocated { .. }));
    let Event::Allocated { relayed, .. } = event else {
        unreachable!()
    };

    // To a peer that listens.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer_addr = listener.local_addr().unwrap();
    let now = Instant::now();
    link.client().create_permission(now, peer_addr.ip());
    link.wait(|event| matches!(event, Event::PermissionInstalled(_)));
    link.client().connect(now, peer_addr);
    let event =
        link.wait(|event| matches!(event, Event::Connected { .. } | Event::ConnectFailed { .. }));
    let Event::Connected {
        peer,
        connection_id,
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!(peer, peer_addr);
    let (ours, rest) = bind(link.client(), connection_id);
    let (theirs, _) = listener.accept().unwrap();
    talk(ours, rest, theirs);

    // From a peer that connects.
    let theirs = TcpStream::connect(relayed).unwrap();
    let event = link.wait(|event| matches!(event, Event::ConnectionAttempt { .. }));
    let Event::ConnectionAttempt {
        peer,
        connection_id,
    } = event
    else {
        unreachable!()
    };
    assert_eq!(peer, theirs.local_addr().unwrap());
    let (ours, rest) = bind(link.client(), connection_id);
    talk(ours, rest, theirs);
}

fn bind(client: &turn::Client, connection_id: u32) -> (TcpStream, Vec<u8>) {
    let mut data = DataConnection::new(
        Instant::now(),
        client,
        connection_id,
        StdRng::seed_from_u64(5),
    );
    let mut stream = TcpStream::connect(client.server()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut buf = Vec::new();
    let mut rest = Vec::new();
    while *data.state() == DataState::Binding {
        buf.clear();
        if data.poll_transmit(&mut buf).is_some() {
            stream.write_all(&buf).unwrap();
        }
        let mut chunk = [0; 1000];
        let len = stream.read(&mut chunk).unwrap();
        assert!(len > 0, "the server closed the data connection");
        rest = data.handle_bytes(Instant::now(), &chunk[..len]);
    }
    assert_eq!(*data.state(), DataState::Bound);
    (stream, rest)
}

fn talk(mut ours: TcpStream, rest: Vec<u8>, mut theirs: TcpStream) {
    theirs
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert!(rest.is_empty());
    ours.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    theirs.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
    theirs.write_all(b"pong").unwrap();
    ours.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"pong");
}
