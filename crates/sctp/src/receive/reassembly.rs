//! Fragments to messages.
//!
//! What arrived of an incomplete message is kept as runs of consecutive fragments, each in one buffer, sorted by
//! where they belong: a fragment in order is appended to the last run; one that fills a hole joins two. Positions
//! are TSNs for DATA, whose fragments have consecutive TSNs, and fragment numbers within their message for I-DATA.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Where fragments can be neighbours at all: one space for DATA, one a message for I-DATA.
pub(crate) type Space = u64;

/// A fragment of a message that is in several chunks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment {
    pub(crate) space: Space,
    pub(crate) position: u64,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    /// SSN or MID.
    pub(crate) number: u32,
    pub(crate) ppid: u32,
}

/// A complete message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    pub(crate) number: u32,
    pub(crate) ppid: u32,
    pub(crate) payload: Bytes,
}

/// Consecutive fragments.
#[derive(Debug)]
struct Run {
    space: Space,
    first: u64,
    last: u64,
    begins: bool,
    ends: bool,
    stream: u16,
    unordered: bool,
    number: u32,
    ppid: u32,
    body: Body,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It completed a message.
    Complete(Whole),
    /// It waits for others.
    Stored,
    /// It contradicts what is here.
    Contradiction,
}

/// Incomplete messages.
#[derive(Debug, Default)]
pub(crate) struct Reassembly {
    runs: VecDeque<Run>,
    buffers: Buffers,
    bytes: usize,
}

impl Reassembly {
    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of runs.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.runs.len()
    }

    /// Takes a fragment in.
    #[inline]
    pub(crate) fn insert(&mut self, fragment: &Fragment, payload: &[u8]) -> Outcome {
        let key = (fragment.space, fragment.position);
        let at = match self.runs.back() {
            Some(run) if (run.space, run.first) > key => self
                .runs
                .partition_point(|run| (run.space, run.first) <= key),
            _ => self.runs.len(),
        };
        let left = at.checked_sub(1).filter(|&i| {
            let run = &self.runs[i];
            run.space == fragment.space && run.last >= fragment.position.saturating_sub(1)
        });
        if let Some(left) = left {
            let run = &self.runs[left];
            if run.last >= fragment.position {
                return Outcome::Contradiction;
            }
            if !run.ends && !fragment.begins {
                return self.append(left, fragment, payload);
            }
            if !run.ends && fragment.begins && fragment.space != 0 {
                return Outcome::Contradiction;
            }
        }
        let mut body = self.buffers.take(payload.len());
        body.bytes.extend_from_slice(payload);
        self.bytes += payload.len();
        self.runs.insert(
            at,
            Run {
                space: fragment.space,
                first: fragment.position,
                last: fragment.position,
                begins: fragment.begins,
                ends: fragment.ends,
                stream: fragment.stream,
                unordered: fragment.unordered,
                number: fragment.number,
                ppid: fragment.ppid,
                body,
            },
        );
        self.join_right(at)
    }

    #[inline]
    fn append(&mut self, left: usize, fragment: &Fragment, payload: &[u8]) -> Outcome {
        let run = &mut self.runs[left];
        if run.stream != fragment.stream
            || run.unordered != fragment.unordered
            || (!run.unordered && run.number != fragment.number)
        {
            return Outcome::Contradiction;
        }
        run.body.bytes.extend_from_slice(payload);
        run.last = fragment.position;
        run.ends = fragment.ends;
        self.bytes += payload.len();
        self.join_right(left)
    }

    /// Joins the run at `at` with the next one where they touch, and hands out a complete message.
    fn join_right(&mut self, at: usize) -> Outcome {
        let run = &self.runs[at];
        if let Some(right) = self.runs.get(at + 1)
            && right.space == run.space
            && right.first == run.last + 1
            && !right.begins
            && !run.ends
            && right.stream == run.stream
        {
            let Some(mut right) = self.runs.remove(at + 1) else {
                return Outcome::Stored;
            };
            let run = &mut self.runs[at];
            run.body.bytes.extend_from_slice(&right.body.bytes);
            run.last = right.last;
            run.ends = right.ends;
            right.body.bytes.clear();
            self.buffers.give(right.body);
        }
        let run = &self.runs[at];
        if !(run.begins && run.ends) {
            return Outcome::Stored;
        }
        let Some(mut run) = self.runs.remove(at) else {
            return Outcome::Stored;
        };
        let payload = run.body.bytes.split().freeze();
        self.bytes -= payload.len();
        self.buffers.give(run.body);
        Outcome::Complete(Whole {
            stream: run.stream,
            unordered: run.unordered,
            number: run.number,
            ppid: run.ppid,
            payload,
        })
    }

    /// Size of the largest incomplete message's largest run.
    pub(crate) fn largest(&self, space: Space, position: u64) -> usize {
        self.runs
            .iter()
            .rev()
            .find(|run| run.space == space && run.first <= position && run.last >= position)
            .map_or(0, |run| run.body.bytes.len())
    }

    /// Everything up to a position that is not here was given up: drops the fragments that miss some of it. A message
    /// that goes on beyond the position stays.
    pub(crate) fn skip_to(&mut self, position: u64) {
        self.drop_where(|run| {
            let start_skipped = !run.begins && run.first <= position + 1;
            let rest_skipped = !run.ends && run.last < position;
            run.space == 0 && (start_skipped || rest_skipped)
        });
    }

    /// Drops what is incomplete on a stream and matches.
    pub(crate) fn drop_messages(&mut self, stream: u16, matches: impl Fn(bool, u32) -> bool) {
        self.drop_where(|run| run.stream == stream && matches(run.unordered, run.number));
    }

    fn drop_where(&mut self, condition: impl Fn(&Run) -> bool) {
        let Self {
            runs,
            buffers,
            bytes,
        } = self;
        runs.retain_mut(|run| {
            if !condition(run) {
                return true;
            }
            *bytes -= run.body.bytes.len();
            let mut body = std::mem::take(&mut run.body);
            body.bytes.clear();
            buffers.give(body);
            false
        });
    }
}

/// A buffer and how much it can hold when it is whole.
#[derive(Debug, Default)]
struct Body {
    bytes: BytesMut,
    capacity: usize,
}

/// Buffers of messages that were handed out: used again as soon as the application has let go of them.
#[derive(Debug, Default)]
struct Buffers {
    idle: VecDeque<Body>,
}

impl Buffers {
    const MOST: usize = 64;
    const LARGEST: usize = 256 * 1024;
    const SMALLEST: usize = 4 * 1024;

    fn take(&mut self, size: usize) -> Body {
        // The oldest was handed out first, and is the likeliest to be free.
        for _ in 0..self.idle.len().min(4) {
            let Some(mut body) = self.idle.pop_front() else {
                break;
            };
            if body.bytes.try_reclaim(body.capacity) {
                return body;
            }
            self.idle.push_back(body);
        }
        let capacity = (size * 2).max(Self::SMALLEST);
        Body {
            bytes: BytesMut::with_capacity(capacity),
            capacity,
        }
    }

    fn give(&mut self, mut body: Body) {
        body.capacity = body.capacity.max(body.bytes.capacity());
        if body.capacity <= Self::LARGEST && self.idle.len() < Self::MOST {
            self.idle.push_back(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(position: u64, begins: bool, ends: bool) -> Fragment {
        Fragment {
            space: 0,
            position,
            begins,
            ends,
            stream: 1,
            unordered: false,
            number: 7,
            ppid: 51,
        }
    }

    #[test]
    fn every_order_of_five_fragments_gives_the_message() {
        fn permute(items: &mut Vec<u64>, k: usize, all: &mut Vec<Vec<u64>>) {
            if k == items.len() {
                all.push(items.clone());
                return;
            }
            for i in k..items.len() {
                items.swap(k, i);
                permute(items, k + 1, all);
                items.swap(k, i);
            }
        }
        let mut orders = Vec::new();
        permute(&mut vec![0, 1, 2, 3, 4], 0, &mut orders);
        assert_eq!(orders.len(), 120);
        let mut reassembly = Reassembly::default();
        for order in orders {
            for (n, position) in order.iter().enumerate() {
                let fragment = fragment(10 + position, *position == 0, *position == 4);
                let outcome = reassembly.insert(&fragment, &[b'a' + *position as u8; 3]);
                if n < 4 {
                    assert_eq!(outcome, Outcome::Stored);
                } else {
                    let Outcome::Complete(whole) = outcome else {
                        panic!("not complete after {order:?}");
                    };
                    assert_eq!(&whole.payload[..], b"aaabbbcccdddeee");
                }
            }
            assert_eq!((reassembly.bytes(), reassembly.len()), (0, 0));
        }
    }

    #[test]
    fn neighbouring_messages_do_not_mix() {
        let mut reassembly = Reassembly::default();
        // End of one message and beginning of the next, both incomplete.
        assert_eq!(
            reassembly.insert(&fragment(5, false, true), b"z"),
            Outcome::Stored
        );
        assert_eq!(
            reassembly.insert(&fragment(6, true, false), b"a"),
            Outcome::Stored
        );
        assert_eq!(reassembly.len(), 2);
        let Outcome::Complete(whole) = reassembly.insert(&fragment(7, false, true), b"b") else {
            panic!("incomplete");
        };
        assert_eq!(&whole.payload[..], b"ab");
        reassembly.skip_to(5);
        assert_eq!(reassembly.bytes(), 0);
        // Acknowledged up to here, and going on: not what the sender gave up.
        assert_eq!(
            reassembly.insert(&fragment(20, true, false), b"c"),
            Outcome::Stored
        );
        reassembly.skip_to(20);
        assert_eq!(reassembly.len(), 1);
        reassembly.skip_to(21);
        assert_eq!(reassembly.len(), 0);
    }

    #[test]
    fn buffers_are_used_again_once_the_application_lets_go() {
        let mut reassembly = Reassembly::default();
        let mut address = None;
        for n in 0..10 {
            let big = vec![1; 1000];
            let _ = reassembly.insert(&fragment(n * 2, true, false), &big);
            let Outcome::Complete(whole) =
                reassembly.insert(&fragment(n * 2 + 1, false, true), &big)
            else {
                panic!("incomplete");
            };
            let here = whole.payload.as_ptr();
            assert_eq!(*address.get_or_insert(here), here);
        }
    }
}
