//! What real browsers write is understood wholly and written back unchanged.

use pc_sdp::attributes::*;
use pc_sdp::{Attribute, MediaKind, SessionDescription, TypedAttribute};
use std::collections::BTreeSet;
use std::path::Path;

fn captured() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sdp"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 22);
    files
}

fn read(name: &str) -> SessionDescription {
    let (_, text) = captured()
        .into_iter()
        .find(|(have, _)| have == name)
        .unwrap();
    SessionDescription::parse(&text).unwrap()
}

#[test]
fn every_captured_description_comes_back_byte_for_byte() {
    for (name, text) in captured() {
        let session =
            SessionDescription::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(session.to_sdp(), text, "{name}");
        assert_eq!(session.check(), Ok(()), "{name}");
    }
}

#[test]
fn captured_text_with_lone_line_feeds_and_trailing_blanks_means_the_same() {
    for (name, text) in captured() {
        let sloppy = text.replace("\r\n", " \n");
        // A blank may be the whole of a session's name, so that one is left alone.
        let sloppy = sloppy.replace("s=- \n", "s=-\n");
        let session = SessionDescription::parse(&sloppy).unwrap();
        assert_eq!(session.to_sdp(), text, "{name}");
    }
}

/// The value written from its type, when `attribute` is a `T`.
fn rewritten<T: TypedAttribute>(attribute: &Attribute) -> Option<String> {
    attribute
        .read::<T>()
        .map(|value| value.unwrap().to_string())
}

#[test]
fn every_typed_attribute_of_a_browser_writes_what_it_read() {
    let mut untyped = BTreeSet::new();
    for (name, text) in captured() {
        let session = SessionDescription::parse(&text).unwrap();
        let all = session.media.iter().map(|media| &media.attributes);
        for attribute in all.chain([&session.attributes]).flatten() {
            let readers: &[fn(&Attribute) -> Option<String>] = &[
                rewritten::<RtpMap>,
                rewritten::<Fmtp>,
                rewritten::<RtcpFb>,
                rewritten::<ExtMap>,
                rewritten::<Mid>,
                rewritten::<Group>,
                rewritten::<Msid>,
                rewritten::<MsidSemantic>,
                rewritten::<Ssrc>,
                rewritten::<SsrcGroup>,
                rewritten::<Rid>,
                rewritten::<Simulcast>,
                rewritten::<Candidate>,
                rewritten::<IceUfrag>,
                rewritten::<IcePwd>,
                rewritten::<IceOptions>,
                rewritten::<Fingerprint>,
                rewritten::<Setup>,
                rewritten::<Rtcp>,
                rewritten::<SctpPort>,
                rewritten::<MaxMessageSize>,
            ];
            match readers.iter().find_map(|read| read(attribute)) {
                // Chromium writes a blank in front of this one.
                Some(written) => assert_eq!(
                    Some(written.as_str()),
                    attribute.value().map(str::trim_start),
                    "{name}"
                ),
                None if attribute.value().is_some() => {
                    untyped.insert(attribute.name().to_owned());
                }
                None => {}
            }
        }
    }
    assert_eq!(untyped.into_iter().collect::<Vec<_>>(), ["rtcp-xr"]);
}

#[test]
fn an_offer_of_audio_video_and_data_is_understood() {
    for browser in ["chromium", "firefox"] {
        let offer = read(&format!("{browser}-offer-audio-video-data"));
        let kinds: Vec<_> = offer.media.iter().map(|media| media.kind()).collect();
        assert_eq!(
            kinds,
            [MediaKind::Audio, MediaKind::Video, MediaKind::Application]
        );
        assert_eq!(offer.bundles().collect::<Vec<_>>(), [["0", "1", "2"]]);
        for media in &offer.media {
            assert!(offer.ice_ufrag(media).is_some() && offer.ice_pwd(media).is_some());
            assert!(offer.ice_options(media).has("trickle"));
            assert_eq!(offer.setup(media), Some(Setup::ActPass));
            let fingerprints = offer.fingerprints(media);
            assert_eq!(fingerprints.len(), 1);
            assert_eq!(
                (
                    fingerprints[0].algorithm.as_str(),
                    fingerprints[0].bytes.len()
                ),
                ("sha-256", 32)
            );
            assert_eq!(media.media.is_rtp(), media.kind() != MediaKind::Application);
            assert_eq!(
                media.media.is_sctp(),
                media.kind() == MediaKind::Application
            );
        }
        let [audio, video, data] = &offer.media[..] else {
            panic!()
        };
        assert_eq!(offer.direction(audio), Direction::SendRecv);
        let opus = audio.rtp_maps().find(|map| map.is("opus")).unwrap();
        assert_eq!((opus.clock_rate, opus.channels), (48_000, Some(2)));
        let parameters = OpusParameters::from(&audio.fmtp(opus.payload_type).unwrap());
        assert_eq!(parameters.use_inband_fec, Some(true));
        let vp8 = video.rtp_maps().find(|map| map.is("VP8")).unwrap();
        for wanted in ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"] {
            assert!(
                video
                    .rtcp_feedback(vp8.payload_type)
                    .any(|feedback| feedback.is(wanted)),
                "{wanted}"
            );
        }
        let rtx = video.media.payload_types().find(|payload_type| {
            let apt = video
                .fmtp(*payload_type)
                .and_then(|fmtp| RtxParameters::read(&fmtp));
            apt.is_some_and(|rtx| rtx.apt == vp8.payload_type)
        });
        assert!(video.rtp_map(rtx.unwrap()).unwrap().is("rtx"));
        assert_eq!(data.attributes.get::<SctpPort>(), Some(SctpPort(5000)));
        assert!(data.attributes.get::<MaxMessageSize>().is_some());
    }
}

#[test]
fn an_offer_of_simulcast_names_its_streams() {
    for browser in ["chromium", "firefox"] {
        let offer = read(&format!("{browser}-offer-simulcast"));
        let video = &offer.media[0];
        let simulcast: Simulcast = video.attributes.get().unwrap();
        assert_eq!(
            simulcast,
            Simulcast::new(RidDirection::Send, ["q", "h", "f"])
        );
        let rids: Vec<_> = video.attributes.all::<Rid>().map(|rid| rid.id).collect();
        assert_eq!(rids, ["q", "h", "f"]);
    }
}

#[test]
fn a_stopped_section_is_rejected_and_the_restart_has_new_credentials() {
    for browser in ["chromium", "firefox"] {
        let offer = read(&format!("{browser}-offer-restart-stopped"));
        assert!(!offer.media[0].is_rejected());
        assert!(offer.media[1].is_rejected());
        assert_eq!(offer.bundles().collect::<Vec<_>>(), [["0"]]);
    }
}
