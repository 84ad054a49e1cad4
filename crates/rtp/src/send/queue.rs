//! A packet that waits to leave, or has left.

use std::time::Instant;

use bytes::Bytes;

use crate::ext::{AudioLevel, VideoOrientation};
use crate::payload::Prefix;
use crate::types::SeqNum;

#[derive(Clone, Debug)]
pub(super) struct Queued {
    /// The sequence number to carry; given when it leaves, unless forwarding asks for one.
    pub(super) seq: Option<SeqNum>,
    /// With the stream's offset.
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) prefix: Prefix,
    pub(super) body: Bytes,
    pub(super) queued: Instant,
    /// Whether it belongs to a keyframe, which carries MID and RID again.
    pub(super) keyframe: bool,
    pub(super) audio_level: Option<AudioLevel>,
    pub(super) orientation: Option<VideoOrientation>,
}

impl Queued {
    pub(super) fn payload_len(&self) -> usize {
        self.prefix.as_slice().len() + self.body.len()
    }
}
