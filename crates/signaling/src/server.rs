//! The signalling server: rooms over Socket.IO on axum, and the call page beside them.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::handler::ConnectHandler;
use tokio::net::TcpListener;
use tracing::info;

use crate::rooms::Rooms;
use crate::{connection, page};

/// How the server behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// How many clients a room holds; one more hears `full`. Default 3.
    pub room_limit: usize,
    /// Whether `/` is the call page. Default true.
    pub page: bool,
    /// Longest event in bytes; a client that sends a longer one is disconnected. Default 256 KiB.
    pub max_event: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            room_limit: 3,
            page: true,
            max_event: 256 * 1024,
        }
    }
}

/// The rooms at `/socket.io/`, and the page at `/` if the configuration has it, as a part of another application.
pub fn router(config: &ServerConfig) -> Router {
    let (layer, io) = SocketIo::builder()
        .max_payload(config.max_event as u64)
        .ws_max_message_size(config.max_event)
        .ws_max_frame_size(config.max_event)
        // Enough for the candidates of a whole room while a client is slow to read.
        .max_buffer_size(1024)
        .build_layer();

    let rooms = Arc::new(Mutex::new(Rooms::new(config.room_limit)));
    let preparing = Arc::clone(&rooms);
    let connected = move |socket: SocketRef| {
        connection::connected(&rooms, &socket);
        ready(())
    };
    let prepare = move |socket: SocketRef| {
        connection::prepare(&preparing, &socket);
        ready(Ok::<_, Infallible>(()))
    };
    io.ns("/", connected.with(prepare));

    let router = if config.page {
        page::router()
    } else {
        Router::new()
    };
    router.layer(layer)
}

/// A server that owns its port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    config: ServerConfig,
}

impl Server {
    /// Takes the port; port 0 takes a free one, which [`local_addr`](Self::local_addr) tells.
    pub async fn bind(address: SocketAddr, config: ServerConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            config,
        })
    }

    /// The address on which the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the future is dropped.
    pub async fn run(self) -> io::Result<()> {
        info!(address = %self.address, room_limit = self.config.room_limit, "serving");
        axum::serve(self.listener, router(&self.config)).await
    }
}
