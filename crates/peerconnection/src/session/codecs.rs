//! Which codecs and header extensions this side knows, and what two sides have in common.

use crate::rtp_parameters::{RtpCodec, RtpCodecParameters, RtpHeaderExtensionParameters};
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

/// The extensions of one kind of media, in the order they are offered.
pub(crate) fn extensions(kind: MediaKind) -> &'static [&'static str] {
    match kind {
        MediaKind::Audio => &[AUDIO_LEVEL_URI, MID_URI],
        MediaKind::Video => &[MID_URI, RID_URI, REPAIRED_RID_URI],
    }
}

/// A codec that this side knows, with the payload type it prefers and the feedback it takes.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) codec: RtpCodec,
    pub(crate) payload_type: u8,
    pub(crate) feedback: &'static [&'static str],
    /// The payload type preferred for its retransmissions (RFC 4588), when it has any.
    pub(crate) rtx: Option<u8>,
}

const VIDEO_FEEDBACK: &[&str] = &["ccm fir", "nack", "nack pli"];

/// All codecs of one kind, the preferred one first.
pub(crate) fn known(kind: MediaKind) -> Vec<Known> {
    let codec = |mime_type: &str, clock_rate, channels, fmtp: &str| RtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate,
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
    };
    match kind {
        MediaKind::Audio => vec![
            // RFC 7587 §7: opus is always 48000/2 in SDP.
            Known {
                codec: codec("audio/opus", 48_000, Some(2), "minptime=10;useinbandfec=1"),
                payload_type: 111,
                feedback: &[],
                rtx: None,
            },
            // RFC 3551 §6: static payload types.
            Known {
                codec: codec("audio/PCMU", 8_000, None, ""),
                payload_type: 0,
                feedback: &[],
                rtx: None,
            },
            Known {
                codec: codec("audio/PCMA", 8_000, None, ""),
                payload_type: 8,
                feedback: &[],
                rtx: None,
            },
        ],
        MediaKind::Video => vec![Known {
            codec: codec("video/VP8", 90_000, None, ""),
            payload_type: 96,
            feedback: VIDEO_FEEDBACK,
            rtx: Some(97),
        }],
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
    fn payload_type(&mut self, codec: &RtpCodec, preferred: u8) -> Option<u8> {
        let same = |known: &RtpCodec| match codec.name().eq_ignore_ascii_case("rtx") {
            true => known == codec,
            false => known.matches(codec),
        };
        if let Some((number, _)) = self.payload_types.iter().find(|(_, known)| same(known)) {
            return Some(*number);
        }
        // Dynamic payload types that RTCP multiplexing leaves free (RFC 5761 §4, RFC 8829 §5.2.1).
        let free = std::iter::once(preferred)
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
        kind: MediaKind,
        preferences: &[RtpCodec],
    ) -> Vec<RtpCodecParameters> {
        let mut offered = Vec::new();
        for known in in_order_of(preferences, known(kind)) {
            let Some(payload_type) = self.payload_type(&known.codec, known.payload_type) else {
                continue;
            };
            offered.push(RtpCodecParameters {
                payload_type,
                codec: known.codec,
                feedback: known
                    .feedback
                    .iter()
                    .map(|&feedback| feedback.to_owned())
                    .collect(),
            });
            if let Some(preferred) = known.rtx {
                let rtx = rtx_codec(payload_type);
                if let Some(number) = self.payload_type(&rtx, preferred) {
                    offered.push(RtpCodecParameters {
                        payload_type: number,
                        codec: rtx,
                        feedback: Vec::new(),
                    });
                }
            }
        }
        offered
    }

    /// The extensions to offer.
    pub(crate) fn offered_extensions(
        &mut self,
        kind: MediaKind,
    ) -> Vec<RtpHeaderExtensionParameters> {
        extensions(kind)
            .iter()
            .filter_map(|uri| {
                let id = self.extension_id(uri)?;
                Some(RtpHeaderExtensionParameters {
                    uri: (*uri).to_owned(),
                    id,
                    encrypted: false,
                })
            })
            .collect()
    }
}

fn rtx_codec(payload_type: u8) -> RtpCodec {
    RtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        channels: None,
        sdp_fmtp_line: format!("apt={payload_type}"),
    }
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
    kind: MediaKind,
    offered: &[RtpCodecParameters],
    preferences: &[RtpCodec],
) -> Vec<RtpCodecParameters> {
    let known = in_order_of(preferences, known(kind));
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
                    sdp_fmtp_line: answered_fmtp(&known[place].codec, &codec.codec),
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
    for (_, codec) in common {
        let payload_type = codec.payload_type;
        answered.push(codec);
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
        "h264" | "vp9" | "av1" => offered.sdp_fmtp_line.clone(),
        _ => ours.sdp_fmtp_line.clone(),
    }
}

/// The offered extensions that this side knows, under the offered numbers.
pub(crate) fn answered_extensions(
    kind: MediaKind,
    offered: &[RtpHeaderExtensionParameters],
) -> Vec<RtpHeaderExtensionParameters> {
    offered
        .iter()
        .filter(|extension| extensions(kind).contains(&extension.uri.as_str()))
        .cloned()
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
            feedback: vec!["nack".into(), "transport-cc".into()],
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
        let answered = answered_codecs(MediaKind::Video, &offered, &[]);
        let numbers: Vec<u8> = answered.iter().map(|codec| codec.payload_type).collect();
        assert_eq!(numbers, [120, 121]);
        assert_eq!(answered[0].feedback, ["nack"]);
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
        let audio = numbers.offered_codecs(MediaKind::Audio, &[]);
        assert_eq!(audio[0].payload_type, 109);
        let video = numbers.offered_codecs(MediaKind::Video, &[]);
        assert_ne!(video[0].payload_type, 96, "96 is the peer's AV1");
        assert_eq!(
            video[1].associated_payload_type(),
            Some(video[0].payload_type)
        );
        assert_eq!(
            numbers.offered_codecs(MediaKind::Video, &[])[0].payload_type,
            video[0].payload_type
        );
    }

    #[test]
    fn preferences_choose_and_order_what_is_offered() {
        let pcma = known(MediaKind::Audio)[2].codec.clone();
        let offered = Numbers::default().offered_codecs(MediaKind::Audio, &[pcma]);
        assert_eq!(offered.len(), 1);
        assert_eq!(offered[0].payload_type, 8);
    }
}
