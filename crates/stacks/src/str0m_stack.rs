//! str0m, driven as its documentation shows: one datagram a system call, the loop in a thread of its own.

use crate::measure::{Cost, enlarge_buffers, start, wait_readable};
use crate::proxy::Proxy;
use crate::{Case, Flow, Kept};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::channel::ChannelId;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// As much as the facade of ours lets a sender have waiting.
const HIGH_WATER: usize = 1 << 20;

struct Host {
    rtc: Rtc,
    socket: UdpSocket,
    memory: Vec<u8>,
    channel: Option<ChannelId>,
    open: bool,
    connected: bool,
    frames: usize,
    /// How far this host's clock runs ahead.
    ahead: Duration,
}

impl Host {
    fn new() -> Self {
        let now = Instant::now();
        let mut rtc = Rtc::builder().build(now);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_nonblocking(true).expect("a mode");
        let address = socket.local_addr().expect("an address");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        Host {
            rtc,
            socket,
            memory: vec![0; 2048],
            channel: None,
            open: false,
            connected: false,
            frames: 0,
            ahead: Duration::ZERO,
        }
    }

    fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// Everything that is due; `message` sees what comes over the channel. When to come back.
    fn turn(&mut self, message: impl FnMut(&mut Rtc, ChannelId, Vec<u8>)) -> Instant {
        self.turn_and_fill(message, |_| false)
    }

    /// As [`Host::turn`], and `fill` may write before each datagram is read, so that acknowledgements and data go on side
    /// by side: it tells whether it has written.
    fn turn_and_fill(
        &mut self,
        mut message: impl FnMut(&mut Rtc, ChannelId, Vec<u8>),
        mut fill: impl FnMut(&mut Rtc) -> bool,
    ) -> Instant {
        loop {
            match self.rtc.poll_output().expect("a living connection") {
                Output::Transmit(transmit) => {
                    let _ = self
                        .socket
                        .send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::ChannelOpen(id, _)) => {
                    self.channel = Some(id);
                    self.open = true;
                }
                Output::Event(Event::ChannelData(data)) => {
                    message(&mut self.rtc, data.id, data.data);
                }
                Output::Event(Event::MediaData(_)) => self.frames += 1,
                Output::Event(_) => {}
                Output::Timeout(due) => {
                    let now = self.now();
                    if fill(&mut self.rtc) || self.read(now) {
                        continue;
                    }
                    if due > now {
                        return due;
                    }
                    self.rtc
                        .handle_input(Input::Timeout(now))
                        .expect("a living connection");
                }
            }
        }
    }

    /// Handles one datagram, if there is one.
    fn read(&mut self, now: Instant) -> bool {
        let Ok((size, source)) = self.socket.recv_from(&mut self.memory) else {
            return false;
        };
        let destination = self.socket.local_addr().expect("an address");
        if let Ok(receive) = Receive::new(Protocol::Udp, source, destination, &self.memory[..size])
        {
            self.rtc
                .handle_input(Input::Receive(now, receive))
                .expect("a living connection");
        }
        true
    }

    fn wait(&self, due: Instant, most: Duration) {
        let patience = due.saturating_duration_since(Instant::now()).min(most);
        wait_readable([&self.socket], patience);
    }
}

fn describe(proxy: &mut Proxy, media: Option<&mut Mid>) -> [Host; 2] {
    let (mut a, mut b) = (Host::new(), Host::new());
    let mut change = a.rtc.sdp_api();
    match media {
        Some(mid) => {
            *mid = change.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
        }
        None => {
            change.add_channel("bench".into());
        }
    }
    let (offer, pending) = change.apply().expect("an offer");
    let offer = offer.to_sdp_string();
    let rerouted = SdpOffer::from_sdp_string(&proxy.offer(&offer)).expect("an offer");
    let answer = b.rtc.sdp_api().accept_offer(rerouted).expect("an answer");
    let rerouted = proxy.answer(&offer, &answer.to_sdp_string());
    let rerouted = SdpAnswer::from_sdp_string(&rerouted).expect("an answer");
    a.rtc
        .sdp_api()
        .accept_answer(pending, rerouted)
        .expect("taken");
    [a, b]
}

/// Turns both until each is ready.
fn settle(hosts: &mut [Host; 2], ready: impl Fn(&Host) -> bool) {
    loop {
        let due = hosts.each_mut().map(|host| host.turn(|_, _, _| {}));
        let due = due[0].min(due[1]);
        if hosts.iter().all(&ready) {
            return;
        }
        wait_readable(
            hosts.iter().map(|host| &host.socket),
            due.saturating_duration_since(Instant::now()),
        );
    }
}

fn connect(case: &Case) -> ([Host; 2], Proxy) {
    let mut proxy = Proxy::new(case.wire);
    let mut hosts = describe(&mut proxy, None);
    settle(&mut hosts, |host| host.open);
    (hosts, proxy)
}

pub(crate) fn setup(case: &Case) -> Cost {
    let stop = start();
    let pair = connect(case);
    let cost = stop();
    drop(pair);
    cost
}

fn echo_until(mut host: Host, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let due = host.turn(|rtc, id, data| {
            let mut channel = rtc.channel(id).expect("a channel");
            assert!(channel.write(true, &data).expect("written"));
        });
        host.wait(due, Duration::from_millis(100));
    }
}

pub(crate) fn ping_pong(case: &Case, rounds: usize) -> Vec<Duration> {
    let ([mut a, b], proxy) = connect(case);
    let stop = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        scope.spawn(|| echo_until(b, &stop));
        let mut samples = Vec::with_capacity(rounds);
        let id = a.channel.expect("a channel");
        while samples.len() < rounds {
            let sent = Instant::now();
            let mut channel = a.rtc.channel(id).expect("a channel");
            assert!(channel.write(true, &[7; 64]).expect("written"));
            let mut back = false;
            loop {
                let due = a.turn(|_, _, _| back = true);
                if back {
                    break;
                }
                a.wait(due, Duration::from_millis(100));
            }
            samples.push(sent.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        samples
    });
    drop(proxy);
    samples
}

pub(crate) fn transfer(case: &Case, message: usize, time: Duration) -> Flow {
    let ([mut a, mut b], proxy) = connect(case);
    if let Some(bytes) = case.socket_buffer {
        enlarge_buffers(bytes);
    }
    let stop = AtomicBool::new(false);
    let received = Arc::new(AtomicU64::new(0));
    let flow = thread::scope(|scope| {
        scope.spawn(|| {
            let payload = vec![7; message];
            let id = a.channel.expect("a channel");
            let fill = |rtc: &mut Rtc| {
                let mut channel = rtc.channel(id).expect("a channel");
                let mut written = false;
                while !stop.load(Ordering::Relaxed)
                    && channel.buffered_amount() < HIGH_WATER
                    && channel.write(true, &payload).expect("written")
                {
                    written = true;
                }
                written
            };
            while !stop.load(Ordering::Relaxed) {
                let due = a.turn_and_fill(|_, _, _| {}, fill);
                a.wait(due, Duration::from_millis(100));
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let due = b.turn(|_, _, data| {
                    received.fetch_add(data.len() as u64, Ordering::Relaxed);
                });
                b.wait(due, Duration::from_millis(100));
            }
        });
        let flow = crate::observe(&received, time);
        stop.store(true, Ordering::Relaxed);
        flow
    });
    drop(proxy);
    flow
}

pub(crate) fn idle(count: usize) -> Box<dyn Kept> {
    let case = Case::default();
    let mut hosts = Vec::with_capacity(count);
    for _ in 0..count / 2 {
        hosts.extend(connect(&case).0);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = thread::spawn(move || keep(&mut hosts, &stopped));
    Box::new(Stopper(stop, Some(thread)))
}

/// Turns those hosts that have something to do, as a server would.
fn keep(hosts: &mut [Host], stop: &AtomicBool) {
    let readable = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    for (number, host) in hosts.iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&readable, &host.socket, data, epoll::EventFlags::IN).expect("watched");
    }
    let mut dues: Vec<Instant> = (hosts.iter_mut())
        .map(|host| host.turn(|_, _, _| {}))
        .collect();
    let mut events = Vec::with_capacity(hosts.len());
    while !stop.load(Ordering::Relaxed) {
        let due = dues.iter().min().expect("a host");
        let patience = due
            .saturating_duration_since(Instant::now())
            .min(Duration::from_millis(100));
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        events.clear();
        // Interrupted or not: what is due is looked at again.
        let _ = epoll::wait(&readable, spare_capacity(&mut events), Some(&patience));
        for event in &events {
            let data = event.data;
            let number = data.u64() as usize;
            dues[number] = hosts[number].turn(|_, _, _| {});
        }
        let now = Instant::now();
        for (host, due) in hosts.iter_mut().zip(&mut dues) {
            if *due <= now {
                *due = host.turn(|_, _, _| {});
            }
        }
    }
}

/// Ends the thread of idle connections.
struct Stopper(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Drop for Stopper {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn media(frames: usize, size: usize) -> (usize, Cost) {
    let mut mid = Mid::from("0");
    let mut hosts = describe(&mut Proxy::new(Default::default()), Some(&mut mid));
    settle(&mut hosts, |host| host.connected);
    let payload = crate::keyframe(size);
    let [a, b] = &mut hosts;
    let pt = a
        .rtc
        .writer(mid)
        .and_then(|writer| writer.payload_params().next().map(|params| params.pt()))
        .expect("a payload type");
    let stop = start();
    for frame in 0..frames {
        a.ahead += crate::FRAME_TIME;
        b.ahead += crate::FRAME_TIME;
        let now = a.now();
        let time = MediaTime::new(frame as u64 * 3000, Frequency::NINETY_KHZ);
        let writer = a.rtc.writer(mid).expect("a writer");
        writer
            .write(pt, now, time, payload.clone())
            .expect("written");
        a.turn(|_, _, _| {});
        b.turn(|_, _, _| {});
    }
    for _ in 0..20 {
        wait_readable([&a.socket, &b.socket], Duration::from_millis(5));
        a.turn(|_, _, _| {});
        b.turn(|_, _, _| {});
    }
    (b.frames, stop())
}
