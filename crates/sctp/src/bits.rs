//! A ring of bits, one for each TSN of a window: 64 of them are looked at in one step.

use crate::serial::Tsn;

/// Bits addressed by TSN; two TSNs a capacity apart share one, so live TSNs span at most the capacity.
#[derive(Debug, Clone)]
pub(crate) struct BitRing {
    words: Vec<u64>,
}

impl BitRing {
    /// Room for `capacity` TSNs, a power of two of at least 64.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            words: vec![0; (capacity / 64).max(1).next_power_of_two()],
        }
    }

    pub(crate) fn capacity(&self) -> u32 {
        (self.words.len() * 64) as u32
    }

    fn place(&self, tsn: Tsn) -> (usize, u32) {
        let bit = tsn.0 & (self.capacity() - 1);
        ((bit / 64) as usize, bit % 64)
    }

    #[inline]
    pub(crate) fn get(&self, tsn: Tsn) -> bool {
        let (word, bit) = self.place(tsn);
        self.words[word] >> bit & 1 != 0
    }

    #[inline]
    pub(crate) fn set(&mut self, tsn: Tsn) {
        let (word, bit) = self.place(tsn);
        self.words[word] |= 1 << bit;
    }

    #[inline]
    pub(crate) fn clear(&mut self, tsn: Tsn) {
        let (word, bit) = self.place(tsn);
        self.words[word] &= !(1 << bit);
    }

    /// Clears the bits from `from` up to, not including, `end`.
    pub(crate) fn clear_range(&mut self, from: Tsn, end: Tsn) {
        let mut at = from;
        while at.before(end) {
            let (word, bit) = self.place(at);
            let count = end.since(at).min(64 - bit);
            let mask = u64::MAX >> (64 - count) << bit;
            self.words[word] &= !mask;
            at = at.plus(count);
        }
    }

    /// The first TSN with its bit set, from `from` up to, not including, `end`.
    #[inline]
    pub(crate) fn next_set(&self, from: Tsn, end: Tsn) -> Option<Tsn> {
        self.scan(from, end, 0)
    }

    /// The first TSN with its bit clear, from `from` up to, not including, `end`.
    #[inline]
    pub(crate) fn next_clear(&self, from: Tsn, end: Tsn) -> Option<Tsn> {
        self.scan(from, end, u64::MAX)
    }

    #[inline]
    fn scan(&self, from: Tsn, end: Tsn, flip: u64) -> Option<Tsn> {
        let mut at = from;
        while at.before(end) {
            let (word, bit) = self.place(at);
            let rest = (self.words[word] ^ flip) >> bit;
            if rest != 0 {
                let found = at.plus(rest.trailing_zeros());
                return found.before(end).then_some(found);
            }
            at = at.plus(64 - bit);
        }
        None
    }

    /// Makes room for `capacity` TSNs; the live ones lie from `from` up to, not including, `end`.
    pub(crate) fn grow(&mut self, capacity: u32, from: Tsn, end: Tsn) {
        if capacity <= self.capacity() {
            return;
        }
        let mut larger = Self::new(capacity as usize);
        let mut at = from;
        while let Some(tsn) = self.next_set(at, end) {
            larger.set(tsn);
            at = tsn.next();
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_over_words_and_the_wrap() {
        let mut bits = BitRing::new(256);
        let start = Tsn(u32::MAX - 40);
        for n in [3, 64, 65, 130] {
            bits.set(start.plus(n));
        }
        let end = start.plus(200);
        let mut found = Vec::new();
        let mut at = start;
        while let Some(tsn) = bits.next_set(at, end) {
            found.push(tsn.since(start));
            at = tsn.next();
        }
        assert_eq!(found, [3, 64, 65, 130]);
        assert_eq!(bits.next_clear(start.plus(64), end), Some(start.plus(66)));
        bits.grow(1024, start, end);
        assert!(bits.get(start.plus(130)) && !bits.get(start.plus(131)));
        bits.clear_range(start, start.plus(130));
        assert_eq!(bits.next_set(start, end), Some(start.plus(130)));
        assert_eq!(bits.next_set(start, start.plus(130)), None);
    }
}
