//! Writing: every line ends with CRLF, in the order of RFC 8866 §9.

use crate::{Attribute, MediaDescription, SessionDescription};
use std::fmt;
use std::str::FromStr;

impl SessionDescription {
    /// Appends the description to `out`.
    pub fn write(&self, out: &mut String) {
        out.reserve(self.length());
        out.push_str("v=0\r\n");
        line(out, "o=", self.origin.line());
        lines(out, "s=", [&self.name]);
        lines(out, "i=", &self.information);
        lines(out, "u=", &self.uri);
        lines(out, "e=", &self.emails);
        lines(out, "p=", &self.phones);
        if let Some(connection) = &self.connection {
            line(out, "c=", connection.line());
        }
        for bandwidth in &self.bandwidths {
            line(out, "b=", bandwidth.line());
        }
        for time in &self.times {
            line(out, "t=", time.timing.line());
            for repeat in &time.repeats {
                line(out, "r=", repeat.line());
            }
            if let Some(zones) = &time.zones {
                line(out, "z=", zones.line());
            }
        }
        if let Some(key) = &self.key {
            line(out, "k=", key.line());
        }
        attributes(out, &self.attributes);
        for media in &self.media {
            media.write(out);
        }
    }

    /// The description as a string; `to_string()` with one allocation.
    pub fn to_sdp(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// About how long the text will be, never less for descriptions of the usual kind.
    fn length(&self) -> usize {
        let all = self.media.iter().map(|media| &media.attributes);
        let all = all.chain([&self.attributes]).flatten();
        let attributes: usize = all.map(|attribute| attribute.line().len() + 4).sum();
        attributes + 256 + self.media.len() * 256
    }
}

impl MediaDescription {
    /// Appends the m-section to `out`.
    pub fn write(&self, out: &mut String) {
        line(out, "m=", self.media.line());
        lines(out, "i=", &self.information);
        for connection in &self.connections {
            line(out, "c=", connection.line());
        }
        for bandwidth in &self.bandwidths {
            line(out, "b=", bandwidth.line());
        }
        if let Some(key) = &self.key {
            line(out, "k=", key.line());
        }
        attributes(out, &self.attributes);
    }
}

fn attributes(out: &mut String, attributes: &[Attribute]) {
    for attribute in attributes {
        line(out, "a=", attribute.line());
    }
}

fn lines<'a>(out: &mut String, letter: &str, texts: impl IntoIterator<Item = &'a crate::Text>) {
    for text in texts {
        line(out, letter, &text.one_line());
    }
}

#[inline]
fn line(out: &mut String, letter: &str, value: &str) {
    out.push_str(letter);
    out.push_str(value);
    out.push_str("\r\n");
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sdp())
    }
}

impl fmt::Display for MediaDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl FromStr for SessionDescription {
    type Err = crate::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
