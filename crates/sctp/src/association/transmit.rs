//! Packets out: what goes into one, and in which order.

use std::time::Instant;

use super::{Association, State};
use crate::time::Time;
use crate::wire::packet::{self, CommonHeader, HEADER_SIZE};
use crate::wire::{begin_chunk, end_chunk, kind};

impl Association {
    /// Appends one SCTP packet to `buf` and returns its length, or `None` when nothing is to be sent now.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<usize> {
        let now = self.clock.time(now);
        let start = buf.len();
        let checksum = self.write_packet(now, buf, start)?;
        if checksum {
            packet::seal(buf, start);
        }
        let length = buf.len() - start;
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += length as u64;
        Some(length)
    }

    /// Returns whether the packet needs a checksum, or `None` and `buf` as it was.
    fn write_packet(&mut self, now: Time, buf: &mut Vec<u8>, start: usize) -> Option<bool> {
        if self.control.front().is_some_and(|control| control.alone) {
            let control = self.control.pop_front()?;
            self.write_header(buf, control.tag);
            buf.extend_from_slice(&control.chunk);
            return Some(true);
        }
        match &self.state {
            State::Closed | State::Ended => {
                self.control.clear();
                return None;
            }
            State::CookieWait => {
                if !std::mem::take(&mut self.handshake_due) {
                    return None;
                }
                self.write_header(buf, 0);
                self.init().write(buf, None);
                return Some(true);
            }
            State::CookieEchoed { cookie } => {
                if !self.handshake_due {
                    return None;
                }
                let cookie = cookie.clone();
                self.handshake_due = false;
                self.write_header(buf, self.peer?.tag);
                let chunk = begin_chunk(buf, kind::COOKIE_ECHO, 0);
                buf.extend_from_slice(&cookie);
                end_chunk(buf, chunk);
                self.write_control(buf, start);
                // §5.1 C: data may travel with the COOKIE ECHO.
                if self.sender.wants_to_send(now) {
                    self.sender.write_chunks(now, buf, start);
                }
                return Some(true);
            }
            _ => {}
        }
        self.write_established(now, buf, start)
    }

    fn write_established(&mut self, now: Time, buf: &mut Vec<u8>, start: usize) -> Option<bool> {
        let peer = self.peer?;
        let sends_data = self.state.sends_data();
        let data = sends_data && self.sender.wants_to_send(now);
        let sack = match (&self.receiver, &self.state) {
            (_, State::ShutdownAckSent) | (None, _) => false,
            (Some(receiver), _) => receiver.sack_due || (data && receiver.sack_would_help()),
        };
        self.collect_resets(now);
        let forward = sends_data && self.sender.forward_due;
        let idle = !data
            && !sack
            && !forward
            && !self.shutdown_due
            && !self.heartbeat_due
            && !self.reset.has_something_to_send()
            && self.control.is_empty();
        if idle {
            return None;
        }
        self.write_header(buf, peer.tag);
        let end = start + self.config.packet_size;
        self.write_control(buf, start);
        if sack && let Some(receiver) = &mut self.receiver {
            let room = end.saturating_sub(buf.len());
            if room >= 64 {
                receiver.write_sack(buf, room);
            }
        }
        if std::mem::take(&mut self.shutdown_due) {
            self.write_shutdown(buf);
        }
        if forward {
            let room = end.saturating_sub(buf.len());
            if room >= 64 {
                self.sender.write_forward(now, buf, room);
            }
        }
        self.write_reset(now, buf, end);
        if self.heartbeat_due && end.saturating_sub(buf.len()) >= 32 {
            self.write_heartbeat(now, buf);
        }
        if data && self.sender.write_chunks(now, buf, start) {
            self.data_since_heartbeat = true;
        }
        if buf.len() == start + HEADER_SIZE {
            buf.truncate(start);
            return None;
        }
        Some(!peer.extensions.zero_checksum)
    }

    /// Replies, as many as fit.
    fn write_control(&mut self, buf: &mut Vec<u8>, start: usize) {
        let end = start + self.config.packet_size;
        let empty = start + HEADER_SIZE;
        while let Some(control) = self.control.front() {
            let fits = buf.len() == empty || buf.len() + control.chunk.len() <= end;
            if control.alone || !fits {
                break;
            }
            if let Some(control) = self.control.pop_front() {
                buf.extend_from_slice(&control.chunk);
            }
        }
    }

    /// SHUTDOWN or SHUTDOWN ACK (RFC 9260 §3.3.8, §3.3.9).
    fn write_shutdown(&mut self, buf: &mut Vec<u8>) {
        match (&self.state, &self.receiver) {
            (State::ShutdownSent, Some(receiver)) => {
                let chunk = begin_chunk(buf, kind::SHUTDOWN, 0);
                buf.extend_from_slice(&receiver.tsns.cumulative().0.to_be_bytes());
                end_chunk(buf, chunk);
            }
            (State::ShutdownAckSent, _) => {
                let chunk = begin_chunk(buf, kind::SHUTDOWN_ACK, 0);
                end_chunk(buf, chunk);
            }
            _ => {}
        }
    }

    fn write_header(&self, buf: &mut Vec<u8>, tag: u32) {
        CommonHeader {
            source_port: self.config.local_port,
            destination_port: self.config.remote_port,
            verification_tag: tag,
            checksum: 0,
        }
        .write(buf);
    }
}
