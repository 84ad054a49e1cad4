//! From names to addresses: ICE servers by DNS, `.local` candidates by mDNS (RFC 8839 §5.1, RFC 6762).

use super::{Connection, mdns};
use crate::configuration::{IceServer, ServerTransport, ServerUrl};
use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;

/// ICE servers, by whether their address is known.
pub(super) struct Servers {
    pub(super) ready: Vec<ice::Server>,
    pub(super) named: Vec<Named>,
}

/// A server whose host is a name.
pub(super) struct Named {
    url: ServerUrl,
    text: String,
    server: IceServer,
}

/// Every URL of every configured server.
pub(super) fn servers(configured: Vec<IceServer>) -> Servers {
    let mut servers = Servers {
        ready: Vec::new(),
        named: Vec::new(),
    };
    for server in configured {
        for text in &server.urls {
            // `Configuration::validate` has read it before.
            let Ok(url) = ServerUrl::parse(text) else {
                continue;
            };
            match url.host.parse::<IpAddr>() {
                Ok(address) => servers.ready.extend(at(
                    &url,
                    text,
                    &server,
                    SocketAddr::new(address, url.port),
                )),
                Err(_) => servers.named.push(Named {
                    url,
                    text: text.clone(),
                    server: server.clone(),
                }),
            }
        }
    }
    servers
}

fn at(url: &ServerUrl, text: &str, server: &IceServer, addr: SocketAddr) -> Option<ice::Server> {
    let url_text = text.to_owned();
    if !url.turn {
        // STUN over TLS has no use for gathering: candidates are made over UDP.
        return (!url.secure).then_some(ice::Server::Stun {
            addr,
            url: url_text,
        });
    }
    let protocol = match (url.transport, url.secure) {
        (ServerTransport::Udp, _) => ice::Protocol::Udp,
        (ServerTransport::Tcp, false) => ice::Protocol::Tcp,
        (ServerTransport::Tcp, true) => ice::Protocol::Tls,
    };
    Some(ice::Server::Turn {
        addr,
        protocol,
        username: server.username.clone()?,
        password: server.credential.clone()?,
        url: url_text,
    })
}

/// Resolves the named servers, all at once, and tells the session when the last is done.
pub(super) async fn named_servers(connection: Weak<Connection>, named: Vec<Named>) {
    let lookups: Vec<_> = named
        .into_iter()
        .map(|named| {
            let connection = Weak::clone(&connection);
            tokio::spawn(async move {
                let host = (named.url.host.clone(), named.url.port);
                let found = match tokio::net::lookup_host(host).await {
                    Ok(addresses) => addresses.collect(),
                    Err(error) => {
                        tracing::info!(server = named.text, %error, "the server's name cannot be resolved");
                        Vec::new()
                    }
                };
                let Some(connection) = connection.upgrade() else { return };
                connection.command(|session, now| {
                    for address in found {
                        if let Some(server) = at(&named.url, &named.text, &named.server, address) {
                            session.add_server(now, server);
                        }
                    }
                });
            })
        })
        .collect();
    for lookup in lookups {
        let _ = lookup.await;
    }
    if let Some(connection) = connection.upgrade() {
        connection.command(|session, now| session.local_sockets_complete(now));
    }
}

/// Resolves the name of a remote candidate.
pub(super) async fn local_name(connection: Weak<Connection>, name: String) {
    let address = lookup(&name).await;
    if address.is_none() {
        tracing::info!(name, "the name of a candidate cannot be resolved");
    }
    if let Some(connection) = connection.upgrade() {
        connection.command(|session, now| session.resolved(now, &name, address));
    }
}

async fn lookup(name: &str) -> Option<IpAddr> {
    // Names under `.local` must not reach the servers of the other DNS (RFC 6762 §22.1).
    if name
        .to_ascii_lowercase()
        .trim_end_matches('.')
        .ends_with(".local")
    {
        return match mdns::Mdns::shared() {
            Ok(service) => service.resolve(name).await,
            Err(error) => {
                tracing::warn!(%error, "no multicast DNS");
                None
            }
        };
    }
    let mut found = tokio::net::lookup_host((name, 0)).await.ok()?;
    found.next().map(|address| address.ip())
}
