//! Audio: each packet is a frame, and what does not come in time is concealed.

use std::time::Instant;

use super::{Step, Stream};

impl Stream {
    pub(super) fn step_audio(&mut self, now: Instant) -> Step {
        loop {
            let Some(head) = self.buffer.head() else {
                return Step::Wait(None);
            };
            if let Some(slot) = self.buffer.get(head) {
                if slot.payload.is_empty() {
                    self.buffer.drop_before(head + 1);
                    continue;
                }
                let due = self.playout.due(slot.arrival, slot.timestamp);
                return if now >= due {
                    Step::Deliver { last: head, due }
                } else {
                    Step::Wait(Some(due))
                };
            }
            // The head is missing: it may come until the next packet present is due.
            let Some(next) = self.buffer.first_from(head) else {
                return Step::Wait(None);
            };
            let deadline = if self.playout.immediate() {
                next.arrival + self.config.max_wait
            } else {
                self.playout.due(next.arrival, next.timestamp)
            };
            if now < deadline {
                return Step::Wait(Some(deadline));
            }
            let next = next.seq;
            self.skip_to(next);
        }
    }
}
