//! The part of libvpx that encoder and decoder share: a context that is destroyed exactly once, and its errors in words.

use std::ffi::CStr;
use vpx_sys::{
    vpx_codec_ctx_t, vpx_codec_destroy, vpx_codec_err_t, vpx_codec_err_to_string,
    vpx_codec_error_detail,
};

pub(super) const LIBRARY: &str = "libvpx";

/// An initialised libvpx context.
///
/// It is boxed because libvpx is given its address with every call, and it exists only between a successful
/// `vpx_codec_*_init_ver` and `vpx_codec_destroy`.
pub(super) struct Context {
    ctx: Box<vpx_codec_ctx_t>,
}

// SAFETY: libvpx keeps everything of a context on the heap behind it, uses no thread-local state, and may be called
// from any thread as long as it is one at a time, which `&mut self` in every method sees to.
unsafe impl Send for Context {}

impl Context {
    /// A context that `init` makes out of a zeroed one; or what `init` says.
    pub(super) fn new(
        init: impl FnOnce(*mut vpx_codec_ctx_t) -> vpx_codec_err_t,
    ) -> Result<Self, String> {
        let mut ctx = Box::new(vpx_codec_ctx_t::default());
        match init(&raw mut *ctx) {
            vpx_codec_err_t::VPX_CODEC_OK => Ok(Context { ctx }),
            // A failed init has destroyed what it had made.
            error => Err(describe(error)),
        }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut vpx_codec_ctx_t {
        &raw mut *self.ctx
    }

    /// An error of a call on this context, with the library's own detail.
    pub(super) fn check(&mut self, error: vpx_codec_err_t) -> Result<(), String> {
        if error == vpx_codec_err_t::VPX_CODEC_OK {
            return Ok(());
        }
        // SAFETY: the context is initialised.
        let detail = unsafe { vpx_codec_error_detail(self.as_mut_ptr()) };
        if detail.is_null() {
            return Err(describe(error));
        }
        // SAFETY: not null, so it is a C string that lives as long as the context is not called again.
        let detail = unsafe { CStr::from_ptr(detail) }.to_string_lossy();
        Err(format!("{}: {detail}", describe(error)))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is initialised and this is the only place that destroys it.
        let _ = unsafe { vpx_codec_destroy(self.as_mut_ptr()) };
    }
}

fn describe(error: vpx_codec_err_t) -> String {
    // SAFETY: takes any value, and returns a static C string.
    let text = unsafe { CStr::from_ptr(vpx_codec_err_to_string(error)) };
    text.to_string_lossy().into_owned()
}
