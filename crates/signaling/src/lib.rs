//! Signalling: the rooms in which two peers find each other before a WebRTC call.
//!
//! WebRTC leaves it to the application how offers, answers and candidates travel (RFC 8829 §1.1). This crate
//! is one good way: rooms over Socket.IO, so that a page with the unmodified `socket.io-client`, a native
//! program with [`Client`] and anything else that speaks Socket.IO 5 over Engine.IO 4 meet on one [`Server`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pc_signaling::{Client, Event, Server, ServerConfig};
//!
//! let server = Server::bind("127.0.0.1:0".parse()?, ServerConfig::default()).await?;
//! let url = format!("http://{}", server.local_addr());
//! tokio::spawn(server.run());
//!
//! let (client, mut events) = Client::connect(&url).await?;
//! client.join("kitchen").await?;
//! let id = client.id().to_owned();
//! assert_eq!(events.next().await, Some(Event::Joined { room: "kitchen".into(), id }));
//! # Ok(()) }
//! ```
//!
//! # What is said
//!
//! | a client emits | it hears | the others in the room hear |
//! |---|---|---|
//! | `join(room)` | `joined(room, id)`, or `full(room, id)` | `otherJoin(room, id)` |
//! | `leave(room)` | `leaved(room, id)` | `exit(room, id)` |
//! | `message(room, data)` | | `message(room, data)` |
//! | anything else, or malformed | `error(text)` | |
//! | (it disconnects) | | `exit(room, id)` |
//!
//! `id` is the Socket.IO id of the client that joins, leaves or finds the room full. `data` is any JSON.
//!
//! # Map
//!
//! [`Server`] serves the rooms and, unless told otherwise, the call page; [`router`] mounts the same in an
//! axum application of one's own. [`Client`] is the native side. Inside, `rooms` holds who is where,
//! `connection` is one client seen from the server, `client::protocol` the two wire formats.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod client;
mod connection;
mod page;
mod rooms;
mod server;

pub use client::{Client, Closed, ConnectError, Event, Events};
pub use server::{Server, ServerConfig, router};
