//! Associations and data channels over a simulated network.

mod channels;
mod closing;
mod common;
mod handshake;
mod schedulers;
mod transfer;
