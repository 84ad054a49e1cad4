//! Keys of one direction, derived and scheduled once.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce,
    Tag, UnboundKey,
};
use zeroize::Zeroizing;

use crate::kdf::{Hash, expand_label, prf_tls12};
use crate::provider::{MasterSecret, SequenceKey};

/// The AEAD of a cipher suite and the length of its key, by the suite's IANA number.
fn aead(suite: u16) -> Option<(&'static Algorithm, usize)> {
    Some(match suite {
        0x1301 | 0xc02b => (&AES_128_GCM, 16),
        0x1302 | 0xc02c => (&AES_256_GCM, 32),
        0x1303 | 0xcca9 => (&CHACHA20_POLY1305, 32),
        _ => return None,
    })
}

/// Whether the nonce is the initialization vector XOR the record number (RFC 7905 §2) and not sent along (RFC 5288 §3).
fn is_chacha(suite: u16) -> bool {
    suite == 0xcca9
}

fn schedule(algorithm: &'static Algorithm, key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

/// The initialization vector XOR the number (RFC 8446 §5.3, RFC 7905 §2).
#[inline]
fn xored(mut iv: [u8; NONCE_LEN], number: u64) -> Nonce {
    let (_, low) = iv.split_at_mut(NONCE_LEN - 8);
    low.iter_mut()
        .zip(number.to_be_bytes())
        .for_each(|(byte, number)| *byte ^= number);
    Nonce::assume_unique_for_key(iv)
}

/// DTLS 1.2.
pub(crate) struct Key12 {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// How many bytes of the nonce a record shows: 8 or none.
    pub(super) explicit: usize,
}

impl Key12 {
    /// The client's and the server's write keys (RFC 5246 §6.3).
    pub(super) fn pair(suite: u16, master: &MasterSecret) -> Option<[Self; 2]> {
        let (algorithm, key_len) = aead(suite)?;
        let (iv_len, explicit) = if is_chacha(suite) { (12, 0) } else { (4, 8) };
        let mut block = Zeroizing::new([0; 2 * (32 + 12)]);
        let block = &mut block[..2 * (key_len + iv_len)];
        let seed: [&[u8]; 2] = [&master.server_random, &master.client_random];
        let hash = Hash::of_suite(suite);
        prf_tls12(hash, &master.secret, b"key expansion", &seed, block);
        let (keys, ivs) = block.split_at(2 * key_len);
        let one = |which: usize| {
            let mut iv = [0; NONCE_LEN];
            iv[..iv_len].copy_from_slice(&ivs[which * iv_len..][..iv_len]);
            Some(Self {
                key: schedule(algorithm, &keys[which * key_len..][..key_len])?,
                iv,
                explicit,
            })
        };
        Some([one(0)?, one(1)?])
    }

    /// The nonce of a record with this number (epoch and sequence number) that shows these bytes.
    #[inline]
    fn nonce(&self, number: u64, shown: &[u8]) -> Nonce {
        if shown.is_empty() {
            return xored(self.iv, number);
        }
        let mut nonce = self.iv;
        nonce[NONCE_LEN - shown.len()..].copy_from_slice(shown);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 5246 §6.2.3.3: number, content type, version, and the length of the plaintext.
    #[inline]
    fn associated(number: u64, kind: u8, len: usize) -> Aad<[u8; 13]> {
        let mut associated = [0; 13];
        associated[..8].copy_from_slice(&number.to_be_bytes());
        let [high, low] = (len as u16).to_be_bytes();
        associated[8..].copy_from_slice(&[kind, 0xfe, 0xfd, high, low]);
        Aad::from(associated)
    }

    #[inline]
    pub(super) fn seal(
        &self,
        number: u64,
        kind: u8,
        shown: &[u8],
        content: &mut [u8],
    ) -> Option<Tag> {
        let associated = Self::associated(number, kind, content.len());
        self.key
            .seal_in_place_separate_tag(self.nonce(number, shown), associated, content)
            .ok()
    }

    /// Opens ciphertext and tag in place.
    #[inline]
    pub(super) fn open(&self, number: u64, kind: u8, shown: &[u8], body: &mut [u8]) -> bool {
        let associated = Self::associated(number, kind, body.len().saturating_sub(super::TAG));
        self.key
            .open_in_place(self.nonce(number, shown), associated, body)
            .is_ok()
    }
}

/// DTLS 1.3.
pub(crate) struct Key13 {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    mask: SequenceKey,
}

impl Key13 {
    /// The keys of a traffic secret (RFC 8446 §7.3, RFC 9147 §4.2.3).
    pub(crate) fn new(suite: u16, secret: &[u8]) -> Option<Self> {
        let (algorithm, key_len) = aead(suite)?;
        let hash = Hash::of_suite(suite);
        let mut key = Zeroizing::new([0; 32]);
        expand_label(hash, secret, b"key", b"", &mut key[..key_len]).ok()?;
        let mut iv = [0; NONCE_LEN];
        expand_label(hash, secret, b"iv", b"", &mut iv).ok()?;
        let mut sn = Zeroizing::new([0; 32]);
        expand_label(hash, secret, b"sn", b"", &mut sn[..key_len]).ok()?;
        Some(Self {
            key: schedule(algorithm, &key[..key_len])?,
            iv,
            mask: SequenceKey::new(suite, &sn[..key_len])?,
        })
    }

    #[inline]
    pub(super) fn seal(&self, number: u64, header: &[u8], inner: &mut [u8]) -> Option<Tag> {
        self.key
            .seal_in_place_separate_tag(xored(self.iv, number), Aad::from(header), inner)
            .ok()
    }

    /// Opens ciphertext and tag in place.
    #[inline]
    pub(super) fn open(&self, number: u64, header: &[u8], body: &mut [u8]) -> bool {
        self.key
            .open_in_place(xored(self.iv, number), Aad::from(header), body)
            .is_ok()
    }

    /// What the sequence number of a record with this ciphertext is hidden with; the first 16 bytes count.
    #[inline]
    pub(super) fn mask(&self, body: &[u8]) -> Option<[u8; 16]> {
        self.mask.mask(body.first_chunk()?)
    }

    /// Appends a record (RFC 9147 §4) with 16 bits of sequence number and a length.
    pub(crate) fn append(
        &self,
        epoch: u64,
        number: u64,
        kind: u8,
        content: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let start = out.len();
        out.extend_from_slice(content);
        self.seal_at(epoch, number, kind, out, start)
    }

    /// Turns the content `buf[start..]` into a record. What is left of it after a failure is of no use.
    #[inline]
    pub(super) fn seal_at(
        &self,
        epoch: u64,
        number: u64,
        kind: u8,
        buf: &mut Vec<u8>,
        start: usize,
    ) -> Option<()> {
        const HEADER: usize = 5;
        let len = buf.len() - start;
        buf.reserve(HEADER + 1 + super::TAG);
        buf.extend_from_slice(&[0; HEADER]);
        buf.copy_within(start..start + len, start + HEADER);
        buf.push(kind);
        let [high, low] = (number as u16).to_be_bytes();
        let [long, short] = ((len + 1 + super::TAG) as u16).to_be_bytes();
        // 0 0 1 C S L E E: no connection identifier, 16 bits of number, a length.
        let mut header = [0b0010_1100 | (epoch & 3) as u8, high, low, long, short];
        let tag = self.seal(number, &header, buf.get_mut(start + HEADER..)?)?;
        buf.extend_from_slice(tag.as_ref());
        let mask = self.mask(buf.get(start + HEADER..)?)?;
        header[1] ^= mask[0];
        header[2] ^= mask[1];
        buf.get_mut(start..start + HEADER)?.copy_from_slice(&header);
        Some(())
    }
}
