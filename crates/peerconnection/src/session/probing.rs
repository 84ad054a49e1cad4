//! Probing: where an encoding waits for more than the path is known to carry, padding finds out whether it carries more.
//!
//! What is sent is all that an estimate learns of. A small picture that is sent in full never shows that there is room for the
//! large one; so from time to time padding takes what the pace leaves over.

use super::media::Outgoing;
use rtp::Ssrc;
use std::time::{Duration, Instant};

/// How long one probe lasts: a few round trips, and a few steps of the estimate.
const PROBE: Duration = Duration::from_secs(1);
/// Between probes that found nothing, at first and at most.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A probe that brought this much is followed by the next at once.
const GAIN: f64 = 1.05;
/// A source that has given no picture for so long is no reason to probe.
const IDLE: Duration = Duration::from_secs(1);
/// Bytes of padding in a packet: as many as one may have (RFC 3550 §5.1).
pub(super) const PADDING: u8 = 255;

/// When a transport probes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probing {
    /// The end of the probe under way, and the estimate it began with.
    running: Option<(Instant, u64)>,
    /// The earliest time for the next.
    next: Option<Instant>,
    pause: Duration,
}

impl Probing {
    pub(super) fn new() -> Self {
        Probing {
            running: None,
            next: None,
            pause: PAUSE,
        }
    }

    /// Whether padding is to be sent now, with an estimate of `target` where `wanted` could be used.
    pub(super) fn is_due(&mut self, now: Instant, target: u64, wanted: u64) -> bool {
        if target >= wanted {
            *self = Probing::new();
            return false;
        }
        if let Some((end, before)) = self.running {
            if now < end {
                return true;
            }
            self.running = None;
            if target as f64 > before as f64 * GAIN {
                self.pause = PAUSE;
            } else {
                self.next = Some(now + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = None;
        self.running = Some((now + PROBE, target));
        true
    }
}

/// The stream to probe with: one that has pictures to send, and an encoding whose demand is known.
pub(super) fn stream_to_pad(outgoing: &[Outgoing], transport: usize, now: Instant) -> Option<Ssrc> {
    let lively = |outgoing: &&Outgoing| {
        outgoing.transport == transport
            && outgoing.demand.is_some()
            && outgoing.stream.config().codec.is_video()
            && outgoing.stream.config().rtx.is_some()
            && outgoing
                .last_frame
                .is_some_and(|(at, _)| now.saturating_duration_since(at) < IDLE)
    };
    let mut streams = outgoing.iter().filter(lively);
    streams.next().map(|outgoing| outgoing.stream.ssrc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_go_on_while_they_bring_something_and_become_rare_when_not() {
        let start = netsim::Network::new(1).now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut probing = Probing::new();
        assert!(!probing.is_due(at(0.0), 900, 800), "there is enough");
        assert!(probing.is_due(at(0.0), 100, 800));
        assert!(probing.is_due(at(0.9), 180, 800));
        assert!(probing.is_due(at(1.1), 200, 800), "it has doubled: go on");
        assert!(!probing.is_due(at(2.2), 200, 800), "nothing more");
        assert!(!probing.is_due(at(7.1), 200, 800));
        assert!(probing.is_due(at(7.3), 200, 800));
        assert!(!probing.is_due(at(8.4), 200, 800));
        assert!(!probing.is_due(at(18.0), 200, 800), "twice as long");
        assert!(probing.is_due(at(18.5), 200, 800));
    }
}
