use super::{single, word};
use crate::line::Fields;
use crate::{Connection, TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

single! {
    /// `a=sctp-port` (RFC 8841 §5); zero: the association is closed.
    SctpPort(u16) = "sctp-port", "a port";
    /// `a=max-message-size` in bytes; zero: no limit; 64 KiB is meant when it is missing (RFC 8841 §6).
    MaxMessageSize(u64) = "max-message-size", "a number of bytes";
    /// `a=sctp-init`, an INIT chunk in base64 that spares a round trip (draft-hancke-tsvwg-snap).
    SctpInit(String) = "sctp-init", "an INIT chunk in base64", |init| !init.is_empty();
    /// `a=ptime`, milliseconds of media in a packet (RFC 8866 §6.4).
    Ptime(f64) = "ptime", "milliseconds", |ms| *ms > 0.0 && ms.is_finite();
    /// `a=maxptime`, the most milliseconds of media in a packet (RFC 8866 §6.5).
    MaxPtime(f64) = "maxptime", "milliseconds", |ms| *ms > 0.0 && ms.is_finite();
    /// `a=framerate`, frames a second (RFC 8866 §6.13).
    FrameRate(f64) = "framerate", "frames a second", |rate| *rate > 0.0 && rate.is_finite();
}

/// `a=rtcp:<port> [<network> <family> <address>]` (RFC 3605 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rtcp {
    /// The port.
    pub port: u16,
    /// The address, where it is not that of the media.
    pub connection: Option<Connection>,
}

impl Rtcp {
    /// `9 IN IP4 0.0.0.0`, what WebRTC writes while it has no candidate (RFC 9429 §5.2.1).
    pub fn unspecified() -> Self {
        Self {
            port: 9,
            connection: Some(Connection::unspecified()),
        }
    }
}

impl TypedAttribute for Rtcp {
    const NAME: &'static str = "rtcp";
}

impl FromStr for Rtcp {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let port = fields.parse("a port")?;
        let offset = fields.offset();
        let connection = match fields.remainder() {
            "" => None,
            rest => Some(Connection::from_line(rest).map_err(|error| ValueError {
                offset: offset + error.offset,
                ..error
            })?),
        };
        Ok(Self { port, connection })
    }
}

impl Display for Rtcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        self.connection
            .as_ref()
            .map_or(Ok(()), |connection| write!(f, " {connection}"))
    }
}

/// `a=sctpmap:<port> <protocol> [<streams>]`, of drafts before RFC 8841; older peers still write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SctpMap {
    /// The SCTP port, which is also the format of the `m=` line.
    pub port: u16,
    /// `webrtc-datachannel`
    pub protocol: String,
    /// How many streams there may be.
    pub streams: Option<u16>,
}

impl TypedAttribute for SctpMap {
    const NAME: &'static str = "sctpmap";
}

impl FromStr for SctpMap {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let port = fields.parse("a port")?;
        let protocol = word(&mut fields, "a protocol")?;
        let streams = if fields.rest() {
            Some(fields.parse("a number of streams")?)
        } else {
            None
        };
        fields.end()?;
        Ok(Self {
            port,
            protocol,
            streams,
        })
    }
}

impl Display for SctpMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.port, self.protocol)?;
        self.streams
            .map_or(Ok(()), |streams| write!(f, " {streams}"))
    }
}
