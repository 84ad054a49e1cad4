//! What is remembered of each synchronization source: the highest index and which ones before it were seen.
//!
//! The sources lie in one flat table, their replay windows in another; a small open-addressing index finds them.

use crate::config::ReplayWindow;

/// RTP packets have a 48-bit index, ROC || SEQ (RFC 3711 §3.3.1).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// SRTCP packets have a 31-bit index (RFC 3711 §3.4).
const MAX_RTCP_INDEX: u64 = (1 << 31) - 1;

/// What a window says of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    Seen,
    TooOld,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    ssrc: u32,
    rtp: Option<u64>,
    rtcp: Option<u64>,
    /// The ROC of the next packet, when it was told from outside.
    told_roc: Option<u32>,
}

/// All sources of one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Streams {
    streams: Vec<Stream>,
    /// Windows of RTP and of RTCP, `words` words a source and protocol.
    windows: Vec<u64>,
    words: usize,
    /// How far behind the highest index a packet may be.
    span: u64,
    /// Positions in `streams` plus one, zero for none; a power of two long, at most half full.
    index: Vec<u32>,
    /// The source found last: packets come in bursts.
    last: usize,
    limit: usize,
}

/// Which of a source's two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Rtp = 0,
    Rtcp = 1,
}

impl Streams {
    pub(crate) fn new(window: ReplayWindow, limit: usize) -> Self {
        // One word more than the window: the newest word fills up while the oldest one still counts in part. A power
        // of two, so that finding a word takes no division.
        let whole = (window.packets() as usize).div_ceil(64);
        let words = (whole + 1).next_power_of_two();
        Self {
            streams: Vec::new(),
            windows: Vec::new(),
            words,
            span: 64 * whole as u64,
            index: vec![0; 8],
            last: 0,
            limit,
        }
    }

    #[inline]
    pub(crate) fn find(&self, ssrc: u32) -> Option<usize> {
        if self
            .streams
            .get(self.last)
            .is_some_and(|stream| stream.ssrc == ssrc)
        {
            return Some(self.last);
        }
        let mask = self.index.len() - 1;
        let mut slot = hash(ssrc) & mask;
        loop {
            match self.index.get(slot).copied() {
                Some(0) | None => return None,
                Some(position) => {
                    let position = position as usize - 1;
                    if self
                        .streams
                        .get(position)
                        .is_some_and(|stream| stream.ssrc == ssrc)
                    {
                        return Some(position);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Whether nothing is known of a source's RTP packets.
    pub(crate) fn is_unheard(&self, position: Option<usize>) -> bool {
        position
            .and_then(|position| self.streams.get(position))
            .is_none_or(|stream| stream.rtp.is_none() && stream.told_roc.is_none())
    }

    /// Whether one more source fits.
    pub(crate) fn has_room(&self) -> bool {
        self.streams.len() < self.limit
    }

    /// The position of a source: the one it was found at, or a new one.
    pub(crate) fn found_or_inserted(&mut self, position: Option<usize>, ssrc: u32) -> usize {
        match position {
            Some(position) => {
                self.last = position;
                position
            }
            None => self.insert(ssrc),
        }
    }

    /// The position of a source, which is added if it is new.
    pub(crate) fn insert(&mut self, ssrc: u32) -> usize {
        if let Some(position) = self.find(ssrc) {
            self.last = position;
            return position;
        }
        let position = self.streams.len();
        self.streams.push(Stream {
            ssrc,
            rtp: None,
            rtcp: None,
            told_roc: None,
        });
        self.windows.resize(self.windows.len() + 2 * self.words, 0);
        if 2 * self.streams.len() > self.index.len() {
            self.index = vec![0; 2 * self.index.len()];
            for position in 0..self.streams.len() {
                self.place(position);
            }
        } else {
            self.place(position);
        }
        self.last = position;
        position
    }

    fn place(&mut self, position: usize) {
        let mask = self.index.len() - 1;
        let mut slot = hash(self.streams[position].ssrc) & mask;
        while self.index[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.index[slot] = position as u32 + 1;
    }

    /// The index of an RTP packet: the one nearest to the highest seen (RFC 3711 §3.3.1, appendix A). For a source that is
    /// new, its ROC is zero unless it was told. `None` when the indices are used up.
    #[inline]
    pub(crate) fn estimate(&self, position: Option<usize>, seq: u16) -> Option<u64> {
        let stream = position.and_then(|position| self.streams.get(position));
        let told = stream.and_then(|stream| stream.told_roc);
        let Some(highest) = stream
            .and_then(|stream| stream.rtp)
            .filter(|_| told.is_none())
        else {
            return Some(u64::from(told.unwrap_or(0)) << 16 | u64::from(seq));
        };
        let roc = highest >> 16;
        let top = highest as u16;
        let roc = if top < 0x8000 {
            // The packet is from before the last wrap, unless there was none.
            if seq > top && seq - top > 0x8000 {
                roc.saturating_sub(1)
            } else {
                roc
            }
        } else if top - 0x8000 > seq {
            roc + 1
        } else {
            roc
        };
        let index = roc << 16 | u64::from(seq);
        (index <= MAX_RTP_INDEX).then_some(index)
    }

    /// Whether an index is new (RFC 3711 §3.3.2). Changes nothing.
    #[inline]
    pub(crate) fn check(
        &self,
        position: Option<usize>,
        protocol: Protocol,
        index: u64,
    ) -> Freshness {
        let Some(position) = position else {
            return Freshness::Fresh;
        };
        let Some(highest) = self.highest(position, protocol) else {
            return Freshness::Fresh;
        };
        if index > highest {
            return Freshness::Fresh;
        }
        if highest - index >= self.span {
            return Freshness::TooOld;
        }
        let (word, bit) = self.bit(position, protocol, index);
        if self.windows.get(word).is_some_and(|word| word & bit != 0) {
            Freshness::Seen
        } else {
            Freshness::Fresh
        }
    }

    /// Notes an authenticated index.
    #[inline]
    pub(crate) fn commit(&mut self, position: usize, protocol: Protocol, index: u64) {
        let highest = self.highest(position, protocol);
        if highest.is_none_or(|highest| index > highest) {
            // Words between the old and the new highest index start empty.
            let (old, new) = (highest.map_or(0, |highest| highest / 64), index / 64);
            let steps = if highest.is_none() {
                self.words as u64
            } else {
                (new - old).min(self.words as u64)
            };
            for step in 0..steps {
                let (word, _) = self.bit(position, protocol, 64 * (new - step.min(new)));
                self.windows[word] = 0;
            }
            let stream = &mut self.streams[position];
            match protocol {
                Protocol::Rtp => stream.rtp = Some(index),
                Protocol::Rtcp => stream.rtcp = Some(index),
            }
        }
        if protocol == Protocol::Rtp {
            self.streams[position].told_roc = None;
        }
        let (word, bit) = self.bit(position, protocol, index);
        self.windows[word] |= bit;
    }

    /// The index of the next SRTCP packet to send, `None` when they are used up.
    pub(crate) fn next_rtcp(&self, position: Option<usize>) -> Option<u32> {
        let highest = position.and_then(|position| self.highest(position, Protocol::Rtcp));
        let next = highest.map_or(0, |highest| highest + 1);
        (next <= MAX_RTCP_INDEX).then_some(next as u32)
    }

    /// Sets the ROC of a source's next packet. Its window starts anew with that packet.
    pub(crate) fn tell_roc(&mut self, position: usize, roc: u32) {
        self.streams[position].told_roc = Some(roc);
        self.streams[position].rtp = None;
    }

    /// SSRC, highest RTP index and highest SRTCP index of every source.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Option<u64>, Option<u64>)> + '_ {
        self.streams
            .iter()
            .map(|stream| (stream.ssrc, stream.rtp, stream.rtcp))
    }

    #[inline]
    fn highest(&self, position: usize, protocol: Protocol) -> Option<u64> {
        let stream = self.streams.get(position)?;
        match protocol {
            Protocol::Rtp => stream.rtp,
            Protocol::Rtcp => stream.rtcp,
        }
    }

    /// The word and the bit of an index: the words are a ring (as in RFC 6479).
    #[inline]
    fn bit(&self, position: usize, protocol: Protocol, index: u64) -> (usize, u64) {
        let ring = (index / 64) as usize & (self.words - 1);
        let word = (2 * position + protocol as usize) * self.words + ring;
        (word, 1 << (index % 64))
    }
}

/// Fibonacci hashing: SSRCs are random already, but a peer chooses them.
fn hash(ssrc: u32) -> usize {
    (ssrc.wrapping_mul(0x9e37_79b1) >> 8) as usize
}
