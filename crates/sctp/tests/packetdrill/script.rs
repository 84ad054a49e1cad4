//! Reads packetdrill scripts in the notation of the SCTP suites: events with times, socket calls, chunks.

/// When an event happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Seconds since the start.
    At(f64),
    /// Seconds after the event before.
    After(f64),
    /// Between so and so many seconds after the event before.
    Between(f64, f64),
    /// Whenever.
    Any,
}

/// A line of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub line: usize,
    pub when: When,
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `< sctp: …`: a packet comes.
    Inbound(Vec<Chunk>),
    /// `> sctp: …`: a packet is sent.
    Outbound(Vec<Chunk>),
    /// `name(arguments) = result`.
    Call {
        name: String,
        arguments: String,
        result: String,
    },
    /// A command in backticks, or something else that is not ours to run.
    Other(String),
}

/// A chunk, parameter or cause: a name and what is in its brackets.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    pub name: String,
    pub items: Vec<Item>,
}

impl Chunk {
    /// The value of a field; `None` where it is missing or `...`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.items.iter().find_map(|item| match item {
            Item::Field(key, value) if key == name && value != "..." => Some(value.as_str()),
            _ => None,
        })
    }

    /// A field as a number, decimal or hexadecimal.
    pub fn number(&self, name: &str) -> Option<u64> {
        number(self.field(name)?)
    }

    /// The parameters or causes inside.
    pub fn inner(&self) -> impl Iterator<Item = &Chunk> {
        self.items.iter().filter_map(|item| match item {
            Item::Inner(chunk) => Some(chunk),
            _ => None,
        })
    }
}

/// A number, decimal or hexadecimal.
pub fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Something between brackets.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Field(String, String),
    Inner(Chunk),
    Ellipsis,
}

/// Reads a script; an error names its line.
pub fn parse(text: &str) -> Result<Vec<Event>, String> {
    let mut events: Vec<(usize, String)> = Vec::new();
    let mut in_comment = false;
    let mut in_command = false;
    for (number, line) in text.lines().enumerate() {
        let line = strip_comments(line, &mut in_comment);
        let line = line.trim();
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        let continues = in_command || time_of(line).is_none() && !line.starts_with('`');
        match events.last_mut() {
            Some((_, event)) if continues => {
                event.push(' ');
                event.push_str(line);
            }
            _ => events.push((number + 1, line.to_owned())),
        }
        if line.matches('`').count() % 2 == 1 {
            in_command = !in_command;
        }
    }
    events
        .into_iter()
        .map(|(line, text)| event(line, &text).map_err(|error| format!("line {line}: {error}")))
        .collect()
}

fn strip_comments(line: &str, in_comment: &mut bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        if *in_comment {
            let Some(end) = rest.find("*/") else {
                return out;
            };
            *in_comment = false;
            rest = &rest[end + 2..];
            continue;
        }
        let start = rest.find("/*");
        let line_end = [rest.find("//"), rest.find('#')]
            .into_iter()
            .flatten()
            .min();
        match (start, line_end) {
            (Some(start), end) if end.is_none_or(|end| start < end) => {
                out.push_str(&rest[..start]);
                *in_comment = true;
                rest = &rest[start + 2..];
            }
            (_, Some(end)) => {
                out.push_str(&rest[..end]);
                return out;
            }
            _ => {
                out.push_str(rest);
                return out;
            }
        }
    }
}

/// The time at the start of a line, and what follows it.
fn time_of(line: &str) -> Option<(When, &str)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    if word == "*" {
        return Some((When::Any, rest));
    }
    let seconds = |text: &str| text.trim_start_matches('+').parse::<f64>().ok();
    let when = match word.split_once('~') {
        Some((from, to)) => When::Between(seconds(from)?, seconds(to)?),
        None if word.starts_with('+') => When::After(seconds(word)?),
        None => When::At(seconds(word)?),
    };
    Some((when, rest))
}

fn event(line: usize, text: &str) -> Result<Event, String> {
    let (when, rest) = time_of(text).unwrap_or((When::After(0.0), text));
    let rest = rest.trim();
    let what = if let Some(rest) = rest.strip_prefix('<') {
        packet(rest).map(What::Inbound)?
    } else if let Some(rest) = rest.strip_prefix('>') {
        packet(rest).map(What::Outbound)?
    } else if rest.starts_with('`') || rest.starts_with('%') {
        What::Other(rest.to_owned())
    } else {
        call(rest)?
    };
    Ok(Event { line, when, what })
}

fn call(text: &str) -> Result<What, String> {
    let open = text.find('(').ok_or("not a call")?;
    let mut depth = 0;
    let close = text
        .char_indices()
        .skip(open)
        .find_map(|(at, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(at)
        })
        .ok_or("a call without its end")?;
    let result = text[close + 1..].trim().trim_start_matches('=').trim();
    Ok(What::Call {
        name: text[..open].trim().trim_start_matches("... ").to_owned(),
        arguments: text[open + 1..close].to_owned(),
        result: result.to_owned(),
    })
}

fn packet(text: &str) -> Result<Vec<Chunk>, String> {
    let at = text.find("sctp").ok_or("not an SCTP packet")?;
    let colon = text[at..].find(':').ok_or("no colon")?;
    if text[at..at + colon].contains('(') {
        return Err("options of the packet".to_owned());
    }
    let mut reader = Reader {
        text: &text[at + colon + 1..],
    };
    let mut chunks = Vec::new();
    loop {
        chunks.push(reader.chunk()?);
        if !reader.eat(';') {
            return Ok(chunks);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.text = self.text.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip();
        match self.text.strip_prefix(c) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> String {
        self.skip();
        let end = self
            .text
            .find(|c: char| !(c.is_alphanumeric() || "_.-|:".contains(c)))
            .unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        word.to_owned()
    }

    fn chunk(&mut self) -> Result<Chunk, String> {
        let name = self.word();
        if name.is_empty() || !self.eat('[') {
            return Err(format!("no chunk at {:.20}", self.text));
        }
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.item()?);
            if !self.eat(',') && !self.text.trim_start().starts_with(']') {
                return Err(format!("neither comma nor bracket at {:.20}", self.text));
            }
        }
        Ok(Chunk { name, items })
    }

    fn item(&mut self) -> Result<Item, String> {
        let before = self.text;
        let name = self.word();
        if name == "..." {
            return Ok(Item::Ellipsis);
        }
        self.skip();
        if self.text.starts_with('[') && !name.is_empty() {
            self.text = before;
            return self.chunk().map(Item::Inner);
        }
        if !self.eat('=') {
            return Err(format!("no field at {:.20}", before));
        }
        self.skip();
        // Lists keep their brackets; a list of chunks as well.
        if let Some(open) = self.text.chars().next().filter(|c| "[{\"".contains(*c)) {
            let close = match open {
                '[' => ']',
                '{' => '}',
                _ => '"',
            };
            let mut depth = 0;
            let end = self
                .text
                .char_indices()
                .find_map(|(at, c)| {
                    if c == close && (depth == 1 || open == close && at > 0) {
                        return Some(at);
                    }
                    match c {
                        c if c == open => depth += 1,
                        c if c == close => depth -= 1,
                        _ => {}
                    }
                    None
                })
                .ok_or("a list without its end")?;
            let value = self.text[1..end].to_owned();
            self.text = &self.text[end + 1..];
            return Ok(Item::Field(name, value));
        }
        let value = self.word();
        Ok(Item::Field(name, value))
    }
}
