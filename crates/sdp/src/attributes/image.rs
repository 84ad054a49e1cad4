use super::payload_type_or_all;
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

/// `a=imageattr:<payload type or *> send <sets> recv <sets>` (RFC 6236 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageAttr {
    /// `None`: `*`, all payload types of the m-section.
    pub payload_type: Option<u8>,
    /// What the writer can send.
    pub send: Option<ImageSets>,
    /// What the writer can receive.
    pub recv: Option<ImageSets>,
    /// Whether `recv` is written first.
    pub recv_first: bool,
}

/// The image sizes of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ImageSets {
    /// `*`: any.
    Any,
    /// These.
    Sets(Vec<ImageSet>),
}

/// `[x=…,y=…,…]`: names and values, in their order. A value is a number, or a list or a range in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageSet(pub Vec<(String, String)>);

impl ImageSet {
    /// A value, such as that of `x`, `y`, `sar`, `par` or `q`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

impl TypedAttribute for ImageAttr {
    const NAME: &'static str = "imageattr";
}

impl FromStr for ImageAttr {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let mut image = Self {
            payload_type: fields.read("a payload type or *", payload_type_or_all)?,
            send: None,
            recv: None,
            recv_first: false,
        };
        let expected = "send or recv, each once";
        loop {
            let offset = fields.offset();
            match fields.next(expected)? {
                "send" if image.send.is_none() => image.send = Some(sets(&mut fields)?),
                "recv" if image.recv.is_none() => {
                    image.recv = Some(sets(&mut fields)?);
                    image.recv_first = image.send.is_none();
                }
                _ => return Err(ValueError { offset, expected }),
            }
            if !fields.rest() {
                image.recv_first &= image.send.is_some();
                return Ok(image);
            }
        }
    }
}

fn sets(fields: &mut Fields<'_>) -> Result<ImageSets, ValueError> {
    let expected = "* or sets in brackets";
    let mut sets = vec![
        match fields.read(expected, |field| Some((field, set(field))))? {
            ("*", _) => return Ok(ImageSets::Any),
            (_, Some(set)) => set,
            (_, None) => {
                let offset = fields.offset();
                return Err(ValueError { offset, expected });
            }
        },
    ];
    while fields.remainder().starts_with('[') {
        sets.push(fields.read(expected, set)?);
    }
    Ok(ImageSets::Sets(sets))
}

/// One set: commas inside inner brackets belong to a value.
fn set(text: &str) -> Option<ImageSet> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut depth = 0_u32;
    let parts = inner.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    parts.map(pair).collect::<Option<_>>().map(ImageSet)
}

impl Display for ImageSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sets(sets) = self else {
            return f.write_str("*");
        };
        for (index, set) in sets.iter().enumerate() {
            f.write_str(if index == 0 { "[" } else { " [" })?;
            for (index, (name, value)) in set.0.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(f, "{comma}{name}={value}")?;
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl Display for ImageAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.payload_type {
            Some(payload_type) => write!(f, "{payload_type}")?,
            None => f.write_str("*")?,
        }
        let mut directions = [("send", &self.send), ("recv", &self.recv)];
        if self.recv_first {
            directions.reverse();
        }
        for (direction, sets) in directions {
            if let Some(sets) = sets {
                write!(f, " {direction} {sets}")?;
            }
        }
        Ok(())
    }
}
