//! An ICE binding request with integrity and fingerprint, written and read, beside other crates in the same run.
//!
//! `cargo bench -p pc-stun` prints nanoseconds (median of batches) and allocations for one message.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, TransId};
use stun::{Class, IntegrityKey, Message, Method, TransactionId, Writer};
use stun017::message::{Getter as _, Setter as _};

#[global_allocator]
static ALLOCATOR: measure::CountingAllocator = measure::CountingAllocator;

const USERNAME: &str = "h6vYk2Lq:evtj";
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const PRIORITY: u32 = 0x6e00_01ff;
const TIE_BREAKER: u64 = 0x932f_f9b1_5126_3b36;

/// Nanoseconds and allocations for one call.
fn measure(mut f: impl FnMut()) -> (f64, f64) {
    const BATCH: u32 = 1000;
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_millis(100) {
        f();
    }
    let mut times = Vec::with_capacity(1000);
    let before = measure::allocations();
    let started = Instant::now();
    let mut calls = 0u32;
    while started.elapsed() < Duration::from_millis(500) && times.len() < times.capacity() {
        let batch = Instant::now();
        for _ in 0..BATCH {
            f();
        }
        times.push(batch.elapsed().as_nanos() as f64 / f64::from(BATCH));
        calls += BATCH;
    }
    let allocations = (measure::allocations() - before) as f64 / f64::from(calls);
    (measure::median(&times), allocations)
}

fn ours(buf: &mut Vec<u8>, key: &IntegrityKey) {
    buf.clear();
    Writer::new(buf, Class::Request, Method::BINDING, TransactionId([7; 12]))
        .username(USERNAME)
        .priority(PRIORITY)
        .ice_controlling(TIE_BREAKER)
        .use_candidate()
        .finish_with(key, true);
}

fn read_ours(bytes: &[u8], key: &IntegrityKey) -> u32 {
    let message = Message::parse(bytes).unwrap();
    message.check_fingerprint().unwrap();
    message.check_integrity(key).unwrap();
    assert!(message.use_candidate() && message.username().is_some());
    message.priority().unwrap()
}

fn stun_rs_encode(buf: &mut [u8], key: &stun_rs::HMACKey) -> usize {
    use stun_rs::attributes::ice::{IceControlling, Priority, UseCandidate};
    use stun_rs::attributes::stun::{Fingerprint, MessageIntegrity, UserName};
    let message =
        stun_rs::StunMessageBuilder::new(stun_rs::methods::BINDING, stun_rs::MessageClass::Request)
            .with_transaction_id([7; 12].into())
            .with_attribute(UserName::new(USERNAME).unwrap())
            .with_attribute(Priority::from(PRIORITY))
            .with_attribute(IceControlling::from(TIE_BREAKER))
            .with_attribute(UseCandidate::default())
            .with_attribute(MessageIntegrity::new(key.clone()))
            .with_attribute(Fingerprint::default())
            .build();
    stun_rs::MessageEncoderBuilder::default()
        .build()
        .encode(buf, &message)
        .unwrap()
}

fn stun_017_encode(
    message: &mut stun017::message::Message,
    integrity: &stun017::integrity::MessageIntegrity,
) {
    use stun017::attributes::{
        ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME,
    };
    message.reset();
    message.set_type(stun017::message::BINDING_REQUEST);
    message.transaction_id = stun017::agent::TransactionId([7; 12]);
    message.write_header();
    message.add(ATTR_USERNAME, USERNAME.as_bytes());
    message.add(ATTR_PRIORITY, &PRIORITY.to_be_bytes());
    message.add(ATTR_ICE_CONTROLLING, &TIE_BREAKER.to_be_bytes());
    message.add(ATTR_USE_CANDIDATE, &[]);
    integrity.add_to(message).unwrap();
    stun017::fingerprint::FINGERPRINT.add_to(message).unwrap();
}

fn sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    use is::Sha1HmacProvider as _;
    is::DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

fn main() {
    let key = IntegrityKey::short_term(PASSWORD);
    let mut message = Vec::with_capacity(200);
    ours(&mut message, &key);
    let wire = message.clone();

    println!(
        "binding request, {} bytes, with integrity and fingerprint, ns (allocations)",
        wire.len()
    );
    println!("{:<12} {:>16} {:>16}", "", "encode", "decode+verify");
    let row = |name: &str, encode: (f64, f64), decode: (f64, f64)| {
        println!(
            "{name:<12} {:>9.0} ({:>4.1}) {:>9.0} ({:>4.1})",
            encode.0, encode.1, decode.0, decode.1
        );
    };

    let encode = measure(|| ours(black_box(&mut message), black_box(&key)));
    let decode = measure(|| {
        black_box(read_ours(black_box(&wire), black_box(&key)));
    });
    row("pc-stun", encode, decode);
    let own = (encode, decode);

    let mut buf = [0; 200];
    let id = TransId::new();
    let encode = measure(|| {
        let request = StunMessage::binding_request(USERNAME, id, true, TIE_BREAKER, PRIORITY, true);
        black_box(
            request
                .to_bytes(Some(PASSWORD.as_bytes()), &mut buf, sha1)
                .unwrap(),
        );
    });
    let decode = measure(|| {
        let request = StunMessage::parse(black_box(&wire)).unwrap();
        assert!(request.verify(PASSWORD.as_bytes(), sha1) && request.use_candidate());
        black_box(request.prio());
    });
    row("is", encode, decode);
    let mut fastest = (encode.0, decode.0);

    let their_key = stun_rs::HMACKey::new_short_term(PASSWORD).unwrap();
    let encode = measure(|| {
        black_box(stun_rs_encode(&mut buf, &their_key));
    });
    let context = stun_rs::DecoderContextBuilder::default()
        .with_key(their_key.clone())
        .with_validation()
        .build();
    let decoder = stun_rs::MessageDecoderBuilder::default()
        .with_context(context)
        .build();
    let decode = measure(|| drop(black_box(decoder.decode(black_box(&wire)).unwrap())));
    row("stun-rs", encode, decode);
    fastest = (fastest.0.min(encode.0), fastest.1.min(decode.0));

    let integrity =
        stun017::integrity::MessageIntegrity::new_short_term_integrity(PASSWORD.to_owned());
    let mut theirs = stun017::message::Message::new();
    let encode = measure(|| stun_017_encode(black_box(&mut theirs), &integrity));
    let mut parsed = stun017::message::Message::new();
    let decode = measure(|| {
        parsed.unmarshal_binary(black_box(&wire)).unwrap();
        stun017::fingerprint::FINGERPRINT.check(&parsed).unwrap();
        integrity.check(&mut parsed).unwrap();
        let mut username = stun017::textattrs::TextAttribute::new(
            stun017::attributes::ATTR_USERNAME,
            String::new(),
        );
        username.get_from(&parsed).unwrap();
        black_box(username);
    });
    row("stun 0.17", encode, decode);
    fastest = (fastest.0.min(encode.0), fastest.1.min(decode.0));

    let ((encode, encode_allocations), (decode, decode_allocations)) = own;
    println!(
        "against the fastest of the others: encode {:.1}x, decode {:.1}x",
        fastest.0 / encode,
        fastest.1 / decode
    );
    assert_eq!(
        (encode_allocations, decode_allocations),
        (0.0, 0.0),
        "a message in a warm buffer allocates nothing"
    );
}
