//! The lines that are no attributes and have a structure: each keeps its text and reads its fields out of it.

use crate::{Text, ValueError};
use std::fmt;
use std::net::IpAddr;

/// Declares a line type over its text.
macro_rules! line {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Text);

        impl $name {
            /// The line, without its letter and `=`.
            pub fn line(&self) -> &str {
                &self.0
            }

            /// From a line, without its letter and `=`.
            pub fn from_line(line: impl Into<Text>) -> Result<Self, ValueError> {
                let line = line.into();
                line.refuse_breaks()?;
                Self::check(&line)?;
                Ok(Self(line))
            }

        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0.as_str())
            }
        }
    };
}

line! {
    /// `o=`, the originator and the session's identifier and version (RFC 8866 §5.2).
    Origin
}
line! {
    /// `c=`, where media is sent to (RFC 8866 §5.7). With ICE it is the default candidate's address.
    Connection
}
line! {
    /// `b=`, a proposed bandwidth (RFC 8866 §5.8).
    Bandwidth
}
line! {
    /// `t=`, when the session starts and ends (RFC 8866 §5.9).
    Timing
}
line! {
    /// `r=`, when it is repeated (RFC 8866 §5.10).
    Repeat
}
line! {
    /// `z=`, shifts of the repetitions, for daylight saving (RFC 8866 §5.11).
    ZoneAdjustments
}
line! {
    /// `k=`, obsolete and not to be used (RFC 8866 §5.12); kept where it came.
    Key
}

impl Origin {
    /// `- <session id> <version> IN IP4 127.0.0.1`, as RFC 9429 §5.2.1 has it. The id must fit 62 bits.
    pub fn new(session_id: u64, version: u64) -> Self {
        Self(format!("- {session_id} {version} IN IP4 127.0.0.1").into())
    }

    fn check(line: &str) -> Result<(), ValueError> {
        let mut fields = Fields::new(line);
        fields.next("a user name")?;
        fields.digits("a numeric session id")?;
        fields.digits("a numeric session version")?;
        fields.next("a network type")?;
        fields.next("an address type")?;
        fields.next("an address")?;
        fields.end()
    }

    /// The user's name at the originating host, `-` without the concept.
    pub fn username(&self) -> &str {
        field(&self.0, 0)
    }

    /// The session id, a string of digits of any length.
    pub fn session_id(&self) -> &str {
        field(&self.0, 1)
    }

    /// The version, which rises with each change; `None` when it does not fit.
    pub fn version(&self) -> Option<u64> {
        field(&self.0, 2).parse().ok()
    }

    /// The same origin with another version.
    pub fn with_version(&self, version: u64) -> Self {
        let fields = [self.username(), self.session_id()].join(" ");
        let rest = [self.network_type(), self.address_type(), self.address()].join(" ");
        Self(format!("{fields} {version} {rest}").into())
    }

    /// `IN`.
    pub fn network_type(&self) -> &str {
        field(&self.0, 3)
    }

    /// `IP4` or `IP6`.
    pub fn address_type(&self) -> &str {
        field(&self.0, 4)
    }

    /// The address, or a host name.
    pub fn address(&self) -> &str {
        field(&self.0, 5)
    }
}

impl Connection {
    /// `IN IP4 <address>` or `IN IP6 <address>`.
    pub fn new(address: IpAddr) -> Self {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        Self(format!("IN {family} {address}").into())
    }

    /// `IN IP4 0.0.0.0`, which WebRTC writes while it has no candidate (RFC 9429 §5.2.1).
    pub const fn unspecified() -> Self {
        Self(Text::from_static("IN IP4 0.0.0.0"))
    }

    fn check(line: &str) -> Result<(), ValueError> {
        let mut fields = Fields::new(line);
        fields.next("a network type")?;
        fields.next("an address type")?;
        fields.next("an address")?;
        fields.end()
    }

    /// `IN`.
    pub fn network_type(&self) -> &str {
        field(&self.0, 0)
    }

    /// `IP4` or `IP6`.
    pub fn address_type(&self) -> &str {
        field(&self.0, 1)
    }

    /// The address, with `/ttl` and `/count` of a multicast.
    pub fn address(&self) -> &str {
        field(&self.0, 2)
    }

    /// The address, unless it is a host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().split('/').next()?.parse().ok()
    }

    /// The time to live of an IPv4 multicast.
    pub fn ttl(&self) -> Option<u8> {
        let ttl = self.address().split('/').nth(1);
        ttl.filter(|_| self.address_type() == "IP4")?.parse().ok()
    }

    /// How many consecutive multicast addresses are meant.
    pub fn count(&self) -> u32 {
        let index = if self.address_type() == "IP4" { 2 } else { 1 };
        let count = self.address().split('/').nth(index);
        count.and_then(|count| count.parse().ok()).unwrap_or(1)
    }
}

impl Bandwidth {
    /// `<kind>:<value>`: kbit/s for `AS` and `CT`, bit/s for `TIAS` (RFC 3890).
    pub fn new(kind: &str, value: u64) -> Self {
        Self(Text::from(format!("{kind}:{value}")).one_line())
    }

    fn check(line: &str) -> Result<(), ValueError> {
        let expected = "<type>:<number>";
        match line.split_once(':') {
            Some(("", _)) => Err(ValueError {
                offset: 0,
                expected,
            }),
            Some((kind, value)) if !is_digits(value) => Err(ValueError {
                offset: kind.len() + 1,
                expected,
            }),
            Some(_) => Ok(()),
            None => Err(ValueError {
                offset: line.len(),
                expected,
            }),
        }
    }

    /// `AS`, `CT`, `TIAS`, `RS`, `RR`, `X-…`.
    pub fn kind(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// The value, at most `u64::MAX`.
    pub fn value(&self) -> u64 {
        let value = self.0.split(':').nth(1).unwrap_or_default();
        value.parse().unwrap_or(u64::MAX)
    }
}

impl Timing {
    /// `0 0`: a session without bounds, the only one that WebRTC knows.
    pub const UNBOUNDED: Self = Self(Text::from_static("0 0"));

    /// Start and end in seconds since 1900 (NTP); zero is "not bounded".
    pub fn new(start: u64, stop: u64) -> Self {
        Self(format!("{start} {stop}").into())
    }

    fn check(line: &str) -> Result<(), ValueError> {
        let mut fields = Fields::new(line);
        fields.digits("a start time")?;
        fields.digits("a stop time")?;
        fields.end()
    }

    /// Seconds since 1900; zero: not bounded.
    pub fn start(&self) -> u64 {
        field(&self.0, 0).parse().unwrap_or(u64::MAX)
    }

    /// Seconds since 1900; zero: not bounded.
    pub fn stop(&self) -> u64 {
        field(&self.0, 1).parse().unwrap_or(u64::MAX)
    }
}

impl Repeat {
    fn check(line: &str) -> Result<(), ValueError> {
        let mut fields = Fields::new(line);
        fields.typed_time("a repeat interval")?;
        fields.typed_time("an active duration")?;
        fields.typed_time("an offset")?;
        while fields.rest() {
            fields.typed_time("an offset")?;
        }
        Ok(())
    }

    /// Seconds from one repetition to the next.
    pub fn interval(&self) -> i64 {
        seconds(field(&self.0, 0)).unwrap_or(i64::MAX)
    }

    /// Seconds that each lasts.
    pub fn duration(&self) -> i64 {
        seconds(field(&self.0, 1)).unwrap_or(i64::MAX)
    }

    /// Seconds from the start time at which they begin.
    pub fn offsets(&self) -> impl Iterator<Item = i64> {
        let offsets = self.0.split_ascii_whitespace().skip(2);
        offsets.map(|offset| seconds(offset).unwrap_or(i64::MAX))
    }
}

impl ZoneAdjustments {
    fn check(line: &str) -> Result<(), ValueError> {
        let mut fields = Fields::new(line);
        loop {
            fields.digits("an adjustment time")?;
            fields.typed_time("an offset")?;
            if !fields.rest() {
                return Ok(());
            }
        }
    }

    /// Pairs of a time (seconds since 1900) and the shift in seconds from then on.
    pub fn adjustments(&self) -> impl Iterator<Item = (u64, i64)> {
        let mut fields = self.0.split_ascii_whitespace();
        std::iter::from_fn(move || {
            let time = fields.next()?.parse().unwrap_or(u64::MAX);
            Some((time, seconds(fields.next()?).unwrap_or(i64::MAX)))
        })
    }
}

impl Key {
    fn check(line: &str) -> Result<(), ValueError> {
        let known = match line.split_once(':') {
            Some((method, key)) => matches!(method, "clear" | "base64" | "uri") && !key.is_empty(),
            None => line == "prompt",
        };
        let expected = "prompt, clear:, base64: or uri:";
        known.then_some(()).ok_or(ValueError {
            offset: 0,
            expected,
        })
    }

    /// `clear`, `base64`, `uri` or `prompt`.
    pub fn method(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}

fn field(line: &str, index: usize) -> &str {
    line.split_ascii_whitespace().nth(index).unwrap_or_default()
}

/// A `typed-time`: digits, perhaps negative, perhaps with the unit d, h, m or s.
fn seconds(text: &str) -> Option<i64> {
    let unit = match text.bytes().last()? {
        b'd' => 86_400,
        b'h' => 3_600,
        b'm' => 60,
        _ => 1,
    };
    let number = text.strip_suffix(['d', 'h', 'm', 's']).unwrap_or(text);
    let digits = number.strip_prefix('-').unwrap_or(number);
    is_digits(digits).then(|| number.parse::<i64>().ok()?.checked_mul(unit))?
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads blank-separated fields and knows where it is.
pub(crate) struct Fields<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn skip_blanks(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_ascii_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Whether there is another field.
    pub(crate) fn rest(&mut self) -> bool {
        !self.skip_blanks().is_empty()
    }

    /// Everything that is left.
    pub(crate) fn remainder(&mut self) -> &'a str {
        self.skip_blanks().trim_ascii_end()
    }

    /// Where the next field begins.
    pub(crate) fn offset(&mut self) -> usize {
        self.skip_blanks();
        self.at
    }

    pub(crate) fn optional(&mut self) -> Option<&'a str> {
        let rest = self.skip_blanks();
        let end = rest.bytes().position(|b| b.is_ascii_whitespace());
        let field = rest.get(..end.unwrap_or(rest.len()))?;
        self.at += field.len();
        (!field.is_empty()).then_some(field)
    }

    pub(crate) fn next(&mut self, expected: &'static str) -> Result<&'a str, ValueError> {
        let offset = self.offset();
        self.optional().ok_or(ValueError { offset, expected })
    }

    /// The next field, read as a number or anything else.
    pub(crate) fn parse<T: std::str::FromStr>(
        &mut self,
        expected: &'static str,
    ) -> Result<T, ValueError> {
        self.read(expected, |field| field.parse().ok())
    }

    pub(crate) fn read<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, ValueError> {
        let offset = self.offset();
        self.optional()
            .and_then(read)
            .ok_or(ValueError { offset, expected })
    }

    fn digits(&mut self, expected: &'static str) -> Result<(), ValueError> {
        self.read(expected, |field| is_digits(field).then_some(()))
    }

    fn typed_time(&mut self, expected: &'static str) -> Result<(), ValueError> {
        self.read(expected, seconds).map(drop)
    }

    pub(crate) fn end(&mut self) -> Result<(), ValueError> {
        let offset = self.offset();
        let expected = "nothing more";
        if self.rest() {
            Err(ValueError { offset, expected })
        } else {
            Ok(())
        }
    }
}
