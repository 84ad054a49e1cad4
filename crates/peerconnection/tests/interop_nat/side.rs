//! One side of a call, as a process in a namespace, and the hand that holds both.

use crate::world::World;
use peerconnection::{
    Configuration, DataChannel, DataChannelInit, Endpoint, Event, IceCandidateInit, Message,
    NetworkOptions, PeerConnection, SdpType, SessionDescription,
};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Set in the processes of the sides.
const ROLE: &str = "PC_NAT_SIDE";
const SETUP: &str = "PC_NAT_SETUP";
/// Mark lines among what a test program prints.
const SIGNAL: &str = "signal ";
const STATUS: &str = "status ";

/// What a side is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) configuration: Configuration,
    /// As in [`NetworkOptions`].
    pub(crate) udp: bool,
    pub(crate) tls_roots: Vec<Vec<u8>>,
    /// The connections are on an endpoint.
    pub(crate) endpoint: bool,
}

/// How a side is doing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    /// `connectionState`.
    pub(crate) state: String,
    /// How many messages have come, in order and without a gap.
    pub(crate) received: u64,
    /// The types of the pair in use.
    pub(crate) local: String,
    pub(crate) remote: String,
    /// The address of this side's candidate in it.
    pub(crate) address: String,
    /// How the relay is reached, when this side relays.
    pub(crate) relay_protocol: String,
    /// The relay's server.
    pub(crate) url: String,
    /// Whether the local credentials are not the first ones any more.
    pub(crate) restarted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Signal {
    Description(SessionDescription),
    Candidate(Option<IceCandidateInit>),
    /// The test's word to the offerer.
    Restart,
}

// In the test's process.

/// Two processes that call each other.
pub(crate) struct Call {
    children: [Child; 2],
    inputs: [Arc<Mutex<ChildStdin>>; 2],
    statuses: [Arc<Mutex<Status>>; 2],
}

impl Call {
    pub(crate) fn start(world: &World, setup: &Setup) -> Self {
        let setup = serde_json::to_string(setup).expect("JSON");
        let mut children = ["hostA", "hostB"].map(|host| {
            world
                .command(host, std::env::current_exe().expect("this program"))
                .args(["side_of_a_call", "--exact", "--nocapture"])
                .env(ROLE, host)
                .env(SETUP, &setup)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process")
        });
        let inputs = children
            .each_mut()
            .map(|child| Arc::new(Mutex::new(child.stdin.take().expect("a pipe"))));
        let statuses: [Arc<Mutex<Status>>; 2] = Default::default();
        for index in 0..2 {
            let output = children[index].stdout.take().expect("a pipe");
            let to = Arc::clone(&inputs[1 - index]);
            let status = Arc::clone(&statuses[index]);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if line.contains(SIGNAL) {
                        // The other one may have ended.
                        let _ = writeln!(to.lock().expect("no panic"), "{line}");
                    } else if let Some((_, json)) = line.split_once(STATUS) {
                        *status.lock().expect("no panic") =
                            serde_json::from_str(json).expect("a status");
                    }
                }
            });
        }
        Call {
            children,
            inputs,
            statuses,
        }
    }

    pub(crate) fn status(&self, index: usize) -> Status {
        self.statuses[index].lock().expect("no panic").clone()
    }

    /// Waits until this holds of one side.
    pub(crate) fn until(
        &self,
        index: usize,
        limit: Duration,
        holds: impl Fn(&Status) -> bool,
    ) -> Status {
        let started = Instant::now();
        loop {
            let status = self.status(index);
            if holds(&status) {
                return status;
            }
            assert!(
                started.elapsed() < limit,
                "side {index} after {limit:?}: {status:?}; the other: {:?}",
                self.status(1 - index)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this holds of both.
    pub(crate) fn both(&self, limit: Duration, holds: impl Fn(&Status) -> bool) -> [Status; 2] {
        [0, 1].map(|index| self.until(index, limit, &holds))
    }

    /// Lets the offerer restart ICE.
    pub(crate) fn restart(&self) {
        let json = serde_json::to_string(&Signal::Restart).expect("JSON");
        let mut input = self.inputs[0].lock().expect("no panic");
        writeln!(input, "{SIGNAL}{json}").expect("it listens");
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

// In the process of a side.

/// Is a side, if this process was started to be one.
pub(crate) fn run_if_asked() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let setup = std::env::var(SETUP).expect("a setup");
    let setup = serde_json::from_str(&setup).expect("a setup");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run(role == "hostA", setup));
}

fn tell(signal: &Signal) {
    // What the test harness prints ends without a line break.
    println!("\n{SIGNAL}{}", serde_json::to_string(signal).expect("JSON"));
}

async fn run(offers: bool, setup: Setup) {
    let network = NetworkOptions {
        udp: setup.udp,
        tls_roots: setup.tls_roots,
        ..NetworkOptions::default()
    };
    let endpoint = Endpoint::bind("0.0.0.0:0".parse().expect("an address")).expect("a port");
    let mut builder = PeerConnection::builder(setup.configuration);
    if setup.endpoint {
        builder = builder.endpoint(&endpoint);
    }
    let pc = builder.network(network).build().expect("a connection");
    let mut events = pc.events();
    let channel = pc
        .create_data_channel(
            "numbers",
            DataChannelInit {
                negotiated: true,
                id: Some(1),
                ..DataChannelInit::default()
            },
        )
        .expect("a channel");
    let received = Arc::new(AtomicU64::new(0));
    tokio::spawn(send_numbers(channel.clone()));
    tokio::spawn(receive_numbers(channel, Arc::clone(&received)));
    tokio::spawn(report(pc.clone(), received));
    let trickling = pc.clone();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(candidate) => {
                    let init = candidate.map(|candidate| candidate.to_init());
                    tell(&Signal::Candidate(init));
                }
                Event::IceCandidateError(error) => eprintln!("{error:?}"),
                _ => {}
            }
        }
        drop(trickling);
    });
    if offers {
        describe(&pc).await;
    }
    let (lines, mut input) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Some((_, json)) = line.split_once(SIGNAL) {
                let signal: Signal = serde_json::from_str(json).expect("a signal");
                let _ = lines.send(signal);
            }
        }
    });
    while let Some(signal) = input.recv().await {
        match signal {
            Signal::Description(description) => {
                pc.set_remote_description(&description)
                    .await
                    .expect("taken");
                if description.sdp_type == SdpType::Offer {
                    describe(&pc).await;
                }
            }
            Signal::Candidate(candidate) => {
                // One of credentials that are over is refused.
                let _ = pc.add_ice_candidate(candidate.as_ref()).await;
            }
            Signal::Restart => {
                pc.restart_ice();
                describe(&pc).await;
            }
        }
    }
}

/// Sets the local description that is due, and tells it.
async fn describe(pc: &PeerConnection) {
    pc.set_local_description(None).await.expect("a description");
    tell(&Signal::Description(
        pc.local_description().expect("a description"),
    ));
}

async fn send_numbers(channel: DataChannel) {
    channel.opened().await.expect("open");
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0_u64.. {
        ticks.tick().await;
        if channel.send(number.to_be_bytes().to_vec()).await.is_err() {
            return;
        }
    }
}

async fn receive_numbers(channel: DataChannel, received: Arc<AtomicU64>) {
    while let Some(message) = channel.recv().await {
        let expected = received.load(Ordering::Relaxed).to_be_bytes();
        if message != Message::Binary(expected.to_vec().into()) {
            eprintln!("a message is lost or out of order: {message:?}");
            std::process::exit(1);
        }
        received.fetch_add(1, Ordering::Relaxed);
    }
}

async fn report(pc: PeerConnection, received: Arc<AtomicU64>) {
    let mut first = ufrag(&pc);
    let mut explained = false;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let now = ufrag(&pc);
        if first.is_none() {
            first.clone_from(&now);
        }
        let mut status = Status {
            state: format!("{:?}", pc.connection_state()).to_lowercase(),
            received: received.load(Ordering::Relaxed),
            restarted: now != first,
            ..Status::default()
        };
        let reports = pc.ice_reports();
        if status.state == "failed" && !std::mem::replace(&mut explained, true) {
            for (number, report) in &reports {
                eprintln!("transport {number}: {report}");
            }
        }
        let pairs = reports.into_iter().flat_map(|(_, report)| report.pairs);
        if let Some(pair) = { pairs }.find(|pair| pair.selected) {
            let (local, remote) = (pair.pair.local, pair.pair.remote);
            status.local = local.typ.to_string();
            status.remote = remote.typ.to_string();
            status.address = format!("{}:{}", local.address, local.port);
            status.relay_protocol =
                (local.relay_protocol).map_or_else(String::new, |p| p.to_string());
            status.url = local.url.map_or_else(String::new, |url| url.to_string());
        }
        println!(
            "\n{STATUS}{}",
            serde_json::to_string(&status).expect("JSON")
        );
    }
}

fn ufrag(pc: &PeerConnection) -> Option<String> {
    let sdp = pc.local_description()?.sdp;
    let line = sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))?;
    Some(line.to_owned())
}
