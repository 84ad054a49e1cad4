//! The lines of a description, in the order of RFC 8866 §9. One pass, linear in the length of the text.

use crate::text::position;
use crate::{
    Attribute, Attributes, MAX_LENGTH, MediaDescription, MediaLine, Origin, ParseError,
    ParseErrorKind, SessionDescription, Text, TimeDescription, ValueError,
};
use std::ops::Range;
use std::sync::Arc;

pub(crate) fn parse(text: &str) -> Result<SessionDescription, ParseError> {
    if text.len() > MAX_LENGTH {
        let (line, column) = (1, 1);
        let kind = ParseErrorKind::TooLong;
        return Err(ParseError { line, column, kind });
    }
    let source = Arc::from(text);
    let mut parser = Parser {
        lines: Lines { text, at: 0 },
        source: &source,
        line: None,
        attributes: Vec::with_capacity((text.len() / 32).min(256)),
    };
    parser.advance()?;
    parser.session()
}

/// One line: its letter, and where its value is.
struct Line {
    letter: u8,
    value: Range<usize>,
}

struct Parser<'a> {
    lines: Lines<'a>,
    source: &'a Arc<str>,
    /// The line to look at; `None` at the end.
    line: Option<Line>,
    /// Where the attributes of one section gather, so that each section's list is allocated once, in its size.
    attributes: Vec<Attribute>,
}

impl Parser<'_> {
    fn session(mut self) -> Result<SessionDescription, ParseError> {
        let version = self.require(b'v')?;
        if self.text(&version) != "0" {
            return Err(self.error(version.start, ParseErrorKind::UnsupportedVersion));
        }
        let origin = self.require(b'o')?;
        let origin = self.structured(b'o', origin, Origin::from_line)?;
        let name = self.require(b's')?;
        let mut session = SessionDescription {
            name: Text::shared(self.source, name),
            information: self.text_line(b'i')?,
            uri: self.text_line(b'u')?,
            times: Vec::new(),
            ..SessionDescription::new(origin)
        };
        while let Some(email) = self.text_line(b'e')? {
            session.emails.push(email);
        }
        while let Some(phone) = self.text_line(b'p')? {
            session.phones.push(phone);
        }
        session.connection = self.structured_line(b'c', crate::Connection::from_line)?;
        while let Some(bandwidth) = self.structured_line(b'b', crate::Bandwidth::from_line)? {
            session.bandwidths.push(bandwidth);
        }
        while let Some(timing) = self.structured_line(b't', crate::Timing::from_line)? {
            let mut time = TimeDescription {
                timing,
                ..TimeDescription::UNBOUNDED
            };
            while let Some(repeat) = self.structured_line(b'r', crate::Repeat::from_line)? {
                time.repeats.push(repeat);
            }
            time.zones = self.structured_line(b'z', crate::ZoneAdjustments::from_line)?;
            session.times.push(time);
        }
        if session.times.is_empty() {
            return Err(self.missing(b't'));
        }
        session.key = self.structured_line(b'k', crate::Key::from_line)?;
        session.attributes = self.attributes()?;
        while let Some(media) = self.structured_line(b'm', MediaLine::from_line)? {
            let media = self.media(media)?;
            session.media.push(media);
        }
        match &self.line {
            None => Ok(session),
            Some(line) => Err(self.unexpected(line)),
        }
    }

    fn media(&mut self, media: MediaLine) -> Result<MediaDescription, ParseError> {
        let mut section = MediaDescription {
            information: self.text_line(b'i')?,
            ..MediaDescription::new(media)
        };
        while let Some(connection) = self.structured_line(b'c', crate::Connection::from_line)? {
            if section.connections.is_empty() {
                section.connections.reserve_exact(1);
            }
            section.connections.push(connection);
        }
        while let Some(bandwidth) = self.structured_line(b'b', crate::Bandwidth::from_line)? {
            section.bandwidths.push(bandwidth);
        }
        section.key = self.structured_line(b'k', crate::Key::from_line)?;
        section.attributes = self.attributes()?;
        Ok(section)
    }

    fn attributes(&mut self) -> Result<Attributes, ParseError> {
        while let Some(line) = &self.line
            && line.letter == b'a'
        {
            let value = line.value.clone();
            let name = attribute_name(self.text(&value))
                .map_err(|error| self.malformed(b'a', &value, error))?;
            self.attributes.push(Attribute::from_parts(
                Text::shared(self.source, value),
                name,
            ));
            self.advance()?;
        }
        Ok(self.attributes.drain(..).collect())
    }

    /// The value of the line to look at when it has this letter; then goes on.
    fn take(&mut self, letter: u8) -> Result<Option<Range<usize>>, ParseError> {
        let value = match &self.line {
            Some(line) if line.letter == letter => line.value.clone(),
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(value))
    }

    fn require(&mut self, letter: u8) -> Result<Range<usize>, ParseError> {
        match self.take(letter)? {
            Some(value) => Ok(value),
            None => Err(self.missing(letter)),
        }
    }

    fn text_line(&mut self, letter: u8) -> Result<Option<Text>, ParseError> {
        let value = self.take(letter)?;
        Ok(value.map(|value| Text::shared(self.source, value)))
    }

    fn structured_line<T>(
        &mut self,
        letter: u8,
        read: impl FnOnce(Text) -> Result<T, ValueError>,
    ) -> Result<Option<T>, ParseError> {
        match self.take(letter)? {
            Some(value) => self.structured(letter, value, read).map(Some),
            None => Ok(None),
        }
    }

    fn structured<T>(
        &self,
        letter: u8,
        value: Range<usize>,
        read: impl FnOnce(Text) -> Result<T, ValueError>,
    ) -> Result<T, ParseError> {
        read(Text::shared(self.source, value.clone()))
            .map_err(|error| self.malformed(letter, &value, error))
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.lines.text.get(range.clone()).unwrap_or_default()
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.line = self.lines.next()?;
        Ok(())
    }

    fn error(&self, offset: usize, kind: ParseErrorKind) -> ParseError {
        self.lines.error(offset, kind)
    }

    fn malformed(&self, letter: u8, value: &Range<usize>, error: ValueError) -> ParseError {
        let kind = ParseErrorKind::Malformed {
            line_type: char::from(letter),
            expected: error.expected,
        };
        self.error(value.start + error.offset, kind)
    }

    fn missing(&self, letter: u8) -> ParseError {
        let kind = ParseErrorKind::Missing(char::from(letter));
        match &self.line {
            Some(line) => self.error(line.value.start - 2, kind),
            None => self.error(self.lines.text.len(), kind),
        }
    }

    fn unexpected(&self, line: &Line) -> ParseError {
        let letter = char::from(line.letter);
        let known = "vosiuepcbtrzkam".contains(letter);
        let kind = if known {
            ParseErrorKind::Misplaced
        } else {
            ParseErrorKind::UnknownType
        };
        self.error(line.value.start - 2, kind(letter))
    }
}

/// The length of an attribute's name: up to the colon, at least one byte, no blank.
#[inline]
fn attribute_name(line: &str) -> Result<usize, ValueError> {
    let expected = "an attribute name";
    let end = line.bytes().position(|b| b == b':' || b <= b' ');
    match end {
        Some(0) => Err(ValueError {
            offset: 0,
            expected,
        }),
        None if line.is_empty() => Err(ValueError {
            offset: 0,
            expected,
        }),
        None => Ok(line.len()),
        Some(end) if line.as_bytes().get(end) == Some(&b':') => Ok(end),
        Some(offset) => Err(ValueError {
            offset,
            expected: "a colon or the end of the line",
        }),
    }
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl Lines<'_> {
    /// The next line, without its end (CRLF, or LF alone) and the blanks before that. Empty lines may only end the text.
    #[inline]
    fn next(&mut self) -> Result<Option<Line>, ParseError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(end) = self.line_end(rest)? else {
            return Ok(None);
        };
        self.at = (start + end + 1).min(bytes.len());
        let mut line = rest.get(..end).unwrap_or_default();
        if let [head @ .., b'\r'] = line {
            line = head;
        }
        match *line {
            [letter, b'=', ..] if letter.is_ascii_alphabetic() => {
                // The value of `s=` may be a single blank (RFC 8866 §5.3).
                if letter != b's' {
                    line = line.trim_ascii_end();
                }
                let value = start + 2..start + line.len().max(2);
                Ok(Some(Line { letter, value }))
            }
            _ if rest.trim_ascii().is_empty() => {
                self.at = bytes.len();
                Ok(None)
            }
            _ => Err(self.error(start, ParseErrorKind::NotALine)),
        }
    }

    /// Where the line that begins `rest` ends; `None`: there is none.
    #[inline]
    fn line_end(&self, rest: &[u8]) -> Result<Option<usize>, ParseError> {
        if rest.is_empty() {
            return Ok(None);
        }
        let mut from = 0;
        loop {
            let control = rest
                .get(from..)
                .unwrap_or_default()
                .iter()
                .position(|b| matches!(b, b'\n' | b'\r' | 0));
            let Some(at) = control.map(|at| from + at) else {
                return Ok(Some(rest.len()));
            };
            match (rest.get(at), rest.get(at + 1)) {
                (Some(b'\n'), _) => return Ok(Some(at)),
                (Some(b'\r'), Some(b'\n') | None) => from = at + 1,
                _ => return Err(self.error(self.at + at, ParseErrorKind::ForbiddenByte)),
            }
        }
    }

    fn error(&self, offset: usize, kind: ParseErrorKind) -> ParseError {
        let (line, column) = position(self.text, offset);
        ParseError { line, column, kind }
    }
}
