//! Against webrtc-ice 0.17.2, over the loopback interface, in both roles.
#![allow(
    clippy::disallowed_methods,
    reason = "a peer with real sockets needs the real time"
)]

use ice::{Agent, Config, Event, Input, LocalSocket, Parameters, Path, Role, State};
use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use webrtc_ice017::agent::{Agent as Theirs, agent_config::AgentConfig};
use webrtc_ice017::candidate::candidate_base::unmarshal_candidate;
use webrtc_ice017::network_type::NetworkType;
use webrtc_util017::Conn;

/// Our agent with one socket; ends when it has received this many datagrams of the application and sent as many.
async fn run_ours(mut agent: Agent, socket: UdpSocket, count: usize) -> Agent {
    let local = socket.local_addr().unwrap();
    let mut buf = Vec::new();
    let mut datagram = vec![0; 2048];
    let (mut received, mut sent) = (0, 0);
    loop {
        let now = Instant::now();
        buf.clear();
        while let Some(transmit) = agent.poll_transmit(now, &mut buf) {
            socket.send_to(&buf, transmit.remote).await.unwrap();
            buf.clear();
        }
        while let Some(event) = agent.poll_event() {
            assert!(
                !matches!(event, Event::StateChange(State::Failed)),
                "{}",
                agent.report()
            );
        }
        let nominated = agent.selected_pair().is_some_and(|pair| pair.nominated);
        if nominated
            && sent < count
            && let Some(frame) = agent.open_frame(&mut buf)
        {
            buf.extend_from_slice(b"\x80from ours");
            agent.close_frame(frame, &mut buf);
            socket.send_to(&buf, frame.remote).await.unwrap();
            sent += 1;
        }
        if received >= count && sent >= count {
            return agent;
        }
        let wait = agent.poll_timeout().map_or(Duration::from_secs(1), |at| {
            at.saturating_duration_since(Instant::now())
        });
        tokio::select! {
            Ok((len, remote)) = socket.recv_from(&mut datagram) => {
                let path = Path::udp(local, remote);
                if let Input::Data(range) = agent.handle_datagram(Instant::now(), path, &datagram[..len]) {
                    assert_eq!(&datagram[range], b"\x80from theirs");
                    received += 1;
                }
            }
            () = tokio::time::sleep(wait) => agent.handle_timeout(Instant::now()),
        }
    }
}

async fn connect(our_role: Role) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let local: SocketAddr = socket.local_addr().unwrap();
    let mut config = Config::default();
    config.role = our_role;
    let mut ours = Agent::new(config, StdRng::seed_from_u64(1));
    let now = Instant::now();
    ours.add_local_socket(now, LocalSocket::udp(local));
    ours.local_sockets_complete(now);

    let config = AgentConfig {
        network_types: vec![NetworkType::Udp4],
        include_loopback: true,
        ip_filter: Arc::new(Some(Box::new(|ip: std::net::IpAddr| ip.is_loopback()))),
        ..AgentConfig::default()
    };
    let theirs = Theirs::new(config).await.unwrap();
    let (tell, mut candidates) = mpsc::unbounded_channel();
    theirs.on_candidate(Box::new(move |candidate| {
        let line = candidate.map(|candidate| candidate.marshal());
        let _ = tell.send(line);
        Box::pin(async {})
    }));
    theirs.gather_candidates().unwrap();
    let (ufrag, pwd) = theirs.get_local_user_credentials().await;
    ours.set_remote_parameters(now, Parameters::new(ufrag, pwd))
        .unwrap();
    while let Some(Some(line)) = candidates.recv().await {
        let candidate: ice::Candidate = line.parse().unwrap();
        assert_eq!(
            candidate.to_string().strip_prefix("candidate:"),
            Some(&*line),
            "read as written"
        );
        ours.add_remote_candidate(now, candidate).unwrap();
    }
    ours.end_of_remote_candidates(now);
    for candidate in ours.local_candidates() {
        let line = candidate.to_string();
        let line = line.strip_prefix("candidate:").unwrap();
        let read: Arc<dyn webrtc_ice017::candidate::Candidate + Send + Sync> =
            Arc::new(unmarshal_candidate(line).unwrap());
        assert_eq!(read.priority(), candidate.priority.0);
        theirs.add_remote_candidate(&read).unwrap();
    }

    let parameters = ours.local_parameters().clone();
    let their_part = async {
        let (_cancel, cancelled) = mpsc::channel(1);
        let conn: Arc<dyn Conn + Send + Sync> = match our_role {
            Role::Controlling => theirs
                .accept(cancelled, parameters.ufrag, parameters.pwd)
                .await
                .unwrap(),
            Role::Controlled => theirs
                .dial(cancelled, parameters.ufrag, parameters.pwd)
                .await
                .unwrap(),
        };
        let mut datagram = [0; 2048];
        for _ in 0..10 {
            conn.send(b"\x80from theirs").await.unwrap();
        }
        for _ in 0..10 {
            let len = conn.recv(&mut datagram).await.unwrap();
            assert_eq!(&datagram[..len], b"\x80from ours");
        }
    };
    let both = async { tokio::join!(run_ours(ours, socket, 10), their_part).0 };
    let ours = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("connects in time");
    assert_eq!(ours.state(), State::Completed);
    assert_eq!(ours.role(), our_role);
    assert_eq!(ours.counters().dropped_total(), 0, "{}", ours.report());
    let _ = theirs.close().await;
}

#[tokio::test]
async fn connects_as_controlling() {
    connect(Role::Controlling).await;
}

#[tokio::test]
async fn connects_as_controlled() {
    connect(Role::Controlled).await;
}
