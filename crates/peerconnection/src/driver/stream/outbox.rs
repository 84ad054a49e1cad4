//! What waits to be written to a connection.

use super::framing::frame;
use ice::Framing;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// Bytes that may wait: two full batches. As much again may be in the hands of the writer.
pub(super) const LIMIT: usize = 1 << 17;

/// A queue of bytes with an end to it. Sending never waits.
#[derive(Debug)]
pub(super) struct Outbox {
    framing: Framing,
    pending: Mutex<Pending>,
    /// There is something to write, or nothing will come any more.
    wake: Notify,
    gone: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    closed: bool,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(framing: Framing) -> Self {
        Outbox {
            framing,
            pending: Mutex::default(),
            wake: Notify::new(),
            gone: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes messages of one size; drops them when too much waits already.
    pub(super) fn send(&self, messages: &[u8], size: usize) {
        let mut pending = self.lock();
        if pending.closed {
            return;
        }
        let fits = pending.bytes.len() + messages.len() <= LIMIT;
        if !fits || !frame(self.framing, messages, size, &mut pending.bytes) {
            pending.dropped += messages.len().div_ceil(size.max(1)) as u64;
            tracing::trace!(dropped = pending.dropped, "the connection is too slow");
            return;
        }
        drop(pending);
        self.wake.notify_one();
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
        self.gone.notify_waiters();
    }

    /// Waits until it is closed.
    pub(super) async fn closed(&self) {
        loop {
            let gone = self.gone.notified();
            if self.lock().closed {
                return;
            }
            gone.await;
        }
    }

    /// Writes what is sent, all that waits in one call, until it is closed and empty.
    pub(super) async fn write(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let closed = {
                let mut pending = self.lock();
                std::mem::swap(&mut bytes, &mut pending.bytes);
                pending.closed
            };
            if !bytes.is_empty() {
                writer.write_all(&bytes).await?;
                writer.flush().await?;
                bytes.clear();
            } else if closed {
                return writer.shutdown().await;
            } else {
                self.wake.notified().await;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_a_dead_peer_does_not_take_is_lost_and_takes_no_more_memory() {
        let outbox = Outbox::new(Framing::Rfc4571);
        // A connection that takes 64 bytes and then no more.
        let (ours, mut theirs) = tokio::io::duplex(64);
        let filling = async {
            for _ in 0..1000 {
                outbox.send(&[7; 12_000], 1200);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            ended = outbox.write(ours) => panic!("{ended:?}"),
            () = filling => {}
        }
        let waiting = outbox.lock().bytes.len();
        assert!(waiting <= LIMIT + 2 * LIMIT / 1200, "{waiting}");
        // All but what the outbox and the writer's hands hold.
        let dropped = outbox.dropped();
        assert!((9_700..10_000).contains(&dropped), "{dropped}");
        let mut first = [0; 2];
        theirs.read_exact(&mut first).await.unwrap();
        assert_eq!(first, 1200_u16.to_be_bytes());
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_still_leaves() {
        let outbox = Outbox::new(Framing::Rfc4571);
        let (ours, mut theirs) = tokio::io::duplex(64);
        outbox.send(&[1, 2, 3], 3);
        outbox.close();
        outbox.send(&[4], 1);
        outbox.write(ours).await.unwrap();
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [0, 3, 1, 2, 3]);
    }
}
