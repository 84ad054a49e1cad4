//! Error causes of ABORT and ERROR (RFC 9260 §3.3.10).

use super::param::{self, Params};

/// Cause codes.
pub mod code {
    #![allow(missing_docs)]
    pub const INVALID_STREAM: u16 = 1;
    pub const MISSING_PARAMETER: u16 = 2;
    pub const STALE_COOKIE: u16 = 3;
    pub const OUT_OF_RESOURCE: u16 = 4;
    pub const UNRESOLVABLE_ADDRESS: u16 = 5;
    pub const UNRECOGNIZED_CHUNK: u16 = 6;
    pub const INVALID_PARAMETER: u16 = 7;
    pub const UNRECOGNIZED_PARAMETERS: u16 = 8;
    pub const NO_USER_DATA: u16 = 9;
    pub const COOKIE_WHILE_SHUTTING_DOWN: u16 = 10;
    pub const RESTART_WITH_NEW_ADDRESSES: u16 = 11;
    pub const USER_ABORT: u16 = 12;
    pub const PROTOCOL_VIOLATION: u16 = 13;
}

/// Walks causes, which are laid out like parameters.
pub fn causes(value: &[u8]) -> Params<'_> {
    Params(value)
}

/// Appends a cause, padded.
pub fn write(buf: &mut Vec<u8>, code: u16, information: &[u8]) {
    param::write(buf, code, information);
}
