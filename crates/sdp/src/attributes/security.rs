use super::{is_token, single};
use crate::line::Fields;
use crate::{TypedAttribute, ValueError};
use std::fmt::{self, Display};
use std::str::FromStr;

single! {
    /// `a=tls-id`, 20 to 255 characters (RFC 8842 §4).
    TlsId(String) = "tls-id", "20 to 255 letters, digits, +, /, - or _",
        |id| (20..=255).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'));
    /// `a=identity`, an assertion in base64, perhaps with extensions (RFC 8827 §5.1).
    Identity(String) = "identity", "an assertion in base64",
        |assertion| assertion.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
}

/// `a=fingerprint:<hash> <AB:CD:…>` (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The name of the hash, such as `sha-256`; upper and lower case are the same.
    pub algorithm: String,
    /// The hash of the certificate.
    pub bytes: Vec<u8>,
}

impl TypedAttribute for Fingerprint {
    const NAME: &'static str = "fingerprint";
}

impl FromStr for Fingerprint {
    type Err = ValueError;
    fn from_str(value: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(value);
        let algorithm = fields.read("the name of a hash", |field| {
            is_token(field).then(|| field.to_owned())
        })?;
        let bytes = fields.read("pairs of hexadecimal digits with colons", |field| {
            let pair = |pair: &str| match pair.as_bytes() {
                [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    u8::from_str_radix(pair, 16).ok()
                }
                _ => None,
            };
            field.split(':').map(pair).collect()
        })?;
        fields.end()?;
        Ok(Self { algorithm, bytes })
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.algorithm)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            let separator = if index == 0 { ' ' } else { ':' };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

/// Declares an attribute whose value is one of some words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident = $attribute:literal, $expected:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl TypedAttribute for $name {
            const NAME: &'static str = $attribute;
        }

        impl FromStr for $name {
            type Err = ValueError;
            fn from_str(value: &str) -> Result<Self, ValueError> {
                match value.trim() {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(ValueError { offset: 0, expected: $expected }),
                }
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `a=setup`, who opens the DTLS association (RFC 4145 §4, RFC 8842 §5.2).
    Setup = "setup", "actpass, active, passive or holdconn" {
        /// Either; the answerer chooses.
        ActPass = "actpass",
        /// The writer: it is the DTLS client.
        Active = "active",
        /// The other side: the writer is the DTLS server.
        Passive = "passive",
        /// Nobody for now.
        HoldConn = "holdconn",
    }
}

words! {
    /// `a=connection`, whether an association is opened or kept (RFC 4145 §5).
    ConnectionReuse = "connection", "new or existing" {
        /// A new one.
        New = "new",
        /// The one that is there.
        Existing = "existing",
    }
}
