//! RE-CONFIG and its parameters (RFC 6525 §3, §4).

use super::param::{self, Param};
use super::{WireError, read_u16, read_u32};
use crate::serial::Tsn;

/// Result codes of a response (RFC 6525 §4.4).
pub mod result {
    #![allow(missing_docs)]
    pub const NOTHING_TO_DO: u32 = 0;
    pub const PERFORMED: u32 = 1;
    pub const DENIED: u32 = 2;
    pub const WRONG_SSN: u32 = 3;
    pub const IN_PROGRESS_ALREADY: u32 = 4;
    pub const BAD_SEQUENCE_NUMBER: u32 = 5;
    pub const IN_PROGRESS: u32 = 6;
}

/// A request or response inside a RE-CONFIG chunk.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |     Parameter Type = 13       | Parameter Length = 16 + 2 * N |
/// |           Re-configuration Request Sequence Number            |
/// |           Re-configuration Response Sequence Number           |
/// |                Sender's Last Assigned TSN                     |
/// |  Stream Number 1 (optional)   |    Stream Number 2 (optional) |
///
/// |     Parameter Type = 16       |      Parameter Length         |
/// |         Re-configuration Response Sequence Number             |
/// |                            Result                             |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconfig<'a> {
    /// The sender's outgoing streams start over (§4.1).
    OutgoingReset {
        /// Number of this request.
        request: u32,
        /// Number of the request it answers, if any.
        response: u32,
        /// The last TSN sent on the streams.
        last_tsn: Tsn,
        /// Their numbers; none means all.
        streams: Streams<'a>,
    },
    /// The receiver is asked to reset its outgoing streams (§4.2).
    IncomingReset {
        /// Number of this request.
        request: u32,
        /// Their numbers; none means all.
        streams: Streams<'a>,
    },
    /// A request we do not grant: SSN/TSN reset and added streams (§4.3, §4.5, §4.6).
    Other {
        /// Number of this request.
        request: u32,
    },
    /// The answer to a request (§4.4).
    Response {
        /// Number of the request.
        response: u32,
        /// See [`result`].
        result: u32,
    },
}

/// Stream numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams<'a>(&'a [u8]);

impl<'a> Streams<'a> {
    /// The numbers.
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        self.0
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&b| u16::from_be_bytes(b))
    }

    /// Whether none is named, which means all.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Reconfig<'a> {
    /// Reads a parameter of a RE-CONFIG chunk.
    pub fn parse(param: &Param<'a>) -> Result<Self, WireError> {
        let value = param.value;
        let number = read_u32(value, 0)?;
        Ok(match param.kind {
            param::kind::OUTGOING_RESET => Self::OutgoingReset {
                request: number,
                response: read_u32(value, 4)?,
                last_tsn: Tsn(read_u32(value, 8)?),
                streams: Streams(value.get(12..).unwrap_or(&[])),
            },
            param::kind::INCOMING_RESET => Self::IncomingReset {
                request: number,
                streams: Streams(value.get(4..).unwrap_or(&[])),
            },
            param::kind::TSN_RESET
            | param::kind::ADD_OUTGOING_STREAMS
            | param::kind::ADD_INCOMING_STREAMS => Self::Other { request: number },
            param::kind::RECONFIG_RESPONSE => Self::Response {
                response: number,
                result: read_u32(value, 4)?,
            },
            _ => {
                let _ = read_u16(value, 0)?;
                return Err(WireError::Forbidden("parameter type"));
            }
        })
    }
}

/// Appends an Outgoing SSN Reset Request parameter.
pub fn write_outgoing_reset(
    buf: &mut Vec<u8>,
    request: u32,
    response: u32,
    last_tsn: Tsn,
    streams: &[u16],
) {
    let start = param::begin(buf, param::kind::OUTGOING_RESET);
    buf.extend_from_slice(&request.to_be_bytes());
    buf.extend_from_slice(&response.to_be_bytes());
    buf.extend_from_slice(&last_tsn.0.to_be_bytes());
    for stream in streams {
        buf.extend_from_slice(&stream.to_be_bytes());
    }
    param::end(buf, start);
}

/// Appends a Re-configuration Response parameter.
pub fn write_response(buf: &mut Vec<u8>, response: u32, result: u32) {
    let start = param::begin(buf, param::kind::RECONFIG_RESPONSE);
    buf.extend_from_slice(&response.to_be_bytes());
    buf.extend_from_slice(&result.to_be_bytes());
    param::end(buf, start);
}
