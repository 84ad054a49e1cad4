//! Datagrams in and out, and time (RFC 7983, RFC 5764 §5).

use super::Session;
use super::transport::{Transmit, Transport};
use std::time::Instant;

impl Session {
    /// A datagram came in on `path`.
    ///
    /// Nothing that it contains can make this fail; what cannot be used is counted and dropped. `false` when ICE has dropped it: it is
    /// no authentic check, no answer to one, and no data of a known peer.
    pub fn handle_datagram(&mut self, now: Instant, path: ice::Path, datagram: &[u8]) -> bool {
        self.handle_input(now, None, path, datagram)
    }

    /// One message came in on a TCP or TLS connection, without its frame. `transport` is the one that asked for the
    /// connection; `None` for an incoming one.
    pub fn handle_message(
        &mut self,
        now: Instant,
        transport: Option<usize>,
        path: ice::Path,
        message: &[u8],
    ) {
        self.handle_input(now, transport, path, message);
    }

    fn handle_input(
        &mut self,
        now: Instant,
        number: Option<usize>,
        path: ice::Path,
        datagram: &[u8],
    ) -> bool {
        if self.closed {
            return false;
        }
        let Some((index, range)) = self.receive(now, number, path, datagram) else {
            return false;
        };
        let Some(range) = range else {
            self.after_input(now, index);
            return true;
        };
        let transport = &mut self.transports[index];
        let payload = &datagram[range];
        transport.count_received(now, path, payload.len());
        // RFC 7983 §7.
        match payload.first() {
            Some(20..=63) => {
                transport.handle_dtls(now, payload);
                self.after_input(now, index);
            }
            Some(128..=191) => self.handle_srtp(now, index, payload),
            _ => transport.counters.unexpected += 1,
        }
        true
    }

    fn handle_srtp(&mut self, now: Instant, index: usize, packet: &[u8]) {
        // Enough for many packets, so that the allocator is asked once for all of them.
        const ARENA: usize = 64 * 1024;
        let transport = &mut self.transports[index];
        let rtcp = rtp::packet::is_rtcp(packet);
        self.arena.reserve(if self.arena.capacity() < packet.len() {
            ARENA.max(packet.len())
        } else {
            packet.len()
        });
        self.arena.extend_from_slice(packet);
        let mut packet = self.arena.split();
        if !transport.unprotect(&mut packet, rtcp) {
            return;
        }
        let number = transport.number;
        if rtcp {
            self.media
                .handle_rtcp(now, number, &packet, &mut self.events);
        } else {
            self.media
                .handle_rtp(now, number, packet.freeze(), &mut self.events);
        }
    }

    /// The socket refused `contents`, the datagrams of a transmit: they are lost, and counted.
    pub fn handle_send_error(&mut self, now: Instant, transmit: &Transmit, contents: &[u8]) {
        let path = ice::Path {
            protocol: transmit.protocol,
            local: transmit.local,
            remote: transmit.remote,
        };
        let mut transports = self.transports.iter_mut();
        if let Some(transport) = transports.find(|known| known.number == transmit.transport) {
            for datagram in contents.chunks(transmit.segment_size.max(1)) {
                transport.count_discarded(now, path, datagram.len());
            }
        }
    }

    /// The time has come that [`Session::poll_timeout`] gave. Too early is no mistake.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        for index in 0..self.transports.len() {
            self.transports[index].handle_timeout(now);
            self.after_input(now, index);
        }
        self.data.handle_timeout(now);
        self.after_data();
        self.handle_tones(now);
        self.media.handle_timeout(now);
    }

    /// When [`Session::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let transports = self.transports.iter().filter_map(Transport::poll_timeout);
        transports
            .chain(self.data.poll_timeout())
            .chain(self.media.poll_timeout())
            .chain(self.tones_timeout())
            .min()
    }

    /// Appends up to `max_datagrams` datagrams of one size (the last may be shorter) for one
    /// destination; `None` when nothing is due.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        buf: &mut Vec<u8>,
        max_datagrams: usize,
    ) -> Option<Transmit> {
        (0..self.transports.len())
            .find_map(|index| self.transmit_from(index, now, buf, max_datagrams.max(1)))
            .or_else(|| self.transmit_from_retired(now, buf))
    }

    fn transmit_from(
        &mut self,
        index: usize,
        now: Instant,
        buf: &mut Vec<u8>,
        max_datagrams: usize,
    ) -> Option<Transmit> {
        /// What one UDP send may carry, all segments together.
        const MOST: usize = 65_000;
        let base = buf.len();
        let transport = &mut self.transports[index];
        if let Some(transmit) = transport.take_stash(buf) {
            return Some(transmit);
        }
        if let Some(own) = transport.agent.poll_transmit(now, buf) {
            return Some(Transmit {
                transport: transport.number,
                protocol: own.protocol,
                local: own.local,
                remote: own.remote,
                segment_size: own.len,
            });
        }
        let mut batch: Option<Transmit> = None;
        for _ in 0..max_datagrams {
            let start = buf.len();
            let Some(frame) = self.transports[index].agent.open_frame(buf) else {
                break;
            };
            let payload = buf.len();
            if !self.next_packet(index, now, buf) {
                buf.truncate(start);
                break;
            }
            let transport = &mut self.transports[index];
            let (protocol, local, remote) = (frame.protocol, frame.local, frame.remote);
            let path = ice::Path {
                protocol,
                local,
                remote,
            };
            transport.count_sent(now, path, buf.len() - payload);
            transport.agent.close_frame(frame, buf);
            let len = buf.len() - start;
            let transmit = Transmit {
                transport: transport.number,
                protocol,
                local,
                remote,
                segment_size: len,
            };
            let Some(batch) = &batch else {
                batch = Some(transmit);
                continue;
            };
            if len > batch.segment_size {
                transport.stash(transmit, buf, start);
                break;
            }
            if len < batch.segment_size || buf.len() - base + batch.segment_size > MOST {
                break;
            }
        }
        batch
    }

    /// The ABORT of the association, which has to leave before DTLS says goodbye: afterwards nothing can be encrypted.
    pub(super) fn keep_abort(&mut self, now: Instant) {
        let number = self.data.transport();
        let mut transports = self.transports.iter_mut();
        let Some(transport) = transports.find(|transport| Some(transport.number) == number) else {
            return;
        };
        let mut packet = Vec::new();
        let Some(frame) = transport.agent.open_frame(&mut packet) else {
            return;
        };
        let start = packet.len();
        if self.data.poll_transmit(now, &mut packet) && transport.seal(now, &mut packet, start) {
            let (protocol, local, remote) = (frame.protocol, frame.local, frame.remote);
            transport.agent.close_frame(frame, &mut packet);
            let transmit = Transmit {
                transport: transport.number,
                protocol,
                local,
                remote,
                segment_size: packet.len(),
            };
            transport.stash(transmit, &mut packet, 0);
        }
    }

    /// Appends the next packet of a transport, protected: handshake, RTCP, RTP, data.
    fn next_packet(&mut self, index: usize, now: Instant, buf: &mut Vec<u8>) -> bool {
        let ntp = self.ntp(now);
        let transport = &mut self.transports[index];
        if transport.poll_dtls(now, buf) {
            return true;
        }
        let start = buf.len();
        while transport.has_srtp() {
            let rtcp = self.media.poll_rtcp(now, ntp, transport.number, buf);
            if !rtcp && !self.media.poll_rtp(now, transport.number, buf) {
                break;
            }
            let protected = if rtcp {
                transport.protect_rtcp(buf, start)
            } else {
                transport.protect_rtp(buf, start)
            };
            if protected {
                return true;
            }
            buf.truncate(start);
        }
        while self.data.transport() == Some(transport.number) && self.data.poll_transmit(now, buf) {
            if transport.seal(now, buf, start) {
                return true;
            }
            buf.truncate(start);
        }
        false
    }
}
