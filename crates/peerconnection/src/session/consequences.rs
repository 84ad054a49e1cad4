//! What follows from descriptions and from what came in: transports, streams, data channels, states, events.

use super::Session;
use super::event::Event;
use super::jsep::{Notice, SectionKind};
use super::transport::Change;
use crate::states::{DtlsTransportState, SignalingState};
use std::time::Instant;

impl Session {
    pub(super) fn after_description(&mut self, now: Instant, notices: Vec<Notice>) {
        for notice in notices {
            let event = match notice {
                Notice::Signaling(state) => Event::SignalingStateChange(state),
                Notice::Track(id) => match self.jsep.transceiver(id) {
                    Some(transceiver) => Event::Track {
                        transceiver: id,
                        streams: transceiver.receiver.streams.clone(),
                    },
                    None => continue,
                },
                Notice::Mute(id) => Event::TrackMuted(id),
                Notice::Leave(transceiver, streams) | Notice::Join(transceiver, streams) => {
                    Event::RemoteStreams {
                        transceiver,
                        streams,
                    }
                }
                Notice::Stopped(id) => Event::TransceiverStopped(id),
            };
            self.events.push_back(event);
        }
        self.match_transports(now);
        self.add_described_candidates(now);
        self.match_streams(now);
        if self.jsep.state == SignalingState::Stable {
            self.negotiation_check_due = true;
        }
        self.update_states();
    }

    /// Gives senders and receivers the streams that the descriptions agree on.
    pub(super) fn match_streams(&mut self, now: Instant) {
        let remote = self.jsep.remote().map(|applied| &applied.described);
        let total = remote.and_then(|described| described.most_total_bitrate);
        self.media.begin_match(total);
        for transceiver in &self.jsep.transceivers {
            let Some(slot) = transceiver
                .section
                .and_then(|index| self.jsep.slots.get(index))
            else {
                continue;
            };
            let section = transceiver
                .section
                .and_then(|index| remote?.sections.get(index));
            self.media.match_transceiver(
                now,
                transceiver,
                slot.transport,
                section,
                &self.jsep.cname,
            );
        }
        self.media.end_match(now);
    }

    /// What became of a transport's input: candidates, keys, decrypted data.
    pub(super) fn after_input(&mut self, now: Instant, index: usize) {
        self.drain_agent(now, index);
        let transport = &mut self.transports[index];
        transport.start_dtls(now, &self.dtls_config, &self.certificate, &mut self.rng);
        while let Some(change) = transport.poll_change() {
            let number = transport.number;
            match change {
                Change::State(state) => {
                    self.events.push_back(Event::DtlsStateChange {
                        transport: number,
                        state,
                    });
                    if state == DtlsTransportState::Closed && self.data.transport() == Some(number)
                    {
                        self.data.abort(now);
                    }
                }
                Change::Error(error) => self.events.push_back(Event::DtlsError {
                    transport: number,
                    error,
                }),
            }
        }
        self.start_data(now);
        let transport = &mut self.transports[index];
        let carries_data = self.data.transport() == Some(transport.number);
        while let Some(packet) = transport.poll_data() {
            if carries_data {
                self.data.handle_packet(now, packet);
            }
        }
        self.after_data();
        self.update_states();
    }

    pub(super) fn after_data(&mut self) {
        while let Some(event) = self.data.poll_event() {
            self.events.push_back(event);
        }
    }

    /// Starts the association once its transport is encrypted and both ends are described.
    pub(super) fn start_data(&mut self, now: Instant) {
        if self.data.is_started() {
            return;
        }
        let Some(number) = self.data.transport() else {
            return;
        };
        let Some(transport) = self
            .transports
            .iter()
            .find(|transport| transport.number == number)
        else {
            return;
        };
        if transport.state != DtlsTransportState::Connected {
            return;
        }
        let section = self.jsep.remote().and_then(|remote| {
            remote
                .described
                .sections
                .iter()
                .find(|section| section.kind == SectionKind::Application && !section.rejected)
        });
        if let (Some(section), Some(client)) = (section, transport.is_client()) {
            self.data
                .start(now, client, section.sctp_port, section.max_message_size);
        }
    }
}
