use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::{Class, ErrorCode, Integrity, Message, Method, ParseError, TransactionId, Writer};

const ID: TransactionId = TransactionId([9; 12]);

/// The simulated clock's start; where it lies does not matter.
#[expect(
    clippy::disallowed_methods,
    reason = "one base for a clock that the tests move themselves"
)]
fn base() -> Instant {
    Instant::now()
}

fn authenticator(now: Instant, features: SecurityFeatures) -> Authenticator {
    Authenticator::new(
        now,
        "example.org",
        features,
        Duration::from_secs(60),
        StdRng::seed_from_u64(4),
    )
}

fn request(credentials: &LongTerm) -> Vec<u8> {
    let mut buf = Vec::new();
    credentials.finish(
        Writer::new(&mut buf, Class::Request, Method::ALLOCATE, ID).requested_transport(17),
        true,
    );
    buf
}

fn serve(server: &Authenticator, now: Instant, request: &[u8]) -> Result<Vec<u8>, ParseError> {
    let message = Message::parse(request)?;
    let mut buf = Vec::new();
    let lookup = |identity: Identity<'_>| {
        identity
            .is("alice", server.realm())
            .then(|| ("alice".to_owned(), "secret".to_owned()))
    };
    match server.check(now, &message, lookup) {
        Ok(key) => {
            Writer::new(&mut buf, Class::Success, message.method(), ID).finish_with(&key, true)
        }
        Err(rejection) => {
            let mut writer = Writer::new(&mut buf, Class::Error, message.method(), ID);
            server.write_rejection(now, rejection, &mut writer);
            writer.finish(true)
        }
    };
    Ok(buf)
}

/// One request and its response.
fn exchange(client: &mut LongTerm, server: &Authenticator, now: Instant) -> (u16, Reaction) {
    let with_credentials = client.is_challenged();
    let response = serve(server, now, &request(client)).unwrap();
    let response = Message::parse(&response).unwrap();
    let code = response.error_code().map_or(0, |error| error.code);
    (code, client.handle_response(&response, with_credentials))
}

const ALL: SecurityFeatures = SecurityFeatures {
    password_algorithms: true,
    username_anonymity: true,
};

#[test]
fn nonce_cookies_carry_the_features_from_the_most_significant_bit() {
    assert_eq!(&SecurityFeatures::default().cookie(), b"obMatJos2AAAA");
    assert_eq!(
        &SecurityFeatures {
            password_algorithms: true,
            username_anonymity: false
        }
        .cookie(),
        b"obMatJos2gAAA"
    );
    assert_eq!(&ALL.cookie(), b"obMatJos2wAAA");
    for features in [SecurityFeatures::default(), ALL] {
        assert_eq!(
            SecurityFeatures::from_nonce(&features.cookie()),
            Some(features)
        );
    }
    assert_eq!(
        SecurityFeatures::from_nonce(b"f//499k954d6OL34oL9FSTvy64sA"),
        None
    );
    assert_eq!(SecurityFeatures::from_nonce(b"obMatJos2w"), None);
    assert_eq!(SecurityFeatures::from_nonce(b"obMatJos2!AAA"), None);
}

#[test]
fn a_challenge_is_answered_with_each_set_of_features() {
    let now = base();
    for features in [
        SecurityFeatures::default(),
        SecurityFeatures {
            password_algorithms: true,
            ..Default::default()
        },
        SecurityFeatures {
            username_anonymity: true,
            ..Default::default()
        },
        ALL,
    ] {
        let server = authenticator(now, features);
        let mut client = LongTerm::new("alice", "secret");
        assert_eq!(
            exchange(&mut client, &server, now),
            (401, Reaction::Retry),
            "{features:?}"
        );
        let sent = request(&client);
        let sent = Message::parse(&sent).unwrap();
        assert_eq!(sent.userhash().is_some(), features.username_anonymity);
        assert_eq!(sent.username().is_some(), !features.username_anonymity);
        assert_eq!(
            sent.password_algorithm().is_some(),
            features.password_algorithms
        );
        let expected = if features.password_algorithms {
            Integrity::Sha256
        } else {
            Integrity::Sha1
        };
        assert_eq!(sent.integrity(), Some(expected));
        assert_eq!(
            exchange(&mut client, &server, now),
            (0, Reaction::Accept),
            "{features:?}"
        );
    }
}

#[test]
fn a_stale_nonce_is_replaced_and_the_key_stays() {
    let now = base();
    let server = authenticator(now, ALL);
    let mut client = LongTerm::new("alice", "secret");
    exchange(&mut client, &server, now);
    let later = now + Duration::from_secs(61);
    assert_eq!(
        exchange(&mut client, &server, later),
        (438, Reaction::Retry)
    );
    assert_eq!(exchange(&mut client, &server, later), (0, Reaction::Accept));
}

#[test]
fn wrong_credentials_are_tried_once() {
    let now = base();
    let server = authenticator(now, ALL);
    for (name, password) in [("alice", "wrong"), ("bob", "secret")] {
        let mut client = LongTerm::new(name, password);
        assert_eq!(exchange(&mut client, &server, now), (401, Reaction::Retry));
        assert_eq!(
            exchange(&mut client, &server, now),
            (401, Reaction::Refused(Refusal::WrongCredentials))
        );
    }
}

#[test]
fn a_challenge_without_its_algorithms_was_tampered_with() {
    let mut client = LongTerm::new("alice", "secret");
    let mut nonce = ALL.cookie().to_vec();
    nonce.extend_from_slice(b"12345678");
    let mut buf = Vec::new();
    Writer::new(&mut buf, Class::Error, Method::ALLOCATE, ID)
        .error_code(ErrorCode::UNAUTHENTICATED)
        .realm("example.org")
        .nonce(&nonce)
        .finish(false);
    let challenge = Message::parse(&buf).unwrap();
    assert_eq!(
        client.handle_response(&challenge, false),
        Reaction::Refused(Refusal::BidDown)
    );

    buf.clear();
    Writer::new(&mut buf, Class::Success, Method::ALLOCATE, ID)
        .nonce(&nonce)
        .finish(false);
    let response = Message::parse(&buf).unwrap();
    assert_eq!(client.handle_response(&response, false), Reaction::Discard);
}

#[test]
fn responses_to_protected_requests_must_be_protected() {
    let now = base();
    let server = authenticator(now, ALL);
    let mut client = LongTerm::new("alice", "secret");
    exchange(&mut client, &server, now);
    let key = client.key().unwrap().clone();
    let write = |end: &dyn Fn(&mut Writer<'_>) -> usize| {
        let mut buf = Vec::new();
        end(&mut Writer::new(
            &mut buf,
            Class::Success,
            Method::ALLOCATE,
            ID,
        ));
        buf
    };
    let bare = write(&|w| w.finish(true));
    let weaker = write(&|w| w.finish_with(&key.clone().with_integrity(Integrity::Sha1), true));
    let foreign = write(&|w| w.finish_with(&crate::IntegrityKey::short_term("x"), true));
    for bytes in [bare, weaker, foreign] {
        assert_eq!(
            client.handle_response(&Message::parse(&bytes).unwrap(), true),
            Reaction::Discard
        );
    }
    let right = write(&|w| w.finish_with(&key, true));
    assert_eq!(
        client.handle_response(&Message::parse(&right).unwrap(), true),
        Reaction::Accept
    );
}

#[test]
fn tokens_open_only_at_the_server_they_were_made_for() {
    let token = AccessToken {
        session_key: vec![3; 20],
        issued: Duration::new(1_800_000_000, 500_000_000),
        lifetime: Duration::from_secs(3600),
    };
    let sealed = token.seal(&[1; 32], [2; 12], "turn.example.org").unwrap();
    let now = token.issued + Duration::from_secs(10);
    assert_eq!(
        AccessToken::open(&sealed, &[1; 32], "turn.example.org", now),
        Ok(token.clone())
    );
    assert_eq!(
        AccessToken::open(&sealed, &[1; 32], "other.example.org", now),
        Err(TokenError::Invalid)
    );
    assert_eq!(
        AccessToken::open(&sealed, &[0; 32], "turn.example.org", now),
        Err(TokenError::Invalid)
    );
    let late = token.issued + Duration::from_secs(3606);
    assert_eq!(
        AccessToken::open(&sealed, &[1; 32], "turn.example.org", late),
        Err(TokenError::Expired)
    );
    for len in 0..sealed.len() {
        assert_eq!(
            AccessToken::open(&sealed[..len], &[1; 32], "turn.example.org", now),
            Err(TokenError::Invalid)
        );
    }
}

#[test]
fn a_token_goes_with_the_request_and_its_key_protects_it() {
    let mut client = LongTerm::with_token("key-1", b"opaque".to_vec(), &[5; 20]);
    let mut buf = Vec::new();
    Writer::new(&mut buf, Class::Error, Method::ALLOCATE, ID)
        .error_code(ErrorCode::UNAUTHENTICATED)
        .realm("example.org")
        .nonce(b"1")
        .third_party_authorization("turn.example.org")
        .finish(false);
    assert_eq!(
        client.handle_response(&Message::parse(&buf).unwrap(), false),
        Reaction::Retry
    );
    assert_eq!(client.token_server(), Some("turn.example.org"));
    let sent = request(&client);
    let sent = Message::parse(&sent).unwrap();
    assert_eq!(sent.username(), Some("key-1"));
    assert_eq!(sent.access_token(), Some(&b"opaque"[..]));
    assert!(
        sent.check_integrity(&crate::IntegrityKey::from_bytes(&[5; 20]))
            .is_ok()
    );
}
