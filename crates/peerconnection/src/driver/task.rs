//! The task of one connection.

use super::socket::{Batch, Socket};
use super::{Connection, Inner};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

/// Reads and handles at most this often before other tasks of the runtime get a turn.
pub(super) const MOST_ROUNDS: usize = 64;

thread_local! {
    /// Where datagrams are read to. They are handled before the next connection of the thread reads, so that one
    /// batch serves them all: half a megabyte would be most of what a connection costs.
    static BATCH: RefCell<Batch> = RefCell::new(Batch::new());
}

/// Lends the thread's batch.
pub(super) fn with_batch<T>(read: impl FnOnce(&mut Batch) -> T) -> T {
    BATCH.with_borrow_mut(read)
}

/// Runs until the connection is closed, or nobody holds it any more.
pub(super) async fn run(connection: Weak<Connection>) {
    let Some(wake) = connection.upgrade().map(|strong| Arc::clone(&strong.wake)) else {
        return;
    };
    let mut timer = pin!(tokio::time::sleep_until(tokio::time::Instant::now()));
    loop {
        let Some(strong) = connection.upgrade() else {
            return;
        };
        let (sockets, blocked, armed) = {
            let mut inner = strong.lock();
            let now = Instant::now();
            strong.close_abandoned(&mut inner, now);
            if inner.session.poll_timeout().is_some_and(|due| due <= now) {
                inner.session.handle_timeout(now);
            }
            inner.flush(now);
            inner.dispatch();
            // An event's consumer may have asked for more.
            inner.flush(now);
            if inner.session.is_closed() {
                inner.sockets.clear();
                return;
            }
            inner.armed = inner.session.poll_timeout();
            if let Some(due) = inner.armed {
                timer.as_mut().reset(due.into());
            }
            let own = inner.sockets.iter().filter(|socket| !socket.is_shared());
            let blocked = inner.blocked.as_ref();
            (
                own.cloned().collect::<Vec<_>>(),
                blocked.map(|(_, socket, _)| Arc::clone(socket)),
                inner.armed.is_some(),
            )
        };
        // While it waits, the task does not keep the connection.
        drop(strong);
        let mut woken = pin!(wake.notified());
        let mut writable = pin!(async {
            match &blocked {
                Some(socket) => {
                    let _ = socket.writable().await;
                }
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            let came = with_batch(|batch| wait(cx, &connection, &sockets, batch));
            let notified = woken.as_mut().poll(cx).is_ready();
            let due = armed && timer.as_mut().poll(cx).is_ready();
            let room = writable.as_mut().poll(cx).is_ready();
            if came.is_ready() || notified || due || room {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Reads every socket; ready when something came.
fn wait(
    cx: &mut Context<'_>,
    connection: &Weak<Connection>,
    sockets: &[Arc<Socket>],
    batch: &mut Batch,
) -> Poll<()> {
    let mut busy = false;
    for socket in sockets {
        for _ in 0..MOST_ROUNDS {
            match socket.poll_recv(cx, batch) {
                Poll::Pending => break,
                Poll::Ready(Ok(reads)) => {
                    busy = true;
                    let Some(connection) = connection.upgrade() else {
                        break;
                    };
                    receive(&mut connection.lock(), socket, batch, reads);
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, local = %socket.local(), "not read");
                    break;
                }
            }
        }
    }
    if busy { Poll::Ready(()) } else { Poll::Pending }
}

fn receive(inner: &mut Inner, socket: &Socket, batch: &Batch, reads: usize) {
    let now = Instant::now();
    for (remote, datagram) in batch.datagrams(reads) {
        let path = ice::Path {
            protocol: ice::Protocol::Udp,
            local: socket.local(),
            remote,
        };
        inner.session.handle_datagram(now, path, datagram);
    }
    // Acknowledgements and replies leave before the next batch is read.
    inner.flush(now);
    inner.dispatch();
}
