//! Session descriptions and the values of their attributes.

use sdp::attributes::{
    Candidate, ExtMap, Fingerprint, Fmtp, Group, IceOptions, ImageAttr, Msid, MsidSemantic,
    RemoteCandidates, Rid, Rtcp, RtcpFb, RtpMap, SctpMap, Simulcast, Ssrc, SsrcGroup,
};
use sdp::{SessionDescription, TypedAttribute};

/// What is read is written so that it reads the same, and the checks and shortcuts accept whatever was read.
pub fn sdp_parse(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(session) = SessionDescription::parse(&text) else {
        return;
    };
    let written = session.to_sdp();
    let again = SessionDescription::parse(&written).expect("what is written can be read");
    assert_eq!(again, session);
    assert_eq!(again.to_sdp(), written);
    let _ = session.check();
    for media in &session.media {
        let _ = session.direction(media);
        let _ = session.fingerprints(media);
        let _ = session.ice_options(media);
        let _ = session.setup(media);
        let _ = media.candidates().count();
        for payload_type in media.media.payload_types().take(8) {
            let _ = media.rtp_map(payload_type);
            let _ = media.fmtp(payload_type);
            let _ = media.rtcp_feedback(payload_type).count();
        }
        let mut changed = media.clone();
        changed.media.set_port(0);
        assert!(changed.media.formats().eq(media.media.formats()));
    }
}

/// The value of an attribute, as every type.
pub fn sdp_attribute(data: &[u8]) {
    fn value<T: TypedAttribute + PartialEq + std::fmt::Debug>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            assert_eq!(value.to_string().parse().as_ref(), Ok(&value));
        }
    }
    let text = String::from_utf8_lossy(data);
    value::<Candidate>(&text);
    value::<ExtMap>(&text);
    value::<Fingerprint>(&text);
    value::<Fmtp>(&text);
    value::<Group>(&text);
    value::<IceOptions>(&text);
    value::<ImageAttr>(&text);
    value::<Msid>(&text);
    value::<MsidSemantic>(&text);
    value::<RemoteCandidates>(&text);
    value::<Rid>(&text);
    value::<RtcpFb>(&text);
    value::<Rtcp>(&text);
    value::<RtpMap>(&text);
    value::<SctpMap>(&text);
    value::<Simulcast>(&text);
    value::<Ssrc>(&text);
    value::<SsrcGroup>(&text);
}
