use crate::ValueError;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// What ends or breaks a line.
const BREAKS: [char; 3] = ['\r', '\n', '\0'];

/// A piece of text that is cheap to clone: all the pieces of a parsed description share its one copy.
///
/// It reads like a `&str`. Build one from a `String`, a `&str` (copied) or, free of cost, by [`Text::from_static`].
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    /// The bytes `start..end` of `source`.
    Shared {
        source: Arc<str>,
        start: u32,
        end: u32,
    },
}

impl Text {
    /// No text.
    pub const EMPTY: Self = Self::from_static("");

    /// Text that the program holds anyway.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// The same text without the characters that would end or break its line.
    pub(crate) fn one_line(&self) -> Self {
        if self.contains(BREAKS) {
            self.replace(BREAKS, "").into()
        } else {
            self.clone()
        }
    }

    /// An error when a character would end or break its line.
    pub(crate) fn refuse_breaks(&self) -> Result<(), ValueError> {
        let expected = "a single line";
        let broken = self.find(BREAKS);
        broken.map_or(Ok(()), |offset| Err(ValueError { offset, expected }))
    }

    /// A piece of `source`, which is at most [`MAX_LENGTH`](crate::MAX_LENGTH) long.
    pub(crate) fn shared(source: &Arc<str>, range: Range<usize>) -> Self {
        Self(Repr::Shared {
            source: Arc::clone(source),
            start: range.start as u32,
            end: range.end as u32,
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(text) => text,
            Repr::Shared { source, start, end } => source
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
        }
    }

    /// Where the byte `offset` of this text is in the description that was parsed: line and column, from 1.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        match &self.0 {
            Repr::Static(text) => position(text, offset),
            Repr::Shared { source, start, .. } => position(source, *start as usize + offset),
        }
    }
}

/// Line and column (in characters), both from 1, of a byte of `source`.
pub(crate) fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.as_bytes().get(..offset).unwrap_or(source.as_bytes());
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    // Characters are counted by the bytes that begin one.
    let column = before
        .get(start..)
        .unwrap_or_default()
        .iter()
        .filter(|b| **b & 0xc0 != 0x80)
        .count();
    (line, column + 1)
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        let end = text.len().min(u32::MAX as usize);
        Self::shared(&Arc::from(text), 0..end)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}
