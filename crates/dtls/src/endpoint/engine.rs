//! dimpl's configuration from ours.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::config::Config;
use crate::error::NewError;
use crate::provider;
use crate::srtp_profile::SrtpProfile;

/// Datagrams that dimpl queues in each direction: a flight of certificates at the smallest MTU has a dozen, and out of order
/// ones of the peer's wait there.
const QUEUE: usize = 128;

pub(super) fn config(config: &Config, rng: &mut StdRng) -> Result<Arc<dimpl::Config>, NewError> {
    let mut builder = dimpl::Config::builder()
        .with_crypto_provider(provider::provider())
        .mtu(config.mtu)
        .use_server_cookie(config.cookie)
        .flight_start_rto(config.initial_timeout)
        .flight_retries(config.max_retransmissions)
        .handshake_timeout(config.handshake_timeout)
        .max_queue_rx(QUEUE)
        .max_queue_tx(QUEUE);
    if config.insecure_deterministic {
        builder = builder.dangerously_set_rng_seed(rng.random());
    }
    builder
        .build()
        .map(Arc::new)
        .map_err(|error| NewError::InvalidConfig(error.to_string()))
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
