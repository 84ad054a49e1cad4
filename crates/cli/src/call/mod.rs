//! `rtc call`: joins a room, and takes or makes one call after the other there.

mod meters;
mod peer;
mod screen;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use media::MediaStream;
use media_capture::playout::Speaker;
use peerconnection::{Configuration, Event, IceServer, IceTransportPolicy, PeerConnectionState};
use serde::Serialize;
use serde_json::{Value, json};
use signaling::{Client, Event as RoomEvent, Events as RoomEvents};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

use crate::Failure;
use crate::devices;
use meters::Meters;
use peer::{Messages, Peer};
use screen::Screen;

/// How many calls a check is: one, and a second one after hanging up.
const CHECKED_CALLS: usize = 2;
/// How long the whole of a check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(240);

/// Who makes the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Offerer {
    /// The other side; this one answers.
    Page,
    /// This side.
    Native,
}

/// Which DTLS versions a call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtlsVersion {
    /// What both sides can.
    Auto,
    /// DTLS 1.2 alone.
    #[value(name = "1.2")]
    V12,
    /// DTLS 1.3 alone.
    #[value(name = "1.3")]
    V13,
}

impl DtlsVersion {
    fn versions(self) -> peerconnection::dtls::Versions {
        match self {
            DtlsVersion::Auto => peerconnection::dtls::Versions::Auto,
            DtlsVersion::V12 => peerconnection::dtls::Versions::Dtls12,
            DtlsVersion::V13 => peerconnection::dtls::Versions::Dtls13,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The room
    #[arg(long, default_value = "demo")]
    room: String,
    /// Who makes the offer
    #[arg(long, value_enum, default_value_t = Offerer::Page)]
    offer: Offerer,
    /// The DTLS version to insist on
    #[arg(long, value_enum, default_value_t = DtlsVersion::Auto)]
    dtls: DtlsVersion,
    /// Send the test card and the tone even when there are a camera and a microphone
    #[arg(long)]
    synthetic: bool,
    /// Do not play what the other side says
    #[arg(long)]
    silent: bool,
    /// A STUN or TURN server, such as turn:turn.example.org?transport=tcp; may be given several times
    #[arg(long, value_name = "URL")]
    ice_server: Vec<String>,
    /// The user name for the TURN servers
    #[arg(long, default_value = "")]
    ice_username: String,
    /// The password for the TURN servers
    #[arg(long, default_value = "")]
    ice_credential: String,
    /// Go through TURN servers alone
    #[arg(long)]
    relay: bool,
    /// Say what became of every candidate and pair when a call connects and when it ends; a call that fails says so anyway
    #[arg(long)]
    explain: bool,
    /// Take two calls, print a verdict as JSON, and end
    #[arg(long)]
    pub(crate) check: bool,
    /// With --check: hang up when everything has come, and send messages and compare them with their
    /// echo instead of echoing, so that two of these programs can check each other
    #[arg(long, requires = "check")]
    probe: bool,
}

impl Options {
    fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::default();
        if !self.ice_server.is_empty() {
            configuration.ice_servers.push(IceServer {
                urls: self.ice_server.clone(),
                username: Some(self.ice_username.clone()),
                credential: Some(self.ice_credential.clone()),
            });
        }
        if self.relay {
            configuration.ice_transport_policy = IceTransportPolicy::Relay;
        }
        configuration
    }

    /// The call page, opened so that it and this side agree on the room and on who offers.
    pub(crate) fn page(&self, server: &str) -> String {
        let offer = match self.offer {
            Offerer::Page => "page",
            Offerer::Native => "native",
        };
        // Whatever is no plain character would need an escape in the address.
        let room: String = self
            .room
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("{server}/?room={room}&offer={offer}")
    }
}

/// Joins the room and stays until interrupted, or until a check is over.
pub(crate) async fn run(server: &str, options: &Options) -> Result<(), Failure> {
    let media = devices::open(options.synthetic || options.check).await?;
    let speaker = match options.silent || options.check {
        true => None,
        false => devices::speaker().await,
    };
    let (client, rooms) = Client::connect(server).await?;
    client.join(&options.room).await?;
    let mut caller = Caller {
        room: options.room.clone(),
        dtls: options.dtls,
        configuration: options.configuration(),
        explain: options.explain,
        offerer: options.offer,
        speaker,
        media,
        client,
        screen: Screen::new(options.check),
        current: None,
        finished: Vec::new(),
        wanted: options.check.then_some(CHECKED_CALLS),
        messages: match options.probe {
            true => Messages::Probe,
            false => Messages::Echo,
        },
    };
    if !options.check {
        return caller.take_calls(rooms).await;
    }
    let outcome = match timeout(CHECK_LIMIT, caller.take_calls(rooms)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("the check took longer than {} s", CHECK_LIMIT.as_secs()).into()),
    };
    caller.verdict(outcome)
}

/// One side in one room.
struct Caller {
    room: String,
    dtls: DtlsVersion,
    configuration: Configuration,
    /// Whether calls explain themselves although they work.
    explain: bool,
    offerer: Offerer,
    speaker: Option<Arc<Speaker>>,
    media: MediaStream,
    client: Client,
    screen: Screen,
    current: Option<Call>,
    finished: Vec<Report>,
    /// After how many calls to end.
    wanted: Option<usize>,
    messages: Messages,
}

/// One call.
struct Call {
    peer: Peer,
    meters: Arc<Meters>,
    started: Instant,
    connected_after: Option<Duration>,
}

/// What came of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    connect_ms: Option<u128>,
    #[serde(flatten)]
    media: meters::Snapshot,
    failures: Vec<&'static str>,
}

/// What happens next in a room.
enum Next {
    Room(Option<RoomEvent>),
    Peer(Option<Event>),
    Second,
    Interrupted,
}

impl Caller {
    async fn take_calls(&mut self, mut rooms: RoomEvents) -> Result<(), Failure> {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            match self.next(&mut rooms, &mut second).await {
                Next::Room(Some(event)) => self.room_event(event).await?,
                Next::Room(None) => return Err("the signalling server is gone".into()),
                Next::Peer(Some(event)) => self.peer_event(event).await?,
                Next::Peer(None) => self.end_call("closed"),
                Next::Second => {
                    self.show_statistics().await;
                    if self.probed() {
                        self.hang_up().await?;
                    }
                }
                Next::Interrupted => {
                    self.hang_up().await?;
                    return Ok(());
                }
            }
            if self
                .wanted
                .is_some_and(|wanted| self.finished.len() >= wanted)
            {
                return Ok(());
            }
        }
    }

    async fn next(&mut self, rooms: &mut RoomEvents, second: &mut tokio::time::Interval) -> Next {
        let peer_event = async {
            match &mut self.current {
                Some(call) => call.peer.next_event().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = rooms.next() => Next::Room(event),
            event = peer_event => Next::Peer(event),
            _ = second.tick() => Next::Second,
            _ = tokio::signal::ctrl_c() => Next::Interrupted,
        }
    }

    async fn room_event(&mut self, event: RoomEvent) -> Result<(), Failure> {
        match event {
            RoomEvent::Joined { room, .. } => {
                self.screen
                    .say(&format!("in the room “{room}”; waiting for somebody"));
                if self.offerer == Offerer::Native {
                    // Nobody may be there to hear the offer; whoever comes later hears it again.
                    self.begin_call(true)?.peer.offer()?;
                }
            }
            RoomEvent::OtherJoined { .. } => self.other_joined().await?,
            RoomEvent::Message { data, .. } => self.heard(data).await?,
            RoomEvent::Exited { .. } => self.end_call("they left"),
            // Hung up; the next call begins with joining.
            RoomEvent::Left { room, .. } => self.client.join(&room).await?,
            RoomEvent::Full { room, .. } => return Err(format!("the room “{room}” is full").into()),
            RoomEvent::Error(words) => warn!(words, "the signalling server refused something"),
            RoomEvent::Disconnected(reason) => {
                return Err(format!("the signalling server is gone: {reason}").into());
            }
            other => debug!(?other, "nothing to do"),
        }
        Ok(())
    }

    async fn other_joined(&mut self) -> Result<(), Failure> {
        match &mut self.current {
            Some(call) if call.connected_after.is_some() => {
                self.screen.say("a third one came, and listens in vain");
            }
            Some(call) => {
                // The newcomer may or may not have heard our offer; hearing it twice does no harm.
                call.started = Instant::now();
                if let Some(offer) = call.peer.repeat_offer()? {
                    self.say(&offer).await?;
                }
            }
            None => {
                let offers = self.offerer == Offerer::Native;
                let call = self.begin_call(false)?;
                if offers {
                    call.peer.offer()?;
                }
            }
        }
        Ok(())
    }

    async fn heard(&mut self, data: Value) -> Result<(), Failure> {
        if data.get("type").and_then(Value::as_str) == Some("bye") {
            self.end_call("they hung up");
            return Ok(());
        }
        let call = match self.current.take() {
            Some(call) => self.current.insert(call),
            None => self.begin_call(true)?,
        };
        // A peer that sends nonsense ends up without a connection; it does not end this program.
        match call.peer.receive(data).await {
            Ok(Some(answer)) => self.say(&answer).await?,
            Ok(None) => {}
            Err(error) => self
                .screen
                .say(&format!("the other side's message makes no sense: {error}")),
        }
        Ok(())
    }

    fn begin_call(&mut self, polite: bool) -> Result<&mut Call, Failure> {
        if let Some(call) = self.current.take() {
            call.peer.close();
        }
        let meters = Arc::new(Meters::default());
        let peer = Peer::new(
            self.configuration.clone(),
            self.dtls.versions(),
            self.media.clone(),
            polite,
            Arc::clone(&meters),
            self.speaker.clone(),
            self.messages,
        )?;
        Ok(self.current.insert(Call {
            peer,
            meters,
            started: Instant::now(),
            connected_after: None,
        }))
    }

    async fn peer_event(&mut self, event: Event) -> Result<(), Failure> {
        let Some(call) = &mut self.current else {
            return Ok(());
        };
        match event {
            Event::ConnectionStateChange(PeerConnectionState::Connected) => {
                let after = call.started.elapsed();
                call.connected_after.get_or_insert(after);
                self.screen
                    .say(&format!("connected after {} ms", after.as_millis()));
                if self.explain {
                    self.screen.say(&call.peer.explanation());
                }
            }
            Event::ConnectionStateChange(PeerConnectionState::Failed) => {
                if call.connected_after.is_some() && !self.explain {
                    self.screen.say(&call.peer.explanation());
                }
                self.end_call("there is no way through the network");
            }
            Event::IceCandidateError(error) => {
                let (url, text, code) = (error.url, error.error_text, error.error_code);
                self.screen.say(&format!("{url}: {text} ({code})"));
            }
            Event::ConnectionStateChange(state) => info!(?state, "connection"),
            event => {
                if let Some(message) = call.peer.handle(event).await? {
                    self.say(&message).await?;
                }
            }
        }
        Ok(())
    }

    async fn show_statistics(&mut self) {
        if let Some(call) = &self.current
            && call.connected_after.is_some()
        {
            let report = call.peer.statistics().await;
            self.screen.statistics(&report, &call.meters.snapshot());
        }
    }

    /// Whether a probing side has seen enough of this call.
    fn probed(&self) -> bool {
        let Some(call) = &self.current else {
            return false;
        };
        self.messages == Messages::Probe && call.meters.snapshot().probed()
    }

    async fn hang_up(&mut self) -> Result<(), Failure> {
        self.say(&json!({"type": "bye"})).await?;
        self.end_call("you hung up");
        Ok(self.client.leave(&self.room).await?)
    }

    fn end_call(&mut self, words: &str) {
        let Some(call) = self.current.take() else {
            return;
        };
        // Without connection there is something to explain, unless nobody answered.
        let failed = call.connected_after.is_none() && call.peer.was_answered();
        if failed {
            self.screen.say(words);
        }
        if failed || self.explain {
            self.screen.say(&call.peer.explanation());
        }
        call.peer.close();
        // An offer that nobody heard was no call.
        if call.connected_after.is_some() {
            let media = call.meters.snapshot();
            self.screen.say(&format!("{words}; {media}"));
            self.finished.push(Report {
                connect_ms: call.connected_after.map(|after| after.as_millis()),
                failures: media.failures(),
                media,
            });
        }
    }

    async fn say(&self, message: &Value) -> Result<(), Failure> {
        Ok(self.client.message(&self.room, message).await?)
    }

    /// Prints what the check found, as one line of JSON.
    fn verdict(mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.end_call("the check is over");
        let failure = outcome.err().map(|failure| failure.to_string());
        let complete = self.finished.len() >= CHECKED_CALLS;
        let ok =
            failure.is_none() && complete && self.finished.iter().all(|r| r.failures.is_empty());
        let verdict = json!({
            "side": "native",
            "ok": ok,
            "offer": self.offerer,
            "calls": self.finished,
            "failure": failure,
        });
        println!("{verdict}");
        if ok {
            Ok(())
        } else {
            Err("the check failed".into())
        }
    }
}
