//! Payload formats: how an encoded frame is cut into RTP payloads and put together again.
//!
//! | file | format | from |
//! |---|---|---|
//! | `audio` | Opus, G.711 and any other audio of one packet a frame | RFC 7587, RFC 3551 |
//! | `vp8` | VP8 | RFC 7741 |
//! | `vp9` | VP9 | RFC 9628 |
//! | `h264` | H.264, packetization mode 1 | RFC 6184 |
//!
//! [`Packetizer`] cuts: each payload is a short prefix and a slice of the frame, which is never copied.
//! [`inspect`] tells what a payload holds, [`join`] puts the payloads of a frame together.

pub mod audio;
mod format;
mod h264;
mod vp8;
mod vp9;

pub use format::PayloadFormat;

use std::ops::Range;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use thiserror::Error;

/// A frame's place among temporal layers (RFC 7741 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemporalLayer {
    /// The layer, 0 the base.
    pub id: u8,
    /// Whether the frame depends on the base layer alone.
    pub sync: bool,
    /// Whether no other frame depends on it.
    pub discardable: bool,
}

/// Why a frame can't be cut into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketizeError {
    /// The frame is empty.
    #[error("the frame is empty")]
    Empty,
    /// The frame must travel in one packet and is larger than that.
    #[error("a frame of {len} bytes exceeds the packet's {room}")]
    TooLarge {
        /// The frame's length.
        len: usize,
        /// The room in a packet.
        room: usize,
    },
    /// The room in a packet is too small for any cut.
    #[error("a packet has room for {0} bytes only")]
    NoRoom(usize),
}

/// Why a payload could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload ends inside its descriptor.
    #[error("the payload ends inside its descriptor")]
    Truncated,
    /// The payload uses a structure that this format's negotiated mode excludes.
    #[error("the payload's structure {0} is not in use")]
    Unsupported(u8),
}

/// The few bytes that precede a slice of the frame in a payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefix {
    bytes: [u8; 15],
    len: u8,
}

impl Prefix {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len += 1;
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// One payload: `prefix`, then `body`.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The payload descriptor.
    pub prefix: Prefix,
    /// A slice of the frame.
    pub body: Bytes,
    /// Whether it is the frame's last.
    pub last: bool,
}

/// Cuts frames into payloads.
#[derive(Debug)]
pub struct Packetizer {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Single,
    Vp8(vp8::Packetizer),
    Vp9(vp9::Packetizer),
    H264,
}

impl Packetizer {
    /// A packetizer whose picture identifiers start at random (RFC 7741 §4.2).
    pub fn new(format: PayloadFormat, rng: &mut StdRng) -> Self {
        let kind = match format {
            PayloadFormat::Opus
            | PayloadFormat::Pcmu
            | PayloadFormat::Pcma
            | PayloadFormat::OpaqueAudio => Kind::Single,
            PayloadFormat::Vp8 => Kind::Vp8(vp8::Packetizer::new(rng.random(), rng.random())),
            PayloadFormat::Vp9 => Kind::Vp9(vp9::Packetizer::new(rng.random())),
            PayloadFormat::H264 => Kind::H264,
        };
        Self { kind }
    }

    /// Cuts a frame into payloads of at most `room` bytes, given to `out` in order.
    pub fn packetize(
        &mut self,
        data: &Bytes,
        keyframe: bool,
        layer: Option<TemporalLayer>,
        room: usize,
        out: impl FnMut(Chunk),
    ) -> Result<(), PacketizeError> {
        if data.is_empty() {
            return Err(PacketizeError::Empty);
        }
        match &mut self.kind {
            Kind::Single => audio::packetize(data, room, out),
            Kind::Vp8(packetizer) => packetizer.packetize(data, layer, room, out),
            Kind::Vp9(packetizer) => packetizer.packetize(data, keyframe, room, out),
            Kind::H264 => h264::packetize(data, room, out),
        }
    }
}

/// Cuts `data` into equal parts of at most `room` bytes: no packet is much smaller than the others.
fn even_parts(data: &Bytes, room: usize) -> impl Iterator<Item = (Range<usize>, Bytes)> + '_ {
    let room = room.max(1);
    let count = data.len().div_ceil(room).max(1);
    let (size, longer) = (data.len() / count, data.len() % count);
    let mut start = 0;
    (0..count).map(move |index| {
        let end = start + size + usize::from(index < longer);
        let range = start..end;
        start = end;
        (range.clone(), data.slice(range))
    })
}

/// What a payload holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Where its part of the frame begins, after the descriptor.
    pub body: usize,
    /// Whether a frame begins here; `None` where the format does not tell.
    pub start: Option<bool>,
    /// Whether a frame ends here, for formats that tell beside the marker bit.
    pub end: bool,
    /// Whether it begins a frame at which decoding can begin.
    pub keyframe: bool,
    /// Whether no other frame depends on its frame.
    pub discardable: bool,
    /// Its temporal layer.
    pub temporal_id: Option<u8>,
    /// The running number of its picture, 7 or 15 bits.
    pub picture_id: Option<u16>,
}

/// Reads a payload's descriptor.
pub fn inspect(format: PayloadFormat, payload: &[u8]) -> Result<Fragment, PayloadError> {
    match format {
        PayloadFormat::Opus
        | PayloadFormat::Pcmu
        | PayloadFormat::Pcma
        | PayloadFormat::OpaqueAudio => Ok(Fragment {
            start: Some(true),
            end: true,
            keyframe: true,
            ..Fragment::default()
        }),
        PayloadFormat::Vp8 => vp8::inspect(payload),
        PayloadFormat::Vp9 => vp9::inspect(payload),
        PayloadFormat::H264 => h264::inspect(payload),
    }
}

/// Puts a frame together from its payloads and where their bodies begin. One payload alone is a slice, not a copy,
/// unless the format needs more (H.264's start codes).
pub fn join<'a>(
    format: PayloadFormat,
    payloads: impl Iterator<Item = (&'a Bytes, usize)> + Clone,
) -> Bytes {
    let body = |(payload, start): (&'a Bytes, usize)| payload.slice(start.min(payload.len())..);
    if format == PayloadFormat::H264 {
        return h264::join(payloads.map(|(payload, _)| payload));
    }
    let mut rest = payloads.clone();
    match (rest.next(), rest.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => body(only),
        _ => {
            // Exactly as large as needed: then it becomes `Bytes` without a second allocation.
            let part =
                |(payload, start): (&'a Bytes, usize)| payload.get(start..).unwrap_or_default();
            let total = payloads.clone().map(|payload| part(payload).len()).sum();
            let mut frame = Vec::with_capacity(total);
            for payload in payloads {
                frame.extend_from_slice(part(payload));
            }
            Bytes::from(frame)
        }
    }
}

#[cfg(test)]
mod tests;
