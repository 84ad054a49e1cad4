//! Which of the last packets came already.

/// A bit for each of the newest 4,096 sequence numbers.
#[derive(Debug)]
pub(super) struct Window {
    bits: Box<[u64; Self::WORDS]>,
    newest: Option<u64>,
}

impl Window {
    const WORDS: usize = 64;
    const SPAN: u64 = Self::WORDS as u64 * 64;

    pub(super) fn new() -> Self {
        Self {
            bits: Box::new([0; Self::WORDS]),
            newest: None,
        }
    }

    /// Takes note of a number; `false` when it came before, or is too old to tell.
    pub(super) fn admit(&mut self, seq: u64) -> bool {
        let newest = *self.newest.get_or_insert(seq);
        if seq > newest {
            for gone in newest + 1..seq.min(newest + Self::SPAN + 1) {
                self.set(gone, false);
            }
            self.newest = Some(seq);
        } else if newest - seq >= Self::SPAN || self.is_set(seq) {
            return false;
        }
        self.set(seq, true);
        true
    }

    fn is_set(&self, seq: u64) -> bool {
        self.bits
            .get((seq / 64) as usize % Self::WORDS)
            .is_some_and(|word| word & (1 << (seq % 64)) != 0)
    }

    fn set(&mut self, seq: u64, value: bool) {
        if let Some(word) = self.bits.get_mut((seq / 64) as usize % Self::WORDS) {
            *word &= !(1 << (seq % 64));
            *word |= u64::from(value) << (seq % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_admitted_once() {
        let mut window = Window::new();
        for seq in [100_000, 100_002, 100_001, 104_000, 103_999] {
            assert!(window.admit(seq), "{seq}");
            assert!(!window.admit(seq), "{seq}");
        }
        assert!(!window.admit(99_000));
        // A jump beyond the window forgets what was before.
        assert!(window.admit(200_000));
        assert!(window.admit(199_999));
        assert!(!window.admit(104_000));
    }
}
