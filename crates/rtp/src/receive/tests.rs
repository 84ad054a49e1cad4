use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::payload::PayloadFormat;
use crate::send;

const MS: Duration = Duration::from_millis(1);

#[allow(
    clippy::disallowed_methods,
    reason = "one base for the simulated clock"
)]
fn start() -> Instant {
    Instant::now()
}

fn kind(number: u8, format: PayloadFormat, rtx: Option<u8>) -> PayloadType {
    PayloadType {
        number,
        format,
        rtx,
    }
}

fn video_config() -> Config {
    let mut config = Config::new(
        Ssrc(10),
        Ssrc(1),
        vec![kind(96, PayloadFormat::Vp8, Some(97))],
    );
    config.rtx = Some(Ssrc(11));
    config.playout = Playout::IMMEDIATE;
    config.video_orientation = Some(3);
    config
}

fn sender() -> send::Stream {
    let mut config = send::Config::new(Ssrc(10), 96, PayloadFormat::Vp8);
    config.rtx = Some((Ssrc(11), 97));
    config.video_orientation = Some(3);
    send::Stream::new(config, StdRng::seed_from_u64(5))
}

/// The packets of a frame whose first byte marks it as keyframe or not and whose others are its number.
fn frame(
    sender: &mut send::Stream,
    now: Instant,
    number: u8,
    keyframe: bool,
    len: usize,
) -> Vec<Bytes> {
    let mut data = vec![number; len];
    data[0] = u8::from(!keyframe);
    sender.write_frame(
        now,
        &send::OutgoingFrame {
            data: data.into(),
            timestamp: u32::from(number) * 3000,
            keyframe,
            orientation: keyframe.then_some(VideoOrientation {
                quarter_turns: 1,
                ..Default::default()
            }),
            ..Default::default()
        },
    );
    drain(sender, now)
}

fn drain(sender: &mut send::Stream, now: Instant) -> Vec<Bytes> {
    std::iter::from_fn(|| {
        let mut buf = Vec::new();
        sender.poll_transmit(now, &mut buf)?;
        Some(Bytes::from(buf))
    })
    .collect()
}

fn numbers(stream: &mut Stream, now: Instant) -> Vec<u8> {
    std::iter::from_fn(|| stream.poll_frame(now))
        .map(|frame| frame.data[1])
        .collect()
}

/// What feedback is due: numbers asked for, and how many PLI and FIR.
fn feedback(stream: &mut Stream, now: Instant) -> (Vec<u16>, usize, Vec<u8>) {
    let mut buf = Vec::new();
    while stream.poll_feedback(now, &mut buf).is_some() {}
    let (mut lost, mut plis, mut firs) = (Vec::new(), 0, Vec::new());
    for packet in rtcp::packets(&buf) {
        match packet.unwrap() {
            rtcp::Packet::Nack(nack) => lost.extend(nack.lost().map(|seq| seq.0)),
            rtcp::Packet::Pli(_) => plis += 1,
            rtcp::Packet::Fir(fir) => firs.extend(fir.entries().map(|entry| entry.sequence)),
            _ => {}
        }
    }
    (lost, plis, firs)
}

#[test]
fn frames_come_in_order_whatever_the_order_of_their_packets() {
    let now = start();
    let mut sender = sender();
    let mut stream = Stream::new(video_config(), now);
    let mut packets = frame(&mut sender, now, 1, true, 3000);
    packets.extend(frame(&mut sender, now, 2, false, 2000));
    packets.extend(frame(&mut sender, now, 3, false, 100));
    packets.reverse();
    for packet in &packets {
        stream.handle_packet(now, packet.clone());
        // Each packet twice.
        stream.handle_packet(now, packet.clone());
    }
    let first = stream.poll_frame(now).unwrap();
    assert!(first.keyframe && first.marker);
    assert_eq!(first.orientation.unwrap().quarter_turns, 1);
    assert_eq!(first.data.len(), 3000);
    assert_eq!(numbers(&mut stream, now), [2, 3]);
    let stats = stream.stats();
    assert_eq!(stats.packets_duplicated, packets.len() as u64);
    assert_eq!((stats.frames_received, stats.key_frames_received), (3, 1));
    assert_eq!(stats.packets_lost, -(packets.len() as i64));
    // The orientation holds until another is told.
    let packets = frame(&mut sender, now, 4, false, 100);
    stream.handle_packet(now, packets[0].clone());
    assert_eq!(
        stream
            .poll_frame(now)
            .unwrap()
            .orientation
            .unwrap()
            .quarter_turns,
        1
    );
}

#[test]
fn nothing_is_delivered_before_a_keyframe_which_is_asked_for_until_it_comes() {
    let now = start();
    let mut sender = sender();
    let mut stream = Stream::new(video_config(), now);
    for packet in frame(&mut sender, now, 1, false, 2000) {
        stream.handle_packet(now, packet);
    }
    assert_eq!(feedback(&mut stream, now).1, 0);
    assert_eq!(stream.poll_timeout(), Some(now + 20 * MS));
    assert_eq!(feedback(&mut stream, now + 20 * MS).1, 1);
    assert_eq!(feedback(&mut stream, now + 319 * MS).1, 0);
    assert_eq!(feedback(&mut stream, now + 320 * MS).1, 1);
    let later = now + 400 * MS;
    assert!(numbers(&mut stream, later).is_empty());
    for packet in frame(&mut sender, later, 2, true, 2000) {
        stream.handle_packet(later, packet);
    }
    assert_eq!(numbers(&mut stream, later), [2]);
    assert_eq!(stream.poll_timeout(), None);
    assert_eq!(feedback(&mut stream, now + Duration::from_secs(5)).1, 0);
}

#[test]
fn a_hole_waits_for_its_repair_and_is_given_up_in_the_end() {
    let now = start();
    let mut sender = sender();
    let mut stream = Stream::new(video_config(), now);
    for packet in frame(&mut sender, now, 1, true, 100) {
        stream.handle_packet(now, packet);
    }
    assert_eq!(numbers(&mut stream, now), [1]);
    let lost = frame(&mut sender, now, 2, false, 100);
    let seq = Packet::parse(&lost[0]).unwrap().sequence_number();
    for number in 3..6 {
        for packet in frame(&mut sender, now, number, false, 100) {
            stream.handle_packet(now, packet);
        }
    }
    assert!(numbers(&mut stream, now).is_empty());
    assert_eq!(feedback(&mut stream, now), (vec![seq.0], 0, vec![]));
    // The wait ends at its deadline, which the timeout names; several requests went out in vain.
    let mut moment = now;
    while stream.stats().gaps == 0 {
        moment = stream.poll_timeout().unwrap();
        stream.handle_timeout(moment);
        feedback(&mut stream, moment);
    }
    assert_eq!(moment, now + 600 * MS);
    assert_eq!(stream.stats().pli_count, 1);
    assert!((3..=6).contains(&stream.stats().nack_count));
    // What follows cannot be decoded; a keyframe can, and tells how much was lost.
    for packet in frame(&mut sender, moment, 6, false, 100) {
        stream.handle_packet(moment, packet);
    }
    assert!(numbers(&mut stream, moment).is_empty());
    for packet in frame(&mut sender, moment, 7, true, 100) {
        stream.handle_packet(moment, packet);
    }
    let keyframe = stream.poll_frame(moment).unwrap();
    assert_eq!((keyframe.data[1], keyframe.lost_before), (7, 1));
}

#[test]
fn a_repair_on_the_retransmission_stream_fills_the_hole() {
    let now = start();
    let mut sender = sender();
    let mut stream = Stream::new(video_config(), now);
    let mut packets = frame(&mut sender, now, 1, true, 5000);
    let lost = packets.remove(2);
    for packet in packets {
        stream.handle_packet(now, packet);
    }
    let mut buf = Vec::new();
    stream.poll_feedback(now, &mut buf).unwrap();
    for packet in rtcp::packets(&buf) {
        sender.handle_rtcp(now, &packet.unwrap());
    }
    let later = now + 40 * MS;
    let repair = drain(&mut sender, later);
    assert_eq!(Packet::parse(&repair[0]).unwrap().ssrc(), Ssrc(11));
    stream.handle_packet(later, repair[0].clone());
    let whole = stream.poll_frame(later).unwrap();
    assert_eq!(whole.data.len(), 5000);
    let stats = stream.stats();
    assert_eq!(stats.retransmitted_packets_received, 1);
    assert_eq!(stats.round_trip_time, Some(40 * MS));
    // By RFC 3550 it stays lost: the repair came on a stream of its own.
    assert_eq!(stats.packets_lost, 1);
    // The same repair again, or the packet after all, changes nothing.
    stream.handle_packet(later, repair[0].clone());
    stream.handle_packet(later, lost);
    assert!(stream.poll_frame(later).is_none());
    assert_eq!(stream.stats().packets_duplicated, 2);
}

#[test]
fn a_whole_keyframe_ends_the_waiting_for_what_came_before_it() {
    let now = start();
    let mut sender = sender();
    let mut stream = Stream::new(video_config(), now);
    for packet in frame(&mut sender, now, 1, true, 100) {
        stream.handle_packet(now, packet);
    }
    frame(&mut sender, now, 2, false, 100);
    for (number, keyframe) in [(3, false), (4, true), (5, false)] {
        for packet in frame(&mut sender, now, number, keyframe, 2000) {
            stream.handle_packet(now, packet);
        }
    }
    assert_eq!(numbers(&mut stream, now), [1, 4, 5]);
    assert_eq!(feedback(&mut stream, now), (vec![], 0, vec![]));
}

#[test]
fn forwarding_gets_packets_as_they_come_with_repairs_unwrapped() {
    let now = start();
    let mut sender = sender();
    let mut config = video_config();
    config.delivery = Delivery::Packets;
    let mut stream = Stream::new(config, now);
    let packets = frame(&mut sender, now, 1, true, 5000);
    for (index, packet) in packets.iter().enumerate() {
        if index != 1 {
            stream.handle_packet(now, packet.clone());
        }
    }
    let (lost, ..) = feedback(&mut stream, now);
    let mut buf = Vec::new();
    rtcp::Writer::new(&mut buf).nack(Ssrc(1), Ssrc(10), lost.into_iter().map(SeqNum));
    for packet in rtcp::packets(&buf) {
        sender.handle_rtcp(now, &packet.unwrap());
    }
    for packet in drain(&mut sender, now) {
        stream.handle_packet(now, packet);
    }
    let forwarded: Vec<_> = std::iter::from_fn(|| stream.poll_packet(now)).collect();
    assert_eq!(forwarded.len(), packets.len());
    assert_eq!(forwarded[0], packets[0]);
    let (repaired, original) = (
        Packet::parse(forwarded.last().unwrap()).unwrap(),
        Packet::parse(&packets[1]).unwrap(),
    );
    assert_eq!(repaired.ssrc(), original.ssrc());
    assert_eq!(repaired.sequence_number(), original.sequence_number());
    assert_eq!(repaired.payload_type(), original.payload_type());
    assert_eq!(repaired.payload(), original.payload());
}

#[test]
fn what_is_not_the_streams_changes_nothing_but_a_counter() {
    let now = start();
    let mut stream = Stream::new(video_config(), now);
    let mut other = send::Stream::new(
        send::Config::new(Ssrc(99), 96, PayloadFormat::Vp8),
        StdRng::seed_from_u64(1),
    );
    let mut unknown = send::Stream::new(
        send::Config::new(Ssrc(10), 50, PayloadFormat::Vp8),
        StdRng::seed_from_u64(1),
    );
    stream.handle_packet(now, Bytes::from_static(b"garbage"));
    stream.handle_packet(now, frame(&mut other, now, 1, true, 10).remove(0));
    stream.handle_packet(now, frame(&mut unknown, now, 1, true, 10).remove(0));
    assert_eq!(stream.stats().packets_invalid, 3);
    assert_eq!(stream.stats().packets_received, 0);
    assert_eq!(
        (stream.poll_timeout(), stream.report_block(now)),
        (None, None)
    );
}

#[test]
fn without_pli_numbered_fir_is_sent_and_full_compounds_where_asked_for() {
    let now = start();
    let mut config = video_config();
    config.pli = false;
    config.fir = true;
    config.reduced_size = false;
    config.cname = "me".into();
    let mut stream = Stream::new(config, now);
    stream.request_keyframe(now);
    let mut buf = Vec::new();
    stream.poll_feedback(now, &mut buf).unwrap();
    let kinds: Vec<_> = rtcp::packets(&buf).map(Result::unwrap).collect();
    assert!(matches!(kinds[0], rtcp::Packet::ReceiverReport(_)));
    assert!(matches!(kinds[1], rtcp::Packet::Sdes(sdes) if sdes.cname(Ssrc(1)) == Some("me")));
    assert!(matches!(kinds[2], rtcp::Packet::Fir(_)));
    assert_eq!(feedback(&mut stream, now + 300 * MS).2, [1]);
    assert_eq!(stream.stats().fir_count, 2);
}

#[test]
fn a_buffer_nobody_empties_drops_the_oldest_and_needs_a_keyframe() {
    let now = start();
    let mut sender = sender();
    let mut config = video_config();
    config.max_packets = 32;
    let mut stream = Stream::new(config, now);
    for number in 0..100 {
        for packet in frame(&mut sender, now, number, number == 0 || number == 90, 100) {
            stream.handle_packet(now, packet);
        }
    }
    assert_eq!(numbers(&mut stream, now), (90..100).collect::<Vec<_>>());
    assert!(stream.stats().packets_discarded >= 68);
}

fn audio_sender(seed: u64) -> send::Stream {
    let mut config = send::Config::new(Ssrc(20), 111, PayloadFormat::Opus);
    config.audio_level = Some(2);
    send::Stream::new(config, StdRng::seed_from_u64(seed))
}

fn audio_packets(sender: &mut send::Stream, now: Instant, count: u8) -> Vec<Bytes> {
    for number in 0..count {
        sender.write_frame(
            now,
            &send::OutgoingFrame {
                data: Bytes::from(vec![0xf8, number]),
                timestamp: u32::from(number) * 960,
                audio_level: Some(AudioLevel {
                    voice: true,
                    level: number,
                }),
                ..Default::default()
            },
        );
    }
    drain(sender, now)
}

fn audio_config() -> Config {
    let mut config = Config::new(
        Ssrc(20),
        Ssrc(1),
        vec![kind(111, PayloadFormat::Opus, None)],
    );
    config.audio_level = Some(2);
    config
}

#[test]
fn audio_plays_at_its_own_pace_and_tells_what_is_missing() {
    let now = start();
    let packets = audio_packets(&mut audio_sender(1), now, 60);
    let mut stream = Stream::new(audio_config(), now);
    let mut played = Vec::new();
    for (index, packet) in packets.into_iter().enumerate() {
        // One packet is 8 ms late, in time; two are lost.
        let late = if index == 40 { 8 * MS } else { Duration::ZERO };
        let arrival = now + 20 * MS * index as u32 + late;
        // Up to the arrival, do what is due.
        while let Some(at) = stream.poll_timeout().filter(|at| *at <= arrival) {
            stream.handle_timeout(at);
            while let Some(frame) = stream.poll_frame(at) {
                played.push((at - now, frame));
            }
        }
        if index != 30 && index != 31 {
            stream.handle_packet(arrival, packet);
        }
    }
    for pair in played.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        let expected = 20 * MS + pair[1].1.missing_before;
        // The delay shrinks by 2 % of the time at most.
        assert!(
            apart <= expected && apart >= expected * 19 / 20,
            "{apart:?}"
        );
    }
    let gaps: Vec<_> = played
        .iter()
        .filter(|(_, frame)| frame.lost_before > 0)
        .map(|(_, frame)| (frame.data[1], frame.lost_before, frame.missing_before))
        .collect();
    assert_eq!(gaps, [(32, 2, 40 * MS)]);
    let level = played[5].1.audio_level.unwrap();
    assert_eq!((level.level, level.voice), (5, true));
}

#[test]
fn sound_in_the_buffer_is_counted_by_the_sample_and_against_what_the_network_needs() {
    let start = start();
    let mut config = audio_config();
    config.playout.min_delay = 100 * MS;
    let mut stream = Stream::new(config, start);
    let packets = audio_packets(&mut audio_sender(3), start, 200);
    let mut now = start;
    for packet in packets {
        stream.handle_packet(now, packet);
        now += 20 * MS;
        while stream.poll_frame(now).is_some() {}
    }
    let stats = stream.stats();
    assert_eq!(stats.payload_type, Some(111));
    assert_eq!(
        stats.jitter_buffer_emitted_count,
        stats.frames_received * 960
    );
    let each = |sum: Duration| sum / u32::try_from(stats.jitter_buffer_emitted_count).unwrap();
    let (target, least) = (
        each(stats.jitter_buffer_target_delay),
        each(stats.jitter_buffer_minimum_delay),
    );
    assert!(
        target >= 100 * MS && least < 40 * MS,
        "{target:?} {least:?}"
    );
    assert!(each(stats.jitter_buffer_delay) > 80 * MS);
}

#[test]
fn a_frame_tells_how_many_packets_it_came_in_and_when() {
    let now = start();
    let mut stream = Stream::new(video_config(), now);
    let packets = frame(&mut sender(), now, 0, true, 3_000);
    assert_eq!(packets.len(), 3);
    for (packet, late) in packets.into_iter().zip([0, 5, 9]) {
        stream.handle_packet(now + late * MS, packet);
    }
    let frame = stream.poll_frame(now + 9 * MS).unwrap();
    assert_eq!(frame.packets, 3);
    assert_eq!((frame.arrival, frame.complete), (now, now + 9 * MS));
}

#[test]
fn what_the_sender_counts_goes_on_where_its_bits_wrap() {
    assert_eq!(unwrapped(None, u32::MAX), u64::from(u32::MAX));
    assert_eq!(unwrapped(Some(u64::from(u32::MAX)), 4), (1 << 32) + 4);
    assert_eq!(unwrapped(Some(100), 90), 100, "an overtaken report");
}

#[test]
fn a_sender_that_starts_anew_is_followed() {
    let now = start();
    let mut stream = Stream::new(audio_config(), now);
    let mut count = 0;
    let mut moment = now;
    for seed in [1, 2] {
        for packet in audio_packets(&mut audio_sender(seed), now, 50) {
            moment += 20 * MS;
            stream.handle_packet(moment, packet);
            while stream.poll_frame(moment).is_some() {
                count += 1;
            }
        }
    }
    moment += Duration::from_secs(2);
    while stream.poll_frame(moment).is_some() {
        count += 1;
    }
    // All but the packet that announced the new numbering.
    assert_eq!(count, 99);
}

#[test]
fn the_sender_may_ask_for_a_playout_delay() {
    let now = start();
    let mut config = audio_config();
    config.playout_delay = Some(5);
    let mut stream = Stream::new(config, now);
    let mut buf = Vec::new();
    let header = Header {
        payload_type: 111,
        ssrc: Ssrc(20),
        ..Header::default()
    };
    let mut writer = Writer::new(&mut buf, header, &[]);
    let delay = ext::PlayoutDelay {
        min: 200 * MS,
        max: 400 * MS,
    };
    writer.extension(5, &delay.to_bytes());
    writer.payload(&[0xf8]);
    writer.finish();
    stream.handle_packet(now, Bytes::from(buf));
    assert_eq!(stream.poll_timeout(), Some(now + 200 * MS));
    assert!(stream.poll_frame(now + 199 * MS).is_none());
    assert!(stream.poll_frame(now + 200 * MS).is_some());
}

proptest! {
    /// Packets of a real stream, shuffled, damaged, dropped and repeated: frames stay in order and whole.
    #[test]
    fn no_disorder_breaks_frames(events in prop::collection::vec((0usize..400, 0u64..30, 0u8..8), 0..300)) {
        let now = start();
        let mut sender = sender();
        let mut stream = Stream::new(video_config(), now);
        let mut packets = Vec::new();
        for number in 0..100u8 {
            packets.extend(frame(&mut sender, now, number, number % 10 == 0, 2500));
        }
        let mut moment = now;
        let mut last: Option<u32> = None;
        for (index, wait, damage) in events {
            moment += Duration::from_millis(wait);
            let Some(packet) = packets.get(index).cloned() else { continue };
            let packet = if damage == 0 {
                let mut bytes = packet.to_vec();
                let place = index % bytes.len();
                bytes[place] ^= 0x55;
                // Number, timestamp and body are left alone: their order and content are what is checked.
                if place >= 16 || (2..8).contains(&place) { bytes[place] ^= 0x55; }
                Bytes::from(bytes)
            } else {
                packet
            };
            stream.handle_packet(moment, packet);
            stream.handle_timeout(moment);
            while let Some(frame) = stream.poll_frame(moment) {
                let after = last.is_none_or(|last| (frame.timestamp.wrapping_sub(last) as i32) > 0);
                prop_assert!(after);
                prop_assert_eq!(frame.data.len(), 2500);
                prop_assert!(frame.data[1..].iter().all(|byte| *byte == frame.data[1]));
                last = Some(frame.timestamp);
            }
            let mut buf = Vec::new();
            while stream.poll_feedback(moment, &mut buf).is_some() {}
            prop_assert!(stream.poll_timeout().is_none_or(|at| at >= moment));
        }
    }
}
