//! The little of Multicast DNS that host names of candidates need: questions for addresses, and their answers.

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QTYPE, Question, ResourceRecord, TYPE};
use std::net::IpAddr;

/// Longer datagrams are none of ours (RFC 6762 §17).
pub(super) const LONGEST: usize = 9000;
/// RFC 6762 §10: for records with a host name.
pub(super) const TTL: u32 = 120;
/// Names and records looked at in one datagram.
const MOST: usize = 64;

/// What a datagram says, as far as it matters here. Names are in lower case.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// These names are asked for.
    Query(Vec<String>),
    /// These names have these addresses.
    Response(Vec<(String, IpAddr)>),
}

/// Reads a datagram of the network; never panics, whatever it is.
pub(super) fn read(datagram: &[u8]) -> Option<Message> {
    if datagram.len() > LONGEST {
        return None;
    }
    let packet = Packet::parse(datagram).ok()?;
    // RFC 6762 §18.3.
    if packet.opcode() != OPCODE::StandardQuery {
        return None;
    }
    if packet.has_flags(PacketFlag::RESPONSE) {
        let records = packet.answers.iter().chain(&packet.additional_records);
        let addresses = records.filter(|record| record.ttl > 0 && record.class == CLASS::IN);
        let addresses = addresses.filter_map(|record| {
            let address = match &record.rdata {
                RData::A(A { address }) => IpAddr::V4((*address).into()),
                RData::AAAA(AAAA { address }) => IpAddr::V6((*address).into()),
                _ => return None,
            };
            Some((normal(&record.name.to_string()), address))
        });
        return Some(Message::Response(addresses.take(MOST).collect()));
    }
    let asks_address = |question: &&Question<'_>| {
        matches!(
            question.qtype,
            QTYPE::ANY | QTYPE::TYPE(TYPE::A | TYPE::AAAA)
        )
    };
    let names = packet.questions.iter().filter(asks_address);
    let names = names.map(|question| normal(&question.qname.to_string()));
    Some(Message::Query(names.take(MOST).collect()))
}

/// A question for both kinds of address.
pub(super) fn query(name: &str) -> Option<Vec<u8>> {
    let name = Name::new(name).ok()?;
    // RFC 6762 §18.1: the id is 0.
    let mut packet = Packet::new_query(0);
    for kind in [TYPE::A, TYPE::AAAA] {
        let question = Question::new(name.clone(), kind.into(), CLASS::IN.into(), false);
        packet.questions.push(question);
    }
    packet.build_bytes_vec_compressed().ok()
}

/// An answer or an announcement; with a TTL of 0, the farewell of a name (RFC 6762 §10.1).
pub(super) fn response(names: &[(String, IpAddr)], ttl: u32) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    for (name, address) in names {
        let data = match *address {
            IpAddr::V4(v4) => RData::A(A { address: v4.into() }),
            IpAddr::V6(v6) => RData::AAAA(AAAA { address: v6.into() }),
        };
        let record = ResourceRecord::new(Name::new(name).ok()?, CLASS::IN, ttl, data);
        // Nobody else has this name (RFC 6762 §10.2).
        packet.answers.push(record.with_cache_flush(true));
    }
    packet.build_bytes_vec_compressed().ok()
}

/// Names are compared without regard to case (RFC 6762 §16).
pub(super) fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    const NAME: &str = "7f4a9a4e-0c0b-4a6e-8a4e-6d1f9c2b3a10.local";

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(
            read(&query(&NAME.to_uppercase()).unwrap()),
            Some(Message::Query(vec![NAME.into(); 2]))
        );
        let names = [
            (NAME.to_owned(), IpAddr::from([192, 0, 2, 1])),
            (NAME.to_owned(), "2001:db8::1".parse().unwrap()),
        ];
        assert_eq!(
            read(&response(&names, TTL).unwrap()),
            Some(Message::Response(names.to_vec()))
        );
        assert_eq!(
            read(&response(&names, 0).unwrap()),
            Some(Message::Response(Vec::new()))
        );
    }

    #[test]
    fn the_bytes_are_those_of_rfc_6762() {
        let answer =
            response(&[("a.local".to_owned(), IpAddr::from([192, 0, 2, 1]))], TTL).unwrap();
        // Id 0, response and authoritative, one answer; class IN with the cache-flush bit.
        assert_eq!(answer[..12], [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..21], *b"\x01a\x05local\0");
        assert_eq!(
            answer[21..],
            [0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 192, 0, 2, 1]
        );
    }

    #[test]
    fn damaged_datagrams_do_no_harm() {
        let mut rng = StdRng::seed_from_u64(1);
        let names = [(NAME.to_owned(), IpAddr::from([192, 0, 2, 1]))];
        let whole = [query(NAME).unwrap(), response(&names, TTL).unwrap()];
        for round in 0..200_000_usize {
            let mut datagram = whole[round % 2].clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..datagram.len());
                datagram[at] = rng.random();
            }
            datagram.truncate(rng.random_range(0..=datagram.len()));
            let _ = read(&datagram);
        }
    }
}
