//! INIT and INIT ACK (RFC 9260 §3.3.2, §3.3.3) with the parameters of the extensions.

use super::param::{self, Param, Params};
use super::{WireError, begin_chunk, end_chunk, kind, pad, read_u16, read_u32, set_length};
use crate::serial::Tsn;

/// DTLS as the other error detection method (RFC 9653 §8).
pub const EDMID_DTLS: u32 = 1;

/// What the two sides can do beyond RFC 9260.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions {
    /// FORWARD-TSN (RFC 3758).
    pub partial_reliability: bool,
    /// RE-CONFIG (RFC 6525).
    pub stream_reset: bool,
    /// I-DATA (RFC 8260).
    pub interleaving: bool,
    /// The sender of the chunk accepts packets without a checksum, as DTLS protects them (RFC 9653).
    pub zero_checksum: bool,
}

impl Extensions {
    /// What both sides can do; `zero_checksum` is then what the peer accepts and we may use.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self {
            partial_reliability: self.partial_reliability && other.partial_reliability,
            stream_reset: self.stream_reset && other.stream_reset,
            interleaving: self.interleaving && other.interleaving,
            zero_checksum: self.zero_checksum && other.zero_checksum,
        }
    }

    /// As bits, for the state cookie.
    pub(crate) fn bits(self) -> u8 {
        u8::from(self.partial_reliability)
            | u8::from(self.stream_reset) << 1
            | u8::from(self.interleaving) << 2
            | u8::from(self.zero_checksum) << 3
    }

    /// The reverse of [`Extensions::bits`].
    pub(crate) fn from_bits(bits: u8) -> Self {
        Self {
            partial_reliability: bits & 1 != 0,
            stream_reset: bits & 2 != 0,
            interleaving: bits & 4 != 0,
            zero_checksum: bits & 8 != 0,
        }
    }
}

/// The fixed part of INIT and INIT ACK, and the extensions their parameters announce.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |   Type = 1    |  Chunk Flags  |         Chunk Length          |
/// |                         Initiate Tag                          |
/// |           Advertised Receiver Window Credit (a_rwnd)          |
/// |  Number of Outbound Streams   |   Number of Inbound Streams   |
/// |                          Initial TSN                          |
/// /              Optional/Variable-Length Parameters              /
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// The tag that packets to the sender carry.
    pub tag: u32,
    /// The sender's receive window.
    pub window: u32,
    /// Streams the sender wants to use.
    pub outbound: u16,
    /// Streams the sender accepts.
    pub inbound: u16,
    /// The sender's first TSN.
    pub initial_tsn: Tsn,
    /// What its parameters announce.
    pub extensions: Extensions,
}

impl Init {
    /// Reads the value of an INIT or INIT ACK chunk. Parameters are walked apart, by [`Init::params`].
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        let mut init = Self {
            tag: read_u32(value, 0)?,
            window: read_u32(value, 4)?,
            outbound: read_u16(value, 8)?,
            inbound: read_u16(value, 10)?,
            initial_tsn: Tsn(read_u32(value, 12)?),
            extensions: Extensions::default(),
        };
        for param in Self::params(value) {
            init.note(&param);
        }
        Ok(init)
    }

    /// The parameters in the value of a chunk.
    pub fn params(value: &[u8]) -> Params<'_> {
        Params(value.get(16..).unwrap_or(&[]))
    }

    /// What RFC 9260 §3.3.2 and §5.1 forbid: answered with an ABORT or by silence.
    pub fn check(&self) -> Result<(), WireError> {
        if self.tag == 0 {
            return Err(WireError::Forbidden("initiate tag of zero"));
        }
        if self.outbound == 0 || self.inbound == 0 {
            return Err(WireError::Forbidden("no streams"));
        }
        if self.window < 1500 {
            return Err(WireError::Forbidden("receiver window below 1500"));
        }
        Ok(())
    }

    fn note(&mut self, param: &Param<'_>) {
        let extensions = &mut self.extensions;
        match param.kind {
            param::kind::FORWARD_TSN_SUPPORTED => extensions.partial_reliability = true,
            param::kind::ZERO_CHECKSUM => {
                extensions.zero_checksum = read_u32(param.value, 0) == Ok(EDMID_DTLS);
            }
            param::kind::SUPPORTED_EXTENSIONS => {
                for &chunk in param.value {
                    match chunk {
                        kind::FORWARD_TSN => extensions.partial_reliability = true,
                        kind::RE_CONFIG => extensions.stream_reset = true,
                        kind::I_DATA => extensions.interleaving = true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Appends an INIT (or INIT ACK, with its cookie and what it reports) chunk.
    pub fn write(&self, buf: &mut Vec<u8>, ack: Option<(&[u8], &[u8])>) {
        let chunk_kind = if ack.is_some() {
            kind::INIT_ACK
        } else {
            kind::INIT
        };
        let start = begin_chunk(buf, chunk_kind, 0);
        buf.extend_from_slice(&self.tag.to_be_bytes());
        buf.extend_from_slice(&self.window.to_be_bytes());
        buf.extend_from_slice(&self.outbound.to_be_bytes());
        buf.extend_from_slice(&self.inbound.to_be_bytes());
        buf.extend_from_slice(&self.initial_tsn.0.to_be_bytes());
        if let Some((cookie, _)) = ack {
            param::write(buf, param::kind::STATE_COOKIE, cookie);
        }
        let extensions = self.extensions;
        if extensions.partial_reliability {
            param::write(buf, param::kind::FORWARD_TSN_SUPPORTED, &[]);
        }
        if extensions.zero_checksum {
            param::write(buf, param::kind::ZERO_CHECKSUM, &EDMID_DTLS.to_be_bytes());
        }
        let list = param::begin(buf, param::kind::SUPPORTED_EXTENSIONS);
        if extensions.stream_reset {
            buf.push(kind::RE_CONFIG);
        }
        if extensions.partial_reliability {
            buf.push(kind::FORWARD_TSN);
        }
        if extensions.interleaving {
            buf.push(kind::I_DATA);
            if extensions.partial_reliability {
                buf.push(kind::I_FORWARD_TSN);
            }
        }
        if buf.len() > list + 4 {
            set_length(buf, list);
        } else {
            buf.truncate(list);
        }
        if let Some((_, reported)) = ack
            && !reported.is_empty()
        {
            // The last parameter's padding is the chunk's and not counted; an earlier one's is.
            pad(buf, list);
            buf.extend_from_slice(reported);
        }
        end_chunk(buf, start);
    }
}
