//! Frames, tracks and streams: the types that capture, codecs and the facade share.
//!
//! The objects of W3C [Media Capture and Streams](https://www.w3.org/TR/mediacapture-streams/) in Rust: a source
//! writes frames, a [`MediaStreamTrack`] hands them to any number of consumers, a [`MediaStream`] holds tracks that
//! belong together. No runtime is assumed: consumers are awaited in any executor or read from a thread.
//!
//! ```
//! use pc_media::{MediaKind, MediaStreamTrack, TrackInit, VideoFrame};
//! use std::time::Duration;
//!
//! let (track, camera) = MediaStreamTrack::new(MediaKind::Video, TrackInit::default());
//! let mut window = track.subscribe_video().unwrap();
//! camera.write(VideoFrame::black(640, 480, Duration::ZERO)?)?;
//! assert_eq!(window.recv_blocking().unwrap().width(), 640);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | |
//! |---|---|
//! | [`frame`] | pictures, sound, and either of them encoded |
//! | [`track`] | tracks, their sources and consumers |
//! | [`playout`] | what speakers tell of the tracks that they play |
//! | [`stream`] | tracks that belong together |
//! | [`constraints`] | what is asked of a source, what it can do, what was chosen |
//! | [`channel`] | the bounded channel below every track |

#![forbid(unsafe_code)]

mod bitrate;
pub mod channel;
pub mod constraints;
mod convert;
pub mod frame;
pub mod playout;
mod resample;
pub mod stream;
pub mod track;

pub use bitrate::Bitrate;
pub use constraints::{
    Constrain, ConstrainString, ConstraintSet, MediaTrackCapabilities, MediaTrackConstraints,
    MediaTrackSettings, OverconstrainedError,
};
pub use frame::{
    AudioFrame, EncodedFrame, Frame, FrameError, I420Buffer, MediaKind, PixelFormat, Plane,
    Rotation, VideoFrame,
};
pub use resample::{AudioConverter, Resampler};
pub use stream::{MediaStream, StreamEvent};
pub use track::{
    AudioReceiver, FrameReceiver, MediaStreamTrack, SourceControl, SourceStopped, TrackEvent,
    TrackInit, TrackState, TrackWriter, VideoReceiver,
};

/// An identifier that nobody else has, in the form browsers give their tracks and streams.
fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
