//! Cameras, microphones and speakers, and synthetic ones where there are none.
//!
//! `navigator.mediaDevices` of W3C [Media Capture and Streams](https://www.w3.org/TR/mediacapture-streams/) for
//! programs: which devices there are, and tracks from those that fit what is asked for.
//!
//! ```
//! use pc_media_capture::{MediaDevices, MediaStreamConstraints, Synthetic, testcard};
//! use std::time::Duration;
//!
//! // The same on every machine; `MediaDevices::default()` uses real devices where there are some.
//! let devices = MediaDevices::new(Synthetic::Only);
//! let stream = devices.get_user_media(&MediaStreamConstraints::audio_and_video())?;
//! let mut pictures = stream.video_tracks()[0].subscribe_video().unwrap();
//! let picture = pictures.recv_timeout(Duration::from_secs(5))?;
//! assert!(testcard::read_counter(&picture).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | |
//! |---|---|
//! | [`devices`] | what there is, `enumerate_devices`, `get_user_media` |
//! | [`user_media`] | which device fits the constraints best |
//! | [`input`] | the trait of every camera and microphone, and those there are |
//! | [`playout`] | speakers |
//! | [`testcard`], [`tone`] | what the synthetic camera shows and the microphone hears, and how to recognise it |

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "devices work in real time: this crate is where the clock is read"
)]

#[cfg(feature = "cpal")]
mod cpal_host;
pub mod devices;
pub mod input;
pub mod playout;
pub mod testcard;
pub mod tone;
pub mod user_media;

pub use devices::{
    MediaDeviceInfo, MediaDeviceKind, MediaDevices, Synthetic, enumerate_devices, get_user_media,
};
pub use input::{InputDevice, OpenError};
pub use user_media::{GetUserMediaError, MediaStreamConstraints};
