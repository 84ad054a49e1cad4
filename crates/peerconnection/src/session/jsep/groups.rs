//! Which sections of a description belong together: those of a transport (RFC 9143), those of a stream (RFC 5888 §7).

use super::{Described, Jsep, Section, SectionKind, Slot};
use crate::configuration::BundlePolicy;
use crate::description::SdpType;
use crate::session::transceiver::Transceiver;

impl Jsep {
    /// `a=group:LS` (RFC 9429 §5.2.1, §5.2.2): the groups of the most recent answer as far as they live, and one for each
    /// stream that several transceivers are in.
    pub(super) fn offered_lip_sync(&self, described: &Described) -> Vec<Vec<String>> {
        let live = |mid: &String| {
            let mut sections = described.sections.iter();
            sections.any(|section| !section.rejected && section.mid == *mid)
        };
        let mut groups: Vec<Vec<String>> = Vec::new();
        for group in self
            .last_applied_answer()
            .iter()
            .flat_map(|answer| &answer.lip_sync)
        {
            groups.push(group.iter().filter(|mid| live(mid)).cloned().collect());
        }
        let mut streams: Vec<&String> = Vec::new();
        for stream in self.transceivers.iter().flat_map(|it| &it.sender.streams) {
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        for stream in streams {
            let members = described.sections.iter().filter(|section| {
                let transceiver = section.transceiver.and_then(|id| self.transceiver(id));
                !section.rejected
                    && transceiver.is_some_and(|it| it.sender.streams.contains(stream))
            });
            groups.push(members.map(|section| section.mid.clone()).collect());
        }
        distinct_groups(groups)
    }

    /// `a=group:LS` of an answer (RFC 9429 §5.3.1): of each offered group those whose transceivers have a stream in common,
    /// or none that could tell them apart.
    pub(super) fn answered_lip_sync(
        &self,
        offer: &Described,
        described: &Described,
    ) -> Vec<Vec<String>> {
        let mut groups = Vec::new();
        for offered in &offer.lip_sync {
            let members: Vec<(&String, &Transceiver)> = offered
                .iter()
                .filter_map(|mid| {
                    let mut sections = described.sections.iter();
                    let section = sections.find(|it| !it.rejected && it.mid == *mid)?;
                    Some((mid, self.transceiver(section.transceiver?)?))
                })
                .collect();
            let indifferent =
                |it: &Transceiver| it.sender.streams.is_empty() && it.sender.track.is_none();
            let streams = members.iter().flat_map(|(_, it)| &it.sender.streams);
            let choices = streams.map(Some).chain([None]);
            let groups_of = choices.map(|stream| {
                let chosen = members.iter().filter(|(_, it)| {
                    indifferent(it) || stream.is_some_and(|one| it.sender.streams.contains(one))
                });
                chosen.map(|(mid, _)| (*mid).clone()).collect::<Vec<_>>()
            });
            groups.extend(groups_of.max_by_key(Vec::len));
        }
        distinct_groups(groups)
    }

    /// The group of all sections, the one that speaks for it first: that of the first transceiver which is not stopped
    /// (W3C WebRTC §4.4.2, final steps to create an offer), if it has an address of its own (RFC 9143 §7.2.1).
    pub(super) fn offered_bundle(&self, described: &Described) -> Vec<Vec<String>> {
        let mut sections: Vec<&Section> = described
            .sections
            .iter()
            .filter(|section| !section.rejected)
            .collect();
        let data_first = self.always_data
            && described
                .sections
                .first()
                .is_some_and(|first| first.kind == SectionKind::Application);
        let tagged = self
            .transceivers
            .iter()
            .filter(|_| !data_first)
            .filter(|transceiver| !transceiver.stopping)
            .find_map(|transceiver| {
                sections.iter().position(|section| {
                    section.transceiver == Some(transceiver.id) && !section.bundle_only
                })
            });
        if let Some(tagged) = tagged {
            sections[..=tagged].rotate_right(1);
        }
        bundle_of(sections.into_iter())
    }
}

/// Which transports the sections of an offer use (RFC 9429 §5.2.1, §4.1.1).
pub(super) struct Placement {
    /// The transport of the group that was agreed before.
    bundled: Option<usize>,
    next: usize,
    placed: Vec<(SectionKind, usize)>,
}

impl Placement {
    pub(super) fn new(jsep: &Jsep) -> Self {
        // What an answer made one group stays one, and takes in what is new (RFC 9429 §5.2.2).
        let answer = [&jsep.current_local, &jsep.current_remote]
            .into_iter()
            .flatten()
            .find(|applied| applied.sdp_type == SdpType::Answer);
        let stays = |slot: &&Slot| {
            let transceiver = slot.transceiver.and_then(|id| jsep.transceiver(id));
            !slot.rejected
                && (slot.kind == SectionKind::Application
                    || transceiver.is_some_and(|transceiver| !transceiver.stopping))
        };
        let bundled = jsep
            .slots
            .iter()
            .filter(stays)
            .find(|slot| answer.is_some_and(|it| it.described.bundle_of(&slot.mid).is_some()))
            .map(|slot| slot.transport);
        Placement {
            bundled,
            next: jsep.next_transport,
            placed: Vec::new(),
        }
    }

    pub(super) fn is_placed(&self, section: &Section) -> bool {
        section.transport != usize::MAX
    }

    pub(super) fn place(&mut self, policy: BundlePolicy, section: &mut Section) {
        let shared = match (self.bundled, policy) {
            (Some(transport), _) => Some(transport),
            (None, BundlePolicy::MaxBundle) => self.placed.first().map(|(_, transport)| *transport),
            (None, BundlePolicy::Balanced) => self
                .placed
                .iter()
                .find(|(kind, _)| *kind == section.kind)
                .map(|(_, transport)| *transport),
            (None, BundlePolicy::MaxCompat) => None,
        };
        section.bundle_only = shared.is_some() && self.bundled.is_none();
        section.transport = shared.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        });
        self.placed.push((section.kind.clone(), section.transport));
    }
}

pub(super) fn bundle_of<'a>(sections: impl Iterator<Item = &'a Section>) -> Vec<Vec<String>> {
    let mids: Vec<String> = sections.map(|section| section.mid.clone()).collect();
    if mids.is_empty() {
        Vec::new()
    } else {
        vec![mids]
    }
}

/// Groups of two and more, each once.
fn distinct_groups(groups: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut distinct: Vec<Vec<String>> = Vec::new();
    for group in groups {
        let known = |known: &Vec<String>| group.iter().all(|mid| known.contains(mid));
        if group.len() > 1 && !distinct.iter().any(known) {
            distinct.push(group);
        }
    }
    distinct
}
