//! Opus and VP8 encoders and decoders over well-kept libraries

mod codec;

pub use codec::{
    AudioDecoder, AudioEncoder, ConfigError, DecodeError, EncodeError, VideoDecoder, VideoEncoder,
};
