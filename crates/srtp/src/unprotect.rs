//! Receiving: SRTP to RTP, SRTCP to RTCP.

use bytes::BytesMut;

use crate::config::{Config, Cryptex, Lifetime};
use crate::error::{KeyError, UnprotectError};
use crate::extension::{self, Layout, Selection};
use crate::header::{RTCP_FIXED, RtpHeader, rtcp_ssrc};
use crate::keys::{Keys, lifetime};
use crate::profile::Profile;
use crate::protect::ENCRYPTED;
use crate::stats::Counters;
use crate::streams::{Freshness, Protocol, Streams};
use crate::transform::{Transform, authenticate, gcm_open, rtcp_nonce, rtp_nonce, same_tag};

/// Opens what is received, for any number of synchronization sources.
///
/// Packets are decrypted where they lie and cut to the plaintext. A packet that is refused is counted by reason and
/// changes nothing in the context; its bytes are then worthless.
///
/// Keys change in two ways. With master key identifiers, [`add_key`](Self::add_key) takes another key whose packets
/// continue the same rollover counters. After a DTLS restart, [`rekey`](Self::rekey) starts anew, and packets still on
/// their way under the old keys are opened as well until [`retire_previous`](Self::retire_previous).
#[derive(Debug)]
pub struct Unprotector {
    current: Context,
    previous: Option<Box<Context>>,
    counters: Counters,
    scratch: Scratch,
}

/// Buffers that live on between packets.
#[derive(Debug, Default)]
struct Scratch {
    /// A packet that may have to be opened more than once: AES-GCM leaves nothing of one it refuses.
    packet: Vec<u8>,
    keystream: Vec<u8>,
}

/// Keys that belong together, and the sources heard under them.
#[derive(Debug)]
struct Context {
    profile: Profile,
    config: Config,
    lifetime: Lifetime,
    selection: Selection,
    keys: Vec<Keys>,
    streams: Streams,
}

impl Unprotector {
    /// Makes a context from a master key and salt.
    pub fn new(
        profile: Profile,
        key: &[u8],
        salt: &[u8],
        config: Config,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            current: Context::new(profile, key, salt, config)?,
            previous: None,
            counters: Counters::default(),
            scratch: Scratch::default(),
        })
    }

    /// Changes [`Config::cryptex`] for what comes from now on: descriptions may come to agree on it later (RFC 9335 §4).
    pub fn set_cryptex(&mut self, cryptex: Cryptex) {
        self.current.config.cryptex = cryptex;
        if let Some(previous) = &mut self.previous {
            previous.config.cryptex = cryptex;
        }
    }

    /// Takes another master key, told apart by its identifier, which is as long as the first one's.
    pub fn add_key(&mut self, key: &[u8], salt: &[u8], mki: &[u8]) -> Result<(), KeyError> {
        let context = &mut self.current;
        let len = context.mki_len();
        if len == 0 {
            return Err(KeyError::MkiMix);
        }
        if mki.len() != len {
            return Err(KeyError::MkiLength(mki.len()));
        }
        let keys = Keys::new(context.profile, key, salt, mki, context.selection)?;
        context.keys.retain(|keys| keys.mki != mki);
        context.keys.push(keys);
        Ok(())
    }

    /// Forgets the key of an identifier, unless it is the only one. Returns whether it did.
    pub fn remove_key(&mut self, mki: &[u8]) -> bool {
        let keys = &mut self.current.keys;
        let before = keys.len();
        if before > 1 {
            keys.retain(|keys| keys.mki != mki);
        }
        keys.len() < before
    }

    /// Starts anew with keys of another DTLS handshake. The keys used so far open what they can until
    /// [`retire_previous`](Self::retire_previous), or until the next call.
    pub fn rekey(&mut self, profile: Profile, key: &[u8], salt: &[u8]) -> Result<(), KeyError> {
        let fresh = Context::new(profile, key, salt, self.current.config.clone())?;
        self.previous = Some(Box::new(std::mem::replace(&mut self.current, fresh)));
        Ok(())
    }

    /// Forgets the keys in use before the last [`rekey`](Self::rekey).
    pub fn retire_previous(&mut self) {
        self.previous = None;
    }

    /// Opens an SRTP packet in place.
    pub fn unprotect_rtp(&mut self, packet: &mut BytesMut) -> Result<(), UnprotectError> {
        let len = self.unprotect_rtp_slice(packet)?;
        packet.truncate(len);
        Ok(())
    }

    /// Opens an SRTCP packet in place.
    pub fn unprotect_rtcp(&mut self, packet: &mut BytesMut) -> Result<(), UnprotectError> {
        let len = self.unprotect_rtcp_slice(packet)?;
        packet.truncate(len);
        Ok(())
    }

    /// Opens an SRTP packet in place and returns the length of the RTP packet it starts with then.
    pub fn unprotect_rtp_slice(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let result = self.open(packet, Context::open_rtp);
        self.counters.count(Protocol::Rtp, result.as_ref().err());
        result
    }

    /// Opens an SRTCP packet in place and returns the length of the RTCP packet it starts with then.
    pub fn unprotect_rtcp_slice(&mut self, packet: &mut [u8]) -> Result<usize, UnprotectError> {
        let result = self.open(packet, Context::open_rtcp);
        self.counters.count(Protocol::Rtcp, result.as_ref().err());
        result
    }

    /// Tries the current keys and, for a while after a change, those before.
    fn open(
        &mut self,
        packet: &mut [u8],
        open: impl Fn(&mut Context, &mut [u8], &mut Scratch) -> Result<usize, UnprotectError>,
    ) -> Result<usize, UnprotectError> {
        let Some(previous) = &mut self.previous else {
            return open(&mut self.current, packet, &mut self.scratch);
        };
        let saved = packet.to_vec();
        let result = open(&mut self.current, packet, &mut self.scratch);
        if result.is_ok() {
            return result;
        }
        packet.copy_from_slice(&saved);
        open(previous, packet, &mut self.scratch).or(result)
    }

    /// Sets the rollover counter of a source's next packet, when signalling tells it.
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), UnprotectError> {
        let streams = &mut self.current.streams;
        if streams.find(ssrc).is_none() && !streams.has_room() {
            return Err(UnprotectError::TooManyStreams);
        }
        let position = streams.insert(ssrc);
        streams.tell_roc(position, roc);
        Ok(())
    }

    /// The rollover counter of a source that was heard.
    pub fn roc(&self, ssrc: u32) -> Option<u32> {
        self.current
            .streams
            .iter()
            .find(|stream| stream.0 == ssrc)?
            .1
            .map(|index| (index >> 16) as u32)
    }

    /// The profile of the current keys.
    pub fn profile(&self) -> Profile {
        self.current.profile
    }

    /// What was opened, and what was refused, by reason.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Everything that a packet could have changed, for tests that nothing has.
    #[cfg(test)]
    pub(crate) fn state(&self) -> (Streams, Vec<Lifetime>) {
        (
            self.current.streams.clone(),
            self.current.keys.iter().map(|keys| keys.used).collect(),
        )
    }
}

impl Context {
    fn new(profile: Profile, key: &[u8], salt: &[u8], config: Config) -> Result<Self, KeyError> {
        let selection = Selection::new(&config.encrypted_extensions);
        let mki = config.mki.as_deref().unwrap_or_default();
        let keys = vec![Keys::new(profile, key, salt, mki, selection)?];
        let streams = Streams::new(config.replay_window, config.max_streams);
        let lifetime = lifetime(&config);
        Ok(Self {
            profile,
            config,
            lifetime,
            selection,
            keys,
            streams,
        })
    }

    fn mki_len(&self) -> usize {
        self.keys.first().map_or(0, |keys| keys.mki.len())
    }

    /// The key with that identifier.
    #[inline]
    fn key(&self, mki: &[u8]) -> Result<usize, UnprotectError> {
        // Without identifiers there is one key, and its empty one is not compared: C's memcmp with masked vector loads
        // takes 45 ns for no bytes at an address that is not mapped, as that of an empty allocation is.
        if self.mki_len() == 0 {
            return Ok(0);
        }
        self.keys
            .iter()
            .position(|keys| keys.mki == mki)
            .ok_or(UnprotectError::UnknownMki)
    }

    fn open_rtp(
        &mut self,
        packet: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<usize, UnprotectError> {
        let header = RtpHeader::parse(packet).ok_or(UnprotectError::Malformed)?;
        let tag = self.profile.rtp_tag_len();
        let trailer = tag + self.mki_len();
        let end = packet
            .len()
            .checked_sub(trailer)
            .filter(|&end| end >= header.len);
        let end = end.ok_or(UnprotectError::Malformed)?;
        // The identifier stands before the tag of HMAC (RFC 3711 §3.1), and after the one of AES-GCM, which counts as
        // part of the ciphertext (RFC 7714 §8.2).
        let mki = if self.profile.is_aead() {
            end + tag..packet.len()
        } else {
            end..packet.len() - tag
        };
        let key = self.key(&packet[mki])?;

        let clear_mark = extension::incoming(self.config.cryptex, &header);
        if self.config.cryptex == Cryptex::Required
            && clear_mark.is_none()
            && (header.extension.is_some() || header.csrcs > 0)
        {
            return Err(UnprotectError::CryptexRequired);
        }
        let layout = if clear_mark.is_some() {
            Layout::cryptex(&header)
        } else {
            Layout::payload(&header)
        };

        let position = self.streams.find(header.ssrc);
        if position.is_none() && !self.streams.has_room() {
            return Err(UnprotectError::TooManyStreams);
        }
        let estimate = self
            .streams
            .estimate(position, header.seq)
            .ok_or(UnprotectError::KeyExpired)?;
        match self.streams.check(position, Protocol::Rtp, estimate) {
            Freshness::Fresh => {}
            Freshness::Seen => return Err(UnprotectError::Replayed),
            Freshness::TooOld => return Err(UnprotectError::TooOld),
        }
        if self.keys[key].used.rtp >= self.lifetime.rtp {
            return Err(UnprotectError::KeyExpired);
        }

        let unheard = self.streams.is_unheard(position);
        let index = self.open_rtp_at(
            key, packet, &header, layout, end, estimate, unheard, scratch,
        )?;
        if let Some(value) = clear_mark {
            extension::mark(packet, &header, value);
        } else if let Some(cipher) = &self.keys[key].header {
            extension::mask_elements(
                cipher,
                self.selection,
                &header,
                index,
                packet,
                &mut scratch.keystream,
            )
            .map_err(|_| UnprotectError::Authentication)?;
        }

        let position = self.streams.found_or_inserted(position, header.ssrc);
        self.streams.commit(position, Protocol::Rtp, index);
        self.keys[key].used.rtp += 1;
        Ok(end)
    }

    /// Authenticates and decrypts under the estimated index; for a source that was never heard, also under the rollover
    /// counters after it. Returns the index that fitted.
    #[expect(
        clippy::too_many_arguments,
        reason = "a packet's parts, taken apart once"
    )]
    fn open_rtp_at(
        &self,
        key: usize,
        packet: &mut [u8],
        header: &RtpHeader,
        layout: Layout,
        end: usize,
        estimate: u64,
        unheard: bool,
        scratch: &mut Scratch,
    ) -> Result<u64, UnprotectError> {
        let candidates = if unheard {
            u64::from(self.config.roc_search)
        } else {
            0
        };
        let tag = self.profile.rtp_tag_len();
        match &self.keys[key].rtp {
            Transform::CounterMode {
                cipher,
                authentication,
            } => {
                let cut = &packet[packet.len() - tag..];
                let index = (0..=candidates)
                    .map(|wraps| estimate + (wraps << 16))
                    .find(|index| {
                        let roc = (index >> 16) as u32;
                        same_tag(
                            &authenticate(authentication, &packet[..end], Some(roc)),
                            cut,
                        )
                    })
                    .ok_or(UnprotectError::Authentication)?;
                layout.gather(packet);
                cipher
                    .apply(header.ssrc, index, &mut packet[layout.body..end])
                    .map_err(|_| UnprotectError::Authentication)?;
                layout.scatter(packet);
                Ok(index)
            }
            Transform::Gcm { cipher, salt } => {
                layout.gather(packet);
                if candidates > 0 {
                    scratch.packet.clear();
                    scratch.packet.extend_from_slice(packet);
                }
                for wraps in 0..=candidates {
                    if wraps > 0 {
                        packet.copy_from_slice(&scratch.packet);
                    }
                    let index = estimate + (wraps << 16);
                    let (associated, body) = packet.split_at_mut(layout.body);
                    let sealed = &mut body[..end + tag - layout.body];
                    if gcm_open(
                        cipher,
                        rtp_nonce(salt, header.ssrc, index),
                        associated,
                        sealed,
                    )
                    .is_ok()
                    {
                        layout.scatter(packet);
                        return Ok(index);
                    }
                }
                Err(UnprotectError::Authentication)
            }
        }
    }

    fn open_rtcp(&mut self, packet: &mut [u8], _: &mut Scratch) -> Result<usize, UnprotectError> {
        let ssrc = rtcp_ssrc(packet).ok_or(UnprotectError::Malformed)?;
        let tag = self.profile.rtcp_tag_len();
        let mki_len = self.mki_len();
        let end = packet
            .len()
            .checked_sub(tag + mki_len + 4)
            .filter(|&end| end >= RTCP_FIXED);
        let end = end.ok_or(UnprotectError::Malformed)?;
        // HMAC: packet, word, MKI, tag (RFC 3711 §3.4). AES-GCM: packet, tag, word, MKI (RFC 7714 §9.2).
        let (word_at, mki) = if self.profile.is_aead() {
            (end + tag, end + tag + 4..packet.len())
        } else {
            (end, end + 4..packet.len() - tag)
        };
        let key = self.key(&packet[mki])?;
        let word_bytes: [u8; 4] = *packet
            .get(word_at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(UnprotectError::Malformed)?;
        let word = u32::from_be_bytes(word_bytes);
        if word & ENCRYPTED == 0 {
            return Err(UnprotectError::NotEncrypted);
        }
        let index = word & !ENCRYPTED;

        let position = self.streams.find(ssrc);
        if position.is_none() && !self.streams.has_room() {
            return Err(UnprotectError::TooManyStreams);
        }
        match self
            .streams
            .check(position, Protocol::Rtcp, u64::from(index))
        {
            Freshness::Fresh => {}
            Freshness::Seen => return Err(UnprotectError::Replayed),
            Freshness::TooOld => return Err(UnprotectError::TooOld),
        }
        if self.keys[key].used.rtcp >= self.lifetime.rtcp {
            return Err(UnprotectError::KeyExpired);
        }

        match &self.keys[key].rtcp {
            Transform::CounterMode {
                cipher,
                authentication,
            } => {
                let (portion, cut) = (&packet[..word_at + 4], &packet[packet.len() - tag..]);
                if !same_tag(&authenticate(authentication, portion, None), cut) {
                    return Err(UnprotectError::Authentication);
                }
                cipher
                    .apply(ssrc, u64::from(index), &mut packet[RTCP_FIXED..end])
                    .map_err(|_| UnprotectError::Authentication)?;
            }
            Transform::Gcm { cipher, salt } => {
                let (fixed, body) = packet.split_at_mut(RTCP_FIXED);
                let mut associated = [0; RTCP_FIXED + 4];
                associated[..RTCP_FIXED].copy_from_slice(fixed);
                associated[RTCP_FIXED..].copy_from_slice(&word_bytes);
                let sealed = &mut body[..end + tag - RTCP_FIXED];
                gcm_open(cipher, rtcp_nonce(salt, ssrc, index), &associated, sealed)
                    .map_err(|_| UnprotectError::Authentication)?;
            }
        }

        let position = self.streams.insert(ssrc);
        self.streams
            .commit(position, Protocol::Rtcp, u64::from(index));
        self.keys[key].used.rtcp += 1;
        Ok(end)
    }
}

#[cfg(test)]
impl Unprotector {
    /// With session keys instead of a master key, for published vectors.
    pub(crate) fn with_session_key(profile: Profile, key: &[u8], salt: [u8; 12]) -> Self {
        let mut unprotector = Self::new(profile, key, &salt, Config::default())
            .unwrap_or_else(|error| panic!("{error}"));
        unprotector.current.keys[0].replace_session_key(key, salt);
        unprotector
    }
}
