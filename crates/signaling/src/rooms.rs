//! Who is in which room. No I/O: the server asks, and tells the members what came of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Longest name of a room, in bytes.
pub(crate) const MAX_NAME: usize = 128;

/// Most rooms one member may be in at once, so that a client cannot grow the server's memory without end.
pub(crate) const MAX_ROOMS_A_MEMBER: usize = 16;

/// Every room that has somebody in it, with its members in the order in which they came.
#[derive(Debug)]
pub(crate) struct Rooms<M> {
    limit: usize,
    members: HashMap<String, Vec<M>>,
}

/// What came of asking to join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission<M> {
    /// In; these were there before.
    Joined { others: Vec<M> },
    /// Was in already; nothing changed.
    AlreadyIn,
    /// The room has as many members as it may have.
    Full,
    /// The member is in as many rooms as it may be in.
    TooManyRooms,
}

impl<M: Clone + PartialEq> Rooms<M> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            members: HashMap::new(),
        }
    }

    pub(crate) fn join(&mut self, room: &str, member: &M) -> Admission<M> {
        let occupied = self.members.get(room).map_or(&[][..], Vec::as_slice);
        if occupied.contains(member) {
            return Admission::AlreadyIn;
        }
        if occupied.len() >= self.limit {
            return Admission::Full;
        }
        let rooms_of_member = self.members.values().filter(|m| m.contains(member));
        if rooms_of_member.count() >= MAX_ROOMS_A_MEMBER {
            return Admission::TooManyRooms;
        }
        let others = occupied.to_vec();
        let members = self.members.entry(room.to_owned()).or_default();
        members.push(member.clone());
        Admission::Joined { others }
    }

    /// Takes a member out and returns those who stay, or `None` when it was not in the room.
    pub(crate) fn leave(&mut self, room: &str, member: &M) -> Option<Vec<M>> {
        let Entry::Occupied(mut entry) = self.members.entry(room.to_owned()) else {
            return None;
        };
        let place = entry.get().iter().position(|m| m == member)?;
        entry.get_mut().remove(place);
        let others = entry.get().clone();
        if others.is_empty() {
            entry.remove();
        }
        Some(others)
    }

    /// Takes a member out of every room; returns each with those who stay.
    pub(crate) fn leave_all(&mut self, member: &M) -> Vec<(String, Vec<M>)> {
        let mut rooms: Vec<String> = self
            .members
            .iter()
            .filter(|(_, members)| members.contains(member))
            .map(|(room, _)| room.clone())
            .collect();
        rooms.sort();
        rooms
            .into_iter()
            .filter_map(|room| {
                let others = self.leave(&room, member)?;
                Some((room, others))
            })
            .collect()
    }

    /// The room's other members, or `None` when the member is not in the room.
    pub(crate) fn others(&self, room: &str, member: &M) -> Option<Vec<M>> {
        let members = self.members.get(room)?;
        members.contains(member).then(|| {
            let others = members.iter().filter(|m| *m != member);
            others.cloned().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_learns_who_was_there_before() {
        let mut rooms = Rooms::new(3);
        assert_eq!(rooms.join("a", &1), Admission::Joined { others: vec![] });
        assert_eq!(rooms.join("a", &2), Admission::Joined { others: vec![1] });
        assert_eq!(rooms.join("b", &3), Admission::Joined { others: vec![] });
        assert_eq!(rooms.others("a", &2), Some(vec![1]));
    }

    #[test]
    fn the_member_beyond_the_limit_finds_the_room_full_until_somebody_leaves() {
        let mut rooms = Rooms::new(2);
        rooms.join("a", &1);
        rooms.join("a", &2);
        assert_eq!(rooms.join("a", &3), Admission::Full);
        assert_eq!(rooms.join("a", &2), Admission::AlreadyIn);
        assert_eq!(rooms.leave("a", &1), Some(vec![2]));
        assert_eq!(rooms.join("a", &3), Admission::Joined { others: vec![2] });
    }

    #[test]
    fn an_outsider_neither_leaves_nor_reaches_a_room() {
        let mut rooms = Rooms::new(2);
        rooms.join("a", &1);
        assert_eq!(rooms.leave("a", &2), None);
        assert_eq!(rooms.leave("b", &1), None);
        assert_eq!(rooms.others("a", &2), None);
    }

    #[test]
    fn leaving_all_rooms_forgets_the_member_and_the_empty_rooms() {
        let mut rooms = Rooms::new(2);
        rooms.join("b", &1);
        rooms.join("a", &1);
        rooms.join("a", &2);
        let left = vec![("a".to_owned(), vec![2]), ("b".to_owned(), vec![])];
        assert_eq!(rooms.leave_all(&1), left);
        assert_eq!(rooms.members.len(), 1);
        assert_eq!(rooms.leave_all(&1), vec![]);
    }

    #[test]
    fn one_member_cannot_fill_the_server_with_rooms() {
        let mut rooms = Rooms::new(2);
        for room in 0..MAX_ROOMS_A_MEMBER {
            rooms.join(&room.to_string(), &1);
        }
        assert_eq!(rooms.join("one more", &1), Admission::TooManyRooms);
        assert_eq!(rooms.members.len(), MAX_ROOMS_A_MEMBER);
    }
}
