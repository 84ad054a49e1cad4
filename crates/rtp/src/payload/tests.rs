use proptest::prelude::*;
use rand::SeedableRng;

use super::*;

/// Cuts a frame, checks the sizes, and puts it together again.
fn round_trip(format: PayloadFormat, data: &Bytes, keyframe: bool, room: usize) -> Vec<Fragment> {
    let mut packetizer = Packetizer::new(format, &mut StdRng::seed_from_u64(1));
    let mut payloads = Vec::new();
    let layer = Some(TemporalLayer {
        id: 1,
        sync: true,
        discardable: true,
    });
    packetizer
        .packetize(data, keyframe, layer, room, |chunk| {
            let mut payload = chunk.prefix.as_slice().to_vec();
            payload.extend_from_slice(&chunk.body);
            assert!(payload.len() <= room);
            payloads.push((Bytes::from(payload), chunk.last));
        })
        .unwrap();
    let lasts: Vec<_> = payloads.iter().map(|(_, last)| *last).collect();
    assert_eq!(lasts.iter().filter(|last| **last).count(), 1);
    assert_eq!(lasts.last(), Some(&true));
    let fragments: Vec<_> = payloads
        .iter()
        .map(|(payload, _)| inspect(format, payload).unwrap())
        .collect();
    let joined = join(
        format,
        payloads
            .iter()
            .zip(&fragments)
            .map(|((payload, _), fragment)| (payload, fragment.body)),
    );
    assert_eq!(&joined, data);
    fragments
}

#[test]
fn a_vp8_keyframe_is_known_by_its_first_fragment() {
    let mut data = vec![0x10; 3000];
    let fragments = round_trip(PayloadFormat::Vp8, &Bytes::from(data.clone()), true, 1000);
    assert_eq!(fragments.len(), 4);
    assert!(fragments[0].keyframe && fragments[0].start == Some(true));
    assert!(
        fragments[1..]
            .iter()
            .all(|fragment| !fragment.keyframe && fragment.start == Some(false))
    );
    assert!(
        fragments
            .iter()
            .all(|fragment| fragment.temporal_id == Some(1) && fragment.discardable)
    );
    assert!(
        fragments
            .windows(2)
            .all(|pair| pair[0].picture_id == pair[1].picture_id)
    );
    data[0] = 0x11;
    assert!(!round_trip(PayloadFormat::Vp8, &Bytes::from(data), false, 1000)[0].keyframe);
}

#[test]
fn vp8_descriptors_of_the_rfc_are_understood() {
    // RFC 7741 §4.5: with a PictureID of 7 bits, without extension, with one of 15 bits.
    let short = inspect(PayloadFormat::Vp8, &[0x90, 0x80, 0x11, 0x00]).unwrap();
    assert_eq!((short.body, short.picture_id), (3, Some(0x11)));
    assert!(short.keyframe);
    let plain = inspect(PayloadFormat::Vp8, &[0x10, 0x01]).unwrap();
    assert_eq!((plain.body, plain.picture_id), (1, None));
    assert!(!plain.keyframe);
    let long = inspect(PayloadFormat::Vp8, &[0x80, 0x80, 0x92, 0x34, 9]).unwrap();
    assert_eq!((long.body, long.picture_id), (4, Some(0x1234)));
    assert_eq!(
        inspect(PayloadFormat::Vp8, &[0x90, 0x80, 0x92]),
        Err(PayloadError::Truncated)
    );
}

#[test]
fn vp9_structures_and_references_are_stepped_over() {
    // Flexible, two references, one layer with its size, two pictures in the group.
    let payload = [
        0b1101_1010,
        0x05, // picture
        0x03, // P_DIFF 1, another follows
        0x04, // P_DIFF 2
        0b0001_1000,
        0x02,
        0x80,
        0x01,
        0xe0, // 640 × 480
        2,
        0b0000_0100,
        1,
        0b0010_0000,
        0xaa,
    ];
    let fragment = inspect(PayloadFormat::Vp9, &payload).unwrap();
    assert_eq!(fragment.body, 13);
    assert_eq!(fragment.start, Some(true));
    assert!(!fragment.keyframe);
}

#[test]
fn an_h264_access_unit_becomes_single_units_and_fragments() {
    let mut data = Vec::new();
    for unit in [&[0x67, 1, 2][..], &[0x68, 3], &[0x65; 2500]] {
        data.extend_from_slice(&[0, 0, 0, 1]);
        data.extend_from_slice(unit);
    }
    let fragments = round_trip(PayloadFormat::H264, &Bytes::from(data), true, 1000);
    assert_eq!(fragments.len(), 5);
    assert!(fragments[0].keyframe && !fragments[1].keyframe && fragments[2].keyframe);
    // Three-byte start codes and a delimiter come out normalised.
    let mut packetizer = Packetizer::new(PayloadFormat::H264, &mut StdRng::seed_from_u64(1));
    let mut units = Vec::new();
    let data = Bytes::from_static(&[0, 0, 1, 9, 16, 0, 0, 0, 1, 0x41, 7, 0, 0, 1, 0x41, 8]);
    packetizer
        .packetize(&data, false, None, 1000, |chunk| units.push(chunk.body))
        .unwrap();
    assert_eq!(units, [&[0x41, 7][..], &[0x41, 8]]);
}

#[test]
fn an_aggregated_h264_packet_is_taken_apart() {
    let payload = Bytes::from_static(&[24, 0, 2, 0x67, 1, 0, 1, 0x68]);
    assert!(inspect(PayloadFormat::H264, &payload).unwrap().keyframe);
    let joined = join(PayloadFormat::H264, [(&payload, 0)].into_iter());
    assert_eq!(&joined[..], [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68]);
}

#[test]
fn an_opus_packet_tells_its_duration() {
    // 20 ms CELT, one frame; two of them; SILK 60 ms; three frames of 2.5 ms counted in the second byte.
    assert_eq!(audio::opus_samples(&[0xf8]), Some(960));
    assert_eq!(audio::opus_samples(&[0xf9]), Some(1920));
    assert_eq!(audio::opus_samples(&[0x18]), Some(2880));
    assert_eq!(audio::opus_samples(&[0xe3, 3]), Some(360));
    assert_eq!(audio::opus_samples(&[0x1b, 63]), None);
    assert_eq!(audio::opus_samples(&[]), None);
}

#[test]
fn audio_too_large_for_a_packet_is_refused() {
    let mut packetizer = Packetizer::new(PayloadFormat::Opus, &mut StdRng::seed_from_u64(1));
    let data = Bytes::from(vec![0; 2000]);
    assert_eq!(
        packetizer.packetize(&data, true, None, 1000, |_| ()),
        Err(PacketizeError::TooLarge {
            len: 2000,
            room: 1000
        })
    );
}

proptest! {
    #[test]
    fn frames_survive_cutting_and_joining(data in prop::collection::vec(any::<u8>(), 1..5000), room in 20usize..1300, keyframe: bool) {
        let data = Bytes::from(data);
        round_trip(PayloadFormat::Vp8, &data, keyframe, room);
        let fragments = round_trip(PayloadFormat::Vp9, &data, keyframe, room);
        prop_assert_eq!(fragments[0].keyframe, keyframe);
    }

    #[test]
    fn h264_units_survive_cutting_and_joining(
        units in prop::collection::vec((1u8..24, prop::collection::vec(1u8..=255, 1..3000)), 1..5), room in 20usize..1300,
    ) {
        let mut data = Vec::new();
        for (kind, content) in units.iter().filter(|(kind, _)| *kind != 9) {
            data.extend_from_slice(&[0, 0, 0, 1, 0x60 | kind]);
            data.extend_from_slice(content);
        }
        if !data.is_empty() {
            round_trip(PayloadFormat::H264, &Bytes::from(data), false, room);
        }
    }

    #[test]
    fn no_payload_makes_a_reader_panic(data in prop::collection::vec(any::<u8>(), 0..60)) {
        let payload = Bytes::from(data);
        for format in [PayloadFormat::Vp8, PayloadFormat::Vp9, PayloadFormat::H264, PayloadFormat::Opus] {
            if let Ok(fragment) = inspect(format, &payload) {
                join(format, [(&payload, fragment.body), (&payload, fragment.body)].into_iter());
            }
            audio::duration_ticks(format, &payload);
        }
    }
}
