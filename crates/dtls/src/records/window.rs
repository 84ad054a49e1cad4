//! Which record numbers have been seen (RFC 6347 §4.1.2.6, RFC 9147 §4.5.1).

const WORDS: u64 = 16;

/// A ring of bits behind the newest number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Window {
    /// One more than the highest number seen.
    next: u64,
    seen: [u64; WORDS as usize],
}

impl Window {
    /// How far back it reaches: the ring without the part of a word that the newest number may not have entered yet.
    pub(crate) const SIZE: u64 = 64 * (WORDS - 1);

    /// One more than the highest number seen.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether a number is neither seen nor too old.
    #[inline]
    pub(crate) fn is_fresh(&self, number: u64) -> bool {
        if number >= self.next {
            return true;
        }
        self.next - number <= Self::SIZE && self.seen[word(number)] >> (number % 64) & 1 == 0
    }

    /// Notes a fresh number whose record was authentic.
    #[inline]
    pub(crate) fn commit(&mut self, number: u64) {
        if number >= self.next {
            // The words entered since the last number start empty.
            let first = self.next.div_ceil(64);
            let last = number / 64;
            for entered in first.max(last.saturating_sub(WORDS - 1))..=last {
                self.seen[(entered % WORDS) as usize] = 0;
            }
            self.next = number.saturating_add(1);
        }
        self.seen[word(number)] |= 1 << (number % 64);
    }
}

#[inline]
fn word(number: u64) -> usize {
    (number / 64 % WORDS) as usize
}

/// The full number closest to `expected` that ends in these bits (RFC 9147 §4.2.2).
#[inline]
pub(crate) fn reconstruct(expected: u64, low: u64, bits: u32) -> u64 {
    let span = 1 << bits;
    let candidate = expected & !(span - 1) | low;
    if candidate + span / 2 < expected {
        candidate + span
    } else if candidate > expected + span / 2 && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn the_window_does_what_a_set_of_all_numbers_would() {
        let mut rng = StdRng::seed_from_u64(1);
        for spread in [3, 70, 1000, 3000] {
            let mut window = Window::default();
            let mut seen = BTreeSet::new();
            let mut newest = 0u64;
            for _ in 0..20_000 {
                let number = (newest + rng.random_range(0..spread))
                    .saturating_sub(rng.random_range(0..spread));
                let next = seen.last().map_or(0, |last| last + 1);
                let fresh =
                    number >= next || next - number <= Window::SIZE && !seen.contains(&number);
                assert_eq!(window.is_fresh(number), fresh, "{number} after {next}");
                if fresh {
                    window.commit(number);
                    seen.insert(number);
                }
                newest = newest.max(number);
            }
            assert_eq!(window.next(), seen.last().unwrap() + 1);
        }
    }

    #[test]
    fn numbers_are_reconstructed_to_the_closest() {
        for bits in [8, 16] {
            let span = 1u64 << bits;
            for expected in [0, 1, span / 2, span - 1, span, 5 * span + 3, 7 * span - 1] {
                let lowest = expected.saturating_sub(span / 2 - 1);
                for number in [
                    lowest,
                    expected,
                    expected + 1,
                    expected + span / 2 - 1,
                    (lowest + expected) / 2,
                ] {
                    assert_eq!(
                        reconstruct(expected, number % span, bits),
                        number,
                        "{expected} {bits}"
                    );
                }
            }
        }
    }
}
