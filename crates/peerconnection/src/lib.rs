//! WebRTC for Rust: `RTCPeerConnection` as the browser has it.
//!
//! [`PeerConnection`] is the browser's object in Rust spelling: offer and answer, trickle ICE, tracks, data channels,
//! statistics. Its names, states, defaults, errors and the order of its events are those of the W3C text. Two of them
//! in one process:
//!
//! ```
//! use peerconnection::{Configuration, Event, PeerConnection};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), peerconnection::Error> {
//! let (alice, bob) = (PeerConnection::new(Configuration::default())?, PeerConnection::new(Configuration::default())?);
//! let channel = alice.create_data_channel("greetings", Default::default())?;
//!
//! alice.set_local_description(None).await?;
//! bob.set_remote_description(&alice.local_description().unwrap()).await?;
//! bob.set_local_description(None).await?;
//! alice.set_remote_description(&bob.local_description().unwrap()).await?;
//!
//! channel.opened().await?;
//! channel.send_text("hello").await?;
//! let mut events = bob.events();
//! while let Some(event) = events.next().await {
//!     if let Event::DataChannel(channel) = event {
//!         assert_eq!(channel.recv().await.unwrap().as_bytes(), b"hello");
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Three depths of media
//! - tracks: [`PeerConnection::add_track`] encodes and sends, [`TrackEvent::track`] gives decoded frames;
//! - encoded frames: [`RtpSender::send_encoded`], [`RtpReceiver::encoded_frames`];
//! - your own event loop: [`session::Session`], the same connection without sockets, clock or tasks.
//!
//! # Servers
//! [`Endpoint`] puts many connections on one UDP port, and one TCP port; [`NetworkOptions`] says which sockets a connection opens otherwise.
//!
//! # Modules
//! - [`session`]: the sans-IO core: offer and answer, transports, RTP routing, data channels, statistics;
//! - `driver`: sockets, timers and name resolution on tokio;
//! - everything else: the handles, re-exported here.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod base64;
mod certificate;
mod configuration;
mod data_channel;
mod description;
mod driver;
mod dtmf;
mod encoded_transform;
mod error;
mod events;
mod identity;
mod legacy;
mod operations;
mod peer_connection;
mod pipeline;
mod registry;
mod rtp_parameters;
mod rtp_receiver;
mod rtp_sender;
mod rtp_transceiver;
pub mod session;
mod sframe;
mod states;
pub mod stats;
mod transports;

pub use certificate::{Certificate, DtlsFingerprint, KeygenAlgorithm};
pub use configuration::{
    BundlePolicy, Configuration, IceServer, IceTransportPolicy, RtcpMuxPolicy,
    RtpHeaderEncryptionPolicy,
};
pub use data_channel::{
    DataChannel, DataChannelEvent, DataChannelEvents, DataChannelInit, Message, Priority,
};
pub use description::{
    IceCandidate, IceCandidateError, IceCandidateInit, SdpType, SessionDescription,
};
pub use driver::{Endpoint, EndpointOptions, NetworkOptions, RefusedStreams};
pub use dtmf::{DtmfSender, ToneChanges};
pub use encoded_transform::{
    EncodedFrameMetadata, EncodedTransform, FrameTransformer, RtcEncodedFrame,
};
pub use error::{Error, RtcError, RtcErrorDetail};
pub use events::{Event, Events, TrackEvent};
pub use identity::{
    IdentityAssertion, IdentityFuture, IdentityProvider, IdentityProviderOptions,
    IdentityValidation,
};
pub use peer_connection::{Builder, PeerConnection, TransceiverInit};
pub use rtp_parameters::{
    ApplicationCodec, DegradationPreference, EncodingOptions, ResolutionRestriction,
    RtcpParameters, RtpCapabilities, RtpCodec, RtpCodecParameters, RtpEncodingParameters,
    RtpHeaderExtensionCapability, RtpHeaderExtensionParameters, RtpReceiveParameters,
    RtpSendParameters, SetParameterOptions,
};
pub use rtp_receiver::{EncodedFrames, RtpReceiver};
pub use rtp_sender::RtpSender;
pub use rtp_transceiver::{ReceivedFrame, RtpPacket, RtpPackets, RtpTransceiver};
pub use session::{OfferOptions, RtpSource};
pub use sframe::{Sframe, SframeError, SframeSuite};
pub use states::{
    DataChannelState, DtlsTransportState, IceComponent, IceConnectionState, IceGatheringState,
    IceRole, IceTransportState, PeerConnectionState, SctpTransportState, SignalingState,
    TransceiverDirection,
};
pub use stats::StatsReport;
pub use transports::{
    DtlsTransport, DtlsTransportEvent, IceCandidatePair, IceParameters, IceTransport,
    IceTransportEvent, SctpTransport, TransportEvents,
};

// The layers below whose types appear in this interface.
pub use {dtls, ice, media, sctp};

/// The program in the project's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So does the one in the crate's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct CrateReadme;
