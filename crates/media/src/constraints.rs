//! The Constrainable Pattern (Media Capture and Streams, "Constrainable Pattern"): what an application asks of a
//! track, what a source can do, and what was chosen.

mod select;

pub use select::{UNCONSTRAINED, fitness_distance, select_settings};

/// A wish or a demand on one property: `ideal` is a wish, the others are demands.
#[derive(Clone, Debug, PartialEq)]
pub struct Constrain<T> {
    /// As close to this as possible.
    pub ideal: Option<T>,
    /// This and nothing else.
    pub exact: Option<T>,
    /// At least this.
    pub min: Option<T>,
    /// At most this.
    pub max: Option<T>,
}

impl<T> Constrain<T> {
    /// No constraint.
    pub const fn none() -> Self {
        Constrain {
            ideal: None,
            exact: None,
            min: None,
            max: None,
        }
    }

    /// As close to `value` as possible.
    pub fn ideal(value: T) -> Self {
        Constrain {
            ideal: Some(value),
            ..Constrain::none()
        }
    }

    /// `value` and nothing else.
    pub fn exact(value: T) -> Self {
        Constrain {
            exact: Some(value),
            ..Constrain::none()
        }
    }

    /// At least `value`.
    pub fn at_least(value: T) -> Self {
        Constrain {
            min: Some(value),
            ..Constrain::none()
        }
    }

    /// At most `value`.
    pub fn at_most(value: T) -> Self {
        Constrain {
            max: Some(value),
            ..Constrain::none()
        }
    }

    /// From `min` to `max`.
    pub fn between(min: T, max: T) -> Self {
        Constrain {
            min: Some(min),
            max: Some(max),
            ..Constrain::none()
        }
    }

    /// Whether it demands anything.
    pub fn is_required(&self) -> bool {
        self.exact.is_some() || self.min.is_some() || self.max.is_some()
    }

    /// Whether it says nothing at all.
    pub fn is_none(&self) -> bool {
        !self.is_required() && self.ideal.is_none()
    }
}

impl<T> Default for Constrain<T> {
    fn default() -> Self {
        Constrain::none()
    }
}

/// A bare value is a wish.
impl<T> From<T> for Constrain<T> {
    fn from(value: T) -> Self {
        Constrain::ideal(value)
    }
}

/// A wish or a demand on a property of names: one of those listed. An empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConstrainString {
    /// One of these, if possible.
    pub ideal: Vec<String>,
    /// One of these and nothing else.
    pub exact: Vec<String>,
}

impl ConstrainString {
    /// This one, if possible.
    pub fn ideal(value: impl Into<String>) -> Self {
        ConstrainString {
            ideal: vec![value.into()],
            exact: Vec::new(),
        }
    }

    /// This one and nothing else.
    pub fn exact(value: impl Into<String>) -> Self {
        ConstrainString {
            ideal: Vec::new(),
            exact: vec![value.into()],
        }
    }
}

/// A bare name is a wish.
impl From<&str> for ConstrainString {
    fn from(value: &str) -> Self {
        ConstrainString::ideal(value)
    }
}

/// One set of constraints, as `MediaTrackConstraintSet`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstraintSet {
    /// Pixels in a row.
    pub width: Constrain<u32>,
    /// Rows.
    pub height: Constrain<u32>,
    /// Width divided by height.
    pub aspect_ratio: Constrain<f64>,
    /// Pictures a second.
    pub frame_rate: Constrain<f64>,
    /// Samples a second in each channel.
    pub sample_rate: Constrain<u32>,
    /// Bits of a sample.
    pub sample_size: Constrain<u32>,
    /// Channels.
    pub channel_count: Constrain<u32>,
    /// Seconds from the sound to the application.
    pub latency: Constrain<f64>,
    /// Which device.
    pub device_id: ConstrainString,
    /// Which group of devices.
    pub group_id: ConstrainString,
    /// Which way a camera looks.
    pub facing_mode: ConstrainString,
}

/// Constraints of a track, as `MediaTrackConstraints`.
///
/// ```
/// use pc_media::{Constrain, MediaTrackConstraints};
///
/// let hd = MediaTrackConstraints {
///     frame_rate: Constrain::between(24.0, 60.0),
///     ..MediaTrackConstraints::video(1280, 720)
/// };
/// assert_eq!(hd.width.ideal, Some(1280));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaTrackConstraints {
    /// Pixels in a row.
    pub width: Constrain<u32>,
    /// Rows.
    pub height: Constrain<u32>,
    /// Width divided by height.
    pub aspect_ratio: Constrain<f64>,
    /// Pictures a second.
    pub frame_rate: Constrain<f64>,
    /// Samples a second in each channel.
    pub sample_rate: Constrain<u32>,
    /// Bits of a sample.
    pub sample_size: Constrain<u32>,
    /// Channels.
    pub channel_count: Constrain<u32>,
    /// Seconds from the sound to the application.
    pub latency: Constrain<f64>,
    /// Which device.
    pub device_id: ConstrainString,
    /// Which group of devices.
    pub group_id: ConstrainString,
    /// Which way a camera looks.
    pub facing_mode: ConstrainString,
    /// Further sets, tried in order and each dropped when nothing can satisfy it. A bare value in them is exact:
    /// [`Constrain::ideal`] counts as [`Constrain::exact`] there.
    pub advanced: Vec<ConstraintSet>,
}

impl MediaTrackConstraints {
    /// Pictures of about this size.
    pub fn video(width: u32, height: u32) -> Self {
        MediaTrackConstraints {
            width: width.into(),
            height: height.into(),
            ..Default::default()
        }
    }

    /// The constraints outside [`advanced`](Self::advanced).
    pub fn basic(&self) -> ConstraintSet {
        ConstraintSet {
            width: self.width.clone(),
            height: self.height.clone(),
            aspect_ratio: self.aspect_ratio.clone(),
            frame_rate: self.frame_rate.clone(),
            sample_rate: self.sample_rate.clone(),
            sample_size: self.sample_size.clone(),
            channel_count: self.channel_count.clone(),
            latency: self.latency.clone(),
            device_id: self.device_id.clone(),
            group_id: self.group_id.clone(),
            facing_mode: self.facing_mode.clone(),
        }
    }
}

/// What was chosen, as `MediaTrackSettings`. A property that a track does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaTrackSettings {
    /// Pixels in a row.
    pub width: Option<u32>,
    /// Rows.
    pub height: Option<u32>,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// Samples a second in each channel.
    pub sample_rate: Option<u32>,
    /// Bits of a sample.
    pub sample_size: Option<u32>,
    /// Channels.
    pub channel_count: Option<u32>,
    /// Seconds from the sound to the application.
    pub latency: Option<f64>,
    /// Which device.
    pub device_id: Option<String>,
    /// Which group of devices.
    pub group_id: Option<String>,
    /// Which way a camera looks.
    pub facing_mode: Option<String>,
}

impl MediaTrackSettings {
    /// Width divided by height.
    pub fn aspect_ratio(&self) -> Option<f64> {
        match (self.width, self.height) {
            (Some(width), Some(height)) if height > 0 => Some(f64::from(width) / f64::from(height)),
            _ => None,
        }
    }
}

/// What a source can do, as `MediaTrackCapabilities`: inclusive ranges, of each property alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaTrackCapabilities {
    /// Pixels in a row, from and to.
    pub width: Option<(u32, u32)>,
    /// Rows, from and to.
    pub height: Option<(u32, u32)>,
    /// Pictures a second, from and to.
    pub frame_rate: Option<(f64, f64)>,
    /// Samples a second, from and to.
    pub sample_rate: Option<(u32, u32)>,
    /// Channels, from and to.
    pub channel_count: Option<(u32, u32)>,
    /// Which device.
    pub device_id: Option<String>,
    /// Which group of devices.
    pub group_id: Option<String>,
}

/// A demand that nothing satisfies, as `OverconstrainedError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no source satisfies `{constraint}`: {message}")]
pub struct OverconstrainedError {
    /// The property in the W3C spelling (`frameRate`), or empty when it is the combination that cannot be satisfied.
    pub constraint: &'static str,
    /// In words.
    pub message: String,
}

impl OverconstrainedError {
    /// A demand on `constraint` that nothing satisfies.
    pub fn new(constraint: &'static str, message: impl Into<String>) -> Self {
        OverconstrainedError {
            constraint,
            message: message.into(),
        }
    }
}
