//! `RTCCertificate` (W3C WebRTC §4.9).

use crate::driver;
use crate::error::Error;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// `RTCDtlsFingerprint` (W3C WebRTC §5.5.2, RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DtlsFingerprint {
    /// The hash, as in `sha-256`.
    pub algorithm: String,
    /// The hash of the certificate: pairs of lowercase hexadecimal digits with colons between.
    pub value: String,
}

impl DtlsFingerprint {
    pub(crate) fn of(fingerprint: &dtls::Fingerprint) -> Self {
        let text = fingerprint.to_string();
        let (algorithm, digits) = text.split_once(' ').unwrap_or(("", &text));
        DtlsFingerprint {
            algorithm: algorithm.to_ascii_lowercase(),
            value: digits.to_ascii_lowercase(),
        }
    }
}

/// Which key a certificate is made for (W3C WebRTC §4.9, `AlgorithmIdentifier` of `generateCertificate`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeygenAlgorithm {
    /// `{ name: "ECDSA", namedCurve: "P-256" }`.
    #[default]
    EcdsaP256,
    /// `{ name: "ECDSA", namedCurve: "P-384" }`.
    EcdsaP384,
    /// `{ name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, hash: "SHA-256" }`: a `NotSupportedError`. The text has browsers
    /// make these too; the DTLS engine below authenticates with ECDSA alone.
    RsassaPkcs1V15,
}

/// `RTCCertificate`: what a connection proves itself with. Clones are the same certificate, and only they are equal.
///
/// ```
/// # async fn example() -> Result<(), peerconnection::Error> {
/// use peerconnection::{Configuration, KeygenAlgorithm, PeerConnection};
///
/// let certificate = PeerConnection::generate_certificate(KeygenAlgorithm::EcdsaP256, None).await?;
/// println!("{}", certificate.fingerprints()[0].value);
/// let pc = PeerConnection::new(Configuration { certificates: vec![certificate], ..Default::default() })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<dtls::Certificate>);

impl Certificate {
    /// W3C WebRTC §4.9, `generateCertificate`.
    pub(crate) fn generate(
        algorithm: KeygenAlgorithm,
        expires: Option<Duration>,
    ) -> Result<Self, Error> {
        let mut params = dtls::CertificateParams::default();
        params.key = match algorithm {
            KeygenAlgorithm::EcdsaP256 => dtls::KeyAlgorithm::EcdsaP256,
            KeygenAlgorithm::EcdsaP384 => dtls::KeyAlgorithm::EcdsaP384,
            KeygenAlgorithm::RsassaPkcs1V15 => {
                return Err(Error::NotSupported(
                    "no RSA certificates: this side signs its DTLS handshakes with ECDSA alone"
                        .into(),
                ));
            }
        };
        // Steps 2 and 3: thirty days unless told otherwise, a year at most (the latter cut by `pc-dtls`).
        if let Some(expires) = expires {
            params.lifetime = expires;
        }
        driver::system_certificate(&params).map(Certificate::from)
    }

    /// `expires`: after this time no connection can be made with it.
    pub fn expires(&self) -> SystemTime {
        self.0.expires()
    }

    /// `getFingerprints`: the one by SHA-256 that descriptions carry, and the one by the hash of the certificate's
    /// signature where that is another.
    pub fn fingerprints(&self) -> Vec<DtlsFingerprint> {
        let mut hashes = vec![dtls::HashAlgorithm::Sha256, self.0.signature_hash()];
        hashes.dedup();
        let fingerprints = hashes.into_iter().map(|hash| self.0.fingerprint(hash));
        fingerprints.map(|one| DtlsFingerprint::of(&one)).collect()
    }

    /// Reads a certificate that was stored as [`dtls::Certificate::to_pem`] writes it.
    ///
    /// # Errors
    /// `SyntaxError` when the text is no certificate with its key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        dtls::Certificate::from_pem(text)
            .map(Certificate::from)
            .map_err(|error| Error::Syntax(error.to_string()))
    }

    /// The certificate as `pc-dtls` has it; its `to_pem` stores it with the private key.
    pub fn as_dtls(&self) -> &Arc<dtls::Certificate> {
        &self.0
    }
}

impl From<dtls::Certificate> for Certificate {
    fn from(certificate: dtls::Certificate) -> Self {
        Certificate(Arc::new(certificate))
    }
}

impl From<Arc<dtls::Certificate>> for Certificate {
    fn from(certificate: Arc<dtls::Certificate>) -> Self {
        Certificate(certificate)
    }
}

impl PartialEq for Certificate {
    /// Whether both are the same object, as `setConfiguration` compares them.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
