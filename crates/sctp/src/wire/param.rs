//! Parameters of INIT, INIT ACK and RE-CONFIG (RFC 9260 §3.2.1).

use super::{pad, padded, set_length};

/// Parameter types.
pub mod kind {
    #![allow(missing_docs)]
    pub const HEARTBEAT_INFO: u16 = 1;
    pub const IPV4_ADDRESS: u16 = 5;
    pub const IPV6_ADDRESS: u16 = 6;
    pub const STATE_COOKIE: u16 = 7;
    pub const UNRECOGNIZED: u16 = 8;
    pub const COOKIE_PRESERVATIVE: u16 = 9;
    pub const HOST_NAME: u16 = 11;
    pub const SUPPORTED_ADDRESS_TYPES: u16 = 12;
    pub const OUTGOING_RESET: u16 = 13;
    pub const INCOMING_RESET: u16 = 14;
    pub const TSN_RESET: u16 = 15;
    pub const RECONFIG_RESPONSE: u16 = 16;
    pub const ADD_OUTGOING_STREAMS: u16 = 17;
    pub const ADD_INCOMING_STREAMS: u16 = 18;
    pub const ECN_CAPABLE: u16 = 0x8000;
    pub const ZERO_CHECKSUM: u16 = 0x8001;
    pub const RANDOM: u16 = 0x8002;
    pub const CHUNK_LIST: u16 = 0x8003;
    pub const HMAC_ALGORITHM: u16 = 0x8004;
    pub const PADDING: u16 = 0x8005;
    pub const SUPPORTED_EXTENSIONS: u16 = 0x8008;
    pub const FORWARD_TSN_SUPPORTED: u16 = 0xc000;
}

/// A parameter: type, value, and the whole record for echoing.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |        Parameter Type         |       Parameter Length        |
/// /                        Parameter Value                        /
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// See [`kind`].
    pub kind: u16,
    /// The bytes after the header.
    pub value: &'a [u8],
    /// Header and value, padding excluded.
    pub whole: &'a [u8],
}

/// What an unknown parameter's two highest bits ask for (RFC 9260 §3.2.1).
impl Param<'_> {
    /// Whether the rest of the chunk is still processed.
    pub fn skip_if_unknown(&self) -> bool {
        self.kind & 0x8000 != 0
    }

    /// Whether the parameter is reported back.
    pub fn report_if_unknown(&self) -> bool {
        self.kind & 0x4000 != 0
    }
}

/// Walks parameters; ends at the first whose length lies.
#[derive(Debug, Clone)]
pub struct Params<'a>(pub &'a [u8]);

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let header = self.0.first_chunk::<4>()?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let all = self.0;
        let (Some(whole), Some(value)) = (all.get(..length), all.get(4..length)) else {
            self.0 = &[];
            return None;
        };
        self.0 = all.get(padded(length)..).unwrap_or(&[]);
        Some(Param { kind, value, whole })
    }
}

/// Appends a parameter, padded.
pub fn write(buf: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let start = begin(buf, kind);
    buf.extend_from_slice(value);
    end(buf, start);
}

/// Opens a parameter; [`end`] closes it.
pub fn begin(buf: &mut Vec<u8>, kind: u16) -> usize {
    let start = buf.len();
    buf.extend_from_slice(&kind.to_be_bytes());
    buf.extend_from_slice(&[0, 0]);
    start
}

/// Sets the length of the parameter at `start` and pads it.
pub fn end(buf: &mut Vec<u8>, start: usize) {
    set_length(buf, start);
    pad(buf, start);
}
