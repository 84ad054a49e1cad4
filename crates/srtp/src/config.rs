//! How a context behaves.

/// The size of the replay window, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayWindow(u32);

impl ReplayWindow {
    /// The smallest window of RFC 3711 §3.3.2.
    pub const MIN: Self = Self(64);
    /// The largest one that makes sense: half of the sequence numbers.
    pub const MAX: Self = Self(1 << 15);

    /// A window of that many packets, brought into the range from [`MIN`](Self::MIN) to [`MAX`](Self::MAX).
    pub const fn new(packets: u32) -> Self {
        if packets < Self::MIN.0 {
            Self::MIN
        } else if packets > Self::MAX.0 {
            Self::MAX
        } else {
            Self(packets)
        }
    }

    /// Its size; rounded up to 64 inside.
    pub const fn packets(self) -> u32 {
        self.0
    }
}

impl Default for ReplayWindow {
    /// 1,024: retransmissions may come late.
    fn default() -> Self {
        Self(1024)
    }
}

/// Whether CSRCs and header extensions are encrypted as a whole (RFC 9335, `a=cryptex`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cryptex {
    /// Not negotiated.
    #[default]
    Off,
    /// Used for sending, accepted and not demanded when receiving.
    On,
    /// As `On`, and packets with header extensions in the clear are refused (RFC 9335 §5.2).
    Required,
}

/// How many packets one master key may protect or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// RTP packets; at most 2^48.
    pub rtp: u64,
    /// RTCP packets; at most 2^31.
    pub rtcp: u64,
}

impl Default for Lifetime {
    /// The limits of RFC 3711 §9.2.
    fn default() -> Self {
        Self {
            rtp: 1 << 48,
            rtcp: 1 << 31,
        }
    }
}

/// Configuration of a [`Protector`](crate::Protector) or an [`Unprotector`](crate::Unprotector).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The replay window; of a sender, the window in which a sequence number may not be used twice.
    pub replay_window: ReplayWindow,
    /// RFC 9335.
    pub cryptex: Cryptex,
    /// Identifiers of the header extensions to be encrypted (RFC 6904). Not applied to a packet that uses cryptex.
    pub encrypted_extensions: Vec<u8>,
    /// The master key identifier at the end of each packet (RFC 3711 §3.1), none by default, as in WebRTC
    /// (RFC 8827 §6.5 has `use_srtp` without one).
    pub mki: Option<Vec<u8>>,
    /// When a key is used up.
    pub lifetime: Lifetime,
    /// The largest number of synchronization sources remembered.
    pub max_streams: usize,
    /// For a source that was never heard: how many rollover counters above zero to try. A receiver that misses the start
    /// of a stream, or joins a running one, does not know how often the sequence number has wrapped.
    pub roc_search: u32,
    /// Lets a sender protect a sequence number again. Only safe if the packet is the same bit for bit, header extensions
    /// included: with AES-GCM anything else gives the authentication key away (RFC 7714 §9.1).
    pub allow_repeats: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            replay_window: ReplayWindow::default(),
            cryptex: Cryptex::Off,
            encrypted_extensions: Vec::new(),
            mki: None,
            lifetime: Lifetime::default(),
            max_streams: 4096,
            roc_search: 1,
            allow_repeats: false,
        }
    }
}
