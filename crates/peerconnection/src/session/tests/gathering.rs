//! Gathering: the pool of candidates, the transport policy, restarts, and the events that tell of them
//! (W3C WebRTC §4.2.1, §4.3, §5.6).

use super::*;
use crate::configuration::IceTransportPolicy;

const STUN_SERVER: &str = "198.51.100.1:3478";
/// Where the STUN server sees its clients.
const MAPPED: &str = "203.0.113.7:40000";

fn side(seed: u64, at: std::net::IpAddr, now: Instant, configuration: Configuration) -> Side {
    Side::with_configuration(seed, SocketAddr::new(at, 5000), now, configuration)
}

fn stun_server() -> ice::Server {
    ice::Server::Stun {
        addr: STUN_SERVER.parse().expect("an address"),
        url: format!("stun:{STUN_SERVER}"),
    }
}

/// Answers every Binding request that goes to the server; how many there were.
fn serve(side: &mut Side, mut now: Instant) -> usize {
    let server: SocketAddr = STUN_SERVER.parse().expect("an address");
    let mut asked = 0;
    for _ in 0..20 {
        while let Some(sent) = side.poll_transmit(now) {
            let Ok(message) = stun::Message::parse(&sent.payload) else {
                continue;
            };
            if sent.dst != server || message.class() != stun::Class::Request {
                continue;
            }
            asked += 1;
            let mut answer = Vec::new();
            stun::Writer::new(
                &mut answer,
                stun::Class::Success,
                stun::Method::BINDING,
                message.transaction_id(),
            )
            .xor_mapped_address(MAPPED.parse().expect("an address"))
            .finish(true);
            let path = ice::Path::udp(side.address, server);
            side.session.handle_datagram(now, path, &answer);
        }
        now += Duration::from_millis(50);
        side.session.handle_timeout(now);
    }
    asked
}

fn events(side: &mut Side) -> Vec<String> {
    let all = std::iter::from_fn(|| side.session.poll_event());
    all.map(|event| match event {
        Event::SignalingStateChange(state) => format!("signaling {state}"),
        Event::IceGatheringStateChange(state) => format!("gathering {state}"),
        Event::IceTransportGatheringStateChange { transport, state } => {
            format!("transport {transport} {state}")
        }
        Event::IceConnectionStateChange(state) => format!("ice {state}"),
        Event::ConnectionStateChange(state) => format!("connection {state}"),
        Event::IceCandidate(Some(candidate)) => {
            let mid = candidate.sdp_mid.as_deref().unwrap_or("nothing");
            match candidate.candidate_type() {
                Some(kind) => format!("candidate {kind} of {mid}"),
                None => format!("last of {mid}"),
            }
        }
        Event::IceCandidate(None) => "end of candidates".into(),
        Event::IceCandidateError(error) => format!("error {} {}", error.error_code, error.url),
        Event::NegotiationNeeded => "negotiation needed".into(),
        _ => "other".into(),
    })
    .filter(|event| event != "other")
    .collect()
}

/// The first candidate event with an empty text.
fn end_of_generation(side: &mut Side) -> crate::description::IceCandidate {
    std::iter::from_fn(|| side.session.poll_event())
        .find_map(|event| match event {
            Event::IceCandidate(Some(candidate)) if candidate.candidate.is_empty() => {
                Some(candidate)
            }
            _ => None,
        })
        .expect("the end of candidates")
}

fn add_data(side: &mut Side) {
    let channel = side.session.create_data_channel(ChannelConfig::default());
    side.channel = Some(channel.expect("a channel"));
}

fn with_pool(size: u8) -> Configuration {
    Configuration {
        ice_candidate_pool_size: size,
        ..Configuration::default()
    }
}

#[test]
fn pooled_candidates_are_gathered_before_the_local_description_and_told_with_it() {
    let now = netsim::Network::new(1).now();
    let mut side = side(1, Pair::A, now, with_pool(1));
    add_data(&mut side);
    gather(&mut side, now);
    side.session.add_server(now, stun_server());
    assert_eq!(serve(&mut side, now), 1, "the server is asked at once");
    assert_eq!(
        events(&mut side),
        ["negotiation needed"],
        "and nobody is told"
    );
    assert_eq!(side.session.ice_gathering_state(), IceGatheringState::New);
    assert!(side.session.transport(0).is_none());

    let now = now + Duration::from_secs(2);
    side.session
        .set_local_description(now, None)
        .expect("an offer");
    assert_eq!(
        events(&mut side),
        [
            "signaling have-local-offer",
            "transport 0 gathering",
            "gathering gathering",
            "candidate host of 0",
            "candidate srflx of 0",
            "last of 0",
            "transport 0 complete",
            "gathering complete",
            "end of candidates",
        ]
    );
    let offer = side.session.local_description().expect("the offer").sdp;
    assert_eq!(offer.matches("a=candidate:").count(), 2, "{offer}");
    assert_eq!(serve(&mut side, now), 0, "nothing is gathered twice");
}

#[test]
fn a_call_out_of_the_pool_connects_whichever_side_has_one() {
    for sizes in [(1, 0), (0, 1), (2, 3)] {
        let mut pair = Pair::over(
            7,
            LinkConfig::with_latency(Duration::from_millis(5)),
            |now| side(2, Pair::A, now, with_pool(sizes.0)),
            |now| side(3, Pair::B, now, with_pool(sizes.1)),
        );
        let now = pair.now();
        add_data(&mut pair.a);
        gather(&mut pair.a, now);
        gather(&mut pair.b, now);
        pair.run_for(Duration::from_secs(1));
        let now = pair.now();
        let offer = describe(&mut pair.a, now);
        assert!(offer.sdp.contains("a=candidate:"));
        pair.b
            .session
            .set_remote_description(now, &offer)
            .expect("taken");
        let answer = describe(&mut pair.b, now);
        pair.a
            .session
            .set_remote_description(now, &answer)
            .expect("taken");
        pair.run_until(Duration::from_secs(10), |a, b| {
            a.is_connected() && b.is_connected() && a.open
        })
        .expect("both sides connect");
        // What the first exchange did not need is gone.
        assert_eq!(pair.a.session.transports.len(), 1, "{sizes:?}");
        assert_eq!(pair.b.session.transports.len(), 1, "{sizes:?}");
        assert!(!pair.a.session.jsep.facts.pooled.iter().any(Option::is_some));
        // A restart has credentials of its own.
        let now = pair.now();
        pair.a.session.restart_ice();
        let again = describe(&mut pair.a, now);
        let ufrag = |sdp: &str| {
            let mut lines = sdp.lines();
            lines
                .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
                .map(str::to_owned)
        };
        assert_ne!(ufrag(&again.sdp), ufrag(&offer.sdp));
    }
}

#[test]
fn the_pool_follows_its_size_and_its_servers_until_a_description_is_set() {
    let now = netsim::Network::new(1).now();
    let mut side = side(4, Pair::A, now, with_pool(2));
    add_data(&mut side);
    gather(&mut side, now);
    let pooled = |side: &Side| side.session.transports.len();
    assert_eq!(pooled(&side), 2);
    side.session
        .set_configuration(now, with_pool(3))
        .expect("larger");
    assert_eq!(pooled(&side), 3);
    side.session
        .set_configuration(now, with_pool(1))
        .expect("smaller");
    assert_eq!(pooled(&side), 1);
    // Other servers: what was gathered from the old ones is discarded.
    let before = side.session.transports[0]
        .agent
        .local_parameters()
        .ufrag
        .clone();
    side.session.set_servers(now, vec![stun_server()]);
    assert_ne!(
        side.session.transports[0].agent.local_parameters().ufrag,
        before
    );
    assert_eq!(serve(&mut side, now), 1);
    let now = now + Duration::from_secs(2);
    side.session
        .set_local_description(now, None)
        .expect("an offer");
    let refused = side.session.set_configuration(now, with_pool(2));
    assert_eq!(
        refused.map_err(|error| error.name()),
        Err("InvalidModificationError")
    );
    // An offer that is rolled back takes its transport along.
    side.session
        .set_local_description(now, Some(SessionDescription::rollback()))
        .expect("rolled back");
    assert_eq!(pooled(&side), 0);
}

#[test]
fn ice_transport_policy_relay_gathers_no_host_and_no_reflexive_candidates() {
    let now = netsim::Network::new(1).now();
    let relay = Configuration {
        ice_transport_policy: IceTransportPolicy::Relay,
        ..Configuration::default()
    };
    let all = Configuration::default();
    let mut side = side(5, Pair::A, now, relay);
    add_data(&mut side);
    describe(&mut side, now);
    side.session.add_server(now, stun_server());
    serve(&mut side, now);
    let told = events(&mut side);
    assert!(
        !told.iter().any(|event| event.starts_with("candidate")),
        "{told:?}"
    );
    assert_eq!(told.last().map(String::as_str), Some("end of candidates"));
    // Another policy counts from the next gathering on (RFC 9429 §4.1.18).
    let now = now + Duration::from_secs(2);
    side.session.set_configuration(now, all).expect("taken");
    serve(&mut side, now);
    assert_eq!(events(&mut side), [""; 0]);
    let now = now + Duration::from_secs(2);
    side.session.restart_ice();
    side.session
        .set_local_description(now, None)
        .expect("an offer");
    serve(&mut side, now);
    let told = events(&mut side);
    assert!(told.contains(&"candidate host of 0".to_owned()), "{told:?}");
}

#[test]
fn create_an_offer_with_ice_restart_replaces_the_credentials_of_every_transport() {
    let mut pair = established(41, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let credentials = |description: &SessionDescription| {
        let lines = description.sdp.lines();
        let own =
            lines.filter(|line| line.starts_with("a=ice-ufrag:") || line.starts_with("a=ice-pwd:"));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = credentials(&pair.a.session.local_description().expect("a description"));
    let plain = pair.a.session.create_offer(&OfferOptions::default());
    assert_eq!(credentials(&plain.expect("an offer")), before);
    let options = OfferOptions {
        ice_restart: true,
        ..OfferOptions::default()
    };
    let offer = pair.a.session.create_offer(&options).expect("an offer");
    let restarted = credentials(&offer);
    assert!(
        restarted.len() == before.len() && restarted.iter().all(|line| !before.contains(line)),
        "{restarted:?}"
    );
    pair.a
        .session
        .set_local_description(now, Some(offer))
        .expect("set");
    let offer = pair.a.session.local_description().expect("the offer");
    pair.b
        .session
        .set_remote_description(now, &offer)
        .expect("taken");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
    pair.run_for(Duration::from_secs(2));
    assert!(pair.a.is_connected() && pair.b.is_connected());
    let in_use = pair.a.session.transports[0]
        .agent
        .local_parameters()
        .ufrag
        .to_string();
    assert!(restarted.contains(&format!("a=ice-ufrag:{in_use}")));
    assert_eq!(pair.a.session.signaling_state(), SignalingState::Stable);
}

#[test]
fn update_the_ice_gathering_state_comes_between_the_candidates_and_their_end() {
    let now = netsim::Network::new(1).now();
    let mut side = side(6, Pair::A, now, Configuration::default());
    add_data(&mut side);
    side.session
        .set_local_description(now, None)
        .expect("an offer");
    side.session
        .add_local_socket(now, ice::LocalSocket::udp(side.address));
    side.session.add_server(now, stun_server());
    side.session.local_sockets_complete(now);
    let told = events(&mut side);
    let at = |words: &str| told.iter().position(|event| event == words);
    assert!(at("signaling have-local-offer") < at("transport 0 gathering"));
    assert!(at("transport 0 gathering") < at("gathering gathering"));
    assert!(at("candidate host of 0").is_some());
    assert_eq!(at("end of candidates"), None);
    // The server stays silent: RFC 8489 §6.2.1 gives up after 39.5 s, this side sooner.
    let mut later = now;
    for _ in 0..500 {
        while side.poll_transmit(later).is_some() {}
        later += Duration::from_millis(100);
        side.session.handle_timeout(later);
    }
    assert_eq!(
        events(&mut side),
        [
            "error 701 stun:198.51.100.1:3478",
            "last of 0",
            "transport 0 complete",
            "gathering complete",
            "end of candidates",
        ]
    );
}

#[test]
fn update_the_ice_connection_state_goes_through_every_state_of_a_call() {
    use IceConnectionState as I;
    use PeerConnectionState as P;
    let mut pair = pair(43, LinkConfig::with_latency(Duration::from_millis(5)));
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.states, [P::Connecting, P::Connected]);
    assert!(pair.a.ice_states.starts_with(&[I::Checking, I::Connected]));
    let connected = pair.a.ice_states.len();
    // Nothing arrives any more.
    let mut now = pair.now();
    for _ in 0..600 {
        now += Duration::from_millis(100);
        while pair.a.poll_transmit(now).is_some() {}
        Endpoint::handle_timeout(&mut pair.a, now);
    }
    assert_eq!(
        pair.a.states[2..],
        [P::Disconnected, P::Failed],
        "of the connection"
    );
    assert_eq!(
        pair.a.ice_states[connected..],
        [I::Disconnected, I::Failed],
        "of ICE"
    );
    // A restart begins anew (RFC 8445 §9); closing is told by the state alone.
    pair.a.session.restart_ice();
    describe(&mut pair.a, now);
    pair.a.drain(now);
    assert!(
        pair.a.ice_states.len() > connected + 2,
        "{:?}",
        pair.a.ice_states
    );
    let told = pair.a.states.len();
    pair.a.session.close(now);
    pair.a.session.finish_close(now);
    pair.a.drain(now);
    assert_eq!(pair.a.session.connection_state(), P::Closed);
    assert_eq!(pair.a.session.ice_connection_state(), I::Closed);
    assert_eq!(pair.a.states.len(), told);
}

#[test]
fn finish_gathering_a_generation_tells_an_empty_candidate_that_the_peer_takes() {
    let mut pair = pair(45, LinkConfig::with_latency(Duration::from_millis(5)));
    let end = end_of_generation(&mut pair.a);
    assert_eq!(
        (end.sdp_mid.as_deref(), end.sdp_m_line_index),
        (Some("0"), Some(0))
    );
    let own = |side: &Side| {
        let parameters = side.session.transports[0].agent.local_parameters();
        parameters.ufrag.to_string()
    };
    assert_eq!(end.username_fragment, Some(own(&pair.a)));
    assert_eq!((end.foundation(), end.address()), (None, None));
    let now = pair.now();
    pair.b
        .session
        .add_ice_candidate(now, Some(&end.to_init()))
        .expect("taken");
    pair.run_for(Duration::from_secs(1));

    // A restart is a generation of its own, although nothing is left to wait for.
    events(&mut pair.a);
    let now = pair.now();
    pair.a.session.restart_ice();
    pair.a
        .session
        .set_local_description(now, None)
        .expect("an offer");
    let told = events(&mut pair.a);
    let gathering: Vec<_> = told
        .iter()
        .filter(|event| !event.starts_with("ice") && !event.starts_with("connection"))
        .collect();
    assert_eq!(
        gathering,
        [
            "signaling have-local-offer",
            "transport 0 gathering",
            "gathering gathering",
            "candidate host of 0",
            "last of 0",
            "transport 0 complete",
            "gathering complete",
            "end of candidates",
        ]
    );
}

#[test]
fn an_ice_candidate_error_is_told_once_and_shows_no_address_that_no_candidate_shows() {
    let errors = |policy| {
        let now = netsim::Network::new(1).now();
        let configuration = Configuration {
            ice_transport_policy: policy,
            bundle_policy: crate::configuration::BundlePolicy::MaxCompat,
            ..Configuration::default()
        };
        let mut side = side(8, Pair::A, now, configuration);
        for track in ["1", "2"] {
            side.session
                .add_track(MediaKind::Audio, track.into(), vec![])
                .expect("a track");
        }
        describe(&mut side, now);
        side.session.add_server(
            now,
            ice::Server::Turn {
                addr: STUN_SERVER.parse().expect("an address"),
                protocol: ice::Protocol::Udp,
                username: "user".into(),
                password: "secret".into(),
                url: format!("turn:{STUN_SERVER}"),
            },
        );
        assert_eq!(side.session.transports.len(), 2);
        let mut later = now;
        for _ in 0..500 {
            while side.poll_transmit(later).is_some() {}
            later += Duration::from_millis(100);
            side.session.handle_timeout(later);
        }
        let all = std::iter::from_fn(|| side.session.poll_event());
        let errors: Vec<_> = all
            .filter_map(|event| match event {
                Event::IceCandidateError(error) => Some((error.error_code, error.address)),
                _ => None,
            })
            .collect();
        errors
    };
    assert_eq!(
        errors(IceTransportPolicy::All),
        [(701, Some(Pair::A.to_string()))]
    );
    assert_eq!(errors(IceTransportPolicy::Relay), [(701, None)]);
}

#[test]
fn transports_that_signaling_discards_tell_that_they_are_closed() {
    let now = netsim::Network::new(1).now();
    let mut side = side(9, Pair::A, now, Configuration::default());
    add_data(&mut side);
    describe(&mut side, now);
    side.drain(now);
    side.session
        .set_local_description(now, Some(SessionDescription::rollback()))
        .expect("rolled back");
    let told: Vec<Event> = std::iter::from_fn(|| side.session.poll_event()).collect();
    let place = |wanted: fn(&Event) -> bool| told.iter().position(wanted).expect("told");
    use crate::states::IceTransportState;
    let dtls = place(|event| {
        matches!(
            event,
            Event::DtlsStateChange {
                transport: 0,
                state: DtlsTransportState::Closed
            }
        )
    });
    let ice = place(|event| {
        matches!(
            event,
            Event::IceTransportStateChange {
                transport: 0,
                state: IceTransportState::Closed
            }
        )
    });
    let signaling = place(|event| matches!(event, Event::SignalingStateChange(_)));
    assert!(signaling < dtls && dtls < ice, "{told:?}");
}

#[test]
fn set_the_configuration_has_the_next_offer_restart_ice_and_asks_for_none() {
    let mut pair = established(47, LinkConfig::with_latency(Duration::from_millis(5)));
    let ufrag = |description: &SessionDescription| {
        let mut lines = description.sdp.lines();
        let line = lines.find(|line| line.starts_with("a=ice-ufrag:"));
        line.expect("credentials").to_owned()
    };
    let offer = |side: &mut Side| {
        let offer = side.session.create_offer(&OfferOptions::default());
        ufrag(&offer.expect("an offer"))
    };
    let now = pair.now();
    let before = offer(&mut pair.a);
    let mut other = pair.a.session.configuration().clone();
    other.ice_transport_policy = IceTransportPolicy::Relay;
    pair.a
        .session
        .set_configuration(now, other)
        .expect("another policy");
    let asked = pair.a.negotiation_needed;
    pair.a.drain(now);
    assert_eq!(pair.a.negotiation_needed, asked);
    assert_ne!(offer(&mut pair.a), before);
    // The same once more, and it is done with.
    let mut other = pair.a.session.configuration().clone();
    other.ice_transport_policy = IceTransportPolicy::All;
    pair.a
        .session
        .set_configuration(now, other)
        .expect("the first policy");
    let restarting = describe(&mut pair.a, now);
    assert_ne!(ufrag(&restarting), before);
    pair.b
        .session
        .set_remote_description(now, &restarting)
        .expect("taken");
    let answer = describe(&mut pair.b, now);
    pair.a
        .session
        .set_remote_description(now, &answer)
        .expect("taken");
    assert_eq!(offer(&mut pair.a), ufrag(&restarting));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.a.is_connected() && pair.b.is_connected());
}
