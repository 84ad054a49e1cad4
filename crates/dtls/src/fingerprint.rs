//! Certificate fingerprints (RFC 8122 §5): a hash of the DER form, written as in SDP.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

/// A hash function that may carry a fingerprint (RFC 8122 §5).
///
/// MD2 and MD5 are in the RFC's grammar so that they can be recognized, but MUST NOT be used to calculate or to
/// verify one: parsing them is [`ParseFingerprintError::ForbiddenHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// `sha-1`, 20 bytes: accepted, never preferred.
    Sha1,
    /// `sha-224`, 28 bytes.
    Sha224,
    /// `sha-256`, 32 bytes: what WebRTC offers.
    Sha256,
    /// `sha-384`, 48 bytes.
    Sha384,
    /// `sha-512`, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// All of them, the weakest first.
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The token of the IANA registry "Hash Function Textual Names".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The length of a fingerprint, in bytes.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlgorithm {
    type Err = ParseFingerprintError;

    /// Hash names are case-insensitive (RFC 8122 §5).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if let Some(hash) = Self::ALL
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
        {
            return Ok(hash);
        }
        if ["md2", "md5"]
            .iter()
            .any(|forbidden| forbidden.eq_ignore_ascii_case(name))
        {
            return Err(ParseFingerprintError::ForbiddenHash);
        }
        Err(ParseFingerprintError::UnknownHash)
    }
}

/// The hash of a certificate's DER form, as SDP carries it: `sha-256 AB:CD:…`.
///
/// Equality takes time that depends on the lengths alone.
#[derive(Clone)]
pub struct Fingerprint {
    /// The hash function.
    pub algorithm: HashAlgorithm,
    /// Its output.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of a certificate given in DER form.
    pub fn of(algorithm: HashAlgorithm, certificate_der: &[u8]) -> Self {
        let hash = digest::digest(algorithm.digest(), certificate_der);
        Self {
            algorithm,
            bytes: hash.as_ref().to_vec(),
        }
    }

    /// Whether this is the fingerprint of that certificate, compared in constant time.
    pub fn matches(&self, certificate_der: &[u8]) -> bool {
        let hash = digest::digest(self.algorithm.digest(), certificate_der);
        hash.as_ref().ct_eq(&self.bytes).into()
    }
}

/// Whether a certificate satisfies a peer's fingerprints: those of the strongest hash it offered count, and one of them
/// must match (RFC 8122 §5.1).
pub(crate) fn verify(fingerprints: &[Fingerprint], certificate_der: &[u8]) -> bool {
    let Some(preferred) = fingerprints
        .iter()
        .map(|fingerprint| fingerprint.algorithm)
        .max()
    else {
        return false;
    };
    // Every candidate is compared, so that the time does not tell which one matched.
    fingerprints
        .iter()
        .filter(|fingerprint| fingerprint.algorithm == preferred)
        .fold(false, |found, fingerprint| {
            found | fingerprint.matches(certificate_der)
        })
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Eq for Fingerprint {}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.algorithm)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    /// Reads `hash-func SP fingerprint`; hexadecimal digits of either case, as deployed endpoints send both.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digits) = text
            .trim()
            .split_once(' ')
            .ok_or(ParseFingerprintError::MissingHash)?;
        let algorithm: HashAlgorithm = name.parse()?;
        let mut bytes = Vec::with_capacity(algorithm.output_len());
        for pair in digits.trim().split(':') {
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(ParseFingerprintError::BadHex);
            }
            if bytes.len() == algorithm.output_len() {
                return Err(ParseFingerprintError::WrongLength {
                    expected: algorithm.output_len(),
                });
            }
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| ParseFingerprintError::BadHex)?);
        }
        if bytes.len() != algorithm.output_len() {
            return Err(ParseFingerprintError::WrongLength {
                expected: algorithm.output_len(),
            });
        }
        Ok(Self { algorithm, bytes })
    }
}

/// Why a fingerprint could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFingerprintError {
    /// There is no space between a hash name and a value.
    #[error("a fingerprint is a hash name, a space and a value")]
    MissingHash,
    /// The hash is not one of RFC 8122.
    #[error("unknown hash function")]
    UnknownHash,
    /// MD2 and MD5 must not be used (RFC 8122 §5).
    #[error("MD2 and MD5 fingerprints must not be used")]
    ForbiddenHash,
    /// The value is not pairs of hexadecimal digits separated by colons.
    #[error("the value is not pairs of hexadecimal digits separated by colons")]
    BadHex,
    /// The value has not the length of the hash.
    #[error("the value has not the {expected} bytes of its hash")]
    WrongLength {
        /// The hash's output length.
        expected: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8122 §5.1's shape, over a known DER ("abc" stands for a certificate; FIPS 180-4's digests).
    const ABC: [(&str, &str); 5] = [
        (
            "sha-1",
            "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D",
        ),
        (
            "sha-224",
            "23:09:7D:22:34:05:D8:22:86:42:A4:77:BD:A2:55:B3:2A:AD:BC:E4:BD:A0:B3:F7:E3:6C:9D:A7",
        ),
        (
            "sha-256",
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD",
        ),
        (
            "sha-384",
            "CB:00:75:3F:45:A3:5E:8B:B5:A0:3D:69:9A:C6:50:07:27:2C:32:AB:0E:DE:D1:63:1A:8B:60:5A:43:FF:5B:ED:\
             80:86:07:2B:A1:E7:CC:23:58:BA:EC:A1:34:C8:25:A7",
        ),
        (
            "sha-512",
            "DD:AF:35:A1:93:61:7A:BA:CC:41:73:49:AE:20:41:31:12:E6:FA:4E:89:A9:7E:A2:0A:9E:EE:E6:4B:55:D3:9A:\
             21:92:99:2A:27:4F:C1:A8:36:BA:3C:23:A3:FE:EB:BD:45:4D:44:23:64:3C:E8:0E:2A:9A:C9:4F:A5:4C:A4:9F",
        ),
    ];

    #[test]
    fn every_hash_of_rfc_8122_matches_its_published_digest_and_round_trips() {
        for (name, value) in ABC {
            let text = format!("{name} {value}");
            let parsed: Fingerprint = text.parse().unwrap();
            assert!(parsed.matches(b"abc"), "{name}");
            assert!(!parsed.matches(b"abd"), "{name}");
            assert_eq!(parsed, Fingerprint::of(parsed.algorithm, b"abc"));
            assert_eq!(parsed.to_string(), text);
            let lower: Fingerprint = text.to_lowercase().parse().unwrap();
            assert_eq!(lower, parsed);
            let shouted: Fingerprint = text.to_uppercase().parse().unwrap();
            assert_eq!(shouted, parsed);
        }
    }

    #[test]
    fn malformed_fingerprints_are_refused_by_reason() {
        let refused = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert_eq!(refused("sha-256"), ParseFingerprintError::MissingHash);
        assert_eq!(refused("sha-3 AA"), ParseFingerprintError::UnknownHash);
        assert_eq!(refused("md5 AA:BB"), ParseFingerprintError::ForbiddenHash);
        assert_eq!(refused("MD2 AA:BB"), ParseFingerprintError::ForbiddenHash);
        assert_eq!(refused("sha-1 A:BB"), ParseFingerprintError::BadHex);
        assert_eq!(refused("sha-1 +1:BB"), ParseFingerprintError::BadHex);
        assert_eq!(
            refused("sha-1 AA"),
            ParseFingerprintError::WrongLength { expected: 20 }
        );
        let long = format!("sha-1 {}", ["AA"; 21].join(":"));
        assert_eq!(
            refused(&long),
            ParseFingerprintError::WrongLength { expected: 20 }
        );
    }

    #[test]
    fn only_the_strongest_offered_hash_counts_and_one_of_its_values_suffices() {
        let good = Fingerprint::of(HashAlgorithm::Sha256, b"abc");
        let other = Fingerprint::of(HashAlgorithm::Sha256, b"other");
        let weak = Fingerprint::of(HashAlgorithm::Sha1, b"abc");
        let wrong_strong = Fingerprint::of(HashAlgorithm::Sha512, b"other");
        assert!(verify(&[other.clone(), good.clone()], b"abc"));
        assert!(verify(&[weak.clone(), good.clone()], b"abc"));
        assert!(verify(std::slice::from_ref(&weak), b"abc"));
        assert!(!verify(&[weak, wrong_strong], b"abc"));
        assert!(!verify(&[other], b"abc"));
        assert!(!verify(&[], b"abc"));
    }
}
