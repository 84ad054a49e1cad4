//! How sound is encoded: what the parameters of the encoding, the description of the peer and its format parameters ask for.

use crate::rtp_parameters::{RtpCodec, RtpEncodingParameters};
use crate::session::PacketTime;
use codecs::{AudioEncoder, ConfigError, g711, opus};
use std::time::Duration;

/// What Opus takes when nothing limits it: transparent for speech, good for music.
const USUAL_BITRATE: u64 = 48_000;
/// RFC 7587 §6.1: values outside of this are ignored.
const OPUS_BITRATES: std::ops::RangeInclusive<u64> = 6_000..=510_000;
/// The packets that there are, in ms. Opus could make shorter ones still, which cost more than they save.
const OPUS_PACKETS: [u32; 4] = [10, 20, 40, 60];
const G711_PACKETS: [u32; 6] = [10, 20, 30, 40, 50, 60];
/// What is usual for both (RFC 7587 §6.1, RFC 3551 §4.2).
const USUAL_PACKET: u32 = 20;

/// An encoder, as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AudioFormat {
    Opus(opus::EncoderConfig),
    G711(g711::Law, Duration),
}

impl AudioFormat {
    /// What to encode for this codec of the peer, when sound of so many channels is sent at `target` bits per second.
    /// `None` for a codec that there is no encoder for.
    pub(super) fn new(
        codec: &RtpCodec,
        encoding: &RtpEncodingParameters,
        wanted: PacketTime,
        channels: u16,
        target: u64,
    ) -> Option<Self> {
        let name = codec.name();
        if name.eq_ignore_ascii_case("opus") {
            let is = |parameter: &str| codec.fmtp(parameter) == Some("1");
            let number = |parameter: &str| codec.fmtp(parameter)?.parse::<u32>().ok();
            let least = number("minptime").map_or(0.0, f64::from);
            let packet = packet_time(&OPUS_PACKETS, encoding, wanted, least, target);
            // RFC 7587 §7.1: all of these say what the peer wants to receive.
            return Some(AudioFormat::Opus(opus::EncoderConfig {
                channels: if is("stereo") { channels.min(2) } else { 1 },
                packet_duration: packet,
                fec: is("useinbandfec"),
                dtx: is("usedtx"),
                cbr: is("cbr"),
                max_playback_rate: number("maxplaybackrate").unwrap_or(48_000),
                ..opus::EncoderConfig::default()
            }));
        }
        let law = g711_law(name)?;
        let packet = packet_time(&G711_PACKETS, encoding, wanted, 0.0, target);
        Some(AudioFormat::G711(law, packet))
    }

    pub(super) fn encoder(&self) -> Result<Box<dyn AudioEncoder>, ConfigError> {
        Ok(match self {
            AudioFormat::Opus(config) => Box::new(opus::Encoder::new(config.clone())?),
            AudioFormat::G711(law, packet) => {
                Box::new(g711::Encoder::with_packet_duration(*law, *packet)?)
            }
        })
    }
}

/// The bitrate to encode at: what there is, up to what the encoder does of its own accord and the peer wants to receive.
pub(super) fn bitrate(codec: &RtpCodec, available: Option<u64>) -> u64 {
    let most = codec
        .fmtp("maxaveragebitrate")
        .and_then(|most| most.parse::<u64>().ok())
        .filter(|most| OPUS_BITRATES.contains(most));
    available
        .unwrap_or(u64::MAX)
        .min(most.unwrap_or(USUAL_BITRATE))
}

/// The length of a packet: what this side prefers (W3C WebRTC Extensions, `ptime` and `adaptivePtime`), else what the peer
/// does, within its limits, or the next that the codec has (RFC 9429 §5.10).
fn packet_time(
    possible: &[u32],
    encoding: &RtpEncodingParameters,
    wanted: PacketTime,
    least: f64,
    target: u64,
) -> Duration {
    let adapted = encoding.adaptive_ptime.then(|| match target {
        // Headers of 50 packets a second take about 24 kbit/s of the path: with little to spare, fewer are better.
        ..=16_000 => 60.0,
        16_001..=24_000 => 40.0,
        _ => f64::from(USUAL_PACKET),
    });
    let preferred = adapted
        .or(encoding.ptime.map(f64::from))
        .or(wanted.preferred)
        .unwrap_or(f64::from(USUAL_PACKET));
    let most = wanted.most.unwrap_or(f64::INFINITY);
    let fits = |ms: &&u32| f64::from(**ms) <= most && f64::from(**ms) >= least;
    let distance = |ms: &&u32| (f64::from(**ms) - preferred).abs();
    let nearest = |left: &&u32, right: &&u32| distance(left).total_cmp(&distance(right));
    let chosen = possible
        .iter()
        .filter(fits)
        .min_by(nearest)
        .or_else(|| possible.iter().find(|ms| f64::from(**ms) >= least));
    Duration::from_millis(u64::from(chosen.copied().unwrap_or(USUAL_PACKET)))
}

pub(super) fn g711_law(name: &str) -> Option<g711::Law> {
    if name.eq_ignore_ascii_case("pcmu") {
        Some(g711::Law::Mu)
    } else if name.eq_ignore_ascii_case("pcma") {
        Some(g711::Law::A)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opus(fmtp: &str) -> RtpCodec {
        RtpCodec {
            mime_type: "audio/opus".into(),
            clock_rate: 48_000,
            channels: Some(2),
            sdp_fmtp_line: fmtp.into(),
        }
    }

    fn config(fmtp: &str) -> opus::EncoderConfig {
        let encoding = RtpEncodingParameters::default();
        match AudioFormat::new(&opus(fmtp), &encoding, PacketTime::default(), 2, 48_000) {
            Some(AudioFormat::Opus(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    fn packet(encoding: &RtpEncodingParameters, wanted: PacketTime, target: u64) -> u128 {
        packet_time(&OPUS_PACKETS, encoding, wanted, 10.0, target).as_millis()
    }

    #[test]
    fn opus_is_encoded_as_the_peer_wants_to_receive_it() {
        let plain = config("");
        assert_eq!(
            (plain.channels, plain.fec, plain.dtx, plain.cbr),
            (1, false, false, false)
        );
        let rich = config("stereo=1; useinbandfec=1;usedtx=1;cbr=1;maxplaybackrate=16000");
        assert_eq!(
            (rich.channels, rich.fec, rich.dtx, rich.cbr),
            (2, true, true, true)
        );
        assert_eq!(rich.max_playback_rate, 16_000);
        assert!(
            AudioFormat::Opus(rich).encoder().is_ok(),
            "all of it is something that the encoder does"
        );
        let limited = opus("maxaveragebitrate=20000");
        assert_eq!(bitrate(&limited, None), 20_000);
        assert_eq!(bitrate(&limited, Some(12_000)), 12_000);
        let more = opus("maxaveragebitrate=128000");
        assert_eq!(bitrate(&more, None), 128_000);
        assert_eq!(bitrate(&opus("maxaveragebitrate=1"), None), USUAL_BITRATE);
    }

    #[test]
    fn packets_are_as_long_as_the_encoding_or_the_peer_prefers_within_what_it_takes() {
        let usual = RtpEncodingParameters::default();
        let peer = |preferred: f64, most: f64| PacketTime {
            preferred: Some(preferred),
            most: Some(most),
        };
        assert_eq!(packet(&usual, PacketTime::default(), 48_000), 20);
        assert_eq!(packet(&usual, peer(60.0, 120.0), 48_000), 60);
        assert_eq!(packet(&usual, peer(33.0, 120.0), 48_000), 40, "the next");
        assert_eq!(packet(&usual, peer(60.0, 40.0), 48_000), 40);
        assert_eq!(packet(&usual, peer(3.0, 3.0), 48_000), 10, "the least");
        let own = RtpEncodingParameters {
            ptime: Some(10),
            ..RtpEncodingParameters::default()
        };
        assert_eq!(packet(&own, peer(60.0, 120.0), 48_000), 10);
        let adaptive = RtpEncodingParameters {
            adaptive_ptime: true,
            ..RtpEncodingParameters::default()
        };
        assert_eq!(packet(&adaptive, peer(10.0, 120.0), 48_000), 20);
        assert_eq!(packet(&adaptive, peer(10.0, 120.0), 12_000), 60);
        assert_eq!(packet(&adaptive, peer(10.0, 40.0), 12_000), 40);
    }
}
