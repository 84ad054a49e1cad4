//! The same small interface over this crate and others, for differential tests and benchmarks.

pub mod node;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sctp::Reliability;

/// An SCTP endpoint with one association.
pub trait Peer {
    fn connect(&mut self, now: Instant);
    fn established(&self) -> bool;
    fn handle_packet(&mut self, now: Instant, packet: Bytes);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    /// Hands out what is to be sent; at most `most` packets where it can stop.
    fn transmit(&mut self, now: Instant, most: usize, out: &mut dyn FnMut(&[u8]));
    /// `false` when the send buffer holds enough.
    fn send(
        &mut self,
        now: Instant,
        stream: u16,
        unordered: bool,
        reliability: Reliability,
        data: &Bytes,
    ) -> bool;
    fn receive(&mut self, now: Instant) -> Option<(u16, Bytes)>;
}

/// Bytes queued at most before `send` refuses.
pub const SEND_BUFFER: usize = 1024 * 1024;

/// This crate.
pub struct Ours {
    pub association: sctp::Association,
    buf: Vec<u8>,
}

impl Ours {
    pub fn new(seed: u64, mut config: sctp::Config) -> Self {
        config.send_buffer = SEND_BUFFER;
        Self {
            association: sctp::Association::new(config, StdRng::seed_from_u64(seed)),
            buf: Vec::with_capacity(2048),
        }
    }
}

impl Peer for Ours {
    fn connect(&mut self, now: Instant) {
        self.association.connect(now);
    }
    fn established(&self) -> bool {
        self.association.is_established()
    }
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.association.handle_packet(now, packet);
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.association.handle_timeout(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }
    fn transmit(&mut self, now: Instant, most: usize, out: &mut dyn FnMut(&[u8])) {
        for _ in 0..most {
            self.buf.clear();
            if self.association.poll_transmit(now, &mut self.buf).is_none() {
                break;
            }
            out(&self.buf);
        }
    }
    fn send(
        &mut self,
        now: Instant,
        stream: u16,
        unordered: bool,
        reliability: Reliability,
        data: &Bytes,
    ) -> bool {
        let options = sctp::association::SendOptions {
            stream,
            ppid: 53,
            unordered,
            reliability,
        };
        self.association.send(now, options, data.clone()).is_ok()
    }
    fn receive(&mut self, now: Instant) -> Option<(u16, Bytes)> {
        while self.association.poll_event().is_some() {}
        let message = self.association.read(now)?;
        Some((message.stream, message.payload))
    }
}

/// `dcsctp` 0.1.
pub struct DcSctp {
    socket: Box<dyn dcsctp::api::DcSctpSocket>,
    base: Instant,
    packets: std::collections::VecDeque<Vec<u8>>,
    connected: bool,
}

impl DcSctp {
    pub fn new(now: Instant, mtu: usize) -> Self {
        let options = dcsctp::api::Options {
            mtu,
            max_receiver_window_buffer_size: 8 * 1024 * 1024,
            max_retransmissions: None,
            max_init_retransmits: None,
            max_timer_backoff_duration: Some(Duration::from_secs(3)),
            zero_checksum_alternate_error_detection_method:
                dcsctp::api::ZeroChecksumAlternateErrorDetectionMethod(1),
            ..dcsctp::api::Options::default()
        };
        Self {
            socket: dcsctp::new_socket("peer", &options),
            base: now,
            packets: Default::default(),
            connected: false,
        }
    }

    fn advance(&mut self, now: Instant) {
        let zero = dcsctp::api::SocketTime::zero();
        self.socket
            .advance_time(zero + now.saturating_duration_since(self.base));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                dcsctp::api::SocketEvent::SendPacket(packet) => self.packets.push_back(packet),
                dcsctp::api::SocketEvent::OnConnected() => self.connected = true,
                _ => {}
            }
        }
    }
}

impl Peer for DcSctp {
    fn connect(&mut self, now: Instant) {
        self.advance(now);
        self.socket.connect();
        self.drain();
    }
    fn established(&self) -> bool {
        self.connected
    }
    fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        self.advance(now);
        self.socket.handle_input(&packet);
        self.drain();
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        if at == dcsctp::api::SocketTime::infinite_future() {
            return None;
        }
        self.base.checked_add(at - dcsctp::api::SocketTime::zero())
    }
    fn transmit(&mut self, now: Instant, _most: usize, out: &mut dyn FnMut(&[u8])) {
        self.advance(now);
        while let Some(packet) = self.packets.pop_front() {
            out(&packet);
        }
    }
    fn send(
        &mut self,
        now: Instant,
        stream: u16,
        unordered: bool,
        reliability: Reliability,
        data: &Bytes,
    ) -> bool {
        let id = dcsctp::api::StreamId(stream);
        if self.socket.buffered_amount(id) > SEND_BUFFER {
            return false;
        }
        self.advance(now);
        let options = dcsctp::api::SendOptions {
            unordered,
            lifetime: match reliability {
                Reliability::MaxPacketLifeTime(lifetime) => Some(lifetime),
                _ => None,
            },
            max_retransmissions: match reliability {
                Reliability::MaxRetransmits(n) => Some(n),
                _ => None,
            },
            ..Default::default()
        };
        let message = dcsctp::api::Message::new(id, dcsctp::api::PpId(53), data.to_vec());
        let taken = self.socket.send(message, &options).is_ok();
        self.drain();
        taken
    }
    fn receive(&mut self, _now: Instant) -> Option<(u16, Bytes)> {
        let message = self.socket.get_next_message()?;
        Some((message.stream_id.0, message.payload.into()))
    }
}

/// The two descendants of Pion's SCTP differ in a few arguments only.
macro_rules! pion_like {
    ($name:ident, $krate:ident, $payload:ident, $mtu:expr,
     new: |$addr:ident, $server:ident| $new:expr,
     connect: |$endpoint:ident, $t0:ident, $client:ident, $remote:ident| $connect:expr,
     handle: |$endpoint2:ident, $t1:ident, $remote2:ident, $packet:ident| $handle:expr,
     event: |$endpoint3:ident, $assoc3:ident, $ch:ident, $event:ident| $on_event:expr,
     write: |$stream:ident, $t2:ident, $data:ident| $write:expr,
     extra: |$endpoint4:ident| $extra:expr) => {
        pub struct $name {
            endpoint: $krate::Endpoint,
            association: Option<($krate::AssociationHandle, $krate::Association)>,
            remote: SocketAddr,
            connected: bool,
            open: std::collections::HashSet<u16>,
            readable: std::collections::VecDeque<u16>,
            inbox: std::collections::VecDeque<Bytes>,
            buf: Vec<u8>,
        }

        impl $name {
            pub fn new() -> Self {
                let $addr: SocketAddr = "127.0.0.1:5000".parse().unwrap();
                let mut $server = $krate::ServerConfig::default();
                $server.transport = Arc::new(Self::transport());
                Self {
                    endpoint: $new,
                    association: None,
                    remote: "127.0.0.1:5001".parse().unwrap(),
                    connected: false,
                    open: Default::default(),
                    readable: Default::default(),
                    inbox: Default::default(),
                    buf: vec![0; 1024 * 1024],
                }
            }

            fn transport() -> $krate::TransportConfig {
                $krate::TransportConfig::default().with_max_receive_buffer_size(8 * 1024 * 1024)
            }

            fn drain(&mut self) {
                let Some((ch, association)) = &mut self.association else {
                    return;
                };
                while let Some(event) = association.poll() {
                    match event {
                        $krate::Event::Connected => self.connected = true,
                        $krate::Event::Stream($krate::StreamEvent::Readable { id }) => {
                            self.readable.push_back(id);
                        }
                        _ => {}
                    }
                }
                while let Some($event) = association.poll_endpoint_event() {
                    let $ch = *ch;
                    let $endpoint3 = &mut self.endpoint;
                    let $assoc3 = &mut *association;
                    $on_event;
                }
            }
        }

        impl Peer for $name {
            fn connect(&mut self, $t0: Instant) {
                let mut $client = $krate::ClientConfig::default();
                $client.transport = Arc::new(Self::transport());
                let $remote = self.remote;
                let $endpoint = &mut self.endpoint;
                let (ch, association) = $connect.unwrap();
                self.association = Some((ch, association));
                self.drain();
            }
            fn established(&self) -> bool {
                self.connected
            }
            fn handle_packet(&mut self, $t1: Instant, $packet: Bytes) {
                let $remote2 = self.remote;
                let $endpoint2 = &mut self.endpoint;
                match $handle {
                    Some((ch, $krate::DatagramEvent::NewAssociation(association))) => {
                        self.association = Some((ch, association));
                    }
                    Some((_, $krate::DatagramEvent::AssociationEvent(event))) => {
                        if let Some((_, association)) = &mut self.association {
                            association.handle_event(event);
                        }
                    }
                    #[allow(unreachable_patterns)]
                    _ => {}
                }
                self.drain();
            }
            fn handle_timeout(&mut self, now: Instant) {
                if let Some((_, association)) = &mut self.association {
                    association.handle_timeout(now);
                }
                self.drain();
            }
            fn poll_timeout(&self) -> Option<Instant> {
                self.association.as_ref()?.1.poll_timeout()
            }
            fn transmit(&mut self, now: Instant, most: usize, out: &mut dyn FnMut(&[u8])) {
                let $endpoint4 = &mut self.endpoint;
                $extra(out);
                let mut count = 0;
                if let Some((_, association)) = &mut self.association {
                    while count < most
                        && let Some(transmit) = association.poll_transmit(now)
                    {
                        if let $krate::Payload::RawEncode(packets) = transmit.$payload {
                            for packet in packets {
                                out(&packet);
                                count += 1;
                            }
                        }
                    }
                }
                self.drain();
            }
            fn send(
                &mut self,
                $t2: Instant,
                id: u16,
                unordered: bool,
                reliability: Reliability,
                $data: &Bytes,
            ) -> bool {
                let Some((_, association)) = &mut self.association else {
                    return false;
                };
                if self.open.insert(id) && association.stream(id).is_err() {
                    association
                        .open_stream(id, $krate::PayloadProtocolIdentifier::Binary)
                        .unwrap();
                }
                let Ok(mut $stream) = association.stream(id) else {
                    return false;
                };
                if $stream.buffered_amount().unwrap() > SEND_BUFFER {
                    return false;
                }
                let (kind, value) = match reliability {
                    Reliability::Reliable => ($krate::ReliabilityType::Reliable, 0),
                    Reliability::MaxRetransmits(n) => {
                        ($krate::ReliabilityType::Rexmit, u32::from(n))
                    }
                    Reliability::MaxPacketLifeTime(d) => {
                        ($krate::ReliabilityType::Timed, d.as_millis() as u32)
                    }
                };
                $stream
                    .set_reliability_params(unordered, kind, value)
                    .unwrap();
                $write.is_ok()
            }
            fn receive(&mut self, _now: Instant) -> Option<(u16, Bytes)> {
                if let Some(message) = self.inbox.pop_front() {
                    return Some((0, message));
                }
                loop {
                    let id = *self.readable.front()?;
                    let (_, association) = self.association.as_mut()?;
                    if let Ok(mut stream) = association.stream(id)
                        && let Ok(Some(chunks)) = stream.read_sctp()
                    {
                        let n = chunks.read(&mut self.buf).unwrap();
                        return Some((id, Bytes::copy_from_slice(&self.buf[..n])));
                    }
                    self.readable.pop_front();
                }
            }
        }
    };
}

pion_like!(
    SctpProto, sctp_proto, payload, 1228,
    new: |_addr, server| sctp_proto::Endpoint::new(
        Arc::new(sctp_proto::EndpointConfig::default()),
        Some(Arc::new(server)),
    ),
    connect: |endpoint, _now, client, remote| endpoint.connect(client, remote),
    handle: |endpoint, now, remote, packet| endpoint.handle(now, remote, None, None, packet),
    event: |endpoint, association, ch, event| if let Some(event) = endpoint.handle_event(ch, event) {
        association.handle_event(event);
    },
    write: |stream, _now, data| stream.write_sctp(data, sctp_proto::PayloadProtocolIdentifier::Binary),
    extra: |endpoint| |out: &mut dyn FnMut(&[u8])| {
        while let Some(transmit) = endpoint.poll_transmit() {
            if let sctp_proto::Payload::RawEncode(packets) = transmit.payload {
                for packet in packets {
                    out(&packet);
                }
            }
        }
    }
);

pion_like!(
    RtcSctp, rtc_sctp, message, 1191,
    new: |addr, server| rtc_sctp::Endpoint::new(
        addr,
        rtc_shared::TransportProtocol::UDP,
        Arc::new(rtc_sctp::EndpointConfig::default()),
        Some(Arc::new(server)),
    ),
    connect: |endpoint, now, client, remote| endpoint.connect(now, client, remote),
    handle: |endpoint, now, remote, packet| endpoint.handle(now, remote, None, packet),
    event: |endpoint, _association, ch, event| endpoint.handle_event(ch, event),
    write: |stream, now, data| stream.write_sctp(now, data, rtc_sctp::PayloadProtocolIdentifier::Binary),
    extra: |_endpoint| |_: &mut dyn FnMut(&[u8])| {}
);
