//! A small channel for live media: bounded, and when its reader falls behind the *oldest* item goes, never the newest.
//!
//! It knows no runtime: a [`Receiver`] is awaited from any executor, or read from a thread.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A channel that holds up to `capacity` items (at least one).
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            queue: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
            sender_gone: false,
            receiver_gone: false,
            waker: None,
        }),
        ready: Condvar::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

struct Shared<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    dropped: u64,
    sender_gone: bool,
    receiver_gone: bool,
    waker: Option<Waker>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing below panics while it holds the lock in a half-changed state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end. Dropping it ends the channel once what it holds has been read.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Puts an item in, at the cost of the oldest one if there is no room. False when the reader is gone.
    pub fn send(&self, item: T) -> bool {
        let mut state = self.shared.lock();
        if state.receiver_gone {
            return false;
        }
        if state.queue.len() >= state.capacity {
            state.queue.pop_front();
            state.dropped += 1;
        }
        state.queue.push_back(item);
        let waker = state.waker.take();
        drop(state);
        self.shared.ready.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Whether anybody still reads.
    pub fn is_open(&self) -> bool {
        !self.shared.lock().receiver_gone
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.sender_gone = true;
        let waker = state.waker.take();
        drop(state);
        self.shared.ready.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The reading end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The next item, when there is one; `None` once the channel has ended.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for hand-written futures.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.shared.lock();
        match state.queue.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.sender_gone => Poll::Ready(None),
            None => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// The next item, waiting on this thread; `None` once the channel has ended.
    pub fn recv_blocking(&mut self) -> Option<T> {
        let state = self.shared.lock();
        let mut state = self
            .shared
            .ready
            .wait_while(state, |s| s.queue.is_empty() && !s.sender_gone)
            .unwrap_or_else(PoisonError::into_inner);
        state.queue.pop_front()
    }

    /// The next item, waiting on this thread no longer than `limit`.
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let state = self.shared.lock();
        let (mut state, _) = self
            .shared
            .ready
            .wait_timeout_while(state, limit, |s| s.queue.is_empty() && !s.sender_gone)
            .unwrap_or_else(PoisonError::into_inner);
        match state.queue.pop_front() {
            Some(item) => Ok(item),
            None if state.sender_gone => Err(RecvTimeoutError::Ended),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The next item, if there is one now.
    pub fn try_recv(&mut self) -> Option<T> {
        self.shared.lock().queue.pop_front()
    }

    /// Items waiting.
    pub fn len(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items lost so far because this reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Whether nothing will come any more.
    pub fn is_ended(&self) -> bool {
        let state = self.shared.lock();
        state.sender_gone && state.queue.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiver_gone = true;
        state.waker = None;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        // Items may own locks of their own: they go after ours is released.
        drop(queue);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Receiver")
            .field("waiting", &state.queue.len())
            .field("dropped", &state.dropped)
            .field("ended", &state.sender_gone)
            .finish()
    }
}

/// Why [`Receiver::recv_timeout`] has no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvTimeoutError {
    /// None came in time.
    #[error("nothing came in time")]
    Timeout,
    /// None will come any more.
    #[error("the channel has ended")]
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_loses_the_oldest() {
        let (tx, mut rx) = bounded(2);
        for i in 0..5 {
            assert!(tx.send(i));
        }
        assert_eq!(rx.dropped(), 3);
        assert_eq!(
            (rx.try_recv(), rx.try_recv(), rx.try_recv()),
            (Some(3), Some(4), None)
        );
    }

    #[test]
    fn ends_after_what_it_holds() {
        let (tx, mut rx) = bounded(2);
        tx.send(1);
        drop(tx);
        assert!(!rx.is_ended());
        assert_eq!(rx.recv_blocking(), Some(1));
        assert_eq!(rx.recv_blocking(), None);
        assert_eq!(
            rx.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Ended)
        );
        assert!(rx.is_ended());
    }

    #[test]
    fn tells_the_writer_that_nobody_reads() {
        let (tx, rx) = bounded(2);
        assert!(tx.is_open());
        drop(rx);
        assert!(!tx.send(1));
        assert!(!tx.is_open());
    }

    #[test]
    fn wakes_a_waiting_thread_and_a_waiting_task() {
        let (tx, mut rx) = bounded(1);
        let thread = std::thread::spawn(move || rx.recv_blocking());
        tx.send("thread");
        assert_eq!(thread.join().unwrap(), Some("thread"));

        let (tx, mut rx) = bounded(1);
        let (waker, woken) = flag_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(rx.poll_recv(&mut cx).is_pending());
        tx.send("task");
        assert!(woken.load(std::sync::atomic::Ordering::SeqCst));
        assert_eq!(rx.poll_recv(&mut cx), Poll::Ready(Some("task")));
        assert_eq!(
            rx.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Timeout)
        );
    }

    fn flag_waker() -> (Waker, Arc<std::sync::atomic::AtomicBool>) {
        struct Flag(Arc<std::sync::atomic::AtomicBool>);
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let flag = Arc::new(std::sync::atomic::AtomicBool::new(false));
        (Waker::from(Arc::new(Flag(Arc::clone(&flag)))), flag)
    }
}
