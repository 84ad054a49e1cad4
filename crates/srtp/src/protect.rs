//! Sending: RTP to SRTP, RTCP to SRTCP.

use crate::config::{Config, Cryptex, Lifetime};
use crate::error::{KeyError, ProtectError};
use crate::extension::{self, Layout, Outgoing, Selection};
use crate::header::{RTCP_FIXED, RTP_FIXED, RtpHeader, rtcp_ssrc};
use crate::keys::{Keys, lifetime};
use crate::profile::Profile;
use crate::streams::{Freshness, Protocol, Streams};
use crate::transform::{Transform, authenticate, gcm_seal, rtcp_nonce, rtp_nonce};

/// The E flag of an SRTCP packet: encrypted (RFC 3711 §3.4).
pub(crate) const ENCRYPTED: u32 = 1 << 31;

/// Protects what is sent with one master key, for any number of synchronization sources.
///
/// Packets are encrypted where they lie and grow at the end, by [`rtp_overhead`](Self::rtp_overhead) or
/// [`rtcp_overhead`](Self::rtcp_overhead) at most: with that much room to spare nothing is allocated. A packet that
/// is refused stays as it was.
#[derive(Debug)]
pub struct Protector {
    profile: Profile,
    config: Config,
    lifetime: Lifetime,
    selection: Selection,
    keys: Keys,
    streams: Streams,
    keystream: Vec<u8>,
}

impl Protector {
    /// Makes a context from a master key and salt.
    pub fn new(
        profile: Profile,
        key: &[u8],
        salt: &[u8],
        config: Config,
    ) -> Result<Self, KeyError> {
        let selection = Selection::new(&config.encrypted_extensions);
        let mki = config.mki.as_deref().unwrap_or_default();
        let keys = Keys::new(profile, key, salt, mki, selection)?;
        let streams = Streams::new(config.replay_window, config.max_streams);
        let lifetime = lifetime(&config);
        Ok(Self {
            profile,
            config,
            lifetime,
            selection,
            keys,
            streams,
            keystream: Vec::new(),
        })
    }

    /// Changes [`Config::cryptex`] for what is sent from now on: descriptions may come to agree on it later (RFC 9335 §4).
    pub fn set_cryptex(&mut self, cryptex: Cryptex) {
        self.config.cryptex = cryptex;
    }

    /// Goes on with another master key: rollover counters and SRTCP indices continue (RFC 3711 §8.1). Receivers tell
    /// the keys apart by their master key identifiers, as long as the first one's.
    pub fn switch_key(&mut self, key: &[u8], salt: &[u8], mki: &[u8]) -> Result<(), KeyError> {
        if self.keys.mki.is_empty() {
            return Err(KeyError::MkiMix);
        }
        if mki.len() != self.keys.mki.len() {
            return Err(KeyError::MkiLength(mki.len()));
        }
        self.keys = Keys::new(self.profile, key, salt, mki, self.selection)?;
        Ok(())
    }

    /// Protects the RTP packet `buf[start..]` in place.
    pub fn protect_rtp(&mut self, buf: &mut Vec<u8>, start: usize) -> Result<(), ProtectError> {
        let packet = buf.get(start..).ok_or(ProtectError::BadStart)?;
        let mut header = RtpHeader::parse(packet).ok_or(ProtectError::Malformed)?;
        let position = self.streams.find(header.ssrc);
        let index = self
            .streams
            .estimate(position, header.seq)
            .ok_or(ProtectError::KeyExpired)?;
        self.admit(position, Protocol::Rtp, index)?;
        if self.keys.used.rtp >= self.lifetime.rtp {
            return Err(ProtectError::KeyExpired);
        }

        let layout = match extension::outgoing(self.config.cryptex, &header) {
            Outgoing::Clear => {
                if let Some(cipher) = &self.keys.header {
                    let packet = &mut buf[start..];
                    extension::mask_elements(
                        cipher,
                        self.selection,
                        &header,
                        index,
                        packet,
                        &mut self.keystream,
                    )
                    .map_err(|_| ProtectError::Crypto)?;
                }
                Layout::payload(&header)
            }
            Outgoing::Mark(value) => {
                extension::mark(&mut buf[start..], &header, value);
                Layout::cryptex(&header)
            }
            Outgoing::Insert => {
                let at = start + RTP_FIXED + header.csrcs;
                buf.splice(at..at, extension::EMPTY);
                buf[start] |= 0x10;
                header.extension = Some((
                    u16::from_be_bytes([extension::EMPTY[0], extension::EMPTY[1]]),
                    0,
                ));
                header.len += 4;
                Layout::cryptex(&header)
            }
        };
        self.seal_rtp(buf, start, &header, layout, index)?;

        let position = self.streams.found_or_inserted(position, header.ssrc);
        self.streams.commit(position, Protocol::Rtp, index);
        self.keys.used.rtp += 1;
        Ok(())
    }

    fn seal_rtp(
        &self,
        buf: &mut Vec<u8>,
        start: usize,
        header: &RtpHeader,
        layout: Layout,
        index: u64,
    ) -> Result<(), ProtectError> {
        let packet = &mut buf[start..];
        layout.gather(packet);
        let (associated, body) = packet.split_at_mut(layout.body);
        match &self.keys.rtp {
            Transform::Gcm { cipher, salt } => {
                let tag = gcm_seal(
                    cipher,
                    rtp_nonce(salt, header.ssrc, index),
                    associated,
                    body,
                )
                .map_err(|_| ProtectError::Crypto)?;
                layout.scatter(packet);
                buf.extend_from_slice(&tag);
                buf.extend_from_slice(&self.keys.mki);
            }
            Transform::CounterMode {
                cipher,
                authentication,
            } => {
                cipher
                    .apply(header.ssrc, index, body)
                    .map_err(|_| ProtectError::Crypto)?;
                layout.scatter(packet);
                let tag = authenticate(authentication, packet, Some((index >> 16) as u32));
                buf.extend_from_slice(&self.keys.mki);
                buf.extend_from_slice(&tag[..self.profile.rtp_tag_len()]);
            }
        }
        Ok(())
    }

    /// Protects the RTCP packet, usually a compound, `buf[start..]` in place.
    pub fn protect_rtcp(&mut self, buf: &mut Vec<u8>, start: usize) -> Result<(), ProtectError> {
        let packet = buf.get_mut(start..).ok_or(ProtectError::BadStart)?;
        let ssrc = rtcp_ssrc(packet).ok_or(ProtectError::Malformed)?;
        let position = self.streams.find(ssrc);
        let index = self
            .streams
            .next_rtcp(position)
            .ok_or(ProtectError::KeyExpired)?;
        self.admit(position, Protocol::Rtcp, u64::from(index))?;
        if self.keys.used.rtcp >= self.lifetime.rtcp {
            return Err(ProtectError::KeyExpired);
        }

        let word = (ENCRYPTED | index).to_be_bytes();
        let (fixed, body) = packet.split_at_mut(RTCP_FIXED);
        match &self.keys.rtcp {
            Transform::Gcm { cipher, salt } => {
                // The associated data: the header and the word with the index (RFC 7714 §9.2).
                let mut associated = [0; RTCP_FIXED + 4];
                associated[..RTCP_FIXED].copy_from_slice(fixed);
                associated[RTCP_FIXED..].copy_from_slice(&word);
                let tag = gcm_seal(cipher, rtcp_nonce(salt, ssrc, index), &associated, body)
                    .map_err(|_| ProtectError::Crypto)?;
                buf.extend_from_slice(&tag);
                buf.extend_from_slice(&word);
                buf.extend_from_slice(&self.keys.mki);
            }
            Transform::CounterMode {
                cipher,
                authentication,
            } => {
                cipher
                    .apply(ssrc, u64::from(index), body)
                    .map_err(|_| ProtectError::Crypto)?;
                buf.extend_from_slice(&word);
                let tag = authenticate(authentication, &buf[start..], None);
                buf.extend_from_slice(&self.keys.mki);
                buf.extend_from_slice(&tag[..self.profile.rtcp_tag_len()]);
            }
        }

        let position = self.streams.insert(ssrc);
        self.streams
            .commit(position, Protocol::Rtcp, u64::from(index));
        self.keys.used.rtcp += 1;
        Ok(())
    }

    /// Whether a source has room in the table, and its index has not been used.
    fn admit(
        &self,
        position: Option<usize>,
        protocol: Protocol,
        index: u64,
    ) -> Result<(), ProtectError> {
        if position.is_none() && !self.streams.has_room() {
            return Err(ProtectError::TooManyStreams);
        }
        if self.config.allow_repeats
            || self.streams.check(position, protocol, index) == Freshness::Fresh
        {
            Ok(())
        } else {
            Err(ProtectError::Reused)
        }
    }

    /// Sets the rollover counter of a source's next packet, for a stream taken over from elsewhere.
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), ProtectError> {
        if self.streams.find(ssrc).is_none() && !self.streams.has_room() {
            return Err(ProtectError::TooManyStreams);
        }
        let position = self.streams.insert(ssrc);
        self.streams.tell_roc(position, roc);
        Ok(())
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The most an RTP packet grows.
    pub fn rtp_overhead(&self) -> usize {
        // Four bytes for the extension that cryptex may insert.
        self.profile.rtp_tag_len() + self.keys.mki.len() + 4
    }

    /// What an RTCP packet grows by.
    pub fn rtcp_overhead(&self) -> usize {
        self.profile.rtcp_tag_len() + self.keys.mki.len() + 4
    }

    /// How many packets the current key has protected.
    pub fn used(&self) -> Lifetime {
        self.keys.used
    }
}

#[cfg(test)]
impl Protector {
    /// With session keys instead of a master key, for published vectors.
    pub(crate) fn with_session_key(profile: Profile, key: &[u8], salt: [u8; 12]) -> Self {
        let mut protector = Self::new(profile, key, &salt, Config::default())
            .unwrap_or_else(|error| panic!("{error}"));
        protector.keys.replace_session_key(key, salt);
        protector
    }

    pub(crate) fn set_next_rtcp_index(&mut self, ssrc: u32, index: u32) {
        let position = self.streams.insert(ssrc);
        self.streams
            .commit(position, Protocol::Rtcp, u64::from(index) - 1);
    }

    pub(crate) fn set_last_rtp_index(&mut self, ssrc: u32, index: u64) {
        let position = self.streams.insert(ssrc);
        self.streams.commit(position, Protocol::Rtp, index);
    }
}
