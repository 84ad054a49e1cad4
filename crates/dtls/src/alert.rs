//! Alerts that dimpl cannot send: it closes in order, but leaves a failed handshake without a word.
//!
//! RFC 8122 §6.2 wants a certificate with the wrong fingerprint answered with bad_certificate. So the record is made here,
//! under the keys of the moment, with a sequence number that dimpl has not used; the engine is never called again.

use crate::config::{Role, Version};
use crate::error::AlertDescription;
use crate::provider::Notebook;
use crate::record::{Header, records};
use crate::records::{Key13, Records, content};

/// An alert's level (RFC 5246 §7.2).
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// The content of a fatal alert.
fn fatal(description: AlertDescription) -> [u8; 2] {
    [FATAL, description.0]
}

/// The content of a close_notify.
pub(crate) const CLOSE_NOTIFY: [u8; 2] = [WARNING, AlertDescription::CLOSE_NOTIFY.0];

/// What an alert wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Close,
    Fail(AlertDescription),
}

/// Reads an alert (RFC 5246 §7.2). Levels have no meaning in 1.3, where user_canceled alone is no end (RFC 8446 §6).
pub(crate) fn read(version: Version, alert: &[u8]) -> Wish {
    const USER_CANCELED: u8 = 90;
    let &[level, description] = alert else {
        return Wish::Nothing;
    };
    let description = AlertDescription(description);
    match (version, level) {
        _ if description == AlertDescription::CLOSE_NOTIFY => Wish::Close,
        (Version::Dtls12, FATAL) => Wish::Fail(description),
        (Version::Dtls13, _) if description.0 != USER_CANCELED => Wish::Fail(description),
        _ => Wish::Nothing,
    }
}

/// Counts the records that dimpl sends in the handshake's epochs, from the datagrams themselves.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The next sequence number, by epoch.
    next: [u64; 4],
}

impl Sent {
    /// Reads the headers of a datagram's records.
    pub(crate) fn note(&mut self, datagram: &[u8]) {
        for (header, _) in records(datagram) {
            match header {
                // dimpl sends each record number once, in order.
                Header::Unified { epoch } => self.next[usize::from(epoch)] += 1,
                Header::Plain { epoch, number } => {
                    if let Some(next) = self.next.get_mut(usize::from(epoch)) {
                        *next = (*next).max(number + 1);
                    }
                }
            }
        }
    }

    /// A fatal alert as a datagram, in the newest epoch the peer can read.
    pub(crate) fn alert(
        &self,
        records: Option<&mut Records>,
        role: Role,
        done: bool,
        notebook: &Notebook,
        description: AlertDescription,
    ) -> Option<Vec<u8>> {
        // A client of DTLS 1.3 reads its server's epoch 3 as soon as it has sent Finished, a server reads its client's only
        // after that; before, there is epoch 2. In 1.2, the keys count for a peer that has had our Finished.
        let readable = done || role == Role::Server;
        match records {
            Some(records @ Records::V12(_)) if done => {
                records.datagram(content::ALERT, &fatal(description)).ok()
            }
            Some(records @ Records::V13(_)) if readable => {
                records.datagram(content::ALERT, &fatal(description)).ok()
            }
            _ => match &notebook.handshake_traffic[usize::from(role == Role::Server)] {
                Some(secret) => {
                    let mut out = Vec::new();
                    Key13::new(notebook.suite?, secret)?.append(
                        2,
                        self.next[2],
                        content::ALERT,
                        &fatal(description),
                        &mut out,
                    )?;
                    Some(out)
                }
                None => Some(self.plain(description)),
            },
        }
    }

    /// An alert of epoch 0 (RFC 6347 §4.1).
    fn plain(&self, description: AlertDescription) -> Vec<u8> {
        let mut record = vec![content::ALERT, 0xfe, 0xfd, 0, 0];
        record.extend_from_slice(&self.next[0].to_be_bytes()[2..]);
        record.extend_from_slice(&[0, 2]);
        record.extend_from_slice(&fatal(description));
        record
    }
}
