//! Reads packetdrill scripts in the notation of the SCTP suites: options, `#ifdef`, events with times, socket calls,
//! chunks.

/// When an event happens, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Since the start.
    At(f64),
    /// After the event before.
    After(f64),
    /// Between so and so many after the event before.
    Between(f64, f64),
    /// Whenever.
    Any,
}

/// A script.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// `--tolerance_usecs`, in seconds.
    pub tolerance: f64,
    pub events: Vec<Event>,
}

/// A line of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub line: usize,
    pub when: When,
    /// How long a call blocks, where the script says so.
    pub blocks: f64,
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `< sctp: …`: a packet comes.
    Inbound(Packet),
    /// `> sctp: …`: a packet is sent.
    Outbound(Packet),
    /// `name(arguments) = result`.
    Call(Call),
    /// A command for the shell.
    Command(String),
}

/// What is between `sctp` and the end of the event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packet {
    /// `sctp(tag=…)`.
    pub tag: Option<u64>,
    /// `sctp(bad_crc32c)`.
    pub bad_checksum: bool,
    /// `sctp(zero_checksum)`.
    pub zero_checksum: bool,
    pub chunks: Vec<Chunk>,
    /// Bytes instead of chunks.
    pub raw: Option<Vec<u8>>,
}

/// A socket call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Vec<Value>,
    /// What it returns; `None` for `...`.
    pub result: Option<i64>,
    /// The name of the error.
    pub error: Option<String>,
}

impl Call {
    pub fn number(&self, n: usize) -> Option<i64> {
        self.arguments.get(n).and_then(Value::number)
    }

    pub fn word(&self, n: usize) -> &str {
        self.arguments.get(n).map_or("", Value::word)
    }
}

/// A chunk, parameter or cause: a name and what is in its brackets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    pub name: String,
    pub fields: Vec<(String, Value)>,
    /// Parameters or causes.
    pub inner: Vec<Chunk>,
    /// `...` stands for the rest.
    pub open: bool,
}

impl Chunk {
    /// A field; `None` where it is missing or `...`.
    pub fn field(&self, name: &str) -> Option<&Value> {
        lookup(&self.fields, name)
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.number().map(|n| n as u64)
    }

    /// The numbers of a list.
    pub fn numbers(&self, name: &str) -> Option<Vec<u64>> {
        match self.field(name)? {
            Value::List(list) => list.iter().map(|v| v.number().map(|n| n as u64)).collect(),
            _ => None,
        }
    }

    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        Some(self.numbers(name)?.into_iter().map(|n| n as u8).collect())
    }
}

/// A field of braces or brackets.
pub fn lookup<'a>(fields: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    fields
        .iter()
        .find(|(key, value)| key == name && *value != Value::Any)
        .map(|(_, value)| value)
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `...`
    Any,
    Number(i64),
    /// A name, names joined by `|`, or a string.
    Word(String),
    /// `a:b`
    Range(u64, u64),
    List(Vec<Value>),
    /// `{…}`, the names empty where there are none.
    Braces(Vec<(String, Value)>),
    Chunk(Chunk),
}

impl Value {
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn word(&self) -> &str {
        match self {
            Self::Word(word) => word,
            _ => "",
        }
    }

    pub fn braces(&self) -> &[(String, Value)] {
        match self {
            Self::Braces(fields) => fields,
            _ => &[],
        }
    }
}

/// The platform whose branches of `#ifdef` are taken: the one the suites were written on.
const PLATFORM: &str = "FreeBSD";

/// Reads a script; an error names its line.
pub fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script::default();
    let mut events: Vec<(usize, String)> = Vec::new();
    let mut in_comment = false;
    let mut in_command = false;
    let mut branches: Vec<bool> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = strip_comments(line, &mut in_comment);
        let line = line.trim();
        if let Some(directive) = line.strip_prefix('#') {
            branch(directive, &mut branches).map_err(|e| format!("line {}: {e}", number + 1))?;
            continue;
        }
        if line.is_empty() || branches.contains(&false) {
            continue;
        }
        if let Some(option) = line.strip_prefix("--") {
            if let Some(micros) = option.strip_prefix("tolerance_usecs=") {
                script.tolerance = micros.trim().parse::<f64>().unwrap_or(0.0) / 1e6;
            }
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
    for (line, text) in events {
        let event = event(line, &text).map_err(|error| format!("line {line}: {error}"))?;
        script.events.push(event);
    }
    Ok(script)
}

fn branch(directive: &str, branches: &mut Vec<bool>) -> Result<(), String> {
    let (word, name) = directive
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((directive.trim(), ""));
    match word {
        "ifdef" => branches.push(name.trim() == PLATFORM),
        "ifndef" => branches.push(name.trim() != PLATFORM),
        "else" => {
            let last = branches.last_mut().ok_or("#else without #ifdef")?;
            *last = !*last;
        }
        "endif" => {
            branches.pop().ok_or("#endif without #ifdef")?;
        }
        // A comment.
        _ => {}
    }
    Ok(())
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
        match (rest.find("/*"), rest.find("//")) {
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

/// The time at the start of a line, how long a call blocks, and what follows.
fn time_of(line: &str) -> Option<(When, f64, &str)> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    if word == "*" {
        return Some((When::Any, 0.0, rest));
    }
    let seconds = |text: &str| text.trim_start_matches('+').parse::<f64>().ok();
    if let Some((from, to)) = word.split_once("...") {
        let (start, end) = (seconds(from)?, seconds(to)?);
        let when = match word.starts_with('+') {
            true => When::After(start),
            false => When::At(start),
        };
        return Some((when, end - start, rest));
    }
    let when = match word.split_once('~') {
        Some((from, to)) => When::Between(seconds(from)?, seconds(to)?),
        None if word.starts_with('+') => When::After(seconds(word)?),
        None => When::At(seconds(word)?),
    };
    Some((when, 0.0, rest))
}

fn event(line: usize, text: &str) -> Result<Event, String> {
    let (when, blocks, rest) = time_of(text).unwrap_or((When::After(0.0), 0.0, text));
    let rest = rest.trim();
    let what = if let Some(rest) = rest.strip_prefix('<') {
        What::Inbound(packet(rest)?)
    } else if let Some(rest) = rest.strip_prefix('>') {
        What::Outbound(packet(rest)?)
    } else if rest.starts_with('`') || rest.starts_with('%') {
        What::Command(rest.trim_matches('`').to_owned())
    } else {
        What::Call(call(rest)?)
    };
    Ok(Event {
        line,
        when,
        blocks,
        what,
    })
}

fn call(text: &str) -> Result<Call, String> {
    let mut reader = Reader { text };
    let name = reader.word();
    if !reader.eat('(') {
        return Err("not a call".to_owned());
    }
    let arguments = reader.values(')')?;
    if !reader.eat('=') {
        return Err("a call without its result".to_owned());
    }
    let result = match reader.value()? {
        Value::Any => None,
        value => Some(value.number().ok_or("a result that is no number")?),
    };
    let error = reader.word();
    Ok(Call {
        name,
        arguments,
        result,
        error: (!error.is_empty()).then_some(error),
    })
}

fn packet(text: &str) -> Result<Packet, String> {
    let mut reader = Reader { text };
    // ECN marks and the like stand before the protocol.
    while reader.word() != "sctp" {
        reader.skip();
        if reader.text.is_empty() {
            return Err("not an SCTP packet".to_owned());
        }
        if reader.text.starts_with(['[', '(', ':']) {
            return Err("something before sctp".to_owned());
        }
    }
    let mut packet = Packet::default();
    if reader.eat('(') {
        while !reader.eat(')') {
            match reader.word().as_str() {
                "bad_crc32c" => packet.bad_checksum = true,
                "zero_checksum" => packet.zero_checksum = true,
                "tag" if reader.eat('=') => {
                    packet.tag = reader.value()?.number().map(|n| n as u64);
                }
                other => return Err(format!("packet option {other}")),
            }
            reader.eat(',');
        }
    }
    if !reader.eat(':') {
        return Err("no colon".to_owned());
    }
    if reader.eat('[') {
        let bytes = reader.values(']')?;
        let bytes = bytes.iter().map(|b| b.number().map(|n| n as u8));
        packet.raw = Some(bytes.collect::<Option<_>>().ok_or("not bytes")?);
        return Ok(packet);
    }
    loop {
        packet.chunks.push(reader.chunk()?);
        if !reader.eat(';') || reader.is_done() {
            return Ok(packet);
        }
    }
}

/// A number, decimal or hexadecimal.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.text = self.text.trim_start();
    }

    fn is_done(&mut self) -> bool {
        self.skip();
        self.text.is_empty()
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

    fn peek(&mut self, c: char) -> bool {
        self.skip();
        self.text.starts_with(c)
    }

    fn word(&mut self) -> String {
        self.skip();
        let end = self
            .text
            .find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)))
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
        self.chunk_body(name)
    }

    /// What follows the bracket.
    fn chunk_body(&mut self, name: String) -> Result<Chunk, String> {
        let mut chunk = Chunk {
            name,
            ..Chunk::default()
        };
        while !self.eat(']') {
            match self.field()? {
                (name, Value::Any) if name.is_empty() => chunk.open = true,
                (name, Value::Chunk(inner)) if name.is_empty() => chunk.inner.push(inner),
                field => chunk.fields.push(field),
            }
            if !self.eat(',') && !self.peek(']') {
                return Err(format!("neither comma nor bracket at {:.20}", self.text));
            }
        }
        Ok(chunk)
    }

    /// `name=value`, or a value.
    fn field(&mut self) -> Result<(String, Value), String> {
        let value = self.value()?;
        match value {
            Value::Word(name) if self.eat('=') => Ok((name, self.value()?)),
            value => Ok((String::new(), value)),
        }
    }

    fn values(&mut self, end: char) -> Result<Vec<Value>, String> {
        let mut values = Vec::new();
        while !self.eat(end) {
            values.push(self.value()?);
            if !self.eat(',') && !self.peek(end) {
                return Err(format!("neither comma nor end at {:.20}", self.text));
            }
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.eat('[') {
            return self.values(']').map(Value::List);
        }
        if self.eat('{') {
            let mut fields = Vec::new();
            while !self.eat('}') {
                fields.push(self.field()?);
                if !self.eat(',') && !self.peek('}') {
                    return Err(format!("neither comma nor brace at {:.20}", self.text));
                }
            }
            return Ok(Value::Braces(fields));
        }
        if self.eat('"') {
            let (text, rest) = self.text.split_once('"').ok_or("a string without end")?;
            let value = Value::Word(text.to_owned());
            self.text = rest;
            return Ok(value);
        }
        let mut word = self.word();
        if word == "..." {
            return Ok(Value::Any);
        }
        if let Some(number) = number(&word) {
            if number >= 0 && self.eat(':') {
                let end = self.word().parse().map_err(|_| "a range without end")?;
                return Ok(Value::Range(number as u64, end));
            }
            return Ok(Value::Number(number));
        }
        if word.is_empty() {
            return Err(format!("no value at {:.20}", self.text));
        }
        if self.eat('[') {
            return self.chunk_body(word).map(Value::Chunk);
        }
        if self.eat('(') {
            // htonl() and its kind: the value is meant.
            let mut arguments = self.values(')')?;
            return arguments.pop().ok_or("an empty call".to_owned());
        }
        while self.eat('|') {
            word.push('|');
            word.push_str(&self.word());
        }
        Ok(Value::Word(word))
    }
}
