//! SDP grammar (RFC 8866) and the typed attributes of WebRTC
