//! The attributes that have a type, each with `FromStr` and `Display` for its value.
//!
//! | module | attributes |
//! |---|---|
//! | codecs | [`RtpMap`], [`Fmtp`], [`RtcpFb`], [`ExtMap`] |
//! | formats | [`OpusParameters`], [`H264Parameters`], [`Vp9Parameters`], [`Av1Parameters`], [`RtxParameters`] |
//! | direction | [`Direction`] |
//! | streams | [`Mid`], [`Group`], [`Msid`], [`MsidSemantic`], [`Ssrc`], [`SsrcGroup`], [`Content`] |
//! | simulcast | [`Rid`], [`Simulcast`] |
//! | image | [`ImageAttr`] |
//! | ice | [`Candidate`], [`IceUfrag`], [`IcePwd`], [`IceOptions`], [`RemoteCandidates`], [`IcePacing`] |
//! | security | [`Fingerprint`], [`Setup`], [`TlsId`], [`Identity`], [`ConnectionReuse`] |
//! | transport | [`Rtcp`], [`SctpPort`], [`MaxMessageSize`], [`SctpMap`], [`SctpInit`], [`Ptime`], [`MaxPtime`], [`FrameRate`] |
//!
//! Attributes without a value (`rtcp-mux`, `rtcp-mux-only`, `rtcp-rsize`, `bundle-only`, `ice-lite`, `end-of-candidates`,
//! `extmap-allow-mixed`) are asked for by [`Attributes::has`](crate::Attributes::has).

mod codecs;
mod direction;
mod formats;
mod ice;
mod image;
mod security;
mod simulcast;
mod streams;
mod transport;

pub use codecs::{ExtMap, Fmtp, RtcpFb, RtpMap};
pub use direction::Direction;
pub use formats::{Av1Parameters, H264Parameters, OpusParameters, RtxParameters, Vp9Parameters};
pub use ice::{
    Candidate, CandidateType, IceOptions, IcePacing, IcePwd, IceUfrag, RemoteCandidates,
};
pub use image::{ImageAttr, ImageSet, ImageSets};
pub use security::{ConnectionReuse, Fingerprint, Identity, Setup, TlsId};
pub use simulcast::{Rid, RidDirection, Simulcast, SimulcastStream};
pub use streams::{Content, Group, GroupSemantics, Mid, Msid, MsidSemantic, Ssrc, SsrcGroup};
pub use transport::{
    FrameRate, MaxMessageSize, MaxPtime, Ptime, Rtcp, SctpInit, SctpMap, SctpPort,
};

use crate::line::Fields;
use crate::{Attribute, ParseError, TypedAttribute, ValueError};

/// Calls `$visit!` with every type that has a name.
macro_rules! check_each {
    ($attribute:ident: $($type:ident),* $(,)?) => {
        match $attribute.name() {
            $(<$type as TypedAttribute>::NAME => $attribute.read_value::<$type>().map(drop),)*
            _ => Ok(()),
        }
    };
}

/// Reads every known attribute and returns the first error.
pub(crate) fn check(attributes: &[Attribute]) -> Result<(), ParseError> {
    attributes.iter().try_for_each(|attribute| {
        check_each!(attribute:
            RtpMap, Fmtp, RtcpFb, ExtMap, Mid, Group, Msid, MsidSemantic, Ssrc, SsrcGroup, Content, Rid, Simulcast, ImageAttr,
            Candidate, IceUfrag, IcePwd, IceOptions, RemoteCandidates, IcePacing, Fingerprint, Setup, TlsId, Identity,
            ConnectionReuse, Rtcp, SctpPort, MaxMessageSize, SctpMap, SctpInit, Ptime, MaxPtime, FrameRate,
        )
    })
}

/// Declares attributes whose value is one thing of a type that reads and writes itself.
macro_rules! single {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $attribute:literal, $expected:literal $(, $valid:expr)?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name(pub $type);

        impl crate::TypedAttribute for $name {
            const NAME: &'static str = $attribute;
        }

        impl std::str::FromStr for $name {
            type Err = crate::ValueError;
            fn from_str(value: &str) -> Result<Self, crate::ValueError> {
                #[allow(unused_mut, reason = "some have no further condition")]
                let mut read: Option<$type> = value.trim().parse().ok();
                $(read = read.filter($valid);)?
                read.map(Self).ok_or(crate::ValueError { offset: 0, expected: $expected })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
use single;

/// RFC 8866 §9 `token-char`.
fn is_token(text: &str) -> bool {
    let char = |b: u8| matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~');
    !text.is_empty() && text.bytes().all(char)
}

/// A payload type.
fn payload_type(field: &str) -> Option<u8> {
    field
        .parse()
        .ok()
        .filter(|payload_type| *payload_type < 128)
}

/// A payload type, or `*` for all of them.
fn payload_type_or_all(field: &str) -> Option<Option<u8>> {
    if field == "*" {
        Some(None)
    } else {
        payload_type(field).map(Some)
    }
}

/// As [`Fields::next`], owned.
fn word(fields: &mut Fields<'_>, expected: &'static str) -> Result<String, ValueError> {
    fields.next(expected).map(str::to_owned)
}

/// What is left, when there is something left.
fn rest(fields: &mut Fields<'_>) -> Option<String> {
    Some(fields.remainder())
        .filter(|rest| !rest.is_empty())
        .map(str::to_owned)
}
