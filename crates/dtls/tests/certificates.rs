//! Certificates: made, exported, imported, and refused.

mod support;

use std::time::{Duration, SystemTime};

use pc_dtls::{Certificate, CertificateError, CertificateParams, HashAlgorithm, KeyAlgorithm};
use rand::SeedableRng;
use rand::rngs::StdRng;
use support::{WALL_CLOCK, certificate, fresh_certificate};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + WALL_CLOCK
}

#[test]
fn certificates_survive_pem_and_der() {
    for key in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
        let mut params = CertificateParams::default();
        params.key = key;
        let made = Certificate::generate(&params, now(), &mut StdRng::seed_from_u64(1)).unwrap();
        let read = Certificate::from_pem(&made.to_pem()).unwrap();
        assert_eq!(read.der(), made.der());
        assert_eq!(read.expires(), made.expires());
        for hash in HashAlgorithm::ALL {
            assert_eq!(read.fingerprint(hash), made.fingerprint(hash));
            assert!(made.fingerprint(hash).matches(made.der()));
        }
        assert!(
            made.certificate_pem()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        assert!(!made.certificate_pem().contains("PRIVATE"));
        assert!(made.to_pem().contains("BEGIN PRIVATE KEY"));
    }
}

#[test]
fn they_expire_when_told_and_in_a_year_at_the_latest() {
    let expires = |lifetime: Duration| {
        let mut params = CertificateParams::default();
        params.lifetime = lifetime;
        Certificate::generate(&params, now(), &mut StdRng::seed_from_u64(1))
            .unwrap()
            .expires()
    };
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(fresh_certificate(1).expires(), now() + 30 * day);
    assert_eq!(expires(day), now() + day);
    assert_eq!(expires(5000 * day), now() + 365 * day);
}

#[test]
fn every_certificate_is_another() {
    let (one, two) = (fresh_certificate(1), fresh_certificate(2));
    assert_ne!(
        one.fingerprint(HashAlgorithm::Sha256),
        two.fingerprint(HashAlgorithm::Sha256)
    );
}

#[test]
fn keys_of_other_forms_are_read() {
    // SEC 1, as `openssl ecparam -genkey` writes it, with its own certificate after it.
    let pem = certificate(0).to_pem();
    let blocks = pem::parse_many(pem.as_bytes()).unwrap();
    let pkcs8 = blocks
        .iter()
        .find(|block| block.tag() == "PRIVATE KEY")
        .unwrap();
    // The SEC 1 structure is the octet string inside of PKCS #8 (RFC 5958 §2): after version and algorithm.
    let inside = pkcs8
        .contents()
        .windows(4)
        .position(|window| window == [0x02, 0x01, 0x01, 0x04])
        .unwrap();
    let sec1 = &pkcs8.contents()[inside - 2..];
    let read = Certificate::from_der(certificate(0).der().to_vec(), sec1).unwrap();
    assert_eq!(read.to_pem().len(), pem.len());
    let text = format!(
        "{}\n{}",
        pem::encode(&pem::Pem::new("EC PRIVATE KEY", sec1)),
        certificate(0).certificate_pem()
    );
    assert_eq!(
        Certificate::from_pem(&text).unwrap().der(),
        certificate(0).der()
    );
}

#[test]
fn what_does_not_fit_is_refused_by_reason() {
    let (one, two) = (fresh_certificate(1), fresh_certificate(2));
    let refused = |text: &str| Certificate::from_pem(text).unwrap_err();
    let key = one
        .to_pem()
        .split("-----BEGIN CERTIFICATE")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(
        refused(&one.certificate_pem()),
        CertificateError::MissingKey
    );
    assert_eq!(refused(&key), CertificateError::MissingCertificate);
    assert_eq!(
        refused(&format!("{key}{}", two.certificate_pem())),
        CertificateError::KeyMismatch
    );
    assert_eq!(
        refused("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"),
        CertificateError::MalformedPem
    );
    assert_eq!(
        Certificate::from_der(vec![0x30, 0], b"x").unwrap_err(),
        CertificateError::MalformedCertificate
    );
    assert_eq!(
        Certificate::from_der(one.der().to_vec(), b"no key").unwrap_err(),
        CertificateError::UnsupportedKey
    );
}

#[test]
fn the_private_key_appears_in_no_debug_output() {
    let certificate = fresh_certificate(1);
    let text = format!("{certificate:?} {certificate:#?}");
    assert!(text.contains("sha-256"));
    let pem = certificate.to_pem();
    let key = pem::parse_many(pem.as_bytes())
        .unwrap()
        .remove(0)
        .into_contents();
    for window in key[30..].windows(4) {
        let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{window:?}");
        assert!(
            !text.to_lowercase().contains(&hex) && !text.contains(list.trim_matches(['[', ']']))
        );
    }
}
