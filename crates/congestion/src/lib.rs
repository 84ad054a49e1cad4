//! Congestion control for real-time media: what to send at, and when each packet may leave.
//!
//! Feedback from the receiver, transport-wide or by stream (RFC 8888), becomes delays and losses of the packets that were sent;
//! from these an estimator (NADA, RFC 8698) tells the rate the path carries; a pacer spreads the packets over time. The
//! requirements are those of RFC 8836. No sockets, no clock: `now` comes in as an argument.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use pc_congestion::{Config, Controller, Event, Priority, Sent};
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now(); // the driver's clock; the crate itself never reads one
//! let mut control = Controller::new(Config::default(), now);
//! assert!(matches!(control.poll_event(), Some(Event::TargetBitrate(_))));
//! if control.admit(now, Priority::Video, 1_200) {
//!     control.sent(now, Sent { ssrc: 1, sequence: 7, transport_sequence: Some(0), size: 1_200 });
//! }
//! // 50 ms later the receiver tells that number 0 came, at 4 × 250 µs on its own clock.
//! control.handle_transport_feedback(now + Duration::from_millis(50), [(0, Some(4))]);
//! assert_eq!(control.bytes_in_flight(), 0);
//! ```
//!
//! | module | what |
//! |---|---|
//! | `controller` | [`Controller`]: the parts together, one for each transport |
//! | [`history`] | what was sent, and what became of it |
//! | [`nada`] | the estimator |
//! | [`pacer`] | the leaky bucket, and a queue by priority |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bitrate;
mod controller;
pub mod history;
pub mod nada;
pub mod pacer;

pub use bitrate::Bitrate;
pub use controller::{Config, Controller, Event};
pub use history::Sent;
pub use nada::Limits;
pub use pacer::Priority;

/// The ECN field of a received packet (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnMark {
    /// Not marked as having met congestion.
    #[default]
    None,
    /// ECN-CE.
    CongestionExperienced,
}
