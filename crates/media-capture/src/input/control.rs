//! Changing what a source does while it runs.

use media::constraints::select_settings;
use media::{MediaTrackConstraints, MediaTrackSettings, OverconstrainedError, SourceControl};
use std::sync::{Arc, Mutex, PoisonError};

type Possible = Box<dyn Fn(&MediaTrackConstraints) -> Vec<MediaTrackSettings> + Send + Sync>;

/// The settings that a source works by. It looks at them before each frame; `apply_constraints` changes them.
pub(crate) struct Control {
    possible: Possible,
    current: Mutex<MediaTrackSettings>,
}

impl Control {
    pub(crate) fn new(
        current: MediaTrackSettings,
        possible: impl Fn(&MediaTrackConstraints) -> Vec<MediaTrackSettings> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Control {
            possible: Box::new(possible),
            current: Mutex::new(current),
        })
    }

    pub(crate) fn current(&self) -> MediaTrackSettings {
        let current = self.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SourceControl for Control {
    fn apply(
        &self,
        constraints: &MediaTrackConstraints,
    ) -> Result<MediaTrackSettings, OverconstrainedError> {
        let mut possible = (self.possible)(constraints);
        let chosen = possible.swap_remove(select_settings(&possible, constraints)?);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = chosen.clone();
        Ok(chosen)
    }
}
