//! The Data Channel Establishment Protocol (RFC 8832 §5) and the payload protocol identifiers (RFC 8831 §8).

use std::time::Duration;

use thiserror::Error;

use super::types::{ChannelConfig, lifetime_ms};
use crate::Reliability;

/// Payload protocol identifiers.
pub(super) mod ppid {
    pub(in crate::datachannel) const DCEP: u32 = 50;
    pub(in crate::datachannel) const STRING: u32 = 51;
    /// Deprecated, but still understood.
    pub(in crate::datachannel) const BINARY_PARTIAL: u32 = 52;
    pub(in crate::datachannel) const BINARY: u32 = 53;
    /// Deprecated, but still understood.
    pub(in crate::datachannel) const STRING_PARTIAL: u32 = 54;
    pub(in crate::datachannel) const STRING_EMPTY: u32 = 56;
    pub(in crate::datachannel) const BINARY_EMPTY: u32 = 57;
}

const DATA_CHANNEL_ACK: u8 = 0x02;
const DATA_CHANNEL_OPEN: u8 = 0x03;

const UNORDERED: u8 = 0x80;
const RETRANSMITS: u8 = 0x01;
const LIFETIME: u8 = 0x02;

/// A DCEP message.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// |  Message Type |  Channel Type |            Priority           |
/// |                    Reliability Parameter                      |
/// |         Label Length          |       Protocol Length         |
/// /                             Label                             /
/// /                            Protocol                           /
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dcep {
    Open(ChannelConfig),
    Ack,
}

/// Why bytes are not a DCEP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum DcepError {
    #[error("too short")]
    TooShort,
    #[error("unknown message type")]
    UnknownType,
    #[error("unknown channel type")]
    UnknownChannelType,
    #[error("label or protocol is not UTF-8")]
    NotText,
}

impl Dcep {
    /// Reads a message.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DcepError> {
        match bytes.first() {
            Some(&DATA_CHANNEL_ACK) => return Ok(Self::Ack),
            Some(&DATA_CHANNEL_OPEN) => {}
            Some(_) => return Err(DcepError::UnknownType),
            None => return Err(DcepError::TooShort),
        }
        let fixed = bytes.first_chunk::<12>().ok_or(DcepError::TooShort)?;
        let parameter = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let label = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let protocol = usize::from(u16::from_be_bytes([fixed[10], fixed[11]]));
        let reliability = match fixed[1] & !UNORDERED {
            0 => Reliability::Reliable,
            RETRANSMITS => {
                Reliability::MaxRetransmits(u16::try_from(parameter).unwrap_or(u16::MAX))
            }
            LIFETIME => Reliability::MaxPacketLifeTime(Duration::from_millis(u64::from(parameter))),
            _ => return Err(DcepError::UnknownChannelType),
        };
        let text = |from: usize, length: usize| {
            let bytes = bytes.get(from..from + length).ok_or(DcepError::TooShort)?;
            std::str::from_utf8(bytes)
                .map(str::to_owned)
                .map_err(|_| DcepError::NotText)
        };
        Ok(Self::Open(ChannelConfig {
            label: text(12, label)?,
            protocol: text(12 + label, protocol)?,
            ordered: fixed[1] & UNORDERED == 0,
            reliability,
            priority: u16::from_be_bytes([fixed[2], fixed[3]]),
            negotiated: None,
        }))
    }

    /// The message as bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let Self::Open(config) = self else {
            return vec![DATA_CHANNEL_ACK];
        };
        let (kind, parameter) = match config.reliability {
            Reliability::Reliable => (0, 0),
            Reliability::MaxRetransmits(n) => (RETRANSMITS, u32::from(n)),
            Reliability::MaxPacketLifeTime(lifetime) => (LIFETIME, lifetime_ms(lifetime)),
        };
        let kind = if config.ordered {
            kind
        } else {
            kind | UNORDERED
        };
        // `open` checked that both lengths fit.
        let lengths = [config.label.len() as u16, config.protocol.len() as u16];
        let mut bytes = vec![DATA_CHANNEL_OPEN, kind];
        bytes.extend_from_slice(&config.priority.to_be_bytes());
        bytes.extend_from_slice(&parameter.to_be_bytes());
        bytes.extend_from_slice(&lengths[0].to_be_bytes());
        bytes.extend_from_slice(&lengths[1].to_be_bytes());
        bytes.extend_from_slice(config.label.as_bytes());
        bytes.extend_from_slice(config.protocol.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reliability() -> impl Strategy<Value = Reliability> {
        prop_oneof![
            Just(Reliability::Reliable),
            any::<u16>().prop_map(Reliability::MaxRetransmits),
            any::<u32>().prop_map(|ms| {
                Reliability::MaxPacketLifeTime(Duration::from_millis(u64::from(ms)))
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            label in ".{0,40}",
            protocol in ".{0,40}",
            ordered: bool,
            reliability in reliability(),
            priority: u16,
        ) {
            let open = Dcep::Open(ChannelConfig {
                label, protocol, ordered, reliability, priority, negotiated: None,
            });
            prop_assert_eq!(Dcep::parse(&open.write()), Ok(open));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Dcep::parse(&bytes);
        }
    }

    #[test]
    fn reads_the_open_of_a_browser() {
        // Channel "test", ordered and reliable, as Chromium writes it.
        let bytes = b"\x03\x00\x01\x00\x00\x00\x00\x00\x00\x04\x00\x00test";
        let Ok(Dcep::Open(config)) = Dcep::parse(bytes) else {
            panic!("not read");
        };
        assert_eq!(config.label, "test");
        assert!(config.ordered && config.protocol.is_empty());
        assert_eq!(config.priority, 256);
    }
}
