//! Making offers (RFC 9429 §5.2) and answers (§5.3).

use super::groups::{Placement, bundle_of};
use super::model::{Msid, RidLine, Setup, SimulcastLine, Source};
use super::{Applied, Credentials, Described, Jsep, Section, SectionKind, Slot, random_text};
use crate::configuration::BundlePolicy;
use crate::description::SdpType;
use crate::session::codecs::{self, answered_codecs, answered_extensions};
use crate::session::transceiver::{Transceiver, TransceiverId};
use std::collections::VecDeque;

impl Jsep {
    pub(super) fn build_offer(&mut self, restart_ice: bool) -> Described {
        let mut waiting: VecDeque<TransceiverId> = self
            .transceivers
            .iter()
            .filter(|transceiver| transceiver.is_unassociated())
            .map(|transceiver| transceiver.id)
            .collect();
        let has_data_section = self
            .slots
            .iter()
            .any(|slot| slot.kind == SectionKind::Application && !slot.rejected);
        let mut data_waits = self.wants_data && !has_data_section;

        let mut plan: Vec<Planned> = Vec::with_capacity(self.slots.len() + waiting.len() + 1);
        // W3C WebRTC Extensions, "Always negotiating data channels".
        if self.always_data && self.slots.is_empty() {
            data_waits = false;
            plan.push(Planned::Data);
        }
        for slot in &self.slots {
            plan.push(if !slot.rejected {
                Planned::Keep(slot.clone())
            } else if let Some(id) = waiting.pop_front() {
                // RFC 9429 §5.2.2: a rejected section is used again before a new one is added.
                Planned::Transceiver(id)
            } else if std::mem::take(&mut data_waits) {
                Planned::Data
            } else {
                Planned::Keep(slot.clone())
            });
        }
        plan.extend(waiting.into_iter().map(Planned::Transceiver));
        if data_waits {
            plan.push(Planned::Data);
        }

        let mut described = self.new_description();
        let mut mids: Vec<String> = self.slots.iter().map(|slot| slot.mid.clone()).collect();
        let mut placement = Placement::new(self);
        for planned in plan {
            let section = match planned {
                Planned::Keep(slot) => self.offered_again(&slot),
                Planned::Transceiver(id) => {
                    let mid = free_mid(&mut mids);
                    self.offered_media(id, mid)
                }
                Planned::Data => Some(self.data_section(free_mid(&mut mids))),
            };
            let Some(mut section) = section else { continue };
            if !section.rejected && !placement.is_placed(&section) {
                placement.place(self.policy, &mut section);
            }
            self.describe_rtcp(&described, &mut section);
            described.sections.push(section);
        }

        described.bundle = self.offered_bundle(&described);
        described.lip_sync = self.offered_lip_sync(&described);
        let mut credentials: Vec<(usize, Credentials)> = Vec::new();
        for section in &described.sections {
            let transport = section.transport;
            if !section.rejected && !credentials.iter().any(|(known, _)| *known == transport) {
                let own = self.offer_credentials(transport, restart_ice);
                credentials.push((transport, own));
            }
        }
        // RFC 8842 §5.2: an offer leaves the choice to the answerer.
        self.describe_transports(&mut described, &credentials, |_| Setup::Actpass);
        // RFC 8842 §5.5: this side never wants another association of its own accord.
        self.name_associations(&mut described, |jsep, transport| {
            Some(
                jsep.local_tls_id(transport)
                    .unwrap_or_else(|| random_text(&mut jsep.rng, 32)),
            )
        });
        described
    }

    /// RFC 9429 §5.2.1, §5.2.2: what RTCP may be, until an answer has agreed on that.
    fn describe_rtcp(&self, described: &Described, section: &mut Section) {
        let agreed = self.last_answer_of(&section.mid);
        let shared = described
            .sections
            .iter()
            .any(|other| !other.rejected && other.transport == section.transport);
        section.rtcp_rsize = agreed.is_none_or(|answer| answer.rtcp_rsize);
        section.rtcp_mux_only = section.media().is_some()
            && !section.rejected
            && !section.bundle_only
            && !shared
            && agreed.is_none();
    }

    /// What the most recent answer says of a section that it accepts.
    fn last_answer_of(&self, mid: &str) -> Option<&Section> {
        let mut sections = self.last_applied_answer()?.sections.iter();
        sections.find(|section| section.mid == mid && !section.rejected)
    }

    pub(super) fn last_applied_answer(&self) -> Option<&Described> {
        [&self.current_local, &self.current_remote]
            .into_iter()
            .flatten()
            .find(|applied| applied.sdp_type == SdpType::Answer)
            .map(|applied| &applied.described)
    }

    /// A section that was there before.
    fn offered_again(&mut self, slot: &Slot) -> Option<Section> {
        let mut section = match (&slot.kind, slot.transceiver) {
            (SectionKind::Application, _) if !slot.rejected => self.data_section(slot.mid.clone()),
            (SectionKind::Media(_), Some(id)) if !slot.rejected => {
                match self.offered_media(id, slot.mid.clone()) {
                    Some(section) => section,
                    None => rejected(slot.kind.clone(), slot.mid.clone()),
                }
            }
            _ => rejected(slot.kind.clone(), slot.mid.clone()),
        };
        section.transport = slot.transport;
        section.transceiver = slot.transceiver;
        // Until an answer has made the group, a section that relies on it goes on saying so.
        let pending = self.pending_local.as_ref().and_then(|applied| {
            let sections = &applied.described.sections;
            sections.iter().find(|before| before.mid == slot.mid)
        });
        section.bundle_only = !section.rejected && pending.is_some_and(|before| before.bundle_only);
        self.keep_answered_order(&mut section);
        Some(section)
    }

    /// RFC 9429 §5.2.2: without preferences, formats come in the order of the last answer, new ones after them.
    fn keep_answered_order(&self, section: &mut Section) {
        let preferred = section
            .transceiver
            .and_then(|id| self.transceiver(id))
            .is_some_and(|transceiver| !transceiver.preferences.is_empty());
        let answer = [&self.current_local, &self.current_remote]
            .into_iter()
            .flatten()
            .find(|applied| applied.sdp_type == SdpType::Answer)
            .and_then(|applied| {
                let sections = &applied.described.sections;
                sections.iter().find(|known| known.mid == section.mid)
            });
        let Some(answer) = answer.filter(|_| !preferred) else {
            return;
        };
        section.codecs.sort_by_key(|codec| {
            answer
                .codecs
                .iter()
                .position(|known| known.payload_type == codec.payload_type)
                .unwrap_or(usize::MAX)
        });
    }

    /// The section of a transceiver; none when it is gone or stopping.
    fn offered_media(&mut self, id: TransceiverId, mid: String) -> Option<Section> {
        let transceiver = self
            .transceivers
            .iter()
            .find(|transceiver| transceiver.id == id && !transceiver.stopping)?;
        let mut section = Section::new(SectionKind::Media(transceiver.kind), mid);
        section.transceiver = Some(id);
        section.transport = usize::MAX;
        section.direction = transceiver.direction;
        section.codecs = self.numbers.offered_codecs(
            &self.catalogue,
            transceiver.kind,
            &transceiver.preferences,
        );
        section.extensions = self
            .numbers
            .offered_extensions(&transceiver.extensions_to_negotiate);
        section.packet_time = codecs::packet_time(transceiver.kind);
        self.describe_sender(&mut section, transceiver);
        if transceiver.sender.encodings.len() > 1 {
            let rids: Vec<String> = transceiver
                .sender
                .encodings
                .iter()
                .filter_map(|encoding| encoding.parameters.rid.clone())
                .collect();
            section.rids = rids
                .iter()
                .map(|id| RidLine {
                    id: id.clone(),
                    send: true,
                    restrictions: String::new(),
                })
                .collect();
            section.simulcast = Some(SimulcastLine {
                send: rids.into_iter().map(|rid| vec![rid]).collect(),
                receive: Vec::new(),
            });
        }
        Some(section)
    }

    /// `a=msid` and `a=ssrc` of what a transceiver sends or wants to send (RFC 9429 §5.2.1, §5.3.1). A track that was
    /// announced once stays so, whatever becomes of its direction (§5.2.2).
    fn describe_sender(&self, section: &mut Section, transceiver: &Transceiver) {
        let announced = self.current_local.as_ref().is_some_and(|applied| {
            let mut sections = applied.described.sections.iter();
            sections.any(|before| {
                transceiver.mid.as_ref() == Some(&before.mid) && !before.msids.is_empty()
            })
        });
        let sender = &transceiver.sender;
        if transceiver.direction.sends() || announced {
            let msid = |stream: &str| Msid {
                stream: stream.to_owned(),
                track: Some(sender.announced_track.clone()),
            };
            section.msids = match sender.streams.as_slice() {
                [] => vec![msid("-")],
                streams => streams.iter().map(|stream| msid(stream)).collect(),
            };
        }
        if let [lone] = sender.encodings.as_slice()
            && section.direction.sends()
        {
            let repaired = section
                .codecs
                .iter()
                .any(|codec| codec.codec.name().eq_ignore_ascii_case("rtx"));
            section.sources = vec![Source {
                ssrc: lone.ssrc,
                rtx: repaired.then_some(lone.rtx),
                cname: Some(self.cname.clone()),
            }];
        }
    }

    /// RFC 8841 §5, §6.
    fn data_section(&self, mid: String) -> Section {
        let mut section = Section::new(SectionKind::Application, mid);
        section.transport = usize::MAX;
        section.sctp_port = Some(self.facts.sctp_port);
        section.max_message_size = Some(self.facts.max_message_size);
        section
    }

    pub(super) fn build_answer(&mut self, offer: &Described) -> Described {
        let mut described = self.new_description();
        (described.trickle, described.ice2) = (offer.trickle, offer.ice2);
        for (index, offered) in offer.sections.iter().enumerate() {
            let answered = self
                .answered_section(index, offered)
                .filter(|_| self.has_room_for(offer, index));
            let section = answered.unwrap_or_else(|| {
                let mut section = rejected(offered.kind.clone(), offered.mid.clone());
                // RFC 3264 §6: a rejected section gives the formats back.
                section.protocol.clone_from(&offered.protocol);
                section.formats.clone_from(&offered.formats);
                section.codecs.clone_from(&offered.codecs);
                section.transceiver = self.slots.get(index).and_then(|slot| slot.transceiver);
                section
            });
            // RFC 9429 §5.3.1: if and only if present in the offer.
            let section = Section {
                has_mid: offered.has_mid,
                rtcp_rsize: offered.rtcp_rsize,
                ..section
            };
            described.sections.push(section);
        }

        // RFC 9143 §7.3.1, §7.3.3: what was offered as a group and is accepted stays one; the section that speaks for it in the
        // offer does so in the answer.
        for group in &offer.bundle {
            let accepted = group.iter().filter_map(|mid| {
                let mut sections = described.sections.iter();
                sections.find(|section| !section.rejected && section.mid == *mid)
            });
            let accepted = bundle_of(accepted);
            described.bundle.extend(accepted);
        }
        described.lip_sync = self.answered_lip_sync(offer, &described);
        let mut credentials: Vec<(usize, Credentials)> = Vec::new();
        for (index, offered) in offer.sections.iter().enumerate() {
            let transport = described.sections[index].transport;
            let speaks = described
                .spokesman(transport)
                .is_some_and(|spokesman| spokesman.mid == offered.mid);
            if !described.sections[index].rejected && speaks {
                let own = self.answer_credentials(transport, offered);
                credentials.push((transport, own));
            }
        }
        // RFC 8842 §5.3; a role once taken stays while the association lives.
        let roles = self.facts.dtls_client.clone();
        let renewed: Vec<bool> = (0..self.next_transport)
            .map(|transport| self.is_association_renewed(offer, transport))
            .collect();
        let setup = |index: usize, transport: usize| {
            let offered = offer.sections[index].setup;
            let role = roles.get(transport).copied().flatten();
            match role.filter(|_| renewed.get(transport) != Some(&true)) {
                Some(true) if offered != Some(Setup::Active) => Setup::Active,
                Some(false) if offered != Some(Setup::Passive) => Setup::Passive,
                _ if offered == Some(Setup::Active) => Setup::Passive,
                _ => Setup::Active,
            }
        };
        let transports: Vec<usize> = described
            .sections
            .iter()
            .map(|section| section.transport)
            .collect();
        self.describe_transports(&mut described, &credentials, |index| {
            setup(index, transports[index])
        });
        self.name_associations(&mut described, |jsep, transport| {
            // RFC 8842 §5.3: no name for who has none; another name for another association.
            jsep.offered_section(offer, transport)?.tls_id.as_ref()?;
            let kept = jsep
                .local_tls_id(transport)
                .filter(|_| renewed.get(transport) != Some(&true));
            Some(kept.unwrap_or_else(|| random_text(&mut jsep.rng, 32)))
        });
        described
    }

    /// Whether an offer wants another DTLS association on a transport than the one that is there.
    fn is_association_renewed(&self, offer: &Described, transport: usize) -> bool {
        let before = self
            .current_remote
            .as_ref()
            .and_then(|before| self.described_before(&before.described, transport));
        self.offered_section(offer, transport)
            .zip(before)
            .is_some_and(|(offered, before)| offered.begins_another_association(before))
    }

    /// The section of the pending offer that speaks for a transport.
    fn offered_section<'d>(&self, offer: &'d Described, transport: usize) -> Option<&'d Section> {
        self.described_before(offer, transport)
    }

    /// Writes `a=tls-id` where a section speaks for its transport (RFC 9429 §5.2.1, RFC 8842 §4).
    fn name_associations(
        &mut self,
        described: &mut Described,
        mut name: impl FnMut(&mut Self, usize) -> Option<String>,
    ) {
        for index in 0..described.sections.len() {
            let section = &described.sections[index];
            let transport = section.transport;
            let speaks = described
                .spokesman(transport)
                .is_some_and(|spokesman| spokesman.mid == section.mid);
            if !section.rejected && speaks {
                described.sections[index].tls_id = name(self, transport);
            }
        }
    }

    /// The name that the local description in force gives the DTLS association of a transport.
    fn local_tls_id(&self, transport: usize) -> Option<String> {
        self.local()?.described.spokesman(transport)?.tls_id.clone()
    }

    /// Writes credentials, fingerprints and roles. A section that is bundled with another says of its transport what it
    /// said before: nobody may listen (RFC 9143 §7.1.3), but Firefox takes a change for an ICE restart.
    fn describe_transports(
        &self,
        described: &mut Described,
        credentials: &[(usize, Credentials)],
        setup: impl Fn(usize) -> Setup,
    ) {
        let spokesmen: Vec<String> = credentials
            .iter()
            .filter_map(|(transport, _)| described.spokesman(*transport))
            .map(|section| section.mid.clone())
            .collect();
        for (index, section) in described.sections.iter_mut().enumerate() {
            let Some((_, own)) = credentials
                .iter()
                .find(|(transport, _)| !section.rejected && *transport == section.transport)
            else {
                continue;
            };
            let before = self.local().and_then(|local| {
                let kept = self.local_credentials(section.transport).as_ref() == Some(own);
                let mut sections = local.described.sections.iter();
                sections.find(|before| {
                    kept && !before.rejected
                        && before.mid == section.mid
                        && before.transport == section.transport
                })
            });
            match before.filter(|_| !spokesmen.contains(&section.mid)) {
                Some(before) => {
                    section.ice_ufrag.clone_from(&before.ice_ufrag);
                    section.ice_pwd.clone_from(&before.ice_pwd);
                }
                None => {
                    section.ice_ufrag.clone_from(&own.ufrag);
                    section.ice_pwd.clone_from(&own.pwd);
                }
            }
            section.fingerprints.clone_from(&self.facts.fingerprints);
            section.setup = Some(setup(index));
        }
    }

    /// Whether the bundle policy lets this section have the transport it needs (RFC 9429 §5.3.1).
    fn has_room_for(&self, offer: &Described, index: usize) -> bool {
        let section = &offer.sections[index];
        let first = offer.sections.iter().position(|other| {
            !other.rejected
                && match self.policy {
                    BundlePolicy::MaxBundle => true,
                    BundlePolicy::Balanced => other.kind == section.kind,
                    BundlePolicy::MaxCompat => false,
                }
        });
        match first {
            None => true,
            Some(first) if first == index => true,
            Some(first) => {
                let group = offer.bundle_of(&offer.sections[first].mid);
                group.is_some_and(|group| group.contains(&section.mid))
            }
        }
    }

    fn answered_section(&self, index: usize, offered: &Section) -> Option<Section> {
        let slot = self.slots.get(index)?;
        if offered.rejected {
            return None;
        }
        let mut section = match &offered.kind {
            SectionKind::Other(_) => return None,
            SectionKind::Application => {
                let first = self
                    .slots
                    .iter()
                    .position(|slot| slot.kind == SectionKind::Application && !slot.rejected);
                if first != Some(index) {
                    return None;
                }
                self.data_section(offered.mid.clone())
            }
            SectionKind::Media(kind) => {
                let transceiver = self
                    .transceiver(slot.transceiver?)
                    .filter(|transceiver| !transceiver.stopped)?;
                let mut section = Section::new(offered.kind.clone(), offered.mid.clone());
                section.codecs = answered_codecs(
                    &self.catalogue,
                    *kind,
                    &offered.codecs,
                    &transceiver.preferences,
                );
                if !section.codecs.iter().any(|codec| codec.codec.is_media()) {
                    return None;
                }
                section.extensions =
                    answered_extensions(&transceiver.extensions_to_negotiate, &offered.extensions);
                section.direction = transceiver
                    .direction
                    .intersect(offered.direction.reversed());
                section.transceiver = Some(transceiver.id);
                section.packet_time = codecs::packet_time(*kind);
                self.describe_sender(&mut section, transceiver);
                answer_simulcast(&mut section, offered, transceiver);
                section
            }
        };
        // An association over another protocol is given back as it was named (RFC 8841 §4.1).
        section.protocol.clone_from(&offered.protocol);
        section.transport = slot.transport;
        Some(section)
    }

    /// W3C WebRTC §4.2.7, `iceRestart`: those of the current description, unless a restart is asked for or due.
    fn offer_credentials(&mut self, transport: usize, restart_ice: bool) -> Credentials {
        let of = |applied: &Option<Applied>| applied.as_ref()?.credentials(transport);
        let (current, pending) = (of(&self.current_local), of(&self.pending_local));
        match (current, pending) {
            (Some(current), _) if !restart_ice && !self.must_replace(&current) => current,
            (Some(_), Some(pending)) if !restart_ice && !self.must_replace(&pending) => pending,
            // A restart of what was never agreed on is none (RFC 9429 §5.2.3.1).
            (None, Some(pending)) if !self.must_replace(&pending) => pending,
            (None, None) => self.first_credentials(transport),
            _ => self.new_credentials(),
        }
    }

    /// RFC 8839 §4.4.2: new credentials answer new credentials, and only those; a restart that this side wants waits
    /// for an offer of its own.
    fn answer_credentials(&mut self, transport: usize, offered: &Section) -> Credentials {
        // The section that spoke for the transport until now may be another one.
        let before = self.current_local.as_ref().and_then(|local| {
            let spokesman = local.described.spokesman(transport)?;
            let theirs = &self.current_remote.as_ref()?.described.sections;
            theirs.iter().find(|section| section.mid == spokesman.mid)
        });
        let restarted =
            before.is_some_and(|before| !before.rejected && before.ice_ufrag != offered.ice_ufrag);
        let keep = self.pending_local.is_some() || !restarted;
        match self.local_credentials(transport) {
            Some(current) if keep => current,
            Some(_) => self.new_credentials(),
            None => self.first_credentials(transport),
        }
    }

    /// Those that the transport gathers with already (RFC 9429 §3.5.4), or new ones.
    fn first_credentials(&mut self, transport: usize) -> Credentials {
        let pooled = self.facts.pooled.get(transport).cloned().flatten();
        pooled.unwrap_or_else(|| self.new_credentials())
    }

    /// The credentials that the local description in force has for a transport.
    pub(crate) fn local_credentials(&self, transport: usize) -> Option<Credentials> {
        self.local()?.credentials(transport)
    }

    /// RFC 8839 §5.4: at least 24 and 128 random bits; RFC 8445 §5.3.
    fn new_credentials(&mut self) -> Credentials {
        Credentials {
            ufrag: random_text(&mut self.rng, 8),
            pwd: random_text(&mut self.rng, 24),
        }
    }

    fn new_description(&mut self) -> Described {
        self.version += 1;
        Described {
            session_id: self.session_id,
            version: self.version,
            ice_lite: self.ice_lite,
            trickle: true,
            ice2: true,
            renomination: self.renominates,
            identity: self.identity.clone(),
            ..Described::default()
        }
    }
}

/// What becomes of one section in an offer.
enum Planned {
    Keep(Slot),
    Transceiver(TransceiverId),
    Data,
}

/// The smallest number that is no mid yet.
fn free_mid(taken: &mut Vec<String>) -> String {
    let mid = (0_u32..)
        .map(|number| number.to_string())
        .find(|mid| !taken.contains(mid))
        .unwrap_or_default();
    taken.push(mid.clone());
    mid
}

fn rejected(kind: SectionKind, mid: String) -> Section {
    let mut section = Section::new(kind, mid);
    section.rejected = true;
    section.direction = crate::states::TransceiverDirection::Inactive;
    if let SectionKind::Media(kind) = section.kind {
        section.codecs =
            codecs::Numbers::default().offered_codecs(&codecs::Catalogue::default(), kind, &[]);
        section.codecs.truncate(1);
    }
    section
}

/// RFC 8853 §5.3: an answer turns the directions round and keeps what it can do.
fn answer_simulcast(section: &mut Section, offered: &Section, transceiver: &Transceiver) {
    let Some(simulcast) = &offered.simulcast else {
        return;
    };
    let mut answered = SimulcastLine::default();
    if section.direction.receives() {
        answered.receive.clone_from(&simulcast.send);
        section.rids.extend(
            offered
                .rids
                .iter()
                .filter(|rid| rid.send)
                .map(|rid| RidLine {
                    send: false,
                    ..rid.clone()
                }),
        );
    }
    if section.direction.sends() && transceiver.sender.encodings.len() > 1 {
        let ours = |rid: &String| {
            transceiver.sender.encodings.iter().any(|encoding| {
                encoding.parameters.rid.as_deref() == Some(rid.trim_start_matches('~'))
            })
        };
        // The first alternative of each, and each identifier once (W3C WebRTC §4.4.2, final steps to create an answer).
        for rids in &simulcast.receive {
            let chosen = rids.first().filter(|rid| ours(rid));
            let chosen = chosen.filter(|rid| {
                let mut known = answered.send.iter().flatten();
                !known.any(|known| known.trim_start_matches('~') == rid.trim_start_matches('~'))
            });
            answered.send.extend(chosen.map(|rid| vec![rid.clone()]));
        }
        section
            .rids
            .extend(answered.send.iter().flatten().map(|rid| RidLine {
                id: rid.trim_start_matches('~').to_owned(),
                send: true,
                restrictions: String::new(),
            }));
    }
    if !answered.send.is_empty() || !answered.receive.is_empty() {
        section.simulcast = Some(answered);
    }
}
