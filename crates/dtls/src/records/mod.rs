//! Protected records of the application's epochs: sealed and opened here, under keys that are scheduled once.
//!
//! The handshake engine below has the same keys, but is not on the way of data, and its records never reach the wire as they
//! are: of every epoch there is one writer, and it is here. So record numbers and nonces are unique by construction, from
//! the first record of an epoch on.
//!
//! | records of | sent | received |
//! |---|---|---|
//! | epoch 0; epoch 2 of DTLS 1.3 | by the engine | by the engine |
//! | epoch 1 of DTLS 1.2 | the engine's are opened and sealed again under the next number | data and alerts here, Finished by the engine |
//! | epoch 3 and later of DTLS 1.3 | the same; the engine knows epoch 3 only | all here; acknowledgements are sealed again for the engine, under numbers that it alone sees |

use bytes::BytesMut;

use crate::config::Version;
use crate::error::SealError;
use crate::provider::Notebook;

mod keys;
mod v12;
mod v13;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use keys::Key13;
pub(crate) use v12::Records12;
pub(crate) use v13::Records13;

/// Content types (RFC 5246 §6.2.1, RFC 9147 §4).
pub(crate) mod content {
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const APPLICATION_DATA: u8 = 23;
    pub(crate) const ACK: u8 = 26;
}

/// RFC 6347 §4.1, RFC 9147 §4: a record's plaintext is at most 2^14 bytes.
pub(crate) const MAX_PLAINTEXT: usize = 1 << 14;
/// The tag of every AEAD there is here.
const TAG: usize = 16;
/// RFC 9147 §4.5.3: forged records under one key, for all of the AEADs here.
pub(crate) const MAX_FORGERIES: u64 = 1 << 36;
/// RFC 6347 §4.1, RFC 9147 §4.2.1: sequence numbers stay below 2^48.
const MAX_SEQUENCE_NUMBER: u64 = (1 << 48) - 1;

/// An authenticated record, whose content was appended to a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) kind: u8,
    /// Bytes appended.
    pub(crate) len: usize,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
}

/// Why a record was not opened. State and buffer are as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too short, too long, or without a content type.
    Malformed,
    /// Seen before, or older than the window.
    Replayed,
    /// Of an epoch without keys.
    UnknownEpoch,
    /// The tag is wrong.
    Authentication,
}

/// Both directions of a connection.
pub(crate) enum Records {
    V12(Box<Records12>),
    V13(Box<Records13>),
}

impl Records {
    /// The record layer, as soon as the notebook has all of its secrets.
    pub(crate) fn new(notebook: &Notebook, client: bool) -> Option<Self> {
        let suite = notebook.suite?;
        if let Some(master) = &notebook.master {
            return Records12::new(suite, master, client).map(|records| Self::V12(records.into()));
        }
        let [Some(from_client), Some(from_server)] = &notebook.application_traffic else {
            return None;
        };
        let (write, read) = match client {
            true => (from_client, from_server),
            false => (from_server, from_client),
        };
        Records13::new(suite, write, read).map(|records| Self::V13(records.into()))
    }

    /// Which version's records these are.
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::V12(_) => Version::Dtls12,
            Self::V13(_) => Version::Dtls13,
        }
    }

    /// The engine will write no more, and read no more; false if it cannot be done without.
    pub(crate) fn forget_engine(&mut self) -> bool {
        match self {
            Self::V12(_) => true,
            Self::V13(records) => records.forget_engine(),
        }
    }

    /// What the engine last acknowledged, once more: a datagram of its own.
    pub(crate) fn acknowledge_again(&mut self) -> Option<Vec<u8>> {
        let content = match self {
            Self::V12(_) => return None,
            Self::V13(records) => records.acknowledgement()?.to_vec(),
        };
        self.datagram(content::ACK, &content).ok()
    }

    /// Replaces the content `buf[start..]` by the record that carries it. After an error nothing of it is left.
    #[inline]
    pub(crate) fn seal(
        &mut self,
        kind: u8,
        buf: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        match self {
            Self::V12(records) => records.seal(kind, buf, start),
            Self::V13(records) => records.seal(kind, buf, start),
        }
    }

    /// Opens one record and appends its content to `out`.
    #[inline]
    pub(crate) fn open(&mut self, record: &[u8], out: &mut BytesMut) -> Result<Opened, Refused> {
        match self {
            Self::V12(records) => records.open(record, out),
            Self::V13(records) => records.open(record, out),
        }
    }

    /// A datagram of the engine's with the records of these epochs sealed again.
    pub(crate) fn reseal(&mut self, datagram: &[u8]) -> Result<Vec<u8>, SealError> {
        match self {
            Self::V12(records) => records.reseal(datagram),
            Self::V13(records) => records.reseal(datagram),
        }
    }

    /// A datagram of its own for some content.
    pub(crate) fn datagram(&mut self, kind: u8, content: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut record = content.to_vec();
        self.seal(kind, &mut record, 0)?;
        Ok(record)
    }
}
