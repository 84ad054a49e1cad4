/// What has happened to the packets, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Sent by hosts.
    pub sent: u64,
    /// Bytes of IP packets sent by hosts.
    pub sent_bytes: u64,
    /// Arrived at hosts, copies included.
    pub delivered: u64,
    /// Bytes of IP packets that arrived at hosts.
    pub delivered_bytes: u64,
    /// Lost by a link.
    pub lost: u64,
    /// Larger than a link's MTU.
    pub too_big: u64,
    /// Found a link's queue full.
    pub queue_full: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Held back so that later ones overtook them.
    pub reordered: u64,
    /// Arrived at a NAT at a port nobody inside uses (any more).
    pub nat_unmapped: u64,
    /// Refused by a NAT's filter.
    pub nat_filtered: u64,
    /// Sent to the outside address of the sender's own NAT, which does not hairpin.
    pub not_hairpinned: u64,
    /// Refused by a firewall.
    pub blocked: u64,
    /// Dropped by [`Network::intercept`](crate::Network::intercept).
    pub intercepted: u64,
    /// Sent from or to an address that no host has.
    pub unroutable: u64,
}
