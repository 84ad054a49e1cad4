//! SCTP association (RFC 9260) and WebRTC data channels (RFC 8831, RFC 8832), sans-IO
