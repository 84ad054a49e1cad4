//! What the benchmarks share: an allocator that counts, the CPU time of a thread, medians.
//!
//! A benchmark that counts allocations makes [`CountingAllocator`] its global one:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;
//!
//! let before = measure::allocations();
//! let text = String::from("one");
//! assert_eq!(measure::allocations() - before, 1);
//! # drop(text);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

// SAFETY: every call is passed on to the system's allocator as it is; counting touches no memory of the caller's.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        LIVE.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        LIVE.fetch_add(size as u64, Relaxed);
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// How often this process has asked for memory, if its allocator is [`CountingAllocator`].
pub fn allocations() -> u64 {
    CALLS.load(Relaxed)
}

/// Bytes that this process holds of its allocator, if that is [`CountingAllocator`].
pub fn live_bytes() -> u64 {
    LIVE.load(Relaxed)
}

/// What this thread has had of the CPU, where Linux tells: a busy machine's other work does not count.
pub fn thread_cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The middle of the values, the upper one of two.
///
/// # Panics
///
/// If there are none.
pub fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("values that have an order"));
    sorted[sorted.len() / 2]
}
