//! Starts coturn, and moves a client's messages over real sockets until something happens. Every wait has an end.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use turn::framing::StreamReader;
use turn::{Client, Config, Event, Input};

const LIMIT: Duration = Duration::from_secs(15);

/// A running server, which ends with this value.
pub(crate) struct Coturn {
    child: Child,
    dir: PathBuf,
    pub(crate) addr: SocketAddr,
}

impl Coturn {
    /// `None`, with a word about it, when coturn is not installed.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("pc-turn-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        // A port that nobody has at this moment, for both protocols.
        let port = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = tcp.local_addr().unwrap();
            if UdpSocket::bind(addr).is_ok() {
                break addr.port();
            }
        };
        let spawned = Command::new("turnserver")
            .args([
                "-n",
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                "--allow-loopback-peers",
            ])
            .args([
                "--lt-cred-mech",
                "--user=alice:secret",
                "--realm=example.org",
            ])
            .args([
                "--no-cli",
                "--no-tls",
                "--no-dtls",
                "--no-rfc5780",
                "--log-file=stdout",
                "--simple-log",
            ])
            .arg(format!("--listening-port={port}"))
            .arg(format!("--pidfile={}", dir.join("pid").display()))
            .arg(format!("--userdb={}", dir.join("db").display()))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(dir.join("log")).unwrap())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("skipped: turnserver (coturn) is not installed");
                return None;
            }
            Err(error) => panic!("turnserver does not start: {error}"),
        };
        let server = Self {
            child,
            dir,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        server.wait_until_up();
        Some(server)
    }

    fn wait_until_up(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut request = Vec::new();
        stun::Writer::new(
            &mut request,
            stun::Class::Request,
            stun::Method::BINDING,
            stun::TransactionId([1; 12]),
        )
        .finish(false);
        let started = Instant::now();
        loop {
            assert!(
                started.elapsed() < LIMIT,
                "coturn does not answer: {}",
                self.log()
            );
            // Before it listens, the answer is an ICMP error at once.
            let answered =
                socket.send_to(&request, self.addr).is_ok() && socket.recv(&mut [0; 500]).is_ok();
            if answered && TcpStream::connect(self.addr).is_ok() {
                return;
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What carries messages to the server.
pub(crate) trait Socket {
    fn send(&mut self, remote: SocketAddr, message: &[u8]);
    /// Waits a moment; gives the messages that came, and from whom.
    fn receive(&mut self) -> Vec<(SocketAddr, Vec<u8>)>;
}

pub(crate) struct Datagrams(Arc<UdpSocket>);

impl Datagrams {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        Self(Arc::new(socket))
    }

    /// The same socket, for another client.
    pub(crate) fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl Socket for Datagrams {
    fn send(&mut self, remote: SocketAddr, message: &[u8]) {
        self.0.send_to(message, remote).unwrap();
    }

    fn receive(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut buf = [0; 2000];
        match self.0.recv_from(&mut buf) {
            Ok((len, from)) => vec![(from, buf[..len].to_vec())],
            Err(_) => Vec::new(),
        }
    }
}

pub(crate) struct Stream {
    stream: TcpStream,
    reader: StreamReader,
}

impl Stream {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        Self {
            stream,
            reader: StreamReader::new(),
        }
    }
}

impl Socket for Stream {
    fn send(&mut self, _remote: SocketAddr, message: &[u8]) {
        self.stream.write_all(message).unwrap();
    }

    fn receive(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let from = self.stream.peer_addr().unwrap();
        let mut buf = [0; 2000];
        if let Ok(len) = self.stream.read(&mut buf) {
            self.reader.extend(&buf[..len]);
        }
        let mut frames = Vec::new();
        while let Some(frame) = self.reader.next_frame().unwrap() {
            frames.push((from, frame.to_vec()));
        }
        frames
    }
}

/// A client and its socket.
pub(crate) trait Link {
    fn client(&mut self) -> &mut Client;
    /// Moves messages until the condition holds.
    fn run(&mut self, until: impl FnMut(&mut Client) -> bool);
    /// Moves messages until such an event comes.
    fn wait(&mut self, matches: impl Fn(&Event) -> bool) -> Event;
    /// Sends data to a peer through the relay.
    fn send(&mut self, peer: SocketAddr, data: &[u8]);
    /// The next data from a peer.
    fn receive(&mut self) -> (SocketAddr, Vec<u8>);
}

pub(crate) struct Linked<S> {
    client: Client,
    socket: S,
    data: VecDeque<(SocketAddr, Vec<u8>)>,
}

pub(crate) fn link<S: Socket>(socket: S, config: Config) -> Linked<S> {
    let client = Client::new(Instant::now(), config, StdRng::seed_from_u64(1));
    Linked {
        client,
        socket,
        data: VecDeque::new(),
    }
}

impl<S: Socket> Linked<S> {
    pub(crate) fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Lets time pass.
    pub(crate) fn idle(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.run(|_| Instant::now() >= until);
    }

    fn turn_over(&mut self) {
        let mut buf = Vec::new();
        while let Some(transmit) = self.client.poll_transmit(Instant::now(), &mut buf) {
            self.socket.send(transmit.remote, &buf);
            buf.clear();
        }
        for (from, message) in self.socket.receive() {
            if let Input::Data { peer, range } =
                self.client.handle_datagram(Instant::now(), from, &message)
            {
                self.data.push_back((peer, message[range].to_vec()));
            }
        }
        let now = Instant::now();
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
    }
}

impl<S: Socket> Link for Linked<S> {
    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn run(&mut self, mut until: impl FnMut(&mut Client) -> bool) {
        let started = Instant::now();
        while !until(&mut self.client) {
            assert!(started.elapsed() < LIMIT, "{:?}", self.client);
            self.turn_over();
        }
    }

    fn wait(&mut self, matches: impl Fn(&Event) -> bool) -> Event {
        let mut found = None;
        self.run(|client| {
            while let Some(event) = client.poll_event() {
                if matches(&event) {
                    found = Some(event);
                    return true;
                }
                assert!(
                    !matches!(
                        event,
                        Event::AllocationFailed(_) | Event::Lost(_) | Event::ChannelFailed { .. }
                    ),
                    "{event:?}"
                );
            }
            false
        });
        found.unwrap()
    }

    fn send(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut buf = Vec::new();
        let frame = self
            .client
            .open_frame(peer, &mut buf)
            .expect("a permission");
        buf.extend_from_slice(data);
        assert!(self.client.close_frame(frame, &mut buf));
        let server = self.client.server();
        self.socket.send(server, &buf);
    }

    fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        let started = Instant::now();
        loop {
            if let Some(data) = self.data.pop_front() {
                return data;
            }
            assert!(started.elapsed() < LIMIT, "no data: {:?}", self.client);
            self.turn_over();
        }
    }
}
