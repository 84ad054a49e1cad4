//! Codecs, header extensions and encodings as the interface shows them (W3C WebRTC §5.2).

use crate::data_channel::Priority;
use crate::error::Error;
use crate::states::TransceiverDirection;
use serde::Serialize;

pub(crate) use media::MediaKind;

/// `RTCRtpCodec` (W3C WebRTC §5.2.8): a codec and how it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodec {
    /// Kind and name, as in `audio/opus`. Compared without regard to case.
    pub mime_type: String,
    /// Ticks of the RTP clock per second.
    pub clock_rate: u32,
    /// Audio channels; `None` for video and for one channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// The `a=fmtp` parameters without the payload type; empty when there are none.
    #[serde(rename = "sdpFmtpLine", skip_serializing_if = "String::is_empty")]
    pub sdp_fmtp_line: String,
}

impl RtpCodec {
    /// The name behind the slash, as it stands in `a=rtpmap`.
    pub fn name(&self) -> &str {
        self.mime_type
            .split_once('/')
            .map_or(self.mime_type.as_str(), |(_, name)| name)
    }

    /// Whether this is a codec of its own, not a helper such as `rtx`.
    pub fn is_media(&self) -> bool {
        ![
            "rtx",
            "red",
            "ulpfec",
            "flexfec-03",
            "telephone-event",
            "CN",
        ]
        .iter()
        .any(|helper| self.name().eq_ignore_ascii_case(helper))
    }

    /// One parameter of the `fmtp` line.
    pub fn fmtp(&self, name: &str) -> Option<&str> {
        self.sdp_fmtp_line.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            key.trim()
                .eq_ignore_ascii_case(name)
                .then_some(value.trim())
        })
    }

    /// "Codec dictionary match" (W3C WebRTC §5.4, `setCodecPreferences`): whether the two say the same. With
    /// `ignore_asymmetrical`, parameters that each side chooses for itself may differ.
    pub fn dictionary_match(&self, other: &RtpCodec, ignore_asymmetrical: bool) -> bool {
        self.matches(other)
            && self.channels.is_some() == other.channels.is_some()
            && self.sdp_fmtp_line.is_empty() == other.sdp_fmtp_line.is_empty()
            && (ignore_asymmetrical || self.parameters() == other.parameters())
    }

    /// The `fmtp` parameters without regard to their order, blanks, or the case of their names.
    fn parameters(&self) -> Vec<(String, String)> {
        let parameters = self.sdp_fmtp_line.split(';').map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (key.trim().to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut parameters: Vec<_> = parameters.filter(|(key, _)| !key.is_empty()).collect();
        parameters.sort();
        parameters
    }

    /// Whether a payload in one of the two can be read as the other: name, clock and channels
    /// agree, and so do the `fmtp` parameters that make a different format.
    pub fn matches(&self, other: &RtpCodec) -> bool {
        let same_parameter = |name: &str, default: &str| {
            self.fmtp(name)
                .unwrap_or(default)
                .eq_ignore_ascii_case(other.fmtp(name).unwrap_or(default))
        };
        let same_format = match self.name().to_ascii_lowercase().as_str() {
            // RFC 6184 §8.1: the packetization mode and the profile (not the level) make the format.
            "h264" => {
                same_parameter("packetization-mode", "0")
                    && h264_profile(self) == h264_profile(other)
            }
            // RFC 9628 §6.1.
            "vp9" => same_parameter("profile-id", "0"),
            "av1" => same_parameter("profile", "0"),
            _ => true,
        };
        same_format
            && self.mime_type.eq_ignore_ascii_case(&other.mime_type)
            && self.clock_rate == other.clock_rate
            && self.channels.unwrap_or(1) == other.channels.unwrap_or(1)
    }
}

/// The sub-profile of an H.264 format as one representative of those that mean the same: `profile_idc` and the bits of
/// `profile-iop` that count (RFC 6184 §8.1, table 5). Without the parameter it is the Baseline profile.
fn h264_profile(codec: &RtpCodec) -> (u8, u8) {
    let id = codec.fmtp("profile-level-id").unwrap_or("420010");
    let Ok(id) = u32::from_str_radix(id, 16) else {
        return (0, 0);
    };
    let [_, idc, iop, _] = id.to_be_bytes();
    const CONSTRAINED_BASELINE: (u8, u8) = (0x42, 0x40);
    const BASELINE: (u8, u8) = (0x42, 0);
    match idc {
        _ if iop & 0x0f != 0 => (idc, iop),
        0x42 if iop & 0x40 != 0 => CONSTRAINED_BASELINE,
        0x42 => BASELINE,
        0x4d if iop & 0x80 != 0 => CONSTRAINED_BASELINE,
        0x4d if iop & 0x20 == 0 => (0x4d, 0),
        0x58 if iop & 0xc0 == 0xc0 => CONSTRAINED_BASELINE,
        0x58 if iop & 0xc0 == 0x80 => BASELINE,
        0x58 if iop & 0xc0 == 0 => (0x58, 0),
        _ => (idc, iop),
    }
}

/// A codec that the application encodes and decodes itself, or only forwards: [`Configuration::application_codecs`]
/// (not W3C).
///
/// Once agreed, its frames go through [`RtpSender::send_encoded`] and [`RtpReceiver::encoded_frames`], its packets through
/// [`RtpReceiver::packets`]; a track that is to be encoded here needs another codec.
///
/// [`Configuration::application_codecs`]: crate::Configuration::application_codecs
/// [`RtpSender::send_encoded`]: crate::RtpSender::send_encoded
/// [`RtpReceiver::encoded_frames`]: crate::RtpReceiver::encoded_frames
/// [`RtpReceiver::packets`]: crate::RtpReceiver::packets
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationCodec {
    /// Name, clock rate, channels and the `fmtp` parameters that are offered.
    pub codec: RtpCodec,
    /// The RTCP feedback that is offered, as in `nack pli` (RFC 4585 §4.2).
    pub feedback: Vec<String>,
    /// Whether lost packets are sent again in a format of their own (RFC 4588).
    pub rtx: bool,
}

impl ApplicationCodec {
    /// What browsers use for video: transport-wide congestion control, FIR, NACK, PLI.
    pub const VIDEO_FEEDBACK: &'static [&'static str] =
        &["transport-cc", "ccm fir", "nack", "nack pli"];

    /// A video codec with a clock of 90 kHz, retransmission and [`ApplicationCodec::VIDEO_FEEDBACK`].
    pub fn video(name: &str, sdp_fmtp_line: &str) -> Self {
        ApplicationCodec {
            codec: RtpCodec {
                mime_type: format!("video/{name}"),
                clock_rate: 90_000,
                channels: None,
                sdp_fmtp_line: sdp_fmtp_line.to_owned(),
            },
            feedback: Self::VIDEO_FEEDBACK
                .iter()
                .map(|&it| it.to_owned())
                .collect(),
            rtx: true,
        }
    }

    /// H.264 in packetization mode 1 (RFC 6184): `profile_level_id` is three bytes in hexadecimal, as in `42e01f` for the
    /// Constrained Baseline profile up to level 3.1.
    pub fn h264(profile_level_id: &str) -> Self {
        let fmtp = format!(
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile_level_id}"
        );
        Self::video("H264", &fmtp)
    }

    /// VP9 of this profile, 0 to 3 (RFC 9628 §6.1).
    pub fn vp9(profile: u8) -> Self {
        Self::video("VP9", &format!("profile-id={profile}"))
    }

    pub(crate) fn kind(&self) -> Option<MediaKind> {
        match self.codec.mime_type.split_once('/')? {
            (kind, _) if kind.eq_ignore_ascii_case("audio") => Some(MediaKind::Audio),
            (kind, _) if kind.eq_ignore_ascii_case("video") => Some(MediaKind::Video),
            _ => None,
        }
    }

    /// Whether its payloads can be made and read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let name = &self.codec.mime_type;
        let Some(kind) = self.kind() else {
            return Err(Error::Type(format!("{name} is neither audio nor video")));
        };
        let format = rtp::payload::PayloadFormat::from_encoding_name(self.codec.name());
        let is_video = kind == MediaKind::Video;
        if !self.codec.is_media() || format.is_none_or(|format| format.is_video() != is_video) {
            return Err(Error::NotSupported(format!(
                "{name} has no payload format here"
            )));
        }
        let h264 = self.codec.name().eq_ignore_ascii_case("h264");
        if h264 && self.codec.fmtp("packetization-mode") != Some("1") {
            return Err(Error::NotSupported(
                "H.264 is sent in packetization mode 1 alone".into(),
            ));
        }
        if self.codec.clock_rate == 0 {
            return Err(Error::Type(format!("{name} has no clock rate")));
        }
        Ok(())
    }
}

/// `RTCRtpCodecParameters` (W3C WebRTC §5.2.9): a codec under its payload type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecParameters {
    /// The RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What is behind it.
    #[serde(flatten)]
    pub codec: RtpCodec,
    /// The feedback that was agreed, as in `nack pli` (RFC 4585 §4.2).
    #[serde(skip)]
    pub feedback: Vec<String>,
}

impl RtpCodecParameters {
    /// The payload type that this `rtx` codec repairs (RFC 4588 §8.1).
    pub fn associated_payload_type(&self) -> Option<u8> {
        self.codec.fmtp("apt")?.parse().ok()
    }

    /// Whether this feedback was agreed.
    pub fn has_feedback(&self, feedback: &str) -> bool {
        self.feedback
            .iter()
            .any(|agreed| agreed.eq_ignore_ascii_case(feedback))
    }
}

/// `RTCRtpHeaderExtensionParameters` (W3C WebRTC §5.2.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RtpHeaderExtensionParameters {
    /// What the extension is.
    pub uri: String,
    /// Its number in packets, 1 to 14 (255 in the two-byte form; RFC 8285).
    pub id: u8,
    /// Whether it is encrypted (RFC 6904).
    pub encrypted: bool,
    /// Which way it may be used, as this side sees it (RFC 8285 §5).
    #[serde(skip)]
    pub(crate) direction: TransceiverDirection,
}

/// `RTCResolutionRestriction` (W3C WebRTC Extensions): a size that holds for upright and for wide pictures alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionRestriction {
    /// The most pixels of one side, above 0.
    pub max_width: u32,
    /// The most pixels of the other side, above 0.
    pub max_height: u32,
}

/// `RTCRtpEncodingParameters` (W3C WebRTC §5.2.4): one of the encodings that a sender produces.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpEncodingParameters {
    /// The restriction identifier (RFC 8851) that names this encoding; needed when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// Whether this encoding is sent.
    pub active: bool,
    /// The most to send, in bits per second, without transport overhead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<u32>,
    /// The most frames per second; video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_framerate: Option<f64>,
    /// By how much width and height are divided, at least 1.0; video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_by: Option<f64>,
    /// The most width and height, instead of `scale_resolution_down_by`; video only (W3C WebRTC Extensions,
    /// `scaleResolutionDownTo`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_to: Option<ResolutionRestriction>,
    /// The preferred length of a packet in milliseconds, or the next that the codec has; audio only (W3C WebRTC Extensions,
    /// `ptime`). What the peer prefers when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ptime: Option<u32>,
    /// Whether packets may get longer while there is little bitrate; audio only, and not with `ptime` (W3C WebRTC
    /// Extensions, `adaptivePtime`).
    pub adaptive_ptime: bool,
    /// Which of the agreed codecs to use; the first of them when `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<RtpCodec>,
    /// How this encoding stands to the others when there is too little bitrate for all (W3C WebRTC Priority §4).
    pub priority: Priority,
    /// How the network is asked to treat its packets (W3C WebRTC Priority §4, RFC 8837).
    pub network_priority: Priority,
}

impl Default for RtpEncodingParameters {
    fn default() -> Self {
        RtpEncodingParameters {
            rid: None,
            active: true,
            max_bitrate: None,
            max_framerate: None,
            scale_resolution_down_by: None,
            scale_resolution_down_to: None,
            ptime: None,
            adaptive_ptime: false,
            codec: None,
            priority: Priority::Low,
            network_priority: Priority::Low,
        }
    }
}

impl RtpEncodingParameters {
    /// By how much a picture of this size is scaled down in each dimension; never less than 1.0.
    pub(crate) fn scale_for(&self, width: u32, height: u32) -> f64 {
        let Some(most) = self.scale_resolution_down_to else {
            return self.scale_resolution_down_by.unwrap_or(1.0).max(1.0);
        };
        // "Orientation agnostic": the longer side is held to the longer limit.
        let (long, short) = (width.max(height), width.min(height));
        let most_long = most.max_width.max(most.max_height).max(1);
        let most_short = most.max_width.min(most.max_height).max(1);
        let long = f64::from(long) / f64::from(most_long);
        let short = f64::from(short) / f64::from(most_short);
        long.max(short).max(1.0)
    }

    /// The first of these codecs that this encoding may use: the one that it names, else the preferred one
    /// (W3C WebRTC §5.2.4, `codec`).
    pub(crate) fn choose<'c>(
        &self,
        agreed: &'c [RtpCodecParameters],
    ) -> Option<&'c RtpCodecParameters> {
        let mut media = agreed.iter().filter(|codec| codec.codec.is_media());
        match &self.codec {
            Some(wanted) => media
                .clone()
                .find(|codec| codec.codec.dictionary_match(wanted, true))
                .or_else(|| media.next()),
            None => media.next(),
        }
    }
}

/// The checks that `addTransceiver` and `setParameters` share, and the defaults that they fill in (W3C WebRTC §5.1,
/// "addTransceiver sendEncodings validation steps"; §5.2, "setParameters validation steps"). The two name some errors
/// differently: `invalid` makes those.
pub(crate) fn check_encodings(
    kind: MediaKind,
    encodings: &mut [RtpEncodingParameters],
    invalid: impl Fn(String) -> Error,
    default_scale: impl Fn(usize) -> f64,
) -> Result<(), Error> {
    check_extensions(kind, encodings).map_err(|problem| invalid(problem.into()))?;
    for encoding in encodings.iter_mut() {
        if kind == MediaKind::Audio {
            encoding.scale_resolution_down_by = None;
            encoding.max_framerate = None;
        }
        if encoding
            .scale_resolution_down_by
            .is_some_and(|factor| factor.is_nan() || factor < 1.0)
        {
            return Err(Error::Range("scale_resolution_down_by is below 1.0".into()));
        }
        if encoding
            .max_framerate
            .is_some_and(|rate| rate.is_nan() || rate < 0.0)
        {
            return Err(Error::Range("max_framerate is below 0.0".into()));
        }
    }
    if kind == MediaKind::Video {
        for (index, encoding) in encodings.iter_mut().enumerate() {
            encoding
                .scale_resolution_down_by
                .get_or_insert_with(|| default_scale(index));
        }
    }
    Ok(())
}

/// What `InvalidModificationError` says of an encoding that wants a fixed packet time and one that changes.
pub(crate) const PTIME_TWICE: &str = "ptime is set, and adaptive_ptime as well";

/// The checks of W3C WebRTC Extensions, "RTCRtpEncodingParameters extensions".
fn check_extensions(
    kind: MediaKind,
    encodings: &mut [RtpEncodingParameters],
) -> Result<(), &'static str> {
    for encoding in encodings.iter_mut() {
        match kind {
            MediaKind::Audio => encoding.scale_resolution_down_to = None,
            MediaKind::Video => (encoding.ptime, encoding.adaptive_ptime) = (None, false),
        }
    }
    let restricted = |encoding: &RtpEncodingParameters| encoding.scale_resolution_down_to.is_some();
    if encodings.iter().any(restricted)
        && !encodings
            .iter()
            .all(|encoding| !encoding.active || restricted(encoding))
    {
        return Err("scale_resolution_down_to is for all active encodings or for none");
    }
    if encodings
        .iter()
        .filter_map(|encoding| encoding.scale_resolution_down_to)
        .any(|most| most.max_width == 0 || most.max_height == 0)
    {
        return Err("scale_resolution_down_to has a side of no pixels");
    }
    Ok(())
}

/// `RTCDegradationPreference` (W3C WebRTC MST Content Hints §4): what to give up first when there is too little bitrate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DegradationPreference {
    /// Pictures get smaller before they get fewer.
    MaintainFramerate,
    /// Pictures get fewer before they get smaller.
    MaintainResolution,
    /// A little of both.
    #[default]
    Balanced,
}

/// `RTCRtcpParameters` (W3C WebRTC §5.2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtcpParameters {
    /// The canonical name that reports carry; a receiver has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cname: Option<String>,
    /// Whether reports may be of reduced size (RFC 5506).
    pub reduced_size: bool,
}

/// `RTCRtpSendParameters` (W3C WebRTC §5.2.2): what `getParameters` gives and `setParameters` takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpSendParameters {
    /// Which call of `getParameters` these come from; `setParameters` wants it back. Read-only.
    pub transaction_id: String,
    /// The encodings. Their number, order and `rid` are read-only.
    pub encodings: Vec<RtpEncodingParameters>,
    /// The header extensions that were agreed. Read-only.
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// RTCP settings. Read-only.
    pub rtcp: RtcpParameters,
    /// The codecs that were agreed. Read-only.
    pub codecs: Vec<RtpCodecParameters>,
    /// What to give up first; video only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degradation_preference: Option<DegradationPreference>,
}

/// `RTCRtpReceiveParameters` (W3C WebRTC §5.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpReceiveParameters {
    /// The header extensions that this side is ready to receive.
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// RTCP settings.
    pub rtcp: RtcpParameters,
    /// The codecs that this side is ready to receive.
    pub codecs: Vec<RtpCodecParameters>,
}

/// `RTCSetParameterOptions` (W3C WebRTC Extensions §5.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetParameterOptions {
    /// One entry an encoding, or none at all: whether its next picture shall be a keyframe.
    pub encoding_options: Vec<EncodingOptions>,
}

/// `RTCEncodingOptions` (W3C WebRTC Extensions §5.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodingOptions {
    /// Asks the encoder for a keyframe.
    pub key_frame: bool,
}

/// `RTCRtpHeaderExtensionCapability` (W3C WebRTC §5.2.11, W3C WebRTC Extensions §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RtpHeaderExtensionCapability {
    /// What the extension is.
    pub uri: String,
    /// Which way it is used; `stopped` is not at all.
    pub direction: TransceiverDirection,
}

/// `RTCRtpCapabilities` (W3C WebRTC §5.2.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCapabilities {
    /// The codecs, the preferred one first.
    pub codecs: Vec<RtpCodec>,
    /// The header extensions.
    pub header_extensions: Vec<RtpHeaderExtensionCapability>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(mime_type: &str, fmtp: &str) -> RtpCodec {
        RtpCodec {
            mime_type: mime_type.into(),
            clock_rate: 90_000,
            channels: None,
            sdp_fmtp_line: fmtp.into(),
        }
    }

    #[test]
    fn h264_profiles_and_packetization_modes_are_formats_of_their_own() {
        let baseline = codec(
            "video/H264",
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        );
        assert!(baseline.matches(&codec(
            "video/h264",
            "packetization-mode=1;profile-level-id=4de01f"
        )));
        assert!(!baseline.matches(&codec(
            "video/H264",
            "packetization-mode=0;profile-level-id=42e01f"
        )));
        assert!(!baseline.matches(&codec(
            "video/H264",
            "packetization-mode=1;profile-level-id=640032"
        )));
        assert!(!baseline.matches(&codec("video/VP8", "")));
    }

    #[test]
    fn h264_profiles_are_the_same_as_table_5_of_rfc_6184_says_whatever_their_level() {
        let with = |id: &str| codec("video/H264", &format!("profile-level-id={id}"));
        let sub_profiles: [&[&str]; 7] = [
            &[
                "42e01f", "42c00d", "42401e", "4d8034", "4dc01f", "58c01f", "58f00a",
            ],
            &["42001f", "420010", "428034", "42b00a", "58801f"],
            &["4d001f", "4d4028"],
            &["58001f", "583028"],
            &["64001f", "640034"],
            &["6e001f"],
            &["6e101f"],
        ];
        for (index, ids) in sub_profiles.iter().enumerate() {
            for (other_index, other_ids) in sub_profiles.iter().enumerate() {
                for (id, other) in ids
                    .iter()
                    .flat_map(|id| other_ids.iter().map(move |o| (id, o)))
                {
                    let same = with(id).matches(&with(other));
                    assert_eq!(same, index == other_index, "{id} and {other}");
                }
            }
        }
        assert!(codec("video/H264", "").matches(&with("42001f")));
        assert!(!codec("video/H264", "").matches(&with("42e01f")));
    }

    #[test]
    fn codec_dictionary_match_compares_all_parameters_unless_told_otherwise() {
        let opus = codec("audio/opus", "minptime=10;useinbandfec=1");
        assert!(opus.dictionary_match(&codec("audio/OPUS", "useinbandfec=1; minptime=10"), false));
        assert!(!opus.dictionary_match(&codec("audio/opus", "minptime=20;useinbandfec=1"), false));
        assert!(opus.dictionary_match(&codec("audio/opus", "minptime=20"), true));
        assert!(!opus.dictionary_match(&codec("audio/opus", ""), true));
    }

    #[test]
    fn scale_resolution_down_to_fits_pictures_of_either_orientation_and_never_upscales() {
        let encoding = |max_width, max_height| RtpEncodingParameters {
            scale_resolution_down_by: Some(8.0),
            scale_resolution_down_to: Some(ResolutionRestriction {
                max_width,
                max_height,
            }),
            ..RtpEncodingParameters::default()
        };
        assert_eq!(encoding(640, 360).scale_for(1280, 720), 2.0);
        assert_eq!(encoding(360, 640).scale_for(1280, 720), 2.0);
        assert_eq!(encoding(640, 360).scale_for(720, 1280), 2.0);
        assert_eq!(encoding(640, 180).scale_for(1280, 720), 4.0);
        assert_eq!(encoding(1920, 1080).scale_for(1280, 720), 1.0);
        let by = RtpEncodingParameters {
            scale_resolution_down_by: Some(3.0),
            ..RtpEncodingParameters::default()
        };
        assert_eq!(by.scale_for(1280, 720), 3.0);
    }

    #[test]
    fn reads_fmtp_parameters_with_blanks_between() {
        let opus = codec("audio/opus", "minptime=10; useinbandfec=1");
        assert_eq!(opus.fmtp("useinbandfec"), Some("1"));
        assert_eq!(opus.fmtp("stereo"), None);
        let rtx = RtpCodecParameters {
            payload_type: 97,
            codec: codec("video/rtx", "apt=96"),
            feedback: vec![],
        };
        assert_eq!(rtx.associated_payload_type(), Some(96));
        assert!(!rtx.codec.is_media());
    }
}
