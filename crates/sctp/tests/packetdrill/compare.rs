//! What was sent beside what the script expects.
//!
//! Compared is what the RFCs settle. Not compared, as they leave it to the implementation: the order of parameters,
//! the I bit, parameters that advertise what a stack can do beyond what the script's peer offers, and whether an
//! ABORT names causes where the script names none.

use sctp::wire::data::Data;
use sctp::wire::init::Init;
use sctp::wire::param::{self, Param, Params};
use sctp::wire::sack::Sack;
use sctp::wire::{RawChunk, kind};

use super::chunks::{self, Numbers, cause, flags, name_of, parameter, part};
use super::run::Stop;
use super::script::{Chunk, Value};

fn failed<T>(what: String) -> Result<T, Stop> {
    Err(Stop::Failed(what))
}

fn u32_at(value: &[u8], at: usize) -> u32 {
    value
        .get(at..at + 4)
        .map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn u16_at(value: &[u8], at: usize) -> u16 {
    value
        .get(at..at + 2)
        .map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// Compares one chunk; `to_script` turns a TSN of ours into the script's.
pub fn compare(
    packet: &[u8],
    chunk: &RawChunk,
    expected: &Chunk,
    numbers: &dyn Numbers,
    to_script: &dyn Fn(u32) -> u64,
) -> Result<(), Stop> {
    let name = name_of(chunk.kind);
    let wanted_kind = match expected.name.as_str() {
        "CHUNK" => expected.number("type").map(|n| n as u8),
        name => chunks::kind_of(name),
    };
    if wanted_kind.is_some_and(|wanted| wanted != chunk.kind) {
        return failed(format!("sent {name}, expected {}", expected.name));
    }
    let value = &packet[chunk.value.clone()];
    compare_flags(chunk, expected)?;
    let mut fields: Vec<(&str, u64)> = Vec::new();
    match chunk.kind {
        kind::INIT | kind::INIT_ACK => {
            let Ok(init) = Init::parse(value) else {
                return failed("an unreadable INIT".into());
            };
            fields.push(("os", u64::from(init.outbound)));
            fields.push(("is", u64::from(init.inbound)));
            fields.push(("a_rwnd", u64::from(init.window)));
            compare_init(value, expected, numbers)?;
        }
        kind::DATA | kind::I_DATA => {
            let Ok(data) = Data::parse(packet, chunk) else {
                return failed("unreadable DATA".into());
            };
            fields.push(("len", value.len() as u64 + 4));
            fields.push(("tsn", to_script(data.tsn.0)));
            fields.push(("sid", u64::from(data.stream)));
            fields.push(("ssn", u64::from(data.message)));
            fields.push(("mid", u64::from(data.message)));
            fields.push(("ppid", u64::from(data.ppid)));
            fields.push(("fsn", u64::from(data.fsn)));
        }
        kind::SACK => {
            let Ok(sack) = Sack::parse(value) else {
                return failed("an unreadable SACK".into());
            };
            fields.push(("cum_tsn", u64::from(sack.cumulative.0)));
            fields.push(("a_rwnd", u64::from(sack.window)));
            let gaps = sack.gaps().map(|(a, b)| (u64::from(a), u64::from(b)));
            let gaps: Vec<_> = gaps.map(|(a, b)| Value::Range(a, b)).collect();
            let dups = sack.duplicates().map(|t| Value::Number(i64::from(t.0)));
            compare_list(expected, "gaps", gaps)?;
            compare_list(expected, "dups", dups.collect())?;
        }
        kind::SHUTDOWN => fields.push(("cum_tsn", u64::from(u32_at(value, 0)))),
        kind::FORWARD_TSN | kind::I_FORWARD_TSN => {
            fields.push(("cum_tsn", to_script(u32_at(value, 0))));
            compare_skipped(value, chunk.kind == kind::I_FORWARD_TSN, expected)?;
        }
        kind::RE_CONFIG => compare_reconfig(value, expected, to_script)?,
        kind::ABORT | kind::ERROR => compare_causes(value, expected, numbers)?,
        kind::HEARTBEAT | kind::HEARTBEAT_ACK => {
            let length = expected.inner.first().and_then(|info| info.number("len"));
            let found = u64::from(u16_at(value, 2));
            if length.is_some_and(|length| length != found) {
                return failed(format!("{name} with information of {found} bytes"));
            }
        }
        _ => {}
    }
    for (key, found) in fields {
        let Some(wanted) = expected.number(key) else {
            continue;
        };
        if wanted != found {
            return failed(format!("{name} {key}={found}, expected {wanted}"));
        }
    }
    Ok(())
}

fn compare_flags(chunk: &RawChunk, expected: &Chunk) -> Result<(), Stop> {
    let Some(wanted) = flags(expected) else {
        return Ok(());
    };
    let mask = match chunk.kind {
        // The I bit is the sender's choice (RFC 9260 §6.1).
        kind::DATA | kind::I_DATA => 7,
        _ => 0xff,
    };
    if wanted & mask != chunk.flags & mask {
        let name = name_of(chunk.kind);
        return failed(format!(
            "{name} flags {:#x}, expected {wanted:#x}",
            chunk.flags
        ));
    }
    Ok(())
}

fn compare_list(expected: &Chunk, key: &str, found: Vec<Value>) -> Result<(), Stop> {
    match expected.field(key) {
        Some(Value::List(wanted)) if !wanted.contains(&Value::Any) && *wanted != found => {
            failed(format!("{key} {found:?}, expected {wanted:?}"))
        }
        _ => Ok(()),
    }
}

fn compare_init(value: &[u8], expected: &Chunk, numbers: &dyn Numbers) -> Result<(), Stop> {
    let found: Vec<Param<'_>> = Init::params(value).collect();
    let has = |kind: u16| found.iter().any(|param| param.kind == kind);
    let mut reports = Vec::new();
    for record in &expected.inner {
        match record.name.as_str() {
            "STATE_COOKIE" if !has(param::kind::STATE_COOKIE) => {
                return failed("no STATE_COOKIE".into());
            }
            "FORWARD_TSN_SUPPORTED" if !has(param::kind::FORWARD_TSN_SUPPORTED) => {
                return failed("no FORWARD_TSN_SUPPORTED".into());
            }
            "ZERO_CHECKSUM_ACCEPTABLE" if !has(param::kind::ZERO_CHECKSUM) => {
                return failed("no ZERO_CHECKSUM_ACCEPTABLE".into());
            }
            "SUPPORTED_EXTENSIONS" => compare_extensions(&found, record, numbers)?,
            "UNRECOGNIZED_PARAMETER" => match record.field("params") {
                Some(_) => reports.extend(flatten(&parameter(record, numbers)?.1)),
                None => return Ok(()),
            },
            _ => {}
        }
    }
    let reported = found.iter().filter(|p| p.kind == param::kind::UNRECOGNIZED);
    let reported: Vec<_> = reported.flat_map(|p| flatten(p.value)).collect();
    if !expected.open && reported != reports {
        return failed(format!("reported {reported:?}, expected {reports:?}"));
    }
    Ok(())
}

/// The extensions we have and the script lists.
fn compare_extensions(
    found: &[Param<'_>],
    record: &Chunk,
    numbers: &dyn Numbers,
) -> Result<(), Stop> {
    let ours = [
        kind::FORWARD_TSN,
        kind::I_FORWARD_TSN,
        kind::I_DATA,
        kind::RE_CONFIG,
    ];
    let extensions = found
        .iter()
        .find(|p| p.kind == param::kind::SUPPORTED_EXTENSIONS)
        .map_or(&[][..], |p| p.value);
    let wanted = parameter(record, numbers)?.1;
    match wanted
        .iter()
        .find(|kind| ours.contains(kind) && !extensions.contains(kind))
    {
        // Partial reliability has a parameter of its own, which says the same.
        Some(&kind::FORWARD_TSN)
            if found
                .iter()
                .any(|p| p.kind == param::kind::FORWARD_TSN_SUPPORTED) =>
        {
            Ok(())
        }
        Some(kind) => failed(format!("{} not among the extensions", name_of(*kind))),
        None => Ok(()),
    }
}

fn flatten(value: &[u8]) -> Vec<(u16, Vec<u8>)> {
    Params(value)
        .map(|param| (param.kind, param.value.to_vec()))
        .collect()
}

fn compare_causes(value: &[u8], expected: &Chunk, numbers: &dyn Numbers) -> Result<(), Stop> {
    if expected.inner.is_empty() {
        return Ok(());
    }
    let found = flatten(value);
    if found.len() != expected.inner.len() && !expected.open {
        return failed(format!("causes {found:?}"));
    }
    for ((code, information), record) in found.iter().zip(&expected.inner) {
        let (wanted_code, wanted) = cause(record, numbers)?;
        // The padding of the last nested record may or may not be counted.
        let same = wanted.is_none_or(|wanted| {
            let longest = wanted.len().max(information.len());
            let padded = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.resize((longest + 3) & !3, 0);
                bytes
            };
            wanted.len().abs_diff(information.len()) < 4 && padded(&wanted) == padded(information)
        });
        if *code != wanted_code || !same {
            return failed(format!(
                "cause {code} {information:x?}, expected {record:?}"
            ));
        }
    }
    Ok(())
}

fn compare_skipped(value: &[u8], interleaved: bool, expected: &Chunk) -> Result<(), Stop> {
    let Some(Value::List(wanted)) = expected.field("ids") else {
        return Ok(());
    };
    if wanted.contains(&Value::Any) {
        return Ok(());
    }
    let size = if interleaved { 8 } else { 4 };
    let mut found: Vec<Vec<u64>> = value[4..]
        .chunks(size)
        .map(|entry| {
            let (a, b) = (u64::from(u16_at(entry, 0)), u64::from(u16_at(entry, 2)));
            match interleaved {
                true => vec![a, b, u64::from(u32_at(entry, 4))],
                false => vec![a, b],
            }
        })
        .collect();
    let mut wanted: Vec<Vec<u64>> = wanted
        .iter()
        .map(|id| id.braces().iter().filter_map(part).collect())
        .collect();
    found.sort();
    wanted.sort();
    if found != wanted {
        return failed(format!("skipped {found:?}, expected {wanted:?}"));
    }
    Ok(())
}

/// Our requests count from our first TSN, as the script counts ours.
fn compare_reconfig(
    value: &[u8],
    expected: &Chunk,
    to_script: &dyn Fn(u32) -> u64,
) -> Result<(), Stop> {
    let found: Vec<_> = Params(value).collect();
    if found.len() != expected.inner.len() && !expected.open {
        return failed(format!("RECONFIG with {} parameters", found.len()));
    }
    for (param, record) in found.iter().zip(&expected.inner) {
        let at = |at| u64::from(u32_at(param.value, at));
        let (name, fields) = match param.kind {
            param::kind::OUTGOING_RESET => (
                "OUTGOING_SSN_RESET",
                vec![
                    ("req_sn", to_script(at(0) as u32)),
                    ("resp_sn", at(4)),
                    ("last_tsn", to_script(at(8) as u32)),
                ],
            ),
            param::kind::INCOMING_RESET => (
                "INCOMING_SSN_RESET",
                vec![("req_sn", to_script(at(0) as u32))],
            ),
            param::kind::RECONFIG_RESPONSE => (
                "RECONFIG_RESPONSE",
                vec![("resp_sn", at(0)), ("result", at(4))],
            ),
            _ => ("another parameter", Vec::new()),
        };
        if record.name != name {
            return failed(format!("RECONFIG with {name}, expected {}", record.name));
        }
        for (key, found) in fields {
            if record.number(key).is_some_and(|wanted| wanted != found) {
                return failed(format!("{name} {key}={found}, expected {record:?}"));
            }
        }
        if let Some(wanted) = record.numbers("sids") {
            let from = if name.starts_with('O') { 12 } else { 4 };
            let found: Vec<_> = param.value[from..]
                .chunks_exact(2)
                .map(|pair| u64::from(u16_at(pair, 0)))
                .collect();
            if found != wanted {
                return failed(format!("{name} of {found:?}, expected {wanted:?}"));
            }
        }
    }
    Ok(())
}
