//! The small server, message by message.

use std::net::SocketAddr;

use stun::{AttributeType, ChangeRequest, Class, Message, Method, Server, TransactionId, Writer};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ask(
    server: &mut Server,
    local: &str,
    write: impl FnOnce(&mut Writer<'_>),
) -> (SocketAddr, SocketAddr, Vec<u8>) {
    let mut request = Vec::new();
    let mut writer = Writer::new(
        &mut request,
        Class::Request,
        Method::BINDING,
        TransactionId([4; 12]),
    );
    write(&mut writer);
    writer.finish(true);
    let mut buf = vec![1, 2, 3];
    let reply = server
        .handle_datagram(addr(local), addr("192.0.2.9:5000"), &request, &mut buf)
        .unwrap();
    assert_eq!(reply.len, buf.len() - 3);
    (reply.local, reply.remote, buf.split_off(3))
}

#[test]
fn answers_from_where_it_is_asked_to() {
    // RFC 5780 §6.1, table 1, for each of the four sockets.
    let mut server = Server::with_other(addr("203.0.113.1:3478"), addr("203.0.113.2:3479"));
    for (address, port) in [(false, false), (true, false), (false, true), (true, true)] {
        for local in server.addresses() {
            let (from, to, bytes) = ask(&mut server, &local.to_string(), |w| {
                w.change_request(ChangeRequest { address, port });
            });
            let response = Message::parse(&bytes).unwrap();
            assert_eq!(response.class(), Class::Success);
            assert_eq!(
                (from.ip() != local.ip(), from.port() != local.port()),
                (address, port)
            );
            assert_eq!(response.response_origin(), Some(from));
            let opposite = response.other_address().unwrap();
            assert!(opposite.ip() != local.ip() && opposite.port() != local.port());
            assert_eq!(response.xor_mapped_address(), Some(to));
            assert_eq!(response.mapped_address(), Some(to));
            assert!(response.check_fingerprint().is_ok(), "it came with one");
        }
    }
    assert_eq!(server.stats().answered, 16);
}

#[test]
fn refuses_what_it_does_not_understand() {
    let mut one = Server::new(addr("203.0.113.1:3478"));
    let (_, _, bytes) = ask(&mut one, "203.0.113.1:3478", |w| {
        w.change_request(ChangeRequest {
            address: true,
            port: false,
        })
        .priority(1)
        .software("optional is fine");
    });
    let response = Message::parse(&bytes).unwrap();
    assert_eq!(response.error_code().map(|error| error.code), Some(420));
    let unknown: Vec<_> = response.unknown_attributes().collect();
    assert_eq!(
        unknown,
        [AttributeType::CHANGE_REQUEST, AttributeType::PRIORITY]
    );

    let (_, _, bytes) = ask(&mut one, "203.0.113.1:3478", |w| {
        w.padding(100).response_port(9);
    });
    assert_eq!(
        Message::parse(&bytes)
            .unwrap()
            .error_code()
            .map(|error| error.code),
        Some(400)
    );
    assert_eq!(one.stats().refused, 2);
}

#[test]
fn honours_response_port_and_padding() {
    let mut server = Server::new(addr("203.0.113.1:3478"));
    let (_, to, _) = ask(&mut server, "203.0.113.1:3478", |w| {
        w.response_port(6000);
    });
    assert_eq!(to, addr("192.0.2.9:6000"));
    let (_, _, bytes) = ask(&mut server, "203.0.113.1:3478", |w| {
        w.padding(100);
    });
    assert_eq!(Message::parse(&bytes).unwrap().padding(), Some(100));
}

#[test]
fn answers_old_clients_in_their_own_terms() {
    let mut server = Server::with_other(addr("203.0.113.1:3478"), addr("203.0.113.2:3479"));
    let mut request = Vec::new();
    Writer::classic(&mut request, Class::Request, Method::BINDING, [9; 16])
        .change_request(ChangeRequest::default())
        .finish(false);
    assert!(Message::parse(&request).is_err());
    let mut buf = Vec::new();
    let (local, remote) = (addr("203.0.113.1:3478"), addr("192.0.2.9:5000"));
    server
        .handle_datagram(local, remote, &request, &mut buf)
        .unwrap();
    let response = Message::parse_classic(&buf).unwrap();
    assert_eq!(
        (response.classic_id(), response.is_classic()),
        ([9; 16], true)
    );
    assert_eq!(response.mapped_address(), Some(remote));
    assert_eq!(response.source_address(), Some(local));
    assert_eq!(response.changed_address(), Some(addr("203.0.113.2:3479")));
    assert_eq!(
        response.attributes().count(),
        3,
        "nothing that an old client would not know"
    );
}

#[test]
fn ignores_everything_else() {
    let mut server = Server::new(addr("203.0.113.1:3478"));
    let mut indication = Vec::new();
    Writer::new(
        &mut indication,
        Class::Indication,
        Method::BINDING,
        TransactionId([0; 12]),
    )
    .finish(false);
    let mut damaged = Vec::new();
    Writer::new(
        &mut damaged,
        Class::Request,
        Method::BINDING,
        TransactionId([0; 12]),
    )
    .finish(true);
    *damaged.last_mut().unwrap() ^= 1;
    let mut buf = Vec::new();
    for packet in [&indication[..], &damaged[..], b"hello", b""] {
        assert_eq!(
            server.handle_datagram(
                addr("203.0.113.1:3478"),
                addr("192.0.2.9:5000"),
                packet,
                &mut buf
            ),
            None
        );
    }
    assert!(buf.is_empty());
    assert_eq!(server.stats().ignored, 4);
}
