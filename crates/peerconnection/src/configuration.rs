//! `RTCConfiguration` and its parts (W3C WebRTC §4.2).

use crate::Error;
use crate::certificate::Certificate;
use crate::rtp_parameters::ApplicationCodec;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Codecs that the application handles itself, as encoded frames or packets, beside those that the library encodes
    /// (not W3C). They are offered after the library's own unless `setCodecPreferences` says otherwise, and cannot be
    /// changed later.
    #[serde(skip)]
    pub application_codecs: Vec<ApplicationCodec>,
    /// Whether RTP header extensions have to be encrypted (W3C WebRTC Extensions, "RTP Header Extension Encryption").
    pub rtp_header_encryption_policy: RtpHeaderEncryptionPolicy,
}

/// `RTCIceServer`: one STUN or TURN server (W3C WebRTC §4.2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` and `turns:` URLs (RFC 7064, RFC 7065). In JSON one may stand without brackets.
    #[serde(deserialize_with = "one_or_many")]
    pub urls: Vec<String>,
    /// The user name of the long-term credential; TURN needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of the long-term credential; TURN needs one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// `(USVString or sequence<USVString>)`.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Urls {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Urls::deserialize(deserializer)? {
        Urls::One(url) => vec![url],
        Urls::Many(urls) => urls,
    })
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

/// `RTCRtpHeaderEncryptionPolicy` (W3C WebRTC Extensions): what becomes of header extensions and contributing sources when the
/// peer does not take them encrypted (RFC 9335).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RtpHeaderEncryptionPolicy {
    /// They are sent in the clear.
    #[default]
    Negotiate,
    /// Its description is refused.
    Require,
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
        // The URL parser takes no notice of blanks around it.
        let trimmed = url.trim_matches(|sign: char| sign <= ' ');
        let (scheme, rest) = trimmed.split_once(':').ok_or_else(|| wrong("no scheme"))?;
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
        if !is_host(host) {
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

/// Whether the URL parser would take this as the host of an `https:` URL, as "validate an ICE server URL" has it.
fn is_host(host: &str) -> bool {
    // The forbidden host code points, the brackets of IPv6 being gone.
    let forbidden = |sign: char| sign <= ' ' || "#/<>?@[\\]^|\u{7f}".contains(sign);
    if host.is_empty() || host.contains(forbidden) {
        return false;
    }
    // One that ends in a number is an IPv4 address, or nothing.
    let mut labels = host.trim_end_matches('.').split('.');
    let ends_in_a_number = labels
        .next_back()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|digit| digit.is_ascii_digit()));
    host.contains(':')
        || !ends_in_a_number
        || host
            .trim_end_matches('.')
            .parse::<std::net::Ipv4Addr>()
            .is_ok()
}

/// `*DIGIT` (RFC 3986 §3.2.3); none is the default.
fn port_of(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    Some(Some(text.parse().ok().filter(|_| digits)?))
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, port_of(port)?)),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port_of(port)?)),
        None => Some((authority, None)),
    }
}

impl Configuration {
    /// Checks what a constructor or `set_configuration` checks (W3C WebRTC §4.4.1.6, "validate an ICE server").
    ///
    /// # Errors
    /// `SyntaxError` for a URL that is none, `InvalidAccessError` for a TURN server without a
    /// user name or credential, or one that RFC 8489 §14.3 or RFC 8265 §4.1 does not allow; `TypeError` and
    /// `NotSupportedError` for an application's codec that is none, or whose payload format is not known.
    pub fn validate(&self) -> Result<(), Error> {
        for server in &self.ice_servers {
            server.validate()?;
        }
        for codec in &self.application_codecs {
            codec.check()?;
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
                let (Some(username), Some(credential)) = (&self.username, &self.credential) else {
                    return Err(Error::InvalidAccess(format!(
                        "{url} needs a username and a credential"
                    )));
                };
                if username.len() > 508 {
                    return Err(Error::InvalidAccess(format!(
                        "{url}: the username is longer than 508 bytes"
                    )));
                }
                // RFC 8265 §4.1: at least one character, none of them a control.
                for (what, text) in [("username", username), ("credential", credential)] {
                    if text.is_empty() || text.contains(char::is_control) {
                        return Err(Error::InvalidAccess(format!(
                            "{url}: the {what} is empty or has control characters"
                        )));
                    }
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
        let url = ServerUrl::parse(" STUN:192.0.2.1: ").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("192.0.2.1", 3478));
        for wrong in [
            "http:x",
            "stun",
            "stun:",
            "stun:h?transport=udp",
            "turn:h?transport=sctp",
            "turn:h:99999",
            "stun:[::1",
            "stun://h",
            "turn:h:+80",
            "turn:h:3478#fragment",
            "turn:user@h",
            "stun:h/path",
            "stun:256.1.1.1",
            "stun:a<b",
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
        for wrong in ["", "a\0b"] {
            configuration.ice_servers[0].credential = Some(wrong.into());
            let refused = configuration.validate().unwrap_err();
            assert_eq!(refused.name(), "InvalidAccessError");
        }
    }

    #[test]
    fn a_configuration_is_read_as_a_browser_reads_it() {
        let json = r#"{"iceServers":[{"urls":"stun:a"},{"urls":["turn:b","turns:b"],"username":"u","credential":"c"}],
            "iceTransportPolicy":"relay","bundlePolicy":"max-bundle","iceCandidatePoolSize":2}"#;
        let configuration: Configuration = serde_json::from_str(json).unwrap();
        configuration.validate().unwrap();
        assert_eq!(configuration.ice_servers[0].urls, ["stun:a"]);
        assert_eq!(configuration.ice_servers[1].urls.len(), 2);
        assert_eq!(configuration.bundle_policy, BundlePolicy::MaxBundle);
        assert_eq!(
            Configuration::default(),
            serde_json::from_str("{}").unwrap()
        );
    }
}
