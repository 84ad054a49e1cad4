//! Video: frames of several packets that depend on each other. A frame with a hole waits for the repair; when that is given
//! up, nothing is delivered until a keyframe, since what follows would be decoded from a picture that is not there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Step, Stream};

/// Without retransmission a hole is only waited for as long as packets overtake each other.
const REORDER_WAIT: Duration = Duration::from_millis(100);
/// A keyframe instead of a repair takes a round trip as well, and is larger.
const ROUND_TRIPS: u32 = 5;
/// Keyframe starts kept in mind.
const MAX_KEYFRAMES: usize = 16;

/// How far the frame at the head is put together.
#[derive(Debug)]
pub(super) struct Assembly {
    /// All packets from the head up to here are there.
    scanned: u64,
    /// The last packet of the frame at the head and when the frame became whole, once it is.
    last: Option<(u64, Instant)>,
    /// The first packets of keyframes in the buffer, with their timestamps, ascending.
    keyframes: VecDeque<(u64, i64)>,
    pub(super) needs_keyframe: bool,
}

impl Assembly {
    pub(super) fn new() -> Self {
        Self {
            scanned: 0,
            last: None,
            keyframes: VecDeque::new(),
            needs_keyframe: true,
        }
    }

    /// The head has moved.
    pub(super) fn head_at(&mut self, head: u64) {
        self.scanned = head;
        self.last = None;
        while self.keyframes.front().is_some_and(|(seq, _)| *seq < head) {
            self.keyframes.pop_front();
        }
    }

    /// A packet at which decoding can begin has come.
    pub(super) fn keyframe_at(&mut self, seq: u64, timestamp: i64) {
        // Several packets of one frame may say so in H.264: the first counts.
        match self
            .keyframes
            .iter_mut()
            .find(|(_, known)| *known == timestamp)
        {
            Some((known, _)) => *known = seq.min(*known),
            None => {
                let index = self.keyframes.partition_point(|(known, _)| *known < seq);
                self.keyframes.insert(index, (seq, timestamp));
                if self.keyframes.len() > MAX_KEYFRAMES {
                    self.keyframes.pop_back();
                }
            }
        }
    }
}

/// How far a frame reaches.
enum Extent {
    Whole {
        last: u64,
    },
    /// A packet is missing, or has yet to come.
    UpTo(u64),
}

impl Stream {
    pub(super) fn step_video(&mut self, now: Instant) -> Step {
        loop {
            let Some(mut head) = self.buffer.head() else {
                return Step::Wait(None);
            };
            if self.assembly.needs_keyframe {
                let Some(&(keyframe, _)) = self.assembly.keyframes.front() else {
                    return Step::Wait(None);
                };
                if keyframe > head {
                    self.skip_to(keyframe);
                    head = keyframe;
                }
            }
            if self.assembly.last.is_none() {
                match self.extent(head, self.assembly.scanned.max(head)) {
                    Extent::Whole { last } => {
                        let whole_at = self.whole_at(head, last);
                        self.assembly.last = Some((last, whole_at));
                        self.observe_frame(head, whole_at);
                    }
                    Extent::UpTo(seq) => self.assembly.scanned = seq,
                }
            }
            if let Some((last, whole_at)) = self.assembly.last {
                match self.whole_frame(now, head, last, whole_at) {
                    Some(step) => return step,
                    None => continue,
                }
            }
            let missing = self.assembly.scanned;
            if missing >= self.buffer.end() {
                return Step::Wait(None);
            }
            if let Some(step) = self.hole(now, missing) {
                return step;
            }
        }
    }

    /// The frame at the head is whole: deliver it when due; `None` when it had to be thrown away.
    fn whole_frame(
        &mut self,
        now: Instant,
        head: u64,
        last: u64,
        whole_at: Instant,
    ) -> Option<Step> {
        let slot = self.buffer.get(head)?;
        if slot.payload.is_empty() {
            // Padding between frames.
            self.move_head(last + 1);
            return None;
        }
        let keyframe = slot.fragment.keyframe;
        if slot.fragment.start == Some(false) || (self.assembly.needs_keyframe && !keyframe) {
            self.stats.frames_dropped += 1;
            self.move_head(last + 1);
            self.lose_picture(now);
            return None;
        }
        let due = self.playout.due(whole_at, slot.timestamp);
        Some(if now >= due {
            Step::Deliver { last, due }
        } else {
            Step::Wait(Some(due))
        })
    }

    /// How long a missing packet is waited for.
    pub(super) fn patience(&self) -> Duration {
        if !self.video {
            self.config.max_wait
        } else if self.config.nack {
            let round_trips = self.nacks.round_trip().unwrap_or_default() * ROUND_TRIPS;
            self.config.max_wait.max(round_trips)
        } else {
            self.config.max_wait.min(REORDER_WAIT)
        }
    }

    /// A packet is missing with later ones present: wait, or go on at a keyframe; `None` when the head has moved.
    fn hole(&mut self, now: Instant, missing: u64) -> Option<Step> {
        let deadline = self
            .nacks
            .missing_since(missing)
            .map(|since| since + self.patience());
        let keyframe = self
            .assembly
            .keyframes
            .iter()
            .find(|(seq, _)| *seq > missing)
            .copied();
        let mut wake = deadline;
        if let Some((seq, timestamp)) = keyframe
            && let Extent::Whole { last } = self.extent(seq, seq)
        {
            // A whole keyframe that is due ends the waiting for what came before it.
            let due = self.playout.due(self.whole_at(seq, last), timestamp);
            if now >= due {
                self.skip_to(seq);
                return None;
            }
            wake = wake.map(|wake| wake.min(due));
        }
        match deadline {
            Some(deadline) if now < deadline => Some(Step::Wait(wake)),
            _ => {
                tracing::debug!(ssrc = self.config.ssrc.0, missing, "gap given up");
                let next = self.buffer.first_from(missing).map(|slot| slot.seq);
                self.skip_to(next.unwrap_or(missing + 1));
                self.lose_picture(now);
                None
            }
        }
    }

    /// The decoder has lost the thread: a keyframe is needed, and asked for unless one is on its way.
    pub(super) fn lose_picture(&mut self, now: Instant) {
        self.assembly.needs_keyframe = true;
        if self.assembly.keyframes.is_empty() {
            self.keyframe.want(now);
        }
    }

    /// How far the frame that begins at `head` reaches, given that all is there up to `from`.
    fn extent(&self, head: u64, from: u64) -> Extent {
        let Some(first) = self.buffer.get(head) else {
            return Extent::UpTo(head);
        };
        for seq in from..self.buffer.end() {
            let Some(slot) = self.buffer.get(seq) else {
                return Extent::UpTo(seq);
            };
            if seq > head && slot.timestamp != first.timestamp {
                return Extent::Whole { last: seq - 1 };
            }
            // Padding of its own time does not belong to a frame.
            if slot.marker || first.payload.is_empty() {
                return Extent::Whole { last: seq };
            }
        }
        Extent::UpTo(self.buffer.end())
    }

    fn whole_at(&self, head: u64, last: u64) -> Instant {
        (head..=last)
            .filter_map(|seq| self.buffer.get(seq))
            .map(|slot| slot.arrival)
            .max()
            .unwrap_or(self.created)
    }

    /// Tells the playout clock of a frame that became whole.
    fn observe_frame(&mut self, head: u64, whole_at: Instant) {
        let Some(timestamp) = self
            .buffer
            .get(head)
            .filter(|slot| !slot.payload.is_empty())
            .map(|slot| slot.timestamp)
        else {
            return;
        };
        self.playout
            .observe(whole_at, timestamp, self.reception.jitter());
    }
}
