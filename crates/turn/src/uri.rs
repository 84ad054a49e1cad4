//! `turn:` and `turns:` URIs (RFC 7065).

use std::fmt;
use std::str::FromStr;

use stun::uri::{Authority, AuthorityError};

/// How a URI says the server is to be reached (RFC 7065 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UriTransport {
    /// `transport=udp`.
    Udp,
    /// `transport=tcp`.
    Tcp,
}

/// A TURN server's URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    /// `turns:`: over TLS, or DTLS when the transport is UDP.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// As written; [`Uri::port`] has the default.
    pub explicit_port: Option<u16>,
    /// As written; [`Uri::transport`] has the default.
    pub explicit_transport: Option<UriTransport>,
}

/// Why a text is not a TURN URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Neither `turn:` nor `turns:`.
    #[error("the scheme is neither turn nor turns")]
    Scheme,
    /// The host or port is wrong.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The query is not `transport=udp` or `transport=tcp`.
    #[error("the query is not a known transport")]
    Query,
}

impl Uri {
    /// The port: 3478, or 5349 over TLS, unless written (RFC 8656 §3.1).
    pub fn port(&self) -> u16 {
        self.explicit_port
            .unwrap_or(if self.secure { 5349 } else { 3478 })
    }

    /// The transport: UDP, or TCP under TLS, unless written.
    pub fn transport(&self) -> UriTransport {
        self.explicit_transport.unwrap_or(if self.secure {
            UriTransport::Tcp
        } else {
            UriTransport::Udp
        })
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("turn") => false,
            s if s.eq_ignore_ascii_case("turns") => true,
            _ => return Err(UriError::Scheme),
        };
        let (authority, query) = match rest.split_once('?') {
            Some((authority, query)) => (authority, Some(query)),
            None => (rest, None),
        };
        let Authority { host, port } = authority.parse()?;
        let explicit_transport = match query {
            None => None,
            Some(query) => {
                let (name, value) = query.split_once('=').ok_or(UriError::Query)?;
                match value {
                    _ if !name.eq_ignore_ascii_case("transport") => return Err(UriError::Query),
                    v if v.eq_ignore_ascii_case("udp") => Some(UriTransport::Udp),
                    v if v.eq_ignore_ascii_case("tcp") => Some(UriTransport::Tcp),
                    _ => return Err(UriError::Query),
                }
            }
        };
        Ok(Self {
            secure,
            host,
            explicit_port: port,
            explicit_transport,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "turns:" } else { "turn:" })?;
        fmt::Display::fmt(
            &Authority {
                host: self.host.clone(),
                port: self.explicit_port,
            },
            f,
        )?;
        match self.explicit_transport {
            Some(UriTransport::Udp) => f.write_str("?transport=udp"),
            Some(UriTransport::Tcp) => f.write_str("?transport=tcp"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_examples_of_the_text() {
        // RFC 7065, table of §3.2 and appendix B.
        for (text, secure, port, transport) in [
            ("turn:example.org", false, 3478, UriTransport::Udp),
            ("turns:example.org", true, 5349, UriTransport::Tcp),
            ("turn:example.org:8000", false, 8000, UriTransport::Udp),
            (
                "turn:example.org?transport=udp",
                false,
                3478,
                UriTransport::Udp,
            ),
            (
                "turn:example.org:8000?transport=tcp",
                false,
                8000,
                UriTransport::Tcp,
            ),
            (
                "turns:example.org?transport=tcp",
                true,
                5349,
                UriTransport::Tcp,
            ),
            (
                "turns:[2001:db8::1]:443?transport=tcp",
                true,
                443,
                UriTransport::Tcp,
            ),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(
                (uri.secure, uri.port(), uri.transport()),
                (secure, port, transport),
                "{text}"
            );
            assert_eq!(uri.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_turn_uri() {
        for (text, error) in [
            ("stun:example.org", UriError::Scheme),
            ("turn", UriError::Scheme),
            ("turn:", UriError::Authority(AuthorityError::Host)),
            ("turn:a:70000", UriError::Authority(AuthorityError::Port)),
            ("turn:a?transport=sctp", UriError::Query),
            ("turn:a?x", UriError::Query),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
    }
}
