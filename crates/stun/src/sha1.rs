//! HMAC-SHA1 (RFC 2104) for MESSAGE-INTEGRITY, with the key's two blocks hashed once.
//!
//! What is protected is one or two blocks long: most of the time of a general HMAC goes into setting up its context.

use sha1::block_api::compress;

const BLOCK: usize = 64;
/// The length of the code.
pub(crate) const LEN: usize = 20;
/// FIPS 180-4 §5.3.1.
const START: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// A key: what the hash is after the inner, and after the outer padded key.
#[derive(Clone)]
pub(crate) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..LEN].copy_from_slice(&digest(START, 0, [key]));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let padded = |pad: u8| {
            let mut state = START;
            compress(&mut state, &[block.map(|byte| byte ^ pad)]);
            state
        };
        HmacSha1 {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    /// The code of all parts, one after the other.
    pub(crate) fn code<const N: usize>(&self, parts: [&[u8]; N]) -> [u8; LEN] {
        let inner = digest(self.inner, BLOCK, parts);
        digest(self.outer, BLOCK, [&inner])
    }
}

/// Goes on from a state that `before` bytes, whole blocks, have led to, and ends (FIPS 180-4 §5.1.1, §6.1.2).
fn digest<const N: usize>(mut state: [u32; 5], before: usize, parts: [&[u8]; N]) -> [u8; LEN] {
    let mut block = [0; BLOCK];
    let (mut at, mut length) = (0, before);
    for mut part in parts {
        length += part.len();
        if at > 0 {
            let (now, later) = part.split_at(part.len().min(BLOCK - at));
            block[at..at + now.len()].copy_from_slice(now);
            at += now.len();
            part = later;
            if at < BLOCK {
                continue;
            }
            compress(&mut state, &[block]);
        }
        let (blocks, rest) = part.as_chunks::<BLOCK>();
        compress(&mut state, blocks);
        block[..rest.len()].copy_from_slice(rest);
        at = rest.len();
    }
    block[at] = 0x80;
    block[at + 1..].fill(0);
    if at + 1 + 8 > BLOCK {
        compress(&mut state, &[block]);
        block.fill(0);
    }
    block[BLOCK - 8..].copy_from_slice(&(8 * length as u64).to_be_bytes());
    compress(&mut state, &[block]);
    let mut code = [0; LEN];
    for (bytes, word) in code.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    code
}

#[cfg(test)]
mod tests {
    use super::HmacSha1;
    use aws_lc_rs::hmac;

    #[test]
    fn is_hmac_sha1_for_every_length_of_key_and_message_however_it_is_cut() {
        let text: Vec<u8> = (0..300_u32).map(|index| (index * 7 + 3) as u8).collect();
        for key in [0, 1, 20, 63, 64, 65, 128, 200] {
            let key = &text[..key];
            let ours = HmacSha1::new(key);
            let theirs = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            for length in 0..text.len() {
                let message = &text[..length];
                let expected = hmac::sign(&theirs, message);
                assert_eq!(ours.code([message]), expected.as_ref(), "{length}");
                for cut in [length / 3, length.min(20), length.min(64)] {
                    let (first, second) = message.split_at(cut);
                    assert_eq!(ours.code([first, second]), expected.as_ref(), "{length}");
                    assert_eq!(ours.code([first, &[], second]), expected.as_ref());
                }
            }
        }
    }

    /// RFC 2202 §3, the second case.
    #[test]
    fn computes_the_example_of_the_text() {
        let code = HmacSha1::new(b"Jefe").code([b"what do ya want for nothing?"]);
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    }
}
