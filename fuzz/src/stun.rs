//! STUN messages, what writes them, the server, and both procedures of NAT behaviour discovery.

use ::stun::discovery::{Discovery, DiscoveryConfig, Procedure};
use ::stun::{IntegrityKey, Message, Server, Writer};
use rand::{SeedableRng, rngs::StdRng};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Everything a message can be asked; written anew, it says the same.
pub fn stun_message(data: &[u8]) {
    let _ = Message::parse_classic(data).map(|message| ask(&message));
    let Ok(message) = Message::parse(data) else {
        return;
    };
    ask(&message);
    let mut written = Vec::new();
    let mut writer = Writer::new(
        &mut written,
        message.class(),
        message.method(),
        message.transaction_id(),
    );
    for attribute in message.attributes() {
        writer.attribute(attribute.kind, attribute.value);
    }
    writer.finish(false);
    let again = Message::parse(&written).expect("what is written parses");
    assert_eq!(
        (again.class(), again.method(), again.transaction_id()),
        (message.class(), message.method(), message.transaction_id())
    );
    let values = |message: &Message<'_>| -> Vec<(u16, Vec<u8>)> {
        let attributes = message.attributes();
        attributes.map(|a| (a.kind.0, a.value.to_vec())).collect()
    };
    assert_eq!(values(&again), values(&message));

    let mut server = Server::with_other(addr(1, 3478), addr(2, 3479)).software("fuzz");
    let mut reply = Vec::new();
    let _ = server.handle_datagram(addr(1, 3478), addr(9, 1000), data, &mut reply);
}

fn ask(message: &Message<'_>) {
    let key = IntegrityKey::short_term("password");
    let _ = (message.check_integrity(&key), message.check_fingerprint());
    let _ = (
        message.integrity(),
        message.classic_id(),
        message.is_classic(),
    );
    let _ = (
        message.username(),
        message.userhash(),
        message.realm(),
        message.nonce(),
    );
    let _ = (
        message.software(),
        message.error_code(),
        message.any_mapped_address(),
    );
    let _ = message.unknown_attributes().count() + message.alternate_servers().count();
    let _ = (message.alternate_domain(), message.password_algorithm());
    let _ = message.password_algorithms().count() + message.unknown_required().count();
    let _ = (
        message.priority(),
        message.use_candidate(),
        message.nomination(),
    );
    let _ = (
        message.ice_controlling(),
        message.ice_controlled(),
        message.channel_number(),
    );
    let _ = (message.lifetime(), message.data_range(), message.icmp());
    let _ = message.xor_peer_addresses().count() + message.xor_relayed_addresses().count();
    let _ = (
        message.requested_address_family(),
        message.additional_address_family(),
    );
    let _ = (
        message.address_error_code(),
        message.even_port(),
        message.requested_transport(),
    );
    let _ = (
        message.reservation_token(),
        message.connection_id(),
        message.mobility_ticket(),
    );
    let _ = (message.third_party_authorization(), message.access_token());
    let _ = (
        message.change_request(),
        message.response_origin(),
        message.other_address(),
    );
    let _ = (
        message.response_port(),
        message.padding(),
        message.reflected_from(),
    );
    let _ = (
        message.source_address(),
        message.changed_address(),
        message.response_address(),
    );
}

fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// A discovery, whatever a server answers: the bytes are `[from, wait, length, datagram]` again and again. It always
/// comes to a report.
pub fn stun_discovery(data: &[u8]) {
    let (Some(&flags), mut rest) = (data.first(), data.get(1..).unwrap_or_default()) else {
        return;
    };
    let procedure = match flags & 1 {
        0 => Procedure::Rfc5780,
        _ => Procedure::Rfc3489,
    };
    let mut now = Instant::now();
    let config = DiscoveryConfig::new(addr(9, 1000), addr(1, 3478), procedure);
    let mut discovery = Discovery::new(now, config, StdRng::seed_from_u64(1));
    let mut buf = Vec::new();
    let mut asked = [0; 16];
    for _ in 0..10_000 {
        buf.clear();
        while discovery.poll_transmit(now, &mut buf).is_some() {
            if let Some(id) = buf.get(4..20) {
                asked.copy_from_slice(id);
            }
            buf.clear();
        }
        if discovery.report().is_some() {
            return;
        }
        match rest {
            [from, wait, len, tail @ ..] => {
                let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*len)));
                let mut datagram = datagram.to_vec();
                // As the answer to what was asked last, every other time.
                if let (0, Some(id)) = (from & 0x80, datagram.get_mut(4..20)) {
                    id.copy_from_slice(&asked);
                }
                let from = addr(1 + (from & 1), 3478 + u16::from(from >> 1 & 1));
                let _ = discovery.handle_datagram(now, from, &datagram);
                now += Duration::from_millis(u64::from(*wait));
                rest = tail;
            }
            _ => match discovery.poll_timeout() {
                Some(due) => now = due.max(now),
                None => break,
            },
        }
        if discovery.poll_timeout().is_some_and(|due| due <= now) {
            discovery.handle_timeout(now);
        }
    }
    assert!(discovery.report().is_some(), "the discovery never ends");
}
