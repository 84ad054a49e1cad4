//! Published test vectors. Those of RFC 3711 appendix B and RFC 6188 are in `kdf`.

use bytes::BytesMut;

use crate::extension::Selection;
use crate::header::RtpHeader;
use crate::kdf::{MasterKey, counter_mode};
use crate::testing::hex;
use crate::transform::{CounterMode, gcm_seal, rtcp_nonce, rtp_nonce};
use crate::{Config, Cryptex, Profile, Protector, Unprotector, extension};

/// The packet of RFC 7714 §16, and what both ciphers make of it.
const GALLIA: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";
const GALLIA_128: &str = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
    0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
const GALLIA_256: &str = "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
    9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";
/// The packet of RFC 7714 §17, and what both ciphers make of it.
const REPORT: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const REPORT_128: &str = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
    c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
const REPORT_256: &str = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
    a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";
const QUID_PRO_QUO: &str = "51756964 2070726f 2071756f";

fn quid(key_len: u8) -> (Vec<u8>, [u8; 12]) {
    (
        (0..key_len).collect(),
        hex(QUID_PRO_QUO).try_into().unwrap(),
    )
}

/// RFC 7714 §16.1.1–2 and §16.2.1–2; the session keys are given, no master key.
#[test]
fn srtp_matches_rfc_7714_section_16() {
    for (profile, sealed) in [
        (Profile::AeadAes128Gcm, GALLIA_128),
        (Profile::AeadAes256Gcm, GALLIA_256),
    ] {
        let (key, salt) = quid(profile.key_len() as u8);
        let mut sender = Protector::with_session_key(profile, &key, salt);
        let mut buf = hex(GALLIA);
        sender.protect_rtp(&mut buf, 0).unwrap();
        assert_eq!(buf, hex(sealed), "{profile}");
        let mut receiver = Unprotector::with_session_key(profile, &key, salt);
        let mut packet = BytesMut::from(&buf[..]);
        receiver.unprotect_rtp(&mut packet).unwrap();
        assert_eq!(packet[..], hex(GALLIA), "{profile}");
    }
}

/// RFC 7714 §17.1 and §17.2.
#[test]
fn srtcp_matches_rfc_7714_section_17() {
    for (profile, sealed) in [
        (Profile::AeadAes128Gcm, REPORT_128),
        (Profile::AeadAes256Gcm, REPORT_256),
    ] {
        let (key, salt) = quid(profile.key_len() as u8);
        let mut sender = Protector::with_session_key(profile, &key, salt);
        sender.set_next_rtcp_index(0x4d61_7273, 0x5d4);
        let mut buf = hex(REPORT);
        sender.protect_rtcp(&mut buf, 0).unwrap();
        assert_eq!(buf, hex(sealed), "{profile}");
        let mut receiver = Unprotector::with_session_key(profile, &key, salt);
        let mut packet = BytesMut::from(&buf[..]);
        receiver.unprotect_rtcp(&mut packet).unwrap();
        assert_eq!(packet[..], hex(REPORT), "{profile}");
    }
}

/// RFC 7714 §16.1.3, §16.2.3, §17.3 and §17.4: tags without encryption. WebRTC has no use for such packets; the nonces and
/// the tags are right all the same.
#[test]
fn tags_alone_match_rfc_7714() {
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, LessSafeKey, UnboundKey};
    let key = |len| {
        let algorithm = if len == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        LessSafeKey::new(UnboundKey::new(algorithm, &quid(len).0).unwrap())
    };
    let salt = quid(16).1;
    let rtp = || rtp_nonce(&salt, 0x5501_a0b2, 0xf17b);
    let tag = gcm_seal(&key(16), rtp(), &hex(GALLIA), &mut []).unwrap();
    assert_eq!(tag[..], hex("22493f82d2bce397e9d79e3b19aa4216"));
    let rtcp = || rtcp_nonce(&salt, 0x4d61_7273, 0x5d4);
    let associated = [hex(REPORT), hex("000005d4")].concat();
    assert_eq!(
        gcm_seal(&key(16), rtcp(), &associated, &mut []).unwrap()[..],
        hex("841dd9683dd78ec92ae58790125f62b3")
    );
    assert_eq!(
        gcm_seal(&key(32), rtcp(), &associated, &mut []).unwrap()[..],
        hex("91db4afbfeee5a978fab4393ed2615fe")
    );
}

/// RFC 9335 A.1: name, packet, encrypted packet.
const CRYPTEX_COUNTER_MODE: [(&str, &str, &str); 6] = [
    (
        "RTP Packet with One-Byte Header Extension",
        "900f1235decafbadcafebabebede000151000200abababababababababababababababab",
        "900f1235decafbadcafebabec0de0001eb92365251c3e036f8de27e9c27ee3e0b4651d9fbc4218a70244522f34a5",
    ),
    (
        "RTP Packet with Two-Byte Header Extension",
        "900f1236decafbadcafebabe1000000105020002abababababababababababababababab",
        "900f1236decafbadcafebabec2de00014ed9cc4e6a712b3096c5ca77339d4204ce0d77396cab69585fbce38194a5",
    ),
    (
        "RTP Packet with One-Byte Header Extension and CSRC Fields",
        "920f1238decafbadcafebabe0001e2400000b26ebede000151000200abababababababababababababababab",
        "920f1238decafbadcafebabe8bb6e12b5cff16ddc0de000192838c8c09e58393e1de3a9a74734d6745671338c3acf11da2df8423bee0",
    ),
    (
        "RTP Packet with Two-Byte Header Extension and CSRC Fields",
        "920f1239decafbadcafebabe0001e2400000b26e1000000105020002abababababababababababababababab",
        "920f1239decafbadcafebabef70e513eb90b9b25c2de0001bbed4848faa644665f3d7f34125914e9f4d0ae923c6f479b95a0f7b53133",
    ),
    (
        "RTP Packet with Empty One-Byte Header Extension and CSRC Fields",
        "920f123adecafbadcafebabe0001e2400000b26ebede0000abababababababababababababababab",
        "920f123adecafbadcafebabe7130b6abfe2ab0e3c0de0000e3d9f64b25c9e74cb4cf8e43fb92e3781c2c0ceab6b3a499a14c",
    ),
    (
        "RTP Packet with Empty Two-Byte Header Extension and CSRC Fields",
        "920f123bdecafbadcafebabe0001e2400000b26e10000000abababababababababababababababab",
        "920f123bdecafbadcafebabecbf24c124330e1c8c2de0000599dd45bc9d687b603e8b59d771fd38e88b170e0cd31e125eabe",
    ),
];

/// RFC 9335 A.2.
const CRYPTEX_GCM: [(&str, &str, &str); 6] = [
    (
        "RTP Packet with One-Byte Header Extension",
        "900f1235decafbadcafebabebede000151000200abababababababababababababababab",
        "900f1235decafbadcafebabec0de000139972dc9572c4d99e8fc355de743fb2e94f9d8ff54e72f4193bbc5c74ffab0fa9fa0fbeb",
    ),
    (
        "RTP Packet with Two-Byte Header Extension",
        "900f1236decafbadcafebabe1000000105020002abababababababababababababababab",
        "900f1236decafbadcafebabec2de0001bb75a4c545cd1f413bdb7daa2b1e3263de313667c963249081b35a65f5cb6c88b394235f",
    ),
    (
        "RTP Packet with One-Byte Header Extension and CSRC Fields",
        "920f1238decafbadcafebabe0001e2400000b26ebede000151000200abababababababababababababababab",
        "920f1238decafbadcafebabe63bbccc4a7f695c4c0de00018ad7c71fac70a80c92866b4c6ba98546ef913586e95ffaaffe956885bb0647a8bc094ac8",
    ),
    (
        "RTP Packet with Two-Byte Header Extension and CSRC Fields",
        "920f1239decafbadcafebabe0001e2400000b26e1000000105020002abababababababababababababababab",
        "920f1239decafbadcafebabe3680524f8d312b00c2de0001c78d120038422bc111a7187a18246f980c059cc6bc9df8b626394eca344e4b05d80fea83",
    ),
    (
        "RTP Packet with Empty One-Byte Header Extension and CSRC Fields",
        "920f123adecafbadcafebabe0001e2400000b26ebede0000abababababababababababababababab",
        "920f123adecafbadcafebabe15b6bb4337906fffc0de0000b7b964537a2b03ab7ba5389ce93317126b5d974df30c6884dcb651c5e120c1da",
    ),
    (
        "RTP Packet with Empty Two-Byte Header Extension and CSRC Fields",
        "920f123bdecafbadcafebabe0001e2400000b26e10000000abababababababababababababababab",
        "920f123bdecafbadcafebabedcb38c9e48bf95f4c2de000061ee432cf920317076613258d3ce4236c06ac429681ad08413512dc98b5207d8",
    ),
];

#[test]
fn cryptex_matches_rfc_9335_appendix_a() {
    let counter_mode = (
        Profile::Aes128CmHmacSha1_80,
        "e1f97a0d3e018be0d64fa32c06de4139",
        "0ec675ad498afeebb6960b3aabe6",
    );
    let gcm = (
        Profile::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f",
        "a0a1a2a3a4a5a6a7a8a9aaab",
    );
    for ((profile, key, salt), vectors) in
        [(counter_mode, CRYPTEX_COUNTER_MODE), (gcm, CRYPTEX_GCM)]
    {
        let config = Config {
            cryptex: Cryptex::Required,
            ..Config::default()
        };
        let mut sender = Protector::new(profile, &hex(key), &hex(salt), config.clone()).unwrap();
        let mut receiver = Unprotector::new(profile, &hex(key), &hex(salt), config).unwrap();
        for (name, clear, sealed) in vectors {
            let mut buf = hex(clear);
            sender.protect_rtp(&mut buf, 0).unwrap();
            assert_eq!(buf, hex(sealed), "{profile}: {name}");
            let mut packet = BytesMut::from(&buf[..]);
            receiver.unprotect_rtp(&mut packet).unwrap();
            assert_eq!(packet[..], hex(clear), "{profile}: {name}");
        }
    }
}

/// RFC 9335 appendix A gives the session keys, too (RFC 7714 has no vector of its key derivation).
#[test]
fn gcm_session_keys_match_rfc_9335() {
    use crate::kdf::Label;
    let master = MasterKey::new(
        Profile::AeadAes128Gcm,
        &hex("000102030405060708090a0b0c0d0e0f"),
        &hex("a0a1a2a3a4a5a6a7a8a9aaab"),
    )
    .unwrap();
    let mut key = [0; 16];
    master.derive(Label::RtpEncryption, &mut key).unwrap();
    assert_eq!(key[..], hex("077c6143cb221bc355ff23d5f984a16e"));
    let mut salt = [0; 12];
    master.derive(Label::RtpSalt, &mut salt).unwrap();
    assert_eq!(salt[..], hex("9af3e95364ebac9c99c5a7c4"));
}

/// RFC 6904 §3.1: the example's mask. What changed under a keystream is what the mask covers, and it changed by that keystream.
#[test]
fn the_encryption_mask_matches_rfc_6904_figure_2() {
    // ID 1 with 8 bytes, ID 2 with 3, ID 3 with 1, ID 4 with 7, padding; 1, 3 and 4 are encrypted.
    let expected: Vec<u8> = [
        [&[0][..], &[0xff; 8]].concat(), // timecode
        vec![0; 4],                      // transmission time offset, in the clear
        vec![0, 0xff],                   // audio level
        [&[0][..], &[0xff; 7]].concat(), // NTP timestamp
        vec![0],                         // padding
    ]
    .concat();
    let mut data = vec![
        0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x22, 1, 2, 3, 0x30, 9, 0x46, 1, 2, 3, 4, 5, 6, 7, 0,
    ];
    let mut packet = vec![
        0x90, 96, 0, 7, 0, 0, 0, 0, 0xca, 0xfe, 0xba, 0xbe, 0xbe, 0xde, 0, 6,
    ];
    packet.append(&mut data);
    let clear = packet.clone();
    let header = RtpHeader::parse(&packet).unwrap();
    let master = MasterKey::new(Profile::Aes128CmHmacSha1_80, &[3; 16], &[4; 14]).unwrap();
    let cipher = CounterMode::header(Profile::Aes128CmHmacSha1_80, &master).unwrap();
    let mut keystream = Vec::new();
    let selection = Selection::new(&[1, 3, 4]);
    extension::mask_elements(&cipher, selection, &header, 7, &mut packet, &mut keystream).unwrap();
    assert_eq!(expected.len(), keystream.len());
    for (at, mask) in expected.iter().enumerate() {
        assert_eq!(
            packet[16 + at] ^ clear[16 + at],
            keystream[at] & mask,
            "byte {at}"
        );
    }
    assert_eq!(packet[..16], clear[..16]);

    // The keystream is that of RFC 3711 §4.1.1 under k_he and k_hs (§3.2).
    let mut key = [0; 16];
    master
        .derive(crate::kdf::Label::HeaderEncryption, &mut key)
        .unwrap();
    let mut iv = [0; 16];
    master
        .derive(crate::kdf::Label::HeaderSalt, &mut iv[..14])
        .unwrap();
    for (at, byte) in [0xca, 0xfe, 0xba, 0xbe].into_iter().enumerate() {
        iv[4 + at] ^= byte;
    }
    iv[13] ^= 7;
    let mut own = vec![0; keystream.len()];
    let context = aws_lc_rs::cipher::EncryptionContext::Iv128((&iv).into());
    counter_mode(&key)
        .unwrap()
        .less_safe_encrypt(&mut own, context)
        .unwrap();
    assert_eq!(own, keystream);
}
