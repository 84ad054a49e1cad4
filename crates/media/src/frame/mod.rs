//! What flows through a track: [`VideoFrame`], [`AudioFrame`], either of them as a [`Frame`],
//! and what a codec makes of them, [`EncodedFrame`].

mod audio;
mod encoded;
mod video;

pub use audio::AudioFrame;
pub use encoded::EncodedFrame;
pub use video::{I420Buffer, PixelFormat, Plane, Rotation, VideoFrame};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The kind of media of a track: `"audio"` or `"video"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl MediaKind {
    /// The W3C (and SDP media line) spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind that is neither `audio` nor `video`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `audio` nor `video`")]
pub struct UnknownKind(String);

impl FromStr for MediaKind {
    type Err = UnknownKind;

    fn from_str(s: &str) -> Result<Self, UnknownKind> {
        match s {
            "audio" => Ok(MediaKind::Audio),
            "video" => Ok(MediaKind::Video),
            other => Err(UnknownKind(other.to_owned())),
        }
    }
}

/// A frame of either kind, as a track hands it to its consumers. Cloning shares the samples.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A piece of sound.
    Audio(AudioFrame),
    /// A picture.
    Video(VideoFrame),
}

impl Frame {
    /// Which kind this frame is.
    pub fn kind(&self) -> MediaKind {
        match self {
            Frame::Audio(_) => MediaKind::Audio,
            Frame::Video(_) => MediaKind::Video,
        }
    }

    /// Time since the source started.
    pub fn timestamp(&self) -> Duration {
        match self {
            Frame::Audio(frame) => frame.timestamp(),
            Frame::Video(frame) => frame.timestamp(),
        }
    }

    /// The picture, if it is one.
    pub fn into_video(self) -> Option<VideoFrame> {
        match self {
            Frame::Video(frame) => Some(frame),
            Frame::Audio(_) => None,
        }
    }

    /// The sound, if it is one.
    pub fn into_audio(self) -> Option<AudioFrame> {
        match self {
            Frame::Audio(frame) => Some(frame),
            Frame::Video(_) => None,
        }
    }
}

impl From<AudioFrame> for Frame {
    fn from(frame: AudioFrame) -> Self {
        Frame::Audio(frame)
    }
}

impl From<VideoFrame> for Frame {
    fn from(frame: VideoFrame) -> Self {
        Frame::Video(frame)
    }
}

/// A frame that cannot be: its planes, sizes or rates contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A picture has at least one pixel and at most 16,384 in each direction.
    #[error("a picture of {width}×{height} pixels is not supported")]
    Dimensions {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A stride below the row length.
    #[error("plane {plane}: a stride of {stride} bytes is less than its row of {row}")]
    Stride {
        /// Index of the plane.
        plane: usize,
        /// The stride given.
        stride: usize,
        /// Bytes in a row.
        row: usize,
    },
    /// Fewer bytes than the rows need.
    #[error("plane {plane} has {have} bytes and needs {need}")]
    TooShort {
        /// Index of the plane.
        plane: usize,
        /// Bytes given.
        have: usize,
        /// Bytes the picture needs.
        need: usize,
    },
    /// The pixel format has another number of planes.
    #[error("{format:?} has {need} planes, not {have}")]
    Planes {
        /// The format asked for.
        format: PixelFormat,
        /// Planes given.
        have: usize,
        /// Planes it has.
        need: usize,
    },
    /// A compressed picture that does not decode.
    #[error("the picture does not decode: {0}")]
    Undecodable(String),
    /// Audio with no channel, no rate, or a part of a sample frame.
    #[error("{samples} samples at {sample_rate} Hz are not whole frames of {channels} channels")]
    Audio {
        /// Samples given.
        samples: usize,
        /// Samples a second.
        sample_rate: u32,
        /// Interleaved channels.
        channels: u16,
    },
}
