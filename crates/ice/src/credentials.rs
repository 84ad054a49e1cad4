//! Username fragment, password and options (RFC 8839 §5.3, §5.4, §5.6).

use rand::{RngExt, rngs::StdRng};
use std::fmt;

/// What the two sides tell each other about themselves: one generation of credentials, and options.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Parameters {
    /// `ice-ufrag`, 4 to 256 characters.
    pub ufrag: String,
    /// `ice-pwd`, 22 to 256 characters.
    pub pwd: String,
    /// `ice-lite`
    pub lite: bool,
    /// `ice-options: renomination`
    pub renomination: bool,
    /// `ice-options: ice2` (RFC 8445 §10): the peer is no RFC 5245 agent. Nothing depends on it.
    pub ice2: bool,
    /// `ice-options: trickle` (RFC 8838 §3)
    pub trickle: bool,
}

impl Parameters {
    /// Parameters of a full agent without options.
    pub fn new(ufrag: impl Into<String>, pwd: impl Into<String>) -> Self {
        Self {
            ufrag: ufrag.into(),
            pwd: pwd.into(),
            ..Self::default()
        }
    }

    /// Whether fragment and password are as long as RFC 8839 §5.4 asks. Peers have used more than its
    /// `ice-char`s; all that matters is that the fragment can stand in a USERNAME.
    pub fn are_valid(&self) -> bool {
        let is_text = |text: &str, least| {
            (least..=256).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_graphic() && b != b':')
        };
        is_text(&self.ufrag, 4) && is_text(&self.pwd, 22)
    }

    /// RFC 8445 §5.3 asks for 24 bits of randomness in the fragment and 128 in the password. The fragment has
    /// 48, so that many agents behind one port do not collide.
    pub(crate) fn generate(rng: &mut StdRng, lite: bool, renomination: bool) -> Self {
        Self {
            ufrag: ice_chars(rng, 8),
            pwd: ice_chars(rng, 24),
            lite,
            renomination,
            ice2: true,
            trickle: true,
        }
    }
}

impl fmt::Debug for Parameters {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("ufrag", &self.ufrag)
            .field("lite", &self.lite)
            .field("renomination", &self.renomination)
            .finish_non_exhaustive()
    }
}

fn ice_chars(rng: &mut StdRng, len: usize) -> String {
    const ICE_CHARS: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..len)
        .map(|_| char::from(ICE_CHARS[rng.random_range(0..64usize)]))
        .collect()
}
