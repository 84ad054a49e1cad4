//! Two parties over a simulated network: audio and video both ways, with loss, reordering, duplication and bursts.

mod support;

use std::time::Duration;

use netsim::{LinkConfig, Loss, Pair};
use support::{Options, Party, median};

const MS: Duration = Duration::from_millis(1);
const SEEDS: u64 = 170;

fn call(seed: u64, link: LinkConfig, options: Options, seconds: u64) -> Pair<Party> {
    let mut pair = Pair::over(
        seed,
        link,
        |now| Party::new(now, true, options),
        |now| Party::new(now, false, options),
    );
    pair.run_for(Duration::from_secs(seconds));
    assert_eq!(pair.a.malformed + pair.b.malformed, 0);
    pair
}

fn link(latency: u32) -> LinkConfig {
    LinkConfig::with_latency(latency * MS)
}

fn rough(loss: f64) -> LinkConfig {
    LinkConfig {
        loss: Loss::Random(loss),
        jitter: 8 * MS,
        reorder: 0.02,
        duplicate: 0.02,
        ..link(30)
    }
}

#[test]
fn over_a_perfect_network_every_frame_arrives_soon() {
    let pair = call(1, link(20), Options::default(), 10);
    for party in [&pair.a, &pair.b] {
        let received = &party.received;
        assert!(received.video.len() > 295, "{}", received.video.len());
        assert!(received.audio.len() > 490, "{}", received.audio.len());
        assert_eq!((received.undecodable, received.concealed), (0, 0));
        assert_eq!(received.keyframes, 1);
        assert_eq!(party.video_in.stats().nack_count, 0);
        // Latency, the least playout delay and the histogram's resolution.
        assert!(
            median(&received.video_delays) < 40 * MS,
            "{:?}",
            median(&received.video_delays)
        );
        assert!(
            median(&received.audio_delays) < 40 * MS,
            "{:?}",
            median(&received.audio_delays)
        );
    }
}

#[test]
fn lost_video_is_repaired_on_the_retransmission_stream() {
    let pair = call(2, rough(0.05), Options::default(), 30);
    for (party, other) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
        let received = &party.received;
        assert_eq!(received.undecodable, 0);
        // 900 frames of four packets with 5 % loss: without repair one frame in five would be broken.
        assert!(received.video.len() > 890, "{}", received.video.len());
        assert!(received.video.is_sorted());
        let stats = party.video_in.stats();
        assert!(stats.retransmitted_packets_received > 100);
        assert!(stats.packets_duplicated > 0);
        assert!(
            median(&received.video_delays) < 300 * MS,
            "{:?}",
            median(&received.video_delays)
        );
        let sent = other.video_out.stats();
        assert!(sent.retransmitted_packets_sent >= stats.retransmitted_packets_received * 8 / 10);
        // Retransmissions stay near what was lost.
        assert!(
            sent.retransmitted_packets_sent < sent.packets_sent / 8,
            "{sent:?}"
        );
        let rtt = sent.round_trip_time.unwrap();
        assert!((60 * MS..90 * MS).contains(&rtt), "{rtt:?}");
        assert!(sent.remote.unwrap().packets_lost > 100);
    }
}

#[test]
fn lost_video_is_repaired_without_a_retransmission_stream() {
    let options = Options {
        rtx: false,
        ..Options::default()
    };
    let pair = call(3, rough(0.05), options, 20);
    let received = &pair.b.received;
    assert_eq!(received.undecodable, 0);
    assert!(received.video.len() > 590, "{}", received.video.len());
    assert!(pair.a.video_out.stats().retransmitted_packets_sent > 50);
}

#[test]
fn without_repair_a_keyframe_is_asked_for_and_the_call_goes_on() {
    let options = Options {
        nack: false,
        rtx: false,
        frame_len: 2_000,
        ..Options::default()
    };
    let pair = call(
        4,
        LinkConfig {
            loss: Loss::Random(0.01),
            ..link(30)
        },
        options,
        30,
    );
    let (received, stats) = (&pair.b.received, pair.b.video_in.stats());
    assert_eq!(received.undecodable, 0);
    assert!(stats.pli_count > 5, "{stats:?}");
    assert!(received.keyframes > 5);
    assert!(received.video.len() > 600, "{}", received.video.len());
    assert_eq!(stats.nack_count, 0);
}

#[test]
fn lost_audio_is_told_for_concealment() {
    let pair = call(5, rough(0.1), Options::default(), 30);
    let received = &pair.b.received;
    assert!(received.audio.is_sorted());
    let share = received.audio.len() as f64 / 1500.0;
    assert!((0.85..0.95).contains(&share), "{share}");
    // Every frame is either delivered or announced as missing.
    let last = *received.audio.last().unwrap();
    let first = received.audio[0];
    assert_eq!(
        received.audio.len() as u64 + received.concealed,
        last - first + 1
    );
    assert!(
        median(&received.audio_delays) < 80 * MS,
        "{:?}",
        median(&received.audio_delays)
    );
}

#[test]
fn bursts_that_repair_cannot_bridge_end_in_a_keyframe() {
    let link = LinkConfig {
        loss: Loss::bursts(0.1, 12.0),
        ..link(40)
    };
    let pair = call(6, link, Options::default(), 30);
    let received = &pair.b.received;
    assert_eq!(received.undecodable, 0);
    assert!(received.video.len() > 750, "{}", received.video.len());
}

#[test]
fn after_an_outage_the_call_recovers_at_once() {
    let mut pair = call(7, link(20), Options::default(), 5);
    let (a, perfect) = (pair.host_a(), link(20));
    let dead = LinkConfig {
        loss: Loss::Random(1.0),
        ..perfect.clone()
    };
    pair.network.set_link(a, dead);
    pair.run_for(Duration::from_secs(8));
    pair.network.set_link(a, perfect);
    let before = pair.b.received.video.len();
    let recovered = pair
        .run_until(Duration::from_secs(2), |_, b| {
            b.received.video.len() > before
        })
        .unwrap();
    assert!(recovered < 300 * MS, "{recovered:?}");
    let audio = pair.b.received.audio.len();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.b.received.undecodable, 0);
    assert!(pair.b.received.audio.len() > audio + 45);
}

#[test]
fn the_same_seed_gives_the_same_packets() {
    let run = |seed| {
        let pair = call(seed, rough(0.1), Options::default(), 5);
        (pair.network.trace_hash(), pair.b.received.video.clone())
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8).0, run(9).0);
}

#[test]
fn many_rough_networks_neither_break_nor_stall_a_call() {
    // Loss, bursts, jitter larger than a frame, narrow links with short queues: whatever comes, frames stay decodable and
    // keep coming.
    for seed in 100..SEEDS {
        let link = LinkConfig {
            loss: match seed % 3 {
                0 => Loss::Random((seed % 10) as f64 / 50.0),
                1 => Loss::bursts(0.05, (seed % 17 + 2) as f64),
                _ => Loss::None,
            },
            jitter: (seed % 5) as u32 * 15 * MS,
            reorder: (seed % 4) as f64 / 40.0,
            duplicate: (seed % 6) as f64 / 50.0,
            rate_bps: (seed % 7 == 0).then_some(2_500_000),
            ..link(10 + (seed % 8) as u32 * 20)
        };
        let options = Options {
            rtx: seed % 2 == 0,
            // Without repair only where nothing is lost: a large keyframe would hardly ever arrive whole.
            nack: seed % 3 != 2 || seed % 2 == 0,
            frame_len: 500 + (seed % 5) as usize * 1_500,
            ..Options::default()
        };
        let mut pair = call(seed, link, options, 8);
        for party in [&pair.a, &pair.b] {
            let received = &party.received;
            assert_eq!(received.undecodable, 0, "seed {seed}");
            assert!(
                received.video.is_sorted() && received.audio.is_sorted(),
                "seed {seed}"
            );
            assert!(
                received.video.len() > 20,
                "seed {seed}: {}",
                received.video.len()
            );
            assert!(
                received.audio.len() > 250,
                "seed {seed}: {}",
                received.audio.len()
            );
        }
        // And when the network heals, so does the call.
        let hosts = [pair.host_a(), pair.host_b()];
        for host in hosts {
            pair.network.set_link(host, self::link(10));
        }
        pair.run_for(Duration::from_secs(3));
        let before = pair.b.received.video.len();
        pair.run_for(Duration::from_secs(1));
        let after = pair.b.received.video.len() - before;
        assert!(after >= 27, "seed {seed}: {after} frames in a second");
    }
}
