//! The client's side: what to add to a request, and what a response means for the credentials.

use std::fmt;

use super::SecurityFeatures;
use crate::integrity::{Integrity, IntegrityKey, PasswordAlgorithm, opaque_string, userhash};
use crate::message::Message;
use crate::types::{Class, ErrorCode};
use crate::writer::Writer;

/// What a response means to the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Authentic, or allowed to come without authentication: process it.
    Accept,
    /// Send the request again in a new transaction, with [`LongTerm::finish`] as it is now.
    Retry,
    /// Treat it as never received (RFC 8489 §9.2.5); over a reliable transport, end the transaction.
    Discard,
    /// The server will not have these credentials; retrying would not help.
    Refused(Refusal),
}

/// Why credentials are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The same username and password were refused before.
    #[error("the server does not accept these credentials")]
    WrongCredentials,
    /// The challenge lacks a realm or a nonce.
    #[error("the server's challenge lacks a realm or a nonce")]
    IncompleteChallenge,
    /// The nonce announces PASSWORD-ALGORITHMS and the attribute is gone: someone took it out (RFC 8489 §9.2.1).
    #[error("the server's password algorithms were removed on the way")]
    BidDown,
    /// The server lists only unknown password algorithms.
    #[error("none of the server's password algorithms is supported")]
    UnsupportedAlgorithm,
}

#[derive(Clone)]
enum Secret {
    Password(String),
    Token { token: Vec<u8>, key: IntegrityKey },
}

#[derive(Clone)]
struct Challenge {
    realm: String,
    nonce: Vec<u8>,
    userhash: Option<[u8; 32]>,
    algorithms: Option<Vec<u8>>,
    algorithm: Option<PasswordAlgorithm>,
    key: IntegrityKey,
}

/// A username and password, and what the server last said about them.
///
/// Close each request with [`finish`](Self::finish) and show each response to [`handle_response`](Self::handle_response).
#[derive(Clone)]
pub struct LongTerm {
    username: String,
    secret: Secret,
    challenge: Option<Challenge>,
    token_server: Option<String>,
}

impl LongTerm {
    /// A username and its password.
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: opaque_string(username).into_owned(),
            secret: Secret::Password(password.to_owned()),
            challenge: None,
            token_server: None,
        }
    }

    /// A third party's access token (RFC 7635): the key id is the username, the token goes into ACCESS-TOKEN, and the session
    /// key protects the messages.
    pub fn with_token(key_id: &str, token: Vec<u8>, session_key: &[u8]) -> Self {
        Self {
            username: key_id.to_owned(),
            secret: Secret::Token {
                token,
                key: IntegrityKey::from_bytes(session_key),
            },
            challenge: None,
            token_server: None,
        }
    }

    /// New credentials for the same server, such as a token got before the old one ran out (RFC 7635 §9). The server's
    /// realm and nonce stay.
    pub fn replace(&mut self, other: Self) {
        self.username = other.username;
        self.secret = other.secret;
        if let Some(challenge) = &mut self.challenge {
            challenge.key = key_for(
                &self.secret,
                &self.username,
                &challenge.realm,
                challenge.algorithm,
            );
            challenge.userhash = challenge
                .userhash
                .map(|_| userhash(&self.username, &challenge.realm));
        }
    }

    /// Whether the server has sent a challenge, so that requests carry credentials.
    pub fn is_challenged(&self) -> bool {
        self.challenge.is_some()
    }

    /// The key of the messages, once the server has sent its realm.
    pub fn key(&self) -> Option<&IntegrityKey> {
        self.challenge.as_ref().map(|challenge| &challenge.key)
    }

    /// The name of the server for which it asked for a third party's token (RFC 7635 §6.1).
    pub fn token_server(&self) -> Option<&str> {
        self.token_server.as_deref()
    }

    /// Ends a request: with USERNAME or USERHASH, REALM, NONCE, the password algorithm and integrity once there was a
    /// challenge (RFC 8489 §9.2.3.2), without any before (§9.2.3.1). Returns the length of the message.
    pub fn finish(&self, writer: &mut Writer<'_>, fingerprint: bool) -> usize {
        let Some(challenge) = &self.challenge else {
            return writer.finish(fingerprint);
        };
        match &challenge.userhash {
            Some(hash) => writer.userhash(hash),
            None => writer.username(&self.username),
        };
        writer.realm(&challenge.realm).nonce(&challenge.nonce);
        if let Some(raw) = &challenge.algorithms {
            writer.attribute(crate::AttributeType::PASSWORD_ALGORITHMS, raw);
        }
        if let Some(algorithm) = challenge.algorithm {
            writer.password_algorithm(algorithm);
        }
        if let Secret::Token { token, .. } = &self.secret {
            writer.access_token(token);
        }
        writer.finish_with(&challenge.key, fingerprint)
    }

    /// Judges a response (RFC 8489 §9.2.5). `with_credentials` says whether the request it answers carried any: ask
    /// [`is_challenged`](Self::is_challenged) when it is sent.
    pub fn handle_response(&mut self, response: &Message<'_>, with_credentials: bool) -> Reaction {
        let code = match response.class() {
            Class::Error => response.error_code().map_or(0, |error| error.code),
            _ => 0,
        };
        let features = response
            .nonce()
            .and_then(SecurityFeatures::from_nonce)
            .unwrap_or_default();
        let bid_down = features.password_algorithms && response.password_algorithms_raw().is_none();
        match code {
            ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE if bid_down => {
                Reaction::Refused(Refusal::BidDown)
            }
            ErrorCode::UNAUTHENTICATED => {
                self.handle_unauthenticated(response, with_credentials, features)
            }
            ErrorCode::STALE_NONCE => match self.adopt(response, features) {
                Ok(()) => Reaction::Retry,
                Err(refusal) => Reaction::Refused(refusal),
            },
            _ if bid_down => Reaction::Discard,
            _ if !with_credentials => Reaction::Accept,
            _ => self.authenticate(response),
        }
    }

    fn handle_unauthenticated(
        &mut self,
        response: &Message<'_>,
        with_credentials: bool,
        features: SecurityFeatures,
    ) -> Reaction {
        if let Some(name) = response.third_party_authorization() {
            self.token_server = Some(name.to_owned());
        }
        let same_realm = self
            .challenge
            .as_ref()
            .is_some_and(|c| Some(c.realm.as_str()) == response.realm());
        // "The client MUST NOT perform this retry if it is not changing the USERNAME, USERHASH, REALM, or its associated
        // password from the previous attempt."
        if with_credentials && same_realm {
            return Reaction::Refused(Refusal::WrongCredentials);
        }
        match self.adopt(response, features) {
            Ok(()) => Reaction::Retry,
            Err(refusal) => Reaction::Refused(refusal),
        }
    }

    /// Takes over realm, nonce and algorithms. The key is computed again only when something that it depends on changed.
    fn adopt(&mut self, response: &Message<'_>, features: SecurityFeatures) -> Result<(), Refusal> {
        let known = self.challenge.take();
        let realm = response
            .realm()
            .map(str::to_owned)
            .or_else(|| known.as_ref().map(|c| c.realm.clone()));
        let (Some(realm), Some(nonce)) = (realm, response.nonce()) else {
            self.challenge = known;
            return Err(Refusal::IncompleteChallenge);
        };
        let algorithms = response.password_algorithms_raw().map(<[u8]>::to_vec);
        let algorithm = match algorithms {
            Some(_) => match response.password_algorithms().next() {
                None => {
                    self.challenge = known;
                    return Err(Refusal::UnsupportedAlgorithm);
                }
                some => some,
            },
            None => None,
        };
        let userhash = features
            .username_anonymity
            .then(|| userhash(&self.username, &realm));
        let key = match known {
            Some(known) if known.realm == realm && known.algorithm == algorithm => known.key,
            _ => key_for(&self.secret, &self.username, &realm, algorithm),
        };
        self.challenge = Some(Challenge {
            realm,
            nonce: nonce.to_vec(),
            userhash,
            algorithms,
            algorithm,
            key,
        });
        Ok(())
    }

    fn authenticate(&self, response: &Message<'_>) -> Reaction {
        let Some(key) = self.key() else {
            return Reaction::Discard;
        };
        // Where the server knows SHA-256, a SHA-1 response was made weaker on the way.
        let Some(integrity) = response.integrity() else {
            return Reaction::Discard;
        };
        if key.integrity() == Integrity::Sha256 && integrity != Integrity::Sha256 {
            return Reaction::Discard;
        }
        match response.check_integrity_of(integrity, key) {
            Ok(()) => Reaction::Accept,
            Err(_) => Reaction::Discard,
        }
    }
}

fn key_for(
    secret: &Secret,
    username: &str,
    realm: &str,
    algorithm: Option<PasswordAlgorithm>,
) -> IntegrityKey {
    let key = match secret {
        Secret::Password(password) => IntegrityKey::long_term(
            username,
            realm,
            password,
            algorithm.unwrap_or(PasswordAlgorithm::Md5),
        ),
        Secret::Token { key, .. } => key.clone(),
    };
    // "If the response contains a PASSWORD-ALGORITHMS attribute, all the subsequent requests MUST be authenticated using
    // MESSAGE-INTEGRITY-SHA256 only" (RFC 8489 §9.2.5).
    match algorithm {
        Some(_) => key.with_integrity(Integrity::Sha256),
        None => key,
    }
}

impl fmt::Debug for LongTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongTerm")
            .field("username", &self.username)
            .field(
                "realm",
                &self.challenge.as_ref().map(|challenge| &challenge.realm),
            )
            .finish_non_exhaustive()
    }
}
