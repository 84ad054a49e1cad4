//! The key log.

use crate::provider::Secret;

use super::Endpoint;

impl Endpoint {
    /// A server's part of finding the client's random, by which key log lines are told apart.
    pub(super) fn note_client_hello(&mut self, datagram: &[u8]) {
        if !self.handshake.done {
            self.handshake.client_random = client_random(datagram).or(self.handshake.client_random);
        }
    }

    /// Writes the secrets that have come up since the last time, in the labels of RFC 9850 §2.
    pub(super) fn write_key_log(&mut self) {
        let Some(log) = &self.config.key_log else {
            return;
        };
        let notebook = &self.notebook;
        if let Some(master) = &notebook.master
            && self.handshake.logged == 0
        {
            log.line("CLIENT_RANDOM", &master.client_random, &master.secret);
            self.handshake.logged = 1;
        }
        let Some(random) = &self.handshake.client_random else {
            return;
        };
        let secrets = [
            (
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                &notebook.handshake_traffic[0],
            ),
            (
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                &notebook.handshake_traffic[1],
            ),
            ("CLIENT_TRAFFIC_SECRET_0", &notebook.application_traffic[0]),
            ("SERVER_TRAFFIC_SECRET_0", &notebook.application_traffic[1]),
            ("EXPORTER_SECRET", &notebook.exporter),
        ];
        for (label, secret) in secrets.into_iter().skip(self.handshake.logged) {
            let Some(secret) = secret else { break };
            log.line(label, random, secret);
            self.handshake.logged += 1;
        }
    }

    /// Writes the secret of an epoch after the first of the application's, 3.
    pub(super) fn log_update(&self, side: &str, epoch: u64, secret: &Secret) {
        if let (Some(log), Some(random)) = (&self.config.key_log, &self.handshake.client_random) {
            let generation = epoch - 3;
            log.line(
                &format!("{side}_TRAFFIC_SECRET_{generation}"),
                random,
                secret,
            );
        }
    }
}

/// The random of a ClientHello, if the datagram starts with the first fragment of one (RFC 6347 §4.2.2, §4.3.2).
pub(super) fn client_random(datagram: &[u8]) -> Option<[u8; 32]> {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let record: &[u8; 13 + 12] = datagram.first_chunk()?;
    let first_fragment = record[19..22] == [0; 3];
    if record[0] != HANDSHAKE
        || record[3..5] != [0; 2]
        || record[13] != CLIENT_HELLO
        || !first_fragment
    {
        return None;
    }
    datagram.get(record.len() + 2..)?.first_chunk().copied()
}
