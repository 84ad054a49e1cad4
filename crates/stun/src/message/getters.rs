//! Typed reading of attribute values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Message;
use crate::attribute::{AttributeType, parse_address, xor_address};
use crate::integrity::PasswordAlgorithm;
use crate::types::{ErrorCode, Family};

/// The greatest length of the value of USERNAME, REALM, NONCE, SOFTWARE and a reason phrase (RFC 8489 §14.3, §14.8).
const MAX_TEXT: usize = 763;

impl<'a> Message<'a> {
    fn array<const N: usize>(&self, kind: AttributeType) -> Option<[u8; N]> {
        self.attribute(kind)?.try_into().ok()
    }

    fn text(&self, kind: AttributeType) -> Option<&'a str> {
        let value = self.attribute(kind)?;
        if value.len() > MAX_TEXT {
            return None;
        }
        std::str::from_utf8(value).ok()
    }

    fn address(&self, kind: AttributeType) -> Option<SocketAddr> {
        parse_address(self.attribute(kind)?)
    }

    fn xored(&self, kind: AttributeType) -> Option<SocketAddr> {
        Some(xor_address(self.address(kind)?, self.id))
    }

    fn xored_all(&self, kind: AttributeType) -> impl Iterator<Item = SocketAddr> + 'a {
        let id = self.id;
        self.attributes()
            .filter(move |attribute| attribute.kind == kind)
            .filter_map(move |attribute| Some(xor_address(parse_address(attribute.value)?, id)))
    }

    /// USERNAME (RFC 8489 §14.3).
    pub fn username(&self) -> Option<&'a str> {
        self.text(AttributeType::USERNAME)
    }

    /// USERHASH (RFC 8489 §14.4).
    pub fn userhash(&self) -> Option<[u8; 32]> {
        self.array(AttributeType::USERHASH)
    }

    /// REALM (RFC 8489 §14.9).
    pub fn realm(&self) -> Option<&'a str> {
        self.text(AttributeType::REALM)
    }

    /// NONCE (RFC 8489 §14.10); opaque, though it is text in nearly every server.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::NONCE)
            .filter(|value| value.len() <= MAX_TEXT)
    }

    /// SOFTWARE (RFC 8489 §14.14).
    pub fn software(&self) -> Option<&'a str> {
        self.text(AttributeType::SOFTWARE)
    }

    /// ERROR-CODE (RFC 8489 §14.8):
    ///
    /// ```text
    /// |           Reserved, should be 0         |Class|     Number    |
    /// |      Reason Phrase (variable)                                ..
    /// ```
    pub fn error_code(&self) -> Option<ErrorCode<'a>> {
        let (&[_, _, class, number], reason) = self
            .attribute(AttributeType::ERROR_CODE)?
            .split_first_chunk::<4>()?;
        let class = class & 7;
        if !(3..=6).contains(&class) || number > 99 {
            return None;
        }
        let reason = if reason.len() > MAX_TEXT {
            ""
        } else {
            std::str::from_utf8(reason).unwrap_or("")
        };
        Some(ErrorCode {
            code: u16::from(class) * 100 + u16::from(number),
            reason,
        })
    }

    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub fn unknown_attributes(&self) -> impl Iterator<Item = AttributeType> + 'a {
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES)
            .unwrap_or(&[])
            .as_chunks::<2>()
            .0
            .iter()
            .map(|kind| AttributeType(u16::from_be_bytes(*kind)))
    }

    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::MAPPED_ADDRESS)
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xored(AttributeType::XOR_MAPPED_ADDRESS)
            .or_else(|| self.xored(AttributeType::XOR_MAPPED_ADDRESS_EARLY))
    }

    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS from a server that knows only that (RFC 3489).
    pub fn any_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_mapped_address().or_else(|| self.mapped_address())
    }

    /// ALTERNATE-SERVER (RFC 8489 §14.15), of which a server may send one a family (§10).
    pub fn alternate_servers(&self) -> impl Iterator<Item = SocketAddr> + 'a {
        self.attributes()
            .filter(|attribute| attribute.kind == AttributeType::ALTERNATE_SERVER)
            .filter_map(|attribute| parse_address(attribute.value))
    }

    /// ALTERNATE-DOMAIN (RFC 8489 §14.16): at most 255 ASCII characters.
    pub fn alternate_domain(&self) -> Option<&'a str> {
        self.text(AttributeType::ALTERNATE_DOMAIN)
            .filter(|name| name.is_ascii() && name.len() <= 255)
    }

    /// The raw value of PASSWORD-ALGORITHMS, to be echoed (RFC 8489 §9.2.5).
    pub fn password_algorithms_raw(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::PASSWORD_ALGORITHMS)
    }

    /// PASSWORD-ALGORITHMS (RFC 8489 §14.11), those this crate supports, in the server's order.
    pub fn password_algorithms(&self) -> impl Iterator<Item = PasswordAlgorithm> + 'a {
        let mut rest = self.password_algorithms_raw().unwrap_or(&[]);
        std::iter::from_fn(move || {
            let (&[n0, n1, l0, l1], parameters) = rest.split_first_chunk::<4>()?;
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            rest = parameters
                .get(crate::attribute::padded(len)..)
                .unwrap_or(&[]);
            Some((u16::from_be_bytes([n0, n1]), len))
        })
        // Neither algorithm has parameters (RFC 8489 §18.5.1).
        .filter(|&(_, len)| len == 0)
        .filter_map(|(number, _)| PasswordAlgorithm::from_number(number))
    }

    /// PASSWORD-ALGORITHM (RFC 8489 §14.12).
    pub fn password_algorithm(&self) -> Option<PasswordAlgorithm> {
        let [n0, n1, 0, 0] = self.array(AttributeType::PASSWORD_ALGORITHM)? else {
            return None;
        };
        PasswordAlgorithm::from_number(u16::from_be_bytes([n0, n1]))
    }

    // ICE (RFC 8445 §16.1).

    /// PRIORITY.
    pub fn priority(&self) -> Option<u32> {
        self.array(AttributeType::PRIORITY).map(u32::from_be_bytes)
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(&self) -> bool {
        self.attribute(AttributeType::USE_CANDIDATE).is_some()
    }

    /// ICE-CONTROLLING: the tie-breaker.
    pub fn ice_controlling(&self) -> Option<u64> {
        self.array(AttributeType::ICE_CONTROLLING)
            .map(u64::from_be_bytes)
    }

    /// ICE-CONTROLLED: the tie-breaker.
    pub fn ice_controlled(&self) -> Option<u64> {
        self.array(AttributeType::ICE_CONTROLLED)
            .map(u64::from_be_bytes)
    }

    /// NOMINATION (draft-thatcher-ice-renomination): the greatest number seen wins.
    pub fn nomination(&self) -> Option<u32> {
        self.array(AttributeType::NOMINATION)
            .map(u32::from_be_bytes)
    }

    // TURN (RFC 8656 §18).

    /// CHANNEL-NUMBER (RFC 8656 §18.1).
    pub fn channel_number(&self) -> Option<u16> {
        let [n0, n1, _, _] = self.array(AttributeType::CHANNEL_NUMBER)?;
        Some(u16::from_be_bytes([n0, n1]))
    }

    /// LIFETIME (RFC 8656 §18.2).
    pub fn lifetime(&self) -> Option<Duration> {
        self.array(AttributeType::LIFETIME)
            .map(|s| Duration::from_secs(u64::from(u32::from_be_bytes(s))))
    }

    /// XOR-PEER-ADDRESS (RFC 8656 §18.3): the first.
    pub fn xor_peer_address(&self) -> Option<SocketAddr> {
        self.xored(AttributeType::XOR_PEER_ADDRESS)
    }

    /// Every XOR-PEER-ADDRESS of a CreatePermission (RFC 8656 §10.1).
    pub fn xor_peer_addresses(&self) -> impl Iterator<Item = SocketAddr> + 'a {
        self.xored_all(AttributeType::XOR_PEER_ADDRESS)
    }

    /// DATA (RFC 8656 §18.4).
    pub fn data(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::DATA)
    }

    /// Where the value of DATA lies in the message.
    pub fn data_range(&self) -> Option<std::ops::Range<usize>> {
        let attribute = self
            .attributes()
            .find(|attribute| attribute.kind == AttributeType::DATA)?;
        let start = attribute.offset + 4;
        Some(start..start + attribute.value.len())
    }

    /// XOR-RELAYED-ADDRESS (RFC 8656 §18.5): the first.
    pub fn xor_relayed_address(&self) -> Option<SocketAddr> {
        self.xored(AttributeType::XOR_RELAYED_ADDRESS)
    }

    /// Every XOR-RELAYED-ADDRESS: two when both families were asked for (RFC 8656 §7.3).
    pub fn xor_relayed_addresses(&self) -> impl Iterator<Item = SocketAddr> + 'a {
        self.xored_all(AttributeType::XOR_RELAYED_ADDRESS)
    }

    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 §18.6).
    pub fn requested_address_family(&self) -> Option<Family> {
        let [family, _, _, _] = self.array(AttributeType::REQUESTED_ADDRESS_FAMILY)?;
        Family::from_number(family)
    }

    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §18.11).
    pub fn additional_address_family(&self) -> Option<Family> {
        let [family, _, _, _] = self.array(AttributeType::ADDITIONAL_ADDRESS_FAMILY)?;
        Family::from_number(family)
    }

    /// ADDRESS-ERROR-CODE (RFC 8656 §18.12): the family that could not be had, and why.
    pub fn address_error_code(&self) -> Option<(Family, ErrorCode<'a>)> {
        let value = self.attribute(AttributeType::ADDRESS_ERROR_CODE)?;
        let (&[family, _, class, number], reason) = value.split_first_chunk::<4>()?;
        let code = u16::from(class & 7) * 100 + u16::from(number);
        let reason = std::str::from_utf8(reason).unwrap_or("");
        Some((Family::from_number(family)?, ErrorCode { code, reason }))
    }

    /// EVEN-PORT (RFC 8656 §18.7): whether the next port is to be reserved too.
    pub fn even_port(&self) -> Option<bool> {
        let [bits] = self.array(AttributeType::EVEN_PORT)?;
        Some(bits & 0x80 != 0)
    }

    /// REQUESTED-TRANSPORT (RFC 8656 §18.8): an IP protocol number, 17 for UDP, 6 for TCP.
    pub fn requested_transport(&self) -> Option<u8> {
        let [protocol, _, _, _] = self.array(AttributeType::REQUESTED_TRANSPORT)?;
        Some(protocol)
    }

    /// DONT-FRAGMENT (RFC 8656 §18.9).
    pub fn dont_fragment(&self) -> bool {
        self.attribute(AttributeType::DONT_FRAGMENT).is_some()
    }

    /// RESERVATION-TOKEN (RFC 8656 §18.10).
    pub fn reservation_token(&self) -> Option<[u8; 8]> {
        self.array(AttributeType::RESERVATION_TOKEN)
    }

    /// ICMP (RFC 8656 §18.13): type, code and error data. The figure gives the type seven bits and the code nine.
    pub fn icmp(&self) -> Option<(u8, u16, u32)> {
        let [_, _, i0, i1, d0, d1, d2, d3] = self.array(AttributeType::ICMP)?;
        let bits = u16::from_be_bytes([i0, i1]);
        Some((
            (bits >> 9) as u8,
            bits & 0x1ff,
            u32::from_be_bytes([d0, d1, d2, d3]),
        ))
    }

    /// CONNECTION-ID (RFC 6062 §6.2.1).
    pub fn connection_id(&self) -> Option<u32> {
        self.array(AttributeType::CONNECTION_ID)
            .map(u32::from_be_bytes)
    }

    /// MOBILITY-TICKET (RFC 8016 §3); empty in an Allocate request.
    pub fn mobility_ticket(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::MOBILITY_TICKET)
    }

    // Third-party authorization (RFC 7635 §6).

    /// THIRD-PARTY-AUTHORIZATION: the server's name.
    pub fn third_party_authorization(&self) -> Option<&'a str> {
        self.text(AttributeType::THIRD_PARTY_AUTHORIZATION)
    }

    /// ACCESS-TOKEN.
    pub fn access_token(&self) -> Option<&'a [u8]> {
        self.attribute(AttributeType::ACCESS_TOKEN)
    }

    // Behaviour discovery (RFC 5780 §7, RFC 3489 §11.2).

    /// CHANGE-REQUEST: whether to answer from the other address, and from the other port.
    pub fn change_request(&self) -> Option<ChangeRequest> {
        let [_, _, _, bits] = self.array(AttributeType::CHANGE_REQUEST)?;
        Some(ChangeRequest {
            address: bits & 4 != 0,
            port: bits & 2 != 0,
        })
    }

    /// RESPONSE-ORIGIN: where the response was sent from.
    pub fn response_origin(&self) -> Option<SocketAddr> {
        self.address(AttributeType::RESPONSE_ORIGIN)
    }

    /// OTHER-ADDRESS: the server's other address and port.
    pub fn other_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::OTHER_ADDRESS)
    }

    /// RESPONSE-PORT: where the response is to go.
    pub fn response_port(&self) -> Option<u16> {
        let value = self.attribute(AttributeType::RESPONSE_PORT)?;
        let &[p0, p1] = value.first_chunk::<2>()?;
        (value.len() <= 4).then_some(u16::from_be_bytes([p0, p1]))
    }

    /// PADDING: how many bytes.
    pub fn padding(&self) -> Option<usize> {
        self.attribute(AttributeType::PADDING).map(<[u8]>::len)
    }

    /// SOURCE-ADDRESS (RFC 3489 §11.2.5), the ancestor of RESPONSE-ORIGIN.
    pub fn source_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::SOURCE_ADDRESS)
    }

    /// CHANGED-ADDRESS (RFC 3489 §11.2.3), the ancestor of OTHER-ADDRESS.
    pub fn changed_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::CHANGED_ADDRESS)
    }

    /// RESPONSE-ADDRESS (RFC 3489 §11.2.2).
    pub fn response_address(&self) -> Option<SocketAddr> {
        self.address(AttributeType::RESPONSE_ADDRESS)
    }

    /// REFLECTED-FROM (RFC 3489 §11.2.11).
    pub fn reflected_from(&self) -> Option<IpAddr> {
        self.address(AttributeType::REFLECTED_FROM)
            .map(|addr| addr.ip())
    }
}

/// From where a server is asked to answer (RFC 5780 §7.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChangeRequest {
    /// From the other IP address.
    pub address: bool,
    /// From the other port.
    pub port: bool,
}
