//! Lets packets leave one after another at a rate, instead of a frame's all at once.
//!
//! [`Pacer`] is a leaky bucket that says when the next packet may leave; streams keep their own queues and ask it.
//! [`Queue`] adds queues by priority for those who have none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Bitrate;

/// What leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Never held back, but counted: its rate is small and its delay is heard.
    Audio,
    /// A packet the receiver waits for.
    Retransmission,
    /// Everything else with content.
    Video,
    /// Only when nothing else has to leave.
    Padding,
}

impl Priority {
    /// All, first to last.
    pub const ALL: [Self; 4] = [
        Self::Audio,
        Self::Retransmission,
        Self::Video,
        Self::Padding,
    ];
}

/// A leaky bucket.
#[derive(Clone, Debug)]
pub struct Pacer {
    rate: Bitrate,
    /// How far ahead of its rate the bucket may run: packets that leave together in one system call.
    burst: Duration,
    /// When all that was admitted will have drained at the rate.
    drained: Option<Instant>,
    /// When the packet refused last may leave.
    retry: Option<Instant>,
}

impl Pacer {
    /// A bucket that drains at `rate`. A burst of 5 ms needs few timers and is no burden to any queue on the way.
    pub fn new(rate: Bitrate, burst: Duration) -> Self {
        Self {
            rate,
            burst,
            drained: None,
            retry: None,
        }
    }

    /// Changes the rate; what was admitted before keeps its time.
    pub fn set_rate(&mut self, rate: Bitrate) {
        self.rate = rate;
    }

    /// The rate.
    pub fn rate(&self) -> Bitrate {
        self.rate
    }

    /// Whether a packet may leave now. If so, it counts as sent; if not, [`poll_timeout`](Self::poll_timeout) tells when to ask again.
    ///
    /// Ask in the order of [`Priority`]: a refusal holds for all that comes after.
    pub fn admit(&mut self, now: Instant, priority: Priority, size: usize) -> bool {
        let drained = self.drained.map_or(now, |drained| drained.max(now));
        let ahead = drained - now;
        let admitted = match priority {
            Priority::Audio => true,
            Priority::Retransmission | Priority::Video => ahead < self.burst,
            Priority::Padding => ahead.is_zero(),
        };
        if admitted {
            self.drained = Some(drained + self.rate.time_for(size));
            self.retry = None;
        } else {
            let slack = if priority == Priority::Padding {
                Duration::ZERO
            } else {
                self.burst / 2
            };
            self.retry = Some(drained.checked_sub(slack).unwrap_or(drained).max(now));
        }
        admitted
    }

    /// The time to ask again has come; asking is the caller's.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.retry.is_some_and(|retry| now >= retry) {
            self.retry = None;
        }
    }

    /// When to ask again for the packet that was refused; `None` when none was.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.retry
    }
}

/// Packets that wait, by priority.
#[derive(Debug)]
pub struct Queue<T> {
    pacer: Pacer,
    /// What the bucket drains at when little waits.
    rate: Bitrate,
    queues: [VecDeque<(usize, T)>; 4],
    bytes: usize,
    max_time: Duration,
}

impl<T> Queue<T> {
    /// An empty queue. When more waits than drains in `max_time`, the rate rises until it does: delay would be worse.
    pub fn new(rate: Bitrate, burst: Duration, max_time: Duration) -> Self {
        Self {
            pacer: Pacer::new(rate, burst),
            rate,
            queues: Default::default(),
            bytes: 0,
            max_time,
        }
    }

    /// Changes the rate.
    pub fn set_rate(&mut self, rate: Bitrate) {
        self.rate = rate;
        self.adapt();
    }

    fn adapt(&mut self) {
        let needed = Bitrate::of(self.bytes as u64, self.max_time);
        self.pacer.set_rate(self.rate.max(needed));
    }

    /// Adds a packet.
    pub fn push(&mut self, priority: Priority, size: usize, packet: T) {
        if let Some(queue) = self.queues.get_mut(priority as usize) {
            queue.push_back((size, packet));
            self.bytes += size;
        }
        self.adapt();
    }

    /// The next packet that may leave now.
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        for (priority, queue) in Priority::ALL.into_iter().zip(&mut self.queues) {
            let Some(&(size, _)) = queue.front() else {
                continue;
            };
            if !self.pacer.admit(now, priority, size) {
                return None;
            }
            self.bytes -= size;
            let packet = queue.pop_front().map(|(_, packet)| packet);
            self.adapt();
            return packet;
        }
        self.pacer.retry = None;
        None
    }

    /// When to poll again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pacer.poll_timeout()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "one base for the simulated clock"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_of_packets_leaves_at_the_rate() {
        let now = start();
        let mut queue = Queue::new(Bitrate::from_kbps(960), 5 * MS, Duration::from_secs(2));
        for index in 0..100 {
            queue.push(Priority::Video, 1200, index);
        }
        let mut times = Vec::new();
        let mut moment = now;
        while times.len() < 100 {
            while let Some(index) = queue.poll(moment) {
                assert_eq!(index, times.len());
                times.push(moment - now);
            }
            if let Some(next) = queue.poll_timeout() {
                assert!(next > moment);
                moment = next;
            }
        }
        // 1,200 bytes take 10 ms at 960 kbit/s.
        assert!(
            times[99] >= 970 * MS && times[99] <= 1000 * MS,
            "{:?}",
            times[99]
        );
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 11 * MS));
        assert_eq!((queue.bytes(), queue.poll_timeout()), (0, None));
    }

    #[test]
    fn priorities_leave_in_their_order() {
        let now = start();
        let mut queue = Queue::new(Bitrate::from_kbps(1000), 5 * MS, Duration::from_secs(2));
        queue.push(Priority::Padding, 200, "padding");
        queue.push(Priority::Video, 200, "video");
        queue.push(Priority::Retransmission, 200, "retransmission");
        queue.push(Priority::Audio, 200, "audio");
        let mut order = Vec::new();
        let mut moment = now;
        while order.len() < 4 {
            match queue.poll(moment) {
                Some(packet) => order.push(packet),
                None => moment = queue.poll_timeout().unwrap(),
            }
        }
        assert_eq!(order, ["audio", "retransmission", "video", "padding"]);
        assert!(moment > now);
    }

    #[test]
    fn audio_is_never_held_back_but_counted() {
        let now = start();
        let mut pacer = Pacer::new(Bitrate::from_kbps(80), 5 * MS);
        for _ in 0..10 {
            assert!(pacer.admit(now, Priority::Audio, 100));
        }
        // 1,000 bytes at 80 kbit/s are 100 ms, which video has to wait for.
        assert!(!pacer.admit(now, Priority::Video, 1000));
        let next = pacer.poll_timeout().unwrap();
        assert!(next >= now + 95 * MS);
        assert!(pacer.admit(next, Priority::Video, 1000));
    }

    #[test]
    fn a_long_queue_drains_faster_than_the_rate() {
        let now = start();
        let mut queue = Queue::new(Bitrate::from_kbps(100), 5 * MS, 500 * MS);
        for index in 0..100 {
            queue.push(Priority::Video, 1000, index);
        }
        let mut moment = now;
        let mut left = 100;
        while left > 50 {
            match queue.poll(moment) {
                Some(_) => left -= 1,
                None => moment = queue.poll_timeout().unwrap(),
            }
        }
        // Half of it within some 350 ms: each packet that leaves lets the rate sink a little.
        assert!(moment - now < 450 * MS, "{:?}", moment - now);
    }

    #[test]
    fn time_without_packets_is_not_saved_up() {
        let now = start();
        let mut pacer = Pacer::new(Bitrate::from_kbps(960), 5 * MS);
        assert!(pacer.admit(now, Priority::Video, 1200));
        let later = now + Duration::from_secs(10);
        assert!(pacer.admit(later, Priority::Video, 1200));
        assert!(!pacer.admit(later, Priority::Video, 1200));
    }
}
