//! DTLS 1.2 with OpenSSL's `s_server` and `s_client`, over loopback: certificates, fingerprints, `use_srtp`, exporters, data.
//!
//! Needs the `openssl` command; without it the tests say so and pass.
#![allow(clippy::disallowed_methods, reason = "a real peer needs a real clock")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pc_dtls::{
    Certificate, Config, Endpoint, Event, HashAlgorithm, Role, SrtpKeys, State, Version, Versions,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::{certificate, fresh_certificate};

const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is killed when the test ends, and the lines it writes.
struct Openssl {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Openssl {
    fn start(arguments: &[&str]) -> Option<Self> {
        let child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            println!("skipped: no openssl command");
            return None;
        };
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Some(Self {
            child,
            lines,
            seen: Vec::new(),
        })
    }

    fn collect(&mut self) {
        self.seen.extend(self.lines.try_iter());
    }

    /// The rest of the first line that contains this.
    fn after(&self, text: &str) -> Option<String> {
        self.seen.iter().find_map(|line| {
            line.split_once(text)
                .map(|(_, rest)| rest.trim().to_owned())
        })
    }

    fn write(&mut self, text: &str) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// OpenSSL's certificate and key in a file of their own.
fn pem_file(name: &str, certificate: &Certificate) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pc-dtls-{}-{name}.pem", std::process::id()));
    std::fs::write(&path, certificate.to_pem().as_bytes()).unwrap();
    path
}

struct Outcome {
    version: Version,
    cipher: String,
    srtp: Option<SrtpKeys>,
    exported: [u8; 60],
    data: Vec<u8>,
}

/// Runs an endpoint on a socket until both sides have each other's data, then closes.
fn run(
    endpoint: &mut Endpoint,
    socket: &UdpSocket,
    peer: &mut Openssl,
    wanted: &str,
) -> Result<Outcome, String> {
    socket
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let start = Instant::now();
    let mut remote = socket.peer_addr().ok();
    let (mut outcome, mut data, mut sent) = (None, Vec::<u8>::new(), false);
    while start.elapsed() < PATIENCE {
        let mut incoming = [0; 2048];
        if let Ok((len, from)) = socket.recv_from(&mut incoming) {
            remote = Some(from);
            endpoint.handle_datagram(Instant::now(), &incoming[..len]);
        }
        endpoint.handle_timeout(Instant::now());
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::Connected {
                    version,
                    cipher,
                    srtp,
                    ..
                } => {
                    let mut exported = [0; 60];
                    endpoint
                        .export("EXTRACTOR-dtls_srtp", None, &mut exported)
                        .unwrap();
                    let cipher = cipher.to_string();
                    outcome = Some(Outcome {
                        version,
                        cipher,
                        srtp,
                        exported,
                        data: Vec::new(),
                    });
                }
                Event::Failed(error) => return Err(error.to_string()),
                _ => {}
            }
        }
        while let Some(record) = endpoint.poll_data() {
            data.extend_from_slice(&record);
        }
        // What is left of the handshake goes before the first data.
        let mut buf = Vec::new();
        while let (Some(remote), Some(_)) =
            (remote, endpoint.poll_transmit(Instant::now(), &mut buf))
        {
            let _ = socket.send_to(&buf, remote);
            buf.clear();
        }
        peer.collect();
        if endpoint.state() == State::Connected && !sent {
            sent = true;
            let mut buf = b"hello from here\n".to_vec();
            endpoint.seal(Instant::now(), &mut buf, 0).unwrap();
            socket.send_to(&buf, remote.unwrap()).unwrap();
            peer.write("hello from OpenSSL\n");
        }
        let heard = peer.after("hello from").is_some_and(|rest| rest == "here");
        if sent
            && heard
            && data.ends_with(wanted.as_bytes())
            && peer.after("Keying material: ").is_some()
        {
            let mut outcome = outcome.unwrap();
            outcome.data = data.to_vec();
            endpoint.close(Instant::now());
            let mut buf = Vec::new();
            while endpoint.poll_transmit(Instant::now(), &mut buf).is_some() {
                let _ = socket.send_to(&buf, remote.unwrap());
                buf.clear();
            }
            return Ok(outcome);
        }
    }
    Err(format!(
        "{:?}; OpenSSL wrote: {:#?}",
        endpoint.state(),
        peer.seen
    ))
}

fn check(outcome: &Outcome, peer: &Openssl, cipher: &str, local_is_client: bool) {
    assert_eq!(outcome.version, Version::Dtls12);
    assert_eq!(outcome.cipher, cipher);
    assert!(outcome.data.ends_with(b"hello from OpenSSL\n"));
    // Both sides exported the same, and the SRTP keys are cut from it.
    let hex: String = outcome
        .exported
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(peer.after("Keying material: ").unwrap(), hex);
    let srtp = outcome.srtp.clone().unwrap();
    let len = 2 * (srtp.profile.key_len() + srtp.profile.salt_len());
    assert_eq!(
        SrtpKeys::split(
            srtp.profile,
            &outcome.exported[..len.min(60)],
            local_is_client
        ),
        Some(srtp)
    );
}

const SUITES: [(&str, &str); 3] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];

fn config(peer: &Certificate, versions: Versions) -> Config {
    Config {
        versions,
        remote_fingerprints: vec![peer.fingerprint(HashAlgorithm::Sha256)],
        mtu: 300,
        ..Config::default()
    }
}

#[test]
fn as_client_of_s_server() {
    let own = fresh_certificate(1);
    // One certificate made by OpenSSL, the others by us.
    let theirs = [
        certificate(0).clone(),
        fresh_certificate(2),
        fresh_certificate(3),
    ];
    for ((turn, (suite, name)), theirs) in SUITES.into_iter().enumerate().zip(theirs) {
        let file = pem_file(&format!("server-{turn}"), &theirs);
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let versions = if turn == 0 {
            Versions::Auto
        } else {
            Versions::Dtls12
        };
        let profiles = if turn == 2 {
            "SRTP_AES128_CM_SHA1_80"
        } else {
            "SRTP_AEAD_AES_128_GCM"
        };
        let Some(mut peer) = Openssl::start(&[
            "s_server",
            "-dtls1_2",
            "-accept",
            &port,
            "-cipher",
            suite,
            "-cert",
            file.to_str().unwrap(),
            "-key",
            file.to_str().unwrap(),
            "-Verify",
            "1",
            "-use_srtp",
            profiles,
            "-keymatexport",
            "EXTRACTOR-dtls_srtp",
            "-keymatexportlen",
            "60",
            "-mtu",
            "400",
        ]) else {
            return;
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(format!("127.0.0.1:{port}")).unwrap();
        let mut endpoint = Endpoint::new(
            config(&theirs, versions),
            Role::Client,
            &own,
            Instant::now(),
            StdRng::seed_from_u64(1),
        )
        .unwrap();
        let outcome = run(&mut endpoint, &socket, &mut peer, "hello from OpenSSL\n")
            .unwrap_or_else(|error| panic!("{suite}: {error}"));
        check(&outcome, &peer, name, true);
        println!(
            "client of s_server: {} {}",
            outcome.cipher,
            outcome.srtp.unwrap().profile
        );
        let _ = std::fs::remove_file(file);
    }
}

#[test]
fn as_server_of_s_client() {
    let own = fresh_certificate(4);
    let theirs = [
        certificate(1).clone(),
        fresh_certificate(5),
        fresh_certificate(6),
    ];
    for ((turn, (suite, name)), theirs) in SUITES.into_iter().enumerate().zip(theirs) {
        let file = pem_file(&format!("client-{turn}"), &theirs);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let versions = if turn == 1 {
            Versions::Dtls12
        } else {
            Versions::Auto
        };
        let settings = Config {
            cookie: turn == 2,
            ..config(&theirs, versions)
        };
        let mut endpoint = Endpoint::new(
            settings,
            Role::Server,
            &own,
            Instant::now(),
            StdRng::seed_from_u64(1),
        )
        .unwrap();
        let profiles = if turn == 2 {
            "SRTP_AES128_CM_SHA1_80"
        } else {
            "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
        };
        let Some(mut peer) = Openssl::start(&[
            "s_client",
            "-dtls1_2",
            "-connect",
            &address,
            "-cipher",
            suite,
            "-cert",
            file.to_str().unwrap(),
            "-key",
            file.to_str().unwrap(),
            "-use_srtp",
            profiles,
            "-keymatexport",
            "EXTRACTOR-dtls_srtp",
            "-keymatexportlen",
            "60",
            "-mtu",
            "400",
        ]) else {
            return;
        };
        let outcome = run(&mut endpoint, &socket, &mut peer, "hello from OpenSSL\n")
            .unwrap_or_else(|error| panic!("{suite}: {error}"));
        check(&outcome, &peer, name, false);
        println!(
            "server of s_client: {} {}",
            outcome.cipher,
            outcome.srtp.unwrap().profile
        );
        let _ = std::fs::remove_file(file);
    }
}

#[test]
fn a_wrong_fingerprint_fails_with_openssl_too() {
    let (own, theirs) = (fresh_certificate(7), fresh_certificate(8));
    let file = pem_file("wrong", &theirs);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let mut endpoint = Endpoint::new(
        config(&own, Versions::Auto),
        Role::Server,
        &own,
        Instant::now(),
        StdRng::seed_from_u64(1),
    )
    .unwrap();
    let Some(mut peer) = Openssl::start(&[
        "s_client",
        "-dtls1_2",
        "-connect",
        &address,
        "-cert",
        file.to_str().unwrap(),
        "-key",
        file.to_str().unwrap(),
    ]) else {
        return;
    };
    assert_eq!(
        run(&mut endpoint, &socket, &mut peer, "").err().as_deref(),
        Some("fingerprint mismatch")
    );
    let _ = std::fs::remove_file(file);
}

#[test]
fn a_refusal_by_openssl_is_told_as_the_alert_it_is() {
    let (own, theirs) = (fresh_certificate(9), fresh_certificate(10));
    for versions in [Versions::Auto, Versions::Dtls12] {
        let file = pem_file(&format!("refusing-{versions:?}"), &theirs);
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        // A cipher suite we do not have.
        let Some(mut peer) = Openssl::start(&[
            "s_server",
            "-dtls1_2",
            "-accept",
            &port,
            "-cipher",
            "ECDHE-ECDSA-AES128-SHA",
            "-cert",
            file.to_str().unwrap(),
            "-key",
            file.to_str().unwrap(),
        ]) else {
            return;
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(format!("127.0.0.1:{port}")).unwrap();
        let mut endpoint = Endpoint::new(
            config(&theirs, versions),
            Role::Client,
            &own,
            Instant::now(),
            StdRng::seed_from_u64(1),
        )
        .unwrap();
        assert_eq!(
            run(&mut endpoint, &socket, &mut peer, "").err().as_deref(),
            Some("the peer sent a fatal alert: handshake_failure"),
            "{versions:?}"
        );
        let _ = std::fs::remove_file(file);
    }
}
