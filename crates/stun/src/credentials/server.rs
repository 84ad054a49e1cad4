//! The server's side: nonces that need no memory, and the checks of a request in the order of RFC 8489 §9.2.4.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use rand::Rng;
use rand::rngs::StdRng;

use super::SecurityFeatures;
use crate::integrity::{Integrity, IntegrityKey, PasswordAlgorithm};
use crate::message::Message;
use crate::types::ErrorCode;
use crate::writer::Writer;

/// Why a request was turned away: the code of the response, which [`Authenticator::write_rejection`] completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// 400: attributes are missing or contradict each other.
    #[error("the request's credentials are incomplete")]
    BadRequest,
    /// 401: no credentials, or wrong ones.
    #[error("the request is not authenticated")]
    Unauthenticated,
    /// 438: the nonce has run out.
    #[error("the request's nonce is stale")]
    StaleNonce,
}

impl Rejection {
    /// The code of the error response.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => ErrorCode::BAD_REQUEST,
            Self::Unauthenticated => ErrorCode::UNAUTHENTICATED,
            Self::StaleNonce => ErrorCode::STALE_NONCE,
        }
    }
}

/// Challenges requests and verifies what comes back (RFC 8489 §9.2.4).
///
/// A nonce is the cookie, the second it was made in, and an HMAC over both under a key that never leaves: nothing is kept
/// for a client that has not shown a password.
#[derive(Debug)]
pub struct Authenticator {
    realm: String,
    features: SecurityFeatures,
    lifetime: Duration,
    started: Instant,
    secret: hmac::Key,
}

impl Authenticator {
    /// What is offered, strongest first.
    const ALGORITHMS: [PasswordAlgorithm; 2] = [PasswordAlgorithm::Sha256, PasswordAlgorithm::Md5];
    /// Cookie, eight digits of time, sixteen of HMAC.
    const NONCE_LEN: usize = 13 + 8 + 16;

    /// Nonces hold for `lifetime`.
    pub fn new(
        now: Instant,
        realm: &str,
        features: SecurityFeatures,
        lifetime: Duration,
        mut rng: StdRng,
    ) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self {
            realm: realm.to_owned(),
            features,
            lifetime,
            started: now,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        }
    }

    /// The realm of every challenge.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// A nonce of now.
    pub fn nonce(&self, now: Instant) -> Vec<u8> {
        let seconds = now.saturating_duration_since(self.started).as_secs() as u32;
        self.nonce_of(seconds)
    }

    fn nonce_of(&self, seconds: u32) -> Vec<u8> {
        let mut nonce = Vec::with_capacity(Self::NONCE_LEN);
        nonce.extend_from_slice(&self.features.cookie());
        nonce.extend_from_slice(format!("{seconds:08x}").as_bytes());
        let tag = hmac::sign(&self.secret, &nonce);
        for byte in &tag.as_ref()[..8] {
            nonce.extend_from_slice(format!("{byte:02x}").as_bytes());
        }
        nonce
    }

    fn is_fresh(&self, now: Instant, nonce: &[u8]) -> bool {
        let Some(digits) = nonce
            .get(13..21)
            .and_then(|digits| std::str::from_utf8(digits).ok())
        else {
            return false;
        };
        let Ok(seconds) = u32::from_str_radix(digits, 16) else {
            return false;
        };
        let age = now
            .saturating_duration_since(self.started)
            .as_secs()
            .saturating_sub(u64::from(seconds));
        age < self.lifetime.as_secs()
            && aws_lc_rs::constant_time::verify_slices_are_equal(&self.nonce_of(seconds), nonce)
                .is_ok()
    }

    /// Checks a request. `password` finds the password of a username, or of a USERHASH (compare with [`crate::userhash`]).
    /// Gives the key with which to protect the response.
    pub fn check(
        &self,
        now: Instant,
        request: &Message<'_>,
        password: impl FnOnce(Identity<'_>) -> Option<(String, String)>,
    ) -> Result<IntegrityKey, Rejection> {
        if request.integrity().is_none() {
            return Err(Rejection::Unauthenticated);
        }
        let hash = request.userhash();
        let identity = match (&hash, request.username()) {
            (Some(hash), _) => Identity::Userhash(hash),
            (None, Some(name)) => Identity::Username(name),
            (None, None) => return Err(Rejection::BadRequest),
        };
        let (Some(_), Some(nonce)) = (request.realm(), request.nonce()) else {
            return Err(Rejection::BadRequest);
        };
        let algorithm = self.algorithm(request, nonce)?;
        let (username, password) = password(identity).ok_or(Rejection::Unauthenticated)?;
        let mut key = IntegrityKey::long_term(
            &username,
            &self.realm,
            &password,
            algorithm.unwrap_or(PasswordAlgorithm::Md5),
        );
        if algorithm.is_some() {
            key = key.with_integrity(Integrity::Sha256);
        }
        request
            .check_integrity(&key)
            .map_err(|_| Rejection::Unauthenticated)?;
        if !self.is_fresh(now, nonce) {
            return Err(Rejection::StaleNonce);
        }
        Ok(key)
    }

    /// The bid-down checks: `None` stands for "as though PASSWORD-ALGORITHM were MD5".
    fn algorithm(
        &self,
        request: &Message<'_>,
        nonce: &[u8],
    ) -> Result<Option<PasswordAlgorithm>, Rejection> {
        let features = SecurityFeatures::from_nonce(nonce).unwrap_or_default();
        if !features.password_algorithms {
            return Ok(None);
        }
        let chosen = request.attribute(crate::AttributeType::PASSWORD_ALGORITHM);
        match (request.password_algorithms_raw(), chosen) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) if request.password_algorithms().eq(Self::ALGORITHMS) => {
                match request.password_algorithm() {
                    Some(algorithm) => Ok(Some(algorithm)),
                    None => Err(Rejection::BadRequest),
                }
            }
            _ => Err(Rejection::BadRequest),
        }
    }

    /// Adds ERROR-CODE and, but for 400, the challenge to an error response.
    pub fn write_rejection(&self, now: Instant, rejection: Rejection, writer: &mut Writer<'_>) {
        writer.error_code(rejection.code());
        if rejection != Rejection::BadRequest {
            writer.realm(&self.realm).nonce(&self.nonce(now));
            if self.features.password_algorithms {
                writer.password_algorithms(&Self::ALGORITHMS);
            }
        }
    }
}

/// Who a request says it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// By USERNAME.
    Username(&'a str),
    /// By USERHASH.
    Userhash(&'a [u8; 32]),
}

impl Identity<'_> {
    /// Whether this is `username` in `realm`.
    pub fn is(&self, username: &str, realm: &str) -> bool {
        match self {
            Self::Username(name) => *name == username,
            Self::Userhash(hash) => **hash == crate::userhash(username, realm),
        }
    }
}
