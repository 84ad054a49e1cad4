//! Offer and answer: the state machine of RFC 9429 (JSEP) as the W3C text drives it.
//!
//! [`Jsep`] knows descriptions, transceivers and sections, and nothing of packets. Each operation
//! either changes everything it should or fails and changes nothing. [`super::Session`] compares
//! its transports and streams with the outcome afterwards.

mod apply;
mod check;
mod create;
mod groups;
mod model;
mod needed;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod transceivers;

pub(crate) use model::{Described, Section, SectionKind, Setup};
pub(crate) use text::to_description;

use super::codecs::{Catalogue, Numbers};
use super::transceiver::{Encoding, Transceiver, TransceiverId};
use crate::configuration::BundlePolicy;
use crate::description::{SdpType, SessionDescription};
use crate::error::{Error, RtcError, RtcErrorDetail};
use crate::states::SignalingState;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// What an applied description says, beside its text.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) sdp_type: SdpType,
    pub(crate) described: Described,
    /// A remote description as it came.
    pub(crate) text: Option<String>,
}

impl Applied {
    /// What it says of a transport.
    pub(crate) fn credentials(&self, transport: usize) -> Option<Credentials> {
        let section = self.described.spokesman(transport)?;
        Some(Credentials {
            ufrag: section.ice_ufrag.clone(),
            pwd: section.ice_pwd.clone(),
        })
    }
}

/// The credentials of one ICE generation (RFC 8839 §5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

/// One `m=` section over the life of the connection.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) mid: String,
    pub(crate) kind: SectionKind,
    pub(crate) transceiver: Option<TransceiverId>,
    /// Rejected in the last exchange: free for another use (RFC 9429 §5.2.2).
    pub(crate) rejected: bool,
    /// The transport it uses, by its number; sections of a BUNDLE group share one.
    pub(crate) transport: usize,
}

/// What a description makes known to the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    Signaling(SignalingState),
    /// A remote track starts, or joins streams.
    Track(TransceiverId),
    /// A remote track stops.
    Mute(TransceiverId),
    /// A remote track is in these streams alone, of those it was in.
    Leave(TransceiverId, Vec<String>),
    /// A remote track is in these streams, some of them new.
    Join(TransceiverId, Vec<String>),
    /// A transceiver is gone.
    Stopped(TransceiverId),
}

/// What the rest of the connection contributes to local descriptions.
#[derive(Debug, Clone)]
pub(crate) struct LocalFacts {
    pub(crate) fingerprints: Vec<dtls::Fingerprint>,
    pub(crate) sctp_port: u16,
    pub(crate) max_message_size: u64,
    /// The DTLS role each transport has, once it has one.
    pub(crate) dtls_client: Vec<Option<bool>>,
    /// The credentials of transports that gather in advance, by their numbers, until they are used.
    pub(crate) pooled: Vec<Option<Credentials>>,
}

#[derive(Debug)]
pub(crate) struct Jsep {
    rng: StdRng,
    policy: BundlePolicy,
    pub(crate) facts: LocalFacts,
    pub(crate) state: SignalingState,
    pub(crate) current_local: Option<Applied>,
    pub(crate) pending_local: Option<Applied>,
    pub(crate) current_remote: Option<Applied>,
    pub(crate) pending_remote: Option<Applied>,
    last_offer: Option<(String, Described)>,
    last_answer: Option<(String, Described)>,
    pub(crate) transceivers: Vec<Transceiver>,
    pub(crate) slots: Vec<Slot>,
    next_transceiver: u32,
    next_transport: usize,
    /// What may be offered and answered.
    pub(crate) catalogue: Catalogue,
    numbers: Numbers,
    session_id: u64,
    version: u64,
    pub(crate) cname: String,
    /// The stream of remote tracks that name none.
    default_stream: String,
    /// Whether a data channel was ever created here.
    pub(crate) wants_data: bool,
    /// `a=identity` of this side (RFC 8827 §7.4.1).
    pub(crate) identity: Option<String>,
    /// Whether the first offer has a section for data in any case, before all others.
    pub(crate) always_data: bool,
    /// Whether a peer that does not take header extensions encrypted is refused.
    pub(crate) requires_cryptex: bool,
    /// What this side's agents are ([`ice::Config`]).
    pub(crate) ice_lite: bool,
    pub(crate) renominates: bool,
    /// ICE credentials that a restart asks to replace.
    to_replace: Vec<Credentials>,
    /// 'needs-ice-restart' (RFC 9429 §3.5.1): the next offer carries new credentials, for another gathering.
    needs_ice_restart: bool,
    negotiation_needed: bool,
    /// The stable state to go back to.
    stable: Option<Stable>,
    pub(crate) peer_trickles: Option<bool>,
}

/// What a rollback restores.
#[derive(Debug, Clone)]
struct Stable {
    transceivers: Vec<Transceiver>,
    slots: Vec<Slot>,
}

impl Jsep {
    pub(crate) fn new(policy: BundlePolicy, facts: LocalFacts, mut rng: StdRng) -> Self {
        // RFC 9429 §5.2.1: 62 random bits, so that the value fits a signed 64-bit integer.
        let session_id = rng.next_u64() >> 2;
        let cname = random_text(&mut rng, 16);
        let default_stream = random_uuid(&mut rng);
        Jsep {
            rng,
            policy,
            facts,
            state: SignalingState::Stable,
            current_local: None,
            pending_local: None,
            current_remote: None,
            pending_remote: None,
            last_offer: None,
            last_answer: None,
            transceivers: Vec::new(),
            slots: Vec::new(),
            next_transceiver: 0,
            next_transport: 0,
            catalogue: Catalogue::default(),
            numbers: Numbers::default(),
            session_id,
            version: 0,
            cname,
            default_stream,
            wants_data: false,
            identity: None,
            always_data: false,
            requires_cryptex: false,
            ice_lite: false,
            renominates: false,
            to_replace: Vec::new(),
            needs_ice_restart: false,
            negotiation_needed: false,
            stable: None,
            peer_trickles: None,
        }
    }

    /// The local description in force, the pending one first.
    pub(crate) fn local(&self) -> Option<&Applied> {
        self.pending_local.as_ref().or(self.current_local.as_ref())
    }

    /// The remote description in force, the pending one first.
    pub(crate) fn remote(&self) -> Option<&Applied> {
        self.pending_remote
            .as_ref()
            .or(self.current_remote.as_ref())
    }

    /// The place and mid of the section that speaks for a transport.
    pub(crate) fn tag_of(&self, transport: usize) -> Option<(usize, &str)> {
        let spokesman = self
            .local()
            .and_then(|local| local.described.spokesman(transport));
        let mut slots = self.slots.iter().enumerate();
        let (index, slot) = slots.find(|(_, slot)| {
            slot.transport == transport
                && spokesman.map_or(!slot.rejected, |section| section.mid == slot.mid)
        })?;
        Some((index, &slot.mid))
    }

    /// The local and the remote description that answer each other.
    pub(crate) fn agreed(&self) -> Option<(&Applied, &Applied)> {
        let provisional = self
            .pending_local
            .as_ref()
            .zip(self.pending_remote.as_ref());
        provisional.or(self
            .current_local
            .as_ref()
            .zip(self.current_remote.as_ref()))
    }

    pub(crate) fn transceiver(&self, id: TransceiverId) -> Option<&Transceiver> {
        self.transceivers
            .iter()
            .find(|transceiver| transceiver.id == id)
    }

    pub(crate) fn transceiver_mut(&mut self, id: TransceiverId) -> Option<&mut Transceiver> {
        self.transceivers
            .iter_mut()
            .find(|transceiver| transceiver.id == id)
    }

    pub(crate) fn close(&mut self) {
        self.state = SignalingState::Closed;
        for transceiver in &mut self.transceivers {
            transceiver.stop();
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.state {
            SignalingState::Closed => Err(Error::InvalidState("the connection is closed".into())),
            _ => Ok(()),
        }
    }

    // Transceivers (W3C WebRTC §5.1).

    // Descriptions.

    /// `createOffer` (W3C WebRTC §4.4.2, RFC 9429 §5.2).
    pub(crate) fn create_offer(&mut self, restart_ice: bool) -> Result<SessionDescription, Error> {
        self.check_open()?;
        if !matches!(
            self.state,
            SignalingState::Stable | SignalingState::HaveLocalOffer
        ) {
            return Err(Error::InvalidState(format!(
                "no offer can be made in {}",
                self.state
            )));
        }
        let described = self.build_offer(restart_ice);
        let sdp = text::write(&described);
        self.last_offer = Some((sdp.clone(), described));
        Ok(SessionDescription::offer(sdp))
    }

    /// `createAnswer` (RFC 9429 §5.3).
    pub(crate) fn create_answer(&mut self) -> Result<SessionDescription, Error> {
        self.check_open()?;
        let offer = match (self.state, &self.pending_remote) {
            (SignalingState::HaveRemoteOffer | SignalingState::HaveLocalPranswer, Some(offer)) => {
                offer.described.clone()
            }
            _ => {
                return Err(Error::InvalidState(format!(
                    "there is no offer to answer in {}",
                    self.state
                )));
            }
        };
        let described = self.build_answer(&offer);
        let sdp = text::write(&described);
        self.last_answer = Some((sdp.clone(), described));
        Ok(SessionDescription::answer(sdp))
    }

    /// `restartIce` (W3C WebRTC §4.4.2): the next offer carries new credentials.
    pub(crate) fn restart_ice(&mut self) {
        let mut credentials = Vec::new();
        for applied in self.current_local.iter().chain(&self.pending_local) {
            for section in applied
                .described
                .sections
                .iter()
                .filter(|section| !section.rejected)
            {
                let found = Credentials {
                    ufrag: section.ice_ufrag.clone(),
                    pwd: section.ice_pwd.clone(),
                };
                if !credentials.contains(&found) {
                    credentials.push(found);
                }
            }
        }
        self.to_replace = credentials;
    }

    /// The ICE configuration has changed: that counts from the next gathering on (RFC 9429 §4.1.18).
    pub(crate) fn ice_configuration_changed(&mut self) {
        self.needs_ice_restart |= self.local().is_some();
    }

    /// Whether a new offer must not carry these credentials.
    pub(super) fn must_replace(&self, credentials: &Credentials) -> bool {
        let mut known = self.current_local.iter().chain(&self.pending_local);
        let in_use = |applied: &Applied| applied.described.has_credentials(credentials);
        self.to_replace.contains(credentials) || self.needs_ice_restart && known.any(in_use)
    }

    /// `setLocalDescription`; `None` is the implicit form, which makes the description it needs.
    pub(crate) fn set_local(
        &mut self,
        description: Option<SessionDescription>,
    ) -> Result<Vec<Notice>, Error> {
        self.check_open()?;
        let description = match description {
            Some(description) => description,
            None => match self.state {
                SignalingState::Stable
                | SignalingState::HaveLocalOffer
                | SignalingState::HaveRemotePranswer => SessionDescription::offer(""),
                _ => SessionDescription::answer(""),
            },
        };
        if description.sdp_type == SdpType::Rollback {
            return self.rollback();
        }
        let offer = description.sdp_type == SdpType::Offer;
        let last = if offer {
            &self.last_offer
        } else {
            &self.last_answer
        };
        // Whether it is one of this side's comes before whether the state takes it (W3C WebRTC §4.4.2, steps 4.2 and 4.3).
        let implicit = description.sdp.is_empty();
        if !implicit && last.as_ref().is_none_or(|(sdp, _)| *sdp != description.sdp) {
            return Err(Error::InvalidModification(format!(
                "the {} is not the last one created here",
                description.sdp_type
            )));
        }
        self.check_transition(description.sdp_type, false)?;
        if implicit && !self.is_last_created_current(offer) {
            if offer {
                self.create_offer(false)?
            } else {
                self.create_answer()?
            };
        }
        let last = if offer {
            &self.last_offer
        } else {
            &self.last_answer
        };
        let Some((_, described)) = last.clone() else {
            return Err(Error::Operation("nothing was created".into()));
        };
        if !offer {
            self.check_local_answer(&described)?;
        }
        Ok(self.apply_local(Applied {
            sdp_type: description.sdp_type,
            described,
            text: None,
        }))
    }

    /// Whether the description last created still says what a new one would: "accurately represents the system
    /// state" (W3C WebRTC §4.4.2, `setLocalDescription`).
    fn is_last_created_current(&mut self, offer: bool) -> bool {
        let last = if offer {
            &self.last_offer
        } else {
            &self.last_answer
        };
        let Some((_, last)) = last.clone() else {
            return false;
        };
        let mut fresh = match (offer, &self.pending_remote) {
            (true, _) => self.build_offer(false),
            (false, Some(remote)) => {
                let remote = remote.described.clone();
                self.build_answer(&remote)
            }
            (false, None) => return false,
        };
        // New credentials are as good as those made before, unless these are to be replaced.
        for (fresh, last) in fresh.sections.iter_mut().zip(&last.sections) {
            let credentials = Credentials {
                ufrag: last.ice_ufrag.clone(),
                pwd: last.ice_pwd.clone(),
            };
            if !self.must_replace(&credentials) {
                fresh.ice_ufrag = credentials.ufrag;
                fresh.ice_pwd = credentials.pwd;
            }
            if fresh.tls_id.is_some() {
                fresh.tls_id.clone_from(&last.tls_id);
            }
        }
        fresh.version = last.version;
        fresh == last
    }

    /// The first steps of `setRemoteDescription`: an offer that meets a local offer rolls that back, whatever comes of
    /// the new one (W3C WebRTC §4.4.2).
    pub(crate) fn yield_to(
        &mut self,
        description: &SessionDescription,
    ) -> Result<Vec<Notice>, Error> {
        let glare =
            description.sdp_type == SdpType::Offer && self.state == SignalingState::HaveLocalOffer;
        if glare {
            self.rollback()
        } else {
            Ok(Vec::new())
        }
    }

    /// `setRemoteDescription`, after [`Jsep::yield_to`].
    pub(crate) fn set_remote(
        &mut self,
        description: &SessionDescription,
    ) -> Result<Vec<Notice>, Error> {
        self.check_open()?;
        if description.sdp_type == SdpType::Rollback {
            return self.rollback();
        }
        self.check_transition(description.sdp_type, true)?;
        let mut described = text::read(&description.sdp)?;
        self.adopt_mids(&mut described);
        self.check_remote(description.sdp_type, &described)?;
        Ok(self.apply_remote(Applied {
            sdp_type: description.sdp_type,
            described,
            text: Some(description.sdp.clone()),
        }))
    }

    /// RFC 9429 §3.2: which descriptions a state takes.
    fn check_transition(&self, sdp_type: SdpType, remote: bool) -> Result<(), Error> {
        use SignalingState as S;
        let allowed = match (sdp_type, remote) {
            (SdpType::Offer, false) => matches!(self.state, S::Stable | S::HaveLocalOffer),
            (SdpType::Offer, true) => matches!(self.state, S::Stable | S::HaveRemoteOffer),
            (SdpType::Answer | SdpType::Pranswer, false) => {
                matches!(self.state, S::HaveRemoteOffer | S::HaveLocalPranswer)
            }
            (SdpType::Answer | SdpType::Pranswer, true) => {
                matches!(self.state, S::HaveLocalOffer | S::HaveRemotePranswer)
            }
            (SdpType::Rollback, _) => matches!(self.state, S::HaveLocalOffer | S::HaveRemoteOffer),
        };
        if allowed {
            return Ok(());
        }
        let side = if remote { "remote" } else { "local" };
        Err(Error::InvalidState(format!(
            "a {side} {sdp_type} cannot be set in {}",
            self.state
        )))
    }
}

/// How many encodings of a video there may be; there is one of any sound.
const MOST_ENCODINGS: usize = 8;

/// `length` characters of the ice-char alphabet without `+` and `/`.
fn random_text(rng: &mut StdRng, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect()
}

/// A random UUID, as browsers give tracks.
fn random_uuid(rng: &mut StdRng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn sdp_error(message: String, line: Option<u32>) -> Error {
    let mut error = RtcError::new(RtcErrorDetail::SdpSyntaxError, message);
    error.sdp_line_number = line;
    Error::Rtc(error)
}
