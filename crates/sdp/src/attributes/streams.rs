use super::{is_token, rest, single, word};
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

single! {
    /// `a=mid`, the name of an m-section (RFC 5888 §4).
    Mid(String) = "mid", "a token", |mid| is_token(mid);
    /// `a=content`, what the media is, such as `slides` or `main`, with commas between (RFC 4796 §5).
    Content(String) = "content", "tokens with commas between", |content| content.split(',').all(is_token);
}

/// What the m-sections of a [`Group`] have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupSemantics {
    /// `BUNDLE`: one transport (RFC 9143).
    Bundle,
    /// `LS`: lip synchronisation (RFC 5888 §7).
    LipSync,
    /// `FID`: one flow in several encodings (RFC 5888 §8).
    Flow,
    /// Another.
    Other(String),
}

impl Display for GroupSemantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "BUNDLE",
            Self::LipSync => "LS",
            Self::Flow => "FID",
            Self::Other(word) => word,
        })
    }
}

/// `a=group:<semantics> <mid> …` (RFC 5888 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub semantics: GroupSemantics,
    /// The m-sections.
    pub mids: Vec<String>,
}

impl Group {
    /// A BUNDLE group.
    pub fn bundle<S: Into<String>>(mids: impl IntoIterator<Item = S>) -> Self {
        Self {
            semantics: GroupSemantics::Bundle,
            mids: mids.into_iter().map(Into::into).collect(),
        }
    }
}

impl TypedAttribute for Group {
    const NAME: &'static str = "group";
}

impl FromStr for Group {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let semantics = match fields.next("the semantics of the group")? {
            "BUNDLE" => GroupSemantics::Bundle,
            "LS" => GroupSemantics::LipSync,
            "FID" => GroupSemantics::Flow,
            other => GroupSemantics::Other(other.to_owned()),
        };
        let mut mids = Vec::new();
        while let Some(mid) = fields.optional() {
            mids.push(mid.to_owned());
        }
        Ok(Self { semantics, mids })
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.semantics.fmt(f)?;
        self.mids.iter().try_for_each(|mid| write!(f, " {mid}"))
    }
}

/// `a=msid:<stream> [<track>]` (RFC 8830 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Msid {
    /// The stream's id; `-` means none.
    pub stream: String,
    /// The track's id, where it is told.
    pub track: Option<String>,
}

impl Msid {
    /// A track of this stream, or of none.
    pub fn new(stream: Option<&str>, track: &str) -> Self {
        Self {
            stream: stream.unwrap_or("-").to_owned(),
            track: Some(track.to_owned()),
        }
    }

    /// The stream's id, unless it is none.
    pub fn stream_id(&self) -> Option<&str> {
        Some(self.stream.as_str()).filter(|id| *id != "-")
    }
}

impl TypedAttribute for Msid {
    const NAME: &'static str = "msid";
}

impl FromStr for Msid {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        Ok(Self {
            stream: word(&mut fields, "a stream's id")?,
            track: rest(&mut fields),
        })
    }
}

impl Display for Msid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stream)?;
        self.track
            .as_ref()
            .map_or(Ok(()), |track| write!(f, " {track}"))
    }
}

/// `a=msid-semantic: WMS <stream> …`, of older drafts of RFC 8830; browsers still write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsidSemantic {
    /// `WMS`
    pub semantic: String,
    /// The streams; `*` means all of them.
    pub streams: Vec<String>,
}

impl TypedAttribute for MsidSemantic {
    const NAME: &'static str = "msid-semantic";
}

impl FromStr for MsidSemantic {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let semantic = word(&mut fields, "a semantic")?;
        let mut streams = Vec::new();
        while let Some(stream) = fields.optional() {
            streams.push(stream.to_owned());
        }
        Ok(Self { semantic, streams })
    }
}

impl Display for MsidSemantic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.semantic)?;
        self.streams
            .iter()
            .try_for_each(|stream| write!(f, " {stream}"))
    }
}

/// `a=ssrc:<ssrc> <attribute>[:<value>]` (RFC 5576 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ssrc {
    /// The source.
    pub ssrc: u32,
    /// What is said of it, such as `cname`.
    pub attribute: String,
    /// Its value.
    pub value: Option<String>,
}

impl Ssrc {
    /// `a=ssrc:<ssrc> cname:<name>`
    pub fn cname(ssrc: u32, name: impl Into<String>) -> Self {
        Self {
            ssrc,
            attribute: "cname".to_owned(),
            value: Some(name.into()),
        }
    }
}

impl TypedAttribute for Ssrc {
    const NAME: &'static str = "ssrc";
}

impl FromStr for Ssrc {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let ssrc = fields.parse("a synchronisation source")?;
        let offset = fields.offset();
        let rest = fields.remainder();
        let (attribute, value) = match rest.split_once(':') {
            Some((attribute, value)) => (attribute, Some(value.to_owned())),
            None => (rest, None),
        };
        if attribute.is_empty() {
            let expected = "an attribute of the source";
            return Err(ValueError { offset, expected });
        }
        let attribute = attribute.to_owned();
        Ok(Self {
            ssrc,
            attribute,
            value,
        })
    }
}

impl Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ssrc, self.attribute)?;
        self.value
            .as_ref()
            .map_or(Ok(()), |value| write!(f, ":{value}"))
    }
}

/// `a=ssrc-group:<semantics> <ssrc> …` (RFC 5576 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// `FID` (retransmission), `FEC-FR`, `SIM`, …
    pub semantics: String,
    /// The sources, in their order.
    pub ssrcs: Vec<u32>,
}

impl SsrcGroup {
    /// `FID`: a source and the one that retransmits it (RFC 5576 §4.2, RFC 4588).
    pub fn retransmission(ssrc: u32, rtx: u32) -> Self {
        Self {
            semantics: "FID".to_owned(),
            ssrcs: vec![ssrc, rtx],
        }
    }
}

impl TypedAttribute for SsrcGroup {
    const NAME: &'static str = "ssrc-group";
}

impl FromStr for SsrcGroup {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let semantics = word(&mut fields, "the semantics of the group")?;
        let mut ssrcs = Vec::new();
        while fields.rest() {
            ssrcs.push(fields.parse("a synchronisation source")?);
        }
        Ok(Self { semantics, ssrcs })
    }
}

impl Display for SsrcGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.semantics)?;
        self.ssrcs.iter().try_for_each(|ssrc| write!(f, " {ssrc}"))
    }
}
