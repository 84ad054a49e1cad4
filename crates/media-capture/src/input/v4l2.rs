//! Cameras of Linux, by Video4Linux 2.

use super::adapter::{Adapter, Modes, crop_and_scale, mode};
use super::choices::VideoMode;
use super::{Control, InputDevice, OpenError};
use crate::devices::{MediaDeviceInfo, MediaDeviceKind};
use media::{
    FrameError, MediaKind, MediaStreamTrack, MediaTrackCapabilities, MediaTrackConstraints,
    MediaTrackSettings, PixelFormat, Plane, TrackInit, TrackWriter, VideoFrame,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream;
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, FourCC, Fraction};

const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// How often a thread without pictures looks whether it is still wanted, in milliseconds.
const LOOK: i32 = 250;
/// A camera that gives no picture for longer is gone.
const GONE: Duration = Duration::from_secs(10);
/// `POLLIN` of poll(2).
const POLLIN: i16 = 1;
const BUFFERS: u32 = 4;
/// What we understand, the cheapest to convert first.
const FORMATS: [Pixels; 4] = [Pixels::I420, Pixels::Nv12, Pixels::Yuyv, Pixels::Jpeg];
/// Sizes to try where a driver takes any.
const COMMON_SIZES: [(u32, u32); 8] = [
    (160, 120),
    (320, 240),
    (640, 360),
    (640, 480),
    (800, 600),
    (1280, 720),
    (1920, 1080),
    (3840, 2160),
];
/// The rate of a driver that does not say.
const UNKNOWN_RATE: f64 = 30.0;

/// How a camera lays out its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pixels {
    I420,
    Nv12,
    Yuyv,
    Jpeg,
}

impl Pixels {
    fn fourcc(self) -> [u8; 4] {
        *match self {
            Pixels::I420 => b"YU12",
            Pixels::Nv12 => b"NV12",
            Pixels::Yuyv => b"YUYV",
            Pixels::Jpeg => b"MJPG",
        }
    }

    fn from_fourcc(repr: [u8; 4]) -> Option<Self> {
        FORMATS.into_iter().find(|format| format.fourcc() == repr)
    }
}

/// How the pictures of a buffer lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    pixels: Pixels,
    width: u32,
    height: u32,
    stride: usize,
}

#[derive(Clone)]
struct Camera {
    path: PathBuf,
    id: String,
    label: String,
    group: String,
    native: Vec<(Pixels, VideoMode)>,
    modes: Modes,
}

/// The cameras there are, in the order of their device files.
pub(super) fn cameras() -> Vec<Arc<dyn InputDevice>> {
    let mut nodes = v4l::context::enum_devices();
    nodes.sort_by_key(|node| node.path().as_os_str().len());
    nodes.sort_by_key(v4l::context::Node::index);
    nodes
        .iter()
        .filter_map(|node| match Camera::look(node.path()) {
            Ok(camera) => camera,
            Err(error) => {
                tracing::debug!(path = %node.path().display(), %error, "not a camera for us");
                None
            }
        })
        .map(|camera| Arc::new(camera) as Arc<dyn InputDevice>)
        .collect()
}

impl Camera {
    /// The camera behind a device file; `None` when it is none, or speaks no format of ours.
    fn look(path: &Path) -> io::Result<Option<Camera>> {
        let device = Device::with_path(path)?;
        let caps = device.query_caps()?;
        if !caps
            .capabilities
            .contains(Flags::VIDEO_CAPTURE | Flags::STREAMING)
        {
            return Ok(None);
        }
        let mut native = Vec::new();
        for description in device.enum_formats()? {
            if let Some(pixels) = Pixels::from_fourcc(description.fourcc.repr) {
                let modes = modes_of(&device, description.fourcc)?;
                native.extend(modes.into_iter().map(|mode| (pixels, mode)));
            }
        }
        if native.is_empty() {
            return Ok(None);
        }
        Ok(Some(Camera {
            path: path.to_owned(),
            id: format!("v4l2:{}", path.display()),
            label: caps.card,
            group: caps.bus,
            modes: Modes::new(native.iter().map(|(_, mode)| *mode).collect()),
            native,
        }))
    }

    /// The native mode from which `wanted` is made, in the layout that is cheapest to convert.
    fn native_for(&self, wanted: VideoMode) -> Option<(Pixels, VideoMode)> {
        let mode = self.modes.native_for(wanted)?;
        let in_layout = |pixels: &Pixels| self.native.contains(&(*pixels, mode));
        Some((FORMATS.into_iter().find(in_layout)?, mode))
    }

    fn settings(&self, mode: VideoMode) -> MediaTrackSettings {
        MediaTrackSettings {
            width: Some(mode.width),
            height: Some(mode.height),
            frame_rate: Some(mode.frame_rate),
            device_id: Some(self.id.clone()),
            group_id: Some(self.group.clone()),
            ..Default::default()
        }
    }
}

impl InputDevice for Camera {
    fn info(&self) -> MediaDeviceInfo {
        MediaDeviceInfo {
            device_id: self.id.clone(),
            kind: MediaDeviceKind::VideoInput,
            label: self.label.clone(),
            group_id: self.group.clone(),
            synthetic: false,
        }
    }

    fn capabilities(&self) -> MediaTrackCapabilities {
        MediaTrackCapabilities {
            device_id: Some(self.id.clone()),
            group_id: Some(self.group.clone()),
            ..self.modes.capabilities()
        }
    }

    fn possible_settings(&self, constraints: &MediaTrackConstraints) -> Vec<MediaTrackSettings> {
        let modes = self.modes.possible(constraints).into_iter();
        modes.map(|mode| self.settings(mode)).collect()
    }

    fn open(
        &self,
        settings: MediaTrackSettings,
        constraints: MediaTrackConstraints,
        epoch: Instant,
    ) -> Result<MediaStreamTrack, OpenError> {
        let (pixels, native) = self
            .native_for(mode(&settings))
            .ok_or_else(|| OpenError::NotReadable("it has no mode".to_owned()))?;
        // Once it runs, everything is made from this mode.
        let running = Camera {
            native: vec![(pixels, native)],
            modes: Modes::new(vec![native]),
            ..self.clone()
        };
        let capabilities = self.capabilities();
        let path = self.path.clone();
        let control = Control::new(settings.clone(), move |c| running.possible_settings(c));
        let (track, writer) = MediaStreamTrack::new(
            MediaKind::Video,
            TrackInit {
                label: self.label.clone(),
                settings,
                capabilities,
                constraints,
                control: Some(control.clone()),
                ..Default::default()
            },
        );
        let (opened, result) = mpsc::channel();
        let watch = move || {
            let started = start(&path, pixels, native);
            match started {
                Ok((device, stream, layout)) => {
                    if opened.send(Ok(())).is_ok() {
                        run(&device, stream, layout, &writer, &control, epoch);
                    }
                }
                // Nobody waits for it any more when that fails.
                Err(error) => drop(opened.send(Err(open_error(&error)))),
            }
        };
        std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(watch)
            .map_err(|error| OpenError::NotReadable(error.to_string()))?;
        result
            .recv_timeout(OPEN_LIMIT)
            .unwrap_or_else(|_| Err(OpenError::NotReadable("it does not answer".to_owned())))?;
        Ok(track)
    }
}

/// The sizes and rates of a format.
fn modes_of(device: &Device, fourcc: FourCC) -> io::Result<Vec<VideoMode>> {
    let mut sizes = Vec::new();
    for size in device.enum_framesizes(fourcc)? {
        match size.size {
            FrameSizeEnum::Discrete(size) => sizes.push((size.width, size.height)),
            FrameSizeEnum::Stepwise(steps) => {
                sizes.extend(COMMON_SIZES.into_iter().filter(|size| {
                    let fits = |n: u32, from: u32, to: u32, step: u32| {
                        (from..=to).contains(&n) && (n - from).is_multiple_of(step.max(1))
                    };
                    fits(size.0, steps.min_width, steps.max_width, steps.step_width)
                        && fits(
                            size.1,
                            steps.min_height,
                            steps.max_height,
                            steps.step_height,
                        )
                }))
            }
        }
    }
    let mut modes = Vec::new();
    for (width, height) in sizes {
        // A driver that cannot tell its rates has one all the same.
        let intervals = device
            .enum_frameintervals(fourcc, width, height)
            .unwrap_or_default();
        let mut rates: Vec<f64> = intervals
            .iter()
            .filter_map(|interval| match &interval.interval {
                FrameIntervalEnum::Discrete(interval) => rate(*interval),
                FrameIntervalEnum::Stepwise(steps) => rate(steps.min),
            })
            .collect();
        if rates.is_empty() {
            rates.push(UNKNOWN_RATE);
        }
        modes.extend(rates.into_iter().map(|frame_rate| VideoMode {
            width,
            height,
            frame_rate,
        }));
    }
    Ok(modes)
}

/// Pictures a second, of the seconds between two.
fn rate(interval: Fraction) -> Option<f64> {
    let valid = interval.numerator > 0 && interval.denominator > 0;
    valid.then(|| f64::from(interval.denominator) / f64::from(interval.numerator))
}

/// Opens the camera in a mode. It runs from the first picture asked for.
fn start(
    path: &Path,
    pixels: Pixels,
    mode: VideoMode,
) -> io::Result<(Device, Stream<'static>, Layout)> {
    let device = Device::with_path(path)?;
    let mut format = device.format()?;
    format.width = mode.width;
    format.height = mode.height;
    format.fourcc = FourCC::new(&pixels.fourcc());
    let format = device.set_format(&format)?;
    let pixels = Pixels::from_fourcc(format.fourcc.repr)
        .ok_or_else(|| io::Error::other(format!("it insists on the format {}", format.fourcc)))?;
    let thousandths = (mode.frame_rate * 1_000.0).round() as u32;
    let params = Parameters::new(Fraction::new(1_000, thousandths.max(1)));
    if let Err(error) = device.set_params(&params) {
        tracing::debug!(%error, "the camera keeps its own rate");
    }
    let stream = Stream::with_buffers(&device, Type::VideoCapture, BUFFERS)?;
    let layout = Layout {
        pixels,
        width: format.width,
        height: format.height,
        stride: format.stride as usize,
    };
    Ok((device, stream, layout))
}

/// Hands on pictures until nobody wants them or none come.
fn run(
    device: &Device,
    mut stream: Stream<'_>,
    layout: Layout,
    writer: &TrackWriter,
    control: &Control,
    epoch: Instant,
) {
    let mut adapter = Adapter::default();
    let mut started = false;
    let mut last = Instant::now();
    while !writer.is_stopped() {
        // A stream that waits cannot be asked to stop: the file is watched instead.
        if started && matches!(device.handle().poll(POLLIN, LOOK), Ok(0)) {
            if last.elapsed() > GONE {
                tracing::warn!("the camera gives no pictures");
                return;
            }
            continue;
        }
        started = true;
        let (buffer, used) = match stream.next() {
            Ok((buffer, meta)) => (buffer, meta.bytesused as usize),
            Err(error) => {
                tracing::warn!(%error, "the camera is gone");
                return;
            }
        };
        last = Instant::now();
        let time = epoch.elapsed();
        let wanted = mode(&control.current());
        if adapter.is_surplus(time, wanted) || !writer.has_consumers() {
            continue;
        }
        let data = buffer.get(..used).unwrap_or(buffer);
        match picture(layout, data, time).and_then(|picture| crop_and_scale(&picture, wanted)) {
            Ok(picture) => {
                if writer.write(picture).is_err() {
                    return;
                }
            }
            // Webcams send a damaged JPEG now and then, above all as their first.
            Err(error) => tracing::debug!(%error, "a picture that does not decode"),
        }
    }
}

/// What a buffer shows.
fn picture(layout: Layout, data: &[u8], time: Duration) -> Result<VideoFrame, FrameError> {
    let Layout {
        pixels,
        width,
        height,
        stride,
    } = layout;
    let luma = stride * height as usize;
    let chroma_rows = (height as usize).div_ceil(2);
    let plane = |start: usize, len: usize, stride: usize| {
        let bytes = data.get(start..).unwrap_or_default();
        Plane::new(bytes[..len.min(bytes.len())].to_vec(), stride)
    };
    match pixels {
        Pixels::Yuyv => VideoFrame::from_yuyv(width, height, data, stride, time),
        Pixels::Jpeg => VideoFrame::from_jpeg(data, time),
        Pixels::Nv12 => {
            let planes = vec![
                plane(0, luma, stride),
                plane(luma, stride * chroma_rows, stride),
            ];
            VideoFrame::new(PixelFormat::Nv12, width, height, planes, time)
        }
        Pixels::I420 => {
            let (half, chroma) = (stride / 2, stride / 2 * chroma_rows);
            let planes = vec![
                plane(0, luma, stride),
                plane(luma, chroma, half),
                plane(luma + chroma, chroma, half),
            ];
            VideoFrame::new(PixelFormat::I420, width, height, planes, time)
        }
    }
}

fn open_error(error: &io::Error) -> OpenError {
    let problem = error.to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::NotAllowed(problem),
        io::ErrorKind::NotFound => OpenError::NotFound(problem),
        _ => OpenError::NotReadable(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testcard;

    fn layout(pixels: Pixels, stride: usize) -> Layout {
        Layout {
            pixels,
            width: 160,
            height: 128,
            stride,
        }
    }

    /// The rows of a plane, each filled up to `stride`.
    fn rows(card: &VideoFrame, index: usize, stride: usize) -> Vec<u8> {
        card.rows(index)
            .flat_map(|row| {
                let filler = std::iter::repeat_n(9, stride - row.len());
                row.iter().copied().chain(filler).collect::<Vec<u8>>()
            })
            .collect()
    }

    #[test]
    fn every_layout_of_a_camera_becomes_a_picture() {
        let card = testcard::draw(160, 128, 77, Duration::ZERO).unwrap();
        let i420 = [rows(&card, 0, 192), rows(&card, 1, 96), rows(&card, 2, 96)].concat();
        let grey = vec![128; 192 * 64];
        let nv12 = [rows(&card, 0, 192), grey].concat();
        let yuyv: Vec<u8> = card
            .rows(0)
            .flat_map(|row| row.iter().flat_map(|&y| [y, 128]).collect::<Vec<u8>>())
            .collect();
        let buffers = [
            (layout(Pixels::I420, 192), i420),
            (layout(Pixels::Nv12, 192), nv12),
            (layout(Pixels::Yuyv, 320), yuyv),
        ];
        for (layout, data) in buffers {
            let seen = picture(layout, &data, Duration::ZERO).unwrap();
            assert_eq!(testcard::read_counter(&seen), Some(77), "{layout:?}");
            for cut in [0, 100, data.len() - 1_000] {
                assert!(
                    picture(layout, &data[..cut], Duration::ZERO).is_err(),
                    "{layout:?}"
                );
            }
        }
        assert!(picture(layout(Pixels::Jpeg, 0), b"no picture", Duration::ZERO).is_err());
    }

    #[test]
    fn looking_for_cameras_does_no_harm() {
        for camera in cameras() {
            assert_eq!(camera.info().kind, MediaDeviceKind::VideoInput);
            assert!(!camera.possible_settings(&Default::default()).is_empty());
        }
    }
}
