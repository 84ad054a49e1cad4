//! The decoder.

use super::header::{is_interframe, keyframe_header};
use super::vpx::{Context, LIBRARY};
use crate::codec::{ConfigError, DecodeError, VideoDecoder};
use media::{I420Buffer, VideoFrame};
use std::fmt;
use std::ptr;
use std::time::Duration;
use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vp8_dec_control_id, vpx_codec_control_, vpx_codec_dec_cfg_t,
    vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_err_t, vpx_codec_get_frame,
    vpx_codec_vp8_dx, vpx_image_t, vpx_img_fmt,
};

/// How to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfig {
    /// Threads.
    pub threads: u32,
    /// The most pixels of a picture: a keyframe of ten bytes could otherwise ask for a gigabyte.
    pub max_pixels: u32,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        DecoderConfig {
            threads: 1,
            max_pixels: 4096 * 2304,
        }
    }
}

/// A VP8 decoder. After an error it waits for a keyframe.
pub struct Decoder {
    config: DecoderConfig,
    context: Context,
    needs_keyframe: bool,
}

impl Decoder {
    /// A decoder that waits for its first keyframe.
    pub fn new(config: DecoderConfig) -> Result<Self, ConfigError> {
        if config.threads == 0 || config.threads > 64 {
            return Err(ConfigError::Unsupported {
                setting: "threads",
                problem: "is 1 to 64".to_owned(),
            });
        }
        let context = start(&config).map_err(|problem| ConfigError::Library {
            library: LIBRARY,
            problem,
        })?;
        Ok(Decoder {
            config,
            context,
            needs_keyframe: true,
        })
    }

    /// Whether nothing decodes until a keyframe comes.
    pub fn needs_keyframe(&self) -> bool {
        self.needs_keyframe
    }

    /// Hands the frame to the library. On an error the library is started anew, so that nothing it may have
    /// half changed is used again.
    fn feed(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        let len = u32::try_from(data.len())
            .map_err(|_| DecodeError::TooLarge(format!("a frame of {} bytes", data.len())))?;
        // SAFETY: the context is initialised for VP8 decoding, and `data` is `len` bytes that the library reads
        // during the call only.
        let error = unsafe {
            vpx_codec_decode(
                self.context.as_mut_ptr(),
                data.as_ptr(),
                len,
                ptr::null_mut(),
                0,
            )
        };
        let Err(problem) = self.context.check(error) else {
            return Ok(());
        };
        self.needs_keyframe = true;
        self.context = start(&self.config).map_err(|problem| DecodeError::Library {
            library: LIBRARY,
            problem,
        })?;
        Err(DecodeError::Damaged(problem))
    }

    /// Whether the library had to guess at missing bits of the last frame.
    fn last_is_corrupted(&mut self) -> bool {
        let mut corrupted: i32 = 0;
        // SAFETY: the context is initialised for VP8 decoding, and this control takes a pointer to one `int`
        // (vpx/vp8dx.h) which it writes.
        let error = unsafe {
            vpx_codec_control_(
                self.context.as_mut_ptr(),
                vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as i32,
                &raw mut corrupted,
            )
        };
        error == vpx_codec_err_t::VPX_CODEC_OK && corrupted != 0
    }

    /// The picture that the last frame made, if any.
    fn output(&mut self, timestamp: Duration) -> Result<Option<VideoFrame>, DecodeError> {
        let mut iterator = ptr::null();
        let mut picture = None;
        loop {
            // SAFETY: the context is initialised, and the iterator is null at first and then as the library left it.
            let image =
                unsafe { vpx_codec_get_frame(self.context.as_mut_ptr(), &raw mut iterator) };
            // SAFETY: the library returns null or an image that lives until the context is next called.
            match unsafe { image.as_ref() } {
                Some(image) => picture = Some(copy(image, timestamp)?),
                None => return Ok(picture),
            }
        }
    }
}

impl VideoDecoder for Decoder {
    fn decode(
        &mut self,
        data: &[u8],
        timestamp: Duration,
    ) -> Result<Option<VideoFrame>, DecodeError> {
        if data.is_empty() {
            // libvpx would take it for "the frame is lost, repeat the last one".
            return Err(DecodeError::Damaged("no bytes".to_owned()));
        }
        if is_interframe(data) {
            if self.needs_keyframe {
                return Ok(None);
            }
        } else {
            let header = keyframe_header(data)
                .ok_or_else(|| DecodeError::Damaged("a keyframe without its header".to_owned()))?;
            let pixels = u32::from(header.width) * u32::from(header.height);
            if pixels == 0 {
                return Err(DecodeError::Damaged("a keyframe without pixels".to_owned()));
            }
            if pixels > self.config.max_pixels {
                return Err(DecodeError::TooLarge(format!(
                    "a picture of {}×{} pixels",
                    header.width, header.height
                )));
            }
        }
        self.feed(data)?;
        if self.last_is_corrupted() {
            self.needs_keyframe = true;
            return Err(DecodeError::Damaged("it ends too early".to_owned()));
        }
        self.needs_keyframe = false;
        self.output(timestamp)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("vp8::Decoder")
            .field("config", &self.config)
            .field("needs_keyframe", &self.needs_keyframe)
            .finish_non_exhaustive()
    }
}

fn start(config: &DecoderConfig) -> Result<Context, String> {
    let cfg = vpx_codec_dec_cfg_t {
        threads: config.threads,
        w: 0,
        h: 0,
    };
    Context::new(|ctx| {
        // SAFETY: `ctx` is zeroed, the library copies `cfg` during the call, and the version tells it how these
        // bindings lay both out.
        unsafe {
            vpx_codec_dec_init_ver(
                ctx,
                vpx_codec_vp8_dx(),
                &raw const cfg,
                0,
                VPX_DECODER_ABI_VERSION as i32,
            )
        }
    })
}

/// Copies the library's picture into one of ours.
fn copy(image: &vpx_image_t, timestamp: Duration) -> Result<VideoFrame, DecodeError> {
    let odd = |problem: &str| DecodeError::Library {
        library: LIBRARY,
        problem: problem.to_owned(),
    };
    if image.fmt != vpx_img_fmt::VPX_IMG_FMT_I420 {
        return Err(odd("the picture is not I420"));
    }
    let mut buffer = I420Buffer::new(image.d_w, image.d_h)
        .map_err(|error| DecodeError::TooLarge(error.to_string()))?;
    let luma = (image.d_w as usize, image.d_h as usize);
    let chroma = (buffer.chroma_width(), buffer.chroma_height());
    for (index, to) in buffer.planes_mut().into_iter().enumerate() {
        let (width, height) = if index == 0 { luma } else { chroma };
        let stride = usize::try_from(image.stride[index]).unwrap_or(0);
        let from = image.planes[index].cast_const();
        if from.is_null() || stride < width {
            return Err(odd("a plane is missing"));
        }
        for (row, to) in to.chunks_exact_mut(width).take(height).enumerate() {
            // SAFETY: the plane has `height` rows of `width` bytes, `stride` apart, and lives until the context is
            // next called.
            let from = unsafe { std::slice::from_raw_parts(from.add(row * stride), width) };
            to.copy_from_slice(from);
        }
    }
    Ok(buffer.freeze(timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_keyframe_that_asks_for_too_much() {
        let mut decoder = Decoder::new(DecoderConfig::default()).unwrap();
        let huge = [
            0x50, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0,
        ];
        assert!(matches!(
            decoder.decode(&huge, Duration::ZERO),
            Err(DecodeError::TooLarge(_))
        ));
    }

    #[test]
    fn waits_for_its_first_keyframe() {
        let mut decoder = Decoder::new(DecoderConfig::default()).unwrap();
        assert_eq!(
            decoder.decode(&[0x51, 1, 0, 5, 5], Duration::ZERO),
            Ok(None)
        );
        assert!(decoder.needs_keyframe());
        assert!(decoder.decode(&[], Duration::ZERO).is_err());
    }
}
