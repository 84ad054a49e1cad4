//! One connection to one peer: offers, answers and candidates, our media, and an echo for its messages.

use std::sync::Arc;

use media::{MediaKind, MediaStream, MediaStreamTrack};
use media_capture::playout::Speaker;
use peerconnection::{
    Configuration, DataChannel, Event, Events, IceCandidateInit, Message, PeerConnection,
    SessionDescription, SignalingState, StatsReport, dtls,
};
use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::meters::Meters;
use crate::Failure;

/// What this side does with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Messages {
    /// It sends back what comes.
    Echo,
    /// It sends, and compares what comes back.
    Probe,
}

/// How many messages a probe sends, and how large they are at most.
pub(crate) const PROBE_MESSAGES: u64 = 200;
const LARGEST: usize = 64 * 1024;

/// Our side of one call.
///
/// Both sides may offer at the same time. Then the polite one takes its offer back, and the other one ignores
/// what it hears (WebRTC §10.7).
pub(crate) struct Peer {
    connection: PeerConnection,
    events: Events,
    media: MediaStream,
    polite: bool,
    ignoring_offer: bool,
    meters: Arc<Meters>,
    speaker: Option<Arc<Speaker>>,
    messages: Messages,
    channel_open: bool,
}

impl Peer {
    pub(crate) fn new(
        configuration: Configuration,
        versions: dtls::Versions,
        media: MediaStream,
        polite: bool,
        meters: Arc<Meters>,
        speaker: Option<Arc<Speaker>>,
        messages: Messages,
    ) -> Result<Self, Failure> {
        let dtls = dtls::Config {
            versions,
            ..dtls::Config::default()
        };
        let connection = PeerConnection::builder(configuration).dtls(dtls).build()?;
        let events = connection.events();
        Ok(Self {
            connection,
            events,
            media,
            polite,
            ignoring_offer: false,
            meters,
            speaker,
            messages,
            channel_open: false,
        })
    }

    pub(crate) async fn next_event(&mut self) -> Option<Event> {
        self.events.next().await
    }

    /// Prepares our media and a data channel; `NegotiationNeeded` then makes the offer.
    pub(crate) fn offer(&mut self) -> Result<(), Failure> {
        self.add_media()?;
        self.open_channel()
    }

    fn open_channel(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.channel_open, true) {
            return Ok(());
        }
        let channel = self
            .connection
            .create_data_channel("native", Default::default())?;
        match self.messages {
            Messages::Echo => tokio::spawn(echo(channel, Arc::clone(&self.meters))),
            Messages::Probe => tokio::spawn(probe(channel, Arc::clone(&self.meters))),
        };
        Ok(())
    }

    /// The offer that waits for an answer, for somebody who came after it was made. Whoever was in the room
    /// before is not the polite one.
    pub(crate) fn repeat_offer(&mut self) -> Result<Option<Value>, Failure> {
        self.polite = false;
        if self.connection.signaling_state() != SignalingState::HaveLocalOffer {
            return Ok(None);
        }
        let offer = self.connection.local_description();
        Ok(offer.map(serde_json::to_value).transpose()?)
    }

    /// Takes what the peer sent; returns what is to be sent back.
    pub(crate) async fn receive(&mut self, message: Value) -> Result<Option<Value>, Failure> {
        match message.get("type").and_then(Value::as_str) {
            Some("offer" | "answer") => {
                let description: SessionDescription = serde_json::from_value(message)?;
                self.describe(description).await
            }
            Some("candidate") => {
                let candidate = message.get("candidate").cloned().unwrap_or_default();
                let candidate: IceCandidateInit = serde_json::from_value(candidate)?;
                let added = self.connection.add_ice_candidate(Some(&candidate)).await;
                // Candidates of an offer that was ignored have nowhere to go.
                if !self.ignoring_offer {
                    added?;
                }
                Ok(None)
            }
            other => Err(format!("messages of type {other:?} are unknown").into()),
        }
    }

    async fn describe(
        &mut self,
        description: SessionDescription,
    ) -> Result<Option<Value>, Failure> {
        let offered = description.sdp_type == peerconnection::SdpType::Offer;
        if offered && self.heard_before(&description) {
            debug!("the same offer again");
            return Ok(None);
        }
        let collision = offered && self.connection.signaling_state() != SignalingState::Stable;
        self.ignoring_offer = collision && !self.polite;
        if self.ignoring_offer {
            debug!("both offered; ours stands");
            return Ok(None);
        }
        self.connection.set_remote_description(&description).await?;
        if !offered {
            return Ok(None);
        }
        // Only now, so that our tracks take the places which the offer made for them.
        self.add_media()?;
        let answer = self.set_local().await?;
        if self.messages == Messages::Probe {
            self.open_channel()?;
        }
        Ok(Some(answer))
    }

    fn heard_before(&self, description: &SessionDescription) -> bool {
        let before = self.connection.remote_description();
        before.is_some_and(|before| origin(&before.sdp) == origin(&description.sdp))
    }

    /// Acts on an event; returns what is to be sent to the peer.
    pub(crate) async fn handle(&mut self, event: Event) -> Result<Option<Value>, Failure> {
        match event {
            Event::NegotiationNeeded
                if self.connection.signaling_state() == SignalingState::Stable =>
            {
                return self.set_local().await.map(Some);
            }
            Event::IceCandidate(Some(candidate)) => {
                return Ok(Some(
                    json!({"type": "candidate", "candidate": candidate.to_init()}),
                ));
            }
            Event::DataChannel(channel) => {
                info!(label = channel.label(), "data channel");
                // Two echoes would answer each other for ever; a probe never starts one.
                tokio::spawn(echo(channel, Arc::clone(&self.meters)));
            }
            Event::Track(event) => self.receive_track(&event.track),
            Event::DtlsError(error) => warn!(%error, "DTLS"),
            other => debug!(?other, "event"),
        }
        Ok(None)
    }

    pub(crate) async fn statistics(&self) -> StatsReport {
        self.connection.stats().await
    }

    /// Whether the other side has said anything that a connection could come of.
    pub(crate) fn was_answered(&self) -> bool {
        self.connection.remote_description().is_some()
    }

    /// What was tried to reach the peer, and what became of it: a table for each transport.
    pub(crate) fn explanation(&self) -> String {
        let reports = self.connection.ice_reports();
        let table = |(number, report): &(usize, peerconnection::ice::Report)| {
            format!("ICE transport {number}: {report}")
        };
        let tables: Vec<String> = reports.iter().map(table).collect();
        tables.join("\n").trim_end().to_owned()
    }

    pub(crate) fn close(&self) {
        self.connection.close();
    }

    async fn set_local(&self) -> Result<Value, Failure> {
        self.connection.set_local_description(None).await?;
        let description = self.connection.local_description();
        let description = description.ok_or("there is no local description")?;
        Ok(serde_json::to_value(description)?)
    }

    fn add_media(&self) -> Result<(), Failure> {
        let sending: Vec<String> = self
            .connection
            .senders()
            .iter()
            .filter_map(|sender| Some(sender.track()?.id().to_owned()))
            .collect();
        for track in self.media.tracks() {
            if !sending.iter().any(|id| id == track.id()) {
                self.connection.add_track(&track, &[&self.media])?;
            }
        }
        Ok(())
    }

    fn receive_track(&self, track: &MediaStreamTrack) {
        info!(kind = track.kind().as_str(), "track");
        let meters = Arc::clone(&self.meters);
        match track.kind() {
            MediaKind::Video => {
                if let Some(mut frames) = track.subscribe_video() {
                    tokio::spawn(async move {
                        while let Some(frame) = frames.recv().await {
                            meters.video(&frame);
                        }
                    });
                }
            }
            MediaKind::Audio => {
                if let Some(mut frames) = track.subscribe_audio() {
                    tokio::spawn(async move {
                        while let Some(frame) = frames.recv().await {
                            meters.audio(&frame);
                        }
                    });
                }
                if let Some(speaker) = &self.speaker {
                    // It plays until the track ends.
                    speaker.play(track);
                }
            }
        }
    }
}

/// The line that names a description and its version (RFC 8866 §5.2).
fn origin(sdp: &str) -> Option<&str> {
    sdp.lines().find(|line| line.starts_with("o="))
}

/// Sends back every message, as what it came.
async fn echo(channel: DataChannel, meters: Arc<Meters>) {
    while let Some(message) = channel.recv().await {
        meters.message(message.as_bytes().len());
        let sent = match message {
            Message::Text(text) => channel.send_text(text).await,
            Message::Binary(bytes) => channel.send(bytes).await,
        };
        if let Err(error) = sent {
            debug!(%error, "the echo ends");
            return;
        }
    }
}

/// Sends messages of 1 B to 64 KiB, and compares each with what comes back.
async fn probe(channel: DataChannel, meters: Arc<Meters>) {
    if let Err(error) = channel.opened().await {
        debug!(%error, "nothing to probe");
        return;
    }
    let sending = async {
        for number in 0..PROBE_MESSAGES {
            if let Err(error) = channel.send(content(number)).await {
                debug!(%error, "the probe ends");
                return;
            }
        }
    };
    let comparing = async {
        for number in 0..PROBE_MESSAGES {
            match channel.recv().await {
                Some(message) if message == Message::Binary(content(number).into()) => {
                    meters.message(message.as_bytes().len());
                }
                Some(_) => meters.damaged_message(),
                None => return,
            }
        }
    };
    tokio::join!(sending, comparing);
}

/// A message that differs from all others in size and content.
fn content(number: u64) -> Vec<u8> {
    let size = match number {
        0 => 1,
        1 => LARGEST,
        // A step without a common factor visits the sizes evenly.
        _ => 1 + (number as usize * 40_503) % LARGEST,
    };
    (0..size as u64)
        .map(|place| (place.wrapping_mul(31) ^ number ^ (place >> 8)) as u8)
        .collect()
}
