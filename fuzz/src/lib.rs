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

pub mod congestion;
pub mod dtls;
pub mod ice;
pub mod rtp;
pub mod sctp;
pub mod sdp;
pub mod srtp;
pub mod stun;
pub mod turn;

/// A target: a name, which its seeds' folder and its binary share, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, in the order of the modules above.
pub const TARGETS: &[Target] = &[
    ("congestion_feedback", congestion::congestion_feedback),
    ("dtls_datagrams", dtls::dtls_datagrams),
    ("dtls_damaged_handshake", dtls::dtls_damaged_handshake),
    ("dtls_records", dtls::dtls_records),
    ("ice_candidate", ice::ice_candidate),
    ("ice_agent", ice::ice_agent),
    ("rtp_packet", rtp::rtp_packet),
    ("rtp_rtcp", rtp::rtp_rtcp),
    ("rtp_payload", rtp::rtp_payload),
    ("rtp_streams", rtp::rtp_streams),
    ("sctp_packet", sctp::sctp_packet),
    ("sctp_association", sctp::sctp_association),
    ("sdp_parse", sdp::sdp_parse),
    ("sdp_attribute", sdp::sdp_attribute),
    ("srtp_unprotect", srtp::srtp_unprotect),
    ("srtp_round_trip", srtp::srtp_round_trip),
    ("stun_message", stun::stun_message),
    ("stun_discovery", stun::stun_discovery),
    ("turn_client", turn::turn_client),
    ("turn_stream", turn::turn_stream),
];
