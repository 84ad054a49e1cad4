//! What the agent has counted.

use crate::event::DropReason;

/// Counts over the life of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    dropped: [u64; DropReason::COUNT],
    /// Role conflicts met (RFC 8445 §7.3.1.1).
    pub role_conflicts: u64,
    /// Requests answered with an error.
    pub errors_sent: u64,
}

impl Counters {
    /// How many datagrams were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many datagrams were dropped.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += 1;
        }
    }
}
