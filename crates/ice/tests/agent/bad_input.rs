//! What must change nothing: it is counted and dropped.

use crate::common::*;
use ice::{DropReason, Input, Path, State};
use netsim::LinkConfig;
use std::net::SocketAddr;
use stun::{AttributeType, Class, IntegrityKey, Message, Method, TransactionId, Writer};

/// A connected agent, and what everything about it looks like.
fn connected() -> (Call, String) {
    let mut call = Call::direct(3, LinkConfig::with_latency(ms(10)));
    call.start();
    call.until_nominated(secs(5)).unwrap();
    call.run(ms(100));
    let before = picture(&mut call);
    (call, before)
}

/// All that must stay as it is.
fn picture(call: &mut Call) -> String {
    let now = call.now();
    let a = call.a();
    a.after(now);
    let report = a.agent.report();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {:?}",
        report.state,
        report.role,
        report.local,
        report.remote,
        report.pairs,
        a.agent.poll_timeout(),
        a.events.len(),
        a.agent.selected_pair(),
    )
}

fn path_from(remote: &str) -> Path {
    Path::udp(A.parse().unwrap(), remote.parse().unwrap())
}

#[track_caller]
fn is_dropped(call: &mut Call, path: Path, data: &[u8], reason: DropReason) {
    let now = call.now();
    let count = call.a().agent.counters().dropped(reason);
    assert_eq!(
        call.a().agent.handle_datagram(now, path, data),
        Input::Dropped(reason)
    );
    assert_eq!(call.a().agent.counters().dropped(reason), count + 1);
    let mut buf = Vec::new();
    assert_eq!(
        call.a().agent.poll_transmit(now, &mut buf),
        None,
        "and not answered"
    );
}

fn request(user: (&str, &str), password: &str, extra: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = Vec::new();
    let key = IntegrityKey::short_term(password);
    let mut writer = Writer::new(
        &mut buf,
        Class::Request,
        Method::BINDING,
        TransactionId([1; 12]),
    );
    writer.ice_username(user.0, user.1).priority(1);
    extra(&mut writer);
    writer.finish_with(&key, true);
    buf
}

#[test]
fn requests_that_do_not_authenticate() {
    let (mut call, before) = connected();
    let (own, theirs) = (
        call.a().agent.local_parameters().clone(),
        call.b().agent.local_parameters().clone(),
    );
    let good = path_from(B);
    let wrong = request((&own.ufrag, &theirs.ufrag), "some other password", |w| {
        w.use_candidate();
    });
    is_dropped(&mut call, good, &wrong, DropReason::WrongIntegrity);
    is_dropped(
        &mut call,
        path_from("203.0.113.9:9"),
        &wrong,
        DropReason::WrongIntegrity,
    );
    let stranger = request(("nobody", &theirs.ufrag), &own.pwd, |_| {});
    is_dropped(&mut call, good, &stranger, DropReason::UnknownUsername);
    let mut flipped = request((&own.ufrag, &theirs.ufrag), &own.pwd, |_| {});
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    is_dropped(&mut call, good, &flipped, DropReason::WrongFingerprint);
    let mut bare = Vec::new();
    Writer::new(
        &mut bare,
        Class::Request,
        Method::BINDING,
        TransactionId([1; 12]),
    )
    .finish(true);
    is_dropped(&mut call, good, &bare, DropReason::Incomplete);
    let mut unsigned = Vec::new();
    Writer::new(
        &mut unsigned,
        Class::Request,
        Method::BINDING,
        TransactionId([1; 12]),
    )
    .ice_username(&own.ufrag, &theirs.ufrag)
    .use_candidate()
    .finish(true);
    is_dropped(&mut call, good, &unsigned, DropReason::Incomplete);
    let other_socket = Path::udp("192.0.2.77:1".parse().unwrap(), B.parse().unwrap());
    let fine = request((&own.ufrag, &theirs.ufrag), &own.pwd, |_| {});
    is_dropped(&mut call, other_socket, &fine, DropReason::UnknownSocket);
    assert_eq!(picture(&mut call), before);
}

#[test]
fn malformed_and_oversized_messages() {
    let (mut call, before) = connected();
    let (own, theirs) = (
        call.a().agent.local_parameters().clone(),
        call.b().agent.local_parameters().clone(),
    );
    let good = request((&own.ufrag, &theirs.ufrag), &own.pwd, |_| {});
    is_dropped(
        &mut call,
        path_from(B),
        &good[..good.len() - 4],
        DropReason::Malformed,
    );
    let big = request((&own.ufrag, &theirs.ufrag), &own.pwd, |w| {
        w.attribute(AttributeType(0x8fff), &[0; 2000]);
    });
    is_dropped(&mut call, path_from(B), &big, DropReason::Oversized);
    let mut allocate = Vec::new();
    Writer::new(
        &mut allocate,
        Class::Request,
        Method::ALLOCATE,
        TransactionId([1; 12]),
    )
    .finish(true);
    is_dropped(
        &mut call,
        path_from(B),
        &allocate,
        DropReason::UnexpectedMethod,
    );
    is_dropped(
        &mut call,
        path_from("203.0.113.9:9"),
        b"\x80data of a stranger",
        DropReason::UnknownPeer,
    );
    assert_eq!(picture(&mut call), before);
}

#[test]
fn responses_that_answer_nothing_or_come_from_elsewhere() {
    let mut call = Call::direct(3, LinkConfig::with_latency(ms(10)));
    // Every response of B is taken away; the requests of A are seen.
    let requests = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = requests.clone();
    let a_addr: SocketAddr = A.parse().unwrap();
    call.sim.network.intercept(move |_, d| {
        let Ok(message) = Message::parse(&d.payload) else {
            return true;
        };
        if message.class() == Class::Request && d.src == a_addr {
            seen.borrow_mut().push(message.transaction_id());
        }
        message.class() == Class::Request
    });
    call.start();
    call.run(ms(100));
    let id = *requests.borrow().last().unwrap();
    let pwd = call.b().agent.local_parameters().pwd.clone();
    let before = picture(&mut call);
    let answer = |id, pwd: &str, class| {
        let mut buf = Vec::new();
        let mut writer = Writer::new(&mut buf, class, Method::BINDING, id);
        match class {
            Class::Error => writer.error_code(487),
            _ => writer.xor_mapped_address(a_addr),
        };
        writer.finish_with(&IntegrityKey::short_term(pwd), true);
        buf
    };
    for class in [Class::Success, Class::Error] {
        let unknown = answer(TransactionId([0xab; 12]), &pwd, class);
        is_dropped(
            &mut call,
            path_from(B),
            &unknown,
            DropReason::UnknownTransaction,
        );
        let elsewhere = answer(id, &pwd, class);
        is_dropped(
            &mut call,
            path_from("192.0.2.3:6000"),
            &elsewhere,
            DropReason::OtherAddress,
        );
        let forged = answer(id, "a guess", class);
        is_dropped(&mut call, path_from(B), &forged, DropReason::WrongIntegrity);
    }
    let mut unsigned = Vec::new();
    Writer::new(&mut unsigned, Class::Success, Method::BINDING, id)
        .xor_mapped_address(a_addr)
        .finish(true);
    is_dropped(&mut call, path_from(B), &unsigned, DropReason::Incomplete);
    assert_eq!(picture(&mut call), before);
    assert_eq!(call.a().agent.state(), State::Checking);
    // And the answer proper is still believed.
    let now = call.now();
    let good = answer(id, &pwd, Class::Success);
    assert_eq!(
        call.a().agent.handle_datagram(now, path_from(B), &good),
        Input::Consumed
    );
    assert_eq!(call.a().agent.state(), State::Connected);
}

#[test]
fn an_authenticated_request_with_an_unknown_required_attribute_is_answered_420() {
    let (mut call, before) = connected();
    let (own, theirs) = (
        call.a().agent.local_parameters().clone(),
        call.b().agent.local_parameters().clone(),
    );
    let odd = request((&own.ufrag, &theirs.ufrag), &own.pwd, |w| {
        w.attribute(AttributeType(0x7abc), &[]).use_candidate();
    });
    let now = call.now();
    assert_eq!(
        call.a().agent.handle_datagram(now, path_from(B), &odd),
        Input::Consumed
    );
    let mut buf = Vec::new();
    call.a().agent.poll_transmit(now, &mut buf).unwrap();
    let answer = Message::parse(&buf).unwrap();
    assert_eq!(answer.error_code().unwrap().code, 420);
    assert!(answer.unknown_attributes().eq([AttributeType(0x7abc)]));
    assert_eq!(picture(&mut call), before);
}

#[test]
fn candidates_and_checks_are_bounded() {
    let mut call = Call::direct(3, LinkConfig::default());
    call.start();
    call.run(ms(0));
    let (own, theirs) = (
        call.a().agent.local_parameters().clone(),
        call.b().agent.local_parameters().clone(),
    );
    let now = call.now();
    let mut buf = Vec::new();
    // The peer itself floods, from a thousand ports.
    for port in 1..1000u16 {
        let check = request((&own.ufrag, &theirs.ufrag), &own.pwd, |w| {
            w.ice_controlled(u64::from(port));
        });
        let path = path_from(&format!("203.0.113.9:{port}"));
        call.a().agent.handle_datagram(now, path, &check);
        while call.a().agent.poll_transmit(now, &mut buf).is_some() {
            buf.clear();
        }
    }
    let report = call.a().agent.report();
    assert!(report.remote.len() <= 100 && report.pairs.len() <= 100);
    assert!(call.a().agent.counters().dropped(DropReason::LimitReached) > 800);
}
