use crate::attributes::{Direction, Fingerprint, Group, GroupSemantics, IceOptions, Setup};
use crate::{
    Attribute, Attributes, Bandwidth, Connection, Key, MediaDescription, Origin, ParseError,
    Repeat, Text, Timing, ZoneAdjustments,
};

/// A session description (RFC 8866): the session-level lines in their order, then the m-sections.
///
/// Parsing keeps one copy of the text; lines and attributes are slices of it until they are replaced, and a value gets its
/// type when it is asked for. What is written is, byte for byte, what was read, but for line ends (always CRLF) and blanks at
/// the end of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// `o=`
    pub origin: Origin,
    /// `s=`
    pub name: Text,
    /// `i=`
    pub information: Option<Text>,
    /// `u=`
    pub uri: Option<Text>,
    /// `e=`
    pub emails: Vec<Text>,
    /// `p=`
    pub phones: Vec<Text>,
    /// `c=`
    pub connection: Option<Connection>,
    /// `b=`
    pub bandwidths: Vec<Bandwidth>,
    /// `t=`, with the `r=` and `z=` that follow it; at least one.
    pub times: Vec<TimeDescription>,
    /// `k=`
    pub key: Option<Key>,
    /// `a=`
    pub attributes: Attributes,
    /// The m-sections.
    pub media: Vec<MediaDescription>,
}

/// `t=` with its repetitions (RFC 8866 §5.9 to §5.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeDescription {
    /// `t=`
    pub timing: Timing,
    /// `r=`
    pub repeats: Vec<Repeat>,
    /// `z=`
    pub zones: Option<ZoneAdjustments>,
}

impl TimeDescription {
    /// `t=0 0`
    pub const UNBOUNDED: Self = Self {
        timing: Timing::UNBOUNDED,
        repeats: Vec::new(),
        zones: None,
    };
}

impl SessionDescription {
    /// A description without m-sections, as WebRTC begins one: `s=-`, `t=0 0` (RFC 9429 §5.2.1).
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            name: Text::from_static("-"),
            information: None,
            uri: None,
            emails: Vec::new(),
            phones: Vec::new(),
            connection: None,
            bandwidths: Vec::new(),
            times: vec![TimeDescription::UNBOUNDED],
            key: None,
            attributes: Attributes::default(),
            media: Vec::new(),
        }
    }

    /// Reads a description. The grammar of every line is checked; the values of attributes are not before they are
    /// asked for or [`check`](Self::check)ed.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        crate::parse::parse(text)
    }

    /// Reads every attribute that this crate knows, and returns the first error, with its line and column.
    /// What it does not know is nobody's mistake.
    pub fn check(&self) -> Result<(), ParseError> {
        crate::attributes::check(&self.attributes)?;
        self.media.iter().try_for_each(MediaDescription::check)
    }

    /// With one more session-level attribute.
    pub fn with(mut self, attribute: impl Into<Attribute>) -> Self {
        self.attributes.add(attribute);
        self
    }

    /// With one more m-section.
    pub fn with_media(mut self, media: MediaDescription) -> Self {
        self.media.push(media);
        self
    }

    /// The m-section of this `a=mid`.
    pub fn by_mid(&self, mid: &str) -> Option<&MediaDescription> {
        self.media.iter().find(|media| media.mid() == Some(mid))
    }

    /// The m-section of this `a=mid`, and its index.
    pub fn by_mid_mut(&mut self, mid: &str) -> Option<(usize, &mut MediaDescription)> {
        let mut all = self.media.iter_mut().enumerate();
        all.find(|(_, media)| media.mid() == Some(mid))
    }

    /// `a=group`
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        self.attributes.all()
    }

    /// The mids of every BUNDLE group (RFC 9143).
    pub fn bundles(&self) -> impl Iterator<Item = Vec<String>> {
        let bundles = self
            .groups()
            .filter(|group| group.semantics == GroupSemantics::Bundle);
        bundles.map(|group| group.mids)
    }

    /// `a=ice-ufrag` of this m-section, or else of the session (RFC 8839 §5.4).
    pub fn ice_ufrag<'a>(&'a self, media: &'a MediaDescription) -> Option<&'a str> {
        media
            .ice_ufrag()
            .or_else(|| self.attributes.value("ice-ufrag"))
    }

    /// `a=ice-pwd` of this m-section, or else of the session (RFC 8839 §5.4).
    pub fn ice_pwd<'a>(&'a self, media: &'a MediaDescription) -> Option<&'a str> {
        media.ice_pwd().or_else(|| self.attributes.value("ice-pwd"))
    }

    /// `a=ice-options` of this m-section, or else of the session.
    pub fn ice_options(&self, media: &MediaDescription) -> IceOptions {
        let own = media.attributes.get();
        own.or_else(|| self.attributes.get()).unwrap_or_default()
    }

    /// Whether the peer is an ICE-lite one (RFC 8839 §5.3).
    pub fn is_ice_lite(&self) -> bool {
        self.attributes.has("ice-lite")
    }

    /// `a=fingerprint` of this m-section, or else of the session (RFC 8122 §5).
    pub fn fingerprints(&self, media: &MediaDescription) -> Vec<Fingerprint> {
        let own: Vec<_> = media.fingerprints().collect();
        if own.is_empty() {
            self.attributes.all().collect()
        } else {
            own
        }
    }

    /// `a=setup` of this m-section, or else of the session (RFC 8842 §5.2).
    pub fn setup(&self, media: &MediaDescription) -> Option<Setup> {
        media.setup().or_else(|| self.attributes.get())
    }

    /// The direction of this m-section, or else of the session, or else [`Direction::SendRecv`] (RFC 8866 §6.7).
    pub fn direction(&self, media: &MediaDescription) -> Direction {
        let session = || Direction::of(&self.attributes);
        media.direction().or_else(session).unwrap_or_default()
    }
}
