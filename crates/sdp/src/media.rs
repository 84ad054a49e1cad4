use crate::attributes::{
    Candidate, Direction, ExtMap, Fingerprint, Fmtp, IcePwd, IceUfrag, Mid, Msid, RtcpFb, RtpMap,
    Setup,
};
use crate::line::{Fields, is_digits};
use crate::{Attribute, Attributes, Bandwidth, Connection, Key, ParseError, Text, ValueError};
use std::fmt;

/// The first word of an `m=` line (RFC 8866 §8.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `application`: in WebRTC, data channels.
    Application,
    /// `text`
    Text,
    /// `message`
    Message,
    /// `image`
    Image,
    /// Anything else; [`MediaLine::kind_text`] has the word.
    Other,
}

impl MediaKind {
    /// The word, `None` for [`MediaKind::Other`].
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Text => "text",
            Self::Message => "message",
            Self::Image => "image",
            Self::Other => return None,
        })
    }

    fn of(word: &str) -> Self {
        match word {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "application" => Self::Application,
            "text" => Self::Text,
            "message" => Self::Message,
            "image" => Self::Image,
            _ => Self::Other,
        }
    }
}

/// `m=<kind> <port>[/<count>] <protocol> <format> …` (RFC 8866 §5.14).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaLine {
    line: Text,
    kind: MediaKind,
    port: u16,
}

impl MediaLine {
    /// `UDP/TLS/RTP/SAVPF`, the protocol of WebRTC's media (RFC 8829 §5.1.2).
    pub const RTP: &'static str = "UDP/TLS/RTP/SAVPF";
    /// `UDP/DTLS/SCTP`, the protocol of data channels (RFC 8841 §4).
    pub const SCTP: &'static str = "UDP/DTLS/SCTP";

    /// A line of these parts; `kind` is a word such as `audio`.
    pub fn new<F: fmt::Display>(
        kind: &str,
        port: u16,
        protocol: &str,
        formats: impl IntoIterator<Item = F>,
    ) -> Self {
        let mut line = format!("{kind} {port} {protocol}");
        for format in formats {
            line.push(' ');
            line.push_str(&format.to_string());
        }
        let kind = MediaKind::of(kind);
        let line = Text::from(line).one_line();
        Self { line, kind, port }
    }

    /// From a line, without its letter and `=`.
    pub fn from_line(line: impl Into<Text>) -> Result<Self, ValueError> {
        let line = line.into();
        line.refuse_breaks()?;
        let mut fields = Fields::new(&line);
        let kind = MediaKind::of(fields.next("a media type")?);
        let port = fields.read("a port", |field| {
            let (port, count) = field.split_once('/').unwrap_or((field, "1"));
            is_digits(count).then(|| port.parse().ok().filter(|_| is_digits(port)))?
        })?;
        fields.next("a protocol")?;
        fields.next("a format")?;
        Ok(Self { line, kind, port })
    }

    /// The line, without its letter and `=`.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The kind of media.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The kind of media as its word.
    pub fn kind_text(&self) -> &str {
        self.field(0)
    }

    /// The port; zero: this m-section is rejected, or bundled only.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many consecutive ports are meant.
    pub fn port_count(&self) -> u32 {
        let count = self.field(1).split('/').nth(1);
        count.and_then(|count| count.parse().ok()).unwrap_or(1)
    }

    /// The transport protocol.
    pub fn protocol(&self) -> &str {
        self.field(2)
    }

    /// The formats: payload types where the protocol is an RTP one.
    pub fn formats(&self) -> impl Iterator<Item = &str> {
        self.line.split_ascii_whitespace().skip(3)
    }

    /// The formats that are payload types, in order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> {
        self.formats()
            .filter_map(|format| format.parse().ok())
            .filter(|payload_type| *payload_type < 128)
    }

    /// Whether it carries RTP.
    pub fn is_rtp(&self) -> bool {
        self.protocol().split('/').any(|part| part == "RTP")
    }

    /// Whether it carries data channels: `UDP/DTLS/SCTP`, `TCP/DTLS/SCTP`, or the `DTLS/SCTP` of older peers.
    pub fn is_sctp(&self) -> bool {
        self.protocol().ends_with("DTLS/SCTP")
    }

    /// Replaces the port (and drops a port count).
    pub fn set_port(&mut self, port: u16) {
        *self = Self::new(self.kind_text(), port, self.protocol(), self.formats());
    }

    /// Replaces the protocol.
    pub fn set_protocol(&mut self, protocol: &str) {
        *self = Self::new(self.kind_text(), self.port, protocol, self.formats());
    }

    /// Replaces the formats.
    pub fn set_formats<F: fmt::Display>(&mut self, formats: impl IntoIterator<Item = F>) {
        *self = Self::new(self.kind_text(), self.port, self.protocol(), formats);
    }

    fn field(&self, index: usize) -> &str {
        self.line
            .split_ascii_whitespace()
            .nth(index)
            .unwrap_or_default()
    }
}

impl fmt::Display for MediaLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl fmt::Debug for MediaLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={}", self.line)
    }
}

/// An m-section: an `m=` line and what belongs to it.
///
/// The shortcuts below skip a malformed attribute as RFC 8866 §5.13 asks for unknown ones;
/// [`SessionDescription::check`](crate::SessionDescription::check) finds those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDescription {
    /// `m=`
    pub media: MediaLine,
    /// `i=`, a title.
    pub information: Option<Text>,
    /// `c=`
    pub connections: Vec<Connection>,
    /// `b=`
    pub bandwidths: Vec<Bandwidth>,
    /// `k=`
    pub key: Option<Key>,
    /// `a=`
    pub attributes: Attributes,
}

impl MediaDescription {
    /// An m-section with nothing but its first line.
    pub fn new(media: MediaLine) -> Self {
        Self {
            media,
            information: None,
            connections: Vec::new(),
            bandwidths: Vec::new(),
            key: None,
            attributes: Attributes::default(),
        }
    }

    /// `m=<kind> 9 UDP/TLS/RTP/SAVPF <payload types>` with the unspecified address: how an offer begins an m-section of media.
    pub fn rtp(kind: &str, payload_types: impl IntoIterator<Item = u8>) -> Self {
        let media = MediaLine::new(kind, 9, MediaLine::RTP, payload_types);
        Self::new(media).with_connection(Connection::unspecified())
    }

    /// `m=application 9 UDP/DTLS/SCTP webrtc-datachannel` with the unspecified address (RFC 8841 §4.5).
    pub fn data_channel() -> Self {
        let media = MediaLine::new("application", 9, MediaLine::SCTP, ["webrtc-datachannel"]);
        Self::new(media).with_connection(Connection::unspecified())
    }

    /// With one more attribute.
    pub fn with(mut self, attribute: impl Into<Attribute>) -> Self {
        self.attributes.add(attribute);
        self
    }

    /// With one more attribute that has no value.
    pub fn with_flag(self, name: &'static str) -> Self {
        self.with(Attribute::flag(name))
    }

    /// With one more `c=` line.
    pub fn with_connection(mut self, connection: Connection) -> Self {
        self.connections.push(connection);
        self
    }

    /// The kind of media.
    pub fn kind(&self) -> MediaKind {
        self.media.kind()
    }

    /// Whether the m-section is rejected: port zero without `a=bundle-only` (RFC 9143 §6).
    pub fn is_rejected(&self) -> bool {
        self.media.port() == 0 && !self.attributes.has("bundle-only")
    }

    /// `a=mid` (RFC 5888).
    pub fn mid(&self) -> Option<&str> {
        self.attributes.value(<Mid as crate::TypedAttribute>::NAME)
    }

    /// The direction, if one is written here; [`Direction::SendRecv`] is meant otherwise, unless the session has one.
    pub fn direction(&self) -> Option<Direction> {
        Direction::of(&self.attributes)
    }

    /// Writes the direction in place of the one that is there.
    pub fn set_direction(&mut self, direction: Direction) {
        let is_direction = |a: &Attribute| Direction::from_name(a.name()).is_some();
        match self.attributes.iter().position(is_direction) {
            Some(at) => {
                if let Some(slot) = self.attributes.get_mut(at) {
                    *slot = direction.into();
                }
            }
            None => self.attributes.add(direction),
        }
    }

    /// `a=rtpmap`
    pub fn rtp_maps(&self) -> impl Iterator<Item = RtpMap> {
        self.attributes.all()
    }

    /// The `a=rtpmap` of a payload type, or what RFC 3551 §6 assigns to it.
    pub fn rtp_map(&self, payload_type: u8) -> Option<RtpMap> {
        let mut mapped = self.rtp_maps();
        let mapped = mapped.find(|map| map.payload_type == payload_type);
        mapped.or_else(|| RtpMap::of_static(payload_type))
    }

    /// The `a=fmtp` of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<Fmtp> {
        let mut all = self.attributes.all::<Fmtp>();
        all.find(|fmtp| fmtp.payload_type() == Some(payload_type))
    }

    /// The `a=rtcp-fb` of a payload type, those of `*` included.
    pub fn rtcp_feedback(&self, payload_type: u8) -> impl Iterator<Item = RtcpFb> {
        let all = self.attributes.all::<RtcpFb>();
        all.filter(move |feedback| feedback.payload_type.is_none_or(|own| own == payload_type))
    }

    /// `a=extmap`
    pub fn extensions(&self) -> impl Iterator<Item = ExtMap> {
        self.attributes.all()
    }

    /// `a=msid`
    pub fn msids(&self) -> impl Iterator<Item = Msid> {
        self.attributes.all()
    }

    /// `a=candidate`, without the malformed ones (RFC 8839 §5.1 asks for that).
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        self.attributes.all()
    }

    /// `a=ice-ufrag`, here or nowhere: see [`SessionDescription::ice_ufrag`](crate::SessionDescription::ice_ufrag).
    pub fn ice_ufrag(&self) -> Option<&str> {
        self.attributes
            .value(<IceUfrag as crate::TypedAttribute>::NAME)
    }

    /// `a=ice-pwd`, here or nowhere.
    pub fn ice_pwd(&self) -> Option<&str> {
        self.attributes
            .value(<IcePwd as crate::TypedAttribute>::NAME)
    }

    /// `a=fingerprint`, here or nowhere.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        self.attributes.all()
    }

    /// `a=setup`, here or nowhere.
    pub fn setup(&self) -> Option<Setup> {
        self.attributes.get()
    }

    /// The error in the first malformed known attribute, if there is one.
    pub fn check(&self) -> Result<(), ParseError> {
        crate::attributes::check(&self.attributes)
    }
}
