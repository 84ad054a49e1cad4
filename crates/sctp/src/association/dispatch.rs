//! Packets in: which are ours (RFC 9260 §8.4, §8.5), and which chunk goes where.

use std::time::Instant;

use bytes::Bytes;

use super::{Association, Control, Event, State};
use crate::CloseReason;
use crate::receive::Taken;
use crate::send::sack::SackResult;
use crate::time::Time;
use crate::wire::data::Data;
use crate::wire::forward::ForwardTsn;
use crate::wire::packet::{self, CommonHeader, HEADER_SIZE};
use crate::wire::param::Params;
use crate::wire::sack::Sack;
use crate::wire::{Chunks, FLAG_T, RawChunk, begin_chunk, cause, end_chunk, kind};

impl Association {
    /// A packet came.
    pub fn handle_packet(&mut self, now: Instant, packet: Bytes) {
        let now = self.clock.time(now);
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.len() as u64;
        let Ok(header) = CommonHeader::parse(&packet) else {
            self.drops.malformed += 1;
            return;
        };
        if header.destination_port != self.config.local_port
            || header.source_port != self.config.remote_port
        {
            self.drops.wrong_port += 1;
            return;
        }
        // RFC 9653 §5.3: a zero is fine once we said so, and right or wrong by chance otherwise.
        let unchecked = header.checksum == 0 && self.config.zero_checksum;
        if !unchecked && !packet::checksum_is_right(&packet) {
            self.drops.bad_checksum += 1;
            return;
        }
        if !self.tag_is_right(&packet, &header) {
            return;
        }
        self.handle_chunks(now, &packet, &header);
        if let Some(receiver) = &mut self.receiver {
            receiver.end_packet(now);
        }
        self.after_packet(now);
    }

    /// RFC 9260 §8.5 and §8.5.1.
    fn tag_is_right(&mut self, packet: &Bytes, header: &CommonHeader) -> bool {
        let tag = header.verification_tag;
        let mut chunks = Chunks::new(packet, HEADER_SIZE);
        let Some(Ok(first)) = chunks.next_chunk() else {
            self.drops.malformed += 1;
            return false;
        };
        let reflected = first.flags & FLAG_T != 0;
        let peer_tag = self.peer.map(|peer| peer.tag);
        let right = match first.kind {
            // A: INIT is alone in its packet and its tag is zero.
            kind::INIT => tag == 0 && chunks.next_chunk().is_none(),
            // D: checked with the cookie.
            kind::COOKIE_ECHO => true,
            // B and C.
            kind::ABORT | kind::SHUTDOWN_COMPLETE if reflected => peer_tag == Some(tag),
            _ => tag == self.local_tag && (self.state != State::Closed),
        };
        if right && !(self.state == State::Ended && first.kind != kind::INIT) {
            return true;
        }
        self.drops.wrong_tag += 1;
        let no_association = matches!(self.state, State::Closed | State::Ended);
        if no_association || first.kind == kind::SHUTDOWN_ACK {
            self.answer_out_of_the_blue(&first, tag);
        }
        false
    }

    /// RFC 9260 §8.4: a packet without an association.
    fn answer_out_of_the_blue(&mut self, first: &RawChunk, tag: u32) {
        let reply = match first.kind {
            kind::SHUTDOWN_ACK => kind::SHUTDOWN_COMPLETE,
            kind::ABORT
            | kind::INIT
            | kind::SHUTDOWN_COMPLETE
            | kind::COOKIE_ACK
            | kind::COOKIE_ECHO
            | kind::ERROR => return,
            _ => kind::ABORT,
        };
        // In the middle of a handshake only the stray SHUTDOWN ACK of §8.5.1 E is answered.
        let handshaking = matches!(self.state, State::CookieWait | State::CookieEchoed { .. });
        let over = matches!(self.state, State::Closed | State::Ended);
        if !(over || handshaking) {
            return;
        }
        let mut chunk = Vec::new();
        let start = begin_chunk(&mut chunk, reply, FLAG_T);
        end_chunk(&mut chunk, start);
        self.queue(Control {
            tag,
            chunk,
            alone: true,
        });
    }

    fn handle_chunks(&mut self, now: Time, packet: &Bytes, header: &CommonHeader) {
        let mut chunks = Chunks::new(packet, HEADER_SIZE);
        while let Some(chunk) = chunks.next_chunk() {
            let Ok(chunk) = chunk else {
                self.drops.malformed += 1;
                return;
            };
            if !self.handle_chunk(now, packet, header, chunk) {
                return;
            }
        }
    }

    /// Returns whether the rest of the packet is looked at.
    #[inline]
    fn handle_chunk(
        &mut self,
        now: Time,
        packet: &Bytes,
        header: &CommonHeader,
        chunk: RawChunk,
    ) -> bool {
        match chunk.kind {
            kind::DATA | kind::I_DATA => return self.handle_data(packet, &chunk),
            kind::SACK => return self.handle_sack(now, packet, &chunk),
            _ => {}
        }
        let value = packet.slice(chunk.value.clone());
        match chunk.kind {
            kind::INIT => self.handle_init(now, &value),
            kind::INIT_ACK => self.handle_init_ack(now, &value),
            kind::COOKIE_ECHO => {
                return self.handle_cookie_echo(now, header.verification_tag, &value);
            }
            kind::COOKIE_ACK => self.handle_cookie_ack(now),
            kind::HEARTBEAT => self.handle_heartbeat(&value),
            kind::HEARTBEAT_ACK => self.handle_heartbeat_ack(now, &value),
            kind::ABORT => {
                self.handle_abort(&value);
                return false;
            }
            kind::ERROR => self.handle_error(now, &value),
            kind::SHUTDOWN => self.handle_shutdown(now, &value),
            kind::SHUTDOWN_ACK => self.handle_shutdown_ack(),
            kind::SHUTDOWN_COMPLETE => self.handle_shutdown_complete(),
            kind::FORWARD_TSN | kind::I_FORWARD_TSN => {
                self.handle_forward(&value, chunk.kind == kind::I_FORWARD_TSN);
            }
            kind::RE_CONFIG => self.handle_reconfig(now, &value),
            kind::PAD => {}
            _ => return self.handle_unknown(packet, &chunk),
        }
        self.state != State::Ended
    }

    #[inline]
    fn handle_data(&mut self, packet: &Bytes, chunk: &RawChunk) -> bool {
        if !self.state.receives_data() {
            self.drops.unexpected += 1;
            return true;
        }
        let Some(peer) = self.peer else {
            return true;
        };
        let Ok(data) = Data::parse(packet, chunk) else {
            self.drops.malformed += 1;
            return true;
        };
        if data.payload.is_empty() {
            // §6.2: no user data is answered with an ABORT.
            let tsn = data.tsn.0.to_be_bytes();
            self.abort_with(
                cause::code::NO_USER_DATA,
                &tsn,
                CloseReason::ProtocolViolation("DATA without user data"),
            );
            return false;
        }
        let stream = data.stream;
        let Some(receiver) = &mut self.receiver else {
            return true;
        };
        if stream >= peer.inbound {
            // §6.5: acknowledged, reported, not delivered.
            receiver.take_nothing(data.tsn);
            let mut information = stream.to_be_bytes().to_vec();
            information.extend_from_slice(&[0, 0]);
            self.error_reply(peer.tag, cause::code::INVALID_STREAM, &information);
            return true;
        }
        match receiver.handle_data(packet, data) {
            Taken::Yes | Taken::NoRoom => true,
            Taken::Violation(what) => {
                self.abort_with(
                    cause::code::PROTOCOL_VIOLATION,
                    &[],
                    CloseReason::ProtocolViolation(what),
                );
                false
            }
        }
    }

    #[inline]
    fn handle_sack(&mut self, now: Time, packet: &Bytes, chunk: &RawChunk) -> bool {
        let value = packet.get(chunk.value.clone()).unwrap_or(&[]);
        let Ok(sack) = Sack::parse(value) else {
            self.drops.malformed += 1;
            return true;
        };
        if !self.state.sends_data() {
            self.drops.unexpected += 1;
            return true;
        }
        match self.sender.handle_sack(now, &sack) {
            SackResult::Progress => self.errors = 0,
            SackResult::Nothing => {
                // §6.1 A: a peer that keeps its window closed is still there.
                if sack.window == 0 {
                    self.errors = 0;
                }
            }
            SackResult::Stale => self.drops.stale += 1,
            SackResult::Impossible => {
                self.abort_with(
                    cause::code::PROTOCOL_VIOLATION,
                    &[],
                    CloseReason::ProtocolViolation("SACK of data never sent"),
                );
                return false;
            }
        }
        true
    }

    fn handle_forward(&mut self, value: &[u8], interleaved: bool) {
        let Some(peer) = self.peer else { return };
        if !self.state.receives_data()
            || !peer.extensions.partial_reliability
            || interleaved != peer.extensions.interleaving
        {
            self.drops.unexpected += 1;
            return;
        }
        let Ok(forward) = ForwardTsn::parse(value, interleaved) else {
            self.drops.malformed += 1;
            return;
        };
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_forward(&forward);
        }
    }

    fn handle_error(&mut self, now: Time, value: &[u8]) {
        for cause in Params(value) {
            tracing::debug!(code = cause.kind, "the peer reports an error");
            if cause.kind == cause::code::STALE_COOKIE {
                self.handle_stale_cookie(now);
            }
        }
    }

    /// The two highest bits say what to do (RFC 9260 §3.2).
    fn handle_unknown(&mut self, packet: &Bytes, chunk: &RawChunk) -> bool {
        self.drops.unknown_chunks += 1;
        if chunk.kind & 0x40 != 0
            && let Some(peer) = self.peer
            && self.state != State::Ended
        {
            let whole = packet
                .get(chunk.value.start - 4..chunk.value.end)
                .unwrap_or(&[]);
            // The report itself must fit a packet.
            let most = self.config.packet_size - HEADER_SIZE - 8;
            let whole = whole.get(..most).unwrap_or(whole).to_vec();
            self.error_reply(peer.tag, cause::code::UNRECOGNIZED_CHUNK, &whole);
        }
        chunk.kind & 0x80 != 0
    }

    /// What a packet's chunks together lead to.
    #[inline]
    fn after_packet(&mut self, now: Time) {
        if let Some(receiver) = &self.receiver {
            self.reset.on_cumulative(receiver.tsns.cumulative());
            if receiver.has_ready() && !self.readable_told {
                self.readable_told = true;
                self.events.push_back(Event::Readable);
            }
        }
        if self.reset.has_due() {
            self.perform_deferred_reset();
        }
        if matches!(
            self.state,
            State::ShutdownPending | State::ShutdownReceived | State::ShutdownSent
        ) {
            self.continue_shutdown(now);
        }
    }
}
