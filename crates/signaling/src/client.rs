//! The native client: Socket.IO 5 over Engine.IO 4 over one WebSocket, with typed events.

mod protocol;

use std::io;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tracing::{debug, trace, warn};

use protocol::{Heartbeat, Packet};

/// How long the whole of connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Most events that wait to be read, and most packets that wait to be written.
const QUEUE: usize = 256;

/// What happens in the rooms.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// This client is in the room now; `id` is its own.
    Joined {
        /// The room.
        room: String,
        /// This client.
        id: String,
    },
    /// Another client came into the room.
    OtherJoined {
        /// The room.
        room: String,
        /// The newcomer.
        id: String,
    },
    /// The room has as many members as it may have; this client is not in it.
    Full {
        /// The room.
        room: String,
        /// This client.
        id: String,
    },
    /// This client is out of the room.
    Left {
        /// The room.
        room: String,
        /// This client.
        id: String,
    },
    /// Another client left the room or lost its connection.
    Exited {
        /// The room.
        room: String,
        /// The one that is gone.
        id: String,
    },
    /// Another client in the room says something.
    Message {
        /// The room.
        room: String,
        /// What it says.
        data: Value,
    },
    /// The server refused something this client emitted, and says why.
    Error(String),
    /// The connection is over, and this is the last event.
    Disconnected(String),
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is none.
    #[error("{0:?} is not an address such as http://127.0.0.1:8080")]
    Address(String),
    /// The address wants TLS, which this crate leaves to the application.
    #[error("{0:?} wants TLS: open the stream yourself and use Client::connect_over")]
    Tls(String),
    /// The network has no way there, or nobody listens.
    #[error("no connection: {0}")]
    Network(#[from] io::Error),
    /// Whoever listens there does not speak WebSocket as it should.
    #[error("no WebSocket: {0}")]
    WebSocket(#[from] tungstenite::Error),
    /// Whoever listens there does not speak Socket.IO 5 over Engine.IO 4.
    #[error("no Socket.IO: {0}")]
    Protocol(String),
    /// The server speaks Socket.IO and wants no connection.
    #[error("refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("no answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout,
}

/// The connection is over; [`Event::Disconnected`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signalling connection is closed")]
pub struct Closed;

/// A client's speaking half. Clones speak over the same connection, which ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    id: String,
    packets: mpsc::Sender<String>,
}

/// A client's listening half.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
}

impl Client {
    /// Connects to a server such as `http://127.0.0.1:8080` (`ws://` means the same).
    pub async fn connect(url: &str) -> Result<(Self, Events), ConnectError> {
        let address = Address::parse(url)?;
        let connecting = async {
            let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
            // Candidates are small and urgent.
            stream.set_nodelay(true)?;
            handshake(&address, stream).await
        };
        timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    /// Connects over a stream that is open already: TLS, a proxy, a test's pipe. `url` names the server
    /// in the request, and may be `https://` or `wss://` here.
    pub async fn connect_over<S>(url: &str, stream: S) -> Result<(Self, Events), ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let address = match Address::parse(url) {
            Err(ConnectError::Tls(_)) => Address::parse(&url.replacen("s://", "://", 1))?,
            other => other?,
        };
        timeout(CONNECT_TIMEOUT, handshake(&address, stream))
            .await
            .map_err(|_| ConnectError::Timeout)?
    }

    /// The id that the others see in `OtherJoined` and `Exited`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Asks to join a room; [`Event::Joined`] or [`Event::Full`] is the answer.
    pub async fn join(&self, room: &str) -> Result<(), Closed> {
        self.emit("join", json!([room])).await
    }

    /// Leaves a room; [`Event::Left`] is the answer.
    pub async fn leave(&self, room: &str) -> Result<(), Closed> {
        self.emit("leave", json!([room])).await
    }

    /// Says something to the others in a room.
    pub async fn message(&self, room: &str, data: &(impl Serialize + Sync)) -> Result<(), Closed> {
        self.emit("message", json!([room, data])).await
    }

    /// Emits any event with an array of arguments, for servers that know more than ours.
    pub async fn emit(&self, event: &str, arguments: Value) -> Result<(), Closed> {
        let packet = protocol::event(event, arguments);
        self.packets.send(packet).await.map_err(|_| Closed)
    }
}

impl Events {
    /// The next event; `None` after [`Event::Disconnected`].
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// Where the server is.
#[derive(Debug, PartialEq)]
struct Address {
    host: String,
    port: u16,
    request: String,
}

impl Address {
    fn parse(url: &str) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => return Err(ConnectError::Tls(url.to_owned())),
            _ => return Err(wrong()),
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        let path = match uri.path() {
            "" | "/" => "/socket.io/",
            path => path,
        };
        Ok(Self {
            // An IPv6 address has brackets in an URL only.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            request: format!("ws://{authority}{path}?EIO=4&transport=websocket"),
        })
    }
}

async fn handshake<S>(address: &Address, stream: S) -> Result<(Client, Events), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (socket, _) = client_async(&address.request, stream).await?;
    let (mut sink, mut stream) = socket.split();

    let heartbeat = match receive(&mut stream).await? {
        Packet::Open(heartbeat) => heartbeat,
        other => return Err(unexpected(&other)),
    };
    sink.send(Message::text(protocol::CONNECT)).await?;
    let id = loop {
        match receive(&mut stream).await? {
            Packet::Connected { id } => break id,
            Packet::ConnectError(reason) => return Err(ConnectError::Refused(reason)),
            Packet::Ping => sink.send(Message::text(protocol::PONG)).await?,
            Packet::Ignored => {}
            other => return Err(unexpected(&other)),
        }
    };
    debug!(%id, "connected");

    let (packets, to_write) = mpsc::channel(QUEUE);
    let (to_read, events) = mpsc::channel(QUEUE);
    // The reader answers pings, and must not keep the connection alive for that.
    let reader = Reader {
        stream,
        heartbeat,
        events: to_read,
        packets: packets.downgrade(),
    };
    tokio::spawn(write(sink, to_write));
    tokio::spawn(reader.run());
    Ok((Client { id, packets }, Events { events }))
}

fn unexpected(packet: &Packet) -> ConnectError {
    ConnectError::Protocol(format!("unexpected {packet:?}"))
}

async fn receive<S>(stream: &mut SplitStream<WebSocketStream<S>>) -> Result<Packet, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                return Packet::parse(&text).map_err(|e| ConnectError::Protocol(e.to_string()));
            }
            Some(Ok(Message::Close(_))) | None => {
                return Err(ConnectError::Protocol("closed at once".to_owned()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Writes what the client emits, and says goodbye when nobody can emit any more.
async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut packets: mpsc::Receiver<String>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(packet) = packets.recv().await {
        trace!(%packet, "sent");
        if let Err(error) = sink.send(Message::text(packet)).await {
            debug!(%error, "not sent");
            return;
        }
    }
    // A server that is gone needs no goodbye.
    let _ = sink.send(Message::text(protocol::DISCONNECT)).await;
    let _ = sink.close().await;
}

struct Reader<S> {
    stream: SplitStream<WebSocketStream<S>>,
    heartbeat: Heartbeat,
    events: mpsc::Sender<Event>,
    packets: mpsc::WeakSender<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Reader<S> {
    async fn run(mut self) {
        let reason = self.read().await;
        debug!(%reason, "disconnected");
        // Nobody listens any more if this fails.
        let _ = self.events.send(Event::Disconnected(reason)).await;
    }

    /// Reads until the connection is over, and returns why it is.
    async fn read(&mut self) -> String {
        loop {
            let message = match timeout(self.heartbeat.patience(), self.stream.next()).await {
                Err(_) => return "the server is silent".to_owned(),
                Ok(None | Some(Ok(Message::Close(_)))) => return "closed".to_owned(),
                Ok(Some(Err(error))) => return error.to_string(),
                Ok(Some(Ok(message))) => message,
            };
            let Message::Text(text) = message else {
                continue;
            };
            match Packet::parse(&text) {
                Ok(Packet::Ping) => self.answer_ping().await,
                Ok(Packet::Event { name, arguments }) => {
                    let Some(event) = typed(&name, arguments) else {
                        warn!(name, "the server says what this client does not know");
                        continue;
                    };
                    if self.events.send(event).await.is_err() {
                        trace!("nobody listens");
                    }
                }
                Ok(Packet::Disconnect | Packet::Close) => return "closed by the server".to_owned(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    }

    async fn answer_ping(&self) {
        if let Some(packets) = self.packets.upgrade() {
            // Fails when the writer has stopped; then the stream ends by itself.
            let _ = packets.send(protocol::PONG.to_owned()).await;
        }
    }
}

/// Gives an event of the server its type; `None` when the name or the arguments are not ours.
fn typed(name: &str, arguments: Vec<Value>) -> Option<Event> {
    let mut arguments = arguments.into_iter();
    let first = match arguments.next()? {
        Value::String(text) => text,
        _ => return None,
    };
    if name == "error" {
        return Some(Event::Error(first));
    }
    let (room, second) = (first, arguments.next()?);
    if name == "message" {
        return Some(Event::Message { room, data: second });
    }
    let Value::String(id) = second else {
        return None;
    };
    match name {
        "joined" => Some(Event::Joined { room, id }),
        "otherJoin" => Some(Event::OtherJoined { room, id }),
        "full" => Some(Event::Full { room, id }),
        "leaved" => Some(Event::Left { room, id }),
        "exit" => Some(Event::Exited { room, id }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> (String, u16, String) {
        let address = Address::parse(url).expect("an address");
        (address.host, address.port, address.request)
    }

    #[test]
    fn addresses_get_the_path_and_the_query_of_engine_io() {
        let query = "?EIO=4&transport=websocket";
        assert_eq!(
            address("http://localhost:8080"),
            (
                "localhost".into(),
                8080,
                format!("ws://localhost:8080/socket.io/{query}")
            )
        );
        assert_eq!(
            address("ws://[::1]/rooms/"),
            ("::1".into(), 80, format!("ws://[::1]/rooms/{query}"))
        );
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        for url in ["", "localhost", "ftp://localhost", "http://"] {
            let error = Address::parse(url).expect_err("no address");
            assert!(matches!(error, ConnectError::Address(_)), "{url}: {error}");
        }
        let error = Address::parse("https://localhost").expect_err("no TLS here");
        assert!(matches!(error, ConnectError::Tls(_)), "{error}");
    }

    #[test]
    fn events_of_an_unknown_shape_have_no_type() {
        assert_eq!(typed("joined", vec![json!("a")]), None);
        assert_eq!(typed("joined", vec![json!("a"), json!(1)]), None);
        assert_eq!(typed("joined", vec![]), None);
        assert_eq!(typed("sung", vec![json!("a"), json!("b")]), None);
        let full = Event::Full {
            room: "a".into(),
            id: "b".into(),
        };
        assert_eq!(typed("full", vec![json!("a"), json!("b")]), Some(full));
    }
}
