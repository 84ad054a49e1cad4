//! Opus and VP8 encoders and decoders over well-kept libraries
