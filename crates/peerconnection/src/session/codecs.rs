//! Which codecs and header extensions this side knows, and what two sides have in common.

use super::transceiver::PacketTime;
use crate::rtp_parameters::{
    ApplicationCodec, RtpCapabilities, RtpCodec, RtpCodecParameters, RtpHeaderExtensionCapability,
    RtpHeaderExtensionParameters,
};
use crate::states::TransceiverDirection;
use media::MediaKind;
use std::collections::BTreeMap;

/// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143 §15.1).
pub(crate) const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// RFC 8852 §3.1.
pub(crate) const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// RFC 8852 §3.2.
pub(crate) const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// RFC 6464 §4.
pub(crate) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// RFC 6465 §3.
pub(crate) const CSRC_AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:csrc-audio-level";
/// Transport-wide congestion control, as browsers have it (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
pub(crate) const TRANSPORT_CC_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The extensions of one kind of media, in the order they are offered, and which way each is used.
pub(crate) fn extensions(kind: MediaKind) -> Vec<RtpHeaderExtensionCapability> {
    use TransceiverDirection::{RecvOnly, SendRecv};
    let list: &[(&str, TransceiverDirection)] = match kind {
        MediaKind::Audio => &[
            (AUDIO_LEVEL_URI, SendRecv),
            (TRANSPORT_CC_URI, SendRecv),
            (MID_URI, SendRecv),
            (CSRC_AUDIO_LEVEL_URI, RecvOnly),
        ],
        MediaKind::Video => &[
            (TRANSPORT_CC_URI, SendRecv),
            (MID_URI, SendRecv),
            (RID_URI, SendRecv),
            (REPAIRED_RID_URI, SendRecv),
        ],
    };
    list.iter()
        .map(|(uri, direction)| RtpHeaderExtensionCapability {
            uri: (*uri).to_owned(),
            direction: *direction,
        })
        .collect()
}

/// A codec that this side knows, with the payload type it prefers and the feedback it takes.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) codec: RtpCodec,
    pub(crate) payload_type: Option<u8>,
    pub(crate) feedback: Vec<String>,
    /// Whether it is retransmitted (RFC 4588); its `rtx` prefers the payload type after its own.
    pub(crate) rtx: bool,
}

/// What descriptions of this side ask for: the least of what its codecs take (RFC 9429 §5.2.1), which is that of Opus
/// (RFC 7587 §6.1).
pub(crate) fn packet_time(kind: MediaKind) -> PacketTime {
    PacketTime {
        preferred: None,
        most: (kind == MediaKind::Audio).then_some(120.0),
    }
}

/// What the library encodes itself, under the payload types that browsers use for it: name, clock rate, channels,
/// parameters, payload type.
type Own = (&'static str, u32, Option<u16>, &'static str, u8);

const OWN_AUDIO: &[Own] = &[
    // RFC 7587 §7: opus is always 48000/2 in SDP.
    (
        "audio/opus",
        48_000,
        Some(2),
        "minptime=10;stereo=1;useinbandfec=1",
        111,
    ),
    // RFC 3551 §6: static payload types.
    ("audio/PCMU", 8_000, None, "", 0),
    ("audio/PCMA", 8_000, None, "", 8),
    // RFC 4733 §2.3: under the clock of the sound it stands in for; RFC 7874 §3 wants the tones 0 to 15.
    ("audio/telephone-event", 48_000, None, "0-15", 110),
    ("audio/telephone-event", 8_000, None, "0-15", 126),
];

const OWN_VIDEO: &[Own] = &[("video/VP8", 90_000, None, "", 96)];

/// The codecs that a connection knows: the library's own, then those that the application brings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue(Vec<ApplicationCodec>);

impl Catalogue {
    pub(crate) fn new(codecs: &[ApplicationCodec]) -> Self {
        Catalogue(codecs.to_vec())
    }

    /// All codecs of one kind, the preferred one first.
    pub(crate) fn known(&self, kind: MediaKind) -> Vec<Known> {
        let own = match kind {
            MediaKind::Audio => OWN_AUDIO,
            MediaKind::Video => OWN_VIDEO,
        };
        let own = own
            .iter()
            .map(|(name, clock_rate, channels, fmtp, number)| {
                let feedback: &[&str] = match (kind, *name) {
                    (MediaKind::Video, _) => ApplicationCodec::VIDEO_FEEDBACK,
                    (_, "audio/opus") => &["transport-cc"],
                    _ => &[],
                };
                Known {
                    codec: RtpCodec {
                        mime_type: (*name).to_owned(),
                        clock_rate: *clock_rate,
                        channels: *channels,
                        sdp_fmtp_line: (*fmtp).to_owned(),
                    },
                    payload_type: Some(*number),
                    feedback: feedback.iter().map(|&it| it.to_owned()).collect(),
                    rtx: kind == MediaKind::Video,
                }
            });
        let further = self.0.iter().filter(|codec| codec.kind() == Some(kind));
        let further = further.map(|codec| Known {
            codec: codec.codec.clone(),
            payload_type: None,
            feedback: codec.feedback.clone(),
            rtx: codec.rtx,
        });
        own.chain(further).collect()
    }

    /// What `getCapabilities` gives (W3C WebRTC §5.2, §5.3).
    pub(crate) fn capabilities(&self, kind: MediaKind) -> RtpCapabilities {
        let known = self.known(kind);
        let rtx = known.iter().any(|known| known.rtx).then(|| RtpCodec {
            mime_type: format!("{}/rtx", kind.as_str()),
            clock_rate: 90_000,
            channels: None,
            sdp_fmtp_line: String::new(),
        });
        RtpCapabilities {
            codecs: known
                .into_iter()
                .map(|known| known.codec)
                .chain(rtx)
                .collect(),
            header_extensions: extensions(kind),
        }
    }
}

/// The payload types and extension ids of one connection: equal things keep their number over
/// re-negotiations, and within a BUNDLE group a number means one thing (RFC 9143 §10.1).
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    payload_types: Vec<(u8, RtpCodec)>,
    extension_ids: BTreeMap<u8, String>,
}

impl Numbers {
    /// Takes over the numbers that the peer has chosen.
    pub(crate) fn learn(
        &mut self,
        codecs: &[RtpCodecParameters],
        extensions: &[RtpHeaderExtensionParameters],
    ) {
        for codec in codecs {
            match self
                .payload_types
                .iter_mut()
                .find(|(number, _)| *number == codec.payload_type)
            {
                Some((_, known)) => *known = codec.codec.clone(),
                None => self
                    .payload_types
                    .push((codec.payload_type, codec.codec.clone())),
            }
        }
        for extension in extensions {
            self.extension_ids
                .insert(extension.id, extension.uri.clone());
        }
    }

    /// The number for this codec: the one it has, else the preferred, else a free one.
    fn payload_type(&mut self, codec: &RtpCodec, preferred: Option<u8>) -> Option<u8> {
        let same = |known: &RtpCodec| match codec.name().eq_ignore_ascii_case("rtx") {
            true => known == codec,
            false => known.matches(codec),
        };
        if let Some((number, _)) = self.payload_types.iter().find(|(_, known)| same(known)) {
            return Some(*number);
        }
        // Dynamic payload types that RTCP multiplexing leaves free (RFC 5761 §4, RFC 8829 §5.2.1).
        let free = preferred
            .into_iter()
            .chain(96..=127)
            .chain(35..=63)
            .find(|number| !self.payload_types.iter().any(|(taken, _)| taken == number))?;
        self.payload_types.push((free, codec.clone()));
        Some(free)
    }

    fn extension_id(&mut self, uri: &str) -> Option<u8> {
        if let Some((id, _)) = self
            .extension_ids
            .iter()
            .find(|(_, known)| known.as_str() == uri)
        {
            return Some(*id);
        }
        let id = (1..=14).find(|id| !self.extension_ids.contains_key(id))?;
        self.extension_ids.insert(id, uri.to_owned());
        Some(id)
    }

    /// The codecs to offer: the preferred ones (all, when there is no preference), each with its
    /// retransmission format.
    pub(crate) fn offered_codecs(
        &mut self,
        catalogue: &Catalogue,
        kind: MediaKind,
        preferences: &[RtpCodec],
    ) -> Vec<RtpCodecParameters> {
        let mut offered = Vec::new();
        let retransmits = takes_rtx(preferences);
        for known in in_order_of(preferences, catalogue.known(kind)) {
            let Some(payload_type) = self.payload_type(&known.codec, known.payload_type) else {
                continue;
            };
            let preferred = known.payload_type.map(|number| number + 1);
            let rtx = rtx_codec(kind, payload_type, known.codec.clock_rate);
            offered.push(RtpCodecParameters {
                payload_type,
                codec: known.codec,
                feedback: known.feedback,
            });
            if known.rtx
                && retransmits
                && let Some(number) = self.payload_type(&rtx, preferred)
            {
                offered.push(RtpCodecParameters {
                    payload_type: number,
                    codec: rtx,
                    feedback: Vec::new(),
                });
            }
        }
        offered
    }

    /// The extensions to offer: those that are to be negotiated (W3C WebRTC Extensions §5.1).
    pub(crate) fn offered_extensions(
        &mut self,
        wanted: &[RtpHeaderExtensionCapability],
    ) -> Vec<RtpHeaderExtensionParameters> {
        wanted
            .iter()
            .filter(|extension| extension.direction != TransceiverDirection::Stopped)
            .filter_map(|extension| {
                Some(RtpHeaderExtensionParameters {
                    id: self.extension_id(&extension.uri)?,
                    uri: extension.uri.clone(),
                    encrypted: false,
                    direction: extension.direction,
                })
            })
            .collect()
    }
}

/// RFC 4588 §8.6: with the clock of what it repairs.
fn rtx_codec(kind: MediaKind, payload_type: u8, clock_rate: u32) -> RtpCodec {
    RtpCodec {
        mime_type: format!("{}/rtx", kind.as_str()),
        clock_rate,
        channels: None,
        sdp_fmtp_line: format!("apt={payload_type}"),
    }
}

/// Preferences that do not list `rtx` switch it off (W3C WebRTC §5.4, `setCodecPreferences`).
fn takes_rtx(preferences: &[RtpCodec]) -> bool {
    preferences.is_empty()
        || preferences
            .iter()
            .any(|codec| codec.name().eq_ignore_ascii_case("rtx"))
}

/// The known codecs in the order of the preferences; all of them when there are none.
fn in_order_of(preferences: &[RtpCodec], known: Vec<Known>) -> Vec<Known> {
    if preferences.is_empty() {
        return known;
    }
    preferences
        .iter()
        .filter_map(|wanted| {
            known
                .iter()
                .find(|known| known.codec.matches(wanted))
                .cloned()
        })
        .collect()
}

/// What an answer takes of an offer: the offered codecs that this side knows, in the offerer's
/// order unless there are preferences (RFC 3264 §6.1, RFC 8829 §5.3.1), under the offered numbers.
pub(crate) fn answered_codecs(
    catalogue: &Catalogue,
    kind: MediaKind,
    offered: &[RtpCodecParameters],
    preferences: &[RtpCodec],
) -> Vec<RtpCodecParameters> {
    common_codecs(catalogue, kind, offered, preferences, answered_fmtp)
}

/// What this side may send of what the peer's description takes, in the same order, but as the peer wants to receive it
/// (W3C WebRTC §5.2.9: "for an RTCRtpSender, the sdpFmtpLine parameters come from the remote description").
pub(crate) fn sent_codecs(
    catalogue: &Catalogue,
    kind: MediaKind,
    described: &[RtpCodecParameters],
    preferences: &[RtpCodec],
) -> Vec<RtpCodecParameters> {
    common_codecs(catalogue, kind, described, preferences, |_, theirs| {
        theirs.sdp_fmtp_line.clone()
    })
}

fn common_codecs(
    catalogue: &Catalogue,
    kind: MediaKind,
    offered: &[RtpCodecParameters],
    preferences: &[RtpCodec],
    fmtp: impl Fn(&RtpCodec, &RtpCodec) -> String,
) -> Vec<RtpCodecParameters> {
    let known = in_order_of(preferences, catalogue.known(kind));
    let mut common: Vec<(usize, RtpCodecParameters)> = offered
        .iter()
        .filter_map(|codec| {
            let place = known
                .iter()
                .position(|known| known.codec.matches(&codec.codec))?;
            let feedback = codec
                .feedback
                .iter()
                .filter(|feedback| {
                    known[place]
                        .feedback
                        .iter()
                        .any(|ours| feedback.eq_ignore_ascii_case(ours))
                })
                .cloned()
                .collect();
            let codec = RtpCodecParameters {
                payload_type: codec.payload_type,
                codec: RtpCodec {
                    sdp_fmtp_line: fmtp(&known[place].codec, &codec.codec),
                    ..codec.codec.clone()
                },
                feedback,
            };
            Some((place, codec))
        })
        .collect();
    if !preferences.is_empty() {
        common.sort_by_key(|(place, _)| *place);
    }
    let mut answered = Vec::new();
    let retransmits = takes_rtx(preferences);
    for (place, codec) in common {
        let payload_type = codec.payload_type;
        answered.push(codec);
        if !retransmits || !known[place].rtx {
            continue;
        }
        answered.extend(
            offered
                .iter()
                .find(|rtx| {
                    rtx.codec.name().eq_ignore_ascii_case("rtx")
                        && rtx.associated_payload_type() == Some(payload_type)
                })
                .map(|rtx| RtpCodecParameters {
                    feedback: Vec::new(),
                    ..rtx.clone()
                }),
        );
    }
    answered
}

/// Formats whose parameters must come back as offered keep the offered line; the others say what
/// this side wants to receive.
fn answered_fmtp(ours: &RtpCodec, offered: &RtpCodec) -> String {
    match ours.name().to_ascii_lowercase().as_str() {
        "h264" => h264_answer(ours, offered),
        "vp9" | "av1" => offered.sdp_fmtp_line.clone(),
        _ => ours.sdp_fmtp_line.clone(),
    }
}

/// RFC 6184 §8.2.2: the offered profile and packetization mode, at no higher level than both take; with
/// `level-asymmetry-allowed` on both sides at this side's own.
fn h264_answer(ours: &RtpCodec, offered: &RtpCodec) -> String {
    let level = |codec: &RtpCodec| {
        let id = codec.fmtp("profile-level-id").unwrap_or("420010");
        u32::from_str_radix(id, 16).map_or([0; 4], u32::to_be_bytes)
    };
    // Level 1b is 11 with constraint_set3_flag (§8.1), and lower than level 1.1.
    let rank = |[_, _, iop, level]: [u8; 4]| (level, !(level == 11 && iop & 0x10 != 0));
    let (own, theirs) = (level(ours), level(offered));
    let asymmetric = [ours, offered]
        .iter()
        .all(|codec| codec.fmtp("level-asymmetry-allowed") == Some("1"));
    let chosen = match asymmetric || rank(own) < rank(theirs) {
        true => own,
        false => theirs,
    };
    if chosen[3] == theirs[3] {
        return offered.sdp_fmtp_line.clone();
    }
    let iop = match chosen[3] {
        11 => theirs[2] & !0x10 | chosen[2] & 0x10,
        _ => theirs[2],
    };
    let id = format!(
        "profile-level-id={:02x}{iop:02x}{:02x}",
        theirs[1], chosen[3]
    );
    let parameters = offered.sdp_fmtp_line.split(';').map(str::trim);
    let mut parameters: Vec<&str> = parameters
        .filter(|parameter| !parameter.is_empty() && !parameter.starts_with("profile-level-id"))
        .collect();
    parameters.push(&id);
    parameters.join(";")
}

/// The offered extensions that are to be negotiated here, under the offered numbers, in a direction that does not
/// exceed the offered one (W3C WebRTC Extensions §5.1, RFC 8285 §6).
pub(crate) fn answered_extensions(
    wanted: &[RtpHeaderExtensionCapability],
    offered: &[RtpHeaderExtensionParameters],
) -> Vec<RtpHeaderExtensionParameters> {
    offered
        .iter()
        .filter_map(|offered| {
            let ours = wanted
                .iter()
                .find(|wanted| wanted.uri == offered.uri)?
                .direction;
            let direction = ours.intersect(offered.direction.reversed());
            // One that neither side may use is of no use, except that MID stays what bundling stands on.
            let used = ours != TransceiverDirection::Stopped
                && direction != TransceiverDirection::Inactive;
            used.then(|| RtpHeaderExtensionParameters {
                direction,
                ..offered.clone()
            })
        })
        .collect()
}

/// What an answer makes of the extensions to negotiate (W3C WebRTC Extensions §5.1, "Modifications to existing
/// procedures"): each in the direction that was answered, as this side sees it, else stopped.
pub(crate) fn negotiated_extensions(
    wanted: &[RtpHeaderExtensionCapability],
    answered: &[RtpHeaderExtensionParameters],
    remote: bool,
) -> Vec<RtpHeaderExtensionCapability> {
    wanted
        .iter()
        .map(|wanted| {
            let answer = answered.iter().find(|answer| answer.uri == wanted.uri);
            let direction = match answer.map(|answer| answer.direction) {
                None => TransceiverDirection::Stopped,
                Some(direction) if remote => direction.reversed().intersect(wanted.direction),
                Some(direction) => direction,
            };
            RtpHeaderExtensionCapability {
                uri: wanted.uri.clone(),
                direction,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(
        payload_type: u8,
        mime_type: &str,
        clock_rate: u32,
        channels: Option<u16>,
        fmtp: &str,
    ) -> RtpCodecParameters {
        let codec = RtpCodec {
            mime_type: mime_type.into(),
            clock_rate,
            channels,
            sdp_fmtp_line: fmtp.into(),
        };
        RtpCodecParameters {
            payload_type,
            codec,
            feedback: vec!["nack".into(), "transport-cc".into(), "goog-remb".into()],
        }
    }

    #[test]
    fn an_answer_keeps_the_offerers_numbers_and_order_and_only_common_feedback() {
        let offered = [
            parameters(100, "video/AV1", 90_000, None, ""),
            parameters(120, "video/VP8", 90_000, None, ""),
            parameters(121, "video/rtx", 90_000, None, "apt=120"),
            parameters(101, "video/rtx", 90_000, None, "apt=100"),
        ];
        let answered = answered_codecs(&Catalogue::default(), MediaKind::Video, &offered, &[]);
        let numbers: Vec<u8> = answered.iter().map(|codec| codec.payload_type).collect();
        assert_eq!(numbers, [120, 121]);
        assert_eq!(answered[0].feedback, ["nack", "transport-cc"]);
    }

    #[test]
    fn offers_use_the_numbers_that_the_peer_chose_before() {
        let mut numbers = Numbers::default();
        numbers.learn(
            &[
                parameters(96, "video/AV1", 90_000, None, ""),
                parameters(109, "audio/opus", 48_000, Some(2), ""),
            ],
            &[],
        );
        let audio = numbers.offered_codecs(&Catalogue::default(), MediaKind::Audio, &[]);
        assert_eq!(audio[0].payload_type, 109);
        let video = numbers.offered_codecs(&Catalogue::default(), MediaKind::Video, &[]);
        assert_ne!(video[0].payload_type, 96, "96 is the peer's AV1");
        assert_eq!(
            video[1].associated_payload_type(),
            Some(video[0].payload_type)
        );
        assert_eq!(
            numbers.offered_codecs(&Catalogue::default(), MediaKind::Video, &[])[0].payload_type,
            video[0].payload_type
        );
    }

    #[test]
    fn preferences_choose_and_order_what_is_offered() {
        let pcma = Catalogue::default().known(MediaKind::Audio)[2]
            .codec
            .clone();
        let offered =
            Numbers::default().offered_codecs(&Catalogue::default(), MediaKind::Audio, &[pcma]);
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0].payload_type, 8);
    }

    #[test]
    fn an_h264_answer_has_the_offered_profile_at_the_lower_level_or_its_own_where_both_may_differ()
    {
        let h264 = |id: &str, more: &str| {
            let fmtp = format!("packetization-mode=1;profile-level-id={id}{more}");
            parameters(102, "video/H264", 90_000, None, &fmtp).codec
        };
        let both = ";level-asymmetry-allowed=1";
        let answer = |own: &RtpCodec, offered: &RtpCodec| {
            let line = answered_fmtp(own, offered);
            let codec = h264("", "");
            let codec = RtpCodec {
                sdp_fmtp_line: line,
                ..codec
            };
            assert_eq!(codec.fmtp("packetization-mode"), Some("1"));
            codec.fmtp("profile-level-id").map(str::to_owned)
        };
        let id = |id: &str| Some(id.to_owned());
        assert_eq!(
            answer(&h264("42e01f", ""), &h264("42c033", "")),
            id("42c01f")
        );
        assert_eq!(
            answer(&h264("42e01f", both), &h264("42e00d", "")),
            id("42e00d")
        );
        assert_eq!(
            answer(&h264("42e01f", both), &h264("42e00d", both)),
            id("42e01f")
        );
        assert_eq!(
            answer(&h264("42f00b", ""), &h264("42e01f", "")),
            id("42f00b")
        );
        assert_eq!(
            answer(&h264("42e00b", ""), &h264("42f00b", "")),
            id("42f00b")
        );
    }
}
