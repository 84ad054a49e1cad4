//! Fitness distance and the SelectSettings algorithm.

use super::{
    Constrain, ConstrainString, ConstraintSet, MediaTrackConstraints, MediaTrackSettings,
    OverconstrainedError,
};

/// The name of no constraint: what [`OverconstrainedError::constraint`] says when no single one is to blame.
pub const UNCONSTRAINED: &str = "";

/// How far a frame rate, a ratio or a latency may be from a demand and still meet it: the broadcast rate 29.97 is what
/// people mean by 30.
const ROUNDING: f64 = 2e-3;

/// How bare (ideal) values count.
#[derive(Clone, Copy, PartialEq)]
enum Bare {
    /// As wishes, outside `advanced`.
    Ideal,
    /// As demands, inside `advanced`.
    Exact,
}

/// The distance of one property: infinite when a demand is not met (step 2), 1 when a wished-for property does not
/// exist (step 5), 0 without a wish (step 6), else relative to the larger value (step 7).
fn number_distance<T: Copy + Into<f64>>(
    actual: Option<T>,
    constraint: &Constrain<T>,
    bare: Bare,
    tolerance: f64,
) -> f64 {
    let (ideal, exact) = match (bare, constraint.ideal) {
        (Bare::Exact, Some(value)) => (None, Some(constraint.exact.unwrap_or(value))),
        _ => (constraint.ideal, constraint.exact),
    };
    let required = exact.is_some() || constraint.min.is_some() || constraint.max.is_some();
    let Some(actual) = actual.map(Into::into) else {
        return match (required, ideal) {
            (true, _) => f64::INFINITY,
            (false, Some(_)) => 1.0,
            (false, None) => 0.0,
        };
    };
    let tolerance = tolerance * actual.abs();
    if exact.is_some_and(|exact| (actual - exact.into()).abs() > tolerance)
        || constraint
            .min
            .is_some_and(|min| actual + tolerance < min.into())
        || constraint
            .max
            .is_some_and(|max| actual - tolerance > max.into())
    {
        return f64::INFINITY;
    }
    match ideal.map(Into::into) {
        Some(ideal) if actual != ideal => (actual - ideal).abs() / actual.abs().max(ideal.abs()),
        _ => 0.0,
    }
}

/// The same for names, where one of several may be wished for (step 8).
fn string_distance(actual: Option<&str>, constraint: &ConstrainString, bare: Bare) -> f64 {
    let listed = |list: &[String]| actual.is_some_and(|actual| list.iter().any(|v| v == actual));
    if !constraint.exact.is_empty() && !listed(&constraint.exact) {
        return f64::INFINITY;
    }
    match (constraint.ideal.is_empty(), bare) {
        (true, _) => 0.0,
        (false, _) if listed(&constraint.ideal) => 0.0,
        (false, Bare::Ideal) => 1.0,
        (false, Bare::Exact) => f64::INFINITY,
    }
}

fn distances(
    settings: &MediaTrackSettings,
    set: &ConstraintSet,
    bare: Bare,
) -> [(&'static str, f64); 11] {
    let number = |actual, constraint| number_distance(actual, constraint, bare, 0.0);
    let float = |actual, constraint| number_distance(actual, constraint, bare, ROUNDING);
    let name =
        |actual: &Option<String>, constraint| string_distance(actual.as_deref(), constraint, bare);
    [
        ("deviceId", name(&settings.device_id, &set.device_id)),
        ("groupId", name(&settings.group_id, &set.group_id)),
        ("facingMode", name(&settings.facing_mode, &set.facing_mode)),
        ("width", number(settings.width, &set.width)),
        ("height", number(settings.height, &set.height)),
        (
            "aspectRatio",
            float(settings.aspect_ratio(), &set.aspect_ratio),
        ),
        ("frameRate", float(settings.frame_rate, &set.frame_rate)),
        ("sampleRate", number(settings.sample_rate, &set.sample_rate)),
        ("sampleSize", number(settings.sample_size, &set.sample_size)),
        (
            "channelCount",
            number(settings.channel_count, &set.channel_count),
        ),
        ("latency", float(settings.latency, &set.latency)),
    ]
}

/// How far `settings` are from what `set` wishes; infinite when they break a demand.
pub fn fitness_distance(settings: &MediaTrackSettings, set: &ConstraintSet) -> f64 {
    distances(settings, set, Bare::Ideal)
        .iter()
        .map(|(_, distance)| distance)
        .sum()
}

/// The SelectSettings algorithm: of all `possible` settings, in the order of preference of the source, the index of
/// the one that fits best, or the demand that none of them meets.
pub fn select_settings(
    possible: &[MediaTrackSettings],
    constraints: &MediaTrackConstraints,
) -> Result<usize, OverconstrainedError> {
    let basic = constraints.basic();
    // Step 3.
    let mut candidates: Vec<(usize, f64)> = possible
        .iter()
        .enumerate()
        .map(|(index, settings)| (index, fitness_distance(settings, &basic)))
        .filter(|(_, distance)| distance.is_finite())
        .collect();
    // Step 5: an advanced set that nobody satisfies is ignored.
    for set in &constraints.advanced {
        let kept: Vec<(usize, f64)> = candidates
            .iter()
            .copied()
            .filter(|&(index, _)| {
                distances(&possible[index], set, Bare::Exact)
                    .iter()
                    .all(|(_, distance)| distance.is_finite())
            })
            .collect();
        if !kept.is_empty() {
            candidates = kept;
        }
    }
    // Step 6: the first of the closest, so that the source's own order decides between equals.
    candidates
        .into_iter()
        .reduce(|best, other| if other.1 < best.1 { other } else { best })
        .map(|(index, _)| index)
        .ok_or_else(|| blame(possible, &basic))
}

/// A demand that is broken by everything possible; the combination, when each alone could be met.
fn blame(possible: &[MediaTrackSettings], basic: &ConstraintSet) -> OverconstrainedError {
    let all: Vec<_> = possible
        .iter()
        .map(|settings| distances(settings, basic, Bare::Ideal))
        .collect();
    let impossible = all
        .first()
        .into_iter()
        .flatten()
        .enumerate()
        .find(|(i, _)| {
            all.iter()
                .all(|distances| distances.get(*i).is_some_and(|(_, d)| d.is_infinite()))
        });
    match impossible {
        Some((_, (name, _))) => OverconstrainedError::new(name, "nothing available offers that"),
        None => {
            OverconstrainedError::new(UNCONSTRAINED, "nothing available offers all that at once")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(width: u32, height: u32, frame_rate: f64) -> MediaTrackSettings {
        MediaTrackSettings {
            width: Some(width),
            height: Some(height),
            frame_rate: Some(frame_rate),
            device_id: Some("cam".into()),
            ..Default::default()
        }
    }

    fn modes() -> Vec<MediaTrackSettings> {
        vec![
            camera(640, 480, 30.0),
            camera(320, 240, 30.0),
            camera(1280, 720, 10.0),
            camera(1280, 720, 29.97),
        ]
    }

    #[test]
    fn without_constraints_the_source_decides() {
        assert_eq!(select_settings(&modes(), &Default::default()), Ok(0));
    }

    #[test]
    fn wishes_choose_the_nearest() {
        let wish = |w, h| select_settings(&modes(), &MediaTrackConstraints::video(w, h)).unwrap();
        assert_eq!(wish(1920, 1080), 2);
        assert_eq!(wish(300, 200), 1);
        let smooth = MediaTrackConstraints {
            frame_rate: Constrain::at_least(25.0),
            ..MediaTrackConstraints::video(1920, 1080)
        };
        assert_eq!(select_settings(&modes(), &smooth), Ok(3));
    }

    #[test]
    fn an_unmet_demand_is_named() {
        let demand = |constraints| {
            select_settings(&modes(), &constraints)
                .unwrap_err()
                .constraint
        };
        assert_eq!(
            demand(MediaTrackConstraints {
                width: Constrain::exact(641),
                ..Default::default()
            }),
            "width"
        );
        assert_eq!(
            demand(MediaTrackConstraints {
                device_id: ConstrainString::exact("other"),
                ..Default::default()
            }),
            "deviceId"
        );
        assert_eq!(
            demand(MediaTrackConstraints {
                sample_rate: Constrain::at_most(8000),
                ..Default::default()
            }),
            "sampleRate"
        );
        // Both can be had, but not together.
        assert_eq!(
            demand(MediaTrackConstraints {
                width: Constrain::exact(320),
                height: Constrain::exact(720),
                ..Default::default()
            }),
            UNCONSTRAINED
        );
    }

    #[test]
    fn advanced_sets_are_tried_in_order_and_dropped_when_impossible() {
        let constraints = MediaTrackConstraints {
            advanced: vec![
                ConstraintSet {
                    width: 4096.into(),
                    ..Default::default()
                },
                ConstraintSet {
                    width: 1280.into(),
                    ..Default::default()
                },
                ConstraintSet {
                    width: 320.into(),
                    ..Default::default()
                },
            ],
            ..Default::default()
        };
        assert_eq!(select_settings(&modes(), &constraints), Ok(2));
    }

    #[test]
    fn a_broadcast_frame_rate_meets_the_round_one() {
        let thirty = MediaTrackConstraints {
            width: Constrain::exact(1280),
            frame_rate: Constrain::exact(30.0),
            ..Default::default()
        };
        assert_eq!(select_settings(&modes(), &thirty), Ok(3));
    }
}
