//! Who the peer is, as an identity provider asserts it (RFC 8827 §7; W3C Identity for WebRTC).
//!
//! A browser loads a provider's code from its domain; here a provider is a Rust trait. The one given to
//! [`PeerConnection::set_identity_provider`](crate::PeerConnection::set_identity_provider) vouches for this side; it and
//! those given to [`Builder::identity_providers`](crate::Builder::identity_providers) judge what peers bring.

use crate::base64;
use crate::description::{SdpType, SessionDescription};
use crate::error::{Error, RtcError, RtcErrorDetail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a provider does, as a future.
pub type IdentityFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// An identity provider (RFC 8827 §7.3).
pub trait IdentityProvider: Send + Sync {
    /// The domain that it speaks for.
    fn domain(&self) -> &str;

    /// Which of the domain's protocols it speaks.
    fn protocol(&self) -> &str {
        "default"
    }

    /// `generateAssertion`: vouches for this side. The result is carried to the peer, whose provider of the same domain
    /// gets it back; it should hold `contents` in a way that cannot be changed.
    ///
    /// # Errors
    /// In words, why there is no assertion, as when the user is not logged in.
    fn generate_assertion<'a>(
        &'a self,
        contents: &'a str,
        options: &'a IdentityProviderOptions,
    ) -> IdentityFuture<'a, String>;

    /// `validateAssertion`: judges an assertion that a peer brought.
    ///
    /// # Errors
    /// In words, why it is not to be trusted.
    fn validate_assertion<'a>(
        &'a self,
        assertion: &'a str,
    ) -> IdentityFuture<'a, IdentityValidation>;
}

/// `RTCIdentityProviderOptions`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityProviderOptions {
    /// Whose assertion is wanted, where the provider knows several users.
    pub username_hint: Option<String>,
    /// Whom it is for.
    pub peer_identity: Option<String>,
}

/// `RTCIdentityValidationResult`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityValidation {
    /// `user@domain`; an `@` or `%` within the user is percent-encoded (RFC 8827 §8.1).
    pub identity: String,
    /// What was given to [`IdentityProvider::generate_assertion`], unchanged.
    pub contents: String,
}

/// `RTCIdentityAssertion`: who the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityAssertion {
    /// The domain of the provider that says so.
    pub idp: String,
    /// `user@domain`.
    pub name: String,
}

/// What `a=identity` carries (RFC 8827 §7.4.1).
#[derive(Serialize, Deserialize)]
struct Carried {
    idp: CarriedProvider,
    assertion: String,
}

#[derive(Serialize, Deserialize)]
struct CarriedProvider {
    domain: String,
    #[serde(default = "default_protocol")]
    protocol: String,
}

fn default_protocol() -> String {
    "default".into()
}

/// What is asserted (RFC 8827 §7.4).
#[derive(Serialize, Deserialize)]
struct Contents {
    fingerprint: Vec<ContentsFingerprint>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct ContentsFingerprint {
    algorithm: String,
    digest: String,
}

impl ContentsFingerprint {
    fn of(text: &str) -> Option<Self> {
        let (algorithm, digest) = text.trim().split_once(' ')?;
        Some(ContentsFingerprint {
            algorithm: algorithm.to_ascii_lowercase(),
            digest: digest.trim().to_ascii_uppercase(),
        })
    }
}

/// The identities of one connection.
pub(crate) struct Identity {
    state: Mutex<State>,
    peer: watch::Sender<Option<Result<IdentityAssertion, RtcError>>>,
}

#[derive(Default)]
struct State {
    own: Option<(Arc<dyn IdentityProvider>, IdentityProviderOptions)>,
    known: Vec<Arc<dyn IdentityProvider>>,
    has_assertion: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn failure(detail: RtcErrorDetail, message: impl Into<String>) -> RtcError {
    RtcError::new(detail, message)
}

impl Identity {
    pub(crate) fn new(known: Vec<Arc<dyn IdentityProvider>>) -> Self {
        Identity {
            state: Mutex::new(State {
                known,
                ..State::default()
            }),
            peer: watch::channel(None).0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `setIdentityProvider`.
    pub(crate) fn set_provider(
        &self,
        provider: Arc<dyn IdentityProvider>,
        options: IdentityProviderOptions,
    ) {
        let mut state = self.lock();
        state.own = Some((provider, options));
        state.has_assertion = false;
    }

    /// Whether a description that is about to be made still wants an assertion.
    pub(crate) fn wants_assertion(&self) -> bool {
        let state = self.lock();
        state.own.is_some() && !state.has_assertion
    }

    /// "Request an identity assertion": what goes into `a=identity`.
    pub(crate) async fn assertion(&self, fingerprints: &[String]) -> Result<String, Error> {
        let Some((provider, options)) = self.lock().own.clone() else {
            return Err(Error::InvalidState("no identity provider is set".into()));
        };
        let contents = Contents {
            fingerprint: fingerprints
                .iter()
                .filter_map(|text| ContentsFingerprint::of(text))
                .collect(),
        };
        let json = |error: serde_json::Error| Error::Operation(error.to_string());
        let contents = serde_json::to_string(&contents).map_err(json)?;
        let assertion = provider
            .generate_assertion(&contents, &options)
            .await
            .map_err(|message| Error::Rtc(failure(RtcErrorDetail::IdpExecutionFailure, message)))?;
        let carried = Carried {
            idp: CarriedProvider {
                domain: provider.domain().to_owned(),
                protocol: provider.protocol().to_owned(),
            },
            assertion,
        };
        let text = serde_json::to_string(&carried).map_err(json)?;
        self.lock().has_assertion = true;
        Ok(base64::encode(text.as_bytes()))
    }

    /// "Verify the identity assertion" of a description that is about to be applied. With a `target`, a description
    /// without that identity is refused; without one, a failure is told to whoever waits for the identity.
    pub(crate) async fn verify(
        &self,
        description: &SessionDescription,
        target: Option<&str>,
    ) -> Result<(), Error> {
        if description.sdp_type == SdpType::Rollback {
            return Ok(());
        }
        // What cannot be read is refused when it is applied.
        let Ok(session) = ::sdp::SessionDescription::parse(&description.sdp) else {
            return Ok(());
        };
        let outcome = match session.attributes.value("identity") {
            None if target.is_none() && self.peer.borrow().is_none() => return Ok(()),
            None => Err(failure(
                RtcErrorDetail::IdpTokenInvalid,
                "the description carries no identity",
            )),
            Some(text) => self.judge(text, &session).await,
        };
        let outcome = outcome.and_then(|found| {
            let known = match &*self.peer.borrow() {
                Some(Ok(known)) => Some(known.name.clone()),
                _ => None,
            };
            // An identity, once known, is that of the connection for good.
            match target.or(known.as_deref()) {
                Some(wanted) if wanted != found.name => Err(failure(
                    RtcErrorDetail::IdpTokenInvalid,
                    format!("the peer is {}, not {wanted}", found.name),
                )),
                _ => Ok(found),
            }
        });
        let bound = target.is_some() || matches!(&*self.peer.borrow(), Some(Ok(_)));
        match outcome {
            Ok(found) => {
                self.peer.send_replace(Some(Ok(found)));
                Ok(())
            }
            Err(error) if bound => Err(Error::Rtc(error)),
            Err(error) => {
                self.peer.send_replace(Some(Err(error)));
                Ok(())
            }
        }
    }

    async fn judge(
        &self,
        text: &str,
        session: &::sdp::SessionDescription,
    ) -> Result<IdentityAssertion, RtcError> {
        let invalid = |message: &str| failure(RtcErrorDetail::IdpTokenInvalid, message);
        // Extensions may follow the assertion (RFC 8827 §5.1).
        let encoded = text.split_ascii_whitespace().next().unwrap_or_default();
        let carried: Carried = base64::decode(encoded)
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| invalid("the identity assertion cannot be read"))?;
        let Carried { idp, assertion } = carried;
        let provider = {
            let state = self.lock();
            let own = state.own.iter().map(|(provider, _)| provider);
            own.chain(&state.known)
                .find(|provider| {
                    provider.domain().eq_ignore_ascii_case(&idp.domain)
                        && provider.protocol() == idp.protocol
                })
                .cloned()
        };
        let Some(provider) = provider else {
            return Err(failure(
                RtcErrorDetail::IdpLoadFailure,
                format!("there is no identity provider for {}", idp.domain),
            ));
        };
        let IdentityValidation { identity, contents } = provider
            .validate_assertion(&assertion)
            .await
            .map_err(|message| failure(RtcErrorDetail::IdpExecutionFailure, message))?;
        // RFC 8827 §8.1: the provider is the authority for its own domain, and only for that.
        let well_formed = identity.split_once('@').is_some_and(|(user, domain)| {
            !user.is_empty() && domain.eq_ignore_ascii_case(provider.domain())
        });
        if !well_formed {
            return Err(invalid("the identity is not one of the provider's domain"));
        }
        let contents: Contents = serde_json::from_str(&contents)
            .map_err(|_| invalid("the asserted contents cannot be read"))?;
        let asserted: BTreeSet<ContentsFingerprint> = contents
            .fingerprint
            .iter()
            .filter_map(|one| ContentsFingerprint::of(&format!("{} {}", one.algorithm, one.digest)))
            .collect();
        // RFC 8827 §7.4.1: every fingerprint of the description is asserted.
        let described = || {
            let sections = session.media.iter().map(|media| &media.attributes);
            sections
                .chain([&session.attributes])
                .flat_map(|attributes| attributes.iter())
                .filter(|attribute| attribute.name() == "fingerprint")
                .filter_map(|attribute| attribute.value().and_then(ContentsFingerprint::of))
        };
        if described().next().is_none() || !described().all(|one| asserted.contains(&one)) {
            return Err(invalid("a fingerprint of the description is not asserted"));
        }
        Ok(IdentityAssertion {
            idp: provider.domain().to_owned(),
            name: identity,
        })
    }

    /// `peerIdentity`.
    pub(crate) async fn peer(&self) -> Result<IdentityAssertion, Error> {
        let mut peer = self.peer.subscribe();
        let found = peer.wait_for(Option::is_some).await;
        match found.map(|found| found.clone()) {
            Ok(Some(found)) => found.map_err(Error::Rtc),
            _ => Err(Error::InvalidState("the connection is closed".into())),
        }
    }
}
