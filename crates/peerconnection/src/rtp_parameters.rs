//! Codecs, header extensions and encodings as the interface shows them (W3C WebRTC §5.2).

use serde::Serialize;

pub(crate) use media::MediaKind;

/// `RTCRtpCodec` (W3C WebRTC §5.2.8): a codec and how it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodec {
    /// Kind and name, as in `audio/opus`. Compared without regard to case.
    pub mime_type: String,
    /// Ticks of the RTP clock per second.
    pub clock_rate: u32,
    /// Audio channels; `None` for video and for one channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// The `a=fmtp` parameters without the payload type; empty when there are none.
    #[serde(rename = "sdpFmtpLine", skip_serializing_if = "String::is_empty")]
    pub sdp_fmtp_line: String,
}

impl RtpCodec {
    /// The name behind the slash, as it stands in `a=rtpmap`.
    pub fn name(&self) -> &str {
        self.mime_type
            .split_once('/')
            .map_or(self.mime_type.as_str(), |(_, name)| name)
    }

    /// Whether this is a codec of its own, not a helper such as `rtx`.
    pub fn is_media(&self) -> bool {
        ![
            "rtx",
            "red",
            "ulpfec",
            "flexfec-03",
            "telephone-event",
            "CN",
        ]
        .iter()
        .any(|helper| self.name().eq_ignore_ascii_case(helper))
    }

    /// One parameter of the `fmtp` line.
    pub fn fmtp(&self, name: &str) -> Option<&str> {
        self.sdp_fmtp_line.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            key.trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
    }

    /// Whether a payload in one of the two can be read as the other: name, clock and channels
    /// agree, and so do the `fmtp` parameters that make a different format.
    pub fn matches(&self, other: &RtpCodec) -> bool {
        let same_parameter = |name: &str, default: &str| {
            self.fmtp(name)
                .unwrap_or(default)
                .eq_ignore_ascii_case(other.fmtp(name).unwrap_or(default))
        };
        let same_format = match self.name().to_ascii_lowercase().as_str() {
            // RFC 6184 §8.1: the packetization mode and the profile (not the level) make the format.
            "h264" => {
                let profile = |codec: &RtpCodec| {
                    let id = codec
                        .fmtp("profile-level-id")
                        .unwrap_or("420010")
                        .to_ascii_lowercase();
                    id.get(..2).unwrap_or_default().to_owned()
                };
                same_parameter("packetization-mode", "0") && profile(self) == profile(other)
            }
            // RFC 9628 §6.1.
            "vp9" => same_parameter("profile-id", "0"),
            "av1" => same_parameter("profile", "0"),
            _ => true,
        };
        same_format
            && self.mime_type.eq_ignore_ascii_case(&other.mime_type)
            && self.clock_rate == other.clock_rate
            && self.channels.unwrap_or(1) == other.channels.unwrap_or(1)
    }
}

/// `RTCRtpCodecParameters` (W3C WebRTC §5.2.9): a codec under its payload type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecParameters {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What is behind it.
    #[serde(flatten)]
    pub codec: RtpCodec,
    /// The feedback that was agreed, as in `nack pli` (RFC 4585 §4.2).
    #[serde(skip)]
    pub feedback: Vec<String>,
}

impl RtpCodecParameters {
    /// The payload type that this `rtx` codec repairs (RFC 4588 §8.1).
    pub fn associated_payload_type(&self) -> Option<u8> {
        self.codec.fmtp("apt")?.parse().ok()
    }

    /// Whether this feedback was agreed.
    pub fn has_feedback(&self, feedback: &str) -> bool {
        self.feedback
            .iter()
            .any(|agreed| agreed.eq_ignore_ascii_case(feedback))
    }
}

/// `RTCRtpHeaderExtensionParameters` (W3C WebRTC §5.2.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RtpHeaderExtensionParameters {
    /// What the extension is.
    pub uri: String,
    /// Its number in packets, 1 to 14 (255 in the two-byte form; RFC 8285).
    pub id: u8,
    /// Whether it is encrypted (RFC 6904).
    pub encrypted: bool,
}

/// `RTCRtpEncodingParameters` (W3C WebRTC §5.2.4): one of the encodings that a sender produces.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpEncodingParameters {
    /// The restriction identifier (RFC 8851) that names this encoding; needed when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// Whether this encoding is sent.
    pub active: bool,
    /// The most to send, in bits per second, without transport overhead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u32>,
    /// The most frames per second; video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_framerate: Option<f64>,
    /// By how much width and height are divided, at least 1.0; video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_by: Option<f64>,
}

impl Default for RtpEncodingParameters {
    fn default() -> Self {
        RtpEncodingParameters {
            rid: None,
            active: true,
            max_bitrate: None,
            max_framerate: None,
            scale_resolution_down_by: None,
        }
    }
}

/// `RTCRtpCapabilities` (W3C WebRTC §5.2.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCapabilities {
    /// The codecs, the preferred one first.
    pub codecs: Vec<RtpCodec>,
    /// The header extensions, by URI.
    pub header_extensions: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(mime_type: &str, fmtp: &str) -> RtpCodec {
        RtpCodec {
            mime_type: mime_type.into(),
            clock_rate: 90_000,
            channels: None,
            sdp_fmtp_line: fmtp.into(),
        }
    }

    #[test]
    fn h264_profiles_and_packetization_modes_are_formats_of_their_own() {
        let baseline = codec(
            "video/H264",
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        );
        assert!(baseline.matches(&codec(
            "video/h264",
            "packetization-mode=1;profile-level-id=42001f"
        )));
        assert!(!baseline.matches(&codec(
            "video/H264",
            "packetization-mode=0;profile-level-id=42e01f"
        )));
        assert!(!baseline.matches(&codec(
            "video/H264",
            "packetization-mode=1;profile-level-id=640032"
        )));
        assert!(!baseline.matches(&codec("video/VP8", "")));
    }

    #[test]
    fn reads_fmtp_parameters_with_blanks_between() {
        let opus = codec("audio/opus", "minptime=10; useinbandfec=1");
        assert_eq!(opus.fmtp("useinbandfec"), Some("1"));
        assert_eq!(opus.fmtp("stereo"), None);
        let rtx = RtpCodecParameters {
            payload_type: 97,
            codec: codec("video/rtx", "apt=96"),
            feedback: vec![],
        };
        assert_eq!(rtx.associated_payload_type(), Some(96));
        assert!(!rtx.codec.is_media());
    }
}
