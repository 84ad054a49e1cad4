//! STUN messages, transactions and NAT behaviour discovery (RFC 8489, RFC 5780).
//!
//! ```
//! use stun::{Class, Message, Method, TransactionId, Writer};
//!
//! let mut buf = Vec::new();
//! let id = TransactionId([1; 12]);
//! Writer::new(&mut buf, Class::Success, Method::BINDING, id).xor_mapped_address("192.0.2.1:32853".parse()?).finish(true);
//! let message = Message::parse(&buf)?;
//! message.check_fingerprint()?;
//! assert_eq!(message.xor_mapped_address(), Some("192.0.2.1:32853".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod attribute;
pub mod credentials;
pub mod discovery;
mod integrity;
mod message;
mod server;
mod sha1;
mod transaction;
mod types;
pub mod uri;
mod writer;

pub use attribute::{AttributeType, RawAttribute};
pub use integrity::{
    FingerprintError, Integrity, IntegrityError, IntegrityKey, PasswordAlgorithm, opaque_string,
    userhash,
};
pub use message::{Attributes, ChangeRequest, Message, ParseError, is_message, peek};
pub use server::{Reply, Server, ServerStats};
pub use transaction::{RELIABLE_TIMEOUT, Retransmission, RtoEstimator, TimedOut, Transaction};
pub use types::{Class, ErrorCode, Family, HEADER_LEN, MAGIC_COOKIE, Method, TransactionId};
pub use writer::Writer;
