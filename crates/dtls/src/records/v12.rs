//! Epoch 1 of DTLS 1.2 (RFC 6347 §4.1): the only protected one, as there is no renegotiation.

use bytes::BytesMut;

use crate::error::SealError;
use crate::provider::MasterSecret;
use crate::record::{self, Header};

use super::keys::Key12;
use super::window::Window;
use super::{MAX_PLAINTEXT, MAX_SEQUENCE_NUMBER, Opened, Refused, TAG};

/// Content type, version, epoch, sequence number, length.
const HEADER: usize = 13;
/// The length of an explicit nonce (RFC 5288 §3).
const EXPLICIT: usize = 8;
const EPOCH: u64 = 1;

pub(crate) struct Records12 {
    write: Key12,
    next: u64,
    read: Key12,
    window: Window,
}

impl Records12 {
    pub(super) fn new(suite: u16, master: &MasterSecret, client: bool) -> Option<Self> {
        let [from_client, from_server] = Key12::pair(suite, master)?;
        let (write, read) = match client {
            true => (from_client, from_server),
            false => (from_server, from_client),
        };
        Some(Self {
            write,
            next: 0,
            read,
            window: Window::default(),
        })
    }

    #[inline]
    pub(super) fn seal(
        &mut self,
        kind: u8,
        buf: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SealError> {
        let sealed = self.try_seal(kind, buf, start);
        if sealed.is_err() {
            buf.truncate(start);
        }
        sealed
    }

    #[inline]
    fn try_seal(&mut self, kind: u8, buf: &mut Vec<u8>, start: usize) -> Result<(), SealError> {
        if self.next > MAX_SEQUENCE_NUMBER {
            return Err(SealError::Exhausted);
        }
        let number = EPOCH << 48 | self.next;
        self.next += 1;
        let len = buf.len() - start;
        let explicit = self.write.explicit;
        let head = HEADER + explicit;
        buf.reserve(head + TAG);
        buf.extend_from_slice(&[0; HEADER + EXPLICIT][..head]);
        buf.copy_within(start..start + len, start + head);
        let (header, content) = buf
            .get_mut(start..)
            .and_then(|record| record.split_at_mut_checked(head))
            .ok_or(SealError::Crypto)?;
        let shown = number.to_be_bytes();
        header[..3].copy_from_slice(&[kind, 0xfe, 0xfd]);
        header[3..11].copy_from_slice(&shown);
        header[11..HEADER].copy_from_slice(&((explicit + len + TAG) as u16).to_be_bytes());
        // The nonce is the record's number, as RFC 5288 §3 suggests: unique because the number is.
        header[HEADER..].copy_from_slice(&shown[..explicit]);
        let tag = self
            .write
            .seal(number, kind, &shown[..explicit], content)
            .ok_or(SealError::Crypto)?;
        buf.extend_from_slice(tag.as_ref());
        Ok(())
    }

    #[inline]
    pub(super) fn open(&mut self, record: &[u8], out: &mut BytesMut) -> Result<Opened, Refused> {
        let parts = Parts::of(record, self.read.explicit)?;
        if parts.number >> 48 != EPOCH {
            return Err(Refused::UnknownEpoch);
        }
        let number = parts.number & MAX_SEQUENCE_NUMBER;
        if !self.window.is_fresh(number) {
            return Err(Refused::Replayed);
        }
        let before = out.len();
        out.extend_from_slice(parts.body);
        let body = &mut out[before..];
        if !self.read.open(parts.number, parts.kind, parts.shown, body) {
            out.truncate(before);
            return Err(Refused::Authentication);
        }
        self.window.commit(number);
        let len = parts.body.len() - TAG;
        out.truncate(before + len);
        Ok(Opened {
            kind: parts.kind,
            len,
            epoch: EPOCH,
            number,
        })
    }

    pub(super) fn reseal(&mut self, datagram: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::with_capacity(datagram.len());
        for (header, record) in record::records(datagram) {
            if !matches!(header, Header::Plain { epoch: 1, .. }) {
                out.extend_from_slice(record);
                continue;
            }
            let parts = Parts::of(record, self.write.explicit).map_err(|_| SealError::Crypto)?;
            let start = out.len();
            out.extend_from_slice(parts.body);
            let body = out.get_mut(start..).ok_or(SealError::Crypto)?;
            if !self.write.open(parts.number, parts.kind, parts.shown, body) {
                return Err(SealError::Crypto);
            }
            out.truncate(out.len() - TAG);
            self.seal(parts.kind, &mut out, start)?;
        }
        Ok(out)
    }
}

/// A protected record, taken apart.
struct Parts<'a> {
    kind: u8,
    /// Epoch and sequence number.
    number: u64,
    /// The part of the nonce that is shown.
    shown: &'a [u8],
    /// Ciphertext and tag.
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    #[inline]
    fn of(record: &'a [u8], explicit: usize) -> Result<Self, Refused> {
        let (header, fragment) = record
            .split_first_chunk::<HEADER>()
            .ok_or(Refused::Malformed)?;
        let (shown, body) = fragment
            .split_at_checked(explicit)
            .ok_or(Refused::Malformed)?;
        if body.len() < TAG || body.len() > MAX_PLAINTEXT + TAG {
            return Err(Refused::Malformed);
        }
        let mut number = [0; 8];
        number.copy_from_slice(&header[3..11]);
        Ok(Self {
            kind: header[0],
            number: u64::from_be_bytes(number),
            shown,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::records::content::APPLICATION_DATA;

    #[test]
    fn numbers_end_before_they_wrap_and_other_epochs_are_unknown() {
        let master = MasterSecret {
            secret: Zeroizing::new(vec![7; 48]),
            server_random: [1; 32],
            client_random: [2; 32],
        };
        for suite in [0xc02b, 0xc02c, 0xcca9] {
            let mut one = Records12::new(suite, &master, true).unwrap();
            let mut two = Records12::new(suite, &master, false).unwrap();
            one.next = MAX_SEQUENCE_NUMBER;
            let mut buf = b"the last".to_vec();
            one.seal(APPLICATION_DATA, &mut buf, 0).unwrap();
            let mut more = b"kept, one too many".to_vec();
            let refused = one.seal(APPLICATION_DATA, &mut more, 5);
            assert_eq!(refused, Err(SealError::Exhausted));
            assert_eq!(more, b"kept,");
            let mut out = BytesMut::new();
            let mut other = buf.clone();
            other[4] = 2;
            assert_eq!(two.open(&other, &mut out), Err(Refused::UnknownEpoch));
            let opened = two.open(&buf, &mut out).unwrap();
            assert_eq!(opened.number, MAX_SEQUENCE_NUMBER);
            assert_eq!(two.open(&buf, &mut out), Err(Refused::Replayed));
            assert_eq!(out[..], b"the last"[..]);
        }
    }
}
