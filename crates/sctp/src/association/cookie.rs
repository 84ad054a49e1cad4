//! The state cookie (RFC 9260 §5.1.3): everything needed to make an association, with a MAC over it.

use std::time::Duration;

use aws_lc_rs::hmac;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::serial::Tsn;
use crate::time::{Time, nanos};
use crate::wire::init::Extensions;
use crate::wire::{read_u16, read_u32};

const MAC_SIZE: usize = 32;
const BODY_SIZE: usize = 8 + 8 + 4 * 7 + 2 * 2 + 1;

/// What a cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) created: Time,
    pub(crate) lifetime: Duration,
    pub(crate) local_tag: u32,
    pub(crate) peer_tag: u32,
    pub(crate) local_tie_tag: u32,
    pub(crate) peer_tie_tag: u32,
    pub(crate) local_tsn: Tsn,
    pub(crate) peer_tsn: Tsn,
    pub(crate) peer_window: u32,
    pub(crate) outbound: u16,
    pub(crate) inbound: u16,
    /// What the peer announced.
    pub(crate) extensions: Extensions,
}

/// Signs and checks cookies.
pub(crate) struct Jar {
    secret: [u8; 32],
}

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jar")
    }
}

impl Jar {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        Self {
            secret: rng.random(),
        }
    }

    /// Made anew for each of the one or two uses: a scheduled key would be a kilobyte for as long as the association lives.
    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret)
    }

    /// A cookie as bytes for the State Cookie parameter.
    pub(crate) fn seal(&self, cookie: &Cookie) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY_SIZE + MAC_SIZE);
        bytes.extend_from_slice(&cookie.created.0.to_be_bytes());
        bytes.extend_from_slice(&nanos(cookie.lifetime).to_be_bytes());
        for word in [
            cookie.local_tag,
            cookie.peer_tag,
            cookie.local_tie_tag,
            cookie.peer_tie_tag,
            cookie.local_tsn.0,
            cookie.peer_tsn.0,
            cookie.peer_window,
        ] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&cookie.outbound.to_be_bytes());
        bytes.extend_from_slice(&cookie.inbound.to_be_bytes());
        bytes.push(cookie.extensions.bits());
        let tag = hmac::sign(&self.key(), &bytes);
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }

    /// The cookie, if it is one of ours (§5.1.5 steps 1 and 2).
    pub(crate) fn open(&self, bytes: &[u8]) -> Option<Cookie> {
        let (body, rest) = bytes.split_at_checked(BODY_SIZE)?;
        // COOKIE ECHO may carry the padding of the parameter it came in.
        let (mac, _) = rest.split_at_checked(MAC_SIZE)?;
        hmac::verify(&self.key(), body, mac).ok()?;
        let word = |at: usize| read_u32(body, at).ok();
        let long = |at: usize| Some(u64::from(word(at)?) << 32 | u64::from(word(at + 4)?));
        Some(Cookie {
            created: Time(long(0)?),
            lifetime: Duration::from_nanos(long(8)?),
            local_tag: word(16)?,
            peer_tag: word(20)?,
            local_tie_tag: word(24)?,
            peer_tie_tag: word(28)?,
            local_tsn: Tsn(word(32)?),
            peer_tsn: Tsn(word(36)?),
            peer_window: word(40)?,
            outbound: read_u16(body, 44).ok()?,
            inbound: read_u16(body, 46).ok()?,
            extensions: Extensions::from_bits(*body.get(48)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn opens_its_own_cookies_and_no_others() {
        let jar = Jar::new(&mut StdRng::seed_from_u64(1));
        let cookie = Cookie {
            created: Time(5),
            lifetime: Duration::from_secs(60),
            local_tag: 1,
            peer_tag: 2,
            local_tie_tag: 3,
            peer_tie_tag: 4,
            local_tsn: Tsn(5),
            peer_tsn: Tsn(6),
            peer_window: 7,
            outbound: 8,
            inbound: 9,
            extensions: Extensions {
                interleaving: true,
                ..Extensions::default()
            },
        };
        let bytes = jar.seal(&cookie);
        assert_eq!(jar.open(&bytes), Some(cookie));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(jar.open(&damaged), None);
            assert_eq!(jar.open(&bytes[..at]), None);
        }
        let other = Jar::new(&mut StdRng::seed_from_u64(2));
        assert_eq!(other.open(&bytes), None);
    }
}
