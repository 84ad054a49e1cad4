//! Writing a message in place, at the end of a buffer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::attribute::{AttributeType, write_address, xor_address};
use crate::integrity::{self, Integrity, IntegrityKey, PasswordAlgorithm};
use crate::message::ChangeRequest;
use crate::types::{
    Class, ErrorCode, Family, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId, pack_type,
};

/// Appends one message to a buffer, attribute by attribute; what the buffer held before stays.
///
/// No memory is allocated when the buffer has room. A message whose attributes exceed the 65,535 bytes its length field
/// can say is taken back whole, and `finish*` returns 0.
///
/// ```
/// use stun::{Class, IntegrityKey, Message, Method, TransactionId, Writer};
///
/// let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
/// let mut buf = Vec::with_capacity(128);
/// let len = Writer::new(&mut buf, Class::Request, Method::BINDING, TransactionId([7; 12]))
///     .username("evtj:h6vY")
///     .priority(0x6e00_01ff)
///     .finish_with(&key, true);
/// let message = Message::parse(&buf[..len]).unwrap();
/// assert_eq!(message.username(), Some("evtj:h6vY"));
/// assert!(message.check_integrity(&key).is_ok() && message.check_fingerprint().is_ok());
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buf: &'b mut Vec<u8>,
    start: usize,
    id: TransactionId,
    overflow: bool,
}

impl<'b> Writer<'b> {
    /// Starts a message.
    pub fn new(buf: &'b mut Vec<u8>, class: Class, method: Method, id: TransactionId) -> Self {
        let mut classic = [0; 16];
        classic[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        classic[4..].copy_from_slice(&id.0);
        Self::classic(buf, class, method, classic)
    }

    /// Starts a message with a 128-bit transaction id, as an answer to an RFC 3489 client needs.
    pub fn classic(buf: &'b mut Vec<u8>, class: Class, method: Method, id: [u8; 16]) -> Self {
        let start = buf.len();
        let mut header = [0; HEADER_LEN];
        header[..2].copy_from_slice(&pack_type(class, method).to_be_bytes());
        header[4..].copy_from_slice(&id);
        buf.extend_from_slice(&header);
        let mut short = [0; 12];
        short.copy_from_slice(&id[4..]);
        Self {
            buf,
            start,
            id: TransactionId(short),
            overflow: false,
        }
    }

    /// Any attribute, its value as it is; padding is added.
    pub fn attribute(&mut self, kind: AttributeType, value: &[u8]) -> &mut Self {
        self.attribute_parts(kind, value, &[])
    }

    /// An attribute whose value is two pieces.
    fn attribute_parts(&mut self, kind: AttributeType, first: &[u8], second: &[u8]) -> &mut Self {
        let len = first.len() + second.len();
        let Ok(length) = u16::try_from(len) else {
            self.overflow = true;
            return self;
        };
        let [k0, k1] = kind.0.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        self.buf.extend_from_slice(&[k0, k1, l0, l1]);
        self.buf.extend_from_slice(first);
        self.buf.extend_from_slice(second);
        // RFC 8489 §14: "the padding bits MUST be set to zero on sending".
        self.buf
            .extend_from_slice(&[0; 3][..len.wrapping_neg() & 3]);
        self
    }

    fn address(&mut self, kind: AttributeType, addr: SocketAddr) -> &mut Self {
        let (value, len) = write_address(addr);
        self.attribute(kind, &value[..len])
    }

    fn xored(&mut self, kind: AttributeType, addr: SocketAddr) -> &mut Self {
        self.address(kind, xor_address(addr, self.id))
    }

    /// USERNAME (RFC 8489 §14.3).
    pub fn username(&mut self, username: &str) -> &mut Self {
        self.attribute(AttributeType::USERNAME, username.as_bytes())
    }

    /// USERNAME in ICE is the two fragments with a colon between (RFC 8445 §7.2.2), the receiver's first.
    pub fn ice_username(&mut self, receiver: &str, sender: &str) -> &mut Self {
        let len = receiver.len() + 1 + sender.len();
        let Ok(length) = u16::try_from(len) else {
            self.overflow = true;
            return self;
        };
        let [k0, k1] = AttributeType::USERNAME.0.to_be_bytes();
        let [l0, l1] = length.to_be_bytes();
        self.buf.extend_from_slice(&[k0, k1, l0, l1]);
        self.buf.extend_from_slice(receiver.as_bytes());
        self.buf.push(b':');
        self.buf.extend_from_slice(sender.as_bytes());
        self.buf
            .extend_from_slice(&[0; 3][..len.wrapping_neg() & 3]);
        self
    }

    /// USERHASH (RFC 8489 §14.4); [`userhash`](crate::userhash) computes it.
    pub fn userhash(&mut self, hash: &[u8; 32]) -> &mut Self {
        self.attribute(AttributeType::USERHASH, hash)
    }

    /// REALM (RFC 8489 §14.9).
    pub fn realm(&mut self, realm: &str) -> &mut Self {
        self.attribute(AttributeType::REALM, realm.as_bytes())
    }

    /// NONCE (RFC 8489 §14.10).
    pub fn nonce(&mut self, nonce: &[u8]) -> &mut Self {
        self.attribute(AttributeType::NONCE, nonce)
    }

    /// SOFTWARE (RFC 8489 §14.14).
    pub fn software(&mut self, software: &str) -> &mut Self {
        self.attribute(AttributeType::SOFTWARE, software.as_bytes())
    }

    /// ERROR-CODE with the registry's phrase (RFC 8489 §14.8).
    pub fn error_code(&mut self, code: u16) -> &mut Self {
        self.error_code_with(code, ErrorCode::phrase(code))
    }

    /// ERROR-CODE with a phrase of one's own.
    pub fn error_code_with(&mut self, code: u16, reason: &str) -> &mut Self {
        let head = [0, 0, ((code / 100) & 7) as u8, (code % 100) as u8];
        self.attribute_parts(AttributeType::ERROR_CODE, &head, reason.as_bytes())
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub fn unknown_attributes(
        &mut self,
        kinds: impl IntoIterator<Item = AttributeType>,
    ) -> &mut Self {
        let [k0, k1] = AttributeType::UNKNOWN_ATTRIBUTES.0.to_be_bytes();
        let at = self.buf.len();
        self.buf.extend_from_slice(&[k0, k1, 0, 0]);
        for kind in kinds {
            self.buf.extend_from_slice(&kind.0.to_be_bytes());
        }
        let len = self.buf.len() - at - 4;
        match u16::try_from(len) {
            Ok(length) => self.buf[at + 2..at + 4].copy_from_slice(&length.to_be_bytes()),
            Err(_) => self.overflow = true,
        }
        self.buf
            .extend_from_slice(&[0; 3][..len.wrapping_neg() & 3]);
        self
    }

    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    pub fn mapped_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::MAPPED_ADDRESS, addr)
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
    pub fn xor_mapped_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.xored(AttributeType::XOR_MAPPED_ADDRESS, addr)
    }

    /// ALTERNATE-SERVER (RFC 8489 §14.15).
    pub fn alternate_server(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::ALTERNATE_SERVER, addr)
    }

    /// ALTERNATE-DOMAIN (RFC 8489 §14.16).
    pub fn alternate_domain(&mut self, domain: &str) -> &mut Self {
        self.attribute(AttributeType::ALTERNATE_DOMAIN, domain.as_bytes())
    }

    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11).
    pub fn password_algorithms(&mut self, algorithms: &[PasswordAlgorithm]) -> &mut Self {
        let [k0, k1] = AttributeType::PASSWORD_ALGORITHMS.0.to_be_bytes();
        let [l0, l1] = (algorithms.len().min(1000) as u16 * 4).to_be_bytes();
        self.buf.extend_from_slice(&[k0, k1, l0, l1]);
        for algorithm in algorithms.iter().take(1000) {
            let [n0, n1] = algorithm.number().to_be_bytes();
            self.buf.extend_from_slice(&[n0, n1, 0, 0]);
        }
        self
    }

    /// PASSWORD-ALGORITHM (RFC 8489 §14.12).
    pub fn password_algorithm(&mut self, algorithm: PasswordAlgorithm) -> &mut Self {
        let [n0, n1] = algorithm.number().to_be_bytes();
        self.attribute(AttributeType::PASSWORD_ALGORITHM, &[n0, n1, 0, 0])
    }

    // ICE (RFC 8445 §16.1).

    /// PRIORITY.
    pub fn priority(&mut self, priority: u32) -> &mut Self {
        self.attribute(AttributeType::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(&mut self) -> &mut Self {
        self.attribute(AttributeType::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING.
    pub fn ice_controlling(&mut self, tie_breaker: u64) -> &mut Self {
        self.attribute(AttributeType::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED.
    pub fn ice_controlled(&mut self, tie_breaker: u64) -> &mut Self {
        self.attribute(AttributeType::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// NOMINATION (draft-thatcher-ice-renomination).
    pub fn nomination(&mut self, number: u32) -> &mut Self {
        self.attribute(AttributeType::NOMINATION, &number.to_be_bytes())
    }

    // TURN (RFC 8656 §18).

    /// CHANNEL-NUMBER.
    pub fn channel_number(&mut self, number: u16) -> &mut Self {
        let [n0, n1] = number.to_be_bytes();
        self.attribute(AttributeType::CHANNEL_NUMBER, &[n0, n1, 0, 0])
    }

    /// LIFETIME, in whole seconds.
    pub fn lifetime(&mut self, lifetime: Duration) -> &mut Self {
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        self.attribute(AttributeType::LIFETIME, &seconds.to_be_bytes())
    }

    /// XOR-PEER-ADDRESS.
    pub fn xor_peer_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.xored(AttributeType::XOR_PEER_ADDRESS, addr)
    }

    /// DATA.
    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        self.attribute(AttributeType::DATA, data)
    }

    /// XOR-RELAYED-ADDRESS.
    pub fn xor_relayed_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.xored(AttributeType::XOR_RELAYED_ADDRESS, addr)
    }

    /// REQUESTED-ADDRESS-FAMILY.
    pub fn requested_address_family(&mut self, family: Family) -> &mut Self {
        self.attribute(
            AttributeType::REQUESTED_ADDRESS_FAMILY,
            &[family.number(), 0, 0, 0],
        )
    }

    /// ADDITIONAL-ADDRESS-FAMILY.
    pub fn additional_address_family(&mut self, family: Family) -> &mut Self {
        self.attribute(
            AttributeType::ADDITIONAL_ADDRESS_FAMILY,
            &[family.number(), 0, 0, 0],
        )
    }

    /// ADDITIONAL-ADDRESS-FAMILY with the number that coturn knew it by until RFC 8656 had one (versions before 4.8).
    pub fn additional_address_family_early(&mut self, family: Family) -> &mut Self {
        self.attribute(
            AttributeType::ADDITIONAL_ADDRESS_FAMILY_EARLY,
            &[family.number(), 0, 0, 0],
        )
    }

    /// ADDRESS-ERROR-CODE.
    pub fn address_error_code(&mut self, family: Family, code: u16) -> &mut Self {
        let head = [
            family.number(),
            0,
            ((code / 100) & 7) as u8,
            (code % 100) as u8,
        ];
        self.attribute_parts(
            AttributeType::ADDRESS_ERROR_CODE,
            &head,
            ErrorCode::phrase(code).as_bytes(),
        )
    }

    /// EVEN-PORT.
    pub fn even_port(&mut self, reserve_next: bool) -> &mut Self {
        self.attribute(AttributeType::EVEN_PORT, &[u8::from(reserve_next) << 7])
    }

    /// REQUESTED-TRANSPORT: 17 for UDP, 6 for TCP.
    pub fn requested_transport(&mut self, protocol: u8) -> &mut Self {
        self.attribute(AttributeType::REQUESTED_TRANSPORT, &[protocol, 0, 0, 0])
    }

    /// DONT-FRAGMENT.
    pub fn dont_fragment(&mut self) -> &mut Self {
        self.attribute(AttributeType::DONT_FRAGMENT, &[])
    }

    /// RESERVATION-TOKEN.
    pub fn reservation_token(&mut self, token: [u8; 8]) -> &mut Self {
        self.attribute(AttributeType::RESERVATION_TOKEN, &token)
    }

    /// ICMP: seven bits of type, nine of code (RFC 8656 §18.13).
    pub fn icmp(&mut self, kind: u8, code: u16, data: u32) -> &mut Self {
        let [i0, i1] = ((u16::from(kind & 0x7f) << 9) | (code & 0x1ff)).to_be_bytes();
        let [d0, d1, d2, d3] = data.to_be_bytes();
        self.attribute(AttributeType::ICMP, &[0, 0, i0, i1, d0, d1, d2, d3])
    }

    /// CONNECTION-ID (RFC 6062 §6.2.1).
    pub fn connection_id(&mut self, id: u32) -> &mut Self {
        self.attribute(AttributeType::CONNECTION_ID, &id.to_be_bytes())
    }

    /// MOBILITY-TICKET (RFC 8016 §3).
    pub fn mobility_ticket(&mut self, ticket: &[u8]) -> &mut Self {
        self.attribute(AttributeType::MOBILITY_TICKET, ticket)
    }

    /// THIRD-PARTY-AUTHORIZATION (RFC 7635 §6.1).
    pub fn third_party_authorization(&mut self, server_name: &str) -> &mut Self {
        self.attribute(
            AttributeType::THIRD_PARTY_AUTHORIZATION,
            server_name.as_bytes(),
        )
    }

    /// ACCESS-TOKEN (RFC 7635 §6.2).
    pub fn access_token(&mut self, token: &[u8]) -> &mut Self {
        self.attribute(AttributeType::ACCESS_TOKEN, token)
    }

    // Behaviour discovery (RFC 5780 §7, RFC 3489 §11.2).

    /// CHANGE-REQUEST.
    pub fn change_request(&mut self, change: ChangeRequest) -> &mut Self {
        let bits = (u8::from(change.address) << 2) | (u8::from(change.port) << 1);
        self.attribute(AttributeType::CHANGE_REQUEST, &[0, 0, 0, bits])
    }

    /// RESPONSE-ORIGIN.
    pub fn response_origin(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::RESPONSE_ORIGIN, addr)
    }

    /// OTHER-ADDRESS.
    pub fn other_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::OTHER_ADDRESS, addr)
    }

    /// RESPONSE-PORT.
    pub fn response_port(&mut self, port: u16) -> &mut Self {
        self.attribute(AttributeType::RESPONSE_PORT, &port.to_be_bytes())
    }

    /// PADDING: that many zero bytes.
    pub fn padding(&mut self, len: u16) -> &mut Self {
        let [k0, k1] = AttributeType::PADDING.0.to_be_bytes();
        let [l0, l1] = len.to_be_bytes();
        self.buf.extend_from_slice(&[k0, k1, l0, l1]);
        self.buf
            .resize(self.buf.len() + ((usize::from(len) + 3) & !3), 0);
        self
    }

    /// SOURCE-ADDRESS (RFC 3489 §11.2.5).
    pub fn source_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::SOURCE_ADDRESS, addr)
    }

    /// CHANGED-ADDRESS (RFC 3489 §11.2.3).
    pub fn changed_address(&mut self, addr: SocketAddr) -> &mut Self {
        self.address(AttributeType::CHANGED_ADDRESS, addr)
    }

    /// Ends the message without integrity; returns its length.
    pub fn finish(&mut self, fingerprint: bool) -> usize {
        if fingerprint {
            self.append_fingerprint();
        }
        self.close()
    }

    /// Ends the message with the integrity attribute the key stands for, and FINGERPRINT if wanted; returns its length.
    pub fn finish_with(&mut self, key: &IntegrityKey, fingerprint: bool) -> usize {
        self.append_integrity(key, key.integrity());
        self.finish(fingerprint)
    }

    /// Ends the message with both integrity attributes, as a first short-term request must when nothing says which of the
    /// two the other side knows (RFC 8489 §9.1.2).
    pub fn finish_with_both(&mut self, key: &IntegrityKey, fingerprint: bool) -> usize {
        self.append_integrity(key, Integrity::Sha1);
        self.append_integrity(key, Integrity::Sha256);
        self.finish(fingerprint)
    }

    fn append_integrity(&mut self, key: &IntegrityKey, integrity: Integrity) {
        // The length covers the attribute, the HMAC does not (RFC 8489 §14.5).
        if !self.set_length(4 + integrity.len()) {
            return;
        }
        let tag = key.sign(integrity, &self.buf[self.start..]);
        let kind = match integrity {
            Integrity::Sha1 => AttributeType::MESSAGE_INTEGRITY,
            Integrity::Sha256 => AttributeType::MESSAGE_INTEGRITY_SHA256,
        };
        self.attribute(kind, tag.as_ref());
    }

    fn append_fingerprint(&mut self) {
        if !self.set_length(8) {
            return;
        }
        let value = integrity::fingerprint(&self.buf[self.start..]);
        self.attribute(AttributeType::FINGERPRINT, &value.to_be_bytes());
    }

    /// Writes the length field as if `more` bytes were appended.
    fn set_length(&mut self, more: usize) -> bool {
        let len = self.buf.len() - self.start - HEADER_LEN + more;
        match u16::try_from(len) {
            Ok(len) if !self.overflow => {
                self.buf[self.start + 2..self.start + 4].copy_from_slice(&len.to_be_bytes());
                true
            }
            _ => {
                self.overflow = true;
                false
            }
        }
    }

    fn close(&mut self) -> usize {
        if !self.set_length(0) {
            self.buf.truncate(self.start);
            return 0;
        }
        self.buf.len() - self.start
    }
}
