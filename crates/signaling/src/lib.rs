//! Signalling rooms over Socket.IO: server and client
