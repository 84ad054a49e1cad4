//! The cipher suites of SFrame (RFC 9605 §4.5), each as an AEAD.

use super::SframeError;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, HKDF_SHA512};
use aws_lc_rs::{constant_time, hmac};

/// Cipher suites (RFC 9605 §4.5, §8.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SframeSuite {
    /// `AES_128_CTR_HMAC_SHA256_80`, 0x0001: tags of 10 bytes.
    Aes128CtrHmacSha256_80,
    /// `AES_128_CTR_HMAC_SHA256_64`, 0x0002: tags of 8 bytes.
    Aes128CtrHmacSha256_64,
    /// `AES_128_CTR_HMAC_SHA256_32`, 0x0003: tags of 4 bytes; see RFC 9605 §7.5 for what they are worth.
    Aes128CtrHmacSha256_32,
    /// `AES_128_GCM_SHA256_128`, 0x0004: tags of 16 bytes.
    #[default]
    Aes128Gcm,
    /// `AES_256_GCM_SHA512_128`, 0x0005: tags of 16 bytes.
    Aes256Gcm,
}

impl SframeSuite {
    /// Its number in the registry (RFC 9605 §8.1).
    pub(super) fn number(self) -> u16 {
        match self {
            SframeSuite::Aes128CtrHmacSha256_80 => 1,
            SframeSuite::Aes128CtrHmacSha256_64 => 2,
            SframeSuite::Aes128CtrHmacSha256_32 => 3,
            SframeSuite::Aes128Gcm => 4,
            SframeSuite::Aes256Gcm => 5,
        }
    }

    /// What keys are derived with.
    pub(super) fn hash(self) -> hkdf::Algorithm {
        match self {
            SframeSuite::Aes256Gcm => HKDF_SHA512,
            _ => HKDF_SHA256,
        }
    }

    /// Nk, in bytes.
    pub(super) fn key_len(self) -> usize {
        match self {
            SframeSuite::Aes128Gcm => 16,
            SframeSuite::Aes256Gcm => 32,
            _ => CTR_KEY + HMAC_KEY,
        }
    }

    /// Nt, in bytes.
    pub(super) fn tag_len(self) -> usize {
        match self {
            SframeSuite::Aes128CtrHmacSha256_80 => 10,
            SframeSuite::Aes128CtrHmacSha256_64 => 8,
            SframeSuite::Aes128CtrHmacSha256_32 => 4,
            SframeSuite::Aes128Gcm | SframeSuite::Aes256Gcm => 16,
        }
    }
}

/// Nka and Nh of the suites in counter mode.
const CTR_KEY: usize = 16;
const HMAC_KEY: usize = 32;

/// A key, scheduled.
pub(super) enum Cipher {
    Gcm(LessSafeKey),
    CtrHmac(Box<CtrHmac>),
}

/// The synthetic AEAD of RFC 9605 §4.5.1.
pub(super) struct CtrHmac {
    encryption: EncryptingKey,
    authentication: hmac::Key,
    tag_len: usize,
}

impl Cipher {
    /// `key` has the length that the suite asks for.
    pub(super) fn new(suite: SframeSuite, key: &[u8]) -> Result<Self, SframeError> {
        let algorithm = match suite {
            SframeSuite::Aes128Gcm => &AES_128_GCM,
            SframeSuite::Aes256Gcm => &AES_256_GCM,
            _ => {
                let (encryption, authentication) = key.split_at(CTR_KEY);
                let encryption = UnboundCipherKey::new(&AES_128, encryption)
                    .and_then(EncryptingKey::ctr)
                    .map_err(|_| SframeError::Unusable)?;
                return Ok(Cipher::CtrHmac(Box::new(CtrHmac {
                    encryption,
                    authentication: hmac::Key::new(hmac::HMAC_SHA256, authentication),
                    tag_len: suite.tag_len(),
                })));
            }
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| SframeError::Unusable)?;
        Ok(Cipher::Gcm(LessSafeKey::new(key)))
    }

    /// Encrypts what `frame` holds from `start` on, and appends the tag.
    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        frame: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), SframeError> {
        let text = &mut frame[start..];
        match self {
            Cipher::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
                    .map_err(|_| SframeError::Unusable)?;
                frame.extend_from_slice(tag.as_ref());
            }
            Cipher::CtrHmac(key) => {
                key.counter_mode(nonce, text)?;
                let tag = key.tag(nonce, aad, text);
                frame.extend_from_slice(&tag.as_ref()[..key.tag_len]);
            }
        }
        Ok(())
    }

    /// Checks and decrypts, and takes the tag off.
    pub(super) fn open(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<(), SframeError> {
        match self {
            Cipher::Gcm(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let plaintext = key
                    .open_in_place(nonce, Aad::from(aad), text)
                    .map_err(|_| SframeError::NotAuthentic)?;
                let length = plaintext.len();
                text.truncate(length);
            }
            Cipher::CtrHmac(key) => {
                let length = text.len().checked_sub(key.tag_len);
                let length = length.ok_or(SframeError::NotAuthentic)?;
                let (ciphertext, carried) = text.split_at(length);
                let tag = key.tag(nonce, aad, ciphertext);
                constant_time::verify_slices_are_equal(&tag.as_ref()[..key.tag_len], carried)
                    .map_err(|_| SframeError::NotAuthentic)?;
                text.truncate(length);
                key.counter_mode(nonce, text)?;
            }
        }
        Ok(())
    }
}

impl CtrHmac {
    /// AES-CTR, which is its own inverse; the initial counter is the nonce and four zero bytes.
    fn counter_mode(&self, nonce: [u8; 12], text: &mut [u8]) -> Result<(), SframeError> {
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&nonce);
        self.encryption
            .less_safe_encrypt(text, EncryptionContext::Iv128((&counter).into()))
            .map_err(|_| SframeError::Unusable)?;
        Ok(())
    }

    /// `compute_tag`, not yet cut to its length.
    fn tag(&self, nonce: [u8; 12], aad: &[u8], ciphertext: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        for length in [aad.len(), ciphertext.len(), self.tag_len] {
            context.update(&(length as u64).to_be_bytes());
        }
        context.update(&nonce);
        context.update(aad);
        context.update(ciphertext);
        context.sign()
    }
}
