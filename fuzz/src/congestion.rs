//! Congestion control fed with whatever a receiver might report.

use std::time::{Duration, Instant};

use congestion::{Config, Controller, EcnMark, Priority, Sent};

#[allow(
    clippy::disallowed_methods,
    reason = "one base; only differences matter"
)]
fn base() -> Instant {
    Instant::now()
}

/// Steps of four bytes: what happens, a number, and an arrival.
pub fn congestion_feedback(data: &[u8]) {
    let mut now = base();
    let mut control = Controller::new(Config::default(), now);
    let (mut sequence, mut clock) = (0u16, 0u32);
    for step in data.as_chunks::<4>().0 {
        let &[what, number, high, low] = step;
        let value = u16::from_be_bytes([high, low]);
        now += Duration::from_millis(u64::from(number));
        match what % 4 {
            0 => {
                let size = usize::from(value);
                if control.admit(now, Priority::ALL[usize::from(number % 4)], size) {
                    control.sent(
                        now,
                        Sent {
                            ssrc: u32::from(number),
                            sequence,
                            transport_sequence: (what & 4 == 0).then_some(sequence),
                            size,
                        },
                    );
                    sequence = sequence.wrapping_add(1);
                }
            }
            1 => {
                let arrival = (what & 4 == 0).then_some(i64::from(value) << (what >> 3));
                let first = sequence.wrapping_sub(u16::from(number));
                control.handle_transport_feedback(now, [(first, arrival), (value, None)]);
            }
            2 => {
                clock = clock.wrapping_add(u32::from(value) << (what >> 4));
                let arrival = Some((what & 4 == 0).then_some(Duration::from_millis(value.into())));
                let ecn = EcnMark::CongestionExperienced;
                let packet = (u32::from(number), sequence.wrapping_sub(1), arrival, ecn);
                control.handle_stream_feedback(now, clock, [packet]);
            }
            _ => control.handle_timeout(now),
        }
        while control.poll_event().is_some() {}
        control.poll_timeout();
        let limits = congestion::Limits::default();
        assert!((limits.min..=limits.max).contains(&control.target()));
        control.snapshot();
    }
}
