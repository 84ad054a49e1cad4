//! Encoders and decoders: Opus and VP8 over well-kept libraries, G.711 in our own code, photos of frames.
//!
//! Every codec is behind one of four traits, so that a call does not care which one was negotiated:
//!
//! ```
//! use pc_codecs::{AudioDecoder, AudioEncoder, g711};
//! use media::AudioFrame;
//! use std::time::Duration;
//!
//! let mut encoder: Box<dyn AudioEncoder> = Box::new(g711::Encoder::new(g711::Law::A));
//! let mut packets = Vec::new();
//! encoder.encode(&AudioFrame::silence(480, 8_000, 1, Duration::ZERO), &mut packets)?;
//! assert_eq!(packets.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | feature | |
//! |---|---|---|
//! | [`opus`] | `opus` (default) | RFC 6716: libopus, built from source |
//! | [`vp8`] | `vp8` (default) | RFC 6386: the system's libvpx behind a safe wrapper |
//! | [`g711`] | | PCMU and PCMA |
//! | [`photo`] | `photo` (default) | a frame as PNG |
//!
//! Decoders take bytes from the network: damaged ones give an error, never a panic, and never cost more memory than
//! a limit allows.

#![deny(unsafe_code)]

mod codec;
mod framer;
pub mod g711;
#[cfg(feature = "opus")]
pub mod opus;
#[cfg(feature = "photo")]
pub mod photo;
#[cfg(feature = "vp8")]
pub mod vp8;

pub use codec::{
    AudioDecoder, AudioEncoder, ConfigError, DecodeError, EncodeError, VideoDecoder, VideoEncoder,
};
