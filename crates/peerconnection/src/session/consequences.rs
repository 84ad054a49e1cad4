//! What follows from descriptions and from what came in: transports, streams, data channels, states, events.

use super::Session;
use super::event::Event;
use super::jsep::{Notice, Section, SectionKind};
use super::transport::Change;
use crate::states::{DtlsTransportState, SignalingState};
use rand::SeedableRng;
use rand::rngs::StdRng;
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
        self.match_data();
        self.add_described_candidates(now);
        self.match_sctp_port(now);
        self.match_streams(now);
        self.match_sources();
        if self.jsep.state == SignalingState::Stable {
            self.negotiation_check_due = true;
        }
        self.update_states();
    }

    /// Gives senders and receivers the streams that the descriptions agree on.
    pub(super) fn match_streams(&mut self, now: Instant) {
        for ssrc in self.streams_with_another_clock() {
            self.jsep.renew_ssrc(ssrc);
        }
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

    /// Those that are sent and whose next codec has another clock rate (RFC 9429 §5.11, RFC 7160 §4.1).
    fn streams_with_another_clock(&self) -> Vec<u32> {
        let mut streams = Vec::new();
        for transceiver in &self.jsep.transceivers {
            for encoding in &transceiver.sender.encodings {
                let next = encoding.parameters.choose(&transceiver.sender.codecs);
                let mut outgoing = self.media.sent_streams();
                let now = outgoing.find(|it| it.stream.ssrc().0 == encoding.ssrc);
                if let (Some(next), Some(now)) = (next, now)
                    && now.stream.config().clock_rate != next.codec.clock_rate
                {
                    streams.push(encoding.ssrc);
                }
            }
        }
        streams
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
                Change::Error(error) => {
                    self.events.push_back(Event::DtlsError {
                        transport: number,
                        error,
                    });
                    self.events.push_back(Event::DtlsStateChange {
                        transport: number,
                        state: DtlsTransportState::Failed,
                    });
                }
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

    /// Another SCTP port of the peer is another association (RFC 9429 §5.11).
    fn match_sctp_port(&mut self, now: Instant) {
        let port = self.agreed_data().and_then(|section| section.sctp_port);
        if self.data.is_started() && port.is_some() && port != self.data.remote_port {
            let rng = StdRng::from_rng(&mut self.rng);
            self.data.restart(now, rng);
            self.start_data(now);
            self.after_data();
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
        let client = transport.is_client();
        if let (Some(section), Some(client)) = (self.agreed_data(), client) {
            let port = section.sctp_port;
            self.data.start(now, client, port);
        }
    }

    /// The peer's section for data, once an answer has agreed to it.
    fn agreed_data(&self) -> Option<&Section> {
        let (local, remote) = self.jsep.agreed()?;
        let (ours, theirs) = (&local.described.sections, &remote.described.sections);
        let mut pairs = ours.iter().zip(theirs);
        let (_, theirs) = pairs.find(|(ours, theirs)| {
            theirs.kind == SectionKind::Application && !ours.rejected && !theirs.rejected
        })?;
        Some(theirs)
    }

    /// What an answer says of the association: how large messages may be, and which ids are whose (W3C WebRTC §4.4.1.5,
    /// step 10).
    fn match_data(&mut self) {
        let Some(size) = self.agreed_data().map(|section| section.max_message_size) else {
            return;
        };
        self.data.update_max_message_size(size);
        let number = self.data.transport();
        let mut transports = self.transports.iter();
        let transport = transports.find(|transport| Some(transport.number) == number);
        if let Some(client) = transport.and_then(|transport| transport.is_client()) {
            self.data.set_role(client);
            self.after_data();
        }
    }
}
