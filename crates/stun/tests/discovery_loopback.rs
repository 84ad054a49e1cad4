//! Behaviour discovery on real sockets: the two-address server on two addresses of the loopback network, the client on a third.
//!
//! Systems that have only 127.0.0.1 (macOS, without aliases) say so and pass.
#![allow(
    clippy::disallowed_methods,
    reason = "real sockets need the real clock"
)]

use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use stun::Server;
use stun::discovery::{Discovery, DiscoveryConfig, Filtering, Kind, Mapping, Procedure, Report};

/// Sockets on all four combinations of two addresses and two ports; `None` where the second address does not exist.
fn sockets() -> Option<(Server, Vec<UdpSocket>)> {
    for _ in 0..20 {
        let [primary, other] = ["127.0.0.1:0", "127.0.0.2:0"].map(UdpSocket::bind);
        let (primary, other) = (primary.ok()?, other.ok()?);
        let [a, b] = [&primary, &other].map(|socket| socket.local_addr().unwrap());
        let crossed = [
            UdpSocket::bind((a.ip(), b.port())),
            UdpSocket::bind((b.ip(), a.port())),
        ];
        // Somebody else may have one of the ports.
        if let [Ok(third), Ok(fourth)] = crossed {
            return Some((
                Server::with_other(a, b),
                vec![primary, other, third, fourth],
            ));
        }
    }
    panic!("no two ports are free on both addresses");
}

/// Answers on all sockets until it is told to stop.
fn serve(server: Server, sockets: Vec<UdpSocket>, stop: &AtomicBool) {
    let sockets: Vec<(SocketAddr, UdpSocket)> = sockets
        .into_iter()
        .map(|socket| (socket.local_addr().unwrap(), socket))
        .collect();
    thread::scope(|scope| {
        for (local, socket) in &sockets {
            let (mut server, sockets) = (server.clone(), &sockets);
            scope.spawn(move || {
                socket
                    .set_read_timeout(Some(Duration::from_millis(20)))
                    .unwrap();
                let mut request = [0; 2_000];
                let mut buf = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, from)) = socket.recv_from(&mut request) else {
                        continue;
                    };
                    buf.clear();
                    let reply = server.handle_datagram(*local, from, &request[..len], &mut buf);
                    if let Some(reply) = reply {
                        let out = sockets.iter().find(|(addr, _)| *addr == reply.local);
                        out.unwrap().1.send_to(&buf, reply.remote).unwrap();
                    }
                }
            });
        }
    });
}

fn discover(socket: &UdpSocket, server: SocketAddr, procedure: Procedure) -> Report {
    let local = socket.local_addr().unwrap();
    let config = DiscoveryConfig::new(local, server, procedure);
    let started = Instant::now();
    let mut client = Discovery::new(started, config, StdRng::seed_from_u64(5));
    socket
        .set_read_timeout(Some(Duration::from_millis(10)))
        .unwrap();
    let mut datagram = [0; 2_000];
    let mut buf = Vec::new();
    while client.report().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60));
        let now = Instant::now();
        buf.clear();
        while let Some(transmit) = client.poll_transmit(now, &mut buf) {
            socket.send_to(&buf, transmit.remote).unwrap();
            buf.clear();
        }
        if let Ok((len, from)) = socket.recv_from(&mut datagram) {
            client.handle_datagram(Instant::now(), from, &datagram[..len]);
        }
        client.handle_timeout(Instant::now());
    }
    client.report().unwrap().clone()
}

#[test]
fn the_two_address_server_on_loopback_aliases_names_the_open_internet() {
    let (Some((server, sockets)), Ok(socket)) = (sockets(), UdpSocket::bind("127.0.0.3:0")) else {
        eprintln!("skipped: this system has no 127.0.0.2 and 127.0.0.3");
        return;
    };
    let primary = server.addresses()[0];
    let stop = Arc::new(AtomicBool::new(false));
    let serving = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || serve(server, sockets, &stop))
    };
    for procedure in [Procedure::Rfc5780, Procedure::Rfc3489] {
        let report = discover(&socket, primary, procedure);
        assert_eq!(report.kind, Some(Kind::OpenInternet), "{procedure:?}");
        assert_eq!(report.mapped, Some(socket.local_addr().unwrap()));
        if procedure == Procedure::Rfc5780 {
            let found = (report.mapping, report.filtering);
            let open = (
                Some(Mapping::EndpointIndependent),
                Some(Filtering::EndpointIndependent),
            );
            assert_eq!(found, open, "{report:?}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    serving.join().unwrap();
}
