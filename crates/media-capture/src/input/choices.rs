//! What a source with ranges rather than a list of modes offers: of endlessly many settings, those that constraints
//! can tell apart.

use media::{Constrain, ConstraintSet, MediaTrackConstraints};

/// A picture size and rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VideoMode {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frame_rate: f64,
}

/// From and to, inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VideoRange {
    pub(crate) width: (u32, u32),
    pub(crate) height: (u32, u32),
    pub(crate) frame_rate: (f64, f64),
}

/// A sample rate and a number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AudioMode {
    pub(crate) sample_rate: u32,
    pub(crate) channels: u32,
}

/// From and to, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AudioRange {
    pub(crate) sample_rate: (u32, u32),
    pub(crate) channels: (u32, u32),
}

/// Of all modes in `range`, those worth a look: `preferred`, and whatever values the constraints name.
pub(crate) fn video_modes(
    range: VideoRange,
    preferred: VideoMode,
    constraints: &MediaTrackConstraints,
) -> Vec<VideoMode> {
    let sets = sets(constraints);
    let widths = whole_values(range.width, preferred.width, sets.iter().map(|s| &s.width));
    let heights = whole_values(
        range.height,
        preferred.height,
        sets.iter().map(|s| &s.height),
    );
    let rates = values(
        range.frame_rate,
        preferred.frame_rate,
        sets.iter().map(|s| &s.frame_rate),
    );
    let own_ratio = f64::from(preferred.width) / f64::from(preferred.height);
    let named_ratios = sets.iter().flat_map(|s| named(&s.aspect_ratio));
    let ratios: Vec<f64> = std::iter::once(own_ratio)
        .chain(named_ratios.filter(|ratio| *ratio > 0.0))
        .collect();

    // Whoever asks for a width alone gets a height that goes with it, and the other way round.
    let clamp = |value: f64, (from, to): (u32, u32)| (value.round() as u32).clamp(from, to);
    let mut sizes = vec![(preferred.width, preferred.height)];
    for &ratio in &ratios {
        for &width in &widths {
            sizes.push((width, clamp(f64::from(width) / ratio, range.height)));
        }
        for &height in &heights {
            sizes.push((clamp(f64::from(height) * ratio, range.width), height));
        }
    }
    for &width in &widths {
        sizes.extend(heights.iter().map(|&height| (width, height)));
    }
    let mut modes = Vec::new();
    for (width, height) in sizes {
        for &frame_rate in &rates {
            let mode = VideoMode {
                width,
                height,
                frame_rate,
            };
            if !modes.contains(&mode) {
                modes.push(mode);
            }
        }
    }
    modes
}

/// The same for sound.
pub(crate) fn audio_modes(
    range: AudioRange,
    preferred: AudioMode,
    constraints: &MediaTrackConstraints,
) -> Vec<AudioMode> {
    let sets = sets(constraints);
    let rates = whole_values(
        range.sample_rate,
        preferred.sample_rate,
        sets.iter().map(|s| &s.sample_rate),
    );
    let channels = whole_values(
        range.channels,
        preferred.channels,
        sets.iter().map(|s| &s.channel_count),
    );
    let mut modes = Vec::new();
    for sample_rate in rates {
        modes.extend(channels.iter().map(|&channels| AudioMode {
            sample_rate,
            channels,
        }));
    }
    modes
}

fn sets(constraints: &MediaTrackConstraints) -> Vec<ConstraintSet> {
    let mut sets = vec![constraints.basic()];
    sets.extend(constraints.advanced.iter().cloned());
    sets
}

/// The numbers that a constraint names.
fn named<T: Copy + Into<f64>>(constraint: &Constrain<T>) -> impl Iterator<Item = f64> {
    [
        constraint.exact,
        constraint.ideal,
        constraint.min,
        constraint.max,
    ]
    .into_iter()
    .flatten()
    .map(Into::into)
}

/// The preferred value, and the nearest possible one to every number named.
fn values<'a, T: Copy + Into<f64> + 'a>(
    (from, to): (f64, f64),
    preferred: f64,
    constraints: impl Iterator<Item = &'a Constrain<T>>,
) -> Vec<f64> {
    let mut values = vec![preferred];
    for number in constraints.flat_map(named).filter(|n| n.is_finite()) {
        let value = number.clamp(from, to);
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn whole_values<'a>(
    (from, to): (u32, u32),
    preferred: u32,
    constraints: impl Iterator<Item = &'a Constrain<u32>>,
) -> Vec<u32> {
    values((from.into(), to.into()), preferred.into(), constraints)
        .into_iter()
        .map(|value| value as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: VideoRange = VideoRange {
        width: (80, 4096),
        height: (64, 2304),
        frame_rate: (1.0, 120.0),
    };
    const PREFERRED: VideoMode = VideoMode {
        width: 640,
        height: 480,
        frame_rate: 30.0,
    };

    #[test]
    fn without_constraints_only_the_preferred_mode_is_worth_a_look() {
        let modes = video_modes(RANGE, PREFERRED, &MediaTrackConstraints::default());
        assert_eq!(modes, [PREFERRED]);
    }

    #[test]
    fn a_width_alone_brings_its_height() {
        let constraints = MediaTrackConstraints {
            width: 320.into(),
            ..Default::default()
        };
        let modes = video_modes(RANGE, PREFERRED, &constraints);
        let fits = |m: &VideoMode| m.width == 320;
        assert_eq!(modes.iter().find(|m| fits(m)).unwrap().height, 240);
    }

    #[test]
    fn numbers_out_of_range_become_the_nearest_in_it() {
        let constraints = MediaTrackConstraints {
            frame_rate: Constrain::at_least(500.0),
            ..MediaTrackConstraints::video(10_000, 1)
        };
        let modes = video_modes(RANGE, PREFERRED, &constraints);
        assert!(modes.contains(&VideoMode {
            width: 4096,
            height: 64,
            frame_rate: 120.0
        }));
    }

    #[test]
    fn sound_has_the_product_of_its_values() {
        let range = AudioRange {
            sample_rate: (8_000, 96_000),
            channels: (1, 2),
        };
        let preferred = AudioMode {
            sample_rate: 48_000,
            channels: 1,
        };
        let constraints = MediaTrackConstraints {
            sample_rate: 16_000.into(),
            channel_count: 7.into(),
            ..Default::default()
        };
        let modes = audio_modes(range, preferred, &constraints);
        assert_eq!(modes.len(), 4);
        assert_eq!(modes[0], preferred);
        assert!(modes.contains(&AudioMode {
            sample_rate: 16_000,
            channels: 2
        }));
    }
}
