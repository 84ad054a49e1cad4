//! From the sizes and rates that a source has to the ones it was asked for: cropped, scaled, thinned out
//! (`resizeMode: "crop-and-scale"`). Nothing is ever enlarged or invented.

use super::choices::{VideoMode, VideoRange, video_modes};
use media::{
    FrameError, MediaTrackCapabilities, MediaTrackConstraints, MediaTrackSettings, VideoFrame,
};
use std::time::Duration;

/// The least side of a scaled picture.
const LEAST: u32 = 16;
/// What a person who asks for nothing gets, or the nearest to it.
const USUAL: VideoMode = VideoMode {
    width: 640,
    height: 480,
    frame_rate: 30.0,
};

/// The modes of a source: its own, and those that can be made of them.
#[derive(Clone, Debug)]
pub(crate) struct Modes {
    /// The one that is used without constraints first.
    native: Vec<VideoMode>,
}

impl Modes {
    pub(crate) fn new(mut native: Vec<VideoMode>) -> Self {
        let relative = |a: f64, b: f64| (a - b).abs() / a.max(b);
        let distance = |mode: &VideoMode| {
            relative(mode.width.into(), USUAL.width.into())
                + relative(mode.height.into(), USUAL.height.into())
                + relative(mode.frame_rate, USUAL.frame_rate)
        };
        native.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        native.dedup();
        Modes { native }
    }

    /// What somebody with these constraints may choose from.
    pub(crate) fn possible(&self, constraints: &MediaTrackConstraints) -> Vec<VideoMode> {
        let mut possible = self.native.clone();
        for mode in &self.native {
            let range = VideoRange {
                width: (LEAST.min(mode.width), mode.width),
                height: (LEAST.min(mode.height), mode.height),
                frame_rate: (1.0_f64.min(mode.frame_rate), mode.frame_rate),
            };
            for made in video_modes(range, *mode, constraints) {
                if !possible.contains(&made) {
                    possible.push(made);
                }
            }
        }
        possible
    }

    /// The smallest native mode from which `wanted` can be made; the first, if there is none.
    pub(crate) fn native_for(&self, wanted: VideoMode) -> Option<VideoMode> {
        let enough = |mode: &&VideoMode| {
            mode.width >= wanted.width
                && mode.height >= wanted.height
                && mode.frame_rate >= wanted.frame_rate * 0.998
        };
        let cost = |mode: &VideoMode| f64::from(mode.width * mode.height) * mode.frame_rate;
        self.native
            .iter()
            .filter(enough)
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))
            .or(self.native.first())
            .copied()
    }

    /// The ranges that all modes together span.
    pub(crate) fn capabilities(&self) -> MediaTrackCapabilities {
        let (mut width, mut height, mut rate) = (0, 0, 0.0_f64);
        for mode in &self.native {
            width = width.max(mode.width);
            height = height.max(mode.height);
            rate = rate.max(mode.frame_rate);
        }
        MediaTrackCapabilities {
            width: Some((LEAST.min(width), width)),
            height: Some((LEAST.min(height), height)),
            frame_rate: Some((1.0_f64.min(rate), rate)),
            ..Default::default()
        }
    }
}

/// The mode that settings of a video track speak of.
pub(crate) fn mode(settings: &MediaTrackSettings) -> VideoMode {
    VideoMode {
        width: settings.width.unwrap_or(USUAL.width),
        height: settings.height.unwrap_or(USUAL.height),
        frame_rate: settings.frame_rate.unwrap_or(USUAL.frame_rate),
    }
}

/// Makes the pictures of one mode out of those of another.
#[derive(Debug, Default)]
pub(crate) struct Adapter {
    /// When the next picture is due.
    due: Option<Duration>,
}

impl Adapter {
    /// Whether the picture of this time is to be left out to keep to the rate.
    pub(crate) fn is_surplus(&mut self, time: Duration, wanted: VideoMode) -> bool {
        let interval = Duration::from_secs_f64(1.0 / wanted.frame_rate.clamp(0.1, 1_000.0));
        let due = self.due.unwrap_or(time);
        // A source's pictures are not exactly on time.
        if time + interval / 4 < due {
            return true;
        }
        // A source that paused, or went back, does not have to catch up.
        let next = due + interval;
        self.due = Some(if next < time || next > time + 4 * interval {
            time + interval
        } else {
            next
        });
        false
    }
}

/// The middle of the picture in the wanted proportions, at the wanted size.
pub(crate) fn crop_and_scale(
    picture: &VideoFrame,
    wanted: VideoMode,
) -> Result<VideoFrame, FrameError> {
    let (width, height) = (picture.width(), picture.height());
    if (width, height) == (wanted.width, wanted.height) {
        return Ok(picture.to_i420());
    }
    let scale = f64::min(
        f64::from(width) / f64::from(wanted.width),
        f64::from(height) / f64::from(wanted.height),
    );
    let part = |wanted: u32, whole: u32| {
        let part = ((f64::from(wanted) * scale).round() as u32).clamp(1, whole);
        let start = (whole - part) / 4 * 2;
        (start, part)
    };
    let (x, cropped_width) = part(wanted.width, width);
    let (y, cropped_height) = part(wanted.height, height);
    picture
        .cropped(x, y, cropped_width, cropped_height)?
        .scaled(wanted.width, wanted.height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::constraints::select_settings;

    fn mode_of(width: u32, height: u32, frame_rate: f64) -> VideoMode {
        VideoMode {
            width,
            height,
            frame_rate,
        }
    }

    fn webcam() -> Modes {
        Modes::new(vec![
            mode_of(1920, 1080, 30.0),
            mode_of(1280, 720, 30.0),
            mode_of(640, 480, 30.0),
            mode_of(640, 480, 15.0),
        ])
    }

    fn choose(constraints: &MediaTrackConstraints) -> VideoMode {
        let possible = webcam().possible(constraints);
        let settings: Vec<MediaTrackSettings> = possible
            .iter()
            .map(|mode| MediaTrackSettings {
                width: Some(mode.width),
                height: Some(mode.height),
                frame_rate: Some(mode.frame_rate),
                ..Default::default()
            })
            .collect();
        possible[select_settings(&settings, constraints).unwrap()]
    }

    #[test]
    fn the_usual_mode_is_what_nobody_asked_for() {
        assert_eq!(
            choose(&MediaTrackConstraints::default()),
            mode_of(640, 480, 30.0)
        );
    }

    #[test]
    fn sizes_that_the_camera_lacks_are_made_from_the_next_larger() {
        let mode = choose(&MediaTrackConstraints::video(320, 180));
        assert_eq!((mode.width, mode.height), (320, 180));
        assert_eq!(webcam().native_for(mode), Some(mode_of(640, 480, 30.0)));
        let mode = choose(&MediaTrackConstraints {
            frame_rate: 10.0.into(),
            ..MediaTrackConstraints::video(640, 480)
        });
        assert_eq!(mode.frame_rate, 10.0);
        assert_eq!(webcam().native_for(mode), Some(mode_of(640, 480, 15.0)));
        let mode = choose(&MediaTrackConstraints::video(4096, 2160));
        assert_eq!(mode, mode_of(1920, 1080, 30.0));
    }

    #[test]
    fn surplus_pictures_are_left_out_evenly() {
        let mut adapter = Adapter::default();
        let kept = (0..300)
            .filter(|i| {
                let jitter = i % 3;
                let time = Duration::from_millis(i * 1_000 / 30 + jitter);
                !adapter.is_surplus(time, mode_of(64, 64, 12.0))
            })
            .count();
        assert!((118..=122).contains(&kept), "{kept} of 300");
        let later = Duration::from_secs(100);
        assert!(!adapter.is_surplus(later, mode_of(64, 64, 12.0)));
        assert!(adapter.is_surplus(later, mode_of(64, 64, 12.0)));
    }

    #[test]
    fn proportions_are_kept_by_cropping() {
        // A white square in the middle of a black picture stays a square.
        let mut picture = media::I420Buffer::new(640, 480).unwrap();
        for row in picture.planes_mut()[0].chunks_mut(640).skip(190).take(100) {
            row[270..370].fill(235);
        }
        let picture = picture.freeze(Duration::ZERO);
        let made = crop_and_scale(&picture, mode_of(320, 180, 30.0)).unwrap();
        assert_eq!((made.width(), made.height()), (320, 180));
        let white = |row: &[u8]| row.iter().filter(|&&y| y > 128).count();
        let widest = made.rows(0).map(white).max().unwrap();
        let tall = made.rows(0).filter(|row| white(row) > 0).count();
        assert!(
            widest.abs_diff(50) <= 2 && tall.abs_diff(50) <= 2,
            "{widest}×{tall}"
        );
        for (width, height) in [(1, 1), (17, 480), (640, 1), (639, 479)] {
            let made = crop_and_scale(&picture, mode_of(width, height, 30.0)).unwrap();
            assert_eq!((made.width(), made.height()), (width, height));
        }
    }
}
