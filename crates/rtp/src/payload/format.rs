//! The formats by name.

use std::fmt;

/// How the payloads of a payload type are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PayloadFormat {
    /// Opus (RFC 7587): one packet a frame, clock 48 kHz.
    Opus,
    /// G.711 µ-law (RFC 3551 §4.5.14), clock 8 kHz.
    Pcmu,
    /// G.711 A-law (RFC 3551 §4.5.14), clock 8 kHz.
    Pcma,
    /// VP8 (RFC 7741), clock 90 kHz.
    Vp8,
    /// VP9 (RFC 9628), clock 90 kHz.
    Vp9,
    /// H.264 in packetization mode 1 (RFC 6184); frames are Annex B byte streams, clock 90 kHz.
    H264,
    /// Audio that is one packet a frame and not looked into: comfort noise, telephone events, others.
    OpaqueAudio,
}

const NAMES: [(&str, PayloadFormat); 10] = [
    ("opus", PayloadFormat::Opus),
    ("PCMU", PayloadFormat::Pcmu),
    ("PCMA", PayloadFormat::Pcma),
    ("VP8", PayloadFormat::Vp8),
    ("VP9", PayloadFormat::Vp9),
    ("H264", PayloadFormat::H264),
    ("G722", PayloadFormat::OpaqueAudio),
    ("CN", PayloadFormat::OpaqueAudio),
    ("telephone-event", PayloadFormat::OpaqueAudio),
    ("L16", PayloadFormat::OpaqueAudio),
];

impl PayloadFormat {
    /// The format of an `a=rtpmap` encoding name, compared without case.
    pub fn from_encoding_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, format)| *format)
    }

    /// Whether it is video: frames of several packets, which depend on each other.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9 | Self::H264)
    }

    /// The usual clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::OpaqueAudio => 8_000,
            Self::Vp8 | Self::Vp9 | Self::H264 => 90_000,
        }
    }
}

impl fmt::Display for PayloadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::OpaqueAudio => "audio",
        })
    }
}
