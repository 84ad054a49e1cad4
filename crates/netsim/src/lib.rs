//! A simulated network for sans-IO endpoints: links with latency, jitter, loss, reordering, duplication, MTU, rate and
//! queue; the four NAT kinds of RFC 3489 in the terms of RFC 4787; a clock that jumps to the next timer or arrival; captures
//! for Wireshark. Everything follows from one seed: the same seed gives the same packets at the same times.
//!
//! ```
//! use netsim::{Datagram, HostConfig, LinkConfig, NatKind, Network};
//! use std::{net::SocketAddr, time::Duration};
//!
//! let mut network = Network::new(7);
//! let server: SocketAddr = "203.0.113.1:3478".parse().unwrap();
//! network.add_host(HostConfig::new(server.ip(), LinkConfig::with_latency(Duration::from_millis(30))));
//! let nat = network.add_nat(NatKind::PortRestricted, [198, 51, 100, 1]);
//! let client: SocketAddr = "10.0.0.2:5000".parse().unwrap();
//! network.add_host_behind(nat, HostConfig::from(client.ip()));
//!
//! network.send(Datagram::new(client, server, "hello"));
//! let seen = network.receive().unwrap();
//! assert_eq!(seen.src.ip().to_string(), "198.51.100.1");
//! network.send(Datagram::new(server, seen.src, "welcome"));
//! network.advance_to(network.next_event().unwrap());
//! assert_eq!(network.receive().unwrap().dst, client);
//! assert_eq!(network.elapsed(), Duration::from_millis(30));
//! ```
//!
//! | module | what |
//! |---|---|
//! | `network` | [`Network`]: hosts, routes, the packets under way, the clock |
//! | `host`, `stats` | [`HostConfig`], [`Stats`] |
//! | `link` | [`LinkConfig`], [`Loss`]: one direction of a link |
//! | `nat` | [`NatKind`], [`NatConfig`]: mappings and filters |
//! | `simulation` | [`Endpoint`], [`Pair`], [`Simulation`]: drives endpoints over a network |
//! | `datagram` | [`Datagram`], [`Ecn`], [`Transport`] |
//! | `pcap` | the capture file |
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod datagram;
mod host;
mod link;
mod nat;
mod network;
mod pcap;
mod simulation;
mod stats;

pub use datagram::{Datagram, Ecn, Transport};
pub use host::HostConfig;
pub use link::{LinkConfig, Loss};
pub use nat::{NatConfig, NatKind};
pub use network::{HostId, NatId, Network};
pub use simulation::{Endpoint, NotReached, Pair, Simulation};
pub use stats::Stats;
