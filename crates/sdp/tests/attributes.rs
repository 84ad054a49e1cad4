//! The typed attributes: the examples of their RFCs read and written, and what their grammars refuse.

use pc_sdp::attributes::*;
use pc_sdp::{Attribute, Attributes, MediaDescription, MediaKind, TypedAttribute};

/// Reads `value`, finds the same text when written, and returns what was read.
#[track_caller]
fn same<T: TypedAttribute + PartialEq + std::fmt::Debug>(value: &str) -> T {
    let read: T = value
        .parse()
        .unwrap_or_else(|error| panic!("{value}: {error}"));
    assert_eq!(read.to_string(), value);
    let attribute = Attribute::from(value.parse::<T>().unwrap());
    assert_eq!(attribute.line(), format!("{}:{value}", T::NAME));
    assert_eq!(attribute.read::<T>().unwrap().as_ref(), Ok(&read));
    read
}

/// Every one of `values` is refused, at the byte that its `|` marks.
#[track_caller]
fn refused<T: TypedAttribute + std::fmt::Debug>(values: &[&str]) {
    for marked in values {
        let value = marked.replace('|', "");
        let error = value.parse::<T>().unwrap_err();
        assert_eq!(Some(error.offset), marked.find('|'), "{marked}: {error}");
    }
}

#[test]
fn rtpmap() {
    let map: RtpMap = same("111 opus/48000/2");
    assert_eq!(map, RtpMap::new(111, "opus", 48_000).with_channels(2));
    assert!(map.is("OPUS"));
    same::<RtpMap>("96 VP8/90000");
    refused::<RtpMap>(&[
        "|",
        "|x VP8/90000",
        "|128 VP8/90000",
        "96 |",
        "96 |VP8",
        "96 |/90000",
        "96 |VP8/x",
        "96 |a/1/2/3",
        "96 a/1 |b",
    ]);
}

#[test]
fn fmtp_and_the_parameters_of_codecs() {
    let fmtp: Fmtp = same("111 minptime=10; UseInbandFEC=1;stereo");
    assert_eq!(fmtp.payload_type(), Some(111));
    assert!(fmtp.iter().eq([
        ("minptime", Some("10")),
        ("UseInbandFEC", Some("1")),
        ("stereo", None)
    ]));
    let opus = OpusParameters::from(&fmtp);
    assert_eq!(
        (opus.minptime, opus.use_inband_fec, opus.stereo),
        (Some(10), Some(true), None)
    );
    assert_eq!(
        Fmtp::new(111, &opus).to_string(),
        "111 minptime=10;useinbandfec=1"
    );

    let text = "102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    let h264 = H264Parameters::from(&same::<Fmtp>(text));
    assert_eq!(
        (h264.profile(), h264.constraints(), h264.level()),
        (0x42, 0xe0, 0x1f)
    );
    assert_eq!(Fmtp::new(102, h264).to_string(), text);
    let default = H264Parameters::from(&Fmtp::new(102, ""));
    assert_eq!(
        (default.profile_level_id, default.packetization_mode),
        (0x42_000a, 0)
    );

    assert_eq!(Vp9Parameters::from(&same("98 profile-id=2")).profile_id, 2);
    assert_eq!(
        Av1Parameters::from(&same("45 level-idx=8;profile=1")).level_idx,
        8
    );
    assert_eq!(
        Av1Parameters::from(&Fmtp::new(45, "")),
        Av1Parameters::default()
    );
    let rtx = RtxParameters::read(&same("97 apt=96;rtx-time=3000")).unwrap();
    assert_eq!((rtx.apt, rtx.rtx_time), (96, Some(3000)));
    assert_eq!(RtxParameters::read(&same("63 111/111")), None);
    assert_eq!(
        same::<Fmtp>("webrtc-datachannel max=1").payload_type(),
        None
    );
    refused::<Fmtp>(&["|"]);
}

#[test]
fn rtcp_feedback() {
    assert!(same::<RtcpFb>("96 nack pli").is("nack pli"));
    assert!(!same::<RtcpFb>("96 nack pli").is("nack"));
    assert_eq!(same::<RtcpFb>("* ccm tmmbr smaxpr=120").payload_type, None);
    assert_eq!(
        same::<RtcpFb>("96 trr-int 100"),
        RtcpFb::new(96, "trr-int 100")
    );
    refused::<RtcpFb>(&["|", "|a nack", "96|"]);
}

#[test]
fn extmap() {
    let map: ExtMap = same("3/sendonly URI-A-org#x 1 2");
    assert_eq!(
        (map.id, map.direction, map.parameters.as_deref()),
        (3, Some(Direction::SendOnly), Some("1 2"))
    );
    same::<ExtMap>("4096 urn:ietf:params:rtp-hdrext:toffset");
    refused::<ExtMap>(&["|/sendonly u", "|1/sideways u", "1|"]);
}

#[test]
fn streams_and_groups() {
    same::<Mid>("0");
    refused::<Mid>(&["|", "|a b", "|a,b"]);
    assert_eq!(
        same::<Group>("BUNDLE 0 1 2"),
        Group::bundle(["0", "1", "2"])
    );
    assert_eq!(same::<Group>("LS a b").semantics, GroupSemantics::LipSync);
    assert_eq!(same::<Group>("BUNDLE").mids.len(), 0);
    assert_eq!(same::<Msid>("- track").stream_id(), None);
    assert_eq!(same::<Msid>("stream").track, None);
    assert_eq!("WMS *".parse::<MsidSemantic>().unwrap().streams, ["*"]);
    assert_eq!(
        same::<Ssrc>("2570614736 cname:{a b}:c"),
        Ssrc::cname(2_570_614_736, "{a b}:c")
    );
    assert_eq!(same::<Ssrc>("1 flag").value, None);
    refused::<Ssrc>(&["|4294967296 cname:x", "1|", "1 |:x"]);
    assert_eq!(
        same::<SsrcGroup>("FID 1 2"),
        SsrcGroup::retransmission(1, 2)
    );
    refused::<SsrcGroup>(&["|", "FID 1 |x"]);
    same::<Content>("slides,alt");
    refused::<Content>(&["|a,,b"]);
}

#[test]
fn rid_and_simulcast() {
    let rid: Rid = same("1 send pt=97,98;max-width=1280;max-fps=30;depend=2");
    assert_eq!(rid.payload_types, [97, 98]);
    assert_eq!(rid.restriction("max-width"), Some(1280));
    same::<Rid>("hi recv max-br=1000000");
    refused::<Rid>(&["|", "|a.b send", "a |sideways", "a send |pt=x"]);

    let simulcast: Simulcast = same("send 1,~4;2 recv ~3");
    assert_eq!(simulcast.send.len(), 2);
    assert_eq!(simulcast.send[0][1].rid, "4");
    assert!(simulcast.send[0][1].paused && simulcast.recv[0][0].paused);
    same::<Simulcast>("recv 1 send 2");
    refused::<Simulcast>(&[
        "|",
        "send|",
        "send |;1",
        "send 1 |send 2",
        "send 1 recv 2 |send 3",
        "|x",
    ]);
}

#[test]
fn image_attributes() {
    // RFC 6236 §3.2.
    let image: ImageAttr =
        same("97 send [x=[480:16:800],y=[320:16:640],par=[1.2-1.3],q=0.6] [x=176] recv *");
    assert_eq!(image.recv, Some(ImageSets::Any));
    let Some(ImageSets::Sets(sets)) = &image.send else {
        panic!()
    };
    assert_eq!(
        (sets[0].get("y"), sets[1].get("x")),
        (Some("[320:16:640]"), Some("176"))
    );
    same::<ImageAttr>("* recv [x=800,y=[50,80,30],sar=1.1] send *");
    refused::<ImageAttr>(&["|", "97|", "97 |other *", "97 send|", "97 send * |send *"]);
}

#[test]
fn candidates() {
    // RFC 8839 §5.1.
    let srflx: Candidate =
        same("2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998");
    assert_eq!(srflx.typ, CandidateType::ServerReflexive);
    assert_eq!(srflx.related, Some(("203.0.113.141".into(), 8998)));
    let tcp: Candidate =
        same("1 1 tcp 1518280447 fd00::1 9 typ host tcptype active generation 0 ufrag F7gI");
    assert_eq!(
        (tcp.extension("tcptype"), tcp.extension("ufrag")),
        (Some("active"), Some("F7gI"))
    );
    assert!(tcp.ip().is_some_and(|ip| ip.is_ipv6()));
    let mdns: Candidate =
        same("0 1 UDP 2122187007 12ef6c50-4c2a-429b-8f36-c98b2c68d0ea.local 51671 typ host");
    assert_eq!(mdns.ip(), None);
    refused::<Candidate>(&[
        "|",
        "|a-b 1 udp 1 1.2.3.4 5 typ host",
        "1 |0 udp 1 1.2.3.4 5 typ host",
        "1 |257 udp 1 1.2.3.4 5 typ host",
        "1 1 udp |-1 1.2.3.4 5 typ host",
        "1 1 udp 1 1.2.3.4 |65536 typ host",
        "1 1 udp 1 1.2.3.4 5 |type host",
        "1 1 udp 1 1.2.3.4 5 typ|",
        "1 1 udp 1 1.2.3.4 5 typ host raddr|",
        "1 1 udp 1 1.2.3.4 5 typ host generation|",
    ]);
}

#[test]
fn ice_credentials_and_options() {
    same::<IceUfrag>("8hhY");
    refused::<IceUfrag>(&["|abc", "|ab-cd"]);
    same::<IcePwd>("asd88fgpdd777uzjYhagZg");
    refused::<IcePwd>(&["|asd88fgpdd777uzjYhagZ"]);
    assert!(same::<IceOptions>("trickle ice2").has("ice2"));
    refused::<IceOptions>(&["|"]);
    same::<IcePacing>("50");
    assert_eq!(
        same::<RemoteCandidates>("1 192.0.2.3 45664 2 192.0.2.3 45665")
            .0
            .len(),
        2
    );
    refused::<RemoteCandidates>(&["1 192.0.2.3|"]);
}

#[test]
fn certificates_and_roles() {
    let fingerprint: Fingerprint = same("sha-256 12:DF:3E");
    assert_eq!(fingerprint.bytes, [0x12, 0xdf, 0x3e]);
    assert_eq!(
        "sha-1 ab:cd".parse::<Fingerprint>().unwrap().to_string(),
        "sha-1 AB:CD"
    );
    refused::<Fingerprint>(&[
        "|",
        "sha-256|",
        "sha-256 |1:2",
        "sha-256 |12:+4",
        "sha-256 12:34 |x",
    ]);
    for (text, setup) in [
        ("actpass", Setup::ActPass),
        ("active", Setup::Active),
        ("passive", Setup::Passive),
    ] {
        assert_eq!(same::<Setup>(text), setup);
    }
    refused::<Setup>(&["|both"]);
    same::<ConnectionReuse>("existing");
    same::<TlsId>("abc3de65cddef001be82");
    refused::<TlsId>(&["|short"]);
    same::<Identity>("eyJpZHAiOnsi ext=1");
}

#[test]
fn transports() {
    assert_eq!(same::<Rtcp>("9 IN IP4 0.0.0.0"), Rtcp::unspecified());
    assert_eq!(same::<Rtcp>("53020").connection, None);
    refused::<Rtcp>(&["|x", "9 IN IP4|"]);
    same::<SctpPort>("5000");
    refused::<SctpPort>(&["|65536"]);
    same::<MaxMessageSize>("262144");
    assert_eq!(
        same::<SctpMap>("5000 webrtc-datachannel 1024").streams,
        Some(1024)
    );
    same::<Ptime>("20");
    same::<MaxPtime>("120");
    same::<FrameRate>("29.97");
    refused::<FrameRate>(&["|0", "|inf", "|NaN"]);
}

#[test]
fn directions_combine_as_an_answer_does() {
    use Direction::*;
    assert_eq!(SendOnly.reversed(), RecvOnly);
    assert_eq!(SendRecv.intersect(RecvOnly), RecvOnly);
    assert_eq!(SendOnly.intersect(RecvOnly), Inactive);
    let mut media = MediaDescription::rtp("video", [96])
        .with_flag("rtcp-mux")
        .with(SendOnly)
        .with_flag("rtcp-rsize");
    assert_eq!(
        (media.kind(), media.direction()),
        (MediaKind::Video, Some(SendOnly))
    );
    media.set_direction(Inactive);
    let names: Vec<_> = media.attributes.iter().map(Attribute::name).collect();
    assert_eq!(names, ["rtcp-mux", "inactive", "rtcp-rsize"]);
}

#[test]
fn setting_replaces_in_place_and_removes_the_others_of_that_name() {
    let mut attributes: Attributes = ["a", "b:1", "c", "b:2", "d"]
        .map(Attribute::from_line)
        .into_iter()
        .collect();
    attributes.set(Attribute::new("b", 3));
    let lines = |attributes: &Attributes| {
        attributes
            .iter()
            .map(|a| a.line().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&attributes), ["a", "b:3", "c", "d"]);
    attributes.set(Attribute::flag("e"));
    assert!(attributes.remove("a"));
    assert!(!attributes.remove("a"));
    assert_eq!(lines(&attributes), ["b:3", "c", "d", "e"]);
}
