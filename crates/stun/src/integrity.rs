//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and their keys (RFC 8489 §9, §14.5, §14.6).

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::{constant_time, digest, hmac};
use md5::{Digest, Md5};
use unicode_normalization::UnicodeNormalization;

use crate::sha1::HmacSha1;

/// Which HMAC protects a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY (RFC 8489 §14.5).
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6).
    Sha256,
}

impl Integrity {
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha1 => crate::sha1::LEN,
            Self::Sha256 => 32,
        }
    }
}

/// How a long-term password becomes a key (RFC 8489 §18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordAlgorithm {
    /// 0x0001.
    Md5,
    /// 0x0002.
    Sha256,
}

impl PasswordAlgorithm {
    /// The registered number.
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    /// The algorithm with that number, when it is known.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// A key for message integrity with its HMAC state computed once, so that each message costs only its own blocks.
///
/// The key decides which attribute a [`Writer`](crate::Writer) appends: MESSAGE-INTEGRITY unless
/// [`with_integrity`](Self::with_integrity) says otherwise. For verification either attribute is accepted, the
/// stronger one checked when both are there (RFC 8489 §9.1.3).
/// A clone shares that state.
#[derive(Clone)]
pub struct IntegrityKey {
    state: Arc<KeyState>,
    integrity: Integrity,
}

/// The HMAC context for SHA-256 takes 1.2 KB, and few keys need it: it is made when it is first used.
struct KeyState {
    bytes: Box<[u8]>,
    sha1: HmacSha1,
    sha256: OnceLock<Box<hmac::Key>>,
}

/// An HMAC.
pub(crate) struct Tag {
    bytes: [u8; 32],
    integrity: Integrity,
}

impl Tag {
    fn new(integrity: Integrity, code: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..integrity.len()].copy_from_slice(code);
        Tag { bytes, integrity }
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.integrity.len()]
    }
}

impl IntegrityKey {
    /// The key of a short-term credential is the password itself (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self::from_bytes(opaque_string(password).as_bytes())
    }

    /// The key of a long-term credential (RFC 8489 §9.2.2 and §18.5.1).
    ///
    /// Its integrity is SHA-1 for [`PasswordAlgorithm::Md5`], SHA-256 for [`PasswordAlgorithm::Sha256`].
    pub fn long_term(
        username: &str,
        realm: &str,
        password: &str,
        algorithm: PasswordAlgorithm,
    ) -> Self {
        let username = opaque_string(unquoted(username));
        let realm = opaque_string(unquoted(realm));
        let password = opaque_string(password.trim_end_matches('\0'));
        match algorithm {
            PasswordAlgorithm::Md5 => {
                let mut hash = Md5::new();
                hash.update(username.as_bytes());
                hash.update(b":");
                hash.update(realm.as_bytes());
                hash.update(b":");
                hash.update(password.as_bytes());
                Self::from_bytes(&hash.finalize())
            }
            PasswordAlgorithm::Sha256 => {
                let mut hash = digest::Context::new(&digest::SHA256);
                hash.update(username.as_bytes());
                hash.update(b":");
                hash.update(realm.as_bytes());
                hash.update(b":");
                hash.update(password.as_bytes());
                Self::from_bytes(hash.finish().as_ref()).with_integrity(Integrity::Sha256)
            }
        }
    }

    /// A key made elsewhere, such as the one inside a third-party access token (RFC 7635 §6.2).
    pub fn from_bytes(key: &[u8]) -> Self {
        let state = KeyState {
            bytes: key.into(),
            sha1: HmacSha1::new(key),
            sha256: OnceLock::new(),
        };
        Self {
            state: Arc::new(state),
            integrity: Integrity::Sha1,
        }
    }

    /// The same key, writing the given attribute.
    #[must_use]
    pub fn with_integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }

    /// Which attribute a writer appends with this key.
    pub fn integrity(&self) -> Integrity {
        self.integrity
    }

    /// The HMAC of these parts, one after the other.
    fn code<const N: usize>(&self, integrity: Integrity, parts: [&[u8]; N]) -> Tag {
        match integrity {
            Integrity::Sha1 => Tag::new(integrity, &self.state.sha1.code(parts)),
            Integrity::Sha256 => {
                let key = self
                    .state
                    .sha256
                    .get_or_init(|| Box::new(hmac::Key::new(hmac::HMAC_SHA256, &self.state.bytes)));
                let mut context = hmac::Context::with_key(key);
                parts.iter().for_each(|part| context.update(part));
                Tag::new(integrity, context.sign().as_ref())
            }
        }
    }

    pub(crate) fn sign(&self, integrity: Integrity, message: &[u8]) -> Tag {
        self.code(integrity, [message])
    }

    /// Whether `tag` is the HMAC of `header` followed by `body`, in constant time.
    pub(crate) fn verify(
        &self,
        integrity: Integrity,
        header: &[u8; 20],
        body: &[u8],
        tag: &[u8],
    ) -> bool {
        let expected = self.code(integrity, [header, body]);
        constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok()
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntegrityKey")
            .field("integrity", &self.integrity)
            .finish_non_exhaustive()
    }
}

/// Why a message is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The message carries no integrity attribute.
    #[error("the message carries no integrity attribute")]
    Missing,
    /// The attribute has a length its definition does not allow.
    #[error("the integrity attribute has an impossible length")]
    Length,
    /// The HMAC is not that of this message under this key.
    #[error("the message's HMAC does not match")]
    Mismatch,
}

/// Why a FINGERPRINT does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The message ends without one.
    #[error("the message carries no fingerprint")]
    Missing,
    /// The CRC is not that of this message.
    #[error("the message's fingerprint does not match")]
    Mismatch,
}

/// USERHASH (RFC 8489 §14.4).
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(opaque_string(username).as_bytes());
    hash.update(b":");
    hash.update(opaque_string(realm).as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// The mappings of the OpaqueString profile (RFC 8265 §4.2.2): spaces beyond ASCII become a space, and the result
/// is in normalization form C. Borrowed for ASCII, which is nearly always.
pub fn opaque_string(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| if is_space_separator(c) { ' ' } else { c })
            .nfc()
            .collect(),
    )
}

/// The general category Zs.
fn is_space_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// "With any quotes and trailing nulls removed" (RFC 8489 §9.2.2).
fn unquoted(text: &str) -> &str {
    let text = text.trim_end_matches('\0');
    text.strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(text)
}

/// The value of FINGERPRINT over what precedes it (RFC 8489 §14.7).
pub(crate) fn fingerprint(before: &[u8]) -> u32 {
    crc32fast::hash(before) ^ 0x5354_554e
}
