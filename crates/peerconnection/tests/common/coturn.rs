//! A real TURN server of this test's own.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running coturn on loopback, with UDP, TCP and TLS; it ends with this value.
pub(crate) struct Coturn {
    child: Child,
    dir: PathBuf,
    /// UDP and TCP.
    pub(crate) addr: SocketAddr,
    /// TLS.
    pub(crate) tls: SocketAddr,
    /// The certificate for TLS, DER, for `localhost` and 127.0.0.1.
    pub(crate) certificate: Vec<u8>,
}

pub(crate) const USERNAME: &str = "alice";
pub(crate) const PASSWORD: &str = "secret";

impl Coturn {
    /// `None`, with a word about it, when coturn is not installed.
    pub(crate) fn start() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("pc-coturn-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let (port, tls_port) = (free_port(), free_port());
        let spawned = Command::new("turnserver")
            .args(["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"])
            .args(["--allow-loopback-peers", "--lt-cred-mech"])
            .arg(format!("--user={USERNAME}:{PASSWORD}"))
            .args(["--realm=example.org", "--no-cli", "--no-dtls"])
            .args(["--no-rfc5780", "--log-file=stdout", "--simple-log"])
            .arg(format!("--listening-port={port}"))
            .arg(format!("--tls-listening-port={tls_port}"))
            .arg(format!("--cert={}", cert.display()))
            .arg(format!("--pkey={}", key.display()))
            .arg(format!("--pidfile={}", dir.join("pid").display()))
            .arg(format!("--userdb={}", dir.join("db").display()))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(dir.join("log")).expect("a log"))
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: turnserver (coturn) is not installed");
                return None;
            }
            Err(error) => panic!("turnserver does not start: {error}"),
        };
        let server = Self {
            child,
            dir,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            tls: SocketAddr::from(([127, 0, 0, 1], tls_port)),
            certificate: made.cert.der().to_vec(),
        };
        server.wait_until_up();
        Some(server)
    }

    fn wait_until_up(&self) {
        let started = Instant::now();
        let up = |addr| TcpStream::connect(addr).is_ok();
        while !(up(self.addr) && up(self.tls) && self.answers()) {
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "coturn does not answer: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        (socket.set_read_timeout(Some(Duration::from_millis(50)))).expect("set");
        let mut request = Vec::new();
        stun::Writer::new(
            &mut request,
            stun::Class::Request,
            stun::Method::BINDING,
            stun::TransactionId([1; 12]),
        )
        .finish(false);
        socket.send_to(&request, self.addr).is_ok() && socket.recv(&mut [0; 500]).is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Stops it, as a crash would.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody has at this moment, for both protocols.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = tcp.local_addr().expect("its address");
        if UdpSocket::bind(addr).is_ok() {
            return addr.port();
        }
    }
}
