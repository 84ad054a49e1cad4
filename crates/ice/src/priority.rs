//! Priorities of candidates (RFC 8445 §5.1.2, RFC 6544 §4.2, RFC 8421) and of pairs (RFC 8445 §6.1.2.3).

use crate::candidate::{CandidateType, Protocol, TcpType};
use std::fmt;

/// The priority of a candidate: the larger, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(pub u32);

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Priority {
    /// `2^24 * type preference + 2^8 * local preference + (256 - component)` (RFC 8445 §5.1.2.1).
    pub fn new(type_preference: u8, local_preference: u16, component: u16) -> Self {
        let type_preference = u32::from(type_preference.min(126));
        let component = 256 - u32::from(component.clamp(1, 256));
        Self(type_preference << 24 | u32::from(local_preference) << 8 | component)
    }

    /// The local preference it was computed from.
    pub(crate) fn local_preference(self) -> u16 {
        (self.0 >> 8) as u16
    }
}

/// The recommended type preferences of RFC 8445 §5.1.2.2. RFC 6544 §4.2 recommends preferring UDP: the
/// TCP values lie below every direct UDP value and above the relayed one. Among relayed candidates
/// the preference is for the cheaper way to the server.
pub(crate) fn type_preference(
    typ: CandidateType,
    protocol: Protocol,
    relay: Option<Protocol>,
) -> u8 {
    match (typ, protocol) {
        (CandidateType::Host, Protocol::Udp) => 126,
        (CandidateType::PeerReflexive, Protocol::Udp) => 110,
        (CandidateType::ServerReflexive, Protocol::Udp) => 100,
        (CandidateType::Host, _) => 90,
        (CandidateType::PeerReflexive, _) => 80,
        (CandidateType::ServerReflexive, _) => 75,
        (CandidateType::Relayed, _) => match relay {
            None | Some(Protocol::Udp) => 2,
            Some(Protocol::Tcp) => 1,
            Some(Protocol::Tls) => 0,
        },
    }
}

/// `2^13 * direction preference + other preference` (RFC 6544 §4.2), from a preference for UDP.
pub(crate) fn tcp_local_preference(tcp_type: TcpType, typ: CandidateType, other: u16) -> u16 {
    let direct = matches!(typ, CandidateType::Host | CandidateType::Relayed);
    let direction = match (tcp_type, direct) {
        (TcpType::Active, true) => 6,
        (TcpType::Passive, true) => 4,
        (TcpType::SimultaneousOpen, true) => 2,
        (TcpType::SimultaneousOpen, false) => 6,
        (TcpType::Active, false) => 4,
        (TcpType::Passive, false) => 2,
    };
    direction << 13 | other >> 3
}

/// The priority of a pair: the larger, the better; the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairPriority(pub u64);

impl PairPriority {
    /// `2^32 * min(G,D) + 2 * max(G,D) + (G>D ? 1 : 0)` (RFC 8445 §6.1.2.3), where G is the
    /// controlling side's candidate.
    pub fn new(controlling: Priority, controlled: Priority) -> Self {
        let (g, d) = (u64::from(controlling.0), u64::from(controlled.0));
        // Values above 2^31 - 1, which RFC 8445 §5.1.2 forbids, could carry out of 64 bits.
        Self((g.min(d) << 32).saturating_add(2 * g.max(d) + u64::from(g > d)))
    }
}

impl fmt::Display for PairPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_that_of_the_formula() {
        // The host candidate of RFC 8445 §15.1: type preference 126, local preference 65535, component 1.
        assert_eq!(Priority::new(126, 65535, 1), Priority(2_130_706_431));
        assert_eq!(Priority::new(255, 65535, 0), Priority(2_130_706_431));
        assert_eq!(Priority(2_130_706_431).local_preference(), 65535);
    }

    #[test]
    fn of_a_pair_is_the_same_on_both_sides_and_never_overflows() {
        let (g, d) = (Priority(2_130_706_431), Priority(1_694_498_815));
        assert_eq!(
            PairPriority::new(g, d).0,
            (1_694_498_815u64 << 32) + 2 * 2_130_706_431 + 1
        );
        assert!(PairPriority::new(g, d) > PairPriority::new(d, g));
        let top = Priority(u32::MAX);
        assert_eq!(PairPriority::new(top, top).0, u64::MAX);
    }

    #[test]
    fn prefers_direct_udp_to_tcp_to_relays() {
        use CandidateType::*;
        let order = [
            (Host, Protocol::Udp, None),
            (PeerReflexive, Protocol::Udp, None),
            (ServerReflexive, Protocol::Udp, None),
            (Host, Protocol::Tcp, None),
            (PeerReflexive, Protocol::Tcp, None),
            (Relayed, Protocol::Udp, Some(Protocol::Udp)),
            (Relayed, Protocol::Udp, Some(Protocol::Tcp)),
            (Relayed, Protocol::Udp, Some(Protocol::Tls)),
        ];
        let preferences: Vec<_> = order
            .map(|(t, p, r)| type_preference(t, p, r))
            .into_iter()
            .collect();
        assert!(
            preferences.is_sorted_by(|a, b| a > b || (a, b) == (&0, &0)),
            "{preferences:?}"
        );
    }
}
