//! The encoder.

use super::vpx::{Context, LIBRARY};
use crate::codec::{ConfigError, EncodeError, VideoEncoder};
use bytes::Bytes;
use media::{Bitrate, EncodedFrame, VideoFrame};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;
use vpx_sys::{
    VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_ERROR_RESILIENT_DEFAULT,
    VPX_FRAME_IS_KEY, vp8e_enc_control_id, vpx_codec_control_, vpx_codec_cx_pkt_kind,
    vpx_codec_enc_cfg_t, vpx_codec_enc_config_default, vpx_codec_enc_config_set,
    vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_get_cx_data,
    vpx_codec_vp8_cx, vpx_image_t, vpx_img_fmt, vpx_img_wrap, vpx_kf_mode, vpx_rational,
    vpx_rc_mode,
};

/// Time as libvpx is given it: the RTP clock of video.
const TICKS_PER_SECOND: u32 = 90_000;
/// RFC 6386 §9.1 gives a size 14 bits.
const MAX_SIDE: u32 = 16_383;

/// How to encode.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// The bitrate to aim at.
    pub bitrate: Bitrate,
    /// Pictures a second to expect; the timestamps decide in the end.
    pub frame_rate: f64,
    /// How much quality to give away for speed, 0 to 16. 8 is for calls on ordinary machines.
    pub speed: u8,
    /// Threads; 0 chooses by the size of the picture and the machine.
    pub threads: u32,
    /// Whether a lost frame shall not spoil the decoding of the next ones' bits (it still spoils their pictures).
    /// Costs a few percent of bitrate.
    pub error_resilient: bool,
    /// Whether pictures may be left out when the bitrate is too low for all.
    pub drop_frames: bool,
    /// At most this many frames from one keyframe to the next; `None` leaves it to requests and scene cuts.
    pub keyframe_interval: Option<u32>,
    /// The best (least) and worst (greatest) quantizer, 0 to 63.
    pub quantizer: (u8, u8),
    /// Whether it shows a screen rather than the world.
    pub screen_content: bool,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        EncoderConfig {
            bitrate: Bitrate::from_kbps(1_000),
            frame_rate: 30.0,
            speed: 8,
            threads: 0,
            error_resilient: true,
            drop_frames: true,
            keyframe_interval: None,
            quantizer: (2, 56),
            screen_content: false,
        }
    }
}

impl EncoderConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, problem: &str| {
            Err(ConfigError::Unsupported {
                setting,
                problem: problem.to_owned(),
            })
        };
        if self.speed > 16 {
            return refuse("speed", "is 0 to 16");
        }
        if self.threads > 64 {
            return refuse("threads", "is at most 64");
        }
        let (best, worst) = self.quantizer;
        if worst > 63 || best > worst {
            return refuse("quantizer", "is from 0 to 63, the best first");
        }
        if !(self.frame_rate > 0.0 && self.frame_rate <= 1_000.0) {
            return refuse("frame_rate", "is above 0 and at most 1000");
        }
        Ok(())
    }
}

/// A VP8 encoder. It takes the size of the pictures from the pictures.
pub struct Encoder {
    config: EncoderConfig,
    running: Option<Running>,
    force_keyframe: bool,
    /// Settings changed since the library was told.
    stale: bool,
    last_tick: Option<i64>,
}

/// libvpx at work on pictures of one size.
struct Running {
    context: Context,
    cfg: Box<vpx_codec_enc_cfg_t>,
}

// SAFETY: a `Context` may be sent. The pointers in `cfg` are those of two-pass statistics: null, and never set.
unsafe impl Send for Running {}

impl Encoder {
    /// An encoder of pictures of any size.
    pub fn new(config: EncoderConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Encoder {
            config,
            running: None,
            force_keyframe: false,
            stale: false,
            last_tick: None,
        })
    }

    /// How it encodes now.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// libvpx for pictures of this size. A change of size is a new start: a keyframe is due anyway, and the
    /// library's own way of resizing in flight has been the place of more than one memory error.
    fn running(&mut self, width: u32, height: u32) -> Result<&mut Running, EncodeError> {
        let fits = |r: &Running| (r.cfg.g_w, r.cfg.g_h) == (width, height);
        let mut running = match self.running.take().filter(fits) {
            Some(running) => running,
            None => {
                tracing::debug!(width, height, bitrate = %self.config.bitrate, "VP8 encoder starts");
                self.stale = false;
                Running::start(&self.config, width, height).map_err(library)?
            }
        };
        if std::mem::take(&mut self.stale) {
            running.retune(&self.config).map_err(library)?;
        }
        Ok(self.running.insert(running))
    }

    /// The time of a picture in ticks: as its timestamp says, but always later than the one before.
    fn tick(&mut self, timestamp: Duration) -> i64 {
        let tick = timestamp.as_nanos() * u128::from(TICKS_PER_SECOND) / 1_000_000_000;
        let tick = i64::try_from(tick).unwrap_or(i64::MAX / 2);
        let tick = match self.last_tick {
            Some(last) if tick <= last => last + 1,
            _ => tick,
        };
        self.last_tick = Some(tick);
        tick
    }
}

impl VideoEncoder for Encoder {
    fn encode(&mut self, frame: &VideoFrame) -> Result<Option<EncodedFrame>, EncodeError> {
        if frame.width() > MAX_SIDE || frame.height() > MAX_SIDE {
            return Err(EncodeError::Unsupported(format!(
                "VP8 has no pictures of {}×{}",
                frame.width(),
                frame.height()
            )));
        }
        let frame = frame.to_i420();
        let tick = self.tick(frame.timestamp());
        let duration = (f64::from(TICKS_PER_SECOND) / self.config.frame_rate).max(1.0) as u32;
        let keyframe = self.force_keyframe;
        let running = self.running(frame.width(), frame.height())?;
        let encoded = running
            .encode(&frame, tick, duration, keyframe)
            .map_err(library)?;
        let Some((data, keyframe)) = encoded else {
            return Ok(None);
        };
        if keyframe {
            self.force_keyframe = false;
        }
        let mut encoded = EncodedFrame::video(data, frame.timestamp(), keyframe);
        encoded.duration = Duration::from_secs_f64(1.0 / self.config.frame_rate);
        Ok(Some(encoded))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        if self.config.bitrate != bitrate {
            self.config.bitrate = bitrate;
            self.stale = true;
        }
    }

    fn set_frame_rate(&mut self, frame_rate: f64) {
        if frame_rate > 0.0 && frame_rate <= 1_000.0 {
            self.config.frame_rate = frame_rate;
        }
    }

    fn force_keyframe(&mut self) {
        self.force_keyframe = true;
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("vp8::Encoder")
            .field("config", &self.config)
            .field(
                "size",
                &self.running.as_ref().map(|r| (r.cfg.g_w, r.cfg.g_h)),
            )
            .finish_non_exhaustive()
    }
}

impl Running {
    fn start(config: &EncoderConfig, width: u32, height: u32) -> Result<Self, String> {
        let cfg = Box::new(library_config(config, width, height)?);
        let context = Context::new(|ctx| {
            // SAFETY: `ctx` is zeroed, `cfg` is complete and outlives the context (it is dropped after it), and the
            // version tells the library how these bindings lay both out.
            unsafe {
                vpx_codec_enc_init_ver(
                    ctx,
                    vpx_codec_vp8_cx(),
                    &raw const *cfg,
                    0,
                    VPX_ENCODER_ABI_VERSION as i32,
                )
            }
        })?;
        let mut running = Running { context, cfg };
        running.set_controls(config)?;
        Ok(running)
    }

    fn set_controls(&mut self, config: &EncoderConfig) -> Result<(), String> {
        use vp8e_enc_control_id as id;
        // Below zero, libvpx keeps this speed; above, it would adapt to the load it believes to see.
        self.control(id::VP8E_SET_CPUUSED, -i32::from(config.speed))?;
        // As many token partitions as threads can work on, as a power of two.
        self.control(
            id::VP8E_SET_TOKEN_PARTITIONS,
            self.cfg.g_threads.min(8).ilog2() as i32,
        )?;
        // Leaves out blocks that did not change.
        self.control(id::VP8E_SET_STATIC_THRESHOLD, 1)?;
        self.control(
            id::VP8E_SET_SCREEN_CONTENT_MODE,
            i32::from(config.screen_content),
        )?;
        self.control(
            id::VP8E_SET_MAX_INTRA_BITRATE_PCT,
            max_keyframe_percent(config),
        )
    }

    fn control(&mut self, id: vp8e_enc_control_id, value: i32) -> Result<(), String> {
        // SAFETY: the context is initialised for VP8 encoding, and each control used above takes one `int`
        // (vpx/vp8cx.h).
        let error = unsafe { vpx_codec_control_(self.context.as_mut_ptr(), id as i32, value) };
        self.context.check(error)
    }

    /// Tells the library what changed while it runs.
    fn retune(&mut self, config: &EncoderConfig) -> Result<(), String> {
        self.cfg.rc_target_bitrate = kilobits(config.bitrate);
        // SAFETY: the context is initialised, and `cfg` is the configuration it was made with but for the bitrate.
        let error =
            unsafe { vpx_codec_enc_config_set(self.context.as_mut_ptr(), &raw const *self.cfg) };
        self.context.check(error)
    }

    /// Encodes an I420 picture of the configured size. `None`: left out.
    fn encode(
        &mut self,
        frame: &VideoFrame,
        tick: i64,
        duration: u32,
        keyframe: bool,
    ) -> Result<Option<(Bytes, bool)>, String> {
        let image = borrow_image(frame)?;
        let flags = if keyframe { VPX_EFLAG_FORCE_KF } else { 0 };
        // SAFETY: the context is initialised; `image` describes planes that `frame` keeps alive and that are as long
        // as its strides and rows say. The library copies them and does not write to them.
        let error = unsafe {
            vpx_codec_encode(
                self.context.as_mut_ptr(),
                &raw const image,
                tick,
                duration.into(),
                flags as std::ffi::c_long,
                VPX_DL_REALTIME.into(),
            )
        };
        self.context.check(error)?;
        Ok(self.output())
    }

    /// The frame that the last call made, if any.
    fn output(&mut self) -> Option<(Bytes, bool)> {
        let mut iterator = ptr::null();
        let mut output: Option<(Vec<u8>, bool)> = None;
        loop {
            // SAFETY: the context is initialised, and the iterator is null at first and then as the library left it.
            let packet =
                unsafe { vpx_codec_get_cx_data(self.context.as_mut_ptr(), &raw mut iterator) };
            // SAFETY: the library returns null or a packet that lives until the context is next called.
            let Some(packet) = (unsafe { packet.as_ref() }) else {
                break;
            };
            if packet.kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: a packet of this kind holds a frame.
            let frame = unsafe { packet.data.frame };
            if frame.buf.is_null() || frame.sz == 0 {
                continue;
            }
            // SAFETY: a frame's buffer holds `sz` bytes and lives until the context is next called.
            let bytes =
                unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize) };
            let (data, keyframe) = output.get_or_insert_with(|| (Vec::new(), false));
            data.extend_from_slice(bytes);
            *keyframe |= frame.flags & VPX_FRAME_IS_KEY != 0;
        }
        output.map(|(data, keyframe)| (Bytes::from(data), keyframe))
    }
}

/// libvpx's view of a picture, without a copy.
fn borrow_image(frame: &VideoFrame) -> Result<vpx_image_t, String> {
    let [y, u, v] = frame.planes() else {
        return Err("the picture is not I420".to_owned());
    };
    let mut image = vpx_image_t::default();
    // SAFETY: fills in `image`; the data pointer is only stored, and replaced below.
    let wrapped = unsafe {
        vpx_img_wrap(
            &raw mut image,
            vpx_img_fmt::VPX_IMG_FMT_I420,
            frame.width(),
            frame.height(),
            1,
            y.data().as_ptr().cast_mut(),
        )
    };
    if wrapped.is_null() {
        return Err("the picture's size is refused".to_owned());
    }
    for (index, plane) in [y, u, v].into_iter().enumerate() {
        image.planes[index] = plane.data().as_ptr().cast_mut();
        image.stride[index] =
            i32::try_from(plane.stride()).map_err(|_| "the stride is too long".to_owned())?;
    }
    Ok(image)
}

fn library_config(
    config: &EncoderConfig,
    width: u32,
    height: u32,
) -> Result<vpx_codec_enc_cfg_t, String> {
    let mut cfg = MaybeUninit::<vpx_codec_enc_cfg_t>::zeroed();
    // SAFETY: writes a whole configuration to where it is told.
    let error = unsafe { vpx_codec_enc_config_default(vpx_codec_vp8_cx(), cfg.as_mut_ptr(), 0) };
    if error != vpx_codec_err_t::VPX_CODEC_OK {
        return Err("it has no default configuration".to_owned());
    }
    // SAFETY: the library has just filled it in, and zero is a value of every field besides.
    let mut cfg = unsafe { cfg.assume_init() };
    cfg.g_w = width;
    cfg.g_h = height;
    cfg.g_timebase = vpx_rational {
        num: 1,
        den: TICKS_PER_SECOND as i32,
    };
    cfg.g_threads = threads(config.threads, width * height);
    cfg.g_error_resilient = if config.error_resilient {
        VPX_ERROR_RESILIENT_DEFAULT
    } else {
        0
    };
    // Nothing is held back to look ahead.
    cfg.g_lag_in_frames = 0;
    cfg.rc_end_usage = vpx_rc_mode::VPX_CBR;
    cfg.rc_target_bitrate = kilobits(config.bitrate);
    cfg.rc_resize_allowed = 0;
    cfg.rc_dropframe_thresh = if config.drop_frames { 30 } else { 0 };
    cfg.rc_min_quantizer = config.quantizer.0.into();
    cfg.rc_max_quantizer = config.quantizer.1.into();
    // A receiver that follows within a second: a bucket of one second, kept a little more than half full.
    cfg.rc_undershoot_pct = 100;
    cfg.rc_overshoot_pct = 15;
    cfg.rc_buf_sz = 1_000;
    cfg.rc_buf_initial_sz = 500;
    cfg.rc_buf_optimal_sz = 600;
    cfg.kf_mode = vpx_kf_mode::VPX_KF_AUTO;
    cfg.kf_min_dist = 0;
    cfg.kf_max_dist = config.keyframe_interval.unwrap_or(i32::MAX as u32);
    Ok(cfg)
}

/// One thread for each 640×360 pixels or so, and no more than the machine has.
fn threads(wanted: u32, pixels: u32) -> u32 {
    if wanted > 0 {
        return wanted;
    }
    let machine = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    match pixels {
        0..400_000 => 1,
        400_000..1_000_000 => machine.min(2),
        _ => machine.min(4),
    }
}

/// The size of a keyframe in percent of an average frame: half the optimal buffer, but never less than three frames.
fn max_keyframe_percent(config: &EncoderConfig) -> i32 {
    let percent = 600.0 / 1_000.0 * 0.5 * config.frame_rate * 100.0;
    (percent as i32).max(300)
}

fn kilobits(bitrate: Bitrate) -> u32 {
    u32::try_from(bitrate.kbps().max(1))
        .unwrap_or(u32::MAX)
        .min(i32::MAX as u32 / 1_000)
}

fn library(problem: String) -> EncodeError {
    EncodeError::Library {
        library: LIBRARY,
        problem,
    }
}
