//! Chunks, parameters and causes between the notation and bytes.

use sctp::wire::{begin_chunk, cause, end_chunk, kind, param};

use super::run::Stop;
use super::script::{Chunk, Value};

/// What the two sides call a chunk.
pub const NAMES: [(&str, u8); 18] = [
    ("DATA", kind::DATA),
    ("INIT", kind::INIT),
    ("INIT_ACK", kind::INIT_ACK),
    ("SACK", kind::SACK),
    ("HEARTBEAT", kind::HEARTBEAT),
    ("HEARTBEAT_ACK", kind::HEARTBEAT_ACK),
    ("ABORT", kind::ABORT),
    ("SHUTDOWN", kind::SHUTDOWN),
    ("SHUTDOWN_ACK", kind::SHUTDOWN_ACK),
    ("ERROR", kind::ERROR),
    ("COOKIE_ECHO", kind::COOKIE_ECHO),
    ("COOKIE_ACK", kind::COOKIE_ACK),
    ("SHUTDOWN_COMPLETE", kind::SHUTDOWN_COMPLETE),
    ("I_DATA", kind::I_DATA),
    ("RECONFIG", kind::RE_CONFIG),
    ("PAD", kind::PAD),
    ("FORWARD_TSN", kind::FORWARD_TSN),
    ("I_FORWARD_TSN", kind::I_FORWARD_TSN),
];

const PARAMETERS: [(&str, u16); 20] = [
    ("HEARTBEAT_INFORMATION", param::kind::HEARTBEAT_INFO),
    ("IPV4_ADDRESS", param::kind::IPV4_ADDRESS),
    ("IPV6_ADDRESS", param::kind::IPV6_ADDRESS),
    ("STATE_COOKIE", param::kind::STATE_COOKIE),
    ("UNRECOGNIZED_PARAMETER", param::kind::UNRECOGNIZED),
    ("COOKIE_PRESERVATIVE", param::kind::COOKIE_PRESERVATIVE),
    ("HOSTNAME_ADDRESS", param::kind::HOST_NAME),
    (
        "SUPPORTED_ADDRESS_TYPES",
        param::kind::SUPPORTED_ADDRESS_TYPES,
    ),
    ("ECN_CAPABLE", param::kind::ECN_CAPABLE),
    ("FORWARD_TSN_SUPPORTED", param::kind::FORWARD_TSN_SUPPORTED),
    ("SUPPORTED_EXTENSIONS", param::kind::SUPPORTED_EXTENSIONS),
    ("ADAPTATION_INDICATION", 0xc006),
    ("ZERO_CHECKSUM_ACCEPTABLE", param::kind::ZERO_CHECKSUM),
    ("OUTGOING_SSN_RESET", param::kind::OUTGOING_RESET),
    ("INCOMING_SSN_RESET", param::kind::INCOMING_RESET),
    ("SSN_TSN_RESET", param::kind::TSN_RESET),
    ("RECONFIG_RESPONSE", param::kind::RECONFIG_RESPONSE),
    ("ADD_OUTGOING_STREAMS", param::kind::ADD_OUTGOING_STREAMS),
    ("ADD_INCOMING_STREAMS", param::kind::ADD_INCOMING_STREAMS),
    ("PAD", param::kind::PADDING),
];

const CAUSES: [(&str, u16); 13] = [
    ("INVALID_STREAM_IDENTIFIER", cause::code::INVALID_STREAM),
    (
        "MISSING_MANDATORY_PARAMETER",
        cause::code::MISSING_PARAMETER,
    ),
    ("STALE_COOKIE_ERROR", cause::code::STALE_COOKIE),
    ("OUT_OF_RESOURCE", cause::code::OUT_OF_RESOURCE),
    ("UNRESOLVABLE_ADDRESS", cause::code::UNRESOLVABLE_ADDRESS),
    ("UNRECOGNIZED_CHUNK_TYPE", cause::code::UNRECOGNIZED_CHUNK),
    (
        "INVALID_MANDATORY_PARAMETER",
        cause::code::INVALID_PARAMETER,
    ),
    (
        "UNRECOGNIZED_PARAMETERS",
        cause::code::UNRECOGNIZED_PARAMETERS,
    ),
    ("NO_USER_DATA", cause::code::NO_USER_DATA),
    (
        "COOKIE_RECEIVED_WHILE_SHUTDOWN",
        cause::code::COOKIE_WHILE_SHUTTING_DOWN,
    ),
    (
        "RESTART_WITH_NEW_ADDRESSES",
        cause::code::RESTART_WITH_NEW_ADDRESSES,
    ),
    ("USER_INITIATED_ABORT", cause::code::USER_ABORT),
    ("PROTOCOL_VIOLATION", cause::code::PROTOCOL_VIOLATION),
];

/// The notation's name of a chunk.
pub fn name_of(chunk: u8) -> &'static str {
    let found = NAMES.iter().find(|(_, kind)| *kind == chunk);
    found.map_or("CHUNK", |(name, _)| name)
}

/// The type of a chunk by name; also `I-DATA`.
pub fn kind_of(name: &str) -> Option<u8> {
    let name = name.replace('-', "_");
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| *kind)
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

/// Numbers that both sides count differently: the script's into ours.
pub trait Numbers {
    /// A TSN of our own.
    fn to_live(&self, tsn: u64) -> u32;
    fn cookie(&self) -> &[u8];
    fn heartbeat(&self) -> &[u8];
}

fn not_applicable(what: String) -> Stop {
    Stop::NotApplicable(what)
}

/// Flags as a number or letters.
pub fn flags(chunk: &Chunk) -> Option<u8> {
    match chunk.field("flgs")? {
        Value::Number(number) => Some(*number as u8),
        Value::Word(letters) => Some(letters.chars().fold(0, |flags, letter| {
            flags
                | match letter {
                    'E' | 'T' => 1,
                    'B' => 2,
                    'U' => 4,
                    'I' => 8,
                    _ => 0,
                }
        })),
        _ => None,
    }
}

fn put16(buf: &mut Vec<u8>, number: u64) {
    buf.extend_from_slice(&(number as u16).to_be_bytes());
}

fn put32(buf: &mut Vec<u8>, number: u64) {
    buf.extend_from_slice(&(number as u32).to_be_bytes());
}

/// `len` bytes of value: those given, then zeros.
fn sized(record: &Chunk, given: &str, header: u64) -> Vec<u8> {
    let mut value = record.bytes(given).unwrap_or_default();
    if let Some(length) = record.number("len") {
        value.resize(length.saturating_sub(header) as usize, 0x43);
    }
    value
}

/// The value of a parameter.
pub fn parameter(record: &Chunk, numbers: &dyn Numbers) -> Result<(u16, Vec<u8>), Stop> {
    let number = |key| record.number(key).unwrap_or(0);
    let mut value = Vec::new();
    match record.name.as_str() {
        "PARAMETER" => return Ok((number("type") as u16, sized(record, "val", 4))),
        "STATE_COOKIE" | "PAD" => value = sized(record, "val", 4),
        "HEARTBEAT_INFORMATION" => {
            value = sized(record, "val", 4);
            if record.open || record.number("len").is_none() && value.is_empty() {
                value = vec![7; 16];
            }
        }
        "ECN_CAPABLE" | "FORWARD_TSN_SUPPORTED" => {}
        "COOKIE_PRESERVATIVE" => put32(&mut value, number("incr")),
        "ADAPTATION_INDICATION" => put32(&mut value, number("adaptation_code_point")),
        "ZERO_CHECKSUM_ACCEPTABLE" => put32(&mut value, number("edmid")),
        "HOSTNAME_ADDRESS" => {
            let name = record.field("addr").map_or("host", Value::word);
            value = name.bytes().chain([0]).collect();
        }
        "IPV4_ADDRESS" => value = vec![192, 0, 2, 9],
        "IPV6_ADDRESS" => value = vec![0x20; 16],
        "SUPPORTED_ADDRESS_TYPES" => {
            for kind in list(record, "types") {
                let kind = match kind {
                    Value::Word(word) if word == "IPv4" => 5,
                    Value::Word(word) if word == "IPv6" => 6,
                    Value::Word(_) => 11,
                    other => other.number().unwrap_or(0),
                };
                put16(&mut value, kind as u64);
            }
        }
        "SUPPORTED_EXTENSIONS" => value = extensions(record),
        "UNRECOGNIZED_PARAMETER" => value = nested(record, numbers)?,
        // Requests of the peer's name its own TSNs, answers our numbers, which start at our first TSN.
        "OUTGOING_SSN_RESET" => {
            put32(&mut value, number("req_sn"));
            put32(&mut value, u64::from(numbers.to_live(number("resp_sn"))));
            put32(&mut value, number("last_tsn"));
            streams(record, &mut value);
        }
        "INCOMING_SSN_RESET" => {
            put32(&mut value, number("req_sn"));
            streams(record, &mut value);
        }
        "SSN_TSN_RESET" => put32(&mut value, number("req_sn")),
        "ADD_OUTGOING_STREAMS" | "ADD_INCOMING_STREAMS" => {
            put32(&mut value, number("req_sn"));
            put16(&mut value, number("number_of_new_streams"));
            put16(&mut value, 0);
        }
        "RECONFIG_RESPONSE" => {
            put32(&mut value, u64::from(numbers.to_live(number("resp_sn"))));
            put32(&mut value, number("result"));
        }
        other => return Err(not_applicable(format!("parameter {other}"))),
    }
    let kind = find(&PARAMETERS, &record.name);
    Ok((kind.unwrap_or(0), value))
}

fn list<'a>(record: &'a Chunk, name: &str) -> &'a [Value] {
    match record.field(name) {
        Some(Value::List(list)) => list,
        _ => &[],
    }
}

fn extensions(record: &Chunk) -> Vec<u8> {
    let kind = |value: &Value| match value {
        Value::Word(name) if name == "ASCONF" => Some(0xc1),
        Value::Word(name) if name == "ASCONF_ACK" => Some(0x80),
        Value::Word(name) if name == "AUTH" => Some(0x0f),
        Value::Word(name) if name == "NR_SACK" => Some(0x10),
        Value::Word(name) if name == "PKTDROP" => Some(0x81),
        Value::Word(name) => kind_of(name),
        other => other.number().map(|n| n as u8),
    };
    list(record, "types").iter().filter_map(kind).collect()
}

fn streams(record: &Chunk, value: &mut Vec<u8>) {
    for stream in record.numbers("sids").unwrap_or_default() {
        put16(value, stream);
    }
}

/// The parameters in `params=[…]`, padded but for the last.
fn nested(record: &Chunk, numbers: &dyn Numbers) -> Result<Vec<u8>, Stop> {
    let mut value = Vec::new();
    for inner in list(record, "params") {
        if let Value::Chunk(inner) = inner {
            let (kind, inner) = parameter(inner, numbers)?;
            let end = value.len() + 4 + inner.len();
            param::write(&mut value, kind, &inner);
            if list(record, "params").len() == 1 {
                value.truncate(end);
            }
        }
    }
    Ok(value)
}

/// A cause's code and, where the script says it, information.
pub fn cause(record: &Chunk, numbers: &dyn Numbers) -> Result<(u16, Option<Vec<u8>>), Stop> {
    if record.name == "CAUSE" {
        let code = record.number("code").unwrap_or(0) as u16;
        return Ok((code, record.bytes("info")));
    }
    let code = find(&CAUSES, &record.name);
    let code = code.ok_or_else(|| not_applicable(format!("cause {}", record.name)))?;
    let mut value = Vec::new();
    let known = match record.name.as_str() {
        "INVALID_STREAM_IDENTIFIER" => record.number("sid").map(|stream| {
            put16(&mut value, stream);
            put16(&mut value, 0);
        }),
        "NO_USER_DATA" => record.number("tsn").map(|tsn| put32(&mut value, tsn)),
        "STALE_COOKIE_ERROR" => record.number("staleness").map(|age| put32(&mut value, age)),
        "MISSING_MANDATORY_PARAMETER" => record.numbers("types").map(|types| {
            put32(&mut value, types.len() as u64);
            types.iter().for_each(|kind| put16(&mut value, *kind));
        }),
        "UNRECOGNIZED_PARAMETERS" if record.field("params").is_some() => {
            // The parameters are reported as they came, padding and all (RFC 9260 §3.3.10.8).
            value = nested(record, numbers)?;
            Some(())
        }
        "UNRECOGNIZED_CHUNK_TYPE" => match record.field("chk") {
            Some(Value::Chunk(chunk)) => {
                write(&mut value, chunk, numbers)?;
                Some(())
            }
            _ => None,
        },
        "COOKIE_RECEIVED_WHILE_SHUTDOWN" => Some(()),
        _ => None,
    };
    Ok((code, known.map(|()| value)))
}

/// Appends a chunk that comes from the peer.
pub fn write(buf: &mut Vec<u8>, chunk: &Chunk, numbers: &dyn Numbers) -> Result<(), Stop> {
    let number = |key| chunk.number(key).unwrap_or(0);
    let mut flags = flags(chunk).unwrap_or(0);
    let mut value = Vec::new();
    let kind = match chunk.name.as_str() {
        "CHUNK" => {
            value = sized(chunk, "val", 4);
            number("type") as u8
        }
        name => kind_of(name).ok_or_else(|| not_applicable(format!("chunk {name}")))?,
    };
    match chunk.name.replace('-', "_").as_str() {
        "INIT" | "INIT_ACK" => {
            put32(&mut value, number("tag"));
            put32(&mut value, number("a_rwnd"));
            put16(&mut value, number("os"));
            put16(&mut value, number("is"));
            put32(&mut value, number("tsn"));
        }
        "COOKIE_ECHO" => match chunk.field("val") {
            Some(_) => value = sized(chunk, "val", 4),
            None => value.extend_from_slice(numbers.cookie()),
        },
        "HEARTBEAT_ACK" => value.extend_from_slice(numbers.heartbeat()),
        "SHUTDOWN" => put32(&mut value, u64::from(numbers.to_live(number("cum_tsn")))),
        "FORWARD_TSN" | "I_FORWARD_TSN" => {
            put32(&mut value, number("cum_tsn"));
            for id in list(chunk, "ids") {
                let parts: Vec<u64> = id.braces().iter().filter_map(part).collect();
                match parts[..] {
                    [stream, number] => {
                        put16(&mut value, stream);
                        put16(&mut value, number);
                    }
                    [stream, flags, number] => {
                        put16(&mut value, stream);
                        put16(&mut value, flags);
                        put32(&mut value, number);
                    }
                    _ => {}
                }
            }
        }
        "DATA" => {
            flags = chunk.field("flgs").map_or(3, |_| flags);
            put32(&mut value, number("tsn"));
            put16(&mut value, number("sid"));
            put16(&mut value, number("ssn"));
            put32(&mut value, number("ppid"));
            let length = chunk.number("len").unwrap_or(17).saturating_sub(16);
            value.resize(value.len() + length as usize, 0x41);
        }
        "I_DATA" => {
            put32(&mut value, number("tsn"));
            put16(&mut value, number("sid"));
            put16(&mut value, 0);
            put32(&mut value, number("mid"));
            put32(&mut value, chunk.number("fsn").unwrap_or(number("ppid")));
            let length = chunk.number("len").unwrap_or(21).saturating_sub(20);
            value.resize(value.len() + length as usize, 0x41);
        }
        "SACK" => {
            put32(&mut value, u64::from(numbers.to_live(number("cum_tsn"))));
            put32(&mut value, number("a_rwnd"));
            let (gaps, dups) = (list(chunk, "gaps"), list(chunk, "dups"));
            put16(&mut value, gaps.len() as u64);
            put16(&mut value, dups.len() as u64);
            for gap in gaps {
                if let Value::Range(from, to) = gap {
                    put16(&mut value, *from);
                    put16(&mut value, *to);
                }
            }
            for dup in dups.iter().filter_map(Value::number) {
                put32(&mut value, u64::from(numbers.to_live(dup as u64)));
            }
        }
        "PAD" => value = sized(chunk, "val", 4),
        _ => {}
    }
    if kind == kind::HEARTBEAT && chunk.inner.is_empty() {
        param::write(&mut value, param::kind::HEARTBEAT_INFO, &[7; 16]);
    }
    for inner in &chunk.inner {
        // A HEARTBEAT ACK returns what our HEARTBEAT said.
        if kind == kind::HEARTBEAT_ACK {
            break;
        }
        if matches!(kind, kind::ABORT | kind::ERROR) {
            let (code, information) = cause(inner, numbers)?;
            cause::write(&mut value, code, &information.unwrap_or_default());
        } else {
            let (kind, inner) = parameter(inner, numbers)?;
            param::write(&mut value, kind, &inner);
        }
    }
    let start = begin_chunk(buf, kind, flags);
    buf.extend_from_slice(&value);
    // The padding of the last parameter is the chunk's.
    end_chunk(buf, start);
    Ok(())
}

/// A number of `{a,b}`.
pub fn part((_, value): &(String, Value)) -> Option<u64> {
    value.number().map(|n| n as u64)
}
