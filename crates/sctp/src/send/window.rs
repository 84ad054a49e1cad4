//! The chunks sent and not yet cumulatively acknowledged: a ring indexed by TSN.

use super::message::MessageKey;
use crate::bits::BitRing;
use crate::serial::Tsn;

/// Gap blocks count TSNs in 16 bits, so more than this cannot be outstanding (RFC 9260 §3.3.4).
pub(crate) const MAX_OUTSTANDING: u32 = 65_000;
const NONE: u32 = u32::MAX;

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Sent, no news.
    InFlight,
    /// Acknowledged by a gap block.
    Acked,
    /// To be sent again.
    Lost,
    /// Given up, to be skipped by FORWARD-TSN.
    Abandoned,
}

/// A chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) message: MessageKey,
    pub(crate) offset: u32,
    pub(crate) fsn: u32,
    pub(crate) length: u16,
    /// Times sent.
    pub(crate) transmissions: u8,
    pub(crate) flags: u8,
    pub(crate) fate: Fate,
    /// When it was last sent, in nanoseconds.
    pub(crate) sent_at: u64,
    /// Neighbours in the order of `sent_at`, as TSNs.
    older: u32,
    newer: u32,
}

impl Sent {
    pub(crate) fn new(message: MessageKey, offset: u32, fsn: u32, length: u16, flags: u8) -> Self {
        Self {
            message,
            offset,
            fsn,
            length,
            transmissions: 0,
            flags,
            fate: Fate::InFlight,
            sent_at: 0,
            older: NONE,
            newer: NONE,
        }
    }
}

/// The window. TSNs from `base` up to, not including, `next`.
#[derive(Debug)]
pub(crate) struct Window {
    ring: Vec<Sent>,
    base: Tsn,
    next: Tsn,
    acked: BitRing,
    lost: BitRing,
    lost_count: u32,
    acked_count: u32,
    /// No lost chunk lies before.
    lost_from: Tsn,
    /// Oldest and newest in flight by sending time, as offsets into the ring.
    oldest: u32,
    newest: u32,
    in_flight: u32,
    /// Bytes in flight, chunk headers and padding included.
    flight: usize,
    /// User bytes in flight.
    flight_payload: usize,
    header: usize,
}

impl Window {
    pub(crate) fn new(first: Tsn) -> Self {
        const START: usize = 16;
        Self {
            ring: vec![Sent::new(0, 0, 0, 0, 0); START],
            base: first,
            next: first,
            acked: BitRing::new(START),
            lost: BitRing::new(START),
            lost_count: 0,
            acked_count: 0,
            lost_from: first,
            oldest: NONE,
            newest: NONE,
            in_flight: 0,
            flight: 0,
            flight_payload: 0,
            header: crate::wire::data::DATA_HEADER,
        }
    }

    /// The size of a chunk's header, settled by the handshake.
    pub(crate) fn set_header(&mut self, header: usize) {
        self.header = header;
    }

    pub(crate) fn base(&self) -> Tsn {
        self.base
    }

    pub(crate) fn next(&self) -> Tsn {
        self.next
    }

    pub(crate) fn len(&self) -> u32 {
        self.next.since(self.base)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.base == self.next
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= MAX_OUTSTANDING
    }

    pub(crate) fn flight(&self) -> usize {
        self.flight
    }

    pub(crate) fn flight_payload(&self) -> usize {
        self.flight_payload
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(crate) fn lost_count(&self) -> u32 {
        self.lost_count
    }

    fn index(&self, tsn: Tsn) -> usize {
        (tsn.0 as usize) & (self.ring.len() - 1)
    }

    #[inline]
    pub(crate) fn get(&self, tsn: Tsn) -> &Sent {
        &self.ring[self.index(tsn)]
    }

    #[inline]
    fn get_mut(&mut self, tsn: Tsn) -> &mut Sent {
        let index = self.index(tsn);
        &mut self.ring[index]
    }

    /// Chunks acknowledged by gap blocks.
    pub(crate) fn acked_count(&self) -> u32 {
        self.acked_count
    }

    /// The first TSN in a range that is not gap-acknowledged.
    #[inline]
    pub(crate) fn next_unacked(&self, from: Tsn, end: Tsn) -> Option<Tsn> {
        self.acked.next_clear(from, end)
    }

    /// The first TSN in a range that is gap-acknowledged.
    #[inline]
    pub(crate) fn next_acked(&self, from: Tsn, end: Tsn) -> Option<Tsn> {
        self.acked.next_set(from, end)
    }

    /// The lowest TSN to send again.
    pub(crate) fn next_lost(&self) -> Option<Tsn> {
        if self.lost_count == 0 {
            return None;
        }
        self.lost.next_set(self.lost_from, self.next)
    }

    /// The chunk in flight that was sent the longest ago.
    pub(crate) fn oldest(&self) -> Option<Tsn> {
        (self.oldest != NONE).then(|| self.tsn_of(self.oldest))
    }

    /// The chunk sent next after this one, of those in flight.
    #[cfg(test)]
    fn sent_after(&self, tsn: Tsn) -> Option<Tsn> {
        let newer = self.get(tsn).newer;
        (newer != NONE).then(|| self.tsn_of(newer))
    }

    /// The TSN in the window of a place in the ring.
    fn tsn_of(&self, place: u32) -> Tsn {
        let mask = self.ring.len() as u32 - 1;
        self.base.plus(place.wrapping_sub(self.base.0) & mask)
    }

    fn on_wire(&self, length: u16) -> usize {
        self.header + crate::wire::padded(usize::from(length))
    }

    /// Adds a chunk that leaves now.
    #[inline]
    pub(crate) fn push(&mut self, chunk: Sent, now: u64) -> Tsn {
        let tsn = self.append(chunk);
        self.depart(tsn, now);
        tsn
    }

    /// Adds a TSN that never leaves: the missing end of an abandoned message.
    pub(crate) fn push_abandoned(&mut self, mut chunk: Sent) -> Tsn {
        chunk.fate = Fate::Abandoned;
        self.append(chunk)
    }

    fn append(&mut self, chunk: Sent) -> Tsn {
        if self.len() as usize == self.ring.len() {
            self.grow();
        }
        let tsn = self.next;
        *self.get_mut(tsn) = chunk;
        self.next = tsn.next();
        tsn
    }

    /// A lost chunk leaves again.
    pub(crate) fn resend(&mut self, tsn: Tsn, now: u64) {
        self.unmark_lost(tsn);
        self.depart(tsn, now);
    }

    /// A chunk in flight leaves once more (a tail probe).
    pub(crate) fn resend_in_flight(&mut self, tsn: Tsn, now: u64) {
        self.leave_flight(tsn);
        self.depart(tsn, now);
    }

    fn unmark_lost(&mut self, tsn: Tsn) {
        if self.lost.get(tsn) {
            self.lost.clear(tsn);
            self.lost_count -= 1;
            if tsn == self.lost_from {
                self.lost_from = tsn.next();
            }
        }
    }

    #[inline]
    fn depart(&mut self, tsn: Tsn, now: u64) {
        let place = self.index(tsn) as u32;
        let newest = self.newest;
        let chunk = &mut self.ring[place as usize];
        chunk.fate = Fate::InFlight;
        chunk.transmissions = chunk.transmissions.saturating_add(1);
        chunk.sent_at = now;
        chunk.older = newest;
        chunk.newer = NONE;
        let length = chunk.length;
        if newest == NONE {
            self.oldest = place;
        } else {
            self.ring[newest as usize].newer = place;
        }
        self.newest = place;
        self.in_flight += 1;
        self.flight += self.on_wire(length);
        self.flight_payload += usize::from(length);
    }

    #[inline]
    fn leave_flight(&mut self, tsn: Tsn) {
        let Sent {
            older,
            newer,
            length,
            ..
        } = *self.get(tsn);
        if older == NONE {
            self.oldest = newer;
        } else {
            self.ring[older as usize].newer = newer;
        }
        if newer == NONE {
            self.newest = older;
        } else {
            self.ring[newer as usize].older = older;
        }
        self.in_flight -= 1;
        self.flight -= self.on_wire(length);
        self.flight_payload -= usize::from(length);
    }

    /// Notes that a chunk arrived. Returns its size on the wire and itself, or `None` where that was known.
    #[inline]
    pub(crate) fn acknowledge(&mut self, tsn: Tsn) -> Option<(usize, Sent)> {
        let chunk = *self.get(tsn);
        match chunk.fate {
            Fate::Acked => return None,
            Fate::InFlight => self.leave_flight(tsn),
            Fate::Lost => self.unmark_lost(tsn),
            Fate::Abandoned => {
                self.acked.set(tsn);
                return None;
            }
        }
        self.acked.set(tsn);
        self.acked_count += 1;
        self.get_mut(tsn).fate = Fate::Acked;
        Some((self.on_wire(chunk.length), chunk))
    }

    /// The peer took a gap acknowledgement back (RFC 9260 §6.2.1): the chunk counts as lost.
    pub(crate) fn renege(&mut self, tsn: Tsn) {
        self.acked.clear(tsn);
        if self.get(tsn).fate == Fate::Acked {
            self.acked_count -= 1;
            self.set_lost(tsn);
        }
    }

    /// A chunk in flight is lost.
    pub(crate) fn mark_lost(&mut self, tsn: Tsn) {
        if self.get(tsn).fate == Fate::InFlight {
            self.leave_flight(tsn);
            self.set_lost(tsn);
        }
    }

    fn set_lost(&mut self, tsn: Tsn) {
        self.get_mut(tsn).fate = Fate::Lost;
        self.lost.set(tsn);
        if self.lost_count == 0 || tsn.before(self.lost_from) {
            self.lost_from = tsn;
        }
        self.lost_count += 1;
    }

    /// A chunk is given up.
    pub(crate) fn abandon(&mut self, tsn: Tsn) {
        match self.get(tsn).fate {
            Fate::InFlight => self.leave_flight(tsn),
            Fate::Lost => self.unmark_lost(tsn),
            Fate::Acked | Fate::Abandoned => return,
        }
        self.get_mut(tsn).fate = Fate::Abandoned;
    }

    /// Takes the lowest TSN out; it was acknowledged before.
    #[inline]
    pub(crate) fn pop(&mut self) -> Sent {
        let tsn = self.base;
        let chunk = *self.get(tsn);
        self.acked.clear(tsn);
        if chunk.fate == Fate::Acked {
            self.acked_count -= 1;
        }
        self.base = tsn.next();
        if self.lost_from.before(self.base) {
            self.lost_from = self.base;
        }
        chunk
    }

    /// Doubles the ring; places change, so the list by sending time is told by TSN and put back.
    fn grow(&mut self) {
        let old_mask = self.ring.len() as u32 - 1;
        let new_mask = old_mask * 2 + 1;
        let base = self.base;
        let translate = |place: u32| {
            if place == NONE {
                NONE
            } else {
                base.plus(place.wrapping_sub(base.0) & old_mask).0 & new_mask
            }
        };
        let mut larger = vec![Sent::new(0, 0, 0, 0, 0); self.ring.len() * 2];
        for n in 0..self.len() {
            let tsn = base.plus(n);
            let mut chunk = *self.get(tsn);
            chunk.older = translate(chunk.older);
            chunk.newer = translate(chunk.newer);
            larger[(tsn.0 & new_mask) as usize] = chunk;
        }
        self.oldest = translate(self.oldest);
        self.newest = translate(self.newest);
        self.ring = larger;
        self.acked.grow(new_mask + 1, base, self.next);
        self.lost.grow(new_mask + 1, base, self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Sent {
        Sent::new(0, 0, 0, 100, 0)
    }

    #[test]
    fn keeps_the_order_of_sending_through_losses_and_growth() {
        let first = Tsn(u32::MAX - 20);
        let mut window = Window::new(first);
        for n in 0..60 {
            window.push(chunk(), n);
        }
        window.mark_lost(first.plus(3));
        window.mark_lost(first.plus(50));
        window.resend(first.plus(3), 100);
        for n in 60..200 {
            window.push(chunk(), 100 + n);
        }
        assert_eq!(window.next_lost(), Some(first.plus(50)));
        assert_eq!(window.in_flight(), 199);
        let mut order = Vec::new();
        let mut at = window.oldest();
        while let Some(tsn) = at {
            order.push(tsn.since(first));
            at = window.sent_after(tsn);
        }
        let expected: Vec<u32> = (0..60)
            .filter(|n| *n != 3 && *n != 50)
            .chain([3])
            .chain(60..200)
            .collect();
        assert_eq!(order, expected);
        assert_eq!(window.flight(), 199 * 116);
    }

    #[test]
    fn acknowledged_chunks_leave_flight_once() {
        let mut window = Window::new(Tsn(7));
        for n in 0..4 {
            window.push(chunk(), n);
        }
        assert!(window.acknowledge(Tsn(8)).is_some());
        assert!(window.acknowledge(Tsn(8)).is_none());
        assert_eq!(window.next_unacked(Tsn(8), Tsn(11)), Some(Tsn(9)));
        window.renege(Tsn(8));
        assert_eq!(window.next_lost(), Some(Tsn(8)));
        window.acknowledge(Tsn(7));
        window.pop();
        assert_eq!(window.base(), Tsn(8));
        assert_eq!(window.flight_payload(), 200);
    }
}
