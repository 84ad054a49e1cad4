//! A small STUN server: Binding, from one address or from two with two ports each (RFC 8489 §12, RFC 5780 §6).

use std::net::SocketAddr;

use crate::attribute::AttributeType;
use crate::message::Message;
use crate::types::{Class, ErrorCode, Method};
use crate::writer::Writer;

/// The greatest PADDING of a response: one that a packet of 1,500 bytes holds, so that nobody gets more than asked for.
const MAX_PADDING: usize = 1400;

/// A response, appended to the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The socket it leaves from: one of [`Server::addresses`].
    pub local: SocketAddr,
    /// Where it goes.
    pub remote: SocketAddr,
    /// How many bytes were appended.
    pub len: usize,
}

/// What became of packets, since construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Binding requests answered with an address.
    pub answered: u64,
    /// Requests answered with an error.
    pub refused: u64,
    /// Packets that are no request to this server.
    pub ignored: u64,
}

/// Answers Binding requests. It keeps nothing about anyone, and needs no clock.
///
/// Given a second address it serves behaviour discovery (RFC 5780 §6): the caller then opens a socket for each of
/// [`addresses`](Self::addresses). Clients of RFC 3489, which send no magic cookie, are answered in their own terms;
/// RESPONSE-ADDRESS is not honoured, since it would send packets to whomever a stranger names.
#[derive(Clone, Debug)]
pub struct Server {
    primary: SocketAddr,
    other: Option<SocketAddr>,
    software: Option<String>,
    stats: ServerStats,
}

impl Server {
    /// A server on one address.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            primary: address,
            other: None,
            software: None,
            stats: ServerStats::default(),
        }
    }

    /// A server on two IP addresses with two ports each; `other` must differ from `primary` in both.
    pub fn with_other(primary: SocketAddr, other: SocketAddr) -> Self {
        let differs = primary.ip() != other.ip() && primary.port() != other.port();
        Self {
            other: differs.then_some(other),
            ..Self::new(primary)
        }
    }

    /// SOFTWARE in every response.
    #[must_use]
    pub fn software(self, software: &str) -> Self {
        Self {
            software: Some(software.to_owned()),
            ..self
        }
    }

    /// The addresses to listen on: one, or all four combinations.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let Some(other) = self.other else {
            return vec![self.primary];
        };
        vec![
            self.primary,
            SocketAddr::new(self.primary.ip(), other.port()),
            SocketAddr::new(other.ip(), self.primary.port()),
            other,
        ]
    }

    /// Counters.
    pub fn stats(&self) -> ServerStats {
        self.stats
    }

    /// Handles a packet from `remote` that came to `local`; the response is appended to `buf`.
    pub fn handle_datagram(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
        buf: &mut Vec<u8>,
    ) -> Option<Reply> {
        let request = Message::parse_classic(data)
            .ok()
            .filter(|message| message.class() == Class::Request)
            .filter(|message| !message.has_fingerprint() || message.check_fingerprint().is_ok());
        let Some(request) = request else {
            self.stats.ignored += 1;
            return None;
        };
        if let Some(refusal) = self.refusal(&request) {
            self.stats.refused += 1;
            let len = self.write_error(&request, refusal, buf);
            return Some(Reply { local, remote, len });
        }
        self.stats.answered += 1;
        let other = self.other.map(|_| self.opposite(local));
        let change = request.change_request().unwrap_or_default();
        let mut from = local;
        if let Some(other) = other {
            // RFC 5780 §6.1, table 1.
            if change.address {
                from.set_ip(other.ip());
            }
            if change.port {
                from.set_port(other.port());
            }
        }
        let mut to = remote;
        if let Some(port) = request.response_port() {
            to.set_port(port);
        }
        let mut writer =
            Writer::classic(buf, Class::Success, Method::BINDING, request.classic_id());
        writer.mapped_address(remote);
        if request.is_classic() {
            writer.source_address(from);
            if let Some(other) = other {
                writer.changed_address(other);
            }
            let len = writer.finish(false);
            return Some(Reply {
                local: from,
                remote: to,
                len,
            });
        }
        writer.xor_mapped_address(remote).response_origin(from);
        if let Some(other) = other {
            writer.other_address(other);
        }
        if let Some(software) = &self.software {
            writer.software(software);
        }
        if let Some(padding) = request.padding() {
            writer.padding(padding.min(MAX_PADDING) as u16);
        }
        let len = writer.finish(request.has_fingerprint());
        Some(Reply {
            local: from,
            remote: to,
            len,
        })
    }

    /// Ca:Cp of RFC 5780 §6.1 for a request that came to Da:Dp.
    fn opposite(&self, local: SocketAddr) -> SocketAddr {
        let other = self.other.unwrap_or(self.primary);
        let ip = if local.ip() == self.primary.ip() {
            other.ip()
        } else {
            self.primary.ip()
        };
        let port = if local.port() == self.primary.port() {
            other.port()
        } else {
            self.primary.port()
        };
        SocketAddr::new(ip, port)
    }

    fn refusal(&self, request: &Message<'_>) -> Option<u16> {
        if request.method() != Method::BINDING || self.is_contradictory(request) {
            return Some(ErrorCode::BAD_REQUEST);
        }
        let unknown = self.unknown(request).next().is_some();
        unknown.then_some(ErrorCode::UNKNOWN_ATTRIBUTE)
    }

    /// RFC 5780 §6.1: PADDING with RESPONSE-PORT would aim large packets at others.
    fn is_contradictory(&self, request: &Message<'_>) -> bool {
        request.padding().is_some() && request.response_port().is_some()
    }

    /// Required attributes that this server does not understand; without a second address CHANGE-REQUEST is one (RFC 5780 §6).
    fn unknown<'a>(&self, request: &Message<'a>) -> impl Iterator<Item = AttributeType> + 'a {
        let two = self.other.is_some();
        let classic = request.is_classic();
        request.unknown_required_by(move |kind| match kind {
            AttributeType::CHANGE_REQUEST => two,
            AttributeType::RESPONSE_PORT
            | AttributeType::PADDING
            | AttributeType::USERNAME
            | AttributeType::USERHASH
            | AttributeType::REALM
            | AttributeType::NONCE
            | AttributeType::PASSWORD_ALGORITHM
            | AttributeType::MESSAGE_INTEGRITY
            | AttributeType::MESSAGE_INTEGRITY_SHA256 => true,
            // Clients of RFC 3489 may send what was theirs; RESPONSE-ADDRESS is refused to them too.
            _ => classic && kind != AttributeType::RESPONSE_ADDRESS && kind.name().is_some(),
        })
    }

    fn write_error(&self, request: &Message<'_>, code: u16, buf: &mut Vec<u8>) -> usize {
        let mut writer = Writer::classic(buf, Class::Error, request.method(), request.classic_id());
        writer.error_code(code);
        if code == ErrorCode::UNKNOWN_ATTRIBUTE {
            writer.unknown_attributes(self.unknown(request));
        }
        writer.finish(request.has_fingerprint())
    }
}
