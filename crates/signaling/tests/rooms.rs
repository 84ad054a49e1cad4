//! The Rust client against the server: every rule of the rooms, and everything a client may get wrong.

mod support;

use std::time::Duration;

use pc_signaling::{Client, ConnectError, Event, Events, ServerConfig};
use serde_json::{Value, json};
use support::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Peer {
    client: Client,
    events: Events,
}

impl Peer {
    async fn connect(url: &str) -> Self {
        let (client, events) = Client::connect(url).await.expect("a connection");
        Self { client, events }
    }

    async fn in_room(url: &str, room: &str) -> Self {
        let mut peer = Self::connect(url).await;
        peer.client.join(room).await.expect("an open connection");
        let id = peer.id();
        peer.hears(Event::Joined {
            room: room.into(),
            id,
        })
        .await;
        peer
    }

    fn id(&self) -> String {
        self.client.id().to_owned()
    }

    async fn next(&mut self) -> Event {
        let limit = Duration::from_secs(10);
        let event = tokio::time::timeout(limit, self.events.next()).await;
        event
            .expect("an event in time")
            .expect("an open connection")
    }

    async fn hears(&mut self, expected: Event) {
        assert_eq!(self.next().await, expected);
    }

    async fn emits(&self, event: &str, arguments: Value) {
        let sent = self.client.emit(event, arguments).await;
        sent.expect("an open connection");
    }
}

#[tokio::test]
async fn a_newcomer_hears_joined_and_the_others_hear_other_join() {
    let url = serve(ServerConfig::default()).await;
    let mut first = Peer::in_room(&url, "a").await;
    let mut second = Peer::in_room(&url, "a").await;
    let third = Peer::in_room(&url, "a").await;
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: second.id(),
        })
        .await;
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: third.id(),
        })
        .await;
    second
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: third.id(),
        })
        .await;
}

#[tokio::test]
async fn the_fourth_client_finds_the_room_full_until_one_leaves() {
    let url = serve(ServerConfig::default()).await;
    let first = Peer::in_room(&url, "a").await;
    let _second = Peer::in_room(&url, "a").await;
    let mut third = Peer::in_room(&url, "a").await;
    let mut fourth = Peer::connect(&url).await;
    let id = fourth.id();
    fourth.client.join("a").await.expect("an open connection");
    fourth
        .hears(Event::Full {
            room: "a".into(),
            id: id.clone(),
        })
        .await;

    let gone = first.id();
    drop(first);
    third
        .hears(Event::Exited {
            room: "a".into(),
            id: gone,
        })
        .await;
    fourth.client.join("a").await.expect("an open connection");
    fourth
        .hears(Event::Joined {
            room: "a".into(),
            id: id.clone(),
        })
        .await;
    third
        .hears(Event::OtherJoined {
            room: "a".into(),
            id,
        })
        .await;
}

#[tokio::test]
async fn the_limit_of_a_room_is_configurable() {
    let mut config = ServerConfig::default();
    config.room_limit = 1;
    let url = serve(config).await;
    let _first = Peer::in_room(&url, "a").await;
    let mut second = Peer::connect(&url).await;
    let id = second.id();
    second.client.join("a").await.expect("an open connection");
    second
        .hears(Event::Full {
            room: "a".into(),
            id,
        })
        .await;
}

#[tokio::test]
async fn leaving_is_answered_and_told_to_the_others() {
    let url = serve(ServerConfig::default()).await;
    let mut first = Peer::in_room(&url, "a").await;
    let mut second = Peer::in_room(&url, "a").await;
    let id = second.id();
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: id.clone(),
        })
        .await;
    second.client.leave("a").await.expect("an open connection");
    second
        .hears(Event::Left {
            room: "a".into(),
            id: id.clone(),
        })
        .await;
    first
        .hears(Event::Exited {
            room: "a".into(),
            id,
        })
        .await;
}

#[tokio::test]
async fn messages_reach_the_rooms_others_only_and_in_order() {
    let url = serve(ServerConfig::default()).await;
    let mut elsewhere = Peer::in_room(&url, "b").await;
    let mut first = Peer::in_room(&url, "a").await;
    let mut second = Peer::in_room(&url, "a").await;
    let id = second.id();
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id,
        })
        .await;
    for number in 0..200 {
        let data = json!({"type": "candidate", "number": number});
        second
            .client
            .message("a", &data)
            .await
            .expect("an open connection");
    }
    for number in 0..200 {
        let data = json!({"type": "candidate", "number": number});
        first
            .hears(Event::Message {
                room: "a".into(),
                data,
            })
            .await;
    }
    // Nothing is left in a queue: the next thing each hears is the answer to its own question.
    for peer in [&mut elsewhere, &mut second] {
        peer.emits("sing", json!([])).await;
        assert!(matches!(peer.next().await, Event::Error(_)));
    }
}

#[tokio::test]
async fn a_disconnect_is_a_leave() {
    let url = serve(ServerConfig::default()).await;
    let mut first = Peer::in_room(&url, "a").await;
    let second = Peer::in_room(&url, "a").await;
    let id = second.id();
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: id.clone(),
        })
        .await;
    drop(second);
    first
        .hears(Event::Exited {
            room: "a".into(),
            id,
        })
        .await;
}

#[tokio::test]
async fn unknown_and_malformed_events_are_answered_with_what_is_wrong() {
    let url = serve(ServerConfig::default()).await;
    let mut peer = Peer::in_room(&url, "a").await;
    let cases = [
        ("sing", json!(["a"]), "unknown event \"sing\""),
        ("join", json!([]), "takes 1 argument(s), not 0"),
        ("join", json!([{"room": "a"}]), "the room is not a string"),
        ("join", json!(["x".repeat(200)]), "1 to 128 bytes, not 200"),
        ("leave", json!(["b"]), "you are not in this room"),
        ("message", json!(["a"]), "takes 2 argument(s), not 1"),
        ("message", json!(["b", {}]), "you are not in this room"),
    ];
    for (event, arguments, expected) in cases {
        peer.emits(event, arguments).await;
        let answer = peer.next().await;
        assert!(
            matches!(&answer, Event::Error(text) if text.contains(expected)),
            "{event}: {answer:?} does not say {expected:?}"
        );
    }
    // And the connection lives on.
    peer.client.join("c").await.expect("an open connection");
    let id = peer.id();
    peer.hears(Event::Joined {
        room: "c".into(),
        id,
    })
    .await;
}

#[tokio::test]
async fn an_event_beyond_the_limit_ends_only_its_sender() {
    let mut config = ServerConfig::default();
    config.max_event = 10_000;
    let url = serve(config).await;
    let mut first = Peer::in_room(&url, "a").await;
    let mut second = Peer::in_room(&url, "a").await;
    let id = second.id();
    first
        .hears(Event::OtherJoined {
            room: "a".into(),
            id: id.clone(),
        })
        .await;
    let sent = second.client.message("a", &"x".repeat(20_000)).await;
    sent.expect("an open connection");
    assert!(matches!(second.next().await, Event::Disconnected(_)));
    first
        .hears(Event::Exited {
            room: "a".into(),
            id,
        })
        .await;
}

#[tokio::test]
async fn connecting_to_what_is_no_server_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            .await;
    });
    let error = Client::connect(&url).await.expect_err("no WebSocket");
    assert!(matches!(error, ConnectError::WebSocket(_)), "{error}");
    answer.await.expect("the fake server");
    let error = Client::connect(&url).await.expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Network(_)), "{error}");
}

#[tokio::test]
async fn the_page_is_served_unless_the_configuration_says_no() {
    let with = serve(ServerConfig::default()).await;
    let mut config = ServerConfig::default();
    config.page = false;
    let without = serve(config).await;
    assert!(get(&with, "/").await.starts_with("HTTP/1.1 200"));
    assert!(
        get(&with, "/call.js")
            .await
            .contains("content-type: text/javascript")
    );
    assert!(
        get(&with, "/no-such-file")
            .await
            .starts_with("HTTP/1.1 404")
    );
    assert!(get(&without, "/").await.starts_with("HTTP/1.1 404"));
}

async fn get(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}
