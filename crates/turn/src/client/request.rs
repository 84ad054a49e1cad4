//! One request under way, and how each kind is written.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use stun::credentials::LongTerm;
use stun::{Class, ErrorCode, Family, Method, Transaction, TransactionId, Writer};

use crate::config::{Config, Families};

/// What an Allocate request asks for that the server need not grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extras {
    /// RFC 8016 §3.1.1; 405 where it is forbidden.
    ticket: bool,
    /// RFC 8656 §7.1; a server that takes it for a condition answers 440.
    other_family: bool,
}

impl Extras {
    /// What the configuration wants.
    pub(super) fn wanted(config: &Config) -> Self {
        let reserves = config.even_port == Some(true) || config.reservation_token.is_some();
        Self {
            ticket: config.mobility,
            // RFC 8656 §7.1: not with a reservation.
            other_family: config.families == Families::Both && !reserves,
        }
    }

    /// The same without what this error says cannot be had; `None` when it was not asked for.
    pub(super) fn without(self, code: u16) -> Option<Self> {
        let less = match code {
            ErrorCode::MOBILITY_FORBIDDEN => Self {
                ticket: false,
                ..self
            },
            ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED => Self {
                other_family: false,
                ..self
            },
            _ => self,
        };
        (less != self).then_some(less)
    }

    /// To ask for less, in case that the server refuses.
    pub(super) fn lesser(self) -> Option<Self> {
        match self {
            Self { ticket: true, .. } => Some(Self {
                ticket: false,
                ..self
            }),
            Self {
                other_family: true, ..
            } => Some(Self {
                other_family: false,
                ..self
            }),
            _ => None,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Allocate(Extras),
    Refresh {
        lifetime: Duration,
        ticket: Option<Vec<u8>>,
    },
    Permissions(Vec<IpAddr>),
    Channel {
        number: u16,
        peer: SocketAddr,
    },
    Connect(SocketAddr),
}

impl Op {
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Allocate(_) => Method::ALLOCATE,
            Self::Refresh { .. } => Method::REFRESH,
            Self::Permissions(_) => Method::CREATE_PERMISSION,
            Self::Channel { .. } => Method::CHANNEL_BIND,
            Self::Connect(_) => Method::CONNECT,
        }
    }

    /// Whether it tells the server of another address of the client.
    pub(super) fn migrates(&self) -> bool {
        matches!(
            self,
            Self::Refresh {
                ticket: Some(_),
                ..
            }
        )
    }

    pub(super) fn write(&self, id: TransactionId, config: &Config, auth: &LongTerm) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        let mut writer = Writer::new(&mut bytes, Class::Request, self.method(), id);
        match self {
            Self::Allocate(extras) => write_allocate(&mut writer, config, *extras),
            Self::Refresh { lifetime, ticket } => {
                writer.lifetime(*lifetime);
                if let Some(ticket) = ticket {
                    writer.mobility_ticket(ticket);
                }
            }
            Self::Permissions(ips) => {
                for ip in ips {
                    // The port is ignored (RFC 8656 §10.1).
                    writer.xor_peer_address(SocketAddr::new(*ip, 0));
                }
            }
            Self::Channel { number, peer } => {
                writer.channel_number(*number).xor_peer_address(*peer);
            }
            Self::Connect(peer) => {
                writer.xor_peer_address(*peer);
            }
        }
        // RFC 8656 §5: FINGERPRINT only helps where TURN shares its port; it does with ICE.
        auth.finish(&mut writer, true);
        bytes
    }
}

/// RFC 8656 §7.1.
fn write_allocate(writer: &mut Writer<'_>, config: &Config, extras: Extras) {
    if let Some(software) = &config.software {
        writer.software(software);
    }
    writer.requested_transport(config.relay.number());
    writer.lifetime(config.lifetime);
    if config.dont_fragment {
        writer.dont_fragment();
    }
    match (config.reservation_token, config.families) {
        // "MUST NOT include" a family or EVEN-PORT together with a reservation.
        (Some(token), _) => {
            writer.reservation_token(token);
        }
        (None, families) => {
            match families {
                Families::V4 => {}
                Families::V6 => {
                    writer.requested_address_family(Family::V6);
                }
                Families::Both if extras.other_family => {
                    writer
                        .additional_address_family(Family::V6)
                        .additional_address_family_early(Family::V6);
                }
                Families::Both => {}
            }
            if let Some(reserve) = config.even_port {
                writer.even_port(reserve);
            }
        }
    }
    if extras.ticket {
        writer.mobility_ticket(&[]);
    }
}

/// A request, from its first sending to its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: TransactionId,
    pub(super) op: Op,
    pub(super) bytes: Vec<u8>,
    pub(super) timer: Timer,
    /// To be sent at the next `poll_transmit`.
    pub(super) due: bool,
    pub(super) with_credentials: bool,
    /// How often it was made anew: for a nonce, or after a server error.
    pub(super) attempts: u8,
    /// A response came that was not authentic (RFC 8489 §9.2.5).
    pub(super) violated: bool,
}

#[derive(Debug)]
pub(super) enum Timer {
    /// Under way.
    Running(Transaction),
    /// Held back until then, after a server error.
    Waiting(Instant),
}

impl Request {
    /// Whether it is an Allocate request for what this error says cannot be had.
    pub(super) fn asks_for(&self, code: u16) -> bool {
        matches!(self.op, Op::Allocate(extras) if extras.without(code).is_some())
    }

    /// It need not wait any longer.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Timer::Waiting(until) = &mut self.timer {
            *until = now;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.timer {
            Timer::Running(transaction) => transaction.poll_timeout(),
            Timer::Waiting(until) => Some(*until),
        }
    }
}
