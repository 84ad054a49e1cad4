//! The small types of the STUN header: class, method, transaction id, error code.

use std::fmt;

use rand::Rng;

/// The fixed value in the second word of every STUN header (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// Bytes of the STUN header (RFC 8489 §5).
pub const HEADER_LEN: usize = 20;

/// What a message is for (RFC 8489 §5, the bits C1 and C0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// Asks for nothing.
    Indication,
    /// The request was done.
    Success,
    /// The request was refused; an ERROR-CODE attribute says why.
    Error,
}

/// The twelve-bit method of a message (RFC 8489 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// RFC 8489 §18.2.
    pub const BINDING: Self = Self(0x001);
    /// RFC 8656 §17.
    pub const ALLOCATE: Self = Self(0x003);
    /// RFC 8656 §17.
    pub const REFRESH: Self = Self(0x004);
    /// RFC 8656 §17; only in indications.
    pub const SEND: Self = Self(0x006);
    /// RFC 8656 §17; only in indications.
    pub const DATA: Self = Self(0x007);
    /// RFC 8656 §17.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// RFC 8656 §17.
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// RFC 6062 §6.1.
    pub const CONNECT: Self = Self(0x00a);
    /// RFC 6062 §6.1.
    pub const CONNECTION_BIND: Self = Self(0x00b);
    /// RFC 6062 §6.1; only in indications.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00c);

    /// A method by its number; only the low twelve bits exist on the wire.
    pub const fn new(number: u16) -> Self {
        Self(number & 0x0fff)
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::BINDING => "Binding",
            Self::ALLOCATE => "Allocate",
            Self::REFRESH => "Refresh",
            Self::SEND => "Send",
            Self::DATA => "Data",
            Self::CREATE_PERMISSION => "CreatePermission",
            Self::CHANNEL_BIND => "ChannelBind",
            Self::CONNECT => "Connect",
            Self::CONNECTION_BIND => "ConnectionBind",
            Self::CONNECTION_ATTEMPT => "ConnectionAttempt",
            Self(number) => return write!(f, "Method({number:#05x})"),
        })
    }
}

/// The fourteen-bit message type interleaves method and class (RFC 8489 §5, figure 3):
///
/// ```text
///  0                 1
///  2  3  4 5 6 7 8 9 0 1 2 3 4 5
/// +--+--+-+-+-+-+-+-+-+-+-+-+-+-+
/// |M |M |M|M|M|C|M|M|M|C|M|M|M|M|
/// |11|10|9|8|7|1|6|5|4|0|3|2|1|0|
/// +--+--+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
pub(crate) const fn pack_type(class: Class, method: Method) -> u16 {
    let m = method.0;
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (m & 0x000f) | ((m & 0x0070) << 1) | ((m & 0x0f80) << 2) | class
}

pub(crate) const fn unpack_type(kind: u16) -> (Class, Method) {
    let method = (kind & 0x000f) | ((kind >> 1) & 0x0070) | ((kind >> 2) & 0x0f80);
    let class = match kind & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method(method))
}

/// Ninety-six bits that tie a response to its request (RFC 8489 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub [u8; 12]);

impl TransactionId {
    /// A fresh id. RFC 8489 §6.1 asks for cryptographic randomness: give a seeded generator only in tests.
    pub fn random<R: Rng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 12];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The ERROR-CODE of an error response (RFC 8489 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For people; may be empty.
    pub reason: &'a str,
}

impl ErrorCode<'_> {
    /// RFC 8489 §14.8.
    pub const TRY_ALTERNATE: u16 = 300;
    /// RFC 8489 §14.8.
    pub const BAD_REQUEST: u16 = 400;
    /// RFC 8489 §14.8.
    pub const UNAUTHENTICATED: u16 = 401;
    /// RFC 8656 §19.
    pub const FORBIDDEN: u16 = 403;
    /// RFC 8016 §4.
    pub const MOBILITY_FORBIDDEN: u16 = 405;
    /// RFC 8489 §14.8.
    pub const UNKNOWN_ATTRIBUTE: u16 = 420;
    /// RFC 8656 §19.
    pub const ALLOCATION_MISMATCH: u16 = 437;
    /// RFC 8489 §14.8.
    pub const STALE_NONCE: u16 = 438;
    /// RFC 8656 §19.
    pub const ADDRESS_FAMILY_NOT_SUPPORTED: u16 = 440;
    /// RFC 8656 §19.
    pub const WRONG_CREDENTIALS: u16 = 441;
    /// RFC 8656 §19.
    pub const UNSUPPORTED_TRANSPORT: u16 = 442;
    /// RFC 8656 §19.
    pub const PEER_ADDRESS_FAMILY_MISMATCH: u16 = 443;
    /// RFC 6062 §6.3.
    pub const CONNECTION_ALREADY_EXISTS: u16 = 446;
    /// RFC 6062 §6.3.
    pub const CONNECTION_TIMEOUT_OR_FAILURE: u16 = 447;
    /// RFC 8656 §19.
    pub const ALLOCATION_QUOTA_REACHED: u16 = 486;
    /// RFC 8445 §16.2 (ICE).
    pub const ROLE_CONFLICT: u16 = 487;
    /// RFC 8489 §14.8.
    pub const SERVER_ERROR: u16 = 500;
    /// RFC 8656 §19.
    pub const INSUFFICIENT_CAPACITY: u16 = 508;

    /// The phrase the registry recommends for `code`, or an empty one.
    pub const fn phrase(code: u16) -> &'static str {
        match code {
            300 => "Try Alternate",
            400 => "Bad Request",
            401 => "Unauthenticated",
            403 => "Forbidden",
            405 => "Mobility Forbidden",
            420 => "Unknown Attribute",
            437 => "Allocation Mismatch",
            438 => "Stale Nonce",
            440 => "Address Family not Supported",
            441 => "Wrong Credentials",
            442 => "Unsupported Transport Protocol",
            443 => "Peer Address Family Mismatch",
            446 => "Connection Already Exists",
            447 => "Connection Timeout or Failure",
            486 => "Allocation Quota Reached",
            487 => "Role Conflict",
            500 => "Server Error",
            508 => "Insufficient Capacity",
            _ => "",
        }
    }
}

impl fmt::Display for ErrorCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.reason.is_empty() {
            Self::phrase(self.code)
        } else {
            self.reason
        };
        write!(f, "{} {reason}", self.code)
    }
}

/// An address family as STUN and TURN attributes name it (RFC 8489 §14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// 0x01.
    V4,
    /// 0x02.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(addr: &std::net::SocketAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }
}
