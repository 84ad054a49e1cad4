//! Epoch 3 and later of DTLS 1.3 (RFC 9147 §4), and the step from one to the next (§8).

use bytes::BytesMut;
use zeroize::Zeroizing;

use crate::error::SealError;
use crate::kdf::{Hash, expand_label};
use crate::provider::Secret;
use crate::record::{self, Header};

use super::keys::Key13;
use super::window::{Window, reconstruct};
use super::{MAX_PLAINTEXT, MAX_SEQUENCE_NUMBER, Opened, Refused, TAG, content};

/// The epoch of the first application traffic secrets (RFC 9147 §6.1).
const FIRST: u64 = 3;
/// RFC 8446 §5.5: 2^24.5 records for AES-GCM; ChaCha20-Poly1305 has no limit below that of the numbers.
const MAX_GCM_RECORDS: u64 = 23_726_566;
/// How many of them are left to what is not data: key updates, acknowledgements, alerts.
const RESERVED: u64 = 1 << 12;

pub(crate) struct Records13 {
    suite: u16,
    write: Write,
    read: Read,
    /// The epoch before the one that is read, for what comes late (RFC 9147 §8).
    previous: Option<Read>,
    /// As long as there is an engine.
    engine: Option<Box<EngineKeys>>,
    /// The content of the engine's last ACK (RFC 9147 §7).
    acknowledgement: Vec<u8>,
}

/// The engine's own record layer of epoch 3.
struct EngineKeys {
    /// How it seals, and the number it takes next.
    write: (Key13, u64),
    /// How it opens, and the number of the next record made for it.
    read: (Key13, u64),
}

struct Write {
    epoch: u64,
    key: Key13,
    secret: Secret,
    next: u64,
}

struct Read {
    epoch: u64,
    key: Key13,
    secret: Secret,
    window: Window,
    /// Records with a wrong tag.
    forged: u64,
}

impl Records13 {
    pub(super) fn new(suite: u16, write: &Secret, read: &Secret) -> Option<Self> {
        Some(Self {
            suite,
            write: Write {
                epoch: FIRST,
                key: Key13::new(suite, write)?,
                secret: write.clone(),
                next: 0,
            },
            read: Read {
                epoch: FIRST,
                key: Key13::new(suite, read)?,
                secret: read.clone(),
                window: Window::default(),
                forged: 0,
            },
            previous: None,
            engine: Some(Box::new(EngineKeys {
                write: (Key13::new(suite, write)?, 0),
                read: (Key13::new(suite, read)?, 0),
            })),
            acknowledgement: Vec::new(),
        })
    }

    /// The engine may go, unless its peer's flight had more records than it has acknowledged at once.
    pub(super) fn forget_engine(&mut self) -> bool {
        /// dimpl names 32 records of 16 bytes each at most.
        const FULL: usize = 2 + 32 * 16;
        if self.acknowledgement.len() >= FULL {
            return false;
        }
        self.engine = None;
        true
    }

    /// The content of the engine's last ACK, if there was one.
    pub(super) fn acknowledgement(&self) -> Option<&[u8]> {
        Some(&*self.acknowledgement).filter(|content| !content.is_empty())
    }

    /// The epoch and the number of the next record.
    pub(crate) fn next(&self) -> (u64, u64) {
        (self.write.epoch, self.write.next)
    }

    /// How many records the write key may seal.
    fn limit(&self) -> u64 {
        match self.suite {
            0x1303 => MAX_SEQUENCE_NUMBER,
            _ => MAX_GCM_RECORDS,
        }
    }

    /// The epoch that is read.
    pub(crate) fn read_epoch(&self) -> u64 {
        self.read.epoch
    }

    /// Records of the current read epoch that had a wrong tag.
    pub(crate) fn forged(&self) -> u64 {
        self.read.forged
    }

    /// Whether records with these epoch bits belong here and not to the handshake, whose epoch is 2.
    #[inline]
    pub(crate) fn takes(&self, bits: u8) -> bool {
        let is = |read: &Read| (read.epoch & 3) as u8 == bits;
        bits != 2 || is(&self.read) || self.previous.as_ref().is_some_and(is)
    }

    #[inline]
    pub(super) fn seal(
        &mut self,
        kind: u8,
        buf: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        let reserved = if kind == content::APPLICATION_DATA {
            RESERVED
        } else {
            0
        };
        if self.write.next >= self.limit() - reserved {
            buf.truncate(start);
            return Err(SealError::Exhausted);
        }
        let number = self.write.next;
        self.write.next += 1;
        let sealed = self
            .write
            .key
            .seal_at(self.write.epoch, number, kind, buf, start);
        if sealed.is_none() {
            buf.truncate(start);
        }
        sealed.ok_or(SealError::Crypto)
    }

    #[inline]
    pub(super) fn open(&mut self, record: &[u8], out: &mut BytesMut) -> Result<Opened, Refused> {
        let mut parts = Parts::of(record)?;
        let read = match &mut self.previous {
            _ if self.read.epoch & 3 == parts.epoch => &mut self.read,
            Some(previous) if previous.epoch & 3 == parts.epoch => previous,
            _ => return Err(Refused::UnknownEpoch),
        };
        let number = parts
            .number(&read.key, read.window.next())
            .ok_or(Refused::Malformed)?;
        if !read.window.is_fresh(number) {
            return Err(Refused::Replayed);
        }
        let before = out.len();
        out.extend_from_slice(parts.body);
        if !read.key.open(number, parts.header(), &mut out[before..]) {
            out.truncate(before);
            read.forged += 1;
            return Err(Refused::Authentication);
        }
        read.window.commit(number);
        let inner = &out[before..before + parts.body.len() - TAG];
        match content_type(inner) {
            Some((kind, len)) if len <= MAX_PLAINTEXT => {
                out.truncate(before + len);
                Ok(Opened {
                    kind,
                    len,
                    epoch: read.epoch,
                    number,
                })
            }
            _ => {
                out.truncate(before);
                Err(Refused::Malformed)
            }
        }
    }

    pub(super) fn reseal(&mut self, datagram: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::with_capacity(datagram.len());
        for (header, record) in record::records(datagram) {
            if !matches!(header, Header::Unified { epoch: 3 }) {
                out.extend_from_slice(record);
                continue;
            }
            let start = out.len();
            let kind = self
                .open_engine(record, &mut out)
                .ok_or(SealError::Crypto)?;
            if kind == content::ACK {
                self.acknowledgement = out[start..].to_vec();
            }
            self.seal(kind, &mut out, start)?;
        }
        Ok(out)
    }

    /// Opens a record that the engine wants to send.
    fn open_engine(&mut self, record: &[u8], out: &mut Vec<u8>) -> Option<u8> {
        let (key, next) = &mut self.engine.as_mut()?.write;
        let mut parts = Parts::of(record).ok()?;
        let number = parts.number(key, *next)?;
        let start = out.len();
        out.extend_from_slice(parts.body);
        if !key.open(number, parts.header(), out.get_mut(start..)?) {
            return None;
        }
        *next = number + 1;
        out.truncate(out.len() - TAG);
        let (kind, len) = content_type(out.get(start..)?)?;
        out.truncate(start + len);
        Some(kind)
    }

    /// Content that came from the peer as a record for the engine: it never leaves the process.
    pub(crate) fn for_engine(&mut self, kind: u8, content: &[u8]) -> Option<Vec<u8>> {
        let (key, next) = &mut self.engine.as_mut()?.read;
        let mut record = Vec::new();
        key.append(FIRST, *next, kind, content, &mut record)?;
        *next += 1;
        Some(record)
    }

    /// Writes under the next keys from now on, and returns their secret.
    pub(crate) fn update_write(&mut self) -> Option<&Secret> {
        let secret = next_secret(self.suite, &self.write.secret)?;
        self.write = Write {
            epoch: self.write.epoch + 1,
            key: Key13::new(self.suite, &secret)?,
            secret,
            next: 0,
        };
        Some(&self.write.secret)
    }

    /// Reads under the next keys as well from now on, and returns their secret.
    pub(crate) fn update_read(&mut self) -> Option<&Secret> {
        let secret = next_secret(self.suite, &self.read.secret)?;
        let next = Read {
            epoch: self.read.epoch + 1,
            key: Key13::new(self.suite, &secret)?,
            secret,
            window: Window::default(),
            forged: 0,
        };
        self.previous = Some(std::mem::replace(&mut self.read, next));
        Some(&self.read.secret)
    }
}

/// `application_traffic_secret_N+1` (RFC 8446 §7.2).
fn next_secret(suite: u16, secret: &Secret) -> Option<Secret> {
    let mut next = Zeroizing::new(vec![0; secret.len()]);
    expand_label(
        Hash::of_suite(suite),
        secret,
        b"traffic upd",
        b"",
        &mut next,
    )
    .ok()?;
    Some(next)
}

/// The type at the end of a DTLSInnerPlaintext, and the length of the content before it: zeros may follow (RFC 9147 §4).
#[inline]
fn content_type(inner: &[u8]) -> Option<(u8, usize)> {
    let len = inner.iter().rposition(|byte| *byte != 0)?;
    Some((*inner.get(len)?, len))
}

/// A record with the unified header, taken apart.
pub(super) struct Parts<'a> {
    /// Two bits.
    pub(super) epoch: u64,
    header: [u8; 5],
    header_len: usize,
    /// Bytes of sequence number.
    number_len: usize,
    /// Ciphertext and tag.
    pub(super) body: &'a [u8],
}

impl<'a> Parts<'a> {
    #[inline]
    pub(super) fn of(record: &'a [u8]) -> Result<Self, Refused> {
        let first = *record.first().ok_or(Refused::Malformed)?;
        let number_len = if first & 8 == 0 { 1 } else { 2 };
        let header_len = 1 + number_len + if first & 4 == 0 { 0 } else { 2 };
        let (shown, body) = record
            .split_at_checked(header_len)
            .ok_or(Refused::Malformed)?;
        // A content type and the tag at least; zeros count into the limit (RFC 8446 §5.2).
        if body.len() <= TAG || body.len() > MAX_PLAINTEXT + 1 + TAG {
            return Err(Refused::Malformed);
        }
        let mut header = [0; 5];
        header[..header_len].copy_from_slice(shown);
        Ok(Self {
            epoch: u64::from(first & 3),
            header,
            header_len,
            number_len,
            body,
        })
    }

    /// Uncovers the sequence number, also in the header, which is authenticated that way (RFC 9147 §4.2.3).
    #[inline]
    pub(super) fn number(&mut self, key: &Key13, expected: u64) -> Option<u64> {
        let mask = key.mask(self.body)?;
        self.header[1] ^= mask[0];
        if self.number_len == 1 {
            return Some(reconstruct(expected, u64::from(self.header[1]), 8));
        }
        self.header[2] ^= mask[1];
        let low = u16::from_be_bytes([self.header[1], self.header[2]]);
        Some(reconstruct(expected, u64::from(low), 16))
    }

    #[inline]
    pub(super) fn header(&self) -> &[u8] {
        &self.header[..self.header_len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u8 = content::APPLICATION_DATA;

    fn pair(suite: u16) -> [Records13; 2] {
        let len = if suite == 0x1302 { 48 } else { 32 };
        let secrets = [1, 2].map(|byte| Zeroizing::new(vec![byte; len]));
        [
            Records13::new(suite, &secrets[0], &secrets[1]).unwrap(),
            Records13::new(suite, &secrets[1], &secrets[0]).unwrap(),
        ]
    }

    fn sealed(records: &mut Records13, kind: u8, text: &[u8]) -> Vec<u8> {
        let mut buf = text.to_vec();
        records.seal(kind, &mut buf, 0).unwrap();
        buf
    }

    #[test]
    fn every_form_of_the_header_and_padding_are_read() {
        for suite in [0x1301, 0x1302, 0x1303] {
            let [mut one, mut two] = pair(suite);
            for number in 0..1000u64 {
                let short = number % 2 == 1;
                let endless = number % 3 == 0;
                let low = (number as u16).to_be_bytes();
                let mut header = vec![0b0010_0000 | 3];
                header.extend_from_slice(if short { &low[1..] } else { &low[..] });
                header[0] |= if short { 0 } else { 8 };
                let mut inner = [&number.to_be_bytes()[..], &[DATA], &[0; 3]].concat();
                if !endless {
                    header[0] |= 4;
                    header.extend_from_slice(&((inner.len() + TAG) as u16).to_be_bytes());
                }
                let key = &one.write.key;
                let tag = key.seal(number, &header, &mut inner).unwrap();
                inner.extend_from_slice(tag.as_ref());
                let mask = key.mask(&inner).unwrap();
                header[1] ^= mask[0];
                if !short {
                    header[2] ^= mask[1];
                }
                let mut out = BytesMut::from(&b"before"[..]);
                let opened = two
                    .open(&[header, inner].concat(), &mut out)
                    .unwrap_or_else(|refused| panic!("{suite:#x} {number}: {refused:?}"));
                assert_eq!((opened.kind, opened.len, opened.number), (DATA, 8, number));
                assert_eq!(out[..6], b"before"[..]);
                assert_eq!(out[6..], number.to_be_bytes());
            }
            one.write.next = 1000;
            let next = sealed(&mut one, DATA, b"next");
            assert!(two.open(&next, &mut BytesMut::new()).is_ok());
        }
    }

    #[test]
    fn a_record_of_zeros_is_malformed_and_a_repeated_one_is_refused() {
        let [mut one, mut two] = pair(0x1301);
        let zeros = sealed(&mut one, 0, &[0; 20]);
        let mut out = BytesMut::new();
        assert_eq!(two.open(&zeros, &mut out), Err(Refused::Malformed));
        let record = sealed(&mut one, DATA, b"x");
        assert!(two.open(&record, &mut out).is_ok());
        assert_eq!(two.open(&record, &mut out), Err(Refused::Replayed));
        assert_eq!(out[..], b"x"[..]);
    }

    #[test]
    fn the_keys_of_two_epochs_are_read_and_those_before_are_gone() {
        let [mut one, mut two] = pair(0x1303);
        let mut records: Vec<Vec<u8>> = (0..6)
            .map(|_| {
                let record = sealed(&mut one, DATA, b"x");
                one.update_write().unwrap();
                record
            })
            .collect();
        let mut out = BytesMut::new();
        assert_eq!(two.open(&records[1], &mut out), Err(Refused::UnknownEpoch));
        two.update_read().unwrap();
        assert_eq!(two.open(&records[1], &mut out).unwrap().epoch, 4);
        assert_eq!(two.open(&records[0], &mut out).unwrap().epoch, 3);
        two.update_read().unwrap();
        records.remove(0);
        assert_eq!(two.open(&records[1], &mut out).unwrap().epoch, 5);
        assert_eq!(two.open(&records[0], &mut out), Err(Refused::Replayed));
        two.update_read().unwrap();
        assert_eq!(two.open(&records[0], &mut out), Err(Refused::UnknownEpoch));
        // The bits of epoch 2 are the handshake's again unless there is an epoch 6.
        assert!(two.takes(2));
        assert!(!one.takes(2));
    }

    #[test]
    fn keys_seal_no_more_records_than_they_may() {
        let [mut one, _] = pair(0x1301);
        one.write.next = MAX_GCM_RECORDS - RESERVED - 1;
        sealed(&mut one, DATA, b"the last");
        let mut buf = b"kept, one too many".to_vec();
        assert_eq!(one.seal(DATA, &mut buf, 5), Err(SealError::Exhausted));
        assert_eq!(buf, b"kept,");
        // There is room for the message that gets new keys.
        sealed(&mut one, content::HANDSHAKE, b"");
        one.update_write().unwrap();
        sealed(&mut one, DATA, b"more");
        one.write.next = MAX_GCM_RECORDS;
        let refused = one.seal(content::ALERT, &mut vec![], 0);
        assert_eq!(refused, Err(SealError::Exhausted));
        let [mut chacha, _] = pair(0x1303);
        chacha.write.next = MAX_GCM_RECORDS;
        sealed(&mut chacha, DATA, b"more");
        chacha.write.next = MAX_SEQUENCE_NUMBER;
        let refused = chacha.seal(content::ALERT, &mut vec![], 0);
        assert_eq!(refused, Err(SealError::Exhausted));
    }
}
