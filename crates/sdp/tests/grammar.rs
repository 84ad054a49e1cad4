//! The grammar of RFC 8866 §9: every kind of line, their order, and what errors say.

use pc_sdp::{ParseErrorKind, SessionDescription};

/// Every kind of line, in the order of the grammar.
const FULL: &str = "\
v=0\r
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r
s=Call to John Smith\r
i=SDP Offer #1\r
u=http://www.jdoe.example.com/home.html\r
e=Jane Doe <jane@jdoe.example.com>\r
e=other@example.com\r
p=+1 617 555-6011\r
p=+1 617 555-6012\r
c=IN IP4 233.252.0.1/127/3\r
b=X-YZ:128\r
b=AS:1024\r
t=3724394400 3724398000\r
r=604800 3600 0 90000\r
r=7d 1h 0 25h\r
z=3730928400 -1h 3749680800 0\r
t=0 0\r
k=prompt\r
a=recvonly\r
a=tool:something: with a colon\r
m=audio 49170/2 RTP/AVP 0 96\r
i=A title\r
c=IN IP6 ff00::db8:0:101/3\r
c=IN IP4 host.example.com\r
b=TIAS:64000\r
k=clear:secret\r
a=rtpmap:96 L8/8000\r
m=video 51372 RTP/AVP 99\r
a=rtpmap:99 h263-1998/90000\r
";

fn error(text: &str) -> (usize, usize, ParseErrorKind) {
    let error = SessionDescription::parse(text).unwrap_err();
    (error.line, error.column, error.kind)
}

/// [`FULL`] with one line replaced.
fn with_line(number: usize, line: &str) -> String {
    let mut lines: Vec<_> = FULL.lines().collect();
    lines[number - 1] = line;
    lines.join("\r\n")
}

#[test]
fn every_kind_of_line_is_read_and_written_back() {
    let session = SessionDescription::parse(FULL).unwrap();
    assert_eq!(session.to_string(), FULL);
    assert_eq!(session.origin.username(), "jdoe");
    assert_eq!(session.origin.session_id(), "3724394400");
    assert_eq!(session.origin.version(), Some(3_724_394_405));
    assert_eq!(session.origin.address(), "198.51.100.1");
    assert_eq!(session.name, "Call to John Smith");
    assert_eq!(session.information.as_deref(), Some("SDP Offer #1"));
    assert_eq!(
        session.uri.as_deref(),
        Some("http://www.jdoe.example.com/home.html")
    );
    assert_eq!(
        session.emails,
        ["Jane Doe <jane@jdoe.example.com>", "other@example.com"]
    );
    assert_eq!(session.phones, ["+1 617 555-6011", "+1 617 555-6012"]);
    let connection = session.connection.as_ref().unwrap();
    assert_eq!(connection.ip(), Some("233.252.0.1".parse().unwrap()));
    assert_eq!((connection.ttl(), connection.count()), (Some(127), 3));
    assert_eq!(
        (session.bandwidths[1].kind(), session.bandwidths[1].value()),
        ("AS", 1024)
    );
    let [first, second] = &session.times[..] else {
        panic!()
    };
    assert_eq!(
        (first.timing.start(), first.timing.stop()),
        (3_724_394_400, 3_724_398_000)
    );
    for repeat in &first.repeats {
        assert_eq!((repeat.interval(), repeat.duration()), (604_800, 3_600));
        assert!(repeat.offsets().eq([0, 90_000]));
    }
    let zones = first.zones.as_ref().unwrap();
    assert!(
        zones
            .adjustments()
            .eq([(3_730_928_400, -3_600), (3_749_680_800, 0)])
    );
    assert_eq!((second.timing.start(), second.timing.stop()), (0, 0));
    assert_eq!(session.key.as_ref().unwrap().method(), "prompt");
    assert_eq!(
        session.attributes.value("tool"),
        Some("something: with a colon")
    );
    let audio = &session.media[0];
    assert_eq!((audio.media.port(), audio.media.port_count()), (49_170, 2));
    assert_eq!(audio.media.protocol(), "RTP/AVP");
    assert!(audio.media.formats().eq(["0", "96"]));
    assert!(audio.media.payload_types().eq([0, 96]));
    assert_eq!(audio.information.as_deref(), Some("A title"));
    let v6 = &audio.connections[0];
    assert_eq!(
        (v6.ip(), v6.ttl(), v6.count()),
        (Some("ff00::db8:0:101".parse().unwrap()), None, 3)
    );
    assert_eq!(audio.connections[1].ip(), None);
    assert_eq!(audio.rtp_map(0).unwrap().encoding, "PCMU");
    assert_eq!(audio.rtp_map(96).unwrap().encoding, "L8");
}

#[test]
fn a_change_is_written_and_the_rest_stays() {
    let mut session = SessionDescription::parse(FULL).unwrap();
    session.origin = session.origin.with_version(7);
    session.media[0].media.set_port(0);
    session.media[0].attributes.remove("rtpmap");
    let expected = FULL
        .replace("3724394400 3724394405 IN", "3724394400 7 IN")
        .replace("audio 49170/2", "audio 0")
        .replace("a=rtpmap:96 L8/8000\r\n", "");
    assert_eq!(session.to_sdp(), expected);
}

#[test]
fn line_feeds_alone_trailing_blanks_and_empty_lines_at_the_end_are_tolerated() {
    let sloppy = FULL.replace("\r\n", " \t\n") + "\n \n";
    // The name may consist of blanks: its own are kept.
    let expected = FULL.replace("s=Call to John Smith", "s=Call to John Smith \t");
    assert_eq!(
        SessionDescription::parse(&sloppy).unwrap().to_sdp(),
        expected
    );
    let unfinished = FULL.trim_end();
    assert_eq!(
        SessionDescription::parse(unfinished).unwrap().to_sdp(),
        FULL
    );
}

#[test]
fn a_name_of_one_blank_is_kept() {
    let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns= \r\nt=0 0\r\n";
    let session = SessionDescription::parse(text).unwrap();
    assert_eq!(session.name, " ");
    assert_eq!(session.to_sdp(), text);
}

#[test]
fn errors_name_the_line_and_the_column() {
    use ParseErrorKind::*;
    let malformed = |line_type, expected| Malformed {
        line_type,
        expected,
    };
    let cases = [
        (with_line(1, "v=1"), 1, 3, UnsupportedVersion),
        (with_line(1, "s=x"), 1, 1, Missing('v')),
        (
            with_line(2, "o=jdoe x 1 IN IP4 1.2.3.4"),
            2,
            8,
            malformed('o', "a numeric session id"),
        ),
        (
            with_line(2, "o=jdoe 1 1 IN IP4"),
            2,
            18,
            malformed('o', "an address"),
        ),
        (
            with_line(2, "o=jdoe 1 1 IN IP4 a b"),
            2,
            21,
            malformed('o', "nothing more"),
        ),
        (with_line(3, "i=x"), 3, 1, Missing('s')),
        (with_line(4, "q=what"), 4, 1, Missing('t')),
        (with_line(4, "nonsense"), 4, 1, NotALine),
        (with_line(4, ""), 4, 1, NotALine),
        (
            with_line(10, "c=IN IP4"),
            10,
            9,
            malformed('c', "an address"),
        ),
        (
            with_line(11, "b=AS"),
            11,
            5,
            malformed('b', "<type>:<number>"),
        ),
        (
            with_line(11, "b=AS:12x"),
            11,
            6,
            malformed('b', "<type>:<number>"),
        ),
        (with_line(13, "t=0"), 13, 4, malformed('t', "a stop time")),
        (
            with_line(14, "r=7d 1x 0"),
            14,
            6,
            malformed('r', "an active duration"),
        ),
        (with_line(16, "z=1"), 16, 4, malformed('z', "an offset")),
        (
            with_line(18, "k=rot13:x"),
            18,
            3,
            malformed('k', "prompt, clear:, base64: or uri:"),
        ),
        (
            with_line(19, "a="),
            19,
            3,
            malformed('a', "an attribute name"),
        ),
        (
            with_line(19, "a=:x"),
            19,
            3,
            malformed('a', "an attribute name"),
        ),
        (
            with_line(19, "a=b c"),
            19,
            4,
            malformed('a', "a colon or the end of the line"),
        ),
        (with_line(20, "t=0 0"), 20, 1, Misplaced('t')),
        (with_line(20, "y=0 0"), 20, 1, UnknownType('y')),
        (
            with_line(21, "m=audio 70000 RTP/AVP 0"),
            21,
            9,
            malformed('m', "a port"),
        ),
        (
            with_line(21, "m=audio +1 RTP/AVP 0"),
            21,
            9,
            malformed('m', "a port"),
        ),
        (
            with_line(21, "m=audio 1 RTP/AVP"),
            21,
            18,
            malformed('m', "a format"),
        ),
        (with_line(27, "c=IN IP4 1.2.3.4"), 27, 1, Misplaced('c')),
        (with_line(6, "e=Jürgen\0"), 6, 9, ForbiddenByte),
        (with_line(6, "e=a\rb"), 6, 4, ForbiddenByte),
    ];
    for (text, line, column, kind) in cases {
        assert_eq!(error(&text), (line, column, kind), "{text}");
    }
    assert_eq!(error(""), (1, 1, Missing('v')));
    assert_eq!(error("v=0\r\n"), (2, 1, Missing('o')));
}

#[test]
fn an_error_reads_as_a_sentence_with_its_place() {
    let error = SessionDescription::parse(&with_line(13, "t=0")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 13, column 4: malformed `t=` line: expected a stop time"
    );
}

#[test]
fn a_malformed_attribute_is_found_by_check_with_its_place() {
    let text = with_line(27, "a=rtpmap:96 L8");
    let session = SessionDescription::parse(&text).unwrap();
    let error = session.check().unwrap_err();
    assert_eq!((error.line, error.column), (27, 13));
    let expected = "line 27, column 13: malformed attribute `rtpmap`: expected <encoding>/<clock rate>[/<channels>]";
    assert_eq!(error.to_string(), expected);
    assert_eq!(session.media[0].rtp_maps().count(), 0);
}

#[test]
fn a_description_beyond_the_limit_is_refused_unread() {
    let text = "v".repeat(pc_sdp::MAX_LENGTH + 1);
    assert_eq!(error(&text).2, ParseErrorKind::TooLong);
}

#[test]
fn nothing_built_can_break_out_of_its_line() {
    use pc_sdp::{Attribute, MediaDescription, MediaLine, Origin};
    let mut session = SessionDescription::new(Origin::new(1, 2))
        .with(Attribute::new("tool", "x\r\na=injected"))
        .with(Attribute::from_line("b:\nm=video 9 RTP/AVP 0"))
        .with_media(MediaDescription::new(MediaLine::new(
            "audio",
            9,
            "RTP/AVP\r\nx",
            ["0\n1"],
        )));
    session.name = "a\r\nb".into();
    session.information = Some("\0".into());
    let text = session.to_sdp();
    assert_eq!(text.lines().count(), 8, "{text}");
    assert_eq!(SessionDescription::parse(&text).unwrap().to_sdp(), text);
}

#[test]
fn a_structured_line_made_of_several_is_refused() {
    use pc_sdp::{Connection, MediaLine, Origin};
    assert!(Origin::from_line("- 1 1 IN IP4\r\nx").is_err());
    assert!(Connection::from_line("\0 IN IP4 x").is_err());
    assert!(MediaLine::from_line("audio 9 RTP/AVP\n0").is_err());
}
