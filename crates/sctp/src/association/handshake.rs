//! Setting up: INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, their collisions, restart, and the handshake
//! that session descriptions replace (RFC 9260 §5, draft-hancke-tsvwg-snap).

use std::time::Instant;

use bytes::Bytes;

use super::cookie::Cookie;
use super::reset::Reset;
use super::{Association, Control, Event, Peer, State, random_tag};
use crate::CloseReason;
use crate::receive::Receiver;
use crate::serial::Tsn;
use crate::time::Time;
use crate::wire::init::{Extensions, Init};
use crate::wire::{Chunks, WireError, begin_chunk, cause, end_chunk, kind, padded, param};

/// What to do with the parameters of an INIT or INIT ACK we did not understand.
#[derive(Debug, Default)]
struct Unknown {
    /// The parameters that want to be reported, as they came.
    reported: Vec<u8>,
    /// The state cookie.
    cookie: Option<Bytes>,
    host_name: bool,
}

impl Association {
    /// Sends INIT (RFC 9260 §5.1 A).
    pub fn connect(&mut self, now: Instant) {
        let now = self.clock.time(now);
        if self.state != State::Closed {
            return;
        }
        self.state = State::CookieWait;
        self.begin_handshake_phase(now);
    }

    /// The INIT chunk for `a=sctp-init`; neither state nor timers change.
    pub fn local_init(&self) -> Bytes {
        let mut chunk = Vec::new();
        self.init().write(&mut chunk, None);
        // The chunk's own padding does not belong to it.
        let length = usize::from(u16::from_be_bytes([chunk[2], chunk[3]]));
        chunk.truncate(length);
        chunk.into()
    }

    /// Establishes the association from the peer's INIT chunk, without a handshake.
    pub fn connect_with(&mut self, now: Instant, remote_init: &[u8]) -> Result<(), WireError> {
        let now = self.clock.time(now);
        let chunk = Chunks::new(remote_init, 0)
            .next_chunk()
            .ok_or(WireError::TooShort)??;
        if chunk.kind != kind::INIT {
            return Err(WireError::Forbidden("not an INIT chunk"));
        }
        let value = remote_init.get(chunk.value).ok_or(WireError::BadLength)?;
        let init = Init::parse(value)?;
        init.check()?;
        if self.state == State::Closed {
            self.meet(
                init.tag,
                init.initial_tsn,
                init.window,
                &init,
                init.extensions,
            );
            self.establish(now);
        }
        Ok(())
    }

    fn begin_handshake_phase(&mut self, now: Time) {
        self.handshake_due = true;
        self.handshake_retransmits = 0;
        self.handshake_rto = self.config.rto.initial;
        self.t1 = now.plus(self.handshake_rto);
    }

    /// Notes what the peer's INIT, INIT ACK or cookie says and makes the halves ready.
    fn meet(&mut self, tag: u32, tsn: Tsn, window: u32, init: &Init, announced: Extensions) {
        let extensions = self.offered().both(announced);
        self.peer = Some(Peer {
            tag,
            extensions,
            outbound: self.config.outbound_streams.min(init.inbound),
            inbound: self.config.inbound_streams.min(init.outbound),
        });
        self.sender.begin(
            window,
            extensions.interleaving,
            extensions.partial_reliability,
        );
        self.receiver = Some(Receiver::new(&self.config, tsn, extensions.interleaving));
        self.reset.meet(tsn);
    }

    fn establish(&mut self, now: Time) {
        self.state = State::Established;
        self.t1 = Time::NEVER;
        self.handshake_due = false;
        self.errors = 0;
        self.restart_heartbeat(now);
        tracing::info!("association established");
        self.events.push_back(Event::Connected);
    }

    /// Looks through parameters for what is not understood (RFC 9260 §3.2.1).
    fn walk_params(value: &Bytes) -> Unknown {
        let mut unknown = Unknown::default();
        let mut at = 16;
        for param in Init::params(value) {
            let value_at = at + 4;
            at += padded(param.whole.len());
            match param.kind {
                param::kind::STATE_COOKIE => {
                    unknown.cookie = Some(value.slice(value_at..value_at + param.value.len()));
                }
                param::kind::HOST_NAME => unknown.host_name = true,
                param::kind::IPV4_ADDRESS
                | param::kind::IPV6_ADDRESS
                | param::kind::COOKIE_PRESERVATIVE
                | param::kind::SUPPORTED_ADDRESS_TYPES
                | param::kind::ECN_CAPABLE
                | param::kind::ZERO_CHECKSUM
                | param::kind::RANDOM
                | param::kind::CHUNK_LIST
                | param::kind::HMAC_ALGORITHM
                | param::kind::PADDING
                | param::kind::SUPPORTED_EXTENSIONS
                | param::kind::FORWARD_TSN_SUPPORTED
                | param::kind::UNRECOGNIZED => {}
                _ => {
                    if param.report_if_unknown() {
                        param::write(&mut unknown.reported, param.kind, param.value);
                    }
                    if !param.skip_if_unknown() {
                        break;
                    }
                }
            }
        }
        unknown
    }

    /// INIT: §5.1 B, §5.2.1, §5.2.2.
    pub(super) fn handle_init(&mut self, now: Time, value: &Bytes) {
        let Ok(init) = Init::parse(value) else {
            self.drops.malformed += 1;
            return;
        };
        // §3.3.2: a tag of zero or a tiny window is dropped, no streams is answered.
        if init.tag == 0 || init.window < 1500 {
            self.drops.malformed += 1;
            return;
        }
        if init.check().is_err() {
            self.abort_reply(init.tag, cause::code::INVALID_PARAMETER, &[]);
            return;
        }
        let unknown = Self::walk_params(value);
        if unknown.host_name {
            self.abort_reply(init.tag, cause::code::UNRESOLVABLE_ADDRESS, &[]);
            return;
        }
        let mut answer = self.init();
        let (mut local_tie_tag, mut peer_tie_tag) = (0, 0);
        match self.state {
            State::Ended => {
                self.abort_reply(init.tag, cause::code::USER_ABORT, &[]);
                return;
            }
            State::ShutdownAckSent => {
                // §9.2: the SHUTDOWN ACK was lost; the peer is told again.
                self.shutdown_due = true;
                return;
            }
            State::Closed | State::CookieWait => {}
            State::CookieEchoed { .. } => {
                local_tie_tag = self.local_tag;
                peer_tie_tag = self.peer.map_or(0, |peer| peer.tag);
            }
            State::Established
            | State::ShutdownPending
            | State::ShutdownSent
            | State::ShutdownReceived => {
                local_tie_tag = self.local_tag;
                peer_tie_tag = self.peer.map_or(0, |peer| peer.tag);
                answer.tag = random_tag(&mut self.rng);
            }
        }
        let cookie = self.jar.seal(&Cookie {
            created: now,
            lifetime: self.config.cookie_lifetime,
            local_tag: answer.tag,
            peer_tag: init.tag,
            local_tie_tag,
            peer_tie_tag,
            local_tsn: answer.initial_tsn,
            peer_tsn: init.initial_tsn,
            peer_window: init.window,
            outbound: init.outbound,
            inbound: init.inbound,
            extensions: init.extensions,
        });
        // §3.3.3.1: each in a parameter of its own.
        let mut reported = Vec::new();
        for param in param::Params(&unknown.reported) {
            param::write(&mut reported, param::kind::UNRECOGNIZED, param.whole);
        }
        let mut chunk = Vec::new();
        answer.write(&mut chunk, Some((&cookie, &reported)));
        self.queue(Control {
            tag: init.tag,
            chunk,
            alone: true,
        });
    }

    /// INIT ACK: §5.1 C, §5.2.3.
    pub(super) fn handle_init_ack(&mut self, now: Time, value: &Bytes) {
        if self.state != State::CookieWait {
            self.drops.unexpected += 1;
            return;
        }
        let Ok(init) = Init::parse(value) else {
            self.drops.malformed += 1;
            return;
        };
        // §3.3.3: a tag of zero destroys the association; so do no streams.
        if init.check().is_err() {
            self.abort_reply(init.tag, cause::code::INVALID_PARAMETER, &[]);
            self.end(CloseReason::ProtocolViolation("invalid INIT ACK"));
            return;
        }
        let unknown = Self::walk_params(value);
        let Some(cookie) = unknown.cookie else {
            let mut missing = 1u32.to_be_bytes().to_vec();
            missing.extend_from_slice(&param::kind::STATE_COOKIE.to_be_bytes());
            self.abort_reply(init.tag, cause::code::MISSING_PARAMETER, &missing);
            self.end(CloseReason::ProtocolViolation("INIT ACK without a cookie"));
            return;
        };
        self.meet(
            init.tag,
            init.initial_tsn,
            init.window,
            &init,
            init.extensions,
        );
        if !unknown.reported.is_empty() {
            // §3.3.10.8: all together, in the ERROR beside COOKIE ECHO.
            let mut chunk = Vec::new();
            let start = begin_chunk(&mut chunk, kind::ERROR, 0);
            cause::write(
                &mut chunk,
                cause::code::UNRECOGNIZED_PARAMETERS,
                &unknown.reported,
            );
            end_chunk(&mut chunk, start);
            self.queue(Control {
                tag: init.tag,
                chunk,
                alone: false,
            });
        }
        self.state = State::CookieEchoed { cookie };
        self.begin_handshake_phase(now);
    }

    /// COOKIE ECHO: §5.1.5, §5.2.4. Returns whether the rest of the packet is processed.
    pub(super) fn handle_cookie_echo(&mut self, now: Time, tag: u32, value: &[u8]) -> bool {
        let Some(cookie) = self.jar.open(value) else {
            self.drops.bad_cookie += 1;
            return false;
        };
        let local = cookie.local_tag == self.local_tag;
        let peer_tag = self.peer.map(|peer| peer.tag);
        let peer = peer_tag == Some(cookie.peer_tag);
        let age = now.since(cookie.created);
        if age > cookie.lifetime && !(local && peer) {
            let staleness = u32::try_from((age - cookie.lifetime).as_micros()).unwrap_or(u32::MAX);
            self.error_reply(
                cookie.peer_tag,
                cause::code::STALE_COOKIE,
                &staleness.to_be_bytes(),
            );
            return false;
        }
        if tag != cookie.local_tag {
            self.drops.wrong_tag += 1;
            return false;
        }
        let ties = cookie.local_tie_tag == self.local_tag
            && peer_tag == Some(cookie.peer_tie_tag)
            && cookie.peer_tie_tag != 0;
        match self.state {
            State::Ended => {
                self.drops.unexpected += 1;
                return false;
            }
            State::Closed => {
                self.local_tag = cookie.local_tag;
                self.meet_by_cookie(&cookie);
                self.establish(now);
            }
            // A: the peer restarted.
            _ if !local && !peer && ties => {
                if self.state == State::ShutdownAckSent {
                    self.shutdown_due = true;
                    self.error_reply(
                        cookie.peer_tag,
                        cause::code::COOKIE_WHILE_SHUTTING_DOWN,
                        &[],
                    );
                    return false;
                }
                self.restart(now, &cookie);
            }
            // B: both started at once, and the peer with another tag than the one known.
            State::CookieWait | State::CookieEchoed { .. } if local && !peer => {
                self.return_data_of_cookie_echo();
                self.meet_by_cookie(&cookie);
                self.establish(now);
            }
            _ if local && !peer => {
                if let Some(known) = &mut self.peer {
                    known.tag = cookie.peer_tag;
                }
            }
            // D: known already, or the peer was faster.
            State::CookieEchoed { .. } if local && peer => {
                self.return_data_of_cookie_echo();
                self.establish(now);
            }
            _ if local && peer => {}
            // C, and what Table 12 does not have.
            _ => {
                self.drops.unexpected += 1;
                return false;
            }
        }
        let mut chunk = Vec::new();
        let start = begin_chunk(&mut chunk, kind::COOKIE_ACK, 0);
        end_chunk(&mut chunk, start);
        // COOKIE ACK is first in its packet (§3.3.12).
        self.control.push_front(Control {
            tag: cookie.peer_tag,
            chunk,
            alone: false,
        });
        true
    }

    fn meet_by_cookie(&mut self, cookie: &Cookie) {
        let init = Init {
            tag: cookie.peer_tag,
            window: cookie.peer_window,
            outbound: cookie.outbound,
            inbound: cookie.inbound,
            initial_tsn: cookie.peer_tsn,
            extensions: cookie.extensions,
        };
        self.meet(
            cookie.peer_tag,
            cookie.peer_tsn,
            cookie.peer_window,
            &init,
            cookie.extensions,
        );
    }

    /// Data that left with a COOKIE ECHO the peer may never have processed is due again.
    pub(super) fn return_data_of_cookie_echo(&mut self) {
        self.sender.take_back();
    }

    /// Action A of §5.2.4.
    fn restart(&mut self, now: Time, cookie: &Cookie) {
        tracing::info!("the peer restarted");
        self.local_tag = cookie.local_tag;
        self.local_tsn = cookie.local_tsn;
        self.sender.restart(&self.config, cookie.local_tsn);
        self.reset = Reset::new(cookie.local_tsn);
        self.meet_by_cookie(cookie);
        self.readable_told = false;
        self.state = State::Established;
        self.t1 = Time::NEVER;
        self.t2 = Time::NEVER;
        self.t5 = Time::NEVER;
        self.shutdown_due = false;
        self.errors = 0;
        self.restart_heartbeat(now);
        self.events.push_back(Event::Restarted);
    }

    /// COOKIE ACK: §5.1 E, §5.2.5.
    pub(super) fn handle_cookie_ack(&mut self, now: Time) {
        if matches!(self.state, State::CookieEchoed { .. }) {
            self.establish(now);
            self.sender.arm_after_handshake(now);
        }
    }

    /// A stale cookie while ours was on its way: start over (§5.2.6, first choice).
    pub(super) fn handle_stale_cookie(&mut self, now: Time) {
        if matches!(self.state, State::CookieEchoed { .. }) {
            let retransmits = self.handshake_retransmits;
            self.sender.take_back();
            self.state = State::CookieWait;
            self.begin_handshake_phase(now);
            self.handshake_retransmits = retransmits + 1;
            if self.handshake_retransmits > self.config.max_init_retransmits {
                self.end(CloseReason::HandshakeTimeout);
            }
        }
    }

    /// An ABORT for a packet that has no association, in a packet of its own.
    fn abort_reply(&mut self, tag: u32, code: u16, information: &[u8]) {
        let mut chunk = Vec::new();
        let start = begin_chunk(&mut chunk, kind::ABORT, 0);
        cause::write(&mut chunk, code, information);
        end_chunk(&mut chunk, start);
        self.queue(Control {
            tag,
            chunk,
            alone: true,
        });
    }

    /// An ERROR chunk.
    pub(super) fn error_reply(&mut self, tag: u32, code: u16, information: &[u8]) {
        let mut chunk = Vec::new();
        let start = begin_chunk(&mut chunk, kind::ERROR, 0);
        cause::write(&mut chunk, code, information);
        end_chunk(&mut chunk, start);
        self.queue(Control {
            tag,
            chunk,
            // Without an association there is no other packet for it.
            alone: matches!(self.state, State::Closed | State::CookieWait),
        });
    }
}
