//! dimpl's configuration from ours.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::config::Config;
use crate::error::NewError;
use crate::provider;
use crate::srtp_profile::SrtpProfile;

/// Datagrams that dimpl queues in each direction: a flight of certificates at the smallest MTU has a dozen, and out of order
/// ones of the peer's wait there.
const QUEUE: usize = 128;

/// What dimpl is built with, apart from a test's seed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Settings {
    mtu: usize,
    cookie: bool,
    initial_timeout: Duration,
    max_retransmissions: usize,
    handshake_timeout: Duration,
}

impl Settings {
    fn builder(self) -> dimpl::ConfigBuilder {
        dimpl::Config::builder()
            .with_crypto_provider(provider::provider())
            .mtu(self.mtu)
            .use_server_cookie(self.cookie)
            .flight_start_rto(self.initial_timeout)
            .flight_retries(self.max_retransmissions)
            .handshake_timeout(self.handshake_timeout)
            .max_queue_rx(QUEUE)
            .max_queue_tx(QUEUE)
    }
}

/// The settings last used, and what dimpl made of them: it tries its provider out each time, with a key exchange in
/// every group, which was a quarter of what connecting costs.
static LAST: Mutex<Option<(Settings, Arc<dimpl::Config>)>> = Mutex::new(None);

pub(super) fn config(config: &Config, rng: &mut StdRng) -> Result<Arc<dimpl::Config>, NewError> {
    let settings = Settings {
        mtu: config.mtu,
        cookie: config.cookie,
        initial_timeout: config.initial_timeout,
        max_retransmissions: config.max_retransmissions,
        handshake_timeout: config.handshake_timeout,
    };
    let built = |builder: dimpl::ConfigBuilder| {
        builder
            .build()
            .map(Arc::new)
            .map_err(|error| NewError::InvalidConfig(error.to_string()))
    };
    if config.insecure_deterministic {
        let seed = rng.random();
        return built(settings.builder().dangerously_set_rng_seed(seed));
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, made)) = &*last
        && *known == settings
    {
        return Ok(Arc::clone(made));
    }
    let made = built(settings.builder())?;
    *last = Some((settings, Arc::clone(&made)));
    Ok(made)
}

/// The same instant for all deterministic endpoints of a process: dimpl writes the wall-clock time, which it works out from
/// the instant, into the randoms of DTLS 1.2.
pub(super) fn same_instant(now: Instant) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    *FIRST.get_or_init(|| now)
}

pub(super) fn profile(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmHmacSha1_80),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        _ => None,
    }
}
