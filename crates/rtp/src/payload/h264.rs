//! H.264 in packetization mode 1 (RFC 6184 §5): single NAL units, STAP-A, FU-A.
//!
//! ```text
//! NAL unit   |F|NRI| type |  …            a header byte, then its content
//! STAP-A     |F|NRI|  24  | size (16) | NAL unit | size (16) | NAL unit | …
//! FU-A       |F|NRI|  28  |S|E|R| type | a part of a NAL unit's content …
//! ```
//! A frame is an access unit as an Annex B byte stream: NAL units after start codes.

use bytes::{Bytes, BytesMut};

use super::{Chunk, Fragment, PacketizeError, PayloadError, Prefix, even_parts};

const IDR: u8 = 5;
const SPS: u8 = 7;
const AUD: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

fn nal_type(header: u8) -> u8 {
    header & 0x1f
}

/// The NAL units of a byte stream, without start codes.
fn nal_units(data: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let mut at = next_start(data, 0).map(|(_, after)| after);
    std::iter::from_fn(move || {
        let start = at?;
        let end = match next_start(data, start) {
            Some((code, after)) => {
                at = Some(after);
                code
            }
            None => {
                at = None;
                data.len()
            }
        };
        // Zero bytes before a start code belong to it or are trailing zeros.
        let content = data.get(start..end).unwrap_or_default();
        let trailing = content.iter().rev().take_while(|byte| **byte == 0).count();
        Some(data.slice(start..end - trailing))
    })
    .filter(|unit| !unit.is_empty())
}

/// Where the next `00 00 01` begins and ends.
fn next_start(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let at = data
        .get(from..)?
        .windows(3)
        .position(|window| window == [0, 0, 1])?;
    Some((from + at, from + at + 3))
}

pub(super) fn packetize(
    data: &Bytes,
    room: usize,
    mut out: impl FnMut(Chunk),
) -> Result<(), PacketizeError> {
    if room < 3 {
        return Err(PacketizeError::NoRoom(room));
    }
    // The delimiter means nothing to RTP, where the marker bit ends an access unit (§5.1).
    let mut units = nal_units(data)
        .filter(|unit| unit.first().map(|header| nal_type(*header)) != Some(AUD))
        .peekable();
    if units.peek().is_none() {
        return Err(PacketizeError::Empty);
    }
    while let Some(unit) = units.next() {
        let header = unit.first().copied().unwrap_or_default();
        let last = units.peek().is_none();
        if unit.len() <= room {
            out(Chunk {
                prefix: Prefix::default(),
                body: unit,
                last,
            });
            continue;
        }
        // FU-A (§5.8): the NAL header is taken apart, its content cut.
        let content = unit.slice(1..);
        for (range, body) in even_parts(&content, room - 2) {
            let end = range.end == content.len();
            let mut prefix = Prefix::default();
            prefix.push((header & 0xe0) | FU_A);
            prefix
                .push((u8::from(range.start == 0) << 7) | (u8::from(end) << 6) | nal_type(header));
            out(Chunk {
                prefix,
                body,
                last: last && end,
            });
        }
    }
    Ok(())
}

/// The NAL units of a STAP-A.
fn aggregated(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (size, after) = rest.split_first_chunk()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        rest = after;
        Some(unit)
    })
}

pub(super) fn inspect(payload: &[u8]) -> Result<Fragment, PayloadError> {
    let header = *payload.first().ok_or(PayloadError::Truncated)?;
    let begins_decoding = |kind: u8| kind == IDR || kind == SPS;
    let keyframe = match nal_type(header) {
        1..=23 => begins_decoding(nal_type(header)),
        STAP_A => aggregated(payload)
            .filter_map(|unit| unit.first())
            .any(|header| begins_decoding(nal_type(*header))),
        FU_A => {
            let fu = *payload.get(1).ok_or(PayloadError::Truncated)?;
            fu & 0x80 != 0 && begins_decoding(nal_type(fu))
        }
        other => return Err(PayloadError::Unsupported(other)),
    };
    Ok(Fragment {
        keyframe,
        // NRI 0: the content is no reference (§5.3).
        discardable: header & 0x60 == 0,
        ..Fragment::default()
    })
}

pub(super) fn join<'a>(payloads: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let total: usize = payloads
        .clone()
        .map(|payload| payload.len() + START_CODE.len())
        .sum();
    // A STAP-A's two-byte sizes become four-byte start codes; a frame of many tiny units may grow once.
    let mut frame = BytesMut::with_capacity(total);
    for payload in payloads {
        let Some(&header) = payload.first() else {
            continue;
        };
        match nal_type(header) {
            STAP_A => {
                for unit in aggregated(payload) {
                    frame.extend_from_slice(&START_CODE);
                    frame.extend_from_slice(unit);
                }
            }
            FU_A => {
                let fu = payload.get(1).copied().unwrap_or_default();
                if fu & 0x80 != 0 {
                    frame.extend_from_slice(&START_CODE);
                    frame.extend_from_slice(&[(header & 0xe0) | nal_type(fu)]);
                }
                frame.extend_from_slice(payload.get(2..).unwrap_or_default());
            }
            _ => {
                frame.extend_from_slice(&START_CODE);
                frame.extend_from_slice(payload);
            }
        }
    }
    frame.freeze()
}
