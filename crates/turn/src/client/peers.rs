//! Permissions and channels: who may send, and by which number (RFC 8656 §9, §12).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// RFC 8656 §9: "The Permission Lifetime MUST be 300 seconds".
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// RFC 8656 §12: a binding lasts ten minutes.
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// RFC 8656 §12: after that its number and its peer rest for five more.
const CHANNEL_REST: Duration = Duration::from_secs(300);
/// How long before the end a refresh is sent.
const MARGIN: Duration = Duration::from_secs(60);
/// RFC 8656 §12: channel numbers are 0x4000 to 0x4FFF.
const FIRST_CHANNEL: u16 = 0x4000;
const CHANNELS: usize = 0x1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not yet asked for.
    Wanted,
    /// Asked for.
    Asked,
    /// Granted, and whether a refresh is under way.
    Granted {
        refresh: Instant,
        expires: Instant,
        refreshing: bool,
    },
}

impl Standing {
    fn granted(now: Instant, lifetime: Duration) -> Self {
        Self::Granted {
            refresh: now + (lifetime - MARGIN),
            expires: now + lifetime,
            refreshing: false,
        }
    }

    fn is_granted(self) -> bool {
        matches!(self, Self::Granted { .. })
    }

    /// When it wants to be asked for; now if `Wanted`.
    fn due(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Wanted => Some(now),
            Self::Granted {
                refresh,
                refreshing: false,
                ..
            } => Some(refresh),
            Self::Granted {
                expires,
                refreshing: true,
                ..
            } => Some(expires),
            Self::Asked => None,
        }
    }

    /// Moves on when something is due.
    fn ask(&mut self, now: Instant) -> Due {
        match *self {
            Self::Wanted => {
                *self = Self::Asked;
                Due::Ask
            }
            Self::Granted { expires, .. } if expires <= now => {
                *self = Self::Asked;
                Due::Expired
            }
            Self::Granted {
                refresh,
                expires,
                refreshing: false,
            } if refresh <= now => {
                *self = Self::Granted {
                    refresh,
                    expires,
                    refreshing: true,
                };
                Due::Ask
            }
            _ => Due::Nothing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Ask,
    Expired,
}

#[derive(Debug)]
struct Permission {
    ip: IpAddr,
    standing: Standing,
}

#[derive(Debug)]
struct Channel {
    peer: SocketAddr,
    standing: Standing,
    /// Kept refreshed; otherwise it only waits for its number to become free again.
    wanted: bool,
    /// Until then the server may hold the number for this peer.
    taken_until: Instant,
}

/// Every peer of one allocation.
#[derive(Debug, Default)]
pub(super) struct Peers {
    permissions: Vec<Permission>,
    /// Indexed by number − 0x4000.
    channels: Vec<Channel>,
}

impl Peers {
    /// `false` when it was there.
    pub(super) fn want_permission(&mut self, ip: IpAddr) -> bool {
        if self
            .permissions
            .iter()
            .any(|permission| permission.ip == ip)
        {
            return false;
        }
        self.permissions.push(Permission {
            ip,
            standing: Standing::Wanted,
        });
        true
    }

    /// `false` when all numbers are taken.
    pub(super) fn want_channel(&mut self, now: Instant, peer: SocketAddr) -> bool {
        if let Some(channel) = self
            .channels
            .iter_mut()
            .find(|channel| channel.peer == peer)
        {
            if !channel.wanted {
                channel.wanted = true;
                channel.standing = Standing::Wanted;
            }
            return true;
        }
        let fresh = Channel {
            peer,
            standing: Standing::Wanted,
            wanted: true,
            taken_until: now,
        };
        if let Some(free) = self
            .channels
            .iter_mut()
            .find(|channel| !channel.wanted && channel.taken_until <= now)
        {
            *free = fresh;
        } else if self.channels.len() < CHANNELS {
            self.channels.push(fresh);
        } else {
            return false;
        }
        true
    }

    pub(super) fn remove(&mut self, peer: SocketAddr) {
        if let Some(channel) = self
            .channels
            .iter_mut()
            .find(|channel| channel.peer == peer)
        {
            channel.wanted = false;
        }
        let ip = peer.ip();
        if !self
            .channels
            .iter()
            .any(|channel| channel.wanted && channel.peer.ip() == ip)
        {
            self.permissions.retain(|permission| permission.ip != ip);
        }
    }

    pub(super) fn drop_permission(&mut self, ip: IpAddr) {
        self.permissions.retain(|permission| permission.ip != ip);
    }

    pub(super) fn has_permission(&self, ip: IpAddr) -> bool {
        self.permissions
            .iter()
            .any(|permission| permission.ip == ip && permission.standing.is_granted())
    }

    /// The bound channel of a peer.
    pub(super) fn channel(&self, peer: SocketAddr) -> Option<u16> {
        let index = self
            .channels
            .iter()
            .position(|channel| channel.peer == peer)?;
        let channel = self.channels.get(index)?;
        (channel.wanted && channel.standing.is_granted()).then_some(FIRST_CHANNEL + index as u16)
    }

    /// The peer of a channel that is bound, or whose binding is being asked for: the server may send on it before its answer
    /// arrives here.
    pub(super) fn channel_peer(&self, number: u16) -> Option<SocketAddr> {
        let channel = self
            .channels
            .get(usize::from(number.checked_sub(FIRST_CHANNEL)?))?;
        (channel.wanted && channel.standing != Standing::Wanted).then_some(channel.peer)
    }

    pub(super) fn peer_of(&self, number: u16) -> Option<SocketAddr> {
        let channel = self
            .channels
            .get(usize::from(number.checked_sub(FIRST_CHANNEL)?))?;
        Some(channel.peer)
    }

    pub(super) fn permission_granted(&mut self, now: Instant, ip: IpAddr) -> bool {
        let Some(permission) = self
            .permissions
            .iter_mut()
            .find(|permission| permission.ip == ip)
        else {
            return false;
        };
        let fresh = !permission.standing.is_granted();
        permission.standing = Standing::granted(now, PERMISSION_LIFETIME);
        fresh
    }

    /// Whether the channel was not bound before.
    pub(super) fn channel_granted(&mut self, now: Instant, number: u16) -> bool {
        let index = usize::from(number.wrapping_sub(FIRST_CHANNEL));
        let Some(channel) = self.channels.get_mut(index) else {
            return false;
        };
        channel.taken_until = now + CHANNEL_LIFETIME + CHANNEL_REST;
        let fresh = !channel.standing.is_granted();
        channel.standing = Standing::granted(now, CHANNEL_LIFETIME);
        fresh && channel.wanted
    }

    pub(super) fn channel_failed(&mut self, now: Instant, number: u16) {
        let index = usize::from(number.wrapping_sub(FIRST_CHANNEL));
        if let Some(channel) = self.channels.get_mut(index) {
            channel.wanted = false;
            // The server may have bound it though its answer was lost.
            channel.taken_until = channel
                .taken_until
                .max(now + CHANNEL_LIFETIME + CHANNEL_REST);
        }
    }

    /// When something is to be asked for.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let permissions = self
            .permissions
            .iter()
            .filter_map(|permission| permission.standing.due(now));
        let channels = self
            .channels
            .iter()
            .filter(|channel| channel.wanted)
            .filter_map(|channel| channel.standing.due(now));
        permissions.chain(channels).min()
    }

    /// Permissions to ask for now.
    pub(super) fn due_permissions(&mut self, now: Instant) -> Vec<IpAddr> {
        let mut due = Vec::new();
        for permission in &mut self.permissions {
            if permission.standing.ask(now) != Due::Nothing {
                due.push(permission.ip);
            }
        }
        due
    }

    /// The next channel to ask for now.
    pub(super) fn due_channel(&mut self, now: Instant) -> Option<(u16, SocketAddr)> {
        for (index, channel) in self.channels.iter_mut().enumerate() {
            if channel.wanted && channel.standing.ask(now) != Due::Nothing {
                channel.taken_until = now + CHANNEL_LIFETIME + CHANNEL_REST;
                return Some((FIRST_CHANNEL + index as u16, channel.peer));
            }
        }
        None
    }
}
