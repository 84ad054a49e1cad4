//! Opus there and back.
#![cfg(feature = "opus")]

use media::{AudioFrame, Bitrate, EncodedFrame};
use pc_codecs::opus::{Application, Decoder, Encoder, EncoderConfig, has_fec, packet_duration};
use pc_codecs::{AudioDecoder, AudioEncoder, DecodeError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

const PACKET: Duration = Duration::from_millis(20);

fn tone(rate: u32, channels: u16, millis: u32) -> AudioFrame {
    let frames = rate * millis / 1_000;
    let step = std::f64::consts::TAU * 440.0 / f64::from(rate);
    let samples: Vec<i16> = (0..frames)
        .flat_map(|i| {
            let sample = (8_000.0 * (step * f64::from(i)).sin()) as i16;
            std::iter::repeat_n(sample, channels.into())
        })
        .collect();
    AudioFrame::new(samples, rate, channels, Duration::ZERO).unwrap()
}

fn frequency(samples: &[i16], rate: u32) -> f64 {
    let crossings = samples.windows(2).filter(|w| w[0] < 0 && w[1] >= 0).count();
    crossings as f64 * f64::from(rate) / samples.len() as f64
}

fn encode(config: EncoderConfig, sound: &AudioFrame) -> Vec<EncodedFrame> {
    let mut packets = Vec::new();
    Encoder::new(config)
        .unwrap()
        .encode(sound, &mut packets)
        .unwrap();
    packets
}

#[test]
fn a_tone_of_any_rate_survives() {
    for (rate, channels) in [(48_000, 2), (44_100, 1), (16_000, 1), (8_000, 2)] {
        let packets = encode(EncoderConfig::default(), &tone(rate, channels, 1_000));
        assert!((48..=50).contains(&packets.len()), "{}", packets.len());
        let mut decoder = Decoder::new(48_000, 1).unwrap();
        let mut samples = Vec::new();
        for packet in &packets {
            assert_eq!(packet_duration(&packet.data), Ok(PACKET));
            samples.extend(
                decoder
                    .decode(&packet.data, packet.timestamp)
                    .unwrap()
                    .samples(),
            );
        }
        let pitch = frequency(&samples[9_600..], 48_000);
        assert!((pitch - 440.0).abs() < 3.0, "{rate} Hz: {pitch}");
        assert_eq!(packets[3].timestamp, 3 * PACKET);
    }
}

#[test]
fn the_bitrate_follows_what_is_set() {
    let mut encoder = Encoder::new(EncoderConfig {
        application: Application::Audio,
        ..Default::default()
    })
    .unwrap();
    let mut random = StdRng::seed_from_u64(3);
    let mut bytes_of_a_second = |bitrate| {
        encoder.set_bitrate(Bitrate::from_kbps(bitrate));
        let noise: Vec<i16> = (0..96_000)
            .map(|_| random.random_range(-8_000..8_000))
            .collect();
        let noise = AudioFrame::new(noise, 48_000, 2, Duration::ZERO).unwrap();
        let mut packets = Vec::new();
        encoder.encode(&noise, &mut packets).unwrap();
        packets
            .iter()
            .map(|packet| packet.data.len())
            .sum::<usize>()
    };
    let (low, high) = (bytes_of_a_second(24), bytes_of_a_second(128));
    assert!((2_000..4_500).contains(&low), "{low}");
    assert!((12_000..20_000).contains(&high), "{high}");
}

#[test]
fn a_lost_packet_is_concealed_and_better_recovered_from_the_next() {
    let config = EncoderConfig {
        channels: 1,
        bitrate: Bitrate::from_kbps(32),
        expected_loss: 0.2,
        ..Default::default()
    };
    // A voice that begins: what is lost cannot be guessed from what was before.
    const FIRST_LOUD: usize = 20;
    let samples: Vec<i16> = (0..48_000)
        .map(|i| {
            let phase = std::f64::consts::TAU * 160.0 * f64::from(i) / 48_000.0;
            let voice: f64 = (1..12)
                .map(|n| (phase * f64::from(n)).sin() / f64::from(n))
                .sum();
            if i < 960 * FIRST_LOUD as i32 {
                0
            } else {
                (8_000.0 * voice) as i16
            }
        })
        .collect();
    let sound = AudioFrame::new(samples, 48_000, 1, Duration::ZERO).unwrap();
    let packets = encode(config, &sound);

    let loudness = |fill: &dyn Fn(&mut Decoder) -> AudioFrame| {
        let mut decoder = Decoder::new(48_000, 1).unwrap();
        for packet in &packets[..FIRST_LOUD] {
            decoder.decode(&packet.data, packet.timestamp).unwrap();
        }
        let sound = fill(&mut decoder);
        assert_eq!(sound.duration(), PACKET);
        sound.rms()
    };
    let concealed = loudness(&|decoder| decoder.conceal(PACKET, Duration::ZERO).unwrap());
    let recovered = loudness(&|decoder| {
        let next = &packets[FIRST_LOUD + 1].data;
        decoder.recover(next, PACKET, Duration::ZERO).unwrap()
    });
    assert!(concealed < 0.01, "{concealed}");
    assert!(recovered > 0.1, "{recovered}");
}

#[test]
fn nothing_is_sent_in_silence_with_dtx() {
    let silence = AudioFrame::silence(96_000, 48_000, 1, Duration::ZERO);
    let packets = |dtx| {
        let config = EncoderConfig {
            channels: 1,
            dtx,
            ..Default::default()
        };
        encode(config, &silence).len()
    };
    assert_eq!(packets(false), 100);
    assert!(packets(true) < 30, "{}", packets(true));
}

#[test]
fn impossible_settings_are_refused() {
    let config = |change: fn(&mut EncoderConfig)| {
        let mut config = EncoderConfig::default();
        change(&mut config);
        Encoder::new(config).is_err()
    };
    assert!(config(|c| c.channels = 3));
    assert!(config(|c| c.channels = 0));
    assert!(config(|c| c.complexity = 11));
    assert!(config(|c| c.packet_duration = Duration::from_millis(15)));
    assert!(Decoder::new(44_100, 2).is_err());
    assert!(Decoder::new(48_000, 0).is_err());
}

#[test]
fn garbage_never_panics_and_never_ends_the_decoder() {
    let mut random = StdRng::seed_from_u64(2);
    let packets = encode(EncoderConfig::default(), &tone(48_000, 2, 200));
    let mut decoder = Decoder::new(48_000, 2).unwrap();
    assert!(matches!(
        decoder.decode(&[], PACKET),
        Err(DecodeError::Damaged(_))
    ));
    assert!(packet_duration(&[]).is_err());
    for round in 0..2_000 {
        let mut data = packets[round % packets.len()].data.to_vec();
        match round % 3 {
            0 => data.truncate(random.random_range(1..data.len())),
            1 => {
                let at = random.random_range(0..data.len());
                data[at] = random.random();
            }
            _ => {
                data = (0..random.random_range(1..300))
                    .map(|_| random.random())
                    .collect()
            }
        }
        let _ = packet_duration(&data);
        if let Ok(sound) = decoder.decode(&data, PACKET) {
            assert!(sound.duration() <= Duration::from_millis(120));
        }
        let made_up = decoder.recover(&data, PACKET, PACKET).unwrap();
        assert_eq!(made_up.duration(), PACKET);
    }
    for odd in [0, 1, 2_600, 5_000_000] {
        assert!(decoder.conceal(Duration::from_micros(odd), PACKET).is_ok());
    }
    assert!(decoder.decode(&packets[0].data, PACKET).is_ok());
}

#[test]
fn packets_tell_whether_they_repeat_the_one_before() {
    // Speech at a low rate over a lossy path is what libopus repeats.
    let packets = |fec, channels| {
        let config = EncoderConfig {
            application: Application::Voip,
            channels,
            bitrate: Bitrate::from_kbps(24),
            expected_loss: 0.2,
            fec,
            ..EncoderConfig::default()
        };
        encode(config, &tone(48_000, channels, 1_000))
    };
    for channels in [1, 2] {
        let repeating = |fec| {
            let packets = packets(fec, channels);
            packets
                .iter()
                .filter(|packet| has_fec(&packet.data))
                .count()
        };
        assert!(repeating(true) > 10, "{} with {channels}", repeating(true));
        assert_eq!(repeating(false), 0);
    }
    // Two VAD flags, then the LBRR flag, of 40 ms of SILK behind one length; CELT has none.
    assert!(has_fec(&[0b0001_0010, 1, 0b0010_0000, 0]));
    assert!(has_fec(&[0b0000_0011, 0xc2, 255, 3, 1, 0b0100_0000, 0]));
    for none in [
        &[][..],
        &[0b1111_1000, 0xff],
        &[0b0000_0011],
        &[2],
        &[0b0001_0000, 0b0100_0000],
    ] {
        assert!(!has_fec(none), "{none:?}");
    }
}
