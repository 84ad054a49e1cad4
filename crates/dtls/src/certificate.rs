//! Certificates of this endpoint: made, imported and exported (W3C WebRTC §4.9, RFC 8827 §6.5).

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use rand::Rng;
use rand::rngs::StdRng;
use rcgen::{DistinguishedName, DnType};
use x509_cert::der::Decode;
use zeroize::Zeroizing;

use crate::fingerprint::{Fingerprint, HashAlgorithm};

/// The key of a new certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: what every WebRTC endpoint must accept (RFC 8827 §6.5).
    #[default]
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
}

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateParams {
    /// The key.
    pub key: KeyAlgorithm,
    /// For how long from now the certificate is good; at most a year (W3C WebRTC §4.9.1 allows an upper bound).
    pub lifetime: Duration,
    /// The subject's and issuer's common name. Says nothing about the user by default.
    pub common_name: String,
}

impl CertificateParams {
    /// Thirty days, the default of W3C WebRTC §4.9.1.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(30 * DAY);
    /// The longest [`lifetime`](Self::lifetime); longer ones are cut to it.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(365 * DAY);
}

const DAY: u64 = 24 * 60 * 60;

impl Default for CertificateParams {
    fn default() -> Self {
        Self {
            key: KeyAlgorithm::default(),
            lifetime: Self::DEFAULT_LIFETIME,
            common_name: "WebRTC".to_owned(),
        }
    }
}

/// A certificate with its private key.
///
/// The key is zeroized on drop and never formatted; [`to_pem`](Self::to_pem) alone gives it out.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    /// PKCS #8.
    private_key: Zeroizing<Vec<u8>>,
    expires: SystemTime,
    signature_hash: HashAlgorithm,
}

impl Certificate {
    /// Makes a self-signed certificate, valid from a day before `now` (peers' clocks differ) until its lifetime ends.
    ///
    /// The generator serves the serial number; the private key comes from the operating system's generator.
    pub fn generate(
        params: &CertificateParams,
        now: SystemTime,
        rng: &mut StdRng,
    ) -> Result<Self, CertificateError> {
        let algorithm = match params.key {
            KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        };
        let key_pair =
            rcgen::KeyPair::generate_for(algorithm).map_err(|_| CertificateError::Generation)?;
        let private_key = Zeroizing::new(key_pair.serialize_der());

        let mut template =
            rcgen::CertificateParams::new(Vec::new()).map_err(|_| CertificateError::Generation)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, params.common_name.as_str());
        template.distinguished_name = name;
        template.is_ca = rcgen::IsCa::NoCa;
        let expires = now
            .checked_add(params.lifetime.min(CertificateParams::MAX_LIFETIME))
            .ok_or(CertificateError::Generation)?;
        let not_before = now
            .checked_sub(Duration::from_secs(DAY))
            .ok_or(CertificateError::Generation)?;
        template.not_before = not_before.into();
        template.not_after = expires.into();
        // A positive serial number of 20 octets at most (RFC 5280 §4.1.2.2), unlike any other: some peers cache by it.
        let mut serial = [0; 16];
        rng.fill_bytes(&mut serial);
        serial[0] = serial[0] & 0x7f | 0x01;
        template.serial_number = Some(serial.to_vec().into());

        let der = template
            .self_signed(&key_pair)
            .map_err(|_| CertificateError::Generation)?
            .der()
            .to_vec();
        Self::from_der(der, &private_key)
    }

    /// Takes a certificate and its key, PKCS #8 or SEC 1, both DER.
    pub fn from_der(certificate: Vec<u8>, private_key: &[u8]) -> Result<Self, CertificateError> {
        let parsed = x509_cert::Certificate::from_der(&certificate)
            .map_err(|_| CertificateError::MalformedCertificate)?;
        let tbs = parsed.tbs_certificate();
        let expires = tbs.validity().not_after.to_system_time();
        let key_pair = [
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1_SIGNING,
        ]
        .into_iter()
        .find_map(|algorithm| {
            EcdsaKeyPair::from_pkcs8(algorithm, private_key)
                .or_else(|_| EcdsaKeyPair::from_private_key_der(algorithm, private_key))
                .ok()
        })
        .ok_or(CertificateError::UnsupportedKey)?;
        let certified = tbs.subject_public_key_info().subject_public_key.raw_bytes();
        if certified != key_pair.public_key().as_ref() {
            return Err(CertificateError::KeyMismatch);
        }
        let pkcs8 = key_pair
            .to_pkcs8v1()
            .map_err(|_| CertificateError::UnsupportedKey)?;
        Ok(Self {
            der: certificate,
            private_key: Zeroizing::new(pkcs8.as_ref().to_vec()),
            expires,
            // ecdsa-with-SHA384 and -SHA512 (RFC 5758 §3.2); WebRTC's own certificates have -SHA256.
            signature_hash: match parsed.signature_algorithm().oid.to_string().as_str() {
                "1.2.840.10045.4.3.3" => HashAlgorithm::Sha384,
                "1.2.840.10045.4.3.4" => HashAlgorithm::Sha512,
                _ => HashAlgorithm::Sha256,
            },
        })
    }

    /// Reads PEM text holding one certificate and one private key (`PRIVATE KEY` or `EC PRIVATE KEY`), in any order.
    /// Of several certificates the first counts.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::MalformedPem)?;
        let mut certificate = None;
        let mut private_key = None;
        for block in blocks {
            match block.tag() {
                "CERTIFICATE" if certificate.is_none() => certificate = Some(block.into_contents()),
                "PRIVATE KEY" | "EC PRIVATE KEY" if private_key.is_none() => {
                    private_key = Some(Zeroizing::new(block.into_contents()));
                }
                _ => {}
            }
        }
        let certificate = certificate.ok_or(CertificateError::MissingCertificate)?;
        let private_key = private_key.ok_or(CertificateError::MissingKey)?;
        Self::from_der(certificate, &private_key)
    }

    /// The certificate and its private key as PEM. Whoever reads it can impersonate this endpoint.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let key = Zeroizing::new(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", self.private_key.as_slice()),
            config,
        ));
        Zeroizing::new(format!("{}{}", key.as_str(), self.certificate_pem()))
    }

    /// The certificate alone as PEM.
    pub fn certificate_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.as_slice()), config)
    }

    /// The certificate in DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it expires (wall-clock).
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The hash that its signature was made with.
    pub fn signature_hash(&self) -> HashAlgorithm {
        self.signature_hash
    }

    /// Its fingerprint, for `a=fingerprint`.
    pub fn fingerprint(&self, algorithm: HashAlgorithm) -> Fingerprint {
        Fingerprint::of(algorithm, &self.der)
    }

    pub(crate) fn private_key(&self) -> &[u8] {
        &self.private_key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint(HashAlgorithm::Sha256))
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Why a certificate could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The key could not be made or the certificate signed.
    #[error("the certificate could not be generated")]
    Generation,
    /// Not PEM.
    #[error("malformed PEM")]
    MalformedPem,
    /// The PEM text holds no certificate.
    #[error("no certificate in the PEM text")]
    MissingCertificate,
    /// The PEM text holds no private key.
    #[error("no private key in the PEM text")]
    MissingKey,
    /// Not an X.509 certificate.
    #[error("malformed X.509 certificate")]
    MalformedCertificate,
    /// The private key is not ECDSA on P-256 or P-384.
    #[error("the private key is not ECDSA on P-256 or P-384")]
    UnsupportedKey,
    /// The private key does not belong to the certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
}
