//! Which TSNs arrived: the cumulative point, the holes above it, the duplicates (RFC 9260 §6.2).

use crate::bits::BitRing;
use crate::serial::Tsn;

/// Gap blocks reach 65,535 TSNs above the cumulative point.
const MAX_AHEAD: u32 = 65_535;
/// Duplicates remembered for one SACK.
const MAX_DUPLICATES: usize = 32;

/// What a TSN is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Next in order, or filling a hole, or beyond: taken.
    New,
    /// Had it already.
    Duplicate,
    /// Too far ahead to be told of.
    OutOfReach,
}

/// The TSNs that arrived.
#[derive(Debug)]
pub(crate) struct Tsns {
    cumulative: Tsn,
    /// Highest TSN that arrived; the cumulative point where there is no hole.
    highest: Tsn,
    above: BitRing,
    duplicates: Vec<Tsn>,
    duplicate_count: u64,
}

impl Tsns {
    /// The peer's first TSN is `first`.
    pub(crate) fn new(first: Tsn) -> Self {
        Self {
            cumulative: first.minus(1),
            highest: first.minus(1),
            above: BitRing::new(256),
            duplicates: Vec::new(),
            duplicate_count: 0,
        }
    }

    pub(crate) fn cumulative(&self) -> Tsn {
        self.cumulative
    }

    pub(crate) fn highest(&self) -> Tsn {
        self.highest
    }

    pub(crate) fn has_gaps(&self) -> bool {
        self.highest != self.cumulative
    }

    pub(crate) fn duplicates(&self) -> &[Tsn] {
        &self.duplicates
    }

    /// The first `reported` duplicates went out.
    pub(crate) fn duplicates_reported(&mut self, reported: usize) {
        self.duplicates.drain(..reported.min(self.duplicates.len()));
    }

    /// Duplicates ever.
    pub(crate) fn duplicate_count(&self) -> u64 {
        self.duplicate_count
    }

    /// What `tsn` would be, without taking it.
    #[inline]
    pub(crate) fn look(&self, tsn: Tsn) -> Arrival {
        if !tsn.after(self.cumulative) {
            return Arrival::Duplicate;
        }
        if tsn.since(self.cumulative) > MAX_AHEAD {
            return Arrival::OutOfReach;
        }
        if !tsn.after(self.highest) && self.above.get(tsn) {
            return Arrival::Duplicate;
        }
        Arrival::New
    }

    /// Takes a TSN that [`Tsns::look`] called new.
    #[inline]
    pub(crate) fn take(&mut self, tsn: Tsn) {
        if tsn == self.cumulative.next() && !self.has_gaps() {
            self.cumulative = tsn;
            self.highest = tsn;
            return;
        }
        let reach = tsn.since(self.cumulative) + 1;
        if reach > self.above.capacity() {
            let end = self.highest.next();
            self.above
                .grow(reach.next_power_of_two(), self.cumulative.next(), end);
        }
        self.above.set(tsn);
        if tsn.after(self.highest) {
            self.highest = tsn;
        }
        if tsn == self.cumulative.next() {
            self.close_up();
        }
    }

    pub(crate) fn note_duplicate(&mut self, tsn: Tsn) {
        self.duplicate_count += 1;
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
    }

    /// Everything up to `tsn` counts as arrived (RFC 3758 §3.6). At most [`MAX_AHEAD`] further.
    pub(crate) fn forward(&mut self, tsn: Tsn) {
        if !tsn.after(self.cumulative) {
            return;
        }
        if tsn.after(self.highest) {
            self.above
                .clear_range(self.cumulative.next(), self.highest.next());
            self.cumulative = tsn;
            self.highest = tsn;
            return;
        }
        self.above.clear_range(self.cumulative.next(), tsn.next());
        self.cumulative = tsn;
        self.close_up();
    }

    /// Moves the cumulative point over what follows it without a hole.
    fn close_up(&mut self) {
        let from = self.cumulative.next();
        let end = self.highest.next();
        let hole = self.above.next_clear(from, end).unwrap_or(end);
        self.above.clear_range(from, hole);
        self.cumulative = hole.minus(1);
    }

    /// The runs above the cumulative point, as offsets from it.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let end = self.highest.next();
        let mut at = self.cumulative.next();
        std::iter::from_fn(move || {
            let first = self.above.next_set(at, end)?;
            let after = self.above.next_clear(first, end).unwrap_or(end);
            at = after;
            let offset = |tsn: Tsn| tsn.since(self.cumulative) as u16;
            Some((offset(first), offset(after.minus(1))))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receive(tsns: &mut Tsns, tsn: Tsn) {
        match tsns.look(tsn) {
            Arrival::New => tsns.take(tsn),
            Arrival::Duplicate => tsns.note_duplicate(tsn),
            Arrival::OutOfReach => {}
        }
    }

    #[test]
    fn reports_holes_and_duplicates_exactly() {
        let first = Tsn(u32::MAX - 2);
        let mut tsns = Tsns::new(first);
        for n in [0, 1, 4, 5, 8, 5, 1] {
            receive(&mut tsns, first.plus(n));
        }
        assert_eq!(tsns.cumulative(), first.plus(1));
        assert_eq!(tsns.gaps().collect::<Vec<_>>(), [(3, 4), (7, 7)]);
        assert_eq!(tsns.duplicates(), [first.plus(5), first.plus(1)]);
        receive(&mut tsns, first.plus(2));
        receive(&mut tsns, first.plus(3));
        assert_eq!(tsns.cumulative(), first.plus(5));
        assert_eq!(tsns.gaps().collect::<Vec<_>>(), [(3, 3)]);
        tsns.forward(first.plus(7));
        assert_eq!(tsns.cumulative(), first.plus(8));
        assert!(!tsns.has_gaps());
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(offsets in proptest::collection::vec(0u32..700, 1..400)) {
            let first = Tsn(u32::MAX - 300);
            let mut tsns = Tsns::new(first);
            let mut set = std::collections::BTreeSet::new();
            for n in offsets {
                prop_assert_eq!(tsns.look(first.plus(n)) == Arrival::New, set.insert(n));
                receive(&mut tsns, first.plus(n));
            }
            let cumulative = (0..).take_while(|n| set.contains(n)).count() as u32;
            prop_assert_eq!(tsns.cumulative().next().since(first), cumulative);
            let mut reported = std::collections::BTreeSet::new();
            for (from, to) in tsns.gaps() {
                for n in from..=to {
                    reported.insert(cumulative + u32::from(n) - 1);
                }
            }
            let expected: std::collections::BTreeSet<u32> = set.range(cumulative..).copied().collect();
            prop_assert_eq!(reported, expected);
        }
    }
}
