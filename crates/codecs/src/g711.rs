//! G.711: 8 kHz, one byte a sample, two companding laws (ITU-T G.711; PCMU and PCMA of RFC 3551 §4.5.14).
//!
//! Every WebRTC endpoint has it (RFC 7874 §3), and it needs no library: a sample's sign, the position of its highest
//! bit, and the four bits below that.

use crate::codec::{AudioDecoder, AudioEncoder, ConfigError, DecodeError, EncodeError};
use crate::framer::Framer;
use bytes::Bytes;
use media::{AudioFrame, Bitrate, EncodedFrame};
use std::fmt;
use std::time::Duration;

/// Samples a second.
pub const SAMPLE_RATE: u32 = 8_000;
/// The longest packet that is decoded: one second.
const MAX_PACKET: usize = SAMPLE_RATE as usize;
/// Added before finding the highest bit in µ-law, so that there always is one (G.711, table 2).
const MU_BIAS: i32 = 0x84;
/// The largest µ-law magnitude that does not overflow with the bias.
const MU_CLIP: i32 = 0x7fff - MU_BIAS;

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law, PCMU, payload type 0: North America and Japan.
    Mu,
    /// A-law, PCMA, payload type 8: elsewhere.
    A,
}

impl Law {
    /// One sample to one byte.
    pub fn compress(self, sample: i16) -> u8 {
        match self {
            Law::Mu => mu_compress(sample),
            Law::A => a_compress(sample),
        }
    }

    /// One byte to one sample.
    pub fn expand(self, byte: u8) -> i16 {
        match self {
            Law::Mu => mu_expand(byte),
            Law::A => a_expand(byte),
        }
    }
}

fn mu_compress(sample: i16) -> u8 {
    let magnitude = i32::from(sample).abs().min(MU_CLIP) + MU_BIAS;
    // Between 7 and 14, so the segment is 0 to 7.
    let highest = magnitude.ilog2();
    let segment = (highest - 7) as u8;
    let step = (magnitude >> (highest - 4)) as u8 & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | segment << 4 | step)
}

fn mu_expand(byte: u8) -> i16 {
    let byte = !byte;
    let segment = u32::from(byte >> 4 & 7);
    let step = i32::from(byte & 0x0f);
    let magnitude = (((step << 3) + MU_BIAS) << segment) - MU_BIAS;
    signed(magnitude, byte & 0x80 != 0)
}

/// Every other bit is inverted on the line (G.711 §3.2 note, "even bits inverted").
const A_MASK: u8 = 0x55;

fn a_compress(sample: i16) -> u8 {
    // A negative sample is its one's complement, so that -1 is the mirror of 0.
    let (magnitude, sign) = match sample {
        0.. => (i32::from(sample), 0x80),
        _ => (i32::from(!sample), 0),
    };
    let code = if magnitude < 256 {
        (magnitude >> 4) as u8
    } else {
        // Between 8 and 14, so the segment is 1 to 7.
        let highest = magnitude.ilog2();
        let segment = (highest - 7) as u8;
        segment << 4 | (magnitude >> (highest - 4)) as u8 & 0x0f
    };
    (sign | code) ^ A_MASK
}

fn a_expand(byte: u8) -> i16 {
    let byte = byte ^ A_MASK;
    let segment = u32::from(byte >> 4 & 7);
    let step = i32::from(byte & 0x0f);
    // The middle of the step.
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    signed(magnitude, byte & 0x80 == 0)
}

fn signed(magnitude: i32, negative: bool) -> i16 {
    // The largest magnitude is 32,256.
    let magnitude = magnitude as i16;
    if negative { -magnitude } else { magnitude }
}

/// An encoder. It takes sound of any rate, channels and length.
pub struct Encoder {
    law: Law,
    packet: Duration,
    framer: Framer,
}

impl Encoder {
    /// An encoder of this law, into packets of 20 ms.
    pub fn new(law: Law) -> Self {
        Self::of(law, Duration::from_millis(20))
    }

    /// An encoder of this law, into packets of a whole number of milliseconds up to 200 (RFC 3551 §4.2).
    pub fn with_packet_duration(law: Law, packet: Duration) -> Result<Self, ConfigError> {
        let millis = packet.as_millis() as u64;
        if !(1..=200).contains(&millis) || packet != Duration::from_millis(millis) {
            return Err(ConfigError::Unsupported {
                setting: "packet",
                problem: "is 1 to 200 whole milliseconds".into(),
            });
        }
        Ok(Self::of(law, packet))
    }

    fn of(law: Law, packet: Duration) -> Self {
        Encoder {
            law,
            packet,
            framer: Framer::new(SAMPLE_RATE, 1, packet),
        }
    }
}

impl AudioEncoder for Encoder {
    fn encode(
        &mut self,
        frame: &AudioFrame,
        packets: &mut Vec<EncodedFrame>,
    ) -> Result<(), EncodeError> {
        self.framer.push(frame)?;
        while let Some((samples, timestamp)) = self.framer.next_piece() {
            let data: Bytes = samples.iter().map(|&s| self.law.compress(s)).collect();
            packets.push(EncodedFrame::audio(data, timestamp, self.packet));
        }
        Ok(())
    }

    /// It has no choice: 64 kbit/s.
    fn set_bitrate(&mut self, _bitrate: Bitrate) {}

    /// It cannot prepare for losses.
    fn set_expected_loss(&mut self, _loss: f64) {}
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g711::Encoder({:?})", self.law)
    }
}

/// A decoder. It conceals a loss by repeating the last packet, more quietly each time (in the spirit of
/// G.711 appendix I, without its search for the pitch).
#[derive(Debug)]
pub struct Decoder {
    law: Law,
    last: Vec<i16>,
    /// How loud the next repetition is, of 4.
    loudness: i32,
}

impl Decoder {
    /// A decoder of this law.
    pub fn new(law: Law) -> Self {
        Decoder {
            law,
            last: Vec::new(),
            loudness: 4,
        }
    }
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, data: &[u8], timestamp: Duration) -> Result<AudioFrame, DecodeError> {
        if data.is_empty() {
            return Err(DecodeError::Damaged("no bytes".to_owned()));
        }
        if data.len() > MAX_PACKET {
            return Err(DecodeError::TooLarge(format!("{} bytes", data.len())));
        }
        self.last.clear();
        self.last
            .extend(data.iter().map(|&byte| self.law.expand(byte)));
        self.loudness = 4;
        frame(self.last.clone(), timestamp)
    }

    fn conceal(
        &mut self,
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError> {
        let frames = duration.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000;
        let frames = (frames as usize).min(MAX_PACKET);
        self.loudness = (self.loudness - 1).max(0);
        let repeated = self.last.iter().cycle().take(frames);
        let mut samples: Vec<i16> = repeated
            .map(|&s| (i32::from(s) * self.loudness / 4) as i16)
            .collect();
        samples.resize(frames, 0);
        frame(samples, timestamp)
    }

    fn recover(
        &mut self,
        _next: &[u8],
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError> {
        self.conceal(duration, timestamp)
    }

    fn sample_rate(&self) -> u32 {
        SAMPLE_RATE
    }

    fn channels(&self) -> u16 {
        1
    }
}

fn frame(samples: Vec<i16>, timestamp: Duration) -> Result<AudioFrame, DecodeError> {
    AudioFrame::new(samples, SAMPLE_RATE, 1, timestamp)
        .map_err(|error| DecodeError::Damaged(error.to_string()))
}

impl TryFrom<u8> for Law {
    type Error = ConfigError;

    /// From the static payload type of RFC 3551: 0 or 8.
    fn try_from(payload_type: u8) -> Result<Self, ConfigError> {
        match payload_type {
            0 => Ok(Law::Mu),
            8 => Ok(Law::A),
            other => Err(ConfigError::Unsupported {
                setting: "payload type",
                problem: format!("{other} is neither PCMU (0) nor PCMA (8)"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_extremes_have_their_standard_codes() {
        assert_eq!([0, 32_767, -32_768].map(mu_compress), [0xff, 0x80, 0x00]);
        assert_eq!([0xff, 0x80, 0x00].map(mu_expand), [0, 32_124, -32_124]);
        assert_eq!([0, 32_767, -32_768].map(a_compress), [0xd5, 0xaa, 0x2a]);
        assert_eq!([0xd5, 0xaa, 0x2a].map(a_expand), [8, 32_256, -32_256]);
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for byte in 0..=255 {
            // µ-law has two zeros; the negative one becomes the positive one.
            if byte != 0x7f {
                assert_eq!(mu_compress(mu_expand(byte)), byte);
            }
            assert_eq!(a_compress(a_expand(byte)), byte);
        }
    }

    #[test]
    fn the_error_is_small_beside_the_sample() {
        for sample in i16::MIN..=i16::MAX {
            for law in [Law::Mu, Law::A] {
                let back = i32::from(law.expand(law.compress(sample)));
                let error = (back - i32::from(sample)).abs();
                let allowed = i32::from(sample).abs() / 16 + 16;
                assert!(error <= allowed.max(644), "{law:?} {sample} → {back}");
                if sample.unsigned_abs() < 30_000 {
                    assert!(error <= allowed, "{law:?} {sample} → {back}");
                }
            }
        }
    }

    #[test]
    fn sound_passes_and_losses_fade() {
        let mut encoder = Encoder::new(Law::A);
        let mut decoder = Decoder::new(Law::A);
        let mut packets = Vec::new();
        let loud: Vec<i16> = (0..4_800)
            .map(|i| if i / 24 % 2 == 0 { 8_000 } else { -8_000 })
            .collect();
        let loud = AudioFrame::new(loud, 48_000, 1, Duration::from_secs(3)).unwrap();
        encoder.encode(&loud, &mut packets).unwrap();
        assert_eq!(packets.len(), 4);
        assert_eq!(packets[1].timestamp, Duration::from_millis(3_020));
        assert!(packets.iter().all(|p| p.data.len() == 160));
        let sound = decoder.decode(&packets[2].data, Duration::ZERO).unwrap();
        assert!(sound.rms() > 0.15, "{}", sound.rms());
        let losses: Vec<f64> = (0..5)
            .map(|_| {
                decoder
                    .conceal(Duration::from_millis(20), Duration::ZERO)
                    .unwrap()
                    .rms()
            })
            .collect();
        assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
        assert!(losses[0] > 0.1 && losses[4] == 0.0, "{losses:?}");
    }

    #[test]
    fn refuses_nothing_and_too_much() {
        let mut decoder = Decoder::new(Law::Mu);
        assert!(decoder.decode(&[], Duration::ZERO).is_err());
        assert!(decoder.decode(&[0; 9_000], Duration::ZERO).is_err());
        let made_up = decoder
            .conceal(Duration::from_secs(1_000), Duration::ZERO)
            .unwrap();
        assert_eq!(made_up.frames(), 8_000);
    }
}
