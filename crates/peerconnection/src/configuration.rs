//! `RTCConfiguration` and its parts (W3C WebRTC §4.2).

use crate::Error;
use crate::certificate::Certificate;
use serde::{Deserialize, Serialize};

/// How a connection is made: `RTCConfiguration` (W3C WebRTC §4.2.1).
///
/// ```
/// use peerconnection::{Configuration, IceServer};
///
/// let configuration = Configuration {
///     ice_servers: vec![IceServer { urls: vec!["stun:stun.example.org".into()], ..Default::default() }],
///     ..Default::default()
/// };
/// configuration.validate()?;
/// # Ok::<(), peerconnection::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Configuration {
    /// STUN and TURN servers to gather candidates with.
    pub ice_servers: Vec<IceServer>,
    /// Which candidates may be used.
    pub ice_transport_policy: IceTransportPolicy,
    /// How media sections share transports before the peer has answered.
    pub bundle_policy: BundlePolicy,
    /// How RTCP is carried. Only `require` exists: RTCP is always multiplexed with RTP (RFC 8858).
    pub rtcp_mux_policy: RtcpMuxPolicy,
    /// How many ICE transports to gather for in advance, 0 to 255.
    pub ice_candidate_pool_size: u8,
    /// What to prove this side with: the first one is used. A fresh one is made when there is none.
    #[serde(skip)]
    pub certificates: Vec<Certificate>,
    /// Who the peer has to prove to be, as `name@domain` (RFC 8827 §7; W3C Identity for WebRTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_identity: Option<String>,
    /// Whether the first offer has a section for data, before all others, without a channel that asks for it
    /// (W3C WebRTC Extensions, "Always negotiating data channels").
    pub always_negotiate_data_channels: bool,
}

/// `RTCIceServer`: one STUN or TURN server (W3C WebRTC §4.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` and `turns:` URLs (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// The user name of the long-term credential; TURN needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of the long-term credential; TURN needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// `RTCIceTransportPolicy` (W3C WebRTC §4.2.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IceTransportPolicy {
    /// Any candidate.
    #[default]
    All,
    /// Relayed candidates only, so that the peer does not learn this host's addresses.
    Relay,
}

/// `RTCBundlePolicy` (W3C WebRTC §4.2.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundlePolicy {
    /// One transport for each kind of media until the peer agrees to bundle.
    #[default]
    Balanced,
    /// One transport for each media section until the peer agrees to bundle.
    MaxCompat,
    /// One transport for everything; a peer that does not bundle gets the first section only.
    MaxBundle,
}

/// `RTCRtcpMuxPolicy` (W3C WebRTC §4.2.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtcpMuxPolicy {
    /// RTP and RTCP share one transport.
    #[default]
    Require,
}

/// What an ICE server URL says, parsed (RFC 7064 §3.1, RFC 7065 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    pub(crate) turn: bool,
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) transport: ServerTransport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerTransport {
    Udp,
    Tcp,
}

impl ServerUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Syntax(format!("ICE server URL {url:?}: {what}"));
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("no scheme"))?;
        let (turn, secure) = match scheme.to_ascii_lowercase().as_str() {
            "stun" => (false, false),
            "stuns" => (false, true),
            "turn" => (true, false),
            "turns" => (true, true),
            _ => return Err(wrong("the scheme is none of stun, stuns, turn, turns")),
        };
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let transport = match query {
            None if secure => ServerTransport::Tcp,
            None => ServerTransport::Udp,
            Some(_) if !turn => return Err(wrong("a STUN URL takes no query")),
            Some("transport=udp") => ServerTransport::Udp,
            Some("transport=tcp") => ServerTransport::Tcp,
            Some(_) => {
                return Err(wrong(
                    "the query is neither transport=udp nor transport=tcp",
                ));
            }
        };
        let (host, port) =
            split_authority(authority).ok_or_else(|| wrong("host and port cannot be read"))?;
        if host.is_empty() || host.contains(['/', '@', '#', ' ']) {
            return Err(wrong("the host is not one"));
        }
        // Default ports: RFC 7064 §3.2, RFC 7065 §3.2.
        let port = port.unwrap_or(if secure { 5349 } else { 3478 });
        Ok(ServerUrl {
            turn,
            secure,
            host: host.to_owned(),
            port,
            transport,
        })
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((authority, None)),
    }
}

impl Configuration {
    /// Checks what a constructor or `set_configuration` checks (W3C WebRTC §4.4.1.6, "validate an ICE server").
    ///
    /// # Errors
    /// `SyntaxError` for a URL that is none, `InvalidAccessError` for a TURN server without a
    /// user name or credential, or one whose user name is longer than 508 bytes.
    pub fn validate(&self) -> Result<(), Error> {
        for server in &self.ice_servers {
            server.validate()?;
        }
        Ok(())
    }
}

impl IceServer {
    fn validate(&self) -> Result<(), Error> {
        if self.urls.is_empty() {
            return Err(Error::Syntax("an ICE server has no URLs".into()));
        }
        for url in &self.urls {
            if ServerUrl::parse(url)?.turn {
                let (Some(username), Some(_)) = (&self.username, &self.credential) else {
                    return Err(Error::InvalidAccess(format!(
                        "{url} needs a username and a credential"
                    )));
                };
                if username.len() > 508 {
                    return Err(Error::InvalidAccess(format!(
                        "{url}: the username is longer than 508 bytes"
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_server_url() {
        let url = ServerUrl::parse("stun:example.org").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.transport),
            ("example.org", 3478, ServerTransport::Udp)
        );
        let url = ServerUrl::parse("turns:[2001:db8::1]:443?transport=tcp").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.secure, url.turn),
            ("2001:db8::1", 443, true, true)
        );
        for wrong in [
            "http:x",
            "stun",
            "stun:",
            "stun:h?transport=udp",
            "turn:h?transport=sctp",
            "turn:h:99999",
            "stun:[::1",
            "stun://h",
        ] {
            assert!(
                matches!(ServerUrl::parse(wrong), Err(Error::Syntax(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn turn_without_a_credential_is_an_invalid_access() {
        let mut configuration = Configuration::default();
        configuration.ice_servers.push(IceServer {
            urls: vec!["turn:example.org".into()],
            ..Default::default()
        });
        assert_eq!(
            configuration.validate().unwrap_err().name(),
            "InvalidAccessError"
        );
        configuration.ice_servers[0].username = Some("u".into());
        configuration.ice_servers[0].credential = Some("c".into());
        configuration.validate().unwrap();
    }
}
