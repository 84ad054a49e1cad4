//! What every codec offers, whatever it is built on.

use media::{AudioFrame, Bitrate, EncodedFrame, VideoFrame};
use std::time::Duration;

/// Turns pictures into a bitstream.
pub trait VideoEncoder: Send {
    /// Encodes a picture. `None`: the encoder left it out to keep to its bitrate.
    ///
    /// The picture's size may differ from the one before; the result is a keyframe then.
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedFrame>, EncodeError>;

    /// From the next picture on, aims at this bitrate.
    fn set_bitrate(&mut self, bitrate: Bitrate);

    /// Expects this many pictures a second.
    fn set_frame_rate(&mut self, frame_rate: f64);

    /// Makes the next picture a keyframe.
    fn force_keyframe(&mut self);
}

/// Turns a bitstream into pictures. Whatever the bytes are, it neither panics nor stops working for good:
/// after an error it waits for the next keyframe.
pub trait VideoDecoder: Send {
    /// Decodes one compressed picture. `None`: it is not to be shown, or cannot be until a keyframe comes.
    fn decode(
        &mut self,
        data: &[u8],
        timestamp: Duration,
    ) -> Result<Option<VideoFrame>, DecodeError>;
}

/// Turns sound into packets.
pub trait AudioEncoder: Send {
    /// Takes sound of any length, and appends the packets that it completes to `packets`.
    ///
    /// Rate and channels are converted where the codec needs it.
    fn encode(
        &mut self,
        frame: &AudioFrame,
        packets: &mut Vec<EncodedFrame>,
    ) -> Result<(), EncodeError>;

    /// From the next packet on, aims at this bitrate, as far as the codec has a choice.
    fn set_bitrate(&mut self, bitrate: Bitrate);

    /// Says what part of the packets is lost on the way, 0.0 to 1.0, for a codec that can prepare for it.
    fn set_expected_loss(&mut self, loss: f64);
}

/// Turns packets into sound. Whatever the bytes are, it neither panics nor stops working.
pub trait AudioDecoder: Send {
    /// Decodes one packet.
    fn decode(&mut self, data: &[u8], timestamp: Duration) -> Result<AudioFrame, DecodeError>;

    /// Makes up `duration` of sound for a packet that is lost.
    fn conceal(
        &mut self,
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError>;

    /// Rebuilds the lost packet *before* `next` from what `next` says of it, or conceals it when that says nothing.
    /// `next` itself is to be decoded afterwards.
    fn recover(
        &mut self,
        next: &[u8],
        duration: Duration,
        timestamp: Duration,
    ) -> Result<AudioFrame, DecodeError>;

    /// Samples a second of what it makes.
    fn sample_rate(&self) -> u32;

    /// Channels of what it makes.
    fn channels(&self) -> u16;
}

/// A codec that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting outside of what the codec can do.
    #[error("{setting}: {problem}")]
    Unsupported {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The library below refused.
    #[error("{library} does not start: {problem}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What it says.
        problem: String,
    },
}

/// A frame that was not encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The codec cannot take frames of this kind.
    #[error("the codec cannot take this frame: {0}")]
    Unsupported(String),
    /// The library below failed.
    #[error("{library} does not encode: {problem}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What it says.
        problem: String,
    },
}

/// A packet that was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet is not what the codec's specification allows.
    #[error("the packet is damaged: {0}")]
    Damaged(String),
    /// The packet asks for more than this side is willing to give.
    #[error("the packet asks for too much: {0}")]
    TooLarge(String),
    /// The library below failed.
    #[error("{library} does not decode: {problem}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What it says.
        problem: String,
    },
}
