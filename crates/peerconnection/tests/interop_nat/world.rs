//! Network namespaces, NATs and TURN servers.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const USERNAME: &str = "alice";
pub(crate) const PASSWORD: &str = "secret";

/// How the NATs choose ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Masquerade {
    /// The same port outside as inside, so that one mapping serves all destinations.
    Plain,
    /// Another port for every destination: a symmetric NAT.
    Random,
}

/// Five namespaces; they and what runs in them end with this value.
pub(crate) struct World {
    name: String,
    dir: PathBuf,
    servers: Vec<Child>,
}

impl World {
    /// `None`, with a word about it, where privileges or programs are missing. With `two_lans` host A has a second way to its NAT.
    pub(crate) fn new(masquerade: Masquerade, two_lans: bool) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pc{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(format!("nat-{name}"));
        for (program, argument) in [("ip", "-V"), ("nft", "-v"), ("turnserver", "-h")] {
            let there = Command::new(program)
                .arg(argument)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if there.is_err() {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        let world = World {
            name,
            dir,
            servers: Vec::new(),
        };
        if !world.try_ip(&format!("netns add {}", world.ns("public"))) {
            eprintln!("skipped: network namespaces take privileges that are not here");
            return None;
        }
        std::fs::create_dir_all(&world.dir).expect("a directory");
        world.build(masquerade, two_lans);
        Some(world)
    }

    fn build(&self, masquerade: Masquerade, two_lans: bool) {
        for name in ["natA", "natB", "hostA", "hostB"] {
            self.ip(&format!("netns add {}", self.ns(name)));
        }
        for name in ["public", "natA", "natB", "hostA", "hostB"] {
            self.inside(name, "link set lo up");
        }
        self.inside("public", "link add bridge type bridge");
        self.inside("public", "link set bridge up");
        for server in ["203.0.113.1", "203.0.113.2"] {
            self.inside("public", &format!("addr add {server}/24 dev bridge"));
        }
        // The rest of the Internet: what goes to private addresses vanishes there, as it does at a provider.
        self.inside("public", "link add internet type veth peer name nowhere");
        self.inside("public", "link set internet arp off up");
        self.inside("public", "link set nowhere up");
        self.inside("public", "route add default dev internet");
        for (nat, host, outside, lan) in [
            ("natA", "hostA", "203.0.113.10", "10.1.0"),
            ("natB", "hostB", "203.0.113.20", "10.2.0"),
        ] {
            self.cable("public", nat, nat, "outside");
            self.inside("public", &format!("link set {nat} master bridge"));
            self.inside(nat, &format!("addr add {outside}/24 dev outside"));
            self.connect(nat, host, "lan", lan, 10);
            self.execute(nat, "sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
            self.masquerade(nat, masquerade);
        }
        if two_lans {
            self.plug_in();
        }
    }

    /// A LAN between a NAT and a host, with a default route of this metric.
    fn connect(&self, nat: &str, host: &str, name: &str, lan: &str, metric: u32) {
        self.cable(nat, name, host, name);
        self.inside(nat, &format!("addr add {lan}.1/24 dev {name}"));
        self.inside(host, &format!("addr add {lan}.2/24 dev {name}"));
        let route = format!("route add default via {lan}.1 dev {name} metric {metric}");
        self.inside(host, &route);
        if name == "lan2" {
            // What is sent from the second address takes the second way while the first one is there, too.
            self.inside(host, &format!("rule add from {lan}.2 table 20"));
            self.inside(
                host,
                &format!("route add default via {lan}.1 dev {name} table 20"),
            );
        }
    }

    fn cable(&self, a: &str, a_name: &str, b: &str, b_name: &str) {
        let (a_ns, b_ns) = (self.ns(a), self.ns(b));
        self.ip(&format!(
            "link add name {a_name} netns {a_ns} type veth peer name {b_name} netns {b_ns}"
        ));
        self.inside(a, &format!("link set {a_name} up"));
        self.inside(b, &format!("link set {b_name} up"));
    }

    /// Like a home router: translates what goes out, and drops what comes in unasked.
    fn masquerade(&self, nat: &str, masquerade: Masquerade) {
        let how = match masquerade {
            Masquerade::Plain => "masquerade",
            Masquerade::Random => "masquerade random,fully-random",
        };
        let rules = format!(
            "add table ip test\n\
             add chain ip test out {{ type nat hook postrouting priority srcnat ; }}\n\
             add rule ip test out oifname \"outside\" {how}\n\
             add chain ip test in {{ type filter hook input priority filter ; }}\n\
             add rule ip test in iifname \"outside\" ct state new drop\n\
             add chain ip test through {{ type filter hook forward priority filter ; }}\n\
             add rule ip test through iifname \"outside\" ct state new drop\n"
        );
        let file = self.dir.join(format!("{nat}.nft"));
        std::fs::write(&file, rules).expect("written");
        self.execute(nat, "nft", &["-f", file.to_str().expect("a path")]);
    }

    /// A second way from host A to its NAT.
    pub(crate) fn plug_in(&self) {
        self.connect("natA", "hostA", "lan2", "10.3.0", 20);
    }

    pub(crate) fn take_down(&self, host: &str, interface: &str) {
        self.inside(host, &format!("link set {interface} down"));
    }

    /// The full name of a namespace.
    pub(crate) fn ns(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn try_ip(&self, words: &str) -> bool {
        let status = Command::new("ip")
            .args(words.split(' '))
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    fn ip(&self, words: &str) {
        let output = Command::new("ip").args(words.split(' ')).output();
        let output = output.expect("ip runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {words}: {error}");
    }

    fn inside(&self, name: &str, words: &str) {
        self.ip(&format!("-n {} {words}", self.ns(name)));
    }

    /// A command within a namespace.
    pub(crate) fn command(&self, name: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.ns(name)]).arg(program);
        command
    }

    fn execute(&self, name: &str, program: &str, arguments: &[&str]) {
        let output = self.command(name, program).args(arguments).output();
        let output = output.expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {error}");
    }

    /// Starts a TURN server on an address, port 3478 (UDP, TCP) and 5349 (TLS); its certificate, DER.
    pub(crate) fn start_coturn(&mut self, address: &str) -> Vec<u8> {
        self.start_coturn_with(address, &[])
    }

    /// As `start_coturn`, with more options.
    pub(crate) fn start_coturn_with(&mut self, address: &str, options: &[&str]) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec![address.to_owned()]);
        let made = made.expect("a certificate");
        let file = |what: &str| self.dir.join(format!("{address}.{what}"));
        let (cert, key) = (file("cert"), file("key"));
        std::fs::write(&cert, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let log = std::fs::File::create(file("log")).expect("a log");
        let server = self
            .command("public", "turnserver")
            .args(["-n", "--lt-cred-mech", "--realm=example.org"])
            .arg(format!("--user={USERNAME}:{PASSWORD}"))
            .arg(format!("--listening-ip={address}"))
            .arg(format!("--relay-ip={address}"))
            .args(["--no-cli", "--no-dtls", "--no-rfc5780"])
            .args(["--log-file=stdout", "--simple-log"])
            .args(options)
            .arg(format!("--cert={}", cert.display()))
            .arg(format!("--pkey={}", key.display()))
            .arg(format!("--pidfile={}", file("pid").display()))
            .arg(format!("--userdb={}", file("db").display()))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("turnserver starts");
        self.servers.push(server);
        let listens = format!("{address}:5349");
        let started = Instant::now();
        loop {
            let sockets = self.command("public", "ss").arg("-ltn").output();
            let sockets = sockets.expect("ss runs").stdout;
            if String::from_utf8_lossy(&sockets).contains(&listens) {
                return made.cert.der().to_vec();
            }
            let log = std::fs::read_to_string(file("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends a server as a crash would.
    pub(crate) fn stop_coturn(&mut self, index: usize) {
        let server = &mut self.servers[index];
        server.kill().expect("killed");
        server.wait().expect("ended");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        for name in ["hostA", "hostB", "natA", "natB", "public"] {
            self.try_ip(&format!("netns del {}", self.ns(name)));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
