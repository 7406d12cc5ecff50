//! The protection of the connection to PostgreSQL and Redis: TLS or plain text, decided by the URL
//! before anything is opened.
//!
//! A connection to this machine may be plain text. A connection to another machine has TLS, and the
//! certificate and the name of the server are always verified. Plain text to another machine must
//! be written out. No error repeats the URL, which may have a password in it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadpool_postgres::tokio_postgres::{self, config::Host};
use grantcore_redis::redis::{ConnectionAddr, IntoConnectionInfo as _, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::form_urlencoded;

use crate::config::{Database, DatabaseTls};

/// How bytes travel to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// There is no network, or the connection stays on this machine.
    Local,
    /// With TLS. The certificate and the name of the server are verified.
    Tls,
    /// In plain text to another machine, because the operator wrote it out.
    Plain,
}

/// Why a connection to this database is not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("{}", super::error::line(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error(
        "sslmode must be verify-full, require or verify-ca, which all verify the certificate and the \
         name of the server, or disable for plain text"
    )]
    Mode,
    #[error(
        "sslmode=prefer and sslmode=allow are refused: anybody in the network could turn TLS off. \
         Write verify-full, or disable for plain text"
    )]
    Opportunistic,
    #[error("sslmode is given twice")]
    Twice,
    #[error("sslrootcert is not read from the URL: name the file with --database-authority")]
    RootInUrl,
    #[error(
        "Redis on another machine needs TLS: write rediss:// or rediss-cluster://, or accept plain \
         text with --allow-plaintext-redis"
    )]
    PlainRedis,
    #[error("`#insecure` is refused: it turns off the check of the server's certificate")]
    Insecure,
    #[error("{}: {why} (--database-authority)", path.display())]
    Authority { path: PathBuf, why: String },
    #[error("the system has no certificate authorities: name a file with --database-authority")]
    NoAuthorities,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error(
        "the server does not support TLS; on a network that you trust, sslmode=disable in the URL \
         accepts plain text"
    )]
    Unsupported,
}

/// Returns how a connection to this database is protected. Opens nothing.
pub(crate) fn check(database: &Database, tls: &DatabaseTls) -> Result<Transport, TransportError> {
    match database {
        Database::Memory | Database::Sqlite(_) => Ok(Transport::Local),
        Database::Postgres(address) => {
            let (_, transport) = postgres(address.reveal())?;
            if transport == Transport::Tls {
                roots(tls)?;
            }
            Ok(transport)
        }
        Database::Redis(address) => {
            let transport = redis(address.reveal(), tls.allow_plaintext_redis)?;
            if transport == Transport::Tls {
                certificates(tls)?;
            }
            Ok(transport)
        }
    }
}

/// Returns a URL of PostgreSQL as its client takes it, and the transport that it asks for.
///
/// The client knows fewer words for `sslmode` than libpq, and none of them verifies anything, so
/// the word is read here.
pub(super) fn postgres(url: &str) -> Result<(String, Transport), TransportError> {
    let (base, query) = split(url);
    let mut mode = None;
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { continue };
        match &*key {
            "sslmode" if mode.is_some() => return Err(TransportError::Twice),
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => return Err(TransportError::RootInUrl),
            _ => kept.push(pair),
        }
    }
    let transport = match mode.as_deref() {
        None | Some("disable") => {
            let config: tokio_postgres::Config = format!("{base}?{}", kept.join("&")).parse()?;
            match mode {
                _ if is_local(&config) => Transport::Local,
                None => Transport::Tls,
                Some(_) => Transport::Plain,
            }
        }
        Some("verify-full" | "verify-ca" | "require") => Transport::Tls,
        Some("prefer" | "allow") => return Err(TransportError::Opportunistic),
        Some(_) => return Err(TransportError::Mode),
    };
    kept.push(if transport == Transport::Tls { "sslmode=require" } else { "sslmode=disable" });
    Ok((format!("{base}?{}", kept.join("&")), transport))
}

/// Splits a URL of PostgreSQL before its parameters. As for the client, everything before the first
/// `@` is a name and a password, also a `?`.
fn split(url: &str) -> (&str, &str) {
    let rest = url.find("://").map_or(0, |at| at + 3);
    let authority =
        url.get(rest..).and_then(|text| text.find('@')).map_or(rest, |at| rest + at + 1);
    let mark = url.get(authority..).and_then(|text| text.find('?')).map(|at| authority + at);
    match mark.and_then(|mark| Some((url.get(..mark)?, url.get(mark + 1..)?))) {
        Some(both) => both,
        None => (url, ""),
    }
}

/// Returns whether all hosts are this machine. An address takes precedence over a name, as when the
/// client connects.
fn is_local(config: &tokio_postgres::Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => is_this_machine(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the transport that a URL of Redis asks for. A URL that cannot be read is passed on: the
/// client refuses it.
pub(super) fn redis(url: &str, allow_plaintext: bool) -> Result<Transport, TransportError> {
    let urls = match url.split_once("-cluster://") {
        None => vec![url.to_owned()],
        Some((scheme, nodes)) => {
            let hosts = nodes.rsplit_once('@').map_or(nodes, |(_, hosts)| hosts);
            hosts.split(',').map(|host| format!("{scheme}://{host}")).collect()
        }
    };
    let mut transport = Transport::Local;
    for url in urls {
        let Ok(server) = url.into_connection_info() else { continue };
        match server.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(TransportError::Insecure),
            ConnectionAddr::TcpTls { .. } => transport = Transport::Tls,
            ConnectionAddr::Tcp(host, _) if !is_this_machine(host) => {
                if !allow_plaintext {
                    return Err(TransportError::PlainRedis);
                }
                transport = Transport::Plain;
            }
            _ => {}
        }
    }
    Ok(transport)
}

/// Returns the connector of TLS for PostgreSQL.
pub(super) fn connector(tls: &DatabaseTls) -> Result<MakeRustlsConnect, TransportError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(tls)?)
        .with_no_client_auth();
    // As libpq does. `sslnegotiation=direct` requires it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

/// Returns the authorities that may have issued the certificate of the server.
fn roots(tls: &DatabaseTls) -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &tls.database_authority else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if roots.is_empty() { Err(TransportError::NoAuthorities) } else { Ok(roots) };
    };
    let refused = |why: String| TransportError::Authority { path: path.clone(), why };
    for certificate in CertificateDer::pem_slice_iter(&read(path)?) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("the file has no certificate".to_owned()));
    }
    Ok(roots)
}

/// Returns the authorities of the file for a connection to Redis, or `None` for those of the
/// system.
pub(super) fn certificates(tls: &DatabaseTls) -> Result<Option<TlsCertificates>, TransportError> {
    let Some(path) = &tls.database_authority else { return Ok(None) };
    roots(tls)?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(read(path)?) }))
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|error| TransportError::Authority {
        path: path.to_owned(),
        why: error.to_string(),
    })
}
