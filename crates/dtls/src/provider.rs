//! The cryptographic provider given to dimpl: aws-lc-rs as dimpl wraps it, with one ear at the door.
//!
//! dimpl keeps its secrets to itself: it exports SRTP keys and nothing else. A key log, exporters of any label and
//! records sealed in the caller's buffer need the connection's secrets, and all of them pass through the provider's
//! `hmac`, by which dimpl computes the PRF of DTLS 1.2 and the HKDF of 1.3. So this provider notes them in a
//! [`Notebook`] that belongs to one endpoint.
//!
//! The provider's traits are `&'static` and carry no connection, hence the notebook of the endpoint that is being
//! called lies in a thread-local slot for the length of that call ([`Notebook::during`]), and nowhere at any other time.

use std::cell::RefCell;
use std::mem;

use dimpl::crypto::{
    Aad, ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite,
    HashAlgorithm, HmacProvider, KeyProvider, NamedGroup, Nonce, SigningKey,
    SupportedDtls12CipherSuite, SupportedDtls13CipherSuite, SupportedKxGroup, TmpBuf,
    aws_lc_rs as stock,
};
use dimpl::{CryptoError, CryptoOperation};
use rand::Rng;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

use aws_lc_rs::aead::quic::{CHACHA20, HeaderProtectionKey};
use aws_lc_rs::agreement;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, UnboundCipherKey};
use subtle::ConstantTimeEq;

use crate::deterministic::DeterministicKey;
use crate::records::content::HANDSHAKE;

pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// The secrets of one connection, as they pass by.
#[derive(Default)]
pub(crate) struct Notebook {
    /// Draws ephemeral keys in deterministic tests.
    pub(crate) rng: Option<StdRng>,
    /// DTLS 1.2: the master secret, the server's and the client's random (RFC 5246 §6.3).
    pub(crate) master: Option<MasterSecret>,
    /// DTLS 1.3, RFC 8446 §7.1: traffic secrets of the handshake and of the application, client's and server's.
    pub(crate) handshake_traffic: [Option<Secret>; 2],
    pub(crate) application_traffic: [Option<Secret>; 2],
    /// DTLS 1.3: the exporter's secret.
    pub(crate) exporter: Option<Secret>,
    /// The cipher suite a cipher was last made for.
    pub(crate) suite: Option<u16>,
    /// How many records had a wrong tag.
    pub(crate) bad_tags: u64,
    /// DTLS 1.3: the `message_seq` of the next handshake message to send.
    pub(crate) next_message: u16,
    /// Scheduled keys of record number encryption, the last used first: dimpl hands them over raw for each record.
    sequence_keys: Vec<(Secret, SequenceKey)>,
}

pub(crate) struct MasterSecret {
    pub(crate) secret: Secret,
    pub(crate) server_random: [u8; 32],
    pub(crate) client_random: [u8; 32],
}

thread_local! {
    static OPEN: RefCell<Option<Notebook>> = const { RefCell::new(None) };
}

impl Notebook {
    /// Runs one call into dimpl with this notebook open.
    pub(crate) fn during<R>(&mut self, call: impl FnOnce() -> R) -> R {
        /// Puts the notebook back, also when the call unwinds.
        struct Close<'a>(&'a mut Notebook, Option<Notebook>);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                let used = OPEN.with_borrow_mut(|open| mem::replace(open, self.1.take()));
                *self.0 = used.unwrap_or_default();
            }
        }
        let outer = OPEN.with_borrow_mut(|open| open.replace(mem::take(self)));
        let _close = Close(self, outer);
        call()
    }

    /// Keeps what exporters need.
    pub(crate) fn forget_handshake(&mut self) {
        self.handshake_traffic = [None, None];
        self.application_traffic = [None, None];
        self.sequence_keys = Vec::new();
    }

    fn note(&mut self, key: &[u8], data: &[u8], output: &[u8]) {
        self.note_master(key, data);
        self.note_traffic(data, output);
    }

    /// DTLS 1.2: the first step of `PRF(master_secret, "key expansion", server_random + client_random)`.
    fn note_master(&mut self, key: &[u8], data: &[u8]) {
        let Some(randoms) = data.strip_prefix(b"key expansion") else {
            return;
        };
        let Some((server, client)) = randoms.split_at_checked(32) else {
            return;
        };
        if let (Ok(server_random), Ok(client_random)) = (server.try_into(), client.try_into()) {
            let secret = Zeroizing::new(key.to_vec());
            self.master = Some(MasterSecret {
                secret,
                server_random,
                client_random,
            });
        }
    }

    /// DTLS 1.3: the only step of an HKDF-Expand-Label whose output is one hash long. The input is
    /// `HkdfLabel { length(2), label_length(1), "dtls13" + label, context_length(1), context } || 0x01`.
    fn note_traffic(&mut self, data: &[u8], output: &[u8]) {
        let Some((&label_len, rest)) = data.get(2..).and_then(|rest| rest.split_first()) else {
            return;
        };
        let Some(label) = rest.get(..usize::from(label_len)) else {
            return;
        };
        let Some(label) = label.strip_prefix(b"dtls13") else {
            return;
        };
        let slot = match label {
            b"c hs traffic" => &mut self.handshake_traffic[0],
            b"s hs traffic" => &mut self.handshake_traffic[1],
            b"c ap traffic" => &mut self.application_traffic[0],
            b"s ap traffic" => &mut self.application_traffic[1],
            b"exp master" => &mut self.exporter,
            _ => return,
        };
        *slot = Some(Zeroizing::new(output.to_vec()));
    }
}

/// The provider.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider {
        hmac_provider: &Hmac,
        key_provider: &Keys,
        kx_groups: GROUPS,
        cipher_suites: SUITES_12,
        dtls13_cipher_suites: SUITES_13,
        ..stock::default_provider()
    }
}

#[derive(Debug)]
struct Hmac;

impl HmacProvider for Hmac {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let len = stock::default_provider()
            .hmac_provider
            .hmac(hash, key, data, out)?;
        OPEN.with_borrow_mut(|open| {
            if let (Some(notebook), Some(output)) = (open, out.get(..len)) {
                notebook.note(key, data, output);
            }
        });
        Ok(len)
    }
}

/// A cipher suite of the stock provider, by its place there.
#[derive(Debug)]
struct Suite12(usize);

impl Suite12 {
    fn stock(&self) -> &'static dyn SupportedDtls12CipherSuite {
        stock::default_provider().cipher_suites[self.0]
    }
}

/// The certificate suites; the fourth of the stock provider is for pre-shared keys.
const SUITES_12: &[&dyn SupportedDtls12CipherSuite] = &[&Suite12(0), &Suite12(1), &Suite12(2)];

impl SupportedDtls12CipherSuite for Suite12 {
    fn suite(&self) -> Dtls12CipherSuite {
        self.stock().suite()
    }
    fn hash_algorithm(&self) -> HashAlgorithm {
        self.stock().hash_algorithm()
    }
    fn key_lengths(&self) -> (usize, usize, usize) {
        self.stock().key_lengths()
    }
    fn explicit_nonce_len(&self) -> usize {
        self.stock().explicit_nonce_len()
    }
    fn tag_len(&self) -> usize {
        self.stock().tag_len()
    }
    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        note_suite(self.suite().as_u16());
        Ok(Box::new(Noted {
            cipher: self.stock().create_cipher(key)?,
            has_inner_type: false,
        }))
    }
}

#[derive(Debug)]
struct Suite13(usize);

impl Suite13 {
    fn stock(&self) -> &'static dyn SupportedDtls13CipherSuite {
        stock::default_provider().dtls13_cipher_suites[self.0]
    }
}

const SUITES_13: &[&dyn SupportedDtls13CipherSuite] = &[&Suite13(0), &Suite13(1), &Suite13(2)];

impl SupportedDtls13CipherSuite for Suite13 {
    fn suite(&self) -> Dtls13CipherSuite {
        self.stock().suite()
    }
    fn hash_algorithm(&self) -> HashAlgorithm {
        self.stock().hash_algorithm()
    }
    fn key_len(&self) -> usize {
        self.stock().key_len()
    }
    fn iv_len(&self) -> usize {
        self.stock().iv_len()
    }
    fn tag_len(&self) -> usize {
        self.stock().tag_len()
    }
    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        note_suite(self.suite().as_u16());
        Ok(Box::new(Noted {
            cipher: self.stock().create_cipher(key)?,
            has_inner_type: true,
        }))
    }
    fn encrypt_sn(&self, sn_key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        OPEN.with_borrow_mut(|open| {
            open.as_mut()?
                .encrypt_sn(self.suite().as_u16(), sn_key, sample)
        })
        .unwrap_or_else(|| self.stock().encrypt_sn(sn_key, sample))
    }
}

/// A scheduled key of record number encryption (RFC 9147 §4.2.3).
pub(crate) enum SequenceKey {
    Aes(EncryptingKey),
    ChaCha(HeaderProtectionKey),
}

impl SequenceKey {
    pub(crate) fn new(suite: u16, key: &[u8]) -> Option<Self> {
        let aes = |algorithm| {
            UnboundCipherKey::new(algorithm, key)
                .and_then(EncryptingKey::ecb)
                .ok()
        };
        match suite {
            0x1301 => aes(&AES_128).map(Self::Aes),
            0x1302 => aes(&AES_256).map(Self::Aes),
            0x1303 => HeaderProtectionKey::new(&CHACHA20, key)
                .ok()
                .map(Self::ChaCha),
            _ => None,
        }
    }

    /// AES-ECB(key, sample), or ChaCha20's first bytes with the sample as counter and nonce.
    #[inline]
    pub(crate) fn mask(&self, sample: &[u8; 16]) -> Option<[u8; 16]> {
        let mut mask = *sample;
        match self {
            Self::Aes(key) => {
                key.encrypt(&mut mask).ok()?;
            }
            Self::ChaCha(key) => {
                let bytes = key.new_mask(sample).ok()?;
                mask = [0; 16];
                mask[..bytes.len()].copy_from_slice(&bytes);
            }
        }
        Some(mask)
    }
}

impl Notebook {
    /// Two directions, and as many again while keys are updated.
    const MAX_SEQUENCE_KEYS: usize = 4;

    fn encrypt_sn(&mut self, suite: u16, key: &[u8], sample: &[u8; 16]) -> Option<[u8; 16]> {
        match self
            .sequence_keys
            .iter()
            .position(|(known, _)| bool::from(known.ct_eq(key)))
        {
            Some(0) => {}
            Some(at) => self.sequence_keys.swap(0, at),
            None => {
                let scheduled = SequenceKey::new(suite, key)?;
                self.sequence_keys.truncate(Self::MAX_SEQUENCE_KEYS - 1);
                self.sequence_keys
                    .insert(0, (Zeroizing::new(key.to_vec()), scheduled));
            }
        }
        self.sequence_keys.first()?.1.mask(sample)
    }
}

/// Loads private keys; of a deterministic test, keys that sign without chance.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let deterministic =
            OPEN.with_borrow(|open| open.as_ref().is_some_and(|open| open.rng.is_some()));
        if deterministic && let Some(key) = DeterministicKey::from_pkcs8(der) {
            return Ok(Box::new(key));
        }
        stock::default_provider().key_provider.load_private_key(der)
    }
}

/// A cipher whose refusals are noted, as dimpl drops such records without a word; and the numbers of the handshake messages
/// that it seals, as those after the handshake go on from there.
#[derive(Debug)]
struct Noted {
    cipher: Box<dyn Cipher>,
    /// The plaintext ends in its content type (RFC 9147 §4).
    has_inner_type: bool,
}

impl Cipher for Noted {
    fn encrypt(&mut self, plaintext: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        // RFC 9147 §5.2: msg_type(1), length(3), message_seq(2).
        if self.has_inner_type
            && plaintext.last() == Some(&HANDSHAKE)
            && let Some(&[_, _, _, _, high, low]) = plaintext.first_chunk()
        {
            let next = u16::from_be_bytes([high, low]).saturating_add(1);
            OPEN.with_borrow_mut(|open| {
                if let Some(notebook) = open {
                    notebook.next_message = notebook.next_message.max(next);
                }
            });
        }
        self.cipher.encrypt(plaintext, aad, nonce)
    }

    fn decrypt(
        &mut self,
        ciphertext: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let result = self.cipher.decrypt(ciphertext, aad, nonce);
        if result.is_err() {
            OPEN.with_borrow_mut(|open| {
                if let Some(notebook) = open {
                    notebook.bad_tags += 1;
                }
            });
        }
        result
    }
}

fn note_suite(suite: u16) {
    OPEN.with_borrow_mut(|open| {
        if let Some(notebook) = open {
            notebook.suite = Some(suite);
        }
    });
}

/// A key exchange group of the stock provider; with an ephemeral key from the notebook's generator if it has one.
#[derive(Debug)]
struct Group(usize);

const GROUPS: &[&dyn SupportedKxGroup] = &[&Group(0), &Group(1), &Group(2)];

impl Group {
    fn stock(&self) -> &'static dyn SupportedKxGroup {
        stock::default_provider().kx_groups[self.0]
    }
}

impl SupportedKxGroup for Group {
    fn name(&self) -> NamedGroup {
        self.stock().name()
    }

    fn start_exchange(&self, buf: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let drawn = OPEN.with_borrow_mut(|open| {
            open.as_mut()
                .and_then(|notebook| notebook.rng.as_mut())
                .map(|rng| {
                    let mut bytes = Zeroizing::new([0; 48]);
                    rng.fill_bytes(bytes.as_mut());
                    bytes
                })
        });
        match drawn {
            Some(bytes) => Ok(Box::new(DrawnKeyExchange::new(self.name(), &bytes, buf)?)),
            None => self.stock().start_exchange(buf),
        }
    }
}

/// A key exchange whose private key was drawn from a test's generator.
struct DrawnKeyExchange {
    group: NamedGroup,
    private: agreement::PrivateKey,
    public: Buf,
}

impl DrawnKeyExchange {
    fn new(group: NamedGroup, bytes: &[u8; 48], mut public: Buf) -> Result<Self, CryptoError> {
        let (algorithm, len) = match group {
            NamedGroup::X25519 => (&agreement::X25519, 32),
            NamedGroup::Secp256r1 => (&agreement::ECDH_P256, 32),
            NamedGroup::Secp384r1 => (&agreement::ECDH_P384, 48),
            other => return Err(CryptoError::UnsupportedKeyExchangeGroup(other)),
        };
        // Clearing the top bit keeps a scalar below the order of either curve.
        let mut scalar = Zeroizing::new(*bytes);
        scalar[0] &= 0x7f;
        let private = agreement::PrivateKey::from_private_key(algorithm, &scalar[..len])
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::GenerateEphemeralKey))?;
        let key = private
            .compute_public_key()
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::ComputePublicKey))?;
        public.clear();
        public.extend_from_slice(key.as_ref());
        Ok(Self {
            group,
            private,
            public,
        })
    }
}

impl std::fmt::Debug for DrawnKeyExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DrawnKeyExchange")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl ActiveKeyExchange for DrawnKeyExchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = agreement::UnparsedPublicKey::new(self.private.algorithm(), peer);
        agreement::agree(&self.private, peer, (), |secret| {
            out.clear();
            out.extend_from_slice(secret);
            Ok(())
        })
        .map_err(|()| CryptoError::InvalidPublicKey(self.group))
    }

    fn group(&self) -> NamedGroup {
        self.group
    }
}
