//! Whatever the text: no panic, and what is read is written so that it reads the same.

use pc_sdp::attributes::*;
use pc_sdp::{SessionDescription, TypedAttribute};
use proptest::prelude::*;

fn survives(text: &str) {
    if let Ok(session) = SessionDescription::parse(text) {
        let written = session.to_sdp();
        let again = SessionDescription::parse(&written).unwrap();
        assert_eq!(again, session);
        assert_eq!(again.to_sdp(), written);
        let _ = session.check();
    }
}

fn value_survives<T: TypedAttribute + PartialEq + std::fmt::Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(
            value.to_string().parse::<T>().as_ref(),
            Ok(&value),
            "{text:?}"
        );
    }
}

fn every_value_survives(text: &str) {
    value_survives::<RtpMap>(text);
    value_survives::<Fmtp>(text);
    value_survives::<RtcpFb>(text);
    value_survives::<ExtMap>(text);
    value_survives::<Mid>(text);
    value_survives::<Group>(text);
    value_survives::<Msid>(text);
    value_survives::<MsidSemantic>(text);
    value_survives::<Ssrc>(text);
    value_survives::<SsrcGroup>(text);
    value_survives::<Content>(text);
    value_survives::<Rid>(text);
    value_survives::<Simulcast>(text);
    value_survives::<ImageAttr>(text);
    value_survives::<Candidate>(text);
    value_survives::<IceUfrag>(text);
    value_survives::<IcePwd>(text);
    value_survives::<IceOptions>(text);
    value_survives::<IcePacing>(text);
    value_survives::<RemoteCandidates>(text);
    value_survives::<Fingerprint>(text);
    value_survives::<Setup>(text);
    value_survives::<TlsId>(text);
    value_survives::<Identity>(text);
    value_survives::<ConnectionReuse>(text);
    value_survives::<Rtcp>(text);
    value_survives::<SctpPort>(text);
    value_survives::<MaxMessageSize>(text);
    value_survives::<SctpMap>(text);
    value_survives::<SctpInit>(text);
    value_survives::<Ptime>(text);
    value_survives::<FrameRate>(text);
}

/// A line that is often right, and near-misses of one.
fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "s= ",
        "i=x",
        "u=x",
        "e=x",
        "p=x",
        "c=IN IP4 0.0.0.0",
        "b=AS:1",
        "t=0 0",
        "r=1 1 0",
        "z=1 -1h",
        "k=prompt",
        "a=x",
        "a=x:y",
        "a=rtpmap:96 x/1",
        "a=mid:0",
        "m=audio 9 x 0",
        "m=video 0/2 x 1 2",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[a-z]=.{0,20}", 1 => "\\PC{0,10}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        survives(&text);
        every_value_survives(&text);
    }

    #[test]
    fn any_lines_are_read_or_refused(
        lines in prop::collection::vec(line(), 0..12),
        end in prop::sample::select(vec!["\r\n", "\n", " \n", "\r"]),
    ) {
        survives(&lines.join(end));
        survives(&format!("v=0{end}o=- 1 1 IN IP4 0.0.0.0{end}s=-{end}t=0 0{end}{}", lines.join(end)));
    }

    #[test]
    fn a_value_made_of_familiar_pieces_is_read_or_refused(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                " ", "  ", ";", ":", "=", ",", "/", "~", "*", "[", "]", "-", "+", ".", "0", "1", "96", "65536", "4294967296", "a",
                "send", "recv", "pt", "typ", "host", "raddr", "rport", "udp", "IN", "IP4", "1.2.3.4", "é", "sha-256", "AB",
                "sendrecv", "x=", "1 1 udp 1 a 1 typ host",
            ]),
            0..16,
        ),
    ) {
        every_value_survives(&pieces.concat());
    }
}
