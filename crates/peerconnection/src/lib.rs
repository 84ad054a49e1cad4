//! WebRTC for Rust: RTCPeerConnection as the browser has it
