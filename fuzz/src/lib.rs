//! Fuzz targets: one a parser, and one a state machine fed with arbitrary datagrams.
//!
//! A target is a plain function over bytes, in the module of the crate it exercises. It must neither panic,
//! nor loop, nor allocate far beyond what it was given, whatever the bytes. Adding one takes:
//!
//! 1. `pub fn name(data: &[u8])` in `src/<crate>.rs`, and a row in [`TARGETS`];
//! 2. `fuzz_targets/name.rs` (three lines) and its `[[bin]]` in `Cargo.toml`, for libFuzzer;
//! 3. a few seeds in `seeds/name/`, which `tests/replay.rs` replays on every `cargo xtask test`.
//!
//! An input that once broke a target is kept as a seed named after the defect.

pub mod sdp;

/// A target: a name, which its seeds' folder and its binary share, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, in the order of the modules above.
pub const TARGETS: &[Target] = &[
    ("sdp_parse", sdp::sdp_parse),
    ("sdp_attribute", sdp::sdp_attribute),
];
