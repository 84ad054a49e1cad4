//! Session keys from a master key (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11).
//!
//! The pseudorandom function is AES in counter mode under the master key. The key derivation rate is zero, as DTLS-SRTP
//! has it (RFC 5764 §4.1.2): keys are derived once.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::profile::Profile;

/// The purposes of derived keys (RFC 3711 §4.3.2, RFC 6904 §3).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label {
    RtpEncryption = 0x00,
    RtpAuthentication = 0x01,
    RtpSalt = 0x02,
    RtcpEncryption = 0x03,
    RtcpAuthentication = 0x04,
    RtcpSalt = 0x05,
    HeaderEncryption = 0x06,
    HeaderSalt = 0x07,
}

/// The length of an HMAC-SHA1 key: n_a = 160 bits (RFC 3711 §5.2).
pub(crate) const AUTHENTICATION_KEY_LEN: usize = 20;

/// A master key, ready to derive from.
pub(crate) struct MasterKey {
    key: EncryptingKey,
    /// A salt of 12 bytes is filled up with zeros (RFC 7714 §11).
    salt: Zeroizing<[u8; 14]>,
}

impl MasterKey {
    pub(crate) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != profile.key_len() {
            return Err(KeyError::KeyLength {
                expected: profile.key_len(),
                actual: key.len(),
            });
        }
        if salt.len() != profile.salt_len() {
            return Err(KeyError::SaltLength {
                expected: profile.salt_len(),
                actual: salt.len(),
            });
        }
        let mut padded = Zeroizing::new([0; 14]);
        padded[..salt.len()].copy_from_slice(salt);
        Ok(Self {
            key: counter_mode(key)?,
            salt: padded,
        })
    }

    /// Fills `out` with the keystream of a label (RFC 3711 §4.3.1, §4.3.3): x = (label || 0^48) XOR salt, IV = x·2^16.
    pub(crate) fn derive(&self, label: Label, out: &mut [u8]) -> Result<(), KeyError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&*self.salt);
        iv[7] ^= label as u8;
        out.fill(0);
        self.key
            .less_safe_encrypt(out, EncryptionContext::Iv128((&iv).into()))
            .map_err(|_| KeyError::Crypto)?;
        Ok(())
    }
}

/// AES in counter mode, of the key's size.
pub(crate) fn counter_mode(key: &[u8]) -> Result<EncryptingKey, KeyError> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .map_err(|_| KeyError::Crypto)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    fn derived(profile: Profile, key: &str, salt: &str, label: Label, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        MasterKey::new(profile, &hex(key), &hex(salt))
            .unwrap()
            .derive(label, &mut out)
            .unwrap();
        out
    }

    /// RFC 3711 appendix B.2: the keystream of AES-CM under a session key and salt.
    #[test]
    fn counter_mode_matches_rfc_3711_appendix_b_2() {
        let key = counter_mode(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
        let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut keystream = vec![0; 16 * 0xff02];
        key.less_safe_encrypt(&mut keystream, EncryptionContext::Iv128((&iv).into()))
            .unwrap();
        let block = |n: usize| &keystream[16 * n..16 * (n + 1)];
        assert_eq!(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
        assert_eq!(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
        assert_eq!(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
        assert_eq!(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
        assert_eq!(block(0xff00), hex("362B7C3C6773516318A077D7FC5073AE"));
        assert_eq!(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_match_rfc_3711_appendix_b_3() {
        let derive = |label, len| {
            derived(
                Profile::Aes128CmHmacSha1_80,
                "E1F97A0D3E018BE0D64FA32C06DE4139",
                "0EC675AD498AFEEBB6960B3AABE6",
                label,
                len,
            )
        };
        assert_eq!(
            derive(Label::RtpEncryption, 16),
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derive(Label::RtpSalt, 14),
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        assert_eq!(
            derive(Label::RtpAuthentication, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }

    /// RFC 6188 §7.4 (AES-256 master key).
    #[test]
    fn session_keys_match_rfc_6188() {
        let derive = |label, len| {
            derived(
                Profile::Aes256CmHmacSha1_80,
                "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
                label,
                len,
            )
        };
        assert_eq!(
            derive(Label::RtpEncryption, 32),
            hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(
            derive(Label::RtpSalt, 14),
            hex("fa31791685ca444a9e07c6c64e93")
        );
        assert_eq!(
            derive(Label::RtpAuthentication, 20),
            hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    #[test]
    fn keys_and_salts_of_the_wrong_length_are_refused() {
        for profile in Profile::ALL {
            let key = vec![1; profile.key_len()];
            let salt = vec![2; profile.salt_len()];
            assert!(MasterKey::new(profile, &key, &salt).is_ok());
            assert!(matches!(
                MasterKey::new(profile, &key[1..], &salt),
                Err(KeyError::KeyLength { .. })
            ));
            assert!(matches!(
                MasterKey::new(profile, &key, &salt[1..]),
                Err(KeyError::SaltLength { .. })
            ));
        }
    }
}
