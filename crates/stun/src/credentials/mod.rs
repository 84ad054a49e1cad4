//! The long-term credential mechanism (RFC 8489 §9.2) for both sides, and third-party authorization (RFC 7635).

mod client;
mod server;
mod token;

#[cfg(test)]
mod tests;

pub use client::{LongTerm, Reaction, Refusal};
pub use server::{Authenticator, Identity, Rejection};
pub use token::{AccessToken, TokenError};

/// The start of a nonce that carries security features (RFC 8489 §9.2).
const COOKIE: &[u8] = b"obMatJos2";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The STUN Security Features that a server's nonce announces (RFC 8489 §9.2.1, §18.1), so that nobody between can take
/// them away unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityFeatures {
    /// Bit 0: PASSWORD-ALGORITHMS is in use.
    pub password_algorithms: bool,
    /// Bit 1: USERHASH stands in for USERNAME.
    pub username_anonymity: bool,
}

impl SecurityFeatures {
    /// Reads the nonce cookie; `None` when the nonce does not start with one.
    pub fn from_nonce(nonce: &[u8]) -> Option<Self> {
        let encoded = nonce.strip_prefix(COOKIE)?.first_chunk::<4>()?;
        let mut bits = 0u32;
        for byte in encoded {
            let digit = BASE64.iter().position(|digit| digit == byte)?;
            bits = (bits << 6) | digit as u32;
        }
        // Bit 0 is the most significant of the twenty-four (RFC 8489 §9.2).
        Some(Self {
            password_algorithms: bits & 0x80_0000 != 0,
            username_anonymity: bits & 0x40_0000 != 0,
        })
    }

    /// The thirteen characters a server puts before its nonce.
    pub fn cookie(self) -> [u8; 13] {
        let bits = (u32::from(self.password_algorithms) << 23)
            | (u32::from(self.username_anonymity) << 22);
        let mut out = [0; 13];
        out[..9].copy_from_slice(COOKIE);
        for (i, digit) in out[9..].iter_mut().enumerate() {
            *digit = BASE64[(bits >> (18 - 6 * i)) as usize & 63];
        }
        out
    }
}
