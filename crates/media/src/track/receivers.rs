//! The reading ends of a track.

use crate::channel::{Receiver, RecvTimeoutError};
use crate::frame::{AudioFrame, Frame, VideoFrame};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A consumer of whatever a track carries.
pub type FrameReceiver = Receiver<Frame>;

macro_rules! typed_receiver {
    ($(#[$doc:meta])* $name:ident, $item:ty, $into:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            frames: FrameReceiver,
        }

        impl $name {
            pub(super) fn new(frames: FrameReceiver) -> Self {
                $name { frames }
            }

            /// The next one; `None` once the track has ended.
            pub async fn recv(&mut self) -> Option<$item> {
                poll_fn(|cx| self.poll_recv(cx)).await
            }

            /// [`recv`](Self::recv) for hand-written futures.
            pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<$item>> {
                loop {
                    match ready!(self.frames.poll_recv(cx)) {
                        Some(frame) => {
                            if let Some(item) = frame.$into() {
                                return Poll::Ready(Some(item));
                            }
                        }
                        None => return Poll::Ready(None),
                    }
                }
            }

            /// The next one, waiting on this thread; `None` once the track has ended.
            pub fn recv_blocking(&mut self) -> Option<$item> {
                loop {
                    if let Some(item) = self.frames.recv_blocking()?.$into() {
                        return Some(item);
                    }
                }
            }

            /// The next one, waiting on this thread no longer than `limit`.
            pub fn recv_timeout(&mut self, limit: Duration) -> Result<$item, RecvTimeoutError> {
                loop {
                    if let Some(item) = self.frames.recv_timeout(limit)?.$into() {
                        return Ok(item);
                    }
                }
            }

            /// The next one, if it is there already.
            pub fn try_recv(&mut self) -> Option<$item> {
                self.frames.try_recv()?.$into()
            }

            /// Whether nothing will come any more.
            pub fn is_ended(&self) -> bool {
                self.frames.is_ended()
            }

            /// How many were lost because this consumer was too slow.
            pub fn dropped(&self) -> u64 {
                self.frames.dropped()
            }
        }
    };
}

typed_receiver!(
    /// A consumer of pictures.
    VideoReceiver,
    VideoFrame,
    into_video
);
typed_receiver!(
    /// A consumer of sound.
    AudioReceiver,
    AudioFrame,
    into_audio
);
