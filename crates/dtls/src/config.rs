//! How an endpoint behaves.

use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::keylog::KeyLog;
use crate::srtp_profile::SrtpProfile;

/// Which end opens the handshake. In SDP, `active` is the client and `passive` the server (RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends the first ClientHello.
    Client,
    /// Waits for it.
    Server,
}

/// The `setup` attribute (RFC 4145 §4, RFC 8842 §5.3), as far as it has to do with DTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// `active`: opens the handshake.
    Active,
    /// `passive`: waits for it.
    Passive,
    /// `actpass`: the answerer chooses. What an offer has (RFC 8842 §5.2).
    Actpass,
}

impl Setup {
    /// What to answer an offer with: `active` to `actpass`, which saves half a round trip (RFC 5763 §5, RFC 8842 §5.3).
    pub const fn answer(self) -> Self {
        match self {
            Self::Actpass | Self::Passive => Self::Active,
            Self::Active => Self::Passive,
        }
    }
}

impl Role {
    /// The role that follows from both sides' attributes; `None` if they contradict or leave it open.
    pub const fn resolve(local: Setup, remote: Setup) -> Option<Self> {
        match (local, remote) {
            (Setup::Active, Setup::Passive | Setup::Actpass) | (Setup::Actpass, Setup::Passive) => {
                Some(Self::Client)
            }
            (Setup::Passive, Setup::Active | Setup::Actpass) | (Setup::Actpass, Setup::Active) => {
                Some(Self::Server)
            }
            _ => None,
        }
    }
}

/// A protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// DTLS 1.2 (RFC 6347).
    Dtls12,
    /// DTLS 1.3 (RFC 9147).
    Dtls13,
}

impl Version {
    /// The number on the wire, as the W3C statistics' `tlsVersion` shows it.
    pub const fn id(self) -> u16 {
        match self {
            Self::Dtls12 => 0xfefd,
            Self::Dtls13 => 0xfefc,
        }
    }
}

/// Which versions to offer or accept. This is what forces a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Versions {
    /// 1.3 when the peer has it, otherwise 1.2.
    #[default]
    Auto,
    /// 1.2 only.
    Dtls12,
    /// 1.3 only.
    Dtls13,
}

/// Configuration of an [`Endpoint`](crate::Endpoint).
#[derive(Debug, Clone)]
pub struct Config {
    /// Versions to offer or accept.
    pub versions: Versions,
    /// SRTP profiles, the preferred one first; empty for a connection without SRTP. See the README for what the
    /// handshake engine allows here.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// The largest datagram to send in a handshake, UDP payload bytes. At least [`Config::MIN_MTU`].
    pub mtu: usize,
    /// The peer's fingerprints, if they are known already.
    pub remote_fingerprints: Vec<Fingerprint>,
    /// Where to write traffic secrets for Wireshark, in NSS key log format. Whoever reads it reads the connection.
    pub key_log: Option<KeyLog>,
    /// Whether a server answers the first ClientHello with a cookie only (RFC 6347 §4.2.1, RFC 9147 §5.1). Below ICE
    /// the peer's address is already proven, so that this costs a round trip for nothing: off by default.
    pub cookie: bool,
    /// The first retransmission timer, doubled at each retry. ICE has measured the path by then, and RFC 9147 §5.8.2
    /// allows less than a second where the application knows more.
    pub initial_timeout: Duration,
    /// Where doubling ends: a flight is sent again at least this often (RFC 6347 §4.2.4.1 has a maximum of a minute or
    /// more; below ICE the path is known to work).
    pub max_timeout: Duration,
    /// How often dimpl doubles its timer before giving up.
    pub max_retransmissions: usize,
    /// The longest handshake.
    pub handshake_timeout: Duration,
    /// Decrypted bytes held for an application that does not read, or held back until the peer is verified. What comes
    /// beyond is dropped and counted, as a datagram may be.
    pub receive_buffer: usize,
    /// How many records DTLS 1.3 sends under one key before it takes the next (RFC 9147 §8). The default is well
    /// below the 2^24.5 that RFC 8446 §5.5 allows; DTLS 1.2 has one key per connection.
    pub key_update_after: u64,
    /// Draw everything that can be from the generator given at construction, ephemeral keys included.
    /// **For tests only**: with a predictable generator the connection has no secrets.
    pub insecure_deterministic: bool,
}

impl Config {
    /// The smallest usable [`mtu`](Self::mtu).
    pub const MIN_MTU: usize = 256;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            versions: Versions::Auto,
            srtp_profiles: vec![
                SrtpProfile::AeadAes128Gcm,
                SrtpProfile::AeadAes256Gcm,
                SrtpProfile::Aes128CmHmacSha1_80,
            ],
            mtu: 1200,
            remote_fingerprints: Vec::new(),
            key_log: None,
            cookie: false,
            initial_timeout: Duration::from_millis(100),
            max_timeout: Duration::from_secs(1),
            max_retransmissions: 10,
            handshake_timeout: Duration::from_secs(60),
            receive_buffer: 1 << 20,
            key_update_after: 1 << 23,
            insecure_deterministic: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_attributes_resolve_to_opposite_roles_or_to_none() {
        let all = [Setup::Active, Setup::Passive, Setup::Actpass];
        for offer in all {
            let answer = offer.answer();
            let (offerer, answerer) = (Role::resolve(offer, answer), Role::resolve(answer, offer));
            assert!(
                offerer.is_some() && answerer.is_some() && offerer != answerer,
                "{offer:?}"
            );
            for other in all {
                let (one, two) = (Role::resolve(offer, other), Role::resolve(other, offer));
                assert_eq!(one.is_some(), two.is_some());
                assert!(one.is_none() || one != two);
            }
        }
        assert_eq!(Setup::Actpass.answer(), Setup::Active);
        assert_eq!(Role::resolve(Setup::Actpass, Setup::Actpass), None);
        assert_eq!(Role::resolve(Setup::Active, Setup::Active), None);
        assert_eq!(Role::resolve(Setup::Passive, Setup::Passive), None);
    }
}
