//! SRTP protection profiles as DTLS negotiates them (RFC 5764 §4.1.2, RFC 7714 §14.2), and the keys that come out.

use std::fmt;

use zeroize::Zeroizing;

/// An SRTP protection profile of the `use_srtp` extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpProfile {
    /// `SRTP_AES128_CM_HMAC_SHA1_80`, {0x00, 0x01}: every WebRTC endpoint has it (RFC 8827 §6.5).
    Aes128CmHmacSha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32`, {0x00, 0x02}: known to pc-srtp, never negotiated here (RFC 8827 §6.5).
    Aes128CmHmacSha1_32,
    /// `SRTP_AEAD_AES_128_GCM`, {0x00, 0x07}: the cheapest.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`, {0x00, 0x08}.
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// The number of the IANA registry "DTLS-SRTP Protection Profiles".
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes128CmHmacSha1_80 => 0x0001,
            Self::Aes128CmHmacSha1_32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The profile of a number, if it is known.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmHmacSha1_80),
            0x0002 => Some(Self::Aes128CmHmacSha1_32),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// The length of a master key, in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// The length of a master salt, in bytes.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::Aes128CmHmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }
}

/// The name, as the IANA registry and the W3C statistics (`srtpCipher`) write it.
impl fmt::Display for SrtpProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::Aes128CmHmacSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        })
    }
}

/// One direction's master key and salt. Zeroized on drop, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// The master key, [`SrtpProfile::key_len`] bytes.
    pub key: Zeroizing<Vec<u8>>,
    /// The master salt, [`SrtpProfile::salt_len`] bytes.
    pub salt: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey { .. }")
    }
}

/// What a handshake yields for SRTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// The negotiated profile.
    pub profile: SrtpProfile,
    /// Protects what this side sends.
    pub local: MasterKey,
    /// Opens what the peer sends.
    pub remote: MasterKey,
}

impl SrtpKeys {
    /// Splits exported keying material: client key, server key, client salt, server salt (RFC 5764 §4.2).
    /// `None` when the material is shorter than the profile needs.
    pub fn split(profile: SrtpProfile, material: &[u8], local_is_client: bool) -> Option<Self> {
        let (client_key, rest) = material.split_at_checked(profile.key_len())?;
        let (server_key, rest) = rest.split_at_checked(profile.key_len())?;
        let (client_salt, rest) = rest.split_at_checked(profile.salt_len())?;
        let server_salt = rest.get(..profile.salt_len())?;
        let own = |key: &[u8], salt: &[u8]| MasterKey {
            key: Zeroizing::new(key.to_vec()),
            salt: Zeroizing::new(salt.to_vec()),
        };
        let client = own(client_key, client_salt);
        let server = own(server_key, server_salt);
        let (local, remote) = if local_is_client {
            (client, server)
        } else {
            (server, client)
        };
        Some(Self {
            profile,
            local,
            remote,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip_and_strangers_are_refused() {
        for id in 0..=u16::MAX {
            if let Some(profile) = SrtpProfile::from_id(id) {
                assert_eq!(profile.id(), id);
            }
        }
        assert_eq!((0..=u16::MAX).filter_map(SrtpProfile::from_id).count(), 4);
        assert_eq!(SrtpProfile::from_id(0), None);
    }

    #[test]
    fn keying_material_is_split_in_the_order_of_rfc_5764() {
        let material: Vec<u8> = (0..60).collect();
        let profile = SrtpProfile::Aes128CmHmacSha1_80;
        let client = SrtpKeys::split(profile, &material, true).unwrap();
        assert_eq!(client.local.key[..], material[0..16]);
        assert_eq!(client.remote.key[..], material[16..32]);
        assert_eq!(client.local.salt[..], material[32..46]);
        assert_eq!(client.remote.salt[..], material[46..60]);
        let server = SrtpKeys::split(profile, &material, false).unwrap();
        assert_eq!(server.local, client.remote);
        assert_eq!(server.remote, client.local);
        assert_eq!(SrtpKeys::split(profile, &material[..59], true), None);
    }

    #[test]
    fn secrets_do_not_appear_in_debug_output() {
        let keys = SrtpKeys::split(SrtpProfile::AeadAes128Gcm, &[0xA7; 56], true).unwrap();
        let text = format!("{keys:?} {keys:#?}").to_lowercase();
        assert!(!text.contains("a7") && !text.contains("167"), "{text}");
    }
}
