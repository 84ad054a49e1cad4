//! What a description must have to be taken (RFC 9429 §5.8, §5.10, §5.11).

use super::model::Setup;
use super::{Applied, Described, Jsep, Section, SectionKind};
use crate::description::SdpType;
use crate::error::Error;
use crate::rtp_parameters::RtpCodecParameters;

impl Jsep {
    /// What makes a remote description invalid although it can be read.
    pub(super) fn check_remote(
        &self,
        sdp_type: SdpType,
        described: &Described,
    ) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::InvalidAccess(message));
        let slots = &self.slots;
        let answer = sdp_type != SdpType::Offer;
        let sections = &described.sections;
        if sections.len() < slots.len() || (answer && sections.len() != slots.len()) {
            return wrong(format!(
                "{} media sections where there were {}",
                sections.len(),
                slots.len()
            ));
        }
        for (index, section) in sections.iter().enumerate() {
            if sections[..index]
                .iter()
                .any(|other| other.mid == section.mid)
            {
                return wrong(format!("the mid {:?} occurs twice", section.mid));
            }
            if let Some(slot) = slots.get(index) {
                let same = slot.kind == section.kind && slot.mid == section.mid;
                if !same && (answer || !slot.rejected) {
                    return wrong(format!(
                        "media section {index} has changed its mid or its kind"
                    ));
                }
            }
            if section.rejected || matches!(section.kind, SectionKind::Other(_)) {
                continue;
            }
            check_formats(index, section)?;
            if answer && let Some(local) = self.local() {
                check_answered(index, section, &local.described.sections[index])?;
            }
            // W3C WebRTC Extensions, `RTCRtpHeaderEncryptionPolicy`.
            if section.media().is_some() && self.requires_cryptex && !section.cryptex {
                return Err(Error::InvalidAccess(format!(
                    "media section {index} does not take encrypted header extensions (a=cryptex)"
                )));
            }
            // The tagged section speaks for a bundled one (RFC 9143 §7.1.3).
            if section.bundle_only || described.is_bundled_into_another(&section.mid) {
                continue;
            }
            if section.media().is_some() && !section.rtcp_mux {
                return wrong(format!(
                    "media section {index} does not multiplex RTCP (a=rtcp-mux)"
                ));
            }
            if section.ice_ufrag.is_empty() || section.ice_pwd.is_empty() {
                return wrong(format!("media section {index} has no ICE credentials"));
            }
            if section.fingerprints.is_empty() {
                return wrong(format!(
                    "media section {index} has no certificate fingerprint"
                ));
            }
            if answer && section.setup == Some(Setup::Actpass) {
                return wrong(format!(
                    "media section {index} answers with a=setup:actpass"
                ));
            }
            if answer {
                self.check_restart(index, section)?;
            }
            self.check_association(index, section, answer)?;
        }
        for mid in described.bundle.iter().flatten() {
            if !sections.iter().any(|section| section.mid == *mid) {
                return wrong(format!(
                    "the BUNDLE group names {mid:?}, which is no media section"
                ));
            }
        }
        if answer && let Some(local) = self.local() {
            for group in &described.bundle {
                let offered = local
                    .described
                    .bundle
                    .iter()
                    .any(|offered| group.iter().all(|mid| offered.contains(mid)));
                if !offered {
                    return wrong("the answer bundles what was not offered as a group".into());
                }
            }
        }
        Ok(())
    }

    /// Whether an answer made here is one to the offer that waits, and not to one before it.
    pub(super) fn check_local_answer(&self, described: &Described) -> Result<(), Error> {
        let offered = self
            .pending_remote
            .as_ref()
            .map(|offer| offer.described.sections.as_slice())
            .unwrap_or_default();
        let fits = offered.len() == described.sections.len()
            && offered
                .iter()
                .zip(&described.sections)
                .all(|(offered, answered)| {
                    offered.mid == answered.mid
                        && offered.kind == answered.kind
                        && (!offered.rejected || answered.rejected)
                });
        if fits {
            Ok(())
        } else {
            Err(Error::InvalidAccess(
                "the answer was made for another offer".into(),
            ))
        }
    }

    /// RFC 9429 §5.10: an answer brings new ICE credentials when the offer did, and only then.
    fn check_restart(&self, index: usize, answered: &Section) -> Result<(), Error> {
        // What a bundled section says of its transport counts for nothing (RFC 9143 §7.1.3).
        let spoke = [&self.current_local, &self.current_remote]
            .into_iter()
            .flatten()
            .any(|applied| {
                applied.sdp_type == SdpType::Answer
                    && applied.described.speaks_for_itself(&answered.mid)
            });
        if !spoke {
            return Ok(());
        }
        let section = |applied: &Option<Applied>| -> Option<Section> {
            let section = applied.as_ref()?.described.sections.get(index)?;
            (section.mid == answered.mid && !section.rejected && !section.ice_ufrag.is_empty())
                .then(|| section.clone())
        };
        let (Some(before), Some(theirs), Some(offered)) = (
            section(&self.current_local),
            section(&self.current_remote),
            section(&self.pending_local),
        ) else {
            return Ok(());
        };
        let differ = |one: &Section, two: &Section| {
            (&one.ice_ufrag, &one.ice_pwd) != (&two.ice_ufrag, &two.ice_pwd)
        };
        match (differ(&before, &offered), differ(&theirs, answered)) {
            (true, false) => Err(Error::InvalidAccess(format!(
                "the answer to an ICE restart has no new credentials in media section {index}"
            ))),
            (false, true) => Err(Error::InvalidAccess(format!(
                "the answer restarts ICE in media section {index}, which was not offered"
            ))),
            _ => Ok(()),
        }
    }

    /// RFC 9429 §5.8.3, §5.11: another DTLS association needs new ICE credentials.
    fn check_association(
        &self,
        index: usize,
        section: &Section,
        answer: bool,
    ) -> Result<(), Error> {
        // A provisional answer has begun an association too.
        let before = match answer {
            true => self
                .pending_remote
                .as_ref()
                .or(self.current_remote.as_ref()),
            false => self.current_remote.as_ref(),
        };
        let slot = self.slots.get(index).filter(|slot| !slot.rejected);
        let Some((slot, before)) = slot.zip(before) else {
            return Ok(());
        };
        let Some(before) = self.described_before(&before.described, slot.transport) else {
            return Ok(());
        };
        if (&before.ice_ufrag, &before.ice_pwd) != (&section.ice_ufrag, &section.ice_pwd) {
            return Ok(());
        }
        if section.begins_another_association(before) {
            return Err(Error::InvalidAccess(format!(
                "media section {index} begins another DTLS association without an ICE restart"
            )));
        }
        let client = self
            .facts
            .dtls_client
            .get(slot.transport)
            .copied()
            .flatten();
        let conflict = matches!(
            (client, section.setup),
            (Some(true), Some(Setup::Active)) | (Some(false), Some(Setup::Passive))
        );
        if conflict {
            return Err(Error::InvalidAccess(format!(
                "media section {index} changes the DTLS role of an association that goes on"
            )));
        }
        Ok(())
    }
}

/// What a section says of its formats and encodings must refer to what is there (RFC 9429 §5.8.3, §5.10).
fn check_formats(index: usize, section: &Section) -> Result<(), Error> {
    let present = |payload_type: u8| {
        let mut formats = section.formats.iter();
        formats.any(|format| format.parse() == Ok(payload_type))
    };
    let mut repaired = section
        .codecs
        .iter()
        .filter(|codec| codec.codec.name().eq_ignore_ascii_case("rtx"))
        .filter_map(RtpCodecParameters::associated_payload_type);
    if let Some(missing) = repaired.find(|primary| !present(*primary)) {
        return Err(Error::InvalidAccess(format!(
            "media section {index} repairs the format {missing}, which is not there"
        )));
    }
    let simulcast = section.simulcast.iter();
    let mut rids = simulcast
        .flat_map(|simulcast| simulcast.send.iter().chain(&simulcast.receive))
        .flatten()
        .map(|rid| rid.trim_start_matches('~'));
    if let Some(unknown) = rids.find(|rid| !section.rids.iter().any(|line| line.id == *rid)) {
        return Err(Error::InvalidAccess(format!(
            "a=simulcast of media section {index} names {unknown:?}, which no a=rid describes"
        )));
    }
    Ok(())
}

/// What an answer must have of its offer (RFC 9429 §5.8.3, §5.11). New formats and header extensions are allowed.
fn check_answered(index: usize, answered: &Section, offered: &Section) -> Result<(), Error> {
    if answered.protocol != offered.protocol {
        return Err(Error::InvalidAccess(format!(
            "media section {index} answers {} with {}",
            offered.protocol, answered.protocol
        )));
    }
    let all = |section: &Section| -> Vec<String> {
        let codecs = section.codecs.iter();
        codecs
            .flat_map(|codec| codec.feedback.iter().map(|it| it.to_ascii_lowercase()))
            .collect()
    };
    let known = all(offered);
    match all(answered).iter().find(|it| !known.contains(it)) {
        Some(feedback) => Err(Error::InvalidAccess(format!(
            "media section {index} answers with the feedback {feedback:?}, which was not offered"
        ))),
        None => Ok(()),
    }
}
