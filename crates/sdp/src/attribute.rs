use crate::{ParseError, ParseErrorKind, Text, ValueError};
use std::fmt::{self, Display, Write};
use std::ops::{Deref, DerefMut};
use std::str::FromStr;

/// An attribute with a known name whose value has a type: what the [`attributes`](crate::attributes) module is full of.
///
/// `FromStr` reads the value, without the name; `Display` writes it. An attribute without a value writes nothing.
pub trait TypedAttribute: FromStr<Err = ValueError> + Display {
    /// The name in front of the colon.
    const NAME: &'static str;
}

/// One `a=` line (RFC 8866 §5.13): a name, and a value unless it is a flag.
///
/// It is kept as the text that it is; [`read`](Self::read) gives it a type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// What follows `a=`.
    line: Text,
    name_length: u32,
}

impl Attribute {
    /// `a=name:value`. Line ends and NULs in it are dropped: what is written is one line, whatever it is made of.
    pub fn new(name: &str, value: impl Display) -> Self {
        let mut line = String::with_capacity(name.len() + 48);
        line.push_str(name);
        // Writing into a String can't fail.
        let _ = write!(line, ":{value}");
        Self::from_line(line)
    }

    /// `a=name`.
    pub fn flag(name: &'static str) -> Self {
        Self {
            line: Text::from_static(name),
            name_length: name.len() as u32,
        }
    }

    /// From what follows `a=`.
    pub fn from_line(line: impl Into<Text>) -> Self {
        let line = line.into().one_line();
        let name_length = line.find(':').unwrap_or(line.len()) as u32;
        Self { line, name_length }
    }

    pub(crate) fn from_parts(line: Text, name_length: usize) -> Self {
        let name_length = name_length as u32;
        Self { line, name_length }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.line
            .get(..self.name_length as usize)
            .unwrap_or_default()
    }

    /// The value, unless it is a flag.
    pub fn value(&self) -> Option<&str> {
        self.line.get(self.name_length as usize + 1..)
    }

    /// What follows `a=`.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Whether its name is that of `T`.
    pub fn is<T: TypedAttribute>(&self) -> bool {
        self.name() == T::NAME
    }

    /// The typed value. `None`: it is another attribute.
    pub fn read<T: TypedAttribute>(&self) -> Option<Result<T, ParseError>> {
        self.is::<T>().then(|| self.read_value())
    }

    pub(crate) fn read_value<T: TypedAttribute>(&self) -> Result<T, ParseError> {
        self.value().unwrap_or_default().parse().map_err(|error| {
            let ValueError { offset, expected } = error;
            let (line, column) = self.line.position(self.name_length as usize + 1 + offset);
            let name = T::NAME;
            ParseError {
                line,
                column,
                kind: ParseErrorKind::Attribute { name, expected },
            }
        })
    }
}

impl<T: TypedAttribute> From<T> for Attribute {
    fn from(value: T) -> Self {
        let mut attribute = Self::new(T::NAME, value);
        if attribute.value() == Some("") {
            attribute.line = Text::from_static(T::NAME);
        }
        attribute
    }
}

impl Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a={}", self.line)
    }
}

/// The attributes of a session or a media description, in their order. It is also a `Vec<Attribute>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(pub Vec<Attribute>);

impl Attributes {
    /// Whether there is an attribute of this name, flag or not.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|attribute| attribute.name() == name)
    }

    /// The value of the first attribute of this name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|attribute| attribute.name() == name)
            .and_then(Attribute::value)
    }

    /// The first attribute of this type, if it is there and well-formed.
    pub fn get<T: TypedAttribute>(&self) -> Option<T> {
        self.all().next()
    }

    /// The first attribute of this type, if it is there; malformed, it is an error.
    pub fn try_get<T: TypedAttribute>(&self) -> Result<Option<T>, ParseError> {
        self.try_all().next().transpose()
    }

    /// The attributes of this type, without the malformed ones.
    pub fn all<T: TypedAttribute>(&self) -> impl Iterator<Item = T> {
        self.try_all().filter_map(Result::ok)
    }

    /// The attributes of this type.
    pub fn try_all<T: TypedAttribute>(&self) -> impl Iterator<Item = Result<T, ParseError>> {
        self.iter().filter_map(Attribute::read)
    }

    /// Appends an attribute.
    pub fn add(&mut self, attribute: impl Into<Attribute>) {
        self.0.push(attribute.into());
    }

    /// Replaces the first attribute of the same name and removes its others; appends it when there is none.
    pub fn set(&mut self, attribute: impl Into<Attribute>) {
        let attribute = attribute.into();
        match self.iter().position(|have| have.name() == attribute.name()) {
            Some(first) => {
                let mut index = 0;
                self.0.retain(|have| {
                    index += 1;
                    index <= first + 1 || have.name() != attribute.name()
                });
                if let Some(slot) = self.0.get_mut(first) {
                    *slot = attribute;
                }
            }
            None => self.0.push(attribute),
        }
    }

    /// Removes every attribute of this name; says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.len();
        self.0.retain(|attribute| attribute.name() != name);
        self.len() != before
    }
}

impl Deref for Attributes {
    type Target = Vec<Attribute>;
    fn deref(&self) -> &Vec<Attribute> {
        &self.0
    }
}

impl DerefMut for Attributes {
    fn deref_mut(&mut self) -> &mut Vec<Attribute> {
        &mut self.0
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}
