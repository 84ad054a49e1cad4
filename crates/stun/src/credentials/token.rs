//! The self-contained access token of third-party authorization (RFC 7635 §6.2), sealed with AES-GCM.
//!
//! ```text
//! uint16 nonce_length; opaque nonce[nonce_length];
//! encrypted { uint16 key_length; opaque mac_key[key_length]; uint64 timestamp; uint32 lifetime; }
//! ```

use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Why a token is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The key shared with the authorization server has neither 16 nor 32 bytes.
    #[error("the shared key has neither 16 nor 32 bytes")]
    Key,
    /// The bytes are not a token, not sealed under this key, or meant for another server.
    #[error("the access token is not valid here")]
    Invalid,
    /// It was valid once.
    #[error("the access token has expired")]
    Expired,
}

/// What an authorization server puts into a token, for one STUN or TURN server to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The key of the messages' integrity; 20 bytes for HMAC-SHA1.
    pub session_key: Vec<u8>,
    /// When it was made, since the Unix epoch.
    pub issued: Duration,
    /// How long it holds.
    pub lifetime: Duration,
}

impl AccessToken {
    /// Seals the token for the server of this name, under the key it shares with the authorization server. A nonce must never
    /// be used twice with one key.
    pub fn seal(
        &self,
        key: &[u8],
        nonce: [u8; NONCE_LEN],
        server_name: &str,
    ) -> Result<Vec<u8>, TokenError> {
        let key = aead_key(key)?;
        let key_len = u16::try_from(self.session_key.len()).map_err(|_| TokenError::Invalid)?;
        let mut block = Vec::with_capacity(14 + self.session_key.len());
        block.extend_from_slice(&key_len.to_be_bytes());
        block.extend_from_slice(&self.session_key);
        let fraction = u64::from(self.issued.subsec_nanos()) * 64_000 / 1_000_000_000;
        block.extend_from_slice(&((self.issued.as_secs() << 16) | fraction).to_be_bytes());
        let lifetime = u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX);
        block.extend_from_slice(&lifetime.to_be_bytes());
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(server_name),
            &mut block,
        )
        .map_err(|_| TokenError::Invalid)?;
        let mut token = Vec::with_capacity(2 + NONCE_LEN + block.len());
        token.extend_from_slice(&(NONCE_LEN as u16).to_be_bytes());
        token.extend_from_slice(&nonce);
        token.extend_from_slice(&block);
        Ok(token)
    }

    /// Opens a token, as the server of that name does. `now` is the time since the Unix epoch.
    pub fn open(
        token: &[u8],
        key: &[u8],
        server_name: &str,
        now: Duration,
    ) -> Result<Self, TokenError> {
        let key = aead_key(key)?;
        let this = Self::decode(token, &key, server_name).ok_or(TokenError::Invalid)?;
        // RFC 7635 §7: five seconds for clocks that differ.
        if this.issued + this.lifetime + Duration::from_secs(5) < now {
            return Err(TokenError::Expired);
        }
        Ok(this)
    }

    fn decode(token: &[u8], key: &LessSafeKey, server_name: &str) -> Option<Self> {
        let (len, rest) = token.split_first_chunk::<2>()?;
        let nonce_len = usize::from(u16::from_be_bytes(*len));
        let (nonce, sealed) = rest.split_at_checked(nonce_len)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut block = sealed.to_vec();
        let plain = key
            .open_in_place(nonce, Aad::from(server_name), &mut block)
            .ok()?;
        let (key_len, rest) = plain.split_first_chunk::<2>()?;
        let (session_key, rest) =
            rest.split_at_checked(usize::from(u16::from_be_bytes(*key_len)))?;
        let (timestamp, rest) = rest.split_first_chunk::<8>()?;
        let lifetime = u32::from_be_bytes(rest.try_into().ok()?);
        let timestamp = u64::from_be_bytes(*timestamp);
        let nanos = (timestamp & 0xffff) * 1_000_000_000 / 64_000;
        let issued = Duration::from_secs(timestamp >> 16) + Duration::from_nanos(nanos);
        Some(Self {
            session_key: session_key.to_vec(),
            issued,
            lifetime: Duration::from_secs(u64::from(lifetime)),
        })
    }
}

fn aead_key(key: &[u8]) -> Result<LessSafeKey, TokenError> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return Err(TokenError::Key),
    };
    UnboundKey::new(algorithm, key)
        .map(LessSafeKey::new)
        .map_err(|_| TokenError::Key)
}
