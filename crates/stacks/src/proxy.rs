//! A wire between two sockets of this machine that delays datagrams and loses some of them.
//!
//! Each datagram is decided on by itself, also those that the kernel carries joined (GSO, GRO). The choice is seeded.

use crate::measure::wait_readable;
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the wire does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wire {
    /// Each way.
    pub(crate) delay: Duration,
    /// The share of datagrams lost, 0 to 1.
    pub(crate) loss: f64,
}

impl Wire {
    fn is_plain(&self) -> bool {
        self.delay.is_zero() && self.loss == 0.0
    }
}

/// The wire at work until it is dropped.
pub(crate) struct Proxy {
    wire: Wire,
    near: Option<[Arc<End>; 2]>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

struct End {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl End {
    fn new() -> Arc<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_nonblocking(true).expect("a mode");
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).expect("a state");
        // The wire itself shall not be the place where datagrams are lost.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), 4 << 20);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), 4 << 20);
        Arc::new(End { socket, state })
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }
}

impl Proxy {
    pub(crate) fn new(wire: Wire) -> Self {
        Proxy {
            wire,
            near: (!wire.is_plain()).then(|| [End::new(), End::new()]),
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// A description as the side on the other end of the wire should see it.
    pub(crate) fn offer(&self, sdp: &str) -> String {
        self.rerouted(sdp, 1)
    }

    /// As [`offer`](Self::offer), for the answer; both addresses are known then and the wire begins to carry.
    pub(crate) fn answer(&mut self, offer: &str, answer: &str) -> String {
        if let Some([a, b]) = &self.near {
            let (to_a, to_b) = (candidate(offer), candidate(answer));
            for (seed, from, to, address) in [(1, a, b, to_b), (2, b, a, to_a)] {
                let carrier = Carrier {
                    wire: self.wire,
                    from: Arc::clone(from),
                    to: Arc::clone(to),
                    address,
                    rng: StdRng::seed_from_u64(seed),
                    stop: Arc::clone(&self.stop),
                };
                self.threads
                    .push(std::thread::spawn(move || carrier.carry()));
            }
        }
        self.rerouted(answer, 0)
    }

    fn rerouted(&self, sdp: &str, end: usize) -> String {
        let Some(near) = &self.near else {
            return sdp.to_owned();
        };
        let real = candidate(sdp);
        sdp.replace(
            &format!("{} {}", real.ip(), real.port()),
            &format!("{} {}", real.ip(), near[end].address().port()),
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The address of the first UDP candidate on 127.0.0.1.
fn candidate(sdp: &str) -> SocketAddr {
    let port = sdp.lines().find_map(|line| {
        let mut words = line.strip_prefix("a=candidate:")?.split(' ').skip(2);
        let udp = words.next()?.eq_ignore_ascii_case("udp");
        let local = words.nth(1)? == "127.0.0.1";
        (udp && local)
            .then_some(words.next()?.parse().ok())
            .flatten()
    });
    (
        Ipv4Addr::LOCALHOST,
        port.expect("a candidate in the description"),
    )
        .into()
}

struct Carrier {
    wire: Wire,
    from: Arc<End>,
    to: Arc<End>,
    address: SocketAddr,
    rng: StdRng,
    stop: Arc<AtomicBool>,
}

/// Datagrams of one size, one after the other, and when they are due.
struct Held {
    due: Instant,
    contents: Vec<u8>,
    stride: usize,
}

impl Carrier {
    fn carry(mut self) {
        let mut memory = vec![0; 1 << 16];
        let mut held: VecDeque<Held> = VecDeque::new();
        while !self.stop.load(Ordering::Relaxed) {
            while held.front().is_some_and(|next| next.due <= Instant::now()) {
                if let Some(next) = held.pop_front() {
                    self.send(&next.contents, next.stride);
                }
            }
            let patience = held.front().map_or(Duration::from_millis(20), |next| {
                next.due.saturating_duration_since(Instant::now())
            });
            wait_readable([&self.from.socket], patience);
            loop {
                let mut meta = [RecvMeta::default()];
                let mut slices = [IoSliceMut::new(&mut memory)];
                let read = self.from.state.recv(
                    UdpSockRef::from(&self.from.socket),
                    &mut slices,
                    &mut meta,
                );
                if !matches!(read, Ok(1)) {
                    break;
                }
                let stride = meta[0].stride.max(1);
                let kept = self.thinned(&mut memory[..meta[0].len], stride);
                if kept == 0 {
                    continue;
                }
                if self.wire.delay.is_zero() {
                    self.send(&memory[..kept], stride);
                } else {
                    held.push_back(Held {
                        due: Instant::now() + self.wire.delay,
                        contents: memory[..kept].to_vec(),
                        stride,
                    });
                }
            }
        }
    }

    /// Moves the datagrams that survive together; how many bytes they have.
    fn thinned(&mut self, joined: &mut [u8], stride: usize) -> usize {
        if self.wire.loss == 0.0 {
            return joined.len();
        }
        let mut kept = 0;
        for start in (0..joined.len()).step_by(stride) {
            let end = (start + stride).min(joined.len());
            if self.rng.random_bool(self.wire.loss) {
                continue;
            }
            joined.copy_within(start..end, kept);
            kept += end - start;
        }
        kept
    }

    fn send(&self, contents: &[u8], stride: usize) {
        for part in contents.chunks(stride * self.to.state.max_gso_segments().max(1)) {
            let transmit = Transmit {
                destination: self.address,
                ecn: None,
                contents: part,
                segment_size: (part.len() > stride).then_some(stride),
                src_ip: None,
            };
            // A full socket loses them, as a wire would.
            let _ = self
                .to
                .state
                .try_send(UdpSockRef::from(&self.to.socket), &transmit);
        }
    }
}
