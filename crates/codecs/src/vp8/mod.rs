//! VP8 (RFC 6386) by libvpx, in real time: one picture in, at most one frame out, nothing held back.
//!
//! ```
//! use pc_codecs::{VideoDecoder, VideoEncoder, vp8};
//! use media::{Bitrate, VideoFrame};
//! use std::time::Duration;
//!
//! let mut encoder = vp8::Encoder::new(vp8::EncoderConfig {
//!     bitrate: Bitrate::from_kbps(300),
//!     ..Default::default()
//! })?;
//! let mut decoder = vp8::Decoder::new(vp8::DecoderConfig::default())?;
//! let picture = VideoFrame::black(320, 240, Duration::ZERO)?;
//! let frame = encoder.encode(&picture)?.expect("the first picture is never left out");
//! assert!(frame.keyframe);
//! let shown = decoder.decode(&frame.data, frame.timestamp)?.expect("a keyframe decodes alone");
//! assert_eq!(shown.width(), 320);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    unsafe_code,
    reason = "libvpx is a C library; every call says why it is sound"
)]

mod decoder;
mod encoder;
mod header;
mod vpx;

/// The library that does the work, for `encoderImplementation` and `decoderImplementation` (W3C Statistics).
pub const IMPLEMENTATION: &str = "libvpx";

pub use decoder::{Decoder, DecoderConfig};
pub use encoder::{Encoder, EncoderConfig};
pub use header::{KeyframeHeader, keyframe_header, quantizer_index};
