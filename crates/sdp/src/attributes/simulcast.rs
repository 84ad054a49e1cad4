use super::payload_type;
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

/// RFC 8851 §10 with the erratum that RFC 8852 §3.1 follows: letters, digits, and the `-` and `_` that browsers accept.
fn is_rid(text: &str) -> bool {
    let char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(char)
}

/// Whether a stream is sent or received by the side that writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RidDirection {
    /// `send`
    Send,
    /// `recv`
    Recv,
}

impl RidDirection {
    fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Recv => "recv",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "send" => Some(Self::Send),
            "recv" => Some(Self::Recv),
            _ => None,
        }
    }

    /// The other one.
    pub fn reversed(self) -> Self {
        match self {
            Self::Send => Self::Recv,
            Self::Recv => Self::Send,
        }
    }
}

/// `a=rid:<id> <direction> [pt=<payload types>;<restriction>=<value>;…]` (RFC 8851 §4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rid {
    /// The restriction identifier.
    pub id: String,
    /// Whether it is sent or received.
    pub direction: RidDirection,
    /// The payload types it may use; empty: all of the m-section.
    pub payload_types: Vec<u8>,
    /// `max-width`, `max-height`, `max-fps`, `max-br`, `max-pps`, `max-bpp`, `depend`, …, in their order.
    pub restrictions: Vec<(String, Option<String>)>,
}

impl Rid {
    /// Without restrictions.
    pub fn new(id: impl Into<String>, direction: RidDirection) -> Self {
        Self {
            id: id.into(),
            direction,
            payload_types: Vec::new(),
            restrictions: Vec::new(),
        }
    }

    /// The value of a restriction that is a number.
    pub fn restriction(&self, name: &str) -> Option<u64> {
        let mut all = self.restrictions.iter();
        all.find(|(have, _)| have == name)?.1.as_ref()?.parse().ok()
    }
}

impl TypedAttribute for Rid {
    const NAME: &'static str = "rid";
}

impl FromStr for Rid {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let id = fields.read("letters, digits, - or _", |field| {
            is_rid(field).then_some(field)
        })?;
        let direction = fields.read("send or recv", RidDirection::from_word)?;
        let mut rid = Self::new(id, direction);
        let offset = fields.offset();
        let restrictions = fields.remainder();
        for part in restrictions
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.split_once('=') {
                Some(("pt", list)) if rid.payload_types.is_empty() => {
                    let list: Option<_> = list.split(',').map(payload_type).collect();
                    let expected = "payload types with commas between";
                    rid.payload_types = list.ok_or(ValueError { offset, expected })?;
                }
                Some((name, value)) => rid
                    .restrictions
                    .push((name.to_owned(), Some(value.to_owned()))),
                None => rid.restrictions.push((part.to_owned(), None)),
            }
        }
        Ok(rid)
    }
}

impl Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.direction.as_str())?;
        let mut separator = ' ';
        for (index, payload_type) in self.payload_types.iter().enumerate() {
            f.write_str(if index == 0 { " pt=" } else { "," })?;
            payload_type.fmt(f)?;
            separator = ';';
        }
        for (name, value) in &self.restrictions {
            write!(f, "{separator}{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
            separator = ';';
        }
        Ok(())
    }
}

/// One alternative of a stream in `a=simulcast`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SimulcastStream {
    /// The `a=rid` that describes it.
    pub rid: String,
    /// `~`: it starts paused.
    pub paused: bool,
}

impl SimulcastStream {
    /// A stream that is not paused.
    pub fn new(rid: impl Into<String>) -> Self {
        Self {
            rid: rid.into(),
            paused: false,
        }
    }
}

/// `a=simulcast:send <streams> recv <streams>`: streams with `;` between, the alternatives of each with `,` (RFC 8853 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Simulcast {
    /// What the writer sends.
    pub send: Vec<Vec<SimulcastStream>>,
    /// What the writer receives.
    pub recv: Vec<Vec<SimulcastStream>>,
    /// Whether `recv` is written first.
    pub recv_first: bool,
}

impl Simulcast {
    /// One direction with these streams, none of them with alternatives.
    pub fn new<S: Into<String>>(
        direction: RidDirection,
        rids: impl IntoIterator<Item = S>,
    ) -> Self {
        let streams = rids
            .into_iter()
            .map(|rid| vec![SimulcastStream::new(rid)])
            .collect();
        match direction {
            RidDirection::Send => Self {
                send: streams,
                ..Self::default()
            },
            RidDirection::Recv => Self {
                recv: streams,
                ..Self::default()
            },
        }
    }
}

impl Simulcast {
    fn streams_mut(&mut self, direction: RidDirection) -> &mut Vec<Vec<SimulcastStream>> {
        match direction {
            RidDirection::Send => &mut self.send,
            RidDirection::Recv => &mut self.recv,
        }
    }
}

impl TypedAttribute for Simulcast {
    const NAME: &'static str = "simulcast";
}

impl FromStr for Simulcast {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let mut simulcast = Self::default();
        let first = fields.read("send or recv", RidDirection::from_word)?;
        *simulcast.streams_mut(first) = fields.read("streams", streams)?;
        if fields.rest() {
            let second = first.reversed();
            let expected = "the other direction";
            fields.read(expected, |word| (word == second.as_str()).then_some(()))?;
            *simulcast.streams_mut(second) = fields.read("streams", streams)?;
            simulcast.recv_first = first == RidDirection::Recv;
        }
        fields.end()?;
        Ok(simulcast)
    }
}

fn streams(text: &str) -> Option<Vec<Vec<SimulcastStream>>> {
    let alternative = |text: &str| {
        let rid = text.strip_prefix('~').unwrap_or(text);
        is_rid(rid).then(|| SimulcastStream {
            rid: rid.to_owned(),
            paused: rid.len() != text.len(),
        })
    };
    text.split(';')
        .map(|stream| stream.split(',').map(alternative).collect())
        .collect()
}

impl Display for Simulcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut directions = [
            (RidDirection::Send, &self.send),
            (RidDirection::Recv, &self.recv),
        ];
        if self.recv_first {
            directions.reverse();
        }
        let mut space = "";
        for (direction, streams) in directions
            .into_iter()
            .filter(|(_, streams)| !streams.is_empty())
        {
            write!(f, "{space}{}", direction.as_str())?;
            space = " ";
            for (index, stream) in streams.iter().enumerate() {
                f.write_str(if index == 0 { " " } else { ";" })?;
                for (index, alternative) in stream.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let paused = if alternative.paused { "~" } else { "" };
                    write!(f, "{comma}{paused}{}", alternative.rid)?;
                }
            }
        }
        Ok(())
    }
}
