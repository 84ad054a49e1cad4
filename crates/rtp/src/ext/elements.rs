//! The elements WebRTC endpoints exchange, by URI, each with its reading and its writing.

use std::time::Duration;

use crate::types::{NtpTime, SeqNum};

/// URIs for SDP's `a=extmap`.
pub mod uri {
    /// Client-to-mixer audio level (RFC 6464).
    pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    /// Mixer-to-client audio levels (RFC 6465).
    pub const CSRC_AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:csrc-audio-level";
    /// Media identification (RFC 9143 §15).
    pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    /// RTP stream identification (RFC 8852).
    pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    /// The identification of the stream that a repair stream repairs (RFC 8852).
    pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
    /// Transmission time offset (RFC 5450).
    pub const TRANSMISSION_OFFSET: &str = "urn:ietf:params:rtp-hdrext:toffset";
    /// A 64-bit NTP timestamp for rapid synchronization (RFC 6051 §3.3).
    pub const NTP_64: &str = "urn:ietf:params:rtp-hdrext:ntp-64";
    /// The time a packet left, 24 bits.
    pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
    /// The capture time, for synchronization across mixers.
    pub const ABS_CAPTURE_TIME: &str =
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
    /// A sequence number that all streams of a transport share.
    pub const TRANSPORT_CC: &str =
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    /// Coordination of video orientation (3GPP TS 26.114).
    pub const VIDEO_ORIENTATION: &str = "urn:3gpp:video-orientation";
    /// Limits on the playout delay that the sender asks for.
    pub const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
}

/// An audio level and voice activity (RFC 6464 §3): `V` and seven bits of −dBov.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the encoder believes that the packet holds speech.
    pub voice: bool,
    /// The level below the loudest, in dB: 0 loudest, 127 silence.
    pub level: u8,
}

impl AudioLevel {
    /// Reads the element; of the two-byte form's padding bytes only the first counts.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let first = data.first()?;
        Some(Self {
            voice: first & 0x80 != 0,
            level: first & 0x7f,
        })
    }

    /// The element's content.
    pub fn to_bytes(self) -> [u8; 1] {
        [(u8::from(self.voice) << 7) | self.level.min(127)]
    }
}

/// The levels of a packet's contributing sources, one byte each in the CSRCs' order (RFC 6465 §3).
pub fn csrc_audio_levels(data: &[u8]) -> impl Iterator<Item = u8> + '_ {
    data.iter().map(|byte| byte & 0x7f)
}

/// The 24-bit send time: 6 bits of seconds, 18 of fraction, wrapping every 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// Reads the element.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[a, b, c] = data.first_chunk()?;
        Some(Self(u32::from_be_bytes([0, a, b, c])))
    }

    /// The element's content.
    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The send time of a moment given as the time since any fixed one.
    pub fn from_duration(since: Duration) -> Self {
        let fraction = (u64::from(since.subsec_nanos()) << 18) / 1_000_000_000;
        Self((((since.as_secs() & 0x3f) << 18) | fraction) as u32)
    }

    /// The time from `earlier` to this one, the short way round the 64 s.
    pub fn since(self, earlier: Self) -> i32 {
        ((self.0.wrapping_sub(earlier.0) << 8) as i32) >> 8
    }
}

/// The transport-wide sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportSequence(pub SeqNum);

impl TransportSequence {
    /// Reads the element.
    pub fn parse(data: &[u8]) -> Option<Self> {
        Some(Self(SeqNum(u16::from_be_bytes(*data.first_chunk()?))))
    }

    /// The element's content.
    pub fn to_bytes(self) -> [u8; 2] {
        self.0.0.to_be_bytes()
    }
}

/// How to turn a video frame for display: camera, flip and rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoOrientation {
    /// Whether the back-facing camera took it.
    pub back_camera: bool,
    /// Whether it is mirrored left to right.
    pub flip: bool,
    /// Quarter turns clockwise to apply: 0..=3.
    pub quarter_turns: u8,
}

impl VideoOrientation {
    /// Reads the element.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let first = data.first()?;
        Some(Self {
            back_camera: first & 0x08 != 0,
            flip: first & 0x04 != 0,
            quarter_turns: first & 0x03,
        })
    }

    /// The element's content.
    pub fn to_bytes(self) -> [u8; 1] {
        [(u8::from(self.back_camera) << 3)
            | (u8::from(self.flip) << 2)
            | (self.quarter_turns & 0x03)]
    }
}

/// The playout delay the sender asks for, in steps of 10 ms up to 40.95 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The least delay.
    pub min: Duration,
    /// The largest delay.
    pub max: Duration,
}

impl PlayoutDelay {
    /// Reads the element; `None` too when the least exceeds the largest.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[a, b, c] = data.first_chunk()?;
        let min = (u64::from(a) << 4) | u64::from(b >> 4);
        let max = (u64::from(b & 0x0f) << 8) | u64::from(c);
        (min <= max).then(|| Self {
            min: Duration::from_millis(min * 10),
            max: Duration::from_millis(max * 10),
        })
    }

    /// The element's content.
    pub fn to_bytes(self) -> [u8; 3] {
        let steps = |duration: Duration| (duration.as_millis() / 10).min(0xfff) as u32;
        let value = (steps(self.min) << 12) | steps(self.max);
        let [_, a, b, c] = value.to_be_bytes();
        [a, b, c]
    }
}

/// The sender's NTP clock at the packet's RTP timestamp (RFC 6051 §3.3).
pub fn parse_ntp_64(data: &[u8]) -> Option<NtpTime> {
    Some(NtpTime(u64::from_be_bytes(*data.first_chunk()?)))
}

/// An SDES item in a header extension: MID, RID or repaired RID (RFC 7941, RFC 8852, RFC 9143).
pub fn parse_text(data: &[u8]) -> Option<&str> {
    // The two-byte form may pad with zeros.
    let end = data
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(data.len());
    std::str::from_utf8(data.get(..end)?)
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_read_back_what_they_wrote() {
        let level = AudioLevel {
            voice: true,
            level: 42,
        };
        assert_eq!(AudioLevel::parse(&level.to_bytes()), Some(level));
        let orientation = VideoOrientation {
            back_camera: true,
            flip: false,
            quarter_turns: 3,
        };
        assert_eq!(
            VideoOrientation::parse(&orientation.to_bytes()),
            Some(orientation)
        );
        let delay = PlayoutDelay {
            min: Duration::from_millis(20),
            max: Duration::from_millis(40_950),
        };
        assert_eq!(PlayoutDelay::parse(&delay.to_bytes()), Some(delay));
        assert_eq!(PlayoutDelay::parse(&[0xff, 0xf0, 0]), None);
        let sequence = TransportSequence(SeqNum(0xabcd));
        assert_eq!(
            TransportSequence::parse(&sequence.to_bytes()),
            Some(sequence)
        );
        assert_eq!(parse_text(b"0"), Some("0"));
        assert_eq!(parse_text(b"hi\0\0"), Some("hi"));
        assert_eq!(parse_text(b"\xff"), None);
        assert_eq!(parse_text(b""), None);
    }

    #[test]
    fn send_times_wrap_after_sixty_four_seconds() {
        let early = AbsSendTime::from_duration(Duration::from_millis(63_990));
        let late = AbsSendTime::from_duration(Duration::from_millis(64_010));
        let between = late.since(early);
        // 20 ms in units of 2⁻¹⁸ s.
        assert!((5241..=5244).contains(&between), "{between}");
        assert_eq!(early.since(late), -between);
        assert_eq!(AbsSendTime::parse(&late.to_bytes()), Some(late));
    }
}
