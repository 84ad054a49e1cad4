//! `stun:` and `stuns:` URIs (RFC 7064).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The host and port of a STUN or TURN URI (RFC 3986 §3.2.2, §3.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// A name or an address, without brackets.
    pub host: String,
    /// If it was written.
    pub port: Option<u16>,
}

/// Why a text is not a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// It is empty, or has a character no host has.
    #[error("the host is empty or malformed")]
    Host,
    /// It is not a number of sixteen bits.
    #[error("the port is not a number between 0 and 65535")]
    Port,
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(AuthorityError::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| AuthorityError::Host)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(AuthorityError::Port),
            }
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%:".contains(c);
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(AuthorityError::Host);
        }
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| AuthorityError::Port)?)
            }
            Some(_) => return Err(AuthorityError::Port),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A STUN server's URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    /// `stuns:`: over TLS.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// As written; [`Uri::port`] has the default.
    pub explicit_port: Option<u16>,
}

/// Why a text is not a STUN URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// Neither `stun:` nor `stuns:`.
    #[error("the scheme is neither stun nor stuns")]
    Scheme,
    /// The host or port is wrong.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Uri {
    /// The port: 3478, or 5349 over TLS, unless written (RFC 7064 §3.2, RFC 8489 §8.1).
    pub fn port(&self) -> u16 {
        self.explicit_port
            .unwrap_or(if self.secure { 5349 } else { 3478 })
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("stun") => false,
            s if s.eq_ignore_ascii_case("stuns") => true,
            _ => return Err(UriError::Scheme),
        };
        let Authority { host, port } = rest.parse()?;
        Ok(Self {
            secure,
            host,
            explicit_port: port,
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "stuns:" } else { "stun:" })?;
        fmt::Display::fmt(
            &Authority {
                host: self.host.clone(),
                port: self.explicit_port,
            },
            f,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_examples_of_the_text() {
        // RFC 7064 §3.3, table 1.
        for (text, secure, host, port) in [
            ("stun:example.org", false, "example.org", 3478),
            ("stuns:example.org", true, "example.org", 5349),
            ("stun:example.org:8000", false, "example.org", 8000),
            ("stun:[2001:db8::1]:19302", false, "2001:db8::1", 19302),
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(
                (uri.secure, uri.host.as_str(), uri.port()),
                (secure, host, port)
            );
            assert_eq!(uri.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_stun_uri() {
        for (text, error) in [
            ("turn:example.org", UriError::Scheme),
            ("stun:", UriError::Authority(AuthorityError::Host)),
            ("stun:a?b", UriError::Authority(AuthorityError::Host)),
            ("stun:[::1", UriError::Authority(AuthorityError::Host)),
            ("stun:a:+5", UriError::Authority(AuthorityError::Port)),
        ] {
            assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
        }
    }
}
