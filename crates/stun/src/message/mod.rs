//! A borrowed, checked view of a STUN message.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |0 0|     STUN Message Type     |         Message Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         Magic Cookie                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Transaction ID (96 bits)                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

mod getters;

pub use getters::ChangeRequest;

use std::fmt;

use crate::attribute::{AttributeType, RawAttribute, padded};
use crate::integrity::{self, FingerprintError, Integrity, IntegrityError, IntegrityKey};
use crate::types::{Class, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, unpack_type};

/// Why bytes are not a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than a header.
    #[error("shorter than a STUN header")]
    Short,
    /// The two most significant bits are not zero.
    #[error("the first two bits are not zero")]
    NotStun,
    /// The magic cookie is not there.
    #[error("the magic cookie is missing")]
    Cookie,
    /// The length field is not a multiple of four, or differs from the bytes given.
    #[error("the length field does not fit the bytes")]
    Length,
    /// An attribute ends beyond the message.
    #[error("an attribute ends beyond the message")]
    Attribute,
    /// FINGERPRINT is followed by another attribute, or has a wrong length (RFC 8489 §14.7).
    #[error("the fingerprint is not the last attribute")]
    FingerprintNotLast,
}

/// A parsed message: a view over the datagram, its framing checked once.
///
/// Parsing checks the header and that every attribute lies within the message; values are decoded by the getter that is
/// asked, and a value that its definition does not allow reads as absent. The first of several equal attributes counts,
/// and what follows an integrity attribute is ignored (RFC 8489 §14, §14.5). Nothing panics and nothing is allocated,
/// whatever the bytes.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    id: TransactionId,
    classic: bool,
    /// Offset of the MESSAGE-INTEGRITY attribute's header; 0 stands for none.
    sha1_at: u16,
    sha256_at: u16,
    fingerprint_at: u16,
}

/// Whether a datagram could be STUN: its first two bits are zero, it has room for a header with the magic cookie, and its
/// length field is plausible (RFC 8489 §5, RFC 7983 §7). Nothing more is checked.
pub fn is_message(data: &[u8]) -> bool {
    match data.first_chunk::<8>() {
        Some(&[first, _, _, low, c0, c1, c2, c3]) => {
            first < 0x40
                && low & 3 == 0
                && u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE
                && data.len() >= HEADER_LEN
        }
        None => false,
    }
}

/// Class, method and transaction of what [could be STUN](is_message); nothing else of it is looked at.
pub fn peek(data: &[u8]) -> Option<(Class, Method, TransactionId)> {
    if !is_message(data) {
        return None;
    }
    let [t0, t1, _, _, _, _, _, _, id @ ..] = *data.first_chunk::<HEADER_LEN>()?;
    let (class, method) = unpack_type(u16::from_be_bytes([t0, t1]));
    Some((class, method, TransactionId(id)))
}

impl<'a> Message<'a> {
    /// Reads exactly one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, false)
    }

    /// Reads exactly one message that may lack the magic cookie, as those of RFC 3489 clients do.
    ///
    /// Their 128-bit transaction id is [`classic_id`](Self::classic_id).
    pub fn parse_classic(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, true)
    }

    fn parse_with(bytes: &'a [u8], classic: bool) -> Result<Self, ParseError> {
        let (header, _) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(ParseError::Short)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, id @ ..] = *header;
        if t0 & 0xc0 != 0 {
            return Err(ParseError::NotStun);
        }
        let has_cookie = u32::from_be_bytes([c0, c1, c2, c3]) == MAGIC_COOKIE;
        if !has_cookie && !classic {
            return Err(ParseError::Cookie);
        }
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if len & 3 != 0 || HEADER_LEN + len != bytes.len() {
            return Err(ParseError::Length);
        }
        let (class, method) = unpack_type(u16::from_be_bytes([t0, t1]));
        let mut message = Self {
            bytes,
            class,
            method,
            id: TransactionId(id),
            classic: !has_cookie,
            sha1_at: 0,
            sha256_at: 0,
            fingerprint_at: 0,
        };
        message.check_attributes()?;
        Ok(message)
    }

    /// Walks the attributes once: all lie within the message, and the three that protect it are found.
    fn check_attributes(&mut self) -> Result<(), ParseError> {
        let mut at = HEADER_LEN;
        while at < self.bytes.len() {
            if self.fingerprint_at != 0 {
                return Err(ParseError::FingerprintNotLast);
            }
            let &[k0, k1, l0, l1] = self.bytes[at..]
                .first_chunk::<4>()
                .ok_or(ParseError::Attribute)?;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let end = at + 4 + padded(len);
            if end > self.bytes.len() {
                return Err(ParseError::Attribute);
            }
            // The length field bounds every offset: 65,535 + the header may not fit, so the last few bytes of a
            // message of the greatest length can't be a protecting attribute.
            let offset = u16::try_from(at).unwrap_or(0);
            match AttributeType(u16::from_be_bytes([k0, k1])) {
                AttributeType::MESSAGE_INTEGRITY if self.sha1_at == 0 && self.sha256_at == 0 => {
                    self.sha1_at = offset
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.sha256_at == 0 => {
                    self.sha256_at = offset
                }
                AttributeType::FINGERPRINT if len == 4 => self.fingerprint_at = offset,
                AttributeType::FINGERPRINT => return Err(ParseError::FingerprintNotLast),
                _ => {}
            }
            at = end;
        }
        Ok(())
    }

    /// Request, indication, success or error.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Ties a response to its request.
    pub fn transaction_id(&self) -> TransactionId {
        self.id
    }

    /// All 128 bits that RFC 3489 calls the transaction id; the first four are the magic cookie in later messages.
    pub fn classic_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.bytes[4..HEADER_LEN]);
        id
    }

    /// The message has no magic cookie: its sender speaks RFC 3489.
    pub fn is_classic(&self) -> bool {
        self.classic
    }

    /// The whole message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes that count, in order: up to and with the first integrity attribute, then only those that may follow
    /// it (RFC 8489 §14.5, §14.6, §14.7).
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes {
            bytes: self.bytes,
            at: HEADER_LEN,
            after: After::Nothing,
        }
    }

    /// The value of the first attribute of this type.
    pub fn attribute(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.attributes()
            .find(|attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }

    /// Comprehension-required attributes that this crate does not know (RFC 8489 §6.3).
    pub fn unknown_required(&self) -> impl Iterator<Item = AttributeType> + 'a {
        self.unknown_required_by(|kind| kind.name().is_some())
    }

    /// Comprehension-required attributes that `known` does not accept, for a usage that understands fewer than this crate.
    pub fn unknown_required_by(
        &self,
        known: impl Fn(AttributeType) -> bool + 'a,
    ) -> impl Iterator<Item = AttributeType> + 'a {
        self.attributes()
            .map(|attribute| attribute.kind)
            .filter(move |kind| kind.is_comprehension_required() && !known(*kind))
    }

    /// Which integrity attribute protects the message: the stronger when both are there (RFC 8489 §9.1.3).
    pub fn integrity(&self) -> Option<Integrity> {
        if self.sha256_at != 0 {
            Some(Integrity::Sha256)
        } else if self.sha1_at != 0 {
            Some(Integrity::Sha1)
        } else {
            None
        }
    }

    /// Verifies the integrity attribute, in constant time: MESSAGE-INTEGRITY-SHA256 when present, else MESSAGE-INTEGRITY.
    pub fn check_integrity(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        self.check_integrity_of(self.integrity().ok_or(IntegrityError::Missing)?, key)
    }

    /// Verifies this one integrity attribute.
    pub fn check_integrity_of(
        &self,
        integrity: Integrity,
        key: &IntegrityKey,
    ) -> Result<(), IntegrityError> {
        let at = usize::from(match integrity {
            Integrity::Sha1 => self.sha1_at,
            Integrity::Sha256 => self.sha256_at,
        });
        if at == 0 {
            return Err(IntegrityError::Missing);
        }
        let tag = self.value_at(at).unwrap_or(&[]);
        // RFC 8489 §14.6: "must be the full 32 bytes unless the STUN Usage explicitly specifies that truncation is allowed".
        if tag.len() != integrity.len() {
            return Err(IntegrityError::Length);
        }
        // The length field counts up to the end of the attribute itself (RFC 8489 §14.5).
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&self.bytes[..HEADER_LEN]);
        let len = (at + 4 + tag.len() - HEADER_LEN) as u16;
        header[2..4].copy_from_slice(&len.to_be_bytes());
        if key.verify(integrity, &header, &self.bytes[HEADER_LEN..at], tag) {
            Ok(())
        } else {
            Err(IntegrityError::Mismatch)
        }
    }

    /// The message ends with a FINGERPRINT, right or wrong.
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint_at != 0
    }

    /// Verifies FINGERPRINT (RFC 8489 §14.7).
    pub fn check_fingerprint(&self) -> Result<(), FingerprintError> {
        let at = usize::from(self.fingerprint_at);
        if at == 0 {
            return Err(FingerprintError::Missing);
        }
        let expected = integrity::fingerprint(&self.bytes[..at]);
        if self.value_at(at) == Some(&expected.to_be_bytes()) {
            Ok(())
        } else {
            Err(FingerprintError::Mismatch)
        }
    }

    fn value_at(&self, at: usize) -> Option<&'a [u8]> {
        let (&[_, _, l0, l1], rest) = self.bytes.get(at..)?.split_first_chunk::<4>()?;
        rest.get(..usize::from(u16::from_be_bytes([l0, l1])))
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("class", &self.class)
            .field("method", &self.method)
            .field("transaction_id", &self.id)
            .field(
                "attributes",
                &self.attributes().map(|a| a.kind).collect::<Vec<_>>(),
            )
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Nothing,
    Sha1,
    Sha256,
}

/// Iterates over a message's attributes; see [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
    after: After,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<RawAttribute<'a>> {
        loop {
            let (&[k0, k1, l0, l1], rest) = self.bytes.get(self.at..)?.split_first_chunk::<4>()?;
            let kind = AttributeType(u16::from_be_bytes([k0, k1]));
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let value = rest.get(..len)?;
            let offset = self.at;
            self.at += 4 + padded(len);
            let counts = match self.after {
                After::Nothing => true,
                After::Sha1 => matches!(
                    kind,
                    AttributeType::MESSAGE_INTEGRITY_SHA256 | AttributeType::FINGERPRINT
                ),
                After::Sha256 => kind == AttributeType::FINGERPRINT,
            };
            match kind {
                AttributeType::MESSAGE_INTEGRITY if self.after == After::Nothing => {
                    self.after = After::Sha1
                }
                AttributeType::MESSAGE_INTEGRITY_SHA256 => self.after = After::Sha256,
                _ => {}
            }
            if counts {
                return Some(RawAttribute {
                    kind,
                    value,
                    offset,
                });
            }
        }
    }
}
