//! The `a=fmtp` parameters of the codecs of WebRTC. Each reads any [`Fmtp`], with the defaults of its RFC for what is missing.

use super::Fmtp;
use std::fmt::{self, Display};

/// Writes `name=value` pairs with `;` between them.
struct List<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    first: bool,
}

impl<'a, 'b> List<'a, 'b> {
    fn new(f: &'a mut fmt::Formatter<'b>) -> Self {
        Self { f, first: true }
    }

    fn put(&mut self, name: &str, value: Option<impl Display>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let separator = if std::mem::take(&mut self.first) {
            ""
        } else {
            ";"
        };
        write!(self.f, "{separator}{name}={value}")
    }

    fn flag(&mut self, name: &str, value: Option<bool>) -> fmt::Result {
        self.put(name, value.map(u8::from))
    }
}

/// RFC 7587 §6.1. What is `None` is not written and means the default in parentheses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpusParameters {
    /// Shortest packet wanted, in ms (3).
    pub minptime: Option<u32>,
    /// Whether in-band forward error correction is of use (no).
    pub use_inband_fec: Option<bool>,
    /// Whether discontinuous transmission is welcome (no).
    pub use_dtx: Option<bool>,
    /// Whether stereo is preferred to receive (no).
    pub stereo: Option<bool>,
    /// Whether stereo is likely to be sent (no).
    pub sprop_stereo: Option<bool>,
    /// Whether a constant bitrate is wanted (no).
    pub cbr: Option<bool>,
    /// Highest average bitrate to receive, in bit/s.
    pub max_average_bitrate: Option<u32>,
    /// Highest sample rate worth sending, in Hz (48000).
    pub max_playback_rate: Option<u32>,
}

impl From<&Fmtp> for OpusParameters {
    fn from(fmtp: &Fmtp) -> Self {
        Self {
            minptime: fmtp.number("minptime"),
            use_inband_fec: fmtp.flag("useinbandfec"),
            use_dtx: fmtp.flag("usedtx"),
            stereo: fmtp.flag("stereo"),
            sprop_stereo: fmtp.flag("sprop-stereo"),
            cbr: fmtp.flag("cbr"),
            max_average_bitrate: fmtp.number("maxaveragebitrate"),
            max_playback_rate: fmtp.number("maxplaybackrate"),
        }
    }
}

impl Display for OpusParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List::new(f);
        list.put("maxplaybackrate", self.max_playback_rate)?;
        list.flag("stereo", self.stereo)?;
        list.flag("sprop-stereo", self.sprop_stereo)?;
        list.put("maxaveragebitrate", self.max_average_bitrate)?;
        list.put("minptime", self.minptime)?;
        list.flag("useinbandfec", self.use_inband_fec)?;
        list.flag("usedtx", self.use_dtx)?;
        list.flag("cbr", self.cbr)
    }
}

/// RFC 6184 §8.1, as far as WebRTC needs it (RFC 7742 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264Parameters {
    /// profile_idc, the constraint flags, level_idc; 0x42000a when not said.
    pub profile_level_id: u32,
    /// 0: one NAL unit a packet; 1: also aggregated and fragmented, without interleaving.
    pub packetization_mode: u8,
    /// Whether the answerer may choose another level.
    pub level_asymmetry_allowed: bool,
}

impl From<&Fmtp> for H264Parameters {
    fn from(fmtp: &Fmtp) -> Self {
        let id = fmtp.get("profile-level-id").filter(|id| id.len() == 6);
        Self {
            profile_level_id: id
                .and_then(|id| u32::from_str_radix(id, 16).ok())
                .unwrap_or(0x42_000a),
            packetization_mode: fmtp
                .number("packetization-mode")
                .map_or(0, |mode| mode.min(2) as u8),
            level_asymmetry_allowed: fmtp.flag("level-asymmetry-allowed").unwrap_or(false),
        }
    }
}

impl Display for H264Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List::new(f);
        list.flag(
            "level-asymmetry-allowed",
            Some(self.level_asymmetry_allowed),
        )?;
        list.put("packetization-mode", Some(self.packetization_mode))?;
        list.put(
            "profile-level-id",
            Some(format_args!("{:06x}", self.profile_level_id)),
        )
    }
}

impl H264Parameters {
    /// profile_idc
    pub fn profile(&self) -> u8 {
        (self.profile_level_id >> 16) as u8
    }

    /// The constraint flags.
    pub fn constraints(&self) -> u8 {
        (self.profile_level_id >> 8) as u8
    }

    /// level_idc
    pub fn level(&self) -> u8 {
        self.profile_level_id as u8
    }
}

/// RFC 9628 §7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp9Parameters {
    /// 0 when not said.
    pub profile_id: u8,
}

impl From<&Fmtp> for Vp9Parameters {
    fn from(fmtp: &Fmtp) -> Self {
        Self {
            profile_id: fmtp.number("profile-id").map_or(0, |id| id.min(255) as u8),
        }
    }
}

impl Display for Vp9Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        List::new(f).put("profile-id", Some(self.profile_id))
    }
}

/// The AV1 RTP payload format, §7.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Av1Parameters {
    /// 0, main, when not said.
    pub profile: u8,
    /// 5, level 3.1, when not said.
    pub level_idx: u8,
    /// 0, main, when not said.
    pub tier: u8,
}

impl Default for Av1Parameters {
    fn default() -> Self {
        Self {
            profile: 0,
            level_idx: 5,
            tier: 0,
        }
    }
}

impl From<&Fmtp> for Av1Parameters {
    fn from(fmtp: &Fmtp) -> Self {
        let number = |name, default| fmtp.number(name).map_or(default, |n: u32| n.min(255) as u8);
        Self {
            profile: number("profile", 0),
            level_idx: number("level-idx", 5),
            tier: number("tier", 0),
        }
    }
}

impl Display for Av1Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List::new(f);
        list.put("level-idx", Some(self.level_idx))?;
        list.put("profile", Some(self.profile))?;
        list.put("tier", Some(self.tier))
    }
}

/// RFC 4588 §8.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtxParameters {
    /// The payload type that is retransmitted.
    pub apt: u8,
    /// How long the sender keeps packets, in ms.
    pub rtx_time: Option<u32>,
}

impl RtxParameters {
    /// `None`: there is no `apt`, so it is not of `rtx`.
    pub fn read(fmtp: &Fmtp) -> Option<Self> {
        Some(Self {
            apt: super::payload_type(fmtp.get("apt")?)?,
            rtx_time: fmtp.number("rtx-time"),
        })
    }
}

impl Display for RtxParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List::new(f);
        list.put("apt", Some(self.apt))?;
        list.put("rtx-time", self.rtx_time)
    }
}
