//! What an encoder makes and a decoder takes.

use super::MediaKind;
use bytes::Bytes;
use std::time::Duration;

/// One compressed picture, or one packet of compressed sound. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// Sound or picture.
    pub kind: MediaKind,
    /// The bitstream.
    pub data: Bytes,
    /// Time since the source started.
    pub timestamp: Duration,
    /// How long it sounds, or is shown, as far as the encoder knows.
    pub duration: Duration,
    /// Decodable without any frame before it. Always true of sound.
    pub keyframe: bool,
}

impl EncodedFrame {
    /// A packet of sound.
    pub fn audio(data: Bytes, timestamp: Duration, duration: Duration) -> Self {
        EncodedFrame {
            kind: MediaKind::Audio,
            data,
            timestamp,
            duration,
            keyframe: true,
        }
    }

    /// A compressed picture.
    pub fn video(data: Bytes, timestamp: Duration, keyframe: bool) -> Self {
        EncodedFrame {
            kind: MediaKind::Video,
            data,
            timestamp,
            duration: Duration::ZERO,
            keyframe,
        }
    }
}
