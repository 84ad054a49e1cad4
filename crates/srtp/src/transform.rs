//! The transforms: AES in counter mode with HMAC-SHA1 (RFC 3711 §4.1–4.2) and AES-GCM (RFC 7714), over slices.
//!
//! Keys are scheduled when a context is made; nothing here allocates.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::kdf::{AUTHENTICATION_KEY_LEN, Label, MasterKey, counter_mode};
use crate::profile::Profile;

/// The longest tag.
pub(crate) const MAX_TAG: usize = 16;

/// The provider refused: a bug or a broken provider when sealing, a wrong tag when opening.
#[derive(Debug)]
pub(crate) struct Refused;

/// The session keys of one protocol, RTP or RTCP, of one master key.
#[expect(
    clippy::large_enum_variant,
    reason = "two a master key: a box would save nothing and cost an indirection a packet"
)]
pub(crate) enum Transform {
    CounterMode {
        cipher: CounterMode,
        authentication: hmac::Key,
    },
    Gcm {
        cipher: LessSafeKey,
        salt: Zeroizing<[u8; 12]>,
    },
}

impl Transform {
    pub(crate) fn rtp(profile: Profile, master: &MasterKey) -> Result<Self, KeyError> {
        Self::derive(
            profile,
            master,
            [
                Label::RtpEncryption,
                Label::RtpSalt,
                Label::RtpAuthentication,
            ],
        )
    }

    pub(crate) fn rtcp(profile: Profile, master: &MasterKey) -> Result<Self, KeyError> {
        Self::derive(
            profile,
            master,
            [
                Label::RtcpEncryption,
                Label::RtcpSalt,
                Label::RtcpAuthentication,
            ],
        )
    }

    fn derive(profile: Profile, master: &MasterKey, labels: [Label; 3]) -> Result<Self, KeyError> {
        let [encryption, salting, authenticating] = labels;
        if !profile.is_aead() {
            let mut key = Zeroizing::new([0; AUTHENTICATION_KEY_LEN]);
            master.derive(authenticating, key.as_mut())?;
            return Ok(Self::CounterMode {
                cipher: CounterMode::derive(profile, master, encryption, salting)?,
                authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_ref()),
            });
        }
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..profile.key_len()];
        master.derive(encryption, key)?;
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let mut salt = Zeroizing::new([0; 12]);
        master.derive(salting, salt.as_mut())?;
        let cipher = UnboundKey::new(algorithm, key).map_err(|_| KeyError::Crypto)?;
        Ok(Self::Gcm {
            cipher: LessSafeKey::new(cipher),
            salt,
        })
    }
}

/// AES in counter mode with a session salt (RFC 3711 §4.1.1).
pub(crate) struct CounterMode {
    key: EncryptingKey,
    salt: Zeroizing<[u8; 14]>,
}

impl CounterMode {
    fn derive(
        profile: Profile,
        master: &MasterKey,
        encryption: Label,
        salting: Label,
    ) -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..profile.key_len()];
        master.derive(encryption, key)?;
        // A GCM salt has twelve bytes; for header extensions it is filled up with zeros as the master salt is.
        let mut salt = Zeroizing::new([0; 14]);
        master.derive(salting, &mut salt[..profile.salt_len()])?;
        Ok(Self {
            key: counter_mode(key)?,
            salt,
        })
    }

    /// For header extensions (RFC 6904 §3): the same cipher for every profile, AES-CM (RFC 7714 §8.3).
    pub(crate) fn header(profile: Profile, master: &MasterKey) -> Result<Self, KeyError> {
        Self::derive(profile, master, Label::HeaderEncryption, Label::HeaderSalt)
    }

    /// Encrypts or decrypts: IV = (k_s · 2^16) XOR (SSRC · 2^64) XOR (i · 2^16).
    pub(crate) fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) -> Result<(), Refused> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&*self.salt);
        for (byte, ssrc) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
            *byte ^= ssrc;
        }
        for (byte, index) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
            *byte ^= index;
        }
        self.key
            .less_safe_encrypt(data, EncryptionContext::Iv128((&iv).into()))
            .map(drop)
            .map_err(|_| Refused)
    }
}

/// HMAC-SHA1 over the authenticated portion and what follows it: the ROC for RTP, nothing for RTCP
/// (RFC 3711 §4.2, §4.2.1). Cut by the caller.
pub(crate) fn authenticate(key: &hmac::Key, portion: &[u8], roc: Option<u32>) -> [u8; 20] {
    let mut context = hmac::Context::with_key(key);
    context.update(portion);
    if let Some(roc) = roc {
        context.update(&roc.to_be_bytes());
    }
    let mut tag = [0; 20];
    let full = context.sign();
    if let Some(full) = full.as_ref().first_chunk() {
        tag = *full;
    }
    tag
}

/// Compares a cut tag in constant time.
pub(crate) fn same_tag(full: &[u8; 20], cut: &[u8]) -> bool {
    !cut.is_empty()
        && full
            .get(..cut.len())
            .is_some_and(|own| constant_time::verify_slices_are_equal(own, cut).is_ok())
}

/// The nonce of an SRTP packet: two zero bytes, SSRC, ROC, SEQ, XOR salt (RFC 7714 §8.1).
pub(crate) fn rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    nonce(salt, ssrc, &index.to_be_bytes()[2..])
}

/// The nonce of an SRTCP packet: two zero bytes, SSRC, two zero bytes, index, XOR salt (RFC 7714 §9.1).
pub(crate) fn rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> Nonce {
    nonce(salt, ssrc, &u64::from(index).to_be_bytes()[2..])
}

fn nonce(salt: &[u8; 12], ssrc: u32, tail: &[u8]) -> Nonce {
    let mut nonce = *salt;
    for (byte, ssrc) in nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= ssrc;
    }
    for (byte, tail) in nonce[6..].iter_mut().zip(tail) {
        *byte ^= tail;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Encrypts `body` in place and returns its tag (RFC 7714 §6).
pub(crate) fn gcm_seal(
    cipher: &LessSafeKey,
    nonce: Nonce,
    associated: &[u8],
    body: &mut [u8],
) -> Result<[u8; MAX_TAG], Refused> {
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(associated), body)
        .map_err(|_| Refused)?;
    tag.as_ref().try_into().map_err(|_| Refused)
}

/// Decrypts `body`, ciphertext and tag, in place.
pub(crate) fn gcm_open(
    cipher: &LessSafeKey,
    nonce: Nonce,
    associated: &[u8],
    body: &mut [u8],
) -> Result<(), Refused> {
    cipher
        .open_in_place(nonce, Aad::from(associated), body)
        .map(drop)
        .map_err(|_| Refused)
}

#[cfg(test)]
impl Transform {
    pub(crate) fn with_session_key(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let key = UnboundKey::new(algorithm, key).unwrap_or_else(|error| panic!("{error}"));
        Self::Gcm {
            cipher: LessSafeKey::new(key),
            salt: Zeroizing::new(salt),
        }
    }
}
