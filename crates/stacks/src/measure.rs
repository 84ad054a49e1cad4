//! Clocks and counters of this process, and the columns of a table.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::net::sockopt;
use std::time::{Duration, Instant};

/// User and system time of all threads of this process.
pub(crate) fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What a piece of work took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
}

/// Starts counting; the result stops it.
pub(crate) fn start() -> impl FnOnce() -> Cost {
    let (began, before) = (Instant::now(), cpu());
    move || Cost {
        elapsed: began.elapsed(),
        cpu: cpu() - before,
    }
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * rustix::param::page_size()
}

/// The value below which `share` of the sorted samples lie.
pub(crate) fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let index = ((samples.len() as f64 - 1.0) * share).round() as usize;
    samples.get(index).copied().unwrap_or_default()
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Waits until one of the sockets can be read, or for so long.
pub(crate) fn wait_readable<'a>(
    sockets: impl IntoIterator<Item = &'a std::net::UdpSocket>,
    patience: Duration,
) {
    let mut watched: Vec<PollFd<'_>> = sockets
        .into_iter()
        .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
        .collect();
    let patience = Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: i64::from(patience.subsec_nanos()),
    };
    // Interrupted or not: the caller looks again.
    let _ = poll(&mut watched, Some(&patience));
}

/// Gives every UDP socket of this process buffers of `bytes`: the stacks beside ours have no option for it.
pub(crate) fn enlarge_buffers(bytes: usize) {
    let Ok(me) = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    ) else {
        return;
    };
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    for descriptor in descriptors.flatten() {
        let number = descriptor.file_name();
        let Some(number) = number.to_str().and_then(|text| text.parse().ok()) else {
            continue;
        };
        let Ok(socket) =
            rustix::process::pidfd_getfd(&me, number, rustix::process::PidfdGetfdFlags::empty())
        else {
            continue;
        };
        if sockopt::socket_type(&socket) == Ok(rustix::net::SocketType::DGRAM) {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, bytes);
            let _ = sockopt::set_socket_send_buffer_size(&socket, bytes);
        }
    }
}
