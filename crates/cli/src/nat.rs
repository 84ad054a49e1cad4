//! `rtc nat`: what STUN servers see of this host, and what that says about the NAT in front of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use peerconnection::ice::Candidate;
use peerconnection::{Configuration, Event, IceServer, PeerConnection};

use crate::Failure;

/// How long gathering may take: a server that does not answer is asked for so long (RFC 8489 §6.2.1).
const LIMIT: Duration = Duration::from_secs(45);

pub(crate) async fn report(servers: &[String]) -> Result<(), Failure> {
    let ice_servers = servers
        .iter()
        .map(|url| IceServer {
            urls: vec![url.clone()],
            ..IceServer::default()
        })
        .collect();
    let connection = PeerConnection::new(Configuration {
        ice_servers,
        ..Configuration::default()
    })?;
    let mut events = connection.events();
    // Anything to negotiate makes it gather.
    let _channel = connection.create_data_channel("nat", Default::default())?;
    connection.set_local_description(None).await?;

    let mut candidates = Vec::new();
    let gathering = async {
        while let Some(event) = events.next().await {
            match event {
                Event::IceCandidate(Some(candidate)) => {
                    candidates.extend(candidate.as_ice().cloned());
                }
                Event::IceCandidate(None) => return,
                Event::IceCandidateError(error) => {
                    println!("{}: {} ({})", error.url, error.error_text, error.error_code);
                }
                _ => {}
            }
        }
    };
    if tokio::time::timeout(LIMIT, gathering).await.is_err() {
        println!("the servers took too long; this is what was found so far");
    }
    connection.close();
    for candidate in &candidates {
        println!("{candidate}");
    }
    println!("{}", verdict(&mappings(&candidates), servers.len()));
    Ok(())
}

/// The addresses seen from outside, by the local address they belong to.
fn mappings(candidates: &[Candidate]) -> BTreeMap<String, BTreeSet<String>> {
    let mut mappings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for candidate in candidates {
        let words: Vec<String> = candidate
            .to_string()
            .split(' ')
            .map(str::to_owned)
            .collect();
        let after = |name: &str| {
            let place = words.iter().position(|word| word == name)?;
            words.get(place + 1).cloned()
        };
        let (Some(kind), Some(base), Some(base_port)) =
            (after("typ"), after("raddr"), after("rport"))
        else {
            continue;
        };
        if let ("srflx", [_, _, _, _, address, port, ..]) = (kind.as_str(), words.as_slice()) {
            let base = socket(&base, &base_port);
            mappings
                .entry(base)
                .or_default()
                .insert(socket(address, port));
        }
    }
    mappings
}

fn socket(address: &str, port: &str) -> String {
    match (address.parse(), port.parse()) {
        (Ok(address), Ok(port)) => SocketAddr::new(address, port).to_string(),
        _ => format!("{address} {port}"),
    }
}

/// What the mappings say, in words (RFC 4787 §4.1).
fn verdict(mappings: &BTreeMap<String, BTreeSet<String>>, servers: usize) -> &'static str {
    if mappings.is_empty() {
        "No server saw an address other than this host's own: there is no NAT, or UDP does not get out."
    } else if mappings.values().any(|seen| seen.len() > 1) {
        "Different servers see different ports: the NAT maps by destination (symmetric), calls may need a relay."
    } else if servers > 1 {
        "All servers see the same address and port: the NAT maps by source alone, direct calls are likely."
    } else {
        "There is a NAT. A second server would tell whether it maps by destination."
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(candidates: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        let parsed: Vec<Candidate> = candidates
            .iter()
            .map(|text| text.parse().expect("a candidate"))
            .collect();
        mappings(&parsed)
    }

    #[test]
    fn two_ports_for_one_socket_are_a_symmetric_nat() {
        let mappings = seen(&[
            "candidate:1 1 udp 2130706431 10.0.0.2 5000 typ host",
            "candidate:2 1 udp 1694498815 192.0.2.1 6000 typ srflx raddr 10.0.0.2 rport 5000",
            "candidate:3 1 udp 1694498815 192.0.2.1 6001 typ srflx raddr 10.0.0.2 rport 5000",
        ]);
        assert!(verdict(&mappings, 2).contains("symmetric"));
    }

    #[test]
    fn one_port_for_one_socket_is_a_friendly_nat() {
        let mappings = seen(&[
            "candidate:2 1 udp 1694498815 192.0.2.1 6000 typ srflx raddr 10.0.0.2 rport 5000",
        ]);
        assert!(verdict(&mappings, 2).contains("source alone"));
        assert!(verdict(&mappings, 1).contains("second server"));
    }

    #[test]
    fn host_candidates_alone_are_no_nat() {
        let mappings = seen(&["candidate:1 1 udp 2130706431 10.0.0.2 5000 typ host"]);
        assert!(verdict(&mappings, 2).contains("no NAT"));
    }
}
