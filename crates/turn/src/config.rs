//! What a client is told at construction.

use std::net::SocketAddr;
use std::time::Duration;

use stun::Retransmission;
use stun::credentials::LongTerm;

/// How the client reaches its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP or DTLS over UDP: datagrams, retransmission.
    Udp,
    /// TCP or TLS over TCP: a byte stream framed as [`crate::framing`] does, without retransmission.
    Stream,
}

/// What the server speaks with the peers (REQUESTED-TRANSPORT, RFC 8656 §18.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RelayProtocol {
    /// Datagrams.
    #[default]
    Udp,
    /// Connections (RFC 6062); asks for [`Transport::Stream`].
    Tcp,
}

impl RelayProtocol {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }
}

/// Which relayed addresses are asked for (RFC 8656 §7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Families {
    /// An IPv4 address.
    #[default]
    V4,
    /// An IPv6 address (REQUESTED-ADDRESS-FAMILY).
    V6,
    /// One of each, if the server can (ADDITIONAL-ADDRESS-FAMILY); one is enough.
    Both,
}

/// Who the client says it is.
#[derive(Clone)]
pub enum Credentials {
    /// The long-term mechanism (RFC 8489 §9.2).
    Password {
        /// Name.
        username: String,
        /// Its password.
        password: String,
    },
    /// A third party's token (RFC 7635).
    Token {
        /// Goes into USERNAME.
        key_id: String,
        /// Goes into ACCESS-TOKEN, unread.
        token: Vec<u8>,
        /// Protects the messages.
        session_key: Vec<u8>,
    },
}

impl Credentials {
    /// A username and its password.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password {
            username: username.into(),
            password: password.into(),
        }
    }

    pub(crate) fn mechanism(&self) -> LongTerm {
        match self {
            Self::Password { username, password } => LongTerm::new(username, password),
            Self::Token {
                key_id,
                token,
                session_key,
            } => LongTerm::with_token(key_id, token.clone(), session_key),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { username, .. } => f
                .debug_struct("Password")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::Token { key_id, .. } => f
                .debug_struct("Token")
                .field("key_id", key_id)
                .finish_non_exhaustive(),
        }
    }
}

/// What to allocate, where, and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's address.
    pub server: SocketAddr,
    /// How it is reached.
    pub transport: Transport,
    /// Who asks.
    pub credentials: Credentials,
    /// What the relay speaks with the peers.
    pub relay: RelayProtocol,
    /// Which relayed addresses are wanted.
    pub families: Families,
    /// The lifetime asked for; the server decides (RFC 8656 §7.2).
    pub lifetime: Duration,
    /// When to send again and when to give up.
    pub retransmission: Retransmission,
    /// SOFTWARE in the first request.
    pub software: Option<String>,
    /// Ask for a ticket with which the allocation follows the client to another address (RFC 8016).
    pub mobility: bool,
    /// Ask for an even port; `Some(true)` reserves the next one too (RFC 8656 §18.7).
    pub even_port: Option<bool>,
    /// Take the port that another allocation reserved (RFC 8656 §18.10).
    pub reservation_token: Option<[u8; 8]>,
    /// Ask that datagrams to peers are never fragmented (RFC 8656 §18.9).
    pub dont_fragment: bool,
    /// On a 300 response over UDP go to the other server without asking.
    pub follow_redirects: bool,
}

impl Config {
    /// A UDP relay address of the IPv4 family for ten minutes at a time, with nothing special asked for.
    pub fn new(server: SocketAddr, transport: Transport, credentials: Credentials) -> Self {
        Self {
            server,
            transport,
            credentials,
            relay: RelayProtocol::Udp,
            families: Families::V4,
            lifetime: Duration::from_secs(600),
            retransmission: Retransmission::default(),
            software: None,
            mobility: false,
            even_port: None,
            reservation_token: None,
            dont_fragment: false,
            follow_redirects: true,
        }
    }
}
