//! The two wire formats a client meets: Engine.IO 4 packets, and the Socket.IO 5 packets inside its messages.
//!
//! ```text
//!  4 2 /room,17["message","a",{}]
//!  | | |     |  `- event name and arguments, a JSON array
//!  | | |     `- acknowledgement id, when one is wanted
//!  | | `- namespace, when it is not "/"
//!  | `- Socket.IO type: 0 connect, 1 disconnect, 2 event, 3 ack, 4 connect error, 5 and 6 with attachments
//!  `- Engine.IO type: 0 open, 1 close, 2 ping, 3 pong, 4 message, 5 upgrade, 6 noop
//! ```
//!
//! Parsing never panics, whatever the text.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

/// Joins the namespace `/`.
pub(super) const CONNECT: &str = "40";
/// Leaves the namespace `/`.
pub(super) const DISCONNECT: &str = "41";
/// Answers a ping.
pub(super) const PONG: &str = "3";

/// When the server pings and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
}

impl Heartbeat {
    /// How long the server may be silent before it counts as gone.
    pub(super) fn patience(self) -> Duration {
        self.interval.saturating_add(self.timeout)
    }
}

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Packet {
    Open(Heartbeat),
    Close,
    Ping,
    Connected {
        id: String,
    },
    ConnectError(String),
    Disconnect,
    Event {
        name: String,
        arguments: Vec<Value>,
    },
    /// Nothing this client needs: a pong, an acknowledgement, another namespace, an attachment.
    Ignored,
}

/// What is wrong with a packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum ParseError {
    #[error("an empty packet")]
    Empty,
    #[error("a packet of the unknown type {0:?}")]
    Type(char),
    #[error("a packet of type {0:?} without {1}")]
    Missing(char, &'static str),
}

/// An event as the client sends it.
pub(super) fn event(name: &str, arguments: Value) -> String {
    let mut array = vec![Value::from(name)];
    match arguments {
        Value::Array(arguments) => array.extend(arguments),
        argument => array.push(argument),
    }
    format!("42{}", Value::Array(array))
}

impl Packet {
    pub(super) fn parse(text: &str) -> Result<Self, ParseError> {
        let (kind, rest) = split_type(text)?;
        match kind {
            '0' => heartbeat(rest).map(Self::Open),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping),
            '4' => Self::parse_message(rest),
            '3' | '5' | '6' => Ok(Self::Ignored),
            other => Err(ParseError::Type(other)),
        }
    }

    fn parse_message(text: &str) -> Result<Self, ParseError> {
        let (kind, rest) = split_type(text)?;
        if rest.starts_with('/') {
            return Ok(Self::Ignored);
        }
        match kind {
            '0' => match json(rest).get("sid").and_then(Value::as_str) {
                Some(id) => Ok(Self::Connected { id: id.to_owned() }),
                None => Err(ParseError::Missing(kind, "sid")),
            },
            '1' => Ok(Self::Disconnect),
            '2' => {
                let array = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                let Value::Array(mut arguments) = json(array) else {
                    return Err(ParseError::Missing(kind, "arguments"));
                };
                if !matches!(arguments.first(), Some(Value::String(_))) {
                    return Err(ParseError::Missing(kind, "name"));
                }
                let Value::String(name) = arguments.remove(0) else {
                    return Err(ParseError::Missing(kind, "name"));
                };
                Ok(Self::Event { name, arguments })
            }
            '4' => {
                let reason = json(rest);
                let text = reason.get("message").and_then(Value::as_str);
                Ok(Self::ConnectError(text.unwrap_or(rest).to_owned()))
            }
            '3' | '5' | '6' => Ok(Self::Ignored),
            other => Err(ParseError::Type(other)),
        }
    }
}

fn split_type(text: &str) -> Result<(char, &str), ParseError> {
    let mut characters = text.chars();
    let kind = characters.next().ok_or(ParseError::Empty)?;
    Ok((kind, characters.as_str()))
}

fn heartbeat(text: &str) -> Result<Heartbeat, ParseError> {
    let open = json(text);
    let milliseconds = |field| {
        let value = open.get(field).and_then(Value::as_u64);
        value.map(Duration::from_millis)
    };
    Ok(Heartbeat {
        interval: milliseconds("pingInterval").ok_or(ParseError::Missing('0', "pingInterval"))?,
        timeout: milliseconds("pingTimeout").ok_or(ParseError::Missing('0', "pingTimeout"))?,
    })
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_a_server_sends() {
        let open = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}"#;
        let Ok(Packet::Open(heartbeat)) = Packet::parse(open) else {
            panic!("no open packet");
        };
        assert_eq!(heartbeat.patience(), Duration::from_secs(45));
        let connected = Packet::Connected { id: "b".into() };
        assert_eq!(Packet::parse(r#"40{"sid":"b"}"#), Ok(connected));
        assert_eq!(Packet::parse("2"), Ok(Packet::Ping));
        assert_eq!(Packet::parse("41"), Ok(Packet::Disconnect));
        assert_eq!(Packet::parse("1"), Ok(Packet::Close));
        let refused = Packet::ConnectError("no".into());
        assert_eq!(Packet::parse(r#"44{"message":"no"}"#), Ok(refused));
        let event = Packet::Event {
            name: "joined".into(),
            arguments: vec![json!("a"), json!("b")],
        };
        assert_eq!(Packet::parse(r#"42["joined","a","b"]"#), Ok(event.clone()));
        assert_eq!(Packet::parse(r#"4217["joined","a","b"]"#), Ok(event));
        assert_eq!(
            Packet::parse(r#"42/other,["joined","a","b"]"#),
            Ok(Packet::Ignored)
        );
    }

    #[test]
    fn writes_what_it_would_read() {
        let text = event("message", json!(["a", {"type": "bye"}]));
        assert_eq!(text, r#"42["message","a",{"type":"bye"}]"#);
        let arguments = vec![json!("a"), json!({"type": "bye"})];
        let expected = Packet::Event {
            name: "message".into(),
            arguments,
        };
        assert_eq!(Packet::parse(&text), Ok(expected));
    }

    #[test]
    fn malformed_packets_are_errors() {
        for text in [
            "",
            "9",
            "0",
            "0{}",
            "4",
            "40",
            "42",
            "42[]",
            "42[1]",
            "42{}",
            "47",
            "0{\"pingInterval\":-1}",
            "é",
        ] {
            assert!(Packet::parse(text).is_err(), "{text:?} was understood");
        }
    }
}
