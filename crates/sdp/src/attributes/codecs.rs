use super::{Direction, payload_type, payload_type_or_all, rest, word};
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

/// `a=rtpmap:<payload type> <encoding>/<clock rate>[/<channels>]` (RFC 8866 §6.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtpMap {
    /// The payload type that is mapped.
    pub payload_type: u8,
    /// The encoding's name; upper and lower case are the same.
    pub encoding: String,
    /// In Hz.
    pub clock_rate: u32,
    /// Of audio; one when not said.
    pub channels: Option<u16>,
}

impl RtpMap {
    /// A mapping without channels.
    pub fn new(payload_type: u8, encoding: impl Into<String>, clock_rate: u32) -> Self {
        Self {
            payload_type,
            encoding: encoding.into(),
            clock_rate,
            channels: None,
        }
    }

    /// With this many channels.
    pub fn with_channels(self, channels: u16) -> Self {
        let channels = Some(channels);
        Self { channels, ..self }
    }

    /// Whether the encoding is this one, whatever the case.
    pub fn is(&self, encoding: &str) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding)
    }

    /// The static assignments of RFC 3551 §6 that are still met.
    pub fn of_static(payload_type: u8) -> Option<Self> {
        let (encoding, clock_rate) = match payload_type {
            0 => ("PCMU", 8000),
            3 => ("GSM", 8000),
            4 => ("G723", 8000),
            8 => ("PCMA", 8000),
            9 => ("G722", 8000),
            10 | 11 => ("L16", 44_100),
            13 => ("CN", 8000),
            18 => ("G729", 8000),
            26 => ("JPEG", 90_000),
            31 => ("H261", 90_000),
            34 => ("H263", 90_000),
            _ => return None,
        };
        let map = Self::new(payload_type, encoding, clock_rate);
        Some(if payload_type == 10 {
            map.with_channels(2)
        } else {
            map
        })
    }
}

impl TypedAttribute for RtpMap {
    const NAME: &'static str = "rtpmap";
}

impl FromStr for RtpMap {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let payload_type = fields.read("a payload type", payload_type)?;
        let map = fields.read("<encoding>/<clock rate>[/<channels>]", |field| {
            let mut parts = field.split('/');
            let encoding = parts.next().filter(|name| !name.is_empty())?.to_owned();
            let clock_rate = parts.next()?.parse().ok()?;
            let channels = match parts.next() {
                Some(channels) => Some(channels.parse().ok()?),
                None => None,
            };
            let map = Self {
                payload_type,
                encoding,
                clock_rate,
                channels,
            };
            parts.next().is_none().then_some(map)
        })?;
        fields.end()?;
        Ok(map)
    }
}

impl Display for RtpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}/{}",
            self.payload_type, self.encoding, self.clock_rate
        )?;
        self.channels
            .map_or(Ok(()), |channels| write!(f, "/{channels}"))
    }
}

/// `a=fmtp:<format> <parameters>` (RFC 8866 §6.15). The parameters of codecs have types of their own, such as
/// [`OpusParameters`](super::OpusParameters).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fmtp {
    /// The format, in RTP a payload type.
    pub format: String,
    /// The parameters as they are written.
    pub parameters: String,
}

impl Fmtp {
    /// For a payload type, with parameters such as `"apt=96"` or an [`OpusParameters`](super::OpusParameters).
    pub fn new(payload_type: u8, parameters: impl Display) -> Self {
        Self {
            format: payload_type.to_string(),
            parameters: parameters.to_string(),
        }
    }

    /// The payload type.
    pub fn payload_type(&self) -> Option<u8> {
        payload_type(&self.format)
    }

    /// The parameters, split at semicolons: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let parts = self.parameters.split(';').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(|part| match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (part, None),
            })
    }

    /// The value of a parameter; names are the same in upper and lower case (RFC 4855 §3).
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.iter();
        all.find(|(have, _)| have.eq_ignore_ascii_case(name))?.1
    }

    /// The value of a parameter that is a number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// The value of a parameter that is `0` or `1`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.number(name).map(|number| number != 0)
    }
}

impl TypedAttribute for Fmtp {
    const NAME: &'static str = "fmtp";
}

impl FromStr for Fmtp {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let format = word(&mut fields, "a format")?;
        let parameters = rest(&mut fields).unwrap_or_default();
        Ok(Self { format, parameters })
    }
}

impl Display for Fmtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.parameters.is_empty() { "" } else { " " };
        write!(f, "{}{separator}{}", self.format, self.parameters)
    }
}

/// `a=rtcp-fb:<payload type or *> <kind> [<parameter>]` (RFC 4585 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtcpFb {
    /// `None`: `*`, all payload types of the m-section.
    pub payload_type: Option<u8>,
    /// `nack`, `ccm`, `goog-remb`, `transport-cc`, …
    pub kind: String,
    /// `pli`, `fir`, …
    pub parameter: Option<String>,
}

impl RtcpFb {
    /// Feedback for one payload type; `feedback` is such as `"nack"` or `"nack pli"`.
    pub fn new(payload_type: u8, feedback: &str) -> Self {
        let (kind, parameter) = match feedback.split_once(' ') {
            Some((kind, parameter)) => (kind, Some(parameter.to_owned())),
            None => (feedback, None),
        };
        Self {
            payload_type: Some(payload_type),
            kind: kind.to_owned(),
            parameter,
        }
    }

    /// Whether it is this, such as `"nack"` (and not `"nack pli"`) or `"ccm fir"`.
    pub fn is(&self, feedback: &str) -> bool {
        match (&self.parameter, feedback.split_once(' ')) {
            (None, None) => self.kind == feedback,
            (Some(own), Some((kind, parameter))) => self.kind == kind && own == parameter,
            _ => false,
        }
    }
}

impl TypedAttribute for RtcpFb {
    const NAME: &'static str = "rtcp-fb";
}

impl FromStr for RtcpFb {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        Ok(Self {
            payload_type: fields.read("a payload type or *", payload_type_or_all)?,
            kind: word(&mut fields, "a kind of feedback")?,
            parameter: rest(&mut fields),
        })
    }
}

impl Display for RtcpFb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type} {}", self.kind)?,
            None => write!(f, "* {}", self.kind)?,
        }
        self.parameter
            .as_ref()
            .map_or(Ok(()), |parameter| write!(f, " {parameter}"))
    }
}

/// `a=extmap:<id>[/<direction>] <URI> [<attributes>]` (RFC 8285 §8).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtMap {
    /// 1 to 14 in one-byte headers, to 255 in two-byte ones; 4096 and more only in offers.
    pub id: u16,
    /// The direction, where it is limited.
    pub direction: Option<Direction>,
    /// Which extension it is.
    pub uri: String,
    /// Its parameters.
    pub parameters: Option<String>,
}

impl ExtMap {
    /// An extension in all directions.
    pub fn new(id: u16, uri: impl Into<String>) -> Self {
        Self {
            id,
            direction: None,
            uri: uri.into(),
            parameters: None,
        }
    }
}

impl TypedAttribute for ExtMap {
    const NAME: &'static str = "extmap";
}

impl FromStr for ExtMap {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let (id, direction) =
            fields.read("<id>[/<direction>]", |field| match field.split_once('/') {
                Some((id, direction)) => {
                    Some((id.parse().ok()?, Some(Direction::from_name(direction)?)))
                }
                None => Some((field.parse().ok()?, None)),
            })?;
        Ok(Self {
            id,
            direction,
            uri: word(&mut fields, "a URI")?,
            parameters: rest(&mut fields),
        })
    }
}

impl Display for ExtMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(direction) = self.direction {
            write!(f, "/{direction}")?;
        }
        write!(f, " {}", self.uri)?;
        self.parameters
            .as_ref()
            .map_or(Ok(()), |parameters| write!(f, " {parameters}"))
    }
}
