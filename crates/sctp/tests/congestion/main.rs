//! Congestion control where it matters to others: several associations over one bottleneck, and losses that no queue
//! explains.
#![allow(unreachable_pub, missing_docs, dead_code)]

#[path = "../peers/mod.rs"]
mod peers;
mod shared;

use std::time::Duration;

use netsim::{LinkConfig, Loss};
use sctp::config::CongestionControl::{self, Cubic, LossTolerantCubic, NewReno};

use self::shared::{Flow, Outcome, run};

/// A path with a queue that holds so many bandwidth-delay products.
fn bottleneck(megabits: u64, round_trip: u64, products: f64) -> LinkConfig {
    let product = (megabits * 1_000_000 / 8 * round_trip / 1000) as f64;
    LinkConfig {
        latency: Duration::from_micros(round_trip * 500),
        rate_bps: Some(megabits * 1_000_000),
        queue_bytes: (product * products) as usize,
        ..LinkConfig::default()
    }
}

fn lossy(megabits: u64, round_trip: u64, loss: f64) -> LinkConfig {
    LinkConfig {
        loss: Loss::Random(loss),
        ..bottleneck(megabits, round_trip, 1.0)
    }
}

/// The mean over two seeds of what one flow carries alone, in Mbit/s.
fn alone(link: &LinkConfig, kind: CongestionControl) -> f64 {
    let one = |seed| run(seed, link.clone(), &[Flow::ours(kind)], 100).megabits[0];
    (one(1) + one(2)) / 2.0
}

#[test]
fn at_60_ms_and_random_loss_the_default_carries_at_least_twice_what_new_reno_does() {
    for (megabits, loss) in [(18, 0.01), (100, 0.01), (100, 0.001), (100, 0.05)] {
        let link = lossy(megabits, 60, loss);
        let [reno, cubic, tolerant] = [NewReno, Cubic, LossTolerantCubic].map(|k| alone(&link, k));
        println!(
            "60 ms, {megabits} Mbit/s, {} % loss: NewReno {reno:.2}, CUBIC {cubic:.2}, loss-tolerant {tolerant:.2} \
             Mbit/s: {:.1} times NewReno",
            loss * 100.0,
            tolerant / reno
        );
        assert!(
            tolerant >= 2.0 * reno,
            "{tolerant:.2} against {reno:.2} Mbit/s"
        );
    }
}

/// One of them starts 10 s after the other; returns the share of `first` and the rest.
fn together(
    link: &LinkConfig,
    first: CongestionControl,
    second: CongestionControl,
    starts: [u64; 2],
) -> Outcome {
    let flows = [
        Flow::ours(first).after(starts[0]),
        Flow::ours(second).after(starts[1]),
    ];
    run(1, link.clone(), &flows, 100)
}

#[test]
fn others_at_a_drop_tail_queue_keep_what_cubic_would_leave_them() {
    // The last is a queue of 3 ms.
    for products in [1.0, 0.25, 0.05] {
        let link = bottleneck(18, 60, products);
        let reno = if products == 1.0 { 0.3 } else { 0.25 };
        for (other, least) in [(NewReno, reno), (Cubic, 0.35), (LossTolerantCubic, 0.35)] {
            for starts in [[0, 10], [10, 0]] {
                let it = together(&link, other, LossTolerantCubic, starts);
                let beside_cubic = together(&link, other, Cubic, starts);
                println!(
                    "queue {products} BDP, {other:?} from {} s: share {:.2}, beside CUBIC {:.2}; dropped {:.2} % and {:.2} %, \
                     queue filled {:.2} and {:.2}; {:.1} Mbit/s in all",
                    starts[0],
                    it.share(0),
                    beside_cubic.share(0),
                    it.dropped * 100.0,
                    beside_cubic.dropped * 100.0,
                    it.queue,
                    beside_cubic.queue,
                    it.total(),
                );
                assert!(it.share(0) > least, "a share of {:.2}", it.share(0));
                assert!(it.share(0) < 1.0 - least, "a share of {:.2}", it.share(0));
                assert!(it.dropped < 0.001, "{} dropped", it.dropped);
                assert!(it.queue < 0.9, "the queue is filled to {:.2}", it.queue);
                assert!(it.total() > 14.5, "{:.1} Mbit/s", it.total());
                if products == 1.0 {
                    let difference = (it.share(0) - beside_cubic.share(0)).abs();
                    assert!(difference < 0.03, "{difference:.2} from CUBIC");
                }
            }
        }
    }
}

#[test]
fn ten_flows_share_a_bottleneck_without_overflowing_it() {
    let flows: Vec<_> = (0..10)
        .map(|n| Flow::ours(LossTolerantCubic).after(n))
        .collect();
    let it = run(1, bottleneck(18, 60, 1.0), &flows, 120);
    let squares: f64 = it.megabits.iter().map(|m| m * m).sum();
    let fairness = it.total() * it.total() / (10.0 * squares);
    println!("fairness {fairness:.3}, {it:?}");
    assert!(fairness > 0.9, "Jain's index {fairness:.2}");
    assert!(it.dropped < 0.02, "{} dropped", it.dropped);
    assert!(it.total() > 16.5, "{:.1} Mbit/s", it.total());
}

#[test]
fn a_new_reno_flow_on_a_lossy_path_loses_nothing_to_a_tolerant_one() {
    let link = lossy(18, 60, 0.01);
    let reno = alone(&link, NewReno);
    let it = together(&link, NewReno, LossTolerantCubic, [0, 0]);
    println!("alone {reno:.2}, together {:.2?} Mbit/s", it.megabits);
    assert!(it.megabits[0] > 0.8 * reno);
    assert!(it.megabits[1] > 2.0 * reno);
}

#[test]
fn a_queue_seen_makes_the_back_off_that_of_cubic() {
    // Random loss and a bottleneck that is reached: the queue stays short.
    let link = LinkConfig {
        loss: Loss::Random(0.01),
        ..bottleneck(5, 60, 2.0)
    };
    let it = run(1, link, &[Flow::ours(LossTolerantCubic)], 120);
    println!("{it:?}");
    assert!(it.queue < 0.3, "the queue is filled to {:.2}", it.queue);
    assert!(it.megabits[0] > 3.5, "{:.1} Mbit/s", it.megabits[0]);
}
