//! SFrame (RFC 9605): frames that only those who have the key can read, whoever forwards them.
//!
//! [`Sframe`] encrypts and decrypts; [`Sframe::encryptor`] and [`Sframe::decryptor`] make [`EncodedTransform`]s of it.

mod cipher;

pub use cipher::SframeSuite;

use crate::encoded_transform::EncodedTransform;
use aws_lc_rs::hkdf::{KeyType, Salt};
use bytes::Bytes;
use cipher::Cipher;
use media::MediaKind;
use std::collections::BTreeMap;
use std::fmt;

/// Why a frame was not encrypted or decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SframeError {
    /// There is no key of this id for this purpose.
    #[error("no key {0}")]
    UnknownKey(u64),
    /// The frame is too short for its header.
    #[error("the frame ends in its header")]
    Malformed,
    /// The frame was changed on its way, or encrypted with another key.
    #[error("the frame is not authentic")]
    NotAuthentic,
    /// A key is used up, or has a length that HKDF does not take.
    #[error("the key cannot be used")]
    Unusable,
}

/// One derived key (RFC 9605 §4.4.2).
struct Key {
    cipher: Cipher,
    salt: [u8; 12],
    /// The next counter, when the key is for encryption; a key is for one purpose only (RFC 9605 §4.4.1).
    counter: Option<u64>,
}

/// The keys of one side.
pub struct Sframe {
    suite: SframeSuite,
    keys: BTreeMap<u64, Key>,
}

/// The length that HKDF is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sframe {
    /// No keys yet.
    pub fn new(suite: SframeSuite) -> Self {
        Sframe {
            suite,
            keys: BTreeMap::new(),
        }
    }

    /// A key to encrypt with. No two senders may share one (RFC 9605 §4.4.1).
    ///
    /// # Errors
    /// [`SframeError::Unusable`] when it cannot be derived from.
    pub fn add_encryption_key(&mut self, kid: u64, base_key: &[u8]) -> Result<(), SframeError> {
        let key = self.derive(kid, base_key, Some(0))?;
        self.keys.insert(kid, key);
        Ok(())
    }

    /// A key to decrypt with.
    ///
    /// # Errors
    /// [`SframeError::Unusable`] when it cannot be derived from.
    pub fn add_decryption_key(&mut self, kid: u64, base_key: &[u8]) -> Result<(), SframeError> {
        let key = self.derive(kid, base_key, None)?;
        self.keys.insert(kid, key);
        Ok(())
    }

    /// Forgets a key.
    pub fn remove_key(&mut self, kid: u64) {
        self.keys.remove(&kid);
    }

    /// RFC 9605 §4.4.2.
    fn derive(&self, kid: u64, base_key: &[u8], counter: Option<u64>) -> Result<Key, SframeError> {
        let secret = Salt::new(self.suite.hash(), &[]).extract(base_key);
        let expand = |label: &[u8], output: &mut [u8]| {
            let (kid, suite) = (kid.to_be_bytes(), self.suite.number().to_be_bytes());
            let info: [&[u8]; 3] = [label, &kid, &suite];
            secret
                .expand(&info, Length(output.len()))
                .and_then(|material| material.fill(output))
                .map_err(|_| SframeError::Unusable)
        };
        let mut key = vec![0; self.suite.key_len()];
        expand(b"SFrame 1.0 Secret key ", &mut key)?;
        let mut salt = [0; 12];
        expand(b"SFrame 1.0 Secret salt ", &mut salt)?;
        Ok(Key {
            cipher: Cipher::new(self.suite, &key)?,
            salt,
            counter,
        })
    }

    /// Encrypts with the key `kid`; `metadata` is authenticated, and is to be known to whoever decrypts.
    ///
    /// # Errors
    /// [`SframeError::UnknownKey`] when there is no such key for encryption.
    pub fn encrypt(
        &mut self,
        kid: u64,
        metadata: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SframeError> {
        let key = self
            .keys
            .get_mut(&kid)
            .ok_or(SframeError::UnknownKey(kid))?;
        let counter = key.counter.ok_or(SframeError::UnknownKey(kid))?;
        let mut frame = Vec::with_capacity(17 + plaintext.len() + self.suite.tag_len());
        write_header(kid, counter, &mut frame);
        let start = frame.len();
        let aad = [&frame, metadata].concat();
        frame.extend_from_slice(plaintext);
        let nonce = nonce(&key.salt, counter);
        key.cipher.seal(nonce, &aad, &mut frame, start)?;
        key.counter = Some(counter.checked_add(1).ok_or(SframeError::Unusable)?);
        Ok(frame)
    }

    /// Decrypts with the key that the frame names.
    ///
    /// # Errors
    /// [`SframeError::Malformed`], [`SframeError::UnknownKey`] or [`SframeError::NotAuthentic`].
    pub fn decrypt(&self, metadata: &[u8], frame: &[u8]) -> Result<Vec<u8>, SframeError> {
        let (kid, counter, header) = read_header(frame).ok_or(SframeError::Malformed)?;
        let key = self.keys.get(&kid).filter(|key| key.counter.is_none());
        let key = key.ok_or(SframeError::UnknownKey(kid))?;
        let (header, ciphertext) = frame.split_at(header);
        let aad = [header, metadata].concat();
        let mut plaintext = ciphertext.to_vec();
        let nonce = nonce(&key.salt, counter);
        key.cipher.open(nonce, &aad, &mut plaintext)?;
        Ok(plaintext)
    }

    /// A transform for senders: encrypts every frame with the key `kid`. The first bytes of a video frame, which tell
    /// keyframes from others on the way, stay readable and are authenticated.
    pub fn encryptor(mut self, kid: u64) -> EncodedTransform {
        EncodedTransform::map(move |mut frame| {
            let metadata = frame.metadata();
            let clear = clear_bytes(metadata.kind, metadata.key_frame).min(frame.data.len());
            let (head, body) = frame.data.split_at(clear);
            match self.encrypt(kid, head, body) {
                Ok(encrypted) => {
                    frame.data = Bytes::from([head, &encrypted].concat());
                    Some(frame)
                }
                Err(error) => {
                    tracing::debug!(%error, "a frame is not sent");
                    None
                }
            }
        })
    }

    /// A transform for receivers: what [`Sframe::encryptor`] has done is undone. A frame that cannot be decrypted is
    /// dropped.
    pub fn decryptor(self) -> EncodedTransform {
        EncodedTransform::map(move |mut frame| {
            let metadata = frame.metadata();
            let clear = clear_bytes(metadata.kind, metadata.key_frame).min(frame.data.len());
            let (head, body) = frame.data.split_at(clear);
            match self.decrypt(head, body) {
                Ok(plaintext) => {
                    frame.data = Bytes::from([head, &plaintext].concat());
                    Some(frame)
                }
                Err(error) => {
                    tracing::debug!(%error, "a frame is dropped");
                    None
                }
            }
        })
    }
}

impl fmt::Debug for Sframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sframe")
            .field("suite", &self.suite)
            .field("keys", &self.keys.keys())
            .finish()
    }
}

/// The uncompressed data chunk of VP8 (RFC 6386 §9.1): ten bytes of a keyframe, three of another.
fn clear_bytes(kind: MediaKind, keyframe: bool) -> usize {
    match (kind, keyframe) {
        (MediaKind::Audio, _) => 0,
        (MediaKind::Video, true) => 10,
        (MediaKind::Video, false) => 3,
    }
}

/// RFC 9605 §4.4.3: the salt XOR the counter.
fn nonce(salt: &[u8; 12], counter: u64) -> [u8; 12] {
    let mut nonce = *salt;
    for (byte, counted) in nonce[4..].iter_mut().zip(counter.to_be_bytes()) {
        *byte ^= counted;
    }
    nonce
}

/// A value in a header (RFC 9605 §4.3): in three bits when it is below 8, else its length there and bytes behind.
fn field(value: u64) -> (u8, usize) {
    if value < 8 {
        (value as u8, 0)
    } else {
        let length = 8 - value.leading_zeros() as usize / 8;
        (0x8 | (length - 1) as u8, length)
    }
}

fn write_header(kid: u64, counter: u64, header: &mut Vec<u8>) {
    let ((high, kid_length), (low, counter_length)) = (field(kid), field(counter));
    header.push(high << 4 | low);
    header.extend_from_slice(&kid.to_be_bytes()[8 - kid_length..]);
    header.extend_from_slice(&counter.to_be_bytes()[8 - counter_length..]);
}

/// Key id, counter and the length of the header.
fn read_header(frame: &[u8]) -> Option<(u64, u64, usize)> {
    let config = *frame.first()?;
    let mut end = 1;
    let mut read = |half: u8| {
        if half & 0x8 == 0 {
            return Some(u64::from(half));
        }
        let bytes = frame.get(end..end + usize::from(half & 0x7) + 1)?;
        end += bytes.len();
        Some(
            bytes
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    };
    let kid = read(config >> 4)?;
    let counter = read(config & 0xf)?;
    Some((kid, counter, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
        hex.as_bytes()
            .chunks(2)
            .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
            .collect()
    }

    #[test]
    fn the_frames_of_rfc_9605_appendix_c_3() {
        let vectors = [
            (
                SframeSuite::Aes128CtrHmacSha256_80,
                "9901234567449408b6f490086165b9d6f62b24ae1a59a56486b4ae8ed036b88912e24f11",
            ),
            (
                SframeSuite::Aes128CtrHmacSha256_64,
                "99012345673f31438db4d09434e43afa0f8a2f00867a2be085046a9f5cb4f101d607",
            ),
            (
                SframeSuite::Aes128CtrHmacSha256_32,
                "990123456717fc8af28a5a695afcfc6c8df6358a17e26b2fcb3bae32e443",
            ),
            (
                SframeSuite::Aes128Gcm,
                "9901234567b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb",
            ),
            (
                SframeSuite::Aes256Gcm,
                "990123456794f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279",
            ),
        ];
        for (suite, encrypted) in vectors {
            let base_key = bytes("000102030405060708090a0b0c0d0e0f");
            let (metadata, plaintext) = (b"IETF SFrame WG", b"draft-ietf-sframe-enc");
            let mut sender = Sframe::new(suite);
            sender.add_encryption_key(0x123, &base_key).expect("a key");
            sender.keys.get_mut(&0x123).expect("the key").counter = Some(0x4567);
            let frame = sender
                .encrypt(0x123, metadata, plaintext)
                .expect("encrypted");
            assert_eq!(frame, bytes(encrypted));
            assert_eq!(
                sender.decrypt(metadata, &frame),
                Err(SframeError::UnknownKey(0x123)),
                "a key is for one purpose"
            );
            let mut receiver = Sframe::new(suite);
            receiver
                .add_decryption_key(0x123, &base_key)
                .expect("a key");
            assert_eq!(
                receiver.decrypt(metadata, &frame).as_deref(),
                Ok(&plaintext[..])
            );
            assert_eq!(
                receiver.decrypt(b"", &frame),
                Err(SframeError::NotAuthentic)
            );
            for length in 0..frame.len() {
                receiver
                    .decrypt(metadata, &frame[..length])
                    .expect_err("cut short");
            }
        }
    }

    #[test]
    fn headers_hold_any_key_id_and_counter() {
        for kid in [0, 7, 8, 255, 256, u64::MAX] {
            for counter in [0, 7, 8, 0xffff, 0x1_0000, u64::MAX] {
                let mut header = Vec::new();
                write_header(kid, counter, &mut header);
                assert_eq!(read_header(&header), Some((kid, counter, header.len())));
                assert_eq!(read_header(&header[..header.len() - 1]), None);
            }
        }
    }
}
