//! Opus (RFC 6716, RTP payload RFC 7587) by libopus.
//!
//! ```
//! use pc_codecs::{AudioDecoder, AudioEncoder, opus};
//! use media::AudioFrame;
//! use std::time::Duration;
//!
//! let mut encoder = opus::Encoder::new(opus::EncoderConfig::default())?;
//! let mut decoder = opus::Decoder::new(48_000, 2)?;
//! let mut packets = Vec::new();
//! encoder.encode(&AudioFrame::silence(4_410, 44_100, 1, Duration::ZERO), &mut packets)?;
//! assert_eq!(packets.len(), 4); // 100 ms are four packets of 20 ms and a rest that waits
//! let sound = decoder.decode(&packets[0].data, packets[0].timestamp)?;
//! assert_eq!(sound.duration(), Duration::from_millis(20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::codec::{AudioDecoder, AudioEncoder, ConfigError, DecodeError, EncodeError};
use crate::framer::Framer;
use bytes::Bytes;
use media::{AudioFrame, Bitrate, EncodedFrame};
use opus::Channels;
use std::fmt;
use std::time::Duration;

const LIBRARY: &str = "libopus";
/// RFC 6716 §3.4 [R5]: a packet is no longer than 120 ms.
const MAX_PACKET_DURATION: Duration = Duration::from_millis(120);
/// RFC 6716 §2.1.4: the least that libopus can make up.
const STEP: Duration = Duration::from_micros(2_500);
/// RFC 6716 §3.4 [R2]: 1275 bytes a frame; six frames of 20 ms in a packet, and their lengths.
const MAX_PACKET_BYTES: usize = 1275 * 6 + 7;
/// With DTX libopus makes packets of at most this size when there is nothing to send.
const NOTHING_TO_SEND: usize = 2;

/// What the sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Speech: clarity first.
    Voip,
    /// Music and everything else: faithfulness first.
    Audio,
    /// The least delay at any price.
    LowDelay,
}

/// How to encode.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// 1 or 2.
    pub channels: u16,
    /// The bitrate to aim at, from 6 to 510 kbit/s.
    pub bitrate: Bitrate,
    /// The length of a packet: 2.5, 5, 10, 20, 40 or 60 ms.
    pub packet_duration: Duration,
    /// What the sound is.
    pub application: Application,
    /// Whether each packet also carries a rougher copy of the one before, as far as losses are expected.
    pub fec: bool,
    /// Whether nothing is sent while nobody speaks.
    pub dtx: bool,
    /// Whether every packet has the same size.
    pub cbr: bool,
    /// The highest sample rate that is played, in Hz: nothing above half of it is encoded.
    pub max_playback_rate: u32,
    /// What part of the packets is expected to be lost, 0.0 to 1.0.
    pub expected_loss: f64,
    /// Work to invest, 0 to 10.
    pub complexity: u8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        EncoderConfig {
            channels: 2,
            bitrate: Bitrate::from_kbps(64),
            packet_duration: Duration::from_millis(20),
            application: Application::Voip,
            fec: true,
            dtx: false,
            cbr: false,
            max_playback_rate: 48_000,
            expected_loss: 0.0,
            complexity: 9,
        }
    }
}

/// An Opus encoder at 48 kHz. It takes sound of any rate, channels and length.
pub struct Encoder {
    inner: opus::Encoder,
    config: EncoderConfig,
    framer: Framer,
    buffer: Vec<u8>,
}

impl Encoder {
    /// The rate it encodes, which is also the clock of Opus in RTP (RFC 7587 §4.1).
    pub const SAMPLE_RATE: u32 = 48_000;

    /// An encoder.
    pub fn new(config: EncoderConfig) -> Result<Self, ConfigError> {
        let micros = config.packet_duration.as_micros();
        if ![2_500, 5_000, 10_000, 20_000, 40_000, 60_000].contains(&micros) {
            return Err(unsupported(
                "packet_duration",
                "is 2.5, 5, 10, 20, 40 or 60 ms",
            ));
        }
        if config.complexity > 10 {
            return Err(unsupported("complexity", "is 0 to 10"));
        }
        let application = match config.application {
            Application::Voip => opus::Application::Voip,
            Application::Audio => opus::Application::Audio,
            Application::LowDelay => opus::Application::LowDelay,
        };
        let channels = channels(config.channels)?;
        let mut inner =
            opus::Encoder::new(Self::SAMPLE_RATE, channels, application).map_err(config_error)?;
        inner.set_inband_fec(config.fec).map_err(config_error)?;
        inner.set_dtx(config.dtx).map_err(config_error)?;
        inner.set_vbr(!config.cbr).map_err(config_error)?;
        inner
            .set_max_bandwidth(bandwidth(config.max_playback_rate))
            .map_err(config_error)?;
        inner
            .set_complexity(config.complexity.into())
            .map_err(config_error)?;
        inner
            .set_bitrate(library_bitrate(config.bitrate))
            .map_err(config_error)?;
        inner
            .set_packet_loss_perc(percent(config.expected_loss))
            .map_err(config_error)?;
        let framer = Framer::new(Self::SAMPLE_RATE, config.channels, config.packet_duration);
        Ok(Encoder {
            inner,
            config,
            framer,
            buffer: vec![0; MAX_PACKET_BYTES],
        })
    }

    /// How it encodes now.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }
}

/// The audio bandwidth that makes full use of a sample rate (RFC 6716 §2, table 1).
fn bandwidth(rate: u32) -> opus::Bandwidth {
    match rate {
        ..=8_000 => opus::Bandwidth::Narrowband,
        8_001..=12_000 => opus::Bandwidth::Mediumband,
        12_001..=16_000 => opus::Bandwidth::Wideband,
        16_001..=24_000 => opus::Bandwidth::Superwideband,
        _ => opus::Bandwidth::Fullband,
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
            let len = self
                .inner
                .encode(samples, &mut self.buffer)
                .map_err(encode_error)?;
            if self.config.dtx && len <= NOTHING_TO_SEND {
                continue;
            }
            let data = Bytes::copy_from_slice(&self.buffer[..len]);
            packets.push(EncodedFrame::audio(
                data,
                timestamp,
                self.config.packet_duration,
            ));
        }
        Ok(())
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        if self.inner.set_bitrate(library_bitrate(bitrate)).is_ok() {
            self.config.bitrate = bitrate;
        }
    }

    fn set_expected_loss(&mut self, loss: f64) {
        if self.inner.set_packet_loss_perc(percent(loss)).is_ok() {
            self.config.expected_loss = loss;
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Encoder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// An Opus decoder, with concealment of lost packets and the use of their copies in later ones.
pub struct Decoder {
    inner: opus::Decoder,
    sample_rate: u32,
    channels: u16,
    buffer: Vec<i16>,
}

impl Decoder {
    /// A decoder that makes sound at 8, 12, 16, 24 or 48 kHz with 1 or 2 channels, whatever the packets hold.
    pub fn new(sample_rate: u32, channel_count: u16) -> Result<Self, ConfigError> {
        if ![8_000, 12_000, 16_000, 24_000, 48_000].contains(&sample_rate) {
            return Err(unsupported("sample_rate", "is 8, 12, 16, 24 or 48 kHz"));
        }
        let inner =
            opus::Decoder::new(sample_rate, channels(channel_count)?).map_err(config_error)?;
        let longest = samples(MAX_PACKET_DURATION, sample_rate);
        Ok(Decoder {
            inner,
            sample_rate,
            channels: channel_count,
            buffer: vec![0; longest * usize::from(channel_count)],
        })
    }

    /// Decodes into `duration` of room, or as much as the packet holds.
    fn run(
        &mut self,
        packet: &[u8],
        duration: Option<Duration>,
        fec: bool,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError> {
        let channels = usize::from(self.channels);
        let room = duration.map_or(self.buffer.len(), |duration| {
            samples(whole_steps(duration), self.sample_rate) * channels
        });
        let frames = self
            .inner
            .decode(packet, &mut self.buffer[..room], fec)
            .map_err(decode_error)?;
        let made = self.buffer[..frames * channels].to_vec();
        AudioFrame::new(made, self.sample_rate, self.channels, timestamp).map_err(|error| {
            DecodeError::Library {
                library: LIBRARY,
                problem: error.to_string(),
            }
        })
    }
}

impl AudioDecoder for Decoder {
    fn decode(&mut self, data: &[u8], timestamp: Duration) -> Result<AudioFrame, DecodeError> {
        if data.is_empty() {
            // libopus would take it for a lost packet.
            return Err(DecodeError::Damaged("no bytes".to_owned()));
        }
        self.run(data, None, false, timestamp)
    }

    fn conceal(
        &mut self,
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError> {
        self.run(&[], Some(duration), false, timestamp)
    }

    fn recover(
        &mut self,
        next: &[u8],
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError> {
        match self.run(next, Some(duration), true, timestamp) {
            Err(DecodeError::Damaged(_)) => self.conceal(duration, timestamp),
            sound => sound,
        }
    }

    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    fn channels(&self) -> u16 {
        self.channels
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Decoder")
            .field("sample_rate", &self.sample_rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// How long a packet sounds, by its header (RFC 6716 §3.1), without decoding it.
pub fn packet_duration(packet: &[u8]) -> Result<Duration, DecodeError> {
    if packet.is_empty() {
        return Err(DecodeError::Damaged("no bytes".to_owned()));
    }
    let samples =
        opus::packet::get_nb_samples(packet, Encoder::SAMPLE_RATE).map_err(decode_error)?;
    Ok(Duration::from_secs(samples as u64) / Encoder::SAMPLE_RATE)
}

/// Whether a packet repeats, at low bitrate, the sound of the one before it, for [`AudioDecoder::recover`] (RFC 6716 §4.2.3: the LBRR
/// flag, which follows one VAD flag for each SILK frame).
pub fn has_fec(packet: &[u8]) -> bool {
    let Some((&toc, mut rest)) = packet.split_first() else {
        return false;
    };
    // Table 2: configurations 16 to 31 are CELT alone, which has none; 2, 3, 6, 7, 10 and 11 hold 40 and 60 ms.
    let frames = match (toc >> 3, toc >> 3 & 3) {
        (16.., _) => return false,
        (0..12, 2) => 2,
        (0..12, 3) => 3,
        _ => 1,
    };
    // §3.2: how many lengths precede the first frame.
    let lengths = match toc & 3 {
        0 | 1 => 0,
        2 => 1,
        _ => {
            let Some((&count, after)) = rest.split_first() else {
                return false;
            };
            rest = after;
            if count & 0x40 != 0 {
                let more = rest.iter().take_while(|&&byte| byte == 255).count();
                rest = rest.get(more + 1..).unwrap_or_default();
            }
            let variable = count & 0x80 != 0;
            if variable {
                (count & 0x3f).saturating_sub(1)
            } else {
                0
            }
        }
    };
    for _ in 0..lengths {
        let len = 1 + usize::from(rest.first().is_some_and(|&byte| byte >= 252));
        rest = rest.get(len..).unwrap_or_default();
    }
    let Some(first) = rest.first() else {
        return false;
    };
    let middle = first >> (7 - frames) & 1;
    let stereo = toc & 4 != 0;
    let side = if stereo {
        first >> (6 - 2 * frames) & 1
    } else {
        0
    };
    middle | side != 0
}

/// `duration` in whole steps of 2.5 ms, of which libopus needs at least one and takes at most 48.
fn whole_steps(duration: Duration) -> Duration {
    let steps = duration.as_micros().div_ceil(STEP.as_micros()) as u32;
    STEP * steps.clamp(1, 48)
}

fn samples(duration: Duration, sample_rate: u32) -> usize {
    (duration.as_micros() * u128::from(sample_rate) / 1_000_000) as usize
}

fn channels(count: u16) -> Result<Channels, ConfigError> {
    match count {
        1 => Ok(Channels::Mono),
        2 => Ok(Channels::Stereo),
        _ => Err(unsupported("channels", "is 1 or 2")),
    }
}

/// RFC 6716 §2.1.1: 6 to 510 kbit/s.
fn library_bitrate(bitrate: Bitrate) -> opus::Bitrate {
    opus::Bitrate::Bits(bitrate.bps().clamp(6_000, 510_000) as i32)
}

fn percent(loss: f64) -> i32 {
    (loss * 100.0).clamp(0.0, 100.0).round() as i32
}

fn unsupported(setting: &'static str, problem: &str) -> ConfigError {
    ConfigError::Unsupported {
        setting,
        problem: problem.to_owned(),
    }
}

fn config_error(error: opus::Error) -> ConfigError {
    ConfigError::Library {
        library: LIBRARY,
        problem: error.to_string(),
    }
}

fn encode_error(error: opus::Error) -> EncodeError {
    EncodeError::Library {
        library: LIBRARY,
        problem: error.to_string(),
    }
}

fn decode_error(error: opus::Error) -> DecodeError {
    match error.code() {
        opus::ErrorCode::InvalidPacket => DecodeError::Damaged(error.to_string()),
        opus::ErrorCode::BufferTooSmall => DecodeError::TooLarge("more than 120 ms".to_owned()),
        _ => DecodeError::Library {
            library: LIBRARY,
            problem: error.to_string(),
        },
    }
}
