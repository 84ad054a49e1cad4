//! ECDSA on P-256 whose nonce follows from key and message (RFC 6979), so that a simulated handshake repeats itself bit by
//! bit. Slow, not constant in time, and used under `Config::insecure_deterministic` alone.

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use aws_lc_rs::{agreement, digest, hmac};
use dimpl::crypto::{Buf, HashAlgorithm, SignatureAlgorithm, SigningKey};
use dimpl::{CryptoError, CryptoOperation};

/// The order of P-256's group (FIPS 186-4 D.1.2.3), least significant word first.
const ORDER: Scalar = Scalar([
    0xf3b9_cac2_fc63_2551,
    0xbce6_faad_a717_9e84,
    u64::MAX,
    0xffff_ffff_0000_0000,
]);

/// A number below the order, least significant word first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Scalar([u64; 4]);

impl Scalar {
    /// Reduced, as RFC 6979 §2.3.4 and the x coordinate of a point want it.
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().rev().zip(bytes.chunks(8)) {
            *word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words).reduced(false)
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    fn is_zero(self) -> bool {
        self.0 == [0; 4]
    }

    /// Subtracts the order once if the number, with a carry above it, is not below it.
    fn reduced(self, carry: bool) -> Self {
        let mut difference = [0; 4];
        let mut borrow = false;
        for (at, word) in difference.iter_mut().enumerate() {
            let (once, first) = self.0[at].overflowing_sub(ORDER.0[at]);
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            *word = twice;
            borrow = first | second;
        }
        if carry || !borrow {
            Self(difference)
        } else {
            self
        }
    }

    fn plus(self, other: Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = false;
        for (at, word) in sum.iter_mut().enumerate() {
            let (once, first) = self.0[at].overflowing_add(other.0[at]);
            let (twice, second) = once.overflowing_add(u64::from(carry));
            *word = twice;
            carry = first | second;
        }
        Self(sum).reduced(carry)
    }

    fn bits(self) -> impl Iterator<Item = bool> {
        (0..256)
            .rev()
            .map(move |bit| self.0[bit / 64] >> (bit % 64) & 1 == 1)
    }

    fn times(self, other: Self) -> Self {
        other.bits().fold(Self([0; 4]), |product, bit| {
            let doubled = product.plus(product);
            if bit { doubled.plus(self) } else { doubled }
        })
    }

    /// By Fermat: the order is prime.
    fn inverse(self) -> Self {
        let exponent = Self([ORDER.0[0] - 2, ORDER.0[1], ORDER.0[2], ORDER.0[3]]);
        exponent.bits().fold(Self([1, 0, 0, 0]), |power, bit| {
            let squared = power.times(power);
            if bit { squared.times(self) } else { squared }
        })
    }
}

/// Signs `data` with SHA-256, as DER (RFC 3279 §2.2.3).
fn sign(private: &[u8; 32], data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let failed = CryptoError::OperationFailed(CryptoOperation::Sign);
    let hash = digest::digest(&digest::SHA256, data);
    let hash: &[u8; 32] = hash.as_ref().first_chunk().ok_or_else(|| failed.clone())?;
    let message = Scalar::from_bytes(hash);
    let key = Scalar::from_bytes(private);
    // RFC 6979 §3.2, steps b to h.
    let mac = |key: &[u8; 32], parts: &[&[u8]]| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        parts.iter().for_each(|part| context.update(part));
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    };
    let (mut v, mut k) = ([1; 32], [0; 32]);
    for step in [0, 1] {
        k = mac(&k, &[&v, &[step], &key.to_bytes(), &message.to_bytes()]);
        v = mac(&k, &[&v]);
    }
    loop {
        v = mac(&k, &[&v]);
        let nonce = Scalar::from_bytes(&v);
        if nonce.to_bytes() == v && !nonce.is_zero() {
            let point = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, &v)
                .map_err(|_| failed.clone())?
                .compute_public_key()
                .map_err(|_| failed.clone())?;
            let x: &[u8; 32] = point
                .as_ref()
                .get(1..)
                .and_then(<[u8]>::first_chunk)
                .ok_or_else(|| failed.clone())?;
            let r = Scalar::from_bytes(x);
            let s = nonce.inverse().times(message.plus(r.times(key)));
            if !r.is_zero() && !s.is_zero() {
                return Ok(der(r, s));
            }
        }
        k = mac(&k, &[&v, &[0]]);
        v = mac(&k, &[&v]);
    }
}

fn der(r: Scalar, s: Scalar) -> Vec<u8> {
    let integer = |scalar: Scalar| {
        let bytes = scalar.to_bytes();
        let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        let sign = digits.first().is_some_and(|first| first & 0x80 != 0);
        let mut out = vec![2, (digits.len() + usize::from(sign)) as u8];
        out.extend(sign.then_some(0));
        out.extend(digits);
        out
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}

/// A P-256 key that signs the same way each time.
pub(crate) struct DeterministicKey([u8; 32]);

impl DeterministicKey {
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok()?;
        let private: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
        Some(Self(*private.as_ref().first_chunk()?))
    }
}

impl std::fmt::Debug for DeterministicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeterministicKey { .. }")
    }
}

impl SigningKey for DeterministicKey {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash: HashAlgorithm::SHA256,
                requested: hash,
            });
        }
        out.clear();
        out.extend_from_slice(&sign(&self.0, data)?);
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979 A.2.5, P-256 with SHA-256.
    #[test]
    fn signatures_match_rfc_6979() {
        let hex = |text: &str| -> [u8; 32] {
            std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        };
        let key = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
        for (message, r, s) in [
            (
                "sample",
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            (
                "test",
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ] {
            let expected = der(Scalar::from_bytes(&hex(r)), Scalar::from_bytes(&hex(s)));
            assert_eq!(
                sign(&key, message.as_bytes()).unwrap(),
                expected,
                "{message}"
            );
        }
    }
}
