//! Alerts that dimpl cannot send: it closes in order, but leaves a failed handshake without a word.
//!
//! RFC 8122 §6.2 wants a certificate with the wrong fingerprint answered with bad_certificate. So the record is made here,
//! under the keys of the moment, with a sequence number that dimpl has not used; the engine is never called again.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use zeroize::Zeroizing;

use crate::config::{Role, Version};
use crate::error::AlertDescription;
use crate::kdf::{Hash, expand_label, prf_tls12};
use crate::provider::{Notebook, encrypt_sequence_number};
use crate::record::{Header, records};

/// The content type of an alert (RFC 5246 §6.2.1).
const ALERT: u8 = 21;
/// An alert's level (RFC 5246 §7.2).
const FATAL: u8 = 2;

/// Counts the records sent in each epoch, from the datagrams themselves.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The next sequence number, of epochs 0 to 3.
    next: [u64; 4],
}

impl Sent {
    /// Reads the headers of a datagram's records.
    pub(crate) fn note(&mut self, datagram: &[u8]) {
        for (header, _) in records(datagram) {
            match header {
                // dimpl sends each record number once, in order.
                Header::Unified { epoch } => self.next[usize::from(epoch)] += 1,
                Header::Plain { epoch, number } => {
                    if let Some(next) = self.next.get_mut(usize::from(epoch)) {
                        *next = (*next).max(number + 1);
                    }
                }
            }
        }
    }

    /// A fatal alert as a datagram, in the newest epoch the peer can read.
    pub(crate) fn alert(
        &self,
        version: Option<Version>,
        role: Role,
        done: bool,
        notebook: &Notebook,
        description: AlertDescription,
    ) -> Option<Vec<u8>> {
        let content = [FATAL, description.0];
        let own = usize::from(role == Role::Server);
        match version {
            // A client reads its server's epoch 3 as soon as it has sent Finished, a server reads its client's only
            // after that; before, there is epoch 2.
            Some(Version::Dtls13) => {
                let application = notebook.application_traffic[own]
                    .as_ref()
                    .filter(|_| done || role == Role::Server);
                if let Some(secret) = application {
                    return self.sealed_13(3, notebook.suite?, secret, content);
                }
                match &notebook.handshake_traffic[own] {
                    Some(secret) => self.sealed_13(2, notebook.suite?, secret, content),
                    None => Some(self.plain(content)),
                }
            }
            Some(Version::Dtls12) if done => self.sealed_12(notebook, own, content),
            _ => Some(self.plain(content)),
        }
    }

    fn plain(&self, content: [u8; 2]) -> Vec<u8> {
        let mut record = header_12(0, self.next[0], 2).to_vec();
        record.extend_from_slice(&content);
        record
    }

    /// RFC 5288 §3, RFC 7905 §2: a record of epoch 1.
    fn sealed_12(&self, notebook: &Notebook, own: usize, content: [u8; 2]) -> Option<Vec<u8>> {
        let master = notebook.master.as_ref()?;
        let suite = notebook.suite?;
        let (algorithm, key_len, iv_len) = match suite {
            0xc02b => (&AES_128_GCM, 16, 4),
            0xc02c => (&AES_256_GCM, 32, 4),
            0xcca9 => (&CHACHA20_POLY1305, 32, 12),
            _ => return None,
        };
        let mut block = Zeroizing::new([0; 2 * (32 + 12)]);
        let block = &mut block[..2 * (key_len + iv_len)];
        let seed: [&[u8]; 2] = [&master.server_random, &master.client_random];
        prf_tls12(
            Hash::of_suite(suite),
            &master.secret,
            b"key expansion",
            &seed,
            block,
        );
        let (keys, ivs) = block.split_at(2 * key_len);
        let key =
            LessSafeKey::new(UnboundKey::new(algorithm, keys.chunks(key_len).nth(own)?).ok()?);
        let iv = ivs.chunks(iv_len).nth(own)?;

        let number = 1 << 48 | self.next[1];
        let mut nonce = [0; 12];
        nonce[..iv_len].copy_from_slice(iv);
        let explicit = u64::to_be_bytes(number);
        let explicit_len = 12 - iv_len;
        if explicit_len > 0 {
            nonce[iv_len..].copy_from_slice(&explicit);
        } else {
            nonce[4..]
                .iter_mut()
                .zip(explicit)
                .for_each(|(byte, number)| *byte ^= number);
        }
        // The associated data has the length of the plaintext (RFC 5246 §6.2.3.3).
        let mut associated = [0; 13];
        associated[..8].copy_from_slice(&explicit);
        associated[8..].copy_from_slice(&[ALERT, 0xfe, 0xfd, 0, 2]);
        let mut body = content;
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated),
                &mut body,
            )
            .ok()?;
        let mut record = header_12(1, self.next[1], explicit_len + 2 + 16).to_vec();
        record.extend_from_slice(&explicit[..explicit_len]);
        record.extend_from_slice(&body);
        record.extend_from_slice(tag.as_ref());
        Some(record)
    }

    /// RFC 9147 §4: a record with the unified header.
    fn sealed_13(&self, epoch: u8, suite: u16, secret: &[u8], content: [u8; 2]) -> Option<Vec<u8>> {
        let (algorithm, key_len) = match suite {
            0x1301 => (&AES_128_GCM, 16),
            0x1302 => (&AES_256_GCM, 32),
            0x1303 => (&CHACHA20_POLY1305, 32),
            _ => return None,
        };
        let hash = Hash::of_suite(suite);
        let mut key = Zeroizing::new([0; 32]);
        expand_label(hash, secret, b"key", b"", &mut key[..key_len]).ok()?;
        let mut nonce = [0; 12];
        expand_label(hash, secret, b"iv", b"", &mut nonce).ok()?;
        let mut sn = Zeroizing::new([0; 32]);
        expand_label(hash, secret, b"sn", b"", &mut sn[..key_len]).ok()?;

        let number = self.next[usize::from(epoch)];
        nonce[4..]
            .iter_mut()
            .zip(number.to_be_bytes())
            .for_each(|(byte, number)| *byte ^= number);
        let [high, low] = (number as u16).to_be_bytes();
        let inner_len = 3;
        let header = [0b0010_1100 | epoch, high, low, 0, inner_len + 16];
        let mut inner = [content[0], content[1], ALERT];
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &key[..key_len]).ok()?);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(header),
                &mut inner,
            )
            .ok()?;
        let mut record = header.to_vec();
        record.extend_from_slice(&inner);
        record.extend_from_slice(tag.as_ref());
        let sample = *record.get(5..)?.first_chunk()?;
        let mask = encrypt_sequence_number(suite, &sn[..key_len], &sample)?;
        record[1] ^= mask[0];
        record[2] ^= mask[1];
        Some(record)
    }
}

/// The header of a record of DTLS 1.2, or of an unprotected one of 1.3 (RFC 6347 §4.1).
fn header_12(epoch: u16, number: u64, len: usize) -> [u8; 13] {
    let mut header = [0; 13];
    header[..3].copy_from_slice(&[ALERT, 0xfe, 0xfd]);
    header[3..5].copy_from_slice(&epoch.to_be_bytes());
    header[5..11].copy_from_slice(&number.to_be_bytes()[2..]);
    header[11..].copy_from_slice(&(len as u16).to_be_bytes());
    header
}
