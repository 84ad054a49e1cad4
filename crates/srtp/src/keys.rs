//! One master key with everything derived from it, and how often it was used.

use std::fmt;

use crate::config::{Config, Lifetime};
use crate::error::KeyError;
use crate::extension::Selection;
use crate::kdf::MasterKey;
use crate::profile::Profile;
use crate::transform::{CounterMode, Transform};

/// The longest master key identifier (RFC 3711 §3.1 leaves it open; SDES and MIKEY have 128 bytes at most).
const MAX_MKI: usize = 128;

pub(crate) struct Keys {
    pub(crate) mki: Vec<u8>,
    pub(crate) rtp: Transform,
    pub(crate) rtcp: Transform,
    /// For RFC 6904, if elements are to be encrypted.
    pub(crate) header: Option<CounterMode>,
    pub(crate) used: Lifetime,
}

impl Keys {
    pub(crate) fn new(
        profile: Profile,
        key: &[u8],
        salt: &[u8],
        mki: &[u8],
        selection: Selection,
    ) -> Result<Self, KeyError> {
        if mki.len() > MAX_MKI {
            return Err(KeyError::MkiLength(mki.len()));
        }
        let master = MasterKey::new(profile, key, salt)?;
        let header = if selection.is_empty() {
            None
        } else {
            Some(CounterMode::header(profile, &master)?)
        };
        Ok(Self {
            mki: mki.to_vec(),
            rtp: Transform::rtp(profile, &master)?,
            rtcp: Transform::rtcp(profile, &master)?,
            header,
            used: Lifetime { rtp: 0, rtcp: 0 },
        })
    }
}

/// The smaller of what is configured and what RFC 3711 §9.2 allows.
pub(crate) fn lifetime(config: &Config) -> Lifetime {
    let most = Lifetime::default();
    Lifetime {
        rtp: config.lifetime.rtp.min(most.rtp),
        rtcp: config.lifetime.rtcp.min(most.rtcp),
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Keys {
    pub(crate) fn replace_session_key(&mut self, key: &[u8], salt: [u8; 12]) {
        self.rtp = Transform::with_session_key(key, salt);
        self.rtcp = Transform::with_session_key(key, salt);
    }
}
