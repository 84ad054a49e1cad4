use super::{single, word};
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::net::IpAddr;
use std::str::FromStr;

/// RFC 8839 §5.1 `ice-char`.
fn is_ice_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')
}

single! {
    /// `a=ice-ufrag`, 4 to 256 characters (RFC 8839 §5.4).
    IceUfrag(String) = "ice-ufrag", "4 to 256 letters, digits, + or /",
        |ufrag| (4..=256).contains(&ufrag.len()) && ufrag.bytes().all(is_ice_char);
    /// `a=ice-pwd`, 22 to 256 characters (RFC 8839 §5.4).
    IcePwd(String) = "ice-pwd", "22 to 256 letters, digits, + or /",
        |pwd| (22..=256).contains(&pwd.len()) && pwd.bytes().all(is_ice_char);
    /// `a=ice-pacing`, milliseconds between checks (RFC 8839 §5.5).
    IcePacing(u32) = "ice-pacing", "milliseconds";
}

/// `a=ice-options:<tag> …` (RFC 8839 §5.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IceOptions(pub Vec<String>);

impl IceOptions {
    /// `trickle ice2`, what WebRTC writes (RFC 9429 §5.2.1).
    pub fn webrtc() -> Self {
        Self(vec!["trickle".into(), "ice2".into()])
    }

    /// Whether this option is there.
    pub fn has(&self, option: &str) -> bool {
        self.0.iter().any(|have| have == option)
    }
}

impl TypedAttribute for IceOptions {
    const NAME: &'static str = "ice-options";
}

impl FromStr for IceOptions {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        fields.rest();
        let mut options = vec![word(&mut fields, "an option")?];
        while let Some(option) = fields.optional() {
            options.push(option.to_owned());
        }
        Ok(Self(options))
    }
}

impl Display for IceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// The type of a [`Candidate`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CandidateType {
    /// `host`
    Host,
    /// `srflx`
    ServerReflexive,
    /// `prflx`
    PeerReflexive,
    /// `relay`
    Relayed,
    /// A token that is not known; such a candidate is to be ignored.
    Other(String),
}

impl CandidateType {
    fn of(word: &str) -> Self {
        match word {
            "host" => Self::Host,
            "srflx" => Self::ServerReflexive,
            "prflx" => Self::PeerReflexive,
            "relay" => Self::Relayed,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl Display for CandidateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(word) => word,
        })
    }
}

/// `a=candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type> …` (RFC 8839 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// 1 to 32 ice-chars.
    pub foundation: String,
    /// 1 to 256.
    pub component: u16,
    /// `udp`, `tcp` or another, in the case in which it came.
    pub transport: String,
    /// 1 to 2³¹ − 1.
    pub priority: u32,
    /// An IP address, or a name such as those of multicast DNS.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The type.
    pub typ: CandidateType,
    /// `raddr` and `rport`: the base of a reflexive, the mapped address of a relayed candidate.
    pub related: Option<(String, u16)>,
    /// Everything after that, such as `tcptype`, `generation`, `ufrag`: names and values, in their order.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// The address, unless it is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    /// The value of an extension.
    pub fn extension(&self, name: &str) -> Option<&str> {
        let mut all = self.extensions.iter();
        all.find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

impl TypedAttribute for Candidate {
    const NAME: &'static str = "candidate";
}

impl FromStr for Candidate {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let foundation = fields
            .read("a foundation of 1 to 32 letters, digits, + or /", |field| {
                (field.len() <= 32 && field.bytes().all(is_ice_char)).then(|| field.to_owned())
            })?;
        let component = fields.read("a component from 1 to 256", |field| {
            field
                .parse()
                .ok()
                .filter(|component| (1..=256).contains(component))
        })?;
        let transport = word(&mut fields, "a transport")?;
        let priority = fields.parse("a priority")?;
        let address = word(&mut fields, "an address")?;
        let port = fields.parse("a port")?;
        fields.read("typ", |field| (field == "typ").then_some(()))?;
        let typ = CandidateType::of(fields.next("a candidate type")?);
        let mut related = None;
        let mut related_address = None;
        let mut extensions = Vec::new();
        while let Some(name) = fields.optional() {
            match (name, related_address.take()) {
                ("raddr", None) if related.is_none() && extensions.is_empty() => {
                    related_address = Some(word(&mut fields, "an address")?);
                }
                ("rport", Some(address)) => related = Some((address, fields.parse("a port")?)),
                (name, None) => {
                    let value = word(&mut fields, "the value of an extension")?;
                    extensions.push((name.to_owned(), value));
                }
                (_, Some(_)) => {
                    let offset = fields.offset();
                    let expected = "rport after raddr";
                    return Err(ValueError { offset, expected });
                }
            }
        }
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            typ,
            related,
            extensions,
        })
    }
}

impl Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foundation,
            component,
            transport,
            priority,
            address,
            port,
            typ,
            ..
        } = self;
        write!(
            f,
            "{foundation} {component} {transport} {priority} {address} {port} typ {typ}"
        )?;
        if let Some((address, port)) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        for (name, value) in &self.extensions {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

/// `a=remote-candidates:<component> <address> <port> …` (RFC 8839 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCandidates(pub Vec<(u16, String, u16)>);

impl TypedAttribute for RemoteCandidates {
    const NAME: &'static str = "remote-candidates";
}

impl FromStr for RemoteCandidates {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let mut candidates = Vec::new();
        loop {
            let component = fields.parse("a component")?;
            let address = word(&mut fields, "an address")?;
            candidates.push((component, address, fields.parse("a port")?));
            if !fields.rest() {
                return Ok(Self(candidates));
            }
        }
    }
}

impl Display for RemoteCandidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (component, address, port)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{component} {address} {port}")?;
        }
        Ok(())
    }
}
