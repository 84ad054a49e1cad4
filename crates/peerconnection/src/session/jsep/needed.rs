//! The negotiation-needed flag (W3C WebRTC §4.7).

use super::{Jsep, Section};
use crate::description::SdpType;
use crate::session::transceiver::Transceiver;
use crate::states::SignalingState;

impl Jsep {
    /// "Update the negotiation-needed flag"; true when `negotiationneeded` is due.
    pub(crate) fn update_negotiation_needed(&mut self) -> bool {
        if self.state != SignalingState::Stable {
            return false;
        }
        let needed = self.is_negotiation_needed();
        let fires = needed && !self.negotiation_needed;
        self.negotiation_needed = needed;
        fires
    }

    /// "Check if negotiation is needed".
    pub(super) fn is_negotiation_needed(&self) -> bool {
        if !self.to_replace.is_empty() {
            return true;
        }
        let local = self.current_local.as_ref();
        let has_data = local.is_some_and(|local| {
            local
                .described
                .sections
                .iter()
                .any(|section| section.sctp_port.is_some())
        });
        if self.wants_data && !has_data {
            return true;
        }
        self.transceivers
            .iter()
            .any(|transceiver| self.needs_negotiation(transceiver))
    }

    fn needs_negotiation(&self, transceiver: &Transceiver) -> bool {
        if transceiver.stopping && !transceiver.stopped {
            return true;
        }
        let section = |applied: &Option<super::Applied>| -> Option<Section> {
            let sections = &applied.as_ref()?.described.sections;
            sections
                .get(transceiver.section?)
                .filter(|section| transceiver.mid.as_deref() == Some(&section.mid))
                .cloned()
        };
        let (Some(local), Some(applied)) = (section(&self.current_local), &self.current_local)
        else {
            return !transceiver.stopped;
        };
        let remote = section(&self.current_remote);
        if transceiver.stopped {
            return !local.rejected && !remote.is_some_and(|remote| remote.rejected);
        }
        if transceiver.direction.sends() {
            let announced: Vec<String> = local.stream_ids();
            let sender = &transceiver.sender.streams;
            if local.msids.is_empty()
                || announced.len() != sender.len()
                || !sender.iter().all(|id| announced.contains(id))
            {
                return true;
            }
        }
        match applied.sdp_type {
            SdpType::Offer => {
                local.direction != transceiver.direction
                    && remote
                        .is_none_or(|remote| remote.direction.reversed() != transceiver.direction)
            }
            _ => {
                let offered =
                    remote.map_or(transceiver.direction, |remote| remote.direction.reversed());
                local.direction != transceiver.direction.intersect(offered)
            }
        }
    }
}
