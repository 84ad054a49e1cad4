//! Speakers.

use crate::devices::{MediaDeviceInfo, Synthetic};

/// The speakers there are.
pub(crate) fn speakers(_synthetic: Synthetic) -> Vec<MediaDeviceInfo> {
    Vec::new()
}
