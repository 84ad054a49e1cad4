//! TLS to TURN servers (RFC 8656 §3.1, RFC 7065 §3.2).

use crate::configuration::ServerUrl;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::{Arc, OnceLock};

/// A configuration that trusts the system's authorities and these certificates (DER).
///
/// Reads files the first time: not for a thread that must not wait.
pub(super) fn config(extra: &[Vec<u8>]) -> io::Result<Arc<ClientConfig>> {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    let mut roots = SYSTEM
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::debug!(%error, "some of the system's authorities cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
            roots
        })
        .clone();
    for der in extra {
        roots
            .add(CertificateDer::from(der.as_slice()).into_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Who the server must prove to be: the host of its URL (RFC 8656 §3.1, RFC 9525).
pub(super) fn server_name(url: &str) -> io::Result<ServerName<'static>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let url = ServerUrl::parse(url).map_err(|error| wrong(&error.to_string()))?;
    ServerName::try_from(url.host).map_err(|_| wrong("the host is no name for TLS"))
}
