//! Audio of one packet a frame: Opus (RFC 7587 §4.2), G.711 (RFC 3551 §4.5.14), and others not looked into.

use bytes::Bytes;

use super::{Chunk, PacketizeError, PayloadFormat, Prefix};

pub(super) fn packetize(
    data: &Bytes,
    room: usize,
    mut out: impl FnMut(Chunk),
) -> Result<(), PacketizeError> {
    // "An RTP payload MUST contain exactly one Opus packet" (RFC 7587 §4.2).
    if data.len() > room {
        return Err(PacketizeError::TooLarge {
            len: data.len(),
            room,
        });
    }
    out(Chunk {
        prefix: Prefix::default(),
        body: data.clone(),
        last: true,
    });
    Ok(())
}

/// The samples in an Opus packet at 48 kHz, from its first two bytes (RFC 6716 §3.1, §3.2); `None` when it is malformed.
pub fn opus_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    // Configurations 0..=11 are SILK, 12..=15 hybrid, 16..=31 CELT (table 2).
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    // "A packet MUST NOT contain more than 120 ms of audio."
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

/// The media time of a packet in its clock's ticks, where the format tells.
pub(crate) fn duration_ticks(format: PayloadFormat, payload: &[u8]) -> Option<u32> {
    match format {
        PayloadFormat::Opus => opus_samples(payload),
        // One byte a sample, 8,000 of them a second.
        PayloadFormat::Pcmu | PayloadFormat::Pcma => u32::try_from(payload.len()).ok(),
        _ => None,
    }
}
