//! What applying a description changes (W3C WebRTC §4.4.1.5, RFC 9429 §5.9 to §5.11).

use super::{Applied, Described, Encoding, Jsep, MOST_ENCODINGS, Notice, Section, Slot, Stable};
use crate::description::SdpType;
use crate::error::Error;
use crate::rtp_parameters::{RtpEncodingParameters, RtpHeaderExtensionParameters};
use crate::session::codecs::{answered_extensions, negotiated_extensions, sent_codecs};
use crate::session::transceiver::TransceiverId;
use crate::states::{SignalingState, TransceiverDirection};

impl Jsep {
    pub(super) fn apply_local(&mut self, applied: Applied) -> Vec<Notice> {
        let catalogue = self.catalogue.clone();
        let before = self.state;
        let sdp_type = applied.sdp_type;
        if sdp_type == SdpType::Offer {
            self.remember_stable();
            self.take_local_slots(&applied.described);
        }
        let answered = match sdp_type {
            SdpType::Offer => None,
            _ => self
                .pending_remote
                .as_ref()
                .map(|offer| offer.described.clone()),
        };
        let mut notices = Vec::new();
        for (index, section) in applied.described.sections.iter().enumerate() {
            // An answer that was made for an earlier offer is for whom its section now belongs to.
            let associated = self.slots.get(index).and_then(|slot| slot.transceiver);
            let Some(transceiver) = associated.and_then(|id| self.transceiver_mut(id)) else {
                continue;
            };
            transceiver.section = Some(index);
            transceiver.mid = Some(section.mid.clone());
            if transceiver.stopped {
                continue;
            }
            let receives = section.direction.receives() && !section.rejected;
            transceiver.receiver.codecs = if receives {
                section.codecs.clone()
            } else {
                Vec::new()
            };
            transceiver.receiver.extensions = section
                .extensions
                .iter()
                .filter(|extension| extension.direction.receives())
                .cloned()
                .collect();
            let Some(offered) = answered
                .as_ref()
                .and_then(|offer| offer.sections.get(index))
            else {
                continue;
            };
            if section.rejected {
                // RFC 9429 §5.3.1: this side could not take the section.
                transceiver.stop();
                notices.push(Notice::Stopped(transceiver.id));
                continue;
            }
            let fired = transceiver
                .fired_direction
                .is_some_and(TransceiverDirection::receives);
            if fired && !section.direction.receives() {
                set_associated_remote_streams(transceiver, Vec::new(), &mut notices);
                notices.push(Notice::Mute(transceiver.id));
            }
            transceiver.sender.codecs = sent_codecs(
                &catalogue,
                transceiver.kind,
                &offered.codecs,
                &transceiver.preferences,
            );
            transceiver.sender.packet_time = offered.packet_time;
            transceiver.sender.extensions = sendable(answered_extensions(
                &transceiver.extensions_to_negotiate,
                &offered.extensions,
            ));
            transceiver.sender.reduced_size = offered.rtcp_rsize;
            transceiver.sender.last_returned = None;
            if sdp_type == SdpType::Answer {
                let wanted = &transceiver.extensions_to_negotiate;
                let negotiated = negotiated_extensions(wanted, &section.extensions, false);
                transceiver.negotiated_extensions.clone_from(&negotiated);
                transceiver.extensions_to_negotiate = negotiated;
            }
            transceiver.agree(section.direction);
            transceiver.fired_direction = Some(section.direction);
            prune_layers(&mut transceiver.sender.encodings, section);
        }
        let renewed = (applied.described.sections.iter())
            .filter(|section| !section.rejected)
            .filter_map(|section| applied.credentials(section.transport))
            .all(|own| !self.must_replace(&own));
        self.needs_ice_restart &= !renewed;
        match sdp_type {
            SdpType::Offer => {
                self.pending_local = Some(applied);
                self.state = SignalingState::HaveLocalOffer;
            }
            SdpType::Pranswer => {
                self.pending_local = Some(applied);
                self.state = SignalingState::HaveLocalPranswer;
            }
            _ => {
                self.merge_bundled(&applied.described);
                self.current_local = Some(applied);
                self.current_remote = self.pending_remote.take();
                self.pending_local = None;
                self.finish_exchange(&mut notices);
            }
        }
        self.finish_notices(before, &mut notices);
        notices
    }

    pub(super) fn apply_remote(&mut self, applied: Applied) -> Vec<Notice> {
        let catalogue = self.catalogue.clone();
        let before = self.state;
        let offer = applied.sdp_type == SdpType::Offer;
        self.peer_trickles = Some(applied.described.trickle);
        if offer {
            self.remember_stable();
            self.take_remote_slots(&applied.described);
        }
        let mut notices = Vec::new();
        for (index, section) in applied.described.sections.iter().enumerate() {
            let Some(kind) = section.media() else {
                continue;
            };
            let id = match self.slots[index].transceiver {
                Some(id) => id,
                None if section.rejected => continue,
                None => self.transceiver_for(index, section),
            };
            self.slots[index].transceiver = Some(id);
            if !section.rejected {
                self.numbers.learn(&section.codecs, &section.extensions);
            }
            let layers = if offer {
                self.proposed_layers(section)
            } else {
                Vec::new()
            };
            let local = self
                .local()
                .and_then(|local| local.described.sections.get(index))
                .cloned();
            let streams = self.streams_of(section);
            let Some(transceiver) = self.transceiver_mut(id) else {
                continue;
            };
            transceiver.section = Some(index);
            transceiver.mid = Some(section.mid.clone());
            if transceiver.stopped {
                continue;
            }
            if let [lone] = transceiver.sender.encodings.as_slice()
                && lone.parameters.rid.is_none()
                && !layers.is_empty()
            {
                transceiver.sender.encodings = layers;
                transceiver.sender.last_returned = None;
            }
            let direction = match (section.rejected, &local) {
                (true, _) => TransceiverDirection::Inactive,
                // An answer cannot give more than was offered.
                (false, Some(local)) if !offer => {
                    section.direction.reversed().intersect(local.direction)
                }
                (false, _) => section.direction.reversed(),
            };
            process_remote_track(transceiver, direction, streams, &mut notices);
            if !offer {
                prune_layers(&mut transceiver.sender.encodings, section);
                transceiver.sender.codecs =
                    sent_codecs(&catalogue, kind, &section.codecs, &transceiver.preferences);
                transceiver.sender.packet_time = section.packet_time;
                transceiver.sender.extensions = sendable(answered_extensions(
                    &transceiver.extensions_to_negotiate,
                    &section.extensions,
                ));
                transceiver.sender.reduced_size = section.rtcp_rsize;
                transceiver.sender.last_returned = None;
                if applied.sdp_type == SdpType::Answer && !section.rejected {
                    let wanted = &transceiver.extensions_to_negotiate;
                    let negotiated = negotiated_extensions(wanted, &section.extensions, true);
                    transceiver.negotiated_extensions.clone_from(&negotiated);
                    transceiver.extensions_to_negotiate = negotiated;
                }
                transceiver.agree(direction);
            }
            if section.rejected {
                transceiver.stop();
                notices.push(Notice::Stopped(id));
            }
        }
        match applied.sdp_type {
            SdpType::Offer => {
                self.pending_remote = Some(applied);
                self.state = SignalingState::HaveRemoteOffer;
            }
            SdpType::Pranswer => {
                self.pending_remote = Some(applied);
                self.state = SignalingState::HaveRemotePranswer;
            }
            _ => {
                self.merge_bundled(&applied.described);
                self.current_remote = Some(applied);
                self.current_local = self.pending_local.take();
                self.pending_remote = None;
                self.finish_exchange(&mut notices);
            }
        }
        self.finish_notices(before, &mut notices);
        notices
    }

    pub(super) fn rollback(&mut self) -> Result<Vec<Notice>, Error> {
        if !matches!(
            self.state,
            SignalingState::HaveLocalOffer | SignalingState::HaveRemoteOffer
        ) {
            return Err(Error::InvalidState(format!(
                "there is nothing to roll back in {}",
                self.state
            )));
        }
        let remote = self.state == SignalingState::HaveRemoteOffer;
        let Some(stable) = self.stable.take() else {
            return Err(Error::InvalidState("there is nothing to roll back".into()));
        };
        let mut notices = Vec::new();
        self.slots = stable.slots;
        let mut kept = Vec::with_capacity(self.transceivers.len());
        for mut transceiver in std::mem::take(&mut self.transceivers) {
            let before = stable
                .transceivers
                .iter()
                .find(|before| before.id == transceiver.id);
            transceiver.section = before.and_then(|before| before.section);
            transceiver.mid = before.and_then(|before| before.mid.clone());
            transceiver.receiver.codecs = before
                .map(|before| before.receiver.codecs.clone())
                .unwrap_or_default();
            transceiver.receiver.extensions = before
                .map(|before| before.receiver.extensions.clone())
                .unwrap_or_default();
            if let Some(before) = before
                && before.sender.encodings.len() == 1
                && transceiver
                    .sender
                    .encodings
                    .iter()
                    .any(|encoding| encoding.parameters.rid.is_some())
                && before.sender.encodings[0].parameters.rid.is_none()
            {
                transceiver
                    .sender
                    .encodings
                    .clone_from(&before.sender.encodings);
            }
            if remote {
                let direction = transceiver
                    .current_direction
                    .unwrap_or(TransceiverDirection::Inactive);
                let streams = before
                    .map(|before| before.receiver.streams.clone())
                    .unwrap_or_default();
                process_remote_track(&mut transceiver, direction, streams, &mut notices);
                transceiver.fired_direction = transceiver.current_direction;
            }
            if before.is_none() && transceiver.by_remote_offer && !transceiver.by_add_track {
                notices.push(Notice::Stopped(transceiver.id));
                continue;
            }
            transceiver.by_remote_offer = false;
            kept.push(transceiver);
        }
        self.transceivers = kept;
        self.pending_local = None;
        self.pending_remote = None;
        // "Clear the negotiation-needed flag and update it": what was offered in vain needs to be offered again.
        self.negotiation_needed = false;
        let before = std::mem::replace(&mut self.state, SignalingState::Stable);
        self.finish_notices(before, &mut notices);
        Ok(notices)
    }

    /// A section that a peer without mids describes again keeps the one it has.
    pub(super) fn adopt_mids(&self, described: &mut Described) {
        for (section, slot) in described.sections.iter_mut().zip(&self.slots) {
            if !section.has_mid && !slot.rejected {
                section.mid.clone_from(&slot.mid);
            }
        }
    }

    /// The section of an earlier remote description that speaks for a transport.
    pub(super) fn described_before<'d>(
        &self,
        before: &'d Described,
        transport: usize,
    ) -> Option<&'d Section> {
        let mut users = self
            .slots
            .iter()
            .zip(&before.sections)
            .filter(|(slot, section)| {
                slot.transport == transport
                    && !slot.rejected
                    && !section.rejected
                    && !section.fingerprints.is_empty()
            })
            .map(|(_, section)| section);
        let first = users.clone().next();
        users
            .find(|section| before.speaks_for_itself(&section.mid))
            .or(first)
    }

    fn remember_stable(&mut self) {
        if self.state == SignalingState::Stable {
            self.stable = Some(Stable {
                transceivers: self.transceivers.clone(),
                slots: self.slots.clone(),
            });
        }
    }

    fn take_local_slots(&mut self, described: &Described) {
        self.slots = described
            .sections
            .iter()
            .enumerate()
            .map(|(index, section)| Slot {
                mid: section.mid.clone(),
                kind: section.kind.clone(),
                transceiver: section.transceiver,
                rejected: section.rejected
                    && self.slots.get(index).is_none_or(|slot| slot.rejected),
                transport: section.transport,
            })
            .collect();
        self.count_transports();
    }

    fn take_remote_slots(&mut self, described: &Described) {
        for (index, section) in described.sections.iter().enumerate() {
            let transport = match self.slots.get(index) {
                Some(slot) if !slot.rejected => slot.transport,
                _ => self
                    .bundled_transport(described, index)
                    .unwrap_or(self.next_transport),
            };
            match self.slots.get_mut(index) {
                Some(slot) if slot.rejected => {
                    // The section is used again for something else.
                    *slot = Slot {
                        mid: section.mid.clone(),
                        kind: section.kind.clone(),
                        transceiver: None,
                        rejected: section.rejected,
                        transport,
                    };
                }
                Some(_) => {}
                None => self.slots.push(Slot {
                    mid: section.mid.clone(),
                    kind: section.kind.clone(),
                    transceiver: None,
                    rejected: section.rejected,
                    transport,
                }),
            }
            self.count_transports();
        }
    }

    /// The transport of the group that a remote section is offered in: that of a section which was in it before and
    /// stays, else of one before this.
    fn bundled_transport(&self, described: &Described, index: usize) -> Option<usize> {
        let group = described.bundle_of(&described.sections[index].mid)?;
        let member = |(slot, section): &(&Slot, &Section)| {
            !slot.rejected
                && !section.rejected
                && slot.mid == section.mid
                && group.contains(&slot.mid)
        };
        self.slots
            .iter()
            .zip(&described.sections)
            .find(member)
            .map(|(slot, _)| slot.transport)
    }

    fn count_transports(&mut self) {
        let used = self
            .slots
            .iter()
            .filter(|slot| slot.transport != usize::MAX)
            .map(|slot| slot.transport + 1)
            .max();
        self.next_transport = self.next_transport.max(used.unwrap_or(0));
    }

    /// The streams that the peer puts a track in; the default one when it says nothing (RFC 9429 §5.8.2).
    fn streams_of(&self, section: &Section) -> Vec<String> {
        if section.msids.is_empty() {
            vec![self.default_stream.clone()]
        } else {
            section.stream_ids()
        }
    }

    /// RFC 9429 §5.10: a transceiver of `add_track` that waits for a section, else a new one.
    fn transceiver_for(&mut self, index: usize, section: &Section) -> TransceiverId {
        let Some(kind) = section.media() else {
            return TransceiverId(u32::MAX);
        };
        let peer_receives = section.direction.receives();
        let waiting = self.transceivers.iter_mut().find(|transceiver| {
            transceiver.kind == kind
                && transceiver.is_unassociated()
                && transceiver.by_add_track
                && peer_receives
        });
        if let Some(transceiver) = waiting {
            transceiver.section = Some(index);
            return transceiver.id;
        }
        let layers: Vec<RtpEncodingParameters> = vec![RtpEncodingParameters::default()];
        let id = self.new_transceiver(
            kind,
            None,
            TransceiverDirection::RecvOnly,
            Vec::new(),
            layers,
        );
        if let Some(transceiver) = self.transceiver_mut(id) {
            transceiver.by_remote_offer = true;
        }
        id
    }

    /// The encodings that an offer to receive simulcast asks for.
    fn proposed_layers(&mut self, section: &Section) -> Vec<Encoding> {
        let Some(simulcast) = &section.simulcast else {
            return Vec::new();
        };
        let mut rids: Vec<String> = Vec::new();
        for rid in simulcast
            .receive
            .iter()
            .filter_map(|alternatives| alternatives.first())
        {
            let rid = rid.trim_start_matches('~');
            if !rids.iter().any(|known| known == rid) && rids.len() < MOST_ENCODINGS {
                rids.push(rid.to_owned());
            }
        }
        let count = rids.len();
        rids.into_iter()
            .enumerate()
            .map(|(index, rid)| {
                let scale = f64::from(1_u32 << (count - index - 1));
                self.new_encoding(RtpEncodingParameters {
                    rid: Some(rid),
                    scale_resolution_down_by: Some(scale),
                    ..RtpEncodingParameters::default()
                })
            })
            .collect()
    }

    /// Sections that an answer bundles move to the transport of the first of their group.
    fn merge_bundled(&mut self, answer: &Described) {
        for group in &answer.bundle {
            let tag = group.iter().find_map(|mid| {
                let slot = self.slots.iter().find(|slot| slot.mid == *mid)?;
                answer
                    .sections
                    .iter()
                    .any(|section| section.mid == *mid && !section.rejected)
                    .then_some(slot.transport)
            });
            let Some(tag) = tag else { continue };
            for slot in self
                .slots
                .iter_mut()
                .filter(|slot| group.contains(&slot.mid))
            {
                slot.transport = tag;
            }
        }
        let slots = self.slots.clone();
        for applied in [&mut self.pending_local, &mut self.current_local]
            .into_iter()
            .flatten()
        {
            for (section, slot) in applied.described.sections.iter_mut().zip(&slots) {
                section.transport = slot.transport;
            }
        }
    }

    /// The end of an exchange, with both current descriptions in place.
    fn finish_exchange(&mut self, notices: &mut Vec<Notice>) {
        self.pending_local = None;
        self.pending_remote = None;
        self.last_offer = None;
        self.last_answer = None;
        self.stable = None;
        self.state = SignalingState::Stable;
        let (Some(local), Some(remote)) = (&self.current_local, &self.current_remote) else {
            return;
        };
        let replaced = local.described.sections.iter().all(|section| {
            section.rejected
                || !self
                    .to_replace
                    .iter()
                    .any(|old| old.ufrag == section.ice_ufrag)
        });
        if replaced {
            self.to_replace.clear();
        }
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let rejected = |described: &Described| {
                described
                    .sections
                    .get(index)
                    .is_some_and(|section| section.rejected)
            };
            slot.rejected = rejected(&local.described) || rejected(&remote.described);
        }
        let slots = &mut self.slots;
        self.transceivers.retain_mut(|transceiver| {
            transceiver.forget_codecs_not_agreed();
            transceiver.by_remote_offer = false;
            let rejected = transceiver
                .section
                .and_then(|index| slots.get(index))
                .is_some_and(|slot| slot.rejected);
            if rejected && transceiver.stopping && !transceiver.stopped {
                transceiver.stop();
                notices.push(Notice::Stopped(transceiver.id));
            }
            // One that was stopped before the peer heard of it is never described; the text would have it need
            // negotiation for ever.
            if transceiver.section.is_none() && transceiver.stopping {
                notices.push(Notice::Stopped(transceiver.id));
                return false;
            }
            let gone = rejected && transceiver.stopped;
            if gone && let Some(slot) = transceiver.section.and_then(|index| slots.get_mut(index)) {
                slot.transceiver = None;
            }
            !gone
        });
        self.negotiation_needed = false;
    }

    /// Brings the notices into the order in which the text fires their events (W3C WebRTC §4.4.1.5, steps 11 to 20).
    fn finish_notices(&self, before: SignalingState, notices: &mut Vec<Notice>) {
        if self.state != before {
            notices.push(Notice::Signaling(self.state));
        }
        notices.sort_by_key(|notice| match notice {
            Notice::Stopped(_) => 0,
            Notice::Signaling(_) => 1,
            Notice::Mute(_) => 2,
            Notice::Leave(..) => 3,
            Notice::Join(..) => 4,
            Notice::Track(_) => 5,
        });
    }
}

/// "Process remote tracks" (W3C WebRTC §5.1.1).
fn process_remote_track(
    transceiver: &mut crate::session::transceiver::Transceiver,
    direction: TransceiverDirection,
    streams: Vec<String>,
    notices: &mut Vec<Notice>,
) {
    let streams = if direction.receives() {
        streams
    } else {
        Vec::new()
    };
    let joins = set_associated_remote_streams(transceiver, streams, notices);
    let fired = transceiver
        .fired_direction
        .is_some_and(TransceiverDirection::receives);
    if direction.receives() && (!fired || joins) {
        notices.push(Notice::Track(transceiver.id));
    }
    if !direction.receives() && fired {
        notices.push(Notice::Mute(transceiver.id));
    }
    transceiver.fired_direction = Some(direction);
}

/// "Set the associated remote streams" (W3C WebRTC §5.1.1); whether there are new ones.
fn set_associated_remote_streams(
    transceiver: &mut crate::session::transceiver::Transceiver,
    streams: Vec<String>,
    notices: &mut Vec<Notice>,
) -> bool {
    let before = &transceiver.receiver.streams;
    let kept: Vec<String> = (before.iter())
        .filter(|stream| streams.contains(stream))
        .cloned()
        .collect();
    if kept.len() < before.len() {
        notices.push(Notice::Leave(transceiver.id, kept.clone()));
    }
    let joins = streams.iter().any(|stream| !kept.contains(stream));
    if joins {
        notices.push(Notice::Join(transceiver.id, streams.clone()));
    }
    transceiver.receiver.streams = streams;
    joins
}

/// The extensions that this side may send.
fn sendable(agreed: Vec<RtpHeaderExtensionParameters>) -> Vec<RtpHeaderExtensionParameters> {
    let mut agreed = agreed;
    agreed.retain(|extension| extension.direction.sends());
    agreed
}

/// An answer keeps the layers it names; one that knows no simulcast keeps the first.
fn prune_layers(encodings: &mut Vec<Encoding>, answer: &Section) {
    if encodings.len() < 2 {
        return;
    }
    // A remote answer receives what is sent here; in a local one this side writes `send`.
    let named = |rid: &str| {
        let lists = answer
            .simulcast
            .iter()
            .flat_map(|simulcast| simulcast.receive.iter().chain(&simulcast.send));
        lists
            .flatten()
            .any(|known| known.trim_start_matches('~') == rid)
    };
    let kept = |encoding: &Encoding| encoding.parameters.rid.as_deref().is_some_and(named);
    if encodings.iter().any(kept) {
        encodings.retain(kept);
    } else {
        encodings.truncate(1);
    }
}
