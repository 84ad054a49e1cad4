//! Transport-wide feedback: when each packet of a transport arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
//!
//! ```text
//! |V=2|P|  FMT=15 |    PT=205     |           length              |
//! |                     SSRC of packet sender                     |
//! |                      SSRC of media source                     |
//! |      base sequence number     |      packet status count      |
//! |                 reference time                | fb pkt. count |
//! |          packet chunk         |         packet chunk …        |
//! |         recv delta            |  recv delta …                 |
//! ```
//! A chunk is a run (`0 SS nnnnnnnnnnnnn`: n packets of status SS), 14 one-bit statuses (`10 …`) or 7 two-bit ones (`11 …`).
//! A status is 0 not received, 1 received with an unsigned 8-bit delta, 2 received with a signed 16-bit delta.
//! Deltas count 250 µs, the reference time 64 ms.

use super::writer::{packet, put};
use super::{Raw, packet_type, ssrc, word};
use crate::types::{SeqNum, Ssrc};

pub(super) const FORMAT: u8 = 15;
/// Deltas in one unit of the reference time.
const TICKS_PER_REFERENCE: i64 = 256;

/// A transport-wide feedback packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// A media source of the transport.
    pub media: Ssrc,
    /// The first sequence number reported on.
    pub base: SeqNum,
    /// How many packets are reported on.
    pub status_count: u16,
    /// The reference time in units of 64 ms, 24 bits signed.
    pub reference_time: i32,
    /// The feedback packet's own number.
    pub feedback_count: u8,
    content: &'a [u8],
    deltas_at: usize,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(raw: Raw<'a>) -> Option<Self> {
        let counts = word(raw.body, 8)?;
        let time = word(raw.body, 12)?;
        let content = raw.body.get(16..)?;
        let status_count = counts as u16;
        // Finds where the deltas begin, and that they are all there.
        let mut left = status_count;
        let mut deltas_at = 0;
        let mut delta_bytes = 0usize;
        while left > 0 {
            let chunk = Chunk::read(content.get(deltas_at..)?)?;
            deltas_at += 2;
            let count = chunk.len().min(left);
            delta_bytes += chunk.delta_bytes(count);
            left -= count;
        }
        content.get(deltas_at..deltas_at + delta_bytes)?;
        Some(Self {
            sender: ssrc(raw.body, 0)?,
            media: ssrc(raw.body, 4)?,
            base: SeqNum((counts >> 16) as u16),
            status_count,
            reference_time: (time as i32) >> 8,
            feedback_count: time as u8,
            content,
            deltas_at,
        })
    }

    /// Each reported packet with its arrival, in units of 250 µs on the receiver's clock, or `None` when it has not arrived.
    pub fn arrivals(&self) -> PacketArrivals<'a> {
        let (chunks, deltas) = self
            .content
            .split_at_checked(self.deltas_at)
            .unwrap_or((&[], &[]));
        PacketArrivals {
            chunks,
            deltas,
            chunk: Chunk::Run { status: 0, len: 0 },
            used: 0,
            next: self.base,
            left: self.status_count,
            time: i64::from(self.reference_time) * TICKS_PER_REFERENCE,
        }
    }
}

/// Iterates over the packets of a feedback.
#[derive(Clone, Debug)]
pub struct PacketArrivals<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: Chunk,
    used: u16,
    next: SeqNum,
    left: u16,
    time: i64,
}

impl Iterator for PacketArrivals<'_> {
    type Item = (SeqNum, Option<i64>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.used == self.chunk.len() {
            let (bytes, rest) = self.chunks.split_at_checked(2)?;
            self.chunk = Chunk::read(bytes)?;
            self.chunks = rest;
            self.used = 0;
        }
        let status = self.chunk.status(self.used);
        self.used += 1;
        let seq = self.next;
        self.next = seq.next();
        let arrival = match status {
            1 => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                self.time += i64::from(delta);
                Some(self.time)
            }
            2 => {
                let (&delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                self.time += i64::from(i16::from_be_bytes(delta));
                Some(self.time)
            }
            _ => None,
        };
        Some((seq, arrival))
    }
}

#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run { status: u8, len: u16 },
    OneBit(u16),
    TwoBit(u16),
}

impl Chunk {
    fn read(bytes: &[u8]) -> Option<Self> {
        let value = u16::from_be_bytes(*bytes.first_chunk()?);
        Some(match value >> 14 {
            0b00 | 0b01 => Self::Run {
                status: ((value >> 13) & 3) as u8,
                len: value & 0x1fff,
            },
            0b10 => Self::OneBit(value),
            _ => Self::TwoBit(value),
        })
        // A run of none would never come to an end of the packet statuses.
        .filter(|chunk| chunk.len() > 0)
    }

    fn len(self) -> u16 {
        match self {
            Self::Run { len, .. } => len,
            Self::OneBit(_) => 14,
            Self::TwoBit(_) => 7,
        }
    }

    fn status(self, index: u16) -> u8 {
        match self {
            Self::Run { status, .. } => status,
            Self::OneBit(bits) => ((bits >> (13 - index.min(13))) & 1) as u8,
            Self::TwoBit(bits) => ((bits >> (12 - 2 * index.min(6))) & 3) as u8,
        }
    }

    fn delta_bytes(self, count: u16) -> usize {
        let size = |status| match status {
            1 => 1,
            2 => 2,
            _ => 0,
        };
        match self {
            Self::Run { status, .. } => size(status) * usize::from(count),
            _ => (0..count).map(|index| size(self.status(index))).sum(),
        }
    }
}

/// Writes feedback for the packets from `base` on; `arrivals` are in units of 250 µs. Stops before a delta that no 16 bits can
/// carry and before the packet grows past what fits a datagram; returns how many packets it reported on.
pub(super) fn write(
    buf: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    feedback_count: u8,
    base: SeqNum,
    arrivals: &[Option<i64>],
) -> usize {
    /// Deltas and chunks together; keeps the packet under 1,200 bytes.
    const MAX_CONTENT: usize = 1_100;
    let Some(first) = arrivals.iter().flatten().next() else {
        return 0;
    };
    let reference = first.div_euclid(TICKS_PER_REFERENCE);
    let mut time = reference * TICKS_PER_REFERENCE;
    let mut count = 0;
    let mut content = 0;
    for arrival in arrivals.iter().take(usize::from(u16::MAX)) {
        if let Some(arrival) = arrival {
            let Ok(delta) = i16::try_from(arrival - time) else {
                break;
            };
            content += if u8::try_from(delta).is_ok() { 1 } else { 2 };
            time = *arrival;
        }
        count += 1;
        if content + count / 3 > MAX_CONTENT {
            break;
        }
    }
    let arrivals = arrivals.get(..count).unwrap_or(arrivals);
    let start = reference * TICKS_PER_REFERENCE;
    packet(buf, FORMAT, packet_type::TRANSPORT_FEEDBACK, |buf| {
        put(buf, sender.0);
        put(buf, media.0);
        put(buf, (u32::from(base.0) << 16) | arrivals.len() as u32);
        put(buf, ((reference as u32) << 8) | u32::from(feedback_count));
        write_chunks(buf, start, arrivals);
        let mut time = start;
        for arrival in arrivals.iter().flatten() {
            let delta = arrival - time;
            time = *arrival;
            match u8::try_from(delta) {
                Ok(delta) => buf.push(delta),
                Err(_) => buf.extend_from_slice(&(delta as i16).to_be_bytes()),
            }
        }
    });
    count
}

/// The statuses of `arrivals`, given the time before the first.
fn statuses(start: i64, arrivals: &[Option<i64>]) -> impl Iterator<Item = u8> + Clone + '_ {
    arrivals.iter().scan(start, |time, arrival| {
        Some(match arrival {
            None => 0,
            Some(arrival) => {
                let delta = arrival - *time;
                *time = *arrival;
                if (0..=255).contains(&delta) { 1 } else { 2 }
            }
        })
    })
}

/// Runs where seven or more are alike, vectors elsewhere.
fn write_chunks(buf: &mut Vec<u8>, start: i64, arrivals: &[Option<i64>]) {
    let mut rest = statuses(start, arrivals);
    loop {
        let Some(first) = rest.clone().next() else {
            return;
        };
        let run = rest
            .clone()
            .take_while(|status| *status == first)
            .take(0x1fff)
            .count();
        let one_bit = rest.clone().take(14).all(|status| status < 2);
        let (value, used) = if run >= if one_bit { 14 } else { 7 } {
            ((u16::from(first) << 13) | run as u16, run)
        } else if one_bit {
            let bits = rest
                .clone()
                .take(14)
                .enumerate()
                .fold(0, |bits, (index, status)| {
                    bits | (u16::from(status) << (13 - index))
                });
            (0x8000 | bits, 14)
        } else {
            let bits = rest
                .clone()
                .take(7)
                .enumerate()
                .fold(0, |bits, (index, status)| {
                    bits | (u16::from(status) << (12 - 2 * index))
                });
            (0xc000 | bits, 7)
        };
        buf.extend_from_slice(&value.to_be_bytes());
        for _ in 0..used {
            rest.next();
        }
    }
}
