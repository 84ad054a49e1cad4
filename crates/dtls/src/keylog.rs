//! Key log in NSS format (RFC 9850), for reading one's own traffic in Wireshark.

use std::fmt;
use std::sync::Arc;

/// Receives key log lines, without a line end. Held by an endpoint only when asked for explicitly.
#[derive(Clone)]
pub struct KeyLog(Arc<dyn Fn(&str) + Send + Sync>);

impl KeyLog {
    /// Hands each line to a function.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(crate) fn line(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        use fmt::Write;
        let mut line = zeroize::Zeroizing::new(String::with_capacity(
            label.len() + 2 + 2 * (32 + secret.len()),
        ));
        line.push_str(label);
        for part in [client_random, secret] {
            line.push(' ');
            for byte in part {
                let _ = write!(line, "{byte:02x}");
            }
        }
        (self.0)(&line);
    }
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLog { .. }")
    }
}
