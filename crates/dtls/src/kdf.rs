//! Key derivation of TLS, for what dimpl does not give out: exporters, and alerts under the keys of a handshake.
//!
//! The PRF of TLS 1.2 (RFC 5246 §5) and HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1), with the prefix of DTLS 1.3
//! (RFC 9147 §5.9).

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// The hash a cipher suite derives its keys with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    /// The hash of a cipher suite, by its IANA number.
    pub(crate) fn of_suite(suite: u16) -> Self {
        // TLS_AES_256_GCM_SHA384 and TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384; all others we have use SHA-256.
        if matches!(suite, 0x1302 | 0xc02c) {
            Self::Sha384
        } else {
            Self::Sha256
        }
    }

    pub(crate) fn digest(self, data: &[u8]) -> digest::Digest {
        match self {
            Self::Sha256 => digest::digest(&digest::SHA256, data),
            Self::Sha384 => digest::digest(&digest::SHA384, data),
        }
    }

    fn key(self, secret: &[u8]) -> hmac::Key {
        match self {
            Self::Sha256 => hmac::Key::new(hmac::HMAC_SHA256, secret),
            Self::Sha384 => hmac::Key::new(hmac::HMAC_SHA384, secret),
        }
    }
}

/// The output or an input is longer than the construction allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

fn hmac_parts(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// `PRF(secret, label, seed)`: P_hash(secret, label + seed), A(0) = label + seed, A(i) = HMAC(secret, A(i-1)).
pub(crate) fn prf_tls12(hash: Hash, secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let key = hash.key(secret);
    let hmac = |first: &[u8], label_and_seed: bool| {
        let mut context = hmac::Context::with_key(&key);
        context.update(first);
        if label_and_seed {
            context.update(label);
            seed.iter().for_each(|part| context.update(part));
        }
        context.sign()
    };
    let mut a = hmac(&[], true);
    for chunk in out.chunks_mut(a.as_ref().len()) {
        let block = hmac(a.as_ref(), true);
        for (byte, output) in chunk.iter_mut().zip(block.as_ref()) {
            *byte = *output;
        }
        a = hmac(a.as_ref(), false);
    }
}

/// `HKDF-Expand(secret, info, len)` (RFC 5869 §2.3).
pub(crate) fn hkdf_expand(
    hash: Hash,
    secret: &[u8],
    info: &[u8],
    out: &mut [u8],
) -> Result<(), TooLong> {
    let key = hash.key(secret);
    let mut previous: Option<hmac::Tag> = None;
    let mut counter = 0u8;
    let block_len = hash.digest(&[]).as_ref().len();
    for chunk in out.chunks_mut(block_len) {
        counter = counter.checked_add(1).ok_or(TooLong)?;
        let before = previous.as_ref().map_or(&[][..], |tag| tag.as_ref());
        let block = hmac_parts(&key, &[before, info, &[counter]]);
        for (byte, output) in chunk.iter_mut().zip(block.as_ref()) {
            *byte = *output;
        }
        previous = Some(block);
    }
    Ok(())
}

/// `HKDF-Expand-Label(secret, label, context, len)` with "dtls13" instead of "tls13 " (RFC 9147 §5.9).
pub(crate) fn expand_label(
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), TooLong> {
    expand_label_with(b"dtls13", hash, secret, label, context, out)
}

fn expand_label_with(
    prefix: &[u8; 6],
    hash: Hash,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), TooLong> {
    let mut info = Vec::with_capacity(4 + prefix.len() + label.len() + context.len());
    info.extend_from_slice(&u16::try_from(out.len()).map_err(|_| TooLong)?.to_be_bytes());
    info.push(u8::try_from(prefix.len() + label.len()).map_err(|_| TooLong)?);
    info.extend_from_slice(prefix);
    info.extend_from_slice(label);
    info.push(u8::try_from(context.len()).map_err(|_| TooLong)?);
    info.extend_from_slice(context);
    hkdf_expand(hash, secret, &info, out)
}

/// The exporter of TLS 1.2 (RFC 5705 §4).
pub(crate) fn export_tls12(
    hash: Hash,
    master_secret: &[u8],
    client_random: &[u8],
    server_random: &[u8],
    label: &[u8],
    context: Option<&[u8]>,
    out: &mut [u8],
) -> Result<(), TooLong> {
    match context {
        None => prf_tls12(
            hash,
            master_secret,
            label,
            &[client_random, server_random],
            out,
        ),
        Some(context) => {
            let len = u16::try_from(context.len())
                .map_err(|_| TooLong)?
                .to_be_bytes();
            prf_tls12(
                hash,
                master_secret,
                label,
                &[client_random, server_random, &len, context],
                out,
            );
        }
    }
    Ok(())
}

/// The exporter of TLS 1.3 (RFC 8446 §7.5): no context is the same as an empty one.
pub(crate) fn export_tls13(
    hash: Hash,
    exporter_secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), TooLong> {
    let empty = hash.digest(&[]);
    let mut secret = Zeroizing::new(vec![0; empty.as_ref().len()]);
    expand_label(hash, exporter_secret, label, empty.as_ref(), &mut secret)?;
    expand_label(
        hash,
        &secret,
        b"exporter",
        hash.digest(context).as_ref(),
        out,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|digit| digit.to_digit(16))
            .map(|digit| digit as u8)
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    /// The vector of the TLS working group's list for P_SHA256, as every implementation carries it.
    #[test]
    fn the_prf_matches_the_published_vector() {
        let mut out = [0; 100];
        let (secret, seed) = (
            hex("9bbe436ba940f017b17652849a71db35"),
            hex("a0ba9f936cda311827a6f796ffd5198c"),
        );
        prf_tls12(Hash::Sha256, &secret, b"test label", &[&seed], &mut out);
        assert_eq!(
            out[..],
            hex(
                "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af\
                 0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701\
                 87347b66"
            )
        );
        // A seed in parts is the seed.
        let mut parts = [0; 100];
        prf_tls12(
            Hash::Sha256,
            &secret,
            b"test ",
            &[b"label", &seed[..7], &seed[7..]],
            &mut parts,
        );
        assert_eq!(parts, out);
    }

    /// RFC 5869 A.1 and A.2.
    #[test]
    fn hkdf_expand_matches_rfc_5869() {
        let mut out = [0; 42];
        hkdf_expand(
            Hash::Sha256,
            &hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"),
            &hex("f0f1f2f3f4f5f6f7f8f9"),
            &mut out,
        )
        .unwrap();
        assert_eq!(
            out[..],
            hex(
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
            )
        );
        let mut out = [0; 82];
        hkdf_expand(
            Hash::Sha256,
            &hex("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"),
            &(0xb0..=0xff).collect::<Vec<u8>>(),
            &mut out,
        )
        .unwrap();
        assert_eq!(
            out[..],
            hex(
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
                 da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            )
        );
    }

    /// RFC 8448 §3, the simple 1-RTT handshake: a handshake traffic secret and the keys from it. The prefix of TLS 1.3
    /// stands in for that of DTLS 1.3, for which nothing is published.
    #[test]
    fn expand_label_matches_rfc_8448() {
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let mut key = [0; 16];
        expand_label_with(b"tls13 ", Hash::Sha256, &secret, b"key", b"", &mut key).unwrap();
        assert_eq!(key[..], hex("3fce516009c21727d0f2e4e86ee403bc"));
        let mut iv = [0; 12];
        expand_label_with(b"tls13 ", Hash::Sha256, &secret, b"iv", b"", &mut iv).unwrap();
        assert_eq!(iv[..], hex("5d313eb2671276ee13000b30"));
        let mut finished = [0; 32];
        expand_label_with(
            b"tls13 ",
            Hash::Sha256,
            &secret,
            b"finished",
            b"",
            &mut finished,
        )
        .unwrap();
        assert_eq!(
            finished[..],
            hex("008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8")
        );
    }

    #[test]
    fn lengths_beyond_the_construction_are_refused() {
        let mut long = vec![0; 255 * 32 + 1];
        assert_eq!(
            hkdf_expand(Hash::Sha256, b"k", b"", &mut long),
            Err(TooLong)
        );
        assert_eq!(hkdf_expand(Hash::Sha256, b"k", b"", &mut long[1..]), Ok(()));
        assert_eq!(
            expand_label(Hash::Sha256, b"k", &[b'x'; 250], b"", &mut [0; 4]),
            Err(TooLong)
        );
        assert_eq!(
            expand_label(Hash::Sha256, b"k", b"x", &[0; 256], &mut [0; 4]),
            Err(TooLong)
        );
        let context = vec![0; 65536];
        assert_eq!(
            export_tls12(
                Hash::Sha256,
                b"k",
                b"",
                b"",
                b"x",
                Some(&context),
                &mut [0; 4]
            ),
            Err(TooLong)
        );
    }
}
