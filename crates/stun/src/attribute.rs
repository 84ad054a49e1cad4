//! Attribute types, and the encoding of transport addresses.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |         Type                  |            Length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                   Value (padded to 32 bits)                ....
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::types::{MAGIC_COOKIE, TransactionId};

/// The type of an attribute. Below 0x8000 a receiver must understand it (RFC 8489 §14).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(pub u16);

macro_rules! attribute_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl AttributeType {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name in the registry, when this crate knows the type.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

attribute_types! {
    /// RFC 8489 §14.1.
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    /// RFC 3489 §11.2.2.
    RESPONSE_ADDRESS = 0x0002, "RESPONSE-ADDRESS";
    /// RFC 5780 §7.2.
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST";
    /// RFC 3489 §11.2.5.
    SOURCE_ADDRESS = 0x0004, "SOURCE-ADDRESS";
    /// RFC 3489 §11.2.3.
    CHANGED_ADDRESS = 0x0005, "CHANGED-ADDRESS";
    /// RFC 8489 §14.3.
    USERNAME = 0x0006, "USERNAME";
    /// RFC 8489 §14.5.
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    /// RFC 8489 §14.8.
    ERROR_CODE = 0x0009, "ERROR-CODE";
    /// RFC 8489 §14.13.
    UNKNOWN_ATTRIBUTES = 0x000a, "UNKNOWN-ATTRIBUTES";
    /// RFC 3489 §11.2.11.
    REFLECTED_FROM = 0x000b, "REFLECTED-FROM";
    /// RFC 8656 §18.1.
    CHANNEL_NUMBER = 0x000c, "CHANNEL-NUMBER";
    /// RFC 8656 §18.2.
    LIFETIME = 0x000d, "LIFETIME";
    /// RFC 8656 §18.3.
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS";
    /// RFC 8656 §18.4.
    DATA = 0x0013, "DATA";
    /// RFC 8489 §14.9.
    REALM = 0x0014, "REALM";
    /// RFC 8489 §14.10.
    NONCE = 0x0015, "NONCE";
    /// RFC 8656 §18.5.
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS";
    /// RFC 8656 §18.6.
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY";
    /// RFC 8656 §18.7.
    EVEN_PORT = 0x0018, "EVEN-PORT";
    /// RFC 8656 §18.8.
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT";
    /// RFC 8656 §18.9.
    DONT_FRAGMENT = 0x001a, "DONT-FRAGMENT";
    /// RFC 7635 §6.2.
    ACCESS_TOKEN = 0x001b, "ACCESS-TOKEN";
    /// RFC 8489 §14.6.
    MESSAGE_INTEGRITY_SHA256 = 0x001c, "MESSAGE-INTEGRITY-SHA256";
    /// RFC 8489 §14.12.
    PASSWORD_ALGORITHM = 0x001d, "PASSWORD-ALGORITHM";
    /// RFC 8489 §14.4.
    USERHASH = 0x001e, "USERHASH";
    /// RFC 8489 §14.2.
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    /// RFC 8656 §18.10.
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN";
    /// RFC 8445 §16.1.
    PRIORITY = 0x0024, "PRIORITY";
    /// RFC 8445 §16.1.
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE";
    /// RFC 5780 §7.6.
    PADDING = 0x0026, "PADDING";
    /// RFC 5780 §7.5.
    RESPONSE_PORT = 0x0027, "RESPONSE-PORT";
    /// RFC 6062 §6.2.1.
    CONNECTION_ID = 0x002a, "CONNECTION-ID";
    /// RFC 8656 §18.11.
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY";
    /// RFC 8656 §18.12.
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE";
    /// RFC 8489 §14.11.
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    /// RFC 8489 §14.16.
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    /// RFC 8656 §18.13.
    ICMP = 0x8004, "ICMP";
    /// The XOR-MAPPED-ADDRESS of servers older than its registration (RFC 5389 §18.2 leaves it unassigned);
    /// read, never written.
    XOR_MAPPED_ADDRESS_EARLY = 0x8020, "XOR-MAPPED-ADDRESS";
    /// RFC 8489 §14.14.
    SOFTWARE = 0x8022, "SOFTWARE";
    /// RFC 8489 §14.15.
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    /// RFC 8489 §14.7.
    FINGERPRINT = 0x8028, "FINGERPRINT";
    /// RFC 8445 §16.1.
    ICE_CONTROLLED = 0x8029, "ICE-CONTROLLED";
    /// RFC 8445 §16.1.
    ICE_CONTROLLING = 0x802a, "ICE-CONTROLLING";
    /// RFC 5780 §7.3.
    RESPONSE_ORIGIN = 0x802b, "RESPONSE-ORIGIN";
    /// RFC 5780 §7.4.
    OTHER_ADDRESS = 0x802c, "OTHER-ADDRESS";
    /// RFC 7635 §6.1.
    THIRD_PARTY_AUTHORIZATION = 0x802e, "THIRD-PARTY-AUTHORIZATION";
    /// RFC 8016 §3.
    MOBILITY_TICKET = 0x8030, "MOBILITY-TICKET";
    /// The ADDITIONAL-ADDRESS-FAMILY of servers older than its registration: coturn before 4.8; written, never read.
    ADDITIONAL_ADDRESS_FAMILY_EARLY = 0x8032, "ADDITIONAL-ADDRESS-FAMILY";
    /// draft-thatcher-ice-renomination §3; the number browsers use.
    NOMINATION = 0xc001, "NOMINATION";
    /// Network id and cost, sent by libwebrtc in checks; read by nobody here.
    GOOG_NETWORK_INFO = 0xc057, "GOOG-NETWORK-INFO";
}

impl AttributeType {
    /// A receiver that does not know this type must refuse the request (RFC 8489 §14).
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One attribute as it stood in the message, its padding left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// What it is.
    pub kind: AttributeType,
    /// Its value.
    pub value: &'a [u8],
    /// Where its header starts, counted from the start of the message.
    pub(crate) offset: usize,
}

/// The length of a value with its padding (RFC 8489 §14).
pub(crate) const fn padded(len: usize) -> usize {
    (len + 3) & !3
}

/// MAPPED-ADDRESS and its kin (RFC 8489 §14.1):
///
/// ```text
/// |0 0 0 0 0 0 0 0|    Family     |           Port                |
/// |                 Address (32 bits or 128 bits)                 |
/// ```
pub(crate) fn parse_address(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let ip = match family {
        1 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        2 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}

/// XOR-MAPPED-ADDRESS and its kin (RFC 8489 §14.2): port and address XORed with cookie and transaction id.
pub(crate) fn xor_address(addr: SocketAddr, id: TransactionId) -> SocketAddr {
    let port = addr.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match addr.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            let (cookie, rest) = mask.split_at_mut(4);
            cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
            rest.copy_from_slice(&id.0);
            IpAddr::V6(Ipv6Addr::from_bits(
                ip.to_bits() ^ u128::from_be_bytes(mask),
            ))
        }
    };
    SocketAddr::new(ip, port)
}

/// Encodes an address; returns how many of the twenty bytes count.
pub(crate) fn write_address(addr: SocketAddr) -> ([u8; 20], usize) {
    let mut out = [0; 20];
    let [p0, p1] = addr.port().to_be_bytes();
    match addr.ip() {
        IpAddr::V4(ip) => {
            out[..4].copy_from_slice(&[0, 1, p0, p1]);
            out[4..8].copy_from_slice(&ip.octets());
            (out, 8)
        }
        IpAddr::V6(ip) => {
            out[..4].copy_from_slice(&[0, 2, p0, p1]);
            out[4..].copy_from_slice(&ip.octets());
            (out, 20)
        }
    }
}
